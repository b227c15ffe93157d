"""The file of an evidence pack: a ZIP of stored files in one fixed layout, so that every byte of it is accounted for.

    one entry a file, in the order of their names; `manifest.json`, which lists their sizes and hashes; `SIGNATURE`

What stands between the contents (headers, table of contents, end) follows from names, sizes, checksums and the time of
making alone. Whoever reads a pack can thus tell what each of its bytes has to be: a content's by its hash, all others
by writing them once more. Nothing is compressed: clips and pictures don't shrink, and what isn't packed can't burst.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
import json
import re
import struct
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, BinaryIO

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from detector.errors import WireError
from detector.wire.signatures import verify

KIND = "labelwatch evidence pack"
SCHEMA = 1
MANIFEST, SIGNATURE = "manifest.json", "SIGNATURE"
LAST = (MANIFEST, SIGNATURE)
CASE, EDGES, LOG, HUB_KEY = "case.json", "edges.json", "access-log.json", "hub.pem"
ENVELOPES, WITHOUT_PICTURE = "envelopes.jsonl", "envelopes-without-picture.jsonl"  # in an incident's folder
CHUNK = 2**20
LARGEST_TEXT = 64 * CHUNK  # of any file that is read as a whole
MOST_FILES = 100_000
LONGEST_NAME = 240

_32_BITS, _16_BITS = 0xFFFFFFFF, 0xFFFF  # what stands in a field too small for its value, which Zip64 then holds
_LOCAL, _CENTRAL = b"PK\x03\x04", b"PK\x01\x02"
_END, _END64, _LOCATOR = b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07"
_UTF8 = 0x800
_VERSION, _VERSION64 = 20, 45
_MADE_BY = 3 << 8 | _VERSION64  # Unix
_MODE = 0o100644
_SYMLINK = 0o120000
_UNSAFE = re.compile(r"[\x00-\x1f\x7f\\:]")


class NotAPack(Exception):  # noqa: N818  (what a file is, not an error of ours)
    """The file can't be read as a pack at all.

    Attributes:
        why: A word for it: see `verify.TEXTS`.
        name: The entry that it is about; empty where it is about the file.
    """

    def __init__(self, why: str, name: str = "") -> None:
        super().__init__(f"{why} {name!a}" if name else why)
        self.why = why
        self.name = name


@dataclass(frozen=True, slots=True)
class Entry:
    """A file in a pack: its name, size in bytes, CRC-32, SHA-256 (hex), and where its header begins."""

    name: str
    size: int
    crc: int
    sha256: str
    offset: int

    @property
    def content_at(self) -> int:
        """Where its content begins."""
        return self.offset + 30 + len(self.name.encode()) + (20 if self.size >= _32_BITS else 0)

    def header(self, made_at: float) -> bytes:
        """What stands before its content."""
        name, is_big = self.name.encode(), self.size >= _32_BITS
        extra = struct.pack("<HHQQ", 1, 16, self.size, self.size) if is_big else b""
        shown = _32_BITS if is_big else self.size
        needed = _VERSION64 if is_big else _VERSION
        fields = (needed, _UTF8, 0, *dos_time(made_at), self.crc, shown, shown, len(name), len(extra))
        return _LOCAL + struct.pack("<HHHHHIIIHH", *fields) + name + extra

    def listing(self, made_at: float) -> bytes:
        """What the table of contents says of it."""
        name, big = self.name.encode(), []
        size, offset = self.size, self.offset
        if size >= _32_BITS:
            big += [size, size]
            size = _32_BITS
        if offset >= _32_BITS:
            big.append(offset)
            offset = _32_BITS
        extra = struct.pack(f"<HH{len(big)}Q", 1, 8 * len(big), *big) if big else b""
        needed = _VERSION64 if big else _VERSION
        fields = (_MADE_BY, needed, _UTF8, 0, *dos_time(made_at), self.crc, size, size, len(name), len(extra))
        rest = struct.pack("<HHHII", 0, 0, 0, _MODE << 16, offset)
        return _CENTRAL + struct.pack("<HHHHHHIIIHH", *fields) + rest + name + extra


def contents(entries: Iterable[Entry], made_at: float, begins: int) -> bytes:
    """The table of contents, which begins at that place in the file, and the file's end."""
    listings = [entry.listing(made_at) for entry in entries]
    table, count = b"".join(listings), len(listings)
    shown = min(count, _16_BITS), min(len(table), _32_BITS), min(begins, _32_BITS)
    end = b""
    if count >= _16_BITS or len(table) >= _32_BITS or begins >= _32_BITS:
        fields = (44, _MADE_BY, _VERSION64, 0, 0, count, count, len(table), begins)
        end += _END64 + struct.pack("<QHHIIQQQQ", *fields)
        end += _LOCATOR + struct.pack("<IQI", 0, begins + len(table), 1)
    return table + end + _END + struct.pack("<HHHHIIH", 0, 0, shown[0], *shown, 0)


