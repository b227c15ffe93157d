"""The edge's key is changed: wherever it is killed, it goes on with a key that the hub believes."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from detector import wire
from detector.alerts import rotation
from detector.alerts.identity import load_identity
from detector.alerts.rotation import NEXT_NAME, KeyRotation
from detector.credentials import keys
from detector.credentials.codes import join_request, parse_code
from detector.errors import WireError
from detector.hub.access.audit import Audit
from detector.hub.edges.enrolment import Enrolment
from detector.hub.edges.keys import ACTIVE, NEXT, RETIRED, EdgeKeys
from detector.hub.edges.rotation import Rotations
from detector.hub.storage.store import Store
from detector.machine import whole_files
from tests.hub.conftest import sqlite_url

ONE = wire.Topics("north", "box-1")


class Killed(BaseException):
    """The process is gone at once: nothing in it may catch this."""


class Edge:
    """An edge that may be started anew, with a hub at the other end of a wire that is always there."""

    def __init__(self, folder: Path, hub: Hub) -> None:
        self.folder = folder
        self.hub = hub
        self.used: Ed25519PrivateKey | None = None
        self.start()

    def start(self) -> None:
        key = load_identity(self.folder)
        self.rotation = KeyRotation(self.folder, ONE, key, self.hub.take, self.use)

    def use(self, key: Ed25519PrivateKey) -> None:
        """The outbox takes the new key before anything else is signed by it: no alert is older than it looks."""
        assert self.rotation.key != key
        self.used = key

    def hear(self) -> None:
        """What the broker keeps for it, as a new connection brings it."""
        for topic, payload in self.hub.rotations.commands():
            assert topic == ONE.rotate
            self.rotation.accept(payload)

    def word(self, at: float) -> dict[str, object]:
        """Something signed by the key in use."""
        fields = {"site": "north", "edge": "box-1", "at_unix": at, "key": wire.public_key_text(self.rotation.key)}
        return wire.signed(fields, self.rotation.key)


class Hub:
    """The hub's half."""

    def __init__(self, folder: Path) -> None:
        self.store = Store(sqlite_url(folder / "hub.sqlite"))
        self.keys = EdgeKeys(self.store.database)
        self.rotations = Rotations(self.store.database, Audit(self.store.database))

    def hear_key(self, payload: bytes) -> None:
        self.rotations.word(ONE.key, payload, 100.0)

    def take(self, payload: bytes) -> None:
        """As the ingest does: what it doesn't believe goes no further."""
        with suppress(WireError):
            self.hear_key(payload)

    def believe(self, word: dict[str, object], at: float) -> None:
        self.keys.believe(word, signed_at=float(str(word["at_unix"])), at=at)

    def states(self) -> list[str]:
        return [key.state for key in self.keys.of("north", "box-1")]


@pytest.fixture
def edge(tmp_path: Path) -> Edge:
    hub = Hub(tmp_path)
    edge = Edge(tmp_path / "edge", hub)
    hub.keys.trust("north", "box-1", wire.public_key_text(edge.rotation.key), 0.0)
    return edge


def settle(edge: Edge) -> None:
    """The broker brings what it keeps until nothing changes any more."""
    for _ in range(3):
        edge.hear()


def test_a_key_is_changed_and_the_old_one_vouches_for_what_was_before(edge: Edge) -> None:
    before = edge.word(90.0)
    assert edge.hub.rotations.ask("north", "box-1", "owner", 50.0)
    edge.hear()
    assert edge.hub.states() == [ACTIVE, NEXT]
    meanwhile = edge.word(110.0)  # still by the old key
    edge.hub.believe(meanwhile, 110.0)
    settle(edge)
    assert edge.hub.states() == [ACTIVE, NEXT]  # not used yet
    edge.hub.believe(edge.word(120.0), 121.0)
    assert edge.hub.states() == [ACTIVE, RETIRED]
    edge.hub.believe(before, 200.0)
    edge.hub.believe(meanwhile, 200.0)
    (change,) = edge.hub.rotations.all().values()
    assert change.done_at == 121.0
    assert edge.used is edge.rotation.key
    assert not (edge.folder / NEXT_NAME).exists()


