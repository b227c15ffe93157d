"""A clip's people: from the steps of a script to who is where in which pose at every moment."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace

import cv2
import numpy as np

from scenes import poses
from scenes.body import Body, Pose, Swing
from scenes.clothes import dressed_person
from scenes.devices import viewfinder
from scenes.floor import Ground
from scenes.holds import Hold
from scenes.motion import (
    Key,
    Sway,
    Walk,
    angle_between,
    applied,
    blended,
    captured,
    evenly,
    gripped,
    headings,
    in_world,
    load_foot,
    loaded,
    striding,
)
from scenes.scripts import Step
from scenes.stage import HIGH, Stage, shown
from scenes.textures import SCREENS, VIEWFINDER
from scenes.truth import Thing, act_of, exposed
from scenes.vectors import UP, turn, unit, yaw_to

OWN = -1  # instead of a parcel's id: the one that the person carries about
APART, TOUCHING = 0.55, 0.35  # metres that two people should keep between them, and that they must
STEP = 0.3  # metres that somebody goes without walking, when squatting; twice as far when upright
TURN = 50.0  # degrees that somebody turns while walking off; who turns more turns first
TRIES = 8
CROWDED = 0.8  # metres from where somebody else will be at some time: no place to choose
HEAD, LOW_HEAD = 1.65, 1.1  # heights that should be in the picture with somebody who stands, or squats, metres


@dataclass
class Shot:
    """Somebody doing one thing at one place.

    Attributes:
        enter, leave: Keys on coming and on going; they differ only by the parcel that is put down or lifted.
        action: What it is, with the posture.
        use: Of the device, as in `Act.use`.
        parcel: Id of the parcel concerned, `OWN` or None.
        kind: Of the thing in the hand.
        work: As in `Sway`.
    """

    enter: Key
    leave: Key
    action: str
    use: str | None = None
    parcel: int | None = None
    kind: str | None = None
    work: dict = field(default_factory=dict)
    sways: bool = True


@dataclass
class Segment:
    """A stretch of time: the key at share 0..1 of it, and what is true meanwhile.

    Attributes:
        shot: What is being done, or None while moving.
        kind: Of the thing in the hand.
        rest: (foot, yaw) where the own parcel stands, or None while it is carried or there is none.
    """

    start: float
    end: float
    at: Callable[[float], Key]
    shot: Shot | None
    kind: str | None
    rest: tuple | None

    def key(self, t: float) -> Key:
        """The key at time `t`, seconds."""
        return self.at((t - self.start) / max(self.end - self.start, 1e-6))


@dataclass
class Part:
    """What one person does during the whole clip; nothing of it is built yet."""

    body: Body
    segments: list[Segment]
    size: tuple[float, float, float]  # of the own parcel
    owns: bool

    @property
    def photographs(self) -> bool:
        """Whether they do so at some time."""
        return any(s.shot and s.shot.use == "photo" for s in self.segments)

    def segment(self, t: float) -> Segment:
        """The one at time `t`."""
        return next((s for s in self.segments if s.start <= t < s.end), self.segments[-1])

    def key(self, t: float) -> Key:
        """The key at time `t`."""
        return self.segment(t).key(t)


class Prop:
    """Something that moves as one piece: objects, and what the truth knows of them, made at the origin."""

    def __init__(self, studio, objects, things: list[Thing]):
        self._studio, self.objects, self.things = studio, objects, things
        self._made = [(t.points.copy(), t.top, t.normal) for t in things]

    def move(self, rotation, centre) -> None:
        """Turn and shift it from where it was made."""
        self._studio.move(self.objects, rotation, centre)
        for thing, (points, top, normal) in zip(self.things, self._made, strict=True):
            thing.points = points @ rotation.T + centre
            if top is not None:
                thing.top = top @ rotation.T + centre
            if normal is not None:
                thing.normal = rotation @ normal


@dataclass
class Actor:
    """A person of the clip, built."""

    part: Part
    thing: Thing
    meshes: list
    props: dict[str, Prop]
    load: Prop | None
    at: SimpleNamespace | None = None  # what holds in the current frame: key, segment, prop

    def points(self) -> np.ndarray:
        """World points of the person and what they hold or carry in the current frame."""
        points = [vertices for vertices, _ in self.thing.surfaces]
        if self.at.prop:
            points += [t.points for t in self.at.prop.things]
        if self.load and self.at.segment.rest is None:
            points += [t.points for t in self.load.things]
        return np.concatenate(points)


class Director(Stage):
    """Plans and builds the people of a clip, and poses them for each frame."""

    def cast(self, rng: random.Random, plans: list[list[Step]], seconds: float, focus, spread: float) -> list[Actor]:
        """People who follow the plans around `focus` (m), kept apart from each other where that can be done."""
        self._begin(rng)
        self.ground = Ground(self.room.floor)
        chosen: list[tuple[Part, np.ndarray]] = []
        for plan in plans:
            body = dressed_person(self._assets, rng)
            others = [track for _, track in chosen]
            tried = []
            for _ in range(TRIES):
                part = Planner(self, body, rng, focus, spread, others).part(plan, seconds)
                if part is None:
                    continue
                track = np.array([part.key(t).position for t in np.arange(0, seconds, 0.4)])
                tried.append((closest(track, others), part, track))
                if tried[-1][0] > APART:
                    break
            gap, part, track = max(tried, key=lambda one: one[0], default=(0.0, None, None))
            if part and gap > TOUCHING:
                chosen.append((part, track))
        return [self._built(part) for part, _ in chosen]

    def free_spot(self, near, spread: float):
        """As on a `Stage`, but with the whole person in the picture if that can be had."""
        spots = []
        for _ in range(8):
            spot = super().free_spot(near, spread)
            if spot is None:
                break
            spots.append(spot)
            if self.is_framed(spot):
                return spot
        return spots[0] if spots else None

    def is_framed(self, spot, height: float = HEAD) -> bool:
        """Whether somebody who stands there, or squats up to that height, is wholly in the picture."""
        return self.in_view((*spot, 0.0), 0.01) and self.in_view((*spot, height), 0.01)

    def _built(self, part: Part) -> Actor:
        """Meshes, devices and the own parcel of a person."""
        thing = self._register.add("person")
        thing.joints = part.body.keypoints()
        meshes = self._build(part.body, thing)
        screen = "camera" if part.photographs else shown("text", self._rng)
        props = {}
        for kind in dict.fromkeys(s.kind for s in part.segments if s.kind):
            before = self._studio.objects()
            held = self._props.make(
                Hold(kind, np.zeros(3), np.array([0, 1.0, 0]), np.array([0, 0, -1.0])), thing.id, screen
            )
            props[kind] = Prop(self._studio, self._studio.objects() - before, [held])
        load = None
        if part.owns:
            before, known = self._studio.objects(), set(self._register.things)
            self._packer.put(np.zeros(3), 0.0, face=self._rng.choice(["top", "top", "-y", "+x", None]), size=part.size)
            new = [t for i, t in self._register.things.items() if i not in known]
            load = Prop(self._studio, self._studio.objects() - before, new)
        return Actor(part, thing, meshes, props, load)

    def pose(self, actor: Actor, t: float) -> None:
        """Bring a person and their things to time `t`, in the scene and in the truth."""
        part, thing = actor.part, actor.thing
        segment = part.segment(t)
        key, shot = segment.key(t), segment.shot
        body = part.body
        applied(body, key)
        thing.surfaces = [(body.skin(surface), surface.faces) for surface in body.surfaces]
        for mesh, (vertices, _) in zip(actor.meshes, thing.surfaces, strict=True):
            self._studio.reshape(mesh, vertices)
        thing.joints = body.keypoints()
        target = None if shot is None else self._parcel_id(actor, shot)
        use = shot.use if shot else None
        thing.facts |= {
            "action": shot.action if shot else "moving",
            "act": act_of(use, "label" if use in ("photo", "scan") else None),
        }
        prop = actor.props.get(segment.kind or "")
        for other in actor.props.values():
            self._studio.show(other.objects, other is prop)
        if prop:
            prop.move(*in_world(body, key.grip))
            if segment.kind in ("phone", "pda", "gun"):
                prop.things[0].facts |= {"use": use, "target": target if use in ("photo", "scan") else None}
            if segment.kind == "phone" and part.photographs:
                self._light(prop.things[0], use, *in_world(body, key.grip))
        if actor.load:
            if segment.rest is None:
                actor.load.move(turn([0, 0, 1], key.yaw), load_foot(body, key))
            else:
                foot, yaw = segment.rest
                actor.load.move(turn([0, 0, 1], yaw), foot)
        frame = in_world(body, key.grip) if prop else None
        actor.at = SimpleNamespace(key=key, segment=segment, prop=prop, frame=frame)

    def _light(self, phone: Thing, use: str | None, frame, centre) -> None:
        """Show on the phone of somebody who photographs what its camera sees now, or what they read instead."""
        if use == "text":
            read = cv2.imread(str(self._textures.screen("feed", phone.id % SCREENS)))
            self._studio.draw(viewfinder(phone), cv2.resize(read, VIEWFINDER, interpolation=cv2.INTER_AREA)[..., ::-1])
        else:
            self.show_viewfinder(phone, frame, centre)

    def _parcel_id(self, actor: Actor, shot: Shot) -> int | None:
        if shot.parcel != OWN:
            return shot.parcel
        return next(t.id for t in actor.load.things if t.kind == "parcel") if actor.load else None

    def exposed_to(self, actor: Actor) -> list[int]:
        """Labels that the phone in the person's hand can see now."""
        frame, centre = actor.at.frame
        labels = [t for t in self._register.things.values() if t.kind == "label"]
        return exposed(centre, frame, labels, self.is_hidden)

    def events(self, actors: list[Actor], seconds: float) -> list[dict]:
        """What everybody does when, within the clip; moving left out."""
        found = []
        for actor in actors:
            for s in actor.part.segments:
                if s.shot is None or s.end <= 0 or s.start >= seconds:
                    continue
                use = s.shot.use
                found.append(
                    {
                        "person": actor.thing.id,
                        "act": act_of(use, "label" if use in ("photo", "scan") else None),
                        "action": s.shot.action,
                        "t0": round(max(0.0, s.start), 3),
                        "t1": round(min(seconds, s.end), 3),
                        "parcel": self._parcel_id(actor, s.shot),
                    }
                )
        return sorted(found, key=lambda e: (e["t0"], e["person"]))


