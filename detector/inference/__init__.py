"""2 · What is in a frame: a picture enters, `Detections` in its pixels leave."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from detector.values import LABELS

if TYPE_CHECKING:
    from detector.config import Analysis
    from detector.inference.detector import SceneDetector

__all__ = ["load_detector"]

logger = logging.getLogger(__name__)


def load_detector(settings: Analysis) -> SceneDetector:
    """Read the model card, check the model against it, warm it up, and log what runs it.

    Raises:
        ModelError: Card or model is missing, they don't fit each other, or the model hasn't the precision set.
        MissingPart: There is no model of this name, or its precision needs a runtime that isn't installed.
    """
    from detector.inference.card import find_card
    from detector.inference.detector import SceneDetector
    from detector.inference.session import Session

    card = find_card(settings.model)
    session = Session(card, settings.precision)
    unseen = ", ".join(label for k, label in enumerate(LABELS) if k not in session.layout.labels)
    logger.info("model %s%s", session, f"; it sees no {unseen}" if unseen else "")
    return SceneDetector(session, card.thresholds, settings)
