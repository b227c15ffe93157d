"""Heads of the audit log, kept outside its database: in a file beside it, and in the hub's own log.

One line a head, `TIME NUMBER:HASH`, added when the hub starts, once an hour and when it stops. Whoever cuts off or
rewrites the audit log in the database has to forge this file and the system's log as well; what came since the last
head can be cut off unnoticed.
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from detector.clock import Clock, iso
from detector.hub.access.audit import Audit, Checked, Head, verify
from detector.hub.background import Background

logger = logging.getLogger(__name__)

FILE = "audit-heads.log"
# After a start who comes back, boxes with what waited and people, has more need of the machine: to follow a quarter of
# a million entries takes it for half a minute.
FIRST_CHECK_S = 600.0
HEAD_S = 3600.0
HEADS_A_CHECK = 24


@dataclass(frozen=True, slots=True)
class Kept:
    """What the file holds: heads, and the numbers of lines that hold none."""

    heads: tuple[Head, ...]
    unreadable: tuple[int, ...]


class Anchors:
    """Adds the head to the file hour by hour, and checks the chain against it day by day.

    Args:
        audit: The log.
        data_dir: Of the hub; the file is in it.
        clock: Tells the time.
    """

    def __init__(self, audit: Audit, data_dir: Path, clock: Clock) -> None:
        self._audit = audit
        self._file = data_dir / FILE
        self._clock = clock
        self._background = Background("audit-anchors", self._keep)
        self.last: tuple[float, Checked, Kept] | None = None

    def start(self) -> None:
        """Begin: add the head now and once an hour, check in some minutes and once a day."""
        self._background.start()

    def stop(self) -> None:
        """Add the head a last time; safe to call twice, and without a start."""
        if self._background.is_running:
            self._background.stop()
            self._anchor()

    def check(self) -> tuple[float, Checked, Kept]:
        """Follow the whole chain and compare it with every head kept; when it was, and what was found, is `last`."""
        kept = self.read()
        self.last = self._clock.now(), verify(self._audit.all_entries(), kept.heads), kept
        return self.last

    def anchor(self) -> Head | None:
        """Add the head to the file, unless it is the last one there.

        Raises:
            OSError: The file can't be written.
        """
        head = self._audit.head()
        kept = self.read()
        if head is None or (kept.heads and kept.heads[-1] == head):
            return head
        start = "\n" if self._is_cut_off() else ""
        line = f"{start}{iso(self._clock.now())} {head}\n".encode()
        with os.fdopen(os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "wb", buffering=0) as file:
            file.write(line)
            os.fsync(file.fileno())
        return head

    def read(self) -> Kept:
        """What the file holds; nothing where there is none."""
        heads, unreadable = [], []
        lines = self._file.read_bytes().splitlines() if self._file.exists() else []
        for number, line in enumerate(lines, 1):
            try:
                heads.append(Head.of(line.decode().split()[-1]))
            except (ValueError, IndexError):
                unreadable.append(number)
        return Kept(tuple(heads), tuple(unreadable))

    def _is_cut_off(self) -> bool:
        content = self._file.read_bytes() if self._file.exists() else b""
        return bool(content) and not content.endswith(b"\n")

    def _keep(self) -> None:
        self._anchor()
        going_on = self._background.pause(FIRST_CHECK_S)
        while going_on:
            try:
                _, checked, kept = self.check()
            except (OSError, SQLAlchemyError) as error:
                logger.error("the audit log can't be checked: %s", error)
            else:
                if checked.flaws or kept.unreadable:
                    logger.error("the audit log does not hold: labelwatch audit verify says what")
            for _ in range(HEADS_A_CHECK):
                if not (going_on := self._background.pause(HEAD_S)):
                    break
                self._anchor()

    def _anchor(self) -> None:
        try:
            logger.info("audit head %s", self.anchor())
        except (OSError, SQLAlchemyError) as error:
            logger.error("the head of the audit log can't be kept: %s", error)
