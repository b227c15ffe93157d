"""Clips come from edges in pieces, signed, and are kept as files; a segment that is whole is never changed again.

    PUT /api/clips/{incident}/{segment}   headers of `wire.clip_headers`, `Content-Range: bytes 0-99/2000`
        201 whole, 202 more to come, 401 not believed, 409 other offset expected (`Upload-Offset`), 413 too large,
        422 not what was claimed (sent bytes are thrown away), 507 disk full, or this box has its share (`shares`). What
        came in several pieces and is not what was claimed is thrown away with a 409: a power cut here may have spoilt
        the earlier ones
    HEAD the same, signed too            200 or 201 and `Upload-Offset`: how much is here
    .../{segment}/side                   the same for the segment's side file, claimed as such

File names are made here, from a hash of the claim; nothing a client sends becomes part of a path.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import shutil
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Any, BinaryIO

from anyio.to_thread import run_sync

from detector import wire
from detector.clock import Clock
from detector.errors import WireError
from detector.hub.edges.keys import CLAIM_LIFE_S, EdgeKeys
from detector.hub.footage.shares import Shares
from detector.hub.footage.sides import Sides
from detector.hub.storage.segments import LAST_SEGMENT
from detector.hub.storage.store import Store
from detector.hub.storage.stored import Clip, EdgeId, is_time
from detector.machine.whole_files import sha256_of, sync_folder
from detector.media.sides import LARGEST, read_side
from detector.values import DAY_S

logger = logging.getLogger(__name__)

ABANDONED_S = 14 * DAY_S  # a piece that nobody came back to complete
LONGEST_S = DAY_S
WAITS_S = 300.0  # an edge asks again every minute at least
_RANGE = re.compile(r"bytes (\d{1,15})-(\d{1,15})/(\d{1,15})")


@dataclass(frozen=True, slots=True)
class Answer:
    """What to tell the edge: a status, how many bytes are here, and why."""

    status: int
    offset: int | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class _Sort:
    """A sort of file: its suffix, how it begins after so many bytes, and what else is said of it."""

    suffix: str
    magic_at: int
    magic: bytes
    otherwise: str


CLIP = _Sort(".mp4", 4, b"ftyp", "not an mp4 file")  # after a length of four bytes
SIDE = _Sort(".json.gz", 0, b"\x1f\x8b", "not a gzip file")


class _Refused(Exception):  # noqa: N818  (carries an answer; not an error of ours)
    def __init__(self, status: int, reason: str, offset: int | None = None) -> None:
        super().__init__(reason)
        self.answer = Answer(status, offset, reason)


class ClipFolder:
    """Takes uploads and finds files.

    Args:
        folder: Where clips are kept; made when missing.
        store: Keys of edges, and the record of clips.
        clock: For the age of claims.
        largest_bytes: Longer files are refused.
        on_stored: Called with the incident's id when a segment has become whole; from any thread.
        least_free_bytes: With less free on the disk no clip is taken, so that alerts still find room; edges keep theirs
            and try again.
        reserve_bytes: With less free no clip is taken of a box that has more than its share.
    """

    def __init__(
        self,
        folder: Path,
        store: Store,
        clock: Clock,
        largest_bytes: int,
        on_stored: Callable[[str], None],
        least_free_bytes: int = 0,
        reserve_bytes: int = 0,
    ) -> None:
        self._folder = folder.resolve()
        self._folder.mkdir(parents=True, exist_ok=True)
        self._store = store
        self._clock = clock
        self._largest_bytes = largest_bytes
        self._on_stored = on_stored
        self._least_free_bytes = least_free_bytes
        self._reserve_bytes = reserve_bytes
        self._shares = Shares(store.database, clock, reserve_bytes - least_free_bytes)
        # Written in the event loop's thread only: how large each part will be that is being sent; when which box was
        # asked to wait, and with how much.
        self._busy: dict[str, int] = {}
        self._waits: dict[EdgeId, tuple[float, int]] = {}
        self._sides = Sides(store.database)
        self._keys = EdgeKeys(store.database)
        self._reading_side = threading.Lock()  # one of them may take some hundred MB while it is checked
        self.tidy(clock.now())

    def tidy(self, now: float) -> None:
        """Remove pieces that nobody came back to complete; from any thread."""
        for part in self._folder.glob("*.part"):
            with suppress(FileNotFoundError):  # completed just now
                if now - part.stat().st_mtime > ABANDONED_S:
                    part.unlink()

    def find(self, incident: str, segment: int) -> Path | None:
        """The file of a segment that is here whole."""
        clip = self._store.clip(incident, segment)
        return None if clip is None else self.file_of(clip)

    def file_of(self, clip: Clip) -> Path | None:
        """The file of a segment's record, where it is here."""
        return self._inside(clip.file)

    def find_side(self, incident: str, segment: int) -> tuple[Clip, Path] | None:
        """The record and the file of a segment's side file, where one is here."""
        side = self._sides.find(incident, segment)
        path = None if side is None else self._inside(side.file)
        return None if side is None or path is None else (side, path)

    def _inside(self, file: str) -> Path | None:
        path = (self._folder / file).resolve()
        return path if path.is_relative_to(self._folder) and path.is_file() else None

    async def held(self, incident: str, segment: int, headers: Mapping[str, str], *, what: str | None = None) -> Answer:
        """How much of a claimed segment is here; with `wire.SIDE`, of its side file."""
        return await self._answered(incident, segment, what, headers, None)

    async def take(
        self,
        incident: str,
        segment: int,
        headers: Mapping[str, str],
        body: AsyncIterator[bytes],
        *,
        what: str | None = None,
    ) -> Answer:
        """Take a piece of a segment, or all of it; with `wire.SIDE`, of its side file."""
        return await self._answered(incident, segment, what, headers, body)

    async def _answered(
        self,
        incident: str,
        segment: int,
        what: str | None,
        headers: Mapping[str, str],
        body: AsyncIterator[bytes] | None,
    ) -> Answer:
        name = what or "clip"
        try:
            claim = await run_sync(self._believed, incident, segment, what, headers)
            if await run_sync(self._is_whole, claim):
                return Answer(201, claim["size"])
            return await self._grown(claim, headers, body)
        except _Refused as refused:
            logger.warning("%s %s/%s refused: %s", name, _shown(incident), segment, refused)
            return refused.answer
        except OSError as error:
            logger.error("%s %s/%s can't be written: %s", name, _shown(incident), segment, error.strerror)
            return Answer(507, reason="no room, or the disk is broken")

    def waiting(self) -> dict[EdgeId, int]:
        """Boxes that were asked just now to keep their clips, for they have more than their share: bytes to come."""
        now = self._clock.now()
        return {box: size for box, (at, size) in self._waits.copy().items() if 0.0 <= now - at < WAITS_S}

    def is_nearly_full(self) -> bool:
        """Whether the disk is so full that what is no clip has hardly room either."""
        return shutil.disk_usage(self._folder).free < self._least_free_bytes // 2

    async def _no_room(self, claim: dict[str, Any], part: _Part) -> str:
        """Why a clip isn't taken now, or none."""
        free = shutil.disk_usage(self._folder).free
        if free < self._least_free_bytes:
            return "the hub's disk is nearly full"
        box = claim["site"], claim["edge"]
        begins = _owner(box)
        # What it sends beside this is its own, too.
        beside = {name: size for name, size in self._busy.items() if name.startswith(begins) and name != part.name}
        to_come = claim["size"] - part.offset + sum(beside.values())
        if free - to_come < self._reserve_bytes and await run_sync(self._exceeds, box, claim["size"], part, beside):
            self._waits[box] = self._clock.now(), to_come
            return "the hub's disk is short, and this box has its share of it: its clips wait with it"
        self._waits.pop(box, None)
        return ""

    def _exceeds(self, box: EdgeId, size: int, part: _Part, beside: Mapping[str, int]) -> bool:
        begun = 0  # and is not ended: that nobody judges, either
        for file in self._folder.glob(f"{_owner(box)}*.part"):
            with suppress(FileNotFoundError):  # completed just now
                begun += 0 if file.stem in (part.name, *beside) else file.stat().st_size
        return self._shares.exceeds(box, begun + sum(beside.values()), size)

    async def _grown(
        self, claim: dict[str, Any], headers: Mapping[str, str], body: AsyncIterator[bytes] | None
    ) -> Answer:
        part = self._part(claim)
        if part.name in self._busy:
            if body is None:
                return Answer(200, part.offset)
            raise _Refused(409, "this is being sent already", part.offset)
        self._busy[part.name] = claim["size"]
        begun_earlier = part.offset > 0
        try:
            if reason := await self._no_room(claim, part):
                return Answer(507, reason=reason)  # and no line in the log: it is asked again and again
            # All may be here already, when the hub died between the last byte and the record.
            if body is not None and part.offset < claim["size"]:
                await part.append(body, self._expected_end(claim, headers, part.offset))
            if part.offset < claim["size"]:
                return Answer(200 if body is None else 202, part.offset)
            await run_sync(self._complete, part, claim, begun_earlier)
        finally:
            self._busy.pop(part.name, None)
        return Answer(201, claim["size"])

    def _believed(self, incident: str, segment: int, what: str | None, headers: Mapping[str, str]) -> dict[str, Any]:
        """The claim in the headers, when edge and signature are right and it is fresh and not too large."""
        try:
            if "\0" in incident or not 0 <= segment <= LAST_SEGMENT:
                raise WireError("no such incident or segment can be")
            claim = wire.clip_claim(headers, incident=incident, segment=segment, what=what)
            self._keys.check(
                claim["site"], claim["edge"],
                lambda key: wire.verify_clip(headers, incident=incident, segment=segment, public_key=key, what=what),
                signed_at=claim["at"], at=self._clock.now(),
            )  # fmt: skip
        except WireError as error:
            raise _Refused(401, str(error)) from error
        if abs(claim["at"] - self._clock.now()) > CLAIM_LIFE_S:
            raise _Refused(401, "the claim is too old, or one of the clocks is wrong")
        known = next(iter(self._store.incidents([incident])), None)  # itself, be it a replay's double of another
        if known and (known.site, known.edge) != (claim["site"], claim["edge"]):
            if not self._keys.kept((known.site, known.edge), (claim["site"], claim["edge"])):
                raise _Refused(401, "the incident is another edge's")
            claim |= {"site": known.site, "edge": known.edge}  # as it was called then
        if not is_time(claim["started_at"]) or claim["duration_s"] > LONGEST_S:
            raise _Refused(422, "no sensible time or duration")
        largest = LARGEST if what == wire.SIDE else self._largest_bytes
        if claim["size"] > largest:
            raise _Refused(413, f"larger than {largest} bytes")
        return claim

    def _is_whole(self, claim: dict[str, Any]) -> bool:
        kept = self._sides.find if _is_side(claim) else self._store.clip
        clip = kept(claim["incident"], claim["segment"])
        if clip is None:
            return False
        if clip.sha256 != claim["sha256"]:
            raise _Refused(422, "another one of this segment is kept already")
        return self._inside(clip.file) is not None  # a disk that was changed may lack it: its edge still has it

    def _part(self, claim: dict[str, Any]) -> _Part:
        words = [claim["site"], claim["edge"], claim["incident"], str(claim["segment"]), claim["sha256"]]
        if _is_side(claim):
            words.append(wire.SIDE)
        name = hashlib.sha256("\0".join(words).encode()).hexdigest()
        return _Part(self._folder, _owner((claim["site"], claim["edge"])) + name, SIDE if _is_side(claim) else CLIP)

    def _expected_end(self, claim: dict[str, Any], headers: Mapping[str, str], held: int) -> int:
        size = claim["size"]
        content_range = headers.get("Content-Range")
        found = _RANGE.fullmatch(content_range or f"bytes 0-{size - 1}/{size}")
        if found is None:
            raise _Refused(422, "Content-Range is malformed", held)
        first, last, total = map(int, found.groups())
        if total != size or not first <= last < total:
            raise _Refused(422, "Content-Range does not fit the size", held)
        if first != held:
            raise _Refused(409, f"expected the piece from byte {held}", held)
        return last + 1

    def _complete(self, part: _Part, claim: dict[str, Any], begun_earlier: bool) -> None:
        if part.sha256() != claim["sha256"]:
            part.remove()
            raise _Refused(409 if begun_earlier else 422, "the checksum does not fit", 0)
        if _is_side(claim):
            self._check_side(part, claim)
        clip = Clip(
            incident=claim["incident"],
            segment=claim["segment"],
            site=claim["site"],
            edge=claim["edge"],
            camera=claim["camera"],
            started_at=claim["started_at"],
            duration_s=claim["duration_s"],
            size=claim["size"],
            sha256=claim["sha256"],
            file=part.keep(),
            stored_at=self._clock.now(),
        )
        add = self._sides.add if _is_side(claim) else self._store.add_clip
        if not add(clip):  # another process was faster
            self._is_whole(claim)
        self._shares.changed()
        self._on_stored(clip.incident)

    def _check_side(self, part: _Part, claim: dict[str, Any]) -> None:
        try:
            with self._reading_side, part.open() as file:
                fields = read_side(file)
            if (fields["incident"], fields["segment"]) != (claim["incident"], claim["segment"]):
                raise WireError("side file: of another segment")
            if any(
                abs(fields[f] - claim[c]) > 0.002 for f, c in (("started_at_unix", "started_at"), ("duration_s",) * 2)
            ):
                raise WireError("side file: of another time")
        except WireError as error:
            part.remove()
            raise _Refused(422, str(error), 0) from error


