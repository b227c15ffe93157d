"""The edge worker: a camera's trouble stays its own, and nothing that was seen is lost on the way out."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import queue
import resource
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from detector import assembly, inference, worker
from detector.alerts.clips import Segment
from detector.alerts.cutting import Cut
from detector.alerts.identity import load_identity
from detector.alerts.outbox import Outbox
from detector.alerts.pictures import SETTLE_S, CameraPictures
from detector.alerts.sink import AlertSink
from detector.clock import SystemClock
from detector.config import Broker, Camera, EdgeConfig, HubLink, Supervision
from detector.edge.camera_worker import CameraWorker
from detector.edge.health import what_runs, with_owed
from detector.edge.learned import LearnedFile
from detector.edge.relief import Relief
from detector.edge.supervisor import BEGIN_ANEW
from detector.errors import SourceUnavailable, StoreError
from detector.hub.edges.ingest import Ingest
from detector.hub.edges.keys import EdgeKeys
from detector.hub.storage.store import Store
from detector.media.packets import PacketRing
from detector.media.pictures import Bgr, Picture
from detector.media.sides import SUFFIX, read_side
from detector.pipeline import Pipeline
from detector.rules.closeness import Closeness
from detector.sources.stats import SourceStats
from detector.values import Frame, Incident, IncidentKind, IncidentUpdate, Phase, Severity, Sight
from detector.worker import run
from tests.alerts.conftest import make_fields
from tests.alerts.test_clips import packets_of
from tests.builders import SIZE, person, scene
from tests.conftest import REPOSITORY
from tests.parts_mosquitto import Mosquitto, soon
from tests.rules.staging import STANDING
from tests.sources.footage import make_video, shown_s
from tests.test_pipeline import PARCELS, START, Rows, ScriptedDetector, pipeline_of


class ScriptedPipeline:
    """One incident: new at frame 5, more at frame 10, over at the end. `fails` names the calls that raise."""

    def __init__(self, fails: Callable[[int], bool] = lambda call: False) -> None:
        self.fails = fails
        self.calls = 0
        self.open: Incident | None = None

    def glance(self, frame: Frame) -> bool:
        return True

    def process(self, frame: Frame) -> list[IncidentUpdate]:
        self.calls += 1
        if self.fails(self.calls):
            raise RuntimeError("scripted")
        seen = scene(frame.captured_at, [person(1, (20, 20, 60, 100))], size=frame.size, camera=frame.camera)
        self.sight = Sight(seen, {1: 0.5}, self.calls == 1)
        before = self.open
        if self.calls == 5:
            self.open = incident(frame.camera, frame.captured_at)
            return [IncidentUpdate(Phase.NEW, None, self.open)]
        if self.calls == 10 and before:
            return [IncidentUpdate(Phase.UPDATE, before, before)]
        return []

    left_out = 0
    calm_s = 0.0
    scene = None
    sight: Sight | None = None

    def census(self) -> tuple[Any, ...]:
        return ()

    def learned(self) -> dict[str, dict[str, Any]]:
        return {"ScriptedPipeline": {"calls": self.calls}}

    def recall(self, learned: dict[str, dict[str, Any]]) -> None:
        self.recalled = learned

    def finish(self) -> list[IncidentUpdate]:
        incident, self.open = self.open, None
        return [IncidentUpdate(Phase.END, incident, incident)] if incident else []


def incident(camera: str, at: float) -> Incident:
    id_ = hashlib.sha256(f"{camera}{at}".encode()).hexdigest()[:24]
    return Incident(
        id_, camera, IncidentKind.LABEL_PHOTOGRAPHY, Severity.WARNING, 0.9, "bulk", at - 1.0, at,
        boxes=(("phone", (10.0, 10.0, 40.0, 40.0)),),
    )  # fmt: skip


class ListedSource:
    """Frames from a list; an exception in it is raised in its place."""

    def __init__(self, items: list[Any]) -> None:
        self.stats = SourceStats("online")
        self.items = items
        self.closed = 0
        self.rests: list[bool] = []

    def __iter__(self) -> Iterator[Frame]:
        while self.items:
            item = self.items.pop(0)
            if isinstance(item, Exception):
                raise item
            yield item

    def newest(self, frame: Frame) -> Frame:
        return frame

    def rest(self, resting: bool) -> None:
        self.rests.append(resting)

    def close(self) -> None:
        self.closed += 1


class ImpatientEvent(threading.Event):
    """An event that waits for nobody and remembers how long it was asked to."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[float | None] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.waits.append(timeout)
        return self.is_set()


def frames(count: int, camera: str = "dock") -> list[Any]:
    image = np.zeros((48, 64, 3), np.uint8)
    return [Frame(camera, n, 1_800_000_000.0 + n / 5, Bgr(image)) for n in range(count)]


def edge(tmp_path: Path, *cameras: Camera, **more: Any) -> EdgeConfig:
    return EdgeConfig(site="north", edge="box-1", data_dir=tmp_path / "data", cameras=list(cameras), **more)


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    box = Outbox(tmp_path / "outbox.db", load_identity(tmp_path), clock=SystemClock())
    yield box
    box.close()


@pytest.fixture
def watch(tmp_path: Path, outbox: Outbox) -> Callable[..., CameraWorker]:
    """Runs one camera over listed items to the end."""

    def go(
        items: list[Any],
        build: Callable[[], Any] = ScriptedPipeline,
        stop: threading.Event | None = None,
        camera: Camera | None = None,
        learned: LearnedFile | None = None,
        source: ListedSource | None = None,
        relief: Relief | None = None,
        pictures: CameraPictures | None = None,
        least_fps: float = 0.0,
        closeness: Closeness | None = None,
    ) -> CameraWorker:
        camera = camera or Camera(name="dock", source="a.mp4")
        ring = PacketRing(10)
        sink = AlertSink(edge(tmp_path, camera), camera, outbox, ring)
        it = CameraWorker(
            camera,
            build=build,
            open_source=lambda _: source or ListedSource(items),
            sink=sink,
            ring=ring,
            clock=SystemClock(),
            stop=stop or ImpatientEvent(),
            learned=learned,
            relief=relief,
            pictures=pictures,
            least_fps=least_fps,
            closeness=closeness,
        )
        it.start()
        assert it.join(30)
        return it

    return go


def sent(outbox: Outbox) -> list[dict[str, Any]]:
    """What waits there, in the order in which it was put in."""
    return sorted((json.loads(row.payload) for row in outbox.take_due(100)), key=lambda fields: fields["seq"])


def test_an_incident_becomes_signed_envelopes(watch: Callable[..., CameraWorker], outbox: Outbox) -> None:
    camera = watch(frames(30))
    envelopes = sent(outbox)
    assert [e["phase"] for e in envelopes] == ["new", "update", "end"]
    assert [e["seq"] for e in envelopes] == [1, 2, 3]
    assert envelopes[0]["snapshot"]
    assert envelopes[2]["snapshot"] is None
    assert envelopes[0]["after"]["boxes"] == [{"what": "phone", "box": [0.1562, 0.2083, 0.625, 0.8333]}]
    assert (camera.frames, camera.crashes, camera.sink.published) == (30, 0, 3)
    assert camera.sink.incidents == {"label_photography": 1}


