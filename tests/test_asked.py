"""Which recordings are asked for."""

from __future__ import annotations

import json
import shutil
from datetime import date, time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.cli import main
from detector.clock import iso, unix
from detector.config import Camera
from detector.errors import ConfigError
from detector.recorded.asked import Asked
from detector.recorded.recordings import Piece, Session
from detector.values import DAY_S
from tests.sources.footage import make_video

SHANGHAI = "Asia/Shanghai"
NIGHT = time(22), time(6)
NOON = time(11, 30), time(13)


def asked(*cameras: str, **limits: Any) -> Asked:
    return Asked(SHANGHAI, cameras, **limits)


def at(text: str) -> float:
    """Unix seconds of a time in Shanghai in November 2026: `3 22:30`, the day and the time of day."""
    day, clock = text.split()
    return unix(f"2026-11-{int(day):02}T{clock}+08:00")


def spans(of: Asked, begin: str, until: str) -> list[tuple[float, float]]:
    return list(of.spans(at(begin), at(until)))


@pytest.mark.parametrize(
    ("limits", "begin", "until", "left"),
    [
        pytest.param({}, "1 08:00", "9 09:00", [("1 08:00", "9 09:00")], id="all of it"),
        pytest.param({"first": date(2026, 11, 3)}, "1 08:00", "9 09:00", [("3 00:00", "9 09:00")], id="from a day on"),
        pytest.param({"last": date(2026, 11, 3)}, "1 08:00", "9 09:00", [("1 08:00", "4 00:00")], id="up to a day"),
        pytest.param({"hours": NOON}, "1 12:00", "3 12:00",
                     [("1 12:00", "1 13:00"), ("2 11:30", "2 13:00"), ("3 11:30", "3 12:00")], id="at noon"),
        pytest.param({"hours": NIGHT}, "1 05:00", "2 23:00",
                     [("1 05:00", "1 06:00"), ("1 22:00", "2 06:00"), ("2 22:00", "2 23:00")], id="at night"),
        pytest.param({"hours": NIGHT, "first": date(2026, 11, 2), "last": date(2026, 11, 2)}, "1 00:00", "9 00:00",
                     [("2 22:00", "3 06:00")], id="a night is of the day on which it begins"),
        pytest.param({"hours": NOON}, "1 14:00", "2 11:00", [], id="nothing"),
    ],
)  # fmt: skip
def test_what_is_asked_for_of_a_stretch_of_time(
    limits: dict[str, Any], begin: str, until: str, left: list[tuple[str, str]]
) -> None:
    assert spans(asked(**limits), begin, until) == [(at(a), at(b)) for a, b in left]


days = st.integers(1, 28).map(lambda n: date(2026, 11, n))
limits = st.tuples(st.none() | days, st.none() | days).filter(lambda both: not all(both) or sorted(both) == [*both])
clocks = st.tuples(st.times(), st.times()).filter(lambda both: both[0] != both[1])


@given(
    limits, st.none() | clocks,
    st.floats(0, 20 * DAY_S), st.floats(0, 9 * DAY_S), st.sampled_from([SHANGHAI, "Europe/Berlin", "America/New_York"]),
)  # fmt: skip
def test_spans_are_in_order_apart_and_within(
    days: tuple[date | None, date | None], hours: tuple[time, time] | None, begin: float, length: float, zone: str
) -> None:
    begin += at("1 00:00")
    found = list(Asked(zone, (), *days, hours).spans(begin, begin + length))
    edges = [edge for span in found for edge in span]
    assert edges == sorted(set(edges))
    assert all(begin <= edge <= begin + length for edge in edges)


@given(limits, st.none() | clocks, st.floats(0, 20 * DAY_S), st.floats(0, 9 * DAY_S))
def test_a_stretch_cut_in_two_asks_for_the_same(
    days: tuple[date | None, date | None], hours: tuple[time, time] | None, begin: float, length: float
) -> None:
    of, begin = Asked(SHANGHAI, (), *days, hours), begin + at("1 00:00")
    middle, until = begin + length / 3, begin + length
    whole = sum(b - a for a, b in of.spans(begin, until))
    halves = sum(b - a for ends in ((begin, middle), (middle, until)) for a, b in of.spans(*ends))
    assert whole == pytest.approx(halves, abs=1e-3)


def camera(name: str) -> Camera:
    return Camera(name=name, title=name.upper(), source="rtsp://10.0.0.1/1")


def session(*begin: str, name: str = "gate", length_s: float | None = 3600.0, known_by: str = "name") -> Session:
    of = camera(name)
    pieces = [Piece(Path(f"{name}-{n}.mp4"), of, at(b), known_by, at(b), length_s) for n, b in enumerate(begin)]
    return Session(of, tuple(pieces))


