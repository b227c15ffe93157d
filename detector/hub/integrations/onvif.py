"""The world comes in; events in the form that ONVIF has for MQTT brokers leave (Core specification, *Event Broker*).

    ROOT/onvif/SITE/EDGE/onvif-ej/TOPIC/&SOURCE…        {"UtcTime": …, "Source": {…}, "Data": {…}}

The edge box stands for the device, its cameras for video sources. What ONVIF has a topic for is told by that topic:

    a camera that is silent                       VideoSource/SignalLoss
    covered or turned away, dark, out of focus    VideoSource/GlobalSceneChange, ImageTooDark, ImageTooBlurry
    lingering                                     RuleEngine/LoiteringDetector/ObjectIsLoitering

and the rest by topics of our own, marked `labelwatch:`. States are *property events*: retained, told when they change,
and taken away (an empty payload) when they cease to be. This is the form of the events alone: neither the hub nor an
edge box is an ONVIF device that could be asked which events it has.
"""

from __future__ import annotations

import json
from typing import Any

from detector.clock import iso
from detector.config import HubConfig
from detector.hub.integrations.world import CameraNow, World
from detector.hub.storage.stored import StoredIncident
from detector.values import IncidentKind

PAYLOAD = "onvif-ej"
OURS = "labelwatch:"
SIGNAL_LOSS = "VideoSource/SignalLoss"
# By what a tampered camera's incident says of it.
TAMPERED = {
    "covered": "VideoSource/GlobalSceneChange/AnalyticsService",
    "turned": "VideoSource/GlobalSceneChange/AnalyticsService",
    "dark": "VideoSource/ImageTooDark/AnalyticsService",
    "defocused": "VideoSource/ImageTooBlurry/AnalyticsService",
    "silent": SIGNAL_LOSS,
    "frozen": f"VideoSource/{OURS}PictureFrozen",
    "clock": f"VideoSource/{OURS}ClockStep",
}
STATES = tuple(dict.fromkeys(TAMPERED.values()))
# What is told as long as it goes on.
GOING_ON = {IncidentKind.LINGERING: "RuleEngine/LoiteringDetector/ObjectIsLoitering"}
# Alerts that are told once; what they mean ONVIF has no word for.
ALERTS = {
    IncidentKind.LABEL_PHOTOGRAPHY: f"RuleEngine/{OURS}LabelPhotography/Sweep",
    IncidentKind.ORIENTATION_PATTERN: f"RuleEngine/{OURS}ParcelOrientation/Pattern",
    IncidentKind.BLIND_CORNER: f"RuleEngine/{OURS}BlindCorner/Stay",
}
WHOLE = "whole"  # the rule's name where the incident is in no zone


class Onvif:
    """Makes topics and payloads in ONVIF's form. Remembers since when states are what they are.

    Args:
        config: Of the hub.
    """

    def __init__(self, config: HubConfig) -> None:
        self._base = f"{config.integrations.topic}/onvif"
        self._since: dict[str, tuple[bool, float]] = {}

    def retained(self, world: World) -> dict[str, bytes]:
        """Property events: all that the broker is to keep, by topic."""
        told = {}
        for camera in world.cameras:
            for topic in STATES:
                where = self._topic(camera, topic, camera.state.name)
                is_on = _holds(camera, topic)
                if self._since.get(where, (None,))[0] is not is_on:
                    self._since[where] = is_on, _began(camera, topic, world.at) if is_on else world.at
                told[where] = _event(self._since[where][1], {"Source": camera.state.name}, {"State": is_on})
            for one in reversed(camera.going_on):  # the newest of a zone is the one that stands
                if going_on := _topic_in(GOING_ON, one):
                    source = _source(camera, one)
                    data = {"ObjectId": _objects(one), "Since": iso(one.started_at)}
                    told[self._topic(camera, going_on, *source.values())] = _event(one.started_at, source, data)
        self._since = {topic: since for topic, since in self._since.items() if topic in told}
        return told

    def events(self, world: World) -> list[tuple[str, bytes]]:
        """What is news, in order."""
        cameras = {camera.place: camera for camera in world.cameras}
        told = []
        for one in world.news:
            camera = cameras.get((one.site, one.edge, one.camera))
            topic = _topic_in(ALERTS, one)
            if camera is None or topic is None:
                continue
            source = _source(camera, one)
            data = {
                "ObjectId": _objects(one),
                "Since": iso(one.started_at),
                "IncidentId": one.id,
                "Severity": one.severity,
                "Likelihood": round(min(max(one.score, 0.0), 1.0), 3),
                "LabelsLow": one.labels_low,
                "LabelsBest": one.labels_best,
                "LabelsHigh": one.labels_high,
            }
            told.append((self._topic(camera, topic, *source.values()), _event(one.ended_at, source, data)))
        return told

    def _topic(self, camera: CameraNow, topic: str, *source: str) -> str:
        site, edge, _ = camera.place
        return f"{self._base}/{site}/{edge}/{PAYLOAD}/{topic}/&{'/'.join(source)}"


def _event(at: float, source: dict[str, str], data: dict[str, Any]) -> bytes:
    fields = {"UtcTime": iso(at), "Source": source, "Data": data}
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode(errors="replace")


def _topic_in(topics: dict[IncidentKind, str], one: StoredIncident) -> str | None:
    """Topic of an incident's kind; `None` where these have none, as for a kind of an edge newer than this hub."""
    return next((topic for kind, topic in topics.items() if kind == one.kind), None)


def _source(camera: CameraNow, one: StoredIncident) -> dict[str, str]:
    """Which camera, and which rule: the zone, without what a topic may not hold."""
    zone = "".join(c for c in one.zone or "" if c.isprintable() and c not in "/#+&")[:64]
    return {"VideoSource": camera.state.name, "Rule": zone or WHOLE}


def _objects(one: StoredIncident) -> str:
    """Numbers of the tracks, as a list of ONVIF's is: with a space between."""
    tracks = one.record.get("tracks")
    whole = [track for track in tracks if isinstance(track, int)] if isinstance(tracks, list) else []
    return " ".join(str(track) for track in whole[:20])


def _causes(camera: CameraNow, topic: str) -> list[StoredIncident]:
    """Incidents going on that a state is told of."""
    usual = TAMPERED["covered"]
    return [
        one
        for one in camera.going_on
        if one.kind == IncidentKind.TAMPER and TAMPERED.get(str(one.record["facts"].get("what")), usual) == topic
    ]


def _holds(camera: CameraNow, topic: str) -> bool:
    is_silent = topic == SIGNAL_LOSS and not camera.state.is_fine and camera.state.state != "ended"
    return is_silent or bool(_causes(camera, topic))


def _began(camera: CameraNow, topic: str, now: float) -> float:
    return min((one.started_at for one in _causes(camera, topic)), default=now)
