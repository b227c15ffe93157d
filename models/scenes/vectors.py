"""Rotations in space: `(3, 3)` matrices that act on column vectors, z up."""

from __future__ import annotations

import numpy as np

UP = np.array([0.0, 0.0, 1.0])


def unit(v) -> np.ndarray:
    """The vector(s) `(..., 3)` at length one."""
    v = np.asarray(v, float)
    return v / (np.linalg.norm(v, axis=-1, keepdims=True) + 1e-12)


def turn(axis, degrees: float) -> np.ndarray:
    """Rotation about an axis, counter-clockwise as seen from its tip (Rodrigues' formula)."""
    x, y, z = unit(axis)
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return c * np.eye(3) + s * cross + (1 - c) * np.outer([x, y, z], [x, y, z])


def basis(first, second) -> np.ndarray:
    """Orthonormal columns: `first`, `second` made perpendicular to it, their cross product."""
    a = unit(first)
    b = unit(np.asarray(second, float) - a * np.dot(second, a))
    return np.stack([a, b, np.cross(a, b)], 1)


def across(v, axis) -> np.ndarray:
    """Unit vector of the part of `v` perpendicular to the unit vector `axis`."""
    return unit(np.asarray(v, float) - axis * np.dot(v, axis))


def yaw_to(start, end) -> float:
    """Heading in degrees of someone at `start` who faces `end`; 0 faces -y, as bodies do at rest."""
    dx, dy = np.asarray(end, float)[:2] - np.asarray(start, float)[:2]
    return float(np.degrees(np.arctan2(dx, -dy)))
