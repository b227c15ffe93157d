"""What is wrong with the system itself, since when and until when: each thing one alarm, opened once.

    signs (what is wrong now) ─► judge ─► waits ─► open ─► over, by itself
                                                    └────► acknowledged by somebody

A *state* (an edge is silent, a disk is nearly full) is raised when it has lasted for a while, and is over when it has
been gone for a while, so that nothing flaps. A *loss* (alerts dropped, a store set aside) has happened and stays until
somebody has acknowledged it; what is lost later is a new alarm, told by how much is counted. All stands in the
database: an alarm outlives the hub.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from sqlalchemy import Connection, delete, func, select, update

from detector.hub.storage.database import Database, one_at_a_time
from detector.hub.storage.rights import EVERYWHERE, Scope
from detector.hub.storage.schema import alarms
from detector.values import DAY_S

KEPT_S = 400 * DAY_S
MOST_OPEN = 500  # a site of odd edges can't fill the page, or the database

Place = tuple[str, str, str, str]  # kind, site, edge, camera


@dataclass(frozen=True, slots=True)
class Kind:
    """How an alarm of a kind behaves.

    Attributes:
        severity: `critical` where alerts are being lost or nobody watches; `warning` where that may come.
        after_s: It must have lasted so long.
        calm_s: It must have been gone so long before it is over.
        is_loss: Stays until acknowledged, and counts.
        fades_s: A loss that is over by itself after so long all the same.
        heals: A loss that may turn out to be none: then it is over by itself, too.
        seen_in: Where it shows. In a box's `reports`, and so no longer once they stop; in the `silence` between them,
            as long as the hub could hear them; or in what the hub has in its own `books`, whoever is silent.
    """

    severity: str = "warning"
    after_s: float = 0.0
    calm_s: float = 60.0
    is_loss: bool = False
    fades_s: float | None = None
    heals: bool = False
    seen_in: Literal["reports", "silence", "books"] = "reports"


KINDS: Mapping[str, Kind] = {
    "edge_silent": Kind("critical", seen_in="silence"),
    "edge_unheard": Kind("critical", seen_in="silence"),
    "knocking": Kind("critical", calm_s=600.0, seen_in="books"),
    "flood": Kind(calm_s=600.0, seen_in="books"),
    "camera_silent": Kind(after_s=300.0),
    "backlog": Kind(),
    "clips_stuck": Kind(after_s=120.0),
    "dropped": Kind("critical", is_loss=True),
    "dropped_clips": Kind(is_loss=True),
    "dead": Kind(is_loss=True),
    "lost": Kind("critical", after_s=300.0, is_loss=True, heals=True, seen_in="books"),
    "edge_store": Kind("critical", is_loss=True),
    "edge_disk": Kind(after_s=60.0),
    "clock": Kind(after_s=60.0),
    "hub_key": Kind("critical", after_s=60.0),
    "certificate": Kind(),
    "safe_mode": Kind(),
    "overload": Kind(after_s=600.0, calm_s=300.0, seen_in="silence"),  # who is silent has nothing to do any more
    "hub_down": Kind(is_loss=True, fades_s=DAY_S),
    "hub_store": Kind("critical", is_loss=True),
    "hub_store_damaged": Kind("critical", calm_s=0.0),
    "hub_disk": Kind("critical", after_s=60.0),
    "hub_certificate": Kind(),
    "broker_lost": Kind("critical", after_s=60.0),
}

HEALING = [name for name, kind in KINDS.items() if kind.heals]


@dataclass(frozen=True, slots=True)
class Sign:
    """Something that is wrong now.

    Attributes:
        kind: One of `KINDS`.
        site: Where; empty for the hub itself.
        edge: Likewise.
        camera: Likewise.
        since: When it began, Unix seconds, as far as that is known.
        count: How much was ever lost, for losses.
        facts: Numbers and names that its text is made with.
    """

    kind: str
    site: str = ""
    edge: str = ""
    camera: str = ""
    since: float | None = None
    count: int = 0
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def place(self) -> Place:
        """What tells it from all others."""
        return self.kind, self.site, self.edge, self.camera


@dataclass(frozen=True, slots=True)
class Alarm:
    """An alarm; `ended_at` is `None` while it lasts. Times are the hub's, Unix seconds."""

    number: int
    kind: str
    site: str
    edge: str
    camera: str
    severity: str
    began_at: float
    raised_at: float
    seen_at: float
    ended_at: float | None
    acknowledged_by: str | None
    acknowledged_at: float | None
    counted: int
    facts: dict[str, Any]

    @property
    def is_open(self) -> bool:
        """Whether it still lasts."""
        return self.ended_at is None

    @property
    def is_loss(self) -> bool:
        """Whether it stays until it is acknowledged."""
        return kind_of(self.kind).is_loss

    @property
    def place(self) -> Place:
        """What tells it from all others."""
        return self.kind, self.site, self.edge, self.camera


