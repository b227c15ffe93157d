"""The feed in a real browser: narrowed, shared, gone back to, and kept true meanwhile."""

from __future__ import annotations

import time
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest
from argon2 import PasswordHasher

from detector.config import Broker, HubConfig
from detector.hub.server import Hub
from detector.hub.watch.alarms import Sign
from tests.hub.test_browser import PHONE, Scene, browser, scene, until  # noqa: F401  (fixtures)


def test_a_narrowed_feed_is_shared_by_its_address_and_stays_narrow(scene: Scene) -> None:  # noqa: F811
    scene.alert("near", zone="bulk")
    scene.alert("far", zone="gate", severity="warning")
    page = scene.page(viewport=PHONE)
    page.evaluate("window.stillHere = true")
    page.focus("#by-zone")
    page.select_option("#by-zone", "gate")
    page.wait_for_url("**/?zone=gate")
    until(page, "document.querySelectorAll('.card').length === 1")
    assert page.evaluate("window.stillHere") and page.evaluate("document.activeElement.id") == "by-zone"
    # What doesn't fit doesn't appear; what fits does.
    scene.alert("elsewhere", zone="bulk")
    scene.alert("here", zone="gate")
    page.wait_for_selector("#card-here.fresh")
    assert [card.get_attribute("data-incident") for card in page.locator(".card").all()] == ["here", "far"]
    until(page, "document.getElementById('found').textContent.includes('2')")
    # What no longer fits goes.
    page.select_option("#by-verdict", "open")
    page.wait_for_url("**/?zone=gate&verdict=open")
    page.click("#card-far [value=false]")
    page.wait_for_selector("#card-far", state="detached")
    page.go_back()
    page.wait_for_selector("#card-far.cleared")
    assert page.input_value("#by-verdict") == ""
    other = page.context.new_page()
    other.goto(page.url)
    assert other.input_value("#by-zone") == "gate" and other.locator(".card").count() == 2
    # What grows into the zone appears.
    scene.alert("elsewhere", zone="bulk", facts={"other_zones": ["gate"]})
    other.wait_for_selector("#card-elsewhere.fresh")


def test_however_many_cards_there_are_what_the_page_asks_for_stays_short(scene: Scene) -> None:  # noqa: F811
    for n in range(60):
        scene.alert(f"inc{n}", zone="bulk", started_at_unix=time.time() - 60 - n, snapshot=None)
    page = scene.page()
    page.goto(scene.hub.url + "?zone=bulk&severity=critical&kind=label_photography&verdict=open")
    while (shown := page.locator(".card").count()) < 60:
        page.locator("[data-more]").scroll_into_view_if_needed()
        until(page, f"document.querySelectorAll('.card').length > {shown}")
    with page.expect_request("**/feed/live?*") as asked:
        scene.alert("new", zone="bulk")
    page.wait_for_selector("#card-new")
    assert page.locator(".card").count() == 61
    fields = dict(parse_qsl(urlsplit(asked.value.url).query, keep_blank_values=True))
    assert fields["zone"] == "bulk" and fields["shown"] == "60" and {"before", "seen", "to"} <= fields.keys()
    assert len(asked.value.url) < 500  # nginx takes 8 KB; with the fields of sixty cards it were 5.5


def test_nothing_is_missed_or_doubled_when_the_hub_starts_anew(scene: Scene, tmp_path: Path) -> None:  # noqa: F811
    scene.alert("before")
    page = scene.page()
    page.wait_for_selector("#card-before")
    page.evaluate("window.stillHere = true")
    port = int(scene.hub.url.rsplit(":", 1)[1].strip("/"))
    scene.hub.stop()
    config = HubConfig(data_dir=tmp_path / "data", broker=Broker(port=1))
    scene.hub = Hub(config, port=port, hasher=PasswordHasher(time_cost=1, memory_cost=64, parallelism=1))
    scene.alert("meanwhile", started_at_unix=time.time() - 30)
    scene.hub.start()
    page.wait_for_selector("#card-meanwhile")
    scene.alert("after", started_at_unix=time.time() - 20)
    page.wait_for_selector("#card-after")
    cards = [card.get_attribute("data-incident") for card in page.locator(".card").all()]
    assert cards == ["after", "meanwhile", "before"] and page.evaluate("window.stillHere")
    page.context.close()
    scene.hub.stop()
    scene.complaints.clear()  # the browser says, rightly, that it was refused


