"""Whether to look at a frame, then what is in it: frames enter, a `Look` at each that isn't passed over leaves.

What is remembered from frame to frame is a matter of seconds: who was seen just now, and whether anything moves. So
recordings can be looked at file by file, in any order and on any machine, and each file gives the same looks but where
somebody is missed within its first seconds (`missed.py`), and whose turn it is while there are more people than can be
looked at closely (`turns.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from detector.inference.gate import MotionGate
from detector.inference.missed import MissedPeople
from detector.inference.turns import Turns
from detector.inference.view import ViewGauge
from detector.values import LABELS, PERSON, UNKNOWN_TRAITS, Box, Detections, Frame, Look, ViewMeasure

LONGEST_PAUSE_S = 60.0  # after which what was remembered is void
VIEW_EVERY_S = 0.97  # how often the picture as such is measured, at most; no multiple of usual times between frames


class Detector(Protocol):
    """What is in a picture."""

    def detect(self, frame: Frame, people: Iterable[Box] = (), turns: Turns | None = None) -> Detections:
        """Objects of a frame.

        `people` are boxes of people known from the frames before; where the whole frame at low resolution misses them
        they are looked at closely, as far as those whom it sees leave room. `turns` says whom of these, where they are
        more than can be: the tallest when left out.
        """


class SceneLooker:
    """Looks at one camera's frames.

    Args:
        detector: What is in a picture; may be shared with other cameras.
        gate: Makes what chooses the frames that are looked at; all of them when left out.
    """

    def __init__(self, detector: Detector, gate: Callable[[], MotionGate] | None = None) -> None:
        self._detector = detector
        self._new_gate = gate
        self._size: tuple[int, int] | None = None
        self._at = 0.0
        self._measured_at = float("-inf")
        self._wanted = False
        self._begin_anew()

    def glance(self, frame: Frame) -> bool:
        """Take note of a frame at little cost, and tell whether it is worth a look.

        Whoever can't look at once may take a later frame instead: the answer stays until there was a look.
        """
        at, size = frame.captured_at, frame.size
        if size != self._size or not 0 < at - self._at <= LONGEST_PAUSE_S:
            self._begin_anew()
        self._at, self._size = at, size
        sample = self._gauge.glance(frame.picture, at)
        opens = self._gate is None or self._gate.opens(sample, at, self._gauge.printed)
        self._wanted = self._wanted or opens
        return self._wanted

    @property
    def calm_s(self) -> float:
        """For how many seconds up to the newest frame nothing has moved and nobody was seen; 0 without a gate."""
        return 0.0 if self._gate is None else self._at - self._gate.stirred_at

    @property
    def printed(self) -> NDArray[np.bool_] | None:
        """Where a sample of its pictures shows a clock's letters; `None` where none is known."""
        return self._gauge.printed

    def look(self, frame: Frame) -> Look | None:
        """What is in a frame; `None` where it is passed over."""
        at, size = frame.captured_at, frame.size
        if (at, size) != (self._at, self._size):
            self.glance(frame)
        wanted, self._wanted = self._wanted, False
        if not wanted:
            return None
        detections = sound(self._detector.detect(frame, self._missed.boxes, self._turns), size)
        people = detections.of(PERSON)
        self._missed.update(people, at)
        if self._gate is not None and len(people):
            self._gate.keep_open(at)
        return Look(frame.camera, frame.index, at, size, detections, self._view(frame), frame.file, frame.offset_s)

    def _view(self, frame: Frame) -> ViewMeasure | None:
        if frame.captured_at - self._measured_at < VIEW_EVERY_S:
            return None
        self._measured_at = frame.captured_at
        return self._gauge.measure(frame.picture)

    def _begin_anew(self) -> None:
        self._gauge = ViewGauge()
        self._missed = MissedPeople()
        self._turns = Turns()
        self._gate = self._new_gate() if self._new_gate is not None else None
        self._measured_at = float("-inf")
        self._wanted = False  # a look is owed since some glance


def sound(detections: Detections, size: tuple[int, int]) -> Detections:
    """The detections with nothing in them that later stages would have to doubt; here and nowhere else it is looked at.

    Rows stay that have a label, a finite score and a finite box that encloses some of the picture. Boxes are cut to
    the picture, scores and traits to 0..1; what is no number counts as not known (`UNKNOWN_TRAITS`).

    Args:
        detections: As a detector gave them.
        size: Width and height of the picture, pixels.
    """
    ids, finite = detections.class_ids, np.isfinite(detections.boxes).all(axis=1) & np.isfinite(detections.scores)
    found = detections[finite & (ids >= 0) & (ids < len(LABELS))]
    boxes = np.clip(found.boxes, 0, np.array(size * 2, np.float32))
    traits = np.where(np.isfinite(found.traits), np.clip(found.traits, 0, 1), np.array(UNKNOWN_TRAITS, np.float32))
    points = found.keypoints
    known = None if points is None else np.where(np.isfinite(points), points, np.float32(np.nan))
    cut = Detections(boxes, np.clip(found.scores, 0, 1), found.class_ids, traits, known, found.passed_over)
    return cut[(boxes[:, :2] < boxes[:, 2:]).all(axis=1)]
