"""What comes from the broker in the hub's name enters; whether this edge's own hub said it leaves.

The edge holds the hub's public key in `hub.pub` of its data folder. `labelwatch join` writes it; where nobody did, the
first signed word that is heard brings it. From then on, words that are unsigned or another's change nothing here. They
are counted, and the health message tells of them, so that a hub that was set up anew without its key is an
understandable sight. Whoever joins again writes the new key, which is read as soon as it is needed.

Acknowledgements and states say the same whenever they are heard. All other words are good for five minutes, and once.
"""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from typing import Any

from detector import wire
from detector.clock import Clock
from detector.errors import StoreError, WireError
from detector.machine.whole_files import write_whole

logger = logging.getLogger(__name__)

FILE = "hub.pub"
# A replay of these does nothing: an id is gone already, a state has a version that only grows, and a new key is named.
LASTING = frozenset({"ack", "cmd/thresholds", "cmd/zones", "cmd/rotate"})
GOOD_FOR_S = 300.0
NOBODY = ""  # fits no signature


def pinned_hub_key(data_dir: Path) -> str | None:
    """The public key (base64) that this edge knows its hub by; `None` before there is one.

    Raises:
        StoreError: The file can't be read, or holds no key.
    """
    file = data_dir / FILE
    try:
        text = file.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise StoreError(f"the hub's key {file} can't be read: {error}") from error
    if not wire.is_public_key(text):
        raise StoreError(f"{file} holds no public key: join the hub again, and it is written anew")
    return text


def pin_hub_key(data_dir: Path, text: str) -> None:
    """Know the hub by this public key (base64) from now on, whatever was known before.

    Raises:
        StoreError: It is no key, or can't be written.
    """
    content, file = pinned(text), data_dir / FILE
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_whole(file, content)
    except OSError as error:
        raise StoreError(f"the hub's key can't be kept in {file}: {error.strerror}") from error


def pinned(text: str) -> bytes:
    """What `FILE` holds where the hub is known by this public key (base64).

    Raises:
        StoreError: It is no key.
    """
    if not wire.is_public_key(text):
        raise StoreError("what the hub gave as its key is none")
    return f"{text}\n".encode()


class HubTrust:
    """Tells the hub's words from others'. One thread asks; any may read what it tells.

    Args:
        clock: Tells how old a word is.
        data_dir: Where `hub.pub` is; without one, what was heard first is known for the life of this object only.

    Attributes:
        hub_key: The key (base64) that the hub is known by; `None` before the first signed word.
        refused: How many words were refused.
        reason: Why the newest of them was.
    """

    def __init__(self, clock: Clock, data_dir: Path | None = None) -> None:
        self.hub_key: str | None = None
        self.refused = 0
        self.reason: str | None = None
        self._clock = clock
        self._data_dir = data_dir
        self._newest: dict[str, tuple[float, str]] = {}
        self._logged = ""
        self._lock = threading.Lock()
        self._read()

    def believes(self, topic: str, payload: bytes) -> bool:
        """Whether the hub said this, to this edge, of this kind, and lately enough."""
        try:
            self._check(topic, wire.decode(payload))
        except WireError as error:
            self._refuse(topic, str(error))
            return False
        return True

    def health(self) -> dict[str, Any]:
        """For the health message."""
        with self._lock:
            return {"hub_key": self.hub_key or None, "refused_words": self.refused, "refused_word": self.reason}

    def _check(self, topic: str, fields: dict[str, Any]) -> None:
        claimed = fields.get("key")
        if self.hub_key is None and claimed is None:
            return  # a hub of an older version, and nobody has said that there is a newer
        if not wire.is_public_key(claimed):
            raise WireError("not signed")
        if self.hub_key is not None and claimed != self.hub_key:
            self._read()  # somebody may have joined again meanwhile
        if self.hub_key is not None and claimed != self.hub_key:
            raise WireError(
                f"signed by another hub ({_short(claimed)}) than this edge's ({_short(self.hub_key)}): "
                "if the hub was set up anew, join it again"
            )
        wire.check_to_edge(topic, fields, str(claimed))
        if fields["what"] not in LASTING:
            self._check_time(fields)
        if self.hub_key is None:
            self._pin(str(claimed))

    def _check_time(self, fields: dict[str, Any]) -> None:
        """A wish is fulfilled once, and not any time later."""
        said_at = fields.get("at_unix")
        if not isinstance(said_at, int | float):
            raise WireError("does not tell when it was said")
        behind_s = self._clock.now() - said_at
        if not abs(behind_s) <= GOOD_FOR_S:
            side = "ago" if behind_s > 0 else "ahead"
            raise WireError(f"said {abs(behind_s):.0f} s {side} by this edge's clock: is it old, or a clock wrong?")
        word = float(said_at), str(fields["signature"])
        before = self._newest.get(fields["what"], (0.0, ""))
        if word[0] < before[0] or word == before:
            raise WireError("heard already")
        self._newest[fields["what"]] = word

    def _pin(self, key: str) -> None:
        self.hub_key = key
        logger.info("this edge knows its hub by the key %s from now on", _short(key))
        if self._data_dir is None:
            return
        try:
            pin_hub_key(self._data_dir, key)
        except StoreError as error:
            logger.warning("%s; whoever is heard first after the next start will be taken for the hub", error)

    def _read(self) -> None:
        if self._data_dir is None:
            return
        try:
            key = pinned_hub_key(self._data_dir)
        except StoreError as error:  # the cameras are watched all the same, and nothing is lost: it waits in the outbox
            logger.error("no word of the hub is believed: %s", error)
            key = NOBODY
        if key is not None:  # a file that was removed under a running edge is no reason to believe the next best
            self.hub_key = key

    def _refuse(self, topic: str, reason: str) -> None:
        with self._lock:
            self.refused += 1
            self.reason = reason[:300]
        if reason != self._logged:  # not once a second for days
            self._logged = reason
            logger.warning("a word on %s was refused: %s", topic, reason)


def _short(key: object) -> str:
    """As much of a key as people can compare."""
    return str(key)[:8] or "unreadable"
