"""Verbs for models of your own."""

from __future__ import annotations

import argparse
import json
import sys

from detector.cli.arguments import (
    FAILED,
    FINE,
    HUB_CONFIG,
    Verb,
    file_or_folder,
    meaning,
    positive,
    share,
    teaching,
    time_of,
    verbs_of,
)
from detector.machine.progress import progress_count
from detector.machine.secrecy import one_line


def add_verbs(verb: Verb) -> None:
    """Name them."""
    model = verb("model", run_model_add, "models of your own")
    add = verbs_of(model, "ACTION")("add", run_model_add, "a card for an Ultralytics detect or pose model, checked")
    add.add_argument(
        "file", type=file_or_folder, metavar="FILE", help=".onnx; or .pt (a program: only from people you trust)"
    )
    add.add_argument("--name", help="what analysis.model calls it; the file's name when left out")
    add.add_argument(
        "--as", dest="named", type=meaning, action="append", default=[], metavar="CLASS=LABEL",
        help="what a class of the model is to us: person, phone, scanner, parcel or label; may be repeated",
    )  # fmt: skip
    add.add_argument("--into", type=file_or_folder, metavar="FOLDER", help="instead of models/")
    add.add_argument("--licence", help="of the model, for its card")
    add.add_argument("--force", action="store_true", help="replace a model of this name")

    detect = verb("detect", run_detect, "pictures to detections")
    detect.add_argument(
        "paths",
        type=file_or_folder,
        nargs="+",
        metavar="PATH",
        help="pictures, and folders of them without those within",
    )
    detect.add_argument(
        "--out", type=file_or_folder, required=True, metavar="FILE.jsonl", help="a line for each picture"
    )
    detect.add_argument("--conf", type=share, default=0.25, metavar="SCORE", help="least score, 0..1 (0.25)")
    detect.add_argument("--model", default="scene", help="a model's name in models/, or its card (scene)")

    export = verb("label-export", run_label_export, "judged incidents and walk tests of a hub to a training set")
    export.add_argument("config", **HUB_CONFIG)
    export.add_argument(
        "--out",
        type=file_or_folder,
        required=True,
        metavar="FOLDER",
        help="new, or an earlier export to bring up to date",
    )
    export.add_argument("--since", metavar="ISO8601", help="incidents that began then or later, by the hub's clock")
    export.add_argument("--until", metavar="ISO8601", help="incidents that began before then; likewise")
    export.add_argument("--site", action="append", default=[], help="of this site; may be repeated; all when left out")
    export.add_argument("--verdict", type=teaching, metavar="LIST", help="of true,authorised,false,walk_test (all)")
    export.add_argument(
        "--per-incident", type=positive, default=12, metavar="N", help="pictures of one incident, at most (12)"
    )
    export.add_argument(
        "--model", default="scene", help="proposes the boxes: a model's name in models/, or its card (scene)"
    )
    export.add_argument("--force", action="store_true", help="write into a folder that holds other things")
    export.add_argument("--json", action="store_true", help="print the summary as JSON")


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
    taken = ", ".join(f"{one_line(theirs)} → {ours}" for theirs, ours in card.ours.items())
    print(f"{added.path}: {card.name}, {taken}")
    if passed:
        print(f"classes passed over: {passed}")
    for line in added.told:
        print(line)
    if unseen := [label for label in LABELS if label not in card.ours.values()]:
        print(f"it sees no {', no '.join(unseen)}")
    called = card.name if options.into is None else added.path.resolve()
    if card.lacks:
        print(f"it {', '.join(card.lacks)}: nobody is found photographing labels, and `labelwatch check` refuses it")
        print(f"look at pictures with it: labelwatch detect PICTURES --out FILE.jsonl --model {called}")
    else:
        print(f"use it with analysis.model: {called}")
    return FINE


def run_detect(options: argparse.Namespace) -> int:
    """`labelwatch detect`."""
    from detector.tools.stills import detect_pictures

    with progress_count("pictures") as progress:
        unread = detect_pictures(
            options.paths, options.out, model=options.model, confidence=options.conf, progress=progress
        )
    for line in unread:
        print(f"labelwatch: not read: {one_line(line)}", file=sys.stderr)
    return FAILED if unread else FINE


def run_label_export(options: argparse.Namespace) -> int:
    """`labelwatch label-export`."""
    from dataclasses import asdict
    from zoneinfo import ZoneInfo

    from detector.config import load_hub
    from detector.hub.footage.training_set import TEACHING, Wanted
    from detector.tools.label_export import export

    config = load_hub(options.config)
    zone = ZoneInfo(config.timezone)
    since, until = time_of("--since", options.since, zone), time_of("--until", options.until, zone)
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
        print(f"labelwatch: not used: {one_line(line)}", file=sys.stderr)
    return FAILED if made.trouble else FINE
