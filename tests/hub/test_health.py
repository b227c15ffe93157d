"""Silence is put on record: who was away when, what came late, and how far clocks are off."""

from __future__ import annotations

import re
import shutil
from collections import namedtuple
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import delete, event

from detector.hub.access.audit import Audit
from detector.hub.edges.keys import EdgeKeys
from detector.hub.storage.rights import Role, Scope
from detector.hub.storage.schema import alerts, edges, gaps
from detector.hub.storage.store import Store
from detector.hub.upkeep.clock_ahead import bring_back
from detector.hub.watch.alarms import Sign
from detector.hub.watch.gaps import Gap, Gaps
from detector.hub.watch.health import Health
from tests.builders import SteppedClock
from tests.hub.conftest import BEHIND, NOON, Site, make_envelope

MINUTE = 60.0


class Watchtower:
    """Health over a store, with a clock and a broker that do as they are told."""

    def __init__(self, store: Store, folder: Path) -> None:
        self.store, self.folder = store, folder
        self.clock = SteppedClock(NOON)
        self.connected = True
        self.health = self.restarted()

    def restarted(self) -> Health:
        """As a new hub begins."""
        bring_back(self.store.database, self.clock.at)
        self.health = Health(self.store, self.clock, self.folder, lambda: self.connected)
        self.health.begin()
        return self.health

    def report(
        self, *, edge: str = "box1", ahead_s: float = 0.0, way_s: float = 0.0, config: str = "aa",
        model: str = "cc", **cameras: float | None,
    ) -> None:  # fmt: skip
        """A health report comes; cameras are given with the age of their last frame."""
        at = self.clock.now()
        told = {name: {"age_s": age, "title": f"机 {name}"} for name, age in (cameras or {"cam3": 1.0}).items()}
        fields = {"cameras": told, "at_unix": at + ahead_s - way_s, "backlog": 0}
        fields |= {"config_sha256": config, "model_sha256": model}
        self.health.report("shanghai", edge, fields, at)
        self.store.edges.set_health("shanghai", edge, fields, at)

    def say(self, state: str, edge: str = "box1") -> None:
        """An edge's status comes."""
        self.health.status("shanghai", edge, state, self.clock.now())
        self.store.edges.set_status("shanghai", edge, state, self.clock.now())

    def watch(self, seconds: float, *, reports: bool = True, **cameras: Any) -> None:
        """Time goes on as a hub lives it."""
        for _ in range(round(seconds / 10)):
            self.clock.at += 10
            if reports:
                self.report(**cameras)
            self.health.look_round()

    def gaps(self, scope: Scope = Scope()) -> list[tuple[str, str, float, float | None]]:  # noqa: B008
        """What, whom, from when, until when in minutes after noon; first one first."""
        found = self.health.gaps.within(NOON - 86400, NOON + 86400, scope)
        return [
            (
                gap.what,
                gap.camera or gap.edge,
                round((gap.began_at - NOON) / MINUTE, 1),
                None if gap.ended_at is None else round((gap.ended_at - NOON) / MINUTE, 1),
            )
            for gap in reversed(found)
        ]

    def late(self, scope: Scope = Scope()) -> dict[tuple[str, str], int]:  # noqa: B008
        """Of each edge, how many alerts of the last day came late."""
        return self.health.gaps.with_late(NOON - 86400, NOON - 86400, NOON + 86400, scope)[1]


@pytest.fixture
def tower(store: Store, tmp_path: Path) -> Watchtower:
    """On either database."""
    return Watchtower(store, tmp_path)


def test_quiet_watching_leaves_no_gap(tower: Watchtower) -> None:
    tower.say("online")
    tower.watch(600)
    assert tower.gaps() == []


def test_an_edge_that_is_cut_off_leaves_a_gap_from_its_last_report_to_its_return(tower: Watchtower) -> None:
    tower.say("online")
    tower.watch(60)
    tower.clock.at += 30  # the broker waits one and a half keep-alives
    tower.say("offline")
    assert tower.gaps() == [("edge", "box1", 1.0, None)]
    tower.watch(600, reports=False)
    tower.say("online")
    tower.report()
    assert tower.gaps() == [("edge", "box1", 1.0, 11.5)]


def test_an_edge_that_only_falls_silent_leaves_one_too(tower: Watchtower) -> None:
    tower.say("online")
    tower.watch(60)
    tower.watch(110, reports=False)
    assert tower.gaps() == []
    tower.watch(60, reports=False)
    assert tower.gaps() == [("edge", "box1", 1.0, None)]
    tower.watch(10)
    assert tower.gaps() == [("edge", "box1", 1.0, 4.0)]


def test_gaps_of_others_push_none_of_ones_own_away(tower: Watchtower) -> None:
    tower.watch(60)
    tower.say("offline")
    for _ in range(3):
        tower.clock.at += 60
        for state in ("offline", "online"):
            tower.health.status("suzhou", "box2", state, tower.clock.now())
    found = tower.health.gaps.within(NOON, NOON + 3600, Scope.of(["shanghai"]), limit=2)
    assert [(gap.site, gap.edge) for gap in found] == [("shanghai", "box1")]


def test_a_flapping_edge_leaves_one_gap(tower: Watchtower) -> None:
    tower.say("online")
    tower.watch(60)
    for _ in range(5):
        tower.clock.at += 5
        tower.say("offline")
        tower.clock.at += 5
        tower.say("online")
    assert tower.gaps() == [("edge", "box1", 1.0, 1.8)]


