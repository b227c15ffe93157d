"""The one place that chooses the stages of a pipeline: configuration enters, a `Pipeline` leaves."""

from __future__ import annotations

import logging
from collections.abc import Callable
from math import inf

from detector.alerts.incidents import IncidentBook
from detector.config import Analysis, Camera, EdgeConfig
from detector.coverage import least_height_px
from detector.errors import ModelError
from detector.inference import load_detector
from detector.inference.gate import MotionGate
from detector.inference.looker import Detector, SceneLooker
from detector.pipeline import Judge, Pipeline, Rule, Stages, Tracker
from detector.rules.blind_edge import BlindEdgeRule
from detector.rules.closeness import Closeness
from detector.rules.lingering import LingeringRule
from detector.rules.orientation import OrientationRule
from detector.rules.policy import Policies
from detector.rules.sweep import SweepRule
from detector.rules.tamper import TamperRule
from detector.rules.zones import ZoneMap
from detector.shifts import Shifts
from detector.telling import Cadence
from detector.tracking import SceneTracker
from detector.tuned import LeastScore, configured

logger = logging.getLogger(__name__)


def build_looker(analysis: Analysis, detector: Detector | None = None) -> SceneLooker:
    """What looks at one camera's frames.

    Args:
        analysis: How closely.
        detector: Shared by all cameras of a process; loaded when left out.

    Raises:
        ModelError: The model can't be loaded.
    """
    return SceneLooker(detector or load_detector(analysis), MotionGate if analysis.gate else None)


def build_closeness(model: str, window_s: float = inf) -> Closeness | None:
    """What counts who is too far off for a model; `None` where its card doesn't say how small a phone it finds."""
    try:
        return Closeness(least_height_px(model), window_s)
    except ModelError as error:
        logger.info("who is too far off isn't counted: %s", error)
        return None


def build_judge(config: EdgeConfig, camera: Camera) -> Judge:
    """What judges what was seen of one camera; arguments as of `build_pipeline`."""
    return Judge(_stages(config, camera))


def build_pipeline(
    config: EdgeConfig, camera: Camera, detector: Detector | None = None, least_score: LeastScore | None = None
) -> Pipeline:
    """The pipeline of one camera.

    Args:
        config: The edge's configuration.
        camera: One of its cameras.
        detector: Shared by all cameras of a process; loaded when left out.
        least_score: Of findings that become incidents, by kind; may change at any time. The configuration's when left
            out.

    Raises:
        ModelError: The model can't be loaded.
    """
    looker = build_looker(config.analysis, detector)
    return Pipeline(looker, _stages(config, camera, least_score))


def _stages(config: EdgeConfig, camera: Camera, least_score: LeastScore | None = None) -> Callable[[], Stages]:
    """Makes the stages that judge."""
    zones = ZoneMap(camera.zones)
    shifts = Shifts(config.calendar, config.timezone)
    policies = Policies(shifts)
    cadence = Cadence(config.incidents)
    # One for every book of this camera: what is changed while it runs outlives a leap of time.
    in_force = configured(config, camera) if least_score is None else least_score

    def stages() -> Stages:
        rules: list[Rule] = [
            SweepRule(zones, config.rules, policies),
            OrientationRule(zones, config.rules.orientation, shifts),
            LingeringRule(zones, config.rules.lingering, policies, cadence),
            BlindEdgeRule(zones, config.rules.blind_edge, shifts, cadence),
            TamperRule(config.rules.tamper, shifts, cadence),
        ]
        spots = {zone.name: zone.spot for zone in camera.zones if zone.spot}
        book = IncidentBook(config.site, config.incidents, in_force, config.rules.sweep.window_s, spots)
        return Stages(SceneTracker(), tuple(rules), book)

    return stages


def build_tracking(config: EdgeConfig) -> tuple[SceneLooker, Tracker]:
    """The first stages alone, for those who want to know where people are and not what they do.

    Nobody's hands are looked at closely, which is most of the work where there are people.

    Raises:
        ModelError: The model can't be loaded.
    """
    return build_looker(config.analysis.model_copy(update={"zooms": 0})), SceneTracker()
