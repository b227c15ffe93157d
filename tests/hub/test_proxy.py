"""The nginx configuration that we ship, with a real nginx in front of a real hub."""

from __future__ import annotations

import hashlib
import os
import shutil
import ssl
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from detector import wire
from detector.alerts.clip_queue import Clip
from detector.alerts.uploads import Carrier
from detector.clock import SystemClock
from detector.config import Broker, HubConfig
from detector.hub.edges.keys import EdgeKeys
from detector.hub.lan import certificate
from detector.hub.server import Hub
from tests.conftest import REPOSITORY, part_missing
from tests.hub.conftest import make_envelope, make_hub, make_mp4
from tests.hub.test_server import free_port

SHIPPED = REPOSITORY / "configs/proxy/nginx.conf"
NOTHING: Mapping[str, str] = MappingProxyType({})


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    config = HubConfig(data_dir=tmp_path_factory.mktemp("hub"), broker=Broker(port=free_port()), largest_clip_mb=8)
    hub = make_hub(config)
    hub.start()
    yield hub
    hub.stop()


@contextmanager
def behind_nginx(hub: Hub, folder: Path, others: Mapping[str, str] = NOTHING) -> Iterator[httpx.Client]:
    """A client that reaches the hub through nginx only, with the shipped configuration but for some `others`."""
    program = shutil.which("nginx") or shutil.which("/usr/sbin/nginx")
    if program is None:
        part_missing("nginx", "nginx-light")
    port = free_port()
    pair = certificate(folder / "tls", [], time.time())
    changes = {
        "listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
        "127.0.0.1:8080": hub.url.removeprefix("http://").rstrip("/"),
        "/etc/ssl/certs/labelwatch.example.com.crt": str(pair.chain),
        "/etc/ssl/private/labelwatch.example.com.key": str(pair.key),
        **others,
    }
    shipped = SHIPPED.read_text()
    for old, new in changes.items():
        assert shipped.count(old) == 1
        shipped = shipped.replace(old, new)
    main = folder / "nginx.conf"
    places = "".join(
        f"{kind}_temp_path {folder}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    main.write_text(f"pid {folder}/pid;\nevents {{}}\nhttp {{\naccess_log off;\n{places}{shipped}}}\n")
    command = [
        program,
        "-e",
        folder / "log",
        "-c",
        main,
        "-g",
        "daemon off;" + (" user root;" if os.getuid() == 0 else ""),
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        trusting = ssl.create_default_context(cafile=pair.authority)
        with httpx.Client(base_url=f"https://localhost:{port}", verify=trusting, timeout=20) as client:
            _wait(client, process)
            yield client
    finally:
        process.terminate()
        process.communicate(timeout=20)


@pytest.fixture(scope="module")
def proxied(hub: Hub, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A client behind nginx as shipped."""
    with behind_nginx(hub, tmp_path_factory.mktemp("nginx")) as client:
        yield client


def _wait(client: httpx.Client, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            client.get("/healthz")
            return
        except httpx.TransportError:
            assert process.poll() is None, process.stderr and process.stderr.read()
            assert time.monotonic() < deadline
            time.sleep(0.05)


@pytest.fixture(scope="module")
def visitor(hub: Hub, proxied: httpx.Client) -> httpx.Client:
    """The same client, logged in by the form."""
    origin = str(proxied.base_url).rstrip("/")
    answer = proxied.post("/login", data=hub.first_login, headers={"Origin": origin})
    assert answer.status_code == 303
    assert "Secure" in answer.headers["set-cookie"] and "__Host-labelwatch" in answer.headers["set-cookie"]
    return proxied


def test_one_logs_in_through_the_proxy_and_reads_the_feed(visitor: httpx.Client) -> None:
    answer = visitor.get("/")
    assert answer.status_code == 200 and "strict-transport-security" in answer.headers


def test_another_site_is_still_refused(visitor: httpx.Client) -> None:
    assert visitor.post("/logout", headers={"Origin": "https://elsewhere.example"}).status_code == 403


def test_changes_come_through_at_once(hub: Hub, visitor: httpx.Client) -> None:
    with visitor.stream("GET", "/events", params={"after": 0}) as stream:
        lines = stream.iter_lines()
        assert next(lines).startswith(":")
        hub.store.add_alerts([make_envelope(1, incident="live")], time.time())
        hub.live.poke()
        assert any("live" in line for line in lines)


def test_clips_larger_than_the_usual_limit_come_through(hub: Hub, proxied: httpx.Client) -> None:
    key = Ed25519PrivateKey.generate()
    EdgeKeys(hub.store.database).trust("shanghai", "box9", wire.public_key_text(key), 0.0)
    content = b"\0\0\0\x18ftypisom" + bytes(3 * 2**20)
    claim: dict[str, Any] = wire.clip_headers(
        site="shanghai", edge="box9", camera="cam3", incident="big", segment=0, size=len(content), duration_s=4.0,
        sha256=hashlib.sha256(content).hexdigest(), started_at=time.time(), at=time.time(), key=key,
    )  # fmt: skip
    assert proxied.put("/api/clips/big/0", content=content, headers=claim).status_code == 201


def test_clips_come_through_in_pieces_where_somebody_left_the_usual_limit(hub: Hub, tmp_path: Path) -> None:
    key = Ed25519PrivateKey.generate()
    EdgeKeys(hub.store.database).trust("shanghai", "box8", wire.public_key_text(key), 0.0)
    film = tmp_path / "clip.mp4"
    content = make_mp4(film)
    content += (3 * 2**20).to_bytes(4, "big") + b"free" + bytes(3 * 2**20 - 8)
    film.write_bytes(content)
    now = time.time()
    clip = Clip("cut", 0, "cam3", film, hashlib.sha256(content).hexdigest(), len(content), now, 4.0)
    with behind_nginx(hub, tmp_path, {"client_max_body_size 600m;": ""}) as client:
        topics = wire.Topics("shanghai", "box8")
        Carrier(str(client.base_url), topics, lambda: key, SystemClock()).bring(client, clip)
    assert [one.size for one in hub.store.clips("cut")] == [len(content)]


def test_who_makes_up_an_address_is_counted_by_the_true_one(proxied: httpx.Client) -> None:
    origin = str(proxied.base_url).rstrip("/")
    tries = [
        proxied.post(
            "/login",
            data={"user": f"u{n}", "password": "x"},
            headers={"Origin": origin, "X-Forwarded-For": f"1.2.3.{n}"},
        ).status_code
        for n in range(14)
    ]
    assert tries[0] == 401 and tries[-1] == 429


def test_the_shipped_file_says_what_to_change() -> None:
    assert SHIPPED.read_text().count("# CHANGE\n") == 3
