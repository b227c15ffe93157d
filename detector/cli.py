"""The `labelwatch` command: arguments enter, an exit code leaves. Each verb's module is imported when it runs."""

from __future__ import annotations

import argparse
import json
import logging
import os
import re
import sys
import time
from collections.abc import Callable
from datetime import tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Any

from detector import __version__
from detector.errors import ConfigError, LabelwatchError, MissingPart, Problem
from detector.progress import progress_count, progress_seconds, progress_steps, replay_progress
from detector.secrecy import guard, one_line, redacted

if TYPE_CHECKING:
    from detector.config import EdgeConfig
    from detector.edge.zoned import Zoned
    from detector.hub.audit import Head
    from detector.recorded.dask_crew import DaskCrew

FINE, FAILED, MISUSED = 0, 1, 2
MOST_TOLD = 50  # files that could not be read; all are in the summary


def main(arguments: list[str] | None = None) -> int:
    """Run one command; named errors become one line on stderr and an exit code.

    Returns:
        0 fine, 1 findings or failed work, 2 usage or configuration.
    """
    parser = build_parser()
    options = parser.parse_args(arguments)
    set_up_logging(options.verbose)
    try:
        code: int = options.run(options)
    except (ConfigError, MissingPart) as error:
        print(f"labelwatch: {error}", file=sys.stderr)
        return MISUSED
    except LabelwatchError as error:
        print(f"labelwatch: {error}", file=sys.stderr)
        return FAILED
    except OSError as error:
        print(f"labelwatch: {redacted(error)}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        return 130
    return code


def set_up_logging(verbose: bool) -> None:
    """Log to stderr, UTC times, no secrets."""
    guard()
    handler = logging.StreamHandler()
    formatter = logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s", "%Y-%m-%dT%H:%M:%SZ")
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    logging.basicConfig(level=logging.DEBUG if verbose else logging.INFO, handlers=[handler], force=True)
    for name in ("httpx", "httpcore", "alembic", "asyncio", "libav"):
        logging.getLogger(name).setLevel(logging.WARNING)


def build_parser() -> argparse.ArgumentParser:
    """All verbs and their options."""
    parser = argparse.ArgumentParser(prog="labelwatch", description="Notices people photographing parcel labels.")
    parser.add_argument("--version", action="version", version=f"labelwatch {__version__}")
    parser.add_argument("-v", "--verbose", action="store_true", help="log more")
    verbs = parser.add_subparsers(required=True, metavar="COMMAND")

    def verb(name: str, run: Callable[[argparse.Namespace], int], what: str) -> argparse.ArgumentParser:
        added = verbs.add_parser(name, help=what, description=what)
        added.set_defaults(run=run)
        return added

    demo = verb("demo", run_demo, "broker, hub and edge on the shipped clip")
    demo.add_argument("--once", action="store_true", help="stop when the clip is through; so without a terminal")
    demo.add_argument("--json", action="store_true", help="with --once: the summary as JSON, alone on stdout")
    demo.add_argument("--data", type=Path, help="folder for its data; a temporary one when left out")

    run = verb("run", run_worker, "edge worker: all cameras of one box")
    run.add_argument("config", type=Path, metavar="CONFIG")
    run.add_argument("--strict", action="store_true", help="a bad configuration ends it, whatever worked before")
    run.add_argument("--supervised", action="store_true", help="start it again when it dies; systemd does so itself")

    join = verb("join", run_join, "this edge box to a hub, by the code that the hub's page shows")
    join.add_argument("hub_url", metavar="HUB_URL", help="as a browser shows it, e.g. https://10.0.0.2:8080")
    join.add_argument("code", nargs="?", metavar="CODE", help="as the hub's page shows it; asked for when left out")
    join.add_argument("--config", type=Path, required=True, help="edge configuration, which names site and edge")
    join.add_argument("--ca", type=Path, metavar="FILE", help="vouches for the hub's web server; the code does, too")
    join.add_argument("--new-key", action="store_true", help="make a new key: after this box was shut out")

    hub = verb("hub", run_hub, "monitoring hub")
    hub.add_argument("config", type=Path, metavar="CONFIG")
    hub.add_argument("--port", type=int, help="instead of the configured one; 0 takes a free one")
    hub.add_argument("--lan", action="store_true", help="for phones in this network: TLS, and a QR code")

    certs = verb("certs", run_certs, "authority, certificates and configuration for an MQTT broker with TLS")
    certs.add_argument("folder", type=Path, metavar="FOLDER", help="new, or an earlier one to bring up to date")
    certs.add_argument("--host", nargs="+", default=[], metavar="NAME", help="names and addresses of the broker")
    certs.add_argument("--edge", nargs="+", default=[], metavar="SITE/EDGE", help="edges that need a certificate")
    certs.add_argument("--revoke", nargs="+", default=[], metavar="SITE/EDGE", help="let them in no more")
    certs.add_argument("--cluster", action="store_true", help="instead, those of a Dask cluster for replay --scheduler")
    certs.add_argument("--renew-days", type=_positive, default=60, metavar="N", help="renew what ends so soon (60)")
    certs.add_argument("--lang", choices=("zh", "en"), help="that of the terminal when left out")

    backup = verb("backup", run_backup, "everything a hub keeps, running or not, to a folder of backups")
    backup.add_argument("config", type=Path, metavar="HUB_CONFIG")
    backup.add_argument("--to", type=Path, required=True, metavar="FOLDER", help="on another disk; made when missing")
    backup.add_argument("--keep", type=_positive, metavar="N", help="delete all but the newest N backups")
    backup.add_argument("--json", action="store_true", help="what was done as JSON")

    restore = verb("restore", run_restore, "a backup back into a hub's data folder, after all checksums are compared")
    restore.add_argument("backup", type=Path, metavar="BACKUP.json", help="in the folder of backups")
    restore.add_argument("--config", type=Path, required=True, metavar="HUB_CONFIG")
    restore.add_argument("--force", action="store_true", help="move a data folder that isn't empty aside")

    replay = verb("replay", run_replay, "recordings to incidents")
    replay.add_argument("paths", type=Path, nargs="*", metavar="PATH", help="video files and folders of them")
    replay.add_argument("--config", type=Path, required=True)
    replay.add_argument("--out", type=Path, required=True, help="folder for incidents.jsonl, summary.json, report.html")
    replay.add_argument("--start", help="when each camera's first file begins, ISO 8601; file names tell otherwise")
    replay.add_argument("--pattern", help="names of files, where not known: {camera}/%%Y-%%m-%%d/%%H%%M%%S*")
    replay.add_argument("--timezone", type=_timezone, help="of the recorder's clock; the configuration's otherwise")
    replay.add_argument("--jobs", type=_positive, default=1, help="processes that look at files (1)")
    replay.add_argument("--resume", action="store_true", help="go on with what an earlier run in --out began")
    replay.add_argument(
        "--fast-scan", action="store_true",
        help="look at key frames first, and decode only what is round a change; the report names what was left out",
    )  # fmt: skip
    replay.add_argument("--keep-looks", action="store_true", help="so that a run with other rules takes minutes")
    replay.add_argument(
        "--publish", action="store_true",
        help="send what was found to the hub, which rings nobody for it; without a PATH, what is in --out already",
    )  # fmt: skip
    replay.add_argument("--scheduler", metavar="URL", help="of a Dask cluster that looks: tls://HOST:PORT or tcp://…")
    replay.add_argument("--tls-ca", type=Path, metavar="FILE", help="with --scheduler tls://: vouches for the cluster")
    replay.add_argument("--tls-cert", type=Path, metavar="FILE", help="this machine's certificate")
    replay.add_argument("--tls-key", type=Path, metavar="FILE", help="and its private key")
    replay.add_argument(
        "--trust-network", action="store_true",
        help="let --scheduler tcp:// leave this machine: anybody in that network can then run programs on all of it",
    )  # fmt: skip
    replay.add_argument("--json", action="store_true", help="print the summary as JSON")

    bench = verb("bench", run_bench, "how fast it is here, and where the time goes; beside YOLO.track if there")
    bench.add_argument("clip", type=Path, nargs="?", metavar="CLIP", help="what is measured is made of it; the demo's")
    bench.add_argument("--rounds", type=_positive, default=3, help="how often everything is measured (3)")
    bench.add_argument("--weights", type=Path, metavar="FILE.pt", help="YOLO11n (a program: from people you trust)")
    bench.add_argument("--out", type=Path, metavar="FOLDER", help="for bench.json, bench.md and bench.svg")
    bench.add_argument("--json", action="store_true", help="print the figures as JSON")

    detect = verb("detect", run_detect, "pictures to detections")
    detect.add_argument("paths", type=Path, nargs="+", metavar="PATH", help="pictures and folders of them")
    detect.add_argument("--out", type=Path, required=True, metavar="FILE.jsonl")
    detect.add_argument("--conf", type=_share, default=0.25, help="least score, 0..1 (0.25)")
    detect.add_argument("--model", default="scene", help="a model's name in models/, or its card")

    export = verb("label-export", run_label_export, "judged incidents of a hub to a training set")
    export.add_argument("config", type=Path, metavar="HUB_CONFIG")
    export.add_argument("--out", type=Path, required=True, help="folder: new, or an earlier export to bring up to date")
    export.add_argument("--since", metavar="ISO8601", help="incidents that began then or later")
    export.add_argument("--until", metavar="ISO8601", help="incidents that began before then")
    export.add_argument("--site", action="append", default=[], help="of this site; may be repeated; all when left out")
    export.add_argument("--verdict", type=_teaching, metavar="LIST", help="of true,authorised,false (all three)")
    export.add_argument("--per-incident", type=_positive, default=12, help="pictures of one incident, at most (12)")
    export.add_argument("--model", default="scene", help="proposes the boxes: a model's name in models/, or its card")
    export.add_argument("--force", action="store_true", help="write into a folder that holds other things")
    export.add_argument("--json", action="store_true", help="print the summary as JSON")

    verify = verb("verify", run_verify, "evidence pack: what holds, what does not")
    verify.add_argument("pack", type=Path, metavar="PACK.zip")
    verify.add_argument("--key", metavar="FINGERPRINT|FILE", help="that the hub's key must have, or a file with it")
    verify.add_argument("--lang", choices=("zh", "en"), help="that of the terminal when left out")
    verify.add_argument("--json", action="store_true", help="findings as JSON")

    doctor = verb("doctor", run_doctor, "what this machine can do; with --camera, how far a camera sees")
    doctor.add_argument("--json", action="store_true", help="findings as JSON")
    doctor.add_argument("--data", type=Path, default=Path(), help="folder whose disk is looked at (the current one)")
    doctor.add_argument("--camera", metavar="SOURCE", help="picture, video, rtsp://…, or a camera of --config")
    doctor.add_argument("--config", type=Path, help="edge configuration with that camera")
    doctor.add_argument("--height", type=float, metavar="M", help="of the lens above the ground, metres")
    doctor.add_argument("--tilt", type=float, metavar="DEG", help="of the optical axis below the horizontal")
    doctor.add_argument("--fov", type=float, metavar="DEG", help="horizontal field of view")
    doctor.add_argument("--focal", type=float, metavar="MM", help="focal length, instead of --fov")
    doctor.add_argument("--sensor", type=float, metavar="MM", help="width of the sensor (5.57: 1/2.8 inch)")
    doctor.add_argument("--out", type=Path, default=Path("coverage.png"), help="picture to write (coverage.png)")
    doctor.add_argument("--model", default="scene", help="a model's name in models/, or its card")

    track_map = verb("map", run_map, "where people go out of sight: where to put the next camera")
    track_map.add_argument("config", type=Path, metavar="CONFIG")
    sources = track_map.add_mutually_exclusive_group(required=True)
    sources.add_argument("--recordings", type=Path, nargs="+", metavar="PATH", help="of a day; files and folders")
    sources.add_argument("--tracks", type=Path, metavar="FILE.jsonl", help="as an earlier run wrote them")
    track_map.add_argument("--camera", metavar="NAME", help="which camera's, where there are recordings of several")
    track_map.add_argument("--out", type=Path, default=Path("map.png"), help="picture to write (map.png)")
    track_map.add_argument("--json", action="store_true", help="print the places as JSON")

    model = verb("model", run_model_add, "models of your own")
    actions = model.add_subparsers(required=True, metavar="ACTION")
    add = actions.add_parser("add", help="a card for an Ultralytics detect or pose model, checked")
    add.add_argument("file", type=Path, metavar="FILE", help=".onnx; or .pt (a program: only from people you trust)")
    add.add_argument("--name", help="what analysis.model calls it; the file's name when left out")
    add.add_argument(
        "--as", dest="named", type=_meaning, action="append", default=[], metavar="CLASS=LABEL",
        help="what a class of the model is to us; may be repeated",
    )  # fmt: skip
    add.add_argument("--into", type=Path, metavar="FOLDER", help="instead of models/")
    add.add_argument("--licence", help="of the model, for its card")
    add.add_argument("--force", action="store_true", help="replace a model of this name")

    zones = verb("zones", run_zones, "zones in force, of the file or drawn at the hub")
    zones.add_argument("config", type=Path, metavar="CONFIG")
    zones.add_argument("--camera", help="of this camera alone")
    kinds = zones.add_mutually_exclusive_group()
    kinds.add_argument("--yaml", action="store_true", help="as they stand in the configuration, to be put there")
    kinds.add_argument("--json", action="store_true", help="as JSON, with where they come from")

    user = verb("user", run_user_list, "people of a hub, running or not")
    actions = user.add_subparsers(required=True, metavar="ACTION")
    add = actions.add_parser("add", help="with a one-time password, which is printed")
    add.add_argument("name", metavar="NAME")
    add.add_argument("--role", required=True, choices=("owner", "admin", "reviewer", "viewer"))
    add.add_argument("--scope", type=_places, metavar="LIST", help="shanghai,suzhou/cam3: sites and cameras; else all")
    reset = actions.add_parser("reset", help="a new one-time password, which is printed; logs them out everywhere")
    reset.add_argument("name", metavar="NAME")
    reset.add_argument(
        "--second-step", action="store_true", help="drop the code after the password instead: their phone is lost"
    )
    listed = actions.add_parser("list", help="who there is")
    listed.add_argument("--json", action="store_true", help="as JSON")
    for action, run_action in ((add, run_user_add), (reset, run_user_reset), (listed, run_user_list)):
        action.add_argument("config", type=Path, metavar="CONFIG")
        action.set_defaults(run=run_action)

    audit = verb("audit", run_audit_verify, "audit log of a hub, running or not")
    actions = audit.add_subparsers(required=True, metavar="ACTION")
    checked = actions.add_parser("verify", help="whether entries were changed, deleted, reordered or cut off")
    checked.add_argument("--head", type=_head, action="append", default=[], metavar="NUMBER:HASH", help="written down")
    head = actions.add_parser("head", help="the last entry's number and hash, to write down elsewhere")
    for action, run_action in ((checked, run_audit_verify), (head, run_audit_head)):
        action.add_argument("config", type=Path, metavar="CONFIG")
        action.set_defaults(run=run_action)

    check = verb("check", run_check, "every problem of a configuration")
    check.add_argument("config", type=Path, nargs="?", metavar="CONFIG")
    check.add_argument("--schema", action="store_true", help="print the JSON schema of edge and hub configurations")
    check.add_argument("--explain", action="store_true", help="say what it means: what is fine, what raises what")
    check.add_argument("--at", metavar="ISO8601", help="with --explain: what holds then, by the site's clock; else now")
    check.add_argument("--language", choices=("zh", "en"), help="of --explain; that of the terminal when left out")
    check.add_argument("--json", action="store_true", help="problems, and with --explain the explanation, as JSON")
    return parser


def _timezone(text: str) -> str:
    from zoneinfo import available_timezones

    if text not in available_timezones():
        raise argparse.ArgumentTypeError(f"no such time zone: {text}")
    return text


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of 1 or more, not {text}")
    return int(text)


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = float("nan")
    if not 0 <= share <= 1:
        raise argparse.ArgumentTypeError(f"must be a number from 0 to 1, not {text}")
    return share


def _teaching(text: str) -> tuple[str, ...]:
    verdicts = tuple(text.split(","))
    if wrong := [verdict for verdict in verdicts if verdict not in ("true", "authorised", "false")]:
        why = "what is unclear to people teaches nothing" if "unclear" in wrong else f"no such verdict: {wrong[0]!r}"
        raise argparse.ArgumentTypeError(f"{why} (of true, authorised, false, with commas between)")
    return verdicts


def _meaning(text: str) -> tuple[str, str]:
    theirs, equals, ours = text.rpartition("=")
    if not (theirs and equals and ours):
        raise argparse.ArgumentTypeError(f"must be CLASS=LABEL, not {text}")
    return theirs, ours


def _places(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",")]
    if wrong := [name for name in names if not re.fullmatch(r"[^/\s]+(/[^/\s]+)?", name)]:
        raise argparse.ArgumentTypeError(f"must be SITE or SITE/CAMERA, with commas between, not {wrong[0]!r}")
    return names


