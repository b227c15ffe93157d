"""Cameras that no longer see what they should, from views as plain numbers over time."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from detector.alerts.incidents import IncidentBook
from detector.config import Calendar, Incidents, Shift
from detector.config import TamperRule as Settings
from detector.rules.tamper import ACCEPT_S, TamperRule
from detector.shifts import Shifts
from detector.values import CameraView, IncidentKind, IncidentUpdate, Phase, Scene, Severity, Signal
from tests.builders import person, scene, times

MIDNIGHT = 1_793_491_200.0  # 2026-11-01T00:00:00Z
NOON = MIDNIGHT + 12 * 3600
FINE = CameraView(0.45, 0.2, 0.5, 0.9, 0.0)
WRONG = {
    "dark": CameraView(0.02, 0.01, 0.0, 0.02, 0.0),
    "covered": CameraView(0.4, 0.03, 0.0, 0.0, 0.0),
    "turned": CameraView(0.45, 0.2, 0.5, 0.05, 0.0),
    "defocused": CameraView(0.45, 0.19, 0.15, 0.5, 0.0),
}
Views = Iterable[tuple[float, CameraView]]


def shown(view: CameraView, since: float, until: float, fps: float = 2.0) -> list[tuple[float, CameraView]]:
    return [(at, view) for at in times(since, until - 1 / fps, fps)]


def frozen(since: float, until: float, fps: float = 2.0) -> list[tuple[float, CameraView]]:
    """A picture that is the same from `since` on."""
    return [(at, replace(FINE, still_s=at - since)) for at in times(since, until - 1 / fps, fps)]


def clocked(
    since: float, until: float, stands: float = float("inf"), fps: float = 2.0
) -> list[tuple[float, CameraView]]:
    """A picture with a clock that is known after half a minute and stands from `stands` on, while it is encoded on."""
    return [
        (at, replace(FINE, calm_s=max(0.0, at - stands), has_clock=at >= since + 30))
        for at in times(since, until - 1 / fps, fps)
    ]


def rule(calendar: Calendar | None = None) -> TamperRule:
    return TamperRule(Settings(), Shifts(calendar or Calendar(), "UTC"))


def told(
    views: Views, by: TamperRule | None = None, *, start: float = NOON, change: Callable[[Scene], Scene] = lambda s: s
) -> list[Signal]:
    by = by or rule()
    return [s for at, view in views for s in by.observe(change(replace(scene(start + at), view=view)))]


def disturbances(signals: Iterable[Signal]) -> list[tuple[str, float, float]]:
    """What began when, and when it was first told, seconds."""
    first: dict[float, Signal] = {}
    for each in signals:
        first.setdefault(each.started_at, each)
    return [(str(s.facts["what"]), s.started_at, s.at) for s in first.values()]


@pytest.mark.parametrize("what", WRONG)
def test_a_disturbance_is_told_once_it_has_lasted(what: str) -> None:
    signals = told([*shown(FINE, 0, 120), *shown(WRONG[what], 120, 200), *shown(FINE, 200, 400)])
    assert disturbances(signals) == [(what, NOON + 120, NOON + 128)]
    first = signals[0]
    assert (first.kind, first.zone, first.severity) == (IncidentKind.TAMPER, None, Severity.WARNING)
    assert first.facts == {"what": what, "lasted_s": 8.0}
    assert 0 < first.score <= 1


def test_its_whole_length_is_told_when_it_is_over() -> None:
    for lasts in (10, 40, 300, 540):
        signals = told(
            [*shown(FINE, 0, 120), *shown(WRONG["covered"], 120, 120 + lasts), *shown(FINE, 120 + lasts, 900)]
        )
        assert signals[-1].facts == {"what": "covered", "lasted_s": lasts}
        assert incidents(signals, 1500) == 1


@pytest.mark.parametrize(
    "view",
    [
        pytest.param(replace(FINE, brightness=0.2, contrast=0.11), id="lamps off"),
        pytest.param(replace(FINE, brightness=0.8, contrast=0.28, likeness=0.6), id="sun"),
        pytest.param(CameraView(0.3, 0.12, 0.42, 0.45, 0.0), id="infra-red"),
        pytest.param(CameraView(0.3, 0.15, 0.45, 0.35, 0.0), id="goods moved"),
        pytest.param(replace(FINE, still_s=15.0), id="nothing moves for a moment"),
    ],
)
def test_ordinary_changes_are_not_told(view: CameraView) -> None:
    assert told([*shown(FINE, 0, 300), *shown(view, 300, 900), *shown(FINE, 900, 1200)]) == []


@pytest.mark.parametrize("what", WRONG)
def test_what_passes_close_to_the_lens_is_not_told(what: str) -> None:
    views = shown(FINE, 0, 120)
    for start in range(120, 600, 12):
        views += [*shown(WRONG[what], start, start + 6), *shown(FINE, start + 6, start + 12)]
    assert told(views) == []


def test_somebody_who_fills_the_picture_has_longer() -> None:
    near = [person(1, (100, 0, 1100, 720))]

    def stood_before(s: Scene) -> Scene:
        return replace(s, people=tuple(near)) if s.at >= NOON + 120 else s

    views = [*shown(FINE, 0, 120), *shown(WRONG["turned"], 120, 200)]
    assert [at - NOON for _, _, at in disturbances(told(views, change=stood_before))] == [160]


def test_nothing_is_judged_before_the_camera_was_seen_for_a_minute() -> None:
    for view in WRONG.values():
        assert told([*shown(FINE, 0, 20), *shown(view, 20, 59)]) == []


@pytest.mark.parametrize(
    "view",
    [WRONG["dark"], replace(FINE, contrast=0.0, sharpness=0.0), replace(FINE, likeness=None)],
    ids=["black", "grey", "unlearned"],
)
def test_a_camera_that_never_showed_anything_else_is_not_told(view: CameraView) -> None:
    assert told(shown(view, 0, 3600)) == []


def test_a_flickering_figure_does_not_end_a_disturbance() -> None:
    nearly = replace(FINE, likeness=0.28)
    views = shown(FINE, 0, 120)
    for start in range(120, 320, 10):
        views += [*shown(WRONG["turned"], start, start + 9), *shown(nearly, start + 9, start + 10)]
    assert disturbances(told(views)) == [("turned", NOON + 120, NOON + 128)]


def lived(signals: list[Signal], until: float) -> list[IncidentUpdate]:
    """What is told of the incidents that they become, with the settings as they come."""
    book = IncidentBook("site", Incidents())
    by_time = {s.at: s for s in signals}
    updates = []
    for at in sorted({*by_time, *(NOON + k * 10.0 for k in range(round(until / 10)))}):
        updates += book.admit([by_time[at]] if at in by_time else [], at)
    return updates


def incidents(signals: list[Signal], until: float) -> int:
    """How many incidents they become."""
    return sum(update.phase is Phase.NEW for update in lived(signals, until))


def test_a_camera_covered_for_hours_is_one_incident_and_over_when_it_sees_again() -> None:
    signals = told([*shown(FINE, 0, 120), *shown(WRONG["covered"], 120, 4 * 3600, 0.5), *shown(FINE, 14400, 15000)])
    assert [s.facts["lasted_s"] for s in signals] == sorted(s.facts["lasted_s"] for s in signals)
    assert max(b.at - a.at for a, b in pairwise(signals)) < Incidents().join_s
    first, *updates, last = lived(signals, 15000)
    assert (first.phase, {u.phase for u in updates}, last.phase) == (Phase.NEW, {Phase.UPDATE}, Phase.END)
    assert len(updates) < 15, "ever more seldom"
    assert all(b.after.ended_at - NOON - 120 <= 2 * (a.after.ended_at - NOON - 120) + 180 for a, b in pairwise(updates))
    assert (last.after.ended_at, last.after.facts["lasted_s"]) == (NOON + 14400, 14280.0)


def test_what_comes_back_again_and_again_is_told_ever_more_seldom() -> None:
    views = shown(FINE, 0, 120)
    for start in range(120, 24 * 3600, 60):
        views += [*shown(WRONG["covered"], start, start + 30, 0.5), *shown(FINE, start + 30, start + 60, 0.5)]
    signals = told(views)
    began = [at for _, at, _ in disturbances(signals)]
    assert 3 <= len(began) <= 12
    assert incidents(signals, 24 * 3600) <= 12


def test_what_lasts_is_told_though_the_same_was_told_a_moment_ago() -> None:
    views = [
        *shown(FINE, 0, 120), *shown(WRONG["covered"], 120, 150), *shown(FINE, 150, 180),
        *shown(WRONG["covered"], 180, 900),
    ]  # fmt: skip
    assert [at - NOON for _, _, at in disturbances(told(views))] == [pytest.approx(128), pytest.approx(458, abs=2)]


def test_a_camera_aimed_anew_is_accepted() -> None:
    turned, other = WRONG["turned"], CameraView(0.7, 0.09, 0.9, 0.95, 0.0)
    views = [*shown(FINE, 0, 120), *shown(turned, 120, 120 + ACCEPT_S, 0.5), *shown(other, 120 + ACCEPT_S, 5000, 0.5)]
    assert len(disturbances(told(views))) == 1


def over_leaps(by: TamperRule, view: CameraView, clips: int) -> tuple[TamperRule, list[Signal]]:
    """What is told of a view in clips of a minute, an hour apart; each has a rule that takes up what was learned."""
    signals: list[Signal] = []
    for _ in range(clips):
        heir, at = rule(), (by._memory.at or 0.0) + 3600.0
        heir.recall(kept(by.learned()))
        signals += told(shown(view, 0, 60), heir, start=at)
        by = heir
    return by, signals


@pytest.mark.parametrize("what", WRONG)
def test_what_goes_on_over_leaps_in_time_is_not_told_with_each(what: str) -> None:
    by = rule()
    told(shown(FINE, 0, 120), by)
    _, signals = over_leaps(by, WRONG[what], 30)
    assert 1 <= len(disturbances(signals)) <= 3


def test_another_focus_kept_up_over_leaps_in_time_is_accepted() -> None:
    by = rule()
    told(shown(FINE, 0, 120), by)
    by, _ = over_leaps(by, WRONG["defocused"], round(ACCEPT_S / 60) + 3)
    assert over_leaps(by, WRONG["defocused"], 80)[1] == []


def test_what_is_over_when_time_has_leapt_does_not_count_on() -> None:
    by = rule()
    told(shown(FINE, 0, 120), by)
    for _ in range(3):
        by, _ = over_leaps(by, WRONG["defocused"], 15)
        by, _ = over_leaps(by, FINE, 1)
    assert by.learned()["usual"]["sharpness"] == pytest.approx(FINE.sharpness)


def test_a_frozen_picture_is_told_where_pictures_used_to_change() -> None:
    signals = told([*shown(FINE, 0, 120), *frozen(120, 300)])
    assert disturbances(signals) == [("frozen", NOON + 120, NOON + 140)]


def test_a_frozen_picture_waits_for_its_own_time_and_no_other() -> None:
    by = TamperRule(Settings(after_s=60), Shifts(Calendar(), "UTC"))
    signals = told([*shown(FINE, 0, 120), *frozen(120, 300)], by)
    assert disturbances(signals) == [("frozen", NOON + 120, NOON + 140)]


def test_a_printed_clock_that_stands_is_told_though_the_encoder_runs_on() -> None:
    views = clocked(0, 300, stands=120)
    assert disturbances(told(views)) == [("frozen", NOON + 120, NOON + 140)]
    goes_on = told([*views, *clocked(300, 600)])
    assert goes_on[-1].facts == {"what": "frozen", "lasted_s": 180.0}


def test_where_the_printed_clock_goes_on_no_stillness_is_told() -> None:
    still = [(at, replace(view, still_s=max(0.0, at - 120))) for at, view in clocked(0, 3600)]
    assert told(still) == []


def test_without_a_printed_clock_nothing_is_told_of_pictures_that_are_encoded_on() -> None:
    views = [(at, replace(view, has_clock=False)) for at, view in clocked(0, 3600, stands=120)]
    assert told(views) == []


def test_a_picture_that_never_changed_is_not_frozen() -> None:
    assert told(frozen(0, 3600)) == []


def test_a_codec_that_repeats_still_scenes_exactly_is_not_frozen() -> None:
    """Between two whole pictures 15 s apart nothing changes at night; now and then one of those is alike too."""
    views = shown(FINE, 0, 120)
    for k in range(100):
        long = 30 if k % 7 == 6 else 15
        views += frozen(views[-1][0] + 0.5, views[-1][0] + 0.5 + long)
    assert told(views) == []
    later = views[-1][0] + 0.5
    assert [what for what, _, _ in disturbances(told([*views, *frozen(later, later + 120)]))] == ["frozen"]


DAY = Calendar(shifts=[Shift(name="day", begins="08:00", ends="20:00")])


def night(day: int, off: float = 21.0, on: float = 30.0) -> list[tuple[float, CameraView]]:
    """One day from noon to noon with the lamps off from `off` to `on` o'clock, seconds since the first midnight."""
    hours = [(12.0, off, FINE), (off, on, WRONG["dark"]), (on, 36.0, FINE)]
    return [v for a, b, view in hours for v in shown(view, (24 * day + a) * 3600, (24 * day + b) * 3600, 0.1)]


