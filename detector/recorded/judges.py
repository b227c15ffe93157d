"""Cameras are judged in processes of their own, each as soon as what was seen in its next file is on the disk.

Judging costs little, but a camera's files must be judged one after the other. So a few judges work beside those who
look, each at one camera at a time. One that dies begins its camera anew; what it had written it writes again.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from pathlib import Path
from types import TracebackType

from detector.config import EdgeConfig
from detector.machine.progress import Step
from detector.recorded.children import Child
from detector.recorded.crews import TRIES
from detector.recorded.look_files import FileLooks
from detector.recorded.look_folder import LookFolder
from detector.recorded.looking import LookTask
from detector.recorded.recordings import Piece, Session

JUDGED = 0.04  # of the work at a file is judging it, about

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CameraWork:
    """What there is to be done for a camera.

    Attributes:
        session: Its recordings.
        ledger: The file that tells what came of it.
        tasks: Of looking, by file, in order.
        unlooked: Names of those that must still be carried out.
    """

    session: Session
    ledger: Path
    tasks: Mapping[Path, LookTask]
    unlooked: frozenset[str] = frozenset()

    @property
    def names(self) -> frozenset[str]:
        """Of all its tasks."""
        return frozenset(task.name for task in self.tasks.values())

    def judged(self, piece: Piece, found: FileLooks) -> Step:
        """That a file is about to be judged; where it wasn't looked at in this run, its footage counts now."""
        task = self.tasks[piece.path]
        seconds = 0.0 if task.name in self.unlooked else found.read.seconds
        return Step(task.camera, seconds, JUDGED * task.size)


def in_turn(work: Sequence[CameraWork], cameras: int) -> Iterator[LookTask]:
    """Tasks to be carried out, of so many cameras by turns: as a camera is through, the next begins."""
    queues = deque(deque(task for task in one.tasks.values() if task.name in one.unlooked) for one in work)
    begun = [queues.popleft() for _ in range(min(cameras, len(queues)))]
    while begun:
        for queue in list(begun):
            if queue:
                yield queue.popleft()
            else:
                begun.remove(queue)
                if queues:
                    begun.append(queues.popleft())


def judge_here(
    one: CameraWork, config: EdgeConfig, out: Path, looks_of: Callable[[LookTask], FileLooks],
    progress: Callable[[Step], None],
) -> str | None:  # fmt: skip
    """Judge a camera in this process; why that can't be done, if so.

    Raises:
        OSError: A result can't be written.
    """
    from detector.recorded.judging import judge_session

    def looked(piece: Piece) -> FileLooks:
        found = looks_of(one.tasks[piece.path])
        progress(one.judged(piece, found))
        return found

    try:
        judge_session(one.session, config, out, one.ledger, looked, progress)
    except (OSError, EOFError):
        raise  # a full disk concerns all and can be mended; a broken pipe, that nobody waits for this
    except Exception as error:  # the other cameras are judged whatever is wrong with this one
        logger.exception("%s can't be judged", one.session.camera.name)
        return ": ".join(filter(None, (f"judging failed with {type(error).__name__}", str(error))))
    return None


@dataclass(slots=True)
class _Judge:
    """A process, the camera it works at, the looks it waits for, and what it told of that camera."""

    child: Child
    work: CameraWork | None = None
    wants: LookTask | None = None
    told: list[Step] = field(default_factory=list)


