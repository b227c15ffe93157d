"""Every error labelwatch raises on purpose.

    LabelwatchError
      ConfigError        problems of a configuration, all of them at once
      SourceError        a file or camera that can't be read
        SourceUnavailable    it can't be opened
          NotThere             nothing is at a path that was given
      ModelError         wrong checksum, or a model that isn't what its card says
      WireError          a message that can't be decoded or must not be believed
        CommandRefused       the edge doesn't take it
      StoreError         a database that can't be used
      ClusterError       a Dask cluster that can't be used, or no longer
      MissingPart        a program or library that the command needs is not installed

The command line turns them into one line on stderr: `ConfigError`, `MissingPart` and `NotThere` exit with 2, the others
with 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from detector.machine.secrecy import redacted


class LabelwatchError(Exception):
    """Root of the tree; its text is safe to show and to log."""

    def __init__(self, message: object) -> None:
        super().__init__(redacted(message))


@dataclass(frozen=True, slots=True)
class Cause:
    """Why something is refused, for programs: a code of `wire.REFUSALS`, and the values that go into its words."""

    code: str
    values: Mapping[str, str | int]


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a configuration, said so that its writer can mend it; `cause` where zones may be refused.

    `about` are the camera and the zone that have it, as far as it is one's.
    """

    file: str
    key: str
    reason: str
    hint: str = ""
    cause: Cause | None = field(default=None, compare=False)
    about: tuple[str, str] = field(default=("", ""), compare=False)

    def __post_init__(self) -> None:
        for name in ("key", "reason"):  # what stands in a configuration may hold a password
            object.__setattr__(self, name, redacted(getattr(self, name)))

    def __str__(self) -> str:
        where = f"{self.file}: {self.key}" if self.key else self.file
        return f"{where}: {self.reason}" + (f" ({self.hint})" if self.hint else "")


class ConfigError(LabelwatchError):
    """All problems of a configuration; `problems` lists them."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


class SourceError(LabelwatchError):
    """A file or camera can't be read."""


class SourceUnavailable(SourceError):  # noqa: N818 - these names say what happened
    """The file or camera can't be opened."""


class NotThere(SourceUnavailable):
    """Nothing is at a path that was given; what is looked for there, and a hint."""

    def __init__(self, path: object, what: str = "file or folder", hint: str = "check the path") -> None:
        super().__init__(f"{path}: no such {what} ({hint})")


class ModelError(LabelwatchError):
    """A model file doesn't match its card."""


class WireError(LabelwatchError):
    """A message can't be decoded, has an unknown schema, or fails its signature."""


class CommandRefused(WireError):  # noqa: N818 - it says what happened
    """A command of the hub that the edge does not take; `causes` say why, for whoever commanded."""

    def __init__(self, message: object, *causes: Cause) -> None:
        super().__init__(message)
        self.causes = causes


class StoreError(LabelwatchError):
    """A database can't be used."""


class ClusterError(LabelwatchError):
    """A Dask cluster can't be reached, its workers would find something else than this machine, or all are gone."""


class MissingPart(LabelwatchError):  # noqa: N818
    """A program or library is not installed; the text says how to get it."""
