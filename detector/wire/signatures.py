"""Ed25519 signatures over the canonical form of fields."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from detector.errors import WireError


def canonical(fields: Mapping[str, Any]) -> bytes:
    """Bytes that are signed: every field but `signature`, keys sorted, no spaces, UTF-8."""
    rest = {name: value for name, value in fields.items() if name != "signature"}
    return json.dumps(rest, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def signed(fields: Mapping[str, Any], key: Ed25519PrivateKey) -> dict[str, Any]:
    """The fields with `signature` (Ed25519, base64) over their canonical form."""
    return {**fields, "signature": base64.b64encode(key.sign(canonical(fields))).decode()}


def verify(fields: Mapping[str, Any], public_key: str) -> None:
    """Check the signature of signed fields.

    Args:
        fields: With `signature`.
        public_key: Base64 of the raw 32-byte key.

    Raises:
        WireError: Signature or key is missing, malformed or wrong.
    """
    try:
        key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public_key, validate=True))
        key.verify(base64.b64decode(str(fields["signature"]), validate=True), canonical(fields))
    except (KeyError, ValueError, RecursionError, InvalidSignature) as error:
        raise WireError("the signature does not fit") from error


def public_key_text(key: Ed25519PrivateKey) -> str:
    """Base64 of the raw public key."""
    return base64.b64encode(key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()


def is_public_key(text: object) -> bool:
    """Whether this is the base64 of a raw Ed25519 public key, as `public_key_text` writes it."""
    try:
        return isinstance(text, str) and len(base64.b64decode(text, validate=True)) == 32
    except ValueError:
        return False
