"""Alert envelopes, which tell each step in the life of an incident.

Word of those that the outbox had to drop travels as they do.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from detector.clock import iso
from detector.errors import WireError
from detector.sentences import sentences
from detector.values import Act, Incident, IncidentUpdate, Phase
from detector.wire.payloads import SCHEMA, FieldTypes, decode, encode, require, told_score
from detector.wire.signatures import public_key_text, signed
from detector.wire.topics import check_owner

ALERT_FIELDS: FieldTypes = {
    "id": str, "seq": int, "epoch": str, "site": str, "edge": str, "camera": str, "phase": str, "after": dict,
    "clips": list, "sent_at_unix": (int, float), "signature": str,
}  # fmt: skip
INCIDENT_FIELDS: FieldTypes = {
    "id": str, "camera": str, "kind": str, "severity": str, "score": (int, float), "started_at_unix": (int, float),
    "ended_at_unix": (int, float), "acts": list, "labels_exposed": dict, "facts": dict,
}  # fmt: skip
DROPPED_FIELDS: FieldTypes = {
    "id": str, "seq": int, "epoch": str, "site": str, "edge": str, "dropped": list, "sent_at_unix": (int, float),
    "signature": str,
}  # fmt: skip
MOST_RANGES = 1000
# Bytes. An hour of six people who do something every five seconds, with a picture, comes to 1.5 million.
LARGEST_ALERT = 4 * 2**20


def incident_record(incident: Incident, site: str, edge: str, title: str, size: tuple[int, int]) -> dict[str, Any]:
    """An incident as JSON-ready fields, boxes normalised by the frame size (width, height), pixels."""
    width, height = size
    return {
        "id": incident.id,
        "site": site,
        "edge": edge,
        "camera": incident.camera,
        "camera_title": title,
        **told_fields(incident),
        "started_at_unix": round(incident.started_at, 3),
        "ended_at_unix": round(incident.ended_at, 3),
        "tracks": list(incident.tracks),
        "acts": [act_record(act) for act in incident.acts],
        "labels_exposed": asdict(incident.labels_exposed),
        "facts": dict(incident.facts),
        "boxes": [
            {"what": what, "box": [round(v / side, 4) for v, side in zip(box, (width, height) * 2, strict=True)]}
            for what, box in incident.boxes
        ],
    }  # fmt: skip


def told_fields(incident: Incident) -> dict[str, Any]:
    """What an incident is and when it was, in the words of an envelope and of a replay's record alike."""
    return {
        "kind": incident.kind.value,
        "findings": [kind.value for kind in incident.findings],
        "severity": incident.severity.value,
        "sentence": sentences(incident),
        "score": told_score(incident.score),
        "zone": incident.zone,
        **({"spot": incident.spot} if incident.spot else {}),
        "started_at": iso(incident.started_at),
        "ended_at": iso(incident.ended_at),
    }


def act_record(act: Act) -> dict[str, Any]:
    """An act as JSON-ready fields."""
    return {
        "kind": act.kind.value,
        "track": act.track,
        "started_at": iso(act.started_at),
        "ended_at": iso(act.ended_at),
        "started_at_unix": round(act.started_at, 3),
        "ended_at_unix": round(act.ended_at, 3),
        "score": told_score(act.score),
        "parcels": list(act.parcels),
    }


def envelope(
    update: IncidentUpdate,
    *,
    site: str,
    edge: str,
    title: str,
    size: tuple[int, int],
    snapshot_jpeg: bytes | None = None,
    clips: list[dict[str, Any]] | None = None,
) -> dict[str, Any]:
    """An alert envelope without `id`, `seq`, `epoch`, `sent_at` and signature, which the outbox adds.

    Args:
        update: The step in the incident's life.
        site: Site name.
        edge: Edge name.
        title: The camera's name for people.
        size: Frame (width, height) in pixels that the update's boxes refer to.
        snapshot_jpeg: A small picture with labels blurred.
        clips: In an `end` envelope, the segments recorded: `segment`, `sha256`, `bytes`, `started_at`, `duration_s`,
            and `side_sha256` where there is a side file.
    """
    before = update.before
    return {
        "schema": SCHEMA,
        "site": site,
        "edge": edge,
        "camera": update.after.camera,
        "phase": update.phase.value,
        "notify": update.notify,
        "before": {"severity": before.severity.value, "acts": len(before.acts)} if before else None,
        "after": incident_record(update.after, site, edge, title, size),
        "snapshot": base64.b64encode(snapshot_jpeg).decode() if snapshot_jpeg else None,
        "clips": clips or [],
    }


