"""Whether a camera looks elsewhere: by the view it shows, and by the parcels in it."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from detector.inference.view import edges_of
from detector.tracking import SceneTracker
from detector.tracking.aim import Aim
from detector.values import FloatArray, ViewMeasure
from tests.builders import detections, look
from tests.tracking.test_view import warehouse

NONE = np.zeros((0, 4), np.float32)


def row(left: float, count: int = 6) -> FloatArray:
    """Parcels side by side."""
    return np.array([(left + 90 * n, 300, left + 90 * n + 60, 350) for n in range(count)], np.float32).reshape(-1, 4)


HERE, THERE = row(50), row(95)
HALF_STAYED = np.concatenate([HERE[:3], THERE[:4]])
BLACK = np.zeros_like(edges_of(warehouse(0)[..., 1]))
HALL, OTHER, IN_FRONT, CLOTH = (edges_of(warehouse(seed)[..., 1]) for seed in range(4))
Step = tuple[NDArray[np.int8], FloatArray]


@pytest.mark.parametrize(
    ("steps", "moves"),
    [
        ([(HALL, HERE), (HALL, HERE), (HALL, THERE)], [0, 0, 0]),  # goods were moved before one view
        ([(HALL, HERE), (OTHER, HERE)], [0, 0]),  # by infra-red
        ([(HALL, HERE), (OTHER, HERE[:4])], [0, 0]),  # which shows fewer
        ([(HALL, HERE), (OTHER, THERE)], [0, 1]),
        ([(HALL, HERE), (OTHER, THERE), (OTHER, THERE), (HALL, HERE)], [0, 1, 0, 1]),  # on a tour
        ([(HALL, HERE), (OTHER, HALF_STAYED)], [0, 1]),
        ([(HALL, HERE), (OTHER, np.concatenate([HERE, THERE[:4]]))], [0, 0]),
        ([(HALL, HERE), (IN_FRONT, NONE), (IN_FRONT, THERE[:2]), (HALL, HERE)], [0, 0, 0, 0]),
        ([(HALL, HERE), (CLOTH, NONE), (CLOTH, NONE), (HALL, HERE)], [0, 0, 0, 0]),
        (
            [(HALL, HERE), (CLOTH, NONE), (CLOTH, NONE), (HALL, THERE)],
            [0, 0, 0, 0],
        ),  # what was done under it is no move
        ([(HALL, HERE), (BLACK, NONE), (OTHER, THERE)], [0, 0, 1]),  # dark at first
        ([(BLACK, NONE), (HALL, HERE)], [0, 1]),  # lamps go on where watching begins: what is there lay there
        ([(HALL, NONE), (OTHER, THERE)], [0, 1]),  # from a wall
        ([(HALL, NONE), (OTHER, THERE[:2])], [0, 0]),
    ],
)
def test_it_looks_elsewhere_where_view_and_parcels_are_others(steps: list[Step], moves: list[int]) -> None:
    aim, told = Aim(), []
    for edges, seen in steps:
        told.append(int(aim.moves(edges, seen)))
        aim.note(seen)
    assert told == moves


def measure(seed: int) -> ViewMeasure:
    return ViewMeasure(0.4, 0.2, 0.5, edges_of(warehouse(seed)[..., 1]), 0.0, 0.0, False)


def test_a_tracker_begins_parcels_anew_where_its_camera_was_turned_and_numbers_go_on() -> None:
    tracker = SceneTracker()

    def seen(at: float, hall: int, boxes: FloatArray, *, measured: bool) -> tuple[bool, list[int]]:
        found = detections([("parcel", tuple(box), 0.9, {"up": 0.9}) for box in boxes.tolist()])
        scene = tracker.update(look(at, found, view=measure(hall) if measured else None))
        return scene.moved, [parcel.id for parcel in scene.parcels]

    for n in range(100):
        assert seen(float(n), 1, HERE, measured=True) == (False, [1, 2, 3, 4, 5, 6])
    assert seen(100.0, 2, THERE, measured=False)[0] is False  # the view is measured once a second
    moved, ids = seen(100.2, 2, THERE, measured=True)
    assert moved and len(ids) == 6 and min(ids) > 6
    assert seen(101.0, 2, THERE, measured=True) == (False, ids)
    moved, back = seen(102.0, 1, HERE, measured=True)
    assert moved and len(back) == 6 and min(back) > max(ids)


def test_a_tracker_keeps_its_parcels_while_its_camera_is_covered() -> None:
    tracker = SceneTracker()
    found = detections([("parcel", tuple(box), 0.9, {"up": 0.9}) for box in HERE.tolist()])
    for n in range(70):
        scene = tracker.update(look(float(n), found, view=measure(1)))
    covered = [tracker.update(look(70.0 + n, detections([]), view=measure(3))) for n in range(3)]
    again = tracker.update(look(73.0, found, view=measure(1)))
    assert not any(one.moved for one in (*covered, again))
    assert [p.id for p in again.parcels] == [p.id for p in scene.parcels]
