"""When a camera no longer sees what it should: scenes enter, one signal series for each disturbance leaves.

    dark       black, or nearly, at a time of day when it usually isn't
    covered    unlike every usual view, with less contrast or detail than usual
    turned     unlike every usual view, and otherwise as good as ever
    defocused  the usual view, but its edges are no longer steep
    frozen     not a pixel changes, for far longer than this camera's pictures ever stayed the same; or the clock that
               is printed into them stands still, and all else
    clock      frame times were set back

All but the last are judged against what is usual for the camera itself, so nothing is said before it has been seen
working for a minute. Three things keep ordinary changes quiet. A disturbance must last (`after_s`; longer while
somebody fills the picture), and it is over only when the view is clearly right again. What comes back again and again
is told ever more seldom. And what is usual is learned: views, pauses of the picture, hours in which the hall is dark.

A hall without lamps at night blinds a camera without infra-red as a cap on its lens does; the picture can't tell which.
It is therefore told where it is unusual: the first night once, as information when nobody works, and a bright hour that
turns black always. Cameras with infra-red keep contrast at night and are never dark.

A still picture is no frozen one: a codec repeats a scene without movement exactly, for seconds, and a rendered clip may
never change. So a camera must have been lively for a minute, and be still for `frozen_s` and for thrice the longest
pause that it has shown before it went on by itself. Where a clock is printed into the picture (`printed_clock.py`) no
more than `frozen_s` is waited, and pictures that differ by what an encoder makes of them count as the same.

Times ahead are no clock that was set: recordings made on movement leap like this all day. What goes on over a leap is
no new disturbance: it rests as if it had ended, and how long it has lasted counts on.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from math import exp, isfinite
from typing import Any

from detector.config import TamperRule as Settings
from detector.geometry import covered_share
from detector.shifts import Shifts
from detector.telling import Cadence
from detector.values import CameraView, IncidentKind, Scene, Severity, Signal

logger = logging.getLogger(__name__)

LEARN_S = 60.0  # working for so long, a camera is known
MEMORY_S = 1800.0  # usual contrast and sharpness follow in about this time
ACCEPT_S = 1800.0  # another aim or focus kept up for so long is the usual one; the tracker takes as long to learn it
ACCEPTED = ("turned", "defocused")
LONGEST_LOOK_S = 6.0  # one look never counts for more, whatever was missed since the one before

UNLIKE = 0.25  # correlation with every usual view, below which the camera sees something else
POOR, BLURRED = 0.5, 0.6  # shares of the usual contrast and of the usual sharpness
BLANK = 0.25  # of the usual contrast, where no usual view is known: covered
BLACK, FLAT = 0.08, 0.04  # brightness and contrast of a black picture, grey 0..1
DIM = 0.2  # brightness below which noise hides what little there is
EASE = 1.25  # to be over, each figure must be better by this factor
FILLED = 0.4  # share of the picture that one person takes up who stands before the lens
PATIENCE = 5.0  # times longer is waited then
PAUSES = 3.0  # times the longest pause is frozen
LONGEST_PAUSE_S = 600.0  # a pause that was told and went by itself counts for no more
PAUSE_MEMORY_S = 12 * 3600.0  # and fades in about this time

REST_S, LONGEST_REST_S = 300.0, 4 * 3600.0  # the same is not told again sooner, twice as late each time
DARK_HOUR = 0.3  # share of an hour of the day that is usually dark
HOUR_S, HOURS = 3600.0, 24
PLAIN = ("contrast", "sharpness", "seen_s", "pause_s", "lively_s")  # fields of `Usual` that are one number


@dataclass(frozen=True, slots=True)
class Usual:
    """What is usual for one camera.

    Attributes:
        contrast: As `CameraView`.
        sharpness: As `CameraView`.
        seen_s: How long it was seen working, at most `MEMORY_S`.
        pause_s: The longest that its picture stayed exactly the same and then went on.
        lively_s: How long its picture has been changing, at most `LEARN_S`.
        dark: Share 0..1 of each hour of the day (UTC) that is dark.
    """

    contrast: float = 0.0
    sharpness: float = 0.0
    seen_s: float = 0.0
    pause_s: float = 0.0
    lively_s: float = 0.0
    dark: tuple[float, ...] = (0.0,) * HOURS

    @property
    def known(self) -> bool:
        """Whether anything can be compared with it."""
        return self.seen_s >= LEARN_S

    def dark_at(self, at: float) -> bool:
        """Whether it is usually dark about frame time `at`: in this hour, or the one before or after."""
        hour = int(at // HOUR_S)
        return max(self.dark[(hour + k) % HOURS] for k in (-1, 0, 1)) >= DARK_HOUR


@dataclass(frozen=True, slots=True)
class Spell:
    """A disturbance going on: what, how sure (0..1), since when; when it was first told, is due again, and calmed.

    `earlier_s` is how long it had lasted before time leapt.
    """

    what: str
    score: float
    since: float
    earlier_s: float = 0.0
    told_at: float | None = None
    again_at: float = 0.0
    calm_since: float | None = None

    def lasted_s(self, at: float) -> float:
        """How long it has lasted in all at frame time `at`."""
        return self.earlier_s + at - self.since


@dataclass(frozen=True, slots=True)
class Rest:
    """Until when a kind of disturbance is not told again, and how long that is after one."""

    until: float
    seconds: float


@dataclass(slots=True)
class _Memory:
    usual: Usual = field(default_factory=Usual)
    spell: Spell | None = None
    rests: dict[str, Rest] = field(default_factory=dict)
    at: float | None = None
    still_s: float = 0.0


class TamperRule:
    """Watches over one camera's view."""

    def __init__(self, settings: Settings, shifts: Shifts, cadence: Cadence | None = None) -> None:
        """`cadence` is that of incidents as they come, when left out."""
        self._cadence = cadence or Cadence()
        self._settings = settings
        self._shifts = shifts
        self._memory = _Memory()
        self._recalled: dict[str, tuple[float, float]] = {}
        self._earlier_s = 0.0
        self._at = 0.0  # of the newest scene, with a view or without

    def observe(self, scene: Scene) -> Iterator[Signal]:
        """A signal when a disturbance is sure, and again while it lasts and with its whole length when it is over.

        What lasts is told often enough to remain the one incident it was, however long that is.
        """
        memory, view, at = self._memory, scene.view, scene.at
        self._at = at
        if self._recalled:
            memory.rests = {what: Rest(at + left_s, rest_s) for what, (rest_s, left_s) in self._recalled.items()}
            self._recalled = {}
        step = scene.clock_step_s or 0.0
        if -step > self._settings.clock_step_s and self._may_tell("clock", at):
            yield self._signal(scene, Spell("clock", 1.0, at), at, {"step_s": round(step, 1)})
            self._begin_rest("clock", at)
        if view is None:
            return
        seconds = min(max(at - memory.at, 0.0), LONGEST_LOOK_S) if memory.at is not None else 0.0
        self._learn_pauses(view, seconds)
        memory.at, memory.still_s = at, view.still_s
        found = self._judged(view, 1.0)
        spell = memory.spell
        earlier_s, self._earlier_s = self._earlier_s, 0.0
        if spell is None:
            if found is None:
                memory.usual = learned(memory.usual, view, seconds, at)
                return
            stood_s = view.calm_s if view.has_clock else view.still_s
            spell = Spell(*found, since=at - stood_s if found[0] == "frozen" else at, earlier_s=earlier_s)
        before, memory.spell = spell, self._carried_on(spell, found, view, at)
        spell = memory.spell
        if spell is None:
            over_at = before.calm_since
            if before.told_at is not None and over_at is not None:
                yield self._signal(scene, before, over_at)
        elif self._is_due(spell, scene):
            told = spell.told_at is not None
            memory.spell = replace(
                spell,
                told_at=spell.told_at if told else at,
                again_at=min(at + self._cadence.within_s, spell.since + 2 * (at - spell.since)),
            )
            yield self._signal(scene, spell, at)

    def withheld(self, scene: Scene) -> Iterator[Signal]:
        """How long a disturbance has lasted since it was told."""
        spell, at = self._memory.spell, self._memory.at
        if spell is not None and at is not None and spell.told_at is not None:
            yield self._signal(scene, spell, at if spell.calm_since is None else spell.calm_since)

    def learned(self) -> dict[str, Any]:
        """What is usual, how long what was told is not told again, and how long a disturbance going on has lasted.

        Plain values, as JSON has them.
        """
        memory, spell, at = self._memory, self._memory.spell, self._at
        resting = dict(memory.rests)
        if spell is not None and spell.told_at is not None:
            resting[spell.what] = next_rest(resting.get(spell.what), at)
        rests = {what: (rest.seconds, max(0.0, rest.until - at)) for what, rest in resting.items()}
        lasted_s = self._earlier_s if spell is None else spell.lasted_s(at)
        usual = memory.usual
        if spell is not None and spell.what == "dark":  # what comes after this doesn't know how it began
            usual = with_dark_hours(usual, spell.since, at)
        return {"usual": asdict(usual), "rests": rests or self._recalled, "lasted_s": lasted_s}

    def recall(self, learned: dict[str, Any]) -> None:
        """Take up what `learned` gave; anything else is left out as a whole, and the log says why."""
        try:
            usual = {name: float(learned["usual"][name]) for name in PLAIN}
            dark = tuple(map(float, learned["usual"]["dark"]))
            rests = {str(what): (float(rest_s), float(left_s)) for what, (rest_s, left_s) in learned["rests"].items()}
            lasted_s = float(learned.get("lasted_s", 0.0))
            numbers = (*usual.values(), *dark, lasted_s, *(number for rest in rests.values() for number in rest))
            if len(dark) != HOURS or not all(isfinite(number) and number >= 0 for number in numbers):
                raise ValueError("numbers that make no sense")
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            logger.warning("what is usual for a camera can't be taken up and is learned anew: %s", error)
            return
        self._memory.usual = Usual(**usual, dark=dark)
        self._recalled = rests
        self._earlier_s = lasted_s

    def _judged(self, view: CameraView, ease: float) -> tuple[str, float] | None:
        usual = self._memory.usual
        frozen_s = self._settings.frozen_s / ease
        stood_s, known = view.calm_s, view.has_clock
        if not known:
            frozen_s = max(frozen_s, PAUSES * usual.pause_s / ease)
            stood_s, known = view.still_s, usual.lively_s >= LEARN_S
        if known and stood_s >= frozen_s:
            return "frozen", 1 - frozen_s / (2 * stood_s)
        return judged(view, usual, ease) if usual.known else None

    def _learn_pauses(self, view: CameraView, seconds: float) -> None:
        memory, usual = self._memory, self._memory.usual
        if view.still_s > 0:
            return
        pause_s = max(usual.pause_s * exp(-seconds / PAUSE_MEMORY_S), min(memory.still_s, LONGEST_PAUSE_S))
        memory.usual = replace(usual, pause_s=pause_s, lively_s=min(usual.lively_s + seconds, LEARN_S))

    def _carried_on(self, spell: Spell, found: tuple[str, float] | None, view: CameraView, at: float) -> Spell | None:
        """The spell after one more look; `None` when it is over, or is what is usual from now on."""
        if found is not None:
            spell = replace(spell, what=found[0], score=found[1], calm_since=None)
            if spell.what not in ACCEPTED or spell.lasted_s(at) <= ACCEPT_S + LEARN_S:
                return spell
        elif spell.told_at is None:
            pass  # it was nothing
        elif self._judged(view, EASE) is not None:
            return replace(spell, calm_since=None)
        elif spell.calm_since is None or at - spell.calm_since < self._settings.after_s:
            return replace(spell, calm_since=at if spell.calm_since is None else spell.calm_since)
        self._end(spell, at)
        return None

    def _end(self, spell: Spell, at: float) -> None:
        usual = self._memory.usual
        if spell.what == "dark":
            self._memory.usual = with_dark_hours(usual, spell.since, at)
        elif spell.what in ACCEPTED and spell.lasted_s(at) >= ACCEPT_S:
            self._memory.usual = replace(usual, seen_s=0.0)
        if spell.told_at is not None:
            self._begin_rest(spell.what, at)

    def _is_due(self, spell: Spell, scene: Scene) -> bool:
        lasted_s = scene.at - spell.since
        if spell.told_at is not None:
            return spell.calm_since is None and scene.at >= spell.again_at
        if spell.what == "dark" and self._memory.usual.dark_at(scene.at):
            return False
        return lasted_s >= self._waits_s(spell, scene) and self._may_tell(spell.what, scene.at)

    def _waits_s(self, spell: Spell, scene: Scene) -> float:
        """How long a disturbance must have lasted; a frozen picture was waited for already."""
        if spell.what == "frozen":
            return 0.0
        picture = (0.0, 0.0, float(scene.size[0]), float(scene.size[1]))
        filled = any(covered_share(picture, person.box) >= FILLED for person in scene.people)
        return self._settings.after_s * (PATIENCE if filled else 1.0)

    def _may_tell(self, what: str, at: float) -> bool:
        rest = self._memory.rests.get(what)
        return rest is None or at >= rest.until

    def _begin_rest(self, what: str, at: float) -> None:
        self._memory.rests[what] = next_rest(self._memory.rests.get(what), at)

    def _signal(self, scene: Scene, spell: Spell, until: float, more: dict[str, Any] | None = None) -> Signal:
        idle = spell.what == "dark" and not self._shifts.working(scene.at)
        return Signal(
            IncidentKind.TAMPER, scene.camera, None, spell.since, until, spell.score,
            Severity.INFO if idle else Severity.WARNING,
            facts={"what": spell.what, "lasted_s": round(until - spell.since, 1), **(more or {})},
        )  # fmt: skip


