"""Checksums of this program's own code: two that differ may call themselves one version, and find something else."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from functools import cache
from pathlib import Path

import detector

LOOKS = frozenset(
    {"inference", "media", "sources", "cards.py", "geometry.py", "values.py"}
    | {"recorded/look_files.py", "recorded/looking.py", "recorded/scanning.py"}
)
"""Packages and modules that have a part in what is seen in a file."""


@cache
def looking_code() -> str:
    """Of what looks at a file, and writes down what it saw."""
    return code(only=LOOKS)


@cache
def code(but: Collection[str] = frozenset(), only: Collection[str] = frozenset()) -> str:
    """Of this program without some packages, or of some packages and modules alone; as it was when first asked."""
    return code_in(Path(detector.__file__).parent, but, only)


def code_in(top: Path, but: Collection[str] = (), only: Collection[str] = ()) -> str:
    """Likewise, of a program in a folder."""
    all_of_it = hashlib.sha256()
    for file in sorted(top.rglob("*.py")):
        name = file.relative_to(top)
        package = name.parts[0]
        if package not in but and (not only or package in only or name.as_posix() in only):
            all_of_it.update(name.as_posix().encode() + b"\0" + file.read_bytes())
    return all_of_it.hexdigest()[:12]
