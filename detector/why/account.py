"""What was seen of each person, and what was made of it: looks of a pipeline enter one by one, an `Account` leaves.

What the rules think of looks they keep to themselves, so acts are told here once more, and what a sweep's rule makes of
them, by the same stages from the same scenes. Whoever is judged by the pipeline is judged alike here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import inf

import cv2
import numpy as np
from numpy.typing import NDArray

from detector.config import Camera, EdgeConfig, PhotoRule
from detector.geometry import foot, grown
from detector.media.pixelation import redacted
from detector.rules.acts import ActRecogniser
from detector.rules.bearing import Bearing, carried_on, shows_feet
from detector.rules.evidence import Weighing, load_weights, looks, sureness
from detector.rules.memory import TrackMemory
from detector.rules.noted import Noted
from detector.rules.policy import Policies
from detector.rules.sweep import SweepRule
from detector.rules.zones import ZoneMap
from detector.shifts import Shifts
from detector.values import (
    Act,
    ActKey,
    ActKind,
    Box,
    Device,
    Frame,
    Incident,
    IncidentKind,
    IncidentUpdate,
    Person,
    Scene,
    Sight,
)

BESIDE = 0.35  # of a person's box, on each side, is shown with them
PICTURE_HEIGHT = 420  # pixels
QUALITY = 80

Who = tuple[int, int]  # how often stages were built anew before, and the track


@dataclass(frozen=True, slots=True)
class Moment:
    """One look at one person.

    Attributes:
        at: Frame time.
        height: How tall they stand, pixels of the frame; `None` where its lower edge cuts them off: they are near.
        zone: Name of the zone that their feet are in; `None` in none, or where nothing is looked at.
        passed_over: Whether it was the turn of others to be looked at closely.
        device: The surest one seen in the hand.
        chances: By `KINDS`, 0..1, how likely the look makes each, all being equally likely before; `None` where it
            tells nothing.
        belief: How far it is believed, 0..1, that they photograph.
    """

    at: float
    height: float | None
    zone: str | None
    passed_over: bool
    device: Device | None
    chances: tuple[float, ...] | None
    belief: float


@dataclass(slots=True)
class Witnessed:
    """One person in the time asked for.

    Attributes:
        who: Which one.
        moments: Every look, in order.
        acts: What they were told to do, as told last.
        noted: What the sweep's rule knows of each that is done where something is told.
        picture: JPEG of the look that says most, parcels and labels beyond reading.
        score: Of the surest finding that any of these has part in, whether it was told or not.
        incident: The gravest of label photography that they have part in.
    """

    who: Who
    moments: list[Moment] = field(default_factory=list)
    acts: dict[ActKey, Act] = field(default_factory=dict)
    noted: dict[ActKey, Noted] = field(default_factory=dict)
    picture: bytes = b""
    score: float | None = None
    incident: Incident | None = None
    weight: tuple[float, float, float] = (-1.0, 0.0, 0.0)

    @property
    def acts_in_order(self) -> list[Act]:
        """By when they began."""
        return sorted(self.acts.values(), key=lambda act: act.started_at)

    def acts_of(self, kind: ActKind) -> list[Act]:
        """Those of one kind."""
        return [act for act in self.acts_in_order if act.kind is kind]

    @property
    def belief(self) -> float:
        """The most that it was believed that they photograph."""
        return max(moment.belief for moment in self.moments)


@dataclass(frozen=True, slots=True)
class Account:
    """What was seen of one camera from frame time `since` to `until`; `people` with those who matter most first.

    It was looked at from `looked_since` to `looked_until`: what was before or after nobody knows of. `incidents` are
    all that were told of the time, whoever has part in them. `configured`: whether the configuration knows the camera.
    `breaks` are where the recordings break off or the picture changes its size, from one frame time to the next: who
    and what was before isn't known again after. `dated`: whether more than the files' dates tells when it was.
    """

    camera: Camera
    configured: bool
    looked_since: float
    looked_until: float
    since: float
    until: float
    people: tuple[Witnessed, ...]
    incidents: tuple[Incident, ...]
    breaks: tuple[tuple[float, float], ...] = ()
    dated: bool = True


class Witness:
    """Keeps what is seen of a time.

    Args:
        config: Of the edge.
        camera: One of its cameras, or one made for a recording.
        since: Frame time from which on what is seen is kept; what is before counts for what is believed.

    Attributes:
        until: Frame time up to which it is kept; what is after counts for what became of that.
    """

    def __init__(self, config: EdgeConfig, camera: Camera, since: float) -> None:
        self.until = inf
        self._rules = config.rules
        self._policies = Policies(Shifts(config.calendar, config.timezone))
        self._camera = camera
        self._configured = camera.name in {one.name for one in config.cameras}
        self._zones = ZoneMap(camera.zones)
        self._weighing = load_weights()
        self._since = since
        self._people: dict[Who, Witnessed] = {}
        self._incidents: dict[str, tuple[int, Incident]] = {}
        self._scores: dict[tuple[int, ActKey], float] = {}  # of the surest finding that an act has part in
        self._epoch = -1
        self._begun: float | None = None
        self._shown_until = self._looked_until = since
        self._breaks: list[tuple[float, float]] = []
        self._begin()

    def observe(self, frame: Frame, sight: Sight | None, updates: Iterable[IncidentUpdate]) -> None:
        """Take in a frame that a pipeline was given, what it saw in it, and what it told of it."""
        if sight is not None:
            if sight.first:
                self._begin()
                if self._begun is not None:
                    self._breaks.append((self._looked_until, sight.scene.at))
            self._take(frame, sight.scene)
        self.tell(updates)

    def tell(self, updates: Iterable[IncidentUpdate]) -> None:
        """Take in what is told of incidents."""
        for update in updates:
            epoch = self._incidents.get(update.after.id, (self._epoch, None))[0]
            self._incidents[update.after.id] = epoch, update.after

    def wants(self, at: float) -> bool:
        """Whether a frame of this time matters: it is of the time asked for, or what became of that is waited for."""
        return at <= self.until or self.waits(at)

    def waits(self, at: float) -> bool:
        """Whether what follows frame time `at` may make a sweep of photos of the time asked for, of which none is told.

        For where one photo is of that time, and the next a minute later, live told of both.
        """
        return any(
            who[0] == self._epoch
            and any(
                n.may_count and not n.moved_on and at - n.act.ended_at <= self._rules.sweep.window_s
                for n in witnessed.noted.values()
            )
            and not self._sweeps(who)
            for who, witnessed in self._people.items()
        )

    def account(self) -> Account:
        """All of it."""
        for who, witnessed in self._people.items():
            witnessed.incident = max(self._sweeps(who), key=_gravity, default=None)
            scores = (self._scores.get((who[0], key)) for key in witnessed.acts)
            witnessed.score = max((score for score in scores if score is not None), default=None)
        people = sorted(self._people.values(), key=_order)
        begun = self._since if self._begun is None else self._begun
        incidents = tuple(sorted((one for _, one in self._told()), key=lambda one: one.started_at))
        return Account(
            self._camera, self._configured, begun, self._looked_until, max(self._since, begun), self._shown_until,
            tuple(people), incidents, tuple(self._breaks),
        )  # fmt: skip

    def _told(self) -> list[tuple[int, Incident]]:
        """Incidents of the time, each with how often stages were built anew before."""
        told = self._incidents.values()
        return [(n, one) for n, one in told if one.ended_at >= self._since and one.started_at <= self._shown_until]

    def _sweeps(self, who: Who) -> list[Incident]:
        """Those of label photography that somebody has part in."""
        return [one for epoch, one in self._told() if is_photography(one) and epoch == who[0] and who[1] in one.tracks]

    def _begin(self) -> None:
        """Stages were built anew: who bears a track's number from here on is somebody else."""
        self._epoch += 1
        self._recogniser = _Recogniser(self._rules.photo, self._weighing)
        self._sweep = SweepRule(self._zones, self._rules, self._policies, self._recogniser)
        self._bearings: TrackMemory[Bearing | None] = TrackMemory(lambda: None)

    def _take(self, frame: Frame, scene: Scene) -> None:
        self._begun = scene.at if self._begun is None else self._begun
        self._looked_until = scene.at
        chances = self._chances(scene)
        signals = [*self._sweep.observe(scene)]
        beliefs = self._sweep.photographing(person.id for person in scene.people)
        if self._since <= scene.at <= self.until:
            self._shown_until = scene.at
            for person in scene.people:
                witnessed = self._people.setdefault((self._epoch, person.id), Witnessed((self._epoch, person.id)))
                moment = self._moment(person, scene, chances.get(person.id), beliefs[person.id])
                witnessed.moments.append(moment)
                _keep_picture(witnessed, moment, frame, scene, person)
        # One that goes on is told when it is sure and when it is over, which may both be beyond the time asked for.
        over = [act for act in self._recogniser.told if act.ended_at >= self._since]
        for act in (*self._recogniser.going_on(), *over):
            known = self._people.get((self._epoch, act.track))
            if known and act.started_at <= self._shown_until:
                known.acts[act.key] = act
        for (epoch, _), witnessed in self._people.items():
            if epoch == self._epoch:  # a parcel may be taken away, or others may join, long after the act
                noted = ((key, self._sweep.noted(key)) for key in witnessed.acts)
                witnessed.noted |= {key: n for key, n in noted if n is not None}
        for signal in signals:
            for act in signal.acts:
                if act.track in signal.tracks:
                    key = self._epoch, act.key
                    self._scores[key] = max(self._scores.get(key, 0.0), signal.score)

    def _chances(self, scene: Scene) -> Mapping[int, tuple[float, ...]]:
        """Of who was looked at closely, where that says something."""
        self._bearings.drop(scene.ended)
        people = []
        for person in scene.people:
            self._bearings[person.id] = carried_on(self._bearings[person.id], person, scene.at)
            if not person.passed_over:
                people.append(person)
        seen = Scene(scene.camera, scene.at, scene.size, tuple(people), scene.devices, scene.parcels)
        evidence = looks(seen, [b for p in people if (b := self._bearings[p.id]) is not None])
        said = self._weighing.said(evidence)
        return {
            person.id: _shares(likelihoods)
            for person, look, likelihoods in zip(people, evidence, said, strict=True)
            if look.telling
        }

    def _moment(self, person: Person, scene: Scene, chances: tuple[float, ...] | None, belief: float) -> Moment:
        bearing = self._bearings[person.id]
        zone = self._zones.at(foot(person.box), scene.size)
        held = [device for device in scene.devices if device.holder == person.id]
        return Moment(
            scene.at,
            bearing.height if bearing and shows_feet(person.box, scene.size) else None,
            zone.name if zone else None,
            person.passed_over,
            max(held, key=sureness, default=None),
            chances,
            belief,
        )


