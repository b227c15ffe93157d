"""The world comes in; what Home Assistant is to find leaves: devices that announce themselves, states, events.

A device for the hub and one for each edge box, whose cameras are its components (MQTT *device discovery*, Home
Assistant 2024.12 and newer): `PREFIX/device/ID/config`, retained. Below `ROOT/ha/`:

    state                                  of the hub, JSON, retained
    SITE/EDGE/state, SITE/EDGE/available   of an edge box
    SITE/EDGE/CAMERA/state                 of a camera
    SITE/EDGE/CAMERA/alert                 an alert that begins or grows more severe, once, not retained
    SITE/EDGE/CAMERA/picture               address of the last alert's picture, labels blurred, good for a day
    SITE/EDGE/CAMERA/notices/set           from Home Assistant: ON lets notices go, OFF holds them back for a while

States are told anew every minute, and Home Assistant calls them unknown when three minutes bring none (`exp_aft`): so
a hub that hangs doesn't look like one where all is well. Ids are made of site, edge and camera alone and stay; names
are in the hub's language.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from detector.clock import iso
from detector.config import HubConfig
from detector.hub.integrations.links import PictureLinks
from detector.hub.integrations.world import CameraNow, EdgeNow, World
from detector.hub.storage.stored import StoredIncident
from detector.hub.texts import Phrases, explanation
from detector.machine.whole_files import write_whole
from detector.values import IncidentKind
from detector.version import VERSION

KINDS = tuple(kind.value for kind in IncidentKind)
EXPIRES_S = 180
ONLINE, OFFLINE = "online", "offline"
ON, OFF = "ON", "OFF"
LONGEST_NAME = 80

Payload = bytes
Component = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Switched:
    """Somebody asked over MQTT to let a camera's notices go, or to hold them back."""

    site: str
    camera: str
    to_on: bool


