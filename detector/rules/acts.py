"""What a person does with the device in the hand: scenes enter, acts that were confirmed or have ended leave.

Each look at a person gives a log-likelihood for each kind (`rules/evidence.py`). For each kind a run adds them up over
the looks that began to speak for it; its evidence is the log-likelihood ratio of the run against the likeliest other
kind. Looks near in time say the same thing again, hence each counts for its time over `tau_s`, and many of them for
less by Kish's design effect. A run whose evidence
falls to nothing is forgotten (a CUSUM, Page 1954). It is an act once its evidence passes Wald's threshold
log((1 - b) / a), with a the stated chance of taking something else for it and b that of missing it, and it has lasted.
It ends when the same test against it passes log((1 - a) / b), when another kind is confirmed, after a while without
evidence, when its person has moved on, or when another parcel has taken the place of its target for good.

What is photographed or scanned is the parcel aimed at longest. Where no device is seen that aims at one, the parcel
nearest the hands stands in (`within_reach`) until one is aimed at.

The error holds for one run and whichever kind it really is: it is a / (1 - b) at most, and about a (Wald 1945: a
likelihood ratio whose mean is 1 reaches x at some time with a chance of at most 1/x). Runs follow each other, so that
false acts are on average at least tau_s (1 - b) / a apart (Lorden 1971).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import exp, log, tanh
from typing import NamedTuple

from detector.config import PhotoRule
from detector.geometry import distance
from detector.rules.aiming import Aims
from detector.rules.bearing import Bearing, carried_on
from detector.rules.evidence import KINDS, NOTHING, Evidence, Sums, Weighing, load_weights, looks, plus, within_reach
from detector.rules.memory import TrackMemory
from detector.values import Act, ActKind, Scene

MISSED = 0.1  # b: an act may be missed, or ended though it goes on, so often
MOVED_ON = 0.2  # standing heights from where an act began: it is another act, so that who walks slowly has none
RESUMED_S = 2.5  # the same parcel again within this, from the same place: the same act, lost from sight for a moment
TURNS = 2.0  # so many turns without evidence end an act as well, where whoever is in view waits that long for them
UNCLEAR_S = 3.0  # a device in the hand for so long without any kind winning is told as unclear
TOLD_KINDS = tuple(ActKind(name) for name in KINDS if name != "none")
PLACE_OF = {kind: k for k, kind in enumerate(TOLD_KINDS)}
IN_PLACE = (ActKind.PHOTO, ActKind.SCAN)  # what nobody does walking


class Run(NamedTuple):
    """Looks that speak for one kind, since its evidence was last at nothing.

    Attributes:
        kind: Of act.
        started_at: Time of the first of them.
        last_at: Time of the last that spoke for it.
        begun: How the person stood at the first.
        sums: Log-likelihoods of all looks by `KINDS`, each by its weight.
        doubts: The same of late, since they last spoke against it more than for it.
        weight: Of all looks; one far from the others in time weighs 1.
        score: How sure, 0..1: the chance that one look like the mean of these gives, with even odds before it.
        aims: What they were aimed at.
        confirmed: Whether it is an act.
    """

    kind: ActKind
    started_at: float
    last_at: float
    begun: Bearing
    sums: Sums = NOTHING
    doubts: Sums = NOTHING
    weight: float = 0.0
    score: float = 0.5
    aims: Aims = Aims()
    confirmed: bool = False

    @property
    def target(self) -> int | None:
        """Id of the parcel that it is about."""
        return self.aims.target

    def evidence(self, intraclass: float) -> float:
        """For it, against the likeliest other kind: the log-likelihood ratio by Kish's design effect (1965).

        Looks of one stretch stay alike however far apart they are, so that n of them are worth n / (1 + r (n - 1)).
        """
        return margin(self.sums, self.kind) / (1 + intraclass * max(self.weight - 1, 0.0))

    @property
    def against(self) -> float:
        """Of late against it, for the likeliest other kind."""
        return -margin(self.doubts, self.kind)

    def act(self, track: int) -> Act:
        """As it is told."""
        parcels = () if self.target is None else (self.target,)
        return Act(self.kind, track, self.started_at, self.last_at, self.score, parcels)


class Undecided(NamedTuple):
    """A device in the hand that no kind has won: since when, until when, for how long it was seen."""

    started_at: float
    last_at: float
    seconds: float = 0.0
    confirmed: bool = False

    def act(self, track: int) -> Act:
        """As it is told: about nothing is it sure."""
        return Act(ActKind.UNCLEAR, track, self.started_at, self.last_at, 0.5)


class Memory(NamedTuple):
    """What is remembered of one person: runs that aren't acts yet by kind, the act going on, and the one before.

    And for how long they have waited, in view, for their turn to be looked at closely, by when they last were in view.
    """

    bearing: Bearing | None = None
    runs: Mapping[ActKind, Run] = {}
    act: Run | None = None
    past: Run | None = None
    undecided: Undecided | None = None
    waited_s: float = 0.0
    in_view_at: float = 0.0

    def passed_over(self, at: float, longest_s: float) -> Memory:
        """After a frame in which it wasn't the person's turn to be looked at closely."""
        waited_s = self.waited_s + min(at - self.in_view_at, longest_s)
        return self._replace(waited_s=waited_s, in_view_at=at)


@dataclass(frozen=True, slots=True)
class SequentialTest:
    """The sequential test: how much evidence confirms (`yes`) and ends (`no`) an act; times in seconds."""

    yes: float
    no: float
    tau_s: Mapping[str, float]
    intraclass: float
    longest_s: float
    least_s: float
    gap_s: float

    @staticmethod
    def of(settings: PhotoRule, weighing: Weighing) -> SequentialTest:
        """Wald's thresholds for the stated error."""
        a = settings.error
        return SequentialTest(
            log((1 - MISSED) / a), log((1 - a) / MISSED), weighing.tau_s, weighing.intraclass,
            weighing.longest_s,
            settings.least_s, settings.gap_s,
        )  # fmt: skip

    def is_broken_off(self, last_at: float, look: PersonLook) -> bool:
        """Whether for too long nothing has spoken for it when a person is looked at."""
        return look.at - last_at > max(self.gap_s, TURNS * look.waited_s)


