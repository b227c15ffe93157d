"""The pages in a real browser: what a person sees, without a word of complaint from the browser."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit
from zoneinfo import ZoneInfo

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from playwright.sync_api import sync_playwright

from detector import wire
from detector.config import Broker, HubConfig
from detector.hub.access.people import People
from detector.hub.desk.responses import Responses
from detector.hub.desk.reviews import REASONS
from detector.hub.edges.census import Censuses
from detector.hub.edges.keys import EdgeKeys
from detector.hub.edges.thresholds import Thresholds
from detector.hub.server import Hub
from detector.hub.storage.rights import CONSOLE, EVERYWHERE, Role
from detector.hub.storage.stored import VERDICTS
from tests.conftest import part_missing
from tests.hub.conftest import CHEAP, make_act, make_envelope, make_hub, make_mp4, make_side
from tests.hub.test_orientation import counted, lying
from tests.hub.test_tuning import set_score
from tests.parts_link import Link
from tests.parts_mosquitto import soon

BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--no-first-run", "--autoplay-policy=no-user-gesture-required",
    "--renderer-process-limit=1",  # to start one costs more than most pages
]  # fmt: skip
PHONE = {"width": 360, "height": 740}
DESK = {"width": 1440, "height": 900}
# What can be touched and is too low for a thumb.
TOO_SMALL = (
    "[...document.querySelectorAll('button, input:not([type=hidden]):not(.hidden), .button')]"
    ".filter(e => e.offsetParent && (e.matches('[type=checkbox], [type=radio]') && e.closest('label') || e)"
    ".getBoundingClientRect().height < 40).map(e => e.outerHTML)"
)


@contextmanager
def chromium(*more: str) -> Iterator[Any]:
    """Chromium without a window; `more` arguments go to it."""
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        part_missing("Chromium", "chromium-headless-shell")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=[*ARGUMENTS, *more])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """As most people have it set."""
    with chromium() as browser:
        yield browser


class Scene:
    """A running hub, an edge that it knows, and pages whose complaints are collected."""

    def __init__(self, hub: Hub, browser: Any, picture: bytes, envelope: Any) -> None:
        self.hub = hub
        self.complaints: list[str] = []
        self._browser = browser
        self._picture = picture
        self._envelope = envelope
        self._seq = 0
        self._key = Ed25519PrivateKey.generate()
        EdgeKeys(hub.store.database).trust("shanghai", "box1", wire.public_key_text(self._key), 0.0)

    def alert(self, incident: str, **changes: Any) -> None:
        """Store an alert as the intake does."""
        self._seq += 1
        usual = {"incident": incident, "started_at_unix": time.time() - 60, "snapshot": self._picture}
        fields = self._envelope(self._seq, **{**usual, **changes})
        fields["after"]["camera"] = fields["camera"]
        self.hub.store.add_alerts([fields], time.time())
        self.hub.live.poke()

    def guard(self, name: str, role: Role = Role.REVIEWER) -> dict[str, str]:
        """The login of somebody made for it."""
        login = {"user": name, "password": "correct horse battery"}
        people = People(self.hub.store.database)
        people.add(CONSOLE, name, CHEAP.hash(login["password"]), time.time(), role=role, scope=EVERYWHERE)
        return login

    def upload(
        self, incident: str, segment: int, content: bytes, started_at: float, *, what: str | None = None,
        camera: str = "cam3",
    ) -> None:  # fmt: skip
        """Send a clip, or with `wire.SIDE` its side file, as an edge does."""
        headers = wire.clip_headers(
            site="shanghai", edge="box1", camera=camera, incident=incident, segment=segment,
            sha256=hashlib.sha256(content).hexdigest(), size=len(content), started_at=started_at, duration_s=4.0,
            at=time.time(), key=self._key, what=what,
        )  # fmt: skip
        address = f"{self.hub.url}api/clips/{incident}/{segment}{'/side' if what else ''}"
        answer = httpx.put(address, content=content, headers=headers, timeout=60)
        assert answer.status_code == 201

    def page(
        self, path: str = "", *, viewport: dict[str, int] = DESK, user: dict[str, str] | None = None, **options: Any
    ) -> Any:
        """A page of somebody (the owner, when left out) who has logged in; scripts have run."""
        page = self.strange_page(viewport=viewport, **options)
        fields, headers = user or self.hub.first_login, {"Sec-Fetch-Site": "same-origin"}
        answer = page.request.post(f"{self.hub.url}login", form=fields, headers=headers, max_redirects=0)
        assert answer.status == 303  # the session is the page's now
        page.goto(self.hub.url + path)
        return page

    def strange_page(self, *, viewport: dict[str, int] = DESK, **options: Any) -> Any:
        """An empty page of somebody who has not logged in."""
        context = self._browser.new_context(viewport=viewport, **options)
        context.set_default_timeout(30_000)
        page = context.new_page()
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("requestfailed", lambda request: self._failed(request))
        return page

    def _said(self, message: Any) -> None:
        # htmx leads to what asks for it in what it puts in; the browser, where it comes later, says that it needn't.
        if message.type != "log" and not message.text.startswith("Autofocus processing was blocked"):
            self.complaints.append(message.text)

    def _failed(self, request: Any) -> None:
        # What a page drops when it is left or a player when it seeks is no failure.
        if "ERR_ABORTED" not in (request.failure or ""):
            self.complaints.append(f"{request.failure}: {request.url}")


def until(page: Any, expression: str) -> None:
    """Wait until a script says so; Playwright's own `wait_for_function` is stopped by our content security policy."""
    deadline = time.monotonic() + 30
    while not page.evaluate(expression):
        assert time.monotonic() < deadline, f"never true: {expression}"
        page.wait_for_timeout(50)


