"""Time at the edges: it never steps back, and goes to text and back."""

from __future__ import annotations

import time
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.clock import Correction, SystemClock, changed, iso, kernel_clock, on_the_wall, shown_from, unix
from tests.builders import SteppedClock


def test_a_time_correction_does_not_step_the_clock_back(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SystemClock()
    before = clock.now()
    monkeypatch.setattr(time, "time", lambda: 0.0)
    assert clock.now() >= before


def test_a_clock_follows_forward_and_never_back(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SystemClock()
    ahead = clock.now() + 3600
    monkeypatch.setattr(time, "time", lambda: ahead)
    clock.follow()
    assert clock.now() == pytest.approx(ahead, abs=1.0)
    monkeypatch.setattr(time, "time", lambda: 0.0)
    clock.follow()
    assert clock.now() >= ahead


@pytest.mark.parametrize("apart_s", [900.0, 2.5, -2.5, -900.0])
def test_a_correction_is_seen_when_it_lasts(monkeypatch: pytest.MonkeyPatch, apart_s: float) -> None:
    clock = SteppedClock(1_800_000_000.0)
    correction = Correction(clock, 5.0)
    seen = []
    for second in range(20):
        clock.at += 1.0
        blip = second == 3
        put_s = apart_s if blip or second >= 8 else 1.5
        monkeypatch.setattr(time, "time", lambda put_s=put_s: clock.at + put_s)
        seen.append(correction.seen_s())
    assert seen == [0.0] * 13 + [apart_s] * 7


@pytest.mark.parametrize(
    ("since", "until", "zone", "expected"),
    [
        ("2026-03-29T00:00+01:00", "2026-03-30T00:00+02:00", "Europe/Berlin", "2026-03-29T03:00+02:00"),
        ("2026-10-25T00:00+02:00", "2026-10-26T00:00+01:00", "Europe/Berlin", "2026-10-25T02:00+01:00"),
        ("2026-10-25T02:59:59+02:00", "2026-10-25T02:00:01+01:00", "Europe/Berlin", "2026-10-25T02:00+01:00"),
        ("2026-10-26T00:00+01:00", "2026-10-27T00:00+01:00", "Europe/Berlin", None),
        ("2026-11-01T00:00-04:00", "2026-11-02T00:00-05:00", "America/New_York", "2026-11-01T01:00-05:00"),
        ("2026-04-04T00:00-03:00", "2026-04-05T00:00-04:00", "America/Santiago", "2026-04-04T23:00-04:00"),
        ("2026-04-05T00:00+11:00", "2026-04-06T00:00+10:30", "Australia/Lord_Howe", "2026-04-05T01:30+10:30"),
        ("2026-10-25T00:00+05:45", "2026-10-26T00:00+05:45", "Asia/Kathmandu", None),
    ],
)
def test_a_change_of_clocks_is_found_within_a_day(since: str, until: str, zone: str, expected: str | None) -> None:
    assert changed(unix(since), unix(until), ZoneInfo(zone)) == (expected and unix(expected))


@pytest.mark.parametrize(
    ("local", "zone", "shown"),
    [
        ("2026-03-29T01:59:59", "Europe/Berlin", "2026-03-29T00:59:59Z"),
        ("2026-03-29T02:00", "Europe/Berlin", "2026-03-29T01:00:00Z"),
        ("2026-03-29T02:59:59", "Europe/Berlin", "2026-03-29T01:00:00Z"),
        ("2026-03-29T03:00", "Europe/Berlin", "2026-03-29T01:00:00Z"),
        ("2026-10-25T02:30", "Europe/Berlin", "2026-10-25T00:30:00Z"),
        ("2026-09-06T00:10", "America/Santiago", "2026-09-06T04:00:00Z"),
        ("2026-12-31T23:59", "Asia/Kathmandu", "2026-12-31T18:14:00Z"),
    ],
)
def test_of_a_time_that_is_left_out_what_comes_after_it_is_shown(local: str, zone: str, shown: str) -> None:
    assert shown_from(datetime.fromisoformat(local).replace(tzinfo=ZoneInfo(zone))) == unix(shown)


@settings(deadline=None)
@given(st.floats(0, 4e9))
def test_text_keeps_a_time_to_the_millisecond(seconds: float) -> None:
    text = iso(seconds)
    assert len(text) == len("2026-11-01T09:26:13.250Z")
    assert unix(text) == pytest.approx(seconds, abs=0.00051)
    assert iso(unix(text)) == text


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1970-01-01T00:00:01Z", 1),
        ("1970-01-01T00:00:01", 1),
        ("1970-01-01T08:00:01+08:00", 1),
        ("1970-01-02", 86400),
        ("1970-01-01T00:00:00.250Z", 0.25),
    ],
)
def test_a_time_is_read(text: str, seconds: float) -> None:
    assert unix(text) == seconds


@pytest.mark.parametrize(
    ("at", "words"),
    [
        ("2026-10-25T01:59:59+02:00", "01:59:59"),
        ("2026-10-25T02:00:00+02:00", "02:00:00 CEST"),
        ("2026-10-25T02:59:59+01:00", "02:59:59 CET"),
        ("2026-10-25T03:00:00+01:00", "03:00:00"),
        ("2026-03-29T03:00:00+02:00", "03:00:00"),  # the hour before is left out then
    ],
)
def test_a_time_of_an_hour_that_comes_twice_says_which(at: str, words: str) -> None:
    assert on_the_wall(datetime.fromtimestamp(unix(at), ZoneInfo("Europe/Berlin")), "%H:%M:%S") == words


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01T00:00:00Z", "1700000000.5x"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        unix(text)


def test_the_kernel_says_how_far_it_trusts_its_clock() -> None:
    told = kernel_clock()
    assert told is not None and 0 <= told.error_s < 100


def test_where_the_kernel_has_no_such_call_nothing_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ctypes.CDLL", lambda _: object())
    assert kernel_clock() is None
