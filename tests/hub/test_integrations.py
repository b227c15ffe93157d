"""Home Assistant and ONVIF's listeners are told what is so, over a real broker, and can do no harm by it."""

from __future__ import annotations

import json
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st
from paho.mqtt.client import CallbackAPIVersion, Client, MQTTMessage, MQTTv5
from pydantic import ValidationError

from detector.config import HubConfig, load_hub
from detector.errors import ConfigError
from detector.hub.access.audit import Audit
from detector.hub.edges.keys import EdgeKeys
from detector.hub.integrations import leftovers
from detector.hub.integrations import link as links
from detector.hub.integrations.home_assistant import HomeAssistant, Switched
from detector.hub.integrations.links import PictureLinks
from detector.hub.integrations.switches import MOST_A_MINUTE, USER, Switches
from detector.hub.integrations.world import Observer, World
from detector.hub.notices.pauses import Pauses
from detector.hub.notices.queue import Notices
from detector.hub.notices.rules import Rule
from detector.hub.storage.budget import Budget
from detector.hub.storage.rights import Role, Scope
from detector.hub.storage.store import Store
from detector.mqtt.broker import EmbeddedBroker
from detector.mqtt.connection import run_once
from detector.values import IncidentKind
from detector.wire import public_key_text
from tests.conftest import REPOSITORY
from tests.hub.conftest import NOON, Site, make_envelope
from tests.hub.parts_home_assistant import BinarySensor, Event, Image, Sensor, Switch, discovered, gone, rendered
from tests.parts_mosquitto import ANYONE, Mosquitto, soon

ROOT = "labelwatch-hub"
CAMERA = f"{ROOT}/ha/shanghai/box1/cam3"
PUBLIC = "https://hub.example.com"
ALL: dict[str, Any] = {"home_assistant": {"enabled": True, "switches": True}, "onvif": True}
SECRET = "张三 13800138000"


@pytest.fixture(scope="module")
def mosquitto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    """A real broker; tests tell themselves apart by a root of their own where it matters."""
    # As the shipped configuration has it: by itself mosquitto keeps a thousand for who subscribes, and drops the rest.
    broker = Mosquitto(tmp_path_factory.mktemp("mosquitto"), f"{ANYONE}\nmax_queued_messages 100000")
    broker.start()
    yield broker
    broker.kill()


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"LOOK_S": 0.2, "SHORTEST_LOOK_S": 0.02, "POLL_S": 0.02}.items():
        monkeypatch.setattr(links, name, value)
    monkeypatch.setattr(links, "BIRTH_S", 0.0)
    monkeypatch.setattr(leftovers, "LEFTOVERS_S", 0.3)


