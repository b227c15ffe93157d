"""Recordings of a camera that prints the time into a still hall, and then hangs while its encoder runs on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import repeat
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from detector.sources.decoded import Yuv

BEGAN = datetime(2026, 12, 1, 3, 20, 57, 300_000, UTC)
Image = NDArray[np.uint8]


def hall(seed: int = 0) -> Image:
    """Boxes of many sizes and greys on a floor, 640x360."""
    dice = np.random.default_rng(seed)
    picture = np.full((360, 640, 3), 110, np.uint8)
    for _ in range(60):
        x, y, w, h = (int(n) for n in dice.integers((0, 0, 15, 15), (640, 360, 80, 80)))
        cv2.rectangle(picture, (x, y), (x + w, y + h), [int(dice.integers(30, 220))] * 3, -1)
    return picture


@dataclass(frozen=True)
class Recorder:
    """A camera: its size, how high its digits are in pixels (0: no clock), its sensor's noise, its encoder."""

    size: tuple[int, int]
    digits: int
    noise: float = 3.0
    codec: str = "libx264"
    mbit_s: float = 1.0
    fps: int = 10
    gop_s: float = 2.0

    def shown(self, hall: Image, seconds: float) -> Iterator[Image]:
        """Pictures of a hall `(H, W, 3)` BGR for so many seconds."""
        width, height = self.size
        still = cv2.resize(hall, self.size, interpolation=cv2.INTER_AREA)
        dice = np.random.default_rng(1)
        grain = dice.normal(0, self.noise, (height, width, 1)).astype(np.int16)
        for n in range(round(seconds * self.fps)):
            picture = still.copy()
            if self.digits:
                self._print(picture, BEGAN + timedelta(seconds=n / self.fps))
            moved = np.roll(grain, tuple(dice.integers(0, (height, width))), (0, 1))
            yield np.clip(picture + moved, 0, 255).astype(np.uint8)

    def hangs(self, path: Path, hall: Image, after_s: float, for_s: float) -> Path:
        """Record a hall for `after_s` seconds, then its last picture again and again for `for_s`."""

        def pictures() -> Iterator[Image]:
            last = None
            for last in self.shown(hall, after_s):
                yield last
            if last is not None:
                yield from repeat(last, round(for_s * self.fps))

        return self.record(path, pictures())

    def record(self, path: Path, pictures: Iterable[Image]) -> Path:
        """Encode pictures."""
        with av.open(path, "w") as out:
            stream = out.add_stream(self.codec, self.fps)
            stream.width, stream.height = self.size
            stream.pix_fmt, stream.bit_rate = "yuv420p", round(self.mbit_s * 1e6)
            stream.gop_size = round(self.gop_s * self.fps)
            stream.options = {"preset": "veryfast"} | ({"x265-params": "log-level=none"} if "265" in self.codec else {})
            for picture in pictures:
                out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "bgr24")))
            out.mux(stream.encode())
        return path

    def _print(self, picture: Image, at: datetime) -> None:
        place = round(0.02 * self.size[0]), round(0.02 * self.size[1]) + self.digits
        stroke = max(1, round(self.digits / 12))
        for colour, thick in (((0, 0, 0), 3 * stroke), ((255, 255, 255), stroke)):
            cv2.putText(
                picture, f"{at:%Y-%m-%d %H:%M:%S}", place, cv2.FONT_HERSHEY_SIMPLEX, self.digits / 22, colour, thick,
                cv2.LINE_AA,
            )  # fmt: skip


def pictures_of(path: Path, fps: float = 5.0) -> Iterator[tuple[Yuv, float]]:
    """Pictures of a recording and their times, seconds, so many a second."""
    due = 0.0
    with av.open(path) as film:
        for frame in film.decode(video=0):
            at = float(frame.time or 0.0)
            if at + 1e-6 >= due:
                due += 1 / fps
                yield Yuv(frame), at
