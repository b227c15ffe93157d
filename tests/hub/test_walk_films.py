"""What a camera saw of a walk test: asked for, handed over, and looked at when the test was missed."""

from __future__ import annotations

import gzip
import json
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from detector import wire
from detector.hub.desk.walk_films import Seen, seen
from detector.hub.desk.walk_tests import REST_S, SETTLE_S
from detector.hub.edges.census import Censuses
from detector.hub.edges.pictures import Pictures
from detector.hub.edges.views import Views
from detector.hub.edges.zones import Zones
from detector.hub.storage.rights import Role
from detector.values import DAY_S
from tests.hub.conftest import NOON, Site, make_side
from tests.hub.test_walk_tests import PAGE, PLACE, Hall

TOPICS = wire.Topics("shanghai", "box1")


@pytest.fixture
def hall(site: Site) -> Hall:
    return Hall(site)


def asked(hall: Hall) -> list[tuple[str, str, float]]:
    """What the box was asked to film: camera, name, seconds."""
    return [wire.asked_film(payload) for topic, payload in hall.site.asked if topic == TOPICS.ask_film]


def upload(hall: Hall, film: str, clip: bytes, side: bytes | None = None, **claim: Any) -> None:
    """The box hands over what it filmed, with its side file where there is one."""
    client, site = hall.site.client, hall.site
    assert client.put(f"/api/clips/{film}/0", content=clip, headers=site.claim(clip, film, **claim)).status_code == 201
    if side is not None:
        headers = site.claim(side, film, what=wire.SIDE, **claim)
        assert client.put(f"/api/clips/{film}/0/side", content=side, headers=headers).status_code == 201


def film_page(hall: Hall) -> str:
    """What the owner reads on the page of the latest test's film."""
    answer = hall.site.client.get(f"{PAGE}/{hall.last().number}")
    assert answer.status_code == 200
    return " ".join(answer.text.split())


def test_the_box_is_asked_to_film_from_the_beginning_to_the_end(hall: Hall) -> None:
    hall.do("begin")
    hall.do("begin")
    ((camera, film, seconds),) = asked(hall)
    assert (camera, seconds) == ("cam3", 900.0)
    hall.wait(20)
    hall.do("end", parcels=4)
    hall.do("end", parcels=4)
    assert asked(hall)[1:] == [("cam3", film, 0.0)]
    assert hall.last().film == film


def test_a_test_that_is_taken_back_ends_its_film(hall: Hall) -> None:
    hall.do("begin")
    hall.do("end", parcels=0)
    (_, begun, _), (_, ended, seconds) = asked(hall)
    assert begun == ended and seconds == 0.0


def test_each_film_has_a_name_that_nobody_guesses(hall: Hall) -> None:
    for _ in range(3):
        hall.walk()
    assert len({film for _, film, _ in asked(hall)}) == 3


def test_a_missed_test_shows_its_film_and_what_was_seen(hall: Hall, mp4: bytes) -> None:
    hall.walk()
    film = hall.last().film
    assert film is not None and "/tests/" not in hall.page().partition("walk-tests")[2]
    upload(hall, film, mp4, make_side(film))
    hall.wait(SETTLE_S)
    assert f'href="{PAGE}/{hall.last().number}"' in hall.page()
    page = film_page(hall)
    assert f"/clips/{film}/0/play" in page and f"/clips/{film}/0/side" in page
    assert "180 pixels" in page and "Not found" in page and "too little for an alert" in page
    assert hall.site.client.get(f"/clips/{film}/0").content == mp4


def test_what_a_box_says_of_the_least_height_tells_who_was_too_far_off(hall: Hall, mp4: bytes) -> None:
    database = hall.site.store.database
    views = Views(Zones(database), Pictures(database), Censuses(database), hall.site.parts.keys)
    said: dict[str, Any] = {"title": "", "zones": [], "file_zones": [], "coverage": None, "least_height_px": 247.0}
    views.layout(
        TOPICS.layout, wire.layout_payload(TOPICS, {"cam3": said}, version=0, at=NOON, key=hall.site.key), NOON
    )
    hall.walk()
    film = str(hall.last().film)
    upload(hall, film, mp4, make_side(film))
    hall.wait(SETTLE_S)
    page = film_page(hall)
    assert "a phone can be judged from 247 on" in page and "Too far off" in page


def test_a_film_is_for_those_alone_who_may_begin_a_test(hall: Hall, mp4: bytes) -> None:
    hall.walk()
    film = hall.last().film
    assert film is not None
    before = hall.site.store.last_change()
    upload(hall, film, mp4, make_side(film))
    assert hall.site.store.last_change() == before, "open pages of guards hear nothing of it"
    guard, owner = hall.site.somebody(Role.REVIEWER), hall.site.client
    for way in ("", "/play", "/side", "/shared", "/preview"):
        assert guard.get(f"/clips/{film}/0{way}", follow_redirects=False).status_code == 404, way
        assert owner.get(f"/clips/{film}/0{way}", follow_redirects=False).status_code < 400, way


