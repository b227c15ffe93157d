"""Messages of all edges come in from the broker, envelopes are stored, and their acknowledgements leave; commands too.

    broker ─ batch ─ check ─ store (commit) ─ acknowledge to the edge ─ views ─ acknowledge to the broker

In that order: whoever dies between two of these steps, the message comes again, and the store knows it by its id. One
thread owns the connection; after any failure, the store's included, it begins anew with a fresh client, and the
session that the broker keeps brings back what was not acknowledged. Commands are told anew in every session: they
carry a whole state and a version, so that a double does nothing, and a broker that lost them has them again.

Edges take turns: the broker hands their messages over in the order they came, so that what one says without end would
have all others wait. Once it has said very much at once, what else it says is let go unread, but for a fair pace: what
the hub doesn't confirm, an edge says again. That is its alerts; of whatever else it says, some of it once, as much
besides, so that a backlog of alerts costs no word. One that is alone has nobody to wait for it.

What cameras show (views) is much, and none of it an alert: it comes after the alerts of its batch, many to a commit.

A broker that begins anew knows nothing of the hub. What edges sent before the hub was back went nowhere, so they are
greeted, by an acknowledgement of nothing: they send again at once what waits for one.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from types import MappingProxyType
from typing import Any, NamedTuple, NoReturn, Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from paho.mqtt.client import Client, ConnectFlags, MQTTMessage
from paho.mqtt.enums import MQTTProtocolVersion
from paho.mqtt.reasoncodes import ReasonCode
from sqlalchemy.exc import DBAPIError

from detector import wire
from detector.clock import Clock
from detector.config import Broker
from detector.errors import LabelwatchError, WireError
from detector.hub.access.rate_limit import TokenBucket
from detector.hub.background import Background
from detector.hub.edges.heard import Heard
from detector.hub.edges.keys import EdgeKeys
from detector.hub.storage.arrivals import AHEAD_S
from detector.hub.storage.database import said_of
from detector.hub.storage.store import Store
from detector.hub.storage.stored import EdgeId
from detector.mqtt.connection import Attempts, Handshake, LinkError, client_for, connect, let_go, run_once
from detector.names import is_name
from detector.values import DAY_S

logger = logging.getLogger(__name__)

CLIENT_ID = "labelwatch-hub"  # names the session that the broker keeps
BATCH = 200
BATCH_S = 0.005
VIEWS_AT_ONCE = 20  # by one commit: for so long others wait to write
POLL_S = 0.05
KEEPALIVE_S = 30
SESSION_S = 7 * 24 * 3600  # how long the broker keeps messages for a hub that is away; the outboxes keep them longer
COMPLAIN_EVERY_S = 60.0
KINDS_AT_ONCE = 200
MOST_SPEAKING = 1000
MOST_WISHES = 100
SHORT_A_DAY = 64 * 2**20  # bytes of alerts that an edge may bring in a day while the disk is short
OTHERS = ("…", "and others")
# Bytes that an edge may say at once, and in each second after that, in alerts and once more in all else; no message
# counts as less than `LEAST`, for each has its cost. A month of alerts that waited for the hub is a few minutes' worth.
AT_ONCE, A_SECOND, LEAST = 32 * 2**20, 4 * 2**20, 32 * 2**10


class _Believed(NamedTuple):
    """An envelope, or word of dropped ones, of so many bytes.

    And the box that brought it: that had the name in it before, if another.
    """

    fields: Mapping[str, Any]
    bringer: EdgeId
    size: int


class Watch(Protocol):
    """Who keeps an eye on the edges; told before the store keeps what they said."""

    def status(self, site: str, edge: str, state: str, at: float) -> None:
        """An edge is `online` or `offline`."""
        ...

    def report(self, site: str, edge: str, fields: Mapping[str, Any], at: float) -> None:
        """An edge's health report came."""
        ...

    def ahead_s(self, site: str, edge: str) -> float:
        """How far an edge's clock is known to be ahead, seconds; 0 where it is not."""
        ...