def test_what_the_old_key_signs_after_the_change_is_not_believed(edge: Edge) -> None:
    old = KeyRotation(edge.folder, ONE, edge.rotation.key, lambda _: None, lambda _: None)
    edge.hub.rotations.ask("north", "box-1", "owner", 50.0)
    settle(edge)
    edge.hub.believe(edge.word(120.0), 121.0)
    late = wire.signed(
        {"site": "north", "edge": "box-1", "at_unix": 120.1, "key": wire.public_key_text(old.key)}, old.key
    )
    with pytest.raises(WireError, match="replaced"):
        edge.hub.believe(late, 130.0)
    assert [knock.reason for knock in edge.hub.keys.knocks.all()] == ["retired"]


def test_an_edge_whose_clock_is_ahead_loses_nothing(edge: Edge) -> None:
    before = edge.word(5000.0)
    edge.hub.rotations.ask("north", "box-1", "owner", 50.0)
    settle(edge)
    edge.hub.believe(edge.word(5001.0), 60.0)
    edge.hub.believe(before, 61.0)


STEPS: list[tuple[str, object, str]] = [
    ("before the new key is linked", whole_files.os, "link"),
    ("with the new key made", rotation.wire, "new_key_payload"),
    ("before the rename", Path, "replace"),
    ("after the rename", rotation, "sync_folder"),
    ("after the draft was written", whole_files.os, "fsync"),
]


@pytest.mark.parametrize(("where", "module", "name"), STEPS, ids=[where for where, *_ in STEPS])
def test_wherever_the_edge_is_killed_the_change_comes_to_its_end(
    edge: Edge, monkeypatch: pytest.MonkeyPatch, where: str, module: object, name: str
) -> None:
    before, old = edge.word(90.0), wire.public_key_text(edge.rotation.key)
    edge.hub.rotations.ask("north", "box-1", "owner", 50.0)

    def killed(*_arguments: object, **_named: object) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(module, name, killed)
        with pytest.raises(Killed):
            settle(edge)
    edge.start()
    assert wire.public_key_text(edge.rotation.key) in [key.key for key in edge.hub.keys.of("north", "box-1")]
    edge.hub.believe(edge.word(110.0), 111.0)  # whichever it has, the hub takes it
    settle(edge)
    edge.hub.believe(edge.word(120.0), 121.0)
    edge.hub.believe(before, 200.0)
    assert edge.hub.states() == [ACTIVE, RETIRED]
    assert edge.hub.keys.active("north", "box-1") == wire.public_key_text(load_identity(edge.folder)) != old


def lost(edge: Edge) -> None:
    (edge.folder / NEXT_NAME).unlink()


def torn(edge: Edge) -> None:
    (edge.folder / NEXT_NAME).write_bytes(b"-----BEGIN PRIV")


def another(edge: Edge) -> None:
    (edge.folder / NEXT_NAME).unlink()
    keys.load_key(edge.folder / NEXT_NAME, "another")


@pytest.mark.parametrize("harm", [lost, torn, another])
def test_a_next_key_that_is_no_more_is_made_anew(edge: Edge, harm: Callable[[Edge], None]) -> None:
    edge.hub.rotations.ask("north", "box-1", "owner", 50.0)
    edge.hear()
    harm(edge)
    edge.start()
    settle(edge)
    edge.hub.believe(edge.word(120.0), 121.0)
    assert edge.hub.states() == [ACTIVE, RETIRED]


