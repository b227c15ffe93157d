"""Fixtures that start real parts: one that is missing fails the test in CI, and elsewhere skips it."""

from __future__ import annotations

import gc
import logging
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from detector.machine import secrecy
from tests.parts_statements import share_statements

REPOSITORY = Path(__file__).resolve().parent.parent


def memory(gigabytes: int) -> Path | None:
    """Where files lie in memory, if more than so much of it is free for them."""
    place = Path("/dev/shm")
    return place if os.access(place, os.W_OK) and shutil.disk_usage(place).free > gigabytes << 30 else None


share_statements()
GARBAGE = (10_000, 10, 10)

# How fast examples come says more of the machine than of us.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")


def part_missing(what: str, packages: str) -> None:
    """Skip the test, or fail it in CI, naming the command that installs what is missing."""
    message = f"{what} is not installed: apt-get install {packages}  (make setup-test does it)"
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)


def let_others_come(folder: Path) -> None:
    """Open a folder of a test, and those of pytest round it, to users that aren't root."""
    for each in (folder, *folder.parents):
        if any(part.name == "pytest-of-root" for part in (each, *each.parents)):
            each.chmod(0o755)


@pytest.fixture(autouse=True)
def _no_log_to_a_closed_stream() -> Iterator[None]:
    """The command line logs to stderr as it is then, which is gone when the test is; threads may still have to say."""
    yield
    root = logging.getLogger()
    for handler in list(root.handlers):
        if type(handler) is logging.StreamHandler:
            root.removeHandler(handler)


@pytest.fixture(autouse=True)
def _no_secret_of_another_test() -> Iterator[None]:
    """What one test plants as a password may be an ordinary word in the next."""
    known = secrecy._known, secrecy._known_pattern
    yield
    secrecy._known, secrecy._known_pattern = known


def pytest_configure() -> None:
    """Have folders of tests in memory where there is as much room as hubs and boxes want to see free on a disk.

    Each commit of a hub or an outbox waits for a disk, for longer than all its other work takes.
    """
    if roomy := memory(8):
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(roomy))
    gc.disable()


def pytest_collection_finish() -> None:
    """What is loaded by now, tests and all that they import, is never looked through for garbage again."""
    gc.freeze()
    gc.set_threshold(*GARBAGE)
    gc.enable()


@pytest.fixture(autouse=True)
def _garbage_as_seldom_as_before() -> Iterator[None]:
    """Hub and worker look for it often once they have started (`machine.heap`), which is for a process of their own."""
    yield
    gc.set_threshold(*GARBAGE)


# Files that take longest; begun first, so that no process waits in the end for another that began one of them late.
LONGEST = (
    "test_replay", "test_dask_crew", "test_same_answer", "test_publishing", "test_crews", "test_bench", "test_turns",
    "test_paired", "test_delivery", "test_delivery_matrix", "test_worker", "test_browser", "test_accessible",
)  # fmt: skip


def pytest_xdist_auto_num_workers() -> int:
    """Three processes more than there are cores, for many tests wait."""
    return len(os.sched_getaffinity(0)) + 3 if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1) + 3


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order the files."""
    items.sort(key=lambda item: item.path.stem not in LONGEST)