def dos_time(at: float) -> tuple[int, int]:
    """Time and date of Unix seconds, UTC, as a ZIP has them: within 1980 to 2107, to two seconds."""
    when = datetime.fromtimestamp(min(max(at, 315_532_800.0), 4_354_819_198.0), UTC)
    time = when.hour << 11 | when.minute << 5 | when.second // 2
    return time, (when.year - 1980) << 9 | when.month << 5 | when.day


class PackWriter:
    """Writes a pack to a file that can be sought in, content by content, in whatever memory a chunk takes.

    Args:
        file: Empty, opened for writing.
        made_at: Time of making, Unix seconds; the only time in the container.
    """

    def __init__(self, file: BinaryIO, made_at: float) -> None:
        self._file = file
        self._made_at = made_at
        self.entries: list[Entry] = []

    def add(self, name: str, size: int, chunks: Iterable[bytes]) -> Entry:
        """Write a file, which must come in the order of names and be as long as said.

        Raises:
            ValueError: It doesn't, or isn't; or the name is none for a pack.
        """
        last = self.entries[-1].name if self.entries else ""
        if not is_safe(name) or place(name) <= place(last):
            raise ValueError(f"no name for a pack, or out of order: {name!a}")
        offset = self._file.tell()
        self._file.write(Entry(name, size, 0, "", offset).header(self._made_at))
        crc, sha256, held = 0, hashlib.sha256(), 0
        for chunk in chunks:
            self._file.write(chunk)
            crc, held = zlib.crc32(chunk, crc), held + len(chunk)
            sha256.update(chunk)
        if held != size:
            raise ValueError(f"{name}: {held} bytes came, {size} were said")
        entry = Entry(name, size, crc, sha256.hexdigest(), offset)
        ends = self._file.tell()
        self._file.seek(offset)
        self._file.write(entry.header(self._made_at))
        self._file.seek(ends)
        self.entries.append(entry)
        return entry

    def close(self, key: Ed25519PrivateKey, **about: Any) -> None:
        """Write manifest, signature, table of contents and end; `about` goes into the manifest."""
        manifest = manifest_of(self.entries, key, self._made_at, about)
        signature = base64.b64encode(key.sign(manifest)) + b"\n"
        for name, content in ((MANIFEST, manifest), (SIGNATURE, signature)):
            self.add(name, len(content), [content])
        self._file.write(contents(self.entries, self._made_at, self._file.tell()))


def manifest_of(entries: Iterable[Entry], key: Ed25519PrivateKey, made_at: float, about: Mapping[str, Any]) -> bytes:
    """The list of files that is signed."""
    fields = {
        "kind": KIND,
        "schema": SCHEMA,
        "made_at_unix": made_at,
        "key": fingerprint(key.public_key()),
        **about,
        "files": [{"name": entry.name, "size": entry.size, "sha256": entry.sha256} for entry in entries],
    }
    return as_json(fields)


def as_json(value: Any) -> bytes:
    """JSON that is the same for the same value, and that people can read."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, indent=1, sort_keys=True).encode() + b"\n"


def fingerprint(key: Ed25519PublicKey) -> str:
    """SHA-256 of the raw public key, hex."""
    return hashlib.sha256(key.public_bytes(Encoding.Raw, PublicFormat.Raw)).hexdigest()


def grouped(fingerprint_: str) -> str:
    """A fingerprint as people compare it: `9f2c 01ab …`."""
    return " ".join(re.findall(".{1,4}", fingerprint_))


def public_pem(key: Ed25519PublicKey) -> bytes:
    """A public key as other programs take it, too."""
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def read_pem(text: bytes) -> Ed25519PublicKey | None:
    """A public key from `public_pem`; `None` from anything else."""
    try:
        key = load_pem_public_key(text)
    except Exception:  # noqa: BLE001  (the library raises several kinds)
        return None
    return key if isinstance(key, Ed25519PublicKey) else None


def is_signed(manifest: bytes, signature: bytes, key: Ed25519PublicKey) -> bool:
    """Whether `SIGNATURE` holds the key's signature of the manifest, written in its one normal form."""
    try:
        raw = base64.b64decode(signature.removesuffix(b"\n"), validate=True)
        key.verify(raw, manifest)
    except (binascii.Error, ValueError, InvalidSignature):
        return False
    return base64.b64encode(raw) + b"\n" == signature


def is_safe(name: str) -> bool:
    """Whether a name stays within the folder that somebody unpacks into, on any system."""
    parts = name.split("/")
    return not _UNSAFE.search(name) and len(name.encode()) <= LONGEST_NAME and not {"", ".", ".."}.intersection(parts)


def place(name: str) -> tuple[int, bytes]:
    """Where a file stands in a pack."""
    return (LAST.index(name) + 1 if name in LAST else 0), name.encode()


