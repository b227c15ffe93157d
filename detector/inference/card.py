"""Model card: a YAML file beside the weights enters, a checked `ModelCard` leaves."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from detector.cards import read_card
from detector.errors import MissingPart, ModelError
from detector.inference.decode import Layout
from detector.machine.resources import resource
from detector.machine.whole_files import sha256_of
from detector.values import ACT_TRAITS, LABELS, PARCEL, PERSON, PHONE, PHOTO, TRAITS

Score = Annotated[float, Field(ge=0.0, le=1.0)]


def _for_every_label(thresholds: dict[str, float]) -> dict[str, float]:
    if unknown := thresholds.keys() - set(LABELS):
        raise ValueError(f"threshold of no label: {min(unknown)}")
    return dict.fromkeys(LABELS, 0.25) | thresholds


class Variant(BaseModel):
    """Another way to compute the same network: precision, runtime and, unless made while loading, a file of its own.

    `loss` says what was measured against fp32 on the same pictures: name of a figure (a share, larger is better) to
    fp32's minus this one's. Empty: not measured.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    precision: Literal["fp32", "bf16", "int8"]
    runtime: Literal["onnxruntime", "openvino"]
    file: str | None = None
    sha256: str | None = Field(None, pattern=r"^[0-9a-f]{64}$")
    loss: dict[str, float] = {}

    @model_validator(mode="after")
    def _is_complete(self) -> Variant:
        if (self.file is None) != (self.sha256 is None):
            raise ValueError("a file and its sha256 come together")
        if self.precision == "int8" and self.file is None:
            raise ValueError("int8 needs a file")
        if self.precision == "bf16" and self.runtime != "openvino":
            raise ValueError("bf16 is run by openvino")
        return self


class ModelCard(BaseModel):
    """What a model file is, and where its scores become detections.

    `thresholds` are the scores, by label, at which the worker believes a detection; `models/evaluate.py` chooses them
    on held-out scenes; 0.25 for those left out. `labels` and `traits` name the network's channels in their order;
    `ours` says which of our labels a class of another name is, and classes that are none of ours are passed over.
    `bins`, `keypoints` and `end2end` are of the output's `Layout`. Figures and origin are for people.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    name: str
    file: str
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    labels: list[str]
    traits: list[str] = []
    ours: dict[str, str] = {}
    thresholds: Annotated[dict[str, Score], AfterValidator(_for_every_label)] = dict.fromkeys(LABELS, 0.25)
    keypoints: tuple[int, int] = (0, 0)
    end2end: bool = False
    bins: int = Field(0, ge=0, le=64)
    variants: list[Variant] = []
    path: Path = Path()

    @model_validator(mode="after")
    def _speaks_of_something_known(self) -> ModelCard:
        if unknown := set(self.traits) - set(TRAITS):
            raise ValueError(f"traits: there is no trait {min(unknown)} (there are: {', '.join(TRAITS)})")
        if len(set(self.traits)) < len(self.traits):
            raise ValueError("traits: one stands there twice")
        if unknown := set(self.ours.values()) - set(LABELS):
            raise ValueError(f"ours: there is no label {min(unknown)} (there are: {', '.join(LABELS)})")
        if unknown := self.ours.keys() - set(self.labels):
            raise ValueError(f"ours: {min(unknown)} is none of the model's labels")
        if self.traits and self.end2end:
            raise ValueError("traits: a network that chooses its boxes itself has none")
        if self.bins and self.end2end:
            raise ValueError("bins: a network that chooses its boxes itself tells them by their corners")
        if set(self.layout.labels) == {-1} or not self.labels:
            raise ValueError(f"labels: none is one of ours ({', '.join(LABELS)}), and ours says none either")
        return self

    @property
    def lacks(self) -> list[str]:
        """What it doesn't do of that without which nobody is found photographing labels, as "sees no phone"."""
        unseen = [f"sees no {LABELS[k]}" for k in (PERSON, PHONE, PARCEL) if k not in self.layout.labels]
        # Of a phone it says whether it is held as for a photo, or of people what they do: either speaks about acts.
        tells = TRAITS[PHOTO] in self.traits or set(TRAITS[ACT_TRAITS]) <= set(self.traits)
        return unseen if tells else [*unseen, "doesn't tell photographing from reading"]

    @property
    def layout(self) -> Layout:
        """What the channels of the network's output mean."""
        ours = [self.ours.get(label, label) for label in self.labels]
        return Layout(
            tuple(LABELS.index(label) if label in LABELS else -1 for label in ours),
            tuple(TRAITS.index(trait) for trait in self.traits),
            self.keypoints,
            self.end2end,
            self.bins,
        )


def find_card(model: str) -> ModelCard:
    """The card of a model by name (in `models/`) or by the path of its card.

    Raises:
        MissingPart: There is no `models/`, or no such card.
        ModelError: It isn't one; or the file's checksum isn't the card's.
    """
    path = Path(model)
    if path.suffix not in (".yaml", ".yml"):
        path = resource("models") / f"{model}.yaml"
    if not path.exists():
        known = ", ".join(card.stem for card in cards_in(resource("models"))) or "none"
        beside = f", e.g. {Path(model).with_suffix('.yaml')}" if model.endswith(".onnx") else ""
        raise MissingPart(f"no model card {path} (there are: {known}; or name the path of a card{beside})")
    card = read_card(path, ModelCard, "model card")
    card = card.model_copy(update={"path": path.parent / card.file})
    check_file(card.path, card.sha256)
    return card


def cards_in(folder: Path) -> list[Path]:
    """Cards of networks in a folder, which holds other lists too: only they name a checksum."""
    return [p for p in sorted(folder.glob("*.yaml")) if "sha256:" in p.read_text(encoding="utf-8", errors="replace")]


def check_file(path: Path, sha256: str | None) -> None:
    """Make sure that a model file is the one its card describes.

    Raises:
        ModelError: It isn't, or isn't there.
    """
    try:
        found = sha256_of(path)
    except OSError as error:
        raise ModelError(f"no model file {path}: {error.strerror}") from error
    if found != sha256:
        raise ModelError(
            f"{path} is not the file its card describes: sha256 {found[:12]}…, the card says {str(sha256)[:12]}… "
            "(restore the file, or describe the new one with a card of its own)"
        )


def check_variants(card: ModelCard) -> None:
    """Make sure that every variant with a file of its own is the one the card describes.

    Raises:
        ModelError: As of `check_file`.
    """
    for variant in card.variants:
        if variant.file is not None:
            check_file(card.path.with_name(variant.file), variant.sha256)