def test_a_hall_without_lamps_at_night_is_told_the_first_night_only() -> None:
    views = [v for day in range(7) for v in night(day, off=21 + 0.2 * (day % 3))]
    signals = told(views, rule(DAY), start=MIDNIGHT)
    assert [what for what, _, _ in disturbances(signals)] == ["dark"]
    assert signals[0].severity is Severity.INFO


def test_a_bright_hour_that_turns_black_is_told_though_nights_are_dark() -> None:
    views = [*night(0), *night(1), *night(2)]
    noon = 24 * 3 * 3600 + 14 * 3600
    views += [*shown(FINE, 24 * 3 * 3600 + 12 * 3600, noon, 0.1), *shown(WRONG["dark"], noon, noon + 600)]
    signals = told(views, rule(DAY), start=MIDNIGHT)
    assert disturbances(signals)[-1][1] == MIDNIGHT + noon
    assert signals[-1].severity is Severity.WARNING


def test_time_set_back_is_told_once_and_time_ahead_is_a_gap() -> None:
    back = told([(0, FINE)], change=lambda s: replace(s, clock_step_s=-3600.04))
    assert [(s.facts["what"], s.facts["step_s"], s.severity) for s in back] == [("clock", -3600.0, Severity.WARNING)]
    for step in (3600.0, -30.0):
        assert told([(0, FINE)], change=lambda s, step=step: replace(s, clock_step_s=step)) == []  # type: ignore[misc]


