"""What a box goes by: its configuration enters, the same with what people at the hub have set for it leaves."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from detector.clock import iso
from detector.config import EdgeConfig
from detector.contradictions import contradictions
from detector.edge.zoned import FILE, Zoned
from detector.tuned import Tuned
from detector.values import IncidentKind
from detector.wire import OFF, Said


@dataclass(frozen=True, slots=True)
class InForce:
    """What is in force.

    Attributes:
        config: The configuration, with the zones and the least scores in force.
        drawn: Cameras whose zones are not those of the file.
        notices: For whoever reads the file: what wins over it, a line each.
    """

    config: EdgeConfig
    drawn: frozenset[str]
    notices: tuple[str, ...]


def in_force(config: EdgeConfig) -> InForce:
    """What a box goes by, as far as its data folder tells; on any other machine that is the file alone."""
    zoned, tuned = Zoned(config), Tuned(config)
    notices = [
        f"{name}: its zones were drawn at the hub and win over this file's "
        f"({_by(zoned.version, zoned.said)}; labelwatch zones prints them)"
        for name in sorted(zoned.drawn)
    ]
    notices += [
        f"{name}: {_least(kind, score)}, as was set at the hub, whatever this file says "
        f"({_by(tuned.version, tuned.said)})"
        for name, scores in sorted(tuned.set_at_hub.items())
        for kind, score in scores.items()
    ]
    here = {camera.name for camera in config.cameras}
    notices += [
        f"{name}: {what} at the hub for it hold nowhere, since this file has no camera of that name: was it renamed?"
        for said, what in ((zoned, "zones drawn"), (tuned, "scores set"))
        for name in sorted(said.cameras_said() - here)
    ]
    return InForce(tuned.applied_to(zoned.config), zoned.drawn, tuple(notices))


def drawn_in_vain(held: InForce, on: date) -> Iterator[str]:
    """What of zones drawn at the hub can never have its effect, a line each: the file may have changed since.

    Args:
        held: What is in force.
        on: As of `contradictions`.
    """
    for camera in held.config.cameras:
        if camera.name in held.drawn:
            alone = held.config.model_copy(update={"cameras": [camera]})
            for problem in contradictions(alone, Path(FILE), on):
                if found := re.match(r"cameras\[0\]\.zones\[(\d+)\]", problem.key):
                    zone = camera.zones[int(found[1])].name
                    yield f"{camera.name}: of its zones drawn at the hub, {zone}: {problem.reason} ({problem.hint})"


def _least(kind: IncidentKind, score: float) -> str:
    return f"{kind} raises no incident at all" if score == OFF else f"{kind} scored below {score:g} raises no incident"


def _by(version: int, said: Said) -> str:
    by = f", last by {said.user}" if said.user else ""
    return f"version {version}{by}" + (f", {iso(said.at)}" if said.at is not None else "")
