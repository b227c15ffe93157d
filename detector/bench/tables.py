"""Figures of a bench as tables: for a terminal, and as Markdown, which the README copies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from detector.bench.setups import OURS

if TYPE_CHECKING:
    from rich.console import RenderableType

HEAD = (
    "frames a CPU second (lowest–highest)", "x real time", "x YOLO.track", "of decode", "looked at",
    "CPU: decode / network / own", "memory",
)  # fmt: skip

Figures = Mapping[str, Any]


def markdown(figures: Figures) -> str:
    """The whole, as Markdown."""
    clips, machine = figures["clips"], figures["machine"]
    versions = ", ".join(f"{package} {version}" for package, version in machine["versions"].items())
    first = (
        f"Measured by `labelwatch bench` (labelwatch {figures['labelwatch']}): in one run, "
        f"rounds: {figures['rounds']}, all configurations in each; medians of processor time, ratios within a round. "
        f"{machine['processor']}; {versions}."
    )
    parts = [first, *(f"**{said}**" for said in (*figures["warnings"], *figures["notes"]))]
    for clip in ("busy", "quiet"):
        rows = [_markdown_row([row["name"], *_cells(row)]) for row in figures[clip]["configurations"]]
        head = [_markdown_row([f"{clip}: {clips[clip]}", *HEAD]), "|" + "---|" * (len(HEAD) + 1)]
        parts.append("\n".join([*head, *rows]))
    goals = [
        _markdown_row([goal["what"], goal["setup"], _goal(goal), _number(goal["measured"]), _met(goal)])
        for goal in figures["goals"]
    ]
    parts.append("\n".join(["| goal | measured on | goal | measured | |", "|---|---|---|---|---|", *goals]))
    parts.append(
        "All at 5 looks a second (every 4th frame) of every frame decoded, all rules on. The zooms are close looks at "
        "people, without which phones are too small to be seen; YOLO.track has nothing like them, so that only rows "
        "without zooms do the same work as it. "
        f"The clips: {clips['made']}."
    )
    return "\n\n".join(parts) + "\n"


def tables(figures: Figures) -> list[RenderableType]:
    """The same for a terminal."""
    from rich.table import Table

    found: list[RenderableType] = []
    for clip in ("busy", "quiet"):
        table = Table(title=f"{clip}: {figures['clips'][clip]}", title_justify="left")
        table.add_column("")
        for head in HEAD:
            table.add_column(head, justify="right")
        for row in figures[clip]["configurations"]:
            table.add_row(row["name"], *_cells(row))
        found.append(table)
    goals = Table(title="goals", title_justify="left")
    for head in ("", "measured on", "goal", "measured", ""):
        goals.add_column(head)
    for goal in figures["goals"]:
        goals.add_row(goal["what"], goal["setup"], _goal(goal), _number(goal["measured"]), _met(goal))
    return [*found, goals]


def _cells(row: Figures) -> list[str]:
    ours = row["what"] == OURS
    parts = " / ".join(_percent(row[f"{part}_share"]) for part in ("decode", "inference", "own")) if ours else "–"
    speed = f"{row['fps_per_cpu_s']:.4g} ({row['lowest_fps']:.3g}–{row['highest_fps']:.3g})"
    return [
        speed, _number(row["times_real_time"]), _number(row["ratio_to_track"]), _percent(row["share_of_decode"]),
        _percent(row["looked_at_share"]) if ours else "–", parts, f"{row['rss_mb']:.0f} MB",
    ]  # fmt: skip


def _markdown_row(cells: list[str] | tuple[str, ...]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _goal(goal: Figures) -> str:
    return f"≥ {goal['least']:g}" if goal["least"] is not None else f"≤ {goal['most']:g}"


def _met(goal: Figures) -> str:
    return {True: "met", False: "missed", None: "not measured"}[goal["met"]]


def _number(figure: float | None) -> str:
    if figure is None:
        return "–"
    return f"{figure:.2f}" if figure < 10 else f"{figure:.0f}"


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.0f} %"
