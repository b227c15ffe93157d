"""Commands of the hub to have thresholds, or zones, in force."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from detector.clock import iso
from detector.errors import Cause, CommandRefused, WireError
from detector.wire.payloads import LATEST_VERSION, SCHEMA, decode, encode, require

ThresholdState = dict[str, dict[str, float]]  # least score by camera and kind
OFF = 2.0  # a least score that no finding has, the only one above 1 there is: of that kind nothing is told
MOST_ZONES = 20  # of one camera that may be drawn
MOST_POINTS = 40  # of one of them
LATEST_S = 2.0**37  # no calendar reaches as far
ZoneState = dict[str, list[dict[str, Any]]]  # all zones of each camera that people have drawn some for


@dataclass(frozen=True, slots=True)
class Said:
    """Who gave a command, and when (Unix seconds), as far as it tells."""

    user: str = ""
    at: float | None = None


def command_payload(version: int, state: Mapping[str, object], *, user: str, at: float) -> bytes:
    """The hub's command to have these thresholds, or zones, and no others beside the configuration's, in force.

    Args:
        version: Grows with every change at this edge.
        state: By camera, a `ThresholdState` or a `ZoneState`; cameras not named keep what the configuration says.
        user: Who made the last change.
        at: When, Unix seconds.
    """
    said = {"at": iso(at), "at_unix": round(at, 3), "user": user}
    return encode({"schema": SCHEMA, "version": version, "state": state, **said})


def decode_thresholds(payload: bytes) -> tuple[int, ThresholdState, Said]:
    """Version and state of such a command, and who gave it; whether cameras and kinds exist is for the edge to say.

    Raises:
        WireError: It is none: a field is missing or of a wrong type, or a score is neither within 0..1 nor `OFF`.
    """
    version, state, said = _decoded(payload, "thresholds")
    for camera, scores in state.items():
        if not isinstance(scores, dict):
            raise WireError(f"thresholds: {camera[:64]!r} is no mapping of kinds to scores")
        for kind, score in scores.items():
            is_number = isinstance(score, int | float) and not isinstance(score, bool)
            if not is_number or not (0.0 <= score <= 1.0 or score == OFF):
                raise WireError(
                    f"thresholds: {camera[:64]!r}, {kind[:64]!r}: neither within 0..1 nor {OFF:g}, which is off"
                )
    return version, state, said


def decode_zones(payload: bytes) -> tuple[int, ZoneState, Said]:
    """Version and state of such a command, and who gave it.

    Whether the cameras exist, and whether these zones can be, is for the edge to say.

    Raises:
        WireError: It is none: a field is missing or of a wrong type, or there are too many zones or corners.
    """
    version, state, said = _decoded(payload, "zones")
    for camera, zones in state.items():
        if not isinstance(zones, list) or not all(isinstance(zone, dict) for zone in zones):
            raise WireError(f"zones: {camera[:64]!r} has no list of zones")
        corners = [zone.get("polygon") for zone in zones]
        if len(zones) > MOST_ZONES or any(isinstance(c, list) and len(c) > MOST_POINTS for c in corners):
            raise WireError(f"zones: {camera[:64]!r} has more than {MOST_ZONES} zones, or one of {MOST_POINTS} corners")
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


def _decoded(payload: bytes, what: str) -> tuple[int, dict[str, Any], Said]:
    """Version and state of a command, and who gave it."""
    fields = decode(payload)
    require(fields, {"version": int, "state": dict}, what)
    if not 0 < fields["version"] <= LATEST_VERSION:
        raise WireError(f"{what}: no such version: {fields['version']}")
    user, at = fields.get("user"), fields.get("at_unix")
    is_time = isinstance(at, int | float) and 0 <= at < LATEST_S
    said = Said(user[:64] if isinstance(user, str) else "", float(at) if is_time else None)  # type: ignore[arg-type]
    return fields["version"], fields["state"], said
