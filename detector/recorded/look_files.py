"""What was seen in a recorded file, as bytes: looks enter, an archive of compressed plain arrays leaves, and back.

Times are kept as seconds into the file: when a file begins may only be known once the one before it is read.
"""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence, Sized
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Protocol

import numpy as np
from numpy.typing import NDArray

from detector.errors import SourceError
from detector.values import KEYPOINTS, TRAITS, VIEW_SIZE, Detections, Look, ViewMeasure

_NONE = (ValueError, KeyError, TypeError, IndexError, OSError, EOFError, zipfile.BadZipFile, zlib.error)
HEAD = "head.json"
PART = 2000  # looks in a part: some minutes where every frame is looked at


@dataclass(frozen=True, slots=True)
class Read:
    """How far a recorded file could be read, and what that cost.

    Attributes:
        seconds: Of video that was read.
        promised_s: Of video, as the file says; 0 where it doesn't.
        decoded: Pictures.
        undecoded: Pictures left out between key frames, which alone were looked at.
        scanned: Stretches in which these lie, seconds into the file.
        holes: Stretches of which there is no picture, seconds into the file.
        passed_over: Pictures that were due and not looked at, since nothing moved in them.
        damaged: Packets and pictures.
        others: Videos in it that are as large, and weren't looked at.
        is_untimed: Its times are counted, by a rate that may be wrong.
        broken_off: It can't be read to its end.
        unreadable: Why it can't be read at all; `None` where it can.
        transient: The disk or the network kept it from being read, to its end or at all, which may pass.
        set_aside: It ends or hangs whoever reads it, or did so this time.
        size: Bytes of the file as it was taken up.
        cpu_s: Processor seconds.
    """

    seconds: float = 0.0
    promised_s: float = 0.0
    decoded: int = 0
    undecoded: int = 0
    scanned: tuple[tuple[float, float], ...] = ()
    holes: tuple[tuple[float, float], ...] = ()
    passed_over: int = 0
    damaged: int = 0
    others: int = 0
    is_untimed: bool = False
    broken_off: bool = False
    unreadable: str | None = None
    transient: bool = False
    set_aside: bool = False
    size: int = 0
    cpu_s: float = 0.0

    @property
    def shown_s(self) -> float:
        """Seconds of video without its holes."""
        return self.seconds - sum(end_s - begin_s for begin_s, end_s in self.holes)

    @property
    def frame_s(self) -> float:
        """Seconds from picture to picture, on average; 0 where there is none."""
        pictures = self.decoded + self.undecoded
        return self.shown_s / pictures if pictures else 0.0


class Looks(Iterable[Look], Sized, Protocol):
    """Looks that can be gone through again and again, though they may not all be in memory."""


@dataclass(frozen=True, slots=True)
class FileLooks:
    """All looks at one file, in order; their `captured_at` is seconds into the file."""

    read: Read
    looks: Looks = ()


class LookPacker:
    """Packs looks as they come, part by part: of a file of a day no more than some minutes are held unpacked."""

    def __init__(self) -> None:
        self._out = io.BytesIO()
        self._archive = zipfile.ZipFile(self._out, "w")
        self._looks: list[Look] = []
        self._parts: list[int] = []

    def add(self, look: Look) -> None:
        """Take the next one."""
        self._looks.append(look)
        if len(self._looks) == PART:
            self._end_part()

    def finish(self, read: Read) -> bytes:
        """All of them as bytes."""
        if self._looks:
            self._end_part()
        self._archive.writestr(HEAD, json.dumps(asdict(read) | {"parts": self._parts}))
        self._archive.close()
        return self._out.getvalue()

    def _end_part(self) -> None:
        with self._archive.open(_part_name(len(self._parts)), "w") as part:
            _write_part(part, self._looks)
        self._parts.append(len(self._looks))
        self._looks = []


def packed(found: FileLooks) -> bytes:
    """Looks as bytes."""
    packer = LookPacker()
    for look in found.looks:
        packer.add(look)
    return packer.finish(found.read)


def read_of(file: Path) -> Read | None:
    """How far a recorded file could be read, from the file of its looks; `None` where that isn't whole."""
    try:
        return opened(file).read
    except (SourceError, FileNotFoundError):
        return None


def opened(file: Path) -> FileLooks:
    """Looks in a file, which is read anew each time that they are gone through.

    Raises:
        OSError: It isn't there.
        SourceError: It holds none; going through them raises it, too, where they are damaged.
    """
    file.stat()
    return _opened(file)


def unpacked(data: bytes) -> FileLooks:
    """Looks from bytes; as `opened`."""
    return _opened(data)


