"""The source code of the running program, as its licence (AGPL-3.0, section 13) wants it offered to users."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import detector

PACKAGE = Path(detector.__file__).resolve().parent
# From a clone, what is needed to build and run it comes along; an installed package has only itself.
BESIDE = ("LICENSE", "README.md", "Makefile", "pyproject.toml", "requirements.lock", "requirements-dev.lock")


def archive_name() -> str:
    """Name of the archive's file."""
    return f"labelwatch-{detector.__version__}.tar.gz"


@cache
def archive() -> bytes:
    """A `.tar.gz` of the source; the same bytes every time."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, path in sorted(_files()):
            content = path.read_bytes()
            entry = tarfile.TarInfo(f"labelwatch-{detector.__version__}/{name}")
            entry.size, entry.mode = len(content), 0o644
            tar.addfile(entry, io.BytesIO(content))
    return gzip.compress(raw.getvalue(), mtime=0)


def _files() -> Iterator[tuple[str, Path]]:
    for path in PACKAGE.rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts:
            yield f"detector/{path.relative_to(PACKAGE).as_posix()}", path
    clone = PACKAGE.parent
    if (clone / "pyproject.toml").is_file():
        yield from ((name, clone / name) for name in BESIDE if (clone / name).is_file())
