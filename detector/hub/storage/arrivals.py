"""What has come from an edge, taken apart into the rows that the hub's memory keeps of it."""

from __future__ import annotations

import base64
import binascii
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from detector.clock import UNSET
from detector.errors import WireError
from detector.facts import holds, names
from detector.hub.storage.harm import harm
from detector.hub.storage.replays import is_replay
from detector.hub.storage.stored import is_time

# An hour of dense work beside a sweep may come to thousands of acts, a hundred times what else there is of an incident;
# a page that lists it would read them all. The envelope has them.
MOST_ACTS = 250
LARGEST_RECORD = 128 * 1024  # letters of JSON, with its clips: so many acts and a picture full of boxes take half
MOST_OTHER_ZONES = 50  # of one incident that it is found by
AHEAD_S = 300.0  # clocks of boxes may be ahead of the hub's by so much before anything is made of it


@dataclass(frozen=True, slots=True)
class AlertRow:
    """An envelope taken apart: what goes into `alerts`, into `incidents`, and (perhaps) into `snapshots`."""

    alert: dict[str, Any]
    incident: dict[str, Any]
    picture: dict[str, Any] | None


def alert_row(fields: Mapping[str, Any], received_at: float) -> AlertRow:
    """An envelope taken apart.

    Raises:
        WireError: It holds what can't be stored.
    """
    try:
        return _taken_apart(fields, received_at)
    except (ValueError, KeyError, TypeError, OverflowError, AttributeError) as error:
        raise WireError(f"an alert that can't be stored: {error!r}") from error


def _taken_apart(fields: Mapping[str, Any], received_at: float) -> AlertRow:
    after = fields["after"]
    labels = after["labels_exposed"]
    order = {"epoch": a_name(fields["epoch"]), "seq": a_whole(fields["seq"], 2**62)}
    owner = {"site": a_name(fields["site"]), "edge": a_name(fields["edge"])}
    incident = a_name(after["id"])
    jpeg = _jpeg(fields.get("snapshot"))
    sent_at = _time(fields["sent_at_unix"])
    own_span = _time(after["started_at_unix"]), _time(after["ended_at_unix"])
    started_at, ended_at = by_our_clock(*own_span, sent_at, received_at, is_live=not is_replay(after))
    alert = {
        **owner,
        **order,
        "id": a_name(fields["id"]),
        "incident": incident,
        "phase": a_name(fields["phase"]),
        "sent_at": sent_at,
        "received_at": received_at,
        "envelope": {**fields, "snapshot": None} if jpeg else dict(fields),
    }
    state = {
        **owner,
        **order,
        "id": incident,
        "sent_at": sent_at,
        "phase": alert["phase"],
        "kind": a_name(after["kind"]),
        "severity": a_name(after["severity"]),
        "started_at": started_at,
        "ended_at": ended_at,
        "labels_low": a_whole(labels.get("low", 0)),
        "labels_best": a_whole(labels.get("best", 0)),
        "labels_high": a_whole(labels.get("high", 0)),
        "harm": harm(str(after["severity"]), a_whole(labels.get("best", 0)), str(after["kind"])),
        "camera": a_name(after["camera"]),
        "zone": _zone(str(after["zone"])) if after.get("zone") else None,
        "spot": _zone(str(after["spot"])) if after.get("spot") else None,
        "score": _finite(after["score"]),
        "unsure": holds(after["facts"], "unsure"),
        "record": at_hand(after),
        "announced_clips": [clip for clip in fields["clips"] if isinstance(clip, dict)],
    }
    size = sum(len(json.dumps(state[name], ensure_ascii=False)) for name in ("record", "announced_clips"))
    if size > LARGEST_RECORD:
        raise ValueError(f"{size} letters are more than an edge has to tell of an incident")
    if not jpeg:
        return AlertRow(alert, state, None)
    when = {"sent_at": sent_at, "seq": alert["seq"]}
    picture = {"incident": incident, **when, "jpeg": jpeg}
    return AlertRow(alert, state, picture)


def at_hand(told: Mapping[str, Any]) -> Mapping[str, Any]:
    """What is kept at hand of what an edge told of an incident: of very many acts no more than `MOST_ACTS`.

    Photos go before others, then earlier ones; `acts_left_out` says how many are in the envelope alone.
    """
    acts = told["acts"]
    if len(acts) <= MOST_ACTS:
        return told
    photos_first = sorted(
        range(len(acts)), key=lambda n: not (isinstance(acts[n], dict) and acts[n].get("kind") == "photo")
    )
    kept = [acts[n] for n in sorted(photos_first[:MOST_ACTS])]
    return {**told, "acts": kept, "acts_left_out": len(acts) - MOST_ACTS}


def by_our_clock(
    started_at: float, ended_at: float, sent_at: float, received_at: float, *, is_live: bool = True
) -> tuple[float, float]:
    """Where an incident stands among others: from when to when it was by ours, where its box's clock is wrong.

    Else whoever holds a box, or has one with a wrong clock, could have what it tells stand above all others for years;
    and what a box saw before its clock was set would stand below all others, where nobody looks. What it told stays in
    its record. Nothing is done to times that are only past: alerts may be late, and footage old.
    """
    latest = received_at + AHEAD_S
    ahead_s = sent_at - received_at if sent_at > latest else 0.0
    if is_live and ended_at < UNSET:
        ahead_s = ended_at - received_at
    if started_at - ahead_s > latest:
        ahead_s = started_at - received_at
    return started_at - ahead_s, min(ended_at - ahead_s, latest)


def a_name(value: Any) -> str:
    """A value from outside as a name.

    Raises:
        ValueError: It is empty, overlong or unreadable.
    """
    text = str(value)
    text.encode()
    if not text or "\0" in text or len(text) > 200:
        raise ValueError("an empty, overlong or unreadable name")
    return text


def _time(value: Any) -> float:
    if not is_time(value):
        raise ValueError(f"no time: {value}")
    return float(value)


def _finite(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError("not a number")
    return number


def a_whole(value: Any, limit: int = 2**31 - 1) -> int:
    """A value from outside as a whole number from 0 to `limit`.

    Raises:
        ValueError: It is none.
    """
    number = int(value)
    if not 0 <= number <= limit:
        raise ValueError(f"out of range: {number}")
    return number


def _jpeg(snapshot: object) -> bytes | None:
    """The picture, when it is one; base64 that isn't in its one normal form couldn't be signed again, so is left."""
    if not isinstance(snapshot, str):
        return None
    try:
        jpeg = base64.b64decode(snapshot, validate=True)
    except (ValueError, binascii.Error):
        return None
    return jpeg if jpeg.startswith(b"\xff\xd8\xff") and base64.b64encode(jpeg).decode() == snapshot else None


def refusal_row(topic: str, reason: str, at: float) -> dict[str, Any]:
    """A message that wasn't believed."""
    return {"topic": clean(topic)[:300], "reason": clean(reason)[:300], "at": at}


def clean(text: str) -> str:
    """Text that every database takes."""
    return text.encode("utf-8", "replace").decode().replace("\0", "?")


def _zone(name: str) -> str:
    return clean(name)[:200]


def other_zones(record: Mapping[str, Any]) -> list[str]:
    """Zones, named as an incident's own is, where some of it was done beside that one: from its record."""
    told = names(record["facts"], "other_zones")[:MOST_OTHER_ZONES]
    return sorted({zone for name in told if (zone := _zone(name))})


def title_of(record: Mapping[str, Any]) -> str:
    """The camera's name for people, from an incident's record."""
    return clean(str(record.get("camera_title") or record["camera"]))[:200]
