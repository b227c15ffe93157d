"""Evidence clips: cut at key frames, never encoded anew, whole or salvaged."""

from __future__ import annotations

import hashlib
import os
import resource
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import pytest

from detector.alerts.clips import ClipRecorder, Segment
from detector.alerts.cutting import cut_recording
from detector.alerts.joined import Part, join
from detector.alerts.looks import LookRing
from detector.errors import SourceUnavailable
from detector.media.packets import Packet, PacketRing, StreamFormat
from detector.media.sides import SUFFIX, read_side
from detector.sources.recording import Recording
from detector.values import Sight
from tests.builders import scene
from tests.sources.footage import first_picture, make_ahead, make_joined, make_video, number_of, shown_s

START = 1_800_000_000.0
Stored = tuple[Packet, StreamFormat]


def packets_of(path: Path, start_at: float = START) -> list[Stored]:
    packets: list[Stored] = []
    for _ in Recording(path, camera="dock", start_at=start_at, fps=1, on_packet=lambda *both: packets.append(both)):
        pass
    return packets


@pytest.fixture(scope="module")
def minute(tmp_path_factory: pytest.TempPathFactory) -> list[Stored]:
    """A minute of video, 5 pictures a second, a key frame every two seconds."""
    return packets_of(make_video(tmp_path_factory.mktemp("minute") / "a.mp4", seconds=60, fps=5, key_every=10))


class Bench:
    """A recorder, its ring, and what it made."""

    def __init__(self, folder: Path, *, ring_s: float = 20.0, **settings: float) -> None:
        self.segments: list[Segment] = []
        self.ring = PacketRing(ring_s)
        self.looks = LookRing(ring_s)
        settings = {"pre_roll_s": 3.0, "post_roll_s": 4.0, **settings}
        self.recorder = ClipRecorder(folder, self.ring, on_segment=self.segments.append, looks=self.looks, **settings)  # type: ignore[arg-type]

    def play(self, packets: list[Stored], signals: dict[float, str]) -> None:
        """Feed packets, a look and a tick after each; `signals` maps seconds since the start to incident ids.

        Incidents are about the track whose number their id ends in.
        """
        pending = sorted(signals.items())
        for packet, form in packets:
            self.ring.append(packet, form)
            while pending and START + pending[0][0] <= packet.at:
                incident = pending.pop(0)[1]
                self.recorder.start_or_extend(incident, packet.at, tracks=[int(incident[-1])])
            self.looks.append(Sight(scene(packet.shown_at), {}, first=False))
            self.recorder.tick(packet.at)


@pytest.fixture
def bench(tmp_path: Path) -> Callable[..., Bench]:
    return lambda **settings: Bench(tmp_path / "clips", **settings)


def check(segment: Segment) -> None:
    """What holds for every segment: digest and size are right, it begins with a key frame, and all of it decodes."""
    data = segment.path.read_bytes()
    assert (hashlib.sha256(data).hexdigest(), len(data)) == (segment.sha256, segment.bytes)
    assert data.index(b"moov") < data.index(b"mdat"), "the index stands in front"
    with av.open(str(segment.path)) as container:
        stream = container.streams.video[0]
        packets = [p for p in container.demux(stream) if p.size]
        assert packets[0].is_keyframe
    times = shown_s(segment.path)
    assert len(times) == len(packets)
    assert times[0] == 0.0
    assert segment.duration_s == pytest.approx(times[-1], abs=0.25)


def seen(segment: Segment) -> dict[str, Any]:
    """What the side file of a segment says, which lies beside it."""
    assert segment.side is not None
    assert segment.side.path == segment.path.with_name(segment.path.stem + SUFFIX)
    with segment.side.path.open("rb") as file:
        fields = read_side(file)
    assert (fields["incident"], fields["segment"]) == (segment.incident_id, segment.number)
    assert fields["started_at_unix"] == pytest.approx(segment.started_at, abs=0.001)
    assert fields["duration_s"] == segment.duration_s
    return fields


