"""Live: every camera of one edge box in one process. A configuration enters; alerts, clips and health leave.

    source ─► Pipeline ─► AlertSink ─► outbox ─► MqttLink, ClipUploads      one thread and one pipeline a camera
       └─ packets ─► PacketRing ─► ClipRecorder ─┘

A camera's trouble stays its own: a source connects again by itself, and a pipeline that fails is built anew.
"""

from __future__ import annotations

import ctypes
import json
import logging
import os
import signal
import threading
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from detector import wire
from detector.alerts.sink import LOOK_BACK_S, AlertSink
from detector.camera_worker import CameraWorker
from detector.census import Census
from detector.clock import Clock, SystemClock
from detector.config import Camera, EdgeConfig
from detector.delivery import Delivery, open_delivery
from detector.edge_health import edge_health, edge_layout
from detector.learned import LearnedFile
from detector.packets import PacketRing

if TYPE_CHECKING:
    from detector.alerts.mqtt import MqttLink
    from detector.alerts.outbox import Outbox

logger = logging.getLogger(__name__)
HEALTH_EVERY_S = 10.0
DRAIN_S = 60.0
LINK_UP_S = 8.0
STOP_S = 3.0


def run(config: EdgeConfig, *, once: bool = False, stop: threading.Event | None = None) -> int:
    """Watch every camera until told to stop, or until recordings that don't loop have been played.

    Then, too, `worker-summary.json` is written to the data folder: `frames` looked at, `incidents` by kind,
    `published` alerts, `waiting` alerts that the hub has not confirmed, `clips`, and `cameras`.

    Args:
        config: The edge's configuration.
        once: Play looping recordings once.
        stop: Ends it when set, beside SIGTERM and SIGINT; open incidents are ended and everything is kept.

    Returns:
        0; 1 when a recording could not be played.

    Raises:
        LabelwatchError: It can't begin: no model, a data folder that can't be used.
    """
    stop = stop or threading.Event()
    _stop_on_signals(stop)
    _one_thread_each()
    _return_freed_memory()
    clock = SystemClock()
    # Alerts of an earlier run go out while the model is still being loaded.
    with open_delivery(config, clock) as delivery:
        outbox, link = delivery.outbox, delivery.link
        _end_for_cameras_gone(config, outbox)
        cameras = _cameras(config, once, delivery, clock, stop)
        try:
            for camera in cameras:
                camera.start()
            _watch(cameras, delivery, clock, stop)
            if not stop.is_set():
                drained = _drained(outbox, link, clock, stop)
                _write_summary(config.data_dir / "worker-summary.json", cameras, outbox, drained)
        finally:
            stop.set()
            _join(cameras, clock)
    return 1 if any(camera.failure for camera in cameras) else 0


def _end_for_cameras_gone(config: EdgeConfig, outbox: Outbox) -> None:
    """End what was open at cameras that are no longer watched; the others' sinks see to theirs."""
    names = {camera.name for camera in config.cameras}
    for fields in outbox.left_open():
        if fields["camera"] not in names:
            outbox.put(wire.cut_off(fields))


def _cameras(
    config: EdgeConfig, once: bool, delivery: Delivery, clock: Clock, stop: threading.Event
) -> list[CameraWorker]:
    from detector.alerts.census import CameraCensus
    from detector.assembly import build_pipeline
    from detector.inference import load_detector
    from detector.sources import open_source

    detector = load_detector(config.analysis)
    tuned, zoned = delivery.tuned, delivery.zoned

    def send_census(census: Census) -> None:
        delivery.link.publish_census(wire.census_payload(delivery.topics, census, delivery.key))

    def worker(camera: Camera) -> CameraWorker:
        ring = PacketRing(config.incidents.pre_roll_s + LOOK_BACK_S)
        return CameraWorker(
            camera,
            build=lambda: build_pipeline(config, zoned.camera(camera.name), detector, tuned.least_score(camera.name)),
            open_source=lambda on_packet: open_source(
                camera, fps=config.analysis.fps, clock=clock, stop=stop, on_packet=on_packet
            ),
            sink=AlertSink(config, camera, delivery.outbox, ring),
            ring=ring,
            clock=clock,
            stop=stop,
            silent_s=config.rules.tamper.silent_s,
            learned=LearnedFile(config.data_dir / "learned" / f"{camera.name}.json"),
            zones=lambda: zoned.camera(camera.name),
            pictures=delivery.pictures[camera.name],
            census=CameraCensus(camera.name, send_census),
        )

    return [worker(camera.model_copy(update={"loop": False}) if once else camera) for camera in config.cameras]


