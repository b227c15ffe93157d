"""What was seen in a recorded file, as bytes: looks enter, a compressed archive of plain arrays leaves, and back.

Times are kept as seconds into the file: when a file begins may only be known once the one before it is read.
"""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from detector.errors import SourceError
from detector.values import KEYPOINTS, TRAITS, VIEW_SIZE, Detections, Look, ViewMeasure

_NONE = (ValueError, KeyError, TypeError, IndexError, OSError, EOFError, zipfile.BadZipFile, zlib.error)
FORMAT = 3  # part of every name of a file of looks, so that another form is never taken for this one


@dataclass(frozen=True, slots=True)
class Read:
    """How far a recorded file could be read, and what that cost.

    Attributes:
        seconds: Of video that was read.
        promised_s: Of video, as the file says; 0 where it doesn't.
        decoded: Pictures.
        undecoded: Pictures left out between key frames, which alone were looked at.
        scanned: Stretches in which these lie, seconds into the file.
        passed_over: Pictures that were due and not looked at, since nothing moved in them.
        damaged: Packets and pictures.
        broken_off: It can't be read to its end.
        unreadable: Why it can't be read at all; `None` where it can.
        set_aside: It ends or hangs whoever reads it, or did so this time.
        size: Bytes of the file as it was taken up.
        cpu_s: Processor seconds.
    """

    seconds: float = 0.0
    promised_s: float = 0.0
    decoded: int = 0
    undecoded: int = 0
    scanned: tuple[tuple[float, float], ...] = ()
    passed_over: int = 0
    damaged: int = 0
    broken_off: bool = False
    unreadable: str | None = None
    set_aside: bool = False
    size: int = 0
    cpu_s: float = 0.0

    @property
    def frame_s(self) -> float:
        """Seconds from picture to picture, on average; 0 where there is none."""
        pictures = self.decoded + self.undecoded
        return self.seconds / pictures if pictures else 0.0


@dataclass(frozen=True, slots=True)
class FileLooks:
    """All looks at one file, in order; their `captured_at` is seconds into the file."""

    read: Read
    looks: Sequence[Look] = field(default=())


def packed(found: FileLooks) -> bytes:
    """Looks as bytes."""
    looks = found.looks
    everything = Detections.joined([look.detections for look in looks])
    seen = [(n, look.view) for n, look in enumerate(looks) if look.view is not None]
    pointed = everything.keypoints is not None
    first = looks[0] if looks else None
    head = asdict(found.read) | {
        "camera": first.camera if first else "", "file": first.file if first else None, "keypoints": pointed,
    }  # fmt: skip
    edges = np.array([v.edges for _, v in seen], np.int8).reshape(-1, VIEW_SIZE[0] * VIEW_SIZE[1])
    arrays: dict[str, NDArray[np.generic]] = {
        "head": np.frombuffer(json.dumps(head).encode(), np.uint8),
        "at": np.array([look.captured_at for look in looks], np.float64),
        "index": np.array([look.index for look in looks], np.int64),
        "size": np.array([look.size for look in looks], np.int32).reshape(-1, 2),
        "rows": np.array([len(look.detections) for look in looks], np.int32),
        "boxes": everything.boxes,
        "scores": everything.scores,
        "class_ids": everything.class_ids,
        "traits": everything.traits,
        "viewed": np.array([n for n, _ in seen], np.int64),
        "view": np.array([(v.brightness, v.contrast, v.sharpness, v.still_s) for _, v in seen]).reshape(-1, 4),
        "edges": np.diff(edges, axis=0, prepend=np.zeros_like(edges[:1])),  # a camera sees much the same all the time
    }
    if everything.keypoints is not None:
        arrays["keypoints"] = everything.keypoints
    out = io.BytesIO()
    np.savez_compressed(out, **arrays)  # type: ignore[arg-type]
    return out.getvalue()


def read_of(file: Path) -> Read | None:
    """How far a recorded file could be read, from the file of its looks; `None` where that isn't whole."""
    try:
        with np.load(file, allow_pickle=False) as kept:
            return _head(kept["head"])[0]
    except _NONE:
        return None


def unpacked(data: bytes) -> FileLooks:
    """Looks from bytes.

    Raises:
        SourceError: They are none.
    """
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as kept:
            read, camera, name, pointed = _head(kept["head"])
            return FileLooks(read, list(_looks(dict(kept), camera, name, pointed=pointed)))
    except _NONE as error:
        raise SourceError(f"what was seen in a file can't be read back: {type(error).__name__}: {error}") from error


def _head(kept: NDArray[np.generic]) -> tuple[Read, str, str | None, bool]:
    head = json.loads(kept.tobytes())
    camera, file, pointed = head.pop("camera"), head.pop("file"), head.pop("keypoints")
    head["scanned"] = tuple((float(begin), float(end)) for begin, end in head["scanned"])
    return Read(**head), camera, file, pointed


def _looks(kept: dict[str, NDArray[np.generic]], camera: str, file: str | None, *, pointed: bool) -> Iterator[Look]:
    rows = len(TRAITS)
    boxes, scores, ids = kept["boxes"].reshape(-1, 4), kept["scores"].ravel(), kept["class_ids"].ravel()
    traits = kept["traits"].reshape(-1, rows)
    keypoints = kept["keypoints"].reshape(-1, KEYPOINTS, 3) if pointed else None
    whole = Detections(boxes, scores, ids, traits, keypoints)  # type: ignore[arg-type]
    ends = np.cumsum(kept["rows"])
    if len(ends) and ends[-1] != len(whole):
        raise ValueError("rows are missing")
    views = {
        int(n): ViewMeasure(float(light), float(contrast), float(sharp), edges, float(still_s))
        for n, (light, contrast, sharp, still_s), edges in zip(
            kept["viewed"].tolist(), kept["view"], np.cumsum(kept["edges"], axis=0, dtype=np.int8), strict=True
        )
    }
    for n, (at, index, size) in enumerate(zip(kept["at"], kept["index"], kept["size"], strict=True)):
        found = whole[ends[n - 1] if n else 0 : ends[n]]
        offset = float(at)
        yield Look(camera, int(index), offset, (int(size[0]), int(size[1])), found, views.get(n), file, offset)
