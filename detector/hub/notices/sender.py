"""Sends notices: one thread looks through changes, and each target has at most one more, which sends.

So a service that hangs keeps nobody but itself waiting, and never the hub. All that counts stands in the database.
"""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any
from zoneinfo import ZoneInfo

from detector.clock import Clock, iso
from detector.config import HubConfig
from detector.hub.background import Background, attempt
from detector.hub.desk.overview import Overview
from detector.hub.desk.recurrence import DAYS
from detector.hub.desk.responses import Responses, trips
from detector.hub.notices.queue import Notice, Notices
from detector.hub.notices.raising import alarm_number, is_alarm
from detector.hub.notices.services import OVER, Answer, Message, NoticeError, send
from detector.hub.notices.targets import Target
from detector.hub.notices.words import Words, alarm_fields, fields_of, is_end
from detector.hub.storage.budget import RANKS, rank
from detector.hub.storage.store import Store
from detector.hub.storage.stored import CLEARED
from detector.hub.texts import Phrases
from detector.hub.watch.alarms import Alarms
from detector.values import DAY_S

logger = logging.getLogger(__name__)

LOOK_EVERY_S = 5.0
TIDY_EVERY_S = 3600.0
MOST_LISTED = 200  # incidents of a summary, for programs; `changed_since` of the API tells all

WORDS = {grave: severity for severity, grave in RANKS.items()}

Send = Callable[..., Answer]


