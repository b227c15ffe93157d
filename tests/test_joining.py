"""An edge box joins a hub by a code, changes its key and is shut out: real hub, real broker, the real command."""

from __future__ import annotations

import hashlib
import re
import socket
import ssl
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from detector import wire
from detector.alerts.clip_queue import Clip
from detector.alerts.identity import load_identity
from detector.alerts.trust import pinned_hub_key
from detector.cli import main
from detector.clock import SystemClock
from detector.config import Broker, HubConfig, HubLink, load_edge
from detector.credentials.codes import fingerprint, make_code, parse_code
from detector.credentials.keys import load_key
from detector.edge.delivery import Delivery, open_delivery
from detector.edge.joining import Joined, NotJoined, join, try_broker, try_hub
from detector.errors import ConfigError, LabelwatchError
from detector.hub.edges.keys import ACTIVE, RETIRED, REVOKED, EdgeKeys
from detector.hub.lan import certificate
from detector.hub.pages import edges
from detector.hub.server import Hub
from detector.wire.evidence import verify_by_any
from tests.alerts.conftest import make_fields
from tests.alerts.test_production_broker import Shipped
from tests.hub.conftest import make_hub
from tests.parts_mosquitto import soon

CODE = re.compile(r'class="secret code"[^>]*>([0-9A-Z-]+)<')


class Home:
    """A hub with its owner's browser, and a box beside it."""

    def __init__(self, folder: Path, broker: Shipped) -> None:
        files = broker.files("hub")
        address = Broker(
            port=broker.port, ca_file=files / "ca.crt", cert_file=files / "client.crt", key_file=files / "client.key"
        )
        config = HubConfig(
            data_dir=folder / "hub", broker=address, certs_dir=broker.folder, retention={"reserve_gb": 0}
        )
        self.hub = make_hub(config)
        self.hub.start()
        self.url = self.hub.url.rstrip("/")
        self.keys = EdgeKeys(self.hub.store.database)
        self.browser = httpx.Client(base_url=self.url, headers={"Sec-Fetch-Site": "same-origin"}, trust_env=False)
        self.browser.post("/login", data=self.hub.first_login)
        self.config = folder / "site.yaml"
        self.settings: dict[str, Any] = {
            "site": "north", "edge": "box-9", "data_dir": "data", "cameras": [{"name": "dock", "source": "dock.mp4"}],
        }  # fmt: skip
        self.write()

    def write(self) -> None:
        self.config.write_text(yaml.safe_dump(self.settings))

    def code(self, site: str = "north", edge: str = "box-9") -> str:
        """What the page shows when somebody asks for a code."""
        answer = self.browser.post("/edges/codes", data={"site": site, "edge": edge})
        found = CODE.search(answer.text)
        assert found, answer.text
        return found[1]

    def join(self, code: str) -> subprocess.CompletedProcess[str]:
        """By the command."""
        command = [sys.executable, "-m", "detector", "join", self.url, code, "--config", str(self.config)]
        return subprocess.run(command, capture_output=True, text=True, timeout=120)

    def join_here(self, code: str, *, new_key: bool = False) -> Joined:
        """As the command does, in this process: a new one takes a second to start."""
        config = load_edge(self.config)
        joined = join(self.url, code, config, SystemClock(), new_key=new_key)
        try_broker(joined.broker)
        return joined

    @contextmanager
    def box(self) -> Iterator[Delivery]:
        """The box at work, all but its cameras."""
        with open_delivery(load_edge(self.config), SystemClock()) as delivery:
            yield delivery

    def states(self) -> list[str]:
        return [key.state for key in self.keys.of("north", "box-9")]


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    broker = Shipped(tmp_path)
    broker.start()
    home = Home(tmp_path, broker)
    yield home
    home.browser.close()
    home.hub.stop()
    broker.kill()


def said(delivery: Delivery) -> str:
    """Put an alert of its own incident; its id."""
    fields, name = make_fields(), {"site": delivery.topics.site, "edge": delivery.topics.edge}
    return delivery.outbox.put({**fields, **name, "after": {**fields["after"], **name}})


