"""Addresses as people type them: what can't be one is told before anybody waits for an answer from there."""

from __future__ import annotations

import re
from urllib.parse import SplitResult, urlsplit


def split_address(url: str, whose: str) -> SplitResult:
    """The parts of an address with `://`, of which host and port can be some.

    Args:
        url: The address.
        whose: Who is to be found there, as the message says it.

    Raises:
        ValueError: They can't be.
    """
    try:
        parts = urlsplit(url)
        host, known = parts.hostname or "", parts.port != 0
    except ValueError:  # no number, or too large a one
        raise ValueError("its port must be a number from 1 to 65535") from None
    if not known:
        raise ValueError("its port must be a number from 1 to 65535")
    if not re.fullmatch(r"[\w.:%-]+", host):
        raise ValueError(f"after :// must stand the {whose}'s address or name")
    _is_address_if_numbers(host)
    return parts


def bare_host(host: str) -> str:
    """A host that stands alone, where the port has a key of its own.

    Raises:
        ValueError: It can't be one.
    """
    if host.count(":") == 1:  # two and more are of an IPv6 address
        raise ValueError("holds a port, which has a key of its own")
    _is_address_if_numbers(host)
    return host


def _is_address_if_numbers(host: str) -> None:
    if not re.fullmatch(r"\d+([.,]\d*)+", host):
        return
    parts = re.split("[.,]", host)
    if "," in host or len(parts) > 4 or any(not part or int(part) > 255 for part in parts):
        raise ValueError(f"{host} is no address: four numbers up to 255, with dots between them")
