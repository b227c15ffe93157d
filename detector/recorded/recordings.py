"""Which camera recorded a file, and when: paths enter, sessions of recordings that follow each other leave."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from detector.config import Camera, EdgeConfig
from detector.errors import ConfigError, Problem
from detector.recorded.recorder_names import Named, Pattern, read_name

# How it is known when a file begins, where that is hardly known: copying changes a file's date.
FILE_DATE = "file date"
VAGUE = "file before, of unknown length"
UNDATED = "nothing"  # it isn't there
LATEST = 253_000_000_000.0  # in the year 9987; a file system may hold later dates, which can't be written as one


@dataclass(frozen=True, slots=True)
class Piece:
    """One file: its camera, and when it begins, Unix seconds; `None`: where the file before it ends.

    `known_by` says how that is known: `option`, `name`, `container`, `file date` or `file before`, and more where it is
    hardly known; `nothing` where the file isn't there. `expected_at` is when it begins if the files before it are as
    long as they say. `named_s` is how long it is by its name, `None` where that doesn't say. By a name without seconds
    it began within the minute `within_s` after `start_at`.
    """

    path: Path
    camera: Camera
    start_at: float | None
    known_by: str
    expected_at: float | None = None
    named_s: float | None = None
    within_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Session:
    """Files of one camera in order of time, to be run through one pipeline."""

    camera: Camera
    pieces: tuple[Piece, ...]


def camera_of(path: Path, cameras: Sequence[Camera], named: Named) -> Camera:
    """The camera of a file, of which its name says what it says.

    That is the one whose source it is or lies in, or one of whose `recordings` its path fits, or that is called as the
    recorder calls it, or as one of its folders, or whose name its name starts with. Otherwise it is called as the
    recorder calls it, or else by the file's stem without date and time, or by its folder where nothing is left: that
    may be the title of a camera, which no other has; or it is a new one, with one whole-frame zone and the default
    policy.
    """
    resolved = Path(os.path.realpath(path))  # unlike `resolve`, it bears a link that leads to itself
    for camera in cameras:
        if not camera.live and resolved.is_relative_to(Path(camera.source)):
            return camera
    for fits in (_fits, _lies_below):
        for camera in cameras:
            if any(fits(path, form) for form in camera.recordings):
                return camera
    called = {camera.name: camera for camera in cameras}
    for name in (named.camera, *(folder.name for folder in path.parents)):
        if name in called:
            return called[name]
    begun = [c for c in cameras if re.match(rf"{re.escape(c.name)}(?![A-Za-z0-9])", path.stem)]
    if begun:
        return max(begun, key=lambda camera: len(camera.name))
    series = os.path.realpath(named.series) if named.series is not None else None
    title = _legible(named.camera or _title(series) or path.stem)
    if len(titled := [camera for camera in cameras if camera.title == title]) == 1:
        return titled[0]
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", title).strip("-._")[:64] or "recording"
    # As the recorder's it is the same camera in every folder, one a day maybe; overlaps are told. Names of another
    # encoding look alike as text, so here they are written out.
    source = str(named.camera or series or resolved).encode(errors="backslashreplace").decode()
    return Camera(name=name, title=title, source=source)


def _title(series: str | None) -> str | None:
    """What people call a series of files: the last part of its path with anything in it but dots and dashes."""
    parts = (part.strip(" _.-") for part in reversed((series or "").split("/")))
    return next(filter(None, parts), None)


def _legible(name: str) -> str:
    """A name as text: of UTF-8, or else as Windows in China and its zips write it."""
    try:
        return os.fsencode(name).decode()
    except UnicodeDecodeError:
        pass
    try:
        return os.fsencode(name).decode("gb18030")
    except UnicodeDecodeError:
        return as_text(name)


def as_text(name: object) -> str:
    """A file's name as text, of whatever encoding it is."""
    return str(name).encode(errors="replace").decode()


