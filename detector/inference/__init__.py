"""2 · What is in a frame: a picture enters, `Detections` in its pixels leave."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from detector.config import Analysis
    from detector.inference.detector import SceneDetector

__all__ = ["load_detector"]


def load_detector(settings: Analysis) -> SceneDetector:
    """Read the model card, check the model against it, and warm it up.

    Raises:
        ModelError: Card or model is missing, or they don't fit each other.
    """
    from detector.inference.card import find_card
    from detector.inference.detector import SceneDetector
    from detector.inference.session import Session

    card = find_card(settings.model)
    return SceneDetector(Session(card), card.thresholds, settings)
