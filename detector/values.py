"""The facts that travel through the pipeline: frame → detections → scene → signals → incident updates.

Arrays up to the tracker, small frozen objects after it. Boxes are `(x1, y1, x2, y2)` in pixels of the full frame;
times are Unix seconds (UTC) that came with the frame.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from detector.media.pictures import Picture

LABELS = ("person", "phone", "scanner", "parcel", "label")
PERSON, PHONE, SCANNER, PARCEL, LABEL = range(5)
# What is further said of a parcel (label up, label not up), of a phone (photographing, at the ear), of a person (what
# they do with a device; all low: nothing of these) and of a label (the way its text lines run: (1 + cos 2a) / 2 and
# (1 + sin 2a) / 2 of their angle a from the picture's x axis, counter-clockwise as one sees it).
TRAITS = (
    "up", "not_up", "photo", "call",
    "act_photo", "act_scan", "act_call", "act_browse", "angle_cos", "angle_sin",
)  # fmt: skip
UP, NOT_UP, PHOTO, CALL, ACT_PHOTO, ACT_SCAN, ACT_CALL, ACT_BROWSE, ANGLE_COS, ANGLE_SIN = range(10)
ACT_TRAITS = slice(ACT_PHOTO, ACT_BROWSE + 1)
# What a row holds of traits that nothing is known of: 0 where a low score says just that, NaN (which is neither above
# nor below any limit) where a low score says something.
UNKNOWN_TRAITS = (0.0,) * 4 + (float("nan"),) * 6
KEYPOINTS = 17  # of a person, in COCO's order
DAY_S = 86_400.0  # of Unix time, which knows no leap seconds
MEANWHILE_S = 60.0  # what another camera tells within this of an incident may well be of the same people
VIEW_SIZE = (160, 90)  # width and height of the copy on which edges are measured, whatever the picture's size

Box = tuple[float, float, float, float]
FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]


class Facing(StrEnum):
    """Where a parcel's label is, as far as its top face can be judged."""

    UP = "up"
    NOT_UP = "not_up"
    UNKNOWN = "unknown"


class ActKind(StrEnum):
    """What a person does with a device in the hand."""

    PHOTO = "photo"
    SCAN = "scan"
    CALL = "call"
    BROWSE = "browse"
    UNCLEAR = "unclear"


class IncidentKind(StrEnum):
    """What an incident is about."""

    LABEL_PHOTOGRAPHY = "label_photography"
    ORIENTATION_PATTERN = "orientation_pattern"
    LINGERING = "lingering"
    BLIND_CORNER = "blind_corner"
    TAMPER = "tamper"


class Severity(StrEnum):
    """How much an incident matters; `rank` orders them."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """0 for info, 1 for warning, 2 for critical."""
        return ("info", "warning", "critical").index(self.value)


class Phase(StrEnum):
    """Where in its life an incident is."""

    NEW = "new"
    UPDATE = "update"
    END = "end"


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One picture and when it was taken.

    `captured_at` increases strictly within a camera. `file` and `offset_s` say where a recorded frame stands in its
    file; live frames have neither.
    """

    camera: str
    index: int
    captured_at: float
    picture: Picture
    file: str | None = None
    offset_s: float | None = None

    @property
    def image(self) -> NDArray[np.uint8]:
        """The whole picture, `(H, W, 3)` BGR; not to be written to."""
        return self.picture.bgr()

    @property
    def size(self) -> tuple[int, int]:
        """Width and height, pixels."""
        return self.picture.size

    def is_at(self, at: float) -> bool:
        """Whether a time, maybe rounded to milliseconds, is this frame's: two of a camera are so far apart at least."""
        return abs(self.captured_at - at) <= 0.0005


