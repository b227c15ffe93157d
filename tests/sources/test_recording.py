"""Recorded files: frames with the right times, and a clear word about every file that isn't one."""

from __future__ import annotations

import zipfile
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import pytest

from detector.errors import SourceUnavailable
from detector.media.packets import Packet, StreamFormat
from detector.sources.recording import RecordedPicture, Recording, promised_s, recordings_in
from tests.sources.footage import GREYS, make_ahead, make_joined, make_sound, make_video, number_of


def read(path: Path, fps: float = 5.0, **more: object) -> Recording:
    return Recording(path, camera="dock", start_at=1000.0, fps=fps, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(("suffix", "off_s"), [(".mp4", 0.0), (".mkv", 0.0), (".ts", 0.0), (".avi", 0.04)])
def test_frames_carry_the_time_of_the_file(tmp_path: Path, suffix: str, off_s: float) -> None:
    # AVI knows when pictures are decoded only, which is a frame early.
    recording = read(make_video(tmp_path / f"a{suffix}", seconds=4))
    between = int(off_s > 0)  # the first is looked at in any case, though it lie between two steps
    frames = list(recording)[between:]
    assert [f.offset_s for f in frames] == pytest.approx([n / 5 for n in range(between, 20 + between)], abs=0.07)
    assert {b.index - a.index for a, b in pairwise(frames)} == {5}
    for frame in frames:
        assert number_of(frame.image) == frame.index % 12
        assert frame.captured_at == 1000.0 + frame.offset_s
        assert frame.offset_s == pytest.approx(frame.index / 25 + off_s, abs=0.002)
        assert (frame.camera, frame.file, frame.size) == ("dock", f"a{suffix}", (320, 240))
        assert frame.image.dtype == "uint8"
    assert recording.frames_decoded == 100
    assert recording.decode_errors == 0
    assert recording.duration_s == pytest.approx(4.0, abs=0.1)
    assert recording.end_s == pytest.approx(4.0, abs=0.05)


def test_only_chosen_frames_are_converted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from detector.sources import recording as module

    converted = []
    picture_of = module.picture_of
    monkeypatch.setattr(module, "picture_of", lambda picture: converted.append(1) or picture_of(picture))
    list(read(make_video(tmp_path / "a.mp4", seconds=4)))
    assert len(converted) == 20


def test_reordered_pictures_come_in_order_of_showing(tmp_path: Path) -> None:
    packets: list[Packet] = []
    path = make_video(tmp_path / "a.mp4", b_frames=2)
    frames = list(read(path, fps=25, on_packet=lambda packet, _: packets.append(packet)))
    assert [f.index for f in frames] == list(range(100))
    assert [number_of(f.image) for f in frames] == [n % 12 for n in range(100)]
    assert [p.at for p in packets] == sorted({p.at for p in packets})
    assert packets[0].shown_at == pytest.approx(1000.0)
    assert sorted(round(p.shown_at - 1000.0, 2) for p in packets) == [n / 25 for n in range(100)]


@pytest.mark.parametrize("suffix", [".mp4", ".ts"])
def test_packets_stand_on_their_own_from_every_key_frame(tmp_path: Path, suffix: str) -> None:
    packets: list[tuple[Packet, StreamFormat]] = []
    list(read(make_video(tmp_path / f"a{suffix}"), on_packet=lambda *both: packets.append(both)))
    assert len(packets) == 100
    assert packets[0][1] == StreamFormat("h264", 320, 240)
    starts = [n for n, (packet, _) in enumerate(packets) if packet.key]
    assert starts == [0, 25, 50, 75]
    decoder = av.CodecContext.create("h264", "r")
    decoded = [f for packet, _ in packets[50:] for f in decoder.decode(av.Packet(packet.data))] + decoder.decode(None)
    assert len(decoded) == 50


def test_a_stream_without_times_is_counted_by_its_rate(tmp_path: Path) -> None:
    frames = list(read(make_video(tmp_path / "a.h264", form="h264")))
    assert [f.offset_s for f in frames][-1] == pytest.approx(3.8, abs=0.1)
    assert len(frames) == 20


@pytest.mark.parametrize("suffix", [".h264", ".ts"])
def test_the_size_may_change_midway(tmp_path: Path, suffix: str) -> None:
    form = {"form": "h264"} if suffix == ".h264" else {}
    first = make_video(tmp_path / f"1{suffix}", seconds=2, size=(320, 240), **form)
    second = make_video(tmp_path / f"2{suffix}", seconds=2, size=(192, 144), **form)
    joined = tmp_path / f"joined{suffix}"
    joined.write_bytes(first.read_bytes() + second.read_bytes())
    packets: list[Packet] = []
    frames = list(read(joined, on_packet=lambda packet, _: packets.append(packet)))
    assert [f.size for f in frames].count((320, 240)) >= 9
    assert [f.size for f in frames].count((192, 144)) >= 9
    times = [f.captured_at for f in frames]
    assert times == sorted(set(times))
    assert times[-1] - times[0] == pytest.approx(3.8, abs=0.3)
    assert [p.at for p in packets] == sorted({p.at for p in packets})


@pytest.mark.parametrize(
    ("name", "codec", "pixels"),
    [("1.mp4", "libx264", "yuv444p"), ("1.mkv", "ffv1", "yuv444p"), ("1.avi", "rawvideo", "rgb24")],
)
def test_one_pixel_is_a_picture(tmp_path: Path, name: str, codec: str, pixels: str) -> None:
    path = make_video(tmp_path / name, seconds=1, fps=5, size=(1, 1), codec=codec, pixels=pixels)
    assert [f.image.shape for f in read(path, on_packet=lambda *_: None)] == [(1, 1, 3)] * 5


def test_damage_is_counted_and_the_rest_comes_through(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.ts", seconds=4)
    data = bytearray(path.read_bytes())
    for at in range(len(data) // 3, len(data) // 2):
        data[at] = 0xA5
    path.write_bytes(data)
    recording = read(path)
    frames = list(recording)
    assert 8 <= len(frames) < 20
    assert frames[-1].offset_s > 3.5


def test_a_file_cut_off_in_the_middle_gives_its_first_half(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mkv", seconds=4)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    recording = read(path)
    assert 6 <= len(list(recording)) <= 12
    assert recording.end_s == pytest.approx(2.0, abs=0.7)


@pytest.mark.parametrize("suffix", [".ts", ".mp4"])
def test_a_picture_asked_for_later_is_the_one_that_was_looked_at_though_time_begins_again_in_the_file(
    tmp_path: Path, suffix: str
) -> None:
    make = make_joined if suffix == ".ts" else make_video
    frames = list(read(make(tmp_path / f"a{suffix}"), fps=2))
    assert len(frames) == (36 if suffix == ".ts" else 8)
    for frame in frames:
        later = RecordedPicture(tmp_path / f"a{suffix}", frame.offset_s or 0.0, frame.size)
        assert number_of(later.bgr()) == number_of(frame.image)


def text(path: Path) -> Path:
    path.write_text("this is no video\n" * 200)
    return path


def truncated(path: Path) -> Path:
    make_video(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


def windows_media(path: Path) -> Path:
    return make_video(path, codec="mpeg4", form="asf")


def fragment(path: Path) -> Path:
    path.write_bytes(b"\0\0\0\x18moof" + bytes(range(256)) * 64)
    return path


def zeros(path: Path) -> Path:
    path.write_bytes(bytes(1 << 20))
    return path


def program(path: Path) -> Path:
    path.write_bytes(b"MZ\x90\0" + bytes(range(256)) * 64)
    return path


def zipped(path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("gate_20261101_092613.mp4", bytes(4096))
    return path


def empty(path: Path) -> Path:
    path.touch()
    return path


def noise(path: Path) -> Path:
    path.write_bytes(bytes(range(256)) * 64)
    return path


def folder(path: Path) -> Path:
    path.mkdir()
    return path


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: path, "no such file"),
        (empty, "empty"),
        (text, "not a video file"),
        (noise, "not a video file"),
        (windows_media, "Windows Media, isn't read here: export it as MP4"),
        (truncated, r"truncated.*moov.*export it again"),
        (fragment, r"truncated.*moov"),
        (zeros, "nothing but zeros.*export it again"),
        (program, "is a program: .*export that as MP4"),
        (zipped, "is packed: unpack it"),
        (make_sound, "no video stream"),
        (folder, "is a folder"),
    ],
)
def test_what_is_no_video_is_refused_with_the_reason(tmp_path: Path, make, reason: str) -> None:
    path = make(tmp_path / "cam3.mp4")
    with pytest.raises(SourceUnavailable, match=rf"cam3\.mp4: .*{reason}"):
        read(path)


def test_what_is_a_dav_by_its_name_alone_is_told_as_cut_off_or_encrypted(tmp_path: Path) -> None:
    with pytest.raises(SourceUnavailable, match=r"a\.dav: ends before its first picture: .*without a password"):
        read(noise(tmp_path / "a.dav"))


def test_pictures_that_have_the_time_of_the_one_before_make_a_recording_no_longer(tmp_path: Path) -> None:
    """As recorders write them that stamp pictures on arrival."""
    path = tmp_path / "a.mkv"
    with av.open(str(make_video(tmp_path / "a.mp4", seconds=10))) as source, av.open(str(path), "w") as target:
        stream = source.streams.video[0]
        copy = target.add_stream_from_template(stream)
        for number, packet in enumerate(p for p in source.demux(stream) if p.size):
            if number % 25 == 7:
                packet.pts = packet.dts = packet.pts - packet.duration
            packet.stream = copy
            target.mux(packet)
    recording = read(path, fps=25)
    assert [frame.offset_s for frame in recording] == pytest.approx([n / 25 for n in range(250)], abs=0.002)
    assert recording.end_s == pytest.approx(10.0, abs=0.01)


def test_a_folder_in_natural_order(tmp_path: Path) -> None:
    for name in ("cam_10.mp4", "cam_2.MP4", "cam_1.mkv", "notes.txt", "a.jpg"):
        (tmp_path / name).touch()
    (tmp_path / "sub.mp4").mkdir()
    assert [p.name for p in recordings_in(tmp_path)] == ["cam_1.mkv", "cam_2.MP4", "cam_10.mp4"]
    assert recordings_in(tmp_path / "cam_10.mp4") == [tmp_path / "cam_10.mp4"]
    (tmp_path / "①2.mp4").touch()  # a digit that is no decimal one
    assert [p.name for p in recordings_in(tmp_path)][-1] == "①2.mp4"
    with pytest.raises(SourceUnavailable, match="no such file or folder"):
        recordings_in(tmp_path / "missing")
    with pytest.raises(SourceUnavailable, match="no video file"):
        recordings_in(tmp_path / "sub.mp4")


def test_closing_twice_does_no_harm(tmp_path: Path) -> None:
    recording = read(make_video(tmp_path / "a.mp4", seconds=1))
    recording.close()
    recording.close()


@pytest.mark.parametrize("b_frames", [0, 2])
def test_a_clock_that_goes_far_ahead_within_a_file_moves_nothing(tmp_path: Path, b_frames: int) -> None:
    path = make_ahead(tmp_path / "a.mkv", ahead_s=10 * 365 * 86_400.0, b_frames=b_frames)
    recording = Recording(path, camera="dock", start_at=1000.0, fps=5)
    frames = list(recording)
    times = [frame.captured_at for frame in frames]
    assert len(frames) == 20 and max(after - before for before, after in pairwise(times)) < 0.5
    assert recording.end_s == pytest.approx(4.0, abs=0.2)
    assert recording.duration_s is None and promised_s(path) is None
    late = RecordedPicture(path, frames[15].offset_s or 0.0, (320, 240))
    assert number_of(late.bgr()) == number_of(frames[15].image)


def test_an_hour_without_pictures_is_one(tmp_path: Path) -> None:
    path = make_ahead(tmp_path / "a.mkv", ahead_s=3600.0)
    recording = Recording(path, camera="dock", start_at=1000.0, fps=5)
    frames = list(recording)
    assert frames[-1].captured_at > 4600.0 and promised_s(path) == pytest.approx(3604.0, abs=0.2)
    ((begin_s, end_s),) = recording.holes
    assert (begin_s, end_s) == pytest.approx((2.0, 3602.0), abs=0.1)


@pytest.mark.parametrize(("suffix", "b_frames"), [(".mkv", 0), (".mkv", 2), (".mp4", 0), (".mp4", 2), (".avi", 0)])
def test_the_last_picture_before_a_pause_is_of_before_it(suffix: str, b_frames: int, tmp_path: Path) -> None:
    path = make_video(tmp_path / f"a{suffix}", b_frames=b_frames, pause_s=20)
    recording = Recording(path, camera="dock", start_at=0.0, fps=25, due=lambda _: True)
    before = [frame for frame in recording if frame.captured_at < 12]
    assert len(before) == 50 and number_of(before[-1].image) == 49 % GREYS
    assert recording.holes == [pytest.approx((2.0, 22.0), abs=0.2)] and recording.end_s == pytest.approx(24.0, abs=0.2)


def test_a_camera_that_takes_a_picture_now_and_then_leaves_no_holes(tmp_path: Path) -> None:
    recording = read(make_video(tmp_path / "a.mkv", seconds=240, fps=Fraction(1, 20)))
    assert len(list(recording)) == 12 and recording.holes == []
