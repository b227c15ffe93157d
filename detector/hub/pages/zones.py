"""Zones drawn on a camera's picture: a draft is looked at as a change of the configuration, sent, and answered."""

from __future__ import annotations

import difflib
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from detector import wire
from detector.config import zones_as_yaml
from detector.hub.edges.cameras import CameraState
from detector.hub.edges.commanded import Answer
from detector.hub.edges.drafts import KINDS, BadZones, Drawn, checked_zones, told, uncounted, understood
from detector.hub.edges.zones import ZoneChange
from detector.hub.pages.cameras import drawable, known, path_of, too_far
from detector.hub.pages.refusals import refusals
from detector.hub.pages.view import Form, MayConfigure, MayJudge, MayLook, View
from detector.hub.pages.zone_words import change_words
from detector.hub.storage.cameras import Place
from detector.hub.storage.rights import Right
from detector.hub.texts import Phrases

logger = logging.getLogger(__name__)
router = APIRouter()

FRESH_S = 60.0  # a picture to draw on that is older is asked for anew
MOST_SHOWN = 50
PATH = "/cameras/{site}/{edge}/{camera}/zones"
SIDES = ("left", "top", "width", "height")  # percent of the picture

Draft = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Standing:
    """How the zones of a camera stand: in force, in the file, as last set, and whether the edge took that.

    `causes` says in the reader's language why it was refused, as far as this hub can tell; what the edge itself said is
    the answer's reason.
    """

    camera: CameraState
    place: Place
    said: dict[str, Any]
    changes: list[ZoneChange]
    answer: Answer | None
    causes: list[str]

    @property
    def in_force(self) -> Draft:
        """Zones by which the edge goes, as it last said."""
        return drawable(self.said.get("zones"))

    @property
    def in_file(self) -> Draft:
        """Zones of the edge's configuration file."""
        return drawable(self.said.get("file_zones"))

    @property
    def is_drawn(self) -> bool:
        """Whether those in force were drawn here."""
        return self.said.get("drawn") is True

    def reach(self, language: str) -> str:
        """How far a phone can be judged, in the edge's own words; empty where that isn't known."""
        told = (self.said.get("coverage") or {}).get("sentence")
        return str(told.get(language, "")) if isinstance(told, dict) else ""

    @property
    def version(self) -> int:
        """Of the latest change; 0 before the first."""
        return self.changes[0].version if self.changes else 0

    @property
    def is_pending(self) -> bool:
        """Whether what was set last isn't in force: it waits for the edge, or was refused."""
        return self.answer is not None and self.answer.state != "taken"

    @property
    def to_draw(self) -> Draft:
        """What drawing begins with: what was set and is not in force, else what is."""
        if not self.is_pending:
            return self.in_force
        return drawable(self.changes[0].zones) if self.changes[0].zones is not None else self.in_file


@dataclass(frozen=True, slots=True)
class Change:
    """A draft that can be sent: its zones (`None`: back to the file's) and how they are told, the draft as it came."""

    zones: Draft | None
    draft: Draft
    sentences: list[str]
    diff: list[str]


@router.get(PATH)
def zones_page(view: MayLook, site: str, edge: str, camera: str) -> Response:
    """A camera's picture with its zones, to look at or to draw on."""
    standing = _standing(view, (site, edge, camera))
    large = view.parts.pictures.glimpses(view.scope, large=True).get(standing.place)
    if view.may(Right.CONFIGURE) and (large is None or view.now - large.taken_at > FRESH_S):
        view.parts.ask(wire.Topics(site, edge).ask_picture, wire.ask_picture_payload(camera, large=True))
    adopted = _numbers(view.request.query_params.get("with", ""))
    return _page(view, standing, _begun(view, standing, adopted), adopted=adopted)


@router.get(PATH + "/answer")
def zones_answer(view: MayLook, site: str, edge: str, camera: str) -> Response:
    """Whether the edge took what was set."""
    return view.page(
        "zones_answer.html", standing=_standing(view, (site, edge, camera)), path=path_of((site, edge, camera))
    )


