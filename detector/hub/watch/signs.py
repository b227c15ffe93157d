"""What is wrong with the system at this moment: reports of edges and the hub's own state enter, signs leave.

A threshold is let go of only well beyond where it was met: `standing` names what is an alarm already.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from detector.config import AlarmsConfig
from detector.hub.edges.cameras import QUIET_S, CameraState, camera_states, overload
from detector.hub.edges.knocks import OTHER, REVOKED, Knock
from detector.hub.storage.rights import EVERYWHERE
from detector.hub.storage.stored import Edge, told_number
from detector.hub.watch.alarms import Place, Sign
from detector.hub.watch.floods import Flood
from detector.hub.watch.gaps import Unheard
from detector.hub.watch.health import HubState
from detector.values import DAY_S

LESS_BACKLOG = 0.5  # shares of the thresholds at which an alarm is over
LESS_CLOCK = 0.5
MORE_DISK = 1.4
FLOOD = 60  # critical incidents of one box within an hour; gangs have managed half as many
LESS_FLOOD = 0.5
FIRST_WORD_S = 30 * 60.0  # whoever installs a box has it join, and still writes its configuration before it runs
KNOCKING_S = 120.0  # who is refused comes again every few seconds
CERTIFICATE_S = 60 * DAY_S  # so long before it ends somebody is told
REASONS = ("rows", "bytes", "age", "disk")
MOST_TITLE = 100
LOSSES = {"dropped": "dropped", "dropped_clips": "dropped_clips", "dead": "dead", "edge_store": "set_aside"}
"""Kinds of alarm by which an edge's losses are told, each with the counter in its report."""


@dataclass(frozen=True, slots=True)
class HubNow:
    """How the hub itself stands.

    Attributes:
        state: Its disk and broker.
        listening_since: From when on edges could be heard, Unix seconds; `None` while there is no broker.
        broker_lost_since: From when on there is none.
        reserve_bytes: Below so much free on the disk footage goes early.
        damage: What is wrong with the database; empty where nothing is known to be.
        key: The hub's public key, base64.
        certificate_ends_at: When the first certificate ends that it, or the broker that it serves, needs.
    """

    state: HubState
    listening_since: float | None
    broker_lost_since: float | None = None
    reserve_bytes: int = 0
    damage: str = ""
    key: str = ""
    certificate_ends_at: float | None = None


def signs(
    edges: Iterable[Edge],
    hub: HubNow,
    config: AlarmsConfig,
    now: float,
    standing: Collection[Place] = (),
    knocks: Iterable[Knock] = (),
    floods: Iterable[Flood] = (),
    only_replaying: Collection[tuple[str, str]] = (),
    unheard: Callable[[str, str, float], Unheard] = lambda *_: Unheard(),
) -> list[Sign]:
    """All that is wrong now.

    Args:
        edges: Those in service, with their last reports.
        hub: The hub itself.
        config: Thresholds.
        now: Unix seconds.
        standing: What is an alarm already.
        knocks: Boxes that were refused for their key.
        floods: How many critical incidents boxes in service told within the hour.
        only_replaying: Site and name of those that publish replays and watch nothing: none waits for their first word.
        unheard: Asked by site and name of a box, and from when on, when the hub could not hear it.
    """
    edges = list(edges)
    found = list(_of_hub(hub, config, now, standing))
    cameras = camera_states(edges, now, EVERYWHERE)
    for edge in edges:
        if (edge.site, edge.edge) in only_replaying:
            pass  # it watches nothing
        elif hub.listening_since is not None and (silent := _silence(edge, hub.listening_since, config, now)):
            found.append(silent)
        elif is_fresh(edge, now):
            found += _of_edge(edge, config, now, standing, unheard)
            found += _of_trust(edge, hub.key, now)
            found += _of_cameras(edge, cameras, now)
        found += _of_losses(edge)
    found += _of_knocks(knocks, now)
    found += _of_floods(floods, standing)
    return found


