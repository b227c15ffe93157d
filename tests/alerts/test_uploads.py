"""Clips reach a hub that answers in every way it may, and files go only when it has them."""

from __future__ import annotations

import hashlib
import logging
import shutil
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from detector import wire
from detector.alerts import uploads
from detector.alerts.clip_queue import Clip
from detector.alerts.outbox import Outbox
from detector.alerts.uploads import Carrier, ClipUploads, NotNowError
from detector.clock import SystemClock
from detector.errors import StoreError
from detector.hub.lan import Certificate, certificate
from tests.parts_mosquitto import soon

TOPICS = wire.Topics("north", "box-1")
CONTENT = b"\0\0\0 ftypisom" + bytes(range(256)) * 4000


class Hub:
    """Keeps what is put, believes only signed claims, and answers the next requests as `script` says.

    What `between` says, a login page or a proxy on the way answers before it, as it does with 413 to whatever brings
    more than `passes` bytes at once.
    """

    def __init__(self, key: Ed25519PrivateKey, tls: Certificate | None = None) -> None:
        self.held: dict[str, bytes] = {}
        self.whole: dict[str, dict[str, Any]] = {}
        self.asked: list[str] = []
        self.script: list[int] = []
        self.between: list[int] = []
        self.kind_between, self.body_between = "text/html", b""
        self.passes: int | None = None
        self.take_at_most: int | None = None
        self.knows_sides = True
        self.no_such_path = 404
        self.page = "application/json", b""
        self.key = wire.public_key_text(key)
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args: object) -> None:
                pass

            def answer(
                self, status: int, offset: int | None = None, kind: str = "application/json", body: bytes = b""
            ) -> None:
                self.send_response(status)
                self.send_header("Content-Type", kind)
                if offset is not None:
                    self.send_header("Upload-Offset", str(offset))
                if self.headers.get("Content-Length") and status >= 400:
                    self.send_header("Connection", "close")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            def claim(self) -> dict[str, Any] | None:
                incident, segment, *rest = self.path.removeprefix("/api/clips/").split("/")
                name = "/".join([incident, segment, *rest])
                hub.asked.append(f"{self.command} {name} {self.headers.get('Content-Range', '')}".strip())
                if hub.passes is not None and int(self.headers.get("Content-Length", 0)) > hub.passes:
                    hub.between.insert(0, 413)
                if hub.between:
                    self.rfile.read(int(self.headers.get("Content-Length", 0)))
                    self.answer(hub.between.pop(0), kind=hub.kind_between, body=hub.body_between)
                    return None
                if hub.script:
                    self.answer(hub.script.pop(0))
                    return None
                if rest and not hub.knows_sides:
                    kind, page = hub.page
                    self.answer(hub.no_such_path, kind=kind, body=page)
                    return None
                what, key = (rest[0] if rest else None), hub.key
                return wire.verify_clip(
                    self.headers, incident=incident, segment=int(segment), public_key=key, what=what
                )

            def do_HEAD(self) -> None:
                if self.claim():
                    held = len(hub.held.get(self.path, b""))
                    status = 201 if self.path in hub.whole else 200 if held else 404
                    self.answer(status, held if held else None)

            def do_PUT(self) -> None:
                claim = self.claim()
                if not claim:
                    return
                held = hub.held.get(self.path, b"")
                first = int(self.headers["Content-Range"].split()[1].split("-")[0])
                assert first == len(held)
                brought = int(self.headers["Content-Length"])
                if hub.take_at_most is not None:
                    held += self.rfile.read(min(hub.take_at_most, claim["size"] - first))
                    hub.held[self.path], hub.take_at_most = held, None
                    self.close_connection = True  # as if the line broke
                    return
                held += self.rfile.read(brought)
                hub.held[self.path] = held
                if len(held) < claim["size"]:
                    self.answer(202, len(held))
                    return
                if len(held) != claim["size"] or hashlib.sha256(held).hexdigest() != claim["sha256"]:
                    self.answer(422)
                    return
                hub.whole[self.path] = claim
                self.answer(201, len(held))

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.handle_error = lambda request, address: None  # type: ignore[method-assign]
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self._server.server_port}"
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(tls.chain, tls.key)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def hub(key: Ed25519PrivateKey) -> Iterator[Hub]:
    hub = Hub(key)
    yield hub
    hub.close()


