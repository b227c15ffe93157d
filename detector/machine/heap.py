"""How memory that is free again is kept: by the C library, where that is glibc, and by Python's collector."""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Iterator
from contextlib import contextmanager, suppress

RETURN_EVERY_S = 60.0
M_ARENA_MAX, M_MMAP_THRESHOLD, M_TRIM_THRESHOLD = -8, -3, -1  # of malloc.h


@contextmanager
def loading() -> Iterator[None]:
    """Around the imports of a program that lasts.

    They leave hardly any garbage, and to look for it among ever more of what is loaded is a fifth of what they cost.
    Nor is it looked for there later.
    """
    looked = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if looked:
            gc.enable()


def return_freed_memory() -> None:
    """Have all threads share two heaps, and large blocks mapped and unmapped singly (glibc; elsewhere nothing).

    Each heap grows to the most that ever was in it, and pictures that come and go between lasting things leave holes
    that nothing fits. What a network's layers need is kept by its runtime: mapped anew at every look it would cost a
    sixth more CPU time.
    """
    _tell(M_ARENA_MAX, 2)
    _tell(M_MMAP_THRESHOLD, 500_000)
    _tell(M_TRIM_THRESHOLD, 1_000_000)


def return_free_pages() -> None:
    """Give back now what lies free between blocks in use (glibc; elsewhere nothing): from time to time, for long runs.

    Pages of lists, pictures and caches come in all sizes and never fit quite where others lay, so that heaps creep
    upwards for hours though no more is in use.
    """
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def _tell(option: int, value: int) -> None:
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(option, value)


def forget_garbage_early() -> None:
    """Call when a program has started: what is loaded by then stays, and is never looked through for garbage again.

    Python looks through everything when there are 70,000 objects more and a quarter of all is new, and until then
    keeps cycles that nothing refers to, as each page that is written leaves some; the heap keeps the size of the most
    that ever lay about. Without the code, 150,000 objects of the hub's 180,000, a look costs little, and comes after
    7,000.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(700, 5, 2)
