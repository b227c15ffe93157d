"""Everything that takes in strangers' bytes in a process of ours, each with bytes to begin from and what must hold.

A target's check takes any bytes at all. It lets out nothing but what the decoder promises to raise, which it swallows:
so whatever leaves it is a bug. Some targets take bytes for choices, by which a whole message is changed and then signed
anew: a box that was broken into signs what it likes.
"""

from __future__ import annotations

import contextlib
import copy
import gzip
import io
import json
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

Check = Callable[[bytes], None]

VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**31, 2**53 + 1, 2**63, 10**400, 0.5, -0.0, 1e308, float("inf"), float("-inf"),
    float("nan"), "", "\0", "a" * 300, "\ud800", "../../etc/passwd", "\x1b[2J\r\n", "١٢", "{}", "%s{x}", [], {}, [[]],
    {"": None}, [0] * 300, {"a": {"b": []}},
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Target:
    """Something that takes in bytes.

    Attributes:
        name: Of it.
        begin: Makes the check and the bytes to begin from; what it needs is imported there.
        runs: Of a million, how many are its own.
        by_choice: Whether bytes are choices rather than a message.
    """

    name: str
    begin: Callable[[Path], tuple[Check, list[bytes]]]
    runs: int
    by_choice: bool = False


class Choices:
    """Bytes as choices; when they run out, always the first."""

    def __init__(self, data: bytes) -> None:
        self._left = iter(data)

    def below(self, most: int) -> int:
        """A number below `most`."""
        value = next(self._left, 0)
        if most > 256:
            value = value << 8 | next(self._left, 0)
        return value % max(1, most)


