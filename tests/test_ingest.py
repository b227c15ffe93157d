"""The hub's intake against a real mosquitto: what it believes, what it acknowledges, and what it survives."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from detector import wire
from detector.clock import SystemClock
from detector.config import Broker
from detector.errors import WireError
from detector.hub.access.audit import Audit
from detector.hub.edges import ingest as ingest_module
from detector.hub.edges.heard import Heard
from detector.hub.edges.ingest import LEAST, Ingest, _Believed
from detector.hub.edges.keys import EdgeKeys
from detector.hub.edges.rotation import Rotations
from detector.hub.storage.database import Database
from detector.mqtt.broker import EmbeddedBroker
from detector.values import DAY_S, NOTHING
from tests.alerts.conftest import make_fields
from tests.builders import SteppedClock
from tests.hub.conftest import sqlite_url
from tests.parts_mosquitto import Mosquitto, soon

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
THIEF = Ed25519PrivateKey.from_private_bytes(bytes(32))
HUB = Ed25519PrivateKey.from_private_bytes(bytes([7]) * 32)
PUBLIC = wire.public_key_text(KEY)
ONE, TWO = wire.Topics("north", "box-1"), wire.Topics("north", "box-2")


def word(text: str) -> bytes:
    """Something that a hub may say."""
    return wire.encode({"schema": wire.SCHEMA, "word": text})


class MemoryStore:
    """What the ingest wants of a store, kept in memory; `broken` makes every write fail as a lost database does."""

    def __init__(self) -> None:
        self.alerts: dict[str, Mapping[str, Any]] = {}
        self.refusals: list[tuple[str, str]] = []
        self.states: list[tuple[str, str, str, float]] = []
        self.health: dict[tuple[str, str], Mapping[str, Any]] = {}
        self.batches: list[int] = []
        self.broken = False
        self.failed = 0
        self.poison: set[str] = set()
        self.edges = self

    def _write(self) -> None:
        if self.broken:
            self.failed += 1
            raise ConnectionError("the database went away")

    def add_alerts(
        self,
        fields_list: Sequence[Mapping[str, Any]],
        received_at: float,
        bringers: Mapping[str, tuple[str, str]] = NOTHING,
    ) -> list[str]:
        self._write()
        if self.poison & {fields["id"] for fields in fields_list}:
            raise OverflowError("a number too large")
        self.batches.append(len(fields_list))
        came = {fields["id"]: fields for fields in fields_list}
        new = [id_ for id_ in came if id_ not in self.alerts]
        self.alerts.update(came)
        return new

    def add_refusal(self, topic: str, reason: str, at: float) -> None:
        self._write()
        self.refusals.append((topic, reason))

    def set_status(self, site: str, edge: str, state: str, at: float) -> None:
        self._write()
        self.states.append((site, edge, state, at))

    def set_health(self, site: str, edge: str, fields: Mapping[str, Any], at: float) -> None:
        self._write()
        self.health[site, edge] = fields


class Sender:
    """An edge's end of the broker: says what it is told to, and collects acknowledgements."""

    def __init__(self, port: int) -> None:
        self.acked: list[str] = []
        ready = threading.Event()
        self._client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
        self.early: list[str] = []
        self._client.on_message = self._hear
        self._client.on_subscribe = lambda *_: ready.set()
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        self._client.subscribe("labelwatch/+/+/ack", qos=1)
        assert ready.wait(20)

    def _hear(self, _client: Client, _userdata: Any, message: Any) -> None:
        early = wire.early_ids(message.payload)
        if early is None:
            self.acked += wire.acked_ids(message.payload)
        else:
            self.early += early

    def say(self, topic: str, payload: bytes | dict[str, Any], retain: bool = False) -> None:
        content = wire.encode(payload) if isinstance(payload, dict) else payload
        self._client.publish(topic, content, qos=1, retain=retain).wait_for_publish(20)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


def alert(id_: str, key: Ed25519PrivateKey = KEY, **more: Any) -> dict[str, Any]:
    whole = {"id": id_, "seq": 1, "epoch": "e", "sent_at": "", "sent_at_unix": 1.0, "key": wire.public_key_text(key)}
    return wire.signed({**make_fields(), **whole, **more}, key)


