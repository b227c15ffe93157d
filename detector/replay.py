"""Batch: recordings through the same stages as live; recordings enter, a folder of incidents leaves.

OUT/incidents.jsonl  one line an incident, its final state; there once all is judged
OUT/summary.json     what was covered, what could not be read and why, and what it cost; of tens of thousands of files
                     only those with something to tell, and all in recordings.jsonl, gaps.jsonl, overlaps.jsonl
OUT/report.html      the same for a person; incidents.csv, exposed.csv and people.csv for a spreadsheet,
                     and the same with Chinese heads as incidents.zh.csv, exposed.zh.csv and people.zh.csv
OUT/clips            of each incident, and what was seen meanwhile (`detector.media.sides`)
OUT/snapshots
OUT/looks            what was seen in each file: kept until its camera is finished, so that nothing is looked at twice
OUT/sessions         what came of each camera's: so that `--resume` repeats no finished camera

A file of looks is named by all that shapes it, so one that is there is as good as a new one, whichever run made it.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from detector.clock import iso
from detector.config import EdgeConfig
from detector.errors import LabelwatchError
from detector.machine.progress import Step
from detector.machine.whole_files import write_whole
from detector.recorded.asked import Asked
from detector.recorded.crews import Alone, Crew
from detector.recorded.judges import JUDGED, CameraWork, Judges, in_turn, judge_here
from detector.recorded.ledgers import CameraResult, read_ledger
from detector.recorded.look_files import FileLooks
from detector.recorded.look_folder import LookFolder
from detector.recorded.looking import LookTask, model_of, task_of
from detector.recorded.processes import Processes
from detector.recorded.recorder_names import Pattern
from detector.recorded.recordings import Session, as_text, by_itself, sessions
from detector.recorded.software import judge
from detector.recorded.spots import shown, told_once
from detector.recorded.summary import SCHEMA, summary_of, write_summary

LOOKERS_A_JUDGE = 8  # a judge keeps up with about that many

NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})

Progress = Callable[[Step], None]
Judged = Callable[[CameraWork], None]


def replay(
    paths: Iterable[Path],
    config: EdgeConfig,
    out: Path,
    *,
    start: float | None = None,
    pattern: Pattern | None = None,
    zone: str | None = None,
    asked: Asked | None = None,
    jobs: int = 1,
    crew: Crew | None = None,
    resume: bool = False,
    keep_looks: bool = False,
    fast_scan: bool = False,
    expect: Callable[[float], None] = lambda work: None,
    progress: Progress = lambda step: None,
    say: Callable[[str], None] = lambda what: None,
) -> dict[str, Any]:
    """Run recordings through the stages and write the results to `out`.

    Args:
        paths: Video files, folders with all below them, and globs (`archive.gather`).
        config: The edge's configuration.
        out: Folder for the results; made when missing.
        start: When each camera's first file begins, Unix seconds; file names tell when left out.
        pattern: How the recorder names its files, where that isn't known by itself.
        zone: Time zone of the recorder's clock; the configuration's when left out.
        asked: Which of them to look at; all when left out.
        jobs: Processes that look at files on this machine.
        crew: Who looks at the files instead.
        resume: Take over the cameras that an earlier run in `out` finished, where files and configuration are the same,
            and leave aside what it set aside. A camera isn't finished while the disk or the network kept a file of it
            from being read: that is tried again.
        keep_looks: Keep what was seen, so that a run with other rules or zones needs to look at nothing.
        fast_scan: Look at key frames first, and at the rest only round those in which something changed.
        expect: Told how much there is to be done, as `Step.bytes` counts it.
        progress: Told each step, about one for a second of footage.
        say: Told before, in words, what is done, with every file.

    Returns:
        The summary, with all files.

    Raises:
        SourceUnavailable: A path is no video file and no folder with any.
        ConfigError: No recording is asked for, or the pattern fits none.
        LabelwatchError: Another run writes to `out`, or it is no folder.
        OSError: `out` can't be written; what is done by then stays for `resume`.
    """
    from detector.recorded.archive import gather
    from detector.report import write_report

    began = time.monotonic()
    with _own(out):
        asked = asked or Asked(zone or config.timezone)
        wants = asked.wants
        archive = gather(paths, out, say, lambda path: wants(by_itself(path, config, pattern=pattern, zone=zone)))
        cameras = sessions(archive.files, config, start, pattern=pattern, zone=zone, say=say)
        cameras, left_out = asked.of(cameras, say)
        say(f"loading the model, for {len(archive.files) - left_out} files, cameras: {len(cameras)}")
        work = [_work(session, config, out, fast_scan=fast_scan) for session in cameras]
        looks = LookFolder(out / "looks")
        waiting = [one for one in work if not (resume and _finished(one))]
        unlooked = {task.name for task in looks.missing(_tasks(waiting), retry=not resume)}
        waiting = [replace(one, unlooked=frozenset(unlooked & one.names)) for one in waiting]
        expect(sum(task.size * (JUDGED + (task.name in unlooked)) for task in _tasks(waiting)))

        def judged(one: CameraWork) -> None:
            if not keep_looks and _finished(one):
                looks.clear(one.tasks.values())

        if waiting:  # clips are written anew: nobody is to publish them with what an earlier run says of them
            (out / "incidents.jsonl").unlink(missing_ok=True)
        if crew is None and jobs == 1:
            failed = _alone(waiting, config, out, looks, progress, judged)
        else:
            judges = 1 + (jobs - 1) // LOOKERS_A_JUDGE if crew is None else os.cpu_count() or 1
            failed = _together(crew or Processes(jobs), judges, waiting, config, out, looks, progress, judged)
        results = {one.ledger: read_ledger(one.ledger) or _unjudged(one, failed[one.ledger]) for one in work}
        found = sorted((i for r in results.values() for i in r.incidents), key=lambda i: (i["started_at"], i["id"]))
        incidents = [{"schema": SCHEMA, "site": config.site, **incident} for incident in told_once(found)]
        lines = "".join(json.dumps(incident, ensure_ascii=False) + "\n" for incident in incidents)
        write_whole(out / "incidents.jsonl", lines)
        summary = summary_of(
            results.values(),
            shown(incidents),
            archive,
            site=config.site,
            now_s=sum(results[one.ledger].seconds for one in waiting),
            wall_s=round(time.monotonic() - began, 2),
            model=model_of(config.analysis),
            known={camera.name for camera in config.cameras},
            asked=asked,
            left_out=left_out,
        )
        write_summary(out, summary)
        census = {result.camera: result.census for result in results.values() if result.census}
        write_report(out, summary, incidents, config, census)
        if not keep_looks:
            looks.clear_but(_tasks(one for one in work if one.ledger in failed or not results[one.ledger].finished))
    return summary


def _alone(
    waiting: Sequence[CameraWork], config: EdgeConfig, out: Path, looks: LookFolder, progress: Progress, judged: Judged
) -> dict[Path, str]:
    """Look and judge in this process, one camera after the other; ledgers of those that can't be judged, and why."""
    failed = {}
    results = Alone().results(list(in_turn(waiting, 1)), progress)

    def looks_of(task: LookTask) -> FileLooks:
        while not looks.holds(task):
            looks.put(*next(results))
        return looks.get(task)

    for one in waiting:
        why = judge_here(one, config, out, looks_of, progress)
        if why is None:
            judged(one)
        else:
            failed[one.ledger] = why
    return failed


