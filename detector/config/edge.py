"""The edge's file as a whole."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator

from detector.config.cameras import Camera
from detector.config.connections import Broker, HubLink
from detector.config.rules import Rules
from detector.config.settings import Settings, Share, Timezone
from detector.config.working_time import Calendar
from detector.names import Name
from detector.values import IncidentKind

Rest = Literal["never", "behind", "always"]


class Analysis(Settings):
    """How often and how closely the worker looks."""

    model: str = Field("scene", description="name of a model in models/, or the path of a card")
    precision: Literal["fp32", "bf16", "int8", "auto"] = Field(
        "fp32", description="what the model computes in; auto: the fastest whose card says that it loses little"
    )
    fps: float = Field(5.0, gt=0, le=30, description="frames analysed a second, per camera")
    frame_side: int = Field(640, ge=160, le=1920, multiple_of=32)
    zoom_side: int = Field(320, ge=96, le=640, multiple_of=32)
    zooms: int = Field(4, ge=0, le=32, description="people looked at closely in one frame, at most; more take turns")
    gate: bool = Field(True, description="pass over frames in which nothing moves and nobody was for some seconds")
    rest: Rest = Field(
        "behind",
        description="when cameras where nothing has moved for 15 s decode key frames alone, until one "
        "differs: never; behind, while the box does not keep up; always",
    )

    @property
    def model_is_file(self) -> bool:
        """Whether `model` is the path of a card rather than a name."""
        return self.model.endswith((".yaml", ".yml"))


# Of what is less sure most is none, by simulation.
LEAST_SCORE: dict[IncidentKind, float] = {IncidentKind.LABEL_PHOTOGRAPHY: 0.8}


class Incidents(Settings):
    """How signals become incidents, and what evidence is kept."""

    least_score: dict[IncidentKind, Share] = Field(
        LEAST_SCORE,
        description="signals of a kind scored lower raise no incident; of label_photography below 0.8 unless said",
    )
    join_s: float = Field(180.0, gt=0, description="signals that follow each other within this are one incident")
    longest_s: float = Field(
        600.0, gt=0, description="a longer incident ends and a new one begins; a camera's trouble goes on"
    )
    pre_roll_s: float = Field(5.0, ge=0, le=30, description="a clip begins so long before the first act")
    post_roll_s: float = Field(8.0, ge=0, le=30, description="and ends so long after the last sign")
    segment_s: float = Field(
        30.0, ge=5, le=600, description="a longer clip comes in segments, the first while it goes on"
    )

    @field_validator("least_score")
    @classmethod
    def _one_kind_leaves_the_others(cls, said: dict[IncidentKind, float]) -> dict[IncidentKind, float]:
        return {**LEAST_SCORE, **said}


CERTIFICATE = "mqtt.crt"  # in data_dir, of joining


class Buffers(Settings):
    """What this box keeps for a hub that it can't reach; what gives way first is in `alerts/room.py`, `tidy.py`.

    The defaults outlast a month without a hub: a hundred incidents a day are some 30,000 alerts and 1 GB of them.
    """

    alert_rows: int = Field(50_000, ge=1, description="alerts kept at most")
    alert_mb: int = Field(2048, ge=1, description="their size at most")
    alert_days: float = Field(62.0, gt=0, description="an incident that the hub never heard of goes after so long")
    clip_gb: float = Field(24.0, gt=0, description="clips kept at most")
    clip_days: float = Field(62.0, gt=0, description="a clip goes after so long")
    reserve_gb: float = Field(2.0, ge=0, description="with less free on the disk clips go early, alerts last")


class Supervision(Settings):
    """When a worker that doesn't get on is helped."""

    stuck_s: float = Field(
        30.0,
        ge=5,
        description="a camera stuck in one step for so long is told; after twice as long the worker restarts",
    )
    memory_mb: int | None = Field(
        None,
        ge=128,
        description="restart above this, child processes included; three quarters of the machine when null",
    )


class EdgeConfig(Settings):
    """One edge box: its cameras and everything about them."""

    site: Name
    edge: Name
    data_dir: Path = Path("data")
    timezone: Timezone = "Asia/Shanghai"
    calendar: Calendar = Calendar()
    broker: Broker = Broker()
    hub: HubLink = HubLink()
    analysis: Analysis = Analysis()
    cameras: list[Camera] = Field(min_length=1)
    rules: Rules = Rules()
    incidents: Incidents = Incidents()
    supervision: Supervision = Supervision()
    buffers: Buffers = Buffers()

    @property
    def certificates(self) -> list[Path]:
        """Files of certificates by which broker and hub are reached."""
        return [file for file in (self.broker.cert_file, self.broker.ca_file, self.hub.ca_file) if file]

    @property
    def unused_certificate(self) -> Path | None:
        """The broker's certificate that joining has brought, where nothing here says that it is to be shown."""
        shows = self.broker.cert_file or self.broker.username
        return None if shows or not os.access(self.data_dir / CERTIFICATE, os.F_OK) else self.data_dir / CERTIFICATE
