"""Parcels: cardboard boxes and mailing bags with the labels on them."""

from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np

from scenes import textures as drawn
from scenes.blender import Block, Paint, Studio
from scenes.truth import Register, Thing
from scenes.vectors import UP, turn, unit

# Face by name: outward normal, the face's two axes, numbers of those axes and of the normal's.
FACES = {
    "top": ((0, 0, 1), (1, 0, 0), (0, 1, 0), 0, 1, 2),
    "+x": ((1, 0, 0), (0, 1, 0), (0, 0, 1), 1, 2, 0),
    "-x": ((-1, 0, 0), (0, -1, 0), (0, 0, 1), 1, 2, 0),
    "+y": ((0, 1, 0), (-1, 0, 0), (0, 0, 1), 0, 2, 1),
    "-y": ((0, -1, 0), (1, 0, 0), (0, 0, 1), 0, 2, 1),
}
TAPES = ((0.55, 0.42, 0.26), (0.72, 0.66, 0.5), (0.6, 0.45, 0.2), (0.8, 0.8, 0.78), (0.2, 0.45, 0.2))
BAGS = (
    (0.55, 0.56, 0.57),
    (0.75, 0.75, 0.74),
    (0.03, 0.03, 0.035),
    (0.6, 0.5, 0.15),
    (0.25, 0.3, 0.45),
    (0.7, 0.45, 0.5),
    (0.35, 0.5, 0.3),
    (0.5, 0.3, 0.12),
)
LABEL_SIZES = ((0.10, 0.15), (0.10, 0.18), (0.076, 0.13), (0.076, 0.115), (0.10, 0.10))  # metres


@dataclass
class Label:
    """A label on a parcel, for those who point a device at it."""

    thing: Thing
    centre: np.ndarray
    normal: np.ndarray
    up: np.ndarray


@dataclass
class Parcel:
    """A parcel that stands somewhere."""

    thing: Thing
    size: tuple[float, float, float]
    foot: np.ndarray
    yaw: float
    shape: str
    label: Label | None = None

    @property
    def top(self) -> float:
        """Height of its upper side, metres."""
        return float(self.foot[2] + self.size[2])


