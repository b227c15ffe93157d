"""Live cameras, served by a real RTSP server that dies, freezes, refuses and comes back."""

from __future__ import annotations

import itertools
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import av
import pytest

from detector.alerts.clips import ClipRecorder, Segment
from detector.clock import SystemClock
from detector.config import Camera
from detector.media.packets import Packet, PacketRing, StreamFormat
from detector.sources import live
from detector.sources.live import LiveSource, Patience
from detector.sources.messages import TO_READER, Channel, Connect
from detector.sources.reading import Gone, _received, opened
from detector.sources.video import Step
from detector.values import Frame
from tests.parts_hostile_rtsp import HostileCamera, Talk, half_a_frame, no_key_frames, nothing, real_units, reset
from tests.sources.conftest import CAMERA_FPS, RtspServer, free_port
from tests.sources.footage import make_video, shown_s

Servers = Callable[..., RtspServer]

HASTY = Patience(
    open_s=4.0, read_s=1.5, frame_s=6.0, retry_first_s=0.2, retry_longest_s=0.4, refused_s=0.5, steady_s=5.0
)
SECRET = "p@ss/w:rd#1 %41"
LONG_S = 40.0  # the machine that runs this may be busy


class Watcher:
    """Consumes a source in a thread, as a camera worker does."""

    def __init__(self, camera: Camera, patience: Patience = HASTY, on_packet: Callable | None = None) -> None:
        self.stop = threading.Event()
        self.frames: list[Frame] = []
        self.source = LiveSource(
            camera, fps=5, clock=SystemClock(), stop=self.stop, on_packet=on_packet, patience=patience
        )
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        for frame in self.source:
            self.frames.append(frame)

    def sees_more(self, count: int = 3) -> bool:
        enough = len(self.frames) + count
        return soon(lambda: len(self.frames) >= enough)

    def end(self) -> None:
        self.stop.set()
        self._thread.join(10)
        self.source.close()
        assert not self._thread.is_alive()


@pytest.fixture
def watch() -> Iterator[Callable[..., Watcher]]:
    watchers: list[Watcher] = []

    def start(camera: Camera, **more: object) -> Watcher:
        watchers.append(Watcher(camera, **more))  # type: ignore[arg-type]
        return watchers[-1]

    yield start
    for watcher in watchers:
        watcher.end()


def soon(true: Callable[[], bool], timeout_s: float = LONG_S) -> bool:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if true():
            return True
        time.sleep(0.02)
    return False


def test_frames_come_with_the_time_of_arrival(rtsp_server: Servers, watch: Callable[..., Watcher]) -> None:
    ring = PacketRing(10)
    began = time.time()
    watcher = watch(Camera(name="dock", source=rtsp_server().url), on_packet=ring.append)
    assert watcher.sees_more(10)
    times = [f.captured_at for f in watcher.frames]
    assert times == sorted(set(times))
    assert began < times[0] < times[-1] < time.time() + 1
    assert watcher.frames[0].size == (320, 240)
    assert watcher.source.stats.state == "online"
    assert watcher.source.stats.frames_in >= 2 * watcher.source.stats.analysed
    stored = ring.since(0)
    assert stored[0].packet.key
    assert stored[0].stream_format.codec == "h264"
    # The ring and the frames share one clock, or clips would show another moment.
    assert abs(ring.since(times[-1])[-1].packet.at - times[-1]) < 2
    watcher.end()
    assert watcher.source.stats.state == "ended"


def test_at_rest_a_camera_shows_key_frames_and_its_packets_go_on(
    rtsp_server: Servers, watch: Callable[..., Watcher]
) -> None:
    ring = PacketRing(60)
    watcher = watch(Camera(name="dock", source=rtsp_server().url), on_packet=ring.append)
    assert watcher.sees_more(10)
    watcher.source.rest(True)
    stats = watcher.source.stats
    assert soon(lambda: ring.since(0)[-1].packet.key)  # one more may be on its way whole
    decoded, packets = stats.frames_in, len(ring.since(0))
    assert watcher.sees_more(4)
    shown, came = stats.frames_in - decoded, len(ring.since(0)) - packets
    assert shown <= 7 and came >= 3 * (CAMERA_FPS - 1) > 5 * shown  # a key frame a second
    watcher.source.rest(False)
    began = len(watcher.frames)
    assert watcher.sees_more(20)
    assert stats.decode_errors == 0 and stats.state == "online"
    times = [frame.captured_at for frame in watcher.frames[began + 2 :]]
    assert times[-1] - times[0] < 0.7 * len(times)  # as key frames come it would be one a second