def test_a_camera_without_a_picture_leaves_a_gap_from_its_last_frame(tower: Watchtower) -> None:
    tower.watch(60, cam3=1.0, cam4=1.0)
    for age in (10.0, 20.0, 30.0, 40.0):
        tower.clock.at += 10
        tower.report(cam3=1.0, cam4=age)
    assert tower.gaps() == [("camera", "cam4", 1.0, None)]
    tower.watch(20, cam3=1.0, cam4=1.0)
    assert tower.gaps() == [("camera", "cam4", 1.0, 1.8)]


def test_a_camera_that_never_brought_one_and_one_that_was_taken_away(tower: Watchtower) -> None:
    tower.watch(60, cam3=1.0, cam4=None)
    assert tower.gaps() == [("camera", "cam4", 0.2, None)]
    tower.watch(10, cam3=1.0)
    assert tower.gaps() == [("camera", "cam4", 0.2, 1.2)]


def test_the_hubs_own_downtime_is_known_at_its_start_and_blamed_on_nobody_else(tower: Watchtower) -> None:
    tower.say("online")
    tower.watch(60)
    tower.clock.at += 600
    tower.restarted()
    tower.watch(100, reports=False)
    assert tower.gaps() == [("hub", "", 1.0, 11.0)]
    tower.clock.at += 5
    tower.restarted()
    assert len(tower.gaps()) == 1  # merely restarted


def test_a_database_that_was_away_is_told_as_the_hubs_own_downtime_and_blamed_on_nobody_else(
    tower: Watchtower,
) -> None:
    tower.say("online")
    tower.watch(60)
    tower.clock.at += 600  # whatever was tried meanwhile failed
    tower.watch(100, reports=False)
    assert tower.gaps() == [("hub", "", 1.0, 11.2)]
    tower.watch(100)
    assert len(tower.gaps()) == 1


def test_a_hub_that_is_stopped_does_not_say_that_the_broker_was_away(tower: Watchtower) -> None:
    tower.say("online")
    tower.watch(60)
    tower.watch(40, reports=False)
    tower.health.start()
    tower.connected = False  # the hub's own link ends first
    tower.health.stop()
    assert tower.gaps() == []


def test_without_a_broker_the_hub_calls_nobody_silent(tower: Watchtower) -> None:
    tower.say("online")
    tower.watch(60)
    tower.connected = False
    tower.watch(600, reports=False)
    tower.connected = True
    tower.watch(60)
    assert tower.gaps() == [("broker", "", 1.0, 11.2)]


def cut(tower: Watchtower, *, unnoticed_s: float, away_s: float) -> None:
    """A broker hangs after a minute of watching; the hub notices after its keep-alive, and then it comes back."""
    tower.say("online")
    tower.watch(60)
    tower.watch(unnoticed_s, reports=False)
    tower.connected = False
    tower.watch(away_s, reports=False)
    tower.connected = True


def test_a_broker_that_hangs_leaves_one_gap_from_the_last_sign_of_life_to_the_next(tower: Watchtower) -> None:
    cut(tower, unnoticed_s=40, away_s=50)
    tower.connected = False  # what the broker kept comes before its answer to us
    for state in ("offline", "offline", "online"):  # last wills of each try to connect, then the edge itself
        tower.say(state)
        tower.clock.at += 0.2
    tower.connected = True
    tower.watch(60)
    assert tower.gaps() == [("broker", "", 1.0, 2.5)]


def test_words_that_the_broker_kept_lengthen_no_gap_and_shorten_none(tower: Watchtower) -> None:
    cut(tower, unnoticed_s=40, away_s=50)
    for state in ("offline", "online"):  # said while nobody heard it
        tower.health.status("shanghai", "box1", state, tower.clock.at - 30)
    tower.watch(60)
    assert tower.gaps() == [("broker", "", 1.0, 2.5)]


def test_edges_that_come_back_after_the_broker_make_its_gap_as_long_as_the_last_of_them(tower: Watchtower) -> None:
    tower.say("online", "box2")
    cut(tower, unnoticed_s=40, away_s=50)
    for edge in ("box1", "box2"):
        tower.say("offline", edge)
    tower.clock.at += 3
    tower.say("online")
    tower.clock.at += 9
    tower.say("online", "box2")
    assert tower.gaps() == [("broker", "", 1.0, 2.7)]


def test_an_edge_that_stays_away_after_the_broker_is_back_has_a_gap_of_its_own_from_there(tower: Watchtower) -> None:
    cut(tower, unnoticed_s=0, away_s=30)
    tower.say("offline")
    tower.watch(120, reports=False)
    tower.say("online")
    assert tower.gaps() == [("broker", "", 1.0, 1.5), ("edge", "box1", 1.5, 3.5)]


def test_a_broker_that_was_silent_for_want_of_edges_is_missed_from_when_it_was(tower: Watchtower) -> None:
    tower.watch(60)
    tower.watch(600, reports=False)
    tower.connected = False
    tower.watch(60, reports=False)
    assert ("broker", "", 11.2, None) in tower.gaps()


def test_an_open_gap_outlives_the_hub(tower: Watchtower) -> None:
    tower.watch(60)
    tower.say("offline")
    tower.clock.at += 10
    tower.restarted()
    tower.clock.at += 50
    tower.say("online")
    assert tower.gaps() == [("edge", "box1", 1.0, 2.0)]