def read_table(file: BinaryIO) -> list[Entry]:
    """Files that a pack's table of contents names; without their hashes, which only their contents tell.

    Nothing else of the file is read, and no more memory taken than the table itself is long.

    Raises:
        NotAPack: The file is no ZIP, is cut off, or holds what a pack never does: names that lead elsewhere, or come
            twice, links, compressed or encrypted files, files that lie outside of it or over each other.
    """
    file_size = file.seek(0, io.SEEK_END)
    table, count = _table(file, file_size)
    entries: list[Entry] = []
    names: set[str] = set()
    at = 0
    while at < len(table):
        entry, at = _listed(table, at)
        if entry.name.casefold() in names:  # on some systems these are one file
            raise NotAPack("twice", entry.name)
        if entry.content_at + entry.size > file_size:
            raise NotAPack("cut_off", entry.name)
        names.add(entry.name.casefold())
        entries.append(entry)
    if len(entries) != count:
        raise NotAPack("table")
    ends = 0
    for entry in sorted(entries, key=lambda entry: entry.offset):
        if entry.offset < ends:
            raise NotAPack("overlapping", entry.name)
        ends = entry.content_at + entry.size
    return entries


def read_content(file: BinaryIO, entry: Entry) -> Iterator[bytes]:
    """An entry's content in chunks."""
    file.seek(entry.content_at)
    left = entry.size
    while left > 0 and (chunk := file.read(min(CHUNK, left))):
        left -= len(chunk)
        yield chunk


def _table(file: BinaryIO, file_size: int) -> tuple[bytes, int]:
    """The table of contents, and how many entries it is to have."""
    file.seek(0)
    if file.read(4) not in (_LOCAL, _END):
        raise NotAPack("no_zip")
    file.seek(max(0, file_size - 22))
    end = file.read(22)
    if len(end) < 22 or not end.startswith(_END):
        raise NotAPack("cut_off")
    _disk, _first, _here, count, size, begins, comment = struct.unpack("<HHHHIIH", end[4:])
    ends = file_size - 22
    if comment:
        raise NotAPack("table")
    if count == _16_BITS or _32_BITS in (size, begins):
        count, size, begins, ends = _table64(file, ends)
    if begins + size != ends or count > MOST_FILES or size > LARGEST_TEXT:
        raise NotAPack("table")
    file.seek(begins)
    return file.read(size), count


def _table64(file: BinaryIO, ends: int) -> tuple[int, int, int, int]:
    file.seek(max(0, ends - 76))
    both = file.read(76)
    if len(both) < 76 or not both.startswith(_END64) or both[56:60] != _LOCATOR:
        raise NotAPack("table")
    *_others, count, size, begins = struct.unpack("<QHHIIQQQQ", both[4:56])
    return count, size, begins, ends - 76


def _listed(table: bytes, at: int) -> tuple[Entry, int]:
    """The entry listed there, and where the next begins."""
    fixed = table[at : at + 46]
    if len(fixed) < 46 or not fixed.startswith(_CENTRAL):
        raise NotAPack("table")
    fields = struct.unpack("<HHHHHHIIIHHHHHII", fixed[4:])
    flags, method, crc, packed, size = fields[2], fields[3], *fields[6:9]
    name_length, extra_length, comment_length, *_internal, external, offset = fields[9:]
    ends = at + 46 + name_length + extra_length + comment_length
    raw, extra = table[at + 46 : at + 46 + name_length], table[at + 46 + name_length : ends]
    if ends > len(table) or comment_length:
        raise NotAPack("table")
    try:
        name = raw.decode()
    except UnicodeDecodeError as error:
        raise NotAPack("name", raw.decode(errors="replace")) from error
    if not is_safe(name):
        raise NotAPack("name", name)
    if (external >> 16) & 0o170000 == _SYMLINK:
        raise NotAPack("link", name)
    if flags & 1:
        raise NotAPack("encrypted", name)
    if method or packed != size:
        raise NotAPack("compressed", name)
    size, offset = _whole(size, offset, extra, name)
    return Entry(name, size, crc, "", offset), ends


def _whole(size: int, offset: int, extra: bytes, name: str) -> tuple[int, int]:
    """Size and offset, from the Zip64 field where they are too large for their own."""
    expected = (2 if size == _32_BITS else 0) + (offset == _32_BITS)
    if len(extra) != (4 + 8 * expected if expected else 0):
        raise NotAPack("table", name)
    if not expected:
        return size, offset
    kind, length, *big = struct.unpack(f"<HH{expected}Q", extra)
    if kind != 1 or length != 8 * expected:
        raise NotAPack("table", name)
    if size == _32_BITS:
        size, packed, *big = big
        if packed != size:
            raise NotAPack("compressed", name)
    return size, big[0] if big else offset


def verify_by_any(fields: Mapping[str, Any], keys: Sequence[str]) -> None:
    """Check a signature by an edge: with the key that it names, or with each where it names none.

    Raises:
        WireError: None fits.
    """
    for key in keys:
        if fields.get("key") in (None, key):
            try:
                return verify(fields, key)
            except WireError:
                continue
    raise WireError("the signature fits no key of the edge")


def picture_in(envelope: dict[str, Any]) -> bytes | None:
    """The picture that an envelope carries."""
    snapshot = envelope.get("snapshot")
    try:
        return base64.b64decode(snapshot, validate=True) if isinstance(snapshot, str) else None
    except (binascii.Error, ValueError):
        return None
