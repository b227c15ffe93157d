"""The `labelwatch` command: arguments enter, an exit code leaves.

Verbs stand in the modules beside this one, each with its options above what runs it. What a verb does is imported when
it runs, so that asking for help loads nothing heavy.
"""

from __future__ import annotations

import argparse
import io
import logging
import os
import select
import sys
import time
from pathlib import Path

from detector.cli import edge, hub, models, recordings, trying
from detector.cli.arguments import FAILED, MISUSED, verbs_of
from detector.errors import ConfigError, LabelwatchError, MissingPart, NotThere
from detector.machine.secrecy import guard, one_line, redacted
from detector.version import VERSION

UNREAD = 141  # as a shell says of a program that wrote into a pipe which nobody reads


def main(arguments: list[str] | None = None) -> int:
    """Run one command; named errors become one line on stderr and an exit code.

    Returns:
        0 fine, 1 findings or failed work, 2 usage or configuration.
    """
    _open_what_is_closed()
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")  # what a terminal can't show must not end what was asked for
    parser = build_parser()
    options = parser.parse_args(arguments)
    set_up_logging(options.verbose)
    try:
        code: int = options.run(options)
        sys.stdout.flush()  # while it can still be said that it failed
    except (ConfigError, MissingPart, NotThere) as error:
        _tell(str(error))
        return MISUSED
    except LabelwatchError as error:
        _tell(str(error))
        return FAILED
    except OSError as error:
        if isinstance(error, BrokenPipeError) and _nobody_reads():
            return UNREAD
        known = isinstance(error.filename, str) and error.strerror
        _tell(redacted(f"{error.filename}: {error.strerror}" if known else error))
        return FAILED
    except KeyboardInterrupt:
        return 130
    return code


def _open_what_is_closed() -> None:
    """Let output go nowhere that whoever started us has closed (`>&-`): Python has none then, and would print errors
    among what was asked for; and the next file that is opened would be taken for it by every process we start."""
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            nowhere = Path(os.devnull).open("r" if name == "stdin" else "w", encoding="utf-8")  # noqa: SIM115 (stays)
            setattr(sys, name, nowhere)


def _nobody_reads() -> bool:
    """Whether it was the reader of our output who went, as `head` does; if so, what is left of it goes nowhere."""
    output = sys.stdout.fileno()
    asked = select.poll()
    asked.register(output, 0)
    gone = bool(asked.poll(0))  # told of errors alone
    if gone:
        os.dup2(os.open(os.devnull, os.O_WRONLY), output)  # the interpreter flushes once more as it ends
    return gone


def _tell(error: str) -> None:
    """An error's lines, one for each problem; names of files in them may hold what speaks to a terminal."""
    print("labelwatch: " + "\n".join(map(one_line, error.split("\n"))), file=sys.stderr)


def set_up_logging(verbose: bool) -> None:
    """Log to stderr, UTC times, no secrets."""
    guard()
    handler = logging.StreamHandler()
    formatter = logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s", "%Y-%m-%dT%H:%M:%SZ")
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    logging.basicConfig(level=logging.DEBUG if verbose else logging.INFO, handlers=[handler], force=True)
    for name in ("httpx", "httpcore", "alembic", "asyncio", "libav"):
        logging.getLogger(name).setLevel(logging.WARNING)


def build_parser() -> argparse.ArgumentParser:
    """All verbs and their options."""
    parser = argparse.ArgumentParser(prog="labelwatch", description="Notices people photographing parcel labels.")
    parser.add_argument("--version", action="version", version=f"labelwatch {VERSION}")
    parser.add_argument("-v", "--verbose", action="store_true", help="log more")
    verb = verbs_of(parser, "COMMAND")
    for module in (trying, edge, hub, recordings, models):
        module.add_verbs(verb)
    return parser
