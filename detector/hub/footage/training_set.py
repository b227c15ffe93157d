"""What judged incidents can teach: incidents of the hub enter, moments of their clips that are worth a picture leave.

A verdict says what the act of an incident was, or was not. It says neither where things are in the picture nor what
anybody else in it did, so neither is claimed here.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import make_url
from sqlalchemy.exc import SQLAlchemyError

from detector.config import HubConfig
from detector.errors import SourceUnavailable, StoreError
from detector.hub.storage.store import Store
from detector.hub.storage.stored import Clip, StoredIncident, is_time
from detector.hub.texts import TEXTS
from detector.values import ActKind, Box, IncidentKind

TEACHING = ("true", "authorised", "false")
APART_S = 1.0  # two pictures of one incident are at least so far apart, or they would show the same
NONE = "none"
# What a false alarm was, by its reason. Who writes a message looks at the phone as who reads one.
ACT_OF_REASON = {
    "scan": ActKind.SCAN.value,
    "call": ActKind.CALL.value,
    "browse": ActKind.BROWSE.value,
    "texting": ActKind.BROWSE.value,
}
# Hundredths of the camera days that go into each split.
SPLITS = (("train", 80), ("val", 10), ("test", 10))
_PAGE = 500
_ROUNDED_S = 0.002  # an edge rounds its times to milliseconds


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which incidents: their verdicts, sites (none named: all), and when they began, Unix seconds."""

    verdicts: tuple[str, ...] = TEACHING
    sites: tuple[str, ...] = ()
    since: float = 0.0
    until: float = math.inf


@dataclass(frozen=True, slots=True)
class Claim:
    """What is known of the person who acted: the act it was, or, where only that is known, one that it was not."""

    act: str | None
    not_act: str | None = None


@dataclass(frozen=True, slots=True)
class Sight:
    """What an edge saw at one instant and sent along: (caption, box) of its frame, in shares of width and height."""

    at: float
    boxes: tuple[tuple[str, Box], ...]


@dataclass(frozen=True, slots=True)
class Moment:
    """An instant within an act that a clip shows.

    Attributes:
        at: Unix seconds.
        clip: The segment that shows it.
        sight: What the edge saw during this act, perhaps at another instant of it.
        alone: Whether all acts going on then are one person's.
    """

    at: float
    clip: Clip
    sight: Sight | None
    alone: bool


@dataclass(frozen=True, slots=True)
class Lesson:
    """One judged incident, the claim of its verdict, and the moments that show it, in order of time."""

    incident: StoredIncident
    claim: Claim
    split: str
    moments: tuple[Moment, ...]


def open_store(config: HubConfig) -> Store:
    """The database of a hub that has run before; none is made.

    Raises:
        StoreError: There is none, or it can't be used, or an older hub's.
    """
    url = config.database_url() or f"sqlite:///{config.data_dir / 'hub.sqlite'}"
    try:
        parsed = make_url(url)
    except SQLAlchemyError as error:
        raise StoreError(f"the database can't be used: {error}") from error
    if parsed.get_backend_name() == "sqlite" and not Path(parsed.database or "").is_file():
        raise StoreError(
            f"no hub has kept its database at {parsed.database} "
            "(run this on the hub's machine, with the configuration that `labelwatch hub` runs with)"
        )
    return Store(url, upgrade=False)


def lessons(store: Store, wanted: Wanted, *, timezone: str, per_incident: int) -> tuple[list[Lesson], Counter[str]]:
    """Incidents to learn from, oldest first, and how many of the others there are by the reason they are left out.

    Args:
        store: The hub's.
        wanted: Which incidents count at all; those of other sites and times are not mentioned.
        timezone: In which days begin; a day of one camera lies in one split.
        per_incident: Moments of one incident, at most.
    """
    found: list[Lesson] = []
    left_out: Counter[str] = Counter()
    zone = ZoneInfo(timezone)
    for incident in _incidents(store, wanted):
        lesson = _lesson(store, incident, wanted, zone, per_incident)
        if isinstance(lesson, str):
            left_out[lesson] += 1
        else:
            found.append(lesson)
    return found[::-1], left_out


def _incidents(store: Store, wanted: Wanted) -> Iterator[StoredIncident]:
    """From newest to oldest."""
    before = (wanted.until, "") if wanted.until != math.inf else None
    while page := store.feed(before, _PAGE):
        for incident in page:
            if incident.started_at < wanted.since:
                return
            if not wanted.sites or incident.site in wanted.sites:
                yield incident
        before = page[-1].cursor


def _lesson(store: Store, incident: StoredIncident, wanted: Wanted, zone: ZoneInfo, per_incident: int) -> Lesson | str:
    """What an incident teaches, or why it teaches nothing."""
    if incident.verdict is None:
        return "not judged"
    if incident.verdict not in TEACHING:
        return "judged unclear"
    if incident.verdict not in wanted.verdicts:
        return "of a verdict not asked for"
    photos = [act for act in incident.acts if act.get("kind") == ActKind.PHOTO]
    if incident.kind != IncidentKind.LABEL_PHOTOGRAPHY or not photos:
        return "without a photo act: the verdict tells of no act"
    clips = store.clips(incident.id)
    if not clips:
        return "without a clip at the hub"
    chosen = moments(photos, sights(store.envelopes(incident.id)), clips, per_incident)
    if not chosen:
        return "with acts outside of its clip"
    standing = ((v.note, v.reason) for v in store.verdicts(incident.id) if v.withdrawn_at is None)
    taught = claim(incident.verdict, *next(standing, ("", "")))
    return Lesson(incident, taught, split_of(incident, zone), tuple(chosen))


