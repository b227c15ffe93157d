"""The machine a bench ran on: what it is, what was installed, and whether something else kept it busy."""

from __future__ import annotations

import os
import platform
from typing import Any

from detector.version import installed

PACKAGES = ("onnxruntime", "openvino", "av", "opencv-python", "numpy", "ultralytics", "torch", "lap")
BUSY_LOAD = 0.5  # of the cores, by others, at the beginning
WAITED = 1.2  # seconds for a processor second


def load() -> float | None:
    """How many processes wanted a core in the last minute; `None` where that isn't told."""
    try:
        return os.getloadavg()[0]
    except (AttributeError, OSError):
        return None


def machine() -> dict[str, Any]:
    """What it is."""
    from detector.tools.doctor import processor

    return {
        "processor": processor().told,
        "system": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        "versions": {package: version for package in PACKAGES if (version := installed(package))},
    }


def warnings(load_before: float | None, wall_s: float, cpu_s: float) -> list[str]:
    """What casts doubt on the figures.

    Args:
        load_before: As of `load`, before the bench.
        wall_s: Seconds that all runs lasted.
        cpu_s: Processor seconds that they took.
    """
    found, cores = [], os.cpu_count() or 1
    if load_before is not None and load_before > BUSY_LOAD * cores:
        found.append(f"the machine was busy before the bench began: load {load_before:.1f} on {cores} cores")
    if cpu_s > 0 and wall_s > WAITED * cpu_s:
        found.append(
            f"the runs waited for a core: {wall_s / cpu_s:.1f} s for a processor second; others used caches and memory "
            "meanwhile, so that all figures are too low, and ratios within a round are the ones to trust"
        )
    return found