def test_what_is_told_late_has_no_picture_of_another_moment(watch: Callable[..., CameraWorker], outbox: Outbox) -> None:
    """What lingered is told to its end once the last has gone for a while, and by then other parcels may lie there."""

    def stays(t: float) -> Rows:
        return [*([("person", STANDING, 0.9, {})] if t < 170 else []), *PARCELS]

    picture = Bgr(np.zeros((SIZE[1], SIZE[0], 3), np.uint8))
    shown = [replace(frames(1)[0], captured_at=START + t, picture=picture) for t in range(200)]
    watch(shown, lambda: pipeline_of(ScriptedDetector(stays)))
    told = [(e["phase"], e["after"]["facts"]["stay_s"], e["snapshot"] is not None) for e in sent(outbox)]
    assert [(phase, drawn) for phase, _, drawn in told] == [
        ("new", True), ("update", True), ("update", False), ("end", False),
    ]  # fmt: skip
    assert told[-1][1] == pytest.approx(168, abs=3)


def test_places_of_what_ends_since_pictures_are_of_another_size_are_those_in_the_pictures_before(
    watch: Callable[..., CameraWorker], outbox: Outbox
) -> None:
    large, small = (Bgr(np.zeros((height, width, 3), np.uint8)) for width, height in (SIZE, (640, 360)))
    shown = [replace(frames(1)[0], captured_at=START + t, picture=large if t < 130 else small) for t in range(132)]
    watch(shown, lambda: pipeline_of(ScriptedDetector(lambda t: [("person", STANDING, 0.9, {}), *PARCELS])))
    new, *_, end = sent(outbox)
    assert (new["phase"], end["phase"]) == ("new", "end")
    assert end["after"]["boxes"] == new["after"]["boxes"] != []


class CalmPipeline(ScriptedPipeline):
    """Nothing is going on, but at the tenth frame."""

    def process(self, frame: Frame) -> list[IncidentUpdate]:
        self.calm_s = 0.0 if frame.index == 10 else 60.0
        return super().process(frame)


def test_a_source_rests_while_nothing_is_going_on_and_health_tells(watch: Callable[..., CameraWorker]) -> None:
    for relief, rests in ((None, [False] * 30), (Relief("always"), [n != 10 for n in range(30)])):
        source = ListedSource(frames(30))
        camera = watch([], build=CalmPipeline, source=source, relief=relief)
        assert source.rests == rests
        assert camera.health(time.time())["resting"] is rests[-1]


@pytest.mark.parametrize(("source", "lack"), [("rtsp://127.0.0.1/a", "sparse"), ("a.mp4", None)])
def test_health_tells_of_a_live_camera_that_brings_too_few_frames_for_an_act(
    source: str, lack: str | None, watch: Callable[..., CameraWorker]
) -> None:
    camera = watch(frames(30), camera=Camera(name="dock", source=source), least_fps=0.83)
    told = camera.health(time.time() + 61.0)
    assert (told["lack"], "sparse" in told) == (lack, False)


@pytest.mark.parametrize(("least_px", "seconds", "lack"), [(900.0, 700, "far"), (900.0, 500, None), (50.0, 700, None)])
def test_health_tells_of_a_camera_whose_people_are_too_far_off(
    least_px: float, seconds: int, lack: str | None, watch: Callable[..., CameraWorker]
) -> None:
    def build() -> Pipeline:
        return pipeline_of(ScriptedDetector(lambda _t: [("person", STANDING, 0.9, {})]))

    picture = Bgr(np.zeros((SIZE[1], SIZE[0], 3), np.uint8))
    shown = [replace(frames(1)[0], captured_at=START + n, picture=picture) for n in range(seconds)]
    camera = watch(shown, build, closeness=Closeness(least_px))
    assert camera.health(time.time())["lack"] == lack


@pytest.mark.parametrize(
    ("size", "said", "lack"),
    [
        ((704, 576), {}, "squeezed"), ((704, 576), {"aspect": "11:9"}, None), ((768, 576), {}, None), (SIZE, {}, None),
        ((576, 704), {"turned": 270}, "squeezed"), ((576, 704), {"turned": 90, "aspect": "11:9"}, None),
    ],
)  # fmt: skip
def test_health_tells_of_a_camera_whose_pictures_may_be_squeezed(
    size: tuple[int, int], said: dict[str, Any], lack: str | None, watch: Callable[..., CameraWorker]
) -> None:
    picture = Bgr(np.zeros((size[1], size[0], 3), np.uint8))
    shown = [replace(one, picture=picture) for one in frames(3)]
    camera = watch(shown, camera=Camera(name="dock", source="a.mp4", **said))
    assert camera.health(time.time())["lack"] == lack


@pytest.mark.parametrize(("gap_s", "size"), [(300.0, (64, 48)), (-3600.0, (64, 48)), (0.2, (96, 72))])
def test_no_picture_leaves_the_box_before_parcels_are_known_again_where_the_stages_begin_anew(
    gap_s: float, size: tuple[int, int], watch: Callable[..., CameraWorker]
) -> None:
    taken: list[float] = []
    pictures = CameraPictures(lambda _large, _jpeg, at: taken.append(at))

    def asks(_t: float) -> Rows:
        pictures.ask(large=False)
        return []

    before = frames(50)
    back_at = before[-1].captured_at + gap_s
    picture = Bgr(np.zeros((size[1], size[0], 3), np.uint8))
    after = [replace(each, captured_at=back_at + n / 5, picture=picture) for n, each in enumerate(before)]
    watch([*before, *after], lambda: pipeline_of(ScriptedDetector(asks)), pictures=pictures)
    assert min(at - back_at for at in taken if back_at <= at < back_at + 10) >= SETTLE_S


def test_a_frame_that_breaks_the_pipeline_costs_a_pause_and_no_more(
    watch: Callable[..., CameraWorker], outbox: Outbox, caplog: pytest.LogCaptureFixture
) -> None:
    pipelines: list[ScriptedPipeline] = []

    def build() -> ScriptedPipeline:
        fails = (lambda call: call == 7) if not pipelines else (lambda call: False)
        pipelines.append(ScriptedPipeline(fails))
        return pipelines[-1]

    camera = watch(frames(30), build)
    assert (camera.crashes, camera.frames, len(pipelines)) == (1, 29, 2)
    # The first pipeline's incident was ended, the second one found its own.
    assert [e["phase"] for e in sent(outbox)] == ["new", "end", "new", "update", "end"]
    assert "pipeline failed camera=dock" in caplog.text


def test_the_third_crash_within_a_minute_waits_longer(watch: Callable[..., CameraWorker]) -> None:
    stop = ImpatientEvent()
    camera = watch(frames(5), lambda: ScriptedPipeline(lambda call: True), stop)
    assert stop.waits == [1.0, 1.0, 60.0, 60.0, 60.0]
    assert camera.health(0.0)["state"] == "failing"
    assert "scripted" in camera.health(0.0)["reason"]


