"""Which shift is on: by the wall clock of the site, past midnight, on closed days, when the clocks change."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.config import DAYS, Calendar, Shift
from detector.shifts import OnDuty, Shifts

DAY = Shift(name="day", begins="08:00", ends="20:00")
NIGHT = Shift(name="night", begins="20:00", ends="02:00", days=["mon", "tue", "wed", "thu", "fri", "sat"])
FESTIVAL = date(2027, 2, 17)  # a Wednesday


def at(text: str, zone: str = "Asia/Shanghai") -> float:
    """Unix seconds of a wall-clock time; of two, the first."""
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()


def shifts(*given: Shift, closed: list[date] | None = None, zone: str = "Asia/Shanghai") -> Shifts:
    return Shifts(Calendar(shifts=list(given), closed=closed or []), zone)


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        pytest.param("2026-11-25T08:00", "day 2026-11-25", id="it begins"),
        pytest.param("2026-11-25T07:59:59", None, id="a second before"),
        pytest.param("2026-11-25T19:59:59", "day 2026-11-25", id="a second before its end"),
        pytest.param("2026-11-25T20:00", "night 2026-11-25", id="the next takes over"),
        pytest.param("2026-11-26T01:59", "night 2026-11-25", id="past midnight it is yesterday's"),
        pytest.param("2026-11-26T02:00", None, id="its end"),
        pytest.param("2026-11-29T01:00", "night 2026-11-28", id="Saturday's night runs into Sunday"),
        pytest.param("2026-11-29T21:00", None, id="no night on Sunday"),
        pytest.param("2026-11-30T01:00", None, id="nor on the morning after"),
        pytest.param("2027-02-16T23:00", "night 2027-02-16", id="the evening before a closed day"),
        pytest.param("2027-02-17T00:00", None, id="ends at midnight"),
        pytest.param("2027-02-17T12:00", None, id="a closed day"),
        pytest.param("2027-02-17T23:00", None, id="its evening"),
        pytest.param("2027-02-18T01:00", None, id="what didn't begin doesn't go on"),
        pytest.param("2027-02-18T08:00", "day 2027-02-18", id="the day after"),
    ],
)
def test_the_shift_that_is_on(when: str, expected: str | None) -> None:
    duty = shifts(DAY, NIGHT, closed=[FESTIVAL]).at(at(when))
    assert (f"{duty.name} {duty.day}" if duty else None) == expected
    assert shifts(DAY, NIGHT, closed=[FESTIVAL]).working(at(when)) is (expected is not None)


def test_without_shifts_it_is_always_working_time() -> None:
    always = shifts()
    assert always.at(0.0) is None
    assert always.working(0.0)


def test_without_shifts_a_closed_day_is_closed_all_the_same() -> None:
    always = shifts(closed=[FESTIVAL])
    assert not always.working(at("2027-02-17T12:00"))
    assert always.working(at("2027-02-18T00:00"))


def test_of_two_shifts_the_first_in_the_file_is_on() -> None:
    cleaning = Shift(name="cleaning", begins="19:00", ends="21:00")
    when = at("2026-11-25T19:30")
    assert shifts(cleaning, DAY).at(when) == OnDuty("cleaning", date(2026, 11, 25))
    assert shifts(DAY, cleaning).at(when) == OnDuty("day", date(2026, 11, 25))


def test_a_shift_that_ends_when_it_begins_lasts_a_day() -> None:
    guard = Shift(name="guard", begins="08:00", ends="08:00", days=["wed"])
    for when, day in (("2026-11-25T08:00", 25), ("2026-11-26T07:59", 25), ("2026-11-26T08:00", None)):
        duty = shifts(guard).at(at(when))
        assert (duty.day.day if duty else None) == day


NEW_YORK = "America/New_York"  # clocks go forward on 2026-03-08 at 02:00 and back on 2026-11-01 at 02:00


@pytest.mark.parametrize(
    ("evening", "hours"),
    [("2026-03-06", 6.0), ("2026-03-07", 5.0), ("2026-10-31", 7.0)],
    ids=["an ordinary night", "clocks go forward", "clocks go back"],
)
def test_a_night_when_the_clocks_change_is_an_hour_shorter_or_longer(evening: str, hours: float) -> None:
    night = shifts(Shift(name="night", begins="22:00", ends="04:00"), zone=NEW_YORK)
    start = at(f"{evening}T22:00", NEW_YORK)
    on = [night.at(start + 60 * minute) for minute in range(-60, 9 * 60)]
    assert sum(duty is not None for duty in on) / 60 == hours
    assert {duty.day.isoformat() for duty in on if duty} == {evening}


@pytest.mark.parametrize(
    ("begins", "ends", "since", "until"),
    [
        ("17:00", "01:30", "2026-10-31T17:00-04:00", "2026-11-01T01:30-04:00"),
        ("17:00", "01:00", "2026-10-31T17:00-04:00", "2026-11-01T01:00-04:00"),
        ("17:00", "02:00", "2026-10-31T17:00-04:00", "2026-11-01T02:00-05:00"),
        ("01:30", "06:00", "2026-11-01T01:30-04:00", "2026-11-01T06:00-05:00"),
        ("01:10", "01:50", "2026-11-01T01:10-04:00", "2026-11-01T01:50-04:00"),
    ],
)
def test_a_shift_that_begins_or_ends_in_an_hour_that_comes_twice_does_so_once(
    begins: str, ends: str, since: str, until: str
) -> None:
    late = shifts(Shift(name="late", begins=begins, ends=ends, days=[DAYS[date.fromisoformat(since[:10]).weekday()]]),
                  zone=NEW_YORK)  # fmt: skip
    first, last = (datetime.fromisoformat(text).timestamp() for text in (since, until))
    on = [at for at in (first + 60.0 * minute for minute in range(-120, 16 * 60)) if late.at(at)]
    assert (on[0], on[-1] + 60, len(on)) == (first, last, round((last - first) / 60))


def test_a_shift_that_begins_in_the_hour_left_out_begins_after_it() -> None:
    early = shifts(Shift(name="early", begins="02:30", ends="06:00"), zone=NEW_YORK)
    last_of_winter = at("2026-03-08T01:59:59", NEW_YORK)
    assert early.at(last_of_winter) is None
    assert early.at(last_of_winter + 1) == OnDuty("early", date(2026, 3, 8))


times = st.from_regex(r"([01][0-9]|2[0-3]):[0-5][0-9]", fullmatch=True)
made = st.builds(
    Shift,
    name=st.sampled_from(["a", "b"]),
    begins=times,
    ends=times,
    days=st.lists(st.sampled_from(DAYS), min_size=1, unique=True),
)


@given(st.lists(made, max_size=3), st.integers(0, 60 * 24 * 800), st.sampled_from(["Asia/Shanghai", NEW_YORK]))
def test_a_shift_that_is_on_began_on_its_day_and_less_than_a_day_ago(
    given: list[Shift], minute: int, zone: str
) -> None:
    begin = at("2026-01-01T00:00", zone)
    calendar = shifts(*given, zone=zone)
    moment = begin + 60.0 * minute
    duty = calendar.at(moment)
    if duty is None:
        return
    now = calendar.local(moment)
    assert now.date() - duty.day in (timedelta(0), timedelta(days=1))
    of_name = [shift for shift in given if shift.name == duty.name]
    assert any(DAYS[duty.day.weekday()] in shift.days for shift in of_name)