def is_fresh(edge: Edge, now: float) -> bool:
    """Whether an edge's last report tells how it stands now."""
    return edge.state != "offline" and edge.health_at is not None and now - edge.health_at <= QUIET_S


def _of_hub(hub: HubNow, config: AlarmsConfig, now: float, standing: Collection[Place]) -> Iterator[Sign]:
    if hub.broker_lost_since is not None:
        yield Sign("broker_lost", since=hub.broker_lost_since)
    if hub.damage:
        yield Sign("hub_store_damaged", facts={"what": hub.damage[:200]})
    least = max(config.disk_percent / 100 * hub.state.disk_total, hub.reserve_bytes / 2)
    if hub.state.disk_free < least * _more("hub_disk", "", "", standing):
        yield Sign("hub_disk", facts=_disk(hub.state.disk_free, hub.state.disk_total))
    if hub.certificate_ends_at is not None and hub.certificate_ends_at - now < CERTIFICATE_S:
        yield Sign("hub_certificate", facts={"to": hub.certificate_ends_at})


def _silence(edge: Edge, listening_since: float, config: AlarmsConfig, now: float) -> Sign | None:
    """Whether a box says nothing: any more, or at all since it was let in."""
    words = [at for at in (edge.health_at, edge.state_at) if at is not None]
    heard = edge.health_at
    if edge.state == "online" or heard is None:
        heard = max(words, default=None)
    limit_s = 60 * config.edge_silent_min
    if edge.joined_at is not None and max(words, default=0.0) < edge.joined_at:
        found = Sign("edge_unheard", edge.site, edge.edge, since=edge.joined_at)
        limit_s = max(limit_s, FIRST_WORD_S)
    elif heard is not None:
        found = Sign("edge_silent", edge.site, edge.edge, since=heard)
    else:
        return None
    return found if now - max(found.since or 0.0, listening_since) >= limit_s else None


def _of_edge(
    edge: Edge, config: AlarmsConfig, now: float, standing: Collection[Place],
    unheard: Callable[[str, str, float], Unheard],
) -> Iterator[Sign]:  # fmt: skip
    told = edge.health or {}
    place = edge.site, edge.edge
    oldest_s, backlog = _number(told.get("oldest_s")), _number(told.get("backlog"))
    limit_s = 60 * config.backlog_min * (LESS_BACKLOG if ("backlog", *place, "") in standing else 1)
    if oldest_s > limit_s and backlog:
        held: dict[str, Any] = {"backlog": round(backlog), "oldest_s": oldest_s}
        oldest_at = max(0.0, now - oldest_s)
        if _number(told.get("owed")):
            held["way"] = "owed"
        elif unheard(*place, oldest_at).holds(oldest_at):
            held |= {"way": "catching_up", "from": oldest_at}
        yield Sign("backlog", *place, since=now - oldest_s, facts=held)
    stuck = told.get("clips_stuck")
    stuck, clips = stuck if isinstance(stuck, dict) else {}, _number(told.get("clips"))
    if (stuck_s := _number(stuck.get("s"))) > 60 * config.backlog_min and clips:
        facts = {"n": round(clips), "oldest_s": stuck_s, "way": str(stuck.get("way"))[:20]}
        yield Sign("clips_stuck", *place, since=now - stuck_s, facts=facts)
    free, total = told.get("disk_free"), _number(told.get("disk_total"))
    least = config.disk_percent / 100 * total * _more("edge_disk", *place, standing)
    if total and isinstance(free, int | float) and _number(free) < least:
        yield Sign("edge_disk", *place, facts=_disk(_number(free), total))
    offset = edge.clock_offset_s or 0.0
    is_standing = ("clock", *place, "") in standing
    # On a full link reports are under way as long as alerts are, and a clock looks the slower for it (`health`).
    may_be_the_way = bool(backlog) and 0 < -offset < oldest_s and not is_standing
    if abs(offset) > config.clock_s * (LESS_CLOCK if is_standing else 1) and not may_be_the_way:
        yield Sign("clock", *place, facts={"offset_s": round(offset, 1)})
    in_force = told.get("config")
    if isinstance(in_force, dict) and in_force.get("state") == "last_good":
        yield Sign("safe_mode", *place)


