"""A real RTSP server to read from."""

from __future__ import annotations

import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import part_missing
from tests.sources.footage import make_video

SYSTEM_PYTHON = "/usr/bin/python3"
CAMERA_FPS = 15


class RtspServer:
    """A camera that can be killed, frozen and started again on its port."""

    def __init__(
        self, path: Path, login: tuple[str, str] | None = None, fps: int = CAMERA_FPS, transport: str = "tcp"
    ) -> None:
        self._transport = transport
        self.login = login
        self._fps = fps
        self.port = free_port()
        self._path = path
        self._process: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        return f"rtsp://127.0.0.1:{self.port}/cam"

    def start(self) -> None:
        script = Path(__file__).with_name("rtsp_server.py")
        command = [SYSTEM_PYTHON, str(script), str(self.port), str(self._path), str(self._fps), self._transport]
        command += self.login or ()
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def freeze(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def camera_footage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("camera") / "footage.h264"
    return make_video(path, seconds=8, fps=CAMERA_FPS, key_every=CAMERA_FPS, form="h264")


@pytest.fixture
def rtsp_server(camera_footage: Path) -> Iterator[Callable[..., RtspServer]]:
    """Starts servers; ends them after the test."""
    have = "import gi; gi.require_version('GstRtspServer', '1.0'); from gi.repository import GstRtspServer"
    if subprocess.run([SYSTEM_PYTHON, "-c", have], capture_output=True, check=False).returncode:
        part_missing("GStreamer's RTSP server", "python3-gi gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-good")
    servers: list[RtspServer] = []

    def start(
        login: tuple[str, str] | None = None, footage: Path = camera_footage, transport: str = "tcp"
    ) -> RtspServer:
        servers.append(RtspServer(footage, login, transport=transport))
        servers[-1].start()
        return servers[-1]

    yield start
    for server in servers:
        server.kill()
