"""What several cameras tell of one spot, in batch: incidents as written enter, the same leave, doubles marked.

The hub's rule (`hub/storage/spots.py`) over what is known in the end: two are one event when their zones name one spot,
they are of different cameras, share a kind (or a finding), and went on within `MEANWHILE_S` of each other. The gravest
is shown, of equal ones what began first; the others name it (`same_as`) and count for nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from detector.clock import unix
from detector.values import MEANWHILE_S, Severity

Record = Mapping[str, Any]


def told_once(incidents: Sequence[Record]) -> list[dict[str, Any]]:
    """The incidents in their order, each that another tells already with `same_as`, the other's id."""
    of_spot: defaultdict[str, list[Record]] = defaultdict(list)
    for one in incidents:
        if one.get("spot"):
            of_spot[one["spot"]].append(one)
    same_as: dict[str, str] = {}
    for told in of_spot.values():
        shown: list[Record] = []
        for one in sorted(told, key=lambda one: (-Severity(one["severity"]).rank, one["started_at"], one["id"])):
            known = next((other for other in shown if _is_same_event(one, other)), None)
            if known is None:
                shown.append(one)
            else:
                same_as[one["id"]] = known["id"]
    return [{**one, **({"same_as": same_as[one["id"]]} if one["id"] in same_as else {})} for one in incidents]


def shown(incidents: Iterable[Record]) -> list[Record]:
    """Those that no other tells already."""
    return [one for one in incidents if not one.get("same_as")]


def _is_same_event(one: Record, other: Record) -> bool:
    apart = max(unix(one["started_at"]) - unix(other["ended_at"]), unix(other["started_at"]) - unix(one["ended_at"]))
    return one["camera"] != other["camera"] and bool(_kinds(one) & _kinds(other)) and apart <= MEANWHILE_S


def _kinds(one: Record) -> set[str]:
    return {one["kind"], *one.get("findings", ())}
