"""What somebody drew becomes the zones of a camera, or a word on why it can't be."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from detector import wire
from detector.config import Zone, ZoneKind
from detector.config.covered import Covered, newly_covered
from detector.errors import LabelwatchError
from detector.geometry import crosses_itself
from detector.names import is_name

KINDS: tuple[str, ...] = get_args(ZoneKind)
LEAST_AREA = 1e-4  # of the picture, as the configuration has it
# Settings of a zone that contradict some kinds (`contradictions`).
NOT_FOR = {"policy": {"ignore"}, "label_up_rate": {*KINDS} - {"storage"}, "spot": {"ignore"}}

Polygon = list[tuple[float, float]]


class BadZones(LabelwatchError):  # noqa: N818  (a word to whoever drew, not a failure)
    """Zones that can't be: `key` names the text that says why, `values` go into it."""

    def __init__(self, key: str, **values: Any) -> None:
        super().__init__(key)
        self.key = key
        self.values = values


@dataclass(frozen=True, slots=True)
class Drawn:
    """A zone of a draft: as configurations have it, its name in force before, and what of its settings falls away."""

    zone: dict[str, Any]
    was: str | None
    lost: tuple[str, ...]


def checked_polygon(value: object) -> Polygon:
    """Corners of a zone, each rounded to a ten-thousandth of the picture.

    Raises:
        BadZones: They are none, or too few or many, outside the picture, enclose nothing, or their edges cross.
    """
    if not isinstance(value, list | tuple) or not all(isinstance(p, list | tuple) and len(p) == 2 for p in value):
        raise BadZones("zones_bad_polygon")
    if not all(isinstance(v, int | float) and not isinstance(v, bool) for point in value for v in point):
        raise BadZones("zones_bad_polygon")
    if len(value) < 3:
        raise BadZones("zones_few_points")
    if len(value) > wire.MOST_POINTS:
        raise BadZones("zones_many_points", n=wire.MOST_POINTS)
    if not all(0.0 <= v <= 1.0 for point in value for v in point):  # false for NaN too
        raise BadZones("zones_outside")
    polygon = [(round(float(x), 4), round(float(y), 4)) for x, y in value]
    if len(polygon) > 3 and crosses_itself(polygon):  # asked first: the two halves of a bow tie cancel each other out
        raise BadZones("zones_crossing")
    around = zip(polygon, polygon[1:] + polygon[:1], strict=True)
    if abs(sum(a[0] * b[1] - b[0] * a[1] for a, b in around)) / 2 < LEAST_AREA:
        raise BadZones("zones_no_area")
    return polygon


def checked_zones(draft: object, known: Sequence[Mapping[str, Any]]) -> list[Drawn]:
    """All zones of a camera as somebody drew them, with what can't be drawn taken from those that were drawn on.

    A zone that was there keeps its policy, usual rate and spot, by its name of then, where its kind can have them.

    Args:
        draft: A list of mappings with `name`, `kind`, `polygon`, `was`: the name before, where it had one, `spot` and
            `label_up_rate`, empty for none; left out, they stay.
        known: The zones before, as `formers` takes them.

    Raises:
        BadZones: Something is wrong with one of them; the first is told.
    """
    if not isinstance(draft, list) or not all(isinstance(one, dict) for one in draft):
        raise BadZones("zones_bad_draft")
    if len(draft) > wire.MOST_ZONES:
        raise BadZones("zones_many", n=wire.MOST_ZONES)
    drawn: list[Drawn] = []
    for one, former in zip(draft, formers(draft, known), strict=True):
        drawn.append(_checked_zone(one, former, drawn))
    return drawn


def formers(draft: Sequence[Mapping[str, Any]], known: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any] | None]:
    """Which zone each of a draft was before it was drawn on; `None` where it was none.

    Mouths of one place share a name. Which of them one was, its corners tell; of those that were moved, their order.

    Args:
        draft: Zones with `polygon` and `was`, the name before.
        known: The zones before; those before earlier changes may follow.
    """
    found: list[Mapping[str, Any] | None] = [None] * len(draft)
    left = list(known)
    for d, one in enumerate(draft):
        same = [zone for zone in left if zone["name"] == one.get("was") and zone["polygon"] == one.get("polygon")]
        if same:
            found[d] = same[0]
            left = [zone for zone in left if zone not in same]
    for d, one in enumerate(draft):
        if found[d] is None:
            # One that was drawn twice from the same zone has its settings as well.
            namesakes = [zone for zone in (*left, *known) if zone["name"] == one.get("was")]
            found[d] = next(iter(namesakes), None)
            left = [zone for zone in left if zone is not found[d]]
    return found


def _checked_zone(one: Mapping[str, Any], former: Mapping[str, Any] | None, others: Iterable[Drawn]) -> Drawn:
    """One of them; `others` are those before it."""
    name, kind = one.get("name"), one.get("kind")
    if not isinstance(name, str) or not is_name(name):
        raise BadZones("zones_bad_name", name=str(name)[:64])
    if kind not in KINDS:
        raise BadZones("zones_bad_kind")
    # Zones of kind blind_edge that share a name are mouths of one place.
    if any(other.zone["name"] == name and {other.zone["kind"], kind} != {"blind_edge"} for other in others):
        raise BadZones("zones_twice", name=name)
    corners = former["polygon"] if former else None
    try:
        if corners is None or corners != one.get("polygon"):  # what an edge has already isn't judged anew
            corners = list(map(list, checked_polygon(one.get("polygon"))))
    except BadZones as error:
        raise BadZones("zones_one_bad", name=name, why=error) from error
    whole = {**(former or {}), "name": name, "kind": kind, "polygon": corners}
    if spot := one.get("spot"):
        if not isinstance(spot, str) or not is_name(spot):
            raise BadZones("zones_one_bad", name=name, why=BadZones("zones_bad_name", name=str(spot)[:64]))
        whole["spot"] = spot
    elif "spot" in one:
        whole.pop("spot", None)
    if (rate := one.get("label_up_rate")) not in (None, ""):
        if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 <= rate <= 1:  # nor NaN
            raise BadZones("zones_one_bad", name=name, why=BadZones("zones_bad_rate"))
        whole["label_up_rate"] = float(rate)
    elif "label_up_rate" in one:
        whole.pop("label_up_rate", None)
    lost = tuple(part for part, kinds in NOT_FOR.items() if part in whole and kind in kinds)
    for part in lost:
        del whole[part]
    return Drawn(whole, former["name"] if former else None, lost)


def uncounted(zones: Iterable[object], known: Iterable[Iterable[object]]) -> list[Covered]:
    """Zones that could never count, for which an edge refuses all: those that others cover.

    Args:
        zones: All of a camera.
        known: Those of its edge's file and those in force: what is wrong in these already is no reason to refuse.
    """
    return newly_covered(understood(zones), map(understood, known))


def told(one: Covered) -> BadZones:
    """What covers a zone, as a word to whoever drew it."""
    kind = "ignored" if one.ignored else one.field
    return BadZones(f"zones_covered_{kind}", name=one.zone.name, by=one.names)


def understood(zones: Iterable[object]) -> list[Zone]:
    """Zones as this hub knows them; those of a newer edge that it doesn't understand are left out."""
    found = []
    for zone in zones:
        try:
            found.append(Zone.model_validate(zone))
        except ValueError:
            continue
    return found