class Ingest:
    """Takes in what the edges send, from a broker that may be absent at any time.

    Args:
        store: Where it goes.
        broker: Where the broker is.
        clock: Tells when a message came.
        on_stored: Called with the ids of envelopes that are new, after they are stored, in the ingest's thread.
        edges: Site and name of every edge that is known.
        commands: Topics and payloads that the broker is to keep (retained); asked for in every session, and when told.
        watch: Is told what edges say of themselves.
        others: What messages of other kinds are given to, with topic and time, by the last part of their topic; raises
            `WireError` where one is not believed.
        views: Likewise, of those that may wait for alerts.
        together: A block within which views are kept by one commit, or none of them is.
        keys: Knows the keys of edges.
        key: The hub's: all that it says to edges is signed with it.
        heard: Tells new words of edges from old ones that are said again.
        is_short: Whether the disk is so full that no edge may bring as many alerts as it likes: they wait with it.
    """

    def __init__(
        self,
        store: Store,
        broker: Broker,
        clock: Clock,
        on_stored: Callable[[list[str]], None],
        edges: Callable[[], Iterable[EdgeId]] = lambda: (),
        commands: Callable[[], Iterable[tuple[str, bytes]]] = lambda: (),
        watch: Watch | None = None,
        others: Mapping[str, Callable[[str, bytes, float], None]] = MappingProxyType({}),
        views: Mapping[str, Callable[[str, bytes, float], None]] = MappingProxyType({}),
        together: Callable[[], AbstractContextManager[object]] = nullcontext,
        *,
        keys: EdgeKeys,
        key: Ed25519PrivateKey,
        heard: Heard | None = None,
        is_short: Callable[[], bool] = lambda: False,
    ) -> None:
        self._store = store
        self._keys = keys
        self._broker = broker
        self._clock = clock
        self._on_stored = on_stored
        self._edges = edges
        self._commands = commands
        self._watch = watch
        self._commands_changed = threading.Event()
        self._others = {**others, **views}
        self._views = views
        self._together = together
        self._key = key
        self._heard = heard or Heard()
        self._is_short = is_short
        self._brought: dict[EdgeId, tuple[float, int]] = {}  # since when, and how many bytes were stored
        self._coming: Counter[EdgeId] = Counter()  # bytes that are about to be
        self._wishes: deque[tuple[str, bytes]] = deque(maxlen=MOST_WISHES)
        self._background = Background("ingest", self._run)
        self._ready = threading.Event()
        self._is_new_here = False
        self._inbox: list[MQTTMessage] = []
        self._allowed = TokenBucket(AT_ONCE, 1.0 / A_SECOND)
        self._speaking: set[str] = set()  # edges that said anything
        self._early: defaultdict[EdgeId, list[str]] = defaultdict(list)
        self._refused: Counter[tuple[str, str]] = Counter()
        self._recorded_at: dict[tuple[str, str], float] = {}
        self._complained_at = float("-inf")

    @property
    def connected(self) -> bool:
        """Whether the broker has taken us in and our subscriptions stand."""
        return self._ready.is_set()

    def start(self) -> None:
        """Begin to connect and take in; returns at once."""
        self._background.start()

    def tell_commands(self) -> None:
        """The commands have changed: send them as soon as there is a broker; from any thread."""
        self._commands_changed.set()

    def ask(self, topic: str, payload: bytes) -> None:
        """Send something once, QoS 0, if there is a broker now; from any thread."""
        if self.connected:
            self._wishes.append((topic, payload))

    def stop(self, timeout_s: float = 5.0) -> bool:
        """End; tells whether that took no longer than so many seconds. What was not stored comes again."""
        return self._background.stop(timeout_s)

    # ---- the connection; all below runs in the ingest's thread

    def _run(self) -> None:
        attempts = Attempts()
        while not self._background.stopping:
            try:
                self._session(attempts.version)
            except Exception as error:  # broker or store failed, however: the next session may do better
                if attempts.failed(error, served=self._ready.is_set()) and not self._background.stopping:
                    odd = not isinstance(error, LabelwatchError | OSError | DBAPIError)
                    told = said_of(error) if isinstance(error, DBAPIError) else error
                    logger.warning("messages of the edges do not come in: %s", told, exc_info=odd)
            self._ready.clear()
            self._background.pause(attempts.pause_s)

    def _session(self, version: MQTTProtocolVersion) -> None:
        client = self._client(version)
        self._handshake = Handshake(self._broker)
        self._inbox = []
        try:
            # Else the broker forgets us when we go, and mosquitto sends no more than 20 unacknowledged ones.
            lasting = {"SessionExpiryInterval": SESSION_S, "ReceiveMaximum": BATCH}
            connect(client, self._broker, KEEPALIVE_S, clean_start=False, **lasting)
            self._handshake.wait(lambda: self._step(client), self._ready.is_set, lambda: self._background.stopping)
            logger.info("taking in from the broker at %s:%d", self._broker.host, self._broker.port)
            self._commands_changed.set()
            if self._is_new_here:
                for site, edge in self._edges():
                    self._say(client, wire.Topics(site, edge).ack, wire.ack_payload([]))
            while not self._background.stopping:
                self._send_commands(client)
                run_once(client, POLL_S)
                if self._inbox:
                    self._fill(client)
                    self._take_in(client)
                self._complain()
        finally:
            let_go(client)

    def _client(self, version: MQTTProtocolVersion) -> Client:
        client = client_for(self._broker, CLIENT_ID, version, lasting=True, manual_ack=True)
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_message = lambda _client, _userdata, message: self._inbox.append(message)
        client.on_publish = self._on_publish
        return client

    def _step(self, client: Client) -> bool:
        """Of a session that goes on: iotcore says nothing of our subscription until its messages are acknowledged."""
        run_once(client, POLL_S)
        came = bool(self._inbox)
        if came:
            self._take_in(client)
        return came

    def _on_connect(
        self, client: Client, _userdata: Any, flags: ConnectFlags, reason: ReasonCode, _properties: Any
    ) -> None:
        self._handshake.answer(reason)
        self._is_new_here = not flags.session_present
        others = [(f"{wire.ROOT}/+/+/{name}", 1) for name in self._others]
        client.subscribe([(wire.ALL_ALERTS, 1), (wire.ALL_STATUS, 1), (wire.ALL_HEALTH, 0), *others])

    def _on_subscribe(self, _client: Client, _userdata: Any, _mid: int, reasons: list[ReasonCode], _more: Any) -> None:
        if any(reason.is_failure for reason in reasons):
            raise LinkError("the broker does not let us subscribe to the edges' topics")
        self._ready.set()

    def _on_publish(self, _client: Client, _userdata: Any, _mid: int, reason: ReasonCode, _properties: Any) -> None:
        if reason.is_failure:  # brokers of 3.1.1 drop in silence what they forbid
            logger.warning("the broker did not take a message to an edge: %s", reason)

    def _send_commands(self, client: Client) -> None:
        if self._commands_changed.is_set():
            self._commands_changed.clear()  # before reading: what changes meanwhile is sent once more, not missed
            for topic, payload in self._commands():
                self._say(client, topic, payload, retain=True)
        while self._wishes:
            self._say(client, *self._wishes.popleft(), qos=0)

    def _say(self, client: Client, topic: str, payload: bytes, *, qos: int = 1, retain: bool = False) -> None:
        client.publish(topic, wire.to_edge(topic, payload, self._key, self._clock.now()), qos=qos, retain=retain)

    def _fill(self, client: Client) -> None:
        """One commit costs an fsync: gather what else comes within a few milliseconds."""
        until = time.monotonic() + BATCH_S
        while len(self._inbox) < BATCH and (left_s := until - time.monotonic()) > 0:
            run_once(client, left_s)

    # ---- what comes in

    def _take_in(self, client: Client) -> None:
        messages, self._inbox = self._inbox, []
        self._early.clear()  # what a store that failed left comes again
        self._coming.clear()
        received_at = self._clock.now()
        views: list[MQTTMessage] = []
        others: list[MQTTMessage] = []
        for message in messages:
            if self._has_its_turn(message, received_at):
                (views if self._is_view(message) else others).append(message)
        with self._keys.together():
            believed = [alert for message in others if (alert := self._read(message, received_at)) is not None]
        new, stored = self._keep(believed, received_at)
        self._charge(new, stored, received_at)
        ids: dict[EdgeId, list[str]] = defaultdict(list)
        for fields, bringer, _ in stored:
            ids[bringer].append(fields["id"])
        for (site, edge), of_edge in ids.items():
            self._say(client, wire.Topics(site, edge).ack, wire.ack_payload(of_edge))
        for (site, edge), early in self._early.items():
            self._say(client, wire.Topics(site, edge).ack, wire.early_payload(early))
        if new:
            self._tell(new)
        for n in range(0, len(views), VIEWS_AT_ONCE):
            self._show(views[n : n + VIEWS_AT_ONCE], received_at)
        for message in messages:
            client.ack(message.mid, message.qos)

    def _has_its_turn(self, message: MQTTMessage, at: float) -> bool:
        """Whether a message is to be dealt with: others wait, and its edge has said very much."""
        try:
            topic = message.topic
            edge = "/".join(wire.topic_owner(topic))
        except (UnicodeDecodeError, WireError):
            return True  # it is refused
        if len(self._speaking) < MOST_SPEAKING:
            self._speaking.add(edge)
        sort = "alerts" if topic.endswith("/alerts") else "others"
        if len(self._speaking) < 2 or self._allowed.take(f"{edge}/{sort}", at, max(LEAST, len(message.payload))):
            return True
        self._count((topic[:200], "too much at once, to be said again"))  # a backlog may be: nothing is refused
        return False

    def _is_view(self, message: MQTTMessage) -> bool:
        try:
            return message.topic.rpartition("/")[2] in self._views
        except UnicodeDecodeError:
            return False

    def _show(self, views: Sequence[MQTTMessage], at: float) -> None:
        """Keep views by one commit, since each waits for the disk; where that fails, one by one."""
        refused: list[tuple[str, str]] = []
        try:
            with self._keys.together(), self._together():
                for view in views:
                    try:
                        self._deal(view, at)
                    except WireError as error:
                        refused.append((view.topic, str(error)))
        except Exception:
            logger.debug("what cameras show could not be kept together; trying one by one", exc_info=True)
            for view in views:
                self._read(view, at)
        else:
            for topic, reason in refused:
                self._refuse(topic, reason, at)

    def _read(self, message: MQTTMessage, at: float) -> _Believed | None:
        """Deal with a message; an alert that may be believed is returned, for they are stored together."""
        topic = "(not UTF-8)"
        try:
            topic = message.topic
            return self._deal(message, at)
        except WireError as error:
            reason = str(error)
        except Exception as error:  # noqa: BLE001  (one odd message must not come again for ever and hold up the rest)
            reason = f"can't be dealt with: {type(error).__name__}"
        self._refuse(topic, reason, at)  # where the store was at fault, this fails too and ends the session
        return None

    def _deal(self, message: MQTTMessage, at: float) -> _Believed | None:
        """Likewise.

        Raises:
            WireError: It is not believed.
        """
        topic = message.topic
        site, edge = wire.topic_owner(topic)
        if not (is_name(site) and is_name(edge)):
            raise WireError("site or edge is no name that a configuration may give")
        if topic.endswith("/alerts"):
            return self._believed((site, edge), bytes(message.payload), at)
        if (other := self._others.get(topic.rpartition("/")[2])) is not None:
            other(topic, bytes(message.payload), at)
            return None
        fields = wire.decode_word(topic, bytes(message.payload))
        self._keys.believe(fields, signed_at=fields["at_unix"], at=at)
        if not self._heard.is_new(fields, self._keys.states(site, edge)):
            return None
        if topic.endswith("/status"):
            self._note_status(site, edge, fields, at, retained=message.retain)
        else:
            if self._watch:
                self._watch.report(site, edge, fields, at)
            self._store.edges.set_health(site, edge, fields, at)
        self._heard.note(fields)
        return None

    def _believed(self, bringer: EdgeId, payload: bytes, at: float) -> _Believed:
        """The envelope, when it carries the signature of its edge.

        Raises:
            WireError: It is malformed, or of another edge, or forged.
        """
        fields = wire.read_alert(payload)
        sent_at = float(fields["sent_at_unix"])
        self._keys.believe(fields, signed_at=sent_at, at=at, bringer=bringer)
        if not sent_at <= at + AHEAD_S:
            # A clock that is known to be wrong costs no alert its minute: there is an alarm about that.
            ahead_s = self._watch.ahead_s(*bringer) if self._watch else 0.0
            if not sent_at <= at + AHEAD_S + ahead_s:
                self._postpone(bringer, fields, "from the future: it waits at its edge")
        if not self._has_room(bringer, len(payload), at):
            why = "the hub's disk is nearly full, and this edge brought much today: it waits there"
            self._postpone(bringer, fields, why)
        self._coming[bringer] += len(payload)
        return _Believed(fields, bringer, len(payload))

    def _postpone(self, bringer: EdgeId, fields: Mapping[str, Any], why: str) -> NoReturn:
        self._early[bringer].append(fields["id"])
        raise WireError(why)

    def _has_room(self, edge: EdgeId, size: int, at: float) -> bool:
        """Whether so many bytes of an edge may be kept: one that is mad, or a thief's, leaves room for the others."""
        _, brought = self._brought_today(edge, at)
        return brought + self._coming[edge] + size <= SHORT_A_DAY or not self._is_short()

    def _brought_today(self, edge: EdgeId, at: float) -> tuple[float, int]:
        since, brought = self._brought.get(edge, (at, 0))
        return (since, brought) if 0.0 <= at - since < DAY_S else (at, 0)

    def _charge(self, new: list[str], stored: list[_Believed], at: float) -> None:
        """Note what each edge brought that takes room now: neither what failed, and comes again, nor a double."""
        ids = set(new)
        for fields, bringer, size in stored:
            if fields["id"] in ids:
                since, brought = self._brought_today(bringer, at)
                self._brought[bringer] = since, brought + size

    def _note_status(self, site: str, edge: str, fields: Mapping[str, Any], at: float, *, retained: bool) -> None:
        state, said_at = fields.get("state"), float(fields["at_unix"])
        if state not in ("online", "offline"):
            raise WireError("status: neither online nor offline")
        # A last will was written when the edge connected, so the time in it is not when the edge went away.
        if retained and 0 < said_at < at:
            at = said_at
        if self._watch:
            self._watch.status(site, edge, state, at)
        self._store.edges.set_status(site, edge, state, at)

    def _keep(self, alerts: list[_Believed], at: float) -> tuple[list[str], list[_Believed]]:
        """Store alerts; ids that were new, and the alerts that are stored now.

        Where the batch fails, those of each edge are tried by themselves, and where that fails one by one, so that one
        that the store can't take does not hold up all others for ever. Where the store takes nothing at all, its error
        comes out.
        """
        if not alerts:
            return [], []
        try:
            bringers = {alert.fields["id"]: alert.bringer for alert in alerts}
            return self._store.add_alerts([alert.fields for alert in alerts], at, bringers), alerts
        except Exception as error:  # noqa: BLE001  (if the store is at fault, putting it on record fails too)
            refused = error
        if len(alerts) == 1:
            why = str(refused) if isinstance(refused, WireError) else type(refused).__name__
            topic = wire.Topics(*alerts[0].bringer).alerts
            self._refuse(topic, f"{alerts[0].fields['id'][:40]} can't be stored: {why}", at)
            return [], []
        if not isinstance(refused, WireError):
            logger.warning("a batch could not be stored; trying its parts", exc_info=refused)
        by_edge: defaultdict[EdgeId, list[_Believed]] = defaultdict(list)
        for alert in alerts:
            by_edge[alert.bringer].append(alert)
        parts = list(by_edge.values()) if len(by_edge) > 1 else [[alert] for alert in alerts]
        kept = [self._keep(part, at) for part in parts]
        return [name for new, _ in kept for name in new], [alert for _, stored in kept for alert in stored]

    def _refuse(self, topic: str, reason: str, at: float) -> None:
        """Count a message that is not believed; the first of its kind within a minute goes on record.

        So a flood of them costs neither a commit each nor memory without end.
        """
        kind = (topic[:200], reason[:200])
        self._count(kind)
        now = time.monotonic()
        if now - self._recorded_at.get(kind, float("-inf")) < COMPLAIN_EVERY_S:
            return
        if len(self._recorded_at) >= KINDS_AT_ONCE:
            self._recorded_at = {k: t for k, t in self._recorded_at.items() if now - t < COMPLAIN_EVERY_S}
        if len(self._recorded_at) < KINDS_AT_ONCE:
            self._store.add_refusal(*kind, at)
            self._recorded_at[kind] = now

    def _count(self, kind: tuple[str, str]) -> None:
        self._refused[kind if kind in self._refused or len(self._refused) < KINDS_AT_ONCE else OTHERS] += 1

    def _complain(self) -> None:
        """Log what was not taken, at most once a minute however much comes."""
        if not self._refused or time.monotonic() - self._complained_at < COMPLAIN_EVERY_S:
            return
        worst = "; ".join(f"{topic!r}: {reason} ({n})" for (topic, reason), n in self._refused.most_common(3))
        logger.warning("%d messages were not taken, among them %s", self._refused.total(), worst)
        self._refused.clear()
        self._complained_at = time.monotonic()

    def _tell(self, ids: list[str]) -> None:
        try:
            self._on_stored(ids)
        except Exception:
            logger.exception("what waits for new alerts failed")
