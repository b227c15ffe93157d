"""How often, and why, a worker began anew of its own accord within the last day; kept in a file over restarts."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

from detector.machine.whole_files import write_whole
from detector.values import DAY_S

logger = logging.getLogger(__name__)

REMEMBERED_S = DAY_S
MOST = 100


class Restarts:
    """The file of one edge, `restarts.json`: what can't be read counts as none, since nothing depends on it but pauses.

    Args:
        path: Of the file.
        now: Unix seconds; what is older than a day is forgotten.
    """

    def __init__(self, path: Path, now: float) -> None:
        self._path = path
        self._listed: list[tuple[float, str]] = []
        try:
            listed = json.loads(path.read_text(encoding="utf-8"))
            self._listed = [(float(at), str(why)) for at, why in listed if now - REMEMBERED_S < float(at) <= now]
        except FileNotFoundError:
            pass
        except (OSError, ValueError, TypeError) as error:
            logger.warning("earlier restarts can't be read from %s: %s", path, error)

    def __len__(self) -> int:
        return len(self._listed)

    def note(self, now: float, why: str) -> None:
        """The worker is about to begin anew; a disk that takes nothing is logged, no more."""
        self._listed = [*self._listed, (now, why)][-MOST:]
        try:
            write_whole(self._path, json.dumps(self._listed, ensure_ascii=False), lasting=False)
        except OSError as error:
            logger.warning("restarts can't be kept in %s: %s", self._path, error.strerror)

    def health(self, now: float) -> dict[str, Any]:
        """Fields for the health message."""
        of_today = [one for one in self._listed if one[0] > now - REMEMBERED_S]
        at, why = of_today[-1] if of_today else (None, None)
        return {"restarts": len(of_today), "restarted_at": at, "restarted_for": why}
