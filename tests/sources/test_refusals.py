"""Each way in which FFmpeg fails at a camera: its own exception holds the password, and no log line does."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import av
import pytest

from detector.clock import SystemClock
from detector.config import Camera
from detector.machine.secrecy import guard, know
from detector.sources.confined import LANDLOCK_PORTS, landlock_version
from detector.sources.live import LiveSource
from tests.sources.conftest import RtspServer, free_port

SECRET = "pyav-7f3c9aQx"
Servers = Callable[..., RtspServer]


@contextmanager
def answering(words: bytes | None, into: list[bytes] | None = None) -> Iterator[int]:
    """A port where somebody answers the first request so, or takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            # The hub of an earlier test may still look for its broker at a port that is ours by now.
            while not asked_of(server.accept()[0]):
                pass

        def asked_of(taken: socket.socket) -> bool:
            with taken:
                heard = taken.recv(65536)
                if b" RTSP/1.0" not in heard:
                    return False
                while heard and words is not None:
                    if into is not None:
                        into.append(heard)
                    number = next(line for line in heard.split(b"\r\n") if line.lower().startswith(b"cseq"))
                    taken.sendall(words.replace(b"CSEQ", number))
                    heard = taken.recv(65536)
            return True

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]


def open_logged(url: str, caplog: pytest.LogCaptureFixture) -> str:
    """What a log with everything in it says, message and traceback, when an address can't be opened."""
    guard()
    caplog.clear()
    caplog.set_level(logging.DEBUG)
    try:
        av.open(url, options={"rtsp_transport": "tcp", "timeout": "700000"}, timeout=(1.5, 0.7))
    except (av.error.FFmpegError, OSError) as error:
        assert SECRET in str(error), "FFmpeg has ceased to tell the password: what is this test for?"
        try:
            raise RuntimeError(f"gave up: {error}") from error
        except RuntimeError:
            logging.getLogger("a.library").exception("camera away: %s", error)
        return caplog.text
    pytest.fail("it could be opened")


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (b"RTSP/1.0 404 Not Found\r\nCSEQ\r\n\r\n", "HTTPNotFoundError"),
        (b"RTSP/1.0 401 Unauthorized\r\nCSEQ\r\n\r\n", "HTTPUnauthorizedError"),
        (b"RTSP/1.0 500 Oops\r\nCSEQ\r\n\r\n", "Error"),
        (None, "Error"),
    ],
    ids=["not there", "unauthorized", "broken", "silent"],
)
@pytest.mark.parametrize("is_known", [False, True], ids=["by its looks", "by its value"])
def test_no_failure_of_a_camera_tells_its_password(
    answer: bytes | None, kind: str, is_known: bool, caplog: pytest.LogCaptureFixture
) -> None:
    if is_known:
        know(SECRET)
    with answering(answer) as port:
        told = open_logged(f"rtsp://guard:{SECRET}@127.0.0.1:{port}/cam", caplog)
    assert kind in told and "Traceback" in told
    assert SECRET not in told


def test_nothing_listening_tells_no_password(caplog: pytest.LogCaptureFixture) -> None:
    told = open_logged(f"rtsp://guard:{SECRET}@127.0.0.1:{free_port()}/cam", caplog)
    assert "ConnectionRefused" in told
    assert SECRET not in told


def opened_told(source: str, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str | None]:
    """What becomes of a camera whose password is the secret: its trouble, and what is said of it."""
    monkeypatch.setenv("CAM_PASSWORD", SECRET)
    stop = threading.Event()
    camera = Camera(name="c", source=source, username="guard", password_env="CAM_PASSWORD")
    live = LiveSource(camera, fps=1, clock=SystemClock(), stop=stop)
    try:
        live.start()
        for _ in range(300):
            if live.stats.last_error:
                break
            live.taken(0.1)
    finally:
        stop.set()
        live.close()
    return str(live.stats.trouble), live.stats.last_error


@pytest.mark.parametrize(
    ("answer", "path", "trouble", "words"),
    [
        (b"RTSP/1.0 404 Not Found\r\nCSEQ\r\n\r\n", "no/such", "no_video", "no stream of this name"),
        (b"RTSP/1.0 401 No\r\nCSEQ\r\n\r\n", "cam", "refused", "user name or password"),
        (b"RTSP/1.0 453 Not Enough Bandwidth\r\nCSEQ\r\n\r\n", "cam", "no_video", "as many watch it already"),
        (b"RTSP/1.0 503 Service Unavailable\r\nCSEQ\r\n\r\n", "cam", "no_video", "as many watch it already"),
    ],
)
def test_what_is_wrong_with_a_camera_s_address_is_said_in_words(
    answer: bytes, path: str, trouble: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with answering(answer) as port:
        told = opened_told(f"rtsp://127.0.0.1:{port}/{path}", monkeypatch)
    assert told[0] == trouble and words in str(told[1])


def test_a_camera_that_sends_on_to_another_port_is_told_of_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    if landlock_version() < LANDLOCK_PORTS:
        pytest.skip("this kernel can't shut ports (Linux 6.7 or newer, with Landlock): its readers follow")
    answer = f"RTSP/1.0 302 Moved\r\nCSEQ\r\nLocation: rtsp://127.0.0.1:{free_port()}/cam\r\n\r\n"
    with answering(answer.encode()) as port:
        trouble, told = opened_told(f"rtsp://127.0.0.1:{port}/cam", monkeypatch)
    assert trouble == "no_video" and "another port" in str(told)


def test_a_machine_that_nobody_knows_is_no_error_of_input_or_output(monkeypatch: pytest.MonkeyPatch) -> None:
    trouble, told = opened_told("rtsp://no-such-camera.invalid/cam", monkeypatch)
    assert trouble == "unreachable" and "nobody knows a machine of this name" in str(told)


def test_a_camera_gets_user_and_password_where_its_address_wants_them(monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[bytes] = []
    with answering(b"RTSP/1.0 404 Not Found\r\nCSEQ\r\n\r\n", heard) as port:
        address = f"rtsp://127.0.0.1:{port}/user={{username}}&password={{password}}&channel=1"
        _, told = opened_told(address, monkeypatch)
    assert f"/user=guard&password={SECRET}&channel=1 RTSP".encode() in heard[0]
    assert SECRET not in str(told)


def test_a_camera_that_sends_by_udp_alone_is_told_of_as_such(
    rtsp_server: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    trouble, told = opened_told(rtsp_server(transport="udp").url, monkeypatch)
    assert trouble == "no_video" and "RTSP over TCP" in str(told)


def test_a_real_camera_that_refuses_a_wrong_password_by_digest(
    rtsp_server: Servers, caplog: pytest.LogCaptureFixture
) -> None:
    server = rtsp_server(("guard", "another"))
    told = open_logged(server.url.replace("//", f"//guard:{SECRET}@"), caplog)
    assert "HTTPUnauthorizedError" in told
    assert SECRET not in told
