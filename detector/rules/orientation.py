"""A patch where too many parcels lie label up: scenes enter, a signal for each zone's patch leaves.

Thrown parcels land any way up, so a patch with nearly every label on top was made by hand. A zone may hold such a
patch among ordinary parcels, so the rule looks for the most surprising patch rather than at the zone as a whole: a
spatial scan statistic (Kulldorff, 1997, Bernoulli model) with the zone's usual rate as given. How surprising it is
comes from simulation: the same places, facings drawn at the usual rate, where the rate of each draw varies because
parcels of one throw land alike (beta-binomial, `CORRELATION`).

A parcel that can't be judged counts as not up, since those are mostly ones without a label on top: the patch must be
surprising even so.

The p-value is that of one look. It is looked at again whenever the parcels change, so over a long day false alarms
come more often than `level` says; the wish for an hour-proof test is not met here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detector.config import OrientationRule as Settings
from detector.config import Zone
from detector.geometry import centre
from detector.rules.zones import ZoneMap
from detector.values import CountRange, Facing, IncidentKind, Parcel, Scene, Severity, Signal

CORRELATION = 0.04
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
            if patch is None or patch.p_value > self._settings.level:
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
    size_of = inside.sum(1)

    def statistic(facings: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Log-likelihood ratio of every patch, `(D, patches)` for facings `(D, N)`; 0 where the share is not above."""
        counts = facings.astype(np.float32) @ inside.T
        return surprise(counts, size_of, rate)

    seen = statistic(up[None])[0]
    members = np.flatnonzero(inside[int(seen.argmax())])
    random = np.random.default_rng(0)
    spread = 1 / CORRELATION - 1
    rates = random.beta(rate * spread, (1 - rate) * spread, draws)
    largest = statistic(random.random((draws, n)) < rates[:, None]).max(1)
    p_value = (1 + int((largest >= seen.max()).sum())) / (draws + 1)
    return Patch(tuple(int(k) for k in members), int(up[members].sum()), p_value)


def patch_sizes(least: int, most: int) -> list[int]:
    """Numbers of parcels a patch may have: from `least` in steps of about a sixth, and all of them."""
    sizes = [least]
    while (larger := sizes[-1] + max(1, sizes[-1] // 6)) < most:
        sizes.append(larger)
    return sizes if sizes[-1] == most else [*sizes, most]


def surprise(counts: NDArray[np.float32], sizes: NDArray[np.float32], rate: float) -> NDArray[np.float32]:
    """Log-likelihood ratio of `counts` up among `sizes` against the usual `rate`; 0 where the share isn't above it.

    Source: Kulldorff, A spatial scan statistic (1997), Bernoulli model with a known rate outside the patch.
    """
    share = counts / sizes
    with np.errstate(divide="ignore", invalid="ignore"):
        gain = np.where(counts > 0, counts * np.log(share / rate), 0.0)
        gain += np.where(counts < sizes, (sizes - counts) * np.log((1 - share) / (1 - rate)), 0.0)
    return np.where(share > rate, gain, 0.0).astype(np.float32)