@router.post(PATH)
def set_zones(view: MayConfigure, fields: Form, site: str, edge: str, camera: str) -> Response:
    """Look at a draft as a change of the configuration (`do=look`, `do=look_back`), or send it (`do=send`).

    Where somebody else was quicker than what it was drawn on (`now`, a version) that is told, and nothing sent: the
    draft stays, and the page asks once more.
    """
    standing = _standing(view, (site, edge, camera))
    adopted, now = _numbers(fields.get("with", "")), fields.get("now", "")
    back = fields.get("do") == "look_back" or fields.get("back") == "1"
    draft = standing.in_file if back else _parsed(fields.get("draft", ""))
    try:
        # What is set and waits for the edge was drawn on, so a zone keeps what it has there.
        drawn = None if back else checked_zones(draft, [*standing.to_draw, *standing.in_force])
        if covered := uncounted([one.zone for one in drawn or []], [standing.in_force, standing.in_file]):
            raise told(covered[0])
    except BadZones as error:
        return _refused(view, standing, draft, in_words(view.say, error), adopted, now=now)
    # One whose zone was taken out again is not accepted.
    adopted = [number for number in adopted if drawn and any(one.get("proposal") == number for one in draft)]
    change = _change(view.say, standing, drawn, draft)
    if fields.get("do") != "send":
        contested = now != str(standing.version)
        if "hx-request" in view.request.headers:
            return view.page(
                "zones_change.html", change=change, standing=standing, adopted=adopted, contested=contested
            )
        return _page(view, standing, _draft(draft), change=change, contested=contested, adopted=adopted)
    done = _sent(view, standing, change, now, back=back, adopted=adopted)
    if done is None:
        latest = _standing(view, standing.place)
        if latest.changes and latest.changes[0].user == view.user and latest.changes[0].zones == change.zones:
            return RedirectResponse(path_of(standing.place) + "/zones", 303)  # sent twice
        return _page(view, latest, _draft(draft), change=change, contested=True, status=409, adopted=adopted)
    view.parts.tell()
    logger.info("zones of %s changed by %s, version %d", standing.place, ascii(view.user), done.version)
    return RedirectResponse(path_of(standing.place) + "/zones", 303)


def _sent(
    view: View, standing: Standing, change: Change, seen: str, *, back: bool, adopted: list[int]
) -> ZoneChange | None:
    """Set zones, and accept the proposals that are among them; `None` where somebody else was quicker."""
    zones, subject = view.parts.zones, "/".join(standing.place)
    expected = int(seen) if seen.isdecimal() and len(seen) < 17 else -1
    with view.store.database.writing():
        done = zones.set_zones(standing.place, change.zones, expected=expected, user=view.user, at=view.now)
        if done is None:
            return None
        view.did("zones", subject, version=done.version, back=back, zones=_names(change.zones))
        for number in adopted:
            if view.parts.proposals.decide(standing.place, number, "accepted", "", user=view.user, at=view.now):
                view.did("zone_proposal", subject, number=number, decision="accepted")
    return done


@router.post(PATH + "/proposals")
def propose(view: MayJudge, fields: Form, site: str, edge: str, camera: str) -> Response:
    """Propose a zone: `kind`, `polygon` as JSON or the `SIDES` of a rectangle, and, if you like, `note`, `incident`."""
    standing = _standing(view, (site, edge, camera))
    incident = fields.get("incident") or None
    if incident and view.store.incident(incident, view.scope) is None:
        raise HTTPException(404)
    polygon = _parsed(fields["polygon"]) if fields.get("polygon") else _rectangle(fields)
    try:
        with view.store.database.writing():
            number = view.parts.proposals.add(
                standing.place, fields.get("kind", ""), polygon, fields.get("note", ""), user=view.user, at=view.now,
                incident=incident,
            )  # fmt: skip
            view.did("zone_proposal", "/".join(standing.place), number=number, decision="proposed", kind=fields["kind"])
    except BadZones as error:
        return _refused(view, standing, _shown(view, standing), in_words(view.say, error), [])
    return RedirectResponse(path_of(standing.place) + "/zones", 303)


