"""Who is told at once and who later: the first of a shift alert, what exceeds its budget waits in the digest."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator
from datetime import date, datetime
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import update

from detector import wire
from detector.config import Calendar, HubConfig, Shift
from detector.hub.edges.keys import EdgeKeys
from detector.hub.storage.budget import ALERT, DIGEST, Budget, budget_of
from detector.hub.storage.rights import Role
from detector.hub.storage.schema import edge_keys
from detector.hub.storage.store import Store
from detector.hub.storage.stored import Digested
from detector.hub.storage.wanted import Wanted
from detector.shifts import Shifts
from tests.hub.conftest import make_envelope, make_older, sqlite_url

Build = Callable[..., dict[str, Any]]
NOON = 1_793_505_600.0  # 2026-11-01 12:00 in Shanghai
DAY_AND_NIGHT = Calendar(
    shifts=[Shift(name="day", begins="08:00", ends="20:00"), Shift(name="night", begins="20:00", ends="08:00")],
    closed=[date(2026, 11, 3)],
)
WORDS = st.sampled_from(["info", "warning", "critical", "unheard_of"])


def at(text: str) -> float:
    """Unix seconds of a time in Shanghai."""
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo("Asia/Shanghai")).timestamp()


@pytest.mark.parametrize(
    ("severity", "spent", "before", "lane"),
    [
        ("warning", 0, None, ALERT),
        ("warning", 1, None, ALERT),
        ("warning", 2, None, DIGEST),
        ("unheard_of", 1, None, ALERT),
        ("unheard_of", 2, None, DIGEST),
        ("critical", 99, None, ALERT),
        ("info", 0, None, DIGEST),
        ("warning", 1, ("info", DIGEST), ALERT),
        ("warning", 2, ("info", DIGEST), DIGEST),
        ("warning", 0, ("warning", DIGEST), DIGEST),
        ("critical", 99, ("warning", DIGEST), ALERT),
        ("info", 99, ("warning", ALERT), ALERT),
    ],
)
def test_the_lane_of_an_incident(severity: str, spent: int, before: tuple[str, str] | None, lane: str) -> None:
    assert Budget(2).lane(severity, spent, before) == lane


@given(st.lists(WORDS, max_size=60), st.integers(1, 12))
def test_no_shift_has_more_alerts_than_its_budget_but_for_critical_ones(severities: list[str], limit: int) -> None:
    budget, spent, over = Budget(limit), 0, 0
    for severity in severities:
        if budget.lane(severity, spent) == ALERT:
            over += spent >= limit and severity != "critical"
            spent += 1
    assert over == 0
    assert spent <= max(limit, severities.count("critical") + limit)


@pytest.mark.parametrize(
    ("when", "shift"),
    [
        ("2026-11-01T12:00", "2026-11-01 day"),
        ("2026-11-01T20:00", "2026-11-01 night"),
        ("2026-11-02T07:59", "2026-11-01 night"),
        ("2026-11-02T08:00", "2026-11-02 day"),
        ("2026-11-03T00:10", "2026-11-03"),
        ("2026-11-03T12:00", "2026-11-03"),
    ],
)
def test_a_shift_past_midnight_has_one_budget_and_a_closed_day_one_of_its_own(when: str, shift: str) -> None:
    assert Budget(12, Shifts(DAY_AND_NIGHT, "Asia/Shanghai")).shift(at(when)) == shift


def test_without_shifts_the_day_has_the_budget() -> None:
    budget = budget_of(HubConfig(alerts_per_shift=3))
    assert (budget.limit, budget.shift(NOON)) == (3, "2026-11-01")


@pytest.fixture
def few(store: Store) -> Iterator[Store]:
    """A store that takes two alerts a shift."""
    store.intake.budget = Budget(2, Shifts(DAY_AND_NIGHT, "Asia/Shanghai"))
    yield store


def lanes(store: Store) -> dict[str, str]:
    return {incident.id: incident.told for incident in store.feed(limit=1000)}


def test_what_exceeds_the_budget_goes_to_the_digest_and_none_is_lost(few: Store, envelope: Build) -> None:
    for n in range(1, 6):
        few.add_alerts([envelope(n, incident=f"i{n}", severity="warning", started_at_unix=NOON + n)], NOON)
    few.add_alerts([envelope(6, incident="i6", severity="critical", started_at_unix=NOON + 6)], NOON)
    few.add_alerts([envelope(7, incident="i7", severity="info", started_at_unix=NOON + 7)], NOON)
    alerts, digest = (few.feed(wanted=Wanted(lane)) for lane in (ALERT, DIGEST))
    assert [incident.id for incident in alerts] == ["i6", "i2", "i1"]
    assert [incident.id for incident in digest] == ["i7", "i5", "i4", "i3"]
    assert few.alerts_in("2026-11-01 day") == 3
    evening = NOON + 9 * 3600
    few.add_alerts([envelope(8, incident="i8", severity="warning", started_at_unix=evening)], evening)
    assert lanes(few)["i8"] == ALERT


def let_in(store: Store, *boxes: str) -> None:
    for box in boxes:
        EdgeKeys(store.database).trust("shanghai", box, wire.public_key_text(Ed25519PrivateKey.generate()), NOON)


def warnings(store: Store, edge: str, count: int, severity: str = "warning") -> list[str]:
    """Lanes of so many incidents that a box tells one after another."""
    names = [f"{edge}-{severity}-{n}" for n in range(count)]
    for n, name in enumerate(names):
        fields = make_envelope(n + 1, edge=edge, epoch=severity, incident=name, severity=severity)
        store.add_alerts([fields], NOON)
    return [lanes(store)[name] for name in names]


@pytest.mark.parametrize("flood", ["warning", "critical"])
def test_a_box_that_tells_too_much_takes_no_other_boxes_place(store: Store, flood: str) -> None:
    store.intake.budget = Budget(4)
    let_in(store, "box1", "box2", "box3")
    warnings(store, "box1", 9, flood)
    for box in ("box2", "box3"):
        assert warnings(store, box, 4) == [ALERT, ALERT, DIGEST, DIGEST], "its share of 4, by three boxes, rounded up"
    assert warnings(store, "box1", 1, "info") == [DIGEST]


def test_a_box_has_the_whole_budget_while_others_are_quiet(store: Store) -> None:
    store.intake.budget = Budget(4)
    let_in(store, "box1", "box2")
    assert warnings(store, "box1", 5) == [ALERT] * 4 + [DIGEST]


def test_a_box_that_was_shut_out_has_no_share(store: Store) -> None:
    store.intake.budget = Budget(4)
    let_in(store, "box1", "box2", "box3", "box4")
    warnings(store, "box1", 4)
    with store.database.writing() as connection:
        connection.execute(update(edge_keys).where(edge_keys.c.edge.in_(("box3", "box4"))).values(state="revoked"))
    assert warnings(store, "box2", 3) == [ALERT, ALERT, DIGEST]


def test_who_sees_one_site_is_not_told_how_many_alerts_there_were_in_all(site: Any, envelope: Build) -> None:
    site.store.add_alerts([envelope(1, incident="elsewhere", site="suzhou", edge="box9")], NOON)
    assert "本班告警 1/" in site.client.get("/").text
    assert "本班告警" not in site.somebody(Role.VIEWER, ["shanghai"]).get("/").text


def test_growing_worse_promotes_and_nothing_is_taken_back(few: Store, envelope: Build) -> None:
    few.add_alerts([envelope(1, incident="a", severity="info")], NOON)
    assert lanes(few) == {"a": DIGEST}
    few.add_alerts([envelope(2, incident="a", severity="warning", phase="update")], NOON)
    assert lanes(few) == {"a": ALERT} and few.alerts_in("2026-11-01 day") == 1
    few.add_alerts([envelope(n, incident=f"b{n}", severity="warning") for n in (3, 4)], NOON)
    assert lanes(few) == {"a": ALERT, "b3": ALERT, "b4": DIGEST}
    few.add_alerts([envelope(5, incident="b4", severity="critical", phase="update")], NOON)
    few.add_alerts([envelope(6, incident="a", severity="info", phase="end")], NOON)
    assert lanes(few) == {"a": ALERT, "b3": ALERT, "b4": ALERT}
    assert few.alerts_in("2026-11-01 day") == 3


def test_an_update_keeps_to_the_shift_that_the_incident_began_in(few: Store, envelope: Build) -> None:
    few.add_alerts([envelope(1, incident="a", severity="warning", started_at_unix=at("2026-11-01T19:59"))], NOON)
    few.add_alerts([envelope(2, incident="a", severity="critical", started_at_unix=at("2026-11-01T20:30"))], NOON)
    assert (few.alerts_in("2026-11-01 day"), few.alerts_in("2026-11-01 night")) == (1, 0)


def test_doubles_and_late_ones_spend_nothing(few: Store, envelope: Build) -> None:
    first = envelope(5, incident="a", severity="warning")
    few.add_alerts([first, first], NOON)
    few.add_alerts([first, envelope(4, incident="a", severity="critical")], NOON)
    assert few.alerts_in("2026-11-01 day") == 1


def test_an_alert_that_grows_in_one_batch_takes_one_place(few: Store, envelope: Build) -> None:
    grown = [envelope(n, incident="a", severity="warning") for n in (1, 2, 3)]
    few.add_alerts([*grown, envelope(4, incident="b", severity="warning")], NOON)
    assert lanes(few) == {"a": ALERT, "b": ALERT}


@settings(deadline=None, max_examples=15)
@given(
    steps=st.lists(st.tuples(st.integers(0, 5), WORDS), min_size=1, max_size=25),
    cuts=st.lists(st.integers(1, 24), max_size=6),
)
def test_it_makes_no_difference_how_messages_are_batched(steps: list[tuple[int, str]], cuts: list[int]) -> None:
    messages = [make_envelope(n + 1, incident=f"i{i}", severity=s) for n, (i, s) in enumerate(steps)]
    edges = sorted({0, len(messages), *(cut for cut in cuts if cut < len(messages))})
    told = []
    for batches in ([[m] for m in messages], [messages[a:b] for a, b in pairwise(edges)]):
        with TemporaryDirectory() as folder:
            store = Store(sqlite_url(Path(folder, "hub.sqlite")), Budget(2))
            for batch in batches:
                store.add_alerts(batch, NOON)
            told.append(lanes(store))
            store.close()
    assert told[0] == told[1]


def test_the_digest_counts_by_kind_and_zone(few: Store, envelope: Build) -> None:
    few.add_alerts(
        [
            envelope(1, incident="a", severity="info", kind="lingering"),
            envelope(2, incident="b", severity="info", kind="lingering"),
            envelope(3, incident="c", severity="info", kind="lingering", zone=None),
            envelope(4, incident="d", severity="info", kind="blind_corner", zone="gate"),
            envelope(5, incident="alert", severity="critical"),
            envelope(6, incident="before", severity="info", started_at_unix=NOON - 86400),
        ],
        NOON,
    )
    assert few.digest(NOON - 60, NOON + 60) == [
        Digested("lingering", "shanghai", "cam3", "bulk", 2, 2),
        Digested("blind_corner", "shanghai", "cam3", "gate", 1, 1),
        Digested("lingering", "shanghai", "cam3", None, 1, 1),
    ]
    found = few.feed(wanted=Wanted(DIGEST, NOON - 60, NOON + 60, kind="lingering", camera="cam3", zone=""))
    assert [incident.id for incident in found] == ["c"]


def test_the_digest_keeps_cameras_of_two_sites_apart_that_share_a_name(site: Any, envelope: Build) -> None:
    quiet = {"severity": "info", "kind": "lingering"}
    site.store.add_alerts([envelope(n, incident=f"here{n}", **quiet) for n in range(1, 4)], NOON)
    elsewhere = {"site": "suzhou", "edge": "box2", "camera_title": "苏州 3 号机", **quiet}
    site.store.add_alerts([envelope(9, incident="there", **elsewhere)], NOON)
    for place, title in ((("shanghai", "box1"), "东区 3 号机"), (("suzhou", "box2"), "苏州 3 号机")):
        site.store.edges.set_health(*place, {"cameras": [{"camera": "cam3", "title": title, "age_s": 0.4}]}, NOON)
    page = html.unescape(site.client.get("/digest").text)
    counts = dict(re.findall(r'<li><a href="(/digest\?[^"]*)">[^<]* <b>(\d+)</b>', page))
    assert sorted(counts.values()) == ["1", "3"]
    assert '<option value="cam3">东区 3 号机 / 苏州 3 号机</option>' in site.client.get("/review").text
    assert ">东区 3 号机 / 苏州 3 号机</option>" in site.client.get("/?camera=cam3").text
    for address, count in counts.items():
        assert site.client.get(address).text.count("<article") == int(count)


def test_the_feed_shows_alerts_and_how_much_of_the_budget_is_spent(site: Any, envelope: Build) -> None:
    site.store.intake.budget = Budget(12)
    site.store.add_alerts([envelope(n, incident=f"i{n}", severity="warning") for n in range(1, 6)], NOON)
    site.store.add_alerts([envelope(6, incident="note", severity="info")], NOON)
    page = site.client.get("/").text
    assert "本班告警 5/12 条" in page and 'id="card-i5"' in page and 'id="card-note"' not in page
    site.store.add_alerts([envelope(n, incident=f"i{n}", severity="warning") for n in range(7, 20)], NOON)
    assert "本班告警 12/12 条，其余进汇总" in site.client.get("/").text


def test_the_digest_says_how_much_of_it_exceeded_the_budget_and_leads_there(site: Any, envelope: Build) -> None:
    site.store.intake.budget = Budget(1)
    notes = [envelope(n, incident=f"note{n}", severity="info") for n in range(1, 4)]
    site.store.add_alerts([*notes, envelope(4, incident="alert", severity="warning")], NOON)
    assert "超出额度的" not in site.client.get("/digest").text
    over = [envelope(n, incident=f"over{n}", severity="warning") for n in range(5, 7)]
    earlier = envelope(7, incident="earlier", severity="warning", started_at_unix=NOON - 86400)
    site.store.add_alerts([*over, earlier, envelope(8, incident="worse", severity="critical")], NOON)
    (link, words), *others = re.findall(r'<a href="([^"]+)">([^<]*超出额度[^<]*)</a>', site.client.get("/digest").text)
    assert words == "其中超出额度的 2 起" and not others
    assert set(re.findall(r'id="card-(\w+)"', site.client.get(html.unescape(link)).text)) == {"over5", "over6"}


def test_an_empty_digest_says_nothing_of_alerts(site: Any, envelope: Build) -> None:
    cameras = {"cam3": {"age_s": 500, "reason": "refused"}}
    site.store.edges.set_health("shanghai", "box1", {"cameras": cameras}, site.clock.now())
    assert "没有告警，但" in site.client.get("/").text
    site.store.add_alerts([envelope(1)], NOON)
    for day in ("", "?day=2026-10-20"):
        page = site.client.get(f"/digest{day}").text
        assert "这一天没有进汇总的" in page and "没有告警" not in page


def test_the_digest_page_links_every_kind_and_zone_to_its_incidents(site: Any, envelope: Build) -> None:
    site.store.add_alerts(
        [
            envelope(1, incident="here", severity="info", kind="lingering", zone="bulk & more"),
            envelope(2, incident="nowhere", severity="info", kind="lingering", zone=None),
            envelope(3, incident="early", severity="info", kind="lingering", started_at_unix=NOON - 86400),
        ],
        NOON,
    )
    page = site.client.get("/digest").text
    assert set(re.findall(r'id="card-(\w+)"', page)) == {"here", "nowhere"}
    links = [html.unescape(link) for link in re.findall(r'href="(/digest\?day=[^"]+kind=[^"]+)"', page)]
    found = [re.findall(r'id="card-(\w+)"', site.client.get(link).text) for link in links]
    assert sorted(sorted(ids) for ids in found) == [["here"], ["here", "nowhere"], ["nowhere"]]
    assert 'id="card-early"' in site.client.get("/digest?day=2026-10-31").text
    for odd in ("nonsense", "9999-99-99", "2031-01-01", "0001-01-01"):
        assert 'id="card-here"' in site.client.get(f"/digest?day={odd}").text


def test_of_very_many_zones_the_digest_shows_those_with_the_most_and_opens_up_for_the_rest(
    site: Any, envelope: Build
) -> None:
    zones = [f"z{n:02}" for n in range(20)]
    told = [("z19", "again"), *((zone, zone) for zone in zones)]
    site.store.add_alerts(
        [envelope(n, incident=name, zone=zone, severity="info") for n, (zone, name) in enumerate(told, 1)], NOON
    )
    first, _, rest = site.client.get("/digest").text.partition("<details>\n        <summary>另有 8 处")
    assert rest and "z19 <b>2</b>" in first and "z10 <b>1</b>" in first and "z11 <b>1</b>" not in first
    assert all(f"{zone} <b>" in first + rest for zone in zones)
    # Whoever narrowed the list to one of the rest sees which.
    narrowed = site.client.get("/digest?kind=label_photography&site=shanghai&camera=cam3&zone=z18").text
    assert "<details open>\n        <summary>另有 8 处" in narrowed


def test_the_digest_counts_in_every_zone_what_was_in_several(site: Any, envelope: Build) -> None:
    def was_in(seq: int, incident: str, zone: str | None, *others: str) -> dict[str, Any]:
        return envelope(seq, incident=incident, zone=zone, facts={"other_zones": list(others)}, severity="info")

    site.store.add_alerts([was_in(1, "gone", "bulk"), was_in(2, "calm", "bulk"), was_in(3, "nowhere", None)], NOON)
    assert "各计一次" not in site.client.get("/digest").text
    site.store.add_alerts([was_in(4, "gone", "gate", "bulk"), was_in(5, "back", "bulk", "gate")], NOON)
    site.store.add_alerts([was_in(6, "back", "gate", "aisle", "bulk"), was_in(7, "late", "gate")], NOON)
    assert "各计一次" in site.client.get("/digest").text
    page = html.unescape(site.client.get("/digest").text)
    kinds = re.findall(r'class="kind" href="(/digest\?[^"]*)"><b>(\d+)</b>', page)
    zones = re.findall(r'<li><a href="(/digest\?[^"]*)">[^<]* <b>(\d+)</b>', page)
    assert [int(count) for _, count in kinds] == [5]
    assert {re.findall("zone=([^&]*)", address)[0]: int(count) for address, count in zones} == {
        "gate": 3, "bulk": 3, "aisle": 1, "-": 1,
    }  # fmt: skip
    for address, count in (*kinds, *zones):
        assert site.client.get(address).text.count("<article") == int(count)


def test_a_list_asks_for_its_own_cards_only(site: Any, envelope: Build) -> None:
    site.store.add_alerts([envelope(1, incident="a"), envelope(2, incident="b", severity="info")], NOON)
    assert site.client.get("/feed/live").text.count("<article") == 1
    assert 'id="card-b"' in site.client.get("/digest/live?day=2026-11-01").text
    assert "<article" not in site.client.get("/digest/live?day=2026-10-31").text


def test_incidents_of_before_lanes_get_theirs_when_the_hub_is_updated(tmp_path: Path, envelope: Build) -> None:
    store = Store(f"sqlite:///{tmp_path / 'hub.sqlite'}")
    old = [envelope(1, incident="a"), envelope(2, incident="b", severity="info", zone=None), envelope(3, incident="c")]
    store.add_alerts(old, NOON)
    make_older(store.database, "0001")
    store.close()
    again = Store(f"sqlite:///{tmp_path / 'hub.sqlite'}", Budget(2))
    assert lanes(again) == {"a": ALERT, "b": DIGEST, "c": ALERT}
    assert [(i.camera, i.zone, i.score) for i in again.incidents(["a", "b"])] == [
        ("cam3", None, 0.93),
        ("cam3", "bulk", 0.93),
    ]
    again.add_alerts([envelope(4, incident="d", severity="warning")], NOON)
    assert lanes(again)["d"] == ALERT
    again.close()