@dataclass(frozen=True, slots=True, eq=False)
class Detections:
    """What the detector saw in one frame, as parallel arrays.

    Attributes:
        boxes: `(N, 4)` x1, y1, x2, y2 in pixels of the full frame.
        scores: `(N,)` 0..1.
        class_ids: `(N,)` indices into `LABELS`.
        traits: `(N, 10)` scores 0..1 in the order of `TRAITS`, each with a meaning for its own label only;
            `UNKNOWN_TRAITS` where the model says nothing.
        keypoints: `(N, 17, 3)` x, y in pixels of the full frame and score 0..1, of people, NaN for all else; `None`
            where no row has any.
        passed_over: `(N,)` whether a person was not looked at closely, since it was the turn of others; `None` where
            that is so of nobody.
    """

    boxes: FloatArray
    scores: FloatArray
    class_ids: IntArray
    traits: FloatArray
    keypoints: FloatArray | None = None
    passed_over: NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        n = len(self.boxes)
        shapes = {"boxes": (n, 4), "scores": (n,), "class_ids": (n,), "traits": (n, len(TRAITS))}
        if self.keypoints is not None:
            shapes["keypoints"] = (n, KEYPOINTS, 3)
        if self.passed_over is not None:
            shapes["passed_over"] = (n,)
        for name, shape in shapes.items():
            found = getattr(self, name).shape
            if found != shape:
                raise ValueError(f"{name} must have shape {shape}, got {found}")

    @staticmethod
    def empty() -> Detections:
        """No detections, with the types of a full set."""
        return Detections(
            np.zeros((0, 4), np.float32),
            np.zeros(0, np.float32),
            np.zeros(0, np.int64),
            np.zeros((0, len(TRAITS)), np.float32),
        )

    @staticmethod
    def joined(parts: list[Detections]) -> Detections:
        """All parts one after another."""
        if not parts:
            return Detections.empty()
        return Detections(
            np.concatenate([p.boxes for p in parts]),
            np.concatenate([p.scores for p in parts]),
            np.concatenate([p.class_ids for p in parts]),
            np.concatenate([p.traits for p in parts]),
            _joined_keypoints(parts),
            _joined_passed_over(parts),
        )

    def __len__(self) -> int:
        return len(self.boxes)

    def __getitem__(self, keep: Any) -> Detections:
        """Rows chosen by a mask or index array."""
        keypoints = None if self.keypoints is None else self.keypoints[keep]
        passed_over = None if self.passed_over is None else self.passed_over[keep]
        return Detections(
            self.boxes[keep], self.scores[keep], self.class_ids[keep], self.traits[keep], keypoints, passed_over
        )

    def of(self, class_id: int) -> Detections:
        """Rows of one class."""
        return self[self.class_ids == class_id]


def _joined_keypoints(parts: list[Detections]) -> FloatArray | None:
    if all(part.keypoints is None for part in parts):
        return None
    none = np.full((1, KEYPOINTS, 3), np.nan, np.float32)
    return np.concatenate([none.repeat(len(p), 0) if p.keypoints is None else p.keypoints for p in parts])


def _joined_passed_over(parts: list[Detections]) -> NDArray[np.bool_] | None:
    if all(part.passed_over is None for part in parts):
        return None
    return np.concatenate([np.zeros(len(p), bool) if p.passed_over is None else p.passed_over for p in parts])


class ActScores(NamedTuple):
    """How much one closer look at a person looks like each act, 0..1; all low where none of them is done."""

    photo: float
    scan: float
    call: float
    browse: float


@dataclass(frozen=True, slots=True)
class Person:
    """A tracked person; `first_seen_at` and `last_seen_at` are frame times.

    `acts` is what the closer look of this frame says of the hands; `None` where there was none, or it didn't find them.
    `passed_over` says that there was none since it was the turn of others: of the hands this frame says nothing.
    """

    id: int
    box: Box
    score: float
    first_seen_at: float
    last_seen_at: float
    acts: ActScores | None = None
    passed_over: bool = False


