"""What a hub's footage can teach: judged incidents and walk tests enter, moments that are worth a picture leave.

A verdict says what the act of an incident was, or was not. It says neither where things are in the picture nor what
anybody else in it did, so neither is claimed here. A walk test that no alert came of says that somebody photographed
meanwhile, but neither who nor when: its pictures claim nothing until a person has gone over them.
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

from sqlalchemy import Row, make_url, select
from sqlalchemy.exc import SQLAlchemyError

from detector.config import HubConfig
from detector.errors import SourceUnavailable, StoreError, WireError
from detector.hub.footage.sides import Sides
from detector.hub.storage.budget import ALERT
from detector.hub.storage.schema import walk_tests
from detector.hub.storage.store import Store
from detector.hub.storage.stored import Clip, StoredIncident, is_time
from detector.hub.texts import TEXTS
from detector.machine.whole_files import sha256_of
from detector.media.sides import read_side
from detector.values import ActKind, Box, IncidentKind

VERDICTS = ("true", "authorised", "false")
WALK_TEST = "walk_test"
TEACHING = (*VERDICTS, WALK_TEST)
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
    """Which: verdicts and `WALK_TEST`, sites (none named: all), and when they began, Unix seconds."""

    verdicts: tuple[str, ...] = TEACHING
    sites: tuple[str, ...] = ()
    since: float = 0.0
    until: float = math.inf


@dataclass(frozen=True, slots=True)
class Claim:
    """What is known of the person who acted: the act it was, or, where only that is known, one that it was not.

    Without either it isn't known who acts, and nothing is claimed of anybody.
    """

    act: str | None = None
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
    """One recording that teaches.

    Attributes:
        name: The incident's id, or the name of a walk test's film.
        why: The verdict, or `WALK_TEST`.
        site: Where.
        edge: Of which box.
        began_at: When it began, Unix seconds.
        claim: What is known of who acted.
        split: Where its pictures go.
        moments: Those that show it, in order of time.
    """

    name: str
    why: str
    site: str
    edge: str
    began_at: float
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


def lessons(
    store: Store, folder: Path, wanted: Wanted, *, timezone: str, per_incident: int
) -> tuple[list[Lesson], Counter[str]]:
    """What to learn from, oldest first, and how many of the others there are by the reason they are left out.

    Args:
        store: The hub's.
        folder: Of its clips.
        wanted: Which incidents count at all; those of other sites and times are not mentioned.
        timezone: In which days begin; a day of one camera lies in one split.
        per_incident: Moments of one incident or film, at most.
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
    for test in _missed_tests(store, wanted) if WALK_TEST in wanted.verdicts else ():
        lesson = _film_lesson(store, folder, test, zone, per_incident)
        if isinstance(lesson, str):
            left_out[lesson] += 1
        else:
            found.append(lesson)
    return sorted(found, key=lambda lesson: lesson.began_at), left_out


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
    if incident.verdict not in VERDICTS:
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
    standing = ((v.note, v.reason) for v in store.verdicts.on(incident.id) if v.withdrawn_at is None)
    taught = claim(incident.verdict, *next(standing, ("", "")))
    place = incident.site, incident.edge
    split = split_of(*place, str(incident.record.get("camera")), incident.started_at, zone)
    return Lesson(incident.id, incident.verdict, *place, incident.started_at, taught, split, tuple(chosen))


def _missed_tests(store: Store, wanted: Wanted) -> Iterator[Row[Any]]:
    """Walk tests that are over, were filmed, and of which no alert came: what was told the verdict on it teaches."""
    t = walk_tests.c
    over = (t.ended_at.is_not(None), t.film.is_not(None), t.found != ALERT)
    then = (t.began_at >= wanted.since, *([t.began_at < wanted.until] if wanted.until != math.inf else []))
    for row in store.database.read(select(walk_tests).where(*over, *then).order_by(t.began_at)).all():
        if not wanted.sites or row.site in wanted.sites:
            yield row


def _film_lesson(store: Store, folder: Path, test: Row[Any], zone: ZoneInfo, most: int) -> Lesson | str:
    """What the film of a walk test shows of people, half of it with a phone if it can be, or why it teaches nothing."""
    place = test.site, test.edge, test.camera
    clips = store.film(test.film, *place)
    if not clips:
        return "walk tests without a film at the hub"
    shown: dict[float, Clip] = {}
    with_phone: list[float] = []
    for clip in clips:
        for look in _looks(store, folder, clip):
            at, things = clip.started_at + look["t"], {box[0] for box in look["boxes"]}
            if "person" in things:
                shown[at] = clip
                with_phone += [at] * ("phone" in things)
    if not shown:
        return "walk tests in which nobody was seen"
    times = spread(shown, most, spread(with_phone, (most + 1) // 2))
    chosen = [Moment(at, shown[at], None, alone=False) for at in sorted(times)]
    split = split_of(*place, test.began_at, zone)
    return Lesson(test.film, WALK_TEST, *place[:2], test.began_at, Claim(), split, tuple(chosen))


def _looks(store: Store, folder: Path, clip: Clip) -> list[dict[str, Any]]:
    """What was seen in a segment; nothing where its side file is missing or broken."""
    side = Sides(store.database).find(clip.incident, clip.segment)
    try:
        if side is None:
            return []
        with clip_file(folder, side).open("rb") as file:
            looks: list[dict[str, Any]] = read_side(file)["looks"]
            return looks
    except (OSError, SourceUnavailable, WireError):
        return []


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


def split_of(site: str, edge: str, camera: str, at: float, zone: ZoneInfo) -> str:
    """Split of what a camera saw at a Unix time: that of its day, so that pictures which look alike stay together.

    Only what lies on both sides of midnight may part.

    It follows from names and date alone: what is judged later, or exported elsewhere, moves nothing.
    """
    day = datetime.fromtimestamp(at, zone).date().isoformat()
    words = json.dumps([site, edge, camera, day])
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
        digest = sha256_of(path)
    except OSError as error:
        raise SourceUnavailable(f"{path}: can't be read: {error.strerror}") from error
    if digest != clip.sha256:
        raise SourceUnavailable(f"{path}: is not the clip that its edge signed: the checksum differs")
    return path
