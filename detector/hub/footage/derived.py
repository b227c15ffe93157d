"""Copies of clips that browsers play: redacted ones to be shared, and previews of what a camera sent as H.265.

Originals are never touched. A copy is made by a program of its own (`transcode`), one at a time, when somebody asks for
it or ahead of that; the table `derived` is the queue, so that a hub that was killed goes on where it was. A copy's name
is a hash of all that it is made from: clip, side file, recipe. It lies beside its clip under that name once it is
whole, and not before. Copies can always be made again, so those that nobody asked for in two weeks are deleted, and so
are those whose clip is gone.

    state    waiting → ready | failed; `failed` has a reason of `program.REASONS`

The program may be killed, run out of time, memory or room: it is tried once more, then the copy counts as failed. What
may go better later (`PASSING`) is tried again when somebody asks again after ten minutes.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import math
import shutil
import threading
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, delete, select, update

from detector.clock import Clock
from detector.hub.background import Background, attempt
from detector.hub.footage.program import PASSING, Process, Program
from detector.hub.footage.sides import Sides
from detector.hub.storage.rights import RIGHTS, Right
from detector.hub.storage.schema import clip_formats, clips, derived, sides, users
from detector.hub.storage.store import Store
from detector.hub.storage.stored import Clip
from detector.machine.whole_files import sha256_of, sync_folder
from detector.values import DAY_S

logger = logging.getLogger(__name__)

RECIPE = 2  # raise it when `copying` or `redact` hide more than before: all copies are made anew
WAITING, READY, FAILED = "waiting", "ready", "failed"
MOST_TRIES = 2
AGAIN_S = 600.0
AHEAD_S = DAY_S  # copies are made ahead of clips no older than this
SIDE_COMES_S = 120.0  # how long a copy that is made ahead waits for the side file
KEPT_S = 14 * DAY_S
WAKE_S = 20.0
PROBE_S = 30.0
SUFFIX, UNFINISHED = ".copy.mp4", ".unfinished"


class Kind(StrEnum):
    """What a copy is for."""

    PREVIEW = "preview"  # the clip's own pixels, for who may see them
    SHARED = "shared"  # labels, parcels and bystanders' heads hidden
    SHARED_ALL = "shared_all"  # offenders' heads too

    @property
    def faces(self) -> str | None:
        """Whose heads are hidden, as `copying.Job` has it."""
        return {Kind.PREVIEW: None, Kind.SHARED: "others", Kind.SHARED_ALL: "all"}[self]


@dataclass(frozen=True, slots=True)
class Format:
    """What a clip's video is; `plays` where browsers play it, `reason` why it can't be read."""

    codec: str | None
    width: int | None
    height: int | None
    plays: bool
    reason: str | None


@dataclass(frozen=True, slots=True)
class Copy:
    """A copy, made or to be made.

    Attributes:
        state: `waiting`, `ready` or `failed`.
        reason: Why it failed, one of `program.REASONS`.
        remarks: What is to be said of it: see `copying.make`.
        file: Relative to the clip folder.
    """

    incident: str
    segment: int
    kind: Kind
    name: str
    state: str
    urgent: bool
    due_at: float
    asked_at: float
    tries: int
    changed_at: float
    reason: str | None
    remarks: list[str]
    file: str | None
    size: int | None
    sha256: str | None

    @property
    def key(self) -> tuple[str, int, str]:
        """Of which there is one."""
        return self.incident, self.segment, self.kind


class Copies:
    """Makes copies and finds them. Nothing runs until `start`.

    Args:
        folder: Where clips are kept.
        store: Clips, and the database that the queue is in.
        clock: For what is due, and how old it is.
        zone: The site's time zone, in which times are burnt in.
        reserve_bytes: What is left free on the disk.
    """

    def __init__(self, folder: Path, store: Store, clock: Clock, zone: str, reserve_bytes: int = 2**28) -> None:
        self._folder = folder.resolve()
        self._store = store
        self._database = store.database
        self._sides = Sides(store.database)
        self._clock = clock
        self._zone = zone
        self._reserve_bytes = reserve_bytes
        self._giving_way = False
        self._making: Copy | None = None
        self._process: Process | None = None  # that makes it
        self._probing = threading.Lock()
        self._looked_at: dict[tuple[str, int], float] = {}  # clips that weren't understood for what may pass
        self._shares: dict[tuple[str, int, str], float] = {}
        self._background = Background("hub-copies", self._work)
        self._program = Program(lambda: self._background.stopping)

    # For pages

    def ask(self, clip: Clip, kind: Kind) -> Copy:
        """The copy that somebody wants to see now: ready, failed, or at the front of the queue."""
        now = self._clock.now()
        copy = self._find(clip, kind)
        if copy.state == READY:
            if now - copy.asked_at > KEPT_S / 14:
                self._change(copy, asked_at=now)
            return copy
        again = copy.state == FAILED and copy.reason in PASSING and now - copy.changed_at > AGAIN_S
        if again or (copy.state == WAITING and not copy.urgent):
            tries = 0 if again else copy.tries
            copy = replace(copy, state=WAITING, urgent=True, due_at=now, asked_at=now, tries=tries, reason=None)
            self._keep(copy)
            self._background.poke()
            self._give_way(copy)
        return copy

    def _give_way(self, copy: Copy) -> None:
        """Give up what is being made ahead: somebody waits for another."""
        making, process = self._making, self._process
        if making and process and not making.urgent and making.key != copy.key:
            self._giving_way = True
            process.kill()

    def path(self, copy: Copy) -> Path | None:
        """The file of a copy that is ready."""
        path = (self._folder / copy.file).resolve() if copy.file and copy.state == READY else None
        return path if path and path.is_relative_to(self._folder) and path.is_file() else None

    def share_done(self, copy: Copy) -> float:
        """How far a copy is that is being made: 0..1."""
        return self._shares.get(copy.key, 0.0)

    def format_of(self, clip: Clip) -> Format:
        """What the clip's video is; found out now where it isn't known yet (at most twice `PROBE_S`)."""
        known = self._known_format(clip)  # who plays a clip waits for none that is being looked at
        if known is not None:
            return known
        with self._probing:
            return self._known_format(clip) or self._found_format(clip)

    def _known_format(self, clip: Clip) -> Format | None:
        query = select(clip_formats).where(_is_of(clip_formats, clip), clip_formats.c.sha256 == clip.sha256)
        row = self._database.read(query).one_or_none()
        looked_at = self._looked_at.get((clip.incident, clip.segment), -math.inf)
        if row is None or (row.reason in PASSING and self._clock.now() - looked_at > AGAIN_S):
            return None
        return Format(row.codec, row.width, row.height, row.plays, row.reason)

    def _found_format(self, clip: Clip) -> Format:
        now, key = self._clock.now(), (clip.incident, clip.segment)
        found = self._probed(clip)
        if found.reason in PASSING:
            found = self._probed(clip)
        self._looked_at.pop(key, None)
        if found.reason in PASSING:
            self._looked_at[key] = now
        if not self._background.stopping:
            values = {**asdict(found), "incident": clip.incident, "segment": clip.segment, "sha256": clip.sha256}
            upsert = self._database.upsert(clip_formats, ("incident", "segment"), (*asdict(found), "sha256"))
            with self._database.writing() as connection:
                connection.execute(upsert, values)
        return found

    # For the hub

    def start(self) -> None:
        """Begin to make copies, in a thread of its own."""
        self._background.start()

    def arrived(self) -> None:
        """A clip or a side file has come: look for what is to be made of it."""
        self._background.poke()

    def stop(self) -> None:
        """Make no more; what is being made is given up, to be begun anew at the next start."""
        self._background.stop(0.0)
        self._program.stop()
        self._background.stop(10.0)

    def step(self) -> bool:
        """Plan what is to be made ahead, make the copy that is due, if any; whether one was."""
        self._plan()
        due = derived.c.state == WAITING, derived.c.due_at <= self._clock.now()
        query = select(derived).where(*due).order_by(derived.c.urgent.desc(), derived.c.due_at).limit(1)
        row = self._database.read(query).one_or_none()
        if row is None:
            self._tidy()
            return False
        self._make(_copy(row))
        return True

    def sweep(self) -> None:
        """Remove what a killed hub left unfinished, and copies that are on no record."""
        known = {copy.file for copy in self._copies()}
        for path in self._folder.glob("*/*"):
            is_lost = path.name.endswith(SUFFIX) and str(path.relative_to(self._folder)) not in known
            if is_lost or path.name.endswith(UNFINISHED):
                path.unlink(missing_ok=True)

    def _work(self) -> None:
        with contextlib.suppress(Exception):  # it only tidies up
            self.sweep()
        going_on = True
        while going_on:
            attempt(self._make_all, logger, "copies of clips: trying again")
            going_on = self._background.pause(WAKE_S)

    def _make_all(self) -> None:
        while not self._background.stopping and self.step():
            pass

    def _plan(self) -> None:
        """Put copies into the queue that are wanted ahead: previews, and redacted ones if somebody sees only those."""
        now = self._clock.now()
        query = (
            select(clips, clip_formats.c.codec, clip_formats.c.plays, sides.c.sha256.label("side"))
            .outerjoin(clip_formats, _same_segment(clips, clip_formats))
            .outerjoin(sides, _same_segment(clips, sides))
            .where(clips.c.stored_at > now - AHEAD_S)
        )
        with self._database.reading() as connection:
            rows = connection.execute(query).all()
            for_somebody = _somebody_sees_no_labels(connection)
            query = select(derived.c.incident, derived.c.segment, derived.c.name)
            known = {tuple(row) for row in connection.execute(query)}
        for row in rows:
            if self._background.stopping:
                return
            clip = Clip(**{name: getattr(row, name) for name in Clip.__slots__})
            codec, plays = row.codec, row.plays
            if plays is None:
                found = self.format_of(clip)
                codec, plays = found.codec, found.plays
            wanted = {Kind.PREVIEW: not plays, Kind.SHARED: for_somebody}
            for kind in (kind for kind, is_wanted in wanted.items() if codec and is_wanted):
                if (clip.incident, clip.segment, self._name(clip, kind, row.side)) not in known:
                    waits = kind != Kind.PREVIEW and row.side is None
                    self._keep(replace(self._find(clip, kind), due_at=clip.stored_at + SIDE_COMES_S if waits else now))

    def _make(self, copy: Copy) -> None:
        clip = self._store.clip(copy.incident, copy.segment)
        if clip is None:
            self._forget(copy)
            return
        name = self._name(clip, copy.kind, self._side(clip))
        if copy.name != name:  # its side file has come meanwhile
            copy = replace(copy, name=name, tries=0)
        source = self._folder / clip.file
        if copy.tries >= MOST_TRIES or not source.is_file():  # the hub itself may have died each time
            self._failed(copy, "gone" if not source.is_file() else "broke_off")
            return
        copy = replace(copy, tries=copy.tries + 1)
        self._keep(copy)
        self._giving_way, self._making = False, copy
        unfinished = source.parent / f"{copy.name}{UNFINISHED}"
        try:
            said = self._said_of(clip, copy, source, unfinished)
            if isinstance(remarks := said.get("remarks"), list):
                self._finished(copy, clip, unfinished, [str(remark)[:40] for remark in remarks[:10]])
            elif self._background.stopping or self._giving_way:
                self._keep(replace(copy, tries=copy.tries - 1))
            elif (reason := said.get("reason", "broke_off")) in PASSING and copy.tries < MOST_TRIES:
                logger.warning("copy %s: %s, trying once more", copy.name[:12], said)
            else:
                self._failed(copy, reason)
        finally:
            self._making = self._process = None
            unfinished.unlink(missing_ok=True)
            self._shares.pop(copy.key, None)

    def _said_of(self, clip: Clip, copy: Copy, source: Path, out: Path) -> dict[str, Any]:
        """What the program says when it has ended."""
        largest = max(64 * 2**20, 4 * clip.size)
        if shutil.disk_usage(source.parent).free < self._reserve_bytes + clip.size:
            return {"reason": "no_room"}
        side = self._sides.find(clip.incident, clip.segment) if copy.kind.faces else None
        limit_s = 120 + 20 * clip.duration_s
        job = {
            "source": str(source), "out": str(out), "faces": copy.kind.faces,
            "side": str(self._folder / side.file) if side else None, "started_at": clip.started_at,
            "zone": self._zone, "length_s": clip.duration_s, "cpu_s": int(limit_s), "largest_bytes": largest,
        }  # fmt: skip

        def begun(process: Process) -> None:
            self._process = process

        def done(share: float) -> None:
            self._shares[copy.key] = share

        return self._program.run("make", json.dumps(job), limit_s=limit_s, on_begun=begun, on_share=done)

    def _finished(self, copy: Copy, clip: Clip, unfinished: Path, remarks: list[str]) -> None:
        path = unfinished.with_name(copy.name + SUFFIX)
        sha256, size = sha256_of(unfinished), unfinished.stat().st_size
        before = self._row(clip, copy.kind)
        unfinished.replace(path)
        sync_folder(path.parent)
        self._keep(
            replace(
                copy, state=READY, remarks=remarks, reason=None, changed_at=self._clock.now(), size=size,
                file=str(path.relative_to(self._folder)), sha256=sha256,
            )
        )  # fmt: skip
        if before:
            self._remove_file(before.file)

    def _failed(self, copy: Copy, reason: str) -> None:
        logger.warning("copy %s of a clip can't be made: %s", copy.name[:12], reason)
        self._keep(replace(copy, state=FAILED, reason=reason, changed_at=self._clock.now()))

    def _probed(self, clip: Clip) -> Format:
        said = self._program.run("probe", str(self._folder / clip.file), limit_s=PROBE_S)
        codec, width, height, plays = (said.get(name) for name in ("codec", "width", "height", "plays"))
        if isinstance(codec, str) and type(width) is type(height) is int and max(width, height) < 2**16:
            return Format(codec[:40], width, height, plays is True, None)
        return Format(None, None, None, plays=False, reason=said.get("reason", "broke_off"))

    def _tidy(self) -> None:
        """Delete copies that nobody asked for in long, and those of clips that are gone."""
        is_old = and_(derived.c.state != WAITING, derived.c.asked_at < self._clock.now() - KEPT_S)
        is_lost = ~select(clips.c.segment).where(_same_segment(clips, derived)).exists()
        for copy in self._copies(is_old | is_lost):
            self._forget(copy)
        lost = ~select(clips.c.segment).where(_same_segment(clips, clip_formats)).exists()
        with self._database.reading() as connection:
            if connection.execute(select(clip_formats.c.segment).where(lost).limit(1)).first() is None:
                return
        with self._database.writing() as connection:
            connection.execute(delete(clip_formats).where(lost))

    # Rows

    def _side(self, clip: Clip) -> str | None:
        side = self._sides.find(clip.incident, clip.segment)
        return side.sha256 if side else None

    def _name(self, clip: Clip, kind: Kind, side: str | None) -> str:
        made_from = [str(RECIPE), str(kind), clip.incident, str(clip.segment), clip.sha256]
        if kind.faces:
            made_from += [side or "", repr(clip.started_at), self._zone]
        return hashlib.sha256("\0".join(made_from).encode()).hexdigest()

    def _find(self, clip: Clip, kind: Kind) -> Copy:
        """The copy on record, if it is made from what is here now; else one that waits, on no record yet."""
        name, row, now = self._name(clip, kind, self._side(clip)), self._row(clip, kind), self._clock.now()
        if row and row.name == name and (row.state != READY or self.path(row)):
            return row
        return Copy(
            clip.incident, clip.segment, kind, name, WAITING, urgent=False, due_at=now, asked_at=now, tries=0,
            changed_at=now, reason=None, remarks=[], file=row.file if row else None, size=None, sha256=None,
        )  # fmt: skip

    def _row(self, clip: Clip, kind: Kind) -> Copy | None:
        found = self._copies(_is_of(derived, clip), derived.c.kind == kind.value)
        return found[0] if found else None

    def _copies(self, *clauses: ColumnElement[bool]) -> list[Copy]:
        return [_copy(row) for row in self._database.read(select(derived).where(*clauses))]

    def _keep(self, copy: Copy) -> None:
        key, row = ("incident", "segment", "kind"), {**asdict(copy), "kind": copy.kind.value}
        upsert = self._database.upsert(derived, key, row.keys() - {*key})
        with self._database.writing() as connection:
            connection.execute(upsert, row)

    def _change(self, copy: Copy, **values: Any) -> None:
        same = _is_of(derived, copy), derived.c.kind == copy.kind.value, derived.c.name == copy.name
        with self._database.writing() as connection:
            connection.execute(update(derived).where(*same).values(values))

    def _forget(self, copy: Copy) -> None:
        with self._database.writing() as connection:
            connection.execute(delete(derived).where(_is_of(derived, copy), derived.c.kind == copy.kind.value))
        self._remove_file(copy.file)

    def _remove_file(self, file: str | None) -> None:
        if file and not self._copies(derived.c.file == file):
            with contextlib.suppress(OSError):
                (self._folder / file).unlink()


def _somebody_sees_no_labels(connection: Connection) -> bool:
    """Whether there is anybody for whom redacted copies are all that they see."""
    roles = [role.value for role, rights in RIGHTS.items() if Right.FULL_PIXELS not in rights]
    query = select(users.c.name).where(users.c.role.in_(roles), users.c.disabled_at.is_(None)).limit(1)
    return connection.execute(query).first() is not None


def _is_of(table: Any, of: Clip | Copy) -> ColumnElement[bool]:
    return and_(table.c.incident == of.incident, table.c.segment == of.segment)


def _same_segment(one: Any, other: Any) -> ColumnElement[bool]:
    return and_(one.c.incident == other.c.incident, one.c.segment == other.c.segment)


def _copy(row: Any) -> Copy:
    return Copy(**{**row._mapping, "kind": Kind(row.kind)})