@router.post(PATH + "/proposals/{number}")
def decide(view: MayConfigure, fields: Form, site: str, edge: str, camera: str, number: int) -> Response:
    """Take a proposal into the draft (`do=accept`: it counts as accepted once that is sent), or decline it.

    Those that were taken into it before (`with`) stay there.
    """
    standing, adopted = _standing(view, (site, edge, camera)), _numbers(fields.get("with", ""))
    if not 0 < number < 2**53:
        raise HTTPException(404)
    if fields.get("do") == "accept":
        return RedirectResponse(_address(standing, [*adopted, number]), 303)
    reason = fields.get("reason", "").strip()
    if fields.get("do") != "decline" or not reason:
        return _refused(view, standing, _begun(view, standing, adopted), view.say("zones_no_reason"), adopted)
    with view.store.database.writing():
        if view.parts.proposals.decide(standing.place, number, "declined", reason, user=view.user, at=view.now) is None:
            raise HTTPException(404)
        view.did("zone_proposal", "/".join(standing.place), number=number, decision="declined")
    return RedirectResponse(_address(standing, adopted), 303)


def in_words(say: Phrases, error: BadZones) -> str:
    """What is wrong with zones, in the reader's language."""
    values = {
        name: in_words(say, v) if isinstance(v, BadZones) else say("comma").join(v) if isinstance(v, tuple) else v
        for name, v in error.values.items()
    }
    return say(error.key, **values)


def _standing(view: View, place: Place) -> Standing:
    camera = known(view, place)
    changes = view.parts.zones.changes(place)
    box = next((edge for edge in view.edges if (edge.site, edge.edge) == place[:2]), None)
    # Every change at an edge has a version of its own; a later one, of another camera, carries this one along.
    latest = [one for one in view.parts.zones.latest().values() if (one.site, one.edge) == place[:2]]
    newest = max(latest, key=lambda change: change.version, default=None)
    answer = view.parts.zones.answer(box, changes[0], newest) if changes and newest else None
    said = view.parts.zones.layouts(view.scope)
    causes = []
    if answer and not view.scope.sees_all_of(place[0]):  # a box's own words may be of any of its cameras
        answer = replace(answer, reason="", causes=())
        latest = [change for change in latest if view.scope.sees(change.site, change.camera)]
    if answer and answer.state == "refused":
        titles = {change.camera: said.get(change.place, {}).get("title") or change.camera for change in latest}
        causes = refusals(view.say, answer.causes, lambda name: titles.get(name, name))
        causes += _covered(view.say, latest, said)
    return Standing(camera, place, said.get(place, {}), changes, answer, causes)


def _covered(say: Phrases, latest: list[ZoneChange], said: dict[Place, dict[str, Any]]) -> list[str]:
    """Which zones an edge refuses since others cover them, by its own rule: it takes those of all cameras or none."""
    return [
        say("zones_of_camera", camera=said[change.place].get("title") or change.camera, why=in_words(say, told(one)))
        for change in latest
        if change.place in said
        for one in uncounted(
            change.zones or [], [drawable(said[change.place].get(key)) for key in ("zones", "file_zones")]
        )
    ]


def _shown(view: View, standing: Standing) -> Draft:
    """What a page begins with: a draft that isn't in force is for those alone who may correct it."""
    return standing.to_draw if view.may(Right.CONFIGURE) else standing.in_force


def _begun(view: View, standing: Standing, adopted: list[int]) -> Draft:
    """What drawing begins with, and behind it the proposals that somebody took into it."""
    draft = _draft(_shown(view, standing))
    for one in view.parts.proposals.all(view.scope, place=standing.place) if view.may(Right.CONFIGURE) else []:
        if one.number in adopted:
            zone = {"name": f"{one.kind}-{one.number}", "kind": one.kind, "polygon": one.polygon, "was": None}
            draft.append({**zone, "proposal": one.number})
    return draft


def _address(standing: Standing, adopted: list[int]) -> str:
    return f"{path_of(standing.place)}/zones" + (f"?with={','.join(map(str, adopted))}" if adopted else "")


