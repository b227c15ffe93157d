"""Footage goes when its time is over, announced before; what somebody needs stays, whatever happens in between."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, event, insert, select

from detector.config import RetentionConfig
from detector.hub.access.audit import Audit
from detector.hub.evidence.cases import CLOSED, Cases
from detector.hub.storage.rights import Role, Scope
from detector.hub.storage.schema import doomed, incidents, sides
from detector.hub.storage.store import Store
from detector.hub.storage.stored import Clip
from detector.hub.texts import LANGUAGES, Phrases
from detector.hub.upkeep.clock_ahead import bring_back
from detector.hub.upkeep.janitor import Janitor
from detector.hub.upkeep.retention import Retention
from detector.values import DAY_S
from tests.builders import SteppedClock
from tests.hub.conftest import BEHIND, NOON, make_envelope, make_jpeg

END = NOON + 40  # of the builder's incidents
DAYS = RetentionConfig(true_alarm=300, authorised=30, unclear=100, false_alarm=20, note=50, warn_days=7, reserve_gb=0)


class Keeper:
    """A store with incidents that have footage, and what decides about it."""

    def __init__(self, store: Store, folder: Path) -> None:
        self.store = store
        self.folder = folder
        self.audit = Audit(store.database)
        self.cases = Cases(store.database, self.audit)
        self.free = 100 * 10**9
        self.seq = 0

    def retention(self, config: RetentionConfig = DAYS) -> Retention:
        return Retention(self.store.database, self.folder, config, self.audit, lambda _: (10**12, 0, self.free))

    def add(self, name: str, verdict: str = "", *, size: int = 1000, edge: str = "box1", **changes: Any) -> None:
        self.seq += 1
        usual: dict[str, Any] = {"incident": name, "snapshot": make_jpeg(16, 16), "phase": "end"}
        self.store.add_alerts([make_envelope(self.seq, edge=edge, **{**usual, **changes})], NOON)
        file = f"ab/{name}.mp4"
        (self.folder / "ab").mkdir(exist_ok=True, parents=True)
        (self.folder / file).write_bytes(bytes(size))
        clip = Clip(name, 0, "shanghai", edge, "cam3", NOON, 4.0, size, "00" * 32, file, NOON)
        self.store.add_clip(clip)
        if verdict:
            self.judge(name, verdict)

    def judge(self, name: str, verdict: str) -> None:
        self.store.verdicts.add(name, "li", verdict, "", NOON)

    def has_footage(self, name: str) -> bool:
        here = (self.folder / f"ab/{name}.mp4").exists()
        known = bool(self.store.clips(name)) and self.store.snapshot(name) is not None
        assert here == known
        return here

    def pass_days(self, days: float, config: RetentionConfig = DAYS) -> int:
        """Run the janitor three times, a good week apart, the last time so many days after the incidents."""
        return sum(self.retention(config).run(END + (days - ago) * DAY_S) for ago in (16, 8, 0))


@pytest.fixture
def keeper(store: Store, tmp_path: Path) -> Iterator[Keeper]:
    yield Keeper(store, tmp_path / "clips")


def test_what_can_not_be_let_go_keeps_nothing_else_from_it(keeper: Keeper) -> None:
    def away(_what: object) -> tuple[int, int, int]:
        raise FileNotFoundError("the disk is away")

    done: list[float] = []
    retention = Retention(keeper.store.database, keeper.folder, DAYS, keeper.audit, away)
    Janitor(retention, SteppedClock(NOON), lambda: None, away, done.append).go_round()
    assert done == [NOON]


VERDICT_DAYS = [("true", 300), ("authorised", 30), ("unclear", 100), ("false", 20)]


@pytest.mark.parametrize(("verdict", "days"), VERDICT_DAYS)
def test_footage_goes_by_its_verdict_and_the_incident_stays(keeper: Keeper, verdict: str, days: int) -> None:
    keeper.add("one", verdict)
    keeper.retention().run(END + (days - 7.5) * DAY_S)
    assert keeper.retention().announced() == []
    keeper.retention().run(END + (days - 7) * DAY_S)
    assert [due.due_at for due in keeper.retention().announced()] == [END + days * DAY_S]
    assert keeper.retention().run(END + (days - 0.5) * DAY_S) == 0 and keeper.has_footage("one")
    assert keeper.retention().run(END + days * DAY_S) == 1 and not keeper.has_footage("one")
    kept = keeper.store.incident("one")
    assert kept and kept.verdict == verdict and kept.snapshot is None
    gone = keeper.retention().of("one")
    assert gone and (gone.why, gone.bytes) == ("age", 1000)
    assert [entry.subject for entry in keeper.audit.entries() if entry.action == "footage_deleted"] == ["one"]


def test_nothing_goes_unannounced_even_when_long_overdue(keeper: Keeper) -> None:
    keeper.add("one", "false")
    late = END + 500 * DAY_S  # the hub was switched off, or the rule was just made stricter
    assert keeper.retention().run(late) == 0 and keeper.has_footage("one")
    assert [due.due_at for due in keeper.retention().announced()] == [late + 7 * DAY_S]
    assert keeper.retention().run(late + 7 * DAY_S) == 1


def test_what_was_announced_by_a_clock_that_was_ahead_goes_as_if_it_had_been_now(keeper: Keeper) -> None:
    keeper.add("a", "false")
    now = END + 15 * DAY_S
    keeper.retention().run(now + 400 * DAY_S)
    bring_back(keeper.store.database, now)
    assert keeper.retention().run(now + 6.9 * DAY_S) == 0 and keeper.has_footage("a")
    assert keeper.retention().run(now + 7 * DAY_S) == 1


def test_a_clock_that_is_years_behind_for_a_while_costs_no_footage_its_time(keeper: Keeper) -> None:
    keeper.add("a", "false")
    keeper.retention().run(END + 15 * DAY_S)
    before = keeper.retention().announced()
    bring_back(keeper.store.database, BEHIND)
    assert [due.incident for due in before] == ["a"] and keeper.retention().announced() == before
    assert keeper.store.clips("a")[0].stored_at == NOON


@pytest.mark.parametrize("kind", ["an incident", "a replay", "nothing told"])
def test_footage_that_came_while_the_hubs_clock_was_ahead_stays_no_longer(keeper: Keeper, kind: str) -> None:
    ahead = NOON + 365 * DAY_S
    if kind != "nothing told":
        replay = {"replay": {"run": "r", "picture_at_unix": NOON}} if kind == "a replay" else {}
        told = make_envelope(1, incident="one", phase="end")
        told["after"] |= replay
        keeper.store.add_alerts([told], ahead)
        keeper.judge("one", "false")
    (keeper.folder / "ab").mkdir(parents=True)
    (keeper.folder / "ab/one.mp4").write_bytes(bytes(1000))
    keeper.store.add_clip(Clip("one", 0, "shanghai", "box1", "cam3", NOON, 4.0, 1000, "00" * 32, "ab/one.mp4", ahead))
    bring_back(keeper.store.database, NOON + 60)
    keeper.pass_days(100)
    assert not (keeper.folder / "ab/one.mp4").exists()


@pytest.mark.parametrize(
    ("behind_days", "kept", "gone"),
    [
        pytest.param(3 * 365, 299, 301, id="not set, so it counts from when the hub heard"),
        pytest.param(200, 230, 300, id="set wrong, two months sooner at most"),
    ],
)
def test_a_clock_of_its_box_that_was_far_behind_costs_no_footage_its_time(
    keeper: Keeper, behind_days: int, kept: int, gone: int
) -> None:
    keeper.add("one", "true", started_at_unix=NOON - behind_days * DAY_S)
    assert keeper.pass_days(kept) == 0 and keeper.has_footage("one")
    assert keeper.pass_days(gone) == 1


def test_an_alert_that_nobody_judged_is_never_deleted(keeper: Keeper) -> None:
    keeper.add("alert")
    keeper.add("warning", severity="warning")
    keeper.free = 0
    assert keeper.pass_days(2000, RetentionConfig(reserve_gb=50, warn_days=0)) == 0
    assert keeper.has_footage("alert") and keeper.has_footage("warning")


def test_a_note_that_nobody_judged_goes_after_its_own_time(keeper: Keeper) -> None:
    keeper.add("note", severity="info")
    keeper.add("endless", severity="info", phase="update")  # its box is gone, and the word that it is over with it
    keeper.pass_days(49)
    assert keeper.has_footage("note") and keeper.has_footage("endless")
    keeper.pass_days(60)
    assert not keeper.has_footage("note") and not keeper.has_footage("endless")


def bring_clip(keeper: Keeper, name: str, stored_at: float) -> None:
    """A clip that its box brought without a word of the incident."""
    (keeper.folder / "ab").mkdir(exist_ok=True, parents=True)
    (keeper.folder / f"ab/{name}.mp4").write_bytes(bytes(1000))
    keeper.store.add_clip(
        Clip(name, 0, "shanghai", "box1", "cam3", NOON, 4.0, 1000, "00" * 32, f"ab/{name}.mp4", stored_at)
    )


def bring_side(keeper: Keeper, name: str, stored_at: float) -> None:
    """A side file, with or without its clip."""
    side = {
        "incident": name, "segment": 0, "site": "shanghai", "edge": "box1", "camera": "cam3", "started_at": NOON,
        "duration_s": 4.0, "size": 9, "sha256": "11" * 32, "file": f"ab/{name}.json.gz", "stored_at": stored_at,
    }  # fmt: skip
    (keeper.folder / f"ab/{name}.json.gz").write_bytes(b"looks")
    with keeper.store.database.writing() as connection:
        connection.execute(insert(sides), side)


def test_a_clip_whose_alert_never_came_is_announced_and_goes(keeper: Keeper) -> None:
    bring_clip(keeper, "ghost", NOON)
    keeper.retention().run(NOON + 82 * DAY_S)
    assert keeper.retention().announced() == []
    keeper.retention().run(NOON + 83 * DAY_S)
    (due,) = keeper.retention().announced()
    assert (due.incident, due.site, due.camera, due.rule, due.due_at, due.bytes) == (
        "ghost", "shanghai", "cam3", "no_alert", NOON + 90 * DAY_S, 1000,
    )  # fmt: skip
    assert keeper.retention().announced(scope=Scope.of(["suzhou"])) == []
    assert keeper.retention().ahead([NOON + 91 * DAY_S]) == [(1, 1000), (0, 0)]
    assert keeper.retention().run(NOON + 89 * DAY_S) == 0 and (keeper.folder / "ab/ghost.mp4").exists()
    assert keeper.retention().run(NOON + 90 * DAY_S) == 1
    assert not (keeper.folder / "ab/ghost.mp4").exists() and keeper.store.clips("ghost") == []
    assert [(gone.incident, gone.rule) for gone in keeper.retention().gone()] == [("ghost", "no_alert")]
    assert keeper.retention().gone(scope=Scope.of(["shanghai"])) == [], "whose it was is known no more"
    assert [entry.subject for entry in keeper.audit.entries() if entry.action == "footage_deleted"] == ["ghost"]


def test_a_clip_that_came_before_its_alert_stays_with_it(keeper: Keeper) -> None:
    bring_clip(keeper, "early", NOON)
    keeper.retention().run(NOON + 85 * DAY_S)
    assert len(keeper.retention().announced()) == 1
    keeper.store.add_alerts([make_envelope(1, incident="early", phase="end")], NOON + 86 * DAY_S)
    assert keeper.retention().announced() == []
    assert keeper.pass_days(200) == 0 and (keeper.folder / "ab/early.mp4").exists()
    keeper.judge("early", "false")
    assert keeper.retention().run(NOON + 300 * DAY_S) == 0, "it is announced anew"
    assert [due.rule for due in keeper.retention().announced()] == ["false_alarm"]


def test_a_clip_whose_alert_comes_between_question_and_deletion_stays(keeper: Keeper) -> None:
    bring_clip(keeper, "late", NOON)
    retention = keeper.retention()
    retention.run(NOON + 83 * DAY_S)
    assert retention._overdue(NOON + 90 * DAY_S) == ["late"]
    keeper.store.add_alerts([make_envelope(1, incident="late")], NOON + 90 * DAY_S)
    assert retention._delete(["late"], NOON + 90 * DAY_S, "age") == 0


def test_clips_without_an_alert_may_be_kept_for_ever_and_in_a_hold(keeper: Keeper) -> None:
    bring_clip(keeper, "held", NOON)
    keeper.cases.hold("held", "found in the folder", user="wang", at=NOON)
    keeper.pass_days(200)
    keeper.cases.release("held", user="wang", at=NOON)
    keeper.pass_days(200, DAYS.model_copy(update={"no_alert": None}))
    assert (keeper.folder / "ab/held.mp4").exists()


def test_a_legal_hold_keeps_it_and_its_end_announces_it_anew(keeper: Keeper) -> None:
    keeper.add("one", "false")
    keeper.pass_days(15)
    assert len(keeper.retention().announced()) == 1
    keeper.cases.hold("one", "the police asked", user="wang", at=NOON)
    keeper.pass_days(60)
    assert keeper.has_footage("one") and keeper.retention().announced() == []
    keeper.cases.release("one", user="wang", at=NOON)
    keeper.retention().run(END + 61 * DAY_S)
    assert [due.due_at for due in keeper.retention().announced()] == [END + 68 * DAY_S]


def test_what_was_held_for_a_while_is_announced_anew_whatever_else_was_announced_with_it(keeper: Keeper) -> None:
    for name in ("one", "two"):
        keeper.add(name, "false")
    keeper.pass_days(15)
    keeper.cases.hold("one", "the police asked", user="wang", at=NOON)
    retention = keeper.retention()
    retention.run(END + 16 * DAY_S)
    keeper.cases.release("one", user="wang", at=NOON)
    assert not retention.lets_go_of("one") and retention.lets_go_of("two")
    retention.run(END + 23 * DAY_S)
    assert keeper.has_footage("one") and not keeper.has_footage("two")
    assert retention.of("one") is None and retention.lets_go_of("one") and retention.lets_go_of("two")
    retention.run(END + 30 * DAY_S)
    assert [gone.incident for gone in retention.gone()] == ["one", "two"], "what went last comes first"
    assert [gone.incident for gone in retention.gone(limit=1)] == ["one"]
    assert [retention.of(name) for name in ("one", "two")] == retention.gone()


def test_an_open_case_keeps_it_and_a_closed_one_does_not(keeper: Keeper) -> None:
    keeper.add("one", "false")
    incident = keeper.store.incident("one")
    assert incident
    number = keeper.cases.make("theft", [incident], user="wang", at=NOON)
    keeper.pass_days(60)
    assert keeper.has_footage("one")
    case = keeper.cases.case(number)
    assert case and keeper.cases.change(case, {"state": CLOSED}, user="wang", at=NOON)
    keeper.pass_days(60)
    keeper.retention().run(END + 70 * DAY_S)
    assert not keeper.has_footage("one")


def test_a_new_verdict_counts_from_then_on(keeper: Keeper) -> None:
    keeper.add("one", "false")
    keeper.pass_days(15)
    keeper.judge("one", "true")
    keeper.pass_days(60)
    assert keeper.has_footage("one")


@pytest.mark.parametrize("meanwhile", ["", "true"])
def test_what_is_judged_false_again_is_announced_again(keeper: Keeper, meanwhile: str) -> None:
    keeper.add("one", "false")
    keeper.pass_days(14)
    assert len(keeper.retention().announced()) == 1
    if meanwhile:
        keeper.judge("one", meanwhile)
    else:
        keeper.store.verdicts.withdraw("one", "li", NOON)
    keeper.pass_days(40)
    keeper.judge("one", "false")
    keeper.retention().run(END + 40 * DAY_S)
    assert keeper.has_footage("one")
    assert [due.due_at for due in keeper.retention().announced()] == [END + 47 * DAY_S]
    keeper.retention().run(END + 47 * DAY_S)
    assert not keeper.has_footage("one")


def test_a_kind_may_have_days_of_its_own(keeper: Keeper) -> None:
    config = DAYS.model_copy(update={"by_kind": {"tamper": {"true_alarm": 10, "false_alarm": None}}})
    keeper.add("tamper", "true", kind="tamper")
    keeper.add("photos", "true")
    keeper.add("wrong", "false", kind="tamper")
    keeper.pass_days(100, config)
    assert [keeper.has_footage(name) for name in ("tamper", "photos", "wrong")] == [False, True, True]


def test_a_disk_that_runs_short_loses_judged_footage_the_least_needed_first(keeper: Keeper) -> None:
    for n, verdict in enumerate(("true", "false", "unclear", "authorised", "false")):
        keeper.add(f"{n}-{verdict}", verdict, started_at_unix=NOON - 100 * n)
    keeper.add("unjudged")
    order = []
    retention = keeper.retention(RetentionConfig(reserve_gb=50))
    while ids := retention._expendable():
        order.append(ids)
        retention._delete(ids, NOON, "space")
    assert order == [["4-false", "1-false"], ["3-authorised"], ["2-unclear"], ["0-true"]]
    retention.run(NOON)
    assert keeper.has_footage("unjudged") and not keeper.has_footage("0-true")


def test_what_was_judged_true_does_not_go_for_what_another_box_brings(keeper: Keeper) -> None:
    keeper.add("mine", "true")
    keeper.add("wrong", "false")
    keeper.add("mine-unjudged", size=600_000)
    keeper.add("third", edge="box3", size=10)
    keeper.add("junk", edge="box2", size=10**6)
    keeper.add("junk-true", "true", edge="box2")
    keeper.free = 0
    keeper.retention(RetentionConfig(reserve_gb=50)).run(NOON)
    left = [name for name in ("mine", "wrong", "mine-unjudged", "junk", "junk-true") if keeper.has_footage(name)]
    assert left == ["mine", "mine-unjudged", "junk"]


def test_for_a_box_that_waits_its_own_judged_footage_goes_and_nobody_elses(keeper: Keeper) -> None:
    keeper.add("wrong", "false")
    keeper.add("own", "true", edge="box2")
    keeper.add("own-held", "true", edge="box2")
    keeper.add("true", "true")
    keeper.add("unjudged", size=10**6)  # of what nobody judged that box has the most
    keeper.add("fits", "false", edge="box3")
    keeper.cases.hold("own-held", "the police asked", user="wang", at=NOON)
    config = RetentionConfig(reserve_gb=50)
    keeper.free = 50 * 10**9 + 1000
    waiting: dict[tuple[str, str], int] = {}
    retention = Retention(
        keeper.store.database, keeper.folder, config, keeper.audit,
        lambda _: (10**12, 0, keeper.free), lambda: waiting,
    )  # fmt: skip
    retention.run(NOON)
    assert keeper.has_footage("own")
    waiting.update({("shanghai", "box2"): 10**6, ("shanghai", "box3"): 1000})
    retention.run(NOON)
    names = ("wrong", "own", "own-held", "true", "unjudged", "fits")
    assert [name for name in names if not keeper.has_footage(name)] == ["own"]


def test_room_is_made_only_until_there_is_enough(keeper: Keeper) -> None:
    for n in range(25):
        keeper.add(f"n{n:02}", "false")
    retention = keeper.retention(RetentionConfig(reserve_gb=50))
    keeper.free = 40 * 10**9
    real = retention._remove_files

    def freed() -> bool:
        keeper.free += 6 * 10**9
        return real()

    retention._remove_files = freed  # type: ignore[method-assign]
    assert retention.run(NOON) == 10
    assert {gone.why for gone in retention.gone()} == {"space"}


def test_a_disk_that_lets_nothing_be_deleted_costs_hardly_any_record(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_path: Path, *, missing_ok: bool = False) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    for n in range(25):
        keeper.add(f"inc-{n}", "true")
    keeper.free = 0
    monkeypatch.setattr(Path, "unlink", refuse)
    gone = sum(keeper.retention(RetentionConfig(reserve_gb=50)).run(END) for _ in range(3))
    assert gone == 10  # the first that were tried
    monkeypatch.undo()
    keeper.free = 100 * 10**9
    assert keeper.retention(RetentionConfig(reserve_gb=50)).run(END) == 0
    assert [keeper.has_footage(f"inc-{n}") for n in range(25)].count(True) == 15


def test_files_that_a_crash_left_behind_go_the_next_time(keeper: Keeper) -> None:
    keeper.add("one")
    with keeper.store.database.writing() as connection:
        connection.execute(insert(doomed), [{"file": "ab/one.mp4"}, {"file": "../outside"}, {"file": "ab/gone.mp4"}])
    outside = keeper.folder.parent / "outside"
    outside.write_text("not ours")
    keeper.retention().run(NOON)
    assert not (keeper.folder / "ab/one.mp4").exists() and outside.exists()
    with keeper.store.database.reading() as connection:
        assert connection.execute(select(doomed)).all() == []


def test_side_files_go_with_their_clips(keeper: Keeper) -> None:
    keeper.add("one", "false")
    bring_side(keeper, "one", NOON)
    keeper.pass_days(21)
    assert not (keeper.folder / "ab/one.json.gz").exists()
    with keeper.store.database.reading() as connection:
        assert connection.execute(select(sides)).all() == []


@pytest.mark.parametrize("of", ["one", "two"])
def test_a_side_file_that_comes_after_all_else_was_deleted_goes_as_well(keeper: Keeper, of: str) -> None:
    keeper.add("one", spot="cage")
    other = make_envelope(9, incident="two", edge="box2", spot="cage", phase="end")
    other["after"] |= {"camera": "cam4"}
    keeper.store.add_alerts([other], NOON)
    keeper.judge("one", "false")
    keeper.pass_days(21)
    bring_side(keeper, of, END + 22 * DAY_S)
    for days in (30, 37):
        keeper.retention().run(END + days * DAY_S)
    assert not (keeper.folder / f"ab/{of}.json.gz").exists()


@pytest.mark.parametrize("why", ["age", "space"])
def test_footage_that_comes_after_it_was_deleted_goes_as_well(keeper: Keeper, why: str) -> None:
    keeper.add("one", "false")
    if why == "space":
        assert keeper.retention()._delete(["one"], END + DAY_S, "space") == 1
    else:
        keeper.pass_days(21)
    clip = Clip("one", 1, "shanghai", "box1", "cam3", NOON, 4.0, 500, "11" * 32, "ab/late.mp4", NOON)
    (keeper.folder / "ab/late.mp4").write_bytes(bytes(500))
    keeper.store.add_clip(clip)
    late = END + 30 * DAY_S
    assert keeper.retention().run(late) == 0
    assert [(due.incident, due.due_at, due.bytes) for due in keeper.retention().announced()] == [
        ("one", late + 7 * DAY_S, 500)
    ]
    gone = keeper.retention().of("one")
    assert gone and gone.deleted_at < late and keeper.store.without_footage(["one"]) == {"one"}
    assert keeper.retention().run(late + 7 * DAY_S) == 1
    assert not (keeper.folder / "ab/late.mp4").exists() and keeper.retention().announced() == []
    assert len([entry for entry in keeper.audit.entries() if entry.action == "footage_deleted"]) == 2


def test_what_went_stays_on_record_though_what_came_late_is_kept(keeper: Keeper) -> None:
    keeper.add("one", "false")
    keeper.pass_days(21)
    before = keeper.retention().gone()
    bring_clip(keeper, "one", NOON)
    late = END + 30 * DAY_S
    keeper.retention().run(late)
    keeper.judge("one", "true")
    keeper.retention().run(late + DAY_S)
    assert keeper.retention().announced() == [] and keeper.retention().gone() == before
    keeper.judge("one", "false")
    keeper.retention().run(late + 2 * DAY_S)
    assert [due.due_at for due in keeper.retention().announced()] == [late + 9 * DAY_S], "announced anew"


def test_footage_of_another_camera_that_comes_after_it_was_deleted_goes_as_well(keeper: Keeper) -> None:
    keeper.add("one", spot="cage")
    other = make_envelope(9, incident="two", edge="box2", spot="cage", phase="end")
    other["after"] |= {"camera": "cam4"}
    keeper.store.add_alerts([other], NOON)
    keeper.judge("one", "false")
    assert keeper.pass_days(21) == 2
    (keeper.folder / "ab/late.mp4").write_bytes(bytes(500))
    keeper.store.add_clip(Clip("two", 0, "shanghai", "box2", "cam4", NOON, 4.0, 500, "11" * 32, "ab/late.mp4", NOON))
    arrived = END + 30 * DAY_S
    assert keeper.retention().run(arrived) == 0
    assert [due.incident for due in keeper.retention().announced()] == ["one"]
    keeper.retention().run(arrived + 7 * DAY_S)
    assert not (keeper.folder / "ab/late.mp4").exists() and keeper.store.clips("two") == []
    assert keeper.retention().announced() == []


@pytest.mark.parametrize("why", ["age", "space"])
def test_what_another_camera_saw_of_a_case_stays_whatever_who_sees_that_one_alone_judged(
    keeper: Keeper, why: str
) -> None:
    keeper.add("one", spot="cage")
    other = make_envelope(9, incident="two", edge="box2", spot="cage", phase="end")
    other["after"] |= {"camera": "cam4"}
    keeper.store.add_alerts([other], NOON)
    bring_clip(keeper, "two", NOON)
    found, seen = (keeper.store.incident("two", Scope.of(scope)) for scope in (None, ["shanghai/cam4"]))
    assert found and found.id == "one" and seen and seen.id == "two"
    keeper.judge("two", "false")
    keeper.cases.make("sweep", [found], user="wang", at=NOON)
    keeper.free = 0 if why == "space" else keeper.free
    config = DAYS.model_copy(update={"reserve_gb": 1 if why == "space" else 0})
    assert keeper.pass_days(300 if why == "age" else 1, config) == 0
    assert keeper.store.clips("two") and keeper.has_footage("one")


def test_with_what_goes_its_double_goes_and_no_other(keeper: Keeper) -> None:
    for n, (name, verdict) in enumerate({"wrong": "false", "held": "false", "right": "true"}.items()):
        at, double = NOON - 9000 * n, f"{name}-too"
        keeper.add(name, spot="cage", started_at_unix=at)
        beside = make_envelope(n + 1, incident=double, edge="box2", spot="cage", phase="end")
        beside["after"] |= {"camera": "cam4", "started_at_unix": at, "ended_at_unix": at + 40}
        keeper.store.add_alerts([beside], NOON)
        bring_clip(keeper, double, NOON)
        keeper.judge(name, verdict)
        assert double not in {one.id for one in keeper.store.feed()}
    keeper.cases.hold("held-too", "the police asked", user="wang", at=NOON)
    assert keeper.pass_days(30) == 3
    left = sorted(path.stem for path in (keeper.folder / "ab").glob("*.mp4"))
    assert left == ["held-too", "right", "right-too"]


def test_a_double_that_was_judged_true_by_who_sees_it_alone_outlasts_what_is_shown(keeper: Keeper) -> None:
    keeper.add("shown", spot="cage")
    for n, (name, verdict) in enumerate({"unseen": "", "nothing": "false", "theft": "true"}.items(), 1):
        beside = make_envelope(n, incident=name, edge="box2", spot="cage", phase="end")
        beside["after"] |= {"camera": f"beside{n}"}
        keeper.store.add_alerts([beside], NOON)
        bring_clip(keeper, name, NOON)
        if verdict:
            keeper.judge(name, verdict)
    keeper.judge("shown", "false")
    assert keeper.pass_days(30) == 3
    assert [name for name in ("shown", "unseen", "nothing", "theft") if keeper.store.clips(name)] == ["theft"]
    assert keeper.pass_days(299) == 0 and keeper.pass_days(301) == 1
    assert not keeper.store.clips("theft")


def test_what_goes_is_counted_by_when_it_is_due_and_the_soonest_told_one_by_one(keeper: Keeper) -> None:
    for n in range(12):
        verdict = ("false", "authorised")[n % 2]
        keeper.add(f"n{n:02}", verdict, size=100 + n, started_at_unix=NOON - n * DAY_S)
    keeper.add("note", severity="info")
    keeper.add("late", "false", started_at_unix=NOON - 90 * DAY_S)
    retention = keeper.retention()
    for days in (4, 8, 14):
        retention._announce(END + days * DAY_S)
    all_due = retention.announced()
    assert len(all_due) == 9 and all_due == sorted(all_due, key=lambda due: (due.due_at, due.incident))
    assert retention.announced(3) == all_due[:3]
    ends = [END + days * DAY_S for days in (10, 12, 16)]
    spans = [[due for due in all_due if begin <= due.due_at < end] for begin, end in pairwise([0.0, *ends, 1e12])]
    assert retention.ahead(ends) == [(len(span), sum(due.bytes for due in span)) for span in spans]
    assert [len(span) for span in spans] == [0, 2, 2, 5]


def test_however_many_days_ahead_are_told_what_the_database_is_asked_does_not_grow(keeper: Keeper) -> None:
    asked: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        asked.append(statement)

    event.listen(keeper.store.database.engine, "before_cursor_execute", note)
    keeper.retention().ahead([NOON])
    few = asked.copy()
    keeper.retention().ahead([NOON + n * DAY_S for n in range(14)])
    assert asked == few * 2, "for each day the times of all clips would be looked up once more"


def steps(store: Store, deed: Callable[[], Any]) -> int:
    """What something costs an SQLite database, in thousands of steps of its machine."""
    taken = []

    def count(connection: Any, *_: object) -> None:
        connection.set_progress_handler(lambda: taken.append(1), 1000)

    event.listen(store.database.engine, "checkout", count)
    deed()
    event.remove(store.database.engine, "checkout", count)
    return len(taken)


def test_to_announce_ten_times_as_much_costs_about_ten_times_as_much(sqlite_store: Store, tmp_path: Path) -> None:
    keeper = Keeper(sqlite_store, tmp_path)
    keeper.add("seed", "false")
    cost = []
    with sqlite_store.database.reading() as connection:
        row = dict(connection.execute(select(incidents)).mappings().one())
    for n, count in enumerate((400, 4000)):
        rows = [{**row, "id": f"{n}-{m}", "seq": 10_000 * n + m + 2} for m in range(count)]
        with sqlite_store.database.writing() as connection:
            connection.execute(insert(incidents), rows)
        cost.append(steps(sqlite_store, lambda: keeper.retention()._announce(END + 30 * DAY_S)))
    assert sum(count for count, _ in keeper.retention().ahead([NOON])) == 4401
    assert cost[0] > 10 and cost[1] < 15 * cost[0]


def test_what_is_judged_anew_is_announced_no_longer_and_not_yet_by_its_new_verdict(keeper: Keeper) -> None:
    keeper.add("one", "false")
    keeper.retention().run(END + 15 * DAY_S)
    assert [due.rule for due in keeper.retention().announced()] == ["false_alarm"]
    keeper.judge("one", "authorised")
    assert keeper.retention().announced() == []
    keeper.retention().run(END + 24 * DAY_S)
    assert [due.rule for due in keeper.retention().announced()] == ["authorised"]


def test_judging_between_question_and_deletion_is_not_overlooked(keeper: Keeper) -> None:
    keeper.add("one", "false")
    retention = keeper.retention()
    keeper.cases.hold("one", "just now", user="wang", at=NOON)
    assert retention._delete(["one"], END + 60 * DAY_S, "age") == 0 and keeper.has_footage("one")
    keeper.add("two", "false")
    keeper.judge("two", "true")
    assert retention._delete(["two"], END + 60 * DAY_S, "age") == 0 and keeper.has_footage("two")
    keeper.add("three", "false")
    keeper.store.verdicts.withdraw("three", "li", NOON)
    assert retention._delete(["three"], END + 60 * DAY_S, "space") == 0 and keeper.has_footage("three")


def test_what_is_out_of_scope_is_not_told(keeper: Keeper) -> None:
    keeper.add("one", "false")
    keeper.pass_days(15)
    assert keeper.retention().announced(scope=Scope.of(["suzhou"])) == []
    assert sum(keeper.retention().ahead([NOON], Scope.of(["suzhou"])), ()) == (0,) * 4
    keeper.pass_days(23)
    assert keeper.retention().gone(scope=Scope.of(["shanghai/cam4"])) == []
    assert len(keeper.retention().gone(scope=Scope.of(["shanghai/cam3"]))) == 1


def test_the_page_shows_rules_disk_and_days_ahead(site: Any) -> None:
    keeper = Keeper(site.store, site.folder / "clips")
    site.store.add_alerts([make_envelope(1, incident="one", snapshot=make_jpeg(16, 16), phase="end")], NOON)
    keeper.judge("one", "false")
    site.clock.at = END + 25 * DAY_S
    retention = Retention(site.store.database, site.folder / "clips", RetentionConfig(reserve_gb=0), keeper.audit)
    retention.run(site.clock.at)
    page = site.somebody(Role.ADMIN).get("/retention").text
    assert "/incidents/one" in page and "30 天" in page and "不删" in page
    assert "一直没有对应告警的片段" in page and "90 天" in page
    assert "<details>\n  <summary>最先要删的 1 起</summary>" in page  # of hundreds the page would be as long as a book
    assert site.somebody(Role.REVIEWER).get("/retention").status_code == 403
    site.clock.at += 8 * DAY_S
    retention.run(site.clock.at)
    assert "录像已于" in site.somebody(Role.OWNER, name="boss").get("/incidents/one").text


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_calls_the_hold_what_the_button_calls_it(language: str) -> None:
    say = Phrases(language)
    assert say("hold") in say("retention_keep")


def test_a_picture_that_went_is_in_no_page_of_the_database(sqlite_store: Store, tmp_path: Path) -> None:
    keeper, picture = Keeper(sqlite_store, tmp_path / "clips"), b"\xff\xd8\xff" + os.urandom(30_000)
    keeper.add("one", "false", snapshot=picture)
    keeper.pass_days(21)
    with sqlite_store.database.reading() as connection:
        connection.exec_driver_sql("COMMIT")  # of the transaction that every connection begins with
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        file = Path(connection.exec_driver_sql("PRAGMA database_list").one()[2])
    assert picture[15_000:15_100] not in file.read_bytes()


def test_a_snapshot_that_went_is_no_longer_shown(keeper: Keeper) -> None:
    keeper.add("one", "false")
    with keeper.store.database.writing() as connection:
        connection.execute(delete(doomed))
    keeper.pass_days(21)
    assert keeper.store.snapshot("one") is None
    incident = keeper.store.incident("one")
    assert incident and incident.snapshot is None