def places(tree: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where every value of a tree stands."""
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for name, value in list(items):
        yield (*at, name)
        yield from places(value, (*at, name))


def changed(tree: dict[str, Any], data: bytes) -> dict[str, Any]:
    """A tree of JSON with some of its values changed, taken out, doubled, or put elsewhere."""
    tree = json.loads(json.dumps(tree))
    choices = Choices(data)
    for _ in range(1 + choices.below(5)):
        there = list(places(tree))
        if not there:
            break
        *way, last = there[choices.below(len(there))]
        parent: Any = tree
        for step in way:
            parent = parent[step]
        match choices.below(6):
            case 0 if isinstance(parent, dict):
                del parent[last]
            case 1 if isinstance(parent, dict):
                parent[str(VALUES[choices.below(len(VALUES))])] = parent[last]
            case 2 if isinstance(parent, list):
                parent += [parent[last]] * (1 + choices.below(200))
            case 3:
                value: Any = tree
                for step in there[choices.below(len(there))]:
                    value = value[step]
                parent[last] = copy.deepcopy(value)
            case _:
                parent[last] = copy.deepcopy(VALUES[choices.below(len(VALUES))])
    return tree


def _swallowing(act: Callable[[bytes], Any], *promised: type[BaseException]) -> Check:
    def check(data: bytes) -> None:
        with contextlib.suppress(*promised):
            act(data)

    return check


# What goes over the wire


def _alerts(folder: Path) -> tuple[Check, list[bytes]]:
    from detector import wire
    from detector.errors import WireError

    seed = _signed_alert()
    public = seed["key"]

    def act(data: bytes) -> None:
        fields = wire.decode_alert("labelwatch/shanghai/box1/alerts", data)
        try:
            wire.verify(fields, public)
        except WireError:
            return
        assert wire.decode(wire.encode(fields)) == fields

    return _swallowing(act, WireError), [
        wire.encode(seed),
        b'{"schema":1}',
        b"[" * 2000,
        b'{"schema":1,"a":' + b"[" * 900 + b"]" * 900 + b"}",
    ]


def _signed_alert() -> dict[str, Any]:
    from detector import wire
    from tests.hub.conftest import make_envelope

    key = _key()
    return wire.signed({**make_envelope(1), "key": wire.public_key_text(key)}, key)


def _key() -> Any:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return Ed25519PrivateKey.from_private_bytes(bytes(range(32)))


def _commands(folder: Path) -> tuple[Check, list[bytes]]:
    from detector import wire
    from detector.errors import WireError

    decoders = [wire.acked_ids, wire.decode_thresholds, wire.decode_zones, wire.asked_picture, wire.asked_film,
                wire.decode_rotate]  # fmt: skip
    zone = {"name": "bulk", "kind": "storage", "polygon": [[0, 0], [1, 0], [1, 1]]}
    seeds = [
        wire.ack_payload(["a", "b"]),
        wire.command_payload(3, {"cam3": {"lingering": 0.5}}, user="wang", at=1.8e9),
        wire.command_payload(3, {"cam3": [zone]}, user="wang", at=1.8e9),
        wire.ask_picture_payload("cam3", large=True),
        wire.ask_film_payload("cam3", "walk-0123456789abcdef", 900.0),
        wire.rotate_payload("id", None),
    ]

    def act(data: bytes) -> None:
        for decode in decoders:
            try:
                decode(data)  # type: ignore[operator]
            except WireError as error:
                assert len(str(error)) < 1000

    return act, [*seeds, b'{"schema":"' + b"x" * 3000 + b'"}']


def _told(folder: Path) -> tuple[Check, list[bytes]]:
    from detector import wire
    from detector.errors import WireError

    topic = "labelwatch/shanghai/box1/"
    topics, key = wire.Topics("shanghai", "box1"), _key()
    layout = {"cam3": {"title": "", "zones": [], "file_zones": [], "coverage": None}}
    census = {"schema": 1, "site": "shanghai", "edge": "box1", "camera": "cam3", "at": 1.8e9, "zones": []}
    seeds = [
        wire.picture_payload(topics, "cam3", _jpeg(), large=False, taken_at=1.8e9, key=key),
        wire.layout_payload(topics, layout, version=1, at=1.8e9, key=key),
        wire.encode(wire.signed(census, key)),
        wire.new_key_payload(topics, "id", key, key),
    ]
    decoders = [partial(wire.decode_picture, topic + "picture"), partial(wire.decode_layout, topic + "layout"),
                partial(wire.decode_census, topic + "census"), partial(wire.decode_new_key, topic + "key")]  # fmt: skip

    def act(data: bytes) -> None:
        for decode in decoders:
            try:
                decode(data)
            except WireError as error:
                assert len(str(error)) < 1000

    return act, seeds


def _jpeg() -> bytes:
    from tests.hub.conftest import make_jpeg

    return make_jpeg()


def _jpegs(folder: Path) -> tuple[Check, list[bytes]]:
    from detector.errors import WireError
    from detector.hub.edges.pictures import jpeg_size

    def act(data: bytes) -> None:
        width, height = jpeg_size(data)
        assert 0 < width < 2**16
        assert 0 < height < 2**16

    return _swallowing(act, WireError), [_jpeg()]


def _claims(folder: Path) -> tuple[Check, list[bytes]]:
    from detector import wire
    from detector.errors import WireError

    key = _key()
    headers = wire.clip_headers(
        site="shanghai", edge="box1", camera="cam3", incident="inc-1", segment=0, sha256="0" * 64, size=9,
        started_at=1.8e9, duration_s=1.0, at=1.8e9, key=key,
    )  # fmt: skip
    names = sorted(headers)

    def act(data: bytes) -> None:
        lines = data.decode("latin-1").split("\n")
        wire.verify_clip(
            dict(zip(names, lines, strict=False)), incident="inc-1", segment=0, public_key=wire.public_key_text(key)
        )

    return _swallowing(act, WireError), ["\n".join(headers[name] for name in names).encode("latin-1")]


def _hub(folder: Path) -> tuple[Check, list[bytes]]:
    """The ingest and its store, of what an edge signed: nothing makes it stumble, and what was stored can be shown."""
    from types import SimpleNamespace

    from detector import wire
    from detector.clock import SystemClock
    from detector.errors import WireError
    from detector.hub.storage.store import Store
    from detector.hub.watch.health import Health

    store = Store(f"sqlite:///{folder / 'hub.sqlite'}")
    health = Health(store, SystemClock(), folder)
    key, seed = _key(), _signed_alert()
    report = {
        "schema": 1,
        "at_unix": 1.8e9,
        "backlog": 0,
        "cameras": {"cam3": {"state": "online", "fps": 5.0, "age_s": 0.1}},
    }
    topic, count = "labelwatch/shanghai/box1/alerts", SimpleNamespace(n=0)

    def act(data: bytes) -> None:
        count.n += 1
        if data[:1] < b"\x40":
            fields = changed(report, data[1:])
            health.report("shanghai", "box1", fields, 1.8e9)
            store.edges.set_health("shanghai", "box1", json.loads(json.dumps(fields)), 1.8e9)
            store.edges.all()
            return
        fields = changed({**seed, "id": f"a{count.n}", "seq": count.n}, data[1:])
        try:
            payload = wire.encode(wire.signed(fields, key))
            fields = wire.decode_alert(topic, payload)
        except (ValueError, TypeError):  # what can't be signed can't be sent
            return
        wire.verify(fields, seed["key"])
        for _ in store.add_alerts([fields], 1.8e9):
            store.incidents([fields["after"]["id"]])

    return _swallowing(act, WireError), [
        bytes([first, n, *range(n, n + 20)]) for n in range(30) for first in (0, 80, 160)
    ]


# Files of others


def _sides(folder: Path) -> tuple[Check, list[bytes]]:
    from detector.errors import WireError
    from detector.media.sides import read_side
    from tests.hub.conftest import make_side

    small = make_side(seconds=0.4)
    bomb = gzip.compress(b" " * 4_000_000)
    return _swallowing(lambda data: read_side(io.BytesIO(data)), WireError), [small, bomb, small + small, small[:60]]


def _side_words(folder: Path) -> tuple[Check, list[bytes]]:
    from detector.errors import WireError
    from detector.media.sides import read_side
    from tests.hub.conftest import make_side

    seed = gzip.decompress(make_side(seconds=0.4))
    return _swallowing(lambda data: read_side(io.BytesIO(gzip.compress(data, 0))), WireError), [seed, b"[" * 3000]


def _packs(folder: Path) -> tuple[Check, list[bytes]]:
    from detector.tools.verify import check
    from tests.test_verify import PACK

    def act(data: bytes) -> None:
        report = check(io.BytesIO(data))
        for language in ("zh", "en"):
            assert report.lines(language)
        json.dumps(report.record())
        if data != PACK:
            assert report.broken or not report.readable

    return act, [PACK, PACK[:-30], PACK[:200]]


def _packs_resigned(folder: Path) -> tuple[Check, list[bytes]]:
    """Packs that a forger signed with a key of their own: files with anything in them, under the right sums."""
    from detector.tools.verify import check
    from tests.test_verify import files, pack

    own = files()
    names = sorted(own)

    def act(data: bytes) -> None:
        name = names[data[0] % len(names)] if data else names[0]
        content: bytes = data[1:]
        if name.endswith(".json") and data[1:2] < b"\xc0":
            content = json.dumps(changed(json.loads(own[name]), data[2:])).encode(errors="replace")
        report = check(io.BytesIO(pack({**own, name: content})))
        for language in ("zh", "en"):
            assert report.lines(language)
        json.dumps(report.record())

    return act, [bytes([n, 1, *range(n, 30)]) for n in range(12)] + [bytes([n]) + b"\xff[" * 400 for n in range(12)]


CONFIG = b"""site: hangzhou
edge: box1
timezone: Asia/Shanghai
broker: {host: 127.0.0.1, port: 1883}
cameras:
  - name: dock
    source: rtsp://10.0.0.1/1
    zones:
      - {name: bulk, kind: storage, polygon: [[0, 0], [1, 0], [1, 1], [0, 1]]}
"""
BOMB = b"a: &a [x,x,x,x,x,x,x,x,x]\n" + b"".join(
    b"%c: &%c [%s]\n" % (c, c, b",".join([b"*%c" % (c - 1)] * 9)) for c in range(ord("b"), ord("l"))
)
YAML_TRICKS = (
    BOMB, BOMB + b"? *k\n: 1\n", b"a: &a [*a]\n", b"&a {b: *a}", b"? [a, b]\n: 1\n", b"[" * 3000, b"a: " * 3000,
    b"- " * 3000, b"!!timestamp foo", b"a: !!timestamp foo", b"a: !!int ''", b"a: !!bool foo", b"a: !!binary '%'",
    b"a: !!python/object/apply:os.system [id]", b"a: 2026-99-99", b"a: " + b"9" * 5000, b"a: 0x" + b"f" * 5000,
    b"a: 1_0:9:9", b"a: .inf", b"<<: 1", b"<<: [1]", b"? !!set {a, b}\n: 1", b"!!omap [1]", b"!!pairs [[1]]",
    b"a: &a {x: 1}\nb: &b {<<: [*a,*a,*a,*a,*a,*a,*a,*a,*a]}\nc: {<<: [*b,*b,*b,*b,*b,*b,*b,*b]}\n",
    b"--- 1\n--- 2\n", b"%YAML 9.9\n--- a", b"%TAG ! x\n", b"\xef\xbb\xbfa: 1", b"\xff\xfea", b"a: \x00",
    b"a: |9999999\n x", b"'\\ud800'", b'"\\ud800"',
)  # fmt: skip


def _configs(folder: Path) -> tuple[Check, list[bytes]]:
    from detector.config import check_file

    path = folder / "config.yaml"

    def act(data: bytes) -> None:
        path.write_bytes(data)
        for problem in check_file(path):
            assert len(str(problem)) < 5000

    hub = b"data_dir: data\nport: 8080\nbroker: {host: 127.0.0.1}\n"
    return act, [CONFIG, hub, *YAML_TRICKS, *(CONFIG + trick for trick in YAML_TRICKS)]


def _cards(folder: Path) -> tuple[Check, list[bytes]]:
    from detector.errors import ModelError
    from detector.inference.card import find_card
    from tests.conftest import REPOSITORY

    path = folder / "card.yaml"

    def act(data: bytes) -> None:
        path.write_bytes(data)
        find_card(str(path))

    card = b"name: x\nfile: x.onnx\nsha256: " + b"0" * 64 + b"\nlabels: [person, phone]\n"
    return _swallowing(act, ModelError), [
        card,
        (REPOSITORY / "models" / "scene.yaml").read_bytes(),
        *YAML_TRICKS,
        *(card + t for t in YAML_TRICKS),
    ]


def _tracks(folder: Path) -> tuple[Check, list[bytes]]:
    from detector.errors import SourceUnavailable
    from detector.tools.track_log import read_footage

    path = folder / "tracks.jsonl"

    def act(data: bytes) -> None:
        path.write_bytes(data)
        read_footage(path)

    head = {
        "labelwatch_tracks": 1,
        "camera": "c",
        "width": 640,
        "height": 480,
        "stretches": [[0, 9]],
        "picture": "p.png",
    }
    track = {
        "track": 1,
        "first_at": 0.0,
        "last_at": 1.0,
        "first": [0, 0],
        "last": [1, 1],
        "heading": [0, 1],
        "height": 9,
        "farthest": 1,
    }
    good = json.dumps(head).encode() + b"\n" + json.dumps(track).encode() + b"\n"
    return _swallowing(act, SourceUnavailable), [good, b"[" * 3000, good + b"[" * 3000]


def _learned(folder: Path) -> tuple[Check, list[bytes]]:
    from detector.edge.learned import LearnedFile

    path = folder / "cam.json"
    kept = LearnedFile(path)

    def act(data: bytes) -> None:
        path.write_bytes(data)
        kept.load()

    return act, [b'{"Usual": {"a": [1, 2]}}', b"[" * 3000, b'{"a": 1}', b'{"a": ' + b"{" * 3000]


def _tuned(folder: Path) -> tuple[Check, list[bytes]]:
    """Commands as an edge takes them, and the files that it keeps of them."""
    from detector import wire
    from detector.config import EdgeConfig
    from detector.edge.zoned import FILE as ZONED
    from detector.edge.zoned import Zoned
    from detector.tuned import FILE, Tuned

    config = EdgeConfig.model_validate({
        "site": "s", "edge": "e", "data_dir": str(folder), "cameras": [{"name": "dock", "source": "rtsp://10.0.0.1/1"}],
    })  # fmt: skip
    tuned, zoned = Tuned(config), Zoned(config)
    zone = {"name": "bulk", "kind": "storage", "polygon": [[0, 0], [1, 0], [1, 1]]}
    words = [
        {"schema": 1, "version": 3, "state": {"dock": {"lingering": 0.5}}, "user": "wang", "at_unix": 1.8e9},
        {"schema": 1, "version": 3, "state": {"dock": [zone]}, "user": "wang", "at_unix": 1.8e9},
    ]

    def act(data: bytes) -> None:
        kind = data[0] % 4 if data else 0
        payload = data[1:]
        if kind % 2:
            payload = json.dumps(changed(words[kind // 2], data[1:])).encode(errors="replace")
        if kind < 2:
            tuned.accept(payload)
        else:
            zoned.accept(payload)
        for taker in (tuned, zoned):
            wire.encode(taker.health())
            assert len(taker.refused or "") < 1000
        (folder / FILE).write_bytes(payload)
        (folder / ZONED).write_bytes(payload)
        Tuned(config)
        Zoned(config)

    return act, [bytes([n, *range(n, n + 24)]) for n in range(40)] + [
        bytes([2 * n]) + json.dumps(words[n]).encode() for n in (0, 1)
    ]


# Web


def _forms(folder: Path) -> tuple[Check, list[bytes]]:
    import asyncio

    from starlette.exceptions import HTTPException
    from starlette.requests import Request

    from detector.hub.pages.view import form, own_path

    def act(data: bytes) -> None:
        pieces = [
            {"type": "http.request", "body": data[n : n + 300], "more_body": True} for n in range(0, len(data), 300)
        ]
        parts = iter([*pieces, {"type": "http.request", "body": b"", "more_body": False}])

        async def receive() -> Any:
            return next(parts)

        fields = asyncio.run(form(Request({"type": "http", "method": "POST", "headers": []}, receive)))
        for text in fields.values():
            there = own_path(text)
            assert there.startswith("/")
            assert not there.startswith(("//", "/\\"))

    return _swallowing(act, HTTPException), [
        b"user=wang&password=x&next=%2Ffeed",
        b"next=//evil.example/",
        b"next=/\\evil",
        b"a=%00",
        b"a=%ff",
        b"&" * 900,
    ]


def _requests(folder: Path) -> tuple[Check, list[bytes]]:
    """Whole requests at the hub's pages: no answer is a 5xx."""
    import asyncio
    import logging

    from detector.config import Broker, HubConfig
    from detector.hub.server import Hub, create_app

    logging.disable(logging.CRITICAL)
    hub = Hub(HubConfig(data_dir=folder / "data", broker=Broker(port=9)), port=0)
    app = create_app(hub._parts)
    loop = asyncio.new_event_loop()

    def act(data: bytes) -> None:
        first, _, rest = data.partition(b"\n")
        method, _, target = first.partition(b" ")
        path, _, query = target.partition(b"?")
        lines, _, body = rest.partition(b"\n\n")
        headers = [
            (n.strip().lower(), v.strip())
            for n, _, v in (line.partition(b":") for line in lines.split(b"\n"))
            if n.strip()
        ]
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "scheme": "http", "root_path": "",
            "method": method.decode("latin-1").upper(), "path": "/" + path.decode("utf-8", "replace").lstrip("/"),
            "raw_path": path, "query_string": query, "headers": headers, "client": ("10.0.0.9", 1),
            "server": ("hub.test", 80),
        }  # fmt: skip
        statuses: list[int] = []
        parts = iter([{"type": "http.request", "body": body, "more_body": False}])

        answered = asyncio.Event()

        async def receive() -> Any:
            if part := next(parts, None):
                return part
            with contextlib.suppress(TimeoutError):  # who asks stays for the answer: nobody else is owed one
                await asyncio.wait_for(answered.wait(), 15)
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])
            elif not message.get("more_body"):
                answered.set()

        if scope["path"].rstrip("/").endswith("/events"):
            return  # goes on for ever, as it should
        loop.run_until_complete(asyncio.wait_for(app(scope, receive, send), 20))
        assert statuses
        assert statuses[0] < 500 or statuses[0] == 503

    host = b"host: hub.test\n"
    seeds = [
        b"GET /login\n" + host,
        b"POST /login\norigin: http://hub.test\n" + host + b"\nuser=a&password=b",
        b"GET /?kind=x&before=1\n" + host,
    ]
    seeds += [b"PUT /api/clips/inc-1/0\n" + host + b"content-range: bytes 0-9/10\nx-labelwatch-site: s\n\n0123456789"]
    seeds += [
        b"GET /static/style.css\nrange: bytes=0-5,7-9\nif-range: x\n" + host,
        b"GET /healthz\n" + host,
        b"GET /metrics\nauthorization: Bearer lw_x\n" + host,
    ]
    seeds += [
        b"GET /api/incidents?since=nan\nauthorization: Bearer lw_x\ncookie: labelwatch=x; language=zh; theme=\xff\n"
        + host,
        b"POST /enrol\n" + host + b'\n{"code":"x"}',
    ]
    return act, seeds


