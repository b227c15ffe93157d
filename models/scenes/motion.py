"""Motion: a person's keys blended into one another, and walking along the floor between them.

A `Key` is a pose with the hands as the chest sees them, and the thing held as its hand sees it. So what lies between
two keys keeps its feet on the floor and its phone in the hand.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field

import cv2
import numpy as np

from scenes.body import FINGERS, RELAXED, SIDES, Body, Hand, Pose, Swing
from scenes.vectors import basis, turn

STRIDE = 0.62  # how far a foot goes over the floor while it is down, metres
CYCLE = STRIDE / 0.6  # way of one cycle of the walk: a foot is down for 60 % of it, see `stride`
POINT_EVERY_M = 0.05  # of a path
RAMP = 0.45  # seconds in which a walk grows out of a key, and ends in one
# Where an elbow points when the arm is straight, which shows no direction of its own; the chest's frame, left side.
ELBOW = np.array([0.55, 0.35, -0.75])
# Which of the trunk's numbers sway, and how far, degrees: spine forwards, sideways, its twist; head's yaw and pitch.
SWAYING, SWAY = [2, 3, 4, 6, 7], np.array([1.2, 0.8, 1.2, 4.0, 2.5])
WORK_RATE = 4.2  # of hands at work, radians a second


@dataclass
class Grip:
    """A held thing in the frame of the hand that has it: `centre` `(3,)` and `frame` `(3, 3)`."""

    side: str
    centre: np.ndarray
    frame: np.ndarray


@dataclass
class Arm:
    """A hand in the chest's frame: `wrist` from the shoulder, `(3, 3)` `frame` (fingers, palm, …), the elbow's way."""

    wrist: np.ndarray
    frame: np.ndarray
    elbow: np.ndarray


@dataclass
class Foot:
    """An ankle in the body's frame, `(3,)` with z above where it stands, and the foot's angles in degrees."""

    place: np.ndarray
    pitch: float
    yaw: float


@dataclass
class Key:
    """A pose to be blended with others; lengths in metres, angles in degrees, as in `Pose`.

    Attributes:
        position: `(2,)` on the floor.
        trunk: hips height, tilt, spine's three angles, knees, the head's two: `(8,)`.
        curls: Per side `(5, 3)`: four fingers, the thumb.
        grip: The thing held, if any.
        load: `(3,)` the foot of a carried parcel from the middle between the wrists, in the frame of the heading.
    """

    position: np.ndarray
    yaw: float
    trunk: np.ndarray
    feet: dict[str, Foot]
    arms: dict[str, Arm]
    curls: dict[str, np.ndarray]
    grip: Grip | None = None
    load: np.ndarray | None = None


def smooth(s: float) -> float:
    """0..1 with no speed at both ends; held at them beyond."""
    s = min(max(s, 0.0), 1.0)
    return s * s * (3 - 2 * s)


def angle_between(a: float, b: float) -> float:
    """The shorter way from heading `a` to `b`, -180..180 degrees."""
    return (b - a + 180) % 360 - 180


def between(a, b, s: float) -> np.ndarray:
    """The rotation at share `s` of the way from rotation `a` to `b`, about one axis."""
    way, _ = cv2.Rodrigues(np.asarray(a).T @ b)
    step, _ = cv2.Rodrigues(way * s)
    return a @ step


def captured(body: Body, pose: Pose) -> Key:
    """The key of a pose that the body has."""
    chest, skull = body.turns["spine_03"], body.turns["head"]
    ahead = chest.T @ skull @ [0, -1.0, 0]
    head = np.degrees([np.arctan2(ahead[0], -ahead[1]), np.arctan2(-ahead[2], np.hypot(ahead[0], ahead[1]))])
    arms, feet, curls = {}, {}, {}
    for side, sign in SIDES.items():
        shoulder = body.places[f"upperarm_{side}"]
        fingers, palm, _ = body.rest_hand(side)
        arms[side] = Arm(
            chest.T @ (body.places[f"hand_{side}"] - shoulder),
            chest.T @ body.turns[f"hand_{side}"] @ basis(fingers, palm),
            chest.T @ (body.places[f"lowerarm_{side}"] - shoulder) + 0.02 * ELBOW * [sign, 1, 1],
        )
        rest = body.joint[f"foot_{side}"]
        offset = np.asarray(pose.feet.get(side, (0.0, 0.0, 0.0)), float)
        feet[side] = Foot(
            offset + np.array([rest[0] * 0.8, rest[1], 0]), pose.foot_pitch.get(side, 0.0), pose.foot_yaw.get(side, 0.0)
        )
        bend = pose.curls.get(side, RELAXED)
        curls[side] = np.array([*(bend.get(f, bend["all"]) for f in FINGERS), bend.get("thumb", (15, 10, 10))], float)
    trunk = np.array([body.places["pelvis"][2], pose.tilt, *pose.spine, pose.knees, *head])
    return Key(np.array(pose.position, float), pose.yaw, trunk, feet, arms, curls)


def applied(body: Body, key: Key) -> None:
    """Give the body a key's pose."""
    hips, tilt, *spine, knees = key.trunk[:6]
    pose = Pose(tuple(key.position), key.yaw, hips=hips, tilt=tilt, spine=tuple(spine), knees=knees)
    pose.head = tuple(key.trunk[6:])
    for side, foot in key.feet.items():
        rest = body.joint[f"foot_{side}"]
        pose.feet[side] = foot.place - [rest[0] * 0.8, rest[1], 0]
        pose.foot_pitch[side], pose.foot_yaw[side] = foot.pitch, foot.yaw
        names = (*FINGERS, "thumb")
        pose.curls[side] = dict(zip(names, key.curls[side], strict=True)) | {"all": key.curls[side][0]}
    body.pose(pose)  # the chest, which the hands hang on
    chest = body.turns["spine_03"]
    for side, arm in key.arms.items():
        hand = chest @ arm.frame
        pose.hands[side] = Hand(body.places[f"upperarm_{side}"] + chest @ arm.wrist, hand[:, 1], hand[:, 0])
        pose.elbows[side] = arm.elbow
    body.pose(pose)


