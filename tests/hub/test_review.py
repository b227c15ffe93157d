"""The review desk: the worst comes first, verdicts and reasons are kept, and two guards don't judge unawares."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest
from fastapi import Request
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from detector.clock import iso
from detector.hub.desk.presence import LEASE_S, MOST_DESKS, Presence
from detector.hub.desk.reviews import RECORD_DAYS, Reviews, Share, spread
from detector.hub.edges.thresholds import Thresholds
from detector.hub.evidence.cases import Cases
from detector.hub.footage.training_set import Claim, claim
from detector.hub.pages.review import review_events
from detector.hub.pages.view import View
from detector.hub.storage.database import migrate
from detector.hub.storage.harm import harm
from detector.hub.storage.rights import EVERYWHERE, Role, Scope
from detector.hub.storage.schema import changes, incidents
from detector.hub.storage.store import Store
from detector.hub.storage.stored import Contested
from detector.hub.storage.verdicts import Verdicts
from detector.hub.storage.wanted import Wanted
from detector.values import DAY_S
from tests.hub.conftest import Site, make_older

NOON = 1_793_505_600.0
SCRIPT = {"X-Fragment": "item"}
SEVERITIES = ("info", "warning", "critical")
KINDS = ("lingering", "tamper", "blind_corner", "orientation_pattern", "label_photography")
Build = Callable[..., dict[str, Any]]


def labels(best: int) -> dict[str, int]:
    """What an incident says of labels exposed."""
    return {"low": best, "best": best, "high": best}


def order(store: Store, **wanted: Any) -> list[str]:
    """Ids of the whole queue."""
    return [incident.id for _, incident in Reviews(store.database).queue(Wanted(**wanted), limit=1000)]


@pytest.fixture
def queue(store: Store, envelope: Build) -> Store:
    """A store with incidents named by their place in the queue, told in another order."""
    rows: list[tuple[str, dict[str, Any]]] = [
        ("4 warning, many labels", {"severity": "warning", "labels_exposed": labels(900)}),
        ("1 critical, labels", {"labels_exposed": labels(12)}),
        ("6 newer", {"severity": "info", "kind": "lingering", "labels_exposed": labels(0)}),
        ("3 critical, older", {"labels_exposed": labels(3), "started_at_unix": NOON - 60}),
        ("2 critical, newer", {"labels_exposed": labels(3)}),
        ("5 turned", {"severity": "info", "kind": "orientation_pattern", "labels_exposed": labels(0)}),
        ("7 older", {"severity": "info", "kind": "lingering", "labels_exposed": labels(0),
                     "started_at_unix": NOON - 60}),
        ("8 unheard of", {"severity": "purple", "kind": "something_new"}),
    ]  # fmt: skip
    store.add_alerts([envelope(n, incident=name, **changes) for n, (name, changes) in enumerate(rows, 1)], NOON)
    return store


def test_the_most_harmful_comes_first_and_of_equals_the_newest(queue: Store) -> None:
    found = order(queue)
    assert found == sorted(found) and len(found) == 8


def test_the_queue_pages_through_everything_once(queue: Store) -> None:
    reviews, found, place = Reviews(queue.database), [], None
    while page := reviews.queue(Wanted(), place, limit=3):
        found += [incident.id for _, incident in page]
        place = page[-1][0]
    assert found == order(queue)


def test_of_what_is_as_grave_boxes_have_their_turns_whatever_one_of_them_tells(store: Store, envelope: Build) -> None:
    mad = [envelope(n, incident=f"mad{n:02}", labels_exposed=labels(9000 + n)) for n in range(1, 36)]
    others = [envelope(n, edge="box2", incident=f"true{n:02}", labels_exposed=labels(30)) for n in range(1, 3)]
    mild = envelope(3, edge="box2", incident="warning", severity="warning")
    store.add_alerts([*mad, *others, mild], NOON)
    reviews, found, place = Reviews(store.database), [], None
    while page := reviews.queue(Wanted(), place, limit=7):
        found += [incident.id for _, incident in page]
        place = page[-1][0]
    worst_first = [f"mad{n:02}" for n in range(35, 0, -1)]
    assert found == [*worst_first[:10], "true02", "true01", *worst_first[10:], "warning"]


def test_what_is_judged_leaves_the_queue_and_comes_back_when_it_is_withdrawn(queue: Store) -> None:
    first = order(queue)[0]
    queue.verdicts.add(first, "guard", "false", "", NOON)
    assert first not in order(queue)
    queue.verdicts.withdraw(first, "guard", NOON)
    assert order(queue)[0] == first


def test_the_queue_is_narrowed_by_place_kind_and_lane_and_counts_what_is_left(queue: Store, envelope: Build) -> None:
    far = envelope(20, incident="far", site="suzhou", edge="box9")
    far["after"]["camera"] = far["camera"] = "cam9"
    queue.add_alerts([far], NOON)
    reviews = Reviews(queue.database)
    assert order(queue, camera="cam9") == ["far"] == order(queue, scope=Scope.of(["suzhou"]))
    assert reviews.left(Wanted(camera="cam9")) == 1 and reviews.left(Wanted()) == 9 == len(order(queue))
    assert reviews.left(Wanted(kind="lingering")) == 2 == len(order(queue, kind="lingering"))
    assert reviews.left(Wanted(told="digest")) == len(order(queue, told="digest"))
    assert ("cam9", "label_photography") in reviews.waiting()
    assert order(queue, scope=Scope(())) == [] == reviews.waiting(Scope(()))


@given(st.tuples(st.sampled_from(range(3)), st.integers(0, 2**31 - 1), st.sampled_from(range(5))),
       st.tuples(st.sampled_from(range(3)), st.integers(0, 2**31 - 1), st.sampled_from(range(5))))  # fmt: skip
def test_severity_weighs_more_than_labels_and_those_more_than_kind(one: Any, two: Any) -> None:
    def number(severity: int, best: int, kind: int) -> int:
        return harm(SEVERITIES[severity], best, KINDS[kind])

    clipped = [(severity, min(best, 10**9), kind) for severity, best, kind in (one, two)]
    assert (number(*one) > number(*two)) == (clipped[0] > clipped[1])
    assert 0 <= number(*one) < 2**62


def test_incidents_of_an_older_database_find_their_place(queue: Store, envelope: Build) -> None:
    queue.add_alerts([envelope(30, incident="huge", labels_exposed=labels(2**31 - 1))], NOON)
    told = select(incidents.c.id, incidents.c.harm).order_by(incidents.c.id)
    with queue.database.reading() as connection:
        before = connection.execute(told).all()
    make_older(queue.database, "0005")
    with queue.database.writing() as connection:
        migrate(connection)
        assert connection.execute(told).all() == before


# Whose verdict stands, who judges or takes back, which verdict that is to replace, and whether it is asked about.
REPLACING: list[tuple[str | None, str, int | str | None, bool]] = [
    (None, "li", 0, False),
    (None, "li", 99, False),
    ("li", "li", 0, False),
    ("wang", "li", None, False),
    ("wang", "li", 0, True),
    ("wang", "li", 99, True),
    ("wang", "li", "the one that stands", False),
]


@pytest.mark.parametrize("undoes", [False, True])
def test_a_verdict_of_somebody_else_is_asked_before_it_goes(store: Store, envelope: Build, undoes: bool) -> None:
    for n, (standing, who, over, asks) in enumerate(REPLACING, 1):
        incident = f"i{n}"
        store.add_alerts([envelope(n, incident=incident)], NOON)
        number = store.verdicts.add(incident, standing, "false", "", NOON) if standing else 0
        before = store.verdicts.on(incident)
        known = number if isinstance(over, str) else over
        try:
            if undoes:
                store.verdicts.withdraw(incident, who, NOON + 1, over=known)
            else:
                store.verdicts.add(incident, who, "true", "", NOON + 1, over=known)
        except Contested as contested:
            assert asks and contested.standing.user == standing and store.verdicts.on(incident) == before
        else:
            found = store.incident(incident)
            assert not asks and found and found.verdict == (None if undoes else "true")


def test_nobody_is_asked_about_a_verdict_that_was_taken_back(store: Store, envelope: Build) -> None:
    store.add_alerts([envelope(1)], NOON)
    store.verdicts.add("inc-1", "wang", "false", "", NOON)
    store.verdicts.withdraw("inc-1", "wang", NOON)
    store.verdicts.add("inc-1", "li", "true", "", NOON, over=0)
    assert [verdict.user for verdict in store.verdicts.on("inc-1")] == ["li", "wang"]


def test_of_guards_who_judge_at_the_same_instant_all_but_one_are_asked(store: Store, envelope: Build) -> None:
    store.add_alerts([envelope(1)], NOON)

    def judge(user: str) -> str:
        try:
            store.verdicts.add("inc-1", user, "true", "", NOON, over=0)
        except Contested as contested:
            return contested.standing.user
        return ""

    with ThreadPoolExecutor(6) as pool:
        told = list(pool.map(judge, [f"guard {n}" for n in range(6)]))
    (verdict,) = store.verdicts.on("inc-1")
    assert sorted(told) == ["", *[verdict.user] * 5]


def test_a_reason_is_given_to_ones_own_verdict_while_it_counts(store: Store, envelope: Build) -> None:
    store.add_alerts([envelope(1)], NOON)
    first = store.verdicts.add("inc-1", "li", "false", "", NOON)
    before = store.last_change()
    assert not store.verdicts.set_reason("inc-1", first, "wang", "scan") and store.last_change() == before
    assert store.verdicts.set_reason("inc-1", first, "li", "scan") and store.last_change() > before
    assert not store.verdicts.set_reason("another", first, "li", "call")
    store.verdicts.withdraw("inc-1", "li", NOON)
    assert not store.verdicts.set_reason("inc-1", first, "li", "call")
    assert store.verdicts.on("inc-1")[0].reason == "scan"


def test_whatever_is_judged_or_taken_back_open_pages_are_told_and_of_nothing_else(
    store: Store, envelope: Build
) -> None:
    store.add_alerts([envelope(n, incident=f"i{n}") for n in range(1, 4)], NOON)

    def changed(act: Callable[..., Any], *arguments: Any) -> list[str]:
        before = store.last_change()
        act(*arguments)
        with store.database.reading() as connection:
            return sorted(connection.execute(select(changes.c.incident).where(changes.c.number > before)).scalars())

    verdicts = store.verdicts
    assert changed(verdicts.add, "i1", "li", "true", "", NOON) == ["i1"]
    assert changed(verdicts.add_to_open, ["i1", "i2", "i3"], "li", "false", NOON) == ["i2", "i3"]
    assert changed(verdicts.add_to_open, ["i1", "i2"], "li", "true", NOON) == []
    assert changed(verdicts.withdraw, "i2", "wang", NOON + 1) == ["i2"]
    (taken_back,) = verdicts.on("i2")
    assert (taken_back.user, taken_back.withdrawn_by, taken_back.withdrawn_at) == ("li", "wang", NOON + 1)


@pytest.mark.parametrize(
    ("verdict", "note", "reason", "taught"),
    [
        ("false", "", "scan", Claim("scan")), ("false", "", "call", Claim("call")),
        ("false", "", "browse", Claim("browse")), ("false", "", "texting", Claim("browse")),
        ("false", "", "reflection", Claim(None, "photo")), ("false", "", "", Claim(None, "photo")),
        ("false", "通话", "", Claim("call")), ("false", "通话", "scan", Claim("scan")),
        ("true", "", "sold", Claim("photo")), ("authorised", "", "damage", Claim("photo")),
    ],
)  # fmt: skip
def test_the_reason_of_a_false_alarm_teaches_what_it_was(verdict: str, note: str, reason: str, taught: Claim) -> None:
    assert claim(verdict, note, reason) == taught


def test_notes_are_kept_and_open_pages_are_told(store: Store, envelope: Build) -> None:
    store.add_alerts([envelope(1), envelope(2, incident="other")], NOON)
    reviews, before = Reviews(store.database), store.last_change()
    reviews.add_note("inc-1", "li", "看过现场", NOON)
    reviews.add_note("inc-1", "wang", "second", NOON + 1)
    assert [(note.user, note.text) for note in reviews.notes("inc-1")] == [("wang", "second"), ("li", "看过现场")]
    assert reviews.notes("other") == [] and store.changed_since(before)[0][-1][1] == "inc-1"


def test_a_cameras_record_compares_before_and_after_its_last_change(store: Store, envelope: Build) -> None:
    reviews = Reviews(store.database)
    days_ago = [(9, "false"), (8, "true"), (7, "false"), (6, "unclear"), (2, "true"), (1, "false"), (40, "false")]
    for n, (days, verdict) in enumerate(days_ago, 1):
        store.add_alerts([envelope(n, incident=f"i{n}", started_at_unix=NOON - days * DAY_S)], NOON)
        store.verdicts.add(f"i{n}", "li", verdict, "", NOON)
    store.add_alerts([envelope(20, incident="other kind", kind="lingering"), envelope(21, incident="now")], NOON)
    now = store.incident("now")
    assert now is not None
    found = reviews.record(now, NOON)
    assert (found.changed_at, found.before, found.after) == (None, Share(), Share())
    assert found.share == Share(false=3, judged=5)  # what is unclear is no judgement; the oldest is too old
    assert [one.id for one in found.latest] == ["i7", "i1", "i2", "i3", "i4", "i5", "i6", "now"]
    place = ("shanghai", "box1", "cam3", "label_photography")
    Thresholds(store.database).set(*place, 0.6, expected=0, user="owner", at=NOON - 5 * DAY_S, evidence={})
    found = reviews.record(now, NOON)
    assert found.changed_at == NOON - 5 * DAY_S
    assert (found.before, found.after) == (Share(2, 3), Share(1, 2))
    assert reviews.record(now, NOON + 300 * DAY_S).share == Share() and RECORD_DAYS < 300


def test_a_look_ends_with_its_page_or_when_nobody_renews_it() -> None:
    presence, place = Presence(), ("shanghai", "cam3")
    presence.look("li", "desk-one", "a", place, NOON)
    presence.look("wang", "desk-two", "a", place, NOON)
    assert presence.watching(NOON, EVERYWHERE) == {"a": ["li", "wang"]}
    assert presence.watching(NOON, Scope.of(["suzhou"])) == {}
    presence.look("li", "desk-one", "b", place, NOON + 1)
    assert presence.watching(NOON + 1, EVERYWHERE) == {"a": ["wang"], "b": ["li"]}
    presence.leave("li", "desk-one")
    presence.renew("li", "desk-one", NOON + 2)
    presence.renew("wang", "desk-two", NOON + 10)
    assert presence.watching(NOON + LEASE_S + 5, EVERYWHERE) == {"a": ["wang"]}
    assert presence.watching(NOON + LEASE_S + 10, EVERYWHERE) == {}
    for n in range(MOST_DESKS + 5):
        presence.look(f"user {n}", "desk", str(n), place, NOON)
    assert len(presence.watching(NOON, EVERYWHERE)) == MOST_DESKS


def test_a_page_that_has_come_back_goes_on_looking_when_its_old_stream_ends(site: Site) -> None:
    app: Any = site.app
    cookie = f"labelwatch={site.client.cookies['labelwatch']}".encode()
    asked = {"type": "http", "app": app.app, "method": "GET", "path": "/review/events", "scheme": "http"}
    view = View(Request({**asked, "query_string": b"", "headers": [(b"cookie", cookie)]}))

    async def scene() -> None:
        answers: list[Any] = [review_events(view, "desk-one") for _ in range(2)]
        old, new = (cast("AsyncGenerator[str, None]", answer.body_iterator) for answer in answers)
        await anext(old)  # cut off, as the hub doesn't know yet
        await anext(new)
        site.parts.presence.look("owner", "desk-one", "inc-1", ("shanghai", "cam3"), NOON)
        await old.aclose()
        assert site.parts.presence.watching(NOON, EVERYWHERE) == {"inc-1": ["owner"]}
        await new.aclose()
        assert site.parts.presence.watching(NOON, EVERYWHERE) == {}

    asyncio.run(scene())


def text_of(answer: Any) -> str:
    """What a page says, without its mark-up."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.text))