class Listener:
    """Who subscribes to all: what the broker keeps (`kept`), and every message in order (`heard`)."""

    def __init__(self, port: int, user: str | None = None) -> None:
        self.kept: dict[str, bytes] = {}
        self.heard: list[tuple[str, bytes, bool]] = []
        self.client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTv5)
        self.client.on_message = self._on_message
        if user:
            self.client.username_pw_set(user)
        self.client.connect("127.0.0.1", port)
        self.client.subscribe("#", qos=1)
        self.client.loop_start()

    def _on_message(self, _client: Client, _userdata: Any, message: MQTTMessage) -> None:
        # Brokers pass on live what is to be kept without its mark: who sent no event, sent a state.
        self.heard.append((message.topic, message.payload, message.retain))
        if not message.payload:
            self.kept.pop(message.topic, None)
        elif not message.topic.endswith("/alert"):
            self.kept[message.topic] = message.payload

    def say(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        self.client.publish(topic, payload, qos=1, retain=retain).wait_for_publish(10)

    def state(self, topic: str) -> dict[str, Any]:
        return dict(json.loads(self.kept.get(topic, b"{}")))

    def events(self, topic: str) -> list[dict[str, Any]]:
        return [json.loads(payload) for one, payload, _ in list(self.heard) if one == topic]

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


def wipe(port: int) -> None:
    """Take away all that a broker keeps."""
    listener = Listener(port)
    listener.say("wiped", b"x")
    assert soon(lambda: any(topic == "wiped" for topic, _, _ in listener.heard))
    for topic in list(listener.kept):
        listener.say(topic, b"", retain=True)
    listener.close()


class House:
    """A hub's parts whose link speaks to a real broker, and one who listens there."""

    def __init__(self, folder: Path, port: int, **integrations: Any) -> None:
        wipe(port)
        self.listener = Listener(port)
        told = {**ALL, **integrations, "broker": {"port": port}}
        self.site = Site(folder, public_url=PUBLIC, language="en", integrations=told)
        self.store, self.clock, self.parts = self.site.store, self.site.clock, self.site.parts
        self.link = self.parts.integrations
        self.report()

    def report(self, *cameras: str, **fields: Any) -> None:
        """An edge's health report comes."""
        names = cameras or ("cam3",)
        told = {name: {"age_s": 1.0, "fps": 12.5, "title": f"东区 {name}", **fields} for name in names}
        self.store.edges.set_status("shanghai", "box1", "online", self.clock.at)
        self.store.edges.set_health(
            "shanghai", "box1", {"cameras": told, "backlog": 7, "version": "1.2"}, self.clock.at
        )
        self.link.poke()

    def alert(self, seq: int, **changes: Any) -> None:
        """An envelope comes."""
        self.store.add_alerts([make_envelope(seq, **{"started_at_unix": self.clock.at, **changes})], self.clock.at)
        self.link.poke()

    def start(self) -> None:
        self.link.start()
        assert soon(lambda: f"{CAMERA}/state" in self.listener.kept)

    def close(self) -> None:
        self.link.stop(10.0)
        self.listener.close()
        self.site.client.close()
        self.store.close()


@pytest.fixture
def open_house(tmp_path: Path, mosquitto: Mosquitto) -> Iterator[Callable[..., House]]:
    """Opens a house on the module's broker."""
    opened: list[House] = []

    def make(**integrations: Any) -> House:
        opened.append(House(tmp_path, mosquitto.port, **integrations))
        return opened[-1]

    yield make
    for house in opened:
        house.close()


@pytest.fixture
def house(open_house: Callable[..., House]) -> House:
    house = open_house()
    house.start()
    return house


def devices(listener: Listener) -> dict[str, Any]:
    """All of ours that are announced, each checked by what Home Assistant takes."""
    kept = [one for one in list(listener.kept.items()) if one[0].startswith("homeassistant/device/")]
    found = {topic: json.loads(payload) for topic, payload in kept if b"labelwatch-hub-2/" not in payload}
    return {fields["dev"]["name"]: discovered(topic, fields) for topic, fields in found.items()}


# Home Assistant


def test_devices_are_what_home_assistant_takes_and_every_value_is_found(house: House, picture: bytes) -> None:
    house.alert(1, snapshot=picture)
    assert soon(lambda: house.listener.state(f"{CAMERA}/state").get("alerts") == 1)
    assert soon(lambda: f"{CAMERA}/picture" in house.listener.kept)
    assert soon(lambda: len(devices(house.listener)) == 2)
    found = devices(house.listener)
    assert set(found) == {"labelwatch hub", "Edge box shanghai box1"}
    hub, box = found["labelwatch hub"], found["Edge box shanghai box1"]
    assert box.device.via_device in hub.device.identifiers and box.availability_mode == "all"
    assert box.device.configuration_url == PUBLIC and box.device.sw_version == "1.2"
    values: dict[str, str] = {}
    for component in [*hub.components.values(), *box.components.values()]:
        if isinstance(component, Sensor | BinarySensor | Switch):
            state = house.listener.state(component.state_topic)
            assert state, component.state_topic
            values[component.name] = rendered(component.value_template or "", state)
        if isinstance(component, BinarySensor | Switch):
            assert values[component.name] in (component.payload_on, component.payload_off)
        if isinstance(component, Sensor | BinarySensor):
            assert component.expire_after == 180
        if isinstance(component, Image):
            assert house.listener.kept[component.url_topic].decode().startswith(f"{PUBLIC}/shown/inc-1/")
        if isinstance(component, Event):
            assert component.event_types == [kind.value for kind in IncidentKind]
        for one in component.availability or (
            hub.availability if component in hub.components.values() else box.availability
        ):
            assert house.listener.kept[one.topic] == one.payload_available.encode()
    assert values["东区 cam3 alerts this shift"] == "1" and values["东区 cam3 labels exposed this shift"] == "4"
    assert values["东区 cam3 last alert"] == "2026-11-01T04:00:00.000Z" and values["东区 cam3 picture"] == "ON"
    assert values["东区 cam3 notices"] == "ON" and values["东区 cam3 tampered with"] == "OFF"
    assert values["backlog"] == "7" and values["东区 cam3 frame rate"] == "12.5" and values["alerts to judge"] == "1"


def test_names_follow_the_hubs_language_and_ids_do_not() -> None:
    def of(language: str) -> dict[str, bytes]:
        config = HubConfig(language=language, integrations=ALL)
        return HomeAssistant(config, PictureLinks(None)).retained(World(NOON))

    zh, en = of("zh"), of("en")
    assert zh.keys() == en.keys()
    topic = next(topic for topic in zh if topic.endswith("/config"))
    chinese, english = discovered(topic, json.loads(zh[topic])), discovered(topic, json.loads(en[topic]))
    assert chinese.device.name == "面单监控中心" and english.device.name == "labelwatch hub"
    assert chinese.device.identifiers == english.device.identifiers
    assert [one.unique_id for one in chinese.components.values()] == [
        one.unique_id for one in english.components.values()
    ]


def test_a_camera_that_goes_is_taken_away_and_so_is_what_an_earlier_hub_left(open_house: Callable[..., House]) -> None:
    house = open_house()
    stale = "homeassistant/device/labelwatch-hub-gone-12345678/config"
    others = "homeassistant/device/labelwatch-hub-2-box-87654321/config"
    house.listener.say(stale, b'{"cmps":{"x":{"stat_t":"labelwatch-hub/ha/gone/box/state"}}}', retain=True)
    house.listener.say(others, b'{"cmps":{"x":{"stat_t":"labelwatch-hub-2/ha/a/b/state"}}}', retain=True)
    house.listener.say(f"{ROOT}/ha/gone/box/state", b"{}", retain=True)
    house.report("cam3", "cam4")
    house.start()
    fourth = f"{ROOT}/ha/shanghai/box1/cam4/state"
    kept = house.listener.kept
    assert soon(lambda: any(b"cam4" in payload for payload in list(kept.values())))
    box = next(topic for topic in kept if topic.startswith("homeassistant/device/") and "box1" in topic)
    assert soon(lambda: fourth in kept and stale not in kept and f"{ROOT}/ha/gone/box/state" not in kept)
    assert others in kept and kept[f"{ROOT}/status"] == b"online"
    house.report("cam3")
    assert soon(lambda: not any("cam4" in topic for topic in list(kept)))
    assert soon(lambda: b"cam4" not in house.listener.kept[box])
    assert f"{CAMERA}/state" in kept
    # Left out, its entities would stay in Home Assistant, a switch that does nothing among them.
    said = [json.loads(payload)["cmps"] for topic, payload, _ in house.listener.heard if topic == box]
    (taken,) = filter(None, map(gone, said))
    assert {name.partition("-")[0] for name in taken} == {"cam4"} and "cam4-notices" in taken
    assert set(taken) == {name for name in said[0] if name.startswith("cam4-")} - said[-1].keys()


def test_what_an_earlier_hub_left_is_taken_away_however_long_the_hub_looks_at_itself_meanwhile(
    open_house: Callable[..., House], monkeypatch: pytest.MonkeyPatch
) -> None:
    look, pauses = links.Link._look, [1.0]

    def slowly(link: links.Link, client: Client) -> None:
        look(link, client)
        time.sleep(pauses.pop() if pauses else 0.0)

    monkeypatch.setattr(links.Link, "_look", slowly)
    monkeypatch.setattr(leftovers, "LEFTOVERS_S", 0.5)
    house = open_house()
    for n in range(40):
        house.listener.say(f"{ROOT}/ha/gone/box/camera-{n}/state", b"{}", retain=True)
    house.start()
    assert soon(lambda: not any("/gone/" in topic for topic in list(house.listener.kept)))


def test_what_an_earlier_hub_left_is_taken_away_however_slowly_the_broker_brings_it(
    open_house: Callable[..., House], monkeypatch: pytest.MonkeyPatch
) -> None:
    def slowly(client: Client, timeout_s: float) -> None:
        time.sleep(0.05)
        run_once(client, timeout_s)

    monkeypatch.setattr(links, "run_once", slowly)
    house = open_house()
    for n in range(40):
        house.listener.say(f"{ROOT}/ha/gone/box/camera-{n}/state", b"{}", retain=True)
    house.start()
    assert soon(lambda: not any("/gone/" in topic for topic in list(house.listener.kept)))


def test_a_camera_without_a_picture_is_a_problem_and_a_box_that_is_away_is_not_available(house: House) -> None:
    house.report(age_s=500.0)
    assert soon(lambda: house.listener.state(f"{CAMERA}/state").get("seen") == "OFF")
    assert house.listener.state(f"{ROOT}/ha/shanghai/box1/state")["problem"] == "ON"
    assert house.listener.kept[f"{ROOT}/ha/shanghai/box1/available"] == b"online"
    house.store.edges.set_status("shanghai", "box1", "offline", house.clock.at)
    assert soon(lambda: house.listener.kept[f"{ROOT}/ha/shanghai/box1/available"] == b"offline")
    assert house.listener.state(f"{ROOT}/ha/state")["unseen"] == 1


def test_a_box_that_was_shut_out_is_taken_away_and_is_no_problem_any_more(house: House) -> None:
    house.parts.keys.trust("shanghai", "box1", public_key_text(Ed25519PrivateKey.generate()), house.clock.at)
    assert "Edge box shanghai box1" in devices(house.listener)
    assert house.parts.enrolment.revoke("shanghai", "box1", "owner", house.clock.at)
    house.link.poke()
    assert soon(lambda: not any("box1" in topic for topic in list(house.listener.kept)))
    assert soon(lambda: house.listener.state(f"{ROOT}/ha/state").get("unseen") == 0)


def test_home_assistant_that_starts_is_told_all_again(house: House) -> None:
    def times() -> int:
        return sum(topic.startswith("homeassistant/device/") for topic, _, _ in house.listener.heard)

    before = times()
    house.listener.say("homeassistant/status", b"online")
    assert soon(lambda: times() >= before + 2)


def test_the_broker_says_that_the_hub_is_gone_when_its_link_is_cut(house: House, mosquitto: Mosquitto) -> None:
    def said() -> list[bytes]:
        return [payload for topic, payload, _ in house.listener.heard if topic == f"{ROOT}/status"]

    assert said() == [b"online"]
    usurper = Client(CallbackAPIVersion.VERSION2, client_id=f"{ROOT}-integrations", protocol=MQTTv5)
    usurper.connect("127.0.0.1", mosquitto.port)
    assert soon(lambda: usurper.loop(0.02) is not None and b"offline" in said())
    usurper.disconnect()
    usurper.loop(0.02)
    assert soon(lambda: said()[-1] == b"online" and house.link.state.connected)
    house.link.stop(10.0)
    assert soon(lambda: said()[-1] == b"offline")


def test_an_alert_is_an_event_once_and_again_when_it_grows_more_severe(house: House) -> None:
    topic = f"{CAMERA}/alert"
    house.alert(1, severity="warning", facts={"label_text": SECRET, "note": SECRET})
    assert soon(lambda: len(house.listener.events(topic)) == 1)
    house.alert(2, severity="warning", phase="update")
    house.alert(3, severity="critical", phase="update")
    assert soon(lambda: len(house.listener.events(topic)) == 2)
    house.alert(4, severity="critical", phase="end")
    house.alert(5, incident="inc-2", kind="orientation_pattern")
    assert soon(lambda: len(house.listener.events(topic)) == 3)
    first, second, third = house.listener.events(topic)
    assert [first["severity"], second["severity"], third["event_type"]] == [
        "warning",
        "critical",
        "orientation_pattern",
    ]
    assert first["event_type"] == "label_photography" and first["url"] == f"{PUBLIC}/incidents/inc-1"
    assert (first["labels_low"], first["labels_high"]) == (3, 6) and "3–6 labels exposed" in first["says"]
    assert not any(retained for one, _, retained in house.listener.heard if one == topic)
    everything = b"\n".join(payload for _, payload, _ in house.listener.heard).decode()
    assert SECRET not in everything and "13800138000" not in everything


NO_NEWS: dict[str, dict[str, Any]] = {
    "a note": {"severity": "info"},
    "old footage": {"facts": {"replay": True}},
    "what is long over": {"started_at_unix": NOON - 3600},
}


def test_what_nobody_is_to_be_told_of_is_no_news(store: Store) -> None:
    observer = observer_of(store)
    observer.listen(NOON)
    for seq, (why, changes) in enumerate(NO_NEWS.items()):
        store.add_alerts([make_envelope(seq + 1, incident=why, **changes)], NOON)
    assert observer.read(NOON + 1).news == ()
    store.add_alerts([make_envelope(9, incident="inc-2", started_at_unix=NOON)], NOON)
    assert [one.id for one in observer.read(NOON + 1).news] == ["inc-2"]
    assert observer.read(NOON + 2).news == ()


def test_a_hub_that_starts_again_repeats_nothing_but_tells_what_grows_worse(store: Store) -> None:
    store.add_alerts([make_envelope(1, severity="warning")], NOON)
    observer = observer_of(store)
    observer.listen(NOON + 30)
    store.add_alerts([make_envelope(2, severity="warning", phase="update")], NOON + 31)
    assert observer.read(NOON + 31).news == ()
    store.add_alerts([make_envelope(3, severity="critical", phase="update")], NOON + 32)
    assert [one.severity for one in observer.read(NOON + 32).news] == ["critical"]


def test_cameras_of_many_boxes_are_all_told_of_and_of_one_box_no_more_than_the_hub_takes(store: Store) -> None:
    for n in range(60):
        cameras = {f"cam{m:03}": {"age_s": 1.0} for m in range(5 if n else 203)}
        store.edges.set_status("shanghai", f"box{n}", "online", NOON)
        store.edges.set_health("shanghai", f"box{n}", {"cameras": cameras}, NOON)
    world = observer_of(store).read(NOON)
    assert (len(world.edges), len(world.cameras), world.left_out) == (60, 59 * 5 + 200, 3)
    assert all(edge.cameras for edge in world.edges)


def test_a_house_of_many_cameras_is_told_whole_and_nothing_counts_as_not_taken(house: House) -> None:
    house.report(*(f"cam{n:03}" for n in range(201)), "cam3")
    names = [f"{ROOT}/ha/shanghai/box1/cam{n:03}/state" for n in range(198)]
    assert soon(lambda: all(name in house.listener.kept for name in names), 60.0)
    assert soon(lambda: house.link.state.left_out == 2, 10.0)
    assert house.link.state.dropped == 0
    assert "2 cameras are not told of: at most 200" in house.site.client.get("/integrations").text


def observer_of(store: Store) -> Observer:
    from detector.hub.watch.health import Health

    class Stands:
        def now(self) -> float:
            return NOON

        def sleep(self, seconds: float) -> None: ...

    health = Health(store, Stands(), Path("/"))
    return Observer(store, health, EdgeKeys(store.database), Pauses(store.database, Audit(store.database)), Budget())


# Switches


def test_a_switch_holds_back_notices_but_not_what_is_critical_and_the_state_is_the_truth(house: House) -> None:
    notices = house.parts.notices
    with house.store.database.writing() as connection:
        number = notices.targets.add(connection, "me", "json", "en", address="json://127.0.0.1:9", user="x", at=NOON)
        notices.targets.add_rule(connection, Rule(target=number, user="x", at=NOON))
    notices.raising.look_through(NOON)
    house.listener.say(f"{CAMERA}/notices/set", b"OFF")
    assert soon(lambda: house.listener.state(f"{CAMERA}/state").get("notices") == "OFF")
    assert house.listener.state(f"{CAMERA}/state")["paused_until"] == "2026-11-01T12:00:00.000Z"
    house.alert(1, incident="a", severity="warning")
    house.alert(2, incident="b", severity="critical")
    while notices.raising.look_through(NOON + 1):
        pass
    log = {one.incident: one for one in notices.log([number])}
    assert (log["a"].state, log["a"].reason, log["a"].due_at) == ("held", "paused", NOON + 8 * 3600)
    assert log["b"].state == "waiting"
    notices.raising.gather(NOON + 2)
    assert {one.incident: one.state for one in notices.log([number])}["a"] == "held"
    house.listener.say(f"{CAMERA}/notices/set", b"ON")
    assert soon(lambda: house.listener.state(f"{CAMERA}/state").get("notices") == "ON")
    notices.raising.gather(house.clock.at)
    assert {one.incident: one.state for one in notices.log([number])}["a"] == "waiting"
    told = [(one.user, one.action, one.subject) for one in house.parts.audit.entries(None, 9, user=USER)]
    assert told == [(USER, "notices_resumed", "shanghai/cam3"), (USER, "notices_paused", "shanghai/cam3")]
    assert house.link.state.commands == 2


def test_a_pause_ends_by_itself_and_holds_for_no_other_camera(store: Store, tmp_path: Path) -> None:
    audit = Audit(store.database)
    pauses, notices = Pauses(store.database, audit), Notices(store.database, tmp_path, "UTC")
    with store.database.writing() as connection:
        number = notices.targets.add(connection, "me", "json", "en", address="json://127.0.0.1:9", user="x", at=NOON)
        notices.targets.add_rule(connection, Rule(target=number, user="x", at=NOON))
    notices.raising.look_through(NOON)

    def states() -> list[str]:
        """Of the notices of cameras 3, 4 and 5, in this order."""
        return [one.state for one in sorted(notices.log([number]), key=lambda one: one.incident)]

    assert pauses.begin("shanghai", "cam3", "x", NOON, 3600) and not pauses.begin("shanghai", "cam3", "x", NOON, 9e9)
    assert pauses.begin("shanghai", "cam4", "x", NOON, 7200)
    for n, camera in enumerate(("cam3", "cam4", "cam5"), 1):
        fields = make_envelope(n, incident=camera, severity="warning", started_at_unix=NOON - 60)
        fields["camera"] = fields["after"]["camera"] = camera
        store.add_alerts([fields], NOON)
    while notices.raising.look_through(NOON):
        pass
    assert states() == ["held", "held", "waiting"]
    assert [one.camera for one in pauses.all(NOON)] == ["cam3", "cam4"]
    assert [one.camera for one in pauses.all(NOON, Scope.of(["shanghai/cam4", "suzhou"]))] == ["cam4"]
    notices.raising.gather(NOON + 3599)
    assert states() == ["held", "held", "waiting"] and len(pauses.all(NOON + 3599)) == 2
    notices.raising.gather(NOON + 3600)
    assert states() == ["waiting", "held", "waiting"] and [one.camera for one in pauses.all(NOON + 3600)] == ["cam4"]
    assert not pauses.end("shanghai", "cam3", "x", NOON + 3601)
    assert pauses.begin("shanghai", "cam3", "y", NOON + 3601, 60)
    # Ended early: what was held goes then, of that camera alone.
    assert pauses.end("shanghai", "cam3", "y", NOON + 3602)
    notices.raising.gather(NOON + 3602)
    assert states() == ["waiting", "held", "waiting"] and [one.camera for one in pauses.all(NOON + 3602)] == ["cam4"]
    assert pauses.end("shanghai", "cam4", "z", NOON + 3603)
    notices.raising.gather(NOON + 3603)
    assert states() == ["waiting"] * 3 and pauses.all(NOON + 3603) == []
    entries = audit.entries()
    assert [(entry.user, entry.action, entry.subject, entry.details) for entry in reversed(entries)] == [
        ("x", "notices_paused", "shanghai/cam3", {"until_at": NOON + 3600}),
        ("x", "notices_paused", "shanghai/cam4", {"until_at": NOON + 7200}),
        ("y", "notices_paused", "shanghai/cam3", {"until_at": NOON + 3661}),
        ("y", "notices_resumed", "shanghai/cam3", {}),
        ("z", "notices_resumed", "shanghai/cam4", {}),
    ]


ODD_COMMANDS: list[tuple[str, bytes, bool]] = [
    (f"{CAMERA}/notices/set", b"off", False),
    (f"{CAMERA}/notices/set", b"", False),
    (f"{CAMERA}/notices/set", b"O" * 60_000, False),
    (f"{CAMERA}/notices/set", b"\xff\0", False),
    (f"{CAMERA}/notices/set", b"OFF", True),  # one that the broker keeps would come again with every session
    (f"{ROOT}/ha/shanghai/box1/cam9/notices/set", b"OFF", False),
    (f"{ROOT}/ha/beijing/box1/cam3/notices/set", b"OFF", False),
]


def test_odd_commands_do_nothing_and_harm_nothing(open_house: Callable[..., House]) -> None:
    house = open_house()
    for topic, payload, retain in ODD_COMMANDS:
        if retain:
            house.listener.say(topic, payload, retain=True)
    house.start()
    for topic, payload, retain in ODD_COMMANDS:
        if not retain:
            house.listener.say(topic, payload)
    assert soon(lambda: house.link.state.refused >= len(ODD_COMMANDS))
    assert house.parts.pauses.all(house.clock.at) == [] and house.link.state.commands == 0
    assert house.link.state.connected
    house.listener.say(f"{CAMERA}/notices/set", b"", retain=True)


def test_a_flood_of_commands_is_bounded_and_leaves_no_flood_in_the_audit_log(house: House) -> None:
    for n in range(3 * MOST_A_MINUTE):
        house.listener.client.publish(f"{CAMERA}/notices/set", b"ON" if n % 2 else b"OFF", qos=1)
    assert soon(lambda: house.link.state.commands + house.link.state.refused >= 3 * MOST_A_MINUTE)
    assert house.link.state.commands == MOST_A_MINUTE
    assert len(house.parts.audit.entries(None, 200, user=USER)) <= MOST_A_MINUTE


def test_a_clock_that_was_put_back_keeps_no_switch_from_turning(store: Store) -> None:
    switches = Switches(Pauses(store.database, Audit(store.database)), hours=1)
    asked = Switched("shanghai", "cam3", to_on=False)
    ahead = NOON + 86400
    assert [switches.turn(asked, ahead) for _ in range(MOST_A_MINUTE + 1)] == [True] * MOST_A_MINUTE + [False]
    assert switches.turn(asked, NOON)


def test_without_leave_no_switch_is_there_and_none_is_obeyed(open_house: Callable[..., House]) -> None:
    house = open_house(home_assistant={"enabled": True})
    house.start()
    box = soon(lambda: "Edge box shanghai box1" in devices(house.listener)) and devices(house.listener)
    assert not any(isinstance(one, Switch) for one in box["Edge box shanghai box1"].components.values())
    house.listener.say(f"{CAMERA}/notices/set", b"OFF")
    house.alert(1)
    assert soon(lambda: house.listener.events(f"{CAMERA}/alert"))
    assert house.parts.pauses.all(house.clock.at) == []


def test_what_went_is_told_to_go_though_the_link_breaks_before_it_is_sent(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.report("cam3", "cam4")
    kept, publish, breaks = house.listener.kept, links.Link._publish, [True]
    assert soon(lambda: any(b"cam4" in payload for payload in list(kept.values())))
    box = next(topic for topic in kept if topic.startswith("homeassistant/device/") and "box1" in topic)

    def broken(link: links.Link, client: Client, topic: str, payload: bytes, *, retain: bool) -> bool:
        if breaks and topic == box:
            breaks.pop()
            raise OSError("the cable is out")
        return publish(link, client, topic, payload, retain=retain)

    monkeypatch.setattr(links.Link, "_publish", broken)
    house.report("cam3")
    assert soon(lambda: b"cam4" not in kept[box])
    said = [json.loads(payload)["cmps"] for topic, payload, _ in list(house.listener.heard) if topic == box]
    (taken,) = filter(None, map(gone, said))
    assert not breaks and {name.partition("-")[0] for name in taken} == {"cam4"}


@pytest.mark.parametrize("kept", ["kept", "lost", "odd"])
def test_a_camera_taken_away_while_no_hub_ran_is_told_to_go_until_that_is_sent(tmp_path: Path, kept: str) -> None:
    def told(home: HomeAssistant, *names: str) -> dict[str, Any]:
        states = (CameraState("shanghai", "box1", name, name, "ok", "", 1.0, 12.0, 0) for name in names)
        edge = EdgeNow("shanghai", "box1", True, 0, "", tuple(map(CameraNow, states)))
        devices = [json.loads(p) for t, p in home.retained(World(NOON, (edge,))).items() if t.endswith("/config")]
        return {key: fields for key, fields in devices[-1]["cmps"].items() if "cam9" in key}

    from detector.hub.edges.cameras import CameraState
    from detector.hub.integrations.world import CameraNow, EdgeNow

    config, file = HubConfig(integrations=ALL), tmp_path / "home-assistant.json"
    before = told(HomeAssistant(config, PictureLinks(None), file), "cam3", "cam9")  # and ends before that is confirmed
    if kept != "kept":
        file.write_text("[5" if kept == "odd" else "{}")
    home = HomeAssistant(config, PictureLinks(None), file)
    gone = {key: {"p": fields["p"]} for key, fields in before.items()} if kept == "kept" else {}
    assert told(home, "cam3") == gone
    home = HomeAssistant(config, PictureLinks(None), file)  # another hub, as the one before couldn't send it
    assert told(home, "cam3") == told(home, "cam3") == gone
    home.forget_gone()
    assert told(home, "cam3") == {}


NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,12}", fullmatch=True)


@settings(max_examples=100, deadline=None)
@given(topic=st.text(max_size=80) | st.tuples(NAMES, NAMES, NAMES).map("/".join), payload=st.binary(max_size=20))
def test_no_message_is_taken_for_a_command_that_is_none(topic: str, payload: bytes) -> None:
    home = HomeAssistant(HubConfig(integrations=ALL), PictureLinks(None))
    assert home.command(topic, payload, World(NOON)) is None
    assert home.command(f"{ROOT}/ha/{topic}/notices/set", payload, World(NOON)) is None


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(NAMES, NAMES), min_size=2, max_size=2, unique=True))
def test_ids_of_different_boxes_differ_and_are_such_that_home_assistant_takes_them(
    places: list[tuple[str, str]],
) -> None:
    home = HomeAssistant(HubConfig(integrations=ALL), PictureLinks(None))
    ids = {home._id(*place) for place in places}
    assert len(ids) == 2 and all(re.fullmatch(r"[a-zA-Z0-9_-]+", one) for one in ids)


