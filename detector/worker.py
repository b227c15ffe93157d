"""Live: every camera of one edge box in one process. A configuration enters; alerts, clips and health leave.

    source ─► Pipeline ─► AlertSink ─► outbox ─► MqttLink, ClipUploads      one thread and one pipeline a camera
       └─ packets ─► PacketRing ─► ClipRecorder ─┘

A camera's trouble stays its own: a source connects again by itself, and a pipeline that fails is built anew.
"""

from __future__ import annotations

import faulthandler
import json
import logging
import os
import signal
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from detector import wire
from detector.alerts.sink import LOOK_BACK_S, AlertSink
from detector.census import Census
from detector.clock import LASTING_S, Clock, Correction, SystemClock
from detector.config import Camera, EdgeConfig
from detector.edge.camera_worker import CameraWorker
from detector.edge.delivery import Delivery, open_delivery
from detector.edge.health import edge_health, edge_layout, status_line
from detector.edge.last_good import Origin
from detector.edge.learned import LearnedFile
from detector.edge.memory import available_mb
from detector.edge.relief import Relief
from detector.edge.restarts import Restarts
from detector.edge.supervisor import BEGIN_ANEW
from detector.edge.turns import Turns
from detector.edge.watchdog import LONGEST_SPARED_S, Part, Watchdog
from detector.errors import StoreError
from detector.machine.heap import RETURN_EVERY_S, forget_garbage_early, return_free_pages, return_freed_memory
from detector.machine.notify import Notifier
from detector.machine.whole_files import write_whole
from detector.media.packets import PacketRing

if TYPE_CHECKING:
    from detector.alerts.outbox import Outbox

logger = logging.getLogger(__name__)
HEALTH_EVERY_S = 10.0
DRAIN_S = 60.0
LINK_UP_S = 8.0
STOP_S = 2.5  # for the cameras; what delivers has 1.5 s more
STOP_BY_S = 4.7
RUNNING_S = 5.0  # a configuration that a worker ran with for so long is good
MEMORY_SHARE = 0.75
CLOSENESS_S = 4 * 3600.0  # of people in view, as told how close they come of late


def run(
    config: EdgeConfig, *, once: bool = False, stop: threading.Event | None = None, origin: Origin | None = None
) -> int:
    """Watch every camera until told to stop, or until recordings that don't loop have been played.

    Then, too, `worker-summary.json` is written to the data folder: `frames` looked at, `incidents` by kind,
    `published` alerts, `waiting` alerts that the hub has not confirmed, `clips`, and `cameras`.

    Args:
        config: The edge's configuration.
        once: Play looping recordings once.
        stop: Ends it when set, beside SIGTERM and SIGINT; open incidents are ended and everything is kept.
        origin: Where the configuration came from; told when a worker runs with it.

    Returns:
        0; 1 when a recording could not be played; `BEGIN_ANEW` when only a new process helps.

    Raises:
        LabelwatchError: It can't begin: no model, a data folder that can't be used.
    """
    stop = stop or threading.Event()
    notifier = Notifier()
    _stop_on_signals(stop, notifier)
    _one_thread_each()
    return_freed_memory()
    clock = SystemClock()
    # Alerts of an earlier run go out while the model is still being loaded.
    with open_delivery(config, clock) as delivery:
        _take_over_from_cameras_gone(config, delivery.outbox)
        cameras = _cameras(config, once, delivery, clock, stop)
        watch = _Watch(config, cameras, delivery, origin, notifier, clock)
        try:
            for camera in cameras:
                camera.start()
            forget_garbage_early()
            notifier.tell("READY=1")
            anew = watch.until(stop)
            if not stop.is_set() and not anew:
                drained = _drained(delivery, clock, stop, notifier)
                _write_summary(config.data_dir / "worker-summary.json", cameras, delivery.outbox, drained)
        finally:
            notifier.tell("STOPPING=1")
            stop.set()
            delivery.stop_uploads()
            _join(cameras, clock)
    if anew:
        return BEGIN_ANEW
    return 1 if any(camera.failure for camera in cameras) else 0


