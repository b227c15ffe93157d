"""Statistics that the evaluation tells."""

from __future__ import annotations

import math

import numpy as np
import pytest
from evaluation.figures import (
    FALSE,
    HIT,
    PASSED_OVER,
    ClassCount,
    Share,
    axial_error,
    axis_of,
    binned,
    bootstrapped,
    false_alarm_curve,
    match,
    reliability,
)
from evaluation.measure import FoundPhone, Measured
from evaluation.results import angle_bins, card_figures, chosen_thresholds, hidden_phones, phone_bins
from evaluation.sets import CHOOSE, JudgedSet
from hypothesis import given
from hypothesis import strategies as st

from detector.values import LABELS

degrees = st.floats(-720, 720)


def counted(*pictures: tuple[list[float], list[int], int]) -> ClassCount:
    """A class counted over pictures, each of (scores, verdicts, objects)."""
    count = ClassCount()
    for n, (scores, verdicts, objects) in enumerate(pictures):
        count.add(np.array(scores), np.array(verdicts, int), objects, str(n))
    return count


def test_a_perfect_detector_has_an_ap_of_one() -> None:
    assert counted(([0.9, 0.8], [HIT, HIT], 2)).ap50().value == pytest.approx(1.0)


def test_ap_of_a_detector_that_finds_half_without_error() -> None:
    # Precision 1 up to recall 0.5: 51 of 101 points.
    assert counted(([0.9], [HIT], 2)).ap50().value == pytest.approx(51 / 101)


def test_a_false_detection_costs_as_much_as_it_outranks() -> None:
    before = counted(([0.9, 0.5], [FALSE, HIT], 1)).ap50_value()
    after = counted(([0.9, 0.5], [HIT, FALSE], 1)).ap50_value()
    assert (before, after) == (pytest.approx(0.5), pytest.approx(1.0))


def test_pictures_drawn_anew_that_hold_nothing_say_nothing_of_what_is_found() -> None:
    told = counted(([0.9], [HIT], 1), ([], [], 0), ([0.5], [FALSE], 0)).ap50()
    assert (told.value, told.low, told.high) == (pytest.approx(1.0), pytest.approx(1.0), pytest.approx(1.0))


def test_what_is_passed_over_counts_neither_way() -> None:
    with_doubt = counted(([0.9, 0.8], [PASSED_OVER, HIT], 1))
    assert with_doubt.ap50_value() == pytest.approx(1.0)
    assert (with_doubt.precision(0.1).hits, with_doubt.precision(0.1).of) == (1, 1)


def test_each_object_is_hit_once_by_the_surest() -> None:
    box = [0, 0, 10, 10]
    verdicts, objects = match(np.array([box, box]), np.array([0.6, 0.9]), np.array([box]), np.array([False]))
    assert verdicts.tolist() == [FALSE, HIT]
    assert objects.tolist() == [-1, 0]


def test_a_doubtful_object_is_neither_found_nor_a_false_alarm() -> None:
    boxes = np.array([[0, 0, 10, 10], [2, 2, 6, 6], [50, 50, 60, 60]])
    verdicts, _ = match(boxes, np.array([0.9, 0.8, 0.7]), boxes[:1], np.array([True]))
    assert verdicts.tolist() == [PASSED_OVER, PASSED_OVER, FALSE]


def test_a_picture_without_objects_makes_every_detection_false() -> None:
    verdicts, _ = match(np.array([[0, 0, 1, 1]]), np.array([0.5]), np.zeros((0, 4)), np.zeros(0, bool))
    assert verdicts.tolist() == [FALSE]


