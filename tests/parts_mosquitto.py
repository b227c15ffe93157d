"""A real mosquitto that tests can kill and restart on the same port, and waiting for what must come true."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from detector.mqtt.broker import find_mosquitto, free_port, is_listening
from tests.conftest import part_missing

ANYONE = "allow_anonymous true"


def soon(true: Callable[[], object], timeout_s: float = 30.0) -> bool:
    """Wait until something is true; the time only bounds how long a broken program is waited for."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if true():
            return True
        time.sleep(0.02)
    return bool(true())


class Mosquitto:
    """One mosquitto on 127.0.0.1; `settings` are the lines of its configuration beside the listener."""

    def __init__(self, folder: Path, settings: str = ANYONE) -> None:
        program = find_mosquitto()
        if program is None:
            part_missing("mosquitto", "mosquitto")
        assert program is not None
        self.port = free_port()
        self._config = folder / "mosquitto.conf"
        lines = [f"listener {self.port} 127.0.0.1", settings]
        if os.geteuid() == 0:
            lines.append("user root")  # else it gives root up before it reads its files in a private folder
        self._config.write_text("\n".join(lines) + "\n", encoding="utf-8")
        self._command = [program, "-c", str(self._config)]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        assert soon(lambda: is_listening(self.port)), "mosquitto does not start"

    def kill(self) -> None:
        """As by `kill -9`."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
