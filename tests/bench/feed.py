"""How long the hub takes for its pages with many incidents; run by hand: `python -m tests.bench.feed [N]`.

Fills a SQLite hub with N incidents (100,000 when left out; about 1 GB, two minutes), asks for the feed narrowed in
every way, for the day, the weeks and other pages, each 15 times in one process without a network, and prints the median
and the worst time, by the clock and of what the processor was busy with it: on a machine that does other work, too,
the two differ.
"""

from __future__ import annotations

import itertools
import re
import statistics
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import urlencode

from tests.hub.conftest import NOON, Site, make_envelope

BATCH = 200
TIMES = 15
PICTURE = b"\xff\xd8\xff" + bytes(5000)
SEVERITIES = ("info", "warning", "critical")
KINDS = ("label_photography", "orientation_pattern", "lingering", "blind_corner", "tamper")
ZONES = ("bulk", "gate")
ELSEWHERE = 10  # one incident of so many was in the other zone, too
SITES = ("shanghai", "suzhou")
EVERY_S = 24.0  # so that 100,000 of them fill four weeks
# What the feed can be narrowed by; of some values there are many, of others none.
FILTERS = {
    "told": ("all", "digest"),
    "site": ("shanghai",),
    "camera": ("cam3",),
    "zone": ("bulk",),
    "kind": ("tamper",),
    "severity": ("critical",),
    "verdict": ("open", "unclear"),
    "day": ("2026-10-20",),
}


def main() -> None:
    """Fill and measure."""
    incidents = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    with tempfile.TemporaryDirectory() as folder:
        site = Site(Path(folder))
        fill(site, incidents)
        measure(site, incidents)


def fill(site: Site, incidents: int) -> None:
    """Store incidents of two sites with eight cameras each, and judge some."""
    began = time.perf_counter()
    for first in range(1, incidents + 1, BATCH):
        numbers = range(first, min(first + BATCH, incidents + 1))
        site.store.add_alerts([alert(n, incidents) for n in numbers], NOON)
    print(f"{incidents} incidents stored, {incidents / (time.perf_counter() - began):.0f} a second")
    for n in range(1, incidents, max(1, incidents // 1000)):
        site.store.verdicts.add(f"i{n}", "owner", ("true", "false")[n % 7 > 0], "", NOON)


def alert(n: int, incidents: int) -> dict[str, object]:
    """The n-th of so many alerts, the last of them now."""
    fields = make_envelope(
        n, incident=f"i{n}", started_at_unix=NOON - (incidents - n) * EVERY_S, snapshot=PICTURE,
        severity=SEVERITIES[n // 3 % 3], kind=KINDS[n % 5], zone=ZONES[n // 7 % 2], site=SITES[n // 13 % 2],
    )  # fmt: skip
    fields["after"]["camera"] = f"cam{n // 11 % 8}"
    if n % ELSEWHERE == 0:
        fields["after"]["facts"] = {"other_zones": [ZONES[1 - n // 7 % 2]]}
    return fields


def measure(site: Site, incidents: int) -> None:
    """Ask for pages and print how long they took."""
    said = dict(re.findall(r'<input type="hidden" name="(seen|to|shown)" value="([^"]*)"', site.client.get("/").text))
    live = "/feed/live?" + urlencode({**said, "seen": int(said["seen"]) - 1})
    pages = {
        "feed": ["/"],
        "feed, paged": [f"/?before={NOON - incidents * EVERY_S / 2},", f"/feed/older?before={NOON - 86400},"],
        "feed, live": [live],
        "feed, live, of 200 cards": [re.sub(r"&to=[^&]*&shown=[^&]*", "&shown=200", live)],
        "digest": ["/digest"],
        "day": ["/day", "/day?day=2026-10-20"],
        "weeks": ["/weeks"],
        "incident": [f"/incidents/i{incidents // 2}"],
        "cameras": ["/cameras"],
        "tuning": ["/tuning"],
    }
    for size in range(1, 4):
        pages[f"feed by {size} filters"] = [
            "/?" + urlencode(dict(zip(names, values, strict=True)))
            for names in itertools.combinations(FILTERS, size)
            for values in itertools.product(*(FILTERS[name] for name in names))
        ]
    every = itertools.product(*((None, *FILTERS[name]) for name in ("told", "zone", "severity", "verdict", "day")))
    some = [dict(zip(("told", "zone", "severity", "verdict", "day"), values, strict=True)) for values in every]
    whole = {"site": "shanghai", "camera": "cam3", "kind": "tamper"}
    pages["feed by more filters"] = [
        "/?" + urlencode({**whole, **{name: value for name, value in narrow.items() if value}}) for narrow in some
    ]
    for name, paths in pages.items():
        times = TIMES if len(paths) < 5 else 3
        spent = [(*spent_on(site, path), path) for path in paths for _ in range(times)]
        clock, busy = sorted(one[0] for one in spent), sorted((one[1], one[2]) for one in spent)
        print(
            f"{name:20} {len(paths):3} pages: median {statistics.median(clock):5.1f} ms, worst {clock[-1]:5.1f}; "
            f"busy {busy[len(busy) // 2][0]:5.1f}, worst {busy[-1][0]:5.1f} {busy[-1][1]}"
        )


def spent_on(site: Site, path: str) -> tuple[float, float]:
    """Milliseconds that a page takes, by the clock and of the processor."""
    began, busy = time.perf_counter(), time.process_time()
    assert site.client.get(path).status_code == 200, path
    return (time.perf_counter() - began) * 1000, (time.process_time() - busy) * 1000


if __name__ == "__main__":
    main()