def _of_trust(edge: Edge, key: str, now: float) -> Iterator[Sign]:
    """Whether an edge takes this hub for its own, and will go on being let in by the broker."""
    told = edge.health or {}
    known = told.get("hub_key")
    if key and told.get("refused_words") and known != key:
        yield Sign("hub_key", edge.site, edge.edge, facts={"known": str(known or "")[:8], "own": key[:8]})
    ends_at = _number(told.get("certificate_ends_at_unix"))
    if ends_at and ends_at - now < CERTIFICATE_S:
        yield Sign("certificate", edge.site, edge.edge, facts={"to": ends_at})


def _of_cameras(edge: Edge, cameras: Iterable[CameraState], now: float) -> Iterator[Sign]:
    own = [camera for camera in cameras if (camera.site, camera.edge) == (edge.site, edge.edge)]
    if too_much := overload(own):
        yield Sign("overload", edge.site, edge.edge, facts={"n": too_much.behind, "of": too_much.cameras})
    for camera in own:
        if camera.state == "silent":
            since = now - camera.age_s if camera.age_s is not None else None
            facts = {"title": camera.title[:MOST_TITLE], "trouble": camera.trouble}
            yield Sign("camera_silent", edge.site, edge.edge, camera.name[:MOST_TITLE], since=since, facts=facts)


def _of_knocks(knocks: Iterable[Knock], now: float) -> Iterator[Sign]:
    """Boxes that speak in the name of one that has another key, or was shut out; a new box that waits is no alarm."""
    since: dict[tuple[str, str], float] = {}
    for knock in knocks:
        if knock.reason in (OTHER, REVOKED) and now - knock.last_at <= KNOCKING_S:
            place = knock.site, knock.edge
            since[place] = min(knock.first_at, since.get(place, now))
    for (site, edge), first_at in since.items():
        yield Sign("knocking", site, edge, since=first_at)


def _of_floods(floods: Iterable[Flood], standing: Collection[Place]) -> Iterator[Sign]:
    """Boxes that tell more critical incidents than happen."""
    for flood in floods:
        if flood.count >= FLOOD * (LESS_FLOOD if ("flood", flood.site, flood.edge, "") in standing else 1):
            yield Sign("flood", flood.site, flood.edge, facts={"n": flood.count})


def _of_losses(edge: Edge) -> Iterator[Sign]:
    """What an edge says that it lost; whether that is news, the keeper knows."""
    told = edge.health or {}
    place = edge.site, edge.edge
    by = told.get("dropped_by")
    of_kind = {"dropped": by.get("alert"), "dropped_clips": by.get("clip")} if isinstance(by, dict) else {}
    for kind, name in LOSSES.items():
        if count := round(_number(told.get(name))):
            yield Sign(kind, *place, count=count, facts=_reasons(of_kind.get(kind)))
    if edge.lost:
        yield Sign("lost", *place, count=edge.lost)


def _reasons(by: object) -> dict[str, Any]:
    """How many went for which reason, and how many of them were critical."""
    if not isinstance(by, dict):
        return {}
    counts = {
        reason: {name: round(_number(n)) for name, n in told.items() if name in ("info", "warning", "critical")}
        for reason in REASONS
        if isinstance(told := by.get(reason), dict)
    }
    return {"by": {reason: sum(told.values()) for reason, told in counts.items()},
            "critical": sum(told.get("critical", 0) for told in counts.values())}  # fmt: skip


def _more(kind: str, site: str, edge: str, standing: Collection[Place]) -> float:
    return MORE_DISK if (kind, site, edge, "") in standing else 1.0


def _disk(free: float, total: float) -> dict[str, Any]:
    return {"free_gb": round(free / 1e9, 1), "percent": round(100 * free / total, 1) if total else 0.0}


def _number(value: object) -> float:
    """A count or a size as an edge told it; nought where it is none."""
    return told_number(value, 0.0) or 0.0
