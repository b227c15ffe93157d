"""A hub that runs is copied whole, and comes back as it was; damage is found before anything is touched."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
import pytest
from sqlalchemy import (
    JSON,
    Boolean,
    Float,
    Integer,
    LargeBinary,
    NullPool,
    Text,
    create_engine,
    delete,
    inspect,
    make_url,
    select,
    text,
)
from sqlalchemy.exc import IntegrityError

from detector.cli import main
from detector.config import Broker, HubConfig
from detector.errors import MissingPart, NotThere, StoreError
from detector.hub.access.anchors import Anchors
from detector.hub.access.audit import Audit
from detector.hub.server import Hub
from detector.hub.storage.audit_chain import add_entry
from detector.hub.storage.budget import budget_of
from detector.hub.storage.changes import Cursors
from detector.hub.storage.database import Database
from detector.hub.storage.lock import DataLock
from detector.hub.storage.schema import changes, metadata
from detector.hub.storage.store import Store
from detector.hub.storage.stored import Clip
from detector.hub.upkeep import backup as backup_module
from detector.hub.upkeep import backup_folder
from detector.hub.upkeep.backup import back_up
from detector.hub.upkeep.console import check_audit
from detector.hub.upkeep.dumps import program
from detector.hub.upkeep.restore import FORMER, restore
from detector.machine.whole_files import sha256_of
from tests.builders import SteppedClock
from tests.hub.conftest import CHEAP, NOON, make_envelope, make_older, sqlite_url
from tests.hub.test_server import REPOSITORY, free_port
from tests.parts_mosquitto import soon


class Kept:
    """A hub's data: a store, some clips, a key."""

    def __init__(self, folder: Path, database: str | None) -> None:
        self.config = HubConfig(data_dir=folder, database=database)
        folder.mkdir(exist_ok=True)
        self.store = self.open()
        self.seq = 0
        (folder / "hub.key").write_text("secret")
        (folder / "hub.key").chmod(0o600)

    def open(self) -> Store:
        return Store(self.config.database or sqlite_url(self.config.data_dir / "hub.sqlite"), budget_of(self.config))

    def add(self, incident: str, content: bytes | None = None) -> None:
        self.seq += 1
        self.store.add_alerts([make_envelope(self.seq, incident=incident)], NOON)
        if content is None:
            return
        sha256 = hashlib.sha256(content).hexdigest()
        file = self.config.data_dir / "clips" / sha256[:2] / f"{sha256}.mp4"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        place = f"{sha256[:2]}/{sha256}.mp4"
        self.store.add_clip(Clip(incident, 0, "shanghai", "box1", "cam3", NOON, 4.0, len(content), sha256, place, NOON))

    @property
    def clips(self) -> list[Path]:
        return sorted((self.config.data_dir / "clips").rglob("*.mp4"))


def backup_list(folder: Path) -> Path:
    """Of a backup of PostgreSQL, without what it lists."""
    listed = {"path": "database", "sha256": 64 * "0", "size": 1}
    fields = {
        "schema": 1,
        "made_at": NOON,
        "labelwatch": "0.1.0",
        "kind": "postgresql",
        "database": listed,
        "files": [],
    }
    file = folder / "2026-11-01T040000Z.json"
    file.write_text(json.dumps(fields))
    return file


@pytest.fixture(params=["sqlite", "postgresql"])
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Kept]:
    url = request.getfixturevalue("postgres")() if request.param == "postgresql" else None
    kept = Kept(tmp_path / "hub-data", url)
    kept.add("first", b"one" * 1000)
    kept.add("second", b"two" * 2000)
    yield kept
    kept.store.close()


@pytest.fixture
def in_file(tmp_path: Path) -> Iterator[Kept]:
    kept = Kept(tmp_path / "hub-data", None)
    kept.add("first", b"one" * 1000)
    yield kept
    kept.store.close()


def test_what_was_backed_up_comes_back(kept: Kept, tmp_path: Path) -> None:
    report = back_up(kept.config, tmp_path / "backups", NOON)
    assert report.is_whole and report.files == 4 and report.file.name == "2026-11-01T040000Z.json"
    private = [path for path in (tmp_path / "backups").rglob("*") if path.is_file()]
    assert {stat.S_IMODE(path.stat().st_mode) for path in private} == {0o600}, "there are keys in them"
    kept.add("third", b"later")
    kept.store.close()
    aside = restore(report.file, kept.config, force=True, now=NOON + 60)
    assert aside and aside.name == "hub-data.before-2026-11-01T040100Z" and (aside / "hub.key").exists()
    kept.store = kept.open()
    assert {one.id for one in kept.store.feed()} == {"first", "second"}
    assert {path.read_bytes() for path in kept.clips} == {b"one" * 1000, b"two" * 2000}
    key = kept.config.data_dir / "hub.key"
    assert key.read_text() == "secret" and key.stat().st_mode & 0o777 == 0o600
    closed = (kept.config.data_dir, tmp_path / "backups" / "files")
    assert [stat.S_IMODE(folder.stat().st_mode) for folder in closed] == [0o700] * 2


@pytest.mark.skipif(os.geteuid() != 0, reason="files are given away by root alone")
@pytest.mark.parametrize("is_gone", [False, True])
def test_what_root_brings_back_is_whose_the_folder_was_or_the_one_above(
    in_file: Kept, tmp_path: Path, is_gone: bool
) -> None:
    report = back_up(in_file.config, tmp_path / "backups", NOON)
    in_file.store.close()
    data = tmp_path / "service" / "hub"
    data.parent.mkdir()
    if is_gone:
        os.chown(data.parent, 65534, 65533)
    else:
        in_file.config.data_dir.rename(data)
        os.chown(data, 65534, 65533)
    restore(report.file, in_file.config.model_copy(update={"data_dir": data}), force=True, now=NOON)
    owners = {(path.stat().st_uid, path.stat().st_gid) for path in (data, *data.rglob("*"))}
    assert owners == {(65534, 65533)} and (data / "hub.sqlite").exists() and list(data.rglob("*.mp4"))


def test_that_a_backup_was_brought_back_stands_in_the_audit_log_once(in_file: Kept, tmp_path: Path) -> None:
    report = back_up(in_file.config, tmp_path / "backups", NOON)
    in_file.store.close()
    restore(report.file, in_file.config, force=True, now=NOON + 60)
    assert back_up(in_file.config, tmp_path / "backups", NOON + 61).files == report.files
    config = in_file.config.model_copy(update={"broker": Broker(port=free_port())})
    (config.data_dir / "hub.key").unlink()  # none that a hub can sign with
    for _ in range(2):
        hub = Hub(config, port=0, hasher=CHEAP)
        (entry,) = [one for one in Audit(hub.store.database).all_entries() if one.action == "restored"]
        hub.stop()
    assert (entry.subject, entry.at, entry.details) == (report.file.name, NOON + 60, {"made_at": NOON})
    assert entry.user.startswith("console:")
    in_file.store = in_file.open()


