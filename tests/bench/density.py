"""How many 720p cameras one core watches: `python -m tests.bench.density FOLDER [PRECISION [costs | N [REST]]]`.

Cameras are recordings played in a loop by the real worker parts: source, gate, turns, network, tracker, rules, alerts.
They live in the time of a box that has one core to itself: its clock goes on by the processor time that this process
uses, and over the gaps in which every camera sleeps. So the figures are those of one core whatever else this machine
does, and a run that keeps a core busy for a minute is a minute long.

Clips are made from the demo's, once, in FOLDER: busy (people in 40 % of 50 s), quiet (in 10 % of 100 s), and a small
one where something moves and nobody is. Told as JSON: processor seconds a camera-second; the cameras that fit into 70 %
of a core; at that load, at three times as many cameras, and where everything moves, how often each kind is looked at,
what was dropped, and whether the demo clip's sweep, which one of them shows, is found.
"""

from __future__ import annotations

import json
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from detector.alerts.identity import load_identity
from detector.alerts.outbox import Outbox
from detector.alerts.sink import LOOK_BACK_S, AlertSink
from detector.assembly import build_pipeline
from detector.bench.clips import ClipMaker, Sequence
from detector.clock import Clock
from detector.config import Analysis, Camera, EdgeConfig, Rest
from detector.edge.camera_worker import CameraWorker
from detector.edge.relief import Relief
from detector.edge.turns import Turns
from detector.inference import load_detector
from detector.inference.looker import Detector
from detector.media.packets import PacketRing
from detector.sources.played import PlayedFile
from detector.worker import HEALTH_EVERY_S
from tests.conftest import REPOSITORY

DEMO = REPOSITORY / "configs/demo/sweep_near.mp4"
START = 1_800_000_000.0
PLANNED = 0.7  # share of a core
BUSY = Sequence("busy", 15.0, 20.0, 15.0)
QUIET = Sequence("quiet", 30.0, 10.0, 60.0)
OVERLOAD = 3
PART_S = 4
SPAN_S = 40.0  # of the runs with many cameras: the demo clip is shown in it twice at least


Reports = dict[str, dict[str, Any]]


class OneCore:
    """The clock of a box with one core."""

    def __init__(self, cameras: int) -> None:
        self._cameras = cameras
        self._from_s = time.process_time()
        self._idle_s = 0.0
        self._wake_at: dict[int, float] = {}
        self._changed = threading.Condition()

    def now(self) -> float:
        """START plus processor seconds used and idle seconds skipped."""
        return START + time.process_time() - self._from_s + self._idle_s

    def sleep(self, seconds: float) -> None:
        """Until time has gone on so far; at once where nobody else does anything."""
        me = threading.get_ident()
        with self._changed:
            self._wake_at[me] = wake_at = self.now() + seconds
            if len(self._wake_at) >= self._cameras:
                self._idle_s += max(0.0, min(self._wake_at.values()) - self.now())
                self._changed.notify_all()
            while (left := wake_at - self.now()) > 0:
                self._changed.wait(max(0.002, left / 2))
                if len(self._wake_at) >= self._cameras:
                    self._idle_s += max(0.0, min(self._wake_at.values()) - self.now())
            del self._wake_at[me]


@dataclass(frozen=True)
class Kind:
    """So many cameras that play a clip, each from another part of it on, so that not all show the same at once."""

    name: str
    clip: Path
    count: int


def parts(clip: Path, folder: Path) -> list[Path]:
    """A clip cut at key frames into parts of some seconds, uncoded."""
    found: list[Path] = []
    with av.open(str(clip)) as source:
        video, container, began = source.streams.video[0], None, 0
        for packet in source.demux(video):
            if packet.dts is None or packet.pts is None or packet.time_base is None:
                continue
            if container is None or (packet.is_keyframe and (packet.dts - began) * packet.time_base >= PART_S):
                if container is not None:
                    container.close()
                found.append(folder / f"{clip.stem}{len(found)}.mp4")
                container, began = av.open(str(found[-1]), "w"), packet.dts
                stream = container.add_stream_from_template(video)
            packet.pts, packet.dts, packet.stream = packet.pts - began, packet.dts - began, stream
            container.mux(packet)
        if container is not None:
            container.close()
    return found


