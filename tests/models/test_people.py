"""The people simulator: plans that make sense, noise as measured, and every rule held to fixed seeds."""

from __future__ import annotations

import json
import re
from collections import Counter
from math import inf, nan
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from manifest import SetError
from simulation import figures as recipe
from simulation.crowd import ORDINARY, SIZE, STYLES, hall, ordinary, sweep
from simulation.intervals import count_interval, share_interval
from simulation.noise import HELD_SHARE, LASTING_WITH_DEVICE_S, SAME_PERSON, Looks, MeasuredLook, read_looks, redrawn
from simulation.people_page import found_out, patched
from simulation.tries import (
    STAY_S,
    TALL,
    in_view_s,
    month_part,
    one_courier,
    one_sweep,
    stay_part,
    staying,
    working_day,
)
from simulation.world import TURNED, Visitor, World, strips

from detector.rules.sweep import SweepRule
from detector.rules.zones import ZoneMap
from detector.values import IncidentKind
from tests.models.conftest import Script

SETTINGS = {"hold_s": 0.6}


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("seed", range(5))
def test_a_sweep_photographs_distinct_parcels_one_after_another(style: str, seed: int) -> None:
    rng = Random(seed)
    plan = sweep(rng, hall(rng, 240.0), style, photos=6)
    targets = [step.target for step in plan.steps if step.act == "photo"]
    assert len(targets) == len(set(targets)) == 6


def test_labels_are_read_where_parcels_show_them() -> None:
    """As in the rendered scenes that the looks are of: one photo in four is of a label on a side."""
    rng, read = Random(1), []
    for _ in range(200):
        place = hall(rng, 240.0)
        read += [place.up[number] for number in place.read(rng, 6, in_a_row=rng.random() < 0.5)]
    assert len(read) == 1200 and 0.7 < sum(read) / len(read) < 0.78


@pytest.mark.parametrize("style", STYLES)
def test_a_patch_turned_label_up_is_photographed_from_end_to_end(style: str) -> None:
    rng = Random(3)
    place = hall(rng, 240.0, rows=8, up=TURNED)
    plan = sweep(rng, place, style, photos=len(place.parcels))
    targets = [step.target for step in plan.steps if step.act == "photo"]
    turned = {number for number, up in enumerate(place.up) if up}
    assert len(place.parcels) == 80 and len(turned) > 60
    assert turned <= set(targets) and len(targets) == len(set(targets))


def test_a_patch_is_told_within_the_photos_taken_by_then() -> None:
    of_each = [(True, 4), (True, 10), (True, 33), (False, 70)]
    figures = patched(
        [{"photos": 70, "found": found, "told_after": taken, "style": STYLES[0], "tall": TALL[0]}
         for found, taken in of_each]
    )  # fmt: skip
    assert figures is not None and figures["told"]["share"] == 0.75
    within = {n: told["found"] for n, told in figures["told_within_photos"].items()}
    assert within == {5: 1, 10: 2, 15: 2, 20: 2, 30: 2, 40: 3, 60: 3}
    assert patched([]) is None


def test_a_courier_goes_on_where_they_began() -> None:
    rng = Random(2)
    place = hall(rng, 240.0)
    plans = [sweep(rng, place, "standing", photos=6, first=17) for _ in range(3)]
    begun = [next(step.target for step in plan.steps if step.act == "photo") for plan in plans]
    assert all(number is not None and 17 <= number < 25 for number in begun)  # the first there that shows a label


def test_each_visit_of_a_courier_is_told_or_not() -> None:
    courier = one_courier((18, TALL[2], "standing", 2, SETTINGS))
    assert courier["told"] == [True, False]
    assert courier["photos"] >= 8


def test_couriers_are_told_by_the_first_of_their_visits_that_is() -> None:
    visits = [[False, True, False], [True, True, True], [False, False, False], [False, False, True]]
    tall = [100.0, 300.0, 100.0, 300.0]
    figures = found_out(
        [{"told": told, "photos": 30, "style": "hasty", "tall_there": there}
         for told, there in zip(visits, tall, strict=True)]
    )  # fmt: skip
    assert figures is not None
    assert [within["share"] for within in figures["told_within_visits"].values()] == [0.25, 0.5, 0.75]
    assert figures["told_at_last_by_style"]["hasty"]["found"] == 3
    assert figures["told_at_last_by_person_px_there"]["90 to 130"]["found"] == 1
    assert figures["told_at_last_where_near_enough"]["of"] == figures["told_at_last_where_near_enough"]["found"] == 2
    assert found_out([]) is None


