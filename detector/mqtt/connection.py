"""A connection to a broker, run by its owner's own thread: where the broker is enters, a paho client leaves.

Everybody who speaks MQTT here does it alike: a fresh client for each attempt, paho's loop run by hand, so that no
callback can kill a thread unseen, and MQTT 3.1.1 for brokers that don't know 5.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import ssl
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from paho.mqtt.client import MQTT_CLEAN_START_FIRST_ONLY, Client, DisconnectFlags, error_string
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from detector.config import Broker
from detector.credentials.tls import trusting
from detector.errors import LabelwatchError

CONNECT_S = 3.0
SHORTEST_BACK_OFF_S = 1.0
LISTEN_S = 1.0  # so long a broker that lets us in may say nothing
FAREWELL_S = 1.0  # so long a broker that we leave may take to close
STEADY_S = 10.0  # a connection that broke earlier is a failure like any other
LONGEST_BACK_OFF_S = 4.0  # a broker that returns must be found within the ten seconds that we promise
# How OpenSSL names what the broker's end says of our certificate.
REFUSALS = {
    "CERTIFICATE_REVOKED": "it was revoked",
    "CERTIFICATE_EXPIRED": "it has expired, or the broker's clock is wrong",
    "UNKNOWN_CA": "it is of an authority that the broker doesn't know",
    "DECRYPT_ERROR": "it is of an authority that the broker doesn't know",  # of that name it knows another
    "CERTIFICATE_REQUIRED": "there is none (broker.cert_file and broker.key_file are to be set)",
    "BAD_CERTIFICATE": "it is malformed, or not valid yet by the broker's clock",
    "CERTIFICATE_UNKNOWN": "the broker can make nothing of it",
}


class LinkError(LabelwatchError):
    """The connection failed or is doubted; the text says why."""


class HandshakeError(LinkError):
    """The broker did not take our CONNECT; it may speak another version of MQTT.

    Brokers of 3.1.1 answer MQTT 5 with a closed socket, or with a packet that paho can't read.
    """


class CertificateError(LinkError):
    """The broker doesn't let our certificate in, or we don't believe its own."""


class Handshake:
    """The beginning of one connection, from CONNECT until the broker lets us subscribe.

    Args:
        broker: Asked once more what was wrong, when it hung up without an answer.
    """

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._answered = False

    def answer(self, reason: ReasonCode) -> None:
        """The broker's answer to CONNECT came.

        Raises:
            LinkError: It refused us.
        """
        self._answered = reason != "Unsupported protocol version"
        if reason.is_failure:
            is_login = str(reason) in ("Not authorized", "Bad user name or password")
            hint = " (are broker.username and its password there, and right?)" if is_login else ""
            raise LinkError(f"the broker refused us: {reason}{hint}")

    def wait(self, step: Callable[[], object], is_ready: Callable[[], bool], is_over: Callable[[], bool]) -> None:
        """Take steps until it is done; one that tells of something true gives the broker more time.

        Raises:
            CertificateError: The broker hung up since it doesn't let our certificate in.
            HandshakeError: The connection broke before the broker answered.
            LinkError: It is over, or the broker does not answer.
        """
        deadline = time.monotonic() + 2 * CONNECT_S
        while not is_ready():
            try:
                if step():
                    deadline = time.monotonic() + 2 * CONNECT_S
            except Exception as error:
                if self._answered:
                    raise
                check_certificate(self._broker)
                hint = "" if self._broker.ca_file else " (it may want TLS: then broker.ca_file is to be set)"
                raise HandshakeError(f"the broker hung up before it answered: {error}{hint}") from error
            if is_over() or time.monotonic() > deadline:
                raise LinkError("the broker does not answer")


class Attempts:
    """What is to be tried next: which version of MQTT, and after how long a pause.

    Args:
        longest_s: The longest pause between two attempts.

    Attributes:
        version: Of the next attempt.
        pause_s: Before it; none where the other version is tried.
        flapping: Whether the last connection came about and broke soon.
    """

    def __init__(self, longest_s: float = LONGEST_BACK_OFF_S) -> None:
        self.version = MQTTProtocolVersion.MQTTv5
        self.pause_s = 0.0
        self.flapping = False
        self._longest_s = longest_s
        self._began_at = time.monotonic()
        self._failures = 0
        self._said = ""

    def failed(self, error: Exception, *, served: bool) -> bool:
        """An attempt came to an end.

        Args:
            error: Why.
            served: Whether there was a connection.

        Returns:
            Whether that is news: the one before failed otherwise, or not at all.
        """
        steady = served and time.monotonic() - self._began_at >= STEADY_S
        self.flapping = served and not steady
        if steady:
            self._failures, self._said = 0, ""
        self._failures += 1
        other = self.version == MQTTProtocolVersion.MQTTv5 and isinstance(error, HandshakeError)
        self.version = MQTTProtocolVersion.MQTTv311 if other else MQTTProtocolVersion.MQTTv5
        self.pause_s = 0.0 if other else back_off_s(self._failures, self._longest_s)
        self._began_at = time.monotonic() + self.pause_s
        before, self._said = self._said, str(error)
        return self._said != before


def client_for(
    broker: Broker, client_id: str, version: MQTTProtocolVersion, *, lasting: bool = False, manual_ack: bool = False
) -> Client:
    """A client that has not connected yet.

    Args:
        broker: Its user, password and certificates are used.
        client_id: Names its session.
        version: Of MQTT.
        lasting: Whether the broker keeps the session of 3.1.1; of 5, CONNECT says it.
        manual_ack: Whether messages are acknowledged by hand.

    Raises:
        ConfigError: The password can't be read.
        OSError: A certificate can't.
    """
    client = Client(
        CallbackAPIVersion.VERSION2,
        client_id=client_id,
        protocol=version,
        clean_session=not lasting if version == MQTTProtocolVersion.MQTTv311 else None,
        reconnect_on_failure=False,
        manual_ack=manual_ack,
    )
    client.connect_timeout = CONNECT_S
    client.on_disconnect = partial(_on_disconnect, client_id)
    if broker.username is not None:
        client.username_pw_set(broker.username, broker.password())
    if broker.ca_file is not None:
        for file in filter(None, (broker.ca_file, broker.cert_file, broker.key_file)):
            file.open("rb").close()  # OpenSSL doesn't say which it is that can't be
        client.tls_set_context(_tls(broker))
    return client


def connect(client: Client, broker: Broker, keepalive_s: int, *, clean_start: bool, **told: int) -> None:
    """Send CONNECT.

    Args:
        client: Hasn't connected yet.
        broker: To which.
        keepalive_s: Either is given up after one and a half of it in silence.
        clean_start: Whether a session that the broker kept is forgotten; of 3.1.1 `client_for` says it.
        told: Properties of CONNECT, by the names that MQTT 5 has for them; others know none.

    Raises:
        CertificateError: The broker's own is none that we believe, or it refuses ours; the text says what is wrong.
        LinkError: There is no connection; the text says why.
    """
    properties = None
    if client.protocol == MQTTProtocolVersion.MQTTv5:
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        for name, value in told.items():
            setattr(properties, name, value)
    start = clean_start if properties is not None else MQTT_CLEAN_START_FIRST_ONLY
    try:
        client.connect(broker.host, broker.port, keepalive_s, clean_start=start, properties=properties)
    except (OSError, UnicodeError) as error:
        raise _no_connection(broker, error) from error


def greet(broker: Broker) -> None:
    """Connect, by TLS where it is to be, and hear whether the broker hangs up, without a word of MQTT.

    Raises:
        CertificateError: As `connect`.
        LinkError: As `connect`.
        OSError: A certificate can't be read.
    """
    context = None if broker.ca_file is None else _tls(broker)
    try:
        with socket.create_connection((broker.host, broker.port), CONNECT_S) as plain:
            if context is None:
                return
            with context.wrap_socket(plain, server_hostname=broker.host) as encrypted:
                encrypted.settimeout(LISTEN_S)
                # Of TLS 1.3 it says after the handshake only that it doesn't let our certificate in.
                with contextlib.suppress(TimeoutError):
                    encrypted.recv(1)
    except (OSError, UnicodeError) as error:
        raise _no_connection(broker, error) from error


def check_certificate(broker: Broker) -> None:
    """Find out whether a broker hangs up on account of our certificate, where it has just hung up.

    When it says so paho has sent CONNECT already, by which that word is mostly lost.

    Raises:
        CertificateError: It does; the text says what is wrong with it.
    """
    if broker.ca_file is None:
        return
    try:
        greet(broker)
    except CertificateError:
        raise
    except (LinkError, OSError):  # it is gone: then it was something else
        pass


def _no_connection(broker: Broker, error: OSError | UnicodeError) -> LinkError:
    """Why there is none, and what may help."""
    if isinstance(error, ssl.SSLCertVerificationError):
        hint = "is it of the authority in broker.ca_file, and made out to broker.host?"
        return CertificateError(f"the broker's certificate is refused: {error.verify_message} ({hint})")
    if isinstance(error, ssl.SSLError) and (name := str(error.reason).rpartition("ALERT_")[2]) in REFUSALS:
        return CertificateError(f"the broker refuses our certificate: {REFUSALS[name]}")
    if isinstance(error, UnicodeError):  # two dots in a row, or more than 63 characters between two
        return LinkError(f"{broker.host} is no name that there can be (is broker.host right?)")
    if isinstance(error, socket.gaierror):
        return LinkError(f"the name {broker.host} is not found: {error.strerror} (is broker.host right?)")
    if isinstance(error, ConnectionRefusedError):
        return LinkError("the connection is refused (does the broker run, and is broker.port right?)")
    if isinstance(error, TimeoutError):
        return LinkError("no answer (are broker.host and broker.port right, and is no firewall between?)")
    if broker.ca_file is not None and isinstance(error, ssl.SSLError | ConnectionError):  # once there was a connection
        hint = "is broker.port one where it speaks TLS? Where it speaks none, broker.ca_file is to be left out"
        return LinkError(f"TLS fails: {error.reason if isinstance(error, ssl.SSLError) else error.strerror} ({hint})")
    return LinkError(f"there is no way to it: {error.strerror or error}")


def _tls(broker: Broker) -> ssl.SSLContext:
    context = trusting(broker.ca_file)
    if broker.cert_file is not None:
        context.load_cert_chain(broker.cert_file, broker.key_file)
    return context


def run_once(client: Client, timeout_s: float) -> None:
    """Let paho read, write and call back, for at most so many seconds.

    Raises:
        LinkError: The connection is gone.
    """
    rc = client.loop(timeout_s)
    if rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
        raise LinkError(error_string(rc).rstrip(".").lower())


def let_go(client: Client) -> None:
    """Disconnect, and hear no more of it.

    What was said last still arrives: a socket that is closed on bytes that nobody read is reset, and mosquitto then
    forgets what it has not read yet, acknowledgements among it. So the connection stays until the broker closes it.
    """
    client.on_connect = client.on_message = client.on_subscribe = client.on_publish = client.on_disconnect = None
    ours = client.socket()
    with socket.socket(fileno=os.dup(ours.fileno())) if ours else contextlib.nullcontext() as kept:
        client.disconnect()
        client.loop(0.0)
        if kept:
            _await_end(kept)


def _await_end(connection: socket.socket) -> None:
    """Throw away what else comes, until the other end closes or `FAREWELL_S` have passed."""
    until = time.monotonic() + FAREWELL_S
    with contextlib.suppress(OSError):  # it is broken already
        connection.shutdown(socket.SHUT_WR)
        while (left_s := until - time.monotonic()) > 0:
            connection.settimeout(left_s)
            if not connection.recv(65536):
                return


def _on_disconnect(
    client_id: str, _client: Client, _userdata: Any, flags: DisconnectFlags, reason: ReasonCode, _properties: Any
) -> None:
    """Brokers of MQTT 5 say why they end a connection; of one that merely breaks `run_once` tells."""
    if not flags.is_disconnect_packet_from_server:
        return
    if reason == "Session taken over":
        raise LinkError(f"another has come to the broker as {client_id}: does a second one run under this name?")
    raise LinkError(f"the broker ended the connection: {reason}")


def back_off_s(failures: int, longest_s: float = LONGEST_BACK_OFF_S) -> float:
    """Seconds to wait after so many failures in a row: doubling, capped, spread so that nobody comes in step."""
    wait_s = min(SHORTEST_BACK_OFF_S * 2.0 ** min(failures - 1, 10), longest_s)
    return wait_s * (0.5 + secrets.randbelow(1000) / 2000)
