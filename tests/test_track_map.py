"""Where people go out of sight, by a day of tracks: journeys, time away, places, the picture, the file, the command."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.cli import main
from detector.config import Camera, Zone, load_edge
from detector.errors import SourceUnavailable
from detector.inference.gate import MotionGate
from detector.inference.looker import SceneLooker
from detector.tools.track_log import Footage, Point, Track, TrackLog, read_footage, watch, write_footage
from detector.tools.track_map import CAP_S, draw, heat, journeys, places, track_map, vanishings
from detector.tracking import SceneTracker
from detector.values import Box, Detections, Frame
from tests.builders import SIZE, detections, person, scene, times
from tests.conftest import REPOSITORY
from tests.sources.footage import make_video

CORNER, GATE, FLOOR = (150.0, 400.0), (1000.0, 500.0), (640.0, 600.0)
HEIGHT = 200.0
CAMERA = Camera(
    name="cam1",
    title="散件区 Bulk",
    source="rtsp://10.0.0.2/1",
    zones=[Zone(name="corner", kind="blind_edge", polygon=[(0, 0.4), (0.2, 0.4), (0.2, 0.7), (0, 0.7)])],
)
IGNORED = Zone(name="walkway", kind="ignore", polygon=[(0, 0.3), (0.3, 0.3), (0.3, 0.8), (0, 0.8)])


def track(
    number: int,
    begin: float,
    end: float,
    first: Point,
    last: Point,
    heading: Point = (0.0, 0.0),
    farthest: float = 300.0,
) -> Track:
    return Track(number, begin, end, first, last, heading, HEIGHT, farthest)


def footage(tracks: Sequence[Track], *stretches: tuple[float, float]) -> Footage:
    ordered = tuple(sorted(tracks, key=lambda t: t.last_at))
    return Footage("cam1", SIZE, stretches or ((0.0, 10_000.0),), ordered)


def goes_and_comes(at: float, place: Point, away_s: float, number: int = 1) -> list[Track]:
    """Somebody walks to a place, and is there again later; both on their way from and to the floor's edge."""
    return [
        track(2 * number, at - 20, at, FLOOR, place, (-50.0, 0.0)),
        track(2 * number + 1, at + away_s, at + away_s + 20, place, FLOOR),
    ]


# From scenes to tracks.


def test_a_track_is_where_somebody_began_and_ended() -> None:
    log = TrackLog()
    for t in times(0, 10, 5):
        x = 200 + 50 * min(t, 6)
        people = [person(7, (x - 40, 300, x + 40, 500), t)] if t <= 6 else []
        log.observe(scene(t, people, ended=[7] if t == 9 else []))
    (found,) = log.finish("cam1", SIZE).tracks
    assert (found.track, found.first_at, found.last_at) == (7, 0, 6)
    assert (found.first, found.last) == ((200, 500), (500, 500))
    assert found.heading == pytest.approx((50, 0))
    assert (found.height, found.farthest) == (200, 300)


def test_a_gap_in_the_footage_ends_every_track() -> None:
    log = TrackLog()
    for t in (*times(0, 5, 2), *times(100, 105, 2)):
        log.observe(scene(t, [person(1, (0, 0, 50, 100), t)]))
    found = log.finish("cam1", SIZE)
    assert found.stretches == ((0, 5), (100, 105))
    assert found.seconds == 10
    assert [(t.first_at, t.last_at) for t in found.tracks] == [(0, 5), (100, 105)]


@pytest.fixture
def nobody_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    class Nobody:
        def detect(self, frame: Frame, people: Iterable[Box] = (), turns: object = None) -> Detections:
            return detections([])

    monkeypatch.setattr(
        "detector.assembly.build_tracking", lambda config: (SceneLooker(Nobody(), MotionGate), SceneTracker())
    )


