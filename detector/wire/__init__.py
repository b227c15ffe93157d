"""What travels between edge and hub: topics, the alert envelope and its signature, acknowledgements, commands, health.

JSON, UTF-8, `schema` 1. Times are ISO 8601 UTC and Unix seconds; boxes are normalised 0..1. An envelope is signed with
the edge's Ed25519 key over its canonical form: all fields but `signature`, keys sorted, no spaces, numbers as they
stand there (`2.0` is not `2`). Fields are only ever added; a reader ignores those it doesn't know.

Whoever reads along with the hub hears an alert as often as it is sent until the hub has stored it, each time with the
same `id`, and not always in the order of `seq`: what is new goes before what waited. Its `key` is that of the edge's
retained `status`, too; the hub's page of boxes tells whether it is the box's.

What the hub says to an edge is signed with the hub's key in the same way, and names the edge (`to`) and the kind of
topic (`what`) that it is for (`to_edge`, `check_to_edge`).

`topics`, `payloads` and `signatures` are what the other modules rest on, of which each holds one kind of message.
"""

from detector.wire.acks import ack_payload, acked_ids, early_ids, early_payload
from detector.wire.alerts import (
    ALERT_FIELDS,
    INCIDENT_FIELDS,
    LARGEST_ALERT,
    all_clips,
    cut_off,
    decode_alert,
    dropped_fields,
    envelope,
    incident_record,
    read_alert,
    told_as,
    with_late_clips,
)
from detector.wire.census import census_payload, decode_census
from detector.wire.clips import SIDE, clip_claim, clip_headers, verify_clip
from detector.wire.commands import (
    MOST_POINTS,
    MOST_ZONES,
    OFF,
    Said,
    ThresholdState,
    ZoneState,
    check_newer,
    command_payload,
    decode_thresholds,
    decode_zones,
)
from detector.wire.films import LONGEST_FILM_S, ask_film_payload, asked_film
from detector.wire.health import decode_word, from_edge
from detector.wire.hub_words import check_to_edge, to_edge
from detector.wire.layout import decode_layout, layout_payload
from detector.wire.payloads import LATEST_VERSION, SCHEMA, decode, encode
from detector.wire.pictures import (
    LARGEST_JPEG,
    PICTURE_SIDES,
    ask_picture_payload,
    asked_picture,
    decode_picture,
    picture_payload,
)
from detector.wire.refusals import REFUSALS, causes_payload, decode_causes
from detector.wire.rotation import decode_new_key, decode_rotate, new_key_payload, rotate_payload
from detector.wire.signatures import canonical, is_public_key, public_key_text, signed, verify
from detector.wire.topics import ALL_ALERTS, ALL_HEALTH, ALL_STATUS, ROOT, Topics, topic_owner

__all__ = [
    "ALERT_FIELDS",
    "ALL_ALERTS",
    "ALL_HEALTH",
    "ALL_STATUS",
    "INCIDENT_FIELDS",
    "LARGEST_ALERT",
    "LARGEST_JPEG",
    "LATEST_VERSION",
    "LONGEST_FILM_S",
    "MOST_POINTS",
    "MOST_ZONES",
    "OFF",
    "PICTURE_SIDES",
    "REFUSALS",
    "ROOT",
    "SCHEMA",
    "SIDE",
    "Said",
    "ThresholdState",
    "Topics",
    "ZoneState",
    "ack_payload",
    "acked_ids",
    "all_clips",
    "ask_film_payload",
    "ask_picture_payload",
    "asked_film",
    "asked_picture",
    "canonical",
    "causes_payload",
    "census_payload",
    "check_newer",
    "check_to_edge",
    "clip_claim",
    "clip_headers",
    "command_payload",
    "cut_off",
    "decode",
    "decode_alert",
    "decode_causes",
    "decode_census",
    "decode_layout",
    "decode_new_key",
    "decode_picture",
    "decode_rotate",
    "decode_thresholds",
    "decode_word",
    "decode_zones",
    "dropped_fields",
    "early_ids",
    "early_payload",
    "encode",
    "envelope",
    "from_edge",
    "incident_record",
    "is_public_key",
    "layout_payload",
    "new_key_payload",
    "picture_payload",
    "public_key_text",
    "read_alert",
    "rotate_payload",
    "signed",
    "to_edge",
    "told_as",
    "topic_owner",
    "verify",
    "verify_clip",
    "with_late_clips",
]
