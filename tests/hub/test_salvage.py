"""A database that is corrupt is set aside whole, and the hub goes on with what can be read of it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from sqlalchemy.exc import OperationalError

from detector.config import HubConfig, RetentionConfig
from detector.errors import StoreError
from detector.hub.access.audit import Audit
from detector.hub.storage.changes import Cursors
from detector.hub.storage.database import SpoiltError
from detector.hub.storage.store import Store
from detector.hub.storage.wanted import Wanted
from detector.hub.texts import Phrases
from detector.hub.upkeep import salvage
from detector.hub.upkeep.backup import back_up
from detector.hub.upkeep.backup_folder import newest_database
from detector.hub.upkeep.retention import Retention
from detector.hub.upkeep.salvage import MARK, mark_damaged, open_store
from tests.hub.conftest import NOON, make_envelope


def lived(folder: Path, n: int = 300) -> HubConfig:
    """A hub that has seen something."""
    config = HubConfig(data_dir=folder / "hub", backups_dir=folder / "backups")
    config.data_dir.mkdir()
    file_of(config).write_bytes(database_of(n))
    return config


@cache
def database_of(n: int) -> bytes:
    """Of a hub that has seen so many incidents; lived once for all tests."""
    with TemporaryDirectory() as folder:
        config = HubConfig(data_dir=Path(folder))
        store, loss = open_store(config, NOON)
        assert loss is None
        picture = b"\xff\xd8\xff" * 300
        store.add_alerts([make_envelope(k, incident=f"i{k:04}", snapshot=picture) for k in range(1, n + 1)], NOON)
        with store.database.writing() as connection:
            connection.exec_driver_sql(
                "INSERT INTO users (name, password_hash, created_at, role) VALUES ('owner', 'x', 1, 'owner')"
            )
        for k in range(20):
            Audit(store.database).record(NOON + k, "owner", "verdict", f"i{k:04}")
        store.close()
        return file_of(config).read_bytes()


def file_of(config: HubConfig) -> Path:
    return config.data_dir / "hub.sqlite"


def tear(path: Path, first: int, last: int) -> None:
    """Overwrite pages with rubbish."""
    content = bytearray(path.read_bytes())
    content[4096 * first : 4096 * last] = b"\xa5" * (4096 * (last - first))
    path.write_bytes(content)


def page_of(config: HubConfig, table: str, share: float = 0.5) -> int:
    """A leaf page of a table, counted from 0: that in its middle, or so far from its beginning; 1 is the last."""
    with closing(sqlite3.connect(file_of(config))) as db:
        pages = [row[0] for row in db.execute(
            "SELECT pageno FROM dbstat WHERE name = ? AND pagetype = 'leaf' ORDER BY path", (table,))]  # fmt: skip
    return int(pages[min(int(len(pages) * share), len(pages) - 1)]) - 1


def incidents_in(store: Store) -> int:
    return len(store.feed(limit=1000))


def test_a_healthy_database_is_opened_as_it_is(tmp_path: Path) -> None:
    config = lived(tmp_path)
    store, loss = open_store(config, NOON)
    assert loss is None and incidents_in(store) == 300
    store.close()
    assert not list(config.data_dir.glob("*.corrupt-*"))


def test_rubbish_is_set_aside_and_work_begins_anew(tmp_path: Path) -> None:
    config = lived(tmp_path)
    file_of(config).write_bytes(b"this is no database" * 1000)
    store, loss = open_store(config, NOON)
    assert loss is not None and loss.facts["rows"] == 0
    assert store.add_alerts([make_envelope(1)], NOON) == ["box1-0001-1"]  # what edges hold comes again
    store.close()
    (aside,) = config.data_dir.glob("hub.sqlite.corrupt-*")
    assert aside.read_bytes().startswith(b"this is no database") and aside.name == loss.facts["file"]
    assert open_store(config, NOON)[1] is None


@pytest.mark.parametrize("table", ["alerts", "incidents", "snapshots", "audit"])
def test_what_can_be_read_around_a_torn_page_is_taken_over(tmp_path: Path, table: str) -> None:
    config = lived(tmp_path)
    page = page_of(config, table)
    tear(file_of(config), page, page + 1)
    broken = file_of(config).read_bytes()
    store, loss = open_store(config, NOON)
    assert loss is not None
    with store.database.reading() as connection:
        counts = {
            name: connection.exec_driver_sql(f"SELECT COUNT(*) FROM {name}").scalar_one()
            for name in ("alerts", "incidents", "snapshots", "audit", "users")
        }
        assert connection.exec_driver_sql("PRAGMA quick_check").scalar_one() == "ok"
    whole = {"alerts": 300, "incidents": 300, "snapshots": 300, "audit": 20, "users": 1}
    assert {name: n for name, n in counts.items() if name != table} == {
        name: n for name, n in whole.items() if name != table
    }
    if table == "incidents":  # alerts tell them anew
        assert counts == whole
    else:
        assert whole[table] * 0.5 <= counts[table] < whole[table] or (table == "audit" and counts[table] < 20)
    store.close()
    (aside,) = config.data_dir.glob("hub.sqlite.corrupt-*Z")
    assert aside.read_bytes() == broken


def test_where_changes_are_torn_every_incident_is_followed_all_the_same_by_who_begins_anew(tmp_path: Path) -> None:
    config = lived(tmp_path, 700)
    cursor = Cursors(config.data_dir).written(700)
    page = page_of(config, "changes")
    tear(file_of(config), page, page + 1)
    store, loss = open_store(config, NOON)
    assert loss is not None and Cursors(config.data_dir).number(cursor) is None
    each = Wanted(doubles=True)
    found = store.followed(None, 1000, within=each, wanted=each)
    assert {one.id for _, _, one in found} == {f"i{k:04}" for k in range(1, 701)}
    store.close()


@pytest.mark.parametrize("torn", [("alerts",), ("alerts", "sqlite_sequence")], ids="+".join)
def test_what_comes_after_the_newest_was_torn_takes_no_number_that_is_in_use(
    tmp_path: Path, torn: tuple[str, ...]
) -> None:
    config = lived(tmp_path)
    for page in [page_of(config, table, 1.0) for table in torn]:
        tear(file_of(config), page, page + 1)
    store, loss = open_store(config, NOON)
    assert loss is not None
    shown = store.snapshot("i0300")
    picture = b"\xff\xd8\xff" * 200
    assert store.add_alerts([make_envelope(301, incident="next", snapshot=picture)], NOON) == ["box1-0001-301"]
    assert store.snapshot("next") == picture and store.snapshot("i0300") == shown != picture
    assert store.last_change() > 300  # a page that knows the last one is told of this
    store.close()


def test_a_backup_fills_what_can_not_be_read(tmp_path: Path) -> None:
    config = lived(tmp_path)
    assert config.backups_dir
    back_up(config, config.backups_dir, NOON + 100)
    store, _ = open_store(config, NOON)
    store.add_alerts([make_envelope(400, incident="after the backup")], NOON)
    store.close()
    page = page_of(config, "incidents")
    tear(file_of(config), page, page + 1)
    store, loss = open_store(config, NOON + 200)
    assert loss is not None and loss.facts["backup_at"] == NOON + 100
    assert incidents_in(store) == 301
    assert store.incident("after the backup") is not None
    store.close()


@pytest.mark.parametrize("has_backup", [True, False])
def test_incidents_that_can_not_be_read_are_what_boxes_said_and_people_judged_by_then(
    tmp_path: Path, has_backup: bool
) -> None:
    config = lived(tmp_path)
    assert config.backups_dir
    store, _ = open_store(config, NOON)
    store.add_alerts([make_envelope(301, incident="grown", severity="warning")], NOON)
    store.verdicts.add("grown", "li", "false", "", NOON)
    if has_backup:
        back_up(config, config.backups_dir, NOON + 100)
    picture = b"\xff\xd8\xff" * 200
    told = [
        make_envelope(302, incident="grown", severity="critical", phase="end", snapshot=picture),
        make_envelope(303, incident="new", phase="end"),
    ]
    store.add_alerts(told, NOON + 200)
    store.verdicts.add("grown", "li", "true", "", NOON + 300)
    before = store.incidents(["grown", "new"])
    store.close()
    page = page_of(config, "incidents", 1.0)
    tear(file_of(config), page, page + 1)
    store, loss = open_store(config, NOON + 400)
    assert loss is not None
    assert store.incidents(["grown", "new"]) == before and store.snapshot("grown") == picture
    assert incidents_in(store) == 302
    store.close()


def test_of_what_can_be_read_whole_a_backup_brings_nothing_back(tmp_path: Path) -> None:
    config = lived(tmp_path)
    assert config.backups_dir
    store, _ = open_store(config, NOON)
    session = "INSERT INTO sessions (token_sha256, user, created_at, expires_at) VALUES ('stolen', 'owner', 1, 9e9)"
    with store.database.writing() as connection:
        connection.exec_driver_sql(session)
    store.verdicts.add("i0001", "owner", "false", "", NOON)
    back_up(config, config.backups_dir, NOON + 100)
    retention = Retention(store.database, tmp_path / "clips", RetentionConfig(warn_days=0), Audit(store.database))
    with store.database.writing() as connection:
        connection.exec_driver_sql("DELETE FROM sessions")
    assert retention._delete(["i0001"], NOON + 99 * 86400, "space") == 1
    store.close()
    page = page_of(config, "incidents")
    tear(file_of(config), page, page + 1)
    store, loss = open_store(config, NOON + 200)
    assert loss is not None and loss.facts["backup_at"] == NOON + 100 and incidents_in(store) == 300
    with store.database.reading() as connection:
        assert connection.exec_driver_sql("SELECT COUNT(*) FROM sessions").scalar_one() == 0
        pictures = "SELECT COUNT(DISTINCT incident), SUM(incident = 'i0001') FROM snapshots"
        assert tuple(connection.exec_driver_sql(pictures).one()) == (299, 0)
    store.close()


@pytest.mark.parametrize("also_torn", [None, "retention", "audit", "incidents"])
def test_what_was_deleted_since_the_backup_stays_deleted_where_its_own_table_is_torn(
    tmp_path: Path, also_torn: str | None
) -> None:
    config = lived(tmp_path)
    assert config.backups_dir
    store, _ = open_store(config, NOON)
    for one in ("i0001", "i0150"):
        store.verdicts.add(one, "owner", "false", "", NOON)
    back_up(config, config.backups_dir, NOON + 100)
    retention = Retention(store.database, tmp_path / "clips", RetentionConfig(warn_days=0), Audit(store.database))
    assert retention._delete(["i0001", "i0150"], NOON + 99 * 86400, "space") == 2
    store.close()
    for table in filter(None, ("snapshots", also_torn)):
        page = page_of(config, table)
        tear(file_of(config), page, page + 1)
    store, loss = open_store(config, NOON + 100 * 86400)
    assert loss is not None and loss.facts["backup_at"] == NOON + 100
    with store.database.reading() as connection:
        pictures = "SELECT COUNT(DISTINCT incident), SUM(incident IN ('i0001', 'i0150')) FROM snapshots"
        assert tuple(connection.exec_driver_sql(pictures).one()) == (298, 0)
    for one in ("i0001", "i0150"):
        found = store.incident(one)
        assert found is not None and found.snapshot is None
    store.close()


def test_a_torn_table_of_sessions_is_not_filled_since_some_were_ended(tmp_path: Path) -> None:
    config = lived(tmp_path)
    assert config.backups_dir
    store, _ = open_store(config, NOON)
    with store.database.writing() as connection:
        for n in range(300):
            connection.exec_driver_sql(
                "INSERT INTO sessions (token_sha256, user, created_at, expires_at, browser)"
                f" VALUES ('{n:04}', 'owner', 1, 9e9, '{'x' * 100}')"
            )
    back_up(config, config.backups_dir, NOON + 100)
    with store.database.writing() as connection:
        connection.exec_driver_sql("DELETE FROM sessions WHERE token_sha256 = '0007'")
    store.close()
    page = page_of(config, "sessions")
    tear(file_of(config), page, page + 1)
    store, loss = open_store(config, NOON + 200)
    assert loss is not None and loss.facts["backup_at"] == NOON + 100
    with store.database.reading() as connection:
        ended = "SELECT COUNT(*) FROM sessions WHERE token_sha256 = '0007'"
        assert connection.exec_driver_sql(ended).scalar_one() == 0
    store.close()


OPEN = {
    "users": "SELECT name FROM users WHERE disabled_at IS NULL AND (one_time_until IS NULL OR one_time_until > 1e9)",
    "tokens": "SELECT name FROM tokens WHERE revoked_at IS NULL",
    "edge_keys": "SELECT edge FROM edge_keys WHERE state = 'active'",
    "join_codes": "SELECT handle FROM join_codes WHERE used_at IS NULL",
}


def with_doors(config: HubConfig) -> None:
    """A hub with users, tokens, keys of boxes and codes to join with, then a backup, after which some are shut."""
    assert config.backups_dir
    store, _ = open_store(config, NOON)
    with store.database.writing() as connection:
        for name in ("left", "renewed", "stays"):
            connection.exec_driver_sql(
                f"INSERT INTO users (name, password_hash, created_at, role) VALUES ('{name}', 'x', 1, 'reviewer')"
            )
            connection.exec_driver_sql(
                "INSERT INTO tokens (name, token_sha256, user, role, created_at, expires_at)"
                f" VALUES ('of {name}', '{name}', 'owner', 'reviewer', 1, 9e9)"
            )
            connection.exec_driver_sql(
                "INSERT INTO edge_keys (site, edge, key, state, since, by)"
                f" VALUES ('main', '{name}', 'key of {name}', 'active', 1, 'owner')"
            )
        connection.exec_driver_sql(
            "INSERT INTO join_codes (handle, verifier, made_by, made_at, expires_at, guesses)"
            " VALUES ('old', 'v', 'owner', 1, 9e9, 0)"
        )
    back_up(config, config.backups_dir, NOON + 100)
    audit = Audit(store.database)
    audit.record(NOON + 110, "owner", "user_disabled", "renewed")
    audit.record(NOON + 120, "owner", "user_enabled", "renewed")
    audit.record(NOON + 130, "owner", "user_disabled", "left")
    audit.record(NOON + 140, "owner", "user_changed", "stays", role="viewer", scope=["dock"])
    audit.record(NOON + 150, "owner", "token_revoked", "of left", of="owner")
    audit.record(NOON + 160, "owner", "box_revoked", "main/left", keys=["…"])
    store.close()


def opened(store: Store, table: str) -> set[str]:
    with store.database.reading() as connection:
        return set(connection.exec_driver_sql(OPEN[table]).scalars())


@pytest.mark.parametrize(
    ("table", "open_"),
    [
        ("users", {"owner", "renewed", "stays"}),
        ("tokens", {"of renewed", "of stays"}),
        ("edge_keys", {"renewed", "stays"}),
        ("join_codes", set()),
    ],
)
def test_who_was_shut_out_since_the_backup_stays_out_where_that_table_is_torn(
    tmp_path: Path, table: str, open_: set[str]
) -> None:
    config = lived(tmp_path)
    with_doors(config)
    page = page_of(config, table)
    tear(file_of(config), page, page + 1)
    store, loss = open_store(config, NOON + 200)
    assert loss is not None and loss.facts["backup_at"] == NOON + 100
    assert opened(store, table) == open_
    if table == "users":
        with store.database.reading() as connection:
            changed = "SELECT role, scope FROM users WHERE name = 'stays'"
            assert tuple(connection.exec_driver_sql(changed).one()) == ("viewer", '["dock"]')
    store.close()


@pytest.mark.parametrize("action", ["password_changed", "password_reset", "second_step_set"])
def test_a_password_of_before_opens_no_more_where_the_table_of_users_is_torn(tmp_path: Path, action: str) -> None:
    config = lived(tmp_path)
    with_doors(config)
    store, _ = open_store(config, NOON)
    Audit(store.database).record(NOON + 170, "stays", action, "stays")
    store.close()
    page = page_of(config, "users")
    tear(file_of(config), page, page + 1)
    store, _ = open_store(config, NOON + 200)
    assert opened(store, "users") == {"owner", "renewed"}
    store.close()


def test_a_backup_of_a_hub_that_knew_no_boxes_brings_no_revoked_token_back(tmp_path: Path) -> None:
    config = lived(tmp_path)
    with_doors(config)
    assert config.backups_dir

    def forget_boxes(copy: Path) -> float | None:
        at = newest_database(config.backups_dir, copy)
        with closing(sqlite3.connect(copy)) as old:
            for table in ("edge_keys", "join_codes"):
                old.execute(f"DROP TABLE {table}")
            old.commit()
        return at

    page = page_of(config, "tokens")
    tear(file_of(config), page, page + 1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(salvage, "newest_database", lambda _folder, copy: forget_boxes(copy))
        store, _ = open_store(config, NOON + 200)
    assert opened(store, "tokens") == {"of renewed", "of stays"}
    store.close()


def test_no_token_of_a_backup_works_where_the_log_of_what_was_revoked_is_torn_too(tmp_path: Path) -> None:
    config = lived(tmp_path)
    with_doors(config)
    for table in ("tokens", "audit"):
        page = page_of(config, table)
        tear(file_of(config), page, page + 1)
    store, _ = open_store(config, NOON + 200)
    assert opened(store, "tokens") == set()
    store.close()


def test_a_backup_that_is_damaged_itself_is_passed_over(tmp_path: Path) -> None:
    config = lived(tmp_path, 5)
    assert config.backups_dir
    back_up(config, config.backups_dir, NOON + 100)
    for content in (config.backups_dir / "files").glob("??/*"):
        content.chmod(0o600)
        content.write_bytes(b"rubbish")
    file_of(config).write_bytes(b"rubbish" * 1000)
    store, loss = open_store(config, NOON)
    assert loss is not None and loss.facts["backup_at"] is None and incidents_in(store) == 0
    store.close()


def test_whoever_dies_in_between_the_next_start_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = lived(tmp_path, 50)
    tear(file_of(config), page_of(config, "alerts"), page_of(config, "alerts") + 1)
    rename = Path.rename

    def dies_at(name: str) -> None:
        def die(self: Path, target: Path) -> Path:
            if self.name == name:
                raise KeyboardInterrupt
            return rename(self, target)

        monkeypatch.setattr(Path, "rename", die)

    for name in ("hub.sqlite", "hub.sqlite.filling"):
        dies_at(name)
        with pytest.raises(KeyboardInterrupt):
            open_store(config, NOON)
    monkeypatch.setattr(Path, "rename", rename)
    store, _ = open_store(config, NOON)
    assert incidents_in(store) == 50
    store.close()
    assert len(list(config.data_dir.glob("hub.sqlite.corrupt-*Z"))) == 1


def test_damage_that_was_met_while_running_is_looked_for_at_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("detector.hub.upkeep.salvage.READ_THROUGH", 0)  # as of a large file
    config = lived(tmp_path)
    page = page_of(config, "incidents")
    tear(file_of(config), page, page + 1)
    store, loss = open_store(config, NOON)
    assert loss is None
    with pytest.raises(Exception, match="malformed"):
        incidents_in(store)
    assert "malformed" in store.database.damage
    mark_damaged(config.data_dir, store.database.damage)
    store.close()
    store, loss = open_store(config, NOON)
    assert loss is not None and not (config.data_dir / MARK).exists()
    store.close()


def spoil(config: HubConfig, incident: str, by: bytes) -> None:
    """Have other bytes stand in an incident's record, as where a sector of a page went: SQLite takes it for whole."""
    with closing(sqlite3.connect(file_of(config))) as db, db:
        spoilt = "substr(CAST(record AS BLOB), 1, 20) || ? || substr(CAST(record AS BLOB), 37)"
        db.execute(f"UPDATE incidents SET record = CAST({spoilt} AS TEXT) WHERE id = ?", (by, incident))


