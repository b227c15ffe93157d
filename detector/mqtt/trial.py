"""A broker's settings enter; whether it lets us in by them leaves, tried once. Nothing is sent or left there."""

from __future__ import annotations

import secrets
from typing import Any

from paho.mqtt.client import Client
from paho.mqtt.enums import MQTTProtocolVersion
from paho.mqtt.reasoncodes import ReasonCode

from detector.config import Broker
from detector.mqtt.connection import Handshake, HandshakeError, client_for, connect, let_go, run_once

KEEPALIVE_S = 20
POLL_S = 0.05


def try_broker(broker: Broker) -> str:
    """Connect as everybody here does, under a name of its own.

    A broker may name its clients by their login instead, as the one that we ship does: it cuts off whoever is there by
    the same one.

    Returns:
        The version of MQTT that it speaks, `5` or `3.1.1`.

    Raises:
        ConfigError: The password can't be read.
        LinkError: It isn't there, or doesn't let us in; the text says why.
        OSError: A certificate can't be read.
    """
    try:
        _come_in(broker, MQTTProtocolVersion.MQTTv5)
    except HandshakeError:
        _come_in(broker, MQTTProtocolVersion.MQTTv311)
        return "3.1.1"
    return "5"


def _come_in(broker: Broker, version: MQTTProtocolVersion) -> None:
    client = client_for(broker, f"labelwatch-try-{secrets.token_hex(4)}", version)
    handshake, answers = Handshake(broker), []

    def answered(_client: Client, _userdata: Any, _flags: Any, reason: ReasonCode, _properties: Any) -> None:
        handshake.answer(reason)
        answers.append(reason)

    client.on_connect = answered
    try:
        connect(client, broker, KEEPALIVE_S, clean_start=True)
        handshake.wait(lambda: run_once(client, POLL_S), lambda: bool(answers), lambda: False)
    finally:
        let_go(client)
