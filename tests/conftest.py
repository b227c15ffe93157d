"""Fixtures that start real parts: one that is missing fails the test in CI, and elsewhere skips it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent


def part_missing(what: str, packages: str) -> None:
    """Skip the test, or fail it in CI, naming the command that installs what is missing."""
    message = f"{what} is not installed: apt-get install {packages}  (make setup-test does it)"
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)
