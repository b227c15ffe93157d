"""From the video to the side file, live and from recordings: the same looks of the same pictures, and no shift."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import av
import pytest

from detector import assembly
from detector.alerts.identity import load_identity
from detector.alerts.incidents import IncidentBook
from detector.alerts.outbox import Outbox
from detector.alerts.sink import AlertSink
from detector.config import Camera, EdgeConfig, Incidents
from detector.edge.camera_worker import CameraWorker
from detector.inference.looker import SceneLooker
from detector.media.packets import PacketRing
from detector.media.sides import SUFFIX, read_side
from detector.pipeline import Pipeline, Stages
from detector.recorded.judging import judge_session
from detector.recorded.look_files import unpacked
from detector.recorded.looking import look_at, task_of
from detector.recorded.recordings import Piece, Session
from detector.sources.played import PlayedFile
from detector.tracking import SceneTracker
from detector.values import Box, Detections, Frame, IncidentKind, Scene, Severity, Signal
from tests.builders import SteppedClock, detections
from tests.sources.footage import GREYS, make_video, number_of
from tests.test_whole_files import after_a_power_cut, disk

__all__ = ["disk"]  # a fixture

START = 1_800_000_000.0
WIDTH, HEIGHT = 320, 240
CAMERA = Camera(name="dock", source="dock.mp4")
SETTINGS = Incidents(pre_roll_s=2.0, post_roll_s=2.0, join_s=4.0)


class PictureReader:
    """A detector that sees somebody, and a label as far to the right as the picture's number is high."""

    def detect(self, frame: Frame, people: Iterable[Box] = (), turns: object = None) -> Detections:
        left = WIDTH * number_of(frame.image) / GREYS
        return detections([("person", (100, 60, 140, 200), 0.9), ("label", (left, 0, left + 20, 20), 0.8)])


class PhotoEvery:
    """A rule that finds something at given scenes, and believes ever more of everybody."""

    def __init__(self, scenes: set[int]) -> None:
        self._scenes = scenes
        self._count = 0

    def observe(self, scene: Scene) -> Iterable[Signal]:
        self._count += 1
        if self._count in self._scenes:
            tracks = tuple(person.id for person in scene.people)
            at = scene.at
            yield Signal(
                IncidentKind.LABEL_PHOTOGRAPHY, scene.camera, None, at - 1.0, at, 0.9, Severity.WARNING, tracks
            )

    def photographing(self, tracks: Iterable[int]) -> Mapping[int, float]:
        return dict.fromkeys(tracks, self._count % 100 / 100)


def pipeline(scenes: set[int]) -> Pipeline:
    """A pipeline that tells of something in these scenes."""
    return Pipeline(
        SceneLooker(PictureReader()),
        lambda: Stages(SceneTracker(), (PhotoEvery(scenes),), IncidentBook("north", SETTINGS)),
    )


def watched_live(video: Path, folder: Path, scenes: set[int]) -> dict[str, Path]:
    """Clips of a video played as a camera, by incident and segment."""
    config = EdgeConfig(site="north", edge="box-1", data_dir=folder, cameras=[CAMERA], incidents=SETTINGS)
    clock, stop, ring = SteppedClock(START), threading.Event(), PacketRing(40)
    outbox = Outbox(folder / "outbox.db", load_identity(folder), clock=clock)
    worker = CameraWorker(
        CAMERA,
        build=lambda: pipeline(scenes),
        open_source=lambda on_packet: PlayedFile(
            video, camera=CAMERA.name, fps=5, clock=clock, stop=stop, on_packet=on_packet
        ),
        sink=AlertSink(config, CAMERA, outbox, ring),
        ring=ring,
        clock=clock,
        stop=stop,
    )
    worker.start()
    assert worker.join(60) and worker.crashes == 0
    outbox.close()
    return {path.stem: path for path in (folder / "clips" / CAMERA.name).glob("*.mp4")}


def judged(
    pieces: Iterable[Piece], folder: Path, scenes: set[int], monkeypatch: pytest.MonkeyPatch
) -> list[dict[str, Any]]:
    """Records of what a replay tells of recordings."""
    config = EdgeConfig(site="north", edge="box-1", cameras=[CAMERA], incidents=SETTINGS)
    for name in ("clips", "snapshots"):
        (folder / name).mkdir(parents=True)
    with monkeypatch.context() as patch:
        patch.setattr(assembly, "build_looker", lambda _analysis, _detector: pipeline(scenes).looker)
        patch.setattr(assembly, "build_judge", lambda _config, _camera: pipeline(scenes))
        judge_session(
            Session(CAMERA, tuple(pieces)), config, folder, folder / "ledger.json",
            lambda piece: unpacked(look_at(task_of(piece.path, CAMERA.name, config.analysis))),
        )  # fmt: skip
    records: list[dict[str, Any]] = json.loads((folder / "ledger.json").read_text())["incidents"]
    return records


