"""Files enter, checked configurations leave, or every problem of a file at once.

Relative paths are relative to the file.
"""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from detector.config.cameras import Camera
from detector.config.connections import Broker, HubLink
from detector.config.edge import Analysis, EdgeConfig
from detector.config.hub import HubConfig
from detector.config.settings import Settings
from detector.config.yaml_tree import read_tree
from detector.errors import ConfigError, Problem

S = TypeVar("S", bound="Settings")


_MAPPINGS = ("model_type", "dict_type")  # as pydantic calls sections, and those whose keys are names
REASONS: dict[str, str] = {  # where pydantic's own words are of Python
    **dict.fromkeys(_MAPPINGS, "must be a mapping of keys to values"),
    "path_type": "must be a path",
    "string_type": "must be text",
    "tuple_type": "must be a corner",  # corners of zones are the only pairs
    "too_long": "has more than two numbers",
}
HINTS: dict[str, str] = {
    "missing": "add it",
    "too_short": "a zone needs at least three points, a list at least one entry",
    "string_type": 'what YAML takes for a number, a day, yes or no stands in quotes, e.g. "3"',
    "string_pattern_mismatch": "letters, digits, dot, dash and underscore, 64 at most",
    "list_type": "a list stands in brackets, e.g. [a, b], or has a line with a dash for each entry",
    **dict.fromkeys(_MAPPINGS, "its keys stand below it, indented, or in braces, e.g. {a: 1, b: 2}"),
    "literal_error": "use one of the values named",
    "enum": "use one of the values named",
    "less_than_equal": "`labelwatch check --schema` lists every limit",
    "truth_for_a_number": "YAML takes yes, no, on and off for true and false",
}
_OF_EDGES = EdgeConfig.model_fields.keys() - HubConfig.model_fields.keys()
_OF_HUBS = HubConfig.model_fields.keys() - EdgeConfig.model_fields.keys()


def load_edge(path: Path) -> EdgeConfig:
    """Read an edge configuration.

    Raises:
        ConfigError: With every problem found.
    """
    config = _load(path, EdgeConfig)
    return config.model_copy(
        update={
            "data_dir": _beside(path, config.data_dir),
            "broker": _broker_beside(path, config.broker),
            "hub": _hub_beside(path, config.hub),
            "analysis": _analysis_beside(path, config.analysis),
            "cameras": [_camera_beside(path, camera) for camera in config.cameras],
        }
    )


def load_hub(path: Path) -> HubConfig:
    """Read a hub configuration.

    Raises:
        ConfigError: With every problem found.
    """
    config = _load(path, HubConfig)
    update: dict[str, Any] = {
        "data_dir": _beside(path, config.data_dir),
        "broker": _broker_beside(path, config.broker),
    }
    if config.backups_dir:
        update["backups_dir"] = _beside(path, config.backups_dir)
    if config.database_file:
        update["database_file"] = _beside(path, config.database_file)
    if config.certs_dir:
        update["certs_dir"] = _beside(path, config.certs_dir)
    if problem := _same_login(path, config):
        raise ConfigError([problem])
    if other := config.integrations.broker:
        update["integrations"] = config.integrations.model_copy(update={"broker": _broker_beside(path, other)})
    return config.model_copy(update=update)


def load_either(path: Path) -> EdgeConfig | HubConfig:
    """Read a configuration, an edge's where it names cameras, a site or an edge, else a hub's.

    Raises:
        ConfigError: With every problem found.
    """
    return load_edge(path) if {"cameras", "site", "edge"} & read_tree(path).keys() else load_hub(path)


def _same_login(path: Path, config: HubConfig) -> Problem | None:
    """Where other systems would be told by the login that alerts come in by: brokers that know a client by its user,
    as the one we ship does, would take the two connections for one, and cut off each by the other."""
    hub, other = config.broker, config.integrations.broker or config.broker
    who, who_else = ((b.host, b.port, b.username, b.cert_file) for b in (hub, other))
    if not config.integrations.any_enabled or who != who_else or (hub.username is None and hub.cert_file is None):
        return None
    reason = "needs a login of its own: with the hub's, the broker may take both connections for one"
    hint = "name the broker again under integrations.broker, with another username or cert_file"
    return Problem(str(path), "integrations.broker", reason, hint)


def _load(path: Path, kind: type[S]) -> S:
    tree = read_tree(path)
    if problem := _of_the_other_kind(path, tree, kind):
        raise ConfigError([problem])
    # Asked of the raw tree: a validator would be silent on it while anything else is wrong.
    twice = _named_twice(path, tree.get("cameras"))
    try:
        config = kind.model_validate(tree)
    except ValidationError as error:
        raise ConfigError([_problem(path, kind, found) for found in error.errors()] + twice) from error
    if twice:
        raise ConfigError(twice)
    return config


