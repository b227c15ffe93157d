"""One hub to a data folder, and to a PostgreSQL database: the second one is told who is there."""

from __future__ import annotations

import fcntl
import logging
import os
import socket
from pathlib import Path

from sqlalchemy import Connection, NullPool, text
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from detector.errors import StoreError
from detector.hub.background import Background
from detector.hub.storage.database import LOCK, engine_of, in_a_line

logger = logging.getLogger(__name__)

NAME = "hub.lock"
HELD = LOCK + 1
KEEP_S = 1.0  # a hub forgotten on another machine, started again and again, waits for a server that begins anew
WAIT_S = 5.0  # a hub that was killed is gone, but the server may need a moment to see it
# So that the server notices within a minute or so that the machine of who holds it has died, and lets another have it.
KEEPALIVES = {"tcp_keepalives_idle": 20, "tcp_keepalives_interval": 10, "tcp_keepalives_count": 3}
HOLDER = f"""SELECT a.pid, a.application_name, a.backend_start FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
    WHERE l.locktype = 'advisory' AND l.granted AND l.classid = 0 AND l.objid = {HELD} AND l.objsubid = 1
    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())"""  # noqa: S608


class DataLock:
    """Holds a data folder until `release`, or until the process ends however it ends.

    Raises:
        StoreError: Another process holds it, or the folder can't be written.
    """

    def __init__(self, folder: Path) -> None:
        try:
            self._file = os.open(folder / NAME, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise StoreError(f"{folder} can't be written: {error.strerror}") from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(self._file, 20, 0).decode("ascii", "replace").strip()
            os.close(self._file)
            hint = "stop that one, or give this one a data_dir of its own"
            raise StoreError(f"another hub (process {holder or '?'}) uses {folder}: {hint}") from error
        except OSError as error:
            os.close(self._file)
            hint = "a share in the network, perhaps, that knows no locks: have it on a disk of this machine"
            raise StoreError(f"{folder} can't be kept from other hubs ({error.strerror}): {hint}") from error
        os.truncate(self._file, 0)
        os.pwrite(self._file, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Let another one have it; safe to call twice."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


class DatabaseLock:
    """Holds a PostgreSQL database until `release`, or until the process ends however it ends; nothing of a SQLite file.

    Two hubs on one would each delete what the other tells of, and sign by keys that boxes don't know. It is held by a
    connection of its own, which is made anew when it was lost. Where a pooler stands between (one that hands each
    transaction to another connection) it can't be held, and isn't.

    Args:
        url: Of the database.

    Raises:
        StoreError: Another one holds it, or it can't be reached.
    """

    def __init__(self, url: str) -> None:
        self._engine = engine_of(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
        self._connection: Connection | None = None
        self._background = Background("database-lock", self._keep)
        if self._engine.dialect.name == "postgresql":
            with in_a_line():
                is_held = self._hold()
            if is_held:
                self._background.start()

    def release(self) -> None:
        """Let another one have it; safe to call twice."""
        self._background.stop()
        self._let_go()

    def _hold(self) -> bool:
        """Take it; whether that can be done here at all.

        Raises:
            StoreError: Another one has it.
            SQLAlchemyError: The database can't be reached.
        """
        self._connection = connection = self._engine.connect()
        told = getattr(connection.connection.driver_connection, "info").backend_pid  # noqa: B009 (SQLAlchemy knows none)
        if told != connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one():
            logger.info("a pooler stands before the database: a second hub on it would not be noticed")
            self._let_go()
            return False
        own = {"application_name": f"labelwatch hub on {socket.gethostname()}", "lock_timeout": f"{WAIT_S}s"}
        for name, value in {**own, **KEEPALIVES}.items():
            connection.execute(text("SELECT set_config(:name, :value, false)"), {"name": name, "value": str(value)})
        try:
            connection.exec_driver_sql(f"SELECT pg_advisory_lock({HELD})")
        except OperationalError as error:
            if getattr(error.orig, "sqlstate", None) != "55P03":
                raise
        else:
            return True
        row = connection.exec_driver_sql(HOLDER).first()
        self._let_go()
        who = (
            f"{row.application_name}, process {row.pid} of the server, since {row.backend_start:%F %T%z}"
            if row
            else "?"
        )
        hint = "stop that one, or give this one a database of its own"
        raise StoreError(f"another hub uses the database ({who}): {hint}")

    def _let_go(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _keep(self) -> None:
        told = ""
        while self._background.pause(KEEP_S):
            try:
                if self._connection is None:
                    self._hold()
                else:
                    self._connection.exec_driver_sql("SELECT 1")
                    told = ""
            except (SQLAlchemyError, StoreError) as error:  # the former also where the server began anew
                why = str(getattr(error, "orig", error))
                if why != told:
                    logger.error("the database isn't held for this hub alone: %s", why)
                told = why
                self._let_go()
