"""What an edge says of its storage zones: what lies there, what happened."""

from __future__ import annotations

from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import ValidationError

from detector.census import Census
from detector.clock import iso
from detector.errors import WireError
from detector.wire.payloads import SCHEMA, decode, encode, require
from detector.wire.signatures import signed
from detector.wire.topics import Topics, check_owner

LARGEST_CENSUS = 1_000_000  # bytes


def census_payload(topics: Topics, census: Census, key: Ed25519PrivateKey) -> bytes:
    """What lies in the storage zones of a camera, signed; the fields beside `site` and `edge` are those of `Census`.

    Raises:
        WireError: It is too large.
    """
    whose = {"schema": SCHEMA, "site": topics.site, "edge": topics.edge}
    # `at` of a census is Unix seconds, which it stays; that of all else on the wire is ISO 8601.
    when = {"counted_at": iso(census.at), "counted_at_unix": round(census.at, 3)}
    fields = {**whose, **when, **census.model_dump(mode="json")}
    payload = encode(signed(fields, key))
    if len(payload) > LARGEST_CENSUS:
        raise WireError(f"census: {len(payload)} bytes are too many")
    return payload


def decode_census(topic: str, payload: bytes) -> tuple[dict[str, Any], Census]:
    """Fields of such a word, and what they say; see `verify` for the signature, which the hub checks.

    Raises:
        WireError: It is none, or too large, or of another edge than the topic's.
    """
    if len(payload) > LARGEST_CENSUS:
        raise WireError("census: too large")
    fields = decode(payload)
    require(fields, {"site": str, "edge": str, "signature": str}, "census")
    check_owner(topic, fields)
    try:
        return fields, Census.model_validate(fields)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise WireError(f"census: {'.'.join(map(str, first['loc']))[:200]}: {first['msg'][:200]}") from error