@pytest.fixture
def scene(
    request: pytest.FixtureRequest, tmp_path: Path, browser: Any, picture: bytes, envelope: Any
) -> Iterator[Scene]:
    """A hub with nothing in it, without a broker, in Shanghai or where else a test says; no page may complain."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        nobody = closed.getsockname()[1]
    timezone = getattr(request, "param", "Asia/Shanghai")
    config = HubConfig(data_dir=tmp_path / "data", broker=Broker(port=nobody), timezone=timezone)
    hub = make_hub(config)
    hub.start()
    scene = Scene(hub, browser, picture, envelope)
    yield scene
    for context in browser.contexts:
        context.close()
    hub.stop()
    assert scene.complaints == []


def test_an_incident_appears_and_changes_without_reload(scene: Scene) -> None:
    scene.alert("first", camera_title="Old Gate")
    page = scene.page()
    assert page.locator(".card").count() == 1
    page.evaluate("window.stillHere = true")
    scene.alert("second", camera_title="New Gate", severity="warning")
    page.wait_for_selector("#card-second.warning")
    assert [card.get_attribute("id") for card in page.locator(".card").all()] == ["card-second", "card-first"]
    until(page, "document.querySelector('#card-second img').complete")
    scene.alert("second", camera_title="New Gate", severity="critical")
    page.wait_for_selector("#card-second.critical")
    assert page.locator(".card").count() == 2 and page.evaluate("window.stillHere")
    until(page, "document.getElementById('head').textContent.includes('2')")


def test_an_empty_feed_fills_and_a_late_old_incident_finds_its_place(scene: Scene) -> None:
    page = scene.page()
    page.wait_for_selector("#empty")
    scene.alert("now")
    page.wait_for_selector("#card-now")
    assert page.locator("#empty").count() == 0
    scene.alert("earlier", started_at_unix=time.time() - 3 * 86400)
    page.wait_for_selector("#card-earlier")
    assert [card.get_attribute("id") for card in page.locator(".card").all()] == ["card-now", "card-earlier"]
    assert page.locator(".day").count() == 2


@pytest.mark.parametrize("hours", [23, 24, 25])
def test_the_feeds_bars_stand_over_their_hours_however_many_a_day_has(scene: Scene, hours: int) -> None:
    scene.alert("first")
    page = scene.page()
    put_on_or_back = """hours => {
        const bars = document.querySelector('.hours .bars');
        bars.className = `bars h${hours}`;
        while (bars.children.length > hours) bars.children[2].remove();
        while (bars.children.length < hours) bars.children[2].before(bars.children[2].cloneNode(true));
        const left = element => element.getBoundingClientRect().left;
        const names = [...document.querySelectorAll('.hours figcaption span')].slice(0, -1);
        return names.map(name => left(name) - left(bars.children[Number(name.textContent) ? Number(name.textContent)
            + hours - 24 : 0]));
    }"""
    assert page.evaluate(put_on_or_back, hours) == pytest.approx([0, 0, 0, 0], abs=2)


def break_streams(scene: Scene) -> None:
    """End every stream of changes, as a hub or a network does that goes away; pages open new ones by themselves."""
    scene.hub.live._closed = True
    scene.hub.live.poke()
    time.sleep(0.5)
    scene.hub.live._closed = False


def test_a_page_that_lost_the_hub_catches_up(scene: Scene) -> None:
    page = scene.page()
    page.wait_for_selector("#empty")
    page.context.set_offline(True)
    break_streams(scene)  # offline leaves open connections open
    scene.alert("missed")
    page.context.set_offline(False)
    page.wait_for_selector("#card-missed")
    scene.complaints.clear()  # the browser says, rightly, that it was offline


def test_the_clip_plays_from_the_first_act_and_a_click_on_an_act_jumps_to_it(scene: Scene, mp4: bytes) -> None:
    started_at = float(int(time.time()) - 600)
    scene.alert("inc", started_at_unix=started_at, acts=[make_act(started_at + s, length_s=1.0) for s in (2.0, 6.0)])
    scene.upload("inc", 0, mp4, started_at)
    scene.upload("inc", 1, mp4, started_at + 4)
    page = scene.page()
    page.click("#card-inc .open")
    until(page, "document.querySelector('video')?.currentTime > 0.9")
    assert page.evaluate("document.querySelector('video').currentTime") == pytest.approx(1, abs=0.1)
    page.locator(".acts [data-at]").nth(1).click()
    until(page, "document.querySelector('video').src.endsWith('/clips/inc/1')")
    until(page, "document.querySelector('video').currentTime > 1.2")
    assert page.evaluate("document.querySelector('video').videoWidth") == 320
    assert page.locator(".playhead:visible").count() == 1
    page.locator(".timeline [data-at]").nth(0).focus()
    page.keyboard.press("Enter")
    until(page, "document.querySelector('video').src.endsWith('/clips/inc/0')")
    # Without the loop, one clip follows the other by itself.
    page.keyboard.press("o")
    for _ in range(2):
        page.keyboard.press("l")
    until(page, "document.querySelector('video').src.endsWith('/clips/inc/1')")


@pytest.mark.parametrize("scene", ["Europe/Berlin"], indirect=True)
def test_the_players_clock_says_in_which_of_two_hours_it_is(scene: Scene, mp4: bytes) -> None:
    put_back = datetime(2026, 10, 25, 1, tzinfo=UTC).timestamp()
    scene.alert("inc", started_at_unix=put_back - 2, acts=[make_act(put_back - 1, length_s=0.5)])
    scene.upload("inc", 0, mp4, put_back - 2)  # of four seconds
    page = scene.page("incidents/inc")
    until(page, "document.querySelector('video').readyState >= 2")
    shown = []
    for at in (0.5, 3.5):
        page.evaluate(f"Player.in(document).seek({put_back - 2 + at})")
        until(page, f"document.querySelector('[data-at-time]').textContent.includes('{(58.5, 1.5)[at > 2]:04.1f}')")
        shown.append(page.inner_text("[data-at-time]"))
    assert shown == ["02:59:58.5 CEST", "02:00:01.5 CET"]


def test_a_clip_waits_for_a_network_that_is_gone_and_goes_on_where_it_was(scene: Scene, mp4: bytes) -> None:
    started_at = float(int(time.time()) - 600)
    scene.alert("inc", started_at_unix=started_at, acts=[make_act(started_at + 2, length_s=1.0)])
    scene.upload("inc", 0, mp4, started_at)
    page = scene.page()
    page.route("**/clips/inc/0/play", lambda route: route.abort())
    page.click("#card-inc .open")
    page.wait_for_selector(".trouble:has-text('连不上')")
    page.unroute("**/clips/inc/0/play")
    until(page, "document.querySelector('video').readyState >= 2")
    assert page.locator(".trouble:visible").count() == 0
    # Cut off while it is shown: a browser tells so by the element's error.
    page.evaluate("Player.in(document).seek(Player.in(document).segment.start + 3)")
    until(page, "document.querySelector('video').currentTime > 2.9")
    page.context.set_offline(True)
    page.evaluate(
        """() => {
          const video = document.querySelector("video");
          Object.defineProperty(video, "error", { configurable: true, value: { code: MediaError.MEDIA_ERR_NETWORK } });
          video.dispatchEvent(new Event("error"));
          delete video.error;
        }"""
    )
    page.wait_for_selector(".trouble:has-text('连不上')")
    page.context.set_offline(False)
    page.wait_for_selector(".trouble", state="hidden")
    until(page, "document.querySelector('video').readyState >= 2 && document.querySelector('video').currentTime > 2.9")
    scene.complaints.clear()  # the browser says, rightly, what it couldn't have


@pytest.mark.parametrize("status", [429, 502, 503])
def test_a_clip_waits_for_a_hub_that_is_away_for_a_moment(scene: Scene, mp4: bytes, status: int) -> None:
    scene.alert("inc")
    scene.upload("inc", 0, mp4, time.time() - 60)
    page = scene.page()
    page.route("**/clips/inc/0/play", lambda route: route.fulfill(status=status, body="not now"))
    page.click("#card-inc .open")
    page.wait_for_selector(".trouble:has-text('连不上')")
    page.unroute("**/clips/inc/0/play")
    until(page, "document.querySelector('video').readyState >= 2")
    assert page.locator(".trouble:visible").count() == 0
    scene.complaints.clear()  # the browser says, rightly, what it couldn't have


def test_a_film_whose_first_piece_is_lost_on_the_way_is_asked_for_once_more_and_then_when_somebody_plays_it(
    scene: Scene, mp4: bytes
) -> None:
    started_at = float(int(time.time()) - 600)
    scene.alert("inc", started_at_unix=started_at)
    for segment in (0, 1, 2):
        scene.upload("inc", segment, mp4, started_at + 4 * segment)
    page = scene.page("incidents/inc")
    until(page, "document.querySelector('video').readyState >= 2")
    left = {"inc/1": 1, "inc/2": 2}  # how often the line goes between the question and the film

    def lose(route: Any) -> None:
        name = "/".join(urlsplit(route.request.url).path.split("/")[-2:])
        if route.request.headers.get("range") == "bytes=0-0" or not left.get(name):
            route.continue_()
            return
        left[name] -= 1
        route.abort("internetdisconnected")

    page.route(re.compile(r"/clips/inc/[12]$"), lose)
    page.click("[data-do=loop]")  # else what plays outside the act is taken back to it
    page.evaluate(f"Player.in(document).seek({started_at + 7})")
    until(page, "document.querySelector('video').currentTime > 3")
    page.evaluate(f"Player.in(document).seek({started_at + 11})")
    page.wait_for_selector(".trouble:has-text('播放不了')")
    assert left == {"inc/1": 0, "inc/2": 0}
    page.click("[data-do=play]")
    until(page, "document.querySelector('video').src.endsWith('/clips/inc/2')")
    until(page, "document.querySelector('video').currentTime > 3")
    assert page.locator(".trouble:visible").count() == 0
    scene.complaints.clear()  # the browser says, rightly, what it couldn't have


def test_what_the_hub_does_not_have_is_asked_for_again_by_who_presses_play(scene: Scene, mp4: bytes) -> None:
    scene.alert("inc")
    scene.upload("inc", 0, mp4, time.time() - 60)
    page = scene.page()
    page.route("**/clips/inc/0/play", lambda route: route.fulfill(status=404, body="gone"))
    page.click("#card-inc .open")
    page.wait_for_selector(".trouble:has-text('播放不了')")
    page.unroute("**/clips/inc/0/play")
    page.click("[data-do=play]")
    page.wait_for_selector(".player.playing:not(.loading)")
    assert page.locator(".trouble:visible").count() == 0
    scene.complaints.clear()  # the browser says, rightly, what it couldn't have


def test_on_a_phone_that_shows_nothing_but_films_in_full_the_film_is(scene: Scene, mp4: bytes) -> None:
    scene.alert("inc")
    scene.upload("inc", 0, mp4, time.time() - 60)
    page = scene.page("incidents/inc", viewport=PHONE)
    until(page, "document.querySelector('video').readyState >= 2")
    page.evaluate(
        """() => {
          delete Element.prototype.requestFullscreen;
          HTMLVideoElement.prototype.webkitEnterFullscreen = function () { this.dataset.full = ""; };
        }"""
    )
    page.click("[data-do=full]")
    assert page.locator("video[data-full]").count() == 1


# The picture before isn't told in time, once, so that a step has to look on.
TOLD_LATE = """() => {
    const player = Player.in(document);
    player.frameS = null;
    player.seekFrame = () => { delete player.seekFrame; return Promise.resolve(); };
}"""


def test_boxes_are_drawn_where_the_side_file_says_and_frames_stepped_by_the_clips_own_times(
    scene: Scene, mp4: bytes
) -> None:
    started_at = float(int(time.time()) - 600)
    scene.alert("inc", started_at_unix=started_at, acts=[make_act(started_at + 2, length_s=1.0)])
    scene.upload("inc", 0, mp4, started_at)
    scene.upload("inc", 0, make_side("inc", started_at_unix=started_at), started_at, what=wire.SIDE)
    page = scene.page("incidents/inc")
    until(page, "document.querySelector('.player').dataset.sides === '1'")
    until(page, "document.querySelector('video').readyState >= 2 && Math.abs(Player.in(document).frameAt - 1) < 0.001")
    # The suspect is where the bar is, between looks too: left edge at 0, 16, … of 320 pixels every fifth of a second.
    page.evaluate("looks = 0; document.querySelector('video').addEventListener('seeking', () => { looks += 1; })")
    for frames in (0, 1, 2, 3):
        page.wait_for_timeout(50)
        page.evaluate("looks = 0")
        at = page.evaluate("Player.in(document).frameAt")
        assert at == pytest.approx(1.0 + frames / 10, abs=0.001)
        left, coloured, elsewhere = page.evaluate(SEEN_AT, 8 * round(at * 10) / 320)
        assert left == pytest.approx(8 * round(at * 10) / 320, abs=0.006) and coloured and not elsewhere
        page.keyboard.press("ArrowRight")
        until(page, f"Math.abs(Player.in(document).frameAt - {1.1 + frames / 10}) < 0.001")
        # How long a picture lasts the first step learns, by the one before or, where that is told late, by looking on.
        assert page.evaluate("looks") == 1 or frames == 0
    page.keyboard.press("ArrowLeft")
    until(page, "Math.abs(Player.in(document).frameAt - 1.3) < 0.001")
    until(page, "!Player.in(document).stepping")
    page.evaluate(TOLD_LATE)
    page.keyboard.press("ArrowRight")
    until(page, "Math.abs(Player.in(document).frameS - 0.1) < 0.001")
    until(page, "Math.abs(Player.in(document).frameAt - 1.4) < 0.001")
    assert page.locator(".curve polyline").count() == 1
    page.keyboard.press("b")
    assert page.evaluate(INK) == 0
    page.keyboard.press("b")
    assert page.evaluate(INK) > 0


# Of a shot's canvas: how bright it is where the bar is at 2.4 s, and beside it.
SHOT = """[...document.querySelectorAll('.stills canvas')].map((canvas) => {
    const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext('2d', { willReadFrequently: true });
    copy.drawImage(canvas, 0, 0);
    return [404, 370].map((x) => copy.getImageData(x, 20, 1, 1).data[0]);
})"""


def photographed(scene: Scene, mp4: bytes) -> float:
    """An incident whose parcel 12 is photographed twice, the second time longer, with its recording; since when."""
    started_at = float(int(time.time()) - 600)
    acts = [make_act(started_at + at, length_s=length_s) for at, length_s in ((0.5, 0.5), (2.0, 1.0))]
    scene.alert("inc", started_at_unix=started_at, acts=[{**act, "parcels": [12]} for act in acts])
    scene.upload("inc", 0, mp4, started_at)
    scene.upload("inc", 0, make_side("inc", started_at_unix=started_at), started_at, what=wire.SIDE)
    return started_at


def test_a_parcel_is_cut_from_the_recording_once_the_network_is_back(scene: Scene, mp4: bytes) -> None:
    photographed(scene, mp4)
    page = scene.page()
    page.add_init_script(
        """{
          const { get, set } = Object.getOwnPropertyDescriptor(HTMLMediaElement.prototype, "src");
          function cut(film) { set.call(this, this.className === "shot-film" ? `${film}?shot` : film); }
          Object.defineProperty(HTMLMediaElement.prototype, "src", { get, set: cut });
        }"""  # tells the film of the shots from the player's
    )
    page.route("**/*?shot", lambda route: route.abort("internetdisconnected"))
    page.goto(scene.hub.url + "incidents/inc")
    with page.expect_event("requestfailed", lambda request: request.url.endswith("?shot")):
        page.locator(".stills canvas").scroll_into_view_if_needed()
    page.unroute("**/*?shot")
    until(page, f"{SHOT}[0][0] > 190")
    scene.complaints.clear()  # the browser says, rightly, what it couldn't have


def test_a_parcel_that_was_photographed_is_cut_from_the_recording_and_shows_its_act(scene: Scene, mp4: bytes) -> None:
    started_at = photographed(scene, mp4)
    page = scene.page("incidents/inc")
    shot = page.locator("[data-part=shots] button")
    assert shot.count() == 1 and "2 次" in shot.inner_text()
    shot.scroll_into_view_if_needed()
    until(page, f"{SHOT}[0][0] > 190")
    assert page.evaluate(SHOT)[0][1] == pytest.approx(60, abs=12)
    # WebKit has no pictures of a film that isn't on the screen.
    film = page.locator("video.shot-film").bounding_box()
    assert 0 <= film["x"] < DESK["width"] and 0 <= film["y"] < DESK["height"] and film["width"] and film["height"]
    shot.click()
    large = page.locator("#large canvas")
    assert page.evaluate(SHOT.replace(".stills", "#large")) == page.evaluate(SHOT)
    assert large.bounding_box()["width"] > 3 * shot.bounding_box()["width"]
    page.get_by_role("button", name="在录像里看").click()
    until(page, f"Player.in(document).act.start === {started_at + 2}")
    assert not large.is_visible()
    # What comes meanwhile is added, and what was drawn stays.
    scene.alert(
        "inc", phase="update", started_at_unix=started_at,
        acts=[{**make_act(started_at + 2, length_s=1.0), "parcels": [12]}, {**make_act(started_at), "parcels": [13]}],
    )  # fmt: skip
    until(page, "document.querySelectorAll('.stills canvas').length === 2")
    drawn = page.evaluate(SHOT)
    assert drawn[0] == [0, 0] and drawn[1][0] > 190, "parcel 13 was never seen"


def test_of_many_parcels_that_were_photographed_a_dozen_are_shown_and_the_rest_unfolds(
    scene: Scene, mp4: bytes
) -> None:
    started_at = float(int(time.time()) - 600)
    acts = [{**make_act(started_at + 0.1 * n, length_s=0.1), "parcels": [n]} for n in range(30)]
    scene.alert("inc", started_at_unix=started_at, acts=acts)
    scene.upload("inc", 0, mp4, started_at)
    scene.upload("inc", 0, make_side("inc", started_at_unix=started_at), started_at, what=wire.SIDE)
    page = scene.page("incidents/inc")
    shown = page.locator("[data-part=shots] button:visible")
    assert shown.count() == 12
    page.get_by_text("另外 18 件").click()
    assert shown.count() == 30


def test_who_may_not_see_labels_has_parcels_cut_from_the_redacted_copy(scene: Scene, mp4: bytes) -> None:
    photographed(scene, mp4)
    page = scene.page("incidents/inc", user=scene.guard("vera", Role.VIEWER))
    page.locator("[data-part=shots] button").scroll_into_view_if_needed()
    until(page, f"{SHOT}[0][1] > 0")
    assert page.evaluate("shotFilm.src").split("?")[0].endswith("/clips/inc/0/shared")


def test_the_player_opens_on_the_picture_that_begins_where_it_jumps_to(scene: Scene, tmp_path: Path) -> None:
    """Edges tell times to the millisecond: a breath before the act is 1.166, a hair before the picture's 1.1667."""
    started_at = float(int(time.time()) - 600)
    scene.alert("inc", started_at_unix=started_at, acts=[make_act(started_at + 2.166, length_s=1.0)])
    scene.upload("inc", 0, make_mp4(tmp_path / "clip.mp4", rate=30), started_at)
    page = scene.page("incidents/inc")
    until(page, "Player.in(document).frameAt > 1.1 && !Player.in(document).video.seeking")
    page.wait_for_timeout(150)
    assert page.evaluate("Player.in(document).frameAt") == pytest.approx(1.1667, abs=0.001)


# What is drawn, read from a copy of the canvas.
READ = """
  const player = Player.in(document);
  const { width, height } = player.canvas;
  const pen = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  pen.drawImage(player.canvas, 0, 0);
"""
# Where the suspect's box is by the looks, whether the canvas is coloured on its left edge, and whether it is beyond it.
SEEN_AT = f"""left => {{
  {READ}
  const box = boxesAt(player.segment.read.looks, player.frameAt).find((one) => one.what === "person");
  const ink = (x) => pen.getImageData(Math.round(x * width), Math.round(0.3 * height), 1, 1).data[3] > 0;
  return [box.place[0], ink(left), ink(left + 0.2)];
}}"""
INK = f"""() => {{
  {READ}
  return pen.getImageData(0, 0, width, height).data.reduce((sum, one, n) => sum + (n % 4 === 3 && one > 0), 0);
}}"""


def test_of_one_phone_that_a_look_makes_several_of_the_surest_is_drawn(scene: Scene, mp4: bytes) -> None:
    started_at = float(int(time.time()) - 600)
    held = [
        ["phone", 7, left, 0.4, left + 0.02, 0.5, score] for left, score in ((0.3, 0.14), (0.32, 0.23), (0.34, 0.1))
    ]
    others = [["scanner", 7, 0.4, 0.4, 0.42, 0.5, 0.1], ["phone", 8, 0.6, 0.4, 0.62, 0.5, 0.1],
              ["phone", None, 0.8, 0.4, 0.82, 0.5, 0.1], ["phone", None, 0.9, 0.4, 0.92, 0.5, 0.1]]  # fmt: skip
    looks = [{"t": n / 5, "boxes": [*held[n % 3 :], *held[: n % 3], *others], "offender": [7]} for n in range(20)]
    scene.alert("inc", started_at_unix=started_at)
    scene.upload("inc", 0, mp4, started_at)
    side = make_side("inc", started_at_unix=started_at, looks=looks)
    scene.upload("inc", 0, side, started_at, what=wire.SIDE)
    page = scene.page("incidents/inc")
    until(page, "Player.in(document).segment?.read")
    drawn = page.evaluate("boxesAt(Player.in(document).segment.read.looks, 1.3).map(({ place }) => place[0])")
    assert drawn == pytest.approx([0.32, 0.4, 0.6, 0.8, 0.9])


# Of labels, which have no track, by the look before and after, half-way between the two.
BETWEEN = """([before, after]) => {
  const label = ([x, y]) => ["label", null, x, y, x + 0.1, y + 0.1];
  const looks = [before, after].map((corners, t) => ({ t, boxes: corners.map(label) }));
  return boxesAt(looks, 0.5).map(({ place }) => place.slice(0, 2).map((part) => Math.round(100 * part) / 100)).sort();
}"""


LABELS = [
    ([[0.1, 0.1], [0.7, 0.7]], [[0.7, 0.7], [0.1, 0.1]], [[0.1, 0.1], [0.7, 0.7]]),  # told in another order
    ([[0.1, 0.1], [0.7, 0.7]], [[0.3, 0.3], [0.7, 0.7]], [[0.3, 0.3], [0.7, 0.7]]),  # one gone, another come
    ([[0.1, 0.1], [0.2, 0.1]], [[0.14, 0.1], [0.24, 0.1]], [[0.12, 0.1], [0.22, 0.1]]),  # a camera that turns
    ([[0.1, 0.1]], [[0.1, 0.1], [0.14, 0.1]], [[0.1, 0.1], [0.14, 0.1]]),
    ([], [[0.1, 0.1]], [[0.1, 0.1]]),
]


