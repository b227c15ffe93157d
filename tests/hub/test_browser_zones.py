"""Zones drawn in a real browser on the picture of a real camera, and put into force by a real edge."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from detector import worker
from detector.config import Analysis, Broker, Camera, EdgeConfig, HubConfig, Mounting, Zone
from detector.hub.access.people import People
from detector.hub.edges.pictures import Pictures
from detector.hub.edges.proposals import Proposals
from detector.hub.edges.zones import Zones
from detector.hub.storage.rights import CONSOLE, EVERYWHERE, Role
from tests.conftest import REPOSITORY
from tests.hub.conftest import CHEAP, make_hub
from tests.hub.test_browser import DESK, PHONE, browser, end_sessions, log_in_beside, until
from tests.parts_mosquitto import Mosquitto, soon

__all__ = ["browser"]  # a fixture

ALL = [[0, 0], [1, 0], [1, 1], [0, 1]]
PAGE = "cameras/shanghai/box1/cam3/zones"
BULK = Zone(name="bulk", kind="storage", polygon=[(0.1, 0.5), (0.9, 0.5), (0.9, 0.95), (0.1, 0.95)], label_up_rate=0.3)


class Live:
    """A hub, a broker, and an edge that watches the demo clip."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.broker = Mosquitto(folder)
        self.broker.start()
        broker = Broker(port=self.broker.port)
        self.hub = make_hub(HubConfig(data_dir=folder / "hub", broker=broker, enrolment="first_sight"))
        self.hub.start()
        camera = Camera(
            name="cam3", title="东区 3 号机", source=str(REPOSITORY / "configs/demo/sweep_near.mp4"), loop=True,
            zones=[BULK], mounting=Mounting(height_m=3.2, tilt_deg=24, fov_deg=62),
        )  # fmt: skip
        self.config = EdgeConfig(
            site="shanghai", edge="box1", data_dir=folder / "edge", broker=broker, cameras=[camera],
            analysis=Analysis(fps=2, frame_side=160, zooms=0),  # what is seen in the pictures plays no part
        )  # fmt: skip
        self._stop = threading.Event()
        self._edge = threading.Thread(target=worker.run, args=(self.config,), kwargs={"stop": self._stop})
        self._edge.start()

    def stop(self) -> None:
        self._stop.set()
        self._edge.join(30)
        self.hub.stop()
        self.broker.kill()

    def page(self, browser: Any, complaints: list[str], user: dict[str, str] | None = None, **options: Any) -> Any:
        """The draw page of somebody (the owner, when left out), once a picture to draw on has come."""
        context = browser.new_context(**options)
        context.set_default_timeout(30_000)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text) if message.type != "log" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        headers = {"Sec-Fetch-Site": "same-origin"}
        page.request.post(f"{self.hub.url}login", form=user or self.hub.first_login, headers=headers, max_redirects=0)
        assert soon(lambda: self.in_force, 60)
        # Not by asking for the picture: until the large one comes, the small one is shown in its place.
        assert soon(lambda: Pictures(self.hub.store.database).glimpses(large=True), 60)
        page.goto(self.hub.url + PAGE)
        page.wait_for_selector(".over.live")
        until(page, "document.querySelector('.canvas img').complete")
        return page

    @property
    def in_force(self) -> list[dict[str, Any]]:
        """Zones by which the edge says that it goes."""
        said = Zones(self.hub.store.database).layouts().get(("shanghai", "box1", "cam3"), {})
        return said.get("zones", [])  # type: ignore[no-any-return]

    @property
    def analysed(self) -> int:
        """Frames that the camera's pipelines have looked at, by the newest health report."""
        health = next(iter(self.hub.store.edges.all())).health or {}
        return int(health["cameras"]["cam3"]["analysed"])


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    live = Live(tmp_path_factory.mktemp("live"))
    yield live
    live.stop()


@pytest.fixture
def complaints(browser: Any) -> Iterator[list[str]]:
    """What the browser complained of: nothing."""
    found: list[str] = []
    yield found
    for context in browser.contexts:
        context.close()
    assert found == []


