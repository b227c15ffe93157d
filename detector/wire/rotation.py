"""What hub and edge say to each other so that an edge gets a new key."""

from __future__ import annotations

from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from detector.errors import WireError
from detector.wire.payloads import SCHEMA, FieldTypes, decode, encode, require
from detector.wire.signatures import is_public_key, public_key_text, signed, verify
from detector.wire.topics import Topics, check_owner

NEW_KEY_FIELDS: FieldTypes = {
    "site": str, "edge": str, "id": str, "old_key": str, "new_key": str, "old_signature": str, "signature": str,
}  # fmt: skip


def rotate_payload(id_: str, new_key: str | None) -> bytes:
    """The hub's wish that an edge make a new key; with `new_key`, its word that it knows this one and will believe it.

    Args:
        id_: Of the wish.
        new_key: Public key, base64.
    """
    return encode({"schema": SCHEMA, "id": id_, "new_key": new_key})


def decode_rotate(payload: bytes) -> tuple[str, str | None]:
    """Id and new key of such a word.

    Raises:
        WireError: It is none.
    """
    fields = decode(payload)
    require(fields, {"id": str}, "rotate")
    new_key = fields.get("new_key")
    if not 0 < len(fields["id"]) <= 64 or not (new_key is None or is_public_key(new_key)):
        raise WireError("rotate: no such id or key can be")
    return fields["id"], new_key


def new_key_payload(topics: Topics, id_: str, old: Ed25519PrivateKey, new: Ed25519PrivateKey) -> bytes:
    """An edge's word that it has a new key, signed by both: it holds the new one, and the old one vouches for it.

    Args:
        topics: Of the edge.
        id_: Of the wish.
        old: The key in use.
        new: The key to be.
    """
    fields = {
        "schema": SCHEMA, "site": topics.site, "edge": topics.edge, "id": id_, "old_key": public_key_text(old),
        "new_key": public_key_text(new),
    }  # fmt: skip
    by_old = {**fields, "old_signature": signed(fields, old)["signature"]}
    return encode(signed(by_old, new))


def decode_new_key(topic: str, payload: bytes) -> dict[str, Any]:
    """Fields of such a word, both of whose signatures fit; whether the old key is in use is for the hub to say.

    Raises:
        WireError: It is none, or of another edge than the topic's, or forged.
    """
    fields = decode(payload)
    require(fields, NEW_KEY_FIELDS, "new key")
    check_owner(topic, fields)
    verify(fields, fields["new_key"])
    by_old = {name: value for name, value in fields.items() if name not in ("signature", "old_signature")}
    verify({**by_old, "signature": fields["old_signature"]}, fields["old_key"])
    return fields
