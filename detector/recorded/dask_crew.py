"""A crew that is a Dask cluster: look tasks go to workers on other machines, what was seen comes back as bytes.

Only recordings have to be readable there, under the same paths; results are written here. This machine hands out the
tasks itself, to each worker one at a time. So it is known which file a worker was at when it died or fell silent, no
other file is blamed for it, and a worker with many threads never runs two looks in one process.

The scheduler may die, too. What has no result yet is known here, and handed out anew once there is a scheduler again.
"""

from __future__ import annotations

import heapq
import logging
import os
import pickle
import queue
import signal
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from detector.config import Analysis
from detector.errors import ClusterError, LabelwatchError
from detector.machine.progress import Step
from detector.recorded.cluster import CONNECT_S, Access
from detector.recorded.crews import TRIES, set_aside
from detector.recorded.looking import LookTask, load, look_at, size_of
from detector.recorded.processes import SILENT_S, SLOWEST, LookAt
from detector.recorded.software import differences, software

if TYPE_CHECKING:
    from distributed import Client, Future

MUSTER_EVERY_S = 1.0  # who is there is asked so often
TELL_EVERY_S = 2.0  # a worker tells of its progress so often
EXAM_S = 60.0  # at the beginning, slow workers are waited for so long; later they come as they answer
AGAIN_S = 60.0  # a worker that was sent away is asked again after this
SAMPLES = 200  # folders of which a worker shall open a recording before it begins
AHEAD = 256 << 20  # bytes of results that wait here for being written, before no more tasks are handed out

logger = logging.getLogger(__name__)


# ---- on the worker, which is asked by these names: moved, an older labelwatch there couldn't say which one it is


class Elsewhere(Exception):  # noqa: N818 - it says what the worker found
    """A recording isn't on this machine, or another one is in its place."""


class Unwanted(Exception):  # noqa: N818
    """Nobody waits for this look any more."""


def examine(analysis: Analysis, samples: Sequence[Path]) -> dict[str, str]:
    """What a worker looks with; its model is loaded, and a recording of each folder opened.

    Raises:
        Elsewhere: A recording can't be read.
        LabelwatchError: The model can't be loaded.
    """
    found = software(analysis)
    load(analysis)
    for path in samples:
        try:
            with path.open("rb") as file:
                file.read(1)
        except OSError as error:
            raise Elsewhere(f"{path} can't be read there: {error.strerror}") from error
    return found


def look_there(
    task: LookTask,
    key: str,
    topic: str,
    size: int | None,
    look: LookAt = look_at,
) -> tuple[bytes, float]:
    """Carry out a task on a worker; what was seen, and seconds of footage.

    Raises:
        Elsewhere: The file hasn't so many bytes here.
        Unwanted: The task was withdrawn meanwhile.
    """
    from distributed import get_worker

    worker = get_worker()
    if size is not None:
        try:
            found = task.path.stat().st_size
        except OSError as error:
            raise Elsewhere(f"{task.path} can't be read there: {error.strerror}") from error
        if found != size:
            raise Elsewhere(f"{task.path} is another file there: {found} bytes instead of {size}")
    seconds = done = 0.0
    told_at = time.monotonic()
    worker.log_event(topic, [key, 0.0, 0.0])

    def tell(step: Step) -> None:
        nonlocal seconds, done, told_at
        seconds, done = seconds + step.seconds, done + step.bytes
        if time.monotonic() - told_at >= TELL_EVERY_S:
            told_at = time.monotonic()
            state = worker.state.tasks.get(key)
            if state is None or state.state != "executing":
                raise Unwanted(key)
            worker.log_event(topic, [key, seconds, done])

    return look(task, tell), seconds


async def end() -> None:
    """End this worker, whatever its threads do."""
    os.kill(os.getpid(), signal.SIGKILL)


# ---- on this machine


class _Lost(Exception):  # noqa: N818
    """The scheduler is gone, or has forgotten what it was given."""


