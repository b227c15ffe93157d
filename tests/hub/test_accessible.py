"""Everybody can use the pages: no serious finding of axe-core, whatever theme and width; no word left untranslated."""

from __future__ import annotations

import re
import time
from html.parser import HTMLParser
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from sqlalchemy import update

from detector.hub.edges.keys import EdgeKeys
from detector.hub.storage.rights import EVERYWHERE
from detector.hub.storage.schema import clips, incidents
from detector.hub.texts import LANGUAGES
from detector.values import DAY_S
from tests.hub.conftest import NOON, Site, make_act, make_envelope, make_jpeg, make_mp4
from tests.hub.test_browser import Scene, browser, scene  # noqa: F401  (fixtures)
from tests.hub.test_orientation import lying

# Every page that somebody logged in may come to; a new one is one more line.
PAGES = [
    "/",
    "/?told=all&verdict=open&severity=critical",
    "/?camera=0-9",
    "/digest",
    "/day",
    "/weeks",
    "/incidents/inc",
    "/incidents/inc/alike",
    "/clips/ghost",
    "/review",
    "/cases",
    "/cameras",
    "/cameras/shanghai/box1/cam3/orientation",
    "/cameras/shanghai/box1/cam3/tests",
    "/health",
    "/edges",
    "/tuning",
    "/notices",
    "/people",
    "/audit",
    "/retention",
    "/integrations",
    "/account",
    "/source",
    "/no-such-page",
]
PAGES_OF_A_CAMERA = ["zones", "orientation", "tests", "tests/1"]
# Themes and widths; only colours differ between the themes.
LOOKS: list[tuple[str, int, dict[str, Any]]] = [
    ("light", 360, {}), ("dark", 360, {"runOnly": ["color-contrast"]}), ("light", 1440, {}),
]  # fmt: skip
AXE_OPTIONS = {"resultTypes": ["violations"]}
SERIOUS = {"serious", "critical"}
CJK = re.compile("[\u3400-\u9fff\uff00-\uffef\u3000-\u303f]")
# Names and units that every language shares, what one types or looks for in a file, and the other language's own name.
NAMES = {
    "labelwatch", "agpl", "gnu", "or-later", "english", "fps", "kb", "mb", "gb", "gib", "tar", "gz", "console",
    "telegram", "ntfy", "webhook", "apprise", "ssl", "starttls", "json", "yaml", "api", "secrets", "key", "hub",
    "retention", "run", "integrations", "home", "assistant", "onvif", "prometheus", "metrics", "configs", "alerts",
    "yml", "site", "edge", "join",
}  # fmt: skip


@pytest.mark.parametrize("pages", [PAGES[::2], PAGES[1::2]], ids=["half", "other half"])
def test_no_page_has_a_serious_finding_of_axe(scene: Scene, pages: list[str]) -> None:  # noqa: F811
    fill(scene)
    page, found = scene.page(bypass_csp=True), set()  # axe's own script is none of ours
    for path in pages:
        page.goto(scene.hub.url.rstrip("/") + path)
        page.evaluate(AXE_SCRIPT)
        for theme, width, options in LOOKS:
            page.set_viewport_size({"width": width, "height": 800})
            page.emulate_media(color_scheme=theme)
            findings = page.evaluate("async (options) => (await axe.run(options)).violations", AXE_OPTIONS | options)
            found |= {
                f"{path} {theme} {width}: {finding['id']}: {' '.join(node['html'].split())[:200]}"
                for finding in findings
                if finding["impact"] in SERIOUS
                for node in finding["nodes"]
            }
    scene.complaints.clear()  # of the page that isn't there
    assert sorted(found) == []