def next_rest(rest: Rest | None, at: float) -> Rest:
    """The rest that begins at frame time `at`: twice as long as the one before, where that was lately."""
    again = rest is not None and at - rest.until < 4 * rest.seconds
    seconds = min(2 * rest.seconds, LONGEST_REST_S) if rest is not None and again else REST_S
    return Rest(at + seconds, seconds)


def judged(view: CameraView, usual: Usual, ease: float) -> tuple[str, float] | None:
    """What is wrong with a view, and how sure that is (0..1); `None` when nothing is.

    Args:
        view: The view.
        usual: What is usual for the camera, known.
        ease: 1 to find a disturbance; above 1, so much better must each figure be for the view to be right again.
    """
    contrast = view.contrast / max(usual.contrast, 1e-6)
    sharp = view.sharpness / max(usual.sharpness, 1e-6)
    unlike = view.likeness is not None and view.likeness < ease * UNLIKE
    black = view.brightness < ease * BLACK and view.contrast < ease * FLAT
    if contrast < ease * POOR and (black or (unlike and view.brightness < ease * DIM)):
        return "dark", 1 - view.brightness
    poor = contrast < ease * POOR or sharp < ease * POOR
    if (unlike and poor) or (view.likeness is None and contrast < ease * BLANK):
        return "covered", 1 - min(contrast, sharp, 1.0) / 2
    if unlike and view.likeness is not None:
        return "turned", 1 - max(view.likeness, 0.0)
    if sharp < ease * BLURRED and contrast > POOR:  # a blur leaves contrast; in the dark, noise takes detail away
        return "defocused", 1 - sharp / 2
    return None


