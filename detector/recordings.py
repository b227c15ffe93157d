"""Which camera recorded a file, and when: paths enter, sessions of recordings that follow each other leave."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from detector.config import Camera, EdgeConfig

# 20261101_0926, 2026-11-01T09-26-13, 20261101092613, 20261101_092613250 …: a date and a time of day; seconds and
# milliseconds optional, the latter not read.
_STAMP = re.compile(
    r"(20\d\d)[-_.]?(\d\d)[-_.]?(\d\d)[-_.T ]{0,2}(\d\d)[-_.:]?(\d\d)(?:[-_.:]?(\d\d)(?:[-_.]?\d{3})?)?(?!\d)"
)


@dataclass(frozen=True, slots=True)
class Piece:
    """One file: its camera, and when it begins, Unix seconds; `None`: where the file before it ends.

    `known_by` says how that is known: `option`, `name`, `file date` or `file before`.
    """

    path: Path
    camera: Camera
    start_at: float | None
    known_by: str


@dataclass(frozen=True, slots=True)
class Session:
    """Files of one camera in order of time, to be run through one pipeline."""

    camera: Camera
    pieces: tuple[Piece, ...]


def camera_of(path: Path, cameras: Sequence[Camera]) -> Camera:
    """The camera of a file.

    That is the one whose source it is or lies in, or whose name its name starts with; otherwise a camera named by the
    file's stem, with one whole-frame zone and the default policy.
    """
    resolved = path.resolve()
    for camera in cameras:
        if not camera.live and resolved.is_relative_to(Path(camera.source)):
            return camera
    named = [c for c in cameras if re.match(rf"{re.escape(c.name)}(?![A-Za-z0-9])", path.stem)]
    if named:
        return max(named, key=lambda camera: len(camera.name))
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", path.stem).strip("-._")[:64] or "recording"
    return Camera(name=name, title=path.stem, source=str(resolved))


def stamp_in(name: str, zone: str) -> float | None:
    """Unix seconds of the date and time in a file name, read in a time zone; `None` when there is none."""
    for match in _STAMP.finditer(name):
        try:
            local = datetime(*(int(part or 0) for part in match.groups()), tzinfo=ZoneInfo(zone))  # type: ignore[misc,arg-type]
        except ValueError:
            continue  # digits that are no date
        return local.timestamp()
    return None


def sessions(paths: Iterable[Path], config: EdgeConfig, start: float | None) -> list[Session]:
    """Files sorted into sessions, one for each camera.

    Args:
        paths: Video files.
        config: Whose cameras and time zone apply.
        start: When each camera's first file begins, Unix seconds, the others following it without a gap; when left
            out, each file's name tells, or else its date.
    """
    found: dict[str, list[Piece]] = {}
    for path, camera in apart([(path, camera_of(path, config.cameras)) for path in paths], config.cameras):
        stamp = stamp_in(path.stem, config.timezone)
        others = found.setdefault(camera.name, [])
        if start is not None:
            others.append(Piece(path, camera, None if others else start, "file before" if others else "option"))
        elif stamp is not None:
            others.append(Piece(path, camera, stamp, "name"))
        else:
            others.append(Piece(path, camera, float(int(path.stat().st_mtime)), "file date"))
    return [Session(pieces[0].camera, in_order(pieces)) for pieces in found.values()]


def apart(files: Sequence[tuple[Path, Camera]], known: Sequence[Camera]) -> list[tuple[Path, Camera]]:
    """Files and their cameras, where no two cameras made from file names share a name, nor take that of a known one.

    `a/0001.mp4` and `b/0001.mp4` are two cameras, and so are `大门.mp4` and `后门.mp4`, whose names have no letter that
    a camera's name may have: taken for one camera, what they show of the same time would be looked at once.
    """
    taken: dict[str, set[str]] = {camera.name: {""} for camera in known}
    for _, camera in files:
        if camera not in known:
            taken.setdefault(camera.name, set()).add(camera.source)
    told_apart = []
    for path, camera in files:
        if camera not in known and len(taken[camera.name]) > 1:
            mark = hashlib.sha256(str(path).encode()).hexdigest()[:6]
            camera = camera.model_copy(update={"name": f"{camera.name[:57]}-{mark}"})
        told_apart.append((path, camera))
    return told_apart


def in_order(pieces: Sequence[Piece]) -> tuple[Piece, ...]:
    """Pieces by time; those whose time is unknown keep the order they were given in."""
    if any(piece.start_at is None for piece in pieces):
        return tuple(pieces)
    return tuple(sorted(pieces, key=lambda piece: (piece.start_at or 0.0, piece.path.name)))