def _fits(path: Path, form: str) -> bool:
    """Whether the end of a path fits a form such as `NVR_ch1_*` or `ch1/*.mp4`, which speaks of so many parts of it."""
    parts = path.parts[-form.count("/") - 1 :]
    return fnmatchcase("/".join(parts), form) or fnmatchcase("/".join((*parts[:-1], path.stem)), form)


def _lies_below(path: Path, form: str) -> bool:
    """Whether a path fits a form with a folder, such as `nvr1/*` or `001/*`, however deep below it the file lies."""
    return "/" in form and fnmatchcase(f"/{path.as_posix()}", f"*/{form.lstrip('/')}")  # its * goes past a /


def sessions(
    paths: Iterable[Path],
    config: EdgeConfig,
    start: float | None,
    *,
    pattern: Pattern | None = None,
    zone: str | None = None,
    say: Callable[[str], None] = lambda what: None,
) -> list[Session]:
    """Files sorted into sessions, one for each camera.

    Args:
        paths: Video files.
        config: Whose cameras and time zone apply.
        start: When each camera's first file begins, Unix seconds, the others following it without a gap; when left
            out, each file's name tells, or else what its container says, or else its date.
        pattern: How files are named, where `read_name` doesn't know it by itself.
        zone: Time zone of the recorder's clock; the configuration's when left out.
        say: Told, in words, what is done, with every file.

    Raises:
        ConfigError: The pattern fits no file.
    """
    named = [(path, read_name(path, zone or config.timezone, pattern)) for path in paths]
    if pattern is not None and named and all(name.start_at is None for _, name in named):
        hint = "it is held against the end of the path without its suffix"
        raise ConfigError([Problem("--pattern", pattern.text, f"fits no file, such as {as_text(named[0][0])}", hint)])
    of_camera = apart([(path, camera_of(path, config.cameras, name)) for path, name in named], config.cameras)
    found: dict[str, list[Piece]] = {}
    for n, ((path, camera), (_, name)) in enumerate(zip(of_camera, named, strict=True), 1):
        say(f"asking files when they begin: {n} of {len(named)}")
        others = found.setdefault(camera.name, [])
        if start is not None:
            first = Piece(path, camera, start, "option", start, name.length_s)
            others.append(_following(others, path, camera, name) if others else first)
        else:
            others.append(_dated(path, camera, name, zone or config.timezone))
    return [Session(pieces[0].camera, in_order(pieces)) for pieces in found.values()]


def by_itself(path: Path, config: EdgeConfig, *, pattern: Pattern | None = None, zone: str | None = None) -> Piece:
    """A file as if there were no other; arguments as of `sessions`."""
    zone = zone or config.timezone
    name = read_name(path, zone, pattern)
    return _dated(path, camera_of(path, config.cameras, name), name, zone)


def of_camera(found: Sequence[Session], camera: str | None) -> Session:
    """The session of the camera named; of the only one there is when left out.

    Raises:
        ConfigError: There are recordings of several cameras, or none of the one named.
    """
    names = [session.camera.name for session in found]
    if camera is None and len(found) == 1:
        return found[0]
    if camera in names:
        return found[names.index(camera)]
    there = f"these recordings are of: {', '.join(names)}"
    if camera is not None:
        there += "; `recordings` of a camera in the configuration says which files are its"
    reason = "which of them? Only one is looked at" if camera is None else f"no recording is of the camera {camera}"
    raise ConfigError([Problem("--camera", "", reason, there)])


def _following(before: Sequence[Piece], path: Path, camera: Camera, name: Named) -> Piece:
    """A file that begins where the last of those before it ends."""
    from detector.sources.recording import promised_s

    last = before[-1]
    length_s = promised_s(last.path) or last.named_s
    known = last.expected_at is not None and length_s is not None
    expected_at = (last.expected_at or 0.0) + (length_s or 0.0) if known else None
    return Piece(path, camera, None, "file before", expected_at, name.length_s)


