"""What raises a notice: changes of incidents, and alarms, enter; rows of the queue leave, at once or to be summed up.

How far changes have been looked through stands in the database, in the transaction that raises their notices: so an
incident raises one for each target and severity, whatever is killed when.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Connection, Select, case, delete, exists, func, or_, select, update

from detector.hub.notices.pauses import PAUSED
from detector.hub.notices.pauses import until as paused_until
from detector.hub.notices.rules import Rule
from detector.hub.notices.targets import Target, rules_of, targets_of
from detector.hub.storage.budget import RANKS, rank
from detector.hub.storage.database import Database, one_at_a_time
from detector.hub.storage.edges import boxes_in_service
from detector.hub.storage.replays import is_replay
from detector.hub.storage.schema import (
    alerts,
    changes,
    edges,
    incidents,
    notice_pauses,
    notice_place,
    notice_targets,
    notices,
)
from detector.hub.storage.stored import CLEARED
from detector.hub.watch.alarms import Alarm, Alarms, is_seen
from detector.values import DAY_S, Severity

LATE_S = 1800.0  # who is told of what was over so long ago isn't woken, and hears of it together with the rest
GATHER_LATE_S = 600.0
NEWS_S = 7 * DAY_S  # what the hub was told so long ago is told nobody any more, whatever becomes of it
ALARM, OVER = "alarm:", ":over"
AT_ONCE = 200
HOUR_S = 3600.0
BACKLOG = 3  # more than so many notices for a service that was away become one summary
# When a site's line fails, each of its boxes raises alarms, and again when it is back: after so many within the time,
# further ones are told together.
ALARMS_ALONE, GATHER_ALARMS_S = 3, 300.0
LATE, MANY = "late", "many"
AWAY = "away"  # why a summary tells of what its service did not take

_summaries = notices.alias()
STATE = func.coalesce(_summaries.c.state, notices.c.state)  # of a notice told by a summary, that of the summary


class Raising:
    """Puts notices into the queue of a database.

    Args:
        database: Where it is.
        zone: In which hours are meant.
    """

    def __init__(self, database: Database, zone: str) -> None:
        self._database = database
        self._zone = ZoneInfo(zone)

    def look_through(self, now: float) -> int:
        """Raise the notices that changes since the last time ask for; how many it looked at: call it until it is 0."""
        with self._database.writing() as connection:
            one_at_a_time(connection)
            ids, place = _changed(connection)
            if place is None:
                return 0
            upsert = self._database.upsert(notice_place, ["name"], ["change"])
            connection.execute(upsert, {"name": "changes", "change": place})
            rows = connection.execute(_facts_of(ids)).all() if ids else []
            listening = _listening(connection) if rows else []
            for incident in rows:
                for each in listening:
                    self._decide(connection, incident, *each, now)
            return len(ids)

    def _decide(self, connection: Connection, incident: Any, target: Target, rules: list[Rule], now: float) -> None:
        """Raise a notice of one incident for one target, where a rule of it asks for that."""
        is_old = incident.verdict in CLEARED or is_replay(incident.record) or now - incident.received_at > NEWS_S
        if is_old or not target.scope.sees(incident.site, incident.camera):
            return
        # By when its box told of it: verdicts, clips and footage that goes are changes as well, at any hour.
        local = self._local(incident.received_at)
        wanted = [rule for rule in rules if incident.received_at >= rule.at and rule.wants(incident, local)]
        if not wanted:
            return
        severity = incident.severity if incident.severity in RANKS else Severity.WARNING.value
        told = (notices.c.target == target.number, notices.c.incident.in_(_event_of(incident)))
        # Cleared before it was told, and judged anew since.
        connection.execute(delete(notices).where(*told, notices.c.state == "dropped", notices.c.reason == "cleared"))
        before = connection.execute(select(notices.c.severity).where(*told)).scalars().all()
        if any(rank(one) >= rank(severity) for one in before):
            return
        # What was raised before it grew so severe, and is still to be told, is told by this one.
        pending = update(notices).where(*told, notices.c.state.in_(("waiting", "held")))
        connection.execute(pending.values(state="risen", reason="risen"))
        when = _soonest(self._when(connection, incident, rule, severity, now) for rule in wanted)
        self._raise(connection, target, "incident", incident.id, severity, now, when)

    def _raise(
        self, connection: Connection, target: Target, what: str, about: str, severity: str, now: float,
        when: Mapping[str, Any],
    ) -> bool:  # fmt: skip
        """Put a notice into the queue; whether it wasn't there already."""
        row = {
            "target": target.number, "target_name": target.name, "what": what, "incident": about,
            "severity": severity, "created_at": now, **when,
        }  # fmt: skip
        insert = self._database.insert(notices).on_conflict_do_nothing()
        return connection.execute(insert.returning(notices.c.number), row).first() is not None

    def _when(self, connection: Connection, incident: Any, rule: Rule, severity: str, now: float) -> dict[str, Any]:
        """Whether a notice goes at once, or is held and until when."""
        is_critical = severity == Severity.CRITICAL
        if is_late(incident, now):
            # In some minutes, when more of them are there.
            return {"state": "held", "reason": LATE, "due_at": self._awake(rule, now + GATHER_LATE_S)}
        until = None if is_critical else paused_until(connection, incident.site, incident.camera, now)
        if until is not None:
            return {"state": "held", "reason": PAUSED, "due_at": self._awake(rule, until)}
        if (until := rule.quiet_until(self._local(now), severity)) is not None:
            return {"state": "held", "reason": "quiet", "due_at": until}
        c = notices.c
        lately = select(c.created_at, incidents.c.site, incidents.c.edge).where(
            c.target == rule.target, c.what == "incident", _class_of(severity), c.reason.in_(("", "again")),
            c.created_at > now - HOUR_S,
        )  # fmt: skip
        lately = lately.join(incidents, incidents.c.id == c.incident).order_by(c.created_at.desc())
        found = connection.execute(lately).all()
        if len(found) >= rule.per_hour and not (is_critical and _has_share(connection, incident, found, rule)):
            due_at = found[rule.per_hour - 1].created_at + HOUR_S
            return {"state": "held", "reason": "limit", "due_at": self._awake(rule, due_at, severity)}
        return {"state": "waiting", "reason": "", "due_at": now}

    def _awake(self, rule: Rule, at: float, severity: str = "") -> float:
        """A time, or the end of quiet hours where it is in them: what waits for it is no reason to wake somebody."""
        return rule.quiet_until(self._local(at), severity) or at

    def _local(self, at: float) -> datetime:
        return datetime.fromtimestamp(at, self._zone)

    def tell_alarms(self, now: float) -> int:
        """Raise the notices that alarms about the system itself ask for; how many."""
        kept = Alarms(self._database)
        found = [*kept.open(), *kept.ended(self._told_without_end())]
        if not found:
            return 0
        with self._database.writing() as connection:
            one_at_a_time(connection)
            listening = _listening(connection)
            return sum(self._tell_alarm(connection, alarm, *each, now) for alarm in found for each in listening)

    def _told_without_end(self) -> list[int]:
        """Alarms that somebody heard the beginning of, and not the end."""
        end, c = notices.alias(), notices.c
        ended = select(end.c.number).where(end.c.target == c.target, end.c.incident == c.incident + OVER).exists()
        begun = _with_state(select(c.incident)).where(c.what == "alarm", STATE == "sent", ~c.incident.endswith(OVER))
        return [alarm_number(name) for name in self._database.read(begun.where(~ended).distinct()).scalars()]

    def _tell_alarm(self, connection: Connection, alarm: Alarm, target: Target, rules: list[Rule], now: float) -> bool:
        local = self._local(now)
        wanted = [rule for rule in rules if alarm.raised_at >= rule.at and rule.wants_alarm(alarm, local)]
        if not wanted or not is_seen(alarm, target.scope):
            return False
        name = f"{ALARM}{alarm.number}"
        own = (notices.c.target == target.number, notices.c.incident.in_((name, name + OVER)))
        query = _with_state(select(notices.c.incident, STATE.label("state"))).where(*own)
        told = {row.incident: row.state for row in connection.execute(query)}
        # The end is told to who heard of the beginning. What came and went between two looks is not told at all.
        is_news = not told if alarm.is_open else told.get(name) == "sent"
        if not is_news:
            return False
        is_many = _alarms_since(connection, target, alarm.severity, now - GATHER_ALARMS_S) >= ALARMS_ALONE
        when = _soonest(self._when_alarm(rule, alarm.severity, now, is_many=is_many) for rule in wanted)
        about = name if alarm.is_open else name + OVER
        return self._raise(connection, target, "alarm", about, alarm.severity, now, when)

    def _when_alarm(self, rule: Rule, severity: str, now: float, *, is_many: bool) -> dict[str, Any]:
        """Likewise of an alarm, one of many or not."""
        if (until := rule.quiet_until(self._local(now), severity)) is not None:
            return {"state": "held", "reason": "quiet", "due_at": until}
        if is_many:
            return {"state": "held", "reason": MANY, "due_at": self._awake(rule, now + GATHER_ALARMS_S, severity)}
        return {"state": "waiting", "reason": "", "due_at": now}

    def gather(self, now: float) -> None:
        """Put into one summary what was held and is due now, and what has piled up for a service that was away."""
        with self._database.writing() as connection:
            one_at_a_time(connection)
            self._let_go(connection, now)
            self._put_off(connection, now)
            self._hold(connection, now)
            c = notices.c
            due = select(c.target, c.reason).where(c.state == "held", c.due_at <= now).distinct()
            for target, reason in connection.execute(due).all():
                # Of cameras that are paused, each for a time of its own, some may have to wait longer.
                also = (c.due_at <= now,) if reason == PAUSED else ()
                self._sum_up(connection, target, (c.state == "held", c.reason == reason, *also), reason, now)
            piled = (
                select(c.target)
                .join(notice_targets, notice_targets.c.number == c.target)
                .where(c.state == "waiting", c.what == "incident", notice_targets.c.failures > 0)
                .where(notice_targets.c.rests_until <= now)
                .group_by(c.target)
                .having(func.count() > BACKLOG)
            )
            for target in connection.execute(piled).scalars().all():
                # With what was told of the same way, and not taken: so it is one summary however long that lasts.
                untold = or_(c.what == "incident", (c.what == "summary") & (c.reason == AWAY))
                self._sum_up(connection, target, (c.state == "waiting", untold), AWAY, now)

    def _let_go(self, connection: Connection, now: float) -> None:
        """Have what waits for a pause that is over be due, or wait for the end of quiet hours as all else does."""
        n, i, p = notices.c, incidents.c, notice_pauses.c
        is_paused = exists().where(p.site == i.site, p.camera == i.camera, p.until > now, i.id == n.incident)
        waits = (n.state == "held", n.reason == PAUSED, ~is_paused)
        for number, due_at in self._woken(connection, waits, now).items():
            when = {"reason": "quiet" if due_at > now else PAUSED, "due_at": due_at}
            connection.execute(update(notices).where(n.number == number).values(when))

    def _put_off(self, connection: Connection, now: float) -> None:
        """Have what was held, and is due in quiet hours, wait for their end: until after those that it was held for,
        the hub was off, or it comes from a backup."""
        n = notices.c
        for number, due_at in self._woken(connection, (n.state == "held", n.due_at <= now), now).items():
            if due_at > now:
                connection.execute(update(notices).where(n.number == number).values(due_at=due_at))

    def _hold(self, connection: Connection, now: float) -> None:
        """Have what its service hasn't taken yet, be it away, wait once quiet hours have begun."""
        n = notices.c
        # Not what may have been taken, and says so; and alarms that are summed up stay by themselves.
        waits = (n.state == "waiting", n.what != "test", n.reason.not_in(("again", MANY)))
        for number, due_at in self._woken(connection, waits, now).items():
            if due_at > now:
                held = {"state": "held", "reason": "quiet", "due_at": due_at}
                connection.execute(update(notices).where(n.number == number, n.state == "waiting").values(held))

    def _woken(self, connection: Connection, which: tuple[Any, ...], now: float) -> dict[int, float]:
        """When each of some notices may be told at the soonest, by the rules that ask for it or may have."""
        n = notices.c
        query = select(n.number, n.target, n.what, n.incident, n.severity, n.created_at, n.reason).where(*which)
        rows = connection.execute(query).all()
        if not rows:
            return {}
        local = self._local(now)
        listening = {target.number: own for target, own in _listening(connection)}
        quiet = {
            target: own for target, own in listening.items() if any(rule.quiet_until(local) is not None for rule in own)
        }
        ids = [row.incident for row in rows if row.what == "incident" and row.target in quiet]
        some = (ids[at : at + AT_ONCE] for at in range(0, len(ids), AT_ONCE))  # a flood is more than a statement takes
        facts = {one.id: one for part in some for one in connection.execute(_facts_of(part))}
        found = {}
        for row in rows:
            own, one = quiet.get(row.target, []), facts.get(row.incident)
            if one is not None:
                own = [rule for rule in own if rule.wants(one, self._local(row.created_at))]
            severity = "" if row.reason == LATE else row.severity  # what is long over wakes nobody, however grave
            found[row.number] = min((self._awake(rule, now, severity) for rule in own), default=now)
        return found

    def _sum_up(self, connection: Connection, target: int, which: tuple[Any, ...], reason: str, now: float) -> None:
        """One summary of incidents and one of alarms; few alarms are told each by itself, for it says what to do."""
        c = notices.c
        self._tell_together(connection, target, (*which, c.what == "alarm"), MANY, ALARMS_ALONE, now)
        self._tell_together(connection, target, (*which, c.what != "alarm"), reason, 1, now)

    def _tell_together(
        self, connection: Connection, target: int, which: tuple[Any, ...], reason: str, alone: int, now: float
    ) -> None:
        """Put notices of one target into a summary, or have so many at most told as they are.

        By what they are, not by their numbers: of a flood there are more than a statement takes.
        """
        c = notices.c
        these = (c.target == target, *which)
        query = select(c.severity, func.count().label("n"), func.max(c.target_name).label("name")).where(*these)
        found = connection.execute(query.group_by(c.severity)).all()
        if not found:
            return
        if sum(row.n for row in found) <= alone:
            connection.execute(update(notices).where(*these).values(state="waiting", due_at=now))
            return
        row = {
            "target": target, "target_name": found[0].name, "what": "summary", "reason": reason,
            "incident": f"summary:{uuid.uuid4().hex}", "severity": max((row.severity for row in found), key=rank),
            "state": "waiting", "created_at": now, "due_at": now,
        }  # fmt: skip
        number = connection.execute(notices.insert().returning(c.number), row).scalar_one()
        earlier = select(c.number).where(*these, c.what == "summary", c.number != number)
        if taken_up := list(connection.execute(earlier).scalars()):
            connection.execute(update(notices).where(c.summary.in_(taken_up)).values(summary=number))
            connection.execute(delete(notices).where(c.number.in_(taken_up)))
        connection.execute(update(notices).where(*these, c.number != number).values(state="summed", summary=number))