# The link


def test_a_broker_that_is_away_or_a_database_that_fails_touches_nobody_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    broker = Mosquitto(tmp_path)
    site = Site(tmp_path, integrations={**ALL, "broker": {"port": broker.port}})
    link = site.parts.integrations
    monkeypatch.setattr(links, "LONGEST_BACK_OFF_S", 0.2)
    link.start()
    assert soon(lambda: link.state.error)
    site.store.add_alerts([make_envelope(1)], NOON)
    assert site.store.incident("inc-1") and not link.state.connected
    assert caplog.text.count("other systems are not told") == 1  # not once a try
    broker.start()
    assert soon(lambda: link.state.connected and link.state.published > 1)

    def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError("the database is on fire")

    with monkeypatch.context() as patch:
        patch.setattr(Observer, "read", broken)
        assert soon(lambda: "on fire" in link.state.error)
        assert any(thread.name == "integrations" for thread in threading.enumerate())
    assert soon(lambda: link.state.connected)
    broker.kill()
    assert soon(lambda: not link.state.connected)
    link.stop(10.0)
    site.client.close()
    site.store.close()


def test_by_the_rules_of_the_shipped_broker_all_that_is_told_arrives_and_switches_do(tmp_path: Path) -> None:
    acl = tmp_path / "acl"
    acl.write_bytes((REPOSITORY / "configs/mosquitto/acl").read_bytes())
    acl.chmod(0o600)
    broker = Mosquitto(tmp_path, f"allow_anonymous true\nacl_file {acl}\nuse_username_as_clientid true")
    broker.start()
    own = {"port": broker.port, "username": "integrations"}
    (tmp_path / "hub").mkdir()
    site = Site(tmp_path / "hub", language="en", integrations={**ALL, "broker": own})
    site.store.edges.set_status("shanghai", "box1", "online", NOON)
    site.store.edges.set_health("shanghai", "box1", {"cameras": {"cam3": {"age_s": 1}}}, NOON)
    home, video = Listener(broker.port, "homeassistant"), Listener(broker.port, "onvif")
    link = site.parts.integrations
    link.start()
    assert soon(lambda: f"{CAMERA}/state" in home.kept and len(devices(home)) == 2)
    assert soon(lambda: any(topic.endswith("VideoSource/SignalLoss/&cam3") for topic in list(video.kept)))
    assert not any("/ha/" in topic for topic in list(video.kept))
    home.say(f"{CAMERA}/notices/set", b"OFF")
    assert soon(lambda: home.state(f"{CAMERA}/state").get("notices") == "OFF")
    video.say(f"{CAMERA}/notices/set", b"ON")
    home.say("homeassistant/status", b"online")
    assert soon(lambda: sum(topic.endswith("/config") for topic, _, _ in list(home.heard)) >= 4)
    assert link.state.dropped == 0 and link.state.error == "" and link.state.commands == 1
    link.stop(10.0)
    for listener in (home, video):
        listener.close()
    broker.kill()
    site.client.close()
    site.store.close()


