"""Who sets larger letters in the browser gets them on every page, and nothing is lost by it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.hub.conftest import make_act
from tests.hub.test_accessible import PAGES, fill
from tests.hub.test_browser import Scene, chromium, scene  # noqa: F401  (a fixture)

LETTER_PX = 20
MORE_PAGES = ("/cases/1", "/incidents/inc/share", "/people/owner", "/edges/shanghai/box1")
# Text that lies over other text, beyond what holds it or beyond the screen; what can be scrolled to isn't lost.
LOST = """() => {
  const said = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const styled = (one, name) => getComputedStyle(one)[name];
  const above = (one, is) => { while (one && !is(one)) one = one.parentElement; return one; };
  const scrolls = (one) => above(one, (e) => /auto|scroll/.test(styled(e, "overflowX") + styled(e, "overflowY")));
  const floats = (one) => above(one, (e) => /fixed|sticky/.test(styled(e, "position")));
  const lost = document.documentElement.scrollWidth > innerWidth ? ["the page is wider than the screen"] : [];
  while (walker.nextNode()) {
    const text = walker.currentNode, inside = text.parentElement;
    if (!text.data.trim() || inside.closest(".hidden, .skip, option, script") || !inside.checkVisibility()) continue;
    if (scrolls(inside)) continue;
    const holder = above(inside, (e) => styled(e, "display") !== "inline").getBoundingClientRect();
    const range = document.createRange();
    range.selectNodeContents(text);
    for (const { left, right, top, bottom, width, height } of range.getClientRects()) {
      if (width < 2) continue;
      const words = text.data.trim().slice(0, 40);
      const beyond = Math.max(right - holder.right, holder.left - left);
      if (!inside.closest("svg") && beyond > 1.5) lost.push(`out: ${words}`);
      const rows = { top: top + 0.12 * height, bottom: bottom - 0.12 * height };
      if (!floats(inside)) said.push({ words, text, left, right, ...rows });
    }
  }
  said.sort((one, other) => one.top - other.top);
  said.forEach((one, n) => {
    for (const other of said.slice(n + 1)) {
      if (other.top >= one.bottom) break;
      const wide = Math.min(one.right, other.right) - Math.max(one.left, other.left);
      const high = Math.min(one.bottom, other.bottom) - other.top;
      if (one.text !== other.text && wide > 2 && high > 2) lost.push(`over each other: ${one.words}, ${other.words}`);
    }
  });
  return lost;
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium of somebody who set larger letters."""
    with chromium(f"--blink-settings=defaultFontSize={LETTER_PX},defaultFixedFontSize={LETTER_PX}") as browser:
        yield browser


def test_no_text_is_lost_or_laid_over_another_where_letters_are_larger(scene: Scene, mp4: bytes) -> None:  # noqa: F811
    fill(scene)
    began = time.time() - 60  # today, for the head of the feed
    acts = [make_act(began + 4 * n, kind=kind) for n, kind in enumerate(("photo", "scan", "call", "unclear"))]
    scene.alert("inc", started_at_unix=began, acts=acts, labels_exposed={"low": 23, "best": 27, "high": 131})
    scene.upload("inc", 0, mp4, began)
    for hours in (20, 40, 60):
        scene.alert(f"inc{hours}", started_at_unix=time.time() - 3600 * hours)
    inside = scene.hub.store.incidents(["inc", "inc20", "inc40", "inc60"])
    scene.hub._parts.cases.make("night shift", inside, user="owner", at=time.time())
    page = scene.page()
    found = set()
    for language in ("zh", "en"):
        page.context.add_cookies([{"name": "language", "value": language, "url": scene.hub.url}])
        for path in [*PAGES, *MORE_PAGES]:
            page.goto(scene.hub.url.rstrip("/") + path)
            for width in (360, 1120):
                page.set_viewport_size({"width": width, "height": 800})
                found |= {f"{path} {language} {width}: {one}" for one in page.evaluate(LOST)}
        assert page.evaluate("getComputedStyle(document.body).fontSize") == f"{LETTER_PX}px"
    scene.complaints.clear()  # of the page that isn't there
    assert sorted(found) == []
