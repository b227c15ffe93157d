"""The two configuration files, edge and hub: read, checked as a whole, unknown keys refused.

Every problem is found at once and said with file, key, reason and hint (`ConfigError`). Relative paths are relative
to the configuration file. Secrets never stand in the file: a key ending in `_env` names an environment variable, one
ending in `_file` a file that holds the secret.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import parse_qsl, unquote, urlsplit
from zoneinfo import ZoneInfo, available_timezones

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from detector.errors import ConfigError, Problem
from detector.geometry import crosses_itself
from detector.plain_yaml import read_yaml
from detector.secrecy import know, without_login

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
Share = Annotated[float, Field(ge=0.0, le=1.0)]
Point = tuple[Share, Share]
IncidentKindName = Literal["label_photography", "orientation_pattern", "lingering", "blind_corner", "tamper"]
ZoneKind = Literal["storage", "walkway", "packing", "blind_edge", "ignore"]


class Settings(BaseModel):
    """Base of every section: frozen, and an unknown key is an error, or a number that isn't finite."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Broker(Settings):
    """Where the MQTT broker is."""

    host: str = Field("127.0.0.1", pattern=r"^[^\s/]+$", description="its name or address alone")
    port: int = Field(1883, ge=1, le=65535)
    username: str | None = None
    password_env: str | None = None
    password_file: Path | None = None
    ca_file: Path | None = Field(None, description="CA certificate; set it to speak TLS")
    cert_file: Path | None = None
    key_file: Path | None = None

    def password(self) -> str | None:
        """The password from environment or file; `None` when none is configured."""
        return secret(self.password_env, self.password_file)


class HubLink(Settings):
    """Where clips go."""

    url: str | None = Field(None, description="address of the hub, e.g. http://10.0.0.2:8080; none: clips stay here")
    ca_file: Path | None = Field(None, description="certificate that vouches for the hub: its lan/ca.crt with --lan")

    @field_validator("url")
    @classmethod
    def _is_web_address(cls, url: str | None) -> str | None:
        if url is not None and not re.match(r"https?://[^/\s]", url):
            raise ValueError("must begin with http:// or https://")
        return url


