"""What is wrong with the system itself is raised once, ends by itself or when somebody knows, and never flaps."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select, update

from detector.clock import SystemClock
from detector.config import AlarmsConfig
from detector.credentials.certs import LIFE, make_certificates
from detector.hub.edges.keys import EdgeKeys
from detector.hub.edges.knocks import OTHER, Knock
from detector.hub.storage.rights import Role, Scope
from detector.hub.storage.schema import dropped, edge_keys, gaps
from detector.hub.storage.store import Store
from detector.hub.storage.stored import Edge
from detector.hub.texts import Phrases
from detector.hub.upkeep.clock_ahead import bring_back
from detector.hub.watch.alarm_words import advice, title
from detector.hub.watch.alarms import KINDS, Alarm, Alarms, Sign
from detector.hub.watch.floods import Flood, Floods
from detector.hub.watch.gaps import Gaps
from detector.hub.watch.health import Health, HubState
from detector.hub.watch.signs import FLOOD, HubNow, signs
from detector.hub.watch.watchman import Watchman, absence
from detector.wire import public_key_text
from detector.wire.replays import bringer_headers, marked
from tests.builders import SteppedClock
from tests.hub.conftest import BEHIND, NOON, Site, make_envelope, sqlite_url
from tests.hub.test_health import told

GB = 10**9
UTC = ZoneInfo("UTC")
FINE = HubState(1000.0, 50 * GB, 100 * GB, True)
CONFIG = AlarmsConfig()


def edge(**changes: Any) -> Edge:
    """A box that is well; `changes` go to its report, `offset`, `missing`, `state` and `age_s` to itself."""
    age_s = changes.pop("age_s", 2.0)
    own = {"state": changes.pop("state", "online"), "missing": changes.pop("missing", 0),
           "clock_offset_s": changes.pop("offset", 0.0), "joined_at": NOON - 10_000}  # fmt: skip
    report = {"backlog": 0, "oldest_s": 0.0, "dropped": 0, "dead": 0, "disk_free": 50 * GB, "disk_total": 100 * GB,
              "cameras": {"cam3": {"age_s": 1.0, "title": "东区 3"}}, **changes}  # fmt: skip
    return Edge("shanghai", "box1", state_at=NOON - 9000, health=report, health_at=NOON - age_s, **own)


def wrong(found: Edge | None = None, standing: set[Any] = frozenset(), **hub: Any) -> list[str]:  # type: ignore[assignment]
    """Kinds of what is wrong."""
    now = replace(HubNow(FINE, NOON - 9000, key="ours"), **hub)
    return sorted(sign.kind for sign in signs([found] if found else [], now, CONFIG, NOON, standing))


@pytest.mark.parametrize(
    ("reason", "ago_s", "kinds"),
    [
        ("other", 10, ["knocking"]),
        ("revoked", 10, ["knocking"]),
        ("revoked", 900, []),
        ("unknown", 1, []),
        ("retired", 1, []),
    ],
)
def test_a_box_with_a_wrong_key_is_an_alarm_and_a_new_one_that_waits_is_none(
    reason: str, ago_s: float, kinds: list[str]
) -> None:
    knocks = [Knock("shanghai", "box1", key, reason, 3, NOON - 5000 * n, NOON - ago_s) for n, key in enumerate("ab", 1)]
    found = signs([], HubNow(FINE, NOON - 9000), CONFIG, NOON, knocks=knocks)
    assert [sign.kind for sign in found] == kinds
    assert [sign.since for sign in found] == [NOON - 10_000] * len(kinds)


@pytest.mark.parametrize(
    ("changes", "kinds"),
    [
        ({}, []),
        ({"age_s": 299}, []),
        ({"age_s": 301}, ["edge_silent"]),
        ({"age_s": 301, "state": "offline"}, ["edge_silent"]),
        ({"age_s": 120, "state": "offline"}, []),
        ({"backlog": 3, "oldest_s": 901}, ["backlog"]),
        ({"backlog": 3, "oldest_s": 899}, []),
        ({"backlog": 3, "oldest_s": 901, "owed": 2}, ["backlog"]),
        ({"backlog": 0, "oldest_s": 9000}, []),
        ({"clips": 2, "clips_stuck": {"s": 901.0, "way": "between"}}, ["clips_stuck"]),
        ({"clips": 2, "clips_stuck": {"s": 899.0, "way": "between"}}, []),
        ({"clips": 0, "clips_stuck": {"s": 9000.0, "way": "between"}}, []),  # what waited gave way
        ({"clips": "x", "clips_stuck": [1]}, []),
        ({"clips": 2, "clips_stuck": {"s": "x"}}, []),
        ({"disk_free": 4.9 * GB}, ["edge_disk"]),
        ({"offset": 2.1}, ["clock"]),
        ({"hub_key": "another", "refused_words": 1}, ["hub_key"]),
        ({"hub_key": None, "refused_words": 1}, ["hub_key"]),  # its file is broken
        ({"hub_key": "another"}, []),
        ({"hub_key": "ours", "refused_words": 9}, []),  # somebody else's words
        ({"certificate_ends_at_unix": NOON + 59 * 86400}, ["certificate"]),
        ({"certificate_ends_at_unix": NOON - 1}, ["certificate"]),
        ({"certificate_ends_at_unix": NOON + 61 * 86400}, []),
        ({"certificate_ends_at_unix": "soon", "hub_key": 7}, []),
        ({"offset": -86400.0}, ["clock"]),
        ({"offset": -3.4, "backlog": 151, "oldest_s": 482}, []),  # its reports wait behind what it catches up on
        ({"offset": 3.4, "backlog": 151, "oldest_s": 482}, ["clock"]),
        ({"offset": -600.0, "backlog": 151, "oldest_s": 482}, ["clock"]),
        ({"config": {"state": "last_good", "since": NOON}}, ["safe_mode"]),
        ({"cameras": {"cam3": {"age_s": 0.1, "behind": True}}}, ["overload"]),
        ({"cameras": {"cam3": {"age_s": 0.1, "behind": "much"}}}, []),
        ({"config": {"state": "current"}}, []),
        ({"config": "last_good"}, []),
        ({"cameras": {"cam3": {"age_s": 30.0}}}, ["camera_silent"]),
        (
            {"dropped": 1, "dropped_clips": 1, "dead": 1, "set_aside": 1},
            ["dead", "dropped", "dropped_clips", "edge_store"],
        ),
        ({"missing": 7, "backlog": 7}, []),  # they are on their way
        ({"missing": 8, "backlog": 7}, ["lost"]),
        ({"missing": 8, "backlog": 9, "owed": 2}, ["lost"]),  # what has no number yet is none of them
        ({"dropped": -1, "dead": "x", "set_aside": None, "disk_free": "?", "oldest_s": float("nan")}, []),
        ({"dropped": float("inf"), "dropped_by": {"alert": {"rows": 3}}, "backlog": [1]}, []),
    ],
)
def test_what_is_wrong_with_an_edge(changes: dict[str, Any], kinds: list[str]) -> None:
    assert wrong(edge(**changes)) == kinds


@pytest.mark.parametrize(("days", "kinds"), [(61, []), (59, ["hub_certificate"]), (-1, ["hub_certificate"])])
def test_the_hub_tells_when_a_certificate_of_its_own_or_its_brokers_ends(days: float, kinds: list[str]) -> None:
    assert wrong(certificate_ends_at=NOON + days * 86400) == kinds


def test_a_hub_whose_brokers_certificate_ends_says_so_on_every_page_until_it_is_made_anew(tmp_path: Path) -> None:
    made_at = NOON - LIFE.total_seconds() + 30 * 86400
    make_certificates(tmp_path / "certs", ["broker.lan"], [], made_at)
    site = Site(tmp_path, certs_dir=tmp_path / "certs")
    site.parts.watchman.look_round()
    page = site.client.get("/").text
    assert "证书（或 CA）11-30" in page and "labelwatch certs" in page
    make_certificates(tmp_path / "certs", ["broker.lan"], [], NOON)
    site.clock.at += 3600
    site.parts.watchman.look_round()
    assert "证书" not in site.client.get("/").text


@pytest.mark.parametrize(
    ("way", "words"),
    [
        ("unreachable", "hub.url"),
        ("between", "a proxy or a login page"),
        ("no_room", "disk is short"),
        ("refused", "its log says"),
        ("heard of later", "its log says"),
    ],
)
def test_clips_that_do_not_come_are_told_with_what_helps(way: str, words: str, sqlite_store: Store) -> None:
    alarms = Alarms(sqlite_store.database)
    found = signs(
        [edge(clips=2, clips_stuck={"s": 1200.0, "way": way})], HubNow(FINE, NOON - 9000, key="ours"), CONFIG, NOON
    )
    for at in (NOON, NOON + 130):
        alarms.judge(found, at)
    (alarm,) = alarms.open()
    say = Phrases("en")
    assert title(alarm, say, UTC) == (
        "Edge box shanghai / box1 can't hand over 2 clips: none got through for 20\xa0min"
    )
    assert words in advice(alarm, say, UTC)
    assert "录像存在那台设备上" in advice(alarm, Phrases("zh"), UTC) or way == "no_room"


@pytest.mark.parametrize(("owed", "words"), [(0, "network"), (2, "memory alone")])
def test_what_a_failing_disk_holds_back_is_not_put_down_to_the_network(
    owed: int, words: str, sqlite_store: Store
) -> None:
    alarms = Alarms(sqlite_store.database)
    found = signs([edge(backlog=3, oldest_s=1200.0, owed=owed)], HubNow(FINE, NOON - 9000, key="ours"), CONFIG, NOON)
    for at in (NOON, NOON + 130):
        alarms.judge(found, at)
    (alarm,) = alarms.open()
    assert words in advice(alarm, Phrases("en"), UTC)


@pytest.mark.parametrize(
    ("changes", "kinds"),
    [
        ({}, []),
        ({"broker_lost_since": NOON - 9}, ["broker_lost"]),
        ({"damage": "page 7"}, ["hub_store_damaged"]),
        ({"state": replace(FINE, disk_free=4 * GB)}, ["hub_disk"]),
        ({"reserve_bytes": 110 * GB}, ["hub_disk"]),
    ],
)
def test_what_is_wrong_with_the_hub(changes: dict[str, Any], kinds: list[str]) -> None:
    assert wrong(**changes) == kinds


@pytest.mark.parametrize(
    ("count", "is_standing", "kinds"), [(59, False, []), (60, False, ["flood"]), (30, True, ["flood"]), (29, True, [])]
)
def test_a_box_that_tells_more_critical_incidents_than_happen_is_an_alarm(
    count: int, is_standing: bool, kinds: list[str]
) -> None:
    standing = [("flood", "shanghai", "box1", "")] if is_standing else []
    hub = HubNow(FINE, NOON - 9000)
    found = signs([], hub, CONFIG, NOON, standing, floods=[Flood("shanghai", "box1", count)])
    assert [sign.kind for sign in found] == kinds


def gaps_of(store: Store) -> Gaps:
    return Gaps(store.database, SteppedClock(NOON))


def catch_up(site: Site, *, an_hour: int, hours: int) -> list[tuple[str, str]]:
    """A box that was heard of until so long before now comes back and tells all: kinds and words of what is wrong."""
    away_s, health = 3600.0 * hours, site.parts.health
    health.begin()
    told(site, cam3=1.0)
    health.status("shanghai", "box1", "offline", site.clock.at)
    site.clock.at += away_s
    told(site, cam3=1.0)
    every_s = 3600.0 / an_hour
    rows = [
        make_envelope(n, incident=f"i{n}", started_at_unix=NOON + every_s * n, sent_at_unix=NOON + every_s * n + 30)
        for n in range(1, an_hour * hours)
    ]
    site.store.add_alerts(rows, site.clock.at)
    site.parts.watchman.look_round()
    say = Phrases("en")
    return [(one.kind, title(one, say, UTC)) for one in site.parts.alarms.open() if one.kind in ("flood", "backlog")]


def test_a_box_that_catches_up_after_an_outage_is_not_called_a_flood(site: Site) -> None:
    assert catch_up(site, an_hour=20, hours=48) == []


def test_a_box_that_told_too_much_while_it_was_cut_off_is_a_flood_all_the_same(site: Site) -> None:
    assert [kind for kind, _ in catch_up(site, an_hour=FLOOD + 1, hours=2)] == ["flood"]


def test_what_waits_since_an_outage_is_called_catching_up(site: Site) -> None:
    site.parts.health.begin()
    told(site, cam3=1.0)
    site.parts.health.status("shanghai", "box1", "offline", NOON)
    site.clock.at = NOON + 7200
    report = {"at_unix": site.clock.at, "cameras": {"cam3": {"age_s": 1.0}}, "backlog": 41, "oldest_s": 7000.0}
    site.parts.health.report("shanghai", "box1", report, site.clock.at)
    site.store.edges.set_status("shanghai", "box1", "online", site.clock.at)
    site.store.edges.set_health("shanghai", "box1", report, site.clock.at)
    site.parts.watchman.look_round()
    (alarm,) = site.parts.alarms.open()
    say = Phrases("en")
    assert title(alarm, say, UTC) == "Edge box shanghai / box1 is catching up: 41 alerts waiting since 11-01 04:03"
    assert "comes by itself" in advice(alarm, say, UTC)


def test_critical_incidents_of_a_box_are_counted_as_they_come_and_once(store: Store) -> None:
    def tell(count: int, at: float, name: str = "i", **changes: Any) -> None:
        rows = [make_envelope(n, incident=f"{name}{n}", epoch=f"{name}{at}", **changes) for n in range(1, count + 1)]
        store.add_alerts([{**row, "sent_at_unix": at} for row in rows], at)

    def counted(floods: Floods, at: float) -> dict[str, int]:
        return {flood.edge: flood.count for flood in floods.count(at)}

    floods = Floods(store.database, gaps_of(store))
    tell(3, NOON, started_at_unix=NOON - 90 * 86400)  # whenever it says that they were
    tell(2, NOON, "mild", severity="warning")
    tell(2, NOON, "others", edge="box2")
    assert counted(floods, NOON + 1) == {"box1": 3, "box2": 2}
    tell(2, NOON + 60)  # two of them go on
    tell(2, NOON + 60, "mild")  # what grew worse
    assert counted(floods, NOON + 61) == {"box1": 5, "box2": 2}
    assert counted(Floods(store.database, gaps_of(store)), NOON + 61) == {"box1": 5, "box2": 2}, "after a start, too"
    assert counted(floods, NOON + 3630) == {"box1": 4}
    assert counted(floods, NOON + 3661) == {}


def test_what_came_by_a_clock_that_was_ahead_is_neither_knocking_nor_a_flood_once_that_is_right(store: Store) -> None:
    ahead, keys = NOON + 8 * 3600, EdgeKeys(store.database)
    keys.knocks.note("shanghai", "box1", "another", OTHER, ahead)
    rows = [make_envelope(n, incident=f"i{n}") for n in range(1, FLOOD + 1)]
    store.add_alerts([{**row, "sent_at_unix": ahead} for row in rows], ahead)

    def kinds(now: float) -> list[str]:
        floods = Floods(store.database, gaps_of(store)).count(now)
        return [sign.kind for sign in signs([], HubNow(FINE, NOON), CONFIG, now, (), keys.knocks.all(), floods)]

    assert kinds(ahead) == ["knocking", "flood"]
    bring_back(store.database, NOON)
    assert kinds(NOON + 200) == []


def test_a_box_that_floods_is_told_with_what_to_do_until_it_is_shut_out(site: Site) -> None:
    EdgeKeys(site.store.database).trust("shanghai", "box1", public_key_text(Ed25519PrivateKey.generate()), NOON - 99)
    site.store.add_alerts([make_envelope(n, incident=f"i{n}") for n in range(1, 61)], NOON)
    site.parts.watchman.look_round()
    page = site.client.get("/").text
    assert "边缘设备 shanghai / box1 一小时内报了 60 起严重告警" in page and '<a href="/edges">去停用它</a>' in page
    assert "/?site=shanghai&amp;edge=box1" in page
    assert "去停用它" not in site.somebody(Role.VIEWER).get("/").text
    assert site.parts.enrolment.revoke("shanghai", "box1", "owner", NOON)
    site.clock.at += 601
    site.parts.watchman.look_round()
    assert site.parts.alarms.open() == []


def test_nobody_is_called_silent_whom_the_hub_could_not_hear() -> None:
    assert wrong(edge(age_s=9000), listening_since=None) == []
    assert wrong(edge(age_s=9000), listening_since=NOON - 200) == []
    assert wrong(edge(age_s=9000), listening_since=NOON - 301) == ["edge_silent"]


def who_is_silent(site: Site, after_min: float) -> list[str]:
    """Kinds of alarms about a box that says nothing so much later."""
    site.clock.at += 60 * after_min
    site.parts.watchman.look_round()
    return [alarm.kind for alarm in site.parts.alarms.open() if alarm.kind.startswith("edge_")]


def test_a_box_that_joined_and_never_says_anything_is_an_alarm_until_its_first_word(site: Site) -> None:
    site.parts.health.begin()
    assert who_is_silent(site, after_min=29) == []  # its installer is at work
    assert who_is_silent(site, after_min=2) == ["edge_unheard"]
    assert site.parts.alarms.open()[0].began_at == NOON
    page = site.client.get("/").text
    assert "边缘设备 shanghai / box1 加入以后一直没有消息" in page and "labelwatch run" in page
    told(site, cam3=1.0)
    assert who_is_silent(site, after_min=1.5) == []
    assert who_is_silent(site, after_min=6) == ["edge_silent"]


def test_a_last_will_that_is_said_early_hides_nothing_about_a_box_that_goes_on_reporting(site: Site) -> None:
    site.parts.health.begin()
    kinds = []
    for minute in range(50):
        site.clock.at = NOON + 60 * minute
        if minute == 1:
            site.store.edges.set_status("shanghai", "box1", "offline", site.clock.at)
        if minute < 40:
            waiting = {"cameras": {}, "backlog": minute, "oldest_s": 60.0 * minute}
            site.store.edges.set_health("shanghai", "box1", waiting, site.clock.at)
        site.parts.watchman.look_round()
        kinds.append({alarm.kind for alarm in site.parts.alarms.open()})
    assert kinds[39] == {"backlog"} and kinds[-1] == {"backlog", "edge_silent"}, kinds


def test_a_box_that_was_shut_out_and_joins_again_has_its_time_to_begin(site: Site) -> None:
    site.parts.health.begin()
    told(site, cam3=1.0)
    assert site.parts.enrolment.revoke("shanghai", "box1", "owner", NOON)
    assert who_is_silent(site, after_min=24 * 60) == []
    new = public_key_text(Ed25519PrivateKey.generate())
    assert site.parts.keys.trust("shanghai", "box1", new, site.clock.at, "wang")
    assert who_is_silent(site, after_min=29) == []
    assert who_is_silent(site, after_min=2) == ["edge_unheard"]


def test_a_machine_that_publishes_replays_alone_is_not_waited_for(site: Site) -> None:
    site.parts.health.begin()
    found = make_envelope(1, incident="found", phase="end")
    found["after"] = marked(found["after"], run="1", edge="box1", file="ch3.mp4", offset_s=4.0)
    site.store.add_alerts([found], NOON)
    assert who_is_silent(site, after_min=24 * 60) == []


def test_a_machine_that_is_about_to_publish_replays_is_not_waited_for_though_they_find_nothing(site: Site) -> None:
    def announced(key: Ed25519PrivateKey) -> int:
        headers = bringer_headers("shanghai", "box1", site.clock.at, key)
        return int(site.visitor().post("/api/replays/shanghai/box1", headers=headers).status_code)

    site.parts.health.begin()
    assert announced(Ed25519PrivateKey.generate()) == 401
    assert who_is_silent(site, after_min=31) == ["edge_unheard"]
    assert announced(site.key) == 204
    assert "只发送回放" in site.client.get("/edges").text
    assert who_is_silent(site, after_min=2) == who_is_silent(site, after_min=24 * 60) == []
    assert site.parts.enrolment.revoke("shanghai", "box1", "owner", site.clock.at)
    another = Ed25519PrivateKey.generate()
    assert site.parts.keys.trust("shanghai", "box1", public_key_text(another), site.clock.at, "wang")
    assert announced(another) == 204
    assert who_is_silent(site, after_min=24 * 60) == []
    told(site, cam3=1.0)
    assert who_is_silent(site, after_min=6) == ["edge_silent"], "once it watches, it is missed as all others are"
    assert announced(another) == 204
    assert who_is_silent(site, after_min=2) == ["edge_silent"]


def test_a_box_whose_key_was_replaced_is_not_taken_for_one_that_just_joined(site: Site) -> None:
    site.parts.health.begin()
    told(site, cam3=1.0)
    (key,) = site.parts.keys.of("shanghai", "box1")
    new = {"site": "shanghai", "edge": "box1", "key": "new", "state": "active", "since": NOON + 5, "by": "wang"}
    with site.store.database.writing() as connection:
        connection.execute(update(edge_keys).where(edge_keys.c.number == key.number).values(state="retired"))
        connection.execute(edge_keys.insert(), new)
    assert who_is_silent(site, after_min=6) == ["edge_silent"]


@pytest.mark.parametrize(
    ("kind", "just_below", "well_below"),
    [
        ("backlog", {"backlog": 3, "oldest_s": 600}, {"backlog": 3, "oldest_s": 400}),
        ("edge_disk", {"disk_free": 6 * GB}, {"disk_free": 7.1 * GB}),
        ("clock", {"offset": 1.5}, {"offset": 0.9}),
    ],
)
def test_a_threshold_is_let_go_of_well_beyond_where_it_was_met(
    kind: str, just_below: dict[str, Any], well_below: dict[str, Any]
) -> None:
    standing = {(kind, "shanghai", "box1", "")}
    assert wrong(edge(**just_below)) == []
    assert wrong(edge(**just_below), standing) == [kind]
    assert wrong(edge(**well_below), standing) == []


class Keeper:
    """Alarms in a database, judged as time goes on."""

    def __init__(self, store: Store) -> None:
        self.store, self.alarms, self.now = store, Alarms(store.database), NOON

    def judge(self, *found: Sign, after_s: float = 10.0, times: int = 1, unseen: bool = False) -> list[str]:
        """Kinds that were opened (`+`) or closed (`-`)."""
        changed = []
        for _ in range(times):
            self.now += after_s
            judged = self.alarms.judge(found, self.now, lambda _place: unseen)
            changed += [("+" if alarm.is_open else "-") + alarm.kind for alarm in judged]
        return changed

    def know(self, alarm: Alarm, scope: Scope = Scope()) -> bool:  # noqa: B008
        with self.store.database.writing() as connection:
            return self.alarms.acknowledge(connection, alarm.number, "wang", self.now, scope) is not None

    @property
    def open(self) -> list[Alarm]:
        return self.alarms.open()


@pytest.fixture
def keeper(store: Store) -> Keeper:
    """On either database."""
    return Keeper(store)


SILENT = Sign("edge_silent", "shanghai", "box1", since=NOON - 300)
CLOCK = Sign("clock", "shanghai", "box1", facts={"offset_s": 3.0})


def test_a_state_opens_once_and_is_over_by_itself(keeper: Keeper) -> None:
    assert keeper.judge(SILENT) == ["+edge_silent"]
    assert keeper.judge(SILENT, times=20) == []
    (alarm,) = keeper.open
    assert (alarm.began_at, alarm.raised_at, alarm.severity) == (NOON - 300, NOON + 10, "critical")
    assert keeper.judge(times=5) == []
    assert keeper.judge() == ["-edge_silent"]
    (over,) = keeper.alarms.history()
    assert over.ended_at == NOON + 210  # when it was last seen
    assert keeper.open == []


def test_an_overloaded_box_tells_how_many_cameras_it_overlooks(keeper: Keeper) -> None:
    for behind in (2, 1):
        cameras = {f"cam{n}": {"age_s": 0.1, "behind": n < behind} for n in range(3)}
        found = signs([edge(cameras=cameras)], HubNow(FINE, NOON - 9000, key="ours"), CONFIG, NOON)
        keeper.judge(*found, times=70)
        (alarm,) = keeper.open
        assert (
            title(alarm, Phrases("zh"), UTC) == f"边缘设备 shanghai / box1 忙不过来：3 路摄像机中有 {behind} 路看得太少"
        )


def test_it_must_have_lasted_and_a_blink_is_neither_an_alarm_nor_the_end_of_one(keeper: Keeper) -> None:
    for _ in range(10):
        assert keeper.judge(CLOCK, times=5) + keeper.judge() == []
    assert keeper.judge(CLOCK, times=7) == ["+clock"]
    for _ in range(10):
        assert keeper.judge(times=5) + keeper.judge(CLOCK) == []
    assert len(keeper.open) == 1


def test_what_can_not_be_seen_stays_as_it_is(keeper: Keeper) -> None:
    keeper.judge(SILENT)
    assert keeper.judge(times=100, unseen=True) == []
    assert keeper.judge() == ["-edge_silent"]


def test_an_open_alarm_outlives_the_hub(keeper: Keeper) -> None:
    keeper.judge(SILENT)
    keeper.alarms = Alarms(keeper.store.database)
    assert keeper.judge(SILENT, times=5) == []
    assert len(keeper.open) == 1


def drops(n: int, **facts: Any) -> Sign:
    return Sign("dropped", "shanghai", "box1", count=n, facts=facts)


def test_a_loss_stays_until_somebody_knows_and_only_more_of_it_is_news(keeper: Keeper) -> None:
    assert keeper.judge(drops(5)) == ["+dropped"]
    assert keeper.judge(drops(9)) == []
    (alarm,) = keeper.open
    assert (alarm.facts["n"], alarm.counted) == (9, 9)
    assert keeper.judge(times=100) == []  # its edge is gone; the loss is not
    assert keeper.know(alarm)
    assert keeper.open == [] and keeper.alarms.history()[0].acknowledged_by == "wang"
    assert keeper.judge(drops(9), times=10) == []
    assert keeper.judge(drops(12)) == ["+dropped"]
    assert keeper.open[0].facts["n"] == 3
    keeper.know(keeper.open[0])
    assert keeper.judge(drops(2)) == ["+dropped"]  # a new store counts anew
    assert keeper.open[0].facts["n"] == 2
    assert keeper.judge(drops(1), drops(1)) == []
    assert keeper.open[0].facts["n"] == 3


def test_what_somebody_knows_of_is_no_news_after_the_hubs_clock_was_years_behind(keeper: Keeper) -> None:
    keeper.judge(drops(5))
    assert keeper.know(keeper.open[0])
    before = keeper.alarms.history()
    bring_back(keeper.store.database, BEHIND)
    assert keeper.judge(drops(5)) == [] and [one.ended_at for one in keeper.alarms.history()] == [before[0].ended_at]


def test_what_lasts_is_over_by_itself_under_a_clock_that_is_years_behind(keeper: Keeper) -> None:
    keeper.judge(SILENT)
    keeper.now = BEHIND
    bring_back(keeper.store.database, BEHIND)
    assert keeper.judge(times=7) == ["-edge_silent"]


def test_what_seemed_lost_and_came_is_over_by_itself(keeper: Keeper) -> None:
    lost = Sign("lost", "shanghai", "box1", count=5)
    assert keeper.judge(lost, times=31) == ["+lost"]
    keeper.judge(replace(lost, count=2))
    assert keeper.judge(times=6) == ["-lost"]
    assert keeper.judge(replace(lost, count=3), times=31) == ["+lost"]
    assert keeper.know(keeper.open[0])
    assert keeper.judge(replace(lost, count=2), times=40) == []


@pytest.mark.parametrize(("left", "again", "news"), [(0, 3, 3), (2, 5, 3), (2, 2, None)])
def test_what_somebody_knew_to_be_lost_and_came_is_news_when_it_is_lost_again(
    keeper: Keeper, left: int, again: int, news: int | None
) -> None:
    lost = Sign("lost", "shanghai", "box1", count=5)
    assert keeper.judge(lost, times=31) == ["+lost"]
    assert keeper.know(keeper.open[0])
    assert keeper.judge(times=2, unseen=True) == keeper.judge(lost, times=31) == []
    keeper.judge(*([replace(lost, count=left)] if left else []))
    keeper.judge(replace(lost, count=again), times=31)
    assert [alarm.facts["n"] for alarm in keeper.open] == ([news] if news else [])


def test_the_hubs_own_absence_is_told_and_fades(keeper: Keeper) -> None:
    keeper.alarms.note(Sign("hub_down", since=NOON - 900, count=round(NOON)), NOON)
    keeper.alarms.note(Sign("hub_down", since=NOON - 60, count=round(NOON) + 9), NOON + 9)
    assert len(keeper.open) == 1
    assert keeper.judge(after_s=80_000) == []
    assert keeper.judge(after_s=80_000) == ["-hub_down"]


def test_each_absence_of_the_hub_is_told_and_shown_for_a_day_however_soon_it_follows_another(keeper: Keeper) -> None:
    for night in range(3):
        keeper.now = NOON + night * 86400.0
        keeper.alarms.note(absence(keeper.now - 3600, keeper.now), keeper.now)
        assert keeper.judge() == []
        (alarm,) = keeper.open
        assert (alarm.facts["to"], alarm.raised_at) == (NOON + night * 86400.0, NOON + night * 86400.0)
    assert len(keeper.alarms.history()) == 2
    assert keeper.judge(after_s=86_390) == ["-hub_down"]


def test_a_state_that_somebody_knows_of_lasts_until_it_is_over(keeper: Keeper) -> None:
    keeper.judge(SILENT)
    assert keeper.know(keeper.open[0])
    assert keeper.open[0].acknowledged_by == "wang"
    assert keeper.judge(SILENT, times=3) == []
    assert keeper.judge(times=6) == ["-edge_silent"]
    assert not keeper.know(keeper.alarms.history()[0])


def test_alarms_are_seen_and_known_within_a_scope_and_the_hubs_by_all(keeper: Keeper) -> None:
    camera = Sign("camera_silent", "suzhou", "box2", "cam1")
    keeper.judge(SILENT, camera, Sign("broker_lost"), times=31)
    seen = [
        [alarm.kind for alarm in keeper.alarms.open(Scope.of(names))]
        for names in (None, ["suzhou"], ["suzhou/cam2"], [])
    ]
    assert [sorted(kinds) for kinds in seen] == [
        ["broker_lost", "camera_silent", "edge_silent"], ["broker_lost", "camera_silent"], ["broker_lost"],
        ["broker_lost"],
    ]  # fmt: skip
    silent = next(alarm for alarm in keeper.open if alarm.kind == "edge_silent")
    assert not keeper.know(silent, Scope.of(["suzhou"]))


def test_odd_edges_without_end_open_so_many_and_no_more(keeper: Keeper, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("detector.hub.watch.alarms.MOST_OPEN", 20)
    keeper.judge(*(replace(SILENT, edge=f"box{n}") for n in range(50)))
    assert len(keeper.open) == 20


@settings(max_examples=30, deadline=None)
@given(steps=st.lists(st.tuples(st.sampled_from(["wrong", "fine", "know"]), st.integers(1, 12)), max_size=25))
def test_however_it_flickers_each_alarm_needs_a_calm_before_it(
    steps: list[tuple[str, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    store = Store(sqlite_url(tmp_path_factory.mktemp("flicker") / "hub.sqlite"))
    keeper = Keeper(store)
    fine_s = calms = 0
    for what, times in steps:
        if what == "know" and keeper.open:
            keeper.know(keeper.open[0])
        elif what == "fine":
            keeper.judge(times=times)
            calms += fine_s < 60 <= fine_s + 10 * times
            fine_s += 10 * times
        elif what == "wrong":
            keeper.judge(SILENT, times=times)
            fine_s = 0
    assert len(keeper.open) <= 1
    assert len(keeper.open) + len(keeper.alarms.history(limit=1000)) <= calms + 1
    store.close()


# Pages


def raise_one(site: Site, *found: Sign) -> list[Alarm]:
    kept = site.app.app.state.parts.alarms  # type: ignore[attr-defined]
    kept.judge(found, site.clock.now() - 400)
    kept.judge(found, site.clock.now())
    return list(kept.open())


def test_feed_and_health_page_show_what_is_wrong_and_what_to_do(site: Site) -> None:
    site.app.app.state.parts.health.begin()  # type: ignore[attr-defined]
    site.store.edges.set_health("shanghai", "box1", {"cameras": {}}, site.clock.now())
    assert "没有系统异常" in site.client.get("/health").text
    raise_one(site, SILENT, drops(7, by={"rows": 7}))
    for path in ("/", "/feed/live", "/health", "/health/part", "/alarms"):
        page = site.client.get(path).text
        for words in ("边缘设备 shanghai / box1 没有消息", "丢弃了 7 条告警", "条数已满"):
            assert words in page, (path, words)
        # On the feed only the worst one says what to do; all do on the page it leads to.
        assert ("请检查那台设备的电源和网线" in page) is ("feed" not in path and path != "/")


@pytest.mark.parametrize(
    "told",
    [
        {"oldest_s": 9e15, "backlog": 3},
        {"clips_stuck": {"s": 9e15}, "clips": 3},
        {"cameras": {"cam3": {"age_s": 1e12}}},
        {"cameras": {"cam3": {"age_s": -1e12}}},
    ],
)
def test_what_lasts_for_longer_than_calendars_reach_keeps_no_page_from_anybody(
    site: Site, told: dict[str, Any]
) -> None:
    now = site.clock.now()
    site.parts.health.report("shanghai", "box1", told, now)
    site.store.edges.set_health("shanghai", "box1", told, now)
    for at in (now, now + 600):  # some must have lasted for a while
        site.parts.alarms.judge(signs(site.store.edges.all(), HubNow(FINE, now - 9000), CONFIG, now), at)
    assert len(site.parts.alarms.open()) == ("-" not in str(told))
    assert {site.client.get(path).status_code for path in ("/", "/health", "/alarms", "/cameras")} == {200}


def test_whoever_says_to_know_it_is_on_record_and_the_banner_gives_way(site: Site) -> None:
    silent, loss = sorted(raise_one(site, SILENT, drops(7)), key=lambda alarm: alarm.is_loss)
    for alarm in (silent, loss):
        answer = site.client.post(f"/alarms/{alarm.number}/acknowledge", data={"next": "/"})
        assert (answer.status_code, answer.headers["location"]) == (303, "/")
        assert site.client.post(f"/alarms/{alarm.number}/acknowledge").status_code == (404 if alarm.is_loss else 303)
    assert 'class="alarms"' not in site.client.get("/").text
    page = site.client.get("/health").text
    assert "已知" in page and "没有消息" in page and "丢弃了 7 条告警" in page
    audit = site.client.get("/audit").text
    assert "alarm_acknowledged" in audit


@pytest.mark.parametrize(
    ("gap", "sign", "words"),
    [
        ({"what": "broker", "site": "", "edge": ""}, Sign("broker_lost"), "消息服务器断开"),
        ({"what": "edge", "site": "shanghai", "edge": "box1"}, SILENT, "边缘设备 shanghai / box1 断开"),
    ],
)
def test_what_lasts_is_told_once_in_the_feed_and_quietly_when_somebody_knows_it(
    site: Site, gap: dict[str, Any], sign: Sign, words: str
) -> None:
    since = {"camera": "", "began_at": NOON - 120}
    with site.store.database.writing() as connection:
        connection.execute(gaps.insert(), [gap | since, {"what": "edge", "site": "shanghai", "edge": "box2"} | since])
    other = "边缘设备 shanghai / box2 断开"
    (alarm,) = raise_one(site, sign)
    page = site.client.get("/").text
    assert 'class="alarms"' in page and words not in page and other in page
    with site.store.database.writing() as connection:
        connection.execute(gaps.update().values(ended_at=NOON - 20))
    assert words in site.client.get("/").text  # it is back, and the alarm not yet over
    with site.store.database.writing() as connection:
        connection.execute(gaps.update().values(ended_at=None))
    site.client.post(f"/alarms/{alarm.number}/acknowledge")
    page = site.client.get("/").text
    assert 'class="alarms"' not in page and words in page


def test_of_another_site_nothing_is_seen_or_acknowledged(site: Site) -> None:
    silent, hub = sorted(raise_one(site, SILENT, Sign("broker_lost")), key=lambda alarm: not alarm.site)
    guard = site.somebody(Role.REVIEWER, ["suzhou"])
    page = guard.get("/health").text
    assert "box1" not in page and "连不上消息服务器" in page
    assert guard.post(f"/alarms/{silent.number}/acknowledge").status_code == 404
    assert guard.post(f"/alarms/{hub.number}/acknowledge").status_code == 404  # not theirs alone
    assert guard.post("/alarms/999999/acknowledge").status_code == 404
    assert [one["kind"] for one in guard.get("/api/alarms").json()["alarms"]] == ["broker_lost"]


def test_programs_read_alarms_and_figures(site: Site) -> None:
    raise_one(site, SILENT, drops(7, by={"age": 7}))
    told = site.client.get("/api/alarms").json()["alarms"]
    assert {one["kind"]: one["text"]["en"] for one in told} == {
        "edge_silent": "Edge box shanghai / box1 says nothing",
        "dropped": "Edge box shanghai / box1 dropped 7 alerts",
    }
    assert site.client.get("/api/alarms", params={"over": True}).json() == {"alarms": [], "next": None}
    figures = site.client.get("/metrics", headers={"authorization": "x"})
    assert figures.status_code in (200, 401)
    counts = site.app.app.state.parts.alarms.counts()  # type: ignore[attr-defined]
    assert counts["edge_silent"] == 1 and counts.keys() == KINDS.keys()


def test_damage_that_no_alarm_can_be_kept_of_is_shown_all_the_same(site: Site) -> None:
    site.store.database.damage = "page 7"
    assert "数据库有一处损坏" in site.client.get("/").text


def test_dropped_numbers_are_not_lost_and_are_told_apart(site: Site) -> None:
    told(site, backlog=0, dropped=3, cam3=1.0)
    site.store.add_alerts([make_envelope(1), make_envelope(5, incident="b")], NOON)
    assert (site.store.edges.all()[0].missing, site.store.edges.all()[0].lost) == (3, 3)
    word = {name: make_envelope(6)[name] for name in ("schema", "id", "seq", "epoch", "site", "edge", "sent_at_unix")}
    word["dropped"] = [[2, 3, "rows"], [4, 4, "dead"]]
    site.store.edges.set_status("shanghai", "box2", "online", NOON)
    others = ({"edge": "box2", "incident": "of another box"}, {"epoch": "0002", "incident": "of a fresh outbox"})
    site.store.add_alerts([make_envelope(2, **other) for other in others], NOON)
    site.store.add_alerts([word], NOON)
    site.store.add_alerts([word], NOON)
    found = site.store.edges.all()[0]
    assert (found.missing, found.dropped, found.lost) == (0, 3, 0)
    assert "监控中心已知 3 条" in site.client.get("/health").text
    site.store.add_alerts([make_envelope(3, **other) for other in others], NOON)
    assert [edge.dropped for edge in site.store.edges.all()] == [3, 0]
    site.store.add_alerts([make_envelope(3, incident="c")], NOON)  # it was on its way when it was dropped
    found = site.store.edges.all()[0]
    assert (found.missing, found.dropped) == (0, 2)
    late_word = {**word, "id": "w2", "seq": 9, "dropped": [[5, 5, "rows"], [7, 8, "rows"]]}
    site.store.add_alerts([late_word], NOON)  # 5 came before the word
    found = site.store.edges.all()[0]
    assert (found.missing, found.dropped) == (0, 4)
    site.store.add_alerts([{**word, "id": "w3", "seq": 14, "dropped": [[12, 12, "rows"]]}], NOON)
    found = site.store.edges.all()[0]
    assert (found.missing, found.dropped) == (3, 5), "10, 11 and 13"


def test_only_the_latest_dropped_ranges_are_kept_and_all_of_them_stay_counted(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("detector.hub.storage.intake.KEPT_DROPPED", 2)
    told(site, backlog=0, dropped=3, cam3=1.0)
    names = ("schema", "id", "seq", "epoch", "site", "edge", "sent_at_unix")
    for seq in (2, 4, 6, 8, 10):
        word = {name: make_envelope(seq)[name] for name in names}
        site.store.add_alerts([{**word, "id": f"w{seq}", "dropped": [[seq - 1, seq - 1, "rows"]]}], NOON)
    with site.store.database.reading() as connection:
        assert sorted(connection.execute(select(dropped.c.first)).scalars()) == [7, 9]
    assert site.store.edges.all()[0].dropped == 5


def test_a_card_says_that_it_came_late(site: Site) -> None:
    site.store.add_alerts([make_envelope(1, incident="old", started_at_unix=NOON - 86400)], NOON)
    site.store.add_alerts([make_envelope(2, incident="live", started_at_unix=NOON - 20)], NOON)
    page = site.client.get("/").text
    assert page.count("才收到") == 1
    assert page.index("card-live") < page.index("card-old") < page.index("才收到")


def test_the_watchman_tells_of_the_hubs_absence_and_of_who_is_silent_but_in_service(site: Site) -> None:
    health, alarms = site.parts.health, site.parts.alarms
    health.begin()
    told(site, cam3=1.0)
    site.clock.at = NOON + 3600
    health.begin()  # as a new hub
    site.parts.watchman.start()
    site.parts.watchman.stop()
    (down,) = alarms.open()
    assert (down.kind, down.facts["from"], down.facts["to"]) == ("hub_down", NOON, NOON + 3600)
    site.parts.watchman.look_round()
    assert len(alarms.open()) == 1  # the hub has only begun to listen
    site.clock.at += 301
    site.parts.watchman.look_round()
    assert {alarm.kind for alarm in alarms.open()} == {"hub_down", "edge_silent"}
    key = site.parts.keys.active("shanghai", "box1")
    assert key is not None
    with site.store.database.writing() as connection:
        connection.exec_driver_sql("UPDATE edge_keys SET state = 'revoked'")
    site.clock.at += 70
    site.parts.watchman.look_round()
    assert [alarm.kind for alarm in alarms.open()] == ["hub_down"]


def test_it_is_over_once_nobody_speaks_in_the_name_of_a_box_any_more_though_that_is_silent(site: Site) -> None:
    site.parts.health.begin()
    site.store.edges.set_status("shanghai", "box1", "offline", NOON)
    kinds = []
    for minute in range(35):
        site.clock.at = NOON + 60 * minute
        if minute < 3:
            site.parts.keys.knocks.note("shanghai", "box1", "another", OTHER, site.clock.at)
        site.parts.watchman.look_round()
        kinds.append({alarm.kind for alarm in site.parts.alarms.open()})
    assert kinds[2] == {"knocking"} and kinds[-1] == {"edge_silent"}, kinds


def test_who_fell_silent_has_too_much_to_do_no_more(site: Site) -> None:
    site.parts.health.begin()
    kinds = []
    for minute in range(24):
        site.clock.at = NOON + 60 * minute
        if minute < 12:
            cameras = {"cam3": {"age_s": 0.1, "fps": 5.0, "behind": True}}
            site.store.edges.set_status("shanghai", "box1", "online", site.clock.at)
            site.store.edges.set_health("shanghai", "box1", {"cameras": cameras}, site.clock.at)
        site.parts.watchman.look_round()
        kinds.append({alarm.kind for alarm in site.parts.alarms.open()})
    assert kinds[11] == {"overload"} and kinds[-1] == {"edge_silent"}, kinds


def test_the_watchman_tells_once_of_a_database_that_was_away_from_a_hub_that_ran_on(site: Site) -> None:
    health, alarms = site.parts.health, site.parts.alarms
    health.begin()
    site.clock.at = NOON + 3600
    for _ in range(2):
        health.look_round()
        site.parts.watchman.start()
        site.parts.watchman.stop()
    (down,) = alarms.open()
    assert (down.kind, down.facts["from"], down.facts["to"]) == ("hub_down", NOON, NOON + 3600)
    assert down.counted == NOON + 3600


class Machine:
    """A machine's two clocks: one runs on, the other can be set."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ran_s, self.put_s = 0.0, 0.0
        monkeypatch.setattr(time, "monotonic", lambda: self.ran_s)
        monkeypatch.setattr(time, "time", lambda: NOON + self.ran_s + self.put_s)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(monkeypatch)


