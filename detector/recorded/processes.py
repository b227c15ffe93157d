"""A crew of processes on this machine: each looks at one file at a time, in one thread.

A process that dies was reading one file, and that is known. The file is tried again while nobody else works, since
another may have had the memory that it lacked; what dies three times is the file's own doing. So is silence: a file
that hangs its reader is known by that nothing is told of it for long.

What a file could make of its reader is confined, as for live cameras: it opens recordings and code, writes nothing,
runs nothing and connects to nobody.
"""

from __future__ import annotations

import logging
import os
import resource
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path

from detector.config import Analysis
from detector.errors import LabelwatchError, ModelError
from detector.machine.progress import Step
from detector.recorded.children import Child
from detector.recorded.crews import TRIES, set_aside
from detector.recorded.looking import LookTask, load, look_at
from detector.sources.confined import code_folders, confine, only_ports

# A process takes 170 MB of its own for 720p, the model in it, and 8K another 300 MB.
MEMORY_BYTES = 3 << 29
OPEN_FILES = 64
SILENT_S = 300.0  # without a word before a process is taken to hang, and longer for larger files:
SLOWEST = 1 << 20  # bytes a second that are read where there is no picture in them

LookAt = Callable[[LookTask, Callable[[Step], None]], bytes]

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class _Worker:
    """A process, whether it is ready, what it works at, how far it is, and when it was heard last."""

    child: Child
    ready: bool = False
    task: LookTask | None = None
    seconds: float = 0.0
    bytes: float = 0.0
    heard_at: float = 0.0


class Processes:
    """Looks at so many files at a time.

    Args:
        jobs: Processes.
        silent_s: Seconds without progress after which a process is taken to hang; more for large files.
        memory_bytes: Of each process's own, at most: a picture can be made to want any amount.
        look: What is done with a file; a function of a module.
    """

    def __init__(
        self, jobs: int, *, silent_s: float = SILENT_S, memory_bytes: int = MEMORY_BYTES, look: LookAt = look_at
    ) -> None:
        self._jobs = jobs
        self._silent_s = silent_s
        self._memory_bytes = memory_bytes
        self._look = look

    def results(self, tasks: Sequence[LookTask], progress: Callable[[Step], None]) -> Iterator[tuple[LookTask, bytes]]:
        """As of `Crew`."""
        work = _Work(deque(tasks), progress)
        readable = _folders_of(tasks)
        try:
            while work.goes_on:
                self._hand_out(work, readable)
                busy = {worker.child.pipe: worker for worker in work.busy}
                ends_at = min(worker.heard_at + self._patience_s(worker) for worker in busy.values())
                heard = wait(list(busy), max(0.0, ends_at - time.monotonic()))
                now = time.monotonic()
                for pipe, worker in busy.items():
                    found = None
                    if pipe in heard:
                        found = work.hear(worker)
                    elif now >= worker.heard_at + self._patience_s(worker):
                        found = work.hangs(worker)
                    if found is not None:
                        yield found
        finally:
            for worker in work.workers:
                worker.child.kill()

    def _hand_out(self, work: _Work, readable: list[str]) -> None:
        """Give tasks to whoever has none; new processes can read these folders."""
        while (task := work.next_task(self._jobs)) is not None:
            worker = next((worker for worker in work.workers if worker.task is None), None)
            if worker is None:
                worker = _Worker(Child(_look, self._look, task.analysis, readable, memory_bytes=self._memory_bytes))
                work.workers.append(worker)
            work.give(worker, task)

    def _patience_s(self, worker: _Worker) -> float:
        if not worker.ready:
            return SILENT_S  # the model is loaded
        return self._silent_s + (worker.task.size / SLOWEST if worker.task else 0.0)