def test_a_clip_holds_pre_roll_and_post_roll(bench: Callable[..., Bench], minute: list[Stored]) -> None:
    b = bench()
    b.play(minute, {20.0: "i1", 22.0: "i1"})
    (segment,) = b.segments
    check(segment)
    assert (segment.incident_id, segment.number) == ("i1", 0)
    # 20 - 3 = 17: the key frame before it is at 16; 22 + 4 = 26 is the end.
    assert segment.started_at == pytest.approx(START + 16.0)
    assert segment.duration_s == pytest.approx(10.2, abs=0.01)
    assert number_of(first_picture(segment.path)) == 16 * 5 % 12
    assert sorted(p.name for p in segment.path.parent.iterdir()) == ["i1.0.mp4", "i1.0.side.json.gz"]


def test_a_clip_reaches_back_to_where_the_incident_began(bench: Callable[..., Bench], minute: list[Stored]) -> None:
    b = bench(ring_s=30)
    b.play(minute[:150], {})
    b.recorder.start_or_extend("i1", START + 29.8, since=START + 11.0)
    b.recorder.finish("i1")
    check(b.segments[0])
    assert b.segments[0].started_at == pytest.approx(START + 8.0)


def test_a_later_signal_opens_the_next_segment(bench: Callable[..., Bench], minute: list[Stored]) -> None:
    b = bench()
    b.play(minute, {20.0: "i1", 27.0: "i1", 50.0: "i1"})
    for segment in b.segments:
        check(segment)
    assert [s.number for s in b.segments] == [0, 1, 2]
    first, second, third = b.segments
    # What the first one shows is not shown again, save for the pictures back to the key frame.
    assert second.started_at == pytest.approx(START + 24.0)
    assert first.started_at + first.duration_s == pytest.approx(START + 24.2, abs=0.01)
    assert third.started_at == pytest.approx(START + 46.0)


def test_two_incidents_at_once_have_a_clip_each(bench: Callable[..., Bench], minute: list[Stored]) -> None:
    b = bench()
    b.play(minute, {20.0: "i1", 21.0: "i2", 30.0: "i2"})
    assert {s.incident_id for s in b.segments} == {"i1", "i2"}
    for segment in b.segments:
        check(segment)


def test_a_long_incident_turns_over_at_a_key_frame_without_a_gap(
    bench: Callable[..., Bench], minute: list[Stored]
) -> None:
    b = bench(longest_s=9.0)
    b.play(minute, {10.0 + n: "i1" for n in range(30)})
    b.recorder.finish()
    assert len(b.segments) >= 3
    for segment, following in zip(b.segments, b.segments[1:], strict=False):
        check(segment)
        assert segment.duration_s == pytest.approx(10.0, abs=0.01)
        assert following.started_at == pytest.approx(segment.started_at + segment.duration_s, abs=0.01)


def test_finish_closes_one_or_all(bench: Callable[..., Bench], minute: list[Stored]) -> None:
    b = bench()
    b.play(minute[:100], {19.0: "i1", 19.2: "i2", 19.4: "i3"})
    b.recorder.finish("i2")
    assert [s.incident_id for s in b.segments] == ["i2"]
    b.recorder.finish()
    b.recorder.finish()
    assert {s.incident_id for s in b.segments} == {"i1", "i2", "i3"}
    for segment in b.segments:
        check(segment)


def test_no_packets_no_clip_no_trouble(bench: Callable[..., Bench]) -> None:
    b = bench()
    b.recorder.start_or_extend("i1", START)
    b.recorder.tick(START + 100)
    b.recorder.finish("unknown")
    b.recorder.finish()
    assert b.segments == []


def test_recording_begins_with_the_first_key_frame_that_comes(
    bench: Callable[..., Bench], minute: list[Stored]
) -> None:
    b = bench()
    b.recorder.start_or_extend("i1", START + 0.5)
    b.play(minute[3:], {})
    (segment,) = b.segments
    check(segment)
    assert segment.started_at == pytest.approx(START + 2.0)


