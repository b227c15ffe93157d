"""Zones of a camera's picture with what is fine in each, as configuration files hold them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Any, Literal

import yaml
from pydantic import Field, field_validator

from detector.config.settings import Settings, Share
from detector.geometry import crosses_itself
from detector.names import Name

Point = tuple[Share, Share]
ZoneKind = Literal["storage", "walkway", "packing", "blind_edge", "ignore"]
Allowed = Literal["allowed", "forbidden"]
MOST_USUAL = 0.75  # where more labels than this lie up as a rule no patch would stand out: none is told


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


class Zone(Settings):
    """A part of a camera's picture, corners in shares of width and height."""

    name: Name
    kind: ZoneKind
    polygon: list[Point] = Field(min_length=3)
    label_up_rate: Share | None = Field(None, description="usual share of parcels that lie label up here")
    spot: Name | None = Field(
        None, description="name of the piece of floor shown, where other cameras' zones show it too: told once for all"
    )
    policy: Policy = Policy()

    @field_validator("polygon")
    @classmethod
    def _has_area(cls, polygon: list[Point]) -> list[Point]:
        if len(polygon) > 3 and crosses_itself(polygon):  # asked first: the halves of a bow tie cancel each other out
            raise ValueError("its edges cross or touch: give its corners in order, each once")
        twice = sum(a[0] * b[1] - b[0] * a[1] for a, b in zip(polygon, polygon[1:] + polygon[:1], strict=True))
        if abs(twice) < 2e-4:
            raise ValueError("encloses no area")
        return polygon


WHOLE_FRAME = Zone(name="all", kind="storage", polygon=[(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)])


class _OneLine(list[Any]):
    """A list that YAML writes on one line."""


class _ZoneDumper(yaml.SafeDumper):
    """Writes zones as the configuration files that we ship do."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002  (theirs)
        """Lists are indented, too."""
        super().increase_indent(flow, False)


_ZoneDumper.add_representer(
    _OneLine, lambda dumper, values: dumper.represent_sequence("tag:yaml.org,2002:seq", values, flow_style=True)
)


def zones_as_yaml(zones: Iterable[Zone]) -> str:
    """Zones as they stand in a configuration file: the lines of a camera's `zones:`, what is usual left out."""
    fields = [zone.model_dump(mode="json", exclude_defaults=True) for zone in zones]
    shown = [zone | {"polygon": _OneLine(_OneLine(point) for point in zone["polygon"])} for zone in fields]
    return yaml.dump({"zones": shown}, Dumper=_ZoneDumper, sort_keys=False, allow_unicode=True, width=10_000)
