"""The store keeps what edges say once, in their order, on either database."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import event, update

from detector import wire
from detector.config import HubConfig, RetentionConfig
from detector.errors import StoreError, WireError
from detector.hub.access.audit import Audit
from detector.hub.desk.crowding import gathered
from detector.hub.desk.overview import Overview
from detector.hub.desk.reviews import Reviews
from detector.hub.edges.keys import EdgeKeys
from detector.hub.footage.training_set import open_store
from detector.hub.storage.arrivals import MOST_ACTS
from detector.hub.storage.database import migrate, one_at_a_time
from detector.hub.storage.rights import Scope
from detector.hub.storage.schema import changes, incidents, metadata
from detector.hub.storage.store import Store
from detector.hub.storage.stored import Clip
from detector.hub.storage.wanted import Wanted
from detector.hub.upkeep.clock_ahead import bring_back
from detector.hub.upkeep.console import database_of
from detector.hub.upkeep.retention import Retention
from detector.values import DAY_S
from tests.hub.conftest import hold_folder, make_act, make_envelope, make_older, sweep_postgres

Build = Callable[..., dict[str, Any]]
NOON = 1_793_505_600.0
JPEG = b"\xff\xd8\xff\xe0 a picture"


def test_an_envelope_is_stored_once(store: Store, envelope: Build) -> None:
    first, second = envelope(1), envelope(2, incident="inc-2")
    assert store.add_alerts([first, first, second], NOON) == [first["id"], second["id"]]
    assert store.add_alerts([second, envelope(3)], NOON) == ["box1-0001-3"]
    assert store.add_alerts([first, second], NOON) == []
    assert len(store.feed()) == 2


CHANGING: dict[str, Callable[[Store], object]] = {
    "clip": lambda store: store.add_clip(Clip("inc-1", 1, "shanghai", "box1", "cam3", NOON, 8.0, 1, "a", "a", NOON)),
    "verdict": lambda store: store.verdicts.add("inc-1", "li", "true", "", NOON),
    "withdrawal": lambda store: store.verdicts.withdraw("inc-1", "li", NOON),
    "reason": lambda store: store.verdicts.set_reason("inc-1", 1, "li", "photo"),
    "note": lambda store: Reviews(store.database).add_note("inc-1", "li", "hm", NOON),
    "deletion": lambda store: Retention(
        store.database, Path("/nowhere"), RetentionConfig(warn_days=0), Audit(store.database)
    )._delete(["inc-1"], NOON + 400 * 86400, "space"),
}


@pytest.mark.parametrize("what", CHANGING)
def test_no_change_is_seen_before_one_of_a_lower_number(store: Store, envelope: Build, what: str) -> None:
    store.add_alerts([envelope(1)], NOON)
    store.verdicts.add("inc-1", "li", "false", "", NOON)
    seen = store.last_change()
    with store.database.writing() as slow:  # as alerts that come in
        one_at_a_time(slow)
        slow.execute(changes.insert(), {"incident": "slow"})
        quick = threading.Thread(target=CHANGING[what], args=(store,))
        quick.start()
        quick.join(1.0)
        told = store.changed_since(seen)
    quick.join(30.0)
    last = max((number for number, _ in told[0]), default=seen)
    assert "slow" in {incident for _, incident in store.changed_since(last)[0]}
    assert store.last_change() > seen + 1


def test_a_late_older_update_changes_nothing(store: Store, envelope: Build) -> None:
    store.add_alerts([envelope(3, severity="critical", phase="end")], NOON)
    store.add_alerts([envelope(2, severity="info", phase="update")], NOON)
    store.add_alerts([envelope(9, severity="info", epoch="of-before", sent_at_unix=NOON)], NOON)
    assert (found := store.incident("inc-1")) and found.severity == "critical" and found.phase == "end"
    store.add_alerts([envelope(1, severity="warning", epoch="anew", sent_at_unix=NOON + 60)], NOON)
    assert (found := store.incident("inc-1")) and found.severity == "warning"


def test_updates_in_one_batch_end_with_the_newest(store: Store, envelope: Build) -> None:
    store.add_alerts([envelope(n, score=n / 10) for n in (2, 4, 1, 3)], NOON)
    assert (found := store.incident("inc-1")) and found.record["score"] == 0.4


def test_an_edge_cannot_change_anothers_incident(store: Store, envelope: Build) -> None:
    store.add_alerts([envelope(1)], NOON)
    with pytest.raises(WireError):
        store.add_alerts([envelope(9, edge="box2", severity="info")], NOON)
    assert (found := store.incident("inc-1")) and (found.edge, found.severity) == ("box1", "critical")


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("thief", ["box0", "box9"])
def test_what_another_edge_told_by_the_same_id_does_not_pass_for_an_alert(
    store: Store, envelope: Build, thief: str, together: bool
) -> None:
    false = {**envelope(1, edge=thief, incident="inc-2"), "id": "box1-0001-1"}
    batches = [[false, envelope(1)]] if together else [[false], [envelope(1)]]
    with pytest.raises(WireError):
        for batch in batches:
            store.add_alerts(batch, NOON)
    assert store.incident("inc-1") is None


def test_the_newest_picture_is_shown(store: Store, envelope: Build) -> None:
    store.add_alerts([envelope(5, snapshot=JPEG + b"5")], NOON)
    store.add_alerts([envelope(2, snapshot=JPEG + b"2"), envelope(6)], NOON)
    assert store.snapshot("inc-1") == JPEG + b"5"
    assert (found := store.incident("inc-1")) and found.snapshot == 1
    store.add_alerts([envelope(7, snapshot="bm90IGEgcGljdHVyZQ==")], NOON)
    assert store.snapshot("inc-1") == JPEG + b"5"
    assert store.snapshot("inc-2") is None


def test_a_stored_envelope_still_bears_its_signature(store: Store, envelope: Build) -> None:
    key = Ed25519PrivateKey.generate()
    fields = wire.signed({k: v for k, v in envelope(1, snapshot=JPEG).items() if k != "signature"}, key)
    store.add_alerts([fields], NOON)
    wire.verify(store.envelopes("inc-1")[0], wire.public_key_text(key))


def test_numbers_that_a_mad_box_makes_up_keep_no_other_from_being_heard(store: Store, envelope: Build) -> None:
    store.edges.set_status("shanghai", "box1", "online", NOON)
    for epoch in ("one", "two", "three"):
        store.add_alerts([envelope(seq, epoch=epoch) for seq in (0, 2**62)], NOON)
        words = {name: envelope(2, epoch=epoch)[name] for name in ("id", "seq", "site", "edge", "epoch")}
        store.add_alerts([{**words, "dropped": [[1, 2**53 - 1, "age"]]}], NOON)
    (found,) = store.edges.all()
    assert (found.missing, found.dropped) == (2**53, 2**53), "no more than every reader of JSON counts"


def test_gaps_are_counted_until_they_are_filled(store: Store, envelope: Build) -> None:
    def missing() -> list[int]:
        return [edge.missing for edge in store.edges.all()]

    store.edges.set_status("shanghai", "box1", "online", NOON)
    assert missing() == [0]
    store.add_alerts([envelope(1), envelope(2), envelope(6)], NOON)
    assert missing() == [3]
    store.add_alerts([envelope(2), envelope(4), envelope(1, epoch="0002")], NOON)
    assert missing() == [2]
    store.add_alerts([envelope(3), envelope(5)], NOON)
    assert missing() == [0]


@pytest.mark.parametrize(
    "broken",
    [
        {"started_at_unix": float("inf")},
        {"started_at_unix": 1e15},
        {"labels_exposed": {"low": -1}},
        {"labels_exposed": {"low": 2**40}},
        {"id": "nul\0"},
        {"id": ""},
        {"kind": "\ud800"},
    ],
)
def test_what_no_database_takes_is_refused_whole(store: Store, broken: dict[str, Any], envelope: Build) -> None:
    bad = envelope(1)
    bad["after"] |= broken
    with pytest.raises(WireError):
        store.add_alerts([envelope(2, incident="fine"), bad], NOON)
    with pytest.raises(WireError):
        store.add_alerts([envelope(2**70)], NOON)
    assert store.feed() == []


YEARS = 10 * 365 * 86400.0


@pytest.mark.parametrize(
    ("dated", "ahead_s"),
    [
        pytest.param({"started_at_unix": NOON + YEARS, "sent_at_unix": NOON + 1}, YEARS - 2, id="a lie"),
        pytest.param({"started_at_unix": NOON + 3600}, 3599, id="a clock that is wrong"),
        pytest.param({"ended_at_unix": NOON + YEARS}, 0, id="an end in years"),
        pytest.param({"started_at_unix": NOON + 290, "sent_at_unix": NOON + 290}, 0, id="a clock that is nearly right"),
    ],
)
def test_what_a_box_dates_ahead_stands_among_what_came_when_it_did(
    store: Store, envelope: Build, dated: dict[str, float], ahead_s: float
) -> None:
    told = envelope(1, incident="ahead", **dated)
    store.add_alerts([told], NOON + 2)
    store.add_alerts([envelope(1, incident="later", edge="box2", started_at_unix=NOON + 300)], NOON + 301)
    assert [incident.id for incident in store.feed()] == ["later", "ahead"]
    (found,) = store.incidents(["ahead"])
    assert found.ahead_s == ahead_s and found.record == told["after"]
    assert NOON - 1 <= found.started_at <= found.ended_at <= NOON + 2 + 300 + 40
    assert store.envelopes("ahead")[0]["after"] == told["after"], "as it was signed"


def test_what_a_box_saw_before_its_clock_was_set_stands_where_the_hub_heard_of_it(
    store: Store, envelope: Build
) -> None:
    early = {"started_at_unix": 3600.0, "ended_at_unix": 3640.0}
    told = envelope(1, incident="unset", sent_at_unix=NOON, **early)  # sent on once it was set
    old = envelope(2, incident="old footage", sent_at_unix=NOON, **early)
    old["after"]["replay"] = True
    store.add_alerts([told, old, envelope(3, incident="before", started_at_unix=NOON - 300)], NOON + 2)
    assert [incident.id for incident in store.feed()] == ["unset", "before", "old footage"]
    (found,) = store.incidents(["unset"])
    assert (found.started_at, found.ended_at, found.ahead_s) == (NOON + 2 - 40, NOON + 2, 3640.0 - NOON - 2)
    assert found.record == told["after"]


def test_what_a_box_dated_ahead_before_an_update_stands_where_the_hub_heard_of_it_from_the_next_start_on(
    store: Store, envelope: Build
) -> None:
    years = 10 * 365 * DAY_S
    told = [envelope(1, incident="ahead", started_at_unix=NOON + years), envelope(2, incident="known")]
    store.add_alerts(told, NOON + 2)
    store.add_alerts([envelope(1, incident="later", edge="box2", started_at_unix=NOON + 600)], NOON + 601)
    as_before = update(incidents).where(incidents.c.id == "ahead")
    with store.database.writing() as connection:  # as hubs stored it that took boxes at their word
        connection.execute(as_before.values(started_at=NOON + years, ended_at=NOON + years + 40))
    assert store.feed()[0].id == "ahead"
    last = store.last_change()
    bring_back(store.database, NOON - years)  # its own clock may be behind: what the hub heard later counts
    bring_back(store.database, NOON + 3600)
    assert store.feed()[0].id == "later"
    (found,) = store.incidents(["ahead"])
    assert NOON <= found.started_at <= NOON + 302 and found.ended_at <= NOON + 302
    assert found.record == told[0]["after"] and [name for _, name in store.changed_since(last)[0]] == ["ahead"]


def test_what_a_box_under_a_wrong_clock_goes_on_telling_stays_where_it_began(store: Store, envelope: Build) -> None:
    for seq, after_s in enumerate((1, 700, 4000), 1):
        started_at, heard_at = NOON + 3600, NOON + after_s
        told = {"started_at_unix": started_at, "ended_at_unix": started_at + after_s, "sent_at_unix": 3600 + heard_at}
        store.add_alerts([envelope(seq, **told)], heard_at)
        (found,) = store.feed()
        assert (found.started_at, found.ended_at, found.ahead_s) == (NOON, heard_at, 3600)


def test_of_an_hour_of_many_acts_lists_hold_some_and_the_envelope_all(store: Store, envelope: Build) -> None:
    acts = [make_act(NOON + n, kind="scan" if n % 4 else "photo") for n in range(1200)]
    store.add_alerts([envelope(1, acts=acts)], NOON + 1300)
    (found,) = store.feed()
    kept, left_out = found.record["acts"], found.record["acts_left_out"]
    assert len(kept) == MOST_ACTS and left_out == 1200 - MOST_ACTS
    assert kept == [act for act in acts if act["kind"] == "photo"][:MOST_ACTS]
    assert store.envelopes("inc-1")[0]["after"]["acts"] == acts


@pytest.mark.parametrize(
    "told",
    [
        {"facts": {"other_zones": ["z" * 1000] * 200}},
        {"acts": [{**make_act(NOON), "why": "z" * 200_000}]},
        {"clips": [{"segment": n, "sha256": "0" * 64} for n in range(3000)]},
    ],
)
def test_what_is_more_than_any_edge_has_to_tell_is_refused(store: Store, envelope: Build, told: dict[str, Any]) -> None:
    with pytest.raises(WireError, match="more than an edge has to tell"):
        store.add_alerts([envelope(1, **told)], NOON)
    assert store.feed() == []


def test_a_box_that_makes_names_up_fills_no_filters(
    store: Store, envelope: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("detector.hub.storage.intake.MOST_PLACES", 60)
    store.add_alerts([envelope(1, incident="elsewhere", site="suzhou", edge="box2")], NOON)
    for n in range(4):
        zones = [f"{n} zone {k}" for k in range(1000)]
        store.add_alerts([envelope(n + 1, incident=f"i{n}", facts={"other_zones": zones})], NOON)
    offered = Counter(place.site for place in Overview(store.database).places())
    assert offered == {"shanghai": 60, "suzhou": 1}
    assert len(store.feed()) == 5


def test_the_fullest_picture_that_an_edge_tells_of_is_taken(store: Store, envelope: Build) -> None:
    boxes = [{"what": "label", "box": [0.1234, 0.1234, 0.1234, 0.1234]}] * 900
    acts = [make_act(NOON + n, track=n) for n in range(4000)]
    store.add_alerts([envelope(1, acts=acts, boxes=boxes, tracks=list(range(4000)))], NOON + 4000)
    assert len(store.feed()) == 1


def test_the_feed_pages_without_gap_or_repeat(store: Store, envelope: Build) -> None:
    store.add_alerts([envelope(n, incident=f"inc-{n}", started_at_unix=NOON + n // 3) for n in range(1, 25)], NOON)
    seen: list[str] = []
    cursor = None
    while page := store.feed(cursor, limit=7):
        seen += [incident.id for incident in page]
        cursor = page[-1].cursor
    assert len(seen) == len(set(seen)) == 24
    times = [store.incidents([i])[0].started_at for i in seen]
    assert times == sorted(times, reverse=True)
    assert (newer := store.newer(store.incidents([seen[3]])[0].cursor)) and newer.id == seen[2]
    assert store.newer(store.incidents([seen[0]])[0].cursor) is None


def test_a_span_holds_its_beginning_and_not_its_end(store: Store, envelope: Build) -> None:
    store.add_alerts([envelope(n + 1, incident=f"i{n}", started_at_unix=NOON + n) for n in range(4)], NOON)
    assert [one.id for one in store.feed(wanted=Wanted(since=NOON + 1, until=NOON + 3))] == ["i2", "i1"]


def test_totals_leave_out_what_was_cleared(store: Store, envelope: Build) -> None:
    store.add_alerts(
        [
            envelope(1, incident="a"),
            envelope(2, incident="b", labels_exposed={"low": 20, "best": 25, "high": 30}),
            envelope(3, incident="c", severity="info", labels_exposed={"low": 0, "best": 0, "high": 0}),
            envelope(4, incident="yesterday", started_at_unix=NOON - 86400),
        ],
        NOON,
    )
    totals = store.totals(NOON - 60, NOON + 60)
    assert (totals.alerts, totals.digest, totals.labels_low, totals.labels_high) == (2, 1, 23, 36)
    store.verdicts.add("b", "owner", "false", "", NOON)
    totals = store.totals(NOON - 60, NOON + 60)
    assert (totals.alerts, totals.labels_low, totals.labels_high) == (1, 3, 6)
    assert store.by_hour(NOON - 3600, NOON + 3600, lambda at: str(at >= NOON)) == {"True": {"critical": 1}}


IN_DOUBT: list[dict[str, Any]] = [{"severity": "info"}, {"facts": {"photos": 2, "unsure": True}}]


@pytest.mark.parametrize("doubt", IN_DOUBT, ids=["a note", "a warning for what else was seen"])
def test_labels_of_what_is_in_doubt_count_once_it_is_judged_true(
    store: Store, envelope: Build, doubt: dict[str, Any]
) -> None:
    store.add_alerts([envelope(1, incident="sure"), envelope(2, incident="note", **doubt)], NOON)

    def counted() -> list[tuple[int, int]]:
        overview, sure = Overview(store.database), store.incidents(["sure"])[0]
        like = overview.like(sure, NOON - 60, NOON + 60)
        sums = (store.totals(NOON - 60, NOON + 60), overview.found(Wanted()))
        return [
            *((each.labels_low, each.labels_high) for each in sums),
            (sum(one.labels_low for one in like), sum(one.labels_high for one in like)),
        ]

    assert counted() == [(3, 6)] * 3
    store.verdicts.add("note", "owner", "unclear", "", NOON)
    assert counted() == [(3, 6)] * 3
    store.verdicts.add("note", "owner", "true", "", NOON + 1)
    assert counted() == [(6, 12)] * 3


def test_what_an_older_database_holds_in_doubt_stays_so(store: Store, envelope: Build) -> None:
    facts: dict[str, dict[str, Any]] = {"sure": {"unsure": False}, "unsure": {"unsure": True}, "silent": {}}
    store.add_alerts([envelope(n, incident=name, facts=facts[name]) for n, name in enumerate(facts, 1)], NOON)
    make_older(store.database, "0027")
    with store.database.writing() as connection:
        migrate(connection)
    assert [one.id for one in store.incidents([*facts]) if one.unsure] == ["unsure"]


def test_the_latest_verdict_counts_and_history_stays(store: Store, envelope: Build) -> None:
    store.add_alerts([envelope(1)], NOON)

    def verdict() -> str | None:
        found = store.incident("inc-1")
        return found.verdict if found else "?"

    store.verdicts.withdraw("inc-1", "owner", NOON)
    assert verdict() is None
    store.verdicts.add("inc-1", "owner", "unclear", "", NOON)
    store.verdicts.add("inc-1", "guard", "true", "seen on site", NOON + 1)
    assert verdict() == "true"
    store.verdicts.withdraw("inc-1", "owner", NOON + 2)
    assert verdict() == "unclear"
    store.verdicts.withdraw("inc-1", "owner", NOON + 3)
    assert verdict() is None
    history = store.verdicts.on("inc-1")
    assert [(v.user, v.verdict, v.note, v.withdrawn_by) for v in history] == [
        ("guard", "true", "seen on site", "owner"),
        ("owner", "unclear", "", "owner"),
    ]


@pytest.mark.parametrize(
    ("before", "since", "verdict", "left"),
    [
        (["warning"], ["critical"], "false", None),
        (["info"], ["warning", "info"], "authorised", None),
        (["warning"], ["critical"], "unclear", None),
        (["warning"], ["critical"], "true", "true"),
        (["warning"], ["warning", "info", "warning"], "false", "false"),
        (["critical", "warning"], ["critical"], "false", "false"),
    ],
)
@pytest.mark.parametrize("together", [False, True])
def test_a_verdict_on_less_is_none_on_what_the_incident_has_become(
    store: Store, before: list[str], since: list[str], verdict: str, left: str | None, together: bool
) -> None:
    for seq, severity in enumerate(before, 1):
        store.add_alerts([make_envelope(seq, severity=severity)], NOON)
    store.verdicts.add("inc-1", "guard", verdict, "a scanner", NOON + 1)
    grown = [make_envelope(seq, severity=severity) for seq, severity in enumerate(since, len(before) + 1)]
    for part in [grown] if together else [[one] for one in grown]:
        store.add_alerts(part, NOON + 2)
    found = store.incident("inc-1")
    assert found is not None and found.verdict == left
    (given,) = store.verdicts.on("inc-1")
    assert (given.withdrawn_by, given.withdrawn_at) == (("labelwatch", NOON + 2) if left is None else (None, None))


def test_changes_are_numbered_and_asked_for_by_number(store: Store, envelope: Build) -> None:
    assert store.last_change() == 0
    store.add_alerts([envelope(1, incident="a"), envelope(2, incident="b")], NOON)
    start = store.last_change()
    store.add_alerts([envelope(3, incident="a")], NOON)
    store.verdicts.add("b", "owner", "true", "", NOON)
    store.add_alerts([envelope(4, incident="a")], NOON)
    assert store.changed_since(start) == ([(4, "b"), (5, "a")], True)
    assert store.changed_since(0, limit=1) == ([(4, "b")], False)
    assert store.changed_since(store.last_change()) == ([], True)
    assert store.changed_since(store.last_change() + 1) == ([], False)
    store.add_alerts([envelope(5, incident="a")], NOON)
    assert store.changed_since(0) == ([(4, "b"), (6, "a")], True), "however long ago, each is there once"


def test_late_health_does_not_replace_newer(store: Store) -> None:
    store.edges.set_health("shanghai", "box1", {"n": 2}, NOON + 5)
    store.edges.set_health("shanghai", "box1", {"n": 1}, NOON)
    store.edges.set_status("shanghai", "box1", "offline", NOON)
    store.edges.set_health("shanghai", "box1", {"n": 2, "x": float("nan")}, NOON + 5)
    assert store.edges.all()[0].health == {"n": 2, "x": None}
    store.edges.set_health("shanghai", "box1", {"n": 2}, NOON + 5)
    (edge,) = store.edges.all()
    assert (edge.health, edge.health_at, edge.state) == ({"n": 2}, NOON + 5, "online")  # who reports is there


def test_refusals_are_counted_and_kept_short(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("detector.hub.storage.store.KEPT_REFUSALS", 3)
    for n in range(5):
        store.add_refusal("labelwatch/x/y/alerts" + "z" * 1000, f"bad \0 {n} \ud800", NOON)
    count, last = store.refused()
    assert count == 5 and len(last) == 3 and last[0].reason.startswith("bad ? 4")


def test_a_stored_clip_is_never_replaced(store: Store) -> None:
    first = Clip("inc-1", 0, "shanghai", "box1", "cam3", NOON, 8.0, 100, "aa", "aa.mp4", NOON)
    assert store.add_clip(first)
    assert not store.add_clip(Clip("inc-1", 0, "shanghai", "box1", "cam3", NOON, 8.0, 100, "bb", "bb.mp4", NOON))
    assert store.clip("inc-1", 0) == first and store.clips("inc-1") == [first]
    assert store.with_clips(["inc-1", "inc-2"]) == {"inc-1"}


def test_writers_in_many_threads_lose_nothing(store: Store, envelope: Build) -> None:
    def write(worker: int) -> None:
        for n in range(10):
            fields = envelope(n + 1, edge=f"box{worker}", incident=f"inc-{worker}-{n}")
            assert store.add_alerts([fields], NOON) == [fields["id"]]
            store.feed(limit=3)

    threads = [threading.Thread(target=write, args=(worker,)) for worker in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(store.feed(limit=100)) == 40


def is_open(connection: Any) -> bool:
    try:
        connection.execute("SELECT 1")
    except sqlite3.ProgrammingError:
        return False
    return True


def test_connections_of_many_that_asked_at_once_are_used_again_and_closed_when_it_is_quiet(sqlite_store: Store) -> None:
    database, opened = sqlite_store.database, []
    event.listen(database.engine, "connect", lambda connection, _record: opened.append(connection))
    for _ in range(2):
        with ExitStack() as together:
            for _ in range(5):
                together.enter_context(database.reading()).exec_driver_sql("SELECT 1")
    assert [is_open(one) for one in opened] == [True] * 4, "beside the one that was open before"
    with database.reading() as used:
        database.rest()
        assert used.exec_driver_sql("SELECT 1").scalar_one() == 1
        assert sum(map(is_open, opened)) <= 1, "none but the one that is in use"
    assert sqlite_store.feed() == []
    few = len(opened)
    database.rest()
    assert sqlite_store.feed() == [] and len(opened) == few, "a quiet hub keeps what it uses"


def test_what_a_thread_reads_at_one_moment_is_as_it_was_then_and_others_see_the_newest(
    sqlite_store: Store, envelope: Build
) -> None:
    store = sqlite_store
    store.add_alerts([envelope(1, incident="before")], NOON)
    with pytest.raises(ZeroDivisionError), store.database.at_one_moment():
        assert len(store.feed()) == 1
        with ThreadPoolExecutor(1) as other:
            other.submit(store.add_alerts, [envelope(2, incident="meanwhile")], NOON).result()
            assert len(other.submit(store.feed).result()) == 2
        assert len(store.feed()) == 1 and store.incident("meanwhile") is None
        _ = 1 / 0
    assert len(store.feed()) == 2


def test_what_is_written_within_a_transaction_is_undone_with_it(store: Store, envelope: Build) -> None:
    with pytest.raises(RuntimeError, match="gone"), store.database.writing():
        store.add_alerts([envelope(1)], NOON)
        raise RuntimeError("gone")
    assert store.incident("inc-1") is None
    with store.database.writing():
        store.add_alerts([envelope(1)], NOON)
    assert store.incident("inc-1") is not None


def test_what_is_stored_survives_reopening(tmp_path: Path, envelope: Build) -> None:
    url = f"sqlite:///{tmp_path / 'hub.sqlite'}"
    first = Store(url)
    first.add_alerts([envelope(1)], NOON)
    first.close()
    again = Store(url)
    assert again.incident("inc-1") and again.add_alerts([envelope(1)], NOON) == []
    again.close()


def test_migrations_lead_to_the_tables_of_the_schema(store: Store) -> None:
    with store.database.reading() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []


def test_a_database_that_lacks_an_index_of_its_shape_is_brought_to_the_newest(store: Store) -> None:
    make_older(store.database, "0017")
    with store.database.writing() as connection:
        connection.exec_driver_sql("DROP INDEX incidents_waiting")  # as 0006 was in its first hour
        migrate(connection)
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_who_works_beside_the_hub_leaves_an_older_shape_alone(store: Store, tmp_path: Path) -> None:
    url = store.database.engine.url.render_as_string(hide_password=False)
    config = HubConfig(data_dir=tmp_path, database=url if url.startswith("postgresql") else None)
    make_older(store.database, "0019")
    for opened in (lambda: database_of(config, make=True).__enter__(), lambda: open_store(config)):
        with pytest.raises(StoreError, match="start the hub anew first"):
            opened()
    with store.database.reading() as connection:
        assert MigrationContext.configure(connection).get_current_revision() == "0019"
    Store(url).close()
    with database_of(config):
        pass


@pytest.mark.parametrize("places", [["shanghai"], ["shanghai/cam3", "suzhou/cam4"]])
@pytest.mark.parametrize("zone", [None, "bulk"])
def test_what_somebody_sees_is_found_by_the_indexes_that_hold_all_of_it(
    sqlite_store: Store, envelope: Build, places: list[str], zone: str | None
) -> None:
    sqlite_store.add_alerts([envelope(n, incident=f"i{n}") for n in range(1, 4)], NOON)
    plans: list[str] = []

    def note_plan(connection: Any, _cursor: Any, statement: str, parameters: Any, *_others: Any) -> None:
        if "FROM incidents" in statement and not statement.startswith("EXPLAIN"):
            asked = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
            plans.append("; ".join(row[3] for row in asked))

    event.listen(sqlite_store.database.engine, "before_cursor_execute", note_plan)
    wanted = Wanted(scope=Scope.of(places), zone=zone)
    assert len(sqlite_store.feed(wanted=wanted)) == len(Reviews(sqlite_store.database).queue(wanted)) == 3
    assert not Overview(sqlite_store.database).has_replayed(wanted.scope)
    feed, box, by_harm, no_other, _, replayed = plans
    boxes = [(plan, "incidents_waiting") for plan in (box, no_other)]
    for plan, index in (
        (feed, "incidents_by_time"),
        *boxes,
        (by_harm, "incidents_unjudged"),
        (replayed, "incidents_replayed"),
    ):
        assert f"INDEX {index}" in plan and "incidents_by_camera" not in plan, plan


def test_what_many_guards_ask_again_and_again_is_counted_in_indexes_alone(sqlite_store: Store, envelope: Build) -> None:
    for edge in ("box1", "box2"):
        EdgeKeys(sqlite_store.database).trust("shanghai", edge, f"key of {edge}", NOON)
    sqlite_store.add_alerts([envelope(n, incident=f"i{n}", started_at_unix=NOON + n) for n in range(1, 14)], NOON)
    (one,) = sqlite_store.incidents(["i9"])
    reviews, overview = Reviews(sqlite_store.database), Overview(sqlite_store.database)
    plans: dict[str, str] = {}

    def note_plan(connection: Any, _cursor: Any, statement: str, parameters: Any, *_others: Any) -> None:
        if statement.startswith("SELECT") and "FROM incidents" in statement and "incidents.record" not in statement:
            asked = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
            plans[statement] = "; ".join(row[3] for row in asked)

    event.listen(sqlite_store.database.engine, "before_cursor_execute", note_plan)
    shown, folds = gathered(sqlite_store.database, Wanted(), 20)
    assert (len(shown), [fold.count for fold in folds.values()]) == (10, [3])
    assert len(reviews.queue(Wanted())) == reviews.left(Wanted()) == reviews.record(one, NOON).unjudged == 13
    assert reviews.waiting() == [("cam3", "label_photography")]
    assert len(overview.like(one, NOON, NOON + DAY_S)) == 13 and overview.elsewhere(one) == []
    assert len(plans) > 8 and all("COVERING INDEX" in plan.partition(";")[0] for plan in plans.values()), plans


def test_what_is_folded_away_is_counted_on_either_database(store: Store, envelope: Build) -> None:
    for edge in ("box1", "box2"):
        EdgeKeys(store.database).trust("shanghai", edge, f"key of {edge}", NOON)
    rows = [(f"a{n:02}", "box1", "critical", NOON + n) for n in range(25)]
    rows += [(f"b{n:02}", "box1", "warning", NOON + n) for n in range(11)]
    rows += [(f"c{n:02}", "box2", "critical", NOON + n) for n in range(10)]
    rows += [(f"d{n:02}", "box1", "critical", NOON - 3600 + n) for n in range(12)]
    store.add_alerts(
        [
            envelope(n, incident=name, edge=edge, severity=severity, started_at_unix=at)
            for n, (name, edge, severity, at) in enumerate(rows, 1)
        ],
        NOON + 60,
    )
    told = {"a15": (15, NOON, NOON + 14), "b01": (1, NOON, NOON), "d02": (2, NOON - 3600, NOON - 3599)}
    for before in (None, (NOON + 20, "a20"), (NOON + 0.5, "")):
        shown, folds = gathered(store.database, Wanted(), 50, before)
        begun = {name: fold for name, fold in told.items() if name in {one.id for one in shown}}
        assert {name: (fold.count, fold.since, fold.until) for name, fold in folds.items()} == begun


@pytest.mark.parametrize("places", [None, ["shanghai"]])
def test_what_thresholds_are_proposed_from_is_read_from_an_index_alone(
    sqlite_store: Store, envelope: Build, places: list[str] | None
) -> None:
    sqlite_store.add_alerts([envelope(n, incident=f"i{n}") for n in range(1, 4)], NOON)
    sqlite_store.verdicts.add("i1", "guard", "false", "", NOON)
    plans: list[str] = []

    def note_plan(connection: Any, _cursor: Any, statement: str, parameters: Any, *_others: Any) -> None:
        if statement.startswith("SELECT"):
            asked = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
            plans.append("; ".join(row[3] for row in asked))

    event.listen(sqlite_store.database.engine, "before_cursor_execute", note_plan)
    found = sqlite_store.verdicts.judged(NOON - 1, Scope.of(places))
    assert [one.id for one in found] == ["i1"]
    assert "COVERING INDEX incidents_judged" in plans[0], plans


def test_postgresql_compiles_no_query(postgres: Callable[[], str]) -> None:
    store = Store(postgres())
    try:
        with store.database.reading() as connection:
            assert connection.exec_driver_sql("SHOW jit").scalar_one() == "off"
    finally:
        store.close()


def test_postgresql_finds_by_an_index_what_belongs_to_an_incident(postgres: Callable[[], str]) -> None:
    store, seen = Store(postgres()), set()
    try:
        with store.database.reading() as connection:
            connection.exec_driver_sql("SET enable_seqscan = off")
            for table in metadata.sorted_tables:
                indexes = [*(index.columns.keys() for index in table.indexes), table.primary_key.columns.keys()]
                if any(columns[:1] == ["incident"] for columns in indexes):
                    own = f"SELECT count(*) FROM {table.name} t WHERE t.incident = i.id"
                    plan = connection.exec_driver_sql(f"EXPLAIN SELECT ({own}) FROM incidents i").scalars().all()
                    assert any("Index Cond: (incident = i.id)" in line for line in plan), table.name
                    seen.add(table.name)
        assert {"alerts", "snapshots", "verdicts", "clips"} <= seen
    finally:
        store.close()


def test_a_database_that_has_the_newest_shape_is_opened_without_a_look_at_migrations(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr("alembic.command.upgrade")
    Store(store.database.engine.url.render_as_string(hide_password=False)).close()


def test_sqlite_keeps_what_it_committed_through_power_loss(sqlite_store: Store) -> None:
    with sqlite_store.database.reading() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2


def test_a_log_that_grew_while_somebody_else_read_gives_the_disk_its_room_back(sqlite_store: Store) -> None:
    log = Path(f"{sqlite_store.database.engine.url.database}-wal")

    def write(size: int) -> None:
        with sqlite_store.database.writing() as connection:
            connection.exec_driver_sql(f"INSERT INTO doomed VALUES (hex(randomblob({size // 2})))")

    with sqlite_store.database.reading() as somebody:
        somebody.exec_driver_sql("SELECT count(*) FROM incidents").all()
        for _ in range(5):
            write(4 * 2**20)
        assert log.stat().st_size > 20 * 2**20
    for _ in range(3):
        write(4 * 2**20)
    assert log.stat().st_size <= 17 * 2**20


@pytest.mark.parametrize(
    "url", ["mysql://h/db", "sqlite:////nowhere/at/all/hub.sqlite", "postgresql+psycopg://u:secret@127.0.0.1:1/x"]
)
def test_a_database_that_cannot_be_used_says_so_without_its_password(url: str) -> None:
    with pytest.raises(StoreError) as caught:
        Store(url)
    assert "secret" not in str(caught.value)


def test_a_file_that_is_no_database_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "hub.sqlite").write_bytes(b"not a database at all" * 100)
    with pytest.raises(StoreError):
        Store(f"sqlite:///{tmp_path / 'hub.sqlite'}")


@pytest.mark.usefixtures("postgres_server")  # as whose user it is stopped
def test_a_server_of_a_run_that_was_killed_is_cleared_away_and_that_of_one_which_goes_on_is_not(tmp_path: Path) -> None:
    folders = [tmp_path / f"lwpg.{name}" for name in ("killed", "goes-on", "of-somebody-else")]
    for folder in folders:
        (folder / "data").mkdir(parents=True)
    with hold_folder(folders[1]):
        hold_folder(folders[0]).close()  # as the system does it
        sweep_postgres(tmp_path, Path("/bin/true"))
        assert [folder.exists() for folder in folders] == [False, True, True]


def test_who_waits_for_a_turn_to_write_a_file_asks_for_no_connection_meanwhile(sqlite_store: Store) -> None:
    database, written = sqlite_store.database, threading.Barrier(6)

    def write() -> None:
        with database.writing() as connection:
            connection.exec_driver_sql("INSERT INTO doomed VALUES (lower(hex(randomblob(8))))")
        written.wait(20)

    with database.writing():
        threads = [threading.Thread(target=write, daemon=True) for _ in range(5)]
        for thread in threads:
            thread.start()
        time.sleep(0.2)
        assert database.engine.pool.checkedout() == 1  # type: ignore[attr-defined]
    written.wait(20)
    with database.reading() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM doomed").scalar_one() == 5
