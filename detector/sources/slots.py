"""Memory that a reader process lays decoded pictures into, for the worker to look at without copying them twice.

It has no name in any file system, so it goes with the last process that holds it, however that ends. It is sealed:
were a reader able to shrink it, the worker would die on the next look.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import re
from typing import TYPE_CHECKING

import av

from detector.media.containers import MOST_PIXELS
from detector.sources.messages import Garbled, Laid

if TYPE_CHECKING:  # a reader does without: it would be 7 MB for each camera
    import numpy as np
    from numpy.typing import NDArray

    from detector.media.pictures import Picture

# One being looked at, the newest waiting, and one being written.
SLOTS = 3
# For 8 bits in 4:4:4, or 10 bits in 4:2:0. Only pages that are written to take memory.
SLOT_BYTES = 3 * MOST_PIXELS
# What decoders of cameras' streams make. Others must not be had from a reader that was taken over: FFmpeg's scaler ends
# the whole process on some (seen with one pixel of bayer_rggb8).
FORMS = re.compile(r"(?:yuvj?4\d\dp|gbrp|gray)(?:(?:9|10|12|14)le)?|nv12|nv21")
MARGIN = 1024  # bytes a decoder may put behind a row
# The scaler reads whole registers, a little beyond the last row.
MEMORY_BYTES = SLOTS * SLOT_BYTES + (64 << 10)


def make_memory() -> int:
    """A file descriptor of new memory for all slots."""
    memory = os.memfd_create("pictures", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(memory, MEMORY_BYTES)
    fcntl.fcntl(memory, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
    return memory


class Writer:
    """The reader's side: lays pictures into free slots."""

    def __init__(self, memory: int) -> None:
        self._memory = mmap.mmap(memory, MEMORY_BYTES)
        self._free = set(range(SLOTS))

    def free(self, slot: int) -> None:
        """The worker is done with a slot."""
        self._free.add(slot)

    @property
    def has_room(self) -> bool:
        """Whether a slot is free."""
        return bool(self._free)

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
        self._memory = mmap.mmap(memory, MEMORY_BYTES, prot=mmap.PROT_READ)

    def image(self, laid: Laid) -> Picture:
        """A copy of the picture in a slot, as it was decoded where that is possible.

        Raises:
            Garbled: There can't be such a picture.
        """
        from detector.sources.decoded import picture_of

        if laid.slot >= SLOTS or not 0 < laid.width * laid.height <= MOST_PIXELS or not FORMS.fullmatch(laid.form):
            raise Garbled(f"a picture of {laid.width}x{laid.height} in slot {laid.slot}")
        try:
            picture = self._at_once(laid) or self._plane_by_plane(laid)
            picture.colorspace, picture.color_range, picture.color_trc, picture.color_primaries = laid.colours
            return picture_of(picture)
        except (ValueError, OverflowError, av.error.FFmpegError, MemoryError) as error:
            raise Garbled(f"a picture of {laid.width}x{laid.height}, {laid.form!r}") from error

    def _at_once(self, laid: Laid) -> av.VideoFrame | None:
        """The picture by one copy, for what nearly every camera sends; `None` for the rest."""
        line = laid.line_sizes[0]
        usual = laid.line_sizes == (line, line // 2, line // 2, 0) and laid.height % 4 == line % 2 == 0
        if laid.form not in ("yuv420p", "yuvj420p") or not usual or not laid.width <= line <= 2 * laid.width + MARGIN:
            return None
        rows = self._rows(laid.slot, laid.slot * SLOT_BYTES, laid.height * 3 // 2, line)
        return av.VideoFrame.from_numpy_buffer(rows.copy(), laid.form, laid.width)

    def _plane_by_plane(self, laid: Laid) -> av.VideoFrame:
        import numpy as np

        picture = av.VideoFrame(laid.width, laid.height, laid.form)
        start = laid.slot * SLOT_BYTES
        for plane, line in zip(picture.planes, laid.line_sizes, strict=False):
            room: NDArray[np.uint8] = np.frombuffer(plane, np.uint8)  # type: ignore[call-overload]
            least = min(line, plane.line_size)
            rows = self._rows(laid.slot, start, plane.height, line)
            room.reshape(plane.height, plane.line_size)[:, :least] = rows[:, :least]
            start += rows.size
        return picture

    def _rows(self, slot: int, start: int, height: int, line: int) -> NDArray[np.uint8]:
        """Rows of a plane, or of planes that lie in one piece, where they are."""
        import numpy as np

        size = height * line
        if not size or start + size > (slot + 1) * SLOT_BYTES:
            raise ValueError("rows that can't be")
        return np.frombuffer(self._memory, np.uint8, size, start).reshape(height, line)
