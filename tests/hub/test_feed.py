"""The feed is narrowed by its address and keeps itself true; the day and the weeks count the same incidents."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator
from datetime import date, datetime
from itertools import product
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from detector.hub.desk.charts import day_rows, trends
from detector.hub.desk.overview import Found, Happened, Overview, Place
from detector.hub.edges.keys import EdgeKeys
from detector.hub.pages.feed import PAGE_SIZE
from detector.hub.storage.budget import Budget
from detector.hub.storage.database import migrate
from detector.hub.storage.rights import Role, Scope
from detector.hub.storage.store import Store
from detector.hub.storage.stored import UNHEARD_S
from detector.hub.storage.wanted import Wanted
from detector.values import DAY_S
from detector.wire import public_key_text
from tests.hub.conftest import NOON, Site, make_envelope, make_older

Build = Callable[..., dict[str, Any]]

# id, and in what it differs from a critical label photography of cam3 in zone bulk of shanghai at noon
TOLD: dict[str, dict[str, Any]] = {
    "plain": {},
    "old": {"started_at_unix": NOON - DAY_S},
    "morning": {"started_at_unix": NOON - 3 * 3600 + 60},
    "suzhou": {"site": "suzhou"},
    "nowhere": {"zone": None},
    "gate": {"zone": "gate", "camera": "cam4"},
    "warned": {"severity": "warning", "kind": "lingering"},
    "noted": {"severity": "info"},
    "judged": {},
}


def fill(store: Store) -> None:
    """Store one incident of each sort."""
    envelopes = []
    for n, (incident, changes) in enumerate(TOLD.items()):
        camera = changes.get("camera", "cam3")
        given = {name: value for name, value in changes.items() if name != "camera"}
        # Newer ones first in the table above.
        usual = {"incident": incident, "started_at_unix": NOON - n, "camera_title": f"Title of {camera}"}
        fields = make_envelope(n + 1, **{**usual, **given})
        fields["after"]["camera"] = camera
        envelopes.append(fields)
    store.add_alerts(envelopes, NOON)
    store.verdicts.add("judged", "owner", "false", "", NOON)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A hub that was told one incident of each sort, for those who only look."""
    site = Site(tmp_path_factory.mktemp("told"))
    fill(site.store)
    yield site
    site.client.close()
    site.store.close()


def listed(page: str) -> list[str]:
    """Incidents on a page, in their order."""
    return re.findall(r'data-incident="(\w+)"', page)


def shown_by(page: str) -> dict[str, str]:
    """What an open page tells of itself when it asks for what is new."""
    fields = page[page.index('id="feed"') :]
    names = ("before", "seen", "until", "to", "shown")
    return {name: re.search(f'name="{name}" value="(.*?)"', fields)[1] for name in names}  # type: ignore[index]


ALERTS = [incident for incident in TOLD if incident not in ("noted", "morning", "old")]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", [*ALERTS, "morning", "old"]),
        ("site=suzhou", ["suzhou"]),
        ("camera=cam4", ["gate"]),
        ("zone=gate", ["gate"]),
        ("zone=-", ["nowhere"]),
        ("kind=lingering", ["warned"]),
        ("severity=warning", ["warned"]),
        ("verdict=false", ["judged"]),
        ("verdict=open&site=shanghai&zone=bulk&kind=label_photography", ["plain", "morning", "old"]),
        ("day=2026-10-31", ["old"]),
        ("day=2026-11-01&hour=9", ["morning"]),
        ("told=digest", ["noted"]),
        ("told=all&severity=info", ["noted"]),
        ("camera=cam4&severity=warning", []),
        # What makes no sense is left out.
        ("day=tomorrow&hour=9", [*ALERTS, "morning", "old"]),
        ("day=9999-01-01&told=secretly", [*ALERTS, "morning", "old"]),
        ("hour=9", [*ALERTS, "morning", "old"]),
        ("day=2026-11-01&hour=99", [*ALERTS, "morning"]),
        # What is nowhere finds nothing.
        ("kind=" + "x" * 3000, []),
        ("site=..%2F..%2Fetc", []),
    ],
)
def test_the_address_narrows_the_feed(told: Site, query: str, expected: list[str]) -> None:
    page = told.client.get(f"/?{query}")
    assert page.status_code == 200
    assert listed(page.text) == expected
    assert ("没有符合条件的" in page.text) is (not expected)
    assert listed(told.client.get(f"/feed/live?{query}").text) == expected


