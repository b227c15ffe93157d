"""The API says what the pages say, to whom they say it; no request makes it fail."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings

from detector.hub.pages.api import router
from detector.hub.storage.rights import EVERYWHERE, Principal, Role, Scope
from tests.hub.conftest import NOON, Site, make_envelope, make_jpeg
from tests.hub.test_spots import FIRST, SECOND, told


class Program:
    """Asks the API with a token."""

    def __init__(self, site: Site, role: Role = Role.OWNER, scope: list[str] | None = None) -> None:
        name = f"{role}-{len(scope or ())}"
        token = site.gate.make_token(
            Principal("owner", Role.OWNER, EVERYWHERE), name, NOON, role=role, scope=Scope.of(scope), days=1
        )
        self.client = site.visitor(Authorization=f"Bearer {token}")
        del self.client.headers["Sec-Fetch-Site"]  # no browser

    def get(self, path: str, status: int = 200, **query: Any) -> Any:
        answer = self.client.get(f"/api/{path}", params=query)
        assert answer.status_code == status, answer.text
        return answer.json() if answer.content else None

    def judge(self, incident: str, **fields: Any) -> Any:
        return self.client.post(f"/api/incidents/{incident}/verdict", json=fields)


@pytest.fixture
def town(site: Site) -> Iterator[Site]:
    """Three incidents, an hour apart, the last one on another camera and with a picture."""
    for n in range(3):
        changes: dict[str, Any] = {"camera": "cam4", "snapshot": make_jpeg()} if n == 2 else {}
        envelope = make_envelope(n + 1, incident=f"inc-{n}", started_at_unix=NOON + 3600 * n, **changes)
        envelope["after"].update(camera=envelope["camera"])
        site.store.add_alerts([envelope], NOON + 3600 * n)
    yield site


@pytest.fixture
def owner(town: Site) -> Program:
    return Program(town)


def ids(answer: Any) -> list[str]:
    return [one["id"] for one in answer["incidents"]]


def test_incidents_come_newest_first_page_by_page(owner: Program) -> None:
    first = owner.get("incidents", limit=2)
    assert ids(first) == ["inc-2", "inc-1"]
    second = owner.get("incidents", limit=2, cursor=first["next"])
    assert ids(second) == ["inc-0"] and second["next"] is None


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"camera": "cam4"}, ["inc-2"]),
        ({"kind": "tamper"}, []),
        ({"severity": "critical", "site": "shanghai"}, ["inc-2", "inc-1", "inc-0"]),
        ({"verdict": "none"}, ["inc-2", "inc-1", "inc-0"]),
        ({"since": "2026-11-01T13:00:00+08:00"}, ["inc-2", "inc-1"]),
        ({"until": "2026-11-01T05:00:00Z"}, ["inc-0"]),
        ({"zone": "elsewhere"}, []),
        ({"told": "digest"}, []),
    ],
)
def test_incidents_are_narrowed(owner: Program, query: dict[str, str], found: list[str]) -> None:
    assert ids(owner.get("incidents", **query)) == found


@pytest.mark.parametrize(
    ("long_s", "hours", "goes_on"),
    [(40, 0.9, True), (40, 1.1, False), (6 * 3600, 6.5, True), (6 * 3600, 7.6, False)],
    ids=["within an hour", "box away", "told again at twice its length", "and wasn't"],
)
def test_an_incident_goes_on_until_its_end_or_when_no_word_came_that_was_due(
    owner: Program, town: Site, long_s: float, hours: float, goes_on: bool
) -> None:
    ended_at = NOON - 3600 * hours
    times = {"started_at_unix": ended_at - long_s, "ended_at_unix": ended_at}
    town.store.add_alerts([make_envelope(30, incident="open", **times)], NOON)
    assert owner.get("incidents/open")["ongoing"] is goes_on


def test_an_incident_is_found_by_any_of_its_zones_which_are_told(owner: Program, town: Site) -> None:
    moved = make_envelope(9, incident="moved", zone="gate", facts={"other_zones": ["aisle", "dock"]})
    town.store.add_alerts([moved], NOON)
    (found,) = owner.get("incidents", zone="dock")["incidents"]
    assert (found["id"], found["zone"], found["other_zones"]) == ("moved", "gate", ["aisle", "dock"])
    assert owner.get("incidents", zone="gate")["incidents"] == [found]


def test_one_incident_is_told_in_full(owner: Program, town: Site, mp4: bytes) -> None:
    assert town.client.put("/api/clips/inc-2/0", content=mp4, headers=town.claim(mp4, "inc-2")).status_code == 201
    told = owner.get("incidents/inc-2")
    assert told["labels_exposed"] == {"low": 3, "best": 4, "high": 6} and len(told["acts"]) == 3
    assert told["started_at"] == "2026-11-01T06:00:00.000Z" and told["verdicts"] == []
    assert owner.client.get(told["snapshot"]).headers["content-type"] == "image/jpeg"
    clip = owner.client.get(told["clips"][0]["url"], headers={"Range": "bytes=4-7"})
    assert clip.status_code == 206 and clip.content == b"ftyp"
    assert [entry.user for entry in town.parts.audit.entries() if entry.action == "clip"] == ["token:owner-0"]


@pytest.mark.parametrize(
    "path",
    [
        "/api/incidents/inc-2/clip", "/api/incidents/inc-2/snapshot", "/clips/inc-2/0", "/clips/inc-2/0/play",
        "/incidents/inc-2/snapshot", "/incidents/inc-2/stills/1", "/clips/inc-2/7", "/api/incidents/unknown/clip",
    ],
)  # fmt: skip
def test_who_asks_what_there_is_before_taking_it_is_told_as_by_taking_it(town: Site, mp4: bytes, path: str) -> None:
    town.client.put("/api/clips/inc-2/0", content=mp4, headers=town.claim(mp4, "inc-2"))
    for range_ in ({}, {"Range": "bytes=4-7"}):
        asked, taken = town.client.head(path, headers=range_), town.client.get(path, headers=range_)
        assert asked.status_code == taken.status_code != 405
        assert asked.headers == taken.headers
        assert not asked.content or "video" not in taken.headers.get("content-type", "")


def test_who_may_not_see_full_pixels_gets_the_redacted_copy_or_none(town: Site, mp4: bytes) -> None:
    town.client.put("/api/clips/inc-2/0", content=mp4, headers=town.claim(mp4, "inc-2"))
    answer = Program(town, Role.VIEWER).client.get("/api/incidents/inc-2/clip")
    assert answer.status_code in (202, 404, 410) and answer.headers["content-type"] == "application/json"


def test_what_is_known_already_is_not_sent_again(owner: Program) -> None:
    first = owner.client.get("/api/incidents")
    known = {"If-None-Match": f'"other", {first.headers["etag"]}'}
    again = owner.client.get("/api/incidents", headers=known)
    assert again.status_code == 304 and again.content == b""
    assert owner.judge("inc-0", verdict="true").status_code == 201
    assert owner.client.get("/api/incidents", headers=known).status_code == 200


def test_a_verdict_is_given_and_counts(owner: Program, town: Site) -> None:
    answer = owner.judge("inc-1", verdict="false", reason="scan", note="only a scanner")
    assert answer.status_code == 201 and answer.json()["user"] == "token:owner-0"
    assert ids(owner.get("incidents", verdict="false")) == ["inc-1"]
    assert town.parts.audit.entries()[0].action == "verdict"


@pytest.mark.parametrize(
    ("verdict", "seen", "status"),
    [("false", "warning", 409), ("authorised", "info", 409), ("true", "info", 201), ("false", "critical", 201),
     ("false", None, 201)],
)  # fmt: skip
def test_what_is_graver_than_what_was_seen_is_not_cleared(
    owner: Program, town: Site, verdict: str, seen: str | None, status: int
) -> None:
    assert town.store.incidents(["inc-1"])[0].severity == "critical"
    answer = owner.judge("inc-1", verdict=verdict, seen=seen)
    assert answer.status_code == status
    if status == 409:
        assert answer.json()["reason"] == {"severity": "critical"} and not town.store.verdicts.on("inc-1")


def test_somebody_elses_verdict_is_replaced_only_when_it_is_named(owner: Program, town: Site) -> None:
    number = town.store.verdicts.add("inc-1", "li", "true", "", NOON)
    refused = owner.judge("inc-1", verdict="false")
    assert refused.status_code == 409
    assert refused.json()["reason"]["standing"] == {"number": number, "user": "li", "verdict": "true"}
    assert owner.judge("inc-1", verdict="false", over=number).status_code == 201


@pytest.mark.parametrize(
    "fields",
    [
        {}, {"verdict": "perhaps"}, {"verdict": "true", "reason": "scan"}, {"verdict": "true", "note": "\0"},
        {"verdict": "true", "more": 1}, {"verdict": "true", "note": "x" * 501}, {"verdict": "true", "over": -1},
    ],
)  # fmt: skip
def test_a_verdict_that_makes_no_sense_is_refused_in_words(owner: Program, fields: dict[str, Any]) -> None:
    answer = owner.judge("inc-1", **fields)
    assert answer.status_code == 422 and answer.json()["reason"]


@pytest.mark.parametrize(
    ("path", "query", "status"),
    [
        ("incidents", {"limit": 0}, 422),
        ("incidents", {"limit": 201}, 422),
        ("incidents", {"cursor": "nonsense"}, 422),
        ("incidents", {"cursor": "nan,inc-1"}, 422),
        ("incidents", {"since": "2026-11-01T13:00:00"}, 422),
        ("incidents", {"since": "0001-01-01T00:00:00Z"}, 422),
        ("incidents", {"kind": "theft"}, 422),
        ("incidents", {"severty": "critical"}, 422),
        ("incidents", {"severity": ["critical", "warning"]}, 422),
        ("alarms", {"camera": "cam3"}, 422),
        ("incidents/unknown", {}, 404),
        ("incidents/unknown/clip", {}, 404),
        ("incidents/inc-1/clip", {"segment": 9}, 404),
        ("incidents/inc-1/clip", {"segment": -1}, 422),
        ("incidents/inc-1/snapshot", {}, 404),
        ("cases/99", {}, 404),
        ("cases/no", {}, 422),
        ("stats", {"since": "2020-01-01T00:00:00Z"}, 422),
        ("stats", {"since": "2026-11-01T00:00:00Z", "until": "2026-10-01T00:00:00Z"}, 422),
        ("nothing", {}, 404),
    ],
)
def test_bad_requests_are_answered_in_json(owner: Program, path: str, query: dict[str, Any], status: int) -> None:
    assert "reason" in owner.get(path, status, **query)


def test_a_misspelt_filter_is_named_instead_of_passed_over(owner: Program) -> None:
    (wrong,) = owner.get("incidents", 422, severty="critical", kind="tamper")["reason"]
    assert wrong["where"] == ["query", "severty"]
    (wrong,) = owner.get("incidents", 422, severity=["critical", "warning"])["reason"]
    assert wrong["where"] == ["query", "severity"]


def test_a_time_may_be_written_into_an_address_as_it_is(owner: Program) -> None:
    def since(time: str, status: int) -> Any:
        answer = owner.client.get(f"/api/incidents?since={time}")
        assert answer.status_code == status, answer.text
        return answer.json()

    for time in ("2026-11-01T13:00:00+08:00", "2026-11-01T13:00:00%2B08:00", "2026-11-01T05:00:00Z"):
        assert ids(since(time, 200)) == ["inc-2", "inc-1"], time
    assert "offset" in since("2026-11-01+13:00", 422)["reason"], "that is a time without one"


def test_cameras_and_figures_are_told(owner: Program, town: Site) -> None:
    report = {"cameras": [{"camera": "cam3", "title": "东区 3 号机", "age_s": 0.4, "fps": 5.0}]}
    town.store.edges.set_status("shanghai", "box1", "online", NOON)
    town.store.edges.set_health("shanghai", "box1", report, NOON)
    camera = owner.get("cameras")["cameras"][0]
    assert (camera["name"], camera["state"], camera["age_s"]) == ("cam3", "ok", 0.4)
    town.clock.at = NOON + 4 * 3600
    days = owner.get("stats")["days"]
    assert len(days) == 28 and days[-1] == {
        "day": "2026-11-01", "alerts": 3, "digest": 0, "labels_low": 9, "labels_high": 18,
    }  # fmt: skip


def test_figures_are_of_four_weeks_after_clocks_were_put_forward_too(tmp_path: Path) -> None:
    site = Site(tmp_path, timezone="Europe/Berlin")
    site.clock.at = datetime(2026, 4, 10, 0, 30, tzinfo=ZoneInfo("Europe/Berlin")).timestamp()
    days = [day["day"] for day in site.somebody(Role.OWNER).get("/api/stats").json()["days"]]
    assert (len(days), days[0], days[-1]) == (28, "2026-03-14", "2026-04-10")


def test_figures_end_before_until_as_incidents_do(owner: Program, town: Site) -> None:
    town.clock.at = NOON + 4 * 3600
    span = {"since": "2026-10-30T00:00:00+08:00", "until": "2026-11-01T00:00:00+08:00"}
    assert ids(owner.get("incidents", **span)) == []
    told = owner.get("stats", **span)["days"]
    assert [day["day"] for day in told] == ["2026-10-30", "2026-10-31"] and not any(day["alerts"] for day in told)
    at_once = {"since": span["since"], "until": span["since"]}
    assert [day["day"] for day in owner.get("stats", **at_once)["days"]] == ["2026-10-30"]


def test_cases_are_told_with_their_totals(owner: Program, town: Site) -> None:
    told = [town.store.incident(name) for name in ("inc-0", "inc-1")]
    number = town.parts.cases.make("theft", [one for one in told if one], user="wang", at=NOON)
    assert [case["number"] for case in owner.get("cases")["cases"]] == [number]
    case = owner.get(f"cases/{number}")
    assert case["incidents"] == ["inc-0", "inc-1"] and case["labels_exposed"] == {"low": 6, "best": 8, "high": 12}
    assert Program(town, Role.VIEWER, ["suzhou"]).get("cases")["cases"] == []


def test_a_case_of_whoever_sees_a_double_alone_has_its_totals_for_others_too(owner: Program, town: Site) -> None:
    town.store.add_alerts([told(), told(SECOND)], NOON)
    (double,) = town.store.incidents([SECOND])
    assert double.same_as == FIRST
    number = town.parts.cases.make("theft", [double], user="wang", at=NOON)
    assert owner.get(f"cases/{number}")["labels_exposed"] == {"low": 3, "best": 4, "high": 6}


def test_a_scope_narrows_every_answer(town: Site) -> None:
    guard = Program(town, Role.REVIEWER, ["shanghai/cam4"])
    assert ids(guard.get("incidents")) == ["inc-2"]
    assert guard.get("incidents/inc-1", 404) and guard.judge("inc-1", verdict="true").status_code == 404


def test_a_viewer_may_not_judge(town: Site) -> None:
    answer = Program(town, Role.VIEWER).judge("inc-1", verdict="true")
    assert answer.status_code == 403 and answer.json()["reason"]


def test_without_a_token_nothing_is_told(town: Site) -> None:
    answer = town.visitor().get("/api/incidents")
    assert answer.status_code == 401 and answer.headers["www-authenticate"] == "Bearer"
    assert "inc-" not in answer.text


def test_the_description_names_every_route_of_the_api(site: Site) -> None:
    told = site.visitor().get("/api/openapi.json").json()
    assert {
        "/api/incidents", "/api/incidents/{incident_id}", "/api/incidents/{incident_id}/clip",
        "/api/incidents/{incident_id}/verdict", "/api/events", "/api/cases", "/api/cameras", "/api/stats",
    } <= told["paths"].keys()  # fmt: skip
    assert "lw_" not in json.dumps(told)
    clip = told["paths"]["/api/incidents/{incident_id}/clip"]["get"]
    assert {"200", "202", "206", "404", "410"} <= clip["responses"].keys()
    assert "redacted copy" in told["components"]["schemas"]["Segment"]["properties"]["sha256"]["description"]


# Whatever is asked, by a program that makes its requests up from the description


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("method", "path"), sorted((m, r.path) for r in router.routes for m in r.methods if r.include_in_schema)
)
def test_no_request_makes_it_fail_and_every_answer_is_as_described(
    owner: Program, town: Site, method: str, path: str
) -> None:
    import schemathesis  # here, for each process of the suite would load it
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi import checks as of_openapi

    town.parts.cases.make("theft", [], user="wang", at=NOON)
    checks: list[Any] = [
        not_a_server_error, of_openapi.status_code_conformance, of_openapi.content_type_conformance,
        of_openapi.response_schema_conformance,
    ]  # fmt: skip
    if path == "/api/events":
        town.live.close()  # a stream would never end, so its one answer is that there is none
        checks.remove(not_a_server_error)
    described = schemathesis.openapi.from_asgi("/api/openapi.json", town.app)
    headers = {"Authorization": owner.client.headers["Authorization"]}

    @settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
    @given(case=described[path][method].as_strategy())
    def ask(case: Any) -> None:
        answer = case.call(headers=headers)
        case.validate_response(answer, checks=checks)

    ask()
