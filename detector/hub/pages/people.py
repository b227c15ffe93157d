"""Who may come in: users with their role and places, where they are logged in, and API tokens."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from detector.hub.access.auth import LONGEST_TOKEN_DAYS, ONE_TIME_S, TOKEN_DAYS
from detector.hub.access.people import PeopleError, User, as_name, may_change, roles_given_by
from detector.hub.edges.known import Known
from detector.hub.pages.view import Form, MayManagePeople, Somebody, View, own_path
from detector.hub.storage.rights import EVERYWHERE, Right, Role, Scope
from detector.names import natural
from detector.values import DAY_S

router = APIRouter()


TICK = "in:"  # begins the name of a box that puts a place into a scope
ONE_TIME_DAYS = round(ONE_TIME_S / DAY_S)


@dataclass(frozen=True, slots=True)
class Place:
    """A site or camera that can be ticked; a camera stands under its site. Not known is one that no box has told of."""

    name: str
    title: str
    is_camera: bool
    is_known: bool


@router.get("/people")
def people_page(view: MayManagePeople) -> Response:
    """Everybody, and all API tokens."""
    return _people(view)


@router.post("/people")
def add_person(view: MayManagePeople, fields: Form) -> Response:
    """Make a user, and show the one-time password."""
    name = as_name(fields.get("name", ""))
    try:
        role, scope = _role(fields), _scope(fields, _places(view))
        password = view.parts.gate.add_user(view.acting, name, view.now, role=role, scope=scope)
    except PeopleError as error:
        return _people(view, error, form="person", typed=fields)
    return _people(view, made={"kind": "person", "name": name, "secret": password})


@router.get("/people/{name}")
def person_page(view: MayManagePeople, name: str) -> Response:
    """One user: role, places, sessions, tokens."""
    return _person(view, name)


@router.post("/people/{name}")
def change_person(view: MayManagePeople, name: str, fields: Form) -> Response:
    """Give a user another role or other places; whoever overlooked another's change is shown that."""
    try:
        scope = _scope(fields, _places(view, _known(view, name).scope))
        seen = fields.get("seen")
        view.parts.people.change(view.acting, name, view.now, role=_role(fields), scope=scope, seen=seen)
    except PeopleError as error:
        return _person(view, name, error)
    return _back_to(name)


@router.post("/people/{name}/password")
def reset_password(view: MayManagePeople, name: str) -> Response:
    """Give a user a one-time password, and show it."""
    try:
        if _known(view, name).name == view.user:
            raise PeopleError("people_not_oneself")
        password = view.parts.gate.reset_password(view.acting, name, view.now)
    except PeopleError as error:
        return _person(view, name, error)
    return _person(view, name, made={"kind": "reset", "name": name, "secret": password})


@router.post("/people/{name}/second-step")
def drop_second_step(view: MayManagePeople, name: str) -> Response:
    """Ask a user for codes no more: the phone is lost, and the recovery codes are."""
    try:
        if _known(view, name).name == view.user:
            raise PeopleError("people_not_oneself")
        view.parts.people.drop_second_step(view.acting, name, view.now)
    except PeopleError as error:
        return _person(view, name, error)
    return _back_to(name)


@router.post("/people/{name}/access")
def change_access(view: MayManagePeople, name: str, fields: Form) -> Response:
    """Disable a user, or let one in again."""
    people = view.parts.people
    deeds = {"disable": people.disable, "enable": people.enable}
    if fields.get("do") not in deeds:
        raise HTTPException(400)
    try:
        deeds[fields["do"]](view.acting, _known(view, name).name, view.now)
    except PeopleError as error:
        return _person(view, name, error)
    return _back_to(name)


@router.post("/people/{name}/sessions")
def end_sessions(view: MayManagePeople, name: str, fields: Form) -> Response:
    """End one session of a user, or all."""
    try:
        view.parts.people.end_sessions(view.acting, _known(view, name).name, view.now, _handle(fields))
    except PeopleError as error:
        return _person(view, name, error)
    return _back_to(name)


@router.post("/tokens")
def make_token(view: MayManagePeople, fields: Form) -> Response:
    """Make an API token, and show it."""
    name = as_name(fields.get("name", ""))
    try:
        role, scope, days = _role(fields), _scope(fields, _places(view)), _days(fields)
        token = view.parts.gate.make_token(view.acting, name, view.now, role=role, scope=scope, days=days)
    except PeopleError as error:
        return _people(view, error, form="token", typed=fields)
    return _people(view, made={"kind": "token", "name": name, "secret": token})


@router.post("/tokens/{name}/revoke")
def revoke_token(view: Somebody, name: str, fields: Form) -> Response:
    """Let a token work no more: one's own, or that of somebody whom one may change."""
    try:
        view.parts.people.revoke_token(view.acting, name, view.now)
    except PeopleError as error:
        raise HTTPException(404) from error
    return RedirectResponse(own_path(fields.get("next", "/account")), 303)