def ran(folder: Path, *found: bool) -> None:
    """What a run leaves behind that found some sweeps and others not."""
    sweeps = [
        {"found": one, "found_or_noted": one, "tall": TALL[0], "tall_there": 200.0, "photos": 8, "style": "hasty",
         "told": 4, "exposed": [4, 6, 9], "incidents": int(one)}
        for one in found
    ]  # fmt: skip
    lists: dict[str, list[dict[str, Any]]] = {key: [] for key in recipe.LISTS}
    folder.mkdir(parents=True)
    (folder / "people.json").write_text(json.dumps(lists | {"sweeps": sweeps}), encoding="utf-8")


def test_a_figure_counts_the_tries_of_all_its_runs_and_runs_none_that_is_there(tmp_path: Path) -> None:
    first, second = recipe.SWEEPS
    ran(tmp_path / first, True, True, False)
    ran(tmp_path / second, True, False)
    table = recipe.simulate(tmp_path, ["sweeps", "style"], jobs=1)
    assert "| sweeps of 4 to 20 photos found | 3 of 5: 0.60 (0.15-0.95); with notes 3 of 5: 0.60 (0.15-0.95) |" in table
    assert "| by style | hasty: 3 of 5 |" in table


def test_runs_by_other_looks_are_not_mixed_in(tmp_path: Path) -> None:
    (tmp_path / "of.json").write_text(json.dumps({"looks.csv": "of before"}), encoding="utf-8")
    with pytest.raises(SetError, match="other looks"):
        recipe.simulate(tmp_path, ["sweeps"], jobs=1)


def test_every_figure_is_told_of_what_runs_leave_behind(tmp_path: Path) -> None:
    tries = {
        "work": [month_part((1, TALL[2], 0.02, SETTINGS))],
        "sweeps": [one_sweep((18, TALL[2], "standing", SETTINGS))],
        "each_courier": [{"told": [True], "photos": 30, "style": "hasty", "tall_there": 200.0}],
        "each_stay": [stay_part((1, TALL[2], 0.02, SETTINGS))],
        "each_patch": [{"photos": 70, "found": True, "told_after": 9, "style": "hasty", "tall": TALL[0]}],
    }
    (tmp_path / "people.json").write_text(json.dumps(tries), encoding="utf-8")
    figures = recipe.pooled([tmp_path])
    for name, figure in recipe.FIGURES.items():
        assert re.search("[0-9]", figure.told(figures)), name


@pytest.mark.parametrize("seed", range(20))
def test_ordinary_work_photographs_one_parcel_at_most(seed: int) -> None:
    rng = Random(seed)
    plan = ordinary(rng, hall(rng, 240.0))
    assert sum(step.act == "photo" for step in plan.steps) <= 1
    assert plan.seconds > 0


def test_kinds_of_work_have_shares_of_one() -> None:
    assert sum(weight for _, weight in ORDINARY) == pytest.approx(1.0)


def test_a_person_is_where_the_plan_says() -> None:
    rng = Random(3)
    plan = sweep(rng, hall(rng, 240.0), "standing", photos=3)
    visitor = Visitor(plan, 100.0)
    assert visitor.at(99.9) is None
    assert visitor.at(visitor.ends + 0.1) is None
    gone, feet = 0.0, plan.steps[0].feet
    for step in plan.steps:
        told = visitor.at(100.0 + gone + 1e-6)
        assert told is not None
        assert told[0] is step
        assert told[1] == pytest.approx(feet, abs=0.1)
        gone, feet = gone + step.seconds, step.feet


def test_looks_are_drawn_from_the_act_that_is_done() -> None:
    looks = Looks(read_looks(), **SETTINGS)
    rng, look = Random(1), None
    for _ in range(200):
        look = looks.draw(rng, "photo", 30.0, look, 0.2)
        assert look.act == "photo"


def seen(person: str, act: str = "scan", px: float = 30.0, stretch: int = 0) -> MeasuredLook:
    nothing = (0.1, 0.1, 0.1, 0.1)
    return MeasuredLook(person, stretch, 0.0, act, px, 0.9, 0.0, 0.0, 0.0, 0.0, nothing, nan, nan, nan, nan)


