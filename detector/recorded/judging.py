"""One camera's recordings are judged: what was seen in each file enters, incidents with clips and snapshots leave.

The same stages judge as live, in order of time, over the borders of files. This costs little, so it is done where the
results are to lie, while others still look at the files to come.
"""

from __future__ import annotations

import errno
import tempfile
import time
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from detector.census import Census
from detector.clock import iso
from detector.config import Camera, EdgeConfig, Incidents
from detector.errors import SourceError, SourceUnavailable
from detector.progress import Step
from detector.recorded.ledgers import CameraResult, write_ledger
from detector.recorded.look_files import FileLooks, Read
from detector.recorded.looking import size_of
from detector.recorded.recordings import Piece, Session
from detector.sentences import sentences
from detector.sides import SUFFIX
from detector.sources.pacing import first_is_due
from detector.values import Act, Frame, Incident, IncidentUpdate, Look, Phase, Sight
from detector.whole_files import write_whole

FILES_OF_A_CLIP = 150  # at most that one clip is cut from: ten minutes of files of 4 s
BORDER_S = 2.0  # recorders' files begin and end on a key frame, and their names know whole seconds
VAGUE = "file before, of unknown length"  # how it is known when a file begins, and all that follow: not exactly
SHORT_S = 2.0  # a file that has less than it promises by more than this breaks off


def judge_session(
    session: Session,
    config: EdgeConfig,
    out: Path,
    ledger: Path,
    looks_of: Callable[[Piece], FileLooks],
    progress: Callable[[Step], None] = lambda step: None,
) -> None:
    """Judge what was seen of one camera.

    Args:
        session: Which recordings.
        config: The edge's configuration.
        out: Folder of the results.
        ledger: The file to write, whole or not at all.
        looks_of: What was seen in a file; asked once for each, in order.
        progress: Told of incidents that began.
    """
    judge = _SessionJudge(session.camera, config, out)
    for piece in session.pieces:
        begun = judge.take(piece, looks_of(piece))
        progress(Step(session.camera.name, 0.0, 0.0, begun))
    write_ledger(ledger, judge.finish())


class _SessionJudge:
    """Judges what was seen of one camera: files enter in order of time, and in the end what came of them leaves."""

    def __init__(self, camera: Camera, config: EdgeConfig, out: Path) -> None:
        from detector.alerts.census import CameraCensus
        from detector.assembly import build_closeness, build_judge
        from detector.recorded.stillness import Stillness

        self._camera = camera
        self._fps = config.analysis.fps
        self._times = _FileTimes(camera.name)
        self._stillness = Stillness()
        self._judge = build_judge(config, camera)
        self._sink = ReplaySink(out, config.incidents)
        self._closeness = build_closeness(config.analysis.model)
        self._parcels = ParcelCount()
        self._census = CameraCensus(camera.name, self._parcels.add)
        self._reads: list[Read] = []
        self._looked = 0
        self._last: Frame | None = None  # whose look was judged last
        self._cpu_s = 0.0

    def take(self, piece: Piece, found: FileLooks) -> int:
        """Judge what was seen in the next file; how many incidents began."""
        began, told = time.process_time(), len(self._sink.told)
        self._reads.append(found.read)
        start_at = self._times.add(piece, found.read)
        if start_at is not None:
            self._sink.begin(piece.path, start_at)
            self._stillness.begin()
            for seen in found.looks:
                look = self._stillness.carried_on(replace(seen, captured_at=start_at + seen.captured_at))
                if self._is_due(look, found.read.frame_s):
                    self._take(look, piece.path)
        self._cpu_s += time.process_time() - began
        return len(self._sink.told) - told

    def _is_due(self, look: Look, frame_s: float) -> bool:
        """Whether this is what would be looked at next were all files one."""
        if self._last is None:
            return True
        last_at = self._last.captured_at
        if look.captured_at <= last_at:
            return False  # files that overlap: what was seen once isn't seen again
        # A file's first picture was looked at since it is the first.
        return look.index > 0 or first_is_due(last_at, look.captured_at, frame_s, self._fps)

    def _take(self, look: Look, path: Path) -> None:
        self._last = _frame(look, path)
        self._looked += 1
        for update in self._judge.judge(look):
            self._sink.accept(update, self._last)
        if self._judge.sight is not None:
            self._sink.see(self._judge.sight)
            if self._closeness is not None:
                self._closeness.observe(self._judge.sight)
            self._census.offer(look.captured_at, self._judge.census)

    def finish(self) -> CameraResult:
        """The recordings are over: end what is open, and tell what came of the camera."""
        began = time.process_time()
        if self._last is not None:
            for update in self._judge.finish():
                self._sink.accept(update, self._last)
        self._sink.finish()
        return CameraResult(
            camera=self._camera.name,
            incidents=[_record(told) for told in self._sink.told.values()],
            files=self._times.files,
            borders=self._times.borders,
            census=self._parcels.zones,
            people=self._people(),
            seconds=sum(entry["seconds"] for entry in self._times.files),
            frames_decoded=sum(read.decoded for read in self._reads),
            frames_inferred=self._looked,
            frames_passed_over=sum(read.passed_over for read in self._reads),
            title=self._camera.title or self._camera.name,
            size=list(self._last.size) if self._last is not None else None,
            cpu_s=sum(read.cpu_s for read in self._reads) + self._cpu_s + time.process_time() - began,
        )

    def _people(self) -> dict[str, float] | None:
        if self._closeness is None:
            return None
        return {"in_view_s": round(self._closeness.in_view_s, 1), "too_far_s": round(self._closeness.too_far_s, 1)}


