"""When each rule tells what it sees."""

from __future__ import annotations

from pydantic import Field

from detector.config.settings import Settings, Share


class PhotoRule(Settings):
    """When looks at a person add up to an act (`rules/acts.py`)."""

    error: float = Field(
        0.25, gt=0, lt=0.5, description="chance that one stretch of something else is taken for a photo"
    )
    least_s: float = Field(0.8, gt=0, description="shortest act")
    gap_s: float = Field(1.2, gt=0, description="longest time without evidence within one act")

    @property
    def least_fps(self) -> float:
        """Looks a second, with fewer of which each look is an act of its own, too short for one."""
        return 1 / self.gap_s


class SweepRule(Settings):
    """When photo acts add up to a sweep (`rules/sweep.py`)."""

    least_acts: int = Field(2, ge=2)
    least_parcels: int = Field(2, ge=1)
    window_s: float = Field(180.0, gt=0, description="acts that follow each other within this are one sweep")
    sure: Share = Field(0.95, description="a sweep scored lower is told as a note only, until it is surer")


class OrientationRule(Settings):
    """When too many parcels lie label up (`rules/orientation.py`)."""

    usual_rate: Share = Field(0.35, description="for zones without a label_up_rate of their own, until it is learned")
    learn: bool = Field(True, description="learn each zone's usual rate from what lies there")
    by_shift: bool = Field(False, description="a usual rate for each shift of the calendar")
    least_parcels: int = Field(8, ge=3, description="fewest parcels of a patch")
    false_alarms_per_month: float = Field(1.0, gt=0, le=1000, description="at most so many a zone, on average")
    settle_s: float = Field(4.0, ge=0, description="how long a parcel must have lain still before it counts")


class LingeringRule(Settings):
    """When somebody stays beside parcels without work (`rules/lingering.py`)."""

    after_s: float = Field(120.0, gt=0, description="this long beside parcels without work, or anywhere out of hours")
    crouched_after_s: float = Field(60.0, gt=0, description="crouching or bending there, already after this long")


class BlindEdgeRule(Settings):
    """When somebody stays out of sight (`rules/blind_edge.py`); needs zones of kind blind_edge."""

    away_s: float = Field(180.0, gt=0, description="out of sight for this long is told")
    visits: int = Field(3, ge=1, description="or for so many times a shift, by people not seen without parcels")
    visit_s: float = Field(30.0, gt=0, description="each of them this long at least")


class TamperRule(Settings):
    """When a camera no longer sees what it should (`rules/tamper.py`)."""

    after_s: float = Field(8.0, gt=0, description="it must last this long before it is told")
    frozen_s: float = Field(
        20.0,
        gt=0,
        description="a picture is frozen that doesn't change at all, or whose printed clock stands, for this long",
    )
    clock_step_s: float = Field(60.0, gt=0, description="frame times set back by more than this are told")
    silent_s: float = Field(120.0, ge=20, description="a live camera without a picture for this long is silent")


class Rules(Settings):
    """Settings of every rule."""

    photo: PhotoRule = PhotoRule()
    sweep: SweepRule = SweepRule()
    orientation: OrientationRule = OrientationRule()
    lingering: LingeringRule = LingeringRule()
    blind_edge: BlindEdgeRule = BlindEdgeRule()
    tamper: TamperRule = TamperRule()