def _watch(cameras: list[CameraWorker], delivery: Delivery, clock: Clock, stop: threading.Event) -> None:
    """Tell of everyone's health until all cameras have ended, or `stop`; and of their zones when these change."""
    report_at = clock.now()
    news = delivery.tuned.news, delivery.zoned.news
    told: object = None
    while any(camera.running for camera in cameras) and not stop.wait(0.2):
        now = clock.now()
        for camera in cameras:
            camera.watch_silence(now)
        if now >= report_at or any(one.is_set() for one in news):
            report_at = now + HEALTH_EVERY_S
            for one in news:
                one.clear()
            delivery.link.publish_health(edge_health(cameras, delivery, now))
        layout = delivery.zoned.version, tuple(camera.size for camera in cameras)
        if layout != told:
            told = layout
            delivery.link.publish_layout(edge_layout(cameras, delivery, now))
    delivery.link.publish_health(edge_health(cameras, delivery, clock.now()))


def _join(cameras: list[CameraWorker], clock: Clock) -> None:
    """Wait for the cameras to end, some seconds all together."""
    deadline = clock.now() + STOP_S
    for camera in cameras:
        if not camera.join(max(0.0, deadline - clock.now())):
            logger.warning("does not stop in time camera=%s", camera.camera.name)


def _drained(outbox: Outbox, link: MqttLink, clock: Clock, stop: threading.Event) -> bool:
    """Wait until the hub has everything, as long as there is a broker that could bring it there."""
    began = linked_at = clock.now()
    while not outbox.wait_drained(0.5):
        now = clock.now()
        linked_at = now if link.connected else linked_at
        if stop.is_set() or now - began > DRAIN_S or now - linked_at > LINK_UP_S:
            return False
    return True


def _write_summary(path: Path, cameras: list[CameraWorker], outbox: Outbox, drained: bool) -> None:
    incidents: Counter[str] = sum((camera.sink.incidents for camera in cameras), Counter())
    summary = {
        "frames": sum(camera.frames for camera in cameras),
        "incidents": dict(incidents),
        "published": sum(camera.sink.published for camera in cameras),
        "waiting": outbox.counts()["backlog"],
        "drained": drained,
        "clips": sum(camera.sink.clips for camera in cameras),
        "cameras": {
            camera.camera.name: {"frames": camera.frames, "crashes": camera.crashes, "failure": camera.failure}
            for camera in cameras
        },
    }
    draft = path.with_name(f".{path.name}.draft")
    draft.write_text(json.dumps(summary, ensure_ascii=False, indent=1), encoding="utf-8")
    draft.replace(path)


def _stop_on_signals(stop: threading.Event) -> None:
    """SIGTERM and SIGINT set `stop`; only the main thread may ask for that."""
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())


def _one_thread_each() -> None:
    """Cameras share the cores by threads of their own; libraries that start more of them only get in their way."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    import cv2

    cv2.setNumThreads(1)


def _return_freed_memory() -> None:
    """Have large blocks mapped and unmapped singly, and two heaps instead of one a thread (glibc; elsewhere nothing).

    Frames and network inputs of some megabytes come and go in every camera's thread; kept in heaps they cost a tenth
    of the worker's memory. Measured on the demo clip: 260 MB without, 239 MB with, at the same CPU time.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return
    arenas, mmap_threshold, trim_threshold = -8, -3, -1  # M_ARENA_MAX, M_MMAP_THRESHOLD, M_TRIM_THRESHOLD
    mallopt(arenas, 2)
    mallopt(mmap_threshold, 500_000)
    mallopt(trim_threshold, 1_000_000)
