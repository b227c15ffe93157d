"""A person of bones alone: poses can be asked of it where MakeHuman's data isn't installed."""

from __future__ import annotations

import numpy as np
from scenes import body as bodies
from scenes.body import BaseMesh, Body, Shape

TRUNK = {
    "Root": (None, (0, 0, 0)),
    "pelvis": ("Root", (0, 0, 0.93)),
    "spine_01": ("pelvis", (0, 0, 1.02)),
    "spine_02": ("spine_01", (0, 0, 1.15)),
    "spine_03": ("spine_02", (0, 0, 1.28)),
    "neck_01": ("spine_03", (0, 0, 1.45)),
    "head": ("neck_01", (0, -0.01, 1.53)),
}
LIMBS = {
    "clavicle": ("spine_03", (0.03, 0, 1.42)),
    "upperarm": ("clavicle", (0.18, 0, 1.4)),
    "lowerarm": ("upperarm", (0.38, 0, 1.21)),
    "hand": ("lowerarm", (0.56, -0.03, 1.04)),
    "thigh": ("pelvis", (0.1, 0, 0.88)),
    "calf": ("thigh", (0.11, -0.01, 0.48)),
    "foot": ("calf", (0.11, 0.02, 0.08)),
    "ball": ("foot", (0.11, -0.1, 0.02)),
}
FINGERS = {"thumb": -0.05, "index": -0.03, "middle": -0.01, "ring": 0.01, "pinky": 0.03}  # before or behind the hand
SKIN = [(0, 0, 0), (0, -0.11, 1.6), (0.08, 0, 1.62), (-0.08, 0, 1.62), (0.03, -0.09, 1.64), (-0.03, -0.09, 1.64)]
EYES = {"joint-l-eye": [4], "joint-r-eye": [5]}


def _bones() -> dict[str, tuple[str | None, tuple[float, float, float]]]:
    bones: dict = dict(TRUNK)
    for side, sign in (("l", 1), ("r", -1)):
        for name, (parent, (x, y, z)) in LIMBS.items():
            bones[f"{name}_{side}"] = (parent if parent in TRUNK else f"{parent}_{side}", (sign * x, y, z))
        for finger, ahead in FINGERS.items():
            for k in range(3):
                parent = f"hand_{side}" if k == 0 else f"{finger}_0{k}_{side}"
                way = 0.09 + 0.03 * k
                at = (sign * (0.56 + 0.72 * way), -0.03 + ahead, 1.04 - 0.68 * way)
                bones[f"{finger}_0{k + 1}_{side}"] = (parent, at)
    return bones


def _their_units(point) -> list[float]:
    x, y, z = point
    return [10 * x, 10 * z, -10 * y]


def stick_figure(monkeypatch) -> Body:
    """Somebody 1.7 m tall, at rest."""
    bones = _bones()
    rig = {
        name: {"parent": parent, "head": {"strategy": "", "default_position": _their_units(at)}}
        for name, (parent, at) in bones.items()
    }
    vertices = np.array([_their_units(point) for point in SKIN])
    weights = np.zeros((len(SKIN), len(bones)), np.float32)
    weights[:, list(bones).index("head")] = 1
    mesh = BaseMesh(vertices, np.zeros((1, 2)), [], [], EYES, rig, list(bones), weights)
    monkeypatch.setattr(bodies, "base_mesh", lambda: mesh)
    monkeypatch.setattr(bodies, "morphed", lambda shape: vertices)
    return Body(Shape())
