"""Thresholds that people at the hub have set: commands come in, the least scores that incident books ask for leave.

A command carries the whole state of this edge, so it makes no difference which ones were missed. It is taken as a
whole or refused as a whole, kept in `tuned.json` before it counts, and wins over what the configuration says; a camera
that was taken out of the configuration since is passed over, lest it hold up the others. A broker keeps the newest
(retained), so every new connection brings it again.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from typing import Any

from detector import wire
from detector.config import Camera, EdgeConfig
from detector.errors import Cause, CommandRefused, WireError
from detector.values import IncidentKind
from detector.whole_files import write_whole

logger = logging.getLogger(__name__)

FILE = "tuned.json"
KINDS = frozenset(kind.value for kind in IncidentKind)

LeastScore = dict[IncidentKind, float]


def configured(config: EdgeConfig, camera: Camera) -> LeastScore:
    """The least score of every kind that a camera's configuration asks for; 0 where it asks for none."""
    said = {**config.incidents.least_score, **camera.least_score}
    return {kind: said.get(kind, 0.0) for kind in IncidentKind}


class Tuned:
    """The thresholds in force at one edge. Any thread may call it.

    Args:
        config: The edge's configuration; the state of an earlier run is taken up from its data folder.

    Attributes:
        version: Of the state in force; 0 before the first command.
        refused: Why the newest command was refused; `None` when it was taken.
        causes: The same as codes.
        news: Set when a command was taken or refused; whoever tells of it clears it.
    """

    def __init__(self, config: EdgeConfig) -> None:
        self.version = 0
        self.refused: str | None = None
        self.causes: tuple[Cause, ...] = ()
        self.news = threading.Event()
        self._state: wire.ThresholdState = {}
        self._file = config.data_dir / FILE
        self._configured = {camera.name: configured(config, camera) for camera in config.cameras}
        self._in_force = {name: dict(scores) for name, scores in self._configured.items()}
        self._load()

    def least_score(self, camera: str) -> LeastScore:
        """The scores of one camera: always the same mapping, which changes when a command is taken."""
        return self._in_force[camera]

    def health(self) -> dict[str, Any]:
        """For the health message.

        The version in force; why the newest command was refused, if it was; and what the configuration asks for where
        nothing was set, by camera and kind, without what is 0.
        """
        asked = {
            camera: {kind.value: score for kind, score in scores.items() if score > 0}
            for camera, scores in self._configured.items()
        }
        causes = wire.causes_payload(self.causes)
        return {"version": self.version, "refused": self.refused, "refused_causes": causes, "configured": asked}

    def accept(self, payload: bytes) -> None:
        """Take a command into force, or refuse it; either way the next health message tells."""
        if not payload:
            return  # what a broker passes on when somebody takes the retained command away
        try:
            version, state = wire.decode_thresholds(payload)
            if (version, state) != (self.version, self._state):
                self._check(version, state)
                self._keep(version, state)
                self._apply(version, state)
                logger.info("thresholds of version %d are in force", version)
            self.refused, self.causes = None, ()
        except CommandRefused as error:
            self.refused, self.causes = str(error), error.causes
        except WireError as error:
            self.refused, self.causes = str(error), (Cause("malformed", {}),)
        except OSError as error:
            self.refused, self.causes = f"it can't be kept: {error.strerror}", (Cause("disk", {}),)
        if self.refused:
            logger.warning("thresholds were refused: %s", self.refused)
        self.news.set()

    def _check(self, version: int, state: wire.ThresholdState) -> None:
        wire.check_newer(version, self.version, "thresholds")
        for scores in state.values():
            for kind in scores:
                if kind not in KINDS:
                    cause = Cause("no_such_kind", {"kind": kind})
                    raise CommandRefused(f"there is no kind {kind[:64]!r} of incident", cause)

    def _keep(self, version: int, state: wire.ThresholdState) -> None:
        write_whole(self._file, wire.encode({"schema": wire.SCHEMA, "version": version, "state": state}))

    def _apply(self, version: int, state: Mapping[str, Mapping[str, float]]) -> None:
        self.version, self._state = version, {camera: dict(scores) for camera, scores in state.items()}
        for camera, scores in self._in_force.items():
            said = state.get(camera, {})
            for kind, usual in self._configured[camera].items():  # one by one: the camera's thread reads meanwhile
                scores[kind] = said.get(kind.value, usual)

    def _load(self) -> None:
        """Take up what was in force; cameras that are gone since and a broken file are passed over."""
        try:
            version, state = wire.decode_thresholds(self._file.read_bytes())
        except FileNotFoundError:
            return
        except (OSError, WireError) as error:
            logger.warning("%s can't be used, so the hub's next command is awaited: %s", self._file.name, error)
            return
        self._apply(version, state)