def test_no_label_flies_to_another_between_two_looks(scene: Scene) -> None:
    scene.alert("inc")
    page = scene.page("incidents/inc")
    for before, after, shown in LABELS:
        assert page.evaluate(BETWEEN, [before, after]) == shown


def test_a_clip_that_arrives_shows_up_on_the_open_page(scene: Scene, mp4: bytes) -> None:
    scene.alert("inc")
    page = scene.page("incidents/inc")
    assert page.locator("video").count() == 0
    scene.upload("inc", 0, mp4, time.time() - 60)
    until(page, "document.querySelector('video')?.readyState >= 2")


HELD = """() => {
  const { video, act, frameAt } = Player.in(document);
  const { activeElement: focus } = document;
  const moment = Math.round(1000 * frameAt);  // browsers tell a frame's time to the microsecond, more or less
  return [video.isSameNode(window.video), video.paused, act.start, moment, focus.dataset.do ?? focus.dataset.at,
    document.querySelector(".acts")?.scrollTop, document.querySelectorAll(".timeline .current").length];
}"""


# Nothing is on its way, and the time that is told is that of one of ten pictures a second: neither a guess nor before.
ON_A_PICTURE = """(({ video, stepping, frameAt }) => video.readyState >= 2 && video.paused && !video.seeking
  && !stepping && frameAt !== null && Math.abs(10 * frameAt - Math.round(10 * frameAt)) < 0.01
  && Math.abs(frameAt - video.currentTime) < 0.101)(Player.in(document))"""


@pytest.mark.parametrize("path", ["incidents/inc", "review?incident=inc"])
def test_an_update_leaves_the_player_and_the_acts_as_somebody_holds_them(scene: Scene, mp4: bytes, path: str) -> None:
    started_at = float(int(time.time()) - 600)
    acts = [make_act(started_at + 2 + n / 30, length_s=0.5) for n in range(50)]
    told = {"started_at_unix": started_at, "ended_at_unix": started_at + 4}
    scene.alert("inc", **told, acts=acts[:45])
    for n in range(2):
        scene.upload("inc", n, mp4, started_at + 4 * n)
    scene.upload("inc", 0, make_side("inc", started_at_unix=started_at), started_at, what=wire.SIDE)
    page = scene.page(path)
    until(page, "Player.in(document)?.video.readyState >= 2 && document.querySelector('.player').dataset.sides === '1'")
    page.evaluate("window.video = Player.in(document).video")
    page.locator(".timeline [data-at]").nth(30).press("Enter")
    until(page, "!video.seeking && !video.paused")
    page.evaluate("video.pause(); document.querySelector('.acts')?.scrollTo(0, 60)")
    page.keyboard.press("ArrowRight")
    until(page, ON_A_PICTURE)
    for number, place in enumerate((".controls [data-do=forward]", ".timeline [data-at] >> nth=7")):
        page.locator(place).focus()
        page.wait_for_timeout(150)
        held = page.evaluate(HELD)
        scene.alert("inc", **told, acts=acts[: 46 + number], phase="update")
        until(page, f"document.querySelectorAll('.timeline [data-at]').length === {46 + number}")
        page.wait_for_timeout(150)
        assert page.evaluate(HELD) == held and held[:2] == [True, True] and held[-1] == 1
    # What comes with it is there.
    scene.upload("inc", 2, mp4, started_at + 8)
    until(page, "Player.in(document).plan.segments.length === 3")
    scene.upload("inc", 2, make_side("inc", 2, started_at_unix=started_at + 8), started_at + 8, what=wire.SIDE)
    scene.alert("inc", **told, acts=acts[:48], phase="update")
    until(page, "document.querySelector('.player').dataset.sides === '2'")
    assert page.locator(".curve polyline").count() == 2 and page.locator(".playhead:visible").count() == 1
    assert page.evaluate(HELD) == held
    # Another clip in place of the one that is shown is shown at the same moment, however often there is another.
    shown_at = held[3] / 1000
    for count in (49, 50):
        page.evaluate("for (const one of Player.in(document).plan.segments) one.url += '?gone'")
        scene.alert("inc", **told, acts=acts[:count], phase="update")
        until(page, "Player.in(document).video !== video && Player.in(document).ready")
        page.evaluate("window.video = Player.in(document).video")
        until(page, f"Math.abs(Player.in(document).frameAt - {shown_at}) < 0.2 && {ON_A_PICTURE}")
        assert page.evaluate(HELD) == held
        assert page.evaluate("video.currentTime") == pytest.approx(shown_at + 0.005, abs=0.001)


@pytest.mark.parametrize("path", ["review", "incidents/inc"])
def test_the_heading_of_an_open_incident_follows_while_somebody_writes(scene: Scene, path: str) -> None:
    scene.alert("inc", severity="warning", camera_title="Gate")
    page = scene.page(path)
    page.wait_for_selector(".item .title .severity.warning")
    page.keyboard.press("n")
    page.keyboard.type("who is that")
    scene.alert("inc", severity="critical", phase="update", camera_title="South Gate")
    page.wait_for_selector(".item .title .severity.critical")
    assert page.inner_text(".item h1").startswith("South Gate")
    page.keyboard.type("?")
    assert page.locator(".notes .note").input_value() == "who is that?"


def test_what_changes_while_it_is_being_opened_is_shown_as_it_became(scene: Scene) -> None:
    scene.alert("one", severity="critical")
    scene.alert("two", severity="warning")
    page = scene.page()
    held: list[Any] = []

    def hold(route: Any) -> None:
        held.append((route, route.fetch()))

    page.route("**/incidents/two/item", hold, times=1)
    page.goto(scene.hub.url + "review")
    page.keyboard.press("ArrowDown")
    while not held:
        page.wait_for_timeout(20)
    page.wait_for_selector("#queue [data-incident=two] .warning")
    scene.alert("two", severity="critical", phase="update")
    page.wait_for_selector("#queue [data-incident=two] .critical")
    route, answer = held[0]
    route.fulfill(response=answer)
    page.wait_for_selector(".item[data-incident=two] .title .severity.critical")


def test_what_an_incident_gains_appears_on_its_open_page_in_its_place(scene: Scene, mp4: bytes) -> None:
    began = time.time() - 60
    scene.alert("inc", acts=[], snapshot=None, started_at_unix=began)
    page = scene.page("incidents/inc")
    for number in range(2):
        page.wait_for_selector(".item")
        scene.alert(
            "inc", acts=[make_act(began + 1 + n) for n in range(number + 1)], phase="update", started_at_unix=began
        )
        scene.upload("inc", number, mp4, began + 4 * number)
        until(page, f"document.querySelectorAll('.acts li').length === {number + 1}")
        until(page, f"document.querySelectorAll('.evidence a[download]').length === {number + 1}")
    live = page.locator("[data-part]").evaluate_all("all => all.map((one) => one.dataset.part)")
    page.reload()
    assert live == page.locator("[data-part]").evaluate_all("all => all.map((one) => one.dataset.part)")
    assert "acts" in live and "stills" in live and "evidence" in live


@pytest.mark.parametrize("path", ["incidents/inc", "review?incident=inc"])
def test_what_another_camera_tells_of_the_same_minute_appears_on_an_open_page_and_goes_again(
    scene: Scene, path: str
) -> None:
    began = time.time() - 60
    scene.alert("inc", started_at_unix=began, severity="critical")
    scene.alert("next", started_at_unix=began - 3600)
    page = scene.page(path)
    page.wait_for_load_state("networkidle")
    page.fill(".note", "two men, one phone")
    fields = make_envelope(99, incident="beside", started_at_unix=began + 20, camera_title="Back Gate")
    fields["after"]["camera"] = "cam4"
    scene.hub.store.add_alerts([fields], time.time())
    scene.hub.live.poke()
    page.wait_for_selector(".elsewhere a:has-text('Back Gate')")
    assert page.input_value(".note") == "two men, one phone"
    scene.hub.store.verdicts.add("beside", "ben", "false", "", time.time())
    scene.hub.live.poke()
    page.wait_for_selector("[data-part=elsewhere]", state="detached")


def test_what_others_told_while_a_clip_waited_is_on_its_page_when_it_is_shown(scene: Scene) -> None:
    began = time.time() - 60
    scene.alert("inc", started_at_unix=began, severity="critical")
    scene.alert("next", started_at_unix=began - 3600)
    page = scene.page("review")
    page.wait_for_load_state("networkidle")  # the next one is here by now
    fields = make_envelope(99, incident="beside", started_at_unix=began - 3590, camera_title="Back Gate")
    fields["after"]["camera"] = "cam4"
    scene.hub.store.add_alerts([fields], time.time())
    scene.hub.live.poke()
    page.wait_for_selector("#queue [data-incident=beside]")
    page.click("#queue [data-incident=next]")
    page.wait_for_selector(".item[data-incident=next] .elsewhere a:has-text('Back Gate')")


def test_an_area_that_is_being_drawn_stays_though_a_clip_comes(scene: Scene, mp4: bytes) -> None:
    scene.alert("inc")
    page = scene.page("incidents/inc")
    page.keyboard.press("m")
    area = page.locator(".stage .area").bounding_box()
    page.mouse.click(area["x"] + 0.25 * area["width"], area["y"] + 0.25 * area["height"])
    with page.expect_response("**/incidents/inc"):
        scene.upload("inc", 0, mp4, time.time() - 60)
    page.wait_for_timeout(300)
    assert page.locator(".stage .area circle").count() == 1
    page.keyboard.press("m")
    until(page, "document.querySelector('video')?.readyState >= 2")


def test_a_phone_on_its_side_shows_the_whole_picture_at_once(scene: Scene, mp4: bytes) -> None:
    began = time.time() - 60
    for incident in ("inc", "bare"):
        scene.alert(incident, started_at_unix=began)
    scene.upload("inc", 0, mp4, began)
    page = scene.page(viewport={"width": PHONE["height"], "height": PHONE["width"]})
    for incident in ("inc", "bare"):
        page.goto(f"{scene.hub.url}incidents/{incident}")
        page.wait_for_selector(".stage")
        stage, top = (page.locator(name).bounding_box() for name in (".stage", ".top"))
        assert stage["height"] <= PHONE["width"] - top["height"]
        assert stage["width"] / stage["height"] == pytest.approx(16 / 9, abs=0.02)
    # At the desk of a smaller one, verdicts and menu stay in sight below it.
    page.set_viewport_size({"width": 667, "height": 375})
    page.goto(f"{scene.hub.url}review?incident=inc")
    stage, verdicts = (page.locator(name).bounding_box() for name in (".stage", ".verdicts"))
    assert stage["height"] <= verdicts["y"]


@pytest.mark.parametrize("width", [360, 768, 1120, 1440])
def test_a_long_incidents_recordings_are_scrolled_in_their_place_and_nothing_beside_stays_empty(
    scene: Scene, mp4: bytes, width: int
) -> None:
    began = float(int(time.time()) - 600)
    scene.alert("inc", started_at_unix=began)
    for segment in range(12):
        scene.upload("inc", segment, mp4, began + 4 * segment)
    page = scene.page("incidents/inc", viewport={"width": width, "height": 800})
    recordings = page.locator(".evidence")
    assert recordings.bounding_box()["height"] < 300
    page.locator(".evidence a").last.scroll_into_view_if_needed()
    assert recordings.evaluate("list => list.scrollTop > 0")
    rows: dict[float, float] = {}
    for one in page.locator("#more > section").all():
        place = one.bounding_box()
        rows[place["y"]] = max(rows.get(place["y"], 0.0), place["x"] + place["width"])
    ends = page.locator("#more").bounding_box()
    assert set(map(round, rows.values())) == {round(ends["x"] + ends["width"])}


def test_a_page_of_one_column_stands_in_the_middle_of_a_wide_screen(scene: Scene) -> None:
    scene.hub.store.edges.set_health("shanghai", "box1", {"cameras": {"cam3": {"age_s": 1.0}}}, time.time())
    page = scene.page(viewport={"width": 1920, "height": 1000})
    # What frames a page begins where the page does.
    assert page.locator(".brand").bounding_box()["x"] == page.locator("#head").bounding_box()["x"]
    columns = {
        "people": ".people", "retention": ".retention", "integrations": ".integrations", "edges": ".boxes",
        "source": ".prose", "nowhere": ".prose", "cameras/shanghai/box1/cam3/tests": ".walk",
    }  # fmt: skip
    for path, column in columns.items():
        page.goto(scene.hub.url + path)
        box = page.locator(column).bounding_box()
        assert box["x"] == pytest.approx(1920 - box["x"] - box["width"], abs=1) and box["width"] < 1000, path
        heading = page.locator("h1").bounding_box()["x"]
        assert box["x"] == pytest.approx(heading, abs=1), path
    scene.complaints.clear()  # of the page that there isn't


def test_stills_stand_beside_each_other_where_there_is_room(scene: Scene) -> None:
    began = time.time() - 600
    for n in range(6):
        scene.alert("inc", phase="update" if n else "new", started_at_unix=began, sent_at_unix=began + n)
    page = scene.page("incidents/inc")
    for width, least, wide in ((360, 2, 120), (768, 3, 180), (1120, 4, 180), (1440, 5, 180)):
        page.set_viewport_size({"width": width, "height": 800})
        places = [one.bounding_box() for one in page.locator(".stills button").all()]
        assert len(places) == 6 and sum(place["y"] == places[0]["y"] for place in places) >= least, width
        assert places[0]["width"] >= wide and page.evaluate("document.documentElement.scrollWidth") == width