def _opened(source: Path | bytes) -> FileLooks:
    try:
        with _archive(source) as archive:
            head = json.loads(archive.read(HEAD))
        parts = [int(count) for count in head.pop("parts")]
        for name in ("scanned", "holes"):
            head[name] = tuple((float(begin), float(end)) for begin, end in head[name])
        return FileLooks(Read(**head), _Kept(source, parts))
    except _NONE as error:
        raise _damaged(error) from error


def _archive(source: Path | bytes) -> zipfile.ZipFile:
    return zipfile.ZipFile(io.BytesIO(source) if isinstance(source, bytes) else source)


def _damaged(error: Exception) -> SourceError:
    return SourceError(f"what was seen in a file can't be read back: {type(error).__name__}: {error}")


def _part_name(number: int) -> str:
    return f"{number}.npz"


class _Kept:
    """Looks in an archive, so many in each part."""

    def __init__(self, source: Path | bytes, parts: list[int]) -> None:
        self._source, self._parts = source, parts

    def __len__(self) -> int:
        return sum(self._parts)

    def __iter__(self) -> Iterator[Look]:
        for number, count in enumerate(self._parts):
            looks = self._part(number)
            if len(looks) != count:
                raise _damaged(ValueError("looks are missing"))
            yield from looks

    def _part(self, number: int) -> list[Look]:
        try:
            with _archive(self._source) as archive:
                data = archive.read(_part_name(number))
            with np.load(io.BytesIO(data), allow_pickle=False) as kept:
                return list(_looks(dict(kept)))
        except _NONE as error:
            raise _damaged(error) from error


def _write_part(out: IO[bytes], looks: Sequence[Look]) -> None:
    everything = Detections.joined([look.detections for look in looks])
    seen = [(n, look.view) for n, look in enumerate(looks) if look.view is not None]
    edges = np.array([v.edges for _, v in seen], np.int8).reshape(-1, VIEW_SIZE[0] * VIEW_SIZE[1])
    words = {"camera": looks[0].camera, "file": looks[0].file}
    arrays: dict[str, NDArray[np.generic]] = {
        "words": np.frombuffer(json.dumps(words).encode(), np.uint8),
        "at": np.array([look.captured_at for look in looks], np.float64),
        "index": np.array([look.index for look in looks], np.int64),
        "size": np.array([look.size for look in looks], np.int32).reshape(-1, 2),
        "rows": np.array([len(look.detections) for look in looks], np.int32),
        "boxes": everything.boxes,
        "scores": everything.scores,
        "class_ids": everything.class_ids,
        "traits": everything.traits,
        "viewed": np.array([n for n, _ in seen], np.int64),
        "view": np.array(
            [(v.brightness, v.contrast, v.sharpness, v.still_s, v.calm_s, v.has_clock) for _, v in seen]
        ).reshape(-1, 6),
        "edges": np.diff(edges, axis=0, prepend=np.zeros_like(edges[:1])),  # a camera sees much the same all the time
    }
    if everything.keypoints is not None:
        arrays["keypoints"] = everything.keypoints
    if everything.passed_over is not None:
        arrays["passed_over"] = everything.passed_over
    np.savez_compressed(out, **arrays)  # type: ignore[arg-type]


def _looks(kept: dict[str, NDArray[np.generic]]) -> Iterator[Look]:
    words = json.loads(kept["words"].tobytes())
    boxes, scores, ids = kept["boxes"].reshape(-1, 4), kept["scores"].ravel(), kept["class_ids"].ravel()
    traits = kept["traits"].reshape(-1, len(TRAITS))
    keypoints = kept["keypoints"].reshape(-1, KEYPOINTS, 3) if "keypoints" in kept else None
    passed_over = kept["passed_over"].astype(bool).ravel() if "passed_over" in kept else None
    whole = Detections(boxes, scores, ids, traits, keypoints, passed_over)  # type: ignore[arg-type]
    ends = np.cumsum(kept["rows"])
    if len(ends) and ends[-1] != len(whole):
        raise ValueError("rows are missing")
    views = {
        int(n): ViewMeasure(light, contrast, sharp, edges, still_s, calm_s, bool(has_clock))
        for n, (light, contrast, sharp, still_s, calm_s, has_clock), edges in zip(
            kept["viewed"].tolist(), kept["view"].tolist(), np.cumsum(kept["edges"], axis=0, dtype=np.int8), strict=True
        )
    }
    for n, (at, index, size) in enumerate(zip(kept["at"], kept["index"], kept["size"], strict=True)):
        found = whole[ends[n - 1] if n else 0 : ends[n]]
        offset = float(at)
        size_px = int(size[0]), int(size[1])
        yield Look(words["camera"], int(index), offset, size_px, found, views.get(n), words["file"], offset)
