"""The mosquitto configuration that we ship, filled in by `labelwatch certs` and started for real: who gets in, who may
write and read what. By what arrives: a forbidden subscription is answered "granted" all the same.
"""

from __future__ import annotations

import itertools
import re
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from detector import wire
from detector.alerts.mqtt import PACKET_OVERHEAD, MqttLink
from detector.alerts.outbox import Outbox
from detector.clock import SystemClock
from detector.config import Broker
from detector.credentials.authority import key_pem
from detector.credentials.certs import SHIPPED, make_certificates, revoke_edge, sign_edge
from detector.mqtt.broker import LARGEST_PACKET, free_port
from detector.mqtt.connection import CertificateError, check_certificate
from detector.wire import LARGEST_ALERT
from tests.conftest import REPOSITORY
from tests.parts_mosquitto import Mosquitto, soon

HUB, ONE, TWO, THREE = "hub", "north/box-1", "north/box-2", "north/box-3"
LINK = "integrations"
PASSWORDS = {TWO: "two-pass", THREE: "three-pass", "onvif": "o", "north/box-1/cmd": "x", "north/+": "x"}
UPWARD = ("alerts", "status", "health", "picture", "layout", "census", "key")
DOWNWARD = ("ack", "cmd/thresholds", "cmd/zones", "cmd/picture", "cmd/rotate", "cmd/x/y")
ODD = (
    "labelwatch/north/alerts", "labelwatch/north/box-1/x/alerts", "labelwatch/alerts", "labelwatch//north/box-1/ack",
    "labelwatch/hub/ack", "labelwatch/hub/alerts", "$SYS/broker/version", "alerts", "other/north/box-1/ack",
)  # fmt: skip
INTEGRATIONS = ("labelwatch-hub/onvif/north/box-1/onvif-ej/x", "homeassistant/device/x/config")


