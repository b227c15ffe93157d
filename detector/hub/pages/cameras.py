"""Cameras as people look at them: what each last showed, how old that is, and in words what is wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from detector import wire
from detector.hub.edges.cameras import CameraState
from detector.hub.edges.pictures import Glimpse
from detector.hub.pages.view import MayLook, View
from detector.hub.storage.cameras import Place
from detector.hub.storage.stored import told_number
from detector.names import natural

router = APIRouter()

EXPECTED_S = 900.0  # a picture comes every 5 minutes; one older than this is called old
FEW = 12  # cameras; more are shown site by site, after those that are not fine, and small on a phone


@dataclass(frozen=True, slots=True)
class Card:
    """One camera: how it is, its last picture, what its edge says of it, and how many proposals wait."""

    state: CameraState
    picture: Glimpse | None
    said: dict[str, Any]
    proposals: int
    path: str

    @property
    def zones(self) -> list[dict[str, Any]]:
        """In force."""
        return drawable(self.said.get("zones"))

    @property
    def too_far(self) -> float | None:
        """Where in the picture, as a share of its height, a phone becomes too small to judge."""
        return too_far(self.said)


@dataclass(frozen=True, slots=True)
class SiteCards:
    """The cameras of a site that are fine, and how many it has."""

    site: str
    fine: list[Card]
    count: int


@router.get("/cameras")
def cameras(view: MayLook) -> Response:
    """What every camera last showed."""
    return view.page("cameras.html", **_shown(view))


@router.get("/cameras/part")
def cameras_part(view: MayLook) -> Response:
    """The same, to keep an open page fresh."""
    return view.page("cameras_part.html", **_shown(view))


@router.get("/cameras/{site}/{edge}/{camera}/picture")
@router.head("/cameras/{site}/{edge}/{camera}/picture")
def picture(view: MayLook, site: str, edge: str, camera: str, large: int = 0) -> Response:
    """The newest picture of a camera, labels blurred by its edge; with `large=1` one to draw on, if there is any."""
    found = (
        view.parts.pictures.newest((site, edge, camera), large=bool(large)) if view.scope.sees(site, camera) else None
    )
    if found is None:
        raise HTTPException(404)
    etag = f'"{found.taken_at:.3f}-{found.width}"'
    headers = {"ETag": etag, "Cache-Control": "private, no-cache", "X-Content-Type-Options": "nosniff"}
    if etag in (one.strip() for one in view.request.headers.get("If-None-Match", "").split(",")):
        return Response(status_code=304, headers=headers)
    return Response(found.jpeg, media_type="image/jpeg", headers=headers)


@router.post("/cameras/{site}/{edge}/{camera}/picture")
def ask_picture(view: MayLook, site: str, edge: str, camera: str) -> Response:
    """Ask a camera for a picture now; it comes when its edge can be reached."""
    known(view, (site, edge, camera))
    for large in (False, True):
        view.parts.ask(wire.Topics(site, edge).ask_picture, wire.ask_picture_payload(camera, large=large))
    return RedirectResponse("/cameras", 303)


def path_of(place: Place) -> str:
    """Where a camera's pages begin; names need no quoting (`config.Name`)."""
    return "/cameras/" + "/".join(place)


def known(view: View, place: Place) -> CameraState:
    """A camera that a visitor sees.

    Raises:
        HTTPException: There is none (404).
    """
    cameras = view.cameras
    found = next((one for one in cameras if (one.site, one.edge, one.name) == place), None)
    if found is None:
        raise HTTPException(404)
    return found


def drawable(zones: object) -> list[dict[str, Any]]:
    """Zones of which enough is understood to draw them."""
    found = []
    for zone in zones if isinstance(zones, list) else []:
        corners = zone.get("polygon") if isinstance(zone, dict) else None
        if not isinstance(corners, list) or not isinstance(zone.get("name"), str):
            continue
        if all(
            isinstance(p, list) and len(p) == 2 and all(told_number(v, 0.0, 1.0) is not None for v in p)
            for p in corners
        ):
            found.append({**zone, "kind": str(zone.get("kind"))})
    return found


def too_far(said: dict[str, Any]) -> float | None:
    """Where in a picture a phone becomes too small to judge, by what an edge said; `None`: nowhere, or not known."""
    return told_number((said.get("coverage") or {}).get("limit_y"), 0.0, 1.0)


def _shown(view: View) -> dict[str, Any]:
    cards = _cards(view)
    sites: list[SiteCards] = []
    if len(cards) > FEW:
        by_site: dict[str, list[Card]] = {}
        for card in cards:
            by_site.setdefault(card.state.site, []).append(card)
        for site in sorted(by_site, key=natural):
            fine = [card for card in by_site[site] if card.state.is_fine]
            sites.append(SiteCards(site, fine, len(by_site[site])))
    return {"cards": cards, "sites": sites, "expected_s": EXPECTED_S}


def _cards(view: View) -> list[Card]:
    said, pictures = view.parts.zones.layouts(view.scope), view.parts.pictures.glimpses(view.scope)
    waiting = [one.place for one in view.parts.proposals.all(view.scope)]
    cards = []
    for state in view.parts.keys.in_service(view.cameras):
        place = state.site, state.edge, state.name
        count = waiting.count(place)
        cards.append(Card(state, pictures.get(place), said.get(place, {}), count, path_of(place)))
    return cards
