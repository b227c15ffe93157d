"""Tells whoever started us, in systemd's way (sd_notify(3)), that we are ready, alive, or about to end."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping


class Notifier:
    """Speaks to `$NOTIFY_SOCKET`; silent where nobody listens.

    Attributes:
        watched: Whether somebody restarts us when we are no longer heard.
    """

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._address = environment.get("NOTIFY_SOCKET", "")
        patience_s = float(environment.get("WATCHDOG_USEC") or 0) / 1e6
        self.watched = bool(self._address) and patience_s > 0
        self._every_s = min(patience_s / 4, 5.0)
        self._next = 0.0

    def tell(self, *lines: str) -> None:
        """Send `KEY=value` lines; that nobody hears them is no reason to fail."""
        if not self._address:
            return
        address = f"\0{self._address[1:]}" if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as speaker:
                speaker.setblocking(False)
                speaker.sendto("\n".join(lines).encode(), address)
        except OSError:
            pass

    def alive(self) -> None:
        """We get on; say it as often as you like."""
        now = time.monotonic()
        if self.watched and now >= self._next:
            self._next = now + self._every_s
            self.tell("WATCHDOG=1")