def _dated(path: Path, camera: Camera, name: Named, zone: str) -> Piece:
    """A file that says by itself when it begins."""
    at, known_by = _begin(path, name, zone)
    return Piece(path, camera, at, known_by, at, name.length_s, name.within_s)


def _begin(path: Path, name: Named, zone: str) -> tuple[float, str]:
    """When a recording begins, and how that is known."""
    from detector.sources.recording import made_at, promised_s

    if name.start_at is not None:
        return name.start_at, name.known_by
    if (at := made_at(path, zone)) is not None:
        return at, "container"
    try:  # its date is that of its last byte
        at = float(round(path.stat().st_mtime - (promised_s(path) or 0.0)))
    except OSError:
        return 0.0, UNDATED  # a link to nothing, or gone by now: reading it will say so, and the rest is done
    return at if at < LATEST else 0.0, FILE_DATE


def begins_at(piece: Piece, before: Piece | None, ended_at: float, length_s: float) -> float:
    """When a file begins, Unix seconds, of which the one before it and when all before it end are known.

    That is where they end if nothing says when, or if it is within the minute that the file is named after: else its
    beginning would be taken for what they show. Where the one before is named after the same minute in another folder,
    two recorders did so. A file's date may be that of its copy: where most of the file's `length_s` (0: not known)
    would be of a time that those before it show, it goes on where they end, too.
    """
    if piece.start_at is None:
        return ended_at
    if piece.known_by == FILE_DATE and ended_at - piece.start_at > length_s / 2 > 0:
        return ended_at
    of_two = before is not None and before.start_at == piece.start_at and before.path.parent != piece.path.parent
    goes_on = piece.start_at < ended_at < piece.start_at + piece.within_s and not of_two
    return ended_at if goes_on else piece.start_at


def apart(files: Sequence[tuple[Path, Camera]], known: Sequence[Camera]) -> list[tuple[Path, Camera]]:
    """Files and their cameras, where no two cameras made from file names share a name, nor take that of a known one.

    `a/0001.mp4` and `b/0001.mp4` are two cameras, and so are `大门.mp4` and `后门.mp4`, whose names have no letter that
    a camera's name may have: taken for one camera, what they show of the same time would be looked at once.
    """
    taken: dict[str, set[str]] = {camera.name: {""} for camera in known}
    called: dict[str, set[str]] = {}
    for _, camera in files:
        if camera not in known:
            taken.setdefault(camera.name, set()).add(camera.source)
            called.setdefault(camera.title or camera.name, set()).add(camera.source)
    titles = {source: told for title, sources in called.items() for source, told in _told(title, sources).items()}
    told_apart = []
    for path, camera in files:
        if camera not in known:
            mark = hashlib.sha256(camera.source.encode()).hexdigest()[:6]
            name = f"{camera.name[:57]}-{mark}" if len(taken[camera.name]) > 1 else camera.name
            camera = camera.model_copy(update={"name": name, "title": titles[camera.source]})
        told_apart.append((path, camera))
    return told_apart


def _told(title: str, sources: Collection[str]) -> dict[str, str]:
    """What people call sources that would all be called the same: by as many of their folders as tell them apart."""
    parts = {source: [*filter(None, source.split("/")[:-1]), title] for source in sources}
    for number in range(1, max(map(len, parts.values()), default=0) + 1):
        told = {source: "/".join(found[-number:]) for source, found in parts.items()}
        if len(set(told.values())) == len(told):
            return told
    return {source: source for source in sources}


def in_order(pieces: Sequence[Piece]) -> tuple[Piece, ...]:
    """Pieces by time; those whose time is unknown keep the order they were given in."""
    if any(piece.start_at is None for piece in pieces):
        return tuple(pieces)
    return tuple(sorted(pieces, key=lambda piece: (piece.start_at or 0.0, piece.path.name)))
