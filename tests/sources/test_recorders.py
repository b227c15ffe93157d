"""Files as recorders export them: every picture at its time, or one clear word on what to do."""

from __future__ import annotations

from pathlib import Path

import av
import pytest

from detector.alerts.cutting import cut_recording
from detector.sources.recording import RecordedPicture, Recording
from tests.sources.footage import make_two, number_of
from tests.sources.recorders import Coded

HOUR_S = 3600.0
WRAP = 1 << 33


def read(path: Path) -> Recording:
    return Recording(path, camera="dock", start_at=0.0, fps=25)


def assert_all_there(path: Path, pictures: list[Coded], *, within_s: float = 0.001) -> None:
    """Every picture comes at its time."""
    recording = read(path)
    frames = list(recording)
    assert [number_of(frame.image) for frame in frames] == [n % 12 for n in range(len(pictures))]
    assert [frame.offset_s for frame in frames] == pytest.approx([one.at for one in pictures], abs=within_s)
    assert (recording.decode_errors, recording.broken_off, recording.holes) == (0, False, [])
    assert recording.end_s == pytest.approx(pictures[-1].at + 0.04, abs=within_s)


@pytest.mark.parametrize("suffix", [".mp4", ".ts", ".mkv"])
def test_of_main_and_sub_stream_the_main_one_is_looked_at_and_cut(tmp_path: Path, suffix: str) -> None:
    path = make_two(tmp_path / f"a{suffix}", (160, 120), (640, 480))
    recording = read(path)
    frames = list(recording)
    assert {frame.size for frame in frames} == {(640, 480)} and recording.others == 0
    assert RecordedPicture(path, frames[30].offset_s or 0.0, (640, 480)).bgr().shape == (480, 640, 3)
    with av.open(str(cut_recording(path, 0.0, 2.0, tmp_path / "clip.mp4").path)) as clip:
        assert [(s.codec_context.width, s.codec_context.height) for s in clip.streams.video] == [(640, 480)]


def test_videos_of_one_size_in_a_file_are_counted(tmp_path: Path) -> None:
    assert read(make_two(tmp_path / "a.mkv", (320, 240), (320, 240))).others == 1
