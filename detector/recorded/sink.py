"""Where a camera's incidents go in batch: updates enter; a record, a clip and a snapshot of each leave."""

from __future__ import annotations

import errno
import tempfile
from bisect import bisect_right
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from detector.clock import iso
from detector.config import Incidents
from detector.errors import SourceError, SourceUnavailable
from detector.machine.whole_files import sync_folder, write_whole
from detector.media.shape import AS_TOLD, Shape
from detector.media.sides import SUFFIX
from detector.values import Act, ActKind, Frame, Incident, IncidentUpdate, Phase, Sight
from detector.wire.alerts import told_fields
from detector.wire.payloads import told_score

FILES_OF_A_CLIP = 150  # at most that one clip is cut from: ten minutes of files of 4 s


@dataclass(slots=True)
class Told:
    """An incident as told so far, and when first; the recording it begins in, when that does; its files once cut."""

    incident: Incident
    told_at: float
    recording: Path
    recording_start: float
    ended: bool = False
    clip: str | None = None
    clip_span: tuple[float, float] | None = None  # Unix seconds of its first picture, and its length
    side: str | None = None
    snapshot: str | None = None
    snapshot_at: float | None = None


class ReplaySink:
    """Keeps the last word on each incident, writes its snapshot when it is told first, and its clip when it is over.

    Args:
        out: The folder of the replay.
        settings: How much of an incident its clip shows.
        shape: As of `Recording`.
    """

    def __init__(self, out: Path, settings: Incidents, shape: Shape = AS_TOLD) -> None:
        from detector.alerts.looks import LONGEST_GROUP_S, LookRing

        self._out = out
        self._settings = settings
        self._shape = shape
        # An incident is told long after it began; its clip begins where it did.
        self._reach_s = settings.pre_roll_s + LONGEST_GROUP_S
        self._looks = LookRing(settings.longest_s + self._reach_s)
        self.told: dict[str, Told] = {}
        self._uncut: list[Told] = []
        # All of the session: a rule may tell of what began hours ago.
        self._files: list[tuple[Path, float, float]] = []

    def begin(self, path: Path, start_at: float) -> None:
        """A file begins: what is told from now on arose in it, or before."""
        if self._files:
            before, start, _ = self._files.pop()
            self._files.append((before, start, max(start, start_at)))
        self._files.append((path, start_at, float("inf")))

    def accept(self, update: IncidentUpdate, frame: Frame) -> None:
        """Remember an update; a snapshot is drawn anew where severity rises by what is seen in the frame.

        What makes an incident graver otherwise says nothing of the frame: its boxes, and the places that are to be made
        coarse, are those of an earlier one.
        """
        from detector.alerts.snapshot import is_of, snapshot_jpeg

        after, before = update.after, update.before
        told = self.told.get(after.id)
        if told is None:
            told = self.told[after.id] = Told(after, frame.captured_at, *self._recording_at(after.started_at))
            self._uncut.append(told)
        elif after.started_at < told.incident.started_at:  # what joined it began earlier
            told.recording, told.recording_start = self._recording_at(after.started_at)
        told.incident = after
        is_graver = before is None or (after.severity.rank > before.severity.rank and after.boxes is not before.boxes)
        # What an end still tells may be of a frame before time leapt.
        if is_graver and update.phase is not Phase.END and is_of(frame, after):
            try:
                picture = snapshot_jpeg(frame, update)
                write_whole(self._out / "snapshots" / f"{after.id}.jpg", picture)
                told.snapshot = f"snapshots/{after.id}.jpg"
                told.snapshot_at = frame.captured_at
            except SourceError:
                pass  # it was read once and can't be any more; the incident stands without its picture
        told.ended = update.phase is Phase.END

    def see(self, sight: Sight) -> None:
        """What was seen in a frame, after its updates; clips that end before it are cut."""
        for told in list(self._uncut):
            if told.ended and (sight.first or sight.scene.at > told.incident.ended_at + self._settings.post_roll_s):
                self._cut(told)
        begun = (told.incident.started_at - self._reach_s for told in self._uncut)
        self._looks.hold_from = min(begun, default=None)
        self._looks.append(sight)

    def finish(self) -> None:
        """The recordings are over: cut what isn't yet."""
        for told in list(self._uncut):
            self._cut(told)
        sync_folder(self._out / "clips")

    def _recording_at(self, at: float) -> tuple[Path, float]:
        """The recording that has a moment, of those that overlap the later; and when it begins."""
        begun = bisect_right(self._files, at, key=lambda file: file[1])
        path, start, _ = self._files[max(begun - 1, 0)]
        return path, start

    def _cut(self, told: Told) -> None:
        """Cut an incident's clip from the files it lies in, and write the side file beside it."""
        from detector.alerts.looks import write_side

        self._uncut.remove(told)
        incident, settings = told.incident, self._settings
        since = self._shown_from(told)
        begin = since - settings.pre_roll_s
        end = min(incident.ended_at + settings.post_roll_s, since + settings.longest_s)
        clip, side = f"clips/{incident.id}.mp4", f"clips/{incident.id}{SUFFIX}"
        try:
            started_at, duration_s = self._clip(begin, end, self._out / clip)
        except SourceError:
            return  # a damaged stretch; the incident stands without its clip
        written = write_side(
            self._out / side,
            self._looks.between(started_at - 1.0, started_at + duration_s + 1.0),
            incident=incident.id,
            segment=0,
            started_at=started_at,
            duration_s=duration_s,
            tracks=incident.tracks,
        )
        told.clip, told.side = clip, side if written else None
        told.clip_span = started_at, duration_s

    def _shown_from(self, told: Told) -> float:
        """From when on a clip shows an incident: its beginning, where all of it fits in then.

        Somebody may stay for long before the first photo: without room for both, the clip is of what offends.
        """
        from detector.alerts.sink import LOOK_BACK_S

        incident = told.incident
        if incident.ended_at - incident.started_at <= self._settings.longest_s:
            return incident.started_at
        offends = (act.started_at for act in incident.acts if act.kind in (ActKind.PHOTO, ActKind.SCAN))
        return min(offends, default=max(incident.started_at, told.told_at - LOOK_BACK_S))

    def _clip(self, begin: float, end: float, out: Path) -> tuple[float, float]:
        """Make a clip of a stretch of time; when its first picture was taken, and how many seconds it has."""
        from detector.alerts.cutting import cut_recording
        from detector.alerts.joined import Part, join

        found: list[tuple[float, Path, float]] = []
        with tempfile.TemporaryDirectory(dir=out.parent, prefix=".cut-") as folder:
            of_then = [file for file in self._files if file[1] <= end and file[2] >= begin]
            for n, (path, start, until) in enumerate(of_then[:FILES_OF_A_CLIP]):
                try:
                    upto = min(end, until - 0.001)  # where files overlap, the later has the pictures
                    piece = Path(folder, f"{n}.mp4")
                    cut = cut_recording(path, max(0.0, begin - start), upto - start, piece, shape=self._shape)
                except SourceError:
                    continue  # a damaged stretch; another file may have the rest
                except OSError as error:
                    if error.errno != errno.EIO:
                        raise
                    continue  # so is a stretch that its disk gives back no more
                found.append((start + cut.start_s, cut.path, cut.duration_s))
            if not found:
                raise SourceUnavailable(f"{out.name}: no picture of that time can be had")
            first_at, first, first_s = found[0]
            if len(found) > 1:
                try:
                    return first_at, join([Part(path, at - first_at) for at, path, _ in found], out).duration_s
                except SourceUnavailable:
                    pass  # the recorder was set otherwise in between: what the first file has is shown
            first.rename(out)
        return first_at, first_s


