"""Cameras that mean harm, all at once beside one that doesn't: the worker lives, says what is so, and goes on."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from detector.clock import SystemClock
from detector.config import Camera
from detector.sources.confined import landlock_version
from detector.sources.live import LiveSource, Patience
from tests.parts_hostile_rtsp import WICKED, Behaviour, HostileCamera, honest, redirect
from tests.sources.conftest import free_port

HASTY = Patience(
    open_s=3.0, read_s=1.0, frame_s=2.0, retry_first_s=0.5, retry_longest_s=2.0, refused_s=5.0, steady_s=5.0
)
LONG_S = 90.0  # the machine that runs this may be busy
MIB = 2**20
READER_BYTES = 540 * MIB  # 512 that it may have, and a stack; pictures lie in memory that it shares with the worker
WORKER_BYTES = 700 * MIB  # of which most is memory shared with readers, for pictures of 12 megapixels

# What may truly be said of each: that it is seen, or why it isn't.
SEEN = "seen"
TRUE = {
    "endless_header_line": {"no_answer"},
    "endless_headers": {"no_answer"},
    "trickle": {"no_answer"},
    "huge_content_length": {"no_video", "memory", "no_answer"},
    "huge_description": {SEEN},
    "thousand_media": {SEEN},
    "absurd_size": {"no_picture", "no_video", "too_large"},
    "giant_size": {"too_large", "no_picture"},
    "growing_size": {SEEN},
    "size_bomb_later": {"no_picture", "too_large", "memory"},
    "wrong_lengths": {"no_answer", "no_picture", "no_video", "broke_off"},
    "jumping": {SEEN},
    "garbage": {"no_answer", "no_picture", "no_video", "broke_off"},
    "half_a_frame": {"broke_off"},
    "reset": {"broke_off"},
    "no_key_frames": {"no_picture", "no_video"},
    "tiny_units": {"memory", "no_picture", "no_video", "hung"},
    "nothing": {"no_answer"},
    "nothing_after_play": {"no_answer", "no_picture"},
    "closes": {"no_video", "unreachable", "broke_off"},
    "challenges": {"refused"},
    "redirect_to_itself": {"no_answer", "no_video", "unreachable"},
    "redirect_to_a_file": {"no_video", "unreachable"},
}


@dataclass
class Watched:
    """A camera, what reads it, and what came of that."""

    camera: HostileCamera
    source: LiveSource
    thread: threading.Thread
    said: set[str] = field(default_factory=set)
    closed_s: float = 0.0


@dataclass
class Evening:
    """All of them, and how large worker and readers became."""

    watched: dict[str, Watched]
    worker_grew: int = 0
    largest_reader: int = 0
    honest_frames_late: int = 0


def resident(process: str) -> int:
    return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def readers() -> list[str]:
    """Reader processes of this one; what is just being started still has this process's own memory, and no name."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            mine = int(stat.read_text().rpartition(")")[2].split()[1]) == os.getpid()
            if mine and b"detector.sources.reading" in (stat.parent / "cmdline").read_bytes():
                found.append(stat.parent.name)
        except OSError:
            continue  # it has ended meanwhile
    return found


