"""What a finding tells beside its people, acts and boxes: every fact by name, and how one is read that may be rubbish.

Facts travel as plain JSON: the edge that told them may be newer than this program, or its memory torn.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any

LARGEST = 1e9  # a count or a number of seconds beyond this is no fact


@dataclass(frozen=True, slots=True)
class Fact:
    """How a fact of two findings becomes that of one incident, and when it is news; of most, the newest is told.

    Attributes:
        largest: Of two findings that state it, the larger counts: they tell of different people, or different times.
        goes_with: Name of a fact of which the larger counts: what is told of it is of the same finding.
        doubt: Two doubts are one only where both are.
        adds: Of two sweeps, which tell of different acts, the sum counts.
        of_parcels: It counts parcels: of that sum, those in both once.
        rare: It is nought almost always, and says nothing then.
        none_says: `None` is no lack of knowledge: there is none.
    """

    largest: bool = False
    goes_with: str | None = None
    doubt: bool = False
    adds: bool = False
    of_parcels: bool = False
    rare: bool = False
    none_says: bool = False


PLAIN = Fact()  # as is what a newer edge tells, which is not in the table

# Those of `_s` are seconds, of `_h` hours, of `_rate` shares (0..1). What isn't known is left out or `None`.
FACTS: Mapping[str, Fact] = {
    # Whoever it was
    "people": Fact(largest=True),  # how many it took at least
    "parcels": Fact(adds=True, of_parcels=True),  # how many they photographed, or stayed beside
    "shift": Fact(none_says=True),  # its name; `None` outside all shifts
    "out_of_hours": Fact(largest=True),
    "unsure": Fact(doubt=True, rare=True),  # whether it is told as a doubt
    # Sweeps
    "photos": Fact(adds=True),
    "untold": Fact(adds=True, rare=True),  # photos gone unseen, at most
    "scans": Fact(adds=True, rare=True),
    "unclear": Fact(adds=True, rare=True),  # acts that were photos or something else
    "moved_on": Fact(adds=True, rare=True),  # photos of a parcel that was taken away right after
    "beside": Fact(rare=True),  # how many stayed with them without an act of their own
    "pace_per_min": PLAIN,
    "along_row": Fact(rare=True),
    "other_zones": Fact(rare=True),  # names of those where some of it was done, now or ever
    "crouched": Fact(largest=True),  # share of the acts done squatting
    "acts_told_earlier": Fact(rare=True),  # by the incident before, whose acts aren't counted again
    # Patterns of labels
    "up": PLAIN,  # parcels of the patch that lie label up, of those `judged`
    "judged": PLAIN,
    "zone_up": PLAIN,
    "zone_judged": PLAIN,
    "usual_rate": PLAIN,  # share of the zone's parcels that lie label up in the mean
    "usual_supposed": Fact(rare=True),  # whether that is a guess, as too little was learned yet
    "evidence": PLAIN,  # decimal logarithm of the wealth, of which 1 is enough (`rules/zone_watch.py`)
    "false_alarms_per_month": PLAIN,  # the level that was set
    "lay_up": Fact(rare=True),  # label up when watching began
    "arrived_up": PLAIN,
    "turned_here": PLAIN,
    "turned_by_person": PLAIN,  # of those, with somebody beside them
    "watched_h": Fact(rare=True),
    "aligned": PLAIN,  # labels run one way
    "regular": PLAIN,  # parcels lie in rows
    # Staying
    "stay_s": Fact(largest=True),
    "crouched_s": Fact(largest=True),
    "posture": Fact(goes_with="stay_s"),  # `crouched`, `standing` or `mixed`
    "told_before": Fact(rare=True),  # it goes on since an incident before
    # Blind corners
    "away_s": Fact(largest=True),
    "still_inside": PLAIN,
    "carried": Fact(largest=True),
    "visits": Fact(largest=True, rare=True),  # which of the shift it was
    "people_inside": Fact(largest=True),
    # Cameras
    "what": Fact(goes_with="lasted_s"),  # what is wrong with it, as in `rules/tamper.py`
    "lasted_s": Fact(largest=True),
    "step_s": PLAIN,  # by how much its time jumped
    # Incidents
    "ended_by": PLAIN,  # `restart` of the edge, after which nothing is known
}  # fmt: skip


def number(facts: Mapping[str, Any], name: str) -> float | None:
    """A fact that is a number, finite and of a size that makes sense; `None` for all else."""
    value = facts.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if isfinite(value) and abs(value) <= LARGEST else None


def count(facts: Mapping[str, Any], name: str) -> int:
    """A fact that counts things; 0 where it isn't known, 1 where it is only known that there are."""
    if facts.get(name) is True:
        return 1
    return max(0, round(number(facts, name) or 0.0))


def names(facts: Mapping[str, Any], name: str) -> list[str]:
    """A fact that lists names; none for all else."""
    value = facts.get(name)
    return [each for each in value if isinstance(each, str)] if isinstance(value, list | tuple) else []


def holds(facts: Mapping[str, Any], name: str) -> bool:
    """Whether a fact says yes: true, or a number above nought."""
    return count(facts, name) > 0
