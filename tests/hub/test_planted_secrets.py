"""A whole run with planted secrets and label text, through trouble of every kind, and then a search for them."""

from __future__ import annotations

import gzip
import io
import json
import os
import re
import secrets
import signal
import subprocess
import sys
import zipfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import av
import httpx
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from sqlalchemy import MetaData, create_engine, text

from tests.conftest import REPOSITORY
from tests.hub.test_server import free_port
from tests.parts_mosquitto import Mosquitto, soon
from tests.parts_needles import Needle, files_of, finds
from tests.sources.conftest import RtspServer
from tests.sources.footage import make_video

LABEL = "王小明13912345678"  # what a label bears
CLIP = REPOSITORY / "configs" / "demo" / "sweep_near.mp4"
FIRST_S = 3.5  # of the clip: somebody lingers, and takes the first photo


def planted(name: str) -> str:
    return f"zq{name}{secrets.token_hex(8)}"


def cut_with_label(out: Path) -> Path:
    """The beginning of the demo's clip, with label text as title, comment and file name."""
    with av.open(str(CLIP)) as source, av.open(str(out), "w") as made:
        made.metadata.update({"title": LABEL, "comment": LABEL})
        stream = made.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None and float(packet.pts * packet.time_base) < FIRST_S:
                packet.stream = stream
                made.mux(packet)
    return out