class _Part:
    """The file of one claim while it grows, and its place when it is whole."""

    def __init__(self, folder: Path, name: str, sort: _Sort) -> None:
        self.name = name
        self._folder = folder
        self._sort = sort
        self._growing = folder / f"{name}.part"
        whole = name.partition("-")[2]
        self._whole = folder / whole[:2] / f"{whole}{sort.suffix}"

    @property
    def offset(self) -> int:
        """How many bytes are here."""
        return self._growing.stat().st_size if self._growing.exists() else 0

    async def append(self, body: AsyncIterator[bytes], end: int) -> None:
        """Add bytes up to `end`; what arrived before a broken connection stays."""
        with self._growing.open("ab") as out:
            async for chunk in body:
                if out.tell() + len(chunk) > end:
                    raise _Refused(413, "more bytes than announced", out.tell())
                await run_sync(out.write, chunk)
            await run_sync(_sync, out)
        sort = self._sort
        with self.open() as begun:
            head = begun.read(sort.magic_at + len(sort.magic))
        if len(head) == sort.magic_at + len(sort.magic) and not head.endswith(sort.magic):
            self.remove()
            raise _Refused(422, sort.otherwise, 0)

    def open(self) -> BufferedReader:
        """What is here, to be read."""
        return self._growing.open("rb")

    def sha256(self) -> str:
        """Of what is here, hex."""
        return sha256_of(self._growing)

    def keep(self) -> str:
        """Move the whole file to its place, to stay there through a power cut; where, relative to the folder."""
        self._whole.parent.mkdir(exist_ok=True)
        self._growing.replace(self._whole)
        for folder in (self._whole.parent, self._folder):
            sync_folder(folder)
        return str(self._whole.relative_to(self._folder))

    def remove(self) -> None:
        """Throw away what is here."""
        self._growing.unlink(missing_ok=True)


def _owner(box: EdgeId) -> str:
    """How names of a box's unfinished files begin."""
    return hashlib.sha256("\0".join(box).encode()).hexdigest()[:16] + "-"


def _is_side(claim: Mapping[str, Any]) -> bool:
    return claim.get("what") == wire.SIDE


def _sync(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _shown(text: str) -> str:
    """Text of a client as it may stand in a log line."""
    return ascii(text[:80])