class _Recogniser(ActRecogniser):
    """That of a sweep's rule, overheard.

    Attributes:
        told: Acts that the scene observed last confirmed or ended.
    """

    def __init__(self, settings: PhotoRule, weighing: Weighing) -> None:
        super().__init__(settings, weighing)
        self.told: list[Act] = []

    def observe(self, scene: Scene) -> list[Act]:
        """As the class above."""
        self.told = super().observe(scene)
        return self.told


def is_photography(incident: Incident) -> bool:
    """Whether an incident is one of label photography, be it of other things, too."""
    return incident.kind is IncidentKind.LABEL_PHOTOGRAPHY


def _shares(likelihoods: Iterable[float]) -> tuple[float, ...]:
    exact = np.exp(np.array([*likelihoods]) - max(likelihoods))
    return tuple((exact / exact.sum()).tolist())


def _order(person: Witnessed) -> tuple[bool, float, float, int]:
    return person.incident is None, -(person.score or 0.0), -round(person.belief, 2), -len(person.moments)


def _gravity(incident: Incident) -> tuple[int, float]:
    return incident.severity.rank, incident.score


def _keep_picture(witnessed: Witnessed, moment: Moment, frame: Frame, scene: Scene, person: Person) -> None:
    """Keep a picture of the look where photographing is believed most, else with the surest device, else nearest."""
    weight = (round(moment.belief, 2), sureness(moment.device) if moment.device else 0.0, moment.height or inf)
    if weight > witnessed.weight:
        witnessed.weight, witnessed.picture = weight, _picture(frame, scene, person.box, moment.device)


def _picture(frame: Frame, scene: Scene, box: Box, device: Device | None) -> bytes:
    left, top, right, bottom = grown(box, BESIDE)
    width, height = frame.size
    x, y = max(0, int(left)), max(0, int(top))
    part: NDArray[np.uint8] = frame.image[y : min(height, int(bottom) + 1), x : min(width, int(right) + 1)]
    if not part.size:
        return b""
    parcels = [_moved(parcel.box, x, y) for parcel in scene.parcels]
    hidden = redacted(part, parcels, [_moved(label, x, y) for label in scene.labels])
    scale = PICTURE_HEIGHT / hidden.shape[0]
    size = max(1, round(hidden.shape[1] * scale)), PICTURE_HEIGHT
    shown = cv2.resize(hidden, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    if device is not None:
        x1, y1, x2, y2 = (round(v * scale) for v in _moved(device.box, x, y))
        cv2.rectangle(shown, (x1 - 3, y1 - 3), (x2 + 3, y2 + 3), (60, 60, 230), 2, cv2.LINE_AA)
    return cv2.imencode(".jpg", shown, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].tobytes()


def _moved(box: Box, x: int, y: int) -> Box:
    return box[0] - x, box[1] - y, box[2] - x, box[3] - y