@pytest.mark.parametrize("anchoring", ["auto", "none"])  # some browsers never help
def test_what_is_read_further_down_stays_in_its_place_when_alerts_come(scene: Scene, anchoring: str) -> None:  # noqa: F811
    for n in range(15):
        scene.alert(f"inc{n}", started_at_unix=time.time() - 60 - n)
    page = scene.page(viewport=PHONE, has_touch=True)
    page.evaluate("to => { document.documentElement.style.overflowAnchor = to; }", anchoring)
    page.evaluate("document.getElementById('card-inc4').scrollIntoView({ block: 'center' })")
    page.wait_for_timeout(300)
    top = "document.getElementById('card-inc4').getBoundingClientRect().top"
    before = page.evaluate(top)
    for n in range(2):
        scene.alert(f"new{n}", started_at_unix=time.time())
        page.wait_for_selector(f"#card-new{n}", state="attached")
        page.wait_for_timeout(300)
        assert page.evaluate(top) == pytest.approx(before, abs=1)
    # At the top, what is new is what is read.
    page.evaluate("scrollTo(0, 0)")
    scene.alert("newest", started_at_unix=time.time())
    page.wait_for_selector("#card-newest", state="attached")
    page.wait_for_timeout(300)
    assert page.evaluate("scrollY") == 0


@pytest.mark.parametrize("width", [320, 360, 1440])
def test_marks_on_a_picture_do_not_lie_over_each_other(scene: Scene, width: int) -> None:  # noqa: F811
    exposed = {"low": 120, "best": 128, "high": 135}
    scene.alert("inc", started_at_unix=time.time() - 7200, labels_exposed=exposed)
    page = scene.page(viewport={"width": width, "height": 800})
    for language in ("zh", "en"):
        page.context.add_cookies([{"name": "language", "value": language, "url": scene.hub.url}])
        page.reload()
        late, labels = (page.locator(f".card {mark}").bounding_box() for mark in (".late", ".labels"))
        beside = late["x"] + late["width"] <= labels["x"]
        assert beside or late["y"] + late["height"] <= labels["y"], language
        assert labels["x"] >= 0 and labels["x"] + labels["width"] <= width


def test_of_many_alarms_the_gravest_is_shown_and_the_others_unfold(scene: Scene) -> None:  # noqa: F811
    scene.alert("inc")
    scene.hub._parts.watchman.stop()  # what it sees would come on top
    now = time.time()
    kinds = ("backlog", "clock", "edge_disk", "hub_key", "certificate", "edge_silent")
    facts = {"name": "box", "backlog": 9, "oldest": 1900.0, "offset": 3.0, "free": 1e9, "percent": 1}
    for n, kind in enumerate(kinds[:2]):
        scene.hub._parts.alarms.note(Sign(kind, "shanghai", f"box{n}", facts=facts, since=now - 3600), now)
    page = scene.page(viewport=PHONE, has_touch=True)
    assert page.locator(".alarms .alarm:visible").count() == 2 and page.locator(".alarms details").count() == 0
    for n, kind in enumerate(kinds[2:]):
        scene.hub._parts.alarms.note(Sign(kind, "suzhou", f"box{n}", facts=facts, since=now - 3600), now)
    page.reload()
    shown = page.locator(".alarms .alarm:visible")
    assert shown.count() == 2 and "另有 5 项异常" in shown.nth(1).inner_text()
    worst = page.locator(".alarms .alarm").first
    assert "critical" in worst.get_attribute("class") and worst.locator(".do").is_visible()
    # What fills the screen of a phone is what happened in the warehouse.
    assert page.locator(".alarms").bounding_box()["height"] < PHONE["height"] / 2.5
    page.locator(".alarms summary").tap()
    assert shown.count() == 7
    scene.alert("next", started_at_unix=now)
    page.wait_for_selector("#card-next")
    assert shown.count() == 7  # it stays unfolded though the page keeps itself fresh