def changes(looks: Looks, act: str, draws: int) -> int:
    """How often another person of the table is looked at, five times a second."""
    rng, look, count = Random(1), None, 0
    for _ in range(draws):
        before, look = look, looks.draw(rng, act, 30.0, look, 0.2)
        count += before is not None and look.person != before.person
    return count


def test_a_look_lasts_as_long_as_is_said() -> None:
    looks = Looks([seen("filmed", px=float(px)) for px in range(1, 500)], hold_s=2.0)
    rng, look, changes = Random(1), None, 0
    for _ in range(2000):
        before, look = look, looks.draw(rng, "scan", 30.0, look, 0.2)
        changes += look is not before
    assert changes == pytest.approx(2000 * 0.095, rel=0.25)


def test_who_is_mistaken_is_so_as_long_as_the_act_lasts_and_without_a_device_for_a_moment() -> None:
    looks = Looks([seen(f"{k}", act) for act in ("scan", "none") for k in range(20)])
    assert changes(looks, "scan", 5000) == pytest.approx(1000 / LASTING_WITH_DEVICE_S, rel=0.5)
    assert changes(looks, "none", 5000) > 500


def test_who_works_holds_a_phone_now_and_then_where_the_table_shows_such() -> None:
    looks = Looks([seen(f"{act} {k}", act, px) for act, px in (("none", 0.0), ("held", 30.0)) for k in range(20)])
    drawn = [looks.draw(Random(k), "none", 30.0, None, 0.0).act for k in range(600)]
    assert drawn.count("held") / 600 == pytest.approx(HELD_SHARE, abs=0.05)
    one = next(look for k in range(99) if (look := looks.draw(Random(k), "none", 30.0, None, 0.0)).act == "held")
    again = [looks.draw(Random(k), "none", 30.0, one, 0.2).act for k in range(99)]
    assert again.count("held") > 95
    without = Looks([seen(f"{k}", "none", 0.0) for k in range(20)])
    assert {without.draw(Random(k), "none", 30.0, None, 0.0).act for k in range(99)} == {"none"}


def test_looks_at_one_stretch_are_of_that_one() -> None:
    looks = Looks([seen("filmed", stretch=stretch) for stretch in range(20) for _ in range(3)])
    first = looks.draw(Random(1), "scan", 30.0, None, 0.0)
    told = {looks.draw(Random(k), "scan", 30.0, first, 0.2).stretch for k in range(50)}
    assert first.stretch in told and len(told) < 4


def test_everybody_counts_alike_however_long_they_were_filmed() -> None:
    looks = Looks([seen("filmed")] * 50 + [seen("still 1"), seen("still 2")])
    drawn = Counter(looks.draw(Random(k), "scan", 30.0, None, 0.0).person for k in range(300))
    assert all(70 < drawn[person] < 130 for person in ("filmed", "still 1", "still 2"))


def test_who_does_so_again_is_seldom_mistaken_as_before() -> None:
    looks, rng = Looks([seen(f"{k}") for k in range(20)]), Random(1)
    first = looks.draw(rng, "scan", 30.0, None, 0.0)
    again = [looks.draw(rng, "scan", 30.0, first, inf).person == first.person for _ in range(1000)]
    assert sum(again) / len(again) == pytest.approx(SAME_PERSON + 1 / 20, abs=0.03)


def test_warehouses_are_drawn_anew_with_all_their_people_and_who_is_drawn_twice_is_two() -> None:
    looks = [seen(f"s{house}_00/{who}") for house in range(30) for who in range(3)]
    again = redrawn(looks, Random(1))
    assert len(again) == len(looks) == len({look.person for look in again})
    assert 12 < len({look.warehouse for look in again}) < 26
    assert all(n % 3 == 0 for n in Counter(look.warehouse for look in again).values())
    people = [[look.person for look in redrawn(looks, Random(seed))] for seed in (1, 1, 2)]
    assert people[0] == people[1] != people[2]


def test_a_warehouse_is_a_seed_whatever_its_pictures_are_called() -> None:
    people = ("s87005_00/1", "s87005_02/1", "s87010_00/1", "synth_10005/2", "synth_10010/2")
    assert [seen(person).warehouse for person in people] == ["s87005", "s87005", "s87010", "synth_10005", "synth_10010"]


def test_people_are_drawn_whose_device_is_of_like_size() -> None:
    looks = Looks([seen(f"{px}", px=px) for px in range(10, 100)])
    drawn = [looks.draw(Random(k), "scan", 25.0, None, 0.0).device_px for k in range(200)]
    assert min(drawn) > 12 and max(drawn) < 50


