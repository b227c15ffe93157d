"""What people at the hub have set for an edge: commands come in, and the newest one that was taken is in force.

A command carries the whole state of this edge, so it makes no difference which ones were missed. It is taken as a
whole or refused as a whole, kept in a file before it counts, and wins over what the configuration says; a camera that
was taken out of the configuration since is passed over, lest it hold up the others. A broker keeps the newest
(retained), so every new connection brings it again.
"""

from __future__ import annotations

import logging
import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Generic, TypeVar

from detector import wire
from detector.errors import Cause, CommandRefused, WireError
from detector.machine.whole_files import write_whole

logger = logging.getLogger(__name__)

State = TypeVar("State", bound=Mapping[str, Any])


class Commanded(ABC, Generic[State]):
    """The state of one kind in force at one edge. Any thread may call it.

    Args:
        file: Keeps the command in force; what an earlier run left there is taken up by `_load`.
        what: Name of what is commanded, for errors and the log.
        state: In force before the first command.

    Attributes:
        version: Of the state in force; 0 before the first command.
        said: Who commanded it.
        refused: Why the newest command was refused; `None` when it was taken.
        causes: The same as codes, as far as there are any.
        refused_version: Which version that was, if it could be read.
        news: Set when a command was taken or refused; whoever tells of it clears it.
    """

    def __init__(self, file: Path, what: str, state: State) -> None:
        self.version = 0
        self.said = wire.Said()
        self.refused: str | None = None
        self.causes: tuple[Cause, ...] = ()
        self.refused_version: int | None = None
        self.news = threading.Event()
        self._file = file
        self._what = what
        self._state = state

    def cameras_said(self) -> frozenset[str]:
        """Names of the cameras that the state in force speaks of; some may be in the configuration no more."""
        return frozenset(self._state)

    def health(self) -> dict[str, Any]:
        """For the health message: the version in force, and which was refused last and why, if the newest was."""
        return {
            "version": self.version,
            "refused": self.refused,
            "refused_version": self.refused_version,
            "refused_causes": wire.causes_payload(self.causes),
        }

    def accept(self, payload: bytes) -> None:
        """Take a command into force, or refuse it; either way the next health message tells."""
        if not payload:
            return  # what a broker passes on when somebody takes the retained command away
        version = None
        try:
            version, told, said = self._decode(payload)
            state = self._understood(told)
            if (version, state) != (self.version, self._state):
                wire.check_newer(version, self.version, self._what)
                self._check(state)
                write_whole(self._file, payload)
                self._take(version, state, said)
                logger.info("%s of version %d are in force", self._what, version)
            self.refused, self.causes = None, ()
        except CommandRefused as error:
            self.refused, self.causes = str(error), error.causes
        except WireError as error:
            self.refused, self.causes = str(error), (Cause("malformed", {}),)
        except OSError as error:
            self.refused, self.causes = f"it can't be kept: {error.strerror}", (Cause("disk", {}),)
        self.refused_version = version if self.refused else None
        if self.refused:
            logger.warning("%s were refused: %s", self._what, self.refused)
        self.news.set()

    def _load(self) -> None:
        """Take up what was in force; a broken file is passed over."""
        try:
            version, told, said = self._decode(self._file.read_bytes())
            state = self._understood(told)
        except FileNotFoundError:
            return
        except (OSError, WireError) as error:
            logger.warning("%s can't be used, so the hub's next command is awaited: %s", self._file.name, error)
            return
        self._take(version, state, said)

    def _take(self, version: int, state: State, said: wire.Said) -> None:
        self.version, self._state, self.said = version, state, said
        self._apply()

    @abstractmethod
    def _decode(self, payload: bytes) -> tuple[int, Any, wire.Said]:
        """Version and state of a command, and who gave it; raises `WireError`."""

    @abstractmethod
    def _understood(self, told: Any) -> State:
        """The state that a command tells of; raises `CommandRefused`."""

    @abstractmethod
    def _check(self, state: State) -> None:
        """Raise `CommandRefused` where a state can't be in force here."""

    @abstractmethod
    def _apply(self) -> None:
        """Bring the state into force."""
