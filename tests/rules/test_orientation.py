"""A patch with nearly every label up is told; thrown parcels, and parcels that just stay, are not."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.config import Calendar, OrientationRule, Shift, Zone
from detector.rules.orientation import AGAIN_S, LOST_S
from detector.rules.orientation import OrientationRule as Rule
from detector.rules.zones import ZoneMap
from detector.shifts import Shifts
from detector.values import DAY_S, Box, CameraView, Facing, IncidentKind, Parcel, Scene, Severity, Signal
from tests.builders import box_at, parcel, person, scene, times

STORAGE = Zone(name="bulk", kind="storage", polygon=[(0, 0), (0.5, 0), (0.5, 1), (0, 1)])
WALKWAY = Zone(name="aisle", kind="walkway", polygon=[(0.5, 0), (1, 0), (1, 1), (0.5, 1)])
U, N = Facing.UP, Facing.NOT_UP
TURNED = [U] * 18 + [N] * 2
ORDINARY = [U if n % 3 == 0 else N for n in range(20)]
ALWAYS = Shifts(Calendar(), "UTC")
BY_DAY, AT_NIGHT = CameraView(0.45, 0.2, 0.5, 0.9, 0.0), CameraView(0.02, 0.01, 0.0, 0.0, 0.0)


def lying(
    facings: Sequence[Facing],
    *,
    since: float = 0.0,
    left: float = 60,
    first: int = 1,
    turned: dict[int, float] | None = None,
) -> list[Parcel]:
    """Parcels in rows of six; `turned` says when each, by its place in the list, was turned."""
    return [
        replace(
            parcel(n + first, box_at((left + 80 * (n % 6), 200 + 70 * (n // 6)), 60, 50), facing, since=since),
            turned_at=(turned or {}).get(n),
        )
        for n, facing in enumerate(facings)
    ]


def rule(zones: Sequence[Zone] = (STORAGE, WALKWAY), shifts: Shifts = ALWAYS, **keys: Any) -> Rule:
    return Rule(ZoneMap(zones), OrientationRule(**keys), shifts)


def signals(scenes: Iterable[Scene], watch: Rule | None = None) -> list[Signal]:
    watch = watch or rule()
    return [found for each in scenes for found in watch.observe(each)]


def lay(watch: Rule, facings: Sequence[Facing], at: float) -> list[Signal]:
    """After a while without any, new parcels come to lie there."""
    first = 1 + 1000 * int(at)
    empty = [scene(at - LOST_S - 1), scene(at - 1)]
    return signals([*empty, *(scene(t, parcels=lying(facings, since=at, first=first)) for t in (at, at + 5))], watch)


def test_a_patch_that_lies_there_at_first_sight_is_told_once() -> None:
    found = signals(scene(t, parcels=lying(TURNED), labels=[(1, 2, 3, 4)]) for t in times(0, 600, 1))
    assert len(found) == 1
    told = found[0]
    assert (told.kind, told.zone, told.severity) == (IncidentKind.ORIENTATION_PATTERN, "bulk", Severity.WARNING)
    assert told.started_at == told.at == 4
    assert 0.5 < told.score < 1
    assert told.facts["zone_up"] == told.facts["lay_up"] == 18
    assert told.facts["arrived_up"] == 0
    assert told.facts["zone_judged"] == 20
    assert told.facts["turned_here"] == 0
    assert told.facts["evidence"] > 0
    assert told.facts["usual_rate"] == 0.35
    assert told.facts["usual_supposed"] is True
    assert "p_value" not in told.facts
    json.dumps(dict(told.facts))
    assert ("label", (1, 2, 3, 4)) in told.boxes
    assert sum(what == "up" for what, _ in told.boxes) == told.facts["up"]


def test_a_patch_at_first_sight_is_told_though_shelves_around_show_no_label_up() -> None:
    around = [
        replace(p, box=box_at((880 + 70 * (k % 5), 60 + 60 * (k // 5)), 60, 50))
        for k, p in enumerate(lying([N] * 14, first=100))
    ]
    parcels = lying([U] * 14 + [N] * 2, left=400) + around
    hall = Zone(name="hall", kind="storage", polygon=[(0, 0), (1, 0), (1, 1), (0, 1)])
    (told,) = signals((scene(t, parcels=parcels) for t in times(0, 30, 1)), rule([hall]))
    assert told.facts["up"] == 14


@pytest.mark.parametrize(
    "parcels",
    [
        pytest.param([], id="no parcels"),
        pytest.param(lying([U]), id="one parcel"),
        pytest.param(lying(ORDINARY), id="thrown"),
        pytest.param(lying([U] * 7), id="too few"),
        pytest.param(lying([Facing.UNKNOWN] * 20), id="none could be judged"),
        pytest.param(lying(TURNED, left=700), id="in a walkway"),
        pytest.param(lying(TURNED, left=5000), id="beside the picture"),
        pytest.param(lying([N] * 20), id="none up"),
        pytest.param([replace(p, box=(float("nan"),) * 4) for p in lying(TURNED)], id="nowhere"),
    ],
)
def test_what_is_no_pattern(parcels: list[Parcel]) -> None:
    assert signals(scene(t, parcels=parcels) for t in times(0, 60, 1)) == []


def test_a_score_that_is_no_number_harms_nobody() -> None:
    odd = [replace(p, up=float("nan"), angle=float("nan")) for p in lying(TURNED)]
    assert len(signals(scene(t, parcels=odd) for t in times(0, 20, 1))) == 1


def test_a_patch_that_is_put_down_before_the_camera_has_arrived() -> None:
    found = signals(scene(t, parcels=lying(TURNED, since=10) if t >= 10 else []) for t in times(0, 30, 1))
    assert [(s.facts["arrived_up"], s.facts["lay_up"]) for s in found] == [(18, 0)]


def test_parcels_that_have_just_been_put_down_do_not_count_yet() -> None:
    found = signals(scene(t, parcels=lying(TURNED, since=10)) for t in times(10, 30, 1))
    assert [s.started_at for s in found] == [14]


def test_parcels_that_stay_add_nothing() -> None:
    some = lying([U] * 6 + [N] * 2)
    watch = rule()
    assert signals((scene(t, parcels=some) for t in times(0, 10, 1)), watch) == []
    before = watch.learned()["bulk"]["wealth"]
    assert signals((scene(t, parcels=some) for t in times(11, 2000, 1)), watch) == []
    paid_in = 2000 / (30 * 86400)
    assert watch.learned()["bulk"]["wealth"] <= before + paid_in


def test_parcels_lost_from_sight_and_found_again_are_no_new_ones() -> None:
    began = 10 * LOST_S

    def at(t: float) -> list[Parcel]:
        flicker = int(t - began) // 20
        return [] if flicker % 2 else lying([U] * 6 + [N] * 3, since=began + 20.0 * flicker, first=1 + 100 * flicker)

    watch = rule()
    signals((scene(t, parcels=at(t)) for t in times(began, began + 15, 1)), watch)
    before = watch.learned()["bulk"]["wealth"]
    assert signals((scene(t, parcels=at(t)) for t in times(began + 16, began + LOST_S / 2, 1)), watch) == []
    assert watch.learned()["bulk"]["wealth"] <= before + LOST_S / (30 * 86400)


@pytest.mark.parametrize(
    "night",
    [
        pytest.param(AT_NIGHT, id="no lamps"),
        pytest.param(CameraView(0.03, 0.12, 0.3, 0.6, 0.0), id="no lamps, and text upon the picture"),
        pytest.param(CameraView(0.4, 0.03, 0.0, 0.0, 0.0), id="a cloth before the lens"),
    ],
)
def test_what_lies_there_over_nights_on_which_nothing_can_be_seen_is_counted_once(night: CameraView) -> None:
    watch = rule()
    for begins in times(0, 3 * DAY_S, 1 / DAY_S):
        lain = lying(ORDINARY, since=begins, first=1 + int(begins))
        day = (replace(scene(t, parcels=lain), view=BY_DAY) for t in times(begins, begins + 8 * 3600, 1 / 30))
        dark = (replace(scene(t), view=night) for t in times(begins + 8 * 3600 + 4, begins + DAY_S - 30, 1 / 30))
        assert signals([*day, *dark], watch) == []
        (zone,) = watch.census(scene(begins + DAY_S - 30))
        assert (zone.came_up, zone.came_not_up) == (0, 0)


def test_lamps_that_go_out_row_by_row_leave_nothing_to_be_counted_anew() -> None:
    watch, dusk = rule(), 100.0
    signals([scene(t, parcels=lying(ORDINARY)) for t in (0, 5)], watch)
    dim = [replace(scene(t, parcels=lying(ORDINARY)[:12]), view=BY_DAY) for t in times(dusk, dusk + 60, 1)]
    night = (replace(scene(t), view=AT_NIGHT) for t in times(dusk + 61, dusk + 3 * LOST_S, 1 / 30))
    morning = dusk + 3 * LOST_S + 30
    lain = lying(ORDINARY, since=morning, first=100)
    signals([*dim, *night, *(replace(scene(t, parcels=lain), view=BY_DAY) for t in (morning, morning + 5))], watch)
    (zone,) = watch.census(scene(morning + 5))
    assert (zone.came_up, zone.came_not_up) == (0, 0)


def test_what_comes_after_others_were_taken_away_long_before_the_night_is_counted() -> None:
    watch = rule()
    signals([scene(t, parcels=lying(ORDINARY)) for t in (0, 5)], watch)
    dusk = 5 + LOST_S / 2
    signals((replace(scene(t), view=BY_DAY) for t in times(6, dusk, 1 / 30)), watch)
    signals((replace(scene(t), view=AT_NIGHT) for t in times(dusk, dusk + LOST_S, 1 / 30)), watch)
    morning = dusk + LOST_S + 30
    after = [
        replace(scene(t, parcels=lying(ORDINARY, since=morning, first=100)), view=BY_DAY)
        for t in (morning, morning + 5)
    ]
    signals(after, watch)
    (zone,) = watch.census(after[-1])
    assert (zone.came_up, zone.came_not_up) == (7, 13)


@pytest.mark.parametrize("rate", [0.8, 0.9, 1.0])
def test_a_zone_where_labels_lie_up_as_a_rule_is_not_judged_and_the_log_says_so_once(
    rate: float, caplog: pytest.LogCaptureFixture
) -> None:
    bench = Zone(name="bench", kind="storage", polygon=STORAGE.polygon, label_up_rate=rate)
    watch = rule([bench])
    with caplog.at_level(logging.INFO):
        for k in range(10):
            assert lay(watch, TURNED, 7200.0 * k) == []
    (said,) = caplog.records
    assert "zone bench" in said.message
    assert "can't be judged" in said.message


def test_a_zone_where_no_label_ever_lies_up_is_judged_all_the_same() -> None:
    tidy = Zone(name="bulk", kind="storage", polygon=STORAGE.polygon, label_up_rate=0.0)
    assert len(signals((scene(t, parcels=lying(TURNED)) for t in times(0, 20, 1)), rule([tidy]))) == 1
    assert signals((scene(t, parcels=lying([U, U] + [N] * 18)) for t in times(0, 20, 1)), rule([tidy])) == []


# Turns.


def turning(watch: Rule, *, people: bool, start: float = 0.0) -> list[Signal]:
    """Thrown parcels that lie there for an hour; then one after another is turned label up, one every 5 s."""
    found = signals((scene(start + t, parcels=lying(ORDINARY, since=start)) for t in times(0, 3600, 0.2)), watch)
    assert found == []
    begins, facings, turned = start + 3600, list(ORDINARY), dict[int, float]()
    for k in range(20):
        at = begins + 5 * k
        if facings[k] is N and k < 18:
            facings[k], turned[k] = U, at
        there = [person(7, box_at((220, 300), 500, 400), at)] if people else []
        for t in times(at, at + 5, 1):
            found += watch.observe(scene(t, there, parcels=lying(facings, since=start, turned=turned)))
    for t in times(begins + 100, begins + 120, 1):
        found += watch.observe(scene(t, parcels=lying(facings, since=start, turned=turned)))
    return found


def test_parcels_turned_by_a_person_are_told_with_who_was_near_and_again_as_they_become_more() -> None:
    found = turning(rule(), people=True)
    assert len(found) >= 2
    assert len({s.started_at for s in found}) == 1
    ups = [s.facts["up"] for s in found]
    assert ups == sorted(set(ups))
    last = found[-1]
    assert last.severity is Severity.CRITICAL
    assert last.tracks == (7,)
    assert last.facts["turned_here"] == last.facts["turned_by_person"] >= 8
    assert last.facts["lay_up"] == last.facts["up"] - last.facts["turned_here"]


def test_parcels_that_turn_while_nobody_is_near_are_less_severe() -> None:
    found = turning(rule(), people=False)
    assert found
    assert {s.severity for s in found} == {Severity.WARNING}
    assert {s.tracks for s in found} == {()}
    assert found[-1].facts["turned_here"] >= 8
    assert found[-1].facts["turned_by_person"] == 0


def test_who_only_passes_once_parcels_were_turned_has_not_turned_them() -> None:
    begins, turned = 60.0, dict.fromkeys(range(18), 60.0)
    near, by = box_at((220, 300), 500, 400), {7: range(50, 59), 8: range(62, 66)}
    found = signals(
        scene(
            t,
            [person(number, near, t) for number, when in by.items() if t in when],
            parcels=lying([N] * 20) if t < begins else lying(TURNED, turned=turned),
        )
        for t in times(0, 90, 1)
    )
    assert {s.tracks for s in found} == {(7,)}
    assert found[-1].facts["turned_by_person"] == found[-1].facts["turned_here"] == 18


def test_one_parcel_read_now_so_now_so_is_no_pattern() -> None:
    def at(t: float) -> list[Parcel]:
        flips = int(t) // 30
        facings = [U if flips % 2 else N, *ORDINARY[1:]]
        return lying(facings, turned={0: 30.0 * flips} if flips else None)

    assert signals(scene(t, parcels=at(t)) for t in times(0, 2 * AGAIN_S, 0.5)) == []


def test_out_of_hours_a_pattern_is_graver() -> None:
    day = Shifts(Calendar(shifts=[Shift(name="day", begins="08:00", ends="20:00")]), "UTC")
    for hour, severity in ((9, Severity.WARNING), (23, Severity.CRITICAL)):
        begins = hour * 3600.0
        found = signals(
            (scene(begins + t, parcels=lying(TURNED, since=begins)) for t in times(0, 10, 1)), rule(shifts=day)
        )
        assert [(s.severity, s.facts["out_of_hours"]) for s in found] == [(severity, hour == 23)]


# Time.


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(-1e6, 1e6), st.lists(st.sampled_from(list(Facing)), max_size=30), st.booleans()),
        max_size=12,
    )
)
def test_times_in_any_order_do_no_harm(seen: list[tuple[float, list[Facing], bool]]) -> None:
    watch = rule()
    for at, facings, turned in seen:
        parcels = lying(facings, since=at - 10, turned=dict.fromkeys(range(30), at - 5) if turned else None)
        for found in watch.observe(scene(at, parcels=parcels)):
            assert found.started_at <= found.at
    for zone in watch.learned().values():
        assert 0 <= zone["wealth"] < 1e12


# What is learned.


def test_a_usual_rate_is_learned_and_survives_a_restart() -> None:
    watch = rule()
    mostly = [U] * 11 + [N] * 9
    for k in range(40):
        lay(watch, mostly, 7200.0 * k)
    kept = json.loads(json.dumps(watch.learned()))
    again = rule()
    again.recall(kept)
    assert again.learned() == kept
    learned = kept["bulk"]["rates"][""]
    assert learned["up"] / (learned["up"] + learned["not_up"]) == pytest.approx(0.55, abs=0.01)


def test_each_shift_has_its_rate_where_wanted() -> None:
    two = Shifts(
        Calendar(
            shifts=[Shift(name="day", begins="08:00", ends="20:00"), Shift(name="night", begins="20:00", ends="08:00")]
        ),
        "UTC",
    )
    watch = rule(shifts=two, by_shift=True)
    for k in range(20):
        lay(watch, [U] * (3 if k % 2 else 8) + [N] * (17 if k % 2 else 12), 43_200.0 * k + 36_000)
    rates = watch.learned()["bulk"]["rates"]
    assert rates.keys() == {"day", "night"}
    shares = {name: r["up"] / (r["up"] + r["not_up"]) for name, r in rates.items()}
    assert shares == pytest.approx({"day": 0.4, "night": 0.15}, abs=0.02)


def test_a_rate_that_was_given_stays_where_learning_is_off() -> None:
    watch = rule(learn=False)
    for k in range(20):
        lay(watch, ORDINARY, 7200.0 * k)
    assert all(rate["up"] == rate["not_up"] == 0 for rate in watch.learned()["bulk"]["rates"].values())


@pytest.mark.parametrize(("told", "throws", "supposed"), [(None, 0, True), (None, 40, False), (0.35, 0, False)])
def test_a_usual_rate_is_supposed_until_it_was_told_or_enough_was_learned(
    told: float | None, throws: int, supposed: bool
) -> None:
    watch = rule([STORAGE.model_copy(update={"label_up_rate": told})])
    for k in range(throws):
        lay(watch, [N] * 20, 7200.0 * k)
    (found,) = lay(watch, TURNED, 7200.0 * throws)
    assert found.facts["usual_supposed"] is supposed


def test_what_was_learned_before_learning_was_switched_off_is_not_told_as_usual() -> None:
    before, after = rule(), rule(learn=False)
    for k in range(40):
        lay(before, [N] * 20, 7200.0 * k)
    after.recall(before.learned())
    (found,) = lay(after, TURNED, 0.0)
    assert (found.facts["usual_rate"], found.facts["usual_supposed"]) == (0.35, False)
    assert after.learned()["bulk"]["rates"][""]["not_up"] > 0, "it is kept for when learning is switched on again"


def test_a_pattern_that_was_told_is_not_learned() -> None:
    watch = rule()
    assert len(signals((scene(t, parcels=lying(TURNED)) for t in times(0, 10, 1)), watch)) == 1
    lay(watch, ORDINARY, 7200.0)
    rate = watch.learned()["bulk"]["rates"][""]
    assert rate["up"] == 0 < rate["left_out"]


def test_what_was_learned_of_a_zone_not_seen_yet_is_kept() -> None:
    zone = {"watched_s": 10.0, "wealth": 0.01, "rates": {"": {"up": 3.0, "not_up": 9.0, "left_out": 0.0}}}
    watch = rule()
    watch.recall({"bulk": zone})
    assert watch.learned() == {"bulk": zone}


@pytest.mark.parametrize(
    "garbage",
    [
        {"bulk": 3},
        {"bulk": {"watched_s": -1, "wealth": 0, "rates": {}}},
        {"bulk": {"watched_s": 1, "wealth": float("nan"), "rates": {}}},
        {"bulk": {"watched_s": 1, "wealth": 0, "rates": {"": {"up": "many", "not_up": 1, "left_out": 0}}}},
        {"bulk": {"watched_s": 1, "wealth": 0, "rates": {}, "more": 1}},
        [],
        None,
    ],
    ids=repr,
)
def test_what_cannot_be_recalled_is_left_out_with_one_reason(garbage: Any, caplog: pytest.LogCaptureFixture) -> None:
    watch = rule()
    watch.recall(garbage)
    assert watch.learned() == {}
    assert len(caplog.records) == 1
    assert "learned anew" in caplog.records[0].message
    assert len(signals((scene(t, parcels=lying(TURNED)) for t in times(0, 10, 1)), watch)) == 1


MOSTLY_UP = [N if n % 4 == 0 else U for n in range(20)]


@pytest.mark.parametrize("facings", [TURNED, MOSTLY_UP], ids=["told before", "nearly told before"])
@pytest.mark.parametrize("after_s", [10, 3600])
def test_a_restart_is_no_reason_to_tell_of_what_lies_there(facings: list[Facing], after_s: int) -> None:
    told, evidence, watch, begins = [], [], rule(), 0.0
    for _ in range(6):
        seen = [*times(begins, begins + 10, 1), *times(begins + 10, begins + after_s, 1 / 30)]
        told.append(len(signals((scene(t, parcels=lying(facings, since=begins)) for t in seen), watch)))
        evidence.append(watch.learned()["bulk"]["wealth"])
        before, watch, begins = watch, rule(), begins + after_s + 60
        watch.recall(before.learned())
    assert told == [int(facings is TURNED), 0, 0, 0, 0, 0]
    paid_in = (after_s + 60) / (30 * 86400)
    assert all(later <= sooner + paid_in for sooner, later in pairwise(evidence))


def test_after_a_restart_in_the_dark_what_lay_there_is_not_counted_in_the_morning() -> None:
    before = rule()
    signals((scene(t, parcels=lying(TURNED)) for t in times(0, 60, 1)), before)
    again = rule()
    again.recall(before.learned())
    begun = [scene(100), *(replace(scene(t), view=AT_NIGHT) for t in times(101, 20_000, 1 / 30))]
    lit = [replace(scene(t, parcels=lying(TURNED, since=20_001)), view=BY_DAY) for t in times(20_001, 20_060, 1)]
    assert signals([*begun, *lit], again) == []
    (zone,) = again.census(lit[-1])
    assert (zone.lay_up, zone.came_up) == (18, 0)


@pytest.mark.parametrize("moved", [True, False])
def test_what_lies_where_a_camera_was_turned_to_has_not_come(moved: bool) -> None:
    watch = rule()
    signals((scene(t, parcels=lying(ORDINARY)) for t in times(0, 60, 1)), watch)
    elsewhere = lying(TURNED, since=61, first=100, left=100)
    turned = [replace(scene(t, parcels=elsewhere), moved=moved and t == 61) for t in times(61, 120, 1)]
    assert signals(turned, watch) == []
    (zone,) = watch.census(turned[-1])
    assert (zone.up, zone.came_up, zone.lay_up) == ((18, 0, 18) if moved else (18, 18, 0))
    # What comes from then on has come.
    more = [*elsewhere, *(replace(p, box=below(p.box)) for p in lying(ORDINARY, since=200, first=300))]
    signals((scene(t, parcels=more) for t in times(200, 220, 1)), watch)
    (zone,) = watch.census(scene(220, parcels=more))
    assert (zone.came_up, zone.came_not_up) == (7, 13)


def test_what_lies_where_something_else_lay_before_a_camera_was_turned_was_not_turned_itself() -> None:
    watch = rule()
    signals((scene(t, parcels=lying(ORDINARY)) for t in times(0, 60, 1)), watch)
    # In the same places, so that it would count as what was lost from there.
    elsewhere = lying(TURNED, since=61, first=100)
    turned = [replace(scene(t, parcels=elsewhere), moved=t == 61) for t in times(61, 120, 1)]
    assert signals(turned, watch) == []
    (zone,) = watch.census(turned[-1])
    assert (zone.up, zone.turned_up, zone.lay_up) == (18, 0, 18)


def test_parcels_held_before_the_lens_are_not_counted_and_what_was_done_before_that_is() -> None:
    watch = rule()
    signals((scene(t, parcels=lying(ORDINARY)) for t in times(0, 60, 1)), watch)
    here = [*lying(ORDINARY), *(replace(p, box=below(p.box)) for p in lying(TURNED, since=61, first=100))]
    signals((scene(t, parcels=[replace(p, last_seen_at=t) for p in here]) for t in times(61, 64, 1)), watch)
    stack = lying(TURNED, since=64, first=200, left=100)
    held = [replace(scene(t, parcels=stack), moved=None) for t in times(64, 73, 1)]
    signals(held, watch)
    (zone,) = watch.census(held[-1])
    assert (zone.came_up, zone.came_not_up) == (0, 0)
    again = scene(73, parcels=[replace(p, last_seen_at=73) for p in here])
    signals([again], watch)
    (zone,) = watch.census(again)
    assert (zone.came_up, zone.came_not_up, zone.turned_up) == (18, 2, 0)


def below(box: Box) -> Box:
    return box[0], box[1] + 260, box[2], box[3] + 260


def test_what_is_put_down_in_a_picture_that_is_dark_but_for_the_parcels_is_counted() -> None:
    before, again = rule(), rule()
    signals((scene(t, parcels=lying(ORDINARY)) for t in times(0, 60, 1)), before)
    again.recall(before.learned())
    there, made = lying(ORDINARY, since=100), lying(TURNED, since=400, first=100, left=70)
    begun = [replace(scene(t, parcels=there), view=AT_NIGHT) for t in times(100, 399, 1)]
    after = [replace(scene(t, parcels=[*there, *made]), view=AT_NIGHT) for t in times(400, 420, 1)]
    assert len(signals([*begun, *after], again)) == 1


def test_a_patch_made_after_a_restart_is_told() -> None:
    before, watch = rule(), rule()
    signals((scene(t, parcels=lying(ORDINARY)) for t in times(0, 30, 1)), before)
    watch.recall(before.learned())
    begins = 100.0
    there, made = lying(ORDINARY, since=begins), lying(TURNED, since=begins + 60, first=100, left=70)
    signals((scene(t, parcels=there) for t in times(begins, begins + 10, 1)), watch)
    assert len(signals((scene(t, parcels=[*there, *made]) for t in times(begins + 60, begins + 70, 1)), watch)) == 1


# What else is said.


def test_rows_and_labels_that_run_one_way_are_said_where_enough_parcels_show_it() -> None:
    neat = [replace(p, angle=0.3) for p in lying(TURNED)]
    (found,) = signals(scene(t, parcels=neat) for t in times(0, 10, 1))
    assert found.facts["aligned"] is True
    assert found.facts["regular"] is True
    (found,) = signals(scene(t, parcels=lying(TURNED)) for t in times(0, 10, 1))
    assert "aligned" not in found.facts


def test_a_patch_among_many_thrown_parcels_is_found_where_it_is() -> None:
    tidy = Zone(name="bulk", kind="storage", polygon=STORAGE.polygon, label_up_rate=0.2)
    random = np.random.default_rng(2)
    around = [
        parcel(
            100 + n, box_at((20 + 560 * random.random(), 20 + 680 * random.random()), 20, 20), U if n % 5 == 0 else N
        )
        for n in range(120)
    ]
    patch = [
        parcel(1000 + n, box_at((50 + 22 * (n % 5), 60 + 22 * (n // 5)), 20, 20), TURNED[n], since=7200)
        for n in range(20)
    ]
    found = signals(
        (scene(t, parcels=around + (patch if t >= 7200 else [])) for t in times(0, 7300, 0.2)), rule([tidy])
    )
    assert len(found) == 1
    mine = {p.box for p in patch}
    boxes = {box for _, box in found[0].boxes}
    assert len(mine & boxes) >= 0.7 * max(len(mine), 1)
    assert len(boxes) <= 60
