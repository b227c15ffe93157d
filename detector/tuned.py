"""Thresholds that people at the hub have set: commands come in, the least scores that incident books ask for leave."""

from __future__ import annotations

from typing import Any

from detector import wire
from detector.commanded import Commanded
from detector.config import Camera, EdgeConfig
from detector.errors import Cause, CommandRefused
from detector.values import IncidentKind

FILE = "tuned.json"
KINDS = frozenset(kind.value for kind in IncidentKind)

LeastScore = dict[IncidentKind, float]


def configured(config: EdgeConfig, camera: Camera) -> LeastScore:
    """The least score of every kind that a camera's configuration asks for; 0 where it asks for none."""
    said = {**config.incidents.least_score, **camera.least_score}
    return {kind: said.get(kind, 0.0) for kind in IncidentKind}


class Tuned(Commanded[wire.ThresholdState]):
    """The thresholds in force at one edge; any thread may call it.

    Args:
        config: The edge's configuration; the state of an earlier run is taken up from its data folder.
    """

    def __init__(self, config: EdgeConfig) -> None:
        super().__init__(config.data_dir / FILE, "thresholds", {})
        self._configured = {camera.name: configured(config, camera) for camera in config.cameras}
        self._in_force = {name: dict(scores) for name, scores in self._configured.items()}
        self._load()

    def least_score(self, camera: str) -> LeastScore:
        """The scores of one camera: always the same mapping, which changes when a command is taken."""
        return self._in_force[camera]

    @property
    def set_at_hub(self) -> dict[str, LeastScore]:
        """What was set at the hub, by camera of this edge."""
        return {
            camera: {IncidentKind(kind): score for kind, score in scores.items() if kind in KINDS}
            for camera, scores in self._state.items()
            if camera in self._in_force
        }

    def applied_to(self, config: EdgeConfig) -> EdgeConfig:
        """A configuration of this edge with what was set at the hub."""
        told = self.set_at_hub
        cameras = [
            camera.model_copy(update={"least_score": {**camera.least_score, **told[camera.name]}})
            if camera.name in told
            else camera
            for camera in config.cameras
        ]
        return config.model_copy(update={"cameras": cameras})

    def health(self) -> dict[str, Any]:
        """And what the configuration asks for where nothing was set, by camera and kind, without what is 0."""
        asked = {
            camera: {kind.value: score for kind, score in scores.items() if score > 0}
            for camera, scores in self._configured.items()
        }
        return {**super().health(), "configured": asked}

    def _decode(self, payload: bytes) -> tuple[int, wire.ThresholdState, wire.Said]:
        return wire.decode_thresholds(payload)

    def _understood(self, told: wire.ThresholdState) -> wire.ThresholdState:
        return told

    def _check(self, state: wire.ThresholdState) -> None:
        for scores in state.values():
            for kind in scores:
                if kind not in KINDS:
                    cause = Cause("no_such_kind", {"kind": kind})
                    raise CommandRefused(f"there is no kind {kind[:64]!r} of incident", cause)

    def _apply(self) -> None:
        for camera, scores in self._in_force.items():
            told = self._state.get(camera, {})
            for kind, usual in self._configured[camera].items():  # one by one: the camera's thread reads meanwhile
                scores[kind] = told.get(kind.value, usual)
