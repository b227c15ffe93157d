"""Files as recorders export them: every picture at its time, or one clear word on what to do."""

from __future__ import annotations

import errno
import struct
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import av
import pytest

from detector.alerts.cutting import cut_recording, made_whole
from detector.errors import SourceUnavailable
from detector.sources.recording import RecordedPicture, Recording, promised_s
from tests.sources.footage import make_turned, make_two, make_video, number_of, shown_s
from tests.sources.recorders import CLOCK, H264, H265, Coded, dahua, encoded, encrypted, hikvision

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


@pytest.mark.parametrize("codec", [H264, H265])
@pytest.mark.parametrize("name", ["ch01_20261101092613.mp4", "hiv00007.MP4", "record.ps"])
def test_hikvision_s_program_stream_is_read_whatever_it_is_called(tmp_path: Path, codec: str, name: str) -> None:
    pictures = encoded(codec)
    assert_all_there(hikvision(tmp_path / name, pictures, codec=codec, sound=True, private=True), pictures)
    assert_all_there(hikvision(tmp_path / f"2{name}", pictures, codec=codec, header=b""), pictures)


@pytest.mark.parametrize("codec", [H264, H265])
def test_dahua_s_frames_are_read(tmp_path: Path, codec: str) -> None:
    pictures = encoded(codec)
    # Of the first second FFmpeg knows no more than that.
    assert_all_there(dahua(tmp_path / "a.dav", pictures, codec=codec, sound=True), pictures, within_s=0.401)


def test_a_picture_of_dahua_s_that_is_asked_for_later_is_the_one_that_was_looked_at(tmp_path: Path) -> None:
    path = dahua(tmp_path / "a.dav", encoded(key_every=50))
    for frame in [*read(path)][100:130:3]:
        later = RecordedPicture(path, frame.offset_s or 0.0, frame.size)
        assert number_of(later.bgr()) == number_of(frame.image)


@pytest.mark.parametrize("begin_s", [0.0, 0.3, 1.2])
def test_a_clip_may_begin_where_a_file_of_dahua_s_does(tmp_path: Path, begin_s: float) -> None:
    path = dahua(tmp_path / "a.dav", encoded())
    cut = cut_recording(path, begin_s, 4.0, tmp_path / "clip.mp4")
    assert 0.0 <= cut.start_s <= begin_s and cut.start_s + cut.duration_s == pytest.approx(4.0, abs=0.1)
    recording = read(path)
    recording.skip_to(begin_s)
    first = next(iter(recording))
    assert 0.0 <= (first.offset_s or 0.0) <= begin_s


def test_a_clock_of_33_bits_that_begins_anew_moves_nothing(tmp_path: Path) -> None:
    pictures = encoded()
    path = hikvision(tmp_path / "a.ps", pictures, ticks=WRAP - 3 * CLOCK)
    assert_all_there(path, pictures)
    frame = [*read(path)][150]
    assert number_of(RecordedPicture(path, frame.offset_s or 0.0, frame.size).bgr()) == number_of(frame.image)


def test_a_camera_that_was_started_anew_within_a_file_makes_it_no_day_long(tmp_path: Path) -> None:
    pictures = encoded()
    path = hikvision(
        tmp_path / "a.ps", pictures, ticks=round(7 * HOUR_S) * CLOCK, ahead_s=lambda n: -7 * HOUR_S if n >= 100 else 0.0
    )
    assert_all_there(path, pictures)
    assert (promised_s(path) or 0.0) < 60.0
    cut = cut_recording(path, 3.0, 6.0, tmp_path / "clip.mp4")
    assert cut.duration_s == pytest.approx(3.0, abs=0.1)
    assert len(shown_s(cut.path)) == 76


