"""What lies in an archive: paths, folders and globs enter; the recordings to be read leave, and what is passed over.

Nothing is passed over in silence: each other file is named with the reason.
"""

from __future__ import annotations

import filecmp
import hashlib
import os
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from detector.errors import NotThere, SourceUnavailable
from detector.recorded.recorder_names import read_name
from detector.sources.recording import SUFFIXES, natural

SAMPLE = 1 << 16  # bytes compared at the beginning, in the middle and at the end before two files are read whole
PACKED = frozenset({".zip", ".rar", ".7z"})  # not read, but footage may be in it: it is told that nobody saw it
NOT_VIDEO = "not that of a video file"  # why a file was passed over whose name ends otherwise
CLIPS = "clips"  # of a replay, and what lies beside them: at work, and once it is done
BESIDE, RESULTS = {"sessions", "snapshots"}, {"incidents.jsonl", "summary.json"}
FILM, FILM_PAGE = "why.mp4", "why.html"
# What file servers and cameras keep beside recordings, and nobody would call footage.
OTHERS_OWN = {
    "@eaDir", "#recycle", "$RECYCLE.BIN", "System Volume Information", "lost+found", ".DS_Store", "Thumbs.db",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Passed:
    """A file that isn't read, and why: `twin` is read in its stead, where that has the same content."""

    path: Path
    why: str
    twin: Path | None = None


@dataclass(slots=True)
class Archive:
    """`files` are to be read, in natural order folder by folder; `passed` are not, nor can folders in `unread` be."""

    files: list[Path] = field(default_factory=list)
    passed: list[Passed] = field(default_factory=list)
    unread: list[Passed] = field(default_factory=list)


def gather(
    paths: Iterable[Path],
    results: Path | None = None,
    say: Callable[[str], None] = lambda what: None,
    wanted: Callable[[Path], bool] = lambda path: True,
) -> Archive:
    """Everything that these paths mean.

    A file is taken as it is; a folder with all folders in it, for what has a suffix of video; a path with `*`, `?` or
    `[` that isn't there itself for whatever it matches. No file is taken twice, nor another with the same content.

    Args:
        paths: Files, folders and globs.
        results: Folder of a replay's results; no clip in it is taken for a recording on the way through a folder, nor
            what an earlier replay or `labelwatch why` has left there.
        say: Told, in words, what is done, with every file.
        wanted: Whether a file will be read once it is found, by its path: of copies such a one is taken. Asked of
            copies alone.

    Raises:
        SourceUnavailable: A path means nothing, or no video at all.
    """
    found = Archive()
    ours = set() if results is None else {results.resolve(), results.resolve() / "clips"}
    for path in paths:
        before, unread = len(found.files), len(found.unread)
        for match in _meant(path):
            if match.is_dir():
                _walk(match, found, ours, say)
            else:
                _take(match, found)
        if len(found.files) == before:
            if len(found.unread) > unread:
                raise SourceUnavailable(f"{found.unread[-1].path}: {found.unread[-1].why}")
            nothing = path.is_dir() and not any(path.iterdir())
            why = "the folder is empty: is the disk or share mounted?" if nothing else "no video file in this folder"
            raise SourceUnavailable(f"{path}: {why}")
    found.files, again = _once(found.files, say, wanted)
    found.passed += again
    return found


def _meant(path: Path) -> list[Path]:
    if path.exists():
        return [path]
    top = Path(path.anchor or ".")
    try:
        matches = list(top.glob(str(path.relative_to(path.anchor)))) if set("*?[") & set(str(path)) else []
    except ValueError as error:
        raise NotThere(path, hint="in a pattern ** stands alone between slashes") from error
    if not matches:
        raise NotThere(path)
    return sorted(matches, key=natural)


def _walk(folder: Path, into: Archive, ours: Collection[Path], say: Callable[[str], None]) -> None:
    def unreadable(error: OSError) -> None:
        into.unread.append(Passed(Path(error.filename), f"the folder can't be read: {error.strerror}"))

    for top, folders, names in os.walk(folder, onerror=unreadable):  # follows no link to a folder, so it ends
        written = [name for name in folders if Path(top, name).resolve() in ours]
        if CLIPS in folders and CLIPS not in written and ({*folders} >= BESIDE or {*names} >= RESULTS):
            written.append(CLIPS)
        into.passed += (Passed(Path(top, name), "results of a replay, no recordings") for name in written)
        if {FILM, FILM_PAGE} <= {*names}:
            names.remove(FILM)
            into.passed.append(Passed(Path(top, FILM), "made by labelwatch why, no recording"))
        left = {*written, *OTHERS_OWN}
        folders[:] = sorted((n for n in folders if n not in left), key=lambda name: natural(Path(name)))
        for name in sorted(names, key=lambda name: natural(Path(name))):
            path = Path(top, name)
            say(f"finding recordings: {len(into.files)} so far")
            if name in OTHERS_OWN:
                continue
            if path.suffix.lower() in SUFFIXES | PACKED:
                _take(path, into)
            else:
                what = f"{path.suffix} is" if path.suffix else "its name is"
                plays = ": if it plays a recording, export that as MP4 or AVI" if path.suffix.lower() == ".exe" else ""
                into.passed.append(Passed(path, f"{what} {NOT_VIDEO}{plays}"))


def _take(path: Path, into: Archive) -> None:
    """Take a file, also one that isn't there any more, so that reading it says so; a pipe would be waited for."""
    try:
        is_other = path.exists() and not path.is_file()
    except OSError:
        is_other = False  # reading it will say why it can't be
    if not is_other:
        into.files.append(path)
    else:
        into.passed.append(Passed(path, "no file, but a pipe, socket or device"))


def _once(
    files: list[Path], say: Callable[[str], None], wanted: Callable[[Path], bool]
) -> tuple[list[Path], list[Passed]]:
    """Files without those that are there already, by another path or as a copy.

    A name that tells the time is kept, and of such names one that is wanted.
    """

    def worth(path: Path) -> tuple[bool, bool]:
        return _says_when(path), wanted(path)

    kept: list[Path] = []
    copies: list[tuple[Path, int]] = []  # and the place of the one that is kept
    place: dict[Path, int] = {}
    known = _Known()
    for n, path in enumerate(files, 1):
        say(f"telling copies apart: {n} of {len(files)} files")
        try:
            twin = known.twin_of(path)
        except OSError:
            twin = None  # reading it will say why it can't be
        if twin is None:
            place[path] = len(kept)
            kept.append(path)
        elif not path.samefile(twin):
            at = place[twin]
            if worth(path) > worth(twin):
                known.replace(twin, path)
                place[path], kept[at] = at, path
                path = twin
            copies.append((path, at))
    return kept, [Passed(path, f"the same recording as {kept[at]}", kept[at]) for path, at in copies]


class _Known:
    """Files seen before, by size; those of one size by samples, since recorders fill thousands of files to one size."""

    def __init__(self) -> None:
        self._of_size: defaultdict[int, dict[bytes, list[Path]]] = defaultdict(dict)

    def twin_of(self, path: Path) -> Path | None:
        """A file that is the same, or has the same content; the path is known from now on if there is none.

        Raises:
            OSError: It can't be read.
        """
        size = path.stat().st_size
        known = self._of_size[size]
        if not size:
            return None
        if not known:
            known[b""] = [path]  # the only one of its size: nothing of it is read
            return None
        if b"" in known:
            first = known.pop(b"")
            known[_samples(first[0], size)] = first
        alike = known.setdefault(_samples(path, size), [])
        twin = next((other for other in alike if path.samefile(other) or filecmp.cmp(path, other, shallow=False)), None)
        if twin is None:
            alike.append(path)
        return twin

    def replace(self, path: Path, twin: Path) -> None:
        """Know a file by this path from now on."""
        for alike in self._of_size[twin.stat().st_size].values():
            alike[:] = [twin if other == path else other for other in alike]


def _says_when(path: Path) -> bool:
    return read_name(path, "UTC").start_at is not None


def _samples(path: Path, size: int) -> bytes:
    """What tells most files of one size apart, and costs little to read."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for at in (0, size // 2, max(0, size - SAMPLE)):
            file.seek(at)
            digest.update(file.read(SAMPLE))
    return digest.digest()
