"""A file that is there whole or not at all, whatever happens while it is written; several that are there together."""

from __future__ import annotations

import fcntl
import hashlib
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

TOGETHER = ".together"  # a folder of files that replace those beside it, all of them


def write_whole(
    path: Path, content: bytes | str, *, mode: int = 0o666, lasting: bool = True, whatever_umask: bool = False
) -> None:
    """Write a file, or leave the one that is there as it was.

    What root writes into another's folder is that one's: a service must be able to read it.

    Args:
        path: Of the file; its folder must be there. Two writers of one file must not meet.
        content: Text is written as UTF-8.
        mode: Who may do what with it, from the first byte on; the umask takes from it.
        lasting: Whether it is on the disk when the call returns, so that a power cut doesn't take it.
        whatever_umask: Whether the umask takes nothing from `mode`: of what a service of another user reads.

    Raises:
        OSError: It can't be written; it names the file, which a full disk alone doesn't.
    """
    draft = path.with_name(f".{path.name}.draft")
    try:
        draft.unlink(missing_ok=True)  # of a writer that died: its mode may be another
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        with os.fdopen(os.open(draft, flags, mode), "wb") as file:
            give(file.fileno(), path.parent.stat())
            if whatever_umask:
                os.fchmod(file.fileno(), mode)
            file.write(content.encode() if isinstance(content, str) else content)
            if lasting:
                file.flush()
                os.fsync(file.fileno())
        draft.replace(path)
        if lasting:
            sync_folder(path.parent)
    except OSError as error:
        draft.unlink(missing_ok=True)
        error.filename, error.filename2 = str(path), None
        raise


def write_together(folder: Path, files: Mapping[str, bytes], *, mode: int = 0o666) -> None:
    """Replace or make several files of a folder, which are of use only together: all of them, or none.

    Who is cut off halfway leaves the rest to the next who asks for it (`finish_together`).

    Args:
        folder: Must be there. Two writers must not meet.
        files: Contents by their names.
        mode: As of `write_whole`.

    Raises:
        OSError: They can't be written. Those that were there are as they were, or the rest can be had by trying again.
    """
    finish_together(folder)
    draft = folder / f"{TOGETHER}.draft"
    if draft.exists():
        shutil.rmtree(draft)
    draft.mkdir(mode=0o700)
    give(draft, folder.stat())
    for name, content in files.items():
        write_whole(draft / name, content, mode=mode)
    draft.rename(folder / TOGETHER)
    sync_folder(folder)
    finish_together(folder)


def finish_together(folder: Path) -> None:
    """Put files in their places that somebody wrote together and was cut off at.

    Raises:
        OSError: They can't be.
    """
    whole = folder / TOGETHER
    if whole.is_dir():
        for file in sorted(whole.iterdir()):
            file.replace(folder / file.name)
        sync_folder(folder)
        whole.rmdir()


def make_whole(path: Path, content: bytes) -> bool:
    """Write a file where there is none, mode 0600; whether that was done: of two who do it at once, one wins.

    Args:
        path: Of the file; its folder must be there.
        content: What goes into it.

    Raises:
        OSError: It can't be written.
    """
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            give(file.fileno(), path.parent.stat())
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)  # unlike rename, a link doesn't replace what others made meanwhile
    except FileExistsError:
        return False
    finally:
        draft.unlink(missing_ok=True)
    sync_folder(path.parent)
    return True


def make_folder(folder: Path, mode: int = 0o700) -> None:
    """Make a folder where there is none, and those above it; what root makes is whose the folder above it is.

    Raises:
        OSError: It can't be made.
    """
    if not folder.is_dir():
        make_folder(folder.parent, 0o777)
        folder.mkdir(exist_ok=True, mode=mode)
        give(folder, folder.parent.stat())


def give(file: Path | int, owner: os.stat_result) -> None:
    """Have a file that root made, by path or descriptor, belong to whoever owns something else, if the disk can."""
    if os.geteuid() == 0:
        with suppress(OSError):
            if isinstance(file, int):
                os.fchown(file, owner.st_uid, owner.st_gid)
            else:
                os.lchown(file, owner.st_uid, owner.st_gid)


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Be the only one of those that ask for it to write in a folder, which must be there, if the disk can tell.

    Raises:
        BlockingIOError: Somebody is.
        OSError: The folder can't be opened.
    """
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise
        except OSError:
            pass  # NFS locks no folder
        yield
    finally:
        os.close(handle)


def sha256_of(path: Path) -> str:
    """Checksum of a file, lower-case hex.

    Raises:
        OSError: It can't be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync_folder(folder: Path) -> None:
    """Have a folder on the disk as it stands, with what was renamed into it just now.

    Raises:
        OSError: It can't be.
    """
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
