"""Chance that takes nothing from elsewhere: what is drawn in addition must not change what is drawn anyway."""

from __future__ import annotations

import random


def beside(rng: random.Random) -> random.Random:
    """A stream of its own that follows from where `rng` is now, and leaves it there."""
    now = random.Random()
    now.setstate(rng.getstate())
    return random.Random(f"beside {now.random()}")
