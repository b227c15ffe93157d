"""Replay on a Dask cluster of real processes: what is lost with one of them, and what never is."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import suppress
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from detector.cli import main
from detector.config import Analysis
from detector.credentials.cluster import make_cluster_certificate
from detector.errors import ClusterError, ConfigError, MissingPart, StoreError
from detector.machine.progress import Step
from detector.recorded import cluster as cluster_door
from detector.recorded import dask_crew
from detector.recorded.cluster import Access
from detector.recorded.crews import Alone
from detector.recorded.dask_crew import DaskCrew
from detector.recorded.look_files import unpacked
from detector.recorded.looking import LookTask, task_of
from detector.values import Look
from tests.bench import scaling
from tests.parts_dask import DaskCluster, obeyed

CLIPS = Path(__file__).parent / "clips"
GLANCE = Analysis(fps=1, frame_side=160, zooms=0)
PATIENCE_S = 60.0


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaskCluster]:
    """A scheduler, and two workers that come back when they die."""
    made = DaskCluster(tmp_path_factory.mktemp("cluster"))
    made.start(2, nanny=True)
    yield made
    made.stop()


def files(folder: Path, *orders: str) -> list[LookTask]:
    """A task for each order, to be obeyed by the worker that gets it."""
    tasks = []
    for n, order in enumerate(orders):
        path = folder / f"{n}.mp4"
        path.write_text(order)
        tasks.append(task_of(path, "gate", GLANCE))
    return tasks


def seconds_of(tasks: Sequence[LookTask], crew: DaskCrew, steps: list[Step] | None = None) -> dict[str, float]:
    """What came of each file: its seconds, which are the letters of its order; -1 where it was set aside."""
    found: dict[str, float] = {}
    for task, data in crew.results(tasks, (lambda step: None) if steps is None else steps.append):
        assert task.path.name not in found, "a result came twice"
        read = unpacked(data).read
        found[task.path.name] = -1.0 if read.set_aside else read.seconds
    return found


def eventually(what: Callable[[], Any]) -> Any:
    """Wait for something to hold; a file to be there is something, too."""
    until = time.monotonic() + PATIENCE_S
    while True:
        with suppress(FileNotFoundError):
            if found := what():
                return found
        assert time.monotonic() < until
        time.sleep(0.05)


def crew_of(cluster: DaskCluster, **more: Any) -> DaskCrew:
    return DaskCrew(Access(cluster.address, *cluster.files), patience_s=PATIENCE_S, look=obeyed, **more)


def test_a_cluster_finds_what_one_process_finds(cluster: DaskCluster, tmp_path: Path) -> None:
    for name in ("thrown_5_up.mp4", "patch_18_up.mp4"):
        shutil.copy(CLIPS / name, tmp_path)
    (tmp_path / "none.mp4").write_text("not a video at all, only its name says so")
    tasks = [task_of(path, path.stem, GLANCE) for path in sorted(tmp_path.iterdir())]

    def found(crew: Alone | DaskCrew) -> dict[str, Any]:
        looks = {task.name: unpacked(data) for task, data in crew.results(tasks, lambda step: None)}
        return {name: (replace(one.read, cpu_s=0.0), list(map(told, one.looks))) for name, one in looks.items()}

    def told(look: Look) -> tuple[Any, ...]:
        seen = look.detections
        return (
            look.file,
            look.captured_at,
            look.size,
            seen.boxes.tobytes(),
            seen.scores.tobytes(),
            seen.traits.tobytes(),
        )

    ours = found(Alone())
    assert found(DaskCrew(Access(cluster.address), patience_s=PATIENCE_S)) == ours
    assert sum(bool(look[3]) for _, looks in ours.values() for look in looks) > 5, "something was seen"


def test_what_a_worker_killed_with_9_was_at_is_done_by_another(cluster: DaskCluster, tmp_path: Path) -> None:
    tasks = files(tmp_path, "wait", "wait a", *("x" * n for n in range(1, 9)))
    steps: list[Step] = []
    results: dict[str, float] = {}
    thread = threading.Thread(target=lambda: results.update(seconds_of(tasks, crew_of(cluster), steps)))
    thread.start()
    eventually((tmp_path / "1.pid").exists)
    os.kill(int(eventually((tmp_path / "0.pid").read_text)), signal.SIGKILL)
    (tmp_path / "go").touch()
    thread.join(PATIENCE_S)
    assert results == {task.path.name: float(task.size) for task in tasks}
    assert sum(step.bytes for step in steps) == sum(task.size for task in tasks)


def test_a_file_that_kills_and_one_that_hangs_are_set_aside_and_the_rest_is_done(
    cluster: DaskCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dask_crew, "TRIES", 2)
    tasks = files(tmp_path, "die", "fine", "hang", "fine too", "and this")
    steps: list[Step] = []
    found = seconds_of(tasks, crew_of(cluster, silent_s=2.0), steps)
    assert found == {"0.mp4": -1.0, "1.mp4": 4.0, "2.mp4": -1.0, "3.mp4": 8.0, "4.mp4": 8.0}
    assert sum(step.bytes for step in steps) == sum(task.size for task in tasks)


class Enough(Exception):  # noqa: N818
    """No more of it."""


def test_what_nobody_waits_for_any_more_is_left(cluster: DaskCluster, tmp_path: Path) -> None:
    def enough(step: Step) -> None:
        raise Enough

    with pytest.raises(Enough):
        list(crew_of(cluster).results(files(tmp_path, "slow", "slow"), enough))
    (tmp_path / "more").mkdir()
    began = time.monotonic()
    assert seconds_of(files(tmp_path / "more", "a", "b", "c"), crew_of(cluster)) != {}
    assert time.monotonic() - began < 45.0, "workers went on with a minute of work"


def test_workers_that_look_with_something_else_are_named(
    cluster: DaskCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = dask_crew.software(GLANCE) | {"model": "scene (0123456789ab)"}
    monkeypatch.setattr(dask_crew, "software", lambda analysis: ours)
    cluster.await_workers(2)  # one that an earlier test killed may not be back yet
    with pytest.raises(ClusterError) as caught:
        seconds_of(files(tmp_path, "a"), crew_of(cluster))
    told = str(caught.value).splitlines()
    assert len(told) == 3, "each worker is named"
    assert all(line.startswith("  tcp://127.0.0.1:") and "instead of scene (0123456789ab)" in line for line in told[1:])


def test_a_recording_that_workers_do_not_have_is_named_with_them(
    cluster: DaskCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here.mp4").write_text("only here")
    task = task_of(Path("/proc/self/cwd/here.mp4"), "gate", GLANCE)  # for a worker this is in a folder of its own
    with pytest.raises(
        ClusterError, match=r"tcp://127\.0\.0\.1:\d+: /proc/self/cwd/here\.mp4 can't be read there: No such"
    ):
        seconds_of([task], crew_of(cluster))


def test_a_worker_that_has_another_file_of_that_name_is_given_none_until_it_has_this_one(
    cluster: DaskCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(dask_crew, "AGAIN_S", 0.5)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "same.mp4").write_text("here")
    (cluster.folder / "same.mp4").write_text("elsewhere")
    task = task_of(Path("/proc/self/cwd/same.mp4"), "gate", GLANCE)
    found: dict[str, float] = {}
    thread = threading.Thread(target=lambda: found.update(seconds_of([task], crew_of(cluster))))
    thread.start()
    eventually(lambda: "same.mp4 is another file there: 9 bytes instead of 4" in caplog.text)
    shutil.copy(tmp_path / "same.mp4", cluster.folder)
    thread.join(PATIENCE_S)
    assert found == {"same.mp4": 4.0}


def test_workers_without_labelwatch_or_with_an_old_one_are_named(cluster: DaskCluster, tmp_path: Path) -> None:
    old = tmp_path / "detector"
    old.mkdir()
    (old / "__init__.py").write_text("__version__ = '0.0.1'")
    strangers = cluster.start(1, first=str(tmp_path)) + cluster.start(1, first=str(cluster.without_labelwatch()))
    cluster.await_workers(4)
    with pytest.raises(ClusterError) as caught:
        seconds_of(files(tmp_path, "a"), crew_of(cluster))
    for stranger in strangers:
        stranger.kill()
    told = str(caught.value)
    assert "that can't take part (2):" in told
    assert "it has no labelwatch" in told and "labelwatch 0.0.1 " in told


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaskCluster]:
    """A cluster with certificates from `labelwatch certs`."""
    folder = tmp_path_factory.mktemp("guarded")
    assert main(["certs", str(folder / "certs"), "--cluster"]) == 0
    made = DaskCluster(folder, folder / "certs")
    made.start(1)
    yield made
    made.stop()


def test_replay_on_a_cluster_with_certificates_and_no_entry_with_those_of_another(
    guarded: DaskCluster, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "edge.yaml"
    config.write_text(
        "site: test\nedge: edge-01\nanalysis: {fps: 1, frame_side: 160, zooms: 0}\n"
        "cameras: [{name: gate, source: 'rtsp://127.0.0.1/gate'}]\n"
    )

    def replayed(out: str, *certificate: Path) -> int:
        options = zip(("--tls-ca", "--tls-cert", "--tls-key"), map(str, certificate), strict=True)
        return main(
            ["replay", str(CLIPS / "thrown_5_up.mp4"), "--config", str(config), "--out", str(tmp_path / out),
             "--start", "2026-11-01T09:26:00Z", "--scheduler", guarded.address, *chain.from_iterable(options)]
        )  # fmt: skip

    assert replayed("out", *guarded.files) == 0
    assert (tmp_path / "out" / "report.html").exists()
    assert main(["certs", str(tmp_path / "others"), "--cluster"]) == 0
    capsys.readouterr()
    assert replayed("no", *(tmp_path / "others" / file.name for file in guarded.files)) == 1
    assert f"the scheduler at {guarded.address} can't be reached: " in capsys.readouterr().err
    assert replayed("no", *guarded.files[:2], tmp_path / "none.key") == 2
    assert "none.key: No such file or directory" in capsys.readouterr().err


def test_what_a_dead_scheduler_forgot_is_handed_out_anew_and_nothing_else(guarded: DaskCluster, tmp_path: Path) -> None:
    tasks = files(tmp_path, "done", "wait", "a", "wait b")
    results = crew_of(guarded).results(tasks, lambda step: None)
    first, _ = next(results)
    assert first is tasks[0]
    (tmp_path / "0.pid").unlink()
    eventually((tmp_path / "1.pid").exists)
    guarded.kill_scheduler()
    (tmp_path / "go").touch()
    guarded.start(1)
    assert {task.path.name: unpacked(data).read.seconds for task, data in results} == {
        "1.mp4": 4.0, "2.mp4": 1.0, "3.mp4": 6.0,
    }  # fmt: skip
    assert not (tmp_path / "0.pid").exists(), "what was done was done again"


def test_a_scheduler_that_stays_away_ends_the_run_with_what_to_do(
    guarded: DaskCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster_door, "CONNECT_S", 0.5)
    crew = crew_of(guarded)
    tasks = files(tmp_path, "done", "wait")
    results = crew.results(tasks, lambda step: None)
    next(results)
    eventually((tmp_path / "1.pid").exists)
    guarded.kill_scheduler()
    crew.patience_s = 1.0
    with pytest.raises(
        ClusterError, match=r"can't be reached: .*; 1 of 2 files are left.* run the same again with --resume"
    ):
        next(results)
    (tmp_path / "go").touch()
    with pytest.raises(ClusterError, match=rf"the scheduler at {guarded.address} can't be reached"):
        seconds_of(tasks, crew)


def test_a_wait_for_the_scheduler_that_was_broken_off_still_says_what_it_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def waited(*args: object, **options: object) -> None:
        raise OSError("Timed out trying to connect to tcp://127.0.0.1:1 after 10 s") from CancelledError()

    monkeypatch.setattr("distributed.Client", waited)
    with pytest.raises(ClusterError, match=r"can't be reached: Timed out trying to connect to .* after 10 s$"):
        Access("tcp://127.0.0.1:1").connect()


@pytest.mark.parametrize(
    "address",
    ["tcp://10.0.0.2:8786", "tcp://dask.example:8786", "tcp://[2001:db8::1]:8786", "tcp://127.0.0.1.example:8786"],
)
def test_what_is_not_encrypted_stays_on_this_machine(address: str) -> None:
    with pytest.raises(ConfigError, match="whoever reaches it can run programs"):
        Access(address)
    assert Access(address, trusts_network=True).security() is None
    with pytest.raises(ConfigError, match="dask scheduler --host"):  # one of this machine that others reach as well
        Access("tcp://127.0.0.1:8786").refuse_exposed(["tcp://127.0.0.1:8786", address])


@pytest.mark.parametrize(
    "address", ["tcp://127.0.0.1:1", "tcp://localhost:8786", "tcp://[::1]:8786", "tcp://127.9.9.9:1"]
)
def test_this_machine_needs_no_encryption(address: str) -> None:
    assert Access(address).address == address


@pytest.mark.parametrize(
    "address",
    ["", "8786", "127.0.0.1:8786", "tcp://127.0.0.1", "tcp://:8786", "http://127.0.0.1:8786", "tcp://127.0.0.1:x",
     "tcp://127.0.0.1:99999", "tcp://127.0.0.1:8786/x", "inproc://127.0.0.1:1", "tls://a:b@host:1", "tcp://[::1:8786",
     "tcp://\0:1", "tcp://" + "a" * 5000],
)  # fmt: skip
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(ConfigError, match="--scheduler"):
        Access(address)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--trust-network"], "--trust-network: belongs to --scheduler"),
        (["--tls-key", "x"], "--tls-key: belongs to --scheduler"),
        (["--scheduler", "tls://127.0.0.1:1", "--tls-ca", "x"], "--tls-cert: is missing beside --tls-ca"),
        (["--scheduler", "tls://127.0.0.1:1"], "--tls-ca: is missing: tls:// needs"),
        (["--scheduler", "tcp://127.0.0.1:1", "--tls-ca", "x"], "--tls-ca: certificates are for a scheduler at tls://"),
        (["--scheduler", "tcp://127.0.0.1:1", "--jobs", "2"], "--jobs: is of this machine"),
    ],
)
def test_options_that_do_not_fit_are_refused(
    options: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "edge.yaml"
    config.write_text("site: test\nedge: edge-01\ncameras: [{name: gate, source: 'rtsp://127.0.0.1/gate'}]\n")
    code = main(["replay", str(CLIPS), "--config", str(config), "--out", str(tmp_path / "out"), *options])
    assert code == 2 and said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_without_dask_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(MissingPart, match=r"pip install -e '\.\[scale\]'"):
        Access("tcp://127.0.0.1:8786")


def test_the_certificate_of_a_cluster_is_kept_until_it_ends_soon(tmp_path: Path) -> None:
    now = 1_793_505_600.0
    assert make_cluster_certificate(tmp_path / "a", now, 60).made
    before = {file.name: file.read_bytes() for file in (tmp_path / "a").iterdir()}
    assert before.keys() == {"ca.crt", "node.crt", "node.key"}
    assert (tmp_path / "a" / "node.key").stat().st_mode & 0o777 == 0o600
    assert not make_cluster_certificate(tmp_path / "a", now + 86400, 60).made
    assert {file.name: file.read_bytes() for file in (tmp_path / "a").iterdir()} == before
    assert make_cluster_certificate(tmp_path / "a", now + 1050 * 86400, 60).made
    (tmp_path / "a" / "ca.crt").write_text("nothing")
    with pytest.raises(StoreError, match="can't be read"):
        make_cluster_certificate(tmp_path / "a", now, 60)


def test_what_a_task_costs_is_measured_and_no_number_of_workers_beats_what_is_done_one_after_the_other(
    cluster: DaskCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scaling, "EMPTY_TASKS", 12)
    of = scaling.overhead(tmp_path / "empty", cluster, 1000)
    assert 0.0 < of["task_driver_cpu_ms"] < 1e3 * of["task_wall_ms_of_a_worker"]
    of |= {"look_cpu_s_per_hour": 100.0, "judge_cpu_s_per_hour": 2.0, "result_bytes_per_hour": 1e6}
    parts, archive = scaling.parts_of(of), scaling.Archive()
    hours = [scaling.modelled(parts, archive, workers) for workers in scaling.WORKERS]
    assert [of["whole"] for of in hours] == sorted((of["whole"] for of in hours), reverse=True)
    assert hours[0]["looking"] == pytest.approx(720 * 16 * 100 / 3600)
    assert hours[-1]["whole"] > hours[-1]["storage"] == hours[0]["storage"] > 2.0, "all must still be read"
    walls = {f"{kind} {count}": 10.0 / count for kind in ("processes", "dask") for count in (1, 2)}
    found = {"busy": of | {"wall_s": walls, "footage": "much"}}
    assert any(line.endswith("storage") for line in scaling.table(found, archive))
    assert ElementTree.fromstring(scaling.plot(found, archive)).tag.endswith("svg")
