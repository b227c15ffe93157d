"""Versions: of the program that runs here, as people tell machines apart by (`0.1.0 (ec7de19)`), and of packages.

Where it runs from a clone, the revision stands beside the number, which few revisions change. It is read when the
program starts: what is pulled later runs from the next start on.
"""

from __future__ import annotations

import re
from importlib import metadata
from pathlib import Path

import detector


def installed(package: str) -> str | None:
    """The version of a package; `None` where it isn't installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def revision(top: Path) -> str:
    """The first digits of the commit that a clone stands at; empty where there is no clone, or it can't be read."""
    git = top / ".git"
    try:
        if git.is_file():  # a worktree: the rest is in the clone that it is of
            git = top / git.read_text(encoding="utf-8").removeprefix("gitdir:").strip()
        head = (git / "HEAD").read_text(encoding="utf-8").strip()
        name = head.removeprefix("ref:").strip()
        commit = head if name == head else _commit(git, name)
    except (OSError, UnicodeDecodeError):
        return ""
    return commit[:7] if re.fullmatch(r"[0-9a-f]{40,64}", commit) else ""


def _commit(git: Path, branch: str) -> str:
    """The commit of a branch, which has a file of its own or a line in that of all."""
    beside = git / "commondir"
    common = git / beside.read_text(encoding="utf-8").strip() if beside.is_file() else git
    if (common / branch).is_file():
        return (common / branch).read_text(encoding="utf-8").strip()
    lines = (line.split() for line in (common / "packed-refs").read_text(encoding="utf-8").splitlines())
    return next((words[0] for words in lines if words[1:] == [branch]), "")


def _version() -> str:
    found = revision(Path(detector.__file__).resolve().parent.parent)
    return f"{detector.__version__} ({found})" if found else detector.__version__


VERSION = _version()
