"""Which stretch of the recordings, and which file of them, a replay shows of an incident."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from detector.alerts.incidents import IncidentBook
from detector.config import Incidents
from detector.recorded.sink import ReplaySink, record
from detector.values import IncidentKind, Severity, Signal
from tests.builders import act, frame, signal
from tests.sources.footage import make_video

SHORT = Incidents(join_s=30, longest_s=60, pre_roll_s=5, post_roll_s=5)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    for folder in ("clips", "snapshots"):
        (tmp_path / folder).mkdir()
    return tmp_path


def found(sink: ReplaySink, signals: Iterable[Signal]) -> list[dict[str, Any]]:
    """What a replay tells of findings, each told at its own time."""
    book = IncidentBook("north", SHORT)
    for told in signals:
        for update in book.admit([told], told.at):
            sink.accept(update, frame(told.at))
    for update in book.finish():
        sink.accept(update, frame(update.after.ended_at))
    sink.finish()
    return [record(told) for told in sink.told.values()]


def stay(start: float, at: float) -> Signal:
    return replace(signal(start, at, kind=IncidentKind.LINGERING, severity=Severity.INFO), tracks=(1,))


def photos(*at: float) -> list[Signal]:
    """Photos of a second each, each told when it is over."""
    acts = [act(start, start + 1, [n]) for n, start in enumerate(at)]
    return [signal(at[0], each.ended_at, acts=acts[: n + 1], exposed=n + 1) for n, each in enumerate(acts)]


@pytest.mark.parametrize(
    ("told", "begins", "lasts"),
    [
        pytest.param([stay(20, 50), *photos(60, 64)], 15, 55, id="whole where there is room"),
        pytest.param([stay(20, 75), *photos(90, 96, 104)], 85, 25, id="photos after a long stay"),
        pytest.param(photos(20, 50, 79, 96)[2:], 15, 65, id="a slow sweep from its first photo"),
        pytest.param([stay(20, 120), stay(20, 130)], 85, 50, id="a stay that was told late"),
    ],
)
def test_a_clip_shows_what_offends(out: Path, told: list[Signal], begins: float, lasts: float) -> None:
    sink = ReplaySink(out, SHORT)
    sink.begin(make_video(out / "day.mkv", seconds=160, fps=1, size=(64, 48), key_every=1), 0.0)
    (line,) = found(sink, told)
    assert sink.told[line["id"]].clip_span == pytest.approx((begins, lasts), abs=1.5)


def test_the_file_is_the_one_an_incident_begins_in_though_that_became_known_in_the_next(out: Path) -> None:
    sink = ReplaySink(out, SHORT)
    sink.begin(out / "0900.mkv", 0.0)
    sink.begin(out / "0910.mkv", 100.0)
    (line,) = found(sink, [*photos(102, 106), stay(80, 120)])
    assert (line["file"], line["start_offset_s"], line["acts"][0]["start_offset_s"]) == ("0900.mkv", 80.0, 102.0)
