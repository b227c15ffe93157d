"""A recording enters; the two clips that are measured leave: much happens in one and little in the other, 720p, 20 fps.

Each begins with stillness, then the recording is shown, then there is stillness again. Stillness is the median of the
recording's pictures over time: the same place with nobody in it. Every picture of both lies under noise as a sensor
makes it, and all is encoded as cameras do, so that decoding costs what it costs from a camera.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from detector.bench.setups import FPS
from detector.errors import SourceUnavailable
from detector.sources.recording import Recording

SIZE = (1280, 720)
KEY_EVERY_S = 2
BIT_RATE = 2_000_000
NOISE = 2.5  # standard deviation, grey levels
STILL_OF = 41  # pictures that stillness is the median of, at most

Planes = NDArray[np.uint8]  # `(1080, 1280)`: Y above U and V, as I420 has them


@dataclass(frozen=True, slots=True)
class Sequence:
    """What a clip shows: stillness, the recording from its beginning (again and again if it is short), stillness.

    Attributes:
        name: Of the clip.
        before_s: Stillness first, seconds.
        scene_s: Of the recording.
        after_s: Stillness last.
    """

    name: str
    before_s: float
    scene_s: float
    after_s: float

    @property
    def seconds(self) -> float:
        """Its length."""
        return self.before_s + self.scene_s + self.after_s

    @property
    def words(self) -> str:
        """What it shows, for people."""
        share = 100 * self.scene_s / self.seconds
        return f"{self.seconds:.0f} s, people in {self.scene_s:.0f} s of them ({share:.0f} %)"


WARM_UP = Sequence("warm-up", 0.0, 1.0, 0.0)
BUSY = Sequence("busy", 10.0, 20.0, 20.0)
QUIET = Sequence("quiet", 25.0, 20.0, 155.0)


def made_how(recording: Path) -> str:
    """How the clips are made, for people."""
    return (
        f"{SIZE[0]}x{SIZE[1]} at {FPS} fps, H.264 main without B-frames, a key frame every {KEY_EVERY_S} s, "
        f"{BIT_RATE / 1e6:g} Mbit/s: {recording.name}, each picture shown until the next is due, between stillness "
        f"(the median of its pictures); noise of {NOISE:g} grey levels over all of it, new in every frame"
    )


class ClipMaker:
    """Makes clips of one recording.

    Args:
        recording: The file.

    Raises:
        SourceUnavailable: It can't be opened, or no picture in it can be decoded.
    """

    def __init__(self, recording: Path) -> None:
        self._recording = recording
        self._still = self._median()
        self._noise = np.random.default_rng(7)
        grain = self._noise.normal(0.0, NOISE, (SIZE[1] + 64, SIZE[0] + 64)).round()
        self._brighter, self._darker = (np.clip(part, 0, 255).astype(np.uint8) for part in (grain, -grain))

    def make(self, sequence: Sequence, path: Path) -> None:
        """Write a clip to `path`, `.mp4`.

        Raises:
            OSError: It can't be written.
        """
        with av.open(str(path), "w") as container:
            stream = container.add_stream("libx264", rate=FPS, options=_encoder())
            stream.width, stream.height = SIZE
            stream.pix_fmt = "yuv420p"
            stream.bit_rate = BIT_RATE
            for n, planes in enumerate(self._shown(sequence)):
                frame = av.VideoFrame.from_ndarray(self._grainy(planes), format="yuv420p")
                frame.pts = n
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))

    def _shown(self, sequence: Sequence) -> Iterator[Planes]:
        for _ in range(round(sequence.before_s * FPS)):
            yield self._still
        scene = self._scene()
        for _ in range(round(sequence.scene_s * FPS)):
            yield next(scene)
        for _ in range(round(sequence.after_s * FPS)):
            yield self._still

    def _scene(self) -> Iterator[Planes]:
        """The recording at `FPS`, for ever."""
        while True:
            shown, planes = 0, None
            for at_s, coming in self._pictures(FPS):
                while planes is not None and shown / FPS < at_s - 0.5 / FPS:
                    yield planes
                    shown += 1
                planes = coming
            if planes is not None:
                yield planes

    def _pictures(self, fps: float) -> Iterator[tuple[float, Planes]]:
        recording = Recording(self._recording, camera="bench", start_at=0.0, fps=fps)
        try:
            for frame in recording:
                image = cv2.resize(frame.image, SIZE)
                yield frame.captured_at, np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2YUV_I420), np.uint8)
        finally:
            recording.close()

    def _median(self) -> Planes:
        recording = Recording(self._recording, camera="bench", start_at=0.0, fps=1.0)
        length_s = recording.duration_s or float(STILL_OF)
        recording.close()
        found = [planes for _, (_, planes) in zip(range(STILL_OF), self._pictures(STILL_OF / length_s), strict=False)]
        if not found:
            raise SourceUnavailable(f"{self._recording}: no picture in it can be decoded")
        middle = len(found) // 2
        return np.asarray(np.partition(np.stack(found), middle, axis=0)[middle], np.uint8)

    def _grainy(self, planes: Planes) -> Planes:
        width, height = SIZE
        x, y = self._noise.integers(0, 64, 2)
        part = np.s_[y : y + height, x : x + width]
        grainy = planes.copy()
        luma = cv2.add(grainy[:height], self._brighter[part])
        grainy[:height] = cv2.subtract(luma, self._darker[part])
        return grainy


def _encoder() -> dict[str, str]:
    every = KEY_EVERY_S * FPS
    return {
        "preset": "veryfast",
        "profile": "main",
        "x264-params": f"keyint={every}:min-keyint={every}:scenecut=0:bframes=0:vbv-maxrate=2000:vbv-bufsize=4000",
    }
