"""What a camera's incidents cause: updates enter; envelopes and clips that are owed to the outbox leave, in order."""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from detector import wire
from detector.alerts.clip_queue import Clip
from detector.clock import iso
from detector.config import Camera, EdgeConfig
from detector.errors import StoreError, WireError
from detector.media.packets import PacketRing
from detector.values import Frame, IncidentKind, IncidentUpdate, Phase, Sight

if TYPE_CHECKING:
    from detector.alerts.clips import Segment
    from detector.alerts.films import CameraFilms
    from detector.alerts.looks import Side
    from detector.alerts.outbox import Outbox

logger = logging.getLogger(__name__)

# What an incident is about may be long past when a rule is sure of it; the ring holds so much beyond the pre-roll.
LOOK_BACK_S = 30.0
MOST_OWED = 10_000
RETRY_S = 5.0


class AlertSink:
    """What a camera's incidents cause: a snapshot and an envelope for the outbox, and a clip.

    Everything owed to the outbox is kept in order until the outbox takes it, so a disk that is full for a while
    delays alerts and loses none. `films`, where given, are those of this camera that the hub asks for.

    Attributes:
        site: Name of the site, in ids of incidents.
        incidents: How many began, by kind.
        published: How many envelopes the outbox took.
        dropped: How much was given up before the outbox took it: more was owed than there is room for, or it can't be
            written as JSON.
        clips: How many segments were finished.
        owed_since: Frame time at which something was first seen to be owed; `None` while nothing is.
    """

    def __init__(
        self, config: EdgeConfig, camera: Camera, outbox: Outbox, ring: PacketRing, films: CameraFilms | None = None
    ) -> None:
        from detector.alerts.clips import ClipRecorder
        from detector.alerts.looks import LONGEST_GROUP_S, LookRing

        self.site = config.site
        self.incidents: Counter[str] = Counter()
        self.published = 0
        self.dropped = 0
        self.clips = 0
        self.owed_since: float | None = None
        self._config = config
        self._camera = camera
        self._outbox = outbox
        self._films = films
        self._segments: dict[str, list[dict[str, Any]]] = {}
        self._ended: dict[str, dict[str, Any]] = {}  # fields of ends, told before all of their clips were finished
        self._sizes: dict[str, tuple[int, int]] = {}  # of the pictures that open incidents are told of
        self._owed: deque[Callable[[], object]] = deque()
        self._retry_at = 0.0
        self._refused = False
        settings = config.incidents
        self._looks = LookRing(settings.pre_roll_s + LOOK_BACK_S + LONGEST_GROUP_S)
        self._recorder = ClipRecorder(
            config.data_dir / "clips" / camera.name,
            ring,
            pre_roll_s=settings.pre_roll_s,
            post_roll_s=settings.post_roll_s,
            longest_s=settings.segment_s,
            on_segment=self._keep,
            looks=self._looks,
            shape=camera.shape,
        )

    @property
    def owed(self) -> int:
        """How much the outbox has not taken yet; it would be lost with the process."""
        return len(self._owed)

    def salvage(self, goes_on: Callable[[Mapping[str, Any]], bool] | None = None) -> None:
        """Send on the clips that an earlier run left unfinished, and end the incidents that it left open.

        Args:
            goes_on: Tells of one, by the fields of its last envelope, whether it goes on and isn't to be ended.
        """
        if saved := self._recorder.salvage():
            logger.info("clips left unfinished were salvaged camera=%s count=%d", self._camera.name, saved)
        going_on = {}
        for fields in self._outbox.left_open():
            if fields["camera"] == self._camera.name:
                incident, is_ended = fields["after"]["id"], fields["phase"] == Phase.END
                if is_ended and incident not in self._segments and self._recorder.is_unfinished(incident):
                    self._ended[incident] = fields  # there is nothing new to tell yet
                    continue
                if not is_ended and goes_on is not None and goes_on(fields):
                    going_on[incident] = wire.all_clips(fields, self._segments.get(incident))
                    continue
                again = wire.with_late_clips if is_ended else wire.cut_off
                self._end(again(fields, self._segments.pop(incident, None)))
        self._segments = going_on
        self._settle()

    def accept(self, update: IncidentUpdate, frame: Frame | None) -> None:
        """Tell of a step in an incident's life; `frame` is the frame it arose from, `None` where none has come yet."""
        incident = update.after
        picture, clips = None, None
        if frame is not None:  # where their size changes incidents end, and are told so with the first of another
            self._sizes.setdefault(incident.id, frame.size)
        size = self._sizes.get(incident.id, (1, 1))
        if update.phase is Phase.END:
            self._recorder.finish(incident.id)
            self._sizes.pop(incident.id, None)
            clips = self._segments.pop(incident.id, None)
        elif frame is not None:
            if not self._shows_no_more(update, frame.captured_at):
                since = max(incident.started_at, frame.captured_at - LOOK_BACK_S)
                self._recorder.start_or_extend(incident.id, frame.captured_at, since, incident.tracks)
            if update.before is None or incident.boxes is not update.before.boxes:
                picture = self._snapshot(frame, update)
        if update.phase is Phase.NEW:
            self.incidents[incident.kind.value] += 1
        fields = wire.envelope(
            update,
            site=self._config.site,
            edge=self._config.edge,
            title=self._camera.title or self._camera.name,
            size=size,
            snapshot_jpeg=picture,
            clips=clips,
        )
        if update.phase is Phase.END:
            self._end(fields)
        else:
            self._owe(partial(self._publish, fields))
        self._settle()

    def see(self, sight: Sight) -> None:
        """Remember what was seen in a frame, for side files; after its updates, since it may void what was before."""
        self._looks.append(sight)

    def tick(self, now: float) -> None:
        """Time went on to the frame time `now`: clips grow and close, what is owed is tried again."""
        for film in self._films.step(self._recorder, now) if self._films else ():
            self._segments.pop(film, None)  # no alert tells of them
        self._recorder.tick(now)
        for incident, fields in list(self._ended.items()):
            if not self._recorder.is_unfinished(incident):
                del self._ended[incident]
                self._end(wire.with_late_clips(fields, self._segments.pop(incident, None)))
        if self._owed and now >= self._retry_at:
            self._retry_at = now + RETRY_S
            self._settle()
        self.owed_since = (self.owed_since or now) if self._owed else None

    def finish(self) -> None:
        """The frames are over: close every clip. Ends of incidents are still accepted."""
        self._recorder.finish()
        film = self._films.forget() if self._films is not None else None
        if film is not None:
            self._segments.pop(film, None)  # as in `tick`
        self._settle()

    def _shows_no_more(self, update: IncidentUpdate, at: float) -> bool:
        """Whether a camera's trouble has lasted for so long that its clip has enough of it."""
        lasted_s = at - update.after.started_at
        goes_on = update.before is not None and lasted_s > self._config.incidents.longest_s
        return goes_on and update.after.kind is IncidentKind.TAMPER

    def _snapshot(self, frame: Frame, update: IncidentUpdate) -> bytes | None:
        from detector.alerts.snapshot import is_of, snapshot_jpeg

        try:
            return snapshot_jpeg(frame, update) if is_of(frame, update.after) else None
        except Exception:  # an alert without its picture is better than none
            logger.exception("no snapshot camera=%s incident=%s", self._camera.name, update.after.id)
            return None

    def _end(self, fields: dict[str, Any]) -> None:
        """Owe an end; where the disk has no room for its clips now, it is told again with them."""
        incident = fields["after"]["id"]
        is_last = not self._recorder.is_unfinished(incident)
        if not is_last:
            self._ended[incident] = fields
        self._owe(partial(self._publish, fields, is_last=is_last))

    def _publish(self, fields: dict[str, Any], *, is_last: bool = True) -> None:
        try:
            self._outbox.put(fields, is_last=is_last)
            self.published += 1
        except WireError:  # it would never fit, however often it were tried
            logger.exception("an alert can't be sent camera=%s", self._camera.name)
            self.dropped += 1

    def _keep(self, segment: Segment) -> bool:
        """Hand a finished segment over; tells whether the outbox has, and knows of, it by now."""
        self.clips += 1
        told = {
            "segment": segment.number,
            "sha256": segment.sha256,
            "bytes": segment.bytes,
            "started_at": iso(segment.started_at),
            "started_at_unix": round(segment.started_at, 3),
            "duration_s": segment.duration_s,
        }
        side = segment.side
        if side is not None:
            told["side_sha256"] = side.sha256
        self._segments.setdefault(segment.incident_id, []).append(told)
        self._owe(partial(self._outbox.note_clip, segment.incident_id, told))
        # Where no hub's address is known yet they wait until one is: a box may watch before it joins.
        self._owe(self._put(segment, segment))
        if side is not None:
            self._owe(self._put(segment, side, wire.SIDE))
        self._settle()
        return not self._owed

    def _put(self, segment: Segment, file: Segment | Side, what: str | None = None) -> Callable[[], None]:
        incident, camera, span = segment.incident_id, self._camera.name, (segment.started_at, segment.duration_s)
        clip = Clip(incident, segment.number, camera, file.path, file.sha256, file.bytes, *span, what)
        return lambda: self._outbox.clips.put(clip)

    def _owe(self, owed: Callable[[], object]) -> None:
        if len(self._owed) >= MOST_OWED:
            self._owed.popleft()
            if not self.dropped:
                logger.error("more is owed to the outbox than there is room for: the oldest goes")
            self.dropped += 1
        self._owed.append(owed)

    def _settle(self) -> None:
        """Hand over what is owed, in order, as far as the outbox takes it."""
        while self._owed:
            try:
                self._owed[0]()
            except StoreError as error:
                # One line per change: a disk may be full for days.
                level = logging.DEBUG if self._refused else logging.ERROR
                said = "the outbox takes nothing camera=%s owed=%d: %s"
                logger.log(level, said, self._camera.name, len(self._owed), error)
                self._refused = True
                return
            self._owed.popleft()
        if self._refused:
            logger.info("the outbox has taken all that was owed camera=%s", self._camera.name)
            self._refused = False
