"""How the C library keeps freed memory, where that is glibc."""

from __future__ import annotations

import ctypes


def return_freed_memory() -> None:
    """Have large blocks mapped and unmapped singly, and two heaps instead of one a thread (glibc; elsewhere nothing).

    Frames and network inputs of some megabytes come and go in every camera's thread; kept in heaps they cost a tenth
    of the worker's memory. Measured on the demo clip: 260 MB without, 239 MB with, at the same CPU time. The hub's
    threads read pictures and long lists: each heap grows to the most that ever was in it.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return
    arenas, mmap_threshold, trim_threshold = -8, -3, -1  # M_ARENA_MAX, M_MMAP_THRESHOLD, M_TRIM_THRESHOLD
    mallopt(arenas, 2)
    mallopt(mmap_threshold, 500_000)
    mallopt(trim_threshold, 1_000_000)
