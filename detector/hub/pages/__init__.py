"""Requests come in, pages leave. Each module here is one part of the hub that people look at.

Pages are rendered on the server and work without a script; the scripts ask for fragments of the same pages. A new part
is a module with a `router`, named in `PARTS`.
"""

from __future__ import annotations

import logging
from urllib.parse import quote

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import DBAPIError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, RedirectResponse, Response

from detector.hub.access.rate_limit import TooManyTries
from detector.hub.pages import (
    alarms,
    alike,
    api,
    audit,
    cameras,
    cases,
    clip,
    derived,
    edges,
    entry,
    feed,
    health,
    incidents,
    integrations,
    lan,
    notices,
    orientation,
    overview,
    people,
    retention,
    review,
    sides,
    tuning,
    uploads,
    walk_tests,
    zones,
)
from detector.hub.pages.menu import Doors
from detector.hub.pages.view import LoginNeeded, NotAllowed, PasswordNeeded, View, page_of
from detector.hub.parts import Parts
from detector.hub.storage.database import is_away, said_of

logger = logging.getLogger(__name__)

# What SQLite (SQLITE_FULL) and PostgreSQL (disk_full) say when there is no room.
FULL = frozenset({13, "53100"})
PARTS = (
    api, alarms, lan, entry, feed, overview, incidents, alike, review, cases, cameras, tuning, uploads, sides,
    derived, clip, health, retention, people, audit, zones, orientation, notices, integrations, edges, walk_tests,
)  # fmt: skip


def to_login(request: Request, _error: Exception) -> Response:
    """Send a person to log in, and come back; tell a script, or a program, that it must.

    What somebody did meanwhile is not done later in their stead, so they are told.
    """
    if _is_program(request):
        return JSONResponse({"reason": "log in, or send a token that works"}, 401, {"WWW-Authenticate": "Bearer"})
    unsaved = "" if request.method == "GET" else "&unsaved=1"
    if "hx-request" in request.headers:
        page = page_of(request.headers.get("hx-current-url", ""))
        return Response(status_code=401, headers={"HX-Redirect": f"/login?next={quote(page)}{unsaved}"})
    if "x-fragment" in request.headers or request.url.path == "/events":
        return Response(status_code=401)
    if unsaved:
        wanted = entry.to_be_asked_for(request, page_of(request.headers.get("referer", "")))
        return RedirectResponse(f"/login?next={quote(wanted)}{unsaved}", 303)
    wanted = page_of(str(request.url))
    return RedirectResponse("/login" if wanted == "/" else f"/login?next={quote(wanted)}", 303)


def to_password(request: Request, _error: Exception) -> Response:
    """Send a person to choose a password of their own; tell a script that they must."""
    if "hx-request" in request.headers:
        return Response(status_code=403, headers={"HX-Redirect": "/account"})
    return Response(status_code=403) if "x-fragment" in request.headers else RedirectResponse("/account", 303)


def no_page(request: Request, error: Exception) -> Response:
    """Say that there is no such page, or that what was sent can't be taken."""
    status = error.status_code if isinstance(error, HTTPException) else 404
    if _is_program(request):
        if isinstance(error, RequestValidationError):
            wrong = [{"where": list(map(str, one["loc"])), "what": one["msg"]} for one in error.errors()]
            return JSONResponse({"reason": wrong}, 422)
        return JSONResponse({"reason": getattr(error, "detail", "")}, status, getattr(error, "headers", None))
    kind = "500" if status >= 500 else {400: "400", 408: "400", 413: "413"}.get(status, "404")
    return View(request).page("error.html", status, kind=kind)


def not_allowed(request: Request, _error: Exception) -> Response:
    """Say that the visitor's role doesn't have the right."""
    view = View(request)
    logger.warning("not allowed: %s %s to %s from %s", request.method, request.url.path[:200], view.user, view.address)
    if _is_program(request):
        return JSONResponse({"reason": "the role lacks the right"}, 403)
    return view.page("error.html", 403, kind="403")


def wait(request: Request, _error: Exception) -> Response:
    """Say that there were too many tries."""
    if _is_program(request):
        return JSONResponse({"reason": "too many tries"}, 429, {"Retry-After": "60"})
    return View(request).page("error.html", 429, kind="429")


def not_kept(request: Request, error: Exception) -> Response:
    """Say that the disk is full, or the database away, without asking it for anything; other errors of it are ours."""
    cause = getattr(error, "orig", None)
    if FULL & {getattr(cause, "sqlite_errorcode", None), getattr(cause, "sqlstate", None)}:
        logger.error("the disk is full: nothing can be kept")
        if _is_program(request):
            return JSONResponse({"reason": "the disk is full"}, 507)
        words = "磁盘已满，什么都没有改动。\nThe disk is full; nothing was changed.\n"
        return Response(words, 507, media_type="text/plain")
    if not (isinstance(error, DBAPIError) and is_away(error)):
        logger.error("the database failed", exc_info=error)
        return failed(request, error)
    logger.error("the database can't be used: %s", said_of(error))
    if _is_program(request):
        return JSONResponse({"reason": "the database can't be used just now"}, 503, {"Retry-After": "30"})
    words = (
        "数据库暂时无法使用，什么都没有改动；告警保存在边缘设备上，恢复后会补传。请稍后再试，一直这样请找系统维护人员。\n"
        "The database can't be used just now; nothing was changed. Alerts wait at the edge boxes, and come once it is "
        "back. Try again in a minute; if it stays so, tell whoever looks after this server.\n"
    )
    return Response(words, 503, {"Retry-After": "30"}, "text/plain")


def gone(_request: Request, _error: Exception) -> Response:
    """Whoever asked left before all of it was here: no answer is read, and nothing failed."""
    return Response(status_code=400)


def failed(request: Request, _error: Exception) -> Response:
    """Say that the server failed, with nothing that may fail again; the server logs the error itself."""
    if _is_program(request):
        return JSONResponse({"reason": "the hub failed"}, 500)
    words = (
        "出错了：监控中心内部出错，已写进它的日志。请再试一次，一直这样请找系统维护人员。\n"
        "Something went wrong at the hub, and stands in its log. Try again; if it stays so, tell whoever looks after "
        "this server.\n"
    )
    return Response(words, 500, media_type="text/plain")


def _is_program(request: Request) -> bool:
    """Whether the answer is for a program: then errors are JSON too."""
    return request.url.path.startswith("/api/")


def add_pages(app: FastAPI, parts: Parts) -> None:
    """Put all pages, and the answers when there is none, into an app."""
    app.state.parts = parts
    app.state.doors = Doors(part.router for part in PARTS)
    for part in PARTS:  # as they are: to include a router is to analyse its endpoints once more, and match paths twice
        app.router.routes.extend(part.router.routes)
    app.add_exception_handler(LoginNeeded, to_login)
    app.add_exception_handler(PasswordNeeded, to_password)
    app.add_exception_handler(NotAllowed, not_allowed)
    app.add_exception_handler(TooManyTries, wait)
    app.add_exception_handler(HTTPException, no_page)
    app.add_exception_handler(RequestValidationError, no_page)
    app.add_exception_handler(DBAPIError, not_kept)
    app.add_exception_handler(ClientDisconnect, gone)
    app.add_exception_handler(Exception, failed)
