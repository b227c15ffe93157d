"""When the like of an incident happened at its place: on its page, as dots by day and hour."""

from __future__ import annotations

import re
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.hub.desk.overview import Begun
from detector.hub.desk.recurrence import (
    COLUMN,
    DAYS,
    FEWEST,
    LONGEST_H,
    MOST,
    Hours,
    Recurrence,
    days_round,
    hours_of,
    recurrence,
)

NOON = 1_793_505_600.0  # of 1 November 2026 in Shanghai
HOUR, DAY = 3600.0, 86400.0
TODAY = date(2026, 11, 1)


def local(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC)


def begun(at: float, name: str = "", severity: str = "warning", labels: tuple[int, int] = (0, 0)) -> Begun:
    return Begun(name or f"at-{at}", at, severity, *labels)


@pytest.mark.parametrize(
    ("days_ago", "last"), [(0, TODAY), (3, TODAY), (7, TODAY), (8, TODAY - timedelta(days=1)), (30, date(2026, 10, 9))]
)
def test_an_incident_stands_among_the_two_weeks_up_to_today_or_to_a_week_after_it(days_ago: int, last: date) -> None:
    day = TODAY - timedelta(days=days_ago)
    days = days_round(day, TODAY)
    assert len(days) == DAYS and days[-1] == last and day in days


def test_a_day_ahead_of_the_hubs_clock_is_shown_all_the_same() -> None:
    assert days_round(TODAY + timedelta(days=2), TODAY)[-1] == TODAY + timedelta(days=2)


@given(st.lists(st.floats(0, 24, exclude_max=True), max_size=30))
def test_the_hours_told_hold_as_many_as_is_said_and_most_of_all(times: list[float]) -> None:
    hours = hours_of(Counter(map(int, times)))
    if hours is None:
        return
    held = sum((time - hours.since) % 24 < hours.until - hours.since for time in times)
    assert held == hours.count >= MOST * len(times) and len(times) >= FEWEST
    assert 1 <= hours.until - hours.since <= LONGEST_H


@pytest.mark.parametrize(
    ("times", "hours"),
    [
        ([18.0, 18.5, 18.2], None),  # too few
        ([18.0, 18.5, 18.2, 18.9], Hours(18, 19, 4)),
        ([18.0, 19.5, 18.2, 9.0], Hours(18, 20, 3)),
        ([23.5, 0.2, 23.9, 0.7], Hours(23, 25, 4)),
        ([8.0, 12.0, 16.0, 20.0], None),  # all day
    ],
)
def test_hours_are_the_fewest_that_hold_most(times: list[float], hours: Hours | None) -> None:
    assert hours_of(Counter(map(int, times))) == hours


def test_of_a_quarter_of_an_hour_the_incident_itself_is_drawn_or_else_the_worst() -> None:
    at = local(NOON).replace(minute=0).timestamp()
    days = days_round(local(NOON).date(), local(NOON).date())
    ones = [begun(at, "a", "critical"), begun(at + 60, "this", "info"), begun(at + HOUR, severity="critical"),
            begun(at + HOUR + 60, severity="info")]  # fmt: skip
    found = recurrence(days, ones, "this", local)
    assert [(dot.severity, dot.is_this) for dot in sorted(found.dots, key=lambda dot: dot.hour)] == [
        ("info", True), ("critical", False),
    ]  # fmt: skip
    assert found.count == 4 and found.on_days == 1