def test_a_still_is_enlarged_and_the_next_by_touch_and_by_keyboard_and_the_hub_is_asked_for_nothing(
    scene: Scene,
) -> None:
    began = time.time() - 600
    for n in range(3):
        scene.alert("inc", phase="update" if n else "new", started_at_unix=began, sent_at_unix=began + n)
    page = scene.page("incidents/inc", viewport=PHONE, has_touch=True)
    stills, large = page.locator(".stills button"), page.locator("#large")
    stills.last.scroll_into_view_if_needed()
    until(page, "[...document.querySelectorAll('.stills img')].every((one) => one.naturalWidth)")
    names = [one.get_attribute("alt") for one in stills.locator("img").all()]
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    stills.first.tap()
    picture = large.locator("img")
    assert picture.bounding_box()["width"] > 0.9 * PHONE["width"] > 2 * stills.first.bounding_box()["width"]
    for name in (names[0], names[1], names[2], names[0]):
        assert large.get_by_role("heading").inner_text() == name
        large.get_by_role("button", name="下一张").tap()
    large.get_by_role("button", name="关闭").tap()
    assert not large.is_visible()
    until(page, "document.activeElement === document.querySelectorAll('.stills button')[1]")  # shown last
    stills.first.press("Enter")
    page.keyboard.press("ArrowLeft")
    assert large.get_by_role("heading").inner_text() == names[2]
    page.keyboard.press("1")  # judges nothing that lies behind it
    page.keyboard.press("Escape")
    assert not large.is_visible()
    until(page, "document.activeElement === [...document.querySelectorAll('.stills button')].pop()")
    # Who looks at it is told every now and then, whatever is done.
    assert [url for url in asked if "/stills/" not in url and not url.endswith("/review/look")] == []
    assert (
        page.evaluate("performance.getEntriesByType('resource').filter((one) => one.name.includes('/stills/')).length")
        == 3
    )
    assert scene.hub.store.incident("inc").verdict is None


def test_a_verdict_lasts_and_can_be_undone(scene: Scene) -> None:
    scene.alert("inc")
    page = scene.page(viewport=PHONE, has_touch=True)
    other = scene.page("incidents/inc")
    page.locator("#card-inc [value=false]").tap()
    page.wait_for_selector("#card-inc.cleared .verdict.false")
    other.wait_for_selector(".stands .verdict.false")
    page.reload()
    page.wait_for_selector("#card-inc.cleared .verdict.false")
    page.locator("#card-inc [data-undo]").tap()
    page.wait_for_selector("#card-inc .choices")
    assert scene.hub.store.incident("inc").verdict is None
    other.wait_for_selector(".trail .withdrawn .verdict.false")


def test_a_deed_that_the_hub_did_not_take_is_told_until_one_is_taken(scene: Scene) -> None:
    scene.alert("inc")
    page = scene.page()
    refusing: list[str] = ["with a word"]

    def answer(route: Any) -> None:
        if not refusing:
            route.continue_()
        elif refusing[0] == "with a word":
            route.fulfill(status=503)  # otherwise it is left without any answer

    page.route("**/verdict", answer)
    page.goto(scene.hub.url)
    page.click("#card-inc .judge button[value=true]")
    page.wait_for_selector("#failed:visible")
    scene.alert("next")  # what the page asks for by itself, and gets, is no deed
    page.wait_for_selector("#card-next")
    assert page.locator("#failed").is_visible()
    refusing.clear()
    page.click("#card-inc .judge button[value=true]")
    page.wait_for_selector("#failed", state="hidden")
    refusing.append("never")
    page.evaluate("htmx.config.timeout = 200")
    page.click("#card-next .judge button[value=true]")
    page.wait_for_selector("#failed:visible")
    scene.complaints.clear()  # the browser says, rightly, that it was refused


def test_that_a_deed_was_not_taken_is_in_sight_however_far_down_it_was_done(scene: Scene) -> None:
    for n in range(12):
        scene.alert(f"i{n:02}", started_at_unix=time.time() - 60 - n)
    for viewport in (PHONE, DESK):
        page = scene.page(viewport=viewport)
        page.wait_for_load_state("networkidle")
        page.locator("#card-i11 [value=true]").scroll_into_view_if_needed()
        page.context.set_offline(True)
        page.click("#card-i11 [value=true]")
        page.wait_for_selector("#failed:visible")
        assert page.evaluate("scrollY") > 300
        top = page.locator("#failed").bounding_box()["y"]
        assert 0 <= top < 60
        assert page.evaluate(f"document.elementFromPoint(innerWidth / 2, {top} + 10).id") == "failed"
    scene.complaints.clear()  # the browser says, rightly, that it was offline


def test_the_keyboard_judges_notes_and_reasons_on_the_incident_page(scene: Scene) -> None:
    scene.alert("inc")
    page = scene.page("incidents/inc")
    page.keyboard.press("n")
    page.keyboard.type("seen at 3")
    page.keyboard.press("Enter")
    page.wait_for_selector(".notes li:has-text('seen at 3')")
    page.keyboard.press("3")
    page.wait_for_selector(".stands .verdict.false")
    page.keyboard.press("w")
    page.wait_for_selector(".reasons [aria-pressed=true]")
    assert [(v.verdict, v.reason) for v in scene.hub.store.verdicts.on("inc")] == [("false", "call")]
    page.keyboard.press("u")
    page.wait_for_selector(".trail .withdrawn")
    assert scene.hub.store.incident("inc").verdict is None


def test_the_page_of_an_incident_is_scrolled_by_the_keys_that_scroll_pages(scene: Scene) -> None:
    scene.alert("inc")  # without a recording, which Space would play
    page = scene.page("incidents/inc", viewport={"width": 1200, "height": 400})
    page.wait_for_load_state("networkidle")
    for key in ("ArrowDown", " "):
        page.evaluate("scrollTo(0, 0)")
        page.keyboard.press(key)
        until(page, "scrollY > 0")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Shift+ ")
    until(page, "scrollY === 0")


def test_who_goes_to_see_says_so_by_one_key_and_open_pages_show_it(scene: Scene) -> None:
    scene.alert("inc", started_at_unix=time.time(), ended_at_unix=time.time())
    feed, page = scene.page(""), scene.page("incidents/inc")
    page.keyboard.press("g")
    page.wait_for_selector(".response time")
    feed.wait_for_selector(".over-picture .going")
    page.keyboard.press("g")
    page.wait_for_selector(".trail li:has-text('到了现场')")
    page.keyboard.press("g")  # says nothing more
    page.click(".response [value=gone]")
    page.wait_for_selector(".response [aria-pressed=true]")
    assert [step.step for step in Responses(scene.hub.store.database).steps(["inc"])] == ["going", "there", "there"]


def test_hours_and_counts_of_how_labels_lie_are_legible_on_a_phone(scene: Scene) -> None:
    place = ("shanghai", "box1", "cam3")
    scene.hub.store.edges.set_health(*place[:2], {"cameras": {"cam3": {"age_s": 1.0}}}, time.time())
    # Of today there is nothing but minutes when it has just begun.
    noon = (datetime.now(ZoneInfo("Asia/Shanghai")) - timedelta(days=1)).replace(hour=12)
    for minutes in range(200, 0, -10):
        counted_at = noon.timestamp() - 60 * minutes
        Censuses(scene.hub.store.database).keep(*place[:2], counted(at=counted_at), counted_at)
    lying(scene.hub.store, place, noon.timestamp())
    page = scene.page(f"cameras/shanghai/box1/cam3/orientation?day={noon:%Y-%m-%d}", viewport=PHONE)
    over = """() => {
      const all = (what) => [...document.querySelectorAll(what)].map((one) => one.getBoundingClientRect());
      const boxes = (what) => all(what).filter((box) => box.width);
      const meet = (a, b) => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
      const ticks = boxes(".day-ticks text");
      return [ticks.length, ticks.filter((one, n) => n && meet(one, ticks[n - 1])).length,
        boxes(".lane small").filter((one) => boxes(".lane rect").some((bar) => meet(one, bar))).length];
    }"""
    shown, touching, hidden = page.evaluate(over)
    assert shown > 2 and (touching, hidden) == (0, 0)


def test_what_is_folded_in_or_out_stays_so_on_a_page_that_keeps_itself_fresh(scene: Scene) -> None:
    scene.hub.store.edges.set_health("shanghai", "box1", {"cameras": {"cam3": {"age_s": 1.0}}}, time.time())
    lying(scene.hub.store, ("shanghai", "box1", "cam3"), time.time())
    page = scene.page("cameras/shanghai/box1/cam3/orientation")
    assert page.get_attribute(".lie-events", "open") is not None
    page.click(".lie-events summary")
    with page.expect_response(lambda answer: answer.url.endswith("/orientation"), timeout=20_000):
        pass
    page.wait_for_timeout(500)
    assert page.get_attribute(".lie-events", "open") is None


def test_a_day_of_how_labels_lie_is_shown_as_soon_as_it_is_chosen(scene: Scene) -> None:
    scene.hub.store.edges.set_health("shanghai", "box1", {"cameras": {"cam3": {"age_s": 1.0}}}, time.time())
    lying(scene.hub.store, ("shanghai", "box1", "cam3"), time.time())
    page = scene.page("cameras/shanghai/box1/cam3/orientation")
    page.fill("#orientation [name=day]", "2026-01-02")  # before the page asks for itself anew, and is of today again
    page.wait_for_url("**/orientation?day=2026-01-02")
    page.wait_for_selector("[hx-trigger^=every]", state="detached")
    assert page.input_value("#orientation [name=day]") == "2026-01-02" and page.locator("#main").count() == 1
    assert page.evaluate("document.activeElement.name") == "day"


@pytest.mark.parametrize("path", ["day", "cameras/shanghai/box1/cam3/orientation"])
def test_days_are_gone_through_by_keyboard(scene: Scene, path: str) -> None:
    scene.hub.store.edges.set_health("shanghai", "box1", {"cameras": {"cam3": {"age_s": 1.0}}}, time.time())
    page = scene.page(f"{path}?day=2025-03-15", locale="en-US")
    page.focus("#turn-day")
    page.keyboard.press("ArrowRight")  # from the month
    for day in ("14", "13"):
        page.keyboard.press("ArrowDown")
        page.wait_for_url(f"**/{path}?day=2025-03-{day}")
        until(page, f"document.querySelector('#turn-day').getAttribute('value') === '2025-03-{day}'")


def test_long_names_are_shown_whole_and_push_nothing_off_the_page(scene: Scene) -> None:
    names = ["North-East High-Value Aisle, Camera 12 (mezzanine)", "东区 3 号机（高价值区域靠近装卸平台）", "n" * 60]
    for n, name in enumerate(names):
        scene.alert(f"inc{n}", site=f"site{n}", camera_title=name, zone="bulk-storage-near-the-north-door")
    page = scene.page()
    places = (("", ".card h3"), ("day", ".rowname > span"), ("review", "#queue .line b:first-of-type"))
    for width, (path, shown) in product((360, 1120), places):
        page.set_viewport_size({"width": width, "height": 800})
        page.goto(scene.hub.url + path)
        page.wait_for_selector(shown)
        assert page.evaluate("document.documentElement.scrollWidth") == width
        cut = page.locator(shown).evaluate_all(
            "all => all.map(e => [e.textContent, e.scrollWidth > e.clientWidth || e.scrollHeight > e.clientHeight])"
        )
        assert all(any(name in text for text, _ in cut) for name in names), path
        assert not [text for text, is_cut in cut if is_cut], path
    page.goto(scene.hub.url + "day")
    for width in (360, 1120):
        page.set_viewport_size({"width": width, "height": 800})
        columns = page.locator(".rowname").all()
        assert all(one.bounding_box()["width"] <= 200 for one in columns)  # a name makes no column as long as itself


@pytest.mark.parametrize(("path", "is_writing"), [("incidents/inc", True), ("review?incident=inc", False)])
def test_a_draft_of_a_note_and_its_cursor_survive_a_note_of_somebody_else(
    scene: Scene, path: str, is_writing: bool
) -> None:
    scene.alert("inc")
    page, other = scene.page(path), scene.page("incidents/inc", user=scene.guard("ben"))
    page.fill(".note", "two men, one phone")
    page.evaluate("document.querySelector('.note').setSelectionRange(4, 7)")
    if not is_writing:
        page.evaluate("document.activeElement.blur()")
    page.evaluate("window.field = document.querySelector('.note')")
    for text in ("seen before", "and again"):
        other.fill(".note", text)
        other.press(".note", "Enter")
        page.wait_for_selector(f".notes li:has-text('{text}')")
    assert page.input_value(".note") == "two men, one phone"
    assert page.evaluate("[field.isConnected, field.selectionStart, field.selectionEnd]") == [True, 4, 7]
    assert page.evaluate("document.activeElement === field") is is_writing


@pytest.mark.parametrize("path", ["incidents/inc", "review?incident=inc"])
def test_a_draft_stays_and_the_page_is_true_again_after_more_was_missed_than_is_told(scene: Scene, path: str) -> None:
    scene.alert("inc", severity="warning")
    page = scene.page(path)
    page.wait_for_load_state("networkidle")
    page.fill(".note", "two men, one phone")
    page.evaluate("window.stillHere = true")
    page.context.set_offline(True)
    break_streams(scene)
    for n in range(201):
        scene.alert(f"missed{n}", severity="info", snapshot=None)
    scene.alert("inc", severity="critical", phase="update")
    page.context.set_offline(False)
    page.wait_for_selector(".item[data-incident=inc] .title .severity.critical")
    if path.startswith("review"):
        until(page, "document.getElementById('left').textContent.includes('202')")
    assert page.input_value(".note") == "two men, one phone" and page.evaluate("window.stillHere")
    scene.alert("inc", severity="warning", phase="update")  # from here on it is told one by one again
    page.wait_for_selector(".item[data-incident=inc] .title .severity.warning")
    scene.complaints.clear()  # the browser says, rightly, that it was offline


def test_what_is_written_while_a_note_is_on_its_way_stays(scene: Scene) -> None:
    scene.alert("inc")
    page = scene.page("incidents/inc")
    page.evaluate(
        """() => {
          const real = window.fetch;
          const held = new Promise((done) => { window.letGo = done; });
          window.fetch = async (...asked) => { const answer = await real(...asked); await held; return answer; };
        }"""
    )
    page.fill(".note", "the same shirt")
    page.press(".note", "Enter")
    page.fill(".note", "as yesterday")
    page.evaluate("letGo()")
    page.wait_for_selector(".notes li:has-text('the same shirt')")
    assert page.input_value(".note") == "as yesterday"
    page.press(".note", "Enter")
    page.wait_for_selector(".notes li:has-text('as yesterday')")
    until(page, "!document.querySelector('.note').value && document.activeElement === document.body")