def test_a_pipeline_that_can_not_be_built_is_tried_again(watch: Callable[..., CameraWorker]) -> None:
    tries = iter([RuntimeError("no"), RuntimeError("no"), ScriptedPipeline()])

    def build() -> ScriptedPipeline:
        made = next(tries)
        if isinstance(made, Exception):
            raise made
        return made

    camera = watch(frames(10), build)
    assert (camera.crashes, camera.frames) == (2, 8)


def test_a_source_that_raises_is_opened_anew(watch: Callable[..., CameraWorker], outbox: Outbox) -> None:
    items = [*frames(8), ZeroDivisionError("a bug"), *frames(20)[8:]]
    camera = watch(items, camera=Camera(name="dock", source="rtsp://10.0.0.1/x"))
    assert (camera.crashes, camera.frames) == (1, 20)
    assert [e["phase"] for e in sent(outbox)] == ["new", "end", "new", "update", "end"]


def test_a_recording_that_can_not_be_played_ends_its_camera_only(watch: Callable[..., CameraWorker]) -> None:
    camera = watch([SourceUnavailable("a.mp4: no such file")])
    assert camera.failure == "a.mp4: no such file"
    assert camera.crashes == 0
    assert camera.health(0.0)["reason"] == "a.mp4: no such file"


def test_a_looping_recording_is_waited_for(watch: Callable[..., CameraWorker]) -> None:
    stop = ImpatientEvent()
    items = [SourceUnavailable("a.mp4: no such file"), *frames(5)]
    endless = Camera(name="dock", source="a.mp4", loop=True)
    camera = watch(items, stop=stop, camera=endless)
    assert (camera.failure, camera.frames) == (None, 5)
    assert stop.waits == [60.0]