class PersonLook(NamedTuple):
    """One look as the test takes it.

    Attributes:
        at: Frame time.
        seconds: That it counts for.
        likelihoods: Logarithms by `KINDS`, up to a common constant.
        evidence: What it saw.
        bearing: Of the person.
        nearest: Tells the parcel nearest the person's hands, if one is within reach.
        waited_s: How long the person, in view, waited for a turn to be looked at closely.
    """

    at: float
    seconds: float
    likelihoods: Sequence[float]
    evidence: Evidence
    bearing: Bearing
    nearest: Callable[[], int | None] = lambda: None
    waited_s: float = 0.0

    @property
    def speaks_for(self) -> ActKind | None:
        """The one kind, if any, whose `margin` is above 0."""
        most = max(self.likelihoods)
        k = self.likelihoods.index(most)
        return TOLD_KINDS[k] if k < len(TOLD_KINDS) and self.likelihoods.count(most) == 1 else None


class ActRecogniser:
    """Acts of the people of one camera."""

    def __init__(self, settings: PhotoRule, weighing: Weighing | None = None) -> None:
        """Weights are those of `models/acts.yaml` unless given.

        Raises:
            MissingPart: The card isn't there.
            ModelError: It isn't one.
        """
        self._weighing = weighing or load_weights()
        self._test = SequentialTest.of(settings, self._weighing)
        self._memory: TrackMemory[Memory] = TrackMemory(Memory)

    def observe(self, scene: Scene) -> list[Act]:
        """Acts confirmed in this scene and acts that ended in it.

        An act is told twice, confirmed and ended, with the same track, kind and start; one that was lost from sight
        for a moment is told again when confirmed again and when it ends.
        """
        told: list[Act] = []
        # Whom nobody looked at closely is not seen to do nothing.
        for person in scene.people:
            if person.passed_over:
                self._memory[person.id] = self._memory[person.id].passed_over(scene.at, self._test.longest_s)
        scene = replace(scene, people=tuple(person for person in scene.people if not person.passed_over))
        before = [self._memory[person.id] for person in scene.people]
        bearings = [
            carried_on(memory.bearing, person, scene.at) for memory, person in zip(before, scene.people, strict=True)
        ]
        evidence = looks(scene, bearings)
        for person, memory, bearing, look, likelihoods in zip(
            scene.people, before, bearings, evidence, self._weighing.said(evidence), strict=True
        ):
            since = 0.0 if memory.bearing is None else scene.at - memory.bearing.at
            seconds = min(max(since, 0.0), self._test.longest_s)
            nearest = partial(within_reach, person.box, bearing.height, scene.parcels)
            waited_s = memory.passed_over(scene.at, self._test.longest_s).waited_s if memory.waited_s else 0.0
            seen = PersonLook(scene.at, seconds, likelihoods, look, bearing, nearest, waited_s)
            after, acts = step(memory, seen, self._test)
            self._memory[person.id] = after
            told += [act.act(person.id) for act in acts]
        for track, memory in self._memory.drop(scene.ended):
            told += [act.act(track) for act in going_on(memory)]
        return told

    def going_on(self) -> list[Act]:
        """Acts that were told as confirmed and not yet as ended, as far as they have gone on."""
        return [act.act(track) for track, memory in self._memory.items() for act in going_on(memory)]

    def photographing(self, tracks: Iterable[int]) -> dict[int, float]:
        """How far it is believed of each of these tracks that it photographs now, 0..1: see `belief`."""
        return {track: belief(self._memory[track], self._test) for track in tracks}