def test_a_hub_whose_clock_was_ahead_hears_edges_and_misses_them_once_it_is_right(tower: Watchtower) -> None:
    tower.clock.at += 8 * 60 * MINUTE  # the machine's own clock holds local time, until a time server sets it
    tower.restarted()
    tower.say("online")
    tower.watch(60)
    tower.watch(300, reports=False)
    tower.clock.at = NOON
    tower.restarted()
    assert all(ended is not None or began <= 0 for _, _, began, ended in tower.gaps())
    tower.say("online")
    tower.watch(60)
    assert tower.store.edges.all()[0].health_at == tower.clock.now()
    tower.watch(300, reports=False)
    assert tower.gaps()[-1] == ("edge", "box1", 1.0, None)


def test_a_hub_whose_clock_is_years_behind_for_a_while_keeps_its_gaps_and_has_been_away(tower: Watchtower) -> None:
    tower.say("online")
    tower.watch(60)
    tower.clock.at += 600
    tower.restarted()
    tower.watch(60)
    since = tower.health.gaps.since()
    tower.clock.at = BEHIND
    tower.restarted()
    tower.say("online")
    tower.watch(60)
    assert tower.store.edges.all()[0].health_at == tower.clock.now()
    tower.clock.at = NOON + 3600
    tower.restarted()
    assert tower.gaps() == [("hub", "", 1.0, 11.0), ("hub", "", 12.0, 60.0)] and tower.health.gaps.since() == since


def test_alerts_that_came_late_are_counted_for_the_gap_that_held_them(tower: Watchtower) -> None:
    tower.watch(60)
    tower.say("offline")
    began = tower.clock.at
    sent = [began + 30 * n for n in range(5)]
    tower.clock.at += 1200
    tower.say("online")
    late = [make_envelope(n, incident=f"i{n}", started_at_unix=at - 1) for n, at in enumerate(sent, 1)]
    in_time = make_envelope(9, incident="i9", started_at_unix=tower.clock.at - 30)
    other = make_envelope(1, edge="box2", incident="i10", started_at_unix=began)
    tower.store.add_alerts([*late, in_time, other], tower.clock.now())
    gap = tower.health.gaps.within(NOON, tower.clock.at)[0]
    assert (gap.what, gap.late, gap.lasted_s(tower.clock.at)) == ("edge", 5, 1200.0)
    assert tower.late() == {("shanghai", "box1"): 5, ("shanghai", "box2"): 1}
    assert tower.late(Scope.of(["suzhou"])) == {}
    assert tower.late(Scope.of(["shanghai/cam3"])) == tower.late()
    assert tower.health.gaps.notes(NOON, tower.clock.at)[0].late == 5


def test_the_page_asks_once_for_late_alerts_and_tells_what_the_parts_tell(site: Site) -> None:
    site.store.edges.set_status("shanghai", "box1", "online", NOON)
    health = site.parts.health
    health.begin()
    days = (6.5, 2.0, 0.9, 0.1)
    seq = 0
    for ago in days:
        began = NOON - ago * 86400
        health.status("shanghai", "box1", "offline", began)
        health.status("shanghai", "box1", "online", began + 1200)
        for n in range(3):
            seq += 1
            late = make_envelope(seq, incident=f"i{seq}", started_at_unix=began + 100 * n)
            site.store.add_alerts([late], began + 1200)
    asked: list[str] = []
    event.listen(site.store.database.engine, "before_cursor_execute", lambda *told: asked.append(told[2]))
    page = re.sub("<[^>]+>", "", site.client.get("/health").text)
    assert sum("received_at - alerts.sent_at > 60" in statement for statement in asked) == 1
    week, day = NOON - 7 * 86400, NOON - 86400
    found, late = health.gaps.with_late(week, day, NOON + 1)
    assert found == health.gaps.within(week, NOON + 1) and [gap.late for gap in found] == [3] * 4
    assert late == {("shanghai", "box1"): 6}
    assert "过去 24 小时中断 2 次，迟到告警 6 条" in page


def test_however_many_alerts_came_late_each_is_counted_once(tower: Watchtower) -> None:
    tower.say("offline")
    made = [NOON + 0.1 * n for n in range(12_000)]
    rows = [
        {
            "id": f"a{n}", "site": "shanghai", "edge": "box1", "epoch": "e", "seq": n, "incident": f"i{n}",
            "phase": "new", "sent_at": at, "received_at": NOON + 7200, "envelope": {},
        }
        for n, at in enumerate(made)
    ]  # fmt: skip
    with tower.store.database.writing() as connection:
        connection.execute(alerts.insert(), rows)
    tower.clock.at = NOON + 7200
    tower.say("online")
    assert tower.late() == {("shanghai", "box1"): 12_000}
    assert [gap.late for gap in tower.health.gaps.within(NOON, NOON + 7201)] == [12_000]


def test_a_gap_that_lasts_is_told_however_many_came_after_it(tower: Watchtower) -> None:
    tower.watch(60)
    tower.say("offline")
    for n in range(4):
        tower.health.status("shanghai", "box2", "offline", tower.clock.at + 900 * n)
        tower.health.status("shanghai", "box2", "online", tower.clock.at + 900 * n + 300)
    found = tower.health.gaps.within(NOON, NOON + 86400, limit=3)
    assert [(gap.edge, gap.ended_at is None) for gap in found] == [("box2", False), ("box2", False), ("box1", True)]
    assert [gap.began_at for gap in found] == sorted((gap.began_at for gap in found), reverse=True)


def test_a_slow_clock_makes_no_alert_late(tower: Watchtower) -> None:
    tower.report(ahead_s=-300.0)
    tower.store.add_alerts([make_envelope(1, started_at_unix=NOON - 301)], NOON)
    assert tower.late() == {}


