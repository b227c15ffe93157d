"""How a worker is started: a configuration file enters; the worker runs with it, or with the last good one instead."""

from __future__ import annotations

import faulthandler
import logging
import os
import sys
import threading
from pathlib import Path

from detector.clock import iso
from detector.config import check_edge, load_edge
from detector.edge.camera_worker import CAMERA_THREAD
from detector.edge.last_good import Origin, as_problems, find
from detector.edge.supervisor import BEGIN_ANEW, live_with_parent
from detector.errors import ConfigError, LabelwatchError, Problem
from detector.worker import run

logger = logging.getLogger(__name__)


def launch(path: Path, *, strict: bool = False) -> int:
    """Run a worker until it is done or told to stop.

    When it wants a new process (`BEGIN_ANEW`), whoever supervises it sees to that; alone, it replaces itself.

    Args:
        path: The edge's configuration file.
        strict: An unusable file is an error, whatever may have worked before.

    Raises:
        ConfigError: The file can't be used, and no other configuration is known to work.
        LabelwatchError: It can't begin.
    """
    if sys.__stderr__ is not None:
        faulthandler.enable(sys.__stderr__)
    live_with_parent()
    code = _run_or_fall_back(path, strict=strict)
    anew = code == BEGIN_ANEW and "NOTIFY_SOCKET" not in os.environ
    stuck = [thread.name for thread in threading.enumerate() if thread.name.startswith(CAMERA_THREAD)]
    if anew or stuck:
        logging.shutdown()
    if anew:
        os.execv(sys.executable, sys.orig_argv)  # noqa: S606 - there is no shell in this
    if stuck:  # the interpreter's orderly end may wait for it, or trip over it
        os._exit(code)
    return code


def _run_or_fall_back(path: Path, *, strict: bool) -> int:
    origin, tried = Origin(path), None
    try:
        config = load_edge(path)
        if problems := [p for p in check_edge(config, path) if not p.key.endswith(".source")]:
            raise ConfigError(problems)
        tried = config
        return run(config, origin=origin)
    except (LabelwatchError, OSError) as error:
        # What fails once it has run is no matter of the configuration: a new start with the same is right.
        if strict or origin.reached_running:
            raise
        problems = error.problems if isinstance(error, ConfigError) else [Problem(str(path), "", _said(error))]
        last_good = find(path)
        if last_good is None or last_good.config == tried:
            raise
    for problem in problems:
        logger.error("the configuration can't be used: %s", problem)
    logger.error("SAFE MODE: watching with the last good configuration, of %s", iso(last_good.kept_at))
    return run(last_good.config, origin=Origin(path, last_good, as_problems(problems)))


def _said(error: Exception) -> str:
    return str(LabelwatchError(error))