def crowded(site: Site, name: str, count: int, at: float = NOON, **changes: Any) -> list[str]:
    """So many alerts of one box, a second apart; what they are called, the newest first."""
    names = [f"{name}{n:03}" for n in range(count)]
    rows = [
        make_envelope(n, incident=one, started_at_unix=at + n, epoch=name, **changes) for n, one in enumerate(names, 1)
    ]
    site.store.add_alerts(rows, at + count + 60)
    return names[::-1]


def let_in(site: Site, *boxes: str) -> None:
    for box in boxes:
        EdgeKeys(site.store.database).trust("shanghai", box, public_key_text(Ed25519PrivateKey.generate()), NOON)


def all_pages(site: Site, address: str = "/") -> list[str]:
    """Incidents on all pages of a list, which each leads to the next."""
    found: list[str] = []
    while address:
        page = site.client.get(address).text
        found += listed(page)
        more = re.search(r'data-more href="(.*?)"', page)
        address = html.unescape(more[1]) if more else ""
    return found


def test_a_box_that_tells_very_much_hides_nothing_of_what_others_tell(site: Site) -> None:
    let_in(site, "box1", "box2")
    (true,) = crowded(site, "true", 1, edge="box2")
    flood = crowded(site, "flood", 150, NOON + 5)
    page = site.client.get("/").text
    assert listed(page) == [*flood[:10], true]
    assert "边缘设备 shanghai / box1 在 12:00–12:02 还有 140 起告警" in page
    live = site.client.get("/feed/live?shown=11").text
    assert listed(live) == listed(page) and "还有 140 起告警" in live
    folded = html.unescape(re.search(r'<p class="crowd".*?href="(.*?)"', page)[1])  # type: ignore[index]
    assert all_pages(site, folded) == flood[10:], "nothing is lost"
    assert all_pages(site, "/?edge=box1") == all_pages(site, "/?camera=cam3&edge=box1") == flood


def test_what_is_folded_away_is_so_on_whichever_page(site: Site) -> None:
    let_in(site, "box1", "box2")
    earlier = crowded(site, "earlier", 12, NOON - 3600, edge="box2")
    others = crowded(site, "others", 7, NOON + 20, edge="box2")
    flood = crowded(site, "flood", 40)  # more of it below the first page's end
    shown = [*flood[:10], *others, *earlier[:10]]
    assert sorted(all_pages(site)) == sorted(shown) and len(all_pages(site)) == len(shown) > PAGE_SIZE
    folds = [site.client.get(address).text.count('class="crowd"') for address in ("/", f"/?before={NOON},x")]
    assert folds == [1, 1], "each once, below what is shown of it"


def test_what_is_folded_away_leads_to_all_of_it_where_midnight_comes_within_an_hour_of_utc(tmp_path: Path) -> None:
    site = Site(tmp_path, timezone="Asia/Kathmandu")
    let_in(site, "box1", "box2")
    before_midnight = datetime(2026, 10, 31, 23, 59, 30, tzinfo=ZoneInfo("Asia/Kathmandu")).timestamp()
    flood = crowded(site, "flood", 50, before_midnight)
    folded = html.unescape(re.search(r'<p class="crowd".*?href="(.*?)"', site.client.get("/").text)[1])  # type: ignore[index]
    assert all_pages(site, folded) == flood[10:]


def test_what_is_milder_folds_nothing_graver_away(site: Site) -> None:
    let_in(site, "box1", "box2")
    site.store.intake.budget = Budget()
    (grave,) = crowded(site, "grave", 1)
    mild = crowded(site, "mild", 15, NOON + 5, severity="warning")
    assert all_pages(site) == [*mild[:10], grave]


