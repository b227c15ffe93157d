"""The side file of a clip: what the models saw while a segment was recorded, look by look, as gzipped JSON.

    {"schema": 1, "incident": "ID", "segment": 0, "started_at_unix": 1793505600.0, "duration_s": 40.2,
     "size": [1920, 1080],                              pixels, of the pictures looked at
     "looks": [{"t": 0.2,                               seconds from the segment's first picture
                "boxes": [["person", 7, 0.41, 0.30, 0.60, 0.90, 0.91], ["label", null, ...]],
                "offender": [7],                        tracks of the incident
                "score": {"7": 0.83}}]}                 how far it is believed that a track photographs now

A box is what it is of (`values.LABELS`), of which track or parcel slot (of a phone or scanner: in whose hand; `null`:
nobody's), left, top, right and bottom of 0..1, and the model's score 0..1: 0 of a parcel that wasn't seen then, but is
held to be there still, behind somebody. It holds no picture and no text, so that
who may not see labels may read it. Fields are only ever added; a reader ignores those it doesn't know.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from typing import Any, BinaryIO

from detector.errors import WireError
from detector.values import LABELS

SCHEMA = 1
SUFFIX = ".side.json.gz"
LARGEST = 16 * 2**20  # bytes of the file
LARGEST_JSON = 32 * 2**20  # bytes of what is in it
MOST_LOOKS = 20_000
MOST_IN_A_LOOK = 500  # boxes
MOST_BOXES = 300_000  # in a file: 100 in each look of 10 minutes
MOST_TRACKS = 256  # of an incident
# Commas bound what a reader makes of the JSON: without, 32 MiB of "[],[]," would take gigabytes.
_MOST_COMMAS = 8 * MOST_BOXES + 8 * MOST_LOOKS + MOST_LOOKS * 16
_SLACK = 0.02  # a box may reach so far out of the picture
_LATE_S = 0.05  # a look may be so much later than the end that it was rounded to
_LARGEST_ID = 2**53
_CHUNK = 2**16


def read_side(file: BinaryIO) -> dict[str, Any]:
    """What a side file holds.

    Neither a bomb nor anything else takes more memory than the limits above allow.

    Args:
        file: The gzipped bytes.

    Returns:
        Its fields, checked.

    Raises:
        WireError: It is none, with what is wrong.
        OSError: It can't be read.
    """
    body = _unpacked(file)
    if body.count(b",") > _MOST_COMMAS or body.count(b"[") > _MOST_COMMAS // 4 + MOST_LOOKS:
        raise WireError("side file: more in it than in ten minutes of looks")
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise WireError("side file: not JSON") from error
    check_side(fields)
    checked: dict[str, Any] = fields
    return checked


def check_side(fields: Any) -> None:
    """Hold the content of a side file to the contract.

    Raises:
        WireError: With the first thing that is wrong.
    """
    if not isinstance(fields, Mapping):
        raise WireError("side file: not a JSON object")
    if fields.get("schema") != SCHEMA:
        raise WireError(f"side file: schema {str(fields.get('schema'))[:40]!r} is not {SCHEMA}")
    duration_s: Any = fields.get("duration_s")
    _hold(isinstance(fields.get("incident"), str), "incident is no text")
    _hold(_is_whole(fields.get("segment"), 2**31 - 1), "segment is no number of one")
    _hold(_is_number(fields.get("started_at_unix"), 0.0, 1e12), "started_at_unix is no time")
    _hold(_is_number(duration_s, 0.0, 1e6), "duration_s is no duration")
    size = fields.get("size")
    _hold(isinstance(size, list) and len(size) == 2 and all(_is_whole(side, 2**16, 1) for side in size), "no such size")
    looks = fields.get("looks")
    _hold(isinstance(looks, list) and len(looks) <= MOST_LOOKS, f"looks are no list of at most {MOST_LOOKS}")
    before, boxes = -1.0, 0
    for look in looks:  # type: ignore[union-attr]
        _hold(isinstance(look, Mapping), "a look is no object")
        _hold(_is_number(look.get("t"), 0.0, duration_s + _LATE_S), "a look is not within the segment")
        _hold(look["t"] > before, "looks are not in order of time")
        before = look["t"]
        boxes += _checked_boxes(look.get("boxes"))
        _hold(boxes <= MOST_BOXES, f"more than {MOST_BOXES} boxes")
        tracks = look.get("offender", [])
        _hold(isinstance(tracks, list) and len(tracks) <= MOST_TRACKS, f"offender is no list of at most {MOST_TRACKS}")
        _hold(all(_is_whole(track) for track in tracks), "a track of offender is no number of one")
        scores = look.get("score", {})
        _hold(isinstance(scores, Mapping) and len(scores) <= MOST_IN_A_LOOK, "score is no object of tracks")
        for track, score in scores.items():
            _hold(track.isascii() and track.isdecimal() and len(track) <= 16, "a track of score is no number of one")
            _hold(_is_number(score), "a score is not within 0..1")


def _checked_boxes(boxes: Any) -> int:
    """How many boxes of a look there are."""
    _hold(isinstance(boxes, list) and len(boxes) <= MOST_IN_A_LOOK, f"boxes are no list of at most {MOST_IN_A_LOOK}")
    for box in boxes:
        _hold(isinstance(box, list) and len(box) == 7, "a box is no list of seven")
        what, track, x1, y1, x2, y2, score = box
        _hold(isinstance(what, str) and what in LABELS, "a box is of nothing known")
        _hold(track is None or _is_whole(track), "a box's track is neither null nor a number of one")
        _hold(all(_is_number(v, -_SLACK, 1 + _SLACK) for v in (x1, y1, x2, y2)), "a box is not within the picture")
        _hold(x1 <= x2 and y1 <= y2, "a box is inside out")
        _hold(_is_number(score), "a box's score is not within 0..1")
    return len(boxes)


def _unpacked(file: BinaryIO) -> bytes:
    """The content of a gzip file of one member, as far as the limits let it in."""
    unpacker = zlib.decompressobj(wbits=31)
    parts: list[bytes] = []
    read = size = 0
    try:
        while not unpacker.eof:
            chunk = unpacker.unconsumed_tail or file.read(_CHUNK)
            if not chunk:
                raise WireError("side file: cut off")
            if not unpacker.unconsumed_tail:
                read += len(chunk)
            parts.append(unpacker.decompress(chunk, _CHUNK))
            size += len(parts[-1])
            if read > LARGEST or size > LARGEST_JSON:
                raise WireError(f"side file: more than {LARGEST_JSON} bytes in it")
    except zlib.error as error:
        raise WireError("side file: not gzip") from error
    if unpacker.unused_data or file.read(1):
        raise WireError("side file: something follows it")
    return b"".join(parts)


def _hold(is_so: bool, otherwise: str) -> None:
    if not is_so:
        raise WireError(f"side file: {otherwise}")


def _is_whole(value: Any, most: int = _LARGEST_ID, least: int = 0) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def _is_number(value: Any, least: float = 0.0, most: float = 1.0) -> bool:
    # NaN is within nothing.
    return isinstance(value, int | float) and not isinstance(value, bool) and least <= value <= most
