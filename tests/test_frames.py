"""Frames over the borders of files: all of them once, at the times that a replay gives them, and what is wrong told."""

from __future__ import annotations

import os
from math import inf
from pathlib import Path

import pytest

from detector.clock import unix
from detector.config import Analysis, Camera, EdgeConfig
from detector.recorded.frames import frames
from detector.recorded.recordings import of_camera, sessions
from detector.replay import replay
from tests.sources.footage import make_turned, make_video

CAMERA = Camera(name="cam1", source="rtsp://10.0.0.1/1")
GLANCING = Analysis(fps=2, frame_side=160, zooms=0)  # nothing depends on what is seen
CONFIG = EdgeConfig(site="north", edge="edge-01", timezone="Etc/UTC", cameras=[CAMERA], analysis=GLANCING)
MORNING = unix("2026-11-01T09:26:00Z")


def seen(folder: Path, since: float = -inf, until: float = inf) -> tuple[list[float], list[str]]:
    """Times of all frames, two a second, and what is told of files."""
    session = of_camera(sessions(sorted(folder.iterdir()), CONFIG, None), None)
    told: list[str] = []
    found = frames(session, 2, since=since, wants=lambda at: at <= until, unread=told.append)
    return [frame.captured_at for frame in found], told


@pytest.mark.parametrize(("since", "seen_s"), [(-inf, 71.0), (MORNING + 62.0, 9.0)], ids=["all", "the end"])
def test_files_named_to_the_minute_are_all_seen_where_one_lasts_into_the_next_minute(
    since: float, seen_s: float, tmp_path: Path
) -> None:
    for at, seconds in (("0926", 65), ("0927", 6)):
        make_video(tmp_path / f"cam1_20261101_{at}.mp4", seconds=seconds, fps=2)
    times, told = seen(tmp_path, since)
    assert times[-1] - times[0] == pytest.approx(seen_s, abs=1)
    assert times == sorted(times) and not told


def test_what_an_excerpt_lies_beside_is_seen_to_its_end(tmp_path: Path) -> None:
    for at, seconds in (("092600", 60), ("092610", 5)):
        make_video(tmp_path / f"cam1_20261101_{at}.mp4", seconds=seconds, fps=2)
    times, _ = seen(tmp_path, MORNING + 40, MORNING + 50)
    assert (times[0], times[-1]) == (MORNING + 40, MORNING + 50)


def test_a_file_that_is_over_is_not_read(tmp_path: Path) -> None:
    for at in ("092600", "092610", "092620"):
        make_video(tmp_path / f"cam1_20261101_{at}.mp4", seconds=10, fps=2)
    whole = (tmp_path / "cam1_20261101_092600.mp4").read_bytes()
    (tmp_path / "cam1_20261101_092600.mp4").write_bytes(whole.replace(b"mdat", b"tadm"))  # reading it would say so
    times, told = seen(tmp_path, MORNING + 12)
    assert times[0] == MORNING + 12 and not told


def test_files_that_were_dated_anew_by_copying_have_the_times_of_a_replay(tmp_path: Path) -> None:
    for n in range(4):
        clip = make_video(tmp_path / "gate" / f"cam1_{n}.mkv", seconds=6, fps=2)
        os.utime(clip, (1_700_000_000 + n, 1_700_000_000 + n))
    times, _ = seen(tmp_path / "gate")
    summary = replay([tmp_path / "gate"], CONFIG, tmp_path / "out")
    begins = [unix(file["start"]) for file in summary["recordings"]]
    assert times[-1] - times[0] == pytest.approx(4 * 6, abs=0.6)
    assert [min(at for at in times if at >= begin - 0.01) for begin in begins] == pytest.approx(begins, abs=0.01)
    late, _ = seen(tmp_path / "gate", since=begins[3])
    assert late == [at for at in times if at >= begins[3]]


def test_what_is_wrong_with_one_file_is_told_and_the_others_are_seen(tmp_path: Path) -> None:
    folder = tmp_path / "nvr"
    for n in (0, 1, 2, 5):
        make_video(folder / f"cam1_20261101_0926{n}0.mkv", seconds=9, fps=2)
    broken = folder / "cam1_20261101_092610.mkv"
    broken.write_bytes(broken.read_bytes()[: broken.stat().st_size // 2])
    make_turned(folder / "cam1_20261101_092630.mp4", -45, make_video(tmp_path / "level.mp4"))
    (folder / "cam1_20261101_092640.mkv").write_bytes(b"no video")
    times, told = seen(folder)
    assert times[0] == MORNING and times[-1] == pytest.approx(MORNING + 58.5)
    assert [why.partition("cam1_20261101_")[2][:6] for why in told] == ["092610", "092630", "092640"]
    assert "breaks off after" in told[0] and "turned by 45" in told[1] and "not a video file" in told[2]