def belief(memory: Memory, test: SequentialTest) -> float:
    """How far it is believed, 0..1, that somebody photographs now, read from the evidence as it stands.

    That is tanh(e / 2) of the evidence e of the run, or act, of photographing: the chance of it less the chance of the
    likeliest other kind, at even odds (the "soft bit" of Hagenauer, Offer and Papke, 1996). So it is 0 where the CUSUM
    has forgotten all, and 0.8 at the threshold that goes with an error of 0.1. While an act goes on it goes down with
    what of late speaks against it, to 0 where that ends the act; where nothing speaks either way it stays.
    """
    act = memory.act
    run = act if act is not None and act.kind is ActKind.PHOTO else memory.runs.get(ActKind.PHOTO)
    if run is None:
        return 0.0
    left = max(0.0, 1.0 - run.against / test.no) if run.confirmed else 1.0
    return left * tanh(max(run.evidence(test.intraclass), 0.0) / 2)


def going_on(memory: Memory) -> list[Run | Undecided]:
    """What was told as begun and not yet as ended."""
    return [act for act in (memory.act, memory.undecided) if act is not None and act.confirmed]


def step(memory: Memory, look: PersonLook, test: SequentialTest) -> tuple[Memory, list[Run | Undecided]]:
    """One look at a person: the next memory, and acts to tell now (confirmed or ended)."""
    act, past = memory.act, memory.past
    told: list[Run | Undecided] = []
    runs = {}
    spoken_for = look.speaks_for
    for kind in TOLD_KINDS:
        if (kind in memory.runs or kind is spoken_for) and (act is None or act.kind is not kind):
            run = added_up(memory.runs.get(kind), kind, look, test)
            if run is not None:
                runs[kind] = run
    if act is not None:
        act, over, following = gone_on(act, look, test)
        if over:
            told.append(act)
            past, act = act, None
            if following is not None:
                runs[following.kind] = following
    ready = [run for run in runs.values() if is_act(run, test)]
    if ready:
        best = max(ready, key=lambda run: run.evidence(test.intraclass))
        if act is not None:
            told.append(past := cut_short(act, best.started_at))
        act = resumed(placed(runs.pop(best.kind), look), past)
        told.append(act)
    undecided, ended = waited(memory.undecided, act, look, test)
    return Memory(look.bearing, runs, act, past, undecided, in_view_at=look.at), [*ended, *told]


def margin(likelihoods: Sequence[float], kind: ActKind) -> float:
    """How much likelier one kind is than the likeliest other, as a log-likelihood ratio.

    Against any one kind the ratio is at least this, so that a test built on it errs no more often than is stated
    whichever it really is. (Against a mixture of the others, each look would gain from kinds long out of the question.)
    """
    others = list(likelihoods)
    own = others.pop(PLACE_OF[kind])
    return own - max(others)


def added_up(run: Run | None, kind: ActKind, look: PersonLook, test: SequentialTest) -> Run | None:
    """The run of a kind, not an act yet, after one more look; `None` while nothing speaks for it."""
    if run is not None and (test.is_broken_off(run.last_at, look) or gone(run, look.bearing)):
        run = None
    if run is None:
        if look.seconds <= 0 or look.speaks_for is not kind:
            return None
        run = Run(kind, look.at, look.at, look.bearing)
    run = with_look(run, look, test)
    if margin(run.sums, kind) <= 0:
        return None
    taking = run.aims.taken_over
    return run if taking is None else begun_at(run, taking, look)