@pytest.mark.usefixtures("nobody_is_seen")
def test_footage_in_which_nothing_moves_goes_on(tmp_path: Path) -> None:
    still = np.full((36, 64, 3), 99, np.uint8)
    make_video(
        tmp_path / "cam1_20261101_0926.mp4", seconds=40, fps=Fraction(25, 2), size=(64, 36), draw=lambda n: still
    )
    (tmp_path / "edge.yaml").write_text(CONFIG, encoding="utf-8")
    found, _ = watch([tmp_path], load_edge(tmp_path / "edge.yaml"))
    assert len(found.stretches) == 1
    assert found.seconds == pytest.approx(40, abs=0.5)


def test_a_box_of_no_numbers_is_nobody() -> None:
    log = TrackLog()
    log.observe(scene(0, [person(1, (math.nan, 0, 50, 100))]))
    assert log.finish("cam1", SIZE).tracks == ()


# From tracks to journeys.


def test_somebody_hidden_for_a_moment_goes_on() -> None:
    broken = [track(1, 0, 10, FLOOR, (500, 500)), track(2, 14, 30, (350, 480), CORNER)]
    (whole,) = journeys(broken, SIZE)
    assert (whole.track, whole.first_at, whole.first, whole.last) == (2, 0, FLOOR, CORNER)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param(track(1, 0, 10, FLOOR, CORNER), track(2, 40, 60, CORNER, FLOOR), id="too late"),
        pytest.param(track(1, 0, 10, FLOOR, CORNER), track(2, 12, 60, GATE, FLOOR), id="too far"),
        pytest.param(track(1, 0, 10, FLOOR, CORNER), track(2, 9, 60, CORNER, FLOOR), id="seen together"),
        pytest.param(
            track(1, 0, 10, FLOOR, (60, 400), (-90, 0)), track(2, 14, 60, (60, 400), FLOOR), id="out of the picture"
        ),
    ],
)
def test_others_are_journeys_of_their_own(first: Track, second: Track) -> None:
    assert len(journeys([first, second], SIZE)) == 2


def test_who_is_seen_beside_another_for_one_moment_is_not_that_other_one() -> None:
    other, moment = track(1, 0, 20, FLOOR, GATE), track(2, 0, 0, FLOOR, FLOOR)
    assert journeys([other, moment], SIZE) == [moment, other]


def test_what_never_walked_is_no_journey() -> None:
    coat = [track(n, 100 * n, 100 * n + 20, CORNER, CORNER, farthest=30) for n in range(9)]
    assert journeys(coat, SIZE) == []
    assert vanishings(footage(coat)) == ([], 0)


# From journeys to time out of sight.


def test_away_until_somebody_appears_there() -> None:
    found, number = vanishings(footage(goes_and_comes(100, CORNER, 240)))
    assert number == 2
    # The second journey ends too: on the floor, where nobody appears until the footage ends.
    assert [(v.end.last, v.away_s, v.back) for v in found] == [(CORNER, 240, True), (FLOOR, CAP_S, False)]


def test_an_appearance_elsewhere_ends_it_when_nobody_returns() -> None:
    tracks = [track(1, 0, 100, FLOOR, CORNER), track(2, 400, 420, GATE, FLOOR)]
    (first, _), _ = vanishings(footage(tracks))
    assert (first.away_s, first.back) == (300, False)


def test_one_appearance_ends_one_absence() -> None:
    tracks = [
        track(1, 0, 100, FLOOR, CORNER), track(2, 50, 130, FLOOR, CORNER), track(3, 300, 9_999.5, CORNER, FLOOR),
    ]  # fmt: skip
    found, _ = vanishings(footage(tracks))
    assert [(v.away_s, v.back) for v in found] == [(CAP_S, False), (170, True)]


def test_one_who_left_for_good_does_not_lend_their_time_to_the_rest() -> None:
    tracks = [track(999, 0, 50, FLOOR, CORNER)]
    for n in range(20):
        tracks += goes_and_comes(200.0 + 400 * n, CORNER, 30, n)
    found, _ = vanishings(footage(tracks))
    assert sorted(v.away_s for v in found if v.end.last == CORNER)[:-1] == [30] * 20


