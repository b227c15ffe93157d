"""Prometheus reads true figures, and only who may reads them."""

from __future__ import annotations

import re
from typing import Any

import pytest
from starlette.testclient import TestClient

from detector.hub.rights import Role
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
    fields = {"cameras": {"cam3": {"age_s": 2.0}}, "backlog": 7, "at_unix": NOON - 3}
    health.report("shanghai", "box1", fields, NOON)
    site.store.set_edge_status("shanghai", "box1", "online", NOON)
    site.store.set_health("shanghai", "box1", fields, NOON)
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
        "labelwatch_notices_queued": 0,
        "labelwatch_clip_bytes": 0,
        'labelwatch_page_seconds_count{route="/"}': 1,
    }.items():
        assert found[name] == value, name
    assert found["labelwatch_disk_free_bytes"] > 0


def test_labels_stay_bounded_whatever_is_asked_for(site: Site) -> None:
    for n in range(50):
        site.client.get(f"/nothing/{n}")
        site.client.get(f"/incidents/{n}")
    found = figures(scraper(site).get("/metrics").text)
    routes = {name for name in found if name.startswith("labelwatch_page_seconds_count")}
    assert 'labelwatch_page_seconds_count{route="/incidents/{incident}"}' in str(routes) or len(routes) < 8
    assert len(routes) < 8 and not any(char.isdigit() for char in "".join(routes))


def test_cameras_of_odd_names_or_without_number_are_left_out(site: Site) -> None:
    cameras: dict[str, Any] = {f"c{n}": {"age_s": 1} for n in range(2000)}
    site.store.set_health("shanghai", "box1", {"cameras": {**cameras, 'x"}\n': {"age_s": 1}}}, NOON)
    text = scraper(site).get("/metrics").text
    assert text.count("labelwatch_camera_age_seconds{") == 500 and 'x\\"' not in text


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
    site.store.set_health("shanghai", "box1", {"cameras": cameras}, NOON)
    site.store.add_alerts([make_envelope(1)], NOON)
    text = site.somebody(Role.VIEWER, ["shanghai/cam4"]).get("/metrics").text
    assert 'camera="cam4"' in text and 'camera="cam3"' not in text and "label_photography" not in text


@pytest.mark.parametrize(("setting", "status"), [("open", 200), ("off", 404), ("token", 401)])
def test_the_setting_decides_for_strangers(tmp_path: Any, setting: str, status: int) -> None:
    site = Site(tmp_path, metrics=setting)
    assert scraper(site, ("192.168.1.5", 1)).get("/metrics").status_code == status
    site.store.close()
