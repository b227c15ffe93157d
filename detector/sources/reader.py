"""The worker's hold on one reader process: started, spoken with, killed when it must be, and always reaped."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections import deque
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import detector
from detector.media.pictures import Picture
from detector.sources.messages import TO_WORKER, Channel, Connect, Decode, Free, Garbled, Laid, Message
from detector.sources.slots import Viewer, make_memory

# The two folders say where to import from; nothing else of the worker's surroundings reaches the reader.
_BOOT = (
    "import sys; sys.path[:0] = sys.argv[3:]; from detector.sources.reading import main; main(*map(int, sys.argv[1:3]))"
)
_KEPT = ("LD_LIBRARY_PATH", "SSL_CERT_FILE", "SSL_CERT_DIR", "TZ")
LEAVE_S = 0.5  # to say goodbye to the camera; then it is killed
SEND_S = 1.0  # a reader that doesn't listen so long is of no use


class Reader:
    """A reader process, from start to grave.

    A fresh interpreter rather than a fork of the worker: nothing of the worker's memory, files and environment, in
    which passwords and keys lie, can be found in it. It dies with the thread that starts it.

    Raises:
        OSError: It can't be started.
    """

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        memory = make_memory()
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-B", "-c", _BOOT, str(theirs.fileno()), str(memory), *_import_folders()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd="/",
                start_new_session=True,  # Ctrl-C is for the worker
                env={name: os.environ[name] for name in _KEPT if name in os.environ},
                pass_fds=(theirs.fileno(), memory),
            )
            self._viewer = Viewer(memory)
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
            os.close(memory)
        self._channel = Channel(ours, TO_WORKER, SEND_S)
        self._seen: deque[int] = deque()
        self._distrusted = False

    @property
    def pid(self) -> int:
        """Number of the process."""
        return self._process.pid

    def send(self, message: Connect | Decode | Free) -> None:
        """Say something.

        Raises:
            EOFError: It is dead, or doesn't listen.
        """
        try:
            self._channel.send(message)
        except OSError as error:
            raise EOFError from error

    def image(self, laid: Laid) -> Picture:
        """A copy of a picture it has laid out; its slot may be used again. May be called from any thread.

        Raises:
            Garbled: It can't be there.
        """
        try:
            return self._viewer.image(laid)
        finally:
            self.seen(laid.slot)

    def seen(self, slot: int) -> None:
        """Nobody looks at this slot any more; may be called from any thread."""
        self._seen.append(slot)

    def free_seen(self) -> None:
        """Tell it which slots it may use again.

        Raises:
            EOFError: It is dead, or doesn't listen.
        """
        while self._seen:
            self.send(Free(self._seen.popleft()))

    def distrust(self) -> None:
        """What it says is no use; the next word of it is refused. May be called from any thread."""
        self._distrusted = True

    def receive(self, timeout_s: float) -> Message | None:
        """What it says; `None` when that isn't there in time.

        Raises:
            EOFError: It is dead.
            Garbled: It talks nonsense.
        """
        if self._distrusted:
            raise Garbled("a picture that can't be")
        try:
            return self._channel.receive(timeout_s)
        except OSError as error:
            raise EOFError from error

    def leave(self) -> None:
        """Let it say goodbye to its camera, for half a second at most; then it is gone."""
        self._channel.hang_up()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(LEAVE_S)
        self.kill()

    def died(self) -> str:
        """How it ended, in words, after its line broke."""
        with suppress(subprocess.TimeoutExpired):  # it closed its line and lives
            self._process.wait(LEAVE_S)
        self.kill()
        code = self._process.returncode
        if code >= 0:
            return f"exit code {code}"
        return signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"

    def kill(self) -> None:
        """End it at once, if it still lives, and reap it; safe to call twice."""
        self._process.kill()
        self._process.wait()
        self._channel.close()


def _import_folders() -> list[str]:
    found = [Path(detector.__file__).parents[1]]
    spec = find_spec("av")
    if spec is not None and spec.origin is not None:
        found.append(Path(spec.origin).parents[1])
    return [str(folder) for folder in found]
