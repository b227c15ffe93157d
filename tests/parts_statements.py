"""One cache of compiled SQL for all databases of a process.

A hub compiles a statement once and runs it for days. With an engine for each test it was compiled for each test, which
was a quarter of what the hub's tests cost.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy.dialects import registry
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.engine import Engine
from sqlalchemy.util import LRUCache


class _Shared:
    """A dialect that equals any other of its class, for it is the dialect under which a statement is filed."""

    compiled: LRUCache[Any, Any]

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other)

    def __hash__(self) -> int:
        return hash(type(self))

    @classmethod
    def engine_created(cls, engine: Engine) -> None:
        engine.update_execution_options(compiled_cache=cls.compiled)


class SharedSQLite(_Shared, SQLiteDialect_pysqlite):
    supports_statement_cache = True
    compiled = LRUCache(2000)


class SharedPostgres(_Shared, PGDialect_psycopg):
    supports_statement_cache = True
    compiled = LRUCache(2000)


def share_statements() -> None:
    """From now on, in this process."""
    registry.register("sqlite", __name__, SharedSQLite.__name__)
    registry.register("postgresql.psycopg", __name__, SharedPostgres.__name__)
