"""What names a camera in the database, and which rows of a table are its."""

from __future__ import annotations

from sqlalchemy import ColumnElement, Table

Place = tuple[str, str, str]  # site, edge, camera


def of_camera(table: Table, place: Place) -> tuple[ColumnElement[bool], ...]:
    """Conditions that hold for the rows of one camera, in a table with the columns `site`, `edge` and `camera`."""
    site, edge, camera = place
    return table.c.site == site, table.c.edge == edge, table.c.camera == camera
