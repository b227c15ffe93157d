"""Secrets that a database shall not know: words enter, sealed ones leave, and back. The key is a file elsewhere.

Whoever gets hold of the database alone, a dump of it or a machine that it runs on, learns nothing. Sealed by Fernet:
AES-128-CBC and HMAC-SHA-256.
"""

from __future__ import annotations

from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken

from detector.machine.whole_files import make_whole


class SealBroken(Exception):  # noqa: N818  (an answer to who asked, who knows what to tell)
    """What is sealed was changed, or sealed with another key."""


class Seal:
    """Seals words with the key of a file, which is made when missing, for the hub's user alone.

    Raises:
        OSError: The key can't be read or made.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self._fernet = Fernet(_key(file))

    def seal(self, words: str) -> str:
        """Words as the database may know them."""
        return self._fernet.encrypt(words.encode()).decode("ascii")

    def open(self, sealed: str) -> str:
        """The words again.

        Raises:
            SealBroken: They were sealed with another key, or changed since.
        """
        try:
            return self._fernet.decrypt(sealed.encode()).decode()
        except InvalidToken as error:
            raise SealBroken(f"not sealed with {self.file.name}") from error


def _key(path: Path) -> bytes:
    if not path.exists():
        make_whole(path, Fernet.generate_key())
    return path.read_bytes()