def _of_the_other_kind(path: Path, tree: dict[str, Any], kind: type[Settings]) -> Problem | None:
    """A hub's configuration where an edge's is needed, or the other way round: one slip, not one for each key."""
    if kind is EdgeConfig and not tree.keys() & _OF_EDGES and tree.keys() & _OF_HUBS:
        reason = "is a hub's configuration: an edge's is needed, which names site, edge and cameras"
        return Problem(str(path), "", reason, "see configs/site.yaml")
    if kind is HubConfig and "cameras" in tree:
        return Problem(str(path), "", "is an edge's configuration: a hub's is needed", "see configs/hub.yaml")
    return None


def _named_twice(path: Path, cameras: Any) -> list[Problem]:
    listed = cameras if isinstance(cameras, list) else []
    names = [camera.get("name") if isinstance(camera, dict) else None for camera in listed]
    return [
        Problem(str(path), f"cameras[{n}].name", f"the name {name} is given twice", "each camera needs its own name")
        for n, name in enumerate(names)
        if isinstance(name, str) and name in names[:n]
    ]


def _problem(path: Path, kind: type[Settings], found: Any) -> Problem:
    key = ""
    for part in (part for part in found["loc"] if part != "[key]"):  # an unknown name of a mapping is its own key
        key += f"[{part}]" if isinstance(part, int) else f".{part}" if key else str(part)
    reason = REASONS.get(found["type"], str(found["msg"]).removeprefix("Value error, "))
    example = "hub.yaml" if kind is HubConfig else "site.yaml"
    hint = HINTS.get(found["type"], f"configs/{example} shows every key with its meaning")
    if "stands in the address" in reason or "the address has {password}" in reason:
        hint = "give password_env or password_file"
    elif key == "hub.url":
        hint = "as a browser shows it, e.g. http://10.0.0.2:8080"
    elif "stands in the URL" in reason:
        names = "database_env or database_file" if key == "database" else "username and password_env or password_file"
        hint = f"give {names} instead"
    elif "polygon[" in key:
        hint = "a zone's corners are pairs of shares, 0 to 1, e.g. [0.05, 0.35]"
    elif "encloses no area" in reason:
        hint = "list its points in order, as one walks round it"
    elif key.endswith((".source", ".substream")):
        hint = "e.g. rtsp://10.0.0.11:554/Streaming/Channels/101"
    elif key.endswith(".aspect"):
        hint = "width to height, e.g. 16:9"
    elif key == "timezone":
        hint = "a name of the IANA database, e.g. Asia/Shanghai"
    elif key == "host" or key.endswith("broker.host"):
        hint = "a name or an address alone, e.g. 10.0.0.2; the port has a key of its own"
    elif key.endswith((".begins", ".ends")):
        hint = 'a time of day in quotes, e.g. "08:00"'
    elif found["type"].startswith("date_"):
        reason, hint = "is no day", "year, month and day, e.g. 2027-06-30"
    elif found["type"] == "extra_forbidden":
        reason, hint = "unknown key", _meant(kind, found["loc"])
    return Problem(str(path), key, reason[:1].lower() + reason[1:], hint)


def _meant(kind: type[Settings], place: tuple[str | int, ...]) -> str:
    """What may have been meant by an unknown key: one written alike, or any that may stand there."""
    known = _keys_at(kind, place[:-1])
    if alike := get_close_matches(str(place[-1]), known, 1):
        return f"did you mean {alike[0]}?"
    return f"here may stand: {', '.join(known)}"


def _keys_at(kind: type[Settings], place: tuple[str | int, ...]) -> list[str]:
    """The keys of the section that a place leads to."""
    schema = kind.model_json_schema()
    section = schema
    for part in place:
        inside = section["items"] if isinstance(part, int) else section.get("properties", {}).get(part)
        inside = inside or section["additionalProperties"]
        choices = (inside, *inside.get("anyOf", ()))  # of a section that may also be null
        section = next((schema["$defs"][one["$ref"].rpartition("/")[2]] for one in choices if "$ref" in one), inside)
    return list(section["properties"])


def _beside(path: Path, other: Path) -> Path:
    return (path.resolve().parent / other).resolve()


def _broker_beside(path: Path, broker: Broker) -> Broker:
    names = ("password_file", "ca_file", "cert_file", "key_file")
    return broker.model_copy(update={n: _beside(path, getattr(broker, n)) for n in names if getattr(broker, n)})


def _hub_beside(path: Path, hub: HubLink) -> HubLink:
    return hub.model_copy(update={"ca_file": _beside(path, hub.ca_file)}) if hub.ca_file else hub


def _analysis_beside(path: Path, analysis: Analysis) -> Analysis:
    if not analysis.model_is_file:
        return analysis
    return analysis.model_copy(update={"model": str(_beside(path, Path(analysis.model)))})


def _camera_beside(path: Path, camera: Camera) -> Camera:
    update: dict[str, Any] = {}
    if not camera.live:
        update["source"] = str(_beside(path, Path(camera.source)))
    if camera.password_file:
        update["password_file"] = _beside(path, camera.password_file)
    return camera.model_copy(update=update)
