"""Who goes to where an alert came from: everybody sees it at once, and the owner how long it took."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.hub.desk.responses import FOUND, FRESH_S, GOING, OFF, STEPS, THERE, Responses, Step, Trip, trips
from detector.hub.storage.rights import Role, Scope
from detector.hub.storage.store import Store
from detector.hub.storage.wanted import Wanted
from detector.values import DAY_S
from tests.hub.conftest import NOON, Site
from tests.hub.test_pages import text_of

SCRIPT = {"X-Fragment": "item"}
HERE = "/incidents/inc-1/response"
GOES, IS_THERE, GOES_NOT = {"step": GOING}, {"step": THERE}, {"step": OFF}


def step(user: str, at: float, what: str, found: str = "") -> Step:
    """One of an incident."""
    return Step(0, "inc-1", user, NOON + at, what, found)


@pytest.mark.parametrize(
    ("steps", "standing"),
    [
        ([], []),
        ([step("li", 60, GOING)], [Trip("li", NOON + 60)]),
        ([step("li", 60, GOING), step("li", 90, OFF)], []),
        ([step("li", 60, GOING), step("li", 200, THERE)], [Trip("li", NOON + 60, NOON + 200)]),
        # What was found is said later: they were there when they first said so.
        (
            [step("li", 60, GOING), step("li", 200, THERE), step("li", 500, THERE, "stopped")],
            [Trip("li", NOON + 60, NOON + 200, "stopped")],
        ),
        ([step("li", 200, THERE)], [Trip("li", None, NOON + 200)]),
        ([step("li", 60, GOING), step("li", 200, THERE), step("li", 900, GOING)], [Trip("li", NOON + 60, NOON + 200)]),
        ([step("li", 60, GOING), step("wang", 70, GOING), step("li", 80, OFF)], [Trip("wang", NOON + 70)]),
    ],
)
def test_how_matters_stand_is_what_each_said_last(steps: list[Step], standing: list[Trip]) -> None:
    assert trips(steps) == standing


SAID = st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from(STEPS), st.sampled_from(("", *FOUND))), max_size=12)


@given(SAID)
def test_nobody_stands_twice_and_who_went_back_not_at_all(said: list[tuple[str, str, str]]) -> None:
    steps = [step(user, n, what, found if what == THERE else "") for n, (user, what, found) in enumerate(said)]
    standing = trips(steps)
    last = {one.user: one.step for one in steps}
    assert sorted(trip.user for trip in standing) == sorted(user for user, what in last.items() if what != OFF)
    assert all(trip.there_at is not None for trip in standing if last[trip.user] == THERE)


def test_what_is_known_already_is_not_written_again(store: Store, envelope: Any) -> None:
    store.add_alerts([envelope(1)], NOON)
    responses = Responses(store.database)
    said = [(OFF, ""), (GOING, ""), (GOING, ""), (THERE, ""), (THERE, ""), (THERE, "gone"), (THERE, "gone"), (OFF, "")]
    written = [responses.add("inc-1", "li", what, found, NOON + n) for n, (what, found) in enumerate(said)]
    assert written == [False, True, False, True, False, True, False, True]
    assert [(one.step, one.found) for one in responses.steps(["inc-1"])] == [
        (GOING, ""), (THERE, ""), (THERE, "gone"), (OFF, ""),
    ]  # fmt: skip


def test_open_pages_are_told_that_somebody_goes(store: Store, envelope: Any) -> None:
    store.add_alerts([envelope(1), envelope(2, incident="inc-2")], NOON)
    before = store.last_change()
    Responses(store.database).add("inc-1", "li", GOING, "", NOON + 5)
    assert [one[1] for one in store.changed_since(before)[0]] == ["inc-1"]


def test_the_wait_is_from_the_first_act_to_the_first_who_was_there(store: Store, envelope: Any) -> None:
    begun = [NOON, NOON + 100, NOON - 40 * DAY_S, NOON]
    store.add_alerts(
        [envelope(n, incident=f"inc-{n}", started_at_unix=at, ended_at_unix=at + 5) for n, at in enumerate(begun, 1)],
        NOON,
    )
    responses = Responses(store.database)
    for incident, user, what, at in (
        ("inc-1", "li", GOING, 60), ("inc-1", "wang", THERE, 300), ("inc-1", "li", THERE, 200),
        ("inc-2", "li", THERE, 50), ("inc-3", "li", THERE, 60), ("inc-4", "li", GOING, 60),
        ("inc-4", "wang", THERE, 70), ("inc-4", "wang", OFF, 80),
    ):  # fmt: skip
        responses.add(incident, user, what, "", NOON + at)
    # One whose clock is ahead of the hub's: nobody is there before it began.
    assert responses.waits(Wanted(since=NOON - 28 * DAY_S)) == [0.0, 200.0]
    assert responses.waits(Wanted(since=NOON - 28 * DAY_S, scope=Scope.of(["suzhou"]))) == []


def test_a_guard_goes_is_there_and_says_what_was_found(site: Site, envelope: Any) -> None:
    site.store.add_alerts([envelope(1)], NOON)
    li, wang = site.somebody(Role.REVIEWER, name="li"), site.somebody(Role.REVIEWER, name="wang")
    assert "我去现场" in li.get("/incidents/inc-1").text
    site.clock.at = NOON + 65
    fragment = li.post(HERE, data=GOES, headers=SCRIPT)
    assert fragment.status_code == 200 and "我到了" in fragment.text and "<html" not in fragment.text
    seen = wang.get("/incidents/inc-1/item").text
    assert "li 在去现场的路上，出发于 12:01:05" in text_of(wang.get("/incidents/inc-1")) and "我去现场" in seen
    assert "li 12:01 出发去现场" in site.client.get("/").text
    site.clock.at = NOON + 200
    assert li.post(HERE, data=IS_THERE).headers["location"] == "/incidents/inc-1"
    told = li.post(HERE, data=IS_THERE | {"found": "stopped"}, headers=SCRIPT).text
    assert 'value="stopped" aria-pressed="true"' in told
    page = text_of(wang.get("/incidents/inc-1"))
    assert "li 到了现场 12:03:20 开始后 3 分 20 秒 当场制止" in page and "li 去现场 " in page
    assert "li 到过现场" in site.client.get("/").text
    assert "到现场查看过 1 起，从开始到有人到场，中位数 3 分 20 秒。" in text_of(site.client.get("/weeks"))
    audit = site.parts.audit.entries(subject="inc-1")
    assert [(one.action, one.details) for one in audit] == [
        ("response", {"step": THERE, "found": "stopped"}), ("response", {"step": THERE, "found": ""}),
        ("response", {"step": GOING, "found": ""}),
    ]  # fmt: skip
    assert "去现场查看" in site.client.get("/audit").text and "当场制止" in site.client.get("/audit").text


def test_who_does_not_go_after_all_leaves_a_line_alone(site: Site, envelope: Any) -> None:
    site.store.add_alerts([envelope(1)], NOON)
    for said in (GOES, GOES_NOT):
        site.client.post(HERE, data=said)
    page = text_of(site.client.get("/incidents/inc-1"))
    assert "撤销去现场的记录" in page and "我去现场" in page and "在去现场的路上" not in page
    assert "出发去现场" not in site.client.get("/").text and "到现场查看过" not in site.client.get("/weeks").text


@pytest.mark.parametrize("judged", ["false", "authorised"])
def test_nobody_is_sent_where_nothing_is_to_be_seen_any_more(site: Site, envelope: Any, judged: str) -> None:
    site.store.add_alerts([envelope(1), envelope(2, incident="inc-2")], NOON)
    ended = site.store.incident("inc-1").ended_at  # type: ignore[union-attr]
    site.client.post("/incidents/inc-2/response", data=GOES)
    site.client.post("/incidents/inc-1/verdict", data={"verdict": judged})
    site.client.post("/incidents/inc-2/verdict", data={"verdict": judged})
    assert "我去现场" not in site.client.get("/incidents/inc-1").text
    assert site.client.post(HERE, data=GOES).status_code == 400
    site.client.post("/incidents/inc-1/undo")
    site.clock.at = ended + FRESH_S + 1
    assert "我去现场" not in site.client.get("/incidents/inc-1").text
    assert site.client.post(HERE, data=GOES).status_code == 400
    # Who went there may say later what they found.
    assert site.client.post("/incidents/inc-2/response", data=IS_THERE | {"found": "gone"}).status_code == 303


@pytest.mark.parametrize(
    "fields",
    [{}, {"step": "maybe"}, GOES | {"found": "gone"}, IS_THERE | {"found": "gold"}, {"found": "gone"}],
)
def test_steps_that_say_nothing_sensible_are_refused(site: Site, envelope: Any, fields: dict[str, str]) -> None:
    site.store.add_alerts([envelope(1)], NOON)
    assert site.client.post(HERE, data=fields).status_code == 400
    assert site.parts.responses.steps(["inc-1"]) == []


def test_a_viewer_sees_who_goes_and_can_not(site: Site, envelope: Any) -> None:
    site.store.add_alerts([envelope(1)], NOON)
    site.client.post(HERE, data=GOES)
    viewer = site.somebody(Role.VIEWER)
    page = viewer.get("/incidents/inc-1").text
    assert "在去现场的路上" in page and 'name="step"' not in page
    assert viewer.post(HERE, data=GOES).status_code == 403
    assert site.somebody(Role.REVIEWER, ["suzhou"], "far").post(HERE, data=GOES).status_code == 404


def test_programs_are_told_who_went(site: Site, envelope: Any) -> None:
    site.store.add_alerts([envelope(1)], NOON)
    user = site.login["user"]
    site.client.post(HERE, data=GOES)
    site.clock.at = NOON + 90
    site.client.post(HERE, data=IS_THERE | {"found": "in_order"})
    told = site.client.get("/api/incidents/inc-1").json()["responses"]
    assert [(one["user"], one["step"], one["found"]) for one in told] == [
        (user, GOING, ""), (user, THERE, "in_order"),
    ]  # fmt: skip
    assert told[1]["at"].endswith("Z") and told[0]["at"] < told[1]["at"]
