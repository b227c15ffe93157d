"""Figures of a bench as a picture: bars of frames a processor second, and the floor that decoding is; SVG."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from detector.bench.setups import DECODE, MODEL, OURS

WIDTH, LEFT, RIGHT, ROW, HEAD = 820, 290, 120, 22, 44
STYLE = """
svg{font:12px system-ui,"PingFang SC","Microsoft YaHei",sans-serif;font-variant-numeric:tabular-nums}
text{fill:#1c2126}.faint{fill:#5c6670}.title{font-weight:600;font-size:14px}
.decode{fill:#3a8a4a}.inference{fill:#2a6fb0}.own{fill:#c05020}.track{fill:#8a8f96}
.floor{stroke:#3a8a4a;stroke-dasharray:4 3}.ground{fill:#fff}
@media(prefers-color-scheme:dark){text{fill:#e8eaed}.faint{fill:#9aa3ad}.ground{fill:#15181c}}
"""
LEGEND = (("decode", "decoding"), ("inference", "the network"), ("own", "our own code"), ("track", "YOLO.track"))


def plot(figures: Mapping[str, Any]) -> str:
    """The picture. A bar is as long as the frames a processor second, and parted as the processor time is."""
    parts, y = [], HEAD
    most = max(row["fps_per_cpu_s"] for clip in ("busy", "quiet") for row in _rows(figures, clip))
    scale = (WIDTH - LEFT - RIGHT) / most
    for clip in ("busy", "quiet"):
        parts.append(_text(12, y, f"{clip}: {figures['clips'][clip]}", "title"))
        top, y = y + 10, y + 26
        for row in _rows(figures, clip):
            parts += _bar(row, y, scale)
            y += ROW
        floor = figures[clip]["decode_fps_per_cpu_s"]
        x = LEFT + floor * scale
        parts.append(f"<line class='floor' x1='{x:.1f}' x2='{x:.1f}' y1='{top}' y2='{y - 10}'/>")
        y += 24
    x = 12
    for part, words in LEGEND:
        parts.append(f"<rect class='{part}' x='{x}' y='{y - 9}' width='10' height='10'/>")
        parts.append(_text(x + 15, y, words, "faint"))
        x += 110
    parts.append(_text(x, y, "dashed: decoding alone", "faint"))
    title = "Source frames a processor second"
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {WIDTH} {y + 14}' role='img' aria-label='{title}'>"
        f"<style>{STYLE}</style><rect class='ground' width='100%' height='100%'/>"
        f"{_text(12, 20, title + ', 720p at 20 fps, 5 looks a second', 'faint')}{''.join(parts)}</svg>\n"
    )


def _rows(figures: Mapping[str, Any], clip: str) -> list[Mapping[str, Any]]:
    rows = [row for row in figures[clip]["configurations"] if row["what"] != MODEL]
    return sorted(rows, key=lambda row: -row["fps_per_cpu_s"])


def _bar(row: Mapping[str, Any], y: int, scale: float) -> list[str]:
    parts, x, long = [_text(LEFT - 8, y, row["name"], "", "end")], float(LEFT), row["fps_per_cpu_s"] * scale
    shares = {"decode": 1.0} if row["what"] == DECODE else {"track": 1.0}
    if row["what"] == OURS:
        shares = {part: row[f"{part}_share"] for part in ("decode", "inference", "own")}
    for part, share in shares.items():
        parts.append(f"<rect class='{part}' x='{x:.1f}' y='{y - 11}' width='{share * long:.1f}' height='14'/>")
        x += share * long
    ratio = row["ratio_to_track"]
    told = f"{row['fps_per_cpu_s']:.3g}" + (f" · {ratio:.2f} x track" if ratio is not None else "")
    parts.append(_text(LEFT + long + 6, y, told, "faint"))
    return parts


def _text(x: float, y: float, words: str, kind: str, anchor: str = "start") -> str:
    return f"<text x='{x:.1f}' y='{y}' class='{kind}' text-anchor='{anchor}'>{escape(words)}</text>"