def fill(scene: Scene) -> None:  # noqa: F811
    """Something of everything."""
    for n, severity in enumerate(("critical", "warning", "info")):
        scene.alert("inc" if n == 0 else f"inc{n}", severity=severity, started_at_unix=time.time() - 600 * n)
    scene.hub.store.verdicts.add("inc1", "owner", "false", "", time.time())
    cameras = [{"camera": "cam3", "title": "东区 3 号机", "age_s": 1, "fps": 5}, {"camera": "cam4", "age_s": 900}]
    scene.hub.store.edges.set_health("shanghai", "box1", {"cameras": cameras}, time.time())
    keys, now = EdgeKeys(scene.hub.store.database), time.time()
    keys.trust("suzhou", "box2", "QUFB", now, "owner")
    keys.knocks.note("suzhou", "box2", "QkJC", "other", now)
    keys.knocks.note("suzhou", "box3", "QkJC", "unknown", now)
    scene.hub._parts.rotations.ask("suzhou", "box2", "owner", now)
    keys.trust("suzhou", "box4", "QkJD", now, "owner")
    scene.hub._parts.enrolment.revoke("suzhou", "box4", "owner", now)
    scene.hub.store.add_refusal("labelwatch/x", "not signed", time.time())
    lying(scene.hub.store, ("shanghai", "box1", "cam3"), time.time())
    with TemporaryDirectory() as folder:
        scene.upload("ghost", 0, make_mp4(Path(folder, "clip.mp4")), time.time() - 60)


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_word_is_left_untranslated(site: Site, language: str) -> None:
    # All that people and edges bring is neither Chinese nor a word: `0-0`.
    envelope = make_envelope(1, incident="inc", camera_title="0-0", zone="0-1", phase="end")
    envelope["after"] |= {"camera": "0-2", "facts": {"people": 1, "photos": 3}}
    site.parts.keys.trust("0-3", "0-4", "0-5", NOON)
    site.store.add_alerts([{**envelope, "site": "0-3", "edge": "0-4"}], NOON)
    site.store.edges.set_health(
        "0-3", "0-4", {"cameras": [{"camera": "0-2", "title": "0-0", "age_s": 1, "fps": 5}]}, NOON
    )
    site.store.verdicts.add("inc", site.login["user"], "true", "", NOON)
    lying(site.store, ("0-3", "0-4", "0-2"), NOON, "0-1")
    site.client.cookies.set("language", language)
    brought = {site.login["user"], "shanghai", "testclient"}  # user, first site, and where the login came from
    paths = [path.replace("shanghai/box1/cam3", "0-3/0-4/0-2") for path in PAGES]
    left = {path: untranslated(site.client.get(path).text, language) - brought for path in paths}
    assert {path: words for path, words in left.items() if words} == {}


def test_one_of_a_thing_is_said_in_the_singular(site: Site) -> None:
    one = {"low": 1, "best": 1, "high": 1}
    site.store.add_alerts([make_envelope(incident="inc", labels_exposed=one, acts=[], snapshot=make_jpeg())], NOON)
    site.store.verdicts.add("inc", site.login["user"], "true", "", NOON)
    site.store.edges.set_status("shanghai", "box1", "online", NOON)
    site.parts.health.report("shanghai", "box1", {"cameras": {"cam3": {"age_s": 1.0}}, "at_unix": NOON}, NOON)
    site.store.edges.set_health("shanghai", "box1", {"cameras": {"cam3": {"age_s": 1.0, "fps": 5.0}}}, NOON)
    site.client.post("/cases/add", data={"case": "new", "title": "one", "incidents": "inc"})
    site.client.cookies.set("language", "en")
    many = re.compile(r"(?<![\w.,:/–-])1 (?:edge )?[a-z]{2,}s\b")
    for path in [*PAGES, "/?told=all", "/review?lane=all", "/cases/1", "/day?day=2026-11-01"]:
        text = _Text()
        text.feed(site.client.get(path).text)
        assert many.findall(" ".join(text.parts)) == [], path


def untranslated(html: str, language: str) -> set[str]:
    """Chinese in an English page; Latin words in a Chinese one, but for names."""
    text = _Text()
    text.feed(html)
    if language == "en":
        return {part for part in text.parts if CJK.search(part)}
    words = (word for part in text.parts for word in re.findall(r"(?<![\w-])[A-Za-z]{2,}(?:-[A-Za-z]+)*(?!\w)", part))
    return {word for word in words if word.lower() not in NAMES}


