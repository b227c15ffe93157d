"""The simulation of zones, small and with fixed seeds: alarms keep to the set rate, planted patterns are found."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from simulation.zones import LEVELS, Lying, Setting, Zone, card_setting, month, page, plant, power_of, rate_of, settings

from detector.values import DAY_S


def test_false_alarms_keep_to_the_set_rate() -> None:
    """Two zone-months in which 200 are allowed; some must come, or the simulation shows nothing."""
    realised = rate_of([month((card_setting(), 100.0, 10, seed)) for seed in range(6)], 100.0)
    assert 0 < realised["alarms"] <= 200
    assert realised["slack_high"] <= 1


@pytest.mark.parametrize("how", ["put", "turned", "found"])
def test_planted_patterns_are_found_soon(how: str) -> None:
    found = power_of([plant((Setting(), 1.0, how, 0.2, seed)) for seed in range(10)])
    assert found["told"] >= 9
    assert found["last_s"] <= 60


@pytest.mark.parametrize(("how", "days"), [("put", 7), ("turned", 7), ("found", 0)])
def test_the_zone_has_worked_before_a_pattern_is_planted_but_where_the_camera_starts(
    monkeypatch: pytest.MonkeyPatch, how: str, days: int
) -> None:
    worked: list[Zone] = []
    monkeypatch.setattr(Zone, "day", lambda zone: worked.append(zone) or zone.pass_until(zone.now + DAY_S))
    plant((Setting(), 1.0, how, 0.2, 1))
    assert len(worked) == days


def test_a_day_of_work_takes_a_day() -> None:
    zone = Zone(card_setting(), 1.0, np.random.default_rng(1))
    for days in range(1, 5):
        zone.day()
        assert days * DAY_S <= zone.now < (days + 0.1) * DAY_S


def test_a_patch_that_is_turned_in_place_still_lies_there(monkeypatch: pytest.MonkeyPatch) -> None:
    there: list[bool] = []
    turn = Zone.turn

    def watched(zone: Zone, parcels: Sequence[Lying], at: float) -> None:
        there.extend(any(parcel is other for other in zone.lying) for parcel in parcels)
        turn(zone, parcels, at)

    monkeypatch.setattr(Zone, "turn", watched)
    monkeypatch.setattr("simulation.zones.WORKED_DAYS", 0)
    for seed in range(5):
        plant((Setting(), 1.0, "turned", 0.2, seed))
    assert len(there) > 50 and all(there)


def test_the_same_seed_gives_the_same_zone() -> None:
    one, again = (month((card_setting(), 100.0, 2, 7)) for _ in range(2))
    assert one == again


def test_the_page_says_every_figure() -> None:
    realised, power = (
        rate_of([{"days": 30, "alarms": 2, "first_day": 1}], 10.0),
        power_of([{"told": True, "after_s": -5.0}]),
    )
    text = page(
        {
            "levels": {f"{level:g}": realised | {"set": level} for level in LEVELS},
            "sites": dict.fromkeys(settings(), realised),
            "planted": {"put at 0.2": power},
        }
    )
    for word in (*settings(), "put at 0.2", "level 0.1", "svg"):
        assert word in text


def test_where_nothing_was_planted_nothing_is_said() -> None:
    found = power_of([])
    assert (found["planted"], found["low"], found["high"]) == (0, 0.0, 1.0)
