"""READ FIRST. The frame's journey, and the stages it meets, as protocols.

    Frame ─ Detector ─ Detections ─ Tracker ─ Scene ─ each Rule ─ Signals ─ IncidentPolicy ─ IncidentUpdates

`Source` and `Sink` stand at the two ends; `worker.py` (live) and `replay.py` (recordings) put them there. Both build
the same `Pipeline` (`assembly.py`). It runs in one thread, does no I/O and asks no clock: time comes with the frame.
To add a rule, write a class with `observe` in `rules/`, and name it in `assembly.build_pipeline`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

from detector.values import Detections, Frame, IncidentUpdate, Scene, Signal


class Source(Protocol):
    """Where frames come from: times increase; iteration ends at the end of a recording; `close` releases it."""

    def __iter__(self) -> Iterator[Frame]:
        """Yield frames in order of time."""
        ...

    def close(self) -> None:
        """Release the file or connection; safe to call twice."""
        ...


class Detector(Protocol):
    """What is in a frame."""

    def detect(self, frame: Frame, people: Iterable[tuple[float, float, float, float]] = ()) -> Detections:
        """Objects of a frame.

        `people` are boxes of people known from the frame before; they are looked at closely even where the whole
        frame at low resolution would miss them.
        """
        ...


class Tracker(Protocol):
    """Who is who over time."""

    @property
    def people(self) -> tuple[tuple[float, float, float, float], ...]:
        """Boxes of the people tracked now."""
        ...

    def update(self, frame: Frame, detections: Detections) -> Scene:
        """Match detections to tracks and forget those long unseen."""
        ...


class Rule(Protocol):
    """What it means."""

    def observe(self, scene: Scene) -> Iterable[Signal]:
        """Signals that this scene adds."""
        ...


class IncidentPolicy(Protocol):
    """Which incident a signal belongs to, and when to speak."""

    def admit(self, signals: Iterable[Signal], at: float) -> list[IncidentUpdate]:
        """Updates that these signals cause, and ends that are due at frame time `at`."""
        ...

    def finish(self) -> list[IncidentUpdate]:
        """End every open incident."""
        ...


class Sink(Protocol):
    """Who is told."""

    def accept(self, update: IncidentUpdate, frame: Frame) -> None:
        """Take an update; `frame` is the frame it arose from."""
        ...


class Pipeline:
    """The stages of one camera, in order."""

    def __init__(self, detector: Detector, tracker: Tracker, rules: Iterable[Rule], policy: IncidentPolicy) -> None:
        self.detector = detector
        self.tracker = tracker
        self.rules = tuple(rules)
        self.policy = policy

    def process(self, frame: Frame) -> list[IncidentUpdate]:
        """Take one frame through every stage."""
        detections = self.detector.detect(frame, self.tracker.people)
        scene = self.tracker.update(frame, detections)
        signals = [signal for rule in self.rules for signal in rule.observe(scene)]
        return self.policy.admit(signals, frame.captured_at)

    def finish(self) -> list[IncidentUpdate]:
        """The recording is over: end what is open."""
        return self.policy.finish()