class _Text(HTMLParser):
    """What a page says: its texts, and those of its attributes that are read out or shown."""

    SAID = ("title", "alt", "placeholder", "aria-label")
    SILENT = ("script", "style", "code", "kbd", "time", "q", "pre")
    VOID = ("input", "img", "br", "meta", "link", "hr", "source")

    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []
        self._inside = [("", False)]  # open tags, and whether they are silent

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Words in attributes; what is in another language says so by `lang`."""
        named = dict(attrs)
        silent = self._inside[-1][1] or tag in self.SILENT or ("lang" in named and tag != "html")
        if tag not in self.VOID:
            self._inside.append((tag, silent))
        if not silent:
            self.parts += [named[name] or "" for name in self.SAID if name in named]

    def handle_endtag(self, tag: str) -> None:
        """Out of a tag, and of those within it that were never closed."""
        if tag in [inside for inside, _ in self._inside]:
            while self._inside.pop()[0] != tag:
                pass

    def handle_data(self, data: str) -> None:
        """Words between tags."""
        if not self._inside[-1][1] and data.strip():
            self.parts.append(" ".join(data.split()))


@pytest.mark.parametrize(
    ("path", "fields", "field", "said"),
    [
        ("/login", {"user": "owner", "password": "wrong"}, "password", "用户名或密码不对"),
        ("/account/password", {"old": "wrong", "new": "correct horse battery"}, "old", "现在的密码不对"),
        ("/account/password", {"old": "", "new": "short"}, "new", "至少 10 个字符 新密码太短"),
        ("/account/second-step", {"password": "wrong"}, "password", "现在的密码不对"),
        ("/people", {"name": "-", "role": "viewer", "where": "everywhere"}, "name", "名字要用文字或数字开头和结尾"),
        ("/tokens", {"name": "-", "role": "viewer", "where": "everywhere", "days": "7"}, "name", "名字要用文字"),
    ],
)
def test_what_is_wrong_is_said_of_the_field_it_is_about(
    site: Site, path: str, fields: dict[str, str], field: str, said: str
) -> None:
    own = {"old": site.login["password"]} if fields.get("old") == "" else {}
    page = site.client.post(path, data={**fields, **own}).text
    described = re.findall(rf'<input name="{field}"[^>]* aria-describedby="([^"]+)"', page)
    assert len(described) == 1
    words = [re.findall(rf'id="{one}"[^>]*>([^<]+)<', page)[0] for one in described[0].split()]
    assert " ".join(words).startswith(said)


def test_what_is_chosen_can_be_told_where_somebody_forces_the_colours(scene: Scene, mp4: bytes) -> None:  # noqa: F811
    told_with_acts(scene, mp4)
    page = scene.page(forced_colors="active")
    outlined = "[...document.querySelectorAll('{}')].map(one => getComputedStyle(one).outlineStyle)"
    assert page.evaluate(outlined.format("[aria-current]")) == ["solid", "solid"]  # in the menu, and which list
    page.goto(scene.hub.url + "incidents/inc")
    page.wait_for_selector(".controls:visible")
    assert page.evaluate(outlined.format(".controls [aria-pressed]")) == ["solid", "solid"]
    page.keyboard.press("b")
    page.keyboard.press("o")
    assert page.evaluate(outlined.format(".controls [aria-pressed]")) == ["none", "none"]
    dots = page.evaluate("[...document.querySelectorAll('.kinds .dot')].map(one => getComputedStyle(one).borderColor)")
    assert len(set(dots)) > 1


def test_kinds_of_acts_differ_by_more_than_their_colour(scene: Scene, mp4: bytes) -> None:  # noqa: F811
    told_with_acts(scene, mp4)
    page = scene.page("incidents/inc")
    page.wait_for_selector(".timeline .act.call")
    for part, filling in ((".spans .act", "fill"), (".kinds .dot", "backgroundColor")):
        looks = page.evaluate(
            f"""[...document.querySelectorAll('.timeline {part}')].map(one => {{
              const style = getComputedStyle(one), empty = ["rgb(255, 255, 255)", "rgba(0, 0, 0, 0)"];
              return style.height + (empty.includes(style.{filling}) ? " empty" : " full");
            }})"""
        )
        assert len(looks) == len(set(looks)) == 4, part


def test_a_clip_is_named_for_who_hears_the_page(scene: Scene, mp4: bytes) -> None:  # noqa: F811
    told_with_acts(scene, mp4)
    assert scene.page("incidents/inc").locator("video").get_attribute("aria-label") == "东区 3 号机 的画面"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_where_to_write_is_seen_by_an_edge_that_stands_out(scene: Scene, theme: str) -> None:  # noqa: F811
    page = scene.page("review", color_scheme=theme)
    for path in ("cases", "audit", "notices", "people", ""):
        page.goto(scene.hub.url + path)
        edges = page.evaluate(
            """[...document.querySelectorAll("main :is(input, select, textarea)")]
              .filter((one) => !/hidden|radio|checkbox/.test(one.type))
              .map((one) => [getComputedStyle(one).borderTopColor, getComputedStyle(one).backgroundColor])"""
        )
        assert edges and min(contrast(*edge) for edge in edges) >= 3, path


def test_an_example_in_a_field_can_be_read(scene: Scene) -> None:  # noqa: F811
    page = scene.page("cases")
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)
        field = page.locator("main input[placeholder]")
        words = field.evaluate("e => getComputedStyle(e, '::placeholder').color")
        assert contrast(words, field.evaluate("e => getComputedStyle(e).backgroundColor")) >= 4.5, theme


# What takes the focus by keyboard while its ring, or that of its card, is missing or cut off on some side.
WITHOUT_RING = """() => {
  const cut = [...document.querySelectorAll("main :is(a[href], button, input, select, summary)")].filter((e) => {
    e.focus({ focusVisible: true });
    if (document.activeElement !== e) return false;
    e.scrollIntoView({ block: "nearest", inline: "nearest" });
    const ringed = [e, e.parentElement].find((one) => getComputedStyle(one).outlineStyle !== "none");
    if (!ringed) return true;
    const style = getComputedStyle(ringed), box = ringed.getBoundingClientRect();
    const beyond = parseFloat(style.outlineOffset) + parseFloat(style.outlineWidth) - 0.5;
    for (let around = ringed.parentElement; around !== document.body; around = around.parentElement) {
      const { overflowX, overflowY } = getComputedStyle(around), edge = around.getBoundingClientRect();
      if (overflowX !== "visible" && (box.left - beyond < edge.left || box.right + beyond > edge.right)) return true;
      if (overflowY !== "visible" && (box.top - beyond < edge.top || box.bottom + beyond > edge.bottom)) return true;
    }
  });
  return cut.map((e) => e.outerHTML);
}"""


@pytest.mark.parametrize("width", [360, 1440])
def test_where_the_keyboard_is_is_shown_by_a_ring_that_nothing_cuts_off(
    scene: Scene,  # noqa: F811
    mp4: bytes,
    width: int,
) -> None:
    fill(scene)
    told_with_acts(scene, mp4)
    scene.hub._parts.cases.make("night", scene.hub.store.incidents(["inc"]), user="owner", at=time.time())
    page = scene.page(viewport={"width": width, "height": 740})
    for path in ("", "cases", "review", "incidents/inc", "incidents/inc/alike", "cameras", "day"):
        page.goto(scene.hub.url + path)
        assert page.evaluate(WITHOUT_RING) == [], path


def test_what_takes_the_focus_on_a_narrow_screen_lies_above_the_navigation(scene: Scene) -> None:  # noqa: F811
    for n in range(3):
        scene.alert(f"inc{n}")
    page = scene.page(viewport={"width": 360, "height": 740})
    lies = "document.activeElement.getBoundingClientRect().bottom - document.querySelector('.site').offsetTop"
    page.locator("#by-told").focus()
    for _ in range(15):  # a card, and its verdicts: three times
        page.keyboard.press("Tab")
        assert page.evaluate(lies) <= 0, page.evaluate("document.activeElement.outerHTML")


def test_what_is_short_is_still_large_enough_to_press(scene: Scene, mp4: bytes) -> None:  # noqa: F811
    told_with_acts(scene, mp4)
    page = scene.page("incidents/inc", viewport={"width": 360, "height": 740})
    page.click(".verdicts .choices .true")  # a line of the audit log about `inc`
    page.wait_for_selector(".verdicts [data-undo]")
    for path, links in (("incidents/inc", ".evidence a"), ("audit", ".log a")):
        page.goto(scene.hub.url + path)
        boxes = [link.bounding_box() for link in page.locator(links).all()]
        assert boxes and all(min(box["width"], box["height"]) >= 24 for box in boxes), path


def test_links_that_stand_by_themselves_are_as_high_as_a_thumb_on_touch(scene: Scene, mp4: bytes) -> None:  # noqa: F811
    told_with_acts(scene, mp4)
    scene.alert("other", camera="cam4", camera_title="Old Gate")
    scene.alert("like", started_at_unix=time.time() - 600)
    inside = scene.hub.store.incidents(["inc"])
    scene.hub._parts.cases.make("night", inside, user="owner", at=time.time())
    scene.hub.store.edges.set_health("shanghai", "box1", {"cameras": [{"camera": "cam3", "age_s": 1.0}]}, time.time())
    scene.hub._parts.proposals.add(
        ("shanghai", "box1", "cam3"), "ignore", [[0.1, 0.1], [0.9, 0.1], [0.9, 0.9]], "", user="guard", at=time.time(),
        incident="inc",
    )  # fmt: skip
    year_ago = time.time() - 365 * DAY_S
    scene.alert("old", started_at_unix=year_ago)
    scene.upload("old", 0, mp4, year_ago)
    scene.hub.store.verdicts.add("old", "owner", "false", "", time.time())
    with scene.hub.store.database.writing() as connection:
        connection.execute(update(clips).where(clips.c.incident == "old").values(stored_at=year_ago))
        connection.execute(update(incidents).where(incidents.c.id == "old").values(ended_at=year_ago))
    scene.hub._parts.retention.run(time.time())  # says what goes next
    page = scene.page("incidents/inc", viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True)
    page.wait_for_selector(".elsewhere a")
    for path, links in (
        ("", ".watching a, .brand"), ("incidents/inc", ".evidence a, .elsewhere a, .record p a, .kept p a"),
        ("audit", ".log a"), ("people/owner", ".up a"), ("cases/1", ".up a"),
        ("cameras/shanghai/box1/cam3/zones", ".up a, .proposals p a"), ("retention", ".retention td a"),
    ):  # fmt: skip
        page.goto(scene.hub.url + path)
        page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
        heights = [link.bounding_box()["height"] for link in page.locator(links).all()]
        assert heights and min(heights) >= 40, path


def test_however_long_the_names_no_page_of_a_camera_is_wider_than_a_phone(scene: Scene, mp4: bytes) -> None:  # noqa: F811
    camera, name = ("shanghai", "box1", "cam3"), "西区分拣线末端朝向卸货口的高位球机（备用）" * 2
    told = {"cam3": {"title": name, "age_s": 1.0, "fps": 5.0}}
    scene.hub.store.edges.set_status("shanghai", "box1", "online", time.time())
    scene.hub.store.edges.set_health("shanghai", "box1", {"cameras": told}, time.time())
    zone = {"name": "a zone, named oddly", "kind": "storage", "polygon": [[0.1, 0.1], [0.9, 0.1], [0.9, 0.9]]}
    scene.hub._parts.zones.set_zones(camera, [zone], expected=0, user="owner", at=time.time())
    scene.hub._parts.proposals.add(
        camera, "ignore", zone["polygon"], "反光的屏幕", user="guard", at=time.time(), incident="inc"
    )
    lying(scene.hub.store, camera, time.time())
    tests, began = scene.hub._parts.walk_tests, round(time.time() - 600, 3)
    film = tests.begin(*camera, "owner", began)
    tests.end(*camera, "owner", began + 20, 4)
    scene.upload(str(film), 0, mp4, began)
    scene.alert("inc", camera_title=name)
    page = scene.page(viewport={"width": 360, "height": 740})
    for language in ("zh", "en"):
        page.context.add_cookies([{"name": "language", "value": language, "url": scene.hub.url}])
        own = "cameras/shanghai/box1/cam3"
        for path in ("", "incidents/inc", "review", "cameras", *(f"{own}/{at}" for at in PAGES_OF_A_CAMERA)):
            page.goto(scene.hub.url + path)
            assert page.locator("main").inner_text(), path
            assert page.evaluate("document.documentElement.scrollWidth") == 360, (path, language)


def test_however_much_is_folded_out_no_page_is_wider_than_a_phone(scene: Scene) -> None:  # noqa: F811
    fill(scene)
    name, at = "ERP of the whole group, second instance", time.time() - 25 * DAY_S
    for n in range(8):
        scene.alert(f"judged{n}", camera_title=name, started_at_unix=at, score=0.4 + n / 20)
        scene.hub.store.verdicts.add(f"judged{n}", "owner", ("true", "false")[n % 2], "", at)
    with scene.hub.store.database.writing() as connection:
        scene.hub._parts.notices.targets.add(
            connection, name, "webhook", "en", address="json://127.0.0.1:9/", scope=EVERYWHERE, user="owner", at=at
        )
    page = scene.page(viewport={"width": 360, "height": 740})
    for language in ("zh", "en"):
        page.context.add_cookies([{"name": "language", "value": language, "url": scene.hub.url}])
        for path in [*PAGES, "/people/owner"]:
            page.goto(scene.hub.url.rstrip("/") + path)
            page.evaluate("document.querySelectorAll('main details').forEach((one) => { one.open = true; })")
            assert page.evaluate("document.documentElement.scrollWidth") == 360, (path, language)
    scene.complaints.clear()  # of the page that isn't there


def test_many_cameras_are_rows_on_a_phone_that_a_thumb_can_use(scene: Scene) -> None:  # noqa: F811
    cameras = {f"cam{n}": {"title": f"东区 {n} 号机", "age_s": 900 if n == 20 else 1} for n in range(1, 21)}
    for place in ("shanghai", "suzhou"):
        scene.hub.store.edges.set_status(place, "box1", "online", time.time())
        scene.hub.store.edges.set_health(place, "box1", {"cameras": cameras}, time.time())
    page = scene.page("cameras", viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True)
    for language in ("zh", "en"):
        page.context.add_cookies([{"name": "language", "value": language, "url": scene.hub.url}])
        page.reload()
        rows = [row.bounding_box()["height"] for row in page.locator(".cameras .good").all()]
        assert len(rows) == 38 and max(rows) < 110, language
        links = page.locator(".cameras .good .deeds a, .sites a").all()
        assert min(link.bounding_box()["height"] for link in links) >= 44, language
    page.click(".sites a >> nth=1")
    assert page.locator("#silent li").count() == 2 and page.locator("#site-suzhou").count() == 1
    assert page.evaluate("document.documentElement.scrollWidth") == 360


def told_with_acts(scene: Scene, mp4: bytes) -> None:  # noqa: F811
    """An incident with an act of each look, and a clip."""
    began = time.time() - 60
    acts = [make_act(began + 4 * n, kind=kind) for n, kind in enumerate(("photo", "scan", "call", "unclear"))]
    scene.alert("inc", started_at_unix=began, acts=acts)
    scene.upload("inc", 0, mp4, began)


def contrast(one: str, other: str) -> float:
    """Of two colours as a browser computes them, `rgb(…)`, by WCAG."""
    light = sorted(luminance([int(part) for part in re.findall(r"\d+", colour)[:3]]) for colour in (one, other))
    return (light[1] + 0.05) / (light[0] + 0.05)


def luminance(colour: list[int]) -> float:
    parts = [part / 255 / 12.92 if part < 11 else ((part / 255 + 0.055) / 1.055) ** 2.4 for part in colour]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


def test_numbers_of_a_row_stand_in_one_line_on_a_phone_however_long_their_names(scene: Scene) -> None:  # noqa: F811
    scene.hub.store.edges.set_status("shanghai", "box1", "online", time.time())
    page = scene.page("health", viewport={"width": 360, "height": 740})
    tops = "[...document.querySelectorAll('.box .figures:not(.quiet) dd')].map(e => e.getBoundingClientRect().top)"
    assert len(set(page.evaluate(tops)[:3])) == 1
    wrapped = "[...document.querySelectorAll('.box .figures:not(.quiet) dt')].map(e => e.offsetHeight)"
    assert len(set(page.evaluate(wrapped)[:3])) == 2  # else there is nothing to see here


def test_the_log_of_notices_shows_its_results_on_a_phone(scene: Scene) -> None:  # noqa: F811
    with scene.hub.store.database.writing() as connection:
        number = scene.hub._parts.notices.targets.add(
            connection, "ERP of the whole group, second instance", "webhook", "en", address="json://127.0.0.1:9/",
            scope=EVERYWHERE, user="owner", at=time.time(),
        )  # fmt: skip
    page = scene.page("notices", viewport={"width": 360, "height": 740})
    page.click(f"[action='/notices/targets/{number}/test'] button")
    page.wait_for_selector(".notice-log td")
    cells = [cell.bounding_box() for cell in page.locator(".notice-log td, .notice-log .result").all()]
    assert len(cells) == 6 and all(cell["x"] + cell["width"] <= 360 and cell["width"] > 40 for cell in cells)


# Examples in fields that are cut off there, and choices of which one is.
CUT_OFF = """() => {
  const pen = document.createElement("canvas").getContext("2d");
  const shown = [...document.querySelectorAll("main input[placeholder], main select")].filter((e) => e.offsetParent);
  return shown.filter((e) => {
    const style = getComputedStyle(e);
    pen.font = style.font;
    const words = e.placeholder === undefined ? e.selectedOptions[0].text : e.placeholder;
    const arrow = e.placeholder === undefined ? 18 : 0;
    const room = e.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight) - arrow;
    return pen.measureText(words).width > room;
  }).map((e) => e.outerHTML.slice(0, 200));
}"""


def test_what_a_field_shows_is_not_cut_off_on_a_phone(scene: Scene) -> None:  # noqa: F811
    fill(scene)
    page = scene.page(viewport={"width": 360, "height": 740})
    for language in ("zh", "en"):
        page.context.add_cookies([{"name": "language", "value": language, "url": scene.hub.url}])
        for path in PAGES:
            page.goto(scene.hub.url.rstrip("/") + path)
            page.evaluate("document.querySelectorAll('main details').forEach((one) => { one.open = true; })")
            assert page.evaluate(CUT_OFF) == [], (path, language)
    scene.complaints.clear()  # of the page that isn't there


def test_an_address_is_asked_for_where_it_is_said_to_be(scene: Scene) -> None:  # noqa: F811
    page = scene.page("notices", viewport={"width": 360, "height": 740})
    page.click("summary:has-text('Apprise')")
    for where, field in (("given", "url"), ("env", "url_env"), ("file", "url_file")):
        page.select_option("details[open] [name=where]", where)
        fields = page.locator("details[open] :is([name=url], [name=url_env], [name=url_file])").all()
        assert [one.get_attribute("name") for one in fields if one.is_visible()] == [field]


def test_a_list_of_acts_that_goes_on_shows_that_it_does(scene: Scene, mp4: bytes) -> None:  # noqa: F811
    began = time.time() - 600
    scene.alert("inc", started_at_unix=began, acts=[make_act(began + 20 * n) for n in range(12)])
    scene.upload("inc", 0, mp4, began)
    page = scene.page("incidents/inc", viewport={"width": 360, "height": 740})
    shown = "document.querySelector('.acts').clientHeight / document.querySelector('.acts li').offsetHeight"
    assert page.evaluate(shown) % 1 == pytest.approx(0.5, abs=0.2)
