"""Verbs of an edge box."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from detector.cli.arguments import EDGE_CONFIG, FINE, LANGUAGE, MISUSED, Verb, file_or_folder, spoken, time_of
from detector.errors import ConfigError, LabelwatchError, Problem

if TYPE_CHECKING:
    from detector.config import EdgeConfig
    from detector.edge.in_force import InForce


def add_verbs(verb: Verb) -> None:
    """Name them."""
    run = verb("run", run_worker, "edge worker: all cameras of one box")
    run.add_argument("config", **EDGE_CONFIG)
    run.add_argument("--strict", action="store_true", help="a bad configuration ends it, whatever worked before")
    run.add_argument("--supervised", action="store_true", help="start it again when it dies; systemd does so itself")

    join = verb("join", run_join, "let this edge box join a hub, by the code that the hub's page shows")
    join.add_argument("hub_url", metavar="HUB_URL", help="as a browser shows it, e.g. https://10.0.0.2:8080")
    join.add_argument("code", nargs="?", metavar="CODE", help="as the hub's page shows it; asked for when left out")
    join.add_argument("--config", required=True, **EDGE_CONFIG)
    join.add_argument(
        "--ca",
        type=file_or_folder,
        metavar="FILE",
        help="certificate that vouches for the hub's web server; the code does when left out",
    )
    join.add_argument("--new-key", action="store_true", help="make a new key: after this box was shut out")

    zones = verb("zones", run_zones, "zones in force, of the file or drawn at the hub")
    zones.add_argument("config", **EDGE_CONFIG)
    zones.add_argument("--camera", metavar="NAME", help="of this camera alone")
    kinds = zones.add_mutually_exclusive_group()
    kinds.add_argument("--yaml", action="store_true", help="as YAML, to be put into the configuration")
    kinds.add_argument("--json", action="store_true", help="as JSON, with where they come from")

    check = verb("check", run_check, "every problem of a configuration")
    check.add_argument(
        "config", type=file_or_folder, nargs="?", metavar="CONFIG", help="configuration of an edge box, or of the hub"
    )
    check.add_argument("--schema", action="store_true", help="print the JSON schema of edge and hub configurations")
    check.add_argument("--explain", action="store_true", help="say what it means: what is fine, what raises what")
    check.add_argument(
        "--at", metavar="ISO8601",
        help="with --explain: what holds then, by the site's clock, of a day alone at its midnight; else now",
    )  # fmt: skip
    check.add_argument("--language", **{**LANGUAGE, "help": "of --explain; that of the terminal when left out"})
    check.add_argument("--json", action="store_true", help="problems, and with --explain the explanation, as JSON")


def run_worker(options: argparse.Namespace) -> int:
    """`labelwatch run`."""
    if options.supervised:  # by a parent that loads nothing of a worker
        from detector.edge.supervisor import supervise

        more = ["--verbose"] if options.verbose else []
        strict = ["--strict"] if options.strict else []
        return supervise([sys.executable, "-m", "detector", *more, "run", str(options.config), *strict])
    from detector.machine.heap import loading

    with loading():
        from detector.edge.launch import launch

    return launch(options.config, strict=options.strict)


def run_join(options: argparse.Namespace) -> int:
    """`labelwatch join`."""
    from detector.clock import SystemClock
    from detector.config import load_edge
    from detector.edge.joining import join, try_broker, try_hub

    config, clock = load_edge(options.config), SystemClock()
    # What stands on a command line can be read by everybody on the machine, and stays in the shell's history.
    try:
        code = options.code or input("code: ")
    except EOFError as error:  # in a script, say
        hint = "as the hub's page shows it, e.g. 7K2M-9QXDH-4TFT"
        raise ConfigError([Problem("join", "CODE", "is missing, and nobody can be asked", hint)]) from error
    joined = join(options.hub_url, code, config, clock, ca_file=options.ca, new_key=options.new_key)
    print("\n".join(joined.lines(options.config, config, options.hub_url)), flush=True)
    try_hub(joined.hub)
    try_broker(joined.broker)
    print(f"the broker at {joined.broker.host}:{joined.broker.port} lets this box in")
    print(f"now start it, or start it anew: labelwatch run {options.config}")
    return FINE


def run_zones(options: argparse.Namespace) -> int:
    """`labelwatch zones`."""
    from detector.config import check_data_dir, load_edge, zones_as_yaml
    from detector.edge.zoned import Zoned, dumped

    config = load_edge(options.config)
    if shut := check_data_dir(config.data_dir, options.config):  # what was drawn is in there
        raise ConfigError(shut)
    zoned = Zoned(config)
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


def run_check(options: argparse.Namespace) -> int:
    """`labelwatch check`."""
    from detector.config import EdgeConfig, HubConfig, check_file
    from detector.edge.in_force import drawn_in_vain, in_force

    if options.schema:
        print(json.dumps({"edge": EdgeConfig.model_json_schema(), "hub": HubConfig.model_json_schema()}, indent=1))
        return FINE
    if options.config is None:
        raise ConfigError([Problem("check", "", "name a configuration", "labelwatch check configs/site.yaml")])
    problems = check_file(options.config)
    config, at = _edge_at(options.config, options.at)
    if config:
        from detector.shifts import Shifts

        day = Shifts(config.calendar, config.timezone).day(at)
        problems += _of_whole(config, options.config, day, problems)
    elif options.explain and not problems:
        hint = "labelwatch check configs/site.yaml --explain"
        problems = [Problem(str(options.config), "", "a hub's configuration has nothing to explain", hint)]
    if not problems:
        print(*_ending(options.config, config), sep="", end="", file=sys.stderr)
    held = in_force(config) if config else None
    explained = _explained(held, at, options.language) if held and options.explain else None
    for notice in (*held.notices, *drawn_in_vain(held, day)) if held else ():
        print(notice, file=sys.stderr)
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


def _of_whole(config: EdgeConfig, path: Path, day: date, found: list[Problem]) -> list[Problem]:
    """Problems that no part of an edge's configuration has by itself, beside those found in its parts."""
    from detector.contradictions import contradictions

    problems = contradictions(config, path, day)
    if unused := config.unused_certificate:
        reason = f"this box has joined a hub, and {unused} isn't shown to the broker"
        hint = "put the lines there that `labelwatch join` printed: port, ca_file, cert_file and key_file"
        problems.append(Problem(str(path), "broker.cert_file", reason, hint))
    problems += _of_another_box(config, path)
    wrong = {problem.key for problem in found}
    if "data_dir" not in wrong:
        problems += _in_outbox(config, path)
    if "analysis.model" not in wrong:
        problems += _in_models(config, path)
    return problems


