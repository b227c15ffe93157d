"""What the site's other cameras told about then stands on an incident's page."""

from __future__ import annotations

import re
from typing import Any

import pytest

from detector.hub.desk.overview import FEW, Overview
from detector.hub.storage.doubles import LONGEST_S
from detector.hub.storage.rights import Role
from detector.hub.storage.store import Store
from detector.values import MEANWHILE_S
from tests.hub.conftest import make_envelope

NOON = 1_793_505_600.0  # of 1 November 2026 in Shanghai
SHOWN, FIRST = "inc-1", 20


def told(number: int, begun: float, *, lasting: float = 20.0, camera: str = "cam4", **changes: Any) -> dict[str, Any]:
    """What another camera tells: when it began, as seconds after noon, and for how long it went on."""
    times = {"started_at_unix": NOON + begun, "ended_at_unix": NOON + begun + lasting}
    fields = make_envelope(number, incident=f"i{number}", camera=camera, **times, **changes)
    fields["after"]["camera"] = camera
    return fields


def shown(**changes: Any) -> dict[str, Any]:
    """The incident whose page is looked at: from noon on for twenty seconds."""
    return make_envelope(1, started_at_unix=NOON, ended_at_unix=NOON + 20.0, **changes)


def elsewhere(store: Store, *others: dict[str, Any]) -> list[str]:
    store.add_alerts([shown(), *others], NOON)
    incident = store.incident(SHOWN)
    assert incident is not None
    return Overview(store.database).elsewhere(incident)


@pytest.mark.parametrize(
    ("begun", "lasting", "there"),
    [
        (5.0, 5.0, True),
        (0.0, 20.0, True),
        (20.0 + MEANWHILE_S - 1, 20.0, True),
        (20.0 + MEANWHILE_S + 1, 20.0, False),
        (-30.0 - MEANWHILE_S + 1, 30.0, True),
        (-30.0 - MEANWHILE_S - 1, 30.0, False),
        (-5 * 3600.0, 6 * 3600.0, True),  # covered for hours
        (1.0 - LONGEST_S, LONGEST_S, True),
        (-1.0 - LONGEST_S - MEANWHILE_S, 2 * LONGEST_S, False),
    ],
)
def test_what_went_on_at_another_camera_within_a_minute_is_there(
    store: Store, begun: float, lasting: float, there: bool
) -> None:
    assert elsewhere(store, told(20, begun, lasting=lasting)) == ["i20"] * there


def test_neither_the_camera_itself_nor_another_site_counts(store: Store) -> None:
    assert elsewhere(store, told(20, 5.0, camera="cam3"), told(21, 5.0, site="suzhou")) == []


def test_of_many_the_nearest_in_time_are_there(store: Store) -> None:
    others = [told(20 + n, begun) for n, begun in enumerate((50.0, -9.0, 8.0, 40.0, -7.0, 30.0, 0.0))]
    found = elsewhere(store, *others)
    assert found == ["i26", "i24", "i22", "i21", "i25"] and len(found) == FEW


def test_what_was_no_incident_is_left_out(store: Store) -> None:
    store.add_alerts([shown(), told(20, 5.0), told(21, 6.0)], NOON)
    store.verdicts.add("i20", "li", "false", "", NOON)
    store.verdicts.add("i21", "li", "true", "", NOON)
    incident = store.incident(SHOWN)
    assert incident is not None
    assert Overview(store.database).elsewhere(incident) == ["i21"]


def page_of(client: Any, incident: str = SHOWN) -> str:
    answer = client.get(f"/incidents/{incident}")
    assert answer.status_code == 200
    return re.sub(r"\s+", " ", re.sub("<[^>]+>", "", answer.text))


def test_an_incidents_page_names_them_with_how_much_sooner_or_later_they_began(site: Any) -> None:
    others = [
        told(20, 40.0, zone="packing", camera_title="装箱区西"),
        told(21, -50.0, zone=None, camera_title="门口"),
        told(22, 0.0, camera="cam5", camera_title="东区 5 号机"),
    ]
    site.store.add_alerts([shown(), *others], NOON)
    page = page_of(site.client)
    assert "同时，其他摄像机" in page
    part = page.split("同时，其他摄像机")[1]
    assert re.search("门口 .*早 50 秒.*东区 5 号机.*同时开始.*装箱区西 · packing .*晚 40 秒", part)
    assert "早 40 秒" in page_of(site.client, "i20")


def test_where_no_other_camera_told_anything_nothing_is_said(site: Any) -> None:
    site.store.add_alerts([shown()], NOON)
    assert "同时，其他摄像机" not in page_of(site.client)


def test_who_may_not_see_a_camera_is_not_told_of_it(site: Any) -> None:
    site.store.add_alerts([shown(), told(20, 5.0)], NOON)
    assert "同时，其他摄像机" in page_of(site.somebody(Role.REVIEWER))
    assert "同时，其他摄像机" not in page_of(site.somebody(Role.REVIEWER, ["shanghai/cam3"], name="cam3-only"))