class Shipped(Mosquitto):
    """mosquitto with the shipped configuration; only ports are others, and where it logs."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.folder = folder / "certs"
        self.log = folder / "log"
        self.with_passwords = free_port()
        make_certificates(self.folder, ["broker.lan"], [ONE, TWO], time.time())
        for user, password in PASSWORDS.items():
            subprocess.run(["mosquitto_passwd", "-b", self.folder / "broker" / "passwords", user, password], check=True)
        conf = self.folder / "broker" / "mosquitto.conf"
        text = conf.read_text(encoding="utf-8")
        for port, taken in ((8883, self.port), (8884, self.with_passwords)):
            text = text.replace(f"listener {port}\n", f"listener {taken} 127.0.0.1\n")
        text = re.sub(r"^user .*$", "user root", text, flags=re.MULTILINE)  # no other may enter pytest's folders
        conf.write_text(f"{text}\nlog_dest file {self.log}\n", encoding="utf-8")
        self._command[-1] = str(conf)

    def files(self, who: str) -> Path:
        return self.folder / (who if who in (HUB, LINK) else f"edges/{who}")

    def reload(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGHUP)


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shipped]:
    broker = Shipped(tmp_path_factory.mktemp("shipped"))
    broker.start()
    yield broker
    broker.kill()


class User:
    """A client that comes in by certificate, or else by password, and hears whatever it is allowed to hear."""

    def __init__(
        self,
        broker: Shipped,
        who: str,
        *,
        client_id: str = "",
        filters: tuple[str, ...] = ("#", "$SYS/#"),
        will: tuple[str, bytes] | None = None,
        by_password: bool = False,
        claims: str | None = None,
    ) -> None:
        self.heard: set[tuple[str, str]] = set()
        self.lost = threading.Event()
        ready = threading.Event()
        self._client = Client(CallbackAPIVersion.VERSION2, client_id, protocol=MQTTProtocolVersion.MQTTv5)
        ca = str(broker.folder / "hub" / "ca.crt")
        if by_password:
            self._client.tls_set(ca)
            self._client.username_pw_set(who, PASSWORDS[who])
        else:
            files = broker.files(who)
            self._client.tls_set(ca, str(files / "client.crt"), str(files / "client.key"))
            if claims:
                self._client.username_pw_set(claims, PASSWORDS.get(claims))
        if will:
            self._client.will_set(*will, qos=1)
        self._client.on_message = lambda c, u, message: self.heard.add((message.topic, message.payload.decode()))
        self._client.on_subscribe = lambda *_: ready.set()
        self._client.on_disconnect = lambda *_: self.lost.set()
        self._client.connect("127.0.0.1", broker.with_passwords if by_password else broker.port)
        self._client.loop_start()
        self._client.subscribe([(one, 1) for one in filters])
        assert ready.wait(20)

    def say(self, topic: str, text: str, retain: bool = False) -> None:
        self._client.publish(topic, text.encode(), qos=1, retain=retain).wait_for_publish(20)

    def drop(self) -> None:
        """As by a power cut: without a goodbye."""
        self._client.loop_stop()
        self._client.socket().close()

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@pytest.fixture
def login(broker: Shipped) -> Iterator[Callable[..., User]]:
    users: list[User] = []

    def login(who: str, **more: Any) -> User:
        users.append(User(broker, who, **more))
        return users[-1]

    yield login
    for user in users:
        user.close()


def own(edge: str, kinds: tuple[str, ...]) -> set[str]:
    return {f"labelwatch/{edge}/{kind}" for kind in kinds}


EVERYTHING = sorted({*own(ONE, UPWARD + DOWNWARD), *own(TWO, UPWARD + DOWNWARD), *ODD, *INTEGRATIONS})
MAY_WRITE = {
    HUB: own(ONE, DOWNWARD) | own(TWO, DOWNWARD) | {"labelwatch/hub/alerts"},
    LINK: set(INTEGRATIONS),
    ONE: own(ONE, UPWARD),
    TWO: own(TWO, UPWARD),
    "onvif": set(),
}
MAY_READ = {
    HUB: own(ONE, UPWARD) | own(TWO, UPWARD) | {"labelwatch/hub/ack"},
    LINK: set(INTEGRATIONS),
    ONE: own(ONE, DOWNWARD),
    TWO: own(TWO, DOWNWARD),
    "onvif": {"labelwatch-hub/onvif/north/box-1/onvif-ej/x"},
}


def test_who_hears_what_of_whom(login: Callable[..., User]) -> None:
    """Every user writes to every topic, retained, and everybody listens to everything: then, and later."""
    by_password = {TWO: True, "onvif": True}
    users = {who: login(who, by_password=by_password.get(who, False)) for who in MAY_WRITE}
    sharing = login(THREE, by_password=True, filters=("$share/group/labelwatch/#", "$share/g/#"))
    for (who, user), topic in itertools.product(users.items(), EVERYTHING):
        user.say(topic, f"{who} wrote", retain=True)
    wanted = {
        reader: {(topic, f"{who} wrote") for who, topics in MAY_WRITE.items() for topic in topics & MAY_READ[reader]}
        for reader in users
    }
    ends = {ONE: HUB, TWO: HUB, HUB: ONE}
    for reader, writer in ends.items():  # what the broker has taken before this one, it has passed on before this one
        topic = "labelwatch/north/box-1/alerts" if reader == HUB else f"labelwatch/{reader}/ack"
        users[writer].say(topic, "end")
        wanted[reader].add((topic, "end"))
    for reader, user in users.items():
        assert soon(lambda user=user, reader=reader: user.heard >= wanted[reader]), reader
        assert user.heard == wanted[reader], reader
    assert sharing.heard == set()
    kept = {who: {one for one in wanted[who] if one[1] != "end"} for who in (HUB, ONE, TWO)}
    for reader in kept:
        users[reader].close()
        late = login(reader)
        assert soon(lambda late=late, reader=reader: late.heard >= kept[reader]), reader
        assert late.heard == kept[reader], reader


def test_a_name_with_more_slashes_or_wildcards_reaches_no_edge(login: Callable[..., User]) -> None:
    hub, one = login(HUB), login(ONE)
    for odd in ("north/box-1/cmd", "north/+"):
        user = login(odd, by_password=True)
        for topic in EVERYTHING:
            if topic != "labelwatch/north/box-1/cmd/picture":  # why no such name is ever given out
                user.say(topic, f"{odd} wrote")
        assert user.heard == set() or odd == "north/box-1/cmd"
    hub.say("labelwatch/north/box-1/ack", "end of names")
    assert soon(lambda: ("labelwatch/north/box-1/ack", "end of names") in one.heard)
    assert not any(text.endswith("wrote") and text.startswith("north/box-1/cmd") for _, text in one.heard | hub.heard)


def test_a_last_will_reaches_no_further_than_a_word(login: Callable[..., User]) -> None:
    hub = login(HUB)
    for topic in (f"labelwatch/{TWO}/status", f"labelwatch/{ONE}/ack", f"labelwatch/{TWO}/cmd/zones"):
        login(ONE, client_id=topic, will=(topic, b"forged will")).drop()
    login(ONE, will=(f"labelwatch/{ONE}/status", b"own will")).drop()
    assert soon(lambda: (f"labelwatch/{ONE}/status", "own will") in hub.heard)
    assert "forged will" not in {text for _, text in hub.heard}


@pytest.mark.parametrize("client_id", ["labelwatch:north:box-1", ONE, HUB, "labelwatch-hub"])
def test_nobody_pushes_another_out_by_his_client_id(login: Callable[..., User], client_id: str) -> None:
    hub, one = login(HUB, client_id="labelwatch-hub"), login(ONE, client_id="labelwatch:north:box-1")
    thief = login(TWO, client_id=client_id, by_password=True)
    hub.say(f"labelwatch/{ONE}/ack", f"after {client_id}")
    one.say(f"labelwatch/{ONE}/alerts", f"after {client_id}")
    assert soon(lambda: (f"labelwatch/{ONE}/ack", f"after {client_id}") in one.heard)
    assert soon(lambda: (f"labelwatch/{ONE}/alerts", f"after {client_id}") in hub.heard)
    assert not one.lost.is_set()
    assert not hub.lost.is_set()
    assert (f"labelwatch/{ONE}/ack", f"after {client_id}") not in thief.heard


def test_the_certificate_says_who_one_is_whatever_one_claims(login: Callable[..., User]) -> None:
    hub, liar = login(HUB), login(ONE, claims=TWO)
    liar.say(f"labelwatch/{TWO}/alerts", "as two")
    liar.say(f"labelwatch/{ONE}/alerts", "as one")
    assert soon(lambda: (f"labelwatch/{ONE}/alerts", "as one") in hub.heard)
    assert (f"labelwatch/{TWO}/alerts", "as two") not in hub.heard


def test_the_link_comes_in_by_certificate_or_by_password(
    broker: Shipped,
    tmp_path: Path,
    login: Callable[..., User],
    open_outbox: Callable[..., Outbox],
    key: Ed25519PrivateKey,
    fields: Callable[..., dict[str, Any]],
) -> None:
    outbox = open_outbox(clock=SystemClock())
    hub, files, ca = login(HUB), broker.files(ONE), broker.folder / "hub" / "ca.crt"
    secret = tmp_path / "secret"
    secret.write_text(PASSWORDS[THREE])
    for edge, where in (
        ("box-1", Broker(port=broker.port, ca_file=ca, cert_file=files / "client.crt", key_file=files / "client.key")),
        (
            "box-3",
            Broker(port=broker.with_passwords, ca_file=ca, username="north/box-3", password_file=tmp_path / "secret"),
        ),
    ):
        link = MqttLink(outbox, wire.Topics("north", edge), where, SystemClock(), key)
        link.start()
        id_ = outbox.put(fields(edge=edge))
        assert soon(lambda id_=id_: any(id_ in text for _, text in hub.heard)), edge
        hub.say(f"labelwatch/north/{edge}/ack", wire.ack_payload([id_]).decode())
        assert soon(lambda: outbox.counts()["backlog"] == 0)
        assert link.stop(5.0)


def answer(port: int, context: ssl.SSLContext | None, user: tuple[str, str] | None = None) -> str:
    """What the broker says to somebody who comes in so: a reason, or why it didn't get that far."""
    client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
    reasons: list[str] = []
    client.on_connect = lambda c, u, f, reason, p: reasons.append(str(reason))
    if context:
        client.tls_set_context(context)
    if user:
        client.username_pw_set(*user)
    try:
        client.connect("127.0.0.1", port)
        deadline = time.monotonic() + 20
        while not reasons and time.monotonic() < deadline:
            if client.loop(0.1):
                break
    except OSError as error:
        return type(error).__name__
    finally:
        client.disconnect()
    return reasons[0] if reasons else "cut off"


