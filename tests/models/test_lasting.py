"""How long errors last: what is known of made-up people comes out."""

from __future__ import annotations

from math import nan
from pathlib import Path

import numpy as np
import pytest
from simulation.lasting import alike_by_lag, intraclass, said, stretches_of, surely_photos, surest, unseen
from simulation.noise import LOOKS_TO_CHOOSE, Looks, MeasuredLook, read_looks


def people(person: float, stretch: float, number: int = 400, each: int = 4) -> list[np.ndarray]:
    """Means of stretches of people, with so much variance between people and between one's stretches."""
    dice = np.random.default_rng(2)
    own = dice.normal(0, person**0.5, (number, 1))
    return list(own + dice.normal(0, stretch**0.5, (number, each)))


def look(person: str, t: float, photo: float, stretch: int = 0, act: str = "scan") -> MeasuredLook:
    return MeasuredLook(
        person, stretch, t, act, 20.0, 0.9, 0.0, 0.0, 0.0, 0.0, (photo, 0.5, 0.1, 0.1), nan, nan, nan, nan
    )


@pytest.mark.parametrize(("person", "stretch", "share"), [(0.0, 4.0, 0.0), (1.0, 3.0, 0.25), (4.0, 0.5, 0.89)])
def test_what_lies_between_people_is_found(person: float, stretch: float, share: float) -> None:
    assert intraclass(people(person, stretch)) == pytest.approx(share, abs=0.05)


def test_looks_that_stay_are_alike_and_those_that_do_not_are_not() -> None:
    dice = np.random.default_rng(3)
    kept = [[(0.2 * k, level) for k in range(10)] for level in dice.normal(0, 3, 50)]
    anew = [[(0.2 * k, float(dice.normal(0, 3))) for k in range(10)] for _ in range(50)]
    assert all(alike == pytest.approx(1.0) for alike, _ in alike_by_lag(kept).values())
    assert all(alike == pytest.approx(0.0, abs=0.25) for alike, _ in alike_by_lag(anew).values())


def test_a_look_says_photo_as_far_as_nothing_else_is_likelier() -> None:
    assert said(look("a", 0.0, 0.9)) > 1.5 > 0 > said(look("a", 0.0, 0.2))
    assert said(look("a", 0.0, 0.5)) == pytest.approx(0.0)


def test_looks_without_acts_tell_nothing_and_stretches_are_kept_apart() -> None:
    unseen = MeasuredLook("b", 0, 0.0, "scan", 20.0, 0.0, 0.0, 0.0, nan, nan, (nan,) * 4, nan, nan, nan, nan)
    found = stretches_of([look("a", 0.0, 0.9), look("a", 0.2, 0.8), look("a", 9.0, 0.1, stretch=1), unseen])
    assert [len(one) for one in found["scan"]["a"]] == [2, 1] and "b" not in found["scan"]


def test_stretches_that_look_surely_like_a_photo_are_counted_and_who_is_not_seen_counts_as_none() -> None:
    unseen = MeasuredLook("b", 0, 0.0, "scan", 20.0, 0.0, 0.0, 0.0, nan, nan, (nan,) * 4, nan, nan, nan, nan)
    small = MeasuredLook("c", 0, 0.0, "scan", 9.0, 0.9, 0.0, 0.0, 0.0, 0.0, (1.0, 0.0, 0.0, 0.0), nan, nan, nan, nan)
    sure = [look("a", t, 0.999) for t in (0.0, 0.2)], [look("a", 9.0, 0.5, stretch=1)]
    assert surely_photos([*sure[0], *sure[1], unseen, small]) == {"scan": (1, 3)}


@pytest.mark.parametrize(
    ("photos", "scans", "most"),
    [
        pytest.param((41, 151), (0, 123), 0.918, id="none seen: up to three (rule of three)"),
        pytest.param((41, 151), (0, 1230), 0.991, id="more looks tell more"),
        pytest.param((50, 100), (10, 100), 0.747, id="of ten seen up to 17"),
    ],
)
def test_no_act_is_believed_more_than_scans_that_look_so_allow(
    photos: tuple[int, int], scans: tuple[int, int], most: float
) -> None:
    assert surest({"photo": photos, "scan": scans, "call": (9, 9)}) == pytest.approx(most, abs=0.001)


def test_half_a_scan_more_looks_surely_like_a_photo_when_so_many_are_seen_as_something_else() -> None:
    sure = {"photo": (40, 100), "scan": (1, 200), "call": (0, 50), "none": (0, 80)}
    # A stretch seen as another act is seen as any of them alike.
    assert unseen(sure) * np.mean([0.4, 0.005, 0, 0]) * 200 == pytest.approx(0.5)


def test_a_pause_or_another_act_begins_a_stretch(tmp_path: Path) -> None:
    head, rest = "run,t,act,device_px,found,phone,scanner,photo,call", ",20,0.9,0,0,,,,,,,,,,,0"
    rows = ["a/1,0.0,scan", "a/1,0.2,scan", "b/1,0.2,scan", "a/1,0.4,none", "a/1,0.6,scan", "a/1,2.0,scan"]
    file = tmp_path / "looks.csv"
    file.write_text(
        "\n".join([head + ",act_photo,act_scan,act_call,act_browse,x,y,reach,miss,beside", *(r + rest for r in rows)])
    )
    assert [(one.person, one.stretch) for one in read_looks(file)] == [
        ("a/1", 0), ("a/1", 0), ("b/1", 0), ("a/1", 1), ("a/1", 2), ("a/1", 3)
    ]  # fmt: skip


def test_who_stands_beside_a_photographer_is_no_example_of_work_but_one_of_photographing(tmp_path: Path) -> None:
    rows = [(f"{act}/1", act, beside) for act in ("photo", "between", "scan", "none") for beside in (0, 1)]
    file = tmp_path / "looks.csv"
    head = LOOKS_TO_CHOOSE.read_text(encoding="utf-8").split("\n")[0]
    file.write_text("\n".join([head, *(f"{run},0,{act},20,0.9,0,0,,,,,,,,,,,{beside}" for run, act, beside in rows)]))
    assert [one.act for one in read_looks(file)] == ["photo", "photo", "between", "between", "scan", "none"]


def test_parts_of_the_table_share_nobody(tmp_path: Path) -> None:
    parts = [{one.warehouse for one in read_looks(LOOKS_TO_CHOOSE)}, *(set[str]() for _ in range(3))]
    for k in range(3):
        drawn = Looks.read(LOOKS_TO_CHOOSE, part=(k, 3))
        parts[k + 1] = {person.split("/")[0].split("_")[0] for act in drawn.people.values() for person in act}
    whole, *apart = parts
    assert set.union(*apart) == whole and sum(map(len, apart)) == len(whole)
    file = tmp_path / "looks.csv"
    file.write_text(
        LOOKS_TO_CHOOSE.read_text(encoding="utf-8").split("\n")[0] + "\ns1_00/1,0,scan,20,0.9,0,0,,,,,,,,,,,0"
    )
    with pytest.raises(ValueError, match="nobody in part 1 of 2 does between, browse, call, none, photo, scan"):
        Looks.read(file, part=(1, 2))
