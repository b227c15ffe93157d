"""Ways of telling what a person does, compared on the same detections."""

from __future__ import annotations

import numpy as np
import pytest
from evaluation.acts import (
    ACTS,
    BOTH,
    DETECTION,
    MISSED,
    NONE,
    PERSON_TRAITS,
    PHONE_TRAITS,
    TOLD,
    TRUE,
    UNCLEAR,
    Choice,
    Doer,
    choose,
    choose_clear,
    confusion,
    doers,
    macro_f1,
)
from evaluation.results import judge_acts
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import detections

PERSON_BOX = (100.0, 100.0, 200.0, 300.0)
TRAITS = ("photo", "call", "act_photo", "act_scan", "act_call", "act_browse")


def doer(truth: str, told: str | None = None, *, score: float = 0.9, group: str = "1", px: float = 20.0) -> Doer:
    """A person whose traits speak for `told`, held devices unseen."""
    traits = tuple(score if act == told else 0.05 for act in ACTS)
    return Doer(group, truth, px if truth != NONE else 0.0, True, traits=traits)


def test_a_device_belongs_to_the_person_that_holds_it() -> None:
    found = detections([
        ("person", PERSON_BOX, 0.9, {"act_photo": 0.7}),
        ("phone", (140, 180, 160, 190), 0.6, {"photo": 0.8, "call": 0.1}),
        ("phone", (140, 180, 160, 190), 0.3, {}),
        ("scanner", (400, 180, 420, 190), 0.9),
    ])  # fmt: skip
    ((place, seen),) = doers(found, [("photo", 14.0)], np.array([0]), "7")
    assert place == 0
    assert seen.phone == pytest.approx((0.6, 0.425, 0.8, 0.1))
    assert seen.scanner == 0.0
    assert seen.traits[0] == pytest.approx(0.7)


def test_a_person_not_found_is_missed_whatever_lies_there() -> None:
    found = detections([("phone", (140, 180, 160, 190), 0.9)])
    ((_, seen),) = doers(found, [("photo", 14.0)], np.zeros(0, int), "7")
    for contender in (DETECTION, PHONE_TRAITS):
        assert Choice(contender, (0.1,) * 4).told([seen]) == [MISSED]


def test_detection_alone_tells_by_the_height_of_the_phone() -> None:
    heights = (0.2, 0.6)
    choice = Choice(DETECTION, (0.3,) * 4, heights)
    held = [Doer("1", "photo", 20, True, phone=(0.9, height, 0.0, 0.0)) for height in (0.1, 0.4, 0.8)]
    scans = Doer("1", "scan", 20, True, scanner=0.9)
    assert choice.told([*held, scans, Doer("1", NONE, 0, True)]) == ["call", "photo", "browse", "scan", NONE]


def test_phone_traits_tell_by_the_phone() -> None:
    choice = Choice(PHONE_TRAITS, (0.2,) * 4)
    held = [Doer("1", "photo", 20, True, phone=(0.9, 0.4, *traits)) for traits in ((0.8, 0.1), (0.1, 0.9), (0.1, 0.1))]
    assert choice.told(held) == ["photo", "call", "browse"]


def test_an_act_that_does_not_stand_out_is_unclear() -> None:
    torn = Doer("1", "photo", 20, True, traits=(0.6, 0.5, 0.0, 0.0))
    choice = Choice(PERSON_TRAITS, (0.3,) * 4)
    assert choice.told([torn]) == ["photo"]
    assert choice.told([torn], clear=1.5) == [UNCLEAR]


def test_macro_f1_of_everything_right_is_one_and_counts_only_what_occurs() -> None:
    people = [doer(act, act) for act in ACTS[:2]]
    assert macro_f1(confusion(people, list(ACTS[:2]))) == 1.0
    assert np.isnan(macro_f1(np.zeros((len(TRUE), len(TOLD)))))


@given(st.lists(st.tuples(st.sampled_from(TRUE), st.sampled_from(TOLD)), min_size=1, max_size=40))
def test_a_confusion_table_holds_everyone_once(pairs: list[tuple[str, str]]) -> None:
    table = confusion([doer(truth) for truth, _ in pairs], [told for _, told in pairs])
    assert table.sum() == len(pairs)
    assert 0 <= macro_f1(table) <= 1


def test_thresholds_are_chosen_where_they_separate() -> None:
    # Acts score 0.5; those who do nothing score 0.3 for a photo, which a threshold must tell apart.
    acting = [doer(act, act, score=0.5) for act in ACTS for _ in range(5)]
    idle = [doer(NONE, "photo", score=0.3) for _ in range(20)]
    choice = choose(PERSON_TRAITS, [*acting, *idle])
    assert 0.3 <= choice.thresholds[0] < 0.5
    assert macro_f1(confusion([*acting, *idle], choice.told([*acting, *idle]))) == 1.0


def test_unclear_is_chosen_only_as_wide_as_errors_demand() -> None:
    sure = [doer(act, act) for act in ACTS for _ in range(10)]
    assert choose_clear(Choice(PERSON_TRAITS, (0.3,) * 4), sure) == 1.0
    torn = [Doer("1", "photo", 20, True, traits=(0.5, 0.52, 0.0, 0.0)) for _ in range(10)]
    assert choose_clear(Choice(PERSON_TRAITS, (0.3,) * 4), sure + torn) > 1.0


def test_contenders_that_the_model_has_no_traits_for_are_not_offered() -> None:
    people = [doer(act, act, group=str(n)) for n in range(3) for act in TRUE]
    acts = judge_acts(people, people, ("up", "not_up", "photo", "call"))
    assert acts is not None
    assert [r.choice.contender for r in acts.results] == [DETECTION, PHONE_TRAITS]
    assert acts.not_offered == (PERSON_TRAITS, BOTH)


def test_the_best_contender_is_the_one_that_tells_best() -> None:
    people = [doer(act, act, group=str(n)) for n in range(6) for act in TRUE]
    acts = judge_acts(people, people, TRAITS)
    assert acts is not None
    by_name = {r.choice.contender: r.large.value for r in acts.results}
    assert acts.best in (PERSON_TRAITS, BOTH)
    assert by_name[PERSON_TRAITS] == 1.0
    assert by_name[DETECTION] < 0.5


def test_a_device_too_small_is_left_out_of_the_large_ones() -> None:
    small = [doer(act, None, px=8.0) for act in ACTS]
    people = [doer(act, act) for act in TRUE]
    acts = judge_acts(people, people + small, TRAITS)
    assert acts is not None
    assert acts.people == len(people)
    assert acts.table_all.sum() == len(people) + len(small)


def test_without_people_nothing_is_judged() -> None:
    assert judge_acts([], [doer("photo")], TRAITS) is None
