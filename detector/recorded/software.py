"""The software a machine looks and judges with: versions and checksums of all that shapes the answer.

Machines that differ in a part of it may find something else in the same file, and so may one before and after an
update, and nobody would know.
"""

from __future__ import annotations

import hashlib

import detector
from detector.config import Analysis
from detector.machine.resources import resource
from detector.recorded.checksums import code
from detector.recorded.looking import model_of
from detector.version import installed

APART = frozenset({"bench", "cli", "edge", "hub", "mqtt", "report", "tools"})  # packages that judge no recording
WEIGHTS = ("acts.yaml", "sweeps.yaml")


def judge() -> str:
    """Checksum of what judges a recording once it was looked at: code that may have a part in it, and its weights.

    Raises:
        MissingPart: A card of weights isn't there.
    """
    weights = (resource("models", name).read_bytes() for name in WEIGHTS)
    return hashlib.sha256(b"\0".join([code(APART).encode(), *weights])).hexdigest()[:12]


def software(analysis: Analysis) -> dict[str, str]:
    """Each part by its name, as people know it.

    Raises:
        ModelError: The model can't be used.
        MissingPart: There is no such model, or what runs it isn't installed.
    """
    model = model_of(analysis)
    return {
        "labelwatch": f"{detector.__version__} ({code()})",
        "model": f"{model['name']} ({model['sha256'][:12]})",
        "precision": model["precision"],
        **{library: installed(library) or "none" for library in (model["runtime"], "av", "opencv-python")},
    }


def differences(theirs: dict[str, str], ours: dict[str, str]) -> str:
    """What another machine has otherwise, for people; empty where nothing is."""
    names = [name for name in {**ours, **theirs} if theirs.get(name) != ours.get(name)]
    return ", ".join(f"{name} {theirs.get(name, 'none')} instead of {ours.get(name, 'none')}" for name in names)
