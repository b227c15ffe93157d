"""Boxes, polygons and rays, held against slow and obvious references."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector import geometry
from detector.values import Box

coordinates = st.floats(-2000, 2000, width=32)
sizes = st.floats(0, 1500, width=32)


@st.composite
def boxes(draw: st.DrawFn) -> Box:
    x, y = draw(coordinates), draw(coordinates)
    return x, y, x + draw(sizes), y + draw(sizes)


box_lists = st.lists(boxes(), max_size=6)


def slow_iou(a: Box, b: Box) -> float:
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    common = max(width, 0) * max(height, 0)
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - common
    return common / union if union > 0 else 0.0


@settings(deadline=None)
@given(box_lists, box_lists)
def test_iou_is_bounded_and_the_same_from_either_side(a: list[Box], b: list[Box]) -> None:
    there, back = (geometry.iou(geometry.as_array(p), geometry.as_array(q)) for p, q in ((a, b), (b, a)))
    assert there.shape == (len(a), len(b))
    assert (there >= 0).all()
    assert (there <= 1 + 1e-5).all()
    np.testing.assert_allclose(there, back.T, atol=1e-6)


@settings(deadline=None)
@given(boxes())
def test_iou_of_a_box_with_itself_is_one_unless_it_is_empty(box: Box) -> None:
    array = geometry.as_array([box])
    assert geometry.iou(array, array)[0, 0] == (1 if geometry.areas(array)[0] > 0 else 0)


whole_boxes = st.tuples(*[st.integers(0, 50)] * 4).map(lambda v: (float(v[0]), float(v[1]), v[0] + v[2], v[1] + v[3]))


@settings(deadline=None)
@given(st.lists(whole_boxes, min_size=1, max_size=5), st.lists(whole_boxes, min_size=1, max_size=5))
def test_iou_agrees_with_the_schoolbook(a: list[Box], b: list[Box]) -> None:
    found = geometry.iou(geometry.as_array(a), geometry.as_array(b))
    np.testing.assert_allclose(found, [[slow_iou(p, q) for q in b] for p in a], atol=1e-6)


A = (0.0, 0.0, 10.0, 10.0)


@pytest.mark.parametrize(
    ("box", "common", "iou"),
    [
        pytest.param((20, 0, 30, 10), 0, 0, id="apart"),
        pytest.param((10, 0, 20, 10), 0, 0, id="touching at an edge"),
        pytest.param((10, 10, 20, 20), 0, 0, id="touching at a corner"),
        pytest.param((5, 0, 15, 10), 50, 1 / 3, id="half over"),
        pytest.param((2, 2, 4, 4), 4, 0.04, id="inside"),
        pytest.param((3, 3, 3, 9), 0, 0, id="no width"),
        pytest.param((8, 8, 2, 2), 0, 0, id="inside out"),
    ],
)
def test_two_boxes(box: Box, common: float, iou: float) -> None:
    a, b = geometry.as_array([A]), geometry.as_array([box])
    assert geometry.intersections(a, b)[0, 0] == common
    assert geometry.iou(a, b)[0, 0] == pytest.approx(iou)


@pytest.mark.parametrize(("left", "right"), [([], []), ([A], []), ([], [A])])
def test_no_boxes_give_no_overlaps(left: list[Box], right: list[Box]) -> None:
    assert geometry.iou(geometry.as_array(left), geometry.as_array(right)).shape == (len(left), len(right))


@pytest.mark.parametrize(
    ("cover", "share"),
    [
        pytest.param((20, 20, 30, 30), 0, id="elsewhere"),
        pytest.param((10, 0, 20, 10), 0, id="touching"),
        pytest.param((5, 0, 50, 50), 0.5, id="half"),
        pytest.param((-5, -5, 50, 50), 1, id="all"),
    ],
)
def test_covered_share(cover: Box, share: float) -> None:
    assert geometry.covered_share(A, cover) == share
    assert geometry.covered_share((3, 3, 3, 3), cover) == 0


@settings(deadline=None)
@given(whole_boxes, whole_boxes)
def test_covered_share_agrees_with_the_schoolbook(box: Box, cover: Box) -> None:
    width, height = min(box[2], cover[2]) - max(box[0], cover[0]), min(box[3], cover[3]) - max(box[1], cover[1])
    area = (box[2] - box[0]) * (box[3] - box[1])
    expected = max(width, 0) * max(height, 0) / area if area else 0
    assert geometry.covered_share(box, cover) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("seen", "fits"),
    [
        pytest.param((100, 100, 140, 200), 1, id="the same"),
        pytest.param((120, 100, 160, 200), 1 / 3, id="half over"),
        pytest.param((145, 100, 185, 200), 0.3 * (1 - 45 / 50), id="beside"),
        pytest.param((145, 100, 160, 200), 0, id="beside, and far thinner"),
        pytest.param((151, 100, 191, 200), 0, id="too far beside"),
    ],
)
def test_how_well_a_person_fits_where_one_is_expected(seen: Box, fits: float) -> None:
    expected = geometry.as_array([(100, 100, 140, 200)])
    assert geometry.closeness(expected, geometry.as_array([seen]))[0, 0] == pytest.approx(fits)


@settings(deadline=None)
@given(boxes(), st.floats(0, 2))
def test_a_grown_box_keeps_its_centre_and_holds_the_old_one(box: Box, share: float) -> None:
    larger = geometry.grown(box, share)
    assert geometry.centre(larger) == pytest.approx(geometry.centre(box), abs=1e-6)
    assert larger[0] <= box[0]
    assert larger[1] <= box[1]
    assert larger[2] >= box[2]
    assert larger[3] >= box[3]


def test_head_and_foot_lie_on_the_middle_line() -> None:
    box = (100.0, 50.0, 180.0, 250.0)
    assert geometry.foot(box) == (140, 250)
    assert geometry.head(box) == (140, 66)
    assert geometry.contains(box, geometry.foot(box))
    assert not geometry.contains(box, (140, 250.1))


def turns_round(point: tuple[float, float], polygon: list[tuple[float, float]]) -> bool:
    """Whether a simple polygon goes round the point, by the sum of the angles under which its edges are seen."""
    angles = [math.atan2(y - point[1], x - point[0]) for x, y in polygon]
    turned = 0.0
    for a, b in zip(angles, angles[1:] + angles[:1], strict=True):
        turned += (b - a + math.pi) % math.tau - math.pi
    return abs(turned) > math.pi


@st.composite
def stars(draw: st.DrawFn) -> list[tuple[float, float]]:
    """A star-shaped (hence simple, often concave) polygon round the middle."""
    n = draw(st.integers(3, 9))
    radii = draw(st.lists(st.floats(0.5, 10), min_size=n, max_size=n))
    return [(r * math.cos(math.tau * k / n), r * math.sin(math.tau * k / n)) for k, r in enumerate(radii)]


def clear_of_edges(point: tuple[float, float], polygon: list[tuple[float, float]]) -> bool:
    for (ax, ay), (bx, by) in zip(polygon, polygon[1:] + polygon[:1], strict=True):
        length = (bx - ax) ** 2 + (by - ay) ** 2
        t = min(1.0, max(0.0, ((point[0] - ax) * (bx - ax) + (point[1] - ay) * (by - ay)) / length))
        if math.hypot(point[0] - ax - t * (bx - ax), point[1] - ay - t * (by - ay)) < 1e-3:
            return False
    return True


@settings(deadline=None)
@given(stars(), st.lists(st.tuples(st.floats(-11, 11), st.floats(-11, 11)), min_size=1, max_size=8))
def test_polygon_agrees_with_the_sum_of_angles(
    polygon: list[tuple[float, float]], points: list[tuple[float, float]]
) -> None:
    found = geometry.points_in_polygon(np.array(points, np.float32), np.array(polygon, np.float32))
    for inside, point in zip(found, points, strict=True):
        if clear_of_edges(point, polygon):
            assert inside == turns_round(point, polygon)


@pytest.mark.parametrize(
    ("polygon", "crosses"),
    [
        pytest.param([(2, 1), (6, 1), (6, 4), (2, 4)], False, id="oblong"),
        pytest.param([(2, 1), (6, 4), (6, 1), (2, 4)], True, id="bow tie"),
        pytest.param([(1, 1), (9, 1), (9, 8), (6, 8), (6, 4), (4, 4), (4, 8), (1, 8)], False, id="two towers"),
        pytest.param([(1, 1), (2, 1), (2, 2), (3, 2), (3, 1), (4, 1), (4, 3), (1, 3)], False, id="edges in one line"),
        pytest.param([(1, 1), (5, 1), (9, 1), (9, 5), (1, 5)], False, id="a corner on a straight edge"),
        pytest.param([(1, 1), (9, 1), (9, 5), (5, 1), (1, 5)], True, id="a corner that meets another edge"),
        pytest.param([(1, 1), (9, 1), (5, 1), (5, 6)], True, id="an edge that runs back over the last"),
        pytest.param([(5, 1), (5, 6), (1, 1), (9, 1)], True, id="and the first over the last"),
        pytest.param([(1, 1), (9, 1), (9, 4), (6, 1), (3, 1), (1, 4)], True, id="edges that lie on each other"),
        pytest.param([(1, 1), (9, 1), (9, 1), (5, 6)], True, id="a corner twice in a row"),
    ],
)
def test_what_crosses_itself(polygon: list[tuple[float, float]], crosses: bool) -> None:
    for turned in range(len(polygon)):
        corners = polygon[turned:] + polygon[:turned]
        for way in (corners, corners[::-1], [(y, x) for x, y in corners]):
            assert geometry.crosses_itself(way) is crosses


def test_polygons_that_share_an_edge_share_no_point_of_it() -> None:
    left = np.array([(0, 0), (5, 0), (5, 10), (0, 10)], np.float32)
    right = left + np.array([5, 0], np.float32)
    on_edge = np.array([(5, y) for y in range(1, 10)], np.float32)
    counts = sum(geometry.points_in_polygon(on_edge, p).astype(int) for p in (left, right))
    assert np.all(counts == 1)


def test_no_points_lie_in_no_polygon() -> None:
    triangle = np.array([(0, 0), (1, 0), (0, 1)], np.float32)
    assert geometry.points_in_polygon(np.zeros((0, 2), np.float32), triangle).shape == (0,)


@pytest.mark.parametrize(
    ("through", "distance"),
    [
        pytest.param((5, 0), 15, id="ahead"),
        pytest.param((-5, 0), None, id="behind"),
        pytest.param((20, 0), 0, id="begins on the border"),
        pytest.param((25, 0), 0, id="begins inside"),
        pytest.param((40, 0), None, id="the box lies before the point it goes through"),
        pytest.param((0, 5), None, id="straight past"),
        pytest.param((0, 0), None, id="no direction"),
        pytest.param((10, 5), pytest.approx(math.hypot(10, 5)), id="through a corner"),
        pytest.param((10, 5.01), None, id="just past a corner"),
    ],
)
def test_ray_and_box(through: tuple[float, float], distance: float | None) -> None:
    assert met_at((0, 0), through, (20, -10, 30, 10)) == distance


def met_at(origin: tuple[float, float], through: tuple[float, float], box: Box) -> float | None:
    (along,) = geometry.rays_enter(np.array([origin], float), np.array([through], float), np.array([box], float).T)[0]
    return float(along) if math.isfinite(along) else None


points = st.tuples(st.floats(-100, 100), st.floats(-100, 100))


@settings(deadline=None)
@given(points, points, st.tuples(st.floats(-100, 100), st.floats(-100, 100), st.floats(1, 50), st.floats(1, 50)))
def test_ray_meets_the_box_where_it_says(
    origin: tuple[float, float], through: tuple[float, float], place: tuple[float, float, float, float]
) -> None:
    x, y, width, height = place
    box = (x, y, x + width, y + height)
    along = met_at(origin, through, box)
    length = math.dist(origin, through)
    if length < 1e-3:
        return
    step = ((through[0] - origin[0]) / length, (through[1] - origin[1]) / length)
    walked = [(k * 0.25, (through[0] + k * 0.25 * step[0], through[1] + k * 0.25 * step[1])) for k in range(1400)]
    # A ray that runs along the border may miss the box or meet it.
    touched = [s for s, point in walked if geometry.contains(geometry.grown(box, 1e-6), point)]
    inside = [s for s, point in walked if geometry.contains(geometry.grown(box, -1e-6), point)]
    if inside:
        assert along is not None
        assert touched[0] - 0.25 - 1e-6 <= along <= inside[0] + 1e-6
    if along is not None:
        entry = (through[0] + along * step[0], through[1] + along * step[1])
        assert geometry.contains(geometry.grown(box, 1e-3), entry)


def test_many_rays_meet_many_boxes_as_each_alone_meets_each() -> None:
    rng = np.random.default_rng(3)
    origins, throughs = rng.uniform(-90, 90, (2, 40, 2))
    corners = rng.uniform(-90, 90, (60, 2))
    boxes = np.concatenate([corners, corners + rng.uniform(1, 60, (60, 2))], axis=1)
    found = geometry.rays_enter(origins, throughs, boxes.T)
    assert np.isfinite(found).sum() > 100
    for n, m in np.ndindex(found.shape):
        alone = met_at(tuple(origins[n]), tuple(throughs[n]), geometry.as_box(boxes[m]))
        assert found[n, m] == (np.inf if alone is None else alone)


def test_an_edge_nearly_flat_is_no_trouble() -> None:
    polygon = np.array([[0, 0], [0, 1], [1, 1e-45]], np.float32)
    with np.errstate(all="raise", under="ignore"):
        assert geometry.points_in_polygon(np.array([[0.1, 0.5], [0.9, 0.5]], np.float32), polygon).tolist() == [
            True,
            False,
        ]
