"""Incidents of one camera and kind, judged together: each verdict is as good, and as open to question, as one alone."""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import pytest

from detector.hub.storage.rights import Role
from detector.hub.storage.verdicts import Verdicts
from tests.hub.conftest import NOON, Site, make_envelope

PAGE = "/incidents/inc-1/alike"


@pytest.fixture
def alike(site: Site) -> Site:
    """Four incidents of one camera and kind, one of another kind and one of another camera."""
    told = [{"incident": f"inc-{n}", "started_at_unix": NOON - 600 * n} for n in range(1, 5)]
    others: list[dict[str, Any]] = [
        {"incident": "other-kind", "kind": "lingering"},
        {"incident": "other-camera", "camera": "cam4"},
    ]
    fields = [make_envelope(n + 1, **one) for n, one in enumerate([*told, *others])]
    for one in fields:
        one["after"]["camera"] = one["camera"]
    site.store.add_alerts(fields, NOON)
    return site


def marked(*incidents: str) -> dict[str, str]:
    return {f"mark-{one}": "critical" for one in incidents}


def offered(page: str) -> list[str]:
    return re.findall(r'name="mark-([^"]+)"', page)


def verdicts(site: Site) -> dict[str, str | None]:
    return {one.id: one.verdict for one in site.store.feed(limit=50)}


def test_what_nobody_has_judged_of_the_camera_and_kind_is_offered_and_nothing_marked_before_it_is_seen(
    alike: Site,
) -> None:
    alike.store.verdicts.add("inc-2", "bo", "true", "", NOON)
    page = alike.client.get(PAGE).text
    assert offered(page) == ["inc-1", "inc-3", "inc-4"] and " checked" not in page
    assert alike.client.get(f"{PAGE}?all=1").text.count(" checked") == 3
    assert f'href="{PAGE}"' in alike.client.get("/incidents/inc-1").text
    assert f'href="{PAGE}"' in alike.client.get("/review?incident=inc-1").text


def test_where_an_incident_is_the_only_one_left_nothing_is_offered(alike: Site) -> None:
    assert "/alike" not in alike.client.get("/incidents/other-kind").text
    assert "/alike" not in alike.somebody(Role.VIEWER).get("/incidents/inc-1").text


def test_it_is_asked_once_and_then_each_that_was_marked_has_its_verdict_reason_and_line_in_the_log(alike: Site) -> None:
    fields = {**marked("inc-1", "inc-3"), "verdict": "false"}
    asked = alike.client.post(PAGE, data=fields)
    assert offered(asked.text) == ["inc-1", "inc-3"] and 'name="sure"' in asked.text
    assert set(verdicts(alike).values()) == {None}
    done = alike.client.post(PAGE, data={**fields, "sure": "1", "reason": "scan"})
    assert done.status_code == 303
    found = verdicts(alike)
    assert (found["inc-1"], found["inc-2"], found["inc-3"], found["inc-4"]) == ("false", None, "false", None)
    (standing,) = alike.store.verdicts.on("inc-3")
    assert (standing.user, standing.verdict, standing.reason) == (alike.login["user"], "false", "scan")
    (line,) = [entry for entry in alike.parts.audit.entries(subject="inc-3") if entry.action == "verdict"]
    assert line.details == {"verdict": "false", "reason": "scan", "together": 2}
    # Undone at once, or each on its own page.
    shown = alike.client.get(done.headers["location"]).text
    assert "撤销这 2 起" in shown
    (at,) = re.findall(r'name="at" value="([^"]+)"', shown)
    alike.client.post("/incidents/inc-3/undo")
    assert "撤销这 1 起" in alike.client.get(done.headers["location"]).text
    assert alike.client.post(f"{PAGE}/undo", data={"at": at}).status_code == 303
    assert set(verdicts(alike).values()) == {None}
    undone = [entry.subject for entry in alike.parts.audit.entries() if entry.action == "undo"]
    assert sorted(undone) == ["inc-1", "inc-3"]


def test_who_chooses_again_finds_marked_what_they_had_marked(alike: Site) -> None:
    asked = alike.client.post(PAGE, data={**marked("inc-1", "inc-3"), "verdict": "false"}).text
    (button,) = re.findall(r'<button name="(\w+)" value="1">返回重选</button>', asked)
    fields = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', asked))
    alike.store.verdicts.add("inc-3", "bo", "true", "", NOON)
    page = alike.client.post(PAGE, data={**fields, "reason": "", button: "1"}).text
    assert offered(page) == ["inc-1", "inc-2", "inc-4"]
    assert re.findall(r'name="mark-([^"]+)" value="critical" checked', page) == ["inc-1"]
    assert "还没有勾选" not in page and verdicts(alike)["inc-1"] is None


def test_what_somebody_judged_meanwhile_is_left_alone_and_told(alike: Site) -> None:
    fields = {**marked("inc-1", "inc-2"), "verdict": "false", "sure": "1"}
    alike.store.verdicts.add("inc-2", "bo", "true", "", NOON)
    done = alike.client.post(PAGE, data=fields)
    assert verdicts(alike)["inc-2"] == "true" and verdicts(alike)["inc-1"] == "false"
    assert "另有 1 起这期间已有变化" in alike.client.get(done.headers["location"]).text


