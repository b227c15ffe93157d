"""What is told of work that takes long."""

from __future__ import annotations

import pytest

from detector.machine.progress import ReplayMeter, Step, replay_progress


class Ticks:
    """A clock that goes on when told."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_replay_tells_how_far_it_is_how_fast_and_what_is_left() -> None:
    clock = Ticks()
    meter = ReplayMeter(clock)
    meter.expect(1000.0)
    assert meter.words() == "0 %, 0:00:00 of footage done, 0.0x real time, 0 incidents so far"
    clock.now += 120.0
    meter.add(Step("gate", 7200.0, 150.0, incidents=1))
    meter.add(Step("dock", 3600.0, 100.0))
    assert meter.words() == "25 %, 3:00:00 of footage done, 90.0x real time, 1 incident so far, 0:06:00 left"
    meter.add(Step("dock", 3600.0, 750.0, incidents=2))
    assert meter.words() == "100 %, 4:00:00 of footage done, 120.0x real time, 3 incidents so far"


@pytest.mark.parametrize("total", [0.0, 10.0])
def test_a_file_that_grows_while_it_is_read_is_never_more_than_all(total: float) -> None:
    meter = ReplayMeter(Ticks())
    meter.expect(total)
    meter.add(Step("gate", 1.0, 50.0))
    assert 0.0 <= meter.share <= 1.0 and "left" not in meter.words()


def test_in_a_log_it_is_a_line_now_and_then(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Ticks()
    monkeypatch.setattr("detector.machine.progress.time.monotonic", clock)
    with replay_progress() as (expect, step, _):
        expect(100.0)
        for _ in range(10):
            clock.now += 10.0
            step(Step("gate", 60.0, 10.0))
    assert [line.split(" %")[0] for line in capsys.readouterr().err.splitlines()] == ["10", "40", "70", "100"]


def test_what_comes_before_a_replay_is_told_too_once_it_takes_long(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Ticks()
    monkeypatch.setattr("detector.machine.progress.time.monotonic", clock)
    with replay_progress() as (expect, step, say):
        for number in range(1, 5):
            say(f"finding recordings: {number} so far")
            clock.now += 3.0
        expect(100.0)
        for _ in range(4):
            clock.now += 3.0
            step(Step("gate", 60.0, 10.0))
    told = [line.split(" %")[0] for line in capsys.readouterr().err.splitlines()]
    assert told == ["finding recordings: 3 so far", "20"]
