"""What long work tells whoever waits for it: a bar on a terminal, plain lines elsewhere, both on standard error."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

LINE_EVERY_S = 30.0  # where lines are kept, in a log
FIRST_LINE_S = 5.0  # until then whoever waits is told nothing


@dataclass(frozen=True, slots=True)
class Step:
    """A piece of a replay is done: seconds of a camera's footage, bytes of its files, and incidents begun in it."""

    camera: str
    seconds: float
    bytes: float
    incidents: int = 0


class ReplayMeter:
    """How far a replay is; files are measured by their bytes, which are known before any is opened.

    Args:
        clock: Seconds that only go forward.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began = clock()
        self._seconds = self._bytes = self._total = 0.0
        self._incidents = 0

    def expect(self, total_bytes: float) -> None:
        """So much is to be done."""
        self._began, self._total = self._clock(), total_bytes

    def add(self, step: Step) -> None:
        """So much more is done."""
        self._seconds += step.seconds
        self._bytes += step.bytes
        self._incidents += step.incidents

    @property
    def share(self) -> float:
        """Of the work, 0..1."""
        return min(self._bytes / self._total, 1.0) if self._total else 0.0

    def words(self) -> str:
        """`12 %, 3:12:00 of footage done, 14.2x real time, 3 incidents so far, 0:42:10 left`."""
        took = self._clock() - self._began
        incidents = "1 incident" if self._incidents == 1 else f"{self._incidents} incidents"
        speed = self._seconds / max(took, 1.0)
        said = f"{100 * self.share:.0f} %, {span(self._seconds)} of footage done, {speed:.1f}x real time"
        said += f", {incidents} so far"
        if 0.01 <= self.share < 1.0 and took >= 1.0:
            said += f", {span(took * (1.0 - self.share) / self.share)} left"
        return said


@contextmanager
def replay_progress() -> Iterator[tuple[Callable[[float], None], Callable[[Step], None], Callable[[str], None]]]:
    """A bar of a replay with the time that is left: what to tell the expected bytes, each step, and what comes before.

    In words, and as often as there is anything new.
    """
    meter = ReplayMeter()
    if not sys.stderr.isatty():
        due_at = time.monotonic() + FIRST_LINE_S

        def told(words: Callable[[], str]) -> None:
            nonlocal due_at
            if time.monotonic() >= due_at:
                due_at = time.monotonic() + LINE_EVERY_S
                print(words(), file=sys.stderr, flush=True)

        def expect(total_bytes: float) -> None:
            nonlocal due_at
            meter.expect(total_bytes)
            due_at = min(due_at, time.monotonic() + FIRST_LINE_S)

        def line(step: Step) -> None:
            meter.add(step)
            told(meter.words)

        yield expect, line, lambda what: told(lambda: what)
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    with Progress(BarColumn(), TextColumn("{task.description}"), console=Console(file=sys.stderr)) as bar:
        task = bar.add_task("", total=1.0)

        def advance(step: Step) -> None:
            meter.add(step)
            bar.update(task, completed=meter.share, description=meter.words())

        yield meter.expect, advance, lambda what: bar.update(task, description=what)


@contextmanager
def progress_seconds() -> Iterator[Callable[[str, float], None]]:
    """A bar of footage done on a terminal, a plain line a minute of footage elsewhere."""
    if not sys.stderr.isatty():
        done: dict[str, float] = {}

        def line(name: str, seconds: float) -> None:
            before = done.get(name, 0.0)
            done[name] = before + seconds
            if int(before // 60) != int(done[name] // 60):
                print(f"{name}: {done[name] / 60:.0f} min done", file=sys.stderr)

        yield line
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed:.0f} s"), TimeElapsedColumn())
    with Progress(*columns, console=Console(file=sys.stderr)) as bar:
        tasks = {}

        def advance(name: str, seconds: float) -> None:
            if name not in tasks:
                tasks[name] = bar.add_task(name, total=None)
            bar.advance(tasks[name], seconds)

        yield advance


@contextmanager
def progress_count(what: str) -> Iterator[Callable[[int, int], None]]:
    """A bar of things done on a terminal, nothing but every hundredth elsewhere."""
    if not sys.stderr.isatty():

        def line(done: int, of: int) -> None:
            if done % 100 == 0 or done == of:
                print(f"{done} of {of} {what}", file=sys.stderr)

        yield line
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(file=sys.stderr)) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, of: bar.update(task, completed=done, total=of)


@contextmanager
def progress_steps() -> Iterator[Callable[[str, int, int], None]]:
    """A bar of steps that are done, with the name of the one that goes on; a line for each elsewhere."""
    if not sys.stderr.isatty():
        yield lambda what, done, of: print(f"{done} of {of}: {what}", file=sys.stderr, flush=True)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=Console(file=sys.stderr)) as bar:
        task = bar.add_task("", total=None)
        yield lambda what, done, of: bar.update(task, description=what, completed=done, total=of)


def span(seconds: float) -> str:
    """A length of time as hours, minutes and seconds, which every language reads alike: `1:02:03`."""
    hours, rest = divmod(round(seconds), 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}"