def test_a_box_joins_works_changes_its_key_and_is_shut_out(home: Home) -> None:
    joined = home.join(home.code().lower().replace("-", " "))
    assert joined.returncode == 0, joined.stderr
    mine = wire.public_key_text(load_identity(home.config.parent / "data"))
    assert fingerprint(mine) in joined.stdout and "lets this box in" in joined.stdout
    needed = joined.stdout.partition("has already:")[2].partition("the broker at")[0]
    home.settings |= yaml.safe_load(needed)
    home.write()
    assert home.settings["broker"]["cert_file"] == "data/mqtt.crt"
    data = home.config.parent / "data"
    assert all(file.stat().st_mode & 0o077 == 0 for file in (data / "mqtt.key", data / "identity.key"))
    assert pinned_hub_key(data) == wire.public_key_text(home.hub._parts.key)
    assert home.join_here(home.code("north", "")).missing == {}

    with home.box() as box:
        said(box)
        assert soon(lambda: box.outbox.counts()["backlog"] == 0)
        assert home.browser.post("/edges/north/box-9/rotate").status_code == 303
        assert soon(lambda: wire.public_key_text(box.key) != mine)
        assert not (data / "identity.key.next").exists()
        said(box)
        assert soon(lambda: box.outbox.counts()["backlog"] == 0)
        assert soon(lambda: home.states() == [ACTIVE, RETIRED])
        assert home.keys.active("north", "box-9") == wire.public_key_text(load_identity(data))

        assert home.browser.post("/edges/north/box-9/revoke").status_code == 303
        assert home.states() == [REVOKED, REVOKED]
        late = said(box)
        assert soon(lambda: [knock.reason for knock in home.keys.knocks.all()] == ["revoked"])
        assert box.outbox.counts()["backlog"] == 1
        with home.hub.store.database.reading() as connection:
            stored = connection.exec_driver_sql("SELECT id FROM alerts").scalars().all()
        assert len(stored) == 2 and late not in stored
    page = home.browser.get("/edges").text
    assert fingerprint(wire.public_key_text(load_identity(data))) in page

    with pytest.raises(NotJoined, match="--new-key"):
        home.join_here(home.code())
    home.join_here(home.code(), new_key=True)
    assert home.states() == [ACTIVE, REVOKED, REVOKED]
    with home.box() as box:  # what it saw while it was shut out comes, too
        assert soon(lambda: box.outbox.counts()["backlog"] == 0)
        with home.hub.store.database.reading() as connection:
            assert late in connection.exec_driver_sql("SELECT id FROM alerts").scalars().all()
    home.settings["edge"] = "box-8"
    home.write()
    for code, why in ((home.code("north", "box-7"), "not for this box"), (home.code("", ""), "under another name")):
        with pytest.raises(NotJoined, match=why):
            home.join_here(code)


def test_a_box_that_lost_its_outbox_and_its_numbers_goes_on_and_nothing_is_lost_or_doubled(home: Home) -> None:
    joined = home.join_here(home.code())
    home.settings["broker"] = joined.broker.model_dump(mode="json", exclude_none=True)
    home.write()
    data, told = home.config.parent / "data", []
    for life in range(2):
        with home.box() as box:
            told += [said(box) for _ in range(3)]
            assert soon(lambda box=box: box.outbox.counts()["backlog"] == 0)
            # Its reports, too: their numbers begin again with the clock, later than all before.
            box.link.publish_health({"cameras": {}, "life": life})
            assert soon(lambda n=life: [(e.health or {}).get("life") for e in home.hub.store.edges.all()] == [n])
        for file in (*data.glob("outbox.db*"), data / "serial"):
            file.unlink()
    with home.hub.store.database.reading() as connection:
        stored = connection.exec_driver_sql("SELECT id, seq FROM alerts ORDER BY number").all()
    assert [tuple(row) for row in stored] == list(zip(told, (1, 2, 3, 1, 2, 3), strict=True))


def test_what_a_box_saw_before_it_was_renamed_to_join_reaches_the_hub(home: Home) -> None:
    with home.box() as box:  # it watches, and has joined nothing yet
        told = [said(box) for _ in range(2)]
    code = home.code("", "box-7")
    with pytest.raises(NotJoined, match="change the configuration"):
        home.join_here(code)
    home.settings["edge"] = "box-7"
    home.write()
    home.settings["broker"] = home.join_here(code).broker.model_dump(mode="json", exclude_none=True)
    home.write()
    with home.box() as box:
        told.append(said(box))
        assert soon(lambda: box.outbox.counts()["backlog"] == 0)
    with home.hub.store.database.reading() as connection:
        stored = connection.exec_driver_sql("SELECT id, site, edge FROM alerts ORDER BY seq").all()
    assert [tuple(row) for row in stored] == [(id_, "north", "box-7") for id_ in told]


def test_killed_while_it_puts_down_what_it_joins_with_a_box_comes_in_all_the_same(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.settings["broker"] = home.join_here(home.code()).broker.model_dump(mode="json", exclude_none=True)
    home.write()
    data, replace = home.config.parent / "data", Path.replace
    there: list[str] = []

    def killed(file: Path, to: Path) -> Path:
        if to.parent == data and to.name in ("mqtt.key", "mqtt.crt"):
            if there:
                raise KeyboardInterrupt
            there.append(to.name)
        return replace(file, to)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Path, "replace", killed)
        home.join_here(home.code())
    with home.box() as box:
        assert soon(lambda: box.link.connected)


