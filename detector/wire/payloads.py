"""Fields as JSON, which every payload is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from detector.errors import WireError

SCHEMA = 1
LATEST_VERSION = 2**53  # what every reader of JSON counts exactly
FieldTypes = Mapping[str, type | tuple[type, ...]]  # what fields there must be


def encode(fields: Mapping[str, Any]) -> bytes:
    """Fields as an MQTT payload."""
    return json.dumps(fields, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def decode(payload: bytes) -> dict[str, Any]:
    """Fields of an MQTT payload.

    Raises:
        WireError: Not a JSON object of a schema we know.
    """
    try:
        fields = json.loads(payload, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise WireError("not JSON") from error
    if not isinstance(fields, dict):
        raise WireError("not a JSON object")
    if fields.get("schema") != SCHEMA:
        raise WireError(f"schema {repr(fields.get('schema'))[:40]} is not {SCHEMA}")
    return fields


def told_score(score: float) -> float:
    """A score to three digits; only what is certain is told as 1."""
    return round(score, 3) if score >= 1 else min(round(score, 3), 0.999)


def _no_number(word: str) -> float:
    """What Python takes for a number, and JSON doesn't have: NaN and Infinity, which `encode` could not write again."""
    raise ValueError(f"{word} is no number")


def require(fields: Mapping[str, Any], types: FieldTypes, what: str) -> None:
    """Check that these fields are there; `True` is no number.

    Args:
        fields: Of a payload.
        types: Of each field that there must be.
        what: Name of the message, for the error.

    Raises:
        WireError: One is missing or of a wrong type.
    """
    for name, kind in types.items():
        if not isinstance(fields.get(name), kind) or isinstance(fields.get(name), bool):
            raise WireError(f"{what}: {name} is missing or of a wrong type")
