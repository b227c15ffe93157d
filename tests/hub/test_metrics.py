"""Prometheus reads true figures, and only who may reads them."""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import Any

import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import event
from starlette.testclient import TestClient

from detector import wire
from detector.hub.notices.rules import Rule
from detector.hub.storage.rights import Role
from detector.wire.replays import marked
from tests.conftest import REPOSITORY
from tests.hub.conftest import NOON, Site, make_envelope

LOOPBACK = ("127.0.0.1", 5000)


def figures(text: str) -> dict[str, float]:
    """Samples of a page of figures."""
    return {name: float(value) for name, value in re.findall(r"^([a-z_]+(?:{[^}]*})?) (\S+)$", text, re.M)}


def scraper(site: Site, client: tuple[str, int] = LOOPBACK, **headers: str) -> TestClient:
    """Who asks from an address."""
    return TestClient(site.app, base_url="http://hub.test", client=client, headers=headers)


def test_figures_are_true(site: Site) -> None:
    health = site.app.app.state.parts.health  # type: ignore[attr-defined]
    busy = {"analysed_fps": 2.1, "due_fps": 5.0, "dropped": 40, "wait_s": 0.5, "behind": True, "passed_over_fps": "x"}
    fields = {"cameras": {"cam3": {"age_s": 2.0, **busy}}, "backlog": 7, "at_unix": NOON - 3}
    health.report("shanghai", "box1", fields, NOON)
    site.store.edges.set_status("shanghai", "box1", "online", NOON)
    site.store.edges.set_health("shanghai", "box1", fields, NOON)
    health.report("shanghai", "box1", fields, NOON)
    site.store.add_alerts([make_envelope(1, incident="a"), make_envelope(2, incident="b", severity="info")], NOON + 2)
    site.store.add_alerts([make_envelope(5, incident="c", kind="x" * 50, severity="y")], NOON + 400)
    site.store.add_refusal("labelwatch/shanghai/box1/alerts", "forged", NOON)
    site.clock.at = NOON + 10
    site.client.get("/")
    found = figures(scraper(site).get("/metrics").text)
    for name, value in {
        'labelwatch_incidents_total{kind="label_photography",severity="critical"}': 1,
        'labelwatch_incidents_total{kind="label_photography",severity="info"}': 1,
        'labelwatch_incidents_total{kind="other",severity="other"}': 1,
        "labelwatch_alerts_received_total": 3,
        "labelwatch_alerts_late_total": 1,
        "labelwatch_alerts_missing": 2,
        "labelwatch_messages_refused_total": 1,
        "labelwatch_edges_online": 1,
        'labelwatch_edge_backlog{edge="box1",site="shanghai"}': 7,
        'labelwatch_edge_clock_offset_seconds{edge="box1",site="shanghai"}': -3,
        'labelwatch_camera_age_seconds{camera="cam3",edge="box1",site="shanghai"}': 12,
        'labelwatch_camera_watched{camera="cam3",edge="box1",site="shanghai"}': 1,
        'labelwatch_edge_cameras_behind{edge="box1",site="shanghai"}': 1,
        'labelwatch_camera_analysed_fps{camera="cam3",edge="box1",site="shanghai"}': 2.1,
        'labelwatch_camera_dropped_frames_total{camera="cam3",edge="box1",site="shanghai"}': 40,
        'labelwatch_camera_wait_seconds{camera="cam3",edge="box1",site="shanghai"}': 0.5,
        "labelwatch_notices_queued": 0,
        "labelwatch_clip_bytes": 0,
        'labelwatch_page_seconds_count{route="/"}': 1,
    }.items():
        assert found[name] == value, name
    assert found["labelwatch_disk_free_bytes"] > 0


def incidents_told(client: TestClient) -> dict[str, float]:
    """How many of each severity the figures tell, of one kind."""
    found = figures(client.get("/metrics").text)
    name = 'labelwatch_incidents_total{kind="label_photography",severity="%s"}'
    return {severity: found[name % severity] for severity in ("info", "warning", "critical")}


def test_the_first_critical_incident_is_seen_to_grow_from_zero(site: Site) -> None:
    assert incidents_told(scraper(site)) == {"info": 0, "warning": 0, "critical": 0}
    site.store.add_alerts([make_envelope(1)], NOON)
    assert incidents_told(scraper(site)) == {"info": 0, "warning": 0, "critical": 1}