@dataclass(slots=True)
class _Flight:
    """A task that a worker was given; `sign_at` is when that, or what it told last, was."""

    order: int
    key: str
    future: Future
    sign_at: float
    begun: bool = False


@dataclass(slots=True)
class _Hand:
    """A worker: under examination, fit for work, or sent away until `again_at`."""

    exam: Future | None = None
    fit: bool = False
    flight: _Flight | None = None
    why: str = ""
    again_at: float = 0.0


class _Call:
    """As a pickle, this calls a function where it is opened, and what is found there is the result."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self._call = function, arguments

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self._call


@dataclass(frozen=True, slots=True)
class _Result:
    task: LookTask
    found: bytes


@dataclass(slots=True)
class DaskCrew:
    """Looks at files on the workers of a Dask cluster.

    Attributes:
        access: How to reach its scheduler.
        patience_s: How long it may last that nothing goes on, with the scheduler away or no worker that is fit.
        silent_s: A worker that tells nothing of a file for so long hangs at it; longer for large files.
        look: What is done on a worker.
    """

    access: Access
    patience_s: float = 900.0
    silent_s: float = SILENT_S
    look: LookAt = field(default=look_at)

    def results(self, tasks: Sequence[LookTask], progress: Callable[[Step], None]) -> Iterator[tuple[LookTask, bytes]]:
        """As of `Crew`.

        Raises:
            ClusterError: The cluster can't be reached, its workers would find something else than this machine, or
                nothing goes on there any more.
            ConfigError: It can be reached by others, without encryption.
        """
        if not tasks:
            return
        errand = _Errand(self, tasks)
        thread = threading.Thread(target=errand.run, name="dask crew", daemon=True)
        thread.start()
        left = len(tasks)
        try:
            while left:
                told = errand.told.get()
                if isinstance(told, Step):
                    progress(told)
                elif isinstance(told, _Result):
                    left -= 1
                    errand.taken += len(told.found)
                    yield told.task, told.found
                else:
                    raise told
        finally:
            errand.over.set()
            thread.join()


class _Errand:
    """One run of tasks, from a thread of its own: workers aren't kept waiting while results are judged.

    Attributes:
        told: What comes of it: steps, results, or the error that ends it.
        taken: Bytes of results that were taken from there.
        over: Nobody waits for the rest.
    """

    def __init__(self, crew: DaskCrew, tasks: Sequence[LookTask]) -> None:
        self.told: queue.SimpleQueue[Step | _Result | BaseException] = queue.SimpleQueue()
        self.taken = 0
        self.over = threading.Event()
        self._crew = crew
        self._tasks = tasks
        self._waiting = list(range(len(tasks)))  # a heap: earlier files first
        self._given = self._given_bytes = 0
        self._tries: Counter[int] = Counter()
        self._strikes: Counter[int] = Counter()
        self._counted: dict[int, tuple[float, float]] = {}
        self._topic = f"labelwatch-{uuid.uuid4().hex}"
        self._inbox: queue.SimpleQueue[tuple[str, float, float] | None] = queue.SimpleQueue()
        self._hands: dict[str, _Hand] = {}
        self._met = False  # the scheduler was reached once
        self._open = False  # the workers of the beginning were all examined
        self._told_empty = False
        self._alive_at = time.monotonic()
        folders = {task.path.parent: task.path.absolute() for task in tasks if task.size}
        self._samples = list(folders.values())[:SAMPLES]

    def run(self) -> None:
        """Until all is done, or nobody waits any more."""
        try:
            while self._given < len(self._tasks) and not self.over.is_set():
                client = self._connected()
                if client is None:
                    return
                try:
                    self._serve(client)
                except _Lost as error:
                    logger.warning(
                        "lost the scheduler at %s (%s): waiting up to %.0f minutes for it to come back",
                        self._crew.access.address, error, self._crew.patience_s / 60,
                    )  # fmt: skip
                finally:
                    self._leave(client)
        except BaseException as error:  # noqa: BLE001 - raised again where the results are awaited
            self.told.put(error)

    def _connected(self) -> Client | None:
        """A connection; later ones are tried for until patience ends."""
        while not self.over.is_set():
            try:
                client = self._crew.access.connect()
            except ClusterError as error:
                if not self._met:
                    raise
                self._check_patience(str(error))
                self.over.wait(1.0)
            else:
                self._met = True
                return client
        return None

    def _leave(self, client: Client) -> None:
        for hand in self._hands.values():
            if hand.flight is not None:
                self._recall(hand)
        self._hands = {}
        with suppress(Exception):  # it may be closed already, or the scheduler gone
            client.close(timeout=CONNECT_S)

    def _serve(self, client: Client) -> None:
        """Hand out tasks and take results until all is done.

        Raises:
            _Lost: The scheduler is gone.
        """
        try:
            client.subscribe_topic(self._topic, lambda event: self._inbox.put(tuple(event[1])))
            muster_at = 0.0
            while self._given < len(self._tasks) and not self.over.is_set():
                if time.monotonic() >= muster_at:
                    self._muster(client)
                    muster_at = time.monotonic() + MUSTER_EVERY_S
                if self._ready():
                    self._hand_out(client)
                self._hear()
                self._take(client)
        except (OSError, CancelledError) as error:
            raise _Lost(type(error).__name__) from error
        except (LabelwatchError, _Lost):
            raise
        except Exception as error:
            if client.status == "running":
                raise
            raise _Lost(type(error).__name__) from error

    # ---- who is there

    def _muster(self, client: Client) -> None:
        """See who came, who is gone, who fell silent, and whether anything goes on at all."""
        if client.status != "running":
            raise _Lost("the connection broke")
        there: dict[str, int] = client.sync(client.scheduler.ncores, workers=None, callback_timeout=CONNECT_S)
        new = [address for address in there if address not in self._hands]
        self._crew.access.refuse_exposed(new)
        if not there and not self._told_empty:
            logger.warning("there is no worker at %s: waiting for one", self._crew.access.address)
        self._told_empty = not there
        for address in new:
            self._hands[address] = _Hand()
        if idle := sum(there[address] - 1 for address in new):
            logger.warning("%d threads of workers will idle: start those with --nworkers -1 --nthreads 1", idle)
        for address in [address for address in self._hands if address not in there]:
            hand = self._hands[address]
            if hand.flight is not None:
                logger.warning("worker %s is gone, at %s", address, self._tasks[hand.flight.order].path)
                hand.flight.begun = True  # it may have died before it could say so
                self._failed(hand, "ended the process that read it")
            del self._hands[address]
        now = time.monotonic()
        for address, hand in self._hands.items():
            if hand.flight is not None and now > hand.flight.sign_at + self._silent_s(hand.flight):
                self._silent(client, address, hand)
            if not hand.fit and hand.exam is None and now >= hand.again_at:
                call = (examine, self._tasks[0].analysis, self._samples)
                hand.exam = self._submit(client, address, f"labelwatch-exam-{uuid.uuid4().hex}", call)
        reasons = {hand.why: address for address, hand in self._hands.items() if hand.why}
        self._check_patience("; ".join(f"{address}: {why}" for why, address in reasons.items()) or "there is no worker")

    def _ready(self) -> bool:
        """Whether work may begin: once all workers of the beginning have answered, and none of them is unfit.

        Raises:
            ClusterError: One is.
        """
        if self._open:
            return True
        answered = [address for address, hand in self._hands.items() if hand.fit or hand.why]
        waited = time.monotonic() - self._alive_at
        if not answered or (len(answered) < len(self._hands) and waited < EXAM_S):
            return False
        unfit = {address: hand.why for address, hand in self._hands.items() if hand.why}
        if unfit:
            told = "\n".join(f"  {address}: {why}" for address, why in sorted(unfit.items())[:20])
            raise ClusterError(f"workers of {self._crew.access.address} that can't take part ({len(unfit)}):\n{told}")
        self._open = True
        logger.info("%d workers at %s", len(answered), self._crew.access.address)
        return True

    def _examined(self, address: str, hand: _Hand, exam: Future) -> None:
        hand.exam, hand.why = None, ""
        error = exam.exception() if exam.status == "error" else None
        if error is None:
            hand.why = differences(exam.result(timeout=CONNECT_S), software(self._tasks[0].analysis))
        elif isinstance(error, ModuleNotFoundError) and error.name == "detector":
            hand.why = "it has no labelwatch"
        elif isinstance(error, ImportError | AttributeError):
            hand.why = f"it has another version of labelwatch ({error})"
        else:
            hand.why = str(error) or type(error).__name__
        hand.fit = not hand.why
        hand.again_at = time.monotonic() + AGAIN_S
        exam.release()
        if hand.why and self._open:
            logger.warning("worker %s isn't given work: %s", address, hand.why)

    def _silent_s(self, flight: _Flight) -> float:
        return self._crew.silent_s + self._tasks[flight.order].size / SLOWEST

    def _silent(self, client: Client, address: str, hand: _Hand) -> None:
        """A worker tells nothing any more: it hangs, or hasn't begun because it does something else."""
        flight, now = hand.flight, time.monotonic()
        assert flight is not None
        task, begun = self._tasks[flight.order], flight.begun
        hand.fit, hand.why = False, f"it hangs at {task.path}" if begun else "it doesn't begin"
        hand.again_at = now + AGAIN_S
        logger.warning("worker %s isn't given work: %s", address, hand.why)
        self._failed(hand, f"made no progress for {now - flight.sign_at:.0f} s")
        if begun:  # nothing else ends a thread that hangs; a nanny, or whoever started the worker, starts another
            with suppress(TimeoutError):
                client.run(end, workers=[address], wait=False, on_error="ignore", callback_timeout=CONNECT_S)

    def _check_patience(self, why: str) -> None:
        if self._is_ahead:
            self._alive_at = time.monotonic()  # it is us who wait
        quiet = time.monotonic() - self._alive_at
        if quiet > self._crew.patience_s and not any(
            hand.flight and hand.flight.begun for hand in self._hands.values()
        ):
            left = len(self._tasks) - self._given
            raise ClusterError(
                f"nothing went on at {self._crew.access.address} for {quiet / 60:.0f} minutes ({why}); {left} of "
                f"{len(self._tasks)} files are left, and what is done is kept: run the same again with --resume"
            )

    # ---- what they do

    @property
    def _is_ahead(self) -> bool:
        return self._given_bytes - self.taken > AHEAD

    def _hand_out(self, client: Client) -> None:
        for address, hand in self._hands.items():
            if not self._waiting or self._is_ahead:
                return
            if not hand.fit or hand.flight is not None:
                continue
            order = self._waiting[0]
            task = self._tasks[order]
            self._tries[order] += 1
            key = f"labelwatch-look-{task.name}" + (f"-{self._tries[order]}" if self._tries[order] > 1 else "")
            size = task.size if task.size and size_of(task.path) == task.size else None  # not while it grows
            call = (look_there, replace(task, path=task.path.absolute()), key, self._topic, size, self._crew.look)
            hand.flight = _Flight(order, key, self._submit(client, address, key, call), time.monotonic())
            heapq.heappop(self._waiting)

    def _submit(self, client: Client, address: str, key: str, call: tuple[Any, ...]) -> Future:
        """Have a worker call a function.

        It goes as a pickle that the worker opens, so that the scheduler, which opens all else, needs no labelwatch.
        """
        future = client.submit(pickle.loads, pickle.dumps(_Call(*call)), key=key, workers=[address], pure=False)
        future.add_done_callback(lambda _: self._inbox.put(None))
        return future

    def _hear(self) -> None:
        """Wait a little for something to come, and take in all signs of work that did."""
        with suppress(queue.Empty):
            sign = self._inbox.get(timeout=0.2)
            while True:
                if sign is not None:
                    key, seconds, done = sign
                    for hand in self._hands.values():
                        if hand.flight is not None and hand.flight.key == key:
                            hand.flight.begun, hand.flight.sign_at = True, time.monotonic()
                            self._alive_at = hand.flight.sign_at
                            self._count(hand.flight.order, seconds, done)
                sign = self._inbox.get_nowait()

    def _take(self, client: Client) -> None:
        """Take what is done, each worker being given its next task before its result is fetched."""
        for address, hand in list(self._hands.items()):
            if hand.exam is not None and hand.exam.status in ("finished", "error"):
                self._examined(address, hand, hand.exam)
            flight = hand.flight
            if flight is None or flight.future.status == "pending":
                continue
            if flight.future.status == "cancelled":
                raise _Lost("it forgot its tasks")
            if flight.future.status == "finished":
                hand.flight = None
                self._hand_out(client)
                try:
                    found, seconds = flight.future.result(timeout=CONNECT_S)
                except BaseException as error:
                    heapq.heappush(self._waiting, flight.order)
                    if not isinstance(error, TimeoutError):  # else its worker died just now
                        raise
                else:
                    self._give(flight.order, found, seconds)
                flight.future.release()
            else:
                self._erred(address, hand, flight)

    def _erred(self, address: str, hand: _Hand, flight: _Flight) -> None:
        from distributed import KilledWorker

        error = flight.future.exception(timeout=CONNECT_S)
        task = self._tasks[flight.order]
        if isinstance(error, KilledWorker):  # workers died and came back quicker than we looked
            self._strikes[flight.order] = TRIES
            self._failed(hand, "ended the process that read it")
        elif isinstance(error, Elsewhere | ImportError):
            if not isinstance(error, Elsewhere) or size_of(task.path) == task.size:  # else it grew meanwhile
                hand.fit, hand.why, hand.again_at = False, str(error), time.monotonic() + AGAIN_S
                logger.warning("worker %s isn't given work: %s", address, error)
            self._recall(hand)
        else:
            logger.warning("%s: %s: %s", task.path, type(error).__name__, error)
            flight.begun = True
            self._failed(hand, f"looking at it failed with {type(error).__name__}")

    def _failed(self, hand: _Hand, why: str) -> None:
        """A worker's task failed: another gets it, unless that happened too often."""
        flight = hand.flight
        assert flight is not None
        self._strikes[flight.order] += flight.begun
        if self._strikes[flight.order] < TRIES:
            self._recall(hand)
            return
        hand.flight = None
        flight.future.release()
        self._give(flight.order, set_aside(self._tasks[flight.order], f"{why}, {TRIES} times"), 0.0)

    def _recall(self, hand: _Hand) -> None:
        """Take a task back from a worker."""
        assert hand.flight is not None
        heapq.heappush(self._waiting, hand.flight.order)
        hand.flight.future.release()
        hand.flight = None

    def _give(self, order: int, found: bytes, seconds: float) -> None:
        self._count(order, seconds, float(self._tasks[order].size))
        self._given += 1
        self._given_bytes += len(found)
        self._alive_at = time.monotonic()
        self.told.put(_Result(self._tasks[order], found))

    def _count(self, order: int, seconds: float, done: float) -> None:
        """Tell of progress with a file beyond what was told; one that is begun again is told of once."""
        before_s, before = self._counted.get(order, (0.0, 0.0))
        if seconds > before_s or done > before:
            self._counted[order] = max(seconds, before_s), max(done, before)
            more_s, more = self._counted[order][0] - before_s, self._counted[order][1] - before
            self.told.put(Step(self._tasks[order].camera, more_s, more))