@pytest.mark.parametrize(
    "tracks",
    [
        pytest.param([], id="nobody"),
        pytest.param([track(1, 0, 9_999.5, FLOOR, CORNER)], id="still in view at the end"),
    ],
)
def test_nobody_vanished(tracks: list[Track]) -> None:
    assert vanishings(footage(tracks))[0] == []


def test_stretches_of_footage_are_apart() -> None:
    tracks = [track(1, 0, 50, FLOOR, CORNER), track(2, 5_010, 5_050, CORNER, FLOOR)]
    (first, _), _ = vanishings(footage(tracks, (0.0, 100.0), (5_000.0, 6_000.0)))
    assert (first.away_s, first.back) == (50, False)


@given(st.lists(st.tuples(st.floats(0, 9_000), st.floats(20, 5_000)), max_size=12))
def test_time_away_is_positive_capped_and_one_for_each_vanishing(stays: list[tuple[float, float]]) -> None:
    tracks = [t for n, (at, away_s) in enumerate(stays) for t in goes_and_comes(at + 30, CORNER, away_s, n)]
    inside = [t for t in tracks if t.last_at <= 10_000]
    found, number = vanishings(footage(inside))
    assert len(found) <= number <= len(inside)
    assert all(0 < v.away_s <= CAP_S for v in found)


# From time to places.


def day(visits: Sequence[tuple[Point, float, int]]) -> Footage:
    """People who go to places and come back, one after another, then stay in view."""
    tracks, at, number = [], 100.0, 0
    for place, away_s, times_ in visits:
        for _ in range(times_):
            number += 1
            tracks += goes_and_comes(at, place, away_s, number)
            at += away_s + 60
    return footage(tracks, (0.0, at + 1000))


def test_heat_is_minutes_where_they_vanished() -> None:
    found, _ = vanishings(day([(CORNER, 120, 3)]))
    hot = heat([v for v in found if v.end.last == CORNER], SIZE)
    assert hot.shape == (180, 320)
    row, column = np.unravel_index(int(hot.argmax()), hot.shape)
    assert (column * 4, row * 4) == pytest.approx(CORNER, abs=4)
    assert hot.max() == pytest.approx(6.0, rel=0.01)


@pytest.mark.parametrize("at", [(-5000.0, 100.0), (1e9, 1e9), (0.0, 0.0), (1280.0, 720.0)])
def test_a_vanishing_at_or_beyond_the_picture_s_border_is_borne(at: Point) -> None:
    found, _ = vanishings(footage([track(1, 0, 50, FLOOR, at)]))
    assert np.isfinite(heat(found, SIZE)).all()
    assert places(found, SIZE) in ([], places(found, SIZE))
    draw(track_map(footage([track(1, 0, 50, FLOOR, at)]), CAMERA), None)


def test_the_place_of_most_time_comes_first() -> None:
    made = track_map(day([(GATE, 40, 12), (CORNER, 600, 4)]), CAMERA)
    corner, gate = (p for p in made.places if math.dist(p.at, FLOOR) > 150)
    assert corner.at == pytest.approx(CORNER, abs=4)
    assert gate.at == pytest.approx(GATE, abs=4)
    assert corner.heading == pytest.approx((-1, 0))
    record = made.record()
    told = next(p for p in record["places"] if p["zone"] == "corner")
    assert told["x"] == pytest.approx(CORNER[0] / SIZE[0], abs=0.01)
    assert (told["vanished"], told["appeared_again"], told["median_away_s"]) == (4, 4, 600)
    assert told["total_away_s"] == 2400
    assert told["share_of_journeys"] == pytest.approx(4 / made.journeys, abs=1e-3)
    assert json.loads(json.dumps(record)) == record


