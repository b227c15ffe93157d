"""What a camera saw of a walk test: the side files of its film enter, what it knew of somebody and a phone leaves.

Whom of several people it was that tried isn't known: where one is asked for, it is the tallest, and the surest.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Any

LASTS_S = 2.0  # a look tells of no longer than this, when none follows sooner
LIKELY = 0.5


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen in a film.

    Attributes:
        person_s: Seconds with somebody in view.
        height_px: How tall the tallest stood, in the median, pixels of the frame; `None` where nobody was seen.
        phone_s: Seconds with a phone in view.
        belief: How far it was ever believed that somebody photographs, 0..1.
        likely_s: Seconds in which that was likelier than not.
    """

    person_s: float
    height_px: float | None
    phone_s: float
    belief: float
    likely_s: float

    def wanting(self, least_height_px: float | None) -> str:
        """What kept the camera from telling more: `person`, `far`, `phone`, `photo` or `sure`.

        Args:
            least_height_px: How tall somebody stands whose phone can be judged, as far as it is known.
        """
        if self.height_px is None:
            return "person"
        if least_height_px is not None and self.height_px < least_height_px:
            return "far"
        if not self.phone_s:
            return "phone"
        return "sure" if self.likely_s else "photo"


def seen(sides: Iterable[Mapping[str, Any]]) -> Seen | None:
    """What the side files of its segments tell (`media.sides.read_side`); `None` without a look."""
    heights: list[float] = []
    person_s = phone_s = likely_s = belief = 0.0
    any_look = False
    for side in sides:
        height, looks = float(side["size"][1]), side["looks"]
        for look, lasts_s in zip(looks, _lasting(looks, float(side["duration_s"])), strict=True):
            any_look = True
            tall = [(box[5] - box[3]) * height for box in look["boxes"] if box[0] == "person"]
            sure = max(look.get("score", {}).values(), default=0.0)
            if tall:
                heights.append(max(tall))
                person_s += lasts_s
            phone_s += lasts_s * any(box[0] == "phone" for box in look["boxes"])
            likely_s += lasts_s * (sure > LIKELY)
            belief = max(belief, sure)
    return Seen(person_s, median(heights) if heights else None, phone_s, belief, likely_s) if any_look else None


def _lasting(looks: Sequence[Mapping[str, Any]], end_s: float) -> list[float]:
    """For how many seconds each look speaks."""
    times = [*(look["t"] for look in looks), end_s]
    return [min(LASTS_S, max(0.0, after - at)) for at, after in pairwise(times)]
