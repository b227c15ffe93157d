"""Incidents, counts and clips come in; what is drawn of them (bars, grids, time lines) goes out as plain numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from detector.hub.desk.overview import Found, Happened
from detector.hub.storage.stored import Clip, StoredIncident
from detector.hub.storage.tuning import Judged
from detector.names import natural
from detector.values import IncidentKind, Severity

FEW_ACTS = 500  # drawn on one time line at most
DOT_COLUMNS = 50
DOTS_MIDDLE = 48.0  # pixels from the top: half of what `tuning_card.html` draws them in
WORST_FIRST = [severity.value for severity in reversed(Severity)]


@dataclass(frozen=True, slots=True)
class HourBar:
    """One hour of the day, as `View.hour_of` names it: how many, and how bad."""

    hour: str
    count: int
    severity: str
    height: float
    is_now: bool


def hour_bars(counts: dict[str, dict[str, int]], hours: Iterable[str], hour_now: str) -> list[HourBar]:
    """A bar for each hour from counts by hour and severity; a day of few incidents doesn't fill the height."""
    tallest = max((sum(count.values()) for count in counts.values()), default=0)
    bars = []
    for hour in hours:
        found = counts.get(hour, {})
        count = sum(found.values())
        severity = next((s for s in WORST_FIRST if found.get(s)), "")
        height = count / max(tallest, 2)
        bars.append(HourBar(hour, count, severity, height, hour == hour_now))
    return bars


@dataclass(frozen=True, slots=True)
class Cell:
    """One hour of one camera: how many, and how bad the worst of them is."""

    hour: str
    count: int
    severity: str


@dataclass(frozen=True, slots=True)
class DayRow:
    """One camera's day, hour by hour."""

    site: str
    camera: str
    title: str
    count: int
    cells: list[Cell]


def day_rows(
    happened: Iterable[Happened],
    titles: Mapping[tuple[str, str], str],
    known: Iterable[tuple[str, str]],
    hour_of: Callable[[float], str],
    hours: Sequence[str],
) -> list[DayRow]:
    """A row for every camera that is known or told of something, the worst first.

    Args:
        happened: All of the day.
        titles: Names for people of cameras, by site and camera.
        known: Cameras that have a row even though nothing happened.
        hour_of: The hour on the wall at a time, one of `hours`.
        hours: Those of the day, in their order.
    """
    found: dict[tuple[str, str], dict[str, Counter[str]]] = {camera: {} for camera in known}
    for one in happened:
        there = found.setdefault((one.site, one.camera), {})
        there.setdefault(hour_of(one.at), Counter())[one.severity] += 1

    def badness(camera: tuple[str, str]) -> tuple[list[int], Any]:
        told = sum(found[camera].values(), Counter())
        return [-told[severity] for severity in WORST_FIRST], natural(titles.get(camera, camera[1]))

    return [
        DayRow(
            *camera,
            titles.get(camera, camera[1]),
            sum(count.total() for count in found[camera].values()),
            [_cell(hour, found[camera].get(hour, Counter())) for hour in hours],
        )
        for camera in sorted(found, key=badness)
    ]


def _cell(hour: str, counts: Counter[str]) -> Cell:
    return Cell(hour, counts.total(), next((severity for severity in WORST_FIRST if counts[severity]), ""))


@dataclass(frozen=True, slots=True)
class TrendBar:
    """One day of a trend: `low` and `high` are what is counted, `base` and `top` how high they are drawn (0..1)."""

    day: date
    low: int
    high: int
    base: float
    top: float


@dataclass(frozen=True, slots=True)
class Trend:
    """One thing counted day by day, a week to a list; `kind` is empty for the labels exposed.

    `ticks` are the numbers on its scale, from the top, which is as high as bars can be, down to nought.
    """

    kind: str
    weeks: list[list[TrendBar]]
    ticks: tuple[int, int, int]

    @property
    def totals(self) -> list[tuple[int, int]]:
        """What each week comes to, at least and at most."""
        return [(sum(bar.low for bar in week), sum(bar.high for bar in week)) for week in self.weeks]


def trends(days: Sequence[date], by_day: Sequence[Mapping[str, Found]]) -> list[Trend]:
    """Labels exposed, then each kind that we know or that happened, day by day."""
    kinds = [kind.value for kind in IncidentKind]
    kinds += sorted({kind for found in by_day for kind in found} - set(kinds))
    labels = [(sum(f.labels_low for f in day.values()), sum(f.labels_high for f in day.values())) for day in by_day]
    counts = {kind: [(day[kind].count,) * 2 if kind in day else (0, 0) for day in by_day] for kind in kinds}
    return [_trend("", days, labels), *(_trend(kind, days, counts[kind]) for kind in kinds)]


