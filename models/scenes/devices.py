"""Things held in the hand: phones, scanners, objects that are neither.

Each is placed by a `Hold`: its centre, the direction of its upper end, the direction its back looks.
"""

from __future__ import annotations

import random

import numpy as np

from scenes import textures as drawn
from scenes.blender import Block, Paint, Studio
from scenes.holds import OBJECTS, Hold
from scenes.truth import Register, Thing
from scenes.vectors import turn

CASES = (
    (0.02, 0.02, 0.025),
    (0.02, 0.02, 0.025),
    (0.6, 0.6, 0.62),
    (0.04, 0.1, 0.3),
    (0.5, 0.07, 0.07),
    (0.75, 0.72, 0.65),
    (0.8, 0.35, 0.45),
    (0.1, 0.35, 0.2),
    (0.75, 0.5, 0.05),
    (0.35, 0.2, 0.5),
    (0.3, 0.55, 0.7),
    (0.15, 0.15, 0.16),
)
TRIMS = ((0.75, 0.5, 0.03), (0.02, 0.15, 0.5), (0.5, 0.05, 0.03), (0.25, 0.26, 0.28))
BLACK = Paint((0.025, 0.025, 0.03), rough=0.45)


def viewfinder(phone: Thing) -> str:
    """Name of the picture on the screen of a phone whose camera is open."""
    return f"viewfinder {phone.id}"