Allowed = Literal["allowed", "forbidden"]
TimeOfDay = Annotated[str, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$", description="time of day, HH:MM")]
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class Shift(Settings):
    """A span of working time; one that ends before it begins goes past midnight and belongs to the day it began."""

    name: Name
    begins: TimeOfDay
    ends: TimeOfDay
    days: list[Day] = Field(list(DAYS), min_length=1)


class Calendar(Settings):
    """When people work here. Without shifts it is always working time."""

    shifts: list[Shift] = []
    closed: list[date] = Field(
        [], description="days without work, such as holidays; a night shift ends at midnight then"
    )


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
    exemptions: list[Exemption] = []


class Zone(Settings):
    """A part of a camera's picture, corners in shares of width and height."""

    name: Name
    kind: ZoneKind
    polygon: list[Point] = Field(min_length=3)
    label_up_rate: Share | None = Field(None, description="usual share of parcels that lie label up here")
    policy: Policy = Policy()

    @field_validator("polygon")
    @classmethod
    def _has_area(cls, polygon: list[Point]) -> list[Point]:
        twice = sum(a[0] * b[1] - b[0] * a[1] for a, b in zip(polygon, polygon[1:] + polygon[:1], strict=True))
        if abs(twice) < 2e-4:
            raise ValueError("encloses no area")
        if crosses_itself(polygon):
            raise ValueError("its edges cross or touch: give its corners in order, each once")
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


class Mounting(Settings):
    """How a camera hangs; from it follows how far a phone can be judged (`coverage.py`)."""

    height_m: float = Field(gt=0, lt=1000, description="of the lens above the ground")
    tilt_deg: float = Field(ge=0, lt=90, description="of the optical axis below the horizontal")
    fov_deg: float = Field(gt=0, lt=180, description="horizontal field of view")


class Camera(Settings):
    """One camera: where its pictures come from, and what is where in them."""

    name: Name
    title: str | None = Field(None, description="name for people; the plain name when left out")
    source: str = Field(
        min_length=1, description="rtsp://… without user and password, a video file, or a folder of them"
    )
    substream: str | None = Field(
        None,
        description="rtsp://… of the camera's small stream, same login and field of view: people are looked for in it, "
        "and the source is decoded only where they are looked at closely; evidence is the source's",
    )
    username: str | None = None
    password_env: str | None = None
    password_file: Path | None = None
    loop: bool = Field(False, description="play a file again and again as one stream with ever-increasing time")
    zones: list[Zone] = [WHOLE_FRAME]
    mounting: Mounting | None = Field(None, description="draws on the hub's pages how far a phone can be judged")
    least_score: dict[IncidentKindName, Share] = Field(
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
        return source

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

    @property
    def live(self) -> bool:
        """Whether the source is a stream without an end."""
        return "://" in self.source

    def password(self) -> str | None:
        """The camera's password from environment or file; `None` when none is configured."""
        return secret(self.password_env, self.password_file)


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
    zooms: int = Field(4, ge=0, le=32, description="people looked at closely in one frame, at most")
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


class PhotoRule(Settings):
    """When looks at a person add up to an act (`rules/acts.py`)."""

    error: float = Field(
        0.1, gt=0, lt=0.5, description="chance that one stretch of something else is taken for a photo"
    )
    least_s: float = Field(0.8, gt=0, description="shortest act")
    gap_s: float = Field(1.2, gt=0, description="longest time without evidence within one act")


class SweepRule(Settings):
    """When photo acts add up to a sweep (`rules/sweep.py`)."""

    least_acts: int = Field(2, ge=2)
    least_parcels: int = Field(2, ge=1)
    window_s: float = Field(180.0, gt=0, description="acts that follow each other within this are one sweep")
    sure: Share = Field(0.9, description="a sweep scored lower is told as a note only, until it is surer")


class OrientationRule(Settings):
    """When too many parcels lie label up (`rules/orientation.py`)."""

    usual_rate: Share = Field(0.35, description="for zones without a label_up_rate of their own, until it is learned")
    learn: bool = Field(True, description="learn each zone's usual rate from what lies there")
    by_shift: bool = Field(False, description="a usual rate for each shift of the calendar")
    least_parcels: int = Field(8, ge=3, description="fewest parcels of a patch")
    false_alarms_per_month: float = Field(1.0, gt=0, le=1000, description="at most so many a zone, on average")
    settle_s: float = Field(4.0, ge=0, description="how long a parcel must have lain still before it counts")


class LingeringRule(Settings):
    """When somebody stays beside parcels without work (`rules/lingering.py`)."""

    after_s: float = Field(120.0, gt=0, description="this long beside parcels without work, or anywhere out of hours")
    crouched_after_s: float = Field(60.0, gt=0, description="crouching or bending there, already after this long")


class BlindEdgeRule(Settings):
    """When somebody stays out of sight (`rules/blind_edge.py`); needs zones of kind blind_edge."""

    away_s: float = Field(180.0, gt=0, description="out of sight for this long is told")
    visits: int = Field(3, ge=1, description="or for so many times a shift, by people not seen without parcels")
    visit_s: float = Field(30.0, gt=0, description="each of them this long at least")


class TamperRule(Settings):
    """When a camera no longer sees what it should (`rules/tamper.py`)."""

    after_s: float = Field(8.0, gt=0, description="it must last this long before it is told")
    frozen_s: float = Field(20.0, gt=0, description="a picture that doesn't change at all for this long is frozen")
    clock_step_s: float = Field(60.0, gt=0, description="frame times set back by more than this are told")
    silent_s: float = Field(120.0, ge=20, description="a live camera without a picture for this long is silent")


class Rules(Settings):
    """Settings of every rule."""

    photo: PhotoRule = PhotoRule()
    sweep: SweepRule = SweepRule()
    orientation: OrientationRule = OrientationRule()
    lingering: LingeringRule = LingeringRule()
    blind_edge: BlindEdgeRule = BlindEdgeRule()
    tamper: TamperRule = TamperRule()


class Incidents(Settings):
    """How signals become incidents, and what evidence is kept."""

    least_score: dict[IncidentKindName, Share] = Field(
        {}, description="signals of a kind scored lower raise no incident"
    )

    join_s: float = Field(180.0, gt=0, description="signals that follow each other within this are one incident")
    longest_s: float = Field(600.0, gt=0, description="a longer incident ends and a new one begins")
    pre_roll_s: float = Field(5.0, ge=0, le=30, description="a clip begins so long before the first act")
    post_roll_s: float = Field(8.0, ge=0, le=30, description="and ends so long after the last sign")
    segment_s: float = Field(
        30.0, ge=5, le=600, description="a longer clip comes in segments, the first while it goes on"
    )


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
    timezone: str = "Asia/Shanghai"
    calendar: Calendar = Calendar()
    broker: Broker = Broker()
    hub: HubLink = HubLink()
    analysis: Analysis = Analysis()
    cameras: list[Camera] = Field(min_length=1)
    rules: Rules = Rules()
    incidents: Incidents = Incidents()
    supervision: Supervision = Supervision()
    buffers: Buffers = Buffers()

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        return _known_timezone(name)


KeptAs = Literal["true_alarm", "authorised", "unclear", "false_alarm", "note"]
Days = Annotated[int, Field(ge=1, le=36500)]


class RetentionConfig(Settings):
    """How long footage is kept, days after the incident's end; null is for ever. Incidents themselves stay."""

    true_alarm: Days | None = Field(1095, description="judged true")
    authorised: Days | None = 30
    unclear: Days | None = 180
    false_alarm: Days | None = Field(30, description="judged false")
    note: Days | None = Field(90, description="notes that nobody judged; alerts that nobody judged are kept")
    by_kind: dict[IncidentKindName, dict[KeptAs, Days | None]] = Field(
        {}, description="other days for a kind, e.g. tamper: {true_alarm: 90}"
    )
    warn_days: int = Field(7, ge=0, le=365, description="announced so long before it is deleted")
    reserve_gb: float = Field(5.0, ge=0, description="with less free on the disk, judged footage goes early")


class HomeAssistantConfig(Settings):
    """What Home Assistant is told, by its MQTT device discovery."""

    enabled: bool = False
    prefix: Name = Field("homeassistant", description="its discovery prefix, as set in Home Assistant")
    pictures: bool = Field(True, description="tell the address of each camera's last picture; needs public_url")
    switches: bool = Field(False, description="let Home Assistant hold back notices of a camera")
    pause_hours: int = Field(8, ge=1, le=24, description="notices held back go on by themselves after so long")


class IntegrationsConfig(Settings):
    """What other systems are told over MQTT, through a connection of its own."""

    broker: Broker | None = Field(None, description="another broker than the edges speak to")
    topic: Name = Field("labelwatch-hub", description="all is published below it; two hubs on one broker need two")
    home_assistant: HomeAssistantConfig = HomeAssistantConfig()
    onvif: bool = Field(False, description="events in the JSON form that ONVIF has for MQTT brokers")

    @field_validator("topic")
    @classmethod
    def _is_not_the_edges(cls, topic: str) -> str:
        if topic == "labelwatch":
            raise ValueError("the edges speak below this one; name another")
        return topic

    @property
    def any_enabled(self) -> bool:
        """Whether anything is published."""
        return self.home_assistant.enabled or self.onvif


class AlarmsConfig(Settings):
    """When the hub raises an alarm about the system itself (`hub/signs.py`)."""

    edge_silent_min: float = Field(5.0, ge=1, description="an edge that says nothing for so long, minutes")
    backlog_min: float = Field(15.0, ge=1, description="alerts older than this at an edge that is online, minutes")
    hub_down_min: float = Field(5.0, ge=1, description="the hub itself was away for longer than this, minutes")
    disk_percent: float = Field(5.0, gt=0, lt=50, description="less than this is free on a disk, percent")
    clock_s: float = Field(2.0, gt=0, description="an edge's clock is off by more than this, seconds")


class HubConfig(Settings):
    """The monitoring hub."""

    data_dir: Path = Path("hub-data")
    database: str | None = Field(None, description="SQLAlchemy URL, no password in it; SQLite in data_dir if left out")
    database_env: str | None = Field(None, description="environment variable that holds it instead, password and all")
    database_file: Path | None = Field(None, description="file that holds it instead, password and all")
    host: str = "127.0.0.1"
    port: int = Field(8080, ge=0, le=65535)
    timezone: str = "Asia/Shanghai"
    language: Literal["zh", "en"] = "zh"
    broker: Broker = Broker()
    largest_clip_mb: int = Field(512, ge=1)
    retention: RetentionConfig = RetentionConfig()
    calendar: Calendar = Calendar()
    alarms: AlarmsConfig = AlarmsConfig()
    backups_dir: Path | None = Field(None, description="of labelwatch backup: a corrupt database is filled up from it")
    alerts_per_shift: int = Field(12, ge=1, description="alert budget: what exceeds it goes to the digest")
    second_step: Literal["optional", "required"] = Field(
        "optional", description="a code from the phone after the password: who wants it, or everybody"
    )
    metrics: Literal["token", "open", "off"] = Field("token", description="who may read /metrics")
    public_url: str | None = Field(None, description="where people reach the hub, for links in notices")
    enrolment: Literal["code", "first_sight"] = Field(
        "code", description="how edge boxes come in: by a one-time code, or whoever is seen first with a name"
    )
    certs_dir: Path | None = Field(
        None,
        description="folder of `labelwatch certs`: a box that joins gets its certificate for the broker",
    )
    integrations: IntegrationsConfig = IntegrationsConfig()

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        return _known_timezone(name)

    @field_validator("database")
    @classmethod
    def _no_password_inside(cls, url: str | None) -> str | None:
        if url and _password_of(url) is not None:
            raise ValueError("a password stands in the URL")
        return url

    def database_url(self) -> str | None:
        """The database's SQLAlchemy URL with its password, from environment, file or here; `None` for SQLite's own."""
        found = secret(self.database_env, self.database_file)
        if found is None:
            return self.database
        if password := _password_of(found):
            know(password)
        return found

    @field_validator("public_url")
    @classmethod
    def _is_a_page(cls, url: str | None) -> str | None:
        found = urlsplit(url) if url else None
        if found and (
            found.scheme not in ("http", "https") or not found.hostname or found.query or "@" in found.netloc
        ):
            raise ValueError("begins with http:// or https://, names a host, and no user, password or query")
        return url


def _password_of(url: str) -> str | None:
    """The password in a database's address, also where libpq takes it from a parameter."""
    try:
        parsed = urlsplit(url)
    except ValueError:
        return url if "@" in url else None
    if parsed.password is not None:
        return unquote(parsed.password)
    return dict(parse_qsl(parsed.query)).get("password")


def _known_timezone(name: str) -> str:
    if name not in available_timezones():
        raise ValueError(f"no such time zone: {name}")
    ZoneInfo(name)
    return name


def secret(env: str | None, file: Path | None) -> str | None:
    """A secret named by environment variable or file; `None` when neither is given. From then on no log shows it.

    Raises:
        ConfigError: It is named but not there.
    """
    if env:
        if env not in os.environ:
            raise ConfigError([Problem("environment", env, "is not set", "export it before starting")])
        return know(os.environ[env])
    if file:
        try:
            return know(file.read_text(encoding="utf-8").strip())
        except OSError as error:
            raise ConfigError([Problem(str(file), "", f"can't be read: {error.strerror}", "check the path")]) from error
        except UnicodeDecodeError as error:
            raise ConfigError([Problem(str(file), "", "is not UTF-8 text", "save it as UTF-8")]) from error
    return None


S = TypeVar("S", bound="Settings")

HINTS: dict[str, str] = {
    "extra_forbidden": "no such key; `labelwatch check --schema` lists all",
    "missing": "add it",
    "too_short": "a zone needs at least three points, a list at least one entry",
    "string_pattern_mismatch": "letters, digits, dot, dash and underscore, 64 at most",
    "literal_error": "use one of the values named",
    "less_than_equal": "a zone's corners are shares, 0 to 1; `labelwatch check --schema` lists every limit",
}
ELSEWISE = "configs/site.yaml shows every key with its meaning"


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
    tree = _read(path)
    # Asked of the raw tree: a validator would be silent on it while anything else is wrong.
    twice = _named_twice(path, tree.get("cameras"))
    try:
        config = kind.model_validate(tree)
    except ValidationError as error:
        raise ConfigError([_problem(path, found) for found in error.errors()] + twice) from error
    if twice:
        raise ConfigError(twice)
    return config


def _named_twice(path: Path, cameras: Any) -> list[Problem]:
    listed = cameras if isinstance(cameras, list) else []
    names = [camera.get("name") if isinstance(camera, dict) else None for camera in listed]
    return [
        Problem(str(path), f"cameras[{n}].name", f"the name {name} is given twice", "each camera needs its own name")
        for n, name in enumerate(names)
        if isinstance(name, str) and name in names[:n]
    ]


def _read(path: Path) -> dict[str, Any]:
    try:
        tree = read_yaml(path.read_text(encoding="utf-8"), _UniqueKeys)
    except OSError as error:
        raise ConfigError([Problem(str(path), "", f"can't be read: {error.strerror}", "check the path")]) from error
    except UnicodeDecodeError as error:
        raise ConfigError([Problem(str(path), "", "is not UTF-8 text", "save it as UTF-8")]) from error
    except yaml.YAMLError as error:
        raise ConfigError([_yaml_problem(path, error)]) from error
    except ValueError as error:  # what looks like a date but is none
        raise ConfigError([Problem(str(path), "", str(error), "put quotes round what is no date")]) from error
    if not isinstance(tree, dict):
        raise ConfigError([Problem(str(path), "", "must be a mapping of keys to values", "see configs/site.yaml")])
    return tree


class _UniqueKeys(yaml.SafeLoader):
    """YAML where a key given twice is an error rather than the last one winning."""

    def construct_scalar(self, node: yaml.ScalarNode | yaml.MappingNode) -> Any:
        value = super().construct_scalar(node)
        if isinstance(value, str) and "\0" in value:  # no path may hold it, nor anything that people write
            raise yaml.constructor.ConstructorError(None, None, "holds a NUL character", node.start_mark)
        return value

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, str | int | float) and key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key} is given twice", key_node.start_mark
                )
            seen.add(key if isinstance(key, str | int | float) else str(key))
        return super().construct_mapping(node, deep)


