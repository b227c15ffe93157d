"""Why a server gave no answer: the error of whoever asked it comes in, the key of a text about it leaves.

Libraries wrap what the system said, each in its own way; the system's own errors under the wrapping are few.
"""

from __future__ import annotations

import errno
import socket
import ssl
from collections.abc import Iterator
from smtplib import SMTPException, SMTPServerDisconnected

NO_ROUTE = {errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EHOSTDOWN, errno.EADDRNOTAVAIL}


def why_unreached(error: BaseException) -> str:
    """The key of a text that says why there was no answer; empty where the error is one, or tells nothing of it."""
    from requests import ReadTimeout, RequestException
    from urllib3.exceptions import ProtocolError, ReadTimeoutError

    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, ReadTimeout | ReadTimeoutError):
            return "notice_unreached_late"
        if isinstance(cause, socket.gaierror):
            return "notice_unreached_name"
        if isinstance(cause, ssl.SSLError):
            return "notice_unreached_tls"
        if isinstance(cause, ConnectionRefusedError):
            return "notice_unreached_refused"
        if isinstance(cause, ConnectionError | SMTPServerDisconnected):
            return "notice_unreached_broken"
        if isinstance(cause, TimeoutError):
            return "notice_unreached_silent"
        if isinstance(cause, OSError) and cause.errno in NO_ROUTE:
            return "notice_unreached_route"
    if any(isinstance(cause, ProtocolError) for cause in causes):  # it began to answer
        return "notice_unreached_broken"
    is_answer = isinstance(error, SMTPException) or not isinstance(error, OSError | RequestException)
    return "" if is_answer else "notice_unreached"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An error, then what it was raised from or during, down to the first."""
    found: BaseException | None = error
    while found is not None:
        yield found
        found = found.__cause__ or found.__context__
