"""A PostgreSQL database that others use as well: a second hub, an analyst, an administrator with limits."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import URL, make_url
from sqlalchemy.exc import OperationalError

from detector.cli import main
from detector.config import Broker, HubConfig
from detector.errors import StoreError
from detector.hub.access.audit import Audit, verify
from detector.hub.server import Hub
from detector.hub.storage import database as database_module
from detector.hub.storage import lock as lock_module
from detector.hub.storage.audit_chain import add_entry
from detector.hub.storage.database import Database, one_at_a_time, said_of
from detector.hub.storage.lock import DatabaseLock, DataLock
from detector.hub.storage.store import Store
from detector.hub.upkeep.backup import back_up
from detector.hub.upkeep.dumps import tables
from detector.hub.upkeep.restore import restore
from tests.hub.conftest import CHEAP, NOON, make_envelope, make_older
from tests.hub.test_server import free_port
from tests.parts_mosquitto import soon


def admin(url: str, database: str = "", user: str = "hub") -> psycopg.Connection[Any]:
    at = make_url(url)
    where = f"host={at.query['host']} user={user} dbname={database or at.database}"
    return psycopg.connect(where, autocommit=True, application_name="report.py")


@pytest.fixture(autouse=True)
def _wait_hardly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock_module, "WAIT_S", 0.1)


def hub_config(folder: Path, url: str) -> HubConfig:
    return HubConfig(data_dir=folder, database=url, broker=Broker(port=free_port()))


def test_of_two_hubs_on_one_database_the_second_is_told_of_the_first(
    postgres: Callable[[], str], tmp_path: Path
) -> None:
    url = postgres()
    one = Hub(hub_config(tmp_path / "one", url), port=0, hasher=CHEAP)
    try:
        with pytest.raises(StoreError, match=r"another hub uses the database \(labelwatch hub on .*, process \d+ of"):
            Hub(hub_config(tmp_path / "two", url), port=0, hasher=CHEAP)
    finally:
        one.stop()
    Hub(hub_config(tmp_path / "two", url), port=0, hasher=CHEAP).stop()


def test_what_a_hub_elsewhere_uses_is_not_replaced(postgres: Callable[[], str], tmp_path: Path) -> None:
    config = hub_config(tmp_path / "one", postgres())
    hub = Hub(config, port=0, hasher=CHEAP)
    try:
        report = back_up(config, tmp_path / "backups", NOON)
        with pytest.raises(StoreError, match="another hub uses the database"):
            restore(report.file, hub_config(tmp_path / "two", config.database or ""), force=True, now=NOON)
    finally:
        hub.stop()


def test_a_hub_whose_server_began_anew_soon_keeps_others_out_as_before(postgres: Callable[[], str]) -> None:
    url = postgres()
    held = DatabaseLock(url)

    def is_free() -> bool:
        try:
            DatabaseLock(url).release()
        except StoreError:
            return False
        return True

    with admin(url) as connection:

        def holder() -> int | None:
            found = connection.execute("SELECT pid FROM pg_locks WHERE locktype = 'advisory'").fetchone()
            return found and found[0]

        first = holder()
        connection.execute("SELECT pg_terminate_backend(%s)", [first])
        assert soon(lambda: holder() not in (None, first))
    assert not is_free()
    held.release()
    assert is_free()


def test_a_hub_that_starts_while_another_ends_waits_for_it(
    postgres: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    url = postgres()
    monkeypatch.setattr(lock_module, "WAIT_S", 60)
    former = DatabaseLock(url)
    with admin(url) as connection, ThreadPoolExecutor(1) as another:
        waits = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        started = another.submit(DatabaseLock, url)
        assert soon(lambda: connection.execute(waits).fetchone() == (1,))
        former.release()
        started.result().release()


def test_behind_a_pooler_no_lock_is_left_that_would_keep_the_next_hub_out(
    postgres: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    url = postgres()
    monkeypatch.setattr(psycopg.ConnectionInfo, "backend_pid", property(lambda _info: 7))  # a pooler makes one up
    held = DatabaseLock(url)
    with admin(url) as connection:
        assert connection.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'").fetchone() == (0,)
    held.release()


def test_a_share_that_knows_no_locks_is_not_taken_for_another_hub(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(StoreError, match="No locks available") as caught:
        DataLock(tmp_path)
    assert "another hub" not in str(caught.value) and "network" in str(caught.value)


@pytest.fixture
def older(postgres: Callable[[], str]) -> Iterator[str]:
    """The address of a hub's database of an older shape."""
    url = postgres()
    store = Store(url)
    store.add_alerts([make_envelope(1)], NOON)
    make_older(store.database, "0020")
    store.close()
    yield url


