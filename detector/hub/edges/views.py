"""What edges show of their cameras: signed messages come in; pictures, layouts and counts of parcels are kept."""

from __future__ import annotations

from detector import wire
from detector.errors import WireError
from detector.hub.edges.census import Censuses
from detector.hub.edges.keys import EdgeKeys
from detector.hub.edges.pictures import Pictures
from detector.hub.edges.zones import MOST_CAMERAS, Zones
from detector.names import is_name


class Views:
    """Takes in pictures, layouts and counts of parcels.

    Args:
        zones: Keeps layouts.
        pictures: Keeps pictures.
        censuses: Keeps counts of parcels.
        keys: Knows the keys of edges.
    """

    def __init__(self, zones: Zones, pictures: Pictures, censuses: Censuses, keys: EdgeKeys) -> None:
        self._zones = zones
        self._pictures = pictures
        self._censuses = censuses
        self._keys = keys

    def picture(self, topic: str, payload: bytes, at: float) -> None:
        """Take in a picture.

        Raises:
            WireError: It is none, or not believed.
        """
        fields, jpeg = wire.decode_picture(topic, payload)
        self._keys.believe(fields, signed_at=float(fields["taken_at_unix"]), at=at)
        camera = fields["camera"]
        if not is_name(camera):
            raise WireError("picture: camera is no name that a configuration may give")
        place = fields["site"], fields["edge"], camera
        self._pictures.keep(place, large=fields["large"], jpeg=jpeg, taken_at=float(fields["taken_at_unix"]), at=at)

    def layout(self, topic: str, payload: bytes, at: float) -> None:
        """Take in what an edge says of its cameras.

        Raises:
            WireError: It is none, or not believed.
        """
        fields = wire.decode_layout(topic, payload)
        self._keys.believe(fields, signed_at=float(fields["at_unix"]), at=at)
        if len(fields["cameras"]) > MOST_CAMERAS or not all(map(is_name, fields["cameras"])):
            raise WireError("layout: a camera's name is none that a configuration may give, or there are too many")
        self._zones.set_layout(fields["site"], fields["edge"], fields, at)

    def census(self, topic: str, payload: bytes, at: float) -> None:
        """Take in a count of what lies in a camera's zones.

        Raises:
            WireError: It is none, or not believed.
        """
        fields, told = wire.decode_census(topic, payload)
        self._keys.believe(fields, signed_at=told.at, at=at)
        self._censuses.keep(fields["site"], fields["edge"], told, at)
