"""Batch: recordings through the same pipeline as live; recordings enter, a folder of incidents leaves (design 4.2).

OUT/incidents.jsonl  one line an incident, its final state
OUT/summary.json     what was covered, what could not be read and why, and what it cost
OUT/report.html      the same for a person; incidents.csv and exposed.csv for a spreadsheet
OUT/clips            of each incident, and what was seen meanwhile (`detector.sides`)
OUT/snapshots
OUT/sessions         finished work, so that `--resume` repeats none of it
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from detector.census import Census
from detector.clock import iso
from detector.config import EdgeConfig, Incidents
from detector.errors import SourceError, SourceUnavailable
from detector.progress import Step
from detector.recorded.recorder_names import Pattern
from detector.recorded.recordings import Session, sessions
from detector.secrecy import guard
from detector.sentences import sentences
from detector.sides import SUFFIX
from detector.values import Act, Frame, Incident, IncidentUpdate, Phase, Sight
from detector.whole_files import write_whole

Progress = Callable[[Step], None]
FILES_OF_A_CLIP = 8  # at most that one clip is cut from
BORDER_S = 2.0  # recorders' files begin and end on a key frame, and their names know whole seconds


def replay(
    paths: Iterable[Path],
    config: EdgeConfig,
    out: Path,
    *,
    start: float | None = None,
    pattern: Pattern | None = None,
    zone: str | None = None,
    jobs: int = 1,
    resume: bool = False,
    expect: Callable[[float], None] = lambda total_bytes: None,
    progress: Progress = lambda step: None,
) -> dict[str, Any]:
    """Run recordings through the pipeline and write the results to `out`.

    Args:
        paths: Video files, folders with all below them, and globs (`archive.gather`).
        config: The edge's configuration.
        out: Folder for the results; made when missing.
        start: When each camera's first file begins, Unix seconds; file names tell when left out.
        pattern: How the recorder names its files, where that isn't known by itself.
        zone: Time zone of the recorder's clock; the configuration's when left out.
        jobs: Processes, each with one camera at a time.
        resume: Take over what an earlier run in `out` finished, where files and configuration are the same.
        expect: Told how many bytes of recordings there are to be read.
        progress: Told each step, about one for a second of footage.

    Returns:
        The summary, as written.

    Raises:
        SourceUnavailable: A path is no video file and no folder with any.
        OSError: `out` can't be written.
    """
    from detector.recorded.archive import gather
    from detector.report import write_report

    began, cpu = time.monotonic(), time.process_time()
    archive = gather(paths)
    for name in ("clips", "snapshots", "sessions"):
        (out / name).mkdir(parents=True, exist_ok=True)
    work = [
        (session, out / "sessions" / f"{_fingerprint(session, config)}.json")
        for session in sessions(archive.files, config, start, pattern=pattern, zone=zone)
    ]
    waiting = [(session, ledger) for session, ledger in work if not (resume and ledger.exists())]
    expect(sum(size_of(piece.path) for session, _ in waiting for piece in session.pieces))
    _run_all(waiting, config, out, jobs, progress)
    results = [json.loads(ledger.read_text(encoding="utf-8")) for _, ledger in work]
    incidents = sorted((i for r in results for i in r["incidents"]), key=lambda i: (i["started_at"], i["id"]))
    write_whole(
        out / "incidents.jsonl", "".join(json.dumps(i, ensure_ascii=False) + "\n" for i in incidents), lasting=False
    )
    children = sum(r["cpu_s"] for r in results) if jobs > 1 else 0.0
    summary = _summary(results, incidents, time.monotonic() - began, time.process_time() - cpu + children)
    done_now = sum(result["seconds"] for result, item in zip(results, work, strict=True) if item in waiting)
    summary["times_real_time"] = round(done_now / summary["wall_s"], 2) if summary["wall_s"] > 0 else None
    summary["passed_over"] = [{"file": str(passed.path), "why": passed.why} for passed in archive.passed]
    summary["model"] = _model(config)
    write_whole(out / "summary.json", json.dumps(summary, ensure_ascii=False, indent=1), lasting=False)
    census = {result["camera"]: result["census"] for result in results if result["census"]}
    write_report(out, summary, incidents, config, census)
    return summary


def _run_all(waiting: list[tuple[Session, Path]], config: EdgeConfig, out: Path, jobs: int, progress: Progress) -> None:
    """Run sessions, each into its ledger; with several jobs, each in a process of its own."""
    if jobs <= 1:
        for session, ledger in waiting:
            run_session(session, config, out, ledger, progress)
        return
    spawn = multiprocessing.get_context("spawn")
    with spawn.Manager() as manager, ProcessPoolExecutor(jobs, spawn, guard) as pool:
        steps = manager.Queue()
        futures = {pool.submit(run_session, session, config, out, ledger, steps.put) for session, ledger in waiting}
        while futures:
            done, futures = wait(futures, timeout=0.5)
            while not steps.empty():
                progress(steps.get())
            for future in done:
                future.result()


@dataclass(slots=True)
class _Told:
    """An incident as told so far; the recording it begins in, and when that does; its files once they are cut."""

    incident: Incident
    recording: Path
    recording_start: float
    ended: bool = False
    clip: str | None = None
    side: str | None = None


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
        self._files: deque[tuple[Path, float, float]] = deque(maxlen=FILES_OF_A_CLIP)

    def begin(self, path: Path, start_at: float) -> None:
        """A file begins: what is told from now on arose in it, or before."""
        if self._files:
            before, start, _ = self._files.pop()
            self._files.append((before, start, max(start, start_at)))
        self._files.append((path, start_at, float("inf")))

    def accept(self, update: IncidentUpdate, frame: Frame) -> None:
        """Remember an update; a snapshot is drawn anew whenever severity rises."""
        from detector.alerts.snapshot import snapshot_jpeg

        after, before = update.after, update.before
        if after.id not in self.told:
            begun = [file for file in self._files if file[1] <= after.started_at]
            path, start, _ = begun[-1] if begun else self._files[0]
            self.told[after.id] = _Told(after, path, start)
            self._uncut.append(self.told[after.id])
        self.told[after.id].incident = after
        if before is None or after.severity.rank > before.severity.rank:
            (self._out / "snapshots" / f"{after.id}.jpg").write_bytes(snapshot_jpeg(frame, update))
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

    def _clip(self, begin: float, end: float, out: Path) -> tuple[float, float]:
        """Make a clip of a stretch of time; when its first picture was taken, and how many seconds it has."""
        from detector.alerts.clips import cut_recording
        from detector.alerts.joined import Part, join

        found: list[tuple[float, Path, float]] = []
        with tempfile.TemporaryDirectory(dir=out.parent, prefix=".cut-") as folder:
            for n, (path, start, until) in enumerate(self._files):
                if start > end or until < begin:
                    continue
                try:
                    upto = min(end, until - 0.001)  # where files overlap, the later has the pictures
                    cut = cut_recording(path, max(0.0, begin - start), upto - start, Path(folder, f"{n}.mp4"))
                except SourceError:
                    continue  # a damaged stretch; another file may have the rest
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


def run_session(
    session: Session, config: EdgeConfig, out: Path, ledger: Path, progress: Progress = lambda step: None
) -> None:
    """One camera's recordings through one pipeline.

    Writes `ledger`, whole or not at all: `incidents` (design 4.2), `files`, `seconds` covered, frames, CPU seconds.
    """
    from detector.alerts.census import CameraCensus
    from detector.assembly import build_pipeline
    from detector.sources.recording import Recording

    began = time.process_time()
    pipeline = build_pipeline(config, session.camera)
    sink = ReplaySink(out, config.incidents)
    parcels = ParcelCount()
    census = CameraCensus(session.camera.name, parcels.add)
    files: list[dict[str, Any]] = []
    decoded = inferred = 0
    last_at, last_frame = float("-inf"), None
    borders: list[dict[str, Any]] = []
    ended_at: float | None = None
    for piece in session.pieces:
        known = piece.start_at if piece.start_at is not None else ended_at
        start_at = known if known is not None else 0.0
        entry: dict[str, Any] = {
            "camera": session.camera.name,
            "file": str(piece.path),
            "start_known_by": piece.known_by,
            "start": iso(start_at),
        }
        files.append(entry)
        try:
            recording = Recording(piece.path, camera=session.camera.name, start_at=start_at, fps=config.analysis.fps)
        except SourceError as error:
            entry.update(seconds=0.0, unreadable=str(error))
            progress(Step(session.camera.name, 0.0, size_of(piece.path)))
            continue
        sink.begin(piece.path, start_at)
        promised_s = recording.duration_s or 0.0  # once closed, not every format still tells
        told = _Telling(session.camera.name, size_of(piece.path), promised_s, sink, progress)
        try:
            for frame in recording:
                if frame.captured_at <= last_at:
                    continue  # files that overlap: what was seen once isn't seen again
                last_at, last_frame = frame.captured_at, frame
                inferred += 1
                for update in pipeline.process(frame):
                    sink.accept(update, frame)
                if pipeline.sight is not None:
                    sink.see(pipeline.sight)
                    census.offer(frame.captured_at, pipeline.census)
                told.reach(frame.offset_s or 0.0)
        finally:
            recording.close()
        decoded += recording.frames_decoded
        if ended_at is not None and abs(start_at - ended_at) > BORDER_S:
            borders.append(_border(session.camera.name, ended_at, start_at, piece.path))
        ended_at = max(start_at + recording.end_s, ended_at or start_at)
        told.end(recording.end_s)
        entry.update(seconds=round(recording.end_s, 3), damaged_pictures=recording.decode_errors)
        missing = promised_s - recording.end_s
        if not recording.frames_decoded:
            entry["unreadable"] = f"{piece.path}: no picture in it can be decoded"
        elif recording.broken_off or missing > 2.0:
            entry["unreadable"] = f"{piece.path}: breaks off after {recording.end_s:.1f} s"
            entry["missing_s"] = round(max(missing, 0.0), 3)
    if last_frame is not None:
        for update in pipeline.finish():
            sink.accept(update, last_frame)
    sink.finish()
    records = [_record(told) for told in sink.told.values()]
    seconds = sum(entry["seconds"] for entry in files)
    result = {
        "camera": session.camera.name,
        "incidents": records,
        "files": files,
        "borders": borders,
        "census": parcels.zones,
        "seconds": seconds,
        "frames_decoded": decoded,
        "frames_inferred": inferred,
        "cpu_s": time.process_time() - began,
    }
    write_whole(ledger, json.dumps(result, ensure_ascii=False), lasting=False)


class _Telling:
    """Tells of progress within a file, once a second of footage."""

    def __init__(self, camera: str, size: int, length_s: float, sink: ReplaySink, progress: Progress) -> None:
        self._camera, self._size, self._length_s = camera, size, length_s
        self._sink, self._progress = sink, progress
        self._at_s, self._left, self._incidents = 0.0, float(size), len(sink.told)

    def reach(self, at_s: float) -> None:
        """Reading is at so many seconds into the file."""
        if at_s - self._at_s >= 1.0:
            share = (at_s - self._at_s) / self._length_s if self._length_s > 0 else 0.0
            self._tell(at_s, min(share * self._size, self._left))

    def end(self, at_s: float) -> None:
        """The file is through."""
        self._tell(max(at_s, self._at_s), self._left)

    def _tell(self, at_s: float, size: float) -> None:
        found = len(self._sink.told)
        self._progress(Step(self._camera, at_s - self._at_s, size, found - self._incidents))
        self._at_s, self._incidents = at_s, found
        self._left -= size


def size_of(path: Path) -> int:
    """Bytes of a file; 0 where that can't be known."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


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
        "side": told.side,
        "snapshot": f"snapshots/{incident.id}.jpg",
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


