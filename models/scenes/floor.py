"""The floor of a hall: what stands where, where there is room, and the ways between."""

from __future__ import annotations

import heapq

import numpy as np

CELL = 0.12  # metres
FREE, CLOSE = 0.24, 0.12  # gap to the nearest thing: room for a person; squeezed past it
COSTS = (1.0, 4.0, 25.0)  # of a metre with room, squeezed, over things


class Floor:
    """What stands where, as turned rectangles; asks whether there is room."""

    def __init__(self, width: float, depth: float):
        """A hall of that size, metres, centred on the origin."""
        self.size, self._half = (width, depth), np.array([width, depth]) / 2
        self._taken = np.zeros((0, 6))  # a row each: centre, half-sizes, cosine and sine of its turn

    def mark(self) -> int:
        """How much is taken, for `release`."""
        return len(self._taken)

    def release(self, mark: int) -> None:
        """Forget what was taken since `mark`."""
        self._taken = self._taken[:mark]

    def take(self, x: float, y: float, half_x: float, half_y: float | None = None, yaw: float = 0.0) -> None:
        """Something stands here."""
        angle = np.radians(yaw)
        row = x, y, half_x, half_x if half_y is None else half_y, np.cos(angle), np.sin(angle)
        self._taken = np.vstack([self._taken, row])

    def gap(self, x, y):
        """Distance from spots to the nearest thing or wall, metres; negative inside. Takes numbers or equal arrays."""
        spots = np.stack(np.broadcast_arrays(np.asarray(x, float), y), -1)
        nearest = (self._half - np.abs(spots)).min(-1)
        if not len(self._taken):
            return nearest
        centre_x, centre_y, half_x, half_y, c, s = self._taken.T
        dx, dy = spots[..., :1] - centre_x, spots[..., 1:] - centre_y
        beyond_x, beyond_y = np.abs(c * dx + s * dy) - half_x, np.abs(-s * dx + c * dy) - half_y
        outside = np.hypot(np.maximum(beyond_x, 0), np.maximum(beyond_y, 0))
        each = np.where(outside > 0, outside, np.maximum(beyond_x, beyond_y))
        return np.minimum(nearest, each.min(-1))


class Ground:
    """The floor as a grid of cells that cost more where there is less room; nothing is quite impassable."""

    def __init__(self, floor: Floor):
        """Measure it."""
        width, depth = floor.size
        self._corner = np.array([-width / 2, -depth / 2])
        self._shape = (int(width / CELL) + 1, int(depth / CELL) + 1)
        x, y = (self._corner[i] + CELL * np.arange(n) for i, n in enumerate(self._shape))
        gaps = floor.gap(*np.meshgrid(x, y, indexing="ij"))
        self._cost = np.select([gaps > FREE, gaps > CLOSE], COSTS[:2], COSTS[2])

    def path(self, start, end) -> np.ndarray:
        """Points `(N, 2)` of the cheapest way between two spots (A*), pulled straight where there is room."""
        first, last = self._cell(start), self._cell(end)
        came: dict[tuple[int, int], tuple[int, int] | None] = {first: None}
        spent = {first: 0.0}
        queue = [(0.0, first)]
        while queue:
            _, cell = heapq.heappop(queue)
            if cell == last:
                break
            for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (1, -1), (-1, 1), (-1, -1)):
                other = cell[0] + dx, cell[1] + dy
                if not (0 <= other[0] < self._shape[0] and 0 <= other[1] < self._shape[1]):
                    continue
                cost = spent[cell] + float(np.hypot(dx, dy)) * float(self._cost[other])
                if cost < spent.get(other, np.inf):
                    spent[other], came[other] = cost, cell
                    heapq.heappush(queue, (cost + float(np.hypot(other[0] - last[0], other[1] - last[1])), other))
        cells = [last]
        while (before := came[cells[-1]]) is not None:
            cells.append(before)
        inner = [self._corner + CELL * np.array(c) for c in cells[::-1][1:-1]]
        return self._pulled(np.array([np.asarray(start, float)[:2], *inner, np.asarray(end, float)[:2]]))

    def _cell(self, spot) -> tuple[int, int]:
        i, j = np.round((np.asarray(spot, float)[:2] - self._corner) / CELL).astype(int)
        return int(np.clip(i, 0, self._shape[0] - 1)), int(np.clip(j, 0, self._shape[1] - 1))

    def _pulled(self, points) -> np.ndarray:
        kept, here = [0], 0
        while here < len(points) - 1:
            there = next(
                (j for j in range(len(points) - 1, here + 1, -1) if self._is_free(points[here], points[j])), here + 1
            )
            kept.append(there)
            here = there
        return points[kept]

    def _is_free(self, a, b) -> bool:
        """Whether the straight line costs nothing beyond its length; its ends, where people stand close, apart."""
        steps = max(2, int(np.linalg.norm(b - a) / (CELL / 2)))
        return all(self._cost[self._cell(a + (b - a) * s)] == COSTS[0] for s in np.linspace(0.1, 0.9, steps))
