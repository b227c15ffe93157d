"""Edge boxes: who may come in, who knocks, one-time codes for new ones, new keys, and shutting a box out.

`POST /enrol` is where boxes themselves come in. It is for a program that has no session yet: what it sends is signed,
and all that it is told is public (see `codes`).
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import quote, urlsplit

from fastapi import APIRouter, Depends, Request
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, RedirectResponse, Response

from detector.credentials import certs
from detector.credentials.codes import LARGEST_REQUEST, fingerprint, join_answer, read_join_request
from detector.errors import ConfigError, StoreError, WireError
from detector.hub.access.rate_limit import network_of
from detector.hub.edges.cameras import CameraState, camera_states
from detector.hub.edges.enrolment import LIFE_S, CodeNotMade, JoinCode, JoinRefused
from detector.hub.edges.keys import ACTIVE, REVOKED, EdgeKey
from detector.hub.edges.known import Known
from detector.hub.edges.rotation import Rotation
from detector.hub.pages.health import edge_state
from detector.hub.pages.view import Form, MayConfigure, View
from detector.hub.parts import Parts
from detector.hub.storage.edges import REPLAYING
from detector.hub.storage.stored import Edge
from detector.names import is_name, natural
from detector.wire import public_key_text

logger = logging.getLogger(__name__)

router = APIRouter()


LOOPBACK = ("localhost", "127.0.0.1", "::1")
STATUS = {"code_wrong": 403, "code_expired": 410, "code_used": 410, "code_locked": 410}  # else 409


@dataclass(frozen=True, slots=True)
class Box:
    """An edge box as the page shows it.

    `state` is `online`, `offline`, `quiet`, `never` (joined, not heard yet) or `revoked`; `key` the one in use, or the
    last that was; `turning` the change of its key that goes on. `may_change`: who sees but some cameras of its site may
    not, for all others would go with these.
    """

    site: str
    edge: str
    state: str
    key: EdgeKey
    earlier: list[EdgeKey]
    turning: Rotation | None
    cameras: int
    version: str
    may_change: bool

    @property
    def number(self) -> int:
        """What names it on the page: the same for as long as it is known."""
        return min(key.number for key in (self.key, *self.earlier))

    @property
    def path(self) -> str:
        """Where what is done to it is sent."""
        return f"/edges/{quote(self.site, safe='')}/{quote(self.edge, safe='')}"


@router.get("/edges")
def edges_page(view: MayConfigure) -> Response:
    """All boxes, those that knock, and how to add one."""
    asked = {name: view.request.query_params.get(name, "")[:64] for name in ("site", "edge")}
    return _page(view, typed=asked)


@router.get("/edges/part")
def edges_part(view: MayConfigure) -> Response:
    """The boxes, for a page that keeps itself fresh."""
    return view.page("boxes_part.html", **_boxes(view))


@router.post("/edges/codes")
def make_code(view: MayConfigure, fields: Form) -> Response:
    """Make a one-time code, and show it."""
    typed = {name: fields.get(name, "").strip() for name in ("site", "edge")}
    if any(text and not is_name(text) for text in typed.values()):
        return _page(view, typed=typed, wrong="box_no_name")
    site, edge = typed["site"] or None, typed["edge"] or None
    if view.scope.places is not None and (site is None or not view.scope.sees_all_of(site)):
        return _page(view, typed=typed, wrong="box_not_yours")
    try:
        made, code = view.parts.enrolment.make(view.user, view.now, site=site, edge=edge)
    except CodeNotMade as error:
        return _page(view, typed=typed, wrong=error.reason)
    in_use = site is not None and edge is not None and view.parts.keys.active(site, edge) is not None
    known = Known.of(view.store.database, view.scope)
    new = known.unheard([site] if site else [])
    return _page(view, made=made, code=code, in_use=in_use, new=[(one, known.meant(one)) for one in new])


@router.get("/edges/codes/{number}")
def code_state(view: MayConfigure, number: int) -> Response:
    """What became of a code, for the page that shows it."""
    return view.page("boxes_code.html", made=_code(view, number), fingerprint=fingerprint)


@router.post("/edges/codes/{number}/cancel")
def cancel_code(view: MayConfigure, number: int) -> Response:
    """Let a code work no more."""
    view.parts.enrolment.cancel(_code(view, number).number, view.user, view.now)
    return RedirectResponse("/edges", 303)


@router.post("/edges/{site}/{edge}/rotate")
def rotate(view: MayConfigure, site: str, edge: str) -> Response:
    """Have a box make a new key."""
    if not view.scope.sees_all_of(site) or not view.parts.rotations.ask(site, edge, view.user, view.now):
        raise HTTPException(404)
    view.parts.tell()
    return RedirectResponse("/edges", 303)


@router.post("/edges/{site}/{edge}/revoke")
def revoke(view: MayConfigure, site: str, edge: str) -> Response:
    """Shut a box out."""
    if not view.scope.sees_all_of(site) or not view.parts.enrolment.revoke(site, edge, view.user, view.now):
        raise HTTPException(404)
    view.parts.health.let_go(site, edge, view.now)
    folder = view.parts.config.certs_dir
    if folder is not None:
        try:
            certs.revoke_edge(folder, site, edge)
        except (ConfigError, StoreError) as error:  # what counts is done: nothing that it signs is believed
            logger.error("the broker's list of revoked certificates could not be written: %s", error)
            return _page(view, wrong="box_crl_failed")
    return RedirectResponse("/edges", 303)


async def _body(request: Request) -> bytes:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST_REQUEST:
            raise HTTPException(413)
    return body


@router.post("/enrol")
def enrol(request: Request, body: Annotated[bytes, Depends(_body)]) -> Response:
    """Let a box in that knows a code; see `codes` for what it sends and is told."""
    parts: Parts = request.app.state.parts
    address, now = request.client.host if request.client else "", parts.clock.now()
    if not parts.enrolment.may_try(network_of(address), now):
        return JSONResponse({"reason": "too_many_tries"}, 429, {"Retry-After": "60"})
    try:
        asked = read_join_request(body)
        if not (is_name(asked["site"]) and is_name(asked["edge"])):
            raise WireError("site or edge is no name that a configuration may give")
        code, answer_key = parts.enrolment.join(asked, network_of(address), now)
        handed_out = _handed_out(parts, asked)
    except WireError as error:
        return JSONResponse({"reason": "malformed", "text": str(error)}, 400)
    except JoinRefused as refused:
        return JSONResponse({"reason": refused.reason, **refused.told}, STATUS.get(refused.reason, 409))
    logger.info("code %d was used by %s/%s", code.number, asked["site"], asked["edge"])
    parts.tell()
    return JSONResponse(join_answer(asked, handed_out, answer_key))


def _handed_out(parts: Parts, asked: dict[str, Any]) -> dict[str, Any]:
    """What a box needs to know; nothing in it is secret.

    Raises:
        WireError: Its certificate signing request is none.
    """
    broker, folder = parts.config.broker, parts.config.certs_dir
    told: dict[str, Any] = {
        "hub_key": public_key_text(parts.key),
        "hub_ca": parts.certificate.authority.read_text(encoding="ascii") if parts.certificate else None,
        "broker": {"host": broker.host, "port": broker.port, "login": broker.username is not None},
        "username": f"{asked['site']}/{asked['edge']}",
        "broker_ca": None,
        "certificate": None,
        "certificate_trouble": None,
    }
    if folder is None or asked["csr"] is None:
        return told
    try:
        told["certificate"] = certs.sign_edge(folder, asked["site"], asked["edge"], asked["csr"])
        told["broker_ca"] = certs.authority_pem(folder)
    except (ConfigError, StoreError) as error:  # the box has joined; whoever looks after the broker has to help
        logger.error("no certificate for %s: %s", told["username"], error)
        told["certificate_trouble"] = str(error)[:300]
    return told


def _page(view: View, *, typed: dict[str, str] | None = None, wrong: str = "", **made: Any) -> Response:
    site = (view.parts.config.public_url or str(view.request.base_url)).rstrip("/")
    made = {"made": None, "code": "", "in_use": False, "new": [], **made}
    return view.page(
        "boxes.html", 400 if wrong else 200, typed=typed or {"site": "", "edge": ""}, wrong=wrong, hub_url=site,
        is_local=urlsplit(site).hostname in LOOPBACK, minutes=round(LIFE_S / 60), **made,
        by_sight=view.parts.config.enrolment == "first_sight", certificates=view.parts.config.certs_dir is not None,
        **_boxes(view),
    )  # fmt: skip


def _boxes(view: View) -> dict[str, Any]:
    """What the list shows, of the sites in the visitor's scope."""
    heard = {(edge.site, edge.edge): edge for edge in view.edges}
    cameras = camera_states(list(heard.values()), view.now, view.scope)
    turning, replaying = view.parts.rotations.all(), view.store.edges.only_replaying()
    boxes = []
    for (site, edge), keys in view.parts.keys.all(view.scope).items():
        known, turn = heard.get((site, edge)), turning.get((site, edge))
        state = _state(keys[0], known, cameras, is_replaying=(site, edge) in replaying)
        version = (known.health or {}).get("version") if known else None
        boxes.append(
            Box(
                site, edge, state, keys[0], keys[1:], turn if turn and turn.done_at is None else None,
                sum((one.site, one.edge) == (site, edge) for one in cameras),
                version[:40] if isinstance(version, str) else "", view.scope.sees_all_of(site),
            )
        )  # fmt: skip
    boxes.sort(key=lambda box: (box.state == REVOKED, natural(box.site, box.edge)))
    known_sites = {box.site for box in boxes} | {site for site, _ in view.scope.places or ()}
    sites = sorted((site for site in known_sites if view.scope.sees_all_of(site)), key=natural)
    return {
        "boxes": boxes,
        "knocks": view.parts.keys.knocks.all(view.scope),
        "sites": sites,
        "fingerprint": fingerprint,
    }


def _state(key: EdgeKey, known: Edge | None, cameras: list[CameraState], *, is_replaying: bool) -> str:
    if key.state != ACTIVE:
        return REVOKED
    if is_replaying:
        return REPLAYING
    if known is None or (known.state is None and known.health_at is None):
        return "never"
    return edge_state(known, cameras)


def _code(view: View, number: int) -> JoinCode:
    found = view.parts.enrolment.code(number, view.scope) if 0 < number < 2**53 else None
    if found is None or not (found.site is None or view.scope.sees_all_of(found.site)):
        raise HTTPException(404)
    return found