def _of_another_box(config: EdgeConfig, path: Path) -> list[Problem]:
    """Where a configuration was copied with the certificate of the box that it is from: the broker takes both for one,
    and cuts off each by the other. Names that `certs` and `join` don't make are others' business."""
    if config.broker.cert_file is None:
        return []
    from detector.credentials.authority import made_out_to

    whose, own = made_out_to(config.broker.cert_file), f"{config.site}/{config.edge}"
    if "/" not in whose or whose == own:
        return []
    reason = f"is the certificate of {whose}, and this box is {own}: the broker would cut off each by the other"
    hint = "`labelwatch join` brings this box one of its own; let it have a data_dir of its own, too"
    return [Problem(str(path), "broker.cert_file", reason, hint)]


def _in_outbox(config: EdgeConfig, path: Path) -> list[Problem]:
    """What would keep the worker from its outbox; a file that is no outbox it sets aside by itself."""
    from detector.alerts.outbox_file import NAME, is_newer, shut_to_us
    from detector.config.checks import AS_THAT_USER

    outbox = config.data_dir / NAME
    if shut := shut_to_us(outbox):
        return [Problem(str(path), "data_dir", f"can't be read and written: {file}", AS_THAT_USER) for file in shut]
    try:
        if not outbox.exists() or not is_newer(outbox):
            return []
    except OSError as error:
        return [Problem(str(path), "data_dir", f"{outbox} can't be read: {error.strerror}", "check the disk")]
    hint = "start that version, or name another data_dir; nothing in it is touched"
    return [Problem(str(path), "data_dir", f"{outbox} was made by a newer labelwatch than this one", hint)]


def _in_models(config: EdgeConfig, path: Path) -> Iterator[Problem]:
    """What is wrong with the model and the weights that the worker looks and judges with; the model is there."""
    from detector.inference.card import check_variants, find_card
    from detector.tools.doctor import BAD, weights

    try:
        card = find_card(config.analysis.model)
        if config.analysis.precision != "fp32":
            check_variants(card)
        if card.lacks:
            reason = f"the model {card.name} {', '.join(card.lacks)}: nobody is found photographing labels"
            hint = (
                "the model scene does; of your own, `labelwatch model add --as` says what its classes are, and "
                "models/train.py teaches one what people do"
            )
            yield Problem(str(path), "analysis.model", reason, hint)
    except LabelwatchError as error:
        yield Problem(str(path), "analysis.model", str(error), "`labelwatch doctor` looks at every model")
    for finding in weights():
        if finding.state == BAD:
            yield Problem(str(path), "rules", finding.told, finding.hint)


def _ending(path: Path, config: EdgeConfig | None) -> list[str]:
    """Lines about certificates that a configuration names and that end soon."""
    from detector.config import load_hub
    from detector.credentials.certs import notices

    files = (config or load_hub(path)).certificates
    return [f"{line}\n" for line in notices(files, time.time(), spoken())]


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
    return config, time_of("--at", text, ZoneInfo(config.timezone) if config else None) or 0.0


def _explained(held: InForce, at: float, language: str | None) -> dict[str, Any]:
    """What holds at a time, by what is in force."""
    from detector.tools.explain import explain

    return explain(held.config, at, language or spoken(), held.drawn)