def _redactions(folder: Path) -> tuple[Check, list[bytes]]:
    from detector.errors import redacted

    def act(data: bytes) -> None:
        text = data.decode("utf-8", "replace")
        assert "s3cr3t" not in redacted(f"{text} rtsp://wang:s3cr3t@10.0.0.1/1")

    return act, [b"rtsp://a:b@c rtsps://u@", b"a" * 2000, b"http:/" * 200, b"x://" + b"a@" * 300, b"://:@" * 200]


def _codes(folder: Path) -> tuple[Check, list[bytes]]:
    from detector.credentials.codes import parse_code, read_join_request
    from detector.errors import LabelwatchError

    def act(data: bytes) -> None:
        for decode, given in ((parse_code, data.decode("utf-8", "replace")), (read_join_request, data)):
            try:
                decode(given)  # type: ignore[operator]
            except (LabelwatchError, ValueError) as error:
                assert len(str(error)) < 1000

    return act, [b"ABCD-EFGH-JKMN", b'{"schema": 1, "site": "s", "edge": "e", "public_key": "x"}', b"{" * 2000]


# A reader process that was taken over by what it read


def _reader_words(folder: Path) -> tuple[Check, list[bytes]]:
    import socket

    from detector.sources.messages import TO_WORKER, Channel, Ended, Format, Garbled, Laid, Stepped

    said = [
        Format("h264", 640, 480), Stepped(1.0, 0.0, True, 1, 0, 0, b"\0\0\0\1packet"), Ended("broke_off", "it ended"),
        Laid(1.0, 0, 0, 64, 48, (64, 32, 32, 0), (1, 1, 1, 1), "yuv420p"),
    ]  # fmt: skip

    def spoken(*messages: Any) -> bytes:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            line = Channel(ours, TO_WORKER)
            for message in messages:
                line.put(message)
            line.flush()
            return theirs.recv(65_536)

    def act(data: bytes) -> None:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            theirs.sendall(data[:60_000])
            theirs.shutdown(socket.SHUT_WR)
            line = Channel(ours, TO_WORKER)
            while line.receive(5.0) is not None:
                pass

    return _swallowing(act, Garbled, EOFError), [spoken(*said), *(spoken(message) for message in said)]