def turned(clips: list[Path], by: float, folder: Path) -> Path:
    """A folder that plays the parts of a clip from that share of them on."""
    folder.mkdir()
    first = round(by * len(clips)) % len(clips)
    for n, clip in enumerate(clips[first:] + clips[:first]):
        (folder / f"{n:03}.mp4").symlink_to(clip)
    return folder


def run(
    kinds: list[Kind],
    detector: Detector,
    analysis: Analysis,
    span_s: float,
    warm_up_s: float = 10.0,
    clock: Clock | None = None,
) -> dict[str, Any]:
    """Watch for so long, one look at a time; rates are of the time after `warm_up_s`."""
    clock, stop = clock or OneCore(sum(kind.count for kind in kinds) + 1), threading.Event()
    turns, relief = Turns(1, now=clock.now), Relief(analysis.rest)
    with tempfile.TemporaryDirectory() as folder:
        cameras = []
        for kind in kinds:
            cut = parts(kind.clip, Path(folder))
            for n in range(kind.count):
                source = turned(cut, n / kind.count, Path(folder) / f"{kind.name}{n}")
                cameras.append(Camera(name=source.name, source=str(source), loop=True))
        config = EdgeConfig(site="bench", edge="one", data_dir=Path(folder), cameras=cameras, analysis=analysis)
        outbox = Outbox(Path(folder) / "outbox.db", load_identity(Path(folder)), clock=clock)

        def worker(camera: Camera) -> CameraWorker:
            ring = PacketRing(config.incidents.pre_roll_s + LOOK_BACK_S)
            return CameraWorker(
                camera,
                build=lambda: build_pipeline(config, camera, detector),
                open_source=lambda on_packet: PlayedFile(
                    Path(camera.source), camera=camera.name, fps=analysis.fps, clock=clock, stop=stop, loop=True,
                    on_packet=on_packet,
                ),
                sink=AlertSink(config, camera, outbox, ring),
                ring=ring,
                clock=clock,
                stop=stop,
                turns=turns,
                relief=relief,
            )  # fmt: skip

        workers = [worker(camera) for camera in cameras]
        for one in workers:
            one.start()
        before = _watched(clock, workers, warm_up_s)
        began, cpu_s = clock.now(), time.process_time()
        after = _watched(clock, workers, span_s)
        ended, cpu_s = clock.now(), time.process_time() - cpu_s
        stop.set()
        for one in workers:
            one.join(60)
        outbox.close()
        assert not any(one.crashes for one in workers)
        return {
            "cameras": len(cameras),
            "load": round(cpu_s / (ended - began), 3),
            **{kind.name: _rates(before, after, kind.name, ended - began) for kind in kinds},
            "sweeps": {one.camera.name: n for one in workers if (n := one.sink.incidents["label_photography"])},
        }


def _watched(clock: Clock, workers: list[CameraWorker], span_s: float) -> Reports:
    """Health of every camera after so many seconds; it is asked for all the while, as a worker does."""
    until = clock.now() + span_s
    while True:
        clock.sleep(min(HEALTH_EVERY_S, max(0.0, until - clock.now())))
        reports = {one.camera.name: one.health(clock.now()) for one in workers}
        if clock.now() >= until:
            return reports


def _rates(before: Reports, after: Reports, kind: str, span_s: float) -> dict[str, Any]:
    """Looks a second of the cameras of a kind: least, mean and most; and frames passed over and dropped a second."""
    names = [name for name in before if name.rstrip("0123456789") == kind]
    looks, passed, dropped = (
        [(after[name][what] - before[name][what]) / span_s for name in names]
        for what in ("analysed", "passed_over", "dropped")
    )
    return {
        "cameras": len(names),
        "looks": [round(value, 2) for value in (min(looks), sum(looks) / len(looks), max(looks))],
        "passed_over": round(sum(passed) / len(passed), 2),
        "dropped": round(sum(dropped) / len(dropped), 2),
        "wait_s": round(max(after[name]["wait_s"] for name in names), 3),
    }