def test_a_ring_too_short_costs_pictures_and_not_the_clip(bench: Callable[..., Bench], minute: list[Stored]) -> None:
    b = bench(ring_s=2.0)
    b.ring.append(*minute[0])
    b.recorder.start_or_extend("i1", START)
    b.recorder.tick(START)
    for packet, form in minute[1:100]:  # the camera's thread was held up for 20 s
        b.ring.append(packet, form)
    b.recorder.tick(START + 20)
    check(b.segments[0])
    assert b.segments[0].duration_s == pytest.approx(20.0, abs=0.3)


def test_another_format_begins_another_segment(
    bench: Callable[..., Bench], minute: list[Stored], tmp_path: Path
) -> None:
    """The camera was set to another resolution, and came back."""
    small = packets_of(make_video(tmp_path / "s.mp4", seconds=6, fps=5, size=(192, 144), key_every=10), START + 22)
    b = bench()
    b.play([*minute[:110], *small], {20.0: "i1", 24.0: "i1"})
    b.recorder.finish()
    assert [first_picture(s.path).shape for s in b.segments] == [(240, 320, 3), (144, 192, 3)]
    for segment in b.segments:
        check(segment)


def after_a_hole(minute: list[Stored], hole_s: float) -> list[Stored]:
    """What comes of a camera that goes away after 22 s and is back so much later."""
    return [*minute[:110], *((Packet(p.at + hole_s, p.data, p.key), form) for p, form in minute[110:])]


def test_a_clip_that_ends_with_the_first_picture_after_a_lost_connection_is_no_longer_than_that(
    bench: Callable[..., Bench], minute: list[Stored]
) -> None:
    b = bench(post_roll_s=102.0)
    b.play(after_a_hole(minute, 100)[:111], {20.0: "i1"})
    b.recorder.finish()
    (segment,) = b.segments
    check(segment)
    assert segment.started_at == pytest.approx(START + 16.0)
    assert segment.duration_s == pytest.approx(106.2, abs=0.01)


@pytest.mark.parametrize("hole_s", [3.2, 100.0])
def test_a_clip_whose_end_falls_into_a_hole_has_nothing_from_after_it(
    bench: Callable[..., Bench], minute: list[Stored], hole_s: float
) -> None:
    """Packets come some time before the frame of theirs that is looked at."""
    b = bench()
    packets = after_a_hole(minute, hole_s)
    b.play(packets[:110], {20.0: "i1"})
    for packet, form in packets[110:116]:
        b.ring.append(packet, form)
    b.recorder.tick(packets[110][0].at)
    b.play(packets[116:], {50.0: "i1"})
    b.recorder.finish()
    first, second = b.segments
    for segment in b.segments:
        check(segment)
    assert first.duration_s == pytest.approx(6.0, abs=0.01)
    assert second.started_at >= START + 22 + hole_s


@pytest.mark.parametrize(
    ("codec", "suffix", "b_frames"),
    [
        ("libx264", ".mp4", 2),
        ("libx264", ".ts", 0),
        ("libx264", ".h264", 0),
        ("libx265", ".mp4", 0),
        ("mjpeg", ".avi", 0),
        ("libsvtav1", ".mkv", 0),
    ],
)
def test_every_kind_of_camera_remuxes(
    bench: Callable[..., Bench], tmp_path: Path, codec: str, suffix: str, b_frames: int
) -> None:
    pixels = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    form = {"form": "h264"} if suffix == ".h264" else {}
    path = make_video(tmp_path / f"a{suffix}", codec=codec, b_frames=b_frames, pixels=pixels, seconds=8, **form)
    b = bench(pre_roll_s=2.0, post_roll_s=1.0)
    b.play(packets_of(path), {4.0: "i1"})
    (segment,) = b.segments
    check(segment)
    assert segment.started_at == pytest.approx(START + 2.0, abs=0.1)
    assert segment.duration_s == pytest.approx(3.0, abs=0.4)
    assert number_of(first_picture(segment.path)) == pytest.approx(50 % 12, abs=2)