@pytest.mark.parametrize("onvif", [False, True])
def test_what_is_told_no_more_is_taken_away(
    tmp_path: Path, mosquitto: Mosquitto, onvif: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leftovers, "LEFTOVERS_S", 1.5)  # a busy machine may be as slow
    before = House(tmp_path, mosquitto.port)
    before.report(*(f"cam{n}" for n in range(3, 12)))
    before.start()
    assert soon(lambda: len(before.listener.kept) > 60 and devices(before.listener))
    other, of_home = "homeassistant/device/another/config", (f"{ROOT}/ha/", "homeassistant/device/labelwatch")
    before.listener.say(other, b'{"dev": {"name": "another"}, "state": "x/ha/"}', retain=True)
    before.link.stop(10.0)
    before.site.client.close()
    before.store.close()
    kept = before.listener.kept
    told = {"broker": {"port": mosquitto.port}, "home_assistant": {"switches": True}, "onvif": onvif}
    for again in range(2):
        (folder := tmp_path / str(again)).mkdir()
        shutil.copy(tmp_path / leftovers.TOLD, folder / leftovers.TOLD)
        site = Site(folder, public_url=PUBLIC, language="en", integrations=told)
        link = site.parts.integrations
        link.start()
        assert soon(lambda: not any(topic.startswith(of_home) for topic in list(kept)))
        assert soon(lambda: any(topic.startswith(f"{ROOT}/") for topic in list(kept)) is onvif)
        assert other in kept
        if onvif:
            assert soon(lambda folder=folder: (folder / leftovers.TOLD).read_text(encoding="utf-8") == "\n")
        else:
            assert soon(lambda: not any(thread.name == "integrations" for thread in threading.enumerate()))
            assert not (folder / leftovers.TOLD).exists()
        link.stop(10.0)
        site.client.close()
        site.store.close()
    before.listener.close()