@pytest.mark.parametrize(
    ("zones", "names"),
    [
        pytest.param(CAMERA.zones, {"corner", None}, id="as drawn"),
        pytest.param([], {None}, id="none"),
        pytest.param([*CAMERA.zones, IGNORED], {None}, id="the worker ignores it"),
    ],
)
def test_a_place_is_named_by_the_zone_it_has_for_the_worker(zones: list[Zone], names: set[str | None]) -> None:
    made = track_map(day([(GATE, 40, 12), (CORNER, 600, 4)]), CAMERA.model_copy(update={"zones": zones}))
    assert {place["zone"] for place in made.record()["places"]} == names


# The picture.


def test_the_map_shows_the_picture_darker_and_glows_at_the_place() -> None:
    picture = np.full((360, 640, 3), 200, np.uint8)
    drawn = draw(track_map(day([(CORNER, 600, 4)]), CAMERA), picture)
    assert drawn.shape[1] == 1280
    assert drawn.dtype == np.uint8
    assert drawn[40, 1200].max() < 130
    x, y = round(CORNER[0]) + 30, round(CORNER[1]) + 20
    assert drawn[y, x].max() > 180
    assert drawn[y, x, 2] > drawn[y, x, 0]


@pytest.mark.parametrize("picture", [None, np.zeros((1080, 1920, 3), np.uint8), np.zeros((7, 5, 3), np.uint8)])
def test_a_map_of_nobody_is_drawn_too(picture: np.ndarray[Any, Any] | None) -> None:
    assert draw(track_map(footage([]), CAMERA), picture).shape[1] == 1280


def test_a_map_of_nobody_has_no_scale() -> None:
    nobody, somebody = (draw(track_map(one, CAMERA), None) for one in (footage([]), day([(CORNER, 600, 4)])))
    beside_the_title = [drawn[720:820, 960:].reshape(-1, 3).astype(int) for drawn in (nobody, somebody)]
    assert [bool((np.ptp(pixels, axis=1) > 60).any()) for pixels in beside_the_title] == [False, True]


def test_with_an_older_opencv_the_map_is_english(monkeypatch: pytest.MonkeyPatch) -> None:
    made = track_map(day([(CORNER, 600, 4)]), CAMERA)
    both = draw(made, None)
    monkeypatch.delattr(cv2, "FontFace", raising=False)
    english = draw(made, None)
    assert english.shape == both.shape
    assert (english != both).any()


# The file.


def test_tracks_are_read_as_they_were_written(tmp_path: Path) -> None:
    made = day([(CORNER, 600, 2)])
    picture = np.full((36, 64, 3), 90, np.uint8)
    write_footage(tmp_path / "map.tracks.jsonl", made, picture)
    read, shown = read_footage(tmp_path / "map.tracks.jsonl")
    assert read.tracks == made.tracks
    assert (read.camera, read.size, read.stretches) == (made.camera, made.size, made.stretches)
    assert shown is not None
    assert (shown == picture).all()


def test_who_is_there_from_the_first_frame_is_on_a_map_that_is_drawn_again(tmp_path: Path) -> None:
    begin = 1000 + 1 / 2300  # as frame times are: with more places than a file of tracks keeps
    made = footage([track(1, begin, begin + 60, FLOOR, CORNER)], (begin, begin + 600))
    write_footage(tmp_path / "a.jsonl", made, np.zeros((9, 16, 3), np.uint8))
    assert len(vanishings(read_footage(tmp_path / "a.jsonl")[0])[0]) == len(vanishings(made)[0]) == 1


def test_a_map_can_be_drawn_again_without_its_picture(tmp_path: Path) -> None:
    write_footage(tmp_path / "a.jsonl", day([]), np.zeros((9, 16, 3), np.uint8))
    (tmp_path / "a.picture.png").unlink()
    assert read_footage(tmp_path / "a.jsonl")[1] is None