def _soonest(found: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Of when several rules have a notice go, the soonest: what one holds back, another may ask for at once."""
    return min(found, key=lambda when: (when["state"] != "waiting", when["due_at"]))


def _with_state(query: Select[Any]) -> Select[Any]:
    """A query of notices that asks for their `STATE`."""
    return query.select_from(notices.outerjoin(_summaries, _summaries.c.number == notices.c.summary))


def _class_of(severity: str) -> ColumnElement[bool]:
    """What is counted with a severity: critical ones have as many again, so that a flood can't keep one back."""
    is_critical = notices.c.severity == Severity.CRITICAL
    return is_critical if severity == Severity.CRITICAL else ~is_critical


def _has_share(connection: Connection, incident: Any, found: Sequence[Any], rule: Rule) -> bool:
    """Whether the box of an incident was told of less than its share of the hourly number, whatever others told.

    As `budget` has it for a shift: one that tells too much, be it mad or in a thief's hands, takes no other's place.
    """
    own = sum((row.site, row.edge) == (incident.site, incident.edge) for row in found)
    return own * boxes_in_service(connection) < rule.per_hour


def _alarms_since(connection: Connection, target: Target, severity: str, since: float) -> int:
    """How many alarms were told a target each by itself."""
    c = notices.c
    lately = (c.target == target.number, c.what == "alarm", c.reason != MANY, _class_of(severity), c.created_at > since)
    return int(connection.execute(select(func.count()).where(*lately)).scalar_one())


def is_alarm(name: str) -> bool:
    """Whether a notice of this name is about an alarm; its reason doesn't tell once it has to go again."""
    return name.startswith(ALARM)


def alarm_number(name: str) -> int:
    """The number of the alarm that a notice of this name is about."""
    return int(name.removeprefix(ALARM).removesuffix(OVER))


def is_late(incident: Any, now: float) -> bool:
    """Whether what an incident tells was over long before it was heard of, by the hub's clock."""
    told_at = float(incident.record["ended_at_unix"])  # by its box's clock, where `ended_at` may be by ours
    return bool(now - (told_at - (incident.clock_offset_s or 0.0)) > LATE_S)


def _listening(connection: Connection) -> list[tuple[Target, list[Rule]]]:
    """Every target with its rules."""
    rules = rules_of(connection)
    return [(target, [rule for rule in rules if rule.target == target.number]) for target in targets_of(connection)]


def _changed(connection: Connection) -> tuple[list[str], int | None]:
    """Incidents that changed since the last look, at most so many, and how far this look reaches; `None` is no news."""
    place = connection.execute(
        select(notice_place.c.change).where(notice_place.c.name == "changes")
    ).scalar_one_or_none()
    newest = connection.execute(select(func.coalesce(func.max(changes.c.number), 0))).scalar_one()
    if place is None or place > newest:  # a new hub, or a database from a backup: the past is not told
        return [], int(newest)
    if place == newest:
        return [], None
    since = select(changes).where(changes.c.number > place).order_by(changes.c.number).limit(AT_ONCE)
    rows = connection.execute(since).all()
    return [row.incident for row in rows], int(rows[-1].number)


def _event_of(incident: Any) -> Any:
    """Ids of all incidents that are the same event: who was told of one is not told of the others."""
    shown = incident.same_as or incident.id
    return select(incidents.c.id).where((incidents.c.id == shown) | (incidents.c.same_as == shown))


def _facts_of(ids: list[str]) -> Any:
    """What rules ask of incidents, and when their newest envelopes came.

    Lane and verdict of a double are those of what is shown in its stead: a rule may ask for its camera alone.
    """
    names = ("id", "site", "edge", "camera", "zone", "kind", "severity", "record", "ended_at", "same_as")
    received = select(func.max(alerts.c.received_at)).where(alerts.c.incident == incidents.c.id).scalar_subquery()
    shown = incidents.alias()
    of_event = [
        case((incidents.c.same_as.is_(None), incidents.c[name]), else_=shown.c[name]).label(name)
        for name in ("told", "verdict")
    ]
    columns = [*(incidents.c[name] for name in names), *of_event]
    query = select(*columns, func.coalesce(received, 0.0).label("received_at"), edges.c.clock_offset_s)
    query = query.outerjoin(shown, shown.c.id == incidents.c.same_as)
    query = query.outerjoin(edges, (edges.c.site == incidents.c.site) & (edges.c.edge == incidents.c.edge))
    first = incidents.c.same_as.is_not(None)  # of an event, what is shown is told rather than its double
    return query.where(incidents.c.id.in_(ids)).order_by(first, incidents.c.started_at)
