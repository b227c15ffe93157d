"""How long footage is kept: by verdict and kind, until the disk runs short, and never while somebody needs it.

    what nobody judged and what is held, in a case or by a legal hold, is kept
    the rest is announced some days ahead, and then deleted: clips, side files, copies, pictures; the incident stays

Clips that no alert ever told of go, too, days after the last of them came, as films of walk tests do: edges send a clip
after its alert, and keep an alert for `LONGEST_WAY_S` at most. Notes (severity `info`), which nobody is asked to judge,
have a time of their own. Days count from an incident's end, and no earlier than from two months before its footage
came, since the clock of its box may have been years behind; what a replay of recordings brought, from when it came,
since somebody wanted to look at it. A double goes together with what is shown in its stead, unless somebody who sees
its camera alone judged it true: then by its own time. When the disk runs short, judged footage goes before its time,
false alarms first and the oldest of them first, and what was judged true only of the box with the most that nobody
judged (`footage.shares`); that leaves a line in the audit log as every deletion does.

The database forgets first and the files go then: after a crash between the two, the files that are left are known.
"""

from __future__ import annotations

import logging
import shutil
from bisect import bisect_right
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Select,
    and_,
    case,
    delete,
    false,
    func,
    literal,
    or_,
    select,
    true,
    tuple_,
    union_all,
    update,
)

from detector.config import KeptAs, RetentionConfig
from detector.hub.access.audit import Audit
from detector.hub.evidence.cases import kept
from detector.hub.footage.shares import pressing
from detector.hub.storage.audit_chain import SYSTEM
from detector.hub.storage.budget import DOUBLE
from detector.hub.storage.changes import note_changes
from detector.hub.storage.database import Database, one_at_a_time
from detector.hub.storage.rights import EVERYWHERE, Scope
from detector.hub.storage.schema import (
    alerts,
    clip_formats,
    clips,
    derived,
    doomed,
    incidents,
    retention,
    sides,
    snapshots,
    verdicts,
)
from detector.hub.storage.stored import EdgeId
from detector.values import DAY_S

logger = logging.getLogger(__name__)

GB = 1e9
BATCH = 200
ANNOUNCED_AT_ONCE = 1000  # for so long others wait to write
# An edge keeps nothing for longer before it is here (`buffers`): what names an earlier time was told by a wrong clock.
LONGEST_WAY_S = 62 * DAY_S
NOTE: KeptAs = "note"
VERDICTS: dict[KeptAs, str] = {
    "false_alarm": "false", "authorised": "authorised", "unclear": "unclear", "true_alarm": "true",
}  # fmt: skip
NO_ALERT = "no_alert"
# What goes first when the disk runs short. What nobody judged isn't on it.
FIRST_TO_GO = tuple(VERDICTS.values())
FOOTAGE = (clips, sides, derived, clip_formats, snapshots)  # what is deleted of an incident


@dataclass(frozen=True, slots=True)
class Due:
    """Footage that will go: by which rule (a key of the configuration), when, and how much it is."""

    incident: str
    site: str
    camera: str
    kind: str
    started_at: float
    rule: str
    announced_at: float
    due_at: float
    bytes: int


@dataclass(frozen=True, slots=True)
class Gone:
    """Footage that was deleted; `why` is `age` or `space`."""

    incident: str
    deleted_at: float
    why: str
    rule: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Space:
    """The disk that clips lie on, bytes."""

    total: int
    free: int
    clips: int
    reserve: int

    @property
    def is_short(self) -> bool:
        """Whether less than the reserve is free."""
        return self.free < self.reserve