def test_the_desk_shows_the_worst_and_how_many_are_left(site: Any, envelope: Any) -> None:
    assert "都判断完了" in site.client.get("/review").text
    rows = [envelope(1, incident="mild", severity="warning"), envelope(2, incident="bad"), envelope(3, incident="more")]
    site.store.add_alerts([*rows, envelope(4, incident="fourth", kind="lingering", severity="info")], NOON)
    page = site.client.get("/review")
    assert page.status_code == 200 and "还剩 4 条" in page.text and 'data-incident="more"' in page.text
    narrowed = site.client.get("/review", params={"kind": "lingering"})
    assert "还剩 1 条" in narrowed.text and re.findall(r'<article class="item" data-incident="(.*?)"', narrowed.text)
    assert "还剩 3 条" in site.client.get("/review/queue", params={"lane": "alert"}).text
    chosen = site.client.get("/review", params={"incident": "mild"})
    assert '<article class="item" data-incident="mild"' in chosen.text


def test_a_camera_where_nothing_waits_any_more_stays_chosen(site: Any, envelope: Any) -> None:
    site.store.add_alerts([envelope(1)], NOON)
    site.store.verdicts.add("inc-1", "li", "true", "", NOON)
    page = site.client.get("/review", params={"camera": "cam3"}).text
    assert (
        '<option value="cam3" selected>东区 3 号机</option>' in page
        and 'data-queue="/review/queue?camera=cam3"' in page
    )
    assert 'value="cam3"' not in site.client.get("/review").text