def test_what_is_pressed_twice_is_done_once(scene: Scene) -> None:
    scene.alert("inc")
    page = scene.page("incidents/inc")
    page.fill(".note", "the same shirt as yesterday")
    page.locator(".notes form").evaluate("form => { form.requestSubmit(); form.requestSubmit(); }")
    page.wait_for_selector(".notes li")
    page.wait_for_timeout(300)
    assert [note.text for note in scene.hub._parts.reviews.notes("inc")] == ["the same shirt as yesterday"]
    page.goto(scene.hub.url + "cases")
    page.fill("#title", "night shift")
    held_back = page.locator(".new-case").evaluate(
        """form => {
          const seen = [];
          addEventListener("submit", (event) => { seen.push(event.defaultPrevented); event.preventDefault(); });
          form.requestSubmit();
          form.requestSubmit();
          return seen;
        }"""
    )
    assert held_back == [False, True]


def test_a_guard_judges_one_incident_after_another_by_keyboard_alone(scene: Scene, mp4: bytes) -> None:
    started_at = float(int(time.time()) - 6000)
    for n in range(7):
        at = started_at - 60 * n
        scene.alert(f"i{n}", started_at_unix=at, acts=[make_act(at + 2, length_s=1.0)], camera_title=f"Gate {n}")
        scene.upload(f"i{n}", 0, mp4, at)
        scene.upload(f"i{n}", 0, make_side(f"i{n}", started_at_unix=at), at, what=wire.SIDE)
    page = scene.page("review")
    page.keyboard.press("?")
    page.wait_for_selector("dialog.help[open]")
    page.keyboard.press("1")  # judges nothing behind the table of keys
    page.keyboard.press("Escape")
    until(page, "document.querySelector('.item video')?.currentTime > 1.2")  # plays by itself, the first one too
    page.get_by_role("button", name="暂停", exact=True).wait_for()
    page.keyboard.press("k")
    page.get_by_role("button", name="播放", exact=True).wait_for()
    page.keyboard.press("k")
    for n in range(6):
        page.wait_for_selector(f".item[data-incident=i{n}]")
        until(page, "document.querySelector('.item video').readyState >= 2")
        page.keyboard.press("1234"[n % 4])
    page.wait_for_selector(".item[data-incident=i6]")
    until(page, "document.getElementById('left').textContent.startsWith('还剩 1 条')")
    page.wait_for_selector("#last .just[data-incident=i5]")
    aloud = " ".join(page.text_content("#last").split())  # the live region
    assert "Gate 5" in aloud.partition("下一条：")[0] and "Gate 6" in aloud.partition("下一条：")[2]
    page.keyboard.press("w")
    page.wait_for_selector("#last [aria-pressed=true]")
    verdicts = [scene.hub.store.verdicts.on(f"i{n}")[0] for n in range(6)]
    assert [v.verdict for v in verdicts] == [VERDICTS[n % 4] for n in range(6)]
    assert verdicts[5].reason == REASONS["authorised"][1]
    page.keyboard.press("u")
    page.wait_for_selector(".item[data-incident=i5]")
    until(page, "document.getElementById('left').textContent.startsWith('还剩 2 条')")
    assert scene.hub.store.incident("i5").verdict is None
    page.keyboard.press("3")
    page.wait_for_selector(".item[data-incident=i6]")
    page.keyboard.press("4")
    page.wait_for_selector("#empty:visible")
    until(page, "document.getElementById('left').textContent.startsWith('还剩 0 条')")
    waits = page.evaluate("performance.getEntriesByName('to-next-clip').map((one) => Math.round(one.duration))")
    print(f"ms from a verdict to the next clip's picture: {sorted(waits)}")
    scene.alert("late")
    page.wait_for_selector(".item[data-incident=late]")


def test_a_note_that_was_written_and_not_sent_goes_along_with_the_verdict_at_the_desk(scene: Scene) -> None:
    for n in range(3):
        scene.alert(f"i{n}", started_at_unix=time.time() - 60 * n)
    page = scene.page("review")
    page.wait_for_load_state("networkidle")
    for written, taken in (("seen before", True), ("and again", False)):
        incident = page.locator(".item").get_attribute("data-incident")
        page.fill(".note", written)
        page.context.set_offline(not taken)
        page.click(".item .choices [value=true]")
        if taken:
            page.wait_for_selector(f"#last .just[data-incident={incident}]")
        else:
            page.wait_for_selector("#last:has-text('没有')")
        page.context.set_offline(False)
        notes = scene.hub._parts.reviews.notes(incident)
        assert [note.text for note in notes] == [written] * taken
        assert bool(scene.hub.store.verdicts.on(incident)) is taken
    assert page.locator(".item").get_attribute("data-incident") == incident  # back at what was not taken
    assert page.input_value(".note") == "and again"
    end_sessions(scene.hub)
    page.click(".item .choices [value=true]")
    page.wait_for_selector("#ended:visible")
    until(page, f"document.querySelector('.item')?.dataset.incident === '{incident}'")
    assert page.input_value(".note") == "and again"
    page.close()  # what it has to say is said by then
    scene.complaints.clear()  # the browser says that it was offline, and logs the 401


def test_two_guards_see_each_other_and_the_later_one_is_asked(scene: Scene) -> None:
    scene.alert("one", severity="critical")
    scene.alert("two", severity="warning")
    owner, guard = scene.page("review"), scene.page("review", user=scene.guard("li"))
    owner.wait_for_selector("[data-watched]:has-text('li')")
    guard.wait_for_selector("#queue [data-eyes=one]:not(:empty)")
    guard.keyboard.press("ArrowDown")
    guard.wait_for_selector(".item[data-incident=two]")
    owner.wait_for_selector("[data-watched]", state="hidden")
    guard.keyboard.press("ArrowUp")
    guard.wait_for_selector(".item[data-incident=one]")
    # A verdict is seen at once by who looks at the same one; pressed all the same, theirs is asked about.
    guard.keyboard.press("3")
    owner.wait_for_selector(".item[data-incident=one] .stands .verdict.false")
    owner.keyboard.press("1")
    owner.wait_for_selector(".item[data-incident=one] .contested")
    assert [v.verdict for v in scene.hub.store.verdicts.on("one")] == ["false"]
    owner.keyboard.press("y")
    owner.wait_for_selector(".item[data-incident=two]")
    until(owner, "document.querySelector('#last .verdict.true') !== null")
    assert [(v.user, v.verdict) for v in scene.hub.store.verdicts.on("one")] == [("owner", "true"), ("li", "false")]
    # Nor does a guard undo unasked what is no longer theirs.
    guard.keyboard.press("u")
    guard.wait_for_selector(".item[data-incident=one] .contested")
    guard.keyboard.press("Escape")
    guard.wait_for_selector(".item[data-incident=two]")
    assert scene.hub.store.incident("one").verdict == "true"
    assert all("409" in complaint for complaint in scene.complaints)  # the browser logs each
    scene.complaints.clear()


def waiting_at(page: Any) -> list[str]:
    """What the desk lists as not judged yet."""
    entries = page.locator("#queue li:not(.judged) [data-incident]").all()
    return [one.get_attribute("data-incident") for one in entries]


def settled(page: Any) -> None:
    """Wait until what was judged and taken back at the desk has been sent and answered."""
    page.evaluate("sending.then(() => null)")


def test_who_came_from_the_feed_and_keeps_the_verdict_of_somebody_else_is_not_asked_again(scene: Scene) -> None:
    scene.alert("inc")
    page = scene.page()
    page.wait_for_selector("#card-inc")
    scene.hub.store.verdicts.add("inc", "ben", "false", "", time.time(), "")
    page.click("#card-inc [value=true]")
    page.wait_for_selector(".contested")
    with page.expect_response("**/incidents/inc*"):
        page.click("[data-keep]")
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(300)
    assert page.locator(".contested").count() == 0 and scene.hub.store.incident("inc").verdict == "false"
    scene.complaints.clear()  # the browser logs the 409


def test_what_is_pressed_before_a_page_is_whole_is_sent(scene: Scene) -> None:
    scene.alert("inc")
    page = scene.page()
    scene.hub.store.verdicts.add("inc", "ben", "false", "", time.time(), "")
    held: list[Any] = []
    page.route("**/large.js*", lambda route: held.append(route))  # the last of its scripts
    page.click("#card-inc [value=true]")
    page.wait_for_selector(".contested")
    until(page, "typeof keepTheirs === 'function'")
    with page.expect_response("**/incidents/inc"):
        page.keyboard.press("Escape")
    held[0].continue_()
    page.wait_for_load_state("networkidle")
    scene.complaints.clear()  # the browser logs the 409


def test_a_desk_that_loses_the_hub_keeps_its_list_and_comes_back_to_what_was_not_saved(scene: Scene) -> None:
    ids = [f"i{n}" for n in range(6)]
    for n, incident in enumerate(ids):
        scene.alert(incident, started_at_unix=time.time() - 60 * n)
    page = scene.page("review")
    page.wait_for_load_state("networkidle")
    page.context.set_offline(True)
    break_streams(scene)
    page.keyboard.press("1")
    page.wait_for_selector("#last:has-text('没有保存成功')")
    page.wait_for_selector(".item[data-incident=i0]")
    page.locator("#queue [data-incident=i5]").click()
    page.wait_for_selector("#unopened:visible")
    assert page.locator(".item[data-incident=i0]").count() == 1 and page.locator("#empty:visible").count() == 0
    assert waiting_at(page) == ids and page.inner_text("#left").startswith("还剩 6 条")
    page.context.set_offline(False)
    page.keyboard.press("1")
    page.wait_for_selector("#last .just[data-incident=i0]")
    page.wait_for_selector(".item[data-incident=i1]")
    assert [v.verdict for v in scene.hub.store.verdicts.on("i0")] == ["true"]
    page.wait_for_selector("#unopened", state="hidden")
    scene.complaints.clear()  # the browser says, rightly, that it was offline


@pytest.mark.parametrize("path", ["", "review", "incidents/inc"])
def test_a_page_says_that_the_hub_is_gone_however_often_it_tries_again_and_that_it_is_back(
    scene: Scene, path: str
) -> None:
    scene.alert("inc")
    page = scene.page(path)
    page.wait_for_load_state("networkidle")
    page.context.set_offline(True)
    break_streams(scene)
    page.wait_for_selector("#lost:visible", timeout=15_000)
    page.context.set_offline(False)
    page.wait_for_selector("#lost", state="hidden")
    scene.complaints.clear()  # the browser says, rightly, that it was offline


@contextmanager
def line_to(hub: Hub) -> Iterator[Link]:
    """Pages reach the hub by this line."""
    url = hub.url
    link = Link(int(urlsplit(url).port or 0))
    hub.url = f"http://127.0.0.1:{link.port}/"
    try:
        yield link
    finally:
        hub.url = url
        link.close()


def test_a_feed_whose_line_died_without_a_word_says_so_until_it_hears_again(scene: Scene) -> None:
    with line_to(scene.hub) as line:
        page = scene.page()
        page.wait_for_load_state("networkidle")
        page.evaluate("htmx.config.timeout = 500")
        line.stall()
        page.evaluate("htmx.trigger(document.body, 'wake')")
        page.wait_for_selector("#lost:visible")
        line.mend()
        page.evaluate("htmx.trigger(document.body, 'wake')")
        page.wait_for_selector("#lost", state="hidden")
        page.context.close()
    scene.complaints.clear()  # htmx says that it waited in vain


@pytest.mark.parametrize("path", ["incidents/inc", "review"])
def test_a_page_whose_line_died_without_a_word_says_so_and_asks_anew(scene: Scene, path: str) -> None:
    scene.alert("inc")
    with line_to(scene.hub) as line:
        page = scene.page(path)
        page.clock.install()
        page.reload()
        page.wait_for_load_state("networkidle")
        line.stall()
        page.clock.fast_forward(45_000)
        page.wait_for_selector("#lost:visible")
        line.mend()
        page.wait_for_selector("#lost", state="hidden")
        page.context.close()


@pytest.mark.parametrize(
    ("path", "told"), [("incidents/inc", "#failed:visible"), ("review", "#last:has-text('没有保存成功')")]
)
def test_a_verdict_on_a_line_that_died_without_a_word_is_said_not_to_be_saved(
    scene: Scene, path: str, told: str
) -> None:
    scene.alert("inc")
    with line_to(scene.hub) as line:
        page = scene.page(path)
        page.wait_for_load_state("networkidle")
        page.evaluate("htmx.config.timeout = 500")
        line.stall()
        page.keyboard.press("1")
        page.wait_for_selector(told)
        page.context.close()
    scene.complaints.clear()


def test_a_desk_goes_on_once_the_hub_is_back_though_nothing_has_changed(scene: Scene) -> None:
    for n, incident in enumerate(("one", "two", "three")):
        scene.alert(incident, started_at_unix=time.time() - 60 * n)
    page = scene.page()
    page.route("**/incidents/*/item", lambda route: route.fulfill(status=503))
    page.goto(scene.hub.url + "review")
    page.keyboard.press("1")
    page.wait_for_selector("#last .just[data-incident=one]")
    page.wait_for_selector("#unopened:visible")
    page.wait_for_load_state("networkidle")
    assert waiting_at(page) == ["two", "three"] and page.locator("#empty:visible, .item").count() == 0
    page.unroute("**/incidents/*/item")
    break_streams(scene)
    page.wait_for_selector(".item[data-incident=two]")
    page.wait_for_selector("#unopened", state="hidden")
    assert waiting_at(page) == ["two", "three"]
    scene.complaints.clear()  # the browser logs each 503


def test_a_desk_that_is_quicker_than_its_network_is_never_told_that_all_is_judged_while_more_waits(
    scene: Scene,
) -> None:
    for n in range(35):
        scene.alert(f"i{n}", started_at_unix=time.time() - 60 * n)
    page = scene.page("review")
    page.wait_for_load_state("networkidle")
    listed = len(waiting_at(page))
    assert listed < 35
    page.route("**/incidents/*/verdict", lambda _route: None)  # none arrives
    for n in range(listed):
        page.wait_for_selector(f".item[data-incident=i{n}]")
        page.keyboard.press("1")
    page.wait_for_selector(f".item[data-incident=i{listed}]")
    assert page.locator("#empty:visible").count() == 0
    assert waiting_at(page) == [f"i{n}" for n in range(listed, 35)]


