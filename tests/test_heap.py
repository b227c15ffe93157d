"""When garbage is looked for."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from detector.machine.heap import loading


@pytest.fixture
def looks() -> Iterator[list[str]]:
    """Tells of each time that garbage is looked for, from its beginning to its end."""
    told: list[str] = []
    gc.callbacks.append(lambda phase, _info: told.append(phase))
    yield told
    gc.callbacks.pop()


def many() -> list[list[int]]:
    return [[] for _ in range(100_000)]


def test_no_garbage_is_looked_for_among_what_is_being_loaded_and_later_it_is(looks: list[str]) -> None:
    with loading():
        loaded = many()
        assert not looks
    assert len(loaded) == len(many()) and looks


def test_what_was_loaded_is_not_looked_through_again() -> None:
    with loading():
        loaded = many()
    assert not any(one is loaded for one in gc.get_objects())


def test_garbage_is_looked_for_though_something_could_not_be_loaded() -> None:
    with pytest.raises(ImportError), loading():
        raise ImportError
    assert gc.isenabled()


def test_whoever_had_turned_it_off_finds_it_off() -> None:
    gc.disable()
    try:
        with loading():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
