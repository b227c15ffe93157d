"""The broker that the demo brings: it comes up, speaks MQTT 5, and never outlives the one who started it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
from paho.mqtt.client import CallbackAPIVersion, Client, MQTTv5

from detector.errors import MissingPart
from detector.mqtt.broker import EmbeddedBroker, Kept, find_mosquitto, is_listening
from tests.conftest import part_missing
from tests.parts_mosquitto import soon


@pytest.fixture(params=["mosquitto", "iotcore"])
def broker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[EmbeddedBroker]:
    program = find_mosquitto() if request.param == "mosquitto" else None
    if request.param == "mosquitto" and program is None:
        part_missing("mosquitto", "mosquitto")
    broker = EmbeddedBroker(tmp_path, program)
    assert broker.name == request.param
    yield broker
    broker.stop()


def test_a_retained_message_reaches_who_subscribes_later(broker: EmbeddedBroker) -> None:
    port = broker.start()
    received: list[bytes] = []
    client = Client(CallbackAPIVersion.VERSION2, client_id="test", protocol=MQTTv5)
    client.on_message = lambda client, userdata, message: received.append(message.payload)
    client.connect("127.0.0.1", port)
    client.publish("a/b", b"kept", qos=1, retain=True)
    for _ in range(20):
        client.loop(0.02)
    client.subscribe("a/#", qos=1)

    def arrived() -> bool:
        client.loop(0.02)
        return received == [b"kept"]

    assert soon(arrived)
    client.disconnect()
    client.loop(0.1)


def test_it_stops_when_told_and_may_be_told_twice(broker: EmbeddedBroker) -> None:
    port = broker.start()
    assert is_listening(port)
    broker.stop()
    broker.stop()
    assert soon(lambda: not is_listening(port))


@pytest.mark.parametrize("kind", ["mosquitto", "iotcore"])
def test_it_dies_with_its_parent_even_by_kill_9(tmp_path: Path, kind: str) -> None:
    program = find_mosquitto() if kind == "mosquitto" else None
    if kind == "mosquitto" and program is None:
        part_missing("mosquitto", "mosquitto")
    script = """
        import sys, time
        from pathlib import Path
        from detector.mqtt.broker import EmbeddedBroker
        broker = EmbeddedBroker(Path(sys.argv[1]), sys.argv[2] or None)
        print(broker.start(), flush=True)
        time.sleep(60)
    """
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script), str(tmp_path), program or ""], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        port = int(parent.stdout.readline())
        assert is_listening(port)
        os.kill(parent.pid, signal.SIGKILL)
    assert soon(lambda: not is_listening(port))


def test_what_does_not_hear_that_it_should_stop_is_killed(tmp_path: Path) -> None:
    # as mosquitto does not when told in the moment between its listening and its loop
    deaf = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
    )
    log = tmp_path / "deaf.log"
    kept = Kept([sys.executable, "-c", deaf], log, linger_s=1)
    assert soon(lambda: log.read_bytes() == b"deaf\n")
    kept.ask_to_stop()
    assert soon(lambda: kept.poll() == 128 + signal.SIGKILL)


@pytest.mark.parametrize(
    ("script", "said"),
    [("echo 'Error: Unable to open config file.' >&2", r"Error: Unable to open config file\."), ("", "nothing")],
    ids=["says why", "says nothing"],
)
def test_why_a_program_ends_at_once_is_told_in_its_own_words(tmp_path: Path, script: str, said: str) -> None:
    program = tmp_path / "mosquitto"
    program.write_text(f"#!/bin/sh\n{script}\nexit 1\n")
    program.chmod(0o755)
    with pytest.raises(MissingPart, match=f"does not start; it says: {said}$"):
        EmbeddedBroker(tmp_path / "broker", str(program)).start()


def test_mosquitto_is_found_beyond_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    if find_mosquitto() is None:
        part_missing("mosquitto", "mosquitto")
    monkeypatch.setenv("PATH", "/nonexistent")
    assert (find_mosquitto() is not None) == Path("/usr/sbin/mosquitto").exists()