def test_without_a_side_file_the_film_is_shown_all_the_same(hall: Hall, mp4: bytes) -> None:
    hall.walk()
    upload(hall, str(hall.last().film), mp4)
    assert "There is no record of what was seen." in film_page(hall)


def test_no_advice_is_given_for_what_was_found_or_may_still_be(hall: Hall, mp4: bytes) -> None:
    hall.walk()
    film = str(hall.last().film)
    upload(hall, film, mp4, make_side(film))
    assert "too little for an alert" not in film_page(hall)
    hall.tell()
    assert "Came as an alert" in film_page(hall) and "too little for an alert" not in film_page(hall)


def test_a_film_that_is_not_there_or_of_another_camera_is_none(hall: Hall, mp4: bytes) -> None:
    hall.walk()
    number = hall.last().number
    assert hall.site.client.get(f"{PAGE}/{number}").status_code == 404
    upload(hall, str(hall.last().film), mp4, camera="cam4")
    assert hall.site.client.get(f"{PAGE}/{number}").status_code == 404
    for wrong in (number + 1, 10**30, -(10**30), "x"):
        assert hall.site.client.get(f"{PAGE}/{wrong}").status_code in (404, 422)


def look(t: float, *boxes: list[Any], score: float | None = None) -> dict[str, Any]:
    return {"t": t, "boxes": list(boxes), **({"score": {"7": score}} if score is not None else {})}


PERSON, SMALL = ["person", 7, 0.1, 0.0, 0.2, 0.5, 0.9], ["person", 8, 0.1, 0.0, 0.2, 0.1, 0.9]
PHONE = ["phone", 7, 0.1, 0.1, 0.2, 0.2, 0.7]


@pytest.mark.parametrize(
    ("looks", "told", "wanting"),
    [
        ([], None, ""),
        ([look(0.0), look(1.0)], Seen(0.0, None, 0.0, 0.0, 0.0), "person"),
        ([look(0.0, SMALL), look(1.0, SMALL)], Seen(3.0, 108.0, 0.0, 0.0, 0.0), "far"),
        ([look(0.0, SMALL, PERSON), look(1.0, PERSON)], Seen(3.0, 540.0, 0.0, 0.0, 0.0), "phone"),
        ([look(0.0, PERSON, PHONE, score=0.5), look(9.0)], Seen(2.0, 540.0, 2.0, 0.5, 0.0), "photo"),
        ([look(0.0, PERSON, PHONE, score=0.6), look(1.0, PERSON)], Seen(3.0, 540.0, 1.0, 0.6, 1.0), "sure"),
    ],
    ids=["no look", "nobody", "too far", "no phone", "not seen photographing", "likely"],
)
def test_what_a_side_file_tells_of_a_test(looks: list[dict[str, Any]], told: Seen | None, wanting: str) -> None:
    found = seen([{"size": [1920, 1080], "duration_s": 20.0, "looks": looks}])
    assert found == told
    assert found is None or found.wanting(247.0) == wanting


def test_segments_of_a_film_add_up() -> None:
    side = json.loads(gzip.decompress(make_side(seconds=4.0)))
    one, both = seen([side]), seen([side, side])
    assert one is not None and both is not None
    assert (both.person_s, both.phone_s) == pytest.approx((2 * one.person_s, 2 * one.phone_s))
    assert (both.height_px, both.belief) == (one.height_px, one.belief)
    assert one.wanting(None) == "sure"


def test_tests_of_before_there_were_films_go_on_being_told(hall: Hall) -> None:
    hall.walk()
    with hall.site.store.database.writing() as connection:
        connection.exec_driver_sql("UPDATE walk_tests SET film = NULL")
    hall.wait(REST_S)
    assert hall.last().film is None and "walk-tests" in hall.page()
    assert hall.site.parts.walk_tests.one(*PLACE, hall.last().number) == hall.last()
    assert hall.site.client.get(f"{PAGE}/{hall.last().number}").status_code == 404


def test_a_film_goes_when_its_days_are_over_and_the_test_stays(hall: Hall, mp4: bytes) -> None:
    hall.walk()
    film = str(hall.last().film)
    upload(hall, film, mp4, make_side(film))
    over = hall.site.clock.now() + 90 * DAY_S
    assert f"kept until {datetime.fromtimestamp(over, ZoneInfo('Asia/Shanghai')).date()}" in film_page(hall)
    retention, folder = hall.site.parts.retention, hall.site.folder / "clips"
    retention.run(over - 7 * DAY_S)
    assert [(due.incident, due.camera) for due in retention.announced()] == [(film, "cam3")]
    retention.run(over - 1.0)
    assert hall.site.store.clip(film, 0) is not None
    retention.run(over + 1.0)
    assert hall.site.store.clip(film, 0) is None and not [path for path in folder.rglob("*") if path.is_file()]
    assert hall.last().film == film
    assert hall.site.client.get(f"{PAGE}/{hall.last().number}").status_code == 404