def test_what_was_open_when_a_box_that_had_joined_was_renamed_ends_under_the_name_that_the_hub_has_it_by(
    home: Home,
) -> None:
    def settle() -> None:
        joined = home.join_here(home.code("north", home.settings["edge"]))
        home.settings["broker"] = joined.broker.model_dump(mode="json", exclude_none=True)
        home.settings["hub"] = {"url": home.url}
        home.write()

    settle()
    with home.box() as box:
        said(box)
        assert soon(lambda: box.outbox.counts()["backlog"] == 0)
    home.settings["edge"] = "box-7"
    home.write()
    with pytest.raises(NotJoined, match=r"renamed.*Shut the other name out"):
        home.join_here(home.code("north", "box-7"))
    assert home.browser.post("/edges/north/box-9/revoke").status_code == 303
    settle()
    film = home.config.parent / "data" / "clips" / "dock" / "i1.0.mp4"
    film.parent.mkdir(parents=True, exist_ok=True)
    content = b"\0\0\0\x18ftypisom" + bytes(500)
    film.write_bytes(content)
    sha256 = hashlib.sha256(content).hexdigest()
    with home.box() as box:
        box.outbox.clips.put(Clip("i1", 0, "dock", film, sha256, len(content), 1793525173.25, 2.0))
        (left,) = box.outbox.left_open()
        box.outbox.put(wire.cut_off(left, [{"segment": 0, "sha256": sha256, "bytes": len(content)}]))
        news = make_fields("i2")
        box.outbox.put({**news, "edge": "box-7", "after": {**news["after"], "edge": "box-7"}})
        assert soon(lambda: box.outbox.wait_drained(0.1))
    store = home.hub.store
    assert {(one.id, one.edge, one.phase) for one in store.incidents(["i1", "i2"])} == {
        ("i1", "box-9", "end"), ("i2", "box-7", "new"),
    }  # fmt: skip
    assert [(clip.edge, clip.sha256) for clip in store.clips("i1")] == [("box-9", sha256)]
    keys = [key.key for key in home.keys.of("north", "box-9")]
    for envelope in store.envelopes("i1"):
        verify_by_any(envelope, keys)
    assert [edge.missing for edge in store.edges.all()] == [0, 0]


def test_a_box_that_was_renamed_while_its_key_was_being_changed_can_change_it_later(home: Home) -> None:
    def settle() -> None:
        joined = home.join_here(home.code("north", home.settings["edge"]))
        home.settings["broker"] = joined.broker.model_dump(mode="json", exclude_none=True)
        home.write()

    settle()
    data, topics = home.config.parent / "data", wire.Topics("north", "box-9")
    assert home.browser.post("/edges/north/box-9/rotate").status_code == 303
    with home.hub.store.database.reading() as connection:
        wish = connection.exec_driver_sql("SELECT id FROM rotations").scalar_one()
    made = load_key(data / "identity.key.next", "the edge's next key")
    word = wire.new_key_payload(topics, wish, load_identity(data), made)
    assert home.hub._parts.rotations.word(topics.key, word, SystemClock().now())
    assert home.browser.post("/edges/north/box-9/revoke").status_code == 303
    home.settings["edge"] = "box-7"
    home.write()
    settle()
    with home.box() as box:
        mine = wire.public_key_text(box.key)
        assert home.browser.post("/edges/north/box-7/rotate").status_code == 303
        assert soon(lambda: wire.public_key_text(box.key) != mine)


