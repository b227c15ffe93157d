"""How an edge is, by its own word: `status`, `health`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from detector.errors import WireError
from detector.wire.payloads import LATEST_VERSION, SCHEMA, FieldTypes, decode, encode, require
from detector.wire.signatures import public_key_text, signed
from detector.wire.topics import Topics, topic_owner

WORD_FIELDS: FieldTypes = {
    "site": str, "edge": str, "what": str, "at_unix": (int, float), "serial": int, "session": int, "key": str,
    "signature": str,
}  # fmt: skip


def from_edge(
    topics: Topics, what: str, fields: Mapping[str, Any], *, serial: int, session: int, key: Ed25519PrivateKey
) -> bytes:
    """What an edge says of itself, signed.

    Args:
        topics: Of the edge.
        what: The last part of the topic: `status` or `health`.
        fields: With `at_unix`, the edge's time in Unix seconds.
        serial: Grows with every word of this edge.
        session: Serial of the first word of the connection. That of a last will is lower than those of words that were
            said after it was written, although it is heard after them.
        key: The edge's key.

    Raises:
        TypeError: The fields can't be written as JSON.
        ValueError: Likewise.
    """
    whole = {
        **fields, "schema": SCHEMA, "site": topics.site, "edge": topics.edge, "what": what, "serial": serial,
        "session": session, "key": public_key_text(key),
    }  # fmt: skip
    return encode(signed(whole, key))


def decode_word(topic: str, payload: bytes) -> dict[str, Any]:
    """Fields of what an edge says of itself; see `verify` for the signature, which the hub checks.

    Raises:
        WireError: It is none, or of another edge or kind than the topic's.
    """
    fields = decode(payload)
    what = topic.rpartition("/")[2]
    require(fields, WORD_FIELDS, what)
    if (fields["site"], fields["edge"]) != topic_owner(topic) or fields["what"] != what:
        raise WireError("site, edge and kind are not those of the topic")
    if not 0 < fields["session"] <= LATEST_VERSION or not 0 < fields["serial"] <= LATEST_VERSION:
        raise WireError(f"{what}: no such number")
    if not math.isfinite(fields["at_unix"]):
        raise WireError(f"{what}: at_unix is no time")
    return fields
