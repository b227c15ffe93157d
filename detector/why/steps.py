"""The steps to an alert of photographing: what was seen of a person enters, each step taken or not leaves.

Whether somebody stands near enough and is looked at closely only makes it likelier that a phone is seen, and that one
is seen makes a photo likelier to be told. So these steps explain why none was, and decide nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt, tanh
from statistics import median
from typing import Any

from detector.config import Camera, EdgeConfig
from detector.geometry import areas, as_array
from detector.rules.acts import SequentialTest
from detector.rules.evidence import KINDS, load_weights
from detector.rules.policy import Policies
from detector.shifts import Shifts
from detector.tuned import LeastScore
from detector.values import Act, ActKind, Device, IncidentKind
from detector.why.account import Moment, Witnessed

Where = tuple[str | None, float]  # name of a zone, and when
MOSTLY = 0.5
EXPLAIN_PHOTO = frozenset({"near", "looked", "device"})


@dataclass(frozen=True, slots=True)
class Step:
    """One step: its name, whether it was taken, and the numbers and names that say so."""

    name: str
    taken: bool
    said: Mapping[str, Any]


class Steps:
    """What a camera asks for before an alert is told.

    Args:
        config: Of the edge.
        camera: Which.
        least_score: In force for it.
        least_height_px: How tall somebody stands whose phone can be judged, pixels; `None` where nobody knows.
    """

    def __init__(
        self, config: EdgeConfig, camera: Camera, least_score: LeastScore, least_height_px: float | None
    ) -> None:
        self._sweep = config.rules.sweep
        self._zones = {zone.name: zone for zone in camera.zones}
        self._policies = Policies(Shifts(config.calendar, config.timezone))
        self._least_score = least_score.get(IncidentKind.LABEL_PHOTOGRAPHY, 0.0)
        self._least_height = least_height_px
        self.least_belief = tanh(SequentialTest.of(config.rules.photo, load_weights()).yes / 2)

    def of(self, person: Witnessed) -> list[Step]:
        """All steps, in the order in which they come."""
        photos = [act for act in person.acts.values() if act.kind is ActKind.PHOTO]
        where = [(person.places[act.key], act.started_at) for act in photos]
        where = where or [(moment.zone, moment.at) for moment in person.moments]
        return [
            _place(where),
            self._forbidden(where),
            *self._near(person.moments),
            _looked(person.moments),
            _device(person.moments),
            self._photo(person, len(photos)),
            self._enough(person, [act for act in photos if self._counts(person.places[act.key], act.started_at)]),
            self._sure(person.score),
        ]

    def _counts(self, zone: str | None, at: float) -> bool:
        return zone is not None and not self._policies.least(self._zones[zone], at).phones

    def _forbidden(self, where: Sequence[Where]) -> Step:
        asked = [(name, self._policies.least(self._zones[name], at)) for name, at in where if name is not None]
        fine = {name: permission.because for name, permission in asked if permission.phones}
        because = ", ".join(dict.fromkeys(filter(None, fine.values())))
        forbidden = not asked or any(not permission.phones for _, permission in asked)
        return Step("forbidden", forbidden, {"zones": sorted(fine), "because": because})

    def _near(self, moments: Sequence[Moment]) -> list[Step]:
        if self._least_height is None:
            return []
        near = sum(moment.height >= self._least_height for moment in moments)
        said = {"height": median(moment.height for moment in moments), "least": self._least_height}
        return [Step("near", near >= MOSTLY * len(moments), said)]

    def _photo(self, person: Witnessed, n: int) -> Step:
        said = {"n": n, "most": person.belief, "least": self.least_belief, "likeliest": _likeliest(person.moments)}
        return Step("photo", n > 0, said)

    def _enough(self, person: Witnessed, photos: Sequence[Act]) -> Step:
        """Of photos of this person alone that may count; in a finding they may have part with others."""
        n, parcels = sum(bool(act.parcels) for act in photos), len({p for act in photos for p in act.parcels})
        asked = self._sweep.least_acts, self._sweep.least_parcels
        enough = person.score is not None or (n >= asked[0] and parcels >= asked[1])
        return Step("enough", enough, {"n": n, "parcels": parcels, "least": asked[0], "least_parcels": asked[1]})

    def _sure(self, score: float | None) -> Step:
        taken = score is not None and score >= self._least_score
        return Step("sure", taken, {"score": score, "least": self._least_score})


def first_not_taken(steps: Sequence[Step]) -> Step | None:
    """The step that explains why nothing was told: `None` where all were taken.

    Where something was seen in the hand, it was near enough and looked at closely, and just not taken for a photo.
    """
    seen = any(step.taken for step in steps if step.name in ("device", "photo"))
    return next((step for step in steps if not step.taken and not (seen and step.name in EXPLAIN_PHOTO)), None)


def until_decided(steps: Sequence[Step]) -> list[Step]:
    """The steps up to the first not taken that decides: what would have come after it says nothing."""
    decided = next((k for k, step in enumerate(steps) if not step.taken and step.name not in EXPLAIN_PHOTO), len(steps))
    return list(steps[: decided + 1])


def _place(where: Sequence[Where]) -> Step:
    named = sorted({name for name, _ in where if name is not None})
    return Step("place", bool(named), {"zones": named})


def _looked(moments: Sequence[Moment]) -> Step:
    closely = sum(not moment.passed_over for moment in moments)
    return Step("looked", closely >= MOSTLY * len(moments), {"n": closely, "of": len(moments)})


def _device(moments: Sequence[Moment]) -> Step:
    closely = [moment for moment in moments if not moment.passed_over]
    seen = [moment.device for moment in closely if moment.device is not None]
    sides = [_side(device) for device in seen]
    kinds = Counter(device.label for device in seen)
    said = {"n": len(seen), "of": len(closely), "side": median(sides) if sides else None, "kinds": dict(kinds)}
    return Step("device", bool(seen), said)


def _side(device: Device) -> float:
    """Of a square as large as the box, pixels, as the figures of `models/README.md` are told."""
    return sqrt(float(areas(as_array([device.box]))[0]))


def _likeliest(moments: Sequence[Moment]) -> str | None:
    """What looks look like most, all in all; `None` where none tells anything."""
    told = [moment.chances for moment in moments if moment.chances is not None]
    sums = [sum(chances[k] for chances in told) for k in range(len(KINDS))]
    return KINDS[sums.index(max(sums))] if told else None
