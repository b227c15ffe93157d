"""The arrows of the design hold: read from the imports of every module."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

STAGES = ("sources", "inference", "tracking", "rules", "alerts", "hub")
BOTTOM = (
    "values", "geometry", "clock", "errors", "names", "facts", "findings", "sentences", "shifts", "census", "cards",
    "telling", "plain_yaml", "config", "wire", "credentials", "machine", "media", "mqtt",
)  # fmt: skip
FILES = sorted((REPOSITORY / "detector").rglob("*.py"))


def name_of(path: Path) -> str:
    parts = path.relative_to(REPOSITORY).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(tree: ast.AST, *, only_when_loaded: bool = False) -> Iterator[str]:
    """Modules that a tree imports; with `only_when_loaded`, those outside functions and `if TYPE_CHECKING`."""
    for node in ast.iter_child_nodes(tree):
        if only_when_loaded and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if only_when_loaded and isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        else:
            yield from imported(node, only_when_loaded=only_when_loaded)


@cache
def trees() -> dict[str, ast.Module]:
    """Read when first asked for: every process of the suite loads this file, and one runs it."""
    return {name_of(path): ast.parse(path.read_text(encoding="utf-8")) for path in FILES}


@cache
def imports() -> dict[str, set[str]]:
    return {name: set(imported(tree)) for name, tree in trees().items()}


def is_in(name: str, *packages: str) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def users_of(package: str) -> set[str]:
    return {name for name, found in imports().items() if any(is_in(other, package) for other in found)}


def test_there_is_something_to_read() -> None:
    assert {"detector.pipeline", "detector.rules.acts", "detector.hub.storage.store"} <= imports().keys()
    assert "detector.values" in imports()["detector.pipeline"]


def own_imports(package: str, *allowed: str) -> set[tuple[str, str]]:
    """Modules of this project that a package imports beside those allowed, with the importer."""
    fine = [f"detector.{name}" for name in ("__version__", "version", *allowed)]
    return {
        (name, other)
        for name, found in imports().items()
        for other in found
        if is_in(name, f"detector.{package}") and other.startswith("detector.") and not is_in(other, *fine)
    }


@pytest.mark.parametrize("stage", STAGES)
def test_neighbouring_stages_never_import_each_other(stage: str) -> None:
    assert own_imports(stage, stage, *BOTTOM) == set()


@pytest.mark.parametrize("module", BOTTOM)
def test_the_bottom_row_rests_on_itself(module: str) -> None:
    assert own_imports(module, *BOTTOM) == set()


HUB = ("storage", "access", "edges", "footage", "desk", "evidence", "watch", "notices", "upkeep", "integrations")
HUB_BOTTOM = ("background", "source", "texts")


@pytest.mark.parametrize("package", HUB)
def test_each_part_of_the_hub_rests_on_those_before_it(package: str) -> None:
    fine = [f"detector.hub.{name}" for name in (*HUB[: HUB.index(package) + 1], *HUB_BOTTOM)]
    above = {(name, other) for name, other in own_imports(f"hub.{package}", *BOTTOM) if not is_in(other, *fine)}
    assert above == set()


def test_the_pipeline_knows_its_stages_as_protocols_only() -> None:
    assert own_imports("pipeline", *BOTTOM) == set()


@pytest.mark.parametrize(
    ("package", "homes"),
    [
        (
            "av",
            [
                "detector.sources",
                "detector.alerts.clips",
                "detector.alerts.cutting",
                "detector.alerts.joined",
                "detector.why.film",
                "detector.bench.clips",
                "detector.hub.footage.copying",
                "detector.hub.footage.opened",
                "detector.hub.footage.transcode",
                "detector.media.containers",
            ],
        ),
        ("onnxruntime", ["detector.inference.runtimes"]),
        ("openvino", ["detector.inference.runtimes"]),
        (
            "paho",
            [
                f"detector.{one}"
                for one in (
                    "mqtt.connection",
                    "mqtt.trial",
                    "alerts.mqtt",
                    "hub.edges.ingest",
                    "hub.integrations.link",
                )
            ],
        ),
        ("iotcore", ["detector.mqtt.broker"]),
        ("ultralytics", ["detector.tools.adding", "detector.bench.rival"]),
        ("torch", ["detector.tools.adding", "detector.bench.rival"]),
        ("distributed", ["detector.recorded.cluster", "detector.recorded.dask_crew"]),
        ("sqlalchemy", ["detector.hub", "detector.demo"]),
        ("fastapi", ["detector.hub"]),
    ],
)
def test_packages_have_their_homes(package: str, homes: list[str]) -> None:
    assert {name for name in users_of(package) if not is_in(name, *homes)} == set()


BETWEEN = [
    "detector.pipeline",
    "detector.tracking",
    "detector.rules",
    "detector.inference",
    "detector.alerts.incidents",
]


def test_nothing_between_source_and_sink_asks_what_time_it_is() -> None:
    clocks = ("time", "datetime", "detector.clock")
    assert {
        (name, other)
        for name, found in imports().items()
        for other in found
        if is_in(name, *BETWEEN) and is_in(other, *clocks)
    } == set()


def test_the_command_line_loads_nothing_heavy() -> None:
    modules = [name for name in trees() if is_in(name, "detector.cli")]
    found = {name for module in modules for name in imported(trees()[module], only_when_loaded=True)}
    ours = {name.split(".")[1] for name in found if name.startswith("detector.")}
    assert ours <= {"cli", "errors", "machine", "version", "__version__"}


@pytest.mark.parametrize(
    ("module", "unwanted"),
    [
        ("detector.hub.server", ["cv2", "onnxruntime", "av", "alembic"]),
        ("detector.cli", ["cv2", "onnxruntime", "av", "fastapi", "sqlalchemy", "numpy", "pydantic"]),
        ("detector.assembly", ["fastapi", "sqlalchemy", "paho"]),
        ("detector.hub.footage.transcode", ["cv2", "numpy"]),
    ],
)
def test_a_part_starts_without_what_it_does_not_need(module: str, unwanted: list[str]) -> None:
    code = f"import {module}, sys; print(*[name for name in {unwanted!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=REPOSITORY, check=False)
    assert (done.returncode, done.stdout.split()) == (0, []), done.stderr