def spots(page: Any, *shares: tuple[float, float]) -> list[tuple[float, float]]:
    """Places in the window of shares of the picture."""
    page.evaluate("scrollTo(0, 0)")
    box = page.locator(".over.live").bounding_box()
    return [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in shares]


def drafted(page: Any) -> list[dict[str, Any]]:
    return json.loads(page.input_value("#draft"))  # type: ignore[no-any-return]


def test_a_zone_is_drawn_looked_at_and_in_force_at_the_edge(live: Live, browser: Any, complaints: list[str]) -> None:
    page = live.page(browser, complaints, viewport=DESK)
    assert page.evaluate("document.querySelector('.canvas img').naturalWidth") == 1280
    assert page.locator("line.far").count() == 2  # on the picture and in the words below it
    page.click("[data-do=new]")
    for x, y in spots(page, (0.1, 0.1), (0.4, 0.1), (0.4, 0.4), (0.1, 0.4), (0.1, 0.1)):
        page.mouse.click(x, y)
    (drawn,) = [zone for zone in drafted(page) if not zone["was"]]
    assert [[round(v, 1) for v in point] for point in drawn["polygon"]] == [
        [0.1, 0.1],
        [0.4, 0.1],
        [0.4, 0.4],
        [0.1, 0.4],
    ]
    page.fill("#zone-name", "shelf")
    page.select_option("#zone-kind", "walkway")
    # A corner is dragged over the others: that can't be saved, and is undone.
    (corner, across) = spots(page, (0.1, 0.1), (0.45, 0.3))
    page.mouse.move(*corner)
    page.mouse.down()
    page.mouse.move(*across, steps=4)
    page.mouse.up()
    page.wait_for_selector("#wrong:visible")
    assert page.is_disabled("#look button.main")
    page.click("[data-do=undo]")
    page.wait_for_selector("#wrong", state="hidden")
    # By keyboard: a corner goes up by five hundredths.
    page.focus("[data-key=point-0]")
    for _ in range(5):
        page.keyboard.press("ArrowUp")
    page.click("#look button.main")
    page.wait_for_selector("#looked .diff .plus")
    assert "shelf" in page.inner_text("#looked ul") and "kind: walkway" in page.inner_text(".diff")
    before = live.analysed
    assert "当前区域来自边缘设备的配置文件" in page.inner_text("main")
    page.click("#looked button.main")
    page.wait_for_selector("#answer .taken")
    said = page.inner_text("main")
    assert "当前区域是在这里画的" in said and "来自边缘设备的配置文件" not in said, "without another load"
    assert soon(lambda: [zone["name"] for zone in live.in_force] == ["bulk", "shelf"])
    assert live.in_force[0]["label_up_rate"] == 0.3
    assert live.in_force[1]["polygon"][0][1] == pytest.approx(0.05, abs=0.01)
    assert soon(lambda: live.analysed > before)  # the same camera goes on, with a pipeline of its new zones
    assert json.loads((live.config.data_dir / "zoned.json").read_text())["version"] == 1


def test_undo_lets_go_of_a_corner_that_is_held_and_takes_back_nothing_else(
    live: Live, browser: Any, complaints: list[str]
) -> None:
    page = live.page(browser, complaints, viewport=DESK)
    page.locator("#zone-list button").first.click()
    page.focus("[data-key=point-0]")
    page.keyboard.press("ArrowUp")
    nudged = drafted(page)
    (corner, away, further) = spots(page, tuple(nudged[0]["polygon"][0]), (0.2, 0.2), (0.3, 0.3))
    for moves in ([], [away]):  # held still, and on its way
        page.mouse.move(*corner)
        page.mouse.down()
        for place in moves:
            page.mouse.move(*place, steps=4)
        page.keyboard.press("Control+z")
        assert drafted(page) == nudged
        page.mouse.move(*further)
        page.mouse.up()
        assert drafted(page) == nudged
    # Another deed while a corner is held keeps where it came to, as a step of its own.
    page.mouse.move(*corner)
    page.mouse.down()
    page.mouse.move(*away, steps=4)
    dragged = drafted(page)
    page.keyboard.press("Delete")
    page.mouse.move(*further)
    page.mouse.up()
    assert len(drafted(page)[0]["polygon"]) == 3
    for former in (dragged, nudged):
        page.keyboard.press("Control+z")
        assert drafted(page) == former
    page.keyboard.press("Control+z")
    assert drafted(page)[0]["polygon"][0] == list(BULK.polygon[0])


