"""Envelopes of edges come in, once each; incidents as they stand by then, and what lacks of a box's alerts, leave."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, case, delete, func, select, update

from detector.errors import WireError
from detector.hub.storage.arrivals import AlertRow, a_name, a_whole, alert_row, clean, other_zones, title_of
from detector.hub.storage.budget import Budget, rank
from detector.hub.storage.changes import note_changes
from detector.hub.storage.database import Database, one_at_a_time
from detector.hub.storage.doubles import hand_over
from detector.hub.storage.lanes import Lanes
from detector.hub.storage.replays import give_way, is_replay
from detector.hub.storage.schema import (
    alerts,
    also_in,
    dropped,
    incidents,
    places,
    snapshots,
    streams,
)
from detector.hub.storage.verdicts import outgrow, settle
from detector.values import NOTHING

MOST_PLACES = 5000  # of one site that the feed's filters offer: a box may make names up
KEPT_DROPPED = 50_000  # ranges of numbers that edges said will never come


class Intake:
    """Takes alerts in. Safe to use from any thread.

    Args:
        database: Where they go.
        budget: How many a shift takes.
    """

    def __init__(self, database: Database, budget: Budget) -> None:
        self.budget = budget
        self._database = database
        self._insert = database.insert

    def add_alerts(
        self,
        fields_list: Sequence[Mapping[str, Any]],
        received_at: float,
        bringers: Mapping[str, tuple[str, str]] = NOTHING,
    ) -> list[str]:
        """Store envelopes, each id once, and bring their incidents up to date, in one transaction.

        The newest envelope of an incident decides what it looks like, in whatever order they come: by `seq` within an
        epoch of the edge's outbox, by `sent_at_unix` between epochs, whose names have no order.

        Args:
            fields_list: Envelopes as `wire.decode_alert` returns them.
            received_at: When they came.
            bringers: By their ids, site and edge of who brought them, where that isn't whom they name: whose numbers
                theirs are among.

        Returns:
            Ids that were not known before.

        Raises:
            WireError: One holds what no database takes (a number out of range, say), or goes by an id of another
                edge's; none of them is stored.
        """
        words = [fields for fields in fields_list if "after" not in fields]
        rows = [alert_row(fields, received_at) for fields in fields_list if "after" in fields]
        with self._database.writing() as connection:
            for fields in words:
                self._note_dropped(connection, fields, received_at)
            return self._add_rows(connection, rows, bringers) if rows else []

    def tell_anew(self, ids: Sequence[str]) -> None:
        """Have incidents that are missing, or stand as they did some time ago, be what their envelopes say, those here.

        What people judge of them stays, though they get graver thereby: they had seen it.

        Raises:
            WireError: An envelope can't be stored any more.
        """
        with self._database.writing() as connection:
            one_at_a_time(connection)
            of_these = select(alerts.c.envelope, alerts.c.received_at).where(alerts.c.incident.in_(ids))
            for envelope, received_at in connection.execute(of_these.order_by(alerts.c.number)).all():
                row = alert_row(envelope, received_at)
                self._bring_up_to_date(connection, [row], received_at, ids, is_news=False)
            connection.execute(_point_to_newest_snapshot([*ids]))
            for incident in ids:
                settle(connection, incident)
            note_changes(connection, ids)

    def _note_dropped(self, connection: Connection, fields: Mapping[str, Any], at: float) -> None:
        """An edge said which numbers will never come; told twice it counts once."""
        stream = {"site": a_name(fields["site"]), "edge": a_name(fields["edge"]), "epoch": a_name(fields["epoch"])}
        rows = [
            {**stream, "first": first, "last": last, "reason": clean(reason)[:40], "at": at}
            for first, last, reason in fields["dropped"]
        ]
        one_at_a_time(connection)
        columns = (dropped.c.first, dropped.c.last, dropped.c.number)
        insert = self._insert(dropped).on_conflict_do_nothing().returning(*columns)
        new = connection.execute(insert, rows).all()
        if not new:
            return
        seq = a_whole(fields["seq"], 2**62)
        numbers = [seq, *(row.first for row in new), *(row.last for row in new)]
        c = alerts.c
        here = [c[name] == value for name, value in stream.items()]
        never = 0
        for row in new:  # what was dropped while it was on its way may have come all the same
            came = select(func.count()).where(*here, c.seq.between(row.first, row.last))
            never += row.last - row.first + 1 - int(connection.execute(came).scalar_one())
        self._count_stream(connection, [{**stream, "lowest": min(numbers), "highest": max(numbers), "received": 1}])
        these = [streams.c[name] == value for name, value in stream.items()]
        connection.execute(update(streams).where(*these).values(dropped=streams.c.dropped + never))
        connection.execute(delete(dropped).where(dropped.c.number <= max(row.number for row in new) - KEPT_DROPPED))

    def _came_after_all(self, connection: Connection, stream: tuple[str, str, str], seqs: Sequence[int]) -> None:
        """Numbers that came although their edge had said that it dropped them are not dropped."""
        c = dropped.c
        here = [c.site == stream[0], c.edge == stream[1], c.epoch == stream[2]]
        query = select(c.first, c.last).where(*here, c.first <= max(seqs), c.last >= min(seqs))
        ranges = connection.execute(query).all()
        came = sum(any(row.first <= seq <= row.last for row in ranges) for seq in seqs) if ranges else 0
        if came:
            these = [streams.c.site == stream[0], streams.c.edge == stream[1], streams.c.epoch == stream[2]]
            connection.execute(update(streams).where(*these).values(dropped=streams.c.dropped - came))

    def _add_rows(
        self, connection: Connection, rows: list[AlertRow], bringers: Mapping[str, tuple[str, str]]
    ) -> list[str]:
        one_at_a_time(connection)  # who spends the last of a budget must not change while it is counted
        c = alerts.c
        columns = (c.id, c.number, c.site, c.edge)
        insert = self._insert(alerts).on_conflict_do_nothing(index_elements=["id"]).returning(*columns)
        added = {row.id: row for row in connection.execute(insert, [row.alert for row in rows])}
        _check_whose(connection, rows, {row.id: (row.site, row.edge) for row in added.values()})
        numbers = {name: row.number for name, row in added.items()}
        new = [row for row in {row.alert["id"]: row for row in rows}.values() if row.alert["id"] in numbers]
        if not new:
            return []
        together = {row.incident["id"] for row in rows}
        # What another camera of the spot told just before has to be stored by then.
        one_by_one = any(row.incident["spot"] for row in new)
        told_late = [
            changed for part in ([[row] for row in new] if one_by_one else [new])
            for changed in self._bring_up_to_date(connection, part, new[0].alert["received_at"], together)
        ]  # fmt: skip
        pictures = [{**row.picture, "alert": numbers[row.alert["id"]]} for row in new if row.picture]
        if pictures:
            connection.execute(snapshots.insert(), pictures)
            connection.execute(_point_to_newest_snapshot(sorted({picture["incident"] for picture in pictures})))
        # Whoever publishes a replay has the answer at once, and all of it still: no number can be missing.
        self._count_streams(connection, [row for row in new if not is_replay(row.incident["record"])], bringers)
        changed = [*told_late, *(row.alert["incident"] for row in new)]
        note_changes(connection, list(dict.fromkeys(reversed(changed)))[::-1])
        return [row.alert["id"] for row in new]

    def _bring_up_to_date(
        self,
        connection: Connection,
        new: list[AlertRow],
        received_at: float,
        together: Collection[str],
        *,
        is_news: bool = True,
    ) -> list[str]:
        """Bring the incidents of envelopes up to date; ids of others that changed thereby."""
        lanes = Lanes(connection, self.budget, received_at, together)
        lanes.take(row.incident for row in new)
        newest, given_way = lanes.newest, lanes.given_way
        if not newest:
            return []
        moved = _doubles_that_move(connection, newest)
        connection.execute(self._upsert_incident(), [newest[incident] for incident in sorted(newest)])
        self._note_other_zones(connection, newest.values())
        self._note_places(connection, newest.values())
        if is_news:
            self._take_back_outgrown(connection, lanes.graver, new, received_at)
        changed = give_way(connection, (one for one in newest.values() if one["replayed_at"] is None), received_at)
        for double, shown in given_way.items():
            moved += hand_over(connection, double, shown, received_at)
        of_spot = (one["same_as"] for one in newest.values() if one["same_as"] and one["spot"])
        return [*changed, *given_way, *moved, *of_spot]

    def _take_back_outgrown(
        self, connection: Connection, graver: Collection[str], new: list[AlertRow], received_at: float
    ) -> None:
        """Take back verdicts on incidents that are graver than whoever judged them can have known."""
        c = incidents.c
        cleared = select(c.id).where(c.id.in_(graver), c.verdict != "true").order_by(c.id)
        for incident in connection.execute(cleared).scalars().all() if graver else ():
            came = [row for row in new if row.incident["id"] == incident]
            numbers = [row.alert["id"] for row in came]
            envelopes = select(alerts.c.envelope).where(alerts.c.incident == incident, alerts.c.id.not_in(numbers))
            told = [rank(str(sent["after"]["severity"])) for sent in connection.execute(envelopes).scalars()]
            if max(rank(row.incident["severity"]) for row in came) > max(told, default=-1):
                outgrow(connection, incident, received_at)

    def _upsert_incident(self) -> Any:
        kept = {"id", "site", "edge", "snapshot", "verdict"}
        newer = [column.name for column in incidents.c if column.name not in kept]
        return self._database.upsert(incidents, ["id"], newer)

    def _note_other_zones(self, connection: Connection, states: Iterable[Mapping[str, Any]]) -> None:
        found = {(state["id"], zone) for state in states for zone in other_zones(state["record"])}
        if found:
            insert = self._insert(also_in).on_conflict_do_nothing()
            connection.execute(insert, [{"incident": incident, "zone": zone} for incident, zone in sorted(found)])

    def _note_places(self, connection: Connection, states: Iterable[Mapping[str, Any]]) -> None:
        found = {
            (state["site"], state["camera"], zone): title_of(state["record"])
            for state in states
            for zone in (state["zone"] or "", *other_zones(state["record"]))
        }
        c = places.c
        known = select(c.site, func.count()).where(c.site.in_({site for site, _, _ in found})).group_by(c.site)
        counts: Counter[str] = Counter({row[0]: row[1] for row in connection.execute(known)})
        rows = []
        for place in sorted(found):
            counts[place[0]] += 1
            if counts[place[0]] <= MOST_PLACES:
                rows.append((*place, found[place]))
        if not rows:
            return
        key = ("site", "camera", "zone")
        renamed = places.c.title != self._insert(places).excluded.title
        upsert = self._database.upsert(places, key, ["title"], where=renamed)
        connection.execute(upsert, [dict(zip((*key, "title"), row, strict=True)) for row in rows])

    def _count_streams(
        self, connection: Connection, rows: Iterable[AlertRow], bringers: Mapping[str, tuple[str, str]]
    ) -> None:
        seqs: dict[tuple[str, str, str], list[int]] = {}
        for row in rows:
            site, edge = bringers.get(row.alert["id"], (row.alert["site"], row.alert["edge"]))
            seqs.setdefault((site, edge, row.alert["epoch"]), []).append(row.alert["seq"])
        for stream, found in seqs.items():
            self._came_after_all(connection, stream, found)
        counts = [
            {
                "site": site, "edge": edge, "epoch": epoch,
                "lowest": min(found), "highest": max(found), "received": len(found),
            }
            for (site, edge, epoch), found in sorted(seqs.items())
        ]  # fmt: skip
        if counts:
            self._count_stream(connection, counts)

    def _count_stream(self, connection: Connection, counts: list[dict[str, Any]]) -> None:
        sent, held = self._insert(streams).excluded, streams.c
        together = {
            "lowest": case((sent.lowest < held.lowest, sent.lowest), else_=held.lowest),
            "highest": case((sent.highest > held.highest, sent.highest), else_=held.highest),
            "received": held.received + sent.received,
        }
        connection.execute(self._database.upsert(streams, ("site", "edge", "epoch"), (), together), counts)


def _check_whose(connection: Connection, rows: Iterable[AlertRow], added: Mapping[str, tuple[str, str]]) -> None:
    """What another edge told by an alert's id doesn't stand for it: that edge would have it confirmed away."""
    c = alerts.c
    known = {row.alert["id"] for row in rows} - added.keys()
    found = connection.execute(select(c.id, c.site, c.edge).where(c.id.in_(known))) if known else ()
    whose = {**added, **{row.id: (row.site, row.edge) for row in found}}
    if any(whose[row.alert["id"]] != (row.alert["site"], row.alert["edge"]) for row in rows):
        raise WireError("its id is that of another edge's alert")


def _doubles_that_move(connection: Connection, states: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Doubles of what is about to change its lane: who sees them in its stead sees them in that lane (`Wanted`)."""
    lanes = {name: state["told"] for name, state in states.items() if state["spot"]}
    if not lanes:
        return []
    shown = incidents.alias()
    query = select(incidents.c.id, incidents.c.same_as, shown.c.told).join(shown, shown.c.id == incidents.c.same_as)
    rows = connection.execute(query.where(incidents.c.same_as.in_(lanes)))
    return [row.id for row in rows if row.told != lanes[row.same_as]]


def _point_to_newest_snapshot(ids: list[str]) -> Any:
    newest = (
        select(snapshots.c.alert)
        .where(snapshots.c.incident == incidents.c.id)
        .order_by(snapshots.c.sent_at.desc(), snapshots.c.seq.desc())
        .limit(1)
        .scalar_subquery()
    )
    return update(incidents).where(incidents.c.id.in_(ids)).values(snapshot=newest)
