"""Scripts of `models/`, run as from a command line but without a process, which imports for longer than it works."""

from __future__ import annotations

import runpy
import subprocess
import sys
from collections.abc import Callable

import pytest

from tests.conftest import REPOSITORY

Script = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Script:
    """Runs one with arguments; what it exits with and says is told as of a process."""

    def run(name: str, *arguments: object) -> subprocess.CompletedProcess[str]:
        file = str(REPOSITORY / "models" / name)
        monkeypatch.setattr(sys, "argv", [file, *map(str, arguments)])
        capsys.readouterr()
        status: object = 0
        try:
            runpy.run_path(file, run_name="__main__")
        except SystemExit as ended:
            status = ended.code or 0
        if not isinstance(status, int):  # as the interpreter does
            print(status, file=sys.stderr)
            status = 1
        return subprocess.CompletedProcess(sys.argv, status, *capsys.readouterr())

    return run