class Alarms:
    """Keeps alarms. Safe to use from any thread; one of them judges.

    Args:
        database: Where they are kept.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._wrong_since: dict[Place, float] = {}

    def judge(
        self, signs: Iterable[Sign], now: float, is_unseen: Callable[[Place], bool] = lambda _place: False
    ) -> list[Alarm]:
        """Open what has lasted for long enough, close what is over; alarms that were opened or closed by that.

        Args:
            signs: All that is wrong now.
            now: Unix seconds.
            is_unseen: Whether nothing can be said of a place now: what is open there stays so.
        """
        with self._lock, self._database.writing() as connection:
            one_at_a_time(connection)
            standing = {alarm.place: alarm for alarm in _read(connection, alarms.c.ended_at.is_(None))}
            changed: list[Alarm] = []
            found: dict[Place, int] = {}
            for sign in signs:
                found[sign.place] = sign.count
                alarm = standing.get(sign.place)
                if alarm is not None:
                    self._see(connection, alarm, sign, now)
                elif len(standing) + len(changed) < MOST_OPEN and self._is_due(connection, sign, now):
                    changed.append(self._open(connection, sign, now))
            self._wrong_since = {place: at for place, at in self._wrong_since.items() if place in found}
            for place, alarm in standing.items():
                if place not in found and not is_unseen(place) and _is_over(alarm, now):
                    changed.append(_close(connection, alarm, max(alarm.seen_at, alarm.began_at)))
                elif alarm.is_loss and _has_faded(alarm, now):
                    changed.append(_close(connection, alarm, now))
            self._heal(connection, found, is_unseen)
            connection.execute(delete(alarms).where(alarms.c.ended_at < now - KEPT_S))
        return changed

    def _heal(self, connection: Connection, found: Mapping[Place, int], is_unseen: Callable[[Place], bool]) -> None:
        """Have people know of no more than is lost: what turned out to be none is news when as much is lost again."""
        c = alarms.c
        for alarm in _read(connection, c.kind.in_(HEALING), c.ended_at.is_not(None), c.counted > 0):
            count = found.get(alarm.place, 0)
            if count < alarm.counted and (alarm.place in found or not is_unseen(alarm.place)):
                connection.execute(update(alarms).where(c.number == alarm.number).values(counted=count))

    def note(self, sign: Sign, now: float) -> None:
        """Open an alarm at once, of something that has happened and is not seen again; one that is open counts up.

        Of what fades, each time is an alarm of its own: one that stands is over once it has happened again.
        """
        with self._lock, self._database.writing() as connection:
            one_at_a_time(connection)
            alarm = next(iter(_read(connection, *_at(sign.place), alarms.c.ended_at.is_(None))), None)
            if alarm is not None and _is_another(sign, alarm):
                _close(connection, alarm, now)
                alarm = None
            if alarm is not None:
                self._see(connection, alarm, sign, now)
            else:
                self._open(connection, sign, now)

    def _is_due(self, connection: Connection, sign: Sign, now: float) -> bool:
        kind = KINDS[sign.kind]
        if kind.is_loss and sign.count <= self._counted(connection, sign):
            return False
        since = self._wrong_since.setdefault(sign.place, now)
        return now - since >= kind.after_s

    def _counted(self, connection: Connection, sign: Sign) -> int:
        """How much of a loss people know of already."""
        last = next(iter(_read(connection, *_at(sign.place), limit=1)), None)
        return 0 if last is None else _known(last, sign.count)

    def _open(self, connection: Connection, sign: Sign, now: float) -> Alarm:
        before = self._counted(connection, sign) if KINDS[sign.kind].is_loss else 0
        since = sign.since if sign.since is not None else self._wrong_since.get(sign.place, now)
        began_at = min(max(since, 0.0), now)  # a box may tell of longer than any calendar reaches
        row = {
            "kind": sign.kind, "site": sign.site, "edge": sign.edge, "camera": sign.camera,
            "severity": KINDS[sign.kind].severity, "began_at": began_at, "raised_at": now, "seen_at": now,
            "counted": sign.count, "facts": _facts(sign, sign.count - before),
        }  # fmt: skip
        return _alarm(connection.execute(alarms.insert().returning(alarms), row).one())

    def _see(self, connection: Connection, alarm: Alarm, sign: Sign, now: float) -> None:
        """It lasts; what is told of it is brought up to date."""
        is_anew = sign.count < alarm.counted and not KINDS[sign.kind].heals
        n = alarm.facts.get("n", 0) + sign.count - (0 if is_anew else alarm.counted)
        facts = _facts(sign, n)
        values: dict[str, Any] = {"seen_at": now, "counted": sign.count}
        if facts != alarm.facts:
            values["facts"] = facts
        connection.execute(update(alarms).where(alarms.c.number == alarm.number).values(values))

    def acknowledge(self, connection: Connection, number: int, user: str, at: float, scope: Scope) -> Alarm | None:
        """Somebody has seen an alarm; a loss is over with that. `None` where there is none open in the scope."""
        one_at_a_time(connection)
        found = _read(connection, alarms.c.number == number, alarms.c.ended_at.is_(None))
        if not found or not is_seen(found[0], scope):
            return None
        values: dict[str, Any] = {"acknowledged_by": user, "acknowledged_at": at}
        if found[0].is_loss:
            values["ended_at"] = at
        connection.execute(update(alarms).where(alarms.c.number == number).values(values))
        return found[0]

    def open(self, scope: Scope = EVERYWHERE) -> list[Alarm]:
        """Alarms that last, those of the hub and of the places in a scope, worst first."""
        with self._database.reading() as connection:
            found = _read(connection, alarms.c.ended_at.is_(None))
        seen = [alarm for alarm in found if is_seen(alarm, scope)]
        return sorted(seen, key=lambda alarm: (alarm.severity != "critical", alarm.site, alarm.edge, -alarm.raised_at))

    def history(self, scope: Scope = EVERYWHERE, before: int | None = None, limit: int = 50) -> list[Alarm]:
        """Alarms that are over, the latest first."""
        place = [alarms.c.number < before] if before is not None else []
        with self._database.reading() as connection:
            found = _read(connection, alarms.c.ended_at.is_not(None), *place, limit=None if scope.places else limit)
        return [alarm for alarm in found if is_seen(alarm, scope)][:limit]

    def ended(self, numbers: Sequence[int]) -> list[Alarm]:
        """Those of these alarms that are over by themselves, which no loss is."""
        over = (
            alarms.c.ended_at.is_not(None),
            alarms.c.kind.not_in([name for name, one in KINDS.items() if one.is_loss]),
        )
        with self._database.reading() as connection:
            return _read(connection, alarms.c.number.in_(numbers), *over)

    def alarm(self, number: int) -> Alarm | None:
        """One of them."""
        with self._database.reading() as connection:
            return next(iter(_read(connection, alarms.c.number == number)), None)

    def acknowledged(self, losses: Mapping[Place, int]) -> dict[Place, Alarm]:
        """Those of losses that people know all of, each with the last alarm of it, which somebody acknowledged.

        Args:
            losses: How much was ever lost.
        """
        places = alarms.c.kind, alarms.c.site, alarms.c.edge, alarms.c.camera
        newest = select(func.max(alarms.c.number)).group_by(*places)
        with self._database.reading() as connection:
            last = {one.place: one for one in _read(connection, alarms.c.number.in_(newest))}
        return {
            place: alarm
            for place, count in losses.items()
            if (alarm := last.get(place)) is not None
            and alarm.acknowledged_at is not None
            and not alarm.is_open
            and count <= _known(alarm, count)
        }

    def counts(self, scope: Scope = EVERYWHERE) -> dict[str, int]:
        """How many last, by kind."""
        found = dict.fromkeys(KINDS, 0)
        for alarm in self.open(scope):
            found[alarm.kind] = found.get(alarm.kind, 0) + 1
        return found


def kind_of(name: str) -> Kind:
    """How alarms of a kind behave; those that this hub doesn't know, as most."""
    return KINDS.get(name, Kind())


