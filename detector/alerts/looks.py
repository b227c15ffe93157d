"""What a camera's pipeline saw of late: sights enter one by one, the side file of a segment leaves (`media.sides`).

A look is written as JSON when it comes, in half a millisecond where a hundred things are seen, so that closing a
segment of ten minutes doesn't hold up the camera.
"""

from __future__ import annotations

import gzip
import hashlib
import json
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import repeat
from math import isfinite
from pathlib import Path

from detector.machine.whole_files import write_whole
from detector.media.sides import MOST_BOXES, MOST_IN_A_LOOK, MOST_LOOKS, MOST_TRACKS, SCHEMA
from detector.values import Box, Scene, Sight

# Packets are kept by whole groups of pictures, so that a clip may begin so much before the seconds asked for.
LONGEST_GROUP_S = 15.0


@dataclass(frozen=True, slots=True)
class PackedLook:
    """One look, as it will stand in a side file.

    Attributes:
        at: Frame time, Unix seconds.
        size: Width and height of the picture, pixels.
        boxes: How many.
        text: Boxes and beliefs as JSON, two members of an object.
    """

    at: float
    size: tuple[int, int]
    boxes: int
    text: str


@dataclass(frozen=True, slots=True)
class Side:
    """A side file that was written; `sha256` lower-case hex, `bytes` its size."""

    path: Path
    sha256: str
    bytes: int


class LookRing:
    """The last `seconds` of looks of a camera, and those of segments that are still being written.

    Used by one thread at a time. Whatever is to be kept, no more than `largest_bytes` are: the oldest go first.

    Attributes:
        hold_from: Looks since then are kept, though older than `seconds`; `None` when none need be.
    """

    def __init__(self, seconds: float, largest_bytes: int = 32 << 20) -> None:
        self.seconds = seconds
        self.largest_bytes = largest_bytes
        self.hold_from: float | None = None
        self._looks: deque[PackedLook] = deque()
        self._bytes = 0

    def append(self, sight: Sight) -> None:
        """Remember what was seen in a frame. Times increase, but where stages begin anew: all before is void then."""
        if sight.first:
            self._looks.clear()
            self._bytes = 0
        look = look_of(sight)
        self._looks.append(look)
        self._bytes += len(look.text)
        wanted = min(look.at - self.seconds, self.hold_from if self.hold_from is not None else look.at)
        while self._looks and (self._looks[0].at < wanted or self._bytes > self.largest_bytes):
            self._bytes -= len(self._looks.popleft().text)

    def between(self, begin: float, end: float) -> list[PackedLook]:
        """Looks of frame times `begin` to `end`, both included."""
        return [look for look in self._looks if begin <= look.at <= end]

    @property
    def held(self) -> tuple[int, int]:
        """Looks and bytes held now."""
        return len(self._looks), self._bytes


def look_of(sight: Sight) -> PackedLook:
    """A sight, with boxes cut to the picture and as shares of it; what is no number, or out of it, is left out."""
    scene = sight.scene
    rows = [row for row in _rows(scene) if row is not None][:MOST_IN_A_LOOK]
    beliefs = ",".join(
        f'"{track}":{min(max(belief, 0.0), 1.0):.3f}'
        for track, belief in sight.photographing.items()
        if isfinite(belief)
    )
    score = f',"score":{{{beliefs}}}' if beliefs else ""
    return PackedLook(scene.at, scene.size, len(rows), f'"boxes":[{",".join(rows)}]{score}')


def _rows(scene: Scene) -> Iterable[str | None]:
    """Boxes as JSON; people first, since a look holds only so many."""
    size = scene.size
    # Who isn't sure to be a person yet has a face too, which a copy that is shared must not show.
    for person in (*scene.people, *scene.newcomers):
        yield _row("person", person.id, person.box, size, person.score)
    for device in scene.devices:
        yield _row(device.label, device.holder, device.box, size, device.score)
    for parcel in scene.parcels:
        yield _row("parcel", parcel.id, parcel.box, size, parcel.score)
    for label, score in zip(scene.labels, scene.label_scores or repeat(0.0), strict=False):
        yield _row("label", None, label, size, score)


def _row(what: str, number: int | None, box: Box, size: tuple[int, int], score: float) -> str | None:
    width, height = size
    # Rounding outwards would only blur the picture's edge; a box that is no number compares as false.
    x1, y1 = max(box[0] / width, 0.0), max(box[1] / height, 0.0)
    x2, y2 = min(box[2] / width, 1.0), min(box[3] / height, 1.0)
    if not (x1 < x2 and y1 < y2):
        return None
    whose = "null" if number is None else number
    sure = min(max(score, 0.0), 1.0) if isfinite(score) else 0.0
    return f'["{what}",{whose},{x1:.4f},{y1:.4f},{x2:.4f},{y2:.4f},{sure:.2f}]'


def write_side(
    path: Path,
    looks: Sequence[PackedLook],
    *,
    incident: str,
    segment: int,
    started_at: float,
    duration_s: float,
    tracks: Sequence[int],
) -> Side | None:
    """Write the side file of a segment, whole or not at all.

    Args:
        path: The file to make.
        looks: Among them those of the segment; others are left out. Were they more than a side file holds, every
            other one would be.
        incident: Id of the incident.
        segment: Number of the segment, from 0.
        started_at: Of its first picture, Unix seconds.
        duration_s: Its length, seconds.
        tracks: Of the incident.

    Returns:
        What was written; `None` where no look is of the segment, and nothing is.

    Raises:
        OSError: It can't be written.
    """
    duration_s = round(duration_s, 3)
    timed: dict[float, PackedLook] = {}
    for look in looks:
        t = round(look.at - started_at, 3)
        if 0 <= t <= duration_s:
            timed.setdefault(t, look)
    chosen = sorted(timed.items())
    while len(chosen) > MOST_LOOKS or sum(look.boxes for _, look in chosen) > MOST_BOXES:
        chosen = chosen[::2]
    if not chosen:
        return None
    head = {
        "schema": SCHEMA, "incident": incident, "segment": segment, "started_at_unix": round(started_at, 3),
        "duration_s": duration_s, "size": list(chosen[0][1].size),
    }  # fmt: skip
    offender = json.dumps(list(tracks)[:MOST_TRACKS])
    body = ",\n".join(f'{{"t":{t},{look.text},"offender":{offender}}}' for t, look in chosen)
    # Ten crowded minutes take 0.15 s at this level; at the usual one 3 s, in which the camera would go unwatched.
    content = gzip.compress(f'{json.dumps(head)[:-1]},"looks":[\n{body}]}}'.encode(), compresslevel=3, mtime=0)
    write_whole(path, content)
    return Side(path, hashlib.sha256(content).hexdigest(), len(content))
