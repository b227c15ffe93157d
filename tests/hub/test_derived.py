"""Copies of clips: who gets which, what becomes of clips that can't be read, and nothing half-made is ever served."""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from fastapi.routing import iter_route_contexts

from detector.alerts.cutting import cut_recording
from detector.hub.footage import copying, derived, opened
from detector.hub.footage.derived import AGAIN_S, KEPT_S, MOST_TRIES, Copies, Kind
from detector.hub.storage.rights import Role
from detector.hub.storage.store import Store
from detector.hub.storage.stored import Clip
from tests.builders import SteppedClock
from tests.conftest import REPOSITORY
from tests.hub.conftest import NOON, make_side
from tests.hub.test_browser import Scene, browser, scene, until  # noqa: F401  (fixtures)
from tests.sources import footage

SWEEP = REPOSITORY / "configs" / "demo" / "sweep_near.mp4"


def make_video(
    path: Path, codec: str = "libx264", size: tuple[int, int] = (320, 180), times: Any = range(10),
    pixels: str = "yuv420p", audio: bool = False,
) -> bytes:  # fmt: skip
    """A clip of ten pictures a second with a bar that moves; `times` are in tenths of a second."""
    options = {"preset": "ultrafast", **({"x265-params": "log-level=error"} if codec == "libx265" else {})}
    with av.open(str(path), "w", format="mp4", options={"movflags": "faststart"}) as container:
        stream = container.add_stream(codec, rate=10, options=options)
        stream.width, stream.height, stream.pix_fmt = *size, pixels
        stream.codec_context.time_base = Fraction(1, 1000)
        sound = container.add_stream("aac", rate=8000) if audio else None
        for n in times:
            image = np.full((size[1], size[0], 3), 60, np.uint8)
            image[:, round(8 * n) % size[0] :][:, : size[0] // 8] = 220
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = round(100 * n), Fraction(1, 1000)
            for packet in stream.encode(frame):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
        if sound:
            silence = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            silence.sample_rate = 8000
            for packet in [*sound.encode(silence), *sound.encode()]:
                container.mux(packet)
    return path.read_bytes()


class Bench:
    """Clips on record in a folder, and what makes copies of them, run by hand."""

    def __init__(self, folder: Path, store: Store, **settings: Any) -> None:
        self.clock = SteppedClock(NOON + 60)
        self.store = store
        self.folder = folder / "clips"
        self.copies = Copies(self.folder, store, self.clock, "Asia/Shanghai", **settings)

    def add(self, content: bytes, *, segment: int = 0, length_s: float = 1.0, stored_at: float | None = None) -> Clip:
        """Put a clip on record as an upload does."""
        name = hashlib.sha256(content + bytes([segment])).hexdigest()
        path = self.folder / name[:2] / f"{name}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        clip = Clip(
            "inc-1", segment, "shanghai", "box1", "cam3", NOON, length_s, len(content),
            hashlib.sha256(content).hexdigest(), f"{name[:2]}/{name}.mp4",
            NOON - 2 * 86400 if stored_at is None else stored_at,
        )  # fmt: skip
        self.store.add_clip(clip)
        return clip

    @property
    def files(self) -> list[str]:
        """All that lies in the folder beside originals."""
        found = (path.name for path in self.folder.rglob("*") if path.is_file())
        return sorted(name for name in found if name.count(".") > 1 or not name.endswith(".mp4"))

    def made(self, clip: Clip, kind: Kind = Kind.SHARED) -> Any:
        """Have a copy made, however often it takes."""
        self.copies.ask(clip, kind)
        while self.copies.step():
            pass
        return self.copies.ask(clip, kind)


@pytest.fixture
def bench(tmp_path: Path, sqlite_store: Store) -> Bench:
    """A bench with nothing on it."""
    return Bench(tmp_path, sqlite_store)


@pytest.fixture
def desk(site: Any, tmp_path: Path) -> Bench:
    """The bench of a hub whose pages are asked; its copies are made by hand, as by the hub's own thread."""
    bench = Bench(tmp_path, site.store)
    bench.clock = bench.copies._clock = site.clock
    return bench


