"""The hub's words to an edge, each signed for one edge alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from detector.clock import iso
from detector.errors import WireError
from detector.wire.payloads import decode, encode
from detector.wire.signatures import public_key_text, signed, verify
from detector.wire.topics import ROOT


def to_edge(topic: str, payload: bytes, key: Ed25519PrivateKey, at: float) -> bytes:
    """What the hub says to an edge, signed for that edge and that kind of topic and no other.

    Args:
        topic: Where it will be said: `ack` or below `cmd/` of an edge.
        payload: The hub's, such as `ack_payload` and `command_payload` make.
        key: The hub's.
        at: Unix seconds now; becomes `at` and `at_unix` where the payload has none.

    Raises:
        WireError: It is no topic to an edge, or no payload of ours.
    """
    to, what = _address(topic)
    own = {"to": to, "what": what, "key": public_key_text(key)}
    return encode(signed({"at": iso(at), "at_unix": round(at, 3), **decode(payload), **own}, key))


def check_to_edge(topic: str, fields: Mapping[str, Any], public_key: str) -> None:
    """Check that this key said these words, to the edge of this topic, and of this topic's kind.

    Raises:
        WireError: With what is wrong.
    """
    if (fields.get("to"), fields.get("what")) != _address(topic):
        raise WireError("said to another edge, or about something else")
    verify(fields, public_key)


def _address(topic: str) -> tuple[str, str]:
    """The edge (`SITE/EDGE`) that a topic of the hub's goes to, and the topic's kind: `ack` or `cmd/…`."""
    parts = topic.split("/", 3)
    if len(parts) != 4 or parts[0] != ROOT or not (parts[3] == "ack" or parts[3].startswith("cmd/")):
        raise WireError(f"no topic from the hub to an edge: {topic}")
    return f"{parts[1]}/{parts[2]}", parts[3]
