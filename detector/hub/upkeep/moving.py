"""What a hub kept in SQLite goes into a PostgreSQL database, row by row as it stands."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, NullPool, Table, text

from detector.errors import StoreError
from detector.hub.storage.database import Database, engine_of, have_it_alone, migrate
from detector.hub.storage.schema import metadata


def fill_from_sqlite(url: URL, there: Sequence[str], file: Path) -> None:
    """Put all rows of a SQLite database in the place of a hub's tables of PostgreSQL, or leave all as it is.

    Args:
        url: Of the PostgreSQL database.
        there: The hub's tables in it (`dumps.tables`), which go.
        file: The SQLite database, which is brought to the newest shape.

    Raises:
        StoreError: One of the two can't be used, somebody uses those tables, or PostgreSQL doesn't take a row.
        SQLAlchemyError, sqlite3.Error: Others have built on those tables, or a row can't be read.
    """
    Database(f"sqlite:///{file}").close()
    engine = engine_of(url, poolclass=NullPool)
    with closing(sqlite3.connect(file)) as old, engine.begin() as new:
        have_it_alone(new)
        if there:
            new.exec_driver_sql(f"DROP TABLE {', '.join(there)}")
        migrate(new)
        for table in metadata.sorted_tables:
            _copy(old, new, table)
        # Higher than any that was ever given, also where the row is gone.
        for name, number in old.execute("SELECT name, seq FROM sqlite_sequence WHERE seq > 0").fetchall():
            new.execute(text("SELECT setval(pg_get_serial_sequence(:name, 'number'), :n)"), {"name": name, "n": number})


def _copy(old: sqlite3.Connection, new: Connection, table: Table) -> None:
    """As the driver gives the values: JSON stays the text that it was, and nothing where there was nothing."""
    columns = ", ".join(f'"{column.name}"' for column in table.c)
    driver: Any = new.connection.driver_connection
    try:
        with driver.cursor() as cursor, cursor.copy(f'COPY "{table.name}" ({columns}) FROM STDIN') as out:
            for row in old.execute(f'SELECT {columns} FROM "{table.name}"'):  # noqa: S608
                out.write_row(row)
    except new.dialect.loaded_dbapi.Error as error:
        raise StoreError(f"PostgreSQL doesn't take what stands in {table.name}: {error}") from error
