"""A picture that stands still over many short files is judged as if they were one."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from detector.clock import unix
from detector.config import Camera, EdgeConfig
from detector.recorded.judging import judge_session
from detector.recorded.look_files import FileLooks, Read
from detector.recorded.recordings import Piece, Session
from detector.values import VIEW_SIZE, Detections, Look, ViewMeasure
from tests.builders import CAMERA, look

START = 1_800_000_000.0
GATE = Camera(name=CAMERA, source="rtsp://127.0.0.1/gate")
HALL = np.random.default_rng(1).integers(-100, 100, VIEW_SIZE[0] * VIEW_SIZE[1]).astype(np.int8)


def shown(until_s: int, frozen: Iterable[tuple[float, float]]) -> Iterator[tuple[float, float]]:
    """Twice a second: the time, and since when the picture has been the same."""
    for at in (n / 2 for n in range(2 * until_s)):
        yield at, next((since for since, until in frozen if since <= at < until), at)


def looked_at(pictures: Iterable[tuple[float, float]], begins: float = 0.0) -> Iterator[Look]:
    """Looks at pictures of one file, in seconds into it, before the first of which nothing is known."""
    for n, (at, since) in enumerate(pictures):
        grain = 1e-4 * np.sin(since)  # of a sensor: no two pictures have the same
        view = ViewMeasure(0.45 + grain, 0.2, 0.5, HALL, at - max(since, begins))
        yield replace(look(at - begins, Detections.empty()), index=n, view=view)


def incidents(folder: Path, pictures: Iterable[tuple[float, float]], file_s: int) -> list[dict[str, Any]]:
    """What is found in recordings of so many seconds each."""
    parts = groupby(pictures, lambda picture: int(picture[0] // file_s))
    return found(folder, [list(looked_at(part, n * file_s)) for n, part in parts], file_s)


def found(folder: Path, looks: list[list[Look]], file_s: int) -> list[dict[str, Any]]:
    """What is found in recordings of so many seconds each, by the looks at them."""
    files = {
        folder / f"{n}.mp4": FileLooks(Read(seconds=file_s, decoded=2 * file_s), seen) for n, seen in enumerate(looks)
    }
    pieces = tuple(Piece(file, GATE, START + int(file.stem) * file_s, "option") for file in files)
    for name in ("clips", "snapshots"):
        (folder / name).mkdir(exist_ok=True)
    config, ledger = EdgeConfig(site="s", edge="e", cameras=[GATE]), folder / "ledger.json"
    judge_session(Session(GATE, pieces), config, folder, ledger, lambda piece: files[piece.path])
    told = json.loads(ledger.read_text())["incidents"]
    return [{name: one[name] for name in ("id", "kind", "started_at", "ended_at", "facts")} for one in told]


def test_a_freeze_over_many_files_is_told_as_in_one(tmp_path: Path) -> None:
    pictures = list(shown(1000, [(110.0, 500.0)]))
    whole = incidents(tmp_path, pictures, 1000)
    assert [one["facts"]["what"] for one in whole] == ["frozen"]
    for file_s in (60, 15):
        assert incidents(tmp_path, pictures, file_s) == whole, file_s


def clocked_at(at: float, begins: float, stands: float) -> Look:
    """A look at a picture with a clock that stands from `stands` on, and is known after half a minute of its file."""
    changed_at = max(min(at, stands), begins)
    known = min(at, stands) >= begins + 30
    grain = 1e-4 * np.sin(at)  # no two pictures are the same, encoded on as they are
    view = ViewMeasure(0.45 + grain, 0.2, 0.5, HALL, 0.0, at - changed_at, known)
    return replace(look(at - begins, Detections.empty()), index=round(2 * (at - begins)), view=view)


@pytest.mark.parametrize("stands", [110.0, 121.0, 123.0, 165.0])
def test_a_clock_that_stands_over_many_files_is_told_as_in_one(tmp_path: Path, stands: float) -> None:
    def looks(until_s: int, file_s: int) -> Iterator[list[Look]]:
        for begins in range(0, until_s, file_s):
            yield [clocked_at(begins + n / 2, begins, stands) for n in range(2 * file_s)]

    whole = found(tmp_path, list(looks(600, 600)), 600)
    assert [(one["facts"]["what"], unix(one["started_at"])) for one in whole] == [("frozen", START + stands)]
    assert found(tmp_path, list(looks(600, 60)), 60) == whole


def test_pauses_within_a_file_do_not_hide_a_freeze_that_begins_with_one(tmp_path: Path) -> None:
    pictures = list(shown(600, [(50.0, 55.0), (120.0, 300.0)]))
    assert incidents(tmp_path, pictures, 60) == incidents(tmp_path, pictures, 600) != []


def test_a_picture_that_is_another_in_each_file_is_not_frozen_over_their_borders(tmp_path: Path) -> None:
    pictures = list(shown(600, [(begin, begin + 15.0) for begin in range(120, 600, 15)]))
    assert incidents(tmp_path, pictures, 15) == []


@pytest.mark.parametrize("pause_s", [15, 25, 45])
def test_a_clock_does_not_stand_between_recordings_made_on_movement(tmp_path: Path, pause_s: int) -> None:
    """The recorder pauses while nothing moves; in each file the clock goes on."""
    every_s = 60 + pause_s
    looks = [
        [clocked_at(begins + n / 2, begins, float("inf")) for n in range(120)] for begins in range(0, 600, every_s)
    ]
    assert found(tmp_path, looks, every_s) == []
