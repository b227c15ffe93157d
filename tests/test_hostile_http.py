"""Visitors who never finish asking, ask two things in one, or ask for too much: the hub goes on, for everybody else."""

from __future__ import annotations

import contextlib
import http.client
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from argon2 import PasswordHasher

from detector.config import Broker, HubConfig
from detector.hub import replay_intake, slow_clients
from detector.hub.notices import services as notice_services
from detector.hub.notices.services import NoticeError
from detector.hub.pages import view
from detector.hub.server import Hub
from tests.hub.conftest import make_hub
from tests.sources.conftest import free_port

LONG_S = 60.0  # the machine that runs this may be busy
PATIENCE_S = 1.5


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    cheap = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
    data: Path = tmp_path_factory.mktemp("hub") / "data"
    served = Hub(HubConfig(data_dir=data, broker=Broker(port=free_port())), port=0, hasher=cheap)
    served.start()
    yield served
    served.stop()


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slow_clients, "HEAD_S", PATIENCE_S)
    monkeypatch.setattr(slow_clients, "BODY_IDLE_S", PATIENCE_S)
    monkeypatch.setattr(view, "FORM_S", PATIENCE_S)


def call(hub: Hub) -> socket.socket:
    url = httpx.URL(hub.url)
    return socket.create_connection((url.host, url.port), timeout=LONG_S)


def rest(connection: socket.socket) -> bytes:
    """All that comes until the hub hangs up."""
    said = b""
    try:
        while got := connection.recv(65_536):
            said += got
    except ConnectionError:
        pass
    return said


def asked(hub: Hub, request: bytes) -> bytes:
    """What is said to a request, until nothing more comes for a while."""
    said = b""
    with call(hub) as connection, contextlib.suppress(ConnectionError, TimeoutError):
        with contextlib.suppress(ConnectionError):  # it may be refused before all of it is sent
            connection.sendall(request)
        while got := connection.recv(65_536):
            said += got
            connection.settimeout(0.3)
    return said


def drip(connection: socket.socket, text: bytes) -> float:
    """Send byte by byte; how long it took until the hub hung up, which it must."""
    began = time.monotonic()
    connection.settimeout(0.1)
    for byte in text:
        try:
            connection.sendall(bytes([byte]))
            if connection.recv(1) == b"":
                return time.monotonic() - began
        except TimeoutError:
            assert time.monotonic() - began < LONG_S
        except ConnectionError:
            return time.monotonic() - began
    raise AssertionError("the hub took all of it")


def is_served(hub: Hub, *, verify: bool = True) -> bool:
    try:
        return httpx.get(hub.url + "healthz", timeout=LONG_S, verify=verify).status_code == 200
    except httpx.TransportError:
        return False


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("sent", [b"", b"GET /login HTTP/1.1\r\nHost: hub\r\n", b"GE"])
def test_who_never_finishes_asking_is_hung_up_on(sent: bytes, hub: Hub) -> None:
    with call(hub) as connection:
        connection.sendall(sent)
        assert rest(connection) == b""
    assert is_served(hub)


@pytest.mark.usefixtures("hasty")
def test_headers_byte_by_byte_do_not_prolong_it(hub: Hub) -> None:
    with call(hub) as connection:
        assert drip(connection, b"GET /login HTTP/1.1\r\nX: " + b"a" * 10_000) > PATIENCE_S / 2


@pytest.mark.usefixtures("hasty")
def test_a_further_request_on_a_connection_has_no_more_time(hub: Hub) -> None:
    with call(hub) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: hub\r\n\r\n")
        assert connection.recv(65_536).startswith(b"HTTP/1.1 200")
        drip(connection, b"GET /login HTTP/1.1\r\nX: " + b"a" * 10_000)


def test_a_connection_that_a_proxy_keeps_answers_after_it_idled(hub: Hub) -> None:
    """uvicorn lets go after 5 s: a verdict that comes in just then is lost, and nginx tells the guard of an error."""
    assert slow_clients.IDLE_S > 120, "Caddy keeps one for two minutes, nginx for one"
    url = httpx.URL(hub.url)
    with contextlib.closing(http.client.HTTPConnection(url.host, url.port or 80, timeout=LONG_S)) as connection:
        for idled_s in (0.0, 6.0):
            time.sleep(idled_s)
            connection.request("GET", "/healthz")
            answer = connection.getresponse()
            assert answer.status == 200 and answer.read()