class Retention:
    """Announces, deletes, and tells what it will do and did.

    Args:
        database: Of the hub.
        folder: Of clips.
        config: How long what is kept.
        audit: Is told of every deletion.
        disk_usage: Of the disk under a folder: total, used, free bytes.
        waiting: Boxes that are asked to wait with so many bytes while the disk is short.
    """

    def __init__(
        self,
        database: Database,
        folder: Path,
        config: RetentionConfig,
        audit: Audit,
        disk_usage: Callable[[Path], tuple[int, int, int]] = shutil.disk_usage,
        waiting: Callable[[], Mapping[EdgeId, int]] = dict,
    ) -> None:
        self._database = database
        self._folder = folder
        self._config = config
        self._audit = audit
        self._disk_usage = disk_usage
        self._waiting = waiting

    def run(self, now: float) -> int:
        """Announce, delete what is due, make room where it is short; returns how many incidents lost their footage."""
        self._withdraw(now)
        self._announce(now)
        count = 0
        while ids := self._overdue(now):
            count += self._delete(ids, now, "age")
        removed = self._remove_files()
        # A disk that lets nothing be deleted gains no room by what is forgotten.
        while removed and (ids := self._in_the_way()):
            count += self._delete(ids, now, "space")
            removed = self._remove_files()
        return count

    def space(self) -> Space:
        """How the disk stands."""
        total, _, free = self._disk_usage(self._folder)
        held = self._database.read(select(func.coalesce(func.sum(clips.c.size), 0))).scalar_one()
        return Space(total, free, int(held), round(self._config.reserve_gb * GB))

    def announced(self, limit: int = 50, scope: Scope = EVERYWHERE) -> list[Due]:
        """What will be deleted, the soonest first. What is held or judged anew meanwhile is not among it."""
        r = retention.c
        found = []
        with self._database.reading() as connection:
            for aged, warned, announced, of in self._announced(scope):
                due_at = case((aged > warned, aged), else_=warned)
                columns = (r.incident, of.site, of.camera, of.kind, of.started_at, r.rule, r.announced_at)
                query = announced.add_columns(*columns, due_at.label("due_at"), _size_of(r.incident).label("bytes"))
                query = query.order_by(due_at, r.incident)
                found += [Due(**row._mapping) for row in connection.execute(query.limit(limit))]
        return sorted(found, key=lambda due: (due.due_at, due.incident))[:limit]

    def ahead(self, ends: Sequence[float], scope: Scope = EVERYWHERE) -> list[tuple[int, int]]:
        """How much will be deleted up to each of some times, from the one before it on, and at last after all of them.

        Args:
            ends: Unix seconds, ascending.
            scope: What is outside it isn't counted.

        Returns:
            Incidents and bytes.
        """
        counts, sizes = [0] * (len(ends) + 1), [0] * (len(ends) + 1)
        with self._database.reading() as connection:
            for aged_at, warned_at, announced, _ in self._announced(scope):
                query = announced.add_columns(aged_at, warned_at, _size_of(retention.c.incident))
                # Compared here: in a statement, the times of clips are looked up once more for each comparison.
                for aged, warned, size in connection.execute(query):
                    n = bisect_right(ends, max(aged, warned))
                    counts[n] += 1
                    sizes[n] += size
        return list(zip(counts, sizes, strict=True))

    def _announced(self, scope: Scope) -> Iterator[tuple[ColumnElement[float], ColumnElement[float], Select[Any], Any]]:
        """By each rule, for what it announced: when it is old enough, when it was announced for long enough, a query
        without columns, and what tells its place. It is due when both are so."""
        i, r, lost = incidents.c, retention.c, _lost()
        warned = r.announced_at + self._config.warn_days * DAY_S
        rules: list[tuple[str, FromClause, ColumnElement[bool], ColumnElement[float]]]
        rules = [(rule, incidents, and_(i.id == r.incident, condition, ~_kept()), _aged_from() + days * DAY_S)
                 for rule, condition, days in self._rules()]  # fmt: skip
        if (days := self._config.no_alert) is not None:
            rules.append((NO_ALERT, lost, lost.c.incident == r.incident, lost.c.came_at + days * DAY_S))
        for rule, table, condition, aged in rules:
            # Its own rule first: of thousands that were announced, each is looked up for one rule then.
            of_rule = select().select_from(retention).where(_is_announced(), r.rule == rule)
            announced = of_rule.join(table, condition).where(*scope.clauses(table.c.site, table.c.camera))
            yield aged, warned, announced, table.c

    def gone(self, limit: int = 50, scope: Scope = EVERYWHERE) -> list[Gone]:
        """What was deleted last."""
        i, r = incidents.c, retention.c
        query = select(r.incident, r.deleted_at, r.why, r.rule, r.bytes)
        query = query.outerjoin(incidents, i.id == r.incident)  # whose place nobody told is for who sees everywhere
        query = query.where(r.deleted_at.is_not(None), *scope.clauses(i.site, i.camera))
        with self._database.reading() as connection:
            rows = connection.execute(query.order_by(r.deleted_at.desc(), r.incident).limit(limit))
            return [Gone(**row._mapping) for row in rows]

    def of(self, incident: str) -> Gone | None:
        """What was deleted last of an incident's footage; `None` while all of it is kept."""
        r = retention.c
        query = select(r.incident, r.deleted_at, r.why, r.rule, r.bytes).where(
            r.incident == incident, r.deleted_at.is_not(None)
        )
        row = self._database.read(query).one_or_none()
        return Gone(**row._mapping) if row else None

    def lets_go_of(self, incident: str) -> bool:
        """Whether footage of an incident was deleted, or is announced to be: a replay doesn't bring it back."""
        query = select(retention.c.incident).where(retention.c.incident == incident)
        return self._database.read(query).first() is not None

    def _rules(self) -> list[tuple[str, ColumnElement[bool], float]]:
        """Name, condition and days of every rule that ever lets footage go."""
        i = incidents.c
        conditions: dict[KeptAs, ColumnElement[bool]]
        conditions = {rule: and_(i.verdict == of, _goes_by_itself()) for rule, of in VERDICTS.items()}
        # The word that one is over may be lost with its box: by age alone, then.
        conditions[NOTE] = and_(i.verdict.is_(None), i.severity == "info", i.told != DOUBLE)
        rules: list[tuple[str, ColumnElement[bool], int | None]] = []
        for rule, condition in conditions.items():
            others = {kind: days[rule] for kind, days in self._config.by_kind.items() if rule in days}
            rules += [(rule, and_(condition, i.kind == kind), days) for kind, days in others.items()]
            rules.append((rule, and_(condition, i.kind.not_in(list(others))), getattr(self._config, rule)))
        return [(rule, condition, days) for rule, condition, days in rules if days is not None]

    def _withdraw(self, now: float) -> None:
        """What was judged anew, or is held now, is announced anew when its time comes."""
        i = incidents.c
        soon = or_(
            *(
                and_(retention.c.rule == rule, condition, _is_due(now, days - self._config.warn_days))
                for rule, condition, days in self._rules()
            )
        )
        standing = select(i.id).where(i.id == retention.c.incident, soon, ~_kept()).exists()
        lost = and_(retention.c.rule == NO_ALERT, retention.c.incident.in_(self._lost_for(now, self._config.warn_days)))
        with self._database.writing() as connection:
            withdrawn, deleted_at = (_is_announced(), ~standing, ~lost), retention.c.deleted_at
            connection.execute(delete(retention).where(deleted_at.is_(None), *withdrawn))
            # Where that came late, what went before stays on record.
            late = update(retention).where(deleted_at.is_not(None), *withdrawn)
            connection.execute(late.values(announced_at=deleted_at))

    def _announce(self, now: float) -> None:
        # What comes after the footage of its incident was deleted is announced as that was.
        told = select(retention.c.incident).where(_is_announced())
        i = incidents.c
        for rule, condition, days in self._rules():
            is_told = told.where(retention.c.incident == i.id).exists()
            soon = and_(condition, _is_due(now, days - self._config.warn_days), ~is_told, ~_kept())
            self._announce_by(rule, select(i.id.label("incident")).where(soon), _has_footage(), now)
        lost = self._lost_for(now, self._config.warn_days).subquery()
        self._announce_by(NO_ALERT, select(lost.c.incident).where(lost.c.incident.not_in(told)), true(), now)

    def _announce_by(self, rule: str, of: Select[Any], footage: ColumnElement[bool], now: float) -> None:
        r, incident = retention.c, of.selected_columns["incident"]
        columns = (r.incident, r.announced_at, r.why, r.rule, r.bytes)
        ids = list(self._database.read(of.where(footage)).scalars())
        for n in range(0, len(ids), ANNOUNCED_AT_ONCE):
            rows = of.where(incident.in_(ids[n : n + ANNOUNCED_AT_ONCE]))
            rows = rows.add_columns(literal(now), literal("age"), literal(rule), literal(0))
            upsert = self._database.upsert(retention, ["incident"], ["announced_at", "rule"])
            with self._database.writing() as connection:
                connection.execute(upsert.from_select(columns, rows))

    def _lost_for(self, now: float, warn_days: float = 0.0) -> Select[Any]:
        """Incidents that nobody told of, whose footage goes in so many days."""
        lost, days = _lost(), self._config.no_alert
        is_due = false() if days is None else lost.c.came_at <= now - (days - warn_days) * DAY_S
        return select(lost.c.incident).where(is_due)

    def _overdue(self, now: float) -> list[str]:
        r = retention.c
        announced = (_is_announced(), r.announced_at <= now - self._config.warn_days * DAY_S)
        due = [
            select(incidents.c.id).join(retention, r.incident == incidents.c.id)
            .where(*announced, _is_due(now, days), condition, ~_kept())
            for _, condition, days in self._rules()
        ]  # fmt: skip
        due.append(select(r.incident).where(*announced, r.rule == NO_ALERT, r.incident.in_(self._lost_for(now))))
        with self._database.reading() as connection:
            return [one for query in due for one in connection.execute(query.limit(BATCH)).scalars()]

    def _in_the_way(self) -> list[str]:
        """What goes next where the disk is short, or would be with what a box waits to bring: then of its own alone."""
        space = self.space()
        if space.is_short:
            return self._expendable()
        waiting = [box for box, size in self._waiting().items() if space.free - size < space.reserve]
        return self._expendable(waiting) if waiting else []

    def _expendable(self, of: Collection[EdgeId] | None = None) -> list[str]:
        """Judged footage that may go before its time, of some boxes or any: a few, the least needed first."""
        i = incidents.c
        with self._database.reading() as connection:
            for verdict in FIRST_TO_GO:
                has_clip = select(clips.c.incident).where(clips.c.incident == i.id).exists()
                query = select(i.id).where(i.verdict == verdict, _goes_by_itself(), has_clip, ~_kept())
                query = query.order_by(_aged_from()).limit(10)
                boxes = pressing(connection) if of is None and verdict == VERDICTS["true_alarm"] else of
                if boxes is not None:
                    query = query.where(tuple_(i.site, i.edge).in_(boxes))
                if ids := list(connection.execute(query).scalars()):
                    return ids
        return []

    def _delete(self, ids: Sequence[str], now: float, why: str) -> int:
        """Forget footage, in one transaction with the lines that say so; returns of how many incidents."""
        with self._database.writing() as connection:
            one_at_a_time(connection)
            # Held or judged anew between the question and now: asked again where nobody can come between.
            rules = known = self._may_go(connection, ids, now, why)
            if why == "age" and (others := set(ids) - known.keys()):
                of_nobody = connection.execute(self._lost_for(now)).scalars()
                rules = known | dict.fromkeys(others.intersection(of_nobody), NO_ALERT)
            if not rules:
                return 0
            sizes = _sizes(connection, list(rules))
            self._take_footage(connection, list(rules))
            upsert = self._database.upsert(retention, ["incident"], ("announced_at", "deleted_at", "why", "bytes"))
            for one, rule in rules.items():
                told = {"why": why, "rule": rule, "bytes": sizes.get(one, 0)}
                connection.execute(upsert, {"incident": one, "announced_at": now, "deleted_at": now, **told})
                self._audit.add(connection, now, SYSTEM, "footage_deleted", one, **told)
            note_changes(connection, list(known))
        return len(rules)

    def _may_go(self, connection: Connection, ids: Sequence[str], now: float, why: str) -> dict[str, str]:
        """Those of these incidents whose footage may go now, and their doubles, each with the rule that says so."""
        still = (
            incidents.c.verdict.in_(FIRST_TO_GO)
            if why == "space"
            else or_(*(and_(condition, _is_due(now, days)) for _, condition, days in self._rules()))
        )
        may_go = select(incidents.c.id, incidents.c.verdict).where(incidents.c.id.in_(ids), ~_kept(), still)
        rows = list(connection.execute(may_go).all())
        shown = incidents.alias()
        doubles = select(incidents.c.id, shown.c.verdict).join(shown, shown.c.id == incidents.c.same_as)
        of_shown = incidents.c.same_as.in_([row.id for row in rows])
        rows += connection.execute(doubles.where(of_shown, ~_goes_by_itself(), ~_kept())).all()
        return {row.id: next((rule for rule, of in VERDICTS.items() if of == row.verdict), NOTE) for row in rows}

    def _take_footage(self, connection: Connection, ids: Sequence[str]) -> None:
        """Take all that shows these incidents out of the database; its files are noted, to be deleted after."""
        files = [
            *connection.execute(select(clips.c.file).where(clips.c.incident.in_(ids))).scalars(),
            *connection.execute(select(sides.c.file).where(sides.c.incident.in_(ids))).scalars(),
            *connection.execute(
                select(derived.c.file).where(derived.c.incident.in_(ids), derived.c.file.is_not(None))
            ).scalars(),
        ]
        if files:
            known_once = self._database.insert(doomed).on_conflict_do_nothing()
            connection.execute(known_once, [{"file": file} for file in dict.fromkeys(files)])
        connection.execute(update(incidents).where(incidents.c.id.in_(ids)).values(snapshot=None))
        for table in FOOTAGE:
            connection.execute(delete(table).where(table.c.incident.in_(ids)))

    def _remove_files(self) -> bool:
        """Remove what was forgotten; whether nothing of it is left."""
        left = 0
        files = list(self._database.read(select(doomed.c.file)).scalars())
        root = self._folder.resolve()
        for file in files:
            path = (root / file).resolve()
            try:
                if path.is_relative_to(root):
                    path.unlink(missing_ok=True)
            except OSError as error:
                logger.error("%s can't be deleted: %s", file, error.strerror)
                left += 1
                continue  # tried again the next time
            with self._database.writing() as connection:
                connection.execute(delete(doomed).where(doomed.c.file == file))
        return left == 0