def test_a_desk_asks_a_hub_that_is_slow_for_its_queue_once_however_much_happens_meanwhile(scene: Scene) -> None:
    scene.alert("one")
    page = scene.page("review")
    page.wait_for_load_state("networkidle")
    held: list[Any] = []
    page.route("**/review/queue", lambda route: held.append(route))
    for incident in ("two", "three", "four"):
        scene.alert(incident)
        page.wait_for_timeout(400)
    (slow,) = held
    slow.continue_()
    page.unroute("**/review/queue")
    until(page, "document.querySelectorAll('#queue li').length === 4")


@pytest.mark.parametrize("path", ["incidents/inc", "review"])
def test_who_waits_for_a_clip_is_told_until_it_plays(scene: Scene, mp4: bytes, path: str) -> None:
    started_at = time.time() - 60
    scene.alert("inc", started_at_unix=started_at)
    scene.upload("inc", 0, mp4, started_at)
    page = scene.page()
    held: list[Any] = []
    comes = False
    page.route("**/clips/inc/0/play", lambda route: route.continue_() if comes else held.append(route))
    page.goto(scene.hub.url + path, wait_until="domcontentloaded")
    if path != "review":  # there it plays by itself
        page.click("[data-do=play]")
    said = "getComputedStyle(document.querySelector('.loading .stage') ?? document.body, '::after').content"
    until(page, f"{said}.includes('正在载入录像')")
    comes = True
    for route in held:
        route.continue_()
    page.wait_for_selector(".player.playing:not(.loading)")


def test_who_leaves_the_desk_is_asked_while_verdicts_are_still_on_their_way(scene: Scene) -> None:
    for n in range(3):
        scene.alert(f"i{n}", started_at_unix=time.time() - 60 * n)
    page = scene.page("review")
    page.wait_for_load_state("networkidle")
    held: list[Any] = []
    asked: list[str] = []
    page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.dismiss()))
    page.route("**/incidents/*/verdict", lambda route: held.append(route))
    for n in range(2):
        page.wait_for_selector(f".item[data-incident=i{n}]")
        page.keyboard.press("1")
    page.wait_for_selector(".item[data-incident=i2]")
    page.click("header nav a[href='/cases']", no_wait_after=True)
    page.wait_for_timeout(500)
    assert asked == ["beforeunload"] and "/review" in page.url
    page.route("**/incidents/*/verdict", lambda route: route.continue_())
    held[0].continue_()
    settled(page)
    page.click("header nav a[href='/cases']")
    page.wait_for_url("**/cases")
    assert asked == ["beforeunload"]
    assert [scene.hub.store.incident(f"i{n}").verdict for n in range(3)] == ["true", "true", None]


def test_letters_and_digits_can_be_turned_off_and_stay_so(scene: Scene) -> None:
    scene.alert("inc")
    page = scene.page("review")
    page.click("[data-help]")
    with page.expect_response("**/preferences"):
        page.click("#letters")
    page.keyboard.press("Escape")
    for path in ("review", "incidents/inc"):
        page.goto(scene.hub.url + path)
        page.wait_for_selector(".item[data-incident=inc]")
        for key in ("1", "n", "c", "?"):
            page.keyboard.press(key)
        page.wait_for_timeout(300)
        assert page.locator("dialog[open]").count() == 0 and page.evaluate("document.activeElement === document.body")
    assert scene.hub.store.verdicts.on("inc") == []
    page.goto(scene.hub.url + "review")
    page.click("[data-help]")
    page.click("#letters")
    page.keyboard.press("Escape")
    page.keyboard.press("1")
    page.wait_for_selector("#last .just[data-incident=inc]")


def test_the_table_of_keys_opens_at_its_head_and_the_space_bar_turns_no_key_off(scene: Scene) -> None:
    scene.alert("inc")
    page = scene.page("review", viewport={"width": 1366, "height": 640})
    page.wait_for_selector(".item[data-incident=inc]")
    page.keyboard.press("?")
    assert page.evaluate("document.getElementById('help').scrollTop") == 0
    assert page.locator("#help-title").evaluate("head => getComputedStyle(head).outlineStyle") == "none"
    page.keyboard.press("Space")  # as it plays and pauses
    assert page.is_checked("#letters")
    page.keyboard.press("Escape")
    page.wait_for_selector("#help", state="hidden")


def test_a_phone_offers_no_table_of_keys(scene: Scene) -> None:
    scene.alert("inc")
    page = scene.page("review", viewport=PHONE, has_touch=True, is_mobile=True)
    page.wait_for_selector(".item[data-incident=inc]")
    assert not page.is_visible("[data-help]")
    page.keyboard.press("?")
    page.wait_for_selector("#help[open]")


@pytest.mark.parametrize("viewport", [PHONE, DESK])
def test_the_box_that_turns_letters_off_stands_beside_its_words(scene: Scene, viewport: dict[str, int]) -> None:
    page = scene.page("review", viewport=viewport)
    page.click("[data-help]")
    box, words = (page.locator(name).bounding_box() for name in ("#letters", "label:has(#letters) span"))
    assert box["width"] < 24 and box["height"] < 24
    assert box["x"] + box["width"] <= words["x"] and words["y"] <= box["y"] <= words["y"] + words["height"]


@pytest.mark.parametrize("path", ["incidents/inc", "review?incident=inc"])
def test_who_leaves_with_a_note_that_is_written_and_not_sent_is_asked(scene: Scene, path: str) -> None:
    scene.alert("inc")
    page = scene.page(path)
    page.wait_for_load_state("networkidle")
    asked: list[str] = []
    page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.dismiss()))
    page.fill(".note", "two men, one phone")
    page.click("header nav a[href='/cases']", no_wait_after=True)
    page.wait_for_timeout(500)
    assert asked == ["beforeunload"] and page.input_value(".note") == "two men, one phone"
    page.press(".note", "Enter")
    page.wait_for_selector(".notes li:has-text('two men')")
    page.click("header nav a[href='/cases']")
    page.wait_for_url("**/cases")
    assert asked == ["beforeunload"]


@pytest.mark.parametrize(
    ("path", "leads_away"),
    [
        ("incidents/inc", lambda page: page.click("button[name=hold]", no_wait_after=True)),
        ("incidents/inc", lambda page: page.click("[name=language]", no_wait_after=True)),
        ("review?incident=inc", lambda page: page.select_option("[name=lane]", "alert", no_wait_after=True)),
    ],
)
def test_a_form_that_does_not_take_a_note_along_is_not_sent_without_a_question(
    scene: Scene, path: str, leads_away: Any
) -> None:
    scene.alert("inc")
    page = scene.page(path)
    page.wait_for_load_state("networkidle")
    asked: list[str] = []
    page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.dismiss()))
    page.fill(".note", "two men, one phone")
    leads_away(page)
    page.wait_for_timeout(500)
    assert asked == ["beforeunload"] and page.input_value(".note") == "two men, one phone"


def test_a_draft_of_a_note_waits_at_the_desk_while_others_are_shown(scene: Scene) -> None:
    for n in range(2):
        scene.alert(f"i{n}", started_at_unix=time.time() - 60 * n, severity="warning")
    page = scene.page("review")
    page.wait_for_load_state("networkidle")
    asked: list[str] = []
    page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.dismiss()))
    page.fill(".note", "two men, one phone")
    page.click("#queue [data-incident=i1]")
    page.wait_for_selector(".item[data-incident=i1]")
    assert page.input_value(".note") == ""
    page.click("header nav a[href='/cases']", no_wait_after=True)
    page.wait_for_timeout(300)
    assert asked == ["beforeunload"]
    scene.alert("i0", severity="critical", phase="update")  # what was fetched of it is old
    page.wait_for_selector("#queue [data-incident=i0].critical")
    page.click("#queue [data-incident=i0]")
    page.wait_for_selector(".item[data-incident=i0] .title .severity.critical")
    assert page.input_value(".note") == "two men, one phone"
    page.press(".note", "Enter")
    page.wait_for_selector(".notes li:has-text('two men')")
    page.click("#queue [data-incident=i1]")
    page.wait_for_selector(".item[data-incident=i1]")
    page.click("header nav a[href='/cases']")
    page.wait_for_url("**/cases")
    assert asked == ["beforeunload"]


def test_a_list_that_changes_under_a_press_of_the_mouse_takes_it_all_the_same(scene: Scene) -> None:
    for n in range(3):
        scene.alert(f"i{n}", started_at_unix=time.time() - 60 * n, severity="warning")
    page = scene.page("review")
    page.wait_for_load_state("networkidle")
    page.hover("#queue [data-incident=i2]")
    page.mouse.down()
    scene.alert("i1", severity="critical", phase="update")
    page.wait_for_selector("#queue [data-incident=i1].critical")
    page.mouse.up()
    page.wait_for_selector(".item[data-incident=i2]")
    page.wait_for_selector("#queue [data-incident=i2][aria-current]")
    queue = page.locator("#queue [data-incident]").evaluate_all("them => them.map((one) => one.dataset.incident)")
    assert queue == ["i1", "i0", "i2"]


def test_the_keys_go_along_with_a_line_of_the_list_that_moves(scene: Scene) -> None:
    for n in range(3):
        scene.alert(f"i{n}", started_at_unix=time.time() - 60 * n, severity="warning")
    page = scene.page("review")
    page.wait_for_load_state("networkidle")
    page.focus("#queue [data-incident=i1]")
    scene.alert("i1", severity="critical", phase="update")
    page.wait_for_selector("#queue li:first-child [data-incident=i1].critical")
    assert page.evaluate("document.activeElement.dataset.incident") == "i1"


def test_a_note_that_could_not_go_along_with_a_verdict_waits_for_who_has_gone_on(scene: Scene) -> None:
    for n in range(2):
        scene.alert(f"i{n}", started_at_unix=time.time() - 60 * n)
    page = scene.page("review")
    page.wait_for_load_state("networkidle")
    held: list[Any] = []
    page.route("**/incidents/i0/notes", lambda route: route.fulfill(status=500))
    page.fill(".note", "two men, one phone")
    page.keyboard.press("Escape")
    page.route("**/incidents/i0/item", lambda route: held.append(route))
    page.keyboard.press("1")
    while not held:  # the page comes back to the first one
        page.wait_for_timeout(20)
    page.click("#queue [data-incident=i1]")  # and somebody goes on
    page.wait_for_selector(".item[data-incident=i1]")
    held[0].continue_()
    settled(page)
    page.unroute("**/incidents/i0/item")
    page.click("#queue [data-incident=i0]")
    page.wait_for_selector(".item[data-incident=i0]")
    assert page.input_value(".note") == "two men, one phone"
    scene.complaints.clear()  # the browser logs the 500


def test_a_reason_that_the_hub_did_not_take_is_told_at_the_desk(scene: Scene) -> None:
    for n in range(2):
        scene.alert(f"i{n}", started_at_unix=time.time() - 60 * n)
    page = scene.page("review")
    page.wait_for_load_state("networkidle")
    page.keyboard.press("3")
    page.wait_for_selector("#last .reasons button")
    page.route("**/incidents/i0/reason", lambda route: route.abort())
    page.click("#last .reasons button >> nth=0")
    page.wait_for_selector("#failed:visible")
    page.unroute("**/incidents/i0/reason")
    page.click("#last .reasons button >> nth=0")
    page.wait_for_selector("#last .reasons [aria-pressed=true]")
    assert page.locator("#failed:visible").count() == 0
    scene.complaints.clear()  # the request that failed


def test_what_a_form_takes_along_is_not_asked_about(scene: Scene) -> None:
    scene.alert("inc")
    page = scene.page("incidents/inc")
    page.wait_for_load_state("networkidle")
    asked: list[str] = []
    page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.dismiss()))
    page.fill("[name=reason]", "police asked")
    page.click("button[name=hold]")
    page.wait_for_selector("button[name=hold][value='0']")
    assert asked == []


def test_what_cannot_be_opened_is_passed_by_and_what_is_gone_leaves_the_list(scene: Scene) -> None:
    ids = [f"i{n}" for n in range(7)]
    for n, incident in enumerate(ids):
        scene.alert(incident, started_at_unix=time.time() - 60 * n)
    page = scene.page()
    page.route("**/incidents/i1/item", lambda route: route.fulfill(status=503))
    page.goto(scene.hub.url + "review")
    page.keyboard.press("ArrowDown")
    page.wait_for_selector("#unopened:visible")
    page.keyboard.press("ArrowDown")
    page.wait_for_selector(".item[data-incident=i2]")
    page.wait_for_selector("#unopened", state="hidden")
    page.wait_for_load_state("networkidle")
    with scene.hub.store.database.writing() as connection:
        connection.exec_driver_sql("DELETE FROM incidents WHERE id = 'i6'")
    page.locator("#queue [data-incident=i6]").click()
    page.wait_for_selector("#queue [data-incident=i6]", state="detached")
    assert page.locator(".item[data-incident=i2]").count() == 1 and waiting_at(page) == ids[:-1]
    page.keyboard.press("1")  # means the one that is shown
    page.wait_for_selector("#last .just[data-incident=i2]")
    page.wait_for_selector(".item[data-incident=i3]")
    scene.complaints.clear()  # the browser logs each 503 and 404


@pytest.mark.parametrize("delay", [0, 120])  # before the first is answered, and after
def test_a_double_click_is_one_deed(scene: Scene, delay: int) -> None:
    for n in range(3):
        scene.alert(f"i{n}", started_at_unix=time.time() - 60 * n)

    def judged() -> list[str | None]:
        return [scene.hub.store.incident(f"i{n}").verdict for n in range(3)]  # type: ignore[union-attr]

    page = scene.page("review")
    page.wait_for_selector(".item[data-incident=i0]")
    page.dblclick(".item .choices .unclear", delay=delay)
    settled(page)
    assert judged() == ["unclear", None, None]
    page.click(".item[data-incident=i1] .choices .false")
    page.wait_for_selector("#last .just[data-incident=i1]")
    page.dblclick("#last [data-deed=undo-last] button", delay=delay)
    settled(page)
    assert judged() == ["unclear", None, None]
    page = scene.page("incidents/i0")
    page.click(".verdicts .choices .true")
    page.wait_for_selector(".verdicts .stands .true")
    page.dblclick(".verdicts [data-undo]", delay=delay)
    page.wait_for_selector(".verdicts .stands .unclear")
    assert judged() == ["unclear", None, None]