@pytest.mark.parametrize("offset", [0.0, -75.0, 3600.0])
def test_an_edges_clock_is_read_from_its_quickest_report(tower: Watchtower, offset: float) -> None:
    for way_s in (8.0, 0.4, 25.0, 0.02, 3.0):
        tower.clock.at += 10
        tower.report(ahead_s=offset, way_s=way_s)
    edge = tower.store.edges.all()[0]
    assert edge.clock_offset_s == pytest.approx(offset - 0.02, abs=0.011)
    for _ in range(30):  # a clock that was set is followed once the old reports are forgotten
        tower.clock.at += 10
        tower.report(ahead_s=0.0, way_s=0.05)
    assert tower.store.edges.all()[0].clock_offset_s == pytest.approx(-0.05, abs=0.011)


def test_what_is_changed_at_a_box_itself_is_on_record(tower: Watchtower) -> None:
    tower.report(cam3=1.0, cam4=1.0)
    tower.report(cam3=1.0, cam4=500.0)
    tower.report(cam3=1.0, cam5=1.0, config="bb")
    tower.report(cam3=1.0, cam5=1.0, config="bb")
    tower.report(cam3=1.0, cam5=1.0, config="bb", model="dd")
    other_model, line = Audit(tower.store.database).entries(action="configuration_changed")
    assert (line.user, line.subject) == ("shanghai/box1", "shanghai/box1")
    assert line.details == {"cameras_gone": ["cam4"], "cameras_new": ["cam5"]}
    assert other_model.details == {"cameras_gone": [], "cameras_new": []}


def lines_of_changes(tower: Watchtower) -> list[dict[str, Any]]:
    """Details of what is on record, the oldest first."""
    found = Audit(tower.store.database).entries(action="configuration_changed", limit=1000)
    return [entry.details for entry in reversed(found)]


def test_a_box_that_names_another_configuration_in_every_report_does_not_fill_the_audit_log(tower: Watchtower) -> None:
    tower.report(config="begin", cam3=1.0, cam4=1.0)
    for n in range(120):  # an hour
        tower.clock.at += 30
        tower.report(config=f"c{n}", cam3=1.0, **({"cam4": 1.0} if n != 100 else {}))
        tower.health.look_round()
    assert len(lines_of_changes(tower)) == 5
    tower.report(edge="box2")
    tower.report(edge="box2", config="bb")
    assert len(lines_of_changes(tower)) == 6, "another box has lines of its own"
    tower.watch(60, config="c119", cam3=1.0, cam4=1.0)
    told = lines_of_changes(tower)
    assert told[6:] == [{"cameras_gone": ["cam4"], "cameras_new": [], "changes": 115}], "back soon, but not unseen"
    assert sum(one.get("changes", 1) for one in told) == 121


def test_a_hub_that_ends_puts_on_record_what_it_held_back(tower: Watchtower) -> None:
    for n in range(9):
        tower.report(config=f"c{n}")
    assert len(lines_of_changes(tower)) == 5
    tower.health.start()
    tower.health.stop()
    assert lines_of_changes(tower)[5:] == [{"cameras_gone": [], "cameras_new": [], "changes": 3}]
    tower.restarted()
    tower.report(config="c8")
    assert len(lines_of_changes(tower)) == 6


@given(ways=st.lists(st.floats(0, 1000), min_size=1, max_size=30), offset=st.floats(-1e5, 1e5))
def test_a_clock_is_never_off_by_more_than_the_quickest_way(ways: list[float], offset: float) -> None:
    found = max(round(offset - way, 2) for way in ways)
    assert offset - min(ways) - 0.006 <= found <= offset + 0.006


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"at_unix": "soon", "cameras": None},
        {"at_unix": float("nan"), "cameras": {"a\0b": {"age_s": 999}}},
        {"at_unix": -1e300, "cameras": {"../x": {"age_s": 999}}},
        {"at_unix": 1e300, "cameras": [{"camera": "x" * 500, "age_s": 999}]},
        {"cameras": {f"c{n}": {"age_s": 999} for n in range(5000)}},
    ],
)
def test_odd_reports_leave_no_odd_rows(tower: Watchtower, fields: dict[str, Any]) -> None:
    tower.health.report("shanghai", "box1", fields, NOON)
    assert len(tower.health.gaps.within(NOON - 1e6, NOON + 1, limit=10_000)) <= 256
    assert tower.store.edges.all() == [] or tower.store.edges.all()[0].clock_offset_s is None


def test_late_alerts_are_found_by_their_index(sqlite_store: Store) -> None:
    with sqlite_store.database.reading() as connection:
        plan = connection.exec_driver_sql(
            "EXPLAIN QUERY PLAN SELECT alerts.site FROM alerts "
            "WHERE alerts.received_at - alerts.sent_at > 60 AND alerts.sent_at >= 5 AND alerts.sent_at < 9"
        ).all()
    assert "alerts_late" in str(plan)


# The page


def told(site: Site, set_aside: int = 0, **cameras: float) -> None:
    """A report of an edge, as the ingest takes it."""
    health = site.app.app.state.parts.health  # type: ignore[attr-defined]
    fields = {
        "cameras": {name: {"age_s": age, "title": name, "fps": 12.5, "dropped": 0} for name, age in cameras.items()},
        "at_unix": site.clock.now() + 7.5, "backlog": 0, "dropped": 0, "dead": 0, "version": "0.1.0",
        "model": {"name": "scene", "precision": "fp32"}, "disk_free": 3 * 2**30, "disk_total": 100 * 2**30,
        "uptime_s": 7200, "set_aside": set_aside,
    }  # fmt: skip
    health.report("shanghai", "box1", fields, site.clock.now())
    site.store.edges.set_health("shanghai", "box1", fields, site.clock.now())


