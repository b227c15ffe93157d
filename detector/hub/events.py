"""Tells open pages what changed: one numbered stream of server-sent events.

An event's `id` is the number of the change in the store. There is no queue per page: each page's stream remembers the
last number it sent and, when poked, asks for what came after. So a slow page costs nothing, and a page that reconnects
with `Last-Event-ID` misses nothing. After each answer it rests, the longer the more pages are open, since whoever hears
of a change asks for its page anew: when an hour of alerts comes at once, or many guards judge, a hundred open pages
must not keep the hub from its work.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from weakref import WeakValueDictionary

from anyio.to_thread import run_sync

from detector.hub.storage.rights import EVERYWHERE, Scope
from detector.hub.storage.store import Store
from detector.hub.storage.tail import Tail

HEARTBEAT_S = 15.0
TOLD_PER_S = 10  # so often at most, however much happens, all pages together are told of changes
STREAMS_AT_ONCE = 200
OF_ONE = 50  # of one user or token, so that nobody takes them all
RELOAD = "event: reload\ndata: {}\n\n"
REST = ": still here\n\n"
# For pages, which hear no comments: a line that died without a word, as under a phone that slept, is known by silence.
HERE = "event: here\ndata: {}\n\n"


class Live:
    """All open streams."""

    def __init__(self, store: Store, heartbeat_s: float = HEARTBEAT_S) -> None:
        self._store = store
        self._heartbeat_s = heartbeat_s
        self._pokes: dict[asyncio.Event, asyncio.AbstractEventLoop] = {}
        self._tails: WeakValueDictionary[Scope, Tail] = WeakValueDictionary()  # of the scopes of open streams
        self._turn = object()
        self._by: Counter[str] = Counter()
        self._closed = False

    def is_full(self, user: str) -> bool:
        """Whether no more streams are taken, or none of this user or token."""
        return self._closed or len(self._pokes) >= STREAMS_AT_ONCE or self._by[user] >= OF_ONE

    def poke(self) -> None:
        """Something has changed; from any thread."""
        self._turn = object()
        for event, loop in list(self._pokes.items()):
            with suppress(RuntimeError):  # the server has just stopped
                loop.call_soon_threadsafe(event.set)

    def close(self) -> None:
        """End all streams, so that the server can stop; from any thread or a signal handler."""
        self._closed = True
        self.poke()

    async def stream(
        self,
        after: int,
        is_welcome: Callable[[], bool],
        scope: Scope = EVERYWHERE,
        aside: Callable[[], str] = lambda: "",
        heartbeat: str = REST,
        user: str = "",
    ) -> AsyncIterator[str]:
        """Events of changes after number `after`, then as they come.

        `incident` events carry the incident's id; a `reload` event says that too much was missed to tell one by one.

        Args:
            after: The last change the page has seen.
            is_welcome: Asked (in a thread) as often as a heartbeat is due; the stream ends when it says no.
            scope: Incidents outside it are not told of.
            aside: Asked after each poke and heartbeat, in the event loop, for unnumbered events to add; empty for none.
            heartbeat: What is sent where nothing happens.
            user: Whose it is.
        """
        changes = self._tail(scope)
        poked = asyncio.Event()
        loop = self._pokes[poked] = asyncio.get_running_loop()
        self._by[user] += 1
        asked_at = loop.time()
        try:
            yield ": hello\nretry: 2000\n\n"
            while not self._closed:
                poked.clear()
                found, complete = await run_sync(changes.since, after)
                if not complete:
                    after = await run_sync(self._store.last_change)
                    yield f"id: {after}\n{RELOAD}"
                for number, incident in found if complete else ():
                    after = number
                    yield f"id: {number}\nevent: incident\ndata: {json.dumps({'id': incident})}\n\n"
                if told := aside():
                    yield told
                if found or not complete:
                    await asyncio.sleep(self._rest())
                is_poked = await self._wait(poked)
                # Where much happens no heartbeat is ever due; who has no business here any more has to leave even so.
                if not is_poked or loop.time() - asked_at >= self._heartbeat_s:
                    if not await run_sync(is_welcome):
                        return
                    asked_at = loop.time()
                if not is_poked:
                    self._turn = object()  # what another process changed
                    yield heartbeat
        finally:
            del self._pokes[poked]
            self._by -= Counter([user])

    def _tail(self, scope: Scope) -> Tail:
        """The one that all streams of a scope share."""
        tail = self._tails.get(scope)
        if tail is None:
            tail = self._tails[scope] = Tail(self._store, scope, lambda: self._turn)
        return tail

    def _rest(self) -> float:
        """Seconds until a page is told again; by chance more or less, or all of them would ask at the same time."""
        return len(self._pokes) / TOLD_PER_S * random.uniform(0.5, 1.5)  # noqa: S311 - nothing secret

    async def _wait(self, poked: asyncio.Event) -> bool:
        """Wait for a poke, at most until the next heartbeat is due; tells whether it came."""
        try:
            async with asyncio.timeout(self._heartbeat_s):
                await poked.wait()
        except TimeoutError:
            return False
        return True
