"""The whole kill matrix as a Markdown table; run by hand: `python -m tests.bench.kill_matrix [ALERTS [CLIPS [WORDS]]]`.

Every cell is hit five times while the edge puts alerts as fast as it can. With WORDS only the cells whose names hold
them are run. The exit status tells whether all was well everywhere; what went wrong keeps its folder.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from tests.delivery_matrix import HEAD, all_cells, run_cell

HITS = 5
SEED = 1


def main(alerts: int, clips: int, words: str) -> int:
    """Run it; 1 when anything was wrong."""
    folder = Path(tempfile.mkdtemp(prefix="kill-matrix-"))
    print(HEAD, flush=True)
    wrong = 0
    for n, cell in enumerate(c for c in all_cells() if words in c.name):
        home = folder / str(n)
        outcome = run_cell(cell, home, alerts=alerts, clips=clips, hits=HITS, rate=0, seed=SEED)
        print(outcome.row, flush=True)
        if outcome.wrong:
            wrong += 1
            print(f"{cell.name}: its folder is {home}", file=sys.stderr, flush=True)
        else:
            shutil.rmtree(home)
    if not wrong:
        shutil.rmtree(folder)
    return 1 if wrong else 0


if __name__ == "__main__":
    given = sys.argv[1:]
    sys.exit(main(int(given[0]) if given else 10_000, int(given[1]) if given[1:] else 200, " ".join(given[2:])))
