"""The hub as a program: it starts with nothing prepared, and stops when told to."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from argon2 import PasswordHasher

from detector.config import Broker, HubConfig, load_hub
from detector.errors import LabelwatchError, StoreError
from detector.hub.server import PAGES_AT_ONCE, Hub, _greeting, _listening
from tests.builders import SteppedClock
from tests.hub.conftest import NOON, make_hub
from tests.parts_mosquitto import soon

REPOSITORY = Path(__file__).parents[2]
PROGRAM = """
import sys
from pathlib import Path
from detector.config import load_hub
from detector.hub.server import serve
sys.exit(serve(load_hub(Path(sys.argv[1])), port=0))
"""


@contextmanager
def running(folder: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A hub process without a broker in reach, and its address."""
    config = folder / "hub.yaml"
    config.write_text(f"data_dir: data\nbroker: {{port: {free_port()}}}\n")
    command = [sys.executable, "-c", PROGRAM, config]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen(command, cwd=REPOSITORY, **pipes)
    try:
        assert process.stdout
        line = process.stdout.readline()
        found = re.fullmatch(r"labelwatch hub: (http://127\.0\.0\.1:\d+/)\n", line)
        assert found, (line, process.poll())
        yield process, found.group(1)
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdout, process.stderr):
            assert pipe
            pipe.close()


def rest(process: subprocess.Popen[str]) -> tuple[str, str]:
    """What a process that has ended still had to say on its two streams."""
    assert process.stdout and process.stderr
    return process.stdout.read(), process.stderr.read()


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_it_starts_with_nothing_prepared_stops_with_pages_open_and_starts_again(tmp_path: Path) -> None:
    with running(tmp_path) as (process, url):
        login = json.loads((tmp_path / "data/first-login.json").read_text())
        with httpx.Client(base_url=url, headers={"Origin": url.rstrip("/")}) as client:
            assert client.get("healthz").json() == {"ok": True}
            assert client.post("login", data=login).status_code == 303
            with client.stream("GET", "events") as stream:
                assert next(stream.iter_lines()).startswith(":")
                process.send_signal(signal.SIGTERM)
                assert process.wait(timeout=30) == 0
        output, errors = rest(process)
        assert "first-login.json" in output and "password" in output and "Traceback" not in errors
        assert login["password"] not in output, "it isn't a terminal, and may be a log"
    with running(tmp_path) as (process, _url):
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 0
        assert "password" not in rest(process)[0], "only the first start tells of it"


def test_a_person_at_a_terminal_is_shown_the_first_login() -> None:
    hub = SimpleNamespace(url="http://h/", certificate=None, first_login={"user": "owner", "password": "pw7Qx"})
    config = HubConfig(data_dir=Path("data"))
    assert "pw7Qx" in _greeting(hub, config, private=True)  # type: ignore[arg-type]
    assert "pw7Qx" not in _greeting(hub, config, private=False)  # type: ignore[arg-type]