@given(st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilsons_interval_holds_the_share_and_stays_a_share(counts: tuple[int, int]) -> None:
    told = Share(*counts).estimate()
    assert 0 <= told.low <= told.value <= told.high <= 1
    assert told.low < told.high


def test_wilsons_interval_as_in_the_literature() -> None:
    told = Share(81, 263).estimate()  # Newcombe, Statistics in Medicine 17 (1998), table I
    assert (told.low, told.high) == (pytest.approx(0.2553, abs=5e-5), pytest.approx(0.3662, abs=5e-5))


def test_nothing_counted_says_nothing() -> None:
    told = Share(0, 0).estimate()
    assert math.isnan(told.value)
    assert (told.low, told.high) == (0.0, 1.0)


def test_the_bootstrap_covers_the_mean_and_narrows_with_groups() -> None:
    def mean_of(groups: int):
        values = np.arange(groups) % 2
        return bootstrapped(lambda w: float((w * values).sum() / w.sum()), groups)

    few, many = mean_of(10), mean_of(1000)
    assert few.low < 0.5 < few.high
    assert many.high - many.low < (few.high - few.low) / 5


def test_a_single_group_has_no_interval() -> None:
    told = counted(([0.9], [HIT], 2)).ap50()
    assert told.record() == [0.505, None, None]
    assert str(told) == "0.505 (no interval)"


def test_the_axes_of_a_label_are_told_apart_from_which_of_them_its_text_runs_along() -> None:
    (bin_,) = angle_bins([(20.0, 4.0), (20.0, 86.0), (20.0, 88.0)])
    assert (bin_.median, bin_.axes_median) == (86.0, 4.0)


def test_own_footage_says_how_small_a_phone_is_found_where_it_shows_enough_of_them() -> None:
    own = Measured(JudgedSet("own", "", (), ()), {}, phones=[FoundPhone(20.0, 30.0, 0.5)] * 49)
    least = dict.fromkeys(LABELS, 0.25)
    assert card_figures([own], least, None)[1] == {}
    own.phones.append(FoundPhone(20.0, 30.0, 0.1))
    curve = [{"px": [16, 24], "phones": 50, "found": 49}]
    assert card_figures([own], least, None)[1] == {"phone_recall_by_px": curve}
    rendered = Measured(JudgedSet("rendered", "", (), ()), {}, phones=[FoundPhone(10.0, 15.0, 0.5)])
    assert card_figures([own, rendered], least, None)[1]["phone_recall_by_px"][0]["px"] == [8, 12]


def test_a_chosen_threshold_keeps_the_hit_it_was_chosen_by() -> None:
    choosing = Measured(JudgedSet(CHOOSE, "", LABELS, ()), {"phone": counted(([0.456, 0.2], [HIT, FALSE], 1))})
    assert chosen_thresholds(choosing, dict.fromkeys(LABELS, 0.25))["phone"] == 0.45


def test_sizes_fall_into_bins_and_the_last_takes_all_that_is_larger() -> None:
    bins = binned([6, 7.9, 8, 500], [True, False, True, True])
    assert [(b.low, b.high, b.share.hits, b.share.of) for b in bins] == [
        (6, 8, 1, 2),
        (8, 12, 1, 1),
        (256, math.inf, 1, 1),
    ]


@given(st.lists(st.tuples(st.floats(0.05, 1), st.booleans()), min_size=1, max_size=50))
def test_calibration_error_is_a_share_and_bins_hold_every_detection(rows: list[tuple[float, bool]]) -> None:
    told = reliability([s for s, _ in rows], [h for _, h in rows])
    assert told is not None
    assert 0 <= told.ece <= 1
    assert sum(share.of for _, share in told.bins) == len(rows)


def test_scores_that_are_chances_have_no_calibration_error() -> None:
    told = reliability([0.25] * 4 + [0.75] * 4, [True, False, False, False, True, True, True, False])
    assert told is not None
    assert told.ece == pytest.approx(0)


def test_no_detection_has_no_calibration() -> None:
    assert reliability([0.01], [True]) is None


def test_false_alarms_are_counted_by_picture_at_each_recall() -> None:
    thresholds, recall, false = false_alarm_curve([0.9, 0.3, 0.8], [True, True, False], 2, [0.5, 0.0])
    assert thresholds.tolist() == [0.9, 0.8, 0.5, 0.3]
    assert recall.tolist() == [0.5, 0.5, 0.5, 1.0]
    assert false.tolist() == [0.0, 0.0, 0.5, 0.5]


@given(degrees, degrees)
def test_axial_error_is_symmetric_and_blind_to_half_turns(a: float, b: float) -> None:
    error = float(axial_error(np.array(a), np.array(b)))
    assert 0 <= error <= 90
    assert float(axial_error(np.array(b), np.array(a))) == pytest.approx(error, abs=1e-9)
    assert float(axial_error(np.array(a + 180), np.array(b))) == pytest.approx(error, abs=1e-9)


@given(st.floats(0, 179.99))
def test_an_axis_comes_back_from_its_two_scores(angle: float) -> None:
    twice = math.radians(2 * angle)
    told = axis_of(np.array((1 + math.cos(twice)) / 2), np.array((1 + math.sin(twice)) / 2))
    assert float(axial_error(told, np.array(angle))) == pytest.approx(0, abs=1e-6)


def test_how_small_a_phone_is_found_is_asked_of_those_that_can_be_seen() -> None:
    clear, hidden = FoundPhone(20.0, 30.0, 0.5, seen=0.5), FoundPhone(20.0, 30.0, 0.0, seen=0.49)
    measured = Measured(JudgedSet("rendered", "", (), ()), {}, phones=[clear, hidden])
    (bin_,) = phone_bins(measured, 0.25)
    assert (bin_.share, hidden_phones(measured, 0.25)) == (Share(1, 1), Share(0, 1))