def test_what_was_learned_is_carried_over_and_a_clock_set_back_all_day_is_no_storm() -> None:
    count, learned = 0, rule().learned()
    for k in range(1000):  # back by an hour every minute and a half
        heir = rule()
        heir.recall(learned)
        signals = told(
            shown(FINE, 0, 90, 0.5),
            heir,
            start=NOON - 3600.0 * k,
            change=lambda s, k=k: replace(s, clock_step_s=-3600.0 if s.at == NOON - 3600.0 * k else None),  # type: ignore[misc]
        )
        count += len(signals)
        learned = heir.learned()
    assert 3 <= count <= 20
    heir = rule()
    heir.recall(learned)
    assert disturbances(told(shown(WRONG["covered"], 0, 60), heir)) == [("covered", NOON, NOON + 8)]


def kept(learned: dict[str, Any]) -> dict[str, Any]:
    """As a file gives it back."""
    return dict(json.loads(json.dumps(learned, allow_nan=False)))


def test_what_is_usual_outlives_a_restart_and_dark_nights_with_it() -> None:
    before = rule(DAY)
    told([*night(0), *night(1)], before, start=MIDNIGHT)
    heir = rule(DAY)
    heir.recall(kept(before.learned()))
    assert kept(heir.learned())["usual"] == kept(before.learned())["usual"]
    assert told(night(2), heir, start=MIDNIGHT) == []


