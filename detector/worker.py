"""Live: every camera of one edge box in one process. A configuration enters; alerts, clips and health leave.

    source ─► Pipeline ─► AlertSink ─► outbox ─► MqttLink, ClipUploads      one thread and one pipeline a camera
       └─ packets ─► PacketRing ─► ClipRecorder ─┘

A camera's trouble stays its own: a source connects again by itself, and a pipeline that fails is built anew.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import logging
import os
import shutil
import signal
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from detector import __version__, wire
from detector.alerts.incidents import begun
from detector.census import Census
from detector.clock import Clock, SystemClock, iso, kernel_clock
from detector.config import Camera, EdgeConfig
from detector.errors import LabelwatchError, ModelError, SourceError, StoreError, WireError
from detector.learned import Learned, LearnedFile
from detector.packets import Packet, PacketRing, StreamFormat
from detector.pipeline import Pipeline, Source
from detector.rules.silence import Silence
from detector.rules.telling import due_again
from detector.tuned import Tuned
from detector.values import Frame, Incident, IncidentKind, IncidentUpdate, Phase, Severity, Sight, Signal
from detector.zoned import Zoned, dumped

if TYPE_CHECKING:
    from detector.alerts.census import CameraCensus
    from detector.alerts.clips import Segment
    from detector.alerts.looks import Side
    from detector.alerts.mqtt import MqttLink
    from detector.alerts.outbox import Outbox
    from detector.alerts.pictures import CameraPictures
    from detector.sources.stats import SourceStats

logger = logging.getLogger(__name__)

LOADED_AT = time.monotonic()
HEALTH_EVERY_S = 10.0
KEEP_EVERY_S = 600.0  # what is learned in days may lose some minutes when the power fails
# What an incident is about may be long past when a rule is sure of it; the ring holds so much beyond the pre-roll.
LOOK_BACK_S = 30.0
DRAIN_S = 60.0
LINK_UP_S = 8.0
STOP_S = 3.0
MOST_OWED = 10_000
RETRY_S = 5.0


class MeasuredSource(Source, Protocol):
    """A source that tells how it is doing."""

    stats: SourceStats


OnPacket = Callable[[Packet, StreamFormat], None]
OpenSource = Callable[[OnPacket], MeasuredSource]


class AlertSink:
    """What a camera's incidents cause: a snapshot and an envelope for the outbox, and a clip.

    Everything owed to the outbox is kept in order until the outbox takes it, so a disk that is full for a while
    delays alerts and loses none.

    Attributes:
        site: Name of the site, in ids of incidents.
        incidents: How many began, by kind.
        published: How many envelopes the outbox took.
        dropped: How much was given up before the outbox took it: more was owed than there is room for, or it can't be
            written as JSON.
        clips: How many segments were finished.
    """

    def __init__(self, config: EdgeConfig, camera: Camera, outbox: Outbox, ring: PacketRing) -> None:
        from detector.alerts.clips import ClipRecorder
        from detector.alerts.looks import LONGEST_GROUP_S, LookRing

        self.site = config.site
        self.incidents: Counter[str] = Counter()
        self.published = 0
        self.dropped = 0
        self.clips = 0
        self._config = config
        self._camera = camera
        self._outbox = outbox
        self._segments: dict[str, list[dict[str, Any]]] = {}
        self._owed: deque[Callable[[], object]] = deque()
        self._retry_at = 0.0
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
        )

    def salvage(self) -> None:
        """Send on the clips that a crash left unfinished, and end the incidents that it left open."""
        if saved := self._recorder.salvage():
            logger.info("clips left unfinished were salvaged camera=%s count=%d", self._camera.name, saved)
        for fields in self._outbox.left_open():
            if fields["camera"] == self._camera.name:
                self._owe(partial(self._publish, wire.cut_off(fields, self._segments.get(fields["after"]["id"]))))
        self._segments.clear()
        self._settle()

    def accept(self, update: IncidentUpdate, frame: Frame | None) -> None:
        """Tell of a step in an incident's life; `frame` is the frame it arose from, `None` where none has come yet."""
        incident = update.after
        picture, clips = None, None
        if update.phase is Phase.END:
            self._recorder.finish(incident.id)
            clips = self._segments.pop(incident.id, None)
        elif frame is not None:
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
            size=frame.size if frame is not None else (1, 1),
            snapshot_jpeg=picture,
            clips=clips,
        )
        self._owe(partial(self._publish, fields))
        self._settle()

    def see(self, sight: Sight) -> None:
        """Remember what was seen in a frame, for side files; after its updates, since it may void what was before."""
        self._looks.append(sight)

    def tick(self, now: float) -> None:
        """Time went on to the frame time `now`: clips grow and close, what is owed is tried again."""
        self._recorder.tick(now)
        if self._owed and now >= self._retry_at:
            self._retry_at = now + RETRY_S
            self._settle()

    def finish(self) -> None:
        """The frames are over: close every clip. Ends of incidents are still accepted."""
        self._recorder.finish()
        self._settle()

    def _snapshot(self, frame: Frame, update: IncidentUpdate) -> bytes | None:
        from detector.alerts.snapshot import snapshot_jpeg

        try:
            return snapshot_jpeg(frame, update)
        except Exception:  # an alert without its picture is better than none
            logger.exception("no snapshot camera=%s incident=%s", self._camera.name, update.after.id)
            return None

    def _publish(self, fields: dict[str, Any]) -> None:
        try:
            self._outbox.put(fields)
            self.published += 1
        except WireError:  # it would never fit, however often it were tried
            logger.exception("an alert can't be sent camera=%s", self._camera.name)
            self.dropped += 1

    def _keep(self, segment: Segment) -> bool:
        """Hand a finished segment over; tells whether the outbox, if it is to have it, has it by now."""
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
        if self._config.hub.url is None:
            return True  # nowhere to bring it: the clip stays here
        self._owe(self._put(segment, segment))
        if side is not None:
            self._owe(self._put(segment, side, wire.SIDE))
        self._settle()
        return not self._owed

    def _put(self, segment: Segment, file: Segment | Side, what: str | None = None) -> Callable[[], None]:
        return lambda: self._outbox.put_clip(
            segment.incident_id,
            segment.number,
            file.path,
            file.sha256,
            file.bytes,
            segment.started_at,
            segment.duration_s,
            self._camera.name,
            what,
        )

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
                logger.error(
                    "the outbox takes nothing camera=%s owed=%d: %s", self._camera.name, len(self._owed), error
                )
                return
            self._owed.popleft()


