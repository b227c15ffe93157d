"""The link to the hub against a real mosquitto: what it sends, when it lets go, and how it comes back."""

from __future__ import annotations

import json
import logging
import resource
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from detector import wire
from detector.alerts import mqtt
from detector.alerts.alert_queue import WINDOW, Row
from detector.alerts.mqtt import MqttLink
from detector.alerts.outbox import Outbox
from detector.clock import SystemClock
from detector.config import Broker
from detector.errors import WireError
from detector.mqtt import connection
from detector.mqtt.broker import EmbeddedBroker
from detector.mqtt.connection import Attempts, LinkError, back_off_s
from tests.parts_link import Link
from tests.parts_mosquitto import Mosquitto, soon

TOPICS = wire.Topics("north", "box-1")
HUB = Ed25519PrivateKey.from_private_bytes(bytes([7]) * 32)
Fields = Callable[..., dict[str, Any]]


def word(text: str, topic: str = TOPICS.thresholds) -> bytes:
    """Something that the hub says on a topic."""
    return wire.to_edge(topic, wire.encode({"schema": wire.SCHEMA, "word": text}), HUB, time.time())


def acknowledgement(ids: list[str]) -> bytes:
    """The hub's."""
    return wire.to_edge(TOPICS.ack, wire.ack_payload(ids), HUB, time.time())


class Peer:
    """Another client of the broker: hears everything it may, in order, and says what it is told to."""

    def __init__(self, port: int, username: str | None = None, password: str | None = None) -> None:
        self.heard: list[tuple[str, bytes, bool]] = []
        self.expiry: list[int | None] = []
        self.refusals: list[str] = []
        self._client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
        if username:
            self._client.username_pw_set(username, password)
        self._subscribed = threading.Event()
        self._client.on_message = self._on_message
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._client.on_publish = lambda c, u, mid, reason, p: (
            self.refusals.append(str(reason)) if reason.is_failure else None
        )
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        self._client.subscribe("#", qos=1)
        assert self._subscribed.wait(20)

    def _on_message(self, client: Client, userdata: Any, message: Any) -> None:
        self.heard.append((message.topic, message.payload, message.retain))
        self.expiry.append(getattr(message.properties, "MessageExpiryInterval", None))

    def of(self, topic: str) -> list[dict[str, Any]]:
        return [json.loads(payload) for at, payload, _ in list(self.heard) if at == topic]

    def say(self, topic: str, payload: bytes, retain: bool = False) -> None:
        self._client.publish(topic, payload, qos=1, retain=retain).wait_for_publish(20)

    def acknowledge(self, ids: list[str]) -> None:
        self.say(TOPICS.ack, acknowledgement(ids))

    def acknowledge_all(self) -> None:
        self.say(TOPICS.ack, acknowledgement([fields["id"] for fields in self.of(TOPICS.alerts)]))

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    broker = Mosquitto(tmp_path)
    yield broker
    broker.kill()


@pytest.fixture
def outbox(open_outbox: Callable[..., Outbox]) -> Outbox:
    return open_outbox(clock=SystemClock())


@pytest.fixture
def commands() -> list[bytes]:
    """Threshold commands that reached the edge."""
    return []


@pytest.fixture
def link_to(outbox: Outbox, key: Ed25519PrivateKey, commands: list[bytes]) -> Iterator[Callable[..., MqttLink]]:
    links: list[MqttLink] = []

    def link_to(port: int, **settings: Any) -> MqttLink:
        where = Broker(port=port, **settings)
        taken = {TOPICS.thresholds: commands.append}
        links.append(MqttLink(outbox, TOPICS, where, SystemClock(), key, taken))
        links[-1].start()
        return links[-1]

    yield link_to
    for link in links:
        assert link.stop(10.0)


