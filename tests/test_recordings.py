"""Which camera recorded a file, and when."""

from __future__ import annotations

import os
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.clock import iso, unix
from detector.config import Camera, EdgeConfig
from detector.errors import ConfigError
from detector.recorded.recorder_names import Named, Pattern, read_name
from detector.recorded.recordings import Session, camera_of, sessions
from tests.sources.footage import make_video
from tests.sources.recorders import dahua, encoded


def config(*names: str, timezone: str = "Asia/Shanghai") -> EdgeConfig:
    cameras = [Camera(name=name, source=f"rtsp://10.0.0.1/{name}") for name in names]
    return EdgeConfig(
        site="s", edge="e", timezone=timezone, cameras=cameras or [Camera(name="none", source="rtsp://x/1")]
    )


def files(folder: Path, *names: str) -> list[Path]:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        os.utime(path, (1_700_000_000, 1_700_000_000))
    return [folder / name for name in names]


def told(found: list[Session]) -> dict[str, list[tuple[str, float | None, str]]]:
    return {s.camera.name: [(p.path.name, p.start_at, p.known_by) for p in s.pieces] for s in found}


@pytest.mark.parametrize(
    ("name", "camera"),
    [
        ("cam1_20261101_0926.mp4", "cam1"),
        ("cam1.mp4", "cam1"),
        ("cam10_20261101_0926.mp4", "cam10"),
        ("cam10-north-2.mp4", "cam10-north"),
        ("cam2.mp4", "cam2"),
        ("Cam1.mp4", "Cam1"),
        ("camera.mp4", "camera"),
    ],
)
def test_a_file_belongs_to_the_camera_it_is_named_after(name: str, camera: str) -> None:
    assert camera_of(Path(name), config("cam1", "cam10", "cam10-north").cameras, Named(None)).name == camera


def test_a_file_belongs_to_the_camera_whose_source_it_is_or_lies_in(tmp_path: Path) -> None:
    one, two = files(tmp_path, "north/0001.mp4", "gate.mp4")
    cameras = [
        Camera(name="bulk", source=str(tmp_path / "north")),
        Camera(name="dock", source=str(two)),
        Camera(name="gate", source="rtsp://10.0.0.1/1"),
    ]
    assert camera_of(one, cameras, Named(None)).name == "bulk"
    assert camera_of(two, cameras, Named(None)).name == "dock"


def test_a_recorder_s_files_belong_to_the_camera_that_names_them() -> None:
    gate, dock, bulk = (
        Camera(name="gate", source="rtsp://h/1", recordings=["NVR_ch1_*"]),
        Camera(name="dock", source="rtsp://h/2", recordings=["002/*/*", "二号门*.dav"]),
        Camera(name="bulk", source="rtsp://h/3"),
    )
    for path, camera in (
        ("NVR_ch1_main_20261101092613_20261101093000.dav", gate),
        ("2026-11-01/002/dav/09.26.13-09.30.00[M][0@0][0].dav", dock),
        ("二号门_2.dav", dock),
        ("bulk/0001.mp4", bulk),
        ("day/bulk/x/0001.mp4", bulk),
        ("bulk_20261101092613_20261101093000.mp4", bulk),
    ):
        name = read_name(Path(path), "UTC")
        assert camera_of(Path(path), [gate, dock, bulk], name) is camera, path
    assert camera_of(Path("NVR_ch12_main.dav"), [gate, dock, bulk], Named(None)).name == "NVR_ch12_main"


@pytest.mark.parametrize(
    ("path", "camera"),
    [
        ("nvr1/2026-11-01/001/dav/09/09.26.13-09.30.00[M][0@0][0].dav", "gate"),
        ("/footage/nvr1/2026-11-01/002/dav/09/09.26.13-09.30.00[M][0@0][0].dav", "gate"),
        ("nvr2/2026-11-01/001/dav/09/09.26.13-09.30.00[M][0@0][0].dav", "dock"),
        ("nvr2/2026-11-01/bulk/09-26-13.mp4", "bulk"),
        ("nvr1/bulk/0001.mp4", "bulk"),
        ("old-nvr1/2026-11-01/003/dav/09/09.26.13-09.30.00[M][0@0][0].dav", "003"),
    ],
)
def test_a_folder_named_for_a_camera_holds_its_files_however_deep_they_lie(path: str, camera: str) -> None:
    cameras = [
        Camera(name="gate", source="rtsp://h/1", recordings=["nvr1/*"]),
        Camera(name="dock", source="rtsp://h/2", recordings=["001/*"]),
        Camera(name="bulk", source="rtsp://h/3", recordings=["bulk/*"]),
    ]
    assert camera_of(Path(path), cameras, read_name(Path(path), "UTC")).name == camera