def test_an_outbox_that_refuses_delays_alerts_and_loses_none(
    tmp_path: Path, outbox: Outbox, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    camera = Camera(name="dock", source="a.mp4")
    sink = AlertSink(edge(tmp_path, camera), camera, outbox, PacketRing(10))
    put = outbox.put

    def full(fields: Any, **_: Any) -> str:
        raise StoreError("no room")

    monkeypatch.setattr(outbox, "put", full)
    seen, pipeline = frames(30), ScriptedPipeline()
    for frame in seen:
        for update in pipeline.process(frame):
            sink.accept(update, frame)
        sink.tick(frame.captured_at)
    assert sink.published == 0
    for later_s in range(10, 60, 10):
        sink.tick(seen[-1].captured_at + later_s)
    monkeypatch.setattr(outbox, "put", put)
    sink.tick(seen[-1].captured_at + 60)
    assert [e["phase"] for e in sent(outbox)] == ["new", "update"]
    assert caplog.text.count("takes nothing") == 1


def test_a_snapshot_that_fails_does_not_keep_the_alert(
    watch: Callable[..., CameraWorker], outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(frame: Frame, update: IncidentUpdate) -> bytes:
        raise MemoryError

    monkeypatch.setattr("detector.alerts.snapshot.snapshot_jpeg", fail)
    watch(frames(30))
    assert [e["snapshot"] for e in sent(outbox)] == [None, None, None]


def test_an_alert_that_can_never_be_sent_holds_up_no_other(watch: Callable[..., CameraWorker], outbox: Outbox) -> None:
    class Strange(ScriptedPipeline):
        def process(self, frame: Frame) -> list[IncidentUpdate]:
            updates = super().process(frame)
            if self.calls == 3:
                odd = incident(frame.camera, frame.captured_at)
                object.__setattr__(odd, "facts", {"nan": float("nan")})
                return [IncidentUpdate(Phase.NEW, None, odd)]
            return updates

    watch(frames(30), Strange)
    assert [e["phase"] for e in sent(outbox)] == ["new", "update", "end"]


class StandingClock:
    """It is always half past one."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self._now = now

    def now(self) -> float:
        return self._now

    def sleep(self, seconds: float) -> None:
        pass


class QueuedSource:
    """A live stream whose pictures a test puts in, until `None`."""

    def __init__(self) -> None:
        self.stats = SourceStats("connecting")
        self.queue: queue.Queue[Frame | None] = queue.Queue()

    def __iter__(self) -> Iterator[Frame]:
        while (frame := self.queue.get()) is not None:
            self.stats.last_frame_at = frame.captured_at
            yield frame

    def newest(self, frame: Frame) -> Frame:
        return frame

    def rest(self, resting: bool) -> None:
        pass

    def close(self) -> None:
        pass


class QuietPipeline(ScriptedPipeline):
    """Sees nothing worth telling."""

    def process(self, frame: Frame) -> list[IncidentUpdate]:
        super().process(frame)
        self.open = None
        return []


class HeldPipeline(ScriptedPipeline):
    """Its sixth look lasts until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.let_go = threading.Event()

    def process(self, frame: Frame) -> list[IncidentUpdate]:
        updates = super().process(frame)
        if self.calls == 6:
            self.let_go.wait(30)
        return updates


def live_worker(
    tmp_path: Path,
    outbox: Outbox,
    source: QueuedSource,
    *,
    build: Callable[[], Any] = QuietPipeline,
    ring: PacketRing | None = None,
    now: float = 1_800_000_000.0,
) -> CameraWorker:
    """Watches a stream; it started at `now`."""
    camera, ring = Camera(name="dock", source="rtsp://10.0.0.1/x"), ring or PacketRing(10)
    return CameraWorker(
        camera,
        build=build,
        open_source=lambda _: source,
        sink=AlertSink(edge(tmp_path, camera), camera, outbox, ring),
        ring=ring,
        clock=StandingClock(now),
        stop=threading.Event(),
    )


@pytest.fixture
def stream(
    tmp_path: Path, outbox: Outbox, request: pytest.FixtureRequest
) -> Iterator[tuple[CameraWorker, QueuedSource]]:
    """A live camera; its pipeline never says anything, unless a test asks for another."""
    source = QueuedSource()
    it = live_worker(tmp_path, outbox, source, build=getattr(request, "param", QuietPipeline))
    it.start()
    yield it, source
    source.queue.put(None)
    assert it.join(30)


def seen(stream: tuple[CameraWorker, QueuedSource], *at: float) -> None:
    """Pictures taken so many seconds after the start, each looked at."""
    camera, source = stream
    for t in at:
        looked = camera.frames
        source.queue.put(replace(frames(1)[0], captured_at=1_800_000_000.0 + t))
        assert soon(lambda looked=looked: camera.frames > looked)  # type: ignore[misc]


def test_a_camera_that_falls_silent_is_an_incident_until_pictures_are_steady_again(
    stream: tuple[CameraWorker, QueuedSource], outbox: Outbox
) -> None:
    camera, _ = stream
    now = 1_800_000_000.0
    seen(stream, 0.2, 0.4, 0.6)
    for t in (60, 119, 121, 122, 400, 900):
        camera.watch_silence(now + t)
    seen(stream, 1000)
    camera.watch_silence(now + 1000)
    new, *grown = sent(outbox)  # and no end yet: it may go again
    assert [(e["phase"], e["after"]["facts"]["lasted_s"], e["snapshot"]) for e in grown] == [
        ("update", 399.4, None),
        ("update", 899.4, None),
    ]
    for t in range(1020, 1141, 20):
        seen(stream, t)
        camera.watch_silence(now + t)
    (end,) = (e for e in sent(outbox) if e["phase"] == "end")
    assert (new["phase"], end["phase"]) == ("new", "end")
    assert new["after"]["kind"] == "tamper"
    assert new["after"]["facts"] == {"what": "silent", "lasted_s": 120.4}
    assert new["snapshot"], "what was seen last"
    assert end["after"]["id"] == new["after"]["id"]
    assert end["after"]["facts"] == {"what": "silent", "lasted_s": 999.4}
    assert camera.sink.incidents == {"tamper": 1}


LABELLED = (8, 8, 56, 40)  # a parcel in a picture of 64 x 48, and nearly as large the label on it


def build_parcel_pipeline() -> Pipeline:
    """Sees that parcel and its label all the time."""
    x1, y1, x2, y2 = LABELLED
    rows: Rows = [("parcel", LABELLED, 0.9, {}), ("label", (x1 + 2, y1 + 2, x2 - 2, y2 - 2), 0.9, {})]
    return pipeline_of(ScriptedDetector(lambda _t: rows))


def printed() -> Picture:
    """A grey picture, but for fine print where the label is."""
    image = np.full((48, 64, 3), 128, np.uint8)
    x1, y1, x2, y2 = LABELLED
    image[y1:y2, x1:x2:2], image[y1:y2, x1 + 1 : x2 : 2] = 0, 255
    return Bgr(image)


def contrast_of(jpeg: bytes) -> float:
    """How much is left of the print."""
    x1, y1, x2, y2 = LABELLED
    return float(cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_GRAYSCALE)[y1:y2, x1:x2].std())


@pytest.mark.parametrize("stream", [build_parcel_pipeline], indirect=True)
def test_no_label_can_be_read_in_what_was_seen_last_of_a_silent_camera(
    stream: tuple[CameraWorker, QueuedSource], outbox: Outbox
) -> None:
    camera, source = stream
    for n in range(1, 4):
        source.queue.put(replace(frames(1)[0], captured_at=1_800_000_000.0 + n / 5, picture=printed()))
        assert soon(lambda n=n: camera.frames == n)  # type: ignore[misc]
    for t in (60, 122):
        camera.watch_silence(1_800_000_000.0 + t)
    (new,) = sent(outbox)
    assert contrast_of(base64.b64decode(new["snapshot"])) < 10


def test_a_camera_that_never_comes_is_told_once_without_a_picture(
    stream: tuple[CameraWorker, QueuedSource], outbox: Outbox
) -> None:
    camera, _ = stream
    late = iter(range(50, 72_000, 50))

    def told() -> bool:
        camera.watch_silence(1_800_000_000.0 + next(late))
        return camera.sink.incidents["tamper"] > 0

    assert soon(told)
    for _ in range(100):
        told()
    told_so_far = [(e["phase"], e["snapshot"]) for e in sent(outbox)]
    assert told_so_far[0] == ("new", None)
    assert told_so_far[1:] and set(told_so_far[1:]) == {("update", None)}
    assert len(told_so_far) < 12, "ever more seldom"


def test_a_camera_that_stays_dead_is_one_incident_however_often_its_worker_is_started_anew(
    tmp_path: Path, outbox: Outbox
) -> None:
    runs: list[tuple[float, tuple[float, ...], float]] = [
        (0.0, (0.2,), 122.0), (200.0, (), 330.0), (800.0, tuple(range(900, 1021, 20)), 1020.0)
    ]  # fmt: skip
    ring = PacketRing(60.0)
    for stored in packets_of(make_video(tmp_path / "a.mp4", seconds=4, fps=5, key_every=5), 1_799_999_998.0):
        ring.append(*stored)
    for started, pictures, until in runs:
        outbox.close()
        outbox = Outbox(tmp_path / "outbox.db", load_identity(tmp_path), clock=SystemClock())
        source = QueuedSource()
        it = live_worker(tmp_path, outbox, source, ring=ring, now=1_800_000_000.0 + started)
        it.start()
        for t in pictures:
            seen((it, source), t)
            watched(it, t)
        assert soon(lambda it=it, until=until: watched(it, until) == 1)  # type: ignore[misc]
        it._stop.set()
        source.queue.put(None)
        assert it.join(30)
        ring = PacketRing(60.0)
    new, grown, end = sent(outbox)
    outbox.close()
    assert [(e["phase"], e["after"]["facts"]["lasted_s"]) for e in (new, grown, end)] == [
        ("new", 121.8), ("update", 330.0 - 0.2), ("end", 900.0 - 0.2),
    ]  # fmt: skip
    assert new["after"]["id"] == grown["after"]["id"] == end["after"]["id"]
    (clip,) = (tmp_path / "data" / "clips" / "dock").glob("*.mp4")
    assert [told["sha256"] for told in end["clips"]] == [sha256_of(clip)]


def watched(camera: CameraWorker, seconds: float) -> int:
    """How many envelopes there are once silence was asked for, so long after the start."""
    camera.watch_silence(1_800_000_000.0 + seconds)
    return camera.sink.published


@pytest.mark.parametrize("stream", [ScriptedPipeline], indirect=True)
def test_what_is_open_ends_when_its_camera_falls_silent(
    stream: tuple[CameraWorker, QueuedSource], outbox: Outbox
) -> None:
    camera, _ = stream
    seen(stream, *(n / 5 for n in range(6)))
    assert watched(camera, 100) == 1
    assert soon(lambda: watched(camera, 130) == 3) and watched(camera, 140) == 3
    assert [(e["after"]["kind"], e["phase"]) for e in sent(outbox)] == [
        ("label_photography", "new"), ("tamper", "new"), ("label_photography", "end"),
    ]  # fmt: skip
    seen(stream, 200, 200.2)
    assert camera.crashes == 0


@pytest.mark.parametrize("stream", [HeldPipeline], indirect=True)
def test_a_silence_ends_nothing_while_the_last_picture_is_looked_at(
    stream: tuple[CameraWorker, QueuedSource],
) -> None:
    camera, source = stream
    seen(stream, *(n / 5 for n in range(5)))
    pipeline = camera._pipeline
    assert isinstance(pipeline, HeldPipeline)
    source.queue.put(frames(6)[-1])
    assert soon(lambda: pipeline.calls == 6)
    assert [watched(camera, 130) for _ in range(5)] == [2] * 5
    pipeline.let_go.set()
    assert soon(lambda: watched(camera, 130) == 3)
    assert camera.crashes == 0


@pytest.mark.parametrize("stream", [ScriptedPipeline], indirect=True)
def test_what_a_silent_camera_owes_goes_out_once_the_outbox_takes_it(
    stream: tuple[CameraWorker, QueuedSource], outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    camera, _ = stream
    seen(stream, *(n / 5 for n in range(6)))
    put = outbox.put

    def full(fields: Any, **_: Any) -> str:
        raise StoreError("no room")

    monkeypatch.setattr(outbox, "put", full)
    for seconds in (130, 300, 600, 1300, 2600):
        watched(camera, seconds)
    assert camera.sink.owed > 2 and camera.sink.published == 1
    monkeypatch.setattr(outbox, "put", put)
    watched(camera, 2610)
    assert camera.sink.owed == 0
    assert [(e["after"]["kind"], e["phase"]) for e in sent(outbox)[:3]] == [
        ("label_photography", "new"), ("tamper", "new"), ("label_photography", "end"),
    ]  # fmt: skip


def test_ordinary_reconnections_and_recordings_are_not_silent(
    stream: tuple[CameraWorker, QueuedSource], watch: Callable[..., CameraWorker], outbox: Outbox
) -> None:
    camera, _ = stream
    for t in range(0, 3000, 60):
        seen(stream, t)
        camera.watch_silence(1_800_000_000.0 + t + 55)
    recording = watch(frames(3))
    recording.watch_silence(1e12)
    assert sent(outbox) == []


def test_what_a_pipeline_had_learned_is_given_to_the_one_after_a_crash(watch: Callable[..., CameraWorker]) -> None:
    made: list[ScriptedPipeline] = []

    def build() -> ScriptedPipeline:
        made.append(ScriptedPipeline(lambda call: len(made) < 4 and call == 3))
        return made[-1]

    watch(frames(30), build)
    told = {"ScriptedPipeline": {"calls": 3}}
    assert [p.recalled for p in made] == [{}, told, told, {}], "not after the third crash in a minute"


def test_what_was_learned_is_kept_at_the_end_and_taken_up_at_the_next_start(
    watch: Callable[..., CameraWorker], tmp_path: Path
) -> None:
    file = LearnedFile(tmp_path / "learned" / "dock.json")
    made: list[ScriptedPipeline] = []

    def build() -> ScriptedPipeline:
        made.append(ScriptedPipeline())
        return made[-1]

    watch(frames(30), build, learned=file)
    assert file.load() == {"ScriptedPipeline": {"calls": 30}}
    watch(frames(7), build, learned=file)
    assert [p.recalled for p in made] == [{}, {"ScriptedPipeline": {"calls": 30}}]
    assert file.load() == {"ScriptedPipeline": {"calls": 7}}


def test_what_was_learned_is_kept_as_soon_as_something_is_told(
    watch: Callable[..., CameraWorker], tmp_path: Path
) -> None:
    file = LearnedFile(tmp_path / "dock.json")
    kept: list[Any] = []

    class Looking(ScriptedPipeline):
        def process(self, frame: Frame) -> list[IncidentUpdate]:
            kept.append(file.load().get("ScriptedPipeline"))
            return super().process(frame)

    watch(frames(8), Looking, learned=file)
    assert kept == [None] * 5 + [{"calls": 5}] * 3, "told of in the fifth frame"


def test_a_camera_that_only_crashes_leaves_what_was_learned_before(
    watch: Callable[..., CameraWorker], tmp_path: Path
) -> None:
    file = LearnedFile(tmp_path / "dock.json")
    file.save({"ScriptedPipeline": {"calls": 9}})

    def build() -> ScriptedPipeline:
        raise RuntimeError("no memory left")

    assert watch(frames(5), build, learned=file).crashes == 5
    assert file.load() == {"ScriptedPipeline": {"calls": 9}}


def test_starting_is_light() -> None:
    heavy = "import detector.worker, sys; print([m for m in ('av', 'cv2', 'onnxruntime', 'paho') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", heavy], capture_output=True, text=True, check=True).stdout == "[]\n"


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inference, "load_detector", lambda settings: None)
    monkeypatch.setattr(assembly, "build_pipeline", lambda config, camera, detector, least_score: ScriptedPipeline())