def test_with_nothing_enabled_there_is_no_thread_and_no_connection(site: Site) -> None:
    site.parts.integrations.start()
    assert not any(thread.name == "integrations" for thread in threading.enumerate())
    site.parts.integrations.stop()


def test_a_forbidden_topic_is_told_on_the_page(tmp_path: Path) -> None:
    acl = tmp_path / "acl"
    acl.write_text(f"topic read #\ntopic write {ROOT}/status\n")
    acl.chmod(0o600)
    broker = Mosquitto(tmp_path, f"allow_anonymous true\nacl_file {acl}")
    broker.start()
    site = Site(tmp_path, language="en", integrations={**ALL, "broker": {"port": broker.port}})
    link = site.parts.integrations
    link.start()
    assert soon(lambda: "authorized" in link.state.error.lower() and link.state.dropped)
    page = site.client.get("/integrations").text
    assert "authorized" in page.lower()
    link.stop(10.0)
    broker.kill()
    site.client.close()
    site.store.close()


def test_the_broker_that_pip_brings_takes_it_too(tmp_path: Path) -> None:
    broker = EmbeddedBroker(tmp_path, None)
    assert broker.name == "iotcore"
    site = Site(tmp_path / "hub" if (tmp_path / "hub").mkdir() is None else tmp_path, integrations={
        **ALL, "broker": {"port": broker.start()}})  # fmt: skip
    link = site.parts.integrations
    link.start()
    assert soon(lambda: link.state.connected and link.state.published >= 3)
    site.store.edges.set_status("shanghai", "box1", "online", NOON)
    site.store.edges.set_health("shanghai", "box1", {"cameras": {"cam3": {"age_s": 1}}}, NOON)
    before = link.state.published
    assert soon(lambda: link.state.published > before + 5)
    link.stop(10.0)
    broker.stop()
    site.client.close()
    site.store.close()