def test_what_falls_where_an_incident_grows_graver_is_told_as_no_counter(site: Site) -> None:
    site.store.add_alerts([make_envelope(1, severity="info")], NOON)
    assert incidents_told(scraper(site)) == {"info": 1, "warning": 0, "critical": 0}
    site.store.add_alerts([make_envelope(2, phase="update")], NOON)
    assert incidents_told(scraper(site)) == {"info": 0, "warning": 0, "critical": 1}
    assert "# TYPE labelwatch_incidents_total gauge" in scraper(site).get("/metrics").text


def test_what_two_cameras_tell_of_one_spot_is_counted_once_and_of_who_sees_one_of_them_too(site: Site) -> None:
    for n, camera in enumerate(("cam3", "cam4")):
        told = make_envelope(n + 1, incident=camera, camera=camera)
        told["after"] |= {"camera": camera, "spot": "cage"}
        site.store.add_alerts([told], NOON + n)
    assert [one.id for one in site.store.seen_by("cam3")] == ["cam4"]
    assert incidents_told(scraper(site)) == {"info": 0, "warning": 0, "critical": 1}
    across = site.somebody(Role.VIEWER, ["shanghai/cam4"])
    assert incidents_told(across) == {"info": 0, "warning": 0, "critical": 1}


def test_labels_stay_bounded_whatever_is_asked_for(site: Site) -> None:
    for n in range(50):
        site.client.get(f"/nothing/{n}")
        site.client.get(f"/incidents/{n}")
    found = figures(scraper(site).get("/metrics").text)
    routes = {name for name in found if name.startswith("labelwatch_page_seconds_count")}
    assert 'labelwatch_page_seconds_count{route="/incidents/{incident}"}' in str(routes) or len(routes) < 8
    assert len(routes) < 8 and not any(char.isdigit() for char in "".join(routes))


def test_streams_are_no_pages_that_took_long(site: Site) -> None:
    site.live.close()  # no stream is taken any more, so that each of these ends
    for address in ("/", "/events", "/review/events", "/api/events"):
        site.client.get(address)
    found = figures(scraper(site).get("/metrics").text)
    routes = re.findall('labelwatch_page_seconds_count{route="([^"]+)"}', str(list(found)))
    assert [route for route in routes if route != "/login"] == ["/"]


def test_cameras_of_odd_names_or_without_number_are_left_out(site: Site) -> None:
    cameras: dict[str, Any] = {f"c{n}": {"age_s": 1} for n in range(2000)}
    site.store.edges.set_health("shanghai", "box1", {"cameras": {**cameras, 'x"}\n': {"age_s": 1}}}, NOON)
    text = scraper(site).get("/metrics").text
    assert text.count("labelwatch_camera_age_seconds{") == 200 and 'x\\"' not in text
    assert figures(text)["labelwatch_cameras_left_out"] == 256 - 200, "of those that a report may name"


def test_no_edge_and_none_of_its_cameras_is_left_out_since_there_are_many(site: Site) -> None:
    for n in range(250):
        site.store.edges.set_status("shanghai", f"box{n}", "online", NOON)
        cameras: dict[str, Any] = {f"c{n}-{m}": {"age_s": 1} for m in range(4)}
        site.store.edges.set_health("shanghai", f"box{n}", {"cameras": cameras}, NOON)
    text = scraper(site).get("/metrics").text
    assert text.count("labelwatch_camera_watched{") == 1000
    assert text.count("labelwatch_edge_backlog{") == figures(text)["labelwatch_edges"] == 250
    assert figures(text)["labelwatch_cameras_left_out"] == 0


