"""What goes over the wire comes back the same, and whatever was changed on the way is noticed."""

from __future__ import annotations

import base64
import copy
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from detector import wire
from detector.errors import WireError
from detector.recorded.sink import Told, record
from detector.values import Act, ActKind, CountRange, Incident, IncidentKind, IncidentUpdate, Phase, Severity
from tests.alerts.conftest import make_fields

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
OTHER = Ed25519PrivateKey.from_private_bytes(bytes(32))
PUBLIC = wire.public_key_text(KEY)
TOPIC = "labelwatch/north/box-1/alerts"
unhurried = settings(max_examples=60, deadline=None)

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
scalars = (
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | text
)
trees = st.recursive(
    scalars, lambda some: st.lists(some, max_size=4) | st.dictionaries(text, some, max_size=4), max_leaves=12
)
objects = st.dictionaries(text, trees, max_size=6)


def envelope(**more: Any) -> dict[str, Any]:
    """A signed envelope as the outbox makes it."""
    whole = {"id": "a" * 32, "seq": 7, "epoch": "b" * 32, "sent_at": "2027-01-15T08:00:00.000Z", "sent_at_unix": 1.8e9}
    return wire.signed({**make_fields(), **whole, "key": PUBLIC, **more}, KEY)


def paths(tree: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where every value of a tree stands."""
    found = [at] if at else []
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for name, value in items:
        found += paths(value, (*at, name))
    return found


@unhurried
@given(objects)
def test_what_was_signed_verifies_after_the_journey(fields: dict[str, Any]) -> None:
    sent = wire.signed({**fields, "schema": wire.SCHEMA}, KEY)
    came = wire.decode(wire.encode(sent))
    assert came == sent
    wire.verify(came, PUBLIC)


@unhurried
@given(objects, st.randoms(use_true_random=False))
def test_the_order_of_fields_does_not_matter(fields: dict[str, Any], random: Any) -> None:
    signed = wire.signed(fields, KEY)
    names = list(signed)
    random.shuffle(names)
    wire.verify({name: signed[name] for name in names}, PUBLIC)


@unhurried
@given(objects, text, trees)
def test_another_key_never_verifies_and_an_added_field_is_noticed(
    fields: dict[str, Any], name: str, value: Any
) -> None:
    signed = wire.signed(fields, KEY)
    with pytest.raises(WireError):
        wire.verify(signed, wire.public_key_text(OTHER))
    if name not in signed:
        with pytest.raises(WireError):
            wire.verify({**signed, name: value}, PUBLIC)


@pytest.mark.parametrize(
    "path", [p for p in paths(envelope()) if p != ("signature",)], ids=lambda p: ".".join(map(str, p))
)
def test_a_change_of_any_field_is_noticed(path: tuple[Any, ...]) -> None:
    for change in ("replaced", "removed"):
        forged = copy.deepcopy(envelope())
        parent = forged
        for step in path[:-1]:
            parent = parent[step]
        if change == "replaced":
            parent[path[-1]] = "forged" if parent[path[-1]] != "forged" else 1
        else:
            del parent[path[-1]]
        with pytest.raises(WireError):
            wire.verify(forged, PUBLIC)


@unhurried
@given(st.integers(0, 63), st.integers(1, 255))
def test_a_change_of_any_bit_of_the_signature_is_noticed(at: int, flip: int) -> None:
    fields = envelope()
    signature = bytearray(base64.b64decode(fields["signature"]))
    signature[at] ^= flip
    with pytest.raises(WireError):
        wire.verify({**fields, "signature": base64.b64encode(signature).decode()}, PUBLIC)


@pytest.mark.parametrize("signature", [None, "", "not base64 !", "AAAA", 7, [], "é"])
def test_a_malformed_signature_is_refused(signature: Any) -> None:
    with pytest.raises(WireError):
        wire.verify({**envelope(), "signature": signature}, PUBLIC)


@pytest.mark.parametrize("key", ["", "AAAA", "é", "!" * 44, base64.b64encode(bytes(33)).decode()])
def test_a_malformed_key_is_refused(key: str) -> None:
    assert not wire.is_public_key(key)
    with pytest.raises(WireError):
        wire.verify(envelope(), key)


def test_a_public_key_is_known_as_one() -> None:
    assert wire.is_public_key(PUBLIC)
    assert not wire.is_public_key(None)
    assert not wire.is_public_key(7)


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"9" * 5000, "not JSON"),
        (b"[]", "not a JSON object"),
        (b"null", "not a JSON object"),
        (b"{}", "schema None"),
        (b'{"schema": 2}', "schema 2"),
        (b'{"schema": "1"}', "schema '1'"),
    ],
)
def test_what_is_no_message_is_named(payload: bytes, reason: str) -> None:
    with pytest.raises(WireError, match=reason):
        wire.decode(payload)


@unhurried
@given(st.binary(max_size=60))
def test_noise_never_raises_anything_else(payload: bytes) -> None:
    for read in (wire.decode, wire.acked_ids, lambda payload: wire.decode_alert(TOPIC, payload)):
        with pytest.raises(WireError):
            read(payload)


def test_a_whole_alert_is_taken_and_unknown_fields_do_not_disturb() -> None:
    fields = envelope(tomorrow={"more": 1})
    assert wire.decode_alert(TOPIC, wire.encode(fields)) == fields


def test_an_alert_that_no_edge_has_to_tell_is_refused_before_it_is_read() -> None:
    room = wire.LARGEST_ALERT - len(wire.encode(envelope(why="")))
    assert wire.decode_alert(TOPIC, wire.encode(envelope(why="z" * room)))
    with pytest.raises(WireError, match="more than an edge has to tell"):
        wire.decode_alert(TOPIC, wire.encode(envelope(why="z" * (room + 1))))


@pytest.mark.parametrize("name", list(wire.ALERT_FIELDS))
@pytest.mark.parametrize("value", [None, True, "absent"])
def test_an_alert_without_a_field_is_refused(name: str, value: Any) -> None:
    fields = envelope()
    if value == "absent":
        del fields[name]
    else:
        fields[name] = value
    with pytest.raises(WireError, match=name):
        wire.decode_alert(TOPIC, wire.encode(fields))


@pytest.mark.parametrize("name", list(wire.INCIDENT_FIELDS))
def test_an_incident_without_a_field_is_refused(name: str) -> None:
    fields = envelope()
    del fields["after"][name]
    with pytest.raises(WireError, match=f"incident: {name}"):
        wire.decode_alert(TOPIC, wire.encode(fields))


@pytest.mark.parametrize(
    "topic",
    [
        "labelwatch/north/box-2/alerts",
        "labelwatch/south/box-1/alerts",
        "other/north/box-1/alerts",
        "labelwatch/north/alerts",
        "labelwatch/north/box-1/x/alerts",
        "",
    ],
)
def test_an_alert_on_a_topic_of_another_edge_is_refused(topic: str) -> None:
    with pytest.raises(WireError):
        wire.decode_alert(topic, wire.encode(envelope()))


@unhurried
@given(st.from_regex(r"[A-Za-z0-9_.-]{1,20}", fullmatch=True), st.from_regex(r"[A-Za-z0-9_.-]{1,20}", fullmatch=True))
def test_topics_tell_whose_they_are(site: str, edge: str) -> None:
    topics = wire.Topics(site, edge)
    for topic in (topics.alerts, topics.status, topics.health, topics.ack):
        assert wire.topic_owner(topic) == (site, edge)


@unhurried
@given(st.lists(text, max_size=20))
def test_acknowledgements_come_back_the_same(ids: list[str]) -> None:
    assert wire.acked_ids(wire.ack_payload(ids)) == ids


@pytest.mark.parametrize("ids", [None, "abc", [1], [None], {"a": 1}])
def test_an_acknowledgement_without_a_list_of_ids_is_refused(ids: Any) -> None:
    with pytest.raises(WireError, match="list of ids"):
        wire.acked_ids(wire.encode({"schema": wire.SCHEMA, "ids": ids}))


def incident(**more: Any) -> Incident:
    act = Act(ActKind.PHOTO, 7, 1793525173.25, 1793525175.0, 0.91234, (12, 15))
    whole: dict[str, Any] = {
        "id": "i1", "camera": "cam-1", "kind": IncidentKind.LABEL_PHOTOGRAPHY, "severity": Severity.CRITICAL,
        "score": 0.98765, "zone": None, "started_at": 1793525173.25, "ended_at": 1793525175.0004, "tracks": (7, 9),
        "acts": (act,), "labels_exposed": CountRange(3, 4, 6), "facts": {"posture": "crouch"},
        "boxes": (("person", (192.0, 108.0, 960.0, 1080.0)),),
    }  # fmt: skip
    return Incident(**{**whole, **more})


def test_an_update_becomes_an_envelope_with_times_boxes_and_what_was_before() -> None:
    update = IncidentUpdate(Phase.UPDATE, incident(severity=Severity.WARNING, acts=()), incident())
    made = wire.envelope(
        update,
        site="north",
        edge="box-1",
        title="东区 1",
        size=(1920, 1080),
        snapshot_jpeg=b"\xff\xd8",
        clips=[{"segment": 0}],
    )
    after = made["after"]
    assert (made["schema"], made["phase"], made["before"]) == (1, "update", {"severity": "warning", "acts": 0})
    assert base64.b64decode(made["snapshot"]) == b"\xff\xd8"
    assert made["clips"] == [{"segment": 0}]
    assert (after["camera_title"], after["score"], after["tracks"]) == ("东区 1", 0.988, [7, 9])
    assert (after["started_at"], after["started_at_unix"]) == ("2026-11-01T09:26:13.250Z", 1793525173.25)
    assert after["ended_at_unix"] == 1793525175.0
    assert after["boxes"] == [{"what": "person", "box": [0.1, 0.1, 0.5, 1.0]}]
    assert after["labels_exposed"] == {"low": 3, "best": 4, "high": 6}
    assert after["acts"][0]["parcels"] == [12, 15]
    assert json.loads(json.dumps(made)) == made


def test_a_new_incident_has_no_before_and_may_lack_picture_and_clips() -> None:
    made = wire.envelope(IncidentUpdate(Phase.NEW, None, incident()), site="n", edge="e", title="t", size=(10, 10))
    assert (made["before"], made["snapshot"], made["clips"]) == (None, None, [])


@pytest.mark.parametrize(("score", "told"), [(0.99951, 0.999), (0.9999999, 0.999), (0.9994, 0.999), (1.0, 1.0)])
def test_only_what_is_certain_is_told_with_a_score_of_one(score: float, told: float) -> None:
    sure = incident(score=score, acts=(Act(ActKind.PHOTO, 7, 0.0, 1.0, score, (12,)),))
    made = wire.envelope(IncidentUpdate(Phase.NEW, None, sure), site="n", edge="e", title="t", size=(10, 10))["after"]
    line = record(Told(sure, 0.0, Path("a.mp4"), 0.0))
    assert [made["score"], made["acts"][0]["score"], line["score"], line["acts"][0]["score"]] == [told] * 4


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_numbers_that_json_does_not_know_are_never_sent(value: float) -> None:
    for write in (wire.encode, wire.canonical, lambda fields: wire.signed(fields, KEY)):
        with pytest.raises(ValueError, match="JSON compliant"):
            write({"x": value})


def test_values_of_numpy_are_not_taken_for_numbers_by_accident() -> None:
    with pytest.raises(TypeError):
        wire.encode({"x": np.float32(1)})


# ---- clips

CLIP: dict[str, Any] = {
    "site": "north", "edge": "box-1", "camera": "cam-1", "incident": "i1", "segment": 2, "sha256": "ab" * 32,
    "size": 1234, "started_at": 1793525173.2504, "duration_s": 12.0, "at": 1793525200.9996,
}  # fmt: skip


def test_a_clip_s_headers_say_what_was_claimed() -> None:
    headers = wire.clip_headers(**CLIP, key=KEY)
    assert all(value.isascii() for value in headers.values())
    claim = wire.verify_clip(headers, incident="i1", segment=2, public_key=PUBLIC)
    assert claim == {**CLIP, "started_at": 1793525173.25, "at": 1793525201.0}


@unhurried
@given(st.floats(0, 4e9), st.floats(0, 1e5), st.integers(0, 2**40), st.integers(0, 10_000))
def test_every_claim_survives_its_way_through_headers(at: float, duration_s: float, size: int, segment: int) -> None:
    wanted = {**CLIP, "at": at, "started_at": at, "duration_s": duration_s, "size": size, "segment": segment}
    headers = wire.clip_headers(**wanted, key=KEY)
    claim = wire.verify_clip(headers, incident="i1", segment=segment, public_key=PUBLIC)
    assert (claim["at"], claim["duration_s"], claim["size"]) == (round(at, 3), round(duration_s, 3), size)


@pytest.mark.parametrize(
    "name", ["Site", "Edge", "Camera", "Sha256", "Size", "Started-At", "Duration", "At", "Signature"]
)
def test_a_clip_header_changed_or_missing_is_noticed(name: str) -> None:
    headers = wire.clip_headers(**CLIP, key=KEY)
    changed = {"Sha256": "cd" * 32, "Signature": base64.b64encode(bytes(64)).decode()}.get(name, "5")
    for forged in (
        {**headers, f"X-Labelwatch-{name}": changed},
        {**headers, f"X-Labelwatch-{name}": ""},
        {other: value for other, value in headers.items() if other != f"X-Labelwatch-{name}"},
    ):
        with pytest.raises(WireError):
            wire.verify_clip(forged, incident="i1", segment=2, public_key=PUBLIC)


@pytest.mark.parametrize(("incident", "segment"), [("i2", 2), ("i1", 3)])
def test_a_claim_holds_for_its_own_path_only(incident: str, segment: int) -> None:
    with pytest.raises(WireError):
        wire.verify_clip(wire.clip_headers(**CLIP, key=KEY), incident=incident, segment=segment, public_key=PUBLIC)


def test_a_side_file_s_claim_is_none_of_the_clip_and_the_other_way_round() -> None:
    side, clip = wire.clip_headers(**CLIP, key=KEY, what=wire.SIDE), wire.clip_headers(**CLIP, key=KEY)
    about: dict[str, Any] = {"incident": "i1", "segment": 2, "public_key": PUBLIC}
    assert wire.verify_clip(side, **about, what=wire.SIDE)["what"] == wire.SIDE
    assert side.keys() == clip.keys(), "the path says what it is"
    for headers, what in ((side, None), (clip, wire.SIDE), (side, "else")):
        with pytest.raises(WireError):
            wire.verify_clip(headers, **about, what=what)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Size", "1.5"), ("Size", "-1"), ("Size", "many"), ("Size", "9" * 30), ("At", "nan"), ("At", "inf"),
        ("At", "-1"), ("Started-At", "yesterday"), ("Duration", "1e400"), ("Sha256", "AB" * 32), ("Sha256", "ab" * 31),
        ("Sha256", "../" * 22),
    ],
)  # fmt: skip
def test_a_claim_with_nonsense_in_it_is_refused(name: str, value: str) -> None:
    headers = {**wire.clip_headers(**CLIP, key=KEY), f"X-Labelwatch-{name}": value}
    with pytest.raises(WireError, match=name):
        wire.clip_claim(headers, incident="i1", segment=2)


SIGNED = ("schema", "to", "what", "key", "signature")
HUB_TOPICS = [
    topic
    for topics in (wire.Topics("north", "box-1"), wire.Topics("north", "box-2"), wire.Topics("box-1", "north"))
    for topic in (topics.ack, topics.thresholds, topics.zones, topics.ask_picture, topics.ask_film)
]


@unhurried
@given(objects, st.sampled_from(HUB_TOPICS), st.sampled_from(HUB_TOPICS), st.floats(0, 4e9))
def test_what_the_hub_says_holds_on_its_own_topic_only(
    fields: dict[str, Any], topic: str, other: str, at: float
) -> None:
    said = wire.decode(wire.to_edge(topic, wire.encode({**fields, "schema": wire.SCHEMA}), KEY, at))
    wire.check_to_edge(topic, said, PUBLIC)
    assert all(said[name] == value for name, value in fields.items() if name not in SIGNED)
    with pytest.raises(WireError):
        wire.check_to_edge(topic, said, wire.public_key_text(OTHER))
    if other != topic:
        with pytest.raises(WireError):
            wire.check_to_edge(other, said, PUBLIC)


def test_what_the_hub_says_tells_when_in_both_ways() -> None:
    topic = wire.Topics("north", "box-1").ack
    said = wire.decode(wire.to_edge(topic, wire.ack_payload(["a"]), KEY, 1793525173.25))
    assert (said["at"], said["at_unix"]) == ("2026-11-01T09:26:13.250Z", 1793525173.25)


@pytest.mark.parametrize("topic", ["labelwatch/north/box-1/alerts", "labelwatch/north/cmd/x", "x/north/box-1/ack", ""])
def test_the_hub_says_nothing_on_another_topic(topic: str) -> None:
    with pytest.raises(WireError):
        wire.to_edge(topic, wire.ack_payload([]), KEY, 0.0)


@unhurried
@given(objects, st.integers(1, 2**53), st.integers(1, 2**53))
def test_what_an_edge_says_of_itself_holds_on_its_own_topic_only(
    fields: dict[str, Any], serial: int, session: int
) -> None:
    mine, theirs = wire.Topics("north", "box-1"), wire.Topics("north", "box-2")
    told = {**fields, "at_unix": 1.8e9}
    payload = wire.from_edge(mine, "health", told, serial=serial, session=session, key=KEY)
    came = wire.decode_word(mine.health, payload)
    wire.verify(came, PUBLIC)
    assert (came["serial"], came["session"], came["what"]) == (serial, session, "health")
    for topic in (mine.status, theirs.health, mine.alerts):
        with pytest.raises(WireError):
            wire.decode_word(topic, payload)


@unhurried
@given(st.binary(max_size=300) | objects.map(wire.encode))
def test_noise_is_no_word(noise: bytes) -> None:
    for read in (wire.early_ids, lambda payload: wire.decode_word("labelwatch/north/box-1/status", payload)):
        try:
            assert read(noise) is None or isinstance(read(noise), list)
        except WireError:
            continue


def test_what_is_early_is_no_acknowledgement() -> None:
    assert wire.early_ids(wire.early_payload(["a"])) == ["a"]
    assert wire.early_ids(wire.ack_payload(["a"])) is None
    with pytest.raises(WireError):  # an edge of an older version must not take it for a greeting
        wire.acked_ids(wire.early_payload(["a"]))
    with pytest.raises(WireError):
        wire.early_ids(wire.encode({"schema": wire.SCHEMA, "early": [1]}))
