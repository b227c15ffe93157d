"""Walk tests: labels photographed on purpose, and what the hub says that it heard of them."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.hub.desk.walk_tests import LONGEST_S, REST_S, SETTLE_S, WalkTest, tally
from detector.hub.storage.rights import Role
from detector.hub.upkeep.clock_ahead import bring_back
from tests.hub.conftest import Site, make_envelope

PAGE = "/cameras/shanghai/box1/cam3/tests"
PLACE = ("shanghai", "box1", "cam3")


class Hall:
    """A hub with one camera, in front of which somebody tries."""

    def __init__(self, site: Site) -> None:
        self.site, self.seq = site, 0
        site.client.cookies.set("language", "en")
        self.hear()

    def hear(self, **health: Any) -> None:
        """The camera's box says how it is."""
        now, fields = self.site.clock.now(), {"cameras": {"cam3": {"age_s": 1.0, "fps": 5.0}}, **health}
        self.site.parts.health.report("shanghai", "box1", {**fields, "at_unix": now}, now)
        self.site.store.edges.set_health("shanghai", "box1", fields, now)

    def wait(self, seconds: float) -> None:
        """Time passes; the box goes on saying how it is."""
        self.site.clock.sleep(seconds)
        self.hear()

    def page(self) -> str:
        """As the owner sees it."""
        answer = self.site.client.get(PAGE)
        assert answer.status_code == 200
        return " ".join(answer.text.split())

    def do(self, what: str, **fields: Any) -> int:
        """What becomes of pressing a button of the page as it is now."""
        found = re.search(r'name="test" value="([0-9]+)"', self.page())
        fields |= {"test": found[1]} if found and "test" not in fields else {}
        return int(self.site.client.post(PAGE, data={"do": what, **fields}).status_code)

    def walk(self, parcels: int = 4, long_s: float = 20.0) -> None:
        """One whole test, once the one before has rested."""
        self.wait(REST_S)
        assert self.do("begin") == 303
        self.wait(long_s)
        assert self.do("end", parcels=parcels) == 303

    def tell(self, severity: str = "warning", *, ago_s: float = 10.0, camera: str = "cam3", **changes: Any) -> str:
        """An incident that began a moment ago, told now."""
        self.seq += 1
        now, name = self.site.clock.now(), f"inc-{self.seq}"
        fields = make_envelope(self.seq, incident=name, started_at_unix=now - ago_s, severity=severity, **changes)
        fields["after"]["camera"] = camera
        self.site.store.add_alerts([fields], now)
        return name

    def last(self) -> WalkTest:
        """The latest that is over."""
        return self.site.parts.walk_tests.of(*PLACE, self.site.clock.now())[0]


@pytest.fixture
def hall(site: Site) -> Hall:
    return Hall(site)


def test_a_form_of_another_test_ends_none(hall: Hall) -> None:
    hall.do("begin")
    old = hall.site.parts.walk_tests.going_on(*PLACE, hall.site.clock.now())
    assert old is not None
    hall.wait(20)
    hall.do("end", parcels=2)
    hall.wait(REST_S)
    hall.do("begin")
    for parcels in (0, 12):
        assert hall.do("end", parcels=parcels, test=str(old.number)) == 303
    going = hall.site.parts.walk_tests.going_on(*PLACE, hall.site.clock.now())
    assert going is not None and going.number != old.number
    assert hall.do("end", parcels=3) == 303 and hall.last().parcels == 3


def test_what_is_photographed_and_told_is_found_with_its_delay(hall: Hall) -> None:
    hall.walk()
    hall.wait(5)
    incident = hall.tell()
    test = hall.last()
    assert (test.found, test.incident, test.after_s, test.parcels) == ("alert", incident, 25.0, 4)
    page = hall.page()
    assert "Came as an alert" in page and f"/incidents/{incident}" in page and "1 of 1 tests came as an alert" in page
    assert "hx-trigger" not in page.partition('id="found"')[2].partition(">")[0]


@pytest.mark.parametrize(
    ("told", "found"),
    [
        ({}, "alert"),
        ({"severity": "info"}, "digest"),
        ({"kind": "lingering"}, "none"),
        ({"camera": "cam4"}, "none"),
        ({"edge": "box2"}, "none"),
        ({"ago_s": 30.0, "ended_at_unix": 0.0}, "none"),
        ({"ago_s": 30.0}, "joined"),
        ({"ago_s": 30.0, "kind": "lingering"}, "none"),
    ],
    ids=["alert", "note", "another kind", "another camera", "another box", "over before", "goes on", "lingers on"],
)
def test_only_what_the_camera_told_of_it_counts(hall: Hall, told: dict[str, Any], found: str) -> None:
    hall.walk()
    hall.tell(**told)
    hall.wait(SETTLE_S)
    assert hall.last().found == found


