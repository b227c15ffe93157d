"""Limits on clients of the web server: how many connections there are, and how long each is waited for.

By itself uvicorn waits for a request for ever, be it that a byte of it comes a minute. A few hundred such connections
take all file handles, and then nobody is let in, edges with alerts least of all.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

logger = logging.getLogger(__name__)

HEAD_S = 10.0  # from the connection, or the first byte of a further request, to the end of its headers
BODY_IDLE_S = 60.0  # between two pieces of a body; edges may be on bad lines, and go on where they were
# From an answer to the next question. Longer than proxies keep a connection (nginx 60 s, Caddy two minutes): one let go
# as a verdict comes in by it is an error to whoever judged, since no proxy asks again what may have been done.
IDLE_S = 130
MOST_FROM_ONE = 200  # connections from one address; a proxy on this machine stands for everybody
# Of everybody together: below the 1024 files that a program may open where nobody says otherwise, of which who takes in
# alerts, and the database, need some.
MOST_AT_ALL = 600


class LimitedSocket(socket.socket):
    """A listening socket that takes no more than so many connections from one address.

    It counts before anything is said: uvicorn hears of a visitor only once TLS has come about, which may be never.
    """

    def __init__(self, listening: socket.socket) -> None:
        super().__init__(fileno=listening.detach())
        self._here: dict[str, list[socket.socket]] = {}

    def accept(self) -> tuple[socket.socket, Any]:
        """The next visitor."""
        while True:
            connection, address = super().accept()
            host = str(address[0])
            here = [one for one in self._here.pop(host, ()) if one.fileno() >= 0]
            if _is_here(host):
                return connection, address
            is_let_in = len(here) < MOST_FROM_ONE
            self._here[host] = [*here, connection] if is_let_in else here
            if len(self._here) > MOST_AT_ALL:  # whoever came first of these is the likeliest to have left
                self._here.pop(next(iter(self._here)))
            if is_let_in:
                return connection, address
            connection.close()
            logger.warning("more than %d connections from %s: refused", MOST_FROM_ONE, host)


class TimeoutProtocol(H11Protocol):
    """HTTP/1.1 as uvicorn speaks it, with an end to waiting for a client."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._giving_up: asyncio.TimerHandle | None = None
        self._waits_for_body = False
        self._came_at = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a visitor in; where too many are here, whoever has said nothing for longest has to leave."""
        super().connection_made(transport)
        self._came_at = self.loop.time()
        if len(self.connections) > MOST_AT_ALL:
            asks_nothing = (one for one in self.connections if isinstance(one, TimeoutProtocol) and one._asks_nothing)
            min(asks_nothing, key=lambda one: one._came_at, default=self).transport.abort()
        self._give_up_in(HEAD_S)

    def data_received(self, data: bytes) -> None:
        """Go on, and see what is to be waited for now."""
        super().data_received(data)
        if self.cycle is None or self.cycle.response_complete:
            self._waits_for_body = False
            if self._giving_up is None:
                self._give_up_in(HEAD_S)  # not anew with each byte
        elif self.cycle.more_body:
            self._waits_for_body = True
            self._give_up_in(BODY_IDLE_S)
        else:
            self._stop_waiting()

    def on_response_complete(self) -> None:
        """The visitor has their answer, and may idle for `IDLE_S`, which uvicorn sees to."""
        self._stop_waiting()
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """They have left."""
        self._stop_waiting()
        super().connection_lost(exc)

    @property
    def _asks_nothing(self) -> bool:
        """Whether they are here without a question: those who come make it soon."""
        is_asked = self.cycle is not None and not self.cycle.response_complete
        return not is_asked and not self.transport.is_closing()

    def _give_up_in(self, seconds: float) -> None:
        self._stop_waiting()
        self._giving_up = self.loop.call_later(seconds, self._give_up)

    def _stop_waiting(self) -> None:
        if self._giving_up is not None:
            self._giving_up.cancel()
            self._giving_up = None

    def _give_up(self) -> None:
        self._giving_up = None
        if self._waits_for_body and self.flow.read_paused:  # it is we who are slow
            self._give_up_in(BODY_IDLE_S)
        elif not self.transport.is_closing():
            logger.info("a visitor was too slow: %s", _host(self))
            self.transport.abort()


def _host(protocol: Any) -> str:
    return protocol.client[0] if protocol.client else ""


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return True  # a socket of this machine
