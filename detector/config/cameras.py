"""A camera: where its pictures come from, what is where in them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from detector.config.addresses import split_address
from detector.config.named_secrets import secret
from detector.config.settings import Settings, Share
from detector.config.zones import WHOLE_FRAME, Zone
from detector.machine.secrecy import PASSWORDS, without_login
from detector.media.shape import Shape
from detector.names import Name
from detector.values import IncidentKind

STREAMS = ("rtsp", "rtsps")
PASSWORD = "{password}"  # noqa: S105 - where it goes in an address that is to hold it
_ASPECT = re.compile(r"([1-9]\d{0,2}):([1-9]\d{0,2})")
_PASSWORD_IN = re.compile(rf"(?<![a-z])(?:{PASSWORDS})=(?!\{{password\}}|[&_;/?]|$)", re.IGNORECASE)


class Mounting(Settings):
    """How a camera hangs; from it follows how far a phone can be judged (`coverage.py`)."""

    height_m: float = Field(gt=0, lt=1000, description="of the lens above the ground")
    tilt_deg: float = Field(ge=0, lt=90, description="of the optical axis below the horizontal")
    fov_deg: float = Field(
        gt=0, lt=180, description="horizontal field of view, as the data sheet has it: before its pictures are turned"
    )


class Camera(Settings):
    """One camera: where its pictures come from, and what is where in them."""

    name: Name
    title: str | None = Field(None, description="name for people; the plain name when left out")
    source: str = Field(
        min_length=1,
        description="rtsp://… without user and password, a video file, or a folder of them; a camera that wants them "
        "within the address has {username} and {password} there",
    )
    substream: str | None = Field(
        None,
        description="rtsp://… of the camera's small stream, same login and field of view: people are looked for in it, "
        "and the source is decoded only where they are looked at closely; evidence is the source's",
    )
    username: str | None = None
    password_env: str | None = None
    password_file: Path | None = None
    aspect: str | None = Field(
        None,
        description="16:9, 4:3 or so: the shape in which its pictures are to be seen (before they are turned), where "
        "people look too thin or too wide; many recorders store fewer pixels across than they show, and don't say so",
    )
    turned: Literal[0, 90, 180, 270] | None = Field(
        None,
        description="90, 180 or 270: degrees clockwise by which its pictures are to be turned, where it hangs on its "
        "side or upside down and can't turn them itself",
    )
    loop: bool = Field(False, description="play a file again and again as one stream with ever-increasing time")
    zones: list[Zone] = Field([WHOLE_FRAME])
    mounting: Mounting | None = Field(None, description="draws on the hub's pages how far a phone can be judged")
    least_score: dict[IncidentKind, Share] = Field(
        {}, description="as in incidents, for this camera alone; verdicts propose it"
    )
    recordings: list[str] = Field(
        [], description="how a recorder names this camera's files or folders, e.g. NVR_ch1_* or 001/*; for replay"
    )

    @field_validator("source", "substream")
    @classmethod
    def _no_password_inside(cls, source: str | None) -> str | None:
        if source is None:
            return None
        unbroken = re.sub(r"""[\s'"]""", "", source)  # a password may hold what would end an address in running text
        if without_login(unbroken) != unbroken:
            raise ValueError("a user name or password stands in the URL")
        if "://" in source and _PASSWORD_IN.search(unbroken):
            raise ValueError(f"a password stands in the address: write {PASSWORD} there")
        return source

    @field_validator("aspect", mode="before")
    @classmethod
    def _as_it_is_written(cls, aspect: Any) -> Any:
        # To YAML 1.1 what looks like 16:9 is a number of base 60.
        return ":".join(map(str, divmod(aspect, 60))) if type(aspect) is int else aspect

    @field_validator("aspect")
    @classmethod
    def _is_a_shape(cls, aspect: str | None) -> str | None:
        if aspect is not None and not (_ASPECT.fullmatch(aspect) and 1 / 4 <= _ratio(aspect) <= 4):
            raise ValueError("must be width to height, such as 16:9, neither beyond four times the other")
        return aspect

    @field_validator("source", "substream")
    @classmethod
    def _is_an_address_if_any(cls, source: str | None) -> str | None:
        if source is None or "://" not in source:
            return source
        scheme, _, rest = source.partition("://")
        if scheme.lower() not in STREAMS:
            raise ValueError(f"only rtsp:// and rtsps:// can be read, not {scheme}://")
        split_address(source, "camera")
        return f"{scheme.lower()}://{rest}"

    @field_validator("substream")
    @classmethod
    def _has_a_stream_to_go_with(cls, substream: str | None, info: ValidationInfo) -> str | None:
        if substream is not None and "://" not in substream:
            raise ValueError("must be a stream's address, such as rtsp://10.0.0.11/sub")
        if substream is not None and "://" not in info.data.get("source", "://"):
            raise ValueError("a recording has no small stream beside it: take this key out")
        if substream is not None and substream == info.data.get("source"):
            raise ValueError("is the same stream as source")
        return substream

    @model_validator(mode="after")
    def _has_the_password_that_its_address_is_to_hold(self) -> Camera:
        if PASSWORD in f"{self.source} {self.substream}" and not (self.password_env or self.password_file):
            raise ValueError(f"the address has {PASSWORD}, and there is none")
        return self

    @property
    def live(self) -> bool:
        """Whether the source is a stream without an end."""
        return "://" in self.source

    @property
    def shape(self) -> Shape:
        """How its pictures are shown."""
        return Shape(None if self.aspect is None else _ratio(self.aspect), self.turned)

    def password(self) -> str | None:
        """The camera's password from environment or file; `None` when none is configured."""
        return secret(self.password_env, self.password_file)


def _ratio(aspect: str) -> float:
    width, _, height = aspect.partition(":")
    return int(width) / int(height)
