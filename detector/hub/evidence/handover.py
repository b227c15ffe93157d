"""A case and what its pack holds come in; the hand-over sheet for the police leaves: one page of A4, one HTML file.

Pictures in it are those that came with the alerts, whose labels the edge had blurred.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from jinja2 import Environment, PackageLoader, StrictUndefined

from detector.clock import KernelClock, on_the_wall
from detector.hub.desk.responses import Trip
from detector.hub.evidence.cases import Case
from detector.hub.evidence.figures import CaseTotals, time_line
from detector.hub.storage.harm import harm
from detector.hub.storage.stored import CLEARED, StoredIncident, told_number
from detector.hub.texts import Phrases
from detector.sentences import count_range
from detector.version import VERSION
from detector.wire.evidence import grouped

# What one page has room for; the rest is named by its number and stands in `case.json` and `manifest.json`.
MOST_INCIDENTS, MOST_RECORDINGS, MOST_STILLS, MOST_EDGES, MOST_DAYS, MOST_NUMBERS = 5, 5, 4, 2, 4, 8
LONGEST_TEXT = 200

TEMPLATES = Environment(
    loader=PackageLoader("detector.hub"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
    lstrip_blocks=True,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Edge:
    """What is known of an edge; `None` where it isn't.

    Attributes:
        site: Its site.
        edge: Its name.
        public_key: Base64 of the raw key that it signs with.
        earlier_keys: Those that it signed with before, and one that was revoked.
        version: Of labelwatch there.
        model_sha256: Of the file of its model.
        config_sha256: Of its configuration as canonical JSON.
        clock_synchronised: Whether a time server disciplines its clock.
        clock_error_s: How wrong its clock may be, as its kernel says.
        clock_offset_s: How far its clock is ahead of the hub's, as the hub measured; too low by the way of a report.
        reported_at: When it said so, Unix seconds.
        quickest_alert_s: Least time from an alert's time of sending, by the edge's clock, to its arrival, by the hub's:
            the edge's clock was ahead of the hub's by no less than this below nought.
    """

    site: str
    edge: str
    public_key: str | None
    version: str | None
    model_sha256: str | None
    config_sha256: str | None
    clock_synchronised: bool | None
    clock_error_s: float | None
    clock_offset_s: float | None
    reported_at: float | None
    quickest_alert_s: float | None
    earlier_keys: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        site: str,
        edge: str,
        keys: Sequence[str],
        health: Mapping[str, Any],
        *,
        clock_offset_s: float | None,
        reported_at: float | None,
        quickest_alert_s: float | None,
    ) -> Edge:
        """From its newest health report, of which nothing can be relied on to be there, and its keys, newest first."""
        told = health.get("clock")
        clock = told if isinstance(told, dict) else {}
        synchronised, error = clock.get("synchronised"), clock.get("error_s")
        return cls(
            site,
            edge,
            keys[0] if keys else None,
            _text(health.get("version")),
            _text(health.get("model_sha256")),
            _text(health.get("config_sha256")),
            synchronised if isinstance(synchronised, bool) else None,
            told_number(error),
            clock_offset_s,
            reported_at,
            quickest_alert_s,
            tuple(keys[1:]),
        )


def _text(value: object) -> str | None:
    return value[:200] if isinstance(value, str) and value else None


@dataclass(frozen=True, slots=True)
class Recording:
    """A segment of an incident: its file in the pack, `None` where it isn't there, and what is known of it.

    `number` is that of the incident in the pack.
    `state` is `matches` (as the edge signed), `unannounced` (not signed), `differs` (not what it signed), `missing`
    (signed, never came), `deleted` (as retention or a full disk asked for), `lost` (no longer on the hub's disk),
    `damaged` (changed on the hub's disk).
    """

    number: int
    incident: StoredIncident
    segment: int
    state: str
    file: str | None
    side: str | None
    sha256: str | None
    size: int | None
    started_at: float | None
    duration_s: float | None


@dataclass(frozen=True, slots=True)
class Sheet:
    """What the sheet tells: JPEGs (`stills`) and who went there (`trips`) by incident, the hub's `clock`, and its key's
    fingerprint (`key`).
    """

    case: Case
    incidents: tuple[StoredIncident, ...]
    totals: CaseTotals
    recordings: tuple[Recording, ...]
    stills: Mapping[str, bytes]
    trips: Mapping[str, Sequence[Trip]]
    edges: tuple[Edge, ...]
    made_by: str
    made_at: float
    timezone: str
    key: str
    clock: KernelClock | None
    log_head: Mapping[str, Any] | None


class _Words:
    """Times and texts of a sheet in one language."""

    def __init__(self, told: Sheet, language: str) -> None:
        self.say = Phrases(language)
        self._zone = ZoneInfo(told.timezone)

    def time(self, at: float | None) -> str:
        """`09:26:13`; a dash where it isn't known."""
        return "–" if at is None else on_the_wall(self._local(at), "%H:%M:%S")

    def day(self, at: float) -> str:
        """`2026-11-01`."""
        return f"{self._local(at):%Y-%m-%d}"

    def there(self, listed: Sequence[tuple[int, StoredIncident]], trips: Mapping[str, Sequence[Trip]]) -> str:
        """Of numbered incidents, when the first was there and what was found; empty where nobody was anywhere."""
        told = []
        for number, incident in listed:
            arrived = [(trip.there_at, trip.found) for trip in trips.get(incident.id, ()) if trip.there_at is not None]
            if arrived:
                found = dict.fromkeys(self.say.either(f"there_{found}", found) for _, found in arrived if found)
                told.append(self.say("comma").join((f"#{number} {self.time(min(arrived)[0])}", *found)))
        return self.say("semicolon").join(told)

    def numbers(self, recordings: Iterable[Recording]) -> str:
        """Of which incidents some recordings are: `#2, #5`, as many as there is room for."""
        found = list(dict.fromkeys(f"#{one.number}" for one in recordings))
        return self.say("comma").join(found[:MOST_NUMBERS]) + ("…" if len(found) > MOST_NUMBERS else "")

    def offsets(self, told: Sheet) -> str:
        """How far the sheet's times are from UTC: `+08:00`; where clocks were changed between them, from when on."""
        found: list[str] = []
        before = ""
        for at in sorted([*(one.started_at for one in told.incidents), told.made_at]):
            local = self._local(at)
            offset = local.isoformat()[-6:]
            if offset != before:
                since = on_the_wall(local, "%Y-%m-%d %H:%M")
                found.append(self.say("sheet_offset_from", since=since, offset=offset) if before else offset)
            before = offset
        return self.say("comma").join(found)

    def _local(self, at: float) -> datetime:
        return datetime.fromtimestamp(at, self._zone)

    def kernel(self, synchronised: bool | None, error_s: float | None) -> str:
        """What a machine's kernel says of its clock."""
        if synchronised is None:
            return self.say("sheet_clock_unknown")
        if not synchronised:
            return self.say("sheet_clock_free")
        return self.say("sheet_clock_synchronised", s=f"{error_s or 0:.2g}")

    def clock(self, edge: Edge) -> str:
        """What is known of an edge's clock against the hub's."""
        words = self.kernel(edge.clock_synchronised, edge.clock_error_s)
        if edge.clock_offset_s is None:
            return f"{words}{self.say('semicolon')}{self.say('sheet_offset_unknown')}"
        ahead = "sheet_ahead" if edge.clock_offset_s >= 0 else "sheet_behind"
        return f"{words}{self.say('semicolon')}{self.say(ahead, s=f'{abs(edge.clock_offset_s):.2f}')}"

    @staticmethod
    def size(n: float) -> str:
        """Bytes as people read them."""
        for unit in ("B", "KiB", "MiB", "GiB"):
            if n < 1024 or unit == "GiB":
                break
            n /= 1024
        return f"{n:.0f} {unit}" if unit == "B" or n >= 100 else f"{n:.1f} {unit}"


def _least(numbered: tuple[int, StoredIncident]) -> tuple[bool, int]:
    """Sorts what a sheet has room for to the front: what counts, and of that the worst."""
    _, incident = numbered
    return incident.verdict in CLEARED, -harm(incident.severity, incident.labels_high, incident.kind)


def sheet(told: Sheet, language: str) -> str:
    """The sheet as HTML that needs nothing else, `zh` or `en`."""
    words = _Words(told, language)
    worst = sorted(enumerate(told.incidents, 1), key=_least)
    seen = [incident for _, incident in worst if incident.id in told.stills]
    stills = [
        (incident, base64.b64encode(told.stills[incident.id]).decode())
        for incident in sorted(seen[:MOST_STILLS], key=lambda one: one.started_at)
    ]
    return TEMPLATES.get_template("handover.html").render(
        told=told,
        words=words,
        say=words.say,
        stills=stills,
        listed=sorted(worst[:MOST_INCIDENTS], key=lambda numbered: numbered[0]),
        unended=sum(incident.phase != "end" for incident in told.incidents),
        line=time_line(told.incidents, ZoneInfo(told.timezone)),
        most={"incidents": MOST_INCIDENTS, "recordings": MOST_RECORDINGS, "edges": MOST_EDGES, "days": MOST_DAYS},
        longest=LONGEST_TEXT,
        count_range=count_range,
        grouped=grouped,
        version=VERSION,
    )