def test_a_box_that_was_shut_out_and_a_machine_that_only_replays_call_nobody(site: Site) -> None:
    for edge in ("box1", "box2", "office"):
        site.parts.keys.trust("shanghai", edge, wire.public_key_text(Ed25519PrivateKey.generate()), NOON)
    for edge in ("box1", "box2"):
        site.store.edges.set_status("shanghai", edge, "online", NOON)
        site.store.edges.set_health("shanghai", edge, {"cameras": {"cam3": {"age_s": 1}}}, NOON)
    site.store.add_alerts([make_envelope(1, edge="box2"), make_envelope(4, edge="box2")], NOON)
    found = make_envelope(1, incident="found", edge="office", phase="end")
    found["after"] = marked(found["after"], run="1", edge="office", file="ch3.mp4", offset_s=4.0)
    site.store.add_alerts([found], NOON)
    assert site.store.edges.only_replaying() == {("shanghai", "office")}
    before = figures(scraper(site).get("/metrics").text)
    assert before["labelwatch_alerts_missing"] == before["labelwatch_alerts_lost"] == 2
    assert site.parts.enrolment.revoke("shanghai", "box2", "owner", NOON)
    text = scraper(site).get("/metrics").text
    told = set(re.findall(r'^labelwatch_(?:edge|camera)_.*edge="([^"]+)"', text, re.M))
    assert told == {"box1"}
    after = figures(text)
    assert after["labelwatch_alerts_missing"] == after["labelwatch_alerts_lost"] == 0
    assert after["labelwatch_alerts_received_total"] == before["labelwatch_alerts_received_total"]


def test_a_recording_that_is_over_is_told_as_no_camera_that_nobody_watches(site: Site) -> None:
    site.store.edges.set_status("shanghai", "box1", "online", NOON)
    cameras = {"cam3": {"age_s": 400}, "film": {"age_s": 400, "state": "ended"}}
    site.store.edges.set_health("shanghai", "box1", {"cameras": cameras}, NOON)
    found = figures(scraper(site).get("/metrics").text)
    watched = {name: n for name, n in found.items() if name.startswith("labelwatch_camera_watched")}
    assert watched == {'labelwatch_camera_watched{camera="cam3",edge="box1",site="shanghai"}': 0}


def test_notices_that_quiet_hours_hold_back_are_not_stuck(site: Site) -> None:
    notices = site.parts.notices
    with site.store.database.writing() as connection:
        target = notices.targets.add(connection, "guard", "json", "zh", address="json://127.0.0.1/x", user="o", at=0.0)
        notices.targets.add_rule(connection, Rule("info", target=target, at=0.0, quiet="00:00-23:59"))
    notices.raising.look_through(NOON)
    site.store.add_alerts([make_envelope(1, severity="warning")], NOON)
    notices.raising.look_through(NOON + 1)
    assert [one.state for one in notices.log([target])] == ["held"]
    found = figures(scraper(site).get("/metrics").text)
    assert (found["labelwatch_notices_queued"], found["labelwatch_notices_held"]) == (1, 1)


def test_the_loopback_reads_and_a_proxy_on_it_does_not_read_for_others(site: Site) -> None:
    assert scraper(site).get("/metrics").status_code == 200
    assert scraper(site, ("::1", 1)).get("/metrics").status_code == 200
    for client, headers in (
        (("192.168.1.5", 1), {}),
        (("nonsense", 1), {}),
        (LOOPBACK, {"X-Forwarded-For": "203.0.113.7"}),
        (LOOPBACK, {"Forwarded": "for=203.0.113.7"}),
        (LOOPBACK, {"Authorization": "Bearer nonsense"}),
        (LOOPBACK, {"Authorization": "Basic eDp5"}),
    ):
        answer = scraper(site, client, **headers).get("/metrics")
        assert answer.status_code == 401 and "labelwatch_" not in answer.text


def test_a_person_who_may_look_reads_the_figures_of_their_places(site: Site) -> None:
    cameras = {"cam3": {"age_s": 1}, "cam4": {"age_s": 1}}
    site.store.edges.set_health("shanghai", "box1", {"cameras": cameras}, NOON)
    site.store.add_alerts([make_envelope(1)], NOON)
    text = site.somebody(Role.VIEWER, ["shanghai/cam4"]).get("/metrics").text
    assert 'camera="cam4"' in text and 'camera="cam3"' not in text
    assert figures(text)['labelwatch_incidents_total{kind="label_photography",severity="critical"}'] == 0


@pytest.mark.parametrize(("setting", "status"), [("open", 200), ("off", 404), ("token", 401)])
def test_the_setting_decides_for_strangers(tmp_path: Any, setting: str, status: int) -> None:
    site = Site(tmp_path, metrics=setting)
    assert scraper(site, ("192.168.1.5", 1)).get("/metrics").status_code == status
    site.store.close()


RULES = REPOSITORY / "configs/prometheus/alerts.yml"
# Alarms that Prometheus has figures of, and rules by these.
BY_FIGURES = {
    "edge_silent", "edge_unheard", "camera_silent", "backlog", "dropped", "lost", "edge_disk", "clock", "overload",
    "hub_down", "hub_disk", "broker_lost",
}  # fmt: skip