def _yaml_problem(path: Path, error: yaml.YAMLError) -> Problem:
    mark = getattr(error, "problem_mark", None)
    reason = getattr(error, "problem", None) or str(error).split("\n")[0]
    # What stands behind these signs is a name in YAML, and a password where somebody forgot the quotes.
    reason = re.sub(r"(undefined alias|duplicate anchor|for the tag) '[^']*'", r"\1", reason)
    where = f"line {mark.line + 1}, column {mark.column + 1}" if mark else ""
    hint = "YAML allows no tabs: indent with spaces" if "\\t" in reason or "tab" in reason else "check the indentation"
    return Problem(str(path), where, reason, hint)


def _problem(path: Path, found: Any) -> Problem:
    key = ""
    for part in found["loc"]:
        key += f"[{part}]" if isinstance(part, int) else f".{part}" if key else str(part)
    reason = str(found["msg"]).removeprefix("Value error, ")
    hint = HINTS.get(found["type"], ELSEWISE)
    if "stands in the URL" in reason:
        names = "database_env or database_file" if key == "database" else "username and password_env or password_file"
        hint = f"give {names} instead"
    elif key.endswith("broker.host"):
        hint = "a name or an address alone, e.g. 10.0.0.2; the port has a key of its own"
    elif key.endswith((".begins", ".ends")):
        hint = 'a time of day in quotes, e.g. "08:00"'
    elif found["type"] == "extra_forbidden":
        reason = "unknown key"
    return Problem(str(path), key, reason[:1].lower() + reason[1:], hint)


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


