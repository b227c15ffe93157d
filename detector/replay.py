"""Batch: recordings through the same pipeline as live; recordings enter, a folder of incidents leaves (design 4.2).

OUT/incidents.jsonl  one line an incident, its final state
OUT/summary.json     what was covered, what could not be read and why, and what it cost
OUT/report.html      the same for a person; incidents.csv and exposed.csv for a spreadsheet
OUT/clips            of each incident, and what was seen meanwhile (`detector.sides`)
OUT/snapshots
OUT/looks            what was seen in each file, and OUT/sessions what came of each camera's: finished work, so that
OUT/sessions         `--resume` repeats none of it
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from detector.config import EdgeConfig
from detector.progress import Step
from detector.recorded.crews import Alone, Crew
from detector.recorded.look_files import FileLooks, unpacked
from detector.recorded.looking import model_of, task_of
from detector.recorded.recorder_names import Pattern
from detector.recorded.recordings import Piece, Session, sessions
from detector.whole_files import write_whole

Progress = Callable[[Step], None]


def replay(
    paths: Iterable[Path],
    config: EdgeConfig,
    out: Path,
    *,
    start: float | None = None,
    pattern: Pattern | None = None,
    zone: str | None = None,
    jobs: int = 1,
    crew: Crew | None = None,
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
        jobs: Processes that look at files on this machine; one, for now.
        crew: Who looks at the files instead.
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
    for name in ("clips", "snapshots", "looks", "sessions"):
        (out / name).mkdir(parents=True, exist_ok=True)
    work = [
        (session, out / "sessions" / f"{_fingerprint(session, config)}.json")
        for session in sessions(archive.files, config, start, pattern=pattern, zone=zone)
    ]
    waiting = [(session, ledger) for session, ledger in work if not (resume and ledger.exists())]
    expect(sum(size_of(piece.path) for session, _ in waiting for piece in session.pieces))
    _run_all(waiting, config, out, crew or Alone(), progress)
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
    summary["model"] = model_of(config.analysis)
    write_whole(out / "summary.json", json.dumps(summary, ensure_ascii=False, indent=1), lasting=False)
    census = {result["camera"]: result["census"] for result in results if result["census"]}
    write_report(out, summary, incidents, config, census)
    return summary


def _run_all(
    waiting: list[tuple[Session, Path]], config: EdgeConfig, out: Path, crew: Crew, progress: Progress
) -> None:
    """Let the crew look at all files, and judge each session as its looks come in."""
    from detector.recorded.judging import judge_session

    tasks = {
        piece.path: task_of(piece.path, session.camera.name, config.analysis)
        for session, _ in waiting
        for piece in session.pieces
    }
    kept = {path: out / "looks" / f"{task.name}.npz" for path, task in tasks.items()}
    results = crew.results([task for path, task in tasks.items() if not kept[path].exists()], progress)

    def looks_of(piece: Piece) -> FileLooks:
        while not kept[piece.path].exists():
            task, found = next(results)
            write_whole(kept[task.path], found, lasting=False)
        return unpacked(kept[piece.path].read_bytes())

    for session, ledger in waiting:
        judge_session(session, config, out, ledger, looks_of, progress)


def size_of(path: Path) -> int:
    """Bytes of a file; 0 where that can't be known."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


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


def _fingerprint(session: Session, config: EdgeConfig) -> str:
    """Name of a session's finished work: its files, their sizes and times, and everything that shapes the result."""
    parts = [config.model_dump_json(), *model_of(config.analysis).values(), session.camera.model_dump_json()]
    for piece in session.pieces:
        stat = piece.path.stat()
        parts.append(f"{piece.path.resolve()}|{stat.st_size}|{stat.st_mtime_ns}|{piece.start_at}")
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:24]
