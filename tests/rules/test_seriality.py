"""How surely photos are a sweep: by parcels, by other work about then, and by who did what."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from math import exp, log
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.errors import MissingPart, ModelError
from detector.rules.seriality import (
    PHOTO_S,
    SUREST,
    SweepWeights,
    about,
    chance,
    load_weights,
    said_by_each,
)
from detector.values import Act, ActKind
from tests.builders import act

WEIGHTS = SweepWeights(odds=1.0, offset=-2.0)
NAN = float("nan")


def of_kind(kind: ActKind, start: float, end: float, track: int = 1) -> Act:
    return Act(kind, track, start, end, 0.9)


def photos(scores: list[float], track: int = 1, first: int = 0) -> list[Act]:
    """One of each parcel, one after another."""
    return [act(3 * n, 3 * n + 2, [n], score=s, track=track) for n, s in enumerate(scores, first)]


def odds_of(acts: list[Act], work: Sequence[Act] = ()) -> float:
    (said,) = said_by_each(acts, work)
    return said


@pytest.mark.parametrize(
    ("scores", "odds"),
    [
        pytest.param([0.9, 0.9], 2 * log(9), id="odds of nine, twice"),
        pytest.param([0.5, 0.5], 0, id="acts that say nothing"),
        pytest.param([NAN, 0.75], log(3), id="a score that is no number says nothing"),
        pytest.param([0.1, 0.75], log(3), id="nor does a low one"),
        pytest.param([1.0], log(SUREST / (1 - SUREST)), id="no act is believed wholly"),
    ],
)
def test_each_parcel_adds_the_log_odds_of_its_act(scores: list[float], odds: float) -> None:
    assert odds_of(photos(scores)) == pytest.approx(odds)


def test_of_acts_at_one_parcel_the_surest_counts_once() -> None:
    often = [act(4 * n, 4 * n + 2, [n % 2], score=0.7 + 0.02 * n) for n in range(8)]
    assert odds_of(often) == pytest.approx(log(0.84 / 0.16) + log(0.82 / 0.18))


def test_errors_of_somebody_who_stays_do_not_add_up() -> None:
    apart = [act(150 * n, 150 * n + 2, [n], score=0.85) for n in range(24)]
    assert odds_of(apart) == pytest.approx(log(0.85 / 0.15))
    assert chance(apart) < 0.1 < 0.95 < chance(photos([0.85] * 24))


@pytest.mark.parametrize(("pause_s", "taken"), [(0, 0), (20, 0), (50, 1), (80, 2)])
def test_a_pause_takes_back_what_it_is_longer_than_a_change_of_place(pause_s: float, taken: float) -> None:
    acts = [act(0, 2, [0], score=0.9), act(2 + pause_s, 4 + pause_s, [1], score=0.9)]
    assert odds_of(acts) == pytest.approx(2 * log(9) - taken)


def test_a_sweep_counts_in_full_whatever_was_minutes_before_or_after() -> None:
    sweep = photos([0.9, 0.9, 0.9])
    alone = [act(t, t + 2, [50 + n], score=0.8) for n, t in enumerate((-900, -400, 500, 900))]
    assert odds_of([*alone, *sweep]) == pytest.approx(3 * log(9))
    scans = [of_kind(ActKind.SCAN, t, t + 2) for t in range(400, 900, 20)]
    assert odds_of([*alone, *sweep], scans) == pytest.approx(3 * log(9)), "nor what was done there"


@pytest.mark.parametrize("seconds", [0, 5, 15])
def test_who_reads_the_phone_about_then_photographs_for_a_share_of_the_time(seconds: float) -> None:
    acts, reading = photos([0.9, 0.9]), of_kind(ActKind.BROWSE, 5, 5 + seconds)
    share = 2 * PHOTO_S / (2 * PHOTO_S + seconds)
    assert odds_of(acts, [reading]) == pytest.approx(share * 2 * log(9))
    assert odds_of(acts, [replace(reading, track=2)]) == pytest.approx(2 * log(9)), "somebody else's"


@pytest.mark.parametrize("kind", [ActKind.SCAN, pytest.param(ActKind.PHOTO, id="a photo whose parcel moved on")])
@pytest.mark.parametrize("count", [0, 1, 4])
def test_photos_count_for_their_share_beside_scans_however_long_these_are(kind: ActKind, count: int) -> None:
    acts, scans = photos([0.9, 0.9]), [of_kind(kind, n, n + 1 + n % 2) for n in range(count)]
    assert odds_of(acts, scans) == pytest.approx(2 / (2 + count) * 2 * log(9))
    assert odds_of(acts, [replace(scan, track=2) for scan in scans]) == pytest.approx(2 * log(9)), "somebody else's"


def test_photos_that_are_one_in_three_of_what_is_done_say_a_third() -> None:
    scans = [of_kind(ActKind.SCAN, n, n + 1) for n in range(20)]
    for count in (2, 3, 6, 10):
        assert chance(photos([0.9] * count), scans[: 2 * count]) < chance(photos([0.9] * count))
        assert odds_of(photos([0.9] * count), scans[: 2 * count]) == pytest.approx(count * log(9) / 3)


@pytest.mark.parametrize(
    ("other", "seconds"),
    [
        pytest.param((20, 24), 4, id="between"),
        pytest.param((0, 85), 65, id="cut to what is about then"),
        pytest.param((100, 200), 0, id="long after"),
        pytest.param((0, 5), 0, id="long before"),
    ],
)
def test_what_goes_on_about_the_time_of_the_photos_counts(other: tuple[float, float], seconds: float) -> None:
    browsing = of_kind(ActKind.BROWSE, *other)
    found = about([act(50, 55, [2]), act(30, 32, [1])], [browsing])
    assert found == ([(browsing, pytest.approx(seconds))] if seconds else [])


def test_a_sweep_is_as_sure_when_others_go_over_its_parcels_again() -> None:
    """As of a track that breaks again and again: each piece is surer of one of the parcels."""
    once = photos([0.8, 0.8, 0.8, 0.8])
    again = [act for track in range(2, 6) for act in photos([0.9], track=track, first=track - 1)]
    assert chance([*once, *again], (), {}, WEIGHTS) >= chance(once, (), {}, WEIGHTS)


def test_a_parcel_counts_once_for_who_has_most_beside() -> None:
    said = said_by_each([*photos([0.9, 0.6]), *photos([0.9, 0.9], track=2, first=1)])
    assert said == pytest.approx([2 * log(9), log(9)])


def test_two_tracks_of_one_person_go_on_with_one_another() -> None:
    acts = [*photos([0.9]), *photos([0.9], track=2, first=1)]
    assert said_by_each(acts, (), {2: 1}) == pytest.approx([2 * log(9)])
    assert chance(acts, (), {2: 1}, WEIGHTS) > chance(acts, (), {}, WEIGHTS)


@pytest.mark.parametrize("others", [1, 4, 20])
def test_a_sweep_is_no_surer_for_others_who_are_suspected_of_less(others: int) -> None:
    """In a busy hall everybody is mistaken for a photographer now and then."""
    own = photos([0.9, 0.9, 0.9])
    suspected = [act for track in range(2, 2 + others) for act in photos([0.9, 0.9], track=track, first=10 * track)]
    assert (
        chance([*own, *suspected], (), {}, WEIGHTS) == chance(own, (), {}, WEIGHTS) > chance(suspected, (), {}, WEIGHTS)
    )


SCORES = st.lists(st.floats(0, 1) | st.just(NAN), max_size=8)


@settings(deadline=None)
@given(
    SCORES, st.floats(0, 600), st.sampled_from([ActKind.BROWSE, ActKind.SCAN]), st.lists(st.integers(1, 3), min_size=8)
)
def test_the_score_is_a_chance_that_never_falls_with_another_parcel_nor_rises_with_other_work(
    scores: list[float], seconds: float, kind: ActKind, tracks: list[int]
) -> None:
    acts = [act(0, 1, [n], score=s, track=t) for n, (s, t) in enumerate(zip(scores, tracks, strict=False))]
    work = [of_kind(kind, 1, 1 + seconds)]
    chances = [chance(acts[:n], work) for n in range(len(acts) + 1)]
    assert all(0 <= one <= 1 for one in chances)
    assert all(a <= b + 1e-9 for a, b in pairwise(chances))
    assert chances[-1] <= chance(acts) + 1e-9


def test_the_shipped_weights_find_a_sweep_and_no_single_photo() -> None:
    assert chance(photos([0.95] * 6)) > 0.95
    assert chance(photos([0.98])) < 0.95
    assert chance(photos([0.95] * 3), [of_kind(ActKind.SCAN, n, n + 2) for n in range(2, 20, 3)]) < 0.8


# The card


def card() -> dict[str, Any]:
    text = (Path(__file__).parents[2] / "models" / "sweeps.yaml").read_text(encoding="utf-8")
    return dict(yaml.safe_load(text))


def test_the_card_says_where_its_weights_are_from() -> None:
    assert {"licence", "made_on", "origin", "seed", "figures", "photo_error", "rate"} <= card().keys()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        pytest.param(lambda c: c.pop("offset"), "offset", id="a key is missing"),
        pytest.param(lambda c: c.update(odds=-1.0), "odds", id="a parcel that speaks against"),
        pytest.param(lambda c: c.update(offset=NAN), "offset", id="no number"),
        pytest.param(lambda c: c.update(odds="much"), "odds", id="a word"),
    ],
)
def test_a_card_that_is_wrong_is_refused(change: Callable[[Any], Any], said: str, tmp_path: Path) -> None:
    tree = card()
    change(tree)
    path = tmp_path / "sweeps.yaml"
    path.write_text(yaml.safe_dump(tree), encoding="utf-8")
    with pytest.raises(ModelError, match=f"is not a card of sweep weights: {said}"):
        load_weights(path)


def test_a_missing_card_is_said_to_be_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ModelError, match="no card of sweep weights"):
        load_weights(tmp_path / "other.yaml")
    monkeypatch.setenv("LABELWATCH_HOME", str(tmp_path))
    with pytest.raises(MissingPart, match=r"sweeps\.yaml"):
        load_weights()


def test_weights_weigh_what_was_said() -> None:
    assert chance(photos([0.9, 0.9]), (), {}, WEIGHTS) == pytest.approx(1 / (1 + exp(2 - 2 * log(9))))
