"""Pictures of cameras, which the hub asks for."""

from __future__ import annotations

import base64
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from detector.clock import iso
from detector.errors import WireError
from detector.wire.payloads import SCHEMA, FieldTypes, decode, encode, require
from detector.wire.signatures import signed
from detector.wire.topics import Topics, check_owner

PICTURE_SIDES = {False: 640, True: 1280}  # longest side of a camera's picture, pixels; the larger is to draw on
LARGEST_JPEG = {False: 200_000, True: 600_000}  # bytes
PICTURE_FIELDS: FieldTypes = {
    "site": str, "edge": str, "camera": str, "taken_at_unix": (int, float), "jpeg": str, "signature": str,
}  # fmt: skip


def picture_payload(
    topics: Topics, camera: str, jpeg: bytes, *, large: bool, taken_at: float, key: Ed25519PrivateKey
) -> bytes:
    """A picture of a camera, signed.

    Args:
        topics: Of the edge.
        camera: Which camera's.
        jpeg: The picture, labels blurred; no larger than `PICTURE_SIDES` and `LARGEST_JPEG` say.
        large: Whether it is one to draw on.
        taken_at: Unix seconds.
        key: The edge's key.
    """
    fields = {
        "schema": SCHEMA, "site": topics.site, "edge": topics.edge, "camera": camera, "large": large,
        "taken_at": iso(taken_at), "taken_at_unix": round(taken_at, 3), "jpeg": base64.b64encode(jpeg).decode(),
    }  # fmt: skip
    return encode(signed(fields, key))


def decode_picture(topic: str, payload: bytes) -> tuple[dict[str, Any], bytes]:
    """Fields of such a picture, and its bytes; see `verify` for the signature, which the hub checks.

    Raises:
        WireError: It is none, or too large, or of another edge than the topic's.
    """
    if len(payload) > 2 * max(LARGEST_JPEG.values()):
        raise WireError("picture: too large")
    fields = decode(payload)
    require(fields, PICTURE_FIELDS, "picture")
    check_owner(topic, fields)
    large = fields.get("large")
    if not isinstance(large, bool):
        raise WireError("picture: large is missing or of a wrong type")
    try:
        jpeg = base64.b64decode(fields["jpeg"], validate=True)
    except ValueError as error:
        raise WireError("picture: jpeg is no base64") from error
    if len(jpeg) > LARGEST_JPEG[large]:
        raise WireError("picture: too large")
    return fields, jpeg


def ask_picture_payload(camera: str, *, large: bool) -> bytes:
    """The hub's wish to have a picture of a camera now."""
    return encode({"schema": SCHEMA, "camera": camera, "large": large})


def asked_picture(payload: bytes) -> tuple[str, bool]:
    """Camera and size of such a wish.

    Raises:
        WireError: It is none.
    """
    fields = decode(payload)
    require(fields, {"camera": str}, "wish for a picture")
    return fields["camera"], fields.get("large") is True
