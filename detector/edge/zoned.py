"""Zones that people at the hub have drawn: commands come in, the cameras' zones in force leave.

A command carries all zones of every camera that any were drawn for. It is taken as a whole or refused as a whole, kept
in `zoned.json` before it counts, and wins over what the configuration says; a camera that was taken out of the
configuration since is passed over, lest it hold up the others. A broker keeps the newest (retained), so every new
connection brings it again. The configuration file is never written: `labelwatch zones` prints what is in
force, for a person to put there.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from detector import wire
from detector.clock import Clock, SystemClock, iso
from detector.config import Camera, EdgeConfig, Zone
from detector.contradictions import contradictions
from detector.errors import Cause, CommandRefused, Problem, WireError
from detector.shifts import Shifts
from detector.whole_files import write_whole

logger = logging.getLogger(__name__)

FILE = "zoned.json"
LATEST_S = 2.0**37  # no calendar reaches as far
ZONES = TypeAdapter(list[Zone])

Drawn = dict[str, list[Zone]]


@dataclass(frozen=True, slots=True)
class Said:
    """Who commanded the zones in force, and when (Unix seconds), as far as the command told."""

    user: str
    at: float | None


class Zoned:
    """The zones in force at one edge. Any thread may call it.

    Args:
        config: The edge's configuration; the state of an earlier run is taken up from its data folder.
        clock: Tells the day on which zones are to hold.

    Attributes:
        version: Of the state in force; 0 before the first command.
        refused: Why the newest command was refused; `None` when it was taken.
        causes: The same as codes, as far as there are any.
        refused_version: Which version that was.
        said: By whom the state in force was commanded.
        news: Set when a command was taken or refused; whoever tells of it clears it.
    """

    def __init__(self, config: EdgeConfig, clock: Clock | None = None) -> None:
        self.version = 0
        self.refused: str | None = None
        self.causes: tuple[Cause, ...] = ()
        self.refused_version: int | None = None
        self.said = Said("", None)
        self.news = threading.Event()
        self._configured = config
        self._clock = clock or SystemClock()
        self._file = config.data_dir / FILE
        self._drawn: Drawn = {}
        self._in_force = {camera.name: camera for camera in config.cameras}
        self._load()

    @property
    def config(self) -> EdgeConfig:
        """The configuration with the zones in force."""
        return self._configured.model_copy(update={"cameras": list(self._in_force.values())})

    @property
    def drawn(self) -> frozenset[str]:
        """Names of the cameras whose zones are not those of the configuration."""
        return frozenset(self._drawn.keys() & self._in_force.keys())

    def camera(self, name: str) -> Camera:
        """A camera with its zones in force: the same object until they change."""
        return self._in_force[name]

    def health(self) -> dict[str, Any]:
        """For the health message: the version in force, and which was refused last and why, if the newest was."""
        return {
            "version": self.version,
            "refused": self.refused,
            "refused_version": self.refused_version,
            "refused_causes": wire.causes_payload(self.causes),
        }

    def accept(self, payload: bytes) -> None:
        """Take a command into force, or refuse it; either way the next health message tells."""
        if not payload:
            return  # what a broker passes on when somebody takes the retained command away
        version = None
        try:
            version, state, said = wire.decode_zones(payload)
            drawn = _understood(state)
            if (version, drawn) != (self.version, self._drawn):
                self._check(version, drawn)
                self._keep(version, drawn, said)
                self._apply(version, drawn, said)
                logger.info("zones of version %d are in force", version)
            self.refused, self.causes = None, ()
        except CommandRefused as error:
            self.refused, self.causes = str(error), error.causes
        except WireError as error:
            self.refused, self.causes = str(error), (Cause("malformed", {}),)
        except OSError as error:
            self.refused, self.causes = f"they can't be kept: {error.strerror}", (Cause("disk", {}),)
        self.refused_version = version if self.refused else None
        if self.refused:
            logger.warning("zones were refused: %s", self.refused)
        self.news.set()

    def _check(self, version: int, drawn: Drawn) -> None:
        wire.check_newer(version, self.version, "zones")
        # What the file's own zones, or those in force by now, are wrong in is no reason to refuse others.
        known = {problem.reason for before in ({}, self._drawn) for problem in self._problems(before)}
        if wrong := [found for found in self._problems(drawn) if found.reason not in known]:
            causes = [found.cause for found in wrong if found.cause is not None]
            raise CommandRefused("; ".join(f"{found.reason} ({found.hint})" for found in wrong[:3]), *causes)

    def _problems(self, drawn: Drawn) -> list[Problem]:
        config = self._configured.model_copy(update={"cameras": list(self._with(drawn).values())})
        today = Shifts(config.calendar, config.timezone).local(self._clock.now()).date()
        return contradictions(config, Path(FILE), today)

    def _with(self, drawn: Drawn) -> dict[str, Camera]:
        return {
            camera.name: camera.model_copy(update={"zones": drawn[camera.name]}) if camera.name in drawn else camera
            for camera in self._configured.cameras
        }

    def _keep(self, version: int, drawn: Drawn, said: dict[str, Any]) -> None:
        state = {name: [dumped(zone) for zone in zones] for name, zones in drawn.items()}
        write_whole(self._file, wire.encode({"schema": wire.SCHEMA, "version": version, "state": state, **said}))

    def _apply(self, version: int, drawn: Drawn, said: dict[str, Any]) -> None:
        at, user = said.get("at_unix"), said.get("user")
        self.version, self._drawn = version, drawn
        self.said = Said(
            str(user or "")[:64], float(at) if isinstance(at, int | float) and 0 <= at < LATEST_S else None
        )
        before = self._in_force
        now = self._with(drawn)
        # A camera whose zones stay is to stay the same object: its pipeline is not disturbed.
        self._in_force = {name: before[name] if before[name] == camera else camera for name, camera in now.items()}

    def _load(self) -> None:
        """Take up what was in force; a broken file is passed over."""
        try:
            version, state, said = wire.decode_zones(self._file.read_bytes())
            drawn = _understood(state)
        except FileNotFoundError:
            return
        except (OSError, WireError) as error:
            logger.warning("%s can't be used, so the hub's next command is awaited: %s", self._file.name, error)
            return
        self._apply(version, drawn, said)


def notices(zoned: Zoned) -> list[str]:
    """For whoever reads the configuration: which cameras go by other zones than it has, a line each."""
    said = zoned.said
    when = f", {iso(said.at)}" if said.at is not None and abs(said.at) < LATEST_S else ""
    return [
        f"{name}: its zones were drawn at the hub and win over this file's "
        f"(version {zoned.version}{f', last by {said.user}' if said.user else ''}{when}; labelwatch zones prints them)"
        for name in sorted(zoned.drawn)
    ]


def dumped(zone: Zone) -> dict[str, Any]:
    """A zone as configurations and commands have it, without what is usual."""
    return zone.model_dump(mode="json", exclude_defaults=True)


def _understood(state: wire.ZoneState) -> Drawn:
    """Zones of every camera.

    Raises:
        CommandRefused: Some are none.
    """
    drawn: Drawn = {}
    for name, zones in state.items():
        try:
            drawn[name] = ZONES.validate_python(zones, strict=False)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(str(part) for part in first["loc"])
            reason = str(first["msg"]).removeprefix("Value error, ")
            cause = Cause("zone_malformed", {"camera": name})
            raise CommandRefused(f"zone {where[:64]}: {reason[:160]}", cause) from error
    return drawn