@pytest.fixture
def watchman(site: Site, machine: Machine) -> Callable[[], Watchman]:
    """Makes one that goes by the machine's clock, of a hub that has just begun."""

    def make() -> Watchman:
        clock = SystemClock()
        health = Health(site.store, clock, site.folder)
        health.begin()
        return Watchman(site.parts.alarms, site.store, site.parts.keys, health, AlarmsConfig(), clock)

    return make


def test_a_hub_whose_machine_s_clock_is_put_forward_follows_and_calls_nobody_silent_for_that(
    site: Site, machine: Machine, watchman: Callable[[], Watchman]
) -> None:
    it = watchman()
    told(site, cam3=1.0)
    machine.put_s = 3 * 3600.0
    it.follow_clock()
    it.look_round()
    assert it._clock.now() == NOON, "a moment's step is no correction"
    machine.ran_s += 10.0
    it.follow_clock()
    it.look_round()
    assert it._clock.now() == NOON + 3 * 3600 + 10
    assert not site.parts.alarms.open()
    (away,) = site.parts.health.gaps.within(0, NOON + 86400)
    assert (away.what, away.began_at, away.ended_at) == ("hub", NOON, NOON + 3 * 3600 + 10)


@pytest.mark.parametrize("supervised", [True, False])
def test_a_hub_whose_machine_s_clock_is_put_back_ends_where_it_is_started_again_and_else_says_so(
    machine: Machine,
    watchman: Callable[[], Watchman],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    supervised: bool,
) -> None:
    if supervised:
        monkeypatch.setenv("NOTIFY_SOCKET", "/nobody/listens")
    it, ended = watchman(), []

    def end(number: int, _frame: FrameType | None) -> None:
        ended.append(number)

    former = signal.signal(signal.SIGTERM, end)
    try:
        machine.put_s = -8 * 3600.0
        for _ in range(4):
            it.follow_clock()
            machine.ran_s += 10.0
    finally:
        signal.signal(signal.SIGTERM, former)
    assert ended == [signal.SIGTERM] * supervised
    assert caplog.text.count("put back by 28800.0 s: the hub is to be started again") == 1
    assert it._clock.now() == NOON + 40
