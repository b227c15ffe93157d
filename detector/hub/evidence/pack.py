"""A case comes in; its evidence pack, written to a file, leaves. What is in it:

    说明.html, README.html       hand-over sheet, Chinese and English (`handover`)
    case.json                    the case, its totals, its incidents and their folders; `confirms` where a replay found
                                 one of the others again
    edges.json                   of each edge: public key, model, configuration, clock
    access-log.json              who saw, judged and exported these incidents: lines of the audit log, and its head
    hub.pem                      the public key that the manifest is signed with
    incidents/001-ID/
        incident.json            the newest state, verdicts, notes, who went there, what became of each segment
        envelopes.jsonl          all that the edge told of it, as signed
        envelopes-without-picture.jsonl  of that, what was signed with a picture that was deleted since
        segment-000.mp4          the recording, untouched
        segment-000.json.gz      its side file
        snapshot-01.jpg          pictures that came with the envelopes, labels blurred by the edge
    manifest.json, SIGNATURE     see `evidence`

What isn't known is `null`. The same case, made at the same time, is the same file to the byte.
"""

from __future__ import annotations

import hashlib
import io
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO
from zoneinfo import ZoneInfo

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import func, select

from detector import wire
from detector.clock import iso, kernel_clock
from detector.errors import LabelwatchError, WireError
from detector.hub.desk.charts import evidence as segments_of
from detector.hub.desk.responses import Responses, trips_to
from detector.hub.desk.reviews import Reviews
from detector.hub.edges.keys import EdgeKeys
from detector.hub.evidence.cases import Case
from detector.hub.evidence.figures import events, totals
from detector.hub.evidence.handover import Edge, Recording, Sheet, sheet
from detector.hub.footage.clips import ClipFolder
from detector.hub.storage.arrivals import at_hand
from detector.hub.storage.audit_chain import BEGINNING
from detector.hub.storage.schema import alerts, audit, edges
from detector.hub.storage.store import Store
from detector.hub.storage.stored import StoredIncident
from detector.version import VERSION
from detector.wire import evidence
from detector.wire.evidence import (
    CASE,
    CHUNK,
    EDGES,
    ENVELOPES,
    HUB_KEY,
    LOG,
    WITHOUT_PICTURE,
    PackWriter,
    as_json,
    picture_in,
    verify_by_any,
)

SHEETS = {"zh": "说明.html", "en": "README.html"}
Progress = Callable[[int, int], None]


class PackStopped(LabelwatchError):  # noqa: N818  (what happened)
    """It can't be made; the text is one of the reasons `packs` knows."""


@dataclass(frozen=True, slots=True)
class Archive:
    """Where the contents of packs come from, and the key that signs them."""

    store: Store
    clips: ClipFolder
    key: Ed25519PrivateKey
    timezone: str

    @property
    def reviews(self) -> Reviews:
        """What people wrote to incidents."""
        return Reviews(self.store.database)

    @property
    def responses(self) -> Responses:
        """Who went to where they were."""
        return Responses(self.store.database)


@dataclass(frozen=True, slots=True)
class _Laid:
    """So many bytes from a place on in a file that is open."""

    file: BinaryIO
    at: int
    size: int

    def chunks(self) -> Iterator[bytes]:
        """Piece by piece."""
        self.file.seek(self.at)
        left = self.size
        while left > 0 and (chunk := self.file.read(min(CHUNK, left))):
            left -= len(chunk)
            yield chunk


@dataclass(frozen=True, slots=True)
class _File:
    """A file to be put in: its content, or where it is."""

    name: str
    content: _Laid | Path
    sha256: str = ""  # that it must have, where it is known

    @property
    def size(self) -> int:
        """Bytes."""
        return self.content.stat().st_size if isinstance(self.content, Path) else self.content.size

    def chunks(self) -> Iterator[bytes]:
        """Its content, piece by piece."""
        if not isinstance(self.content, Path):
            yield from self.content.chunks()
            return
        with self.content.open("rb") as file:
            while chunk := file.read(CHUNK):
                yield chunk


