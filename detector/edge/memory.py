"""Memory: how much this process and its children use, and how much there is for them; MB of 10^6 bytes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

PROC = Path("/proc")
CGROUP = Path("/sys/fs/cgroup")


def used_mb() -> float:
    """Memory of this process and all that descend from it; 0 where the system doesn't tell (only Linux does)."""
    return sum(_share(pid) for pid in _family(os.getpid())) / 1e6


def available_mb() -> float:
    """What the machine has, or the service's cgroup where that is less."""
    found = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    try:
        own = next(line for line in (PROC / "self/cgroup").read_text().splitlines() if line.startswith("0::"))
        folder = CGROUP / own[3:].lstrip("/")
        for level in (folder, *folder.parents):
            if level.is_relative_to(CGROUP) and (limit := level / "memory.max").is_file():
                found += [int(text) for text in [limit.read_text().strip()] if text != "max"]
    except (OSError, ValueError, StopIteration):
        pass  # no cgroups of version 2
    return min(found) / 1e6


def _family(pid: int) -> Iterator[int]:
    yield pid
    try:
        listed = [path.read_text() for path in (PROC / str(pid) / "task").glob("*/children")]
    except OSError:
        return
    for text in listed:
        for child in text.split():
            yield from _family(int(child))


def _share(pid: int) -> float:
    """Bytes of a process: what it shares with others, such as libraries, is counted by its part of them."""
    try:
        for line in (PROC / str(pid) / "smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    # A camera's reader lets nobody look, unless with root's rights: its own pages count, and half of those with its
    # pictures, of which the worker has the other half; libraries count with the worker.
    try:
        lines = (PROC / str(pid) / "status").read_text().splitlines()
        held = dict(line.partition(":")[::2] for line in lines)
        return int(held["RssAnon"].split()[0]) * 1024 + int(held["RssShmem"].split()[0]) * 512
    except (OSError, ValueError, IndexError, KeyError):
        return 0  # it has ended