@pytest.fixture
def outbox(open_outbox: Callable[..., Outbox], monkeypatch: pytest.MonkeyPatch) -> Outbox:
    monkeypatch.setattr(uploads, "back_off_s", lambda failures, longest_s: 0.05)
    monkeypatch.setattr(uploads, "POLL_S", 0.02)
    return open_outbox(clock=SystemClock())


@pytest.fixture
def upload_to(outbox: Outbox, key: Ed25519PrivateKey) -> Iterator[Callable[[str], ClipUploads]]:
    started: list[ClipUploads] = []

    def start(url: str) -> ClipUploads:
        started.append(ClipUploads(outbox.clips, url, TOPICS, key, SystemClock()))
        started[-1].start()
        return started[-1]

    yield start
    for one in started:
        assert one.stop(10.0)


def queue_clip(outbox: Outbox, folder: Path, incident: str = "i1", content: bytes = CONTENT, **more: Any) -> Path:
    path = folder / f"{incident}.mp4"
    path.write_bytes(content)
    claim = {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content), **more}
    outbox.clips.put(Clip(incident, 0, "cam-1", path, started_at=1_800_000_000.1234, duration_s=9.5, **claim))
    return path


def test_a_clip_arrives_whole_with_a_claim_that_holds(
    tmp_path: Path, outbox: Outbox, hub: Hub, upload_to: Callable[[str], ClipUploads]
) -> None:
    path = queue_clip(outbox, tmp_path)
    upload_to(hub.url + "/")
    assert outbox.wait_drained(20.0)
    claim = hub.whole["/api/clips/i1/0"]
    assert hub.held["/api/clips/i1/0"] == CONTENT
    assert (claim["site"], claim["camera"], claim["started_at"], claim["duration_s"]) == (
        "north", "cam-1", 1_800_000_000.123, 9.5,
    )  # fmt: skip
    assert soon(lambda: not path.exists())


def test_a_broken_line_goes_on_where_it_broke(
    tmp_path: Path, outbox: Outbox, hub: Hub, upload_to: Callable[[str], ClipUploads]
) -> None:
    hub.take_at_most = 300_000
    queue_clip(outbox, tmp_path)
    upload_to(hub.url)
    assert outbox.wait_drained(20.0)
    assert hub.held["/api/clips/i1/0"] == CONTENT
    size = len(CONTENT)
    assert hub.asked == [
        "HEAD i1/0",
        f"PUT i1/0 bytes 0-{size - 1}/{size}",
        "HEAD i1/0",
        f"PUT i1/0 bytes 300000-{size - 1}/{size}",
    ]


def test_what_the_hub_has_already_is_not_sent_again(
    tmp_path: Path, outbox: Outbox, hub: Hub, upload_to: Callable[[str], ClipUploads]
) -> None:
    hub.held["/api/clips/i1/0"] = CONTENT
    hub.whole["/api/clips/i1/0"] = {}
    queue_clip(outbox, tmp_path)
    upload_to(hub.url)
    assert outbox.wait_drained(20.0)
    assert hub.asked == ["HEAD i1/0"]