def _frame(look: Look, path: Path) -> Frame:
    """The frame that was looked at, read again from its file only if somebody asks for its picture."""
    from detector.sources.recording import RecordedPicture

    picture = RecordedPicture(path, look.offset_s or 0.0, look.size)
    return Frame(look.camera, look.index, look.captured_at, picture, look.file, look.offset_s)


class ParcelCount:
    """How the parcels of a camera's zones lay over time, for the report: `zones` as `report.drawing` draws them."""

    def __init__(self) -> None:
        self.zones: dict[str, list[list[float]]] = {}

    def add(self, census: Census) -> None:
        """Take a count."""
        for zone in census.zones:
            if zone.up + zone.not_up:
                share, (low, high) = zone.up / (zone.up + zone.not_up), zone.band or (0.0, 1.0)
                told = [census.at, round(share, 3), round(low, 3), round(high, 3), len(zone.turns)]
                self.zones.setdefault(zone.zone, []).append(told)


class _FileTimes:
    """When one camera's files begin and end, and where one doesn't go on where the one before it ends.

    Attributes:
        files: What is told of each.
        borders: Gaps and overlaps between those that could be read.
    """

    def __init__(self, camera: str) -> None:
        self._camera = camera
        self.files: list[dict[str, Any]] = []
        self.borders: list[dict[str, Any]] = []
        # When a file begins that follows, read or not, and whether that isn't known exactly.
        self._next_at, self._vague = float("-inf"), False
        self._seen_until: float | None = None

    def add(self, piece: Piece, read: Read) -> float | None:
        """When the next file begins, Unix seconds; `None` where it shows nothing that comes after those before it."""
        start_at = piece.start_at if piece.start_at is not None else self._next_at
        self.files.append(_file(self._camera, piece, start_at, read, vague=self._vague))
        self._next_at = max(start_at + (read.seconds if read.decoded else read.promised_s), self._next_at)
        self._vague = self._vague or not (read.decoded or read.promised_s)
        if not read.decoded:
            return None
        ends_at, before = start_at + read.seconds, self._seen_until
        if before is not None and abs(start_at - before) > BORDER_S:
            self.borders.append(_border(self._camera, before, start_at, piece.path))
        if before is not None and ends_at <= before:
            return None  # an excerpt or a copy of what was seen, which has the pictures of nothing that comes
        self._seen_until = ends_at
        return start_at


def _file(camera: str, piece: Piece, start_at: float, read: Read, *, vague: bool) -> dict[str, Any]:
    """What is told of a file: when it begins, how far it could be read, and what is wrong with it."""
    entry: dict[str, Any] = {
        "camera": camera,
        "file": str(piece.path),
        "start_known_by": VAGUE if vague and piece.start_at is None else piece.known_by,
        "start": iso(start_at),
        "seconds": round(read.seconds, 3),
    }
    if read.decoded:
        entry["damaged_pictures"] = read.damaged
    if read.scanned:
        entry["key_frames_only"] = [[round(begin_s, 3), round(end_s, 3)] for begin_s, end_s in read.scanned]
    if read.set_aside:
        entry["set_aside"] = True
    missing = read.promised_s - read.seconds
    now = size_of(piece.path)
    if read.transient or (read.size and not now):
        entry["transient"] = True
    if read.unreadable is not None:
        entry["unreadable"] = read.unreadable
    elif now != read.size:
        told = f"{now} bytes by now: is it still written?" if now else "is gone by now"
        entry["unreadable"] = f"{piece.path}: had {read.size} bytes when it was taken up, and {told}"
    elif read.broken_off or missing > SHORT_S:
        entry["unreadable"] = f"{piece.path}: breaks off after {read.seconds:.1f} s"
        entry["missing_s"] = round(max(missing, 0.0), 3)
    return entry


def _border(camera: str, ended_at: float, begins_at: float, path: Path) -> dict[str, Any]:
    """Where a camera's next file doesn't go on where what was read before it ends: a gap, or an overlap."""
    return {
        "camera": camera,
        "what": "gap" if begins_at > ended_at else "overlap",
        "from": iso(min(ended_at, begins_at)),
        "until": iso(max(ended_at, begins_at)),
        "seconds": round(abs(begins_at - ended_at), 1),
        "before": str(path),
    }