def test_a_visitor_is_seen_anew_at_the_next_parcel_and_alike_at_one() -> None:
    people = [seen(f"{k}", act) for act in ("photo", "scan", "none", "between", "call", "browse") for k in range(40)]
    world = World(5, Looks(people, hold_s=1e9), TALL[1])
    visitor = Visitor(sweep(Random(1), world.hall, "standing", photos=8), world.now)
    told: dict[int, set[str]] = {}
    while world.now < visitor.ends - 0.3:
        world.run([visitor], world.now + 0.2)
        look, _, step = visitor.looks.get((0, "photo"), (None, 0.0, None))
        if look is not None:
            told.setdefault(id(step), set()).add(look.person)
    assert len(told) == 8
    assert sum(len(people) for people in told.values()) < 12
    assert len(set.union(*told.values())) >= 5


def test_a_second_camera_sees_the_same_people_anew_and_changes_nothing_of_the_first() -> None:
    one, two = (World(5, Looks(read_looks(), **SETTINGS), TALL[2], cameras=cameras) for cameras in (1, 2))
    plan = sweep(Random(2), one.hall, "scattered", photos=20)
    assert one.hall == two.hall
    visitors = [Visitor(plan, world.now) for world in (one, two)]
    for world, visitor in zip((one, two), visitors, strict=True):
        world.run([visitor], visitor.ends + 20)
        world.finish()
    first = {i.id: i for i in two.told.incidents.values() if i.camera == "sim"}
    assert first == one.told.incidents
    assert {i.camera for i in two.told.incidents.values()} == {"sim", "sim-2"}
    assert {act for camera, act in visitors[1].looks if camera == 1} == {act for camera, act in visitors[0].looks}


def test_strips_change_nothing_of_what_is_seen_and_leave_no_gap() -> None:
    whole, cut = (World(5, Looks(read_looks(), **SETTINGS), TALL[1], zones) for zones in (1, 3))
    for world in (whole, cut):
        world.run([Visitor(sweep(Random(1), world.hall, "standing"), world.now)], world.now + 4)
    assert np.array_equal(whole.views[0].detector.found.boxes, cut.views[0].detector.found.boxes)
    across = np.array([[x, 300.0] for x in range(0, SIZE[0], 10)], np.float32)
    zones = [zone.name for zone in ZoneMap(strips(3)).of(across, SIZE) if zone]
    assert len(zones) == len(across) and zones == sorted(zones) and len(set(zones)) == 3


def test_a_blinded_detector_sees_no_device() -> None:
    looks = Looks(read_looks(), blinded=1.0, **SETTINGS)
    assert all(looks.draw(Random(k), "photo", 30.0, None, 0.2).phone == 0 for k in range(50))


@pytest.mark.parametrize(
    ("found", "of", "low", "high"),
    [(0, 10, 0.0, 0.3085), (10, 10, 0.6915, 1.0), (5, 10, 0.1871, 0.8129), (1500, 3000, 0.4819, 0.5181)],
)
def test_intervals_of_shares_are_those_of_the_tables(found: int, of: int, low: float, high: float) -> None:
    assert share_interval(found, of) == pytest.approx((low, high), abs=1e-3)


@pytest.mark.parametrize(("count", "low", "high"), [(0, 0.0, 3.689), (1, 0.0253, 5.572), (10, 4.795, 18.39)])
def test_intervals_of_counts_are_those_of_the_tables(count: int, low: float, high: float) -> None:
    assert count_interval(count) == pytest.approx((low, high), abs=1e-2)


def test_half_of_the_near_sweeps_of_fixed_seeds_are_found() -> None:
    """All three are; one may turn on how a processor rounds."""
    found = [one_sweep((700 + k, TALL[2 + k % 2], STYLES[k % 2], SETTINGS))["found"] for k in range(2, 5)]
    assert sum(found) >= 2


@pytest.fixture(scope="module")
def part() -> dict[str, Any]:
    """Some minutes of ordinary work of a fixed seed."""
    return month_part((41, TALL[1], 0.08, SETTINGS))


def test_ordinary_work_of_fixed_seeds_is_no_sweep_and_raises_no_alarm(part: dict[str, Any]) -> None:
    assert part["false"] == 0
    assert not [name for name in part["others"] if not name.endswith("info")]