class Packer:
    """Makes parcels."""

    def __init__(self, studio: Studio, register: Register, textures: drawn.Textures, rng: random.Random):
        self._studio, self._register, self._textures, self._rng = studio, register, textures, rng

    def sized(self, shape: str) -> tuple[float, float, float]:
        """A size drawn at random, metres."""
        rng = self._rng
        if shape == "bag":
            return rng.uniform(0.25, 0.46), rng.uniform(0.2, 0.36), rng.uniform(0.04, 0.14)
        if rng.random() < 0.2:  # flat
            return rng.uniform(0.25, 0.5), rng.uniform(0.2, 0.38), rng.uniform(0.06, 0.12)
        return rng.uniform(0.2, 0.58), rng.uniform(0.18, 0.44), rng.uniform(0.1, 0.42)

    def put(self, foot, yaw: float, *, face: str | None = "top", shape: str = "box", size=None) -> Parcel:
        """Put a parcel with the centre of its underside at `foot`, its label on the named face or nowhere."""
        size = size or self.sized(shape)
        foot = np.asarray(foot, float)
        rotation = turn([0, 0, 1], yaw)
        block = Block(size, foot + UP * size[2] / 2, rotation)
        corners = block.corners()
        thing = self._register.add("parcel", corners, shape=shape)
        thing.top = corners[[1, 5, 7, 3]]
        parcel = Parcel(thing, size, foot, yaw, shape)
        if shape == "box":
            self._box(parcel, block, face)
        else:
            self._bag(parcel, block, face)
        return parcel

    def _box(self, parcel: Parcel, block: Block, face: str | None) -> None:
        rng, studio, index, size = self._rng, self._studio, parcel.thing.id, block.size
        k = rng.randrange(drawn.KRAFTS)
        tone = round(rng.uniform(0.75, 1.2), 1)
        if rng.random() < 0.14:
            hsv = (0.5, 0.15, 1.5)  # white board
        elif rng.random() < 0.06:
            hsv = (rng.choice([0.1, 0.3, 0.8]), 0.9, 0.8)  # printed board
        else:
            hsv = (0.5, round(rng.uniform(0.6, 0.9), 1), 1.05)
        board = Paint((tone, tone, tone), self._textures.kraft(k), hsv=hsv, rough=0.82)
        studio.blocks("box", [block], board, index=index, bevel=0.004)
        long = 0 if size[0] >= size[1] else 1
        if rng.random() < 0.93:
            self._tape(block, long, Paint(rng.choice(TAPES), rough=0.22), index)
        if rng.random() < 0.5:
            name = rng.choice(["+x", "-x", "+y", "-y"])
            if name != face:
                print_ = Paint(texture=self._textures.print(rng.randrange(drawn.PRINTS)), holes="texture", rough=0.85)
                self._sticker(block, name, 0.0, (0, 0), None, print_, index, lift=0.0009)
        if rng.random() < 0.07 and face != "top":
            # a plain sheet on top, which is no label
            sheet = Paint((0.85, 0.85, 0.83), rough=0.6)
            self._sticker(block, "top", rng.uniform(-20, 20), (0, 0), (0.105, 0.148), sheet, index, lift=0.0016)
        if face:
            angle = rng.choice([0, 0, 90, 180, 270]) + rng.gauss(0, 6)
            half = [s / 2 for s in rng.choice(LABEL_SIZES[:3] if rng.random() < 0.8 else LABEL_SIZES)]
            self._box_label(parcel, block, face, angle, half)

    def _tape(self, block: Block, long: int, paint: Paint, index: int) -> None:
        """Tape along the middle of the top and a little down both ends."""
        size, short = block.size, 1 - long
        along, wide, half = np.zeros(3), np.zeros(3), size[2] / 2
        along[long], wide[short] = size[long] / 2 - 0.001, 0.025
        at, rotation = np.asarray(block.centre), block.rotation
        sign = 1 if long == 0 else -1
        self._studio.quad(
            "tape", at + rotation @ [0, 0, half + 0.0008], rotation @ along, rotation @ wide * sign, paint, index=index
        )
        drop = min(0.07, size[2] * 0.5)
        for end in (-1, 1):
            place = np.zeros(3)
            place[long], place[2] = end * (size[long] / 2 + 0.0008), half - drop / 2
            self._studio.quad(
                "tape", at + rotation @ place, rotation @ wide, rotation @ [0, 0, drop / 2], paint, index=index
            )

    def _sticker(self, block, face, angle, offset, half, paint, index, *, lift):
        """A flat rectangle on a face of a box; `half` its half-sizes, None a third of the face."""
        normal, a, b, i, j, n = FACES[face]
        normal, a, b = (np.array(v, float) for v in (normal, a, b))
        size = block.size
        if half is None:
            half = (min(size[i], size[j]) * 0.3,) * 2
        turned = turn(normal, angle)
        scale = min(1, size[i] / 2 / half[0] * 0.9, size[j] / 2 / half[1] * 0.9)
        centre = np.asarray(block.centre) + block.rotation @ (
            normal * (size[n] / 2 + lift) + a * offset[0] + b * offset[1]
        )
        u = block.rotation @ (turned @ a) * half[0] * scale
        v = block.rotation @ (turned @ b) * half[1] * scale
        self._studio.quad("sticker", centre, u, v, paint, index=index)

    def _box_label(self, parcel: Parcel, block: Block, face: str, angle: float, half) -> None:
        normal, a, b, i, j, n = FACES[face]
        normal, a, b = (np.array(v, float) for v in (normal, a, b))
        size = block.size
        room_i, room_j = size[i] / 2 - 0.008, size[j] / 2 - 0.008
        (hx, hy), (reach_i, reach_j) = shrunk(half, angle, room_i, room_j)
        at_i = self._rng.uniform(-1, 1) * max(0, room_i - reach_i)
        at_j = self._rng.uniform(-1, 1) * max(0, room_j - reach_j)
        turned, rotation = turn(normal, angle), block.rotation
        centre = np.asarray(block.centre) + rotation @ (normal * (size[n] / 2 + 0.0016) + a * at_i + b * at_j)
        u, v = rotation @ (turned @ a) * hx, rotation @ (turned @ b) * hy
        self._label(parcel, centre, u, v, rotation @ normal, face, angle)

    def _bag(self, parcel: Parcel, block: Block, face: str | None) -> None:
        """A filled plastic bag: a pillow with wrinkles, its label bent onto it."""
        rng, parts = self._rng, 24
        a, b, h = (s / 2 for s in block.size)
        chance = np.random.default_rng(rng.randrange(1 << 30))
        phase, wave, depth = chance.uniform(0, 6.28, 8), chance.uniform(3, 13, (8, 2)), chance.uniform(0, 0.006, 8)

        def fullness(x, y):
            return (max(0, 1 - abs(x) ** 3.5) * max(0, 1 - abs(y) ** 3.5)) ** 0.6

        def surface(x, y):
            full = fullness(x, y)
            return h * full + float((depth * np.sin(wave @ (x, y) + phase)).sum()) * min(1, full * 2)

        vertices, faces = [], []
        steps = np.linspace(-1, 1, parts + 1)
        for sheet in (1, -1):
            for y in steps:
                for x in steps:
                    full = fullness(x, y)
                    z = surface(x, y) if sheet > 0 else -h * min(1, full * 2)
                    vertices.append((a * x * (1 - 0.04 * full), b * y * (1 - 0.04 * full), z))
        under = (parts + 1) ** 2
        for j in range(parts):
            for i in range(parts):
                k = j * (parts + 1) + i
                faces.append((k, k + 1, k + parts + 2, k + parts + 1))
                faces.append((under + k, under + k + parts + 1, under + k + parts + 2, under + k + 1))
        centre, rotation = np.asarray(block.centre), block.rotation
        paint = Paint(rng.choice(BAGS), rough=round(rng.uniform(0.25, 0.5), 2))
        world = np.array(vertices) @ rotation.T + centre
        self._studio.mesh("bag", world, faces, paint, smooth=True, index=parcel.thing.id)
        parcel.thing.points = world[::3]
        parcel.thing.top = (
            np.array([(-a, -b, h), (a, -b, h), (a, b, h), (-a, b, h)]) * [0.9, 0.9, 0.8]
        ) @ rotation.T + centre
        if not face:
            return
        angle = rng.choice([0, 90, 180, 270]) + rng.gauss(0, 8)
        half = [s / 2 for s in rng.choice(LABEL_SIZES[:3])]
        (hx, hy), reach = shrunk(half, angle, a * 0.8, b * 0.8)
        at = [rng.uniform(-1, 1) * max(0, r * 0.85 - e) for r, e in zip((a, b), reach, strict=True)]

        def bend(point):
            local = rotation.T @ (point - centre)
            local[2] = surface(local[0] / a, local[1] / b) + 0.004
            return centre + rotation @ local

        turned = turn([0, 0, 1], angle)
        u, v = rotation @ (turned @ [hx, 0, 0]), rotation @ (turned @ [0, hy, 0])
        self._label(parcel, centre + rotation @ [*at, h], u, v, np.array([0, 0, 1.0]), "top", angle, bend)

    def _label(self, parcel: Parcel, centre, u, v, normal, face: str, angle: float, bend=None) -> None:
        place = bend or (lambda point: point)
        points = [place(centre + a * u + b * v) for a, b in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
        thing = self._register.add(
            "label",
            points,
            parcel=parcel.thing.id,
            face="top" if face == "top" else "side",
            face_name=face,
            angle_in_face=angle % 360,
        )
        thing.normal = np.asarray(normal, float)
        paint = Paint(texture=self._textures.label(self._rng.randrange(drawn.LABELS)), rough=0.45)
        self._studio.quad("label", centre, u, v, paint, index=thing.id, parts=6 if bend else 1, bend=bend)
        parcel.label = Label(thing, place(centre.copy()), thing.normal, unit(v))


def shrunk(half, angle: float, room_i: float, room_j: float):
    """Half-sizes of a turned rectangle made to fit, and how far it then reaches along both axes."""
    c, s = abs(np.cos(np.radians(angle))), abs(np.sin(np.radians(angle)))
    reach_i, reach_j = half[0] * c + half[1] * s, half[0] * s + half[1] * c
    scale = min(1, room_i / reach_i, room_j / reach_j)
    return (half[0] * scale, half[1] * scale), (reach_i * scale, reach_j * scale)