def _trend(kind: str, days: Sequence[date], ranges: Sequence[tuple[int, int]]) -> Trend:
    step = _round_up(max(high for _, high in ranges) / 2)
    bars = [
        TrendBar(day, low, high, low / (2 * step), high / (2 * step))
        for day, (low, high) in zip(days, ranges, strict=True)
    ]
    return Trend(kind, [bars[n : n + 7] for n in range(0, len(bars), 7)], (2 * step, step, 0))


def _round_up(number: float) -> int:
    """The next number that is easily read off a scale: 1 to 6, 8, and these ten, a hundred, … times."""
    tens = 1
    while number > 10 * tens:
        tens *= 10
    return next(n * tens for n in (1, 2, 3, 4, 5, 6, 8, 10) if n * tens >= number)


@dataclass(frozen=True, slots=True)
class Bar:
    """Something on a time line: places in percent of its width."""

    kind: str
    left: float
    width: float
    started_at: float
    score: float | None = None


@dataclass(frozen=True, slots=True)
class Timeline:
    """What happened along the time line, and which parts of it are on video."""

    start: float
    end: float
    acts: list[Bar]
    video: list[Bar]


def timeline(clips: list[Clip], span: tuple[float, float], acts: Sequence[Mapping[str, Any]] = ()) -> Timeline:
    """From the first of a span (Unix seconds), acts and video to the last of them."""
    acts = acts[:FEW_ACTS]
    starts = [span[0], *(c.started_at for c in clips), *(a["started_at_unix"] for a in acts)]
    ends = [span[1], *(c.started_at + c.duration_s for c in clips), *(a["ended_at_unix"] for a in acts)]
    start = min(starts)
    length = max(max(ends) - start, 1.0)

    def bar(kind: str, begin: float, end: float, score: float | None = None) -> Bar:
        return Bar(kind, 100 * (begin - start) / length, max(0.0, 100 * (end - begin) / length), begin, score)

    return Timeline(
        start,
        start + length,
        [bar(str(a.get("kind")), a["started_at_unix"], a["ended_at_unix"], a.get("score")) for a in acts],
        [bar("video", clip.started_at, clip.started_at + clip.duration_s) for clip in clips],
    )


@dataclass(frozen=True, slots=True)
class Dot:
    """A judged incident on the scale of scores: `left` in percent, `y` and `r` in pixels."""

    id: str
    score: float
    verdict: str
    left: float
    y: float
    r: float


def dots(judged: list[Judged]) -> list[Dot]:
    """True incidents stacked upwards from the middle, false ones downwards: dots of like scores beside each other."""
    stacks: dict[tuple[str, int], int] = {}
    placed = []
    for one in judged:
        if one.verdict in ("true", "false"):
            stack = one.verdict, min(int(one.score * DOT_COLUMNS), DOT_COLUMNS - 1)
            stacks[stack] = stacks.get(stack, 0) + 1
            placed.append((one, stack, stacks[stack]))
    tallest = max(stacks.values(), default=1)
    step = min(8.0, (DOTS_MIDDLE - 4) / tallest)
    return [
        Dot(
            one.id,
            one.score,
            one.verdict,
            100 * (stack[1] + 0.5) / DOT_COLUMNS,
            DOTS_MIDDLE + (-1 if one.verdict == "true" else 1) * (4 + (place - 0.5) * step),
            max(1.5, min(3.2, step / 2 - 0.3)),
        )
        for one, stack, place in placed
    ]


def evidence(
    incident: StoredIncident, clips: list[Clip], *, is_gone: bool, lost: Collection[int] = ()
) -> list[dict[str, Any]]:
    """Every segment promised or here, and whether what is here is what the signed record promised.

    Args:
        incident: Whose.
        clips: Those that came.
        is_gone: Whether its footage was deleted: what isn't here doesn't come any more.
        lost: Segments whose file isn't there any more, though nothing here deleted it.
    """
    here = {clip.segment: clip for clip in clips}
    promised = {c["segment"]: c for c in incident.announced_clips if isinstance(c.get("segment"), int)}
    rows = []
    for segment in sorted(here.keys() | promised.keys()):
        clip, promise = here.get(segment), promised.get(segment)
        if clip is None:
            state = "deleted" if is_gone else "missing"
        elif segment in lost:
            state = "lost"
        elif promise is None:
            state = "unannounced"
        else:
            state = "matches" if promise.get("sha256") == clip.sha256 else "differs"
        rows.append({"segment": segment, "clip": clip, "state": state})
    return rows


def marks(incident: StoredIncident) -> dict[str, int]:
    """How many of each thing the picture marks; labels are only there to be blurred."""
    found: dict[str, int] = {}
    boxes = incident.record.get("boxes")
    for box in boxes if isinstance(boxes, list) else []:
        if isinstance(box, dict) and box.get("what") != "label":
            found[str(box.get("what"))] = found.get(str(box.get("what")), 0) + 1
    return found
