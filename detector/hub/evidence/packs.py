"""Evidence packs on disk and their record: asked for, made in the background one at a time, downloaded, deleted.

A pack whose maker hasn't told that it is at work for `QUIET_S` was left behind by a hub that stopped: it counts as
failed (`interrupted`). So does one told of at a time to come, by a clock that was ahead. One whose file isn't there is
lost: a backup holds none.
"""

from __future__ import annotations

import logging
import shutil
import threading
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sqlalchemy import select, update

from detector.clock import Clock
from detector.errors import StoreError
from detector.hub.access.audit import Audit
from detector.hub.evidence.cases import Case
from detector.hub.evidence.pack import Archive, PackStopped, write_pack
from detector.hub.storage.database import Database, one_at_a_time
from detector.hub.storage.rights import Scope
from detector.hub.storage.schema import packs
from detector.machine.whole_files import sha256_of
from detector.wire import public_key_text
from detector.wire.evidence import fingerprint, grouped

logger = logging.getLogger(__name__)

MAKING, READY, FAILED, REMOVED, LOST = "making", "ready", "failed", "removed", "lost"
QUIET_S = 120.0
TELL_EVERY_S = 0.5


class _Stopped(Exception):  # noqa: N818  (a signal between threads)
    """The hub stops."""


@dataclass(frozen=True, slots=True)
class PackRecord:
    """A pack: `state` is `making`, `ready`, `failed` (`reason` says why), `removed` or `lost`; sizes in bytes."""

    number: int
    case: int
    made_by: str
    asked_at: float
    state: str
    told_at: float
    done: int
    total: int
    size: int | None
    sha256: str | None
    reason: str
    places: list[list[str]]

    @property
    def percent(self) -> int:
        """How far it is; 100 only when it is no longer being made."""
        return min(99, 100 * self.done // max(1, self.total)) if self.state == MAKING else 100

    @property
    def name(self) -> str:
        """What its file is called when somebody downloads it."""
        return f"labelwatch-case-{self.case}-pack-{self.number}.zip"

    def within(self, scope: Scope) -> bool:
        """Whether all that is in it is in a scope, whatever the case holds by now."""
        return all(scope.sees(site, camera) for site, camera in self.places)


@dataclass(frozen=True, slots=True)
class _Wish:
    """A pack that somebody asked for; `on_record` are doubles of its incidents that the audit log names already."""

    number: int
    case: Case
    on_record: frozenset[str]
    user: str
    at: float


class Packs:
    """Makes packs, and keeps them in a folder.

    Args:
        folder: Made when missing; only the hub's user may read it.
        archive: Where contents come from.
        audit: Where each pack that is asked for, made or deleted is put on record.
        clock: Tells the time.
        spare_bytes: No pack is made that would leave less of the disk free.

    Raises:
        StoreError: The folder can't be used.
    """

    def __init__(self, folder: Path, archive: Archive, audit: Audit, clock: Clock, spare_bytes: int = 0) -> None:
        self._folder = folder
        self._archive = archive
        self._database: Database = archive.store.database
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._remove_left()
        except OSError as error:
            raise StoreError(f"{folder} can't be written: {error.strerror}") from error
        self._audit = audit
        self._clock = clock
        self._spare_bytes = spare_bytes
        self._one_at_a_time = threading.Lock()
        self._stopping = threading.Event()
        self._mine: dict[int, threading.Thread] = {}
        self._told_at = 0.0

    @property
    def key(self) -> str:
        """Fingerprint of the key that signs packs, in groups as people compare it."""
        return grouped(fingerprint(self._archive.key.public_key()))

    @property
    def public_key(self) -> str:
        """Base64 of the key's raw public half."""
        return public_key_text(self._archive.key)

    def places(self, case: Case) -> set[tuple[str, str]]:
        """Sites and cameras of all that a pack of a case holds: beside its incidents, what others told of them."""
        return {*case.places, *self._doubles(case).values()}

    def _doubles(self, case: Case) -> dict[str, tuple[str, str]]:
        """Sites and cameras of what others told of a case's incidents, by id."""
        inside = (double for incident in case.incidents for double in self._archive.store.doubles(incident))
        return {one.id: (one.site, one.camera) for one in inside if one.id not in case.incidents}

    def ask(self, case: Case, *, user: str, at: float) -> int | None:
        """Begin to make the pack of a case; its number, or `None` while another of the case is being made."""
        doubles = self._doubles(case)
        row = {
            "case": case.number, "made_by": user, "asked_at": at, "state": MAKING, "told_at": at, "done": 0,
            "total": 0, "reason": "", "places": sorted({*case.places, *doubles.values()}),
        }  # fmt: skip
        with self._database.writing() as connection:
            one_at_a_time(connection)
            open_ones = select(packs.c.number).where(
                packs.c.case == case.number, packs.c.state == MAKING,
                packs.c.told_at.between(at - QUIET_S, at + QUIET_S),
            )  # fmt: skip
            if connection.execute(open_ones).first():
                return None
            number = int(connection.execute(packs.insert().returning(packs.c.number), row).scalar_one())
            self._audit.add(connection, at, user, "pack_asked", case.subject, pack=number)
            for incident in (*case.incidents, *doubles):
                self._audit.add(connection, at, user, "export", incident, case=case.number, pack=number)
        wish = _Wish(number, case, frozenset(doubles), user, at)
        made = threading.Thread(target=self._make, args=(wish,), name=f"pack-{number}", daemon=True)
        self._mine[number] = made
        made.start()
        return number

    def of(self, case: int, scope: Scope, at: float) -> list[PackRecord]:
        """Packs of a case whose contents are all in a scope, the newest first."""
        query = select(packs).where(packs.c.case == case).order_by(packs.c.number.desc()).limit(50)
        found = [self._record(row, at) for row in self._database.read(query)]
        return [pack for pack in found if pack.within(scope)]

    def pack(self, case: int, number: int, scope: Scope, at: float) -> PackRecord | None:
        """One pack of a case."""
        query = select(packs).where(packs.c.case == case, packs.c.number == number)
        row = self._database.read(query).one_or_none()
        found = self._record(row, at) if row else None
        return found if found and found.within(scope) else None

    def path(self, pack: PackRecord) -> Path | None:
        """Its file, when it is ready."""
        return self._file(pack.number) if pack.state == READY else None

    def remove(self, pack: PackRecord, case: Case, *, user: str, at: float) -> None:
        """Delete its file; the record stays, with its hash."""
        with self._database.writing() as connection:
            gone = update(packs).where(packs.c.number == pack.number, packs.c.state == READY).values(state=REMOVED)
            if connection.execute(gone.returning(packs.c.number)).first():
                self._audit.add(connection, at, user, "pack_removed", case.subject, pack=pack.number)
        self._file(pack.number).unlink(missing_ok=True)

    def stop(self, timeout_s: float = 3.0) -> None:
        """End what is being made, and wait for it."""
        self._stopping.set()
        self.wait(timeout_s)

    def wait(self, timeout_s: float | None = None) -> None:
        """Wait for what is being made."""
        for thread in list(self._mine.values()):
            thread.join(timeout_s)

    def _file(self, number: int) -> Path:
        return self._folder / f"{number}.zip"

    def _remove_left(self) -> None:
        """Remove what a hub that stopped left: no page would tell of it any more."""
        for part in self._folder.glob("*.part"):
            part.unlink()
        for number in self._database.read(select(packs.c.number).where(packs.c.state != READY)).scalars():
            self._file(number).unlink(missing_ok=True)

    # In the thread that makes one

    def _make(self, wish: _Wish) -> None:
        number = wish.number
        part = self._folder / f"{number}.part"
        try:
            with self._one_at_a_time:
                reason = self._tried(wish, part)
            part.unlink(missing_ok=True)
            if reason:
                self._file(number).unlink(missing_ok=True)
                self._set(number, state=FAILED, reason=reason)
        except Exception:
            logger.exception("what became of evidence pack %d can't be put on record", number)
        finally:
            self._mine.pop(number, None)

    def _tried(self, wish: _Wish, part: Path) -> str:
        """Make it; why it couldn't be made, or nothing."""
        try:
            self._write(wish, part)
        except PackStopped as error:
            return str(error)
        except _Stopped:
            return "interrupted"
        except OSError as error:
            logger.error("evidence pack %d can't be written: %s", wish.number, error.strerror)
            return "disk"
        except Exception:
            logger.exception("evidence pack %d failed", wish.number)
            return "error"
        return ""

    def _write(self, wish: _Wish, part: Path) -> None:
        number, case = wish.number, wish.case

        def progress(done: int, total: int) -> None:
            if self._stopping.is_set():
                raise _Stopped
            now = self._clock.now()
            if abs(now - self._told_at) >= TELL_EVERY_S:
                self._told_at = now
                self._set(number, **({"done": done, "total": total} if total else {}))
                self._wait_with(now)

        def room(size: int) -> None:
            if shutil.disk_usage(self._folder).free < size + self._spare_bytes:
                raise PackStopped("no_room")

        progress(0, 0)
        write_pack(self._archive, case, part, made_by=wish.user, made_at=wish.at, progress=progress, room=room)
        part.chmod(0o600)
        sha256, size = sha256_of(part), part.stat().st_size
        part.replace(self._file(number))
        doubles = self._doubles(case)  # once more: other cameras may have told of it since it was asked for
        places = sorted({*case.places, *doubles.values()})
        with self._database.writing() as connection:
            ready = {"state": READY, "size": size, "sha256": sha256, "done": size, "total": size, "places": places}
            connection.execute(update(packs).where(packs.c.number == number).values(ready))
            now = self._clock.now()
            for incident in doubles.keys() - wish.on_record:
                self._audit.add(connection, now, wish.user, "export", incident, case=case.number, pack=number)
            self._audit.add(connection, now, wish.user, "pack_made", case.subject, pack=number, sha256=sha256)

    def _wait_with(self, now: float) -> None:
        """Those that wait for this one are not left behind either."""
        mine = update(packs).where(packs.c.number.in_(list(self._mine)), packs.c.state == MAKING)
        with self._database.writing() as connection:
            connection.execute(mine.values(told_at=now))

    def _set(self, number: int, **values: Any) -> None:
        with self._database.writing() as connection:
            connection.execute(
                update(packs).where(packs.c.number == number).values(told_at=self._clock.now(), **values)
            )

    def _record(self, row: Any, at: float) -> PackRecord:
        pack = PackRecord(**row._mapping)
        if pack.state == MAKING and abs(at - pack.told_at) > QUIET_S:
            return replace(pack, state=FAILED, reason="interrupted")
        if pack.state == READY and not self._file(pack.number).is_file():
            return replace(pack, state=LOST)
        return pack
