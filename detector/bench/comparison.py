"""All that is compared, in one run: a recording enters, figures leave.

Each round goes through all that is compared, every other one backwards, and ratios
are taken within a round. What counts is processor time, since that of others on the machine is not ours.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from detector import __version__
from detector.bench import machine
from detector.bench.clips import BUSY, QUIET, WARM_UP, ClipMaker, Sequence, made_how
from detector.bench.meter import Job
from detector.bench.results import Results
from detector.bench.setups import TRACK, Setup, Taken, setups
from detector.errors import LabelwatchError, MissingPart, ModelError, NotThere
from detector.machine.resources import resource

TRACK_S = 30.0  # of a clip, at most: what it takes doesn't depend on what is shown
NOT_THERE = "Ultralytics is not installed here (make setup-train): not compared with YOLO.track"

Progress = Callable[[str, int, int], None]
Choice = Callable[[str, list[str], bool], list[Setup]]


class BenchFailedError(LabelwatchError):
    """A run ended without a figure; the text ends with what it said last."""


def bench(
    recording: Path | None = None,
    *,
    rounds: int = 3,
    weights: Path | None = None,
    sequences: tuple[Sequence, Sequence] = (BUSY, QUIET),
    choose: Choice = setups,
    progress: Progress = lambda what, done, of: None,
) -> dict[str, Any]:
    """Measure.

    Args:
        recording: What the clips are made of; the demo's when left out.
        rounds: How often everything is measured.
        weights: YOLO11n of Ultralytics (`.pt`, a program); when left out it runs untrained: as fast, but it finds
            nothing, so that its tracker has nothing to do.
        sequences: What the busy and the quiet clip show.
        choose: What is measured on a clip, see `setups`.
        progress: Told what is being done, and how many of how many steps are.

    Returns:
        As `bench.json` has it.

    Raises:
        SourceUnavailable: The recording can't be read.
        BenchFailedError: A run failed.
        NotThere: There is no such recording, or no such file of weights.
    """
    if weights is not None and not weights.is_file():
        raise NotThere(weights, "file of weights")
    recording = recording or resource("configs", "demo", "sweep_near.mp4")
    if not recording.exists():
        raise NotThere(recording, "recording")
    before = machine.load()
    fast, track = fast_precisions(), importlib.util.find_spec("ultralytics") is not None
    notes = [] if track else [NOT_THERE]
    if track and weights is None:
        notes.append("YOLO.track ran untrained (--weights was left out): it found nothing, and tracked nothing")
    with tempfile.TemporaryDirectory(prefix="labelwatch-bench-") as name:
        folder = Path(name)
        chosen = {sequence.name: choose(sequence.name, fast, track) for sequence in sequences}
        jobs = _jobs(folder, chosen, weights.resolve() if weights else None)
        made = (WARM_UP, *sequences)
        of = len(made) + rounds * len(jobs)
        maker = ClipMaker(recording)
        for n, sequence in enumerate(made):
            progress(f"making the {sequence.name} clip", n, of)
            maker.make(sequence, folder / f"{sequence.name}.mp4")
        taken: list[dict[tuple[str, Setup], Taken]] = []
        done = len(made)
        for n in range(rounds):
            found: dict[tuple[str, Setup], Taken] = {}
            for key, job in list(jobs.items())[:: -1 if n % 2 else 1]:
                progress(f"round {n + 1} of {rounds}, {key[0]}: {key[1].name}", done, of)
                found[key] = _run(job, folder)
                done += 1
            taken.append({key: found[key] for key in jobs})
        progress("done", of, of)
    runs = [run for one in taken for run in one.values()]
    wall_s, cpu_s = sum(run.wall_s for run in runs), sum(run.cpu_s for run in runs)
    return {
        **Results(taken).record(fast),
        "clips": {sequence.name: sequence.words for sequence in sequences} | {"made": made_how(recording)},
        "rounds": rounds,
        "machine": {**machine.machine(), "load_before": before},
        "labelwatch": __version__,
        "notes": notes,
        "warnings": machine.warnings(before, wall_s, cpu_s),
    }


def fast_precisions() -> list[str]:
    """Precisions beside fp32 that the shipped model can compute in here; first the one that `auto` takes."""
    from detector.inference.card import find_card
    from detector.inference.session import choose

    card, found = find_card("scene"), []
    for precision in ("auto", "int8", "bf16"):
        try:
            found.append(choose(card, precision).precision)
        except (ModelError, MissingPart):
            continue
    return [precision for precision in dict.fromkeys(found) if precision != "fp32"]


def _jobs(folder: Path, chosen: dict[str, list[Setup]], weights: Path | None) -> dict[tuple[str, Setup], Job]:
    warm_up = folder / f"{WARM_UP.name}.mp4"
    return {
        (clip, setup): Job(setup, folder / f"{clip}.mp4", warm_up, TRACK_S if setup.what == TRACK else None, weights)
        for clip, setups_of_clip in chosen.items()
        for setup in setups_of_clip
    }


def _run(job: Job, folder: Path) -> Taken:
    """Measure in a process of its own, which writes nothing but into `folder`."""
    home = str(Path(__file__).resolve().parent.parent.parent)
    paths = os.pathsep.join(filter(None, (home, os.environ.get("PYTHONPATH"))))
    done = subprocess.run(
        [sys.executable, "-m", "detector.bench.measuring"],
        input=job.json(), capture_output=True, text=True, check=False, cwd=folder,
        env={**os.environ, "PYTHONPATH": paths, "YOLO_CONFIG_DIR": str(folder)},
    )  # fmt: skip
    try:
        return Taken(**json.loads(done.stdout.splitlines()[-1]))
    except (IndexError, ValueError, TypeError) as error:
        said = (done.stderr.strip().splitlines() or [f"it ended with status {done.returncode}"])[-1]
        raise BenchFailedError(f"{job.setup.name} on {job.clip.name}: {said}") from error
