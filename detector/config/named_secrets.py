"""Secrets, of which a configuration names only the place."""

from __future__ import annotations

import os
from pathlib import Path

from detector.errors import ConfigError, Problem
from detector.machine.secrecy import know


def secret(env: str | None, file: Path | None) -> str | None:
    """A secret named by environment variable or file; `None` when neither is given. From then on no log shows it.

    Raises:
        ConfigError: It is named but not there.
    """
    if env:
        if env not in os.environ:
            raise ConfigError([Problem("environment", env, "is not set", "export it before starting")])
        return know(os.environ[env])
    if file:
        try:
            return know(file.read_text(encoding="utf-8-sig").strip())  # editors of Windows begin it with a mark
        except OSError as error:
            raise ConfigError([Problem(str(file), "", f"can't be read: {error.strerror}", "check the path")]) from error
        except UnicodeDecodeError as error:
            raise ConfigError([Problem(str(file), "", "is not UTF-8 text", "save it as UTF-8")]) from error
    return None
