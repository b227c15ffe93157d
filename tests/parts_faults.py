"""A life lived in a child process in which the Nth write fails, or at whose Nth write the process dies.

What can be had for real is: a limit on the size of files cuts writes short, refuses them, or kills who writes beyond
it. Only for the rest stands a shim, before the calls that make things last: SQLite's, `fsync`, `rename`, `unlink`. It
passes over those at which a fault would show what it shows at another one (`_is_one_more`).
"""

from __future__ import annotations

import errno
import functools
import json
import os
import resource
import signal
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

FAILS = ("ENOSPC", "EIO")
DIES = "dies"
SHIMMED = ("fsync", "rename", "replace", "unlink")
BEYOND = 250_000  # bytes; no file of these lives is larger

Note = Callable[..., None]
Life = Callable[[Note], None]


@dataclass
class Lived:
    """What became of a child: what it noted, whether it came to its end, and whether the fault was met at all."""

    how: str
    at: int
    notes: list[list[Any]] = field(default_factory=list)
    ended: bool = False
    met: bool = False

    def noted(self, what: str) -> list[Any]:
        """Values of all notes of this kind."""
        return [note[1] for note in self.notes if note[0] == what]

    def __str__(self) -> str:
        return f"{self.how} at {self.at}: {self.notes}"


def lives(life: Life, how: str) -> Iterator[Lived]:
    """Live it once for every write there is, each time with another one failing; the last time none does.

    Args:
        life: Is given where to note what has happened; exceptions that it lets out count as a failure of the test.
        how: One of `FAILS`, or `DIES`.
    """
    for n in count(1):
        lived = _live(life, how, n, functools.partial(_arm, how, n))
        yield lived
        if not lived.met:
            return


def lives_in_little_room(life: Life, how: str, step: int) -> Iterator[Lived]:
    """Live it with ever larger files allowed; whoever writes beyond is refused after a short write, or dies.

    Args:
        life: See `lives`; it may lift the limit with `lift`.
        how: `refused` or `killed`.
        step: By how many bytes the limit grows.
    """
    for limit in range(0, BEYOND, step):
        yield _live(life, how, limit, functools.partial(_limit, how, limit))


@contextmanager
def memory_folder() -> Iterator[Path]:
    """A folder that a dead process leaves as any other, but in memory where there is such: these tests sync often."""
    memory = Path("/dev/shm")
    with TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as folder:
        yield Path(folder)


def lift() -> None:
    """There is room again."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def _live(life: Life, how: str, at: int, prepare: Callable[[Note], None]) -> Lived:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        status = 1
        try:

            def note(what: str, value: Any = None) -> None:
                os.write(writing, json.dumps([what, value]).encode() + b"\n")

            prepare(note)
            life(note)
            status = 0
        except BaseException as error:  # the parent is told
            os.write(writing, json.dumps(["failed", repr(error)]).encode() + b"\n")
        finally:
            os._exit(status)
    os.close(writing)
    with os.fdopen(reading, "rb") as told:
        notes = [json.loads(line) for line in told]
    _, status = os.waitpid(child, 0)
    lived = Lived(how, at, notes, ended=status == 0)
    lived.met = bool(lived.noted("fault"))
    assert not lived.noted("failed"), lived
    return lived


def _limit(how: str, limit: int, _note: Note) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL if how == "killed" else signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _arm(how: str, n: int, note: Note) -> None:
    """Put the shim before every call that makes things last; at the Nth of them it does `how`."""
    calls, settings = count(1), False

    def step(call: Callable[..., Any], name: str, *args: Any, sql: bool = False, **more: Any) -> Any:
        if next(calls) != n:
            return call(*args, **more)
        note("fault", name)
        if how == DIES:  # to die just after the one before would be the same
            os._exit(9)
        raise _sqlite_error(how) if sql else OSError(getattr(errno, how), os.strerror(getattr(errno, how)))

    for name in SHIMMED:
        setattr(os, name, functools.partial(step, getattr(os, name), name))

    def state(cursor: sqlite3.Cursor, call: Callable[..., Any], sql: str, *args: Any) -> Any:
        nonlocal settings  # of those that follow each other the first stands for all
        before, settings = settings, sql.startswith("PRAGMA ") and "=" in sql
        if (before and settings) or not _is_one_more(how, sql, cursor.connection.in_transaction):
            return call(sql, *args)
        return step(call, sql, sql, *args, sql=True)

    class Cursor(sqlite3.Cursor):
        def execute(self, sql: str, *args: Any) -> Any:
            return state(self, super().execute, sql, *args)

        def executemany(self, sql: str, *args: Any) -> Any:
            return state(self, super().executemany, sql, *args)

        def executescript(self, sql: str) -> Any:
            return step(super().executescript, sql, sql, sql=True)

    class Connection(sqlite3.Connection):
        def cursor(self, *_: Any) -> Any:
            return super().cursor(Cursor)

        def execute(self, sql: str, *args: Any) -> Any:
            return self.cursor().execute(sql, *args)

        def executemany(self, sql: str, *args: Any) -> Any:
            return self.cursor().executemany(sql, *args)

        def executescript(self, sql: str) -> Any:
            return self.cursor().executescript(sql)

        def commit(self) -> None:
            step(super().commit, "commit", sql=True)

    connect = sqlite3.connect
    for module in (sqlite3, sqlite3.dbapi2):
        module.connect = functools.partial(connect, factory=Connection)  # type: ignore[assignment]


def _is_one_more(how: str, sql: str, in_transaction: bool) -> bool:
    """Whether a fault at this statement may leave something else than one at the next.

    Who dies leaves neither what they read nor what they hadn't committed. `BEGIN` alone takes no lock, reads nothing.
    """
    word = sql.split(maxsplit=1)[0]
    if how == DIES:
        return word == "COMMIT" or (word not in ("BEGIN", "SELECT") and not in_transaction)
    return sql != "BEGIN"


def _sqlite_error(how: str) -> sqlite3.OperationalError:
    full = how == "ENOSPC"
    error = sqlite3.OperationalError("database or disk is full" if full else "disk I/O error")
    error.sqlite_errorcode = sqlite3.SQLITE_FULL if full else sqlite3.SQLITE_IOERR
    return error