class NoticeSender:
    """Takes notices out of the queue and sends them.

    Args:
        notices: The queue, an attribute too.
        store: Has what incidents were.
        config: Its `timezone` and `public_url` are written into notices.
        clock: Tells the time.
        send: Brings a message to an address; never raises.
    """

    def __init__(self, notices: Notices, store: Store, config: HubConfig, clock: Clock, send: Send = send) -> None:
        self.notices = notices
        self._store = store
        self._alarms = Alarms(store.database)
        self._overview = Overview(store.database)
        self._responses = Responses(store.database)
        self._zone = ZoneInfo(config.timezone)
        self._public_url = config.public_url
        self._clock = clock
        self._send = send
        self._lock = threading.Lock()
        self._busy: dict[int, threading.Thread] = {}
        self._background = Background("notices", self._run)
        self._tidied_at = 0.0

    def start(self) -> None:
        """Take up what an earlier run left, then send what comes."""
        if left := self.notices.take_up():
            logger.warning("%d notices were being sent when the hub ended; they may come twice", left)
        self.notices.raising.look_through(self._clock.now())
        self._background.start()

    def poke(self) -> None:
        """Something has changed; from any thread."""
        self._background.poke()

    def stop(self, timeout_s: float = 2.0) -> None:
        """End; what is being sent now has so long to come to its end, or else goes again after the next start."""
        self._background.stop(timeout_s)
        for thread in list(self._busy.values()):
            thread.join(timeout_s)

    def _run(self) -> None:
        while self._background.pause(LOOK_EVERY_S):
            self.step()

    def step(self) -> None:
        """Look through what changed, and begin to send what is due."""
        attempt(self._look_through, logger, "notices can't be looked through")

    def _look_through(self) -> None:
        now = self._clock.now()
        while not self._background.stopping and self.notices.raising.look_through(now):
            pass
        self.notices.raising.tell_alarms(now)
        self.notices.raising.gather(now)
        with self._lock:
            self._busy = {target: thread for target, thread in self._busy.items() if thread.is_alive()}
            if left := self.notices.put_back_left(now, list(self._busy)):
                logger.warning("%d notices were being sent when the database failed; they may come twice", left)
            for target in self.notices.due(now, list(self._busy)):
                thread = threading.Thread(target=self._serve, args=(target,), name=f"notice-{target}", daemon=True)
                self._busy[target] = thread
                thread.start()
        if now - self._tidied_at > TIDY_EVERY_S:
            self._tidied_at = now
            self.notices.tidy()

    def _serve(self, target: int) -> None:
        """Send a target's notices one after the other, until none is due or one fails."""
        try:
            while not self._background.stopping:
                due = self.notices.due(self._clock.now()).get(target)
                if due is None or not self._deliver(target, due):
                    return
        except Exception:  # whatever it is, the next look begins anew
            logger.exception("a notice can't be sent")

    def _deliver(self, number: int, due: int) -> bool:
        target = self.notices.targets.find(number)
        notice = self.notices.begin(due, self._clock.now())
        if notice is None:
            return True
        tried = False
        try:
            if target is None:
                self.notices.drop(notice, "target_removed")
                return True
            message = self._message(notice, target)
            if message is None:
                self.notices.drop(notice, "cleared")
                return True
            tried = True
            answer = self.bring(target, message)
            self.notices.settle(notice, answer, self._clock.now())
        except Exception:  # where this fails too, the next look puts it back
            self.notices.put_back(notice, self._clock.now(), unsure=tried)
            raise
        if not answer.ok:
            logger.warning("notice %d of %s was not taken: %s", notice.number, ascii(target.name), answer.text)
        return answer.ok

    def bring(self, target: Target, message: Message) -> Answer:
        """Send a message to a target now, and say what its service answered."""
        try:
            address = self.notices.targets.address(target)
        except NoticeError as error:
            return Answer(False, f"nothing was sent: {error}", cause=str(error))
        return self._send(address, message, service=target.service)

    def test(self, target: Target) -> Answer:
        """Send a test message now, and say what the service answered."""
        notice = self.notices.add_test(target, self._clock.now())
        message = self._words(target).test(target.name)
        answer = self.bring(target, replace(message, fields=_head(notice)))
        self.notices.settle(notice, answer, self._clock.now())
        return answer

    def _message(self, notice: Notice, target: Target) -> Message | None:
        """What a notice says; `None` where people have cleared what it is about, or it is gone."""
        now, words = self._clock.now(), self._words(target, again=notice.reason == "again")
        if notice.what == "alarm":
            alarm = self._alarms.alarm(alarm_number(notice.incident))
            if alarm is None:
                return None
            if is_end(alarm):
                notice = self.notices.make_end(notice)
            return replace(words.alarm(alarm, now=now), fields={**_head(notice), "alarm": alarm_fields(alarm)})
        if notice.what == "summary":
            return self._summary(notice, words)
        one, shown = next(iter(self._store.incidents([notice.incident])), None), self._store.incident(notice.incident)
        if one is None or shown is None or {one.verdict, shown.verdict}.intersection(CLEARED):
            return None
        fields = {**_head(notice), "incidents": [fields_of(one, self._public_url)], "count": 1}
        picture = self._store.snapshot(one.id) if target.picture else None
        like = len(self._overview.like(one, one.started_at - DAYS * DAY_S, one.started_at))
        standing = trips(self._responses.steps([one.id]))
        message = words.about(one, notice.severity, now=now, picture=picture, like=like, trips=standing)
        return replace(message, fields=fields)

    def _summary(self, notice: Notice, words: Words) -> Message | None:
        if any(is_alarm(name) for name in self.notices.summed(notice.number, 1)):
            return self._alarms_summary(notice, self.notices.summed(notice.number), words)
        self.notices.leave_out_cleared(notice.number)
        told = self.notices.summed_up(notice.number, MOST_LISTED)
        place = {name: n for n, name in enumerate(told.first)}
        listed = sorted(self._store.incidents(told.first), key=lambda one: place[one.id])
        if not listed:
            return None
        these = {"incidents": [fields_of(one, self._public_url) for one in listed], "count": told.count}
        # The worst may be cleared by now; what grew worse is told by itself.
        severity = WORDS[min(rank(notice.severity), max(rank(one.severity) for one in listed))]
        message = words.summary(listed, told.count, severity, notice.reason, of_digest=told.digested > 0)
        return replace(message, fields={**_head(notice), "severity": severity, **these})

    def _alarms_summary(self, notice: Notice, names: Sequence[str], words: Words) -> Message | None:
        numbers = sorted({alarm_number(name) for name in names})
        found = [alarm for number in numbers if (alarm := self._alarms.alarm(number)) is not None]
        if not found:
            return None
        ends = [alarm.number for alarm in found if is_end(alarm)]
        self.notices.make_ends(notice, ends)
        these = {"alarms": [alarm_fields(alarm) for alarm in found[:MOST_LISTED]], "count": len(found)}
        message = words.alarms(found)
        severity = notice.severity if message.severity == OVER else message.severity
        return replace(message, fields={**_head(notice, ends), "severity": severity, **these})

    def _words(self, target: Target, *, again: bool = False) -> Words:
        return Words(Phrases(target.language), self._zone, self._public_url, again)


def _head(notice: Notice, ends: Sequence[int] = ()) -> dict[str, Any]:
    """What a notice is, for programs; its `id` is the same however often it is sent.

    But another once it tells that alarms are over: whoever had it when they lasted would pass it over. `ends` are the
    numbers of those that a summary tells of.
    """
    over = "".join(f"\n{number}" for number in ends)
    unique = f"{notice.target}\n{notice.incident}\n{notice.severity}\n{notice.created_at}{over}"
    return {
        "id": f"msg_{hashlib.sha256(unique.encode()).hexdigest()[:32]}", "type": notice.what,
        "severity": notice.severity, "again": notice.reason == "again", "timestamp": iso(notice.created_at),
    }  # fmt: skip