class Pack:
    """The pack of a case as it stands now, planned; `write` writes it.

    What isn't a recording lies in a nameless file on disk meanwhile, for of hundreds of incidents it is more than the
    hub's memory should hold.

    Args:
        archive: Where its contents come from.
        case: Which.
        made_by: Who asked for it.
        made_at: When, Unix seconds.
        damaged: Paths of recordings that are not what they were when they came; they are put in, and said to be so.
        alive: Called now and then while it is planned, which takes long for many incidents.
        folder: Where that file is; the system's for such files where it is left out.

    Raises:
        PackStopped: None of its incidents is known any more.
        OSError: That file can't be written.
    """

    def __init__(
        self,
        archive: Archive,
        case: Case,
        *,
        made_by: str,
        made_at: float,
        damaged: frozenset[Path] = frozenset(),
        alive: Callable[[], None] = lambda: None,
        folder: Path | None = None,
    ) -> None:
        self._archive = archive
        self._case = case
        self._made_by, self._made_at = made_by, made_at
        self._damaged = damaged
        self._alive = alive
        self._laid: BinaryIO = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  (gone with the pack)
        self.files = sorted(self._planned(), key=lambda file: evidence.place(file.name))

    @property
    def size(self) -> int:
        """Bytes of all files; headers come to a little more."""
        return sum(file.size for file in self.files)

    def write(self, out: BinaryIO, progress: Progress) -> frozenset[Path]:
        """Write it.

        Args:
            out: Empty, opened for writing, and can be sought in.
            progress: Told how many bytes are written, and of how many; what it raises ends the writing.

        Returns:
            Recordings that turned out to be damaged: the pack is right when there are none.

        Raises:
            OSError: A recording can't be read, or the pack written.
        """
        writer, size, done = PackWriter(out, self._made_at), self.size, 0
        damaged = set()
        for file in self.files:
            told = done
            entry = writer.add(file.name, file.size, self._told(file, progress, told, size))
            done += file.size
            if file.sha256 and entry.sha256 != file.sha256 and isinstance(file.content, Path):
                damaged.add(file.content)
        writer.close(self._archive.key, case=self._case.number, labelwatch=VERSION)
        return frozenset(damaged) - self._damaged

    @staticmethod
    def _told(file: _File, progress: Progress, done: int, size: int) -> Iterator[bytes]:
        for chunk in file.chunks():
            yield chunk
            done += len(chunk)
            progress(done, size)

    # What is in it

    def _lay(self, name: str, content: bytes) -> _File:
        """A file with such a content."""
        at = self._laid.seek(0, io.SEEK_END)
        self._laid.write(content)
        return _File(name, _Laid(self._laid, at, len(content)))

    def _lay_lines(self, name: str, envelopes: Iterable[dict[str, Any]]) -> _File:
        """A file of envelopes, one a line."""
        return self._lay(name, b"".join(wire.encode(one) + b"\n" for one in envelopes))

    def _planned(self) -> list[_File]:
        known = self._archive.store.incidents(self._case.incidents)
        incidents = sorted(events(known), key=lambda incident: (incident.started_at, incident.id))
        if not incidents:
            raise PackStopped("incidents_gone")
        # What replays found of them again, or other cameras told, comes along behind them, and counts for nothing.
        again = [double for one in incidents for double in self._archive.store.doubles(one.id)]
        inside = [*incidents, *again]
        folders = {one.id: f"incidents/{n:03}-{safe(one.id)}" for n, one in enumerate(inside, 1)}
        files, recordings, stills = [], [], {}
        for number, incident in enumerate(inside, 1):
            self._alive()
            envelopes = self._envelopes(incident)
            of_incident, segments = self._incident(folders[incident.id], incident, envelopes)
            files += of_incident
            recordings += [Recording(number, incident, **segment) for segment in segments]
            pictures = [jpeg for jpeg in map(picture_in, envelopes) if jpeg]
            if pictures:
                stills[incident.id] = pictures[-1]
        edges = [self._edge(site, edge, inside) for site, edge in sorted({(i.site, i.edge) for i in inside})]
        log = self._log([incident.id for incident in inside])
        public = self._archive.key.public_key()
        trips = trips_to(self._archive.responses.steps([one.id for one in incidents]))
        told = Sheet(
            case=self._case, incidents=tuple(incidents), recordings=tuple(recordings), stills=stills,
            totals=totals(incidents, ZoneInfo(self._archive.timezone)), trips=trips, edges=tuple(edges),
            made_by=self._made_by, made_at=self._made_at, timezone=self._archive.timezone,
            key=evidence.fingerprint(public), clock=kernel_clock(), log_head=log["head"],
        )  # fmt: skip
        return [
            *files,
            self._lay(CASE, as_json(self._case_fields(told, inside, folders))),
            self._lay(EDGES, as_json([asdict(edge) for edge in edges])),
            self._lay(LOG, as_json(log)),
            self._lay(HUB_KEY, evidence.public_pem(public)),
            *(self._lay(name, sheet(told, language).encode()) for language, name in SHEETS.items()),
        ]

    def _case_fields(self, told: Sheet, inside: Iterable[StoredIncident], folders: Mapping[str, str]) -> dict[str, Any]:
        """What `case.json` says: the case with its incidents and their folders, and by whom and when it was packed."""
        return {
            **{name: value for name, value in asdict(self._case).items() if name not in ("places", "incidents")},
            "labelwatch": VERSION,
            "made_by": self._case.made_by,
            "pack": {"made_by": self._made_by, "made_at": iso(self._made_at), "made_at_unix": self._made_at},
            "timezone": self._archive.timezone,
            "hub_clock": told.clock and asdict(told.clock),
            "totals": {**asdict(told.totals), "days": [str(day) for day in told.totals.days]},
            "incidents": [
                {**{name: getattr(one, name) for name in ("id", "site", "edge", "camera", "kind")},
                 "folder": folders[one.id], "started_at": iso(one.started_at), "ended_at": iso(one.ended_at),
                 **({"confirms": one.same_as} if one.same_as else {})}
                for one in inside
            ],
            "incidents_gone": sorted(set(self._case.incidents) - folders.keys()),
        }  # fmt: skip

    def _envelopes(self, incident: StoredIncident) -> list[dict[str, Any]]:
        """Envelopes of its own edge: another may have told of the same id."""
        found = self._archive.store.envelopes(incident.id)
        return [one for one in found if (one["site"], one["edge"]) == (incident.site, incident.edge)]

    def _incident(
        self, folder: str, incident: StoredIncident, envelopes: list[dict[str, Any]]
    ) -> tuple[list[_File], list[dict[str, Any]]]:
        """Files of an incident, and what its segments are."""
        store = self._archive.store
        files, segments = [], []
        is_gone = bool(store.without_footage([incident.id]))
        for row in segments_of(incident, store.clips(incident.id), is_gone=is_gone):
            found, told = self._segment(folder, incident.id, row)
            files += found
            segments.append(told)
        pictures = list(dict.fromkeys(jpeg for jpeg in map(picture_in, envelopes) if jpeg))
        files += [self._lay(f"{folder}/snapshot-{n:02}.jpg", jpeg) for n, jpeg in enumerate(pictures, 1)]
        kept, cut = self._by_picture(incident, envelopes) if is_gone else (envelopes, [])
        files.append(self._lay_lines(f"{folder}/{ENVELOPES}", kept))
        if cut:
            files.append(self._lay_lines(f"{folder}/{WITHOUT_PICTURE}", cut))
        told = {
            "id": incident.id,
            "phase": incident.phase,
            "verdict": incident.verdict,
            "verdicts": [asdict(verdict) for verdict in store.verdicts.on(incident.id)],
            "notes": [asdict(note) for note in self._archive.reviews.notes(incident.id)],
            "responses": [asdict(step) for step in self._archive.responses.steps([incident.id])],
            "record": _as_signed(incident, envelopes),
            "segments": segments,
        }
        return [*files, self._lay(f"{folder}/incident.json", as_json(told))], segments

    def _by_picture(
        self, incident: StoredIncident, envelopes: list[dict[str, Any]]
    ) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """Envelopes of an incident whose footage was deleted: those as signed, and those whose picture went."""
        keys = [key.key for key in EdgeKeys(self._archive.store.database).of(incident.site, incident.edge)]
        kept: list[dict[str, Any]] = []
        cut: list[dict[str, Any]] = []
        for one in envelopes:
            try:
                verify_by_any(one, keys)
            except WireError:
                (kept if picture_in(one) else cut).append(one)
            else:
                kept.append(one)
        return kept, cut

    def _segment(self, folder: str, incident: str, row: dict[str, Any]) -> tuple[list[_File], dict[str, Any]]:
        """A segment's files, as far as they are here, and what is to be said of it."""
        number, clip = row["segment"], row["clip"]
        told = {"segment": number, "state": row["state"], "file": None, "side": None}
        if clip is None:
            return [], {**told, "sha256": None, "size": None, "started_at": None, "duration_s": None}
        told |= {name: getattr(clip, name) for name in ("sha256", "size", "started_at", "duration_s")}
        files = []
        path = self._archive.clips.find(incident, number)
        if path is None:
            told["state"] = "lost"
        else:
            files.append(_File(f"{folder}/segment-{number:03}.mp4", path, clip.sha256))
            told["file"] = files[-1].name
        side = self._archive.clips.find_side(incident, number)
        if side is not None:
            files.append(_File(f"{folder}/segment-{number:03}.json.gz", side[1], side[0].sha256))
            told["side"] = files[-1].name
        if self._damaged.intersection(file.content for file in files):
            told["state"] = "damaged"
        return files, told

    def _edge(self, site: str, edge: str, incidents: Sequence[StoredIncident]) -> Edge:
        """What is known of an edge: as its newest health report says, which may be younger than the incidents."""
        ids = [incident.id for incident in incidents]
        delay = select(func.min(alerts.c.received_at - alerts.c.sent_at)).where(
            alerts.c.incident.in_(ids), alerts.c.site == site, alerts.c.edge == edge
        )
        row = select(edges).where(edges.c.site == site, edges.c.edge == edge)
        with self._archive.store.database.reading() as connection:
            quickest = connection.execute(delay).scalar_one_or_none()
            found = connection.execute(row).one_or_none()
        known = dict(found._mapping) if found else {}
        keys = [key.key for key in EdgeKeys(self._archive.store.database).of(site, edge)]
        return Edge.of(
            site, edge, keys, known.get("health") or {},
            clock_offset_s=known.get("clock_offset_s"), reported_at=known.get("health_at"), quickest_alert_s=quickest,
        )  # fmt: skip

    def _log(self, incidents: Sequence[str]) -> dict[str, Any]:
        """Lines of the audit log on these incidents and the case, in order, each with the hash of the line before."""
        before = audit.alias()
        last = select(before.c.hash).where(before.c.number < audit.c.number).order_by(before.c.number.desc()).limit(1)
        mine = audit.c.subject.in_([*incidents, self._case.subject])
        query = select(audit, func.coalesce(last.scalar_subquery(), BEGINNING).label("hash_before")).where(mine)
        with self._archive.store.database.reading() as connection:
            entries = [dict(row._mapping) for row in connection.execute(query.order_by(audit.c.number))]
            head = connection.execute(
                select(audit.c.number, audit.c.hash).order_by(audit.c.number.desc()).limit(1)
            ).one_or_none()
        return {"entries": entries, "head": dict(head._mapping) if head else None}


