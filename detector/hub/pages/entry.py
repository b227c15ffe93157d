"""Coming in and going out: logging in, the account, language and theme; the source code of this program."""

from __future__ import annotations

import logging
from urllib.parse import quote, unquote, urlencode, urlsplit

import segno
from fastapi import APIRouter, Request
from markupsafe import Markup
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response
from starlette.routing import Match

from detector.hub.access import second_step
from detector.hub.access.auth import FIRST_LOGIN, SHORTEST_PASSWORD, CodeWanted, LoginOver, Session, drop_first_login
from detector.hub.access.guard import cookie_name
from detector.hub.access.passwords import is_guessed
from detector.hub.access.people import LONGEST_SESSION_S
from detector.hub.access.rate_limit import TooManyTries
from detector.hub.pages.people import sessions_of
from detector.hub.pages.view import (
    THEMES,
    Anybody,
    Form,
    LoginNeeded,
    Newcomer,
    PasswordNeeded,
    View,
    own_path,
    page_of,
)
from detector.hub.source import archive, archive_name
from detector.hub.texts import LANGUAGES
from detector.values import DAY_S

logger = logging.getLogger(__name__)
router = APIRouter()

YEAR_S = round(365 * DAY_S)
LONGEST_BROWSER = 300
LONGEST_NAME = 64  # as `People.add` takes them
DEEPEST = 20  # no page of ours lies deeper, and each step up asks every route


@router.get("/login")
def login_page(
    view: Anybody,
    next: str = "/",  # noqa: A002  (the address says `next`)
    changed: str = "",
    unsaved: str = "",
) -> Response:
    """Where one logs in; `changed` is who has just changed their password, `unsaved` that their session had ended."""
    if view.session:
        return RedirectResponse(own_path(next), 303)
    wrong = "login_unsaved" if unsaved else ""
    return _login(view, wrong=wrong, wanted=own_path(next), user=changed[:LONGEST_NAME], changed=bool(changed))


@router.post("/login")
def log_in(view: Anybody, fields: Form) -> Response:
    """Open a session, or say generically that it didn't work."""
    user, wanted = fields.get("user", "").strip(), own_path(fields.get("next", "/"))
    try:
        found = view.parts.gate.log_in(user, fields.get("password", ""), view.address, view.now, _browser(view))
    except TooManyTries:
        logger.warning("login refused: too many tries, from %s", view.address)
        return _login(view, 429, wrong="login_wait", wanted=wanted, user=user)
    if found is None:
        logger.warning("login failed from %s", view.address)
        return _login(view, 401, wrong="login_wrong", wanted=wanted, user=user)
    if isinstance(found, CodeWanted):
        return view.page("login_code.html", wrong="", next=wanted, token=found.token)
    logger.info("login of %s from %s", ascii(user), view.address)
    return _let_in(view, found, wanted)


@router.post("/login/code")
def enter_code(view: Anybody, fields: Form) -> Response:
    """Open a session by the code that follows the password."""
    token, wanted = fields.get("token", ""), own_path(fields.get("next", "/"))
    try:
        found = view.parts.gate.enter_code(token, fields.get("code", ""), view.address, view.now, _browser(view))
    except TooManyTries:
        logger.warning("login refused: too many wrong codes, from %s", view.address)
        return view.page("login_code.html", 429, wrong="code_wait", next=wanted, token=token)
    except LoginOver:
        return _login(view, 401, wrong="code_over", wanted=wanted)
    if found is None:
        logger.warning("login failed at its code, from %s", view.address)
        return view.page("login_code.html", 401, wrong="code_wrong", next=wanted, token=token)
    logger.info("login by code from %s", view.address)
    return _let_in(view, found, wanted)


@router.post("/preferences")
def prefer(request: Request, fields: Form) -> Response:
    """Remember language, theme, and whether letters act as keys, in this browser."""
    # The form knows the page as it was when it was made; what it has been narrowed to since is in the address alone.
    shown = request.headers.get("referer")
    wanted = page_of(shown) if shown else own_path(fields.get("next", "/"))
    answer = RedirectResponse(to_be_asked_for(request, wanted), 303)
    for name, known in (("language", LANGUAGES), ("theme", THEMES), ("letters", ("on", "off"))):
        if fields.get(name) in known:
            scheme = request.url.scheme
            answer.set_cookie(
                cookie_name(scheme, name), fields[name], max_age=YEAR_S, path="/", secure=scheme == "https",
                samesite="lax", httponly=True,
            )  # fmt: skip
    return answer


