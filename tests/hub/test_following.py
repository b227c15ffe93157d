"""A program that follows what changes has what the list tells: nothing skipped, nothing told twice, nothing beyond."""

from __future__ import annotations

import random
import threading
from pathlib import Path
from typing import Any

import pytest

from detector.hub.storage.changes import Cursors
from detector.hub.storage.database import migrate
from detector.hub.storage.rights import EVERYWHERE, Principal, Role, Scope
from detector.hub.storage.store import Store
from detector.hub.storage.wanted import Wanted
from tests.hub.conftest import NOON, Site, make_envelope, make_older
from tests.hub.test_api import Program, ids
from tests.hub.test_spots import CAMERAS, FIRST, SECOND, THIRD, told

EACH = Wanted(doubles=True)


class Follower:
    """Keeps a copy as the API's description says."""

    def __init__(self, program: Program, limit: int = 200, **filters: Any) -> None:
        self.program, self.limit, self.filters = program, limit, filters
        self.cursor = "start"
        self.copy: dict[str, Any] = {}
        self.heard: list[str] = []

    def catch_up(self) -> dict[str, Any]:
        """Ask until nothing is new; the copy."""
        while True:
            page = self.program.get("incidents", changed_since=self.cursor, limit=self.limit, **self.filters)
            assert page["next"] is None and len(page["incidents"]) + len(page["gone"]) <= self.limit
            for one in page["incidents"]:
                self.copy[one["id"]] = one
            for one in page["gone"]:
                self.copy.pop(one["id"], None)
            self.heard += [one["id"] for one in (*page["incidents"], *page["gone"])]
            self.cursor = page["changed_until"]
            if not page["incidents"] and not page["gone"]:
                return self.copy

    def news(self) -> list[str]:
        """What is new since the last time, by id."""
        self.heard = []
        self.catch_up()
        return self.heard


def listed(program: Program, **filters: Any) -> dict[str, Any]:
    """What the list tells."""
    return {one["id"]: one for one in program.get("incidents", limit=200, **filters)["incidents"]}


def add(site: Site, seq: int, incident: str, **changes: Any) -> None:
    camera = changes.pop("camera", "cam3")
    envelope = make_envelope(seq, incident=incident, camera=camera, **changes)
    envelope["after"]["camera"] = camera
    site.store.add_alerts([envelope], NOON)


def test_verdicts_escalations_and_late_alerts_are_heard_of_once_each(site: Site, mp4: bytes) -> None:
    add(site, 1, "a", severity="warning")
    add(site, 2, "b")
    owner = Program(site)
    follower = Follower(owner)
    assert set(follower.catch_up()) == {"a", "b"} and follower.news() == []
    assert owner.judge("b", verdict="false").status_code == 201
    assert follower.news() == ["b"] and follower.copy["b"]["verdict"] == "false"
    add(site, 3, "a", severity="critical")
    assert follower.news() == ["a"] and follower.copy["a"]["severity"] == "critical"
    add(site, 4, "late", started_at_unix=NOON - 30 * 86400)
    assert follower.news() == ["late"], "though it began long before all others"
    site.store.verdicts.withdraw("b", "token:owner-0", NOON)
    assert site.client.put("/api/clips/a/0", content=mp4, headers=site.claim(mp4, "a")).status_code == 201
    assert follower.news() == ["b", "a"] and follower.copy == listed(owner)


@pytest.mark.parametrize("limit", [1, 3])
def test_changes_of_one_instant_are_told_page_by_page(site: Site, limit: int) -> None:
    site.store.add_alerts([make_envelope(n, incident=f"i{n}") for n in range(1, 8)], NOON)
    follower = Follower(Program(site), limit)
    follower.catch_up()
    assert follower.heard == [f"i{n}" for n in range(1, 8)]


