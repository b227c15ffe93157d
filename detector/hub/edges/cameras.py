"""Health reports of edges come in; the state of every camera, in words a page can say, goes out.

A report's `cameras` is a list or mapping of objects with `camera` (or its key), `title`, `age_s` (of the last frame),
`state`, `trouble`, `reason`, `fps`, `reconnects`; all but the name may be missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from detector.hub.storage.rights import EVERYWHERE, Scope
from detector.hub.storage.stored import Edge, EdgeId, told_number
from detector.names import is_name, natural

SILENT_S = 20.0  # age of the last frame when it was reported
MOST_OF_AN_EDGE = 200  # whose pictures and zones the hub takes, too
MOST_REPORTED = 256  # of one edge; a report that names more is odd
QUIET_S = 120.0  # age of the report itself
TROUBLES = frozenset(
    {"unreachable", "refused", "no_answer", "broke_off", "no_picture", "no_video", "too_large"}
    | {"memory", "hung", "crashed", "stuck"}
)
"""What can keep a live camera from being seen, as edges say it; each has words of its own."""

FIGURES = ("analysed_fps", "passed_over_fps", "due_fps", "wait_s", "dropped")
"""How a camera is kept up with, as edges tell it."""


@dataclass(frozen=True, slots=True)
class CameraState:
    """One camera: `state` is `ok`, `silent`, `ended` (a recording is over), `edge_offline` or `edge_quiet`.

    `age_s` is that of its last frame, now; `trouble` is one of `TROUBLES`, or empty. `figures` are those of `FIGURES`
    that its edge told; `behind` that it can't keep up with the camera.
    """

    site: str
    edge: str
    name: str
    title: str
    state: str
    reason: str
    age_s: float | None
    fps: float | None
    reconnects: int
    trouble: str = ""
    figures: Mapping[str, float] = field(default_factory=dict)
    behind: bool = False

    @property
    def is_fine(self) -> bool:
        """Whether it is being watched."""
        return self.state == "ok"


@dataclass(frozen=True, slots=True)
class Overview:
    """How the cameras stand as a whole; `age_s` that of the newest frame among those that are fine."""

    fine: int
    silent: int
    age_s: float | None


@dataclass(frozen=True, slots=True)
class Overload:
    """So many of an edge's cameras are looked at `fps` times a second, on average, instead of `due_fps`."""

    behind: int
    cameras: int
    fps: float
    due_fps: float


def camera_states(edges: Iterable[Edge], now: float, scope: Scope = EVERYWHERE) -> list[CameraState]:
    """Every camera reported that is in a scope, those not seen first."""
    states = [
        _state(edge, name, fields, now)
        for edge in edges
        for name, fields in reported(edge.health)
        if scope.sees(edge.site, name)
    ]
    return sorted(states, key=lambda camera: (camera.is_fine, natural(camera.site, camera.edge, camera.name)))


def told_of(cameras: Iterable[CameraState]) -> tuple[list[CameraState], int]:
    """Which cameras other systems are told of, a bounded number of each edge by name, and how many are left out."""
    by_edge: dict[EdgeId, list[CameraState]] = {}
    for camera in sorted(cameras, key=lambda camera: (camera.site, camera.edge, camera.name)):
        by_edge.setdefault((camera.site, camera.edge), []).append(camera)
    told = [camera for own in by_edge.values() for camera in own[:MOST_OF_AN_EDGE]]
    return told, sum(map(len, by_edge.values())) - len(told)


def by_place(cameras: Iterable[CameraState]) -> dict[tuple[str, str], str]:
    """What cameras are called, by site and name; where boxes of a site share one, by all that it stands for."""
    called: dict[tuple[str, str], set[str]] = {}
    for camera in cameras:
        called.setdefault((camera.site, camera.name), set()).add(camera.title)
    return {place: _together(found) for place, found in called.items()}


def by_name(titles: Mapping[tuple[str, str], str]) -> dict[str, str]:
    """What cameras are called by their name alone; where sites share one, by all that it stands for.

    Args:
        titles: By site and name.
    """
    called: dict[str, set[str]] = {}
    for (_, name), title in titles.items():
        called.setdefault(name, set()).add(title)
    return {name: _together(found) for name, found in called.items()}


def _together(titles: Iterable[str]) -> str:
    return " / ".join(sorted(titles, key=natural))


def overview(cameras: Iterable[CameraState]) -> Overview:
    """Sum up."""
    cameras = list(cameras)
    fine = [camera for camera in cameras if camera.is_fine]
    ages = [camera.age_s for camera in fine if camera.age_s is not None]
    return Overview(len(fine), len(cameras) - len(fine), min(ages, default=None))


def cameras_in(site: str, edge: str, report: Mapping[str, Any], at: float) -> list[CameraState]:
    """The cameras that a report tells of, which came at a time."""
    told = camera_states([Edge(site, edge, "online", at, dict(report), at, 0)], at)
    return [camera for camera in told if is_name(camera.name)]


def overload(cameras: Iterable[CameraState]) -> Overload | None:
    """What an edge can't keep up with among these cameras of it; `None` where it keeps up with all."""
    cameras = list(cameras)
    behind = [camera.figures for camera in cameras if camera.behind and camera.is_fine]
    if not behind:
        return None
    seen_to = sum(told.get("analysed_fps", 0.0) + told.get("passed_over_fps", 0.0) for told in behind)
    due = sum(told.get("due_fps", 0.0) for told in behind)
    return Overload(len(behind), len(cameras), seen_to / len(behind), due / len(behind))


def counter(edge: Edge, name: str) -> int:
    """A counter of an edge's health report; 0 when it says none."""
    return round(_number((edge.health or {}).get(name)) or 0)


def reported(health: Mapping[str, Any] | None) -> list[tuple[str, Mapping[str, Any]]]:
    """Name and fields of every camera that an edge's health report tells of; of very many, the first."""
    found = (health or {}).get("cameras")
    unnamed = found if isinstance(found, list) else []
    pairs = found.items() if isinstance(found, dict) else [(None, item) for item in unnamed]
    named = ((key or item.get("camera") or item.get("name"), item) for key, item in pairs if isinstance(item, dict))
    return list(islice(((str(name), item) for name, item in named if name), MOST_REPORTED))


def _state(edge: Edge, name: str, fields: Mapping[str, Any], now: float) -> CameraState:
    since_report = max(0.0, now - edge.health_at) if edge.health_at is not None else None
    age = _number(fields.get("age_s"))
    if age is not None:
        age = min(max(age, 0.0), now)  # calendars reach neither back for ever nor far ahead
    if edge.state == "offline":
        state = "edge_offline"
    elif since_report is None or since_report > QUIET_S:
        state = "edge_quiet"
    elif fields.get("state") == "ended":
        state = "ended"
    elif age is None or age > SILENT_S or fields.get("state", "ok") not in ("ok", "running"):
        state = "silent"
    else:
        state = "ok"
    return CameraState(
        edge.site,
        edge.edge,
        name,
        str(fields.get("title") or name),
        state,
        str(fields.get("reason") or ""),
        None if age is None or since_report is None else min(age + since_report, now),
        _number(fields.get("fps")),
        round(_number(fields.get("reconnects")) or 0),
        _trouble(fields.get("trouble")) if state == "silent" else "",
        {name: n for name in FIGURES if (n := _number(fields.get(name))) is not None and n >= 0},
        fields.get("behind") is True,
    )


def _trouble(value: object) -> str:
    return value if isinstance(value, str) and value in TROUBLES else ""


def _number(value: object) -> float | None:
    """A count or an age; beyond so much nothing is one."""
    return told_number(value, -1e12, 1e12)
