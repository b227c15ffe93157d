"""What travels between edge and hub: topics, the alert envelope and its signature, acknowledgements, commands, health.

JSON, UTF-8, `schema` 1. Times are ISO 8601 UTC and Unix seconds; boxes are normalised 0..1. An envelope is signed with
the edge's Ed25519 key over its canonical form: all fields but `signature`, keys sorted, no spaces. Fields are only
ever added; a reader ignores those it doesn't know.

What the hub says to an edge is signed with the hub's key in the same way, and names the edge (`to`) and the kind of
topic (`what`) that it is for (`to_edge`, `check_to_edge`).
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pydantic import ValidationError

from detector.census import Census
from detector.clock import iso
from detector.errors import WireError
from detector.sentences import sentences
from detector.values import Act, Incident, IncidentUpdate, Phase

SCHEMA = 1
ROOT = "labelwatch"

ALL_ALERTS = f"{ROOT}/+/+/alerts"
ALL_STATUS = f"{ROOT}/+/+/status"
ALL_HEALTH = f"{ROOT}/+/+/health"


@dataclass(frozen=True, slots=True)
class Topics:
    """Topics of one edge."""

    site: str
    edge: str

    @property
    def alerts(self) -> str:
        """Edge to hub, QoS 1."""
        return f"{ROOT}/{self.site}/{self.edge}/alerts"

    @property
    def status(self) -> str:
        """`online` or `offline`, retained, last will."""
        return f"{ROOT}/{self.site}/{self.edge}/status"

    @property
    def health(self) -> str:
        """Counters of every camera, now and then."""
        return f"{ROOT}/{self.site}/{self.edge}/health"

    @property
    def ack(self) -> str:
        """Hub to edge: ids of envelopes stored."""
        return f"{ROOT}/{self.site}/{self.edge}/ack"

    @property
    def thresholds(self) -> str:
        """Hub to edge, QoS 1, retained: the least scores that people have set."""
        return f"{ROOT}/{self.site}/{self.edge}/cmd/thresholds"

    @property
    def zones(self) -> str:
        """Hub to edge, QoS 1, retained: the zones that people have drawn."""
        return f"{ROOT}/{self.site}/{self.edge}/cmd/zones"

    @property
    def picture(self) -> str:
        """Edge to hub, QoS 0: a picture of a camera, labels blurred."""
        return f"{ROOT}/{self.site}/{self.edge}/picture"

    @property
    def ask_picture(self) -> str:
        """Hub to edge, QoS 0: a picture is wanted now."""
        return f"{ROOT}/{self.site}/{self.edge}/cmd/picture"

    @property
    def layout(self) -> str:
        """Edge to hub, QoS 1, retained: zones in force and how far a phone can be judged, of every camera."""
        return f"{ROOT}/{self.site}/{self.edge}/layout"

    @property
    def rotate(self) -> str:
        """Hub to edge, QoS 1, retained: a new key is asked for, and taken."""
        return f"{ROOT}/{self.site}/{self.edge}/cmd/rotate"

    @property
    def key(self) -> str:
        """Edge to hub, QoS 1: a new key, signed by it and by the one in use."""
        return f"{ROOT}/{self.site}/{self.edge}/key"

    @property
    def census(self) -> str:
        """Edge to hub, QoS 0: what lies in the storage zones of a camera, and what happened there."""
        return f"{ROOT}/{self.site}/{self.edge}/census"


def topic_owner(topic: str) -> tuple[str, str]:
    """Site and edge that a topic belongs to.

    Raises:
        WireError: It is no topic of ours.
    """
    parts = topic.split("/")
    if len(parts) != 4 or parts[0] != ROOT:
        raise WireError(f"not a labelwatch topic: {topic}")
    return parts[1], parts[2]


def incident_record(incident: Incident, site: str, edge: str, title: str, size: tuple[int, int]) -> dict[str, Any]:
    """An incident as JSON-ready fields, boxes normalised by the frame size (width, height), pixels."""
    width, height = size
    return {
        "id": incident.id,
        "site": site,
        "edge": edge,
        "camera": incident.camera,
        "camera_title": title,
        "kind": incident.kind.value,
        "findings": [kind.value for kind in incident.findings],
        "severity": incident.severity.value,
        "sentence": sentences(incident),
        "score": round(incident.score, 3),
        "zone": incident.zone,
        "started_at": iso(incident.started_at),
        "ended_at": iso(incident.ended_at),
        "started_at_unix": round(incident.started_at, 3),
        "ended_at_unix": round(incident.ended_at, 3),
        "tracks": list(incident.tracks),
        "acts": [act_record(act) for act in incident.acts],
        "labels_exposed": {
            "low": incident.labels_exposed.low,
            "best": incident.labels_exposed.best,
            "high": incident.labels_exposed.high,
        },
        "facts": dict(incident.facts),
        "boxes": [
            {"what": what, "box": [round(v / side, 4) for v, side in zip(box, (width, height) * 2, strict=True)]}
            for what, box in incident.boxes
        ],
    }  # fmt: skip


def act_record(act: Act) -> dict[str, Any]:
    """An act as JSON-ready fields."""
    return {
        "kind": act.kind.value,
        "track": act.track,
        "started_at": iso(act.started_at),
        "ended_at": iso(act.ended_at),
        "started_at_unix": round(act.started_at, 3),
        "ended_at_unix": round(act.ended_at, 3),
        "score": round(act.score, 3),
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
        clips: As there; those that are known.
    """
    after = {**fields["after"], "facts": {**fields["after"]["facts"], "ended_by": "restart"}}
    return {
        **fields,
        "phase": Phase.END.value,
        "notify": False,
        "before": {"severity": after["severity"], "acts": len(after["acts"])},
        "after": {**after, "sentence": sentences(after)},
        "snapshot": None,
        "clips": clips or [],
    }


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


