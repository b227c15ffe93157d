"""How the warehouse stands at one moment, read from the database for all who are told of it; and what is news.

News is an alert that has just begun, or just become more severe, and each is news once. It is told to who listens now:
what happened while nobody did is in the feed, not here, and neither is what a replay of recordings found.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from dataclasses import dataclass, field

from sqlalchemy import ColumnElement, and_, func, or_, select

from detector.hub.edges.cameras import CameraState, camera_states, counter, told_of
from detector.hub.edges.keys import EdgeKeys
from detector.hub.notices.pauses import Pause, Pauses
from detector.hub.storage.budget import ALERT, Budget, rank
from detector.hub.storage.cameras import Place
from detector.hub.storage.replays import is_replay
from detector.hub.storage.schema import incidents
from detector.hub.storage.store import Store
from detector.hub.storage.stored import CLEARED, UNHEARD_S, UNHEARD_TIMES, Edge, StoredIncident
from detector.hub.watch.health import Health
from detector.names import is_name
from detector.values import DAY_S, IncidentKind

# How long ago the last alert told of, and what goes on, may have begun; a camera's trouble lasts until it is mended.
LOOK_BACK_S = 7 * DAY_S
NEWS_S = 300.0  # what is older when it is found is no news
MOST_GOING_ON = 2000  # incidents at a time; of more the newest are told of
REMEMBERED = 5000


@dataclass(frozen=True, slots=True)
class CameraNow:
    """One camera: alerts and labels exposed (best estimate) of this shift, the last alert, what is going on now."""

    state: CameraState
    alerts: int = 0
    labels: int = 0
    last: StoredIncident | None = None
    going_on: tuple[StoredIncident, ...] = ()
    pause: Pause | None = None

    @property
    def place(self) -> Place:
        """Where it is."""
        return self.state.site, self.state.edge, self.state.name


@dataclass(frozen=True, slots=True)
class EdgeNow:
    """An edge box and its cameras; `is_there` where it reports."""

    site: str
    edge: str
    is_there: bool
    backlog: int
    version: str
    cameras: tuple[CameraNow, ...]

    @property
    def is_fine(self) -> bool:
        """Whether it and all its cameras are at work."""
        return self.is_there and all(camera.state.is_fine or camera.state.state == "ended" for camera in self.cameras)


@dataclass(frozen=True, slots=True)
class World:
    """All of it, at Unix seconds `at`; `left_out` counts cameras that are too many to be told of."""

    at: float
    edges: tuple[EdgeNow, ...] = ()
    alerts: int = 0
    labels: int = 0
    unjudged: int = 0
    is_connected: bool = True
    disk_free: int = 0
    news: tuple[StoredIncident, ...] = field(default=())
    left_out: int = 0

    @property
    def cameras(self) -> list[CameraNow]:
        """Of all edges."""
        return [camera for edge in self.edges for camera in edge.cameras]


class Observer:
    """Reads the world. One thread at a time may use it.

    Args:
        store: Has edges and incidents.
        health: Knows how the hub stands.
        keys: Know which edges were shut out, and are missed no more.
        pauses: Knows whose notices are held back.
        budget: Names shifts.
    """

    def __init__(self, store: Store, health: Health, keys: EdgeKeys, pauses: Pauses, budget: Budget) -> None:
        self._store, self._health, self._keys, self._pauses, self._budget = store, health, keys, pauses, budget
        self._seen: int | None = None
        self._told: OrderedDict[str, int] = OrderedDict()

    def listen(self, now: float) -> None:
        """From now on there is news; what happened before is none, and what goes on is when it grows more severe."""
        self._seen = self._store.last_change()
        c = incidents.c
        is_late = and_(c.started_at > now - 2 * UNHEARD_S, c.ended_at > now - UNHEARD_S)
        lately = select(c.id).where(or_(is_late, _goes_on(now)), c.told == ALERT)
        ids = list(self._store.database.read(lately.order_by(c.started_at.desc()).limit(REMEMBERED // 2)).scalars())
        for one in self._store.incidents(ids):
            self._remember(one)

    def read(self, now: float) -> World:
        """How everything stands, with what is news since the last time."""
        only_replaying = self._store.edges.only_replaying()
        edges = [edge for edge in self._store.edges.all() if is_name(edge.site) and is_name(edge.edge)]
        edges = [edge for edge in self._keys.in_service(edges) if (edge.site, edge.edge) not in only_replaying]
        states, left_out = told_of(state for state in camera_states(edges, now) if is_name(state.name))
        counted, unjudged = self._counted(now)
        last, going_on = self._last(states, now), self._going_on(now)
        paused = {(pause.site, pause.camera): pause for pause in self._pauses.all(now)}
        cameras: defaultdict[tuple[str, str], list[CameraNow]] = defaultdict(list)
        for state in states:
            place = state.site, state.edge, state.name
            n, labels = counted.get(place, (0, 0))
            pause = paused.get((state.site, state.name))
            cameras[state.site, state.edge].append(
                CameraNow(state, n, labels, last.get(place), tuple(going_on[place]), pause)
            )
        hub = self._health.hub()
        return World(
            now,
            tuple(_edge(edge, cameras[edge.site, edge.edge]) for edge in edges),
            sum(n for n, _ in counted.values()),
            sum(labels for _, labels in counted.values()),
            unjudged,
            hub.connected,
            hub.disk_free,
            tuple(self._news(now)),
            left_out,
        )

    def _counted(self, now: float) -> tuple[dict[Place, tuple[int, int]], int]:
        """Alerts and labels of this shift by camera, those judged to be none left out; how many wait to be judged."""
        c = incidents.c
        stands = or_(c.verdict.is_(None), c.verdict.not_in(CLEARED))
        columns = (c.site, c.edge, c.camera, func.count(), func.coalesce(func.sum(c.labels_best), 0))
        of_shift = (c.shift == self._budget.shift(now), c.told == ALERT, stands)
        waiting = select(func.count()).where(c.verdict.is_(None), c.told == ALERT, _is_live())
        with self._store.database.reading() as connection:
            rows = connection.execute(select(*columns).where(*of_shift).group_by(c.site, c.edge, c.camera)).all()
            unjudged = connection.execute(waiting).scalar_one()
        return {(row[0], row[1], row[2]): (int(row[3]), int(row[4])) for row in rows}, unjudged

    def _last(self, states: list[CameraState], now: float) -> dict[Place, StoredIncident]:
        """The last alert of each camera, of those that weren't judged to be none."""
        c = incidents.c
        stands = or_(c.verdict.is_(None), c.verdict.not_in(CLEARED))
        newest_first = (c.started_at.desc(), c.id.desc())
        ids: list[str] = []
        with self._store.database.reading() as connection:
            for state in states:  # each is found at once at the end of its camera's index
                own = (c.site == state.site, c.camera == state.name, c.started_at > now - LOOK_BACK_S, _is_live())
                query = select(c.id).where(*own, c.edge == state.edge, c.told == ALERT, stands)
                ids += connection.execute(query.order_by(*newest_first).limit(1)).scalars()
        return {_place(one): one for one in self._store.incidents(ids)}

    def _going_on(self, now: float) -> defaultdict[Place, list[StoredIncident]]:
        """What goes on at each camera, the newest first."""
        c = incidents.c
        query = select(c.id).where(_goes_on(now), _is_live())
        ids = list(self._store.database.read(query.order_by(c.started_at.desc()).limit(MOST_GOING_ON)).scalars())
        found: defaultdict[Place, list[StoredIncident]] = defaultdict(list)
        for one in self._store.incidents(ids):
            if one.verdict not in CLEARED:
                found[_place(one)].append(one)
        return found

    def _news(self, now: float) -> list[StoredIncident]:
        if self._seen is None:
            return []
        changed, is_all = self._store.changed_since(self._seen)
        if not changed and is_all:
            return []
        # Where more changed than is told at once, who listens has missed it; the states beside tell how things stand.
        self._seen = changed[-1][0] if is_all else self._store.last_change()
        news = []
        for one in self._store.incidents([incident for _, incident in changed]):
            if one.told == ALERT and one.verdict not in CLEARED and not is_replay(one.record):
                before = self._told.get(one.id, -1)
                if rank(one.severity) > before and one.ended_at > now - NEWS_S:
                    news.append(one)
                self._remember(one)
        return sorted(news, key=lambda one: (one.started_at, one.id))

    def _remember(self, one: StoredIncident) -> None:
        self._told[one.id] = max(rank(one.severity), self._told.get(one.id, -1))
        self._told.move_to_end(one.id)
        if len(self._told) > REMEMBERED:
            self._told.popitem(last=False)


def _goes_on(now: float) -> ColumnElement[bool]:
    """As `StoredIncident.goes_on`, of camera trouble and of what began within `LOOK_BACK_S`."""
    c = incidents.c
    begun = and_(c.started_at < now + 60, or_(c.started_at > now - LOOK_BACK_S, c.kind == IncidentKind.TAMPER.value))
    is_heard = or_(c.ended_at > now - UNHEARD_S, c.ended_at + UNHEARD_TIMES * (c.ended_at - c.started_at) > now)
    return and_(begun, is_heard, c.phase != "end")


def _is_live() -> ColumnElement[bool]:
    return incidents.c.replayed_at.is_(None)


def _place(incident: StoredIncident) -> Place:
    return incident.site, incident.edge, incident.camera


def _edge(edge: Edge, cameras: list[CameraNow]) -> EdgeNow:
    version = str((edge.health or {}).get("version") or "")
    is_there = edge.state == "online" and not any(one.state.state == "edge_quiet" for one in cameras)
    return EdgeNow(edge.site, edge.edge, is_there, counter(edge, "backlog"), version, tuple(cameras))