def cut_off(fields: Mapping[str, Any], clips: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    """The `end` envelope of an incident that nobody can end any more, since the edge was started anew meanwhile.

    Args:
        fields: Of its last envelope, from `envelope`.
        clips: As there; those that are known beside what the fields tell already.
    """
    after = {**fields["after"], "facts": {**fields["after"]["facts"], "ended_by": "restart"}}
    return {
        **fields,
        "phase": Phase.END.value,
        "notify": False,
        "before": {"severity": after["severity"], "acts": len(after["acts"])},
        "after": {**after, "sentence": sentences(after)},
        "snapshot": None,
        "clips": all_clips(fields, clips),
    }


def with_late_clips(fields: Mapping[str, Any], clips: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    """The `end` envelope of an incident once more, for clips that were finished after it: so they are signed, too.

    Args:
        fields: Of that envelope, from `envelope`.
        clips: As there; those that are known beside what the fields tell already.
    """
    return {**fields, "notify": False, "snapshot": None, "clips": all_clips(fields, clips)}


def all_clips(fields: Mapping[str, Any], clips: list[dict[str, Any]] | None) -> list[dict[str, Any]]:
    """Segments of which an envelope tells, and those that are known beside them, as in `envelope`; each once."""
    known = {told["segment"]: told for told in (*fields["clips"], *(clips or []))}
    return [known[segment] for segment in sorted(known)]


def dropped_fields(site: str, edge: str, ranges: Sequence[tuple[int, int, str]]) -> dict[str, Any]:
    """What travels like an alert, but only says which numbers will never come: the outbox had to drop them.

    Args:
        site: Site name.
        edge: Edge name.
        ranges: First and last number, and why: `rows`, `bytes`, `age`, `disk`, or `dead` for dead letters.
    """
    return {"schema": SCHEMA, "site": site, "edge": edge, "dropped": [list(one) for one in ranges]}


def told_as(name: Mapping[str, str], payload: bytes, key: Ed25519PrivateKey) -> bytes:
    """What an edge has to tell, an alert or word of dropped ones, signed anew in the name and by the key it has by now.

    All else stays as it is.

    Args:
        name: Of the edge: its `site` and `edge`, as far as they have changed.
        payload: As it was told.
        key: The edge's.

    Raises:
        WireError: It is no message.
    """
    fields = decode(payload)
    after = {"after": {**fields["after"], **name}} if "after" in fields else {}
    return encode(signed({**fields, **name, **after, "key": public_key_text(key)}, key))


def decode_alert(topic: str, payload: bytes) -> dict[str, Any]:
    """An alert envelope, or word of dropped ones, whose fields are there and whose site and edge are the topic's.

    The signature is not checked here: the hub does, against the key it holds for that edge (`verify`).

    Raises:
        WireError: With what is wrong.
    """
    fields = read_alert(payload)
    check_owner(topic, fields)
    return fields


def read_alert(payload: bytes) -> dict[str, Any]:
    """Likewise, whoever brings it: a box may bring what it told under the name that it had before.

    Raises:
        WireError: With what is wrong.
    """
    if len(payload) > LARGEST_ALERT:
        raise WireError(f"alert: {len(payload)} bytes are more than an edge has to tell")
    fields = decode(payload)
    if "dropped" in fields and "after" not in fields:
        _require_ranges(fields)
        return fields
    require(fields, ALERT_FIELDS, "alert")
    require(fields["after"], INCIDENT_FIELDS, "incident")
    return fields


def _require_ranges(fields: Mapping[str, Any]) -> None:
    require(fields, DROPPED_FIELDS, "dropped")
    ranges = fields["dropped"]
    if not 0 < len(ranges) <= MOST_RANGES:
        raise WireError(f"dropped: not between 1 and {MOST_RANGES} ranges")
    for one in ranges:
        is_range = isinstance(one, list) and len(one) == 3 and isinstance(one[2], str)
        if not is_range or not all(type(number) is int for number in one[:2]) or not 0 < one[0] <= one[1] < 2**53:
            raise WireError("dropped: one is no range of numbers with a reason")
