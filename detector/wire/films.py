"""The hub's wish that a camera be filmed for a while, although nothing happens that it knows of."""

from __future__ import annotations

import re

from detector.errors import WireError
from detector.wire.payloads import SCHEMA, decode, encode, require

LONGEST_FILM_S = 900.0
_NAME = re.compile(r"walk-[0-9a-f]{16}")  # becomes part of file names at the edge


def ask_film_payload(camera: str, film: str, seconds: float) -> bytes:
    """The hub's wish to have a camera filmed for so many seconds from now on.

    Args:
        camera: Which.
        film: Its name, `walk-` and 16 hex digits, under which the edge hands it over as it does clips of incidents.
        seconds: At most `LONGEST_FILM_S`; with 0 the film of this name ends.
    """
    return encode({"schema": SCHEMA, "camera": camera, "film": film, "seconds": seconds})


def asked_film(payload: bytes) -> tuple[str, str, float]:
    """Camera, name and seconds of such a wish.

    Raises:
        WireError: It is none.
    """
    fields = decode(payload)
    require(fields, {"camera": str, "film": str, "seconds": (int, float)}, "wish for a film")
    if not _NAME.fullmatch(fields["film"]):
        raise WireError("wish for a film: no such name can be")
    if not 0.0 <= fields["seconds"] <= LONGEST_FILM_S:
        raise WireError(f"wish for a film: not within 0..{LONGEST_FILM_S:g} seconds")
    return fields["camera"], fields["film"], float(fields["seconds"])