@pytest.mark.parametrize(
    ("path", "camera"),
    [
        ("东区 3 号机_20261101092613_20261101093000_6834523.mp4", "cam3"),
        ("东区 3 号机_20261101_0926.mp4", "cam3"),
        ("东区 3 号机.mp4", "cam3"),
        ("东区 3 号机/2026-11-01/09-26-13.mp4", "cam3"),
        ("cam2/东区 3 号机_20261101_0926.mp4", "cam2"),
        ("东区 3 号机后面_20261101_0926.mp4", None),
        ("东区 3 号机/后门_20261101_0926.mp4", None),
        ("大门_20261101_0926.mp4", None),
    ],
)
def test_a_file_may_bear_the_title_that_one_camera_alone_has(path: str, camera: str | None) -> None:
    titles = {"cam1": "大门", "cam2": "大门", "cam3": "东区 3 号机"}
    cameras = [Camera(name=name, title=title, source="rtsp://h/1") for name, title in titles.items()]
    found = camera_of(Path(path), cameras, read_name(Path(path), "UTC"))
    assert (found.name if found in cameras else None) == camera


@pytest.mark.parametrize("encoding", ["utf-8", "gbk"])
def test_a_chinese_name_is_read_as_windows_and_its_zips_write_it_too(encoding: str) -> None:
    path = Path("nvr", os.fsdecode("收货口_20261101092613.dav".encode(encoding)))
    dock = Camera(name="dock", title="收货口", source="rtsp://h/1")
    assert camera_of(path, [dock], read_name(path, "UTC")) is dock
    assert camera_of(path, [], read_name(path, "UTC")).title == "收货口"


def test_a_recorder_s_camera_is_one_camera_in_the_folders_of_all_days(tmp_path: Path) -> None:
    paths = files(
        tmp_path,
        "1/NVR_ch1_main_20261101092613_20261101093000.dav",
        "2/NVR_ch1_main_20261102092613_20261102093000.dav",
        "2/NVR_ch2_main_20261102092613_20261102093000.dav",
    )
    found = told(sessions(paths, config(timezone="UTC"), None))
    assert {name: [at for _, at, _ in pieces] for name, pieces in found.items()} == {
        "NVR_ch1_main": [unix("2026-11-01T09:26:13Z"), unix("2026-11-02T09:26:13Z")],
        "NVR_ch2_main": [unix("2026-11-02T09:26:13Z")],
    }


@pytest.mark.parametrize(
    ("names", "cameras"),
    [
        pytest.param(
            ["2026-11-05/gate/08-00-00.mkv", "2026-11-06/gate/08-00-00.mkv", "2026-11-06/dock/08-00-00.mkv"],
            {"gate": 2, "dock": 1},
            id="the time below a folder with the date",
        ),
        pytest.param(
            ["2026/11/05/Cam1_00_20261105070000.mp4", "2026/11/06/Cam1_00_20261106070000.mp4"],
            {"Cam1_00": 2},
            id="folders of year, month and day",
        ),
        pytest.param(
            ["D1_S20261106070000_E20261106070030.ts", "D1_S20261106080000_E20261106080100.ts"],
            {"D1": 2},
            id="from when to when",
        ),
        pytest.param(["a/20261101_0926-0930.mp4", "a/20261101_0930-0940.mp4"], {"a": 2}, id="nothing but the time"),
        pytest.param(["a/2026110109/26M13S_1793496373.mp4", "a/2026110110/26M13S_1793499973.mp4"], {"a": 2}, id="MI"),
        pytest.param(
            ["20261101_090000_ch1.mp4", "20261101_090000_ch2.mp4", "20261101_100000_ch1.mp4"],
            {"ch1": 2, "ch2": 1},
            id="the channel after the time",
        ),
        pytest.param(
            ["ch1/rec_20261101_0900.mp4", "ch2/rec_20261101_0900.mp4", "ch1/rec_20261101_1000.mp4"],
            {"ch1/rec": 2, "ch2/rec": 1},
            id="the channel in a folder",
        ),
        pytest.param(
            ["2026-11-05/gate_08-00-00.mp4", "2026-11-06/gate_09-00-00.mp4", "2026-11-06/dock_08-00-00.mp4"],
            {"gate": 2, "dock": 1},
            id="the time after the camera, below a folder with the date",
        ),
        pytest.param(
            ["20261105/20261105_080000_tp00012.mp4", "20261106/20261106_080000_tp00013.mp4"],
            {"{folder}": 2},
            id="a number of the file after the time",
        ),
        pytest.param(
            [
                "Mp4/RecM01_20261105_080000_080100_6D28808_1A468F9.mp4",
                "Mp4/RecM01_20261106_080000_080100_6D28808_1B4.mp4",
            ],
            {"RecM01": 2},
            id="flags and the size after the time",
        ),
        pytest.param(
            ["2026-11-05/01/c_20261105_0900.mp4", "2026-11-05/02/c_20261105_0900.mp4"],
            {"01/c": 1, "02/c": 1},
            id="a number that may be an hour or a channel",
        ),
    ],
)
def test_files_that_differ_in_date_and_time_alone_are_of_one_camera(
    names: list[str], cameras: dict[str, int], tmp_path: Path
) -> None:
    found = sessions(files(tmp_path, *names), config(), None)
    cameras = {name.format(folder=tmp_path.name): number for name, number in cameras.items()}
    assert {session.camera.title: len(session.pieces) for session in found} == cameras
    assert all(piece.known_by == "name" for session in found for piece in session.pieces)


