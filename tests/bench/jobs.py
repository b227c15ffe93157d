"""Two processes against one, and judging alone: wall and CPU time of replays of the same footage, by turns.

    python -m tests.bench.jobs [FOOTAGE [ROUNDS]]

FOOTAGE is a folder; without it, or as `-`, one is made of the shipped clip: two cameras of four files each. CPU time is
that of the driver and all its processes, start included; on a shared machine believe it rather than the wall time. The
last line of each round judges once more over the looks that were kept, as a run with other rules does.
"""

from __future__ import annotations

import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.conftest import REPOSITORY

CLIP = REPOSITORY / "configs" / "demo" / "sweep_near.mp4"


def make_footage(folder: Path) -> Path:
    """Copies of the shipped clip that are not the same to the byte."""
    folder.mkdir()
    for camera in ("gate", "dock"):
        for n in range(4):
            path = folder / f"{camera}_2026110109{n:02}00.mp4"
            shutil.copy(CLIP, path)
            with path.open("ab") as file:  # a box that players pass over
                file.write((16).to_bytes(4) + b"free" + f"{camera}{n}".encode().ljust(8))
    return folder


def timed(*arguments: object) -> tuple[float, float]:
    """Wall and CPU seconds of a replay."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    command = [sys.executable, "-m", "detector", "replay", *map(str, arguments)]
    subprocess.run(command, cwd=REPOSITORY, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wall_s, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall_s, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main(footage: Path | None, rounds: int) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as home:
        config = Path(home, "edge.yaml")
        cameras = "[{name: gate, source: 'rtsp://h/1'}, {name: dock, source: 'rtsp://h/2'}]"
        config.write_text(f"site: s\nedge: e\ncameras: {cameras}\n")
        folder = footage or make_footage(Path(home, "footage"))
        for n in range(rounds):
            for jobs in (1, 2):
                out = Path(home, f"{n}-{jobs}")
                options = (folder, "--config", config, "--out", out, "--keep-looks", "--jobs", jobs)
                wall_s, cpu_s = timed(*options)
                hours = json.loads((out / "summary.json").read_text())["hours_covered"]
                print(f"--jobs {jobs}: {wall_s:6.1f} s wall, {cpu_s:6.1f} s CPU, {cpu_s / hours / 36:.2f} % of footage")
            size = sum(file.stat().st_size for file in out.glob("looks/*"))
            again_s, judging_s = timed(*options)
            print(
                f"judged again: {again_s:.1f} s wall, {judging_s:.1f} s CPU; "
                f"looks take {size / hours / 2**20:.1f} MiB an hour",
                flush=True,
            )


if __name__ == "__main__":
    given = sys.argv[1:]
    main(Path(given[0]) if given and given[0] != "-" else None, int(given[1]) if len(given) > 1 else 1)
