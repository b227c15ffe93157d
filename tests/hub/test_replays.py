"""What replays found: each event is shown once, nobody is called, and nothing of live is touched."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import select

from detector import wire
from detector.config import RetentionConfig
from detector.hub.access.audit import Audit
from detector.hub.access.audit import verify as follow
from detector.hub.desk.reviews import Reviews
from detector.hub.evidence.cases import Cases
from detector.hub.integrations.world import Observer
from detector.hub.notices.pauses import Pauses
from detector.hub.notices.rules import Rule
from detector.hub.replay_intake import AT_ONCE
from detector.hub.storage.budget import Budget
from detector.hub.storage.schema import clips, incidents
from detector.hub.storage.store import Store
from detector.hub.storage.stored import Clip
from detector.hub.storage.wanted import Wanted
from detector.hub.upkeep.retention import Retention
from detector.hub.watch.health import Health
from detector.tools.verify import HOLDS, verify
from detector.values import DAY_S
from detector.wire.replays import MOST, bringer_headers, envelope_id, marked, read_answers
from tests.hub.conftest import NOON, Site, make_envelope
from tests.hub.evidence_parts import Office

BAR = "inc-1"


def replayed(seq: int = 1, *, run: str = "run-1", name: str = BAR, **changes: Any) -> dict[str, Any]:
    """An unsigned envelope as a replay publishes it: over at once, and sent today."""
    edge = changes.setdefault("edge", "office")
    fields = make_envelope(seq, incident=name, phase="end", epoch=run, **{"sent_at_unix": NOON, **changes})
    fields["after"] = marked(fields["after"], run=run, edge=edge, file="ch3_20261101120000.mp4", offset_s=4.0)
    return {**fields, "notify": False, "id": envelope_id(fields)}


def ids(store: Store, **wanted: Any) -> list[str]:
    """What lists show."""
    return [one.id for one in store.feed(wanted=Wanted(**wanted))]


def clip_of(incident: str, edge: str = "box1") -> Clip:
    """A clip that has come."""
    return Clip(incident, 0, "shanghai", edge, "cam3", NOON, 4.0, 100, "ab" * 32, f"{incident}.mp4", NOON)


REPLAY = "inc-1-replay-office"


@pytest.mark.parametrize(
    ("changes", "is_known"),
    [
        ({}, True),
        ({"started_at_unix": NOON + 30}, True),
        ({"started_at_unix": NOON - 49}, True),  # 9 s before: clocks are not the same
        ({"started_at_unix": NOON + 51}, False),
        ({"started_at_unix": NOON - DAY_S}, False),
        ({"camera": "cam4", "after_camera": "cam4"}, False),
        ({"site": "ningbo"}, False),
        ({"kind": "lingering"}, False),
        ({"kind": "lingering", "findings": ["lingering", "label_photography"]}, True),
        ({"kind": "lingering", "findings": "odd"}, False),
        ({"zone": "dock"}, True),
    ],
)
def test_a_replay_is_known_by_place_kind_and_time(store: Store, changes: dict[str, Any], is_known: bool) -> None:
    changes = dict(changes)
    camera, findings = changes.pop("after_camera", None), changes.pop("findings", None)
    fields = replayed(**changes)
    fields["after"] |= {"camera": camera} if camera else {}
    fields["after"] |= {"findings": findings} if findings else {}
    store.add_alerts([make_envelope()], NOON)
    store.add_alerts([fields], NOON)
    assert set(ids(store)) == ({BAR} if is_known else {BAR, REPLAY})
    assert store.confirmed([BAR]) == ({BAR} if is_known else set())


def test_what_live_found_stays_as_it_is(store: Store) -> None:
    store.add_alerts([make_envelope(severity="warning")], NOON)
    store.verdicts.add(BAR, "li", "true", "", NOON)
    before = store.incident(BAR)
    store.add_alerts([replayed(severity="critical")], NOON + 5)
    forged = replayed(run="run-2", edge="box1", severity="info")
    forged["after"]["id"] = BAR  # whatever id a replay names
    store.add_alerts([{**forged, "id": "forged", "sent_at_unix": NOON + DAY_S}], NOON + 6)
    assert store.incident(BAR) == before
    assert store.incident(REPLAY) == before, "its address leads to the one that is shown"
    assert [one.id for one in store.confirmed_by(BAR)] == [REPLAY]
    store.add_clip(clip_of(REPLAY, "office"))
    assert [clip.incident for clip in store.clips_shown(BAR)] == [REPLAY] and store.clips(BAR) == []
    assert store.with_clips([BAR]) == {BAR}
    store.add_clip(clip_of(BAR))
    assert [clip.incident for clip in store.clips_shown(BAR)] == [BAR]


def test_what_people_did_goes_over_to_live_when_that_comes_late(store: Store) -> None:
    reviews, cases = Reviews(store.database), Cases(store.database, Audit(store.database))
    store.add_alerts([replayed()], NOON)
    (found,) = store.feed()
    assert (found.id, found.replayed_at, found.told) == (REPLAY, NOON, "alert")
    store.verdicts.add(REPLAY, "li", "unclear", "", NOON)
    store.verdicts.add(REPLAY, "li", "true", "", NOON + 1)
    reviews.add_note(REPLAY, "li", "on all three days", NOON)
    number = cases.make("March", [found], user="li", at=NOON)
    cases.hold(REPLAY, "police", user="li", at=NOON)
    seen = store.last_change()
    store.add_alerts([make_envelope(2, sent_at_unix=NOON - 3600)], NOON + 60)
    assert ids(store) == [BAR] and ids(store, replayed=True) == []
    shown = store.incident(REPLAY)
    assert shown and (shown.id, shown.verdict, shown.replayed_at) == (BAR, "true", None)
    assert [verdict.verdict for verdict in store.verdicts.on(BAR)] == ["true", "unclear"]
    assert [note.text for note in reviews.notes(BAR)] == ["on all three days"]
    case = cases.case(number)
    assert case and case.incidents == (BAR,)
    assert cases.legal_hold(BAR) and not cases.legal_hold(REPLAY)
    assert {incident for _, incident in store.changed_since(seen)[0]} == {BAR, REPLAY}
    moved = {"verdicts": 2, "notes": 1, "hold": True, "cases": [number]}
    lines = Audit(store.database).entries(user="labelwatch")
    assert [(one.at, one.action, one.subject, one.details) for one in lines] == [
        (NOON + 60, "handed_over", BAR, {"taken_from": REPLAY, **moved}),
        (NOON + 60, "handed_over", REPLAY, {"given_to": BAR, **moved}),
        (NOON + 60, "case_moved", case.subject, {"incident": REPLAY, "given_to": BAR}),
    ]
    store.add_alerts([make_envelope(3, phase="end")], NOON + 61)
    assert ids(store) == [BAR]
    assert follow(Audit(store.database).all_entries()).flaws == ()


def test_a_replay_that_nobody_did_anything_with_gives_way_without_a_line_in_the_log(store: Store) -> None:
    store.add_alerts([replayed()], NOON)
    store.add_alerts([make_envelope(2, sent_at_unix=NOON - 3600)], NOON + 60)
    assert ids(store) == [BAR] and Audit(store.database).entries() == []


def test_a_replay_of_what_is_yet_to_come_judges_nothing_that_comes(store: Store) -> None:
    foretold = replayed(kind="lingering", severity="critical")
    foretold["after"] |= {"findings": ["lingering", "label_photography"], "ended_at_unix": NOON + DAY_S}
    store.add_alerts([foretold], NOON)
    store.verdicts.add(REPLAY, "li", "false", "", NOON)
    store.add_alerts([make_envelope(2, started_at_unix=NOON + 3600)], NOON + 3640)
    assert set(ids(store)) == {BAR, REPLAY}
    (live,) = store.incidents([BAR])
    assert live.verdict is None and store.verdicts.on(BAR) == []


def test_a_verdict_on_less_is_none_on_more_that_live_tells(store: Store) -> None:
    store.add_alerts([replayed(kind="lingering", severity="info")], NOON)
    store.verdicts.add(REPLAY, "li", "false", "", NOON)
    sweep = make_envelope(2)
    sweep["after"] |= {"findings": ["label_photography", "lingering"]}
    store.add_alerts([sweep], NOON + 60)
    assert set(ids(store)) == {BAR, REPLAY}
    assert {one.id: one.verdict for one in store.incidents([BAR, REPLAY])} == {BAR: None, REPLAY: "false"}


@pytest.mark.parametrize("verdict", ["false", "authorised", "unclear"])
def test_what_turns_out_graver_than_what_was_cleared_is_news(store: Store, verdict: str) -> None:
    store.add_alerts([make_envelope(severity="warning")], NOON)
    store.verdicts.add(BAR, "li", verdict, "", NOON)
    store.add_alerts([replayed(2, name="alike", severity="warning")], NOON + 60)
    assert ids(store) == [BAR], "as grave as that is no news"
    store.add_alerts([replayed()], NOON + 61)
    assert set(ids(store)) == {BAR, REPLAY}


def test_a_graver_find_of_a_kind_that_live_told_nothing_of_is_news(store: Store) -> None:
    note, sweep = make_envelope(kind="lingering", severity="info"), replayed()
    sweep["after"] |= {"findings": ["label_photography", "lingering"]}
    store.add_alerts([note], NOON)
    store.verdicts.add(BAR, "li", "false", "", NOON)
    store.add_alerts([sweep], NOON + 60)
    assert set(ids(store)) == {BAR, REPLAY}
    store.add_alerts([make_envelope(2, phase="end", kind="lingering", severity="info")], NOON + 61)
    assert set(ids(store)) == {BAR, REPLAY}, "live's last word is of the note still"
    store.add_alerts([make_envelope(3, phase="end")], NOON + 62)
    assert ids(store) == [BAR], "now live tells the sweep, too"


def test_a_case_that_holds_both_holds_the_event_once(sqlite_store: Store, tmp_path: Path) -> None:
    office = Office(sqlite_store, tmp_path)
    office.tell("other", "new", started_at_unix=NOON - 600)
    sqlite_store.add_alerts([wire.signed(replayed(edge="box1"), office.edge_key)], NOON)
    live, found = sqlite_store.incidents(["other", "inc-1-replay-box1"])[::-1]
    case, second, third = office.case(live, found), office.case(live), office.case(found)
    for incident in case.incidents:
        office.cases.hold(incident, "police", user="li", at=NOON)
    went_on = {"started_at_unix": NOON - 600, "ended_at_unix": NOON + 60, "sent_at_unix": NOON + 61}
    office.tell("other", "end", **went_on)  # and is the same
    assert ids(sqlite_store) == ["other"]
    case, *others = (office.found(one.number) for one in (case, second, third))
    assert {one.incidents for one in (case, *others)} == {("other",)}
    path = office.pack(case)
    assert {finding.state for finding in verify(path).findings if finding.what != "key_unknown"} == {HOLDS}
    assert office.cases.release("other", user="li", at=NOON)
    assert office.cases.legal_hold(found.id) is None


@pytest.mark.parametrize("late", [False, True])
def test_a_note_of_live_hides_nothing_grave_that_a_replay_finds(store: Store, late: bool) -> None:
    note, found = make_envelope(severity="info"), replayed(2)
    for envelope in [found, note] if late else [note, found]:
        store.add_alerts([envelope], NOON + 60)
    assert {one.id: one.told for one in store.incidents([BAR, REPLAY])} == {BAR: "digest", REPLAY: "alert"}
    store.add_alerts([make_envelope(3, severity="warning", phase="update")], NOON + 120)
    assert {one.id: one.told for one in store.incidents([BAR, REPLAY])} == {BAR: "alert", REPLAY: "double"}


def test_two_replays_of_the_same_footage_do_not_double(store: Store) -> None:
    first = [replayed(1), replayed(2, name="inc-2", zone="dock", started_at_unix=NOON + 2)]
    store.add_alerts(first, NOON)
    assert len(ids(store)) == 2, "one replay may well find two at one time, in two zones"
    assert store.add_alerts(first, NOON + 9) == []
    store.add_alerts([replayed(1, run="run-2")], NOON + 10)
    store.add_alerts([replayed(1, run="run-3", edge="box1", started_at_unix=NOON + 1)], NOON + 11)
    store.add_alerts([replayed(2, run="run-3", edge="box1", name="x", zone="dock", started_at_unix=NOON + 3)], NOON)
    assert set(ids(store)) == {REPLAY, "inc-2-replay-office"}
    assert [one.id for one in store.confirmed_by(REPLAY)] == ["inc-1-replay-box1"]
    store.add_alerts([make_envelope(9)], NOON + 12)  # all of them give way, and what was their double is live's now
    assert ids(store) == [BAR]
    assert len(store.confirmed_by(BAR)) == 4


def two_at_once(run: str, **changes: Any) -> list[dict[str, Any]]:
    """What a replay finds in two zones of one camera at a time."""
    return [
        replayed(1, run=run, **changes),
        replayed(2, run=run, name="inc-2", zone="dock", started_at_unix=NOON + 2, **changes),
    ]


@pytest.mark.parametrize("changed", [(0, 1), (0,), (1,)])
def test_what_a_replay_found_stays_shown_when_it_is_found_anew(store: Store, changed: tuple[int, ...]) -> None:
    store.add_alerts(two_at_once("run-1"), NOON)
    store.verdicts.add(REPLAY, "li", "true", "", NOON)
    unlike = two_at_once("run-2", score=0.91, sent_at_unix=NOON + 60)  # as by another build of the model's runtime
    store.add_alerts([unlike[n] if n in changed else one for n, one in enumerate(two_at_once("run-2"))], NOON + 61)
    assert {one.id: one.verdict for one in store.feed()} == {REPLAY: "true", "inc-2-replay-office": None}
    assert store.confirmed([REPLAY, "inc-2-replay-office"]) == set()


def test_what_only_a_later_replay_finds_is_no_double_of_what_that_finds_beside_it(store: Store) -> None:
    store.add_alerts(two_at_once("run-1")[:1], NOON)
    assert len(store.add_alerts(two_at_once("run-2"), NOON + 60)) == 1, "the other is known"
    assert set(ids(store)) == {REPLAY, "inc-2-replay-office"}


def test_a_verdict_stays_in_sight_when_a_later_replay_finds_less(store: Store) -> None:
    store.add_alerts([make_envelope(severity="warning")], NOON)
    store.verdicts.add(BAR, "li", "false", "", NOON)
    store.add_alerts([replayed()], NOON + 60)
    store.verdicts.add(REPLAY, "li", "true", "", NOON + 61)
    store.add_alerts([replayed(run="run-2", severity="warning", sent_at_unix=NOON + 62)], NOON + 63)
    assert {one.id: (one.verdict, one.severity) for one in store.feed()} == {
        BAR: ("false", "warning"), REPLAY: ("true", "warning"),
    }  # fmt: skip


def test_a_double_that_a_later_replay_finds_graver_than_what_was_cleared_is_news(store: Store) -> None:
    store.add_alerts([make_envelope(severity="warning")], NOON)
    store.add_alerts([replayed(severity="warning")], NOON + 60)
    store.verdicts.add(BAR, "li", "false", "", NOON + 61)
    store.add_alerts([replayed(run="run-2", severity="warning", score=0.9, sent_at_unix=NOON + 62)], NOON + 63)
    assert ids(store) == [BAR], "as grave as that is no news"
    store.add_alerts([replayed(run="run-3", sent_at_unix=NOON + 64)], NOON + 65)
    assert set(ids(store)) == {BAR, REPLAY}


def test_the_alert_budget_of_a_shift_is_lives_alone(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path}/hub.sqlite", Budget(2))
    shift = Budget(2).shift(NOON)
    for n in range(4):
        one = replayed(n + 1, name=f"r{n}", camera="cam9", started_at_unix=NOON + 100 * n, severity="warning")
        store.add_alerts([one], NOON)
    assert store.alerts_in(shift) == 0
    assert len(ids(store, told="alert")) == 2 and len(ids(store, told="digest")) == 2
    for n in range(3):
        store.add_alerts([make_envelope(n + 1, incident=f"l{n}", kind="lingering", severity="warning")], NOON)
    assert store.alerts_in(shift) == 2
    store.close()


def test_nobody_is_called_and_no_counter_that_rings_moves(site: Site) -> None:
    store, clock = site.store, site.clock
    notices = site.parts.notices
    with store.database.writing() as connection:
        target = notices.targets.add(connection, "guard", "json", "zh", address="json://127.0.0.1/x", user="o", at=0.0)
        notices.targets.add_rule(connection, Rule("info", target=target, at=0.0))
    observer = Observer(store, site.parts.health, site.parts.keys, Pauses(store.database, site.parts.audit), Budget())
    notices.raising.look_through(NOON)
    observer.listen(NOON)
    store.edges.set_status("shanghai", "box1", "online", NOON)
    store.edges.set_health("shanghai", "box1", {"cameras": {"cam3": {"age_s": 1.0}}}, NOON)
    before = observer.read(NOON)
    counted = site.client.get("/metrics").text
    live_counter = [line for line in counted.splitlines() if line.startswith("labelwatch_incidents_total")]
    found = [replayed(1, edge="box1"), replayed(2, name="old", edge="office", started_at_unix=NOON - 21 * DAY_S)]
    store.add_alerts(found, NOON)
    while notices.raising.look_through(NOON + 1):
        pass
    notices.raising.tell_alarms(NOON + 1)
    assert notices.log([target]) == []
    after = observer.read(NOON + 1)
    assert after.news == () and (after.alerts, after.labels, after.unjudged) == (before.alerts, 0, before.unjudged)
    assert all(camera.last is None and camera.going_on == () for camera in after.cameras)
    counted = site.client.get("/metrics").text
    assert [line for line in counted.splitlines() if line.startswith("labelwatch_incidents_total")] == live_counter
    assert "labelwatch_incidents_replayed_total 2.0" in counted
    assert sum(edge.missing for edge in store.edges.all()) == 0
    clock.at += 2 * 3600
    site.parts.watchman.look_round()
    assert [alarm.kind for alarm in site.parts.alarms.open() if alarm.edge == "office"] == []
    # That live tells the same late is told as late news are: one alert, in its own right.
    store.add_alerts([make_envelope(9)], clock.at)
    notices.raising.look_through(clock.at)
    assert [(one.incident, one.state) for one in notices.log([target])] == [(BAR, "held")]


def test_a_machine_that_only_replays_is_neither_silent_nor_a_problem(site: Site) -> None:
    office = Ed25519PrivateKey.generate()
    site.parts.keys.trust("shanghai", "office", wire.public_key_text(office), NOON)
    site.store.add_alerts([replayed()], NOON)
    page = site.client.get("/health", headers={"Accept-Language": "zh"}).text
    assert "shanghai / office" in page and "只送回放结果" in page
    assert "只发送回放" in site.client.get("/edges", headers={"Accept-Language": "zh"}).text
    health = Health(site.store, site.clock, site.folder)
    pauses = Pauses(site.store.database, site.parts.audit)
    world = Observer(site.store, health, site.parts.keys, pauses, Budget()).read(NOON)
    assert [edge.edge for edge in world.edges] == ["box1"], "it has joined, but watches nothing"


def test_footage_of_a_replay_ages_from_when_it_came(store: Store, tmp_path: Path) -> None:
    retention = Retention(store.database, tmp_path, RetentionConfig(reserve_gb=0), Audit(store.database))
    store.add_alerts([replayed(started_at_unix=NOON - 400 * DAY_S)], NOON)
    store.add_clip(clip_of(REPLAY, "office"))
    store.verdicts.add(REPLAY, "li", "false", "", NOON)
    retention.run(NOON + 1)
    assert retention.announced() == [] and store.clips(REPLAY)
    retention.run(NOON + 24 * DAY_S)
    (due,) = retention.announced()
    assert due.due_at == pytest.approx(NOON + 31 * DAY_S)
    assert retention.run(NOON + 32 * DAY_S) == 1 and not store.clips(REPLAY)


def test_a_double_goes_with_what_it_is_a_double_of(store: Store, tmp_path: Path) -> None:
    retention = Retention(store.database, tmp_path, RetentionConfig(reserve_gb=0, warn_days=0), Audit(store.database))
    store.add_alerts([make_envelope(snapshot=b"\xff\xd8\xff")], NOON)
    store.add_alerts([replayed(severity="info")], NOON)
    store.add_clip(clip_of(REPLAY, "office"))
    store.verdicts.add(BAR, "li", "false", "", NOON)
    retention.run(NOON + 29 * DAY_S)
    assert store.clips_shown(BAR)
    retention.run(NOON + 31 * DAY_S)
    with store.database.reading() as connection:
        assert connection.execute(select(clips.c.incident)).all() == []
    assert {(gone.incident, gone.rule) for gone in retention.gone()} == {(BAR, "false_alarm"), (REPLAY, "false_alarm")}


def test_a_picture_that_a_replay_brings_of_what_was_deleted_goes_as_well(site: Site) -> None:
    site.store.add_alerts([make_envelope(phase="end", snapshot=b"\xff\xd8\xff")], NOON)
    site.store.verdicts.add(BAR, "li", "false", "", NOON)
    retention = site.parts.retention
    deleted_at = NOON + 100 * DAY_S
    assert [retention.run(deleted_at - ahead * DAY_S) for ahead in (8, 0)] == [0, 1]
    again = signed(site, replayed(edge="box1", snapshot=b"\xff\xd8\xff"))
    for _ in range(2):
        (answer,) = read_answers(post(site, again).content)
        assert answer.shown == BAR and not answer.wants_clip
        retention.run(deleted_at + 1)
    assert site.store.snapshot("inc-1-replay-box1") is not None
    assert retention.run(deleted_at + 8 * DAY_S) == 2
    assert site.store.snapshot("inc-1-replay-box1") is None


# By HTTP


def signed(site: Site, fields: dict[str, Any], key: Ed25519PrivateKey | None = None) -> dict[str, Any]:
    """As it travels."""
    key = key or site.key
    return wire.signed({**fields, "key": wire.public_key_text(key)}, key)


def post(site: Site, *envelopes: Any, edge: str = "box1") -> Any:
    """What the hub answers."""
    lines = [one if isinstance(one, bytes) else wire.encode(one) for one in envelopes]
    return site.visitor().post(f"/api/replays/shanghai/{edge}", content=b"\n".join(lines))


def test_what_is_published_is_answered_and_signed_by_the_hub(site: Site) -> None:
    new = signed(site, replayed(edge="box1"))
    site.store.add_alerts([make_envelope(incident="live", started_at_unix=NOON - 500)], NOON)
    double = signed(site, replayed(2, name="again", edge="box1", started_at_unix=NOON - 500))
    answer = post(site, new, double)
    assert answer.status_code == 200
    wire.check_to_edge(wire.Topics("shanghai", "box1").ack, answer.json(), wire.public_key_text(site.parts.key))
    told = [(one.outcome, one.shown, one.wants_clip) for one in read_answers(answer.content)]
    assert told == [("new", "inc-1-replay-box1", True), ("double", "live", True)]
    site.store.add_clip(clip_of("live"))
    told = [(one.outcome, one.shown, one.wants_clip) for one in read_answers(post(site, new, double).content)]
    assert told == [("known", "inc-1-replay-box1", True), ("known", "live", False)]
    line = next(one for one in site.parts.audit.entries() if one.action == "replay_published")
    assert line.user == "shanghai/box1" and line.details == {"incidents": 1, "confirmed": 1}


def test_an_edge_is_known_by_what_it_signed_just_now(site: Site) -> None:
    intake, clock = site.parts.replays, site.clock
    headers = bringer_headers("shanghai", "box1", clock.now(), site.key)
    assert intake.who("shanghai", "box1", headers) == ("shanghai", "box1")
    by_another = bringer_headers("shanghai", "box1", clock.now(), Ed25519PrivateKey.generate())
    for told in ({}, by_another, {**headers, "X-Labelwatch-At": f"{clock.now() + 1:.3f}"}):
        assert intake.who("shanghai", "box1", told) is None
    assert intake.who("shanghai", "box2", headers) is None
    clock.at += 3600
    assert intake.who("shanghai", "box1", headers) is None, "somebody may have overheard it"


def test_an_edge_has_one_place_to_publish_and_takes_none_from_strangers_or_others(site: Site) -> None:
    intake = site.parts.replays
    boxes = [("shanghai", f"box{n}") for n in range(AT_ONCE + 1)]
    with ExitStack() as here:
        places = [here.enter_context(intake.place(who)) for who in (None, None, boxes[0], *boxes)]
        assert places == [True, False, True, False, *[True] * (AT_ONCE - 1), False]
    with intake.place(boxes[-1]) as has_place:
        assert has_place


def _of_live(fields: dict[str, Any]) -> dict[str, Any]:
    return {**fields, "after": {name: value for name, value in fields["after"].items() if name != "replay"}}


@pytest.mark.parametrize(
    "spoilt",
    [
        pytest.param(_of_live, id="live's"),
        pytest.param(lambda f: {**f, "after": {**f["after"], "id": "inc-1"}}, id="the id of live's"),
        pytest.param(lambda f: {**f, "after": {**f["after"], "replay": {"run": 1, "id": "inc-1"}}}, id="no run"),
        pytest.param(lambda f: {**f, "after": {**f["after"], "replay": True}}, id="mark without fields"),
        pytest.param(lambda f: {**f, "notify": True}, id="wants to ring"),
        pytest.param(lambda f: {**f, "sent_at_unix": NOON + 9999}, id="from the future"),
        pytest.param(lambda f: {**f, "edge": "box2"}, id="another edge's"),
        pytest.param(lambda f: {**f, "seq": "1"}, id="no number"),
        pytest.param(lambda f: {**f, "after": "x"}, id="no incident"),
    ],
)
def test_what_a_replay_may_not_say_is_refused(site: Site, spoilt: Callable[[dict[str, Any]], Any]) -> None:
    answer = post(site, signed(site, spoilt(replayed(edge="box1"))))
    assert answer.status_code == 401 and answer.json()["reason"]
    assert site.store.feed() == []


def test_a_replay_that_names_no_recording_breaks_no_page_of_what_live_told(site: Site) -> None:
    site.store.add_alerts([make_envelope()], NOON)
    nameless = replayed(edge="box1")
    nameless["after"]["replay"] = {"run": "run-1", "id": BAR}
    (answer,) = read_answers(post(site, signed(site, nameless)).content)
    assert (answer.outcome, answer.shown) == ("double", BAR)
    for page in (f"/incidents/{BAR}", f"/incidents/{BAR}/item"):
        assert site.client.get(page).status_code == 200


def test_odd_bodies_and_forged_ones_are_refused_and_change_nothing(site: Site) -> None:
    fine = signed(site, replayed(edge="box1"))
    forged = signed(site, replayed(edge="box1"), Ed25519PrivateKey.generate())
    bodies: list[list[Any]] = [
        [b""], [b"\n\n"], [b"{"], [b"[]"], [b"null"], [b'{"schema": 1}'], [b"\0"], [b"\xff\xfe"], [forged],
        [{**fine, "signature": ""}], [{**fine, "after": {**fine["after"], "score": 0.1}}], [fine] * (MOST + 1),
        [wire.encode(fine).replace(b'"seq":1', b'"seq":NaN')],
    ]  # fmt: skip
    for body in bodies:
        answer = post(site, *body)
        assert answer.status_code == 401 and answer.json()["reason"], body
    assert post(site, fine, edge="nobody").status_code == 401
    assert site.visitor().post("/api/replays/..%2f/box1", content=b"{}").status_code in (401, 404)
    assert site.visitor().post("/api/replays/shanghai/a%00b", content=b"{}").status_code == 400
    assert post(site, b"x" * (16 * 2**20 + 1)).status_code == 413
    assert site.visitor().get("/api/replays/shanghai/box1").status_code in (401, 404, 405)
    assert site.store.feed() == []


def test_one_that_the_store_cannot_hold_is_told_and_the_rest_is_taken(site: Site) -> None:
    odd = replayed(2, name="odd", edge="box1", camera="cam9")
    odd["after"] |= {"labels_exposed": {"low": 2**40}}
    answers = read_answers(post(site, signed(site, odd), signed(site, replayed(edge="box1"))).content)
    assert sorted((one.outcome, bool(one.why)) for one in answers) == [("new", False), ("refused", True)]


def test_a_clip_of_a_replay_is_taken_though_live_tells_the_event(site: Site, mp4: bytes) -> None:
    site.store.add_alerts([make_envelope()], NOON)
    post(site, signed(site, replayed(edge="box1")))
    own = "inc-1-replay-box1"
    answer = site.visitor().put(f"/api/clips/{own}/0", content=mp4, headers=site.claim(mp4, own))
    assert answer.status_code == 201
    page = site.client.get(f"/incidents/{BAR}").text
    assert f"/clips/{own}/0/play" in page
    assert site.client.get(f"/clips/{own}/0/play").status_code == 307
    assert site.client.get(f"/api/incidents/{own}/clip").content == mp4
    stranger = Ed25519PrivateKey.generate()
    site.parts.keys.trust("shanghai", "office", wire.public_key_text(stranger), NOON)
    claim = site.claim(mp4, own, 1, edge="office", key=stranger)
    assert site.visitor().put(f"/api/clips/{own}/1", content=mp4, headers=claim).status_code == 401


def test_the_feed_marks_replays_and_can_be_narrowed_to_them(site: Site) -> None:
    zh = {"Accept-Language": "zh"}
    site.store.add_alerts([make_envelope(1)], NOON)
    assert "by-origin" not in site.client.get("/", headers=zh).text, "nobody is asked before there is a choice"
    post(site, signed(site, replayed(edge="box1")))
    post(site, signed(site, replayed(2, name="march", edge="box1", started_at_unix=NOON - 21 * DAY_S)))
    page = site.client.get("/", headers=zh).text
    assert page.index("card-inc-1") < page.index("card-march-replay-box1"), "in the order that things happened"
    assert page.count("card-") >= 2 and "card-inc-1-replay-box1" not in page
    assert page.count("回放</span>") == 1 and page.count("回放已确认</span>") == 1
    only = site.client.get("/?origin=replay", headers=zh).text
    assert "card-march" in only and "card-inc-1" not in only
    live = site.client.get("/?origin=live", headers=zh).text
    assert "card-inc-1" in live and "card-march" not in live
    assert "card-inc-1" in site.client.get("/?origin=odd", headers=zh).text
    assert "fresh" not in site.client.get("/feed/live?seen=0&origin=replay").text.split("card-march")[0][-60:]
    item = site.client.get("/incidents/march-replay-box1", headers=zh).text
    assert "来自回放" in item and "ch3_20261101120000.mp4" in item
    again = site.client.get("/incidents/inc-1-replay-box1", headers=zh).text
    assert "回放已确认" in again and 'data-incident="inc-1"' in again


def test_programs_are_told_the_origin(site: Site) -> None:
    site.store.add_alerts([make_envelope(1)], NOON)
    post(site, signed(site, replayed(edge="box1")))
    post(site, signed(site, replayed(2, name="march", edge="box1", started_at_unix=NOON - 21 * DAY_S)))
    told = site.client.get("/api/incidents").json()["incidents"]
    assert [(one["id"], one["origin"]) for one in told] == [("inc-1", "live"), ("march-replay-box1", "replay")]
    assert [one["id"] for one in site.client.get("/api/incidents?origin=replay").json()["incidents"]] == [
        "march-replay-box1"
    ]
    assert site.client.get("/api/incidents/inc-1").json()["confirmed_by"] == ["inc-1-replay-box1"]


def test_every_row_of_incidents_says_where_it_comes_from(store: Store) -> None:
    store.add_alerts([make_envelope()], NOON)
    store.add_alerts([replayed()], NOON + 7)
    with store.database.reading() as connection:
        c = incidents.c
        rows = {tuple(row) for row in connection.execute(select(c.id, c.told, c.same_as, c.replayed_at))}
    assert rows == {(BAR, "alert", None, None), (REPLAY, "double", BAR, NOON + 7)}
    assert store.envelopes(REPLAY)[0]["after"]["replay"]["file"] == "ch3_20261101120000.mp4"


def test_a_pack_brings_what_replays_found_signed_by_who_sent_it(
    sqlite_store: Store, tmp_path: Path, mp4: bytes
) -> None:
    office = Office(sqlite_store, tmp_path)
    announced = [{"segment": 0, "sha256": hashlib.sha256(mp4).hexdigest(), "bytes": len(mp4)}]
    march = replayed(2, name="march", edge="box1", started_at_unix=NOON - 21 * DAY_S)
    for fields in (march, replayed(edge="box1")):
        fields = wire.signed({**fields, "clips": announced}, office.edge_key)
        sqlite_store.add_alerts([fields], NOON)
        office.keep(fields["after"]["id"], 0, mp4)
    live = office.incident()
    found = sqlite_store.incident("march-replay-box1")
    assert found
    path = office.pack(office.case(live, found))
    assert {finding.state for finding in verify(path).findings if finding.what != "key_unknown"} == {HOLDS}
    with zipfile.ZipFile(path) as pack:
        case = json.loads(pack.read("case.json"))
        assert [(one["id"], one.get("confirms")) for one in case["incidents"]] == [
            ("march-replay-box1", None), (BAR, None), ("inc-1-replay-box1", BAR),
        ]  # fmt: skip
        assert case["totals"]["incidents"] == 2
        assert pack.read("incidents/003-inc-1-replay-box1/segment-000.mp4") == mp4
        sheet = pack.read("说明.html").decode()
    assert sheet.count(" · 回放") == 1 and "时间来自录像机" in sheet