def answering(answer: Callable[[bytes], tuple[int, bytes]]) -> Iterator[str]:
    """A web server that answers as it likes; its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            status, body = answer(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


STRANGE: list[tuple[str, Callable[[bytes], tuple[int, bytes]], str]] = [
    ("a page", lambda _: (200, b"<html>"), "not JSON"),
    ("another program", lambda _: (404, b"nothing here"), "no labelwatch hub"),
    ("a redirect", lambda _: (301, b""), "sends on"),
    ("no end", lambda _: (200, b"x" * 300_000), "far too much"),
    ("somebody between", lambda body: (200, wire.encode({"schema": 1, "hub_key": "mine", "mac": "00"})), "not know"),
    ("no mac", lambda body: (200, wire.encode({"schema": 1, "hub_key": "mine"})), "not know"),
    ("a new refusal", lambda _: (409, b'{"reason":"of_the_future"}'), "refused"),
    ("a clock", lambda _: (409, b'{"reason":"clock","hub_at_unix":0}'), "timedatectl"),
    ("a list", lambda _: (403, b"[1]"), "no labelwatch hub"),
]


@pytest.fixture
def edge(tmp_path: Path) -> Path:
    path = tmp_path / "site.yaml"
    path.write_text("site: north\nedge: box-9\ndata_dir: data\ncameras: [{name: dock, source: dock.mp4}]\n")
    return path


def test_a_box_that_joined_and_does_not_show_its_certificate_is_told_so(
    edge: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def told() -> str:
        main(["check", str(edge)])
        return capsys.readouterr().out

    assert "broker" not in told()
    (edge.parent / "data").mkdir()
    (edge.parent / "data" / "mqtt.crt").touch()
    assert "broker.cert_file: this box has joined a hub" in (said := told()) and "labelwatch join" in said
    lines = edge.read_text()
    edge.write_text(f"{lines}broker: {{username: north/box-9, password_env: P}}\n")
    assert "has joined" not in told()
    edge.write_text(
        f"{lines}broker: {{cert_file: data/mqtt.crt, key_file: data/mqtt.key, ca_file: data/mqtt-ca.crt}}\n"
    )
    assert "has joined" not in told()


def test_a_box_that_shows_the_certificate_of_another_is_told_whose_it_is(
    edge: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    certs = edge.parent / "certs"
    assert main(["certs", str(certs), "--host", "127.0.0.1", "--edge", "north/box-1", "--edge", "north/box-9"]) == 0
    lines, told = edge.read_text(), {}
    for box in ("box-1", "box-9"):
        file = certs / "edges" / "north" / box / "client.crt"
        edge.write_text(f"{lines}broker: {{cert_file: {file}, key_file: {file.with_suffix('.key')}}}\n")
        capsys.readouterr()
        main(["check", str(edge)])
        told[box] = capsys.readouterr().out
    assert "broker.cert_file: is the certificate of north/box-1, and this box is north/box-9" in told["box-1"]
    assert "is the certificate of" not in told["box-9"]


@pytest.mark.parametrize(("what", "answer", "why"), STRANGE, ids=[what for what, *_ in STRANGE])
def test_whatever_answers_in_the_hubs_place_nothing_of_it_is_kept(
    edge: Path, what: str, answer: Callable[[bytes], tuple[int, bytes]], why: str
) -> None:
    for url in answering(answer):
        with pytest.raises(NotJoined, match=why):
            join(url, make_code(), load_edge(edge), SystemClock())
    assert sorted(file.name for file in (edge.parent / "data").iterdir()) == ["identity.key"]


@pytest.mark.parametrize(
    ("url", "code", "why"),
    [
        ("hub.example", "0000-00000-0000", "no address"),
        ("ftp://hub.example", "0000-00000-0000", "no address"),
        ("http://owner:secret@hub.example", "0000-00000-0000", "no address"),
        ("https://hub.example:web", "0000-00000-0000", "no address"),
        ("https://hub.example:99999", "0000-00000-0000", "no address"),
        ("https://[10.0.0.2]:8080", "0000-00000-0000", "no address"),
        ("https://[fe80::1", "0000-00000-0000", "no address"),
        ("https://hüb..example:8080", "0000-00000-0000", "no address"),
        ("http://hub.example", "7K2M", "13 letters"),
        ("http://hub.example", "0000-00000-000U", "no code has"),
    ],
)
def test_misuse_is_told_before_anything_is_sent(edge: Path, url: str, code: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why) as error:
        join(url, code, load_edge(edge), SystemClock())
    assert "secret" not in str(error.value)


def test_the_code_that_a_hint_shows_is_one(edge: Path) -> None:
    with pytest.raises(ConfigError) as error:
        join("http://hub.example", "7K2M", load_edge(edge), SystemClock())
    shown = re.search(r"e\.g\. ([\w-]+)", str(error.value))
    assert shown and parse_code(shown[1])


def test_a_hub_or_broker_that_is_not_there_is_told(edge: Path) -> None:
    config = load_edge(edge)
    with pytest.raises(NotJoined, match="can't be reached"):
        join("http://127.0.0.1:9", make_code(), config, SystemClock())
    with pytest.raises(LabelwatchError, match=r":9 doesn't let this box in: the connection is refused"):
        try_broker(Broker(port=9))
    files = {name: edge.with_name(name) for name in ("ca_file", "cert_file", "key_file")}
    files["ca_file"].touch()
    with pytest.raises(LabelwatchError, match=f"No such file.*{files['cert_file']}"):
        try_broker(Broker(port=9, **files))


def test_a_new_key_is_kept_until_it_is_in_use_and_no_longer(edge: Path) -> None:
    config, data = load_edge(edge), edge.parent / "data"

    def asked() -> bytes:
        with pytest.raises(NotJoined, match="can't be reached"):
            join("http://127.0.0.1:9", make_code(), config, SystemClock(), new_key=True)
        return (data / "identity.key.joining").read_bytes()

    first = asked()
    assert asked() == first
    (data / "identity.key").write_bytes(first)  # cut off between this and its last step
    assert asked() != first


def test_an_address_with_https_of_a_hub_without_tls_is_told_as_such(edge: Path) -> None:
    for url in answering(lambda _: (200, b"")):
        with pytest.raises(NotJoined, match="it speaks no TLS: its address begins with http://"):
            join(url.replace("http:", "https:"), make_code(), load_edge(edge), SystemClock())


def test_an_address_without_https_of_what_hangs_up_is_told_as_such(edge: Path) -> None:
    def hang_up(listening: socket.socket) -> None:
        with listening.accept()[0] as connection:
            said = b""
            while not said.endswith(b"}"):  # all of the request: then it is the answer that breaks off
                said += connection.recv(65_536)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # closing resets it

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=hang_up, args=(listening,), daemon=True).start()
        with pytest.raises(NotJoined, match="perhaps its address begins with https://"):
            join(f"http://127.0.0.1:{listening.getsockname()[1]}", make_code(), load_edge(edge), SystemClock())


@pytest.fixture
def lan(tmp_path: Path) -> Iterator[Hub]:
    """A hub with an authority of its own."""
    hub = make_hub(HubConfig(data_dir=tmp_path / "hub", broker=Broker(port=9), retention={"reserve_gb": 0}), lan=True)
    hub.start()
    yield hub
    hub.stop()


def address_and_code(hub: Hub) -> tuple[str, str]:
    code = hub._parts.enrolment.make("owner", SystemClock().now(), site=None, edge=None)[1]
    return f"https://127.0.0.1:{hub.url.rsplit(':', 1)[1].strip('/')}", code


def test_a_hub_with_an_authority_of_its_own_hands_it_out_and_is_known_by_it(
    edge: Path, lan: Hub, tmp_path: Path
) -> None:
    url, code = address_and_code(lan)
    elsewhere = tmp_path / "elsewhere.crt"
    elsewhere.write_bytes(certificate(tmp_path / "other", [], SystemClock().now()).authority.read_bytes())
    with pytest.raises(NotJoined, match="can't be reached"):
        join(url, code, load_edge(edge), SystemClock(), ca_file=elsewhere)
    with pytest.raises(NotJoined, match="perhaps its address begins with https://"):
        join(url.replace("https:", "http:"), code, load_edge(edge), SystemClock())
    joined = join(url, code, load_edge(edge), SystemClock())
    assert joined.missing["broker"] == {"port": 9}  # a loopback broker is where the hub is
    known = ssl.create_default_context(cafile=str(joined.missing["hub"]["ca_file"]))
    assert httpx.get(f"{url}/healthz", verify=known, trust_env=False).status_code == 200
    join(url, code, load_edge(edge), SystemClock(), ca_file=joined.missing["hub"]["ca_file"])


def test_who_joins_where_no_clip_would_get_through_is_told_so(
    edge: Path, lan: Hub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url, code = address_and_code(lan)
    try_hub(join(url, code, load_edge(edge), SystemClock()).hub)
    unnamed = url.replace("127.0.0.1", "127.0.0.2")  # in no certificate
    assert main(["join", unnamed, code, "--config", str(edge)]) == 1
    assert re.search(r"no clip would get to https://127\.0\.0\.2.*\(is hub\.url an address", capsys.readouterr().err)
    former = certificate(tmp_path / "former", [], SystemClock().now()).authority
    with pytest.raises(NotJoined, match=r"hub\.ca_file of who made that"):
        try_hub(HubLink(url=url, ca_file=former))


def test_what_vouches_for_the_proxy_before_a_hub_is_among_the_lines_that_are_missing(
    edge: Path, lan: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    handed_out = edges._handed_out
    monkeypatch.setattr(edges, "_handed_out", lambda *told: {**handed_out(*told), "hub_ca": None})
    assert lan.certificate
    url, code = address_and_code(lan)
    joined = join(url, code, load_edge(edge), SystemClock(), ca_file=lan.certificate.authority)
    assert joined.missing["hub"] == {"url": url, "ca_file": lan.certificate.authority.resolve()}
    try_hub(joined.hub)
