"""A camera's RTSP stream: connected, watched, connected again, for as long as the worker runs.

A process of its own reads and decodes (`reading`), since a camera may send what hangs a decoder or worse; a thread
listens to it. The newest frame that is due lies ready for the consumer, and an older one that nobody took is dropped
and counted; but for those that a stalled network lets go at once (`waiting`).
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import get_args
from urllib.parse import quote

from detector.clock import Clock
from detector.config import Camera
from detector.config.cameras import PASSWORD
from detector.machine.secrecy import redacted
from detector.media.packets import Packet, StreamFormat
from detector.media.shape import shown, shown_size
from detector.sources.messages import Connect, Decode, Ended, Format, Garbled, Laid, Stepped
from detector.sources.reader import Reader
from detector.sources.stats import SourceStats, State, Trouble
from detector.sources.video import OnPacket
from detector.sources.waiting import Arrived, PictureQueue
from detector.values import Frame

logger = logging.getLogger(__name__)

TROUBLES = frozenset(get_args(Trouble))
# A reader that ended so is not used again.
FATAL = ("hung", "crashed", "memory")
# Pictures are reordered by a second or two; more is a time stamp that jumps.
LONGEST_REORDER_S = 10.0
# A reader's word on when something came, older than this, is not believed.
OLDEST_S = 60.0
# In a second: 8K at 60 frames takes some 25 MB, and after a stall a camera sends what it had held back.
MOST_STEPS, MOST_BYTES = 5000, 128 << 20


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait for a camera; seconds.

    Attributes:
        open_s: For a connection and the first pictures (a key frame may be seconds away).
        read_s: For the next packet.
        frame_s: For the next picture: a stream may send packets that nothing can be decoded from.
        hung_s: For any word of the reader process, beyond these; then it is killed. Frigate's first default.
        retry_first_s: Before the first reconnection; doubled each time.
        retry_longest_s: At most.
        refused_s: After a refused password: cameras lock an account that knocks too often.
        steady_s: A connection that held this long makes the next wait the first one again.
    """

    open_s: float = 10.0
    read_s: float = 5.0
    frame_s: float = 20.0
    hung_s: float = 20.0
    retry_first_s: float = 1.0
    retry_longest_s: float = 30.0
    refused_s: float = 60.0
    steady_s: float = 10.0


