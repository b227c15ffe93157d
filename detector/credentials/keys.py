"""A path comes in, the Ed25519 key in that file leaves: made on first use, mode 0600, never replaced.

Others know the public half and trust by it. A key that can't be read is therefore an error, not a reason for a new one.
"""

from __future__ import annotations

import logging
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from detector.errors import StoreError
from detector.machine.whole_files import make_whole

logger = logging.getLogger(__name__)


def load_key(path: Path, whose: str) -> Ed25519PrivateKey:
    """The key in a file; file and folder are made when missing.

    Args:
        path: Of the file.
        whose: To be told in errors and in the log: `the edge's key`.

    Raises:
        StoreError: The file can't be read or written, or holds no Ed25519 key.
    """
    try:
        if not path.exists():
            _create(path, whose)
        text = path.read_bytes()
        if path.stat().st_mode & 0o077:
            logger.warning("%s could be read by others; its mode is now 0600", path)
            path.chmod(0o600)
    except OSError as error:
        raise StoreError(f"{whose} {path} can't be read or made: {error.strerror}") from error
    try:
        key = load_pem_private_key(text, password=None)
    except (ValueError, TypeError) as error:
        raise StoreError(f"{path} holds no key; restore it from a backup (a new key would be a stranger's)") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise StoreError(f"{path} holds a key of another kind than Ed25519")
    return key


def _create(path: Path, whose: str) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    text = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    if make_whole(path, text):
        logger.info("made %s: %s", whose, path)
