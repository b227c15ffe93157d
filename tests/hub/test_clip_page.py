"""A clip whose alert isn't here can be looked at; once it is known what it shows, it leads there."""

from __future__ import annotations

import pytest

from detector.hub.storage.rights import Role
from tests.hub.conftest import NOON, Site, make_envelope
from tests.hub.test_walk_films import upload
from tests.hub.test_walk_tests import Hall


@pytest.fixture
def hall(site: Site, mp4: bytes) -> Hall:
    """A camera whose box handed over a clip that no alert tells of."""
    hall = Hall(site)
    upload(hall, "ghost", mp4)
    return hall


def test_a_clip_without_an_alert_plays_on_a_page_of_its_own_and_is_taken_away_by_whom_may(hall: Hall) -> None:
    page = hall.site.client.get("/clips/ghost")
    assert page.status_code == 200 and "a clip without an alert" in page.text
    assert 'src="/clips/ghost/0/play"' in page.text and 'href="/clips/ghost/0" download' in page.text
    seen = hall.site.somebody(Role.VIEWER).get("/clips/ghost").text
    assert 'src="/clips/ghost/0/play"' in seen and "download" not in seen


def test_it_leads_to_its_incident_once_that_is_here(hall: Hall) -> None:
    hall.site.store.add_alerts([make_envelope(incident="ghost")], NOON)
    answer = hall.site.client.get("/clips/ghost")
    assert (answer.status_code, answer.headers["location"]) == (303, "/incidents/ghost")


def test_nobody_sees_a_clip_of_a_camera_beyond_their_scope_nor_one_that_there_is_not(hall: Hall) -> None:
    assert hall.site.somebody(Role.REVIEWER, ["shanghai/cam9"]).get("/clips/ghost").status_code == 404
    assert hall.site.client.get("/clips/nowhere").status_code == 404


def test_the_film_of_a_walk_test_is_no_secret_to_whom_may_begin_one_alone(hall: Hall, mp4: bytes) -> None:
    hall.do("begin")
    hall.wait(20)
    hall.do("end", parcels=4)
    film = hall.last().film
    assert film
    upload(hall, film, mp4)
    answer = hall.site.client.get(f"/clips/{film}")
    assert answer.status_code == 303 and hall.site.client.get(answer.headers["location"]).status_code == 200
    assert hall.site.somebody(Role.REVIEWER).get(f"/clips/{film}").status_code == 404


def test_what_will_be_deleted_can_be_looked_at_before(hall: Hall) -> None:
    hall.site.clock.sleep(84 * 86_400)
    assert hall.site.client.post("/login", data=hall.site.login).status_code == 303
    hall.site.parts.retention.run(hall.site.clock.now())
    assert 'href="/clips/ghost"' in hall.site.client.get("/retention").text
