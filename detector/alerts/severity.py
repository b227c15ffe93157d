"""How much an incident matters, by the harm it tells of: findings, photos, labels and facts enter, points leave.

    what is known                                              points
    labels were photographed                                        4   (not surely: 1, however many)
    a patch was laid label up                                       4
    the camera no longer sees what it should                        4   (too dark, or its clock jumped: 1)
    somebody lingers; somebody went where no camera looks    1 each
    four photos or more: no longer a chance pair                    4
    three or more at six a minute or faster: practised              2
    five labels exposed, or fifteen                            2 or 4
    parcels were turned label up here: preparation                  2
    out of hours                                                    3
    two people or more                                              1
    squatting                                                       1
    parcels taken out of sight                                      1
    three times or more a shift out of sight                        1

Up to 3 points inform, 4 warn, 8 are critical. So a sweep, a patch or a camera that sees nothing warns by itself, and
context warns out of hours; within the shifts it only informs, unless much of it comes together, as where somebody
squats beside the parcels before going out of sight with some. The points are judgement, not measurement; what a rule
itself says of a finding (`Signal.severity`: going out of sight with a parcel, or often, is a warning), or what was said
of the sweep that it carries on, is the least.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from detector.facts import count, holds, number
from detector.sentences import squats
from detector.values import CountRange, IncidentKind, Severity

# The gravest first: an incident of several findings is told as the first of these.
GRAVITY = (
    IncidentKind.LABEL_PHOTOGRAPHY,
    IncidentKind.ORIENTATION_PATTERN,
    IncidentKind.BLIND_CORNER,
    IncidentKind.LINGERING,
    IncidentKind.TAMPER,
)
WARNING_FROM, CRITICAL_FROM = 4, 8

OF_KIND = {
    IncidentKind.LABEL_PHOTOGRAPHY: 4,
    IncidentKind.ORIENTATION_PATTERN: 4,
    IncidentKind.BLIND_CORNER: 1,
    IncidentKind.LINGERING: 1,
    IncidentKind.TAMPER: 4,
}
MILD_TAMPER = ("dark", "clock")
SERIAL_PHOTOS, SERIAL = 4, 4
PACED_PHOTOS, PACED_PER_MIN, PACED = 3, 6.0, 2
LABELS = ((15, 4), (5, 2))
TURNED_HERE = 2
OUT_OF_HOURS = 3
PAIR = 1
SQUATTING = 1
CARRIED = 1
OFTEN, VISITS = 3, 1


def severity(kinds: Iterable[IncidentKind], photos: int, labels: CountRange, facts: Mapping[str, Any]) -> Severity:
    """How severe an incident is by its points.

    Args:
        kinds: Of its findings.
        photos: Number of photo acts that count.
        labels: How many labels were exposed.
        facts: United facts of its findings; what makes no sense counts as not known.
    """
    kinds = set(kinds)
    total = sum(points(kinds, photos, labels, facts).values())
    if kinds == {IncidentKind.LABEL_PHOTOGRAPHY} and not photos:  # scans where they are forbidden: no picture is taken
        total = min(total, CRITICAL_FROM - 1)
    return Severity.CRITICAL if total >= CRITICAL_FROM else Severity.WARNING if total >= WARNING_FROM else Severity.INFO


def points(kinds: Iterable[IncidentKind], photos: int, labels: CountRange, facts: Mapping[str, Any]) -> dict[str, int]:
    """What counts for how much, by name; arguments as of `severity`."""
    kinds = set(kinds)
    found = {kind.value: OF_KIND[kind] for kind in GRAVITY if kind in kinds}
    if IncidentKind.LABEL_PHOTOGRAPHY in kinds and holds(facts, "unsure"):
        found[IncidentKind.LABEL_PHOTOGRAPHY.value] = 1
        photos, labels = 0, CountRange(0, 0, 0)
    if kinds == {IncidentKind.TAMPER} and facts.get("what") in MILD_TAMPER:
        found[IncidentKind.TAMPER.value] = 1
    if photos >= SERIAL_PHOTOS:
        found["serial"] = SERIAL
    if photos >= PACED_PHOTOS and (number(facts, "pace_per_min") or 0.0) >= PACED_PER_MIN:
        found["paced"] = PACED
    exposed = next((worth for least, worth in LABELS if labels.best >= least), 0)
    extras = {
        "labels": exposed,
        "turned_here": TURNED_HERE * holds(facts, "turned_here"),
        "out_of_hours": OUT_OF_HOURS * holds(facts, "out_of_hours"),
        "pair": PAIR * (max(count(facts, "people"), count(facts, "people_inside")) >= 2),
        "squatting": SQUATTING * squats(facts),
        "carried": CARRIED * holds(facts, "carried"),
        "visits": VISITS * (count(facts, "visits") >= OFTEN),
    }
    return found | {name: worth for name, worth in extras.items() if worth}