def test_undo_takes_back_one_verdict_for_each_press(scene: Scene) -> None:
    for n in range(5):
        scene.alert(f"i{n}", started_at_unix=time.time() - 60 * n)
    page = scene.page()
    # Stands before the page is opened: a browser may still send by its old ways what follows a new route at once.
    refused: set[str] = set()
    page.route(
        re.compile("/(undo|verdict)$"),
        lambda route: route.fulfill(status=503) if set(route.request.url.split("/")) & refused else route.continue_(),
    )
    page.goto(scene.hub.url + "review")

    def judge(*ids: str) -> None:
        for incident in ids:
            page.wait_for_selector(f".item[data-incident={incident}]")
            page.keyboard.press("1")
        settled(page)

    def judged() -> list[str]:
        return [f"i{n}" for n in range(5) if scene.hub.store.incident(f"i{n}").verdict]  # type: ignore[union-attr]

    judge("i0", "i1", "i2", "i3")
    # Held down, it is pressed once.
    for _ in range(4):
        page.keyboard.down("u")
        settled(page)
    page.keyboard.up("u")
    page.wait_for_selector(".item[data-incident=i3]")
    assert judged() == ["i0", "i1", "i2"]
    # Pressed again before the first was answered, it takes back the one before.
    page.evaluate(
        "for (let n = 0; n < 2; n += 1)"
        " document.body.dispatchEvent(new KeyboardEvent('keydown', { key: 'u', bubbles: true }))"
    )
    settled(page)
    page.wait_for_selector(".item[data-incident=i1]")
    assert judged() == ["i0"]
    page.wait_for_selector("#queue [data-incident=i2]")
    judge("i1", "i2")
    # What wasn't taken back is still the next to be.
    refused.add("undo")
    page.keyboard.press("u")
    page.wait_for_selector("#last:has-text('没有成功')")
    settled(page)
    refused.clear()
    page.keyboard.press("u")
    page.wait_for_selector(".item[data-incident=i2]")
    settled(page)
    assert judged() == ["i0", "i1"]
    # A verdict that wasn't taken comes back by itself; the one before it isn't meant.
    refused.add("verdict")
    page.evaluate(
        "for (const key of '1u') document.body.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true }))"
    )
    settled(page)
    page.wait_for_selector(".item[data-incident=i2]")
    assert judged() == ["i0", "i1"]
    scene.complaints.clear()  # the browser logs each 503


def test_a_list_that_was_asked_for_before_verdicts_were_taken_back_takes_none_of_them_away(scene: Scene) -> None:
    for n in range(3):
        scene.alert(f"i{n}", started_at_unix=time.time() - 60 * n)
    page = scene.page()
    held: list[Any] = []
    holds = False

    def hold(route: Any) -> None:
        if holds and not held and route.request.headers.get("x-fragment") == "queue":
            held.append((route, route.fetch()))
        else:
            route.continue_()

    page.route(re.compile("/review(/queue)?([?]|$)"), hold)  # stands before the page is opened, as below
    page.goto(scene.hub.url + "review")
    for incident in ("i0", "i1"):
        page.wait_for_selector(f".item[data-incident={incident}]")
        page.keyboard.press("1")
    settled(page)
    page.wait_for_selector("#queue [data-incident=i1]", state="detached")
    until(page, "!refreshing")
    holds = True
    page.evaluate("refreshQueueSoon()")
    assert soon(lambda: page.wait_for_timeout(20) or held)  # lets the route be called
    for incident in ("i1", "i0"):
        page.keyboard.press("u")
        settled(page)
        page.wait_for_selector(f".item[data-incident={incident}]")
    page.evaluate(
        "{ const real = relist; window.relisted = 0; relist = (...all) => { relisted += 1; real(...all); }; } null"
    )
    route, answer = held[0]
    route.fulfill(response=answer)
    until(page, "relisted")
    assert waiting_at(page) == ["i0", "i1", "i2"], "the first that was drawn since"
    page.keyboard.press("1")
    page.wait_for_selector(".item[data-incident=i1]")


def test_what_somebody_took_back_is_judged_anew_at_the_desk_that_judged_it(scene: Scene) -> None:
    for n, incident in enumerate(("one", "two", "three")):
        scene.alert(incident, started_at_unix=time.time() - 60 * n)
    page = scene.page("review")
    for incident in ("one", "two"):
        page.wait_for_selector(f".item[data-incident={incident}]")
        page.keyboard.press("1")
    page.wait_for_selector("#last .just[data-incident=two]")
    page.wait_for_selector("#queue [data-incident=two]", state="detached")
    for incident in ("one", "two"):
        scene.hub.store.verdicts.withdraw(incident, "owner", time.time())
    scene.hub.live.poke()
    page.wait_for_selector("#queue [data-incident=two]")
    until(page, "document.getElementById('left').textContent.startsWith('还剩 3 条')")
    # By the list or by itself, one comes to it, and keys mean it.
    page.locator("#queue [data-incident=two]").click()
    page.wait_for_selector(".item[data-incident=two]")
    page.keyboard.press("3")
    page.wait_for_selector(".item[data-incident=three]")
    page.keyboard.press("2")
    page.wait_for_selector(".item[data-incident=one]")
    page.keyboard.press("4")
    page.wait_for_selector("#empty:visible")
    settled(page)
    found = {one: scene.hub.store.incident(one).verdict for one in ("one", "two", "three")}  # type: ignore[union-attr]
    assert found == {"one": "unclear", "two": "false", "three": "authorised"}


def test_an_area_of_false_alarms_is_drawn_or_typed_and_proposed(scene: Scene, mp4: bytes) -> None:
    scene.alert("inc")
    scene.upload("inc", 0, mp4, time.time() - 60)
    scene.hub.store.edges.set_health("shanghai", "box1", {"cameras": {"cam3": {"age_s": 1.0}}}, time.time())
    page = scene.page("incidents/inc")
    until(page, "document.querySelector('video').readyState >= 2")
    sent = []
    page.on("request", lambda request: sent.append(request) if request.url.endswith("/zones/proposals") else None)
    page.keyboard.press("m")
    area = page.locator(".stage .area").bounding_box()
    for x, y in ((0.25, 0.25), (0.75, 0.25), (0.5, 0.75)):
        page.mouse.click(area["x"] + x * area["width"], area["y"] + y * area["height"])
    page.locator(".mask form").evaluate("form => { form.requestSubmit(); form.requestSubmit(); }")  # pressed twice
    page.wait_for_selector(".mask [role=status]:has-text('建议已提交')")
    page.wait_for_timeout(300)
    assert len(sent) == 1
    fields = dict(parse_qsl(sent[0].post_data))
    assert fields["kind"] == "ignore" and fields["incident"] == "inc"
    corners = [part for corner in json.loads(fields["polygon"]) for part in corner]
    assert corners == pytest.approx([0.25, 0.25, 0.75, 0.25, 0.5, 0.75], abs=0.01)
    page.locator(".mask [data-side=left]").focus()
    page.keyboard.press("ArrowUp")
    typed = json.loads(page.input_value(".mask [name=polygon]"))
    assert typed == [[0.26, 0.25], [0.76, 0.25], [0.76, 0.75], [0.26, 0.75]]


@pytest.mark.parametrize("size", [(240, 180), (180, 320)], ids=["four to three", "upright"])
def test_an_area_of_false_alarms_is_of_the_picture_without_the_bars_beside_it(
    scene: Scene, tmp_path: Path, size: tuple[int, int]
) -> None:
    scene.alert("inc")
    scene.upload("inc", 0, make_mp4(tmp_path / "clip.mp4", size=size), time.time() - 60)
    page = scene.page("incidents/inc")
    until(page, "document.querySelector('video').readyState >= 2")
    page.keyboard.press("m")
    stage = page.locator(".stage").bounding_box()
    width, left = stage["height"] * size[0] / size[1], stage["x"] + stage["width"] / 2
    drawn = [(0.1, 0.1), (0.5, 0.1), (0.5, 0.9)]
    for x, y in drawn:
        page.mouse.click(left + (x - 0.5) * width, stage["y"] + y * stage["height"])
    found = [part for corner in json.loads(page.input_value(".mask [name=polygon]")) for part in corner]
    assert found == pytest.approx([part for corner in drawn for part in corner], abs=0.01)
    # And it is shown where it was drawn.
    corner = page.locator(".stage .area circle").first.bounding_box()
    assert corner["x"] + corner["width"] / 2 == pytest.approx(left - 0.4 * width, abs=2)
    assert corner["y"] + corner["height"] / 2 == pytest.approx(stage["y"] + 0.1 * stage["height"], abs=2)


def test_without_scripts_the_area_of_false_alarms_is_the_one_whose_sides_were_typed(scene: Scene) -> None:
    scene.alert("inc")
    scene.hub.store.edges.set_health("shanghai", "box1", {"cameras": {"cam3": {"age_s": 1.0}}}, time.time())
    page = scene.page("incidents/inc", java_script_enabled=False)
    page.click(".mask summary")
    for side, value in (("left", "5"), ("top", "10"), ("width", "30"), ("height", "20")):
        page.fill(f".mask [data-side={side}]", value)
    page.click(".mask button.main")
    page.wait_for_url("**/zones")
    (proposal,) = scene.hub._parts.proposals.all()
    assert proposal.polygon == [[0.05, 0.1], [0.35, 0.1], [0.35, 0.3], [0.05, 0.3]]


def test_the_sides_of_an_area_of_false_alarms_follow_what_is_drawn(scene: Scene) -> None:
    scene.alert("inc")
    page = scene.page("incidents/inc")
    page.keyboard.press("m")
    area = page.locator(".stage .area").bounding_box()

    def place(x: float, y: float) -> tuple[float, float]:
        return area["x"] + x * area["width"], area["y"] + y * area["height"]

    def sides() -> list[str]:
        return page.locator(".mask [data-side]").evaluate_all("all => all.map((one) => one.value)")

    assert sides() == ["40", "40", "20", "20"]
    for corner in ((0.1, 0.2), (0.7, 0.3), (0.5, 0.85)):
        page.mouse.click(*place(*corner))
    assert sides() == ["10", "20", "60", "65"]
    page.mouse.move(*place(0.5, 0.85))
    page.mouse.down()
    page.mouse.move(*place(0.9, 0.6))
    page.mouse.up()
    assert sides() == ["10", "20", "80", "40"]
    page.click(".mask [data-clear]")
    assert sides() == [""] * 4
    # Typing changes what is drawn, and none of the other sides.
    for side, value in (("left", "95"), ("top", "20"), ("width", "30"), ("height", "5")):
        page.fill(f".mask [data-side={side}]", value)
    assert sides() == ["95", "20", "30", "5"]
    drawn = json.loads(page.input_value(".mask [name=polygon]"))
    assert drawn == [[0.95, 0.2], [1, 0.2], [1, 0.25], [0.95, 0.25]]


def test_a_finger_that_the_browser_takes_away_lets_go_of_the_time_line_and_of_a_corner(
    scene: Scene, mp4: bytes
) -> None:
    started_at = float(int(time.time()) - 600)
    acts = [make_act(started_at + 1, length_s=0.5)]
    scene.alert("inc", started_at_unix=started_at, ended_at_unix=started_at + 4, acts=acts)
    scene.upload("inc", 0, mp4, started_at)
    page = scene.page("incidents/inc", has_touch=True)
    until(page, "Player.in(document).video.readyState >= 2 && !Player.in(document).video.seeking")
    touch = page.context.new_cdp_session(page)

    def place(selector: str, x: float, y: float) -> tuple[float, float]:
        box = page.locator(selector).bounding_box()
        return box["x"] + x * box["width"], box["y"] + y * box["height"]

    def taken_away(x: float, y: float) -> None:
        touch.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [{"x": x, "y": y}]})
        touch.send("Input.dispatchTouchEvent", {"type": "touchCancel", "touchPoints": []})

    page.locator(".timeline").scroll_into_view_if_needed()
    taken_away(*place(".timeline .spans", 0.9, 0.8))
    until(page, "document.querySelector('video').currentTime > 3")
    page.mouse.move(*place(".timeline .spans", 0.2, 0.8))
    page.wait_for_timeout(100)
    assert page.evaluate("document.querySelector('video').currentTime") > 3
    page.keyboard.press("m")
    taken_away(*place(".stage .area", 0.25, 0.25))
    drawn = page.input_value(".mask [name=polygon]")
    page.mouse.move(*place(".stage .area", 0.75, 0.75))
    assert page.input_value(".mask [name=polygon]") == drawn


def test_what_grows_worse_moves_from_the_digest_to_the_alerts(scene: Scene) -> None:
    scene.alert("note", severity="info")
    feed, digest = scene.page(), scene.page("digest")
    digest.wait_for_selector("#card-note")
    assert feed.locator("#card-note").count() == 0
    until(feed, "document.querySelector('.lanes a:last-of-type b').textContent === '1'")
    scene.alert("note", severity="critical", phase="update")
    feed.wait_for_selector("#card-note.critical")
    digest.wait_for_selector("#card-note", state="detached")
    until(digest, "document.querySelector('#digest .counts') === null")
    feed.click(".lanes a:last-of-type")
    feed.wait_for_url("**/digest")


def test_a_threshold_is_applied_and_the_page_learns_that_the_edge_took_it(scene: Scene) -> None:
    for n, (score, verdict) in enumerate([(0.9, "true")] * 20 + [(0.4, "false")] * 5):
        scene.alert(f"i{n}", score=score, severity="warning")
        scene.hub.store.verdicts.add(f"i{n}", "owner", verdict, "", time.time())
    page = scene.page("tuning", viewport=PHONE, has_touch=True)
    assert page.locator(".scores circle.true").count() == 20
    deeds = [page.locator(one).bounding_box() for one in ("button[value=apply]", ".sure summary")]
    assert deeds[0]["y"] == deeds[1]["y"] and deeds[0]["height"] == deeds[1]["height"]
    page.locator("button[value=apply]").tap()
    page.wait_for_selector("#edges .waiting")
    (change,) = Thresholds(scene.hub.store.database).all_changes()
    assert (change.least_score, change.user) == (0.41, "owner")
    scene.hub.store.edges.set_health("shanghai", "box1", {"tuned": {"version": 1, "refused": None}}, time.time())
    page.wait_for_selector("#edges .taken")
    page.locator("button[value=back]").tap()
    page.wait_for_selector("#edges .waiting")
    assert Thresholds(scene.hub.store.database).all_changes()[0].least_score is None