def test_what_no_longer_matches_is_named_as_gone(site: Site) -> None:
    owner = Program(site)
    add(site, 1, "a")
    add(site, 2, "b", camera="cam4")
    open_ones, of_camera = Follower(owner, verdict="none"), Follower(owner, camera="cam4")
    assert set(open_ones.catch_up()) == {"a", "b"} and set(of_camera.catch_up()) == {"b"}
    owner.judge("a", verdict="true")
    assert open_ones.news() == ["a"] and set(open_ones.copy) == {"b"}
    assert of_camera.news() == [], "of another camera nothing is told, not even that"


def test_a_scope_holds_for_what_changed_and_for_the_cursor(site: Site) -> None:
    add(site, 1, "a")
    add(site, 2, "b", camera="cam4")
    guard = Program(site, Role.VIEWER, ["shanghai/cam4"])
    follower = Follower(guard)
    assert set(follower.catch_up()) == {"b"} == set(follower.heard)
    cursor, now = follower.cursor, guard.get("incidents", changed_since="now")["changed_until"]
    add(site, 3, "a", phase="end")
    assert follower.news() == [] and follower.cursor == cursor == now
    assert guard.get("incidents", changed_since="now")["changed_until"] == cursor


def test_who_begins_now_hears_only_of_what_comes(site: Site) -> None:
    owner, follower = Program(site), Follower(Program(site, Role.VIEWER))
    assert owner.get("incidents", changed_since="now") == owner.get("incidents", changed_since="start")
    add(site, 1, "a")
    begun = owner.get("incidents", changed_since="now")
    assert begun["incidents"] == begun["gone"] == []
    add(site, 2, "b")
    follower.cursor = begun["changed_until"]
    assert follower.news() == ["b"]


def test_an_incident_that_gives_way_to_another_cameras_is_gone_and_says_to_which(site: Site) -> None:
    owner = Program(site)
    site.store.add_alerts([told(severity="warning")], NOON)
    follower = Follower(owner)
    assert set(follower.catch_up()) == {FIRST}
    site.store.add_alerts([told(SECOND, severity="critical")], NOON + 1)
    page = owner.get("incidents", changed_since=follower.cursor)
    assert page["gone"] == [{"id": FIRST, "same_as": SECOND}] and ids(page) == [SECOND]
    assert follower.catch_up() == listed(owner)


def test_who_sees_one_of_two_cameras_hears_when_what_both_tell_becomes_an_alert(site: Site) -> None:
    site.store.add_alerts([told(severity="info"), told(SECOND, severity="info")], NOON)
    program = Program(site, Role.VIEWER, ["shanghai/cam4"])
    follower = Follower(program, told="alert")
    assert follower.catch_up() == {}
    site.store.add_alerts([told(FIRST, 11, severity="critical")], NOON + 1)
    assert set(follower.catch_up()) == {SECOND} == set(listed(program, told="alert"))
    page = program.get("incidents", changed_since="start", told="digest")
    assert page["gone"] == [{"id": SECOND, "same_as": None}], "the other camera's is none of theirs"


def test_who_sees_one_of_three_cameras_hears_when_the_one_shown_gives_way_to_a_graver(site: Site) -> None:
    site.store.add_alerts([told(severity="info"), told(SECOND, severity="info")], NOON)
    program = Program(site, Role.VIEWER, ["shanghai/cam4"])
    follower = Follower(program, told="digest")
    assert set(follower.catch_up()) == {SECOND}
    site.store.add_alerts([told(THIRD, severity="critical")], NOON + 1)
    assert follower.catch_up() == {} == listed(program, told="digest")


