"""Who watches and who doesn't: signs of life enter; spans without a watch, edges' clocks and the hub's own state leave.

A gap has one of four causes, and at most one of each is open for a place at a time. It begins with the last sign of
life, not when its end was noticed, and ends with the next:

    hub      the hub itself was down: it leaves its time every ten seconds, and reads it when it starts
    broker   the hub ran, but heard of nobody; that edges come back after it belongs to it, too
    edge     an edge said, or its last will said, that it is gone; or no report of it came for two minutes
    camera   an edge reports that a camera brings no picture

The clock of an edge is measured against the hub's by its health reports. These are live: an edge keeps but the newest,
and brokers don't queue them, whatever alerts wait in its outbox. A report is under way for some time that isn't known,
which only ever makes the edge's clock look too slow. So of the last reports the quickest one tells the truth best:

    offset = max over the last 30 reports (about 5 minutes) of (time in the report - time of arrival)

which is off by no more than the quickest way through the network, milliseconds on the spot.
"""

from __future__ import annotations

import logging
import shutil
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, delete, select, update
from sqlalchemy.exc import SQLAlchemyError

from detector.clock import Clock
from detector.hub.background import Background, attempt
from detector.hub.edges.cameras import QUIET_S, SILENT_S, cameras_in
from detector.hub.storage.schema import edges, gaps, watched
from detector.hub.storage.store import Store
from detector.hub.storage.stored import is_time
from detector.hub.watch.configurations import Configurations
from detector.hub.watch.gaps import Gaps
from detector.values import DAY_S

logger = logging.getLogger(__name__)

HEARTBEAT_S = 10.0
HUB_DOWN_S = 20.0  # a hub that was away for less was merely restarted
DATABASE_DOWN_S = 60.0  # one that runs and couldn't write for less had a database that was merely slow
BROKER_LOST_S = 20.0
# A connection may have been dead for so long when the hub notices: two keep-alives of the ingest, and one look round.
UNNOTICED_S = 80.0
FLAPPING_S = 15.0  # a gap that begins so soon after the last one goes on with it
REPORTS = 30
KEPT_S = 400 * DAY_S
READY_FOR_S = 1.0  # so often at most is the database written to find out whether it can be

Place = tuple[str, str, str, str]  # what, site, edge, camera
BROKER: Place = ("broker", "", "", "")


@dataclass(frozen=True, slots=True)
class HubState:
    """How the hub itself stands: bytes on the disk of its data folder, seconds that it has run."""

    uptime_s: float
    disk_free: int
    disk_total: int
    connected: bool