def record(told: Told) -> dict[str, Any]:
    """An incident's line in `incidents.jsonl`."""
    incident, start = told.incident, told.recording_start
    begin, end = incident.started_at - start, incident.ended_at - start
    return {
        "id": incident.id,
        "camera": incident.camera,
        **told_fields(incident),
        "start_offset_s": round(begin, 3),
        "end_offset_s": round(end, 3),
        "file": told.recording.name,
        "tracks": list(incident.tracks),
        "acts": [_act(act, start) for act in incident.acts],
        "labels_exposed": asdict(incident.labels_exposed),
        "facts": dict(incident.facts),
        "clip": told.clip,
        "clip_started_at": iso(told.clip_span[0]) if told.clip_span else None,
        "clip_duration_s": round(told.clip_span[1], 3) if told.clip_span else None,
        "side": told.side,
        "snapshot": told.snapshot,
        "snapshot_at": iso(told.snapshot_at) if told.snapshot_at is not None else None,
    }


def _act(act: Act, start: float) -> dict[str, Any]:
    return {
        "kind": act.kind.value,
        "start_offset_s": round(act.started_at - start, 3),
        "end_offset_s": round(act.ended_at - start, 3),
        "track": act.track,
        "score": told_score(act.score),
        "parcels": list(act.parcels),
    }
