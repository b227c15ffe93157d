"""Walk tests of a camera: begin and end one, and see what the hub heard of them, and what was filmed meanwhile."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from detector import wire
from detector.hub.desk.charts import timeline
from detector.hub.desk.walk_films import seen
from detector.hub.desk.walk_tests import LONGEST_S, MOST_PARCELS, tally
from detector.hub.pages.cameras import known, path_of
from detector.hub.pages.player import plan_of
from detector.hub.pages.view import Form, MayConfigure, View
from detector.hub.storage.stored import told_number
from detector.media.sides import read_side
from detector.values import DAY_S

router = APIRouter()

# Not for who judges: a test can come unannounced, and is no excuse that a guard could make up.


@router.get("/cameras/{site}/{edge}/{camera}/tests")
def tests_page(view: MayConfigure, site: str, edge: str, camera: str) -> Response:
    """What came of the tests of a camera, and whether one goes on."""
    place, tests = (site, edge, camera), view.parts.walk_tests
    state, over = known(view, place), tests.of(*place, view.now)
    there = view.store.incidents([test.incident for test in over if test.incident])
    return view.page(
        "walk_tests.html",
        camera=state,
        path=path_of(place),
        going_on=tests.going_on(*place, view.now),
        next_at=tests.next_at(*place),
        tests=over,
        tally=tally(over),
        incidents={one.id: one for one in there},
        filmed=view.store.with_clips([test.film for test in over if test.film]),
        pending=any(not test.is_settled for test in over),
        longest_min=round(LONGEST_S / 60),
        most=MOST_PARCELS,
    )


@router.post("/cameras/{site}/{edge}/{camera}/tests")
def change_test(view: MayConfigure, site: str, edge: str, camera: str, fields: Form) -> Response:
    """Begin a test (`do` is `begin`) or end it (`end`), after so many `parcels`: with none it is taken back.

    Whoever was overtaken, by somebody else or by time, sees how it stands.
    """
    place = (site, edge, camera)
    known(view, place)
    if fields.get("do") == "begin":
        if film := view.parts.walk_tests.begin(*place, view.user, view.now):
            _ask_film(view, place, film, LONGEST_S)
    elif fields.get("do") == "end" and (parcels := _parcels(fields.get("parcels", ""))) is not None:
        asked = fields.get("test", "")
        number = int(asked) if re.fullmatch(r"[0-9]{1,18}", asked) else 0
        if film := view.parts.walk_tests.end(*place, view.user, view.now, parcels, number):
            _ask_film(view, place, film, 0.0)
    else:
        raise HTTPException(400)
    return RedirectResponse(f"{path_of(place)}/tests", 303)


@router.get("/cameras/{site}/{edge}/{camera}/tests/{number}")
def film_page(view: MayConfigure, site: str, edge: str, camera: str, number: int) -> Response:
    """What the camera saw of one test: its film, and how far somebody could be seen photographing."""
    place = (site, edge, camera)
    state = known(view, place)
    test = view.parts.walk_tests.one(*place, number) if 0 < number < 2**62 else None
    clips = view.store.film(test.film, *place) if test and test.film else []
    if test is None or not clips:
        raise HTTPException(404)
    said = view.parts.zones.layouts(view.scope).get(place, {})
    sides = [found[1] for clip in clips if (found := view.parts.clips.find_side(clip.incident, clip.segment))]
    days = view.parts.config.retention.no_alert
    line = timeline(clips, (clips[0].started_at, clips[0].started_at))
    return view.page(
        "walk_film.html",
        camera=state,
        path=path_of(place),
        test=test,
        seen=seen(map(_read, sides)),
        least_px=told_number(said.get("least_height_px"), 0.0),
        kept_until=None if days is None else max(clip.stored_at for clip in clips) + days * DAY_S,
        clips=clips,
        filmed={"id": test.film, "title": state.title, "snapshot": None},
        timeline=line,
        plan=plan_of(view, clips, line),
        keys=False,
    )


def _read(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        return read_side(file)


def _ask_film(view: View, place: tuple[str, str, str], film: str, seconds: float) -> None:
    """Have the camera filmed under this name, or, with 0 seconds, no longer."""
    site, edge, camera = place
    view.parts.ask(wire.Topics(site, edge).ask_film, wire.ask_film_payload(camera, film, seconds))


def _parcels(text: str) -> int | None:
    """A number that somebody typed."""
    is_number = text.isascii() and text.isdigit() and len(text) <= len(str(MOST_PARCELS))
    return int(text) if is_number and int(text) <= MOST_PARCELS else None