def status(
    state: str,
    key: Ed25519PrivateKey = KEY,
    *,
    at: float = 1000.0,
    n: int = 1,
    session: int = 1,
    topics: wire.Topics = ONE,
) -> bytes:
    fields = {"state": state, "at": "", "at_unix": at, "version": "0"}
    return wire.from_edge(topics, "status", fields, serial=n, session=session, key=key)


def report(backlog: int, n: int = 1, session: int = 1, key: Ed25519PrivateKey = KEY) -> bytes:
    fields = {"at_unix": 1000.0, "backlog": backlog}
    return wire.from_edge(ONE, "health", fields, serial=n, session=session, key=key)


def change_key(keys: EdgeKeys, old: Ed25519PrivateKey, new: Ed25519PrivateKey) -> None:
    """Somebody asks for it, and the edge makes the new one known; its first word by that is still to come."""
    rotations = Rotations(keys._database, Audit(keys._database))
    assert rotations.ask("north", "box-1", "owner", 1000.0)
    ((_, command),) = rotations.commands()
    id_, _ = wire.decode_rotate(command)
    assert rotations.word(ONE.key, wire.new_key_payload(ONE, id_, old, new), 1000.0)


def changed(payload: bytes, **changes: Any) -> dict[str, Any]:
    """After it was signed."""
    return {**wire.decode(payload), **changes}


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    broker = Mosquitto(tmp_path)
    broker.start()
    yield broker
    broker.kill()


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def keys(tmp_path: Path) -> Iterator[EdgeKeys]:
    database = Database(sqlite_url(tmp_path / "keys.sqlite"))
    yield EdgeKeys(database, first_sight=True)
    database.close()


@pytest.fixture
def told() -> list[list[str]]:
    return []


@pytest.fixture
def start(
    broker: Mosquitto, store: MemoryStore, keys: EdgeKeys, told: list[list[str]]
) -> Iterator[Callable[..., Ingest]]:
    started: list[Ingest] = []

    def start(on_stored: Callable[[list[str]], None] = told.append) -> Ingest:
        started.append(Ingest(store, Broker(port=broker.port), SystemClock(), on_stored, keys=keys, key=HUB))
        started[-1].start()
        return started[-1]

    yield start
    for one in started:
        assert one.stop(10.0)


@pytest.fixture
def sender(broker: Mosquitto, start: Callable[..., Ingest]) -> Iterator[Sender]:
    """With an ingest already listening."""
    one = start()
    assert soon(lambda: one.connected)
    with closing(Sender(broker.port)) as sender:
        yield sender


def test_an_alert_is_stored_told_and_acknowledged(
    sender: Sender, store: MemoryStore, keys: EdgeKeys, told: list[list[str]]
) -> None:
    sender.say(ONE.alerts, alert("a"))
    assert soon(lambda: sender.acked == ["a"])
    assert list(store.alerts) == ["a"]
    assert soon(lambda: told == [["a"]])  # an edge is answered first
    assert keys.active("north", "box-1") == PUBLIC


def test_a_double_is_acknowledged_again_but_not_told_again(
    sender: Sender, store: MemoryStore, told: list[list[str]]
) -> None:
    for _ in range(3):
        sender.say(ONE.alerts, alert("a"))
    assert soon(lambda: sender.acked == ["a", "a", "a"])
    assert soon(lambda: told == [["a"]])  # an edge is answered first


def test_many_share_one_commit(sender: Sender, store: MemoryStore) -> None:
    for n in range(300):
        sender._client.publish(ONE.alerts, wire.encode(alert(f"{n}")), qos=1)
    assert soon(lambda: len(sender.acked) == 300)
    assert sender.acked == [f"{n}" for n in range(300)]
    assert len(store.batches) < 150
    assert max(store.batches) <= ingest_module.BATCH


class Views:
    """What cameras show, as it is kept; what comes after the first waits for `go_on`."""

    def __init__(self) -> None:
        self.order: list[str] = []
        self.commits = 0
        self.go_on = threading.Event()

    @contextmanager
    def together(self) -> Iterator[None]:
        self.commits += 1
        yield

    def keep(self, _topic: str, payload: bytes, _at: float) -> None:
        if payload == b"odd":
            raise RuntimeError
        self.order.append(payload.decode())
        assert self.go_on.wait(20)

    def stored(self, ids: list[str]) -> None:
        self.order += ids


@pytest.fixture
def views() -> Views:
    return Views()


