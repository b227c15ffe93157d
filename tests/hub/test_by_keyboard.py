"""Whoever works by Tab and Enter, or hears the pages read out, stays where they were and is told what happened."""

from __future__ import annotations

import time
from typing import Any

from tests.hub.test_browser import Scene, browser, scene, settled, until  # noqa: F401  (fixtures)

FOCUS = "document.activeElement"


def told(scene: Scene, *names: str) -> None:  # noqa: F811
    for n, name in enumerate(names):
        scene.alert(name, started_at_unix=time.time() - 600 * (n + 1), severity="critical", camera_title=f"Gate {name}")


def press(page: Any, selector: str, key: str = "Enter") -> None:
    page.focus(selector)
    page.keyboard.press(key)


def is_at_the_title_of(page: Any, name: str) -> None:
    until(page, f"{FOCUS}.matches('.item[data-incident={name}] h1')")


def test_who_judges_by_a_button_of_the_desk_goes_on_at_the_title_of_what_is_shown_next(scene: Scene) -> None:  # noqa: F811
    told(scene, "a", "b")
    page = scene.page("review")
    page.wait_for_selector(".item[data-incident=a]")
    page.keyboard.press("Tab")  # from now on by keyboard
    press(page, ".choices .unclear")
    is_at_the_title_of(page, "b")
    page.wait_for_selector("#last [data-deed=undo-last]")
    press(page, "#last [data-deed=undo-last] button")
    is_at_the_title_of(page, "a")
    press(page, ".choices .false")
    is_at_the_title_of(page, "b")
    page.wait_for_selector("#last .just[data-incident=a]")
    press(page, "#last .reasons button")
    page.wait_for_selector("#last [aria-pressed=true]")
    assert page.evaluate(f"{FOCUS}.matches('#last [aria-pressed=true]')")
    press(page, ".choices .false")
    until(page, f"{FOCUS}.id === 'empty'")


def test_what_grew_graver_while_the_stream_was_down_is_looked_at_again_before_it_is_cleared(scene: Scene) -> None:  # noqa: F811
    scene.alert("a", severity="warning", started_at_unix=time.time() - 600)
    page = scene.page()
    page.route("**/events*", lambda route: None)  # it is never answered
    page.goto(scene.hub.url + "review")
    page.wait_for_selector(".item[data-incident=a] .severity.warning")
    scene.alert("a", severity="critical", phase="update", started_at_unix=time.time() - 600)
    page.keyboard.press("3")
    page.wait_for_selector(".item[data-incident=a] .contested [data-replace]")
    assert scene.hub.store.incident("a").verdict is None
    page.keyboard.press("Escape")
    page.wait_for_selector(".contested", state="detached")
    page.wait_for_selector(".item[data-incident=a] .severity.critical")
    page.keyboard.press("3")
    page.wait_for_selector("#last .just[data-incident=a]")
    assert scene.hub.store.incident("a").verdict == "false"
    scene.complaints.clear()  # the browser says, rightly, that it was refused


def test_a_link_of_the_queue_keeps_the_focus_when_another_alert_comes(scene: Scene) -> None:  # noqa: F811
    told(scene, "a", "b")
    page = scene.page("review")
    page.focus("#queue [data-incident=b]")
    scene.alert("c", severity="info")
    page.wait_for_selector("#queue [data-incident=c]")
    assert page.evaluate(f"{FOCUS}.dataset.incident") == "b"


def test_a_verdict_on_an_incidents_page_keeps_the_focus_for_the_keyboard_and_not_for_the_mouse(scene: Scene) -> None:  # noqa: F811
    told(scene, "a")
    page = scene.page("incidents/a")
    page.keyboard.press("Tab")
    press(page, ".verdicts .choices .true")
    page.wait_for_selector(".verdicts [data-undo]")
    assert page.evaluate(f"{FOCUS}.matches('.choices .true[aria-pressed=true]')")
    press(page, ".verdicts [data-undo]")
    page.wait_for_selector(".verdicts [data-undo]", state="detached")
    until(page, f"{FOCUS}.matches('.choices .true[aria-pressed=false]')")
    page.click(".verdicts .choices .false")
    page.wait_for_selector(".verdicts [data-undo]")
    until(page, f"{FOCUS} === document.body")  # Space plays


def test_the_focus_stays_when_the_stream_tells_of_a_deed_before_its_own_answer_is_here(scene: Scene) -> None:  # noqa: F811
    told(scene, "a")
    page, held = scene.page("incidents/a"), []
    page.keyboard.press("Tab")
    press(page, ".verdicts .choices .true")
    page.wait_for_selector(".verdicts [data-undo]")
    settled(page)
    page.route("**/incidents/a/undo", lambda route: held.append((route, route.fetch())))
    press(page, ".verdicts [data-undo]")
    page.wait_for_selector(".verdicts [data-undo]", state="detached")
    until(page, f"{FOCUS}.matches('.choices .true[aria-pressed=false]')")
    for route, answer in held:
        route.fulfill(response=answer)
    settled(page)
    assert page.evaluate(f"{FOCUS}.matches('.choices .true[aria-pressed=false]')")


def test_who_gives_up_an_area_is_back_at_the_button_that_opened_it(scene: Scene) -> None:  # noqa: F811
    told(scene, "a")
    page = scene.page("incidents/a")
    press(page, ".mask summary")
    page.wait_for_selector(".mask[open]")
    press(page, ".mask [data-cancel]")
    page.wait_for_selector(".mask:not([open])")
    assert page.evaluate(f"{FOCUS}.matches('.mask summary')")


def test_an_hour_of_the_day_is_a_link_that_says_how_grave_its_worst_alert_is(scene: Scene) -> None:  # noqa: F811
    scene.alert("a", severity="warning", started_at_unix=time.time())
    page = scene.page()
    link = page.get_by_role("link", name="1 起，最高为注意")
    assert link.count() == 1 and link.get_attribute("title") == link.inner_text().strip()


def test_a_reader_of_the_feed_is_told_how_many_there_are_once_another_alert_comes(scene: Scene) -> None:  # noqa: F811
    scene.alert("a", started_at_unix=time.time())
    page = scene.page()
    page.evaluate("window.heard = document.querySelector('#head h1[aria-live=polite]')")
    scene.alert("b", started_at_unix=time.time())
    until(page, "window.heard.textContent.includes('2 起') && window.heard.isConnected")
    assert page.title() == "告警 2 · labelwatch"