class Health:
    """Keeps gaps and clocks. `report` and `status` come from the ingest, `look_round` from a thread of its own.

    Args:
        store: Where edges are kept.
        clock: Tells the time.
        data_dir: Whose disk is looked at.
        connected: Whether the broker is there.
        reserve_bytes: How much of the disk must stay free for the hub to call itself ready.

    Attributes:
        gaps: What is on record.
        down_from: When the hub was last there, database and all, before it was away for more than a restart takes.
        back_at: When it was there again.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        data_dir: Path,
        connected: Callable[[], bool] = lambda: True,
        reserve_bytes: int = 0,
    ) -> None:
        self._store = store
        self._database = store.database
        self.gaps = Gaps(store.database, clock)
        self._configurations = Configurations(store.database)
        self._clock = clock
        self._data_dir = data_dir
        self._connected = connected
        self._reserve_bytes = reserve_bytes
        self._lock = threading.RLock()
        self._asking = threading.Lock()
        self._open: dict[Place, float] = {}
        self._known: set[tuple[str, str, str]] = set()
        self._troubled: dict[tuple[str, str, str], float] = {}
        self._ways: defaultdict[tuple[str, str], deque[float]] = defaultdict(lambda: deque(maxlen=REPORTS))
        self._started_at = self._listening_since = clock.now()
        self._lost_since: float | None = None
        self._heard_at: float | None = None  # anything of any edge
        self._returned_at = float("-inf")  # the broker, after a gap
        self.down_from: float | None = None
        self.back_at = self._started_at
        self._ready_at = float("-inf")
        self._writable = False
        self._background = Background("health", self._run)

    # The hub's own thread

    def start(self) -> None:
        """Find out how long the hub was away, then look round every ten seconds."""
        self.begin()
        self._background.start()

    def stop(self, timeout_s: float = 3.0) -> None:
        """Leave the time, and end."""
        self._background.stop(timeout_s)

    def _run(self) -> None:
        while self._background.pause(HEARTBEAT_S):
            self._look_round()
        self._look_round()

    def _look_round(self) -> None:
        attempt(self.look_round, logger, "the hub could not look round")

    def begin(self) -> None:
        """Take up the open gaps, and put on record how long the hub was down."""
        now = self._clock.now()
        with self._lock, self._database.writing() as connection:
            self._started_at = self._listening_since = now
            connection.execute(delete(gaps).where(gaps.c.ended_at < now - KEPT_S))
            self._beat(connection, now, HUB_DOWN_S)
            rows = connection.execute(select(gaps).where(gaps.c.ended_at.is_(None)))
            self._open = {(row.what, row.site, row.edge, row.camera): row.began_at for row in rows}
            self._known = {tuple(row) for row in connection.execute(select(*list(watched.c)[:3]))}

    def look_round(self) -> None:
        """Leave the time; note whether the broker is away, and which edges have fallen silent."""
        now = self._clock.now()
        with self._lock:
            with self._database.writing() as connection:
                self._beat(connection, now)
            self._configurations.put_on_record(now, at_once=self._background.stopping)
            if self._background.stopping:
                return  # it is the hub that hears nobody any more
            self._look_at_broker(now)
            if self._lost_since is not None:
                return  # whom the hub can't hear it can't call silent
            for edge in self._store.edges.all():
                heard = max(filter(None, (edge.health_at, edge.state_at)), default=None)
                is_gone = edge.state == "offline" or heard is None
                if not is_gone and now - max(heard or 0.0, self._listening_since) > QUIET_S:
                    self._begin(("edge", edge.site, edge.edge, ""), heard or now)

    def _look_at_broker(self, now: float) -> None:
        if self._connected():
            self._take_back_broker(now)
            return
        if self._lost_since is None:
            heard_at = self._heard_at
            self._lost_since = heard_at if heard_at is not None and now - heard_at <= UNNOTICED_S else now
        if now - self._lost_since > BROKER_LOST_S:
            self._begin(BROKER, self._lost_since)

    def _take_back_broker(self, now: float) -> None:
        if BROKER in self._open:
            self._returned_at = now
            self._end(BROKER, now)
        elif self._lost_since is None:
            return
        self._lost_since, self._listening_since = None, now

    def _hear(self) -> None:
        """Something came of an edge, so that the broker is there, whether or not it has answered us by now."""
        self._heard_at = now = self._clock.now()
        self._take_back_broker(now)

    def _beat(self, connection: Connection, now: float, down_s: float = DATABASE_DOWN_S) -> None:
        """Leave the time; where it was left too long ago, whoever fell silent since may have spoken to nobody."""
        last = connection.execute(select(watched.c.until).where(*_is_watched("", "", ""))).scalar_one_or_none()
        if last is not None and now - last > down_s:
            connection.execute(gaps.insert(), {**_named(("hub", "", "", "")), "began_at": last, "ended_at": now})
            logger.warning("the hub, or its database, was down for %.0f s", now - last)
            self.down_from, self.back_at = last, now
            self._listening_since, self._lost_since, self._heard_at = now, None, None
        upsert = self._database.upsert(watched, ("site", "edge", "camera"), ["until"])
        until = max(now, last or now)  # later than now where the clock is years behind (`clock_ahead`)
        connection.execute(upsert, {"site": "", "edge": "", "camera": "", "since": now, "until": until})

    @property
    def started_at(self) -> float:
        """When the hub began, Unix seconds."""
        return self._started_at

    @property
    def listening_since(self) -> float | None:
        """From when on edges could be heard; `None` while there is no broker."""
        with self._lock:
            return None if self._lost_since is not None else self._listening_since

    @property
    def broker_lost_since(self) -> float | None:
        """From when on there is no broker; `None` while there is one."""
        with self._lock:
            return self._lost_since

    # What edges say

    def status(self, site: str, edge: str, state: str, at: float) -> None:
        """An edge said, or its last will said, `online` or `offline`; to be called before the store keeps it."""
        with self._lock:
            self._hear()
            self._meet(site, edge, [""], at)
            if state == "online":
                self._return(site, edge, at)
                return
            reported_at = self._reported_at(site, edge)
            # A last will comes some time after the edge was cut off: its last report tells better when that was.
            if reported_at is None or at - reported_at > 2 * SILENT_S + HEARTBEAT_S:
                reported_at = at
            # What the broker's gap tells already is not the edge's.
            self._begin(("edge", site, edge, ""), max(reported_at, self._returned_at))

    def report(self, site: str, edge: str, fields: Mapping[str, Any], at: float) -> None:
        """An edge's health report came: it is there, its clock can be read, and its cameras are told of."""
        cameras = cameras_in(site, edge, fields, at)
        self._configurations.note(site, edge, fields, at)
        with self._lock:
            self._hear()
            self._return(site, edge, at)
            self._read_clock(site, edge, fields.get("at_unix"), at)
            self._meet(site, edge, ["", *(camera.name for camera in cameras)], at)
            for camera in cameras:
                place = ("camera", site, edge, camera.name)
                if camera.state != "silent":
                    self._troubled.pop(place[1:], None)
                    self._end(place, at)
                    continue
                since = self._troubled.setdefault(place[1:], at)
                silent_s = camera.age_s if camera.age_s is not None and camera.age_s > SILENT_S else at - since
                if silent_s >= SILENT_S:
                    self._begin(place, at - silent_s)
            if cameras:  # one that was taken out of the edge's configuration isn't silent for ever
                names = {camera.name for camera in cameras}
                for place in [p for p in self._open if p[:3] == ("camera", site, edge) and p[3] not in names]:
                    self._end(place, at)

    def let_go(self, site: str, edge: str, at: float) -> None:
        """An edge was shut out: nobody misses it or its cameras any more."""
        with self._lock:
            for place in [p for p in self._open if p[1:3] == (site, edge)]:
                self._end(place, at)

    def _read_clock(self, site: str, edge: str, said: object, at: float) -> None:
        if not is_time(said):
            return
        ways = self._ways[site, edge]
        before = max(ways, default=None)
        ways.append(round(float(said) - at, 2))  # type: ignore[arg-type]
        offset = max(ways)
        if offset != before:
            upsert = self._database.upsert(edges, ("site", "edge"), ["clock_offset_s"])
            with self._database.writing() as connection:
                connection.execute(upsert, {"site": site, "edge": edge, "clock_offset_s": offset})

    def ahead_s(self, site: str, edge: str) -> float:
        """How far an edge's clock was ahead at its last reports, seconds; 0 where it isn't, or is not known."""
        with self._lock:
            if ways := self._ways.get((site, edge)):
                return max(0.0, *ways)
        query = select(edges.c.clock_offset_s).where(edges.c.site == site, edges.c.edge == edge)
        return max(0.0, self._database.read(query).scalar_one_or_none() or 0.0)

    def _return(self, site: str, edge: str, at: float) -> None:
        """An edge is there. One that comes back right after the broker was away with it, not by itself."""
        place, returned_at = ("edge", site, edge, ""), self._returned_at
        began_at = self._open.get(place)
        if began_at is None:
            return
        at = max(at, began_at)  # a word that the broker kept is older
        if not returned_at <= began_at <= at <= returned_at + FLAPPING_S:
            self._end(place, at)
            return
        broker = (*_is_gap(BROKER), gaps.c.ended_at >= returned_at, gaps.c.ended_at < at)
        with self._database.writing() as connection:
            connection.execute(delete(gaps).where(*_is_gap(place), gaps.c.ended_at.is_(None)))
            connection.execute(update(gaps).where(*broker).values(ended_at=at))
        del self._open[place]

    def _reported_at(self, site: str, edge: str) -> float | None:
        query = select(edges.c.health_at).where(edges.c.site == site, edges.c.edge == edge)
        return self._database.read(query).scalar_one_or_none()

    def _meet(self, site: str, edge: str, cameras: list[str], at: float) -> None:
        """Note since when an edge ("") and its cameras are watched: before that, nothing can be missing."""
        new = {(site, edge, camera) for camera in cameras} - self._known
        if not new:
            return
        rows = [{"site": site, "edge": edge, "camera": key[2], "since": at, "until": at} for key in sorted(new)]
        with self._database.writing() as connection:
            connection.execute(self._database.insert(watched).on_conflict_do_nothing(), rows)
        self._known |= new

    def _begin(self, place: Place, at: float) -> None:
        if place in self._open:
            return
        with self._database.writing() as connection:
            last = connection.execute(
                select(gaps).where(*_is_gap(place)).order_by(gaps.c.number.desc()).limit(1)
            ).one_or_none()
            if last is not None and (last.ended_at is None or at - last.ended_at < FLAPPING_S):
                connection.execute(update(gaps).where(gaps.c.number == last.number).values(ended_at=None))
                at = last.began_at
            else:
                connection.execute(gaps.insert(), {**_named(place), "began_at": at})
        self._open[place] = at

    def _end(self, place: Place, at: float) -> None:
        began_at = self._open.get(place)
        if began_at is None:
            return
        standing = (*_is_gap(place), gaps.c.ended_at.is_(None))
        with self._database.writing() as connection:
            connection.execute(update(gaps).where(*standing).values(ended_at=max(at, began_at)))
        del self._open[place]

    # How the hub itself stands

    def hub(self) -> HubState:
        """How the hub itself stands."""
        disk = shutil.disk_usage(self._data_dir)
        return HubState(self._clock.now() - self._started_at, disk.free, disk.total, self._connected())

    def ready(self) -> dict[str, bool]:
        """Whether the database can be written, the disk has room, and the broker is there.

        Pages are served without a broker, so that its absence is told but doesn't make the hub unready.
        """
        with self._asking:
            now = self._clock.now()
            if not 0.0 <= now - self._ready_at < READY_FOR_S:
                self._writable, self._ready_at = self._can_write(now), now
            hub = self.hub()
            has_room = hub.disk_free > self._reserve_bytes
            return {
                "ready": self._writable and has_room,
                "database": self._writable,
                "disk": has_room,
                "broker": hub.connected,
            }

    def _can_write(self, now: float) -> bool:
        try:
            with self._lock, self._database.writing() as connection:
                self._beat(connection, now)
        except SQLAlchemyError as error:
            logger.warning("the database can't be written: %s", getattr(error, "orig", error))
            return False
        return True


def _named(place: Place) -> dict[str, Any]:
    return dict(zip(("what", "site", "edge", "camera"), place, strict=True))


def _is_gap(place: Place) -> list[Any]:
    return [gaps.c[name] == value for name, value in _named(place).items()]


def _is_watched(site: str, edge: str, camera: str) -> list[Any]:
    return [watched.c.site == site, watched.c.edge == edge, watched.c.camera == camera]