def gripped(body: Body, side: str, hold) -> Grip:
    """How the hand on that side has a `Hold`, in the pose that the body has."""
    turned = body.turns[f"hand_{side}"]
    return Grip(side, turned.T @ (np.asarray(hold.centre) - body.places[f"hand_{side}"]), turned.T @ hold.frame)


def in_world(body: Body, grip: Grip) -> tuple[np.ndarray, np.ndarray]:
    """Frame `(3, 3)` and centre `(3,)` of a held thing in the pose that the body has."""
    turned = body.turns[f"hand_{grip.side}"]
    return turned @ grip.frame, body.places[f"hand_{grip.side}"] + turned @ grip.centre


def loaded(body: Body, yaw: float, foot) -> np.ndarray:
    """`Key.load` of a parcel whose underside's centre is at `foot`."""
    return turn([0, 0, 1], yaw).T @ (np.asarray(foot) - _between_wrists(body))


def load_foot(body: Body, key: Key) -> np.ndarray:
    """Where a carried parcel's underside is in the pose that the body has."""
    return _between_wrists(body) + turn([0, 0, 1], key.yaw) @ key.load


def _between_wrists(body: Body) -> np.ndarray:
    return 0.5 * (body.places["hand_l"] + body.places["hand_r"])


def blended(a: Key, b: Key, s: float, *, stepping: bool = True) -> Key:
    """The key at share `s` of the way from `a` to `b`.

    Feet that have to move step, one after the other, over the floor; without `stepping` they glide with the body.
    """
    e = smooth(s)

    def mixed(x, y):
        return x + (y - x) * e

    position, yaw = mixed(a.position, b.position), a.yaw + angle_between(a.yaw, b.yaw) * e
    left = turn([0, 0, 1], a.yaw) @ [1.0, 0, 0]
    first = "l" if np.dot(b.position - a.position, left[:2]) > 0 else "r"
    feet = {
        side: _stepped(a, b, side, (position, yaw), s, (0.0, 0.55) if side == first else (0.45, 1.0))
        if stepping
        else Foot(*(mixed(x, y) for x, y in zip(_parts(a.feet[side]), _parts(b.feet[side]), strict=True)))
        for side in SIDES
    }
    arms = {
        side: Arm(
            mixed(a.arms[side].wrist, b.arms[side].wrist),
            between(a.arms[side].frame, b.arms[side].frame, e),
            mixed(a.arms[side].elbow, b.arms[side].elbow),
        )
        for side in SIDES
    }
    curls = {side: mixed(a.curls[side], b.curls[side]) for side in SIDES}
    grip, load = a.grip or b.grip, a.load if b.load is None else b.load
    if a.grip and b.grip and a.grip.side == b.grip.side:
        centre, frame = mixed(a.grip.centre, b.grip.centre), between(a.grip.frame, b.grip.frame, e)
        grip = Grip(a.grip.side, centre, frame)
    if a.load is not None and b.load is not None:
        load = mixed(a.load, b.load)
    return Key(position, yaw, mixed(a.trunk, b.trunk), feet, arms, curls, grip, load)


