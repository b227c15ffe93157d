"""However often a stranger has the hub say something, its log stays short, and says how much it left out."""

from __future__ import annotations

import logging

import pytest

from detector.hub import log_limit
from detector.hub.log_limit import LogLimit, limit_log


def line(text: str, at: float, number: int = 1, level: int = logging.WARNING) -> logging.LogRecord:
    """A record of a line of code."""
    record = logging.LogRecord("hub", level, "code.py", number, text, (), None)
    record.created = at
    return record


def test_a_line_that_comes_again_and_again_is_logged_now_and_then_with_its_number() -> None:
    brief, records = LogLimit(), [line(f"refused {n}", at=n / 100) for n in range(1000)]
    logged = [record for record in records if brief.filter(record)]
    assert logged == records[: log_limit.AT_ONCE]
    later = line("refused", at=log_limit.EVERY_S + 10)
    assert brief.filter(later) and later.getMessage() == "refused (and 800 more like it)"


def test_what_another_line_of_code_says_is_logged_meanwhile() -> None:
    brief = LogLimit()
    for n in range(1000):
        brief.filter(line(f"refused {n}", at=0.0))
    assert brief.filter(line("the disk is full", at=0.0, number=2))
    assert brief.filter(line("asked for by name", at=0.0, level=logging.DEBUG))


def test_the_hub_has_its_log_be_brief(monkeypatch: pytest.MonkeyPatch) -> None:
    handler = logging.StreamHandler()
    monkeypatch.setattr(logging.getLogger(), "handlers", [handler])
    limit_log()
    assert [type(one) for one in handler.filters] == [LogLimit]
