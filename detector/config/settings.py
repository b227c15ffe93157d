"""What every section of a configuration is made of."""

from __future__ import annotations

from typing import Annotated, Any, get_args
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

Share = Annotated[float, Field(ge=0.0, le=1.0)]


class Settings(BaseModel):
    """Base of every section: frozen, and an unknown key is an error, or a number that isn't finite."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def no_truth_for_a_number(cls, value: Any, info: ValidationInfo) -> Any:
        """A value unless it is a yes or no where a number is asked for: pydantic takes those for 1 and 0."""
        if isinstance(value, bool) and info.field_name and is_number(cls.model_fields[info.field_name].annotation):
            raise PydanticCustomError("truth_for_a_number", "is yes or no where a number is asked for")
        return value


def is_number(annotation: Any) -> bool:
    """Whether a field so annotated holds a number, or none."""
    return annotation in (int, float) or isinstance(annotation, int) or any(map(is_number, get_args(annotation)))


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
