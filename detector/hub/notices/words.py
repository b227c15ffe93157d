"""What a notice says: plain text in the target's language, with a link, and never a label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

from detector.clock import iso, on_the_wall
from detector.hub.desk.recurrence import DAYS
from detector.hub.desk.responses import Trip
from detector.hub.notices.services import OVER, Message
from detector.hub.storage.stored import StoredIncident
from detector.hub.texts import LANGUAGES, Phrases, advice
from detector.hub.watch import alarm_words
from detector.hub.watch.alarms import Alarm
from detector.sentences import count_range, labels_exposed, sentence

LATE_S = 600.0
MOST_LINES = 10
LONGEST_LINE = 160


@dataclass(frozen=True, slots=True)
class Words:
    """What is said to one target.

    Attributes:
        say: Its language.
        zone: Of the site's clock.
        public_url: Where the hub is reached; without it there is no link.
        again: Whether it may have been sent before.
    """

    say: Phrases
    zone: ZoneInfo
    public_url: str | None
    again: bool = False

    def about(
        self,
        incident: StoredIncident,
        severity: str,
        *,
        now: float,
        picture: bytes | None = None,
        like: int = 0,
        trips: Sequence[Trip] = (),
    ) -> Message:
        """One incident: its sentence, where, when, how many labels, whether somebody goes there, and what to do.

        Args:
            incident: As it stands now.
            severity: That the notice was raised for.
            now: Unix seconds; what happened long before says that it comes late.
            picture: A small picture with labels blurred.
            like: How many of its kind there were at its place within the days before it.
            trips: Who goes there or was there; a notice leaves the house, so it names nobody.
        """
        say = self.say
        kind = say.either(f"kind_{incident.kind}", incident.kind[:LONGEST_LINE])
        title = f"[{say(f'severity_{severity}')}] {incident.title[:LONGEST_LINE]} · {kind}"
        place = " / ".join(filter(None, (incident.site, incident.title[:LONGEST_LINE], incident.zone)))
        told = sentence(incident.record, say.language)
        lines = [told, say("notice_place", place=place), say("notice_time", time=self._time(incident.started_at))]
        labels = (incident.labels_low, incident.labels_high)
        if incident.labels_high and labels_exposed(*labels, say.language) not in told:
            lines.append(say("notice_labels", count=count_range(*labels)))
        if like:
            lines.append(say("notice_like", n=like + 1, days=DAYS))
        if arrived := [trip.there_at for trip in trips if trip.there_at is not None]:
            lines.append(say("notice_there", time=self._time(min(arrived))))
        elif went := [trip.went_at for trip in trips if trip.went_at is not None]:
            lines.append(say("notice_going", time=self._time(min(went))))
        lines += filter(None, [advice(incident, say, now)])
        if now - incident.ended_at > LATE_S and incident.phase == "end":
            lines.append(say("notice_late", span=say.span(now - incident.ended_at)))
        return self._message(title, lines, severity, f"incidents/{quote(incident.id, safe='')}", picture)

    def summary(
        self, first: Sequence[StoredIncident], count: int, severity: str, reason: str, *, of_digest: bool
    ) -> Message:
        """What came in quiet hours, above the hourly number, or while a service was away: a line each.

        Args:
            first: Incidents in the order that they are to be told in.
            count: How many there are in all.
            severity: The worst.
            reason: Why they come together.
            of_digest: Whether some are in the digest only, which the feed leaves out.
        """
        say = self.say
        lines = [
            _cut(
                f"{self._time(one.started_at)[5:16]} [{say.either(f'severity_{one.severity}', one.severity)}] "
                f"{one.title} · {sentence(one.record, say.language)}"
            )
            for one in first[:MOST_LINES]
        ]
        if count > MOST_LINES:
            lines.append(say("notice_more", n=count - MOST_LINES))
        title = f"[{say(f'severity_{severity}')}] {say(REASONS.get(reason, 'notice_sum_limit'), n=count)}"
        return self._message(title, lines, severity, "?told=all" if of_digest else "")

    def alarm(self, found: Alarm, *, now: float) -> Message:
        """Something is wrong with the system itself, or no longer is: since when, and what to do."""
        say, zone = self.say, self.zone
        severity = OVER if is_end(found) else found.severity
        mark = say("alarm_over" if is_end(found) else f"severity_{severity}")
        title = f"[{mark}] {say('alarms')} · {alarm_words.title(found, say, zone)}"
        span = say.span((now if found.ended_at is None else found.ended_at) - found.began_at)
        key = "alarm_since" if found.is_open else "alarm_lasted"
        since = say(key, time=self._time(found.began_at), span=span)
        lines = [since, *([] if is_end(found) else [alarm_words.advice(found, say, zone)])]
        return self._message(title, lines, severity, "health")

    def alarms(self, found: Sequence[Alarm]) -> Message:
        """Many alarms at about the same time: a line each, worst first, those that are over last."""
        say = self.say
        ranks = {"critical": 0, "warning": 1}
        ordered = sorted(found, key=lambda one: (is_end(one), ranks.get(one.severity, 2), one.began_at))
        marks = [say("alarm_over" if is_end(one) else f"severity_{one.severity}") for one in ordered]
        lines = [
            _cut(f"{self._time(one.began_at)[5:16]} [{mark}] {alarm_words.title(one, say, self.zone)}")
            for mark, one in zip(marks[:MOST_LINES], ordered, strict=False)
        ]
        if len(ordered) > MOST_LINES:
            lines.append(say("notice_more", n=len(ordered) - MOST_LINES))
        all_over = all(is_end(one) for one in ordered)
        title = f"[{marks[0]}] {say('notice_sum_many', n=len(ordered))}"
        return self._message(title, lines, OVER if all_over else ordered[0].severity, "health")

    def test(self, name: str) -> Message:
        """A message that shows that the way is open."""
        return self._message(self.say("notice_test_title"), [self.say("notice_test_text", name=name)], "info", "")

    def _message(
        self, title: str, lines: Sequence[str], severity: str, path: str, picture: bytes | None = None
    ) -> Message:
        """A message of these lines, that it comes again where it does, and a link."""
        again = [self.say("notice_again")] if self.again else []
        link = [f"{self.public_url.rstrip('/')}/{path}"] if self.public_url else []
        return Message(title, "\n".join((*lines, *again, *link)), severity, picture)

    def _time(self, at: float) -> str:
        return on_the_wall(datetime.fromtimestamp(at, self.zone), "%Y-%m-%d %H:%M:%S")


def fields_of(incident: StoredIncident, public_url: str | None) -> dict[str, Any]:
    """One incident for programs, named as in the API: what happened, and where it is to be seen; no picture of it."""
    same = ("id", "site", "edge", "camera", "zone", "kind", "severity", "score", "verdict")
    times = {"started_at": iso(incident.started_at), "ended_at": iso(incident.ended_at)}
    unix = {"started_at_unix": incident.started_at, "ended_at_unix": incident.ended_at}
    clock = {"clock_ahead_s": incident.ahead_s}
    counts = {"low": incident.labels_low, "best": incident.labels_best, "high": incident.labels_high}
    page = f"/incidents/{quote(incident.id, safe='')}"
    return {
        **{name: getattr(incident, name) for name in same}, "camera_title": incident.title, **times, **unix, **clock,
        "labels_exposed": counts, "page": page, "link": f"{public_url.rstrip('/')}{page}" if public_url else None,
        "sentence": {language: sentence(incident.record, language) for language in LANGUAGES},
    }  # fmt: skip


def alarm_fields(found: Alarm) -> dict[str, Any]:
    """An alarm for programs."""
    same = ("number", "kind", "site", "edge", "camera", "severity")
    ended_at = None if found.ended_at is None else iso(found.ended_at)
    return {**{name: getattr(found, name) for name in same}, "began_at": iso(found.began_at), "ended_at": ended_at}


def is_end(found: Alarm) -> bool:
    """Whether what is told of an alarm now is that it is over; of a loss that is never told."""
    return not found.is_open and not found.is_loss


REASONS: Mapping[str, str] = {
    "quiet": "notice_sum_quiet", "limit": "notice_sum_limit", "away": "notice_sum_away", "paused": "notice_sum_paused",
    "late": "notice_sum_late",
}  # fmt: skip


def _cut(line: str) -> str:
    """A line that isn't too long; one that was cut says so, for a part of a number would be read as another."""
    return line if len(line) <= LONGEST_LINE else line[: LONGEST_LINE - 1] + "…"
