"""Read by key frames, a recording gives what is round a change as the whole would, and tells what it left out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from detector.sources.key_frames import MARGIN_S
from detector.sources.recording import Recording
from detector.values import Frame
from tests.sources.footage import make_video, number_of

Seen = list[tuple[int, float, int]]


def read(path: Path, changed: Callable[[Frame], bool] | None) -> tuple[Recording, Seen]:
    """A recording read to its end, and what it gave: index, time, and the number that the picture shows."""
    recording = Recording(path, camera="dock", start_at=1000.0, fps=5, changed=changed)
    frames = [(f.index, round(f.captured_at, 3), number_of(f.image)) for f in recording]
    recording.close()
    return recording, frames


def within(at: float, spans: list[tuple[float, float]]) -> bool:
    return any(begin <= at - 1000.0 < end for begin, end in spans)


def near(at_s: float) -> Callable[[Frame], bool]:
    """Something has changed by the key frame at so many seconds into the file."""
    return lambda frame: abs((frame.offset_s or 0.0) - at_s) < 0.5


@pytest.mark.parametrize("b_frames", [0, 2])
@pytest.mark.parametrize("suffix", [".mp4", ".ts"])
def test_what_is_round_a_change_comes_as_from_the_whole(tmp_path: Path, suffix: str, b_frames: int) -> None:
    path = make_video(tmp_path / f"a{suffix}", seconds=30, fps=10, key_every=20, b_frames=b_frames)
    _, whole = read(path, None)
    recording, found = read(path, near(16.0))
    assert found == [one for one in whole if not within(one[1], recording.undecoded)]
    assert [one for one in found if 1016.0 - MARGIN_S <= one[1] <= 1016.0 + MARGIN_S] == [
        one for one in whole if 1016.0 - MARGIN_S <= one[1] <= 1016.0 + MARGIN_S
    ]
    assert recording.frames_decoded + recording.frames_undecoded == 300
    assert recording.frames_undecoded >= 150
    assert recording.end_s == pytest.approx(30.0, abs=0.1)
    assert recording.decode_errors == 0
    assert sum(end - begin for begin, end in recording.undecoded) == pytest.approx(recording.frames_undecoded / 10)


def test_every_key_frame_is_shown_once_with_its_time_and_before_what_follows_is_given(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mp4", seconds=20, fps=10, key_every=20)
    shown: Seen = []

    def changed(frame: Frame) -> bool:
        shown.append((frame.index, round(frame.captured_at, 3), number_of(frame.image)))
        return True

    _, found = read(path, changed)
    assert shown == [(n, 1000.0 + n / 10, n % 12) for n in range(0, 200, 20)]
    assert found == read(path, None)[1]


def test_where_nothing_changes_nothing_is_given_and_all_is_told(tmp_path: Path) -> None:
    recording, found = read(make_video(tmp_path / "a.mp4", seconds=20, fps=10, key_every=20), lambda frame: False)
    assert found == []
    assert recording.undecoded == [(0.0, pytest.approx(20.0))]
    assert (recording.frames_decoded, recording.frames_undecoded) == (0, 200)


def test_changes_at_the_ends_and_far_from_each_other_leave_out_what_lies_between(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mp4", seconds=40, fps=10, key_every=20)
    recording, found = read(path, lambda frame: frame.index in (0, 380))
    assert len(recording.undecoded) == 1
    ((begin, end),) = recording.undecoded
    assert MARGIN_S <= begin <= MARGIN_S + 2.1
    assert 38 - MARGIN_S - 2.1 <= end <= 38 - MARGIN_S + 0.1
    assert {one[0] for one in found} <= {one[0] for one in read(path, None)[1]}


@pytest.mark.parametrize("key_every", [200, 1000])
def test_groups_too_long_to_tell_what_lies_within_are_decoded(tmp_path: Path, key_every: int) -> None:
    path = make_video(tmp_path / "a.mp4", seconds=40, fps=10, key_every=key_every)
    recording, found = read(path, lambda frame: False)
    assert recording.undecoded == []
    assert found == read(path, None)[1]


def test_a_stream_without_times_is_decoded_whole(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.h264", seconds=20, fps=10, key_every=20, form="h264")
    recording, found = read(path, lambda frame: False)
    whole, every = read(path, None)
    assert recording.frames_decoded + recording.frames_undecoded == whole.frames_decoded == 200
    assert found == [one for one in every if not within(one[1], recording.undecoded)]


def test_a_file_that_breaks_off_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.ts", seconds=20, fps=10, key_every=20)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])
    recording, _ = read(path, near(4.0))
    whole, _ = read(path, None)
    assert recording.end_s == pytest.approx(whole.end_s, abs=0.3)
