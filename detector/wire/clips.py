"""Headers by which an edge claims a clip that it uploads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from detector.errors import WireError
from detector.wire.signatures import signed, verify

SIDE = "side"  # what is claimed, where it isn't the clip
_HEX = frozenset("0123456789abcdef")


def clip_headers(
    *,
    site: str,
    edge: str,
    camera: str,
    incident: str,
    segment: int,
    sha256: str,
    size: int,
    started_at: float,
    duration_s: float,
    at: float,
    key: Ed25519PrivateKey,
    what: str | None = None,
) -> dict[str, str]:
    """Headers that an edge sends with a clip segment; `incident` and `segment` stand in the path but are signed too.

    So is `what`: nobody can pass a side file off as the clip, or the clip as a side file.

    Args:
        site: Site name.
        edge: Edge name.
        camera: Camera name.
        incident: Id of the incident that the clip shows.
        segment: Number of the segment, from 0.
        sha256: Of the whole file, lower-case hex.
        size: Of the whole file, bytes.
        started_at: Unix seconds of the first picture.
        duration_s: Length, seconds.
        at: Unix seconds now; the hub refuses a claim that is too old.
        key: The edge's key.
        what: `SIDE` for the segment's side file, whose hash and size these then are; left out for the clip itself.
    """
    headers = {
        "X-Labelwatch-Site": site,
        "X-Labelwatch-Edge": edge,
        "X-Labelwatch-Camera": camera,
        "X-Labelwatch-Sha256": sha256,
        "X-Labelwatch-Size": str(size),
        "X-Labelwatch-Started-At": f"{started_at:.3f}",
        "X-Labelwatch-Duration": f"{duration_s:.3f}",
        "X-Labelwatch-At": f"{at:.3f}",
    }
    claim = clip_claim(headers, incident=incident, segment=segment, what=what)
    return {**headers, "X-Labelwatch-Signature": str(signed(claim, key)["signature"])}


def clip_claim(headers: Mapping[str, str], *, incident: str, segment: int, what: str | None = None) -> dict[str, Any]:
    """What the headers of a clip upload say of it: the fields that are signed.

    The signature is not checked here: see `verify_clip`.

    Args:
        headers: Of the request; a plain mapping must spell names as `clip_headers` does.
        incident: Id of the incident, from the path.
        segment: Number of the segment, from the path.
        what: From the path too: `SIDE` for a side file. A clip's claim has no such field, so that older hubs know it.

    Returns:
        `at`, `camera`, `duration_s`, `edge`, `incident`, `segment`, `sha256`, `site`, `size`, `started_at`, and `what`
        if given: times in Unix seconds and the duration in seconds as floats, the size in bytes as an int.

    Raises:
        WireError: A header is missing or malformed.
    """
    claim: dict[str, Any] = {
        "incident": incident,
        "segment": segment,
        "site": header(headers, "Site"),
        "edge": header(headers, "Edge"),
        "camera": header(headers, "Camera"),
        "sha256": header(headers, "Sha256"),
        "size": header_number(headers, "Size", whole=True),
        "started_at": header_number(headers, "Started-At"),
        "duration_s": header_number(headers, "Duration"),
        "at": header_number(headers, "At"),
    }
    if what is not None:
        claim["what"] = what
    if len(claim["sha256"]) != 64 or not _HEX.issuperset(claim["sha256"]):
        raise WireError("X-Labelwatch-Sha256 is not 64 lower-case hex digits")
    return claim


def verify_clip(
    headers: Mapping[str, str], *, incident: str, segment: int, public_key: str, what: str | None = None
) -> dict[str, Any]:
    """The claim of an upload, when its signature fits the edge's key.

    Whether `at` is recent is for the caller, who has a clock.

    Raises:
        WireError: A header is missing or malformed, or the signature does not fit.
    """
    claim = clip_claim(headers, incident=incident, segment=segment, what=what)
    verify({**claim, "signature": header(headers, "Signature")}, public_key)
    return claim


def header(headers: Mapping[str, str], name: str) -> str:
    """One of our headers of a request, by its last words.

    Raises:
        WireError: It is missing.
    """
    text = headers.get(f"X-Labelwatch-{name}")
    if not text:
        raise WireError(f"X-Labelwatch-{name} is missing")
    return text


def header_number(headers: Mapping[str, str], name: str, *, whole: bool = False) -> float | int:
    """One that is a number of no less than 0.

    Raises:
        WireError: It is missing, or none.
    """
    text = header(headers, name)
    try:
        number = int(text) if whole else round(float(text), 3)
    except ValueError as error:
        raise WireError(f"X-Labelwatch-{name} is not a number") from error
    if not 0 <= number < 1e15:  # also false for nan
        raise WireError(f"X-Labelwatch-{name} is out of range")
    return number