class Program:
    """`labelwatch …` in a process of its own, with its output in a file."""

    def __init__(self, folder: Path, name: str, *arguments: object, env: dict[str, str]) -> None:
        self.log = folder / f"{name}.log"
        with self.log.open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "detector", *map(str, arguments)],
                stdout=out, stderr=out, cwd=folder, env={**os.environ, "PYTHONPATH": str(REPOSITORY), **env},
            )  # fmt: skip

    def said(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


class Run:
    """Camera, broker, hub and edge, their secrets, and what they said."""

    def __init__(self, folder: Path, database: str, stack: ExitStack) -> None:
        self.folder = folder
        self.stack = stack
        names = ("camera", "wrongcamera", "hubbroker", "edgebroker", "database", "notice", "newpassword")
        self.secret = {name: planted(name) for name in names}
        self.haystack: dict[str, bytes] = {}
        self.heard: list[tuple[str, bytes]] = []
        self.programs: list[Program] = []
        self.pids: set[int] = set()
        self.database = database.replace("hub@", f"hub:{self.secret['database']}@")
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.env = {
            "CAMERA_PASSWORD": self.secret["camera"],
            "WRONG_PASSWORD": self.secret["wrongcamera"],
            "HUB_DATABASE": self.database,
        }
        video = make_video(folder / "camera.h264", seconds=2, fps=15, key_every=15, form="h264")
        self.camera = RtspServer(video, ("guard", self.secret["camera"]))
        self.camera.start()
        stack.callback(self.camera.kill)
        self.broker = Mosquitto(folder, f"password_file {folder}/users\nallow_anonymous false")
        stack.callback(self.broker.kill)
        self.observer = planted("observer")
        for name in ("hub", "edge"):
            (folder / f"{name}-broker").write_text(self.secret[f"{name}broker"] + "\n")
        self._configure()

    def _configure(self) -> None:
        broker = {"host": "127.0.0.1", "port": self.broker.port}
        rtsp = {"source": self.camera.url, "username": "guard"}
        edge: dict[str, Any] = {
            "site": "north", "edge": "box-1", "data_dir": "edge", "hub": {"url": self.url},
            "calendar": {"shifts": [{"name": "never", "begins": "00:00", "ends": "00:01", "days": ["mon"]}]},
            "broker": {**broker, "username": "edge", "password_file": "edge-broker"},
            "cameras": [
                {"name": "cam-1", "source": str(cut_with_label(self.folder / f"{LABEL}.mp4")), "loop": True},
                {"name": "cam-2", **rtsp, "password_env": "CAMERA_PASSWORD"},
                {"name": "cam-3", **rtsp, "password_env": "WRONG_PASSWORD"},
            ],
            "analysis": {"fps": 2.0, "frame_side": 416, "zooms": 1},
            "rules": {"lingering": {"after_s": 1.0, "crouched_after_s": 1.0}},
            "incidents": {"join_s": 1.0, "post_roll_s": 0.5, "longest_s": 2.0},
        }  # fmt: skip
        hub: dict[str, Any] = {
            "data_dir": "hub", "port": self.port, "database_env": "HUB_DATABASE", "retention": {"reserve_gb": 0},
            "enrolment": "first_sight", "broker": {**broker, "username": "hub", "password_file": "hub-broker"},
        }  # fmt: skip
        camera = {**edge["cameras"][1], "source": f"rtsp://guard:{self.secret['camera']}@127.0.0.1:{free_port()}/x"}
        bad_edge = {**edge, "cameras": [camera], "password": self.secret["edgebroker"]}
        gone = f"postgresql+psycopg://hub:{self.secret['database']}@127.0.0.1:{free_port()}/hub"
        for name, tree in {
            "edge": edge, "hub": hub, "bad-edge": bad_edge, "bad-hub": {**hub, "database": gone, "data_dir": "bad"},
            "away-hub": {**hub, "database_env": "AWAY", "data_dir": "away"},
        }.items():  # fmt: skip
            (self.folder / f"{name}.yaml").write_text(json.dumps(tree, ensure_ascii=False))
        self.env["AWAY"] = gone

    def start(self, name: str, *arguments: object) -> Program:
        program = Program(self.folder, name, *arguments, env=self.env)
        self.programs.append(program)
        self.stack.callback(program.stop)
        return program

    def listen(self, *, right: bool) -> None:
        """Start the broker, with the passwords that hub and edge have or with others."""
        for n, (user, password) in enumerate([
            ("hub", self.secret["hubbroker"]), ("edge", self.secret["edgebroker"]), ("observer", self.observer)
        ]):  # fmt: skip
            given = password if right or user == "observer" else "another"
            make = ["mosquitto_passwd", *(["-c"] if n == 0 else []), "-b", str(self.folder / "users"), user, given]
            subprocess.run(make, check=True, capture_output=True)
        self.broker.start()

    def observe(self) -> None:
        client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
        client.username_pw_set("observer", self.observer)
        client.on_connect = lambda *_: client.subscribe("#", qos=1)
        client.on_message = lambda _client, _data, message: self.heard.append((message.topic, message.payload))
        client.connect("127.0.0.1", self.broker.port)
        client.loop_start()
        self.stack.callback(client.loop_stop)
        self.stack.callback(client.disconnect)

    def look_at_processes(self) -> None:
        """The command lines of all programs and their children, which everybody on the machine may read."""
        ours = {program.process.pid for program in self.programs}
        for place in Path("/proc").glob("[0-9]*"):
            try:
                parent = int(place.joinpath("stat").read_text().rpartition(")")[2].split()[1])
                if int(place.name) in ours or parent in ours:
                    self.haystack[f"cmdline/{place.name}"] = place.joinpath("cmdline").read_bytes()
            except (OSError, ValueError):  # it has ended meanwhile
                continue

    def dumped(self) -> bytes:
        """Every row of the hub's database."""
        engine = create_engine(self.database)
        tables = MetaData()
        tables.reflect(engine)
        with engine.connect() as connection:
            rows = [repr(row) for table in tables.sorted_tables for row in connection.execute(table.select())]
        engine.dispose()
        return "\n".join(rows).encode()


class Office:
    """A browser at the hub, and a program with an API token; keeps all that they were answered."""

    def __init__(self, run: Run, login: dict[str, str]) -> None:
        self.run = run
        self.web = httpx.Client(base_url=run.url, headers={"Origin": run.url}, timeout=60)
        self.post("/login", {"user": run.secret["newpassword"], "password": "typed into the wrong field"}, status=401)
        self.post("/login", {"user": login["user"], "password": run.secret["wrongcamera"]}, status=401)
        self.post("/login", login)
        self.post("/account/password", {"old": login["password"], "new": run.secret["newpassword"]})
        self.post("/login", {"user": login["user"], "password": run.secret["newpassword"]})
        self.session = self.web.cookies["labelwatch"]
        made = self.web.post("/tokens", data={"name": "scripts", "role": "viewer", "where": "everywhere", "days": "9"})
        self.token = re.findall(r"lw_[\w-]{40,}", made.text)[0]  # shown this once, and so not kept here
        self.api = httpx.Client(base_url=run.url, headers={"Authorization": f"Bearer {self.token}"}, timeout=60)
        notice = {"name": "robot", "service": "webhook", "language": "zh", "picture": "1"}
        self.post("/notices/targets", {**notice, "url": f"http://127.0.0.1:{free_port()}/{run.secret['notice']}"})
        self.post("/notices/targets/1/test", {}, status=200)

    def post(self, path: str, fields: dict[str, str], status: int = 303) -> httpx.Response:
        answer = self.web.post(path, data=fields)
        assert answer.status_code == status, (path, answer.status_code, answer.text)
        self.keep(f"web/post{path}", answer)
        return answer

    def get(self, path: str, by: httpx.Client | None = None) -> httpx.Response:
        answer = (by or self.web).get(path)
        self.keep(f"web/get{path}", answer)
        return answer

    def keep(self, place: str, answer: httpx.Response) -> None:
        headers = [f"{name}: {value}" for name, value in answer.headers.items() if name != "set-cookie"]
        self.run.haystack[place] = "\n".join(headers).encode() + b"\n"
        self.run.haystack[f"{place}#body"] = answer.content

    def with_clip(self) -> str | None:
        """An incident whose recording has come."""
        listed = self.get("/api/incidents", self.api).json()["incidents"]
        return next((one["id"] for one in listed if self.web.get(f"/clips/{one['id']}/0").status_code == 200), None)

    def look_around(self, incident: str) -> None:
        for path in ("/", "/digest", "/day", "/weeks", "/review", "/cases", "/cameras", "/tuning", "/health", "/people",
                     "/retention", "/audit", "/notices", "/notices/log", "/account", "/metrics", "/healthz", "/readyz",
                     f"/incidents/{incident}", f"/clips/{incident}/0", f"/clips/{incident}/0/side",
                     f"/incidents/{incident}/snapshot"):  # fmt: skip
            assert self.get(path).status_code == 200, path
        for path in ("/api/openapi.json", f"/api/incidents/{incident}", "/api/cameras", "/api/stats", "/api/nothing"):
            self.get(path, self.api)
        self.web.get(f"/api/incidents?token={self.token}", headers={"Authorization": f"Bearer {self.token}x"})

    def break_the_database(self) -> None:
        """For a moment a table isn't there: pages fail with a traceback in the log."""
        engine = create_engine(self.run.database)
        for table in ("incidents", "sessions"):
            for old, new in ((table, "gone"), ("gone", table)):
                with engine.begin() as connection:
                    connection.execute(text(f"ALTER TABLE {old} RENAME TO {new}"))
                if new == "gone":
                    assert self.get("/").status_code == 500
                    self.web.post("/login", data={"user": "owner", "password": self.run.secret["newpassword"]})
        engine.dispose()

    def hand_over(self, incident: str) -> bytes:
        """An evidence pack of a case."""
        case = self.post("/cases/add", {"title": "first", "incidents": incident}).headers["location"].partition("#")[0]
        self.post(f"{case}/pack", {})
        assert soon(lambda: self.web.get(f"{case}/packs/1").status_code == 200)
        return self.get(f"{case}/packs/1").content


def test_no_secret_and_no_label_is_found_after_a_run_through_trouble(
    postgres: Callable[[], str], tmp_path: Path
) -> None:
    with ExitStack() as stack:
        run = Run(tmp_path, postgres(), stack)
        hub = run.start("hub", "-v", "hub", "hub.yaml")
        edge = run.start("edge", "-v", "run", "edge.yaml")
        refused = [
            run.start("bad-edge", "run", "bad-edge.yaml"),
            run.start("bad-check", "check", "bad-edge.yaml", "--json"),
            run.start("bad-hub", "check", "bad-hub.yaml"),
            run.start("away-hub", "-v", "audit", "head", "away-hub.yaml"),
        ]
        replay = run.start("replay", "replay", f"{LABEL}.mp4", "--config", "edge.yaml", "--out", "replayed")
        run.listen(right=False)
        assert soon(lambda: all("authori" in one.said().lower() for one in (hub, edge)), 60)
        run.broker.kill()
        run.listen(right=True)
        run.observe()

        assert soon(lambda: (tmp_path / "hub" / "first-login.json").exists() and "labelwatch hub:" in hub.said(), 60)
        login = json.loads((tmp_path / "hub" / "first-login.json").read_text())
        office = Office(run, login)
        run.look_at_processes()
        assert soon(office.with_clip, 90), edge.said()
        incident = office.with_clip() or ""
        assert soon(lambda: "camera refused camera=cam-3" in edge.said())
        assert "camera online camera=cam-2" in edge.said()
        office.look_around(incident)
        office.break_the_database()
        pack = office.hand_over(incident)
        run.look_at_processes()
        # It names cameras and files, and is written only once the worker has run for a while.
        assert soon((tmp_path / "edge" / "last_good.json").exists, 60)
        assert edge.stop() == 0
        told = [
            run.start("doctor", "doctor", "--json", "--config", "edge.yaml"),
            run.start("check", "check", "hub.yaml", "--json"),
            run.start("backup", "backup", "hub.yaml", "--to", tmp_path / "backups", "--json"),
        ]
        assert [one.process.wait(60) != 0 for one in refused] == [True] * 4
        assert [one.process.wait(60) for one in (replay, *told[1:])] == [0] * 3, [one.said() for one in told]
        told[0].process.wait(60)
        assert hub.stop() == 0
        run.haystack["database"] = run.dumped()

    haystack = {
        **run.haystack, **{f"mqtt/{n}/{topic}": payload for n, (topic, payload) in enumerate(run.heard)},
        **{f"log/{one.log.name}": one.log.read_bytes() for one in run.programs},
        **{place: content for name in ("hub", "edge", "replayed", "backups") if (tmp_path / name).exists()
           for place, content in files_of(tmp_path / name).items()},
    }  # fmt: skip
    assert any(topic.endswith("/alerts") for topic, _ in run.heard) and "Traceback" in hub.said()
    assert zipfile.is_zipfile(io.BytesIO(pack))
    table = finds(haystack, needles(run, office, login, haystack))
    assert not table, "\n".join(map(str, table))
    for name in ("hub", "edge"):
        held = [path for path in (tmp_path / name).iterdir() if path.suffix in (".key", ".json")]
        assert len(held) >= 2 and [path for path in held if path.stat().st_mode & 0o077] == []
    copies = [path for path in (tmp_path / "backups").rglob("*") if path.is_file()]
    assert copies and [path for path in copies if path.stat().st_mode & 0o077] == []

    # Each needle is one that would be found, wherever it lay and however it was written.
    for needle in needles(run, office, login, haystack):
        for n, way in enumerate(needle.written()):
            assert finds({f"a leak {n}": gzip.compress(b"x" * 99 + way)}, [needle]), (needle.name, way)


def needles(run: Run, office: Office, login: dict[str, str], haystack: dict[str, bytes]) -> list[Needle]:
    """Everything that was planted or made, and where each has its home."""
    found = [Needle(name, value) for name, value in run.secret.items()]
    found += [Needle("session", office.session), Needle("token", office.token)]
    found.append(Needle("first login", login["password"], ("hub/first-login.json",)))
    found.append(Needle("label text", LABEL, ("replayed/*", "log/replay.log", "edge/last_good.json")))
    for place, content in haystack.items():
        if place.endswith(".key") and place.startswith(("hub/", "edge/")):
            body = max(content.decode().splitlines(), key=len)
            found.append(Needle(f"key {place}", body, (place, "backups/files/*")))
    assert len(found) >= 10 + 4
    return found
