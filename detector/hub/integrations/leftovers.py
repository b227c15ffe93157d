"""What a broker keeps of ours that is told no more: messages that it kept come in, topics to take away leave.

Brokers keep what they are told, and others go on to believe it. So each session reads what an earlier one left, and
takes away what it doesn't tell itself. That a broker keeps something stands in a file: a hub that is set to tell no
more takes it away once, devices that Home Assistant was told of included.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection
from pathlib import Path

from detector.hub.integrations.home_assistant import HomeAssistant
from detector.machine.whole_files import write_whole

logger = logging.getLogger(__name__)

LEFTOVERS_S = 5.0  # once it brought nothing for so long, what the broker kept of an earlier session is taken away
MOST_LEFTOVERS = 10_000
TOLD = "integrations-told"  # in the hub's folder: a broker keeps something of ours
HOME = "home_assistant"  # in that file: devices, too, that Home Assistant was told of


class Leftovers:
    """What is found, session by session. For the thread that owns the connection.

    Args:
        told: The file that is there as long as a broker keeps something of ours.
        topic: All of ours is below it, but for Home Assistant's devices.
        home: Knows these.
        is_home_told: Whether Home Assistant is told; else what it was told is taken away.
    """

    def __init__(self, told: Path, topic: str, home: HomeAssistant, *, is_home_told: bool) -> None:
        self._told, self._topic, self._home = told, topic, home
        try:
            was_home_told = HOME in told.read_text(encoding="utf-8")
        except (OSError, ValueError):
            was_home_told = False
        self._is_home_told, self._forgets_home = is_home_told, was_home_told and not is_home_told
        self.begin()

    def begin(self) -> None:
        """A session begins: nothing is known of what the broker kept."""
        self._found: set[str] = set()
        self._heard_at = float("inf")
        self.are_gone = False

    def listen(self) -> None:
        """The broker has begun to send what it kept."""
        self._heard_at = time.monotonic()

    def wait(self, seconds: float) -> None:
        """So long nothing could be heard."""
        self._heard_at += seconds

    @property
    def are_known(self) -> bool:
        """Whether all that the broker kept must have come by now."""
        return not self.are_gone and time.monotonic() - self._heard_at > LEFTOVERS_S

    @property
    def are_on_record(self) -> bool:
        """Whether a broker keeps something of ours."""
        return self._told.exists()

    @property
    def _has_devices(self) -> bool:
        """Whether a broker may keep devices of ours."""
        return self._is_home_told or self._forgets_home

    @property
    def filters(self) -> list[str]:
        """What we have brokers keep, that of devices last; no switch is among it."""
        of_home = [f"{self._topic}/ha/{one}" for one in ("state", "+/+/state", "+/+/available", "+/+/+/+")]
        return [*of_home, f"{self._topic}/onvif/#", *([self._home.discovery] if self._has_devices else [])]

    def do_without_devices(self) -> bool:
        """Devices can't be read of; whether that may be, for the right to it may have gone with Home Assistant."""
        may_be, self._forgets_home = self._forgets_home, False
        return may_be

    def hear(self, topic: str, payload: bytes) -> None:
        """The broker kept a message; only what it kept since an earlier session is to come here."""
        self.listen()  # whosever it is: more may come behind it
        is_own = topic.startswith(f"{self._topic}/")
        is_device = self._has_devices and self._home.is_ours(topic, payload)
        if (is_own or is_device) and payload and len(self._found) < MOST_LEFTOVERS:
            self._found.add(topic)

    def take(self, sent: Collection[str]) -> set[str]:
        """Topics to be taken away now: all that was found but for what this session has told itself."""
        found, self._found, self.are_gone = self._found - set(sent), set(), True
        if self._forgets_home:
            self._forgets_home = False
            self.note()
        return found

    def note(self) -> None:
        """Write down that a broker keeps something of ours."""
        kept = f"{HOME}\n" if self._has_devices else "\n"
        try:
            if not self._told.exists() or self._told.read_text(encoding="utf-8") != kept:
                write_whole(self._told, kept)
        except OSError as error:  # a full disk keeps nobody from being told
            logger.warning("%s can't be written: %s", self._told, error.strerror)

    def forget(self) -> None:
        """No broker keeps anything of ours any more."""
        self._told.unlink(missing_ok=True)