@pytest.fixture
def watched(broker: Mosquitto, store: MemoryStore, keys: EdgeKeys, views: Views) -> Iterator[Sender]:
    """With an ingest that has one view in its hands."""
    more: dict[str, Any] = {"views": {"census": views.keep}, "together": views.together}
    one = Ingest(store, Broker(port=broker.port), SystemClock(), views.stored, keys=keys, key=HUB, **more)
    one.start()
    assert soon(lambda: one.connected)
    with closing(Sender(broker.port)) as sender:
        sender.say(ONE.census, b"first")
        assert soon(lambda: views.order)
        yield sender
    assert one.stop(10.0)


def test_what_cameras_show_waits_for_the_alerts_that_came_with_it_and_shares_commits(
    watched: Sender, views: Views
) -> None:
    for n in range(10):
        watched.say(ONE.alerts, alert(f"{n}"))
        watched.say(ONE.census, b"view")
    views.go_on.set()
    assert soon(lambda: len(views.order) == 21)
    assert views.order[1].isdigit() and views.order[-1] == "view"
    assert views.commits < 11


def test_a_view_that_cannot_be_dealt_with_costs_no_other(watched: Sender, store: MemoryStore, views: Views) -> None:
    for payload in (b"one", b"odd", b"two"):
        watched.say(ONE.census, payload)
    views.go_on.set()
    assert soon(lambda: {"one", "two"} <= set(views.order))
    assert soon(lambda: [reason for _, reason in store.refusals] == ["can't be dealt with: RuntimeError"])


def nested(depth: int) -> bytes:
    return b'{"schema":1,"x":' + b"[" * depth + b"]" * depth + b"}"


FORGED = alert("f")
FORGED["after"]["severity"] = "info"
REFUSED: list[tuple[str, bytes | dict[str, Any], str]] = [
    (ONE.alerts, b"\x00noise", "not JSON"),
    (ONE.alerts, b"{}", "schema None"),
    (ONE.alerts, nested(900), "alert: id is missing"),
    (ONE.alerts, FORGED, "signature does not fit"),
    (ONE.alerts, {**alert("f"), "signature": "AAAA"}, "signature does not fit"),
    (ONE.alerts, alert("f", THIEF), "not the one this hub knows"),
    (ONE.alerts, {**alert("f"), "key": 7}, "not the one this hub knows"),
    ("labelwatch/north/box-2/alerts", alert("f"), "not those of the topic"),
    ("labelwatch/north/b x/alerts", alert("f"), "no name that a configuration may give"),
    (TWO.alerts, wire.decode(status("online", n=2)), "alert: id is missing"),
    (ONE.status, status("dancing", n=2), "neither online nor offline"),
    (ONE.status, {"schema": 1, "state": "offline", "at_unix": 1.0, "public_key": PUBLIC}, "status: site is missing"),
    (ONE.status, changed(status("online", n=2), state="offline"), "signature does not fit"),
    (ONE.status, changed(status("online", n=2), key="short"), "not the one this hub knows"),
    (ONE.status, status("online", THIEF, n=2), "not the one this hub knows"),
    (ONE.status, changed(status("online", THIEF, n=2), key=PUBLIC), "signature does not fit"),
    (ONE.status, changed(status("online", n=2), serial=2**60), "no such number"),
    (ONE.status, changed(status("online", n=2), session=True), "session is missing or of a wrong type"),
    (ONE.status, json.dumps(changed(status("online"), at_unix=float("nan"))).encode(), "not JSON"),
    (ONE.status, report(1, n=2), "not those of the topic"),
    (ONE.status, wire.encode(alert("f")), "status: what is missing"),
    (ONE.health, status("online", n=2), "not those of the topic"),
    (TWO.status, status("online", n=2), "not those of the topic"),
    (ONE.health, b"[]", "not a JSON object"),
    (ONE.health, report(1, n=2, key=THIEF), "not the one this hub knows"),
    (ONE.alerts, alert("f", sent_at_unix=4e9), "from the future"),
    (ONE.alerts, alert("f", sent_at_unix=1e300), "from the future"),
]


@pytest.mark.parametrize(("topic", "payload", "reason"), REFUSED, ids=[r for _, _, r in REFUSED])
def test_what_is_not_believed_is_put_on_record_and_holds_up_nothing(
    sender: Sender, store: MemoryStore, keys: EdgeKeys, topic: str, payload: Any, reason: str
) -> None:
    sender.say(ONE.status, status("online"))
    sender.say(topic, payload)
    sender.say(ONE.alerts, alert("good"))
    assert soon(lambda: sender.acked == ["good"])
    ((of, why),) = store.refusals
    assert of == topic
    assert reason in why
    assert list(store.alerts) == ["good"]
    assert keys.active("north", "box-1") == PUBLIC