@pytest.mark.usefixtures("hasty")
def test_a_form_byte_by_byte_is_refused(hub: Hub) -> None:
    origin = hub.url.rstrip("/").encode()
    head = b"POST /login HTTP/1.1\r\nHost: %s\r\nOrigin: %s\r\nContent-Length: 9000\r\n\r\n" % (origin[7:], origin)
    with call(hub) as connection:
        connection.sendall(head)
        until = time.monotonic() + LONG_S
        connection.settimeout(0.1)
        said, is_gone = b"", False
        while b"\r\n\r\n" not in said and not is_gone and time.monotonic() < until:
            try:
                connection.sendall(b"a")
                said += connection.recv(65_536)
            except TimeoutError:
                continue
            except ConnectionError:  # what was sent after the answer may take the answer with it
                is_gone = True
        assert said.startswith(b"HTTP/1.1 408") or (is_gone and not said)


@pytest.mark.usefixtures("hasty")
def test_a_body_that_stops_coming_is_given_up(hub: Hub) -> None:
    origin = hub.url.rstrip("/").encode()
    with call(hub) as connection:
        connection.sendall(
            b"POST /login HTTP/1.1\r\nHost: %s\r\nOrigin: %s\r\nContent-Length: 9000\r\n\r\na" % (origin[7:], origin)
        )
        said = rest(connection)
    assert not said or said.startswith(b"HTTP/1.1 408")


@pytest.mark.usefixtures("hasty")
def test_hundreds_who_say_nothing_do_not_keep_others_out(hub: Hub) -> None:
    with ExitStack() as crowd:
        silent = [crowd.enter_context(call(hub)) for _ in range(300)]
        assert is_served(hub)
        for connection in silent:
            assert rest(connection) == b""
    assert is_served(hub)


def test_one_address_has_no_more_than_its_share(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slow_clients, "MOST_FROM_ONE", 3)
    monkeypatch.setattr(slow_clients, "_is_here", lambda host: False)
    with ExitStack() as crowd:
        first = [crowd.enter_context(call(hub)) for _ in range(3)]
        with call(hub) as another:
            assert rest(another) == b""
        for connection in first:
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: hub\r\n\r\n")
            assert connection.recv(100).startswith(b"HTTP/1.1 200")


def test_one_address_has_no_more_than_its_share_before_tls_has_come_about(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slow_clients, "MOST_FROM_ONE", 3)
    monkeypatch.setattr(slow_clients, "_is_here", lambda host: False)
    served = make_hub(HubConfig(data_dir=tmp_path / "data", broker=Broker(port=free_port())), lan=True)
    served.start()
    try:
        with ExitStack() as crowd:
            silent = [crowd.enter_context(call(served)) for _ in range(3)]
            with call(served) as another:
                another.settimeout(10.0)  # sooner than asyncio gives up waiting for TLS
                assert rest(another) == b""
            silent.pop().close()
            until = time.monotonic() + LONG_S
            while not (is_let_in := is_served(served, verify=False)) and time.monotonic() < until:
                time.sleep(0.1)
            assert is_let_in
    finally:
        served.stop()


def test_where_too_many_are_here_who_asks_comes_before_who_says_nothing(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slow_clients, "MOST_AT_ALL", 3)
    with ExitStack() as crowd:
        silent = [crowd.enter_context(call(hub)) for _ in range(3)]
        assert is_served(hub)
        silent[0].settimeout(slow_clients.HEAD_S / 2)  # sooner than by its own silence
        assert rest(silent[0]) == b""


BODY_WITHOUT_END = {
    "by its length": b"Content-Length: 1000000000000\r\n\r\n",
    "in chunks": b"Transfer-Encoding: chunked\r\n\r\n" + b"20000\r\n" + b"a" * 0x20000 + b"\r\n",
}


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("how", BODY_WITHOUT_END)
def test_a_stranger_s_endless_body_is_not_kept_in_memory(how: str, hub: Hub) -> None:
    head = b"POST /api/incidents/one/verdict HTTP/1.1\r\nHost: hub\r\nAuthorization: Bearer none\r\n"
    said = asked(hub, head + b"Content-Type: application/json\r\n" + BODY_WITHOUT_END[how])
    assert said.startswith(b"HTTP/1.1 413")
    assert is_served(hub)


def test_of_many_strangers_who_publish_at_once_few_are_held_in_memory(hub: Hub) -> None:
    head = b"POST /api/replays/shanghai/box1 HTTP/1.1\r\nHost: hub\r\nContent-Length: 9000\r\n"
    with ExitStack() as crowd:
        begun = [crowd.enter_context(call(hub)) for _ in range(replay_intake.STRANGERS)]
        for connection in begun:
            connection.sendall(head + b"Expect: 100-continue\r\n\r\n")
            assert connection.recv(65_536).startswith(b"HTTP/1.1 100")  # it has its place
        said = asked(hub, head + b"\r\n")
        assert said.startswith(b"HTTP/1.1 503")
        assert b"retry-after: 5" in said.lower()
        for connection in begun:
            connection.sendall(b"a" * 9000)
            assert connection.recv(65_536).startswith(b"HTTP/1.1 401")
    assert not asked(hub, head + b"\r\n" + b"a" * 9000).startswith(b"HTTP/1.1 503")


