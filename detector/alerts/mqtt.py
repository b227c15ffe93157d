"""The outbox's envelopes leave for the broker; the hub's acknowledgements come in and empty the outbox; commands too.

One thread owns the connection and everything paho: it connects, runs paho's loop, sends what is due, and after any
failure begins anew with a fresh client. So no callback can kill a network thread unseen, nothing of a dead connection
lives on in paho's memory, and the only state worth keeping is the outbox.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from paho.mqtt.client import Client, ConnectFlags, MQTTMessage
from paho.mqtt.enums import MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from detector import __version__, wire
from detector.alerts.alert_queue import WINDOW, Row
from detector.alerts.outbox import Outbox
from detector.alerts.serials import Serials
from detector.alerts.trust import HubTrust
from detector.clock import Clock, iso
from detector.config import Broker
from detector.errors import LabelwatchError, StoreError, WireError
from detector.machine.tended import Tended
from detector.mqtt.connection import Attempts, Handshake, LinkError, client_for, connect, let_go, run_once

logger = logging.getLogger(__name__)

KEEPALIVE_S = 20  # the broker publishes our last will after one and a half of it
POLL_S = 0.05  # how late a new alert is noticed at most
SILENCE_S = 30.0  # rows sent and none acknowledged for so long: the connection is doubted
LONGEST_SILENCE_S = 900.0  # while the hub is away, doubt grows slower each time up to this
FIRST_SUSPICION_S, LONGEST_SUSPICION_S = 60.0, 3600.0  # between two tries of an alert that may be too large
HEALTH_EXPIRY_S = 60
# Under way to the broker at most, but for one alert: on a slow line all that is new waits behind it, as do the answers
# without which it is sent once more.
MOST_UNDER_WAY = 65_536
PICTURES_KEPT = 16
CENSUSES_KEPT = 64
LARGEST_PACKET = 268_435_455  # what MQTT itself allows
PACKET_OVERHEAD = 256  # topic, header and properties beside the payload


class MqttLink(Tended):
    """Carries an outbox to the hub by way of a broker that may be absent at any time.

    Args:
        outbox: What to send.
        topics: Topics of this edge.
        broker: Where the broker is.
        clock: Tells the time written into status and health messages.
        key: This edge's key; what it says of itself is signed with it.
        commands: What the hub's commands are given to as they come, by topic; in the link's thread.
        trust: Tells the hub's words from others'; left out, the first hub heard is believed from then on.
        serials: Number what it says of itself; left out, numbers that grow during the life of this object.

    Attributes:
        last_ack_at: When the hub last acknowledged something, Unix seconds; `None` before the first time.
    """

    def __init__(
        self,
        outbox: Outbox,
        topics: wire.Topics,
        broker: Broker,
        clock: Clock,
        key: Ed25519PrivateKey,
        commands: Mapping[str, Callable[[bytes], None]] = MappingProxyType({}),
        trust: HubTrust | None = None,
        serials: Serials | None = None,
    ) -> None:
        super().__init__("mqtt-link")
        self.last_ack_at: float | None = None
        self._outbox = outbox
        self._topics = topics
        self._broker = broker
        self._clock = clock
        self._key = key
        self._commands = commands
        self._trust = trust or HubTrust(clock)
        self._serials = serials or Serials(clock)
        self._connection = 0  # its number
        self._ready = threading.Event()
        self._health: dict[str, Any] | None = None
        self._new_key: bytes | None = None
        self._layout: bytes | None = None
        self._layout_due = threading.Event()
        self.dropped_views = 0
        self._pictures: deque[bytes] = deque(maxlen=PICTURES_KEPT)
        self._censuses: deque[bytes] = deque(maxlen=CENSUSES_KEPT)
        self._largest = LARGEST_PACKET
        self._window = WINDOW
        self._at_once = 1
        self._unconfirmed: dict[int, Row] = {}
        self._largest_taken = 0
        self._breaking: dict[str, float] = {}
        self._refusal: str | None = None
        self._silence_s = SILENCE_S
        self._waiting_since: float | None = None

    @property
    def connected(self) -> bool:
        """Whether the broker has taken us in and will pass acknowledgements on."""
        return self._ready.is_set()

    def start(self) -> None:
        """Begin to connect and send, as `Tended` does; to be stopped is to say goodbye, and unsent rows stay."""
        self._ready.clear()
        super().start()

    def publish_health(self, fields: Mapping[str, Any]) -> None:
        """Send counters, QoS 0, when connected; a newer message replaces one not sent yet. Any thread may call it.

        Raises:
            WireError: The fields can't be written as JSON.
        """
        now = self._clock.now()
        whole = {"at": iso(now), "at_unix": round(now, 3), **fields}
        try:
            wire.encode(whole)
            self._health = whole
        except (TypeError, ValueError) as error:
            raise WireError(f"the health message can't be written as JSON: {error}") from error

    def use_key(self, key: Ed25519PrivateKey) -> None:
        """Sign with this key from now on; any thread may call it."""
        self._key = key

    def publish_key(self, payload: bytes) -> None:
        """Send the word that there is a new key, when connected; any thread may call it."""
        self._new_key = payload

    def publish_layout(self, payload: bytes) -> None:
        """Have the broker keep this as what the edge says of its cameras; any thread may call it."""
        self._layout = payload
        self._layout_due.set()

    def publish_picture(self, payload: bytes) -> None:
        """Send a picture, QoS 0, when connected; of many that wait the oldest are dropped. Any thread may call it."""
        self.dropped_views += len(self._pictures) == PICTURES_KEPT
        self._pictures.append(payload)

    def publish_census(self, payload: bytes) -> None:
        """Send a census, QoS 0, when connected; of many that wait the oldest are dropped. Any thread may call it."""
        self.dropped_views += len(self._censuses) == CENSUSES_KEPT
        self._censuses.append(payload)

    # ---- inside: all below runs in the link's thread

    def _run(self, _stopping: threading.Event) -> None:
        with self.pulse:
            self._serve()

    def _over(self) -> bool:
        """Whether this thread is to end: told to, or another has taken over."""
        return self._stopping.is_set() or self._thread is not threading.current_thread()

    def _serve(self) -> None:
        attempts = Attempts()
        while not self._over():
            self.pulse.beat()
            try:
                self._session(attempts)
                return
            except Exception as error:  # whatever goes wrong with a connection, the next may do better
                if self._thread is not threading.current_thread():
                    return
                self._suspect_what_broke_it()
                is_news = attempts.failed(error, served=self._ready.is_set())
                self._ready.clear()
                if is_news and not self._stopping.is_set():
                    odd = not isinstance(error, LabelwatchError | OSError)
                    logger.warning("no link to the broker at %s: %s", self._where(), error, exc_info=odd)
            self._stopping.wait(attempts.pause_s)

    def _session(self, attempts: Attempts) -> None:
        """Connect and serve until told to stop.

        Raises:
            Exception: Of whatever kind, when the connection is of no more use.
        """
        client = self._client(attempts.version)
        self._unconfirmed.clear()  # of a thread that was stuck, and from which this one took over
        self._handshake = Handshake(self._broker)
        try:
            connect(client, self._broker, KEEPALIVE_S, clean_start=True)
            self._handshake.wait(lambda: self._loop(client, POLL_S), self._ready.is_set, self._over)
            # One line per change: two boxes of one name push each other out all day.
            level = logging.DEBUG if attempts.flapping else logging.INFO
            version = attempts.version.name.removeprefix("MQTTv")
            logger.log(level, "linked to the broker at %s, MQTT %s", self._where(), version)
            self._resend_all()
            self._waiting_since = None
            self._at_once = 1
            self._refusal = None
            self._layout_due.set()
            while not self._over():
                self._loop(client, 0.0 if self._outbox.new_alert.is_set() else POLL_S)
                self._send_due(client)
                self._send_health(client)
                self._send_views(client)
                self._doubt_silence()
            if self._stopping.is_set():  # another thread that took over is no reason to say that the edge is gone
                self._say_goodbye(client)
        finally:
            let_go(client)

    def _client(self, version: MQTTProtocolVersion) -> Client:
        client = client_for(self._broker, f"labelwatch:{self._topics.site}:{self._topics.edge}", version)
        client.max_inflight_messages_set(2 * WINDOW)  # we keep the window; paho must not hold back what is due
        self._connection = self._serials.next()
        client.will_set(self._topics.status, self._status("offline"), qos=1, retain=True)
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_publish = self._on_publish
        client.on_message = self._on_message
        return client

    def _loop(self, client: Client, timeout_s: float) -> None:
        self.pulse.beat()
        run_once(client, timeout_s)

    def _on_connect(
        self, client: Client, _userdata: Any, _flags: ConnectFlags, reason: ReasonCode, properties: Properties | None
    ) -> None:
        self._handshake.answer(reason)
        self._largest = getattr(properties, "MaximumPacketSize", LARGEST_PACKET)
        self._window = min(WINDOW, getattr(properties, "ReceiveMaximum", WINDOW))
        client.subscribe([(self._topics.ack, 1), *((topic, 1) for topic in self._commands)])
        client.publish(self._topics.status, self._status("online"), qos=1, retain=True)

    def _on_subscribe(
        self, _client: Client, _userdata: Any, _mid: int, reasons: list[ReasonCode], _properties: Any
    ) -> None:
        for topic, reason in zip((self._topics.ack, *self._commands), reasons, strict=False):
            if reason.is_failure and topic == self._topics.ack:
                raise LinkError(f"the broker does not let us subscribe to {topic}")
            if reason.is_failure:
                logger.warning("the broker does not let us subscribe to %s: what it commands stays as it is", topic)
        self._ready.set()

    def _on_publish(self, _client: Client, _userdata: Any, mid: int, reason: ReasonCode, _properties: Any) -> None:
        """The broker took or refused a message, which says nothing yet of the hub; there is room for another."""
        if reason.is_failure and mid in self._unconfirmed:  # brokers of 3.1.1 drop in silence what they forbid
            self._refusal = f"the broker refuses what is sent to {self._topics.alerts}: {reason}"
        row = self._unconfirmed.pop(mid, None)
        if row is not None:
            self._at_once = min(2 * self._at_once, WINDOW)
            self._largest_taken = max(self._largest_taken, len(row.payload))
            self._breaking.pop(row.id, None)

    def _on_message(self, _client: Client, _userdata: Any, message: MQTTMessage) -> None:
        payload = bytes(message.payload)
        if not payload or not self._trust.believes(message.topic, payload):  # empty: a retained command was taken away
            return
        if message.topic in self._commands:
            try:
                self._commands[message.topic](payload)
            except Exception:  # kept by the broker, it would else break each connection anew
                logger.exception("the command %s failed", message.topic)
            return
        try:
            if (early := wire.early_ids(payload)) is not None:
                self._outbox.postpone(early)
                self._is_answered()
                return
            ids = wire.acked_ids(payload)
        except WireError as error:
            logger.warning("an acknowledgement was not understood: %s", error)
            return
        if not ids:  # the hub greets: it has come to a broker that knew nothing of it, and let our messages go nowhere
            self._resend_all()
            self._outbox.new_alert.set()
        elif self._forgotten(ids):
            self._is_answered()

    def _forgotten(self, ids: list[str]) -> bool:
        """Whether some of these, which the hub has stored, were still here."""
        try:
            return self._outbox.acknowledge(ids) > 0
        except StoreError as error:  # a full disk, say: to delete a row takes room as well
            logger.error("what the hub has stored can't be deleted yet, and is sent again later: %s", error)
            self._outbox.postpone(ids)
            return True

    def _is_answered(self) -> None:
        self.last_ack_at = self._clock.now()
        self._waiting_since = None
        self._silence_s = SILENCE_S
        self._refusal = None
        self._outbox.new_alert.set()  # there is room in the window

    def _send_due(self, client: Client) -> None:
        self._outbox.new_alert.clear()
        limit = min(self._window, self._at_once) - len(self._unconfirmed)
        room = MOST_UNDER_WAY - sum(len(row.payload) for row in self._unconfirmed.values())
        for row in self._outbox.take_due(limit, room, self._topics) if room > 0 else ():
            if self._over():  # the disk took so long that another has taken over, whose count this isn't to upset
                return
            if len(row.payload) + PACKET_OVERHEAD > self._largest:
                self._outbox.bury(row, f"{len(row.payload)} bytes are more than the broker takes ({self._largest})")
                continue
            self._unconfirmed[client.publish(self._topics.alerts, row.payload, qos=1).mid] = row
            if self._waiting_since is None:
                self._waiting_since = self._clock.now()

    def _resend_all(self) -> None:
        self._outbox.resend_all()
        here = self._outbox.still_here(self._breaking)
        self._breaking = {id_: pause_s for id_, pause_s in self._breaking.items() if id_ in here}
        for id_, pause_s in self._breaking.items():
            if pause_s:
                self._outbox.postpone([id_], pause_s)

    def _suspect_what_broke_it(self) -> None:
        """Note what may be too large for the broker, so that it goes ever more seldom and all others pass.

        Brokers of 3.1.1 hang up on what is too large for them, without a word before or then. So each connection
        begins with one alert at a time, and one that was under way alone as two of them broke, larger than all that
        the broker ever took, is suspected.
        """
        under_way = list(self._unconfirmed.values())
        self._unconfirmed.clear()
        for row in under_way:
            before_s = self._breaking.get(row.id)
            if before_s is None and (len(under_way) > 1 or len(row.payload) <= self._largest_taken):
                continue
            if before_s is None:
                self._breaking[row.id] = 0.0
                continue
            pause_s = self._breaking[row.id] = min(max(2 * before_s, FIRST_SUSPICION_S), LONGEST_SUSPICION_S)
            logger.warning(
                "alert %s breaks the link, maybe since the broker takes none of %d bytes; it is sent again in %.0f s",
                row.id, len(row.payload), pause_s,
            )  # fmt: skip

    def _send_health(self, client: Client) -> None:
        fields, self._health = self._health, None
        if fields is None:
            return
        properties = None
        if client.protocol == MQTTProtocolVersion.MQTTv5:
            properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
            properties.MessageExpiryInterval = HEALTH_EXPIRY_S
        client.publish(self._topics.health, self._word("health", fields), qos=0, properties=properties)

    def _send_views(self, client: Client) -> None:
        """A new key, the layout (kept by the broker), one census and one picture at a time, after what is urgent."""
        new_key, self._new_key = self._new_key, None
        if new_key is not None:  # the hub asks again when it didn't come
            client.publish(self._topics.key, new_key, qos=1)
        if self._layout is not None and self._layout_due.is_set():
            self._layout_due.clear()
            client.publish(self._topics.layout, self._layout, qos=1, retain=True)
        for waiting, topic in ((self._censuses, self._topics.census), (self._pictures, self._topics.picture)):
            if waiting and not self._outbox.new_alert.is_set():
                payload = waiting.popleft()
                if len(payload) + PACKET_OVERHEAD <= self._largest:
                    client.publish(topic, payload, qos=0)

    def _doubt_silence(self) -> None:
        if self._waiting_since is not None and self._clock.now() - self._waiting_since > self._silence_s:
            silence_s, self._silence_s = self._silence_s, min(2 * self._silence_s, LONGEST_SILENCE_S)
            raise LinkError(self._refusal or f"nothing was acknowledged for {silence_s:.0f} s; is the hub running?")

    def _say_goodbye(self, client: Client) -> None:
        """Tell that we go, since an orderly disconnect keeps the last will from being told."""
        info = client.publish(self._topics.status, self._status("offline"), qos=1, retain=True)
        deadline = self._clock.now() + 2.0
        while not info.is_published() and self._clock.now() < deadline:
            self._loop(client, POLL_S)
        self._ready.clear()

    def _status(self, state: str) -> bytes:
        now = self._clock.now()
        told = {"state": state, "at": iso(now), "at_unix": round(now, 3), "version": __version__}
        return self._word("status", {**told, "public_key": wire.public_key_text(self._key)})

    def _word(self, what: str, fields: Mapping[str, Any]) -> bytes:
        serial, session = self._serials.next(), self._connection
        return wire.from_edge(self._topics, what, fields, serial=serial, session=session, key=self._key)

    def _where(self) -> str:
        return f"{self._broker.host}:{self._broker.port}"
