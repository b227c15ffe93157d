"""How somebody carried themselves of late: looks at a person enter, when they crouched and when they stayed leave."""

from __future__ import annotations

from math import inf
from typing import NamedTuple

from detector.rules.bearing import FRESH_S, Bearing, carried_on, is_crouched, risen, standing
from detector.values import Person

POSTURE_S = 60.0  # how long it is remembered who crouched or stayed when
# Two looks no farther apart are of one span, and two that follow each other for as long as it is known how fast
# somebody went between them (`FRESH_S`).
UNBROKEN_S = 1.0
LOITERING = 0.35  # standing heights a second, below which somebody stays rather than walks by

Spans = tuple[tuple[float, float], ...]


class Posture(NamedTuple):
    """How somebody carried themselves of late.

    Attributes:
        bearing: Now.
        low: Spans of time (from, to) crouched or bent.
        stays: Spans of time in one place.
        stayed_s: Seconds in one place, all in all, also where the span is forgotten.
        upright: Their height when they stood tallest, and the row of their feet then, pixels: who photographs may squat
            for minutes, and a bearing forgets too soon how tall they stand.
    """

    bearing: Bearing | None = None
    low: Spans = ()
    stays: Spans = ()
    stayed_s: float = 0.0
    upright: tuple[float, float] | None = None

    @property
    def height(self) -> float:
        """Standing height now, pixels; 0 before the first look."""
        if self.upright is None or self.bearing is None:
            return 0.0
        return max(standing(self.upright, self.bearing.feet[1]), self.bearing.now)

    def after(self, person: Person, at: float, *, looked_at: float = -inf, shows_feet: bool = True) -> Posture:
        """The posture after one more look.

        Args:
            person: As seen now.
            at: Frame time.
            looked_at: That of the look before: whoever was seen by that one, too, was there between them.
            shows_feet: Whether the feet are in view; of whom they aren't, nobody knows whether they crouch.
        """
        before, bearing = self.bearing, carried_on(self.bearing, person, at)
        now, row = bearing.now, bearing.feet[1]
        upright = risen(self.upright, now, row, at - before.at) if self.upright and before else (now, row)
        unbroken_s = FRESH_S if before and before.at == looked_at else UNBROKEN_S
        since = before.at if before and 0 <= at - before.at <= unbroken_s else None
        is_low = shows_feet and is_crouched(now, standing(upright, row))
        low = lengthened(self.low, since, at) if is_low else self.low
        stays, stayed_s = self.stays, self.stayed_s
        if bearing.speed < LOITERING:
            stays = lengthened(stays, since, at)
            stayed_s += at - max(stays[-1][0], since if since is not None else at)
        return Posture(bearing, recent(low, at), recent(stays, at), stayed_s, upright)

    def crouched(self, begin: float, end: float) -> float:
        """Share 0..1 of a span of time spent crouched; of a moment, whether."""
        if end <= begin:
            return float(any(a <= begin <= b for a, b in self.low))
        return shared_s(self.low, begin, end) / (end - begin)

    def stayed_until(self, at: float) -> float:
        """Seconds in one place until a time not longer than `POSTURE_S` ago."""
        return self.stayed_s - shared_s(self.stays, at, inf)


NEW = Posture()


def lengthened(spans: Spans, since: float | None, at: float) -> Spans:
    """Spans with one that goes on until now if it was there at the look before, `since`, and begins now otherwise."""
    if since is not None and spans and spans[-1][1] == since:
        return (*spans[:-1], (spans[-1][0], at))
    return (*spans, (at, at))


def recent(spans: Spans, at: float) -> Spans:
    """Spans without the first if that is long past."""
    return spans[1:] if spans and at - spans[0][1] > POSTURE_S else spans


def shared_s(spans: Spans, begin: float, end: float) -> float:
    """Seconds of a span of time that lie in any of `spans`."""
    return sum(max(0.0, min(b, end) - max(a, begin)) for a, b in spans)