def test_a_clock_that_is_put_back_a_little_again_and_again_moves_nothing_for_good(tmp_path: Path) -> None:
    pictures = encoded()
    path = hikvision(tmp_path / "a.ps", pictures, ahead_s=lambda n: -0.4 * (n // 50))
    frames = list(Recording(path, camera="dock", start_at=0.0, fps=25, due=lambda _: True))
    assert [number_of(frame.image) for frame in frames] == [n % 12 for n in range(200)]
    at = [frame.offset_s or 0.0 for frame in frames]
    own = [one.at - 0.4 * (n // 50) for n, one in enumerate(pictures)]
    assert all(after > before for before, after in pairwise(at))
    assert [at[n] for n in range(200) if n % 50 >= 12] == pytest.approx([own[n] for n in range(200) if n % 50 >= 12])
    for frame in frames[::3]:
        later = RecordedPicture(path, frame.offset_s or 0.0, frame.size)
        assert number_of(later.bgr()) == number_of(frame.image)
    cut = cut_recording(path, 4.0, 4.6, tmp_path / "clip.mp4")
    of_looks = {round(frame.offset_s or 0.0, 2): number_of(frame.image) for frame in frames}
    with av.open(str(cut.path)) as clip:
        shown = {
            round(cut.start_s + frame.time, 2): number_of(frame.to_ndarray(format="bgr24"))
            for frame in clip.decode(video=0)
        }
    assert len(shown) > 15 and shown.items() <= of_looks.items()


def test_pictures_that_all_have_one_time_follow_each_other_evenly(tmp_path: Path) -> None:
    pictures = encoded(tells_rate=False)
    path = hikvision(tmp_path / "a.ps", pictures, ahead_s=lambda n: -pictures[n].at)
    assert_all_there(path, pictures)
    assert cut_recording(path, 2.0, 6.0, tmp_path / "clip.mp4").duration_s == pytest.approx(4.0, abs=0.1)


@pytest.mark.parametrize("codec", [H264, H265])
def test_what_comes_after_a_damaged_place_is_read_and_cut(tmp_path: Path, codec: str) -> None:
    path = dahua(tmp_path / "a.dav", encoded(codec), codec=codec)
    data = bytearray(path.read_bytes())
    begin = data.index(b"DHAV", len(data) // 2)
    data[begin + 12 : begin + 16] = b"\1\0\0\0"  # a length that can't be
    path.write_bytes(data)
    recording = read(path)
    frames = list(recording)
    assert 170 < len(frames) < 200 and not recording.broken_off
    assert frames[-1].offset_s == pytest.approx(8.36, abs=0.001)
    assert len(shown_s(cut_recording(path, 6.0, 8.0, tmp_path / "clip.mp4").path)) >= 50


def test_pictures_that_the_decoder_is_silent_about_are_counted_as_damaged(tmp_path: Path) -> None:
    pictures = encoded(H265)
    recording = read(hikvision(tmp_path / "a.ps", [*pictures[:55], *pictures[60:]], codec=H265))
    frames = list(recording)
    assert len(frames) < 190 and recording.decode_errors == 195 - len(frames)


@pytest.mark.parametrize("codec", [H264, H265])
@pytest.mark.parametrize("make", [hikvision, dahua])
def test_of_what_is_encrypted_more_is_damaged_than_not(tmp_path: Path, codec: str, make: Callable[..., Path]) -> None:
    recording = read(make(tmp_path / "a.mp4", encrypted(encoded(codec), codec), codec=codec))
    list(recording)
    assert recording.decode_errors > 100 > recording.frames_decoded


def test_a_dav_whose_clock_was_put_back_promises_no_negative_length(tmp_path: Path) -> None:
    pictures = encoded()
    path = dahua(tmp_path / "a.dav", pictures, ahead_s=lambda n: -HOUR_S if n >= 100 else 0.0)
    assert promised_s(path) is None
    assert [number_of(frame.image) for frame in read(path)] == [n % 12 for n in range(200)]


def test_a_cheap_camera_s_card_is_read(tmp_path: Path) -> None:
    pictures = encoded()
    frames = [struct.pack("<4s3I", b"HXVF", len(p.data), round(p.at * 1000), 1) + p.data for p in pictures]
    path = tmp_path / "P261101_092613.264"
    path.write_bytes(struct.pack("<4s3I", b"HXVS", 320, 240, 0) + b"".join(frames))
    assert_all_there(path, pictures)


@pytest.mark.parametrize("form", ["vob", "mpegts"])
def test_a_clip_has_all_pictures_though_some_are_told_no_time(tmp_path: Path, form: str) -> None:
    path = make_video(tmp_path / "a.mpg", seconds=8, form=form)
    cut = cut_recording(path, 3.0, 6.0, tmp_path / "clip.mp4")
    assert len(shown_s(cut.path)) == 76
    assert max(after - before for before, after in pairwise(shown_s(cut.path))) < 0.1


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


def test_a_film_that_is_shown_aslant_is_refused_with_what_turns_it(tmp_path: Path) -> None:
    with pytest.raises(SourceUnavailable, match=r"a\.mp4: .*turned by 45°: ffmpeg -i FILE UPRIGHT\.mp4"):
        list(read(make_turned(tmp_path / "a.mp4", -45)))


def test_what_a_reader_of_ffmpeg_s_refuses_is_no_fault_of_the_disk_s(tmp_path: Path) -> None:
    def refused(draft: Path) -> tuple[float, float]:
        raise av.error.PermissionError(errno.EPERM, "Operation not permitted")

    with pytest.raises(SourceUnavailable, match=r"a\.dav: can't be cut"):
        made_whole(tmp_path / "clip.mp4", tmp_path / "a.dav", refused)