@router.get("/source")
def source(view: Anybody) -> Response:
    """Where the source code of this very program is."""
    return view.page("source.html", file=archive_name(), size_kb=-(-len(archive()) // 1024))


@router.get("/source/{name}")
def source_archive(name: str) -> Response:
    """The source code."""
    if name != archive_name():
        raise HTTPException(404)
    return Response(archive(), media_type="application/gzip")


@router.get("/account")
def account(view: Newcomer) -> Response:
    """Where one changes the password, and sees where one is logged in."""
    return _account(view)


@router.post("/account/password")
def change_password(view: Newcomer, fields: Form) -> Response:
    """Change the password; one has to log in again everywhere."""
    if view.session is None:
        raise LoginNeeded
    new = fields.get("new", "")
    wrong = ""
    if len(new) < SHORTEST_PASSWORD:
        wrong = "password_short"
    elif is_guessed(new, view.session.user, urlsplit(view.parts.config.public_url or "").hostname or ""):
        wrong = "password_guessed"
    if new == fields.get("old"):
        wrong = "password_same"
    if not wrong and not view.parts.gate.change_password(view.session, fields.get("old", ""), new, view.now):
        wrong = "password_wrong"
    if wrong:
        return _account(view, wrong)
    drop_first_login(view.parts.config.data_dir, view.session.user)
    return RedirectResponse(f"/login?{urlencode({'changed': view.session.user})}", 303)


@router.post("/account/second-step")
def offer_second_step(view: Newcomer, fields: Form) -> Response:
    """Show what a phone needs to make codes."""
    session = _settled(view)
    secret = view.parts.gate.offer_second_step(session, fields.get("password", ""), view.now)
    return _account(view, step_wrong="" if secret else "password_wrong")


@router.post("/account/second-step/confirm")
def set_second_step(view: Newcomer, fields: Form) -> Response:
    """Ask for codes from now on, and show the recovery codes."""
    try:
        codes = view.parts.gate.set_second_step(_settled(view), fields.get("code", ""), view.now)
    except TooManyTries:
        return _account(view, step_wrong="code_wait", status=429)
    except LoginOver:
        return _account(view, step_wrong="step_over")
    return _account(view, step_wrong="" if codes else "code_wrong", codes=codes)


@router.post("/account/second-step/off")
def drop_second_step(view: Newcomer, fields: Form) -> Response:
    """Be asked for codes no more."""
    if view.parts.gate.drop_second_step(_settled(view), fields.get("password", ""), view.now):
        return RedirectResponse("/account", 303)
    return _account(view, step_wrong="password_wrong")


@router.post("/account/recovery-codes")
def make_recovery_codes(view: Newcomer, fields: Form) -> Response:
    """Show other recovery codes instead of those of before."""
    codes = view.parts.gate.make_recovery_codes(_settled(view), fields.get("password", ""), view.now)
    return _account(view, step_wrong="" if codes else "password_wrong", codes=codes)


@router.post("/logout")
def log_out(view: Newcomer) -> Response:
    """End the session."""
    if view.session:
        view.parts.gate.log_out(view.session, view.now)
    # What the browser has kept goes, too, so that the next one at this desk can't go back to it.
    answer = RedirectResponse("/login", 303, {"Clear-Site-Data": '"cache"'})
    answer.delete_cookie(cookie_name(view.request.url.scheme), path="/")
    return answer


def to_be_asked_for(request: Request, page: str) -> str:
    """A page, or the nearest above it where it only ever answers a form."""

    def is_there(path: str) -> bool:
        asked = {**request.scope, "path": path, "method": "GET"}
        return any(route.matches(asked)[0] is Match.FULL for route in request.app.router.routes)

    path = unquote(urlsplit(page).path)
    if path.count("/") > DEEPEST:
        return "/"
    if is_there(path):
        return page
    while path.strip("/") and not is_there(path):
        path = path.rpartition("/")[0]
    return own_path(quote(path) or "/")


def _login(
    view: View, status: int = 200, *, wrong: str = "", wanted: str = "/", user: str = "", changed: bool = False
) -> Response:
    hinted = not changed and (view.parts.config.data_dir / FIRST_LOGIN).exists()
    return view.page("login.html", status, wrong=wrong, next=wanted, user=user, changed=changed, hinted=hinted)


def _browser(view: View) -> str:
    return view.request.headers.get("user-agent", "")[:LONGEST_BROWSER].replace("\0", "")


def _let_in(view: View, token: str, wanted: str) -> Response:
    answer = RedirectResponse(wanted, 303)
    scheme = view.request.url.scheme
    # The hub knows when a session ends, which slides with its use; the browser is not to end it earlier.
    answer.set_cookie(
        cookie_name(scheme), token, max_age=int(LONGEST_SESSION_S), path="/", secure=scheme == "https", httponly=True,
        samesite="lax",
    )  # fmt: skip
    return answer


def _settled(view: View) -> Session:
    """The session of somebody with a password of their own."""
    if view.session is None:
        raise LoginNeeded
    if view.session.must_change:
        raise PasswordNeeded
    return view.session


def _account(
    view: View, wrong: str = "", *, step_wrong: str = "", status: int = 400, codes: list[str] | None = None
) -> Response:
    gate, people, session = view.parts.gate, view.parts.people, view.session
    offered = gate.offered(session, view.now) if session else None
    picture = None
    if offered:
        host = urlsplit(view.parts.config.public_url or str(view.request.base_url)).hostname or ""
        read = second_step.address(offered, view.user, host)
        picture = Markup(segno.make(read, error="m").svg_inline(scale=5))  # noqa: S704  (drawn just now)
    return view.page(
        "account.html", status if wrong or step_wrong else 200, wrong=wrong, shortest=SHORTEST_PASSWORD,
        tokens=people.tokens(view.scope, view.user), step_wrong=step_wrong, codes=codes, offered=offered,
        picture=picture, second_step=people.step_secret(view.user) is not None,
        codes_left=people.recovery_codes_left(view.user),
        **sessions_of(view, view.user),
    )  # fmt: skip