class HomeAssistant:
    """Makes topics and payloads for Home Assistant. Remembers which components that may know of.

    Args:
        config: Of the hub.
        links: Makes addresses of pictures.
        kept: File with these components, so that those of a camera that was taken away while no hub ran are told to go;
            nothing outlives the hub when left out.
    """

    def __init__(self, config: HubConfig, links: PictureLinks, kept: Path | None = None) -> None:
        integrations = config.integrations
        self._set = integrations.home_assistant
        self._root = integrations.topic
        self._base = f"{self._root}/ha"
        self._url = config.public_url
        self._links = links
        self._say = Phrases(config.language)
        self._kept = kept
        self._known = _read(kept)
        self._there = self._known

    @property
    def birth_topic(self) -> str:
        """Where Home Assistant says `online` when it has started: then it wants all again."""
        return f"{self._set.prefix}/status"

    @property
    def commands(self) -> list[str]:
        """What to subscribe to."""
        return [f"{self._base}/+/+/+/notices/set"] if self._set.switches else []

    @property
    def discovery(self) -> str:
        """The filter that all devices match, ours among them."""
        return f"{self._set.prefix}/device/+/config"

    def is_ours(self, topic: str, payload: bytes) -> bool:
        """Whether a device announced on a discovery topic is one of ours, present or past."""
        start = f"{self._set.prefix}/device/{_plain(self._root)}-"
        return topic.startswith(start) and f'"{self._base}/'.encode() in payload

    def retained(self, world: World) -> dict[str, Payload]:
        """All that the broker is to keep, by topic; what went is told to go until `forget_gone`."""
        devices = {self._config_topic("hub"): self._hub_device()}
        devices |= {self._config_topic(edge.site, edge.edge): self._edge_device(edge) for edge in world.edges}
        self._there = {
            topic: {key: fields["p"] for key, fields in device["cmps"].items()} for topic, device in devices.items()
        }
        # Before any of it is sent: were the hub to end in between, what was sent might never be told to go.
        self._remember({
            topic: self._known.get(topic, {}) | self._there.get(topic, {}) for topic in self._known | self._there
        })  # fmt: skip
        told = {topic: _json(self._with_gone(topic, device)) for topic, device in devices.items()}
        told[f"{self._base}/state"] = _json(self._hub_state(world))
        for edge in world.edges:
            base = f"{self._base}/{edge.site}/{edge.edge}"
            told[f"{base}/available"] = (ONLINE if edge.is_there else OFFLINE).encode()
            told[f"{base}/state"] = _json(
                {"problem": _on(not edge.is_fine), "backlog": edge.backlog, "at": _minute(world.at)}
            )
            for camera in edge.cameras:
                own = f"{base}/{camera.state.name}"
                told[f"{own}/state"] = _json(_camera_state(camera, world.at))
                if (address := self._picture(camera, world.at)) is not None:
                    told[f"{own}/picture"] = address.encode()
        return told

    def forget_gone(self) -> None:
        """The broker has all that was last told: what went needn't be told to go any more."""
        self._remember(self._there)

    def events(self, world: World) -> list[tuple[str, Payload]]:
        """What is news, in order."""
        known = {camera.place for camera in world.cameras}
        return [
            (f"{self._base}/{one.site}/{one.edge}/{one.camera}/alert", _json(self._event(one)))
            for one in world.news
            if (one.site, one.edge, one.camera) in known and one.kind in KINDS
        ]

    def command(self, topic: str, payload: bytes, world: World) -> Switched | None:
        """What a message asks for; `None` where it is no command, or of a camera that isn't there."""
        parts = topic.removeprefix(f"{self._base}/").split("/")
        known = {camera.place for camera in world.cameras}
        if len(parts) != 5 or parts[3:] != ["notices", "set"] or (parts[0], parts[1], parts[2]) not in known:
            return None
        if payload not in (ON.encode(), OFF.encode()) or not self._set.switches:
            return None
        return Switched(parts[0], parts[2], payload == ON.encode())

    # Devices

    def _config_topic(self, *names: str) -> str:
        return f"{self._set.prefix}/device/{self._id(*names)}/config"

    def _id(self, *names: str) -> str:
        """Made of what Home Assistant takes in a topic, and still different for `a.b` and `a-b`."""
        parts = "-".join(map(_plain, (self._root, *names)))
        return f"{parts}-{sha256('/'.join((self._root, *names)).encode()).hexdigest()[:8]}"

    def _device(
        self, name: str, names: tuple[str, ...], version: str, components: Mapping[str, Component]
    ) -> dict[str, Any]:
        device_id = self._id(*names)
        device: dict[str, Any] = {"ids": [device_id], "name": name, "mf": "labelwatch", "sw": version[:40] or "?"}
        origin: dict[str, Any] = {"name": "labelwatch", "sw": VERSION}
        if self._url:
            device["cu"] = origin["url"] = self._url
        stem = _slug("labelwatch", *names)  # else entities would be called after names in some language
        named = {
            key: {"uniq_id": f"{device_id}-{key}", "def_ent_id": f"{fields['p']}.{stem}_{_slug(key)}", **fields}
            for key, fields in components.items()
        }
        return {"dev": device, "o": origin, "cmps": named}

    def _with_gone(self, topic: str, device: dict[str, Any]) -> dict[str, Any]:
        """With the platform alone of each component that went: one that is merely left out stays in Home Assistant."""
        known = self._known.get(topic, {})
        gone = {key: {"p": platform} for key, platform in known.items() if key not in device["cmps"]}
        return {**device, "cmps": device["cmps"] | gone}

    def _remember(self, known: dict[str, dict[str, str]]) -> None:
        """Have these be the components that Home Assistant may know of."""
        if self._kept is not None and known != self._known:
            with suppress(OSError):  # a full disk costs no more than what is to go
                write_whole(self._kept, json.dumps(known), mode=0o600, lasting=False)
        self._known = known

    def _hub_device(self) -> dict[str, Any]:
        say, topic = self._say, f"{self._base}/state"
        components = {
            "alerts": _sensor(say("ha_alerts"), topic, "alerts", ic="mdi:alert-outline", stat_cla="measurement"),
            "labels": _sensor(say("ha_labels"), topic, "labels", ic="mdi:label-outline", stat_cla="measurement"),
            "unjudged": _sensor(say("ha_unjudged"), topic, "unjudged", ic="mdi:gavel", stat_cla="measurement"),
            "unseen": _sensor(say("ha_unseen"), topic, "unseen", ic="mdi:camera-off", stat_cla="measurement"),
            "problem": _binary(say("ha_problem"), topic, "problem", "problem"),
        }
        hub = self._device(say("ha_hub"), ("hub",), VERSION, components)
        return {**hub, "avty": [{"t": f"{self._root}/status"}]}

    def _edge_device(self, edge: EdgeNow) -> dict[str, Any]:
        say, base = self._say, f"{self._base}/{edge.site}/{edge.edge}"
        hub_alone = {"avty": [{"t": f"{self._root}/status"}]}  # a box that is away has a problem, and is told of
        components = {
            "problem": {**_binary(say("ha_problem"), f"{base}/state", "problem", "problem"), **hub_alone},
            "backlog": _sensor(
                say("ha_backlog"), f"{base}/state", "backlog", ic="mdi:tray-full", stat_cla="measurement",
                ent_cat="diagnostic",
            ),
        }  # fmt: skip
        for camera in edge.cameras:
            for name, fields in self._camera(camera, f"{base}/{camera.state.name}").items():
                components[f"{_key(camera.state.name)}-{name}"] = fields
        name = say("ha_edge", name=f"{edge.site} {edge.edge}")
        device = self._device(name, (edge.site, edge.edge), edge.version, components)
        device["dev"]["via_device"] = self._id("hub")
        available = [{"t": f"{self._root}/status"}, {"t": f"{base}/available"}]
        return {**device, "avty": available, "avty_mode": "all"}

    def _camera(self, camera: CameraNow, base: str) -> dict[str, Component]:
        say, title, state = self._say, _one_line(camera.state.title), f"{base}/state"

        def named(key: str) -> str:
            return f"{title} {say(key)}"

        own = {
            "alert": {
                "p": "event", "name": named("ha_alert"), "stat_t": f"{base}/alert", "evt_typ": list(KINDS), "qos": 1,
                "ic": "mdi:cellphone-screenshot",
            },
            "seen": _binary(named("ha_seen"), state, "seen", "connectivity"),
            "tamper": _binary(named("ha_tamper"), state, "tamper", "tamper"),
            "alerts": _sensor(named("ha_alerts"), state, "alerts", ic="mdi:alert-outline", stat_cla="measurement"),
            "labels": _sensor(named("ha_labels"), state, "labels", ic="mdi:label-outline", stat_cla="measurement"),
            "last": _sensor(named("ha_last"), state, "last", dev_cla="timestamp"),
            "fps": _sensor(
                named("ha_fps"), state, "fps", unit_of_meas="fps", stat_cla="measurement", ent_cat="diagnostic"
            ),
        }  # fmt: skip
        if self._set.pictures and self._url:
            own["picture"] = {"p": "image", "name": named("ha_picture"), "url_t": f"{base}/picture"}
        if self._set.switches:
            own["notices"] = {
                "p": "switch", "name": named("ha_notices"), "stat_t": state, "val_tpl": _value("notices"),
                "cmd_t": f"{base}/notices/set", "qos": 1, "ic": "mdi:bell",
            }  # fmt: skip
        return own

    # States

    def _hub_state(self, world: World) -> dict[str, Any]:
        unseen = sum(not camera.state.is_fine and camera.state.state != "ended" for camera in world.cameras)
        problem = not world.is_connected or not all(edge.is_fine for edge in world.edges)
        return {
            "alerts": world.alerts, "labels": world.labels, "unjudged": world.unjudged, "unseen": unseen,
            "problem": _on(problem), "at": _minute(world.at),
        }  # fmt: skip

    def _picture(self, camera: CameraNow, now: float) -> str | None:
        last = camera.last
        if not self._set.pictures or last is None or last.snapshot is None:
            return None
        return self._links.address(last.id, last.snapshot, now)

    def _event(self, one: StoredIncident) -> dict[str, Any]:
        return {
            "event_type": one.kind,
            "id": one.id,
            "severity": one.severity,
            "site": one.site,
            "camera": one.camera,
            "zone": one.zone,
            "started_at": iso(one.started_at),
            "labels_low": one.labels_low,
            "labels_best": one.labels_best,
            "labels_high": one.labels_high,
            "says": " ".join(explanation(one, self._say))[:500],
            **({"url": f"{self._url.rstrip('/')}/incidents/{one.id}"} if self._url else {}),
        }