def replayed(video: Path, folder: Path, scenes: set[int], monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """The same of a recording."""
    records = judged([Piece(video, CAMERA, START, "option")], folder, scenes, monkeypatch)
    assert all(record["side"] == record["clip"].removesuffix(".mp4") + SUFFIX for record in records)
    return {f"{record['id']}.0": folder / record["clip"] for record in records}


def test_what_a_replay_knows_of_a_camera_is_there_after_a_power_cut_with_its_pictures(
    disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    video = make_video(tmp_path / "a.mp4", seconds=8, fps=5, key_every=5)
    (record,) = judged([Piece(video, CAMERA, START, "option")], disk / "out", {20}, monkeypatch)
    with after_a_power_cut(disk) as found:
        assert json.loads((found / "out" / "ledger.json").read_text())["incidents"] == [record]
        for name in ("clip", "side", "snapshot"):
            assert (found / "out" / record[name]).read_bytes() == (disk / "out" / record[name]).read_bytes() != b""


def side_of(clip: Path) -> dict[str, Any]:
    """The side file beside a clip."""
    with clip.with_name(clip.stem + SUFFIX).open("rb") as file:
        return read_side(file)


def fits(clip: Path) -> int:
    """Hold every look to the picture that is shown at its time; how many there are."""
    with av.open(str(clip)) as container:
        shown = [
            (float(p.pts * p.time_base), number_of(p.to_ndarray(format="bgr24"))) for p in container.decode(video=0)
        ]
    side = side_of(clip)
    for look in side["looks"]:
        at, number = min(shown, key=lambda picture: abs(picture[0] - look["t"]))
        (label,) = [box for box in look["boxes"] if box[0] == "label"]
        if look["t"] <= shown[-1][0] + 0.001:
            assert (at, number) == (pytest.approx(look["t"], abs=0.003), round(label[2] * GREYS))
    assert side["looks"][0]["t"] < 0.2 and side["looks"][-1]["t"] > side["duration_s"] - 0.25
    return len(side["looks"])


@pytest.mark.parametrize(("name", "b_frames"), [("a.mp4", 2), ("a.mkv", 0), ("a.ts", 2)])
def test_live_and_replay_see_the_same_in_the_same_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, b_frames: int
) -> None:
    video = make_video(tmp_path / name, seconds=16, fps=25, key_every=25, b_frames=b_frames)
    scenes = {21, 26}
    live = watched_live(video, tmp_path / "live", scenes)
    back = replayed(video, tmp_path / "replay", scenes, monkeypatch)
    assert live.keys() == back.keys() and len(live) == 1
    for stem, clip in live.items():
        assert fits(clip) >= 30 and fits(back[stem]) >= 30
        one, other = side_of(clip), side_of(back[stem])
        seen = [
            {round(side["started_at_unix"] + look["t"], 2): {**look, "t": 0} for look in side["looks"]}
            for side in (one, other)
        ]
        common = seen[0].keys() & seen[1].keys()
        assert len(common) >= 30
        assert all(seen[0][at] == seen[1][at] for at in common)
        assert {look["score"]["1"] for look in seen[0].values()} > {0.21, 0.26}


def test_an_incident_told_long_after_it_began_has_looks_from_its_beginning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rule may be sure of something only minutes later; a replayed clip begins where it began all the same."""
    video = make_video(tmp_path / "a.mp4", seconds=60, fps=5, key_every=5)
    late = partial(Signal, IncidentKind.LINGERING, CAMERA.name, None)

    class Late(PhotoEvery):
        def observe(self, scene: Scene) -> Iterable[Signal]:
            self._count += 1
            if self._count == 290:
                yield late(START + 5.0, scene.at, 0.9, Severity.WARNING, (1,))

    monkeypatch.setattr("tests.test_side_files.PhotoEvery", Late)
    (clip,) = replayed(video, tmp_path / "replay", set(), monkeypatch).values()
    assert fits(clip) >= 280


def test_pictures_of_another_size_end_the_side_file_with_the_incident(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two incidents, before and after; no look of the one is in the other, though their times are near."""
    small = make_video(tmp_path / "in" / "a.mp4", seconds=8, fps=25, key_every=25)
    make_video(tmp_path / "in" / "b.mp4", seconds=8, fps=25, key_every=25, size=(640, 480))
    clips = watched_live(small.parent, tmp_path / "live", {20})
    sizes = {stem: side_of(clip) for stem, clip in clips.items()}
    assert sorted(side["size"] for side in sizes.values()) == [[320, 240], [640, 480]]
    later = next(side for side in sizes.values() if side["size"] == [640, 480])
    assert later["started_at_unix"] + later["looks"][0]["t"] >= START + 8.0


def test_an_excerpt_among_the_recordings_costs_no_evidence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody kept three seconds of the first file beside it; what is told later is still of the first."""
    first, second, excerpt = (
        make_video(tmp_path / f"{name}.mp4", seconds=seconds, fps=25, key_every=25)
        for name, seconds in (("first", 16), ("second", 10), ("excerpt", 3))
    )
    pieces = [Piece(first, CAMERA, START, "name"), Piece(second, CAMERA, START + 16, "name")]
    (alone,) = judged(pieces, tmp_path / "alone", {78}, monkeypatch)
    assert alone["file"] == "first.mp4" and alone["clip_duration_s"] > 5
    pieces.insert(1, Piece(excerpt, CAMERA, START + 2, "name"))
    assert judged(pieces, tmp_path / "with", {78}, monkeypatch) == [alone]