class CameraWorker:
    """One camera's thread: frames from its source through its pipeline to its sink, until the source ends or `stop`.

    A pipeline that raises is logged, ended and built anew after a pause; a source that raises is opened anew. A stream
    that brings no picture for long is an incident of its own (`watch_silence`).

    Args:
        camera: Which.
        build: Makes its pipeline, first and after a crash.
        open_source: Opens its source, given where packets go.
        sink: Who is told.
        ring: Where packets go.
        clock: Tells the time of crashes and of health.
        stop: Ends it.
        pause_s: How long to wait after a crash.
        long_pause_s: How long after the third within a minute.
        silent_s: A live camera without a picture for so long is silent.
        learned: Where what its pipeline learns is kept over restarts; nowhere when left out.
        zones: What its pipeline is built for; when it becomes another object, the pipeline is ended and built anew.
        pictures: Is offered every frame that was looked at.
        census: Is offered the count of what lies there at each of them.

    Attributes:
        frames: Frames looked at.
        crashes: Times the pipeline or the source raised.
        failure: Why a recording could not be played; `None` when nothing is wrong.
    """

    def __init__(
        self,
        camera: Camera,
        *,
        build: Callable[[], Pipeline],
        open_source: OpenSource,
        sink: AlertSink,
        ring: PacketRing,
        clock: Clock,
        stop: threading.Event,
        pause_s: float = 1.0,
        long_pause_s: float = 60.0,
        silent_s: float = 120.0,
        learned: LearnedFile | None = None,
        zones: Callable[[], object] = lambda: None,
        pictures: CameraPictures | None = None,
        census: CameraCensus | None = None,
    ) -> None:
        self.camera = camera
        self.sink = sink
        self.frames = 0
        self.crashes = 0
        self.failure: str | None = None
        self._build = build
        self._open_source = open_source
        self._ring = ring
        self._clock = clock
        self._stop = stop
        self._pauses = pause_s, long_pause_s
        self._silent_s = silent_s
        self._crashed_at: deque[float] = deque(maxlen=3)
        self._trouble: str | None = None
        self._source: MeasuredSource | None = None
        self._pipeline: Pipeline | None = None
        self._last_frame: Frame | None = None
        self._learned_file = learned
        self._learned: Learned = {}
        self._zones = zones
        self._built_for: object = None
        self._pictures = pictures
        self._census = census
        self._kept_at = clock.now()
        self._telling = threading.Lock()  # the sink is the camera's thread's, but who watches for silence is another
        self._silence: Silence | None = None
        self._silent: Incident | None = None
        self._reported = (clock.now(), 0, 0)
        self._thread = threading.Thread(target=self._run, name=f"camera-{camera.name}", daemon=True)

    def start(self) -> None:
        """Begin."""
        if self.camera.live:
            self._silence = Silence(self._silent_s, self._clock.now())
        self._thread.start()

    def join(self, timeout_s: float) -> bool:
        """Wait for its end, at most so many seconds; tells whether it has ended."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    @property
    def running(self) -> bool:
        """Whether it still has frames to look at."""
        return self._thread.is_alive()

    @property
    def size(self) -> tuple[int, int] | None:
        """Width and height of its pictures, pixels; `None` before the first."""
        return self._last_frame.size if self._last_frame else None

    def health(self, now: float) -> dict[str, Any]:
        """Fields for the health message; rates are since the last call."""
        stats = self._source.stats if self._source else None
        frames_in, looked_at = stats.frames_in if stats else 0, self.frames
        before, in_before, looked_before = self._reported
        self._reported = now, frames_in, looked_at
        span_s = max(now - before, 0.001)
        last = stats.last_frame_at if stats else None
        state = "failing" if self._trouble else stats.state if stats else "connecting"
        return {
            "title": self.camera.title or self.camera.name,
            "state": "ok" if state == "online" else state,
            "reason": self._trouble
            or self.failure
            or (stats.last_error if stats and state != "online" else None)
            or "",
            "fps": round(max(0, frames_in - in_before) / span_s, 1),
            "analysed": looked_at,
            "analysed_fps": round(max(0, looked_at - looked_before) / span_s, 1),
            "dropped": stats.dropped if stats else 0,
            "decode_errors": stats.decode_errors if stats else 0,
            "reconnects": stats.reconnects if stats else 0,
            "crashes": self.crashes,
            "left_out": self._pipeline.left_out if self._pipeline else 0,
            "age_s": round(max(0.0, now - last), 1) if last is not None else None,
        }

    def watch_silence(self, now: float) -> None:
        """Tell when no picture has come for long, and when pictures come again; ask often, from any thread."""
        if self._silence is None or not self._telling.acquire(blocking=False):
            return  # the camera is just being told of: it isn't silent
        try:
            change = self._silence.step(self._source.stats.last_frame_at if self._source else None, now)
            if change == "begins":
                self._silent = begun(self.sink.site, silence_of(self.camera.name, self._silence.heard_at, now))
                self.sink.accept(IncidentUpdate(Phase.NEW, None, self._silent), self._last_frame)
                self.sink.tick(now)  # no frame will come to close the clip of what was seen last
            elif change == "ends":
                self._end_silence(self._silence.steady_since)
            else:
                self._tell_again(self._silence.heard_at, now)
        except Exception:  # the watch over the others goes on
            logger.exception("silence can't be told camera=%s", self.camera.name)
        finally:
            self._telling.release()

    def _tell_again(self, heard_at: float, now: float) -> None:
        """Say how long a silence has grown, ever more seldom; without a frame, since none has come."""
        before = self._silent
        told_s = before.ended_at - before.started_at if before is not None else 0.0
        if before is not None and heard_at <= before.started_at and due_again(told_s, now - before.started_at):
            self._silent = lasting(before, now)
            self.sink.accept(IncidentUpdate(Phase.UPDATE, before, self._silent), None)

    def _end_silence(self, at: float) -> None:
        before, self._silent = self._silent, None
        if before is not None:
            self.sink.accept(IncidentUpdate(Phase.END, before, lasting(before, at)), self._last_frame)

    def _run(self) -> None:
        try:
            with self._telling:
                self.sink.salvage()
        except Exception as error:  # old clips must not keep the camera from being watched
            logger.exception("clips can't be salvaged camera=%s: %s", self.camera.name, error)
        if self._learned_file:
            self._learned = self._learned_file.load()
        while not self._stop.is_set() and not self._watched_to_the_end():
            pass
        self._end_pipeline()
        if self._learned:  # what was put aside after crashes may have been innocent of them
            self._keep(self._learned)
        with self._telling:
            self._end_silence(self._clock.now())

    def _watched_to_the_end(self) -> bool:
        """Open the source and look at its frames; false when it has to be opened once more."""
        try:
            self._source = self._open_source(self._ring.append)
            try:
                for frame in self._source:
                    self._look(frame)
            finally:
                self._source.close()
        except SourceError as error:
            logger.warning("camera can't be played camera=%s: %s", self.camera.name, error)
            self.failure = str(error)
            if self.camera.loop:
                self._stop.wait(self._pauses[1])
            return not self.camera.loop
        except Exception as error:  # noqa: BLE001 - the camera must come back whatever happened
            self._crashed("source", error)
            return False
        return True

    def _look(self, frame: Frame) -> None:
        self.failure = None
        self._last_frame = frame
        try:
            pipeline = self._ready()
            updates = pipeline.process(frame)
            with self._telling:
                for update in updates:
                    self.sink.accept(update, frame)
                if pipeline.sight is not None:
                    self.sink.see(pipeline.sight)
                self.sink.tick(frame.captured_at)
            self.frames += 1
            self._trouble = None
            if self._clock.now() - self._kept_at >= KEEP_EVERY_S:
                self._keep(pipeline.learned())
            if self._pictures is not None and pipeline.scene is not None:
                self._pictures.offer(frame, pipeline.scene)
            if self._census is not None and pipeline.sight is not None:
                self._census.offer(frame.captured_at, pipeline.census)
        except Exception as error:  # noqa: BLE001 - nor may one bad frame end the watch
            self._crashed("pipeline", error)

    def _ready(self) -> Pipeline:
        """A pipeline for the zones in force; what one for others had found ends, what it had learned is kept."""
        wanted = self._zones()
        if self._pipeline is not None and wanted is not self._built_for:
            logger.info("zones have changed camera=%s", self.camera.name)
            self._end_pipeline()
        if self._pipeline is None:
            self._built_for = wanted
            self._pipeline = self._build()
            self._pipeline.recall(self._learned)
            if self._pictures is not None:
                self._pictures.begin_anew()
        return self._pipeline

    def _crashed(self, what: str, error: Exception) -> None:
        logger.exception("%s failed camera=%s, crash %d", what, self.camera.name, self.crashes + 1)
        self.crashes += 1
        self._trouble = f"{what}: {type(error).__name__}: {error}"
        self._end_pipeline()
        self._crashed_at.append(self._clock.now())
        often = len(self._crashed_at) == 3 and self._crashed_at[-1] - self._crashed_at[0] < 60.0
        if often:
            self._learned = {}  # it might be what was learned that makes it fail
        self._stop.wait(self._pauses[1] if often else self._pauses[0])

    def _keep(self, learned: Learned) -> None:
        self._kept_at = self._clock.now()
        if self._learned_file:
            self._learned_file.save(learned)

    def _end_pipeline(self) -> None:
        """Close clips and end open incidents, in this order: the end of an incident lists its clips."""
        pipeline, self._pipeline = self._pipeline, None
        try:
            with self._telling:
                self.sink.finish()
                if pipeline is not None and self._last_frame is not None:
                    for update in pipeline.finish():
                        self.sink.accept(update, self._last_frame)
                    self._learned = pipeline.learned()
        except Exception:  # what a crash left may be beyond ending; the camera goes on
            logger.exception("open incidents can't be ended camera=%s", self.camera.name)


def silence_of(camera: str, heard_at: float, now: float) -> Signal:
    """A camera that has brought no picture since `heard_at`, as a rule would tell it."""
    facts = {"what": "silent", "lasted_s": round(now - heard_at, 1)}
    return Signal(IncidentKind.TAMPER, camera, None, heard_at, now, 1.0, Severity.WARNING, facts=facts)


def lasting(incident: Incident, until: float) -> Incident:
    """A camera's silence that goes on until then."""
    facts = {**incident.facts, "lasted_s": round(until - incident.started_at, 1)}
    return replace(incident, ended_at=until, facts=facts)


