"""Looks round every ten seconds for what is wrong with the system, has alarms raised, and who is to know be told."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Callable, Sequence
from pathlib import Path

from detector.clock import Clock, Correction, SystemClock
from detector.config import AlarmsConfig
from detector.credentials.authority import first_end
from detector.hub.background import Background, attempt
from detector.hub.edges.keys import EdgeKeys
from detector.hub.storage.store import Store
from detector.hub.watch.alarms import Alarms, Place, Sign, kind_of
from detector.hub.watch.floods import Floods
from detector.hub.watch.health import Health
from detector.hub.watch.signs import HubNow, is_fresh, signs
from detector.values import DAY_S

logger = logging.getLogger(__name__)

EVERY_S = 10.0
CHECK_EVERY_S = DAY_S  # the whole database is read that often
FIRST_CHECK_S = 600.0
CERTIFICATES_EVERY_S = 3600.0


class Watchman:
    """A thread that judges.

    Args:
        alarms: Kept there.
        store: Knows the edges.
        keys: Knows which of them are in service.
        health: Knows how the hub stands; must have begun.
        config: Thresholds.
        clock: Tells the time.
        reserve_bytes: Of the hub's disk.
        poke: Called when alarms were opened or closed.
        damaged: Told what is damaged in the database.
        key: The hub's public key, base64.
        certificates: Files of those that the hub, or its broker, needs.
    """

    def __init__(
        self,
        alarms: Alarms,
        store: Store,
        keys: EdgeKeys,
        health: Health,
        config: AlarmsConfig,
        clock: Clock,
        reserve_bytes: int = 0,
        poke: Callable[[], None] = lambda: None,
        damaged: Callable[[str], None] = lambda _what: None,
        key: str = "",
        certificates: Sequence[Path] = (),
    ) -> None:
        self._alarms = alarms
        self._store = store
        self._keys = keys
        self._health = health
        self._config = config
        self._clock = clock
        self._reserve_bytes = reserve_bytes
        self._poke = poke
        self._damaged = damaged
        self._key = key
        self._certificates = certificates
        self._first_end: tuple[float, float | None] | None = None  # when looked, and what was found
        self._floods = Floods(store.database, health.gaps)
        self._correction = Correction(clock)
        self._put_back_told = False
        self._told_from: float | None = None
        self._check_at = clock.now() + FIRST_CHECK_S
        self._background = Background("watchman", self._run)

    def start(self) -> None:
        """Tell how long the hub was away, then look round until told to stop."""
        self._try(self._tell_absence)
        self._background.start()

    def stop(self, timeout_s: float = 3.0) -> None:
        """End."""
        self._background.stop(timeout_s)

    def _run(self) -> None:
        while self._background.pause(EVERY_S):
            self._try(self.follow_clock)
            self._try(self._tell_absence)
            self._try(self.look_round)
            if self._clock.now() >= self._check_at:
                self._check_at = self._clock.now() + CHECK_EVERY_S
                self._try(self._store.database.check)

    def _try(self, step: Callable[[], object]) -> None:
        attempt(step, logger, "alarms can't be judged")

    def _tell_absence(self) -> None:
        down_from, back_at = self._health.down_from, self._health.back_at
        if down_from is None or down_from == self._told_from:
            return
        if back_at - down_from > 60 * self._config.hub_down_min:
            self._alarms.note(absence(down_from, back_at), self._clock.now())
        self._told_from = down_from

    def follow_clock(self) -> None:
        """Go on by the machine's clock where that was set, or went on while the machine slept.

        Put forward, ours is put forward as well, as if the hub had been away meanwhile: so it stands on record, and
        nobody who couldn't be heard is called silent. Put back, only a new process can follow, since within one no
        time may come twice: where there is somebody who starts it again the hub ends, else it says what to do.
        """
        apart_s = self._correction.seen_s()
        if not apart_s or not isinstance(self._clock, SystemClock):
            return
        if apart_s > 0:
            logger.warning("the machine's clock was put forward by %.1f s, and the hub's with it", apart_s)
            self._clock.follow()
            self._health.begin()
            self._told_from = self._health.down_from  # what slept, or was wrong, is the machine
        elif not self._put_back_told:
            self._put_back_told = True
            logger.error("the machine's clock was put back by %.1f s: the hub is to be started again", -apart_s)
            if "NOTIFY_SOCKET" in os.environ:
                os.kill(os.getpid(), signal.SIGTERM)

    def look_round(self) -> None:
        """Judge what is wrong now."""
        now = self._clock.now()
        if self._store.database.damage:
            self._damaged(self._store.database.damage)
        edges = self._keys.in_service(self._store.edges.all())
        standing = {alarm.place for alarm in self._alarms.open()}
        hub = HubNow(
            self._health.hub(), self._health.listening_since, self._health.broker_lost_since, self._reserve_bytes,
            self._store.database.damage, self._key, self._certificate_ends_at(now),
        )  # fmt: skip
        floods = self._keys.in_service(self._floods.count(now))
        found = signs(
            edges, hub, self._config, now, standing, self._keys.knocks.all(), floods,
            self._store.edges.only_replaying(), self._health.gaps.unheard,
        )  # fmt: skip
        known = {(edge.site, edge.edge): edge for edge in edges}

        def is_unseen(place: Place) -> bool:
            """What shows in an edge's reports is not known without them; of one out of service, all is over."""
            kind, site, name, _camera = place
            edge = known.get((site, name))
            if edge is None:
                return False
            could_see = {"reports": is_fresh(edge, now), "silence": hub.listening_since is not None, "books": True}
            return not could_see[kind_of(kind).seen_in]

        if self._alarms.judge(found, now, is_unseen):
            self._poke()

    def _certificate_ends_at(self, now: float) -> float | None:
        """When the first certificate ends; files are read now and then only."""
        if self._first_end is None or now - self._first_end[0] >= CERTIFICATES_EVERY_S:
            self._first_end = now, first_end(self._certificates)
        return self._first_end[1]


def absence(down_from: float, back_at: float) -> Sign:
    """The hub itself was not running, or had no database."""
    return Sign("hub_down", since=down_from, count=round(back_at), facts={"from": down_from, "to": back_at})
