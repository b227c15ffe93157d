"""Secrets that are known by sight, and a search for them in everything that a run has left or said."""

from __future__ import annotations

import base64
import gzip
import io
import json
import re
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from urllib.parse import quote

LONG_BASE64 = re.compile(rb"[A-Za-z0-9+/]{64,}={0,2}")


@dataclass(frozen=True, slots=True)
class Needle:
    """Something that must be found nowhere but in certain places.

    Attributes:
        name: What it is, for the table of finds.
        value: As it is.
        homes: Patterns of places where it belongs.
    """

    name: str
    value: str
    homes: tuple[str, ...] = ()

    def written(self) -> set[bytes]:
        """Ways in which a program may come to write it."""
        ways = {self.value, quote(self.value), quote(self.value, safe=""), json.dumps(self.value)[1:-1]}
        found = {way.encode() for way in ways}
        # In base64 it begins at one of three places, and its ends mix with what is beside it.
        found |= {base64.b64encode(b"\0" * n + self.value.encode())[4:-4] for n in range(3)}
        return found | {self.value.encode().hex().encode()}


def opened(place: str, content: bytes) -> Iterator[tuple[str, bytes]]:
    """A content, and what is packed in it: zip, gzip, base64."""
    yield place, content
    if content.startswith(b"PK\x03\x04"):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for name in archive.namelist():
                yield from opened(f"{place}!{name}", archive.read(name))
    elif content.startswith(b"\x1f\x8b"):
        yield from opened(f"{place}!gz", gzip.decompress(content))
    elif content[:1] in (b"{", b"["):
        for n, found in enumerate(LONG_BASE64.findall(content)):
            yield from opened(f"{place}!base64-{n}", base64.b64decode(found[: len(found) // 4 * 4]))


def files_of(folder: Path, name: str = "") -> dict[str, bytes]:
    """Every file below a folder, by its place."""
    found = sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return {f"{name or folder.name}/{path.relative_to(folder)}": path.read_bytes() for path in found}


def finds(haystack: Mapping[str, bytes], needles: list[Needle]) -> list[tuple[str, str, str]]:
    """What was found where it doesn't belong: name, place, and what stands around it."""
    table = []
    for outer, whole in haystack.items():
        for place, content in opened(outer, whole):
            for needle in needles:
                at = next((at for way in needle.written() if (at := content.find(way)) >= 0), -1)
                if at >= 0 and not any(fnmatch(place, home) for home in needle.homes):
                    table.append((needle.name, place, repr(content[max(0, at - 60) : at + 60])))
    return table