@dataclass(frozen=True, slots=True)
class Device:
    """A phone or scanner seen in this frame, and whose hand it is in (`None`: nobody's).

    `photo` and `call` are the model's scores 0..1 that a phone is photographing, or at an ear.
    """

    label: str
    box: Box
    score: float
    holder: int | None
    photo: float = 0.0
    call: float = 0.0


@dataclass(frozen=True, slots=True)
class Parcel:
    """A parcel slot that stays: its box, and its facing as accumulated so far.

    `first_seen_at` and `last_seen_at` are frame times, of the slot: it stays while people hide it, and for whatever is
    put in the same place meanwhile; what was moved, or is found again after seconds in plain view, has a new one
    (`tracking/parcels.py`).
    `up` is the running probability that a label is on its top face among looks that could judge it, `looks` their
    number; `facing` is the verdict from both. `turned_at` is when the verdict last went from `not_up` to `up` or back
    while the slot stayed, `None` where it never did. `angle` is the way its label's text lines run, in radians modulo
    pi, counter-clockwise from the picture's x axis as one sees it; `None` where no label says. `score` is the model's
    of this frame; 0 where the slot is only held to be there still.
    """

    id: int
    box: Box
    facing: Facing
    up: float
    looks: int
    first_seen_at: float
    last_seen_at: float
    turned_at: float | None = None
    angle: float | None = None
    score: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class ViewMeasure:
    """How a picture is as a picture, measured on a small grey copy.

    Attributes:
        brightness: Mean grey, 0 black to 1 white.
        contrast: Standard deviation of grey, 0 to 0.5.
        sharpness: Energy of fine detail relative to contrast, 0 (none) upwards.
        edges: `(90 * 160,)` int8, relief of its edges; only their proportions mean something.
        still_s: Seconds since the picture last changed at all, sensor noise included.
        calm_s: Seconds since anything in it last changed as strongly as the digits of a clock do.
        has_clock: Whether a clock that goes on is known to be printed into it, or was until `calm_s` ago.
    """

    brightness: float
    contrast: float
    sharpness: float
    edges: NDArray[np.int8]
    still_s: float
    calm_s: float = 0.0
    has_clock: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """What one look at a frame found; all that the stages after it know of the frame.

    Fields are those of the `Frame`; `size` is width and height in pixels, and detections are in these pixels. `view` is
    `None` where the picture as such was not measured.
    """

    camera: str
    index: int
    captured_at: float
    size: tuple[int, int]
    detections: Detections
    view: ViewMeasure | None = None
    file: str | None = None
    offset_s: float | None = None


@dataclass(frozen=True, slots=True)
class CameraView:
    """How well the camera itself sees at one instant, from a small grey copy of the frame.

    Attributes:
        brightness: Mean grey, 0 black to 1 white.
        contrast: Standard deviation of grey, 0 to 0.5.
        sharpness: Energy of fine detail relative to contrast, 0 (none) upwards.
        likeness: Correlation -1..1 of its edges with those usual for this camera; `None` while that is being learned.
        still_s: Seconds since the picture last changed at all, sensor noise included.
        calm_s: Seconds since anything in it last changed as strongly as the digits of a clock do.
        has_clock: Whether a clock that goes on is known to be printed into it, or was until `calm_s` ago.
    """

    brightness: float
    contrast: float
    sharpness: float
    likeness: float | None
    still_s: float
    calm_s: float = 0.0
    has_clock: bool = False


