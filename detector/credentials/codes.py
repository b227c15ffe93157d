"""One-time codes by which an edge box joins a hub, and the two messages of joining that are protected by one.

A code is twelve random symbols of Crockford's base32 (60 bits) and a thirteenth that checks them, `7K2M-9QXDH-4TFT`.
A person reads it off the hub's page and types it at the box, where a mistyped one is found out by the check symbol.

    box ──{names, its key, nonce, time; signed by its key, and by a key made of the code}──► hub
    box ◄──{the hub's key, where the broker is, certificates; HMAC by another key made of the code}── hub

Why so:

* The code itself never travels. Whoever listens, or stands between, sees only what was derived from it (HKDF-SHA-256),
  so joining is as safe over plain HTTP, or over TLS with a certificate that nobody can check yet, as over TLS.
* It binds both ways. The request is signed by an Ed25519 key whose seed is derived from the code, so nobody joins
  without it. The answer's HMAC covers the whole request and all that is handed out, so nobody who doesn't know the code
  can put another hub's key, broker or certificate into it.
* The hub keeps the public half of the first key, hence who reads its database or a backup can't join. It does keep the
  HMAC's key, erased when the code ends; with it one could pass for the hub, in those minutes, from between the two.
* What was overheard lets codes be tried offline. At 10^10 tries a second, 2^59 of them take almost two years, and the
  code is worth something for fifteen minutes. After that it opens nothing, and decrypts nothing, for no secret was
  sent: the box makes its own keys and gets certificates for their public halves. So no password-authenticated key
  exchange is needed, which would allow shorter codes at the price of a primitive of our own.
* Online, the hub counts tries: see `hub.edges.enrolment`.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from unicodedata import normalize

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from detector import wire
from detector.errors import WireError

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's: no I, L, O, U
READ_AS = str.maketrans({"I": "1", "L": "1", "O": "0"} | dict.fromkeys("-– —.\u00a0\t", None))
SYMBOLS = 12  # of five bits each, beside the check symbol
GROUPS = (4, 5, 4)
LARGEST_REQUEST = 16 * 1024  # bytes
LARGEST_ANSWER = 256 * 1024
_FIELD = 0b100101  # x⁵ + x² + 1, which makes 32 symbols a field


@dataclass(frozen=True, slots=True)
class CodeSecrets:
    """What is derived from a code.

    Attributes:
        handle: Names the code without telling it, hex.
        box_key: What a box that knows the code signs with.
        answer_key: What the hub's answer is authenticated with, 32 bytes.
    """

    handle: str
    box_key: Ed25519PrivateKey
    answer_key: bytes


def make_code() -> str:
    """A new code, in groups."""
    symbols = "".join(secrets.choice(ALPHABET) for _ in range(SYMBOLS))
    return grouped(symbols + check_symbol(symbols))


def make_password() -> str:
    """A password of 100 random bits for somebody else to type, told by phone: no two of its symbols look alike."""
    groups = ("".join(secrets.choice(ALPHABET) for _ in range(4)) for _ in range(5))
    return "-".join(groups).lower()


def grouped(code: str) -> str:
    """A code of thirteen symbols as people read it."""
    first, second, _ = GROUPS
    return "-".join((code[:first], code[first : first + second], code[first + second :]))


def parse_code(text: str) -> str:
    """The symbols of a code that somebody typed: case, spaces and dashes don't matter, `O` is 0, `I` and `L` are 1.

    Raises:
        ValueError: It is none, or mistyped.
    """
    code = normalize("NFKC", text).strip().upper().translate(READ_AS)  # also as wide as Chinese letters
    if len(code) != SYMBOLS + 1:
        raise ValueError(f"a code has {SYMBOLS + 1} letters and digits, this has {len(code)}")
    if odd := sorted(set(code) - set(ALPHABET)):
        raise ValueError(f"no code has the letter {odd[0]!a}")
    if check_symbol(code[:-1]) != code[-1]:
        raise ValueError("mistyped: one letter or more is wrong, or two are swapped")
    return code


def check_symbol(symbols: str) -> str:
    """The symbol that makes the weighted sum nought in a field of 32: any one wrong, or any two swapped, show."""
    total = 0
    for symbol in symbols:
        total = _times_x(total ^ ALPHABET.index(symbol))
    return ALPHABET[total]


def _times_x(value: int) -> int:
    doubled = value << 1
    return doubled ^ _FIELD if doubled & 0b100000 else doubled


def derived(code: str) -> CodeSecrets:
    """What a code's symbols (see `parse_code`) stand for."""

    def of(what: str, length: int) -> bytes:
        info = f"labelwatch join: {what}".encode()
        return HKDF(algorithm=SHA256(), length=length, salt=None, info=info).derive(code.encode())

    return CodeSecrets(of("handle", 8).hex(), Ed25519PrivateKey.from_private_bytes(of("box", 32)), of("hub", 32))


