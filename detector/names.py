"""What sites, edges, cameras and zones may be called: a word of ASCII, fit for a topic, a file and an address.

In lists they stand as people count: `cam2` before `cam10`.
"""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import Field

_WORD = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}"
Name = Annotated[str, Field(pattern=f"^{_WORD}$")]


def is_name(text: str) -> bool:
    """Whether something may be called so."""
    return re.fullmatch(_WORD, text) is not None


def natural(*texts: str) -> tuple[tuple[list[str | int], str], ...]:
    """A key to sort by one name or title after another: numbers in them by their size, letters whatever their case."""
    return tuple((_pieces(text.casefold()), text) for text in texts)


def _pieces(text: str) -> list[str | int]:
    """Text and numbers by turns, so that like is compared with like; no number is longer than a machine's."""
    return [int(piece) if n % 2 else piece for n, piece in enumerate(re.split(r"([0-9]{1,18})", text))]
