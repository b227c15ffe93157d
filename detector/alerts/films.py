"""Films that the hub asked for of one camera: wishes enter from any thread, its recorder is told in the camera's own.

A film is kept and handed over as the clip of an incident is, by its own name, but no alert tells of it. One goes on at
a time. It lasts for the seconds asked for, or until the hub, or another wish, ends it; with the pipeline it ends too.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from detector.alerts.clips import ClipRecorder

MOST_WISHES = 8  # between two frames; of more the last count


@dataclass(frozen=True, slots=True)
class _Film:
    """One that goes on, between two frame times."""

    name: str
    began_at: float
    until: float


class CameraFilms:
    """Films of one camera."""

    def __init__(self) -> None:
        self._wishes: deque[tuple[str, float]] = deque(maxlen=MOST_WISHES)
        self._film: _Film | None = None

    def ask(self, name: str, seconds: float) -> None:
        """The hub would like a film of so many seconds, or, with 0, to have it end; from any thread."""
        self._wishes.append((name, seconds))

    def step(self, recorder: ClipRecorder, now: float) -> list[str]:
        """Time went on to the frame time `now`; names of films that ended."""
        ended = []
        while self._wishes:
            name, seconds = self._wishes.popleft()
            if self._film is not None and (seconds > 0.0 or name == self._film.name):
                ended.append(self._end(recorder, self._film))
            if seconds > 0.0:
                self._film = _Film(name, now, now + seconds)
        if self._film is not None and not self._film.began_at <= now < self._film.until:
            ended.append(self._end(recorder, self._film))
        if self._film is not None:
            recorder.start_or_extend(self._film.name, now)
        return ended

    def forget(self) -> str | None:
        """The recorder has closed whatever it was writing; the name of the film that was among it."""
        film, self._film = self._film, None
        return film.name if film else None

    def _end(self, recorder: ClipRecorder, film: _Film) -> str:
        recorder.finish(film.name)
        self._film = None
        return film.name
