"""One camera's recordings are judged: what was seen in each file enters, incidents with clips and snapshots leave.

The same stages judge as live, in order of time, over the borders of files. This costs little, so it is done where the
results are to lie, while others still look at the files to come.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from detector.census import Census
from detector.clock import iso
from detector.config import Camera, EdgeConfig
from detector.machine.progress import Step
from detector.media.shape import Shape
from detector.recorded.ledgers import CameraResult, forget_others, write_ledger
from detector.recorded.look_files import FileLooks, Read
from detector.recorded.looking import size_of
from detector.recorded.recordings import VAGUE, Piece, Session, begins_at
from detector.recorded.sink import ReplaySink, record
from detector.sources.pacing import first_is_due
from detector.values import Frame, Look

BORDER_S = 2.0  # recorders' files begin and end on a key frame, and their names know whole seconds
DRAWN_S = 300.0  # of a day's line; finer can't be seen
OTHERWISE_S = 10.0  # what is longer or shorter than its name says by more, and by a tenth, has the wrong rate
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
        ledger: The file to write, whole or not at all; named `CAMERA.….json`, where no other camera's begins so.
        looks_of: What was seen in a file; asked once for each, in order.
        progress: Told of incidents that began.
    """
    forget_others(ledger)
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
        self._sink = ReplaySink(out, config.incidents, camera.shape)
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
        self._last = _frame(look, path, self._camera.shape)
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
            incidents=[record(told) for told in self._sink.told.values()],
            files=self._times.files,
            borders=self._times.borders,
            census=self._parcels.zones,
            people=self._people(),
            seconds=sum(read.shown_s for read in self._reads),
            covered_s=self._times.covered_s,
            frames_decoded=sum(read.decoded for read in self._reads),
            frames_inferred=self._looked,
            frames_passed_over=sum(read.passed_over for read in self._reads),
            title=self._camera.title or self._camera.name,
            size=list(self._last.size) if self._last is not None else None,
            turn=self._last.picture.turn if self._last is not None else 0,
            cpu_s=sum(read.cpu_s for read in self._reads) + self._cpu_s + time.process_time() - began,
        )

    def _people(self) -> dict[str, float] | None:
        if self._closeness is None:
            return None
        return {"in_view_s": round(self._closeness.in_view_s, 1), "too_far_s": round(self._closeness.too_far_s, 1)}


def _frame(look: Look, path: Path, shape: Shape) -> Frame:
    """The frame that was looked at, read again from its file only if somebody asks for its picture."""
    from detector.sources.recording import RecordedPicture

    picture = RecordedPicture(path, look.offset_s or 0.0, look.size, shape)
    return Frame(look.camera, look.index, look.captured_at, picture, look.file, look.offset_s)


class ParcelCount:
    """How the parcels of a camera's zones lay over time, for the report: `zones` as `report.drawing` draws them.

    Of counts nearer in time than a line shows the last is kept, with the smallest and largest share of all: a month of
    them is tens of megabytes for each zone otherwise.
    """

    def __init__(self) -> None:
        self.zones: dict[str, list[list[float]]] = {}

    def add(self, census: Census) -> None:
        """Take a count."""
        for zone in census.zones:
            if zone.up + zone.not_up:
                share, (low, high) = round(zone.up / (zone.up + zone.not_up), 3), zone.band or (0.0, 1.0)
                told = [census.at, share, round(low, 3), round(high, 3), len(zone.turns), share, share]
                known = self.zones.setdefault(zone.zone, [])
                near = len(known) > 1 and 0 <= census.at - known[-2][0] < DRAWN_S
                if near and not (zone.turns or known[-1][4]):
                    *_, least, most = known.pop()
                    told[5:] = [min(share, least), max(share, most)]
                known.append(told)


