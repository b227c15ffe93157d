"""The mosquitto configuration that we ship, started for real: TLS, passwords, and who may write what."""

from __future__ import annotations

import ipaddress
import re
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from detector import wire
from detector.alerts.mqtt import MqttLink
from detector.alerts.outbox import Outbox
from detector.clock import SystemClock
from detector.config import Broker
from tests.conftest import REPOSITORY
from tests.parts_mosquitto import Mosquitto, soon

SHIPPED = REPOSITORY / "configs" / "mosquitto"
PASSWORDS = {"hub": "hub-pass", "north.box-1": "one-pass", "north.box-2": "two-pass"}


def make_certificate(folder: Path) -> None:
    """A certificate for 127.0.0.1 that is its own authority: ca.crt, server.crt, server.key."""
    key = generate_private_key(SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "labelwatch test")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, SHA256())
    )
    for file in ("ca.crt", "server.crt"):
        (folder / file).write_bytes(made.public_bytes(Encoding.PEM))
    (folder / "server.key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    """mosquitto with the shipped files, their paths and port replaced."""
    text = (SHIPPED / "labelwatch.conf").read_text(encoding="utf-8")
    text = re.sub(r"^listener .*\n", "", text, flags=re.MULTILINE)
    text = text.replace("/etc/mosquitto/labelwatch/", f"{tmp_path}/").replace("/var/lib/mosquitto/", f"{tmp_path}/")
    broker = Mosquitto(tmp_path, text)
    (tmp_path / "acl").write_text((SHIPPED / "acl").read_text(encoding="utf-8"), encoding="utf-8")
    (tmp_path / "passwords").touch(0o600)
    for user, password in PASSWORDS.items():
        subprocess.run(["mosquitto_passwd", "-b", str(tmp_path / "passwords"), user, password], check=True)
        (tmp_path / f"{user}.secret").write_text(password)
    make_certificate(tmp_path)
    broker.start()
    yield broker
    broker.kill()


class User:
    """A client that logs in by TLS and password, and hears whatever it is allowed to hear."""

    def __init__(self, broker: Mosquitto, folder: Path, name: str) -> None:
        self.heard: list[tuple[str, bytes]] = []
        self._subscribed = threading.Event()
        self._client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
        self._client.tls_set(str(folder / "ca.crt"))
        self._client.username_pw_set(name, PASSWORDS[name])
        self._client.on_message = lambda client, userdata, message: self.heard.append((message.topic, message.payload))
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._client.connect("127.0.0.1", broker.port)
        self._client.loop_start()
        self._client.subscribe("labelwatch/#", qos=1)
        assert self._subscribed.wait(20)

    def say(self, topic: str, payload: bytes, retain: bool = False) -> None:
        self._client.publish(topic, payload, qos=1, retain=retain).wait_for_publish(20)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@pytest.fixture
def login(broker: Mosquitto, tmp_path: Path) -> Iterator[Callable[[str], User]]:
    users: list[User] = []

    def login(name: str) -> User:
        users.append(User(broker, tmp_path, name))
        return users[-1]

    yield login
    for user in users:
        user.close()


def test_an_edge_speaks_for_itself_only(login: Callable[[str], User]) -> None:
    hub, one, two = login("hub"), login("north.box-1"), login("north.box-2")
    for topic in ("alerts", "status", "health", "ack", "cmd/x"):
        for edge in ("box-1", "box-2"):
            one.say(f"labelwatch/north/{edge}/{topic}", f"one: {edge}/{topic}".encode())
    hub.say("labelwatch/north/box-1/ack", b"hub: 1")
    hub.say("labelwatch/north/box-2/cmd/x", b"hub: 2")
    hub.say("labelwatch/north/box-2/ack", b"hub: end")
    two.say("labelwatch/north/box-2/alerts", b"two: end")
    assert soon(lambda: ("labelwatch/north/box-2/alerts", b"two: end") in hub.heard)
    assert soon(lambda: ("labelwatch/north/box-1/ack", b"hub: 1") in one.heard)
    assert soon(lambda: ("labelwatch/north/box-2/ack", b"hub: end") in two.heard)
    assert [payload for _, payload in hub.heard] == [
        b"one: box-1/alerts",
        b"one: box-1/status",
        b"one: box-1/health",
        b"two: end",
    ]
    assert one.heard == [("labelwatch/north/box-1/ack", b"hub: 1")]
    assert [payload for _, payload in two.heard] == [b"hub: 2", b"hub: end"]


def test_only_the_hub_commands_and_an_edge_hears_its_own_commands_alone(login: Callable[[str], User]) -> None:
    hub, one = login("hub"), login("north.box-1")
    one_s, two_s = (wire.Topics("north", edge).thresholds for edge in ("box-1", "box-2"))
    for topic in (one_s, two_s):
        one.say(topic, b"forged", retain=True)
    hub.say(two_s, b"for two", retain=True)
    hub.say(one_s, b"for one", retain=True)
    assert soon(lambda: one.heard == [(one_s, b"for one")])
    late = login("north.box-2")  # what the broker kept comes with the subscription
    assert soon(lambda: late.heard == [(two_s, b"for two")])
    assert hub.heard == []


def test_the_link_comes_in_by_tls_and_password(
    broker: Mosquitto,
    tmp_path: Path,
    login: Callable[[str], User],
    open_outbox: Callable[..., Outbox],
    key: Ed25519PrivateKey,
    fields: Callable[..., dict[str, Any]],
) -> None:
    outbox = open_outbox(clock=SystemClock())
    hub = login("hub")
    where = Broker(
        port=broker.port,
        username="north.box-1",
        password_file=tmp_path / "north.box-1.secret",
        ca_file=tmp_path / "ca.crt",
    )
    link = MqttLink(outbox, wire.Topics("north", "box-1"), where, SystemClock(), key)
    link.start()
    id_ = outbox.put(fields())
    assert soon(lambda: any(topic.endswith("/alerts") for topic, _ in hub.heard))
    hub.say("labelwatch/north/box-1/ack", wire.ack_payload([id_]))
    assert soon(lambda: outbox.counts()["backlog"] == 0)
    assert link.stop(5.0)


def test_without_tls_or_password_nobody_comes_in(broker: Mosquitto, tmp_path: Path) -> None:
    plain = Client(CallbackAPIVersion.VERSION2)
    plain.connect("127.0.0.1", broker.port)
    assert soon(lambda: plain.loop(0.1) != 0)
    nobody = Client(CallbackAPIVersion.VERSION2)
    nobody.tls_set(str(tmp_path / "ca.crt"))
    reasons: list[str] = []
    nobody.on_connect = lambda client, userdata, flags, reason, properties: reasons.append(str(reason))
    nobody.connect("127.0.0.1", broker.port)
    assert soon(lambda: nobody.loop(0.1) != 0)
    assert reasons == ["Not authorized"]
    stranger = Client(CallbackAPIVersion.VERSION2)
    stranger.tls_set()
    with pytest.raises(ssl.SSLCertVerificationError):
        stranger.connect("127.0.0.1", broker.port)
