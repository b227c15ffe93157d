"""The doctor tries the brokers of a configuration: real ones, with TLS and without, and all that can be wrong."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from detector.cli import main
from detector.clock import SystemClock
from detector.config import load_either
from detector.credentials.certs import make_certificates
from detector.edge.delivery import open_delivery
from detector.hub.storage.lock import DataLock
from detector.mqtt import connection
from detector.mqtt.broker import free_port
from detector.tools import doctor
from detector.tools.doctor import BAD, FINE, NOTE, Finding
from tests.alerts.test_production_broker import ONE, PASSWORDS, THREE, Shipped
from tests.parts_mosquitto import Mosquitto, soon

WRONG_PASSWORD = "wr0ng-passw0rd"


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shipped]:
    """TLS, with a certificate or a password for everybody."""
    broker = Shipped(tmp_path_factory.mktemp("shipped"))
    broker.start()
    yield broker
    broker.kill()


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    """No TLS, anybody."""
    broker = Mosquitto(tmp_path_factory.mktemp("plain"))
    broker.start()
    yield broker
    broker.kill()


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Certificates of an authority that the broker doesn't know."""
    folder = tmp_path_factory.mktemp("others")
    make_certificates(folder, ["broker.lan"], [ONE], time.time())
    return folder


def keys(broker: Shipped) -> dict[str, Any]:
    """With which a box comes in."""
    files = broker.files(ONE)
    return {
        "port": broker.port, "ca_file": str(files / "ca.crt"),
        "cert_file": str(files / "client.crt"), "key_file": str(files / "client.key"),
    }  # fmt: skip


def password(folder: Path, text: str) -> str:
    file = folder / "secret"
    file.write_text(text)
    return str(file)


def written(folder: Path, broker: dict[str, Any]) -> Path:
    """The configuration of a box."""
    settings = {"site": "north", "edge": "box-1", "cameras": [{"name": "dock", "source": "dock.mp4"}], "broker": broker}
    file = folder / "site.yaml"
    file.write_text(yaml.safe_dump(settings))
    return file


def tried(folder: Path, broker: dict[str, Any]) -> Finding:
    (finding,) = doctor.brokers(load_either(written(folder, broker)))
    return finding


def test_a_broker_that_lets_the_box_in_is_told_with_how(shipped: Shipped, plain: Mosquitto, tmp_path: Path) -> None:
    by_password = {
        "port": shipped.with_passwords, "ca_file": keys(shipped)["ca_file"], "username": THREE,
        "password_file": password(tmp_path, PASSWORDS[THREE]),
    }  # fmt: skip
    for broker, by in ((keys(shipped), "over"), (by_password, "over"), ({"port": plain.port}, "without")):
        found = tried(tmp_path, broker)
        assert (found.what, found.state) == (f"broker 127.0.0.1:{broker['port']}", FINE), found
        assert found.told.startswith(f"lets us in {by} TLS, by MQTT 5, in "), found


def test_what_is_wrong_is_told_with_a_hint(
    shipped: Shipped, plain: Mosquitto, others: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "CONNECT_S", 0.3)
    good, foreign = keys(shipped), others / "edges" / ONE
    login = {"port": shipped.with_passwords, "ca_file": good["ca_file"], "username": THREE}
    silent = socket.create_server(("127.0.0.1", 0))
    with silent:
        cases: list[tuple[dict[str, Any], str]] = [
            ({"host": "nobody.invalid"}, "the name nobody.invalid is not found"),
            ({"host": "broker..lan"}, "broker..lan is no name that there can be (is broker.host right?)"),
            ({**good, "host": "broker..lan"}, "broker..lan is no name that there can be (is broker.host right?)"),
            ({"port": free_port()}, "the connection is refused (does the broker run"),
            ({"port": silent.getsockname()[1]}, "the broker does not answer"),
            ({**good, "port": silent.getsockname()[1]}, "no answer (are broker.host and broker.port right"),
            ({"port": shipped.port}, "it may want TLS: then broker.ca_file is to be set"),
            ({**good, "port": plain.port}, "TLS fails: Connection reset by peer (is broker.port one where"),
            ({**good, "ca_file": str(others / "hub" / "ca.crt")}, "the broker's certificate is refused: self-signed"),
            ({**good, "host": "127.1"}, "the broker's certificate is refused: Hostname mismatch"),
            (
                {"port": shipped.port, "ca_file": good["ca_file"]},
                "certificate: there is none (broker.cert_file and broker.key_file are",
            ),
            (
                {**good, "cert_file": str(foreign / "client.crt"), "key_file": str(foreign / "client.key")},
                "refuses our certificate: it is of an authority that the broker doesn't know",
            ),
            ({**good, "key_file": str(tmp_path / "gone.key")}, f"No such file or directory: '{tmp_path}/gone.key'"),
            (login, "refused us: Not authorized (are broker.username and its password there, and right?)"),
            (
                {**login, "password_file": password(tmp_path, WRONG_PASSWORD)},
                "refused us: Not authorized (are broker.username and its password there, and right?)",
            ),
            ({**login, "password_file": str(tmp_path / "gone")}, f"{tmp_path}/gone: can't be read"),
        ]
        for broker, words in cases:
            found = tried(tmp_path, broker)
            assert found.state == BAD and words in found.told, (broker, found)
            assert "\n" not in str(found) and WRONG_PASSWORD not in str(found) and THREE not in found.told


