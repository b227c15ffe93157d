"""The demo as a user runs it: a process whose output, exit status and traces are looked at."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import httpx
import pytest
import yaml

from detector.cli import main
from detector.config import check_edge, load_edge
from detector.demo import stored_since
from detector.errors import StoreError
from detector.hub.storage.store import Store
from tests.alerts.conftest import make_fields
from tests.conftest import REPOSITORY
from tests.parts_mosquitto import soon

SHIPPED = REPOSITORY / "configs" / "demo"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`models/` and `configs/` as shipped, but a clip of two seconds."""
    home = tmp_path_factory.mktemp("home")
    (home / "models").symlink_to(REPOSITORY / "models")
    (home / "configs" / "demo").mkdir(parents=True)
    shutil.copy(SHIPPED / "demo.yaml", home / "configs" / "demo")
    with av.open(str(SHIPPED / "sweep_near.mp4")) as whole:
        video = whole.streams.video[0]
        with av.open(str(home / "configs" / "demo" / "sweep_near.mp4"), "w") as part:
            stream = part.add_stream_from_template(video)
            for packet in whole.demux(video):
                if packet.pts is not None and packet.pts * packet.time_base < 2:
                    packet.stream = stream
                    part.mux(packet)
    return home


@pytest.fixture
def demo(home: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts `labelwatch demo`; what still runs at the end is killed."""
    started: list[subprocess.Popen[str]] = []

    def start(arguments: str, *command: str) -> subprocess.Popen[str]:
        command = command or (sys.executable, "-m", "detector", "demo", *arguments.split())
        environment = {**os.environ, "LABELWATCH_HOME": str(home)}
        started.append(
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
        )
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_once_with_json_prints_json_alone_and_leaves_nothing(
    demo: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    process = demo(f"--once --json --data {tmp_path}")
    out, err = process.communicate(timeout=150)
    assert process.returncode == 0, err
    summary = json.loads(out)
    assert summary["frames"] > 0
    assert summary["stored"] == summary["published"]
    assert summary["incidents"].keys() <= {
        "label_photography",
        "orientation_pattern",
        "lingering",
        "blind_corner",
        "tamper",
    }
    assert {"page", "clips", "broker"} <= summary.keys()
    assert "the clip plays once" in err
    with pytest.raises(httpx.ConnectError):
        httpx.get(summary["page"], trust_env=False)
    for secret in ("edge.yaml", "hub.yaml", "hub.log", "hub/first-login.json", "edge/identity.key"):
        assert (tmp_path / secret).stat().st_mode & 0o077 == 0, secret


def stay(
    demo: Callable[..., subprocess.Popen[str]], folder: Path, *started_by: str
) -> tuple[subprocess.Popen[str], str]:
    """A demo that stays until told, and the address of its page; `started_by` runs the command that follows it."""
    script = "import sys; from pathlib import Path; from detector.demo import run_demo;"
    script += "sys.exit(run_demo(once=False, as_json=False, data_dir=Path(sys.argv[1])))"
    process = demo("", *started_by, sys.executable, "-c", script, str(folder))
    assert process.stdout is not None
    page = login = ""
    for line in process.stdout:
        page = line.removeprefix("page: ").strip() if line.startswith("page: ") else page
        login = line if line.startswith("login: owner  password: ") else login
        if line.startswith("Ctrl-C"):
            break
    assert login
    assert httpx.get(page, follow_redirects=True, trust_env=False).status_code == 200
    return process, page


def is_gone(page: str) -> bool:
    try:
        httpx.get(page, trust_env=False)
    except httpx.HTTPError:
        return True
    return False


def test_a_walk_test_is_filmed_by_the_edge_and_looked_at_on_the_hubs_page(
    demo: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    _, page = stay(demo, tmp_path)
    login = json.loads((tmp_path / "hub" / "first-login.json").read_text())
    browser = {"Sec-Fetch-Site": "same-origin"}
    with httpx.Client(base_url=page, headers=browser, follow_redirects=True, trust_env=False, timeout=30) as owner:
        assert owner.post("/login", data=login).status_code == 200
        tests = "/cameras/demo/demo/cam-03/tests"
        assert soon(lambda: 'value="begin"' in owner.get(tests).text, 60)  # the camera is seen
        begun = owner.post(tests, data={"do": "begin"}).text
        time.sleep(2.0)
        owner.post(
            tests, data={"do": "end", "parcels": "2", "test": re.findall(r'name="test" value="(\d+)"', begun)[0]}
        )
        assert soon(lambda: f"{tests}/1" in owner.get(tests).text, 60)
        shown = owner.get(f"{tests}/1").text
        clip = owner.get(re.findall(r'src="(/clips/walk-[0-9a-f]{16}/0/play)"', shown)[0])
        assert clip.headers["content-type"] == "video/mp4" and clip.content[4:8] == b"ftyp"


# By nohup, tests and all that they start are deaf to a closed terminal.
HEARING = (
    sys.executable, "-c",
    "import os, signal, sys; signal.signal(signal.SIGHUP, signal.SIG_DFL); os.execv(sys.argv[1], sys.argv[1:])",
)  # fmt: skip


@pytest.mark.parametrize(
    ("how", "started_by"),
    [
        (signal.SIGTERM, ()),
        (signal.SIGHUP, HEARING),
        (signal.SIGINT, ("sh", "-c", 'trap "" INT; exec "$@"', "sh")),  # deaf to it, as shells start the background
    ],
    ids=["SIGTERM", "a closed terminal", "Ctrl-C"],
)
def test_told_to_stop_it_stops_everything_cleanly(
    demo: Callable[..., subprocess.Popen[str]], tmp_path: Path, how: signal.Signals, started_by: tuple[str, ...]
) -> None:
    process, page = stay(demo, tmp_path, *started_by)
    process.send_signal(how)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert "Traceback" not in err
    assert is_gone(page)


def test_killed_by_force_it_leaves_nothing_running(demo: Callable[..., subprocess.Popen[str]], tmp_path: Path) -> None:
    process, page = stay(demo, tmp_path)
    process.kill()
    assert soon(lambda: is_gone(page))


def test_a_part_that_does_not_come_up_is_one_clear_error(
    demo: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    (tmp_path / "broker").mkdir()
    (tmp_path / "hub").write_text("a file where the hub wants its folder")
    process = demo(f"--once --json --data {tmp_path}")
    out, err = process.communicate(timeout=150)
    assert (process.returncode, out) == (1, "")
    assert "labelwatch: the hub does not come up" in err


def test_a_folder_that_holds_a_hub_of_somebodys_own_is_left_as_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "hub.yaml").write_text("data_dir: hub\n")
    (tmp_path / "hub").mkdir()
    assert main(["demo", "--once", "--data", str(tmp_path)]) == 2
    assert f"--data: holds other things: {tmp_path}" in capsys.readouterr().err
    assert (tmp_path / "hub.yaml").read_text() == "data_dir: hub\n"
    assert {path.name for path in tmp_path.iterdir()} == {"hub.yaml", "hub"}


def test_the_shipped_configuration_is_fine() -> None:
    path = SHIPPED / "demo.yaml"
    config = load_edge(path)
    assert check_edge(config, path) == []
    assert [(zone.name, zone.kind) for zone in config.cameras[0].zones] == [("bulk", "storage")]
    assert yaml.safe_load(path.read_text(encoding="utf-8"))["cameras"][0]["loop"] is True


def test_the_shipped_clip_has_times_that_increase() -> None:
    with av.open(str(SHIPPED / "sweep_near.mp4")) as clip:
        times = [frame.time for frame in clip.decode(video=0)]
    assert times == sorted(set(times))
    assert len(times) == 120
    assert times[-1] == pytest.approx(119 / 6)


def test_what_is_counted_is_what_the_hub_holds_of_this_run(tmp_path: Path) -> None:
    database = tmp_path / "a folder" / "hub.sqlite"
    database.parent.mkdir()
    store = Store(f"sqlite:///{database}")
    for n, (incident, at) in enumerate([("old", 100.0), ("i1", 200.0), ("i1", 201.0), ("i2", 202.0)]):
        fields = make_fields(incident, id=f"{n}", seq=n, epoch="e", sent_at="", sent_at_unix=at, signature="")
        fields["after"]["kind"] = "lingering" if incident == "i2" else "label_photography"
        fields["after"]["ended_at_unix"] = at - 0.5
        store.add_alerts([fields], at)
    assert stored_since(database, 150.0) == {
        "frame_to_hub_s": 0.5,
        "incidents": {"label_photography": 1, "lingering": 1},
        "stored": 3,
        "clips": 0,
    }
    store.close()
    with pytest.raises(StoreError):
        stored_since(tmp_path / "nothing.sqlite", 0.0)
    assert not (tmp_path / "nothing.sqlite").exists()
