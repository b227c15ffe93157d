"""Why an edge refuses a command: codes with values in a health report, which its readers have in their own languages.

Beside them stand English words, which is all that an older edge sends and an older hub shows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from detector.errors import Cause

MOST_CAUSES, LONGEST_VALUE = 10, 64
_ZONE = ("camera", "zone")
REFUSALS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "older": ("version", "in_force"),
        "same_version": ("version",),
        "disk": (),
        "malformed": (),
        "no_such_kind": ("kind",),
        "zone_malformed": ("camera",),
        "name_twice": _ZONE,
        "policy_ignored": _ZONE,
        "spot_ignored": _ZONE,
        "rate_not_storage": _ZONE,
        "staying_anyway": _ZONE,
        "exemption_over": (*_ZONE, "until"),
        "exemption_no_shift": (*_ZONE, "shift"),
        "exemption_empty": _ZONE,
        "exemption_in_shifts": _ZONE,
        "exemption_same": _ZONE,
        "exemption_outdone": _ZONE,
    }
)
"""Every code, with the names of its values: strings, and numbers of versions."""


def causes_payload(causes: Iterable[Cause]) -> list[dict[str, Any]]:
    """Causes as a health report has them."""
    return [
        {"code": cause.code, **{name: _short(value) for name, value in cause.values.items()}}
        for cause in list(causes)[:MOST_CAUSES]
    ]


def decode_causes(said: object) -> list[Cause]:
    """Causes from a health report; those that aren't known here, or lack a value, are left out."""
    found = []
    for one in said[:MOST_CAUSES] if isinstance(said, list) else ():
        code = str(one.get("code")) if isinstance(one, dict) else ""
        if code in REFUSALS and all(isinstance(one.get(name), str | int) for name in REFUSALS[code]):
            found.append(Cause(code, {name: _short(one[name]) for name in REFUSALS[code]}))
    return found


def _short(value: str | int) -> str | int:
    return value[:LONGEST_VALUE] if isinstance(value, str) else value
