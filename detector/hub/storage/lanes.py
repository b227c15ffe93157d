"""The lane of each incident that envelopes bring up to date: alert, digest, or neither beside what tells it already."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from sqlalchemy import Connection, func, select

from detector.errors import WireError
from detector.hub.storage.budget import ALERT, DOUBLE, Budget, rank
from detector.hub.storage.edges import boxes_in_service
from detector.hub.storage.replays import double_of, is_replay, shift_of
from detector.hub.storage.schema import clips, incidents
from detector.hub.storage.spots import beside
from detector.hub.storage.stored import EdgeId

_LANE = ("severity", "told", "shift", "verdict", "replayed_at", "same_as", "announced_clips")

State = Mapping[str, Any]  # a row of `incidents`, to be or as it stands


class Lanes:
    """Chooses envelope by envelope in the order they came, so that it makes no difference how they are batched.

    Args:
        connection: To the database, which nobody else writes to meanwhile.
        budget: How many a shift takes.
        received_at: When the envelopes came.
        together: Ids of incidents that came with these: what one replay tells of, it tells apart.

    Attributes:
        newest: By id, the newest state of each incident that was brought up to date, with `told` and `shift`.
        given_way: Incidents that are no longer shown, each with that which is instead (`spots`).
        graver: Incidents that grew graver than they last were, whatever they were before.
    """

    def __init__(
        self, connection: Connection, budget: Budget, received_at: float, together: Collection[str] = ()
    ) -> None:
        self.newest: dict[str, dict[str, Any]] = {}
        self.given_way: dict[str, str] = {}
        self.graver: set[str] = set()
        self._together = together
        self._connection, self._budget, self._received_at = connection, budget, received_at
        self._boxes = boxes_in_service(connection)
        self._spent: dict[str, Counter[EdgeId]] = {}

    def take(self, states: Iterable[State]) -> None:
        """Take incidents in as envelopes tell them.

        Raises:
            WireError: One is another edge's.
        """
        states = list(states)
        columns = [incidents.c[name] for name in ("id", "site", "edge", "epoch", "seq", "sent_at", *_LANE)]
        known = self._connection.execute(select(*columns).where(incidents.c.id.in_({state["id"] for state in states})))
        standing: dict[str, State] = {row.id: dict(row._mapping) for row in known}
        for state in states:
            before = standing.get(state["id"])
            if before is None or _takes_over(state, before):
                if before is not None and rank(state["severity"]) > rank(before["severity"]):
                    self.graver.add(state["id"])
                standing[state["id"]] = self.newest[state["id"]] = self._placed(state, before)

    def _placed(self, state: State, before: State | None) -> dict[str, Any]:
        """An incident's row with its shift and its lane."""
        of_live = self._budget.shift(state["started_at"])
        replayed_at = same_as = None
        if is_replay(state["record"]):
            replayed_at = before["replayed_at"] if before and before["replayed_at"] else self._received_at
            same_as = before["same_as"] if before else None
            if before is not None:
                state = {**state, "announced_clips": self._promises(state, before)}
            if before is None or (same_as and rank(state["severity"]) > rank(before["severity"])):
                same_as = double_of(self._connection, state, self._together)
        shift = before["shift"] if before else shift_of(of_live) if replayed_at else of_live
        so_far = (before["severity"], before["told"]) if before and before["told"] != DOUBLE else None
        other = beside(self._connection, {**state, "replayed_at": replayed_at}, before)
        if other is not None and other.gives_way:
            self.given_way[other.id] = state["id"]
            same_as, so_far = None, (other.severity, other.told)
        elif other is not None:
            same_as = other.id
            if so_far is not None:  # it was shown until now
                self.given_way[state["id"]] = other.id
        box, spent = (state["site"], state["edge"]), self._spent_of(shift, of_live)
        lane = self._budget.lane(state["severity"], spent.total(), so_far, own=spent[box], boxes=self._boxes)
        told = DOUBLE if same_as else lane
        spent[box] += told == ALERT and (before is None or before["told"] != ALERT)
        return {**state, "shift": shift, "told": told, "replayed_at": replayed_at, "same_as": same_as}

    def _promises(self, state: State, before: State) -> list[dict[str, Any]]:
        """What a replay that tells anew promises of its clips: of those that are here already what it did then.

        It has cut others since, which nobody asks it for; what is here is not to look like a forgery.
        """
        c = clips.c
        here = self._connection.execute(select(c.segment, c.sha256).where(c.incident == state["id"]))
        kept = {(row.segment, row.sha256) for row in here}
        then = {clip.get("segment"): clip for clip in before["announced_clips"]}
        return [
            earlier
            if (earlier := then.get(clip.get("segment"))) and (earlier["segment"], earlier.get("sha256")) in kept
            else clip
            for clip in state["announced_clips"]
        ]

    def _spent_of(self, shift: str, of_live: str) -> Counter[EdgeId]:
        """How many alerts each box has told of a shift by now."""
        if shift not in self._spent:
            # What a replay finds had its place among what live told; it takes none from live, though.
            told = (_alerts_of_boxes(self._connection, one) for one in {shift, of_live})
            self._spent[shift] = sum(told, Counter())
        return self._spent[shift]


def alerts_in(connection: Connection, shift: str) -> int:
    """How many alerts a shift has had (`Budget.shift` names it)."""
    query = select(func.count()).where(incidents.c.shift == shift, incidents.c.told == ALERT)
    return connection.execute(query).scalar_one()


def _alerts_of_boxes(connection: Connection, shift: str) -> Counter[EdgeId]:
    """How many of them each box told, by site and edge."""
    c = incidents.c
    query = select(c.site, c.edge, func.count()).where(c.shift == shift, c.told == ALERT).group_by(c.site, c.edge)
    return Counter({(site, edge): count for site, edge, count in connection.execute(query)})


def _takes_over(state: State, before: State) -> bool:
    """Whether a row is brought up to date: what live told is never changed by a replay, and the other way always.

    Raises:
        WireError: It is another edge's, which can't be touched even by who knows its id.
    """
    is_own = state["site"] == before["site"] and state["edge"] == before["edge"]
    replayed = is_replay(state["record"])
    if not is_own and not replayed:
        raise WireError("its incident is another edge's")
    if replayed == (before["replayed_at"] is not None):
        return is_own and _is_newer(state, before)
    return is_own and not replayed


def _is_newer(one: State, two: State) -> bool:
    if one["epoch"] == two["epoch"]:
        return bool(one["seq"] > two["seq"])
    return bool(one["sent_at"] > two["sent_at"])
