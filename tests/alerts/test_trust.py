"""Whose words an edge believes: its own hub's, said to it, about this, and lately."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from detector import wire
from detector.alerts.trust import FILE, HubTrust, pin_hub_key, pinned_hub_key
from detector.errors import StoreError

HUB = Ed25519PrivateKey.from_private_bytes(bytes([7]) * 32)
OTHER = Ed25519PrivateKey.from_private_bytes(bytes([8]) * 32)
HUB_TEXT, OTHER_TEXT = wire.public_key_text(HUB), wire.public_key_text(OTHER)
MINE, THEIRS = wire.Topics("north", "box-1"), wire.Topics("north", "box-2")
NOON = 1_793_505_600.0
ACK = wire.ack_payload(["a"])
WISH = wire.ask_picture_payload("gate", large=False)
STATE = wire.command_payload(3, {}, user="owner", at=NOON - 86400)


class Watch:
    """A clock that tests put forward."""

    def __init__(self) -> None:
        self.at = NOON

    def now(self) -> float:
        return self.at

    def sleep(self, seconds: float) -> None:
        self.at += seconds


def said(topic: str, payload: bytes, by: Ed25519PrivateKey = HUB, at: float = NOON, **changes: Any) -> bytes:
    """What a hub says; changes come after the signature."""
    return wire.encode({**wire.decode(wire.to_edge(topic, payload, by, at)), **changes})


def resigned(payload: bytes, key: Ed25519PrivateKey = HUB, **changes: Any) -> bytes:
    """The same with changes that are signed too."""
    return wire.encode(wire.signed({**wire.decode(payload), **changes}, key))


@pytest.fixture
def trust(tmp_path: Path) -> HubTrust:
    pin_hub_key(tmp_path, HUB_TEXT)
    return HubTrust(Watch(), tmp_path)


@pytest.mark.parametrize(("topic", "payload"), [(MINE.ack, ACK), (MINE.thresholds, STATE), (MINE.ask_picture, WISH)])
def test_the_hub_s_own_words_are_believed(trust: HubTrust, topic: str, payload: bytes) -> None:
    assert trust.believes(topic, said(topic, payload))
    assert trust.health() == {"hub_key": HUB_TEXT, "refused_words": 0, "refused_word": None}


@pytest.mark.parametrize(
    ("topic", "payload", "reason"),
    [
        (MINE.ack, ACK, "not signed"),
        (MINE.ack, b"\x00\xff", "not JSON"),
        (MINE.ack, b"[]", "not a JSON object"),
        (MINE.ack, said(MINE.ack, ACK, OTHER), "signed by another hub"),
        (MINE.ack, said(MINE.ack, ACK, OTHER, key=HUB_TEXT), "signature does not fit"),
        (MINE.ack, said(MINE.ack, ACK, ids=["b"]), "signature does not fit"),
        (MINE.ack, said(MINE.ack, ACK, signature=None), "signature does not fit"),
        (MINE.ack, said(MINE.ack, ACK, key=7), "not signed"),
        (MINE.ack, said(THEIRS.ack, ACK), "to another edge"),
        (MINE.thresholds, said(MINE.zones, STATE), "about something else"),
        (MINE.thresholds, said(MINE.ack, ACK), "about something else"),
        (MINE.ask_picture, said(MINE.ask_picture, WISH, at=NOON - 301), "301 s ago"),
        (MINE.ask_picture, said(MINE.ask_picture, WISH, at=NOON + 301), "301 s ahead"),
        (MINE.ask_picture, resigned(said(MINE.ask_picture, WISH), at_unix=None), "does not tell when"),
        (MINE.ask_picture, resigned(said(MINE.ask_picture, WISH), at_unix="1"), "does not tell when"),
        ("labelwatch/north/box-1/cmd/rotate", said(MINE.ask_picture, WISH), "about something else"),
        ("labelwatch/north/box-1/alerts", said(MINE.ack, ACK), "no topic from the hub"),
    ],
)
def test_other_words_are_refused_counted_and_told(trust: HubTrust, topic: str, payload: bytes, reason: str) -> None:
    assert not trust.believes(topic, payload)
    assert trust.health()["refused_words"] == 1
    assert reason in trust.health()["refused_word"]
    assert trust.believes(MINE.ack, said(MINE.ack, ACK))


def test_nan_is_no_time(trust: HubTrust) -> None:
    fields = {**wire.decode(said(MINE.ask_picture, WISH)), "at_unix": float("nan")}
    assert not trust.believes(MINE.ask_picture, json.dumps(fields).encode())


def test_a_wish_is_good_once_and_what_lasts_is_good_again(trust: HubTrust) -> None:
    first, later = said(MINE.ask_picture, WISH), said(MINE.ask_picture, WISH, at=NOON + 1)
    assert [trust.believes(MINE.ask_picture, word) for word in (first, first, later, first)] == [
        True, False, True, False,
    ]  # fmt: skip
    for topic, payload in ((MINE.ack, ACK), (MINE.thresholds, STATE)):
        word = said(topic, payload)
        assert trust.believes(topic, word)
        assert trust.believes(topic, word)


def test_the_first_hub_heard_is_the_hub_from_then_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    trust = HubTrust(Watch(), tmp_path)
    assert trust.believes(MINE.ack, ACK)  # a hub of an older version signs nothing
    assert not trust.believes(MINE.ack, said(MINE.ack, ACK, OTHER, ids=["forged"]))
    assert pinned_hub_key(tmp_path) is None
    assert trust.believes(MINE.ack, said(MINE.ack, ACK))
    assert "knows its hub by the key" in caplog.text
    assert pinned_hub_key(tmp_path) == HUB_TEXT
    assert not trust.believes(MINE.ack, ACK)
    assert not HubTrust(Watch(), tmp_path).believes(MINE.ack, said(MINE.ack, ACK, OTHER))


def test_a_hub_with_a_new_key_is_told_of_and_joining_it_repairs_it(trust: HubTrust, tmp_path: Path) -> None:
    word = said(MINE.ack, ACK, OTHER)
    assert not trust.believes(MINE.ack, word)
    told = trust.health()
    assert told["hub_key"] == HUB_TEXT
    assert HUB_TEXT[:8] in told["refused_word"]
    assert OTHER_TEXT[:8] in told["refused_word"]
    pin_hub_key(tmp_path, OTHER_TEXT)  # what joining does, while the edge runs
    assert trust.believes(MINE.ack, word)
    assert trust.health()["hub_key"] == OTHER_TEXT
    assert not trust.believes(MINE.ack, said(MINE.ack, ACK))


def test_a_key_file_taken_away_under_a_running_edge_opens_no_door(trust: HubTrust, tmp_path: Path) -> None:
    (tmp_path / FILE).unlink()
    assert not trust.believes(MINE.ack, said(MINE.ack, ACK, OTHER))
    assert trust.believes(MINE.ack, said(MINE.ack, ACK))


@pytest.mark.parametrize("content", [b"", b"AAAA\n", b"\xff\xfe", b"\0" * 44])
def test_a_broken_key_file_fits_nobody_until_the_hub_is_joined_again(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE).write_bytes(content)
    with pytest.raises(StoreError):
        pinned_hub_key(tmp_path)
    trust = HubTrust(Watch(), tmp_path)
    assert not trust.believes(MINE.ack, said(MINE.ack, ACK))
    assert not trust.believes(MINE.ack, ACK)
    assert trust.health()["hub_key"] is None
    pin_hub_key(tmp_path, HUB_TEXT)
    assert trust.believes(MINE.ack, said(MINE.ack, ACK))


def test_what_is_no_key_is_not_pinned(tmp_path: Path) -> None:
    for text in ("", "AAAA", "é" * 44, "../../etc/passwd"):
        with pytest.raises(StoreError):
            pin_hub_key(tmp_path, text)
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError):
        pin_hub_key(tmp_path / "file", HUB_TEXT)


@settings(max_examples=80, deadline=None)
@given(st.binary(max_size=200) | st.dictionaries(st.text(max_size=9), st.none() | st.text(max_size=9)).map(wire.encode))
def test_noise_is_refused_and_nothing_worse(noise: bytes) -> None:
    trust = HubTrust(Watch())
    assert trust.believes(MINE.ack, said(MINE.ack, ACK))
    assert not trust.believes(MINE.ack, noise)
