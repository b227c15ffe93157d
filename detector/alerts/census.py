"""When the count of what lies in a camera's zones is sent to the hub: every minute, and sooner where it has changed.

A count that is lost is no lost alert: nothing is kept in the outbox.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from detector.census import MOST_ZONES, Census, ZoneCensus

logger = logging.getLogger(__name__)

EVERY_S = 60.0
AT_MOST_S = 10.0  # between two, however much changes

Count = tuple[ZoneCensus, ...]


class CameraCensus:
    """Counts of one camera.

    Args:
        camera: Its name.
        send: Given each; must not block.
    """

    def __init__(self, camera: str, send: Callable[[Census], None]) -> None:
        self._camera = camera
        self._send = send
        self._counted_at: float | None = None
        self._sent_at = float("-inf")
        self._last: object = None

    def offer(self, at: float, count: Callable[[], Count]) -> None:
        """Send what `count` gives at the frame time `at` where that is due; called at each frame.

        The first is counted after a while: nothing has settled before.
        """
        if self._counted_at is None or at < self._counted_at:
            self._counted_at, self._sent_at = at, float("-inf")
        if at - self._counted_at < AT_MOST_S:
            return
        self._counted_at = at
        try:
            zones = count()[:MOST_ZONES]
            known = [(zone.zone, zone.up, zone.not_up, zone.unknown) for zone in zones]
            news = known != self._last or any(zone.came_up or zone.came_not_up or zone.turns for zone in zones)
            if zones and (news or at - self._sent_at >= EVERY_S):
                self._last, self._sent_at = known, at
                self._send(Census(camera=self._camera, at=round(at, 3), zones=zones))
        except Exception:  # whatever is wrong with a count, the watch goes on
            logger.exception("no census camera=%s", self._camera)
