"""Surveillance camera: where it hangs, how it projects."""

from __future__ import annotations

import random
from dataclasses import dataclass

import cv2
import numpy as np

from scenes.vectors import unit

AIM = 0.9  # height of what a camera is pointed at, metres


@dataclass(frozen=True)
class Camera:
    """A camera that looks from `position` to `target`, its horizon level.

    Attributes:
        position: `(3,)` metres, z up.
        target: `(3,)` a point on the optical axis, metres.
        fov_deg: Horizontal field of view before distortion, degrees.
        size: Picture `(width, height)`, pixels.
        barrel: Radial distortion, 0 none. Radii become r (1 - barrel r²) / (1 - barrel), r = 1 at the picture's
            corner, so that corners stay corners and straight lines near the border bow outwards.
    """

    position: tuple[float, float, float]
    target: tuple[float, float, float]
    fov_deg: float
    size: tuple[int, int]
    barrel: float = 0.0

    @property
    def focal(self) -> float:
        """Focal length, pixels."""
        return self.size[0] / 2 / float(np.tan(np.radians(self.fov_deg) / 2))

    @property
    def tilt_deg(self) -> float:
        """Angle of the optical axis below the horizon, degrees."""
        d = unit(np.subtract(self.target, self.position))
        return float(np.degrees(np.arcsin(-d[2])))

    @property
    def matrix(self) -> np.ndarray:
        """World to camera, `(4, 4)`; the camera looks along its own -z with y up, as Blender's do."""
        back = -unit(np.subtract(self.target, self.position))
        right = unit(np.cross([0, 0, 1], back))
        rotation = np.stack([right, np.cross(back, right), back])
        matrix = np.eye(4)
        matrix[:3, :3], matrix[:3, 3] = rotation, -rotation @ np.asarray(self.position)
        return matrix

    def project(self, points, *, distort: bool = True) -> tuple[np.ndarray, np.ndarray]:
        """Pixels `(N, 2)` (x right, y down) of world points `(N, 3)`, with depth `(N,)` along the axis in metres.

        Points behind the camera have a negative depth; their pixels mean nothing.
        """
        matrix = self.matrix
        local = np.atleast_2d(np.asarray(points, float)) @ matrix[:3, :3].T + matrix[:3, 3]
        depth = -local[:, 2]
        safe = np.maximum(depth, 1e-3)
        flat = np.stack([local[:, 0], -local[:, 1]], 1) * (self.focal / safe)[:, None]
        if distort and self.barrel:
            flat = flat * self._stretch(np.linalg.norm(flat, axis=1) / self._corner)[:, None]
        return flat + np.array(self.size) / 2, depth

    def distorted(self, picture, *, smooth: bool) -> np.ndarray:
        """A picture `(H, W, ...)` rendered without distortion as this lens shows it; ids and depths not `smooth`."""
        if not self.barrel:
            return picture
        width, height = self.size
        x, y = np.meshgrid(np.arange(width) + 0.5 - width / 2, np.arange(height) + 0.5 - height / 2)
        seen = np.hypot(x, y) / self._corner
        # invert the distortion by interpolating its table: it grows with r for every barrel below 1/3
        table = np.linspace(0, 1, 2000)
        straight = np.interp(seen, table * self._stretch(table), table)
        scale = straight / np.maximum(seen, 1e-9)
        map_x = (x * scale + width / 2 - 0.5).astype(np.float32)
        map_y = (y * scale + height / 2 - 0.5).astype(np.float32)
        how = cv2.INTER_LINEAR if smooth else cv2.INTER_NEAREST
        return cv2.remap(picture, map_x, map_y, how, borderMode=cv2.BORDER_REPLICATE)

    @property
    def _corner(self) -> float:
        return float(np.hypot(*self.size) / 2)

    def _stretch(self, r) -> np.ndarray:
        return (1 - self.barrel * np.minimum(r, 1.3) ** 2) / (1 - self.barrel)


def hang(rng: random.Random, room, focus, size, *, tall: tuple[float, float], clear) -> Camera:
    """A camera drawn at random: heights 2.5 to 6 m, tilts 10 to 60 degrees, fields of view 50 to 110 degrees.

    Args:
        rng: Source of chance.
        room: Has `width`, `depth`, `height` in metres, centred on the origin.
        focus: `(2,)` the spot on the floor to look at.
        size: Picture `(width, height)`, pixels.
        tall: How tall a person at the focus is, from least to most: pixels in a 960-pixel-wide picture.
        clear: Function of a position that tells whether the view from there to the focus is free.

    Raises:
        ValueError: No place found; the room is too small or too full.
    """
    best = None
    # Size and height are drawn first and kept for a while: else most cameras would be low and see people small,
    # as there is more room for those.
    for _ in range(80):
        pixels = rng.uniform(*tall)
        height = rng.uniform(2.5, min(6.0, room.height - 0.25))
        for _ in range(50):
            fov = rng.uniform(50, 110)
            position = _position(rng, room, focus, height, pixels, fov, size)
            if position is None:
                continue
            barrel = rng.uniform(0.04, 0.16) if rng.random() < 0.45 else 0.0
            best = Camera(position, (focus[0], focus[1], AIM), fov, size, barrel)
            if clear(np.array(position)):
                return best
    if best is None:
        raise ValueError("no camera position fits the room")
    return best


def _position(rng, room, focus, height: float, tall: float, fov: float, size) -> tuple[float, float, float] | None:
    """A place in the room from where a person at the focus is `tall` (pixels at 960 wide), or `None`."""
    focal = size[0] / 2 / np.tan(np.radians(fov) / 2)
    rise = height - AIM
    # A person of 1.7 m shows focal 1.7 cos(tilt) / distance pixels, and both follow from how far away the camera is on
    # the level: a quadratic equation, of whose answers one sees the person flatter, the other steeper.
    k = focal * 1.7 / (tall * size[0] / 960)
    if k < 2 * rise:
        return None
    level = (k + rng.choice([1, 1, -1]) * np.sqrt(k**2 - 4 * rise**2)) / 2
    if not np.tan(np.radians(10)) <= rise / level <= np.tan(np.radians(60)):
        return None
    azimuth = rng.uniform(0, 2 * np.pi)
    x, y = focus[0] + level * np.cos(azimuth), focus[1] + level * np.sin(azimuth)
    inside = abs(x) < room.width / 2 - 0.25 and abs(y) < room.depth / 2 - 0.25
    return (float(x), float(y), height) if inside else None
