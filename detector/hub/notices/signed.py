"""Webhooks of our own: what a notice tells goes to a program as JSON, signed as Standard Webhooks has it.

    webhook-id           the same however often it is tried: who had it already passes it over
    webhook-timestamp    when it was sent, Unix seconds: who gets an old one refuses it
    webhook-signature    `v1,` and the HMAC-SHA256 of `ID.TIMESTAMP.BODY` by the shared secret, in base64

An address is `signed+https://HOST/PATH?QUERY#SECRET`. A secret that begins with `whsec_` is the base64 of its bytes.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import re
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote, unquote, urlsplit

PREFIX, MARK = "signed+", "whsec_"
SHORTEST_SECRET = 16


def address(url: str, secret: str) -> str:
    """The address of a web address and a secret."""
    return f"{PREFIX}{url.partition('#')[0]}#{quote(secret, safe='')}"


def is_one(found: str) -> bool:
    """Whether an address is one of these."""
    return found.startswith(PREFIX)


def parts(found: str) -> tuple[str, bytes]:
    """The web address, and the bytes to sign with.

    Raises:
        ValueError: It is no such address, or its secret is too short to be one.
    """
    url, _, written = found.removeprefix(PREFIX).partition("#")
    parsed, secret = urlsplit(url), unquote(written)
    if parsed.scheme not in ("https", "http") or not parsed.hostname or parsed.port == 0:
        raise ValueError("no web address")
    try:
        key = base64.b64decode(secret[len(MARK) :], validate=True) if secret.startswith(MARK) else secret.encode()
    except binascii.Error as error:
        raise ValueError("no base64 after whsec_") from error
    if len(key) < SHORTEST_SECRET:
        raise ValueError("too short a secret")
    return url, key


def post(found: str, fields: Mapping[str, Any], timeout: tuple[float, float]) -> tuple[int, float | None]:
    """Send fields as JSON, their `id` as the webhook's; the status, and after how many seconds to try again.

    Raises:
        ValueError: It is no such address.
        RequestException: There was no answer.
    """
    import requests

    url, key = parts(found)
    # The machine's time, not the hub's, which is never put back: others compare it with their own clocks.
    body, at = json.dumps(fields, ensure_ascii=False).encode("utf-8", "replace"), str(int(time.time()))
    signed = hmac.new(key, b".".join((str(fields["id"]).encode(), at.encode(), body)), hashlib.sha256).digest()
    headers = {
        "Content-Type": "application/json", "User-Agent": "labelwatch", "webhook-id": str(fields["id"]),
        "webhook-timestamp": at, "webhook-signature": f"v1,{base64.b64encode(signed).decode()}",
    }  # fmt: skip
    # Who leads elsewhere would choose for us where the hub sends; of what is said nothing is read but the head.
    answer = requests.post(url, data=body, headers=headers, timeout=timeout, allow_redirects=False, stream=True)
    with answer:
        again = answer.headers.get("Retry-After", "") if answer.status_code in (429, 503) else ""
        return answer.status_code, _seconds(again)


def _seconds(again: str) -> float | None:
    """What `Retry-After` says: seconds, or a time; `None` where it says nothing."""
    if re.fullmatch(r"[0-9]{1,9}", again):
        return float(again)
    try:
        return max(0.0, parsedate_to_datetime(again).timestamp() - time.time()) if again else None
    except (ValueError, OverflowError):
        return None