def run(config: EdgeConfig, *, once: bool = False, stop: threading.Event | None = None) -> int:
    """Watch every camera until told to stop, or until recordings that don't loop have been played.

    Then, too, `worker-summary.json` is written to the data folder: `frames` looked at, `incidents` by kind,
    `published` alerts, `waiting` alerts that the hub has not confirmed, `clips`, and `cameras`.

    Args:
        config: The edge's configuration.
        once: Play looping recordings once.
        stop: Ends it when set, beside SIGTERM and SIGINT; open incidents are ended and everything is kept.

    Returns:
        0; 1 when a recording could not be played.

    Raises:
        LabelwatchError: It can't begin: no model, a data folder that can't be used.
    """
    stop = stop or threading.Event()
    _stop_on_signals(stop)
    _one_thread_each()
    _return_freed_memory()
    clock = SystemClock()
    # Alerts of an earlier run go out while the model is still being loaded.
    with _delivery(config, clock) as delivery:
        outbox, link = delivery.outbox, delivery.link
        _end_for_cameras_gone(config, outbox)
        cameras = _cameras(config, once, delivery, clock, stop)
        try:
            for camera in cameras:
                camera.start()
            _watch(cameras, delivery, clock, stop)
            if not stop.is_set():
                drained = _drained(outbox, link, clock, stop)
                _write_summary(config.data_dir / "worker-summary.json", cameras, outbox, drained)
        finally:
            stop.set()
            _join(cameras, clock)
    return 1 if any(camera.failure for camera in cameras) else 0