def with_look(run: Run, look: PersonLook, test: SequentialTest) -> Run:
    """The run and one more look."""
    share = look.seconds / test.tau_s[run.kind]
    added = [share * value for value in look.likelihoods]
    sums, weight, doubts = plus(run.sums, added), run.weight + share, NOTHING
    if run.confirmed and margin(late := plus(run.doubts, added), run.kind) < 0:
        doubts = late
    last_at, score, aims = run.last_at, run.score, run.aims
    if look.speaks_for is run.kind:
        last_at, score = look.at, chance(margin(sums, run.kind) / weight) if weight > 0 else 0.5
        if look.evidence.parcel is not None and run.kind in IN_PLACE:
            aims = aims.after(look.evidence.parcel, look.at, look.seconds, confirmed=run.confirmed)
    aims = aims.weighing(added, share)
    return Run(run.kind, run.started_at, last_at, run.begun, sums, doubts, weight, score, aims, run.confirmed)


def begun_at(run: Run, parcel: int, look: PersonLook) -> Run:
    """The run of the same kind at the parcel that took over, from when looks turned to it."""
    rival = run.aims.rivals[parcel]
    aims = Aims(parcel, {parcel: rival.seconds}, look.at)
    return Run(
        run.kind, rival.since, look.at, look.bearing, rival.sums, weight=rival.weight, score=run.score, aims=aims
    )


def gone_on(act: Run, look: PersonLook, test: SequentialTest) -> tuple[Run, bool, Run | None]:
    """An act after one more look, whether it is over, and what follows it of the same kind."""
    if test.is_broken_off(act.last_at, look) or gone(act, look.bearing):
        return act, True, added_up(None, act.kind, look, test)
    act = with_look(act, look, test)
    if act.against >= test.no:
        return act, True, None
    aims, parcel = act.aims, act.aims.taken_over
    if parcel is None:
        return act, False, None
    if aims.target is not None and aims.seconds[aims.target] < test.least_s:  # it was this one from the beginning
        return act._replace(aims=aims._replace(target=parcel, rivals={})), False, None
    return cut_short(act, max(aims.at, act.started_at)), True, begun_at(act, parcel, look)


def cut_short(act: Run, at: float) -> Run:
    """The act, ended no later than this."""
    return act._replace(last_at=max(act.started_at, min(act.last_at, at)))


def is_act(run: Run, test: SequentialTest) -> bool:
    """Whether a run is an act: enough evidence, and it has lasted."""
    return run.evidence(test.intraclass) >= test.yes and run.last_at - run.started_at >= test.least_s - 1e-6


def placed(run: Run, look: PersonLook) -> Run:
    """The run with a parcel that stands for its target where no phone was seen that aims at any: the nearest."""
    if run.target is not None or run.kind not in IN_PLACE:
        return run
    return run._replace(aims=run.aims._replace(target=look.nearest()))


def resumed(run: Run, past: Run | None) -> Run:
    """The run confirmed; it carries on the act before where that was the same, lost from sight for a moment."""
    run = run._replace(confirmed=True)
    if (
        past is None
        or past.kind is not run.kind
        or past.target != run.target
        or run.started_at - past.last_at > RESUMED_S
        or gone(past, run.begun)
    ):
        return run
    return run._replace(
        started_at=past.started_at, sums=plus(past.sums, run.sums), weight=past.weight + run.weight,
        score=max(past.score, run.score),
    )  # fmt: skip


def gone(run: Run, bearing: Bearing) -> bool:
    """Whether the person has moved on since a run began, where its kind is of one place.

    Feet and head must both have moved: crouching moves the head alone, and something before the legs the feet alone.
    """
    if run.kind not in IN_PLACE:
        return False
    least, then = MOVED_ON * bearing.height, run.begun
    return distance(bearing.feet, then.feet) > least and distance(bearing.top, then.top) > least


def chance(log_odds: float) -> float:
    """The chance that goes with log odds."""
    return 1 / (1 + exp(-min(max(log_odds, -50.0), 50.0)))


def waited(
    undecided: Undecided | None, act: Run | None, look: PersonLook, test: SequentialTest
) -> tuple[Undecided | None, list[Run | Undecided]]:
    """What is known of a device that no kind has won, after one more look, and what to tell of it now."""
    known = undecided is not None and undecided.confirmed
    ended: list[Run | Undecided] = [undecided] if undecided is not None and known else []
    if act is not None or (undecided is not None and test.is_broken_off(undecided.last_at, look)):
        return None, ended
    if not look.evidence.device:
        return undecided, []
    if undecided is None:
        return Undecided(look.at, look.at), []
    undecided = undecided._replace(last_at=look.at, seconds=undecided.seconds + look.seconds)
    if known or undecided.seconds < UNCLEAR_S:
        return undecided, []
    undecided = undecided._replace(confirmed=True)
    return undecided, [undecided]