@pytest.mark.parametrize(("codec", "called"), [("libx264", b"avc1"), ("libx265", b"hvc1")])
def test_a_clip_is_called_what_the_players_of_every_maker_know(
    bench: Callable[..., Bench], tmp_path: Path, codec: str, called: bytes
) -> None:
    path = make_video(tmp_path / "a.mp4", codec=codec, seconds=8)
    b = bench(pre_roll_s=2.0, post_roll_s=1.0)
    b.play(packets_of(path), {4.0: "i1"})
    (segment,) = b.segments
    cut = cut_recording(path, 2.0, 4.0, tmp_path / "out.mp4")
    for written in (segment.path.read_bytes(), cut.path.read_bytes()):
        kept = written.index(b"stsd")
        assert written[kept + 16 : kept + 20] == called
        assert written.index(b"moov") < written.index(b"mdat")


@pytest.mark.parametrize(("codec", "suffix"), [("libvpx", ".webm"), ("h263", ".avi"), ("rawvideo", ".avi")])
def test_a_codec_that_mp4_does_not_hold_costs_the_clip_and_nothing_else(
    bench: Callable[..., Bench], caplog: pytest.LogCaptureFixture, tmp_path: Path, codec: str, suffix: str
) -> None:
    path = make_video(tmp_path / f"a{suffix}", codec=codec, size=(352, 288))
    b = bench(pre_roll_s=2.0, post_roll_s=1.0)
    b.play(packets_of(path), {2.0: "i1"})
    assert b.segments == [] and not list((tmp_path / "clips").iterdir())
    assert caplog.text.count("clip of incident i1 can't be written: MP4 holds no") == 1
    with pytest.raises(SourceUnavailable, match="MP4 holds no"):
        cut_recording(path, 1.0, 2.0, tmp_path / "out.mp4")
    assert not list(tmp_path.glob("*out*"))


