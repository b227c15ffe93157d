"""Clips come from edges in pieces, signed, and are kept as files; a segment that is whole is never changed again.

    PUT /api/clips/{incident}/{segment}   headers of `wire.clip_headers`, `Content-Range: bytes 0-99/2000`
        201 whole, 202 more to come, 401 not believed, 409 other offset expected (`Upload-Offset`), 413 too large,
        422 not what was claimed (sent bytes are thrown away), 507 disk full
    HEAD the same, signed too            200 or 201 and `Upload-Offset`: how much is here

File names are made here, from a hash of the claim; nothing a client sends becomes part of a path.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from anyio.to_thread import run_sync

from detector import wire
from detector.clock import Clock
from detector.errors import WireError
from detector.hub.store import Clip, Store, is_time

logger = logging.getLogger(__name__)

CLAIM_LIFE_S = 15 * 60.0
ABANDONED_S = 14 * 86400.0  # a piece that nobody came back to complete
LONGEST_S = 86400.0
MAGIC_AT, MAGIC = 4, b"ftyp"  # how an mp4 begins, after a length of four bytes
_RANGE = re.compile(r"bytes (\d{1,15})-(\d{1,15})/(\d{1,15})")


@dataclass(frozen=True, slots=True)
class Answer:
    """What to tell the edge: a status, how many bytes are here, and why."""

    status: int
    offset: int | None = None
    reason: str = ""


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
    """

    def __init__(
        self, folder: Path, store: Store, clock: Clock, largest_bytes: int, on_stored: Callable[[str], None]
    ) -> None:
        self._folder = folder.resolve()
        self._folder.mkdir(parents=True, exist_ok=True)
        self._store = store
        self._clock = clock
        self._largest_bytes = largest_bytes
        self._on_stored = on_stored
        self._busy: set[str] = set()  # touched in the event loop's thread only
        for part in self._folder.glob("*.part"):
            if clock.now() - part.stat().st_mtime > ABANDONED_S:
                part.unlink()

    def find(self, incident: str, segment: int) -> Path | None:
        """The file of a segment that is here whole."""
        clip = self._store.clip(incident, segment)
        if clip is None:
            return None
        path = (self._folder / clip.file).resolve()
        return path if path.is_relative_to(self._folder) and path.is_file() else None

    async def held(self, incident: str, segment: int, headers: Mapping[str, str]) -> Answer:
        """How much of a claimed segment is here."""
        return await self._answered(incident, segment, headers, None)

    async def take(self, incident: str, segment: int, headers: Mapping[str, str], body: AsyncIterator[bytes]) -> Answer:
        """Take a piece of a segment, or all of it."""
        return await self._answered(incident, segment, headers, body)

    async def _answered(
        self, incident: str, segment: int, headers: Mapping[str, str], body: AsyncIterator[bytes] | None
    ) -> Answer:
        try:
            claim = await run_sync(self._believed, incident, segment, headers)
            if await run_sync(self._is_whole, claim):
                return Answer(201, claim["size"])
            return await self._grown(claim, headers, body)
        except _Refused as refused:
            logger.warning("clip %s/%s refused: %s", _shown(incident), segment, refused)
            return refused.answer
        except OSError as error:
            logger.error("clip %s/%s can't be written: %s", _shown(incident), segment, error.strerror)
            return Answer(507, reason="no room, or the disk is broken")

    async def _grown(
        self, claim: dict[str, Any], headers: Mapping[str, str], body: AsyncIterator[bytes] | None
    ) -> Answer:
        part = self._part(claim)
        if part.name in self._busy:
            if body is None:
                return Answer(200, part.offset)
            raise _Refused(409, "this segment is being sent already", part.offset)
        self._busy.add(part.name)
        try:
            # All may be here already, when the hub died between the last byte and the record.
            if body is not None and part.offset < claim["size"]:
                await part.append(body, self._expected_end(claim, headers, part.offset))
            if part.offset < claim["size"]:
                return Answer(200 if body is None else 202, part.offset)
            await run_sync(self._complete, part, claim)
        finally:
            self._busy.discard(part.name)
        return Answer(201, claim["size"])

    def _believed(self, incident: str, segment: int, headers: Mapping[str, str]) -> dict[str, Any]:
        """The claim in the headers, when edge and signature are right and it is fresh and not too large."""
        try:
            claim = wire.clip_claim(headers, incident=incident, segment=segment)
            key = self._store.edge_key(claim["site"], claim["edge"])
            if key is None:
                raise _Refused(401, "the edge is not known")
            wire.verify_clip(headers, incident=incident, segment=segment, public_key=key)
        except WireError as error:
            raise _Refused(401, str(error)) from error
        if abs(claim["at"] - self._clock.now()) > CLAIM_LIFE_S:
            raise _Refused(401, "the claim is too old, or one of the clocks is wrong")
        known = self._store.incident(incident)
        if known and (known.site, known.edge) != (claim["site"], claim["edge"]):
            raise _Refused(401, "the incident is another edge's")
        if not is_time(claim["started_at"]) or claim["duration_s"] > LONGEST_S:
            raise _Refused(422, "no sensible time or duration")
        if claim["size"] > self._largest_bytes:
            raise _Refused(413, f"larger than {self._largest_bytes} bytes")
        return claim

    def _is_whole(self, claim: dict[str, Any]) -> bool:
        clip = self._store.clip(claim["incident"], claim["segment"])
        if clip is None:
            return False
        if clip.sha256 != claim["sha256"]:
            raise _Refused(422, "another recording of this segment is kept already")
        return True

    def _part(self, claim: dict[str, Any]) -> _Part:
        words = (claim["site"], claim["edge"], claim["incident"], str(claim["segment"]), claim["sha256"])
        return _Part(self._folder, hashlib.sha256("\0".join(words).encode()).hexdigest())

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

    def _complete(self, part: _Part, claim: dict[str, Any]) -> None:
        if part.sha256() != claim["sha256"]:
            part.remove()
            raise _Refused(422, "the checksum does not fit", 0)
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
        if not self._store.add_clip(clip):  # another process was faster
            self._is_whole(claim)
        self._on_stored(clip.incident)


class _Part:
    """The file of one claim while it grows, and its place when it is whole."""

    def __init__(self, folder: Path, name: str) -> None:
        self.name = name
        self._folder = folder
        self._growing = folder / f"{name}.part"
        self._whole = folder / name[:2] / f"{name}.mp4"

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
        with self._growing.open("rb") as begun:
            head = begun.read(MAGIC_AT + len(MAGIC))
        if len(head) == MAGIC_AT + len(MAGIC) and not head.endswith(MAGIC):
            self.remove()
            raise _Refused(422, "not an mp4 file", 0)

    def sha256(self) -> str:
        """Of what is here, hex."""
        with self._growing.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def keep(self) -> str:
        """Move the whole file to its place; where that is, relative to the folder."""
        self._whole.parent.mkdir(exist_ok=True)
        self._growing.replace(self._whole)
        return str(self._whole.relative_to(self._folder))

    def remove(self) -> None:
        """Throw away what is here."""
        self._growing.unlink(missing_ok=True)


def _sync(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _shown(text: str) -> str:
    """Text of a client as it may stand in a log line."""
    return ascii(text[:80])
