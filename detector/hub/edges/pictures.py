"""The newest pictures of cameras: JPEGs that edges have redacted come in, are looked at byte by byte, and are kept.

No decoder touches them here: what is kept is only known to begin, end and be as large as a JPEG says of itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import delete, func, select

from detector import wire
from detector.errors import WireError
from detector.hub.edges.zones import MOST_CAMERAS
from detector.hub.storage.cameras import Place, of_camera
from detector.hub.storage.database import Database
from detector.hub.storage.rights import EVERYWHERE, Scope
from detector.hub.storage.schema import pictures
from detector.hub.storage.stored import LATEST_TIME
from detector.values import DAY_S

KEPT_S = 30 * DAY_S  # of a camera that brings no newer ones
# Markers that begin a frame and so tell its size: all SOFn but those that are none (ITU-T T.81, table B.1).
FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
ALONE = frozenset({0x01, *range(0xD0, 0xD8)})  # markers without a length


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture of a camera: pixels, and when it was taken (Unix seconds)."""

    taken_at: float
    width: int
    height: int
    jpeg: bytes


@dataclass(frozen=True, slots=True)
class Glimpse:
    """What is known of a picture without reading it."""

    taken_at: float
    width: int
    height: int


class Pictures:
    """The newest small and the newest large picture of every camera. Any thread may call it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def keep(self, place: Place, *, large: bool, jpeg: bytes, taken_at: float, at: float) -> bool:
        """Keep a picture that is newer than the one held; tells whether it is.

        A picture from the future is held too, an edge's clock may be wrong, but gives way to any.

        Args:
            place: Of which camera.
            large: Whether it is one to draw on.
            jpeg: The picture.
            taken_at: Unix seconds, by the edge.
            at: Unix seconds now.

        Raises:
            WireError: It is no JPEG, or larger than agreed, or its time is none, or the edge has too many cameras.
        """
        width, height = jpeg_size(jpeg)
        if max(width, height) > wire.PICTURE_SIDES[large]:
            raise WireError(f"picture: {width} x {height} is larger than {wire.PICTURE_SIDES[large]}")
        if not 0 < taken_at < LATEST_TIME:
            raise WireError("picture: taken_at_unix is no time")
        site, edge, camera = place
        key = {"site": site, "edge": edge, "camera": camera, "large": large}
        values = {"taken_at": taken_at, "received_at": at, "width": width, "height": height, "jpeg": jpeg}
        where = (pictures.c.taken_at < taken_at) | (pictures.c.taken_at > at)
        upsert = self._database.upsert(pictures, key, values, where=where)
        others = select(func.count()).where(
            pictures.c.site == site, pictures.c.edge == edge, pictures.c.camera != camera, pictures.c.large == large
        )
        with self._database.writing() as connection:
            if connection.execute(others).scalar_one() >= MOST_CAMERAS:
                raise WireError(f"picture: of more than {MOST_CAMERAS} cameras")
            kept = connection.execute(upsert.returning(pictures.c.taken_at), {**key, **values}).first()
        return kept is not None

    def newest(self, place: Place, *, large: bool) -> Picture | None:
        """The newest small picture of a camera; with `large`, the large one where there is one at all."""
        query = (
            select(pictures.c.taken_at, pictures.c.width, pictures.c.height, pictures.c.jpeg)
            .where(*of_camera(pictures, place))
            .order_by(pictures.c.large.desc() if large else pictures.c.large.asc())
            .limit(1)
        )
        row = self._database.read(query).first()
        return Picture(**row._mapping) if row else None

    def prune(self, now: float) -> None:
        """Forget what cameras that are gone showed last."""
        with self._database.writing() as connection:
            connection.execute(delete(pictures).where(pictures.c.received_at < now - KEPT_S))

    def glimpses(self, scope: Scope = EVERYWHERE, *, large: bool = False) -> Mapping[Place, Glimpse]:
        """Which cameras have a picture, and of when."""
        columns = [pictures.c[name] for name in ("site", "edge", "camera", *Glimpse.__slots__)]
        query = select(*columns).where(pictures.c.large == large, *scope.clauses(pictures.c.site, pictures.c.camera))
        return {(row[0], row[1], row[2]): Glimpse(*row[3:]) for row in self._database.read(query)}


def jpeg_size(data: bytes) -> tuple[int, int]:
    """Width and height that a JPEG says it has; only its markers are read.

    Raises:
        WireError: It is no JPEG, or cut off, or none that browsers show.
    """
    if not data.startswith(b"\xff\xd8\xff") or not data.endswith(b"\xff\xd9"):
        raise WireError("picture: not a JPEG, or cut off")
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF or marker in ALONE:  # padding
            at += 1 if marker == 0xFF else 2
            continue
        length = int.from_bytes(data[at + 2 : at + 4])
        if marker in FRAMES and length >= 8 and at + 9 <= len(data):
            height, width = int.from_bytes(data[at + 5 : at + 7]), int.from_bytes(data[at + 7 : at + 9])
            if width and height:
                return width, height
            break
        if length < 2 or marker in (0xD9, 0xDA):  # the end, or pixels before any frame
            break
        at += 2 + length
    raise WireError("picture: a JPEG without a size")
