"""Verbs that read recordings."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from detector.cli.arguments import (
    EDGE_CONFIG,
    FAILED,
    FINE,
    MOST_TOLD,
    Verb,
    day,
    file_or_folder,
    hours,
    positive,
    time_of,
    timezone,
)
from detector.errors import ConfigError, Problem
from detector.machine.progress import progress_count, progress_seconds, replay_progress
from detector.machine.secrecy import one_line

if TYPE_CHECKING:
    from detector.config import EdgeConfig
    from detector.recorded.dask_crew import DaskCrew


def add_verbs(verb: Verb) -> None:
    """Name them."""
    replay = verb("replay", run_replay, "recordings to incidents")
    replay.add_argument(
        "paths", type=file_or_folder, nargs="*", metavar="PATH", help="video files, and folders with all below them"
    )
    replay.add_argument("--config", required=True, **EDGE_CONFIG)
    replay.add_argument(
        "--out",
        type=file_or_folder,
        required=True,
        metavar="FOLDER",
        help="for incidents.jsonl, summary.json, report.html",
    )
    _add_dating(replay)
    replay.add_argument(
        "--camera", action="append", default=[], metavar="NAME", help="look at this camera's only; may be given again"
    )
    replay.add_argument("--from", type=day, dest="first", metavar="DAY", help="look at this day and later ones only")
    replay.add_argument("--to", type=day, dest="last", metavar="DAY", help="and at this one and earlier ones only")
    replay.add_argument(
        "--hours", type=hours, metavar="HH:MM-HH:MM",
        help="look at files of these times of day only; those that pass midnight are of the day on which they begin",
    )  # fmt: skip
    replay.add_argument("--jobs", type=positive, default=1, metavar="N", help="processes that look at files (1)")
    replay.add_argument("--resume", action="store_true", help="go on with what an earlier run in --out began")
    replay.add_argument(
        "--fast-scan", action="store_true",
        help="look at key frames first, and decode only what is round a change; the report names what was left out",
    )  # fmt: skip
    replay.add_argument(
        "--keep-looks",
        action="store_true",
        help="keep what was seen, so that a run with other rules or zones takes minutes",
    )
    replay.add_argument(
        "--publish", action="store_true",
        help="send what was found to the hub, which rings nobody for it; without a PATH, what is in --out already",
    )  # fmt: skip
    replay.add_argument(
        "--scheduler", metavar="URL", help="of a Dask cluster that looks at the files: tls://HOST:PORT or tcp://…"
    )
    replay.add_argument(
        "--tls-ca", type=file_or_folder, metavar="FILE", help="with --scheduler tls://: vouches for the cluster"
    )
    replay.add_argument("--tls-cert", type=file_or_folder, metavar="FILE", help="this machine's certificate")
    replay.add_argument("--tls-key", type=file_or_folder, metavar="FILE", help="and its private key")
    replay.add_argument(
        "--trust-network", action="store_true",
        help="let --scheduler tcp:// leave this machine: anybody in that network can then run programs on all of it",
    )  # fmt: skip
    replay.add_argument("--json", action="store_true", help="print the summary as JSON")

    why = verb("why", run_why, "what was seen of somebody, and why nobody was told")
    why.add_argument(
        "paths", type=file_or_folder, nargs="+", metavar="PATH", help="recordings of it: files, and folders of them"
    )
    why.add_argument("--config", required=True, **EDGE_CONFIG)
    why.add_argument("--at", metavar="ISO8601", help="when it happened; the first 15 minutes when left out")
    why.add_argument(
        "--around", type=positive, default=60, metavar="SECONDS", help="before and after it are shown as well (60)"
    )
    why.add_argument("--camera", metavar="NAME", help="which camera's, where there are recordings of several")
    _add_dating(why)
    why.add_argument("--out", type=file_or_folder, required=True, metavar="FOLDER", help="for why.html and why.mp4")
    why.add_argument("--json", action="store_true", help="print every person and step as JSON")

    track_map = verb("map", run_map, "where people go out of sight: where to put the next camera")
    track_map.add_argument("config", **EDGE_CONFIG)
    sources = track_map.add_mutually_exclusive_group(required=True)
    sources.add_argument(
        "--recordings", type=file_or_folder, nargs="+", metavar="PATH", help="of a day; files and folders"
    )
    sources.add_argument("--tracks", type=file_or_folder, metavar="FILE.jsonl", help="as an earlier run wrote them")
    track_map.add_argument("--camera", metavar="NAME", help="which camera's, where there are recordings of several")
    track_map.add_argument(
        "--out", type=file_or_folder, default=Path("map.png"), metavar="FILE", help="picture to write (map.png)"
    )
    track_map.add_argument("--json", action="store_true", help="print the places as JSON")


def _add_dating(verb: argparse.ArgumentParser) -> None:
    """What says when recordings begin."""
    verb.add_argument(
        "--start", metavar="ISO8601", help="when each camera's first file begins; when left out, names of files tell"
    )
    verb.add_argument(
        "--pattern", help="how files are named, where that isn't known, e.g. {camera}/%%Y-%%m-%%d/%%H%%M%%S*"
    )
    verb.add_argument(
        "--timezone",
        type=timezone,
        metavar="ZONE",
        help="of --start and the recorder's clock; the configuration's when left out",
    )


def run_replay(options: argparse.Namespace) -> int:
    """`labelwatch replay`."""
    from zoneinfo import ZoneInfo

    from detector.config import load_edge
    from detector.recorded.asked import Asked
    from detector.recorded.recorder_names import Pattern
    from detector.replay import replay
    from detector.report.remarks import remarks

    config = _watched_by(load_edge(options.config))
    if options.publish:
        from detector.clock import SystemClock
        from detector.recorded.publishing import announce, check_ready

        check_ready(config)
        announce(config, SystemClock())
    if not options.paths:
        if not options.publish:
            raise ConfigError([Problem("replay", "PATH", "is missing: there is nothing to be replayed")])
        return _publish(options, config, {})
    zone = options.timezone or config.timezone
    start = time_of("--start", options.start, ZoneInfo(zone))
    pattern = Pattern(options.pattern) if options.pattern else None
    asked = Asked(zone, tuple(options.camera), options.first, options.last, options.hours)
    crew = _cluster(options)
    try:
        with replay_progress() as (expect, progress, say):
            summary = replay(
                options.paths, config, options.out,
                start=start, pattern=pattern, zone=options.timezone, asked=asked,
                jobs=options.jobs, resume=options.resume, crew=crew,
                keep_looks=options.keep_looks, fast_scan=options.fast_scan,
                expect=expect, progress=progress, say=say,
            )  # fmt: skip
    except KeyboardInterrupt:
        told = f"stopped: files seen to their end are kept in {options.out}: the same command with --resume goes on"
        print(f"labelwatch: {told}", file=sys.stderr)
        raise
    if options.json and not options.publish:
        print(json.dumps(summary, ensure_ascii=False))
    elif not options.json:
        _tell(summary, options.out)
    for remark in remarks(summary, config, options.config, options.out, most=MOST_TOLD):
        print(f"labelwatch: {one_line(remark)}", file=sys.stderr)
    code = _publish(options, config, summary) if options.publish else FINE
    return FAILED if summary["unreadable"] else code


def run_why(options: argparse.Namespace) -> int:
    """`labelwatch why`."""
    from zoneinfo import ZoneInfo

    from detector.config import load_edge
    from detector.recorded.recorder_names import Pattern
    from detector.why import explain
    from detector.why.again import Footage, When

    config = _watched_by(load_edge(options.config))
    zone = options.timezone or config.timezone
    when = When(time_of("--at", options.at, ZoneInfo(zone)), options.around, config.rules.sweep.window_s)
    pattern = Pattern(options.pattern) if options.pattern else None
    start = time_of("--start", options.start, ZoneInfo(zone))
    footage = Footage(options.paths, options.camera, start, pattern, options.timezone)
    unread: list[str] = []
    with progress_seconds() as progress:
        found = explain(footage, config, when, options.out, progress, unread.append)
    print(json.dumps(found.record | {"unreadable": unread}, ensure_ascii=False) if options.json else found.words)
    _tell_unread(unread)
    return FAILED if unread else FINE


def _tell_unread(unread: list[str]) -> None:
    for why in unread[:MOST_TOLD]:
        print(f"labelwatch: not read: {one_line(why)}", file=sys.stderr)
    if (more := len(unread) - MOST_TOLD) > 0:
        print(f"labelwatch: not read: {more} more", file=sys.stderr)


def _watched_by(config: EdgeConfig) -> EdgeConfig:
    """What the worker of this machine goes by, so that recordings are judged as live; says what isn't the file's."""
    from detector.edge.in_force import in_force

    held = in_force(config)
    for notice in held.notices:
        print(f"labelwatch: {notice}", file=sys.stderr)
    return held.config


def _tell(summary: dict[str, Any], out: Path) -> None:
    """Print what was found, in what, and how long that took."""
    for kind, count in sorted(summary["incidents"].items()):
        print(f"{kind}: {count}")
    if not summary["incidents"]:
        print("no incidents" if summary["hours_covered"] else "nothing could be seen")
    hours, speed = summary["hours_covered"], summary["times_real_time"]
    files = "one file" if summary["files"] == 1 else f"{summary['files']} files"
    fast = f" ({speed}x real time)" if speed else ""  # with --resume there may have been nothing left to be looked at
    print(f"{files}, {hours:.3f} hours in {summary['wall_s']:.0f} s{fast}")
    print(f"report: {out / 'report.html'}")


def _publish(options: argparse.Namespace, config: EdgeConfig, summary: dict[str, Any]) -> int:
    """Send what a replay found to the hub, and tell what came of it; with `--json` beside the summary."""
    from detector.clock import SystemClock
    from detector.recorded.publishing import NotPublished, how_to_go_on, publish

    stopped: NotPublished | None = None
    again = how_to_go_on(options.out, options.config)
    later = f"labelwatch: all of it is kept in {options.out}; to send it later: {again}"
    try:
        with progress_count("to the hub") as progress:
            report = publish(options.out, config, SystemClock(), progress)
    except KeyboardInterrupt:
        print(later, file=sys.stderr)
        raise
    except NotPublished as error:
        stopped, report = error, error.report
    print(json.dumps({**summary, "published": report.as_dict()}) if options.json else report.words())
    for name, why in report.refused[:MOST_TOLD]:
        print(f"labelwatch: refused: {one_line(name)}: {one_line(why)}", file=sys.stderr)
    if stopped is not None:
        print(f"labelwatch: {stopped}", file=sys.stderr)
        print(later, file=sys.stderr)
    return FAILED if stopped or report.refused else FINE


def _cluster(options: argparse.Namespace) -> DaskCrew | None:
    """The Dask cluster that a replay shall use."""
    if options.scheduler is None:
        given = [name for name in ("tls_ca", "tls_cert", "tls_key", "trust_network") if getattr(options, name)]
        if given:
            name = f"--{given[0].replace('_', '-')}"
            raise ConfigError([Problem("replay", name, "belongs to --scheduler, which isn't given")])
        return None
    from detector.recorded.cluster import Access
    from detector.recorded.dask_crew import DaskCrew

    if options.jobs > 1:
        raise ConfigError([Problem("replay", "--jobs", "is of this machine; a cluster has its workers")])
    return DaskCrew(Access(options.scheduler, options.tls_ca, options.tls_cert, options.tls_key, options.trust_network))


def run_map(options: argparse.Namespace) -> int:
    """`labelwatch map`."""
    from detector.config import load_edge
    from detector.tools.track_map import make_map

    unread: list[str] = []
    with progress_seconds() as progress:
        found, written = make_map(
            _watched_by(load_edge(options.config)), options.out,
            recordings=options.recordings, tracks=options.tracks, camera=options.camera, progress=progress,
            unread=unread.append,
        )  # fmt: skip
    if options.json:
        told = {"files": [str(path) for path in written], "unreadable": unread}
        print(json.dumps(found.record() | told, ensure_ascii=False))
    else:
        for n, (zh, en) in enumerate(found.lines(), 1):
            print(f"{n}. {zh}\n   {en}")
        if not found.places:
            print("没有人走出视线\nNobody went out of sight.")
        print(*written, sep="\n")
    _tell_unread(unread)
    return FAILED if unread else FINE