@pytest.mark.usefixtures("scripted")
def test_recordings_are_played_delivered_and_summed_up(tmp_path: Path) -> None:
    broker = Mosquitto(tmp_path)
    broker.start()
    store = Store(f"sqlite:///{tmp_path / 'hub.db'}")
    hub_key = Ed25519PrivateKey.generate()
    keys = EdgeKeys(store.database, first_sight=True)
    ingest = Ingest(store, Broker(port=broker.port), SystemClock(), lambda ids: None, keys=keys, key=hub_key)
    ingest.start()
    try:
        good = Camera(name="dock", source=str(make_video(tmp_path / "a.mp4", seconds=4)), title="东门")
        looped = Camera(name="gate", source=str(make_video(tmp_path / "b.mp4", seconds=3)), loop=True)
        config = edge(tmp_path, good, looped, broker=Broker(port=broker.port))
        assert run(config, once=True) == 0
    finally:
        ingest.stop()
        broker.kill()
    summary = json.loads((config.data_dir / "worker-summary.json").read_text())
    # Five a second on a grid of Unix time, and each recording's first frame wherever on it the recording began.
    frames = {name: summary["cameras"][name]["frames"] for name in ("dock", "gate")}
    assert frames["dock"] in (20, 21) and frames["gate"] in (15, 16)
    assert summary["frames"] == sum(frames.values())
    assert summary["incidents"] == {"label_photography": 2}
    assert (summary["published"], summary["waiting"], summary["drained"]) == (6, 0, True)
    assert summary["clips"] == 2
    assert not list(config.data_dir.glob(".*draft"))
    kept = {path.name: json.loads(path.read_text()) for path in (config.data_dir / "learned").iterdir()}
    assert kept == {f"{name}.json": {"ScriptedPipeline": {"calls": count}} for name, count in frames.items()}
    edges = {e.edge: e for e in store.edges.all()}
    assert set(edges["box-1"].health["cameras"]) == {"dock", "gate"}  # type: ignore[index]
    assert edges["box-1"].health["cameras"]["dock"]["title"] == "东门"  # type: ignore[index]
    assert edges["box-1"].health.items() >= what_runs(config).items()  # type: ignore[union-attr]
    assert edges["box-1"].health["clock"] is None or edges["box-1"].health["clock"]["error_s"] >= 0  # type: ignore[index]
    for name in ("dock", "gate"):
        (clip,) = (config.data_dir / "clips" / name).glob("*.mp4")
        assert len(shown_s(clip)) >= 60
        with clip.with_name(clip.stem + SUFFIX).open("rb") as file:
            side = read_side(file)
        told = store.incident(side["incident"])
        assert told and told.announced_clips[0]["side_sha256"] == sha256_of(clip.with_name(clip.stem + SUFFIX))
        first, *others = [look["t"] for look in side["looks"]]
        assert first == pytest.approx(0.0, abs=0.03) and 0 < others[0] < 0.24
        assert others == [pytest.approx(others[0] + k / 5, abs=0.05) for k in range(len(others))]
        assert len(side["looks"]) >= 15 and side["looks"][0]["score"] == {"1": 0.5}
    store.close()


