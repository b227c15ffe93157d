"""Which moments show the parcels that were photographed: acts and recordings enter, one shot of each parcel leaves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from detector.hub.storage.stored import Clip
from detector.values import ActKind

MOST_SHOTS = 60
FEW_SHOTS = 12  # at first sight; the rest unfolds


@dataclass(frozen=True, slots=True)
class Shot:
    """Where one parcel is seen being photographed.

    Attributes:
        parcel: Its slot, as side files number them.
        track: Whoever photographs it.
        started_at: When the act that shows it begins, Unix seconds.
        ended_at: When that act ends.
        photos: How many times it was photographed.
    """

    parcel: int
    track: int
    started_at: float
    ended_at: float
    photos: int


def shots(acts: Sequence[Mapping[str, Any]], filmed: Sequence[Clip]) -> list[Shot]:
    """The longest photo of each parcel that is on film, in order of time.

    Args:
        acts: As an incident's record has them, with their times.
        filmed: Segments of which it is known what was seen where.
    """
    theirs: dict[int, list[Mapping[str, Any]]] = {}
    for act in acts:
        parcels, track = act.get("parcels"), act.get("track")
        parcel = parcels[0] if isinstance(parcels, list) and parcels else None
        if act.get("kind") == ActKind.PHOTO and type(track) is int and type(parcel) is int:
            theirs.setdefault(parcel, []).append(act)
    found = []
    for parcel, photos in theirs.items():
        on_film = [act for act in photos if any(_shows(clip, _middle(act)) for clip in filmed)]
        if on_film:
            best = max(on_film, key=lambda act: act["ended_at_unix"] - act["started_at_unix"])
            found.append(Shot(parcel, best["track"], best["started_at_unix"], best["ended_at_unix"], len(photos)))
    return sorted(found, key=lambda shot: (shot.started_at, shot.parcel))[:MOST_SHOTS]


def _middle(act: Mapping[str, Any]) -> float:
    return float(act["started_at_unix"] + act["ended_at_unix"]) / 2


def _shows(clip: Clip, at: float) -> bool:
    return clip.started_at <= at < clip.started_at + clip.duration_s
