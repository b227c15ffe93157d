"""Addresses of pictures that are good for a day at most, for programs that can't log in.

Such an address shows one picture, labels blurred, and nothing else. It is signed with a key that lives no longer than
the hub's process: after a restart no older one is good any more, and new ones are told.
"""

from __future__ import annotations

import hmac
import secrets
from hashlib import sha256
from urllib.parse import quote

GOOD_FOR_S = 12 * 3600  # at least; at most twice that


class PictureLinks:
    """Makes such addresses and knows them again.

    Args:
        public_url: Where the hub is reached; `None` where nobody said: then there are no addresses.
    """

    def __init__(self, public_url: str | None) -> None:
        self._base = public_url.rstrip("/") if public_url else None
        self._key = secrets.token_bytes(32)

    def address(self, incident: str, number: int, now: float) -> str | None:
        """Of picture `number` of an incident; the same for half a day."""
        if self._base is None:
            return None
        until = (int(now) // GOOD_FOR_S + 2) * GOOD_FOR_S
        signed = self._signature(incident, number, until)
        return f"{self._base}/shown/{quote(incident, safe='')}/{number}?until={until}&signature={signed}"

    def is_good(self, incident: str, number: int, until: int, signature: str, now: float) -> bool:
        """Whether an address is one of ours and its time isn't over."""
        mine = self._signature(incident, number, until)
        return hmac.compare_digest(mine.encode(), signature.encode()) and now < until <= now + 2 * GOOD_FOR_S

    def _signature(self, incident: str, number: int, until: int) -> str:
        return hmac.new(self._key, f"{number} {until} {incident}".encode(), sha256).hexdigest()
