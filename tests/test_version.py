"""A version tells by its revision which of two machines was brought up to date."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from detector import __version__
from detector.cli import main
from detector.version import VERSION, revision

COMMIT = "ec7de19b0a1122334455667788990011aabbccdd"


def git(folder: Path, *words: str) -> str:
    who = ("-c", "user.name=a", "-c", "user.email=a@b")
    return subprocess.run(["git", *who, *words], cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone with one commit."""
    folder = tmp_path / "clone"
    folder.mkdir()
    git(folder, "init", "-q")
    git(folder, "commit", "-q", "--allow-empty", "-m", "first")
    return folder


def test_the_revision_is_that_of_the_clone_however_git_keeps_it(clone: Path, tmp_path: Path) -> None:
    first = git(clone, "rev-parse", "HEAD")[:7]
    assert revision(clone) == first
    git(clone, "pack-refs", "--all")
    assert revision(clone) == first, "in packed-refs"
    git(clone, "worktree", "add", "-q", str(tmp_path / "tree"))
    assert revision(tmp_path / "tree") == first, "a worktree"
    git(clone, "checkout", "-q", "--detach")
    assert revision(clone) == first, "no branch"
    git(clone, "commit", "-q", "--allow-empty", "-m", "second")
    assert revision(clone) == git(clone, "rev-parse", "HEAD")[:7] != first


@pytest.mark.parametrize(
    "files", [{}, {"HEAD": "ref: refs/heads/main"}, {"HEAD": "nonsense"}, {"HEAD": b"\xff\xfe"}, {"HEAD": COMMIT[:20]}]
)
def test_what_is_no_clone_has_none(tmp_path: Path, files: dict[str, str | bytes]) -> None:
    for name, content in files.items():
        path = tmp_path / ".git" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    assert revision(tmp_path) == ""


def test_the_command_tells_it(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["--version"])
    assert capsys.readouterr().out == f"labelwatch {VERSION}\n"
    assert re.fullmatch(rf"{re.escape(__version__)}( \([0-9a-f]{{7}}\))?", VERSION)
