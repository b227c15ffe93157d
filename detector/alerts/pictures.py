"""When a camera's picture is sent to the hub: at the start, now and then, and when the hub asks.

A lost picture is no lost alert: nothing is kept in the outbox.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from detector import wire
from detector.values import Frame, Scene

logger = logging.getLogger(__name__)

EVERY_S = 300.0
SETTLE_S = 5.0  # parcels are known, and made coarse, once they were looked at for some seconds
AT_LEAST_S = {False: 2.0, True: 10.0}  # between two that were asked for, however often the hub asks

Send = Callable[[bool, bytes, float], None]


class CameraPictures:
    """Pictures of one camera.

    Args:
        send: Given whether it is a large picture, the JPEG, and when it was taken (Unix seconds); must not block.
    """

    def __init__(self, send: Send) -> None:
        self._send = send
        self._since: float | None = None
        self._looks_elsewhere = False
        self._sent_at: dict[bool, float] = {}
        self._asked = {False: threading.Event(), True: threading.Event()}

    def ask(self, *, large: bool) -> None:
        """The hub would like one; from any thread."""
        self._asked[large].set()

    def begin_anew(self) -> None:
        """What was known of parcels is forgotten: nothing is sent until they are known again."""
        self._since = None

    def offer(self, frame: Frame, scene: Scene) -> None:
        """Send a picture of this frame where one is due; `scene` is what the frame shows."""
        from detector.alerts.snapshot import view_jpeg

        at = frame.captured_at
        if not frame.is_at(scene.at):
            return  # the frame was passed over: where its labels are isn't known
        looked_elsewhere, self._looks_elsewhere = self._looks_elsewhere, scene.moved is not False
        if self._looks_elsewhere and not looked_elsewhere:
            self.begin_anew()  # as the tracker does
        if self._since is None or at < self._since:
            self._since = at
        if at - self._since < SETTLE_S:
            return
        for large, asked in self._asked.items():
            if not self._is_due(large, at, asked.is_set()):
                continue
            asked.clear()
            self._sent_at[large] = at
            try:
                jpeg = view_jpeg(scene, frame, wire.PICTURE_SIDES[large], wire.LARGEST_JPEG[large])
            except Exception:  # whatever is wrong with a picture, the watch goes on
                logger.exception("no picture camera=%s", frame.camera)
                continue
            self._send(large, jpeg, at)

    def _is_due(self, large: bool, at: float, asked: bool) -> bool:
        before = self._sent_at.get(large)
        if before is None or at < before:
            return True
        return (not large and at - before >= EVERY_S) or (asked and at - before >= AT_LEAST_S[large])
