"""The process that reads a camera: it hangs, crashes and is lied for without harm, and nothing of it stays behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.clock import SystemClock
from detector.config import Camera
from detector.sources import live
from detector.sources.decoded import picture_of
from detector.sources.live import LiveSource, Patience
from detector.sources.messages import (
    LARGEST_PACKET,
    TO_READER,
    TO_WORKER,
    Channel,
    Connect,
    Decode,
    Ended,
    Format,
    Free,
    Garbled,
    Laid,
    Stepped,
)
from detector.sources.reader import Reader
from detector.sources.slots import MEMORY_BYTES, SLOT_BYTES, SLOTS, Viewer, Writer, make_memory
from tests.conftest import REPOSITORY
from tests.parts_hostile_rtsp import HostileCamera, honest, real_units
from tests.sources.test_live import LONG_S, SECRET, Servers, Watcher, soon

PROMPT = Patience(
    open_s=15.0, read_s=6.0, frame_s=6.0, hung_s=3.0, retry_first_s=0.2, retry_longest_s=0.4, refused_s=0.5
)


@pytest.fixture
def camera() -> Iterator[HostileCamera]:
    with HostileCamera(honest) as one:
        yield one


@pytest.fixture(scope="module")
def watched() -> Iterator[Watcher]:
    """A camera that is being read, by one reader after another."""
    with HostileCamera(honest) as one:
        watcher = Watcher(Camera(name="dock", source=one.url), PROMPT)
        assert watcher.sees_more(1)
        yield watcher
        watcher.end()


def pid_of(watcher: Watcher) -> int:
    readers: list[Reader] = []
    assert soon(lambda: bool(readers.extend(filter(None, [watcher.source._reader])) or readers))
    return readers[0].pid


def is_gone(pid: int) -> bool:
    """Whether a process is neither running nor waiting to be reaped."""
    return not Path(f"/proc/{pid}").exists()


def test_a_reader_that_hangs_is_killed_and_told_and_another_takes_its_place(watched: Watcher) -> None:
    pid, stats = pid_of(watched), watched.source.stats
    before = stats.killed, stats.restarts
    os.kill(pid, signal.SIGSTOP)
    assert soon(lambda: stats.killed > before[0] and is_gone(pid))
    assert watched.sees_more(1)
    assert (stats.state, stats.trouble) == ("online", None)
    assert stats.restarts > before[1]
    assert "said nothing for 3 s and was killed" in (stats.last_error or "")


def test_a_reader_that_dies_is_told_with_its_cause_and_another_takes_its_place(watched: Watcher) -> None:
    pid, stats = pid_of(watched), watched.source.stats
    before = stats.restarts
    os.kill(pid, signal.SIGSEGV)
    assert soon(lambda: stats.restarts > before)
    assert stats.last_error == "the reader process died: SIGSEGV"
    assert watched.sees_more(1)
    assert is_gone(pid)


def test_a_crash_is_a_state_of_its_own(camera: HostileCamera, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "Reader", broken_reader)
    watcher = Watcher(Camera(name="dock", source=camera.url), PROMPT)
    assert soon(lambda: watcher.source.stats.reconnects >= 2)
    assert (watcher.source.stats.state, watcher.source.stats.trouble) == ("crashed", "crashed")
    watcher.end()


def broken_reader() -> Reader:
    raise OSError("no more processes")


def test_stopping_takes_no_second_though_the_reader_is_frozen(camera: HostileCamera) -> None:
    watcher = Watcher(Camera(name="dock", source=camera.url), PROMPT)
    pid = pid_of(watcher)
    os.kill(pid, signal.SIGSTOP)
    began = time.monotonic()
    watcher.end()
    assert time.monotonic() - began < 5  # half a second, on a machine with nothing else to do
    assert is_gone(pid)


def test_the_reader_dies_with_the_worker_and_leaves_nothing(camera: HostileCamera) -> None:
    code = f"""
