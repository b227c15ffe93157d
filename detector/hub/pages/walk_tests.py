"""Walk tests of a camera: begin and end one, and see what the hub heard of them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from detector.hub.desk.walk_tests import LONGEST_S, MOST_PARCELS, tally
from detector.hub.pages.cameras import known, path_of
from detector.hub.pages.view import Form, View, needs
from detector.hub.storage.rights import Right

router = APIRouter()

# Not for who judges: a test can come unannounced, and is no excuse that a guard could make up.
Tester = Annotated[View, needs(Right.CONFIGURE)]


@router.get("/cameras/{site}/{edge}/{camera}/tests")
def tests_page(view: Tester, site: str, edge: str, camera: str) -> Response:
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
        pending=any(not test.is_settled for test in over),
        longest_min=round(LONGEST_S / 60),
        most=MOST_PARCELS,
    )


@router.post("/cameras/{site}/{edge}/{camera}/tests")
def change_test(view: Tester, site: str, edge: str, camera: str, fields: Form) -> Response:
    """Begin a test (`do` is `begin`) or end it (`end`), after so many `parcels`: with none it is taken back.

    Whoever was overtaken, by somebody else or by time, sees how it stands.
    """
    place = (site, edge, camera)
    known(view, place)
    if fields.get("do") == "begin":
        view.parts.walk_tests.begin(*place, view.user, view.now)
    elif fields.get("do") == "end" and (parcels := _parcels(fields.get("parcels", ""))) is not None:
        view.parts.walk_tests.end(*place, view.user, view.now, parcels)
    else:
        raise HTTPException(400)
    return RedirectResponse(f"{path_of(place)}/tests", 303)


def _parcels(text: str) -> int | None:
    """A number that somebody typed."""
    is_number = text.isascii() and text.isdigit() and len(text) <= len(str(MOST_PARCELS))
    return int(text) if is_number and int(text) <= MOST_PARCELS else None
