"""How replay scales with workers; run by hand: `python -m tests.bench.scaling [--files N] [--out FOLDER]`.

Measured on this machine: looking at files made by `detector.bench.clips`, with one and with two workers, once as
processes and once as a Dask cluster with a scheduler, interleaved; what a task costs the driver and the scheduler, by
tasks that do nothing but give back as many bytes as an hour of footage does; and what judging costs.

Modelled from that: an archive with more workers than this machine has. Every worker is taken for a core like those
here. Whatever takes longest sets the time: looking, reading the footage from storage, handing out tasks and taking
results (one thread), the scheduler (one thread), or judging (a camera's files one after the other, cameras beside each
other on the driver's cores). At the end, nobody has more than one file's looking and judging to wait for.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shutil
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from detector.bench.clips import BIT_RATE, ClipMaker
from detector.bench.clips import Sequence as Shown
from detector.config import Analysis, Camera, EdgeConfig
from detector.recorded.cluster import Access
from detector.recorded.crews import Crew
from detector.recorded.dask_crew import DaskCrew
from detector.recorded.judging import judge_session
from detector.recorded.look_files import unpacked
from detector.recorded.looking import LookTask, task_of
from detector.recorded.processes import Processes
from detector.recorded.recordings import Piece, Session
from tests.parts_dask import REPOSITORY, DaskCluster, sized

CLIP = REPOSITORY / "configs" / "demo" / "sweep_near.mp4"
SHOWN = (Shown("busy", 5.0, 10.0, 10.0), Shown("quiet", 10.0, 5.0, 35.0))
WORKERS = (1, 2, 8, 64, 512)
EMPTY_TASKS = 200


@dataclass(frozen=True, slots=True)
class Parts:
    """What an hour of footage costs, and what a file does. Processor seconds; bytes.

    Attributes:
        look_s: Looking at an hour, on a worker.
        judge_s: Judging an hour, on the driver's machine.
        result_bytes: Of an hour's looks.
        driver_s: Of a task and its result, in the driver.
        scheduler_s: The same in the scheduler.
    """

    look_s: float
    judge_s: float
    result_bytes: float
    driver_s: float
    scheduler_s: float


@dataclass(frozen=True, slots=True)
class Archive:
    """What is to be replayed, and on what; bytes a second."""

    hours_a_camera: float = 720.0
    cameras: int = 16
    file_h: float = 0.5
    driver_cores: int = 4
    storage: float = 1.0e9
    link: float = 1.25e8


def modelled(parts: Parts, archive: Archive, workers: int) -> dict[str, float]:
    """Hours that each part of a replay keeps everything waiting, and `whole`: the longest, and the last file's end."""
    hours = archive.hours_a_camera * archive.cameras
    files = hours / archive.file_h
    judges = min(archive.driver_cores, archive.cameras)
    seconds = {
        "looking": hours * parts.look_s / workers,
        "storage": hours * 3600 * BIT_RATE / 8 / archive.storage,
        "handing out": files * parts.driver_s,
        "scheduler": files * parts.scheduler_s,
        "judging": math.ceil(archive.cameras / judges) * archive.hours_a_camera * parts.judge_s,
        "network": hours * parts.result_bytes / archive.link,
    }
    last = archive.file_h * (parts.look_s * (workers > 1) + parts.judge_s)
    return {name: s / 3600 for name, s in seconds.items()} | {"whole": (max(seconds.values()) + last) / 3600}


def tasks_of(clip: Path, folder: Path, count: int) -> list[LookTask]:
    """A clip under so many names."""
    folder.mkdir()
    paths = [Path(shutil.copy(clip, folder / f"{n:04}.mp4")) for n in range(count)]
    return [task_of(path, f"camera-{n}", Analysis()) for n, path in enumerate(paths)]


def timed(crew: Crew, tasks: Sequence[LookTask]) -> tuple[float, float, list[bytes]]:
    """Wall seconds, processor seconds of this process, and results."""
    began, cpu = time.monotonic(), time.process_time()
    results = [found for _, found in crew.results(tasks, lambda step: None)]
    return time.monotonic() - began, time.process_time() - cpu, results