def _parts(foot: Foot):
    return foot.place, foot.pitch, foot.yaw


def _stepped(a: Key, b: Key, side: str, now, s: float, span: tuple[float, float]) -> Foot:
    """A foot that goes over the floor from where it is in `a` to where it is in `b` within `span` of `s`."""
    position, yaw = now
    f = smooth((s - span[0]) / (span[1] - span[0]))

    def on_floor(key: Key):
        return turn([0, 0, 1], key.yaw) @ key.feet[side].place + np.array([*key.position, 0])

    start, end = on_floor(a), on_floor(b)
    gap = float(np.linalg.norm(end - start))
    place = start + (end - start) * f
    place[2] += min(0.07, 0.4 * gap) * np.sin(np.pi * f)
    outwards = a.yaw + a.feet[side].yaw
    outwards += angle_between(outwards, b.yaw + b.feet[side].yaw) * f
    pitch = a.feet[side].pitch + (b.feet[side].pitch - a.feet[side].pitch) * f
    return Foot(turn([0, 0, 1], yaw).T @ (place - [*position, 0]), pitch, angle_between(yaw, outwards))


@dataclass
class Sway:
    """How somebody who keeps a pose still moves: slow turns of spine and head, hands at work.

    Attributes:
        phases, rates: `(5,)` radians, and radians a second, of the trunk's angles.
        work: Per side, how far (`(3,)` metres, the chest's frame) a working hand goes to and fro.
    """

    phases: np.ndarray
    rates: np.ndarray
    work: dict[str, np.ndarray] = field(default_factory=dict)

    def at(self, key: Key, t: float) -> Key:
        """The key at time `t` (seconds)."""
        trunk = key.trunk.copy()
        trunk[SWAYING] += SWAY * np.sin(self.phases + self.rates * t)
        arms = dict(key.arms)
        for side, reach in self.work.items():
            wrist = arms[side].wrist + reach * np.sin(WORK_RATE * t + self.phases[0])
            arms[side] = dataclasses.replace(arms[side], wrist=wrist)
        return dataclasses.replace(key, trunk=trunk, arms=arms)


