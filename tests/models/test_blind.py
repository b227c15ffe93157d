"""A reader is shown the looks that the network is judged by: who is shown, and what answers are taken."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from acts.blind import (
    DRAWN,
    Shown,
    compared,
    drawn,
    people_of,
    read_answers,
    read_key,
    stills_of,
    write_sheets,
)
from manifest import SetError

from tests.models.scenes_on_disk import device, person, rendered_set, scene

BOX = (20.0, 10.0, 60.0, 90.0)


def doing(number: int, act: str = "none", *, seen: float = 1.0) -> dict[str, Any]:
    return person(number, BOX, act=act, visible_fraction=seen)


def phone(holder: int, side: float = 20.0) -> dict[str, Any]:
    return device(100 + holder, (30.0, 30.0, 30.0 + side, 30.0 + side), holder, "photo")


def shown(number: int, kind: str = "photo") -> Shown:
    return Shown("still", number, kind, 20.0, BOX)


def test_nobody_is_asked_of_whom_too_little_is_seen_or_whose_device_is_too_small() -> None:
    people = [doing(1, "photo"), doing(2, "photo"), doing(3, "photo", seen=0.2), doing(4), doing(5, seen=0.1)]
    there = people_of(scene(people=people, phones=[phone(1), phone(2, side=11.0), phone(3)]), "still")
    assert [(one.who, one.kind) for one in there] == [(1, "photo"), (4, "none")]


def test_a_text_is_read_and_whose_device_lies_idle_does_nothing() -> None:
    there = people_of(scene(people=[doing(1, "text"), doing(2)], phones=[phone(1), phone(2)]), "still")
    assert [(one.kind, one.device_px) for one in there] == [("browse", 20.0), ("none", 0.0)]


def test_of_each_kind_as_many_are_drawn_as_there_are_or_as_are_wanted() -> None:
    people = [shown(n) for n in range(200)] + [shown(n, "call") for n in range(200, 202)]
    chosen = drawn(people, seed=1)
    assert len({one.who for one in chosen}) == len(chosen) == DRAWN["photo"] + 2
    assert chosen == drawn(people, seed=1) != drawn(people, seed=2)


def test_sheets_tell_nothing_but_what_is_to_be_read(tmp_path: Path) -> None:
    out = tmp_path / "out"
    rendered = rendered_set(tmp_path / "rendered", {"still": scene(people=[doing(n) for n in range(14)])})
    assert write_sheets(rendered, out, seed=1) == 14
    assert sorted(path.name for path in out.iterdir()) == ["answers.txt", "key.json", "sheet_00.png", "sheet_01.png"]
    assert (out / "answers.txt").read_text().split() == [str(n) for n in range(14)]
    with pytest.raises(SetError, match="answers already"):
        write_sheets(rendered, out, seed=1)


def test_a_folder_without_stills_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "clip.json").write_text('{"frames": []}')
    with pytest.raises(SetError, match="no rendered stills"):
        write_sheets(tmp_path, tmp_path / "out", seed=1)


def test_a_truth_without_its_picture_is_named(tmp_path: Path) -> None:
    folder = rendered_set(tmp_path / "rendered", {"still": scene(people=[doing(1)])}, with_pictures=False)
    with pytest.raises(SetError, match=r"still\.jpg: no picture"):
        write_sheets(folder, tmp_path / "out", seed=1)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("key", [None, "[[1, 2]]", '[{"who": 1}]', "{", '{"box": 1}'])
def test_a_key_that_is_none_is_said_so(tmp_path: Path, key: str | None) -> None:
    if key is not None:
        (tmp_path / "key.json").write_text(key)
    with pytest.raises(SetError, match="write sheets"):
        read_key(tmp_path)


def test_stills_that_are_not_there_are_named(tmp_path: Path) -> None:
    with pytest.raises(SetError, match=r"no still\.json"):
        stills_of([shown(1)], tmp_path)


def test_answers_are_taken_in_any_order(tmp_path: Path) -> None:
    (tmp_path / "answers.txt").write_text("1 scan\n\n0 photo\n")
    assert read_answers(tmp_path / "answers.txt", 2) == ["photo", "scan"]


@pytest.mark.parametrize(
    ("answers", "wrong"),
    [
        ("0 photo\n1 \n", "nothing said of 1 of 2, of 1 first"),
        ("", "nothing said of 2 of 2, of 0 first"),
        ("0 photo\n1 foto\n", "answers.txt:2: '1 foto' isn't a number below 2 and one of photo, scan"),
        ("0 photo\n2 scan\n", "answers.txt:2: '2 scan' isn't a number below 2"),
        ("0 photo\none scan\n", "answers.txt:2: 'one scan' isn't a number"),
    ],
)
def test_an_answer_that_is_none_is_named(tmp_path: Path, answers: str, wrong: str) -> None:
    (tmp_path / "answers.txt").write_text(answers)
    with pytest.raises(SetError, match=re.escape(wrong)):
        read_answers(tmp_path / "answers.txt", 2)


def test_reader_and_network_are_compared_look_by_look() -> None:
    key = [shown(1), shown(2), replace(shown(3), kind="none"), replace(shown(4), kind="none")]
    told = compared(key, ["photo", "photo", "none", "photo"], ["photo", "none", "none", "none"])
    assert "reader: 3 of 4 right, macro-F1 0.73" in told
    assert "network: 3 of 4 right, macro-F1 0.73" in told
    assert "photo: 1 photo, 1 none" in told
    assert told.endswith("both right 2, the reader alone 1, the network alone 1, neither 0")
