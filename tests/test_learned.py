"""What cameras learned is there again after a restart."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from detector.edge.learned import LearnedFile


def test_what_was_learned_is_there_again(tmp_path: Path) -> None:
    LearnedFile(tmp_path / "learned" / "cam.json").save({"OrientationRule": {"bulk": 0.4}})
    assert LearnedFile(tmp_path / "learned" / "cam.json").load() == {"OrientationRule": {"bulk": 0.4}}


def test_before_anything_was_learned_there_is_nothing(tmp_path: Path) -> None:
    assert LearnedFile(tmp_path / "cam.json").load() == {}


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"OrientationRule": 3}', "\x00", "null"])
def test_a_file_that_cannot_be_read_is_set_aside(tmp_path: Path, text: str) -> None:
    path = tmp_path / "cam.json"
    path.write_text(text)
    assert LearnedFile(path).load() == {}
    assert not path.exists()
    assert (tmp_path / "cam.unreadable").read_text() == text


def test_what_is_no_json_keeps_the_old_file(tmp_path: Path) -> None:
    file = LearnedFile(tmp_path / "cam.json")
    file.save({"OrientationRule": {"rate": 0.3}})
    file.save({"OrientationRule": {"rate": float("nan")}})
    assert file.load() == {"OrientationRule": {"rate": 0.3}}


def test_a_disk_that_takes_nothing_stops_nobody(tmp_path: Path) -> None:
    (tmp_path / "learned").write_text("a file where the folder should be")
    LearnedFile(tmp_path / "learned" / "cam.json").save({})


def test_a_file_takes_the_place_of_the_old_one_only_once_it_would_outlast_a_power_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = LearnedFile(tmp_path / "cam.json")
    file.save({"OrientationRule": {"rate": 0.3}})

    def fails(_: int) -> None:
        raise OSError("input/output error")

    monkeypatch.setattr("os.fsync", fails)
    file.save({"OrientationRule": {"rate": 0.9}})
    assert file.load() == {"OrientationRule": {"rate": 0.3}}


def test_a_write_broken_off_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "cam.json"
    LearnedFile(path).save({"OrientationRule": {"rate": 0.3}})

    def fails(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(Path, "replace", fails)
    LearnedFile(path).save({"OrientationRule": {"rate": 0.9}})
    assert json.loads(path.read_text()) == {"OrientationRule": {"rate": 0.3}}