def test_the_focus_stays_in_the_tools_when_what_was_pressed_goes(
    live: Live, browser: Any, complaints: list[str]
) -> None:
    page = live.page(browser, complaints, viewport=DESK)
    page.locator("#zone-list button").first.click()
    for deed in ("new", "cancel", "delete", "undo"):
        if deed == "delete":
            page.locator("#zone-list button").first.press("Enter")
        page.press(f"[data-do={deed}]", "Enter")
        assert page.evaluate("document.activeElement.closest('.drawing') !== null"), deed


def test_what_is_usual_in_a_zone_is_typed_as_a_percentage_and_in_force_at_the_edge(
    live: Live, browser: Any, complaints: list[str]
) -> None:
    page = live.page(browser, complaints, viewport=DESK)
    page.locator("#zone-list button").first.click()
    assert page.input_value("#zone-rate") == "30"
    page.fill("#zone-rate", "130")
    assert page.inner_text("#wrong") == "bulk：平时面单朝上的百分比要在 0 到 100 之间。"
    assert page.is_disabled("#look button.main")
    page.fill("#zone-rate", "")
    assert drafted(page)[0]["label_up_rate"] == "" and page.is_hidden("#wrong")
    page.fill("#zone-rate", "87.5")
    page.locator("#zone-rate").blur()
    assert drafted(page)[0]["label_up_rate"] == 0.875
    page.select_option("#zone-kind", "walkway")
    assert page.is_hidden("#zone-rate")
    page.click("[data-do=undo]")
    page.click("#look button.main")
    page.wait_for_selector("#looked .diff .plus")
    assert "bulk 平时 87.5% 的面单朝上" in page.inner_text("#looked ul")
    page.click("#looked button.main")
    page.wait_for_selector("#answer .taken")
    assert soon(lambda: live.in_force[0].get("label_up_rate") == 0.875)
    page.locator("#zone-list button").first.click()
    page.click("[data-do=delete]")
    page.click("[data-do=undo]")
    assert page.input_value("#zone-rate") == "87.5"


def test_what_is_typed_is_of_the_zone_that_is_chosen_though_another_was_typed_in_before(
    live: Live, browser: Any, complaints: list[str]
) -> None:
    page = live.page(browser, complaints, viewport=DESK)
    page.locator("details.by-hand summary").click()
    zones = [
        {"name": name, "kind": "storage", "polygon": [[x, 0.3], [x + 0.3, 0.3], [x + 0.3, 0.9]], "label_up_rate": rate}
        for name, x, rate in (("left", 0.1, 0.3), ("right", 0.6, 0.5))
    ]
    page.fill("#draft", json.dumps([{**zone, "was": None} for zone in zones]))
    page.locator("#draft").blur()
    (left, right) = spots(page, (0.35, 0.45), (0.85, 0.45))
    for field, key in (("#zone-rate", "5"), ("#zone-name", "x")):
        page.mouse.click(*left)
        page.focus(field)
        page.keyboard.press(key)
        page.mouse.click(*right)
        assert (page.input_value("#zone-name"), page.input_value("#zone-rate")) == ("right", "50")
    changed = drafted(page)
    page.focus("#zone-name")
    page.keyboard.press("End")
    page.keyboard.type("-2")
    assert [zone["name"] for zone in drafted(page)] == [changed[0]["name"], "right-2"]
    page.click("[data-do=undo]")
    assert drafted(page) == changed