@pytest.mark.parametrize("seed", range(2))
def test_whatever_happens_the_copy_is_what_the_list_tells(site: Site, seed: int) -> None:
    chance = random.Random(seed)
    programs = [Program(site), Program(site, Role.VIEWER, ["shanghai/cam3"])]
    filters: list[dict[str, str]] = [{}, {"told": "alert"}, {"verdict": "none"}]
    followers = [
        (program, narrow, Follower(program, chance.choice([2, 200]), **narrow))
        for program in programs
        for narrow in filters
    ]
    severities = ["info"] * 5 + ["warning"] * 3 + ["critical"]
    for seq in range(1, 60):
        camera, event, severity = chance.choice(list(CAMERAS)), chance.randrange(8), chance.choice(severities)
        one = told(camera, seq, incident=f"{camera}-{event}", severity=severity, begun=event * 1000.0)
        site.store.add_alerts([one], NOON + seq)
        shown = [one.id for one in site.store.feed()]
        if chance.random() < 0.1:
            site.store.verdicts.add(chance.choice(shown), "li", chance.choice(["true", "false"]), "", NOON + seq)
        for program, narrow, follower in chance.sample(followers, chance.choice([0, 0, 1])):
            assert follower.catch_up() == listed(program, **narrow), (seq, narrow)
    for program, narrow, follower in followers:
        assert follower.catch_up() == listed(program, **narrow), narrow


def test_nothing_is_skipped_while_many_write_at_once(store: Store) -> None:
    """Of two that write at once, either may be done first; whoever asks meanwhile misses neither."""
    done, writers = threading.Event(), 3

    def write(writer: int) -> None:
        for n in range(1, 21):
            envelope = make_envelope(n, incident=f"{writer}-{n % 7}", edge=f"box{writer}", epoch=f"e{writer}")
            envelope["after"]["facts"] = {"n": n}
            store.add_alerts([envelope], NOON)

    threads = [threading.Thread(target=write, args=(writer,)) for writer in range(writers)]
    copy: dict[str, Any] = {}
    last: int | None = None
    for thread in threads:
        thread.start()
    while not done.is_set():
        if not any(thread.is_alive() for thread in threads):
            done.set()  # one more round
        while page := store.followed(last, 2, within=EACH, wanted=EACH):
            numbers = [number for number, _, _ in page]
            assert numbers == sorted(set(numbers)) and (last is None or numbers[0] > last)
            copy |= {one.id: one.record["facts"]["n"] for _, _, one in page}
            last = numbers[-1]
    assert copy == {one.id: one.record["facts"]["n"] for one in store.feed(limit=1000)} and len(copy) == 7 * writers


def test_a_stream_rings_for_what_changed_within_the_scope_and_ends_with_the_token(site: Site) -> None:
    guard = Program(site, Role.VIEWER, ["shanghai/cam4"])
    follower = Follower(guard)
    follower.catch_up()
    add(site, 1, "a")
    add(site, 2, "b", camera="cam4")
    owner = Principal("owner", Role.OWNER, EVERYWHERE)
    threading.Timer(1.0, site.people.revoke_token, (owner, "viewer-1", NOON)).start()
    answer = guard.client.get("/api/events", params={"changed_since": follower.cursor})
    assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/event-stream")
    events = [event for event in answer.text.split("\n\n") if "event:" in event]
    (number, kind, data) = events[0].split("\n")
    assert len(events) == 1 and (kind, data) == ("event: incident", 'data: {"id": "b"}')
    again = Program(site).client.get(
        "/api/incidents", params={"changed_since": number.removeprefix("id: "), "camera": "cam4"}
    )
    assert again.json()["incidents"] == [], "its number is a cursor"


def test_a_stream_that_is_taken_up_again_goes_on_after_its_last_event(site: Site) -> None:
    owner = Program(site)
    add(site, 1, "a")
    seen = {"Last-Event-ID": owner.get("incidents", changed_since="now")["changed_until"]}
    add(site, 2, "b")
    threading.Timer(1.0, site.live.close).start()
    told_again = owner.client.get("/api/events", params={"changed_since": "start"}, headers=seen).text
    assert '"b"' in told_again and '"a"' not in told_again
    assert owner.client.get("/api/events").status_code == 503
    site.live._closed = False
    assert owner.get("events", 410, changed_since="0123abcd.1")["reason"]