@pytest.mark.parametrize("by", [b"\xa5" * 16, b"\0" * 16], ids=["no text", "no JSON"])
def test_a_row_that_no_page_can_show_is_damage_and_left_behind_at_the_next_start(tmp_path: Path, by: bytes) -> None:
    config = lived(tmp_path)
    spoil(config, "i0299", by)
    store, loss = open_store(config, NOON)
    assert loss is None
    with pytest.raises((SpoiltError, OperationalError)):
        incidents_in(store)
    damage = store.database.damage
    assert damage and "cam3" not in damage  # it is shown, and logged
    mark_damaged(config.data_dir, damage)
    store.close()
    store, loss = open_store(config, NOON)
    assert loss is not None and not (config.data_dir / MARK).exists()
    assert incidents_in(store) == 300 and loss.facts["rows"] == 1222
    store.close()


@pytest.mark.parametrize(("language", "first"), [("en", "Restart the hub"), ("zh", "请重启监控中心")])
def test_of_what_is_damaged_no_backup_is_asked_for_which_would_be_refused(
    tmp_path: Path, language: str, first: str
) -> None:
    config = lived(tmp_path)
    assert config.backups_dir
    page = page_of(config, "incidents")
    tear(file_of(config), page, page + 1)
    with pytest.raises(StoreError, match="damaged, so no backup was made"):
        back_up(config, config.backups_dir, NOON)
    assert Phrases(language)("alarm_do_hub_store_damaged").startswith(first)


def test_a_database_elsewhere_or_out_of_reach_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "hub").mkdir()
    other = tmp_path / "other.sqlite"
    other.write_bytes(b"rubbish" * 1000)
    with pytest.raises(StoreError):
        open_store(HubConfig(data_dir=tmp_path / "hub", database=f"sqlite:///{other}"), NOON)
    assert other.read_bytes() == b"rubbish" * 1000
    file = tmp_path / "hub" / "hub.sqlite"
    file.mkdir()
    with pytest.raises(StoreError):
        open_store(HubConfig(data_dir=tmp_path / "hub"), NOON)
    assert file.is_dir()