def test_what_the_edge_would_refuse_is_refused_before_it_is_sent(
    live: Live, browser: Any, complaints: list[str]
) -> None:
    page = live.page(browser, complaints, viewport=DESK)
    page.locator("details.by-hand summary").click()
    bow_tie = [{"name": "tie", "kind": "ignore", "polygon": [[0, 0], [0.2, 0.2], [0.2, 0], [0, 0.2]], "was": None}]
    page.fill("#draft", json.dumps([*drafted(page), *bow_tie]))
    page.locator("#draft").blur()
    assert page.inner_text("#wrong") == "tie：边线交叉或碰在一起了。"
    page.click("[data-do=undo]")
    over_all = [{"name": "all", "kind": "ignore", "polygon": ALL, "was": None}]
    first, *others = drafted(page)
    page.fill("#draft", json.dumps([*over_all, first, *others]))
    page.locator("#draft").blur()
    page.click("#look button.main")
    page.wait_for_selector("#change .wrong")
    told = page.inner_text("#change")
    assert f"{first['name']} 完全落在忽略区 all 里面" in told and not page.locator("#looked").count()
    assert drafted(page) == [*over_all, first, *others]


def test_a_change_that_the_edge_refuses_is_told_beside_what_stays_in_force(
    live: Live, browser: Any, complaints: list[str]
) -> None:
    page = live.page(browser, complaints, viewport=DESK)
    former = drafted(page)
    kept = live.folder / "edge/zoned.json"
    kept.unlink(missing_ok=True)
    kept.mkdir()  # so that nothing can be kept there
    page.locator("details.by-hand summary").click()
    corner = {"name": "corner", "kind": "packing", "polygon": [[0.95, 0], [1, 0], [1, 0.1]], "was": None}
    page.fill("#draft", json.dumps([*former, corner]))
    page.locator("#draft").blur()
    page.click("#look button.main")
    page.click("#looked button.main")
    page.wait_for_selector("#answer .refused")
    kept.rmdir()
    assert "存不下这次改动" in page.inner_text("#answer .refused")
    assert "corner" not in page.inner_text("#in-force") and former[0]["name"] in page.inner_text("#in-force")
    assert page.locator(".over .in-force").count() == len(former)
    assert "没有生效" in page.inner_text("#draft-head") and len(drafted(page)) == len(former) + 1
    assert [zone["name"] for zone in live.in_force] == [zone["name"] for zone in former]
    page.locator("#look [value=look_back]").click()
    page.click("#looked button.main")
    page.wait_for_selector("#answer .taken")
    assert soon(lambda: [zone["name"] for zone in live.in_force] == ["bulk"])
    assert not page.locator(".pending:visible").count()


def test_a_guard_draws_one_zone_at_a_time_so_that_none_is_lost_when_it_is_proposed(
    live: Live, browser: Any, complaints: list[str]
) -> None:
    guard = {"user": "bo", "password": "correct horse battery"}
    people = People(live.hub.store.database)
    people.add(CONSOLE, "bo", CHEAP.hash(guard["password"]), time.time(), role=Role.REVIEWER, scope=EVERYWHERE)
    page = live.page(browser, complaints, guard, viewport=DESK)
    for deed in ("delete", "undo", ""):
        page.click("[data-do=new]")
        for x, y in spots(page, (0.5, 0.05), (0.6, 0.05), (0.6, 0.2)):
            page.mouse.click(x, y)
        page.click("[data-do=done]")
        assert page.is_disabled("[data-do=new]")
        if deed:
            page.click(f"[data-do={deed}]")
    page.click("#proposing button")
    page.wait_for_selector("#proposals")
    assert len(Proposals(live.hub.store.database).all()) == 1 and page.is_enabled("[data-do=new]")