@pytest.mark.parametrize(
    "query",
    ["after=x", "after=1,2", "after=1,nan,a", "after=9e9,1,a", f"after={10**40},1,a", "after=1,inf,a", "after=1,1,%00",
     "after=-9,1,1,a", f"after={2**53},1,1,a", f"after={2**52},{2**52},1,a",
     "lane=x", "camera=%00", "kind=%00", "camera=" + "x" * 5000],
)  # fmt: skip
def test_odd_questions_get_a_queue_or_a_refusal_and_no_failure(site: Any, envelope: Any, query: str) -> None:
    site.store.add_alerts([envelope(1)], NOON)
    expected = 400 if "%00" in query else 200  # no database takes it
    assert site.client.get(f"/review/queue?{query}").status_code == expected
    assert site.client.get(f"/review?{query}").status_code == expected


def test_every_page_of_the_queue_is_reached_by_its_links(site: Any, envelope: Any) -> None:
    site.store.add_alerts([envelope(n, incident=f"i{n}") for n in range(1, 76)], NOON)
    found, address = [], "/review/queue?lane=alert"
    while address:
        page = site.client.get(address).text
        found += re.findall(r'<a class="critical"[^>]*data-incident="(\w+)"', page)
        address = re.search(r'data-next="(.*?)"', page)[1].replace("&amp;", "&")  # type: ignore[index]
    assert sorted(found) == sorted(f"i{n}" for n in range(1, 76))


