"""A thread of the hub's own: started, woken and stopped."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from detector.hub.background import Background

LONG_S, ENOUGH_S = 60.0, 5.0


class Rounds:
    """Work that counts its rounds and rests for long between them."""

    def __init__(self) -> None:
        self.background = Background("rounds", self._work)
        self._made = threading.Semaphore(0)

    def _work(self) -> None:
        while self.background.pause(LONG_S):
            self._made.release()

    def made_one(self, within_s: float = ENOUGH_S) -> bool:
        return self._made.acquire(timeout=within_s)


@pytest.fixture
def rounds() -> Iterator[Rounds]:
    rounds = Rounds()
    yield rounds
    assert rounds.background.stop(ENOUGH_S)


def test_a_poke_ends_the_pause(rounds: Rounds) -> None:
    rounds.background.start()
    for _ in range(3):
        rounds.background.poke()
        assert rounds.made_one()
    assert not rounds.made_one(within_s=0.05)


def test_a_poke_before_the_start_counts(rounds: Rounds) -> None:
    rounds.background.poke()
    rounds.background.start()
    assert rounds.made_one()


def test_it_ends_in_the_middle_of_a_pause_and_starts_again(rounds: Rounds) -> None:
    for _ in range(2):
        rounds.background.start()
        assert rounds.background.is_running
        assert rounds.background.stop(ENOUGH_S)
        assert rounds.background.stopping
        assert not rounds.background.is_running
    rounds.background.start()
    rounds.background.poke()
    assert rounds.made_one()


def test_stopping_tells_whether_it_has_ended() -> None:
    over = threading.Event()
    stubborn = Background("stubborn", lambda: over.wait(LONG_S))
    stubborn.start()
    assert not stubborn.stop(0.05)
    over.set()
    assert stubborn.stop(ENOUGH_S)


def test_stopping_without_a_start_is_fine() -> None:
    idle = Background("idle", lambda: None)
    assert idle.stop()
    assert not idle.is_running