def write_pack(
    archive: Archive,
    case: Case,
    path: Path,
    *,
    made_by: str,
    made_at: float,
    progress: Progress,
    room: Callable[[int], None] = lambda _size: None,
) -> None:
    """Write the pack of a case to a file.

    Args:
        archive: Where its contents come from.
        case: Which.
        path: Of the file; beside it lies meanwhile what isn't a recording.
        made_by: Who asked for it.
        made_at: When, Unix seconds.
        progress: As of `Pack.write`; told of no bytes while it is planned.
        room: Told how many bytes it will be before any is written; what it raises ends it.

    Raises:
        PackStopped: See `Pack`.
        OSError: A recording can't be read, or the file written.
    """
    damaged: frozenset[Path] = frozenset()
    while True:
        pack = Pack(
            archive, case, made_by=made_by, made_at=made_at, damaged=damaged, alive=lambda: progress(0, 0),
            folder=path.parent,
        )  # fmt: skip
        with path.open("wb") as out:
            try:
                room(pack.size)
                found = pack.write(out, progress)
            except FileNotFoundError:
                continue  # retention took a recording of a closed case meanwhile: once more, so that it says so itself
        if not found:
            return
        damaged |= found  # likewise


def _as_signed(incident: StoredIncident, envelopes: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """The data of an incident as its edge signed them, where less of them is kept at hand."""
    told = (fields["after"] for fields in envelopes)
    return next((after for after in told if at_hand(after) == incident.record), incident.record)


def safe(text: str) -> str:
    """An id as part of a file name on any system: itself, or what is safe of it and a hash."""
    plain = re.sub(r"[^A-Za-z0-9_-]", "_", text)[:40]
    return plain if plain == text else f"{plain[:31]}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"
