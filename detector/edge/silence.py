"""A camera's silence as incidents: when it was last heard enters; what begins, lasts or is over leaves for its sink.

A silence outlasts the worker: a camera that is broken stays so however often the box is started anew meanwhile, and is
told of once. So it has no end when a worker stops, and the next takes it up.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from detector.alerts.merging import begun
from detector.alerts.sink import AlertSink
from detector.clock import UNSET
from detector.rules.silence import Silence
from detector.telling import due_again
from detector.values import Box, Frame, Incident, IncidentKind, IncidentUpdate, Phase, Severity, Sight, Signal

# Where nothing moves a look comes every five seconds, or with the next key frame, which at rest may be five more.
LONGEST_APART_S = 10.0
SILENT = "silent"


class SilenceBook:
    """The silence of one camera: told of when it begins, as it grows, and when it is over.

    It knows no threads: whoever calls it sees to it that nobody else tells the sink meanwhile.

    Args:
        camera: Its name.
        sink: Who is told.
        silent_s: No picture for so long is silence.
        at: Since when pictures are waited for, Unix seconds.
        least_score: Of findings that become incidents, by kind; may change at any time.
    """

    def __init__(
        self,
        camera: str,
        sink: AlertSink,
        silent_s: float,
        at: float,
        least_score: Mapping[IncidentKind, float] | None = None,
    ) -> None:
        self._camera = camera
        self._at = at
        self._least_score = {} if least_score is None else least_score
        self._sink = sink
        self._silence = Silence(silent_s, at)
        self._open: Incident | None = None

    @property
    def unbroken(self) -> bool:
        """Whether a silence goes on in which no picture has come."""
        return self._silence.since == self._silence.heard_at

    def take_up(self, fields: Mapping[str, Any]) -> bool:
        """Go on with a silence that an earlier run told of last by this envelope; tells whether it does.

        One told by a clock that wasn't set, or that was put back since, would last for years, or less than nothing.
        """
        after = fields["after"]
        since, told_at = after["started_at_unix"], after["ended_at_unix"]
        if after["facts"].get("what") != SILENT or not UNSET <= since <= told_at <= self._at:
            return False
        self._silence.go_on(since)
        self._open = begun(self._sink.site, _silence_of(self._camera, since, told_at, ()))
        return True

    def step(self, heard_at: float | None, now: float, frame: Frame | None, sight: Sight | None) -> None:
        """Tell what changes now.

        Args:
            heard_at: When the last picture came, Unix seconds; `None` when this connection brought none yet.
            now: Unix seconds, of the same clock.
            frame: The last picture.
            sight: What was seen last; `None` where nothing was ever looked at.
        """
        change = self._silence.step(heard_at, now)
        if change == "begins":
            self._begin(now, frame, sight)
        elif change == "ends":
            self._end(self._silence.steady_since, frame)
        elif self._open is None and self.unbroken:
            self._begin(now, frame, sight)  # it was switched off until now
        else:
            self._tell_again(now)

    def _begin(self, now: float, frame: Frame | None, sight: Sight | None) -> None:
        private = sight.scene.private if sight is not None else ()
        signal = _silence_of(self._camera, self._silence.heard_at, now, private)
        if signal.score < self._least_score.get(signal.kind, 0.0):
            return  # switched off
        self._open = begun(self._sink.site, signal)
        shown = frame if frame is not None and sight is not None and shows(frame, sight) else None
        self._sink.accept(IncidentUpdate(Phase.NEW, None, self._open), shown)

    def _end(self, at: float, frame: Frame | None) -> None:
        before, self._open = self._open, None
        if before is not None:
            self._sink.accept(IncidentUpdate(Phase.END, before, _lasting(before, at)), frame)

    def _tell_again(self, now: float) -> None:
        """Say how long a silence has grown, ever more seldom; without a frame, since none has come."""
        before = self._open
        if before is None or self._silence.heard_at > before.started_at:
            return
        if due_again(before.ended_at - before.started_at, now - before.started_at):
            self._open = _lasting(before, now)
            self._sink.accept(IncidentUpdate(Phase.UPDATE, before, self._open), None)


def shows(frame: Frame, sight: Sight) -> bool:
    """Whether labels lie in a picture where they were seen to lie.

    A picture that came after a while without any, or that a pipeline failed at, was not looked at.
    """
    scene = sight.scene
    return frame.size == scene.size and 0 <= frame.captured_at - scene.at <= LONGEST_APART_S


def _silence_of(camera: str, heard_at: float, now: float, private: tuple[Box, ...]) -> Signal:
    """A camera that has brought no picture since `heard_at`, as a rule would tell it; `private` as of the last one."""
    facts = {"what": SILENT, "lasted_s": round(now - heard_at, 1)}
    return Signal(IncidentKind.TAMPER, camera, None, heard_at, now, 1.0, Severity.WARNING, facts=facts, private=private)


def _lasting(incident: Incident, until: float) -> Incident:
    """A camera's silence that goes on until then."""
    facts = {**incident.facts, "lasted_s": round(until - incident.started_at, 1)}
    return replace(incident, ended_at=until, facts=facts)
