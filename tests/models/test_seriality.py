"""The recipe of sweep weights: what it hears of the rule, what it learns, and how often false ones may come."""

from __future__ import annotations

from math import log

import numpy as np
import pytest
from simulation.noise import LOOKS
from simulation.seriality import PIECE_H, RATE, SURE, TAIL, Fit, Incident, fitted, heard_in, in_pieces, reached
from simulation.tries import MONTH_H

from detector.rules import sweep
from detector.rules.seriality import chance


def incident(run: int, is_sweep: bool, *moments: float) -> Incident:
    return Incident([[said] for said in moments], is_sweep, run)


def drawn(count: int, seed: int = 1) -> list[Incident]:
    """The acts of sweeps say more than what looks like photos in work."""
    noise = np.random.default_rng(seed)
    return [incident(k, bool(k % 2), noise.exponential(6.0 if k % 2 else 2.0)) for k in range(count)]


def test_weights_are_learnt_that_tell_sweeps_from_work() -> None:
    fit = fitted(drawn(400))
    # Log odds of two exponential densities, and what the ridge takes off.
    assert 0.15 < fit.odds < 1 / 2 - 1 / 6 + 0.1
    scores = {
        is_sweep: [fit.log_odds(one) for one in drawn(400, 2) if one.is_sweep is is_sweep] for is_sweep in (False, True)
    }
    assert np.mean(np.array(scores[True]) > 0) > 0.5 > 0.3 > np.mean(np.array(scores[False]) > 0)


def test_an_incident_counts_when_its_acts_say_most() -> None:
    fit = Fit(1.0, -3.0)
    assert incident(0, True, 5.0, 6.0, 4.0).most == 6.0
    assert fit.log_odds(incident(0, True, 5.0, 6.0, 4.0)) == pytest.approx(3.0)


def test_false_ones_are_told_as_often_as_asked_for() -> None:
    """Ten an hour, with exponential log odds: what comes half a time in 60 hours is one in 1,200."""
    odds = np.random.default_rng(1).exponential(1.0, 20_000)
    assert reached(odds, 2000.0) == pytest.approx(log(10 * MONTH_H / RATE), abs=1.0)
    work = [incident(k, False, odd) for k, odd in enumerate(odds[: 20 * TAIL])]
    fit = Fit(1.0, 0.0).calibrated(work, 24.0)
    assert reached([fit.log_odds(one) for one in work], 24.0) == pytest.approx(log(SURE / (1 - SURE)))


@pytest.mark.parametrize(("hours", "pieces"), [(0.0, 0), (0.5, 1), (2.0, 1), (5.0, 2), (48.0, 24)])
def test_hours_are_simulated_in_pieces_that_make_them_up(hours: float, pieces: int) -> None:
    runs = in_pieces("stay", hours)
    assert len(runs) == pieces and sum(length for _, length in runs) == pytest.approx(hours)
    assert all(kind == "stay" and length <= 1.25 * PIECE_H for kind, length in runs)


def test_what_the_rule_asks_is_heard_and_goes_on_being_asked() -> None:
    found = heard_in((3, "sweep", (7, 340.0, "standing", {"path": LOOKS})))
    (one,) = found
    assert (one.is_sweep, one.run) == (True, 3) and all(said > 0 for moment in one.moments for said in moment)
    assert sweep.chance is chance