class Props:
    """Makes held things and registers them."""

    def __init__(self, studio: Studio, register: Register, textures: drawn.Textures, rng: random.Random):
        self._studio, self._register, self._textures, self._rng = studio, register, textures, rng

    def make(self, hold: Hold, holder: int, screen: str = "chat") -> Thing:
        """Build a held thing; on a phone's `screen` is what `Textures.screen` draws, or its camera is open."""
        if hold.kind == "phone":
            return self._slab(
                hold,
                "phone",
                holder,
                (0.074 + self._rng.uniform(-0.004, 0.004), 0.155 + self._rng.uniform(-0.01, 0.01), 0.009),
                screen,
            )
        if hold.kind == "pda":
            return self._slab(hold, "scanner", holder, (0.077, self._rng.uniform(0.15, 0.18), 0.024), "scan")
        if hold.kind == "gun":
            return self._gun(hold, holder)
        return self._object(hold, holder)

    def _slab(self, hold: Hold, kind: str, holder: int, size, screen: str) -> Thing:
        """A phone, or a PDA of a phone's shape: thicker, dark, with coloured buttons and a window in its upper end."""
        rng, studio, frame = self._rng, self._studio, hold.frame
        width, length, thick = size
        block = Block(size, hold.centre, frame)
        thing = self._register.add(kind, block.corners(), holder=holder)
        case = Paint(rng.choice(CASES), rough=rng.choice([0.15, 0.3, 0.6])) if kind == "phone" else BLACK
        studio.blocks(kind, [block], case, index=thing.id, bevel=min(0.004, thick * 0.4))

        def at(x, y, z):
            return hold.centre + frame @ np.array([x, y, z])

        number = rng.randrange(drawn.SCREENS)
        if screen == "camera":
            shows: dict = {"drawn": viewfinder(thing)}
            studio.draw(viewfinder(thing), np.zeros((*drawn.VIEWFINDER[::-1], 3)))
        else:
            shows = {"texture": self._textures.screen(screen if hold.lit else "dark", number)}
        glass = Paint(**shows, rough=0.08, glow=rng.choice([0.6, 1.2, 2.0]) if hold.lit else 0.0)
        short = 0.92 if kind == "phone" else 0.62
        lift = 0.0 if kind == "phone" else length * 0.13
        studio.quad(
            "screen",
            at(0, lift, thick / 2 + 0.0004),
            frame @ [width * 0.46, 0, 0],
            frame @ [0, length / 2 * short, 0],
            glass,
            index=thing.id,
        )
        if kind == "phone":
            lens = Paint((0.01, 0.01, 0.012), rough=0.1)
            wide = rng.choice([0.018, 0.03, 0.03, 0.055])
            studio.blocks(
                "camera",
                [
                    Block(
                        (wide, 0.032, 0.003),
                        at(-width / 2 + wide / 2 + 0.006, length / 2 - 0.024, -thick / 2 - 0.001),
                        frame,
                    )
                ],
                lens,
                index=thing.id,
            )
        else:
            trim = Paint(rng.choice(TRIMS), rough=0.4)
            sides = [Block((0.006, 0.03, 0.012), at(s * width / 2, 0.015, 0), frame) for s in (-1, 1)]
            keys = [
                Block((width * 0.25, 0.012, 0.003), at(x * width * 0.3, -length * 0.36, thick / 2), frame)
                for x in (-1, 0, 1)
            ]
            studio.blocks("keys", sides + keys, trim, index=thing.id)
            window = Paint((0.25, 0.01, 0.01), rough=0.1, glow=0.6 if rng.random() < 0.5 else 0.0)
            studio.blocks("window", [Block((0.045, 0.004, 0.014), at(0, length / 2, 0), frame)], window, index=thing.id)
        return thing

    def _gun(self, hold: Hold, holder: int) -> Thing:
        """A scanner with a pistol grip: with a screen on top, or a plain one."""
        rng, studio = self._rng, self._studio
        right, up, towards = hold.axes
        ahead = -towards
        frame = np.stack([right, ahead, up], 1)
        trim = Paint(rng.choice(TRIMS), rough=0.5)
        with_screen = rng.random() < 0.55

        def at(x, y, z):
            return hold.centre + frame @ np.array([x, y, z])

        body = Block((0.072, 0.165, 0.032) if with_screen else (0.062, 0.11, 0.05), at(0, 0.03, 0.03), frame)
        handle = Block((0.034, 0.05, 0.12), at(0, -0.015, -0.04), frame @ turn([1, 0, 0], 11))
        nose = Block((0.074, 0.03, 0.036), at(0, 0.115 if with_screen else 0.09, 0.03), frame)
        thing = self._register.add(
            "scanner", np.concatenate([b.corners() for b in (body, handle, nose)]), holder=holder
        )
        studio.blocks("gun", [body, handle], BLACK, index=thing.id, bevel=0.005)
        studio.blocks("nose", [nose], trim, index=thing.id, bevel=0.004)
        if with_screen:
            glass = Paint(texture=self._textures.screen("scan", rng.randrange(drawn.SCREENS)), rough=0.1, glow=1.0)
            studio.quad("screen", at(0, 0.01, 0.0465), right * 0.031, ahead * 0.055, glass, index=thing.id)
        beam = Paint((1, 0.05, 0.03), glow=2.0)
        studio.blocks(
            "beam",
            [Block((0.05, 0.004, 0.02), at(0, 0.131 if with_screen else 0.106, 0.03), frame)],
            beam,
            index=thing.id,
        )
        return thing

    def _object(self, hold: Hold, holder: int) -> Thing:
        """One of `OBJECTS`: what people hold that is neither phone nor scanner."""
        rng, studio, frame = self._rng, self._studio, hold.frame
        thing = self._register.add("held", holder=holder, what=hold.kind)
        index = thing.id
        outline: list[np.ndarray] = []

        def at(x, y, z):
            return hold.centre + frame @ np.array([x, y, z], float)

        def block(size, place, paint, bevel=0.0):
            b = Block(size, at(*place), frame)
            outline.append(b.corners())
            studio.blocks(hold.kind, [b], paint, index=index, bevel=bevel)

        def sheet(width, length, z, paint):
            studio.quad(
                hold.kind, at(0, 0, z), frame @ [width / 2, 0, 0], frame @ [0, length / 2, 0], paint, index=index
            )
            outline.append(np.array([at(x * width / 2, y * length / 2, z) for x in (-1, 1) for y in (-1, 1)]))

        def tube(start, end, radius, paint, **more):
            studio.tube(hold.kind, at(*start), at(*end), radius, paint, index=index, **more)
            outline.append(
                np.array(
                    [
                        at(*(np.array(p) + radius * np.array(d)))
                        for p in (start, end)
                        for d in np.vstack([np.eye(3), -np.eye(3)])
                    ]
                )
            )

        paper = Paint(texture=self._textures.paper(rng.randrange(6)), rough=0.8)
        leather = Paint(
            rng.choice([(0.12, 0.05, 0.02), (0.02, 0.02, 0.02), (0.25, 0.12, 0.05), (0.3, 0.03, 0.05)]), rough=0.5
        )
        match hold.kind:
            case "clipboard":
                block(
                    (0.23, 0.32, 0.004),
                    (0, 0, 0),
                    Paint(rng.choice([(0.3, 0.18, 0.08), (0.02, 0.02, 0.02), (0.05, 0.1, 0.3)])),
                )
                sheet(0.205, 0.285, 0.0026, paper)
                block((0.09, 0.025, 0.012), (0, 0.15, 0.006), Paint((0.7, 0.7, 0.7), rough=0.25, metal=1.0))
            case "sheet":
                sheet(0.15 if rng.random() < 0.5 else 0.21, 0.21 if rng.random() < 0.5 else 0.29, 0.0, paper)
            case "wallet":
                block((0.095, rng.choice([0.11, 0.19]), 0.014), (0, 0, 0), leather, 0.004)
            case "card":
                block(
                    (0.054, 0.086, 0.0015),
                    (0, 0, 0),
                    Paint(rng.choice([(0.8, 0.8, 0.8), (0.1, 0.3, 0.6), (0.7, 0.5, 0.1)]), rough=0.3),
                )
            case "notebook":
                block((0.1, 0.145, 0.012), (0, 0, 0), Paint(rng.choice(CASES), rough=0.6), 0.002)
                sheet(0.092, 0.136, 0.0064, paper)
            case "cup":
                paint = Paint(
                    rng.choice([(0.85, 0.85, 0.83), (0.5, 0.3, 0.15), (0.1, 0.3, 0.2), (0.7, 0.1, 0.1)]), rough=0.5
                )
                tube((0, -0.05, 0), (0, 0.05, 0), 0.033, paint, radius_end=0.042)
            case "bottle":
                tube(
                    (0, -0.1, 0),
                    (0, 0.06, 0),
                    0.032,
                    Paint(rng.choice([(0.6, 0.75, 0.8), (0.1, 0.4, 0.15), (0.05, 0.05, 0.06)]), rough=0.12),
                )
                tube((0, 0.06, 0), (0, 0.1, 0), 0.03, Paint((0.7, 0.8, 0.85), rough=0.12), radius_end=0.014)
                tube((0, 0.1, 0), (0, 0.118, 0), 0.016, Paint(rng.choice(TRIMS), rough=0.4))
            case "tape_gun":
                # up as of a gun: the handle hangs below, the blade looks along the back
                block(
                    (0.055, 0.09, 0.012),
                    (0, -0.03, 0.02),
                    Paint(rng.choice([(0.6, 0.03, 0.03), (0.03, 0.1, 0.4), (0.05, 0.05, 0.05)]), rough=0.4),
                    0.003,
                )
                tube(
                    (-0.025, 0.035, -0.04),
                    (0.025, 0.035, -0.04),
                    0.05,
                    Paint(rng.choice([(0.6, 0.48, 0.28), (0.8, 0.78, 0.7)]), rough=0.3),
                    sides=20,
                )
                block((0.056, 0.02, 0.05), (0, 0.02, -0.1), Paint((0.6, 0.6, 0.6), rough=0.3, metal=1.0))
            case "roll":
                tube(
                    (-0.024, 0, 0),
                    (0.024, 0, 0),
                    0.052,
                    Paint(rng.choice([(0.6, 0.48, 0.28), (0.8, 0.78, 0.7), (0.75, 0.6, 0.1)]), rough=0.3),
                    sides=20,
                )
            case "knife":
                block((0.022, 0.14, 0.012), (0, 0, 0), Paint(rng.choice(TRIMS), rough=0.4), 0.003)
                block((0.014, 0.05, 0.001), (0, 0.09, 0), Paint((0.7, 0.7, 0.7), rough=0.2, metal=1.0))
            case "radio":
                block((0.058, 0.11, 0.034), (0, 0, 0), BLACK, 0.004)
                tube((-0.018, 0.05, 0), (-0.018, 0.16, 0), 0.006, BLACK)
            case _:
                raise ValueError(f"held object {hold.kind!r}: one of {', '.join(OBJECTS)}")
        thing.points = np.concatenate(outline)
        return thing