@router.post("/account/sessions")
def end_own_sessions(view: Somebody, fields: Form) -> Response:
    """End one of one's own sessions, or all."""
    view.parts.people.end_sessions(view.acting, view.user, view.now, _handle(fields))
    return RedirectResponse("/account", 303)


def sessions_of(view: View, name: str) -> dict[str, Any]:
    """What `people_parts.html` needs to list the sessions of a user."""
    current = view.session.handle if view.session else ""
    return {"sessions": view.parts.people.sessions(name, view.now), "current": current, "device": device}


def device(browser: str) -> str:
    """Browser and system in a word or two, from what a browser says of itself; empty where it says nothing known."""
    programs = {"MicroMessenger": "WeChat", "Edg": "Edge", "Firefox": "Firefox", "Chrome": "Chrome", "Safari": "Safari"}
    systems = {
        "iPhone": "iPhone", "iPad": "iPad", "HarmonyOS": "HarmonyOS", "Android": "Android", "Windows": "Windows",
        "Mac OS": "macOS", "Linux": "Linux",
    }  # fmt: skip
    found = (next((name for sign, name in known.items() if sign in browser), "") for known in (programs, systems))
    return " · ".join(filter(None, found))


def _people(
    view: View,
    error: PeopleError | None = None,
    *,
    form: str = "",
    typed: dict[str, str] | None = None,
    made: dict[str, str] | None = None,
) -> Response:
    people = view.parts.people
    return view.page(
        "people.html", _status(error), users=people.users(view.scope), tokens=people.tokens(view.scope),
        places=_places(view), titles=_titles(view), roles=roles_given_by(view.acting),
        wrong=error.reason if error else "", form=form, typed=typed or {},
        made=made, days=TOKEN_DAYS, one_time_days=ONE_TIME_DAYS, most_days=LONGEST_TOKEN_DAYS,
    )  # fmt: skip


def _person(view: View, name: str, error: PeopleError | None = None, *, made: dict[str, str] | None = None) -> Response:
    user = _known(view, name)
    kept = view.parts.notices.targets.all(view.scope) if view.may(Right.CONFIGURE) else []
    return view.page(
        "person.html", _status(error), person=user, targets=[one.name for one in kept if one.user == user.name],
        places=_places(view, user.scope), titles=_titles(view),
        roles=roles_given_by(view.acting), may_change=may_change(view.acting, user) and user.name != view.user,
        tokens=view.parts.people.tokens(view.scope, user.name), wrong=error.reason if error else "", made=made,
        one_time_days=ONE_TIME_DAYS, **sessions_of(view, user.name),
    )  # fmt: skip


def _status(error: PeopleError | None) -> int:
    if error is None:
        return 200
    return 403 if error.reason == "people_owner_only" else 400


def _known(view: View, name: str) -> User:
    user = view.parts.people.user(name)
    if user is None or not view.scope.covers(user.scope):
        raise HTTPException(404)
    return user


def _back_to(name: str) -> Response:
    return RedirectResponse(f"/people/{quote(name, safe='')}", 303)


def _places(view: View, also: Scope = EVERYWHERE) -> list[Place]:
    """Every site and camera that the visitor sees and may give, and those that somebody has already."""
    known = Known.of(view.store.database, view.scope)
    names = (*known.names, *(view.scope.names or ()), *(also.names or ()))
    found = {"/".join(name.split("/")[:n]) for name in names for n in (1, 2)}
    titles = {f"{site}/{camera}": title for (site, camera), title in view.titles.items()}
    unheard = set(known.unheard(found))
    return [
        Place(name, titles.get(name, name.rpartition("/")[2]), "/" in name, name not in unheard)
        for name in sorted(found, key=lambda name: natural(*name.split("/")))
        if view.scope.covers(Scope.of([name]))
    ]


def _titles(view: View) -> dict[str, str]:
    return {place.name: place.title for place in _places(view) if place.is_camera}


def _role(fields: dict[str, str]) -> Role:
    try:
        return Role(fields.get("role", ""))
    except ValueError as error:
        raise PeopleError("people_role_missing") from error


def _scope(fields: dict[str, str], places: list[Place]) -> Scope:
    """What was ticked; cameras of a site that is ticked whole add nothing."""
    if fields.get("where") == "everywhere":
        return EVERYWHERE
    ticked = [place for place in places if TICK + place.name in fields]
    sites = {place.name for place in ticked if not place.is_camera}
    names = [place.name for place in ticked if not place.is_camera or place.name.partition("/")[0] not in sites]
    if not names:
        raise PeopleError("people_place_missing")
    return Scope.of(names)


def _days(fields: dict[str, str]) -> int:
    typed = fields.get("days", "").strip()
    days = int(typed) if re.fullmatch(r"[0-9]{1,5}", typed) else 0
    if not 1 <= days <= LONGEST_TOKEN_DAYS:
        raise PeopleError("people_days_wrong")
    return days


def _handle(fields: dict[str, str]) -> str | None:
    """Which session; `None` stands for all."""
    if fields.get("session", "") == "":
        raise HTTPException(400)
    return None if fields["session"] == "all" else fields["session"]