def test_what_falls_into_an_alert_of_before_counts_for_nothing(hall: Hall) -> None:
    hall.walk()
    hall.tell(ago_s=30)
    hall.wait(SETTLE_S)
    assert hall.last().found == "joined" and hall.last().incident is None
    assert tally([hall.last()]).tests == 0
    assert "An alert of before went on" in hall.page()


def test_an_alert_of_its_own_counts_beside_one_of_before(hall: Hall) -> None:
    hall.walk()
    hall.tell(ago_s=30)
    assert hall.last().found == "joined"
    own = hall.tell(ago_s=10)
    assert (hall.last().found, hall.last().incident) == ("alert", own)


def test_a_note_that_grows_to_an_alert_counts_as_one(hall: Hall) -> None:
    hall.walk()
    name = hall.tell("info", ago_s=10)
    assert hall.last().found == "digest"
    began = hall.site.clock.now() - 10
    hall.seq += 1
    fields = make_envelope(hall.seq, incident=name, started_at_unix=began, severity="warning", phase="update")
    hall.site.store.add_alerts([fields], hall.site.clock.now() + 1)
    assert hall.last().found == "alert"


def test_what_was_found_stays_when_the_incident_is_gone(hall: Hall) -> None:
    hall.walk()
    hall.tell("info")
    assert hall.last().found == "digest"
    with hall.site.store.database.writing() as connection:
        connection.exec_driver_sql("DELETE FROM alerts")
        connection.exec_driver_sql("DELETE FROM incidents")
    hall.wait(SETTLE_S)
    assert hall.last().found == "digest"
    assert "/incidents/" not in hall.page()


def test_an_incident_after_the_result_is_settled_changes_nothing(hall: Hall) -> None:
    hall.walk()
    hall.wait(SETTLE_S)
    assert hall.last().is_settled
    hall.tell(ago_s=SETTLE_S)
    assert hall.last().found == "none"


def test_what_another_camera_of_the_spot_told_counts_too(hall: Hall) -> None:
    hall.walk()
    shown = make_envelope(90, incident="shown", started_at_unix=hall.site.clock.now() - 10, spot="cage")
    shown["after"]["camera"] = "cam4"
    hall.site.store.add_alerts([shown], hall.site.clock.now())
    hall.tell("info", spot="cage")
    assert hall.last().found == "alert"


def test_the_clock_of_the_box_may_be_off(hall: Hall) -> None:
    hall.walk()
    now = hall.site.clock.now()
    hall.site.parts.health.report("shanghai", "box1", {"cameras": {}, "at_unix": now + 300}, now)
    hall.tell(ago_s=-290)
    assert hall.last().found == "alert"


def test_a_camera_that_was_not_watched_says_nothing_of_how_well_it_sees(hall: Hall) -> None:
    hall.site.clock.sleep(REST_S)
    hall.hear()
    hall.do("begin")
    hall.site.parts.health.status("shanghai", "box1", "offline", hall.site.clock.now() + 5)
    hall.site.clock.sleep(20)
    hall.do("end", parcels=3)
    hall.site.clock.sleep(SETTLE_S)
    assert hall.last().found == "unwatched"
    assert tally([hall.last()]).tests == 0
    assert "Not watched then" in hall.page()


def test_a_test_is_taken_back_when_nothing_was_photographed(hall: Hall) -> None:
    hall.do("begin")
    assert "goes on since" in hall.page()
    hall.do("end", parcels=0)
    assert "No walk tests yet." in hall.page() and "Begin a walk test" in hall.page()


def test_one_goes_on_at_a_time_and_the_next_waits_until_it_is_another_incident(hall: Hall) -> None:
    hall.do("begin")
    began = hall.site.parts.walk_tests.going_on(*PLACE, hall.site.clock.now())
    hall.wait(10)
    hall.do("begin")
    assert hall.site.parts.walk_tests.going_on(*PLACE, hall.site.clock.now()) == began
    hall.do("end", parcels=2)
    hall.do("begin")
    assert "The next one can begin at" in hall.page()
    hall.wait(REST_S)
    hall.do("begin")
    assert "goes on since" in hall.page()


def test_one_that_nobody_ended_does_not_count(hall: Hall) -> None:
    hall.do("begin")
    hall.wait(LONGEST_S + 1)
    assert "No walk tests yet." in hall.page()
    hall.do("end", parcels=3)
    assert "No walk tests yet." in hall.page()
    assert hall.do("begin") == 303
    assert "goes on since" in hall.page()