def test_with_one_box_alone_nothing_is_folded_away(site: Site) -> None:
    let_in(site, "box1")
    flood = crowded(site, "flood", 45)
    assert all_pages(site) == flood


def test_what_was_found_is_counted_without_the_labels_of_cleared_ones(told: Site) -> None:
    assert "找到 1 起 · <strong>暴露面单 3–6 张" in told.client.get("/?kind=lingering").text
    assert re.search("找到 1 起\\s*<a", told.client.get("/?verdict=false").text)
    assert "找到" not in told.client.get("/").text


def test_the_address_to_share_has_only_what_was_chosen(told: Site) -> None:
    asked = "/?day=&severity=critical&kind=&camera=cam4&zone=&verdict=&told=alert"
    page = told.client.get(asked, headers={"HX-Request": "true"})
    assert page.headers["HX-Push-Url"] == "/?camera=cam4&severity=critical"
    assert '<option value="cam4" selected>Title of cam4</option>' in page.text
    assert 'name="site"' in page.text and 'name="edge"' not in page.text


def test_nonsense_from_a_page_breaks_nothing(told: Site) -> None:
    values = ("x", "-1", "1e400", "nan,", "9" * 400, "%00", ",", "1e9,%00", "٣")
    paths = ("/", "/feed/older", "/feed/live", "/digest/live")
    for path, field, value in product(paths, ("before", "to", "shown", "seen", "after"), values):
        refused = "%00" in value  # by the door, before any page
        answer = told.client.get(f"{path}?{field}={value}")
        assert answer.status_code == (400 if refused else 200), (path, field, value)


def in_zones(seq: int, zone: str | None, *others: str, **changes: Any) -> dict[str, Any]:
    """An envelope of an incident that was in other zones beside its own."""
    return make_envelope(seq, zone=zone, facts={"other_zones": list(others)}, **changes)


def test_an_incident_is_found_in_every_zone_where_it_ever_was(store: Store) -> None:
    states = [in_zones(1, "bulk"), in_zones(3, "gate", "bulk"), in_zones(2, "bulk"), in_zones(4, "bulk", "gate")]
    told = [in_zones(5, "gate", incident="elsewhere"), in_zones(6, None, incident="nowhere")]
    overview = Overview(store.database)
    for batch in ([states[0], *told], states[1:3], states[3:]):  # the one that comes late changes nothing
        store.add_alerts(batch, NOON)
        zones = ["bulk", "gate"] if batch[0] is not states[0] else ["bulk"]
        found = {zone: {one.id for one in store.feed(wanted=Wanted(zone=zone))} for zone in ("bulk", "gate", "", "x")}
        others = {"gate": {"elsewhere"}, "": {"nowhere"}}
        assert found == {zone: others.get(zone, set()) | ({"inc-1"} if zone in zones else set()) for zone in found}
        assert [overview.found(Wanted(zone=zone)).count for zone in found] == [len(ids) for ids in found.values()]
    assert store.feed(wanted=Wanted(zone="bulk", camera="cam4")) == []


def test_zones_where_something_happened_beside_its_own_are_offered(site: Site) -> None:
    site.store.add_alerts([in_zones(1, "gate", "bulk & more", "", "x" * 300, incident="moved")], NOON)
    offered = re.findall(r'<option value="([^"]*)"', site.client.get("/").text)
    assert {"gate", "bulk &amp; more", "x" * 200} <= set(offered)
    assert listed(site.client.get("/?zone=bulk+%26+more").text) == listed(site.client.get("/").text) == ["moved"]


def test_an_open_page_of_a_zone_shows_what_has_come_there_from_the_next(site: Site) -> None:
    site.store.add_alerts([in_zones(1, "gate", incident="sweep")], NOON)
    assert listed(site.client.get("/?zone=bulk").text) == []
    for seq, zones in ((2, ("gate", "bulk")), (3, ("bulk", "gate"))):
        seen = site.store.last_change()
        site.store.add_alerts([in_zones(seq, *zones, incident="sweep")], NOON)
        for zone in zones:
            assert listed(site.client.get(f"/feed/live?zone={zone}&seen={seen}").text) == ["sweep"]