def test_what_grew_graver_than_what_was_looked_at_is_cleared_by_nobody_and_told(alike: Site) -> None:
    told = [make_envelope(n, incident=f"mild-{n}", severity="warning") for n in (20, 21)]
    for one in told:
        one["after"]["camera"] = one["camera"]
    alike.store.add_alerts(told, NOON)
    fields = dict(re.findall(r'name="(mark-mild-\d+)" value="([^"]*)"', alike.client.get(PAGE).text))
    asked = alike.client.post(PAGE, data={**fields, "verdict": "false"}).text
    fields = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', asked))
    alike.store.add_alerts([make_envelope(22, incident="mild-21", severity="critical", phase="update")], NOON)
    done = alike.client.post(PAGE, data={**fields, "sure": "1"})
    assert (verdicts(alike)["mild-20"], verdicts(alike)["mild-21"]) == ("false", None)
    assert "另有 1 起这期间已有变化" in alike.client.get(done.headers["location"]).text
    # What it is now is there to be marked, and that it is true may be said of more than was looked at.
    assert 'name="mark-mild-21" value="critical"' in alike.client.get(PAGE).text
    alike.client.post(PAGE, data={"mark-mild-21": "warning", "verdict": "true", "sure": "1"})
    assert verdicts(alike)["mild-21"] == "true"


def test_undoing_takes_back_nothing_of_somebody_else_nor_what_came_after(alike: Site) -> None:
    guard = alike.somebody(Role.REVIEWER)
    done = alike.client.post(PAGE, data={**marked("inc-1", "inc-2"), "verdict": "false", "sure": "1"})
    at = re.search(r"at=([^&]+)", done.headers["location"])[1]  # type: ignore[index]
    assert guard.post(f"{PAGE}/undo", data={"at": at}).status_code == 303
    assert verdicts(alike)["inc-1"] == "false"
    alike.store.verdicts.add("inc-2", "bo", "true", "", NOON)
    alike.client.post(f"{PAGE}/undo", data={"at": at})
    assert (verdicts(alike)["inc-1"], verdicts(alike)["inc-2"]) == (None, "true")


def test_undoing_takes_back_nothing_that_somebody_else_gives_at_that_moment(
    postgres: Callable[[], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site, given = Site(tmp_path, anew=True, database=postgres()), Verdicts.given
    site.store.add_alerts([make_envelope(1)], NOON)
    done = site.client.post(PAGE, data={**marked("inc-1"), "verdict": "false", "sure": "1"})
    at = re.search(r"at=([^&]+)", done.headers["location"])[1]  # type: ignore[index]

    def given_before(kept: Verdicts, user: str, at: float) -> dict[str, str]:
        found = given(kept, user, at)
        wait([colleague.submit(kept.add, "inc-1", "bo", "true", "", NOON)], 0.5)
        return found

    with ThreadPoolExecutor(1) as colleague:
        monkeypatch.setattr(Verdicts, "given", given_before)
        site.client.post(f"{PAGE}/undo", data={"at": at})
    assert verdicts(site) == {"inc-1": "true"}
    site.store.close()


def test_nothing_is_judged_but_what_is_of_the_same_camera_and_kind(alike: Site) -> None:
    fields = {**marked("inc-1", "other-kind", "other-camera", "nowhere"), "verdict": "false", "sure": "1"}
    assert alike.client.post(PAGE, data=fields).status_code == 303
    assert {one for one, verdict in verdicts(alike).items() if verdict} == {"inc-1"}
    # Who doesn't see the camera judges nothing of it.
    guard = alike.somebody(Role.REVIEWER, ["shanghai/cam4"])
    answer = guard.post(PAGE, data={**marked("inc-2"), "verdict": "false", "sure": "1"})
    assert answer.status_code == 404 and verdicts(alike)["inc-2"] is None


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        pytest.param({**marked("inc-1"), "verdict": "maybe", "sure": "1"}, 400, id="no verdict of ours"),
        pytest.param(
            {**marked("inc-1"), "verdict": "false", "reason": "sold", "sure": "1"}, 400, id="another's reason"
        ),
        pytest.param({"verdict": "false", "sure": "1"}, 200, id="nothing marked"),
        pytest.param({"verdict": "false"}, 200, id="nothing marked, not sure"),
    ],
)
def test_what_says_nothing_judges_nothing(alike: Site, fields: dict[str, str], status: int) -> None:
    answer = alike.client.post(PAGE, data=fields)
    assert answer.status_code == status and set(verdicts(alike).values()) == {None}
    assert status != 200 or "还没有勾选" in answer.text


def test_verdicts_and_their_lines_in_the_log_are_written_together_or_not_at_all(alike: Site) -> None:
    with alike.store.database.writing() as connection:
        when = "BEFORE INSERT ON audit WHEN NEW.subject = 'inc-2'"
        connection.exec_driver_sql(f"CREATE TRIGGER second {when} BEGIN SELECT RAISE(ABORT, 'no'); END")
    answer = alike.client.post(PAGE, data={**marked("inc-1", "inc-2"), "verdict": "false", "sure": "1"})
    assert answer.status_code >= 500
    assert set(verdicts(alike).values()) == {None}
