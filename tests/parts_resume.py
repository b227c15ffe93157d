"""Replays of the command line that are killed with -9 at seeded random moments, and what must be true afterwards."""

from __future__ import annotations

import gzip
import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import av
import numpy as np

from tests.conftest import REPOSITORY

CAMERAS = ("gate", "dock")
FILES = 3  # of each camera
LONG_S = 40  # each
FPS = 1


def make_footage(folder: Path, cameras: tuple[str, ...] = CAMERAS, files: int = FILES) -> Path:
    """Cameras that see something that moves, and then, across the border of two files, nothing: an incident each."""
    noise = np.random.default_rng(1)
    for camera in cameras:
        for n in range(files):
            path = folder / f"{camera}_2026110109{n * LONG_S // 60:02}{n * LONG_S % 60:02}.mkv"
            path.parent.mkdir(parents=True, exist_ok=True)
            with av.open(str(path), "w") as container:
                stream = container.add_stream("libx264", rate=FPS)
                stream.width, stream.height, stream.options = 160, 120, {"preset": "ultrafast", "g": "4"}
                for k in range(LONG_S * FPS):
                    dark = (n == files - 2 and k >= (LONG_S - 4) * FPS) or (n == files - 1 and k < 20 * FPS)
                    grain = noise.integers(60, 200, (12, 16, 3), np.uint8).repeat(10, 0).repeat(10, 1)
                    picture = grain // 20 if dark else grain  # never the same: that would be a frozen picture
                    shown = av.VideoFrame.from_ndarray(picture, "bgr24")
                    container.mux(stream.encode(shown))
                container.mux(stream.encode(None))
    return folder


def write_config(folder: Path) -> Path:
    """A configuration that looks coarsely."""
    file = folder / "edge.yaml"
    file.write_text(
        "site: s\nedge: e\ncameras: [{name: gate, source: 'rtsp://h/1'}, {name: dock, source: 'rtsp://h/2'}]\n"
        f"analysis: {{fps: {FPS}, frame_side: 160, zooms: 0}}\nrules: {{tamper: {{after_s: 3}}}}\n"
    )
    return file


def begin(
    footage: Path, config: Path, out: Path, *more: str, start: Callable[[], None] | None = None
) -> subprocess.Popen[bytes]:
    """Start a replay as people do; `start` is done in its process first."""
    command = [sys.executable, "-m", "detector", "replay", str(footage), "--config", str(config), "--out", str(out)]
    return subprocess.Popen(
        [*command, *more], cwd=REPOSITORY, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, preexec_fn=start
    )


def finished_work(out: Path) -> dict[Path, int]:
    """What is finished by now, and when it was written."""
    found = {}
    for path in (*out.glob("looks/*.looks"), *out.glob("sessions/*.json")):
        with suppress(FileNotFoundError):
            found[path] = path.stat().st_mtime_ns
    return found


def kill_somewhere(replay: subprocess.Popen[bytes], out: Path, pieces: int, dice: random.Random) -> str:
    """Wait until some more of `pieces` is finished, and a moment, then kill the driver or one of its processes."""
    goal = len(finished_work(out)) + dice.randint(0, max(0, pieces - len(finished_work(out)) - 1))
    while replay.poll() is None and len(finished_work(out)) < goal:
        time.sleep(0.01)
    time.sleep(dice.uniform(0.0, 0.4))
    children = children_of(replay.pid)
    victim = dice.choice([replay.pid, replay.pid, *children])
    with suppress(ProcessLookupError):
        os.kill(victim, signal.SIGKILL)
    return f"{'driver' if victim == replay.pid else 'child'} at {goal} of {pieces}"


def children_of(pid: int) -> list[int]:
    """Processes that one began."""
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def evidence(out: Path) -> dict[str, str]:
    """What a replay found, to be compared to the byte."""
    files = [out / "incidents.jsonl", *out.glob("clips/*"), *out.glob("snapshots/*")]
    told = {str(path.relative_to(out)): path.read_bytes() for path in files}
    return {
        name: hashlib.sha256(gzip.decompress(content) if name.endswith(".gz") else content).hexdigest()
        for name, content in told.items()
    }