def context(broker: Shipped, folder: Path | None = None) -> ssl.SSLContext:
    made = ssl.create_default_context(cafile=str(broker.folder / "hub" / "ca.crt"))
    if folder:
        made.load_cert_chain(folder / "client.crt", folder / "client.key")
    return made


def issued(folder: Path, place: Path, edge: str = "box-9", now: float | None = None) -> Path:
    place.mkdir()
    key = ec.generate_private_key(ec.SECP256R1())
    asked = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())
    csr = asked.public_bytes(serialization.Encoding.PEM).decode()
    (place / "client.crt").write_text(sign_edge(folder, "north", edge, csr, now))
    (place / "client.key").write_bytes(key_pem(key))
    return place


def test_without_a_good_certificate_nobody_comes_in(broker: Shipped, tmp_path: Path) -> None:
    good = issued(broker.folder, tmp_path / "good")
    expired = issued(broker.folder, tmp_path / "expired", now=time.time() - 5 * 365 * 86400)
    early = issued(broker.folder, tmp_path / "early", now=time.time() + 5 * 86400)
    make_certificates(tmp_path / "others", ["broker.lan"], [ONE], time.time())
    served = tmp_path / "served"
    served.mkdir()
    for kind in ("crt", "key"):
        shutil.copy(broker.folder / "broker" / f"server.{kind}", served / f"client.{kind}")
    assert answer(broker.port, context(broker, good)) == "Success"
    out = {"cut off", "SSLError", "ConnectionResetError", "BrokenPipeError", "SSLEOFError"}
    for who in (None, expired, early, tmp_path / "others" / "edges" / ONE, served):
        assert answer(broker.port, context(broker, who)) in out, who
        assert answer(broker.port, context(broker, who), (TWO, PASSWORDS[TWO])) in out, who
    assert answer(broker.port, None) in out
    assert answer(broker.with_passwords, None, (TWO, PASSWORDS[TWO])) in out
    with pytest.raises(ssl.SSLCertVerificationError):
        stranger = ssl.create_default_context()
        with socket.create_connection(("127.0.0.1", broker.port)) as plain:
            stranger.wrap_socket(plain, server_hostname="127.0.0.1")