# Pictures


def test_a_pictures_address_shows_that_picture_for_a_day_and_nothing_else(house: House, picture: bytes) -> None:
    house.alert(1, snapshot=picture)
    house.alert(2, incident="inc-2", snapshot=picture, started_at_unix=NOON - 100)
    assert soon(lambda: f"{CAMERA}/picture" in house.listener.kept)
    address = house.listener.kept[f"{CAMERA}/picture"].decode()
    stranger = house.site.visitor()
    path = address.removeprefix(PUBLIC)
    answer = stranger.get(path)
    assert answer.status_code == 200 and answer.content == picture and answer.headers["content-type"] == "image/jpeg"
    until = int(re.search(r"until=(\d+)", path)[1])  # type: ignore[index]
    odd = [
        path.replace("inc-1", "inc-2"), path.replace("/1?", "/2?"),
        path.replace(f"until={until}", f"until={until + 60}"),
        path[:-1] + ("0" if path[-1] != "0" else "1"), path.split("&")[0], path.split("?")[0], path + "%00",
        path.replace(f"until={until}", "until=-1"), path.replace("/1?", f"/{2**63}?"),
    ]  # fmt: skip
    assert {stranger.get(one).status_code for one in odd} <= {400, 404}
    assert stranger.get(path.replace("until=", "until=x")).status_code in (404, 422)
    house.clock.at = until - 1
    assert stranger.get(path).status_code == 200
    house.clock.at = until
    assert stranger.get(path).status_code == 404


