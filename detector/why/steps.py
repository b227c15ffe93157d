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
from detector.rules.noted import Noted
from detector.rules.policy import Permission, Policies
from detector.rules.sweep import is_sweep
from detector.shifts import Shifts
from detector.tuned import LeastScore
from detector.values import ActKind, Device, IncidentKind
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
        self._least_s = config.rules.photo.least_s
        self._zones = {zone.name: zone for zone in camera.zones}
        self._policies = Policies(Shifts(config.calendar, config.timezone))
        self._least_score = least_score.get(IncidentKind.LABEL_PHOTOGRAPHY, 0.0)
        self._least_height = least_height_px
        self.least_belief = tanh(SequentialTest.of(config.rules.photo, load_weights()).yes / 2)

    def of(self, person: Witnessed) -> list[Step]:
        """All steps, in the order in which they come."""
        acts = [(act, person.noted.get(act.key)) for act in person.acts.values()]
        counting = [noted for _, noted in acts if noted is not None and noted.may_count]
        photos = [(act, noted) for act, noted in acts if act.kind is ActKind.PHOTO]
        n, scans = len(photos), sum(noted.act.kind is ActKind.SCAN for noted in counting)
        where = [(noted.zone.name if noted else None, act.started_at) for act, noted in photos]
        where = where or [(moment.zone, moment.at) for moment in person.moments]
        return [
            _place(where),
            self._forbidden([noted for _, noted in photos if noted is not None], where, scans),
            *self._near(person.moments),
            _looked(person.moments),
            _device(person.moments),
            self._photo(person, n, scans),
            *self._scanned(person, counting),
            self._enough(person, [noted for noted in counting if not noted.moved_on]),
            self._sure(person.score),
        ]

    def _forbidden(self, photos: Sequence[Noted], where: Sequence[Where], scans: int) -> Step:
        """Whether any photo was forbidden to so many as photographed; without photos, whether one would have been."""
        asked = [(noted.zone.name, noted.act.started_at, noted.permission) for noted in photos]
        asked = asked or [(name, at, self._least(name, at)) for name, at in where if name is not None]
        fine = [(name, at, permission) for name, at, permission in asked if permission.phones]
        said = {
            "zones": sorted({name for name, _, _ in fine}),
            "because": ", ".join(dict.fromkeys(filter(None, (permission.because for _, _, permission in fine)))),
            "few": any(self._hangs_on_people(name, at) for name, at, _ in fine or asked),
        }
        return Step("forbidden", len(fine) < len(asked) or not asked or scans > 0, said)

    def _hangs_on_people(self, zone: str, at: float) -> bool:
        return self._policies.at(self._zones[zone], at).phones and not self._least(zone, at).phones

    def _least(self, zone: str, at: float) -> Permission:
        return self._policies.least(self._zones[zone], at)

    def _near(self, moments: Sequence[Moment]) -> list[Step]:
        heights = [moment.height for moment in moments if moment.height is not None]
        if self._least_height is None or not heights:
            return []
        far = sum(height < self._least_height for height in heights)
        said = {"height": median(heights), "least": self._least_height}
        return [Step("near", far <= MOSTLY * len(moments), said)]

    def _photo(self, person: Witnessed, n: int, scans: int) -> Step:
        said = {
            "n": n, "scans": scans, "likeliest": _likeliest(person.moments),
            "most": person.belief, "least": self.least_belief, "least_s": self._least_s,
        }  # fmt: skip
        return Step("photo", n + scans > 0, said)

    def _scanned(self, person: Witnessed, counting: Sequence[Noted]) -> list[Step]:
        """Where photos would be enough but for those taken back as scans."""
        kept = [noted for noted in counting if not noted.moved_on]
        if person.score is not None or self._is_enough(kept) or not self._is_enough(counting):
            return []
        return [Step("scanned", False, {"n": len(counting) - len(kept), "of": len(counting)})]

    def _enough(self, person: Witnessed, counting: Sequence[Noted]) -> Step:
        """Of what this person alone did that may count; in a finding they may have part with others."""
        said = {
            "n": len(counting), "parcels": _parcels(counting),
            "least": self._sweep.least_acts, "least_parcels": self._sweep.least_parcels,
        }  # fmt: skip
        return Step("enough", person.score is not None or self._is_enough(counting), said)

    def _is_enough(self, counting: Sequence[Noted]) -> bool:
        return is_sweep([noted.act for noted in counting], self._sweep.least_acts, self._sweep.least_parcels)

    def _sure(self, score: float | None) -> Step:
        taken = score is not None and score >= self._least_score
        return Step("sure", taken, {"score": score, "least": self._least_score, "window": round(self._sweep.window_s)})


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


def _parcels(counting: Sequence[Noted]) -> int:
    return len({parcel for noted in counting for parcel in noted.act.parcels})


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
