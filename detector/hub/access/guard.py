"""What every request passes first: did our own page send it, is it too long; its answer gets its headers."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from urllib.parse import urlsplit

from starlette import types
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Send

logger = logging.getLogger(__name__)

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    # Not `no-referrer`: with that, browsers send `Origin: null` with a form, and the check below would refuse it.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}


def bearer_token(path: str, headers: Mapping[str, str]) -> str | None:
    """The API token that a request brings; `None` where it brings none. Pages are for people: there none counts."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if path.startswith("/api/") and scheme.lower() == "bearer" else None


def cookie_name(scheme: str, name: str = "labelwatch") -> str:
    """Name of a cookie, the session's when left out: over https one that browsers tie to this very host."""
    return f"__Host-{name}" if scheme == "https" else name


def is_same_origin(headers: Mapping[str, str]) -> bool:
    """Whether a browser says that the request comes from our own page.

    `Sec-Fetch-Site` comes only over https and to the loopback; `Origin` comes with every form.
    """
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = headers.get("origin")
    try:
        return origin is not None and urlsplit(origin).netloc == headers.get("host")
    except ValueError:  # it only looks like an address
        return False


class Guard:
    """Middleware: refuses what another site's page sends in a visitor's name, and what is no text; adds headers.

    Args:
        app: What is guarded.
        signed: Paths that begin so prove who sent them by a signature, not by a cookie, and come from no browser. They
            bound by themselves how much they read.
        longest: Bytes that the body of any other request may have: it is read before anybody asks who sent it.
    """

    def __init__(self, app: ASGIApp, signed: tuple[str, ...], longest: int) -> None:
        self.app = app
        self._signed = signed
        self._longest = longest

    async def __call__(self, scope: types.Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        headers, path = Headers(scope=scope), scope["path"]
        # What another site makes a browser send carries a cookie, and where a token is sent, no cookie counts.
        signed = path.startswith(self._signed) or bearer_token(path, headers) is not None
        query = scope["query_string"]
        # No name of ours holds a nought, and no database takes it; what isn't ASCII should have come encoded.
        if "\0" in path or b"%00" in query or not query.isascii():
            await JSONResponse({"reason": "the address is no text"}, 400)(scope, receive, send_guarded)
        elif "transfer-encoding" in headers and "content-length" in headers:  # a proxy might end it elsewhere
            answer = JSONResponse({"reason": "a length and an encoding"}, 400, {"Connection": "close"})
            await answer(scope, receive, send_guarded)
        elif scope["method"] in SAFE_METHODS or signed or is_same_origin(headers):
            is_read = scope["method"] not in SAFE_METHODS and not path.startswith(self._signed)
            await self.app(scope, self._bounded(headers, receive) if is_read else receive, send_guarded)
        else:
            logger.warning("refused: another site's page sent %s %s", scope["method"], path[:200])
            await PlainTextResponse("refused: the request comes from another site\n", 403)(scope, receive, send_guarded)

    def _bounded(self, headers: Headers, receive: Receive) -> Receive:
        """What is received, until it is too much: then whoever reads it raises what any page answers in its own way."""
        announced, read = headers.get("content-length", ""), 0

        async def bounded() -> Message:
            nonlocal read
            if announced.isdigit() and int(announced) > self._longest:
                raise HTTPException(413, "the body is too large")
            message = await receive()
            read += len(message.get("body", b""))
            if read > self._longest:
                raise HTTPException(413, "the body is too large")
            return message

        return bounded
