"""When a camera delivers nothing at all: asked by whoever owns a clock, since without frames no scene comes.

An ordinary reconnection takes some seconds, a camera that restarts a minute. Longer is told; it is over when pictures
have come steadily for as long again. A camera that comes and goes all night is one incident: where silences follow
each other within an hour, each waits for twice as long a calm as the one before.
"""

from __future__ import annotations

from typing import Literal

LONGEST_CALM_S = 3600.0


class Silence:
    """Whether one camera has fallen silent.

    Args:
        silent_s: No picture for so long is silence.
        at: Since when pictures are waited for, Unix seconds.

    Attributes:
        since: When the last picture before the silence going on came; `None` while there is none.
        heard_at: When the last picture came, or pictures were first waited for.
        steady_since: Since when pictures have been coming without a gap.
    """

    def __init__(self, silent_s: float, at: float) -> None:
        self.since: float | None = None
        self.heard_at = at
        self.steady_since = at
        self._silent_s = silent_s
        self._calm_s = silent_s
        self._over_at: float | None = None

    def go_on(self, since: float) -> None:
        """A silence of an earlier run goes on, in which the last picture came at this time, Unix seconds."""
        self.since = self.heard_at = since

    def step(self, heard_at: float | None, now: float) -> Literal["begins", "ends"] | None:
        """What changes now.

        Args:
            heard_at: When the last picture came, Unix seconds; `None` when this connection brought none yet.
            now: Unix seconds, of the same clock.
        """
        gap_s = self._silent_s / 4
        if heard_at is not None and heard_at > self.heard_at:
            if heard_at - self.heard_at > gap_s:
                self.steady_since = heard_at
            self.heard_at = heard_at
        quiet_s = now - self.heard_at
        if self.since is None and quiet_s >= self._silent_s:
            again = self._over_at is not None and now - self._over_at < LONGEST_CALM_S
            self._calm_s = min(2 * self._calm_s, LONGEST_CALM_S) if again else self._silent_s
            self.since = self.heard_at
            return "begins"
        if self.since is not None and quiet_s <= gap_s and now - self.steady_since >= self._calm_s:
            self.since, self._over_at = None, now
            return "ends"
        return None
