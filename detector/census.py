"""What lies in a camera's storage zones: the orientation rule's own count, as it travels to the hub and is kept there.

Places are shares of the picture's width and height; times are Unix seconds by the edge. Every field is bounded, so that
what can be read can be kept.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from detector.names import Name

MOST_ZONES = 50
MOST_SLOTS = 400  # of one zone that are shown one by one; all are counted
MOST_TURNS = 100  # of one zone since the last census
MOST_TRACKS = 20

Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0, le=100_000)]
# Whatever the camera's clock says; the hub takes those of the last weeks only.
Time = Annotated[float, Field(gt=-(2.0**37), lt=2.0**37, allow_inf_nan=False)]
Tracks = Annotated[tuple[Annotated[int, Field(ge=0, le=2**53)], ...], Field(max_length=MOST_TRACKS)]


class _Told(BaseModel):
    model_config = ConfigDict(frozen=True)  # fields that a later version adds are passed over


class Slot(_Told):
    """A parcel: where it lies, how, and how that came about; nothing is told of one that could not be judged.

    `came`: it `lay` so when watching began, `arrived` so, or was `turned` here.
    """

    box: tuple[Share, Share, Share, Share]
    facing: Literal["up", "not_up", "unknown"]
    came: Literal["lay", "arrived", "turned"] | None = None


class Turn(_Told):
    """A parcel that was turned here: when, where, whether its label is up now (it wasn't before, or the other way).

    `tracks` are the people who were near then, or shortly before.
    """

    at: Time
    place: tuple[Share, Share]
    up: bool
    tracks: Tracks = ()


class ZoneCensus(_Told):
    """One zone.

    Attributes:
        zone: Its name.
        up: Parcels that lie label up, of those at rest.
        not_up: That lie otherwise.
        unknown: At rest, and could not be judged so far.
        usual_rate: The share that usually lies up here; `None` before the first parcel.
        supposed: Whether that is a guess, since too little of this zone was learned yet.
        band: Between which shares as many parcels as now lie 19 times in 20 when nothing is wrong; `None` without any.
        evidence: Of a pattern, so far; 1 is enough for an alarm, which uses it up.
        lay_up: Of those up, how many lay so when watching began.
        turned_up: And how many were turned so; the rest arrived so.
        near: People who were near when these were turned.
        came_up: Arrivals since the last census, label up.
        came_not_up: And otherwise.
        turns: Parcels that were turned since the last census.
        slots: Each parcel at rest.
    """

    zone: Name
    up: Count
    not_up: Count
    unknown: Count
    usual_rate: Share | None
    band: tuple[Share, Share] | None
    evidence: Annotated[float, Field(ge=0, le=1e300, allow_inf_nan=False)]
    supposed: bool = False
    lay_up: Count = 0
    turned_up: Count = 0
    near: Tracks = ()
    came_up: Count = 0
    came_not_up: Count = 0
    turns: Annotated[tuple[Turn, ...], Field(max_length=MOST_TURNS)] = ()
    slots: Annotated[tuple[Slot, ...], Field(max_length=MOST_SLOTS)] = ()


class Census(_Told):
    """All storage zones of a camera at one moment."""

    camera: Name
    at: Time
    zones: Annotated[tuple[ZoneCensus, ...], Field(max_length=MOST_ZONES)]
