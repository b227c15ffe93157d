"""The systemd units: hard enough, true to the program, and no harder than it can live with."""

from __future__ import annotations

import ctypes.util
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
import yaml

from detector.cli import build_parser
from detector.clock import SystemClock
from detector.config import load_edge
from detector.credentials import certs
from detector.credentials.certs import make_certificates
from detector.edge.joining import join
from detector.edge.last_good import NAME
from detector.mqtt.broker import free_port
from tests.conftest import REPOSITORY, let_others_come, part_missing
from tests.parts_mosquitto import soon
from tests.parts_systemd import settings, system_calls

UNITS = sorted((REPOSITORY / "configs" / "systemd").glob("*.service"))
# Of 10; below 2 systemd calls it well. The edge's worker must see its readers, which nobody can look into; and to ask
# the kernel about its clock takes calls that would set it, had the service the capability.
WORST = {"labelwatch-edge": 1.5, "labelwatch-hub": 1.6}
ABOUT_THE_CLOCK = """
import time
from detector.clock import kernel_clock
assert kernel_clock() is not None
try:
    time.clock_settime(time.CLOCK_REALTIME, time.time())
except PermissionError:
    print("asked, and not set")
"""


@pytest.fixture
def analyze() -> str:
    found = shutil.which("systemd-analyze")
    if found is None:
        part_missing("systemd-analyze", "systemd")
    return str(found)


def test_there_is_a_unit_for_each_part() -> None:
    assert {unit.stem for unit in UNITS} == WORST.keys()


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_its_score_holds_and_systemd_knows_every_key(unit: Path, analyze: str) -> None:
    threshold = str(round(WORST[unit.stem] * 10))
    command = [analyze, "security", "--offline=true", "--no-pager", f"--threshold={threshold}", str(unit)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-300:] + done.stderr
    told = subprocess.run([analyze, "verify", str(unit)], capture_output=True, text=True, check=False).stderr
    # That the program isn't installed here is no fault of the unit.
    assert [line for line in told.splitlines() if "is not executable: No such file" not in line] == []


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_what_it_starts_exists_and_what_it_promises_is_kept(unit: Path) -> None:
    found = settings(unit)
    program, *arguments = shlex.split(found["ExecStart"][0])
    assert Path(program).name == "labelwatch"
    options = build_parser().parse_args(arguments)
    example = REPOSITORY / "configs" / Path(options.config).name
    assert yaml.safe_load(example.read_text(encoding="utf-8")), "the example that people copy has this name"
    assert found["Type"] == ["notify"] and found["Restart"] == ["always"]
    assert f"data_dir: /var/lib/{found['StateDirectory'][0]}" in unit.read_text(encoding="utf-8")
    credentials = {line.partition(":")[0] for line in found.get("LoadCredential", [])}
    assert credentials == set(), "secrets are the installer's to name"
    assert any("一" <= letter <= "鿿" for letter in unit.read_text(encoding="utf-8"))


def test_the_broker_s_own_service_starts_what_certs_made(tmp_path: Path, analyze: str) -> None:
    shipped = REPOSITORY / "configs" / "systemd" / "mosquitto.service.d"
    (folder,) = settings(REPOSITORY / "configs" / "systemd" / "labelwatch-hub.service")["ReadWritePaths"]
    started = f"/usr/sbin/mosquitto -c {folder.lstrip('-')}/broker/mosquitto.conf"
    assert settings(shipped / "labelwatch.conf")["ExecStart"] == ["", started]
    theirs = next(Path("/").glob("usr/lib/systemd/system/mosquitto.service"), None)
    if theirs is None:
        part_missing("mosquitto.service", "mosquitto")
    assert theirs is not None
    shutil.copy(theirs, tmp_path)
    shutil.copytree(shipped, tmp_path / shipped.name)
    command = [analyze, "verify", str(tmp_path / theirs.name)]
    verified = subprocess.run(command, capture_output=True, text=True, check=False)
    assert verified.returncode == 0 and str(tmp_path) not in verified.stderr, verified.stderr


EDGE = """\
site: north
edge: box-1
data_dir: state
broker: {{host: 127.0.0.1, port: {port}}}
cameras:
  - {{name: clip, source: {clip}, loop: true}}
  - {{name: live, source: "rtsp://127.0.0.1:{port}/x"}}
"""


