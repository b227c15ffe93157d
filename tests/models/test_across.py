"""What a second camera adds: who is seen from both sides, and how often one look or two are sure."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from acts.across import Twice, seen_twice, table
from acts.looked import Looker, said_at_once, still_rows
from manifest import SetError

from detector.rules.evidence import KINDS, load_weights
from detector.values import Detections
from tests.builders import detections
from tests.models.scenes_on_disk import person, rendered_set, scene

BOX = (20.0, 10.0, 60.0, 90.0)
ENOUGH = 1.0


class SeesNobody:
    """Stands where the network would, in an empty hall."""

    def still(self, path: Path) -> list[Detections]:
        return [Detections.empty(), Detections.empty()]


class SeesMirroredAlone(SeesNobody):
    """Overlooks everybody in the picture as it is."""

    def still(self, path: Path) -> list[Detections]:
        traits = dict.fromkeys(("act_photo", "act_scan", "act_call", "act_browse"), 0.5)
        return [Detections.empty(), detections([("person", BOX, 0.9, traits)])]


def doing(number: int, act: str = "photo", **more: Any) -> dict[str, Any]:
    return person(number, BOX, act=act, **more)


def said(**kinds: float) -> list[float]:
    return [kinds.get(kind, 0.0) for kind in KINDS]


def twice(kind: str, first: list[float], second: list[float]) -> Twice:
    return Twice(kind, np.array([first, second]))


def test_only_who_is_seen_from_both_sides_counts(tmp_path: Path) -> None:
    here = scene(people=[doing(1), doing(2), doing(3), doing(5, "walk")])
    there = scene(people=[doing(1), doing(2, visible_fraction=0.1), doing(4), doing(5, "walk")])
    folder = rendered_set(tmp_path / "rendered", {"s1_00": here, "s1_00_across": there, "s2_00": here})
    people = seen_twice(folder, cast("Looker", SeesNobody()))
    assert [(one.kind, one.said.tolist()) for one in people] == [("photo", [said()] * 2), ("none", [said()] * 2)]


def test_one_look_is_at_the_picture_as_it_is(tmp_path: Path) -> None:
    folder = rendered_set(tmp_path / "rendered", {"s1_00": scene(people=[doing(1)])})
    looker = cast("Looker", SeesMirroredAlone())
    assert [row.who for row in still_rows(folder / "s1_00.json", looker)] == [1]
    assert said_at_once(folder / "s1_00.json", looker, load_weights()) == {}


def test_a_folder_without_stills_from_two_sides_is_said_so(tmp_path: Path) -> None:
    folder = rendered_set(tmp_path / "rendered", {"s1_00": scene()})
    with pytest.raises(SetError, match=r"stills\.py --across"):
        seen_twice(folder, cast("Looker", SeesNobody()))


def test_a_photo_is_sure_by_either_by_both_or_by_the_sum_of_two_that_are_not() -> None:
    people = [
        twice("photo", said(photo=1.5), said()),
        twice("photo", said(photo=1.5), said(photo=1.5)),
        twice("photo", said(photo=0.7), said(photo=0.7)),
        twice("scan", said(scan=2.0), said(photo=1.5)),
    ]
    told = table(people, ENOUGH).splitlines()
    assert told[2] == "| photo | 3 | 2 | 1 | 2 | 1 | 3 |"
    assert told[3] == "| scan | 1 | 0 | 1 | 1 | 0 | 0 |"
    assert told[-1].startswith("macro-F1 of the first ")
