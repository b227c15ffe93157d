"""A file is there whole or not at all."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partialmethod
from pathlib import Path
from typing import Any

import pytest

from detector.credentials.keys import load_key
from detector.machine.whole_files import alone_in, finish_together, write_together, write_whole


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
    with pytest.raises(OSError, match="No space") as failed:
        write_whole(path, "new")
    monkeypatch.undo()
    assert failed.value.filename == str(path)
    assert path.read_text() == "old" and [one.name for one in tmp_path.iterdir()] == ["state.json"]


class Killed(BaseException):
    """What nobody catches."""


def test_of_two_who_want_a_folder_for_themselves_the_second_is_refused_until_it_is_free(tmp_path: Path) -> None:
    with alone_in(tmp_path), pytest.raises(BlockingIOError), alone_in(tmp_path):
        pass
    with alone_in(tmp_path):
        pass


def test_a_disk_that_locks_no_folder_keeps_nobody_from_writing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def as_nfs(handle: int, how: int) -> None:
        raise OSError(errno.EBADF, "Bad file descriptor")

    monkeypatch.setattr("fcntl.flock", as_nfs)
    with alone_in(tmp_path):
        (tmp_path / "written").touch()


def test_files_that_are_written_together_are_all_new_or_all_old_wherever_one_is_killed(tmp_path: Path) -> None:
    old, new = ({name: name.encode() + word for name in ("mqtt.crt", "mqtt.key", "hub.pub")} for word in (b"1", b"2"))
    found = []
    for last in range(12):
        folder, steps = tmp_path / str(last), 0
        folder.mkdir()
        write_together(folder, old)

        def killed(*args: Any, step: Callable[..., Any], last: int = last) -> Any:
            nonlocal steps
            steps += 1
            if steps > last:
                raise Killed
            return step(*args)

        with pytest.MonkeyPatch.context() as patch:
            for name in ("replace", "rename", "rmdir"):
                patch.setattr(Path, name, partialmethod(killed, step=getattr(Path, name)))
            with suppress(Killed):
                write_together(folder, new, mode=0o600)
        finish_together(folder)
        found.append({file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()})
        write_together(folder, new)
        assert sorted(file.name for file in folder.iterdir()) == sorted(new)
    assert found == [old] * 4 + [new] * 8


@pytest.mark.skipif(os.geteuid() != 0, reason="files are given away by root alone")
def test_what_root_writes_into_the_folder_of_a_service_is_the_services(tmp_path: Path) -> None:
    os.chown(tmp_path, 65534, 65534)
    write_whole(tmp_path / "mqtt.key", "secret", mode=0o600)
    load_key(tmp_path / "identity.key", "the edge's key")
    assert {(file.stat().st_uid, file.stat().st_gid) for file in tmp_path.iterdir()} == {(65534, 65534)}


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small disk of its own, mounted."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a disk: run as root")
    image, mounted = tmp_path / "disk", tmp_path / "mounted"
    image.touch()
    os.truncate(image, 8 << 20)
    subprocess.run(["mkfs.ext4", "-q", "-F", str(image)], check=True)
    mounted.mkdir()
    if subprocess.run(["mount", "-o", "loop", str(image), str(mounted)], capture_output=True, check=False).returncode:
        pytest.skip("this machine mounts no files: run where it does, such as a virtual machine")
    yield mounted
    subprocess.run(["umount", str(mounted)], check=True)


@contextmanager
def after_a_power_cut(disk: Path) -> Iterator[Path]:
    """The disk as whoever cuts the power now finds it again."""
    image, found = disk.with_name("disk"), disk.with_name("found")
    cut = found.with_suffix(".disk")
    cut.write_bytes(image.read_bytes())
    found.mkdir()
    subprocess.run(["mount", "-o", "loop", str(cut), str(found)], check=True)
    try:
        yield found
    finally:
        subprocess.run(["umount", str(found)], check=True)


def test_what_lasts_is_there_under_its_name_after_a_power_cut(disk: Path) -> None:
    write_whole(disk / "hub.pub", "the hub's key")
    with after_a_power_cut(disk) as found:
        assert (found / "hub.pub").read_text() == "the hub's key"


def test_a_key_that_others_may_know_by_now_is_there_after_a_power_cut(disk: Path) -> None:
    key = load_key(disk / "identity.key", "the edge's key")
    with after_a_power_cut(disk) as found:
        again = load_key(found / "identity.key", "the edge's key")
        assert again.private_bytes_raw() == key.private_bytes_raw()