def _summary(
    results: list[dict[str, Any]], incidents: list[dict[str, Any]], wall_s: float, cpu_s: float
) -> dict[str, Any]:
    files = [file for result in results for file in result["files"]]
    unreadable = [{"file": f["file"], "why": f["unreadable"]} for f in files if "unreadable" in f]
    by_kind: dict[str, int] = {}
    by_severity: dict[str, int] = {}
    for incident in incidents:
        by_kind[incident["kind"]] = by_kind.get(incident["kind"], 0) + 1
        by_severity[incident["severity"]] = by_severity.get(incident["severity"], 0) + 1
    covered = sum(result["seconds"] for result in results)
    borders = [border for result in results for border in result["borders"]]
    return {
        "files": len(files),
        "hours_covered": round(covered / 3600, 5),
        "hours_unreadable": round(sum(f.get("missing_s", 0.0) for f in files) / 3600, 5),
        "unreadable": unreadable,
        "frames_decoded": sum(result["frames_decoded"] for result in results),
        "frames_inferred": sum(result["frames_inferred"] for result in results),
        "wall_s": round(wall_s, 2),
        "cpu_s": round(cpu_s, 2),
        "gaps": [border for border in borders if border["what"] == "gap"],
        "overlaps": [border for border in borders if border["what"] == "overlap"],
        "incidents": by_kind,
        "severities": by_severity,
        "recordings": files,
    }


def _model(config: EdgeConfig) -> dict[str, str]:
    """The model that looks, and how this machine runs it: `auto` may mean another precision elsewhere."""
    from detector.inference.card import find_card
    from detector.inference.session import choose

    card = find_card(config.analysis.model)
    variant = choose(card, config.analysis.precision)
    sha256 = variant.sha256 or card.sha256
    return {"name": card.name, "sha256": sha256, "precision": variant.precision, "runtime": variant.runtime}


def _fingerprint(session: Session, config: EdgeConfig) -> str:
    """Name of a session's finished work: its files, their sizes and times, and everything that shapes the result."""
    parts = [config.model_dump_json(), *_model(config).values(), session.camera.model_dump_json()]
    for piece in session.pieces:
        stat = piece.path.stat()
        parts.append(f"{piece.path.resolve()}|{stat.st_size}|{stat.st_mtime_ns}|{piece.start_at}")
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:24]
