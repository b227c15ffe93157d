"""How memory that is free again is kept: by the C library, where that is glibc, and by Python's collector."""

from __future__ import annotations

import ctypes
import gc


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


def forget_garbage_early() -> None:
    """Call when a program has started: what is loaded by then stays, and is never looked through for garbage again.

    Python looks through everything only when a quarter of it is new, and until then keeps cycles that nothing refers
    to. Of the hub's 180,000 objects nearly all are code, so that up to 45,000 objects of garbage could lie about, and
    the heap keeps the size of the most that ever did. Without the code a look costs little, and comes early.
    """
    gc.collect()
    gc.freeze()
