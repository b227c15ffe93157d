"""A patch where too many parcels lie label up: scenes enter, a signal for each zone's patch leaves.

Thrown parcels land any way up, so a patch with nearly every label on top was made by hand. A zone may hold such a
patch among ordinary parcels, so the rule looks at every neighbourhood and takes the most surprising (a scan statistic,
Kulldorff 1997). How surprising a neighbourhood is by itself is the tail of a beta-binomial: the zone's usual rate,
which differs from throw to throw because parcels of one throw land alike (`CORRELATION`). How surprising the most
surprising one is, after so many were looked at, comes from simulating the same places with ordinary throws.

A parcel that can't be judged counts as not up, since those are mostly ones without a label on top: the patch must be
surprising even so.

The p-value is that of one look. It is looked at again whenever the parcels change, so over a long day false alarms
come more often than `level` says; the wish for an hour-proof test is not met here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from math import lgamma

import numpy as np
from numpy.typing import NDArray

from detector.config import OrientationRule as Settings
from detector.config import Zone
from detector.geometry import centre
from detector.rules.zones import ZoneMap
from detector.values import CountRange, Facing, IncidentKind, Parcel, Scene, Severity, Signal

CORRELATION = 0.04
LEVEL = 0.002
DRAWS = 1999
HOLD_S = 2.0  # a pattern must stand this long before it is told
CLEAR = 0.05  # and be this unsurprising before it may be told again


@dataclass(frozen=True, slots=True)
class Patch:
    """The most surprising patch: which parcels (indices), how many of them up, and the p-value of one look."""

    members: tuple[int, ...]
    up: int
    p_value: float


@dataclass(slots=True)
class _ZoneState:
    facings: tuple[tuple[int, bool], ...] = ()
    patch: Patch | None = None
    since: float | None = None
    told: bool = False


class OrientationRule:
    """Watches the zones of kind `storage`."""

    def __init__(self, zones: ZoneMap, settings: Settings) -> None:
        self._zones = zones
        self._settings = settings
        self._states: dict[str, _ZoneState] = {}

    def observe(self, scene: Scene) -> Iterable[Signal]:
        """A signal for each zone where a patch has stood long enough, told once until it has cleared."""
        for zone, parcels in self._settled(scene).values():
            state = self._states.setdefault(zone.name, _ZoneState())
            facings = tuple((p.id, p.facing is Facing.UP) for p in parcels)
            if facings != state.facings:
                state.facings, state.patch = facings, self._search(zone, parcels)
            patch = state.patch
            if patch is None or patch.p_value > LEVEL:
                state.since = None
                if patch is None or patch.p_value > CLEAR:
                    state.told = False
                continue
            state.since = scene.at if state.since is None else state.since
            if not state.told and scene.at - state.since >= HOLD_S:
                state.told = True
                yield self._signal(zone, patch, parcels, state.since, scene)

    def _settled(self, scene: Scene) -> dict[str, tuple[Zone, list[Parcel]]]:
        """Parcels that have lain long enough, by name of their storage zone."""
        found: dict[str, tuple[Zone, list[Parcel]]] = {}
        for parcel in scene.parcels:
            zone = self._zones.at(centre(parcel.box), scene.size)
            if zone is None or zone.kind != "storage":
                continue
            _, parcels = found.setdefault(zone.name, (zone, []))
            if scene.at - parcel.first_seen_at >= self._settings.settle_s:
                parcels.append(parcel)
        return found

    def _search(self, zone: Zone, parcels: list[Parcel]) -> Patch | None:
        if len(parcels) < self._settings.least_parcels:
            return None
        places = np.array([centre(p.box) for p in parcels], np.float64)
        up = np.array([p.facing is Facing.UP for p in parcels])
        rate = zone.label_up_rate if zone.label_up_rate is not None else self._settings.usual_rate
        return most_surprising_patch(places, up, rate, self._settings.least_parcels)

    def _signal(self, zone: Zone, patch: Patch, parcels: list[Parcel], since: float, scene: Scene) -> Signal:
        rate = zone.label_up_rate if zone.label_up_rate is not None else self._settings.usual_rate
        members = [parcels[k] for k in patch.members]
        boxes = [(p.facing.value, p.box) for p in members]
        return Signal(
            IncidentKind.ORIENTATION_PATTERN,
            scene.camera,
            zone.name,
            started_at=since,
            at=scene.at,
            score=1 - patch.p_value,
            severity=Severity.WARNING,
            labels_exposed=CountRange(0, 0, 0),
            facts={
                "up": patch.up,
                "judged": sum(p.facing is not Facing.UNKNOWN for p in members),
                "zone_up": sum(p.facing is Facing.UP for p in parcels),
                "zone_judged": sum(p.facing is not Facing.UNKNOWN for p in parcels),
                "usual_rate": rate,
                "p_value": round(patch.p_value, 5),
            },
            boxes=(*boxes, *(("label", box) for box in scene.labels)),
            private=tuple(parcel.box for parcel in scene.parcels),
        )


def most_surprising_patch(
    places: NDArray[np.float64], up: NDArray[np.bool_], rate: float, least: int, *, draws: int = DRAWS
) -> Patch:
    """The neighbourhood with the most surprising share of parcels label up.

    Args:
        places: `(N, 2)` centres of the parcels, pixels.
        up: `(N,)` whether each lies label up.
        rate: Usual share, 0..1.
        least: Fewest parcels of a patch.
        draws: Simulated scenes; the smallest p-value is 1 / (draws + 1).

    Returns:
        The patch and its p-value, corrected for having looked at every patch. Equal input gives equal output.
    """
    rate = min(max(rate, 0.01), 0.99)
    n = len(places)
    apart = np.linalg.norm(places[:, None] - places[None], axis=2)
    nearest = np.argsort(apart, axis=1, kind="stable")  # each row: a parcel, then its neighbours by distance
    sizes = patch_sizes(least, n)
    # One row a patch: which parcels are in it.
    inside = np.zeros((n * len(sizes), n), np.float32)
    for k, size in enumerate(np.tile(sizes, n)):
        inside[k, nearest[k // len(sizes), :size]] = 1
    tails = np.stack([log_tail(size, rate, n) for size in sizes])
    size_of = np.tile(np.arange(len(sizes)), n)

    def surprise(facings: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Minus log of the tail of every patch, `(D, patches)` for facings `(D, N)`."""
        counts = np.rint(facings.astype(np.float32) @ inside.T).astype(np.intp)
        return np.asarray(-tails[size_of, counts], np.float64)

    seen = surprise(up[None])[0]
    members = np.flatnonzero(inside[int(seen.argmax())])
    random = np.random.default_rng(0)
    spread = 1 / CORRELATION - 1
    rates = random.beta(rate * spread, (1 - rate) * spread, draws)
    largest = surprise(random.random((draws, n)) < rates[:, None]).max(1)
    p_value = (1 + int((largest >= seen.max()).sum())) / (draws + 1)
    return Patch(tuple(int(k) for k in members), int(up[members].sum()), p_value)