def test_the_weeks_stand_in_line_with_their_scale_however_long_a_sum_is(scene: Scene) -> None:  # noqa: F811
    for n, low in enumerate((1234, 3, 1234)):
        exposed = {"low": low, "best": low, "high": 2 * low}
        scene.alert(f"week{n}", started_at_unix=time.time() - 7 * 86400 * n - 60, labels_exposed=exposed)
    page = scene.page("weeks", viewport=PHONE)
    heights = "all => all.map((one) => one.scrollHeight)"
    assert len(set(page.locator(".labels-day .sum").evaluate_all(heights))) == 2  # some in two lines
    tops = "all => all.map((one) => one.getBoundingClientRect().top)"
    assert len(set(page.locator(".labels-day .weeks :is(svg, .scale)").evaluate_all(tops))) == 1


def test_places_with_long_names_stand_apart_in_the_digest(scene: Scene) -> None:  # noqa: F811
    for n in range(2):
        name = f"西区二层立体货架通道北侧出口上方鱼眼全景摄像机 {n} 号"
        scene.alert(f"note{n}", severity="info", camera=f"cam{n}", camera_title=name)
    page = scene.page("digest", viewport=PHONE)
    page.wait_for_selector("#card-note1")
    words = "a => { const words = new Range(); words.selectNodeContents(a); return words.getBoundingClientRect(); }"
    first, second = (place.evaluate(words) for place in page.locator(".counts li li a").all())
    assert second["top"] - first["bottom"] >= 8


def test_a_tap_on_the_day_leads_to_that_hour(scene: Scene) -> None:  # noqa: F811
    scene.alert("inc", severity="warning")
    page = scene.page("day", viewport=PHONE, has_touch=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    scene.alert("worse", severity="critical", started_at_unix=time.time() - 61)
    page.wait_for_selector(".daygrid a.critical")
    page.locator(".daygrid a.critical").tap()
    page.wait_for_selector("#card-worse")
    assert "hour=" in page.url and page.locator("a.pick.on").count() == 1


def test_a_day_that_keeps_itself_fresh_makes_the_way_back_no_longer_and_one_that_is_chosen_does(scene: Scene) -> None:  # noqa: F811
    scene.alert("inc", severity="warning")
    page = scene.page()
    page.goto(scene.hub.url + "day")
    pages = page.evaluate("history.length")
    scene.alert("worse", severity="critical")
    page.wait_for_selector(".daygrid a.critical")
    assert page.evaluate("history.length") == pages and page.url == f"{scene.hub.url}day"
    page.fill("#turn-day", "2026-01-02")
    page.wait_for_url("**/day?day=2026-01-02")
    assert page.evaluate("history.length") == pages + 1


def test_on_a_phone_the_day_comes_before_the_systems_alarms_and_no_number_is_cut_in_two(scene: Scene) -> None:  # noqa: F811
    name = "西区分拣线末端朝向卸货口的高位球机（备用）"
    for n in range(1, 25):  # so that a range stands at many a place of its line
        labels = {"low": 10**n % 9973, "best": 10**n % 9973 + 1, "high": 10**n % 9973 + 2}
        scene.alert(f"inc{n}", camera_title=name, zone="bulk", labels_exposed=labels, severity="critical")
    scene.hub._parts.alarms.judge([Sign("certificate", facts={"to": time.time() + 86400})], time.time())
    page = scene.page(viewport=PHONE)
    page.wait_for_selector("#head .alarm")
    top = "document.querySelector('{}').getBoundingClientRect().top"
    assert page.evaluate(f"{top.format('#head h1')} < {top.format('#head .alarm')}")
    ranges = page.evaluate("[...document.querySelectorAll('.card .what .whole')].map(e => e.getClientRects().length)")
    assert len(ranges) >= 20 and set(ranges) == {1}
    assert page.evaluate("Math.max(...[...document.querySelectorAll('.card header')].map(e => e.offsetHeight))") < 70
    # The dot between the parts of the headline is beyond the edge, once they stand below each other.
    ends = page.evaluate("[...document.querySelectorAll('#head h1 > *')].map(e => e.getBoundingClientRect().left)")
    assert ends[0] == ends[1]
