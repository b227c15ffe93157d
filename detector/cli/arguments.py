"""Words of a command line: what each kind of argument may be, and what it becomes."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Any

from detector.errors import ConfigError, Problem

if TYPE_CHECKING:
    from detector.hub.access.audit import Head

FINE, FAILED, MISUSED = 0, 1, 2  # exit codes: fine; findings or failed work; usage or configuration
MOST_TOLD = 50  # files that were not taken; all are in the summary

Run = Callable[[argparse.Namespace], int]
Verb = Callable[[str, Run, str], argparse.ArgumentParser]  # names one: what runs it, and what it is about


def file_or_folder(text: str) -> Path:
    """A file or folder that is named; `Path("")`, of a shell's empty variable, would be the current folder."""
    if not text:
        raise argparse.ArgumentTypeError("must name a file or folder, and is empty")
    return Path(text)


# What many commands ask for is asked for in the same words by all of them.
EDGE_CONFIG: dict[str, Any] = {
    "type": file_or_folder,
    "metavar": "CONFIG",
    "help": "configuration of an edge box: a copy of configs/site.yaml",
}
HUB_CONFIG: dict[str, Any] = {
    "type": file_or_folder,
    "metavar": "HUB_CONFIG",
    "help": "configuration of the hub: configs/hub.yaml or a copy",
}
LANGUAGE: dict[str, Any] = {"choices": ("zh", "en"), "help": "that of the terminal when left out"}


def verbs_of(parser: argparse.ArgumentParser, metavar: str) -> Verb:
    """What names the verbs of a parser: the command's own, or the actions of one of them."""
    verbs = parser.add_subparsers(required=True, metavar=metavar)

    def verb(name: str, run: Run, what: str) -> argparse.ArgumentParser:
        added = verbs.add_parser(name, help=what, description=what)
        added.set_defaults(run=run)
        return added

    return verb


def timezone(text: str) -> str:
    """A time zone of the IANA database."""
    from zoneinfo import available_timezones

    if text not in available_timezones():
        raise argparse.ArgumentTypeError(f"no such time zone: {text} (Asia/Shanghai, say)")
    return text


def positive(text: str) -> int:
    """A whole number of 1 or more."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of 1 or more, not {text}")
    return int(text)


def count(text: str) -> int:
    """A whole number of 0 or more."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"must be a whole number of 0 or more, not {text}")
    return int(text)


def amount(text: str) -> float:
    """A number of 0 or more."""
    try:
        amount = float(text)
    except ValueError:
        amount = -1.0
    if not 0 <= amount < float("inf"):
        raise argparse.ArgumentTypeError(f"must be a number of 0 or more, not {text}")
    return amount


def port(text: str) -> int:
    """A port to listen on; 0 takes a free one."""
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"must be a whole number from 0 to 65535, not {text}")
    return int(text)


def share(text: str) -> float:
    """A number from 0 to 1."""
    try:
        share = float(text)
    except ValueError:
        share = float("nan")
    if not 0 <= share <= 1:
        raise argparse.ArgumentTypeError(f"must be a number from 0 to 1, not {text}")
    return share


def teaching(text: str) -> tuple[str, ...]:
    """Verdicts, and `walk_test`, with commas between."""
    from detector.hub.footage.training_set import TEACHING  # much, and needed by who asks for some of them

    verdicts = tuple(text.split(","))
    if wrong := [verdict for verdict in verdicts if verdict not in TEACHING]:
        why = "what is unclear to people teaches nothing" if "unclear" in wrong else f"no such verdict: {wrong[0]!r}"
        raise argparse.ArgumentTypeError(f"{why} (of {', '.join(TEACHING)}, with commas between)")
    return verdicts


def day(text: str) -> date:
    """A day of the calendar."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be a day such as 2026-11-01, not {text}") from None


def hours(text: str) -> tuple[time, time]:
    """HH:MM-HH:MM, which may pass midnight."""
    form = r"(?:[01]\d|2[0-3]):[0-5]\d"
    if not re.fullmatch(f"{form}-{form}", text):
        raise argparse.ArgumentTypeError(f"must be two times of day such as 22:00-06:00, not {text}")
    begin, end = map(time.fromisoformat, text.split("-"))
    if begin == end:
        raise argparse.ArgumentTypeError(f"begins when it ends, and leaves nothing: {text}")
    return begin, end


def meaning(text: str) -> tuple[str, str]:
    """CLASS=LABEL."""
    theirs, equals, ours = text.rpartition("=")
    if not (theirs and equals and ours):
        raise argparse.ArgumentTypeError(f"must be CLASS=LABEL, not {text}")
    return theirs, ours


def places(text: str) -> list[str]:
    """Sites and cameras, with commas between."""
    names = [name.strip() for name in text.split(",")]
    if wrong := [name for name in names if not re.fullmatch(r"[^/\s]+(/[^/\s]+)?", name)]:
        raise argparse.ArgumentTypeError(f"must be SITE or SITE/CAMERA, with commas between, not {wrong[0]!r}")
    return names


def head_of_log(text: str) -> Head:
    """NUMBER:HASH of an audit log's entry."""
    from detector.hub.access.audit import Head

    try:
        return Head.of(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def spoken() -> str:
    """The terminal's language, of those that we speak."""
    spoken = next((os.environ[name] for name in ("LC_ALL", "LC_MESSAGES", "LANG") if os.environ.get(name)), "")
    return "zh" if spoken.startswith("zh") else "en"


def time_of(option: str, text: str | None, zone: tzinfo | None = None) -> float | None:
    """Unix seconds of an option's ISO 8601 time, in `zone` or else UTC where it names none; `None` when not given."""
    from detector.clock import unix
    from detector.values import DAY_S

    if text is None:
        return None
    try:
        at = unix(text, zone)
        for beside in (at - DAY_S, at + DAY_S):  # days beside it are asked for, too, by either clock
            datetime.fromtimestamp(beside, UTC)
            datetime.fromtimestamp(beside, zone or UTC)
        return at
    except (ValueError, OverflowError) as error:
        hint = "ISO 8601, e.g. 2026-11-01T09:26:00+08:00"
        raise ConfigError([Problem(option, "", f"not a time: {text}", hint)]) from error