def test_the_alert_rules_ask_for_figures_that_are_there(tmp_path: Any) -> None:
    house = Site(tmp_path, integrations={"home_assistant": {"enabled": True}})
    fields = {"cameras": {"cam3": {"age_s": 2.0}}, "backlog": 7, "oldest_s": 31.4, "disk_free": 5e9, "at_unix": NOON}
    house.store.edges.set_status("shanghai", "box1", "online", NOON)
    house.store.edges.set_health("shanghai", "box1", fields, NOON)
    house.parts.health.report("shanghai", "box1", fields, NOON)
    house.clock.at = NOON + 10
    text = scraper(house).get("/metrics").text
    house.store.close()
    families = {family.name: family for family in text_string_to_metric_families(text)}
    names = {sample.name for family in families.values() for sample in family.samples}
    rules = [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]
    asked = {name for rule in rules for name in re.findall(r"labelwatch_[a-z_]+", rule["expr"])}
    assert len(rules) >= 10 and len({rule["alert"] for rule in rules}) == len(rules)
    assert asked <= names, asked - names
    assert all(family.documentation for family in families.values())
    kinds = {sample.labels["kind"] for sample in families["labelwatch_alarms"].samples}
    named = {
        kind for rule in rules for kinds in re.findall(r'kind=~"([^"]+)"', rule["expr"]) for kind in kinds.split("|")
    }
    assert named == kinds - BY_FIGURES, named ^ (kinds - BY_FIGURES)
    for rule in rules:
        assert rule.keys() <= {"alert", "expr", "for", "labels", "annotations"}
        assert rule["labels"]["severity"] in ("critical", "warning")
        for words in (rule["annotations"]["summary"], rule["annotations"]["description"]):
            assert re.fullmatch(r"[^\u4e00-\u9fff]+ / .*[\u4e00-\u9fff].*", words), words
    found = figures(text)
    for name, value in {
        'labelwatch_edge_online{edge="box1",site="shanghai"}': 1,
        'labelwatch_edge_report_age_seconds{edge="box1",site="shanghai"}': 10,
        'labelwatch_edge_backlog_age_seconds{edge="box1",site="shanghai"}': 31,
        'labelwatch_edge_disk_free_bytes{edge="box1",site="shanghai"}': 5e9,
        "labelwatch_integrations_connected": 0,
        "labelwatch_integrations_messages_total": 0,
    }.items():
        assert found[name] == value, name
    assert found["labelwatch_disk_size_bytes"] >= found["labelwatch_disk_free_bytes"]


def test_the_alert_rules_are_such_that_prometheus_takes_them() -> None:
    """By its own tool where that is installed; else by what a rule file is made of."""
    told = yaml.safe_load(RULES.read_text())
    assert told.keys() == {"groups"}
    for rule in told["groups"][0]["rules"]:
        assert re.fullmatch(r"[A-Z][A-Za-z]+", rule["alert"]) and re.fullmatch(r"\d+[smh]", rule.get("for", "0s"))
        expr = rule["expr"]
        assert expr.count("(") == expr.count(")") and expr.count("[") == expr.count("]") and expr.count('"') % 2 == 0
    if tool := shutil.which("promtool"):
        subprocess.run([tool, "check", "rules", RULES], check=True)


def test_what_grows_with_every_alert_is_counted_from_indexes_alone(site: Site) -> None:
    site.store.add_alerts([make_envelope(n, incident=f"i{n}") for n in range(1, 4)], NOON + 400)
    plans: list[str] = []

    def note_plan(connection: Any, _cursor: Any, statement: str, parameters: Any, *_others: Any) -> None:
        if re.search("FROM (incidents|alerts) ", statement) and not statement.startswith("EXPLAIN"):
            asked = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
            plans.append("; ".join(row[3] for row in asked))

    event.listen(site.store.database.engine, "before_cursor_execute", note_plan)
    found = figures(scraper(site).get("/metrics").text)
    assert found["labelwatch_alerts_late_total"] == 3
    replaying, kinds, doubles, late = plans
    assert replaying.endswith("SCAN incidents USING INDEX incidents_replayed")
    assert kinds == "SCAN incidents USING COVERING INDEX incidents_by_kind"
    assert "incidents USING INDEX incidents_doubled" in doubles
    assert "alerts USING INDEX alerts_late" in late