@dataclass(frozen=True)
class _Delivery:
    """The way to the hub and back: what goes out by it, and what people there have set."""

    outbox: Outbox
    link: MqttLink
    tuned: Tuned
    zoned: Zoned
    pictures: Mapping[str, CameraPictures]
    topics: wire.Topics
    key: Ed25519PrivateKey


@contextmanager
def _delivery(config: EdgeConfig, clock: Clock) -> Iterator[_Delivery]:
    """The outbox and what empties it, running, and the commands that come in by the same way."""
    from detector.alerts.identity import load_identity
    from detector.alerts.mqtt import MqttLink
    from detector.alerts.outbox import Outbox
    from detector.alerts.pictures import CameraPictures
    from detector.alerts.uploads import ClipUploads

    config.data_dir.mkdir(parents=True, exist_ok=True)
    key = load_identity(config.data_dir)
    topics = wire.Topics(config.site, config.edge)
    with ExitStack() as stack:
        outbox = Outbox(config.data_dir / "outbox.db", key, clock=clock)
        stack.callback(outbox.close)
        tuned, zoned = Tuned(config), Zoned(config, clock)
        pictures: dict[str, CameraPictures] = {}
        commands = {
            topics.thresholds: tuned.accept,
            topics.zones: zoned.accept,
            topics.ask_picture: lambda payload: _ask_picture(pictures, payload),
        }
        link = MqttLink(outbox, topics, config.broker, clock, wire.public_key_text(key), commands)

        def pictures_of(camera: str) -> CameraPictures:
            def send(large: bool, jpeg: bytes, at: float) -> None:
                link.publish_picture(wire.picture_payload(topics, camera, jpeg, large=large, taken_at=at, key=key))

            return CameraPictures(send)

        pictures |= {camera.name: pictures_of(camera.name) for camera in config.cameras}
        link.start()
        stack.callback(link.stop, 1.0)
        if config.hub.url:
            uploads = ClipUploads(outbox, config.hub.url, topics, key, clock, config.hub.ca_file)
            uploads.start()
            stack.callback(uploads.stop, 1.0)
        yield _Delivery(outbox, link, tuned, zoned, pictures, topics, key)