def private(process: str) -> int:
    """Bytes of memory that are a process's own: neither files nor shared with another."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next((int(line.split()[1]) << 10 for line in lines if line.startswith("RssAnon:")), 0)


def largest_reader_now() -> int:
    sizes = [0]
    for process in readers():
        try:
            sizes.append(private(process))
        except OSError:
            continue
    return max(sizes)


def watch(
    name: str, behaviour: Behaviour, stop: threading.Event, cameras: ExitStack, patience: Patience = HASTY
) -> Watched:
    camera = cameras.enter_context(HostileCamera(behaviour))
    source = LiveSource(
        Camera(name=name, source=camera.url, username="wang"),
        fps=5, clock=SystemClock(), stop=stop, on_packet=lambda packet, form: None, patience=patience,
    )  # fmt: skip
    thread = threading.Thread(target=lambda: [None for _ in source], daemon=True)
    thread.start()
    return Watched(camera, source, thread)


def look(watched: Watched) -> None:
    stats = watched.source.stats
    if stats.trouble is not None:
        watched.said.add(stats.trouble)
    if stats.frames_in > 3:
        watched.said.add(SEEN)


@pytest.fixture(scope="module")
def evening() -> Iterator[Evening]:
    """Everything wicked for some seconds, beside an honest camera."""
    stop = threading.Event()
    before = resident("self")
    with ExitStack() as cameras:
        found = {name: watch(name, behaviour, stop, cameras) for name, behaviour in WICKED.items()}
        # With a worker's own patience: a busy machine may let an honest camera wait for longer than a hasty second.
        found["honest"] = watch("honest", honest, stop, cameras, Patience())
        told = Evening(found)
        until = time.monotonic() + LONG_S
        while time.monotonic() < until:
            for each in found.values():
                look(each)
            told.worker_grew = max(told.worker_grew, resident("self") - before)
            told.largest_reader = max(told.largest_reader, largest_reader_now())
            if SEEN in found["honest"].said and all(found[name].said & true for name, true in TRUE.items()):
                break
            time.sleep(0.1)
        late = found["honest"].source.stats.frames_in
        until = time.monotonic() + LONG_S
        while found["honest"].source.stats.frames_in < late + 5 and time.monotonic() < until:
            time.sleep(0.05)
        told.honest_frames_late = found["honest"].source.stats.frames_in - late
        closing = [threading.Thread(target=close, args=(each,)) for each in found.values()]
        for thread in closing:
            thread.start()
        for thread in closing:
            thread.join(LONG_S)
        stop.set()
        for each in found.values():
            each.thread.join(LONG_S)
        yield told


def close(watched: Watched) -> None:
    began = time.monotonic()
    watched.source.close()
    watched.closed_s = time.monotonic() - began


def test_every_wicked_camera_is_judged() -> None:
    assert TRUE.keys() == WICKED.keys()


@pytest.mark.parametrize("name", WICKED)
def test_what_is_said_of_it_is_so(name: str, evening: Evening) -> None:
    watched = evening.watched[name]
    assert watched.camera.connections > 0
    assert watched.said & TRUE[name], watched.source.stats
    if TRUE[name] == {SEEN}:
        return
    if name not in ("size_bomb_later", "half_a_frame", "reset"):  # these send good pictures first
        assert SEEN not in watched.said
    assert watched.source.stats.last_error
    assert "wang" not in watched.source.stats.last_error


def test_the_honest_camera_is_seen_to_the_end(evening: Evening) -> None:
    assert evening.honest_frames_late >= 5
    assert evening.watched["honest"].source.stats.reconnects == 0


def test_memory_stays_bounded(evening: Evening) -> None:
    assert evening.largest_reader < READER_BYTES
    assert evening.worker_grew < WORKER_BYTES


def test_all_of_them_can_be_closed(evening: Evening) -> None:
    slow = {name: each.closed_s for name, each in evening.watched.items() if each.closed_s > 20.0}
    assert not slow
    assert not [name for name, each in evening.watched.items() if each.thread.is_alive()]


@pytest.mark.parametrize("scheme", ["rtsp", "rtsps", "http", "file"])
def test_a_camera_leads_its_reader_to_no_other_service(scheme: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other, ExitStack() as cameras:
        other.setblocking(False)
        stop = threading.Event()
        target = f"{scheme}://127.0.0.1:{other.getsockname()[1]}/secret"
        watched = watch("dock", redirect(target), stop, cameras)
        until = time.monotonic() + LONG_S
        while watched.source.stats.last_error is None and time.monotonic() < until:
            time.sleep(0.05)
        stop.set()
        watched.source.close()
        watched.thread.join(LONG_S)
        assert watched.source.stats.last_error
        assert watched.camera.connections
        if landlock_version() < 4:
            pytest.skip("this kernel has no Landlock for TCP")
        with pytest.raises(BlockingIOError):
            other.accept()


def test_nothing_listens_there() -> None:
    """What the tests above are compared with."""
    stop = threading.Event()
    source = LiveSource(
        Camera(name="dock", source=f"rtsp://127.0.0.1:{free_port()}/cam"), fps=5, clock=SystemClock(), stop=stop,
        patience=HASTY,
    )  # fmt: skip
    thread = threading.Thread(target=lambda: [None for _ in source], daemon=True)
    thread.start()
    until = time.monotonic() + LONG_S
    while source.stats.trouble != "unreachable" and time.monotonic() < until:
        time.sleep(0.05)
    assert source.stats.trouble == "unreachable"
    stop.set()
    source.close()
    thread.join(LONG_S)
