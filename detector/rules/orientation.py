"""A patch where too many parcels lie label up: scenes enter, a signal for each zone's patch leaves.

Thrown parcels land any way up, so a patch with nearly every label on top was made by hand: by putting parcels down so,
or by turning what lay there. A parcel is counted once, when it was seen to lie still and its top was judged, and again
when it is turned; while it stays it adds nothing. What is counted goes to the zone's `ZoneWatch`, which knows the usual
rate and keeps the mean time between false alarms at what was set, however often one looks. Zones where labels lie up as
a rule (a belt, a bench) are not judged; the log says so.

A pattern that was told is told again while it grows. What lies here when watching begins anew, after a restart or a
leap of time, may have been counted before, and is not counted again. Nor is what is found again where it was lost to
the dark, however long that lasted: who bets on the same parcels every morning soon has evidence of anything.
"""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import isfinite, log10
from typing import Any, Literal

import numpy as np
from pydantic import TypeAdapter, ValidationError

from detector.census import MOST_SLOTS, MOST_TRACKS, MOST_TURNS, Slot, Turn, ZoneCensus
from detector.config import OrientationRule as Settings
from detector.config import Zone
from detector.geometry import as_array, centre, contains, grown, iou
from detector.rules.blindness import sees_nothing
from detector.rules.edetector import Rows
from detector.rules.layout import alignment, rows
from detector.rules.zone_watch import Alarm, LearnedZone, ZoneWatch
from detector.rules.zones import ZoneMap
from detector.shifts import Shifts
from detector.values import Box, Facing, IncidentKind, Parcel, Person, Scene, Severity, Signal

LONGEST_LOOK_S = 60.0  # time between two scenes beyond this was not watched
AGAIN_S = 3600.0  # a parcel that turns again within this is misread now so, now so
SAME = 0.4  # overlap of a lost and a new parcel that are taken for one
LOST_S = 3600.0  # how long a lost one is remembered, and one lost while nothing could be seen once that is over
MOST_LOST = 500
DUSK_S = 120.0  # lamps go out row by row: what was lost so shortly before nothing could be seen was lost to that
NEAR_S = 20.0  # who was near so shortly before a parcel was turned has turned it
REACH = 0.25  # beyond a person's box, in shares of it
BY_HAND = 3  # parcels turned by people that raise the severity
GROWS_S = 120.0  # for so long a pattern that was told is told again when it has grown
FIRST_SIGHT_S = 3.0  # what is seen so soon after watching began lay there before
LEAST_ORDERED = 8  # parcels that make it possible to speak of order
SURE = 0.001  # chance of order among thrown parcels, below which it is spoken of

_LEARNED = TypeAdapter(dict[str, LearnedZone])

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class _Slot:
    """A parcel as it was counted last: the zone (`None` outside those watched), its windows, whether up, since when.

    `turned_at` is when it was last seen to be turned, `turners` who was near then; `lost_at` is when it was lost; `lay`
    is whether it lay here when watching began.
    """

    zone: Zone | None
    windows: Rows
    box: Box
    up: bool
    since: float
    turned_at: float | None = None
    turners: frozenset[int] = frozenset()
    lost_at: float = 0.0
    lay: bool = False

    @property
    def came(self) -> Literal["lay", "arrived", "turned"]:
        """How it came to lie as it does."""
        return "turned" if self.turned_at is not None else "lay" if self.lay else "arrived"


@dataclass(frozen=True, slots=True)
class _Told:
    """A pattern that was told, when and with how many labels up."""

    alarm: Alarm
    at: float
    up: int


@dataclass(frozen=True, slots=True)
class _Patch:
    """What lies in the window of an alarm: parcels with what was counted of them, and those not counted yet.

    `zone_up` and `zone_judged` are of all that was counted in the zone.
    """

    judged: list[tuple[Parcel, _Slot]]
    unjudged: list[Parcel]
    zone_up: int
    zone_judged: int

    @property
    def up(self) -> int:
        """How many lie label up."""
        return sum(slot.up for _, slot in self.judged)

    @property
    def came_up(self) -> Counter[str]:
        """How many of these came to lie so in which way."""
        return Counter(slot.came for _, slot in self.judged if slot.up)

    @property
    def by_hand(self) -> list[_Slot]:
        """Those turned so while somebody was near."""
        return [slot for _, slot in self.judged if slot.up and slot.came == "turned" and slot.turners]

    def boxes(self) -> list[tuple[str, Box]]:
        """Each of them, and how it lies."""
        judged = [("up" if slot.up else "not_up", parcel.box) for parcel, slot in self.judged]
        return judged + [("unknown", parcel.box) for parcel in self.unjudged]