def sha256_of(path: Path) -> str:
    """Of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.usefixtures("scripted")
def test_without_a_broker_it_ends_and_keeps_the_alerts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "LINK_UP_S", 1.0)
    video = make_video(tmp_path / "a.mp4", seconds=2)
    config = edge(tmp_path, Camera(name="dock", source=str(video)), broker=Broker(port=1))
    assert run(config) == 0
    summary = json.loads((config.data_dir / "worker-summary.json").read_text())
    assert (summary["waiting"], summary["drained"]) == (3, False)


@pytest.mark.usefixtures("scripted")
def test_a_recording_that_is_missing_is_a_failure_of_the_run_and_of_no_other_camera(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "LINK_UP_S", 0.5)
    good = Camera(name="dock", source=str(make_video(tmp_path / "a.mp4", seconds=2)))
    config = edge(tmp_path, good, Camera(name="gone", source=str(tmp_path / "gone.mp4")), broker=Broker(port=1))
    assert run(config) == 1
    summary = json.loads((config.data_dir / "worker-summary.json").read_text())
    assert summary["cameras"]["dock"] in [{"frames": n, "crashes": 0, "failure": None} for n in (10, 11)]
    assert "no such file" in summary["cameras"]["gone"]["failure"]


LONG_RUN = """
    import sys
    from pathlib import Path
    from detector import assembly, inference
    from detector.config import Broker, Camera
    from detector.worker import run
    from tests.test_worker import ScriptedPipeline, edge
    inference.load_detector = lambda settings: None
    assembly.build_pipeline = lambda config, camera, detector, least_score: ScriptedPipeline()
    cameras = [Camera(name="dock", source=sys.argv[2], loop=True), Camera(name="gone", source="rtsp://127.0.0.1:1/x")]
    sys.exit(run(edge(Path(sys.argv[1]), *cameras, broker=Broker(port=1))))
"""


def start_long_run(folder: Path, **more: Any) -> subprocess.Popen[str]:
    """A worker in a process of its own, which finds an incident and goes on."""
    video = make_video(folder / "a.mp4", seconds=4)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    command = [sys.executable, "-c", textwrap.dedent(LONG_RUN), str(folder), str(video)]
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True, **more)


@pytest.fixture
def long_run(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A worker in a process of its own, in the midst of an incident; killed at the end if it still runs."""
    # Tests that were begun by nohup are deaf to SIGHUP, and all that they start.
    with start_long_run(tmp_path, preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL)) as process:
        try:
            assert soon(lambda: list((tmp_path / "data" / "clips" / "dock").glob("*.part")))
            time.sleep(1.5)
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_told_to_stop_it_ends_incidents_and_clips_first(
    tmp_path: Path, long_run: subprocess.Popen[str], number: signal.Signals
) -> None:
    asked = time.monotonic()
    long_run.send_signal(number)
    _, told = long_run.communicate(timeout=30)
    assert long_run.returncode == 0, told
    # Promised are five seconds; a busy machine may need more.
    assert time.monotonic() - asked < 15
    outbox = Outbox(tmp_path / "data" / "outbox.db", load_identity(tmp_path / "data"), clock=SystemClock())
    envelopes = sent(outbox)
    outbox.close()
    assert [e["phase"] for e in envelopes] in (["new", "end"], ["new", "update", "end"])
    (announced,) = envelopes[-1]["clips"]
    clip, side = sorted((tmp_path / "data" / "clips" / "dock").iterdir())
    assert (clip.suffix, side.name) == (".mp4", clip.stem + SUFFIX)
    assert [sha256_of(clip), sha256_of(side)] == [announced["sha256"], announced["side_sha256"]]
    assert announced["bytes"] == clip.stat().st_size
    assert len(shown_s(clip)) > 20
    assert not (tmp_path / "data" / "worker-summary.json").exists()


def test_killed_it_loses_neither_the_alert_nor_the_clip(tmp_path: Path, long_run: subprocess.Popen[str]) -> None:
    long_run.kill()
    long_run.wait()
    data = tmp_path / "data"
    outbox = Outbox(data / "outbox.db", load_identity(data), clock=SystemClock())
    camera = Camera(name="dock", source="a.mp4")
    config = edge(tmp_path, camera, hub=HubLink(url="http://127.0.0.1:1"))
    sink = AlertSink(config, camera, outbox, PacketRing(10))
    sink.salvage()
    (new, *_) = sent(outbox)
    assert new["phase"] == "new"
    assert outbox.counts()["clips"] == 1
    (clip,) = (data / "clips" / "dock").iterdir()
    assert clip.name == f"{new['after']['id']}.0.mp4"
    assert len(shown_s(clip)) > 20
    outbox.close()


def test_killed_it_ends_at_the_next_start_what_was_open(tmp_path: Path, long_run: subprocess.Popen[str]) -> None:
    long_run.kill()
    long_run.wait()
    data = tmp_path / "data"
    outbox = Outbox(data / "outbox.db", load_identity(data), clock=SystemClock())
    camera = Camera(name="dock", source="a.mp4")
    for _ in range(2):
        AlertSink(edge(tmp_path, camera), camera, outbox, PacketRing(10)).salvage()
    envelopes = [e for e in sent(outbox) if e["camera"] == "dock"]
    assert envelopes[0]["phase"] == "new" and [e["phase"] for e in envelopes].count("end") == 1
    last, end = envelopes[-2:]
    assert end["phase"] == "end" and not end["notify"]
    assert end["after"] | {"facts": {}, "sentence": {}} == last["after"] | {"facts": {}, "sentence": {}}
    assert end["after"]["facts"] == {**last["after"]["facts"], "ended_by": "restart"}
    assert "重启" in end["after"]["sentence"]["zh"] and "restarted" in end["after"]["sentence"]["en"]
    (clip,) = (data / "clips" / "dock").glob("*.mp4")
    assert [told["sha256"] for told in end["clips"]] == [sha256_of(clip)]
    outbox.close()


def test_killed_between_two_segments_it_signs_at_the_next_start_for_those_handed_over_before(tmp_path: Path) -> None:
    camera = Camera(name="dock", source="a.mp4")
    config = edge(tmp_path, camera, hub=HubLink(url="http://127.0.0.1:1"))
    config.data_dir.mkdir()

    def opened() -> Outbox:
        return Outbox(config.data_dir / "outbox.db", load_identity(config.data_dir), clock=SystemClock())

    def segment(number: int) -> Segment:
        return Segment(told.id, number, tmp_path / f"{number}.mp4", f"{number}" * 64, 1, START + 30 * number, 30.0)

    told, first, second = incident("dock", START), *frames(2)
    outbox = opened()
    sink = AlertSink(config, camera, outbox, PacketRing(10))
    sink.accept(IncidentUpdate(Phase.NEW, None, told), first)
    sink._keep(segment(0))
    sink.accept(IncidentUpdate(Phase.UPDATE, told, told), second)
    sink._keep(segment(1))
    outbox.close()  # killed: the parts of both are deleted by now
    outbox = opened()
    AlertSink(config, camera, outbox, PacketRing(10)).salvage()
    *_, end = sent(outbox)
    outbox.close()
    assert end["phase"] == "end"
    assert [(clip["segment"], clip["sha256"]) for clip in end["clips"]] == [(0, "0" * 64), (1, "1" * 64)]


