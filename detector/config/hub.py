"""The hub's file as a whole."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import parse_qsl, unquote, urlsplit

from pydantic import Field, field_validator

from detector.config.addresses import bare_host, split_address
from detector.config.connections import Broker
from detector.config.named_secrets import secret
from detector.config.settings import Settings, Timezone
from detector.config.working_time import Calendar
from detector.errors import ConfigError, Problem
from detector.machine.secrecy import know
from detector.names import Name
from detector.values import IncidentKind

KeptAs = Literal["true_alarm", "authorised", "unclear", "false_alarm", "note"]
Days = Annotated[int, Field(ge=1, le=36500)]


class RetentionConfig(Settings):
    """How long footage is kept, days after the incident's end; null is for ever. Incidents themselves stay."""

    true_alarm: Days | None = Field(1095, description="judged true")
    authorised: Days | None = 30
    unclear: Days | None = 180
    false_alarm: Days | None = Field(30, description="judged false")
    note: Days | None = Field(90, description="notes that nobody judged; alerts that nobody judged are kept")
    no_alert: Annotated[int, Field(ge=62, le=36500)] | None = Field(
        90, description="clips that no alert is of, walk tests' too; after they came; no less than edges keep alerts"
    )
    by_kind: dict[IncidentKind, dict[KeptAs, Days | None]] = Field(
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
    """When the hub raises an alarm about the system itself (`hub/watch/signs.py`)."""

    edge_silent_min: float = Field(5.0, ge=1, description="an edge that says nothing for so long, minutes")
    backlog_min: float = Field(
        15.0, ge=1, description="alerts older than this at an edge that is online, or no clip got through, minutes"
    )
    hub_down_min: float = Field(5.0, ge=1, description="the hub itself was away for longer than this, minutes")
    disk_percent: float = Field(5.0, gt=0, lt=50, description="less than this is free on a disk, percent")
    clock_s: float = Field(2.0, gt=0, description="an edge's clock is off by more than this, seconds")


class HubConfig(Settings):
    """The monitoring hub."""

    data_dir: Path = Path("hub-data")
    database: str | None = Field(None, description="SQLAlchemy URL, no password in it; SQLite in data_dir if left out")
    database_env: str | None = Field(None, description="environment variable that holds it instead, password and all")
    database_file: Path | None = Field(None, description="file that holds it instead, password and all")
    host: str = Field("127.0.0.1", pattern=r"^[^\s/]*$", description="an address of this machine; 0.0.0.0: all of them")
    port: int = Field(8080, ge=0, le=65535)
    timezone: Timezone = "Asia/Shanghai"
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

    @property
    def certificates(self) -> list[Path]:
        """Files of certificates by which brokers are reached; with `certs_dir` also that which ours shows."""
        files = [self.certs_dir / "broker" / "server.crt"] if self.certs_dir else []
        for broker in filter(None, (self.broker, self.integrations.broker)):
            files += [file for file in (broker.cert_file, broker.ca_file) if file]
        return list(dict.fromkeys(files))

    @field_validator("database")
    @classmethod
    def _an_address_without_a_password(cls, url: str | None) -> str | None:
        if url and _password_of(url) is not None:
            raise ValueError("a password stands in the URL")
        if url and not _is_address(url):
            raise ValueError("is no address of a database")
        return url

    def database_url(self) -> str | None:
        """The database's SQLAlchemy URL with its password, from environment, file or here; `None` for SQLite's own.

        Raises:
            ConfigError: It is named but not there, empty, no address, or has an @ in its password.
        """
        found = secret(self.database_env, self.database_file)
        if found is None:
            return self.database
        wrong, hint = "", "put the database's address there"
        if not found.strip():  # taken for none given, it would begin an empty SQLite beside what is kept
            wrong = "is empty"
        elif re.match(r"[^/]+://[^:/]*:[^@]*@[^?]*@", found):  # what stands before the last would be taken for the host
            wrong, hint = "holds an @ too many", "in a password write %40 for @, %2F for /, %3A for : and %25 for %"
        elif not _is_address(found):
            wrong, hint = "holds no address of a database", "configs/hub.yaml shows one; :PASSWORD goes before its @"
        if wrong:
            file, key = ("environment", self.database_env) if self.database_env else (str(self.database_file), "")
            raise ConfigError([Problem(file, key or "", wrong, hint)])
        if password := _password_of(found):
            know(password)
        return found

    _is_bare = field_validator("host")(bare_host)

    @field_validator("public_url")
    @classmethod
    def _is_a_page(cls, url: str | None) -> str | None:
        found = urlsplit(url) if url else None
        if found and (
            found.scheme not in ("http", "https") or not found.hostname or found.query or "@" in found.netloc
        ):
            raise ValueError("begins with http:// or https://, names a host, and no user, password or query")
        if url:
            split_address(url, "hub")
        return url


def _is_address(url: str) -> bool:
    """Whether a database's address can be taken apart: scheme, login, host, a port that is a number, the rest."""
    return bool(re.fullmatch(r"[\w+]+://(?:[^@]*@)?(?:\[[^/\]]*\]|[^/:?\[\]]*)(?::\d*)?(?:[/?].*)?", url))


def _password_of(url: str) -> str | None:
    """The password in a database's address, also where libpq takes it from a parameter."""
    try:
        parsed = urlsplit(url)
    except ValueError:
        return url if "@" in url else None
    if parsed.password is not None:
        return unquote(parsed.password)
    if password := dict(parse_qsl(parsed.query)).get("password"):
        return password
    # One with a slash or the like, which ends what is before the host for some who read addresses, but not for others.
    found = re.match(r"[^/]+://[^:/@]*:(?!\d+(?:[/?]|$))([^@]*)@", url)
    return unquote(found[1]) if found else None
