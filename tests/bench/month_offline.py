"""A month cut off, then back: how soon live alerts arrive, and the rest: `python -m tests.bench.month_offline [ROWS]`.

Prints a Markdown table; the number of alerts of the month may be given, 20,000 when left out. The exit status tells
whether all was well: nothing lost, and no live alert behind the backlog.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.parts_month import HEAD, month_offline

LATEST_S = 3.0


def main(rows: int) -> int:
    """Run it; 1 when anything was wrong."""
    print(HEAD, flush=True)
    with tempfile.TemporaryDirectory(prefix="month-offline-") as folder:
        seen = month_offline(Path(folder), rows, live=40, every_s=0.25)
    print(seen.row())
    return 1 if seen.lost or len(seen.order) != rows + 40 or max(seen.live_s) > LATEST_S else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if sys.argv[1:] else 20_000))