def learned(usual: Usual, view: CameraView, seconds: float, at: float) -> Usual:
    """What is usual after `seconds` more of an undisturbed view at frame time `at`."""
    if view.contrast < FLAT:
        return usual  # a camera that was never seen working has nothing to lose
    seen_s = min(usual.seen_s + seconds, MEMORY_S)
    weight = seconds / seen_s if seen_s > 0 else 0.0
    hour = int(at // HOUR_S) % HOURS
    dark = usual.dark
    if dark[hour] > 0:
        dark = (*dark[:hour], dark[hour] * exp(-seconds / HOUR_S), *dark[hour + 1 :])
    return replace(
        usual,
        contrast=usual.contrast + weight * (view.contrast - usual.contrast),
        sharpness=usual.sharpness + weight * (view.sharpness - usual.sharpness),
        seen_s=seen_s,
        dark=dark,
    )


def with_dark_hours(usual: Usual, since: float, until: float) -> Usual:
    """What is usual after it was dark from `since` to `until`: those hours of the day are dark ones.

    Learned when it is over, since an hour that is dark now mustn't excuse the next.
    """
    dark = list(usual.dark)
    at, piece_s = max(since, until - HOURS * HOUR_S), HOUR_S / 6
    while at < until:
        hour = int(at // HOUR_S) % HOURS
        dark[hour] += (1 - exp(-min(piece_s, until - at) / HOUR_S)) * (1 - dark[hour])
        at += piece_s
    return replace(usual, dark=tuple(dark))
