"""People with devices before parcels, as plain numbers over time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from detector.geometry import centre, head
from detector.rules.evidence import FEATURES, KINDS, ActWeights, Weighing
from detector.values import Box, Device, Facing, Parcel, Scene
from tests.builders import box_at, moved, parcel, person, phone, scene

# Someone 200 pixels tall, so that heights are easily told.
STANDING: Box = (600, 300, 680, 500)
AHEAD: Box = (690, 480, 750, 520)
BEHIND: Box = (530, 480, 590, 520)
FURTHER: Box = (760, 470, 820, 510)
PLACES = {1: AHEAD, 2: BEHIND, 3: FURTHER, 4: (460, 470, 520, 510)}

# What speaks for what, as plainly as can be: independent of what has been learnt.
PLAIN: Mapping[str, Mapping[str, float]] = {
    "photo": {"phone_photo": 1.0, "act_photo": 1.0},
    "scan": {"scanner": 1.0, "act_scan": 1.0},
    "call": {"phone_call": 1.0, "act_call": 1.0, "at_ear": 4.0},
    "browse": {"act_browse": 1.0},
    "none": {"no_phone": 2.0, "no_scanner": 2.0},
}


def card(
    weights: Mapping[str, Mapping[str, float]] = PLAIN, *, tau_s: float = 0.4, longest_s: float = 0.5, **more: Any
) -> dict[str, Any]:
    """A card of act weights, from weights by kind and feature; a scanner or a phone in the hand is usual."""
    return {
        "kinds": KINDS,
        "features": FEATURES,
        "means": [0.5 if name in ("no_phone", "no_scanner") else 0.0 for name in FEATURES],
        "scales": [1.0] * len(FEATURES),
        "weights": {kind: [weights[kind].get(name, 0.0) for name in FEATURES] for kind in KINDS},
        "offsets": dict.fromkeys(KINDS, 0.0),
        "tau_s": dict.fromkeys(KINDS[:-1], tau_s),
        "intraclass": 0.0,
        "longest_s": longest_s,
        **more,
    }


def weighing(**changes: Any) -> Weighing:
    """Plain weights, ready to use."""
    return Weighing.of(ActWeights.model_validate(card(**changes)))


def aimed(who: Box, at: Box) -> Box:
    """A phone held on the line from a person's head to a parcel."""
    (hx, hy), (px, py) = head(who), centre(at)
    return box_at((hx + 0.3 * (px - hx), hy + 0.3 * (py - hy)), 12, 20)


def parcels(facing: Facing = Facing.UP, numbers: Iterable[int] = PLACES) -> list[Parcel]:
    return [parcel(n, PLACES[n], facing) for n in numbers]


@dataclass(frozen=True)
class Photo:
    """A phone aimed at a parcel by a person from `start` to `end`."""

    start: float
    end: float
    parcel: int
    by: int = 1


def photographed(
    photos: Sequence[Photo],
    at: Iterable[float],
    *,
    on_floor: Sequence[Parcel] | None = None,
    who: Callable[[float, int], Box] = lambda t, n: moved(STANDING, (4 * (n - 1), 0)),
) -> list[Scene]:
    """Scenes of people who stand before parcels the whole time and photograph them by turns."""
    everyone = sorted({p.by for p in photos}) or [1]
    lying = parcels() if on_floor is None else on_floor
    scenes = []
    for t in at:
        people = [person(n, who(t, n), t, since=0.0) for n in everyone]
        devices = [
            phone(aimed(who(t, p.by), PLACES[p.parcel]), p.by) for p in photos if p.start - 1e-9 <= t <= p.end + 1e-9
        ]
        scenes.append(scene(t, people, devices, lying))
    return scenes


def carried(
    device: Callable[[Box], Device], at: Iterable[float], who: Callable[[float], Box] = lambda t: STANDING
) -> list[Scene]:
    """Scenes of one person with a device in the hand the whole time."""
    return [scene(t, [person(1, who(t), t)], [device(who(t))], parcels()) for t in at]
