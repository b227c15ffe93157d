"""Memory that a reader process lays decoded pictures into, for the worker to look at without copying them twice.

It has no name in any file system, so it goes with the last process that holds it, however that ends. It is sealed:
were a reader able to shrink it, the worker would die on the next look.
"""

from __future__ import annotations

import fcntl
import mmap
import os
from typing import TYPE_CHECKING

import av

from detector.containers import MOST_PIXELS
from detector.sources.messages import Garbled, Laid

if TYPE_CHECKING:
    import numpy as np
    from av.video.plane import VideoPlane
    from numpy.typing import NDArray

# One being looked at, the newest waiting, and one being written.
SLOTS = 3
# For 8 bits in 4:4:4, or 10 bits in 4:2:0. Only pages that are written to take memory.
SLOT_BYTES = 3 * MOST_PIXELS


def make_memory() -> int:
    """A file descriptor of new memory for all slots."""
    memory = os.memfd_create("pictures", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(memory, SLOTS * SLOT_BYTES)
    fcntl.fcntl(memory, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
    return memory


class Writer:
    """The reader's side: lays pictures into free slots."""

    def __init__(self, memory: int) -> None:
        self._memory = mmap.mmap(memory, SLOTS * SLOT_BYTES)
        self._free = set(range(SLOTS))

    def free(self, slot: int) -> None:
        """The worker is done with a slot."""
        self._free.add(slot)

    def lay(self, picture: av.VideoFrame, at: float, number: int) -> Laid | None:
        """Copy a picture's planes, as they were decoded, and say where they are; `None` when no slot is free.

        Raises:
            ValueError: It is too large.
        """
        if not self._free:
            return None
        planes = picture.planes
        sizes = [plane.line_size for plane in planes]
        if sum(plane.buffer_size for plane in planes) > SLOT_BYTES or len(planes) > 4 or min(sizes) <= 0:
            raise ValueError(f"a picture of {picture.width}x{picture.height} {picture.format.name}")
        slot = self._free.pop()
        start = slot * SLOT_BYTES
        for plane in planes:
            self._memory[start : start + plane.buffer_size] = memoryview(plane)
            start += plane.buffer_size
        line_sizes = (*sizes, 0, 0, 0, 0)[:4]
        colours = picture.colorspace, picture.color_range, picture.color_trc, picture.color_primaries
        return Laid(
            at, number, slot, picture.width, picture.height, line_sizes, colours, picture.format.name,  # type: ignore[arg-type]
        )  # fmt: skip


class Viewer:
    """The worker's side: makes pictures of what lies in the slots."""

    def __init__(self, memory: int) -> None:
        self._memory = mmap.mmap(memory, SLOTS * SLOT_BYTES, prot=mmap.PROT_READ)

    def picture(self, laid: Laid) -> av.VideoFrame:
        """A copy of the picture in a slot.

        Raises:
            Garbled: There can't be such a picture.
        """
        if laid.slot >= SLOTS or not 0 < laid.width * laid.height <= MOST_PIXELS:
            raise Garbled(f"a picture of {laid.width}x{laid.height} in slot {laid.slot}")
        try:
            picture = av.VideoFrame(laid.width, laid.height, laid.form)
        except (ValueError, av.error.FFmpegError, MemoryError) as error:
            raise Garbled(f"a picture of the kind {laid.form!r}") from error
        picture.colorspace, picture.color_range, picture.color_trc, picture.color_primaries = laid.colours
        start, end = laid.slot * SLOT_BYTES, (laid.slot + 1) * SLOT_BYTES
        for plane, line_size in zip(picture.planes, laid.line_sizes, strict=False):
            size = line_size * plane.height
            if start + size > end:
                raise Garbled(f"a picture of {laid.width}x{laid.height} that is larger than its slot")
            if line_size == plane.line_size:
                plane.update(memoryview(self._memory)[start : start + size])  # type: ignore[arg-type]
            else:
                rows, room = self._rows(start, plane.height, line_size), _rows_of(plane)
                least = min(line_size, plane.line_size)
                room[:, :least] = rows[:, :least]
            start += size
        return picture

    def _rows(self, start: int, height: int, line_size: int) -> NDArray[np.uint8]:
        import numpy as np

        return np.frombuffer(self._memory, np.uint8, height * line_size, start).reshape(height, line_size)


def _rows_of(plane: VideoPlane) -> NDArray[np.uint8]:
    import numpy as np

    rows: NDArray[np.uint8] = np.frombuffer(plane, np.uint8)  # type: ignore[call-overload]
    return rows.reshape(plane.height, plane.line_size)