def test_it_needs_no_computer_vision(tmp_path: Path) -> None:
    code = f"""
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {{"cv2", "onnxruntime", "av", "scipy", "openvino"}}:
            raise ImportError(name + " is blocked")
sys.meta_path.insert(0, Blocked())
from pathlib import Path
from detector.config import HubConfig, Broker
from detector.hub.server import Hub
hub = Hub(HubConfig(data_dir=Path({str(tmp_path / "data")!r}), broker=Broker(port={free_port()})), port=0)
hub.start()
hub.stop()
others = [name for name in sys.modules if name.startswith("detector.")]
allowed = {{
    "values", "geometry", "clock", "errors", "names", "facts", "findings", "sentences", "shifts", "census",
    "plain_yaml", "config", "wire", "credentials", "machine", "media", "mqtt", "hub", "version",
}}
assert {{name.split(".")[1] for name in others}} <= allowed, others
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=REPOSITORY, timeout=120)


def test_a_port_that_is_taken_is_an_error_with_words(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(
            LabelwatchError, match=f"can't listen on 127.0.0.1:{port}: another program has .* take another"
        ):
            Hub(HubConfig(data_dir=tmp_path / "data"), port=port)


def test_an_address_of_another_machine_is_an_error_with_words(tmp_path: Path) -> None:
    with pytest.raises(LabelwatchError, match=r"can't listen on 192\.0\.2\.1:0: this machine has no such address"):
        Hub(HubConfig(data_dir=tmp_path / "data", host="192.0.2.1"), port=0)


def test_no_piece_of_an_answer_waits_until_the_one_before_is_acknowledged() -> None:
    with _listening("127.0.0.1", 0) as server, socket.create_connection(server.getsockname()):
        connection, _ = server.accept()
        with connection:
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_however_many_ask_for_pages_so_many_and_no_more_are_in_the_making(tmp_path: Path) -> None:
    hub = make_hub(HubConfig(data_dir=tmp_path, broker=Broker(port=free_port())))
    hub.start()
    before = set(threading.enumerate())

    def at_work() -> int:
        return sum("AnyIO" in thread.name for thread in set(threading.enumerate()) - before)

    with ThreadPoolExecutor(2 * PAGES_AT_ONCE) as people:
        with hub.store.database.writing():  # whoever asks whether it can be written has to wait
            answers = [people.submit(httpx.get, f"{hub.url}readyz", timeout=60) for _ in range(2 * PAGES_AT_ONCE)]
            assert soon(lambda: at_work() >= PAGES_AT_ONCE)
            time.sleep(0.3)
            assert at_work() == PAGES_AT_ONCE
        assert {answer.result().status_code for answer in answers} <= {200, 503}
    hub.stop()


def test_a_data_folder_that_cannot_be_made_is_an_error_with_words(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="can't be made"):
        Hub(HubConfig(data_dir=tmp_path / "file" / "data"), port=0)


def test_a_data_folder_that_cannot_be_written_is_an_error_with_words(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/clips").write_text("in the way")
    with pytest.raises(StoreError, match="can't be written"):
        Hub(HubConfig(data_dir=tmp_path / "data"), port=0)


def test_stopping_twice_and_without_starting_is_fine(tmp_path: Path) -> None:
    cheap = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
    hub = Hub(HubConfig(data_dir=tmp_path / "data", broker=Broker(port=free_port())), port=0, hasher=cheap)
    hub.stop()
    hub.stop()


def test_a_hub_starts_with_nothing_that_it_heard_from_ahead(tmp_path: Path, envelope: Any) -> None:
    config = HubConfig(data_dir=tmp_path / "data", broker=Broker(port=free_port()))
    cheap = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
    hub = Hub(config, port=0, hasher=cheap, clock=SteppedClock(NOON + 8 * 3600))
    hub.store.edges.set_status("shanghai", "box1", "online", NOON + 8 * 3600)
    hub.stop()
    hub = Hub(config, port=0, hasher=cheap, clock=SteppedClock(NOON))
    assert [edge.state_at for edge in hub.store.edges.all()] == [NOON]
    hub.stop()


def test_an_event_stream_honours_last_event_id(tmp_path: Path, envelope: Any) -> None:
    cheap = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
    hub = Hub(HubConfig(data_dir=tmp_path / "data", broker=Broker(port=free_port())), port=0, hasher=cheap)
    try:
        hub.start()
        assert hub.first_login
        for n in range(1, 5):
            hub.store.add_alerts([envelope(n, incident=f"inc-{n}")], time.time())
        with httpx.Client(base_url=hub.url, headers={"Origin": hub.url.rstrip("/")}) as client:
            client.post("login", data=hub.first_login)
            with client.stream("GET", "events?after=0", headers={"Last-Event-ID": "3"}) as stream:
                lines = stream.iter_lines()
                assert stream.headers["content-type"].startswith("text/event-stream")
                assert next(line for line in lines if line.startswith("id:")) == "id: 4"
                hub.store.verdicts.add("inc-1", "owner", "true", "", time.time())
                hub.live.poke()
                assert next(line for line in lines if line.startswith("id:")) == "id: 5"
            assert httpx.get(hub.url + "events").status_code == 401
    finally:
        hub.stop()


def test_the_example_configuration_is_right(monkeypatch: pytest.MonkeyPatch) -> None:
    text = (REPOSITORY / "configs/hub.yaml").read_text()
    for key in HubConfig.model_fields:
        assert f"{key}:" in text, f"{key} is not explained"
    for name in re.findall(r"^\s*#?\s*\w+_env: (\w+)", text, re.M):
        monkeypatch.setitem(os.environ, name, "secret")
    assert load_hub(REPOSITORY / "configs/hub.yaml").language == "zh"
