"""A database server that is away for a while: pages say so, and what was there before is there again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import httpx
import psycopg
import pytest
from sqlalchemy import make_url

from detector.config import Broker, HubConfig
from detector.hub.server import Hub
from tests.hub.conftest import CHEAP
from tests.hub.test_server import free_port


def let_in(url: str, *, yes: bool) -> None:
    """Have PostgreSQL take connections to a database, or end all that there are and take none."""
    of, name = make_url(url), make_url(url).database
    at = f"host={of.query['host']} user={of.username} dbname=postgres"
    with psycopg.connect(at, autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS {yes}")
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])


def test_while_the_database_is_away_pages_say_so_and_programs_are_told_to_come_again(
    postgres: Callable[[], str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    url = postgres()
    config = HubConfig(data_dir=tmp_path / "data", database=url, broker=Broker(port=free_port()))
    hub = Hub(config, port=0, hasher=CHEAP)
    hub.start()
    try:
        with httpx.Client(base_url=hub.url, headers={"Sec-Fetch-Site": "same-origin"}) as person:
            login = json.loads((tmp_path / "data/first-login.json").read_text())
            assert person.post("/login", data=login).status_code == 303
            let_in(url, yes=False)
            caplog.clear()
            page, alive, answer = person.get("/account"), person.get("/healthz"), person.get("/api/cameras")
            assert {one.status_code for one in (page, alive, answer)} == {503}
            assert "数据库暂时无法使用" in page.text and "database can't be used just now" in page.text
            assert "database" in answer.json()["reason"] and answer.headers["Retry-After"]
            assert person.get("/readyz").json()["database"] is False
            assert "Traceback" not in caplog.text and "not currently accepting connections" in caplog.text
            let_in(url, yes=True)
            assert person.get("/account").status_code == 200 and person.get("/healthz").json() == {"ok": True}
    finally:
        hub.stop()


def test_while_nothing_can_be_written_pages_say_so_without_a_traceback(
    postgres: Callable[[], str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    url = postgres()
    hub = Hub(
        HubConfig(data_dir=tmp_path / "data", database=url, broker=Broker(port=free_port())), port=0, hasher=CHEAP
    )
    hub.start()
    try:
        login = json.loads((tmp_path / "data/first-login.json").read_text())
        with httpx.Client(base_url=hub.url, headers={"Sec-Fetch-Site": "same-origin"}) as person:
            of = make_url(url)
            with psycopg.connect(f"host={of.query['host']} user=hub dbname=postgres", autocommit=True) as connection:
                # As after a failover to a server that is a standby still.
                connection.execute(f"ALTER DATABASE {of.database} SET default_transaction_read_only = on")
            let_in(url, yes=True)
            caplog.clear()
            answer = person.post("/login", data=login)
            assert answer.status_code == 503 and "数据库暂时无法使用" in answer.text
            assert "read-only transaction" in caplog.text and "Traceback" not in caplog.text
    finally:
        hub.stop()