def test_an_alert_without_any_key_of_an_unknown_edge_is_refused(
    sender: Sender, store: MemoryStore, keys: EdgeKeys
) -> None:
    fields = alert("a")
    del fields["key"]
    sender.say(ONE.alerts, wire.signed(fields, KEY))
    assert soon(lambda: store.refusals)
    assert keys.of("north", "box-1") == []


def test_a_flood_of_one_kind_is_put_on_record_once(sender: Sender, store: MemoryStore) -> None:
    for _ in range(50):
        sender._client.publish(ONE.alerts, b"noise", qos=1)
    sender.say(ONE.alerts, alert("good"))
    assert soon(lambda: sender.acked == ["good"])
    assert store.refusals == [(ONE.alerts, "not JSON")]


def test_status_counts_from_when_it_happened(
    broker: Mosquitto, start: Callable[..., Ingest], store: MemoryStore
) -> None:
    with closing(Sender(broker.port)) as sender:
        sender.say(ONE.status, status("online", at=1000.0), retain=True)
        start()
        assert soon(lambda: store.states == [("north", "box-1", "online", 1000.0)])
        sender.say(ONE.status, status("offline", at=1000.0), retain=True)  # a last will, written before that
        assert soon(lambda: len(store.states) == 2)
        assert store.states[1][2] == "offline"
        assert store.states[1][3] > 1_600_000_000


def test_health_is_kept(sender: Sender, store: MemoryStore) -> None:
    sender.say(ONE.health, report(3))
    assert soon(lambda: store.health.get(("north", "box-1"), {}).get("backlog") == 3)


def test_an_old_word_that_is_said_again_is_refused(sender: Sender, store: MemoryStore) -> None:
    before, after = report(1, n=11, session=10), report(2, n=12, session=10)
    for payload in (before, after, before, after):
        sender.say(ONE.health, payload)
    for payload in (
        status("online", n=10, session=10),
        status("offline", n=9, session=9),  # of a connection before
        status("offline", n=10, session=10),  # the last will, as old as the first word
        status("online", n=10, session=10),
        status("online", n=20, session=20),
    ):
        sender.say(ONE.status, payload)
    sender.say(ONE.health, report(3, n=13, session=10))
    sender.say(ONE.alerts, alert("end"))
    assert soon(lambda: sender.acked == ["end"])
    assert [state for _, _, state, _ in store.states] == ["online", "offline", "online"]
    assert store.health["north", "box-1"]["backlog"] == 2
    assert {topic for topic, why in store.refusals if "says it again" in why} == {ONE.health, ONE.status}


