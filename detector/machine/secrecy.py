"""Texts come in that may hold a secret, and leave without it: every log line, error and crash of this program.

A secret is known by its looks (a login in an address, one of our tokens, a private key) or, once it was read from the
environment or a file, by its value (`know`). `guard` stands at the one place that every log line passes, the record
itself, so no handler or formatter that a library adds later can write what was taken out before.
"""

from __future__ import annotations

import json
import logging
import re
import resource
import sys
import threading
import traceback
from types import TracebackType
from typing import Any
from urllib.parse import quote

HIDDEN = "***"
SHORTEST = 4  # shorter ones would be found in every other word

# A password may hold what an address may not ("/", "'", "@"): then everything up to the last @ goes. Digits and a
# slash after the colon are a port and a path. One slash after the scheme is a slip of the hand, no less a secret. The
# scheme's length is bounded, or else a long word would be searched from each of its letters to its end.
_URL_LOGIN = re.compile(
    r"""(?P<scheme>[a-z][a-z0-9+.-]{1,19}:/+)
    (?: [^\s/:@"]+ : (?!\d+(?:[/?\s'"]|$)) [^\s"]* @  |  [^/\s'"@]+ (?:@[^/\s'"@]*)* @ )""",
    re.IGNORECASE | re.VERBOSE,
)
# What cameras' makers call it in addresses.
PASSWORDS = "password|passwd|pwd|pass|psw|loginpas|loginpass|userpwd"
_LOOKS = (
    (re.compile(r"\blw_[A-Za-z0-9_-]{20,}"), HIDDEN),
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL), HIDDEN),
    (re.compile(r"\b(Bearer|Basic)\s+(?=\S*[0-9_=+/-])[A-Za-z0-9._~+/-]{16,}=*", re.IGNORECASE), rf"\1 {HIDDEN}"),
    (
        re.compile(r"([?&](?:access_token|token|key|sign|signature|secret)=)[^&\s'\"#]+", re.I),
        rf"\1{HIDDEN}",
    ),
    (re.compile(rf"((?<![a-z])(?:{PASSWORDS})=)[^&;\s'\"#]+", re.I), rf"\1{HIDDEN}"),
)
# What would end a line, hide what follows, or write to a terminal: a name in a message must not make up a log line.
_CONTROL = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0)) if code not in (0x09, 0x0A, 0x0D)}
_CONTROL |= {0x0A: "\\n", 0x0D: "\\r"}
_CONTROL |= {code: f"\\u{code:04x}" for code in (*range(0x2028, 0x202F), *range(0x2066, 0x206A))}
_CONTROL_IN_TRACEBACK = {code: shown for code, shown in _CONTROL.items() if code != 0x0A}

_known: frozenset[str] = frozenset()
_known_pattern: re.Pattern[str] | None = None
_lock = threading.Lock()


def know(secret: str) -> str:
    """Remember a secret, so that `redacted` finds it as it is and as addresses and JSON write it; gives it back."""
    global _known, _known_pattern
    guard()
    ways = {secret, quote(secret), quote(secret, safe=""), json.dumps(secret)[1:-1], repr(secret)[1:-1]}
    with _lock:
        if not ways <= _known and len(secret) >= SHORTEST:
            _known |= ways
            longest_first = sorted(_known, key=len, reverse=True)
            _known_pattern = re.compile("|".join(map(re.escape, longest_first)))
    return secret


def without_login(text: str) -> str:
    """Text with user and password cut out of every address in it."""
    return _URL_LOGIN.sub(rf"\g<scheme>{HIDDEN}@", text)


def one_line(text: str) -> str:
    """Text in which nothing ends a line, or speaks to a terminal: names of files may hold anything."""
    return text.translate(_CONTROL)


def redacted(text: object) -> str:
    """Text without what looks like a secret or is known to be one; FFmpeg puts the full URL into its errors."""
    clean = without_login(str(text))
    for pattern, instead in _LOOKS:
        clean = pattern.sub(instead, clean)
    return clean if _known_pattern is None else _known_pattern.sub(HIDDEN, clean)


class _Record(logging.LogRecord):
    """A log record that holds only what may be written: message and traceback as text, redacted when it is made."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        try:
            said = super().getMessage()
        except Exception:  # noqa: BLE001 - a message that doesn't fit its arguments is a slip, no reason to fail
            said = f"{self.msg} {self.args!r}"
        self.msg, self.args = redacted(said).translate(_CONTROL), ()
        if self.exc_info:
            self.exc_text = _shown(*self.exc_info)
            self.exc_info = None  # formatters would write it anew, and some handlers send it elsewhere
        if self.stack_info:
            self.stack_info = redacted(self.stack_info)


def _shown(kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> str:
    """A traceback without secrets; indented, so that no line of an error's text passes for a line of the log."""
    lines = "".join(traceback.format_exception(kind, error, trace)).rstrip()
    return "\n".join(f"  {line}" for line in redacted(lines).translate(_CONTROL_IN_TRACEBACK).split("\n"))


def guard() -> None:
    """Let nothing that this process logs, warns of or dies of tell a secret, nor leave it in a core dump."""
    if logging.getLogRecordFactory() is _Record:
        return
    logging.setLogRecordFactory(_Record)
    logging.captureWarnings(capture=True)
    _no_core_dump()
    # Hooks that somebody else has put in stay.
    if sys.excepthook is sys.__excepthook__:
        sys.excepthook = _died
    if threading.excepthook is threading.__excepthook__:
        threading.excepthook = lambda end: _thread_died(end.thread, end.exc_type, end.exc_value, end.exc_traceback)
    if sys.unraisablehook is sys.__unraisablehook__:
        sys.unraisablehook = lambda odd: _log_crash("ignored", odd.exc_type, odd.exc_value, odd.exc_traceback)


def _no_core_dump() -> None:
    _, most = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, most))


def _died(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        return
    _log_crash("crashed", kind, error, trace)


def _thread_died(
    thread: threading.Thread | None, kind: type[BaseException], error: BaseException | None, trace: TracebackType | None
) -> None:
    if not issubclass(kind, SystemExit):
        _log_crash(f"thread {thread.name if thread else '?'} died", kind, error, trace)


def _log_crash(what: str, kind: type[BaseException], error: BaseException | None, trace: TracebackType | None) -> None:
    logging.getLogger(__name__).critical(what, exc_info=(kind, error or kind(), trace))