def test_an_open_page_asks_for_nothing_it_has(site: Site) -> None:
    fill(site.store)
    has = shown_by(site.client.get("/").text)
    same = site.client.get("/feed/live", params=has)
    assert same.headers["HX-Reswap"] == "none" and listed(same.text) == [] and 'id="head"' in same.text
    site.store.add_alerts([make_envelope(99, incident="late", started_at_unix=NOON - 2 * DAY_S)], NOON)
    fresh = site.client.get("/feed/live", params=has)
    assert "HX-Reswap" not in fresh.headers and listed(fresh.text)[-1] == "late"
    assert re.findall(r'fresh" id="card-(\w+)"', fresh.text) == ["late"]


def test_an_open_page_says_today_until_midnight_and_that_something_goes_on_as_long_as_it_may(site: Site) -> None:
    day_ends = datetime(2026, 11, 2, tzinfo=ZoneInfo("Asia/Shanghai")).timestamp()
    began = day_ends - 50 * 60
    site.clock.at = day_ends - 2
    site.store.add_alerts([make_envelope(1, incident="inc", started_at_unix=began, ended_at_unix=began)], began)
    client = site.somebody(Role.VIEWER)
    has = shown_by(client.get("/").text)
    assert client.get("/feed/live", params=has).headers["HX-Reswap"] == "none"
    site.clock.at = day_ends + 1
    next_day = client.get("/feed/live", params=has)
    assert "昨天" in next_day.text and listed(next_day.text) == ["inc"] and 'class="ongoing"' in next_day.text
    has = shown_by(next_day.text)
    assert client.get("/feed/live", params=has).headers["HX-Reswap"] == "none"
    site.clock.at = began + UNHEARD_S + 1
    unheard = client.get("/feed/live", params=has).text
    assert listed(unheard) == ["inc"] and 'class="ongoing"' not in unheard
    assert client.get("/feed/live", params=shown_by(unheard)).headers["HX-Reswap"] == "none"


def test_an_open_page_is_told_of_what_it_shows_and_no_more(site: Site) -> None:
    site.store.add_alerts([make_envelope(n, incident=f"i{n}", started_at_unix=NOON - n) for n in range(1, 31)], NOON)
    first = site.client.get("/").text
    to = re.search(r'name="to" value="([^"]+)"', first)
    assert to and listed(first)[-1] == "i20" and 'name="shown" value="20"' in first
    site.store.add_alerts(
        [make_envelope(31, incident="new"), make_envelope(32, incident="i25", started_at_unix=NOON - 25)], NOON
    )
    assert listed(site.client.get(f"/feed/live?to={to.group(1)}&shown=20").text) == [
        "new", *(f"i{n}" for n in range(1, 21)),
    ]  # fmt: skip
    older = site.client.get(f"/feed/older?before={to.group(1)}&shown=20").text
    assert listed(older)[0] == "i21" and 'name="shown" value="30"' in older and 'name="to" value=""' in older
    assert "<h2" not in older  # the day's heading stands above already


