"""What a rule remembers of each track: states by track id, dropped when the tracker says the track ended."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

S = TypeVar("S")


class TrackMemory(Generic[S]):
    """States by track id; `start` makes the state of a track met for the first time."""

    def __init__(self, start: Callable[[], S]) -> None:
        self._start = start
        self._states: dict[int, S] = {}

    def __getitem__(self, track: int) -> S:
        return self._states[track] if track in self._states else self._start()

    def __setitem__(self, track: int, state: S) -> None:
        self._states[track] = state

    def __len__(self) -> int:
        return len(self._states)

    def items(self) -> Iterable[tuple[int, S]]:
        """Tracks with their states."""
        return self._states.items()

    def drop(self, ended: frozenset[int]) -> list[tuple[int, S]]:
        """Forget tracks that ended; returns them with their last states."""
        return [(track, self._states.pop(track)) for track in sorted(ended) if track in self._states]