def test_one_by_a_clock_that_was_ahead_says_nothing_and_keeps_no_other_from_beginning(hall: Hall) -> None:
    hall.wait(8 * 3600.0)
    hall.walk()
    hall.site.clock.at -= 8 * 3600.0
    bring_back(hall.site.store.database, hall.site.clock.now())
    hall.hear()
    assert hall.last().found == "unwatched"
    assert hall.do("begin") == 303
    hall.wait(20)
    hall.tell()
    assert hall.do("end", parcels=4) == 303
    assert [test.found for test in hall.site.parts.walk_tests.of(*PLACE, hall.site.clock.now())] == [
        "alert", "unwatched",
    ]  # fmt: skip


def test_what_a_clock_that_was_ahead_saw_missed_stays_missed(hall: Hall) -> None:
    hall.wait(8 * 3600.0)
    hall.walk()
    hall.wait(SETTLE_S)
    assert hall.last().found == "none"
    hall.site.clock.at -= 8 * 3600.0
    bring_back(hall.site.store.database, hall.site.clock.now())
    assert hall.last().found == "none"


def test_while_the_camera_is_not_seen_none_can_begin(hall: Hall) -> None:
    hall.site.clock.sleep(3600)
    page = hall.page()
    assert "Begin a walk test" not in page and "No word from the edge box. A walk test says nothing now." in page


@pytest.mark.parametrize("parcels", ["", "-1", "1.5", "201", "9" * 30, "４", "four", "1e2", "4\n"])
def test_what_is_no_number_of_parcels_is_refused_and_the_test_goes_on(hall: Hall, parcels: str) -> None:
    hall.do("begin")
    assert hall.do("end", parcels=parcels) == 400
    assert "goes on since" in hall.page()


def test_what_is_no_button_and_what_is_no_camera_is_refused(hall: Hall) -> None:
    assert hall.do("dance") == 400
    assert hall.site.client.get(PAGE.replace("cam3", "cam9")).status_code == 404
    assert hall.site.client.post(PAGE.replace("cam3", "cam9"), data={"do": "begin"}).status_code == 404


def test_who_does_what_is_on_record(hall: Hall) -> None:
    hall.walk(parcels=6)
    hall.wait(REST_S)
    hall.do("begin")
    hall.do("end", parcels=0)
    told = [(one.action, one.subject, one.details) for one in hall.site.parts.audit.entries(limit=4)]
    place = "shanghai/cam3"
    assert told == [
        ("walk_test_taken_back", place, {"parcels": 0}),
        ("walk_test_begun", place, {}),
        ("walk_test_ended", place, {"parcels": 6}),
        ("walk_test_begun", place, {}),
    ]


def test_the_incident_says_so_once_the_test_is_over_and_no_sooner(hall: Hall) -> None:
    hall.do("begin")
    hall.wait(20)
    name = hall.tell()
    guard = hall.site.somebody(Role.REVIEWER)
    guard.cookies.set("language", "en")
    assert "Walk test" not in guard.get(f"/incidents/{name}").text
    hall.do("end", parcels=4)
    assert "Walk test at this camera" in guard.get(f"/incidents/{name}").text
    assert "Walk test" not in guard.get("/cameras").text
    assert "Walk test" in hall.site.client.get("/cameras").text


def test_it_shows_whether_a_guard_looked_at_the_alert(hall: Hall) -> None:
    hall.walk()
    name = hall.tell()
    assert "nobody judged it yet" in hall.page()
    hall.site.store.verdicts.add(name, "guard", "true", "", hall.site.clock.now())
    page = hall.page()
    assert "nobody judged it yet" not in page and 'class="verdict true"' in page


def walk_test(number: int, found: str) -> WalkTest:
    return WalkTest(number, *PLACE, "owner", 0.0, 10.0, 3, found, None, None, 10.0 + SETTLE_S, None)


@given(st.lists(st.sampled_from(["alert", "digest", "none", "joined", "unwatched"]), max_size=40))
def test_the_interval_holds_the_share_and_narrows_with_more_tests(found: list[str]) -> None:
    one = tally([walk_test(n, each) for n, each in enumerate(found)])
    assert one.tests == len([each for each in found if each not in ("unwatched", "joined")])
    assert one.alerts == found.count("alert")
    assert 0 <= one.low <= one.high <= 1
    if one.tests:
        assert one.low <= one.alerts / one.tests <= one.high
        twice = tally([walk_test(n, each) for n, each in enumerate(2 * found)])
        assert twice.high - twice.low < one.high - one.low


@pytest.mark.parametrize(
    ("alerts", "tests", "low", "high"), [(4, 6, 0.223, 0.957), (0, 5, 0.0, 0.522), (10, 10, 0.692, 1.0)]
)
def test_the_interval_is_that_of_clopper_and_pearson(alerts: int, tests: int, low: float, high: float) -> None:
    found = tally([walk_test(n, "alert" if n < alerts else "none") for n in range(tests)])
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.001)