def test_a_page_that_asks_for_very_many_gets_no_more_than_it_may(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("detector.hub.pages.feed.MOST_CARDS", 5)
    monkeypatch.setattr("detector.hub.pages.feed.MOST_ASKED_FOR", 7)
    site.store.add_alerts([make_envelope(n, incident=f"i{n}") for n in range(1, 31)], NOON)
    assert len(listed(site.client.get("/feed/live").text)) == 5
    assert len(listed(site.client.get("/feed/live?shown=1000000").text)) == 7


def test_nobody_is_shown_or_told_of_places_out_of_their_scope(told: Site) -> None:
    guest = told.somebody(Role.VIEWER, ["shanghai/cam4"])
    assert listed(guest.get("/").text) == listed(guest.get("/feed/live").text) == ["gate"]
    for path in ("/?site=suzhou", "/?camera=cam3", "/day", "/weeks"):
        page = guest.get(path).text
        assert listed(page) == [] and "Title of cam3" not in page and "bulk" not in page
    assert 'value="false"' not in re.sub(r"<select.*?</select>", "", guest.get("/").text, flags=re.S)


@pytest.mark.parametrize("role", Role)
def test_the_navigation_leads_only_where_the_role_may_go(told: Site, role: Role) -> None:
    client = told.somebody(role)
    page = client.get("/").text
    nav = page[page.index('<nav class="site"') : page.index("</nav>")]
    links = re.findall(r'href="([^"]+)"', nav)
    assert "/" in links and "/cameras" in links
    assert {path: client.get(path).status_code for path in links} == dict.fromkeys(links, 200)
    assert ("/people" in links) is (role in (Role.OWNER, Role.ADMIN))
    assert ("/review" in links) is (role in (Role.OWNER, Role.REVIEWER))


def test_a_page_left_open_is_led_to_the_login_and_back(told: Site) -> None:
    stranger = told.visitor()
    headers = {"HX-Request": "true", "HX-Current-URL": "http://hub.test/?camera=cam3&day=2026-11-01"}
    answer = stranger.get("/feed/live", headers=headers)
    assert answer.status_code == 401
    assert answer.headers["HX-Redirect"] == "/login?next=/%3Fcamera%3Dcam3%26day%3D2026-11-01"
    headers["HX-Current-URL"] = "http://hub.test//evil.example/"
    assert stranger.get("/feed/live", headers=headers).headers["HX-Redirect"] == "/login?next=/"


def test_an_hours_bar_tells_the_gravest_by_its_shape(site: Site) -> None:
    drawn = []
    for n, severity in enumerate(("warning", "critical")):
        site.store.add_alerts([make_envelope(n + 1, incident=severity, severity=severity)], NOON)
        bar = site.client.get("/").text.split(f'class="hour {severity}')[1].split("</a>")[0]
        drawn += re.findall(r'viewBox="0 0 12 12">\s*(<.*?>)', bar)
    assert len(set(drawn)) == 2, "by colour alone some don't tell them apart"


def test_bars_lead_to_what_they_count_on_a_day_on_which_clocks_are_changed(tmp_path: Path) -> None:
    site = Site(tmp_path, timezone="Europe/Berlin")
    site.clock.at = datetime(2026, 10, 25, 23, 59, tzinfo=ZoneInfo("Europe/Berlin")).timestamp()
    hours = {"night": 1, "noon": 12, "late": 23}
    for n, (incident, hour) in enumerate(hours.items(), 1):
        at = datetime(2026, 10, 25, hour, 30, tzinfo=ZoneInfo("Europe/Berlin")).timestamp()
        site.store.add_alerts([make_envelope(n, incident=incident, started_at_unix=at)], at)
    client = site.somebody(Role.OWNER)
    bars = re.findall(r'class="hour critical[^"]*" href="([^"]+)"', client.get("/").text)
    assert [listed(client.get(address.replace("&amp;", "&")).text) for address in bars] == [[one] for one in hours]


def test_an_hour_that_comes_twice_is_two_on_every_page_and_says_which(tmp_path: Path) -> None:
    site = Site(tmp_path, timezone="Europe/Berlin")
    site.clock.at = datetime(2026, 10, 25, 23, 59, tzinfo=ZoneInfo("Europe/Berlin")).timestamp()
    first = datetime(2026, 10, 25, 2, 30, tzinfo=ZoneInfo("Europe/Berlin")).timestamp()
    times = {"before": first - 3600, "first": first, "second": first + 3600, "after": first + 7200}
    for n, (incident, at) in enumerate(times.items(), 1):
        site.store.add_alerts([make_envelope(n, incident=incident, started_at_unix=at)], at)
    client = site.somebody(Role.OWNER)
    feed, day = client.get("/").text, client.get("/day").text
    for page, marked in ((feed, "hour critical"), (day, "cell critical")):
        cells = re.findall(rf'class="{marked}[^"]*" href="([^"]+)"', page)
        assert [listed(client.get(address.replace("&amp;", "&")).text) for address in cells] == [[one] for one in times]
    hours = re.findall(r'class="hourname[^"]*" role="columnheader">([^<]+)<', day)
    assert hours == ["0", "1", "2A", "2B", *map(str, range(3, 24))] and 'class="daygrid h25"' in day
    # Newest first is by time, not by the clock; an address that names no half means the whole.
    assert listed(feed) == ["after", "second", "first", "before"]
    assert listed(client.get("/?day=2026-10-25&hour=2").text) == ["second", "first"]
    assert "02:00–03:00 B" in client.get("/?day=2026-10-25&hour=2B").text
    shown = re.findall(r"<time [^>]+>(\d\d:[^<]+)</time>", feed)
    assert shown == ["03:30:00", "02:30:00 CET", "02:30:00 CEST", "01:30:00"]


def test_midnights_hour_that_comes_twice_leads_to_what_it_counts(tmp_path: Path) -> None:
    site = Site(tmp_path, timezone="Atlantic/Azores")
    first = datetime(2026, 10, 25, 0, 30, tzinfo=ZoneInfo("Atlantic/Azores")).timestamp()
    site.clock.at = first + 43_200
    for n, (incident, at) in enumerate({"first": first, "second": first + 3600}.items(), 1):
        site.store.add_alerts([make_envelope(n, incident=incident, started_at_unix=at)], at)
    client = site.somebody(Role.OWNER)
    bars = re.findall(r'class="hour critical[^"]*" href="([^"]+)"', client.get("/").text)
    assert [listed(client.get(address.replace("&amp;", "&")).text) for address in bars] == [["first"], ["second"]]
    assert listed(client.get("/?day=2026-10-25&hour=00").text) == ["second", "first"]


def test_an_hour_that_is_left_out_has_no_place(tmp_path: Path) -> None:
    site = Site(tmp_path, timezone="Europe/Berlin")
    at = datetime(2026, 3, 29, 12, 30, tzinfo=ZoneInfo("Europe/Berlin")).timestamp()
    site.store.add_alerts([make_envelope(started_at_unix=at)], at)
    page = site.client.get("/day?day=2026-03-29").text
    hours = re.findall(r'class="hourname[^"]*" role="columnheader">([^<]+)<', page)
    assert hours == ["0", "1", *map(str, range(3, 24))] and 'class="daygrid h23"' in page
    assert re.findall(r'class="cell critical" href="[^"]+hour=(\w+)&', page) == ["12"]


def empty(page: str) -> str:
    """What a page says where it has nothing to show."""
    inside = page.partition('id="empty">')[2].partition("</div>")[0]
    return " ".join(re.sub("<[^>]*>", " ", inside).split())


@pytest.mark.parametrize("path", ["/", "/day", "/weeks"])
def test_a_hub_that_no_camera_reaches_calls_nothing_quiet(site: Site, path: str) -> None:
    site.client.cookies.set("language", "en")
    assert empty(site.client.get(path).text).startswith("No alerts No camera is connected yet.")


def test_a_day_is_shown_by_hours_and_cameras(told: Site) -> None:
    page = told.client.get("/day").text
    cells = re.findall(r'class="cell (\w+)" href="([^"]+)"', page)
    assert ("critical", "/?told=all&amp;day=2026-11-01&amp;hour=9&amp;site=shanghai&amp;camera=cam3") in cells
    assert len(cells) == 5  # at 9, at 11 (just before noon) and at 12 of cam3, cam4, and suzhou's cam3
    for _, address in cells:
        assert listed(told.client.get(address.replace("&amp;", "&")).text)
    assert empty(told.client.get("/day?day=2020-01-01").text) == "没有告警"
    assert cells == re.findall(r'class="cell (\w+)" href="([^"]+)"', told.client.get("/day?day=nonsense").text)


@pytest.mark.parametrize(("language", "old"), [("zh", "2025 年 11 月 2 日 周日"), ("en", "Sun 2 Nov 2025")])
def test_a_day_of_another_year_is_told_with_its_year(site: Site, language: str, old: str) -> None:
    for incident, days in (("new", 30), ("old", 364)):
        envelope = make_envelope(days, incident=incident, started_at_unix=NOON - 86400 * days)
        envelope["after"]["replay"] = True  # footage may be of any age
        site.store.add_alerts([envelope], NOON)
    site.client.cookies.set("language", language)
    feed = site.client.get("/").text
    assert old in feed and old in site.client.get("/incidents/old").text
    assert len(re.findall("2025(?: 年|<)", feed)) == 1 and "2026 年" not in feed and "2026<" not in feed


def test_four_weeks_are_shown_by_kind(told: Site) -> None:
    page = told.client.get("/weeks").text
    assert page.count('class="ticks"') == 4 * page.count("<span>0</span></div>") > 0  # a scale where there are bars
    assert "今天 · 11 月 1 日 周日：18–36" in page  # six that stand and are no notes, with 3 to 6 labels each
    assert "昨天 · 10 月 31 日 周六：1" in page
    assert "/?told=all&amp;day=2026-10-31&amp;kind=label_photography" in page


def test_counts_are_the_same_on_either_database(store: Store) -> None:
    fill(store)
    overview = Overview(store.database)
    assert overview.found(Wanted()) == Found(9, 21, 42)
    assert overview.found(Wanted(kind="nothing")) == Found(0, 0, 0)
    assert overview.found(Wanted(zone="", verdict="")) == Found(1, 3, 6)
    assert overview.places(Scope.of(["shanghai"])) == [
        Place("shanghai", "cam3", "", "Title of cam3"),
        Place("shanghai", "cam3", "bulk", "Title of cam3"),
        Place("shanghai", "cam4", "gate", "Title of cam4"),
    ]
    assert [one.at for one in overview.happened(Wanted(site="suzhou"))] == [NOON - 3]
    days = [(NOON - 1.5 * DAY_S, NOON - 0.5 * DAY_S), (NOON - 0.5 * DAY_S, NOON + DAY_S)]
    by_kind = overview.by_kind(days, Wanted())
    assert by_kind[0] == {"label_photography": Found(1, 3, 6)}
    assert by_kind[1] == {"label_photography": Found(6, 15, 30), "lingering": Found(1, 3, 6)}


def test_a_name_that_cameras_of_two_boxes_share_stands_for_both_of_them(site: Site) -> None:
    for edge, title in (("box1", "东区 3 号机"), ("box2", "西区 3 号机")):
        cameras = {"cam3": {"title": title, "age_s": 1.0}, f"cam-of-{edge}": {"age_s": 1.0}}
        site.store.edges.set_health("shanghai", edge, {"cameras": cameras}, NOON)
        for kind, severity in (("lingering", "info"), ("label_photography", "critical")):
            told = make_envelope(
                epoch=f"{edge}-{kind}", incident=f"{edge}-{kind}", edge=edge, camera_title=title, kind=kind,
                severity=severity,
            )  # fmt: skip
            site.store.add_alerts([told], NOON)
    for path in ("/", "/day", "/digest", "/review"):
        assert "东区 3 号机 / 西区 3 号机" in site.client.get(path).text, path


def test_a_camera_that_no_box_reports_any_more_is_called_as_it_was(site: Site) -> None:
    site.store.add_alerts([make_envelope(1, kind="lingering", severity="info", camera_title="东区 3 号机")], NOON)
    page = site.client.get("/digest").text
    assert page.count("东区 3 号机 · bulk") and "cam3 · bulk" not in page


def test_a_camera_takes_its_newest_name(store: Store, envelope: Build) -> None:
    store.add_alerts([envelope(1, camera_title="Gate")], NOON)
    store.add_alerts([envelope(2, incident="inc-2", camera_title="North\0gate")], NOON)
    assert [place.title for place in Overview(store.database).places()] == ["North?gate"]


def test_places_are_known_after_a_migration(store: Store, envelope: Build) -> None:
    store.add_alerts([envelope(1), envelope(2, incident="inc-2", zone=None)], NOON)
    make_older(store.database, "0012")
    with store.database.writing() as connection:
        migrate(connection)
    assert [(place.camera, place.zone) for place in Overview(store.database).places()] == [
        ("cam3", ""),
        ("cam3", "bulk"),
    ]


def test_zones_of_incidents_of_before_are_known_after_a_migration(store: Store) -> None:
    told = [["bulk", "x" * 300, 7, ""], "bulk", [], ["bulk", "bulk"], None, *[["aisle"]] * 201]
    states = [make_envelope(n, incident=f"i{n}", zone="gate", facts={"other_zones": one}) for n, one in enumerate(told)]
    store.add_alerts([*states, make_envelope(9999, incident="plain", zone=None)], NOON)
    places = Overview(store.database).places()
    with store.database.writing() as connection:
        connection.exec_driver_sql("DELETE FROM places WHERE zone NOT IN ('', 'gate')")
    make_older(store.database, "0020")
    with store.database.writing() as connection:
        migrate(connection)
    found = {zone: {one.id for one in store.feed(wanted=Wanted(zone=zone))} for zone in ("bulk", "x" * 200)}
    assert found == {"bulk": {"i0", "i3"}, "x" * 200: {"i0"}}
    assert Overview(store.database).found(Wanted(zone="aisle")).count == 201
    assert Overview(store.database).places() == places


def test_the_worst_camera_comes_first_and_quiet_ones_are_there() -> None:
    happened = [
        Happened(1 * 3600.0, "s", "a", "warning"),
        Happened(1 * 3600.0, "s", "a", "info"),
        Happened(2 * 3600.0, "s", "b", "critical"),
        Happened(2 * 3600.0, "t", "b", "unheard_of"),
    ]
    rows = day_rows(happened, {("s", "a"): "Gate"}, [("s", "q")], lambda at: str(int(at // 3600)), list("0123"))
    assert [(row.site, row.camera, row.title, row.count) for row in rows] == [
        ("s", "b", "b", 1), ("s", "a", "Gate", 2), ("t", "b", "b", 1), ("s", "q", "q", 0),
    ]  # fmt: skip
    assert [(cell.hour, cell.count, cell.severity) for cell in rows[1].cells if cell.count] == [("1", 2, "warning")]


def test_a_trend_is_drawn_to_a_scale_that_its_tallest_day_fits_in() -> None:
    days = [date(2026, 11, n) for n in range(1, 15)]
    labels, *kinds = trends(days, [{}, {"tamper": Found(3, 4, 8), "new": Found(1, 0, 0)}, *[{}] * 12])
    assert [len(week) for week in labels.weeks] == [7, 7]
    assert labels.totals == [(4, 8), (0, 0)]
    assert (labels.weeks[0][1].base, labels.weeks[0][1].top) == (0.5, 1.0)
    tops = {trend.kind: trend.weeks[0][1].top for trend in kinds}
    assert tops["tamper"] == 0.75 and tops["new"] == 0.5 and tops["lingering"] == 0.0
    assert labels.ticks == (8, 4, 0) and {trend.kind: trend.ticks for trend in kinds}["tamper"] == (4, 2, 0)


@pytest.mark.parametrize(
    ("most", "ticks"),
    [(0, (2, 1, 0)), (2, (2, 1, 0)), (5, (6, 3, 0)), (13, (16, 8, 0)), (41, (60, 30, 0)), (8614, (10000, 5000, 0))],
)
def test_a_scale_has_round_numbers_and_room_for_the_most(most: int, ticks: tuple[int, int, int]) -> None:
    labels, *_ = trends([date(2026, 11, 1)], [{"tamper": Found(1, 0, most)}])
    assert labels.ticks == ticks and labels.weeks[0][0].top == most / ticks[0]
