"""TLS as every part speaks it: 1.2 or newer.

Python builds its own contexts so, but not where a distribution leaves that to the system's OpenSSL, as Debian 13 does.
"""

from __future__ import annotations

import ssl
from pathlib import Path


def trusting(ca_file: Path | None = None) -> ssl.SSLContext:
    """What a client speaks: it believes whom this authority vouches for, or, without one, those of the system.

    Raises:
        OSError: The file can't be used.
    """
    return from_1_2(ssl.create_default_context(cafile=ca_file))


def trusting_nobody() -> ssl.SSLContext:
    """Likewise, of a client that believes nobody."""
    return from_1_2(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))


def from_1_2(context: ssl.SSLContext) -> ssl.SSLContext:
    """The same context, without what is older."""
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