HEAD = {"labelwatch_tracks": 1, "camera": "cam1", "width": 64, "height": 36, "stretches": [[0, 9]], "picture": "p.png"}
LINE = {
    "track": 1, "first_at": 0, "last_at": 5, "first": [1, 2], "last": [3, 4], "heading": [0, 0], "height": 20,
    "farthest": 9,
}  # fmt: skip


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        pytest.param([], "line 1: no tracks", id="empty"),
        pytest.param(["{"], "line 1: no tracks", id="no JSON"),
        pytest.param(["[]"], "line 1: no tracks", id="a list"),
        pytest.param([json.dumps({"camera": "cam1"})], "line 1: no tracks", id="other JSON"),
        pytest.param([json.dumps(HEAD | {"labelwatch_tracks": 2})], "line 1: no tracks", id="another format"),
        pytest.param([json.dumps(HEAD | {"width": 0})], "line 1: no tracks", id="no size"),
        pytest.param(
            [json.dumps(HEAD | {"width": 10**9, "height": 10**9})], "line 1: no tracks", id="no camera's size"
        ),
        pytest.param([json.dumps(HEAD | {"width": 1, "height": 9000})], "line 1: no tracks", id="no camera's shape"),
        pytest.param([json.dumps(HEAD | {"camera": "a/b"})], "line 1: no tracks", id="no camera's name"),
        pytest.param([json.dumps(HEAD), json.dumps(LINE), "{}"], "line 3: no track", id="no track"),
        pytest.param([json.dumps(HEAD), json.dumps(LINE | {"last": [None, 1]})], "line 2: no track", id="no place"),
        pytest.param([json.dumps(HEAD), json.dumps(LINE | {"height": math.nan})], "line 2: no track", id="no number"),
        pytest.param([json.dumps(HEAD), json.dumps(LINE | {"height": 0})], "line 2: no track", id="no height"),
        pytest.param([json.dumps(HEAD), json.dumps(LINE | {"last": [1e300, 1]})], "line 2: no track", id="too far"),
    ],
)
def test_what_is_no_file_of_tracks_is_told_with_its_line(lines: list[str], words: str, tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text("\n".join(lines))
    with pytest.raises(SourceUnavailable, match=words):
        read_footage(path)


# The command.

CONFIG = """
site: s
edge: e
cameras:
  - {name: cam1, title: 散件区 Bulk, source: rtsp://10.0.0.2/1}
  - {name: cam2, source: rtsp://10.0.0.3/1}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "edge.yaml").write_text(CONFIG, encoding="utf-8")
    write_footage(tmp_path / "day.jsonl", day([(CORNER, 600, 4)]), np.full((360, 640, 3), 99, np.uint8))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_command_draws_tracks_again(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["map", "edge.yaml", "--tracks", "day.jsonl", "--out", "deep/map.png"]) == 0
    told = capsys.readouterr().out
    assert "走出视线" in told
    assert "out of sight" in told
    image = cv2.imread(str(folder / "deep" / "map.png"))
    assert image is not None
    assert image.shape[1] == 1280


def test_the_command_tells_json_alone(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["map", "edge.yaml", "--tracks", "day.jsonl", "--json", "--camera", "cam1"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["camera"] == "cam1"
    assert record["files"] == ["map.png"]
    assert {"x", "y", "vanished", "total_away_s", "median_away_s", "share_of_journeys"} <= record["places"][0].keys()


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        pytest.param(["--tracks", "gone.jsonl"], 2, "gone.jsonl: no such file", id="no tracks"),
        pytest.param(["--tracks", "edge.yaml"], 1, "line 1: no tracks", id="something else"),
        pytest.param(["--tracks", "day.jsonl", "--camera", "cam9"], 2, "cam9", id="another camera"),
        pytest.param(["--tracks", "day.jsonl", "--out", "map.pdf"], 2, "name it .png", id="no kind of picture"),
        pytest.param(["--recordings", "gone"], 2, "gone: no such file or folder", id="no recordings"),
        pytest.param(["--recordings", "empty.mp4"], 1, "no picture can be decoded", id="no pictures"),
        pytest.param(["--recordings", "cam1_1.mp4", "cam2_1.mp4"], 2, "cam1, cam2", id="two cameras"),
        pytest.param(["--recordings", "cam1_1.mp4", "--camera", "cam2"], 2, "of the camera cam2", id="not that one"),
        pytest.param(
            ["--recordings", "cam1_1.mp4", "--camera", "cam2"], 2, "cam1; `recordings` of a camera", id="whose are they"
        ),
    ],
)
def test_what_can_not_be_drawn_is_one_line(
    arguments: list[str], code: int, words: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("empty.mp4", "cam1_1.mp4", "cam2_1.mp4"):
        (folder / name).touch()
    assert main(["map", "edge.yaml", *arguments]) == code
    told = [line for line in capsys.readouterr().err.splitlines() if line.startswith("labelwatch: ")]
    assert len(told) == 1
    assert words in told[0]


@pytest.mark.parametrize("out", ["/proc/map.png", "taken.png"])
def test_a_map_that_can_not_be_written_is_told_before_a_day_of_recordings_is_watched(
    out: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "cam1_1.mp4").touch()  # which can't be watched, and would be told next
    (folder / "taken.png").mkdir()
    assert main(["map", "edge.yaml", "--recordings", "cam1_1.mp4", "--out", out]) == 2
    told = [line for line in capsys.readouterr().err.splitlines() if line.startswith("labelwatch: ")]
    assert len(told) == 1
    assert f"--out: can't be written: {out}: " in told[0]


def test_the_command_watches_recordings(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clip = REPOSITORY / "tests" / "clips" / "ordinary_scan_carry.mp4"
    day = folder / "2026-11-01"
    (day / "cam1").mkdir(parents=True)  # as recorders do, and as replay reads them
    (day / "cam1" / "cam1_20261101_0926.mp4").write_bytes(clip.read_bytes())
    (day / "index.bin").touch()
    (folder / "slow.yaml").write_text(CONFIG + "analysis: {fps: 1.0, frame_side: 320}\n", encoding="utf-8")
    assert main(["map", "slow.yaml", "--recordings", str(day), "--out", "map.png", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["camera"] == "cam1"
    assert record["hours"] > 0
    assert record["files"] == ["map.png", "map.tracks.jsonl"]
    assert record["unreadable"] == []
    read, picture = read_footage(folder / "map.tracks.jsonl")
    assert picture is not None
    assert picture.shape[1] == 960
    assert read.seconds == pytest.approx(record["hours"] * 3600, abs=2)


@pytest.mark.parametrize(("names", "told"), [(["a.mkv", "b.mkv"], "2 of 2 files"), (["a_20261101_0926.mkv"], "")])
def test_a_map_of_recordings_that_only_their_date_dates_says_so(
    names: list[str], told: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in names:
        make_video(folder / "cam1" / name, seconds=1, fps=2)
    (folder / "slow.yaml").write_text(CONFIG + "analysis: {fps: 1.0, frame_side: 320}\n", encoding="utf-8")
    assert main(["map", "slow.yaml", "--recordings", "cam1"]) == 0
    said = capsys.readouterr().err
    assert ("which copying changes" in said) == bool(told) and told in said


def test_a_map_of_recordings_not_all_of_which_can_be_read_is_drawn_but_fails(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clip = REPOSITORY / "tests" / "clips" / "ordinary_scan_carry.mp4"
    (folder / "cam1_20261101_0926.mp4").write_bytes(clip.read_bytes())
    (folder / "cam1_20261101_1026.mp4").write_bytes(b"torn")
    (folder / "slow.yaml").write_text(CONFIG + "analysis: {fps: 1.0, frame_side: 320}\n", encoding="utf-8")
    assert main(["map", "slow.yaml", "--recordings", ".", "--json"]) == 1
    told = capsys.readouterr()
    (why,) = json.loads(told.out)["unreadable"]
    assert "cam1_20261101_1026.mp4" in why and "cam1_20261101_1026.mp4" in told.err
    assert (folder / "map.png").exists()
