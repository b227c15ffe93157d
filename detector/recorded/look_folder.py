"""What was seen in files, as kept on the disk of whoever drives a replay: by the names of the tasks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from detector.errors import SourceError
from detector.machine.whole_files import write_whole
from detector.recorded.look_files import FileLooks, Looks, opened, read_of
from detector.recorded.looking import LookTask
from detector.values import Look


@dataclass(frozen=True, slots=True)
class LookFolder:
    """Such a folder; made when something is put into it."""

    path: Path

    def file(self, task: LookTask) -> Path:
        """Where a task's result lies, or will."""
        return self.path / f"{task.name}.looks"

    def missing(self, tasks: Iterable[LookTask], *, retry: bool) -> list[LookTask]:
        """Tasks that must still be carried out; results that aren't whole, or needn't be final, are deleted.

        Args:
            tasks: Which.
            retry: Try again what was set aside, too.
        """
        found = []
        for task in tasks:
            file = self.file(task)
            if file.exists():
                read = read_of(file)
                if read is not None and not read.transient and not (retry and read.set_aside):
                    continue
                file.unlink()
            found.append(task)
        return found

    def holds(self, task: LookTask) -> bool:
        """Whether a task's result is there."""
        return self.file(task).exists()

    def put(self, task: LookTask, found: bytes) -> None:
        """Keep a result, whole or not at all.

        Raises:
            OSError: It can't be written.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        write_whole(self.file(task), found, lasting=False)

    def get(self, task: LookTask) -> FileLooks:
        """What was seen in a file; a result that turns out to be damaged is deleted, so that the next run looks anew.

        Raises:
            OSError: It isn't there.
            SourceError: It can't be read back; going through the looks raises it, too.
        """
        file = self.file(task)
        found = opened(file)
        return replace(found, looks=_UnlessDamaged(found.looks, file))

    def clear(self, tasks: Iterable[LookTask]) -> None:
        """Delete results."""
        for task in tasks:
            self.file(task).unlink(missing_ok=True)

    def clear_but(self, tasks: Iterable[LookTask]) -> None:
        """Delete all results but these, of runs before an update as well, and the folder unless something is left."""
        wanted = {self.file(task) for task in tasks}
        for file in set(self.path.glob("*.looks")) - wanted:
            file.unlink(missing_ok=True)
        with suppress(OSError):
            self.path.rmdir()


@dataclass(frozen=True, slots=True)
class _UnlessDamaged:
    """Looks in a file that is deleted where they can't be read back."""

    looks: Looks
    file: Path

    def __len__(self) -> int:
        return len(self.looks)

    def __iter__(self) -> Iterator[Look]:
        try:
            yield from self.looks
        except SourceError:
            self.file.unlink(missing_ok=True)
            raise
