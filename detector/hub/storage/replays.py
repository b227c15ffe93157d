"""What replays of recordings found: is it known already? The state of an incident comes in, its double leaves.

Live and replay tell of the same event with other ids, since a recorder's clock and its files are not the box's. Two are
one event when they are of one site and camera, share a kind (or a finding), and overlap in time. What is graver is
another where it is of a kind that the first told nothing of, where the first was but a note, which waits in the digest
and goes sooner, or where people have cleared the first: a verdict on less is none on more. Then both are shown.

    a replay finds what live had found            the live one stays the one shown, the replay's becomes its `double`
    a replay finds what another replay had found  likewise, the first stays
    live tells late what a replay had found       the replay's becomes the double, and what people did with it moves
    a replay tells anew what one had found        what was shown stays so; a double that gets graver is looked at anew

Nothing that live tells is ever held back for what a replay said, nor judged by what was said of it before it began. One
replay's own incidents are no doubles of each other, be it that one of them was known from an earlier one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from sqlalchemy import Connection, select

from detector.findings import kinds_of
from detector.hub.storage.budget import DOUBLE, rank
from detector.hub.storage.doubles import hand_over, went_on_between
from detector.hub.storage.schema import incidents
from detector.values import Severity

SLACK_S = 10.0  # clocks of recorders and boxes are not quite the same; files begin at whole seconds


def is_replay(record: Any) -> bool:
    """Whether an incident was found in old footage: nobody is to be woken by it."""
    facts = record.get("facts") if isinstance(record, dict) else None
    return bool(isinstance(record, dict) and record.get("replay")) or bool(
        isinstance(facts, dict) and facts.get("replay")
    )


def shift_of(live_shift: str) -> str:
    """What the shift is called whose alerts a replay adds to: live has its own budget, and keeps all of it."""
    return f"replay {live_shift}"


def double_of(connection: Connection, state: Mapping[str, Any], together: Collection[str] = ()) -> str | None:
    """The incident that tells already what a replay found; `None` where it is news.

    Of several, one that live found comes first, then one in the same zone, then the one that overlaps longest.

    Args:
        connection: To the database.
        state: Row of `incidents` to be.
        together: Ids of incidents that its replay tells with it, which are others.
    """
    c = incidents.c
    near = (
        c.site == state["site"],
        c.camera == state["camera"],
        *went_on_between(state["started_at"], state["ended_at"], SLACK_S),
        (c.told != DOUBLE) | c.replayed_at.is_(None),  # another camera's may be shown for what live told (`spots`)
        c.id != state["id"],
    )
    columns = (
        c.id, c.kind, c.severity, c.verdict, c.zone, c.started_at, c.ended_at, c.replayed_at, c.same_as, c.record,
    )  # fmt: skip
    own_run = _run(state["record"])
    found = [
        row
        for row in map(_mapping, connection.execute(select(*columns).where(*near)))
        if _tells(row, state)
        and _holds_for(row, state)
        and (row["replayed_at"] is None or not (row["id"] in together or _run(row["record"]) == own_run))
    ]

    def likeness(row: Mapping[str, Any]) -> tuple[bool, bool, float, str]:
        shared_s = min(row["ended_at"], state["ended_at"]) - max(row["started_at"], state["started_at"])
        return row["replayed_at"] is None, row["zone"] == state["zone"], shared_s, row["id"]

    known = max(found, key=likeness) if found else None
    return None if known is None else str(known["same_as"] or known["id"])


def give_way(connection: Connection, live: Iterable[Mapping[str, Any]], at: float) -> list[str]:
    """Make doubles of what replays found before live told of it; ids of incidents that changed thereby.

    Args:
        connection: To the database.
        live: Rows of `incidents`, as live has told them by now; what is a double among them gives way to what is shown.
        at: Now, Unix seconds.
    """
    live = list(live)
    if not live:
        return []
    c = incidents.c
    begun, ended = min(state["started_at"] for state in live), max(state["ended_at"] for state in live)
    columns = (
        c.id, c.site, c.camera, c.kind, c.severity, c.verdict, c.started_at, c.ended_at, c.replayed_at, c.record,
    )  # fmt: skip
    query = select(*columns).where(c.replayed_at.is_not(None), c.told != DOUBLE).order_by(c.started_at, c.id)
    query = query.where(*went_on_between(begun, ended, SLACK_S))
    changed = []
    for row in map(_mapping, connection.execute(query).all()):
        known = next((state for state in live if _gives_way(row, state)), None)
        if known is not None:
            shown = known["same_as"] or known["id"]
            changed += [row["id"], *hand_over(connection, row["id"], shown, at), shown]
    return changed


def _gives_way(found: Mapping[str, Any], live: Mapping[str, Any]) -> bool:
    """Whether live tells what a replay found, which may have been judged already."""
    return (
        (found["site"], found["camera"]) == (live["site"], live["camera"])
        and found["started_at"] <= live["ended_at"] + SLACK_S
        and live["started_at"] <= min(found["ended_at"], found["replayed_at"]) + SLACK_S
        and _tells(live, found)
        and _holds_for(found, live)
    )


def _tells(known: Mapping[str, Any], found: Mapping[str, Any]) -> bool:
    """Whether what is known tells what a replay found, as far as their kinds go."""
    if rank(found["severity"]) <= rank(known["severity"]):
        return bool(kinds_of(known["record"]) & kinds_of(found["record"]))
    return found["kind"] in kinds_of(known["record"]) and rank(known["severity"]) > rank(Severity.INFO)


def _holds_for(judged: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether what people made of one may stand for another."""
    return judged["verdict"] in (None, "true") or rank(other["severity"]) <= rank(judged["severity"])


def _run(record: Mapping[str, Any]) -> object:
    """Which replay an incident is of; one that doesn't say is of none that is known."""
    replay = record.get("replay")
    return replay.get("run") if isinstance(replay, dict) else None


def _mapping(row: Any) -> Mapping[str, Any]:
    found: Mapping[str, Any] = row._mapping
    return found
