"""What open pages are told from memory is what the database would tell them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event

from detector.hub.storage import tail as module
from detector.hub.storage.changes import note_changes
from detector.hub.storage.rights import EVERYWHERE, Scope
from detector.hub.storage.store import Store
from detector.hub.storage.tail import Tail

NOON = 1_793_505_600.0
MOST = 4
NAMES = "abcdefgh"  # every other one is seen by who sees Shanghai alone
Build = Callable[..., dict[str, Any]]

changed = st.lists(st.sampled_from(NAMES), min_size=1, max_size=2 * MOST)
asked = st.integers(-2 * MOST, 2)  # how far from the latest change


@pytest.fixture
def known(sqlite_store: Store, envelope: Build, monkeypatch: pytest.MonkeyPatch) -> Store:
    """Some incidents of two sites."""
    monkeypatch.setattr(module, "MOST_KEPT", MOST)
    sites = ("shanghai", "suzhou")
    sqlite_store.add_alerts(
        [envelope(n, incident=name, site=sites[n % 2]) for n, name in enumerate(NAMES, start=2)], NOON
    )
    return sqlite_store


def change(store: Store, *names: str) -> None:
    with store.database.writing() as connection:
        note_changes(connection, names)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(changed | asked, max_size=12), st.sampled_from([EVERYWHERE, Scope.of(["shanghai"])]))
def test_it_tells_what_the_database_tells(known: Store, steps: list[list[str] | int], scope: Scope) -> None:
    turns = [object()]
    tail = Tail(known, scope, lambda: turns[-1])
    for step in steps:
        if isinstance(step, list):
            change(known, *step)
            turns.append(object())
        else:
            number = known.last_change() + step
            assert tail.since(number) == known.changed_since(number, MOST, scope=scope)


def test_many_pages_ask_the_database_once_for_each_change(known: Store) -> None:
    turns = [object()]
    tail = Tail(known, EVERYWHERE, lambda: turns[-1])
    seen = known.last_change()
    tail.since(seen)
    asked: list[str] = []
    event.listen(known.database.engine, "before_cursor_execute", lambda *told: asked.append(told[2]))
    change(known, "a")
    turns.append(object())
    told = [tail.since(seen) for _ in range(20)]
    assert [incident for found, _ in told for _, incident in found] == ["a"] * 20
    assert sum("changes.number >" in statement for statement in asked) == 1
