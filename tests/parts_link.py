"""A network between two programs of this machine that stalls, cuts and delays when told."""

from __future__ import annotations

import asyncio
import contextlib
import random
import threading
from collections.abc import Coroutine
from typing import Any

from detector.mqtt.broker import is_listening

CHUNK = 65_536
PORTS = iter(random.SystemRandom().sample(range(20_000, 32_000), 12_000))


def lasting_port() -> int:
    """A port that is free again after its owner was killed: the kernel takes none of these for outgoing connections."""
    return next(port for port in PORTS if not is_listening(port))


class Link:
    """A TCP proxy on 127.0.0.1 in a thread of its own; all is well until told otherwise.

    Args:
        target: The port that connections are passed on to.

    Attributes:
        port: Where to connect instead.
    """

    def __init__(self, target: int) -> None:
        self.port = lasting_port()
        self._target = target
        self._delay_s = 0.0
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="link", daemon=True)
        self._thread.start()
        self._flows = asyncio.Event()
        self._now(self._open())

    def stall(self) -> None:
        """Connections stand, new ones are taken in, and nothing passes."""
        self._loop.call_soon_threadsafe(self._flows.clear)

    def delay(self, seconds: float) -> None:
        """Every piece comes so much later."""
        self._delay_s = seconds

    def cut(self) -> None:
        """Connections break off, in mid-packet where one is under way, and new ones are refused."""
        self._now(self._cut())

    def mend(self) -> None:
        """All is well again."""
        self._delay_s = 0.0
        self._loop.call_soon_threadsafe(self._flows.set)
        self._now(self._open())

    def close(self) -> None:
        """End."""
        self._now(self._cut())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _now(self, what: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(what, self._loop).result(10.0)

    async def _open(self) -> None:
        self._flows.set()
        if self._server is None:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)

    async def _cut(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in list(self._writers):
            writer.transport.abort()
        self._flows.set()  # what waits finds its connection broken

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            with contextlib.suppress(OSError):
                far_reader, far = await asyncio.open_connection("127.0.0.1", self._target)
                self._writers.add(far)
                await asyncio.gather(self._pump(reader, far), self._pump(far_reader, writer))
                self._writers.discard(far)
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(CHUNK):
                await self._flows.wait()
                if self._delay_s:
                    await asyncio.sleep(self._delay_s)
                writer.write(data)
                await writer.drain()
        await self._flows.wait()  # nor does an end pass
        writer.close()