def encode(fields: Mapping[str, Any]) -> bytes:
    """Fields as an MQTT payload."""
    return json.dumps(fields, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def _no_number(word: str) -> float:
    """What Python takes for a number, and JSON doesn't have: NaN and Infinity, which `encode` could not write again."""
    raise ValueError(f"{word} is no number")


def decode(payload: bytes) -> dict[str, Any]:
    """Fields of an MQTT payload.

    Raises:
        WireError: Not a JSON object of a schema we know.
    """
    try:
        fields = json.loads(payload, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise WireError("not JSON") from error
    if not isinstance(fields, dict):
        raise WireError("not a JSON object")
    if fields.get("schema") != SCHEMA:
        raise WireError(f"schema {repr(fields.get('schema'))[:40]} is not {SCHEMA}")
    return fields


ALERT_FIELDS: dict[str, type | tuple[type, ...]] = {
    "id": str, "seq": int, "epoch": str, "site": str, "edge": str, "camera": str, "phase": str, "after": dict,
    "clips": list, "sent_at_unix": (int, float), "signature": str,
}  # fmt: skip
INCIDENT_FIELDS: dict[str, type | tuple[type, ...]] = {
    "id": str, "camera": str, "kind": str, "severity": str, "score": (int, float), "started_at_unix": (int, float),
    "ended_at_unix": (int, float), "acts": list, "labels_exposed": dict, "facts": dict,
}  # fmt: skip


DROPPED_FIELDS: dict[str, type | tuple[type, ...]] = {
    "id": str, "seq": int, "epoch": str, "site": str, "edge": str, "dropped": list, "sent_at_unix": (int, float),
    "signature": str,
}  # fmt: skip
MOST_RANGES = 1000


def dropped_fields(site: str, edge: str, ranges: Sequence[tuple[int, int, str]]) -> dict[str, Any]:
    """What travels like an alert, but only says which numbers will never come: the outbox had to drop them.

    Args:
        site: Site name.
        edge: Edge name.
        ranges: First and last number, and why: `rows`, `bytes`, `age`, `disk`, or `dead` for dead letters.
    """
    return {"schema": SCHEMA, "site": site, "edge": edge, "dropped": [list(one) for one in ranges]}


def _require_ranges(fields: Mapping[str, Any]) -> None:
    _require(fields, DROPPED_FIELDS, "dropped")
    ranges = fields["dropped"]
    if not 0 < len(ranges) <= MOST_RANGES:
        raise WireError(f"dropped: not between 1 and {MOST_RANGES} ranges")
    for one in ranges:
        is_range = isinstance(one, list) and len(one) == 3 and isinstance(one[2], str)
        if not is_range or not all(type(number) is int for number in one[:2]) or not 0 < one[0] <= one[1] < 2**53:
            raise WireError("dropped: one is no range of numbers with a reason")


def decode_alert(topic: str, payload: bytes) -> dict[str, Any]:
    """An alert envelope, or word of dropped ones, whose fields are there and whose site and edge are the topic's.

    The signature is not checked here: the hub does, against the key it holds for that edge (`verify`).

    Raises:
        WireError: With what is wrong.
    """
    fields = decode(payload)
    if "dropped" in fields and "after" not in fields:
        _require_ranges(fields)
        if (fields["site"], fields["edge"]) != topic_owner(topic):
            raise WireError("site and edge are not those of the topic")
        return fields
    _require(fields, ALERT_FIELDS, "alert")
    _require(fields["after"], INCIDENT_FIELDS, "incident")
    if (fields["site"], fields["edge"]) != topic_owner(topic):
        raise WireError("site and edge are not those of the topic")
    return fields


WORD_FIELDS: dict[str, type | tuple[type, ...]] = {
    "site": str, "edge": str, "what": str, "at_unix": (int, float), "serial": int, "session": int, "key": str,
    "signature": str,
}  # fmt: skip


def from_edge(
    topics: Topics, what: str, fields: Mapping[str, Any], *, serial: int, session: int, key: Ed25519PrivateKey
) -> bytes:
    """What an edge says of itself, signed.

    Args:
        topics: Of the edge.
        what: The last part of the topic: `status` or `health`.
        fields: With `at_unix`, the edge's time in Unix seconds.
        serial: Grows with every word of this edge.
        session: Serial of the first word of the connection. That of a last will is lower than those of words that were
            said after it was written, although it is heard after them.
        key: The edge's key.

    Raises:
        TypeError: The fields can't be written as JSON.
        ValueError: Likewise.
    """
    whole = {
        **fields, "schema": SCHEMA, "site": topics.site, "edge": topics.edge, "what": what, "serial": serial,
        "session": session, "key": public_key_text(key),
    }  # fmt: skip
    return encode(signed(whole, key))


def decode_word(topic: str, payload: bytes) -> dict[str, Any]:
    """Fields of what an edge says of itself; see `verify` for the signature, which the hub checks.

    Raises:
        WireError: It is none, or of another edge or kind than the topic's.
    """
    fields = decode(payload)
    what = topic.rpartition("/")[2]
    _require(fields, WORD_FIELDS, what)
    if (fields["site"], fields["edge"]) != topic_owner(topic) or fields["what"] != what:
        raise WireError("site, edge and kind are not those of the topic")
    if not 0 < fields["session"] <= LATEST_VERSION or not 0 < fields["serial"] <= LATEST_VERSION:
        raise WireError(f"{what}: no such number")
    if not math.isfinite(fields["at_unix"]):
        raise WireError(f"{what}: at_unix is no time")
    return fields


def _require(fields: Mapping[str, Any], types: Mapping[str, type | tuple[type, ...]], what: str) -> None:
    for name, kind in types.items():
        if not isinstance(fields.get(name), kind) or isinstance(fields.get(name), bool):
            raise WireError(f"{what}: {name} is missing or of a wrong type")


def ack_payload(ids: list[str]) -> bytes:
    """The hub's word that envelopes with these ids are stored; without any, that it is there."""
    return encode({"schema": SCHEMA, "ids": ids})


def acked_ids(payload: bytes) -> list[str]:
    """Ids in an acknowledgement.

    Raises:
        WireError: It is none.
    """
    ids = decode(payload).get("ids")
    if not isinstance(ids, list) or not all(isinstance(i, str) for i in ids):
        raise WireError("an acknowledgement needs a list of ids")
    return ids


def early_payload(ids: list[str]) -> bytes:
    """The hub's word that it can't take envelopes with these ids yet: by its clock they are from the future."""
    return encode({"schema": SCHEMA, "early": ids})


def early_ids(payload: bytes) -> list[str] | None:
    """Ids in such a word; `None` where it is another.

    Raises:
        WireError: It is none.
    """
    ids = decode(payload).get("early")
    if ids is not None and not (isinstance(ids, list) and all(isinstance(i, str) for i in ids)):
        raise WireError("a list of ids is wanted")
    return ids


def to_edge(topic: str, payload: bytes, key: Ed25519PrivateKey, at: float) -> bytes:
    """What the hub says to an edge, signed for that edge and that kind of topic and no other.

    Args:
        topic: Where it will be said: `ack` or below `cmd/` of an edge.
        payload: One of those below.
        key: The hub's.
        at: Unix seconds now; becomes `at_unix` where the payload has none.

    Raises:
        WireError: It is no topic to an edge, or no payload of ours.
    """
    to, what = _address(topic)
    fields = {"at_unix": round(at, 3), **decode(payload), "to": to, "what": what, "key": public_key_text(key)}
    return encode(signed(fields, key))


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


ThresholdState = dict[str, dict[str, float]]  # least score by camera and kind
LATEST_VERSION = 2**53  # what every reader of JSON counts exactly


def thresholds_payload(version: int, state: Mapping[str, Mapping[str, float]], *, user: str, at: float) -> bytes:
    """The hub's command to have these thresholds, and no others beside the configuration's, in force.

    Args:
        version: Grows with every change at this edge.
        state: Least score, 0..1, by camera and kind of incident.
        user: Who made the last change.
        at: When, Unix seconds.
    """
    said = {"at": iso(at), "at_unix": round(at, 3), "user": user}
    return encode({"schema": SCHEMA, "version": version, "state": state, **said})


def decode_thresholds(payload: bytes) -> tuple[int, ThresholdState]:
    """Version and state of such a command; whether cameras and kinds exist is for the edge to say.

    Raises:
        WireError: It is none: a field is missing or of a wrong type, or a score is not within 0..1.
    """
    fields = decode(payload)
    _require(fields, {"version": int, "state": dict}, "thresholds")
    version, state = fields["version"], fields["state"]
    if not 0 < version <= LATEST_VERSION:
        raise WireError(f"thresholds: no such version: {version}")
    for camera, scores in state.items():
        if not isinstance(scores, dict):
            raise WireError(f"thresholds: {camera[:64]!r} is no mapping of kinds to scores")
        for kind, score in scores.items():
            if isinstance(score, bool) or not isinstance(score, int | float) or not 0.0 <= score <= 1.0:
                raise WireError(f"thresholds: {camera[:64]!r}, {kind[:64]!r}: not within 0..1")
    return version, state


MOST_ZONES = 20  # of one camera that may be drawn
MOST_POINTS = 40  # of one of them
ZoneState = dict[str, list[dict[str, Any]]]  # all zones of each camera that people have drawn some for


def zones_payload(version: int, state: Mapping[str, Sequence[Mapping[str, Any]]], *, user: str, at: float) -> bytes:
    """The hub's command to have these zones in force; cameras not named keep those of the configuration.

    Args:
        version: Grows with every change at this edge.
        state: All zones of a camera, as a configuration has them, by camera.
        user: Who made the last change.
        at: When, Unix seconds.
    """
    said = {"at": iso(at), "at_unix": round(at, 3), "user": user}
    return encode({"schema": SCHEMA, "version": version, "state": state, **said})


def decode_zones(payload: bytes) -> tuple[int, ZoneState, dict[str, Any]]:
    """Version and state of such a command, and `user` and `at_unix` where they are told.

    Whether the cameras exist, and whether these zones can be, is for the edge to say.

    Raises:
        WireError: It is none: a field is missing or of a wrong type, or there are too many zones or corners.
    """
    fields = decode(payload)
    _require(fields, {"version": int, "state": dict}, "zones")
    version, state = fields["version"], fields["state"]
    if not 0 < version <= LATEST_VERSION:
        raise WireError(f"zones: no such version: {version}")
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


NEW_KEY_FIELDS: dict[str, type | tuple[type, ...]] = {
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
    _require(fields, {"id": str}, "rotate")
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
    _require(fields, NEW_KEY_FIELDS, "new key")
    if (fields["site"], fields["edge"]) != topic_owner(topic):
        raise WireError("site and edge are not those of the topic")
    verify(fields, fields["new_key"])
    by_old = {name: value for name, value in fields.items() if name not in ("signature", "old_signature")}
    verify({**by_old, "signature": fields["old_signature"]}, fields["old_key"])
    return fields


PICTURE_SIDES = {False: 640, True: 1280}  # longest side of a camera's picture, pixels; the larger is to draw on
LARGEST_JPEG = {False: 200_000, True: 600_000}  # bytes
PICTURE_FIELDS: dict[str, type | tuple[type, ...]] = {
    "site": str, "edge": str, "camera": str, "taken_at_unix": (int, float), "jpeg": str, "signature": str,
}  # fmt: skip


LAYOUT_FIELDS: dict[str, type | tuple[type, ...]] = {
    "site": str, "edge": str, "version": int, "cameras": dict, "at_unix": (int, float), "signature": str,
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
    _require(fields, PICTURE_FIELDS, "picture")
    if (fields["site"], fields["edge"]) != topic_owner(topic):
        raise WireError("site and edge are not those of the topic")
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
    _require(fields, {"camera": str}, "wish for a picture")
    return fields["camera"], fields.get("large") is True


def layout_payload(
    topics: Topics, cameras: Mapping[str, Mapping[str, Any]], *, version: int, at: float, key: Ed25519PrivateKey
) -> bytes:
    """What an edge says of its cameras, signed.

    Args:
        topics: Of the edge.
        cameras: By name: `title`; `zones` in force and `file_zones` as configurations have them; `drawn`, whether the
            former were drawn at the hub; `coverage` (`coverage.Coverage.record` with `limit_y`, the line as a share of
            the picture's height), `None` where unknown.
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
    _require(fields, LAYOUT_FIELDS, "layout")
    if (fields["site"], fields["edge"]) != topic_owner(topic):
        raise WireError("site and edge are not those of the topic")
    for camera, said in fields["cameras"].items():
        if not isinstance(said, dict) or not all(isinstance(said.get(name), list) for name in ("zones", "file_zones")):
            raise WireError(f"layout: {camera[:64]!r} has no list of zones")
        if not isinstance(said.get("coverage"), dict | None):
            raise WireError(f"layout: {camera[:64]!r} has a coverage of a wrong type")
    return fields


LARGEST_CENSUS = 1_000_000  # bytes


def census_payload(topics: Topics, census: Census, key: Ed25519PrivateKey) -> bytes:
    """What lies in the storage zones of a camera, signed; the fields beside `site` and `edge` are those of `Census`.

    Raises:
        WireError: It is too large.
    """
    fields = {"schema": SCHEMA, "site": topics.site, "edge": topics.edge, **census.model_dump(mode="json")}
    payload = encode(signed(fields, key))
    if len(payload) > LARGEST_CENSUS:
        raise WireError(f"census: {len(payload)} bytes are too many")
    return payload


def decode_census(topic: str, payload: bytes) -> tuple[dict[str, Any], Census]:
    """Fields of such a word, and what they say; see `verify` for the signature, which the hub checks.

    Raises:
        WireError: It is none, or too large, or of another edge than the topic's.
    """
    if len(payload) > LARGEST_CENSUS:
        raise WireError("census: too large")
    fields = decode(payload)
    _require(fields, {"site": str, "edge": str, "signature": str}, "census")
    if (fields["site"], fields["edge"]) != topic_owner(topic):
        raise WireError("site and edge are not those of the topic")
    try:
        return fields, Census.model_validate(fields)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise WireError(f"census: {'.'.join(map(str, first['loc']))[:200]}: {first['msg'][:200]}") from error


_HEX = frozenset("0123456789abcdef")
SIDE = "side"  # what is claimed, where it isn't the clip


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
        "site": _header(headers, "Site"),
        "edge": _header(headers, "Edge"),
        "camera": _header(headers, "Camera"),
        "sha256": _header(headers, "Sha256"),
        "size": _header_number(headers, "Size", whole=True),
        "started_at": _header_number(headers, "Started-At"),
        "duration_s": _header_number(headers, "Duration"),
        "at": _header_number(headers, "At"),
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
    verify({**claim, "signature": _header(headers, "Signature")}, public_key)
    return claim


def _header(headers: Mapping[str, str], name: str) -> str:
    text = headers.get(f"X-Labelwatch-{name}")
    if not text:
        raise WireError(f"X-Labelwatch-{name} is missing")
    return text


def _header_number(headers: Mapping[str, str], name: str, *, whole: bool = False) -> float | int:
    text = _header(headers, name)
    try:
        number = int(text) if whole else round(float(text), 3)
    except ValueError as error:
        raise WireError(f"X-Labelwatch-{name} is not a number") from error
    if not 0 <= number < 1e15:  # also false for nan
        raise WireError(f"X-Labelwatch-{name} is out of range")
    return number


def is_public_key(text: object) -> bool:
    """Whether this is the base64 of a raw Ed25519 public key, as `public_key_text` writes it."""
    try:
        return isinstance(text, str) and len(base64.b64decode(text, validate=True)) == 32
    except ValueError:
        return False