@pytest.mark.parametrize("lives_on", [True, False])
def test_a_clip_for_which_the_disk_had_no_room_at_the_end_is_signed_once_it_is_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lives_on: bool
) -> None:
    camera = Camera(name="dock", source="a.mp4")
    config, ring = edge(tmp_path, camera), PacketRing(60.0)
    config.data_dir.mkdir()

    def opened() -> Outbox:
        return Outbox(config.data_dir / "outbox.db", load_identity(config.data_dir), clock=SystemClock())

    def full(*_: object, **__: object) -> Cut:
        raise OSError(28, "No space left on device")

    for stored in packets_of(make_video(tmp_path / "a.mp4", seconds=8, fps=5, key_every=5)):
        ring.append(*stored)
    outbox, told = opened(), incident("dock", START + 4)
    sink = AlertSink(config, camera, outbox, ring)
    frame = replace(frames(1)[0], captured_at=START + 4)
    with monkeypatch.context() as patch:
        patch.setattr("detector.alerts.clips.cut_recording", full)
        sink.accept(IncidentUpdate(Phase.NEW, None, told), frame)
        sink.tick(START + 8)
        sink.accept(IncidentUpdate(Phase.END, told, told), frame)
        for at in (9, 70):
            sink.tick(START + at)
        if not lives_on:  # killed, and started anew, on the full disk first
            outbox.close()
            outbox = opened()
            sink = AlertSink(config, camera, outbox, PacketRing(60.0))
            sink.salvage()
    for at in (130, 200):
        sink.tick(START + at)
    envelopes = sent(outbox)
    outbox.close()
    (clip,) = (config.data_dir / "clips" / "dock").glob("*.mp4")
    assert [e["phase"] for e in envelopes] == ["new", "end", "end"] and envelopes[1]["clips"] == []
    assert [one["sha256"] for one in envelopes[-1]["clips"]] == [sha256_of(clip)]
    assert not envelopes[-1]["notify"]
    outbox = opened()
    AlertSink(config, camera, outbox, PacketRing(60.0)).salvage()
    assert sent(outbox) == envelopes and outbox.left_open() == []
    outbox.close()


def test_what_was_open_at_a_camera_that_is_gone_is_ended_too(tmp_path: Path) -> None:
    config = edge(tmp_path, Camera(name="dock", source="a.mp4"))
    config.data_dir.mkdir()
    key = load_identity(config.data_dir)
    first = Outbox(config.data_dir / "outbox.db", key, clock=SystemClock())
    first.put(make_fields("here", camera="dock"))
    first.put(make_fields("gone", camera="gone"))
    first.close()
    outbox = Outbox(config.data_dir / "outbox.db", key, clock=SystemClock())
    worker._take_over_from_cameras_gone(config, outbox)
    assert [(e["after"]["id"], e["phase"]) for e in sent(outbox)] == [("here", "new"), ("gone", "new"), ("gone", "end")]
    outbox.close()


def test_a_clip_that_a_camera_left_unfinished_is_sent_on_though_the_camera_is_gone(tmp_path: Path) -> None:
    config = edge(tmp_path, Camera(name="dock", source="a.mp4"), hub=HubLink(url="http://127.0.0.1:1"))
    folder = config.data_dir / "clips" / "gone"
    folder.mkdir(parents=True)
    make_video(tmp_path / "a.mp4", seconds=4, fps=25).rename(folder / "gone.0.1800000000000.part")
    outbox_file, key = config.data_dir / "outbox.db", load_identity(config.data_dir)
    first = Outbox(outbox_file, key, clock=SystemClock())
    first.put(make_fields("gone", camera="gone"))
    first.close()
    outbox = Outbox(outbox_file, key, clock=SystemClock())
    worker._take_over_from_cameras_gone(config, outbox)
    (clip,) = folder.iterdir()
    assert (clip.name, outbox.counts()["clips"]) == ("gone.0.mp4", 1)
    assert [told["sha256"] for told in sent(outbox)[-1]["clips"]] == [sha256_of(clip)]
    outbox.close()


