"""What an incident tells of, from its record: as a line of `incidents.jsonl` has it, or an envelope on the wire."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from detector.facts import holds, names, number
from detector.values import IncidentKind

Record = Mapping[str, Any]


def kinds_of(record: Record) -> set[str]:
    """Kinds of its findings."""
    return {record["kind"], *names(record, "findings")}


def tells_of_photos(record: Record) -> bool:
    """Whether labels were photographed, be it in doubt: no scans where those aren't allowed."""
    return bool(record["kind"] == IncidentKind.LABEL_PHOTOGRAPHY and number(record["facts"], "photos") != 0)


def is_sweep(record: Record) -> bool:
    """Whether labels were surely photographed."""
    return tells_of_photos(record) and not holds(record["facts"], "unsure")


def tells_of(graver: Record, lesser: Record) -> bool:
    """Whether an incident may be shown in a lesser one's stead: it tells of its kind, and no less surely of photos."""
    return lesser["kind"] in kinds_of(graver) and (is_sweep(graver) or not is_sweep(lesser))
