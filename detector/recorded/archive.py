"""What lies in an archive: paths, folders and globs enter; the recordings to be read leave, and what is passed over.

Nothing is passed over in silence: each other file is named with the reason.
"""

from __future__ import annotations

import filecmp
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from detector.errors import SourceUnavailable
from detector.recorded.recorder_names import read_name
from detector.sources.recording import SUFFIXES, natural

SAMPLE = 1 << 20  # bytes compared at the beginning, in the middle and at the end before two files are read whole
# What file servers and cameras keep beside recordings, and nobody would call footage.
OTHERS_OWN = {"@eaDir", "#recycle", "$RECYCLE.BIN", "System Volume Information", ".DS_Store", "Thumbs.db"}


@dataclass(frozen=True, slots=True)
class Passed:
    """A file that isn't read, and why."""

    path: Path
    why: str


@dataclass(slots=True)
class Archive:
    """`files` are to be read, in natural order folder by folder; `passed` are not."""

    files: list[Path] = field(default_factory=list)
    passed: list[Passed] = field(default_factory=list)


def gather(paths: Iterable[Path]) -> Archive:
    """Everything that these paths mean.

    A file is taken as it is; a folder with all folders in it, for what has a suffix of video; a path with `*`, `?` or
    `[` that isn't there itself for whatever it matches. No file is taken twice, nor another with the same content.

    Raises:
        SourceUnavailable: A path means nothing, or no video at all.
    """
    found = Archive()
    for path in paths:
        before = len(found.files)
        for match in _meant(path):
            if match.is_dir():
                _walk(match, found)
            else:
                found.files.append(match)
        if len(found.files) == before:
            raise SourceUnavailable(f"{path}: no video file in this folder")
    found.files, again = _once(found.files)
    found.passed += again
    return found


def _meant(path: Path) -> list[Path]:
    if path.exists():
        return [path]
    top = Path(path.anchor or ".")
    matches = list(top.glob(str(path.relative_to(path.anchor)))) if set("*?[") & set(str(path)) else []
    if not matches:
        raise SourceUnavailable(f"{path}: no such file or folder")
    return sorted(matches, key=natural)


def _walk(folder: Path, into: Archive) -> None:
    def unreadable(error: OSError) -> None:
        into.passed.append(Passed(Path(error.filename), f"the folder can't be read: {error.strerror}"))

    for top, folders, names in os.walk(folder, onerror=unreadable):  # follows no link to a folder, so it ends
        folders[:] = sorted((n for n in folders if n not in OTHERS_OWN), key=lambda name: natural(Path(name)))
        for name in sorted(names, key=lambda name: natural(Path(name))):
            path = Path(top, name)
            if name in OTHERS_OWN:
                continue
            if path.suffix.lower() in SUFFIXES:
                into.files.append(path)
            else:
                what = f"{path.suffix} is" if path.suffix else "its name is"
                into.passed.append(Passed(path, f"{what} not that of a video file"))


def _once(files: list[Path]) -> tuple[list[Path], list[Passed]]:
    """Files without those that are there already, by another path or as a copy; a name that tells the time is kept."""
    kept: list[Path] = []
    again: list[Passed] = []
    of_size: dict[int, list[Path]] = defaultdict(list)
    for path in files:
        try:
            size = path.stat().st_size
            twin = next((other for other in of_size[size] if size and _same(path, other, size)), None)
        except OSError:
            kept.append(path)  # reading it will say why it can't be
            continue
        if twin is None:
            of_size[size].append(path)
            kept.append(path)
        elif not path.samefile(twin):
            if _says_when(path) and not _says_when(twin):
                kept[kept.index(twin)] = of_size[size][of_size[size].index(twin)] = path
                path, twin = twin, path
            again.append(Passed(path, f"the same recording as {twin}"))
    return kept, again


def _says_when(path: Path) -> bool:
    return read_name(path, "UTC").start_at is not None


def _same(a: Path, b: Path, size: int) -> bool:
    """Whether two files of one size have the same content; recorders fill many files to one size."""
    if a.samefile(b):
        return True
    return all(x == y for x, y in zip(_samples(a, size), _samples(b, size), strict=True)) and filecmp.cmp(
        a, b, shallow=False
    )


def _samples(path: Path, size: int) -> Iterator[bytes]:
    with path.open("rb") as file:
        for at in (0, size // 2, max(0, size - SAMPLE)):
            file.seek(at)
            yield file.read(SAMPLE)