def _reader_pictures(folder: Path) -> tuple[Check, list[bytes]]:
    import os

    import av.logging

    from detector.sources.messages import Garbled, Laid
    from detector.sources.slots import Viewer, make_memory

    av.logging.set_level(None)
    memory = make_memory()
    viewer = Viewer(memory)
    os.close(memory)
    forms = (
        "yuv420p", "yuvj420p", "nv12", "gray", "yuv444p10le", "rgb24", "pal8", "bayer_rggb8", "vaapi", "monow", "x",
        "yuv411p", "yuvj440p", "yuv422p", "gbrp", "gbrp14le", "gray12le", "yuv410p", "nv21", "yuv440p12le", "yuv499p",
    )  # fmt: skip

    def act(data: bytes) -> None:
        choices = Choices(data)
        form = forms[choices.below(len(forms))]
        sides = (64, 63, 1, 2, 0, 1920, 65_535, 2**20, 2**32 - 1)
        width, height = (sides[choices.below(len(sides))] for _ in range(2))
        lines = (
            (width, width // 2, width // 2, 0) if choices.below(2) else tuple(sides[choices.below(9)] for _ in range(4))
        )
        colours = tuple(choices.below(256) for _ in range(4))
        laid = Laid(1.0, 0, choices.below(12), width, height, lines, colours, form)  # type: ignore[arg-type]
        image = viewer.image(Laid.unpacked(laid.packed())).bgr()
        assert image.shape == (height, width, 3)

    return _swallowing(act, Garbled), [bytes([n, n // 3, n // 5, n, n, 1, 1, 1, 1]) for n in range(40)]


TARGETS = {
    target.name: target
    for target in (
        Target("alerts", _alerts, 300_000),
        Target("commands", _commands, 150_000),
        Target("told", _told, 100_000),
        Target("jpegs", _jpegs, 100_000),
        Target("claims", _claims, 100_000),
        Target("hub", _hub, 30_000, by_choice=True),
        Target("sides", _sides, 100_000),
        Target("side_words", _side_words, 60_000),
        Target("packs", _packs, 60_000),
        Target("packs_resigned", _packs_resigned, 10_000, by_choice=True),
        Target("configs", _configs, 15_000),
        Target("cards", _cards, 15_000),
        Target("tracks", _tracks, 60_000),
        Target("learned", _learned, 60_000),
        Target("tuned", _tuned, 20_000, by_choice=True),
        Target("forms", _forms, 60_000),
        Target("requests", _requests, 10_000),
        Target("redactions", _redactions, 60_000),
        Target("codes", _codes, 40_000),
        Target("reader_words", _reader_words, 60_000),
        Target("reader_pictures", _reader_pictures, 20_000, by_choice=True),
    )
}


def folder_in_memory() -> tempfile.TemporaryDirectory[str]:
    """A folder on no disk, where there is such a place: what is tried a hundred thousand times must not wear one."""
    shm = Path("/dev/shm")
    return tempfile.TemporaryDirectory(prefix="labelwatch-fuzz-", dir=shm if shm.is_dir() else None)