def _together(
    crew: Crew,
    judges: int,
    waiting: Sequence[CameraWork],
    config: EdgeConfig,
    out: Path,
    looks: LookFolder,
    progress: Progress,
    judged: Judged,
) -> dict[Path, str]:
    """Let a crew look while processes of their own judge; as `_alone`."""
    with Judges(judges, waiting, config, out, looks, progress, judged) as judging:

        def step(step: Step) -> None:
            progress(step)
            judging.turn()

        results = crew.results(list(in_turn(waiting, judges)), step)
        with closing(results):  # type: ignore[type-var]
            for task, found in results:
                looks.put(task, found)
                judging.came(task)
        judging.finish()
    return judging.failed


@contextmanager
def _own(out: Path) -> Iterator[None]:
    """Make the folder of the results, and let nobody else write to it; what a run that was killed left is removed."""
    if out.exists() and not out.is_dir():
        raise LabelwatchError(f"{out}: is no folder, and --out names one")
    for name in ("clips", "snapshots", "sessions"):
        (out / name).mkdir(parents=True, exist_ok=True)
    with (out / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LabelwatchError(f"{out}: another replay writes there") from None
        for half in (*out.glob("clips/.cut-*"), *out.glob("*/.*.draft")):
            shutil.rmtree(half) if half.is_dir() else half.unlink()
        try:
            yield
        except OSError as error:
            if error.errno not in NO_ROOM:
                raise
            raise LabelwatchError(f"{out}: {error.strerror}: make room, and go on with --resume") from error


def _tasks(work: Iterable[CameraWork]) -> Iterator[LookTask]:
    return (task for one in work for task in one.tasks.values())


def _work(session: Session, config: EdgeConfig, out: Path, *, fast_scan: bool) -> CameraWork:
    """What there is to be done for a camera; its ledger is named by the camera, and by all that shapes the result.

    An update that may judge otherwise begins it anew: a report of which one half is by other rules says nothing.
    """
    tasks = {
        piece.path: task_of(
            piece.path,
            session.camera.name,
            config.analysis,
            piece.expected_at,
            fast_scan=fast_scan,
            shape=session.camera.shape,
        )
        for piece in session.pieces
    }
    shaping = [judge(), config.model_dump_json(), session.camera.model_dump_json()]
    shaping += [
        f"{task.name}|{piece.start_at}|{piece.within_s}"
        for piece, task in zip(session.pieces, tasks.values(), strict=True)
    ]
    camera, whole = (
        hashlib.sha256(text.encode()).hexdigest()[:24] for text in (session.camera.name, "\n".join(shaping))
    )
    return CameraWork(session, out / "sessions" / f"{camera}.{whole}.json", tasks)


def _finished(one: CameraWork) -> bool:
    """Whether it is known what came of a camera, and no other run could come to know more."""
    result = read_ledger(one.ledger)
    return result is not None and result.finished


def _unjudged(one: CameraWork, why: str) -> CameraResult:
    """What is told of a camera that couldn't be judged."""
    camera = one.session.camera.name
    files = []
    for piece in one.session.pieces:
        file = as_text(piece.path)
        told = as_text(f"{file}: its camera, {camera}, couldn't be judged: {why}")
        start = {"start": iso(piece.start_at or 0.0), "start_known_by": piece.known_by}
        files.append({"camera": camera, "file": file, **start, "seconds": 0.0, "unreadable": told})
    return CameraResult(camera=camera, title=one.session.camera.title or camera, files=files, covered_s=0.0)