def test_cameras_that_people_would_call_the_same_are_called_by_their_folders_too(tmp_path: Path) -> None:
    found = sessions(files(tmp_path, "a/1/0001.mp4", "a/2/0001.mp4", "b/0002.mp4"), config(), None)
    assert [session.camera.title for session in found] == ["1/0001", "2/0001", "0002"]


def test_the_recorder_s_clock_may_show_another_time_zone_than_the_site_s(tmp_path: Path) -> None:
    (path,) = files(tmp_path, "ch1_20261101092613.mp4")
    (found,) = told(sessions([path], config(), None, zone="UTC")).values()
    assert found == [("ch1_20261101092613.mp4", unix("2026-11-01T09:26:13Z"), "name")]


@pytest.mark.parametrize(
    ("said", "at"),
    [
        ("2026-11-01T01:26:13.000000Z", unix("2026-11-01T01:26:13Z")),
        ("1904-01-01T00:00:00.000000Z", None),
        ("1970-01-01T00:00:00.000000Z", None),
    ],
)
def test_without_a_name_that_tells_the_container_does(tmp_path: Path, said: str, at: float | None) -> None:
    path = tmp_path / "clip.mp4"
    with av.open(str(path), "w", options={"movflags": "+faststart"}) as container:
        container.metadata["creation_time"] = said
        stream = container.add_stream("mpeg4", rate=5)
        stream.width, stream.height = 32, 32
        container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), "bgr24")))
        container.mux(stream.encode(None))
    os.utime(path, (1_700_000_000, 1_700_000_000))
    (found,) = told(sessions([path], config(), None)).values()
    assert found == [("clip.mp4", at, "container") if at else ("clip.mp4", 1_700_000_000.0, "file date")]


@pytest.mark.parametrize(("zone", "at"), [(None, "2026-11-01T01:26:13Z"), ("UTC", "2026-11-01T09:26:13Z")])
def test_a_dahua_file_of_any_name_tells_when_by_the_recorder_s_clock(zone: str | None, at: str, tmp_path: Path) -> None:
    path = dahua(tmp_path / "1.dav", encoded(seconds=1))
    (found,) = told(sessions([path], config(), None, zone=zone)).values()
    assert found == [("1.dav", unix(at), "container")]


@settings(deadline=None)
@given(st.text(min_size=1, max_size=90).filter(lambda s: "/" not in s and "\0" not in s and s not in (".", "..")))
def test_a_file_of_any_name_has_a_camera(stem: str) -> None:
    camera = camera_of(Path(f"{stem}.mp4"), [], Named(None))
    assert camera.title == Path(f"{stem}.mp4").stem
    assert camera.zones[0].kind == "storage"
    assert camera.zones[0].policy.phones == "forbidden"


def test_files_of_a_camera_are_one_session_in_order_of_time(tmp_path: Path) -> None:
    paths = files(tmp_path, "cam1_20261101_0930.mp4", "cam2_20261101_0926.mp4", "cam1_20261101_0926.mp4")
    found = told(sessions(paths, config("cam1", "cam2", timezone="UTC"), None))
    assert found == {
        "cam1": [
            ("cam1_20261101_0926.mp4", unix("2026-11-01T09:26:00Z"), "name"),
            ("cam1_20261101_0930.mp4", unix("2026-11-01T09:30:00Z"), "name"),
        ],
        "cam2": [("cam2_20261101_0926.mp4", unix("2026-11-01T09:26:00Z"), "name")],
    }


def test_a_given_start_holds_for_the_first_file_of_each_camera(tmp_path: Path) -> None:
    paths = files(tmp_path, "cam1_b.mp4", "cam1_a.mp4", "cam2_20261101_0926.mp4")
    assert told(sessions(paths, config("cam1", "cam2"), 5.0)) == {
        "cam1": [("cam1_b.mp4", 5.0, "option"), ("cam1_a.mp4", None, "file before")],
        "cam2": [("cam2_20261101_0926.mp4", 5.0, "option")],
    }


