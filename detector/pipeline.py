"""READ FIRST. The frame's journey, and the stages it meets, as protocols.

    Frame ─ Looker ─ Look ─ Tracker ─ Scene ─ each Rule ─ Signals ─ IncidentPolicy ─ IncidentUpdates

A `Source` and a sink stand at the two ends; `worker.py` (live) and `replay.py` (recordings) put them there. Both build
the same `Pipeline` (`assembly.py`). It runs in one thread, does no I/O and asks no clock: time comes with the frame.
To add a rule, write a class with `observe` in `rules/`, whose page says the rest, and make one in `assembly.py`.

Looking costs nearly everything and remembers seconds; judging what was seen costs little and remembers days. So the
two can be done apart: live does both at once, replay looks at many files at a time and judges in the order of time.

Frame times are believed as far as they make sense (`Timeline`). Where they leap, incidents end and the stages are built
anew, since what they remember is void; what they learned in days (`Learner`) is carried over. An end tells all that was
seen, also what a rule had kept for its next word (`Withholder`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

from detector.census import ZoneCensus
from detector.values import Frame, IncidentUpdate, Look, Scene, Sight, Signal

MOMENT_DIGITS = 4  # of seconds; times are told to the millisecond
LEAP_S, LATE_S = 60.0, 2.0
EARLIEST, LATEST = -2.2e9, 2.2e11  # the years 1900 and 8941: well within what a calendar can hold


class Source(Protocol):
    """Where frames come from: times increase; iteration ends at the end of a recording; `close` releases it."""

    def __iter__(self) -> Iterator[Frame]:
        """Yield frames in order of time."""
        ...

    def close(self) -> None:
        """Release the file or connection; safe to call twice."""
        ...


class Looker(Protocol):
    """What is in a frame."""

    def glance(self, frame: Frame) -> bool:
        """Take note of a frame, and tell whether it, or a later one in its place, is worth a look; costs little."""
        ...

    def look(self, frame: Frame) -> Look | None:
        """What one look finds; `None` where the frame is passed over, since nothing has changed that mattered."""
        ...

    @property
    def calm_s(self) -> float:
        """For how many seconds up to the newest frame nothing has moved and nobody was seen."""
        ...


class Tracker(Protocol):
    """Who is who over time."""

    def update(self, look: Look) -> Scene:
        """Match detections to tracks and forget those long unseen."""
        ...


class Rule(Protocol):
    """What it means."""

    def observe(self, scene: Scene) -> Iterable[Signal]:
        """Signals that this scene adds.

        Scenes come as often as `analysis.fps` says while somebody is or was just seen or something moves, else some
        seconds apart (`inference/gate.py`): what lasts is told by their times.
        """
        ...


@runtime_checkable
class Believer(Protocol):
    """A rule that has a belief of who photographs."""

    def photographing(self, tracks: Iterable[int]) -> Mapping[int, float]:
        """How far it is believed of each of these tracks, since the scene observed last, that it photographs, 0..1."""
        ...


@runtime_checkable
class Counter(Protocol):
    """A rule that counts what lies in zones."""

    def census(self, scene: Scene) -> tuple[ZoneCensus, ...]:
        """What lies in each as of the scene observed last, and what happened there since the last census."""
        ...


@runtime_checkable
class Withholder(Protocol):
    """A rule that doesn't say at once all that it sees of a finding which goes on."""

    def withheld(self, scene: Scene) -> Iterable[Signal]:
        """What it hasn't told yet of what goes on, as of the scene observed last; it may be asked again."""
        ...


class IncidentPolicy(Protocol):
    """Which incident a signal belongs to, and when to speak."""

    def admit(self, signals: Iterable[Signal], at: float) -> list[IncidentUpdate]:
        """Updates that these signals cause, and ends that are due at frame time `at`."""
        ...

    def finish(self, withheld: Iterable[Signal] = ()) -> list[IncidentUpdate]:
        """End every open incident, each with what was withheld of it."""
        ...


@runtime_checkable
class Learner(Protocol):
    """A tracker, rule or policy that learns what is usual here, over days."""

    def learned(self) -> dict[str, Any]:
        """What it has learned, without frame times: it outlives a clock that was set."""
        ...

    def recall(self, learned: dict[str, Any]) -> None:
        """Take up what an earlier one of its kind had learned."""
        ...


@dataclass(frozen=True, slots=True)
class Stages:
    """What follows the look: everything that remembers for long."""

    tracker: Tracker
    rules: tuple[Rule, ...]
    policy: IncidentPolicy

    @property
    def learners(self) -> dict[str, Learner]:
        """Those that learn, by the names of their classes."""
        every = (self.tracker, *self.rules, self.policy)
        return {type(stage).__name__: stage for stage in every if isinstance(stage, Learner)}


class Timeline:
    """Which frame times are believed, and where they leap.

    A frame that comes twice, or up to `LATE_S` late, is left out. A time further back, or ahead by more than `LEAP_S`,
    is believed as soon as a second frame goes on from it: a wrong time among right ones, or a second stream between the
    frames of the first, moves nothing, and a leap costs one frame.
    """

    def __init__(self) -> None:
        self._last: float | None = None
        self._doubted: float | None = None

    def leap(self, at: float) -> float | None:
        """By how many seconds time leaps with a frame of this time: mostly 0; `None`: leave the frame out."""
        if not EARLIEST < at < LATEST:  # NaN isn't either
            return None
        ahead = at - self._last if self._last is not None else 0.0
        if self._last is None or 0 < ahead <= LEAP_S:
            self._last, self._doubted = at, None
            return 0.0
        if -LATE_S <= ahead <= 0:
            return None
        doubted, self._doubted = self._doubted, at
        if doubted is None or at <= doubted or (doubted < self._last) != (ahead < 0):
            return None
        self._last, self._doubted = at, None
        return ahead


