"""Topics by which edge and hub speak to each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from detector.errors import WireError

ROOT = "labelwatch"


ALL_ALERTS = f"{ROOT}/+/+/alerts"
ALL_STATUS = f"{ROOT}/+/+/status"
ALL_HEALTH = f"{ROOT}/+/+/health"


@dataclass(frozen=True, slots=True)
class Topics:
    """Topics of one edge."""

    site: str
    edge: str

    @property
    def alerts(self) -> str:
        """Edge to hub, QoS 1."""
        return f"{ROOT}/{self.site}/{self.edge}/alerts"

    @property
    def status(self) -> str:
        """`online` or `offline`, retained, last will."""
        return f"{ROOT}/{self.site}/{self.edge}/status"

    @property
    def health(self) -> str:
        """Counters of every camera, now and then."""
        return f"{ROOT}/{self.site}/{self.edge}/health"

    @property
    def ack(self) -> str:
        """Hub to edge: ids of envelopes stored."""
        return f"{ROOT}/{self.site}/{self.edge}/ack"

    @property
    def thresholds(self) -> str:
        """Hub to edge, QoS 1, retained: the least scores that people have set."""
        return f"{ROOT}/{self.site}/{self.edge}/cmd/thresholds"

    @property
    def zones(self) -> str:
        """Hub to edge, QoS 1, retained: the zones that people have drawn."""
        return f"{ROOT}/{self.site}/{self.edge}/cmd/zones"

    @property
    def picture(self) -> str:
        """Edge to hub, QoS 0: a picture of a camera, labels blurred."""
        return f"{ROOT}/{self.site}/{self.edge}/picture"

    @property
    def ask_picture(self) -> str:
        """Hub to edge, QoS 0: a picture is wanted now."""
        return f"{ROOT}/{self.site}/{self.edge}/cmd/picture"

    @property
    def ask_film(self) -> str:
        """Hub to edge, QoS 0: a camera is to be filmed for a while."""
        return f"{ROOT}/{self.site}/{self.edge}/cmd/film"

    @property
    def layout(self) -> str:
        """Edge to hub, QoS 1, retained: zones in force and how far a phone can be judged, of every camera."""
        return f"{ROOT}/{self.site}/{self.edge}/layout"

    @property
    def rotate(self) -> str:
        """Hub to edge, QoS 1, retained: a new key is asked for, and taken."""
        return f"{ROOT}/{self.site}/{self.edge}/cmd/rotate"

    @property
    def key(self) -> str:
        """Edge to hub, QoS 1: a new key, signed by it and by the one in use."""
        return f"{ROOT}/{self.site}/{self.edge}/key"

    @property
    def census(self) -> str:
        """Edge to hub, QoS 0: what lies in the storage zones of a camera, and what happened there."""
        return f"{ROOT}/{self.site}/{self.edge}/census"


def topic_owner(topic: str) -> tuple[str, str]:
    """Site and edge that a topic belongs to.

    Raises:
        WireError: It is no topic of ours.
    """
    parts = topic.split("/")
    if len(parts) != 4 or parts[0] != ROOT:
        raise WireError(f"not a labelwatch topic: {topic}")
    return parts[1], parts[2]


def check_owner(topic: str, fields: Mapping[str, Any]) -> None:
    """Check that the `site` and `edge` of a message are those of its topic.

    Raises:
        WireError: They are not, or it is no topic of ours.
    """
    if (fields["site"], fields["edge"]) != topic_owner(topic):
        raise WireError("site and edge are not those of the topic")
