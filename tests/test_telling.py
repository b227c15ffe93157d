"""What lasts is told again: seldom enough for people, often enough to stay one incident."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.alerts.incidents import IncidentBook
from detector.config import WHOLE_FRAME, BlindEdgeRule, Calendar, Incidents, LingeringRule, TamperRule, Zone
from detector.pipeline import Rule
from detector.rules.blind_edge import BlindEdgeRule as BlindEdge
from detector.rules.lingering import LingeringRule as Lingering
from detector.rules.policy import Policies
from detector.rules.tamper import TamperRule as Tamper
from detector.rules.zones import ZoneMap
from detector.shifts import Shifts
from detector.telling import Cadence, due_again
from detector.values import CameraView, IncidentUpdate, Phase, Scene
from tests.builders import box_at, moved, parcel, person, scene, times

SHIFTS = Shifts(Calendar(), "UTC")
STANDING = box_at((640, 400), 80, 200)
BEHIND_THE_RACK = Zone(name="corner", kind="blind_edge", polygon=[(0, 0.3), (0.1, 0.3), (0.1, 1), (0, 1)])
FINE, COVERED = CameraView(0.45, 0.2, 0.5, 0.9, 0.0), CameraView(0.4, 0.03, 0.0, 0.0, 0.0)
Case = tuple[Rule, Iterable[Scene]]


@given(st.floats(1, 1e5), st.floats(1, 1e5))
def test_a_finding_is_told_again_only_when_it_has_grown(first_s: float, second_s: float) -> None:
    if due_again(first_s, second_s):
        assert second_s >= 1.25 * first_s
    if second_s >= 2 * first_s:
        assert due_again(first_s, second_s)


def test_what_lasts_all_shift_is_told_often_at_first_and_then_ever_more_seldom() -> None:
    cadence, told = Cadence(), [120.0]
    for at in range(120, 8 * 3600):
        if cadence.is_due(told[-1], at):
            told.append(at)
    assert len([at for at in told[1:] if at <= 120 + 1800]) == 8
    assert len(told[1:]) == 12


def staying(cadence: Cadence, until: float) -> Case:
    rule = Lingering(ZoneMap([WHOLE_FRAME]), LingeringRule(), Policies(SHIFTS), cadence)
    lying = [parcel(1, (690, 470, 750, 510))]
    return rule, (scene(t, [person(1, STANDING, t)], (), lying) for t in times(0, until, 1))


def away(cadence: Cadence, until: float) -> Case:
    rule = BlindEdge(ZoneMap([BEHIND_THE_RACK]), BlindEdgeRule(), SHIFTS, cadence)
    walk = (scene(t, [person(1, moved(STANDING, (-100 * t, 0)), t)]) for t in times(0, 5.5, 5))
    return rule, (*walk, *(scene(t) for t in times(6, until, 1)))


def covered(cadence: Cadence, until: float) -> Case:
    rule = Tamper(TamperRule(), SHIFTS, cadence)
    views = ((t, FINE if t < 120 else COVERED) for t in times(0, until, 1))
    return rule, (replace(scene(t), view=view) for t, view in views)


def lived(case: Case, settings: Incidents) -> list[IncidentUpdate]:
    book, (rule, scenes) = IncidentBook("site", settings), case
    updates = [update for each in scenes for update in book.admit(rule.observe(each), each.at)]
    return updates + book.finish()


@pytest.mark.parametrize("case", [staying, away, covered])
@pytest.mark.parametrize(
    ("join_s", "longest_s", "most"),
    [
        pytest.param(180, 600, 12, id="as they come"),
        pytest.param(45, 600, 20, id="joined for less"),
        pytest.param(180, 3600, 40, id="longer"),
    ],
)
def test_what_lasts_is_one_incident_for_as_long_as_one_lasts(
    case: Callable[[Cadence, float], Case], join_s: float, longest_s: float, most: int
) -> None:
    settings = Incidents(join_s=join_s, longest_s=longest_s)
    updates = lived(case(Cadence(settings), 100 + longest_s), settings)
    assert [u.phase for u in updates].count(Phase.NEW) == 1
    assert updates[-1].after.ended_at - updates[-1].after.started_at >= longest_s - join_s
    assert len(updates) <= most


@pytest.mark.parametrize("case", [staying, away, covered])
def test_what_was_not_told_again_yet_is_told_with_the_end(case: Callable[[Cadence, float], Case]) -> None:
    book, (rule, scenes) = IncidentBook("site", Incidents()), case(Cadence(), 420)
    for each in scenes:
        book.admit(rule.observe(each), each.at)
    (end,) = book.finish(rule.withheld(each))
    assert end.before.ended_at < each.at - 10
    assert end.after.ended_at == pytest.approx(each.at, abs=0.5)


def test_what_was_told_to_its_end_has_nothing_more_to_tell() -> None:
    rule, scenes = covered(Cadence(), 300)
    calm = [replace(scene(t), view=FINE) for t in times(300, 320, 1)]
    told = [signal for each in (*scenes, *calm) for signal in rule.observe(each)]
    assert told[-1].facts["lasted_s"] == 180
    assert list(rule.withheld(calm[-1])) == []