def test_a_file_that_says_nothing_is_as_long_as_its_name_says(tmp_path: Path) -> None:
    names = ("cam1_20261101090000_20261101100000.mp4", "cam1_20261101100000_20261101110000.mp4")
    (found,) = sessions(files(tmp_path, *names), config("cam1"), 5.0)
    assert [piece.expected_at for piece in found.pieces] == [5.0, 3605.0]


def test_without_a_name_that_tells_the_file_date_does(tmp_path: Path) -> None:
    found = told(sessions(files(tmp_path, "clip.mp4"), config(), None))
    assert found == {"clip": [("clip.mp4", 1_700_000_000.0, "file date")]}


def test_a_date_beyond_the_calendar_stops_nothing(tmp_path: Path) -> None:
    (path,) = files(tmp_path, "clip.mp4")
    os.utime(path, (300_000_000_000, 300_000_000_000))  # in the year 11476, where the file system holds it
    (session,) = sessions([path], config(), None)
    (piece,) = session.pieces
    assert iso(piece.start_at or 0.0) and piece.known_by == "file date"


def test_a_file_s_date_is_that_of_its_end(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    make_video(path, seconds=4)
    os.utime(path, (1_700_000_000, 1_700_000_000))
    assert told(sessions([path], config(), None)) == {"clip": [("clip.mp4", 1_700_000_000.0 - 4, "file date")]}


@pytest.mark.parametrize(
    "names",
    [
        pytest.param(["a/0001.mp4", "b/0001.mp4"], id="one name in two folders"),
        pytest.param(["大门.mp4", "后门.mp4"], id="names of Chinese letters only"),
        pytest.param(["东区 3.mp4", "西区 3.mp4"], id="names that differ in Chinese letters only"),
        pytest.param(["gate!.mp4", "gate?.mp4"], id="names that differ in signs only"),
        pytest.param(["x" * 70 + "1.mp4", "x" * 70 + "2.mp4"], id="very long names"),
        pytest.param(["东区 cam1.mp4", "cam1.mp4"], id="the name of a known camera"),
    ],
)
def test_files_of_unknown_cameras_are_never_taken_for_one_camera(names: list[str], tmp_path: Path) -> None:
    paths = files(tmp_path, *names)
    found = sessions(paths, config("cam1"), None)
    assert [len(session.pieces) for session in found] == [1, 1]
    assert len({session.camera.name for session in found}) == 2
    assert all(Camera.model_validate(session.camera.model_dump()) for session in found)
    assert told(sessions(paths, config("cam1"), None)) == told(found)


@pytest.mark.parametrize(
    "names", [("大门", "后门"), ("大门", "东大门"), ("大门_20261101092613_20261101093000", "后门")]
)
def test_files_whose_names_are_of_another_encoding_are_cameras_of_their_own(
    names: tuple[str, ...], tmp_path: Path
) -> None:
    paths = [tmp_path / os.fsdecode(f"{name}.mp4".encode("gbk")) for name in names]
    for path in paths:
        path.touch()
    found = sessions(paths, config(), None)
    assert [len(session.pieces) for session in found] == [1] * len(names)
    for session in found:
        session.camera.model_dump_json()


@pytest.mark.parametrize("encoding", ["utf-8", "gbk"])
def test_two_cameras_of_a_recorder_with_chinese_names_are_two_on_all_days(encoding: str) -> None:
    days = ("20261101092613_20261101093000", "20261102092613_20261102093000")
    names = [f"{camera}_{day}.mp4" for camera in ("大门", "后门") for day in days]
    found = sessions([Path(os.fsdecode(name.encode(encoding))) for name in names], config(), None)
    assert [len(session.pieces) for session in found] == [2, 2]


def test_a_file_named_twice_is_no_second_camera(tmp_path: Path) -> None:
    paths = files(tmp_path, "clip.mp4")
    assert list(told(sessions([*paths, *paths], config(), None))) == ["clip"]


def test_a_pattern_that_fits_no_file_is_refused_and_one_that_fits_some_is_not(tmp_path: Path) -> None:
    paths = files(tmp_path, "dock/1101-0926.mp4", "dock/20261101-0926.mp4")
    with pytest.raises(ConfigError, match=r"--pattern: .*: fits no file, such as .*1101-0926\.mp4"):
        sessions(paths, config(), None, pattern=Pattern("{camera}-%Y%m%d-%H%M"))
    found = told(sessions(paths, config(timezone="UTC"), None, pattern=Pattern("{camera}/%Y%m%d-%H%M")))
    assert found["dock"] == [("20261101-0926.mp4", unix("2026-11-01T09:26:00Z"), "name")]


def test_no_files_make_no_sessions() -> None:
    assert sessions([], config(), None) == []