def _end_for_cameras_gone(config: EdgeConfig, outbox: Outbox) -> None:
    """End what was open at cameras that are no longer watched; the others' sinks see to theirs."""
    names = {camera.name for camera in config.cameras}
    for fields in outbox.left_open():
        if fields["camera"] not in names:
            outbox.put(wire.cut_off(fields))


def _ask_picture(pictures: Mapping[str, CameraPictures], payload: bytes) -> None:
    try:
        camera, large = wire.asked_picture(payload)
    except WireError as error:
        logger.warning("a wish for a picture was not understood: %s", error)
        return
    if camera in pictures:
        pictures[camera].ask(large=large)


def _cameras(
    config: EdgeConfig, once: bool, delivery: _Delivery, clock: Clock, stop: threading.Event
) -> list[CameraWorker]:
    from detector.alerts.census import CameraCensus
    from detector.assembly import build_pipeline
    from detector.inference import load_detector
    from detector.sources import open_source

    detector = load_detector(config.analysis)
    tuned, zoned = delivery.tuned, delivery.zoned

    def send_census(census: Census) -> None:
        delivery.link.publish_census(wire.census_payload(delivery.topics, census, delivery.key))

    def worker(camera: Camera) -> CameraWorker:
        ring = PacketRing(config.incidents.pre_roll_s + LOOK_BACK_S)
        return CameraWorker(
            camera,
            build=lambda: build_pipeline(config, zoned.camera(camera.name), detector, tuned.least_score(camera.name)),
            open_source=lambda on_packet: open_source(
                camera, fps=config.analysis.fps, clock=clock, stop=stop, on_packet=on_packet
            ),
            sink=AlertSink(config, camera, delivery.outbox, ring),
            ring=ring,
            clock=clock,
            stop=stop,
            silent_s=config.rules.tamper.silent_s,
            learned=LearnedFile(config.data_dir / "learned" / f"{camera.name}.json"),
            zones=lambda: zoned.camera(camera.name),
            pictures=delivery.pictures[camera.name],
            census=CameraCensus(camera.name, send_census),
        )

    return [worker(camera.model_copy(update={"loop": False}) if once else camera) for camera in config.cameras]