def claim(verdict: str, note: str, reason: str = "") -> Claim:
    """What a verdict says of the act.

    A false alarm was no photo of labels; which act it was is known where the reason tells (`reviews.REASONS`), or where
    the note is nothing but the word for it, in any language of the pages: `scan`, `扫码`, `call`, `通话`, `browse`,
    `看手机`, or `none`, `无`.
    """
    if verdict != "false":
        return Claim(ActKind.PHOTO.value)
    act = ACT_OF_REASON.get(reason) or _ACT_WORDS.get(note.strip().casefold())
    return Claim(act) if act else Claim(None, not_act=ActKind.PHOTO.value)


def _act_words() -> dict[str, str]:
    words = {NONE: NONE, "无": NONE}
    for kind in (ActKind.SCAN, ActKind.CALL, ActKind.BROWSE):
        words[kind.value] = kind.value
        words |= {texts[f"act_{kind.value}"].casefold(): kind.value for texts in TEXTS.values()}
    return words


_ACT_WORDS = _act_words()


def split_of(incident: StoredIncident, zone: ZoneInfo) -> str:
    """Split of an incident: that of its camera's day, so that pictures which look alike stay together.

    Only what lies on both sides of midnight may part.

    It follows from names and date alone: what is judged later, or exported elsewhere, moves nothing.
    """
    day = datetime.fromtimestamp(incident.started_at, zone).date().isoformat()
    words = json.dumps([incident.site, incident.edge, str(incident.record.get("camera")), day])
    place = int(hashlib.sha256(words.encode()).hexdigest()[:8], 16) % 100
    for split, share in SPLITS:
        place -= share
        if place < 0:
            return split
    raise AssertionError("the shares of the splits make a hundred")


def sights(envelopes: Iterable[Mapping[str, Any]]) -> list[Sight]:
    """What the edge saw, from all envelopes of an incident in order.

    Boxes are those of the frame that an envelope arose from, whose time is the end of the incident so far; an envelope
    that repeats the boxes of the one before has none of its own.
    """
    found: list[Sight] = []
    before: object = None
    for envelope in envelopes:
        after = envelope["after"]
        told, at = after.get("boxes"), after.get("ended_at_unix")
        if told != before and isinstance(told, list) and is_time(at) and envelope.get("phase") != "end":
            boxes = tuple((str(row.get("what")), box) for row in told if isinstance(row, dict) and (box := _box(row)))
            if boxes:
                found.append(Sight(float(at), boxes))
        before = told
    return found


def _box(row: Mapping[str, Any]) -> Box | None:
    """A box as an edge told it, cut to the picture; `None` where that leaves nothing."""
    values = row.get("box")
    if not isinstance(values, list) or len(values) != 4:
        return None
    if not all(isinstance(v, int | float) and math.isfinite(v) for v in values):
        return None
    x1, y1, x2, y2 = (min(max(float(v), 0.0), 1.0) for v in values)
    return (x1, y1, x2, y2) if x2 > x1 and y2 > y1 else None


def moments(
    acts: Sequence[Mapping[str, Any]], sights: Sequence[Sight], clips: Sequence[Clip], most: int
) -> list[Moment]:
    """Moments within acts, as far apart as can be and `APART_S` at least, in order of time.

    Those at which the edge sent what it saw come first.

    Args:
        acts: With `started_at_unix`, `ended_at_unix` and `track`.
        sights: What the edge saw.
        clips: Moments that none of them shows are left out.
        most: How many, at most.
    """
    seen: dict[float, Moment] = {}
    others: dict[float, Moment] = {}
    for act in acts:
        start, end = float(act["started_at_unix"]), float(act["ended_at_unix"])
        during = [sight for sight in sights if start - _ROUNDED_S <= sight.at <= end + _ROUNDED_S]
        own = [sight for sight in during if _one_acts(acts, sight.at)]
        count = max(1, min(most, int((end - start) / APART_S)))
        spaced = [start + (k + 0.5) * (end - start) / count for k in range(count)]
        for times, into in (([sight.at for sight in own], seen), (spaced, others)):
            for at in times:
                clip = next((c for c in clips if c.started_at <= at < c.started_at + c.duration_s), None)
                if clip:
                    nearest = min(own, key=lambda sight: abs(sight.at - at), default=None)
                    into[at] = Moment(at, clip, nearest, alone=_one_acts(acts, at))
    chosen = spread(others, most, spread(seen, most))
    return [seen.get(at) or others[at] for at in sorted(chosen)]


def _one_acts(acts: Sequence[Mapping[str, Any]], at: float) -> bool:
    return len({str(a.get("track")) for a in acts if a["started_at_unix"] <= at <= a["ended_at_unix"]}) <= 1


def spread(times: Iterable[float], most: int, chosen: Sequence[float] = ()) -> list[float]:
    """`chosen`, and of `times` one after another that which is farthest from all chosen, until `most` or too near."""
    out = list(chosen)
    gaps = {at: min((abs(at - other) for other in out), default=math.inf) for at in sorted(times)}
    while gaps and len(out) < most:
        best = max(gaps, key=lambda at: gaps[at])
        if gaps[best] < APART_S:
            break
        out.append(best)
        gaps = {at: min(gap, abs(at - best)) for at, gap in gaps.items()}
    return out


def clip_file(folder: Path, clip: Clip) -> Path:
    """The file of a segment, which is byte for byte what its edge signed.

    Raises:
        SourceUnavailable: It is missing, or has changed.
    """
    path = (folder / clip.file).resolve()
    if not path.is_relative_to(folder.resolve()) or not path.is_file():
        raise SourceUnavailable(f"{path}: the clip is missing")
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise SourceUnavailable(f"{path}: can't be read: {error.strerror}") from error
    if digest != clip.sha256:
        raise SourceUnavailable(f"{path}: is not the clip that its edge signed: the checksum differs")
    return path