class LiveSource:
    """Frames of a live stream until `stop` is set; trouble is logged, told in `stats`, and never raised.

    `captured_at` is the clock's time at arrival (`arrival`): many cameras' own time stamps are wrong.

    Args:
        camera: Its `source` holds neither user nor password; these are put in when connecting and appear nowhere else.
        fps: Frames a second to give; with 0 the stream is read and not decoded.
        clock: Tells the time of arrival.
        stop: Ends iteration and reading.
        on_packet: Is given every packet from a key frame on, in the reading thread.
        patience: How long to wait for what.

    Attributes:
        stats: How it is doing.
        stream_format: What the camera sends; `None` until it has said so.
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
        self.stream_format: StreamFormat | None = None
        self._camera = camera
        self._clock = clock
        self._stop = stop
        self._closed = threading.Event()
        self._on_packet = on_packet
        self._patience = patience or Patience()
        self._fps = fps
        self._resting = False
        self._queue = PictureQueue()
        self._reader: Reader | None = None
        self._readers = 0
        self._last_at = 0.0
        self._thread = threading.Thread(target=self._read, name=f"read-{camera.name}", daemon=True)

    def __iter__(self) -> Iterator[Frame]:
        """Yield the newest due frame, each once."""
        self.start()
        while not self._over:
            if (frame := self.taken(0.2)) is not None:
                self.stats.analysed += 1
                yield frame
        self.stats.state = "ended"

    def start(self) -> None:
        """Begin to read; for those who take frames one by one instead of iterating."""
        self._thread.start()

    def decode(self, fps: float) -> None:
        """Give so many frames a second from now on; none when 0. Packets are passed on in any case."""
        self._fps = fps

    def rest(self, resting: bool) -> None:
        """Whether nothing is going on: then key frames are decoded alone."""
        self._resting = resting

    def newest(self, frame: Frame) -> Frame:
        """The frame that has come since, if any; the one given counts as dropped then. Of a backlog it stays that."""
        if self.is_behind:
            return frame
        newer = self.taken(0.0)
        self.stats.dropped += newer is not None
        return newer or frame

    @property
    def is_behind(self) -> bool:
        """Whether pictures of a backlog wait, each of which is worth a look."""
        return self._queue.is_backlog

    def taken(self, timeout_s: float) -> Frame | None:
        """The due frame that is next, waiting for it at most so long; copied only now: a dropped one costs nothing."""
        taken = self._queue.take(timeout_s)
        picture = taken.picture() if taken is not None else None
        if taken is None or picture is None:
            return None
        upright = shown(picture, self._camera.shape, pixel_aspect=self._pixel_aspect)
        return Frame(self._camera.name, taken.index, taken.at, upright)

    def shown_size(self, stored: tuple[int, int]) -> tuple[int, int]:
        """Width and height in which pictures are shown that are stored in this size, pixels."""
        return shown_size(stored, self._camera.shape, pixel_aspect=self._pixel_aspect)

    @property
    def _pixel_aspect(self) -> float:
        now = self.stream_format
        return now.pixel_aspect if now is not None else 1.0

    def close(self) -> None:
        """Stop reading; the reader process is gone within a second."""
        self._closed.set()
        if self._thread.is_alive():
            self._thread.join(timeout=1.0)

    @property
    def _over(self) -> bool:
        return self._stop.is_set() or self._closed.is_set()

    def _read(self) -> None:
        attempt = 0
        try:
            while not self._over:
                began = self._clock.now()
                ended = self._connection()
                if self._over:
                    return
                held_s = self._clock.now() - began if self.stats.state == "online" else 0.0
                attempt = 0 if held_s >= self._patience.steady_s else attempt + 1
                self._tell(ended)
                self._pause(self._wait_s(ended.trouble, attempt))
                self.stats.reconnects += 1
        finally:
            if self._reader is not None:
                self._reader.leave()

    def _connection(self) -> Ended:
        """One connection, from opening to its end; tells why it ended."""
        try:
            reader = self._reader = self._reader or self._started()
            order = self._order()
            reader.send(order)
            ended = self._listen(reader, order.fps)
        except EOFError:
            ended = Ended("crashed", f"the reader process died: {self._reader.died() if self._reader else 'at once'}")
        except Garbled as error:
            ended = Ended("crashed", f"the reader process told nonsense: {error}")
        except Exception as error:  # noqa: BLE001 - the camera must come back whatever happened
            ended = Ended("crashed", f"{type(error).__name__}: {redacted(error)}")
        if ended.trouble in FATAL and self._reader is not None:
            self.stats.killed += ended.trouble == "hung"
            self._reader.kill()
            self._reader = None
        return ended

    def _started(self) -> Reader:
        reader = Reader()
        self.stats.restarts += self._readers > 0
        self._readers += 1
        return reader

    def _listen(self, reader: Reader, fps: float) -> Ended:
        """Take in what the reader says until the connection ends, it falls silent, or nobody wants to know any more.

        Silence is the sign of a decoder that hangs or burns the processor without an end: every other trouble of a
        camera makes the reader speak.
        """
        stream_format = StreamFormat("", 0, 0)
        first = self.stats.frames_in
        flood, resting = _Flood(), False
        # A name may have to be looked up before, and a stream be understood after, what `open_s` is for.
        until = time.monotonic() + self._patience.open_s + self._patience.hung_s
        while not self._over:
            reader.free_seen()
            if (fps, resting) != (self._fps, self._resting):
                fps, resting = self._fps, self._resting
                reader.send(Decode(fps, resting))
            message = reader.receive(min(0.2, self._patience.hung_s))
            now = time.monotonic()
            if message is None:
                if now > until:
                    since = "while connecting" if stream_format.codec == "" else f"for {self._patience.hung_s:g} s"
                    return Ended("hung", f"the reader process said nothing {since} and was killed")
                continue
            until = now + self._patience.hung_s
            match message:
                case Ended():
                    return message
                case Format():
                    stream_format = StreamFormat(message.codec, message.width, message.height, message.pixel_aspect)
                    self.stream_format = stream_format
                case Stepped():
                    flood.add(len(message.data), now)
                    first = self.stats.frames_in
                    self._step(message, stream_format, now)
                case Laid():
                    number = first + min(message.number, 255)
                    arrived = Arrived(reader, message, number, self._arrival(message.at, now))
                    self.stats.dropped += self._queue.put(arrived, now - message.at)
        return Ended("broke_off", "not wanted any more")

    def _step(self, step: Stepped, stream_format: StreamFormat, now: float) -> None:
        at = self._arrival(step.at, now)
        if self._on_packet and step.data:
            shown_after = step.shown_after if 0 <= step.shown_after <= LONGEST_REORDER_S else 0.0
            self._on_packet(Packet(at, step.data, step.key, shown_after), stream_format)
        self.stats.decode_errors += step.damaged
        self.stats.dropped += step.dropped
        if step.pictures or not self._fps:
            self.stats.frames_in += step.pictures
            self.stats.last_frame_at = at
            if self.stats.state not in ("online", "ended"):  # the consumer may have gone meanwhile
                self.stats.state = "online"
                self.stats.trouble = None
                size = f"{stream_format.width}x{stream_format.height}"
                logger.info("camera online camera=%s codec=%s size=%s", self._camera.name, stream_format.codec, size)

    def _arrival(self, at: float, now: float) -> float:
        """When something came that the reader says came at `at`, by our clock.

        At least a millisecond after what came before, since several packets may come at once.
        """
        age_s = now - at
        self._last_at = max(
            self._clock.now() - (age_s if 0 <= age_s <= OLDEST_S else 0.0),
            self._last_at + 0.001,
        )
        return self._last_at

    def _order(self) -> Connect:
        patience = self._patience
        return Connect(
            self._address(), self._camera.source, self._fps, self._on_packet is not None,
            patience.open_s, patience.read_s, patience.frame_s,
        )  # fmt: skip

    def _address(self) -> str:
        user, password = self._camera.username, self._camera.password()
        address = self._camera.source.replace("{username}", quote(user or "", safe=""))
        scheme, _, rest = address.replace(PASSWORD, quote(password or "", safe="")).partition("://")
        if user is None and password is None:
            return self._camera.source
        login = quote(user or "", safe="") + (":" + quote(password, safe="") if password is not None else "")
        return f"{scheme}://{login}@{rest}"

    def _tell(self, ended: Ended) -> None:
        trouble: Trouble = ended.trouble if ended.trouble in TROUBLES else "crashed"  # type: ignore[assignment]
        state: State = trouble if trouble in ("refused", "hung", "crashed") else "lost"
        text = redacted(ended.text)
        # One line per change: a camera that stays away for a night shall not fill the log.
        if state != self.stats.state or text != self.stats.last_error:
            logger.warning("camera %s camera=%s trouble=%s: %s", state, self._camera.name, trouble, text)
        self.stats.state = state
        self.stats.trouble = trouble
        self.stats.last_error = text

    def _wait_s(self, trouble: str, attempt: int) -> float:
        if trouble == "refused":
            return self._patience.refused_s
        longest = min(self._patience.retry_longest_s, self._patience.retry_first_s * 2.0 ** min(attempt - 1, 30))
        # Full jitter, so that the cameras behind a switch that went away don't all come back in one instant.
        return random.uniform(0.0, longest)  # noqa: S311 - nothing secret

    def _pause(self, seconds: float) -> None:
        until = self._clock.now() + seconds
        while not self._over and (left := until - self._clock.now()) > 0:
            self._clock.sleep(min(left, 0.2))


class _Flood:
    """Notices a reader that says so much that listening to it would starve the other cameras."""

    def __init__(self) -> None:
        self._since = 0.0
        self._steps = self._bytes = 0

    def add(self, size: int, now: float) -> None:
        """A packet of so many bytes came.

        Raises:
            Garbled: No camera sends so many in a second.
        """
        if now - self._since >= 1.0:
            self._since, self._steps, self._bytes = now, 0, 0
        self._steps += 1
        self._bytes += size
        if self._steps > MOST_STEPS or self._bytes > MOST_BYTES:
            raise Garbled(f"{self._steps} packets of {self._bytes} bytes in a second")