def test_the_page_shows_nought_as_nought_and_a_dash_where_nothing_is_told(site: Site) -> None:
    site.app.app.state.parts.health.begin()  # type: ignore[attr-defined]
    with site.store.database.writing() as connection:
        connection.execute(delete(edges))  # as before the first box has joined
    assert "还没有边缘设备接入" in site.client.get("/health").text
    site.store.edges.set_status("shanghai", "box1", "online", NOON)
    assert "没有消息" in site.client.get("/health").text
    told(site, cam3=1.0)
    told(site, cam3=1.0)
    page = site.client.get("/health").text
    for words in (
        "1 台边缘设备在线", "今天 12:00:00 起没有中断，迟到告警 0 条", "<dt>丢失</dt><dd>0",
        "<dt>边缘丢弃</dt><dd>0",
        "快 7.5 秒", "3.2\u00a0GB / 共 107.4\u00a0GB", "scene · fp32", "12.5", "没有中断",
    ):  # fmt: skip
        assert words in page, words
    assert "<dt>待传片段</dt><dd>–" in page


def test_the_hubs_disk_is_told_in_one_unit_wherever_it_is_told(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")(500 * 10**9, 260 * 10**9, 240 * 10**9)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage)
    monkeypatch.setattr(site.parts.retention, "_disk_usage", lambda _path: usage)
    for path in ("/health", "/retention"):
        page = site.client.get(path).text
        assert "240.0\u00a0GB" in page and "500.0\u00a0GB" in page, path


def test_a_whole_day_without_a_gap_is_claimed_of_nobody_who_is_known_for_less(site: Site) -> None:
    def words() -> tuple[str, list[str]]:
        page = site.somebody(Role.OWNER).get("/health/part").text
        strips = re.findall('role="img" aria-label="([^"]*)"', page)
        return page.split("</header>")[0].rpartition('<p class="faint">')[2], strips

    site.clock.at = NOON - 90000
    site.parts.health.begin()
    site.clock.at = NOON - 600
    told(site, cam3=1.0)
    told(site, cam3=1.0)
    site.clock.at = NOON
    head, strips = words()
    assert head.startswith("今天 11:50:00 起没有中断")
    assert strips == ["今天 11:50:00 起没有中断", "今天 11:50:00 起没有中断", "过去 24 小时没有中断"]
    site.clock.at = NOON + 80000
    assert words()[0].startswith("昨天 11:50:00 起没有中断")
    site.clock.at = NOON + 86000
    head, strips = words()
    assert head.startswith("过去 24 小时没有中断") and set(strips) == {"过去 24 小时没有中断"}


def test_the_page_tells_of_a_store_that_was_corrupt_and_only_then(site: Site) -> None:
    site.app.app.state.parts.health.begin()  # type: ignore[attr-defined]
    told(site, cam3=1.0)
    assert "损坏的存储" not in site.client.get("/health").text
    told(site, set_aside=1, cam3=1.0)
    assert '<div class="bad"><dt>损坏的存储</dt><dd>1' in site.client.get("/health").text


def test_the_page_says_which_box_runs_with_its_last_good_configuration_and_why(site: Site) -> None:
    def page(language: str, **fields: Any) -> str:
        site.store.edges.set_health("shanghai", "box1", {"cameras": {}, **fields}, NOON)
        site.client.cookies.set("language", language)
        return site.client.get("/health").text

    safe = {"state": "last_good", "since": NOON - 3600, "problems": ["site.yaml: line 8: a <tab>", "x" * 1000, 7, None]}
    told = page("zh", config=safe, supervision={"restarts": 2, "restarted_for": "memory: 2 GB"})
    assert (
        "配置文件有误，正按 2026-11-01 11:00 的旧配置继续监控" in told
        and "a &lt;tab&gt;" in told
        and "x" * 301 not in told
    )
    assert "自行重启（24 小时）</dt><dd>2" in told and "上次自行重启的原因：memory: 2 GB" in told
    assert "can&#39;t be used" in page("en", config=safe)
    odd: list[Any] = [5, {"state": "current"}, {**safe, "since": "x"}, {**safe, "since": 1e300}, {**safe, "state": []}]
    for config in odd:
        assert "can&#39;t be used" not in page("en", config=config, supervision=[config])
    assert "line 8" not in page("en", config={**safe, "problems": "line 8"})


def test_the_page_says_that_a_box_is_overloaded_and_what_a_camera_of_two_streams_lacks_and_which_rests(
    site: Site,
) -> None:
    def page(language: str, cameras: dict[str, dict[str, Any]], client: Any = None) -> str:
        fields = {name: {"age_s": 0.2, "due_fps": 5.0, **told} for name, told in cameras.items()}
        site.store.edges.set_health("shanghai", "box1", {"cameras": fields}, NOON)
        client = client or site.client
        client.cookies.set("language", language)
        return str(client.get("/health").text)

    slow = {"behind": True, "analysed_fps": 1.6, "passed_over_fps": 0.5, "wait_s": 0.41}
    cameras = {f"cam{n}": slow for n in range(12)} | {f"cam{n}": {"behind": False} for n in range(12, 16)}
    assert "16 路摄像机中有 12 路，每秒只看得到 2.1 次，本应 5 次" in page("zh", cameras)
    said = page("en", cameras)
    assert "12 of 16 cameras are looked at 2.1 times a second instead of 5." in said and "0.41 s" in said
    # Who may see one camera isn't told how many there are.
    guard = site.somebody(Role.REVIEWER, ["shanghai/cam3"])
    assert "1 of 1 cameras" in page("en", cameras, guard)
    assert "overloaded" not in page("en", {"cam3": {**slow, "behind": False}})
    # Red is what is too little, not what it waited for; and the row of one box speaks of that one.
    row = re.search(r"<tr class=\"good\">.*?</tr>", page("en", {"cam3": slow}), re.S)
    assert row and re.findall(r'number bad" data-name="([^"]*)', row[0]) == ["analysed"]
    assert re.search(r'class="of-box"><td>([^<]*)', page("en", {"cam3": slow}))[1] == "The box itself"  # type: ignore[index]
    assert "another part" in page("en", {"cam3": {"lack": "small_differs"}})
    assert "Too few pictures" in page("en", {"cam3": {"lack": "sparse"}})
    assert "too far off" in page("en", {"cam3": {"lack": "far"}})
    assert "aspect: 16:9" in page("en", {"cam3": {"lack": "squeezed"}})
    assert "key frames only" in page("en", {"cam3": {"resting": True}}) and "只看关键帧" in page(
        "zh", {"cam3": {"resting": True}}
    )
    odd: list[Any] = [7, [], "no such lack", {"behind": True}, None, float("nan"), -1e300]
    for one in odd:
        strange = {
            "lack": one,
            "analysed_fps": one,
            "passed_over_fps": one,
            "wait_s": one,
            "due_fps": one,
            "behind": one,
            "resting": one,
        }
        said = page("en", {"cam3": strange})
        assert "overloaded" not in said and "key frames only" not in said
        assert page("en", {"cam3": {**strange, "behind": True}}).count("overloaded") == 1


def test_many_cameras_of_which_nothing_is_to_be_said_are_folded_into_one_line(site: Site) -> None:
    fields: dict[str, dict[str, Any]] = {f"cam{n}": {"age_s": 0.2, "analysed_fps": 5.0 - n / 10} for n in range(10)}
    fields |= {"cam7": {"age_s": 900.0}, "cam8": {"age_s": 0.2, "lack": "far"}, "cam9": {"age_s": 0.2, "behind": True}}
    site.client.cookies.set("language", "en")

    def page() -> str:
        site.store.edges.set_health("shanghai", "box1", {"cameras": fields}, NOON)
        return str(site.client.get("/health").text)

    shown, _, folded = page().partition('<details class="calm">')
    folded, _, after = folded.partition("</details>")
    assert re.findall(r"<strong>(cam\d)", shown) == ["cam7", "cam8", "cam9"]
    assert re.findall(r"<strong>(cam\d)", folded) == [f"cam{n}" for n in range(7)]
    assert "7 cameras fine" in folded and "at least 4.4 frames a second looked at" in folded and "<strong>" not in after
    # One that was away today is shown, and few are never folded.
    del fields["cam6"]
    assert 'class="calm"' not in page()


@pytest.mark.parametrize(
    ("box", "camera"),
    [
        ({}, {"behind": True, "analysed_fps": 1.6, "due_fps": 5.0}),
        ({}, {"lack": "sparse"}),
        ({"config": {"state": "last_good", "since": NOON - 3600}}, {}),
        ({"dropped": 3}, {}),
        ({"dropped_clips": 1}, {}),
        ({"dead": 1}, {}),
        ({"set_aside": 1}, {}),
    ],
)
def test_all_is_not_well_where_acts_may_be_missed_or_were_lost(
    site: Site, box: dict[str, Any], camera: dict[str, Any]
) -> None:
    def page(box: dict[str, Any], camera: dict[str, Any]) -> str:
        fields = {"cameras": {"cam3": {"age_s": 0.2, **camera}}, **box}
        site.store.edges.set_health("shanghai", "box1", fields, NOON)
        return str(site.client.get("/health").text)

    site.parts.health.begin()
    assert "一切正常" in page({}, {}) and "没有系统异常" in page({}, {})
    said = page(box, camera)
    assert "一切正常" not in said and "没有系统异常" not in said and "边缘设备在线 1/1，摄像机有画面 1/1" in said


def test_all_is_not_well_while_an_alarm_or_a_gap_lasts(site: Site) -> None:
    site.parts.health.begin()
    told(site, cam3=1.0)
    assert "一切正常" in site.client.get("/health").text
    site.parts.alarms.judge([Sign("certificate", facts={"to": NOON})], NOON)
    assert "一切正常" not in site.client.get("/health").text
    site.parts.alarms.judge([], NOON + 30)
    site.parts.alarms.judge([], NOON + 120)
    assert "一切正常" in site.client.get("/health").text
    site.parts.health.status("shanghai", "box1", "offline", NOON)  # noted before the edge is known to be gone
    assert "一切正常" not in site.client.get("/health").text


@pytest.mark.parametrize(
    ("kind", "field"),
    [("dropped", "dropped"), ("dropped_clips", "dropped_clips"), ("dead", "dead"), ("edge_store", "set_aside")],
)
def test_what_was_lost_and_acknowledged_is_history_until_more_is_lost(site: Site, kind: str, field: str) -> None:
    alarms = site.parts.alarms

    def page(count: int, at: float, language: str = "zh") -> str:
        fields = {"cameras": {"cam3": {"age_s": 0.2}}, field: count}
        site.store.edges.set_health("shanghai", "box1", fields, NOON)
        alarms.judge([Sign(kind, "shanghai", "box1", count=count)], at)
        site.client.cookies.set("language", language)
        return str(site.client.get("/health").text)

    site.parts.health.begin()
    assert "一切正常" not in page(3, NOON)
    (alarm,) = alarms.open()
    assert site.client.post(f"/alarms/{alarm.number}/acknowledge").status_code == 303
    said = page(3, NOON + 1)
    assert "一切正常" in said and "<dd>3 <small>11-01 12:00 由 owner 确认，之后没有新增" in said
    assert '<div class="bad">' not in said.partition('class="figures"')[2].partition("</dl>")[0]
    assert "All is well" in (said := page(3, NOON + 2, "en")) and "acknowledged 11-01 12:00 by owner" in said
    assert "一切正常" not in page(4, NOON + 3)  # more than was acknowledged
    (alarm,) = alarms.open()
    site.client.post(f"/alarms/{alarm.number}/acknowledge")
    assert "一切正常" in page(4, NOON + 4)
    assert "一切正常" not in page(1, NOON + 5)  # another store counts anew


def test_a_loss_that_no_alarm_tells_of_yet_is_no_history(site: Site) -> None:
    site.parts.health.begin()
    site.store.edges.set_health("shanghai", "box1", {"cameras": {"cam3": {"age_s": 0.2}}, "dropped": 2}, NOON)
    assert "一切正常" not in site.client.get("/health").text


def test_the_page_tells_of_a_cut_in_words_with_what_came_late(site: Site) -> None:
    health = site.app.app.state.parts.health  # type: ignore[attr-defined]
    health.begin()
    told(site, cam3=1.0)
    health.status("shanghai", "box1", "offline", NOON)
    site.store.edges.set_status("shanghai", "box1", "offline", NOON)
    site.store.add_alerts([make_envelope(1, started_at_unix=NOON + 60)], NOON + 2220)
    site.clock.at = NOON + 2220
    page = site.client.get("/health").text.replace("\u00a0", " ")
    feed = site.client.get("/").text.replace("\u00a0", " ")
    assert "12:00–至今" in feed and "断开 37 分钟，1 条告警迟到" in feed
    assert "12:00–至今" in page and "边缘设备 shanghai / box1 断开 37 分钟，1 条告警迟到" in page
    health.status("shanghai", "box1", "online", NOON + 2220)
    site.store.edges.set_status("shanghai", "box1", "online", NOON + 2220)
    told(site, cam3=1.0)
    page = site.client.get("/health").text.replace("\u00a0", " ")
    assert "12:00–12:37" in page and "过去 24 小时中断 1 次，迟到告警 1 条" in page
    site.client.cookies.set("language", "en")
    assert "was cut off for 37 min, 1 alert came late" in site.client.get("/health").text.replace("\u00a0", " ")


def test_every_day_is_listed_once_where_clocks_were_changed(tmp_path: Path) -> None:
    site = Site(tmp_path, timezone="Europe/Berlin", language="en")
    evening = datetime(2026, 10, 28, 23, 30, tzinfo=ZoneInfo("Europe/Berlin")).timestamp()
    site.clock.at = evening - 30 * 86400
    site.parts.health.begin()
    site.clock.at = evening
    days = re.findall(r"<h3>([^<]*)", site.somebody(Role.OWNER).get("/health").text)
    assert [re.findall(r"[0-9]+ Oct", day) for day in days] == [[f"{28 - n} Oct"] for n in range(7)]


def test_a_gap_says_in_which_of_two_hours_it_was(tmp_path: Path) -> None:
    site = Site(tmp_path, timezone="Europe/Berlin", language="en")
    twice = datetime(2026, 10, 25, 2, 30, tzinfo=ZoneInfo("Europe/Berlin")).timestamp()
    site.clock.at = twice
    health = site.app.app.state.parts.health  # type: ignore[attr-defined]
    health.begin()
    health.status("shanghai", "box1", "offline", twice)
    site.clock.at += 2400
    health.status("shanghai", "box1", "online", site.clock.at)
    site.clock.at = twice + 1800 + 6 * 3600 + 3600
    page = site.somebody(Role.OWNER).get("/health").text
    assert "02:30 CEST–02:10 CET" in page and "02:30–" not in page


def test_nobody_goes_on_missing_a_box_that_was_shut_out(site: Site) -> None:
    health = site.app.app.state.parts.health  # type: ignore[attr-defined]
    health.begin()
    told(site, cam3=1.0, cam4=900.0)
    health.status("shanghai", "box1", "offline", NOON)
    site.store.edges.set_status("shanghai", "box1", "offline", NOON)
    site.clock.at = NOON + 2220
    assert "断开" in site.client.get("/").text
    assert site.client.post("/edges/shanghai/box1/revoke").status_code == 303
    site.clock.at += 86400
    assert "断开" not in site.client.get("/").text
    assert {gap.ended_at for gap in health.gaps.within(NOON - 3600, NOON + 90000)} == {NOON + 2220}


def test_cameras_of_a_box_that_was_shut_out_are_looked_for_no_more(site: Site) -> None:
    told(site, cam3=900.0)
    assert "1 台摄像机没有画面" in site.client.get("/").text
    assert "cam3" in site.client.get("/cameras").text and "摄像机有画面 0/1" in site.client.get("/health").text
    assert site.client.post("/edges/shanghai/box1/revoke").status_code == 303
    pages = {path: site.client.get(path).text for path in ("/", "/day", "/cameras")}
    assert [path for path, page in pages.items() if "没有画面" in page or "cam3" in page] == []
    assert "还没有边缘设备接入" in site.client.get("/health").text
    assert "cam3" in site.client.get("/cameras/shanghai/box1/cam3/orientation").text  # what was seen stays


def test_time_without_a_watch_is_counted_once_where_gaps_overlap(site: Site) -> None:
    health = site.app.app.state.parts.health  # type: ignore[attr-defined]
    health.begin()
    told(site, cam3=1.0)
    site.clock.at = NOON + 600
    told(site, cam3=600.0)
    health.status("shanghai", "box1", "offline", NOON + 600)
    site.clock.at = NOON + 3000
    page = site.client.get("/health").text.replace("\u00a0", " ")
    assert "过去 24 小时中断 2 次，共 50 分钟" in page


def test_the_page_keeps_to_the_scope(site: Site) -> None:
    health = site.app.app.state.parts.health  # type: ignore[attr-defined]
    health.begin()
    told(site, cam3=1.0, cam4=900.0)
    site.store.add_refusal("labelwatch/shanghai/box1/alerts", "forged", NOON)
    assert "cam4" in site.client.get("/health").text
    guard = site.somebody(Role.REVIEWER, ["shanghai/cam3"]).get("/health").text
    assert "cam3" in guard and "cam4" not in guard and "没有画面" not in guard
    other = site.somebody(Role.VIEWER, ["suzhou"], "other").get("/health").text
    assert "box1" not in other and "还没有边缘设备接入" in other


def test_what_a_box_says_in_its_own_words_is_for_who_sees_all_of_its_site(site: Site) -> None:
    wrong = {"state": "last_good", "since": NOON, "problems": ["cameras[3].source: cam4 has no such file"]}
    own = {"restarts": 2, "restarted_for": "camera cam4 is stuck"}
    fields = {"cameras": {"cam3": {"age_s": 1.0}}, "config": wrong, "supervision": own}
    site.store.edges.set_health("shanghai", "box1", fields, site.clock.now())
    for n, scope in enumerate((None, ["shanghai"], ["shanghai/cam3", "shanghai"])):
        page = site.somebody(Role.VIEWER, scope, f"whole{n}").get("/health").text
        assert "cam4 has no such file" in page and "camera cam4 is stuck" in page
    part = site.somebody(Role.VIEWER, ["shanghai/cam3"], "part").get("/health").text
    assert "cam3" in part and "cam4" not in part
    assert "配置文件有误" in part and "能看该站点全部摄像机的人" in part


@pytest.mark.parametrize("health", [{"cameras": 5, "model": [], "clock": 1, "disk_free": "?"}, {"uptime_s": -1}])
def test_odd_reports_break_no_health_page(site: Site, health: dict[str, Any]) -> None:
    site.store.edges.set_health("shanghai", "box1", health, NOON)
    assert site.client.get("/health").status_code == site.client.get("/health/part").status_code == 200


@pytest.mark.parametrize("page", ["/cameras", "/health"])
def test_a_box_that_tells_of_very_many_cameras_makes_no_page_long(site: Site, page: str) -> None:
    site.store.edges.set_health("shanghai", "box1", {"cameras": {f"cam{n}": {} for n in range(3000)}}, site.clock.now())
    assert len(site.client.get(page).text) < 1_000_000


# Probes


def test_probes_say_what_is_wrong(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    stranger = site.visitor()
    assert stranger.get("/healthz").json() == {"ok": True}
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage(10**12, 0, 10**12))
    ready = stranger.get("/readyz")
    assert (ready.status_code, ready.json()) == (200, {"ready": True, "database": True, "disk": True, "broker": True})
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage(10**12, 10**12, 0))
    ready = stranger.get("/readyz")
    assert ready.status_code == 503 and ready.json()["disk"] is False and ready.json()["database"] is True
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage(10**12, 0, 10**12))
    with site.store.database.writing() as connection:
        connection.exec_driver_sql("ALTER TABLE watched RENAME TO gone")
    site.clock.at += 5
    ready = stranger.get("/readyz")
    assert ready.status_code == 503 and ready.json()["database"] is False