def test_an_update_names_who_keeps_it_from_the_tables_and_changes_nothing(
    older: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_module, "ALONE_S", 0.2)
    with admin(older) as analyst:
        analyst.execute("SET idle_in_transaction_session_timeout = '5s'")  # else one without this would wait for ever
        analyst.execute("BEGIN")
        analyst.execute("SELECT count(*) FROM incidents")
        with pytest.raises(StoreError, match=rf"process {analyst.info.backend_pid} \(hub, report.py\): .*again"):
            Store(older)
        assert analyst.execute("SELECT version_num FROM alembic_version").fetchone() == ("0020",)
        analyst.execute("ROLLBACK")
    store = Store(older)
    assert store.incident("inc-1")
    store.close()


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_who_brings_a_backup_back_is_told_who_uses_the_tables(
    postgres: Callable[[], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    config = hub_config(tmp_path / "data", postgres())
    source = config if kind == "postgresql" else HubConfig(data_dir=tmp_path / "small")
    source.data_dir.mkdir()
    Store(source.database_url() or f"sqlite:///{source.data_dir / 'hub.sqlite'}").close()
    report = back_up(source, tmp_path / "backups", NOON)
    monkeypatch.setattr(database_module, "ALONE_S", 0.2)
    with admin(config.database or "") as analyst:
        analyst.execute("SET idle_in_transaction_session_timeout = '20s'")
        analyst.execute("BEGIN")
        analyst.execute("SELECT count(*) FROM incidents")
        with pytest.raises(StoreError, match=rf"process {analyst.info.backend_pid} \(hub, report.py\)"):
            restore(report.file, config, force=True, now=NOON)
        analyst.execute("ROLLBACK")


def test_an_update_takes_longer_than_a_role_lets_its_statements(older: str) -> None:
    analyst = admin(older)
    analyst.execute(f"ALTER DATABASE {make_url(older).database} SET statement_timeout = '700ms'")
    analyst.execute("SET idle_in_transaction_session_timeout = '2s'")  # then the hub's turn comes
    analyst.execute("BEGIN")
    analyst.execute("SELECT count(*) FROM incidents")
    store = Store(older)
    assert store.incident("inc-1")
    store.close()
    analyst.close()


def set_for_all(url: str, **settings: str) -> None:
    """As an administrator sets it for all who use a database."""
    with admin(url, "postgres") as connection:
        for name, value in settings.items():
            connection.execute(f"ALTER DATABASE {make_url(url).database} SET {name} = '{value}'")


@pytest.mark.parametrize(("usual", "own"), [("off", "on"), ("on", "on"), ("remote_write", "remote_write")])
def test_what_was_stored_is_on_the_disk_whatever_others_are_content_with(
    postgres: Callable[[], str], usual: str, own: str
) -> None:
    url = postgres()
    set_for_all(url, synchronous_commit=usual)
    store = Store(url)
    with store.database.reading() as connection:
        assert connection.exec_driver_sql("SHOW synchronous_commit").scalar_one() == own
    store.close()


def test_who_waits_for_their_turn_to_write_sees_what_was_written_before_however_strictly_others_are_kept_apart(
    postgres: Callable[[], str],
) -> None:
    url = postgres()
    set_for_all(url, default_transaction_isolation="repeatable read")
    store = Store(url)

    def log(subject: str) -> None:
        with store.database.writing() as connection:
            add_entry(connection, NOON, "li", "login", subject)

    with admin(url) as connection, ThreadPoolExecutor(1) as another:
        waits = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        with store.database.writing() as first:
            one_at_a_time(first)
            second = another.submit(log, "two")
            assert soon(lambda: connection.execute(waits).fetchone() == (1,))
            add_entry(first, NOON, "li", "login", "one")
        second.result()
    assert [entry.subject for entry in Audit(store.database).all_entries()] == ["one", "two"]
    store.close()


def test_rows_that_somebody_changed_by_hand_and_left_open_keep_nobody_waiting_for_ever(
    postgres: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    url = postgres()
    monkeypatch.setattr(database_module, "BUSY_S", 0.2)
    store = Store(url)
    store.add_alerts([make_envelope(1)], NOON)
    with admin(url) as by_hand:
        by_hand.execute("SET idle_in_transaction_session_timeout = '20s'")
        by_hand.execute("BEGIN")
        by_hand.execute("UPDATE incidents SET severity = 'warning'")
        with pytest.raises(OperationalError, match="lock timeout") as caught:
            store.add_alerts([make_envelope(2)], NOON)
        assert "somebody's open transaction" in said_of(caught.value) and "SQL" not in said_of(caught.value)
        store.add_alerts([make_envelope(3, incident="other")], NOON)
        by_hand.execute("ROLLBACK")
    assert store.add_alerts([make_envelope(2)], NOON) == ["box1-0001-2"]
    store.close()


def test_the_audit_log_holds_however_short_others_like_their_numbers(postgres: Callable[[], str]) -> None:
    url = postgres()
    set_for_all(url, extra_float_digits="-3")
    store = Store(url)
    with store.database.writing() as connection:
        add_entry(connection, NOON + 0.123456, "li", "login")
    assert verify(Audit(store.database).all_entries()).flaws == ()
    store.close()


@pytest.fixture
def encoded(postgres: Callable[[], str]) -> Iterator[Callable[[str], URL]]:
    """Makes an empty database of an encoding."""
    beside = postgres()
    made: list[str] = []

    def make(encoding: str) -> URL:
        made.append(f"{make_url(beside).database}_{encoding.lower()}")
        how = f"ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"
        with admin(beside) as connection:
            connection.execute(f"CREATE DATABASE {made[-1]} {how}")
        return make_url(beside).set(database=made[-1])

    yield make
    with admin(beside) as connection:
        for name in made:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1", "EUC_CN"])
def test_a_database_that_can_not_hold_every_name_is_refused_before_a_hub_begins_in_it(
    encoded: Callable[[str], URL], encoding: str
) -> None:
    with pytest.raises(StoreError, match=rf"encoding is {encoding}.*createdb -E UTF8 -T template0"):
        Database(encoded(encoding).render_as_string(hide_password=False))


def test_a_hub_that_began_in_such_a_database_goes_on_and_says_so(
    encoded: Callable[[str], URL], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    url = encoded("LATIN1").render_as_string(hide_password=False)
    with monkeypatch.context() as older:
        older.setattr(database_module, "check_encoding", lambda _: None)
        Database(url).close()
    assert "LATIN1" not in caplog.text
    Database(url).close()
    assert "encoding is LATIN1" in caplog.text and "createdb -E UTF8" in caplog.text


def test_no_backup_is_brought_back_to_such_a_database(
    postgres: Callable[[], str], encoded: Callable[[str], URL], tmp_path: Path
) -> None:
    (tmp_path / "data").mkdir()
    report = back_up(HubConfig(data_dir=tmp_path / "data", database=postgres()), tmp_path / "backups", NOON)
    url = encoded("SQL_ASCII").render_as_string(hide_password=False)
    with pytest.raises(StoreError, match="encoding is SQL_ASCII"):
        restore(report.file, HubConfig(data_dir=tmp_path / "again", database=url), now=NOON)
    assert tables(make_url(url)) == [] and not (tmp_path / "again").exists()


def test_where_nothing_can_be_written_the_commands_say_so_in_a_line(
    postgres: Callable[[], str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = postgres()
    with admin(url, "postgres") as connection:
        connection.execute(f"ALTER DATABASE {make_url(url).database} SET default_transaction_read_only = on")
    config = tmp_path / "hub.yaml"
    config.write_text(f"data_dir: data\ndatabase: {url}\nport: 0\n")
    for command in (["hub", str(config)], ["user", "add", "li", "--role", "viewer", str(config)]):
        assert main(command) == 1
        said = capsys.readouterr().err
        assert (
            "read-only transaction" in said and "standby" in said and "SQL" not in said and len(said.splitlines()) == 1
        )
