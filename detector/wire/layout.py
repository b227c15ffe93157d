"""What an edge says of its cameras: their zones in force, how far a phone can be judged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from detector.clock import iso
from detector.errors import WireError
from detector.wire.payloads import SCHEMA, FieldTypes, decode, encode, require
from detector.wire.signatures import signed
from detector.wire.topics import Topics, check_owner

LAYOUT_FIELDS: FieldTypes = {
    "site": str, "edge": str, "version": int, "cameras": dict, "at_unix": (int, float), "signature": str,
}  # fmt: skip


def layout_payload(
    topics: Topics, cameras: Mapping[str, Mapping[str, Any]], *, version: int, at: float, key: Ed25519PrivateKey
) -> bytes:
    """What an edge says of its cameras, signed.

    Args:
        topics: Of the edge.
        cameras: By name: `title`; `zones` in force and `file_zones` as configurations have them; `drawn`, whether the
            former were drawn at the hub; `coverage` (`coverage.Coverage.record` with `limit_y`, the line as a share of
            the picture's height), `None` where unknown; `least_height_px`, how tall somebody stands in the picture
            whose phone can be judged, `None` where the model's card doesn't say.
        version: Of the zones in force, 0 before the first command.
        at: Unix seconds.
        key: The edge's key.
    """
    fields = {"schema": SCHEMA, "site": topics.site, "edge": topics.edge, "version": version, "cameras": cameras}
    return encode(signed({**fields, "at": iso(at), "at_unix": round(at, 3)}, key))


def decode_layout(topic: str, payload: bytes) -> dict[str, Any]:
    """Fields of such a word; see `verify` for the signature, which the hub checks.

    Raises:
        WireError: It is none, or of another edge than the topic's.
    """
    fields = decode(payload)
    require(fields, LAYOUT_FIELDS, "layout")
    check_owner(topic, fields)
    for camera, said in fields["cameras"].items():
        if not isinstance(said, dict) or not all(isinstance(said.get(name), list) for name in ("zones", "file_zones")):
            raise WireError(f"layout: {camera[:64]!r} has no list of zones")
        if not isinstance(said.get("coverage"), dict | None):
            raise WireError(f"layout: {camera[:64]!r} has a coverage of a wrong type")
    return fields
