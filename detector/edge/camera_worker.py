"""One camera's thread: frames enter; what its pipeline finds leaves for its sink."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from detector.alerts.sink import AlertSink
from detector.clock import Clock
from detector.config import Camera
from detector.edge.learned import Learned, LearnedFile
from detector.edge.load import Load
from detector.edge.relief import Relief
from detector.edge.silence import SilenceBook
from detector.edge.turns import Turns, urgency_of
from detector.errors import SourceError
from detector.machine.pulse import Pulse
from detector.media.packets import Packet, PacketRing, StreamFormat
from detector.media.shape import across, is_doubtful
from detector.pipeline import Pipeline, Source
from detector.rules.closeness import MOSTLY, Closeness
from detector.sources.stats import SourceStats
from detector.values import Frame, IncidentKind, IncidentUpdate, Phase, Sight

if TYPE_CHECKING:
    from detector.alerts.census import CameraCensus
    from detector.alerts.pictures import CameraPictures

logger = logging.getLogger(__name__)

CAMERA_THREAD = "camera-"  # names of threads begin so
PAUSE_S, LONG_PAUSE_S = 1.0, 60.0  # after a crash, and after the third within a minute
KEEP_EVERY_S = 600.0  # what is learned in days may lose some minutes when the power fails
SEEN_S = 600.0  # people in view for less don't show how close they come to this camera


class MeasuredSource(Source, Protocol):
    """A source that tells how it is doing."""

    @property
    def stats(self) -> SourceStats:
        """How it is doing."""

    def newest(self, frame: Frame) -> Frame:
        """A frame that has come since this one was given, or this one; an older one given up is counted as dropped."""

    def rest(self, resting: bool) -> None:
        """Whether nothing is going on there, so that less need be decoded."""


OnPacket = Callable[[Packet, StreamFormat], None]
OpenSource = Callable[[OnPacket], MeasuredSource]


class CameraWorker:
    """One camera's thread: frames from its source through its pipeline to its sink, until the source ends or `stop`.

    A pipeline that raises is logged, ended and built anew after a pause; a source that raises is opened anew. A stream
    that brings no picture for long is an incident of its own (`watch_silence`).

    Args:
        camera: Which.
        build: Makes its pipeline, first and after a crash.
        open_source: Opens its source, given where packets go.
        sink: Who is told.
        ring: Where packets go.
        clock: Tells the time of crashes and of health.
        stop: Ends it.
        silent_s: A live camera without a picture for so long is silent.
        learned: Where what its pipeline learns is kept over restarts; nowhere when left out.
        zones: What its pipeline is built for; when it becomes another object, the pipeline is ended and built anew.
        pictures: Is offered every frame that was looked at.
        census: Is offered the count of what lies there at each of them.
        turns: Where it asks for a turn before a frame is looked at; shared by all cameras.
        relief: Tells when its source may rest; shared by all cameras.
        least_fps: Frames a second, with fewer of which no act can be told.
        closeness: Counts who is too far off; nobody does when left out.
        least_score: Of findings that become incidents, by kind; may change at any time.

    Attributes:
        pulses: Tell whether its thread, and who brings its packets, get on; at rest while it waits for frames or turns.
        frames: Frames taken through the pipeline: looked at, or passed over.
        passed_over: Those of them that were not worth a look.
        crashes: Times the pipeline or the source raised.
        failure: Why a recording could not be played; `None` when nothing is wrong.
    """

    def __init__(
        self,
        camera: Camera,
        *,
        build: Callable[[], Pipeline],
        open_source: OpenSource,
        sink: AlertSink,
        ring: PacketRing,
        clock: Clock,
        stop: threading.Event,
        silent_s: float = 120.0,
        learned: LearnedFile | None = None,
        zones: Callable[[], object] = lambda: None,
        pictures: CameraPictures | None = None,
        census: CameraCensus | None = None,
        turns: Turns | None = None,
        relief: Relief | None = None,
        least_fps: float = 0.0,
        closeness: Closeness | None = None,
        least_score: Mapping[IncidentKind, float] | None = None,
    ) -> None:
        self.camera = camera
        self.sink = sink
        self.pulses = self._pulse, self._packet_pulse = Pulse(), Pulse()
        self.frames = 0
        self.passed_over = 0
        self.crashes = 0
        self.failure: str | None = None
        self._build = build
        self._open_source = open_source
        self._ring = ring
        self._clock = clock
        self._stop = stop
        self._silent_s, self._least_score = silent_s, least_score
        self._crashed_at: deque[float] = deque(maxlen=3)
        self._trouble: str | None = None
        self._source: MeasuredSource | None = None
        self._pipeline: Pipeline | None = None
        self._last_frame: Frame | None = None
        self._learned_file = learned
        self._learned: Learned = {}
        self._zones = zones
        self._built_for: object = None
        self._pictures = pictures
        self._census = census
        self._kept_at = clock.now()
        self._telling = threading.Lock()  # the sink is the camera's thread's, but who watches for silence is another
        self._looking = threading.Lock()  # and so is the pipeline
        self._silence: SilenceBook | None = None
        self._turns = turns or Turns()
        self._relief = relief or Relief()
        self._resting = self._rested = False
        self._closeness = closeness
        self._sight: Sight | None = None
        self._load = Load(clock.now(), least_fps if camera.live else 0.0)
        self._thread = threading.Thread(target=self._run, name=f"{CAMERA_THREAD}{camera.name}", daemon=True)

    def start(self) -> None:
        """Begin."""
        if self.camera.live:
            self._silence = SilenceBook(
                self.camera.name, self.sink, self._silent_s, self._clock.now(), self._least_score
            )
        self._thread.start()

    def join(self, timeout_s: float) -> bool:
        """Wait for its end, at most so many seconds; tells whether it has ended."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    @property
    def running(self) -> bool:
        """Whether it still has frames to look at."""
        return self._thread.is_alive()

    @property
    def size(self) -> tuple[int, int] | None:
        """Width and height of its pictures, pixels; `None` before the first."""
        return self._last_frame.size if self._last_frame else None

    def health(self, now: float) -> dict[str, Any]:
        """Fields for the health message; rates are since the last call."""
        stats = self._source.stats if self._source else SourceStats()
        looked_at = self.frames - self.passed_over
        rates = self._load.report(now, stats.frames_in, looked_at, self.passed_over, stats.dropped, rested=self._rested)
        self._rested, sparse = self._resting, rates.pop("sparse")
        self._relief.note(rates["behind"], now)
        state = "failing" if self._trouble else "ok" if stats.state == "online" else stats.state
        of_source = stats.last_error if stats.state != "online" or stats.lack else None
        return {
            "title": self.camera.title or self.camera.name,
            "state": state,
            "reason": self._trouble or self.failure or of_source or "",
            "trouble": stats.trouble,
            "lack": stats.lack or ("sparse" if sparse else self._squeezed() or self._too_far()),
            "resting": self._resting,
            **rates,
            "analysed": looked_at,
            "passed_over": self.passed_over,
            "dropped": stats.dropped,
            "decode_errors": stats.decode_errors,
            "reconnects": stats.reconnects,
            "restarts": stats.restarts,
            "killed": stats.killed,
            "crashes": self.crashes,
            "left_out": self._pipeline.left_out if self._pipeline else 0,
            "age_s": None if (last := stats.last_frame_at) is None else round(max(0.0, now - last), 1),
        }

    def _squeezed(self) -> str | None:
        if self.camera.aspect is not None or self.size is None:
            return None
        return "squeezed" if is_doubtful(across(self.size, self.camera.turned or 0)) else None

    def _too_far(self) -> str | None:
        seen = self._closeness
        return "far" if seen and seen.in_view_s >= SEEN_S and seen.too_far_s >= MOSTLY * seen.in_view_s else None

    def watch_silence(self, now: float) -> None:
        """Tell when no picture has come for long, and when pictures come again; ask often, from any thread."""
        if self._silence is None or not self._telling.acquire(blocking=False):
            return  # the camera is just being told of: it isn't silent
        try:
            heard_at = self._source.stats.last_frame_at if self._source else None
            self._silence.step(heard_at, now, self._last_frame, self._sight)
            if self._silence.unbroken:
                self.sink.tick(now)  # no frame will come to close clips, and to hand over what is owed
                self._end_open()
        except Exception:  # the watch over the others goes on
            logger.exception("silence can't be told camera=%s", self.camera.name)
        finally:
            self._telling.release()

    def _end_open(self) -> None:
        """End open incidents, since no frame will come to do it; not while what came last is still being looked at."""
        pipeline = self._pipeline
        if pipeline is None or not self._looking.acquire(blocking=False):
            return
        try:
            for update in pipeline.finish():
                self.sink.accept(update, self._last_frame)
        finally:
            self._looking.release()

    def _run(self) -> None:
        try:
            with self._telling:  # no pulse: many old clips on a slow disk may take their time
                self.sink.salvage(self._silence.take_up if self._silence else None)
        except Exception as error:  # old clips must not keep the camera from being watched
            logger.exception("clips can't be salvaged camera=%s: %s", self.camera.name, error)
        if self._learned_file:
            self._learned = self._learned_file.load()
        while not self._stop.is_set() and not self._watched_to_the_end():
            pass
        self._end_pipeline()
        if self._learned:  # what was put aside after crashes may have been innocent of them
            self._keep(self._learned)

    def _watched_to_the_end(self) -> bool:
        """Open the source and look at its frames; false when it has to be opened once more."""
        try:
            with self._pulse:
                self._source = self._open_source(self._take_packet)
            try:
                for frame in self._source:
                    with self._looking:
                        self._look(frame)
            finally:
                with self._pulse:
                    self._source.close()
        except SourceError as error:
            logger.warning("camera can't be played camera=%s: %s", self.camera.name, error)
            self.failure = str(error)
            if self.camera.loop:
                self._stop.wait(LONG_PAUSE_S)
            return not self.camera.loop
        except Exception as error:  # noqa: BLE001 - the camera must come back whatever happened
            self._crashed("source", error)
            return False
        return True

    def _take_packet(self, packet: Packet, stream: StreamFormat) -> None:
        with self._packet_pulse:
            self._ring.append(packet, stream)

    def _look(self, frame: Frame) -> None:
        self.failure = None
        self._last_frame = frame
        try:
            with self._pulse:
                pipeline = self._ready()
                is_worth_a_look = pipeline.glance(frame)
            if not is_worth_a_look:
                self.passed_over += 1
                with self._pulse:
                    self._tell(pipeline, frame, pipeline.process(frame))
            elif (asked := self._turns.take(urgency_of(self._sight), self._stop)) is not None:
                self._load.waited(asked.waited_s)
                with self._pulse:
                    try:
                        frame = self._last_frame = self._source.newest(frame) if self._source else frame
                        updates = pipeline.process(frame)
                    finally:  # what follows may wait for a disk
                        self._turns.give_back(asked)
                    self._tell(pipeline, frame, updates)
        except Exception as error:  # noqa: BLE001 - nor may one bad frame end the watch
            self._crashed("pipeline", error)

    def _tell(self, pipeline: Pipeline, frame: Frame, updates: list[IncidentUpdate]) -> None:
        with self._telling:
            for update in updates:
                self.sink.accept(update, frame)
            if pipeline.sight is not None:
                self._sight = pipeline.sight
                self.sink.see(pipeline.sight)
                if self._closeness is not None:
                    self._closeness.observe(pipeline.sight)
            self.sink.tick(frame.captured_at)
        self.frames += 1
        self._trouble = None
        self._resting = self._relief.may_rest(pipeline.calm_s, self._clock.now())
        self._rested = self._rested or self._resting
        if self._source is not None:
            self._source.rest(self._resting)
        # What was told of is known to the next worker even if this one is killed, or it would be news again.
        began = any(update.phase is Phase.NEW for update in updates)
        if began or self._clock.now() - self._kept_at >= KEEP_EVERY_S:
            self._keep(pipeline.learned())
        if self._pictures is not None and pipeline.scene is not None:
            if pipeline.sight is not None and pipeline.sight.first:
                self._pictures.begin_anew()
            self._pictures.offer(frame, pipeline.scene)
        if self._census is not None and pipeline.sight is not None:
            self._census.offer(frame.captured_at, pipeline.census)

    def _ready(self) -> Pipeline:
        """A pipeline for the zones in force; what one for others had found ends, what it had learned is kept."""
        wanted = self._zones()
        if self._pipeline is not None and wanted is not self._built_for:
            logger.info("zones have changed camera=%s", self.camera.name)
            self._end_pipeline()
        if self._pipeline is None:
            self._built_for = wanted
            self._pipeline = self._build()
            self._pipeline.recall(self._learned)
        return self._pipeline

    def _crashed(self, what: str, error: Exception) -> None:
        logger.exception("%s failed camera=%s, crash %d", what, self.camera.name, self.crashes + 1)
        self.crashes += 1
        self._trouble = f"{what}: {type(error).__name__}: {error}"
        self._end_pipeline()
        self._crashed_at.append(self._clock.now())
        often = len(self._crashed_at) == 3 and self._crashed_at[-1] - self._crashed_at[0] < 60.0
        if often:
            self._learned = {}  # it might be what was learned that makes it fail
        self._stop.wait(LONG_PAUSE_S if often else PAUSE_S)

    def _keep(self, learned: Learned) -> None:
        self._kept_at = self._clock.now()
        if self._learned_file:
            self._learned_file.save(learned)

    def _end_pipeline(self) -> None:
        """Close clips and end open incidents, in this order: the end of an incident lists its clips."""
        pipeline, self._pipeline = self._pipeline, None
        try:
            with self._pulse, self._telling:
                self.sink.finish()
                if pipeline is not None and self._last_frame is not None:
                    for update in pipeline.finish():
                        self.sink.accept(update, self._last_frame)
                    self._learned = pipeline.learned()
        except Exception:  # what a crash left may be beyond ending; the camera goes on
            logger.exception("open incidents can't be ended camera=%s", self.camera.name)
