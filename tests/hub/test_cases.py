"""Cases: what belongs together, who sees it, what it comes to, and what it keeps."""

from __future__ import annotations

import hashlib
import io
import re
import threading
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from detector.hub.evidence.cases import CLOSED, HANDED_OVER, OPEN, CaseClosed, CaseFull, Hold, kept
from detector.hub.evidence.figures import time_line, totals
from detector.hub.storage.rights import EVERYWHERE, Role, Scope
from detector.hub.storage.schema import case_incidents, incidents, retention
from detector.hub.storage.store import Store
from detector.hub.storage.stored import StoredIncident
from detector.tools.verify import check
from tests.hub.conftest import EPOCH, NOON, Site, make_act, make_envelope, make_jpeg
from tests.hub.evidence_parts import Office

SHANGHAI = ZoneInfo("Asia/Shanghai")
MIDNIGHT = NOON - 12 * 3600


@pytest.fixture
def office(store: Store, tmp_path: Path) -> Office:
    """On either database."""
    return Office(store, tmp_path)


def stored(office: Office) -> set[str]:
    """Ids that retention must keep."""
    with office.store.database.reading() as connection:
        return set(connection.execute(kept()).scalars())


def test_a_case_holds_incidents_and_says_who_put_them_in(office: Office) -> None:
    one, two = office.incident("one"), office.incident("two")
    case = office.case(one, title="夜班")
    assert office.cases.add(case, [one, two], user="li", at=NOON + 1) == ["two"]
    case = office.found(case.number)
    assert (case.title, case.state, case.incidents) == ("夜班", OPEN, ("one", "two"))
    assert [found.number for found in office.cases.of("two")] == [case.number]
    trail = [(entry.user, entry.action, entry.details) for entry in office.audit.entries(subject=case.subject)]
    assert trail == [
        ("li", "case_added", {"incident": "two"}),
        ("wang", "case_added", {"incident": "one"}),
        ("wang", "case_opened", {}),
    ]
    assert office.audit.entries(subject="two")[0].details == {"case": case.number}


def test_an_incident_is_taken_out_and_the_trail_remembers(office: Office) -> None:
    case = office.case(office.incident("one"))
    assert office.cases.remove(case, "one", user="li", at=NOON)
    assert not office.cases.remove(case, "one", user="li", at=NOON)
    assert office.found(case.number).incidents == ()
    assert office.audit.entries(subject="one")[0].action == "case_removed"


def test_what_somebody_wrote_into_a_case_stays_when_it_is_written_anew(office: Office) -> None:
    case = office.case(office.incident())
    assert office.cases.change(case, {"note": "他戴红帽子", "people": "老王"}, user="li", at=NOON)
    was = office.found(case.number)
    assert office.cases.change(was, {"note": "没看清", "people": "", "title": was.title}, user="wang", at=NOON + 1)
    second, first = office.audit.entries(subject=case.subject)[:2]
    assert second.details == {
        "changed": ["note", "people"], "note_before": "他戴红帽子", "people_before": "老王",
    }  # fmt: skip
    assert first.details == {"changed": ["note", "people"]}, "there was nothing before"


def test_nobody_overwrites_what_they_have_not_seen(office: Office) -> None:
    case = office.case(office.incident())
    assert office.cases.change(case, {"note": "他戴红帽子"}, user="li", at=NOON)
    assert not office.cases.change(case, {"note": "mine"}, user="wang", at=NOON)
    assert office.cases.change(case, {"note": case.note}, user="wang", at=NOON)  # nothing to change
    assert office.found(case.number).note == "他戴红帽子"
    entry = office.audit.entries(subject=case.subject)[0]
    assert (entry.user, entry.details) == ("li", {"changed": ["note"]})  # what was written is not in the log


@pytest.mark.parametrize("state", [HANDED_OVER, CLOSED])
def test_incidents_neither_come_into_a_case_that_is_not_open_nor_go_out(office: Office, state: str) -> None:
    one = office.incident("one")
    case = office.case(one, state=state)
    with pytest.raises(CaseClosed):
        office.cases.add(case, [office.incident("two")], user="li", at=NOON)
    with pytest.raises(CaseClosed):
        office.cases.remove(case, "one", user="li", at=NOON)
    assert office.found(case.number).incidents == ("one",)