def kept(of: Asked, *every: Session) -> tuple[dict[str, list[str]], int]:
    chosen, left_out = of.of(every)
    return {one.camera.name: [piece.path.stem for piece in one.pieces] for one in chosen}, left_out


def test_a_file_is_kept_if_any_of_it_was_asked_for() -> None:
    files = session("1 10:29", "1 10:31", "1 11:31", "1 12:59", "1 13:00")
    assert kept(asked(hours=NOON), files) == ({"gate": ["gate-1", "gate-2", "gate-3"]}, 2)


def test_a_file_that_is_named_to_the_minute_may_last_as_much_longer() -> None:
    of = camera("gate")
    piece = Piece(Path("g.mp4"), of, at("1 11:25"), "name", at("1 11:25"), 290.0, within_s=60.0)
    assert kept(asked(hours=NOON), Session(of, (piece,)))[1] == 0


def test_a_camera_is_asked_for_by_name_or_title_and_others_are_left_out() -> None:
    every = [session("1 10:00", name="gate"), session("1 10:00", "1 11:00", name="dock")]
    assert kept(asked("dock"), *every) == ({"dock": ["dock-0", "dock-1"]}, 1)
    assert kept(asked("dock", "gate"), *every)[1] == 0
    assert kept(asked(every[1].camera.title or ""), *every)[0].keys() == {"dock"}


def test_where_nobody_knows_when_or_for_how_long_a_file_is_looked_at() -> None:
    unknown = session("1 10:00", "1 10:30", length_s=None)
    assert kept(asked(hours=NOON), unknown)[1] == 0
    following = Session(camera("gate"), (Piece(Path("b.mp4"), camera("gate"), None, "file before"),))
    assert kept(asked(hours=NOON), following)[1] == 0


def test_files_that_follow_one_that_is_left_out_begin_where_it_would_have_ended() -> None:
    of, hour = camera("gate"), 3600.0
    first = Piece(Path("0.mp4"), of, at("1 10:00"), "option", at("1 10:00"), hour)
    later = [Piece(Path(f"{n}.mp4"), of, None, "file before", at("1 10:00") + n * hour, hour) for n in (1, 2, 3)]
    (chosen,), left_out = asked(hours=(time(12, 30), time(13, 30))).of([Session(of, (first, *later))])
    assert left_out == 2
    assert [(piece.path.stem, piece.start_at) for piece in chosen.pieces] == [("2", at("1 12:00")), ("3", None)]


def test_what_comes_before_a_file_is_kept_where_only_that_tells_when_it_begins() -> None:
    of = camera("gate")
    first = Piece(Path("0.mp4"), of, at("1 10:00"), "option", at("1 10:00"), None)
    second = Piece(Path("1.mp4"), of, None, "file before")
    (chosen,), left_out = asked(last=date(2026, 10, 1)).of([Session(of, (first, second))])
    assert ([piece.path.stem for piece in chosen.pieces], left_out) == (["0", "1"], 0)


@pytest.mark.parametrize(
    ("of", "said"),
    [
        pytest.param(asked("dok"), "--camera: no recording here is of a camera 'dok' (of gate)", id="camera"),
        pytest.param(asked(first=date(2026, 12, 1)), "--from: no recording is of that time", id="day"),
        pytest.param(asked(hours=NOON), "the first begins 2026-11-01 01:00, the last 2026-11-02 05:00", id="hours"),
    ],
)  # fmt: skip
def test_who_asks_for_nothing_that_is_there_is_told_what_is(of: Asked, said: str) -> None:
    with pytest.raises(ConfigError, match="replay") as error:
        of.of([session("1 01:00", "2 05:00")])
    assert said in str(error.value)


def files(*begin: str, seconds: float = 3600.0) -> list[dict[str, Any]]:
    return [
        {"camera": "g", "file": b, "start": iso(at(b)), "seconds": seconds, "start_known_by": "name"} for b in begin
    ]


def gaps(of: Asked, there: list[dict[str, Any]], *missing: tuple[str, str]) -> list[tuple[float, float]]:
    borders = [
        {"what": "gap", "from": iso(at(a)), "until": iso(at(b)), "camera": "g", "before": "f"} for a, b in missing
    ]
    return [(unix(gap["from"]), unix(gap["until"])) for gap in of.gaps(there, borders)]