import threading
from detector.clock import SystemClock
from detector.config import Camera
from detector.sources.live import LiveSource
source = LiveSource(Camera(name="dock", source="{camera.url}"), fps=5, clock=SystemClock(), stop=threading.Event())
for frame in source:
    print(source._reader.pid, flush=True)
"""
    worker = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=REPOSITORY)
    assert worker.stdout is not None
    pid = int(worker.stdout.readline())
    assert not is_gone(pid)
    maps = Path(f"/proc/{worker.pid}/maps").read_text()
    assert "/memfd:pictures (deleted)" in maps
    assert "/dev/shm" not in maps, "what has a name there would stay behind"
    worker.kill()
    worker.communicate()
    assert soon(lambda: is_gone(pid))


def test_the_password_goes_by_the_line_alone(rtsp_server: Servers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCK_PASSWORD", SECRET)
    server = rtsp_server(("guard", SECRET))
    watcher = Watcher(Camera(name="dock", source=server.url, username="guard", password_env="DOCK_PASSWORD"), PROMPT)
    assert watcher.sees_more(1)
    process = Path(f"/proc/{pid_of(watcher)}")
    try:
        told = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
    except PermissionError:  # as another than root: nobody of this user may look into it
        told = (process / "cmdline").read_bytes()
    assert b"127.0.0.1" not in told
    assert b"PASSWORD" not in told
    assert SECRET.encode() not in told
    watcher.end()


def test_a_reader_has_limits(watched: Watcher) -> None:
    lines = Path(f"/proc/{pid_of(watched)}/limits").read_text().splitlines()
    limits = {line[:26].strip(): line[26:].split()[:2] for line in lines}
    assert limits["Max data size"] == [str(512 << 20)] * 2
    assert limits["Max core file size"] == limits["Max file size"] == limits["Max processes"] == ["0", "0"]
    assert limits["Max open files"] == ["32", "32"]


ATTEMPTS = """
import os, resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (20, 20))  # stricter than its own: that stays
from detector.sources.confined import READER, confine
shut = confine({**READER, resource.RLIMIT_DATA: 100 << 20})
def tried(what):
    try:
        what()
    except BaseException as error:
        return type(error).__name__
    return "done"
def writes():
    with open(sys.argv[1], "w") as file:
        file.write("x")
print(shut, tried(lambda: bytearray(200 << 20)), tried(writes), tried(lambda: open(sys.argv[2])),
      tried(lambda: os.execv("/bin/true", ["true"])), tried(lambda: open("/etc/hosts")),
      resource.getrlimit(resource.RLIMIT_NOFILE)[1])
