"""A case in a real browser: from an alert to a pack that `labelwatch verify` says holds, and a sheet on one page."""

from __future__ import annotations

import hashlib
import re
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest

from detector import wire
from detector.cli import main
from detector.hub.access.audit import Audit
from detector.hub.evidence.packs import MAKING
from detector.hub.notices.pauses import Pauses
from detector.hub.storage.schema import packs
from detector.hub.storage.store import Store
from tests.conftest import REPOSITORY
from tests.hub.conftest import NOON, make_jpeg
from tests.hub.evidence_parts import Office
from tests.hub.test_browser import PHONE, Scene, browser, end_sessions, log_in_beside, scene  # noqa: F401  (fixtures)

DEMO = REPOSITORY / "configs" / "demo" / "sweep_near.mp4"


def tell(scene: Scene, clip: bytes) -> None:  # noqa: F811  (a parameter, as pytest passes the fixture)
    """An incident that its edge has signed, and its recording."""
    begins = time.time() - 120
    told = [{"segment": 0, "sha256": hashlib.sha256(clip).hexdigest(), "bytes": len(clip)}]
    for seq, (phase, clips) in enumerate((("new", []), ("end", told)), 1):
        fields = scene._envelope(seq, started_at_unix=begins, phase=phase, clips=clips, snapshot=scene._picture)
        scene.hub.store.add_alerts([wire.signed(fields, scene._key)], time.time())
    scene.upload("inc-1", 0, clip, begins)


def test_a_guard_puts_alerts_into_cases_without_leaving_the_queue_or_a_draft(scene: Scene) -> None:  # noqa: F811
    for n, incident in enumerate(("one", "two")):
        scene.alert(incident, camera_title=f"Gate {n}", started_at_unix=time.time() - 60 * n)
    cases = scene.hub._parts.cases
    cases.make("day shift", [], user="owner", at=time.time())
    page = scene.page("review", user=scene.guard("li"))
    page.evaluate("window.stillHere = true")
    page.fill(".note", "red cap")
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("c")
    page.wait_for_selector("#choice[open]")
    page.keyboard.press("1")
    page.wait_for_selector("#last a[href='/cases/1']:has-text('day shift')")
    assert "Gate 0" in page.inner_text("#last") and cases.case(1).incidents == ("one",)
    # It is there now; another is opened for it too.
    page.keyboard.press("c")
    page.wait_for_selector("#choice li button:disabled")
    page.fill("#choice [name=title]", "red caps")
    page.keyboard.press("Enter")
    page.wait_for_selector("#last a[href='/cases/2']:has-text('red caps')")
    assert cases.case(2).incidents == ("one",)
    assert page.input_value(".note") == "red cap" and page.evaluate("window.stillHere")
    # Keys judge again, and what was chosen from meanwhile closed is told.
    page.keyboard.press("1")
    page.wait_for_selector(".item[data-incident=two]")
    page.keyboard.press("c")
    page.wait_for_selector("#choice[open]")
    for number in (1, 2):
        cases.change(cases.case(number), {"state": "closed"}, user="owner", at=time.time())
    page.keyboard.press("1")
    page.wait_for_selector("#choice .wrong")
    assert page.locator("#choice :focus").count() == 1, "who works by keyboard goes on where they are told"
    page.keyboard.press("Escape")
    page.wait_for_selector("#choice", state="hidden")
    assert cases.case(2).incidents == ("one",)
    assert scene.hub.store.incident("one").verdict == "true" and scene.hub.store.incident("two").verdict is None
    assert len(scene.complaints) == 1 and "409" in scene.complaints.pop()


