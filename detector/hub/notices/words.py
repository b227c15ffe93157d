"""What a notice says: plain text in the target's language, with a link, and never a label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

from detector.clock import iso
from detector.hub.desk.recurrence import DAYS
from detector.hub.notices.services import OVER, Message
from detector.hub.storage.budget import DIGEST
from detector.hub.storage.stored import StoredIncident
from detector.hub.texts import LANGUAGES, Phrases, advice
from detector.hub.watch import alarm_words
from detector.hub.watch.alarms import Alarm
from detector.sentences import count_range, labels_exposed, sentence

LATE_S = 600.0
MOST_LINES = 10
LONGEST_LINE = 160


def about(
    incident: StoredIncident,
    severity: str,
    say: Phrases,
    *,
    zone: ZoneInfo,
    now: float,
    public_url: str | None,
    again: bool = False,
    picture: bytes | None = None,
    like: int = 0,
) -> Message:
    """One incident: its sentence, where, when, how many labels, and what to do.

    Args:
        incident: As it stands now.
        severity: That the notice was raised for.
        say: The target's language.
        zone: Of the site's clock.
        now: Unix seconds; what happened long before says that it comes late.
        public_url: Where the hub is reached; without it there is no link.
        again: Whether it may have been sent before.
        picture: A small picture with labels blurred.
        like: How many of its kind there were at its place within the days before it.
    """
    kind = say.either(f"kind_{incident.kind}", incident.kind[:LONGEST_LINE])
    title = f"[{say(f'severity_{severity}')}] {incident.title[:LONGEST_LINE]} · {kind}"
    place = " / ".join(filter(None, (incident.site, incident.title[:LONGEST_LINE], incident.zone)))
    told = sentence(incident.record, say.language)
    lines = [
        told,
        say("notice_place", place=place),
        say("notice_time", time=_time(incident.started_at, zone)),
    ]
    labels = (incident.labels_low, incident.labels_high)
    if incident.labels_high and labels_exposed(*labels, say.language) not in told:
        lines.append(say("notice_labels", count=count_range(*labels)))
    if like:
        lines.append(say("notice_like", n=like + 1, days=DAYS))
    lines += filter(None, [advice(incident, say, now)])
    if now - incident.ended_at > LATE_S and incident.phase == "end":
        lines.append(say("notice_late", span=say.span(now - incident.ended_at)))
    if again:
        lines.append(say("notice_again"))
    if public_url:
        lines.append(f"{public_url.rstrip('/')}/incidents/{quote(incident.id, safe='')}")
    return Message(title, "\n".join(lines), severity, picture)


def summary(
    incidents: Sequence[StoredIncident],
    severity: str,
    reason: str,
    say: Phrases,
    *,
    zone: ZoneInfo,
    public_url: str | None,
    again: bool = False,
) -> Message:
    """What came in quiet hours, above the hourly number, or while the service was away: a line each, worst first."""
    ranks = {"critical": 0, "warning": 1}
    ordered = sorted(incidents, key=lambda one: (ranks.get(one.severity, 2), one.started_at))
    lines = [
        _cut(
            f"{_time(one.started_at, zone)[5:16]} [{say.either(f'severity_{one.severity}', one.severity)}] "
            f"{one.title} · {sentence(one.record, say.language)}"
        )
        for one in ordered[:MOST_LINES]
    ]
    if len(ordered) > MOST_LINES:
        lines.append(say("notice_more", n=len(ordered) - MOST_LINES))
    if again:
        lines.append(say("notice_again"))
    if public_url:
        # The feed leaves out what is in the digest only.
        told = "?told=all" if any(one.told == DIGEST for one in incidents) else ""
        lines.append(f"{public_url.rstrip('/')}/{told}")
    title = f"[{say(f'severity_{severity}')}] {say(REASONS.get(reason, 'notice_sum_limit'), n=len(ordered))}"
    return Message(title, "\n".join(lines), severity)


def alarm(
    found: Alarm, say: Phrases, *, zone: ZoneInfo, now: float, public_url: str | None, again: bool = False
) -> Message:
    """Something is wrong with the system itself, or no longer is: since when, and what to do.

    Args:
        found: As it stands now.
        say: The target's language.
        zone: Of the site's clock.
        now: Unix seconds.
        public_url: Where the hub is reached; without it there is no link.
        again: Whether it may have been sent before.
    """
    severity = OVER if is_end(found) else found.severity
    mark = say("alarm_over" if is_end(found) else f"severity_{severity}")
    text = f"[{mark}] {say('alarms')} · {alarm_words.title(found, say, zone)}"
    ended = now if found.ended_at is None else found.ended_at
    span = say.span(ended - found.began_at)
    since = say("alarm_since" if found.is_open else "alarm_lasted", time=_time(found.began_at, zone), span=span)
    lines = [since, *([] if is_end(found) else [alarm_words.advice(found, say, zone)])]
    if again:
        lines.append(say("notice_again"))
    if public_url:
        lines.append(f"{public_url.rstrip('/')}/health")
    return Message(text, "\n".join(lines), severity)


def fields_of(incident: StoredIncident, public_url: str | None) -> dict[str, Any]:
    """One incident for programs, named as in the API: what happened, and where it is to be seen; no picture of it."""
    same = ("id", "site", "edge", "camera", "zone", "kind", "severity", "score", "verdict")
    times = {"started_at": iso(incident.started_at), "ended_at": iso(incident.ended_at)}
    unix = {"started_at_unix": incident.started_at, "ended_at_unix": incident.ended_at}
    counts = {"low": incident.labels_low, "best": incident.labels_best, "high": incident.labels_high}
    page = f"/incidents/{quote(incident.id, safe='')}"
    return {
        **{name: getattr(incident, name) for name in same}, "camera_title": incident.title, **times, **unix,
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


def test(say: Phrases, name: str, *, public_url: str | None) -> Message:
    """A message that shows that the way is open."""
    lines = [say("notice_test_text", name=name), *([f"{public_url.rstrip('/')}/"] if public_url else [])]
    return Message(say("notice_test_title"), "\n".join(lines), "info")


REASONS: Mapping[str, str] = {
    "quiet": "notice_sum_quiet", "limit": "notice_sum_limit", "away": "notice_sum_away", "paused": "notice_sum_paused",
    "late": "notice_sum_late",
}  # fmt: skip


def _cut(line: str) -> str:
    """A line that isn't too long; one that was cut says so, for a part of a number would be read as another."""
    return line if len(line) <= LONGEST_LINE else line[: LONGEST_LINE - 1] + "…"


def _time(at: float, zone: ZoneInfo) -> str:
    return f"{datetime.fromtimestamp(at, zone):%Y-%m-%d %H:%M:%S}"
