"""What several cameras tell of one spot, in batch: incidents as written enter, the same leave, doubles marked.

The hub's rule (`hub/storage/spots.py`) over what is known in the end: two are one event when their zones name one spot,
they are of different cameras, went on within `MEANWHILE_S` of each other, and the graver tells of what the other is
(`findings.tells_of`). The gravest is shown, of equal ones a sure sweep, then what began first; the others name it
(`same_as`) and count for nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from detector.clock import unix
from detector.findings import Record, is_sweep, tells_of
from detector.values import MEANWHILE_S, Severity


def told_once(incidents: Sequence[Record]) -> list[dict[str, Any]]:
    """The incidents in their order, each that another tells already with `same_as`, the other's id."""
    of_spot: defaultdict[str, list[Record]] = defaultdict(list)
    for one in incidents:
        if one.get("spot"):
            of_spot[one["spot"]].append(one)
    same_as: dict[str, str] = {}
    for told in of_spot.values():
        shown: list[Record] = []
        for one in sorted(told, key=_order):
            known = next((other for other in shown if _is_told_by(other, one)), None)
            if known is None:
                shown.append(one)
            else:
                same_as[one["id"]] = known["id"]
    return [{**one, **({"same_as": same_as[one["id"]]} if one["id"] in same_as else {})} for one in incidents]


def shown(incidents: Iterable[Record]) -> list[Record]:
    """Those that no other tells already."""
    return [one for one in incidents if not one.get("same_as")]


def _order(one: Record) -> tuple[int, bool, str, str]:
    return -Severity(one["severity"]).rank, not is_sweep(one), one["started_at"], one["id"]


def _is_told_by(graver: Record, one: Record) -> bool:
    apart = max(unix(one["started_at"]) - unix(graver["ended_at"]), unix(graver["started_at"]) - unix(one["ended_at"]))
    return one["camera"] != graver["camera"] and tells_of(graver, one) and apart <= MEANWHILE_S
