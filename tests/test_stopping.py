"""Stopping while camera, analysis, broker and hub are all stuck (the long run: `python -m tests.bench.stopping`)."""

from __future__ import annotations

from pathlib import Path

from tests.bench.stopping import STUCK, stop_once


def test_with_all_round_it_stuck_it_stops_and_loses_nothing(tmp_path: Path) -> None:
    stop = stop_once(tmp_path)
    assert stop.code == 0, stop.log
    assert stop.took_s < 15, "promised are five seconds; a busy machine may need more"
    assert stop.unended == ([STUCK], []), "what could not be ended at once is ended by the next start"
    assert stop.broken == []
    assert "does not stop in time camera=stuck" in stop.log
