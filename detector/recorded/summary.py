"""What a replay tells of itself: `summary.json`."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from detector.machine.whole_files import write_whole
from detector.recorded.asked import Asked
from detector.recorded.ledgers import CameraResult
from detector.recorded.recordings import as_text

if TYPE_CHECKING:
    from detector.recorded.archive import Archive

SCHEMA = 1  # of incidents.jsonl and summary.json; fields are only ever added
MOST_LISTED = 10_000  # files, and gaps and overlaps between them: 2 MB of each


def summary_of(
    results: Collection[CameraResult],
    incidents: Sequence[Mapping[str, Any]],
    archive: Archive,
    *,
    site: str,
    now_s: float,
    wall_s: float,
    model: dict[str, str],
    known: Collection[str],
    asked: Asked,
    left_out: int,
) -> dict[str, Any]:
    """What `summary.json` tells; `now_s` of video are of cameras that this run judged, in `wall_s`.

    `known` are the names of the configuration's cameras; others are made of names of files. `asked` is what was asked
    for where that is less than all, and `left_out` how many files are not of that.
    """
    files = [file for result in results for file in result.files]
    borders = [border for result in results for border in result.borders]
    unread = [{"file": as_text(one.path), "why": as_text(f"{one.path}: {one.why}")} for one in archive.unread]
    twins = [(one.path, one.twin) for one in archive.passed if one.twin is not None]
    return {
        "schema": SCHEMA,
        "site": site,
        "files": len(files),
        "hours_covered": round(sum(result.covered_s for result in results) / 3600, 5),
        "hours_key_frames_only": round(sum(b - a for f in files for a, b in f.get("key_frames_only", [])) / 3600, 5),
        "hours_unreadable": round(sum(f.get("missing_s", 0.0) for f in files) / 3600, 5),
        "unreadable": [{"file": f["file"], "why": f["unreadable"]} for f in files if "unreadable" in f] + unread,
        "quarantined": [{"file": f["file"], "why": f["unreadable"]} for f in files if f.get("set_aside")],
        "frames_decoded": sum(result.frames_decoded for result in results),
        "frames_inferred": sum(result.frames_inferred for result in results),
        "frames_passed_over": sum(result.frames_passed_over for result in results),
        "wall_s": wall_s,
        "cpu_s": round(sum(result.cpu_s for result in results), 2),
        "gaps": [gap for result in results for gap in asked.gaps(result.files, result.borders)],
        "overlaps": [border for border in borders if border["what"] == "overlap"],
        "incidents": dict(Counter(incident["kind"] for incident in incidents)),
        "severities": dict(Counter(incident["severity"] for incident in incidents)),
        "cameras": [
            {
                "camera": r.camera,
                "title": r.title,
                "size": r.size,
                "turned": r.turn,
                "hours": round(r.covered_s / 3600, 5),
                "people": r.people,
                "configured": r.camera in known,
            }
            for r in results
        ],
        "recordings": files,
        "times_real_time": round(now_s / wall_s, 2) if wall_s > 0 else None,
        "hours_per_minute": round(now_s / 60 / wall_s, 3) if wall_s > 0 else None,
        "passed_over": [{"file": as_text(one.path), "why": as_text(one.why)} for one in archive.passed],
        "duplicates": [{"file": as_text(path), "same_as": as_text(twin)} for path, twin in twins],
        "model": model,
        **({"asked": asked.told(left_out)} if asked else {}),
    }


def write_summary(out: Path, summary: dict[str, Any]) -> None:
    """Write it to a folder; a list longer than a program wants to read at once goes to a file of its own."""
    shown = dict(summary)
    for name in ("recordings", "gaps", "overlaps"):
        entries, whole = summary[name], out / f"{name}.jsonl"
        if len(entries) <= MOST_LISTED:
            whole.unlink(missing_ok=True)  # of an earlier run
            continue
        lines = "".join(json.dumps(entry, ensure_ascii=False) + "\n" for entry in entries)
        write_whole(whole, lines, lasting=False)
        if name == "recordings":
            shown[name] = list(filter(_is_remarkable, entries))[:MOST_LISTED]
        else:  # the longest, in order
            longest = sorted(range(len(entries)), key=lambda n: -entries[n]["seconds"])[:MOST_LISTED]
            shown[name] = [entries[n] for n in sorted(longest)]
        shown.setdefault("shortened", {})[name] = {"listed": len(shown[name]), "of": len(entries), "all": whole.name}
    write_whole(out / "summary.json", json.dumps(shown, ensure_ascii=False, indent=1), lasting=False)


def _is_remarkable(file: dict[str, Any]) -> bool:
    """Whether there is more to tell of a file than that it was read, from when on, and how long it is."""
    told = file.keys() - {"camera", "file", "start", "start_known_by", "seconds", "damaged_pictures", "key_frames_only"}
    return bool(told or file.get("damaged_pictures"))
