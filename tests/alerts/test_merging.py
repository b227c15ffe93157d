"""What findings say together: whatever the order, nothing that was told is lost, and nothing counts twice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import reduce
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.alerts.incidents import IncidentBook
from detector.alerts.merging import Facts, added, joined, renewed, summed, united
from detector.config import Incidents
from detector.facts import FACTS, PLAIN
from detector.values import Act, ActKind, CountRange, Incident, IncidentKind, Severity, Signal
from tests.builders import CAMERA

LARGEST = sorted(name for name, fact in FACTS.items() if fact.largest)
WITH = {name: fact.goes_with for name, fact in FACTS.items() if fact.goes_with}
DOUBTS = sorted(name for name, fact in FACTS.items() if fact.doubt)
COUNTS = sorted(name for name, fact in FACTS.items() if fact.adds and not fact.of_parcels)
NEWEST = sorted(name for name, fact in FACTS.items() if fact == PLAIN)


def whole(facts: Mapping[str, Any]) -> Facts:
    """Facts as rules tell them: what goes with a measure is told with it, and a measure never without."""
    bare = {name: value for name, value in facts.items() if name not in WITH and name not in WITH.values()}
    both = {each for name, measure in WITH.items() if {name, measure} <= facts.keys() for each in (name, measure)}
    return bare | {name: facts[name] for name in both}


measures = st.one_of(st.integers(0, 20), st.floats(0, 20))
told = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(LARGEST, measures),
        **{name: st.sampled_from("abc") for name in WITH},
        **dict.fromkeys(DOUBTS, st.booleans()),
        **dict.fromkeys([*COUNTS, *NEWEST], st.integers(0, 20)),
        "of a newer program": st.text(max_size=2),
    },
).map(whole)


@settings(max_examples=40)
@given(st.lists(told, min_size=1, max_size=5))
def test_every_fact_that_one_finding_states_is_told_by_all_together(several: list[Facts]) -> None:
    together = united(several)
    assert together.keys() == {name for facts in several for name in facts}
    for name, value in together.items():
        stated = [facts[name] for facts in several if name in facts]
        assert value in stated
        if name in LARGEST:
            assert value == max(stated)
        if name in DOUBTS:
            assert value == all(stated)


@given(told, told, told)
def test_findings_may_be_put_together_two_by_two(one: Facts, two: Facts, three: Facts) -> None:
    assert united([united([one, two]), three]) == united([one, united([two, three])]) == united([one, two, three])


@given(st.lists(told, max_size=4).flatmap(lambda several: st.tuples(st.just(several), st.permutations(several))))
def test_measures_and_doubts_are_the_same_in_whatever_order_findings_come(orders: tuple[list[Facts], ...]) -> None:
    ordered, otherwise = ({name: united(order).get(name) for name in (*LARGEST, *DOUBTS)} for order in orders)
    assert ordered == otherwise


@given(told, told)
def test_what_is_told_again_is_the_newer_and_in_doubt_only_if_it_always_was(former: Facts, newer: Facts) -> None:
    now = renewed(former, newer)
    assert now.keys() == newer.keys()
    for name, value in now.items():
        assert value == (newer[name] and former.get(name, True) if name in DOUBTS else newer[name])


# Sweeps of different acts


def sweep(parcels: Sequence[int], at: float, **facts: Any) -> Signal:
    """A photo of each of these parcels, one a second."""
    acts = tuple(Act(ActKind.PHOTO, 1, at + n, at + n + 0.5, 0.9, (parcel,)) for n, parcel in enumerate(parcels))
    seen = len({*parcels})
    counted = {"photos": len(acts), "parcels": seen, "unsure": False, **facts}
    return Signal(
        IncidentKind.LABEL_PHOTOGRAPHY, CAMERA, "bulk", at, at + len(acts), 0.9, Severity.WARNING, (1,), acts,
        CountRange(seen, seen, seen), counted,
    )  # fmt: skip


swept = st.lists(st.integers(1, 6), min_size=1, max_size=6)


@given(swept, swept, swept)
def test_sweeps_count_every_photo_and_no_parcel_twice_in_whatever_order(
    a: list[int], b: list[int], c: list[int]
) -> None:
    one, two, three = sweep(a, 0), sweep(b, 100), sweep(c, 200)
    labels = len({*a, *b, *c})
    for together in (
        added(added(one, two), three), added(one, added(two, three)), added(added(three, one), two),
    ):  # fmt: skip
        assert {act.key for act in together.acts} == {act.key for each in (one, two, three) for act in each.acts}
        assert together.facts["photos"] == len(together.acts) == len(a) + len(b) + len(c)
        assert together.facts["parcels"] == labels
        assert together.labels_exposed == CountRange(labels, labels, labels)


@given(told, told, st.integers(0, 9))
def test_no_count_of_two_sweeps_is_below_that_of_either(some: Facts, more: Facts, twice: int) -> None:
    together = summed(some, more, twice)
    for name in together:
        if FACTS.get(name, PLAIN).adds:
            assert together[name] >= max(some.get(name, 0), more.get(name, 0))
    assert {name: together[name] for name in COUNTS if name in together} == {
        name: some.get(name, 0) + more.get(name, 0) for name in COUNTS if name in some or name in more
    }
    assert summed(more, some, twice).keys() == together.keys()


# A finding, and an incident


def finding(kind: IncidentKind, start: float, at: float, *tracks: int, **facts: Any) -> Signal:
    """A finding without acts."""
    return Signal(kind, CAMERA, "bulk", start, at, 0.8, Severity.INFO, tracks, facts=facts)


@given(st.lists(st.tuples(st.floats(0, 50), st.floats(0, 1), st.sets(st.integers(1, 3)), told), min_size=1, max_size=5))
def test_a_finding_keeps_its_span_its_people_and_its_best_score_whatever_is_said_later(
    said: list[tuple[float, float, set[int], Facts]],
) -> None:
    states = [
        replace(finding(IncidentKind.LINGERING, 50 - age, 50 + age, *sorted(who), **facts), score=score)
        for age, score, who, facts in said
    ]
    last = reduce(joined, states)
    assert last.started_at == min(state.started_at for state in states)
    assert last.at == max(state.at for state in states)
    assert last.score == max(state.score for state in states)
    assert {*last.tracks} == {track for state in states for track in state.tracks}
    for name in LARGEST:
        assert last.facts.get(name) == max((state.facts[name] for state in states if name in state.facts), default=None)


BESIDE = (
    replace(sweep([1, 2, 3], 20), facts={"photos": 3, "parcels": 3, "people": 1, "unsure": False}),
    finding(IncidentKind.LINGERING, 0, 24, 1, 2, people=2, stay_s=24.0),
    finding(IncidentKind.ORIENTATION_PATTERN, 5, 22, up=18, judged=20),
    finding(IncidentKind.BLIND_CORNER, 2, 21, 2, away_s=12.0, people=1),
)


@given(st.permutations(BESIDE))
def test_an_incident_says_the_same_in_whatever_order_its_findings_come(findings: list[Signal]) -> None:
    def told_of(signals: Sequence[Signal]) -> Incident:
        book = IncidentBook("site", Incidents())
        incidents = [book.admit([signal], 25)[-1].after for signal in signals]
        assert len({incident.id for incident in incidents}) == 1
        return replace(incidents[-1], id="", boxes=(), private=())

    assert told_of(findings) == told_of(BESIDE)


@pytest.mark.parametrize("name", sorted(FACTS))
def test_a_fact_counts_in_one_way_alone(name: str) -> None:
    fact = FACTS[name]
    assert sum((fact.largest, fact.goes_with is not None, fact.doubt, fact.adds)) <= 1
    assert fact.adds or not fact.of_parcels
    assert fact.goes_with is None or FACTS[fact.goes_with].largest