@pytest.mark.parametrize("asks", ["", "item", "desk"])
def test_what_grew_graver_since_it_was_drawn_is_looked_at_again_before_it_is_cleared(
    site: Any, envelope: Any, asks: str
) -> None:
    site.store.add_alerts([envelope(1, incident="i1", severity="warning")], NOON)
    drawn = site.client.get("/incidents/i1").text
    assert '<input type="hidden" name="seen" value="warning">' in drawn
    assert '<input type="hidden" name="seen" value="warning">' in site.client.get("/").text
    site.store.add_alerts([envelope(2, incident="i1", severity="critical", phase="update")], NOON + 60)

    def judged(**fields: str) -> Any:
        headers = {"x-fragment": asks} if asks else {}
        return site.client.post("/incidents/i1/verdict", data=fields, headers=headers, follow_redirects=False)

    answer = judged(verdict="false", seen="warning")
    assert answer.status_code == 409 and site.store.incident("i1").verdict is None
    if asks:
        assert 'name="seen" value="critical"' in answer.text and 'name="verdict" value="false"' in answer.text
    else:
        assert answer.headers["HX-Redirect"] == "/incidents/i1"
    assert judged(verdict="true", seen="warning").status_code in (200, 303)
    assert judged(verdict="false", seen="critical").status_code in (200, 303)
    assert site.store.incident("i1").verdict == "false"


