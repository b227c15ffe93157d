"""A camera's RTSP stream: connected, watched, connected again, for as long as the worker runs.

A thread of its own reads and decodes, since a camera doesn't wait; the newest frame that is due lies ready in a slot
for the consumer, and an older one that nobody took is dropped and counted.
"""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote

import av

from detector.clock import Clock
from detector.config import Camera
from detector.errors import SourceError, SourceLost, SourceRefused, SourceUnavailable
from detector.packets import Packet
from detector.secrecy import redacted
from detector.sources.pacing import Pacer
from detector.sources.stats import SourceStats, State
from detector.sources.video import OnPacket, Video, bgr
from detector.values import Frame

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait for a camera; seconds.

    Attributes:
        open_s: For a connection and the first pictures (a key frame may be seconds away).
        read_s: For the next packet.
        frame_s: For the next picture: a stream may send packets that nothing can be decoded from.
        retry_first_s: Before the first reconnection; doubled each time.
        retry_longest_s: At most.
        refused_s: After a refused password: cameras lock an account that knocks too often.
        steady_s: A connection that held this long makes the next wait the first one again.
    """

    open_s: float = 10.0
    read_s: float = 5.0
    frame_s: float = 20.0
    retry_first_s: float = 1.0
    retry_longest_s: float = 30.0
    refused_s: float = 60.0
    steady_s: float = 10.0


class LiveSource:
    """Frames of a live stream until `stop` is set; trouble is logged, told in `stats`, and never raised.

    `captured_at` is the clock's time at arrival: many cameras' own time stamps are wrong.

    Args:
        camera: Its `source` holds neither user nor password; these are put in when connecting and appear nowhere else.
        fps: Frames a second to give.
        clock: Tells the time of arrival.
        stop: Ends iteration and reading.
        on_packet: Is given every packet from a key frame on, in the reading thread.
        patience: How long to wait for what.
    """

    def __init__(
        self,
        camera: Camera,
        *,
        fps: float,
        clock: Clock,
        stop: threading.Event,
        on_packet: OnPacket | None = None,
        patience: Patience | None = None,
    ) -> None:
        self.stats = SourceStats()
        self._camera = camera
        self._clock = clock
        self._stop = stop
        self._closed = threading.Event()
        self._on_packet = on_packet
        self._patience = patience or Patience()
        self._pacer = Pacer(fps)
        self._slot = _Slot()
        self._last_at = 0.0
        self._thread = threading.Thread(target=self._read, name=f"read-{camera.name}", daemon=True)

    def __iter__(self) -> Iterator[Frame]:
        """Yield the newest due frame, each once."""
        self._thread.start()
        while not self._over:
            taken = self._slot.take(0.2)
            if taken is not None:
                index, at, picture = taken
                self.stats.analysed += 1
                # Converted here and not on arrival: a dropped frame costs nothing then.
                yield Frame(self._camera.name, index, at, bgr(picture))
        self.stats.state = "ended"

    def close(self) -> None:
        """Stop reading; waits a second at most (a frozen camera keeps the thread a little longer)."""
        self._closed.set()
        if self._thread.is_alive():
            self._thread.join(timeout=1.0)

    @property
    def _over(self) -> bool:
        return self._stop.is_set() or self._closed.is_set()

    def _read(self) -> None:
        attempt = 0
        while not self._over:
            began = self._clock.now()
            try:
                self._connection()
                return
            except SourceError as error:
                trouble = error
            except Exception as error:  # noqa: BLE001 - the camera must come back whatever happened
                trouble = SourceLost(f"{type(error).__name__}: {error}")
            held_s = self._clock.now() - began if self.stats.state == "online" else 0.0
            attempt = 0 if held_s >= self._patience.steady_s else attempt + 1
            self._tell(trouble)
            self._pause(self._wait_s(trouble, attempt))
            self.stats.reconnects += 1

    def _connection(self) -> None:
        """One connection, from opening to its end.

        Raises:
            SourceError: It ended, and not because we wanted it.
        """
        video = self._opened()
        try:
            self._receive(video)
        except av.error.FFmpegError as error:
            trouble = f"broke off: {redacted(error.strerror or type(error).__name__)}"
        else:
            # FFmpeg reports a camera that went away as an ordinary end of the stream.
            trouble = "the stream ended"
        finally:
            video.close()
        if not self._over:
            raise SourceLost(trouble)

    def _receive(self, video: Video) -> None:
        errors_before = self.stats.decode_errors
        picture_at = self._clock.now()
        for step in video.steps():
            if self._over:
                return
            at = self._arrival()
            if self._on_packet and step.data:
                self._on_packet(Packet(at, step.data, step.key, step.shown_after), video.format)
            self.stats.decode_errors = errors_before + video.decode_errors
            for _, picture in step.pictures:
                picture_at = self._arrival()
                self._picture(picture_at, picture)
            if at - picture_at > self._patience.frame_s:
                raise SourceLost(f"sends packets but no picture since {self._patience.frame_s:g} s")

    def _picture(self, at: float, picture: av.VideoFrame) -> None:
        index = self.stats.frames_in
        self.stats.frames_in += 1
        self.stats.last_frame_at = at
        if self.stats.state != "online":
            self.stats.state = "online"
            logger.info("camera online camera=%s size=%dx%d", self._camera.name, picture.width, picture.height)
        if self._pacer.due(at) and self._slot.put((index, at, picture)):
            self.stats.dropped += 1

    def _arrival(self) -> float:
        """Now; at least a millisecond after what came before, since several packets may come at once."""
        self._last_at = max(self._clock.now(), self._last_at + 0.001)
        return self._last_at

    def _opened(self) -> Video:
        options = {
            "rtsp_transport": "tcp",
            "timeout": str(int(self._patience.read_s * 1e6)),
            # FFmpeg would first watch for seconds (measured: 5) to estimate a frame rate that nobody asks for.
            "fpsprobesize": "0",
        }
        try:
            timeout = (self._patience.open_s, self._patience.read_s)
            container = av.open(self._address(), options=options, timeout=timeout, metadata_errors="replace")
        except (av.error.HTTPUnauthorizedError, av.error.HTTPForbiddenError):
            refused = True
            reason = "the camera refused the user name or password"
        except (av.error.FFmpegError, OSError, ValueError) as error:
            refused = False
            reason = redacted(getattr(error, "strerror", None) or type(error).__name__)
        else:
            try:
                return Video(container, self._camera.source, evidence=self._on_packet is not None)
            except SourceUnavailable:
                container.close()
                raise
        # Raised out here, the new error has no FFmpeg error behind it: that one's text holds the password.
        raise SourceRefused(reason) if refused else SourceUnavailable(f"can't be opened: {reason}")

    def _address(self) -> str:
        scheme, _, rest = self._camera.source.partition("://")
        user, password = self._camera.username, self._camera.password()
        if user is None and password is None:
            return self._camera.source
        login = quote(user or "", safe="") + (":" + quote(password, safe="") if password is not None else "")
        return f"{scheme}://{login}@{rest}"

    def _tell(self, trouble: SourceError) -> None:
        state: State = "refused" if isinstance(trouble, SourceRefused) else "lost"
        text = str(trouble)
        # One line per change: a camera that stays away for a night shall not fill the log.
        if state != self.stats.state or text != self.stats.last_error:
            logger.warning("camera %s camera=%s: %s", state, self._camera.name, text)
        self.stats.state = state
        self.stats.last_error = text

    def _wait_s(self, trouble: SourceError, attempt: int) -> float:
        if isinstance(trouble, SourceRefused):
            return self._patience.refused_s
        longest = min(self._patience.retry_longest_s, self._patience.retry_first_s * 2.0 ** min(attempt - 1, 30))
        # Full jitter, so that the cameras behind a switch that went away don't all come back in one instant.
        return random.uniform(0.0, longest)  # noqa: S311 - nothing secret

    def _pause(self, seconds: float) -> None:
        until = self._clock.now() + seconds
        while not self._over and (left := until - self._clock.now()) > 0:
            self._clock.sleep(min(left, 0.2))


class _Slot:
    """Room for one decoded picture; a newer one takes the older one's place."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._content: tuple[int, float, av.VideoFrame] | None = None

    def put(self, content: tuple[int, float, av.VideoFrame]) -> bool:
        """Lay it in; true when an older one had to go."""
        with self._condition:
            displaced = self._content is not None
            self._content = content
            self._condition.notify()
            return displaced

    def take(self, timeout_s: float) -> tuple[int, float, av.VideoFrame] | None:
        """Take what lies there, waiting for it at most so long; `None` when nothing came."""
        with self._condition:
            self._condition.wait_for(lambda: self._content is not None, timeout_s)
            content, self._content = self._content, None
            return content