def test_when_a_box_could_not_be_heard_is_what_the_hub_has_on_record_of_it(store: Store) -> None:
    EdgeKeys(store.database).trust("shanghai", "box1", "its key", NOON)
    spans = [
        ("edge", "box1", 1000.0, 2000.0), ("hub", "", 3000.0, 4000.0), ("edge", "box2", 5000.0, 6000.0),
        ("camera", "box1", 5000.0, 6000.0), ("edge", "box1", 7000.0, None),
    ]  # fmt: skip
    rows = [
        {"what": what, "site": "shanghai" if edge else "", "edge": edge, "camera": "cam3" if what == "camera" else "",
         "began_at": NOON + began, "ended_at": None if ended is None else NOON + ended}
        for what, edge, began, ended in spans
    ]  # fmt: skip
    with store.database.writing() as connection:
        connection.execute(gaps.insert(), rows)
    unheard = Gaps(store.database, SteppedClock(NOON + 8000)).unheard("shanghai", "box1", NOON + 500)
    times = (-5000, 500, 1500, 2500, 3500, 5500, 7500, 9000)
    assert [at for at in times if unheard.holds(NOON + at)] == [-5000, 1500, 3500, 7500]


def test_gaps_have_a_length_while_they_last() -> None:
    gap = Gap(1, "edge", "s", "e", "", NOON, None)
    assert gap.lasted_s(NOON + 5) == 5 and gap.lasted_s(NOON - 5) == 0