def test_killed_once_the_hub_has_a_clip_it_leaves_neither_file_nor_complaint(
    tmp_path: Path, outbox: Outbox, hub: Hub, upload_to: Callable[[str], ClipUploads], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        """The process is gone at once."""

    def killed(clip: Clip) -> None:
        raise Killed

    path = queue_clip(outbox, tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(outbox.clips, "done", killed)
        patched.setattr(threading, "excepthook", lambda _: None)
        first = upload_to(hub.url)
        assert soon(lambda: hub.whole and not first.running)
    assert not path.exists() and outbox.counts()["clips"] == 1
    upload_to(hub.url)
    assert outbox.wait_drained(20.0)
    assert outbox.counts()["dead"] == 0


@pytest.mark.parametrize("status", [401, 403, 408, 409, 425, 429, 500, 502, 507])
def test_what_may_pass_is_tried_again(
    tmp_path: Path, outbox: Outbox, hub: Hub, upload_to: Callable[[str], ClipUploads], status: int
) -> None:
    hub.script = [status, status]
    path = queue_clip(outbox, tmp_path)
    upload_to(hub.url)
    assert outbox.wait_drained(20.0)
    assert "/api/clips/i1/0" in hub.whole
    assert soon(lambda: not path.exists())


def test_an_address_that_can_be_none_is_said_and_ends_no_thread(
    tmp_path: Path, outbox: Outbox, upload_to: Callable[[str], ClipUploads], caplog: pytest.LogCaptureFixture
) -> None:
    path = queue_clip(outbox, tmp_path)
    uploading = upload_to("http://127.0.0.300:8080")
    assert soon(lambda: "i1/0 waits: " in caplog.text and "127.0.0.300" in caplog.text)
    assert uploading.running and path.exists()


class ClockOff(SystemClock):
    """Wrong by so many seconds."""

    def __init__(self, off_s: float) -> None:
        super().__init__()
        self._off_s = off_s

    def now(self) -> float:
        return super().now() + self._off_s


@pytest.mark.parametrize(
    ("off_s", "told"),
    [
        pytest.param(7200.0, ": this box's clock is 120 min ahead of the hub's", id="ahead"),
        pytest.param(-7200.0, ": this box's clock is 120 min behind the hub's", id="behind"),
        pytest.param(0.0, "", id="right"),
    ],
)
def test_a_hub_that_believes_nothing_is_told_with_how_far_the_clocks_are_apart(
    off_s: float, told: str, tmp_path: Path, outbox: Outbox, hub: Hub, key: Ed25519PrivateKey,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    hub.script = [401]
    queue_clip(outbox, tmp_path)
    uploading = ClipUploads(outbox.clips, hub.url, TOPICS, key, ClockOff(off_s))
    uploading.start()
    assert outbox.wait_drained(20.0)
    assert uploading.stop(10.0)
    (line,) = [record.getMessage() for record in caplog.records if " waits: " in record.getMessage()]
    assert f"the hub answered 401{told}" in line
    assert ("clock" in line) == bool(told)


def test_a_hub_without_room_is_told_with_where_to_look_and_gets_the_clip_once_it_has_some(
    tmp_path: Path, outbox: Outbox, hub: Hub, upload_to: Callable[[str], ClipUploads],
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    hub.script = [507]
    queue_clip(outbox, tmp_path)
    upload_to(hub.url)
    assert outbox.wait_drained(20.0)
    (line,) = [record.getMessage() for record in caplog.records if " waits: " in record.getMessage()]
    assert "507: its disk is short, and its health page says what to do" in line


@pytest.mark.parametrize("status", [400, 410, 413, 415, 422])
def test_what_the_hub_never_takes_is_a_dead_letter_and_its_file_stays(
    tmp_path: Path, outbox: Outbox, hub: Hub, upload_to: Callable[[str], ClipUploads], status: int
) -> None:
    hub.script = [status]
    path = queue_clip(outbox, tmp_path)
    upload_to(hub.url)
    assert soon(lambda: outbox.counts()["dead"] == 1)
    assert path.exists()


@pytest.mark.parametrize(
    ("answers", "told"),
    [
        pytest.param([200], "not the hub: 200 OK", id="a login page"),
        pytest.param([201], "not the hub: 201 Created", id="a login page that knows not what was asked"),
        pytest.param([405, 200], "not the hub: 200 OK", id="a login page without HEAD"),
        pytest.param([404, 201], "not the hub: 201 Created", id="another server"),
        pytest.param([405, 405], "not the hub: 405 Method Not Allowed", id="a server that takes nothing"),
        pytest.param([405, *[413] * 5], f"413 {HTTPStatus(413).phrase}, which lets not even 64 KB pass", id="proxy"),
        pytest.param([451], "not the hub: 451 Unavailable For Legal Reasons", id="a firewall"),
    ],
)
@pytest.mark.parametrize("what", [None, wire.SIDE])
def test_what_something_on_the_way_says_is_not_the_hub_s_word(
    what: str | None, answers: list[int], told: str, tmp_path: Path, outbox: Outbox, hub: Hub,
    upload_to: Callable[[str], ClipUploads], caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    hub.between = list(answers)
    queue_clip(outbox, tmp_path, what=what)
    upload_to(hub.url)
    assert outbox.wait_drained(20.0)
    assert outbox.counts()["dead"] == 0
    assert [claim["size"] for claim in hub.whole.values()] == [len(CONTENT)]
    (line,) = [record.getMessage() for record in caplog.records if " waits: " in record.getMessage()]
    assert told in line


def test_what_a_proxy_finds_too_large_goes_in_pieces_that_it_lets_pass(
    tmp_path: Path, outbox: Outbox, hub: Hub, upload_to: Callable[[str], ClipUploads]
) -> None:
    hub.passes = 300_000
    for incident in ("i1", "i2"):
        queue_clip(outbox, tmp_path, incident)
    upload_to(hub.url)
    assert outbox.wait_drained(20.0) and len(hub.whole) == 2
    assert all(held == CONTENT for held in hub.held.values())
    tried = len([asked for asked in hub.asked if asked.startswith("PUT i1")])
    assert tried == 2 + 4, "of the first clip whole and half are refused"
    assert len([asked for asked in hub.asked if asked.startswith("PUT i2")]) == 4, "what passes is known by then"


@pytest.mark.parametrize(
    "body", [b'{"message": "Request size limit exceeded"}', b"[1]", b"7", b"null", b"{", b'"reason"']
)
def test_a_proxy_that_speaks_json_is_not_taken_for_the_hub(
    body: bytes, tmp_path: Path, outbox: Outbox, hub: Hub, upload_to: Callable[[str], ClipUploads]
) -> None:
    hub.passes, hub.kind_between, hub.body_between = 600_000, "application/json", body
    queue_clip(outbox, tmp_path)
    upload_to(hub.url)
    assert outbox.wait_drained(20.0)
    assert outbox.counts()["dead"] == 0 and len(hub.whole) == 1


def test_clips_go_straight_to_the_hub_as_all_else_does_whatever_proxy_the_machine_has(
    tmp_path: Path, outbox: Outbox, hub: Hub, upload_to: Callable[[str], ClipUploads], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    queue_clip(outbox, tmp_path)
    upload_to(hub.url)
    assert outbox.wait_drained(20.0)


def test_for_how_long_no_clip_got_through_is_told_and_why(
    tmp_path: Path, outbox: Outbox, hub: Hub, upload_to: Callable[[str], ClipUploads]
) -> None:
    hub.script = [507] * 2
    queue_clip(outbox, tmp_path)
    box = upload_to(hub.url)
    assert soon(lambda: box.health().get("clips_stuck", {}).get("way") == "no_room")
    assert outbox.wait_drained(20.0)
    assert soon(lambda: box.health() == {})


def test_a_replaced_authority_of_the_hub_counts_without_a_restart(
    tmp_path: Path, outbox: Outbox, key: Ed25519PrivateKey
) -> None:
    before, after = (certificate(tmp_path / name, [], time.time()) for name in ("before", "after"))
    hub, authority = Hub(key, after), tmp_path / "ca.crt"
    shutil.copy(before.authority, authority)
    box = ClipUploads(outbox.clips, hub.url, TOPICS, key, SystemClock(), authority)
    box.start()
    try:
        queue_clip(outbox, tmp_path)
        assert soon(lambda: box.health().get("clips_stuck", {}).get("way") == "unreachable") and not hub.whole
        authority.unlink()  # as it is while somebody replaces it
        tries = box._failures
        assert soon(lambda: box._failures > tries + 1)
        shutil.copy(after.authority, authority)
        assert outbox.wait_drained(20.0) and soon(lambda: box.health() == {})
        assert list(hub.whole) == ["/api/clips/i1/0"]
    finally:
        assert box.stop(10.0)
        hub.close()


def test_an_authority_that_can_not_be_read_keeps_clips_until_it_is_mended_and_nothing_else(
    tmp_path: Path, outbox: Outbox, key: Ed25519PrivateKey, caplog: pytest.LogCaptureFixture
) -> None:
    good, authority = certificate(tmp_path / "good", [], time.time()), tmp_path / "ca.crt"
    hub = Hub(key, good)
    authority.write_bytes(b"")  # as after a power cut
    box = ClipUploads(outbox.clips, hub.url, TOPICS, key, SystemClock(), authority)
    assert "ca.crt can't be used" in caplog.text
    box.start()
    try:
        queue_clip(outbox, tmp_path)
        assert soon(lambda: box.health().get("clips_stuck", {}).get("way") == "unreachable") and not hub.whole
        shutil.copy(good.authority, authority)
        assert outbox.wait_drained(20.0) and list(hub.whole) == ["/api/clips/i1/0"]
    finally:
        assert box.stop(10.0)
        hub.close()


@pytest.mark.parametrize(
    ("between", "way"), [([200, 200], "between"), ([413], "between"), ([403], "between"), ([], "unreachable")]
)
def test_what_keeps_clips_is_told_apart(
    between: list[int], way: str, tmp_path: Path, outbox: Outbox, hub: Hub, upload_to: Callable[[str], ClipUploads]
) -> None:
    hub.between = between * 100
    queue_clip(outbox, tmp_path)
    box = upload_to(hub.url if between else "http://127.0.0.1:1")
    assert soon(lambda: box.health().get("clips_stuck", {}).get("way") == way)


def test_a_clip_that_its_own_disk_keeps_is_not_put_down_to_the_network(
    tmp_path: Path, outbox: Outbox, hub: Hub, upload_to: Callable[[str], ClipUploads], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(uploads.Carrier, "_piece", fail)
    queue_clip(outbox, tmp_path)
    box = upload_to(hub.url)
    assert soon(lambda: box.health().get("clips_stuck", {}).get("way") == "refused")


def test_a_hub_that_takes_nothing_is_asked_no_more_often_by_a_box_with_many_clips(
    tmp_path: Path, outbox: Outbox, hub: Hub, upload_to: Callable[[str], ClipUploads], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "back_off_s", lambda failures, longest_s: 600.0)
    hub.script = [507] * 20
    for number in range(20):
        queue_clip(outbox, tmp_path, f"i{number}")
    upload_to(hub.url)
    assert soon(lambda: hub.asked)
    assert not soon(lambda: len(hub.asked) > 1, 0.3)


def test_a_clip_that_fails_is_tried_ever_later(
    tmp_path: Path, outbox: Outbox, hub: Hub, upload_to: Callable[[str], ClipUploads], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[int, float]] = []
    monkeypatch.setattr(uploads, "back_off_s", lambda failures, longest_s: asked.append((failures, longest_s)) or 0.01)
    hub.script = [503] * 3
    queue_clip(outbox, tmp_path)
    upload_to(hub.url)
    assert outbox.wait_drained(20.0)
    longest = uploads.LONGEST_BACK_OFF_S, uploads.LONGEST_PAUSE_S
    assert asked == [(failures, longest_s) for failures in (1, 2, 3) for longest_s in longest]


def test_an_outbox_that_cannot_be_read_for_a_moment_ends_no_uploads(
    tmp_path: Path, outbox: Outbox, hub: Hub, upload_to: Callable[[str], ClipUploads], monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    next_due, failing = outbox.clips.next_due, [StoreError("the disk is away")]
    monkeypatch.setattr(outbox.clips, "next_due", lambda: _raise(failing.pop()) if failing else next_due())
    queue_clip(outbox, tmp_path)
    upload_to(hub.url)
    assert outbox.wait_drained(20.0)
    assert "clips can't be uploaded: the disk is away" in caplog.text


def _raise(error: Exception) -> None:
    raise error


def test_an_upload_breaks_off_between_two_pieces(
    tmp_path: Path, outbox: Outbox, hub: Hub, key: Ed25519PrivateKey
) -> None:
    pieces = iter([None, None, NotNowError("stopping")])
    queue_clip(outbox, tmp_path)
    clip = outbox.clips.next_due()
    carrier = Carrier(hub.url, TOPICS, lambda: key, SystemClock(), lambda: (e := next(pieces)) and _raise(e))
    assert clip is not None
    with httpx.Client() as client, pytest.raises(NotNowError, match="stopping"):
        carrier.bring(client, clip)
    assert not hub.whole


def test_a_changed_file_is_a_dead_letter(
    tmp_path: Path, outbox: Outbox, hub: Hub, upload_to: Callable[[str], ClipUploads]
) -> None:
    queue_clip(outbox, tmp_path, "spoilt", sha256="0" * 64)
    queue_clip(outbox, tmp_path, "short", size=len(CONTENT) + 1)
    queue_clip(outbox, tmp_path, "gone").unlink()
    queue_clip(outbox, tmp_path, "good")
    upload_to(hub.url)
    assert outbox.wait_drained(20.0)
    assert outbox.counts()["dead"] == 3
    assert list(hub.whole) == ["/api/clips/good/0"]


def test_a_hub_that_comes_later_gets_everything(
    tmp_path: Path, outbox: Outbox, hub: Hub, upload_to: Callable[[str], ClipUploads], caplog: pytest.LogCaptureFixture
) -> None:
    url = hub.url
    hub.close()
    for n in range(3):
        queue_clip(outbox, tmp_path, f"i{n}", b"\0\0\0 ftypisom")
    upload_to(url)
    tried = outbox.clips._tried
    assert soon(lambda: sum(attempts.attempts for attempts in tried.copy().values()) > 5)
    assert outbox.counts()["clips"] == 3
    (line,) = [record.getMessage() for record in caplog.records if " waits: " in record.getMessage()]
    assert f"the hub at {url} can't be reached: " in line


def test_clips_wait_for_their_alert(
    tmp_path: Path,
    outbox: Outbox,
    hub: Hub,
    upload_to: Callable[[str], ClipUploads],
    fields: Callable[..., dict[str, Any]],
) -> None:
    id_ = outbox.put(fields(incident="i1"))
    queue_clip(outbox, tmp_path, "i1")
    queue_clip(outbox, tmp_path, "i2")
    upload_to(hub.url)
    assert soon(lambda: "/api/clips/i2/0" in hub.whole)
    assert "/api/clips/i1/0" not in hub.held
    outbox.acknowledge([id_])
    assert soon(lambda: "/api/clips/i1/0" in hub.whole)


def test_stopping_breaks_an_upload_off_and_the_clip_stays(
    tmp_path: Path, outbox: Outbox, hub: Hub, upload_to: Callable[[str], ClipUploads]
) -> None:
    hub.script = [503] * 10_000
    path = queue_clip(outbox, tmp_path)
    one = upload_to(hub.url)
    assert soon(lambda: len(hub.asked) > 2)
    assert one.stop(5.0)
    assert outbox.counts()["clips"] == 1
    assert path.exists()


# Side files


def queue_side(outbox: Outbox, folder: Path, incident: str = "i1", content: bytes = b"\x1f\x8b looks") -> Path:
    path = folder / f"{incident}.side.json.gz"
    path.write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    outbox.clips.put(Clip(incident, 0, "cam-1", path, digest, len(content), 1_800_000_000.1234, 9.5, wire.SIDE))
    return path


def test_a_side_file_follows_its_clip_with_a_claim_of_its_own(
    tmp_path: Path, outbox: Outbox, hub: Hub, upload_to: Callable[[str], ClipUploads]
) -> None:
    paths = [queue_side(outbox, tmp_path), queue_clip(outbox, tmp_path)]
    upload_to(hub.url)
    assert outbox.wait_drained(20.0)
    assert next(name for name in hub.asked if name.startswith("PUT")).startswith("PUT i1/0 ")
    claim = hub.whole["/api/clips/i1/0/side"]
    assert (claim["what"], claim["size"], claim["duration_s"]) == ("side", 8, 9.5)
    assert "what" not in hub.whole["/api/clips/i1/0"], "older hubs know of no such field"
    assert soon(lambda: not any(path.exists() for path in paths))


def test_a_side_file_that_broke_off_goes_on_where_it_broke(
    tmp_path: Path, outbox: Outbox, hub: Hub, upload_to: Callable[[str], ClipUploads]
) -> None:
    hub.take_at_most = 300_000
    queue_side(outbox, tmp_path, content=CONTENT)
    upload_to(hub.url)
    assert outbox.wait_drained(20.0)
    assert hub.held["/api/clips/i1/0/side"] == CONTENT
    assert hub.asked[-1].startswith("PUT i1/0/side bytes 300000-")


@pytest.mark.parametrize(
    ("status", "page"),
    [
        (404, ("application/json", b"")),
        (405, ("application/json", b"")),
        (404, ("text/html", b"<title>labelwatch</title>")),
    ],
)
def test_an_older_hub_costs_side_files_and_no_clip_and_is_told_of_once(
    tmp_path: Path,
    outbox: Outbox,
    hub: Hub,
    upload_to: Callable[[str], ClipUploads],
    caplog: pytest.LogCaptureFixture,
    status: int,
    page: tuple[str, bytes],
) -> None:
    caplog.set_level(logging.INFO)
    hub.knows_sides, hub.no_such_path, hub.page = False, status, page
    sides = []
    for incident in ("i1", "i2", "i3"):
        queue_clip(outbox, tmp_path, incident)
        sides.append(queue_side(outbox, tmp_path, incident))
    upload_to(hub.url)
    assert outbox.wait_drained(20.0)
    assert sorted(hub.whole) == [f"/api/clips/{incident}/0" for incident in ("i1", "i2", "i3")]
    assert outbox.counts()["dead"] == 0 and soon(lambda: not any(side.exists() for side in sides))
    assert caplog.text.count("older than side files") == 1
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
    hub.knows_sides = True
    queue_side(outbox, tmp_path, "i4")
    assert outbox.wait_drained(20.0)
    assert "/api/clips/i4/0/side" in hub.whole, "a hub that was renewed gets the next one"


def test_a_side_file_that_is_refused_is_a_dead_letter_and_its_clip_is_not(
    tmp_path: Path, outbox: Outbox, hub: Hub, upload_to: Callable[[str], ClipUploads]
) -> None:
    hub.script = [413]
    side = queue_side(outbox, tmp_path)
    upload_to(hub.url)
    assert soon(lambda: outbox.counts()["dead"] == 1)
    queue_clip(outbox, tmp_path)
    assert outbox.wait_drained(20.0)
    assert "/api/clips/i1/0" in hub.whole and side.exists()


def test_a_file_that_can_not_be_deleted_holds_up_no_other(
    tmp_path: Path, outbox: Outbox, hub: Hub, upload_to: Callable[[str], ClipUploads], monkeypatch: pytest.MonkeyPatch
) -> None:
    stuck, unlink = queue_clip(outbox, tmp_path, "stuck"), Path.unlink

    def refuse(path: Path, *, missing_ok: bool = False) -> None:
        if path == stuck:
            raise OSError(5, "Input/output error")
        unlink(path, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "unlink", refuse)
    queue_clip(outbox, tmp_path, "next")
    upload_to(hub.url)
    assert outbox.wait_drained(30.0)
    assert len(hub.whole) == 2
