"""What Home Assistant takes as MQTT device discovery, written down as models; and what it makes of a state.

Rewritten from Home Assistant 2026.2 (`homeassistant/components/mqtt/`: `discovery.py`, `schemas.py`, `config.py`,
`abbreviations.py`, `sensor.py`, `binary_sensor.py`, `event.py`, `image.py`, `switch.py`), stricter in one way: a key
that it would leave out in silence is an error here. Only platforms and keys that the hub uses are known.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from jinja2.sandbox import ImmutableSandboxedEnvironment
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, model_validator

DISCOVERY = re.compile(r"(?P<component>\w+)/(?:(?P<node_id>[a-zA-Z0-9_-]+)/)?(?P<object_id>[a-zA-Z0-9_-]+)/config")
ABBREVIATIONS = {
    "def_ent_id": "default_entity_id",
    "avty": "availability", "avty_mode": "availability_mode", "cmd_t": "command_topic", "cmps": "components",
    "dev": "device", "dev_cla": "device_class", "ent_cat": "entity_category", "evt_typ": "event_types",
    "exp_aft": "expire_after", "ic": "icon", "o": "origin", "p": "platform", "stat_cla": "state_class",
    "stat_t": "state_topic", "t": "topic", "uniq_id": "unique_id", "unit_of_meas": "unit_of_measurement",
    "url_t": "url_topic", "val_tpl": "value_template",
}  # fmt: skip
DEVICE_ABBREVIATIONS = {
    "cu": "configuration_url", "ids": "identifiers", "mf": "manufacturer", "mdl": "model", "sw": "sw_version",
}  # fmt: skip
ORIGIN_ABBREVIATIONS = {"sw": "sw_version", "url": "support_url"}


def _topic(text: str) -> str:
    assert text and len(text.encode()) <= 65535, "a topic is 1 to 65535 bytes"
    assert text.isprintable() and "+" not in text and "#" not in text, "no control characters, no wildcards here"
    return text


def _template(text: str) -> str:
    ImmutableSandboxedEnvironment().parse(text)
    return text


def _icon(text: str) -> str:
    assert ":" in text, "prefix:name"
    return text


Topic = Annotated[str, AfterValidator(_topic)]
Template = Annotated[str, AfterValidator(_template)]
Url = Annotated[str, Field(pattern=r"^(https?|homeassistant)://[^\s/]+")]
Text = Annotated[str, Field(min_length=1)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Availability(_Strict):
    topic: Topic
    payload_available: str = "online"
    payload_not_available: str = "offline"
    value_template: Template | None = None


class Device(_Strict):
    identifiers: list[Text] = Field(min_length=1)
    name: Text
    manufacturer: Text
    model: Text | None = None
    sw_version: Text
    via_device: Text | None = None
    configuration_url: Url | None = None


class Origin(_Strict):
    name: Text
    sw_version: Text
    support_url: Url | None = None


class _Entity(_Strict):
    unique_id: Text
    default_entity_id: Annotated[str, Field(pattern=r"^[a-z_]+\.[a-z0-9_]+$")]
    name: Text
    availability: list[Availability] | None = None
    availability_mode: Literal["all", "any", "latest"] = "latest"
    entity_category: Literal["config", "diagnostic"] | None = None
    icon: Annotated[str, AfterValidator(_icon)] | None = None
    qos: Literal[0, 1, 2] = 0


class Sensor(_Entity):
    platform: Literal["sensor"]
    state_topic: Topic
    value_template: Template | None = None
    expire_after: Annotated[int, Field(ge=0)] | None = None
    device_class: Literal["timestamp"] | None = None
    state_class: Literal["measurement", "total", "total_increasing"] | None = None
    unit_of_measurement: str | None = None

    @model_validator(mode="after")
    def _a_time_is_no_number(self) -> Sensor:
        assert self.device_class is None or (self.state_class is None and self.unit_of_measurement is None)
        return self


class BinarySensor(_Entity):
    platform: Literal["binary_sensor"]
    state_topic: Topic
    value_template: Template | None = None
    expire_after: Annotated[int, Field(ge=0)] | None = None
    device_class: Literal["connectivity", "problem", "tamper"]
    payload_on: str = "ON"
    payload_off: str = "OFF"


class Event(_Entity):
    platform: Literal["event"]
    state_topic: Topic
    event_types: list[Text] = Field(min_length=1)


class Image(_Entity):
    platform: Literal["image"]
    url_topic: Topic


class Switch(_Entity):
    platform: Literal["switch"]
    command_topic: Topic
    state_topic: Topic
    value_template: Template | None = None
    payload_on: str = "ON"
    payload_off: str = "OFF"


Component = Annotated[Sensor | BinarySensor | Event | Image | Switch, Field(discriminator="platform")]


class DeviceDiscovery(_Strict):
    device: Device
    origin: Origin
    components: dict[str, Component] = Field(min_length=1)
    availability: list[Availability]
    availability_mode: Literal["all", "any", "latest"] = "latest"

    @model_validator(mode="after")
    def _components_can_be_told_apart(self) -> DeviceDiscovery:
        ids = [component.unique_id for component in self.components.values()]
        assert len(set(ids)) == len(ids), "an id is given twice"
        assert all(re.fullmatch(r"[a-zA-Z0-9_-]+", name) for name in self.components)
        assert all(one.default_entity_id.startswith(f"{one.platform}.") for one in self.components.values())
        return self


def _long(fields: dict[str, Any], abbreviations: dict[str, str]) -> dict[str, Any]:
    return {abbreviations.get(name, name): value for name, value in fields.items()}


def discovered(topic: str, fields: dict[str, Any], prefix: str = "homeassistant") -> DeviceDiscovery:
    """A device as Home Assistant finds it.

    Raises:
        ValidationError: It wouldn't.
    """
    assert topic.startswith(f"{prefix}/")
    found = DISCOVERY.fullmatch(topic.removeprefix(f"{prefix}/"))
    assert found and found["component"] == "device" and found["node_id"] is None, topic
    whole = _long(fields, ABBREVIATIONS)
    whole["device"] = _long(whole["device"], DEVICE_ABBREVIATIONS)
    whole["origin"] = _long(whole["origin"], ORIGIN_ABBREVIATIONS)

    def with_availability(one: dict[str, Any]) -> dict[str, Any]:
        long = _long(one, ABBREVIATIONS)
        if "availability" in long:
            long["availability"] = [_long(item, ABBREVIATIONS) for item in long["availability"]]
        return long

    whole = with_availability(whole)
    whole["components"] = {name: with_availability(one) for name, one in whole["components"].items()}
    for name in gone(whole["components"]):
        del whole["components"][name]
    return TypeAdapter(DeviceDiscovery).validate_python(whole)


def gone(components: dict[str, dict[str, Any]]) -> list[str]:
    """Which components a device takes away: of which it says the platform, and nothing else."""
    return [name for name, fields in components.items() if fields.keys() in ({"platform"}, {"p"})]


def rendered(template: str, state: Any) -> str:
    """What Home Assistant makes of a JSON state by a value template."""
    return ImmutableSandboxedEnvironment().from_string(template).render(value_json=state).strip()
