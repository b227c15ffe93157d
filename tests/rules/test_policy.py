"""What is fine in a zone: its policy, and exemptions by shift, day and number of people."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.config import Calendar, Exemption, Policy, Shift, Zone
from detector.rules.policy import Permission, Policies, permission
from detector.shifts import Shifts

SHIFTS = Shifts(
    Calendar(
        shifts=[Shift(name="day", begins="08:00", ends="20:00"), Shift(name="night", begins="20:00", ends="02:00")],
        closed=[date(2027, 2, 17)],
    ),
    "Asia/Shanghai",
)
SQUARE: Any = [(0.0, 0.0), (1.0, 0.0), (1.0, 1.0)]
DAY, EVENING, MORNING = "2026-11-25T12:00", "2026-11-25T22:30", "2026-11-25T05:00"


def asked(when: str, *exemptions: Exemption, people: int = 1, **policy: Any) -> Permission:
    zone = Zone(name="bulk", kind="storage", polygon=SQUARE, policy=Policy(exemptions=list(exemptions), **policy))
    at = datetime.fromisoformat(when).replace(tzinfo=ZoneInfo("Asia/Shanghai")).timestamp()
    return Policies(SHIFTS).at(zone, at, people)


def test_a_zone_without_a_policy_forbids_phones_and_being_there_out_of_hours() -> None:
    assert asked(DAY) == Permission(phones=False, scanners=True, staying=True, working=True, shift="day")
    assert asked(MORNING) == Permission(phones=False, scanners=True, staying=False, working=False, shift=None)


@pytest.mark.parametrize(
    ("when", "people", "phones"),
    [
        pytest.param(DAY, 1, True, id="in its shift, alone"),
        pytest.param(DAY, 2, False, id="two at a time"),
        pytest.param(EVENING, 1, False, id="in another shift"),
        pytest.param(MORNING, 1, False, id="outside all shifts"),
        pytest.param("2027-06-30T19:59", 1, True, id="on its last day"),
        pytest.param("2027-07-01T08:00", 1, False, id="the day after"),
        pytest.param("2027-02-17T12:00", 1, False, id="on a closed day"),
    ],
)
def test_an_exemption_holds_in_its_shifts_until_its_last_day_for_so_many(when: str, people: int, phones: bool) -> None:
    inspector = Exemption(reason="damage", shifts=["day"], people=1, until=date(2027, 6, 30), phones="allowed")
    told = asked(when, inspector, people=people)
    assert (told.phones, told.because) == (phones, "damage" if phones else "")


def test_an_exemption_holds_to_the_end_of_the_night_shift_that_began_on_its_last_day() -> None:
    night = Exemption(reason="stocktaking", shifts=["night"], until=date(2026, 11, 25), phones="allowed")
    assert asked("2026-11-26T01:30", night).phones
    assert not asked("2026-11-26T20:00", night).phones


def test_an_exemption_says_nothing_of_what_it_does_not_name() -> None:
    cleaners = Exemption(reason="cleaning", staying="allowed")
    told = asked(MORNING, cleaners)
    assert (told.phones, told.scanners, told.staying, told.working) == (False, True, True, False)
    inspector = Exemption(reason="damage", phones="allowed")
    both = asked(MORNING, inspector, cleaners)
    assert (both.phones, both.staying, both.because) == (True, True, "damage; cleaning")


def test_the_first_exemption_that_holds_decides() -> None:
    strict = Exemption(reason="audit week", until=date(2026, 11, 26), phones="forbidden")
    usual = Exemption(reason="packing proof", phones="allowed")
    assert (asked(DAY, strict, usual).phones, asked(DAY, strict, usual).because) == (False, "audit week")
    assert (asked("2026-11-27T12:00", strict, usual).phones) is True


some_exemptions = st.lists(
    st.builds(
        Exemption,
        reason=st.just("why"),
        people=st.none() | st.integers(1, 5),
        phones=st.sampled_from([None, "allowed", "forbidden"]),
        scanners=st.sampled_from([None, "allowed", "forbidden"]),
        staying=st.sampled_from([None, "allowed", "forbidden"]),
    ),
    max_size=4,
)


@given(some_exemptions, st.sampled_from(["allowed", "forbidden"]))
def test_the_least_is_what_is_fine_for_every_number_of_people(exemptions: list[Exemption], phones: Any) -> None:
    zone = Zone(name="bulk", kind="storage", polygon=SQUARE, policy=Policy(phones=phones, exemptions=exemptions))
    before_work = -3 * 3600.0
    least = Policies(SHIFTS).least(zone, before_work)
    told = [Policies(SHIFTS).at(zone, before_work, n) for n in range(1, 8)]
    assert least.phones == all(each.phones for each in told)
    assert least.scanners == all(each.scanners for each in told)
    assert least.staying == all(each.staying for each in told)
    assert (least.working, least.shift) == (told[0].working, told[0].shift)


def test_an_exemption_may_forbid_what_the_policy_allows() -> None:
    no_scanners = Exemption(reason="nothing leaves at night", shifts=["night"], scanners="forbidden")
    assert asked(DAY, no_scanners).scanners
    assert not asked(EVENING, no_scanners).scanners


def test_any_reason_is_a_reason() -> None:
    assert asked(DAY, Exemption(reason="-", phones="allowed")).because == "-"


words = st.sampled_from(["allowed", "forbidden", None])
exemptions = st.builds(
    Exemption,
    reason=st.sampled_from(["a", "b"]),
    shifts=st.lists(st.sampled_from(["day", "night"]), max_size=2),
    until=st.none() | st.dates(date(2026, 11, 20), date(2026, 11, 30)),
    people=st.none() | st.integers(1, 3),
    phones=words,
    scanners=words,
    staying=words,
)


@given(
    st.lists(exemptions, max_size=3),
    st.sampled_from(["day", "night", None]),
    st.dates(date(2026, 11, 18), date(2026, 12, 2)),
    st.integers(1, 4),
)
def test_what_holds_for_none_leaves_the_policy_as_it_is(
    given: list[Exemption], shift: str | None, day: date, people: int
) -> None:
    told = permission(Policy(exemptions=given), shift, shift is not None, day, people)
    if not told.because:
        bare = permission(Policy(), shift, shift is not None, day, people)
        assert told == bare
    if told.phones:
        assert any(exemption.phones == "allowed" for exemption in given)
    assert told.staying or not told.working
