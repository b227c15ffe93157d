"""The pages in a real browser: what a person sees, without a word of complaint from the browser."""

from __future__ import annotations

import shutil
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from argon2 import PasswordHasher
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from playwright.sync_api import sync_playwright

from detector import wire
from detector.config import Broker, HubConfig
from detector.hub.server import Hub
from tests.conftest import part_missing
from tests.hub.test_tuning import set_score

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--no-first-run", "--autoplay-policy=no-user-gesture-required",
]  # fmt: skip
PHONE = {"width": 360, "height": 740}
DESK = {"width": 1440, "height": 900}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium without a window."""
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        part_missing("Chromium", "chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        yield browser
        browser.close()


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
        hub.store.pin_edge_key("shanghai", "box1", wire.public_key_text(self._key))

    def alert(self, incident: str, **changes: Any) -> None:
        """Store an alert as the intake does."""
        self._seq += 1
        usual = {"incident": incident, "started_at_unix": time.time() - 60, "snapshot": self._picture}
        fields = self._envelope(self._seq, **{**usual, **changes})
        self.hub.store.add_alerts([fields], time.time())
        self.hub.live.poke()

    def upload(self, incident: str, segment: int, content: bytes, started_at: float) -> None:
        """Send a clip as an edge does."""
        import hashlib

        headers = wire.clip_headers(
            site="shanghai", edge="box1", camera="cam3", incident=incident, segment=segment,
            sha256=hashlib.sha256(content).hexdigest(), size=len(content), started_at=started_at, duration_s=4.0,
            at=time.time(), key=self._key,
        )  # fmt: skip
        answer = httpx.put(f"{self.hub.url}api/clips/{incident}/{segment}", content=content, headers=headers)
        assert answer.status_code == 201

    def page(self, path: str = "", *, viewport: dict[str, int] = DESK, **options: Any) -> Any:
        """A page of somebody who has just logged in through the form."""
        context = self._browser.new_context(viewport=viewport, **options)
        context.set_default_timeout(30_000)
        page = context.new_page()
        page.on("console", lambda message: self.complaints.append(message.text) if message.type != "log" else None)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("requestfailed", lambda request: self._failed(request))
        page.goto(self.hub.url + path)
        assert self.hub.first_login
        page.fill("[name=user]", self.hub.first_login["user"])
        page.fill("[name=password]", self.hub.first_login["password"])
        page.click("button.main")
        page.wait_for_selector("header nav")
        page.wait_for_load_state("load")  # scripts run by then
        return page

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
def scene(tmp_path: Path, browser: Any, picture: bytes, envelope: Any) -> Iterator[Scene]:
    """A hub with nothing in it, without a broker; afterwards no page may have complained."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        nobody = closed.getsockname()[1]
    config = HubConfig(data_dir=tmp_path / "data", broker=Broker(port=nobody))
    hub = Hub(config, port=0, hasher=PasswordHasher(time_cost=1, memory_cost=64, parallelism=1))
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


def test_a_page_that_lost_the_hub_catches_up(scene: Scene) -> None:
    page = scene.page()
    page.wait_for_selector("#empty")
    page.context.set_offline(True)
    for stream in list(scene.hub.live._pokes):  # offline leaves open connections open: break them
        scene.hub.live._closed = True
        scene.hub.live.poke()
        del stream
    time.sleep(0.5)
    scene.hub.live._closed = False
    scene.alert("missed")
    page.context.set_offline(False)
    page.wait_for_selector("#card-missed")
    scene.complaints.clear()  # the browser says, rightly, that it was offline


def test_the_clip_plays_from_the_first_act_and_a_click_on_an_act_jumps_to_it(scene: Scene, mp4: bytes) -> None:
    started_at = float(int(time.time()) - 600)
    acts = [
        {
            **scene._envelope()["after"]["acts"][0],
            "started_at_unix": started_at + s,
            "ended_at_unix": started_at + s + 1,
        }
        for s in (2.0, 6.0)
    ]
    scene.alert("inc", started_at_unix=started_at, acts=acts)
    scene.upload("inc", 0, mp4, started_at)
    scene.upload("inc", 1, mp4, started_at + 4)
    page = scene.page()
    page.click("#card-inc .open")
    until(page, "document.getElementById('video')?.readyState >= 2")
    assert page.evaluate("document.getElementById('video').currentTime") == pytest.approx(1, abs=0.1)
    page.locator(".acts [data-at]").nth(1).click()
    until(page, "document.getElementById('video').src.endsWith('/clips/inc/1')")
    until(page, "document.getElementById('video').currentTime > 1.2")
    assert page.evaluate("document.getElementById('video').videoWidth") == 320
    assert page.locator("#playhead.on").count() == 1
    page.locator("#timeline [data-at]").nth(0).focus()
    page.keyboard.press("Enter")
    until(page, "document.getElementById('video').src.endsWith('/clips/inc/0')")
    # One clip follows the other by itself.
    page.evaluate("document.getElementById('video').playbackRate = 8")
    until(page, "document.getElementById('video').src.endsWith('/clips/inc/1')")


