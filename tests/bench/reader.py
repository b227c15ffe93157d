"""What reading a camera in a process of its own costs, against a thread of the worker: `python -m tests.bench.reader`.

A real RTSP server sends the shipped clip. Both ways read it in turns, within one run, and hand on 5 BGR frames a second
and every packet; processor time is the worker's and the reader's together. Then memory with 1, 4 and 8 cameras, each
way in a process of its own: private pages (USS) and the fair share of what is shared (PSS) of worker and readers.

    python -m tests.bench.reader [--seconds 6] [--rounds 4]
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av

from detector.clock import SystemClock
from detector.config import Camera
from detector.media.packets import Packet, PacketRing
from detector.sources.decoded import picture_of
from detector.sources.live import LiveSource
from detector.sources.messages import Connect
from detector.sources.pacing import Pacer
from detector.sources.reading import opened
from tests.conftest import REPOSITORY
from tests.sources.conftest import RtspServer

FPS = 20
ANALYSED = 5.0
CLIP = REPOSITORY / "configs/demo/sweep_near.mp4"
SIZES = {"720p20": (1280, 720), "1080p20": (1920, 1080)}


def make_clip(path: Path, size: tuple[int, int], seconds: float = 8.0) -> Path:
    """The shipped clip at another size and rate, as a camera's encoder would send it."""
    with av.open(str(CLIP)) as source, av.open(str(path), "w", format="h264") as container:
        stream = container.add_stream("libx264", rate=FPS)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.options = {"preset": "veryfast", "crf": "23", "g": str(2 * FPS), "bf": "0"}
        for number, picture in enumerate(source.decode(video=0)):
            if number >= seconds * FPS:
                break
            shown = picture.reformat(*size, format="yuv420p")
            shown.pts = None
            container.mux(stream.encode(shown))
        container.mux(stream.encode(None))
    return path


class Threaded:
    """The same work in a thread of this process: what a camera cost before it had a reader of its own."""

    def __init__(self, url: str) -> None:
        self.ages: list[float] = []
        self._url = url
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        order = Connect(self._url, "bench", ANALYSED, True, 10.0, 5.0, 20.0)
        video, pacer, ring = opened(order), Pacer(ANALYSED), PacketRing(10)
        slot: list[tuple[float, av.VideoFrame]] = []
        ready = threading.Condition()

        def look() -> None:
            while not self._stop.is_set():
                with ready:
                    ready.wait_for(lambda: slot, 0.2)
                    taken = slot.pop() if slot else None
                if taken:
                    picture_of(taken[1]).bgr()
                    self.ages.append(time.monotonic() - taken[0])

        looking = threading.Thread(target=look)
        looking.start()
        for step in video.steps():
            if self._stop.is_set():
                break
            at = time.monotonic()
            ring.append(Packet(at, step.data, step.key, step.shown_after), video.format)
            for _, picture in step.pictures:
                at = max(time.monotonic(), at + 0.001)  # as a live source counts
                if pacer.due(at):
                    with ready:
                        slot[:] = [(at, picture)]
                        ready.notify()
        looking.join()
        video.close()

    def processes(self) -> list[int]:
        """Processes beside this one."""
        return []

    def end(self) -> None:
        """Stop."""
        self._stop.set()
        self._thread.join()


class Apart:
    """A live source as the worker has it."""

    def __init__(self, url: str) -> None:
        self.ages: list[float] = []
        self._stop = threading.Event()
        clock, ring = SystemClock(), PacketRing(10)
        camera = Camera(name="bench", source=url)
        self._source = LiveSource(camera, fps=ANALYSED, clock=clock, stop=self._stop, on_packet=ring.append)

        def look() -> None:
            for frame in self._source:
                self.ages.append(clock.now() - frame.captured_at)

        self._thread = threading.Thread(target=look)
        self._thread.start()

    def processes(self) -> list[int]:
        """Processes beside this one."""
        reader = self._source._reader
        return [reader.pid] if reader else []

    def end(self) -> None:
        """Stop."""
        self._stop.set()
        self._thread.join()
        self._source.close()


WAYS = {"thread": Threaded, "process": Apart}


@contextmanager
def reading(way: str, urls: list[str]) -> Iterator[list[Threaded | Apart]]:
    """Cameras that have given some frames already."""
    cameras = [WAYS[way](url) for url in urls]
    try:
        while any(len(camera.ages) < 3 for camera in cameras):
            time.sleep(0.05)
        for camera in cameras:
            camera.ages.clear()
        yield cameras
    finally:
        for camera in cameras:
            camera.end()


def busy_s(pids: list[int]) -> float:
    """Processor seconds of this process and of others."""
    others = [int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9 for pid in pids]
    return time.process_time() + sum(others)


def cost(way: str, url: str, seconds: float) -> tuple[float, float]:
    """Processor seconds for a second of camera, and how old its frames are in the hands of the worker, seconds."""
    with reading(way, [url]) as (camera,):
        pids = camera.processes()
        began, busy = time.monotonic(), busy_s(pids)
        time.sleep(seconds)
        spent, took = busy_s(pids) - busy, time.monotonic() - began
        return spent / took, statistics.median(camera.ages)


def memory(pid: int | str) -> dict[str, float]:
    """MB of a process: private, and with its share of what others hold, too."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    kb = {line.split(":")[0]: int(line.split()[1]) for line in lines if line.endswith("kB")}
    return {"uss": (kb["Private_Clean"] + kb["Private_Dirty"]) / 1024, "pss": kb["Pss"] / 1024}


def weigh(way: str, urls: list[str]) -> dict[str, float]:
    """Memory of this process, and of its readers together, while it reads so many cameras."""
    with reading(way, urls) as cameras:
        time.sleep(2.0)
        readers = [memory(pid) for camera in cameras for pid in camera.processes()]
        own = memory("self")
    return {
        "worker": own["uss"],
        "readers": sum(one["uss"] for one in readers),
        "pss": own["pss"] + sum(one["pss"] for one in readers),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--weigh", nargs="+", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.weigh:
        print(json.dumps(weigh(asked.weigh[0], asked.weigh[1:])))
        return
    with tempfile.TemporaryDirectory() as folder:
        for name, size in SIZES.items():
            server = RtspServer(make_clip(Path(folder) / f"{name}.h264", size), fps=FPS)
            server.start()
            found: dict[str, list[tuple[float, float]]] = {"thread": [], "process": []}
            for _ in range(asked.rounds):
                for way, results in found.items():
                    results.append(cost(way, server.url, asked.seconds))
            ratios = [apart[0] / thread[0] for thread, apart in zip(found["thread"], found["process"], strict=True)]
            for way, results in found.items():
                busy, age = (statistics.median(column) for column in zip(*results, strict=True))
                print(f"{name} {way:8} {1000 * busy:6.1f} ms CPU a camera second, frames {1000 * age:5.1f} ms old")
            print(f"{name} ratio {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")
            if name == "720p20":
                for count in (1, 4, 8):
                    for way in WAYS:
                        command = [sys.executable, "-m", "tests.bench.reader", "--weigh", way, *[server.url] * count]
                        told = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
                        print(f"{name} {count} cameras {way:8} " + " ".join(f"{k} {v:.0f} MB" for k, v in told.items()))
            server.kill()


if __name__ == "__main__":
    main()
