"""The last configuration that a worker ran with, kept to start with when its file has become unusable.

`data_dir/last_good.json`, mode 0600: the path of the file it was read from, when, the SHA-256 of the rest, and the
configuration itself with every path absolute. It holds no secret, since a configuration holds none.

Which data folder, when the file can't even be parsed? Its own line `data_dir:` is looked for as text, which outlasts
nearly every slip elsewhere in it; then `$STATE_DIRECTORY`, which systemd sets; then the default beside the file. A copy
counts only when it was kept for this very path, so a wrong guess starts nothing.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from detector.config import EdgeConfig
from detector.errors import Problem
from detector.machine.secrecy import redacted
from detector.machine.whole_files import write_whole
from detector.plain_yaml import read_yaml

logger = logging.getLogger(__name__)

NAME = "last_good.json"
LARGEST = 4_000_000
MOST_PROBLEMS, LONGEST_PROBLEM = 20, 300
FOLDERS = re.compile(r"(?<![\w:/])/(?:[^\s/]+/)+")
OWN_LINE = re.compile(rb"^data_dir[ \t]*:[ \t]*(?P<value>[^\r\n]*)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class LastGood:
    """A configuration that worked.

    Attributes:
        config: As it was.
        kept_at: When it was put aside, Unix seconds.
    """

    config: EdgeConfig
    kept_at: float


@dataclass(slots=True)
class Origin:
    """Where the configuration that is in force came from.

    Attributes:
        path: Its file.
        last_good: What stands in for the file, `None` where the file itself is in force.
        problems: Why it can't be.
        reached_running: Whether a worker ran with the configuration for some seconds.
    """

    path: Path
    last_good: LastGood | None = None
    problems: tuple[str, ...] = ()
    reached_running: bool = False

    def health(self) -> dict[str, Any]:
        """Fields for the health message."""
        if self.last_good is None:
            return {"state": "current"}
        problems = [problem[:LONGEST_PROBLEM] for problem in self.problems[:MOST_PROBLEMS]]
        return {"state": "last_good", "since": round(self.last_good.kept_at, 3), "problems": problems}

    def running(self, config: EdgeConfig, now: float) -> None:
        """A worker runs with it: it is kept, unless it was kept before."""
        self.reached_running = True
        if self.last_good is None:
            keep(self.path, config, now)


def keep(path: Path, config: EdgeConfig, now: float) -> None:
    """Put a configuration aside as good; a disk that takes nothing is logged, no more.

    Args:
        path: The file that it was read from.
        config: What was read.
        now: Unix seconds.
    """
    told = {"path": str(path.resolve()), "kept_at": now, "config": config.model_dump(mode="json")}
    target = config.data_dir / NAME
    before = _read(target)
    if before and before["path"] == told["path"] and before["config"] == told["config"]:
        return
    try:
        write_whole(target, json.dumps({**told, "sha256": _sha256(told)}, ensure_ascii=False), mode=0o600)
    except OSError as error:
        logger.warning("the configuration can't be kept as good in %s: %s", target, error.strerror)


def find(path: Path, environment: Mapping[str, str] = os.environ) -> LastGood | None:
    """What was kept for the configuration file `path`; `None` where nothing was, or it can't be used any more."""
    for folder in dict.fromkeys(_folders(path, environment)):
        found = _read(folder / NAME)
        if found is None or found["path"] != str(path.resolve()):
            continue
        try:
            return LastGood(EdgeConfig.model_validate(found["config"]), float(found["kept_at"]))
        except (ValidationError, TypeError, ValueError) as error:
            logger.error("the last good configuration in %s can't be used: %s", folder, redacted(error))
    return None


def as_problems(problems: list[Problem]) -> tuple[str, ...]:
    """Problems as they are told to the hub: without folders, which are nobody's business there."""
    return tuple(str(Problem(Path(one.file).name, one.key, FOLDERS.sub("", one.reason), one.hint)) for one in problems)


def _folders(path: Path, environment: Mapping[str, str]) -> Iterator[Path]:
    beside = path.resolve().parent
    try:
        with path.open("rb") as file:
            found = OWN_LINE.search(file.read(LARGEST))
        value = read_yaml(found["value"].decode()) if found else None
        if isinstance(value, str) and "\0" not in value:
            yield (beside / value).resolve()
    except (OSError, ValueError, yaml.YAMLError):
        pass
    if state := environment.get("STATE_DIRECTORY"):
        yield Path(state.split(":")[0]).resolve()
    yield (beside / EdgeConfig.model_fields["data_dir"].default).resolve()


def _read(path: Path) -> dict[str, Any] | None:
    """What a file of ours holds; `None` where there is none, or it isn't whole."""
    try:
        if path.stat().st_size > LARGEST:
            raise ValueError("is too large")
        found = json.loads(path.read_text(encoding="utf-8"))
        told = {name: found[name] for name in ("path", "kept_at", "config")}
        if found["sha256"] != _sha256(told):
            raise ValueError("doesn't fit its checksum")
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        logger.error("the last good configuration %s can't be read: %s", path, redacted(error))
        return None
    return told


def _sha256(told: Mapping[str, Any]) -> str:
    text = json.dumps(told, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()
