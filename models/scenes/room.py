"""Warehouse rooms: walls, light, racks, belts, trolleys, tables, parcels and clutter, drawn at random."""

from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np

from scenes import textures as drawn
from scenes.blender import Block, Paint, Studio
from scenes.floor import Floor
from scenes.parcels import Packer, Parcel
from scenes.vectors import UP, turn

STEEL = Paint((0.5, 0.52, 0.54), rough=0.35, metal=1.0)
RUBBER = Paint((0.02, 0.02, 0.022), rough=0.7)
WALL_TINTS = (
    (0.78, 0.8, 0.8),
    (0.85, 0.83, 0.76),
    (0.55, 0.66, 0.74),
    (0.9, 0.9, 0.9),
    (0.6, 0.72, 0.62),
    (0.5, 0.48, 0.46),
)
SKIRTS = ((0.12, 0.2, 0.32), (0.18, 0.26, 0.2), (0.3, 0.3, 0.3), (0.4, 0.12, 0.08))
UPRIGHTS = ((0.03, 0.09, 0.35), (0.35, 0.36, 0.37), (0.05, 0.25, 0.12), (0.5, 0.5, 0.5))
BEAMS = ((0.75, 0.22, 0.03), (0.75, 0.5, 0.03), (0.5, 0.52, 0.53))
LIGHTS = ((1, 0.97, 0.92), (0.93, 0.97, 1), (1, 1, 1), (1, 0.88, 0.7), (0.88, 1.0, 0.94))


@dataclass
class Shelf:
    """A level surface for parcels.

    Attributes:
        centre: Of the surface, metres.
        half: Half-sizes along its own axes.
        yaw: Its turn, degrees.
    """

    centre: np.ndarray
    half: tuple[float, float]
    yaw: float

    def at(self, x: float, y: float) -> np.ndarray:
        """World point of surface coordinates."""
        return np.asarray(self.centre) + turn([0, 0, 1], self.yaw) @ [x, y, 0.002]


