"""The same for a spreadsheet: incidents and exposed labels as CSV, UTF-8 with a byte order mark so that Excel knows."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from pathlib import Path
from typing import Any

from detector.report.tally import PersonShift, Sum
from detector.sentences import photos_counted, sentence

Record = Mapping[str, Any]


def write_incidents(path: Path, incidents: Iterable[Record], local: Callable[[str], str]) -> None:
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
    _write(path, columns.split(), rows)


def write_exposed(path: Path, sums: Mapping[tuple[date, str, str | None], Sum]) -> None:
    """A line for each day, camera and zone in which labels were photographed, in this order."""
    rows = (
        {
            "day": day.isoformat(), "camera": camera, "zone": zone or "", "sweeps": found.sweeps,
            "labels_low": found.low, "labels_best": found.best, "labels_high": found.high,
        }
        for (day, camera, zone), found in sorted(sums.items(), key=lambda item: (*item[0][:2], item[0][2] or ""))
    )  # fmt: skip
    _write(path, ["day", "camera", "zone", "sweeps", "labels_low", "labels_best", "labels_high"], rows)


def write_people(path: Path, sums: Mapping[PersonShift, Sum]) -> None:
    """A line for each person of a camera and shift that photographed labels."""
    rows = (
        {
            "day": who.day.isoformat(), "shift": who.shift or "", "camera": who.camera,
            "people": " ".join(map(str, who.tracks)), "sweeps": found.sweeps,
            "labels_low": found.low, "labels_best": found.best, "labels_high": found.high,
        }
        for who, found in sums.items()
    )  # fmt: skip
    _write(path, ["day", "shift", "camera", "people", "sweeps", "labels_low", "labels_best", "labels_high"], rows)


def _write(path: Path, columns: list[str], rows: Iterable[Mapping[str, object]]) -> None:
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        table = csv.DictWriter(file, columns)
        table.writeheader()
        for row in rows:
            table.writerow({name: _plain(value) for name, value in row.items()})


def _plain(value: object) -> object:
    """A file may be called `=cmd…`; a spreadsheet must not take it for a formula."""
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") else value
