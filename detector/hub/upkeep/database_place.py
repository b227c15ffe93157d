"""Where a hub keeps its database: a SQLite file in its usual place, or a PostgreSQL server."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import URL, make_url

from detector.config import HubConfig
from detector.errors import StoreError

SQLITE = "hub.sqlite"


def database_kind(config: HubConfig) -> str:
    """Which it is: `sqlite` or `postgresql`."""
    url = config.database_url()
    return make_url(url).get_backend_name() if url else "sqlite"


def database_url(config: HubConfig) -> URL:
    """Where a PostgreSQL database is reached."""
    return make_url(config.database_url() or "")


def sqlite_file(config: HubConfig) -> Path:
    """Where the hub's SQLite database is.

    Raises:
        StoreError: The configuration names another place than the usual, which is no part of the data folder.
    """
    usual = config.data_dir / SQLITE
    url = config.database_url()
    named = make_url(url).database if url else None
    if named and Path(named).resolve() != usual.resolve():
        raise StoreError(
            f"a SQLite database is backed up, and brought back, in its usual place only: {usual}, not {named}"
        )
    return usual


def said(error: Exception) -> str:
    """What the disk or the driver says of what failed, in a line without the statement."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(getattr(error, "orig", error))
