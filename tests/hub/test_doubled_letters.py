"""Who doubles the letters, on a phone, still has all of a page on the screen."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.hub.conftest import make_act
from tests.hub.test_accessible import fill
from tests.hub.test_browser import PHONE, Scene, chromium, scene  # noqa: F401  (a fixture)

# What an owner comes to with a phone.
PATHS = (
    "/", "/digest", "/day", "/weeks", "/incidents/inc", "/incidents/inc/share", "/review", "/cases", "/cases/1",
    "/cases?incident=inc", "/cameras", "/health", "/notices", "/account",
)  # fmt: skip
# What stands out of the screen, but for what can be scrolled to or is hidden by what holds it.
OUTSIDE = """() => [...document.querySelectorAll("body *")].filter((one) => {
  if (one.getBoundingClientRect().right <= innerWidth + 1 || !one.checkVisibility()) return false;
  for (let above = one.parentElement; above; above = above.parentElement) {
    if (/auto|scroll|hidden/.test(getComputedStyle(above).overflowX)) return false;
  }
  return true;
}).map((one) => one.outerHTML.slice(0, 100))"""
CUT = "all => all.filter((one) => one.getBoundingClientRect().right > innerWidth).map((one) => one.textContent)"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium of somebody who set letters twice as large."""
    with chromium("--blink-settings=defaultFontSize=32,defaultFixedFontSize=26") as browser:
        yield browser


def test_no_page_is_wider_than_a_phone_where_letters_are_doubled(scene: Scene, mp4: bytes) -> None:  # noqa: F811
    fill(scene)
    began = time.time() - 60
    exposed = {"low": 534, "best": 700, "high": 1168}
    acts = [make_act(began + n) for n in range(4)]
    scene.alert("inc", started_at_unix=began, ended_at_unix=began + 457, acts=acts, labels_exposed=exposed)
    scene.upload("inc", 0, mp4, began)
    scene.hub._parts.cases.make("night shift", scene.hub.store.incidents(["inc"]), user="owner", at=time.time())
    page, found = scene.page(viewport=PHONE), []
    for language in ("zh", "en"):
        page.context.add_cookies([{"name": "language", "value": language, "url": scene.hub.url}])
        for path in PATHS:
            page.goto(scene.hub.url.rstrip("/") + path)
            found += [f"{path} {language}: {one}" for one in page.evaluate(OUTSIDE)]
            found += [f"{path} {language}: cut: {one}" for one in page.locator(".sums b").evaluate_all(CUT)]
    assert not found, "\n".join(found)
