"""What no camera, clock, network or configuration should bring, and does: never a crash, never a storm of alarms."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from detector.assembly import build_pipeline
from detector.config import Analysis, Camera, EdgeConfig, Zone
from detector.media.pictures import Bgr
from detector.pipeline import Pipeline
from detector.values import (
    KEYPOINTS,
    LABELS,
    PARCEL,
    PERSON,
    TRAITS,
    UP,
    Box,
    Detections,
    FloatArray,
    Frame,
    IncidentUpdate,
    Phase,
)
from tests.builders import SIZE, box_at, detections, frame, times

START = 1_793_525_160.0  # 2026-11-01T09:26:00Z
Seen = Callable[[Frame], Detections]
NONSENSE = [float("nan"), float("inf"), -float("inf"), -1.0, 0.0, 1e30, -1e30]
WHOLE = [(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)]


class Fake:
    """A detector that sees what it is told to."""

    def __init__(self, seen: Seen) -> None:
        self._seen = seen

    def detect(self, frame: Frame, people: Iterable[Box] = (), turns: object = None) -> Detections:
        return self._seen(frame)


def pipeline_of(seen: Seen, zones: Sequence[Zone] = ()) -> Pipeline:
    camera = Camera(name="cam", source="rtsp://10.0.0.1/1", **({"zones": list(zones)} if zones else {}))
    return build_pipeline(
        EdgeConfig(site="site", edge="edge", cameras=[camera], analysis=Analysis(gate=False)), camera, Fake(seen)
    )


def run(frames: Iterable[Frame], seen: Seen, zones: Sequence[Zone] = ()) -> list[IncidentUpdate]:
    """Every update, the ends at the end included; each incident must begin once and end once, and mean something."""
    pipeline = pipeline_of(seen, zones)
    updates = [update for each in frames for update in pipeline.process(each)] + pipeline.finish()
    lives: dict[str, list[IncidentUpdate]] = {}
    for update in updates:
        lives.setdefault(update.after.id, []).append(update)
    for life in lives.values():
        phases = [update.phase for update in life]
        assert (phases[0], phases[-1], phases.count(Phase.NEW), phases.count(Phase.END)) == (Phase.NEW, Phase.END, 1, 1)
        for update in life:
            after = update.after
            assert np.isfinite([after.score, after.started_at, after.ended_at]).all()
            assert 0 <= after.score <= 1
            assert after.started_at <= after.ended_at
            assert all(np.isfinite(box).all() for _, box in after.boxes)
    return updates


def begun(updates: Iterable[IncidentUpdate]) -> list[str]:
    """Kinds of the incidents that began."""
    return [update.after.kind.value for update in updates if update.phase is Phase.NEW]


def stamped(at: Iterable[float], size: tuple[int, int] = (320, 180)) -> list[Frame]:
    """Frames of one noisy picture, at seconds after the start."""
    noise = np.random.default_rng(0).integers(90, 130, (4, size[1], size[0], 3), np.uint8)
    return [Frame("cam", n, START + t, Bgr(noise[n % 4])) for n, t in enumerate(at)]


def shop(frame: Frame) -> Detections:
    """Somebody beside twenty parcels, six of them label up, walking to and fro."""
    t = frame.captured_at - START
    rows: list[tuple[str, Box, float, dict[str, float]]] = [
        ("person", box_at((100 + 60 * np.sin(t / 5), 100), 20, 60), 0.9, {"act_photo": 0.1})
    ]
    for k in range(20):
        up = 0.9 if k % 3 == 0 else 0.05
        rows.append(("parcel", box_at((30 + 14 * k, 150), 12, 10), 0.8, {"up": up, "not_up": 0.95 - up}))
    return detections(rows)


def test_ordinary_input_raises_nothing() -> None:
    assert run(stamped(times(0, 60, 5)), shop) == []


def test_frames_out_of_order_and_twice_change_nothing() -> None:
    order = times(0, 60, 5)
    shuffled = [
        t
        for k in range(0, len(order) - 4, 4)
        for t in (order[k], order[k + 2], order[k + 1], order[k + 2], order[k + 3])
    ]
    assert run(stamped(shuffled), shop) == []


def test_a_whole_recording_backwards_is_no_storm() -> None:
    assert len(begun(run(stamped(reversed(times(0, 600, 2))), shop))) <= 8


@pytest.mark.parametrize(
    ("leaps", "most"),
    [
        pytest.param([3600], [], id="ahead"),
        pytest.param([-3600], ["tamper"], id="back"),
        pytest.param([3600, -3600], ["tamper"], id="ahead and back"),
        pytest.param([-3600, 3600, -3600, 3600, -3600], ["tamper"], id="to and fro within two minutes"),
        pytest.param([-1e9, 2e9], ["tamper"], id="by decades"),
    ],
)
def test_time_that_leaps_is_one_clock_incident_at_most(leaps: Sequence[float], most: list[str]) -> None:
    at, off = [], 0.0
    for k, leap in enumerate([0.0, *leaps]):
        off += leap
        at += [off + t for t in times(25 * k, 25 * k + 24.8, 5)]
    updates = run(stamped(at), shop)
    assert begun(updates) == most
    assert [u.after.facts["what"] for u in updates if u.phase is Phase.NEW] == ["clock"] * len(most)


def test_five_hundred_detections_in_every_frame_are_borne() -> None:
    random = np.random.default_rng(1)

    def crowd(frame: Frame) -> Detections:
        corner = random.uniform(0, 1, (500, 2)) * SIZE
        boxes = np.concatenate([corner, corner + random.uniform(4, 120, (500, 2))], axis=1)
        return Detections(
            boxes.astype(np.float32),
            random.uniform(0, 1, 500).astype(np.float32),
            random.integers(0, len(LABELS), 500),
            random.uniform(0, 1, (500, len(TRAITS))).astype(np.float32),
        )

    assert len(begun(run(stamped(times(0, 3, 5), SIZE), crowd))) <= 4


def broken(random: np.random.Generator, share: float) -> Seen:
    """Ordinary detections of which a share of all numbers is nonsense."""

    def spoil(values: FloatArray) -> FloatArray:
        hit = random.random(values.shape) < share
        return np.where(hit, random.choice(NONSENSE, values.shape), values).astype(np.float32)

    def seen(frame: Frame) -> Detections:
        whole = shop(frame)
        points = random.uniform(0, 300, (len(whole), KEYPOINTS, 3)).astype(np.float32)
        return Detections(spoil(whole.boxes), spoil(whole.scores), whole.class_ids, spoil(whole.traits), spoil(points))

    return seen


@pytest.mark.parametrize("share", [0.02, 0.2, 1.0])
def test_numbers_that_are_none_are_left_out(share: float) -> None:
    updates = run(stamped(times(0, 30, 5)), broken(np.random.default_rng(2), share))
    assert len(begun(updates)) <= 1


def test_a_number_that_is_none_does_not_poison_what_comes_after() -> None:
    """One parcel's facing is nonsense once; thirty seconds later eighteen of twenty are found to lie label up."""

    def seen(frame: Frame) -> Detections:
        t = frame.captured_at - START
        up = 0.9 if t > 40 else 0.05
        rows = [
            ("parcel", box_at((40 + 25 * (k % 10), 120 + 30 * (k // 10)), 20, 16), 0.8,
             {"up": up if k < 18 else 0.05, "not_up": 0.95 - up if k < 18 else 0.9})
            for k in range(20)
        ]  # fmt: skip
        found = detections(rows)
        if 10 < t < 11:
            found.traits[:, UP] = np.nan
            found.boxes[3] = np.inf
            found.scores[4] = np.nan
        return found

    assert begun(run(stamped(times(0, 160, 5)), seen)) == ["orientation_pattern"]


@pytest.mark.parametrize("label", LABELS)
def test_odd_boxes_of_anything_raise_nothing(label: str) -> None:
    boxes: dict[str, Box] = {
        "no width": (50, 50, 50, 90),
        "a point": (50, 50, 50, 50),
        "inside out": (90, 90, 50, 50),
        "left of the picture": (-500, -500, -400, -400),
        "right of it": (5000, 5000, 6000, 6000),
        "all round it": (-1e6, -1e6, 1e6, 1e6),
    }
    odd = detections([(label, box, 0.9) for box in boxes.values()])
    assert run(stamped(times(0, 20, 2)), lambda frame: Detections.joined([shop(frame), odd])) == []


def zone(polygon: list[tuple[float, float]] = WHOLE, rate: float | None = None, kind: str = "storage") -> Zone:
    return Zone.model_validate({"name": "z", "kind": kind, "polygon": polygon, "label_up_rate": rate})


@pytest.mark.parametrize("kind", ["storage", "walkway", "packing", "blind_edge", "ignore"])
def test_a_zone_outside_the_picture_sees_nothing(kind: str) -> None:
    """The configuration refuses it; a zone made otherwise does no harm."""
    away = zone(kind=kind).model_copy(update={"polygon": [(2.0, 2.0), (3.0, 2.0), (3.0, 3.0)]})
    flat = zone(kind=kind).model_copy(update={"name": "flat", "polygon": [(0.1, 0.1), (0.9, 0.9), (0.5, 0.5)]})
    assert run(stamped(times(0, 30, 5)), shop, [away, flat]) == []


def lying(up: int, of: int) -> Seen:
    def seen(frame: Frame) -> Detections:
        return detections(
            ("parcel", box_at((40 + 25 * (k % 10), 60 + 30 * (k // 10)), 20, 16), 0.8,
             {"up": 0.95, "not_up": 0.02} if k < up else {"up": 0.02, "not_up": 0.95})
            for k in range(of)
        )  # fmt: skip

    return seen


@pytest.mark.parametrize(
    ("rate", "up", "of", "expected"),
    [
        pytest.param(0.0, 0, 20, [], id="never up, and none is"),
        pytest.param(0.0, 20, 20, ["orientation_pattern"], id="never up, and all are"),
        pytest.param(1.0, 20, 20, [], id="always up, and all are"),
        pytest.param(1.0, 0, 20, [], id="always up, and none is"),
        pytest.param(0.0, 1, 1, [], id="never up, one parcel only"),
        pytest.param(0.35, 1, 1, [], id="one parcel only"),
        pytest.param(None, 0, 0, [], id="no parcel at all"),
    ],
)
def test_base_rates_of_nought_and_one_are_rates_like_others(
    rate: float | None, up: int, of: int, expected: list[str]
) -> None:
    assert begun(run(stamped(times(0, 120, 2)), lying(up, of), [zone(rate=rate)])) == expected


@pytest.mark.parametrize("size", [(1, 1), (2, 1), (1, 700), (16, 16)])
def test_tiny_pictures_are_borne(size: tuple[int, int]) -> None:
    assert begun(run(stamped(times(0, 20, 5), size), lambda f: Detections.empty())) == []
    assert len(begun(run(stamped(times(0, 20, 5), size), shop))) <= 1


def test_a_picture_that_changes_size_all_the_time_is_borne() -> None:
    sizes = [(320, 180), (640, 360), (1, 1), (320, 180)]
    pictures = {size: stamped([0], size)[0].image for size in sizes}
    shown = [Frame("cam", n, START + t, Bgr(pictures[sizes[n // 7 % 4]])) for n, t in enumerate(times(0, 120, 5))]
    assert len(begun(run(shown, shop))) <= 2


def test_pictures_black_white_and_torn_are_no_storm() -> None:
    random = np.random.default_rng(3)
    kinds = [
        np.zeros((90, 160, 3), np.uint8),
        np.full((90, 160, 3), 255, np.uint8),
        random.integers(0, 255, (90, 160, 3), np.uint8),
        stamped([0], (160, 90))[0].image,
    ]
    shown = [Frame("cam", n, START + t, Bgr(kinds[random.integers(4)])) for n, t in enumerate(times(0, 900, 2))]
    assert len(begun(run(shown, lambda f: Detections.empty()))) <= 2


FLOATS = st.floats(width=32, allow_nan=True, allow_infinity=True)


@st.composite
def anything(draw: st.DrawFn) -> Detections:
    n = draw(st.integers(0, 6))

    def numbers(*shape: int) -> FloatArray:
        count = int(np.prod(shape))
        return np.array(draw(st.lists(FLOATS, min_size=count, max_size=count)), np.float32).reshape(shape)

    ids = np.array(draw(st.lists(st.sampled_from([PERSON, PARCEL, 1, 2, 4]), min_size=n, max_size=n)), np.int64)
    return Detections(numbers(n, 4), numbers(n), ids, numbers(n, len(TRAITS)))


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(
    st.lists(st.tuples(st.floats(-7200, 7200), anything()), min_size=1, max_size=8),
)
def test_nothing_at_all_that_a_detector_or_a_clock_may_say_is_a_crash(said: list[tuple[float, Detections]]) -> None:
    picture = frame(0, (64, 48))
    shown = [replace(picture, index=n, captured_at=START + at) for n, (at, _) in enumerate(said)]
    by_index = {n: found for n, (_, found) in enumerate(said)}
    run(shown, lambda f: by_index[f.index])
