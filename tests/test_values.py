"""The facts that travel: shapes are checked on creation, empty sets keep their types."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from detector.values import PARCEL, PERSON, Detections, Severity
from tests.builders import detections, frame


def test_empty_detections_have_the_types_of_full_ones() -> None:
    full, empty = detections([("person", (0, 0, 1, 1), 0.5)]), Detections.empty()
    for name in ("boxes", "scores", "class_ids", "traits"):
        assert getattr(empty, name).dtype == getattr(full, name).dtype
        assert getattr(empty, name).shape == (0, *getattr(full, name).shape[1:])
    assert len(empty) == 0
    assert len(empty.of(PERSON)) == 0
    assert len(empty[empty.scores > 0.5]) == 0


@pytest.mark.parametrize("name", ["boxes", "scores", "class_ids", "traits"])
def test_an_array_of_the_wrong_shape_is_refused_by_name(name: str) -> None:
    arrays: dict[str, Any] = {
        "boxes": np.zeros((2, 4), np.float32),
        "scores": np.zeros(2, np.float32),
        "class_ids": np.zeros(2, np.int64),
        "traits": np.zeros((2, 10), np.float32),
    }
    arrays[name] = np.zeros((2, 7), np.float32)
    with pytest.raises(ValueError, match=f"{name} must have shape .* got \\(2, 7\\)"):
        Detections(**arrays)


def test_rows_are_chosen_and_joined_in_order() -> None:
    both = detections([("person", (0, 0, 9, 9), 0.9), ("parcel", (1, 1, 2, 2), 0.4, {"up": 0.8})])
    parcels = both.of(PARCEL)
    assert parcels.boxes.tolist() == [[1, 1, 2, 2]]
    assert parcels.traits[0, 0] == np.float32(0.8)
    joined = Detections.joined([parcels, both])
    assert joined.class_ids.tolist() == [PARCEL, PERSON, PARCEL]
    assert len(Detections.joined([])) == 0


def test_keypoints_stay_with_their_rows() -> None:
    with_points = replace(detections([("person", (0, 0, 9, 9), 0.9)]), keypoints=np.ones((1, 17, 3), np.float32))
    joined = Detections.joined([detections([("phone", (0, 0, 1, 1), 0.5)]), with_points])
    assert joined.keypoints is not None
    assert np.isnan(joined.keypoints[0]).all()
    assert (joined.of(PERSON).keypoints == 1).all()
    with pytest.raises(ValueError, match="keypoints must have shape"):
        replace(joined, keypoints=np.ones((1, 17, 3), np.float32))


def test_severities_have_an_order() -> None:
    assert [s.value for s in sorted(Severity, key=lambda s: s.rank)] == ["info", "warning", "critical"]


def test_frame_size_is_width_then_height() -> None:
    assert frame(0, (320, 200)).size == (320, 200)