def _take_over_from_cameras_gone(config: EdgeConfig, outbox: Outbox) -> None:
    """Send on clips left unfinished, and end what was open, at cameras no longer watched; the others see to theirs."""
    try:
        left = {file.parent.name for file in (config.data_dir / "clips").glob("*/*.part")}
        left |= {fields["camera"] for fields in outbox.left_open()}
        for name in left - {camera.name for camera in config.cameras}:
            AlertSink(config, Camera(name=name, source="gone"), outbox, PacketRing(0.0)).salvage()
    except (StoreError, OSError, ValueError) as error:  # the cameras that are there are watched all the same
        logger.error("what cameras that are gone have left stays until the next start: %s", error)


def _cameras(
    config: EdgeConfig, once: bool, delivery: Delivery, clock: Clock, stop: threading.Event
) -> list[CameraWorker]:
    from detector.alerts.census import CameraCensus
    from detector.assembly import build_closeness, build_pipeline
    from detector.inference import load_detector
    from detector.sources import open_source

    detector = load_detector(config.analysis)
    tuned, zoned, turns, relief = delivery.tuned, delivery.zoned, Turns(), Relief(config.analysis.rest)

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
            sink=AlertSink(config, camera, delivery.outbox, ring, delivery.films[camera.name]),
            ring=ring,
            clock=clock,
            stop=stop,
            silent_s=config.rules.tamper.silent_s,
            learned=LearnedFile.of(config.data_dir / "learned", camera.name, camera.turned or 0),
            zones=lambda: zoned.camera(camera.name),
            pictures=delivery.pictures[camera.name],
            census=CameraCensus(camera.name, send_census),
            turns=turns,
            relief=relief,
            least_fps=config.rules.photo.least_fps,
            closeness=build_closeness(config.analysis.model, CLOSENESS_S),
            least_score=tuned.least_score(camera.name),
        )

    return [worker(camera.model_copy(update={"loop": False}) if once else camera) for camera in config.cameras]


class _Watch:
    """The main thread's work while the cameras run: health is told, silence is noticed, what is stuck is helped.

    When the machine's clock was set the worker begins anew: its own may not follow, since frames, incidents and clips
    of one process lie on one line of time, which a step would tear. The more often it began anew of late, the longer
    the two must be apart, so that a box whose clock never rests still watches.
    """

    def __init__(
        self,
        config: EdgeConfig,
        cameras: list[CameraWorker],
        delivery: Delivery,
        origin: Origin | None,
        notifier: Notifier,
        clock: Clock,
    ) -> None:
        self._config = config
        self._cameras = cameras
        self._delivery = delivery
        self._origin = origin
        self._notifier = notifier
        self._clock = clock
        self._restarts = Restarts(config.data_dir / "restarts.json", clock.now())
        settings = config.supervision
        parts = [camera_part(camera, settings.stuck_s) for camera in cameras] + delivery.parts()
        memory_mb = settings.memory_mb or MEMORY_SHARE * available_mb()
        self._watchdog = Watchdog(parts, memory_mb, len(self._restarts))
        self._correction = Correction(clock, min(LASTING_S * 2.0 ** len(self._restarts), LONGEST_SPARED_S))
        self._running_at = clock.now() + RUNNING_S
        self._report_at = clock.now()
        self._return_at = 0.0
        self._layout: object = None

    def until(self, stop: threading.Event) -> bool:
        """Go on until all cameras have ended, or `stop`; tells whether the process is to begin anew."""
        anew = False
        while any(camera.running for camera in self._cameras) and not anew and not stop.wait(0.2):
            now = self._clock.now()
            for camera in self._cameras:
                camera.watch_silence(now)
            self._watchdog.step(now)
            anew = self._is_to_begin_anew()
            self._tell_what_is_due(now)
            if time.monotonic() >= self._return_at:
                return_free_pages()
                self._return_at = time.monotonic() + RETURN_EVERY_S
            self._notifier.alive()
        self._report_at = 0.0
        self._tell_what_is_due(self._clock.now())
        return anew

    def _is_to_begin_anew(self) -> bool:
        """Not while a camera that gets on still owes to an outbox that takes nothing: that would be lost."""
        why = self._watchdog.restart or self._clock_set()
        if why is None or any(c.sink.owed for c in self._cameras if not self._watchdog.stuck(part_name(c))):
            return False
        logger.error("the worker begins anew: %s", why)
        self._restarts.note(time.time(), why)  # the next process goes by the machine's clock
        return True

    def _clock_set(self) -> str | None:
        apart_s = self._correction.seen_s()
        return f"the machine's clock was set, ours is off by {-apart_s:+.1f} s" if apart_s else None

    def _tell_what_is_due(self, now: float) -> None:
        try:
            self._tell(now)
        except Exception:  # that something can't be told is no reason not to watch
            logger.exception("health can't be told")

    def _tell(self, now: float) -> None:
        # Before the health that says that zones are in force: who saw that reads them here.
        layout = self._delivery.zoned.version, tuple(camera.size for camera in self._cameras)
        if layout != self._layout:
            self._layout = layout
            self._delivery.link.publish_layout(edge_layout(self._cameras, self._delivery, now))
        news = self._delivery.tuned.news, self._delivery.zoned.news
        if now >= self._report_at or any(one.is_set() for one in news):
            self._report_at = now + HEALTH_EVERY_S
            for one in news:
                one.clear()
            self._publish_health()
        if self._origin is not None and not self._origin.reached_running and now >= self._running_at:
            self._origin.running(self._config, now)

    def _publish_health(self) -> None:
        link, now = self._delivery.link, self._clock.now()
        acked_s = round(now - link.last_ack_at, 1) if link.last_ack_at is not None else None
        supervision = {"supervision": {**self._watchdog.health(), **self._restarts.health(now), "last_ack_s": acked_s}}
        origin = {"config": self._origin.health()} if self._origin else {}
        told = edge_health(self._cameras, self._delivery, now) | supervision | origin
        for camera in self._cameras:
            if stuck := self._watchdog.stuck(part_name(camera)):
                told["cameras"][camera.camera.name] |= {"state": "stuck", "trouble": "stuck", "reason": stuck}
        link.publish_health(told)
        self._notifier.tell(f"STATUS={status_line(told, link.connected)}")