def closest(track, others) -> float:
    """How near somebody comes to others, metres; infinite without others. Tracks are `(T, 2)`, of equal times."""
    return min((float(np.linalg.norm(track - other, axis=1).min()) for other in others), default=np.inf)


class Planner:
    """Turns one person's steps into segments."""

    def __init__(self, stage: Director, body: Body, rng: random.Random, focus, spread: float, others):
        """Plan around `focus` (m), away from `others`: tracks `(T, 2)` of people planned already."""
        self._stage, self._body, self._rng = stage, body, rng
        self._focus, self._spread = np.asarray(focus, float), spread
        self._others = np.concatenate([np.zeros((0, 2)), *others])
        self._side = rng.choice("rrrl")
        self._scanner = rng.choice(["gun", "pda"])
        self._hang = Swing(rng.uniform(4, 30), rng.uniform(25, 95), rng.uniform(6, 12))
        self._speed = rng.uniform(0.85, 1.3)
        self._size = (rng.uniform(0.3, 0.45), rng.uniform(0.25, 0.36), rng.uniform(0.15, 0.32))
        self._rest: tuple | None = None  # where the own parcel stands
        self._place: tuple | None = None  # where it will, once put down
        self._carries = False
        self._owns = False
        self._done: set[int] = set()
        self._last_label: np.ndarray | None = None
        self._shot: Shot | None = None
        self._segments: list[Segment] = []

    def part(self, steps: list[Step], seconds: float) -> Part | None:
        """The segments, from before 0 to after `seconds`; None if there is no room for the first step."""
        t = 0.0
        for step in steps:
            if t > seconds:
                break
            shot = self._made(step)
            if shot is None:
                continue
            t = self._go(self._shot, shot, t) if self._shot else -self._rng.uniform(0.0, 0.6) * step.seconds
            self._keep(shot, t, t + step.seconds)
            t += step.seconds
            self._shot = shot
        if self._shot is None:
            return None
        if t < seconds + 1:
            end = Shot(self._upright(self._shot.leave), self._upright(self._shot.leave), "stand", kind=self._shot.kind)
            t = self._go(self._shot, end, t)
            self._keep(end, t, seconds + 60)
        self._backfill()
        return Part(self._body, self._segments, self._size, self._owns)

    # ---- time ----

    def _add(self, start: float, end: float, at, shot: Shot | None, kind: str | None) -> float:
        self._segments.append(Segment(start, end, at, shot, kind, self._rest))
        return end

    def _keep(self, shot: Shot, start: float, end: float) -> None:
        """Hold a shot's pose, swaying."""
        rng = self._rng
        sway = Sway(
            np.array([rng.uniform(0, 6.28) for _ in range(5)]),
            np.array([rng.uniform(0.5, 1.9) for _ in range(5)]),
            shot.work,
        )
        if not shot.sways:
            self._add(start, end, lambda s: shot.enter, shot, shot.kind)
        else:
            # swaying starts and ends with none, so that nothing jumps
            def at(s: float) -> Key:
                full = sway.at(shot.enter, start + s * (end - start))
                edge = min(1.0, s * (end - start) / 0.4, (1 - s) * (end - start) / 0.4)
                return blended(shot.enter, full, edge, stepping=False) if edge < 1 else full

            self._add(start, end, at, shot, shot.kind)
        if shot.leave.load is None and shot.enter.load is not None:
            self._rest, self._carries = self._place, False
        elif shot.enter.load is None and shot.leave.load is not None:
            self._rest, self._carries = None, True

    def _go(self, a: Shot, b: Shot, t: float) -> float:
        """Move from one shot to the next; gives the time of arrival."""
        key, kind = a.leave, a.kind
        if a.kind != b.kind:  # something goes into the pocket, something else comes out of it
            grip = a.leave.grip or b.enter.grip
            stowed = self._upright(a.leave, pocket=grip.side)
            t = self._blend(key, stowed, t, kind)
            key, kind = self._with_hands(dataclasses.replace(stowed, grip=None), b.enter), b.kind
        gap = float(np.linalg.norm(b.enter.position - key.position))
        if gap < STEP or (gap < 2 * STEP and not self._is_low(key) and not self._is_low(b.enter)):
            return self._blend(key, b.enter, t, kind)
        path = self._stage.ground.path(key.position, b.enter.position)
        yaws = headings(evenly(path))
        if self._is_low(key) or abs(angle_between(key.yaw, yaws[0])) > TURN:
            up = self._upright(key, yaw=yaws[0])
            t = self._blend(key, up, t, kind)
            key = up
        end = b.enter
        if self._is_low(end) or abs(angle_between(end.yaw, yaws[-1])) > TURN:
            end = self._upright(end, yaw=yaws[-1], like=key)
        walk = Walk(key, end, path, self._speed, self._gait(key))
        t = self._add(t, t + walk.seconds, walk.at, None, kind)
        return t if end is b.enter else self._blend(end, b.enter, t, kind)

    def _blend(self, a: Key, b: Key, t: float, kind: str | None) -> float:
        gap = float(np.linalg.norm(b.position - a.position))
        rise = abs(float(b.trunk[0] - a.trunk[0]))
        seconds = 0.5 + 0.9 * gap + abs(angle_between(a.yaw, b.yaw)) / 220 + 0.9 * rise
        return self._add(t, t + seconds * self._rng.uniform(0.85, 1.2), lambda s: blended(a, b, s), None, kind)

    def _backfill(self) -> None:
        """An own parcel that is found standing somewhere stood there all along."""
        rest = None
        for segment in reversed(self._segments):
            if segment.rest is None and segment.at is not None and not self._is_carried(segment):
                segment.rest = rest
            rest = segment.rest

    @staticmethod
    def _is_carried(segment: Segment) -> bool:
        return segment.at(0.5).load is not None

    # ---- keys ----

    def _is_low(self, key: Key) -> bool:
        return bool(key.trunk[0] < 0.85 * self._body.joint["pelvis"][2] or key.trunk[1] + key.trunk[2] > 45)

    def _upright(self, key: Key, *, yaw: float | None = None, pocket: str = "", like: Key | None = None) -> Key:
        """Standing at the key's place with what it (or the key `like` instead) holds; a side's hand in the `pocket`."""
        source = like or key
        pose = Pose(tuple(key.position), key.yaw if yaw is None else yaw, spine=(4, 0, 0))
        if pocket:
            pose.hands[pocket] = Swing(-12, 38, 3)
        elif source.grip:
            pose.hands[source.grip.side] = self._hang
        self._body.pose(pose)
        return self._with_hands(captured(self._body, pose), source)

    def _with_hands(self, key: Key, source: Key) -> Key:
        """The key, holding and carrying what `source` does."""
        if source.load is not None:
            return dataclasses.replace(key, arms=source.arms, curls=source.curls, load=source.load)
        if source.grip:
            side = source.grip.side
            return dataclasses.replace(key, grip=source.grip, curls=key.curls | {side: source.curls[side]})
        return key

    def _gait(self, key: Key) -> Callable[[float], Key]:
        hands = {key.grip.side: self._hang} if key.grip else {}

        def at(phase: float) -> Key:
            pose = striding(self._body, phase, hands, -2.0 if key.load is not None else 4.0)
            self._body.pose(pose)
            return self._with_hands(captured(self._body, pose), key)

        return at

    def _key(self, act: poses.Act) -> tuple[Key, str | None]:
        """The key of an act that the body has just been given, and what is in its hand."""
        key = captured(self._body, act.pose)
        if not act.holds:
            return key, None
        hold = act.holds[0]
        side = (
            act.holding[0]
            if act.holding
            else min("lr", key=lambda s: float(np.linalg.norm(self._body.places[f"hand_{s}"] - hold.centre)))
        )
        key.grip = gripped(self._body, side, hold)
        return key, hold.kind

    # ---- steps ----

    def _made(self, step: Step) -> Shot | None:
        """The shot of a step at a place where it can be done; None where there is none."""
        match step.act:
            case "photo" | "scan":
                return self._pointed(step)
            case "tape" | "handle" | "look":
                return self._at_parcel(step)
            case "carry" | "put" | "lift" | "pack":
                return self._portering(step)
            case _:
                return self._standing_by(step)

    def _here(self) -> np.ndarray:
        return self._shot.leave.position if self._shot else self._focus

    def _pointed(self, step: Step) -> Shot | None:
        """Photograph or scan the next label: the nearest not done yet."""
        rng, stage = self._rng, self._stage
        near = self._here() if self._last_label is None else self._last_label
        reach = self._spread + 2
        near_enough = [
            p
            for p in stage.targets
            if p.label.centre[2] < 1.7 and np.linalg.norm(p.label.centre[:2] - self._focus) < reach
        ]
        if all(p.thing.id in self._done for p in near_enough):  # once more, but not the same one again
            self._done &= {self._shot.parcel} if self._shot else set()
        todo = [p for p in near_enough if p.thing.id not in self._done]
        stray = 0.9 if self._last_label is None else 0.25

        def far(parcel) -> float:
            point = parcel.label.centre[:2]
            return float(np.linalg.norm(point - near[:2])) + rng.uniform(0, stray) + 2.5 * self._is_crowded(point)

        todo.sort(key=far)
        height = HEAD if step.posture in ("stand", "stoop", "bend") else LOW_HEAD
        spots = ((p, self._spot(p.label.centre, p.label.normal)) for p in todo[:14])
        found = [(p, spot) for p, spot in spots if spot is not None]
        found.sort(key=lambda pair: not stage.is_framed(pair[1], height))  # a stable sort: the nearest stays first
        for parcel, spot in found:
            act = self._aimed(step, parcel.label, spot)
            self._done.add(parcel.thing.id)
            if act is None:
                continue
            key, kind = self._key(act)
            self._last_label = parcel.label.centre
            return Shot(key, key, act.name, act.use, parcel.thing.id, kind)
        return None

    def _is_crowded(self, point) -> bool:
        """Whether somebody planned already is there at some time."""
        return bool((np.linalg.norm(self._others - np.asarray(point)[:2], axis=1) < CROWDED).any())

    def _spot(self, point, normal):
        """Where to stand for something: here if that will do, else the nearest of a few places."""
        here, stage = self._here(), self._stage
        if self._shot:
            way = here - point[:2]
            gap = float(np.linalg.norm(way))
            if (
                0.45 < gap < 0.8
                and not self._is_crowded(here)
                and (abs(normal[2]) > 0.5 or way @ normal[:2] > 0.5 * gap)
            ):
                return tuple(here)
        to_camera = unit(np.asarray(stage.camera.position)[:2] - point[:2])

        def cost(spot) -> float:
            """Metres to go, and more for who turns the back on the camera, showing it no device, or is cut off."""
            away = float(unit(np.array(spot) - point[:2]) @ to_camera)
            return (
                float(np.linalg.norm(np.array(spot) - here))
                + max(0.0, away)
                + 3.0 * (not stage.is_framed(spot))
                + 3.0 * self._is_crowded(spot)
            )

        return min(
            (s for s in (stage.spot_by(point, normal) for _ in range(6)) if s is not None), key=cost, default=None
        )

    def _aimed(self, step: Step, label, spot) -> poses.Act | None:
        """The act, with the device in the person's own hand, and for a photo with the label in the phone's view."""
        rng = self._rng
        posture = step.posture if label.centre[2] < 0.5 else rng.choice(HIGH)
        make = poses.photo if step.act == "photo" else poses.scan
        misses = 0
        while misses < 4:
            for _ in range(24):
                act = make(self._body, spot, label, rng, posture)
                hold = act.holds[0]
                if act.holding[0] == self._side and (step.act == "photo" or hold.kind == self._scanner):
                    break
            else:
                return None
            if step.act == "scan" or exposed(hold.centre, hold.frame, [label.thing], self._stage.is_hidden):
                return act
            misses += 1
        return None

    def _at_parcel(self, step: Step) -> Shot | None:
        rng, stage = self._rng, self._stage
        found = stage.parcel_spot(self._here(), -1.2) or stage.parcel_spot(self._here(), self._spread - 1)
        if found is None:
            return None
        parcel, spot = found
        posture = step.posture if parcel.top < 0.5 else "stand"
        if step.act == "look":
            act = self._sided(lambda: poses.browse(self._body, spot, yaw_to(spot, parcel.foot), rng, step.posture))
            key, kind = self._key(act)
            return Shot(key, key, act.name, act.use, None, kind)
        if step.act == "tape":
            return self._taping(spot, parcel, posture, parcel.thing.id)
        point = np.array([*parcel.foot[:2], parcel.top - 0.03])
        act = poses.handle(self._body, spot, point, rng, posture)
        key, _ = self._key(act)
        work = {s: np.array([rng.uniform(-0.03, 0.03), rng.uniform(-0.03, 0.03), rng.uniform(0, 0.05)]) for s in "lr"}
        return Shot(key, key, act.name, None, parcel.thing.id, None, work)

    def _taping(self, spot, parcel, posture: str, number: int) -> Shot:
        act = poses.tape(self._body, spot, parcel, self._rng, posture)
        key, kind = self._key(act)
        work = {key.grip.side: np.array([0.0, 0.11, 0.02])}
        return Shot(key, key, act.name, None, number, kind, work)

    def _sided(self, make: Callable[[], poses.Act]) -> poses.Act:
        """An act with the device in the person's own hand."""
        for _ in range(16):
            act = make()
            if act.holding and act.holding[0] == self._side:
                break
        return act

    def _free_spot(self, near, spread: float):
        spots = [self._stage.free_spot(near, spread) for _ in range(5)]
        return next((s for s in spots if s is not None and not self._is_crowded(s)), spots[0])

    def _standing_by(self, step: Step) -> Shot | None:
        """What needs no parcel, here or at a free spot near."""
        rng, body = self._rng, self._body
        move = self._shot is None or step.act == "leave" or rng.random() < 0.35
        near, spread = (self._focus, self._spread) if self._shot is None or step.act == "leave" else (self._here(), 0.9)
        spot = self._free_spot(near, spread) if move else tuple(self._here())
        if spot is None:
            return None
        yaw = rng.uniform(0, 360) if self._shot is None else self._shot.leave.yaw + rng.gauss(0, 50)
        if rng.random() < 0.4:
            yaw = yaw_to(spot, self._stage.camera.position) + rng.gauss(0, 40)
        match step.act:
            case "browse":
                act = self._sided(lambda: poses.browse(body, spot, yaw, rng, step.posture))
            case "call":
                act = self._sided(lambda: poses.call(body, spot, yaw, rng, step.posture))
            case "held":
                act = self._sided(lambda: poses.held(body, spot, yaw, rng, step.posture))
            case "read":
                act = poses.read_object(body, spot, yaw, rng, step.posture)
            case "hold":
                act = poses.hold_object(body, spot, yaw, rng, step.posture)
            case "point":
                parcels = self._stage.room.parcels
                act = poses.point_at(body, spot, rng.choice(parcels).foot if parcels else np.array([0, 0, 1.0]), rng)
            case "rest" if step.posture != "stand":
                act = poses.rest(body, spot, yaw, rng, step.posture)
            case _:
                kind = self._shot.kind if self._shot else None
                pose = Pose(tuple(spot), yaw)
                body.pose(pose)
                key = captured(body, pose)
                key = self._upright(key, like=self._shot.leave if self._shot else None)
                return Shot(key, key, "stand", kind=kind)
        key, kind = self._key(act)
        return Shot(key, key, act.name, act.use, None, kind)

    # ---- an own parcel ----

    def _portering(self, step: Step) -> Shot | None:
        rng, body, size = self._rng, self._body, self._size
        if step.act == "pack":
            if self._rest is None:
                return None
            foot = self._rest[0]
            spot = self._stage.spot_by(foot, UP)
            if spot is None:
                return None
            return self._taping(spot, SimpleNamespace(foot=foot, top=size[2] + foot[2], size=size), step.posture, OWN)
        is_at_odds = self._owns and not self._carries if step.act == "carry" else (step.act == "put") != self._carries
        if is_at_odds:  # an earlier step found no room
            return None
        if step.act == "carry":
            spot = self._free_spot(self._focus, self._spread)
            if spot is None:
                return None
            yaw = yaw_to(self._here(), spot) if self._shot else rng.uniform(0, 360)
            act = poses.carry(body, spot, yaw, size, rng)
            act.pose.feet, act.pose.foot_pitch, act.pose.hips = {}, {}, None
            body.pose(act.pose)
            key = captured(body, act.pose)
            key.load = loaded(body, yaw, act.carried[0])
            self._owns = self._carries = True
            return Shot(key, key, "carry")
        place = self._rest if step.act == "lift" else None
        for _ in range(30):
            if place:
                foot, yaw = place
                spot = foot[:2] - poses.heading(yaw)[0][:2] * (0.3 + size[1] / 2)
            else:
                spot, yaw = self._stage.free_spot(self._focus, self._spread), rng.uniform(0, 360)
                if spot is None:
                    continue
                ahead = np.asarray(spot) + poses.heading(yaw)[0][:2] * (0.3 + size[1] / 2)
                if self._stage.room.floor.gap(*ahead) < 0.6 * max(size[:2]) or not self._stage.in_view((*ahead, 0)):
                    continue
            act = poses.set_down(body, spot, yaw, size, rng)
            key = captured(body, act.pose)
            with_load = dataclasses.replace(key, load=loaded(body, yaw, act.carried[0]))
            self._owns, self._place = True, (act.carried[0], yaw)
            if step.act == "put":
                return Shot(with_load, key, "put_down", None, OWN, sways=False)
            self._rest = self._place
            return Shot(key, with_load, "lift", None, OWN, sways=False)
        return None