def test_another_box_of_the_same_name_is_asked_for_nothing(edge: Edge) -> None:
    enrolment = Enrolment(edge.hub.store.database, Audit(edge.hub.store.database))
    edge.hub.rotations.ask("north", "box-1", "owner", 50.0)
    assert enrolment.revoke("north", "box-1", "owner", 60.0)
    edge.hear()  # the one that was shut out answers in vain
    (edge.folder / "identity.key").unlink()
    (edge.folder / NEXT_NAME).unlink()
    edge.start()
    _, code = enrolment.make("owner", 70.0, site=None, edge=None)
    asked = {
        "site": "north",
        "edge": "box-1",
        "key": load_identity(edge.folder),
        "at": 70.0,
        "version": "1",
        "csr": None,
    }
    enrolment.join(join_request(parse_code(code), **asked), "", 70.0)
    settle(edge)
    assert edge.hub.states()[0] == ACTIVE and not (edge.folder / NEXT_NAME).exists()


def test_a_wish_that_is_said_again_changes_nothing(edge: Edge) -> None:
    edge.hub.rotations.ask("north", "box-1", "owner", 50.0)
    heard = [payload for _, payload in edge.hub.rotations.commands()]
    settle(edge)
    heard += [payload for _, payload in edge.hub.rotations.commands()]
    edge.hub.believe(edge.word(120.0), 121.0)
    key = wire.public_key_text(edge.rotation.key)
    sent: list[bytes] = []
    edge.rotation._send = sent.append
    for payload in heard * 2:
        edge.rotation.accept(payload)
    assert wire.public_key_text(edge.rotation.key) == key
    for payload in sent:  # it answers, and the hub has not asked for that
        with pytest.raises(WireError):
            edge.hub.hear_key(payload)
    assert edge.hub.states() == [ACTIVE, RETIRED]


@pytest.mark.parametrize(
    "payload", [b"", b"noise", b"{}", b'{"schema":1,"id":""}', b'{"schema":1,"id":"x","new_key":7}']
)
def test_what_is_no_wish_does_nothing(edge: Edge, payload: bytes) -> None:
    edge.rotation.accept(payload)
    assert [file.name for file in edge.folder.iterdir()] == ["identity.key"]


def forged(**changes: object) -> bytes:
    """A word by a thief who has neither key."""
    thief, other = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    return wire.encode({**wire.decode(wire.new_key_payload(ONE, "x", thief, other)), **changes})


def test_a_new_key_must_be_asked_for_and_be_vouched_for_by_the_one_in_use(edge: Edge) -> None:
    new = Ed25519PrivateKey.generate()
    with pytest.raises(WireError, match="nobody has asked"):
        edge.hub.hear_key(wire.new_key_payload(ONE, "x", edge.rotation.key, new))
    edge.hub.rotations.ask("north", "box-1", "owner", 50.0)
    (asked,) = edge.hub.rotations.all().values()
    with pytest.raises(WireError, match="not in use"):
        edge.hub.hear_key(wire.new_key_payload(ONE, asked.id, Ed25519PrivateKey.generate(), new))
    good = wire.decode(wire.new_key_payload(ONE, asked.id, edge.rotation.key, new))
    for changes in ({"new_key": wire.public_key_text(edge.rotation.key)}, {"old_signature": good["signature"]}):
        with pytest.raises(WireError, match="signature"):
            edge.hub.hear_key(wire.encode({**good, **changes}))
    with pytest.raises(WireError, match="topic"):
        edge.hub.rotations.word("labelwatch/north/box-2/key", wire.encode(good), 1.0)
    with pytest.raises(WireError):
        edge.hub.hear_key(forged())
    assert edge.hub.states() == [ACTIVE]


@given(st.binary(max_size=200) | st.from_regex(rb'\{"schema":1,"id":.{0,40}\}', fullmatch=True))
def test_no_noise_breaks_the_words_of_a_change(payload: bytes) -> None:
    for read in (wire.decode_rotate, lambda noise: wire.decode_new_key(ONE.key, noise)):
        try:
            read(payload)
        except WireError:
            continue