@dataclass(slots=True)
class _News:
    """What came and was turned in a zone since the last census."""

    came_up: int = 0
    came_not_up: int = 0
    turns: deque[Turn] = field(default_factory=lambda: deque(maxlen=MOST_TURNS))


class OrientationRule:
    """Watches the zones of kind `storage` of one camera."""

    def __init__(self, zones: ZoneMap, settings: Settings, shifts: Shifts) -> None:
        self._zones = zones
        self._settings = settings
        self._shifts = shifts
        self._watches: dict[str, ZoneWatch] = {}
        self._told: dict[str, _Told] = {}
        self._slots: dict[int, _Slot] = {}
        self._lost: list[_Slot] = []
        self._near: deque[tuple[float, tuple[Person, ...]]] = deque()
        self._recalled: dict[str, LearnedZone] = {}
        self._watched_before: frozenset[str] = frozenset()
        self._news: dict[str, _News] = {}
        self._began_at: float | None = None
        self._looked_at: float | None = None
        self._unpassed_s = 0.0
        self._blind_since: float | None = None

    def observe(self, scene: Scene) -> Iterable[Signal]:
        """A signal for each zone where a pattern has become plain, and again while it grows."""
        self._pass(scene)
        if scene.moved:
            self._begin_elsewhere(scene)
        self._see(scene)
        if scene.moved is None:
            return
        self._lose(scene)
        unknown = Facing.UNKNOWN  # an enum's member takes longer to look up than all else that is asked of a parcel
        judged = [parcel for parcel in scene.parcels if parcel.facing is not unknown]
        come = [p for p in judged if p.id not in self._slots and self._has_lain(p, p.first_seen_at)]
        turned = [p for p in judged if p.id in self._slots and self._was_turned(p)]
        if come or turned:
            self._let_pass()
            for zone in self._count(come, turned, scene):
                yield from self._judge(zone, scene)

    def census(self, scene: Scene) -> tuple[ZoneCensus, ...]:
        """What lies in each storage zone as of the scene observed last, and what happened there since the last census.

        This judges nothing, and changes no judgement.
        """
        names = [zone.name for zone in self._zones.zones if zone.kind == "storage"]
        known: dict[str, list[tuple[Parcel, _Slot]]] = {name: [] for name in names}
        unjudged: dict[str, list[Parcel]] = {name: [] for name in names}
        others = []
        for parcel in scene.parcels:
            slot = self._slots.get(parcel.id)
            if slot is None:
                others.append(parcel)
            elif slot.zone is not None:
                known[slot.zone.name].append((parcel, slot))
        at_rest = [p for p in others if self._has_lain(p, p.first_seen_at)]
        points = np.array([centre(p.box) for p in at_rest], np.float32).reshape(-1, 2)
        for parcel, zone in zip(at_rest, self._zones.of(points, scene.size), strict=True):
            if zone is not None and zone.name in unjudged:
                unjudged[zone.name].append(parcel)
        return tuple(self._zone_census(name, known[name], unjudged[name], scene.size) for name in names)

    def learned(self) -> dict[str, Any]:
        """Usual rates by zone and shift, and what is left of the allowance; plain values, as JSON has them."""
        self._let_pass()
        known = {**self._recalled, **{name: watch.learned() for name, watch in self._watches.items()}}
        return {name: zone.model_dump() for name, zone in known.items()}

    def recall(self, learned: Mapping[str, Any]) -> None:
        """Take up what `learned` gave; anything else is left out as a whole, and the log says why."""
        try:
            self._recalled = _LEARNED.validate_python(learned)
            self._watched_before = frozenset(self._recalled)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"]) or "all of it"
            logger.warning("usual rates are learned anew, what was kept can't be read: %s: %s", where, first["msg"])

    def _pass(self, scene: Scene) -> None:
        """Count the time that was watched, and remember who was where in the last seconds."""
        if self._looked_at is not None:
            self._unpassed_s += min(max(scene.at - self._looked_at, 0.0), LONGEST_LOOK_S)
        self._looked_at = scene.at
        if scene.people and (not self._near or scene.at - self._near[-1][0] >= 1):
            self._near.append((scene.at, scene.people))
        while self._near and not 0 <= scene.at - self._near[0][0] <= self._settings.settle_s + NEAR_S:
            self._near.popleft()

    def _begin_elsewhere(self, scene: Scene) -> None:
        """The camera looks elsewhere: what lies there isn't judged anew, as where watching begins again."""
        for slot in self._slots.values():
            if slot.zone is not None:
                self._watches[slot.zone.name].lie([(slot.windows, slot.up)], -1)
        self._slots, self._lost = {}, []
        self._watched_before |= self._watches.keys()
        self._began_at = scene.at

    def _see(self, scene: Scene) -> None:
        """Note since when nothing can be seen, if so; a night with which watching begins is no part of it."""
        until_now = since = self._blind_since
        if scene.view is not None:
            since = None if not sees_nothing(scene, scene.view) else scene.at if until_now is None else until_now
        night = since if until_now is None else until_now
        if self._began_at is None or (night is not None and night - self._began_at <= FIRST_SIGHT_S):
            self._began_at = scene.at
        self._blind_since = since

    def _let_pass(self) -> None:
        for watch in self._watches.values():
            watch.elapse(self._unpassed_s)
        self._unpassed_s = 0.0

    def _lose(self, scene: Scene) -> None:
        """Set aside parcels that the tracker no longer knows: they may come back from the same place."""
        if self._blind_since is not None:  # what can't be seen hasn't gone
            for slot in self._lost:
                slot.lost_at = scene.at if slot.lost_at >= self._blind_since - DUSK_S else slot.lost_at
        here = {parcel.id for parcel in scene.parcels}
        for number in [number for number in self._slots if number not in here]:
            slot = self._slots.pop(number)
            slot.lost_at = scene.at
            self._lost.append(slot)
            if slot.zone is not None:
                self._watches[slot.zone.name].lie([(slot.windows, slot.up)], -1)
        del self._lost[:-MOST_LOST]

    def _has_lain(self, parcel: Parcel, since: float) -> bool:
        """Whether a parcel was seen for long enough where it lies: of what is carried past slots stay for a while."""
        return parcel.last_seen_at - since >= self._settings.settle_s

    def _was_turned(self, parcel: Parcel) -> bool:
        """Whether a known parcel lies otherwise than it was counted, and has lain so long enough."""
        slot = self._slots[parcel.id]
        if slot.zone is None or slot.up is (parcel.facing is Facing.UP):
            return False
        since = _lies_since(parcel)
        return since > slot.since and self._has_lain(parcel, since)

    def _count(self, come: list[Parcel], turned: list[Parcel], scene: Scene) -> list[Zone]:
        """Tell the watches of zones what came and was turned; returns the zones."""
        zones: dict[str, Zone] = {}
        arrived: dict[str, list[tuple[Rows, bool]]] = {}
        turns: dict[tuple[str, bool], list[tuple[Rows, bool]]] = {}
        for parcel in turned:
            slot = self._slots[parcel.id]
            assert slot.zone is not None
            plain = slot.turned_at is None or not 0 <= scene.at - slot.turned_at <= AGAIN_S
            slot.box, slot.up, slot.since = parcel.box, not slot.up, scene.at
            slot.turned_at, slot.turners = scene.at, self._who_was_near(parcel.box, _lies_since(parcel), scene)
            self._note_turn(slot, parcel, scene)
            zones[slot.zone.name] = slot.zone
            turns.setdefault((slot.zone.name, plain), []).append((slot.windows, slot.up))
        for parcel in come:
            slot = self._slots[parcel.id] = self._found_again(parcel, scene.at) or self._new(parcel, scene)
            if slot.zone is None:
                continue
            counted_before = slot.since < scene.at or (slot.lay and slot.zone.name in self._watched_before)
            if counted_before:  # and lost from sight for a while, or to a restart
                self._watches[slot.zone.name].lie([(slot.windows, slot.up)])
                continue
            zones[slot.zone.name] = slot.zone
            self._note_arrival(slot)
            arrived.setdefault(slot.zone.name, []).append((slot.windows, slot.up))
        shift = self._shift(scene.at)
        for name in zones:
            self._watches[name].begin_shift(shift)
        # Turns first: their odds are those of what lay here before.
        for (name, plain), parcels in turns.items():
            self._watches[name].turn(parcels, scene.at, bet=plain)
        for name, parcels in arrived.items():
            self._watches[name].arrive(parcels, scene.at)
        return list(zones.values())

    def _note_turn(self, slot: _Slot, parcel: Parcel, scene: Scene) -> None:
        assert slot.zone is not None
        x, y = centre(parcel.box)
        self._news.setdefault(slot.zone.name, _News()).turns.append(
            Turn(
                at=_lies_since(parcel),
                place=_shares((x, y), scene.size),
                up=slot.up,
                tracks=tuple(sorted(slot.turners)[:MOST_TRACKS]),
            )
        )

    def _note_arrival(self, slot: _Slot) -> None:
        assert slot.zone is not None
        news = self._news.setdefault(slot.zone.name, _News())
        news.came_up += slot.up and not slot.lay
        news.came_not_up += not slot.up and not slot.lay

    def _zone_census(
        self, name: str, known: list[tuple[Parcel, _Slot]], unjudged: list[Parcel], size: tuple[int, int]
    ) -> ZoneCensus:
        watch, news = self._watches.get(name), self._news.pop(name, _News())
        up = [slot for _, slot in known if slot.up]
        turned = [slot for slot in up if slot.came == "turned"]
        slots = [
            Slot(box=_shares(p.box, size), facing="up" if slot.up else "not_up", came=slot.came) for p, slot in known
        ]
        slots += [Slot(box=_shares(p.box, size), facing="unknown") for p in unjudged]
        return ZoneCensus(
            zone=name,
            up=len(up),
            not_up=len(known) - len(up),
            unknown=len(unjudged),
            usual_rate=round(watch.usual.mean, 4) if watch else None,
            supposed=watch is not None and watch.supposes,
            band=watch.band(len(known)) if watch and known else None,
            evidence=watch.wealth if watch else 0.0,
            lay_up=sum(slot.came == "lay" for slot in up),
            turned_up=len(turned),
            near=tuple(sorted({track for slot in turned for track in slot.turners})[:MOST_TRACKS]),
            came_up=news.came_up,
            came_not_up=news.came_not_up,
            turns=tuple(news.turns),
            slots=tuple(slots[:MOST_SLOTS]),
        )

    def _who_was_near(self, box: Box, turned_at: float, scene: Scene) -> frozenset[int]:
        """Who was at a place when a parcel was turned there, or shortly before; not who only came since."""
        point, looks = centre(box), [*self._near, (scene.at, scene.people)]
        then = (people for at, people in looks if 0 <= turned_at - at <= NEAR_S)
        return frozenset(p.id for people in then for p in people if contains(grown(p.box, REACH), point))

    def _found_again(self, parcel: Parcel, at: float) -> _Slot | None:
        """The parcel that was lost from this place, if any.

        This doesn't ask how either lies, or the bets on what is counted would no longer be fair.
        """
        self._lost = [slot for slot in self._lost if 0 <= at - slot.lost_at <= LOST_S]
        if not self._lost:
            return None
        overlap = iou(as_array([parcel.box]), as_array([slot.box for slot in self._lost]))[0]
        best = int(overlap.argmax())
        return self._lost.pop(best) if overlap[best] > SAME else None

    def _new(self, parcel: Parcel, scene: Scene) -> _Slot:
        zone, windows = self._place(parcel, scene)
        assert self._began_at is not None
        lay = parcel.first_seen_at - self._began_at <= FIRST_SIGHT_S
        return _Slot(zone, windows, parcel.box, parcel.facing is Facing.UP, scene.at, lay=lay)

    def _place(self, parcel: Parcel, scene: Scene) -> tuple[Zone | None, Rows]:
        """The watched zone that a parcel lies in, and its windows there."""
        point = centre(parcel.box)
        zone = self._zones.at(point, scene.size) if all(map(isfinite, point)) else None
        if zone is None or zone.kind != "storage":
            return None, np.zeros(0, np.intp)
        if zone.name not in self._watches:
            self._watches[zone.name] = self._begun(zone)
        place = (point[0] / scene.size[0], point[1] / scene.size[1])
        return zone, self._watches[zone.name].windows_of(place)

    def _begun(self, zone: Zone) -> ZoneWatch:
        watch = ZoneWatch(zone, self._settings)
        if zone.name in self._recalled:
            watch.recall(self._recalled.pop(zone.name))
        return watch

    def _shift(self, at: float) -> str:
        on = self._shifts.at(at) if self._settings.by_shift else None
        return on.name if on else ""

    def _judge(self, zone: Zone, scene: Scene) -> Iterator[Signal]:
        watch, told = self._watches[zone.name], self._told.get(zone.name)
        alarm = watch.judge(scene.at)
        if alarm is None and told is not None and 0 <= scene.at - told.at <= GROWS_S:
            window = watch.patch()
            alarm = None if window is None else replace(told.alarm, window=window)
        if alarm is None:
            return
        patch = self._patch(zone, alarm, scene)
        if told is None or alarm.since != told.alarm.since or patch.up > told.up:
            self._told[zone.name] = _Told(alarm, scene.at, patch.up)
            yield self._signal(zone, alarm, patch, scene)

    def _patch(self, zone: Zone, alarm: Alarm, scene: Scene) -> _Patch:
        """What lies in the window of an alarm as this scene shows it."""
        here = [(p, slot) for p in scene.parcels if (slot := self._slots.get(p.id)) and slot.zone is zone]
        others = [(p, *self._place(p, scene)) for p in scene.parcels if p.id not in self._slots]
        return _Patch(
            judged=[(p, slot) for p, slot in here if alarm.window in slot.windows],
            unjudged=[p for p, lies_in, windows in others if lies_in is zone and alarm.window in windows],
            zone_up=sum(slot.up for _, slot in here),
            zone_judged=len(here),
        )

    def _signal(self, zone: Zone, alarm: Alarm, patch: _Patch, scene: Scene) -> Signal:
        watch, working = self._watches[zone.name], self._shifts.working(scene.at)
        by_hand, came_up = patch.by_hand, patch.came_up
        grave = len(by_hand) >= BY_HAND or not working
        facts = {
            "up": patch.up,
            "judged": len(patch.judged),
            "zone_up": patch.zone_up,
            "zone_judged": patch.zone_judged,
            "usual_rate": round(watch.usual.mean, 3),
            "usual_supposed": watch.supposes,
            "evidence": round(log10(alarm.evidence), 2),
            "false_alarms_per_month": self._settings.false_alarms_per_month,
            "lay_up": came_up["lay"],
            "arrived_up": came_up["arrived"],
            "turned_here": came_up["turned"],
            "turned_by_person": len(by_hand),
            "watched_h": round(watch.watched_s / 3600, 1),
            "out_of_hours": not working,
        }
        return Signal(
            IncidentKind.ORIENTATION_PATTERN,
            scene.camera,
            zone.name,
            started_at=alarm.since,
            at=scene.at,
            score=1 - 0.5 / alarm.evidence,
            severity=Severity.CRITICAL if grave else Severity.WARNING,
            tracks=tuple(sorted({track for slot in by_hand for track in slot.turners})),
            facts=facts | _order([p for p, _ in patch.judged]),
            boxes=(*patch.boxes(), *(("label", box) for box in scene.labels)),
        )


def _lies_since(parcel: Parcel) -> float:
    """Since when a parcel has lain as it does."""
    return max(parcel.first_seen_at, parcel.turned_at or 0.0)


def _shares(numbers: Sequence[float], size: tuple[int, int]) -> Any:
    """Pixels, x and y by turns, as shares of the picture; what sticks out is cut off."""
    return tuple(round(min(max(value / size[n % 2], 0.0), 1.0), 4) for n, value in enumerate(numbers))


def _order(parcels: list[Parcel]) -> dict[str, bool]:
    """Whether labels run one way and parcels lie in rows; left out where too few could say."""
    angles = [p.angle for p in parcels if p.angle is not None]
    facts = {}
    if len(angles) >= LEAST_ORDERED:
        facts["aligned"] = alignment(angles).chance <= SURE
    if len(parcels) >= LEAST_ORDERED:
        facts["regular"] = rows(np.array([centre(p.box) for p in parcels])).chance <= SURE
    return facts