def test_a_clip_is_cut_from_what_a_live_camera_sent(
    rtsp_server: Servers, watch: Callable[..., Watcher], tmp_path: Path
) -> None:
    ring = PacketRing(10)
    segments: list[Segment] = []
    recorder = ClipRecorder(tmp_path, ring, pre_roll_s=1.0, post_roll_s=1.0, on_segment=segments.append)
    watcher = watch(Camera(name="dock", source=rtsp_server().url), on_packet=ring.append)
    assert watcher.sees_more(12)
    at = watcher.frames[-1].captured_at
    recorder.start_or_extend("i1", at)
    assert watcher.sees_more(8)
    recorder.tick(watcher.frames[-1].captured_at)
    (segment,) = segments
    assert segment.started_at <= at - 1.0
    times = shown_s(segment.path)
    assert times == sorted(set(times))
    assert len(times) >= 2 * CAMERA_FPS
    assert segment.duration_s == pytest.approx(len(times) / CAMERA_FPS, rel=0.3)


def sequence_sets(avcc: bytes) -> set[bytes]:
    """The different sequence parameter sets that an MP4 states of its H.264 (ISO/IEC 14496-15, 5.3.3.1)."""
    found, at = set(), 6
    for _ in range(avcc[5] & 0x1F):
        end = at + 2 + int.from_bytes(avcc[at : at + 2])
        found.add(avcc[at + 2 : end])
        at = end
    return found


@pytest.mark.parametrize("fps", [0.0, 5.0], ids=["undecoded", "decoded"])
def test_a_clip_of_a_camera_that_changes_its_size_has_a_segment_for_each(
    rtsp_server: Servers, tmp_path: Path, fps: float
) -> None:
    sizes = [(320, 240), (640, 480)]
    both = tmp_path / "both.h264"
    parts = [
        make_video(tmp_path / f"{n}.h264", seconds=2, fps=CAMERA_FPS, key_every=CAMERA_FPS, size=size, form="h264")
        for n, size in enumerate(sizes)
    ]
    both.write_bytes(b"".join(part.read_bytes() for part in parts))
    ring, stop = PacketRing(60), threading.Event()
    source = LiveSource(
        Camera(name="dock", source=rtsp_server(footage=both).url),
        fps=fps, clock=SystemClock(), stop=stop, on_packet=ring.append, patience=HASTY,
    )  # fmt: skip
    source.start()
    assert soon(lambda: ring.held[0] > 5.0)
    stop.set()
    source.close()
    segments: list[Segment] = []
    recorder = ClipRecorder(tmp_path / "clips", ring, pre_roll_s=60.0, post_roll_s=0.0, on_segment=segments.append)
    recorder.start_or_extend("i1", time.time())
    recorder.finish()
    assert len(segments) == 3
    for segment, size in zip(segments, [*sizes, sizes[0]], strict=True):
        with av.open(str(segment.path)) as clip:
            stated = clip.streams.video[0].codec_context
            assert (stated.width, stated.height) == size
            assert len(sequence_sets(stated.extradata)) == 1, "its own, and none of the size before"
            assert {(picture.width, picture.height) for picture in clip.decode(video=0)} == {size}


def test_a_camera_that_was_killed_comes_back(rtsp_server: Servers, watch: Callable[..., Watcher]) -> None:
    server = rtsp_server()
    packets: list[Packet] = []
    watcher = watch(Camera(name="dock", source=server.url), on_packet=lambda packet, _: packets.append(packet))
    assert watcher.sees_more()
    server.kill()
    assert soon(lambda: watcher.source.stats.state == "lost")
    received = len(packets)
    server.start()
    assert watcher.sees_more()
    assert watcher.source.stats.reconnects >= 1
    assert packets[received].key, "after the gap decoding must be able to start"
    times = [f.captured_at for f in watcher.frames]
    assert times == sorted(set(times))
    assert [f.index for f in watcher.frames] == sorted({f.index for f in watcher.frames})