def test_headers_without_end_are_refused(hub: Hub) -> None:
    assert asked(hub, b"GET /login HTTP/1.1\r\nHost: hub\r\nX: " + b"a" * 200_000 + b"\r\n\r\n").startswith(
        b"HTTP/1.1 400"
    )
    assert is_served(hub)


RANGE = b"GET /static/style.css HTTP/1.1\r\nHost: hub\r\nRange: bytes="
SMUGGLED = b"GET /healthz HTTP/1.1\r\nHost: hub\r\n\r\n"
TWO_IN_ONE = {
    "length and chunks": b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two lengths": b"Content-Length: 0\r\nContent-Length: 40\r\n\r\n",
    "two lengths in one": b"Content-Length: 0, 40\r\n\r\n",
    "a signed length": b"Content-Length: +0\r\n\r\n",
    "a negative length": b"Content-Length: -1\r\n\r\n",
    "a length in hex": b"Content-Length: 0x0\r\n\r\n",
    "an odd encoding": b"Transfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n",
    "an encoding with a tab": b"Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n",
    "a space before the colon": b"Content-Length : 0\r\n\r\n",
    "a header that goes on": b"X: a\r\n\tContent-Length: 5\r\nContent-Length: 0, 9\r\n\r\n",
    "a nought": b"X: a\0b\r\n\r\n",
}


@pytest.mark.parametrize("how", TWO_IN_ONE)
def test_what_two_servers_could_read_in_two_ways_is_refused(how: str, hub: Hub) -> None:
    said = asked(hub, b"POST /login HTTP/1.1\r\nHost: hub\r\n" + TWO_IN_ONE[how] + SMUGGLED)
    assert said.count(b"HTTP/1.1 ") <= 1
    assert not said.count(b"HTTP/1.1 200")
    assert is_served(hub)


@pytest.mark.parametrize(
    "request_of",
    [
        lambda: RANGE + b",".join(b"%d-%d" % (n, n) for n in range(9000)),
        lambda: RANGE + b"0-," * 15_000,
        lambda: RANGE + b"9" * 4000 + b"-",
        lambda: b"GET /login HTTP/1.1\r\nHost: hub\r\nCookie: " + b"a=b; " * 10_000,
        lambda: b"GET /login?" + b"a=b&" * 10_000 + b" HTTP/1.1\r\nHost: hub",
        lambda: b"GET /" + b"%2e%2e/" * 5_000 + b"etc/passwd HTTP/1.1\r\nHost: hub",
        lambda: b"GET /static/..%2f..%2f..%2fetc/passwd HTTP/1.1\r\nHost: hub",
    ],
    ids=["ranges", "open ranges", "a huge range", "cookies", "fields", "steps up", "a way out"],
)  # fmt: skip
def test_too_much_of_one_thing_is_answered_soon_and_with_no_failure(request_of: Callable[[], bytes], hub: Hub) -> None:
    began = time.process_time()
    said = asked(hub, request_of() + b"\r\n\r\n")
    assert said.startswith(b"HTTP/1.1 ")
    assert b"HTTP/1.1 5" not in said[:12]
    assert b"root:x:" not in said
    assert time.process_time() - began < 20


def test_a_stranger_who_names_a_page_that_lies_deep_does_not_keep_the_hub_busy(hub: Hub) -> None:
    form = b"POST /preferences HTTP/1.1\r\nHost: hub\r\nOrigin: http://hub\r\nContent-Length: 0\r\n"
    began = time.process_time()
    said = asked(hub, form + b"Referer: http://hub/" + b"a/" * 30_000 + b"\r\n\r\n")
    assert said.startswith(b"HTTP/1.1 303") and b"location: /\r\n" in said
    assert time.process_time() - began < 5


@pytest.mark.parametrize("origin", ["http://[", "http://hub]", "http://[::1", "//[", "null", "http://hub@evil", "\xff"])
def test_an_origin_that_is_no_address_is_another_site(origin: str, hub: Hub) -> None:
    said = asked(hub, b"POST /login HTTP/1.1\r\nHost: hub\r\nOrigin: " + origin.encode("latin-1") + b"\r\n\r\n")
    assert said.startswith(b"HTTP/1.1 403")


def test_a_current_page_that_is_no_address_leads_to_the_login(hub: Hub) -> None:
    said = httpx.get(hub.url, headers={"HX-Request": "true", "HX-Current-URL": "http://["}, timeout=LONG_S)
    assert said.status_code == 401
    assert said.headers["HX-Redirect"] == "/login?next=/"


@pytest.mark.parametrize("key", ["http://[", "https://open.feishu.cn/[", "//]", "https://"])
def test_a_robot_key_that_is_no_address_is_refused_in_words(key: str) -> None:
    with pytest.raises(NoticeError):
        notice_services._feishu({"key": key})
