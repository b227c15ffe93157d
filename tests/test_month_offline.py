"""A box that was cut off for a month comes back: live alerts arrive at once, the rest after them, the gravest first."""

from __future__ import annotations

from pathlib import Path

from detector.config import Buffers
from tests.parts_faults import memory_folder
from tests.parts_month import month_offline


def test_live_alerts_do_not_wait_for_a_month_of_others(tmp_path: Path) -> None:
    del tmp_path
    with memory_folder() as folder:
        seen = month_offline(folder, 1200, live=10, every_s=0.02)
    assert (len(seen.order), seen.lost) == (1210, 0)
    assert seen.out_of_order == 0
    # A window of others may be on its way, and some more go before the next is looked for; never the whole backlog.
    assert max(seen.overtook) < 600
    assert seen.feed == sorted(seen.feed, reverse=True)
    assert [incident[:4] for _, incident in seen.feed[:10]] == ["live"] * 10


def test_what_had_no_room_is_told_and_not_called_lost(tmp_path: Path) -> None:
    del tmp_path
    with memory_folder() as folder:
        seen = month_offline(folder, 600, live=2, every_s=0.0, buffers=Buffers(alert_rows=200))
    assert seen.lost == 0 and seen.dropped >= 400
    assert len(seen.order) + seen.dropped == 602
    assert {incident for incident, severity in seen.order if severity == "critical"} >= {"old000009", "old000299"}
