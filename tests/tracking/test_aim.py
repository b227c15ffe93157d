"""Whether a camera looks elsewhere: by the view it shows, and by the parcels in it."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from detector.inference.view import edges_of
from detector.tracking import SceneTracker
from detector.tracking.aim import Aim
from detector.values import FloatArray, Scene, ViewMeasure
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
Step = tuple[float, NDArray[np.int8], FloatArray]


@pytest.mark.parametrize(
    ("steps", "moved_at"),
    [
        ([(0, HALL, HERE), (1, HALL, HERE), (2, HALL, THERE)], []),  # goods were moved before one view
        ([(0, HALL, HERE), (1, OTHER, HERE)], []),  # by infra-red
        ([(0, HALL, HERE), (1, OTHER, HERE[:4])], []),  # which shows fewer
        ([(0, HALL, HERE), (1, OTHER, THERE)], [11]),
        ([(0, HALL, HERE), (1, OTHER, THERE), (20, HALL, HERE)], [11, 30]),  # on a tour
        ([(0, HALL, HERE), (1, OTHER, HALF_STAYED)], [11]),
        ([(0, HALL, HERE), (1, OTHER, np.concatenate([HERE, THERE[:4]]))], []),
        ([(0, HALL, HERE), (1, IN_FRONT, NONE), (4, IN_FRONT, THERE[:2]), (20, HALL, HERE)], []),
        ([(0, HALL, HERE), (1, CLOTH, NONE), (20, HALL, HERE)], []),
        ([(0, HALL, HERE), (1, CLOTH, NONE), (20, HALL, THERE)], []),  # what was done under it is no move
        ([(0, HALL, HERE), (1, OTHER, THERE), (9, HALL, THERE)], []),  # a stack that was carried past
        ([(0, HALL, HERE), (1, OTHER, THERE), (5, OTHER, NONE), (8, OTHER, THERE)], [11]),  # not found now and then
        ([(0, HALL, HERE), (1, BLACK, NONE), (9, OTHER, THERE)], [19]),  # dark at first
        ([(0, BLACK, NONE), (5, HALL, HERE)], [15]),  # lamps go on where watching begins: what is there lay there
        ([(0, HALL, NONE), (1, OTHER, THERE)], [11]),  # from a wall
        ([(0, HALL, NONE), (1, OTHER, THERE[:2])], []),
        # Noise with parcels in it that are none; and one who walks before the lens with some.
        ([(0, HALL, HERE), *((n, (OTHER, CLOTH, IN_FRONT)[n % 3], THERE) for n in range(1, 30))], []),
    ],
)
def test_it_looks_elsewhere_where_view_and_parcels_are_others_for_long_enough(
    steps: list[Step], moved_at: list[int]
) -> None:
    aim, told = Aim(), []
    for at in range(32):
        _, edges, seen = [step for step in steps if step[0] <= at][-1]
        if aim.look(edges, seen, float(at)) == "elsewhere":
            told.append(at)
        aim.note(seen)
    assert told == moved_at


def measure(seed: int) -> ViewMeasure:
    return ViewMeasure(0.4, 0.2, 0.5, edges_of(warehouse(seed)[..., 1]), 0.0, 0.0, False)


def test_a_tracker_begins_parcels_anew_where_its_camera_was_turned_and_numbers_go_on() -> None:
    tracker = SceneTracker()

    def seen(at: float, hall: int, boxes: FloatArray, *, measured: bool = True) -> tuple[bool | None, list[int]]:
        found = detections([("parcel", tuple(box), 0.9, {"up": 0.9}) for box in boxes.tolist()])
        scene = tracker.update(look(at, found, view=measure(hall) if measured else None))
        return scene.moved, [parcel.id for parcel in scene.parcels]

    for n in range(100):
        assert seen(float(n), 1, HERE) == (False, [1, 2, 3, 4, 5, 6])
    assert seen(100.0, 2, THERE, measured=False)[0] is False  # the view is measured once a second
    assert seen(100.2, 2, THERE)[0] is False
    moved, ids = seen(101.2, 2, THERE)
    assert moved is None and len(ids) == 6 and min(ids) > 6
    assert seen(101.4, 2, THERE, measured=False) == (None, ids)
    assert [seen(101.2 + n, 2, THERE) for n in range(1, 11)] == [*[(None, ids)] * 8, (True, ids), (False, ids)]
    back = [seen(112.0 + n, 1, HERE) for n in range(12)]
    assert [moved for moved, _ in back] == [False, *[None] * 9, True, False]
    assert len(back[-1][1]) == 6 and min(back[-1][1]) > max(ids)


def test_a_stack_before_the_lens_leaves_a_tracker_its_parcels_as_they_were() -> None:
    tracker = SceneTracker()

    def seen(at: float, hall: int, up: float) -> Scene:
        boxes = HERE if hall == 1 else np.concatenate([HERE[:2], HERE - (0, 200, 0, 200)])
        found = detections([("parcel", tuple(box), 0.9, {"up": up, "not_up": 1 - up}) for box in boxes.tolist()])
        return tracker.update(look(at, found, view=measure(hall)))

    before = [seen(float(n), 1, 0.1) for n in range(60)][-1]
    inside = [seen(60.0 + n, 2, 0.9) for n in range(9)]
    assert all(scene.moved is None for scene in inside[1:])
    assert len(inside[-1].parcels) == 8  # which are hidden in pictures as any others are
    after = seen(69.0, 1, 0.1)
    assert after.moved is False
    known = [(p.id, p.facing, p.turned_at) for p in after.parcels if p.first_seen_at < 60]
    assert known == [(p.id, p.facing, p.turned_at) for p in before.parcels]
    assert not any(p.last_seen_at > 61 for p in after.parcels if p.first_seen_at >= 60)


def test_a_tracker_keeps_its_parcels_while_its_camera_is_covered() -> None:
    tracker = SceneTracker()
    found = detections([("parcel", tuple(box), 0.9, {"up": 0.9}) for box in HERE.tolist()])
    for n in range(70):
        scene = tracker.update(look(float(n), found, view=measure(1)))
    covered = [tracker.update(look(70.0 + n, detections([]), view=measure(3))) for n in range(3)]
    again = tracker.update(look(73.0, found, view=measure(1)))
    assert not any(one.moved for one in (*covered, again))
    assert [p.id for p in again.parcels] == [p.id for p in scene.parcels]