def test_pages_work_without_scripts(scene: Scene) -> None:
    for n in range(25):
        scene.alert(f"inc{n}", started_at_unix=time.time() - n)
    page = scene.page(java_script_enabled=False)
    assert page.locator(".card").count() == 20
    page.click("[data-more]")
    page.wait_for_url("**/?before=*")
    assert page.locator(".card").count() == 5
    page.locator(".card .open").first.click()
    page.click("[value=true]")
    page.wait_for_selector(".stands .verdict.true")


def test_older_incidents_are_added_below(scene: Scene) -> None:
    for n in range(25):
        scene.alert(f"inc{n}", started_at_unix=time.time() - n)
    page = scene.page()
    assert page.locator(".card").count() == 20
    page.locator("[data-more]").scroll_into_view_if_needed()
    until(page, "document.querySelectorAll('.card').length === 25")
    assert page.url == scene.hub.url


def test_a_page_left_open_stays_light_and_nothing_is_lost(scene: Scene) -> None:
    page = scene.page()
    for n in range(230):
        scene.alert(f"inc{n}", started_at_unix=time.time() - 300 + n, snapshot=None)
    page.wait_for_selector("#card-inc229")
    until(page, "document.querySelectorAll('.card').length <= 200")
    before = page.locator(".card").count()
    oldest = int(page.locator(".card").last.get_attribute("data-incident").removeprefix("inc"))
    page.click("[data-more]")
    page.wait_for_selector(f"#card-inc{oldest - 1}")
    assert page.locator(".card").count() == before + min(20, oldest)


def test_a_whole_day_is_on_the_screen_without_scrolling_sideways(scene: Scene) -> None:
    """What only screen readers see of an hour that is scrolled out of sight counts for the page's width if not held."""
    midnight = datetime.now(ZoneInfo("Asia/Shanghai")).replace(hour=0, minute=0, second=0, microsecond=0)
    scene.alert("late", started_at_unix=midnight.timestamp() - 600)
    page = scene.page(f"day?day={midnight.date() - timedelta(days=1)}")
    assert page.locator(".daygrid a").count() == 1
    for width in (360, 768, 960, 961, 1200):
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.locator(".scroll").evaluate("grid => grid.scrollWidth <= grid.clientWidth"), width


def test_nothing_is_wider_than_the_screen_and_targets_can_be_touched(scene: Scene, mp4: bytes) -> None:
    scene.alert("inc", camera_title="东区三号机 " * 12, facts={"a_rather_long_name_of_a_new_fact": "x" * 120})
    scene.alert("note", severity="info", zone="z" * 60)
    scene.hub.store.verdicts.add("inc", "owner", "true", "", time.time())
    set_score(scene.hub.store, 0.6, None)
    scene.upload("inc", 0, mp4, time.time() - 60)
    cameras = [{"camera": "c" * 60, "title": "很长的名字" * 10, "age_s": 1.0, "reason": "y" * 90}]
    scene.hub.store.edges.set_health("shanghai", "box1", {"cameras": cameras}, time.time())
    lying(scene.hub.store, ("shanghai", "box1", "c" * 60), time.time(), "z" * 64)
    inside = scene.hub.store.incidents(["inc", "note"])
    scene.hub._parts.cases.make("y" * 90, inside, user="owner", at=time.time())
    page = scene.page()
    paths = (
        "", "digest", "day", "weeks", "review", "incidents/inc", "cases", "cases/1", "cameras",
        f"cameras/shanghai/box1/{'c' * 60}/orientation", "health", "edges", "tuning", "notices", "people", "audit",
        "retention", "integrations", "account", "source",
    )  # fmt: skip
    for language in ("zh", "en"):
        page.context.add_cookies([{"name": "language", "value": language, "url": scene.hub.url}])
        for path in paths:
            page.goto(scene.hub.url + path)
            for width in (320, 768, 1440):
                page.set_viewport_size({"width": width, "height": 800})
                assert page.evaluate("document.documentElement.scrollWidth") <= width, (language, path)
                assert page.evaluate(TOO_SMALL) == [], (language, path, width)


def test_the_way_to_the_next_incident_stands_beside_the_name_of_this_one_on_a_phone(scene: Scene) -> None:
    for n in range(3):
        scene.alert(f"i{n}", camera_title="Gate", started_at_unix=time.time() - n)
    page = scene.page("incidents/i1", viewport=PHONE)
    name, when, ways = (page.locator(f".item .title {part}").bounding_box() for part in ("h1", "p:has(time)", "nav"))
    assert ways["y"] < name["y"] + name["height"] and ways["x"] > name["x"] + name["width"]
    assert when["y"] >= ways["y"] + ways["height"]
    for name, incident in (("较新一条", "i0"), ("较早一条", "i2")):  # the arrow alone is seen, the name is heard
        assert page.get_by_role("link", name=name).get_attribute("href") == f"/incidents/{incident}"


@pytest.mark.parametrize("language", ["zh", "en"])
def test_alerts_of_other_days_make_the_queue_of_a_phone_no_higher(scene: Scene, language: str) -> None:
    scene.alert("today")
    page = scene.page("review", viewport=PHONE)
    page.context.add_cookies([{"name": "language", "value": language, "url": scene.hub.url}])
    page.reload()
    before = page.locator("#queue").bounding_box()["height"]
    exposed = {"low": 38, "best": 50, "high": 80}
    scene.alert("before", started_at_unix=time.time() - 20 * 86400, labels_exposed=exposed)
    page.wait_for_selector("#queue [data-incident=before]")
    assert page.locator("#queue").bounding_box()["height"] == before


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("width", [1120, 1440])
def test_health_shows_every_figure_of_a_camera_on_a_small_laptop(scene: Scene, width: int, language: str) -> None:
    told = {"camera": "cam3", "title": "东区 3 号机", "age_s": 19.0, "fps": 6.0, "wait_s": 0.12, "dropped": 10_575}
    cameras = [{**told, "analysed_fps": 4.8, "passed_over_fps": 0.5, "decode_errors": 0, "reconnects": 3, "crashes": 0}]
    scene.hub.store.edges.set_health("shanghai", "box1", {"cameras": cameras}, time.time())
    page = scene.page("health", viewport={"width": width, "height": 800})
    page.context.add_cookies([{"name": "language", "value": language, "url": scene.hub.url}])
    page.reload()
    assert page.locator(".scroll").evaluate("box => box.scrollWidth - box.clientWidth") == 0


@pytest.mark.parametrize("language", ["zh", "en"])
def test_the_queue_tells_when_beside_what_however_long_the_kind_is_called(scene: Scene, language: str) -> None:
    none = {"low": 0, "best": 0, "high": 0}
    scene.alert("patch", kind="orientation_pattern", acts=[], labels_exposed=none)
    page = scene.page("review")
    page.context.add_cookies([{"name": "language", "value": language, "url": scene.hub.url}])
    page.reload()
    # Both at once: the queue is renewed under whoever measures one after the other.
    until(
        page,
        """(() => {
          const parts = ["span:first-child", "time"].map((one) => document.querySelector(`#queue .also > ${one}`));
          const [kind, time] = parts.map((one) => one?.getBoundingClientRect());
          return Boolean(kind && time) && time.y === kind.y && time.x >= kind.right;
        })()""",
    )


def test_no_part_of_the_desk_lies_over_another(scene: Scene) -> None:
    scene.alert("inc")
    page = scene.page("review")
    for language, width in product(("zh", "en"), (320, 480, 1024, 1200, 1440)):
        page.context.add_cookies([{"name": "language", "value": language, "url": scene.hub.url}])
        page.set_viewport_size({"width": width, "height": 768})
        page.reload()
        page.wait_for_selector(".verdicts button")
        found = page.evaluate(
            """() => [...document.querySelectorAll(".verdicts button")].map((one) => {
              one.scrollIntoView({ block: "center" });
              const box = one.getBoundingClientRect();
              const seen = document.elementFromPoint((box.left + box.right) / 2, (box.top + box.bottom) / 2);
              return [one.textContent.trim(), one.contains(seen), one.scrollWidth <= one.clientWidth];
            })"""
        )
        assert len(found) == 4 and [words for words, seen, whole in found if not (seen and whole)] == [], (
            language,
            width,
        )
        # The choices that narrow the queue are read whole where the queue stands beside.
        cut_off = page.locator(".narrow select").evaluate_all(
            """all => all.filter((one) => {
              const has = one.offsetWidth;
              Object.assign(one.style, { fieldSizing: "content", width: "auto", justifySelf: "start" });
              return one.offsetWidth > has;
            }).length"""
        )
        assert width < 960 or cut_off == 0, (language, width)
        watch, stage = (page.locator(part).first.bounding_box() for part in (".choices", ".stage"))
        assert stage["width"] <= watch["width"] + 1, (language, width)


@pytest.mark.parametrize("path", ["", "incidents/inc"])
def test_the_menu_closes_by_escape_and_by_a_press_elsewhere(scene: Scene, path: str) -> None:
    scene.alert("inc")
    page = scene.page(path, viewport=PHONE, has_touch=True)
    if path:
        page.keyboard.press("m")
    page.click(".menu summary")
    page.locator(".menu div a").last.focus()
    page.keyboard.press("Escape")
    page.wait_for_selector(".menu:not([open])")
    assert page.evaluate("document.activeElement.matches('.menu summary')")
    assert page.locator(".mask[open]").count() == len(path[:1])  # what else Escape closes stays
    page.locator(".menu summary").tap()
    page.wait_for_selector(".menu[open]")
    page.touchscreen.tap(20, 120)
    page.wait_for_selector(".menu:not([open])")
    page.locator(".menu summary").tap()
    page.locator(".menu div a").last.tap()
    page.wait_for_url(lambda url: url != scene.hub.url + path)


def test_language_and_theme_switch_in_place(scene: Scene) -> None:
    page = scene.page("cameras", color_scheme="light")
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.click("[name=theme]:visible")
    page.wait_for_selector("html[data-theme=dark]")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != light
    page.click("[name=language]")
    page.wait_for_selector("html[lang=en]")
    assert page.url.endswith("/cameras")


@pytest.mark.parametrize(("viewport", "scripts"), [(DESK, True), (PHONE, False)])
def test_who_logs_in_through_the_form_comes_to_the_page_that_was_asked_for(
    scene: Scene, viewport: dict[str, int], scripts: bool
) -> None:
    scene.alert("inc")
    page, login = scene.strange_page(viewport=viewport, java_script_enabled=scripts), scene.hub.first_login
    page.goto(scene.hub.url + "incidents/inc")
    page.wait_for_selector("[name=user]:focus")  # or the browser complains that somebody was quicker
    assert login
    page.fill("[name=user]", login["user"])
    page.fill("[name=password]", login["password"])
    page.click("button.main")
    page.wait_for_selector("header nav")
    assert page.url == scene.hub.url + "incidents/inc"


def log_in(page: Any, login: dict[str, str]) -> None:
    """Fill in the form of the login."""
    page.fill("[name=user]", login["user"])
    page.fill("[name=password]", login["password"])
    page.click("button.main")


def end_sessions(hub: Hub) -> None:
    """Nobody is logged in any more."""
    with hub.store.database.writing() as connection:
        connection.exec_driver_sql("DELETE FROM sessions")


def log_in_beside(page: Any, login: dict[str, str]) -> None:
    """Log in in another tab, to which the line leads that says that the session has ended."""
    with page.context.expect_page() as beside:
        page.click("#ended a")
    log_in(beside.value, login)
    beside.value.wait_for_selector("nav.site")


@pytest.mark.parametrize("path", ["", "incidents/i0", "review"])
def test_a_session_that_ended_leads_to_the_login_says_what_was_lost_and_back(scene: Scene, path: str) -> None:
    for n in range(3):
        scene.alert(f"i{n}", started_at_unix=time.time() - 60 * n)
    page = scene.page(path)
    page.wait_for_load_state("networkidle")
    end_sessions(scene.hub)
    page.locator("#card-i0, .item[data-incident=i0]").locator("[value=true]").first.click()
    page.wait_for_selector("form.entry [role=alert]:has-text('没有保存')")
    log_in(page, scene.hub.first_login)
    page.wait_for_selector("#card-i0, .item[data-incident=i0]")  # which still waits for its verdict
    assert urlsplit(page.url).path == f"/{path}"
    scene.complaints.clear()  # the browser logs the 401


@pytest.mark.parametrize("path", ["incidents/inc", "review?incident=inc"])
def test_a_note_is_lost_neither_with_the_network_nor_with_the_session(scene: Scene, path: str) -> None:
    scene.alert("inc")
    page = scene.page(path)
    page.wait_for_load_state("networkidle")
    page.fill(".note", "two men, one phone")
    page.context.set_offline(True)
    page.press(".note", "Enter")
    page.wait_for_selector("#failed:has-text('没有成功')")
    page.context.set_offline(False)
    end_sessions(scene.hub)
    page.press(".note", "Enter")
    page.wait_for_selector("#ended:has-text('没有保存')")
    log_in_beside(page, scene.hub.first_login)
    assert page.input_value(".note") == "two men, one phone"
    page.press(".note", "Enter")
    page.wait_for_selector(".notes li:has-text('two men, one phone')")
    assert page.locator(".lost:visible").count() == 0
    scene.complaints.clear()  # the browser says that it was offline, and logs the 401


def test_a_form_sent_after_the_session_ended_leads_back_to_its_page(scene: Scene) -> None:
    page = scene.page("cases?state=closed")
    end_sessions(scene.hub)
    page.fill("[name=title]", "night shift")
    page.keyboard.press("Enter")
    page.wait_for_selector("form.entry [role=alert]:has-text('没有保存')")
    log_in(page, scene.hub.first_login)
    page.wait_for_url("**/cases?state=closed")