def test_a_case_is_opened_from_an_alert_exported_and_verified(
    scene: Scene,  # noqa: F811
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    clip = DEMO.read_bytes()
    tell(scene, clip)
    page = scene.page("incidents/inc-1")
    page.evaluate("window.stillHere = true")
    page.keyboard.press("c")
    page.fill("#choice [name=title]", "夜班拍面单")
    page.click("#choice .new-case button")
    page.wait_for_selector("[data-part=kept]:has-text('夜班拍面单')")
    assert page.evaluate("window.stillHere")
    page.click("#last a")
    page.wait_for_selector(".case h1:text('夜班拍面单')")
    page.fill("#case-people", "红帽子")
    page.click(".edit-case button.main")
    page.wait_for_selector(".case-trail li:has-text('涉及人员')")
    page.click(".packs button.main")
    page.wait_for_selector(".packs .ready")  # by itself, without the page being loaded again
    with page.expect_download() as download:
        page.click(".packs .deeds a")
    pack = tmp_path / download.value.suggested_filename
    download.value.save_as(pack)
    assert hashlib.sha256(pack.read_bytes()).hexdigest() == page.inner_text(".packs .hash code")
    assert main(["verify", str(pack), "--key", page.inner_text("code.key"), "--language", "zh"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "结论：全部成立。"
    with zipfile.ZipFile(pack) as archive:
        assert archive.read("incidents/001-inc-1/segment-000.mp4") == clip


def test_who_works_by_keyboard_is_not_thrown_out_by_a_page_that_keeps_itself_fresh(scene: Scene) -> None:  # noqa: F811
    tell(scene, DEMO.read_bytes())
    hub = scene.hub
    page = scene.page("cases?incident=inc-1")
    page.click(".new-case button")
    page.click(".packs button.main")
    page.wait_for_selector(".packs .ready")
    busy = {"case": 1, "made_by": "li", "asked_at": time.time(), "state": MAKING, "told_at": time.time(), "done": 1,
            "total": 2, "reason": "", "places": []}  # fmt: skip
    with hub.store.database.writing() as connection:
        connection.execute(packs.insert(), busy)
    page.reload()
    page.wait_for_selector(".packs progress")
    assert is_focused_still(page, ".packs .deeds a", "/packs")
    pauses = Pauses(hub.store.database, Audit(hub.store.database))
    pauses.begin("shanghai", "cam3", "home assistant", time.time(), 3600.0)
    page.goto(f"{hub.url}integrations")
    assert is_focused_still(page, ".pauses button", "/integrations/part")


def is_focused_still(page: Any, selector: str, asked: str) -> bool:
    """Whether an element keeps the focus until after the page has asked for itself anew."""
    page.focus(selector)
    with page.expect_response(lambda answer: answer.url.endswith(asked), timeout=20_000):
        pass
    page.wait_for_timeout(500)
    return bool(page.evaluate("selector => document.activeElement.matches(selector)", selector))


def test_what_was_written_to_a_case_is_lost_neither_with_the_network_nor_with_the_session(
    scene: Scene,  # noqa: F811
) -> None:
    scene.hub._parts.cases.make("夜班", [], user="owner", at=time.time())
    page = scene.page("cases/1")
    page.fill("[name=note]", "一晚上写的经过")
    page.context.set_offline(True)
    page.click(".edit-case button")
    page.wait_for_selector("#failed:visible")
    page.context.set_offline(False)
    end_sessions(scene.hub)
    page.click(".edit-case button")
    page.wait_for_selector("#ended:visible")
    log_in_beside(page, scene.hub.first_login)
    assert page.input_value("[name=note]") == "一晚上写的经过"
    page.click(".edit-case button")
    page.wait_for_selector(".case-trail li:has-text('修改')")
    assert page.input_value("[name=note]") == "一晚上写的经过" and page.url == f"{scene.hub.url}cases/1"
    assert page.locator(".lost:visible").count() == 0
    # Who was slower is still asked.
    cases = scene.hub._parts.cases
    cases.change(cases.cases()[0], {"note": "别人写的"}, user="ben", at=time.time())
    page.fill("[name=note]", "我写的")
    page.click(".edit-case button")
    page.wait_for_selector("[role=alert]:has-text('ben')")
    assert page.input_value("[name=note]") == "我写的"
    scene.complaints.clear()  # the browser says that it was offline, and logs the 401 and the 409


def test_what_was_written_to_a_case_is_lost_to_nothing_else_on_its_page_without_a_question(scene: Scene) -> None:  # noqa: F811
    scene.alert("inc")
    cases, asked = scene.hub._parts.cases, []
    cases.make("夜班", [scene.hub.store.incident("inc")], user="owner", at=time.time())
    page = scene.page("cases/1")
    page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.dismiss()))
    page.fill("[name=note]", "一晚上写的经过")
    for leads_away in (".packs button", "[name=language]", "header nav a[href='/cases']"):
        page.click(leads_away, no_wait_after=True)
        page.wait_for_timeout(300)
    assert asked == ["beforeunload"] * 3 and page.input_value("[name=note]") == "一晚上写的经过"
    # A page that keeps itself fresh doesn't leave by itself either.
    with scene.hub.store.database.writing() as connection:
        busy = {"case": 1, "made_by": "li", "asked_at": time.time(), "state": MAKING, "told_at": time.time(), "done": 1,
                "total": 2, "reason": "", "places": []}  # fmt: skip
        connection.execute(packs.insert(), busy)
    page.click(".edit-case button")
    page.wait_for_selector(".packs progress")
    page.fill("[name=note]", "还有一句")
    end_sessions(scene.hub)
    page.wait_for_selector("#ended:visible")
    assert page.input_value("[name=note]") == "还有一句" and asked == ["beforeunload"] * 3
    # Nor is what somebody else was quicker than forgotten.
    log_in_beside(page, scene.hub.first_login)
    page.wait_for_selector("#ended", state="hidden")
    cases.change(cases.case(1), {"note": "别人写的"}, user="ben", at=time.time())
    page.click(".edit-case button")
    page.wait_for_selector("[role=alert]:has-text('ben')")
    page.click("header nav a[href='/cases']", no_wait_after=True)
    page.wait_for_timeout(300)
    assert asked == ["beforeunload"] * 4 and page.input_value("[name=note]") == "还有一句"
    scene.complaints.clear()  # the browser logs the 401 and the 409


def test_a_case_fits_a_phone(scene: Scene) -> None:  # noqa: F811
    tell(scene, DEMO.read_bytes())
    page = scene.page(viewport=PHONE)
    page.goto(f"{scene.hub.url}cases?incident=inc-1")
    page.click(".new-case button")
    page.wait_for_selector(".case h1")
    for path in ("cases/1", "cases", "cases?incident=inc-1"):
        page.goto(scene.hub.url + path)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
        small = "[...document.querySelectorAll('main a.button, main button, main summary')]"
        assert page.evaluate(f"{small}.every(e => e.getBoundingClientRect().height >= 40)"), path


def test_a_long_title_of_a_case_is_shown_to_its_end_in_the_list(scene: Scene) -> None:  # noqa: F811
    title = "西区二层立体货架通道北侧出口上方，连续三个夜班，同一个人拍面单"
    scene.hub._parts.cases.make(title, [], user="owner", at=time.time())
    page = scene.page("cases", viewport=PHONE)
    assert page.inner_text("ul.cases strong") == title
    assert page.locator("ul.cases li").evaluate("card => card.scrollWidth <= card.clientWidth")


def test_the_sheet_is_one_page_of_a4_however_large_the_case(
    sqlite_store: Store,
    browser: Any,  # noqa: F811
    tmp_path: Path,
) -> None:
    desk = Office(sqlite_store, tmp_path)
    title = "西区五号机（货架尽头，靠近消防通道的角落）"
    incidents = [
        desk.incident(
            f"incident-{n:020}", [b"a recording"], picture=make_jpeg(), started_at_unix=NOON + 86400 * n + 3000 * n,
            camera_title=title, zone="散货区-二层-东北角",
        )
        for n in range(12)
    ]  # fmt: skip
    desk.store.edges.set_health("shanghai", "box1", {"model_sha256": "ab" * 32, "config_sha256": "cd" * 32}, NOON)
    for incident in incidents:
        for user, found in (("li", "stopped"), ("wang", "police"), ("wo", "in_order")):
            desk.archive.responses.add(incident.id, user, "there", found, NOON)
    pack = desk.pack(desk.case(*incidents, title="长" * 100, people="体貌" * 150, note="经过" * 500))
    with zipfile.ZipFile(pack) as archive:
        archive.extractall(tmp_path / "pack")
    page = browser.new_page()
    for name in ("说明.html", "README.html"):
        page.goto((tmp_path / "pack" / name).as_uri())
        assert page.evaluate("[...document.images].every(i => i.naturalWidth > 0) && document.images.length == 4")
        pages = re.search(rb"/Type /Pages\b[^>]*/Count (\d+)|/Count (\d+)", page.pdf(prefer_css_page_size=True))
        assert pages and int(pages[1] or pages[2]) == 1, name
    page.context.close()
