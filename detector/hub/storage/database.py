"""The hub's database: SQLite (WAL) or PostgreSQL, opened and brought to the newest shape; transactions are had here.

What is kept where is in `schema`; who keeps it is in the modules that take a `Database` (`store`, `audit`, …).
"""

from __future__ import annotations

import json
import logging
import re
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVarTuple

from sqlalchemy import (
    URL,
    ColumnElement,
    Connection,
    Engine,
    ExceptionContext,
    Result,
    Select,
    Table,
    column,
    create_engine,
    event,
    func,
    inspect,
    make_url,
    select,
    table,
    text,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError
from sqlalchemy.pool import QueuePool

from detector.errors import MissingPart, StoreError
from detector.hub.storage.schema import metadata
from detector.values import NOTHING

if TYPE_CHECKING:
    from alembic.config import Config

logger = logging.getLogger(__name__)

MIGRATIONS = Path(__file__).parent / "migrations"
NOTED = table("alembic_version", column("version_num"))
OURS = re.compile("[0-9]{4}")  # our own revisions
LOCK = 0x1ABE1  # any number that nothing else on the database server locks
# Of SQLite so many connections stay open, for pages in the making and what is done beside them; the one used last is
# taken first, and more are opened for a moment only. Opening one takes 0.8 milliseconds, and all it asks is prepared
# anew. Each keeps a megabyte of pages and prepared statements, so where more than a quiet hub uses lie idle, those are
# closed again (`Database.rest`).
QUIET, KEPT, MOST = 2, 10, 15
LARGEST_WAL = 16 * 2**20  # bytes of it stay after it grew while somebody else read for long; else all, for weeks
BUSY_S = 10.0  # so long who wants to write waits for others
ALONE_S = 30.0  # so long a change of shape waits for whoever uses PostgreSQL's tables; others wait behind it meanwhile
HOLDERS = """SELECT DISTINCT a.pid, a.usename, a.application_name
    FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
    JOIN pg_class c ON c.oid = l.relation AND c.relnamespace = to_regnamespace(quote_ident(current_schema()))
    WHERE l.granted AND a.datname = current_database() AND l.pid != pg_backend_pid() AND c.relname = ANY(:names)"""

# SQLITE_CORRUPT and SQLITE_NOTADB; PostgreSQL's data_corrupted and index_corrupted.
CORRUPT = frozenset({11, 26, "XX001", "XX002"})
# How Python says that text isn't UTF-8, and what follows: all that it is.
NO_TEXT, NO_TEXT_IS = "Could not decode to UTF-8", " with text "
BUSY = "another program has begun to write to it and doesn't end: close that one"
HINTS = {
    "25006": "a standby, or one set read-only: name the server that takes changes",
    "55P03": "somebody's open transaction holds what is to be changed: pg_blocking_pids() names whose, or pg_locks",
    "42501": "the role must own its tables, and may make them: createdb -O ROLE, or GRANT CREATE ON SCHEMA",
}  # by PostgreSQL's state
Ts = TypeVarTuple("Ts")


class SpoiltError(ValueError):
    """What a database gives isn't what was written, though it takes it for whole."""


class Database:
    """Opens, and brings up to date, the database at a SQLAlchemy URL. Safe to use from any thread.

    Args:
        url: Where it is.
        upgrade: Whether an older shape becomes the newest. Only the hub does that: to whoever works beside it, an older
            shape says that an older hub may still be running, which a newer one would take for damage.

    Attributes:
        damage: What was found to be damaged since it was opened; empty where nothing was.

    Raises:
        StoreError: It can't be opened, or its shape can't be brought up to date, or must not.
        MissingPart: The driver for PostgreSQL isn't installed.
    """

    def __init__(self, url: str, *, upgrade: bool = True) -> None:
        with in_a_line():
            self.damage = ""
            self._of_thread = threading.local()
            self._turn = threading.Lock()
            self.engine = _engine(url)
            event.listen(self.engine, "handle_error", self._note_damage)
            self._writer = self.engine.execution_options(writes=True)
            # What it excludes is made column by column, which took a fifth of the time in which an alert is stored.
            self._insert = cache(sqlite.insert if self.engine.dialect.name == "sqlite" else postgresql.insert)
            with self.writing() as connection:
                migrate(connection, upgrade=upgrade)

    def check(self) -> str:
        """Read a SQLite file from end to end, which takes seconds; what is damaged, and empty where nothing is."""
        if self.engine.dialect.name != "sqlite":
            return self.damage
        with self.reading() as connection:
            found = str(connection.exec_driver_sql("PRAGMA quick_check(1)").scalar_one())
        self.damage = "" if found == "ok" else found[:200]
        return self.damage

    def _note_damage(self, context: ExceptionContext) -> None:
        if is_corrupt(context.original_exception):
            self.damage = str(context.original_exception).partition(NO_TEXT_IS)[0][:200]

    @contextmanager
    def _noting_damage(self) -> Iterator[None]:
        try:
            yield
        except SpoiltError as error:
            self.damage = str(error)[:200]
            raise

    def read(self, query: Select[*Ts]) -> Result[*Ts]:
        """What one query finds, read to its end."""
        with self.reading() as connection:
            return connection.execute(query).freeze()()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection that only reads."""
        shared: Connection | None = getattr(self._of_thread, "reading", None)
        with self._noting_damage(), nullcontext(shared) if shared is not None else self.engine.connect() as connection:
            yield connection

    @contextmanager
    def at_one_moment(self) -> Iterator[None]:
        """Have this thread read by one connection meanwhile, on SQLite as all was when it first did.

        A page asks twenty things: to begin and end as many transactions takes longer than to find most of them. What
        the same thread writes within such a block is not to be read in it.
        """
        with self.engine.connect() as connection:
            self._of_thread.reading = connection
            try:
                yield
            finally:
                self._of_thread.reading = None

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction: committed when the block ends, undone when it raises.

        Within such a block of the same thread it is that one's: so an act and its line in the audit log are one.
        """
        outer: Connection | None = getattr(self._of_thread, "writing", None)
        if outer is not None:
            yield outer
            return
        with self._noting_damage(), self._in_turn(), self._writer.begin() as connection:
            self._of_thread.writing = connection
            try:
                yield connection
            finally:
                self._of_thread.writing = None

    def insert(self, table: Table) -> Any:
        """`INSERT` as the database's own dialect has it, with `ON CONFLICT`."""
        return self._insert(table)

    def upsert(
        self,
        table: Table,
        key: Iterable[str],
        taken: Iterable[str],
        become: Mapping[str, Any] = NOTHING,
        where: ColumnElement[bool] | None = None,
    ) -> Any:
        """`INSERT` that brings the row of the same key up to date where there is one.

        Args:
            table: Into which.
            key: Names of the columns that tell rows apart.
            taken: Columns of that row that become what the new one holds.
            become: What others become.
            where: When the row is brought up to date at all; always when left out.
        """
        insert = self.insert(table)
        new = {name: insert.excluded[name] for name in taken} | dict(become)
        return insert.on_conflict_do_update(index_elements=[*key], set_=new, where=where)

    @contextmanager
    def _in_turn(self) -> Iterator[None]:
        """Let the threads of this process write to a SQLite file one after the other.

        SQLite would, too, but each that waits looks for itself, ever more seldom, whether the file is free: among many
        that write, alerts found it taken again and again.
        """
        is_ours = self.engine.dialect.name == "sqlite" and self._turn.acquire(timeout=BUSY_S)
        try:
            yield
        finally:
            if is_ours:
                self._turn.release()

    def rest(self) -> None:
        """Close connections to SQLite that lie idle since more was asked at once; to be called now and then."""
        pool = self.engine.pool
        if self.engine.dialect.name == "sqlite" and isinstance(pool, QueuePool) and pool.checkedin() > QUIET:
            self.engine.dispose()

    def close(self) -> None:
        """Release connections."""
        self.engine.dispose()


@contextmanager
def in_a_line() -> Iterator[None]:
    """For who opens a database, or works on it without a hub: what the driver says, in a line.

    Raises:
        StoreError: The database failed, with what to do where the driver doesn't say it.
    """
    try:
        yield
    except SQLAlchemyError as error:
        raise StoreError(f"the database can't be used: {said_of(error)}") from error


def said_of(error: SQLAlchemyError) -> str:
    """What the driver says, without the statement, and what to do where it doesn't say it."""
    cause = getattr(error, "orig", None) or error
    shown = str(cause).partition("\nLINE ")[0]  # PostgreSQL's further lines show the statement
    code = getattr(cause, "sqlite_errorcode", 0) & 0xFF
    hint = BUSY if code == sqlite3.SQLITE_BUSY else HINTS.get(getattr(cause, "sqlstate", None) or "", "")
    return f"{shown} ({hint})" if hint else shown


def is_away(error: DBAPIError) -> bool:
    """Whether a database can't be used for a while, rather than was asked for what it can't do.

    PostgreSQL's class 25 is what a server says that lets nothing be written, as a standby does.
    """
    state = getattr(error.orig, "sqlstate", None) or ""
    return isinstance(error, OperationalError) or state.startswith("25")


def is_corrupt(error: BaseException | None) -> bool:
    """Whether a driver's error says that what is on the disk is damaged."""
    code = getattr(error, "sqlite_errorcode", None)
    if isinstance(error, sqlite3.OperationalError) and str(error).startswith(NO_TEXT):  # Python's own, without a code
        return True
    return bool(CORRUPT & {code & 0xFF if isinstance(code, int) else None, getattr(error, "sqlstate", None)})


def one_at_a_time(connection: Connection) -> None:
    """Until this transaction ends, no other one of these goes on: what every writer is like on SQLite.

    To be called before rows are changed that another one of these may change, or each waits for the other: PostgreSQL
    ends one of the two then. An entry of the audit log calls it, too.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(LOCK)))


def migrate(connection: Connection, *, upgrade: bool = True) -> None:
    """Bring a database to the newest shape, within the connection's transaction.

    One that has it already, as at nearly every start, is left alone, and Alembic isn't even loaded: that takes a tenth
    of the time in which a hub starts, and it would read every migration to see it.

    Raises:
        StoreError: It has a newer shape; or, without `upgrade`, an older one. An empty one gets the newest in any case.
    """
    known = {file.name[:4] for file in (MIGRATIONS / "versions").glob("[0-9]*.py")}
    newest = max(known)
    shape = _shape(connection)
    if connection.dialect.name == "postgresql":
        try:
            check_encoding(connection)
        except StoreError as error:
            if shape is None:
                raise
            # What it could keep by now is there: better that it goes on than that nobody watches.
            logger.warning("%s", error)
    if shape == newest:
        return
    if shape is not None and not OURS.fullmatch(shape):
        raise StoreError(f"the database is another program's ({NOTED.name} says {shape}): name one for the hub alone")
    if shape is not None and shape not in known:
        shapes = f"its shape is {shape}, this one knows {newest}"
        hint = "start that version, or bring a backup back"
        raise StoreError(f"the database was made by a newer labelwatch ({shapes}): {hint}")
    if shape is not None and not upgrade:
        raise StoreError("the database was made by an older labelwatch: start the hub anew first, which brings it up")
    if connection.dialect.name == "postgresql":
        have_it_alone(connection)
    if shape is not None:
        logger.info("bringing the database from shape %s to %s", shape, newest)
    from alembic import command

    command.upgrade(migration(connection), "head")


def check_encoding(connection: Connection) -> None:
    """See whether a PostgreSQL database can keep whatever people and boxes call things.

    Raises:
        StoreError: It can't.
    """
    encoding = connection.exec_driver_sql("SHOW server_encoding").scalar_one()
    if encoding != "UTF8":
        hint = "make it anew: createdb -E UTF8 -T template0 -O ROLE NAME"
        raise StoreError(f"the database's encoding is {encoding}, in which not every name can be kept: {hint}")


def have_it_alone(connection: Connection) -> None:
    """Take the tables from whoever uses them, to the transaction's end; and let no limit of the role's end that before.

    An analyst's transaction that was left open, or a long dump, holds tables in a way that lets all go on but this. To
    wait for it without end would be a hub that says nothing, behind which all others wait as well. So it is for who
    brings a backup back.

    Raises:
        StoreError: Somebody uses them, and who.
    """
    for setting in ("statement_timeout = 0", "idle_in_transaction_session_timeout = 0", f"lock_timeout = '{ALONE_S}s'"):
        connection.exec_driver_sql(f"SET LOCAL {setting}")
    names = sorted({NOTED.name, *metadata.tables}.intersection(inspect(connection).get_table_names()))
    if not names:
        return
    try:
        with connection.begin_nested():
            connection.exec_driver_sql(f"LOCK TABLE {', '.join(names)} IN ACCESS EXCLUSIVE MODE")
    except OperationalError as error:
        if getattr(error.orig, "sqlstate", None) != "55P03":
            raise
        rows = connection.execute(text(HOLDERS), {"names": names}).all()
        who = ", ".join(f"{row.pid} ({row.usename}, {row.application_name or '?'})" for row in rows) or "unknown"
        hint = "have it end, or end it there by pg_terminate_backend, and try again"
        raise StoreError(f"tables can't be changed while somebody uses them: process {who}: {hint}") from error


def _shape(connection: Connection) -> str | None:
    """The revision that Alembic noted in the database, if it ever made it any."""
    if not inspect(connection).has_table(NOTED.name):
        return None
    return connection.execute(select(NOTED.c.version_num)).scalar_one_or_none()


def is_hubs(connection: Connection) -> bool:
    """Whether a hub, of whatever version, has made tables here; another program may have Alembic note its own."""
    return OURS.fullmatch(_shape(connection) or "") is not None


def migration(connection: Connection) -> Config:
    """How Alembic finds our migrations and the connection that it is to use."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def engine_of(url: str | URL, **settings: Any) -> Engine:
    """SQLAlchemy's engine for a database as it stands, which opens nothing yet.

    Raises:
        MissingPart: The driver for PostgreSQL isn't installed.
    """
    if make_url(url).get_backend_name() == "postgresql":  # whatever the server thinks its clients speak
        settings["connect_args"] = {"client_encoding": "utf8"}
    try:
        return create_engine(url, hide_parameters=True, **settings)
    except ImportError as error:
        raise MissingPart("PostgreSQL needs psycopg: .venv/bin/pip install 'psycopg[binary]'") from error


def _engine(url: str) -> Engine:
    parsed = make_url(url)
    if parsed.get_backend_name() not in ("sqlite", "postgresql"):
        raise StoreError(f"{parsed.get_backend_name()} is no database the hub knows: sqlite or postgresql+psycopg")
    # Values are left out of error texts, which are logged: among them are password hashes and what people write.
    pool: dict[str, Any] = {"pool_pre_ping": True}
    if parsed.get_backend_name() == "sqlite":
        pool = {"poolclass": QueuePool, "pool_size": KEPT, "max_overflow": MOST - KEPT, "pool_use_lifo": True}
        pool["json_deserializer"] = _from_json
    engine = engine_of(parsed, **pool)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    else:
        event.listen(engine, "connect", _prepare_postgresql)
    return engine


def _from_json(written: Any) -> Any:
    """What JSON says. SQLite, unlike PostgreSQL, gives whatever stands where some was written."""
    try:
        return json.loads(written)
    except (TypeError, ValueError) as error:
        raise SpoiltError(f"what stands where JSON was written is none: {error}") from error


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # transactions begin in _begin_sqlite, not where sqlite3 guesses
    # Each connection of the pool has a cache of its own, and the system's holds the same pages once more: 512 KB each.
    # What is deleted is overwritten, as Debian's SQLite does unasked: a picture that went lies in no free page.
    pragmas = (
        "journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", f"busy_timeout={BUSY_S * 1000:.0f}",
        "cache_size=-512", "secure_delete=ON", f"journal_size_limit={LARGEST_WAL}",
    )  # fmt: skip
    for pragma in pragmas:
        connection.execute(f"PRAGMA {pragma}")


def _prepare_postgresql(connection: Any, _record: object) -> None:
    # What an administrator set otherwise for the role or the database is good for others of its users:
    # - it takes a feed narrowed by a zone for long work, and compiles that: 0.3 s for a query of 0.1;
    # - who waits for their turn (`one_at_a_time`) must then see what those before them did;
    # - a time that comes back rounded is another one, and the audit log's chain is taken for torn;
    # - what a box was told is stored, and deleted, must be there after a power cut;
    # - where somebody changed rows by hand and left that open, all who write would wait behind it for ever.
    connection.execute(
        f"""SET jit = off; SET default_transaction_isolation = 'read committed'; SET extra_float_digits = 1;
        SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off';
        SELECT set_config('lock_timeout', '{BUSY_S}s', false) WHERE current_setting('lock_timeout') = '0'"""
    )
    connection.commit()


def _begin_sqlite(connection: Connection) -> None:
    # A writer takes its lock at once: a reader that turns writer half-way is refused without waiting.
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