class Room:
    """A warehouse hall being furnished.

    Attributes:
        width, depth, height: Of the hall, metres, centred on the origin.
        floor: What stands where.
        parcels: All parcels that stand still.
        seats: Spots where people tend to be, `(2,)` each.
    """

    def __init__(self, studio: Studio, packer: Packer, textures: drawn.Textures, rng: random.Random, mode: str):
        self.studio, self.packer, self.textures, self.rng, self.mode = studio, packer, textures, rng, mode
        self.width, self.depth = rng.uniform(8, 17), rng.uniform(8, 15)
        self.height = rng.choice([rng.uniform(3.2, 4.2), rng.uniform(4.2, 6), rng.uniform(6, 9)])
        self.floor = Floor(self.width, self.depth)
        self.parcels: list[Parcel] = []
        self._upright = Paint(rng.choice(UPRIGHTS), rough=0.45, metal=0.3)
        self._beam = Paint(rng.choice(BEAMS), rough=0.45)
        self._shell()
        self._light()

    # ---- the hall ----

    def _shell(self) -> None:
        rng, studio = self.rng, self.studio
        w, d, h = self.width / 2, self.depth / 2, self.height
        ground = Paint(texture=self.textures.floor(rng.randrange(drawn.FLOORS)), rough=round(rng.uniform(0.3, 0.7), 2))
        studio.quad("floor", (0, 0, 0), (w + 6, 0, 0), (0, d + 6, 0), ground, repeat=((w + 6) / 5, (d + 6) / 5))
        wall = Paint(rng.choice(WALL_TINTS), self.textures.wall(rng.randrange(drawn.WALLS)), rough=0.85)
        skirt = Paint(rng.choice(SKIRTS), rough=0.6) if rng.random() < 0.6 else None
        rise = rng.uniform(0.5, 1.4)
        self.door_side = rng.randrange(4)
        open_door = self.mode == "backlight"
        door_width = min(rng.uniform(2.6, 4.2), self.width - 2, self.depth - 2)
        door_height = min(rng.uniform(2.6, 3.8), h - 0.3)
        for k, (normal, half, away) in enumerate((((0, -1), w, d), ((0, 1), w, d), ((-1, 0), d, w), ((1, 0), d, w))):
            inward = np.array([*normal, 0.0])
            along = np.array([-inward[1], inward[0], 0.0])
            middle = -inward * away
            pieces = [(0.0, half, 0.0, h)]
            shift = 0.0
            if k == self.door_side and (open_door or rng.random() < 0.8):
                shift = rng.uniform(-1, 1) * max(0.0, half - door_width / 2 - 0.5)
                self.door = (middle + along * shift, inward, along, door_width, door_height)
                if open_door:
                    left, right = shift - door_width / 2, shift + door_width / 2
                    pieces = [
                        ((left - half) / 2, (left + half) / 2, 0.0, h),
                        ((right + half) / 2, (half - right) / 2, 0.0, h),
                        (shift, door_width / 2, door_height, h),
                    ]
            for centre, reach, low, high in pieces:
                at = middle + along * centre
                up = (high - low) / 2
                studio.quad("wall", at + UP * (low + up), along * reach, [0, 0, up], wall, repeat=(reach, up))
                if skirt and low == 0:
                    studio.quad("skirt", at + inward * 0.004 + [0, 0, rise / 2], along * reach, [0, 0, rise / 2], skirt)
            if k == self.door_side:
                self._door(open_door)
            self._wall_things(middle, inward, along, half)
        dark = Paint((0.3, 0.31, 0.32) if rng.random() < 0.5 else (0.55, 0.56, 0.57), rough=0.9)
        studio.quad("ceiling", (0, 0, h), (w, 0, 0), (0, -d, 0), dark)
        if h > 4:
            beams = [Block((0.18, self.depth, 0.3), (x, 0, h - 0.16)) for x in np.arange(-w + 1.5, w, 3.0)]
            studio.blocks("beams", beams, self._upright if rng.random() < 0.4 else STEEL)

    def _door(self, is_open: bool) -> None:
        """A roller door, shut, or open on bright daylight."""
        if not hasattr(self, "door"):
            return
        at, inward, along, wide, tall = self.door
        frame = np.stack([along, -inward, [0, 0, 1]], 1)
        rng = self.rng
        tone = rng.choice([(0.5, 0.53, 0.55), (0.25, 0.35, 0.5), (0.6, 0.6, 0.55)])
        slats = range(int(tall * 10) - 6, int(tall * 10)) if is_open else range(int(tall * 10))
        blocks = [Block((wide, 0.03, 0.095), at + inward * 0.03 + [0, 0, 0.06 + 0.1 * k], frame) for k in slats]
        self.studio.blocks("slats", blocks, Paint(tone, rough=0.4, metal=0.6))
        if is_open:
            glare = Paint((0.9, 0.95, 1.0), glow=rng.uniform(6, 14))
            self.studio.quad("daylight", at - inward * 5 + [0, 0, 2.5], along * 9, [0, 0, 4.5], glare)
            self.studio.lamp(
                "AREA",
                at - inward * 0.1 + [0, 0, tall / 2],
                rng.uniform(500, 1200),
                size=(wide, tall),
                colour=(0.93, 0.97, 1),
                aim=at + inward * 3 + [0, 0, 0.4],
            )

    def _wall_things(self, middle, inward, along, half) -> None:
        """Posters, boxes with switches, pipes, a fire extinguisher."""
        rng = self.rng
        frame = np.stack([along, -inward, [0, 0, 1]], 1)

        def block(size, shift, rise, paint):
            self.studio.blocks(
                "fitting",
                [Block(size, middle + along * shift + inward * (size[1] / 2 + 0.01) + [0, 0, rise], frame)],
                paint,
            )

        for _ in range(rng.randint(0, 4)):
            shift = rng.uniform(-half + 0.6, half - 0.6)
            match rng.randrange(5):
                case 0:
                    block(
                        (0.6, 0.01, 0.85), shift, 1.7, Paint(texture=self.textures.paper(rng.randrange(6)), rough=0.7)
                    )
                case 1:
                    block((0.5, 0.2, 0.7), shift, 1.5, Paint((0.6, 0.6, 0.58), rough=0.5))
                case 2:
                    self.studio.tube(
                        "pipe",
                        middle + along * shift + inward * 0.08,
                        middle + along * shift + inward * 0.08 + [0, 0, self.height],
                        0.05,
                        Paint(rng.choice([(0.6, 0.05, 0.04), (0.5, 0.5, 0.5)]), rough=0.5),
                    )
                case 3:
                    self.studio.tube(
                        "extinguisher",
                        middle + along * shift + inward * 0.12 + [0, 0, 0.1],
                        middle + along * shift + inward * 0.12 + [0, 0, 0.6],
                        0.075,
                        Paint((0.6, 0.02, 0.02), rough=0.3),
                    )
                case 4:
                    block(
                        (1.6, 0.03, 0.5),
                        shift,
                        2.4,
                        Paint(rng.choice([(0.55, 0.05, 0.05), (0.05, 0.15, 0.45), (0.8, 0.7, 0.1)]), rough=0.6),
                    )

    def _light(self) -> None:
        rng, studio, h = self.rng, self.studio, self.height
        if self.mode == "ir":
            studio.sky(0.002)
            return
        power = rng.uniform(0.75, 1.35) * (0.3 if self.mode == "backlight" else 1)
        colour = rng.choice(LIGHTS)
        hung = min(h - 0.3, rng.uniform(3.4, 7))
        if rng.random() < 0.65:  # rows of tubes
            fitting = Paint((0.9, 0.9, 0.9), glow=2.0)
            turned = rng.random() < 0.5
            size = (0.14, 1.3) if turned else (1.3, 0.14)
            for x in np.arange(-self.width / 2 + 1.4, self.width / 2, rng.uniform(2.4, 3.4)):
                for y in np.arange(-self.depth / 2 + 1.5, self.depth / 2, rng.uniform(3.0, 4.2)):
                    if rng.random() < 0.9:
                        studio.lamp("AREA", (x, y, hung - 0.05), 24 * hung * power, size=size, colour=colour)
                        studio.blocks("tube", [Block((*size, 0.06), (x, y, hung))], fitting)
        else:  # bay lights
            fitting = Paint((0.95, 0.95, 0.95), glow=4.0)
            for x in np.arange(-self.width / 2 + 2, self.width / 2, rng.uniform(3.4, 4.5)):
                for y in np.arange(-self.depth / 2 + 2, self.depth / 2, rng.uniform(3.4, 4.5)):
                    studio.lamp("AREA", (x, y, hung - 0.05), 42 * hung * power, size=(0.4, 0.4), colour=colour)
                    studio.tube("bay", (x, y, hung), (x, y, hung + 0.15), 0.25, fitting)
        studio.sky(rng.uniform(0.12, 0.35) * power, colour)

    # ---- furniture ----

    def place(self, half_x: float, half_y: float, near=(0.0, 0.0), spread: float = 4.0, yaws=(0, 90)):
        """A free spot (x, y, yaw) for a rectangle around a point, taken; or `None`."""
        for _ in range(80):
            yaw = self.rng.choice(yaws) + self.rng.gauss(0, 4)
            x, y = near[0] + self.rng.uniform(-spread, spread), near[1] + self.rng.uniform(-spread, spread)
            radius = float(np.hypot(half_x, half_y))
            c, s = np.cos(np.radians(yaw)), np.sin(np.radians(yaw))
            spots = [
                (x + c * a - s * b, y + s * a + c * b)
                for a in np.linspace(-half_x, half_x, 7)
                for b in np.linspace(-half_y, half_y, 3)
            ]
            if self.floor.gap(x, y) > min(radius, 0.5) and all(self.floor.gap(*spot) > 0.15 for spot in spots):
                self.floor.take(x, y, half_x, half_y, yaw)
                return x, y, yaw
        return None

    def rack(self, x: float, y: float, yaw: float) -> None:
        """Pallet racking or shelving, filled."""
        rng, studio = self.rng, self.studio
        wide, deep = rng.choice([(2.2, 0.6), (2.7, 0.9), (1.8, 0.5)])
        levels = rng.choice([(0.12, 0.95, 1.75, 2.5), (0.1, 0.6, 1.1, 1.6, 2.1), (0.15, 1.4, 2.7)])
        levels = [z for z in levels if z < self.height - 0.8]
        rotation = turn([0, 0, 1], yaw)

        def at(a, b, c):
            return rotation @ np.array([a, b, c]) + [x, y, 0]

        top = levels[-1] + 0.6
        frame = [
            Block((0.07, 0.06, top), at(i * wide / 2, j * deep / 2, top / 2), rotation)
            for i in (-1, 1)
            for j in (-1, 1)
        ]
        frame += [
            Block((0.03, deep, 0.03), at(i * wide / 2, 0, z), rotation)
            for i in (-1, 1)
            for z in np.arange(0.4, top, 0.8)
        ]
        studio.blocks("uprights", frame, self._upright)
        studio.blocks(
            "beams",
            [Block((wide, 0.04, 0.1), at(0, j * deep / 2, z - 0.06), rotation) for z in levels for j in (-1, 1)],
            self._beam,
        )
        studio.blocks(
            "decks",
            [Block((wide - 0.05, deep - 0.02, 0.02), at(0, 0, z), rotation) for z in levels],
            Paint((0.8, 0.75, 0.65), self.textures.wood(), rough=0.8),
            repeat=1.0,
        )
        self.floor.take(x, y, wide / 2, deep / 2, yaw)
        fill = rng.uniform(0.3, 0.95)
        for z in levels:
            across = -wide / 2 + 0.1
            while True:
                size = (rng.uniform(0.22, 0.5), rng.uniform(0.25, deep - 0.1), rng.uniform(0.15, 0.42))
                if across + size[0] > wide / 2 - 0.05:
                    break
                if rng.random() < fill:
                    foot = at(across + size[0] / 2, rng.uniform(-0.04, 0.04), z + 0.012)
                    face = rng.choice(["-y", "-y", "top", None, "+x"])
                    self.parcels.append(self.packer.put(foot, yaw + rng.uniform(-5, 5), face=face, size=size))
                across += size[0] + rng.uniform(0.02, 0.15)

    def pallet(self, near) -> None:
        """A pallet with a stack."""
        rng = self.rng
        spot = self.place(0.6, 0.5, near)
        if spot is None:
            return
        x, y, yaw = spot
        rotation = turn([0, 0, 1], yaw)

        def block(size, centre):
            return Block(size, rotation @ np.array(centre) + [x, y, 0], rotation)

        parts = [block((1.2, 0.1, 0.02), (0, -0.45 + 0.15 * k, 0.134)) for k in range(7)]
        for k in (-1, 0, 1):
            parts += [block((0.1, 1.0, 0.1), (k * 0.54, 0, 0.074)), block((0.1, 1.0, 0.02), (k * 0.54, 0, 0.012))]
        plastic = rng.random() < 0.25
        paint = Paint((0.03, 0.12, 0.4), rough=0.5) if plastic else Paint(texture=self.textures.wood(), rough=0.85)
        self.studio.blocks("pallet", parts, paint, repeat=0.8)
        for i in (-0.3, 0.3):
            for j in (-0.25, 0.25):
                z = 0.146
                for _ in range(rng.choice([0, 1, 1, 2, 3])):
                    size = (rng.uniform(0.4, 0.55), rng.uniform(0.34, 0.44), rng.uniform(0.18, 0.34))
                    foot = rotation @ np.array([i, j, 0]) + [x, y, z]
                    face = rng.choice(["top", "-y", "+x", "-x", "top", None])
                    self.parcels.append(self.packer.put(foot, yaw + rng.uniform(-3, 3), face=face, size=size))
                    z += size[2] + 0.002

    def belt(self, near) -> None:
        """A conveyor, belt or rollers, with parcels in a row."""
        rng = self.rng
        length, wide, high = rng.uniform(3, 6), rng.uniform(0.5, 0.9), rng.uniform(0.55, 0.95)
        spot = self.place(length / 2, wide / 2 + 0.05, near, 3.0)
        if spot is None:
            return
        x, y, yaw = spot
        rotation = turn([0, 0, 1], yaw)

        def block(size, centre):
            return Block(size, rotation @ np.array(centre) + [x, y, 0], rotation)

        paint = Paint(rng.choice([(0.1, 0.25, 0.5), (0.6, 0.6, 0.6), (0.7, 0.5, 0.05), (0.15, 0.4, 0.2)]), rough=0.4)
        legs = [
            block((0.06, 0.06, high), (a, b * wide / 2, high / 2))
            for a in np.linspace(-length / 2 + 0.2, length / 2 - 0.2, 3)
            for b in (-1, 1)
        ]
        rails = [block((length, 0.05, 0.14), (0, s * (wide / 2 + 0.02), high - 0.03)) for s in (-1, 1)]
        self.studio.blocks("belt frame", legs + rails, paint)
        if rng.random() < 0.6:
            cloth = Paint(rng.choice([(0.02, 0.02, 0.022), (0.02, 0.09, 0.05), (0.1, 0.1, 0.11)]), rough=0.65)
            self.studio.blocks("belt", [block((length, wide - 0.02, 0.03), (0, 0, high))], cloth)
        else:
            bars = [block((0.05, wide, 0.05), (a, 0, high - 0.01)) for a in np.arange(-length / 2, length / 2, 0.085)]
            self.studio.blocks("rollers", bars, STEEL, bevel=0.015)
        shelf = Shelf(np.array([x, y, high + 0.016]), (length / 2, wide / 2), yaw)
        self._row(shelf, face_up=rng.choice([0.35, 0.9]))

    def _row(self, shelf: Shelf, face_up: float) -> None:
        """Parcels one after another along a surface."""
        rng = self.rng
        across = -shelf.half[0] + 0.15
        dense = rng.uniform(0.05, 0.6)
        while True:
            shape = "bag" if rng.random() < 0.35 else "box"
            size = self.packer.sized(shape)
            across += size[0] / 2
            if across + size[0] / 2 > shelf.half[0]:
                return
            if size[1] < 2 * shelf.half[1]:
                free = shelf.half[1] - size[1] / 2
                foot = shelf.at(across, rng.uniform(-free, free))
                face = "top" if rng.random() < face_up else rng.choice(["-y", "+y", "+x", None])
                self.parcels.append(
                    self.packer.put(foot, shelf.yaw + rng.uniform(-12, 12), face=face, shape=shape, size=size)
                )
            across += size[0] / 2 + rng.uniform(0.03, 0.1 + dense)

    def table(self, near) -> None:
        """A packing table with parcels and clutter."""
        rng = self.rng
        half = (rng.uniform(0.6, 1.0), rng.uniform(0.32, 0.45))
        spot = self.place(*half, near, 3.0)
        if spot is None:
            return
        x, y, yaw = spot
        high, rotation = rng.uniform(0.72, 0.92), turn([0, 0, 1], yaw)
        board = rng.choice(
            [
                Paint(texture=self.textures.wood(), rough=0.6),
                Paint((0.7, 0.7, 0.68), rough=0.4),
                Paint((0.08, 0.2, 0.12), rough=0.6),
            ]
        )
        self.studio.blocks("table", [Block((half[0] * 2, half[1] * 2, 0.035), (x, y, high - 0.018), rotation)], board)
        legs = [
            Block(
                (0.05, 0.05, high - 0.03),
                rotation @ [a * (half[0] - 0.05), b * (half[1] - 0.05), (high - 0.03) / 2] + np.array([x, y, 0]),
                rotation,
            )
            for a in (-1, 1)
            for b in (-1, 1)
        ]
        self.studio.blocks("legs", legs, STEEL)
        shelf = Shelf(np.array([x, y, high]), half, yaw)
        for _ in range(rng.randint(1, 3)):
            shape = "bag" if rng.random() < 0.4 else "box"
            size = tuple(min(s, 0.4) for s in self.packer.sized(shape))
            self.parcels.append(
                self.packer.put(
                    shelf.at(rng.uniform(-0.7, 0.7) * half[0], rng.uniform(-0.2, 0.2)),
                    rng.uniform(0, 360),
                    face=rng.choice(["top", "top", "-y", None]),
                    shape=shape,
                    size=size,
                )
            )
            if rng.random() < 0.5:
                break
        for _ in range(rng.randint(1, 6)):
            self.clutter(shelf.at(rng.uniform(-0.95, 0.95) * half[0], rng.uniform(-0.9, 0.9) * half[1]))

    def trolley(self, near) -> None:
        """A cage trolley (roll container), part full."""
        rng = self.rng
        half = (0.4, 0.35)
        spot = self.place(*half, near, yaws=(0, 90, 180, 270))
        if spot is None:
            return
        x, y, yaw = spot
        rotation, high = turn([0, 0, 1], yaw), rng.uniform(1.4, 1.75)

        def block(size, centre):
            return Block(size, rotation @ np.array(centre) + [x, y, 0], rotation)

        a, b = half
        bars = [block((0.025, 0.025, high), (i * a, j * b, high / 2 + 0.15)) for i in (-1, 1) for j in (-1, 1)]
        for z in np.arange(0.25, high + 0.15, 0.14):
            bars += [block((0.008, 2 * b, 0.008), (i * a, 0, z)) for i in (-1, 1)]
            bars.append(block((2 * a, 0.008, 0.008), (0, b, z)))
        for shift in np.linspace(-0.9, 0.9, 8):
            bars += [block((0.006, 0.006, high - 0.1), (i * a, shift * b, high / 2 + 0.2)) for i in (-1, 1)]
            bars.append(block((0.006, 0.006, high - 0.1), (shift * a, b, high / 2 + 0.2)))
        self.studio.blocks("cage", bars, STEEL)
        base = [block((2 * a, 2 * b, 0.03), (0, 0, 0.16))]
        self.studio.blocks(
            "base", base, Paint(rng.choice([(0.5, 0.4, 0.25), (0.1, 0.2, 0.45), (0.4, 0.4, 0.4)]), rough=0.6)
        )
        self.studio.blocks(
            "wheels",
            [block((0.03, 0.12, 0.12), (i * 0.33, j * 0.28, 0.06)) for i in (-1, 1) for j in (-1, 1)],
            RUBBER,
            bevel=0.02,
        )
        z = 0.178
        while z < rng.uniform(0.3, high - 0.2):
            size = (rng.uniform(0.4, 0.72), rng.uniform(0.35, 0.6), rng.uniform(0.15, 0.35))
            foot = rotation @ [0, 0, z] + np.array([x, y, 0])
            self.parcels.append(
                self.packer.put(foot, yaw + rng.uniform(-4, 4), face=rng.choice(["top", "top", "-y", None]), size=size)
            )
            z += size[2] + 0.002

    def bin(self, near) -> None:
        """A plastic tub or barrel."""
        spot = self.place(0.32, 0.32, near)
        if spot is None:
            return
        x, y, _ = spot
        paint = Paint(
            self.rng.choice([(0.03, 0.15, 0.4), (0.5, 0.5, 0.5), (0.05, 0.3, 0.12), (0.6, 0.1, 0.05)]), rough=0.5
        )
        self.studio.tube(
            "bin", (x, y, 0), (x, y, self.rng.uniform(0.4, 0.9)), 0.26, paint, radius_end=0.31, sides=24, hollow=True
        )

    def pillar(self, near) -> None:
        """A column with a striped foot."""
        spot = self.place(0.2, 0.2, near, 5.0, yaws=(0,))
        if spot is None:
            return
        x, y, _ = spot
        self.studio.blocks(
            "pillar", [Block((0.35, 0.35, self.height), (x, y, self.height / 2))], Paint((0.65, 0.65, 0.63), rough=0.8)
        )
        self.studio.blocks("pillar foot", [Block((0.37, 0.37, 1.2), (x, y, 0.6))], Paint((0.7, 0.5, 0.05), rough=0.6))

    def clutter(self, at) -> None:
        """Something small that lies about: roll of tape, cup, bottle, sheet, gloves, knife, clipboard."""
        rng, studio = self.rng, self.studio
        at = np.asarray(at, float)
        yaw = rng.uniform(0, 360)
        rotation = turn([0, 0, 1], yaw)

        def block(size, paint, bevel=0.0):
            studio.blocks("clutter", [Block(size, at + UP * size[2] / 2, rotation)], paint, bevel=bevel)

        bright = Paint(
            rng.choice([(0.7, 0.5, 0.03), (0.5, 0.05, 0.04), (0.05, 0.15, 0.5), (0.03, 0.03, 0.03)]), rough=0.5
        )
        match rng.randrange(9):
            case 0:
                studio.tube(
                    "roll",
                    at,
                    at + UP * 0.048,
                    0.055,
                    Paint(rng.choice([(0.6, 0.48, 0.28), (0.8, 0.78, 0.7)]), rough=0.3),
                    sides=20,
                )
            case 1:
                studio.tube("cup", at, at + UP * 0.1, 0.033, Paint((0.85, 0.85, 0.83), rough=0.5), radius_end=0.042)
            case 2:
                studio.tube("bottle", at, at + UP * 0.2, 0.033, Paint((0.6, 0.75, 0.8), rough=0.12))
            case 3:
                sheet = Paint(texture=self.textures.paper(rng.randrange(6)), rough=0.8)
                studio.quad("sheet", at + UP * 0.002, rotation @ [0.105, 0, 0], rotation @ [0, 0.148, 0], sheet)
            case 4:
                block(
                    (0.11, 0.2, 0.03),
                    Paint(rng.choice([(0.6, 0.6, 0.55), (0.7, 0.5, 0.1), (0.1, 0.1, 0.1)]), rough=0.95),
                    0.012,
                )
            case 5:
                block((0.022, 0.15, 0.014), bright, 0.003)
            case 6:
                block((0.23, 0.32, 0.006), Paint((0.3, 0.18, 0.08), rough=0.6))
            case 7:
                block((0.1, 0.19, 0.015), Paint((0.08, 0.04, 0.02), rough=0.5), 0.004)
            case 8:
                block((rng.uniform(0.15, 0.3), rng.uniform(0.1, 0.2), 0.1), bright, 0.01)

    # ---- parcels on the floor ----

    def patch(self, near) -> None:
        """A dense, regular field of parcels, nearly all with the label up."""
        rng = self.rng
        columns, rows = rng.randint(3, 6), rng.randint(2, 4)
        step = rng.uniform(0.5, 0.66)
        yaw = rng.choice([0, 90]) + rng.uniform(-15, 15)
        rotation = turn([0, 0, 1], yaw)
        for i in range(columns):
            for j in range(rows):
                x, y, _ = rotation @ [(i - (columns - 1) / 2) * step, (j - (rows - 1) / 2) * step, 0] + [*near, 0]
                x, y = x + rng.gauss(0, 0.03), y + rng.gauss(0, 0.03)
                if self.floor.gap(x, y) < 0.24 or rng.random() < 0.06:
                    continue
                shape = "bag" if rng.random() < 0.2 else "box"
                size = tuple(min(s, step * 0.8) for s in self.packer.sized(shape))
                face = "top" if rng.random() < 0.92 else rng.choice(["-y", "+x", None])
                self.parcels.append(
                    self.packer.put((x, y, 0.001), yaw + rng.uniform(-12, 12), face=face, shape=shape, size=size)
                )
                self.floor.take(x, y, size[0] / 2, size[1] / 2, yaw)

    def row(self, near) -> None:
        """A row of parcels to walk along, nearly all with the label up."""
        rng = self.rng
        yaw, count, step = rng.uniform(0, 180), rng.randint(4, 7), rng.uniform(0.5, 0.85)
        along = turn([0, 0, 1], yaw) @ [1.0, 0, 0]
        for k in range(count):
            x, y = np.asarray(near) + along[:2] * (k - (count - 1) / 2) * step
            shape = "bag" if rng.random() < 0.25 else "box"
            size = tuple(min(s, step * 0.75) for s in self.packer.sized(shape))
            if self.floor.gap(x, y) < 0.5 * max(size[:2]):
                continue
            face = "top" if rng.random() < 0.88 else rng.choice(["-y", "+y"])
            turned = yaw + rng.uniform(-10, 10)
            self.parcels.append(self.packer.put((x, y, 0.001), turned, face=face, shape=shape, size=size))
            self.floor.take(x, y, size[0] / 2, size[1] / 2, turned)

    def throw(self, near, count: int, face_up: float, spread: float = 1.0) -> None:
        """Parcels thrown about within some `spread` times 1.3 m, some on top of others."""
        rng = self.rng
        for _ in range(count):
            shape = "bag" if rng.random() < 0.35 else "box"
            size, yaw = self.packer.sized(shape), rng.uniform(0, 360)
            for _ in range(50):
                x, y = near[0] + rng.gauss(0, 1.3 * spread), near[1] + rng.gauss(0, 1.2 * spread)
                if self.floor.gap(x, y) > float(np.hypot(*size[:2])) / 2:
                    break
            else:
                continue
            self.floor.take(x, y, size[0] / 2, size[1] / 2, yaw)

            def face():
                return "top" if rng.random() < face_up else rng.choice(["-y", "+x", "-x", None])

            below = self.packer.put((x, y, 0.001), yaw, face=face(), shape=shape, size=size)
            self.parcels.append(below)
            if shape == "box" and min(size[:2]) > 0.25 and rng.random() < 0.25:
                upper = (size[0] * 0.75, size[1] * 0.75, rng.uniform(0.08, 0.25))
                self.parcels.append(
                    self.packer.put((x, y, below.top + 0.002), yaw + rng.uniform(-20, 20), face=face(), size=upper)
                )