@dataclass(frozen=True, slots=True)
class Scene:
    """All that a rule may know of the world at one instant.

    `ended` are tracks that end here. `clock_step_s` is set on the first scene after time jumped: by how many seconds,
    negative when it was set back. Rules are made anew then (`Judge`), so it matters only to one that tells of it or
    that learns over days. `label_scores` are the model's, 0..1, of `labels`. `newcomers` were seen for too short a time
    to count as people, and no rule heeds them. `moved` is set where the camera looks elsewhere from here on: parcels
    known before are known no more, and those in view have not come, but lay there. It is `None` while that isn't sure:
    parcels in view may be of another place then.
    """

    camera: str
    at: float
    size: tuple[int, int]
    people: tuple[Person, ...] = ()
    devices: tuple[Device, ...] = ()
    parcels: tuple[Parcel, ...] = ()
    labels: tuple[Box, ...] = ()
    ended: frozenset[int] = frozenset()
    view: CameraView | None = None
    clock_step_s: float | None = None
    label_scores: tuple[float, ...] = ()
    newcomers: tuple[Person, ...] = ()
    moved: bool | None = False

    @property
    def private(self) -> tuple[Box, ...]:
        """Parcels and labels: what is never sent as it was seen."""
        return (*(parcel.box for parcel in self.parcels), *self.labels)


@dataclass(frozen=True, slots=True)
class Sight:
    """What the stages of a pipeline saw in one frame.

    `photographing` is how far it is believed, 0..1, that a person in the scene photographs now, by track; people of
    whom no rule knows are not in it. `first` is set on the first one of stages built anew: whoever bore a track's
    number before was somebody else.
    """

    scene: Scene
    photographing: Mapping[int, float]
    first: bool


ActKey = tuple[int, float, ActKind]


@dataclass(frozen=True, slots=True)
class Act:
    """One thing a person did with a device: kind, span, who, how sure, and at which parcels."""

    kind: ActKind
    track: int
    started_at: float
    ended_at: float
    score: float
    parcels: tuple[int, ...] = ()

    @property
    def key(self) -> ActKey:
        """What it is known by, however often it is told."""
        return self.track, self.started_at, self.kind


@dataclass(frozen=True, slots=True)
class CountRange:
    """A count that can't be known exactly."""

    low: int
    best: int
    high: int


NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Signal:
    """What a rule says it sees: the state so far of one finding, not an opinion on urgency beyond `severity`.

    A rule may send the finding again as it grows; the incident policy merges by camera, kind, zone and time. `boxes`
    are the places to look at in the frame of time `at`, as (caption key, box). `private`, which rules leave to `Judge`,
    are the scene's parcels and labels: none may be legible in a picture that is sent, even where a parcel's label went
    undetected.
    """

    kind: IncidentKind
    camera: str
    zone: str | None
    started_at: float
    at: float
    score: float
    severity: Severity
    tracks: tuple[int, ...] = ()
    acts: tuple[Act, ...] = ()
    labels_exposed: CountRange = CountRange(0, 0, 0)
    facts: Mapping[str, Any] = field(default_factory=lambda: NOTHING)
    boxes: tuple[tuple[str, Box], ...] = ()
    private: tuple[Box, ...] = ()


@dataclass(frozen=True, slots=True)
class Incident:
    """One thing that happened, as it is told to people; `ended_at` is its last sign so far.

    `findings` are the kinds of all findings that it is made of, gravest first; `kind`, `zone` and `score` are those of
    the gravest. `spot` names the piece of floor that its zone shows, where zones of other cameras may show it too.
    """

    id: str
    camera: str
    kind: IncidentKind
    severity: Severity
    score: float
    zone: str | None
    started_at: float
    ended_at: float
    tracks: tuple[int, ...] = ()
    acts: tuple[Act, ...] = ()
    labels_exposed: CountRange = CountRange(0, 0, 0)
    facts: Mapping[str, Any] = field(default_factory=lambda: NOTHING)
    boxes: tuple[tuple[str, Box], ...] = ()
    private: tuple[Box, ...] = ()
    findings: tuple[IncidentKind, ...] = ()
    spot: str | None = None


@dataclass(frozen=True, slots=True)
class IncidentUpdate:
    """A step in an incident's life: what it was before (`None` when new) and what it is now."""

    phase: Phase
    before: Incident | None
    after: Incident

    @property
    def notify(self) -> bool:
        """Whether people should be told now: of what is new, and again only when it has become more severe."""
        return self.before is None or self.after.severity.rank > self.before.severity.rank