def test_a_restart_in_the_night_forgets_no_dark_hour() -> None:
    by, heirs = rule(DAY), []
    told_of: list[Signal] = []
    for day in range(3):
        views = night(day)
        half = next(k for k, (t, _) in enumerate(views) if t >= (24 * day + 27) * 3600)
        told_of += told(views[:half], by, start=MIDNIGHT)
        heir = rule(DAY)
        heir.recall(kept(by.learned()))
        told_of += told(views[half:], heir, start=MIDNIGHT)
        heirs.append(heir)
        by = heir
    usual = by.learned()["usual"]["dark"]
    assert min(usual[hour] for hour in (22, 23, 0, 1, 2, 3, 4)) > 0.5
    assert len({s.started_at for s in told_of if s.started_at > MIDNIGHT + (24 + 12) * 3600}) == 0, "the first night"


def test_what_an_older_version_learned_is_taken_up() -> None:
    before, heir = rule(), rule()
    told(shown(FINE, 0, 120), before)
    learned = kept(before.learned())
    heir.recall({"usual": learned["usual"], "rests": learned["rests"]})
    assert kept(heir.learned()) == learned


def test_what_rests_goes_on_resting_no_longer_over_a_leap_without_a_view() -> None:
    """Of a recording of a second no look but the first, which is left out after a leap, may measure the view."""
    first = rule()
    told([*shown(FINE, 0, 120), *shown(WRONG["covered"], 120, 200), *shown(FINE, 200, 400)], first)
    kept = first.learned()["rests"]
    second = rule()
    second.recall(first.learned())
    list(second.observe(scene(NOON + 500)))
    assert second.learned()["rests"] == {what: pytest.approx(rest) for what, rest in kept.items()}


@pytest.mark.parametrize(
    "learned",
    [
        {}, {"usual": {}, "rests": {}}, {"usual": None, "rests": None}, {"usual": [], "rests": {}},
        {"usual": {**rule().learned()["usual"], "dark": [0.0]}, "rests": {}},
        {"usual": {**rule().learned()["usual"], "contrast": float("nan")}, "rests": {}},
        {"usual": rule().learned()["usual"], "rests": {"clock": 5}},
        {"usual": rule().learned()["usual"], "rests": {}, "lasted_s": "long"},
    ],
)  # fmt: skip
def test_what_was_learned_and_makes_no_sense_is_left_out(
    learned: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    fresh = rule()
    fresh.recall(learned)
    assert fresh.learned() == rule().learned()
    assert "learned anew" in caplog.text


def test_a_scene_without_a_view_says_nothing() -> None:
    assert list(rule().observe(scene(NOON))) == []
