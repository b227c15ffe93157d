"""What a table of looks lets the sweep rule tell: all where looks tell acts apart, nothing where they don't."""

from __future__ import annotations

import sys
from math import nan
from pathlib import Path
from random import Random

import pytest
from simulation import power as recipe
from simulation.noise import ACTS, Looks, MeasuredLook
from simulation.power import act_in, most_said, power

from detector.values import Act, ActKind

SCORED = ("photo", "scan", "call", "browse")


def look(act: str, seen_as: str, person: int = 0, sure: float = 0.99) -> MeasuredLook:
    """Of who does one act and looks like doing another; like nothing where that is none of the four."""
    scores = tuple(sure if name == seen_as else 0.01 for name in SCORED)
    return MeasuredLook(f"{act}{person}", 1, 0.0, act, 20.0, 0.9, 0.0, 0.0, 0.0, 0.0, scores, nan, nan, nan, nan)


def table(mistaken: dict[str, str], people: int = 20, of: int = 20) -> Looks:
    """People who look like what they do, but for the first few of these acts, who look like another."""
    return Looks([
        look(act, mistaken.get(act, act) if k < of else act, k) for act in sorted(ACTS) for k in range(people)
    ])  # fmt: skip


@pytest.mark.parametrize(
    ("seen_as", "sure", "told"),
    [
        ("photo", 0.99, ActKind.PHOTO), ("scan", 0.9, ActKind.SCAN), ("browse", 0.99, ActKind.BROWSE),
        ("photo", 0.6, None), ("none", 0.99, None),
    ],
)  # fmt: skip
def test_a_look_is_told_as_the_act_that_it_surely_looks_like(seen_as: str, sure: float, told: ActKind | None) -> None:
    found = act_in(look("photo", seen_as, sure=sure), 0.25)
    assert (found and found[0]) is told


def test_who_is_not_seen_does_nothing() -> None:
    unseen = MeasuredLook("a", 1, 0.0, "photo", 20.0, 0.0, 0.0, 0.0, nan, nan, (nan,) * 4, nan, nan, nan, nan)
    assert act_in(unseen, 0.25) is None


def test_two_photos_of_one_parcel_say_nothing_of_a_sweep() -> None:
    acts = [Act(ActKind.PHOTO, 1, at, at + 1, 0.9, (7,)) for at in (0.0, 5.0)]
    assert most_said(acts) == 0.0 < most_said([*acts, Act(ActKind.PHOTO, 1, 9.0, 10.0, 0.9, (8,))])


def test_sweeps_are_told_as_far_as_looks_tell_photos_from_work() -> None:
    clear, _, _ = power(table({"scan": "photo"}, of=1), Random(1), 0.25, 30.0, 60)
    blurred, _, work = power(table({"scan": "photo", "photo": "scan"}, of=10), Random(1), 0.25, 30.0, 60)
    assert clear > 50 > 20 > blurred
    assert work[0].name == "scanning" and work[0].said >= work[-1].said


def test_where_nothing_looks_like_a_photo_the_level_cannot_be_known() -> None:
    with pytest.raises(ValueError, match="raise --hours"):
        power(table({"photo": "none"}), Random(1), 0.25, 2.0, 10)


def test_a_table_that_is_not_there_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "argv", ["power.py", "--looks", str(tmp_path / "looks.csv")])
    with pytest.raises(SystemExit, match=r"power: .*looks\.csv is missing"):
        recipe.main()


def test_a_chance_of_error_of_nothing_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(sys, "argv", ["power.py", "--error", "0"])
    with pytest.raises(SystemExit):
        recipe.main()
    assert "argument --error: must be above 0" in capsys.readouterr().err