def made(folder: Path) -> dict[str, Path]:
    """The clips, made where they aren't there yet."""
    paths = {name: folder / f"{name}.mp4" for name in ("busy", "quiet", "moving")}
    maker = None
    for sequence in (BUSY, QUIET):
        if not paths[sequence.name].exists():
            _say(f"making {sequence.name}")
            maker = maker or ClipMaker(DEMO)
            maker.make(sequence, paths[sequence.name])
    if not paths["moving"].exists():
        _say("making moving")
        _make_moving(paths["quiet"], paths["moving"])
    return paths


def _make_moving(quiet: Path, path: Path, seconds: float = 10.0) -> None:
    """Stillness with a bright square that goes to and fro: worth a look at every frame, and nobody is there."""
    with av.open(str(quiet)) as source, av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=20, options={"preset": "veryfast", "g": "40", "bf": "0"})
        stream.width, stream.height, stream.pix_fmt = 640, 360, "yuv420p"
        for n, frame in zip(range(round(20 * seconds)), source.decode(video=0), strict=False):
            image = np.ascontiguousarray(frame.to_ndarray(format="bgr24", width=640, height=360))
            x = round(300 + 250 * np.sin(2 * np.pi * n / (20 * seconds)))
            cv2.rectangle(image, (x, 40), (x + 30, 70), (230, 230, 230), -1)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, "bgr24")))
        container.mux(stream.encode(None))


def _say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


def measured(folder: Path, precision: str = "fp32", what: str = "all", rest: Rest = "never") -> dict[str, Any]:
    """Everything for one precision; `what` may be `costs`, or the number of busy and of quiet cameras that fit."""
    clips = made(folder)
    cv2.setNumThreads(1)
    analysis = Analysis(precision=precision, rest=rest)  # type: ignore[arg-type]
    detector = load_detector(analysis)
    told: dict[str, Any] = {"precision": precision, "rest": rest}
    for name, span_s in (("busy", BUSY.seconds), ("quiet", QUIET.seconds)) if not what.isdigit() else ():
        alone = run([Kind(name, clips[name], 1)], detector, analysis, span_s)
        told[name] = {
            "cpu_s_per_camera_s": alone["load"],
            "cameras_per_core": round(PLANNED / alone["load"], 1),
            "looks": alone[name]["looks"][1],
        }
        _say(json.dumps({name: told[name]}))
    if what == "costs":
        return told
    costs = [told[name]["cpu_s_per_camera_s"] for name in ("busy", "quiet") if name in told]
    pairs = int(what) if what.isdigit() else max(1, round(PLANNED / sum(costs)))

    def box(times: int) -> list[Kind]:
        """The demo's camera, before which somebody is all the time, has as much to do as two busy ones."""
        busy = Kind("busy", clips["busy"], max(0, times * pairs - 2))
        quiet = Kind("quiet", clips["quiet"], times * pairs)
        return [Kind("demo", DEMO, 1), quiet, *([busy] if busy.count else [])]

    told["planned"] = run(box(1), detector, analysis, SPAN_S)
    _say(json.dumps({"planned": told["planned"]}))
    told["overloaded"] = run(box(OVERLOAD), detector, analysis, SPAN_S, warm_up_s=40.0)
    _say(json.dumps({"overloaded": told["overloaded"]}))
    # Nobody anywhere but before the demo's camera, and far more motion than can be looked at.
    moving = Kind("moving", clips["moving"], 2 * pairs * OVERLOAD - 1)
    told["motion"] = run([Kind("demo", DEMO, 1), moving], detector, analysis, SPAN_S)
    _say(json.dumps({"motion": told["motion"]}))
    return told


def main() -> None:
    """Measure and print."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    print(json.dumps(measured(folder, *sys.argv[2:5]), indent=1))


if __name__ == "__main__":
    main()
