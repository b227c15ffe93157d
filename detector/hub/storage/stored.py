"""What the hub's memory gives out: incidents, clips, verdicts and edges, as values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from detector.facts import count
from detector.sentences import photos_counted
from detector.values import DAY_S, Severity

EdgeId = tuple[str, str]  # of an edge box: its site and its name

VERDICTS = ("true", "authorised", "false", "unclear")
CLEARED = ("authorised", "false")
LARGEST = 2.0**53  # what every reader of JSON counts exactly
LATEST_TIME = 2.0**37  # the year 6325: calendars reach no further than 9999
# Edges go on telling of what goes on, and end it soon after the last word; what lasts, at each doubling of its length.
UNHEARD_S, UNHEARD_TIMES = 3600.0, 1.25  # the latter times its length: as long again, with some patience
AWAITED_S = DAY_S  # a clip, after the last word


@dataclass(frozen=True, slots=True)
class StoredIncident:
    """An incident as last told by its edge, with what people added.

    `record` is the envelope's `after`; `announced_clips` the segments its `end` envelope promised; `snapshot` the
    number of the alert that brought the newest picture; `told` the lane it is in, `alert` or `digest`, or `double`
    where `same_as` names the incident that is shown instead; `replayed_at` is when a replay brought it, Unix seconds,
    and `None` where it was found while it happened; `spot` is the piece of floor, where other cameras show it too.
    """

    id: str
    site: str
    edge: str
    phase: str
    kind: str
    severity: str
    started_at: float
    ended_at: float
    labels_low: int
    labels_best: int
    labels_high: int
    record: dict[str, Any]
    announced_clips: list[dict[str, Any]]
    verdict: str | None
    snapshot: int | None
    camera: str
    zone: str | None
    score: float
    told: str
    replayed_at: float | None = None
    same_as: str | None = None
    spot: str | None = None
    unsure: bool = False

    @property
    def cursor(self) -> tuple[float, str]:
        """Its place in the feed."""
        return self.started_at, self.id

    def goes_on(self, now: float) -> bool:
        """Whether it does at Unix time `now`, as far as is known: the word that it is over may be lost with its box."""
        return self.phase != "end" and now < self.unheard_at

    @property
    def unheard_at(self) -> float:
        """From when on (Unix seconds) it counts as over though nobody said so."""
        return self.ended_at + max(UNHEARD_S, UNHEARD_TIMES * (self.ended_at - self.started_at))

    def awaits_clips(self, now: float) -> bool:
        """Whether clips that nobody announced may still come."""
        return self.phase != "end" and now - self.ended_at < AWAITED_S

    @property
    def ahead_s(self) -> float:
        """By how much the clock that it was told by is ahead of the hub's, which `started_at` and `ended_at` are by.

        Below 0 where that clock had yet to be set, and what it showed means nothing.
        Its acts, its clips, and what else its box says of that time, are by the box's own.
        """
        return round(float(self.record.get("started_at_unix", self.started_at)) - self.started_at, 3)

    @property
    def title(self) -> str:
        """The camera's name for people."""
        return str(self.record.get("camera_title") or self.record.get("camera"))

    @property
    def acts(self) -> list[dict[str, Any]]:
        """Acts that have their times, in order; an edge may send what this hub doesn't understand."""
        acts = [act for act in self.record["acts"] if isinstance(act, dict)]
        timed = [act for act in acts if is_time(act.get("started_at_unix")) and is_time(act.get("ended_at_unix"))]
        return sorted(timed, key=lambda act: float(act["started_at_unix"]))

    @property
    def own_span(self) -> tuple[float, float]:
        """From when to when it was by its box's clock, as its film and what else the box says are."""
        return self.started_at + self.ahead_s, self.ended_at + self.ahead_s

    @property
    def acts_left_out(self) -> int:
        """How many acts there were beside `acts`: of very many, its edge's envelopes alone have all (`arrivals`)."""
        return count(self.record, "acts_left_out")

    @property
    def photos(self) -> int:
        """How many photos it tells of, as its sentence does."""
        return photos_counted(self.record)

    @property
    def in_doubt(self) -> bool:
        """Whether nobody can say that its photos were taken and its labels exposed, until it is judged true."""
        is_doubted = self.severity == Severity.INFO or self.unsure
        return is_doubted and self.verdict != "true" and bool(self.photos or self.labels_high)


@dataclass(frozen=True, slots=True)
class Clip:
    """A segment of an incident's recording that has arrived whole; `file` is relative to the clip folder."""

    incident: str
    segment: int
    site: str
    edge: str
    camera: str
    started_at: float
    duration_s: float
    size: int
    sha256: str
    file: str
    stored_at: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """What somebody judged an incident to be; withdrawn ones no longer count but stay on record.

    `reason` is one of `reviews.REASONS`, or empty.
    """

    number: int
    user: str
    at: float
    verdict: str
    note: str
    withdrawn_by: str | None
    withdrawn_at: float | None
    reason: str = ""


class Contested(Exception):  # noqa: N818  (an answer to a person, not an error of ours)
    """A verdict of somebody else stands, which the judge didn't say to replace."""

    def __init__(self, standing: Verdict) -> None:
        super().__init__(f"{standing.user} judged it {standing.verdict}")
        self.standing = standing


@dataclass(frozen=True, slots=True)
class Edge:
    """An edge box as last heard of.

    `missing` counts alerts it numbered that haven't arrived, without those that it said it dropped (`dropped`); its
    clock is `clock_offset_s` ahead of the hub's (`health`). It has been let in since `joined_at`, Unix seconds, without
    having been shut out meanwhile; `None` where it is not.
    """

    site: str
    edge: str
    state: str | None
    state_at: float | None
    health: dict[str, Any] | None
    health_at: float | None
    missing: int
    clock_offset_s: float | None = None
    dropped: int = 0
    joined_at: float | None = None

    @property
    def lost(self) -> int:
        """How many of those neither arrived nor wait at the edge, as far as its last report tells."""
        backlog, owed = (told_number((self.health or {}).get(name), 0.0) or 0.0 for name in ("backlog", "owed"))
        waiting = max(0.0, backlog - owed)  # what is owed to the outbox has no number yet
        return max(0, round(self.missing - min(waiting, self.missing)))


@dataclass(frozen=True, slots=True)
class Totals:
    """What happened in a span of time, cleared incidents (authorised, false) left out; of labels those of notes too."""

    alerts: int
    digest: int
    labels_low: int
    labels_high: int


@dataclass(frozen=True, slots=True)
class Digested:
    """How many incidents of one kind went to the digest that were in one zone of one camera.

    Some were in others as well: `own` counts those whose own zone it is, and adds up to how many there are in all.
    """

    kind: str
    site: str
    camera: str
    zone: str | None
    count: int
    own: int


@dataclass(frozen=True, slots=True)
class Refusal:
    """A message that was not believed."""

    topic: str
    reason: str
    at: float


def told_number(value: object, least: float = -LARGEST, most: float = LARGEST) -> float | None:
    """A number that came from outside, if it is one and within bounds."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and least <= value <= most
    return float(value) if is_number else None  # type: ignore[arg-type]


def is_time(value: object) -> bool:
    """Whether a value from outside is a time (Unix seconds) that can be shown."""
    return told_number(value, 0.0, LATEST_TIME) is not None
