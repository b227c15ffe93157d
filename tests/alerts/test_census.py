"""When the count of what lies in zones is sent, and that it comes through a real broker."""

from __future__ import annotations

from contextlib import closing
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from detector import wire
from detector.alerts.census import AT_MOST_S, EVERY_S, CameraCensus
from detector.alerts.mqtt import CENSUSES_KEPT, MqttLink
from detector.alerts.outbox import Outbox
from detector.census import Census, ZoneCensus
from detector.clock import SystemClock
from detector.config import Broker
from tests.alerts.test_mqtt import TOPICS, Peer, broker, outbox  # noqa: F401  (fixtures)
from tests.parts_mosquitto import Mosquitto, soon

START = 1_793_505_600.0


def zone(up: int, **more: Any) -> ZoneCensus:
    usual = {"not_up": 2, "unknown": 0, "usual_rate": 0.3, "band": (0.1, 0.6), "evidence": 0.0}
    return ZoneCensus(**{"zone": "bulk", "up": up, **usual, **more})


class Sent:
    """What a camera sends, frame by frame."""

    def __init__(self) -> None:
        self.told: list[Census] = []
        self.asked = 0
        self.camera = CameraCensus("cam1", self.told.append)

    def frames(self, since: int, until: int, *zones: ZoneCensus) -> list[float]:
        """Two frames a second over which this lies there; when something was sent, seconds from the start."""
        before = len(self.told)

        def count() -> tuple[ZoneCensus, ...]:
            self.asked += 1
            return zones

        for n in range(2 * since, 2 * until):
            self.camera.offer(START + n / 2, count)
        return [census.at - START for census in self.told[before:]]


def test_what_stays_the_same_is_told_once_a_minute() -> None:
    sent = Sent()
    assert sent.frames(0, 200, zone(3)) == [AT_MOST_S, AT_MOST_S + EVERY_S, AT_MOST_S + 2 * EVERY_S, 190]
    assert sent.asked == 19  # what is counted costs nothing in between


def test_what_changes_is_told_soon_but_not_all_the_time() -> None:
    sent = Sent()
    assert sent.frames(0, 15, zone(3)) == [10]
    assert sent.frames(15, 32, zone(4)) == [20]
    assert sent.frames(32, 60, zone(4, came_up=1)) == [40, 50]


def test_where_there_is_no_zone_nothing_is_told() -> None:
    assert Sent().frames(0, 200) == []


def test_time_that_goes_back_begins_anew() -> None:
    sent = Sent()
    sent.frames(100, 150, zone(3))
    assert sent.frames(0, 15, zone(3)) == [10]


def test_a_count_that_fails_harms_nothing() -> None:
    sent = Sent()

    def fail() -> tuple[ZoneCensus, ...]:
        raise ValueError

    for n in range(40):
        sent.camera.offer(START + n, fail)
    assert sent.told == []
    assert sent.frames(50, 70, zone(3)) == [50]


def test_counts_wait_for_a_broker_and_the_oldest_give_way(
    broker: Mosquitto,  # noqa: F811
    outbox: Outbox,  # noqa: F811
    key: Ed25519PrivateKey,
) -> None:
    link = MqttLink(outbox, TOPICS, Broker(port=broker.port), SystemClock(), key)
    for n in range(CENSUSES_KEPT + 3):
        link.publish_census(wire.census_payload(TOPICS, Census(camera="cam1", at=START + n, zones=(zone(n),)), key))
    assert link.dropped_views == 3
    broker.start()
    try:
        with closing(Peer(broker.port)) as peer:
            link.start()
            assert soon(lambda: len(peer.of(TOPICS.census)) == CENSUSES_KEPT)
            heard = [payload for topic, payload, _ in peer.heard if topic == TOPICS.census]
            fields, first = wire.decode_census(TOPICS.census, heard[0])
            wire.verify(fields, wire.public_key_text(key))
            assert (first.at, first.zones[0].up) == (START + 3, 3)
    finally:
        assert link.stop(10.0)