def check_file(path: Path) -> list[Problem]:
    """Every problem of a configuration file, edge or hub (it is an edge's when it names cameras, a site or an edge)."""
    try:
        tree = _read(path)
        if {"cameras", "site", "edge"} & tree.keys():
            return check_edge(load_edge(path), path)
        return check_hub(load_hub(path), path)
    except ConfigError as error:
        return error.problems


def check_edge(config: EdgeConfig, path: Path) -> list[Problem]:
    """Problems that only the machine can tell: missing files and secrets.

    Args:
        config: An edge configuration that was read without error.
        path: Its file, for the messages.
    """
    problems = []
    model = config.analysis.model
    if config.analysis.model_is_file and not _is_file(Path(model)):
        problems.append(Problem(str(path), "analysis.model", f"no such file: {model}", "check the path"))
    for n, camera in enumerate(config.cameras):
        if not camera.live and not Path(camera.source).exists():
            problems.append(
                Problem(str(path), f"cameras[{n}].source", f"no such file or folder: {camera.source}", "check the path")
            )
        problems += _secret_problems(path, f"cameras[{n}]", camera.password_env, camera.password_file)
    if config.hub.ca_file and not _is_file(config.hub.ca_file):
        hint = "copy ca.crt from the folder lan in the hub's data_dir"
        problems.append(Problem(str(path), "hub.ca_file", f"no such file: {config.hub.ca_file}", hint))
    return problems + check_broker(config.broker, path)


