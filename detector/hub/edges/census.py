"""What lay in storage zones: counts of edges come in; the newest, and each minute of some weeks, go out.

A minute keeps the last count that came in it, with all that came and was turned in its course.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import delete, func, select

from detector.census import MOST_TURNS, Census, ZoneCensus
from detector.errors import WireError
from detector.hub.edges.zones import MOST_CAMERAS
from detector.hub.storage.arrivals import AHEAD_S
from detector.hub.storage.cameras import Place, of_camera
from detector.hub.storage.database import Database
from detector.hub.storage.rights import EVERYWHERE, Scope
from detector.hub.storage.schema import census, census_now
from detector.values import DAY_S

KEPT_S = 35 * DAY_S
MINUTE_S = 60.0
MOST_CAME = 100_000  # as `detector.census` has it


@dataclass(frozen=True, slots=True)
class Minute:
    """One minute of a zone, `at` its last count (Unix seconds)."""

    at: float
    zone: ZoneCensus


class Censuses:
    """Counts of all cameras. Any thread may call it; what writes has committed on return."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def keep(self, site: str, edge: str, told: Census, now: float) -> bool:
        """Keep a count that is newer than the one held; tells whether it is.

        One from the future, held while our own clock was ahead, gives way to any.

        Args:
            site: Of the edge.
            edge: That told it.
            told: What.
            now: Unix seconds.

        Raises:
            WireError: It is from the future, or too old to be kept, or the edge has too many cameras.
        """
        if not now - KEPT_S <= told.at <= now + AHEAD_S:
            raise WireError("census: its time is too far from now")
        c, key = census_now.c, {"site": site, "edge": edge, "camera": told.camera}
        values = {"at": told.at, "fields": told.model_dump(mode="json")}
        is_news = (c.at < told.at) | (c.at > now + AHEAD_S)
        upsert = self._database.upsert(census_now, key, values, where=is_news)
        others = select(func.count()).where(c.site == site, c.edge == edge, c.camera != told.camera)
        with self._database.writing() as connection:
            if connection.execute(others).scalar_one() >= MOST_CAMERAS:
                raise WireError(f"census: of more than {MOST_CAMERAS} cameras")
            if connection.execute(upsert.returning(c.at), {**key, **values}).first() is None:
                return False
            minute = {**key, "minute": int(told.at // MINUTE_S)}
            of_minute = [census.c[name] == value for name, value in minute.items()]
            so_far = {
                zone: ZoneCensus.model_validate(fields)
                for zone, fields in connection.execute(select(census.c.zone, census.c.fields).where(*of_minute))
            }
            rows = [
                _added(so_far.get(zone.zone), zone).model_dump(mode="json", exclude={"slots"}) for zone in told.zones
            ]
            if rows:
                by_zone = {row["zone"]: {**minute, "zone": row["zone"], "at": told.at, "fields": row} for row in rows}
                upsert = self._database.upsert(census, (*minute, "zone"), ("at", "fields"))
                connection.execute(upsert, list(by_zone.values()))
        return True

    def now(self, place: Place, scope: Scope = EVERYWHERE) -> Census | None:
        """The newest count of a camera, with each parcel."""
        c = census_now.c
        query = select(c.fields).where(*of_camera(census_now, place), *scope.clauses(c.site, c.camera))
        fields = self._database.read(query).scalar_one_or_none()
        return Census.model_validate(fields) if fields is not None else None

    def minutes(self, place: Place, since: float, until: float, scope: Scope = EVERYWHERE) -> dict[str, list[Minute]]:
        """Minutes of a camera's zones from `since`, before `until` (Unix seconds), in order of time, by zone."""
        c = census.c
        query = select(c.at, c.zone, c.fields).where(
            *of_camera(census, place), *scope.clauses(c.site, c.camera),
            c.minute >= int(since // MINUTE_S), c.minute < int(until // MINUTE_S),
        )  # fmt: skip
        found: dict[str, list[Minute]] = {}
        with self._database.reading() as connection:
            for at, zone, fields in connection.execute(query.order_by(c.minute, c.zone)):
                found.setdefault(zone, []).append(Minute(at, ZoneCensus.model_validate(fields)))
        return found

    def prune(self, now: float) -> None:
        """Forget what is older than it is kept."""
        with self._database.writing() as connection:
            connection.execute(delete(census).where(census.c.minute < int((now - KEPT_S) // MINUTE_S)))
            connection.execute(delete(census_now).where(census_now.c.at < now - KEPT_S))


def _added(before: ZoneCensus | None, told: ZoneCensus) -> ZoneCensus:
    """A count, with what came and was turned earlier in its minute."""
    if before is None:
        return told
    return told.model_copy(
        update={
            "came_up": min(before.came_up + told.came_up, MOST_CAME),
            "came_not_up": min(before.came_not_up + told.came_not_up, MOST_CAME),
            "turns": (*before.turns, *told.turns)[-MOST_TURNS:],
        }
    )