def test_what_is_committed_late_is_told_all_the_same(store: Store) -> None:
    def add_alert(name: str) -> None:
        envelope = make_envelope(1, incident=name, edge=name, epoch=name)
        envelope["after"]["camera"] = name  # nothing of the two is the same that one could wait for
        store.add_alerts([envelope], NOON)

    with store.database.writing():
        add_alert("slow")  # has its number, and isn't committed
        quick = threading.Thread(target=add_alert, args=("quick",))
        quick.start()
        quick.join(1.0)
        first = store.followed(None, 10, within=EACH, wanted=EACH)
    quick.join(30.0)
    last = first[-1][0] if first else None
    second = store.followed(last, 10, within=EACH, wanted=EACH)
    assert sorted(one.id for _, _, one in [*first, *second]) == ["quick", "slow"]


def test_asking_again_while_nothing_changed_is_answered_with_304(site: Site) -> None:
    add(site, 1, "a")
    owner = Program(site)
    cursor = owner.get("incidents", changed_since="now")["changed_until"]
    first = owner.client.get("/api/incidents", params={"changed_since": cursor})
    known = {"If-None-Match": first.headers["etag"]}
    assert owner.client.get("/api/incidents", params={"changed_since": cursor}, headers=known).status_code == 304
    add(site, 2, "a", phase="end")
    assert owner.client.get("/api/incidents", params={"changed_since": cursor}, headers=known).status_code == 200


@pytest.mark.parametrize("cursor", ["", "nonsense", "2026-11-01T04:00:00Z", "17", "00000000.1e3", "start "])
def test_what_is_no_cursor_is_refused(site: Site, cursor: str) -> None:
    assert "start" in Program(site).get("incidents", 422, changed_since=cursor)["reason"]


def test_a_cursor_of_another_memory_is_answered_with_begin_anew(site: Site) -> None:
    owner = Program(site)
    add(site, 1, "a")
    mine = owner.get("incidents", changed_since="now")["changed_until"]
    for cursor in ("0123abcd.1", mine + "0"):
        assert "start" in owner.get("incidents", 410, changed_since=cursor)["reason"]
    assert owner.get("incidents", 422, changed_since=mine, cursor="1.0,a")


def test_a_memory_keeps_its_name_until_its_file_is_gone(tmp_path: Path) -> None:
    cursor = Cursors(tmp_path).written(7)
    assert Cursors(tmp_path).number(cursor) == 7
    (tmp_path / "changes.id").unlink()
    assert Cursors(tmp_path).number(cursor) is None


def test_after_an_update_all_that_was_there_before_is_followed_too(store: Store) -> None:
    for n in range(1, 6):
        store.add_alerts([make_envelope(n, incident=f"i{n}", started_at_unix=NOON + n)], NOON)
    store.verdicts.add("i4", "li", "true", "", NOON)
    last = store.last_change()
    with store.database.writing() as connection:
        rows = connection.exec_driver_sql("SELECT number, incident FROM changes WHERE incident IN ('i3', 'i4')").all()
    make_older(store.database, "0023")
    with store.database.writing() as connection:  # as older hubs kept it: the last changes of all, one by one
        connection.exec_driver_sql("DELETE FROM changes")
        for number, incident in (*rows, (last - 1, "i4")):
            connection.exec_driver_sql(f"INSERT INTO changes (number, incident) VALUES ({number}, '{incident}')")
        migrate(connection)
    found = store.followed(None, 10, within=EACH, wanted=EACH)
    assert [one.id for _, _, one in found] == ["i1", "i2", "i5", "i3", "i4"]
    assert store.last_change() == last == found[-1][0] and store.changed_since(last) == ([], True)


def test_a_site_alone_is_followed_within_the_scope(store: Store) -> None:
    for n, site in enumerate(("shanghai", "suzhou"), 1):
        store.add_alerts([make_envelope(n, incident=site, site=site, epoch=site)], NOON)
    within = Wanted(scope=Scope.of(["suzhou"]), doubles=True)
    assert [one.id for _, _, one in store.followed(None, 10, within=within, wanted=within)] == ["suzhou"]