def test_whoever_is_kept_out_for_a_certificate_is_told_what_is_wrong_with_it(broker: Shipped, tmp_path: Path) -> None:
    ca = broker.folder / "hub" / "ca.crt"
    make_certificates(tmp_path / "others", ["broker.lan"], [ONE], time.time())

    def wrong(folder: Path | None) -> str:
        files = {} if folder is None else {"cert_file": folder / "client.crt", "key_file": folder / "client.key"}
        try:
            check_certificate(Broker(port=broker.port, ca_file=ca, **files))
        except CertificateError as error:
            return str(error)
        return ""

    assert wrong(issued(broker.folder, tmp_path / "good")) == ""
    assert "it has expired" in wrong(issued(broker.folder, tmp_path / "expired", now=time.time() - 5 * 365 * 86400))
    assert "not valid yet" in wrong(issued(broker.folder, tmp_path / "early", now=time.time() + 5 * 86400))
    assert "an authority that the broker doesn't know" in wrong(tmp_path / "others" / "edges" / ONE)
    assert "there is none" in wrong(None)


def test_a_replaced_authority_of_the_broker_counts_from_the_next_attempt_on(
    broker: Shipped,
    tmp_path: Path,
    open_outbox: Callable[..., Outbox],
    key: Ed25519PrivateKey,
    caplog: pytest.LogCaptureFixture,
) -> None:
    files, authority, other = broker.files(ONE), tmp_path / "ca.crt", tmp_path / "other"
    make_certificates(other, ["broker.lan"], [], time.time())
    shutil.copy(other / "hub" / "ca.crt", authority)
    where = Broker(port=broker.port, ca_file=authority, cert_file=files / "client.crt", key_file=files / "client.key")
    link = MqttLink(open_outbox(clock=SystemClock()), wire.Topics("north", "box-1"), where, SystemClock(), key)
    link.start()
    try:
        assert not soon(lambda: link.connected, 3.0)
        assert "the broker's certificate is refused: " in caplog.text
        assert "is it of the authority in broker.ca_file" in caplog.text and "_ssl.c" not in caplog.text
        shutil.copy(broker.folder / "hub" / "ca.crt", authority)
        assert soon(lambda: link.connected)
    finally:
        assert link.stop(5.0)


def test_a_box_without_keys_is_told_that_the_broker_may_want_them_and_told_once(
    broker: Shipped, open_outbox: Callable[..., Outbox], key: Ed25519PrivateKey, caplog: pytest.LogCaptureFixture
) -> None:
    where = Broker(port=broker.port)
    link = MqttLink(open_outbox(clock=SystemClock()), wire.Topics("north", "box-1"), where, SystemClock(), key)
    link.start()
    try:
        assert soon(lambda: "it may want TLS: then broker.ca_file is to be set" in caplog.text)
        assert not soon(lambda: len(caplog.messages) > 1, 3.0)  # though it is tried by either version of MQTT
    finally:
        assert link.stop(5.0)