def _page(
    view: View, standing: Standing, draft: Draft, *, change: Change | None = None, contested: bool = False,
    trouble: str = "", status: int = 200, adopted: list[int], now: str | None = None,
) -> Response:  # fmt: skip
    """The page with a draft that was drawn on version `now`; `None`: on what stands."""
    pictures = view.parts.pictures
    picture = pictures.glimpses(view.scope, large=True).get(standing.place)
    picture = picture or pictures.glimpses(view.scope).get(standing.place)
    proposals = view.parts.proposals.all(view.scope, place=standing.place)
    return view.page(
        "zones.html", status, standing=standing, draft=draft, change=change, contested=contested, trouble=trouble,
        adopted=adopted, now=standing.version if now is None else now, picture=picture,
        proposals=[one for one in proposals if one.number not in adopted],
        decided=view.parts.proposals.decided(standing.place, MOST_SHOWN),
        kinds=KINDS, spots=_spots(view, standing.place), path=path_of(standing.place),
        too_far=too_far(standing.said), most=MOST_SHOWN, can_set=view.may(Right.CONFIGURE),
        can_propose=view.may(Right.JUDGE), dumps=json.dumps,
        most_points=wire.MOST_POINTS, most_zones=wire.MOST_ZONES,
    )  # fmt: skip


def _refused(
    view: View, standing: Standing, draft: object, trouble: str, adopted: list[int], *, now: str | None = None
) -> Response:  # fmt: skip
    """Say what is wrong, the draft kept."""
    if "hx-request" in view.request.headers:
        return view.page("zones_trouble.html", trouble=trouble)  # 200: htmx swaps nothing else
    return _page(view, standing, _draft(drawable(draft)), trouble=trouble, status=422, adopted=adopted, now=now)


def _draft(zones: Draft) -> Draft:
    """What the drawing script is given: `was` is the name in force, `proposal` the number of what it was taken from."""
    return [
        {
            "name": zone["name"], "kind": zone["kind"], "polygon": zone["polygon"],
            "was": zone.get("was", zone["name"]), "spot": zone.get("spot") or "",
            "label_up_rate": "" if zone.get("label_up_rate") is None else zone["label_up_rate"], **_proposal(zone),
        }
        for zone in zones
    ]  # fmt: skip


def _proposal(zone: dict[str, Any]) -> dict[str, int]:
    return {"proposal": zone["proposal"]} if isinstance(zone.get("proposal"), int) else {}


def _spots(view: View, place: Place) -> list[str]:
    """Names of pieces of floor that zones of other cameras of a site show."""
    others = ((where, said) for where, said in view.parts.zones.layouts(view.scope).items() if where != place)
    zones = (zone for where, said in others if where[0] == place[0] for zone in drawable(said.get("zones")))
    return sorted({zone["spot"] for zone in zones if isinstance(zone.get("spot"), str)})


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _rectangle(fields: Mapping[str, str]) -> list[list[float]] | None:
    """Corners of what somebody typed as a rectangle, cut off at the picture's edges; `None` where it is none."""
    try:
        left, top, width, height = (float(fields.get(side, "")) / 100 for side in SIDES)
    except ValueError:
        return None
    right, bottom = min(left + width, 1.0), min(top + height, 1.0)
    return [[left, top], [right, top], [right, bottom], [left, bottom]]


def _numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",") if part.isdecimal() and len(part) < 16][:MOST_SHOWN]


def _names(zones: Draft | None) -> list[str] | None:
    return None if zones is None else [zone["name"] for zone in zones]


def _change(say: Phrases, standing: Standing, drawn: list[Drawn] | None, draft: Draft) -> Change:
    before = standing.in_force
    if drawn is None:
        drawn = [Drawn(zone, zone["name"], ()) for zone in standing.in_file]
        told, zones = [say("zones_back_told"), *change_words(say, before, drawn)], None
    else:
        zones = [one.zone for one in drawn]
        told = change_words(say, before, drawn)
        if not told and standing.answer and standing.answer.state != "taken":
            told = [say("zones_takes_back")]
    old, new = (zones_as_yaml(understood(some)).splitlines() for some in (before, [one.zone for one in drawn]))
    diff = list(difflib.unified_diff(old, new, n=4, lineterm=""))[2:]
    names = [{**one.zone, "was": one.was, **_proposal(came)} for one, came in zip(drawn, draft, strict=True)]
    return Change(zones, _draft(names), told, [line for line in diff if not line.startswith("@@")])