def seen(path: Path) -> tuple[str, int, int, list[float], int]:
    """Codec, size and times of the pictures of a video, and how many audio streams it has."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        times = [frame.time or 0.0 for frame in container.decode(stream)]
        return stream.codec_context.name, stream.width, stream.height, times, len(container.streams.audio)


# What clips may be


@pytest.mark.parametrize(
    ("what", "size", "times"),
    [
        ({}, (320, 180), range(10)),
        ({"codec": "libx265"}, (320, 180), range(10)),
        ({"codec": "libx265", "pixels": "yuv420p10le"}, (320, 180), range(4)),
        ({"codec": "libx264", "pixels": "yuv444p"}, (161, 91), range(4)),
        ({"codec": "mpeg4", "audio": True}, (320, 180), range(4)),
        ({}, (320, 180), [0, 0.4, 0.5, 3, 3.3, 9]),
        ({}, (320, 180), [0]),
        ({}, (3840, 2160), range(2)),
    ],
)
def test_a_copy_plays_in_a_browser_and_is_as_long_as_its_clip(
    tmp_path: Path, what: dict[str, Any], size: tuple[int, int], times: Any
) -> None:
    path = tmp_path / "it.mp4"
    content = make_video(path, size=size, times=times, **what)
    video = opened.probe(str(path))
    assert (video["plays"], video["width"], video["height"]) == (what == {}, *size)
    copy, remarks = copied(path, length_s=max(times) / 10 + 0.1)
    codec, width, height, found, audio = seen(copy)
    assert (codec, width, height, audio) == ("h264", size[0] + size[0] % 2, size[1] + size[1] % 2, 0)
    assert found == pytest.approx([t / 10 for t in times], abs=0.002)
    assert remarks == [] and path.read_bytes() == content


def copied(path: Path, faces: Any = None, length_s: float = 1.0) -> tuple[Path, list[str]]:
    """A copy made within this process, and the remarks on it."""
    out = path.with_name("out.mp4")
    job = copying.Job(str(path), str(out), faces, None, NOON, "Asia/Shanghai", length_s, 60, 10**8)
    return out, copying.make(job)


def test_a_shared_copy_is_no_larger_than_it_need_be(tmp_path: Path) -> None:
    make_video(tmp_path / "it.mp4", size=(2560, 1440), times=range(2))
    copy, remarks = copied(tmp_path / "it.mp4", "others")
    assert seen(copy)[1:3] == (1920, 1080) and remarks == ["no_side"]


@pytest.mark.parametrize("faces", [None, "others"])
def test_a_clip_whose_pictures_change_size_has_a_copy_in_the_size_of_its_first(tmp_path: Path, faces: Any) -> None:
    parts = [footage.make_video(tmp_path / f"{w}.ts", seconds=2, size=(w, w * 3 // 4)) for w in (320, 640)]
    (tmp_path / "a.ts").write_bytes(b"".join(part.read_bytes() for part in parts))
    cut_recording(tmp_path / "a.ts", 0.0, 4.0, tmp_path / "it.mp4")
    copy, _ = copied(tmp_path / "it.mp4", faces, length_s=4.0)
    _, width, height, times, _ = seen(copy)
    assert (width, height) == (320, 240) and len(times) >= 98  # where files are joined, one may be lost
    with av.open(str(copy)) as container:
        images = [frame.to_ndarray(format="bgr24")[:200] for frame in container.decode(video=0)]
    numbers = [footage.number_of(image) for image in images]
    assert numbers[:48] == [n % 12 for n in range(48)] and numbers[-49:] == [n % 12 for n in range(1, 50)]


def test_a_copy_lies_beside_its_clip_under_its_hash(bench: Bench, tmp_path: Path) -> None:
    content = make_video(tmp_path / "it.mp4", "libx265")
    clip = bench.add(content)
    video = bench.copies.format_of(clip)
    assert (video.codec, video.width, video.height, video.plays) == ("hevc", 320, 180, False)
    copy = bench.made(clip, Kind.PREVIEW)
    path = bench.copies.path(copy)
    assert path is not None and path.parent == (bench.folder / clip.file).parent
    assert path.name == f"{copy.name}.copy.mp4" and bench.files == [path.name]
    assert copy.sha256 == hashlib.sha256(path.read_bytes()).hexdigest() and copy.size == path.stat().st_size
    assert (bench.folder / clip.file).read_bytes() == content


def turned(content: bytes, quarters: int) -> bytes:
    """The clip with another way up in its header, as a camera that hangs on its side writes it."""
    matrix = {0: (1, 0, 0, 1), 1: (0, 1, -1, 0), 2: (-1, 0, 0, -1), 3: (0, -1, 1, 0)}[quarters]
    a, b, c, d = (struct.pack(">i", v << 16) for v in matrix)
    at = content.index(b"tkhd") + 4 + 40  # past version, times, track, duration and the like
    return content[:at] + a + b + bytes(4) + c + d + bytes(12) + struct.pack(">I", 1 << 30) + content[at + 36 :]


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_a_turned_clip_is_upright_in_its_copy(tmp_path: Path, quarters: int) -> None:
    content = turned(make_video(tmp_path / "it.mp4", times=[0, 1]), quarters)
    (tmp_path / "it.mp4").write_bytes(content)
    copy, _ = copied(tmp_path / "it.mp4")
    with av.open(str(copy)) as container:
        image = next(container.decode(video=0)).to_ndarray(format="gray").astype(int)
    # The bar stands at the left of the picture as it was taken: the top when it is turned clockwise by a quarter.
    sides = {"left": image[:, :20], "right": image[:, -20:], "top": image[:20], "bottom": image[-20:]}
    assert max(sides, key=lambda side: sides[side].mean()) == {1: "top", 2: "right", 3: "bottom"}[quarters]


def cut(content: bytes) -> bytes:
    """The clip with its second half lost."""
    return content[: len(content) // 2]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda content: content[:32],
        lambda content: content[:40] + bytes(len(content) - 40),
        lambda content: content[:32] + os.urandom(5000),
        lambda _: b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n",
        lambda _: b"",
    ],
)
def test_what_is_no_clip_is_refused(tmp_path: Path, spoil: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "it.mp4"
    path.write_bytes(spoil(make_video(path)))
    for attempt in (lambda: opened.probe(str(path)), lambda: copied(path), lambda: copied(path, "all")):
        with pytest.raises((opened.Refused, OSError, av.FFmpegError)):
            attempt()


def test_what_cannot_be_read_is_said_to_be_so(bench: Bench, tmp_path: Path) -> None:
    clip = bench.add(make_video(tmp_path / "it.mp4")[:32] + os.urandom(5000))
    assert bench.copies.format_of(clip).reason == "unreadable"
    for kind in (Kind.PREVIEW, Kind.SHARED):
        copy = bench.made(clip, kind)
        assert (copy.state, copy.reason, copy.file) == ("failed", "unreadable", None)
    assert bench.files == []


def test_who_plays_a_clip_waits_for_no_other_that_is_being_looked_at(bench: Bench, tmp_path: Path) -> None:
    known, other = (bench.add(make_video(tmp_path / "it.mp4", times=[0]), segment=n) for n in range(2))
    video = bench.copies.format_of(known)
    look, played = bench.copies._probed, []

    def looks_long(clip: Clip) -> Any:
        player = threading.Thread(target=lambda: played.append(bench.copies.format_of(known)), daemon=True)
        player.start()
        player.join(20)
        assert played == [video]
        return look(clip)

    bench.copies._probed = looks_long  # type: ignore[method-assign]
    assert bench.copies.format_of(other) == video


def test_a_clip_without_a_picture_is_unreadable(tmp_path: Path) -> None:
    path = tmp_path / "it.mp4"
    with av.open(str(path), "w", format="mp4") as container:
        sound = container.add_stream("aac", rate=8000)
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        silence.sample_rate = 8000
        for packet in [*sound.encode(silence), *sound.encode()]:
            container.mux(packet)
    with pytest.raises(opened.Refused, match="unreadable"):
        copied(path)


def test_a_clip_that_breaks_off_says_that_its_copy_is_short(tmp_path: Path) -> None:
    path = tmp_path / "it.mp4"
    path.write_bytes(cut(make_video(path, times=range(60))))
    assert "cut_short" in copied(path, "others", 6.0)[1]


# What may happen meanwhile


def test_a_program_that_is_killed_is_tried_once_more_and_nothing_half_made_is_served(desk: Bench, site: Any) -> None:
    clip = desk.add(SWEEP.read_bytes(), length_s=20.0)
    assert site.client.get("/clips/inc-1/0/shared").status_code == 202
    for tried in range(1, MOST_TRIES + 1):
        worker = threading.Thread(target=desk.copies.step)
        worker.start()
        deadline = time.monotonic() + 20
        while not any(name.endswith(".unfinished") for name in desk.files):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        (program,) = desk.copies._program.running
        os.kill(program.pid, signal.SIGKILL)
        worker.join()
        answer = site.client.get("/clips/inc-1/0/shared")
        assert answer.status_code == (202 if tried < MOST_TRIES else 410), answer.text
        assert answer.headers["content-type"] == "application/json" and desk.files == []
    assert answer.json()["reason"] == "broke_off"
    assert not desk.copies.step()
    site.clock.at += AGAIN_S + 1
    assert site.client.get("/clips/inc-1/0/shared").status_code == 202
    assert desk.made(clip).state == "ready"


def test_a_hub_that_dies_goes_on_where_it_was_but_not_for_ever(bench: Bench, tmp_path: Path) -> None:
    clip = bench.add(make_video(tmp_path / "it.mp4"))
    copy = bench.copies.ask(clip, Kind.SHARED)
    half = bench.folder / clip.file[:2] / f"{copy.name}.unfinished"
    half.write_bytes(b"half")
    half.with_name("f" * 64 + ".copy.mp4").write_bytes(b"on no record")
    again = Copies(bench.folder, bench.store, bench.clock, "Asia/Shanghai")
    again.sweep()
    assert bench.files == [] and again.step() and again.ask(clip, Kind.SHARED).state == "ready"
    other = bench.add(make_video(tmp_path / "it.mp4", times=range(5)), segment=1)
    bench.copies._keep(bench.copies.ask(other, Kind.SHARED))
    bench.copies._change(bench.copies.ask(other, Kind.SHARED), tries=MOST_TRIES)  # it died of it twice
    assert bench.made(other).reason == "broke_off"


def test_a_full_disk_fails_clearly_and_is_tried_again_later(tmp_path: Path, sqlite_store: Store) -> None:
    bench = Bench(tmp_path, sqlite_store, reserve_bytes=2**60)
    clip = bench.add(make_video(tmp_path / "it.mp4"))
    assert bench.made(clip).reason == "no_room"
    bench.copies._reserve_bytes = 0
    assert bench.made(clip).reason == "no_room"
    bench.clock.at += AGAIN_S + 1
    assert bench.made(clip).state == "ready"


def test_a_write_that_finds_no_room_is_no_copy(tmp_path: Path) -> None:
    job = {
        "source": str(SWEEP), "out": str(tmp_path / "out"), "faces": None, "side": None, "started_at": NOON,
        "zone": "UTC", "length_s": 20.0, "cpu_s": 60, "largest_bytes": 100_000,
    }  # fmt: skip
    command = [sys.executable, "-m", "detector.hub.footage.transcode", "make", json.dumps(job)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as program:
        said = [json.loads(line) for line in program.stdout or ()]
        assert program.wait() == 1 and said[-1]["reason"] == "no_room"


def test_a_clip_whose_file_is_gone_says_so(desk: Bench, site: Any, tmp_path: Path) -> None:
    clip = desk.add(make_video(tmp_path / "it.mp4"))
    (desk.folder / clip.file).unlink()
    assert site.client.get("/clips/inc-1/0/play").json()["reason"] == "gone"
    site.client.get("/clips/inc-1/0/shared")
    desk.copies.step()
    answer = site.client.get("/clips/inc-1/0/shared", headers={"Accept": "text/html"})
    assert answer.status_code == 410 and "不在这台服务器上" in answer.text


def test_a_program_outlives_neither_its_time_nor_its_hub(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = bench.add(SWEEP.read_bytes(), length_s=20.0)
    said = bench.copies._program.run("probe", str(bench.folder / clip.file), limit_s=0.05)
    assert said["reason"] == "too_long"
    waits = (
        "import detector.hub.footage.transcode as t, threading, time;"
        "threading.Thread(target=t._end_with_parent, daemon=True).start(); print(flush=True); time.sleep(60)"
    )
    program = subprocess.Popen([sys.executable, "-c", waits], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert program.stdout and program.stdout.readline() and program.stdin
    program.stdin.close()  # as when the hub is killed
    assert program.wait(60) == 3


def test_a_clip_that_could_not_be_looked_at_in_time_is_looked_at_again_later(
    desk: Bench, site: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.add(make_video(tmp_path / "it.mp4"))
    with monkeypatch.context() as busy:
        busy.setattr(derived, "PROBE_S", 0.0)  # as where the machine has no time for it
        assert site.client.get("/clips/inc-1/0/play").json()["reason"] == "too_long"
    assert site.client.get("/clips/inc-1/0/play").json()["reason"] == "too_long"
    site.clock.at += AGAIN_S + 1
    assert site.client.get("/clips/inc-1/0/play").status_code == 307


def test_the_hub_does_not_believe_what_a_hijacked_program_says(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = bench.add(make_video(tmp_path / "it.mp4"))
    fake = tmp_path / "python"
    monkeypatch.setattr(sys, "executable", str(fake))
    for words, status in [
        ('{"reason": "<script>"}', 1), ('{"remarks": "none"}', 0), ("[" * 100_000, 0), ('{"remarks": []}', 1), ("", 0),
    ]:  # fmt: skip
        fake.write_text(f"#!/bin/sh\nprintf '%s\\n' '{words}'\nexit {status}\n")
        fake.chmod(0o755)
        assert bench.copies.format_of(clip).reason == "broke_off"
        with bench.store.database.writing() as connection:
            connection.exec_driver_sql("DELETE FROM clip_formats")
    fake.write_text("#!/bin/sh\necho '{\"remarks\": []}'\n")  # says that it made a copy and made none
    with pytest.raises(OSError):
        bench.made(clip)
    assert bench.copies.ask(clip, Kind.SHARED).state == "waiting"


def test_what_is_asked_for_comes_before_what_is_made_ahead(bench: Bench, tmp_path: Path) -> None:
    ahead = bench.add(SWEEP.read_bytes(), length_s=20.0)
    asked = bench.add(make_video(tmp_path / "it.mp4"), segment=1)
    bench.copies._keep(bench.copies._find(ahead, Kind.SHARED))
    worker = threading.Thread(target=bench.copies.step)
    worker.start()
    while not any(name.endswith(".unfinished") for name in bench.files):
        time.sleep(0.01)
    bench.copies.ask(asked, Kind.SHARED)
    worker.join()
    assert bench.copies.step()
    states = {kind: bench.copies._row(clip, Kind.SHARED).state for kind, clip in (("ahead", ahead), ("asked", asked))}
    assert states == {"ahead": "waiting", "asked": "ready"}
    assert bench.copies._row(ahead, Kind.SHARED).tries == 0  # it was not its fault


# What is made ahead, made anew, and deleted


def test_copies_are_made_ahead_for_who_needs_them(tmp_path: Path, site: Any) -> None:
    bench = Bench(tmp_path, site.store)
    plain = bench.add(make_video(tmp_path / "a.mp4", times=range(3)), stored_at=NOON)
    hevc = bench.add(make_video(tmp_path / "b.mp4", "libx265", times=range(3)), segment=1, stored_at=NOON)
    bench.add(make_video(tmp_path / "c.mp4", "libx265", times=range(3)), segment=2)

    def made() -> set[tuple[int, str]]:
        while bench.copies.step():
            pass
        return {(copy.segment, copy.kind) for copy in bench.copies._copies()}

    assert made() == {(1, Kind.PREVIEW)}  # the owner sees the original of the other
    site.somebody(Role.VIEWER)
    assert made() == {(1, Kind.PREVIEW), (0, Kind.SHARED), (1, Kind.SHARED)}
    assert bench.copies._row(plain, Kind.SHARED).state == "waiting"  # a side file may come yet
    bench.clock.at += 130
    made()
    assert [bench.copies._row(clip, Kind.SHARED).state for clip in (plain, hevc)] == ["ready"] * 2


def test_a_copy_is_made_anew_when_the_side_file_comes_and_the_old_one_goes(desk: Bench, site: Any, mp4: bytes) -> None:
    site.client.put("/api/clips/inc-1/0", content=mp4, headers=site.claim(mp4))
    clip = site.store.clip("inc-1", 0)
    first = desk.made(clip)
    assert first.remarks == ["no_side"]
    side = make_side()
    headers = site.claim(side, what="side")
    assert site.client.put("/api/clips/inc-1/0/side", content=side, headers=headers).status_code == 201
    assert site.client.get("/clips/inc-1/0/shared").status_code == 202
    second = desk.made(clip)
    assert (second.state, second.remarks) == ("ready", []) and second.name != first.name
    assert len([name for name in desk.files if name.endswith(".copy.mp4")]) == 1
    assert desk.made(clip).changed_at == second.changed_at  # once made, it stays


def test_copies_go_with_their_clips_and_when_nobody_asks(bench: Bench, tmp_path: Path) -> None:
    clip = bench.add(make_video(tmp_path / "it.mp4"))
    other = bench.add(make_video(tmp_path / "it.mp4", times=range(4)), segment=1)
    for one in (clip, other):
        assert bench.made(one).state == "ready"
    with bench.store.database.writing() as connection:
        connection.exec_driver_sql("DELETE FROM clips WHERE segment = 0")
    assert not bench.copies.step() and len(bench.files) == 1
    bench.clock.at += KEPT_S + 1
    assert not bench.copies.step() and bench.files == []
    assert bench.made(other).state == "ready"  # and can always be made again


def test_the_queue_is_the_same_in_every_database(store: Store, tmp_path: Path) -> None:
    bench = Bench(tmp_path, store)
    clip = bench.add(make_video(tmp_path / "it.mp4", "libx265", times=range(3)), stored_at=NOON)
    while bench.copies.step():
        pass
    preview = bench.copies.ask(clip, Kind.PREVIEW)
    assert preview.state == "ready" and bench.copies.format_of(clip).codec == "hevc"
    assert bench.made(clip, Kind.SHARED_ALL).remarks == ["no_side"]
    with bench.store.database.writing() as connection:
        connection.exec_driver_sql("DELETE FROM clips")
    bench.copies.step()
    assert bench.files == [] and bench.copies._copies() == []


# Who gets what


def test_each_gets_what_they_may_see_and_browsers_play(desk: Bench, site: Any, tmp_path: Path, envelope: Any) -> None:
    site.store.add_alerts([envelope(1)], NOON)
    desk.add(make_video(tmp_path / "a.mp4"))
    hevc = desk.add(make_video(tmp_path / "b.mp4", "libx265"), segment=1)
    desk.made(hevc, Kind.PREVIEW)
    leads = {}
    for role in Role:
        client = site.client if role == Role.OWNER else site.somebody(role)
        for segment in (0, 1):
            answer = client.get(f"/clips/inc-1/{segment}/play")
            assert (answer.status_code, answer.headers["cache-control"]) == (307, "no-store")
            leads[role.value, segment] = answer.headers["location"].removeprefix("/clips/inc-1/")
        preview = client.get("/clips/inc-1/1/preview", headers={"Range": "bytes=4-7"})
        full = role in (Role.OWNER, Role.REVIEWER)
        assert (preview.status_code, preview.content == b"ftyp") == ((206, True) if full else (403, False))
        assert ('action="/incidents/inc-1/share"' in client.get("/incidents/inc-1").text) == full
        share = client.post("/incidents/inc-1/share", data={"faces": "others"})
        assert share.status_code == (303 if full else 403)
        assert client.get("/incidents/inc-1/share").status_code == (200 if full else 403)
    assert leads == {
        ("owner", 0): "0", ("owner", 1): "1/preview", ("reviewer", 0): "0", ("reviewer", 1): "1/preview",
        ("admin", 0): "0/shared", ("admin", 1): "1/shared", ("viewer", 0): "0/shared", ("viewer", 1): "1/shared",
    }  # fmt: skip
    assert site.visitor().get("/clips/inc-1/0/play").headers["location"].startswith("/login")


@pytest.mark.parametrize(("faces", "chosen"), [("others", "只打码旁人"), ("all", "所有人都打码")])
def test_the_page_of_copies_says_of_nobody_else_than_chosen_that_they_are_blurred(
    desk: Bench, site: Any, tmp_path: Path, envelope: Any, faces: str, chosen: str
) -> None:
    site.store.add_alerts([envelope(1)], NOON)
    desk.add(make_video(tmp_path / "a.mp4", "libx264"))
    page = site.client.get(f"/incidents/inc-1/share?faces={faces}").text
    assert re.findall(r'aria-pressed="true">(.*?)<', page) == [chosen]
    assert "下面所选的人的头部已打码" in page and "旁人的头部" not in page


def test_what_is_looked_at_and_taken_leaves_a_line(desk: Bench, site: Any, tmp_path: Path, envelope: Any) -> None:
    site.store.add_alerts([envelope(1)], NOON)
    clip = desk.add(make_video(tmp_path / "b.mp4", "libx265"))
    desk.made(clip, Kind.PREVIEW)
    viewer, reviewer = site.somebody(Role.VIEWER), site.somebody(Role.REVIEWER)
    assert reviewer.get("/clips/inc-1/0/preview").status_code == 200
    assert reviewer.post("/incidents/inc-1/share", data={"faces": "all"}).status_code == 303
    copy = desk.made(clip, Kind.SHARED_ALL)
    desk.made(clip, Kind.SHARED)
    reviewer.head("/clips/inc-1/0/shared?faces=all&download=1")  # who only asks what there is takes nothing away
    taken = reviewer.get("/clips/inc-1/0/shared?faces=all&download=1")
    assert taken.headers["content-disposition"] == 'attachment; filename="inc-1-0-shared_all.mp4"'
    looked = viewer.get("/clips/inc-1/0/shared")
    assert looked.status_code == 200 and looked.headers["content-disposition"].startswith("inline")
    assert viewer.get("/clips/inc-1/0/shared?download=1").status_code == 403
    with site.store.database.reading() as connection:
        rows = connection.exec_driver_sql("SELECT user, action, details FROM audit ORDER BY number").all()
    told = [(user, action, json.loads(details)) for user, action, details in rows if action in (
        "clip", "share", "share_taken")]  # fmt: skip
    assert told == [
        ("a-reviewer", "clip", {"segment": 0, "copy": "preview"}),
        ("a-reviewer", "share", {"faces": "all", "segments": [0]}),
        ("a-reviewer", "share_taken", {"segment": 0, "copy": "shared_all", "sha256": copy.sha256}),
    ]


@pytest.mark.parametrize(
    "path",
    ["/clips/inc-1/0/shared", "/clips/inc-1/0/play", "/clips/inc-1/0/preview", "/incidents/inc-1/share"],
)
def test_what_is_out_of_scope_or_unknown_is_not_there(
    desk: Bench, site: Any, tmp_path: Path, envelope: Any, path: str
) -> None:
    site.store.add_alerts([envelope(1)], NOON)
    desk.add(make_video(tmp_path / "a.mp4"))
    stranger = site.somebody(Role.REVIEWER, ["suzhou"])
    assert stranger.get(path).status_code == 404
    for bad in ("/0/", "/-1/", "/99999999999999999999/"):
        assert site.client.get(path.replace("inc-1", "inc-9").replace("/0/", bad)).status_code == 404
    assert stranger.post("/incidents/inc-1/share", data={"faces": "all"}).status_code == 404
    assert site.client.post("/incidents/inc-1/share", data={"faces": "none"}).status_code in (400, 404)
    assert site.client.get("/clips/inc-1/0/shared?faces=none").status_code in (400, 404)


def test_who_may_not_see_full_pixels_gets_no_other_picture_than_a_blurred_one(
    desk: Bench, site: Any, tmp_path: Path, envelope: Any, picture: bytes
) -> None:
    site.store.add_alerts([envelope(1, snapshot=picture)], NOON)
    clip = desk.add(make_video(tmp_path / "b.mp4", "libx265"))
    for kind in Kind:
        desk.made(clip, kind)
    blurred = {picture, *(
        path.read_bytes() for kind in (Kind.SHARED, Kind.SHARED_ALL)
        if (path := desk.copies.path(desk.copies.ask(clip, kind)))
    )}  # fmt: skip
    values = {"incident_id": "inc-1", "segment": "0", "incident": "inc-1", "site": "shanghai", "camera": "cam3"}
    paths = [route.path for route in iter_route_contexts(site.app.app.routes) if "GET" in (route.methods or ())]
    assert "/clips/{incident_id}/{segment}" in paths and len(paths) > 20
    served = set()
    for role in (Role.VIEWER, Role.ADMIN):
        client = site.somebody(role)
        for path in paths:
            if "events" in path:
                continue  # never ends
            for query in ("", "?faces=all", "?faces=all&download=1") if "clips" in path else ("",):
                address = path
                for name, value in values.items():
                    address = address.replace(f"{{{name}}}", value)
                answer = client.get(address.replace("{number}", "1") + query, follow_redirects=True)
                if answer.headers.get("content-type", "").startswith(("image/", "video/")):
                    assert answer.content in blurred, address
                    served.add(path)
    assert {"/incidents/{incident_id}/snapshot", "/clips/{incident_id}/{segment}/play"} <= served


def test_a_page_for_people_waits_and_opens_by_itself(desk: Bench, site: Any, tmp_path: Path) -> None:
    clip = desk.add(make_video(tmp_path / "a.mp4"))
    browser_like = {"Accept": "text/html,*/*"}
    answer = site.client.get("/clips/inc-1/0/shared", headers=browser_like)
    assert (answer.status_code, answer.headers["refresh"], answer.headers["retry-after"]) == (202, "2", "2")
    assert "正在生成" in answer.text
    desk.made(clip)
    answer = site.client.get("/clips/inc-1/0/shared", headers=browser_like)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "video/mp4")


# In a browser


def test_a_clip_of_an_h265_camera_plays_as_its_preview_and_stays_as_it_came(
    scene: Scene,  # noqa: F811
    tmp_path: Path,
) -> None:
    content = make_video(tmp_path / "hevc.mp4", "libx265", (640, 360), range(30))
    scene.alert("inc")
    scene.upload("inc", 0, content, time.time() - 60)
    page = scene.page("incidents/inc/share")
    deadline = time.monotonic() + 30
    while page.evaluate("fetch('/clips/inc/0/play').then(answer => answer.status)") != 200:
        assert time.monotonic() < deadline
        page.wait_for_timeout(200)
    page.evaluate("""() => {
        const video = document.createElement('video');
        video.muted = true; video.id = 'tried'; video.src = '/clips/inc/0/play';
        document.body.append(video); video.play();
    }""")
    until(page, "document.getElementById('tried').currentTime > 0.5")
    assert page.evaluate("[tried.videoWidth, tried.videoHeight, Math.round(tried.duration)]") == [640, 360, 3]
    page.evaluate("tried.currentTime = 2.5")
    until(page, "!tried.seeking && tried.currentTime >= 2.4")
    clip = scene.hub.store.clip("inc", 0)
    assert sha256_of(page, "/clips/inc/0") == hashlib.sha256(content).hexdigest() == clip.sha256
    # The page that hands copies out fills itself, too.
    page.wait_for_selector(".copies .ready video")
    until(page, "document.querySelector('.copies video').readyState >= 1")


def test_a_copy_that_is_watched_stays_where_it_is_when_it_is_ready(
    scene: Scene,  # noqa: F811
    mp4: bytes,
) -> None:
    scene.alert("inc")
    scene.upload("inc", 0, mp4, time.time() - 60)
    page = scene.page("incidents/inc/share")
    page.wait_for_selector(".copies .wait")
    page.wait_for_selector(".copies .ready video")
    page.evaluate("window.watched = document.querySelector('.copies video')")
    asked = []
    page.on("request", lambda request: asked.append(request.url) if "/share?" in request.url else None)
    page.wait_for_timeout(4500)  # it was asked for every two seconds
    assert asked == []
    assert page.evaluate("[watched.isConnected, document.querySelectorAll('.copies').length]") == [True, 1]


def sha256_of(page: Any, path: str) -> str:
    """SHA-256 of what a logged-in page gets from an address."""
    code = """async path => {
        const body = await (await fetch(path)).arrayBuffer();
        const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', body));
        return [...hash].map(byte => byte.toString(16).padStart(2, '0')).join('');
    }"""
    return str(page.evaluate(code, path))
