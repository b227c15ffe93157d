"""When people work."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from pydantic import Field

from detector.config.settings import Settings
from detector.names import Name

TimeOfDay = Annotated[str, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$", description="time of day, HH:MM")]
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class Shift(Settings):
    """A span of working time; one that ends before it begins goes past midnight and belongs to the day it began."""

    name: Name
    begins: TimeOfDay
    ends: TimeOfDay
    days: list[Day] = Field(list(DAYS), min_length=1)


class Calendar(Settings):
    """When people work here. Without shifts it is always working time."""

    shifts: list[Shift] = Field([])
    closed: list[date] = Field(
        [], description="days without work, such as holidays; a night shift ends at midnight then"
    )