def _camera_state(camera: CameraNow, now: float) -> dict[str, Any]:
    state = camera.state
    tampered = any(one.kind == IncidentKind.TAMPER for one in camera.going_on)
    told: dict[str, Any] = {
        "seen": _on(state.is_fine),
        "tamper": _on(tampered),
        "alerts": camera.alerts,
        "labels": camera.labels,
        "last": iso(camera.last.started_at) if camera.last else None,
        "fps": round(state.fps, 1) if state.fps is not None else None,
        "notices": _on(camera.pause is None),
        "at": _minute(now),
    }
    return {**told, "paused_until": iso(camera.pause.until)} if camera.pause else told


def _sensor(name: str, topic: str, key: str, **more: str) -> Component:
    return {"p": "sensor", "name": name, "stat_t": topic, "val_tpl": _value(key), "exp_aft": EXPIRES_S, **more}


def _binary(name: str, topic: str, key: str, device_class: str) -> Component:
    return {
        "p": "binary_sensor", "name": name, "stat_t": topic, "val_tpl": _value(key), "dev_cla": device_class,
        "exp_aft": EXPIRES_S,
    }  # fmt: skip


def _value(key: str) -> str:
    """How Home Assistant finds a value in a state; `null` becomes the word None, which it takes for unknown."""
    return f"{{{{ value_json.{key} }}}}"


def _on(is_on: bool) -> str:
    return ON if is_on else OFF


def _minute(at: float) -> str:
    """The minute: so that a state is told anew every minute and not every time."""
    return iso(at // 60 * 60)


def _plain(name: str) -> str:
    return "".join(c if c.isascii() and c.isalnum() else "-" for c in name)


def _slug(*names: str) -> str:
    """As Home Assistant has it in the ids of entities."""
    return "_".join(_plain(name).replace("-", "_").lower() for name in names)


def _key(name: str) -> str:
    """Made of what Home Assistant takes, and still different for `a.b` and `a-b`."""
    return _plain(name) if _plain(name) == name else f"{_plain(name)}-{sha256(name.encode()).hexdigest()[:4]}"


def _one_line(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:LONGEST_NAME]


def _json(fields: Mapping[str, Any]) -> Payload:
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode(errors="replace")


def _read(kept: Path | None) -> dict[str, dict[str, str]]:
    """Platforms of the components that were known of, by topic and component; none where that isn't known."""
    try:
        told = json.loads(kept.read_text(encoding="utf-8")) if kept is not None else {}
        return {
            str(topic): {str(key): str(platform) for key, platform in components.items()}
            for topic, components in told.items()
        }
    except (OSError, ValueError, AttributeError, RecursionError):
        return {}
