"""A fast first look at a file: its key frames enter, which of them call for everything round them to be seen leaves.

Where neither anything has changed from key frame to key frame, nor the network sees anybody in one now and then, no
more than key frames is looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from detector.inference.gate import MotionGate
from detector.inference.looker import SceneLooker
from detector.inference.view import ViewGauge
from detector.values import PERSON, Frame, Look

LOOK_EVERY_S = 10.0  # at one key frame in any case: somebody may stand still


class KeyFrameScan:
    """Judges the key frames of one file.

    Args:
        looker: Without a gate.
        printed: Where a sample shows a clock's letters, by whoever sees all that is decoded.
    """

    def __init__(self, looker: SceneLooker, printed: Callable[[], NDArray[np.bool_] | None] = lambda: None) -> None:
        self._looker = looker
        self._printed = printed
        self._size: tuple[int, int] | None = None
        self._at = self._looked_at = float("-inf")
        self._looks: list[Look] = []

    def changed(self, frame: Frame) -> bool:
        """Whether something has changed by a key frame, or somebody is in it."""
        at = frame.captured_at
        if frame.size != self._size or at <= self._at:  # files of two were joined, or times stand still
            self._size, self._gate, self._gauge = frame.size, MotionGate(), ViewGauge()
            self._looked_at = float("-inf")
        self._at = at
        sample, printed = self._gauge.glance(frame.picture, at), self._printed()
        if printed is not None and printed.shape != sample.shape:  # it is of the pictures before, of another size
            printed = None
        if self._gate.moves(sample, at, printed):
            return True
        if at - self._looked_at < LOOK_EVERY_S:
            return False
        self._looked_at = at
        look = self._looker.look(frame)
        if look is None:
            return False
        self._looks.append(look)
        return len(look.detections.of(PERSON)) > 0

    def looks_within(self, spans: Sequence[tuple[float, float]]) -> list[Look]:
        """Looks at key frames in these stretches, seconds into the file; those elsewhere were had again."""
        return [look for look in self._looks if any(begin <= look.captured_at < end for begin, end in spans)]
