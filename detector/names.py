"""What sites, edges, cameras and zones may be called: a word of ASCII, fit for a topic, a file and an address."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import Field

_WORD = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}"
Name = Annotated[str, Field(pattern=f"^{_WORD}$")]


def is_name(text: str) -> bool:
    """Whether something may be called so."""
    return re.fullmatch(_WORD, text) is not None
