"""Which pictures a page carries in itself: incidents enter, what goes into the `src` of each picture leaves.

A page of two thousand pictures opens in no browser. What matters most is carried inside, so that it is there when the
page is sent on alone; the rest is fetched from the folder beside it when somebody scrolls there.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from pathlib import Path

from detector.findings import Record, is_sweep
from detector.values import Severity

MOST_BYTES = 4_000_000  # of all pictures inside


def sources(out: Path, incidents: Iterable[Record]) -> dict[str, str]:
    """For each incident that has a picture, by its id: the picture itself, or its path relative to `out`."""
    found, left = {}, MOST_BYTES
    for incident in sorted(incidents, key=_weight, reverse=True):
        name = incident["snapshot"]
        if not name or not (out / name).is_file():
            continue
        found[incident["id"]] = name
        if left > 0:
            picture = (out / name).read_bytes()
            left -= len(picture)
            found[incident["id"]] = f"data:image/jpeg;base64,{base64.b64encode(picture).decode()}"
    return found


def _weight(incident: Record) -> tuple[bool, int, int]:
    return is_sweep(incident), incident["labels_exposed"]["best"], Severity(incident["severity"]).rank
