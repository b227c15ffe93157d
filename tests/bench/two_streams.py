"""What a small stream beside the large one saves; run by hand: `python -m tests.bench.two_streams FOLDER [SECONDS]`.

One camera, 1920x1080 at 4 Mbit/s and 640x360 at 0.5 Mbit/s, 20 fps, is served by real RTSP servers and watched with its
large stream alone and with both. Told are processor seconds a second of the worker and its reader processes, without
the network, which has the same to do either way: quiet is but a glance at each of 5 frames a second; busy is a whole
picture and two close looks for the network at each of them.

Then the demo clip's sweep is looked for by the real pipeline: in the clip as it is, in a small copy of it with the clip
for close looks, and in the small copy alone. Told are each one's sweeps: acts, least and most labels exposed.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from detector.assembly import build_pipeline
from detector.clock import SystemClock
from detector.config import Camera, EdgeConfig
from detector.inference.gate import MotionGate
from detector.inference.letterbox import Letterbox
from detector.inference.looker import SceneLooker
from detector.media.pictures import Bgr
from detector.sources import open_source
from detector.sources.live import LiveSource
from detector.sources.paired import PairedPicture, PairedSource
from detector.sources.recording import Recording
from detector.values import Box, Detections, Frame, IncidentKind
from tests.bench.density import DEMO, made
from tests.sources.conftest import RtspServer

FPS = 20
STREAMS = {"large": (1920, 1080, 4_000_000), "small": (640, 360, 500_000)}
CLOSE = ((600, 300, 1000, 700), (1100, 200, 1500, 600))  # what is looked at closely
WARM_UP_S = 8.0


class Preparing:
    """Prepares pictures for a network and has none."""

    def __init__(self) -> None:
        self._letterbox = Letterbox()

    def detect(self, frame: Frame, people: Iterable[Box] = (), turns: object = None) -> Detections:
        """Nothing, after all that has to be done for it."""
        self._letterbox(frame.picture, 640)
        for square in CLOSE:
            self._letterbox(Bgr(frame.picture.cropped(*square)), 320)
        return Detections.empty()


def raw(clip: Path, folder: Path, seconds: float = 14.0) -> dict[str, Path]:
    """The two streams of a camera, made of a clip."""
    paths = {}
    for name, (width, height, rate) in STREAMS.items():
        paths[name] = folder / f"{name}.h264"
        if paths[name].exists():
            continue
        with av.open(str(clip)) as source, av.open(str(paths[name]), "w", format="h264") as container:
            stream = container.add_stream("libx264", rate=FPS, options={"preset": "veryfast", "g": "40", "bf": "0"})
            stream.width, stream.height, stream.pix_fmt, stream.bit_rate = width, height, "yuv420p", rate
            for n, frame in zip(range(round(FPS * seconds)), source.decode(video=0), strict=False):
                coded = frame.reformat(width, height, "yuv420p")
                coded.pts = n
                container.mux(stream.encode(coded))
            container.mux(stream.encode(None))
    return paths


def cpu_s(pid: int | str = "self") -> float:
    """Processor seconds of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def watched(camera: Camera, *, busy: bool, seconds: float) -> dict[str, Any]:
    """Watch a camera for some seconds."""
    stop = threading.Event()
    source = open_source(camera, fps=5, clock=SystemClock(), stop=stop, on_packet=lambda packet, form: None)
    looker = SceneLooker(Preparing(), None if busy else MotionGate)
    frames = [0]

    def consume() -> None:
        for frame in source:
            if looker.glance(frame) and busy:
                looker.look(frame)
            frames[0] += 1

    thread = threading.Thread(target=consume)
    thread.start()
    time.sleep(WARM_UP_S)
    assert isinstance(source, (LiveSource, PairedSource))
    streams = [source] if isinstance(source, LiveSource) else [source._large, source._small]
    pids = [stream._reader.pid for stream in streams if stream._reader is not None]
    began, worker, readers, seen = time.monotonic(), cpu_s(), [cpu_s(pid) for pid in pids], frames[0]
    decoded = sum(stream.stats.frames_in for stream in streams)
    time.sleep(seconds)
    span_s = time.monotonic() - began
    told = {
        "worker": round((cpu_s() - worker) / span_s, 4),
        "readers": [round((cpu_s(pid) - before) / span_s, 4) for pid, before in zip(pids, readers, strict=True)],
        "frames_looked_at_fps": round((frames[0] - seen) / span_s, 2),
        "decoded_fps": round((sum(stream.stats.frames_in for stream in streams) - decoded) / span_s, 1),
    }
    stop.set()
    thread.join(10)
    source.close()
    return told | {"all": round(told["worker"] + sum(told["readers"]), 4)}


def sweeps(how: str) -> list[tuple[int, int, int]]:
    """Those found in the demo clip: `plain`, `both` streams, or `small` alone."""
    camera = Camera(name="cam", source="rtsp://10.0.0.1/1")
    config = EdgeConfig(site="bench", edge="one", cameras=[camera])
    pipeline = build_pipeline(config, camera)
    updates = []
    for frame in Recording(DEMO, camera="cam", start_at=1_800_000_000.0, fps=5):
        if how != "plain":
            coded = cv2.imencode(".jpg", frame.picture.resized(640, 360), [cv2.IMWRITE_JPEG_QUALITY, 70])[1]
            small = Bgr(np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), np.uint8))
            detail = frame.picture if how == "both" else None
            frame = replace(frame, picture=PairedPicture(frame.size, small, detail, lambda: None))
        updates += pipeline.process(frame)
    last = {update.after.id: update.after for update in [*updates, *pipeline.finish()]}
    return [
        (len(one.acts), one.labels_exposed.low, one.labels_exposed.high)
        for one in last.values()
        if one.kind is IncidentKind.LABEL_PHOTOGRAPHY
    ]


def main() -> None:
    """Measure and print."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 30.0
    cv2.setNumThreads(1)
    paths = raw(made(folder)["busy"], folder)
    servers = {name: RtspServer(path, fps=FPS) for name, path in paths.items()}
    for server in servers.values():
        server.start()
    try:
        alone = Camera(name="cam", source=servers["large"].url)
        both = Camera(name="cam", source=servers["large"].url, substream=servers["small"].url)
        told: dict[str, Any] = {}
        for what, busy in (("quiet", False), ("busy", True)):
            told[what] = {
                "large_alone": watched(alone, busy=busy, seconds=seconds),
                "both": watched(both, busy=busy, seconds=seconds),
            }
            told[what]["ratio"] = round(told[what]["large_alone"]["all"] / told[what]["both"]["all"], 2)
            print(json.dumps({what: told[what]}), file=sys.stderr, flush=True)
    finally:
        for server in servers.values():
            server.kill()
    told["sweeps"] = {how: sweeps(how) for how in ("plain", "both", "small")}
    print(json.dumps(told, indent=1))


if __name__ == "__main__":
    main()
