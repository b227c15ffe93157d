"""Safe mode: a bad configuration starts the last good one, says so, and gives way to the file once it is mended."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from detector.cli import main
from detector.config import EdgeConfig, load_edge
from detector.edge import launch as launching
from detector.edge.last_good import NAME, Origin, find, keep
from detector.errors import ModelError, StoreError
from tests.conftest import REPOSITORY

NOW = 1_800_000_000.0
GOOD = """\
site: north
edge: box-1
data_dir: state/edge   # on the second disk
broker: {host: 10.0.0.2, username: north/box-1, password_env: BROKER_PASSWORD}
cameras:
  - {name: dock, source: "rtsp://10.0.0.3/1", username: viewer, password_env: DOCK_PASSWORD}
"""


class Runs:
    """Stands in for the worker: remembers what it was to run with, and fails when told to."""

    def __init__(self) -> None:
        self.seen: list[tuple[EdgeConfig, Origin]] = []
        self.errors: list[Exception] = []
        self.reach_running = True

    def __call__(self, config: EdgeConfig, *, origin: Origin) -> int:
        self.seen.append((config, origin))
        if self.reach_running:
            origin.running(config, NOW)
        if self.errors:
            raise self.errors.pop(0)
        return 0


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> Runs:
    found = Runs()
    monkeypatch.setattr(launching, "run", found)
    monkeypatch.setenv("BROKER_PASSWORD", "hunter2")
    monkeypatch.setenv("DOCK_PASSWORD", "hunter3")
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    return found


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "state" / "edge").mkdir(parents=True)
    written = tmp_path / "site.yaml"
    written.write_text(GOOD)
    return written


BAD = [
    pytest.param(lambda text: text + "site: [oops\n", "line 8", id="not YAML"),
    pytest.param(lambda text: text + "\tx: 1\n", "tabs", id="a tab"),
    pytest.param(lambda text: text.replace("site: north\n", ""), "site: field required", id="a key is missing"),
    pytest.param(lambda text: text.replace("cameras", "camera"), "unknown key", id="unknown key"),
    pytest.param(lambda text: text + "analysis: {model: gone.yaml}\n", "no such file", id="model missing"),
    pytest.param(lambda text: text.replace("DOCK_PASSWORD", "NOT_SET"), "NOT_SET is not set", id="secret missing"),
    pytest.param(lambda text: text + "edge: box-2\n", "given twice", id="a key twice"),
]


@pytest.mark.parametrize(("spoil", "reason"), BAD)
def test_a_bad_file_starts_the_last_good_configuration_and_says_so(
    path: Path, runs: Runs, capsys: pytest.CaptureFixture[str], spoil: Callable[[str], str], reason: str
) -> None:
    assert main(["run", str(path)]) == 0
    good = load_edge(path)
    path.write_text(spoil(GOOD))
    capsys.readouterr()
    assert main(["run", str(path)]) == 0
    (first, before), (second, origin) = runs.seen
    assert first == second == good
    assert before.health() == {"state": "current"}
    told = origin.health()
    assert (told["state"], told["since"]) == ("last_good", NOW)
    assert any(reason in problem for problem in told["problems"]) and str(path.parent) not in json.dumps(told)
    logged = capsys.readouterr().err
    assert reason in logged and "SAFE MODE" in logged
    # A later start with the mended file takes the file.
    path.write_text(GOOD.replace("box-1", "box-3"))
    assert main(["run", str(path)]) == 0
    assert runs.seen[-1][0].edge == "box-3"


def test_where_nothing_has_worked_yet_a_bad_file_is_the_error_that_it_was(
    path: Path, runs: Runs, capsys: pytest.CaptureFixture[str]
) -> None:
    path.write_text(GOOD + "site: [oops\n")
    assert main(["run", str(path)]) == 2
    assert "line 8" in capsys.readouterr().err and not runs.seen


def test_strict_refuses_a_bad_file_whatever_worked_before(path: Path, runs: Runs) -> None:
    assert main(["run", str(path)]) == 0
    path.write_text(GOOD.replace("site: north\n", ""))
    assert main(["run", str(path), "--strict"]) == 2
    assert len(runs.seen) == 1


@pytest.mark.parametrize("error", [ModelError("another checksum"), StoreError("no data folder"), OSError(13, "no")])
def test_what_fails_before_it_has_run_gives_way_and_what_fails_later_does_not(
    path: Path, runs: Runs, error: Exception
) -> None:
    assert main(["run", str(path)]) == 0
    path.write_text(GOOD.replace("10.0.0.3", "10.0.0.4"))
    runs.reach_running, runs.errors = False, [error]
    assert main(["run", str(path)]) == 0
    assert [config.cameras[0].source for config, _ in runs.seen[1:]] == ["rtsp://10.0.0.4/1", "rtsp://10.0.0.3/1"]
    runs.reach_running, runs.errors = True, [error]
    assert main(["run", str(path)]) == 1
    assert len(runs.seen) == 4


def test_a_good_file_that_can_not_run_now_is_not_tried_a_second_time_as_last_good(path: Path, runs: Runs) -> None:
    assert main(["run", str(path)]) == 0
    runs.reach_running, runs.errors = False, [ModelError("gone")]
    assert main(["run", str(path)]) == 1
    assert len(runs.seen) == 2


def test_what_the_machine_has_lost_of_a_configuration_that_ran_is_told_and_the_rest_is_watched(
    path: Path, runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["run", str(path)]) == 0
    monkeypatch.delenv("DOCK_PASSWORD")
    assert main(["run", str(path)]) == 0
    (first, _), (second, origin) = runs.seen
    assert first == second
    assert [problem for problem in origin.health()["problems"] if "DOCK_PASSWORD is not set" in problem]
    assert main(["run", str(path), "--strict"]) == 2


def test_a_configuration_that_never_ran_is_not_kept(path: Path, runs: Runs) -> None:
    runs.reach_running = False
    assert main(["run", str(path)]) == 0
    assert find(path) is None


def test_the_copy_is_private_whole_and_holds_no_secret(path: Path, runs: Runs) -> None:
    assert main(["run", str(path)]) == 0
    kept = path.parent / "state" / "edge" / NAME
    assert kept.stat().st_mode & 0o777 == 0o600
    text = kept.read_text()
    assert "hunter" not in text and "DOCK_PASSWORD" in text
    assert [file.name for file in kept.parent.iterdir()] == [NAME]
    before = kept.stat().st_mtime_ns
    keep(path, load_edge(path), NOW + 60)
    assert kept.stat().st_mtime_ns == before, "the same is not written again with each start"


SPOILT: list[Any] = [
    pytest.param(lambda text: "", id="empty"),
    pytest.param(lambda text: text[:-20], id="cut off"),
    pytest.param(lambda text: text.replace("box-1", "box-2", 1), id="changed"),
    pytest.param(lambda text: "[]", id="a list"),
    pytest.param(lambda text: "[" * 100_000, id="deep"),
    pytest.param(lambda text: " " * 5_000_000, id="too large"),
]


@pytest.mark.parametrize("spoil", SPOILT)
def test_a_copy_that_is_not_whole_is_not_used(path: Path, runs: Runs, spoil: Callable[[str], str]) -> None:
    assert main(["run", str(path)]) == 0
    kept = path.parent / "state" / "edge" / NAME
    kept.write_text(spoil(kept.read_text()))
    path.write_text(GOOD + "x: [")
    assert main(["run", str(path)]) == 2
    path.write_text(GOOD)
    assert main(["run", str(path)]) == 0
    assert find(path) is not None, "it is kept anew"


def test_a_copy_of_another_file_is_not_used(path: Path, runs: Runs) -> None:
    assert main(["run", str(path)]) == 0
    other = path.with_name("other.yaml")
    other.write_text(GOOD + "x: [")
    assert main(["run", str(other)]) == 2


@pytest.mark.parametrize("value", ["'state/edge'", '"state/edge"  # quoted', "state/edge", "./state/../state/edge"])
def test_the_data_folder_is_found_in_a_file_that_can_not_be_parsed(path: Path, runs: Runs, value: str) -> None:
    assert main(["run", str(path)]) == 0
    path.write_bytes(b"\xff{{{ no YAML\n\tat all\ndata_dir: " + value.encode() + b"\r\nsite: [")
    assert find(path) is not None


def test_a_file_cut_off_to_nothing_is_found_by_the_folder_that_systemd_gives(
    path: Path, runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["run", str(path)]) == 0
    path.write_text("")
    assert main(["run", str(path)]) == 2
    monkeypatch.setenv("STATE_DIRECTORY", f"{path.parent / 'state' / 'edge'}:/var/lib/more")
    assert main(["run", str(path)]) == 0


@pytest.mark.parametrize(
    "value", ["{a: 1}", "[x", "*y", "\\0", "'\\0'", '"\\0"', "&", "", "3", "2026-13-45", "!!python/x"]
)
def test_a_data_folder_that_is_none_is_no_crash(tmp_path: Path, value: str) -> None:
    path = tmp_path / "site.yaml"
    path.write_text(f"data_dir: {value}\n[")
    assert find(path) is None


@examples(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(0, len(GOOD)), what=st.binary(max_size=8))
def test_any_slip_outside_that_line_leaves_the_copy_to_be_found(path: Path, at: int, what: bytes) -> None:
    line = GOOD.index("data_dir"), GOOD.index("broker:")
    if line[0] <= at < line[1]:
        return
    path.write_text(GOOD)
    keep(path, load_edge(path), NOW)
    spoilt = GOOD.encode()
    path.write_bytes(spoilt[:at] + what + spoilt[at:])
    assert find(path, {}) is not None


def test_the_shipped_example_survives_being_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("BROKER_PASSWORD", "CAMERA_PASSWORD"):
        monkeypatch.setenv(name, "x")
    path = tmp_path / "site.yaml"
    path.write_text((REPOSITORY / "configs" / "site.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    config = load_edge(path)
    config.data_dir.mkdir(parents=True, exist_ok=True)
    keep(path, config, NOW)
    found = find(path)
    assert found is not None and found.config == config
