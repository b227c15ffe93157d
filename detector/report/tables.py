"""The same for a spreadsheet: incidents and exposed labels as CSV, UTF-8 with a byte order mark so that Excel knows."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from pathlib import Path
from typing import Any

from detector.report.tally import PersonShift, Sum
from detector.sentences import KIND_NAMES, SEVERITY_NAMES, photos_counted, sentence

Record = Mapping[str, Any]


# What stands above the columns for who reads Chinese; those without a head here are left out there.
HEADS_ZH = {
    "day": "日期", "shift": "班次", "camera": "摄像机", "zone": "区域", "kind": "类型", "severity": "级别",
    "started": "开始", "ended": "结束", "sweeps": "连续拍摄（次）", "labels_low": "暴露面单（最少）",
    "labels_best": "暴露面单（最可能）", "labels_high": "暴露面单（最多）", "photos": "拍照（次）",
    "people": "人员编号", "zh": "说明", "file": "录像文件", "from_s": "录像中开始（秒）",
    "until_s": "录像中结束（秒）", "clip": "片段",
    "snapshot": "截图", "id": "编号", "same_as": "与此同一起",
}  # fmt: skip
WORDS_ZH = {"kind": KIND_NAMES["zh"], "severity": SEVERITY_NAMES["zh"]}


class Tables:
    """Writes each table twice into a folder: `NAME.csv`, whose heads programs know, and `NAME.zh.csv` for people.

    Args:
        out: The folder.
        titles: Names for people of cameras, which the second has.
    """

    def __init__(self, out: Path, titles: Mapping[str, str]) -> None:
        self._out = out
        self._words = {**WORDS_ZH, "camera": titles}

    def incidents(self, incidents: Iterable[Record], local: Callable[[str], str]) -> None:
        """A line for each incident; `local` writes a time as the site's."""
        rows = (
            {
                "id": one["id"], "camera": one["camera"], "zone": one["zone"] or "", "kind": one["kind"],
                "severity": one["severity"], "started": local(one["started_at"]), "ended": local(one["ended_at"]),
                "labels_low": one["labels_exposed"]["low"], "labels_best": one["labels_exposed"]["best"],
                "labels_high": one["labels_exposed"]["high"],
                "photos": photos_counted(one),
                "people": " ".join(map(str, one["tracks"])), "file": one["file"], "from_s": one["start_offset_s"],
                "until_s": one["end_offset_s"], "clip": one["clip"] or "", "snapshot": one["snapshot"],
                "zh": sentence(one, "zh"), "en": sentence(one, "en"), "same_as": one.get("same_as", ""),
            }
            for one in incidents
        )  # fmt: skip
        columns = (
            "id camera zone kind severity started ended labels_low labels_best labels_high photos people file from_s "
            "until_s clip snapshot zh en same_as"
        )
        self._write("incidents", columns.split(), rows)

    def exposed(self, sums: Mapping[tuple[date, str, str | None], Sum]) -> None:
        """A line for each day, camera and zone in which labels were photographed, in this order."""
        rows = (
            {
                "day": day.isoformat(), "camera": camera, "zone": zone or "", "sweeps": found.sweeps,
                "labels_low": found.low, "labels_best": found.best, "labels_high": found.high,
            }
            for (day, camera, zone), found in sorted(sums.items(), key=lambda item: (*item[0][:2], item[0][2] or ""))
        )  # fmt: skip
        self._write("exposed", ["day", "camera", "zone", "sweeps", "labels_low", "labels_best", "labels_high"], rows)

    def people(self, sums: Mapping[PersonShift, Sum]) -> None:
        """A line for each person of a camera and shift that photographed labels."""
        rows = (
            {
                "day": who.day.isoformat(), "shift": who.shift or "", "camera": who.camera,
                "people": " ".join(map(str, who.tracks)), "sweeps": found.sweeps,
                "labels_low": found.low, "labels_best": found.best, "labels_high": found.high,
            }
            for who, found in sums.items()
        )  # fmt: skip
        columns = ["day", "shift", "camera", "people", "sweeps", "labels_low", "labels_best", "labels_high"]
        self._write("people", columns, rows)

    def _write(self, name: str, columns: list[str], rows: Iterable[Mapping[str, Any]]) -> None:
        rows = list(rows)
        _save(self._out / f"{name}.csv", columns, ([row[column] for column in columns] for row in rows))
        read = [column for column in HEADS_ZH if column in columns]
        in_words = ([self._words.get(column, {}).get(row[column], row[column]) for column in read] for row in rows)
        _save(self._out / f"{name}.zh.csv", [HEADS_ZH[column] for column in read], in_words)


def _save(path: Path, heads: list[str], rows: Iterable[Iterable[object]]) -> None:
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        table = csv.writer(file)
        table.writerow(heads)
        table.writerows(map(_plain, row) for row in rows)


def _plain(value: object) -> object:
    """A file may be called `=cmd…`; a spreadsheet must not take it for a formula."""
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") else value