def check_hub(config: HubConfig, path: Path) -> list[Problem]:
    """Problems of a hub's configuration that only the machine can tell."""
    other = config.integrations.broker
    problems = _secret_problems(path, "", config.database_env, config.database_file, "database")
    problems += check_broker(config.broker, path)
    return problems + (check_broker(other, path, "integrations.broker") if other else [])


def check_broker(broker: Broker, path: Path, key: str = "broker") -> list[Problem]:
    """Problems of a broker section, which stands under `key`, that only the machine can tell."""
    problems = _secret_problems(path, key, broker.password_env, broker.password_file)
    for name in ("ca_file", "cert_file", "key_file"):
        file = getattr(broker, name)
        if file and not _is_file(file):
            problems.append(Problem(str(path), f"{key}.{name}", f"no such file: {file}", "check the path"))
    return problems


def _secret_problems(path: Path, key: str, env: str | None, file: Path | None, what: str = "password") -> list[Problem]:
    problems, name = [], f"{key}.{what}" if key else what
    if env and env not in os.environ:
        problems.append(Problem(str(path), f"{name}_env", f"the variable {env} is not set", "export it"))
    if file and not _is_file(file):
        problems.append(Problem(str(path), f"{name}_file", f"no such file: {file}", "check the path"))
    return problems


def _is_file(path: Path) -> bool:
    """Whether there is something to read; a pipe will do, a folder won't."""
    return path.exists() and not path.is_dir()
