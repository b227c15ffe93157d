"""What a person should know of a replay beside its incidents: what wasn't read, looked at twice, or isn't sure."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from detector.config import EdgeConfig
from detector.pipeline import LEAP_S
from detector.recorded.archive import NOT_VIDEO
from detector.recorded.recorder_names import NEVER, TWICE
from detector.recorded.recordings import FILE_DATE, VAGUE
from detector.report import OVERLAP_S
from detector.report.reach import reaches
from detector.report.squeezed import squeezed

FEW = 5  # cameras or folders named where more are meant

Summary = Mapping[str, Any]


def remarks(summary: Summary, config: EdgeConfig, config_path: Path, out: Path, *, most: int) -> Iterator[str]:
    """A sentence each, in the order in which they matter; names in them are as files and cameras have them.

    Args:
        summary: Of the replay, with all files.
        config: What it was run with.
        config_path: Where that lies.
        out: Where its results lie.
        most: Sentences of each sort.
    """
    yield from _left_out(summary)
    yield from _too_far(summary, config, most)
    yield from _squeezed(summary, config, most)
    yield from _out_of_sight(summary, config, most)
    yield from _not_read(summary, out, most)
    yield from _copies(summary)
    yield from _not_videos(summary)
    yield from _not_configured(summary, config_path)
    yield from _seen_once(summary, most)
    yield from _put_back_or_forward(summary)
    yield from _dated_by_file(summary)
    yield from _vague(summary, most)


def _left_out(summary: Summary) -> Iterator[str]:
    if n := summary.get("asked", {}).get("files_left_out"):
        yield f"{'one file is' if n == 1 else f'{n} files are'} not of what was asked for, and not looked at"


def _too_far(summary: Summary, config: EdgeConfig, most: int) -> Iterator[str]:
    far = [reach for reach in reaches(summary["cameras"], config) if reach.is_mostly_too_far]
    for reach in far[:most]:
        told = "people were mostly too far off to tell whether a phone photographs: see the end of the report"
        yield f"{reach.title}: {told}"


def _squeezed(summary: Summary, config: EdgeConfig, most: int) -> Iterator[str]:
    for title, size in squeezed(summary["cameras"], config)[:most]:
        told = f"pictures of {size} are mostly meant to be shown wider, and its recordings don't say so"
        yield f"{title}: {told}: where people look too thin, give the camera `aspect: 16:9`, else `aspect: 4:3`"


def _out_of_sight(summary: Summary, config: EdgeConfig, most: int) -> Iterator[str]:
    """Of each camera with a blind edge, that gaps, as in recordings of what moves alone, hide who comes out."""
    long = Counter(gap["camera"] for gap in summary["gaps"] if gap["seconds"] > LEAP_S)
    watched = [one for one in config.cameras if any(zone.kind == "blind_edge" for zone in one.zones) and long[one.name]]
    for camera in watched[:most]:
        gaps = "one gap" if long[camera.name] == 1 else f"{long[camera.name]} gaps"
        told = "whoever was behind a blind edge when one began is not missed after it"
        yield f"{camera.title or camera.name}: {gaps} of more than a minute: {told}"


def _not_read(summary: Summary, out: Path, most: int) -> Iterator[str]:
    for item in summary["unreadable"][:most]:
        yield f"not read: {item['why']}"
    if (more := len(summary["unreadable"]) - most) > 0:
        yield f"not read: {more} more, see {out / 'summary.json'}"
    if later := sum(file.get("transient", False) for file in summary["recordings"]):
        number = "one of them is" if later == 1 else f"{later} of them are"
        told = "not to be had just now, by the disk or the network"
        yield f"{number} {told}: the same command with --resume tries again"


def _copies(summary: Summary) -> Iterator[str]:
    if n := len(summary["duplicates"]):
        told = "one file is a copy of another, and was" if n == 1 else f"{n} files are copies of others, and were"
        which = [f"{one['file']} equals {one['same_as']}" for one in summary["duplicates"][:FEW]]
        others = f" and {n - FEW} more, see the end of the report" if n > FEW else ""
        yield f"{told} not looked at again: {', '.join(which)}{others}"


def _not_videos(summary: Summary) -> Iterator[str]:
    """How many files were left aside by their names, and of which kinds: among them may be what a recorder wrote."""
    names = [Path(one["file"]) for one in summary["passed_over"] if NOT_VIDEO in one["why"]]
    if not names:
        return
    kinds = [f"{kind} {n}" for kind, n in Counter(path.suffix or path.name for path in names).most_common()]
    others = f" and {len(kinds) - FEW} more kinds" if len(kinds) > FEW else ""
    one = "one file that by its name is no video was"
    number = one if len(names) == 1 else f"{len(names)} files that by their names are no videos were"
    yield f"{number} not looked at ({', '.join(kinds[:FEW])}{others}): see the end of the report"


def _not_configured(summary: Summary, config_path: Path) -> Iterator[str]:
    seen = [camera for camera in summary["cameras"] if camera["size"]]
    if strange := [camera["title"] for camera in seen if not camera["configured"]]:
        others = f" and {len(strange) - FEW} more" if len(strange) > FEW else ""
        told = "watched as one storage zone, by the default policy"
        hint = "`recordings` of a camera says which files are its"
        yield f"not in {config_path}: {', '.join(strange[:FEW])}{others}: {told}: {hint}"


def _seen_once(summary: Summary, most: int) -> Iterator[str]:
    """Of each camera, whether its files show a time more than once: two recorders may name their files alike."""
    later = {one["before"] for one in summary["overlaps"] if one["seconds"] >= OVERLAP_S}
    folders: defaultdict[str, Counter[Path]] = defaultdict(Counter)
    numbers: Counter[str] = Counter()
    for before, file in pairwise(summary["recordings"]):
        if file["file"] in later and before["camera"] == file["camera"]:
            numbers[file["camera"]] += 1
            folders[file["camera"]].update(Path(one["file"]).absolute().parent for one in (before, file))
    titles = {camera["camera"]: camera["title"] for camera in summary["cameras"]}
    for camera, number in numbers.most_common(most):
        files = "one file shows" if number == 1 else f"{number} files show"
        told = f"{titles[camera]}: {files} a time that another shows, too: there one of them is seen"
        if len(lie := sorted(folders[camera])) > 1:
            others = f" and {len(lie) - FEW} more folders" if len(lie) > FEW else ""
            told += f"; they lie in {', '.join(map(str, lie[:FEW]))}{others}"
            told += f': if these are of two cameras, give each its own by recordings: ["{_form_of(lie)}"]'
        yield told


def _form_of(folders: Sequence[Path]) -> str:
    """A form as `recordings` has them, of what lies in one of several folders or below it: `nvr1/*`, `nvr1/*/*`."""
    shared = os.path.commonpath(folders)
    parts = folders[-1].relative_to(shared).parts
    return "/".join([parts[0], *["*"] * len(parts)])


def _put_back_or_forward(summary: Summary) -> Iterator[str]:
    """Files whose names are times of an hour that a clock shows twice, or leaves out, as it is changed for summer."""
    told = {
        TWICE: "of an hour that comes twice, and the first is taken: replay those of the second by themselves",
        NEVER: "of an hour that is left out, so the recorder's clock isn't put forward in summer: say so",
    }
    for known_by, words in told.items():
        if files := [file["file"] for file in summary["recordings"] if file["start_known_by"] == known_by]:
            number = "the name of one file" if len(files) == 1 else f"the names of {len(files)} files"
            hint = "by --timezone, in which Etc/GMT-1 is UTC+1 all year"
            yield f"{number}, such as {files[0]}: {words} {hint}"


def _dated_by_file(summary: Summary) -> Iterator[str]:
    files = summary["recordings"]
    if dated := [file["file"] for file in files if file["start_known_by"] == FILE_DATE and file["seconds"]]:
        number = "one file" if len(dated) == 1 else f"{len(dated)} files"
        told = "neither name nor content says when it was recorded, so its date is taken, which copying changes"
        hint = "say it with --pattern (see README.md) or --start"
        yield f"{number}, such as {dated[0]}: {told}: {hint}"


def _vague(summary: Summary, most: int) -> Iterator[str]:
    first: dict[str, str] = {}  # file of each camera
    for file in summary["recordings"]:
        if file["start_known_by"] == VAGUE:
            first.setdefault(file["camera"], file["file"])
    for name in list(first.values())[:most]:
        yield f"{name}: times from here on are not known exactly: a file before, of unknown length, can't be read"