class Walk:
    """A walk along a path from one key to another.

    Args:
        start, end: Keys at both ends of the path.
        path: `(N, 2)` points on the floor, metres.
        speed: Metres a second.
        pose: The walking key at a phase (0..1) of the cycle.
    """

    def __init__(self, start: Key, end: Key, path, speed: float, pose: Callable[[float], Key]):
        self._start, self._end, self._pose = start, end, pose
        self._points = evenly(path)
        steps = np.linalg.norm(np.diff(self._points, axis=0), axis=1)
        self._way = np.concatenate([[0], np.cumsum(steps)])
        self.length = float(self._way[-1])
        self.seconds = self.length / speed + RAMP
        self._yaws = headings(self._points)

    def at(self, s: float) -> Key:
        """The key at share `s` of the time."""
        t = s * self.seconds
        gone = self._gone(t)
        place = np.array([np.interp(gone, self._way, self._points[:, i]) for i in (0, 1)])
        yaw = float(np.interp(gone, self._way, self._yaws))
        key = dataclasses.replace(self._pose(gone / CYCLE % 1), position=place, yaw=yaw)
        for other, share in ((self._start, t / RAMP), (self._end, (self.seconds - t) / RAMP)):
            if share < 1:
                key = blended(dataclasses.replace(other, position=place), key, share, stepping=False)
        return key

    def _gone(self, t: float) -> float:
        """Way after `t` seconds: the speed grows over `RAMP`, and falls over it at the end."""
        speed = self.length / (self.seconds - RAMP)
        ramp = min(RAMP, self.seconds / 2)
        if t < ramp:
            return speed * t * t / (2 * ramp)
        if t > self.seconds - ramp:
            return self.length - speed * (self.seconds - t) ** 2 / (2 * ramp)
        return speed * (t - ramp / 2)


def stride(body: Body, pose: Pose, phase: float, length: float = STRIDE) -> None:
    """Legs and arms of a walk at `phase` 0..1 of its cycle; 60 % of it a foot is on the ground."""
    for side, shift in (("l", 0.0), ("r", 0.5)):
        t = (phase + shift) % 1
        if t < 0.6:
            y, z, pitch = -length / 2 + length * t / 0.6, 0.0, max(0.0, (t - 0.42) / 0.18) * 32
        else:
            q = (t - 0.6) / 0.4
            y, z = length / 2 - length * (0.5 - 0.5 * np.cos(np.pi * q)), 0.09 * np.sin(np.pi * q)
            pitch = 32 * (1 - q) - 12 * q * (q > 0.6)
        pose.feet[side], pose.foot_pitch[side] = (0, y, z), pitch
    swing = 24 * np.cos(2 * np.pi * phase)
    pose.hands = {"l": Swing(-swing, 22, 8), "r": Swing(swing, 22, 8)}
    pose.hips = body.joint["pelvis"][2] * (0.955 + 0.014 * np.cos(4 * np.pi * phase))


def striding(body: Body, phase: float, hands: dict, lean: float = 4.0) -> Pose:
    """A walking pose at the origin; `hands` (per side a `Swing`) take the place of arms that swing."""
    pose = Pose(spine=(lean, 0, 6 * np.cos(2 * np.pi * phase)))
    stride(body, pose, phase)
    pose.hands |= hands
    return pose


def evenly(path) -> np.ndarray:
    """Points `(N, 2)` every `POINT_EVERY_M` or a little less along a path, its corners rounded, its ends kept."""
    path = np.asarray(path, float)
    way = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))])
    at = np.linspace(0, way[-1], max(3, int(np.ceil(way[-1] / POINT_EVERY_M)) + 1))
    points = np.stack([np.interp(at, way, path[:, i]) for i in (0, 1)], 1)
    for _ in range(12):
        points[1:-1] = 0.25 * points[:-2] + 0.5 * points[1:-1] + 0.25 * points[2:]
    return points


def headings(points) -> np.ndarray:
    """Heading at each point of a path, degrees, without jumps; 0 faces -y."""
    ways = np.gradient(np.asarray(points, float), axis=0)
    yaws = np.unwrap(np.arctan2(ways[:, 0], -ways[:, 1]))
    kernel = np.ones(7) / 7
    padded = np.pad(yaws, 3, mode="edge")
    return np.degrees(np.convolve(padded, kernel, "valid"))
