"""A film of what was seen: frames and what was made of them enter, an MP4 with boxes and beliefs drawn in leaves.

Parcels and labels are as in snapshots, beyond reading, so that it can be sent on.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from detector.alerts.snapshot import COLOURS, PLAIN
from detector.media.lettering import write
from detector.media.pixelation import redacted
from detector.values import Box, Frame, Scene

WIDTH = 1280
TICKS = 1000  # a second
RATE = 10  # frames a second, about
ENCODER = {"preset": "veryfast", "crf": "26", "threads": "1"}
SUSPECTED, CALM = COLOURS["phone"], PLAIN
LETTERS = 20  # pixels
LAST_S = 0.2  # for which the last picture is shown


class Film:
    """An MP4 that grows frame by frame.

    Args:
        path: Where it is written.

    Raises:
        OSError: It can't be written; so does every method.
    """

    def __init__(self, path: Path) -> None:
        self._out = av.open(str(path), "w", format="mp4", options={"movflags": "faststart", "flush_packets": "1"})
        self._stream: av.VideoStream | None = None
        self._begun = 0.0
        self._last = -1
        self._picture: NDArray[np.uint8] | None = None

    def add(self, frame: Frame, scene: Scene, beliefs: Mapping[int, float], clock: str) -> None:
        """Add a frame, the scene in it, how far it is believed of each track that it photographs, and its time."""
        picture = drawn(frame.image, scene, beliefs, clock)
        if self._stream is None:
            self._begin(picture, scene.at)
        elif picture.shape != (self._stream.height, self._stream.width, 3):  # the camera has another size by now
            picture = np.asarray(cv2.resize(picture, (self._stream.width, self._stream.height)), np.uint8)
        self._show(picture, scene.at)

    def close(self) -> None:
        """Write its end; one without any picture is no film."""
        if self._stream is not None and self._picture is not None:
            self._put(self._picture, self._last + round(LAST_S * TICKS))
            self._out.mux(self._stream.encode(None))
        self._out.close()

    def _begin(self, picture: NDArray[np.uint8], at: float) -> None:
        self._begun = at
        self._stream = self._out.add_stream("libx264", rate=RATE, options=ENCODER)
        self._stream.height, self._stream.width = picture.shape[:2]
        self._stream.pix_fmt = "yuv420p"
        self._stream.codec_context.time_base = Fraction(1, TICKS)

    def _show(self, picture: NDArray[np.uint8], at: float) -> None:
        self._picture = picture
        self._put(picture, max(round((at - self._begun) * TICKS), self._last + 1))

    def _put(self, picture: NDArray[np.uint8], tick: int) -> None:
        assert self._stream is not None
        frame = av.VideoFrame.from_ndarray(picture, format="bgr24")
        frame.pts, frame.time_base = tick, Fraction(1, TICKS)
        self._last = tick
        self._out.mux(self._stream.encode(frame))


def drawn(image: NDArray[np.uint8], scene: Scene, beliefs: Mapping[int, float], clock: str) -> NDArray[np.uint8]:
    """The picture at most `WIDTH` wide, redacted first, with people, devices and beliefs drawn in.

    Args:
        image: `(H, W, 3)` BGR.
        scene: What is in it.
        beliefs: As of `Film.add`.
        clock: Its time, in words.
    """
    hidden = redacted(image, [parcel.box for parcel in scene.parcels], scene.labels)
    height, width = hidden.shape[:2]
    scale = min(1.0, WIDTH / width)
    size = max(2, round(width * scale) // 2 * 2), max(2, round(height * scale) // 2 * 2)  # H.264 has even ones
    out = np.asarray(cv2.resize(hidden, size, interpolation=cv2.INTER_AREA), np.uint8)
    for parcel in scene.parcels:
        _box(out, parcel.box, scale, PLAIN, 1)
    for person in scene.people:
        belief = beliefs.get(person.id, 0.0)
        colour = _between(CALM, SUSPECTED, belief)
        x, y = _box(out, person.box, scale, colour, 2)
        write(out, f"{person.id}  {belief:.2f}", (x, max(LETTERS, y - 6)), LETTERS, colour, bold=True)
    for device in scene.devices:
        _box(out, device.box, scale, SUSPECTED, 1)
    write(out, clock, (10, size[1] - 12), LETTERS, (255, 255, 255), bold=True)
    return out


def _box(out: NDArray[np.uint8], box: Box, scale: float, colour: tuple[int, ...], thick: int) -> tuple[int, int]:
    """Draw a box; tells its upper left corner."""
    x1, y1, x2, y2 = (round(v * scale) for v in box)
    cv2.rectangle(out, (x1, y1), (x2, y2), colour, thick, cv2.LINE_AA)
    return x1, y1


def _between(low: tuple[int, ...], high: tuple[int, ...], share: float) -> tuple[int, ...]:
    return tuple(round(a + (b - a) * min(max(share, 0.0), 1.0)) for a, b in zip(low, high, strict=True))
