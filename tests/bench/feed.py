"""How long the hub takes for its pages with many incidents; run by hand: `python -m tests.bench.feed [N]`.

Fills a SQLite hub with N incidents (100,000 when left out; about 0.7 GB, a minute), asks for each page 15 times in one
process without a network, and prints the median and the worst time.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

from tests.hub.conftest import NOON, Site, make_envelope

BATCH = 200
PICTURE = b"\xff\xd8\xff" + bytes(5000)
SEVERITIES = ("info", "warning", "critical")
KINDS = ("label_photography", "orientation_pattern", "lingering", "blind_corner", "tamper")
ZONES = ("bulk", "gate")


def main() -> None:
    """Fill and measure."""
    incidents = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    with tempfile.TemporaryDirectory() as folder:
        site = Site(Path(folder))
        began = time.perf_counter()
        for first in range(1, incidents + 1, BATCH):
            numbers = range(first, min(first + BATCH, incidents + 1))
            site.store.add_alerts(
                [
                    make_envelope(
                        n, incident=f"i{n}", started_at_unix=NOON - (incidents - n) * 30.0, snapshot=PICTURE,
                        severity=SEVERITIES[n % 3], kind=KINDS[n % 5], zone=ZONES[n % 2],
                    )
                    for n in numbers
                ],
                NOON,
            )  # fmt: skip
        print(f"{incidents} incidents stored, {incidents / (time.perf_counter() - began):.0f} a second")
        for n in range(1, incidents, max(1, incidents // 1000)):
            site.store.add_verdict(f"i{n}", "owner", ("true", "false")[n % 7 > 0], "", NOON)
        pages = (
            "/",
            f"/?before={NOON - incidents * 15},",
            "/digest",
            f"/incidents/i{incidents // 2}",
            "/cameras",
            "/tuning",
        )
        for path in pages:
            spent = []
            for _ in range(15):
                began = time.perf_counter()
                assert site.client.get(path).status_code == 200
                spent.append((time.perf_counter() - began) * 1000)
            print(f"{path:32} median {statistics.median(spent):5.1f} ms, worst {max(spent):5.1f} ms")


if __name__ == "__main__":
    main()