def test_the_log_of_a_revoked_box_says_so_and_says_it_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    broker, key = Shipped(tmp_path), Ed25519PrivateKey.generate()
    assert revoke_edge(broker.folder, "north", "box-1") == 1
    broker.start()
    files = broker.files(ONE)
    where = Broker(
        port=broker.port, ca_file=files / "ca.crt", cert_file=files / "client.crt", key_file=files / "client.key"
    )
    outbox = Outbox(tmp_path / "outbox.db", key, clock=SystemClock())
    link = MqttLink(outbox, wire.Topics("north", "box-1"), where, SystemClock(), key)
    try:
        link.start()
        assert soon(lambda: "the broker refuses our certificate: it was revoked" in caplog.text)
        assert not soon(lambda: len(caplog.messages) > 1, 5.0)
    finally:
        link.stop()
        outbox.close()
        broker.kill()


@pytest.mark.parametrize(
    "user", [None, (TWO, "three-pass"), (TWO, ""), (ONE, "two-pass"), (HUB, ""), (HUB, "hub"), ("", ""), ("north", "x")]
)
def test_without_one_s_own_password_nobody_comes_in(broker: Shipped, user: tuple[str, str] | None) -> None:
    assert answer(broker.with_passwords, context(broker), (TWO, PASSWORDS[TWO])) == "Success"
    assert answer(broker.with_passwords, context(broker), user) in ("Not authorized", "Bad user name or password")


def test_old_tls_is_not_spoken(broker: Shipped) -> None:
    for version, is_spoken in ((ssl.TLSVersion.TLSv1_1, False), (ssl.TLSVersion.TLSv1_2, True)):
        old = context(broker, broker.files(ONE))
        old.set_ciphers("ALL:@SECLEVEL=0")
        with warnings.catch_warnings(action="ignore", category=DeprecationWarning):  # it is what this is about
            old.minimum_version = old.maximum_version = version
        assert (answer(broker.port, old) == "Success") is is_spoken


def test_an_edge_s_certificate_can_not_pass_for_the_broker_s(broker: Shipped) -> None:
    for purpose, fine in (("sslclient", 0), ("sslserver", 2)):
        told = subprocess.run(
            ["openssl", "verify", "-purpose", purpose, "-CAfile", broker.folder / "hub" / "ca.crt",
             broker.files(ONE) / "client.crt"], capture_output=True, check=False,
        )  # fmt: skip
        assert told.returncode == fine


def test_who_is_revoked_stays_out_from_sighup_or_the_next_start_on(tmp_path: Path) -> None:
    broker = Shipped(tmp_path)
    broker.start()
    try:
        lost, other = context(broker, broker.files(ONE)), context(broker, broker.files(TWO))
        assert answer(broker.port, lost) == answer(broker.port, other) == "Success"
        assert revoke_edge(broker.folder, "north", "box-1") == 1
        broker.reload()
        assert soon(lambda: answer(broker.port, lost) != "Success")
        broker.kill()
        broker.start()
        assert answer(broker.port, lost) != "Success"
        assert answer(broker.port, other) == "Success"
        again = context(broker, issued(broker.folder, tmp_path / "again", "box-1"))
        assert answer(broker.port, again) == "Success"
    finally:
        broker.kill()


def test_brokers_take_all_that_the_hub_takes_of_one_alert() -> None:
    shipped = (REPOSITORY / "configs" / "mosquitto" / "labelwatch.conf").read_text(encoding="utf-8")
    told = re.search(r"^max_packet_size (\d+)$", shipped, re.MULTILINE)
    assert told
    assert int(told[1]) >= LARGEST_ALERT + PACKET_OVERHEAD
    assert LARGEST_PACKET >= LARGEST_ALERT + PACKET_OVERHEAD


def test_it_listens_where_it_says_and_nowhere_else(broker: Shipped) -> None:
    opened = re.findall(r"listen socket on port (\d+)", broker.log.read_text())
    assert {int(port) for port in opened} == {broker.port, broker.with_passwords}
    shipped = (REPOSITORY / "configs" / "mosquitto" / "labelwatch.conf").read_text(encoding="utf-8")
    assert {path for path in re.findall(r"\S*/\S+", shipped) if path.startswith("/")} <= {
        f"{SHIPPED}/broker/{name}"
        for name in ("acl", "passwords", "ca.crt", "server.crt", "server.key", "data/", "mosquitto.conf")
    } | {SHIPPED, f"{SHIPPED}/revoked/revoked.crl"}