def test_a_thumb_moves_a_corner_on_a_phone(live: Live, browser: Any, complaints: list[str]) -> None:
    page = live.page(browser, complaints, viewport=PHONE, has_touch=True, is_mobile=True)
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    page.locator("#zone-list button").first.tap()
    page.wait_for_selector("[data-key=point-0]")
    reach = page.locator("[data-key=point-0] .reach").bounding_box()
    assert reach["width"] >= 40 and reach["height"] >= 40
    first = drafted(page)[0]["polygon"][0]
    touch = page.context.new_cdp_session(page)
    (begin, end) = spots(page, tuple(first), (first[0] + 0.1, first[1] - 0.1))
    moves = [(begin[0] + (end[0] - begin[0]) * k / 5, begin[1] + (end[1] - begin[1]) * k / 5) for k in range(6)]
    for kind, places in [("touchStart", moves[:1]), *(("touchMove", [place]) for place in moves[1:]), ("touchEnd", [])]:
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y} for x, y in places]})
    moved = drafted(page)[0]["polygon"][0]
    assert moved == pytest.approx([first[0] + 0.1, first[1] - 0.1], abs=0.02)
    # Taps of buttons are clicks: on a busy machine the browser takes a tap for a long press, which clicks nothing.
    page.click("[data-do=new]")
    for x, y in spots(page, (0.2, 0.1), (0.6, 0.1), (0.6, 0.3)):
        page.touchscreen.tap(x, y)
    page.click("[data-do=done]")
    page.select_option("#zone-kind", "ignore")
    page.click("#look button.main")
    with page.expect_navigation():  # else its answer may come while the next page is asked for
        page.click("#looked button.main")
    page.wait_for_selector("#answer .taken")
    assert soon(lambda: [zone["kind"] for zone in live.in_force] == ["storage", "ignore"])
    begun = time.monotonic()
    page.goto(live.hub.url + "cameras")
    page.wait_for_selector(".cameras .zone.ignore")
    assert time.monotonic() - begun < 10


def test_who_draws_by_keyboard_and_does_not_see_is_told_where_and_says_which_spot_it_is(
    live: Live, browser: Any, complaints: list[str]
) -> None:
    page = live.page(browser, complaints, viewport=DESK)
    told = page.locator("#told[role=status]")
    page.press("[data-do=new]", "Enter")
    for keys, words in (
        (["Shift+ArrowLeft"] * 6, "横 20%，竖 50%"),
        (["Enter"], "第 1 点，共 1 点，横 20%，竖 50%"),
        (["ArrowRight", "ArrowUp"], "横 21%，竖 49%"),
        (["Shift+ArrowUp"] * 4 + ["Enter"], "第 2 点，共 2 点，横 21%，竖 29%"),
        (["Shift+ArrowLeft"] * 2 + ["Enter"], "第 3 点，共 3 点，横 11%，竖 29%"),
    ):
        for key in keys:
            page.keyboard.press(key)
        assert told.inner_text() == words
    page.keyboard.press("Enter")
    page.fill("#zone-name", "cage-side")
    page.fill("#zone-spot", "the cage")
    assert "cage-side" in page.inner_text("#wrong")
    page.fill("#zone-spot", "cage")
    page.click("#look button.main")
    page.wait_for_selector("#looked")
    assert "cage-side 看的是 cage 这一处" in page.inner_text("#looked")
    page.click("#looked button.main")
    assert soon(lambda: [one.get("spot") for one in live.in_force if one["name"] == "cage-side"] == ["cage"])


def test_what_is_drawn_is_lost_neither_with_the_session_nor_without_a_question(
    live: Live, browser: Any, complaints: list[str]
) -> None:
    page, asked = live.page(browser, complaints, viewport=DESK), []
    page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.dismiss()))
    page.click("[data-do=new]")
    for x, y in spots(page, (0.75, 0.1), (0.95, 0.1), (0.95, 0.3), (0.75, 0.1)):  # where no other test draws
        page.mouse.click(x, y)
    drawn = drafted(page)
    for leads_away in ("button:has-text('要一张新画面')", "header nav a[href='/cases']"):
        page.click(leads_away, no_wait_after=True)
        page.wait_for_timeout(300)
    assert asked == ["beforeunload"] * 2 and drafted(page) == drawn

    versions = len(live.in_force)
    for pressed, then in (("#look button.main", "#looked"), ("#looked button.main", "#answer .answer")):
        end_sessions(live.hub)
        page.click(pressed)
        page.wait_for_selector("#ended:visible")
        log_in_beside(page, live.hub.first_login)
        assert drafted(page) == drawn
        page.click(pressed)
        page.wait_for_selector(then)
    assert soon(lambda: len(live.in_force) == versions + 1)
    assert asked == ["beforeunload"] * 2
    complaints.clear()  # the browser logs the 401s
