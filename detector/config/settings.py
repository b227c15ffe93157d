"""What every section of a configuration is made of."""

from __future__ import annotations

from typing import Annotated
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

Share = Annotated[float, Field(ge=0.0, le=1.0)]


class Settings(BaseModel):
    """Base of every section: frozen, and an unknown key is an error, or a number that isn't finite."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def known_timezone(name: str) -> str:
    """This name of a time zone, for validators.

    Raises:
        ValueError: There is no such zone.
    """
    if name not in available_timezones():
        raise ValueError(f"no such time zone: {name}")
    ZoneInfo(name)
    return name


Timezone = Annotated[str, AfterValidator(known_timezone)]