def test_false_sweeps_are_told_of_the_hours_in_which_somebody_is_there(part: dict[str, Any]) -> None:
    """Else a camera-month of 60 hours with somebody in the picture would hold the pauses between them."""
    assert in_view_s([(0.0, 10.0), (4.0, 8.0), (9.0, 20.0), (50.0, 55.0)]) == 25.0
    visits = list(working_day(Random(42), World(41, Looks(read_looks()), TALL[1]).hall, 0.0, 0.08))
    there = sum(any(v.at(t / 10) for v in visits) for t in range(round(10 * max(v.ends for v in visits)))) / 10
    assert part["hours"] * 3600 == pytest.approx(there, abs=1)
    assert there < max(v.ends for v in visits) - 5


@pytest.mark.parametrize("together", [1, 3])
def test_so_many_stay_at_a_time_one_after_the_other(together: int) -> None:
    visitors = staying(Random(1), hall(Random(1), TALL[2]), 100.0, 2.5, together)
    begins = [visitor.begins for visitor in visitors]
    assert len(visitors) == 3 * together and begins == sorted(begins)
    for at in range(400, round(2 * STAY_S), 60):
        there = sum(visitor.begins <= at < visitor.ends for visitor in visitors)
        assert there <= together and sum(v.begins <= at < v.ends + 400 for v in visitors) >= together


def test_what_rules_remember_does_not_grow_with_the_days() -> None:
    world = World(5, Looks(read_looks(), **SETTINGS), TALL[1])
    stages, sizes = world.views[0].pipeline._stages, []
    for day in range(3):
        visitors = list(working_day(Random(day), world.hall, world.now, 0.02))
        world.run(visitors, max(v.ends for v in visitors) + 20)
        for _ in range(35):  # nobody for longer than any rule thinks of who was there; a look now and then shows it
            world.run([], world.now + 0.5)
            world.now += 19.0
        for rule in stages.rules:
            if isinstance(rule, SweepRule):  # the last acts of the day, forgotten when the next one comes
                for zone in [*rule._noted]:
                    rule._prune(zone, world.now)
        sizes.append(remembered([stages.rules, stages.tracker]))
    assert world.views[0].pipeline._stages is stages
    assert sizes[2] < sizes[0] + 5
    assert {i.kind for i in world.told.incidents.values()} <= {IncidentKind.LINGERING}


def remembered(thing: object, seen: set[int] | None = None) -> int:
    """How many objects hang on a thing, arrays by their elements."""
    seen = set() if seen is None else seen
    if id(thing) in seen or isinstance(thing, type | str | int | float | bool | None):
        return 0
    seen.add(id(thing))
    if hasattr(thing, "nbytes"):
        return 1
    inside: list[object] = []
    if isinstance(thing, dict):
        inside = list(thing.values())
    elif isinstance(thing, list | tuple | set | frozenset):
        inside = list(thing)
    else:
        names = list(getattr(thing, "__dict__", {})) + [
            n for c in type(thing).__mro__ for n in getattr(c, "__slots__", ())
        ]
        inside = [getattr(thing, name, None) for name in names]
    return 1 + sum(remembered(each, seen) for each in inside)


@pytest.mark.parametrize(
    ("recipe", "option", "value", "words"),
    [
        ("people", "--hours", "-1", "must be a number of 0 or more, not -1"),
        ("people", "--stays", "inf", "must be a number of 0 or more, not inf"),
        ("people", "--sweeps", "-1", "must be a whole number of 0 or more, not -1"),
        ("people", "--jobs", "0", "must be a whole number of 1 or more, not 0"),
        ("people", "--mixed", "1.5", "must be a number from 0 to 1, not 1.5"),
        ("zones", "--months", "nan", "must be a number of 0 or more, not nan"),
        ("zones", "--plants", "-1", "must be a whole number of 0 or more, not -1"),
        ("seriality", "--hours", "-1", "must be a number of 0 or more, not -1"),
    ],
)
def test_what_cannot_be_simulated_is_refused_in_one_line(
    script: Script, tmp_path: Path, recipe: str, option: str, value: str, words: str
) -> None:
    done = script(f"simulation/{recipe}.py", "--out", tmp_path / "out", f"{option}={value}")
    assert (done.returncode, done.stderr.splitlines()[-1]) == (2, f"{recipe}.py: error: argument {option}: {words}")
    assert not (tmp_path / "out").exists()