def test_who_followed_a_hub_that_comes_back_from_a_backup_begins_anew(in_file: Kept, tmp_path: Path) -> None:
    data = in_file.config.data_dir
    cursor = Cursors(data).written(in_file.store.last_change())
    report = back_up(in_file.config, tmp_path / "backups", NOON + 1)
    in_file.store.close()
    restore(report.file, in_file.config, force=True, now=NOON + 60)
    assert Cursors(data).number(cursor) is None, "the same numbers are other changes from now on"
    in_file.store = in_file.open()


def test_the_next_backup_copies_only_what_is_new(kept: Kept, tmp_path: Path) -> None:
    back_up(kept.config, tmp_path / "backups", NOON)
    kept.add("third", b"three" * 300)
    report = back_up(kept.config, tmp_path / "backups", NOON + 3600)
    assert report.copied == 2, "the clip and the database"
    assert not list((tmp_path / "backups/files").glob(".*"))


def test_what_a_backup_has_already_is_not_written_once_more_by_the_next(
    in_file: Kept, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pack = in_file.config.data_dir / "packs" / "1.zip"
    pack.parent.mkdir()
    pack.write_bytes(b"PK" * 2**20)
    back_up(in_file.config, tmp_path / "backups", NOON)
    written: list[str] = []
    opener = backup_folder._for_its_owner

    def seen(path: str, flags: int) -> int:
        written.append(path)
        return opener(path, flags)

    monkeypatch.setattr(backup_folder, "_for_its_owner", seen)
    report = back_up(in_file.config, tmp_path / "backups", NOON + 60)
    assert not written and report.files == 4
    pack.write_bytes(b"PK" * 2**10)
    back_up(in_file.config, tmp_path / "backups", NOON + 120)
    assert len(written) == 1


def test_a_recording_that_is_new_is_read_once(in_file: Kept, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read_before: list[Path] = []

    def seen(path: Path) -> str:
        read_before.append(path)
        return sha256_of(path)

    monkeypatch.setattr(backup_module, "sha256_of", seen)
    assert back_up(in_file.config, tmp_path / "backups", NOON).is_whole
    assert [path.name for path in read_before] == ["hub.key"]


def test_a_content_that_was_cut_short_in_a_backup_is_copied_anew_by_the_next(in_file: Kept, tmp_path: Path) -> None:
    back_up(in_file.config, tmp_path / "backups", NOON)
    sha256 = in_file.clips[0].stem
    content = tmp_path / "backups/files" / sha256[:2] / sha256
    content.write_bytes(content.read_bytes()[:10])
    back_up(in_file.config, tmp_path / "backups", NOON + 1)
    assert content.read_bytes() == b"one" * 1000


def test_backups_are_kept_as_many_as_asked_and_all_that_are_kept_can_be_brought_back(
    in_file: Kept, tmp_path: Path
) -> None:
    backups = tmp_path / "backups"
    for n in range(4):
        in_file.add(f"more-{n}", bytes([n]) * 100)
        back_up(in_file.config, backups, NOON + n, keep=2)
    lists = sorted(backups.glob("*.json"))
    assert len(lists) == 2
    listed = {one["sha256"] for file in lists for one in [*json.loads(file.read_text())["files"]]}
    listed |= {json.loads(file.read_text())["database"]["sha256"] for file in lists}
    assert {path.name for path in (backups / "files").glob("??/*")} == listed
    (tmp_path / "again-0").mkdir()  # an empty folder is in nobody's way
    for n, file in enumerate(lists):
        restore(file, HubConfig(data_dir=tmp_path / f"again-{n}"), now=NOON)


def test_a_backup_just_made_is_kept_though_a_clock_once_ran_ahead(in_file: Any, tmp_path: Path) -> None:
    backups = tmp_path / "backups"
    made = [back_up(in_file.config, backups, at, keep=2).file for at in (NOON + 400 * 86400, NOON + 401 * 86400, NOON)]
    assert sorted(backups.glob("*.json")) == [made[2], made[1]]
    restore(made[2], HubConfig(data_dir=tmp_path / "again"), now=NOON)


class Small:
    """A folder of backups on a disk with room for little more than is there."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.room = 2**40
        put = backup_folder.Pool._put

        def put_if_there_is_room(pool: Any, path: Path, sha256: str, size: int) -> None:
            if self.held + size > self.room:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
            put(pool, path, sha256, size)

        monkeypatch.setattr(backup_folder.Pool, "_put", put_if_there_is_room)

    @property
    def held(self) -> int:
        return sum(file.stat().st_size for file in self.folder.glob("files/??/*"))

    @property
    def lists(self) -> list[Path]:
        return sorted(self.folder.glob("*.json"))


@pytest.mark.parametrize("by_hand", [False, True])
def test_a_full_disk_takes_a_backup_once_older_ones_are_let_go(
    in_file: Kept, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by_hand: bool
) -> None:
    small = Small(tmp_path / "backups", monkeypatch)
    for n in range(2):
        in_file.add(f"more-{n}")
        back_up(in_file.config, small.folder, NOON + n)
    in_file.add("last")
    small.room = small.held + 200_000  # less than a database takes
    if by_hand:
        small.lists[0].unlink()
    report = back_up(in_file.config, small.folder, NOON + 60, keep=None if by_hand else 2)
    assert report.is_whole and len(small.lists) == 2
    in_file.store.close()
    for n, file in enumerate(small.lists):
        restore(file, in_file.config, force=True, now=NOON + 100 + n)
    in_file.store = in_file.open()
    assert in_file.store.incident("last")


@pytest.mark.parametrize("what", ["database", "films"])
def test_a_disk_that_is_full_all_the_same_costs_no_other_backup_and_says_what_to_do(
    in_file: Kept, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    small = Small(tmp_path / "backups", monkeypatch)
    back_up(in_file.config, small.folder, NOON)
    in_file.add("more")
    for n in range(9):
        in_file.add(f"film-{n}", bytes([n]) * 100_000)
    held = small.held
    # Less than a database takes, or enough for that and not for all that is filmed.
    small.room = held + {"database": 200_000, "films": 1_200_000}[what]
    for n in range(3):
        with pytest.raises(StoreError, match=r"No space left on device \(keep fewer, by --keep, or delete lists"):
            back_up(in_file.config, small.folder, NOON + 60 + n, keep=1)
        assert small.held == held
    assert len(small.lists) == 1
    in_file.store.close()
    restore(small.lists[0], in_file.config, force=True, now=NOON + 100)
    in_file.store = in_file.open()


def test_the_copy_of_the_database_needs_its_room_once(
    kept: Kept, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copies: list[int] = []
    clips = backup_module._clips

    def seen(config: HubConfig, dump: Path) -> Any:
        copies.append(dump.stat().st_ino)
        return clips(config, dump)

    monkeypatch.setattr(backup_module, "_clips", seen)
    report = back_up(kept.config, tmp_path / "backups", NOON)
    (place,) = (tmp_path / "backups").glob(f"files/??/{json.loads(report.file.read_bytes())['database']['sha256']}")
    assert [place.stat().st_ino] == copies and place.stat().st_mode & 0o777 == 0o600


def test_of_two_backups_at_a_time_one_is_refused_and_the_other_comes_back(in_file: Kept, tmp_path: Path) -> None:
    backups = tmp_path / "backups"
    said: list[str] = []

    def begin_another(done: int, of: int) -> None:
        if done == of and not said:  # all is copied, and the list not written
            in_file.add("more")
            with pytest.raises(StoreError) as refused:
                back_up(in_file.config, backups, NOON + 60, keep=1)
            said.append(str(refused.value))

    report = back_up(in_file.config, backups, NOON, progress=begin_another)
    assert said == [f"another backup is being made in {backups}: let that one end"]
    restore(report.file, HubConfig(data_dir=tmp_path / "again"), now=NOON)
    assert back_up(in_file.config, backups, NOON + 60, keep=1).is_whole


def test_a_running_hub_is_backed_up_while_alerts_come_in(tmp_path: Path) -> None:
    config = HubConfig(data_dir=tmp_path / "data", broker=Broker(port=free_port()))
    hub = Hub(config, port=0, hasher=CHEAP)
    hub.start()
    stop, stored = threading.Event(), []

    def come_in() -> None:
        seq = 0
        while not stop.is_set():
            seq += 1
            hub.store.add_alerts([make_envelope(seq, incident=f"inc-{seq}")], NOON)
            stored.append(f"inc-{seq}")

    writer = threading.Thread(target=come_in)
    writer.start()
    try:
        while len(stored) < 20:
            pass
        before = len(stored)
        report = back_up(config, tmp_path / "backups", NOON)
        after = len(stored)
    finally:
        stop.set()
        writer.join()
        hub.stop()
    restore(report.file, HubConfig(data_dir=tmp_path / "again"), now=NOON)
    again = Store(f"sqlite:///{tmp_path / 'again/hub.sqlite'}")
    held = {one.id for one in again.feed(limit=100_000)}
    again.close()
    assert set(stored[:before]) <= held <= set(stored[: after + 1])


def test_a_head_of_the_audit_log_that_is_kept_while_files_are_copied_accuses_nobody_later(
    in_file: Kept, tmp_path: Path
) -> None:
    database = in_file.store.database
    anchors = Anchors(Audit(database), in_file.config.data_dir, SteppedClock(NOON))

    def log(subject: str) -> None:
        with database.writing() as connection:
            add_entry(connection, NOON, "li", "login", subject)
        anchors.anchor()

    log("before")
    report = back_up(in_file.config, tmp_path / "backups", NOON, progress=lambda done, _of: log(f"meanwhile {done}"))
    in_file.store.close()
    restore(report.file, in_file.config, force=True, now=NOON + 60)
    checked, words, heads = check_audit(in_file.config)
    assert (words, [head.number for head in heads], checked.head.number) == ([], [1], 1)
    in_file.store = in_file.open()


def test_a_running_hub_is_not_overwritten(tmp_path: Path) -> None:
    config = HubConfig(data_dir=tmp_path / "data", broker=Broker(port=free_port()))
    hub = Hub(config, port=0, hasher=CHEAP)
    try:
        report = back_up(config, tmp_path / "backups", NOON)
        with pytest.raises(StoreError, match="another hub"):
            restore(report.file, config, force=True, now=NOON)
    finally:
        hub.stop()


@pytest.mark.parametrize("there", [False, True])
def test_no_hub_starts_where_a_backup_is_coming_back(in_file: Kept, tmp_path: Path, there: bool) -> None:
    report, target = back_up(in_file.config, tmp_path / "backups", NOON), tmp_path / "again"
    if there:
        target.mkdir()
    refused = []

    def start_hub(_done: int, _of: int) -> None:
        with pytest.raises(StoreError, match="another hub"):
            DataLock(target)
        refused.append(True)

    assert restore(report.file, HubConfig(data_dir=target), now=NOON, progress=start_hub) is None
    assert refused and (target / "hub.sqlite").exists()
    DataLock(target).release()


Damage = Callable[[Path, Path], object]


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


DAMAGES: dict[str, tuple[Damage, str]] = {
    "a byte of a clip flipped": (lambda _, clip: _flip(clip), "damaged"),
    "a clip gone": (lambda _, clip: clip.unlink(), "isn't whole"),
    "the list cut short": (lambda file, _: file.write_bytes(file.read_bytes()[:-30]), "can't be read"),
    "the list empty": (lambda file, _: file.write_bytes(b""), "can't be read"),
    "the list something else": (lambda file, _: file.write_text('{"a": 1}'), "can't be read"),
    "a path leading out": (
        lambda file, _: file.write_text(file.read_text().replace("hub.key", "../../hub.key")),
        "outside the data folder",
    ),
    "the database's path leading out": (
        lambda file, _: file.write_text(file.read_text().replace('"path": "database"', '"path": "../database"')),
        "outside the data folder",
    ),
    "no list": (lambda file, _: file.unlink(), "no such backup"),
    "another kind of database": (
        lambda file, _: file.write_text(file.read_text().replace('"sqlite"', '"postgresql"')),
        "of a hub with postgresql, the configuration names sqlite",
    ),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_damage_is_found_before_anything_is_touched(in_file: Kept, tmp_path: Path, name: str) -> None:
    report = back_up(in_file.config, tmp_path / "backups", NOON)
    damage, reason = DAMAGES[name]
    sha256 = in_file.clips[0].stem
    damage(report.file, tmp_path / "backups/files" / sha256[:2] / sha256)
    with pytest.raises((StoreError, NotThere), match=reason):
        restore(report.file, in_file.config, force=True, now=NOON)
    assert in_file.store.incident("first") and len(in_file.clips) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["backups", "hub-data"]


def _have_it_unreadable(path: Path) -> None:
    """As sectors are that went: what reads them gets an error."""
    path.unlink()
    path.symlink_to("/proc/self/mem")


@pytest.mark.parametrize("damage", [_flip, Path.unlink, _have_it_unreadable], ids=["flipped", "gone", "unreadable"])
def test_a_recording_that_the_backups_disk_has_spoilt_is_left_out_where_that_is_asked_for(
    in_file: Kept, tmp_path: Path, damage: Callable[[Path], object], capsys: pytest.CaptureFixture[str]
) -> None:
    in_file.add("second", b"two" * 2000)
    report = back_up(in_file.config, tmp_path / "backups", NOON)
    spoilt, other = in_file.clips
    damage(tmp_path / "backups/files" / spoilt.stem[:2] / spoilt.stem)
    config = HubConfig(data_dir=tmp_path / "again")
    with pytest.raises(StoreError, match="--without-damaged"):
        restore(report.file, config, now=NOON)
    (tmp_path / "hub.yaml").write_text("data_dir: again\n")
    asked = ["restore", str(report.file), "--config", str(tmp_path / "hub.yaml"), "--without-damaged"]
    assert main(asked) == 1
    assert capsys.readouterr().err.splitlines()[-1] == f"left out: clips/{spoilt.parent.name}/{spoilt.name}"
    assert [path.name for path in (tmp_path / "again").rglob("*.mp4")] == [other.name]
    assert came_back(HubConfig(database=sqlite_url(tmp_path / "again/hub.sqlite"))) == ["second", "first"]


@pytest.mark.parametrize("content", ["hub.key", "database"])
def test_without_its_keys_and_its_database_no_hub_comes_back(in_file: Kept, tmp_path: Path, content: str) -> None:
    report = back_up(in_file.config, tmp_path / "backups", NOON)
    told = json.loads(report.file.read_bytes())
    sha256 = next(one["sha256"] for one in [*told["files"], told["database"]] if one["path"] == content)
    _flip(tmp_path / "backups/files" / sha256[:2] / sha256)
    with pytest.raises(StoreError, match=f"damaged: the content of {content} has changed$"):
        restore(report.file, HubConfig(data_dir=tmp_path / "again"), left_out=[], now=NOON)
    assert not (tmp_path / "again").exists()


def test_data_that_is_there_is_not_overwritten_unasked(in_file: Kept, tmp_path: Path) -> None:
    report = back_up(in_file.config, tmp_path / "backups", NOON)
    with pytest.raises(StoreError, match="--force"):
        restore(report.file, in_file.config, now=NOON)


@pytest.fixture
def in_postgres(postgres: Callable[[], str], tmp_path: Path) -> Iterator[Kept]:
    kept = Kept(tmp_path / "hub-data", postgres())
    kept.add("first", b"one" * 1000)
    yield kept
    kept.store.close()


def test_a_database_that_is_there_is_not_overwritten_unasked_when_the_folder_is_gone(
    in_postgres: Kept, tmp_path: Path
) -> None:
    report = back_up(in_postgres.config, tmp_path / "backups", NOON)
    in_postgres.add("later")
    in_postgres.config.data_dir.rename(tmp_path / "lost")
    with pytest.raises(StoreError, match="database isn't empty: --force replaces"):
        restore(report.file, in_postgres.config, now=NOON)
    assert in_postgres.store.incident("later") and not in_postgres.config.data_dir.exists()


@pytest.mark.parametrize("shape", ["0018", "0020"])
def test_a_backup_of_before_an_update_comes_back_over_what_the_update_made(
    in_postgres: Kept, tmp_path: Path, shape: str
) -> None:
    make_older(in_postgres.store.database, shape)
    report = back_up(in_postgres.config, tmp_path / "backups", NOON)
    in_postgres.store.close()
    in_postgres.store = in_postgres.open()  # as the update does it
    with in_postgres.store.database.writing() as connection:  # and as a later one may, which this program doesn't know
        connection.execute(text('CREATE TABLE "New" (incident TEXT COLLATE "C" REFERENCES incidents (id))'))
    in_postgres.store.close()
    restore(report.file, in_postgres.config, force=True, now=NOON + 60)
    in_postgres.store = in_postgres.open()
    assert [one.id for one in in_postgres.store.feed()] == ["first"]
    tables = set(inspect(in_postgres.store.database.engine).get_table_names())
    assert tables == {*metadata.tables, "alembic_version"}


@contextmanager
def beside(url: str | None, table: str) -> Iterator[Callable[[str], list[Any]]]:
    """A table of somebody else's, where the hub's role is a superuser, as in a container of PostgreSQL's own image."""
    engine = create_engine(url or "", poolclass=NullPool)
    owner = f"owner_{engine.url.database}"

    def asked(statement: str) -> list[Any]:
        with engine.begin() as connection:
            found = connection.execute(text(statement))
            return [tuple(row) for row in found] if found.returns_rows else []

    asked(f"CREATE ROLE {owner}")
    asked(f"CREATE TABLE {table} (version_num TEXT)")  # Alembic notes in it what it made of others' tables, too
    asked(f"ALTER TABLE {table} OWNER TO {owner}")
    asked(f"INSERT INTO {table} VALUES ('before')")
    try:
        yield asked
    finally:
        asked(f"DROP OWNED BY {owner} CASCADE")
        asked(f"DROP ROLE {owner}")


def test_what_belongs_to_others_stays_as_it_is_where_the_hubs_role_may_do_everything(
    in_postgres: Kept, tmp_path: Path
) -> None:
    with beside(in_postgres.config.database, "lists") as asked:
        report = back_up(in_postgres.config, tmp_path / "backups", NOON)
        asked("INSERT INTO lists VALUES ('later')")
        in_postgres.add("later")
        in_postgres.store.close()
        restore(report.file, in_postgres.config, force=True, now=NOON + 60)
        assert came_back(in_postgres.config) == ["first"]
        assert asked("SELECT * FROM lists") == [("before",), ("later",)]
    in_postgres.store = in_postgres.open()


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
@pytest.mark.parametrize("table", ["lists", "users", "alembic_version"])
def test_nothing_of_another_programs_database_is_taken_for_the_hubs(
    postgres: Callable[[], str], tmp_path: Path, kind: str, table: str
) -> None:
    kept = Kept(tmp_path / "hub-data", postgres() if kind == "postgresql" else None)
    kept.add("first")
    report = back_up(kept.config, tmp_path / "backups", NOON)
    kept.store.close()
    database = postgres()
    with create_engine(database, poolclass=NullPool).begin() as connection:
        names = ", ".join([*metadata.tables, "alembic_version"])
        connection.execute(text(f"DROP TABLE {names}"))
    config = HubConfig(data_dir=kept.config.data_dir, database=database)
    with beside(database, table) as asked:
        is_in_the_way = table != "lists"
        with pytest.raises(StoreError, match=table) if is_in_the_way else nullcontext():
            restore(report.file, config, force=True, now=NOON + 60)
        assert asked(f"SELECT * FROM {table}") == [("before",)]
        assert is_in_the_way or came_back(config) == ["first"]


def test_what_postgresql_held_is_kept_beside_the_former_folder(in_postgres: Kept, tmp_path: Path) -> None:
    report = back_up(in_postgres.config, tmp_path / "backups", NOON)
    in_postgres.add("later")
    in_postgres.store.close()
    aside = restore(report.file, in_postgres.config, force=True, now=NOON + 60)
    assert aside and stat.S_IMODE((aside / FORMER).stat().st_mode) == 0o600
    in_postgres.store = in_postgres.open()
    assert in_postgres.store.incident("later") is None
    in_postgres.store.close()
    url = make_url(in_postgres.config.database_url() or "").set(drivername="postgresql")
    again = [program("pg_restore"), "--clean", f"--dbname={url.render_as_string(hide_password=False)}"]
    subprocess.run([*again, str(aside / FORMER)], check=True, capture_output=True)
    in_postgres.store = in_postgres.open()
    assert in_postgres.store.incident("later")
    # Without a data folder, too, it goes beside where that was.
    in_postgres.store.close()
    shutil.rmtree(in_postgres.config.data_dir)
    again = restore(report.file, in_postgres.config, force=True, now=NOON + 120)
    assert again and [path.name for path in again.iterdir()] == [FORMER]
    in_postgres.store = in_postgres.open()


def test_a_backup_that_postgresql_cannot_take_leaves_its_database_as_it_was(in_postgres: Kept, tmp_path: Path) -> None:
    report = back_up(in_postgres.config, tmp_path / "backups", NOON)
    in_postgres.add("later")
    with in_postgres.store.database.writing() as connection:  # what another program has beside ours stands in the way
        connection.execute(text("CREATE SCHEMA theirs"))
        connection.execute(text("CREATE TABLE theirs.lists (number BIGINT DEFAULT nextval('changes_number_seq'))"))
        connection.execute(text("ALTER SEQUENCE changes_number_seq OWNED BY NONE"))
    in_postgres.store.close()
    with pytest.raises(StoreError, match=r'psql failed: .*"changes_number_seq" already exists'):
        restore(report.file, in_postgres.config, force=True, now=NOON)
    in_postgres.store = in_postgres.open()
    assert in_postgres.store.incident("later") and in_postgres.clips


class Owned(NamedTuple):
    """A hub whose role owns its database and nothing else; the superuser beside it; a database to bring it back to."""

    hub: Kept
    dba: psycopg.Connection[Any]
    again: HubConfig


@pytest.fixture
def owned(postgres: Callable[[], str], tmp_path: Path) -> Iterator[Owned]:
    """As `createuser labelwatch && createdb -O labelwatch labelwatch` gives it."""
    urls = [make_url(postgres()), make_url(postgres())]
    at = f"host={urls[0].query['host']} user=hub dbname="
    role, analyst = (f"{name}_{urls[0].database}" for name in ("labelwatch", "analyst"))
    for url in urls:
        with psycopg.connect(f"{at}{url.database}", autocommit=True) as connection:
            if url == urls[0]:
                connection.execute(f"CREATE ROLE {role} LOGIN")
                connection.execute(f"CREATE ROLE {analyst} LOGIN")
            connection.execute(f"ALTER DATABASE {url.database} OWNER TO {role}")
            connection.execute("DROP SCHEMA public CASCADE")
            connection.execute(f"CREATE SCHEMA public AUTHORIZATION {role}")
    own = [url.set(username=role).render_as_string(hide_password=False) for url in urls]
    hub = Kept(tmp_path / "hub-data", own[0])
    hub.add("first", b"one" * 1000)
    dba = psycopg.connect(f"{at}{urls[0].database}", autocommit=True)
    yield Owned(hub, dba, HubConfig(data_dir=tmp_path / "again", database=own[1]))
    hub.store.close()
    dba.close()
    with psycopg.connect(f"{at}postgres", autocommit=True) as connection:
        for url in urls:
            connection.execute(f"ALTER DATABASE {url.database} OWNER TO hub")
            with psycopg.connect(f"{at}{url.database}", autocommit=True) as one:
                one.execute(f"DROP OWNED BY {role}, {analyst} CASCADE")
        connection.execute(f"DROP ROLE {role}, {analyst}")


def came_back(config: HubConfig) -> list[str]:
    """Incidents that a hub of this configuration shows."""
    store = Store(config.database_url() or "")
    try:
        return [one.id for one in store.feed()]
    finally:
        store.close()


@pytest.mark.parametrize("elsewhere", [False, True])
def test_what_a_database_server_holds_beside_the_hubs_own_keeps_nobody_from_bringing_it_back(
    owned: Owned, tmp_path: Path, elsewhere: bool
) -> None:
    name = owned.dba.info.dbname
    for statement in (
        "CREATE EXTENSION pg_stat_statements",
        "CREATE PUBLICATION everything FOR ALL TABLES",
        f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO analyst_{name}",
        f"CREATE SCHEMA theirs AUTHORIZATION analyst_{name}",
        f"SET ROLE analyst_{name}",
        "CREATE TABLE theirs.lists (number BIGINT)",
    ):
        owned.dba.execute(statement)
    owned.dba.execute("RESET ROLE")
    report = back_up(owned.hub.config, tmp_path / "backups", NOON)
    owned.hub.add("later")
    owned.hub.store.close()
    if elsewhere:  # on another machine there is no such role
        owned.dba.execute(f"DROP OWNED BY analyst_{name} CASCADE")
        owned.dba.execute(f"ALTER ROLE analyst_{name} RENAME TO moved_{name}")
    to = owned.again if elsewhere else owned.hub.config
    restore(report.file, to, force=not elsewhere, now=NOON + 60)
    if elsewhere:
        owned.dba.execute(f"ALTER ROLE moved_{name} RENAME TO analyst_{name}")
    assert came_back(to) == ["first"]
    owned.hub.store = owned.hub.open()


def test_a_hub_of_several_servers_is_copied_from_the_one_that_answers(owned: Owned, tmp_path: Path) -> None:
    url = make_url(owned.hub.config.database or "")
    hosts = [f"{tmp_path}:5432", f"{url.query['host']}:5432"]
    several = url.update_query_dict({"host": hosts, "target_session_attrs": "read-write"})
    config = HubConfig(data_dir=owned.hub.config.data_dir, database=several.render_as_string(hide_password=False))
    assert came_back(config) == ["first"]
    restore(back_up(config, tmp_path / "backups", NOON).file, owned.again, now=NOON)
    assert came_back(owned.again) == ["first"]


@pytest.mark.parametrize("form", ["{0}:ge%2Fheim@/{1}?host={2}", "{0}@/{1}?host={2}&password=ge/heim"])
def test_no_command_line_holds_the_password(
    owned: Owned, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    url = make_url(owned.hub.config.database or "")
    address = form.format(url.username, url.database, url.query["host"])
    (tmp_path / "secret").write_text(f"postgresql+psycopg://{address}")
    seen, shown = tmp_path / "bin" / "pg_dump", tmp_path / "shown"
    seen.parent.mkdir()
    seen.write_text(f'#!/bin/sh\necho "$PGPASSWORD" > {shown}; echo "$@" >> {shown}; exec {program("pg_dump")} "$@"\n')
    seen.chmod(0o755)
    monkeypatch.setenv("PATH", f"{seen.parent}:{os.environ['PATH']}")
    config = HubConfig(data_dir=owned.hub.config.data_dir, database_file=tmp_path / "secret")
    back_up(config, tmp_path / "backups", NOON)
    given, *options = shown.read_text().splitlines()
    assert given == "ge/heim" and "heim" not in "".join(options)


def test_what_others_built_on_the_hubs_tables_is_named_rather_than_taken_away(owned: Owned, tmp_path: Path) -> None:
    report = back_up(owned.hub.config, tmp_path / "backups", NOON)
    owned.dba.execute("CREATE SCHEMA theirs")
    owned.dba.execute("CREATE VIEW theirs.report AS SELECT id FROM public.incidents")
    owned.hub.add("later")
    owned.hub.store.close()
    with pytest.raises(StoreError, match=r"view theirs\.report depends on table incidents"):
        restore(report.file, owned.hub.config, force=True, now=NOON + 60)
    assert {row[0] for row in owned.dba.execute("SELECT id FROM theirs.report")} == {"first", "later"}
    owned.hub.store = owned.hub.open()


def test_a_backup_does_not_go_where_the_hub_would_not_find_it(owned: Owned, tmp_path: Path) -> None:
    report = back_up(owned.hub.config, tmp_path / "backups", NOON)
    url = make_url(owned.again.database or "")
    with psycopg.connect(f"host={url.query['host']} user=hub dbname={url.database}", autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA own AUTHORIZATION {url.username}")
        connection.execute(f"ALTER ROLE {url.username} IN DATABASE {url.database} SET search_path = own")
        with pytest.raises(StoreError, match=r"tables are in the schema public, the role works in own: .*search_path"):
            restore(report.file, owned.again, now=NOON)
        assert connection.execute(
            "SELECT count(*) FROM pg_tables WHERE tableowner = %s", [url.username]
        ).fetchone() == (0,)


def test_a_script_of_a_newer_program_is_taken_by_an_older_server(
    owned: Owned, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = back_up(owned.hub.config, tmp_path / "backups", NOON)
    newer = tmp_path / "bin" / "pg_restore"  # that of 17 begins so, whatever server it is for
    newer.parent.mkdir()
    newer.write_text(
        f"""#!/bin/sh
{program("pg_restore")} "$@" || exit
for last; do case "$last" in --file=*) f="${{last#--file=}}"; esac; done
[ -z "$f" ] || sed -i '1i SET lock_timeout = 0;\\nSET transaction_timeout = 0;' "$f"
"""
    )
    newer.chmod(0o755)
    monkeypatch.setenv("PATH", f"{newer.parent}:{os.environ['PATH']}")
    restore(report.file, owned.again, now=NOON)
    assert came_back(owned.again) == ["first"]


def test_with_a_restore_that_is_killed_what_it_started_ends_and_replaces_nothing(owned: Owned, tmp_path: Path) -> None:
    report = back_up(owned.hub.config, tmp_path / "backups", NOON)
    config = tmp_path / "hub.yaml"
    config.write_text(f"data_dir: again\ndatabase: {owned.again.database}\n")
    slow, begun = tmp_path / "bin" / "psql", tmp_path / "begun"
    slow.parent.mkdir()
    slow.write_text(f"#!/bin/sh\necho $$ > {begun}.new; mv {begun}.new {begun}; exec sleep 120\n")
    slow.chmod(0o755)
    command = [sys.executable, "-m", "detector", "restore", str(report.file), "--config", str(config)]
    environment = {**os.environ, "PATH": f"{slow.parent}:{os.environ['PATH']}", "PYTHONPATH": str(REPOSITORY)}
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as run:
        assert soon(begun.exists)
        run.kill()
    process = Path("/proc", begun.read_text().strip())
    assert soon(lambda: not process.exists() or " (zombie)" in (process / "status").read_text(), 10)


KILLED = """
import os, sys
from pathlib import Path
from detector.config import HubConfig
from detector.hub.upkeep.restore import restore

rename, left = Path.rename, [int(sys.argv[3])]

def dying(path, to):
    if not left[0]:
        os._exit(9)
    left[0] -= 1
    return rename(path, to)

Path.rename = dying
restore(Path(sys.argv[1]), HubConfig(data_dir=sys.argv[2]), force=True, now=0.0)
"""


@pytest.mark.parametrize("renamed", [1, 3, 5])
def test_no_hub_starts_with_what_a_restore_that_was_killed_has_left_and_the_next_one_brings_all_back(
    in_file: Kept, tmp_path: Path, renamed: int
) -> None:
    report = back_up(in_file.config, tmp_path / "backups", NOON)
    in_file.add("later")
    in_file.store.close()
    data = in_file.config.data_dir
    arguments = [str(report.file), str(data), str(renamed)]
    assert subprocess.run([sys.executable, "-c", KILLED, *arguments], cwd=REPOSITORY, check=False).returncode == 9
    former = tmp_path / "hub-data.before-1970-01-01T000000Z"
    for refused in (
        lambda: Hub(in_file.config, port=0, hasher=CHEAP),
        lambda: back_up(in_file.config, tmp_path / "backups", NOON + 30),
    ):
        with pytest.raises(StoreError, match=f"run labelwatch restore again.* is in {former}"):
            refused()
    assert (former / "hub.sqlite").exists() or (data / "hub.sqlite").exists()
    restore(report.file, in_file.config, force=True, now=NOON + 60)
    in_file.store = in_file.open()
    assert [one.id for one in in_file.store.feed()] == ["first"] and len(in_file.clips) == 1
    assert back_up(in_file.config, tmp_path / "backups", NOON + 90).files == report.files


def test_what_the_database_held_is_kept_even_where_files_can_not_be_put_in_their_places(
    in_postgres: Kept, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = back_up(in_postgres.config, tmp_path / "backups", NOON)
    in_postgres.add("later")
    in_postgres.store.close()
    rename = Path.rename

    def refuse(path: Path, to: Path) -> Path:
        if to.name.startswith("hub-data.before") or to.parent.name.startswith("hub-data.before"):
            raise OSError(16, "Device or resource busy", str(path))
        return rename(path, to)

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(
        StoreError, match=r"resource busy \(what the database held before is kept as \S+\.dump\)"
    ) as caught:
        restore(report.file, in_postgres.config, force=True, now=NOON + 60)
    kept = Path(str(caught.value).rpartition(" kept as ")[2].rstrip(")"))
    held = subprocess.run(
        [program("pg_restore"), "--data-only", "--table=incidents", "--file=-", kept],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "\nlater\t" in held.stdout
    in_postgres.store = in_postgres.open()


def test_where_clips_are_a_disk_of_their_own_and_can_not_be_moved_aside_all_is_as_it_was(
    in_file: Kept, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = back_up(in_file.config, tmp_path / "backups", NOON)
    in_file.add("later")
    in_file.store.close()
    data, rename, iterdir = in_file.config.data_dir, Path.rename, Path.iterdir
    (data / "aa").touch()  # moved before clips are
    before = {path: path.stat().st_ino for path in data.rglob("*") if path.name != "hub.lock"}
    beside = sorted(tmp_path.iterdir())

    def refuse(path: Path, to: Path) -> Path:
        if path == data / "clips":
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY), str(path))
        return rename(path, to)

    monkeypatch.setattr(Path, "rename", refuse)
    monkeypatch.setattr(Path, "iterdir", lambda path: iter(sorted(iterdir(path))))
    with pytest.raises(StoreError, match="clips: Device or resource busy"):
        restore(report.file, in_file.config, force=True, now=NOON + 60)
    assert {path: path.stat().st_ino for path in data.rglob("*") if path.name != "hub.lock"} == before
    assert sorted(tmp_path.iterdir()) == beside
    in_file.store = in_file.open()
    assert in_file.store.incident("later")


@pytest.mark.parametrize("there", [False, True])
def test_where_the_data_folder_is_a_disk_of_its_own_nothing_is_put_beside_it(
    in_file: Kept, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: bool
) -> None:
    report = back_up(in_file.config, tmp_path / "backups", NOON)
    in_file.add("later")
    in_file.store.close()
    disk = tmp_path / "disk" if not there else in_file.config.data_dir
    disk.mkdir(exist_ok=True)
    (disk / "lost+found").mkdir()
    config = in_file.config.model_copy(update={"data_dir": disk})
    is_mount = Path.is_mount
    monkeypatch.setattr(Path, "is_mount", lambda path: path == disk or is_mount(path))
    beside = sorted(tmp_path.iterdir())
    aside = restore(report.file, config, force=there, now=NOON + 60)
    assert sorted(tmp_path.iterdir()) == beside and (disk / "hub.sqlite").exists() and (disk / "lost+found").exists()
    assert (aside is None) != there
    if aside:
        assert aside.parent == disk and (aside / "hub.sqlite").exists()
        again = back_up(config, tmp_path / "backups", NOON + 120)
        assert again.files == report.files, "what was moved aside is no part of the hub"
    in_file.store = in_file.open()


def test_clips_that_are_missing_or_damaged_are_told(in_file: Kept, tmp_path: Path) -> None:
    in_file.add("second", b"two" * 50)
    first, second = in_file.clips
    assert back_up(in_file.config, tmp_path / "whole", NOON).is_whole

    def told() -> tuple[list[str], list[str], bool]:
        report = back_up(in_file.config, tmp_path / "backups", NOON)
        return report.missing, report.damaged, report.is_whole

    names = [f"clips/{path.parent.name}/{path.name}" for path in (first, second)]
    _flip(second)
    assert told() == ([], [names[1]], False)
    first.unlink()
    assert told() == ([names[0]], [names[1]], False)
    second.write_bytes(b"two" * 50)
    assert told() == ([names[0]], [], False)
    second.write_bytes(b"two")  # cut short, though the backup has all of it
    assert told() == ([names[0]], [names[1]], False)


def test_what_is_deleted_while_a_backup_is_made_is_told_and_hinders_nothing(in_file: Kept, tmp_path: Path) -> None:
    (clip,) = in_file.clips
    report = back_up(in_file.config, tmp_path / "backups", NOON, progress=lambda *_: clip.unlink(missing_ok=True))
    assert report.missing == [f"clips/{clip.parent.name}/{clip.name}"] and report.file.exists()


def test_where_the_list_of_a_kept_backup_can_not_be_read_no_content_is_deleted(in_file: Kept, tmp_path: Path) -> None:
    backups = tmp_path / "backups"
    reports = []
    for n in range(2):
        in_file.add(f"more-{n}", bytes([n]) * 100)
        reports.append(back_up(in_file.config, backups, NOON + n))
    reports[1].file.write_bytes(b"{")
    contents = sorted((backups / "files").glob("??/*"))
    with pytest.raises(StoreError, match="can't be read"):
        back_up(in_file.config, backups, NOON + 2, keep=2)
    assert all(path.exists() for path in contents) and not reports[0].file.exists()


@pytest.mark.parametrize(("at", "rubbish"), [(36, b"\0\0\0\5"), (20 * 4096, b"\xa5" * 4096)])
def test_of_a_damaged_database_no_backup_is_made(in_file: Kept, tmp_path: Path, at: int, rubbish: bytes) -> None:
    """One that can be read all the same, whose list of free pages is wrong, and one that can't."""
    in_file.store.close()
    with (in_file.config.data_dir / "hub.sqlite").open("r+b") as out:
        out.seek(at)
        out.write(rubbish)
    with pytest.raises(StoreError, match="no backup was made"):
        back_up(in_file.config, tmp_path / "backups", NOON)
    assert not list((tmp_path / "backups").glob("*.json"))


def test_a_backup_into_the_data_folder_is_refused(in_file: Kept) -> None:
    with pytest.raises(StoreError, match="another disk"):
        back_up(in_file.config, in_file.config.data_dir / "backups", NOON)


def test_a_sqlite_database_that_the_configuration_has_elsewhere_is_neither_backed_up_nor_brought_back(
    in_file: Kept, tmp_path: Path
) -> None:
    report = back_up(in_file.config, tmp_path / "backups", NOON)
    elsewhere = {"database": f"sqlite:///{tmp_path}/other.sqlite", "data_dir": tmp_path / "again"}
    config = in_file.config.model_copy(update=elsewhere)
    for refused in (
        lambda: back_up(config, tmp_path / "backups", NOON),
        lambda: restore(report.file, config, now=NOON),
    ):
        with pytest.raises(StoreError, match="in its usual place only"):
            refused()
    assert not (tmp_path / "again").exists()


def test_what_is_still_growing_is_left_out(in_file: Kept, tmp_path: Path) -> None:
    (in_file.config.data_dir / "clips/abc.part").write_bytes(b"half")
    report = back_up(in_file.config, tmp_path / "backups", NOON)
    assert "part" not in report.file.read_text()


def test_what_a_killed_backup_left_goes_with_the_next_and_that_of_a_running_one_stays(
    in_file: Kept, tmp_path: Path
) -> None:
    backups = tmp_path / "backups"
    back_up(in_file.config, backups, NOON)
    left = [backups / ".growing-old" / "database", backups / "files" / ".77.tmp"]
    running = [backups / ".growing-new" / "database", backups / "files" / ".78.tmp"]
    for path, at in [*((one, NOON - 2 * 86400) for one in left), *((one, NOON) for one in running)]:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"half a database")
        os.utime(path, (at, at))
        if path.parent != backups / "files":
            os.utime(path.parent, (at, at))
    back_up(in_file.config, backups, NOON + 60)
    assert not any(path.exists() for path in left) and all(path.exists() for path in running)
    assert not left[0].parent.exists()


def test_without_a_hub_there_is_nothing_to_back_up(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no hub's database"):
        back_up(HubConfig(data_dir=tmp_path / "none"), tmp_path / "backups", NOON)
    assert not list((tmp_path / "backups").glob("*.json"))


def test_a_folder_named_instead_of_a_backup_in_it_is_answered_with_the_newest(in_file: Kept, tmp_path: Path) -> None:
    made = back_up(in_file.config, tmp_path / "backups", NOON)
    with pytest.raises(StoreError, match=f"is the folder: name one .*the newest: {made.file.name}"):
        restore(tmp_path / "backups", HubConfig(data_dir=tmp_path / "new"), now=NOON)


def test_a_folder_without_backups_is_told_for_that(tmp_path: Path) -> None:
    (tmp_path / "backups").mkdir()
    with pytest.raises(StoreError, match="backups is a folder without backups: name a file"):
        restore(tmp_path / "backups", HubConfig(data_dir=tmp_path / "new"), now=NOON)


def test_the_commands_say_what_they_did(in_file: Kept, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "hub.yaml").write_text("data_dir: hub-data\n")
    assert main(["backup", f"{tmp_path}/hub.yaml", "--to", f"{tmp_path}/backups", "--json"]) == 0
    restore_it = ["restore", json.loads(capsys.readouterr().out)["file"], "--config", f"{tmp_path}/hub.yaml"]
    assert main(restore_it) == 1 and "--force" in capsys.readouterr().err
    assert main([*restore_it, "--force"]) == 0
    said = capsys.readouterr().out
    assert "hub-data.before-" in said and "shut out anew whom you have shut out since" in said


def test_without_a_driver_for_postgresql_the_command_to_get_it_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    url = "postgresql+psycopg://hub@/hub?host=/nowhere"
    with pytest.raises(MissingPart, match="needs psycopg"):
        Store(url)
    with pytest.raises(MissingPart, match="needs psycopg"):
        restore(backup_list(tmp_path), HubConfig(data_dir=tmp_path / "data", database=url), now=NOON)


# One hub to a data folder


def test_two_hubs_on_one_data_folder_are_told_apart(tmp_path: Path) -> None:
    config = HubConfig(data_dir=tmp_path / "data", broker=Broker(port=free_port()))
    first = Hub(config, port=0, hasher=CHEAP)
    with pytest.raises(StoreError, match=rf"another hub \(process {os.getpid()}\)"):
        Hub(config, port=0, hasher=CHEAP)
    first.stop()
    Hub(config, port=0, hasher=CHEAP).stop()


def test_a_killed_hub_leaves_no_lock(tmp_path: Path) -> None:
    code = "from detector.hub.storage.lock import DataLock; from pathlib import Path; "
    code += f"DataLock(Path({str(tmp_path)!r})); "
    code += "import os; os.kill(os.getpid(), 9)"
    assert subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, check=False).returncode == -signal.SIGKILL
    DataLock(tmp_path).release()


def test_a_database_from_a_newer_version_is_left_alone(store: Store) -> None:
    with store.database.writing() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    url: Any = store.database.engine.url
    with pytest.raises(StoreError, match=r"made by a newer labelwatch \(its shape is 9999"):
        Store(url.render_as_string(hide_password=False))


def fill(database: Database) -> None:
    """Two rows into each table: of every kind of value, and with nothing where nothing may stand."""
    kinds: dict[type, Any] = {
        Integer: 7, Float: 0.1 + 0.2, Text: "东区 '3\\n'\t号机", JSON: {"a": [None, "东", 1e-9]}, Boolean: True,
        LargeBinary: b"\xff\xd8\0\\x",
    }  # fmt: skip
    with database.writing() as connection:
        for table in metadata.sorted_tables:
            for full in (True, False):
                row = {
                    column.name: next(value for kind, value in kinds.items() if isinstance(column.type, kind))
                    for column in table.c
                    if full or not column.nullable
                }
                apart = [*table.primary_key.columns.keys(), *(name for name in ("id", "first") if name in row)]
                other = {int: 8, str: "b", bool: False}
                row |= {name: other[type(row[name])] for name in apart if not full}
                with suppress(IntegrityError), connection.begin_nested():
                    connection.execute(table.insert(), row)


def held_in(database: Database) -> dict[str, list[Any]]:
    """All that stands in a database, by table."""
    with database.reading() as connection:
        return {
            table.name: sorted(map(repr, connection.execute(select(table)).all())) for table in metadata.sorted_tables
        }


def test_a_hub_moves_from_sqlite_to_postgresql_by_its_backup(
    in_file: Kept, postgres: Callable[[], str], tmp_path: Path
) -> None:
    with in_file.store.database.writing() as connection:
        add_entry(connection, NOON, "li", "login", "here", place=None, score=1e-9)
    fill(in_file.store.database)
    in_file.add("last")
    with in_file.store.database.writing() as connection:  # its number is not to be given again
        connection.execute(delete(changes).where(changes.c.incident == "last"))
    held, last = held_in(in_file.store.database), in_file.store.last_change()
    assert all(held[table.name] for table in metadata.sorted_tables if not table.foreign_keys), "each has a row"
    report = back_up(in_file.config, tmp_path / "backups", NOON)
    in_file.store.close()
    config = HubConfig(data_dir=in_file.config.data_dir, database=postgres())
    with pytest.raises(StoreError, match="--force"):
        restore(report.file, config, now=NOON)
    aside = restore(report.file, config, force=True, now=NOON + 60)
    assert aside and (aside / "hub.sqlite").exists() and not (config.data_dir / "hub.sqlite").exists()
    store = Store(config.database or "")
    try:
        assert held_in(store.database) == held
        nothing = {table.name: sum("None" in row for row in held[table.name]) for table in metadata.sorted_tables}
        assert nothing["incidents"], "rows with nothing in them are among these"
        store.add_alerts([make_envelope(100, incident="new")], NOON)
        assert store.last_change() == last + 2
    finally:
        store.close()
    assert list(config.data_dir.rglob("*.mp4")) and not list(config.data_dir.glob("database*"))
    in_file.store = in_file.open()
