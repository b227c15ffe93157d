"""What edges show of their cameras: signed messages come in; pictures, layouts and counts of parcels are kept."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from detector import wire
from detector.errors import WireError
from detector.hub.census import Censuses
from detector.hub.pictures import Pictures
from detector.hub.zones import Zones

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")  # as config.Name
MOST_CAMERAS = 200


class Views:
    """Takes in pictures, layouts and counts of parcels.

    Args:
        zones: Keeps layouts.
        pictures: Keeps pictures.
        censuses: Keeps counts of parcels.
        edge_key: Tells the public key held for a site's edge.
    """

    def __init__(
        self, zones: Zones, pictures: Pictures, censuses: Censuses, edge_key: Callable[[str, str], str | None]
    ) -> None:
        self._zones = zones
        self._pictures = pictures
        self._censuses = censuses
        self._edge_key = edge_key

    def picture(self, topic: str, payload: bytes, at: float) -> None:
        """Take in a picture.

        Raises:
            WireError: It is none, or not believed.
        """
        fields, jpeg = wire.decode_picture(topic, payload)
        self._believe(fields)
        camera = fields["camera"]
        if not NAME.fullmatch(camera):
            raise WireError("picture: camera is no name that a configuration may give")
        place = fields["site"], fields["edge"], camera
        self._pictures.keep(place, large=fields["large"], jpeg=jpeg, taken_at=float(fields["taken_at_unix"]), at=at)

    def layout(self, topic: str, payload: bytes, at: float) -> None:
        """Take in what an edge says of its cameras.

        Raises:
            WireError: It is none, or not believed.
        """
        fields = wire.decode_layout(topic, payload)
        self._believe(fields)
        if len(fields["cameras"]) > MOST_CAMERAS or not all(map(NAME.fullmatch, fields["cameras"])):
            raise WireError("layout: a camera's name is none that a configuration may give, or there are too many")
        self._zones.set_layout(fields["site"], fields["edge"], fields, at)

    def census(self, topic: str, payload: bytes, at: float) -> None:
        """Take in a count of what lies in a camera's zones.

        Raises:
            WireError: It is none, or not believed.
        """
        fields, told = wire.decode_census(topic, payload)
        self._believe(fields)
        self._censuses.keep(fields["site"], fields["edge"], told, at)

    def _believe(self, fields: dict[str, Any]) -> None:
        key = self._edge_key(fields["site"], fields["edge"])
        if key is None:
            raise WireError("an edge that this hub doesn't know yet")
        wire.verify(fields, key)
