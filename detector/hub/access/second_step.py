"""The second step of a login: a code from a phone (TOTP, RFC 6238), or a recovery code where the phone is lost.

Phones of all makers have free programs for it, none of which needs a network. Codes are six digits, good for 30
seconds, by HMAC-SHA-1: what every such program takes, whatever else the standard allows.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets

from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP

KEY_FILE = "second-step.key"  # in the data folder: seals what the database keeps of it
STEP_S = 30
DIGITS = 6
STRAY = 1  # steps by which a phone's clock may be off, either way
SECRET_BYTES = 20  # as many as SHA-1 gives (RFC 4226, R6)
RECOVERY_CODES = 8
RECOVERY_BYTES = 10  # of each: 16 letters and digits, 80 bits


def new_secret() -> str:
    """What phone and hub share, in base32, as phones take it."""
    return base64.b32encode(secrets.token_bytes(SECRET_BYTES)).decode("ascii")


def code(secret: str, step: int) -> str:
    """The code of a time step."""
    return _totp(secret).generate(step * STEP_S).decode("ascii")


def step_of(secret: str, typed: str, at: float) -> int | None:
    """The time step near `at`, Unix seconds, that a code as somebody typed it is of; `None` where it is of none."""
    found = "".join(typed.split())
    if len(found) != DIGITS or not found.isascii() or not found.isdigit():
        return None
    now = int(at // STEP_S)
    matching = [n for n in range(max(now - STRAY, 0), now + STRAY + 1) if hmac.compare_digest(code(secret, n), found)]
    return matching[0] if matching else None


def address(secret: str, user: str, host: str) -> str:
    """What a phone reads from the QR code (`otpauth:`), and lists as labelwatch, `user@host`."""
    return _totp(secret).get_provisioning_uri(f"{user}@{host}", "labelwatch")


def new_recovery_codes() -> list[str]:
    """Codes of which each opens once, in groups of four letters and digits."""
    made = []
    for _ in range(RECOVERY_CODES):
        text = base64.b32encode(secrets.token_bytes(RECOVERY_BYTES)).decode("ascii").lower()
        made.append("-".join(text[n : n + 4] for n in range(0, len(text), 4)))
    return made


def recovery_sha256(typed: str) -> str:
    """What the database knows a recovery code by, however it was typed."""
    return hashlib.sha256("".join(filter(str.isalnum, typed.lower())).encode()).hexdigest()


def _totp(secret: str) -> TOTP:
    return TOTP(base64.b32decode(secret), DIGITS, SHA1(), STEP_S)  # noqa: S303  (as an HMAC it is sound)
