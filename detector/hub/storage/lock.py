"""One hub to a data folder: the second one is told who is there."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from detector.errors import StoreError

NAME = "hub.lock"


class DataLock:
    """Holds a data folder until `release`, or until the process ends however it ends.

    Raises:
        StoreError: Another process holds it, or the folder can't be written.
    """

    def __init__(self, folder: Path) -> None:
        try:
            self._file = os.open(folder / NAME, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise StoreError(f"{folder} can't be written: {error.strerror}") from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(self._file, 20, 0).decode("ascii", "replace").strip()
            os.close(self._file)
            hint = "stop that one, or give this one a data_dir of its own"
            raise StoreError(f"another hub (process {holder or '?'}) uses {folder}: {hint}") from error
        os.truncate(self._file, 0)
        os.pwrite(self._file, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Let another one have it; safe to call twice."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
