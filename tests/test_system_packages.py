"""What installs system packages leaves the machine as it was but for these, however it ends."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.parts_mosquitto import soon

APT = """#!/bin/sh
case "$1" in install) cp "{policy}" "{seen}"; {then} ;; esac
"""


def machine(folder: Path, then: str) -> list[str]:
    """A command that installs what is missing on a machine of its own, which is all; `then` is what apt does."""
    programs, policy = folder / "bin", folder / "policy-rc.d"
    (folder / ".ci").mkdir()
    programs.mkdir()
    script = (REPOSITORY / ".ci" / "system-packages").read_text()
    (folder / ".ci" / "system-packages").write_text(script.replace("/usr/sbin/policy-rc.d", str(policy)))
    for name, text in (
        ("apt-get", APT.format(policy=policy, seen=folder / "seen", then=then)),
        ("apt-cache", "#!/bin/sh\n"),
        ("id", "#!/bin/sh\necho 0\n"),
    ):
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    return ["env", f"PATH={programs}:{os.environ['PATH']}", "sh", str(folder / ".ci" / "system-packages"), "run"]


@pytest.mark.parametrize(("then", "code"), [("exit 0", 0), ("exit 100", 1)], ids=["installed", "failed"])
def test_services_are_kept_from_starting_while_packages_are_installed_and_no_longer(
    then: str, code: int, tmp_path: Path
) -> None:
    assert subprocess.run(machine(tmp_path, then), check=False, capture_output=True).returncode == code
    assert "exit 101" in (tmp_path / "seen").read_text()
    assert not (tmp_path / "policy-rc.d").exists()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda one: one.name)
def test_who_breaks_it_off_has_services_that_start_again(how: signal.Signals, tmp_path: Path) -> None:
    command = machine(tmp_path, "sleep 30")
    with subprocess.Popen(command, start_new_session=True, stdout=subprocess.DEVNULL) as broken_off:
        assert soon(lambda: (tmp_path / "seen").exists())
        os.killpg(broken_off.pid, how)
    if how is signal.SIGKILL:  # which nothing can answer but the next one
        apt = tmp_path / "bin" / "apt-get"
        apt.write_text(apt.read_text().replace("sleep 30", "exit 0"))
        subprocess.run(command, check=True, capture_output=True)
    assert not (tmp_path / "policy-rc.d").exists()


def test_what_somebody_else_keeps_services_from_starting_by_stays(tmp_path: Path) -> None:
    command = machine(tmp_path, "exit 0")
    (tmp_path / "policy-rc.d").write_text("#!/bin/sh\nexit 101 # of a container\n")
    subprocess.run(command, check=True, capture_output=True)
    assert (tmp_path / "policy-rc.d").read_text().endswith("# of a container\n")
