"""Coming in and going out: logging in, the account, language and theme; the source code of this program."""

from __future__ import annotations

import logging
from urllib.parse import urlsplit

from fastapi import APIRouter, Request
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from detector.hub.auth import FIRST_LOGIN, SESSION_S, SHORTEST_PASSWORD, TooManyTries, cookie_name
from detector.hub.pages.people import sessions_of
from detector.hub.pages.view import THEMES, Anybody, Form, LoginNeeded, Newcomer, View, own_path
from detector.hub.passwords import is_guessed
from detector.hub.source import archive, archive_name
from detector.hub.texts import LANGUAGES

logger = logging.getLogger(__name__)
router = APIRouter()

YEAR_S = 365 * 86400
LONGEST_BROWSER = 300


@router.get("/login")
def login_page(view: Anybody, next: str = "/") -> Response:  # noqa: A002  (the address says `next`)
    """Where one logs in."""
    if view.session:
        return RedirectResponse(own_path(next), 303)
    return view.page("login.html", wrong="", next=own_path(next), user="")


@router.post("/login")
def log_in(view: Anybody, fields: Form) -> Response:
    """Open a session, or say generically that it didn't work."""
    user, wanted = fields.get("user", "").strip(), own_path(fields.get("next", "/"))
    address, browser = view.address, view.request.headers.get("user-agent", "")[:LONGEST_BROWSER].replace("\0", "")
    try:
        token = view.parts.gate.log_in(user, fields.get("password", ""), address, view.now, browser)
    except TooManyTries:
        logger.warning("login refused: too many tries, from %s", address)
        return view.page("login.html", 429, wrong="login_wait", next=wanted, user=user)
    if token is None:
        logger.warning("login failed from %s", address)
        return view.page("login.html", 401, wrong="login_wrong", next=wanted, user=user)
    logger.info("login of %s from %s", ascii(user), address)
    answer = RedirectResponse(wanted, 303)
    scheme = view.request.url.scheme
    answer.set_cookie(
        cookie_name(scheme), token, max_age=int(SESSION_S), path="/", secure=scheme == "https", httponly=True,
        samesite="lax",
    )  # fmt: skip
    return answer


@router.post("/preferences")
def prefer(request: Request, fields: Form) -> Response:
    """Remember language and theme in this browser."""
    answer = RedirectResponse(own_path(fields.get("next", "/")), 303)
    for name, known in (("language", LANGUAGES), ("theme", THEMES)):
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
    (view.parts.config.data_dir / FIRST_LOGIN).unlink(missing_ok=True)  # it opens nothing any more
    return RedirectResponse("/login", 303)


@router.post("/logout")
def log_out(view: Newcomer) -> Response:
    """End the session."""
    if view.session:
        view.parts.gate.log_out(view.session, view.now)
    # What the browser has kept goes, too, so that the next one at this desk can't go back to it.
    answer = RedirectResponse("/login", 303, {"Clear-Site-Data": '"cache"'})
    answer.delete_cookie(cookie_name(view.request.url.scheme), path="/")
    return answer


def _account(view: View, wrong: str = "") -> Response:
    tokens = view.parts.people.tokens(view.scope, view.user)
    return view.page(
        "account.html", 400 if wrong else 200, wrong=wrong, shortest=SHORTEST_PASSWORD, tokens=tokens,
        **sessions_of(view, view.user),
    )  # fmt: skip
