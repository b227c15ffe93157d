"""Plots as inline SVG that follow the page's colours: series enter, markup leaves."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

COLOURS = ("#2a6fb0", "#c05020", "#3a8a4a", "#8a4a9a", "#777777", "#b08a10", "#108a9a", "#c04080")
WIDTH, HEIGHT = 420, 260
LEFT, RIGHT, TOP, BOTTOM = 46, 12, 24, 40


@dataclass(frozen=True)
class Series:
    """Points of one line; `low` and `high` draw whiskers, `notes` say more of each point on hovering.

    Without a `colour` of its own a line has that of its place in the chart.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] = field(default=())
    high: Sequence[float] = field(default=())
    notes: Sequence[str] = field(default=())
    dots: bool = True
    colour: str = ""


def chart(
    series: Sequence[Series], x_title: str, y_title: str, *, x_range: tuple[float, float] | None = None,
    y_range: tuple[float, float] = (0.0, 1.0), log: bool = False, diagonal: bool = False,
    marks: Sequence[tuple[float, str]] = (),
) -> str:  # fmt: skip
    """A line chart.

    Args:
        series: What to draw; points without a number are left out.
        x_title: Below the x axis.
        y_title: Above the y axis.
        x_range: Ends of the x axis; those of the points where left out.
        y_range: Ends of the y axis.
        log: Whether x is logarithmic; then all x are above 0.
        diagonal: Whether y = x is drawn.
        marks: Dotted lines at a height of y, with a word each.
    """
    xs = [x for s in series for x, y in zip(s.x, s.y, strict=True) if math.isfinite(x) and math.isfinite(y)]
    if not xs:
        return "<p><small>Nothing to draw.</small></p>"
    low, high = x_range or (min(xs), max(xs))
    if low == high:
        low, high = (low / 1.5, high * 1.5) if log else (low - 0.5, high + 0.5)

    def px(x: float) -> float:
        share = math.log(x / low) / math.log(high / low) if log else (x - low) / (high - low)
        return LEFT + min(max(share, 0.0), 1.0) * (WIDTH - LEFT - RIGHT)

    def py(y: float) -> float:
        share = (y - y_range[0]) / (y_range[1] - y_range[0])
        return HEIGHT - BOTTOM - min(max(share, 0.0), 1.0) * (HEIGHT - TOP - BOTTOM)

    parts = [f"<svg viewBox='0 0 {WIDTH} {HEIGHT}' role='img' aria-label='{escape(y_title)} by {escape(x_title)}'>"]
    for y in _ticks(*y_range):
        parts.append(f"<line class='grid' x1='{LEFT}' x2='{WIDTH - RIGHT}' y1='{py(y):.1f}' y2='{py(y):.1f}'/>")
        parts.append(f"<text x='{LEFT - 5}' y='{py(y) + 4:.1f}' text-anchor='end'>{y:g}</text>")
    parts += [
        f"<text x='{px(x):.1f}' y='{HEIGHT - BOTTOM + 15}' text-anchor='middle'>{x:g}</text>"
        for x in (_powers(low, high) if log else _ticks(low, high))
    ]
    parts.append(f"<text x='{(LEFT + WIDTH) / 2:.0f}' y='{HEIGHT - 6}' text-anchor='middle'>{escape(x_title)}</text>")
    parts.append(f"<text x='4' y='10'>{escape(y_title)}</text>")
    if diagonal:
        ends = max(low, y_range[0]), min(high, y_range[1])
        parts.append(
            f"<line class='mark' x1='{px(ends[0]):.1f}' y1='{py(ends[0]):.1f}' "
            f"x2='{px(ends[1]):.1f}' y2='{py(ends[1]):.1f}'/>"
        )
    for y, word in marks:
        parts.append(f"<line class='mark' x1='{LEFT}' x2='{WIDTH - RIGHT}' y1='{py(y):.1f}' y2='{py(y):.1f}'/>")
        parts.append(f"<text x='{WIDTH - RIGHT}' y='{py(y) - 3:.1f}' text-anchor='end'>{escape(word)}</text>")
    colours = [line.colour or COLOURS[n % len(COLOURS)] for n, line in enumerate(series)]
    for line, colour in zip(series, colours, strict=True):
        parts += _line(line, colour, px, py)
    parts.append("</svg>")
    legend = "".join(
        f"<span><i style='background:{colour}'></i>{escape(line.name)}</span>"
        for line, colour in zip(series, colours, strict=True)
        if line.name
    )
    return f"<figure>{''.join(parts)}<figcaption>{legend}</figcaption></figure>"


def _line(line: Series, colour: str, px, py) -> list[str]:
    points = [(k, x, y) for k, (x, y) in enumerate(zip(line.x, line.y, strict=True)) if math.isfinite(x * y)]
    path = " ".join(f"{px(x):.1f},{py(y):.1f}" for _, x, y in points)
    parts = [f"<polyline fill='none' stroke='{colour}' stroke-width='1.6' points='{path}'/>"]
    for k, x, y in points:
        if line.low:
            parts.append(
                f"<line stroke='{colour}' opacity='.5' x1='{px(x):.1f}' x2='{px(x):.1f}' "
                f"y1='{py(line.low[k]):.1f}' y2='{py(line.high[k]):.1f}'/>"
            )
        if line.dots:
            note = f"<title>{escape(line.notes[k])}</title>" if line.notes else ""
            parts.append(f"<circle cx='{px(x):.1f}' cy='{py(y):.1f}' r='3' fill='{colour}'>{note}</circle>")
    return parts


def _ticks(low: float, high: float) -> list[float]:
    step = 10 ** math.floor(math.log10(high - low))
    step = next(s for s in (step / 5, step / 2, step, step * 2) if (high - low) / s <= 6)
    return [round(k * step, 10) for k in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]


def _powers(low: float, high: float) -> list[float]:
    return [x for k in range(-3, 5) for x in (10.0**k, 2 * 10.0**k, 5 * 10.0**k) if low <= x <= high]
