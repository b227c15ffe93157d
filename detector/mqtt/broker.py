"""A data folder comes in, a running MQTT broker on the loopback leaves; for the demo, which brings its own.

The system's mosquitto when it is installed, else the one that pip brought (`iotcore`). Both run as a child process
that ends when this process does, however it ends. Neither keeps anything on disk: the edge's outbox does that.
"""

from __future__ import annotations

import logging
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from detector.errors import MissingPart

logger = logging.getLogger(__name__)

START_S = 10.0  # mosquitto needs 0.1 s here, iotcore 0.25 s; a busy machine more
LINGER_S = 20  # more than a worker or a hub takes to keep what it has in hand
LARGEST_PACKET = 4 * 2**20 + 2**16  # as much as the hub takes of one alert
LOG = "broker.log"
LINES = 5  # of it, the last, that are told where the broker does not start
FIND = "find"

MOSQUITTO = """\
listener {port} 127.0.0.1
allow_anonymous true
persistence false
max_queued_messages 100000
max_packet_size {largest}
log_dest stderr
log_type error
log_type warning
"""

# MQTT 5 needs a listener of its own in a file; by keyword arguments iotcore speaks 3.1.1 only.
IOTCORE = """\
id = 0

[router]
id = 0
max_connections = 100
max_outgoing_packet_count = 500
max_segment_size = 104857600
max_segment_count = 10

[v5.1]
name = "v5-1"
listen = "127.0.0.1:{port}"
next_connection_delay_ms = 1

[v5.1.connections]
connection_timeout_ms = 60000
max_payload_size = {largest}
max_inflight_count = 500
dynamic_filters = true
"""

# Runs a program until it ends or our end of the pipe on stdin closes, which it does whatever kills us. The death
# signal of Linux would do too, but it fires when the *thread* that started the child ends. SIGTERM alone is not enough:
# mosquitto loses one that comes between its listening and its loop (3 of 300 sent as soon as 2.0.21 took connections),
# and it is not repeated, because a second one tells a worker to drop what it has in hand.
KEEPER = """
exec 3<&0
linger=$1; shift
"$@" 3<&- </dev/null & child=$!
(
    read -r _ <&3; kill "$child"
    while [ "$linger" -gt 0 ]; do sleep 1; linger=$((linger - 1)); done
    kill -9 "$child"
) & reader=$!
wait "$child"; code=$?
kill "$reader" 2>/dev/null
exit $code
"""


class Kept:
    """A child process that is told to stop (SIGTERM) when this process does, however this one ends, and then made to.

    Ctrl-C does not reach it: whoever started it stops it, in the right order.

    Args:
        command: Program and arguments.
        log: Takes its output; made anew, readable by its owner only.
        linger_s: It is killed so many seconds after it was told to stop.
    """

    def __init__(self, command: Sequence[str], log: Path, linger_s: int = LINGER_S) -> None:
        log.unlink(missing_ok=True)
        with os.fdopen(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
            self._keeper = subprocess.Popen(
                ["/bin/sh", "-c", KEEPER, "keeper", str(linger_s), *command],
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )

    def poll(self) -> int | None:
        """Its exit status; `None` while it runs."""
        return self._keeper.poll()

    def ask_to_stop(self) -> None:
        """Send SIGTERM, and return at once."""
        if self._keeper.stdin is not None:
            self._keeper.stdin.close()

    def stop(self, timeout_s: float) -> None:
        """Send SIGTERM, and SIGKILL if it is still there after so many seconds; safe to call twice."""
        self.ask_to_stop()
        try:
            self._keeper.wait(timeout_s)
        except subprocess.TimeoutExpired:
            os.killpg(self._keeper.pid, signal.SIGKILL)
            self._keeper.wait()


class _Runner(Protocol):
    """A broker program; `start` waits until it listens and tells whether it does."""

    def start(self, port: int) -> bool: ...
    def stop(self) -> None: ...


class EmbeddedBroker:
    """A broker for this machine only, without passwords.

    Args:
        data_dir: Where its configuration file goes.
        mosquitto: The program; `find_mosquitto()` by default, `None` for the one that pip brought.

    Attributes:
        name: Which broker it is, `mosquitto` or `iotcore`.
    """

    def __init__(self, data_dir: Path, mosquitto: str | None = FIND) -> None:
        self._folder = data_dir
        program = find_mosquitto() if mosquitto == FIND else mosquitto
        self.name = "mosquitto" if program else "iotcore"
        self._runner: _Runner = _Mosquitto(data_dir, program) if program else _Iotcore(data_dir)

    def start(self) -> int:
        """Start it and wait until it takes connections.

        Returns:
            Its port on 127.0.0.1.

        Raises:
            MissingPart: It does not come up.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        for _ in range(3):  # somebody may take the port between our look and the broker's
            port = free_port()
            if self._runner.start(port):
                logger.info("%s listens on 127.0.0.1:%d", self.name, port)
                return port
            self._runner.stop()
        said = (self._folder / LOG).read_text(encoding="utf-8", errors="replace").split("\n")[-LINES:]
        raise MissingPart(
            f"the broker {self.name} does not start; it says: {' / '.join(filter(None, said)) or 'nothing'}"
        )

    def stop(self) -> None:
        """Stop it; safe to call twice."""
        self._runner.stop()


class _Mosquitto:
    def __init__(self, folder: Path, program: str) -> None:
        self._folder = folder
        self._program = program
        self._process: Kept | None = None

    def start(self, port: int) -> bool:
        config = self._folder / "mosquitto.conf"
        config.write_text(MOSQUITTO.format(port=port, largest=LARGEST_PACKET), encoding="utf-8")
        self._process = Kept([self._program, "-c", str(config)], self._folder / LOG)
        deadline = time.monotonic() + START_S
        while self._process.poll() is None and time.monotonic() < deadline:
            if is_listening(port):
                return True
            time.sleep(0.02)
        return False

    def stop(self) -> None:
        if self._process is not None:
            self._process.stop(3.0)


class _Iotcore:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._broker: Any = None

    def start(self, port: int) -> bool:
        from iotcore import Broker  # a compiled module that most never need

        config = self._folder / "iotcore.toml"
        config.write_text(IOTCORE.format(port=port, largest=LARGEST_PACKET), encoding="utf-8")
        self._broker = Broker(config_path=str(config))
        try:
            self._broker.start(START_S)
        except (OSError, RuntimeError) as error:
            (self._folder / LOG).write_text(f"{error}\n", encoding="utf-8")
            return False
        return True

    def stop(self) -> None:
        if self._broker is not None:
            self._broker.stop()


def find_mosquitto() -> str | None:
    """The system's mosquitto; Debian puts it where only root's PATH looks."""
    return shutil.which("mosquitto", path=os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin"]))


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def is_listening(port: int) -> bool:
    """Whether something takes connections at this port of 127.0.0.1."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=0.5):
            return True
    except OSError:
        return False