def fingerprint(public_key: str) -> str:
    """A public key (base64) as people compare it by eye or aloud: twelve symbols, 60 bits of its SHA-256."""
    try:
        raw = base64.b64decode(public_key, validate=True)
    except ValueError:
        return "?"
    number = int.from_bytes(hashlib.sha256(raw).digest()[:8]) >> 4
    symbols = "".join(ALPHABET[number >> 5 * n & 31] for n in reversed(range(12)))
    return "-".join((symbols[:4], symbols[4:8], symbols[8:]))


# The two messages


REQUEST_FIELDS: dict[str, type | tuple[type, ...]] = {
    "handle": str, "site": str, "edge": str, "public_key": str, "nonce": str, "at_unix": (int, float), "version": str,
    "signature": str, "code_signature": str,
}  # fmt: skip


def join_request(
    code: str, *, site: str, edge: str, key: Ed25519PrivateKey, at: float, version: str, csr: str | None
) -> dict[str, Any]:
    """What a box that wants to join sends.

    Args:
        code: Its symbols.
        site: Site that it is configured for.
        edge: Its name there.
        key: What it signs with from now on.
        at: Unix seconds now.
        version: Of labelwatch at the box.
        csr: A certificate signing request (PEM) for the broker, where the box can use a certificate.
    """
    told = derived(code)
    fields = {
        "schema": wire.SCHEMA, "handle": told.handle, "site": site, "edge": edge,
        "public_key": wire.public_key_text(key), "nonce": secrets.token_hex(16), "at_unix": round(at, 3),
        "version": version, "csr": csr,
    }  # fmt: skip
    by_code = wire.signed(fields, told.box_key)["signature"]
    return wire.signed({**fields, "code_signature": by_code}, key)


def read_join_request(body: bytes) -> dict[str, Any]:
    """Such a request, which holds the key that it names; whether it knows the code is for `knows_code` to say.

    Raises:
        WireError: It is none, or not signed by the key that it names.
    """
    fields = wire.decode(body)
    for name, kind in REQUEST_FIELDS.items():
        if not isinstance(fields.get(name), kind) or isinstance(fields.get(name), bool):
            raise WireError(f"{name} is missing or of a wrong type")
        if isinstance(fields[name], str) and (len(fields[name]) > 200 or not fields[name].isprintable()):
            raise WireError(f"{name} is too long, or no text")
    if not isinstance(fields.get("csr"), str | None):
        raise WireError("csr is of a wrong type")
    if not wire.is_public_key(fields["public_key"]):
        raise WireError("public_key is none")
    if not 0 <= fields["at_unix"] < 2.0**37:
        raise WireError("at_unix is no time")
    wire.verify(fields, fields["public_key"])
    return fields


def knows_code(fields: Mapping[str, Any], verifier: str) -> bool:
    """Whether a request was made by somebody who knows the code with this verifier (base64 of a public key)."""
    by_box = {name: value for name, value in fields.items() if name not in ("signature", "code_signature")}
    try:
        wire.verify({**by_box, "signature": fields["code_signature"]}, verifier)
    except WireError:
        return False
    return True


def join_answer(request: Mapping[str, Any], handed_out: Mapping[str, Any], answer_key: bytes) -> dict[str, Any]:
    """The hub's answer to a request: what it hands out, authenticated by the code."""
    fields = {"schema": wire.SCHEMA, **handed_out}
    return {**fields, "mac": _mac(request, fields, answer_key)}


def read_join_answer(body: bytes, request: Mapping[str, Any], answer_key: bytes) -> dict[str, Any]:
    """What the hub handed out, when it knows the code.

    Raises:
        WireError: It is no such answer, or comes from somebody who doesn't.
    """
    fields = wire.decode(body)
    mac = fields.pop("mac", None)
    if not isinstance(mac, str) or not hmac.compare_digest(mac.encode(), _mac(request, fields, answer_key).encode()):
        raise WireError("whoever answered does not know the code: it is not the hub that showed it")
    return fields


def _mac(request: Mapping[str, Any], answer: Mapping[str, Any], answer_key: bytes) -> str:
    asked = hashlib.sha256(wire.canonical(request) + str(request["signature"]).encode()).digest()
    return hmac.new(answer_key, asked + wire.canonical(answer), hashlib.sha256).hexdigest()
