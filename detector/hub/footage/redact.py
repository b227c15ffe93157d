"""What of a clip must not be seen, where and when: what the models saw enters, regions with their times leave.

The models look five times a second, miss things, and see them where they were a moment ago. So a region is larger, and
lasts longer, than what was seen:

- From one look to the next, all that lies on the way from box to box is hidden, one look earlier and later too.
- What isn't seen again stays hidden for `HOLD_S` where it was last and on the way that it had, should it go on; and it
  is hidden for as long before it was first seen.
- What a tracker followed across a gap of up to `FOLLOWED_S` is hidden on the straight way between.
- Boxes are grown: labels by a quarter, heads by a seventh, parcels by a twentieth, and all by 0.3 % of the picture.
- Where the models didn't look for longer than `HOLD_S`, nothing is known, and the whole picture has to be hidden.

**A head** is the upper part of a person's box, as wide as the box. Standing, a head is the upper seventh; squatting,
the upper third; bent over a parcel it is anywhere in the upper half, and the box is wide. So the upper 0.36 of the
height are taken, or 0.6 of the width where that is more: a person's shoulders are about two heads wide. And 0.1 of
the height above the box: of somebody at the picture's edge, the models may see only what is below the neck.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median
from typing import Any, Literal

from detector.geometry import centre, distance, grown
from detector.values import Box

HOLD_S = 1.0
FOLLOWED_S = 2.0
LOOK_S = 0.2  # usual time between looks; a longer gap is crossed in steps of this
LONGEST_LOOK_S = 0.5
STILL = 0.1  # of its shorter side: a thing within that has kept its place
MOVES = 0.1  # of its shorter side from look to look: less is only where the models put its box
MARGINS = {"label": 0.25, "head": 0.15, "parcel": 0.05}
LEAST_MARGIN = 0.003  # of the picture's width and height
HEAD_OF_HEIGHT = 0.36
HEAD_OF_WIDTH = 0.6
ABOVE_HEAD = 0.1

Hidden = Literal["label", "head", "parcel"]
Faces = Literal["others", "all"]


@dataclass(frozen=True, slots=True)
class Region:
    """A box (shares of the picture, 0 to 1) that is to be hidden from one time to another, seconds into the clip."""

    what: Hidden
    box: Box
    begins: float
    ends: float


class Redaction:
    """All that is to be hidden in one clip.

    Args:
        side: What the models saw, as a side file holds it (`detector.media.sides`).
        aspect: Width of the picture through its height.
        faces: Whose heads are hidden: all, or all but those of the incident's offenders.
    """

    def __init__(self, side: Mapping[str, Any], *, aspect: float, faces: Faces = "others") -> None:
        looks = side["looks"]
        self._times = [float(look["t"]) for look in looks]
        steps = [later - earlier for earlier, later in pairwise(self._times)]
        self._look_s = min(median(steps), LONGEST_LOOK_S) if steps else LOOK_S
        self._by_second: dict[int, list[Region]] = {}
        for chain in _chains(looks, aspect, faces):
            for region in self._regions(chain):
                for second in range(math.floor(region.begins), math.floor(region.ends) + 1):
                    self._by_second.setdefault(second, []).append(region)

    def at(self, t: float) -> list[Region]:
        """What is to be hidden at a time, seconds into the clip."""
        return [region for region in self._by_second.get(math.floor(t), []) if region.begins <= t <= region.ends]

    def is_blind(self, t: float) -> bool:
        """Whether the models had not looked within `HOLD_S` before or after."""
        n = bisect_left(self._times, t)
        return not any(abs(look - t) <= HOLD_S for look in self._times[max(0, n - 1) : n + 1])

    def _regions(self, chain: _Chain) -> Iterator[Region]:
        seen, d = chain.seen, self._look_s
        yield from _merged(self._on_its_way(chain))
        for last_two in (seen[:2][::-1], seen[-2:]):
            for a, b, begins, ends in _going_on(last_two, d):
                yield _region(chain.what, _hull(a, b), begins - d, ends + d)
        for (t1, one), (t2, two) in pairwise(seen):
            if not chain.is_tracked and not _touch(grown(one, 0.25), two):
                # Perhaps not the same thing after all.
                yield _region(chain.what, one, t1, t1 + HOLD_S)
                yield _region(chain.what, two, t2 - HOLD_S, t2)

    def _on_its_way(self, chain: _Chain) -> Iterator[Region]:
        seen, d = chain.seen, self._look_s
        (first_at, first), (last_at, last) = seen[0], seen[-1]
        yield _region(chain.what, first, first_at - HOLD_S, first_at + d)
        for (t1, one), (t2, two) in pairwise(seen):
            steps = max(1, round((t2 - t1) / max(d, LOOK_S)))
            for n in range(steps):
                a, b = _between(one, two, n / steps), _between(one, two, (n + 1) / steps)
                begins, ends = t1 + (t2 - t1) * n / steps, t1 + (t2 - t1) * (n + 1) / steps
                yield _region(chain.what, _hull(a, b), begins - d, ends + d)
        yield _region(chain.what, last, last_at - d, last_at + HOLD_S)


def head_of(person: Box, aspect: float) -> Box:
    """Where the head of a person is; boxes are shares of a picture of this aspect (width through height)."""
    x1, y1, x2, y2 = person
    height = max(HEAD_OF_HEIGHT * (y2 - y1), HEAD_OF_WIDTH * (x2 - x1) * aspect)
    return x1, y1 - ABOVE_HEAD * (y2 - y1), x2, min(y2, y1 + height)


@dataclass(slots=True)
class _Chain:
    """One thing over time: where it was seen when."""

    what: Hidden
    is_tracked: bool
    seen: list[tuple[float, Box]] = field(default_factory=list)


def _chains(looks: Sequence[Mapping[str, Any]], aspect: float, faces: Faces) -> list[_Chain]:
    """Boxes of successive looks that are of one thing: by their track, or else by lying next to each other."""
    offenders = {track for look in looks for track in look.get("offender", ())} if faces == "others" else set()
    chains: list[_Chain] = []
    tracked: dict[tuple[Hidden, int], _Chain] = {}
    loose: list[_Chain] = []
    for look in looks:
        t = float(look["t"])
        boxes: list[tuple[Hidden, Box]] = []
        for what, track, box in _hidden(look["boxes"], offenders, aspect):
            chain = None if track is None else tracked.get((what, track))
            if track is None or (chain is not None and chain.seen[-1][0] == t):  # two labels of one parcel, say
                boxes.append((what, box))
                continue
            if chain is None or t - chain.seen[-1][0] > FOLLOWED_S:
                chain = tracked[what, track] = _Chain(what, is_tracked=True)
                chains.append(chain)
            chain.seen.append((t, box))
        loose = [chain for chain in loose if t - chain.seen[-1][0] <= HOLD_S]
        for what, box in _add_nearest(loose, boxes, t):
            chain = _Chain(what, is_tracked=False, seen=[(t, box)])
            loose.append(chain)
            chains.append(chain)
    return chains


def _hidden(boxes: Iterable[Any], offenders: set[int], aspect: float) -> Iterator[tuple[Hidden, int | None, Box]]:
    for what, track, x1, y1, x2, y2, *_score in boxes:
        box = (float(x1), float(y1), float(x2), float(y2))
        if what == "person" and track not in offenders:
            yield "head", track, head_of(box, aspect)
        elif what in ("label", "parcel"):
            yield what, track, box


def _add_nearest(loose: list[_Chain], boxes: list[tuple[Hidden, Box]], t: float) -> list[tuple[Hidden, Box]]:
    """Give each box to the chain that ends next to it, the nearest pair first; boxes that are left over."""
    pairs = sorted(
        (distance(centre(chain.seen[-1][1]), centre(box)), c, b)
        for c, chain in enumerate(loose)
        for b, (what, box) in enumerate(boxes)
        if chain.what == what and _touch(grown(chain.seen[-1][1], 1.0), box)
    )
    left = dict(enumerate(boxes))
    taken: set[int] = set()
    for _, c, b in pairs:
        if c not in taken and b in left:
            taken.add(c)
            loose[c].seen.append((t, left.pop(b)[1]))
    return list(left.values())


def _merged(regions: Iterator[Region]) -> Iterator[Region]:
    """Regions of one thing that follow each other: one for as long as it keeps its place, so that there are few."""
    begun = run = next(regions)
    for region in regions:
        room = STILL * min(begun.box[2] - begun.box[0], begun.box[3] - begun.box[1])
        if all(abs(a - b) <= room for a, b in zip(begun.box, region.box, strict=True)):
            run = Region(run.what, _hull(run.box, region.box), run.begins, region.ends)
        else:
            yield run
            begun = run = region
    yield run


def _going_on(last_two: list[tuple[float, Box]], step_s: float) -> Iterator[tuple[Box, Box, float, float]]:
    """How what moved from one place to another would go on (in time or against it), step by step, for `HOLD_S`."""
    if len(last_two) < 2:
        return
    (t1, one), (t2, two) = last_two
    per_step = step_s / abs(t2 - t1)
    if distance(centre(one), centre(two)) * per_step < MOVES * min(two[2] - two[0], two[3] - two[1]):
        return
    way = step_s if t2 > t1 else -step_s
    for n in range(round(HOLD_S / step_s)):
        a, b = (_between(one, two, 1 + k * per_step) for k in (n, n + 1))
        begins, ends = sorted((t2 + n * way, t2 + (n + 1) * way))
        yield a, b, begins, ends


def _region(what: Hidden, box: Box, begins: float, ends: float) -> Region:
    x1, y1, x2, y2 = grown(box, MARGINS[what])
    return Region(what, (x1 - LEAST_MARGIN, y1 - LEAST_MARGIN, x2 + LEAST_MARGIN, y2 + LEAST_MARGIN), begins, ends)


def _between(one: Box, two: Box, share: float) -> Box:
    x1, y1, x2, y2 = (a + share * (b - a) for a, b in zip(one, two, strict=True))
    return x1, y1, x2, y2


def _hull(one: Box, two: Box) -> Box:
    return min(one[0], two[0]), min(one[1], two[1]), max(one[2], two[2]), max(one[3], two[3])


def _touch(one: Box, two: Box) -> bool:
    return one[0] <= two[2] and two[0] <= one[2] and one[1] <= two[3] and two[1] <= one[3]