def test_another_run_of_the_hub_takes_no_older_address() -> None:
    first, second = PictureLinks(PUBLIC), PictureLinks(PUBLIC)
    told = re.fullmatch(r".*/shown/a%2Fb/7\?until=(\d+)&signature=([0-9a-f]{64})", first.address("a/b", 7, NOON) or "")
    assert told and first.is_good("a/b", 7, int(told[1]), told[2], NOON)
    assert not second.is_good("a/b", 7, int(told[1]), told[2], NOON)
    assert PictureLinks(None).address("a", 1, NOON) is None


# ONVIF

STANDARD = {
    "VideoSource/SignalLoss", "VideoSource/GlobalSceneChange/AnalyticsService",
    "VideoSource/ImageTooDark/AnalyticsService", "VideoSource/ImageTooBlurry/AnalyticsService",
    "RuleEngine/LoiteringDetector/ObjectIsLoitering",
}  # fmt: skip
UTC_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
EJ = re.compile(rf"{ROOT}/onvif/shanghai/box1/onvif-ej/(?P<local>[A-Za-z0-9:/]+)(?:/&(?P<source>.+))?")


def onvif_event(topic: str, payload: bytes) -> dict[str, Any]:
    """An event as ONVIF's Core specification 25.12 has it (*Event Broker*: *Topic Structure*, *JSON Event Payload*).

    Topic = TopicPrefix "/onvif-ej/" LocalTopic ["/&" Source]; MESSAGE = UtcTime, Source, [Data]; items are simple.
    """
    found = EJ.fullmatch(topic)
    assert found and "#" not in topic and "+" not in topic, topic
    local = found["local"]
    assert local in STANDARD or any(part.startswith("labelwatch:") for part in local.split("/")), local
    fields: dict[str, Any] = json.loads(payload)
    assert list(fields) == ["UtcTime", "Source", "Data"] and UTC_TIME.fullmatch(fields["UtcTime"])
    assert "PropertyOperation" not in fields
    assert found["source"] == "/".join(fields["Source"].values())
    simple = [*fields["Source"].values(), *fields["Data"].values()]
    assert all(isinstance(value, str | int | float | bool) for value in simple)
    expected = ["VideoSource", "Rule"] if local.startswith("RuleEngine/") else ["Source"]
    assert list(fields["Source"]) == expected
    return {"local": local, **fields}


def onvif_events(listener: Listener) -> list[dict[str, Any]]:
    return [onvif_event(topic, payload) for topic, payload, _ in list(listener.heard) if "/onvif/" in topic and payload]


def test_onvif_is_told_in_its_own_form(house: House) -> None:
    base = f"{ROOT}/onvif/shanghai/box1/onvif-ej"
    loss, loitering = (
        f"{base}/VideoSource/SignalLoss/&cam3",
        f"{base}/RuleEngine/LoiteringDetector/ObjectIsLoitering/&cam3/bulk",
    )
    dark = f"{base}/VideoSource/ImageTooDark/AnalyticsService/&cam3"
    kept = house.listener.kept
    assert soon(lambda: loss in kept)
    house.alert(1)
    house.alert(2, incident="l", kind="lingering", severity="info", started_at_unix=NOON - 60, tracks=[7, 9])
    house.alert(3, incident="t", kind="tamper", severity="warning", facts={"what": "dark"}, zone=None)
    sweep = f"{base}/RuleEngine/labelwatch:LabelPhotography/Sweep/&cam3/bulk"
    assert soon(lambda: loitering in kept and b"true" in kept.get(dark, b"") and house.listener.events(sweep))
    assert onvif_event(loitering, kept[loitering])["Data"] == {"ObjectId": "7 9", "Since": "2026-11-01T03:59:00.000Z"}
    told = onvif_event(sweep, house.listener.heard[[one for one, _, _ in house.listener.heard].index(sweep)][1])
    data = told["Data"]
    assert data["IncidentId"] == "inc-1" and (data["LabelsLow"], data["LabelsBest"], data["LabelsHigh"]) == (3, 4, 6)
    assert house.listener.state(f"{CAMERA}/state")["tamper"] == "ON"
    assert b"false" in kept[loss]
    house.report(age_s=900.0)
    house.alert(4, incident="l", kind="lingering", severity="info", started_at_unix=NOON - 60, phase="end")
    house.alert(5, incident="t", kind="tamper", severity="warning", facts={"what": "dark"}, zone=None, phase="end")
    assert soon(lambda: b"true" in kept[loss] and loitering not in kept and b"false" in kept[dark])
    found = onvif_events(house.listener)
    assert {one["local"] for one in found} >= STANDARD - {"VideoSource/GlobalSceneChange"}
    assert all(datetime.fromisoformat(one["UtcTime"]) for one in found)