def test_a_camera_that_froze_is_noticed_and_read_again(rtsp_server: Servers, watch: Callable[..., Watcher]) -> None:
    server = rtsp_server()
    watcher = watch(Camera(name="dock", source=server.url))
    assert watcher.sees_more()
    server.freeze()
    assert soon(lambda: watcher.source.stats.state == "lost")
    server.thaw()
    assert watcher.sees_more()
    assert watcher.source.stats.state == "online"


STALL_S = 2.5


def stalled(server: RtspServer) -> float:
    """Have a camera send nothing for `STALL_S` and then all of it at once; when that began, Unix seconds."""
    began = time.time()
    server.freeze()
    time.sleep(STALL_S)
    server.thaw()
    return began


def test_what_a_stalled_camera_sends_at_once_was_taken_as_it_was_filmed(
    rtsp_server: Servers, watch: Callable[..., Watcher]
) -> None:
    server = rtsp_server()
    came: list[tuple[float, float]] = []
    watcher = watch(
        Camera(name="dock", source=server.url),
        patience=Patience(),
        on_packet=lambda packet, _: came.append((packet.at, time.time())),
    )
    assert watcher.sees_more(8)
    began = stalled(server)
    back = len(came)
    assert soon(lambda: len(came) > back and came[-1][0] > began + STALL_S + 1.0)
    watcher.end()
    assert watcher.source.stats.reconnects == 0
    times = [at for at, _ in came]
    assert times == sorted(set(times))
    assert all(at <= arrived + 0.01 for at, arrived in came)
    silence_s = max(after - before for (_, before), (_, after) in itertools.pairwise(came))
    assert silence_s > 0.8 * STALL_S, "nothing has stalled"
    steps = [after - before for before, after in itertools.pairwise(times) if began < after < began + STALL_S]
    assert len(steps) >= 0.8 * STALL_S * CAMERA_FPS
    assert max(steps) < 3 / CAMERA_FPS and sorted(steps)[len(steps) // 10] > 0.5 / CAMERA_FPS
    assert times[-1] == pytest.approx(came[-1][1], abs=1.0)


def test_a_stall_is_looked_at_as_often_as_any_other_time(rtsp_server: Servers, watch: Callable[..., Watcher]) -> None:
    server = rtsp_server()
    watcher = watch(Camera(name="dock", source=server.url), patience=Patience())
    assert watcher.sees_more(8)
    began = stalled(server)
    assert soon(lambda: watcher.frames[-1].captured_at > began + STALL_S + 1.0)
    watcher.end()
    times = [frame.captured_at for frame in watcher.frames if frame.captured_at > began - 1.0]
    assert times == sorted(set(times))
    # The newest alone would leave all of the stall out; a loaded machine may well pass over some pictures.
    assert max(after - before for before, after in itertools.pairwise(times)) < STALL_S / 2
    assert watcher.source.stats.frames_in >= 2 * watcher.source.stats.analysed, "more than is due was looked at"


def test_the_password_opens_the_camera(
    rtsp_server: Servers, watch: Callable[..., Watcher], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCK_PASSWORD", SECRET)
    server = rtsp_server(("guard", SECRET))
    watcher = watch(Camera(name="dock", source=server.url, username="guard", password_env="DOCK_PASSWORD"))
    assert watcher.sees_more()


def test_a_wrong_password_is_told_apart_and_told_to_nobody(
    rtsp_server: Servers,
    watch: Callable[..., Watcher],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("DOCK_PASSWORD", "hunter2-" + SECRET)
    server = rtsp_server(("guard", SECRET))
    camera = Camera(name="dock", source=server.url, username="guard", password_env="DOCK_PASSWORD")
    watcher = watch(camera)
    assert soon(lambda: watcher.source.stats.reconnects >= 1)
    assert watcher.source.stats.state == "refused"
    server.kill()
    assert soon(lambda: watcher.source.stats.state == "lost")
    watcher.end()
    told = caplog.text + "".join(capfd.readouterr()) + str(watcher.source.stats)
    assert "refused" in told
    assert "hunter2" not in told
    assert "guard" not in told


def order(url: str, **more: object) -> Connect:
    return Connect(url, "dock", 5.0, True, **{"open_s": 4.0, "read_s": 1.5, "frame_s": 6.0, **more})  # type: ignore[arg-type]


def test_no_exception_of_pyav_gives_the_password_away() -> None:
    """FFmpeg puts the whole URL into its errors; none of it may be reachable from ours, not even by __context__."""
    with pytest.raises(Gone, match="refused") as caught:
        opened(order(f"rtsp://guard:hunter2@127.0.0.1:{free_port()}/cam"))
    error: BaseException | None = caught.value
    while error is not None:
        assert "hunter2" not in repr(error) + str(error) + repr(vars(error))
        error = error.__cause__ or error.__context__


TROUBLES: dict[str, tuple[str, str | None, str]] = {
    "frozen": ("lost", "no_answer", "nothing came for 3 s"),
    "frozen from the first": ("lost", "no_answer", "no answer for"),
    "killed": ("lost", "broke_off", ""),
    "cut in mid-frame": ("lost", "broke_off", ""),
    "reset in mid-frame": ("lost", "broke_off", ""),
    "nothing listening": ("lost", "unreachable", "refused"),
    "wrong password": ("refused", "refused", "refused the user name or password"),
    "no picture": ("lost", "no_picture", "packets but no picture"),
}


def test_cameras_that_misbehave_are_told_apart(
    rtsp_server: Servers, watch: Callable[..., Watcher], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCK_PASSWORD", "wrong")
    monkeypatch.setattr(live.random, "uniform", lambda _, longest: longest)
    slow = replace(HASTY, open_s=6.0, read_s=3.0, frame_s=2.0, retry_first_s=60.0, retry_longest_s=60.0, refused_s=60.0)
    freezing, dying, refusing = rtsp_server(), rtsp_server(), rtsp_server(("guard", SECRET))
    with ExitStack() as stack:
        urls = {
            "frozen": freezing.url,
            "killed": dying.url,
            "nothing listening": f"rtsp://127.0.0.1:{free_port()}/cam",
            "wrong password": refusing.url,
        } | {
            name: stack.enter_context(HostileCamera(behaviour)).url
            for name, behaviour in {
                "frozen from the first": nothing,
                "cut in mid-frame": half_a_frame,
                "reset in mid-frame": reset,
                "no picture": no_key_frames,
            }.items()
        }
        login = {"username": "guard", "password_env": "DOCK_PASSWORD"}
        watchers = {
            name: watch(Camera(name="dock", source=url, **(login if name == "wrong password" else {})), patience=slow)
            for name, url in urls.items()
        }
        assert watchers["frozen"].sees_more(1)
        assert watchers["killed"].sees_more(1)
        freezing.freeze()
        dying.kill()
        for name, (state, trouble, text) in TROUBLES.items():
            stats = watchers[name].source.stats
            assert soon(lambda stats=stats: stats.trouble is not None), name
            assert (name, stats.state, stats.trouble) == (name, state, trouble)
            assert text in (stats.last_error or ""), name
        for watcher in watchers.values():
            watcher.end()


def stamped(times: Callable[[int], int]) -> Callable[[Talk], None]:
    """A camera that shows a picture every 50 ms, and says of the nth that it is of another time, in 90 kHz ticks."""

    def behaviour(talk: Talk) -> None:
        talk.play()
        n = 0
        while not talk.over:
            talk.picture(real_units()[n % 10], times(n) % 2**32)
            n += 1
            time.sleep(0.05)

    return behaviour


TIMES: dict[str, Callable[[int], int]] = {
    "ahead": lambda n: 4500 * n + n // 10 * 90_000 * 3600,
    "back": lambda n: 4500 * (n % 10),
    "stand still": lambda _: 90_000,
    "at random": lambda n: n * 2_654_435_761,
}


def test_time_stamps_that_jump_do_no_harm(watch: Callable[..., Watcher]) -> None:
    packets: dict[str, list[Packet]] = {name: [] for name in TIMES}
    began = time.time()
    with ExitStack() as stack:
        cameras = {name: stack.enter_context(HostileCamera(stamped(times))) for name, times in TIMES.items()}
        watchers = {
            name: watch(
                Camera(name="dock", source=camera.url),
                patience=Patience(),
                on_packet=lambda packet, _, name=name: packets[name].append(packet),
            )
            for name, camera in cameras.items()
        }
        for name, watcher in watchers.items():
            assert soon(lambda watcher=watcher: len(watcher.frames) >= 6), name
        for watcher in watchers.values():
            watcher.end()
    for name, watcher in watchers.items():
        seen, decoded = [frame.captured_at for frame in watcher.frames], [packet.at for packet in packets[name]]
        assert seen == sorted(set(seen)), name
        assert decoded == sorted(set(decoded)), name
        assert began < min(seen[0], decoded[0]), name
        assert max(packet.shown_at for packet in packets[name]) < time.time() + 10, name
        assert watcher.source.stats.reconnects == 0, name


def test_another_codec_after_a_restart_is_read_as_well(
    rtsp_server: Servers, watch: Callable[..., Watcher], tmp_path: Path
) -> None:
    formats: list[str] = []
    server = rtsp_server()
    watcher = watch(Camera(name="dock", source=server.url), on_packet=lambda _, form: formats.append(form.codec))
    assert watcher.sees_more(1)
    server.kill()
    server._path = make_video(
        tmp_path / "footage.h265", seconds=4, fps=CAMERA_FPS, key_every=CAMERA_FPS, codec="libx265", form="hevc"
    )
    server.start()
    assert watcher.sees_more(4)
    assert {formats[0], formats[-1]} == {"h264", "hevc"}


def test_nothing_listening_is_tried_again_and_hurts_no_other(
    rtsp_server: Servers, watch: Callable[..., Watcher], caplog: pytest.LogCaptureFixture
) -> None:
    dead = watch(Camera(name="dead", source=f"rtsp://127.0.0.1:{free_port()}/cam"))
    alive = watch(Camera(name="alive", source=rtsp_server().url))
    assert soon(lambda: dead.source.stats.reconnects >= 3)
    assert alive.sees_more(5)
    assert (dead.source.stats.state, alive.source.stats.state) == ("lost", "online")
    assert "refused" in (dead.source.stats.last_error or "")
    assert caplog.text.count("camera=dead") == 1, "one line per change, not per attempt"


def test_a_slow_consumer_gets_the_newest_frame(rtsp_server: Servers) -> None:
    stop = threading.Event()
    clock = SystemClock()
    source = LiveSource(Camera(name="dock", source=rtsp_server().url), fps=5, clock=clock, stop=stop, patience=HASTY)
    ages = []
    for frame in source:
        ages.append(clock.now() - frame.captured_at)
        time.sleep(1.0)
        if len(ages) == 4:
            stop.set()
    source.close()
    assert source.stats.dropped >= 3
    assert min(ages[1:]) < 0.8


def test_waits_double_up_to_a_cap_and_are_spread() -> None:
    source = LiveSource(
        Camera(name="dock", source="rtsp://127.0.0.1/cam"), fps=5, clock=SystemClock(), stop=threading.Event()
    )
    for attempt, longest in ((1, 1), (2, 2), (3, 4), (5, 16), (6, 30), (5000, 30)):
        waits = [source._wait_s("broke_off", attempt) for _ in range(200)]
        assert 0 <= min(waits) < 0.2 * longest
        assert 0.8 * longest < max(waits) <= longest
    assert source._wait_s("refused", 1) == 60


class Undecodable:
    """Packets that nothing can be decoded from."""

    decode_errors = 0
    format = StreamFormat("h264", 320, 240)

    def steps(self) -> Iterator[Step]:
        for _ in range(1000):
            time.sleep(0.01)
            yield Step(None, 0.0, False, b"", [])


def test_packets_without_a_picture_are_not_a_picture() -> None:
    worker, reader = socket.socketpair()
    with worker, reader:
        ended = _received(order("", frame_s=0.1), Undecodable(), Channel(reader, TO_READER), None)  # type: ignore[arg-type]
    assert (ended.trouble, ended.text) == ("no_picture", "sends packets but no picture since 0.1 s")