@pytest.mark.parametrize("path", ["/incidents/inc-1/verdict", "/api/incidents/inc-1/verdict"])
def test_what_grows_graver_while_it_is_cleared_is_cleared_by_nobody(
    site: Site, envelope: Build, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    site.store.add_alerts([envelope(1, severity="warning")], NOON)
    read, grown = Store.incident, envelope(2, severity="critical", phase="update")

    def read_before(store: Store, *asked: Any) -> Any:
        found = read(store, *asked)
        wait([box.submit(store.add_alerts, [grown], NOON + 60)], 0.5)
        return found

    judging = {"verdict": "false", "seen": "warning"}
    with ThreadPoolExecutor(1) as box, monkeypatch.context() as meanwhile:
        meanwhile.setattr(Store, "incident", read_before)
        site.client.post(path, **{"json" if "/api/" in path else "data": judging})
    found = site.store.incident("inc-1")
    assert found and (found.severity, found.verdict) == ("critical", None)


def test_who_judges_a_page_of_one_box_finds_all_the_rest_by_its_link(site: Any, envelope: Any) -> None:
    site.store.add_alerts([envelope(n, incident=f"i{n}") for n in range(1, 51)], NOON)
    left, address = {f"i{n}" for n in range(1, 51)}, "/review/queue?lane=alert"
    while address:
        page = site.client.get(address).text
        found = re.findall(r'<a class="critical"[^>]*data-incident="(\w+)"', page)
        for incident in found:
            site.store.verdicts.add(incident, "guard", "false", "", NOON)
        left -= set(found)
        address = re.search(r'data-next="(.*?)"', page)[1].replace("&amp;", "&")  # type: ignore[index]
    assert not left


def test_only_those_who_judge_come_to_the_desk_and_only_to_what_they_see(site: Any, envelope: Any) -> None:
    site.store.add_alerts([envelope(1)], NOON)
    for role in (Role.VIEWER, Role.ADMIN):
        somebody = site.somebody(role)
        for method, path in (("GET", "/review"), ("GET", "/review/queue"), ("POST", "/review/look"),
                             ("POST", "/incidents/inc-1/notes"), ("POST", "/incidents/inc-1/reason")):  # fmt: skip
            assert somebody.request(method, path).status_code == 403
        page = somebody.get("/incidents/inc-1").text
        assert "/verdict" not in page and "/notes" not in page and "还没有人判断过" in page
    far = site.somebody(Role.REVIEWER, ["suzhou"], "far")
    assert "都判断完了" in far.get("/review").text and far.get("/review?incident=inc-1").status_code == 404
    assert far.get("/incidents/inc-1/item").status_code == far.get("/incidents/inc-1/stills/1").status_code == 404
    look = {"desk": "desk-of-far", "incident": "inc-1"}
    assert far.post("/review/look", data=look).status_code == 404
    for path in ("verdict", "undo", "notes", "reason"):
        answer = far.post(f"/incidents/inc-1/{path}", data={"verdict": "true", "text": "x", "reason": "sold"})
        assert answer.status_code == 404
    assert site.store.verdicts.on("inc-1") == []


def test_the_later_of_two_guards_is_asked_and_may_replace_or_keep(site: Any, envelope: Any) -> None:
    site.store.add_alerts([envelope(1)], NOON)
    li, wang = site.somebody(Role.REVIEWER, name="li"), site.somebody(Role.REVIEWER, name="wang")
    assert li.post("/incidents/inc-1/verdict", data={"verdict": "false"}, headers=SCRIPT).status_code == 200
    site.clock.at += 10
    asked = wang.post("/incidents/inc-1/verdict", data={"verdict": "true"}, headers=SCRIPT)
    assert asked.status_code == 409 and "li 12:00:00（10 秒前）判断过： 误报" in text_of(asked).replace("\u00a0", " ")
    number = re.search(r'name="over" value="(\d+)"', asked.text)[1]  # type: ignore[index]
    page = wang.post("/incidents/inc-1/verdict", data={"verdict": "true"})
    assert page.status_code == 409 and "改为“属实”" in page.text and "<html" in page.text
    card = wang.post("/incidents/inc-1/verdict", data={"verdict": "true"}, headers={"HX-Request": "true"})
    assert card.status_code == 409 and card.headers["hx-redirect"] == "/incidents/inc-1?asked=true"
    assert "改为“属实”" in wang.get(card.headers["hx-redirect"]).text
    assert wang.post("/incidents/inc-1/undo", headers=SCRIPT).status_code == 409
    assert [v.verdict for v in site.store.verdicts.on("inc-1")] == ["false"]
    replaced = wang.post("/incidents/inc-1/verdict", data={"verdict": "true", "over": number}, headers=SCRIPT)
    assert replaced.status_code == 200 and site.store.incident("inc-1").verdict == "true"
    # Who agreed to replace that one hasn't agreed to replace this one.
    assert li.post("/incidents/inc-1/undo", data={"over": number}, headers=SCRIPT).status_code == 409


@pytest.mark.parametrize(
    ("path", "fields", "status"),
    [
        ("verdict", {"verdict": "maybe"}, 400), ("verdict", {"verdict": "true", "reason": "scan"}, 400),
        ("verdict", {"verdict": "true", "reason": "x" * 900}, 400),
        ("verdict", {"verdict": "false", "reason": "scan"}, 303),
        ("verdict", {"verdict": "true", "over": "-1"}, 303), ("verdict", {"verdict": "true", "over": "9" * 99}, 303),
        ("reason", {"reason": "scan"}, 400), ("reason", {"over": "1", "reason": "scan"}, 400),
        ("notes", {}, 400), ("notes", {"text": "   "}, 400), ("notes", {"text": "说明"}, 303),
    ],
)  # fmt: skip
def test_forms_that_say_nothing_sensible_are_refused(
    site: Any, envelope: Any, path: str, fields: dict[str, str], status: int
) -> None:
    site.store.add_alerts([envelope(1)], NOON)
    assert site.client.post(f"/incidents/inc-1/{path}", data=fields).status_code == status


def test_reasons_and_notes_are_shown_on_the_incidents_page(site: Any, envelope: Any) -> None:
    site.store.add_alerts([envelope(1)], NOON)
    guard = site.somebody(Role.REVIEWER, name="li")
    judged = guard.post("/incidents/inc-1/verdict", data={"verdict": "false"}, headers={"X-Fragment": "desk"})
    number = re.search(r'data-number="(\d+)"', judged.text)[1]  # type: ignore[index]
    assert "在打电话" in judged.text
    fields = {"over": number, "reason": "call"}
    told = guard.post("/incidents/inc-1/reason", data=fields, headers={"X-Fragment": "desk"})
    assert 'value="" data-key="w" aria-pressed="true"' in told.text  # pressed again, it is taken back
    assert guard.post("/incidents/inc-1/notes", data={"text": "<b>到过现场</b>"}, headers=SCRIPT).status_code == 200
    page = site.client.get("/incidents/inc-1")
    assert "&lt;b&gt;到过现场" in page.text and "li 误报 在打电话" in text_of(page)
    assert site.client.post("/incidents/inc-1/reason", data=fields).status_code == 404  # another's verdict
    actions = [entry.action for entry in site.app.app.state.parts.audit.entries(subject="inc-1")]
    assert actions == ["note", "reason", "verdict"]


def test_what_is_sent_once_more_since_its_answer_was_lost_is_kept_once(site: Any, envelope: Any) -> None:
    site.store.add_alerts([envelope(1)], NOON)
    sent = [("verdict", {"verdict": "true"}), ("notes", {"text": "two men"})]
    kept = []
    for wait_s in (0.0, 30.0, 600.0):  # the last one means it
        site.clock.sleep(wait_s)
        for what, fields in sent:
            assert site.client.post(f"/incidents/inc-1/{what}", data=fields, headers=SCRIPT).status_code == 200
        kept.append((len(site.store.verdicts.on("inc-1")), len(site.parts.reviews.notes("inc-1"))))
    assert kept == [(1, 1), (1, 1), (2, 2)]
    site.client.post("/incidents/inc-1/verdict", data={"verdict": "false"}, headers=SCRIPT)
    site.client.post("/incidents/inc-1/verdict", data={"verdict": "true"}, headers=SCRIPT)
    assert [one.verdict for one in site.store.verdicts.on("inc-1")] == ["true", "false", "true", "true"]


def at_the_same_moment(monkeypatch: pytest.MonkeyPatch, reader: type, name: str, *acts: Callable[[], Any]) -> list[Any]:
    """Answers to acts each of which, if it may, has read what stands before any of them writes."""
    read, all_have_read = getattr(reader, name), threading.Barrier(len(acts))

    def read_together(*asked: Any) -> Any:
        found = read(*asked)
        with suppress(threading.BrokenBarrierError):
            all_have_read.wait(0.5)
        return found

    monkeypatch.setattr(reader, name, read_together)
    with ThreadPoolExecutor(len(acts)) as pool:
        return [act.result() for act in [pool.submit(act) for act in acts]]


def test_what_is_tapped_twice_is_kept_once_in_either_database(
    postgres: Callable[[], str], tmp_path: Path, envelope: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = Site(tmp_path, anew=True, database=postgres())
    site.store.add_alerts([envelope(1)], NOON)

    def post(what: str, **fields: str) -> Callable[[], Any]:
        return lambda: site.client.post(f"/incidents/inc-1/{what}", data=fields)

    at_the_same_moment(monkeypatch, Verdicts, "on", *[post("verdict", verdict="false")] * 2)
    at_the_same_moment(monkeypatch, Reviews, "notes", *[post("notes", text="seen")] * 2)
    assert len(site.store.verdicts.on("inc-1")) == len(site.parts.reviews.notes("inc-1")) == 1
    site.store.close()


def test_the_log_tells_of_an_undo_that_is_tapped_twice_once(
    site: Site, envelope: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.store.add_alerts([envelope(1)], NOON)
    site.client.post("/incidents/inc-1/verdict", data={"verdict": "false"})
    at_the_same_moment(monkeypatch, Store, "incident", *[partial(site.client.post, "/incidents/inc-1/undo")] * 2)
    assert [one.action for one in site.parts.audit.entries(subject="inc-1")] == ["undo", "verdict"]


def test_of_two_who_hold_an_incident_at_the_same_moment_the_later_is_told_of_the_other(
    postgres: Callable[[], str], tmp_path: Path, envelope: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = Site(tmp_path, anew=True, database=postgres())
    site.store.add_alerts([envelope(1)], NOON)
    guards = [site.somebody(Role.REVIEWER, None, name) for name in ("wang", "li")]
    acts = [partial(guard.post, "/incidents/inc-1/hold", data={"hold": "1"}) for guard in guards]
    answers = at_the_same_moment(monkeypatch, Cases, "legal_hold", *acts)
    assert sorted(answer.status_code for answer in answers) == [303, 403]
    site.store.close()


def test_full_pixels_need_the_right_and_leave_a_line_that_some_may_read(site: Any, envelope: Any, mp4: bytes) -> None:
    site.store.add_alerts([envelope(1)], NOON)
    site.client.put("/api/clips/inc-1/0", content=mp4, headers=site.claim(mp4))
    viewer, guard = site.somebody(Role.VIEWER), site.somebody(Role.REVIEWER, name="li")
    assert viewer.get("/clips/inc-1/0").status_code == 403
    page = viewer.get("/incidents/inc-1").text
    assert "打码副本" in page and "download>" not in page
    assert guard.get("/clips/inc-1/0").content == mp4 and "打码副本" not in guard.get("/incidents/inc-1").text
    assert "li 看了原始录像" in text_of(site.client.get("/incidents/inc-1"))
    assert "看了原始录像" not in guard.get("/incidents/inc-1").text


def test_stills_are_those_of_the_incident(site: Any, envelope: Any, picture: bytes) -> None:
    site.store.add_alerts([envelope(1, snapshot=picture), envelope(2, incident="other", snapshot=picture)], NOON)
    page = site.client.get("/incidents/inc-1").text
    (address,) = set(re.findall(r'"(/incidents/inc-1/stills/\d+)"', page))
    assert site.client.get(address).content == picture
    number = address.rsplit("/", 1)[1]
    assert site.client.get(f"/incidents/other/stills/{number}").status_code == 404
    for odd in ("-1", str(2**80), "x"):
        assert site.client.get(f"/incidents/inc-1/stills/{odd}").status_code == 404


def test_stills_of_a_long_incident_are_of_all_of_it(site: Any, envelope: Any, picture: bytes) -> None:
    at = [NOON + n for n in range(20)] + [NOON + 60.0 * n for n in range(1, 11)]
    site.store.add_alerts(
        [envelope(n, snapshot=picture, sent_at_unix=one, sent_at=iso(one)) for n, one in enumerate(at, 1)], NOON
    )
    taken = [sent_at for _, sent_at in site.parts.reviews.stills("inc-1")]
    assert len(taken) == 12 and taken == sorted(taken)
    assert taken[0] == NOON and taken[-1] == NOON + 600
    assert set(taken) >= set(at[20:])  # the burst at the beginning doesn't take the place of what came later
    assert "12:00:00" in site.client.get("/incidents/inc-1").text.split('class="stills"')[1]


@given(st.lists(st.floats(0, 1e6)), st.integers(2, 12))
def test_whatever_the_times_the_first_and_the_last_stand_for_all_of_them(times: list[float], most: int) -> None:
    taken = spread(sorted(times), most)
    assert len(taken) == min(most, len(times)) and taken == sorted(set(taken))
    assert not times or (taken[0] == 0 and taken[-1] == len(times) - 1)


def test_the_desk_works_without_a_script(site: Any, envelope: Any) -> None:
    site.store.add_alerts([envelope(1, incident="a"), envelope(2, incident="b")], NOON)
    page = site.client.get("/review?lane=alert").text
    action, back = (
        re.search(r'action="(/incidents/\w+/verdict)"', page),
        re.search(r'name="next" value="(/review[?].*?)"', page),
    )
    assert action and back
    answer = site.client.post(action[1], data={"verdict": "true", "next": back[1]})
    assert answer.headers["location"] == "/review?lane=alert"
    assert "还剩 1 条" in site.client.get(answer.headers["location"]).text