def _watch(cameras: list[CameraWorker], delivery: _Delivery, clock: Clock, stop: threading.Event) -> None:
    """Tell of everyone's health until all cameras have ended, or `stop`; and of their zones when these change."""
    report_at = clock.now()
    news = delivery.tuned.news, delivery.zoned.news
    told: object = None
    while any(camera.running for camera in cameras) and not stop.wait(0.2):
        now = clock.now()
        for camera in cameras:
            camera.watch_silence(now)
        if now >= report_at or any(one.is_set() for one in news):
            report_at = now + HEALTH_EVERY_S
            for one in news:
                one.clear()
            delivery.link.publish_health(_health(cameras, delivery, now))
        layout = delivery.zoned.version, tuple(camera.size for camera in cameras)
        if layout != told:
            told = layout
            delivery.link.publish_layout(_layout(cameras, delivery, now))
    delivery.link.publish_health(_health(cameras, delivery, clock.now()))


def _layout(cameras: list[CameraWorker], delivery: _Delivery, now: float) -> bytes:
    """Zones in force and how far a phone can be judged, for people who draw on a camera's picture."""
    zoned = delivery.zoned
    version, drawn, model = zoned.version, zoned.drawn, zoned.config.analysis.model
    said = {
        name: {
            "title": camera.camera.title or name,
            "zones": [dumped(zone) for zone in zoned.camera(name).zones],
            "file_zones": [dumped(zone) for zone in camera.camera.zones],
            "drawn": name in drawn,
            "coverage": _coverage(camera, model),
        }
        for camera in cameras
        if (name := camera.camera.name)
    }
    return wire.layout_payload(delivery.topics, said, version=version, at=now, key=delivery.key)


def _coverage(camera: CameraWorker, model: str) -> dict[str, Any] | None:
    """How far a camera sees well enough; `None` where nobody has said how it hangs, or it has shown nothing yet."""
    mounting, size = camera.camera.mounting, camera.size
    if mounting is None or size is None:
        return None
    from detector.coverage import View, coverage, least_px_of

    try:
        view = View(mounting.height_m, mounting.tilt_deg, mounting.fov_deg, *size)
        return coverage(view, least_px_of(model)).record()
    except (ModelError, ValueError) as error:
        logger.warning("how far a phone can be judged isn't known camera=%s: %s", camera.camera.name, error)
        return None


def _join(cameras: list[CameraWorker], clock: Clock) -> None:
    """Wait for the cameras to end, some seconds all together."""
    deadline = clock.now() + STOP_S
    for camera in cameras:
        if not camera.join(max(0.0, deadline - clock.now())):
            logger.warning("does not stop in time camera=%s", camera.camera.name)


