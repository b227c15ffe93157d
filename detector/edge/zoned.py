"""Zones that people at the hub have drawn: commands come in, the cameras' zones in force leave.

A command carries all zones of every camera that any were drawn for. The configuration file is never written:
`labelwatch zones` prints what is in force, for a person to put there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from detector import wire
from detector.clock import Clock, SystemClock
from detector.commanded import Commanded
from detector.config import Camera, EdgeConfig, Zone
from detector.contradictions import contradictions
from detector.errors import Cause, CommandRefused, Problem
from detector.shifts import Shifts

FILE = "zoned.json"
ZONES = TypeAdapter(list[Zone])

Drawn = dict[str, list[Zone]]


class Zoned(Commanded[Drawn]):
    """The zones in force at one edge. Any thread may call it.

    Args:
        config: The edge's configuration; the state of an earlier run is taken up from its data folder.
        clock: Tells the day on which zones are to hold.
    """

    def __init__(self, config: EdgeConfig, clock: Clock | None = None) -> None:
        super().__init__(config.data_dir / FILE, "zones", {})
        self._configured = config
        self._clock = clock or SystemClock()
        self._in_force = {camera.name: camera for camera in config.cameras}
        self._load()

    @property
    def config(self) -> EdgeConfig:
        """The configuration with the zones in force."""
        return self._configured.model_copy(update={"cameras": list(self._in_force.values())})

    @property
    def drawn(self) -> frozenset[str]:
        """Names of the cameras whose zones are not those of the configuration."""
        return frozenset(self._state.keys() & self._in_force.keys())

    def camera(self, name: str) -> Camera:
        """A camera with its zones in force: the same object until they change."""
        return self._in_force[name]

    def _decode(self, payload: bytes) -> tuple[int, wire.ZoneState, wire.Said]:
        return wire.decode_zones(payload)

    def _understood(self, told: wire.ZoneState) -> Drawn:
        drawn: Drawn = {}
        for name, zones in told.items():
            try:
                drawn[name] = ZONES.validate_python(zones, strict=False)
            except ValidationError as error:
                first = error.errors(include_url=False)[0]
                where = ".".join(str(part) for part in first["loc"])
                reason = str(first["msg"]).removeprefix("Value error, ")
                cause = Cause("zone_malformed", {"camera": name})
                raise CommandRefused(f"zone {where[:64]}: {reason[:160]}", cause) from error
        return drawn

    def _check(self, state: Drawn) -> None:
        # What the file's own zones, or those in force by now, are wrong in is no reason to refuse others.
        if wrong := new_among(self._problems(state), [self._problems(before) for before in ({}, self._state)]):
            causes = [found.cause for found in wrong if found.cause is not None]
            raise CommandRefused("; ".join(f"{found.reason} ({found.hint})" for found in wrong[:3]), *causes)

    def _problems(self, drawn: Drawn) -> list[Problem]:
        config = self._configured.model_copy(update={"cameras": list(self._with(drawn).values())})
        day = Shifts(config.calendar, config.timezone).day(self._clock.now())
        return contradictions(config, Path(FILE), day)

    def _with(self, drawn: Drawn) -> dict[str, Camera]:
        return {
            camera.name: camera.model_copy(update={"zones": drawn[camera.name]}) if camera.name in drawn else camera
            for camera in self._configured.cameras
        }

    def _apply(self) -> None:
        before = self._in_force
        now = self._with(self._state)
        # A camera whose zones stay is to stay the same object: its pipeline is not disturbed.
        self._in_force = {name: before[name] if before[name] == camera else camera for name, camera in now.items()}


def new_among(problems: Sequence[Problem], known: Iterable[Sequence[Problem]]) -> list[Problem]:
    """Those that aren't known: of a camera more of one reason than any known list has, whose zones may be renamed."""
    left: Counter[tuple[str, str]] = Counter()
    zones = set()
    for before in known:
        left |= Counter((found.about[0], found.reason) for found in before)
        zones |= {(found.about, found.reason) for found in before}
    new = []
    for found in sorted(problems, key=lambda found: (found.about, found.reason) not in zones):
        here = found.about[0], found.reason
        if left[here] > 0:
            left[here] -= 1
        else:
            new.append(found)
    return new


def dumped(zone: Zone) -> dict[str, Any]:
    """A zone as configurations and commands have it, without what is usual."""
    return zone.model_dump(mode="json", exclude_defaults=True)
