"""At the desk a guard looks from one camera of a spot to the other, at the same moment, and judges both at once."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.hub.conftest import make_act
from tests.hub.test_browser import PHONE, Scene, browser, scene, until  # noqa: F401  (fixtures)


@pytest.fixture
def begun() -> float:
    """When both cameras begin to tell it, Unix seconds."""
    return float(int(time.time()) - 600)


@pytest.fixture
def two(scene: Scene, mp4: bytes, begun: float) -> Scene:  # noqa: F811  (the fixture)
    """Two cameras tell of one spot, and one of something else."""
    for name, camera, late in (("near", "cam3", 0.0), ("across", "cam4", 1.0)):
        more = {"camera": camera, "camera_title": f"Gate {camera}", "spot": "cage", "severity": "critical"}
        scene.alert(name, started_at_unix=begun + late, acts=[make_act(begun + 1.5, length_s=1.0)], **more)
        scene.upload(name, 0, mp4, begun + late, camera=camera)
    scene.alert("other", started_at_unix=begun - 900, severity="warning")
    return scene


def plays(page: Any, name: str) -> None:
    until(page, f"document.querySelector('.item video')?.getAttribute('src')?.includes('/clips/{name}/0')")
    until(page, "Player.in(document.querySelector('.item')).ready")


def test_v_shows_the_other_camera_at_the_same_moment_and_one_verdict_is_on_both(two: Scene, begun: float) -> None:
    page = two.page("review")
    plays(page, "near")
    page.keyboard.press("k")
    until(page, "document.querySelector('.item video').paused")
    page.evaluate(f"Player.in(document.querySelector('.item')).seek({begun + 2.5})")
    until(page, "!document.querySelector('.item video').seeking")
    page.keyboard.press("v")
    plays(page, "across")
    until(page, f"Math.abs(Player.in(document.querySelector('.item')).now - {begun + 2.5}) < 0.3")
    assert page.locator(".sides [aria-current=true]").inner_text() == "Gate cam4"
    assert page.locator(".item").get_attribute("data-incident") == "near"
    two.alert(
        "near", started_at_unix=begun, spot="cage", severity="critical", labels_exposed={"low": 7, "best": 8, "high": 9}
    )
    page.wait_for_selector(".item :text('7–9')")
    plays(page, "across")
    page.keyboard.press("v")
    plays(page, "near")
    page.keyboard.press("1")
    page.wait_for_selector("#last .just[data-incident=near]")
    assert two.hub.store.incident("across").verdict == "true"


@pytest.mark.parametrize("path", ["review", "incidents/near"])
def test_a_camera_that_tells_it_later_appears_above_the_player_of_an_open_page(scene: Scene, path: str) -> None:  # noqa: F811
    now = time.time() - 30
    scene.alert("near", started_at_unix=now, spot="cage")
    page = scene.page(path)
    page.wait_for_selector(".item[data-incident=near]")
    scene.alert("across", started_at_unix=now + 5, spot="cage", camera="cam4", camera_title="Gate cam4")
    page.wait_for_selector(".watch > .sides a:has-text('Gate cam4')")
    page.wait_for_selector("[data-part=beside] a:has-text('Gate cam4')")
    page.wait_for_selector("[data-part=heading] :text('另有摄像机拍到')")


def test_on_the_incidents_page_the_cameras_are_links_that_a_phone_can_press(two: Scene) -> None:
    page = two.page("incidents/near", viewport=PHONE)
    plays(page, "near")
    link = page.locator(".sides a", has_text="Gate cam4")
    assert (box := link.bounding_box()) is not None and box["height"] >= 40
    link.click()
    plays(page, "across")
    assert page.url.endswith("/incidents/near?side=across")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.go_back()
    plays(page, "near")