def test_the_last_word_of_an_edge_tells_nothing_new_when_it_is_said_again(
    sender: Sender, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    reports: list[int] = []
    monkeypatch.setattr(store, "set_health", lambda _site, _edge, fields, _at: reports.append(fields["serial"]))
    words = [
        (ONE.status, status("online", n=11, session=10)),
        (ONE.health, report(1, n=12, session=10)),
        (ONE.status, status("offline", n=10, session=10)),  # its last will, before it is gone
        (ONE.health, report(2, n=13, session=10)),
    ]
    for topic, payload in words:
        sender.say(topic, payload)
        sender.say(topic, payload)
    sender.say(*words[2])
    sender.say(*words[3])
    sender.say(ONE.alerts, alert("end"))
    assert soon(lambda: sender.acked == ["end"])
    assert [state for _, _, state, _ in store.states] == ["online", "offline"]
    assert reports == [12, 13]
    assert store.refusals == [], "brokers bring a word once more"


@pytest.mark.parametrize("is_restarted", [False, True])
def test_a_key_that_was_replaced_says_no_more_of_its_edge_than_that_the_connection_of_then_broke(
    broker: Mosquitto, store: MemoryStore, keys: EdgeKeys, *, is_restarted: bool
) -> None:
    old, new = Ed25519PrivateKey.generate(), KEY
    first = [
        (ONE.status, status("online", old, n=11, session=10)),
        (ONE.health, report(1, n=12, session=10, key=old)),
        (ONE.health, report(2, n=14, session=10, key=new)),
    ]
    by_old = [
        (ONE.health, report(3, n=13, session=10, key=old)),
        (ONE.health, report(4, n=99, session=90, key=old)),  # whoever has the key may say what he likes
        (ONE.status, status("online", old, n=11, session=10)),  # which the broker still keeps
        (ONE.status, status("offline", old, n=98, session=90)),
        (ONE.status, status("offline", old, n=10, session=10)),
        (ONE.status, status("offline", old, n=97, session=10)),
    ]
    then = [
        (ONE.status, status("online", new, n=21, session=20)),
        (ONE.health, report(5, n=22, session=20, key=new)),
    ]

    def listen(words: list[tuple[str, bytes]]) -> None:
        heard = Heard(lambda: store.health.values())
        ingest = Ingest(
            store, Broker(port=broker.port), SystemClock(), lambda _ids: None, keys=keys, key=HUB, heard=heard
        )
        ingest.start()
        try:
            with closing(Sender(broker.port)) as sender:
                assert soon(lambda: ingest.connected)
                for topic, payload in words:
                    sender.say(topic, payload)
                sender.say(ONE.alerts, alert("end", old))
                assert soon(lambda: sender.acked == ["end"])
        finally:
            assert ingest.stop(10.0)

    listen(first[:2])
    change_key(keys, old, new)
    for words in [first[2:], by_old] if is_restarted else [first[2:] + by_old]:
        listen(words)
    assert [state for _, _, state, _ in store.states] == ["online", "offline"]
    assert store.health["north", "box-1"]["backlog"] == 2
    listen(then)
    assert [state for _, _, state, _ in store.states][2:] == ["online"]
    assert store.health["north", "box-1"]["backlog"] == 5


def test_a_hub_that_was_restarted_knows_how_far_each_edge_had_come(
    broker: Mosquitto, store: MemoryStore, keys: EdgeKeys
) -> None:
    kept = [wire.decode(report(2, n=12, session=10)), {"schema": 1, "backlog": "of an older version"}]
    ingest = Ingest(
        store, Broker(port=broker.port), SystemClock(), lambda _ids: None, keys=keys, key=HUB, heard=Heard(lambda: kept)
    )
    ingest.start()
    try:
        with closing(Sender(broker.port)) as sender:
            assert soon(lambda: ingest.connected)
            sender.say(ONE.health, report(1, n=11, session=10))
            sender.say(ONE.status, status("offline", n=9, session=9))
            sender.say(ONE.status, status("online", n=10, session=10))
            sender.say(ONE.alerts, alert("end"))
            assert soon(lambda: sender.acked == ["end"])
            assert not store.health
            assert [state for _, _, state, _ in store.states] == ["online"]
    finally:
        assert ingest.stop(10.0)


class Clocks:
    """Knows how far the clock of an edge is ahead."""

    def status(self, site: str, edge: str, state: str, at: float) -> None: ...

    def report(self, site: str, edge: str, fields: Mapping[str, Any], at: float) -> None: ...

    def ahead_s(self, site: str, edge: str) -> float:
        return 3600.0 if edge == "box-1" else 0.0


def test_what_comes_from_the_future_waits_at_its_edge_unless_its_clock_is_known_to_be_ahead(
    broker: Mosquitto, store: MemoryStore, keys: EdgeKeys
) -> None:
    now = SystemClock().now()
    ingest = Ingest(
        store, Broker(port=broker.port), SystemClock(), lambda _ids: None, keys=keys, key=HUB, watch=Clocks()
    )
    ingest.start()
    two = {"site": "north", "edge": "box-2"}
    try:
        with closing(Sender(broker.port)) as sender:
            assert soon(lambda: ingest.connected)
            sender.say(ONE.alerts, alert("an hour", sent_at_unix=now + 3600))
            sender.say(ONE.alerts, alert("two hours", sent_at_unix=now + 7200))
            sender.say(TWO.alerts, alert("ten minutes", sent_at_unix=now + 600, **two))
            sender.say(TWO.alerts, alert("four minutes", sent_at_unix=now + 240, **two))
            assert soon(lambda: sender.acked == ["an hour", "four minutes"])
            assert soon(lambda: sender.early == ["two hours", "ten minutes"])
            assert set(store.alerts) == {"an hour", "four minutes"}
            assert {why for _, why in store.refusals} == {"from the future: it waits at its edge"}
    finally:
        assert ingest.stop(10.0)


def test_on_a_disk_that_is_nearly_full_an_edge_that_brought_much_waits_and_others_go_on(
    broker: Mosquitto, store: MemoryStore, keys: EdgeKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("detector.hub.edges.ingest.SHORT_A_DAY", 10_000)
    full = [False]
    ingest = Ingest(
        store, Broker(port=broker.port), SystemClock(), lambda _ids: None, keys=keys, key=HUB,
        is_short=lambda: full[0],
    )  # fmt: skip
    ingest.start()
    two = {"site": "north", "edge": "box-2"}
    try:
        with closing(Sender(broker.port)) as sender:
            assert soon(lambda: ingest.connected)
            sender.say(ONE.alerts, alert("while there was room", snapshot="a" * 20_000))
            assert soon(lambda: sender.acked == ["while there was room"])
            full[0] = True
            sender.say(ONE.alerts, alert("another"))
            sender.say(TWO.alerts, alert("of another edge", **two))
            assert soon(lambda: sender.acked[1:] == ["of another edge"] and sender.early == ["another"])
            assert [why[:29] for _, why in store.refusals] == ["the hub's disk is nearly full"]
            full[0] = False
            sender.say(ONE.alerts, alert("another"))
            assert soon(lambda: sender.acked[2:] == ["another"])
    finally:
        assert ingest.stop(10.0)


def test_what_the_disk_had_no_room_for_is_no_part_of_what_an_edge_brought(
    broker: Mosquitto, store: MemoryStore, keys: EdgeKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("detector.hub.edges.ingest.SHORT_A_DAY", 10_000)
    ingest = Ingest(
        store, Broker(port=broker.port), SystemClock(), lambda _ids: None, keys=keys, key=HUB, is_short=lambda: True
    )
    ingest.start()
    try:
        with closing(Sender(broker.port)) as sender:
            assert soon(lambda: ingest.connected)
            store.broken = True
            sender.say(ONE.alerts, alert("tomorrow's", sent_at_unix=SystemClock().now() + DAY_S))
            sender.say(ONE.alerts, alert("a", snapshot="a" * 6000))
            assert soon(lambda: store.failed)
            store.broken = False
            assert soon(lambda: (sender.acked, sender.early) == (["a"], ["tomorrow's"])), "each once"
            for _ in range(4):
                sender.say(ONE.alerts, alert("a"))
            assert soon(lambda: sender.acked == ["a"] * 5)
            for name in "bcdef":
                sender._client.publish(ONE.alerts, wire.encode(alert(name)), qos=1)
            assert soon(lambda: sender.early[1:] == ["f"]), "a double takes no room, and what comes together does"
            assert sender.acked[5:] == ["b", "c", "d", "e"]
    finally:
        assert ingest.stop(10.0)


def test_who_says_very_much_at_once_waits_for_a_fair_pace_while_others_speak(
    broker: Mosquitto, store: MemoryStore, keys: EdgeKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("detector.hub.edges.ingest.AT_ONCE", 4 * LEAST)
    clock = SteppedClock()
    ingest = Ingest(store, Broker(port=broker.port), clock, lambda _ids: None, keys=keys, key=HUB)
    ingest.start()
    two = {"site": "north", "edge": "box-2"}
    try:
        with closing(Sender(broker.port)) as sender:
            assert soon(lambda: ingest.connected)
            for n in range(9):
                sender.say(ONE.alerts, alert(f"alone {n}"))
            assert soon(lambda: len(sender.acked) == 9), "there was nobody to wait for it"
            sender.say(TWO.alerts, alert("another's", **two))
            assert soon(lambda: "another's" in sender.acked)
            for n in range(9):
                sender.say(ONE.alerts, alert(f"flood {n}"))
            sender.say(TWO.alerts, alert("another's again", **two))
            assert soon(lambda: "another's again" in sender.acked)
            assert sender.acked.count("flood 3") == 1 and "flood 4" not in sender.acked
            assert store.refusals == [], "a backlog may be as much"
            sender.say(ONE.status, status("online"))
            assert soon(lambda: store.states), "which no edge says again"
            clock.at += 60
            sender.say(ONE.alerts, alert("flood 4"))
            assert soon(lambda: "flood 4" in sender.acked)
    finally:
        assert ingest.stop(10.0)


def test_what_came_while_the_hub_was_away_is_taken_in_later(
    broker: Mosquitto, start: Callable[..., Ingest], store: MemoryStore
) -> None:
    first = start()
    assert soon(lambda: first.connected)
    assert first.stop(10.0)
    with closing(Sender(broker.port)) as sender:
        for n in range(50):
            sender.say(ONE.alerts, alert(f"{n}"))
        start()
        assert soon(lambda: len(sender.acked) == 50)


def test_many_that_came_while_the_hub_was_away_do_not_keep_it_out_of_the_broker_that_pip_brings(
    tmp_path: Path, store: MemoryStore, keys: EdgeKeys
) -> None:
    embedded = EmbeddedBroker(tmp_path, None)
    broker = Broker(port=embedded.start())
    hubs = [Ingest(store, broker, SystemClock(), lambda _: None, keys=keys, key=HUB) for _ in range(2)]
    try:
        hubs[0].start()
        assert soon(lambda: hubs[0].connected)
        assert hubs[0].stop(10.0)
        with closing(Sender(broker.port)) as sender:
            for n in range(350):
                sender.say(ONE.alerts, alert(f"{n}"))
            hubs[1].start()
            assert soon(lambda: hubs[1].connected and len(set(sender.acked)) == 350)
    finally:
        assert hubs[1].stop(10.0)
        embedded.stop()


def test_edges_are_greeted_where_the_broker_knew_nothing_of_the_hub_and_only_there(
    broker: Mosquitto, store: MemoryStore, keys: EdgeKeys
) -> None:
    heard: list[str] = []

    def session() -> None:
        known = [("north", "box-1"), ("north", "box-2")]
        one = Ingest(
            store, Broker(port=broker.port), SystemClock(), lambda _: None, edges=lambda: known, keys=keys, key=HUB
        )
        one.start()
        assert soon(lambda: one.connected)
        sender.say(ONE.alerts, alert(f"after-{len(heard)}"))
        assert soon(lambda: sender.acked)
        sender.acked.clear()
        assert one.stop(10.0)

    with closing(Sender(broker.port)) as sender:
        client = sender._client
        client.message_callback_add("labelwatch/north/+/ack", lambda c, u, m: (
            heard.append(m.topic) if not wire.acked_ids(m.payload) else sender.acked.extend(wire.acked_ids(m.payload))
        ))  # fmt: skip
        session()
        assert heard == ["labelwatch/north/box-1/ack", "labelwatch/north/box-2/ack"]
        session()
        assert len(heard) == 2


def test_a_database_that_goes_away_and_comes_back_loses_nothing(sender: Sender, store: MemoryStore) -> None:
    store.broken = True
    for n in range(5):
        sender.say(ONE.alerts, alert(f"{n}"))
    assert not soon(lambda: sender.acked, 0.5)
    store.broken = False
    assert soon(lambda: sorted(store.alerts) == ["0", "1", "2", "3", "4"])
    assert soon(lambda: sorted(set(sender.acked)) == ["0", "1", "2", "3", "4"])


def test_what_an_edge_said_before_is_no_old_word_where_the_newer_one_could_not_be_stored(
    sender: Sender, store: MemoryStore
) -> None:
    store.broken = True
    sender._client.publish(ONE.health, report(1, n=5, session=2), qos=0)
    assert soon(lambda: store.failed)
    store.broken = False
    sender.say(ONE.status, status("offline", n=3))
    sender.say(ONE.status, status("online", n=4, session=2))
    assert soon(lambda: [state for *_, state, _at in store.states] == ["offline", "online"])
    assert store.refusals == []


def test_an_alert_that_the_store_cannot_take_holds_up_no_other(sender: Sender, store: MemoryStore) -> None:
    store.poison = {"3"}
    for n in range(6):
        sender._client.publish(ONE.alerts, wire.encode(alert(f"{n}")), qos=1)
    assert soon(lambda: sorted(sender.acked) == ["0", "1", "2", "4", "5"])
    assert any("3 can't be stored: OverflowError" in reason for _, reason in store.refusals)


def test_what_one_edge_has_wrong_is_told_in_few_words_and_costs_no_other_its_commit(
    keys: EdgeKeys, caplog: pytest.LogCaptureFixture
) -> None:
    class Strict(MemoryStore):
        def add_alerts(
            self,
            fields_list: Sequence[Mapping[str, Any]],
            received_at: float,
            bringers: Mapping[str, tuple[str, str]] = NOTHING,
        ) -> list[str]:
            if any(fields["id"].startswith("wrong") for fields in fields_list):
                raise WireError("too much")
            return super().add_alerts(fields_list, received_at, bringers)

    strict = Strict()
    of_two = [alert(f"right {n}", site="north", edge="box-2") for n in range(5)]
    ingest = Ingest(strict, Broker(port=1), SteppedClock(), lambda _ids: None, keys=keys, key=HUB)
    came = [alert("wrong 1"), *of_two, alert("wrong 2"), alert("right")]
    new, stored = ingest._keep([_Believed(fields, (fields["site"], fields["edge"]), 1) for fields in came], 0.0)
    assert new == [alert.fields["id"] for alert in stored] == ["right", *(fields["id"] for fields in of_two)]
    assert strict.batches == [1, 5]
    assert [reason for _, reason in strict.refusals] == [f"wrong {n} can't be stored: too much" for n in (1, 2)]
    assert not caplog.records


def test_a_listener_that_fails_costs_nothing(
    broker: Mosquitto, start: Callable[..., Ingest], caplog: pytest.LogCaptureFixture
) -> None:
    def fail(ids: list[str]) -> None:
        raise RuntimeError(f"no one listens to {ids}")

    one = start(fail)
    assert soon(lambda: one.connected)
    with closing(Sender(broker.port)) as sender:
        sender.say(ONE.alerts, alert("a"))
        sender.say(ONE.alerts, alert("b"))
        assert soon(lambda: sender.acked == ["a", "b"])
        assert soon(lambda: "what waits for new alerts failed" in caplog.text)


def test_commands_are_left_with_the_broker_and_told_anew_when_they_change(
    broker: Mosquitto, store: MemoryStore, keys: EdgeKeys
) -> None:
    commands = [(ONE.thresholds, word("first"))]
    where = Broker(port=broker.port)
    hub = Ingest(store, where, SystemClock(), lambda _ids: None, commands=lambda: list(commands), keys=keys, key=HUB)
    hub.start()
    heard: list[tuple[str, str, bool]] = []

    def hear(_client: Client, _userdata: Any, message: Any) -> None:
        fields = wire.decode(message.payload)
        wire.check_to_edge(message.topic, fields, wire.public_key_text(HUB))
        heard.append((message.topic, fields["word"], message.retain))

    try:
        assert soon(lambda: hub.connected)
        with closing(Sender(broker.port)) as edge:
            edge._client.on_message = hear
            assert soon(lambda: edge._client.subscribe("labelwatch/north/box-1/cmd/#", qos=1) and heard)
            commands[:] = [(ONE.thresholds, word("second"))]
            hub.tell_commands()
            # each SUBSCRIBE brings the retained message again: one still under way may arrive after this one
            assert soon(lambda: (ONE.thresholds, "second", False) in heard)
            assert heard[0][:2] == (ONE.thresholds, "first")
            broker.kill()
            broker.start()
            assert soon(lambda: edge._client.is_connected() and hub.connected)
            heard.clear()
            assert soon(lambda: edge._client.subscribe("labelwatch/north/box-1/cmd/#", qos=1) and heard)
            assert soon(lambda: heard[-1][:2] == (ONE.thresholds, "second"))
    finally:
        assert hub.stop(10.0)


def test_a_store_that_can_not_say_the_commands_is_asked_again(
    broker: Mosquitto, store: MemoryStore, keys: EdgeKeys
) -> None:
    asked: list[int] = []

    def commands() -> list[tuple[str, bytes]]:
        asked.append(1)
        if len(asked) == 1:
            raise ConnectionError("the database went away")
        return [(ONE.thresholds, word("state"))]

    hub = Ingest(
        store, Broker(port=broker.port), SystemClock(), lambda _ids: None, commands=commands, keys=keys, key=HUB
    )
    hub.start()
    try:
        assert soon(lambda: len(asked) >= 2 and hub.connected)
    finally:
        assert hub.stop(10.0)


def test_refusals_are_logged_with_their_number(sender: Sender, caplog: pytest.LogCaptureFixture) -> None:
    sender.say(ONE.alerts, b"noise\n2027 ERROR forged line")
    assert soon(lambda: "1 messages were not taken" in caplog.text)
    assert json.dumps(ONE.alerts).strip('"') in caplog.text