class _Work:
    """What is to be done, who does it, and which files have ended whom how often.

    Suspects are tried again before anything else, while nobody else works.
    """

    def __init__(self, queue: deque[LookTask], progress: Callable[[Step], None]) -> None:
        self.workers: list[_Worker] = []
        self._queue = queue
        self._suspects: deque[LookTask] = deque()
        self._tried_alone = False
        self._deaths: defaultdict[str, int] = defaultdict(int)
        self._unready = 0
        self._progress = progress

    @property
    def busy(self) -> list[_Worker]:
        return [worker for worker in self.workers if worker.task is not None]

    @property
    def goes_on(self) -> bool:
        return bool(self._queue or self._suspects or self.busy)

    def next_task(self, jobs: int) -> LookTask | None:
        """What may be begun now."""
        busy = len(self.busy)
        if not busy:
            self._tried_alone = bool(self._suspects)
            return (self._suspects or self._queue).popleft() if self.goes_on else None
        waits = self._tried_alone or self._suspects or busy >= jobs
        return self._queue.popleft() if self._queue and not waits else None

    def give(self, worker: _Worker, task: LookTask) -> None:
        """Let a worker begin."""
        try:
            worker.child.pipe.send(task)
        except OSError:  # it died while it had nothing to do
            self._bury(worker)
            (self._suspects if self._tried_alone else self._queue).appendleft(task)
            return
        worker.task, worker.seconds, worker.bytes, worker.heard_at = task, 0.0, 0.0, time.monotonic()

    def hear(self, worker: _Worker) -> tuple[LookTask, bytes] | None:
        """Take what a worker says; a result, if that is one."""
        try:
            said = worker.child.pipe.recv()
            if isinstance(said, int):
                said = worker.child.pipe.recv_bytes(said)
        except (EOFError, OSError):
            return self._died(worker)
        worker.heard_at = time.monotonic()
        if isinstance(said, LabelwatchError):
            raise said
        if isinstance(said, Step):
            worker.seconds += said.seconds
            worker.bytes += said.bytes
            self._progress(said)
        elif isinstance(said, bytes):
            task, worker.task = worker.task, None
            assert task is not None
            return task, said
        elif said is None:
            worker.ready, self._unready = True, 0
        else:
            return self._give_up(self._bury(worker), str(said))
        return None

    def hangs(self, worker: _Worker) -> tuple[LookTask, bytes] | None:
        """A worker has been silent for too long: no matter of memory, so others may go on meanwhile."""
        silent_s = time.monotonic() - worker.heard_at
        return self._again(self._bury(worker), f"made no progress for {silent_s:.0f} s", self._queue)

    def _died(self, worker: _Worker) -> tuple[LookTask, bytes] | None:
        how = worker.child.how_it_ended()
        task = self._bury(worker)
        if worker.ready:
            return self._again(task, f"ended the process that read it ({how})", self._suspects)
        self._unready += 1
        if self._unready == TRIES:
            raise LabelwatchError(f"processes that shall look at files end before they begin ({how})")
        self._queue.appendleft(task)
        return None

    def _again(self, task: LookTask, how: str, queue: deque[LookTask]) -> tuple[LookTask, bytes] | None:
        """Try a task again, or give it up."""
        self._deaths[task.name] += 1
        if self._deaths[task.name] == TRIES:
            return self._give_up(task, f"{how}, {TRIES} times")
        logger.warning("%s %s; it is tried again", task.path, how)
        queue.appendleft(task)
        return None

    def _bury(self, worker: _Worker) -> LookTask:
        """A worker is no more; what it told isn't done after all. Its task, if it had one."""
        worker.child.kill()
        self.workers.remove(worker)
        if worker.task is not None:
            self._progress(Step(worker.task.camera, -worker.seconds, -worker.bytes))
        return worker.task  # type: ignore[return-value]

    def _give_up(self, task: LookTask, why: str) -> tuple[LookTask, bytes]:
        self._progress(Step(task.camera, 0.0, task.size))
        return task, set_aside(task, why)


def _folders_of(tasks: Sequence[LookTask]) -> list[str]:
    """Where the files are, behind links too, and the cards of models that one of them may be first to want."""
    from detector.inference.card import find_card

    folders = {Path(os.path.realpath(task.path)).parent for task in tasks}
    folders |= {find_card(model).path.resolve().parent for model in {task.analysis.model for task in tasks}}
    return sorted(map(str, folders))


def _look(pipe: Connection, look: LookAt, analysis: Analysis, readable: list[str]) -> None:
    """The worker: looks at files until it is wanted no more.

    `None` says that it is ready, a text that it failed, a number that a result of so many bytes follows as it is: of a
    busy day these fill half its memory, and what is pickled is there twice.
    """
    try:
        load(analysis)
        confine({resource.RLIMIT_CORE: 0, resource.RLIMIT_NOFILE: OPEN_FILES}, [*code_folders(), *readable])
        only_ports()
    except Exception as error:  # noqa: BLE001 - a model that can't be loaded concerns every file
        pipe.send(error if isinstance(error, LabelwatchError) else ModelError(f"it can't be loaded: {error}"))
        return
    pipe.send(None)
    while True:
        task = pipe.recv()
        try:
            found = look(task, pipe.send)
        except BrokenPipeError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever a stranger's file brings about, the others are done
            pipe.send(": ".join(filter(None, (f"looking at it failed with {type(error).__name__}", str(error)))))
            return
        pipe.send(len(found))
        pipe.send_bytes(found)
