"""Detections to a scene: people, parcels, and whose hand each device is in."""

from __future__ import annotations

import numpy as np
import pytest

from detector.inference.looker import sound
from detector.tracking import SceneTracker
from detector.tracking.parcels import ParcelSlots
from detector.tracking.people import PeopleTracker
from detector.tracking.tracker import holder_of
from detector.values import Box, Detections
from tests.builders import SIZE, detections, look, person

LEFT, RIGHT = person(1, (100, 100, 200, 400)), person(2, (250, 100, 350, 400))


@pytest.mark.parametrize(
    ("device", "holder"),
    [
        pytest.param((140, 200, 160, 220), 1, id="before the chest"),
        pytest.param((205, 200, 213, 220), 1, id="arm's length"),
        pytest.param((214, 200, 222, 220), None, id="a little beyond"),
        pytest.param((238, 200, 250, 220), 2, id="nearer to the other"),
        pytest.param((240, 460, 260, 480), None, id="below the feet of nobody"),
        pytest.param((600, 200, 620, 220), None, id="on a table"),
    ],
)
def test_whose_hand_a_device_is_in(device: Box, holder: int | None) -> None:
    assert holder_of(device, [LEFT, RIGHT]) == holder
    assert holder_of(device, [RIGHT, LEFT]) == holder
    assert holder_of(device, []) is None


def test_of_two_people_who_overlap_the_one_in_line_holds_it() -> None:
    behind = person(3, (150, 80, 230, 380))
    assert holder_of((180, 200, 196, 220), [LEFT, behind]) == 3
    assert holder_of((146, 200, 160, 220), [LEFT, behind]) == 1


def test_what_is_held_above_somebody_who_squats_is_not_theirs() -> None:
    squatting = person(3, (92, 250, 192, 410))
    at_the_chest_behind, in_the_lap = (134, 255, 150, 275), (134, 330, 150, 350)
    assert holder_of(at_the_chest_behind, [LEFT, squatting]) == 1
    assert holder_of(in_the_lap, [LEFT, squatting]) == 3


def test_a_scene_holds_all_that_was_seen() -> None:
    tracker = SceneTracker()
    seen = detections(
        [
            ("person", (100, 100, 200, 400), 0.9),
            ("phone", (140, 200, 160, 220), 0.8, {"photo": 0.7, "call": 0.1}),
            ("scanner", (700, 200, 720, 220), 0.6),
            ("parcel", (300, 380, 380, 440), 0.9, {"up": 0.9}),
            ("label", (320, 400, 350, 420), 0.5),
        ]
    )
    scenes = [tracker.update(look(at, seen, (800, 600))) for at in (10.0, 10.2, 10.4)]
    assert [len(scene.people) for scene in scenes] == [0, 0, 1]
    assert [[(p.id, p.box) for p in scene.newcomers] for scene in scenes] == [[(1, (100, 100, 200, 400))]] * 2 + [[]]
    scene = scenes[-1]
    assert (scene.camera, scene.at, scene.size) == ("cam", 10.4, (800, 600))
    assert (scene.people[0].first_seen_at, scene.people[0].last_seen_at) == (10.0, 10.4)
    assert [(d.label, d.holder) for d in scene.devices] == [("phone", 1), ("scanner", None)]
    assert scene.devices[0].photo == pytest.approx(0.7)
    assert scene.devices[0].call == pytest.approx(0.1)
    assert [p.id for p in scene.parcels] == [1]
    assert scene.labels == ((320, 400, 350, 420),)
    assert (scene.parcels[0].score, scene.label_scores) == (pytest.approx(0.9), (pytest.approx(0.5),))
    unseen = tracker.update(look(10.6, detections([]), (800, 600)))
    assert ([p.score for p in unseen.parcels], unseen.newcomers, unseen.label_scores) == ([0.0], (), ())


def test_an_empty_frame_gives_an_empty_scene() -> None:
    scene = SceneTracker().update(look(0, Detections.empty()))
    assert (scene.people, scene.devices, scene.parcels, scene.labels, scene.ended) == ((), (), (), (), frozenset())


NAN = float("nan")


@pytest.mark.parametrize(
    "row",
    [
        pytest.param(("person", (100, 100, 200, 400), NAN), id="no score"),
        pytest.param(("person", (100, NAN, 200, 400), 0.9), id="no box"),
        pytest.param(("parcel", (300, 380, float("inf"), 440), 0.9), id="an endless box"),
        pytest.param(("person", (200, 400, 100, 100), 0.9), id="inside out"),
        pytest.param(("parcel", (300, 380, 300, 440), 0.9), id="without width"),
    ],
)
def test_a_detection_that_means_nothing_is_left_out(row: tuple[str, Box, float]) -> None:
    tracker = SceneTracker()
    with np.errstate(all="raise"):
        scenes = [tracker.update(look(at, sound(detections([row]), SIZE))) for at in (10.0, 10.2, 10.4)]
    assert all((scene.people, scene.parcels, scene.devices) == ((), (), ()) for scene in scenes)


def test_five_hundred_detections_are_five_hundred_parcels_and_people_no_more() -> None:
    random = np.random.default_rng(4)
    rows = []
    for _ in range(500):
        x, y = random.uniform(0, 1200), random.uniform(0, 650)
        label = ("person", "phone", "parcel", "label")[random.integers(4)]
        rows.append((label, (x, y, x + random.uniform(5, 80), y + random.uniform(5, 70)), float(random.uniform())))
    tracker, seen = SceneTracker(), detections(rows)
    for at in (10.0, 10.2, 10.4, 10.6):
        scene = tracker.update(look(at, seen))
    assert 0 < len(scene.people) <= 500
    assert len({p.id for p in scene.people}) == len(scene.people)
    assert len(scene.parcels) == sum(row[0] == "parcel" for row in rows)
    assert len({p.id for p in scene.parcels}) == len(scene.parcels)


def test_a_month_of_coming_and_going_leaves_nothing_behind() -> None:
    people, parcels = PeopleTracker(), ParcelSlots()
    for n in range(1000):
        x, start = (n * 137) % 1000, 2700.0 * n
        for at in (start, start + 0.4, start + 20, start + 40):
            there = at < start + 10
            someone = detections([("person", (x, 100, x + 60, 300), 0.9)] if there else [])
            people.update(someone, at, (1280, 720))
            parcels.update(detections([("parcel", (x, 400, x + 60, 440), 0.9)] if there else []), [], at)
        assert len(people.boxes) + len(people._lost) <= 2
        assert len(parcels._slots) <= 2
