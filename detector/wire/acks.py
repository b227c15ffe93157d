"""The hub's answers to envelopes: stored, or too early."""

from __future__ import annotations

from detector.errors import WireError
from detector.wire.payloads import SCHEMA, decode, encode


def ack_payload(ids: list[str]) -> bytes:
    """The hub's word that envelopes with these ids are stored; without any, that it is there."""
    return encode({"schema": SCHEMA, "ids": ids})


def acked_ids(payload: bytes) -> list[str]:
    """Ids in an acknowledgement.

    Raises:
        WireError: It is none.
    """
    ids = decode(payload).get("ids")
    if not isinstance(ids, list) or not all(isinstance(i, str) for i in ids):
        raise WireError("an acknowledgement needs a list of ids")
    return ids


def early_payload(ids: list[str]) -> bytes:
    """The hub's word that it can't take envelopes with these ids yet: by its clock they are from the future."""
    return encode({"schema": SCHEMA, "early": ids})


def early_ids(payload: bytes) -> list[str] | None:
    """Ids in such a word; `None` where it is another.

    Raises:
        WireError: It is none.
    """
    ids = decode(payload).get("early")
    if ids is not None and not (isinstance(ids, list) and all(isinstance(i, str) for i in ids)):
        raise WireError("a list of ids is wanted")
    return ids