def test_only_what_was_asked_for_is_missing() -> None:
    there = files("1 11:30", "2 12:00")
    between = ("1 12:30", "2 12:00")
    assert gaps(asked(), there, between) == [(at("1 12:30"), at("2 12:00"))]
    assert gaps(asked(hours=NOON), there, between) == [(at("1 12:30"), at("1 13:00")), (at("2 11:30"), at("2 12:00"))]
    assert gaps(asked(hours=NIGHT), there, between) == [(at("1 22:00"), at("2 06:00"))]


def test_days_asked_for_from_before_the_first_file_and_after_the_last_are_missing() -> None:
    of = asked(first=date(2026, 11, 1), last=date(2026, 11, 4), hours=NOON)
    assert gaps(of, files("2 11:00", "3 12:30")) == [
        (at("1 11:30"), at("1 13:00")), (at("4 11:30"), at("4 13:00")),
    ]  # fmt: skip


def test_a_replay_of_what_was_asked_for_says_so_and_misses_nothing_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for n, begin in enumerate(("20261101_115955", "20261101_150000", "20261102_120000", "20261102_235958")):
        make_video(tmp_path / f"gate_{begin}.mp4", seconds=4 + n, fps=5)  # no two alike: of copies one is looked at
    make_video(tmp_path / "dock_20261101_120000.mp4", seconds=2, fps=5)
    config = tmp_path / "edge.yaml"
    cameras = "".join(f"  - {{name: {name}, source: 'rtsp://127.0.0.1/1'}}\n" for name in ("gate", "dock"))
    looks = "analysis: {fps: 1, frame_side: 160, zooms: 0}\n"
    config.write_text(f"site: s\nedge: e\ntimezone: {SHANGHAI}\n{looks}cameras:\n{cameras}")
    command = ["replay", str(tmp_path), "--config", str(config), "--out", str(tmp_path / "out"), "--camera", "gate"]
    limits = ["--from", "2026-11-01", "--to", "2026-11-02", "--hours", "11:59-13:00"]
    assert main([*command, *limits]) == 0
    assert "3 files are not of what was asked for" in capsys.readouterr().err
    summary = json.loads((tmp_path / "out" / "summary.json").read_text(encoding="utf-8"))
    assert [Path(file["file"]).stem for file in summary["recordings"]] == [
        "gate_20261101_115955",
        "gate_20261102_120000",
    ]
    assert summary["asked"] == {
        "cameras": ["gate"], "from": "2026-11-01", "to": "2026-11-02", "hours": "11:59-13:00", "files_left_out": 3,
    }  # fmt: skip
    assert [round(gap["seconds"]) for gap in summary["gaps"]] == [55, 3601, 60, 3594]
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "Asked for: gate · 2026-11-01 – 2026-11-02 · 11:59–13:00. 3 other files were not looked at." in page


@pytest.mark.parametrize(
    "limits", [["--from", "2026-11-02"], ["--hours", "11:00-12:00"], ["--camera", "yard"]], ids=lambda limits: limits[0]
)
def test_of_copies_the_one_asked_for_is_looked_at(limits: list[str], tmp_path: Path) -> None:
    footage, out = tmp_path / "footage", tmp_path / "out"
    footage.mkdir()
    make_video(footage / "gate_20261101_100000.mp4", seconds=2, fps=5)
    shutil.copy(footage / "gate_20261101_100000.mp4", footage / "yard_20261102_110000.mp4")
    shutil.copy(footage / "gate_20261101_100000.mp4", footage / "gate_20261031_100000.mp4")
    config = tmp_path / "edge.yaml"
    looks, cameras = "analysis: {fps: 1, frame_side: 160, zooms: 0}", "cameras: [{name: gate, source: 'rtsp://h/1'}]"
    config.write_text(f"site: s\nedge: e\ntimezone: {SHANGHAI}\n{looks}\n{cameras}\n")
    assert main(["replay", str(footage), "--config", str(config), "--out", str(out), *limits]) == 0
    summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    assert [Path(file["file"]).stem for file in summary["recordings"]] == ["yard_20261102_110000"]


@pytest.mark.parametrize(
    ("option", "value"),
    [("--from", "1.11.2026"), ("--to", "2026-13-01"), ("--hours", "9-10"), ("--hours", "09:00-09:00")],
)
def test_what_is_no_day_or_no_times_is_a_usage_error(
    option: str, value: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["replay", str(tmp_path), "--config", "c.yaml", "--out", str(tmp_path / "out"), option, value])
    assert stopped.value.code == 2 and value in capsys.readouterr().err


def test_a_last_day_before_the_first_is_refused() -> None:
    with pytest.raises(ConfigError, match="--to: 2026-11-03 is before --from, 2026-11-05"):
        asked(first=date(2026, 11, 5), last=date(2026, 11, 3))
