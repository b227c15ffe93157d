"""The connection to other systems' broker: what they are told goes out, what their switches ask for comes in.

One thread owns the connection, as in `edges.ingest`, and after any failure begins anew with a fresh client. There is no
queue: each time it looks, every ten seconds and when something was stored, it sends what differs from what this
session has sent. So a broker that is away, slow or full costs nothing but what would have been told meanwhile.

Where nothing is to be told any more, a session does no more than take away what was (`leftovers`).
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from dataclasses import dataclass, replace
from typing import Any, Protocol

from paho.mqtt.client import Client, ConnectFlags, MQTTMessage
from paho.mqtt.enums import MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.reasoncodes import ReasonCode

from detector.clock import Clock
from detector.config import Broker, HubConfig
from detector.errors import LabelwatchError
from detector.hub.background import Background
from detector.hub.integrations.home_assistant import OFFLINE, ONLINE, HomeAssistant
from detector.hub.integrations.leftovers import TOLD, Leftovers
from detector.hub.integrations.links import PictureLinks
from detector.hub.integrations.onvif import Onvif
from detector.hub.integrations.switches import Switches
from detector.hub.integrations.world import Observer, World
from detector.mqtt.connection import Attempts, Handshake, LinkError, client_for, connect, let_go, run_once

logger = logging.getLogger(__name__)

KEEPALIVE_S = 20  # the broker publishes our last will after one and a half of it
POLL_S = 0.1
LOOK_S = 10.0
SHORTEST_LOOK_S = 1.0  # so often at most, however much comes
BIRTH_S = 10.0  # so often at most is all told anew because Home Assistant says that it has started
LONGEST_BACK_OFF_S = 30.0
QUEUED = 20_000  # packets that paho holds for a slow broker: a camera has nine when a session begins
LARGEST_PACKET = 2 * 2**20  # MQTT 5 brokers send us nothing larger; devices that we announce are smaller
MOST_COMMANDS = 100  # that wait at once
MOST_TRIES = 20  # to take away what was told, after each start


@dataclass(frozen=True, slots=True)
class LinkState:
    """How the link stands; times are Unix seconds. `published` counts messages since the hub started.

    `dropped` counts those that the broker did not take, `refused` commands that were none or too many, `left_out`
    cameras that are too many of their edge to be told of.
    """

    connected: bool = False
    since: float | None = None
    published: int = 0
    published_at: float | None = None
    events: int = 0
    dropped: int = 0
    commands: int = 0
    refused: int = 0
    left_out: int = 0
    error: str = ""
    error_at: float | None = None


class Publisher(Protocol):
    """Makes messages of the world."""

    def retained(self, world: World) -> dict[str, bytes]:
        """All that the broker is to keep, by topic."""
        ...

    def events(self, world: World) -> list[tuple[str, bytes]]:
        """What is told once."""
        ...


class Link:
    """Tells a broker, which may be absent at any time, what publishers make of the world.

    Args:
        broker: Where it is.
        topic: All is published below it; names the session, too.
        observer: Reads the world.
        clock: Tells the time.
        home_assistant: Where it is told.
        onvif: Where ONVIF's form is told.
        switches: Does what Home Assistant's switches ask for.
        leftovers: What the broker keeps that is told no more.
    """

    def __init__(
        self,
        broker: Broker,
        topic: str,
        observer: Observer,
        clock: Clock,
        *,
        home_assistant: HomeAssistant | None,
        onvif: Onvif | None,
        switches: Switches,
        leftovers: Leftovers,
    ) -> None:
        self._broker, self._topic, self._observer, self._clock = broker, topic, observer, clock
        self._home, self._switches, self._leftovers = home_assistant, switches, leftovers
        self._publishers: list[Publisher] = [one for one in (home_assistant, onvif) if one is not None]
        self._state = LinkState()
        self._background = Background("integrations", self._run)
        self._poked = threading.Event()
        self._world = World(0.0)
        self._ready = False
        self._begin_session()

    @property
    def is_wanted(self) -> bool:
        """Whether there is anything to tell."""
        return bool(self._publishers)

    @property
    def state(self) -> LinkState:
        """How it stands; from any thread."""
        return self._state

    def start(self) -> None:
        """Begin to connect and tell, or to take away what was told; returns at once."""
        if self.is_wanted or self._leftovers.are_on_record:
            self._background.start()

    def poke(self) -> None:
        """Something has changed; from any thread."""
        self._poked.set()

    def stop(self, timeout_s: float = 2.0) -> None:
        """Say that the hub goes, and end."""
        self._background.stop(timeout_s)

    # All below runs in the link's thread

    def _run(self) -> None:
        attempts, is_listening, tries = Attempts(LONGEST_BACK_OFF_S), False, 0
        while not self._background.stopping:
            try:
                if not is_listening and self.is_wanted:
                    self._observer.listen(self._clock.now())
                    is_listening = True
                self._session(attempts.version)
                tries = MOST_TRIES
            except Exception as error:  # noqa: BLE001  (broker or database failed: the next session may do better)
                attempts.failed(error, served=self._state.connected)
                self._failed(error)
                tries += 1
            self._state = replace(self._state, connected=False, since=None)
            if not self.is_wanted and tries >= MOST_TRIES:
                return
            self._background.pause(attempts.pause_s)

    def _failed(self, error: Exception) -> None:
        said = str(LabelwatchError(str(error) or type(error).__name__))[:200]
        if said != self._state.error and not self._background.stopping:
            odd = not isinstance(error, LabelwatchError | OSError)
            logger.warning("other systems are not told: %s", said, exc_info=odd)
        self._state = replace(self._state, error=said, error_at=self._clock.now())

    def _begin_session(self) -> None:
        self._sent: dict[str, bytes] = {}
        self._leftovers.begin()
        self._unconfirmed: set[int] = set()
        self._is_all_sent = False
        self._inbox: deque[MQTTMessage] = deque(maxlen=MOST_COMMANDS)
        self._ready = False
        self._handshake = Handshake(self._broker)
        self._looked_at = self._born_at = float("-inf")

    def _session(self, version: MQTTProtocolVersion) -> None:
        self._begin_session()
        client = self._client(version)
        try:
            connect(client, self._broker, KEEPALIVE_S, clean_start=True, MaximumPacketSize=LARGEST_PACKET)
            self._handshake.wait(
                lambda: run_once(client, POLL_S), lambda: self._ready, lambda: self._background.stopping
            )  # fmt: skip
            self._leftovers.listen()
            logger.info("telling other systems by the broker at %s:%d", self._broker.host, self._broker.port)
            self._state = replace(self._state, connected=True, since=self._clock.now(), error="")
            self._leftovers.note()
            if self.is_wanted:
                self._publish(client, f"{self._topic}/status", ONLINE.encode(), retain=True)
            while not self._background.stopping and not self._is_done:
                run_once(client, POLL_S)
                self._take_commands()
                if self._home and self._is_all_sent and not self._unconfirmed:
                    self._home.forget_gone()
                    self._is_all_sent = False
                passed = time.monotonic() - self._looked_at
                is_due = passed > LOOK_S or (self._poked.is_set() and passed > SHORTEST_LOOK_S)
                if is_due and self.is_wanted:
                    self._poked.clear()
                    self._look(client)
                    # Nothing can have come meanwhile, however long a look at a busy database took.
                    self._leftovers.wait(time.monotonic() - self._looked_at)
                if self._leftovers.are_known:
                    self._clear(client)
            is_done = self._is_done
            self._publish(client, f"{self._topic}/status", b"" if is_done else OFFLINE.encode(), retain=True)
            for _ in range(10):  # what still waits may go
                run_once(client, POLL_S)
                if not (self._unconfirmed if is_done else client.want_write()):
                    break
            if self._is_done:
                self._leftovers.forget()
        finally:
            let_go(client)

    @property
    def _is_done(self) -> bool:
        """Whether there is nothing to tell, and all is taken away that was told."""
        return self._leftovers.are_gone and not self.is_wanted and not self._unconfirmed

    def _client(self, version: MQTTProtocolVersion) -> Client:
        client = client_for(self._broker, f"{self._topic}-integrations", version)
        client.max_queued_messages_set(QUEUED)
        client.will_set(f"{self._topic}/status", OFFLINE, qos=1, retain=True)
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        client.on_publish = self._on_publish
        return client

    def _on_connect(
        self, client: Client, _userdata: Any, _flags: ConnectFlags, reason: ReasonCode, _properties: Any
    ) -> None:
        self._handshake.answer(reason)
        filters = self._leftovers.filters
        if self._home:
            filters += [self._home.birth_topic, *self._home.commands]
        client.subscribe([(one, 1) for one in filters])

    def _on_subscribe(self, _client: Client, _userdata: Any, _mid: int, reasons: list[ReasonCode], _more: Any) -> None:
        failed = [reason.is_failure for reason in reasons]
        if failed[-1] and self._leftovers.do_without_devices():
            failed[-1] = False
        if any(failed):
            raise LinkError("the broker does not let us subscribe to our own topics")
        self._ready = True

    def _on_publish(self, _client: Client, _userdata: Any, mid: int, reason: ReasonCode, _properties: Any) -> None:
        self._unconfirmed.discard(mid)
        if reason.is_failure:  # brokers of 3.1.1 drop in silence what they forbid
            self._state = replace(self._state, dropped=self._state.dropped + 1)
            self._failed(LinkError(f"the broker did not take a message: {reason}"))

    def _on_message(self, _client: Client, _userdata: Any, message: MQTTMessage) -> None:
        topic = message.topic
        is_command = topic.endswith("/set")
        if message.retain and not is_command:  # kept by the broker since an earlier session
            self._leftovers.hear(topic, bytes(message.payload))
        if is_command or (self._home and topic == self._home.birth_topic):
            self._inbox.append(message)

    def _look(self, client: Client) -> None:
        self._looked_at = time.monotonic()
        world = self._world = self._observer.read(self._clock.now())
        if world.left_out != self._state.left_out:
            self._state = replace(self._state, left_out=world.left_out)
            logger.warning("other systems are not told of %d cameras, too many of their edge", world.left_out)
        wanted = {topic: payload for one in self._publishers for topic, payload in one.retained(world).items()}
        for topic, payload in wanted.items():
            if self._sent.get(topic) != payload and self._publish(client, topic, payload, retain=True):
                self._sent[topic] = payload
        self._is_all_sent = all(self._sent.get(topic) == payload for topic, payload in wanted.items())
        for topic in [topic for topic in self._sent if topic not in wanted]:
            if self._publish(client, topic, b"", retain=True):
                del self._sent[topic]
        for publisher in self._publishers:
            for topic, payload in publisher.events(world):
                if self._publish(client, topic, payload, retain=False):
                    self._state = replace(self._state, events=self._state.events + 1)

    def _clear(self, client: Client) -> None:
        """Take away what the broker kept of things that are no more; of what we publish alone."""
        client.unsubscribe(self._leftovers.filters)
        for topic in self._leftovers.take(self._sent):
            self._publish(client, topic, b"", retain=True)

    def _publish(self, client: Client, topic: str, payload: bytes, *, retain: bool) -> bool:
        sent = client.publish(topic, payload, qos=1, retain=retain)
        if sent.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
            self._state = replace(self._state, dropped=self._state.dropped + 1)
            return False
        self._unconfirmed.add(sent.mid)
        now = self._clock.now()
        self._state = replace(self._state, published=self._state.published + 1, published_at=now)
        return True

    def _take_commands(self) -> None:
        while self._inbox:
            message = self._inbox.popleft()
            if self._home and message.topic == self._home.birth_topic:
                now = time.monotonic()
                if bytes(message.payload) == ONLINE.encode() and now - self._born_at > BIRTH_S:
                    self._born_at = now
                    self._sent.clear()
                    self._poked.set()
                continue
            asked = None
            if self._home and not message.retain:  # one that was kept is old, and would come with every session
                asked = self._home.command(message.topic, bytes(message.payload), self._world)
            if asked is not None and self._switches.turn(asked, self._clock.now()):
                self._state = replace(self._state, commands=self._state.commands + 1)
                self._poked.set()
            else:
                self._state = replace(self._state, refused=self._state.refused + 1)
                logger.warning("a command by MQTT was refused: %s", ascii(message.topic)[:200])


def link_of(config: HubConfig, observer: Observer, switches: Switches, links: PictureLinks, clock: Clock) -> Link:
    """The link that a configuration asks for; one that does nothing where nothing is enabled."""
    wanted, home = config.integrations, HomeAssistant(config, links, config.data_dir / "home-assistant.json")
    is_home_told = wanted.home_assistant.enabled
    return Link(
        wanted.broker or config.broker, wanted.topic, observer, clock, home_assistant=home if is_home_told else None,
        onvif=Onvif(config) if wanted.onvif else None, switches=switches,
        leftovers=Leftovers(config.data_dir / TOLD, wanted.topic, home, is_home_told=is_home_told),
    )  # fmt: skip