def judging_s(tasks: Sequence[LookTask], results: Sequence[bytes], folder: Path) -> float:
    """Processor seconds of judging results as those of files that follow each other."""
    looks, camera = [unpacked(found) for found in results], Camera(name="gate", source="rtsp://127.0.0.1/gate")
    at, pieces = 1.8e9, []
    for task, found in zip(tasks, looks, strict=True):
        pieces.append(Piece(task.path, camera, at, "option"))
        at += found.read.seconds
    for name in ("clips", "snapshots"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    config = EdgeConfig(site="bench", edge="bench", cameras=[camera])
    of = dict(zip((task.path for task in tasks), results, strict=True))
    began = time.process_time()
    judge_session(
        Session(camera, tuple(pieces)), config, folder, folder / "x.json", lambda piece: unpacked(of[piece.path])
    )
    return time.process_time() - began


def measured(folder: Path, files: int, rounds: int) -> dict[str, Any]:
    """All that is measured, by kind of footage."""
    maker, found = ClipMaker(CLIP), {}
    clusters = {count: DaskCluster(folder / f"cluster-{count}") for count in (1, 2)}
    try:
        for count, cluster in clusters.items():
            cluster.folder.mkdir()
            cluster.start(count)
            cluster.await_workers(count)
        crews: dict[tuple[str, int], Crew] = {
            **{("processes", count): Processes(count) for count in (1, 2)},
            **{("dask", count): DaskCrew(Access(cluster.address)) for count, cluster in clusters.items()},
        }
        for shown in SHOWN:
            clip = folder / f"{shown.name}.mp4"
            maker.make(shown, clip)
            tasks = tasks_of(clip, folder / shown.name, files)
            walls: dict[tuple[str, int], list[float]] = {which: [] for which in crews}
            looking: list[float] = []
            results: list[bytes] = []
            for crew in crews.values():
                timed(crew, tasks[:1])  # models are loaded, files are in the cache
            for _ in range(rounds):
                for which, crew in crews.items():
                    wall_s, _, results = timed(crew, tasks)
                    print(f"{shown.name}, {which[0]} {which[1]}: {wall_s:.1f} s", file=sys.stderr, flush=True)
                    walls[which].append(wall_s)
                    looking.append(sum(unpacked(one).read.cpu_s for one in results))
            hours = files * shown.seconds / 3600
            judged_s = judging_s(tasks, results, folder / f"judged-{shown.name}")
            found[shown.name] = {
                "footage": shown.words,
                "wall_s": {f"{kind} {count}": round(statistics.median(s), 2) for (kind, count), s in walls.items()},
                "look_cpu_s_per_hour": round(statistics.median(looking) / hours, 1),
                "judge_cpu_s_per_hour": round(judged_s / hours, 2),
                "result_bytes_per_hour": round(sum(map(len, results)) / hours),
            }
        for shown in SHOWN:
            size = round(found[shown.name]["result_bytes_per_hour"] * Archive().file_h)
            found[shown.name] |= overhead(folder / f"empty-{shown.name}", clusters[2], size)
    finally:
        for cluster in clusters.values():
            cluster.stop()
    return found


def overhead(folder: Path, cluster: DaskCluster, size: int) -> dict[str, float]:
    """What a task costs that takes no time and gives back so many bytes, as a file's results have."""
    folder.mkdir()
    tasks = []
    for n in range(EMPTY_TASKS):
        path = folder / f"{n:04}.mp4"
        path.write_text(str(size))
        tasks.append(task_of(path, "gate", Analysis()))
    crew = replace(DaskCrew(Access(cluster.address)), look=sized)
    timed(crew, tasks[:2])
    before = cluster.scheduler_cpu_s
    wall_s, cpu_s, results = timed(crew, tasks)
    assert [len(found) for found in results] == [size] * EMPTY_TASKS
    return {
        "task_bytes": size,
        "task_wall_ms_of_a_worker": round(1e3 * wall_s * 2 / EMPTY_TASKS, 1),
        "task_driver_cpu_ms": round(1e3 * cpu_s / EMPTY_TASKS, 2),
        "task_scheduler_cpu_ms": round(1e3 * (cluster.scheduler_cpu_s - before) / EMPTY_TASKS, 2),
    }


def parts_of(found: dict[str, Any]) -> Parts:
    """What the model needs of the figures."""
    return Parts(
        found["look_cpu_s_per_hour"],
        found["judge_cpu_s_per_hour"],
        found["result_bytes_per_hour"],
        found["task_driver_cpu_ms"] / 1e3,
        found["task_scheduler_cpu_ms"] / 1e3,
    )


def table(found: dict[str, Any], archive: Archive) -> list[str]:
    """Lines for people."""
    lines = []
    for name, of in found.items():
        walls = of["wall_s"]
        lines += [f"{name}: {of['footage']}", "  measured here:"]
        for kind in ("processes", "dask"):
            one, two = walls[f"{kind} 1"], walls[f"{kind} 2"]
            lines.append(f"    {kind:<10} 1 worker {one:7.1f} s, 2 workers {two:7.1f} s: {one / two:.2f}x")
        lines += [f"    {what}: {of[what]}" for what in of if what not in ("wall_s", "footage")]
        parts = parts_of(of)
        base = modelled(parts, archive, 1)["whole"]
        hours = archive.hours_a_camera * archive.cameras
        lines.append(
            f"  modelled: {archive.cameras} cameras x {archive.hours_a_camera / 24:.0f} days in files of "
            f"{60 * archive.file_h:.0f} min, {BIT_RATE / 1e6:g} Mbit/s, storage {archive.storage / 1e6:.0f} MB/s, "
            f"{archive.driver_cores} cores judge"
        )
        lines.append("    workers     hours   speed-up   of ideal   x real time   limited by")
        for workers in WORKERS:
            told = modelled(parts, archive, workers)
            whole = told.pop("whole")
            limit = max(told, key=lambda part: told[part])
            lines.append(
                f"    {workers:7} {whole:9.2f} {base / whole:9.1f}x {100 * base / whole / workers:9.0f}% "
                f"{hours / whole:12.0f}   {limit}"
            )
        told = modelled(parts, archive, 512)
        lines.append("    at 512, hours: " + ", ".join(f"{part} {h:.2f}" for part, h in told.items()))
    return lines


def plot(found: dict[str, Any], archive: Archive) -> str:
    """Speed-up over workers, both in powers of two: lines are modelled, rings are measured."""
    width, height, left, top, step, rise = 640, 400, 60, 30, 56, 34
    x = lambda workers: left + step * math.log2(workers)  # noqa: E731
    y = lambda speed: height - 50 - rise * math.log2(max(speed, 1.0))  # noqa: E731
    colours = {"busy": "#c05020", "quiet": "#2a6fb0"}
    parts = [f"<path class='ideal' d='M{x(1)} {y(1)}L{x(512)} {y(512)}'/>"]
    for n in range(10):
        parts.append(f"<path class='grid' d='M{x(2**n)} {y(1)}V{top}M{left} {y(2**n)}H{x(512)}'/>")
        parts.append(f"<text x='{x(2**n)}' y='{height - 32}' text-anchor='middle'>{2**n}</text>")
        parts.append(f"<text x='{left - 8}' y='{y(2**n) + 4}' text-anchor='end'>{2**n}x</text>")
    for n, (name, of) in enumerate(found.items()):
        base = modelled(parts_of(of), archive, 1)["whole"]
        line = [(2 ** (k / 4), base / modelled(parts_of(of), archive, 2 ** (k / 4))["whole"]) for k in range(37)]  # type: ignore[arg-type]
        path = "L".join(f"{x(workers):.1f} {y(speed):.1f}" for workers, speed in line)
        parts.append(f"<path d='M{path}' fill='none' stroke='{colours[name]}' stroke-width='2'/>")
        for kind, size in (("processes", 4), ("dask", 7)):
            speed = of["wall_s"][f"{kind} 1"] / of["wall_s"][f"{kind} 2"]
            parts.append(f"<circle cx='{x(2)}' cy='{y(speed):.1f}' r='{size}' fill='none' stroke='{colours[name]}'/>")
        parts.append(
            f"<text x='{left + 12}' y='{top + 16 * (n + 1)}' style='fill:{colours[name]}'>{name}, modelled</text>"
        )
    parts.append(f"<text x='{left + 12}' y='{top + 48}'>rings at 2: measured (small processes, large Dask)</text>")
    parts.append(f"<text x='{(left + x(512)) / 2}' y='{height - 10}' text-anchor='middle'>workers</text>")
    style = "text{font:12px system-ui,sans-serif;fill:#5c6670}"
    style += ".grid{stroke:#8a8f9633}.ideal{stroke:#8a8f96;stroke-dasharray:4 3}"
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {width} {height}'><style>{style}</style>"
        f"<rect width='100%' height='100%' fill='#fff'/>{''.join(parts)}</svg>\n"
    )


def main() -> None:
    """Measure, model and tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=6, help="looked at in each run")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each kind, of which the median counts")
    parser.add_argument("--driver-cores", type=int, default=4, help="that judge")
    parser.add_argument("--storage-mb-s", type=float, default=1000.0, help="that all workers together can read")
    parser.add_argument("--out", type=Path, help="folder for scaling.json and scaling.svg")
    options = parser.parse_args()
    archive = Archive(driver_cores=options.driver_cores, storage=options.storage_mb_s * 1e6)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # what was started is stopped
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        found = measured(Path(folder), options.files, options.rounds)
    print(f"{os.cpu_count()} cores, load {load:.1f} before", *table(found, archive), sep="\n")
    if options.out is not None:
        options.out.mkdir(parents=True, exist_ok=True)
        told = {"cores": os.cpu_count(), "load_before": load, "measured": found}
        told["modelled"] = {
            name: {workers: modelled(parts_of(of), archive, workers) for workers in WORKERS}
            for name, of in found.items()
        }
        (options.out / "scaling.json").write_text(json.dumps(told, indent=1))
        (options.out / "scaling.svg").write_text(plot(found, archive))


if __name__ == "__main__":
    main()