def test_alerts_wait_for_a_broker_that_comes_later(
    broker: Mosquitto, outbox: Outbox, link_to: Callable[..., MqttLink], fields: Fields
) -> None:
    ids = [outbox.put(fields()) for _ in range(3)]
    link = link_to(broker.port)
    time.sleep(0.1)
    assert not link.connected
    broker.start()
    with closing(Peer(broker.port)) as peer:
        assert soon(lambda: len(peer.of(TOPICS.alerts)) >= 3)
        assert [fields["id"] for fields in peer.of(TOPICS.alerts)][:3] == ids


def test_only_the_hub_s_word_empties_the_outbox(
    broker: Mosquitto, outbox: Outbox, link_to: Callable[..., MqttLink], fields: Fields
) -> None:
    broker.start()
    with closing(Peer(broker.port)) as peer:
        link = link_to(broker.port)
        outbox.put(fields())
        assert soon(lambda: peer.of(TOPICS.alerts))
        assert outbox.counts()["backlog"] == 1
        assert link.last_ack_at is None
        peer.say(TOPICS.ack, b"not json")
        peer.say(TOPICS.ack, acknowledgement(["somebody else's"]))
        peer.acknowledge_all()
        assert soon(lambda: outbox.counts()["backlog"] == 0)
        assert link.last_ack_at is not None
        assert link.connected


def test_a_restarted_broker_gets_what_it_lost(
    broker: Mosquitto, outbox: Outbox, link_to: Callable[..., MqttLink], fields: Fields
) -> None:
    broker.start()
    link = link_to(broker.port)
    outbox.put(fields())
    assert soon(lambda: link.connected)
    broker.kill()
    outbox.put(fields())
    broker.start()
    with closing(Peer(broker.port)) as peer:
        assert soon(lambda: {fields["seq"] for fields in peer.of(TOPICS.alerts)} == {1, 2})


