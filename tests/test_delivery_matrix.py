"""Nothing is lost or doubled in some cells of the matrix; `python -m tests.bench.kill_matrix` runs them all, longer."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.delivery_matrix import DELAY_S, HOWS, Cell, all_cells, run_cell

# One in which everybody is hit in turn, and the one in which a hub once never came back.
CELLS = [(Cell("everybody", "hit", "mosquitto"), 2), (Cell("hub", "killed", "iotcore"), 1)]


@pytest.mark.parametrize(("cell", "hits"), CELLS, ids=[cell.name for cell, _ in CELLS])
def test_whoever_is_hit_every_alert_and_clip_arrives_once(tmp_path: Path, cell: Cell, hits: int) -> None:
    outcome = run_cell(cell, tmp_path, alerts=180, clips=6, hits=hits, rate=0, seed=7)
    assert outcome.wrong == []
    assert outcome.seconds > 0


def test_schedules_follow_from_the_seed_and_hit_the_cell_s_target() -> None:
    cells = all_cells()
    assert len({cell.name for cell in cells}) == len(cells) == 2 * (sum(map(len, HOWS.values())) + 2)
    for cell in cells:
        schedule = cell.schedule(5, 1)
        assert schedule == cell.schedule(5, 1) and (not schedule or schedule != cell.schedule(5, 2))
        assert [hit.mark for hit in schedule] == sorted(hit.mark for hit in schedule)
        assert all(hit.how in HOWS[hit.who] and hit.outage_s > DELAY_S for hit in schedule)
        if cell.who in HOWS:
            assert {(hit.who, hit.how) for hit in schedule} == {(cell.who, cell.how)}