def _health(cameras: list[CameraWorker], delivery: _Delivery, now: float) -> dict[str, Any]:
    config, tuned, zoned = delivery.zoned.config, delivery.tuned.health(), delivery.zoned.health()
    try:
        counts = delivery.outbox.counts()
        counts["dropped"] += sum(camera.sink.dropped for camera in cameras)
    except StoreError as error:
        logger.warning("the outbox can't be counted: %s", error)
        counts = {}
    reports = {camera.camera.name: camera.health(now) for camera in cameras}
    told = {"site": config.site, "edge": config.edge, "cameras": reports, "tuned": tuned, "zoned": zoned}
    return {**told, **counts, **what_runs(config), "clock": _clock_told(), **_box_told(config)}


def _box_told(config: EdgeConfig) -> dict[str, Any]:
    """What a person asks first of a box that is far away: what it runs, since when, and whether its disk is full."""
    told = {"version": __version__, "uptime_s": round(time.monotonic() - LOADED_AT, 1)}
    model = _model(config.analysis.model, config.analysis.precision)
    disk = shutil.disk_usage(config.data_dir)
    return {
        **told,
        "model": {"name": model[0], "precision": model[1]} if model else None,
        "disk_free": disk.free,
        "disk_total": disk.total,
    }


@cache
def _model(model: str, precision: str) -> tuple[str, str, str | None] | None:
    """Name of a model, what it computes in, and the SHA-256 of its file."""
    from detector.inference.card import find_card
    from detector.inference.session import choose

    try:
        card = find_card(model)
        variant = choose(card, precision)
        return card.name, variant.precision, variant.sha256 or card.sha256
    except LabelwatchError:
        return None  # it was there when it was loaded


def what_runs(config: EdgeConfig) -> dict[str, str | None]:
    """What findings rest on, for evidence: SHA-256 of the model's file and of the configuration as canonical JSON."""
    told = json.dumps(config.model_dump(mode="json"), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    model = _model(config.analysis.model, config.analysis.precision)
    return {
        "model_sha256": model[2] if model else None,
        "config_sha256": hashlib.sha256(told.encode()).hexdigest(),
    }


def _clock_told() -> dict[str, Any] | None:
    kernel = kernel_clock()
    return {"synchronised": kernel.synchronised, "error_s": round(kernel.error_s, 6)} if kernel else None


def _drained(outbox: Outbox, link: MqttLink, clock: Clock, stop: threading.Event) -> bool:
    """Wait until the hub has everything, as long as there is a broker that could bring it there."""
    began = linked_at = clock.now()
    while not outbox.wait_drained(0.5):
        now = clock.now()
        linked_at = now if link.connected else linked_at
        if stop.is_set() or now - began > DRAIN_S or now - linked_at > LINK_UP_S:
            return False
    return True


def _write_summary(path: Path, cameras: list[CameraWorker], outbox: Outbox, drained: bool) -> None:
    incidents: Counter[str] = sum((camera.sink.incidents for camera in cameras), Counter())
    summary = {
        "frames": sum(camera.frames for camera in cameras),
        "incidents": dict(incidents),
        "published": sum(camera.sink.published for camera in cameras),
        "waiting": outbox.counts()["backlog"],
        "drained": drained,
        "clips": sum(camera.sink.clips for camera in cameras),
        "cameras": {
            camera.camera.name: {"frames": camera.frames, "crashes": camera.crashes, "failure": camera.failure}
            for camera in cameras
        },
    }
    draft = path.with_name(f".{path.name}.draft")
    draft.write_text(json.dumps(summary, ensure_ascii=False, indent=1), encoding="utf-8")
    draft.replace(path)


def _stop_on_signals(stop: threading.Event) -> None:
    """SIGTERM and SIGINT set `stop`; only the main thread may ask for that."""
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())


def _one_thread_each() -> None:
    """Cameras share the cores by threads of their own; libraries that start more of them only get in their way."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    import cv2

    cv2.setNumThreads(1)


def _return_freed_memory() -> None:
    """Have large blocks mapped and unmapped singly, and two heaps instead of one a thread (glibc; elsewhere nothing).

    Frames and network inputs of some megabytes come and go in every camera's thread; kept in heaps they cost a tenth
    of the worker's memory. Measured on the demo clip: 260 MB without, 239 MB with, at the same CPU time.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return
    arenas, mmap_threshold, trim_threshold = -8, -3, -1  # M_ARENA_MAX, M_MMAP_THRESHOLD, M_TRIM_THRESHOLD
    mallopt(arenas, 2)
    mallopt(mmap_threshold, 500_000)
    mallopt(trim_threshold, 1_000_000)