def _facts(sign: Sign, n: int) -> dict[str, Any]:
    """What an alarm's text is made with; of a loss also how much is not known of yet, as `n`."""
    return {**sign.facts, "n": n} if KINDS[sign.kind].is_loss else dict(sign.facts)


def is_seen(alarm: Alarm, scope: Scope) -> bool:
    """Whether an alarm is somebody's: the hub's are everybody's, those of edges go with their site."""
    return not alarm.site or scope.sees(alarm.site, alarm.camera or None)


def _known(last: Alarm, count: int) -> int:
    """How much of a loss, which comes to `count` by now, people know of with its last alarm."""
    if count < last.counted:  # fewer than thought, or counted anew: the edge's store is another one
        return count if KINDS[last.kind].heals else 0
    return last.counted


def _is_over(alarm: Alarm, now: float) -> bool:
    kind = kind_of(alarm.kind)
    return (kind.heals or not kind.is_loss) and now - alarm.seen_at >= kind.calm_s


def _has_faded(alarm: Alarm, now: float) -> bool:
    fades_s = kind_of(alarm.kind).fades_s
    return fades_s is not None and now - alarm.raised_at >= fades_s


def _is_another(sign: Sign, alarm: Alarm) -> bool:
    """Whether what fades has happened again since an alarm of it was raised."""
    return KINDS[sign.kind].fades_s is not None and sign.since is not None and sign.since > alarm.raised_at


def _close(connection: Connection, alarm: Alarm, at: float) -> Alarm:
    closed = update(alarms).where(alarms.c.number == alarm.number).values(ended_at=at).returning(alarms)
    return _alarm(connection.execute(closed).one())


def _at(place: Place) -> list[Any]:
    c = alarms.c
    return [column == value for column, value in zip((c.kind, c.site, c.edge, c.camera), place, strict=True)]


def _read(connection: Connection, *clauses: Any, limit: int | None = None) -> list[Alarm]:
    query = select(alarms).where(*clauses).order_by(alarms.c.number.desc()).limit(limit)
    return [_alarm(row) for row in connection.execute(query)]


def _alarm(row: Any) -> Alarm:
    return Alarm(**row._mapping)