@given(st.lists(st.tuples(st.integers(0, DAYS - 1), st.integers(0, 24 * 60 - 1)), min_size=2, max_size=40))
def test_every_dot_stands_in_the_column_of_its_day_as_far_down_as_its_hour(began: list[tuple[int, int]]) -> None:
    days = days_round(TODAY, TODAY)
    midnight = datetime(days[0].year, days[0].month, days[0].day, tzinfo=UTC).timestamp()
    found = recurrence(days, [begun(midnight + day * DAY + 60 * minute, f"i{n}") for n, (day, minute) in
                              enumerate(began)], "i0", local)  # fmt: skip
    drawing = found.drawing
    column = (drawing.width - drawing.left) / DAYS
    top, bottom = drawing.lines[0][0], drawing.lines[-1][0]
    expected = {(day, minute // 15) for day, minute in began}
    placed = [((spot.x - drawing.left) / column - 0.5, 96 * (spot.y - top) / (bottom - top)) for spot in drawing.spots]
    assert {(round(x), round(y)) for x, y in placed} == expected
    assert all(abs(x - round(x)) < 1e-9 and abs(y - round(y)) < 1e-9 for x, y in placed)
    # Nothing is cut off, and the one asked of lies above the others, the largest.
    assert all(spot.radius <= spot.x <= drawing.width - spot.radius for spot in drawing.spots)
    assert all(spot.radius <= spot.y <= drawing.height - spot.radius for spot in drawing.spots)
    assert [spot.dot.is_this for spot in drawing.spots] == [False] * (len(drawing.spots) - 1) + [True]
    assert max(drawing.spots, key=lambda spot: spot.radius).dot.is_this


@pytest.mark.parametrize(
    ("hours", "bands"), [((18, 20), [(18, 20)]), ((23, 25), [(23, 24), (0, 1)]), ((20, 24), [(20, 24)]), (None, [])]
)
def test_hours_over_midnight_are_drawn_at_both_ends_of_the_day(
    hours: tuple[int, int] | None, bands: list[tuple[int, int]]
) -> None:
    found = Recurrence(days_round(TODAY, TODAY), 4, (), Hours(*hours, 4) if hours else None, 0, 0).drawing
    top, hour = found.lines[0][0], (found.lines[-1][0] - found.lines[0][0]) / 24
    assert [((y - top) / hour, (y + height - top) / hour) for y, height in found.bands] == bands
    assert [name for _, name in found.lines] == ["0:00", "", "12:00", "", "24:00"]


@pytest.mark.parametrize("day", range(7))
def test_days_are_named_at_both_ends_and_on_mondays_between_none_beside_another(day: int) -> None:
    days = days_round(TODAY + timedelta(days=day), TODAY + timedelta(days=day))
    names = Recurrence(days, 2, (), None, 0, 0).drawing.names
    assert [names[0][1], names[-1][1]] == [str(days[0].day), str(days[-1].day)]
    mondays = {str(one.day) for one in days if one.weekday() == 0}
    assert {name for _, name in names[1:-1]} <= mondays and len(names) in (3, 4)
    assert all(later - sooner >= 2 * COLUMN for (sooner, _), (later, _) in pairwise(names))


def test_of_very_many_no_time_is_looked_up_but_once_a_quarter_of_an_hour() -> None:
    days = days_round(local(NOON).date(), local(NOON).date())
    asked: list[float] = []
    ones = [begun(NOON - 60 * n, f"i{n}", "critical" if n % 20 else "info") for n in range(3000)]
    found = recurrence(days, ones, "i7", lambda at: asked.append(at) or local(at))  # type: ignore[func-returns-value]
    assert len(asked) == len(set(asked)) == len(found.dots) == 3000 / 15 + 1
    assert found.count == 3000 and found.dots[-1].is_this and found.dots[-1].severity == "critical"


def test_labels_of_all_are_added_up() -> None:
    days = days_round(local(NOON).date(), local(NOON).date())
    found = recurrence(days, [begun(NOON, labels=(3, 6)), begun(NOON - DAY, labels=(10, 20))], "", local)
    assert (found.labels_low, found.labels_high, found.on_days) == (13, 26, 2)


def page_of(site: Any, incident: str) -> str:
    answer = site.client.get(f"/incidents/{incident}")
    assert answer.status_code == 200
    return str(answer.text)


def test_an_incidents_page_shows_when_its_like_happened_there(site: Any, envelope: Any) -> None:
    evenings = [NOON + 6 * HOUR - n * DAY - 300 * n for n in range(1, 6)]
    others = [
        envelope(20, incident="other-camera", camera="cam4", started_at_unix=NOON - DAY),
        envelope(21, incident="other-zone", zone="packing", started_at_unix=NOON - DAY),
        envelope(22, incident="other-kind", kind="lingering", started_at_unix=NOON - DAY),
        envelope(23, incident="long-ago", started_at_unix=NOON - 20 * DAY),
    ]
    others[0]["after"]["camera"] = "cam4"
    ours = [envelope(n, incident=f"i{n}", started_at_unix=at) for n, at in enumerate(evenings, 1)]
    site.store.add_alerts([*ours, *others, envelope(30)], NOON)
    page = page_of(site, "inc-1")
    text = re.sub("<[^>]+>", "", page)
    assert "6 起，分布在 6 天，共暴露面单 18–36 张" in text
    assert "其中 5 起发生在 17:00 到 18:00 之间" in text
    assert page.count('<svg class="spot ') == 6 and page.count(' this"') == 1
    site.client.post("/incidents/i2/verdict", data={"verdict": "false"})
    assert "5 起，分布在 5 天" in re.sub("<[^>]+>", "", page_of(site, "inc-1"))


def test_what_never_happened_before_has_no_picture_of_it(site: Any, envelope: Any) -> None:
    site.store.add_alerts([envelope(1)], NOON)
    assert 'data-part="recurrence"' not in page_of(site, "inc-1")


def test_the_list_behind_it_is_of_the_same_kind_and_place(site: Any, envelope: Any) -> None:
    site.store.add_alerts([envelope(n, incident=f"i{n}", zone=None, started_at_unix=NOON - n * DAY) for n in (1, 2)],
                          NOON)  # fmt: skip
    link = re.search(r'data-part="recurrence".*?href="([^"]+)"', page_of(site, "i1"), re.S)
    assert link is not None
    listed = site.client.get(link.group(1).replace("&amp;", "&")).text
    assert set(re.findall(r'data-incident="(\w+)"', listed)) == {"i1", "i2"}
