"""A Dask cluster of real processes on this machine, and looks that do what a file says instead of seeing anything."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from detector.machine.progress import Step
from detector.recorded.look_files import FileLooks, Read, packed
from detector.recorded.looking import LookTask

REPOSITORY = Path(__file__).resolve().parent.parent  # workers import this file, and need no more of the tests


def obeyed(task: LookTask, progress: Callable[[Step], None]) -> bytes:
    """Do what is written in the file, in its place, and tell of as many seconds as it has bytes.

    `die`: end this process. `hang`: for ever. `slow`: a minute, telling of it. Anything else is seen at once. The
    process leaves its number beside the file.
    """
    said = task.path.read_text()
    task.path.with_suffix(".pid").write_text(str(os.getpid()))
    if said == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if said == "hang":
        time.sleep(3600)
    if said == "slow":
        for _ in range(600):
            time.sleep(0.1)
            progress(Step(task.camera, 0.1, task.size / 600))
    if said.startswith("wait"):
        until = time.monotonic() + 60.0
        while not task.path.with_name("go").exists() and time.monotonic() < until:
            time.sleep(0.02)
    progress(Step(task.camera, float(task.size), task.size))
    return packed(FileLooks(Read(seconds=float(len(said)), decoded=1)))


def sized(task: LookTask, progress: Callable[[Step], None]) -> bytes:
    """As many bytes as are written in the file, in place of a result."""
    return os.urandom(int(task.path.read_text()))


class DaskCluster:
    """A scheduler, and workers of one thread.

    Args:
        folder: For their logs and other files.
        certificate: Folder with `ca.crt`, `node.crt` and `node.key`; no encryption when left out.
    """

    def __init__(self, folder: Path, certificate: Path | None = None) -> None:
        self.folder = folder
        self.files = [certificate / name for name in ("ca.crt", "node.crt", "node.key")] if certificate else []
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port = free.getsockname()[1]
        self.address = f"{'tls' if certificate else 'tcp'}://127.0.0.1:{self._port}"
        self._scheduler: subprocess.Popen[bytes] | None = None
        self._workers: list[subprocess.Popen[bytes]] = []

    def start(self, workers: int = 1, *, nanny: bool = False, **environment: str) -> list[subprocess.Popen[bytes]]:
        """Have a scheduler, and so many workers more, which come back with a nanny; their processes."""
        if self._scheduler is None:
            protocol = ["--protocol", "tls"] if self.files else []
            where = ["--host", "127.0.0.1", "--port", str(self._port)]
            self._scheduler = self._run("scheduler", [*where, *protocol], first=str(self.without_labelwatch()))
            until = time.monotonic() + 60.0
            while not self._listens():
                assert self._scheduler.poll() is None and time.monotonic() < until, self.said()
                time.sleep(0.05)
        more = ["--nthreads", "1", "--local-directory", str(self.folder / "workers"), "--memory-limit", "0"]
        before = len(self._workers)
        for _ in range(1 if nanny else workers):
            how = ["--nanny", "--nworkers", str(workers)] if nanny else ["--no-nanny"]
            self._workers.append(self._run("worker", [self.address, *more, *how], **environment))
        return self._workers[before:]

    def await_workers(self, count: int) -> None:
        """Until so many are there."""
        from distributed import Client  # here, for each process of the suite would load it

        with Client(self.address, set_as_default=False) as client:
            client.wait_for_workers(count, timeout=60.0)

    def kill_scheduler(self) -> None:
        """As a power cut does; its workers end by themselves."""
        assert self._scheduler is not None
        self._scheduler.kill()
        self._scheduler.wait()
        self._scheduler = None

    def stop(self) -> None:
        """End all of it, with what it started."""
        for process in [*self._workers, *([self._scheduler] if self._scheduler else [])]:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    @property
    def scheduler_cpu_s(self) -> float:
        """Processor seconds that the scheduler took so far."""
        assert self._scheduler is not None
        fields = Path(f"/proc/{self._scheduler.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def said(self) -> str:
        """What the processes wrote."""
        return "\n".join(file.read_text(errors="replace")[-3000:] for file in sorted(self.folder.glob("*.log")))

    def without_labelwatch(self) -> Path:
        """A folder that hides it: schedulers need none."""
        package = self.folder / "without" / "detector"
        package.mkdir(parents=True, exist_ok=True)
        (package / "__init__.py").write_text("raise ModuleNotFoundError('No module named detector', name=__name__)")
        return package.parent

    def _listens(self) -> bool:
        with socket.socket() as one:
            return one.connect_ex(("127.0.0.1", self._port)) == 0

    def _run(self, what: str, arguments: Sequence[str], **environment: str) -> subprocess.Popen[bytes]:
        command = [
            sys.executable,
            "-m",
            f"distributed.cli.dask_{what}",
            "--dashboard-address",
            "127.0.0.1:0",
            *arguments,
        ]
        for option, file in zip(("--tls-ca-file", "--tls-cert", "--tls-key"), self.files, strict=False):
            command += [option, str(file)]
        paths = os.pathsep.join(filter(None, [environment.pop("first", ""), str(REPOSITORY)]))
        with (self.folder / f"{what}-{time.monotonic_ns()}.log").open("wb") as log:
            return subprocess.Popen(
                command,
                cwd=self.folder,
                env=os.environ | {"PYTHONPATH": paths} | environment,
                start_new_session=True,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