class _FileTimes:
    """When one camera's files begin and end, and where one doesn't go on where the one before it ends.

    Attributes:
        files: What is told of each.
        borders: Gaps and overlaps between those that could be read, and gaps within them.
        covered_s: Seconds of time that they show, where they overlap counted once.
    """

    def __init__(self, camera: str) -> None:
        self._camera = camera
        self.files: list[dict[str, Any]] = []
        self.borders: list[dict[str, Any]] = []
        self.covered_s = 0.0
        # When a file begins that follows, read or not, and whether that isn't known exactly.
        self._next_at, self._vague = float("-inf"), False
        self._seen_until: float | None = None
        self._before: Piece | None = None

    def add(self, piece: Piece, read: Read) -> float | None:
        """When the next file begins, Unix seconds; `None` where it shows nothing that comes after those before it."""
        start_at = begins_at(piece, self._before, self._next_at, read.seconds)
        self._before = piece
        self.files.append(_file(self._camera, piece, start_at, read, vague=self._vague))
        length_s = read.seconds if read.decoded else _said_s(piece, read)
        self._next_at = max(start_at + length_s, self._next_at)
        self._vague = self._vague or not (read.decoded or length_s)
        if not read.decoded:
            return None
        ends_at, before = start_at + read.seconds, self._seen_until
        if before is not None and abs(start_at - before) > BORDER_S:
            self.borders.append(_border(self._camera, min(before, ends_at), start_at, piece.path))
        if before is not None and ends_at <= before:
            return None  # an excerpt or a copy of what was seen, which has the pictures of nothing that comes
        new_at = start_at if before is None else max(start_at, before)
        holes = [(max(start_at + begin_s, new_at), start_at + end_s) for begin_s, end_s in read.holes]
        for hole_at, goes_on_at in holes:
            if hole_at < goes_on_at:
                self.borders.append(_border(self._camera, hole_at, goes_on_at, piece.path))
        self.covered_s += ends_at - new_at - sum(max(0.0, until - hole_at) for hole_at, until in holes)
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
    if read.holes:
        entry["holes"] = [[round(begin_s, 3), round(end_s, 3)] for begin_s, end_s in read.holes]
    if read.set_aside:
        entry["set_aside"] = True
    missing = max(_said_s(piece, read) - read.seconds, 0.0)
    now = size_of(piece.path)
    if read.transient or (read.size and not now):
        entry["transient"] = True
    if read.unreadable is not None:
        entry["unreadable"] = _as_given(piece.path, read.unreadable)
        entry["missing_s"] = round(missing, 3)
    elif now != read.size:
        told = f"{now} bytes by now: is it still written?" if now else "is gone by now"
        entry["unreadable"] = f"{piece.path}: had {read.size} bytes when it was taken up, and {told}"
    elif read.broken_off or read.promised_s - read.seconds > SHORT_S:
        entry["unreadable"] = f"{piece.path}: breaks off after {read.seconds:.1f} s"
        entry["missing_s"] = round(missing, 3)
    elif read.damaged > read.decoded > 0:
        told = f"{read.damaged} pictures can't be decoded, {read.decoded} can"
        hint = "is it encrypted? Export it again without a password"
        entry["unreadable"] = f"{piece.path}: {told}: {hint}"
    elif read.is_untimed and piece.named_s and _differ(read.seconds, piece.named_s):
        told = f"lasts {read.seconds:.1f} s, {piece.named_s:.1f} s by its name: does it play too fast or slowly?"
        right = f"ffmpeg -itsscale {piece.named_s / read.seconds:.3f} -i FILE -c copy RIGHT.mkv"
        entry["unreadable"] = f"{piece.path}: {told} {right}"
    elif read.others:
        hint = "ffmpeg -i FILE -map 0:v:1 -c copy OTHER.mkv takes another out"
        entry["unreadable"] = f"{piece.path}: holds {read.others + 1} videos, one was looked at: {hint}"
    return entry


def _as_given(path: Path, why: str) -> str:
    """A reason that begins with a file's path as it was given: a cluster's workers know the whole path alone."""
    whole = f"{path.absolute()}: "
    return f"{path}: {why.removeprefix(whole)}" if why.startswith(whole) else why


def _differ(read_s: float, named_s: float) -> bool:
    return abs(read_s - named_s) > max(OTHERWISE_S, named_s / 10)


def _said_s(piece: Piece, read: Read) -> float:
    """How long a file is as it says itself, or else its name; 0 where neither does."""
    return read.promised_s or piece.named_s or 0.0


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
