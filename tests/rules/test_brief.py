"""Slots that were gone before a parcel can have lain there."""

from __future__ import annotations

from dataclasses import replace

import pytest

from detector.rules.brief import KEPT_S, LAIN_S, BriefSlots
from detector.values import Box, Parcel
from tests.builders import parcel

PLACE: Box = (400, 500, 480, 560)


def seen(slots: BriefSlots, number: int, since: float, until: float) -> Parcel:
    """A slot seen from one time to another, and not in the scene after."""
    found = parcel(number, PLACE, since=since)
    for at in (since, until):
        slots.observe([replace(found, last_seen_at=at)], at)
    slots.observe([], until + 0.2)
    return found


@pytest.mark.parametrize(
    ("seconds", "brief"),
    [
        pytest.param(0.0, True, id="one look"),
        pytest.param(LAIN_S - 0.2, True, id="somebody passes"),
        pytest.param(LAIN_S, False, id="it lay there"),
        pytest.param(600.0, False, id="it lay there for long"),
    ],
)
def test_a_slot_is_brief_that_was_seen_for_a_moment_only(seconds: float, brief: bool) -> None:
    slots = BriefSlots()
    seen(slots, 1, 10, 10 + seconds)
    assert slots.ids == ({1} if brief else set())


def test_what_is_still_there_is_not_brief() -> None:
    slots = BriefSlots()
    slots.observe([parcel(1, PLACE, since=10, at=10)], 10)
    assert slots.ids == set()


def test_brief_slots_are_forgotten_in_the_end() -> None:
    slots = BriefSlots()
    for n in range(200):
        seen(slots, n, 100.0 * n, 100.0 * n + 1)
    assert 0 < len(slots.ids) <= KEPT_S / 100 + 1
