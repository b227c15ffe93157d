"""Files that ship with the project are found wherever a command is run."""

from __future__ import annotations

from pathlib import Path

import pytest

from detector.machine.resources import ROOT, resource


def test_a_home_that_is_set_to_nothing_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABELWATCH_HOME", "")
    monkeypatch.chdir(tmp_path)
    assert resource("configs") == ROOT / "configs"