"""


def test_what_a_taken_over_reader_tries_comes_to_nothing(tmp_path: Path) -> None:
    secret = tmp_path / "hub.key"
    secret.write_text("key")
    done = subprocess.run(
        [sys.executable, "-c", ATTEMPTS, str(tmp_path / "new"), str(secret)],
        capture_output=True, text=True, cwd=REPOSITORY, check=True,
    )  # fmt: skip
    shut, memory, writing, reading, running, hosts, files = done.stdout.split()
    assert files == "20"
    assert memory == "MemoryError"
    assert not (tmp_path / "new").exists() or not (tmp_path / "new").read_text()
    if shut == "True":  # a kernel with Landlock
        assert (writing, reading, running, hosts) == ("PermissionError", "PermissionError", "PermissionError", "done")
    else:
        assert writing == "OSError"


# What a reader may say


def laid(**more: object) -> Laid:
    usual = {"at": 1.0, "number": 0, "slot": 0, "width": 64, "height": 48, "line_sizes": (64, 32, 32, 0)}
    return Laid(**{**usual, "colours": (2, 0, 2, 2), "form": "yuv420p", **more})  # type: ignore[arg-type]


MESSAGES = [
    Connect("rtsp://u:p%40@10.0.0.9:554/仓库", "rtsp://10.0.0.9", 5.0, True, 10.0, 5.0, 20.0),
    Free(2),
    Decode(10.0),
    Format("h264", 1280, 720),
    Stepped(1.25, 0.04, True, 1, 0, 3, b"\0\1" * 900_000),
    laid(),
    Ended("no_picture", "no picture\tat all"),
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda one: type(one).__name__)
def test_what_is_said_is_heard(message: Connect) -> None:
    with speaking(TO_READER | TO_WORKER) as (end, channel):
        threading.Thread(target=Channel(end, {}).send, args=[message]).start()
        heard = channel.receive(LONG_S)
    expected = message if not isinstance(message, Ended) else Ended("no_picture", "no picture at all")
    assert heard == expected


class speaking:  # noqa: N801 - reads as a verb
    """A socket, and a channel that hears what is written to it."""

    def __init__(self, kinds: dict) -> None:
        self.end, self.ours = socket.socketpair()
        self.channel = Channel(self.ours, kinds)

    def __enter__(self) -> tuple[socket.socket, Channel]:
        return self.end, self.channel

    def __exit__(self, *_: object) -> None:
        self.end.close()
        self.ours.close()


def heard_of(data: bytes) -> object:
    """What a worker makes of bytes, up to the first message, or its refusal."""
    with speaking(TO_WORKER) as (end, channel):
        end.sendall(data)
        end.shutdown(socket.SHUT_WR)
        try:
            return channel.receive(LONG_S)
        except (Garbled, EOFError) as error:
            return error


@given(st.binary(max_size=300))
def test_noise_is_refused_or_understood_and_nothing_else(data: bytes) -> None:
    heard_of(data)


@given(st.sampled_from(sorted(TO_WORKER)), st.binary(max_size=300))
def test_noise_in_a_frame_is_refused_or_understood(kind: int, data: bytes) -> None:
    assert not isinstance(heard_of(bytes((kind,)) + len(data).to_bytes(4, "big") + data), EOFError)


@pytest.mark.parametrize(
    "data",
    [b"\x04\xff\xff\xff\xff", b"\x06" + (1 << 20).to_bytes(4, "big"), b"\x01\0\0\0\1x", b"\x63\0\0\0\0"],
    ids=["a packet of 4 GB", "a long excuse", "an order to the worker", "an unknown kind"],
)
def test_what_is_too_large_or_unknown_is_refused_by_its_head(data: bytes) -> None:
    assert isinstance(heard_of(data), Garbled)


@pytest.mark.parametrize(
    "more",
    [
        {"slot": SLOTS}, {"slot": 255}, {"width": 0}, {"width": 2**32 - 1, "height": 2**32 - 1}, {"height": 2**31},
        {"form": "no such"}, {"form": "vaapi"}, {"line_sizes": (0, 0, 0, 0)}, {"line_sizes": (1, 0, 0, 0)},
        {"line_sizes": (2**32 - 1, 2**31 - 1, 2**31 - 1, 0)}, {"line_sizes": (SLOT_BYTES, 2, 2, 0)},
        {"form": "nv12", "line_sizes": (64, 0, 0, 0)}, {"width": 8192, "height": 8192},
    ],
    ids=str,
)  # fmt: skip
def test_pictures_that_can_not_be_are_refused(more: dict[str, object]) -> None:
    memory = make_memory()
    try:
        with pytest.raises(Garbled):
            Viewer(memory).image(laid(**more))
    finally:
        os.close(memory)


def test_false_words_end_the_reader_and_not_the_camera(watched: Watcher, monkeypatch: pytest.MonkeyPatch) -> None:
    before, restarts = pid_of(watched), watched.source.stats.restarts
    monkeypatch.setattr(Viewer, "image", refuse)
    assert soon(lambda: watched.source.stats.restarts > restarts)
    assert "nonsense" in (watched.source.stats.last_error or "")
    assert is_gone(before)
    monkeypatch.undo()
    assert watched.sees_more(1)


@pytest.mark.parametrize(("size", "count"), [(0, 5001), (LARGEST_PACKET, 9)])
def test_a_flood_is_refused_and_a_camera_that_catches_up_is_not(size: int, count: int) -> None:
    flood = live._Flood()
    with pytest.raises(Garbled, match="in a second"):
        for n in range(count):
            flood.add(size, 1.0 + n / 10_000)
    for n in range(5 * 60 * 5):
        flood.add(400_000, 10 + n / 300)


def refuse(*_: object) -> None:
    raise Garbled("a picture that can't be")


@pytest.mark.parametrize(
    ("form", "size"),
    [
        ("yuv420p", (320, 240)), ("yuv420p", (322, 242)), ("yuvj420p", (1280, 720)), ("yuv422p10le", (320, 240)),
        ("nv12", (320, 240)), ("gray", (333, 111)), ("yuv444p", (1, 1)), ("yuv420p10le", (128, 96)),
    ],
)  # fmt: skip
def test_a_picture_comes_through_as_it_was_decoded(form: str, size: tuple[int, int]) -> None:
    noise = np.random.default_rng(1).integers(0, 255, (size[1], size[0], 3), np.uint8)
    picture = av.VideoFrame.from_ndarray(noise, "bgr24").reformat(format=form)
    picture.colorspace, picture.color_range = 1, 2
    memory = make_memory()
    writer, viewer = Writer(memory), Viewer(memory)
    os.close(memory)
    for _ in range(SLOTS):
        said = writer.lay(picture, 1.0, 0)
        assert said is not None
        assert np.array_equal(viewer.image(said).bgr(), picture_of(picture).bgr())
    assert writer.lay(picture, 1.0, 0) is None, "no slot is free"
    writer.free(1)
    assert writer.lay(picture, 1.0, 0) is not None


def test_nobody_can_shrink_what_the_worker_looks_at() -> None:
    memory = make_memory()
    for size in (0, 2 * MEMORY_BYTES):
        with pytest.raises(PermissionError):
            os.ftruncate(memory, size)
    os.close(memory)


def test_a_worker_that_is_busy_costs_pictures_and_never_the_reader(camera: HostileCamera) -> None:
    """Every slot may be taken: then pictures are dropped and counted, and packets still come."""
    stop, packets = threading.Event(), []
    source = LiveSource(
        Camera(name="dock", source=camera.url), fps=10, clock=SystemClock(), stop=stop, patience=PROMPT,
        on_packet=lambda packet, _: packets.append(packet),
    )  # fmt: skip
    frames = iter(source)
    next(frames)
    assert soon(lambda: source.stats.dropped >= 5)
    assert len(packets) > 5
    assert next(frames) is not None
    assert (source.stats.state, source.stats.restarts) == ("online", 0)
    stop.set()
    source.close()


def test_the_size_of_pictures_may_change_in_mid_stream() -> None:
    def changing(talk: object) -> None:
        talk.play()  # type: ignore[attr-defined]
        n = 0
        while not talk.over:  # type: ignore[attr-defined]
            units = real_units(*((320, 240) if n // 10 % 2 == 0 else (192, 144)))
            talk.picture(units[n % 10], n * 9000)  # type: ignore[attr-defined]
            n += 1
            time.sleep(0.05)

    formats: list[object] = []
    with HostileCamera(changing) as camera:
        source = Camera(name="dock", source=camera.url)
        watcher = Watcher(source, PROMPT, on_packet=lambda _, form: formats.append(form))
        assert soon(lambda: {frame.size for frame in watcher.frames} == {(320, 240), (192, 144)})
        watcher.end()
    assert {(form.width, form.height) for form in formats} == {(320, 240), (192, 144)}  # type: ignore[attr-defined]
    assert watcher.source.stats.reconnects == 0


FORKS = """
import os
from detector.sources.confined import READER, confine
if os.getuid() == 0:  # whom the limit doesn't bind
    os.setgid(65534)
    os.setuid(65534)
confine(READER)
try:
    os.fork() or os._exit(0)
    print("forked")
except OSError as error:
    print(type(error).__name__)
"""


def test_a_reader_starts_no_process() -> None:
    done = subprocess.run([sys.executable, "-c", FORKS], capture_output=True, text=True, cwd=REPOSITORY, check=False)
    assert done.stdout == "BlockingIOError\n", done.stderr