@pytest.mark.parametrize(
    ("lasted_s", "quiet_s", "goes_on"),
    [(3 * 3600, 2 * 3600, True), (600, 1800, True), (600, 7200, False), (8 * 86400, 86400, True)],
)
def test_a_camera_that_was_covered_for_hours_goes_on_being_so_until_it_should_have_been_told_of(
    store: Store, lasted_s: float, quiet_s: float, goes_on: bool
) -> None:
    store.edges.set_status("shanghai", "box1", "online", NOON)
    store.edges.set_health("shanghai", "box1", {"cameras": {"cam3": {"age_s": 1}}}, NOON)
    span = {"started_at_unix": NOON - quiet_s - lasted_s, "ended_at_unix": NOON - quiet_s}
    covered = make_envelope(1, kind="tamper", facts={"what": "covered"}, zone=None, phase="update", **span)
    store.add_alerts([covered], NOON - quiet_s)
    observer = observer_of(store)
    observer.listen(NOON)
    (camera,) = observer.read(NOON).cameras
    assert bool(camera.going_on) is goes_on
    again = {**covered, "id": "box1-again", "seq": 2, "after": {**covered["after"], "ended_at_unix": NOON}}
    store.add_alerts([again], NOON + 1)
    assert bool(observer.read(NOON + 1).news) is (not goes_on)


def test_a_topic_holds_nothing_that_mqtt_has_other_uses_for(house: House) -> None:
    house.alert(1, incident="odd", zone="a/b#+&c\n" + "x" * 200)
    sweeps = f"{ROOT}/onvif/shanghai/box1/onvif-ej/RuleEngine/labelwatch:LabelPhotography/Sweep/&cam3/abc"
    assert soon(lambda: any(topic.startswith(sweeps) for topic, _, _ in house.listener.heard))
    assert onvif_events(house.listener)


# Page and configuration


@pytest.mark.parametrize(("language", "words"), [("zh", "对接其他系统"), ("en", "Integrations")])
def test_the_page_says_how_it_stands(house: House, language: str, words: str) -> None:
    house.parts.pauses.begin("shanghai", "cam3", USER, house.clock.at, 3600)
    admin = house.site.somebody(Role.ADMIN)
    admin.cookies.set("language", language)
    page = admin.get("/integrations")
    assert page.status_code == 200 and words in page.text and f"{ROOT}/ha/#" in page.text and "cam3" in page.text
    held_back = admin.get("/notices").text.partition('class="held-back"')[2]
    assert '<a href="/integrations">' in held_back.partition("</p>")[0]
    assert admin.post("/integrations/resume", data={"site": "shanghai", "camera": "cam3"}).status_code == 303
    assert admin.post("/integrations/resume", data={"site": "shanghai", "camera": "cam3"}).status_code == 404
    assert house.site.somebody(Role.VIEWER).get("/integrations").status_code == 403
    assert house.site.visitor().get("/integrations").status_code == 303


def test_who_does_not_see_a_camera_neither_sees_nor_ends_its_pause(site: Site) -> None:
    site.parts.pauses.begin("shanghai", "cam3", USER, NOON, 3600)
    elsewhere = site.somebody(Role.ADMIN, ["suzhou"])
    assert "cam3" not in elsewhere.get("/integrations").text
    assert elsewhere.post("/integrations/resume", data={"site": "shanghai", "camera": "cam3"}).status_code == 404
    assert len(site.parts.pauses.all(NOON)) == 1


def test_settings_are_checked(tmp_path: Path) -> None:
    file = tmp_path / "hub.yaml"
    file.write_text("integrations: {broker: {host: other, ca_file: ca.crt}, home_assistant: {enabled: true}}\n")
    told = load_hub(file).integrations
    assert told.broker and told.broker.ca_file == tmp_path / "ca.crt" and not told.home_assistant.switches
    for wrong in (
        "topic: labelwatch",
        "topic: a/b",
        "home_assistant: {pause_hours: 0}",
        "home_assistant: {prefix: '#'}",
    ):
        file.write_text(f"integrations: {{{wrong}}}\n")
        with pytest.raises(ConfigError):
            load_hub(file)


@pytest.mark.parametrize(
    ("login", "other", "is_fine"),
    [
        ("", "", True),
        ("username: hub", "", False),
        ("cert_file: hub.crt", "", False),
        ("username: hub", "broker: {username: hub}", False),
        ("username: hub", "broker: {username: integrations}", True),
        ("username: hub", "broker: {host: other, username: hub}", True),
    ],
)
def test_a_link_with_the_hubs_own_login_is_refused(tmp_path: Path, login: str, other: str, is_fine: bool) -> None:
    file = tmp_path / "hub.yaml"
    file.write_text(f"broker: {{{login}}}\nintegrations: {{onvif: true, {other}}}\n")
    if is_fine:
        assert load_hub(file).integrations.onvif
        return
    with pytest.raises(ConfigError, match="login of its own"):
        load_hub(file)


def test_the_models_refuse_what_home_assistant_would(house: House) -> None:
    assert soon(lambda: len(devices(house.listener)) == 2)
    kept = list(house.listener.kept.items())
    topic, payload = next(one for one in kept if one[0].startswith("homeassistant/device/"))
    for spoil in (
        lambda fields: fields.pop("o"), lambda fields: fields["dev"].pop("ids"), lambda fields: fields.update(cmps={}),
        lambda fields: next(iter(fields["cmps"].values())).pop("uniq_id"),
        lambda fields: next(iter(fields["cmps"].values())).update(stat_t="a/#"),
        lambda fields: next(iter(fields["cmps"].values())).update(p="sensors"),
        lambda fields: next(iter(fields["cmps"].values())).update(odd=1),
    ):  # fmt: skip
        fields = json.loads(payload)
        spoil(fields)
        with pytest.raises((ValidationError, KeyError)):
            discovered(topic, fields)


def test_a_switch_is_known_by_its_whole_topic() -> None:
    home = HomeAssistant(HubConfig(integrations=ALL), PictureLinks(None))
    from detector.hub.edges.cameras import CameraState
    from detector.hub.integrations.world import CameraNow, EdgeNow

    state = CameraState("shanghai", "box1", "cam3", "东区", "ok", "", 1.0, 12.0, 0)
    world = World(NOON, (EdgeNow("shanghai", "box1", True, 0, "", (CameraNow(state),)),))
    assert home.command(f"{CAMERA}/notices/set", b"OFF", world) == Switched("shanghai", "cam3", False)
    assert home.command(f"other/{CAMERA}/notices/set", b"OFF", world) is None
    assert home.command(f"{CAMERA}/notices/set/x", b"OFF", world) is None
