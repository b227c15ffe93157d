"""A data folder comes in, the edge's Ed25519 key leaves; the hub pins its public half on first sight."""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from detector.credentials.keys import load_key

FILE_NAME = "identity.key"


def load_identity(data_dir: Path) -> Ed25519PrivateKey:
    """The key of this edge, from `identity.key` in its data folder; both are made when missing.

    Raises:
        StoreError: The file can't be read or written, or holds no Ed25519 key.
    """
    return load_key(data_dir / FILE_NAME, "the edge's key")