def test_a_hub_that_greets_gets_at_once_what_no_hub_was_there_for(
    broker: Mosquitto, outbox: Outbox, link_to: Callable[..., MqttLink], fields: Fields, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("detector.alerts.alert_queue.FIRST_RESEND_S", 600.0)
    broker.start()
    link_to(broker.port)
    id_ = outbox.put(fields())
    assert soon(lambda: outbox.take_due() == [] and outbox._alerts.in_flight)
    with closing(Peer(broker.port)) as peer:
        peer.say(TOPICS.ack, acknowledgement([]))
        assert soon(lambda: [fields["id"] for fields in peer.of(TOPICS.alerts)] == [id_])


def test_however_many_alerts_a_connection_brings_it_sends_no_more_at_once(
    broker: Mosquitto, outbox: Outbox, link_to: Callable[..., MqttLink], fields: Fields
) -> None:
    broker.start()
    with closing(Peer(broker.port)) as peer:
        link = link_to(broker.port)
        for _ in range(WINDOW):
            outbox.put(fields())
        assert soon(lambda: len(peer.of(TOPICS.alerts)) == WINDOW)
        assert soon(lambda: not link._unconfirmed)
        assert link._at_once == WINDOW


def test_on_a_line_that_stands_no_more_is_under_way_than_it_carries_in_seconds(
    broker: Mosquitto, outbox: Outbox, link_to: Callable[..., MqttLink], fields: Fields
) -> None:
    broker.start()
    picture = "x" * 20_000
    with closing(Peer(broker.port)) as peer, closing(Link(broker.port)) as line:
        link = link_to(line.port)
        for _ in range(WINDOW):
            outbox.put(fields())
        assert soon(lambda: len(peer.of(TOPICS.alerts)) == WINDOW and not link._unconfirmed)
        peer.acknowledge_all()
        line.stall()
        for _ in range(WINDOW):
            outbox.put(fields(snapshot=picture))
        assert soon(lambda: len(link._unconfirmed) > 1)
        time.sleep(0.5)
        under_way = sum(len(row.payload) for row in link._unconfirmed.values())
        assert under_way < 100_000, "of two million that wait"
        line.mend()
        assert soon(lambda: len({one["id"] for one in peer.of(TOPICS.alerts)}) == 2 * WINDOW), "nothing stays behind"


def test_what_the_hub_can_not_take_yet_stands_in_nobody_s_way(
    broker: Mosquitto, outbox: Outbox, link_to: Callable[..., MqttLink], fields: Fields, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("detector.alerts.mqtt.SILENCE_S", 0.3)
    broker.start()
    with closing(Peer(broker.port)) as peer:
        link = link_to(broker.port)
        early = [outbox.put(fields()) for _ in range(WINDOW + 20)]

        def all_answered() -> bool:
            came = [fields["id"] for fields in peer.of(TOPICS.alerts)]
            peer.say(TOPICS.ack, wire.to_edge(TOPICS.ack, wire.early_payload(came), HUB, time.time()))
            return set(early) <= set(came)

        assert soon(all_answered)
        times = len(peer.of(TOPICS.status))
        late = outbox.put(fields())
        assert soon(lambda: peer.of(TOPICS.alerts)[-1]["id"] == late)
        peer.acknowledge([late])
        assert soon(lambda: outbox.counts()["backlog"] == len(early))
        assert outbox.counts()["dead"] == 0
        assert link.connected
        assert len(peer.of(TOPICS.status)) == times  # nor is the connection doubted
        outbox.resend_all()  # as after a new connection
        assert {row.id for row in outbox.take_due()} <= set(early)


def test_a_thread_that_takes_over_from_one_that_is_stuck_sends_what_waits(
    broker: Mosquitto, outbox: Outbox, link_to: Callable[..., MqttLink], fields: Fields, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk, take_due = threading.Event(), outbox.take_due
    stuck: list[threading.Thread] = []

    def slow(*args: Any) -> list[Row]:
        """A disk that gives nothing back to who asks first with an alert under way."""
        rows = take_due(*args)
        if link._unconfirmed and not stuck:
            stuck.append(threading.current_thread())
            disk.wait(20)
        return rows

    broker.start()
    with closing(Peer(broker.port)) as peer:
        link = link_to(broker.port)
        assert soon(lambda: link.connected)
        monkeypatch.setattr(outbox, "take_due", slow)
        ids: set[str] = set()
        assert soon(lambda: ids.add(outbox.put(fields())) or stuck)  # until one comes while another is under way
        link.start()
        assert soon(lambda: ids <= {one["id"] for one in peer.of(TOPICS.alerts)})
        disk.set()
        stuck[0].join(20)
        ids.add(outbox.put(fields()))
        assert soon(lambda: ids <= {one["id"] for one in peer.of(TOPICS.alerts)})


def test_more_than_a_window_drains_without_waiting_for_resends(
    broker: Mosquitto, outbox: Outbox, link_to: Callable[..., MqttLink], fields: Fields
) -> None:
    for _ in range(250):
        outbox.put(fields())
    broker.start()
    with closing(Peer(broker.port)) as peer:
        link_to(broker.port)

        def drained() -> bool:
            peer.acknowledge_all()
            return outbox.counts()["backlog"] == 0

        assert soon(drained)
        assert list(dict.fromkeys(fields["seq"] for fields in peer.of(TOPICS.alerts))) == list(range(1, 251))


def test_status_is_retained_and_the_broker_tells_of_a_sudden_death(
    broker: Mosquitto, link_to: Callable[..., MqttLink], key: Ed25519PrivateKey
) -> None:
    broker.start()
    link = link_to(broker.port)
    assert soon(lambda: link.connected)
    with closing(Peer(broker.port)) as peer:
        assert soon(lambda: peer.of(TOPICS.status))
        (topic, _, retained), status = peer.heard[0], peer.of(TOPICS.status)[0]
        assert (topic, retained, status["state"]) == (TOPICS.status, True, "online")
        assert status["public_key"] == wire.public_key_text(key)
        assert {"schema", "at", "at_unix", "version"} <= status.keys()
        # Somebody else takes our client id: to the broker that is as if our connection broke.
        thief = Client(
            CallbackAPIVersion.VERSION2, client_id="labelwatch:north:box-1", protocol=MQTTProtocolVersion.MQTTv5
        )
        thief.connect("127.0.0.1", broker.port)
        thief.loop(0.2)
        thief.loop(0.2)
        assert soon(lambda: [s["state"] for s in peer.of(TOPICS.status)][:2] == ["online", "offline"])
        thief.disconnect()
        thief.loop(0.2)
        assert soon(lambda: peer.of(TOPICS.status)[-1]["state"] == "online")


def test_a_command_kept_by_the_broker_reaches_an_edge_that_comes_later_and_the_next_one_at_once(
    broker: Mosquitto, outbox: Outbox, link_to: Callable[..., MqttLink], commands: list[bytes], fields: Fields
) -> None:
    broker.start()
    with closing(Peer(broker.port)) as peer:
        first, second, theirs = word("first"), word("second"), wire.Topics("north", "box-2").thresholds
        peer.say(TOPICS.thresholds, first, retain=True)
        peer.say(theirs, word("another's", theirs), retain=True)
        link_to(broker.port)
        assert soon(lambda: commands == [first])
        peer.say(TOPICS.thresholds, second, retain=True)
        assert soon(lambda: commands == [first, second])
        outbox.put(fields())
        assert soon(lambda: peer.of(TOPICS.alerts))
        peer.acknowledge_all()
        assert soon(lambda: outbox.counts()["backlog"] == 0)


def test_the_broker_that_pip_brings_keeps_commands_too(
    tmp_path: Path, link_to: Callable[..., MqttLink], commands: list[bytes]
) -> None:
    pytest.importorskip("iotcore")
    broker = EmbeddedBroker(tmp_path, mosquitto=None)
    port = broker.start()
    try:
        with closing(Peer(port)) as peer:
            first, second = word("first"), word("second")
            peer.say(TOPICS.thresholds, first, retain=True)
            link = link_to(port)
            assert soon(lambda: commands == [first])
            peer.say(TOPICS.thresholds, second, retain=True)
            assert soon(lambda: commands == [first, second])
            assert link.stop(5.0)
    finally:
        broker.stop()


def test_words_that_are_not_the_hub_s_change_nothing(
    broker: Mosquitto, outbox: Outbox, link_to: Callable[..., MqttLink], commands: list[bytes], fields: Fields
) -> None:
    broker.start()
    with closing(Peer(broker.port)) as peer:
        link_to(broker.port)
        id_ = outbox.put(fields())
        assert soon(lambda: peer.of(TOPICS.alerts))
        peer.say(TOPICS.ack, acknowledgement(["the hub is known from here on"]))
        stranger = Ed25519PrivateKey.generate()
        peer.say(TOPICS.ack, wire.ack_payload([id_]))
        peer.say(TOPICS.ack, wire.to_edge(TOPICS.ack, wire.ack_payload([id_]), stranger, time.time()))
        peer.say(TOPICS.thresholds, wire.encode({"schema": wire.SCHEMA, "word": "unsigned"}))
        peer.say(TOPICS.thresholds, acknowledgement([id_]))
        genuine = word("the last")
        peer.say(TOPICS.thresholds, genuine)
        assert soon(lambda: commands)
        assert commands == [genuine]
        assert outbox.counts()["backlog"] == 1


def test_stopping_says_offline(broker: Mosquitto, link_to: Callable[..., MqttLink]) -> None:
    broker.start()
    with closing(Peer(broker.port)) as peer:
        link = link_to(broker.port)
        assert soon(lambda: link.connected)
        assert link.stop(5.0)
        assert not link.connected
        assert soon(lambda: [s["state"] for s in peer.of(TOPICS.status)] == ["online", "offline"])


@pytest.mark.parametrize("listening", [False, True])
def test_stopping_does_not_wait_for_a_broker_that_does_not_answer(
    link_to: Callable[..., MqttLink], listening: bool
) -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        if listening:
            deaf.listen()
        link = link_to(deaf.getsockname()[1])
        time.sleep(0.2)
        assert link.stop(5.0)


def test_health_goes_out_with_an_expiry_and_only_the_newest_is_kept(
    broker: Mosquitto, link_to: Callable[..., MqttLink]
) -> None:
    link = link_to(broker.port)
    link.publish_health({"n": 1})
    link.publish_health({"n": 2})
    broker.start()
    with closing(Peer(broker.port)) as peer:

        def heard() -> bool:
            if not peer.of(TOPICS.health):
                link.publish_health({"n": 3})
            return bool(peer.of(TOPICS.health))

        assert soon(heard)
        assert peer.of(TOPICS.health)[0]["n"] in (2, 3)
        at = next(n for n, (topic, _, _) in enumerate(peer.heard) if topic == TOPICS.health)
        assert 0 < (peer.expiry[at] or 0) <= mqtt.HEALTH_EXPIRY_S
    with pytest.raises(WireError):
        link.publish_health({"n": float("inf")})


def test_what_the_broker_can_not_take_is_buried_and_the_rest_passes(
    tmp_path: Path, outbox: Outbox, link_to: Callable[..., MqttLink], fields: Fields
) -> None:
    broker = Mosquitto(tmp_path, "allow_anonymous true\nmax_packet_size 20000")
    broker.start()
    outbox.put(fields(snapshot="x" * 30_000))
    outbox.put(fields())
    try:
        with closing(Peer(broker.port)) as peer:
            link_to(broker.port)
            assert soon(lambda: peer.of(TOPICS.alerts))
            assert peer.of(TOPICS.alerts)[0]["seq"] == 2
            assert outbox.counts()["dead"] == 1
    finally:
        broker.kill()


@contextmanager
def no_larger(file: Path) -> Iterator[None]:
    """No file can be written beyond the size that this one has."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (file.stat().st_size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_where_nothing_can_be_deleted_acknowledgements_do_not_break_the_link(
    tmp_path: Path,
    broker: Mosquitto,
    outbox: Outbox,
    link_to: Callable[..., MqttLink],
    fields: Fields,
    caplog: pytest.LogCaptureFixture,
) -> None:
    for _ in range(3):
        outbox.put(fields(snapshot="x" * 200_000))
    broker.start()
    with closing(Peer(broker.port)) as peer:
        link_to(broker.port)
        assert soon(lambda: len(peer.of(TOPICS.alerts)) == 3)
        with no_larger(tmp_path / "outbox.db-wal"):
            peer.acknowledge_all()
            assert soon(lambda: "can't be deleted yet" in caplog.text)
            assert outbox.counts()["backlog"] == 3
        peer.acknowledge_all()
        assert soon(lambda: outbox.counts()["backlog"] == 0)
        assert [told["state"] for told in peer.of(TOPICS.status)] == ["online"]


def test_silence_of_the_hub_makes_it_connect_anew_but_ever_less_often(
    broker: Mosquitto,
    outbox: Outbox,
    link_to: Callable[..., MqttLink],
    fields: Fields,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(mqtt, "SILENCE_S", 0.3)
    broker.start()
    with closing(Peer(broker.port)) as peer:
        outbox.put(fields())
        link = link_to(broker.port)
        assert soon(lambda: len(peer.of(TOPICS.alerts)) >= 3)
        assert link._silence_s >= 0.6
        assert "is the hub running?" in caplog.text
        peer.acknowledge_all()
        assert soon(lambda: outbox.counts()["backlog"] == 0)


def test_a_broker_that_lets_an_edge_in_and_refuses_its_alerts_is_told_of_and_not_the_hub(
    tmp_path: Path,
    outbox: Outbox,
    link_to: Callable[..., MqttLink],
    fields: Fields,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(mqtt, "SILENCE_S", 0.3)
    rights = tmp_path / "acl"
    rights.write_text("topic readwrite labelwatch/north/box-2/#\n")  # somebody set up this box as another
    broker = Mosquitto(tmp_path, f"allow_anonymous true\nacl_file {rights}")
    broker.start()
    outbox.put(fields())
    try:
        link_to(broker.port)
        assert soon(lambda: f"refuses what is sent to {TOPICS.alerts}: Not authorized" in caplog.text)
        assert "is the hub running?" not in caplog.text
        assert outbox.counts()["backlog"] == 1
    finally:
        broker.kill()


@contextmanager
def spoken_to_in_311(broker: Mosquitto) -> Iterator[int]:
    """A port on which this broker knows no MQTT 5."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def pass_on(whence: socket.socket, whither: socket.socket) -> None:
            with whence, whither, suppress(OSError):
                try:
                    while data := whence.recv(65536):
                        whither.sendall(data)
                finally:  # a broker that hangs up on what it hasn't read resets the connection
                    whither.shutdown(socket.SHUT_RDWR)

        def serve() -> None:
            with suppress(OSError):  # closed
                while True:
                    edge, _ = server.accept()
                    hello = edge.recv(65536)
                    if hello[hello.index(b"MQTT") + 4] == 5:
                        edge.close()
                        continue
                    own = socket.create_connection(("127.0.0.1", broker.port))
                    own.sendall(hello)
                    for whence, whither in ((edge, own), (own, edge)):
                        threading.Thread(target=pass_on, args=(whence, whither), daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]


def test_what_a_broker_of_3_1_1_hangs_up_on_lets_all_others_pass(
    tmp_path: Path, outbox: Outbox, link_to: Callable[..., MqttLink], fields: Fields, caplog: pytest.LogCaptureFixture
) -> None:
    broker = Mosquitto(tmp_path, "allow_anonymous true\nmax_packet_size 20000")
    broker.start()
    outbox.put(fields(snapshot="x" * 30_000, severity="critical"))
    for _ in range(5):
        outbox.put(fields())
    try:
        with closing(Peer(broker.port)) as peer, spoken_to_in_311(broker) as port:
            link_to(port)
            assert soon(lambda: {told["seq"] for told in peer.of(TOPICS.alerts)} == {2, 3, 4, 5, 6}, 60)
            assert caplog.text.count("breaks the link, maybe since the broker takes none of 30") == 1
            peer.acknowledge_all()
            assert soon(lambda: outbox.counts()["backlog"] == 1)
            assert outbox.counts()["dead"] == 0
    finally:
        broker.kill()


def test_what_the_outbox_gives_up_is_suspected_no_more(
    tmp_path: Path, outbox: Outbox, link_to: Callable[..., MqttLink], fields: Fields, caplog: pytest.LogCaptureFixture
) -> None:
    broker = Mosquitto(tmp_path, "allow_anonymous true\nmax_packet_size 20000")
    broker.start()
    outbox.put(fields(snapshot="x" * 30_000))
    (large,) = outbox.take_due()
    try:
        with spoken_to_in_311(broker) as port:
            link = link_to(port)
            assert soon(lambda: "breaks the link" in caplog.text, 60)
            assert [*link._breaking] == [large.id]
            outbox.bury(large, "there is no room for it")
            broker.kill()
            assert soon(lambda: not link.connected)
            broker.start()
            assert soon(lambda: link.connected, 60) and soon(lambda: not link._breaking)
    finally:
        broker.kill()


def only_311(port: int, stop: threading.Event, seen: list[int]) -> None:
    """A broker of MQTT 3.1.1 as far as the link can tell: hangs up on MQTT 5, takes 3.1.1 and its subscription."""
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(("127.0.0.1", port))
        server.listen()
        server.settimeout(0.1)
        while not stop.is_set():
            try:
                peer, _ = server.accept()
            except TimeoutError:
                continue
            with peer:
                peer.settimeout(5)
                connect = peer.recv(4096)
                level = connect[connect.index(b"MQTT") + 4]
                seen.append(level)
                if level != 4:
                    continue
                peer.sendall(bytes([0x20, 2, 0, 0]))
                packets = peer.recv(4096)
                at = packets.index(0x82)
                peer.sendall(bytes([0x90, 3, packets[at + 2], packets[at + 3], 1]))
                stop.wait(10)


def test_a_broker_without_mqtt_5_is_spoken_to_in_3_1_1(link_to: Callable[..., MqttLink]) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    stop, seen = threading.Event(), []
    thread = threading.Thread(target=only_311, args=(port, stop, seen))
    thread.start()
    try:
        link = link_to(port)
        assert soon(lambda: link.connected)
        assert seen == [5, 4]
        link._stopping.set()
    finally:
        stop.set()
        thread.join()


def test_a_wrong_password_is_said_once_and_never_shown(
    tmp_path: Path, link_to: Callable[..., MqttLink], caplog: pytest.LogCaptureFixture
) -> None:
    passwords, secret = tmp_path / "passwords", tmp_path / "secret"
    subprocess.run(["mosquitto_passwd", "-b", "-c", str(passwords), "north.box-1", "right"], check=True)
    secret.write_text("wr0ng-passw0rd\n")
    broker = Mosquitto(tmp_path, f"allow_anonymous false\npassword_file {passwords}")
    broker.start()
    try:
        link = link_to(broker.port, username="north.box-1", password_file=secret)
        assert soon(lambda: "refused us: Not authorized" in caplog.text)
        assert not soon(lambda: link.connected, 2.0)
        assert caplog.text.count("Not authorized") == 1
        assert "wr0ng" not in caplog.text
    finally:
        broker.kill()


def test_two_boxes_of_one_name_are_told_of_once_and_wait_ever_longer(
    broker: Mosquitto, link_to: Callable[..., MqttLink], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    broker.start()
    with closing(Peer(broker.port)) as peer:
        link_to(broker.port)
        link_to(broker.port)
        assert soon(lambda: len([told for told in peer.of(TOPICS.status) if told["state"] == "online"]) >= 6)
    said = [record.getMessage() for record in caplog.records if record.name == mqtt.logger.name]
    assert sum("as labelwatch:north:box-1: does a second one run under this name?" in line for line in said) == 2
    assert len(said) <= 6, said


def test_boxes_of_different_sites_are_never_taken_for_each_other(
    tmp_path: Path, broker: Mosquitto, key: Ed25519PrivateKey
) -> None:
    broker.start()
    links = []
    for site, edge in (("north", "dock-1"), ("north-dock", "1")):
        outbox = Outbox(tmp_path / site / "outbox.db", key, clock=SystemClock())
        links.append((MqttLink(outbox, wire.Topics(site, edge), Broker(port=broker.port), SystemClock(), key), outbox))
    with closing(Peer(broker.port)) as peer:
        for link, _ in links:
            link.start()
            assert soon(lambda link=link: link.connected)
        assert not soon(lambda: any(told["state"] == "offline" for told in statuses(peer)), 2.0)
        for link, outbox in links:
            assert link.stop(10.0)
            outbox.close()


def statuses(peer: Peer) -> list[dict[str, Any]]:
    return [json.loads(payload) for topic, payload, _ in list(peer.heard) if topic.endswith("/status")]


def test_a_connection_that_breaks_at_once_counts_as_a_failure_and_one_that_held_does_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 0.0
    monkeypatch.setattr(connection.time, "monotonic", lambda: now)
    attempts = Attempts()
    broken = LinkError("the connection was lost")
    assert attempts.failed(broken, served=True)
    for _ in range(5):
        now += attempts.pause_s + 0.5
        assert not attempts.failed(broken, served=True) and attempts.flapping
    assert attempts.pause_s >= 2.0
    now += attempts.pause_s + 60.0
    assert attempts.failed(broken, served=True) and not attempts.flapping
    assert attempts.pause_s <= 1.0


def test_waits_double_up_to_some_seconds_and_differ_from_edge_to_edge() -> None:
    for failures, longest in ((1, 1.0), (2, 2.0), (3, 4.0), (6, 4.0), (1000, 4.0)):
        waits = [back_off_s(failures) for _ in range(50)]
        assert longest / 2 <= min(waits) < max(waits) <= longest