def test_a_disk_that_refuses_costs_the_clip_and_nothing_else(
    bench: Callable[..., Bench], minute: list[Stored], caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    (tmp_path / "clips").write_text("a file where the folder should be")
    b = bench()
    b.play(minute, {20.0: "i1", 50.0: "i1"})
    assert b.segments == []
    assert caplog.text.count("clip of incident i1 can't be written") == 1


def test_a_disk_that_is_full_from_the_first_leaves_no_empty_files(
    bench: Callable[..., Bench], minute: list[Stored], room: Callable[[int], None], caplog: pytest.LogCaptureFixture
) -> None:
    b = bench()
    room(0)
    b.play(minute[: len(minute) // 2], {10.0: "i1", 11.0: "i1", 12.0: "i1"})
    (b.recorder._folder / "i2.0.1800000000000.part").touch()  # of a run that was killed then
    assert b.recorder.salvage() == 0
    assert b.segments == [] and not list(b.recorder._folder.iterdir())
    assert caplog.text.count("clip of incident i1 can't be written") == 1 and "holds nothing" not in caplog.text
    room(resource.RLIM_INFINITY)
    b.play(minute[len(minute) // 2 :], {40.0: "i1"})
    (segment,) = b.segments
    check(segment)


@pytest.fixture
def room() -> Iterator[Callable[[int], None]]:
    """Limits how large a file may grow, which to the writer is like a full disk; no limit after the test."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    old = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, old)


def test_a_disk_that_fills_up_leaves_what_was_written(
    bench: Callable[..., Bench], minute: list[Stored], room: Callable[[int], None], caplog: pytest.LogCaptureFixture
) -> None:
    b = bench(post_roll_s=100.0)
    room(12_000)
    b.play(minute, {20.0: "i1"})
    room(resource.RLIM_INFINITY)
    assert "can't be written" in caplog.text
    (segment,) = b.segments
    check(segment)
    assert 5 < segment.duration_s < 40


def test_a_clip_that_could_not_be_finished_is_finished_at_the_next_start(
    bench: Callable[..., Bench], minute: list[Stored], room: Callable[[int], None], caplog: pytest.LogCaptureFixture
) -> None:
    b = bench(post_roll_s=100.0)
    b.play(minute[:200], {20.0: "i1"})
    room(4_000)
    b.recorder.finish()
    room(resource.RLIM_INFINITY)
    assert b.segments == []
    assert "stays as" in caplog.text
    b = bench()
    assert b.recorder.salvage() == 1
    check(b.segments[0])


def test_a_clip_that_could_not_be_finished_is_finished_once_there_is_room(
    bench: Callable[..., Bench], minute: list[Stored], room: Callable[[int], None]
) -> None:
    b = bench(post_roll_s=100.0)
    b.play(minute[:200], {20.0: "i1"})
    room(4_000)
    b.recorder.finish("i1")  # its end is told without this clip
    for passed_s in (60.0, 120.0):
        b.recorder.tick(START + 41 + passed_s)
    assert b.segments == []
    room(resource.RLIM_INFINITY)
    b.recorder.tick(START + 42 + 120)
    assert b.segments == []
    b.recorder.tick(START + 42 + 180)
    (segment,) = b.segments
    check(segment)
    b.recorder.tick(START + 42 + 240)
    assert len(b.segments) == 1 and not list(b.recorder._folder.glob("*.part"))


def test_what_kill_9_left_is_salvaged(bench: Callable[..., Bench], tmp_path: Path) -> None:
    script = """
        import sys, time
        from pathlib import Path
        from tests.alerts.test_clips import Bench, packets_of
        packets = packets_of(Path(sys.argv[2]))
        b = Bench(Path(sys.argv[1]), post_roll_s=1000.0)
        b.play(packets, {5.0: "i1"})
        print("written", flush=True)
        time.sleep(60)
    """
    path = make_video(tmp_path / "a.mp4", seconds=12, fps=25, key_every=25)
    folder = tmp_path / "clips"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-c", textwrap.dedent(script), str(folder), str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"written\n"
        process.send_signal(signal.SIGKILL)
    assert [p.suffix for p in folder.iterdir()] == [".part"]
    b = bench()
    assert b.recorder.salvage() == 1
    (segment,) = b.segments
    check(segment)
    assert (segment.incident_id, segment.number) == ("i1", 0)
    assert segment.started_at == pytest.approx(START + 2.0)
    # Twelve seconds less the two before the clip, and less the last group of pictures.
    assert segment.duration_s >= 8.5
    assert [p.suffix for p in folder.iterdir()] == [".mp4"]
    assert b.recorder.salvage() == 0


def test_what_can_not_be_salvaged_is_set_aside(
    bench: Callable[..., Bench], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips" / "i1.0.1800000000000.part").write_bytes(b"\x00" * 100)
    (tmp_path / "clips" / "somebody.else.part").write_bytes(b"")
    b = bench()
    assert b.recorder.salvage() == 0
    assert sorted(p.suffix for p in (tmp_path / "clips").iterdir()) == [".broken", ".part"]
    assert "holds nothing that can be read" in caplog.text


def test_a_clip_that_somebody_deletes_while_it_is_written_costs_that_clip_alone(
    bench: Callable[..., Bench], minute: list[Stored], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    b = bench()
    b.play(minute[:20], {2.0: "i1"})
    for part in (tmp_path / "clips").iterdir():
        part.unlink()
    b.play(minute[20:], {30.0: "i2"})
    b.recorder.finish()
    assert [segment.incident_id for segment in b.segments] == ["i2"]
    assert "clip of incident i1 can't be finished" in caplog.text


def test_writing_keeps_memory_flat_and_costs_little(tmp_path: Path, minute: list[Stored]) -> None:
    """Not a timing: ten minutes of packets in a second or so shows that nothing is encoded."""
    b = Bench(tmp_path, ring_s=5, post_roll_s=1e6)
    b.ring.append(*minute[0])
    b.recorder.start_or_extend("i1", START)
    began = time.process_time()
    for turn in range(10):
        for packet, form in minute:
            b.ring.append(Packet(packet.at + 60 * turn + 1, packet.data, packet.key), form)
            b.recorder.tick(packet.at + 60 * turn + 1)
    assert b.ring.held[0] < 8
    b.recorder.finish()
    assert time.process_time() - began < 30
    check(b.segments[0])


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts"])
@pytest.mark.parametrize("b_frames", [0, 2])
def test_a_recording_is_cut_from_the_key_frame_before(tmp_path: Path, suffix: str, b_frames: int) -> None:
    path = make_video(tmp_path / f"a{suffix}", seconds=20, fps=25, key_every=50, b_frames=b_frames)
    cut = cut_recording(path, 9.0, 12.5, tmp_path / "deep" / "out.mp4")
    check(Segment("i", 0, cut.path, cut.sha256, cut.bytes, 0.0, cut.duration_s))
    assert cut.start_s == pytest.approx(8.0, abs=0.05)
    assert cut.start_s + cut.duration_s == pytest.approx(12.5, abs=0.3)
    assert number_of(first_picture(cut.path)) == 200 % 12
    assert [p.name for p in cut.path.parent.iterdir()] == ["out.mp4"]


@pytest.mark.parametrize("codec", ["libx264", "libx265"])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts"])
def test_a_clip_may_begin_where_a_recording_of_reordered_pictures_does(tmp_path: Path, suffix: str, codec: str) -> None:
    path = make_video(tmp_path / f"a{suffix}", seconds=8, key_every=250, b_frames=2, codec=codec)
    cut = cut_recording(path, 1.0, 4.0, tmp_path / "out.mp4")
    assert cut.start_s == pytest.approx(0.0, abs=0.001) and cut.duration_s == pytest.approx(4.0, abs=0.3)
    with av.open(str(cut.path)) as container:
        pictures = [number_of(frame.to_ndarray(format="bgr24")) for frame in container.decode(video=0)]
    assert pictures[:98] == [n % 12 for n in range(98)]


@pytest.mark.parametrize(
    ("start_s", "end_s", "real_start_s", "real_end_s"),
    [
        (-5.0, 1.0, 0.0, 1.0),
        (0.0, float("inf"), 0.0, 8.0),
        (7.0, 100.0, 6.0, 8.0),
        (2.0, 2.0, 2.0, 2.0),
        (3.9, 4.5, 2.0, 4.5),
    ],
)
def test_edges_of_a_cut(tmp_path: Path, start_s: float, end_s: float, real_start_s: float, real_end_s: float) -> None:
    path = make_video(tmp_path / "a.mp4", seconds=8, fps=25, key_every=50)
    cut = cut_recording(path, start_s, end_s, tmp_path / "out.mp4")
    assert cut.start_s == pytest.approx(real_start_s, abs=0.01)
    assert cut.start_s + cut.duration_s == pytest.approx(real_end_s, abs=0.1)


@pytest.mark.parametrize("b_frames", [0, 2])
@pytest.mark.parametrize(("start_s", "end_s"), [(2.0, 4.0), (5.0, 7.0), (8.0, 10.0), (13.0, 15.0)])
def test_a_file_whose_time_begins_again_inside_is_cut_by_the_time_of_its_looks(
    tmp_path: Path, start_s: float, end_s: float, b_frames: int
) -> None:
    path = make_joined(tmp_path / "a.ts", b_frames=b_frames)
    cut = cut_recording(path, start_s, end_s, tmp_path / "out.mp4")
    assert cut.start_s == pytest.approx(start_s, abs=0.1)
    assert cut.start_s + cut.duration_s == pytest.approx(end_s, abs=0.2)
    looks = {round(f.offset_s or 0.0, 2): number_of(f.image) for f in Recording(path, camera="", start_at=0, fps=25)}
    shown = [round(cut.start_s + at, 2) for at in shown_s(cut.path)]
    with av.open(str(cut.path)) as container:
        pictures = [number_of(frame.to_ndarray(format="bgr24")) for frame in container.decode(video=0)]
    assert len(pictures) >= 50 and dict(zip(shown, pictures, strict=True)).items() <= looks.items()


@pytest.mark.parametrize("b_frames", [0, 2])
def test_what_is_cut_from_round_a_clock_gone_far_ahead_is_as_long_as_it_was(tmp_path: Path, b_frames: int) -> None:
    path = make_ahead(tmp_path / "a.mkv", ahead_s=10 * 365 * 86_400.0, b_frames=b_frames)
    cut = cut_recording(path, 1.0, 3.0, tmp_path / "out.mp4")
    assert (cut.start_s, cut.duration_s) == (pytest.approx(1.0, abs=0.1), pytest.approx(2.0, abs=0.2))
    assert 48 <= len(shown_s(cut.path)) <= 55


@pytest.mark.parametrize("pause_s", [0, 60])
def test_reordered_pictures_of_an_avi_follow_each_other_in_a_clip(tmp_path: Path, pause_s: int) -> None:
    path = make_video(tmp_path / "a.avi", seconds=8, key_every=50, b_frames=2, pause_s=pause_s)
    cut = cut_recording(path, pause_s + 6.1, pause_s + 7.0, tmp_path / "out.mp4")
    assert cut.start_s == pytest.approx(pause_s + 6.0, abs=0.05) and cut.duration_s == pytest.approx(1.0, abs=0.1)
    shown = shown_s(cut.path)
    assert [b - a for a, b in pairwise(shown)] == pytest.approx([0.04] * (len(shown) - 1))
    with av.open(str(cut.path)) as container:
        pictures = [number_of(frame.to_ndarray(format="bgr24")) for frame in container.decode(video=0)]
    assert pictures[:22] == [n % 12 for n in range(150, 172)]  # of the last ones, some may be shown beyond the end


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_clip_that_ends_at_a_pause_of_its_recorder_is_no_longer_than_its_pictures(
    tmp_path: Path, suffix: str
) -> None:
    path = make_ahead(tmp_path / f"a{suffix}", ahead_s=8 * 3600.0)
    cut = cut_recording(path, 0.5, 1.99, tmp_path / "out.mp4")
    assert cut.start_s + cut.duration_s == pytest.approx(2.0, abs=0.1)
    with av.open(str(cut.path)) as container:
        assert (container.duration or 0) / av.time_base == pytest.approx(cut.duration_s, abs=0.1)


def test_av1_is_cut_and_joined_as_it_is(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mkv", codec="libsvtav1", seconds=4)
    first, second = (cut_recording(path, at, at + 0.98, tmp_path / f"{at:g}.mp4") for at in (1.0, 2.0))
    assert [first.start_s, second.start_s] == pytest.approx([1.0, 2.0], abs=0.05)
    whole = join([Part(first.path, 0.0), Part(second.path, second.start_s - first.start_s)], tmp_path / "out.mp4")
    assert len(shown_s(whole.path)) == len(shown_s(first.path)) + len(shown_s(second.path))


def test_a_cut_out_of_nothing_is_an_error(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mp4", seconds=2)
    (tmp_path / "text.mp4").write_text("no video")
    for source, start_s, end_s in (
        (path, 5.0, 9.0),
        (tmp_path / "text.mp4", 0.0, 1.0),
        (tmp_path / "no.mp4", 0.0, 1.0),
    ):
        with pytest.raises(SourceUnavailable):
            cut_recording(source, start_s, end_s, tmp_path / "out.mp4")
    assert not list(tmp_path.glob("*out*"))


# Side files


def test_every_picture_of_a_clip_has_its_look(bench: Callable[..., Bench], minute: list[Stored]) -> None:
    b = bench()
    b.play(minute, {20.0: "i1", 30.0: "i1"})
    for segment in b.segments:
        fields = seen(segment)
        assert [look["t"] for look in fields["looks"]] == pytest.approx(shown_s(segment.path), abs=0.002)
        assert all(look["offender"] == [1] for look in fields["looks"])


def test_two_incidents_at_once_have_a_side_file_each(bench: Callable[..., Bench], minute: list[Stored]) -> None:
    b = bench()
    b.play(minute, {20.0: "i1", 22.0: "i2"})
    one, two = (seen(segment) for segment in sorted(b.segments, key=lambda s: s.incident_id))
    assert [one["looks"][0]["offender"], two["looks"][0]["offender"]] == [[1], [2]]
    assert (one["started_at_unix"], two["started_at_unix"]) == (pytest.approx(START + 16), pytest.approx(START + 18))


def test_a_clip_longer_than_the_ring_has_all_its_looks(bench: Callable[..., Bench], minute: list[Stored]) -> None:
    b = bench(ring_s=8.0, longest_s=21.0)
    b.play(minute, {5.0 + n: "i1" for n in range(50)})
    b.recorder.finish()
    assert len(b.segments) == 3
    for segment in b.segments:
        shown = shown_s(segment.path)
        assert [look["t"] for look in seen(segment)["looks"]][: len(shown)] == pytest.approx(shown, abs=0.002)
    assert b.looks.hold_from is None


def test_what_nobody_looked_at_has_a_clip_all_the_same(bench: Callable[..., Bench], minute: list[Stored]) -> None:
    b = bench()
    b.looks.append = lambda _sight: None  # type: ignore[method-assign]
    b.play(minute, {20.0: "i1"})
    (segment,) = b.segments
    check(segment)
    assert segment.side is None and [p.suffix for p in segment.path.parent.iterdir()] == [".mp4"]


def test_a_disk_that_refuses_the_side_file_costs_it_and_not_the_clip(
    bench: Callable[..., Bench], minute: list[Stored], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("detector.alerts.clips.write_side", full)
    b = bench()
    b.play(minute, {20.0: "i1"})
    (segment,) = b.segments
    check(segment)
    assert segment.side is None and "has no side file" in caplog.text


@pytest.mark.parametrize("where", ["os.fsync", "clips.write_side"])
def test_kill_9_while_a_side_file_is_written_costs_that_alone_and_just_after_nothing(
    bench: Callable[..., Bench], tmp_path: Path, where: str
) -> None:
    """Either way the clip comes at the next start."""
    script = """
        import os, signal, sys
        from pathlib import Path
        from detector.alerts import clips
        from tests.alerts.test_clips import Bench, packets_of
        module, _, name = sys.argv[3].rpartition(".")
        home = {"os": os, "clips": clips}[module]
        real = getattr(home, name)
        def killed(*args, **more):
            if module == "clips" or ".side." in os.readlink(f"/proc/self/fd/{args[0]}"):
                real(*args, **more)
                os.kill(os.getpid(), signal.SIGKILL)
        setattr(home, name, killed)
        Bench(Path(sys.argv[1])).play(packets_of(Path(sys.argv[2])), {3.0: "i1"})
    """
    path = make_video(tmp_path / "a.mp4", seconds=12, fps=5, key_every=5)
    folder = tmp_path / "clips"
    command = [sys.executable, "-c", textwrap.dedent(script), str(folder), str(path), where]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}, check=False)
    assert done.returncode == -signal.SIGKILL
    left = {p.name.split(".")[-1] for p in folder.iterdir()}
    assert left == ({"part", "mp4", "draft"} if where == "os.fsync" else {"part", "mp4", "gz"})
    b = bench()
    assert b.recorder.salvage() == 1
    (segment,) = b.segments
    check(segment)
    if where == "clips.write_side":
        assert seen(segment)["looks"]
    else:
        assert segment.side is None and [p.name for p in folder.iterdir()] == ["i1.0.mp4"]


def test_a_segment_that_was_not_taken_is_given_again_the_same_to_the_byte(
    bench: Callable[..., Bench], minute: list[Stored]
) -> None:
    b, refused = bench(), []
    b.recorder._on_segment = lambda segment: refused.append(segment) or False  # type: ignore[func-returns-value]
    b.play(minute, {20.0: "i1"})
    for path in refused[0].path.parent.glob("*.mp4"):
        path.unlink()  # as when the hub had it, and this edge was killed before it had noted that
    again = bench()
    assert again.recorder.salvage() == 1
    assert again.segments == refused
    assert again.recorder.salvage() == 0
