"""Published replays come in by HTTP, signed by their edge, and are stored; what became of each envelope leaves."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from detector import wire
from detector.clock import Clock
from detector.errors import WireError
from detector.hub.access.audit import Audit
from detector.hub.edges.keys import CLAIM_LIFE_S, EdgeKeys
from detector.hub.storage.arrivals import AHEAD_S
from detector.hub.storage.store import Store
from detector.hub.storage.stored import EdgeId
from detector.hub.upkeep.retention import Retention
from detector.names import is_name
from detector.wire.replays import DOUBLE, KNOWN, MOST, NEW, REFUSED, Answer, answers_payload, bringer, check

logger = logging.getLogger(__name__)

# Each is held in memory whole. Who doesn't say who they are may take their time with it, in a place that no edge is in.
AT_ONCE, STRANGERS = 3, 1


class ReplayIntake:
    """Takes in what replays found.

    Args:
        store: Where it goes.
        keys: Of the edges.
        key: The hub's: the answer is signed with it.
        retention: Knows whose footage was deleted: a replay doesn't bring it back.
        audit: Is told who published how much.
        clock: Tells the time.
        on_stored: Called when something new is there.
    """

    def __init__(
        self,
        store: Store,
        keys: EdgeKeys,
        key: Ed25519PrivateKey,
        retention: Retention,
        audit: Audit,
        clock: Clock,
        on_stored: Callable[[], None],
    ) -> None:
        self._store, self._keys, self._key = store, keys, key
        self._retention, self._audit, self._clock = retention, audit, clock
        self._on_stored = on_stored
        # In the event loop's thread only: who is being read; `None` is somebody unknown.
        self._here: list[EdgeId | None] = []

    def who(self, site: str, edge: str, headers: Mapping[str, str]) -> EdgeId | None:
        """The edge that publishes, if the headers of its request say so and are believed; put on record as such."""
        try:
            fields, now = bringer(headers, site, edge), self._clock.now()
            self._keys.believe(fields, signed_at=fields["at"], at=now)
        except WireError:
            return None
        if abs(fields["at"] - now) > CLAIM_LIFE_S:
            return None
        self._store.edges.note_replaying(site, edge)
        return site, edge

    @contextmanager
    def place(self, who: EdgeId | None) -> Iterator[bool]:
        """A place for a body to be read in, once for each edge; whether there was one."""
        same = [one for one in self._here if (one is None) == (who is None)]
        has_place = len(same) < STRANGERS if who is None else who not in same and len(same) < AT_ONCE
        if has_place:
            self._here.append(who)
        try:
            yield has_place
        finally:
            if has_place:
                self._here.remove(who)

    def take(self, site: str, edge: str, body: bytes) -> bytes:
        """Store envelopes, a line each; the signed answer.

        Raises:
            WireError: There is no such edge, nothing in it, or too much; or none of it may be believed.
        """
        lines = [line for line in body.split(b"\n") if line.strip()]
        if not (is_name(site) and is_name(edge)):
            raise WireError("site or edge is no name that a configuration may give")
        if not 0 < len(lines) <= MOST:
            raise WireError(f"not between 1 and {MOST} envelopes")
        topics, now = wire.Topics(site, edge), self._clock.now()
        believed: list[Mapping[str, Any]] = []
        answers: dict[str, Answer] = {}
        refused: WireError | None = None
        with self._keys.together():
            for line in lines:
                try:
                    believed.append(self._believed(topics, line, now))
                except WireError as error:
                    refused = error
        if not believed:
            raise refused or WireError("nothing in it")
        new = self._stored(believed, answers, now)
        for fields in believed:
            if fields["id"] not in answers:
                answers[fields["id"]] = self._answer(fields, is_new=fields["id"] in new)
        self._put_on_record(site, edge, answers, new, now)
        return wire.to_edge(topics.ack, answers_payload(list(answers.values())), self._key, now)

    def _believed(self, topics: wire.Topics, line: bytes, now: float) -> Mapping[str, Any]:
        fields = wire.decode_alert(topics.alerts, line)
        check(fields)
        sent_at = float(fields["sent_at_unix"])
        self._keys.believe(fields, signed_at=sent_at, at=now)
        if not sent_at <= now + AHEAD_S:
            raise WireError("from the future: is a clock wrong?")
        return fields

    def _stored(self, believed: list[Mapping[str, Any]], answers: dict[str, Answer], now: float) -> set[str]:
        """Ids that are new. One that the store doesn't take is no reason to refuse the rest."""
        try:
            return set(self._store.add_alerts(believed, now))
        except WireError:
            logger.warning("published incidents could not be stored together; trying one by one")
        new: set[str] = set()
        for fields in believed:
            try:
                new.update(self._store.add_alerts([fields], now))
            except WireError as error:
                answers[fields["id"]] = Answer(fields["id"], REFUSED, why=str(error)[:200])
        return new

    def _answer(self, fields: Mapping[str, Any], *, is_new: bool) -> Answer:
        own = str(fields["after"]["id"])
        shown = self._store.incident(own)
        known = [shown, *self._store.doubles(shown.id)] if shown else []
        stored = next((one for one in known if one.id == own), None)
        if shown is None or stored is None:
            return Answer(fields["id"], REFUSED, why="the hub could not make an incident of it")
        outcome = KNOWN if not is_new else NEW if shown.id == own else DOUBLE
        wants_clip = (
            not self._store.with_clips([shown.id if stored.camera == shown.camera else own])
            and not self._retention.lets_go_of(shown.id)
            and not self._retention.lets_go_of(own)
        )
        return Answer(fields["id"], outcome, shown.id, wants_clip)

    def _put_on_record(self, site: str, edge: str, answers: Mapping[str, Answer], new: set[str], now: float) -> None:
        if not new:
            return
        outcomes = [answers[one].outcome for one in new]
        counts = {"incidents": outcomes.count(NEW), "confirmed": outcomes.count(DOUBLE)}
        with self._store.database.writing() as connection:
            self._audit.add(connection, now, f"{site}/{edge}", "replay_published", f"{site}/{edge}", **counts)
        self._on_stored()
