"""How often a turned patch is found and ordinary throws are not; run by hand: `python -m tests.bench.patches [RUNS]`.

Twenty parcels in rows, 18 of them label up, beside more or fewer thrown ones at the usual rate of 0.35; and the same
places with thrown parcels only. Thrown parcels of a scene share a rate that differs from throw to throw, as the rule
itself supposes: this measures the rule under its own assumptions, not a warehouse.
"""

from __future__ import annotations

import sys

import numpy as np

from detector.config import OrientationRule
from detector.rules.orientation import CORRELATION, LEVEL, most_surprising_patch

RATE = 0.35


def main() -> None:
    """Simulate and print."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    random, spread, settings = np.random.default_rng(7), 1 / CORRELATION - 1, OrientationRule()
    rows = np.array([[100 * (k % 5), 100 * (k // 5)] for k in range(20)], float)
    for others in (0, 10, 40):
        found = alarms = 0
        for _ in range(runs):
            scattered = random.uniform((600, 0), (1400, 800), (others, 2))
            places = np.vstack([rows + random.normal(0, 12, (20, 2)), scattered])
            turned = np.ones(20, bool)
            turned[random.choice(20, 2, replace=False)] = False
            thrown = random.random(20 + others) < random.beta(RATE * spread, (1 - RATE) * spread)
            patch = most_surprising_patch(places, np.r_[turned, thrown[20:]], RATE, settings.least_parcels)
            found += patch.p_value <= LEVEL
            alarms += most_surprising_patch(places, thrown, RATE, settings.least_parcels).p_value <= 0.05
        print(f"{20 + others} parcels: found {found / runs:.0%}; thrown called surprising at 0.05 {alarms / runs:.0%}")


if __name__ == "__main__":
    main()