def _is_announced() -> ColumnElement[bool]:
    """Whether an announcement stands: what came late, after the rest was deleted, is announced after that."""
    return retention.c.announced_at > func.coalesce(retention.c.deleted_at, 0.0)


def _kept() -> ColumnElement[bool]:
    """Whether somebody needs an incident: a legal hold, or a case that isn't closed."""
    return incidents.c.id.in_(kept())


def _goes_by_itself(of: FromClause = incidents) -> ColumnElement[bool]:
    """Whether footage of an incident goes by its own verdict: a double's by what is shown's, unless it is true."""
    return or_(of.c.told != DOUBLE, of.c.verdict.is_not_distinct_from(VERDICTS["true_alarm"]))


def _is_due(now: float, days: float) -> ColumnElement[bool]:
    """Whether an incident is so many days old."""
    return _aged_from() <= now - days * DAY_S


def _aged_from() -> ColumnElement[float]:
    """The time that days are counted from."""
    came = select(func.max(clips.c.stored_at) - LONGEST_WAY_S).where(clips.c.incident == incidents.c.id)
    earliest, ended = came.scalar_subquery(), incidents.c.ended_at
    return func.coalesce(incidents.c.replayed_at, case((earliest > ended, earliest), else_=ended))


def _has_footage() -> ColumnElement[bool]:
    """Whether there is any of an incident, or of a double that goes with it, which may come late."""
    double = incidents.alias()
    own, of_double = (
        or_(
            one.c.snapshot.is_not(None),
            *(select(files.c.incident).where(files.c.incident == one.c.id).exists() for files in (clips, sides)),
        )
        for one in (incidents, double)
    )
    again = select(double.c.id).where(double.c.same_as == incidents.c.id, ~_goes_by_itself(double), of_double)
    return or_(own, again.exists())