def test_the_command_tells_it_and_fails_where_the_broker_is_away(
    plain: Mosquitto, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["doctor", "--config", str(written(tmp_path, {"port": plain.port}))]) == 0
    assert f"ok   broker 127.0.0.1:{plain.port}: lets us in without TLS" in capsys.readouterr().out
    away = free_port()
    assert main(["doctor", "--json", "--config", str(written(tmp_path, {"port": away}))]) == 1
    found = {one["what"]: one for one in json.loads(capsys.readouterr().out)}
    assert found[f"broker 127.0.0.1:{away}"]["state"] == BAD


def test_trying_a_broker_says_nothing_there_and_leaves_nothing(plain: Mosquitto, tmp_path: Path) -> None:
    heard: list[str] = []
    for moment in ("during", "after"):
        ready: list[bool] = []
        client = Client(CallbackAPIVersion.VERSION2)
        client.on_message = lambda _client, _userdata, message: heard.append(message.topic)
        client.on_subscribe = lambda *_, ready=ready: ready.append(True)
        client.connect("127.0.0.1", plain.port)
        client.loop_start()
        client.subscribe("#")
        assert soon(lambda ready=ready: ready)
        if moment == "during":
            assert tried(tmp_path, {"port": plain.port}).state == FINE
        client.publish(f"end/{moment}", qos=1)
        assert soon(lambda moment=moment: f"end/{moment}" in heard)
        client.disconnect()
        client.loop_stop()
    assert heard == ["end/during", "end/after"]


def test_a_running_worker_keeps_its_connection(shipped: Shipped, plain: Mosquitto, tmp_path: Path) -> None:
    """The shipped broker names clients by their certificate: who else logs in by it would take the worker's place."""
    for broker, state, words in (
        (keys(shipped), NOTE, "answers over TLS; not logged into, or the worker, which seems to run, might lose its"),
        ({"port": plain.port}, FINE, "lets us in without TLS"),
    ):
        config = load_either(written(tmp_path, broker))
        with open_delivery(config, SystemClock()) as delivery:
            assert soon(lambda delivery=delivery: delivery.link.connected)
            (found,) = doctor.brokers(config)
            assert (found.state, words in found.told) == (state, True), found
            assert not soon(lambda delivery=delivery: not delivery.link.connected, 1.0)
    assert tried(tmp_path, keys(shipped)).state == FINE  # once it is gone


def test_a_worker_that_runs_is_spared_and_what_keeps_it_out_is_told_all_the_same(
    shipped: Shipped, tmp_path: Path
) -> None:
    config = load_either(written(tmp_path, {**keys(shipped), "host": "127.1"}))
    with open_delivery(config, SystemClock()):
        (found,) = doctor.brokers(config)
    assert found.state == BAD and "Hostname mismatch" in found.told


def test_a_running_hub_is_spared_and_its_other_broker_is_tried_where_others_are_told(
    shipped: Shipped, plain: Mosquitto, tmp_path: Path
) -> None:
    broker = yaml.safe_dump({"broker": keys(shipped), "data_dir": "hub"})
    (tmp_path / "hub").mkdir()
    file = tmp_path / "hub.yaml"

    def states(onvif: str) -> list[str]:
        file.write_text(f"{broker}\nintegrations: {{broker: {{port: {plain.port}}}, onvif: {onvif}}}\n")
        return [found.state for found in doctor.brokers(load_either(file))]

    assert states("false") == [FINE]
    lock = DataLock(tmp_path / "hub")
    try:
        assert states("true") == [NOTE, FINE]
    finally:
        lock.release()
