"""What came of a camera, on the disk and back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from detector.recorded.ledgers import CameraResult, read_ledger, write_ledger

RESULT = CameraResult(
    camera="gate", title="大门", files=[{"file": "1.mp4"}], size=[1280, 720], seconds=4.0, covered_s=4.0
)


def test_what_came_of_a_camera_is_read_as_it_was_written(tmp_path: Path) -> None:
    write_ledger(tmp_path / "1.json", RESULT)
    assert read_ledger(tmp_path / "1.json") == RESULT
    assert read_ledger(tmp_path / "2.json") is None


def test_a_name_of_another_encoding_is_text_on_the_disk(tmp_path: Path) -> None:
    write_ledger(
        tmp_path / "1.json", CameraResult(camera="gate", title="gate", files=[{"file": "\udcb4.mp4"}], covered_s=0)
    )
    found = read_ledger(tmp_path / "1.json")
    assert found is not None and found.files == [{"file": "?.mp4"}]


@pytest.mark.parametrize("text", ["", "{", "null", '{"camera": "gate"}', '{"camera": "gate", "files": [], "sums": 1}'])
def test_a_ledger_of_another_form_tells_nothing(text: str, tmp_path: Path) -> None:
    (tmp_path / "1.json").write_text(text)
    assert read_ledger(tmp_path / "1.json") is None


def test_a_ledger_from_before_people_were_counted_is_good(tmp_path: Path) -> None:
    write_ledger(tmp_path / "1.json", RESULT)
    told = json.loads((tmp_path / "1.json").read_text())
    del told["people"]
    (tmp_path / "1.json").write_text(json.dumps(told))
    assert read_ledger(tmp_path / "1.json") == RESULT


def test_a_camera_is_finished_once_no_disk_keeps_a_file_of_it(tmp_path: Path) -> None:
    assert RESULT.finished
    assert not CameraResult(
        camera="gate", title="gate", files=[{"file": "1.mp4", "transient": True}], covered_s=0
    ).finished