@dataclass(slots=True)
class _Told:
    """An incident as told so far; the recording it begins in, and when that does; its files once they are cut."""

    incident: Incident
    recording: Path
    recording_start: float
    ended: bool = False
    clip: str | None = None
    clip_span: tuple[float, float] | None = None  # Unix seconds of its first picture, and its length
    side: str | None = None
    snapshot: str | None = None
    snapshot_at: float | None = None


class ReplaySink:
    """Keeps the last word on each incident, writes its snapshot when it is told first, and its clip when it is over."""

    def __init__(self, out: Path, settings: Incidents) -> None:
        from detector.alerts.looks import LONGEST_GROUP_S, LookRing

        self._out = out
        self._settings = settings
        # An incident is told long after it began; its clip begins where it did.
        self._reach_s = settings.pre_roll_s + LONGEST_GROUP_S
        self._looks = LookRing(settings.longest_s + self._reach_s)
        self.told: dict[str, _Told] = {}
        self._uncut: list[_Told] = []
        # All of the session: a rule may tell of what began hours ago.
        self._files: list[tuple[Path, float, float]] = []

    def begin(self, path: Path, start_at: float) -> None:
        """A file begins: what is told from now on arose in it, or before."""
        if self._files:
            before, start, _ = self._files.pop()
            self._files.append((before, start, max(start, start_at)))
        self._files.append((path, start_at, float("inf")))

    def accept(self, update: IncidentUpdate, frame: Frame) -> None:
        """Remember an update; a snapshot is drawn anew whenever severity rises."""
        from detector.alerts.snapshot import is_of, snapshot_jpeg

        after, before = update.after, update.before
        if after.id not in self.told:
            begun = bisect_right(self._files, after.started_at, key=lambda file: file[1])
            path, start, _ = self._files[max(begun - 1, 0)]
            self.told[after.id] = _Told(after, path, start)
            self._uncut.append(self.told[after.id])
        self.told[after.id].incident = after
        if (before is None or after.severity.rank > before.severity.rank) and is_of(frame, after):
            try:
                picture = snapshot_jpeg(frame, update)
                write_whole(self._out / "snapshots" / f"{after.id}.jpg", picture, lasting=False)
                self.told[after.id].snapshot = f"snapshots/{after.id}.jpg"
                self.told[after.id].snapshot_at = frame.captured_at
            except SourceError:
                pass  # it was read once and can't be any more; the incident stands without its picture
        self.told[after.id].ended = update.phase is Phase.END

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

    def _cut(self, told: _Told) -> None:
        """Cut an incident's clip from the files it lies in, and write the side file beside it."""
        from detector.alerts.looks import write_side

        self._uncut.remove(told)
        incident, settings = told.incident, self._settings
        begin = incident.started_at - settings.pre_roll_s
        end = min(incident.ended_at + settings.post_roll_s, incident.started_at + settings.longest_s)
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

    def _clip(self, begin: float, end: float, out: Path) -> tuple[float, float]:
        """Make a clip of a stretch of time; when its first picture was taken, and how many seconds it has."""
        from detector.alerts.clips import cut_recording
        from detector.alerts.joined import Part, join

        found: list[tuple[float, Path, float]] = []
        with tempfile.TemporaryDirectory(dir=out.parent, prefix=".cut-") as folder:
            of_then = [file for file in self._files if file[1] <= end and file[2] >= begin]
            for n, (path, start, until) in enumerate(of_then[:FILES_OF_A_CLIP]):
                try:
                    upto = min(end, until - 0.001)  # where files overlap, the later has the pictures
                    cut = cut_recording(path, max(0.0, begin - start), upto - start, Path(folder, f"{n}.mp4"))
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


def _record(told: _Told) -> dict[str, Any]:
    """An incident's line in `incidents.jsonl`."""
    incident, start = told.incident, told.recording_start
    begin, end = incident.started_at - start, incident.ended_at - start
    exposed = incident.labels_exposed
    return {
        "id": incident.id,
        "camera": incident.camera,
        "kind": incident.kind.value,
        "findings": [kind.value for kind in incident.findings],
        "severity": incident.severity.value,
        "sentence": sentences(incident),
        "score": round(incident.score, 3),
        "zone": incident.zone,
        "started_at": iso(incident.started_at),
        "ended_at": iso(incident.ended_at),
        "start_offset_s": round(begin, 3),
        "end_offset_s": round(end, 3),
        "file": told.recording.name,
        "tracks": list(incident.tracks),
        "acts": [_act(act, start) for act in incident.acts],
        "labels_exposed": {"low": exposed.low, "best": exposed.best, "high": exposed.high},
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
        "score": round(act.score, 3),
        "parcels": list(act.parcels),
    }
