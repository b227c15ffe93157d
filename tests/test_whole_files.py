"""A file is there whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from detector.whole_files import write_whole


def test_a_file_is_replaced_with_the_mode_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "密钥.txt"
    path.write_text("old")
    (tmp_path / ".密钥.txt.draft").write_text("of a writer that died")
    write_whole(path, "新", mode=0o600)
    assert path.read_bytes() == "新".encode() and path.stat().st_mode & 0o777 == 0o600
    write_whole(path, b"\0", lasting=False)
    assert path.read_bytes() == b"\0" and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("step", ["os.open", "os.fsync", "pathlib.Path.replace"])
def test_what_fails_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    path = tmp_path / "state.json"
    path.write_text("old")

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(step, full)
    with pytest.raises(OSError, match="No space"):
        write_whole(path, "new")
    monkeypatch.undo()
    assert path.read_text() == "old" and [one.name for one in tmp_path.iterdir()] == ["state.json"]
