"""The link's thread under the watchdog: whatever ends or holds it, another takes over and nothing is lost."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from detector.alerts import mqtt
from detector.alerts.mqtt import MqttLink
from detector.alerts.outbox import Outbox
from detector.clock import SystemClock
from detector.config import Broker
from detector.edge.delivery import LINK_STUCK_S
from detector.edge.watchdog import Part, Watchdog
from tests.alerts.test_mqtt import TOPICS, Peer, word
from tests.parts_link import Link
from tests.parts_mosquitto import Mosquitto, soon

STUCK_S = 1.0
Fields = Callable[..., dict[str, Any]]


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    broker = Mosquitto(tmp_path)
    broker.start()
    yield broker
    broker.kill()


class Supervised:
    """A link whose commands do what a test wants, with a watchdog that goes round."""

    def __init__(self, outbox: Outbox, port: int, key: Ed25519PrivateKey) -> None:
        self.deed: Callable[[bytes], None] = lambda payload: None
        commands = {TOPICS.thresholds: lambda payload: self.deed(payload)}
        self.link = MqttLink(outbox, TOPICS, Broker(port=port), SystemClock(), key, commands)
        link = self.link
        self.part = Part("link", (link.pulse,), lambda: link.running, STUCK_S, link.start)
        self.watchdog = Watchdog([self.part], 1e9, 0, lambda: 0.0)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._go_round)

    def _go_round(self) -> None:
        while not self._stop.wait(0.05):
            self.watchdog.step(time.monotonic())

    @contextmanager
    def running(self) -> Iterator[None]:
        self.link.start()
        self._thread.start()
        try:
            yield
        finally:
            self._stop.set()
            self._thread.join()
            assert self.link.stop(20.0)


@pytest.fixture
def begin(open_outbox: Callable[..., Outbox], key: Ed25519PrivateKey) -> Callable[[int], tuple[Outbox, Supervised]]:
    def begin(port: int) -> tuple[Outbox, Supervised]:
        outbox = open_outbox(clock=SystemClock())
        return outbox, Supervised(outbox, port, key)

    return begin


Begin = Callable[[int], tuple[Outbox, Supervised]]


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt])
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_callback_that_ends_the_thread_is_followed_by_another(
    broker: Mosquitto, begin: Begin, fields: Fields, error: type[BaseException]
) -> None:
    outbox, edge = begin(broker.port)

    def end(payload: bytes) -> None:
        edge.deed = lambda payload: None
        raise error

    edge.deed = end
    with closing(Peer(broker.port)) as peer, edge.running():
        assert soon(lambda: edge.link.connected)
        peer.say(TOPICS.thresholds, word("end"))
        assert soon(lambda: edge.part.renewed == 1)
        id_ = outbox.put(fields())
        assert soon(lambda: id_ in [told["id"] for told in peer.of(TOPICS.alerts)])
        peer.acknowledge_all()
        assert soon(lambda: outbox.counts()["backlog"] == 0)


@pytest.mark.parametrize("error", [MemoryError])
def test_a_command_that_fails_ends_nothing_not_even_when_the_broker_keeps_it(
    broker: Mosquitto, begin: Begin, fields: Fields, error: type[Exception], caplog: pytest.LogCaptureFixture
) -> None:
    outbox, edge = begin(broker.port)
    failed = threading.Event()

    def fail(payload: bytes) -> None:
        failed.set()
        raise error

    edge.deed = fail
    with closing(Peer(broker.port)) as peer, edge.running():
        peer.say(TOPICS.thresholds, word("fail"), retain=True)
        assert failed.wait(20)
        id_ = outbox.put(fields())
        assert soon(lambda: [told["id"] for told in peer.of(TOPICS.alerts)] == [id_])
        assert edge.link.connected and edge.part.renewed == 0
    assert error.__name__ in caplog.text


def test_a_thread_that_is_stuck_is_replaced_and_when_it_gets_on_at_last_it_ends_and_says_nothing(
    broker: Mosquitto, begin: Begin, fields: Fields, caplog: pytest.LogCaptureFixture
) -> None:
    outbox, edge = begin(broker.port)
    held, free = threading.Event(), threading.Event()

    def hold(payload: bytes) -> None:
        edge.deed = lambda payload: None
        held.set()
        free.wait(60)

    edge.deed = hold
    with closing(Peer(broker.port)) as peer, edge.running():
        assert soon(lambda: edge.link.connected)
        stuck = edge.link._thread
        assert stuck
        peer.say(TOPICS.thresholds, word("hold"))
        assert held.wait(20)
        id_ = outbox.put(fields())
        assert soon(lambda: [told["id"] for told in peer.of(TOPICS.alerts)] == [id_])
        assert edge.part.renewed == 1 and "free.wait(60)" in caplog.text
        free.set()
        stuck.join(20)
        assert not stuck.is_alive() and edge.link.connected
        second = outbox.put(fields("i2"))
        assert soon(lambda: second in [told["id"] for told in peer.of(TOPICS.alerts)])
        # The broker tells the last will of a connection that another takes over; the new one has the last word.
        assert soon(lambda: peer.of(TOPICS.status)[-1]["state"] == "online")


def test_a_broker_that_is_frozen_and_a_network_that_stalls_with_full_buffers_hold_nobody_up(
    broker: Mosquitto, begin: Begin, fields: Fields, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mqtt, "SILENCE_S", 1.0)
    monkeypatch.setattr("detector.mqtt.connection.CONNECT_S", 0.5)
    network = Link(broker.port)
    outbox, edge = begin(network.port)
    edge.part.limit_s = LINK_STUCK_S
    assert broker._process
    try:
        with closing(Peer(broker.port)) as peer, edge.running():
            assert soon(lambda: edge.link.connected)
            network.stall()
            ids = {outbox.put(fields(f"i{n}", snapshot="x" * 500_000)) for n in range(24)}  # more than sockets hold
            assert soon(lambda: not edge.link.connected), "silence is doubted"
            network.mend()
            os.kill(broker._process.pid, signal.SIGSTOP)
            time.sleep(1.5)
            os.kill(broker._process.pid, signal.SIGCONT)
            assert soon(lambda: {told["id"] for told in peer.of(TOPICS.alerts)} == ids, 60)
            peer.acknowledge_all()
            assert soon(lambda: outbox.counts()["backlog"] == 0, 60)
        assert edge.part.renewed == 0, "its own thread came through all of it"
    finally:
        os.kill(broker._process.pid, signal.SIGCONT)
        network.close()