class Judge:
    """The stages of one camera that judge what was seen, in order.

    Args:
        build: Makes them, first and after time leapt.

    Attributes:
        left_out: Looks not taken, since their times make no sense (a pipeline's: or there is no picture in the frame).
        scene: What the newest look taken shows; `None` before the first.
        sight: What was seen by the look taken last; `None` where that was left out.
    """

    def __init__(self, build: Callable[[], Stages]) -> None:
        self.left_out = 0
        self.scene: Scene | None = None
        self.sight: Sight | None = None
        self._build = build
        self._begin()
        self._timeline = Timeline()
        self._size: tuple[int, int] | None = None
        self._failed = False

    def judge(self, look: Look) -> list[IncidentUpdate]:
        """Take one look through every stage."""
        leap = self._leap(look.captured_at)
        return [] if leap is None else self._take(look, leap)

    def _leap(self, at: float) -> float | None:
        """By how much time leaps with what comes; `None`: leave it out."""
        self.sight = None
        leap = self._timeline.leap(at)
        self.left_out += leap is None
        return leap

    def _take(self, look: Look, leap: float) -> list[IncidentUpdate]:
        # A clock and a file's start with an offset give the same moment with another last digit, by which a duration
        # is reached or isn't.
        look = replace(look, captured_at=round(look.captured_at, MOMENT_DIGITS))
        # Boxes remembered in pixels mean nothing in a picture of another size.
        first, resized, self._size = self._size is None, self._size not in (None, look.size), look.size
        updates = self._begin_anew() if leap or resized else []
        self._failed = True  # until all have taken it
        scene = self._stages.tracker.update(look)
        if leap:
            scene = replace(scene, clock_step_s=leap)
        self.scene = scene
        # Whatever a rule thinks of, no label is to be legible in the picture that goes with what it says.
        signals = [
            replace(signal, private=scene.private) for rule in self._stages.rules for signal in rule.observe(scene)
        ]
        self._failed = False
        self.sight = Sight(scene, self._photographing(scene), bool(first or leap or resized))
        return updates + self._stages.policy.admit(signals, look.captured_at)

    def finish(self) -> list[IncidentUpdate]:
        """No look follows: end what is open, with all that was seen of it."""
        return self._stages.policy.finish(self._withheld())

    def census(self) -> tuple[ZoneCensus, ...]:
        """What lies in the zones as of the newest frame looked at, and what happened there since the last census."""
        scene, rules = self.scene, self._stages.rules
        return tuple(z for rule in rules if scene and isinstance(rule, Counter) for z in rule.census(scene))

    def learned(self) -> dict[str, dict[str, Any]]:
        """What the stages have learned, by the names of their classes."""
        return {name: stage.learned() for name, stage in self._stages.learners.items()}

    def recall(self, learned: dict[str, dict[str, Any]]) -> None:
        """Take up what the stages of an earlier pipeline of this camera had learned."""
        for name, stage in self._stages.learners.items():
            if name in learned:
                stage.recall(learned[name])

    def _withheld(self) -> list[Signal]:
        """What rules have yet to tell; nothing where one failed at the scene, and would again."""
        scene = self.scene
        if scene is None or self._failed:
            return []
        rules = (rule for rule in self._stages.rules if isinstance(rule, Withholder))
        return [replace(signal, private=scene.private) for rule in rules for signal in rule.withheld(scene)]

    def _photographing(self, scene: Scene) -> dict[int, float]:
        tracks = [person.id for person in scene.people]
        return {track: belief for rule in self._believers for track, belief in rule.photographing(tracks).items()}

    def _begin_anew(self) -> list[IncidentUpdate]:
        ended, learned = self.finish(), self.learned()
        self._begin()
        self.recall(learned)
        return ended

    def _begin(self) -> None:
        self._stages = self._build()
        # Not asked at every frame: whether a class keeps a protocol takes long to tell.
        self._believers = [rule for rule in self._stages.rules if isinstance(rule, Believer)]


class Pipeline(Judge):
    """All stages of one camera: each frame is looked at, and what was seen is judged.

    Args:
        looker: What is in a frame.
        build: As of `Judge`.

    Attributes:
        passed_over: Frames that the looker passed over.
    """

    def __init__(self, looker: Looker, build: Callable[[], Stages]) -> None:
        super().__init__(build)
        self.looker = looker
        self.passed_over = 0

    def glance(self, frame: Frame) -> bool:
        """Whether much will be done with a frame; one for which that holds may be given up for a later one."""
        return min(frame.size) > 0 and self.looker.glance(frame)

    @property
    def calm_s(self) -> float:
        """For how many seconds up to the newest frame nothing has moved and nobody was seen."""
        return self.looker.calm_s

    def process(self, frame: Frame) -> list[IncidentUpdate]:
        """Take one frame through every stage."""
        leap = self._leap(frame.captured_at if min(frame.size) > 0 else math.nan)
        look = self.looker.look(frame) if leap is not None else None
        if leap is None or look is None:
            self.passed_over += leap is not None
            return []
        return self._take(look, leap)