def _head(text: str) -> Head:
    from detector.hub.audit import Head

    try:
        return Head.of(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def run_demo(options: argparse.Namespace) -> int:
    """`labelwatch demo`."""
    from detector.demo import run_demo as demo

    once = options.once or options.json or not sys.stdout.isatty()
    return demo(once=once, as_json=options.json, data_dir=options.data)


def run_worker(options: argparse.Namespace) -> int:
    """`labelwatch run`."""
    if options.supervised:  # by a parent that loads nothing of a worker
        from detector.edge.supervisor import supervise

        strict = ["--strict"] if options.strict else []
        return supervise([sys.executable, "-m", "detector", "run", str(options.config), *strict])
    from detector.edge.launch import launch

    return launch(options.config, strict=options.strict)


def run_join(options: argparse.Namespace) -> int:
    """`labelwatch join`."""
    from detector.clock import SystemClock
    from detector.config import load_edge
    from detector.edge.joining import join, try_broker

    config, clock = load_edge(options.config), SystemClock()
    # What stands on a command line can be read by everybody on the machine, and stays in the shell's history.
    code = options.code or input("code: ")
    joined = join(options.hub_url, code, config, clock, ca_file=options.ca, new_key=options.new_key)
    print("\n".join(joined.lines(options.config, config, options.hub_url)), flush=True)
    try_broker(config, joined.broker, clock)
    print(f"the broker at {joined.broker.host}:{joined.broker.port} lets this box in")
    print(f"now start it, or start it anew: labelwatch run {options.config}")
    return FINE


def run_hub(options: argparse.Namespace) -> int:
    """`labelwatch hub`."""
    from detector.config import check_broker, load_hub
    from detector.hub.server import serve

    config = load_hub(options.config)
    if problems := check_broker(config.broker, options.config):
        raise ConfigError(problems)
    return serve(config, port=options.port, lan=options.lan)


def run_replay(options: argparse.Namespace) -> int:
    """`labelwatch replay`."""
    from detector.config import load_edge
    from detector.recorded.recorder_names import Pattern
    from detector.replay import replay

    config = load_edge(options.config)
    if options.publish:
        from detector.recorded.publishing import check_ready

        check_ready(config)
    if not options.paths:
        if not options.publish:
            raise ConfigError([Problem("labelwatch replay", "PATH", "is missing: there is nothing to be replayed")])
        return _publish(options, config, {})
    start = _time("--start", options.start)
    pattern = Pattern(options.pattern) if options.pattern else None
    crew = _cluster(options)
    with replay_progress() as (expect, progress):
        summary = replay(
            options.paths, config, options.out,
            start=start, pattern=pattern, zone=options.timezone, jobs=options.jobs, resume=options.resume,
            crew=crew, keep_looks=options.keep_looks, fast_scan=options.fast_scan,
            expect=expect, progress=progress,
        )  # fmt: skip
    if options.json and not options.publish:
        print(json.dumps(summary, ensure_ascii=False))
    elif not options.json:
        for kind, count in sorted(summary["incidents"].items()):
            print(f"{kind}: {count}")
        if not summary["incidents"]:
            print("no incidents")
        hours, speed = summary["hours_covered"], summary["times_real_time"]
        print(f"{summary['files']} files, {hours:.3f} hours in {summary['wall_s']:.0f} s ({speed}x real time)")
        print(f"report: {options.out / 'report.html'}")
    for item in summary["unreadable"][:MOST_TOLD]:
        print(f"labelwatch: not read: {one_line(item['why'])}", file=sys.stderr)
    if (more := len(summary["unreadable"]) - MOST_TOLD) > 0:
        print(f"labelwatch: not read: {more} more, see {options.out / 'summary.json'}", file=sys.stderr)
    code = _publish(options, config, summary) if options.publish else FINE
    return FAILED if summary["unreadable"] else code


def _publish(options: argparse.Namespace, config: EdgeConfig, summary: dict[str, Any]) -> int:
    """Send what a replay found to the hub, and tell what came of it; with `--json` beside the summary."""
    from detector.clock import SystemClock
    from detector.recorded.publishing import NotPublished, how_to_go_on, publish

    stopped: NotPublished | None = None
    try:
        with progress_count("to the hub") as progress:
            report = publish(options.out, config, SystemClock(), progress)
    except NotPublished as error:
        stopped, report = error, error.report
    print(json.dumps({**summary, "published": report.as_dict()}) if options.json else report.words())
    for name, why in report.refused[:MOST_TOLD]:
        print(f"labelwatch: refused: {one_line(name)}: {one_line(why)}", file=sys.stderr)
    if stopped is not None:
        print(f"labelwatch: {stopped}", file=sys.stderr)
        again = how_to_go_on(options.out, options.config)
        print(f"labelwatch: all of it is kept in {options.out}; to send it later: {again}", file=sys.stderr)
    return FAILED if stopped or report.refused else FINE


def _cluster(options: argparse.Namespace) -> DaskCrew | None:
    """The Dask cluster that a replay shall use."""
    if options.scheduler is None:
        given = [name for name in ("tls_ca", "tls_cert", "tls_key", "trust_network") if getattr(options, name)]
        if given:
            name = f"--{given[0].replace('_', '-')}"
            raise ConfigError([Problem("labelwatch replay", name, "belongs to --scheduler, which isn't given")])
        return None
    from detector.recorded.cluster import Access
    from detector.recorded.dask_crew import DaskCrew

    if options.jobs > 1:
        raise ConfigError([Problem("labelwatch replay", "--jobs", "is of this machine; a cluster has its workers")])
    return DaskCrew(Access(options.scheduler, options.tls_ca, options.tls_cert, options.tls_key, options.trust_network))


def run_detect(options: argparse.Namespace) -> int:
    """`labelwatch detect`."""
    from detector.tools.stills import detect_pictures

    with progress_count("pictures") as progress:
        unread = detect_pictures(
            options.paths, options.out, model=options.model, confidence=options.conf, progress=progress
        )
    for line in unread:
        print(f"labelwatch: not read: {line}", file=sys.stderr)
    return FAILED if unread else FINE


def run_bench(options: argparse.Namespace) -> int:
    """`labelwatch bench`."""
    from detector.bench.comparison import bench
    from detector.bench.plot import plot
    from detector.bench.tables import markdown, tables

    if options.out is not None:
        options.out.mkdir(parents=True, exist_ok=True)
    with progress_steps() as progress:
        figures = bench(options.clip, rounds=options.rounds, weights=options.weights, progress=progress)
    if options.out is not None:
        whole = json.dumps(figures, ensure_ascii=False, indent=1)
        for name, text in (("bench.json", whole), ("bench.md", markdown(figures)), ("bench.svg", plot(figures))):
            (options.out / name).write_text(text, encoding="utf-8")
    if options.json:
        print(json.dumps(figures, ensure_ascii=False))
        return FINE
    from rich.console import Console

    console = Console(width=None if sys.stdout.isatty() else 200)
    for table in tables(figures):
        console.print(table)
    for said in (*figures["warnings"], *figures["notes"]):
        print(said)
    return FINE


def run_backup(options: argparse.Namespace) -> int:
    """`labelwatch backup`."""
    from dataclasses import asdict

    from detector.clock import SystemClock
    from detector.config import load_hub
    from detector.hub.backup import back_up

    config = load_hub(options.config)
    with progress_count("files") as progress:
        report = back_up(config, options.to, SystemClock().now(), keep=options.keep, progress=progress)
    if options.json:
        print(json.dumps({**asdict(report), "file": str(report.file)}))
    else:
        new = f"{report.copied} new, {report.copied_bytes / 2**20:.1f} MiB"
        print(f"{report.file}: {report.files} files, {report.bytes / 2**20:.1f} MiB ({new})")
        for word, paths in (("missing", report.missing), ("damaged", report.damaged)):
            for path in paths:
                print(f"{word}: {path}", file=sys.stderr)
    return 0 if report.is_whole else 1


def run_restore(options: argparse.Namespace) -> int:
    """`labelwatch restore`."""
    from detector.clock import SystemClock
    from detector.config import load_hub
    from detector.hub.backup import restore

    config = load_hub(options.config)
    with progress_count("files") as progress:
        aside = restore(
            options.backup, config, force=options.force, now=SystemClock().now(), progress=progress
        )  # fmt: skip
    print(f"brought back into {config.data_dir}" + (f"; what was there is now {aside}" if aside else ""))
    print("edges sent no alert twice: what they handed over after the backup was made is not in it")
    return 0


def run_label_export(options: argparse.Namespace) -> int:
    """`labelwatch label-export`."""
    from dataclasses import asdict

    from detector.config import load_hub
    from detector.hub.training_set import TEACHING, Wanted
    from detector.tools.label_export import export

    config = load_hub(options.config)
    since, until = _time("--since", options.since), _time("--until", options.until)
    wanted = Wanted(
        options.verdict or TEACHING, tuple(options.site), since or 0.0, float("inf") if until is None else until
    )  # fmt: skip
    with progress_count("incidents") as progress:
        made = export(
            config, options.out, wanted=wanted, per_incident=options.per_incident, model=options.model,
            force=options.force, progress=progress,
        )  # fmt: skip
    if options.json:
        print(json.dumps(asdict(made), ensure_ascii=False))
    else:
        print("\n".join(made.lines()))
        print(f"{options.out}: shows labels in full, for you alone to read; delete it when the model is trained")
    for line in made.trouble:
        print(f"labelwatch: not used: {line}", file=sys.stderr)
    return FAILED if made.trouble else FINE


def run_verify(options: argparse.Namespace) -> int:
    """`labelwatch verify`: 0 all holds, 1 something doesn't, 2 it can't be read as a pack."""
    from detector.verify import fingerprint_from, verify

    try:
        report = verify(options.pack, None if options.key is None else fingerprint_from(options.key))
    except OSError as error:
        raise ConfigError([Problem(str(options.pack), "", f"can't be read: {error.strerror}")]) from error
    if options.json:
        print(json.dumps(report.record()))
    else:
        print("\n".join(report.lines(options.lang or _spoken())))
    if not report.readable:
        return MISUSED
    return FAILED if report.broken else FINE


def run_certs(options: argparse.Namespace) -> int:
    """`labelwatch certs`."""
    from detector.credentials.certs import make_certificates, revoke_named

    language = options.lang or _spoken()
    if options.cluster:
        from detector.credentials.cluster import make_cluster_certificate

        if options.host or options.edge or options.revoke:
            raise ConfigError([Problem("labelwatch certs", "--cluster", "goes with a folder alone", "see --help")])
        print("\n".join(make_cluster_certificate(options.folder, time.time(), options.renew_days).lines(language)))
        return FINE
    if options.revoke:
        print("\n".join(revoke_named(options.folder, options.revoke, language)))
        if not (options.host or options.edge):
            return FINE
    report = make_certificates(options.folder, options.host, options.edge, time.time(), options.renew_days)
    print("\n".join(report.lines(language)))
    return FINE


def run_doctor(options: argparse.Namespace) -> int:
    """`labelwatch doctor`."""
    from detector.tools.doctor import BAD, examine

    if options.camera is not None:
        return _doctor_camera(options)
    findings = []
    for finding in examine(options.data):
        findings.append(finding)
        if not options.json:
            print(finding)
    if options.json:
        print(json.dumps([finding.record() for finding in findings], ensure_ascii=False))
    return FAILED if any(finding.state == BAD for finding in findings) else FINE


def _doctor_camera(options: argparse.Namespace) -> int:
    from detector.coverage import SENSOR_MM, fov_of
    from detector.tools.doctor import see_camera

    missing = [f"--{name}" for name in ("height", "tilt") if getattr(options, name) is None]
    if (options.fov is None) == (options.focal is None):
        missing.append("either --fov or --focal")
    if missing:
        hint = "a tape measure and the camera's data sheet tell them"
        raise ConfigError([Problem("--camera", "geometry", f"needs {', '.join(missing)}", hint)])
    try:
        fov = fov_of(options.focal, options.sensor or SENSOR_MM) if options.fov is None else options.fov
    except ValueError as error:
        raise ConfigError([Problem("--focal", "", str(error), "millimetres, as the data sheet says")]) from error
    seen = see_camera(
        options.camera, options.out, height_m=options.height, tilt_deg=options.tilt, fov_deg=fov,
        model=options.model, config=options.config,
    )  # fmt: skip
    if options.json:
        print(json.dumps(seen, ensure_ascii=False))
    else:
        print(f"{seen['sentence']['zh']}\n{seen['sentence']['en']}\n{seen['picture']}")
    return FINE


def run_map(options: argparse.Namespace) -> int:
    """`labelwatch map`."""
    from detector.config import load_edge
    from detector.tools.track_map import make_map

    with progress_seconds() as progress:
        found, written = make_map(
            load_edge(options.config), options.out,
            recordings=options.recordings, tracks=options.tracks, camera=options.camera, progress=progress,
        )  # fmt: skip
    if options.json:
        print(json.dumps(found.record() | {"files": [str(path) for path in written]}, ensure_ascii=False))
        return FINE
    for n, (zh, en) in enumerate(found.lines(), 1):
        print(f"{n}. {zh}\n   {en}")
    if not found.places:
        print("没有人走出视线\nNobody went out of sight.")
    print(*written, sep="\n")
    return FINE


def run_model_add(options: argparse.Namespace) -> int:
    """`labelwatch model add`."""
    from detector.tools.adding import add_model
    from detector.values import LABELS

    added = add_model(
        options.file, name=options.name, named=dict(options.named), folder=options.into,
        licence=options.licence, force=options.force,
    )  # fmt: skip
    card = added.card
    passed = len(card.labels) - len(card.ours)
    print(f"{added.path}: {card.name}, {', '.join(f'{theirs} → {ours}' for theirs, ours in card.ours.items())}")
    if passed:
        print(f"classes passed over: {passed}")
    for line in added.told:
        print(line)
    if unseen := [label for label in LABELS if label not in card.ours.values()]:
        print(f"it sees no {', no '.join(unseen)}")
    if "photo" not in card.traits:
        print("it doesn't tell photographing from reading: with it alone no photo act is found")
    by_name = options.into is None
    print(f"use it with analysis.model: {card.name if by_name else added.path}")
    return FINE


def run_zones(options: argparse.Namespace) -> int:
    """`labelwatch zones`."""
    from detector.config import load_edge, zones_as_yaml
    from detector.edge.zoned import Zoned, dumped

    zoned = Zoned(load_edge(options.config))
    cameras = [camera for camera in zoned.config.cameras if options.camera in (None, camera.name)]
    if not cameras:
        known = ", ".join(camera.name for camera in zoned.config.cameras)
        raise ConfigError(
            [Problem(str(options.config), "cameras", f"no camera {options.camera}", f"there are: {known}")]
        )
    if options.json:
        told = {
            camera.name: {"drawn": camera.name in zoned.drawn, "zones": [dumped(zone) for zone in camera.zones]}
            for camera in cameras
        }
        print(json.dumps({"version": zoned.version, "cameras": told}, ensure_ascii=False))
        return FINE
    for camera in cameras:
        origin = f"drawn at the hub, version {zoned.version}" if camera.name in zoned.drawn else "of this file"
        if options.yaml:
            print(f"# {camera.name}: {origin}")
            print("\n".join(f"    {line}" for line in zones_as_yaml(camera.zones).splitlines()))
            continue
        print(f"{camera.name}: {origin}")
        for zone in camera.zones:
            print(f"  {zone.name}: {zone.kind}, {len(zone.polygon)} corners")
    return FINE


def run_user_add(options: argparse.Namespace) -> int:
    """`labelwatch user add`."""
    from detector.config import load_hub
    from detector.hub.console import Console, database_of
    from detector.hub.rights import Role, Scope

    with database_of(load_hub(options.config), make=True) as database:
        password = Console(database).add_user(options.name, Role(options.role), Scope.of(options.scope))
    print(f"one-time password: {password}\n  (shown this once; at first login they choose their own)")
    return FINE


def run_user_reset(options: argparse.Namespace) -> int:
    """`labelwatch user reset`."""
    from detector.config import load_hub
    from detector.hub.console import Console, database_of

    with database_of(load_hub(options.config)) as database:
        if options.second_step:
            Console(database).drop_second_step(options.name)
            print(f"{options.name} logs in by the password alone now, and can set up a second step anew")
            return FINE
        password = Console(database).reset(options.name)
    print(f"one-time password: {password}\n  (shown this once; at first login they choose their own)")
    return FINE


def run_user_list(options: argparse.Namespace) -> int:
    """`labelwatch user list`."""
    from detector.config import load_hub
    from detector.hub.console import Console, database_of, user_lines, user_record

    with database_of(load_hub(options.config)) as database:
        users = Console(database).users()
    if options.json:
        print(json.dumps([user_record(user) for user in users], ensure_ascii=False))
    else:
        print("\n".join(user_lines(users)))
    return FINE


def run_audit_verify(options: argparse.Namespace) -> int:
    """`labelwatch audit verify`."""
    from detector.config import load_hub
    from detector.hub.console import check_audit

    checked, words, heads = check_audit(load_hub(options.config), options.head)
    print("\n".join(words) or f"the log holds: {checked.head.number} entries, compared with {heads} heads")
    print(f"head: {checked.head}")
    return FAILED if words else FINE


def run_audit_head(options: argparse.Namespace) -> int:
    """`labelwatch audit head`."""
    from detector.config import load_hub
    from detector.hub.audit import Audit
    from detector.hub.console import database_of

    with database_of(load_hub(options.config)) as database:
        head = Audit(database).head()
    print(head or "no entries yet")
    return FINE


def run_check(options: argparse.Namespace) -> int:
    """`labelwatch check`."""
    from detector.config import EdgeConfig, HubConfig, check_file
    from detector.edge.zoned import Zoned, notices

    if options.schema:
        print(json.dumps({"edge": EdgeConfig.model_json_schema(), "hub": HubConfig.model_json_schema()}, indent=1))
        return FINE
    if options.config is None:
        raise ConfigError([Problem("check", "", "name a configuration", "labelwatch check configs/site.yaml")])
    problems = check_file(options.config)
    config, at = _edge_at(options.config, options.at)
    if config:
        from detector.contradictions import contradictions
        from detector.shifts import Shifts

        today = Shifts(config.calendar, config.timezone).local(at).date()
        problems += contradictions(config, options.config, today)
    elif options.explain and not problems:
        hint = "labelwatch check configs/site.yaml --explain"
        problems = [Problem(str(options.config), "", "a hub's configuration has nothing to explain", hint)]
    if not problems:
        print(*_ending(options.config, config), sep="", end="", file=sys.stderr)
    zoned = Zoned(config) if config else None
    explained = _explained(zoned, at, options.language) if zoned and options.explain else None
    if zoned:
        print(*notices(zoned), sep="\n", end="\n" if zoned.drawn else "", file=sys.stderr)
    if options.json:
        fields = [{"file": p.file, "key": p.key, "reason": p.reason, "hint": p.hint} for p in problems]
        told = {"problems": fields, "explanation": explained} if options.explain else fields
        print(json.dumps(told, ensure_ascii=False))
        return MISUSED if problems else FINE
    for problem in problems:
        print(problem)
    if explained:
        from detector.tools.explain import lines

        print("\n".join(lines(explained)))
    elif not problems:
        print(f"{options.config}: fine")
    return MISUSED if problems else FINE


def _ending(path: Path, config: EdgeConfig | None) -> list[str]:
    """Lines about certificates that a configuration names and that end soon."""
    from detector.config import load_hub
    from detector.credentials.certs import notices

    files = []
    if config is None:
        hub = load_hub(path)
        broker = hub.broker
        files += [hub.certs_dir / "broker" / "server.crt"] if hub.certs_dir else []
    else:
        broker = config.broker
    files += [file for file in (broker.cert_file, broker.ca_file) if file]
    return [f"{line}\n" for line in notices(files, time.time(), _spoken())]


def _edge_at(path: Path, text: str | None) -> tuple[EdgeConfig | None, float]:
    """An edge's configuration, `None` where it is none or broken, and the time asked for; by the site's own clock."""
    from zoneinfo import ZoneInfo

    from detector.config import load_edge

    try:
        config = load_edge(path)
    except ConfigError:
        config = None
    if text is None:
        return config, time.time()
    return config, _time("--at", text, ZoneInfo(config.timezone) if config else None) or 0.0


def _explained(zoned: Zoned, at: float, language: str | None) -> dict[str, Any]:
    """What holds at a time, by the zones in force."""
    from detector.tools.explain import explain

    return explain(zoned.config, at, language or _spoken(), zoned.drawn)


def _spoken() -> str:
    """The terminal's language, of those that we speak."""
    spoken = next((os.environ[name] for name in ("LC_ALL", "LC_MESSAGES", "LANG") if os.environ.get(name)), "")
    return "zh" if spoken.startswith("zh") else "en"


def _time(option: str, text: str | None, zone: tzinfo | None = None) -> float | None:
    """Unix seconds of an option's ISO 8601 time, in `zone` or else UTC where it names none; `None` when not given."""
    from detector.clock import unix

    try:
        return None if text is None else unix(text, zone)
    except (ValueError, OverflowError) as error:
        hint = "ISO 8601, e.g. 2026-11-01T09:26:00+08:00"
        raise ConfigError([Problem(option, "", f"not a time: {text}", hint)]) from error


if __name__ == "__main__":
    raise SystemExit(main())
