"""A camera's small and large stream as one source: two live streams enter, frames of the large one's size leave.

People are looked for in the small stream's pictures. The large stream's packets are evidence and cost nearly nothing;
it is decoded only while somebody cuts parts from its pictures, that is, looks at people closely. Whoever reads the
frames sees one camera of one size, in whose pixels all boxes are.

A small stream may hold the large one's view squeezed to another shape: then it is stretched. Where one of the two
can't be used, the other goes on alone.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

from detector.clock import Clock
from detector.config import Camera
from detector.media.pictures import Bgr, Image, Picture
from detector.media.shape import ALIKE, shaped
from detector.sources.live import LiveSource, Patience
from detector.sources.same_view import shows_the_same
from detector.sources.stats import Lack, SourceStats
from detector.sources.video import OnPacket
from detector.values import Frame

logger = logging.getLogger(__name__)

LOST_S = 8.0  # a stream without a picture for so long is done without
CLOSELY_S = 10.0  # after a part was cut from a picture the large stream is decoded for so long
APART_S = 0.15  # pictures of the two streams taken further apart don't belong together
HARDLY_MOVES_S = 1.0  # but they may be compared as to what lies and stands there
ASK_AGAIN_S = 60.0  # whether a small stream that showed something else still does
ASK_S = 1.0  # and whether it does, while that can't be seen: comparing large pictures takes a while
SMALL_WIDTH = 640  # of the pictures that people are looked for in, where no small stream says


class PairedSource:
    """Frames of a camera with a small stream beside its large one; as `LiveSource` otherwise.

    Args:
        camera: Its `substream` is the small one; the login is that of both.
        fps: Frames a second to give.
        clock: Tells the time of arrival.
        stop: Ends iteration and reading.
        on_packet: Is given every packet of the large stream.
        patience: How long to wait for what, for each of them.
        lost_s: How long to wait for one of them before going on without.
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
        lost_s: float = LOST_S,
    ) -> None:
        small = camera.model_copy(update={"source": camera.substream, "name": f"{camera.name} (substream)"})  # for logs
        self._large = LiveSource(camera, fps=0, clock=clock, stop=stop, on_packet=on_packet, patience=patience)
        self._small = LiveSource(small, fps=fps, clock=clock, stop=stop, patience=patience)
        self._camera = camera.name
        self._fps = fps
        self._lost_s = lost_s
        self._stop = stop
        self._closed = threading.Event()
        self._small_size = (SMALL_WIDTH, SMALL_WIDTH * 9 // 16)
        self._clock = clock
        self._began_at = clock.now()
        self._alone = False
        self._sizes: object = None  # of the two, of which `_fits` is told
        self._fits: bool | None = True  # the small one shows what the large one does; `None` where that isn't known yet
        self._asked_at = float("-inf")
        self._unfit: Frame | None = None  # of the small one
        self._closely_until = 0.0
        self._detail: Frame | None = None
        self._last_at = float("-inf")
        self._frames_in = self._dropped = 0  # beside what the stream in use has counted
        self._analysed = 0
        self._ended = False

    @property
    def stats(self) -> SourceStats:
        """How it is doing: frames of the stream that is looked at, connections of both."""
        used = self._large.stats if self._alone else self._small.stats
        other = self._small.stats if self._alone else self._large.stats
        lack = self._lack()
        # What the stream that is there may have suffered long ago explains nothing.
        told = other if lack and used.state == "online" else used
        return replace(
            used,
            state="ended" if self._ended else used.state,
            frames_in=used.frames_in + self._frames_in,
            analysed=self._analysed,
            dropped=used.dropped + self._dropped,
            decode_errors=used.decode_errors + other.decode_errors,
            reconnects=used.reconnects + other.reconnects,
            restarts=used.restarts + other.restarts,
            killed=used.killed + other.killed,
            lack=lack,
            last_error=told.last_error,
        )

    def __iter__(self) -> Iterator[Frame]:
        """Yield the newest due frame, each once."""
        self._began_at = self._clock.now()
        self._large.start()
        self._small.start()
        while not self._over:
            if (frame := self._next(0.2)) is not None:
                self._analysed += 1
                yield frame
        self._ended = True

    def rest(self, resting: bool) -> None:
        """Whether nothing is going on: as of `LiveSource`."""
        for stream in (self._large, self._small):
            stream.rest(resting)

    def newest(self, frame: Frame) -> Frame:
        """The frame that has come since, if any; the one given counts as dropped then. Of a backlog it stays that."""
        if (self._large if self._alone else self._small).is_behind:
            return frame
        newer = self._next(0.0)
        self._dropped += newer is not None
        return newer or frame

    def close(self) -> None:
        """Stop reading both."""
        self._closed.set()
        for stream in (self._large, self._small):
            stream.close()

    @property
    def _over(self) -> bool:
        return self._stop.is_set() or self._closed.is_set()

    def _lack(self) -> Lack | None:
        if self._fits is False:
            return "small_differs"
        if self._lost(self._small):
            return "small_lost"
        return "large_lost" if self._lost(self._large) else None

    def _lost(self, stream: LiveSource) -> bool:
        """Whether nothing has come of a stream for long."""
        heard_at = max(stream.stats.last_frame_at or 0.0, self._began_at)
        return self._clock.now() - heard_at > self._lost_s

    def _next(self, timeout_s: float) -> Frame | None:
        frame = self._of_small(0.0 if self._alone else timeout_s)
        large_is_there = self._large.stats.state == "online"
        if frame is not None:
            self._go_on(alone=False)
        elif large_is_there and (not self._fits or self._lost(self._small)):
            self._go_on(alone=True)
        closely = time.monotonic() < self._closely_until
        # Twice as often as needed: the one next to a small picture is near enough in time then.
        self._large.decode(self._fps if self._alone else 2 * self._fps if closely else 0)
        if frame is None and self._alone:
            frame = self._of_large(timeout_s)
        if frame is None or frame.captured_at <= self._last_at:
            return None
        self._last_at = frame.captured_at
        return frame

    def _go_on(self, *, alone: bool) -> None:
        """With the large stream alone, or with both."""
        if alone != self._alone:
            self._alone = alone
            left, used = (self._small, self._large) if alone else (self._large, self._small)
            self._frames_in += left.stats.frames_in - used.stats.frames_in
            self._dropped += left.stats.dropped - used.stats.dropped
            lack = self._lack() if alone else None
            why = lack or "it has another shape, and is compared first"
            words = f"without its small stream: {why}" if alone else "with its small stream again"
            logger.log(logging.WARNING if lack else logging.INFO, "camera goes on %s camera=%s", words, self._camera)

    def _of_small(self, timeout_s: float) -> Frame | None:
        taken = self._small.taken(timeout_s)
        if taken is None:
            return None
        small = replace(taken, camera=self._camera)
        large = self._large.stream_format
        size = self._large.shown_size((large.width, large.height)) if large is not None and large.width > 0 else None
        if size is None:  # not connected yet: a moment's wait spares everybody pictures of two sizes
            return small if self._lost(self._large) else None
        if (small.size, size) != self._sizes:
            self._sizes = small.size, size
            self._fits = True if alike(small.size, size) else None
        if not self._fits:
            self._unfit = small
            return small if self._lost(self._large) else None
        self._small_size = small.size
        return replace(small, picture=PairedPicture(size, small.picture, self._detail_of(small, size), self._closely))

    def _of_large(self, timeout_s: float) -> Frame | None:
        large = self._large.taken(timeout_s)
        if large is None:
            return None
        self._compare(large)
        width = min(large.size[0], self._small_size[0])
        # As small as it would be otherwise: what is learned of the view stays true when the small stream comes back.
        small = Bgr(large.picture.resized(width, max(1, round(width * large.size[1] / large.size[0]))))
        return replace(large, picture=PairedPicture(large.size, small, large.picture, self._closely))

    def _compare(self, large: Frame) -> None:
        """Find out whether a small stream of another shape shows the same, where that isn't known."""
        small, now = self._unfit, time.monotonic()
        if self._fits or small is None or abs(large.captured_at - small.captured_at) > HARDLY_MOVES_S:
            return
        if now - self._asked_at >= (ASK_S if self._fits is None else ASK_AGAIN_S):
            self._fits, self._asked_at = shows_the_same(small.picture, large.picture), now

    def _detail_of(self, small: Frame, size: tuple[int, int]) -> Picture | None:
        # Of a backlog they come in their order, so those before this one are passed by.
        while self._detail is None or self._detail.captured_at < small.captured_at:
            if (newer := self._large.taken(0.0)) is None:
                break
            self._detail = newer
        detail = self._detail
        fits = detail is not None and detail.size == size and abs(detail.captured_at - small.captured_at) <= APART_S
        return detail.picture if detail is not None and fits else None

    def _closely(self) -> None:
        self._closely_until = time.monotonic() + CLOSELY_S


class PairedPicture:
    """One instant from two streams, of the large one's size.

    What is asked for small comes from the small picture, and so does the brightness, at the large one's size: whether
    the large one is there or not, a view looks the same to those who remember it.

    Args:
        size: Width and height of the large stream's pictures, pixels.
        small: Of the small stream.
        detail: Of the large one, of this size; `None` where there is none: then the small one is enlarged.
        closely: Called when a part is asked for.
    """

    def __init__(
        self, size: tuple[int, int], small: Picture, detail: Picture | None, closely: Callable[[], None]
    ) -> None:
        self.size = size
        self._small = shaped(small, size)
        self._small_width = small.size[0]
        self._best = detail or self._small
        self._closely = closely

    @property
    def levels(self) -> tuple[int, int]:
        """What black and white are in `luma`."""
        return self._small.levels

    @property
    def turn(self) -> int:
        """Degrees clockwise by which it was turned."""
        return self._small.turn

    def bgr(self) -> Image:
        """The whole."""
        return self._best.bgr()

    def luma(self) -> Image:
        """Its brightness."""
        return self._small.luma()

    def resized(self, width: int, height: int) -> Image:
        """A copy of this size."""
        return (self._best if width > self._small_width else self._small).resized(width, height)

    def cropped(self, left: int, top: int, right: int, bottom: int) -> Image:
        """A part of it."""
        self._closely()
        return self._best.cropped(left, top, right, bottom)


def alike(small: tuple[int, int], large: tuple[int, int]) -> bool:
    """Whether pictures of these sizes may be of one field of view."""
    return abs(small[0] * large[1] / (small[1] * large[0]) - 1) <= ALIKE
