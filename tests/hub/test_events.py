"""Open pages hear of every change once, also after they were away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from sqlalchemy import event

from detector.hub.events import Live
from detector.hub.storage.store import Store

NOON = 1_793_505_600.0
Build = Callable[..., dict[str, Any]]


async def until(stream: AsyncIterator[str], wanted: str) -> list[str]:
    """Events up to the first that contains the words."""
    seen: list[str] = []
    async with asyncio.timeout(20):
        async for event in stream:
            seen.append(event)
            if wanted in event:
                return seen
    raise AssertionError(f"the stream ended: {seen}")


def ids(events: list[str]) -> list[str]:
    """Numbers of the events that have one."""
    return [event.split("\n")[0].removeprefix("id: ") for event in events if event.startswith("id: ")]


def test_a_change_reaches_a_waiting_page(sqlite_store: Store, envelope: Build) -> None:
    async def scene() -> None:
        live = Live(sqlite_store)
        stream = live.stream(0, lambda: True)
        assert (await anext(stream)).startswith(": hello")
        waiting = asyncio.create_task(until(stream, "inc-2"))
        await asyncio.to_thread(sqlite_store.add_alerts, [envelope(1, incident="inc-1")], NOON)
        live.poke()
        await asyncio.to_thread(sqlite_store.add_alerts, [envelope(2, incident="inc-2")], NOON)
        await asyncio.to_thread(live.poke)
        assert ids(await waiting) == ["1", "2"]
        live.close()
        assert [event async for event in stream] == []

    asyncio.run(scene())


def test_who_is_not_welcome_any_more_leaves_however_much_happens(sqlite_store: Store, envelope: Build) -> None:
    async def scene() -> None:
        live = Live(sqlite_store, heartbeat_s=0.2)
        heard = 0
        async with asyncio.timeout(20):
            async for _ in live.stream(0, lambda: False):
                heard += 1
                await asyncio.to_thread(sqlite_store.add_alerts, [envelope(heard)], NOON)
                live.poke()  # so that no heartbeat is ever due
        assert not live._pokes

    asyncio.run(scene())


def test_a_page_that_was_away_gets_what_it_missed_and_nothing_twice(sqlite_store: Store, envelope: Build) -> None:
    async def scene() -> None:
        live = Live(sqlite_store)
        for n in range(1, 6):
            sqlite_store.add_alerts([envelope(n, incident=f"inc-{n}")], NOON)
        assert ids(await until(live.stream(3, lambda: True), "inc-5")) == ["4", "5"]

    asyncio.run(scene())


@pytest.mark.parametrize("after", [0, 99_999])
def test_a_page_that_was_away_too_long_is_told_to_reload(sqlite_store: Store, envelope: Build, after: int) -> None:
    async def scene() -> None:
        sqlite_store.add_alerts([envelope(n, incident=f"inc-{n}") for n in range(1, 202)], NOON)
        seen = await until(Live(sqlite_store).stream(after, lambda: True), "event: reload")
        assert ids(seen) == ["201"]

    asyncio.run(scene())


def test_while_much_happens_open_pages_gather_what_they_ask_for_and_miss_nothing(
    sqlite_store: Store, envelope: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("detector.hub.events.TOLD_PER_S", 4)
    asked: list[str] = []
    event.listen(sqlite_store.database.engine, "before_cursor_execute", lambda *told: asked.append(told[2]))

    async def scene() -> None:
        live = Live(sqlite_store)
        pages = [asyncio.create_task(until(live.stream(0, lambda: True), "inc-6")) for _ in range(2)]
        for n in range(1, 7):
            await asyncio.to_thread(sqlite_store.add_alerts, [envelope(n, incident=f"inc-{n}")], NOON)
            live.poke()
            await asyncio.sleep(0.02)
        for page in pages:
            assert ids(await page) == ["1", "2", "3", "4", "5", "6"]

    asyncio.run(scene())
    assert sum("changes.number >" in statement for statement in asked) <= 2 * 4


def test_heartbeats_come_until_the_session_ends(sqlite_store: Store) -> None:
    async def scene() -> None:
        welcome = [True, True, False]
        live = Live(sqlite_store, heartbeat_s=0.01)
        seen = [event async for event in live.stream(0, lambda: welcome.pop(0))]
        assert seen[1:] == [": still here\n\n"] * 2
        assert not live._pokes

    asyncio.run(scene())


def test_streams_are_limited(sqlite_store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("detector.hub.events.STREAMS_AT_ONCE", 1)

    async def scene() -> None:
        live = Live(sqlite_store)
        stream = live.stream(0, lambda: True)
        await anext(stream)
        assert live.is_full("li")
        await stream.aclose()  # type: ignore[attr-defined]
        assert not live.is_full("li")

    asyncio.run(scene())


def test_nobody_takes_all_streams(sqlite_store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("detector.hub.events.OF_ONE", 2)

    async def scene() -> None:
        live = Live(sqlite_store)
        streams = [live.stream(0, lambda: True, user="li") for _ in range(2)]
        for stream in streams:
            await anext(stream)
        assert live.is_full("li") and not live.is_full("wang")
        await streams[0].aclose()  # type: ignore[attr-defined]
        assert not live.is_full("li")

    asyncio.run(scene())