def test_a_case_is_never_larger_than_can_be_handled(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("detector.hub.evidence.cases.MOST_INCIDENTS", 2)
    three = [office.incident(f"inc-{n}") for n in range(3)]
    case = office.case(*three[:2])
    with pytest.raises(CaseFull):
        office.cases.add(case, three, user="li", at=NOON)
    with pytest.raises(CaseFull):
        office.cases.make("too many", three, user="li", at=NOON)
    assert len(office.found(case.number).incidents) == 2 and len(office.cases.cases()) == 1


@pytest.mark.parametrize(
    ("places", "sees"),
    [(None, True), (["shanghai"], True), (["shanghai/cam3", "shanghai/cam4"], True), (["shanghai/cam3"], False),
     (["suzhou"], False), ([], False)],
)  # fmt: skip
def test_a_case_is_seen_by_whoever_sees_all_of_its_incidents(
    office: Office, places: list[str] | None, sees: bool
) -> None:
    office.tell("two", "new")
    with office.store.database.writing() as connection:
        connection.execute(incidents.update().values(camera="cam4"))
    one, two = office.incident("one"), office.store.incident("two")
    assert two and two.camera == "cam4"
    case = office.case(one, two)
    scope = Scope.of(places)
    assert bool(office.cases.case(case.number, scope)) is sees
    assert bool(office.cases.cases(scope)) is sees
    assert bool(office.cases.of("one", scope)) is sees


def test_an_empty_case_is_seen_by_whoever_opened_it(office: Office) -> None:
    number = office.cases.make("empty", [], user="wang", at=NOON)
    suzhou = Scope.of(["suzhou"])
    assert office.cases.case(number, suzhou, "wang") and office.cases.case(number, EVERYWHERE, "li")
    assert not office.cases.case(number, suzhou, "li")
    office.cases.add(office.found(number), [office.incident()], user="li", at=NOON)
    assert not office.cases.case(number, suzhou, "wang")


def test_cases_are_listed_page_by_page_and_by_state(office: Office) -> None:
    numbers = [office.cases.make(f"n{n}", [], user="wang", at=NOON) for n in range(5)]
    office.cases.change(office.found(numbers[0]), {"state": CLOSED}, user="wang", at=NOON)
    assert [case.number for case in office.cases.cases(limit=2)] == numbers[:2:-1]
    assert [case.number for case in office.cases.cases(before=numbers[2])] == numbers[1::-1]
    assert [case.number for case in office.cases.cases(state=CLOSED)] == numbers[:1]


def test_what_cases_come_to_leaves_out_what_was_cleared(office: Office) -> None:
    one, two = office.incident("one"), office.incident("two", started_at_unix=NOON + 600)
    case, empty = office.case(one, two), office.case()
    office.store.verdicts.add("two", "li", "false", "", NOON)
    found = office.cases.sums([case.number, empty.number])
    assert found.keys() == {case.number}
    sum_ = found[case.number]
    assert (sum_.incidents, sum_.labels_low, sum_.labels_high) == (1, 3, 6)
    assert (sum_.first, sum_.last) == (NOON, one.ended_at)
    assert office.cases.sums([]) == {}


def test_the_labels_of_a_note_count_in_no_list_of_cases_until_it_is_judged_true(office: Office) -> None:
    case = office.case(office.incident("one", severity="info"))
    assert office.cases.sums([case.number])[case.number].labels_high == 0
    office.store.verdicts.add("one", "li", "true", "", NOON)
    assert office.cases.sums([case.number])[case.number].labels_high == 6


def test_a_case_of_cleared_incidents_alone_comes_to_no_day(office: Office) -> None:
    case = office.case(office.incident("one"))
    office.store.verdicts.add("one", "li", "false", "", NOON)
    sum_ = office.cases.sums([case.number])[case.number]
    assert (sum_.incidents, sum_.first, sum_.last) == (0, None, None)


# What must not be deleted


def test_a_case_keeps_its_incidents_until_it_is_closed(office: Office) -> None:
    case = office.case(office.incident("one"), title="夜班")
    assert stored(office) == {"one"}
    for state, ids in ((HANDED_OVER, {"one"}), (CLOSED, set()), (OPEN, {"one"})):
        assert office.cases.change(office.found(case.number), {"state": state}, user="wang", at=NOON)
        assert stored(office) == ids


def test_a_legal_hold_keeps_an_incident_without_a_case(office: Office) -> None:
    office.cases.hold("one", "警方要求", user="wang", at=NOON)
    office.cases.hold("one", "法院要求", user="li", at=NOON + 1)
    assert stored(office) == {"one"}
    assert office.cases.legal_hold("one") == Hold("法院要求", "li", NOON + 1)
    assert office.cases.release("one", user="li", at=NOON) and not office.cases.release("one", user="li", at=NOON)
    assert stored(office) == set() and office.cases.legal_hold("one") is None
    told = [(entry.action, entry.details) for entry in office.audit.entries(subject="one")]
    assert told == [("hold_ended", {}), ("hold", {"reason": "法院要求"}), ("hold", {"reason": "警方要求"})]


# Totals and the time line


def incident(begins: float, ends: float, name: str = "one", photos: int = 0, **changes: Any) -> StoredIncident:
    acts = [make_act(begins + n) for n in range(photos)] + [{"started_at_unix": begins, "ended_at_unix": begins}]
    record = {"acts": acts, "camera": "cam3", "facts": {}}
    fields: dict[str, Any] = {
        "id": name, "site": "shanghai", "edge": "box1", "phase": "end", "kind": "label_photography",
        "severity": "critical", "started_at": begins, "ended_at": ends, "labels_low": 1, "labels_best": 2,
        "labels_high": 4, "record": record, "announced_clips": [], "verdict": None, "snapshot": None,
        "camera": "cam3", "zone": None, "score": 0.9, "told": "alert",
    }  # fmt: skip
    return StoredIncident(**{**fields, **{k: v for k, v in changes.items() if k in fields}})


@pytest.mark.parametrize(
    ("spans", "seconds", "days"),
    [
        ([], 0, 0),
        ([(0, 60)], 60, 1),
        ([(0, 60), (30, 90)], 90, 1),
        ([(0, 60), (60, 90)], 90, 1),
        ([(0, 90), (30, 40)], 90, 1),
        ([(0, 60), (3600, 3660)], 120, 1),
        ([(0, 60), (86400, 86460)], 120, 2),
        ([(50, 40)], 0, 1),
    ],
)
def test_time_is_counted_once_where_incidents_overlap(
    spans: list[tuple[float, float]], seconds: float, days: int
) -> None:
    found = totals([incident(NOON + a, NOON + b, f"{a}-{b}", photos=2) for a, b in spans], SHANGHAI)
    assert (found.seconds, len(found.days), found.photos) == (seconds, days, 2 * len(spans))
    assert (found.labels_low, found.labels_best, found.labels_high) == tuple(n * len(spans) for n in (1, 2, 4))


def test_what_was_cleared_counts_for_nothing_but_is_told() -> None:
    found = totals([incident(NOON, NOON + 60), incident(NOON, NOON + 90, "two", verdict="authorised")], SHANGHAI)
    assert (found.incidents, found.cleared, found.seconds, found.labels_high) == (1, 1, 60, 4)


def test_photos_by_somebody_who_stayed_count_with_their_own_time() -> None:
    stay = incident(NOON, NOON + 720, photos=5)
    stay.record["findings"] = ["label_photography", "lingering"]
    first, *_, last = (act for act in stay.record["acts"] if act.get("kind") == "photo")
    assert totals([stay], SHANGHAI).seconds == last["ended_at_unix"] - first["started_at_unix"]
    stay.record["findings"] = ["label_photography"]
    assert totals([stay], SHANGHAI).seconds == 720


NOTE: dict[str, Any] = {"severity": "info"}
IN_DOUBT: dict[str, Any] = {"facts": {"photos": 3, "unsure": True}}


@pytest.mark.parametrize(
    ("changes", "verdict", "unsure", "photos", "labels"),
    [
        ({}, None, 0, 3, (3, 6)),
        ({**NOTE, **IN_DOUBT}, None, 1, 0, (0, 0)),
        ({**NOTE, **IN_DOUBT}, "unclear", 1, 0, (0, 0)),
        ({**NOTE, **IN_DOUBT}, "true", 0, 3, (3, 6)),
        (IN_DOUBT, None, 1, 0, (0, 0)),  # a warning, as it was out of hours
    ],
)
def test_of_what_is_in_doubt_neither_photos_nor_labels_count(
    office: Office, changes: dict[str, Any], verdict: str | None, unsure: int, photos: int, labels: tuple[int, int]
) -> None:
    office.incident("one", **changes)
    if verdict:
        office.store.verdicts.add("one", "li", verdict, "", NOON)
    found = totals(office.store.incidents(["one"]), SHANGHAI)
    assert (found.incidents, found.unsure, found.photos) == (1, unsure, photos)
    assert (found.labels_low, found.labels_high) == labels


def test_a_stay_is_no_photo_in_doubt() -> None:
    stay = incident(NOON, NOON + 60, kind="lingering", labels_low=0, labels_best=0, labels_high=0, **NOTE)
    assert totals([stay], SHANGHAI).unsure == 0


def test_as_many_photos_are_told_of_as_in_the_sentences(site: Site) -> None:
    acts = [make_act(NOON + 3 * n) for n in range(5)]  # two of which were fine there
    site.store.add_alerts([make_envelope(1, acts=acts, facts={"photos": 3})], NOON)
    site.store.add_alerts([make_envelope(2, incident="old", acts=acts[:2])], NOON)  # tells of no number
    site.client.post("/cases/add", data={"case": "new", "incidents": "inc-1 old"})
    page = re.sub("<[^>]+>", "", site.client.get("/cases/1").text)
    assert re.findall(r"拍照 (\d) 次", page) == ["3", "2"]
    assert re.findall(r"(\d) 次\s", page) == ["5"]


TIMES = st.lists(st.tuples(st.floats(0, 3e9), st.floats(0, 200_000)), min_size=1, max_size=8)


@given(TIMES)
def test_a_time_line_stays_within_its_width_and_leaves_nothing_out(spans: list[tuple[float, float]]) -> None:
    drawn = [incident(begins, begins + length, str(n), 3) for n, (begins, length) in enumerate(spans)]
    line = time_line(drawn, SHANGHAI)
    assert {span.incident.id for day in line.days for span in day.spans} == {one.id for one in drawn}
    for day in line.days:
        for span in day.spans:
            assert span.left >= -1e-6 and span.width >= 0 and span.left + span.width <= 100 + 1e-6
            assert all(-1e-6 <= tick <= 100 + 1e-6 for tick in span.ticks)
    assert 1 <= len(line.hours) <= 8 and [day.date for day in line.days] == sorted(day.date for day in line.days)


def test_an_incident_over_midnight_is_on_both_days() -> None:
    line = time_line([incident(MIDNIGHT - 600, MIDNIGHT + 1200)], SHANGHAI)
    (first,), (second,) = (day.spans for day in line.days)
    assert first.left + first.width == pytest.approx(100) and second.left == pytest.approx(0)
    assert time_line([], SHANGHAI).days == ()


@pytest.mark.parametrize(("day", "hour"), [("2026-03-29", 10), ("2026-10-25", 10), ("2026-10-26", 3)])
def test_a_time_line_has_the_hours_of_the_wall_also_where_clocks_were_changed(day: str, hour: int) -> None:
    berlin = ZoneInfo("Europe/Berlin")
    begins = datetime.fromisoformat(f"{day}T{hour:02}:00").replace(tzinfo=berlin).timestamp()
    line = time_line([incident(begins, begins + 3600, photos=1)], berlin)
    assert [on_scale for on_scale, _ in line.hours] == [hour, hour + 1]
    ((span,),) = (day.spans for day in line.days)
    assert (span.left, span.width) == (pytest.approx(0), pytest.approx(100)) and len(span.ticks) == 1


def in_rows(begins: float, ends: float, zone: str) -> list[tuple[str, float, float, int]]:
    """An incident with a photo as a time line has it: zone, hours on the wall and ticks of each row."""
    line = time_line([incident(begins, ends, photos=1)], ZoneInfo(zone))
    (first, _), *_, (last, full) = line.hours

    def hour(place: float) -> float:
        return round(first + (last - first) * place / full, 3)

    return [(d.zone, hour(s.left), hour(s.left + s.width), len(s.ticks)) for d in line.days for s in d.spans]


def test_before_and_after_a_clock_is_put_back_are_two_rows_of_a_time_line() -> None:
    twice = datetime(2026, 10, 25, 2, 45, tzinfo=ZoneInfo("Europe/Berlin")).timestamp()
    assert in_rows(twice, twice + 900, "Europe/Berlin") == [("CEST", 2.75, 3.0, 1)]
    assert in_rows(twice + 3600, twice + 4500, "Europe/Berlin") == [("CET", 2.75, 3.0, 1)]
    # To a quarter past two, and on for the rest of the day
    assert in_rows(twice, twice + 1800, "Europe/Berlin") == [("CEST", 2.75, 3.0, 1), ("CET", 2.0, 2.25, 0)]
    until_midnight = twice + 900 + 22 * 3600
    assert in_rows(twice, until_midnight, "Europe/Berlin") == [("CEST", 2.75, 3.0, 1), ("CET", 2.0, 24.0, 0)]
    new_york = datetime(2026, 11, 1, 1, 30, tzinfo=ZoneInfo("America/New_York")).timestamp()
    assert in_rows(new_york + 3600, new_york + 7200, "America/New_York") == [("EST", 1.5, 2.5, 1)]


def test_a_clock_that_is_put_back_at_midnight_or_by_half_an_hour_makes_two_rows_as_well() -> None:
    late = datetime(2026, 4, 4, 23, 30, tzinfo=ZoneInfo("America/Santiago")).timestamp()
    assert in_rows(late, late + 5400, "America/Santiago") == [("-03", 23.5, 24.0, 1), ("-04", 23.0, 24.0, 0)]
    twice = datetime(2026, 4, 5, 1, 45, tzinfo=ZoneInfo("Australia/Lord_Howe")).timestamp()
    assert in_rows(twice, twice + 1800, "Australia/Lord_Howe") == [("+11", 1.75, 2.0, 1), ("+1030", 1.5, 1.75, 0)]


def test_a_case_says_which_of_two_hours_its_rows_are_of(tmp_path: Path) -> None:
    site = Site(tmp_path, timezone="Europe/Berlin")
    twice = datetime(2026, 10, 25, 2, 30, tzinfo=ZoneInfo("Europe/Berlin")).timestamp()
    for n, at in enumerate((twice, twice + 3600, twice - 86400), 1):
        site.store.add_alerts([make_envelope(n, incident=f"inc-{n}", started_at_unix=at)], at)
    site.client.post("/cases/add", data={"case": "new", "incidents": "inc-1 inc-2 inc-3"})
    rows = re.findall(r'<li><time datetime="([^"]+)">.*?</span>([^\n]*)</time>', site.client.get("/cases/1").text)
    words = [re.sub("<[^>]+>", "", row[1]) for row in rows]
    assert words == ["10-24", "10-25 CEST", "10-25 CET"]


# The pages


def tell(at: Site, name: str = "inc-1", seq: int = 1, **changes: Any) -> None:
    at.store.add_alerts([make_envelope(seq, incident=name, snapshot=make_jpeg(), epoch=EPOCH, **changes)], NOON)


@pytest.fixture
def guard(site: Site) -> Iterator[Any]:
    """A reviewer who sees one camera, in which there is one incident."""
    tell(site)
    yield site.somebody(Role.REVIEWER, ["shanghai/cam3"])


def opened(client: Any, **fields: str) -> str:
    answer = client.post("/cases/add", data={"case": "new", **fields})
    assert answer.status_code == 303
    return str(answer.headers["location"])


def test_a_guard_opens_a_case_from_an_incident_and_writes_what_happened(site: Site, guard: Any) -> None:
    page = opened(guard, incidents="inc-1")
    text = guard.get(page).text
    assert "2026-11-01 东区 3 号机" in text and "3–6 张" in text and "inc-1" in text
    assert "案件 1 号" in guard.get("/cases").text
    saved = guard.post(
        page, data={"version": "1", "title": "夜班", "people": "红帽子", "note": "一\r\n二", "state": "handed_over"}
    )
    assert saved.status_code == 303
    text = guard.get(page).text
    assert "红帽子" in text and "已移交" in text and "一\n二" in text and "状态 → 已移交" in text
    assert "案件 1 号" in guard.get("/incidents/inc-1").text


def test_who_did_what_is_told_with_its_year_where_that_is_another(site: Site) -> None:
    tell(site)
    page = opened(site.client, incidents="inc-1")
    for at, day in ((NOON, "11-01"), (NOON + 70 * 86400, "2026-11-01")):
        site.clock.at = at
        owner = site.somebody(Role.OWNER)
        trail = owner.get(page).text.partition('class="case-trail"')[2]
        deeds = owner.get("/incidents/inc-1").text.partition('<ol class="trail">')[2]
        assert f">{day} 12:00:00</time>" in trail
        assert re.search(rf">\s*{day} 12:00:00\s*</time>", deeds)
        assert re.search(rf"<time>{day if at > NOON else ''} ?12:00</time>", owner.get("/review/queue").text)


def test_the_list_shows_no_day_of_a_case_whose_incidents_were_all_cleared(site: Site, guard: Any) -> None:
    opened(guard, incidents="inc-1", title="夜班")
    assert "2026-11-01" in guard.get("/cases").text
    site.store.verdicts.add("inc-1", "owner", "false", "", NOON)
    answer = guard.get("/cases")
    assert answer.status_code == 200 and "2026-11-01" not in answer.text


def test_incidents_are_named_by_id_or_address(site: Site, guard: Any) -> None:
    tell(site, "inc-2", 2)
    page = opened(guard, incidents=" inc-1\nhttp://hub.test/incidents/inc-2?x=1#top  inc-1 ", title="two")
    assert guard.get(page).text.count('href="/incidents/inc-2"') >= 1
    case = site.app.app.state.parts.cases.case(1)
    assert set(case.incidents) == {"inc-1", "inc-2"}


def test_the_list_offers_open_cases_for_an_incident(site: Site, guard: Any) -> None:
    opened(guard, title="第一案")
    page = guard.get("/cases?incident=inc-1").text
    assert "放入这个案件" in page and "第一案" in page
    assert guard.post("/cases/add", data={"incidents": "inc-1", "case": "1"}).headers["location"] == "/cases/1"
    assert "已在这个案件里" in guard.get("/cases?incident=inc-1").text


def test_who_was_slower_keeps_their_words_and_is_asked_again(site: Site, guard: Any) -> None:
    page = opened(guard, incidents="inc-1")
    assert site.client.post(page, data={"version": "1", "note": "owner's"}).status_code == 303
    answer = guard.post(page, data={"version": "1", "note": "guard's own words"})
    assert answer.status_code == 409 and "guard's own words" in answer.text.replace("&#39;", "'")
    assert "owner 刚刚改过这个案件" in answer.text
    version = re.search(r'name="version" value="(\d+)"', answer.text)
    assert version
    assert guard.post(page, data={"version": version[1], "note": "guard's own words"}).status_code == 303


def test_a_closed_case_says_so(site: Site, guard: Any) -> None:
    page = opened(guard, incidents="inc-1")
    guard.post(page, data={"version": "1", "state": "closed"})
    for path, fields in (
        ("/cases/add", {"incidents": "inc-1", "case": "1"}),
        (f"{page}/remove", {"incident": "inc-1"}),
    ):
        answer = guard.post(path, data=fields)
        assert answer.status_code == 409 and "案件不在处理中" in answer.text
    assert "不再受保护" in guard.get(page).text and "移出" not in guard.get(page).text


def test_a_viewer_reads_and_changes_nothing(site: Site, guard: Any) -> None:
    page = opened(guard, incidents="inc-1", title="夜班")
    viewer = site.somebody(Role.VIEWER, ["shanghai"])
    text = viewer.get(page).text
    assert "夜班" in text and "<textarea" not in text and "制作证据包" not in text
    posts = ("/cases/add", page, f"{page}/remove", f"{page}/pack", f"{page}/packs/1/remove", "/incidents/inc-1/hold")
    assert [viewer.post(path, data={}).status_code for path in posts] == [403] * len(posts)
    assert viewer.get(f"{page}/packs/1").status_code == 403
    assert site.somebody(Role.ADMIN).post(f"{page}/pack").status_code == 403


def test_the_former_words_of_a_case_stand_in_its_trail_and_in_the_audit_log(site: Site, guard: Any) -> None:
    page = opened(guard, incidents="inc-1")
    guard.post(page, data={"version": "1", "note": "他戴<红>帽子"})
    assert "原经过" not in guard.get(page).text
    guard.post(page, data={"version": "2", "note": "没看清"})
    text = guard.get(page).text
    assert "没看清" in text and "原经过" in text and "他戴&lt;红&gt;帽子" in text
    audit = site.client.get("/audit?action=case_changed").text
    assert "原经过" in audit and "他戴&lt;红&gt;帽子" in audit


@pytest.mark.parametrize(("role", "reads"), [(Role.VIEWER, False), (Role.REVIEWER, True), (Role.ADMIN, True)])
def test_who_did_what_to_a_case_is_told_to_who_works_on_it_or_reads_the_audit_log(
    site: Site, guard: Any, role: Role, reads: bool
) -> None:
    page = opened(guard, incidents="inc-1")
    text = site.somebody(role, ["shanghai"], "somebody").get(page).text
    assert ("经手记录" in text) == ("放入告警" in text) == reads


def test_what_is_elsewhere_is_not_there(site: Site, guard: Any) -> None:
    page = opened(guard, incidents="inc-1", title="东门案")
    other = site.somebody(Role.REVIEWER, ["suzhou"], "other")
    assert "东门案" not in other.get("/cases").text
    assert other.get(page).status_code == 404 and other.get("/cases?incident=inc-1").status_code == 404
    for path, fields in (
        ("/cases/add", {"incidents": "inc-1", "case": "new"}),
        ("/cases/add", {"incidents": "", "case": "1"}),
        (page, {"version": "1", "note": "x"}),
        (f"{page}/remove", {"incident": "inc-1"}),
        (f"{page}/pack", {}),
        ("/incidents/inc-1/hold", {"hold": "1"}),
    ):
        assert other.post(path, data=fields).status_code == 404, path
    assert other.get(f"{page}/packs").status_code == 404


def test_a_guard_cannot_draw_in_what_they_do_not_see(site: Site, guard: Any) -> None:
    tell(site, "hidden", 2, site="suzhou", edge="box9")
    page = opened(guard, incidents="inc-1")
    assert guard.post("/cases/add", data={"incidents": "inc-1 hidden", "case": "1"}).status_code == 404
    assert site.client.post("/cases/add", data={"incidents": "hidden", "case": "1"}).status_code == 303
    assert guard.get(page).status_code == 404 and "案件 1 号" not in guard.get("/incidents/inc-1").text


def test_a_list_with_one_that_is_unknown_is_there_again_to_be_put_right(site: Site, guard: Any) -> None:
    tell(site, "inc-2", 2)
    page = opened(guard, incidents="inc-1")
    answer = guard.post("/cases/add", data={"incidents": "inc-2\r\ninc-x <b>", "case": "1"})
    assert answer.status_code == 404
    assert "inc-2\r\ninc-x &lt;b&gt;</textarea>" in answer.text and "有 2 个编号找不到" in answer.text
    assert "/incidents/inc-2" not in guard.get(page).text


BAD = [
    ("GET", "/cases/0", {}), ("GET", "/cases/-1", {}), ("GET", "/cases/99999999999999999999", {}),
    ("GET", "/cases/x", {}), ("GET", "/cases/7", {}), ("GET", "/cases/7/packs", {}), ("GET", "/cases/1/packs/7", {}),
    ("GET", "/cases/1/packs/..%2f..%2fevidence.key", {}), ("POST", "/cases/7", {}), ("POST", "/cases/1/remove", {}),
    ("POST", "/cases/1/remove", {"incident": "nobody"}), ("POST", "/cases/1/packs/7/remove", {}),
    ("POST", "/cases/add", {"incidents": "nobody", "case": "new"}), ("POST", "/cases/add", {"case": "0"}),
    ("POST", "/cases/add", {"case": "9" * 30}), ("POST", "/cases/add", {"case": "x"}),
    ("POST", "/incidents/nobody/hold", {"hold": "1"}), ("GET", "/cases?incident=nobody", {}),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path", "fields"), BAD)
def test_what_is_not_there_is_one_clear_answer(
    site: Site, guard: Any, method: str, path: str, fields: dict[str, str]
) -> None:
    opened(guard, incidents="inc-1")
    assert guard.request(method, path, data=fields or None).status_code in (404, 405)


def test_odd_input_is_cleaned_or_refused(site: Site, guard: Any) -> None:
    page = opened(guard, title="  a\x07b\u202e" + "长" * 500)
    assert guard.get(page).status_code == 200
    case = site.app.app.state.parts.cases.case(1)
    assert case.title.startswith("ab长") and len(case.title) == 100
    fields = {"version": "1", "title": "", "note": "n" * 5000, "state": "burnt", "case": "x"}
    assert guard.post(page, data=fields).status_code == 303
    case = site.app.app.state.parts.cases.case(1)
    assert (len(case.title), len(case.note), case.state) == (100, 1000, "open")
    assert guard.post(page, data={"version": "2", "note": "a\0b"}).status_code == 400
    assert guard.post("/cases/add", data={"incidents": "x" * 40_000}).status_code == 413
    for odd in ("?before=x", "?before=-1", "?before=99999999999", "?state=burnt"):
        assert guard.get(f"/cases{odd}").status_code == 200, odd
    assert guard.get("/cases?state=%00").status_code == 400


def test_a_case_of_what_was_deleted_still_opens(site: Site, guard: Any) -> None:
    page = opened(guard, incidents="inc-1")
    with site.store.database.writing() as connection:
        row = dict(connection.execute(select(case_incidents)).one()._mapping)
        connection.execute(case_incidents.insert(), {**row, "incident": "gone-long-ago"})
    assert "gone-long-ago" in guard.get(page).text


def test_a_pack_that_its_maker_would_not_see_is_not_made(site: Site) -> None:
    for seq, camera in ((2, "cam3"), (3, "cam4")):
        told = make_envelope(seq, incident=camera, camera=camera, spot="cage")
        told["after"]["camera"] = camera
        site.store.add_alerts([told], NOON)
    near = site.somebody(Role.REVIEWER, ["shanghai/cam3"], "near")
    page = opened(near, incidents="cam3")
    refused = near.post(f"{page}/pack")
    assert refused.status_code == 403 and "别的摄像机也拍到了" in refused.text
    both = site.somebody(Role.REVIEWER, ["shanghai/cam3", "shanghai/cam4"], "both")
    assert both.get(f"{page}/packs/1").status_code == 404
    assert both.post(f"{page}/pack").status_code == 303
    site.app.app.state.parts.packs.wait()
    assert both.get(f"{page}/packs/1").status_code == 200 and near.get(f"{page}/packs/1").status_code == 404


def test_a_pack_is_asked_for_watched_downloaded_and_deleted(site: Site, guard: Any, mp4: bytes) -> None:
    assert site.client.put("/api/clips/inc-1/0", content=mp4, headers=site.claim(mp4)).status_code == 201
    page = opened(guard, incidents="inc-1")
    assert guard.post(f"{page}/pack").status_code == 303
    site.app.app.state.parts.packs.wait()
    shown = guard.get(f"{page}/packs", headers={"HX-Request": "true"}).text
    sha256 = re.search(r"<code>([0-9a-f]{64})</code>", shown)
    assert "已完成" in shown and sha256 and "hx-trigger" not in shown and "<html" not in shown
    answer = guard.get(f"{page}/packs/1")
    assert answer.headers["content-disposition"] == 'attachment; filename="labelwatch-case-1-pack-1.zip"'
    assert "no-store" in answer.headers["cache-control"]
    assert hashlib.sha256(answer.content).hexdigest() == sha256[1] and mp4 in answer.content
    # The envelopes of these tests carry no signature, and that is all that doesn't hold.
    assert {one.what for one in check(io.BytesIO(answer.content)).broken} >= {"envelope_broken"}
    assert "下载证据包 1" in guard.get(page).text
    assert guard.post(f"{page}/packs/1/remove").status_code == 303
    assert guard.get(f"{page}/packs/1").status_code == 404 and "删除证据包 1" in guard.get(page).text


def test_who_makes_a_pack_is_told_that_recordings_are_still_to_come_or_lost(site: Site, guard: Any, mp4: bytes) -> None:
    lacks, page = "1 起告警的录像不全", opened(guard, incidents="inc-1")
    assert lacks in guard.get(page).text  # it goes on, and has announced none
    announced = [{"segment": n, "sha256": hashlib.sha256(mp4).hexdigest(), "bytes": len(mp4)} for n in range(2)]
    site.store.add_alerts([make_envelope(9, phase="end", clips=announced)], NOON)
    for segment in range(2):
        assert lacks in guard.get(f"{page}/packs", headers={"HX-Request": "true"}).text
        claim = site.claim(mp4, segment=segment)
        assert site.client.put(f"/api/clips/inc-1/{segment}", content=mp4, headers=claim).status_code == 201
    assert lacks not in guard.get(page).text
    lost = site.app.app.state.parts.clips.find("inc-1", 1)
    lost.unlink()
    assert lacks in guard.get(page).text


def test_nobody_is_told_to_wait_for_recordings_that_were_deleted(site: Site, guard: Any) -> None:
    page = opened(guard, incidents="inc-1")
    gone = {"incident": "inc-1", "announced_at": NOON, "deleted_at": NOON, "why": "age", "rule": "note", "bytes": 1}
    with site.store.database.writing() as connection:
        connection.execute(retention.insert(), gone)
    assert "录像不全" not in guard.get(page).text


@pytest.mark.parametrize(
    ("path", "fields", "older"),
    [
        ("/cases/add", {"case": "1", "incidents": "inc-2"}, True),
        ("/cases/1/remove", {"incident": "inc-1"}, True),
        ("/cases/1", {"version": "1", "note": "红帽子"}, True),
        ("/incidents/inc-1/verdict", {"verdict": "true"}, True),
        ("/cases/1", {"version": "1", "state": "handed_over"}, False),
        ("/incidents/inc-2/verdict", {"verdict": "true"}, False),
    ],
)
def test_a_pack_is_said_to_be_older_than_what_people_did_to_its_case_since(
    site: Site, guard: Any, path: str, fields: dict[str, str], older: bool
) -> None:
    tell(site, "inc-2", 2)
    packed(site, guard)
    assert "比案件旧" not in guard.get("/cases/1").text
    assert guard.post(path, data=fields).status_code == 303
    assert ("比案件旧" in guard.get("/cases/1/packs").text) is older


def test_a_pack_is_said_to_be_older_than_a_recording_that_came_since(site: Site, guard: Any, mp4: bytes) -> None:
    packed(site, guard)
    assert site.client.put("/api/clips/inc-1/0", content=mp4, headers=site.claim(mp4)).status_code == 201
    assert "比案件旧" in guard.get("/cases/1").text


def packed(site: Site, guard: Any) -> None:
    """A case with a pack, a second ago."""
    page = opened(guard, incidents="inc-1")
    site.clock.sleep(1)
    assert guard.post(f"{page}/pack").status_code == 303
    site.app.app.state.parts.packs.wait()
    site.clock.sleep(1)


def test_a_pack_being_made_is_asked_after_every_second(site: Site, guard: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    go_on = threading.Event()
    monkeypatch.setattr("detector.hub.evidence.packs.write_pack", lambda *_args, **_kwargs: go_on.wait(10) and None)
    page = opened(guard, incidents="inc-1")
    assert guard.post(f"{page}/pack").status_code == 303
    shown = guard.get(f"{page}/packs").text
    go_on.set()
    site.app.app.state.parts.packs.wait()
    assert 'hx-trigger="every 1s"' in shown and "<progress" in shown and "请等它完成" in shown


def test_an_incident_is_kept_for_good_and_let_go(site: Site, guard: Any) -> None:
    assert "录像不会按期删除" in guard.get("/incidents/inc-1").text  # what the button does
    assert guard.post("/incidents/inc-1/hold", data={"hold": "1", "reason": "法院来函"}).status_code == 303
    assert "法院来函" in guard.get("/incidents/inc-1").text
    assert guard.post("/incidents/inc-1/hold", data={"hold": "0"}).status_code == 303
    assert "法院来函" not in guard.get("/incidents/inc-1").text


def test_nobody_but_an_owner_ends_or_takes_over_the_hold_of_somebody_else(site: Site, guard: Any) -> None:
    tell(site, "inc-2", 2)
    page, owner = "/incidents/inc-1/hold", site.login["user"]
    assert site.client.post(page, data={"hold": "1", "reason": "法院来函"}).status_code == 303
    assert 'name="hold"' not in guard.get("/incidents/inc-1").text
    for fields in ({"hold": "0"}, {"hold": "1", "reason": "没什么"}):
        assert guard.post(page, data=fields).status_code == 403
        held = site.parts.cases.legal_hold("inc-1")
        assert held and (held.user, held.reason) == (owner, "法院来函")
    assert guard.post(page.replace("inc-1", "inc-2"), data={"hold": "1"}).status_code == 303
    assert site.client.post(page.replace("inc-1", "inc-2"), data={"hold": "0"}).status_code == 303
    assert site.parts.cases.legal_hold("inc-2") is None


def test_where_there_are_no_cases_only_those_are_told_to_make_some_who_may(site: Site, guard: Any) -> None:
    assert "在告警页或“复核”里把告警放入案件" in guard.get("/cases").text
    page = site.somebody(Role.VIEWER, ["shanghai"]).get("/cases").text
    assert "还没有案件" in page and "放入案件" not in page


def test_the_pages_are_in_english_too(site: Site, guard: Any) -> None:
    page = opened(guard, incidents="inc-1")
    guard.cookies.set("language", "en")
    for path in ("/cases", page, "/cases?incident=inc-1"):
        text = guard.get(path).text
        assert not re.search("[\u4e00-\u9fff]", re.sub("中文|东区 3 号机", "", text)), path