def patch_sizes(least: int, most: int) -> list[int]:
    """Numbers of parcels a patch may have: from `least` in steps of about a sixth, and all of them."""
    sizes = [least]
    while (larger := sizes[-1] + max(1, sizes[-1] // 6)) < most:
        sizes.append(larger)
    return sizes if sizes[-1] == most else [*sizes, most]


@lru_cache(maxsize=4096)
def log_tail(size: int, rate: float, longest: int) -> NDArray[np.float64]:
    """Log of the chance that at least k of `size` parcels of ordinary throws lie label up, for k = 0 … `longest`.

    Beta-binomial with mean `rate` and correlation `CORRELATION`; minus infinity where k is beyond `size`.
    """
    spread = 1 / CORRELATION - 1
    a, b = rate * spread, (1 - rate) * spread
    log_chance = np.array(
        [
            lgamma(size + 1) - lgamma(k + 1) - lgamma(size - k + 1)
            + lgamma(k + a) + lgamma(size - k + b) - lgamma(size + a + b)
            + lgamma(a + b) - lgamma(a) - lgamma(b)
            for k in range(size + 1)
        ]
    )  # fmt: skip
    tail = np.full(longest + 1, -np.inf)
    tail[: size + 1] = np.logaddexp.accumulate(log_chance[::-1])[::-1]
    return tail