def test_a_clip_that_arrives_shows_up_on_the_open_page(scene: Scene, mp4: bytes) -> None:
    scene.alert("inc")
    page = scene.page("incidents/inc")
    assert page.locator("video").count() == 0
    scene.upload("inc", 0, mp4, time.time() - 60)
    until(page, "document.getElementById('video')?.readyState >= 2")


def test_a_verdict_lasts_and_can_be_undone(scene: Scene) -> None:
    scene.alert("inc")
    page = scene.page(viewport=PHONE, has_touch=True)
    other = scene.page("incidents/inc")
    page.locator("#card-inc [value=false]").tap()
    page.wait_for_selector("#card-inc.cleared .verdict.false")
    other.wait_for_selector("#verdict .history .verdict.false")
    page.reload()
    page.wait_for_selector("#card-inc.cleared .verdict.false")
    page.locator("#card-inc [data-undo]").tap()
    page.wait_for_selector("#card-inc .choices")
    assert scene.hub.store.incident("inc").verdict is None
    other.wait_for_selector("#verdict .history .withdrawn")


def test_the_keyboard_judges_on_the_incident_page(scene: Scene) -> None:
    scene.alert("inc")
    page = scene.page("incidents/inc")
    page.keyboard.press("n")
    page.keyboard.type("seen at 3")
    page.keyboard.press("Escape")
    page.keyboard.press("1")
    page.wait_for_selector("#verdict .verdict.true")
    assert [(v.verdict, v.note) for v in scene.hub.store.verdicts("inc")] == [("true", "seen at 3")]
    page.keyboard.press("u")
    page.wait_for_selector("#verdict .history .withdrawn")


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
        scene.hub.store.add_verdict(f"i{n}", "owner", verdict, "", time.time())
    page = scene.page("tuning", viewport=PHONE, has_touch=True)
    assert page.locator(".scores circle.true").count() == 20
    page.locator("button[value=apply]").tap()
    page.wait_for_selector("#edges .waiting")
    (change,) = scene.hub.store.thresholds()
    assert (change.least_score, change.user) == (0.41, "owner")
    scene.hub.store.set_health("shanghai", "box1", {"tuned": {"version": 1, "refused": None}}, time.time())
    page.wait_for_selector("#edges .taken")
    page.locator("button[value=back]").tap()
    page.wait_for_selector("#edges .waiting")
    assert scene.hub.store.thresholds()[0].least_score is None


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
    page.wait_for_selector("#verdict .history .verdict.true")


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


@pytest.mark.parametrize("width", [320, 360, 768, 1440])
def test_nothing_is_wider_than_the_screen_and_targets_can_be_touched(scene: Scene, width: int, mp4: bytes) -> None:
    scene.alert("inc", camera_title="东区三号机 " * 12, facts={"a_rather_long_name_of_a_new_fact": "x" * 120})
    scene.alert("note", severity="info", zone="z" * 60)
    scene.hub.store.add_verdict("inc", "owner", "true", "", time.time())
    set_score(scene.hub.store, 0.6, None)
    scene.upload("inc", 0, mp4, time.time() - 60)
    cameras = [{"camera": "c" * 60, "title": "很长的名字" * 10, "age_s": 1.0, "reason": "y" * 90}]
    scene.hub.store.set_health("shanghai", "box1", {"cameras": cameras}, time.time())
    page = scene.page(viewport={"width": width, "height": 800})
    for language in ("zh", "en"):
        page.context.add_cookies([{"name": "language", "value": language, "url": scene.hub.url}])
        for path in ("", "digest", "incidents/inc", "cameras", "tuning", "account", "source"):
            page.goto(scene.hub.url + path)
            assert page.evaluate("document.documentElement.scrollWidth") <= width, (language, path)
            small = page.evaluate(
                "[...document.querySelectorAll('button, input:not([type=hidden]):not(.hidden), .button')]"
                ".filter(e => e.offsetParent && e.getBoundingClientRect().height < 40).map(e => e.outerHTML)"
            )
            assert small == [], (language, path)


def test_language_and_theme_switch_in_place(scene: Scene) -> None:
    page = scene.page("cameras", color_scheme="light")
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.click("[name=theme]:visible")
    page.wait_for_selector("html[data-theme=dark]")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != light
    page.click("[name=language]")
    page.wait_for_selector("html[lang=en]")
    assert page.url.endswith("/cameras")


def test_a_session_that_ended_leads_to_the_login(scene: Scene) -> None:
    scene.alert("inc")
    page = scene.page()
    with scene.hub.store.database.writing() as connection:
        connection.exec_driver_sql("DELETE FROM sessions")
    page.locator("#card-inc [value=true]").click()
    page.wait_for_url("**/login**")
    scene.complaints.clear()  # the browser logs the 401
