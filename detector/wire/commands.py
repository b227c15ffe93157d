"""Commands of the hub to have thresholds, or zones, in force."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from detector.clock import iso
from detector.errors import Cause, CommandRefused, WireError
from detector.wire.payloads import LATEST_VERSION, SCHEMA, decode, encode, require

ThresholdState = dict[str, dict[str, float]]  # least score by camera and kind
MOST_ZONES = 20  # of one camera that may be drawn
MOST_POINTS = 40  # of one of them
ZoneState = dict[str, list[dict[str, Any]]]  # all zones of each camera that people have drawn some for


def thresholds_payload(version: int, state: Mapping[str, Mapping[str, float]], *, user: str, at: float) -> bytes:
    """The hub's command to have these thresholds, and no others beside the configuration's, in force.

    Args:
        version: Grows with every change at this edge.
        state: Least score, 0..1, by camera and kind of incident.
        user: Who made the last change.
        at: When, Unix seconds.
    """
    return _encoded(version, state, user, at)


def decode_thresholds(payload: bytes) -> tuple[int, ThresholdState]:
    """Version and state of such a command; whether cameras and kinds exist is for the edge to say.

    Raises:
        WireError: It is none: a field is missing or of a wrong type, or a score is not within 0..1.
    """
    fields = _decoded(payload, "thresholds")
    version, state = fields["version"], fields["state"]
    for camera, scores in state.items():
        if not isinstance(scores, dict):
            raise WireError(f"thresholds: {camera[:64]!r} is no mapping of kinds to scores")
        for kind, score in scores.items():
            if isinstance(score, bool) or not isinstance(score, int | float) or not 0.0 <= score <= 1.0:
                raise WireError(f"thresholds: {camera[:64]!r}, {kind[:64]!r}: not within 0..1")
    return version, state


def zones_payload(version: int, state: Mapping[str, Sequence[Mapping[str, Any]]], *, user: str, at: float) -> bytes:
    """The hub's command to have these zones in force; cameras not named keep those of the configuration.

    Args:
        version: Grows with every change at this edge.
        state: All zones of a camera, as a configuration has them, by camera.
        user: Who made the last change.
        at: When, Unix seconds.
    """
    return _encoded(version, state, user, at)


def decode_zones(payload: bytes) -> tuple[int, ZoneState, dict[str, Any]]:
    """Version and state of such a command, and `user` and `at_unix` where they are told.

    Whether the cameras exist, and whether these zones can be, is for the edge to say.

    Raises:
        WireError: It is none: a field is missing or of a wrong type, or there are too many zones or corners.
    """
    fields = _decoded(payload, "zones")
    version, state = fields["version"], fields["state"]
    for camera, zones in state.items():
        if not isinstance(zones, list) or not all(isinstance(zone, dict) for zone in zones):
            raise WireError(f"zones: {camera[:64]!r} has no list of zones")
        corners = [zone.get("polygon") for zone in zones]
        if len(zones) > MOST_ZONES or any(isinstance(c, list) and len(c) > MOST_POINTS for c in corners):
            raise WireError(f"zones: {camera[:64]!r} has more than {MOST_ZONES} zones, or one of {MOST_POINTS} corners")
    said = {name: fields[name] for name in ("user", "at_unix") if isinstance(fields.get(name), str | int | float)}
    if isinstance(at := said.get("at_unix"), int | float) and not abs(at) < LATEST_VERSION:
        del said["at_unix"]
    return version, state, said


def check_newer(version: int, in_force: int, what: str) -> None:
    """Check that a command which says something else may follow the one in force.

    Args:
        version: Of the command.
        in_force: Of the one in force; 0 before the first.
        what: Name of what is commanded, for the error.

    Raises:
        CommandRefused: It is older, or claims to be the same.
    """
    if version < in_force:
        cause = Cause("older", {"version": version, "in_force": in_force})
        raise CommandRefused(f"version {version} is older than {in_force}, which is in force", cause)
    if version == in_force:
        cause = Cause("same_version", {"version": version})
        raise CommandRefused(f"version {version} is in force already, with other {what}", cause)


def _encoded(version: int, state: Mapping[str, object], user: str, at: float) -> bytes:
    said = {"at": iso(at), "at_unix": round(at, 3), "user": user}
    return encode({"schema": SCHEMA, "version": version, "state": state, **said})


def _decoded(payload: bytes, what: str) -> dict[str, Any]:
    """Fields of a command that has a state and its version."""
    fields = decode(payload)
    require(fields, {"version": int, "state": dict}, what)
    if not 0 < fields["version"] <= LATEST_VERSION:
        raise WireError(f"{what}: no such version: {fields['version']}")
    return fields
