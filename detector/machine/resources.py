"""Where `models/` and `configs/` are: the one place that knows."""

from __future__ import annotations

import os
from pathlib import Path

from detector.errors import MissingPart

ROOT = Path(__file__).resolve().parents[2]


def resource(*parts: str) -> Path:
    """Path of a file that ships with the project, e.g. `resource("models", "scene.yaml")`.

    `LABELWATCH_HOME` names another folder that holds `models/` and `configs/`.

    Raises:
        MissingPart: It isn't there.
    """
    home = Path(os.environ.get("LABELWATCH_HOME") or ROOT)
    path = home.joinpath(*parts)
    if not path.exists():
        raise MissingPart(
            f"{path} is missing: run labelwatch from its clone, "
            f"or set LABELWATCH_HOME to the folder that holds {parts[0]}/"
        )
    return path