@pytest.fixture
def state(tmp_path: Path, analyze: str) -> Path:
    """An empty state folder of a service, where its limits can be imitated."""
    if os.geteuid() != 0:
        pytest.skip("only root can take so much away: run as root")
    if subprocess.run(["unshare", "--mount", "--ipc", "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine gives no namespaces: run where it does, such as a virtual machine")
    if ctypes.util.find_library("seccomp") is None:
        part_missing("libseccomp", "systemd")
    let_others_come(tmp_path)
    (tmp_path / "state").mkdir()
    return tmp_path / "state"


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_each_may_ask_the_kernel_about_its_clock_and_not_set_it(unit: Path, state: Path) -> None:
    assert "ProtectClock" not in settings(unit), "which forbids to ask as well"
    command = [sys.executable, "-m", "tests.parts_systemd", str(unit), str(state), sys.executable, "-c"]
    done = subprocess.run([*command, ABOUT_THE_CLOCK], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.stdout == "asked, and not set\n", done.stderr


def test_the_worker_lives_within_what_the_unit_allows(tmp_path: Path, state: Path) -> None:
    unit = REPOSITORY / "configs" / "systemd" / "labelwatch-edge.service"
    assert {"socket", "execve", "prlimit64"} <= system_calls(settings(unit)["SystemCallFilter"])
    config = state / "site.yaml"
    clip = REPOSITORY / "configs" / "demo" / "sweep_near.mp4"
    config.write_text(EDGE.format(port=free_port(), clip=clip))
    command = [
        sys.executable, "-m", "tests.parts_systemd", str(unit), str(state),
        sys.executable, "-m", "detector", "run", str(config), "--strict",
    ]  # fmt: skip
    log = tmp_path / "log"
    with log.open("wb") as errors, subprocess.Popen(command, cwd=REPOSITORY, stderr=errors) as worker:
        try:
            # By then it has looked at frames for seconds.
            assert soon(lambda: (state / "state" / NAME).exists() or worker.poll() is not None, 90), log.read_text()
            assert soon(lambda: "trouble=unreachable" in log.read_text()), "its reader's process tried"
            worker.send_signal(signal.SIGTERM)
            assert worker.wait(30) == 0, log.read_text()
        finally:
            worker.kill()
    told = log.read_text()
    assert {"outbox.db", "identity.key", NAME} <= {file.name for file in (state / "state").iterdir()}, told
    assert "Traceback" not in told and "not permitted" not in told and "Read-only" not in told, told


def test_the_hub_lets_boxes_in_and_shuts_them_out_within_what_the_unit_allows(
    tmp_path: Path, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(certs, "HUB_USER", "nobody")
    folder, unit = tmp_path / "certs", tmp_path / "labelwatch-hub.service"
    make_certificates(folder, ["broker.lan"], [], SystemClock().now())
    shipped = REPOSITORY / "configs" / "systemd" / unit.name
    unit.write_text(shipped.read_text(encoding="utf-8").replace("/etc/labelwatch/certs", str(folder)))
    config, edge = state / "hub.yaml", tmp_path / "site.yaml"
    files = {"ca_file": "ca.crt", "cert_file": "client.crt", "key_file": "client.key"}
    broker = {"port": free_port(), **{key: str(folder / "hub" / file) for key, file in files.items()}}
    config.write_text(yaml.safe_dump({"data_dir": "state", "port": 0, "certs_dir": str(folder), "broker": broker}))
    edge.write_text("site: north\nedge: box-1\ncameras: [{name: dock, source: dock.mp4}]\n")
    command = [
        sys.executable, "-m", "tests.parts_systemd", str(unit), str(state),
        sys.executable, "-m", "detector", "hub", str(config), "--lan",
    ]  # fmt: skip
    log = tmp_path / "log"
    with log.open("wb") as told, subprocess.Popen(command, cwd=REPOSITORY, stdout=told, stderr=told) as hub:
        try:
            found = soon_match(r"labelwatch hub: https://[^/]*:(\d+)/", log, hub)
            address = f"https://127.0.0.1:{found[1]}"
            login = json.loads((state / "state" / "first-login.json").read_text())
            headers = {"Sec-Fetch-Site": "same-origin"}
            with httpx.Client(base_url=address, headers=headers, trust_env=False, verify=False) as browser:
                assert browser.post("/login", data=login).status_code == 303
                page = browser.post("/edges/codes", data={"site": "north", "edge": "box-1"}).text
                code = re.search(r'class="secret code"[^>]*>([0-9A-Z-]+)<', page)
                assert code, page
                joined = join(address, code[1], load_edge(edge), SystemClock())
                assert joined.trouble is None and "cert_file" in joined.missing["broker"]
                before = (folder / "revoked" / "revoked.crl").read_bytes()
                assert browser.post("/edges/north/box-1/revoke").status_code == 303
                assert (folder / "revoked" / "revoked.crl").read_bytes() != before
                assert (folder / "revoked" / "revoked.crl").stat().st_mode & 0o004, "the broker is another user"
            assert soon(lambda: "do not come in: the connection is refused" in log.read_text()), (
                "it could read what it connects by"
            )
            hub.send_signal(signal.SIGTERM)
            assert hub.wait(60) == 0, log.read_text()
        finally:
            hub.kill()
    said = log.read_text()
    assert "Traceback" not in said and "not permitted" not in said and "Read-only" not in said, said


def soon_match(form: str, log: Path, program: subprocess.Popen[bytes]) -> re.Match[str]:
    """What a program says, once it has."""
    assert soon(lambda: re.search(form, log.read_text()) or program.poll() is not None, 90), log.read_text()
    found = re.search(form, log.read_text())
    assert found, log.read_text()
    return found
