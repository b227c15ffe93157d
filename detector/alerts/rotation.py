"""This edge's key is replaced by a new one: the hub's word comes in, a key signed by both leaves, and then it changes.

    identity.key                        signs everything
    identity.key.next                   made when the hub asks; vouched for by the other, and not used yet
    identity.key.next ─► identity.key   when the hub says that it knows the new one; the old one is gone with that

The change is one rename, so that whoever is killed finds the old key, both, or the new one, and each of these goes on:
the hub's word is kept by the broker and comes again with every connection. What waits in the outbox is signed already,
and the hub believes it since it is older than the change. `hub.edges.rotation` is the other half.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from detector import wire
from detector.alerts.identity import FILE_NAME
from detector.credentials.keys import load_key
from detector.errors import LabelwatchError, StoreError
from detector.machine.whole_files import sync_folder

logger = logging.getLogger(__name__)

NEXT_NAME = f"{FILE_NAME}.next"


class KeyRotation:
    """Changes the key of an edge when its hub asks for it.

    Args:
        data_dir: Where the key is.
        topics: Of this edge.
        key: The one in use.
        send: Is given the word for `Topics.key`.
        use: Is given the new key, once it is the one in the file.

    Attributes:
        key: The one in use.
    """

    def __init__(
        self,
        data_dir: Path,
        topics: wire.Topics,
        key: Ed25519PrivateKey,
        send: Callable[[bytes], None],
        use: Callable[[Ed25519PrivateKey], None],
    ) -> None:
        self.key = key
        self._file, self._next_file = data_dir / FILE_NAME, data_dir / NEXT_NAME
        self._topics = topics
        self._send = send
        self._use = use

    def accept(self, payload: bytes) -> None:
        """Take the hub's word (`wire.rotate_payload`), which has been believed; must not raise."""
        try:
            id_, known = wire.decode_rotate(payload)
            if known == wire.public_key_text(self.key):
                self._next_file.unlink(missing_ok=True)  # of an earlier wish that came to nothing
                return
            new = self._next()
            if known == wire.public_key_text(new):
                self._change(new)
            else:
                self._send(wire.new_key_payload(self._topics, id_, self.key, new))
        except (LabelwatchError, OSError) as error:
            logger.warning("the key can't be replaced: %s", LabelwatchError(error))

    def _next(self) -> Ed25519PrivateKey:
        """The key that is to be, made where there is none; one that can't be read was never used for anything."""
        try:
            return load_key(self._next_file, "the edge's next key")
        except StoreError:
            self._next_file.unlink(missing_ok=True)
            return load_key(self._next_file, "the edge's next key")

    def _change(self, new: Ed25519PrivateKey) -> None:
        self._next_file.replace(self._file)
        sync_folder(self._file.parent)
        # In this order: the outbox first, so that no alert is signed by the old key after anything was by the new one.
        self._use(new)
        self.key = new
        logger.info("this edge signs with a new key from now on")