def no_room() -> None:
    """Whatever is written to a file from now on is refused."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def test_a_worker_that_starts_on_a_full_disk_watches_all_the_same(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    outbox = Outbox(data / "outbox.db", load_identity(data), clock=SystemClock())
    outbox.put(make_fields("left open", camera="gone"))
    outbox.close()
    with start_long_run(tmp_path, preexec_fn=no_room) as process:
        try:
            assert process.stderr is not None
            told = ""
            for line in process.stderr:
                told += line
                if "the outbox takes nothing camera=dock" in line:
                    break
            else:
                pytest.fail(f"it ended: {told}")
            assert "the outbox takes nothing camera=gone" in told
        finally:
            process.kill()


def test_what_is_given_up_before_the_outbox_takes_it_is_counted(
    tmp_path: Path, outbox: Outbox, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    camera = Camera(name="dock", source="a.mp4")
    sink = AlertSink(edge(tmp_path, camera), camera, outbox, PacketRing(10))
    monkeypatch.setattr("detector.alerts.sink.MOST_OWED", 3)

    def full(fields: Any, **_: Any) -> str:
        raise StoreError("no room")

    monkeypatch.setattr(outbox, "put", full)
    for frame in frames(5):
        sink.accept(IncidentUpdate(Phase.NEW, None, incident("dock", frame.captured_at)), frame)
    assert sink.dropped == 2
    assert caplog.text.count("than there is room for") == 1


def test_what_a_failing_disk_keeps_from_the_outbox_is_told_as_waiting(
    tmp_path: Path, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    camera = Camera(name="dock", source="a.mp4")
    sink = AlertSink(edge(tmp_path, camera), camera, outbox, PacketRing(10))
    put = outbox.put

    def read_only(fields: Any, **_: Any) -> str:
        raise StoreError("attempt to write a readonly database")

    def told(at: float) -> tuple[int, float]:
        sink.tick(at)
        counts = with_owed(outbox.counts(), [sink], at)
        return counts["backlog"], counts["oldest_s"]

    monkeypatch.setattr(outbox, "put", read_only)
    for frame in frames(3):
        sink.accept(IncidentUpdate(Phase.NEW, None, incident("dock", frame.captured_at)), frame)
    assert [told(START + 10), told(START + 910)] == [(3, 0.0), (3, 900.0)]
    assert with_owed({}, [sink], START + 910)["backlog"] == 3  # nor can it be read
    monkeypatch.setattr(outbox, "put", put)
    assert told(START + 920) == (3, outbox.counts()["oldest_s"])
    assert sink.owed == 0


def test_a_clip_stays_with_its_part_until_the_outbox_has_it(
    tmp_path: Path, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    camera = Camera(name="dock", source="a.mp4")
    config = edge(tmp_path, camera, hub=HubLink(url="http://127.0.0.1:1"))
    sink = AlertSink(config, camera, outbox, PacketRing(10))
    path = tmp_path / "i1.0.mp4"
    path.write_bytes(b"")
    segment = Segment("i1", 0, path, "0" * 64, 1, 1.0, 1.0)

    def full(*_: Any, **__: Any) -> None:
        raise StoreError("no room")

    put = outbox.clips.put
    monkeypatch.setattr(outbox.clips, "put", full)
    assert sink._keep(segment) is False
    monkeypatch.setattr(outbox.clips, "put", put)
    assert sink._keep(segment) is True
    assert outbox.counts()["clips"] == 1


def test_clips_of_a_box_that_knows_no_hub_yet_wait_for_one_and_nobody_waits_for_them(
    tmp_path: Path, outbox: Outbox
) -> None:
    camera = Camera(name="dock", source="a.mp4")
    path = tmp_path / "i1.0.mp4"
    AlertSink(edge(tmp_path, camera), camera, outbox, PacketRing(10))._keep(
        Segment("i1", 0, path, "0" * 64, 1, 1.0, 1.0)
    )
    due = outbox.clips.next_due()
    assert due is not None and due.path == path
    assert outbox.wait_drained(0.0, clips=False) and not outbox.wait_drained(0.0)


def test_a_health_report_names_model_and_configuration_by_their_hashes(tmp_path: Path) -> None:
    one = edge(tmp_path, Camera(name="dock", source="dock.mp4"))
    same, other = one.model_copy(deep=True), one.model_copy(update={"edge": "box-2"})
    assert what_runs(one) == what_runs(same) != what_runs(other)
    model = REPOSITORY / "models" / "scene.onnx"
    assert what_runs(one)["model_sha256"] == hashlib.sha256(model.read_bytes()).hexdigest()
    nameless = one.model_copy(update={"analysis": one.analysis.model_copy(update={"model": "no-such"})})
    assert what_runs(nameless)["model_sha256"] is None


def test_when_zones_change_a_camera_s_pipeline_is_ended_and_built_anew_with_what_it_had_learned(
    tmp_path: Path, outbox: Outbox
) -> None:
    zones, made = ["before"], []

    class Watching(ScriptedPipeline):
        def process(self, frame: Frame) -> list[IncidentUpdate]:
            if self is made[0] and self.calls == 11:
                zones[0] = "after"  # what the hub commands in the midst of an incident
            return super().process(frame)

    def build() -> ScriptedPipeline:
        made.append(Watching())
        return made[-1]

    camera = Camera(name="dock", source="a.mp4")
    ring = PacketRing(10)
    sink = AlertSink(edge(tmp_path, camera), camera, outbox, ring)
    it = CameraWorker(
        camera, build=build, open_source=lambda _: ListedSource(frames(30)), sink=sink, ring=ring, clock=SystemClock(),
        stop=ImpatientEvent(), zones=lambda: zones[0],
    )  # fmt: skip
    it.start()
    assert it.join(30)
    assert (it.frames, it.crashes, len(made)) == (30, 0, 2)
    assert made[1].recalled == {"ScriptedPipeline": {"calls": 12}}
    assert [e["phase"] for e in sent(outbox)] == ["new", "update", "end", "new", "update", "end"]


def test_zones_are_told_before_the_health_that_says_which_are_in_force(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inference, "load_detector", lambda settings: None)
    monkeypatch.setattr(assembly, "build_pipeline", lambda config, camera, detector, least_score: ScriptedPipeline())
    told: list[str] = []
    monkeypatch.setattr("detector.alerts.mqtt.MqttLink.publish_layout", lambda link, payload: told.append("layout"))
    monkeypatch.setattr("detector.alerts.mqtt.MqttLink.publish_health", lambda link, fields: told.append("health"))
    run(edge(tmp_path, Camera(name="dock", source=str(make_video(tmp_path / "a.mp4"))), broker=Broker(port=1)))
    assert told[0] == "layout" and "health" in told


class StuckPipeline(ScriptedPipeline):
    """Hangs in its twelfth frame until it is let go."""

    free = threading.Event()

    def process(self, frame: Frame) -> list[IncidentUpdate]:
        if self.calls == 12:
            self.free.wait(60)
        return super().process(frame)


def test_a_camera_that_is_stuck_is_told_and_the_process_begins_anew_with_the_others_incidents_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(inference, "load_detector", lambda settings: None)
    monkeypatch.setattr(
        assembly, "build_pipeline",
        lambda config, camera, detector, least_score: StuckPipeline() if camera.name == "bad" else ScriptedPipeline(),
    )  # fmt: skip
    told: list[dict[str, Any]] = []
    monkeypatch.setattr("detector.alerts.mqtt.MqttLink.publish_health", lambda link, fields: told.append(fields))
    monkeypatch.setattr(worker, "HEALTH_EVERY_S", 0.2)
    video = str(make_video(tmp_path / "a.mp4", seconds=4))
    cameras = [Camera(name=name, source=video, loop=True) for name in ("bad", "dock")]
    supervision = Supervision.model_construct(stuck_s=1.0, memory_mb=None)
    config = edge(tmp_path, *cameras, broker=Broker(port=1), supervision=supervision)
    try:
        assert run(config) == BEGIN_ANEW
    finally:
        StuckPipeline.free.set()
    assert {fields["cameras"]["bad"]["state"] for fields in told} >= {"ok", "stuck"}
    assert {fields["cameras"]["dock"]["state"] for fields in told if fields["supervision"]["stuck"]} == {"ok"}
    assert "in process (test_worker.py" in caplog.text or "in _look (camera_worker.py" in caplog.text
    assert "self.free.wait(60)" in caplog.text
    assert "camera bad: stuck" in json.loads((config.data_dir / "restarts.json").read_text())[0][1]
    outbox = Outbox(config.data_dir / "outbox.db", load_identity(config.data_dir), clock=SystemClock())
    assert {fields["camera"] for fields in outbox.left_open()} <= {"bad"}
    outbox.close()


@pytest.mark.parametrize("put_s", [1800.0, -1800.0])
@pytest.mark.parametrize("restarts", [0, 12])
def test_when_the_machine_s_clock_is_set_the_worker_begins_anew_the_later_the_more_often_it_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, put_s: float, restarts: int
) -> None:
    monkeypatch.setattr(inference, "load_detector", lambda settings: None)
    monkeypatch.setattr(assembly, "build_pipeline", lambda config, camera, detector, least_score: ScriptedPipeline())
    monkeypatch.setattr(worker, "LASTING_S", 0.5)
    config = edge(
        tmp_path, Camera(name="dock", source=str(make_video(tmp_path / "a.mp4")), loop=True), broker=Broker(port=1)
    )
    began, steady = time.time(), time.monotonic()
    told = config.data_dir / "restarts.json"
    told.parent.mkdir()
    told.write_text(json.dumps([[began - 60, "earlier"]] * restarts))

    def machine_s() -> float:  # not the true clock plus a step: where that is set meanwhile, the sum is out
        passed_s = time.monotonic() - steady
        return began + passed_s + put_s * (passed_s > 2.0)

    monkeypatch.setattr(time, "time", machine_s)
    stop = threading.Event()
    threading.Timer(6.0, stop.set).start()
    assert run(config, stop=stop) == (0 if restarts else BEGIN_ANEW)
    at, why = json.loads(told.read_text())[-1]
    if restarts:
        assert why == "earlier"
        return
    assert "clock was set" in why and at == pytest.approx(began + put_s, abs=10.0), (
        "by the clock that holds from now on"
    )
    outbox = Outbox(config.data_dir / "outbox.db", load_identity(config.data_dir), clock=SystemClock())
    assert not outbox.left_open()
    outbox.close()