def furnish(room: Room, focus) -> None:
    """Fill a hall: racks along walls, one or two work places at `focus`, parcels on the floor, clutter."""
    rng = room.rng
    w, d = room.width / 2, room.depth / 2
    for side in range(4):
        if rng.random() < 0.3 or (side == room.door_side):
            continue
        yaw = (0, 180, 270, 90)[side]
        long = w if side < 2 else d
        for along in np.arange(-long + 1.8, long - 1.6, 3.0):
            if rng.random() < 0.7:
                x, y = ((along, d - 0.6), (along, -d + 0.6), (w - 0.6, along), (-w + 0.6, along))[side]
                room.rack(x, y, yaw)
    kind = rng.choice(["patch", "throw", "throw", "belt", "table", "mixed", "mixed"])
    if kind == "belt" or (kind == "mixed" and rng.random() < 0.6):
        room.belt(focus)
    if kind == "table" or rng.random() < 0.4:
        for _ in range(rng.randint(1, 2)):
            room.table(focus)
    for _ in range(rng.choice([0, 0, 1, 2])):
        room.trolley(focus)
    for _ in range(rng.choice([0, 1, 1, 2])):
        room.pallet(focus)
    if rng.random() < 0.3:
        room.bin(focus)
    if rng.random() < 0.25:
        room.pillar(focus)
    if kind == "patch":
        room.patch(focus)
    room.throw(focus, rng.randint(2, 8) if kind == "patch" else rng.randint(5, 18), rng.choice([0.15, 0.4, 0.7, 0.95]))
    for _ in range(rng.randint(0, 7)):
        x, y = focus[0] + rng.uniform(-2.5, 2.5), focus[1] + rng.uniform(-2.5, 2.5)
        if room.floor.gap(x, y) > 0.15:
            room.clutter((x, y, 0.001))
