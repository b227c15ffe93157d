"""What a camera has learned of its place, kept in a file over restarts: days of watching go in and come back.

One JSON file a camera, written whole or not at all, also when the power fails: some file systems would keep the name of
the new file and nothing of what is in it. A file that can't be read is set aside and learning begins anew: what is
usual can be learned again, and a camera must not stay blind over it.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

from detector.machine.whole_files import write_whole

logger = logging.getLogger(__name__)

Learned = dict[str, dict[str, Any]]


class LearnedFile:
    """The file of one camera."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @classmethod
    def of(cls, folder: Path, camera: str, turn: int) -> LearnedFile:
        """The file of a camera whose pictures are turned by so many degrees: turned otherwise they are another view."""
        return cls(folder / (f"{camera}@{turn}.json" if turn else f"{camera}.json"))

    def load(self) -> Learned:
        """What was kept, by stage; nothing where nothing was, or where it can't be read."""
        try:
            found = json.loads(self._path.read_text(encoding="utf-8"))
            if isinstance(found, dict) and all(isinstance(value, dict) for value in found.values()):
                return found
            reason = "it holds no mapping of mappings"
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, RecursionError) as error:
            reason = str(error)
        aside = self._path.with_suffix(".unreadable")
        logger.error("what was learned can't be read and is set aside as %s: %s: %s", aside.name, self._path, reason)
        try:
            self._path.replace(aside)
        except OSError as error:
            logger.warning("%s can't be set aside: %s", self._path, error)
        return {}

    def save(self, learned: Learned) -> None:
        """Keep it; a disk that takes nothing is logged, no more."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(self._path, json.dumps(learned, allow_nan=False))
        except (OSError, ValueError, TypeError) as error:
            logger.warning("what was learned can't be kept in %s: %s", self._path, error)
