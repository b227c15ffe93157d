"""Fixtures that start real parts: one that is missing fails the test in CI, and elsewhere skips it."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from detector.machine import secrecy
from tests.parts_statements import share_statements

REPOSITORY = Path(__file__).resolve().parent.parent

share_statements()

# How fast examples come says more of the machine than of us.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")


def part_missing(what: str, packages: str) -> None:
    """Skip the test, or fail it in CI, naming the command that installs what is missing."""
    message = f"{what} is not installed: apt-get install {packages}  (make setup-test does it)"
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)


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
