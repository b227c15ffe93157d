"""A hub's PostgreSQL database in a file, and back, by PostgreSQL's own programs.

Of the hub are the tables that its role owns in the schema where it makes them, once it made any. What else is in the
database (extensions, publications, what analysts keep there, who was granted what) isn't the hub's to copy: most of it
only a superuser can bring back, and on another machine there may be no role of that name.
"""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any

from sqlalchemy import URL, text

from detector.errors import MissingPart, StoreError
from detector.hub.storage.database import NOTED, check_encoding, engine_of, have_it_alone, is_hubs
from detector.hub.storage.schema import metadata

# pg_restore sets it from 17 on, whatever server it is for, and those before know no such setting.
TOO_NEW = b"SET transaction_timeout = 0;"
HEAD = 4096  # bytes of a script, in the first of which its settings stand
NOT_OURS = ("--no-owner", "--no-privileges", "--no-publications", "--no-subscriptions", "--no-tablespaces")
# A superuser has every role: of what this program doesn't know, as a later one may have made it, there is only what has
# the owner of what Alembic notes.
OWN = """WITH here AS (
        SELECT relname, relowner FROM pg_class WHERE relkind IN ('r', 'p')
        AND relnamespace = to_regnamespace(quote_ident(current_schema())) AND pg_has_role(relowner, 'USAGE'))
    SELECT quote_ident(current_schema()) AS schema, quote_ident(relname) AS name FROM here
    WHERE relname = ANY(:known) OR relowner = (SELECT relowner FROM here WHERE relname = :noted) ORDER BY relname"""


def tables(url: URL) -> list[str]:
    """The hub's tables, each with its schema, as SQL takes it; none where no hub has ever been."""
    engine = engine_of(url)
    try:
        with engine.connect() as connection:
            if not is_hubs(connection):
                return []
            names = {"known": [*metadata.tables], "noted": NOTED.name}
            return [f"{row.schema}.{row.name}" for row in connection.execute(text(OWN), names)]
    finally:
        engine.dispose()


def dump(url: URL, to: Path) -> None:
    """The hub's tables as they stand now, in a file for `pg_restore`.

    Raises:
        StoreError: There are none, or they can't be read.
        MissingPart: `pg_dump`, or the driver, isn't installed.
    """
    own = tables(url)
    if not own:
        raise StoreError("the database holds no tables of the hub's role: nothing to back up")
    _on(url, "pg_dump", "--format=custom", f"--file={to}", *(f"--table={name}" for name in own))


def replace(url: URL, there: Sequence[str], by: Path) -> None:
    """Put a dump in the place of the hub's tables, or leave all as it is.

    Those that are there go also where the dump knows nothing of them: an update since then has made them, they refer to
    others, and the next one could not make them anew. Nothing else goes: where another program has a table of a name
    that the dump brings, that is told.

    Args:
        url: Of the database.
        there: `tables` of it.
        by: The dump.

    Raises:
        StoreError: It isn't of the schema that the role works in, not every name can be kept there, somebody uses the
            tables, or PostgreSQL doesn't take it.
        MissingPart: `pg_restore` or `psql` isn't installed.
    """
    schema, own = _schema_of(by), _schema(url)
    if schema != own:
        hint = f"ALTER ROLE … SET search_path = {schema}, or make a schema of that name"
        raise StoreError(f"the backup's tables are in the schema {schema}, the role works in {own}: {hint}")
    _see_that_it_can_be_taken(url, there)
    script = by.with_suffix(".sql")
    try:
        _run("pg_restore", *NOT_OURS, f"--schema={schema}", f"--file={script}", str(by))
        _leave_out_what_is_too_new(script)
        # Without CASCADE: views of others on these tables would go, and nobody would have them.
        drop = [f"DROP TABLE IF EXISTS {', '.join(there)}"] if there else []
        begin = [f"--command={one}" for one in ("SET statement_timeout = 0", "SET lock_timeout = '30s'", *drop)]
        _on(
            url, "psql", "--no-psqlrc", "--quiet", "--output=/dev/null", "--set=ON_ERROR_STOP=1",
            "--single-transaction", *begin, f"--file={script}",
        )  # fmt: skip
    finally:
        script.unlink(missing_ok=True)


def program(name: str) -> str:
    """Where one of PostgreSQL's programs is.

    Raises:
        MissingPart: It isn't installed.
    """
    versioned = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    found = shutil.which(name) or (str(versioned[-1]) if versioned else None)
    if found is None:
        raise MissingPart(f"{name} is not installed: apt-get install postgresql-client")
    return found


def _see_that_it_can_be_taken(url: URL, there: Sequence[str]) -> None:
    """What `psql` would wait for, it couldn't name; nor does it know what names are still to come."""
    engine = engine_of(url)
    try:
        with engine.begin() as connection:
            check_encoding(connection)
            if there:
                have_it_alone(connection)
    finally:
        engine.dispose()


def _schema(url: URL) -> str:
    engine = engine_of(url)
    try:
        with engine.connect() as connection:
            return str(connection.execute(text("SELECT current_schema()")).scalar_one())
    finally:
        engine.dispose()


def _schema_of(dumped: Path) -> str:
    """The schema that a dump's tables were in."""
    listed = _run("pg_restore", "--list", str(dumped))
    found = re.search(rf"^\d+; \d+ \d+ TABLE (.+) {NOTED.name} ", listed, re.MULTILINE)
    if found is None:
        raise StoreError("the backup holds no database of a hub")
    return found[1]


def _leave_out_what_is_too_new(script: Path) -> None:
    with script.open("r+b") as file:
        at = file.read(HEAD).find(TOO_NEW)
        if at >= 0:
            file.seek(at)
            file.write(b"--" + TOO_NEW[2:])  # in its place: the script may be as large as the database


def _on(url: URL, name: str, *options: str) -> None:
    """Run one of PostgreSQL's programs on the database; it asks nobody for a password, which travels by environment."""
    # Several servers of which one is the first now SQLAlchemy's addresses name otherwise than libpq's do.
    dialect: Any = engine_of(url).dialect
    _, address = dialect.create_connect_args(url)
    password = address.pop("password", None)  # be it from a parameter: command lines are for all to read
    plain = {key: value for key, value in address.items() if isinstance(value, str | int)}  # not the driver's own
    named = dialect.loaded_dbapi.conninfo.make_conninfo(**plain)
    _run(name, f"--dbname={named}", "--no-password", *options, password=password)


def _run(name: str, *options: str, password: str | None = None) -> str:
    environment = {**os.environ, **({"PGPASSWORD": password} if password else {})}
    run = subprocess.run(
        [program(name), *options], env=environment, capture_output=True, text=True, check=False,
        preexec_fn=_end_with_us,
    )  # fmt: skip
    if run.returncode:
        raise StoreError(f"{name} failed: {_why(run.stderr)}")
    return run.stdout


def _end_with_us() -> None:
    """Have a program end when we are killed: else it would replace a database hours after somebody stopped that."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG


def _why(said: str) -> str:
    """The error among what a program said, with what it says of it; after that come the command and advice."""
    lines = said.strip().splitlines() or ["?"]
    at = next((n for n, line in enumerate(lines) if "error:" in line.lower()), len(lines) - 1)
    error = re.sub(r"^psql:\S+\.sql:\d+: ", "", lines[at])  # of a file that is gone by now
    details = list(takewhile(lambda line: not line.startswith(("HINT:", "LINE ", "CONTEXT:")), lines[at + 1 : at + 6]))
    if "version mismatch" in error:
        details.append("install the postgresql-client of the server's version")
    return "; ".join(part.strip() for part in (error, *details) if part)
