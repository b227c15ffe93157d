"""Model card: a YAML file beside the weights enters, a checked `ModelCard` leaves."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from detector.errors import ModelError
from detector.resources import resource
from detector.values import LABELS, TRAITS


class ModelCard(BaseModel):
    """What a model file is, and where its scores become detections.

    `thresholds` are the scores, by label, at which the worker believes a detection; `models/evaluate.py` chooses them
    on held-out scenes. Figures and origin are for people.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    name: str
    file: str
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    labels: list[str]
    traits: list[str] = []
    thresholds: dict[str, float] = Field(default_factory=lambda: dict.fromkeys(LABELS, 0.25))
    path: Path = Path()


def find_card(model: str) -> ModelCard:
    """The card of a model by name (in `models/`) or by the path of its card.

    Raises:
        ModelError: No such card, or it isn't one; or the file's checksum isn't the card's.
    """
    path = Path(model) if model.endswith((".yaml", ".yml")) else resource("models", f"{model}.yaml")
    try:
        tree: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
        card = ModelCard.model_validate(tree).model_copy(update={"path": path.parent / str(tree["file"])})
    except OSError as error:
        raise ModelError(f"no model card {path}: {error.strerror}") from error
    except (yaml.YAMLError, ValidationError, TypeError, KeyError) as error:
        raise ModelError(f"{path} is not a model card: {str(error).splitlines()[0]}") from error
    if tuple(card.labels) != LABELS or tuple(card.traits) != TRAITS:
        raise ModelError(f"{path}: this version needs labels {', '.join(LABELS)} and traits {', '.join(TRAITS)}")
    try:
        found = hashlib.sha256(card.path.read_bytes()).hexdigest()
    except OSError as error:
        raise ModelError(f"no model file {card.path}: {error.strerror}") from error
    if found != card.sha256:
        raise ModelError(
            f"{card.path} is not the file its card describes: sha256 {found[:12]}…, the card says {card.sha256[:12]}… "
            "(restore the file, or describe the new one with a card of its own)"
        )
    return card
