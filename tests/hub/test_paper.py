"""What an owner prints, for the police or a file: dark on white, nothing to press, nothing missing or cut in two."""

from __future__ import annotations

import re
import time
from typing import Any
from urllib.parse import urljoin

import pytest

from tests.hub.conftest import make_act
from tests.hub.test_browser import DESK, PHONE, Scene, browser, scene, until  # noqa: F401  (fixtures)
from tests.hub.test_orientation import lying

PEOPLE, NOTE = "男，约 30 岁，蓝色工服", "\n".join(f"第 {n} 行：逐件拍照" for n in range(30))
OF_CAMERAS = ("/cameras", "/cameras/shanghai/box1/cam3/orientation", "/cameras/shanghai/box1/cam3/tests")
# What is seen on paper and of no use there, or pale on it.
TO_PRESS = "nav, form, button:not(.acts *, .stills *), .button, input, textarea, select, footer, [download], .play, "
TO_PRESS += "details:not([open]), .up a"
SEEN = "[...document.querySelectorAll({what!r})].filter(e => e.checkVisibility()).map(e => e.outerHTML)"
PALE = """() => {
  const light = (colour) => colour.match(/[\\d.]+/g).slice(0, 3).reduce((sum, part) => sum + Number(part), 0) / 765;
  return [...document.querySelectorAll("main :is(h1, h2, h3, p, dt, dd, b, td, th)")].filter((e) => e.checkVisibility())
    .filter((e) => light(getComputedStyle(e).color) > 0.6).map((e) => e.outerHTML);
}"""
CUT = "[...document.querySelectorAll('main :is(.shot, video, img, li, tr)')].filter(e => e.checkVisibility()).filter(e "
CUT += (
    "=> { for (; e; e = e.parentElement) if (getComputedStyle(e).breakInside === 'avoid') return false; return true; })"
)


@pytest.fixture
def printed(scene: Scene, mp4: bytes) -> Any:  # noqa: F811
    """A page of somebody who likes it dark, as it goes to a printer."""
    began = time.time() - 60
    scene.alert("inc", started_at_unix=began, acts=[make_act(began + 4 * n) for n in range(3)])
    scene.alert("other", started_at_unix=began - 600, severity="warning")
    scene.upload("inc", 0, mp4, began)
    for place in ("shanghai", "suzhou"):
        cameras = {f"cam{n}": {"age_s": 1.0} for n in range(9)}
        scene.hub.store.edges.set_status(place, "box1", "online", time.time())
        scene.hub.store.edges.set_health(place, "box1", {"cameras": cameras}, time.time())
    lying(scene.hub.store, ("shanghai", "box1", "cam3"), time.time())
    cases, inside = scene.hub._parts.cases, scene.hub.store.incidents(["inc", "other"])
    number = cases.make("夜班", inside, user="owner", at=time.time())
    told = scene.hub._parts.cases.cases()[0]
    cases.change(told, {"people": PEOPLE, "note": NOTE}, user="owner", at=time.time())
    assert number == told.number == 1

    def show(path: str) -> Any:
        page = scene.page()
        page.context.add_cookies([{"name": "theme", "value": "dark", "url": scene.hub.url}])
        page.goto(scene.hub.url + path)
        page.emulate_media(media="print", color_scheme="dark")
        return page

    return show


def test_on_paper_stands_nothing_to_press_and_all_is_dark_on_white(printed: Any) -> None:
    page = printed("")
    for path in ("/incidents/inc", "/cases/1", "/cases", "/", "/digest", "/day", "/health", "/audit", *OF_CAMERAS):
        page.goto(urljoin(page.url, path))
        for viewport in (DESK, PHONE):
            page.set_viewport_size(viewport)
            assert page.evaluate(SEEN.format(what=TO_PRESS)) == [], path
            assert page.evaluate(PALE) == [], path
            assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)", path
            assert page.evaluate(f"{CUT}.map(e => e.outerHTML)") == [], path


def test_on_paper_an_incident_has_its_picture_its_acts_and_its_whole_date(printed: Any) -> None:
    page = printed("incidents/inc")
    until(page, "document.querySelector('video').readyState >= 2")
    assert page.locator(".acts li button:visible").count() == 3 and page.locator(".stills img:visible").count() == 1
    assert re.search(r"20\d\d-\d\d-\d\d · 今天", page.inner_text(".item .title"))
    assert re.search(rb"/Width 320\b", page.pdf())  # of the recording


def test_on_paper_a_case_tells_whole_what_was_written_to_it(printed: Any) -> None:
    page = printed("cases/1")
    paper = page.inner_text("main")
    assert PEOPLE in paper and NOTE in paper
    page.emulate_media(media="screen")
    assert NOTE not in page.inner_text("main") and page.input_value("[name=note]") == NOTE
