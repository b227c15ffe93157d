"""What is fine in a zone."""

from __future__ import annotations

from datetime import date
from typing import Literal

from pydantic import Field

from detector.config.settings import Name, Settings

Allowed = Literal["allowed", "forbidden"]


class Exemption(Settings):
    """What is fine in a zone beyond its policy, at some times or for few people."""

    reason: str = Field(min_length=1, description="why; shown by `check --explain`")
    shifts: list[Name] = Field([], description="in these shifts only; in all when left out")
    until: date | None = Field(None, description="last day on which it holds")
    people: int | None = Field(None, ge=1, description="only while at most so many people do it; nobody is recognised")
    phones: Allowed | None = None
    scanners: Allowed | None = None
    staying: Allowed | None = None


class Policy(Settings):
    """What is fine in a zone. The first exemption that holds and speaks of a thing wins over what stands here."""

    phones: Allowed = Field("forbidden", description="photographing labels here is fine or not")
    scanners: Allowed = Field("allowed", description="handheld scanners are fine here or not")
    staying: Allowed = Field("forbidden", description="being here outside the calendar's shifts is fine or not")
    exemptions: list[Exemption] = Field([])
