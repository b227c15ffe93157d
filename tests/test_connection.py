"""A connection to a broker that is left: what was said last arrives, and a broker that hangs holds nobody up."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from detector.mqtt import connection
from detector.mqtt.connection import let_go

CONNACK = bytes([0x20, 3, 0, 0, 0])
PUBLISH = bytes([0x30, 5, 0, 1]) + b"a" + bytes([0]) + b"x"
DISCONNECT = bytes([0xE0, 0])


@pytest.fixture
def both() -> Iterator[tuple[Client, socket.socket]]:
    """A client that is connected, and the broker's end of its connection."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
        client.connect("127.0.0.1", server.getsockname()[1])
        end, _ = server.accept()
        with end:
            end.settimeout(20)
            assert end.recv(1000)[0] >> 4 == 1, "no CONNECT"
            end.sendall(CONNACK)
            while not client.is_connected():
                client.loop(0.1)
            yield client, end


def test_who_leaves_with_messages_unread_does_not_reset_the_connection(both: tuple[Client, socket.socket]) -> None:
    client, end = both
    end.sendall(PUBLISH)
    leaving = threading.Thread(target=let_go, args=(client,))
    leaving.start()
    assert end.recv(1000).startswith(DISCONNECT[:1])
    assert end.recv(1000) == b"", "an orderly end, at which nothing that came before is lost"
    end.sendall(PUBLISH)  # a broker that had more to say may say it
    end.close()
    leaving.join(20)
    assert not leaving.is_alive()


def test_a_broker_that_hangs_is_left_all_the_same(
    both: tuple[Client, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "FAREWELL_S", 0.05)
    client, _ = both
    began = time.monotonic()
    let_go(client)
    assert time.monotonic() - began < 10.0


def test_who_never_came_to_a_broker_leaves_none() -> None:
    let_go(Client(CallbackAPIVersion.VERSION2))