class Judges:
    """Judges cameras, in order, so many at a time.

    It goes on only while it is asked to: `turn` now and then, `came` for each result, `finish` in the end.

    Args:
        count: Processes.
        work: The cameras.
        config: The edge's configuration.
        out: Folder of the results.
        looks: Where what was seen is kept.
        progress: Told of incidents that began; of less than none where a judge begins anew.
        judged: Told of each camera that is judged.

    Attributes:
        failed: Cameras that can't be judged, by their work's ledgers, and why.
    """

    def __init__(
        self,
        count: int,
        work: Sequence[CameraWork],
        config: EdgeConfig,
        out: Path,
        looks: LookFolder,
        progress: Callable[[Step], None],
        judged: Callable[[CameraWork], None],
    ) -> None:
        self._count = count
        self._queue = deque(work)
        self._given = (config, out, looks)
        self._looks = looks
        self._progress = progress
        self._judged = judged
        self._judges: list[_Judge] = []
        self._deaths: dict[Path, int] = {}
        self.failed: dict[Path, str] = {}

    def __enter__(self) -> Judges:
        self.turn()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for judge in self._judges:
            judge.child.kill()

    def turn(self) -> None:
        """Take what judges have to say by now.

        Raises:
            OSError: A result can't be written.
        """
        self._hear(0.0)

    def came(self, task: LookTask) -> None:
        """A task's result is on the disk."""
        for judge in self._judges:
            if judge.wants == task:
                self._answer(judge)
        self.turn()

    def finish(self) -> None:
        """Wait until all is judged; as `turn`."""
        while self._queue or self._busy():
            self._hear(None)

    def _busy(self) -> dict[Connection, _Judge]:
        return {judge.child.pipe: judge for judge in self._judges if judge.work is not None}

    def _hear(self, timeout_s: float | None) -> None:
        self._hand_out()
        busy = self._busy()
        for pipe in wait(list(busy), timeout_s):
            judge = busy[pipe]  # type: ignore[index]
            try:
                self._take(judge, judge.child.pipe.recv())
            except (EOFError, ConnectionResetError):
                self._died(judge)
        self._hand_out()

    def _hand_out(self) -> None:
        while self._queue and len(self._busy()) < self._count:
            judge = next((judge for judge in self._judges if judge.work is None), None)
            if judge is None:
                judge = _Judge(Child(_judge, *self._given))
                self._judges.append(judge)
            try:
                judge.child.pipe.send(self._queue[0])
            except OSError:  # it died while it had nothing to do
                self._bury(judge)
                continue
            judge.work, judge.wants, judge.told = self._queue.popleft(), None, []

    def _take(self, judge: _Judge, said: object) -> None:
        """One thing that a judge says: progress, looks that it wants, the end of a camera, or why it can't go on."""
        assert judge.work is not None
        if isinstance(said, Step):
            judge.told.append(said)
            self._progress(said)
        elif isinstance(said, LookTask):
            judge.wants = said
            if self._looks.holds(said):
                self._answer(judge)
        elif isinstance(said, OSError):
            raise said
        else:
            if isinstance(said, str):
                self.failed[judge.work.ledger] = said
            else:
                self._judged(judge.work)
            judge.work = None

    def _answer(self, judge: _Judge) -> None:
        judge.wants = None
        with suppress(OSError):  # it died; that will be heard
            judge.child.pipe.send(None)

    def _died(self, judge: _Judge) -> None:
        """A judge is no more: its camera is judged from its beginning by another, or not at all."""
        how, work, told = judge.child.how_it_ended(), judge.work, judge.told
        self._bury(judge)
        assert work is not None
        camera = work.session.camera.name
        self._progress(
            Step(camera, -sum(s.seconds for s in told), -sum(s.bytes for s in told), -sum(s.incidents for s in told))
        )
        self._deaths[work.ledger] = self._deaths.get(work.ledger, 0) + 1
        if self._deaths[work.ledger] == TRIES:
            self.failed[work.ledger] = f"the process that judges it ended {TRIES} times ({how})"
            logger.error("%s can't be judged: %s", camera, self.failed[work.ledger])
            return
        logger.warning("the process that judges %s ended (%s); it begins anew", camera, how)
        self._queue.appendleft(work)

    def _bury(self, judge: _Judge) -> None:
        judge.child.kill()
        self._judges.remove(judge)


def _judge(pipe: Connection, config: EdgeConfig, out: Path, looks: LookFolder) -> None:
    """The judge: takes cameras until it is wanted no more. `None` says that one is through, a text that it failed."""

    def looks_of(task: LookTask) -> FileLooks:
        while not looks.holds(task):
            pipe.send(task)
            pipe.recv()
        return looks.get(task)

    while True:
        one: CameraWork = pipe.recv()
        try:
            pipe.send(judge_here(one, config, out, looks_of, pipe.send))
        except (BrokenPipeError, ConnectionResetError):
            raise
        except OSError as error:
            pipe.send(error)
            return
