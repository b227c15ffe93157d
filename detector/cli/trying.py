"""Verbs for who wants to know what it does here."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from detector.cli.arguments import EDGE_CONFIG, FAILED, FINE, LANGUAGE, Verb, file_or_folder, positive, spoken
from detector.errors import ConfigError, Problem
from detector.machine.progress import progress_steps

SQUEEZED = {
    "zh": "画面 {size} 可能被压扁：这种尺寸多半是要拉宽了看的。人看上去太瘦，就在配置里给它设 aspect: 16:9，"
    "否则设 aspect: 4:3",
    "en": "pictures of {size} are mostly meant to be shown wider: where people look too thin, give the camera "
    "`aspect: 16:9` in the configuration, else `aspect: 4:3`",
}


def add_verbs(verb: Verb) -> None:
    """Name them."""
    demo = verb("demo", run_demo, "broker, hub and edge on the shipped clip")
    demo.add_argument("--once", action="store_true", help="stop when the clip is through; so without a terminal")
    demo.add_argument(
        "--json", action="store_true", help="stop likewise, and print the summary as JSON, alone on stdout"
    )
    demo.add_argument(
        "--data", type=file_or_folder, metavar="FOLDER", help="for its data; a temporary one when left out"
    )

    bench = verb("bench", run_bench, "how fast it is here, and where the time goes; beside YOLO.track if there")
    bench.add_argument(
        "clip",
        type=file_or_folder,
        nargs="?",
        metavar="CLIP",
        help="recording of which what is measured is made; the demo's when left out",
    )
    bench.add_argument("--rounds", type=positive, default=3, metavar="N", help="how often everything is measured (3)")
    bench.add_argument(
        "--weights",
        type=file_or_folder,
        metavar="FILE.pt",
        help="of YOLO11n, to compare with (a program: only from people you trust)",
    )
    bench.add_argument("--out", type=file_or_folder, metavar="FOLDER", help="for bench.json, bench.md and bench.svg")
    bench.add_argument("--json", action="store_true", help="print the figures as JSON")

    doctor = verb("doctor", run_doctor, "what this machine can do; with --camera, how far a camera sees")
    doctor.add_argument("--json", action="store_true", help="findings as JSON")
    doctor.add_argument(
        "--data",
        type=file_or_folder,
        metavar="FOLDER",
        help="whose disk is looked at (that of --config, or the current one)",
    )
    doctor.add_argument("--camera", metavar="SOURCE", help="picture, video, rtsp://…, or a camera of --config")
    doctor.add_argument(
        "--config",
        **{
            **EDGE_CONFIG,
            "help": "configuration with that camera, its mounting, and the model; without --camera, of a box or a hub: "
            "its certificates and disk are looked at, and its broker is tried",
        },
    )
    doctor.add_argument("--height", type=float, metavar="M", help="of the lens above the ground, metres")
    doctor.add_argument("--tilt", type=float, metavar="DEG", help="of the optical axis below the horizontal")
    doctor.add_argument("--fov", type=float, metavar="DEG", help="horizontal field of view, before pictures are turned")
    doctor.add_argument("--focal", type=float, metavar="MM", help="focal length, instead of --fov")
    doctor.add_argument("--sensor", type=float, metavar="MM", help="width of the sensor (5.57: 1/2.8 inch)")
    doctor.add_argument(
        "--out",
        type=file_or_folder,
        default=Path("coverage.png"),
        metavar="FILE",
        help="picture to write (coverage.png)",
    )
    doctor.add_argument("--model", help="a model's name in models/, or its card; that of --config, or scene")
    doctor.add_argument("--language", **{**LANGUAGE, "help": "of --camera; that of the terminal when left out"})


def run_demo(options: argparse.Namespace) -> int:
    """`labelwatch demo`."""
    from detector.demo import run_demo as demo

    once = options.once or options.json or not sys.stdout.isatty()
    return demo(once=once, as_json=options.json, data_dir=options.data)


def run_bench(options: argparse.Namespace) -> int:
    """`labelwatch bench`."""
    from detector.bench.comparison import bench
    from detector.bench.plot import plot
    from detector.bench.tables import markdown, tables

    if options.out is not None:
        options.out.mkdir(parents=True, exist_ok=True)
    with progress_steps() as progress:
        figures = bench(options.clip, rounds=options.rounds, weights=options.weights, progress=progress)
    if options.json:
        print(json.dumps(figures, ensure_ascii=False))
    else:
        from rich.console import Console

        console = Console(width=None if sys.stdout.isatty() else 200)
        for table in tables(figures):
            console.print(table)
        for said in (*figures["warnings"], *figures["notes"]):
            print(said)
    if options.out is not None:  # last: minutes of work are told even where they can't be written
        whole = json.dumps(figures, ensure_ascii=False, indent=1)
        for name, text in (("bench.json", whole), ("bench.md", markdown(figures)), ("bench.svg", plot(figures))):
            (options.out / name).write_text(text, encoding="utf-8")
    return FINE


def run_doctor(options: argparse.Namespace) -> int:
    """`labelwatch doctor`."""
    from detector.config import load_either
    from detector.tools.doctor import BAD, examine

    if options.camera is not None:
        return _doctor_camera(options)
    of_camera = ("height", "tilt", "fov", "focal", "sensor", "language")
    if given := [name for name in of_camera if getattr(options, name) is not None]:
        raise ConfigError([Problem("doctor", f"--{given[0]}", "belongs to --camera, which isn't given")])
    config = load_either(options.config) if options.config is not None else None
    findings = []
    for finding in examine(options.data or (config.data_dir if config else Path()), config):
        findings.append(finding)
        if not options.json:
            print(finding)
    if options.json:
        print(json.dumps([finding.record() for finding in findings], ensure_ascii=False))
    return FAILED if any(finding.state == BAD for finding in findings) else FINE


def _doctor_camera(options: argparse.Namespace) -> int:
    from detector.config import Analysis, load_edge
    from detector.coverage import SENSOR_MM, fov_of
    from detector.tools.doctor import camera_in, see_camera

    source, analysis = options.camera, Analysis()
    if options.config is not None:
        config = load_edge(options.config)
        source, analysis = camera_in(config, options.config, options.camera), config.analysis
        if hangs := source.mounting:  # as far as nothing else was said
            options.height = hangs.height_m if options.height is None else options.height
            options.tilt = hangs.tilt_deg if options.tilt is None else options.tilt
            options.fov = hangs.fov_deg if options.fov is None and options.focal is None else options.fov
    if options.sensor is not None and options.focal is None:
        hint = "a field of view needs no sensor: give --focal instead, or leave it out"
        raise ConfigError([Problem("--camera", "--sensor", "belongs to --focal, which isn't given", hint)])
    missing = [f"--{name}" for name in ("height", "tilt") if getattr(options, name) is None]
    if (options.fov is None) == (options.focal is None):
        missing.append("either --fov or --focal")
    if missing:
        hint = "a tape measure and the camera's data sheet tell them; or the camera's mounting in --config"
        raise ConfigError([Problem("--camera", "geometry", f"needs {', '.join(missing)}", hint)])
    sensor = SENSOR_MM if options.sensor is None else options.sensor
    try:
        fov = fov_of(options.focal, sensor) if options.fov is None else options.fov
    except ValueError as error:
        raise ConfigError([Problem("--focal", "", str(error), "millimetres, as the data sheet says")]) from error
    language = options.language or spoken()
    seen = see_camera(
        source, options.out, height_m=options.height, tilt_deg=options.tilt, fov_deg=fov,
        analysis=analysis.model_copy(update={"model": options.model or analysis.model}), language=language,
    )  # fmt: skip
    if options.json:
        print(json.dumps(seen, ensure_ascii=False))
    else:
        print(f"{seen['sentence'][language]}\n{seen['picture']}")
        if seen["squeezed"]:
            print(SQUEEZED[language].format(size=f"{seen['width']}x{seen['height']}"))
    return FINE