def _lost() -> FromClause:
    """Footage of incidents that nobody told of: whose they are said to be, and when the last of it came."""
    c = union_all(*(select(t.c.incident, t.c.site, t.c.camera, t.c.started_at, t.c.stored_at) for t in (clips, sides)))
    files = c.subquery().c
    # A database that was mended may lack the one and hold the other.
    told = (select(t.c.incident).where(t.c.incident == files.incident).exists() for t in (alerts, verdicts))
    known = select(incidents.c.id).where(incidents.c.id == files.incident).exists()
    found = select(
        files.incident, func.min(files.site).label("site"), func.min(files.camera).label("camera"),
        literal("").label("kind"), func.min(files.started_at).label("started_at"),
        func.max(files.stored_at).label("came_at"),
    ).where(~known, *(~one for one in told), files.incident.not_in(kept()))  # fmt: skip
    return found.group_by(files.incident).subquery()


def _size_of(incident: ColumnElement[str]) -> ColumnElement[int]:
    size = select(func.coalesce(func.sum(clips.c.size), 0)).where(clips.c.incident == incident)
    return size.scalar_subquery()


def _sizes(connection: Connection, ids: Sequence[str]) -> dict[str, int]:
    query = select(clips.c.incident, func.sum(clips.c.size)).where(clips.c.incident.in_(ids))
    return {row[0]: int(row[1]) for row in connection.execute(query.group_by(clips.c.incident))}