def part_name(camera: CameraWorker) -> str:
    """What the watchdog calls a camera."""
    return f"camera {camera.camera.name}"


def camera_part(camera: CameraWorker, stuck_s: float) -> Part:
    """A camera as something that must get on; a recording may end."""
    return Part(part_name(camera), camera.pulses, lambda: camera.running or not camera.camera.live, stuck_s)


def _join(cameras: list[CameraWorker], clock: Clock) -> None:
    """Wait for the cameras to end, some seconds all together."""
    deadline = clock.now() + STOP_S
    for camera in cameras:
        if not camera.join(max(0.0, deadline - clock.now())):
            logger.warning("does not stop in time camera=%s", camera.camera.name)


def _drained(delivery: Delivery, clock: Clock, stop: threading.Event, notifier: Notifier) -> bool:
    """Wait until the hub has everything, as long as there is a broker that could bring it there."""
    outbox, link = delivery.outbox, delivery.link
    began = linked_at = clock.now()
    while not outbox.wait_drained(0.5, clips=delivery.uploads is not None):
        now = clock.now()
        notifier.alive()
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
    write_whole(path, json.dumps(summary, ensure_ascii=False, indent=1), lasting=False)


def _stop_on_signals(stop: threading.Event, notifier: Notifier) -> None:
    """SIGTERM, SIGINT and a closed terminal set `stop`, and once more end the process at once.

    Only the main thread may ask for that. SIGHUP stays ignored where it was (`nohup`).
    What doesn't stop in time is ended too, and where its threads are is written down: a kill loses nothing.
    """

    def told(number: int, _frame: FrameType | None) -> None:
        if stop.is_set():
            os._exit(128 + number)
        stop.set()
        notifier.tell("STOPPING=1")
        faulthandler.dump_traceback_later(STOP_BY_S, exit=True, file=sys.__stderr__ or 2)

    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, told)


def _one_thread_each() -> None:
    """Cameras share the cores by threads of their own; libraries that start more of them only get in their way."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    import cv2

    cv2.setNumThreads(1)
