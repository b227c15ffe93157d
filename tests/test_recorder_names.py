"""What recorders' file names say."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.clock import unix
from detector.errors import ConfigError
from detector.recorded.recorder_names import Named, Pattern, read_name

SHANGHAI = "Asia/Shanghai"
NINE = unix("2026-11-01T09:26:13+08:00")


@pytest.mark.parametrize(
    ("name", "local"),
    [
        ("cam3_20261101_0926.mp4", "2026-11-01T09:26:00"),
        ("cam3_20261101_092613.mp4", "2026-11-01T09:26:13"),
        ("20261101092613.mp4", "2026-11-01T09:26:13"),
        ("ch120261101092613.mp4", "2026-11-01T09:26:13"),
        ("2026-11-01T09-26-13.mp4", "2026-11-01T09:26:13"),
        ("2026-11-01 09.26.13.mkv", "2026-11-01T09:26:13"),
        ("PXL_20261101_092613250.mp4", "2026-11-01T09:26:13"),
        ("RecM01_20261101_092613_093000.mp4", "2026-11-01T09:26:13"),
        ("20261101_0926-0930.mp4", "2026-11-01T09:26:00"),
        ("20261399_9999_20261101_0926.mp4", "2026-11-01T09:26:00"),
        ("20261101.mp4", None),
        ("20261301_0926.mp4", None),
        ("20261101_2560.mp4", None),
        ("clip.mp4", None),
        ("serial-2026110109261312345678.mp4", None),
    ],
)
@pytest.mark.parametrize(("timezone", "offset"), [("Asia/Shanghai", "+08:00"), ("UTC", "Z")])
def test_a_file_name_tells_when_it_begins(name: str, local: str | None, timezone: str, offset: str) -> None:
    assert read_name(Path(name), timezone).start_at == (unix(local + offset) if local else None)


@pytest.mark.parametrize(
    ("path", "named"),
    [
        (
            "NVR_ch1_main_20261101092613_20261101093000.dav",
            Named(NINE, "NVR_ch1_main", length_s=227),
        ),
        (
            "Camera 01_20261101092613_20261101093000_6834523.mp4",
            Named(NINE, "Camera 01", length_s=227),
        ),
        ("大门_20261101092613_20261101093000.mp4", Named(NINE, "大门", length_s=227)),
        ("192.168.1.64_01_20261101092613044_1.mp4", Named(NINE, "192.168.1.64_01")),
        ("ch01_20261101092613.mp4", Named(NINE, "ch01")),
        (
            "disk/2026-11-01/001/dav/09/09.26.13-09.30.00[M][0@0][0].dav",
            Named(NINE, "001", length_s=227),
        ),
        ("2026-11-01/dock/09.26.13-09.30.00[R][0@0][0].mp4", Named(NINE, "dock", length_s=227)),
        (
            "2026-11-01/001/dav/23/23.59.00-00.01.00[M][0@0][0].dav",
            Named(unix("2026-11-01T23:59:00+08:00"), "001", length_s=120),
        ),
        ("recordings/2026-11-01/01/gate/26.13.mp4", Named(NINE, "gate")),
        ("2026110109/26M13S_1793496373.mp4", Named(NINE, series="")),
        ("gate_1793496373-1793496600.mp4", Named(NINE, "gate", length_s=227)),
        ("NVR_ch1_main_20261101092613_20261101092613.dav", Named(NINE, "NVR_ch1_main")),
        ("NVR_ch1_main_20261101092613_20261201092613.dav", Named(NINE, "NVR_ch1_main")),
        ("NVR_ch1_main_20261101092613_20261101999999.dav", Named(NINE, "NVR_ch1_main")),
        ("NVR_ch1_main_20261301092613_20261301093000.dav", Named(None)),
        ("2026-11-31/001/dav/09/09.26.13-09.30.00[M].dav", Named(None)),
        ("gate/2026-11-01/09-26-13.mkv", Named(NINE, series="gate//")),
        ("20261101/gate/092613-093000.mkv", Named(NINE, series="/gate/")),
        ("20261101/gate/09.26.13_motion.mkv", Named(NINE, series="/gate/_motion")),
        ("20261101/gate/092613.mkv", Named(None)),
        ("20261101/gate/99-26-13.mkv", Named(None)),
        ("20261101/10.10.10.21_0001.mkv", Named(None)),
        ("gate_20261101_092613.mkv", Named(NINE, series="./gate_")),
        ("2026-11-01/cam-03_09-26-13.mp4", Named(NINE, series="/cam-03_")),
        ("20261101/大门 09.26.13-09.30.00.mp4", Named(NINE, series="/大门 ")),
        ("2026-11-01/gate_26-11-01.mp4", Named(None)),  # the day again, in one order or another
        ("2026-11-01/gate_01-11-26.mp4", Named(None)),
        ("2026-11-01/gate_11-01-26.mp4", Named(None)),
        ("2026-11-01/gate-03-09-26-13.mp4", Named(None)),
        ("2026-11-01/A09-26-13.mp4", Named(None)),
        ("2026-11-01/gate 10.10.10.21.mp4", Named(None)),
        (
            "axis-ACCC8E012345/20261101/09/20261101_092613_5D3B/20261101_09/20261101_092613_6AF2.mkv",
            Named(NINE, "ACCC8E012345"),
        ),
        (
            "20261101_092500_5D3B_ACCC8E012345/20261101_09/20261101_092613_6AF2.mkv",
            Named(NINE, "ACCC8E012345"),
        ),
        ("20261101/gate/20261101_092613_tp00012.mp4", Named(NINE, series="/gate/")),
        (
            "2026-11-01/RecM01_20261101_092613_093000_6D28808_1A468F9.mp4",
            Named(NINE, series="/RecM01_"),
        ),
        (
            "2026-11-01/RecM01_DST20261101_092613_093000_0_800_800_033C820000_61B6F0.mp4",
            Named(NINE, series="/RecM01_"),
        ),
    ],
)
def test_known_recorders_say_beginning_and_camera(path: str, named: Named) -> None:
    assert read_name(Path(path), SHANGHAI) == named


@pytest.mark.parametrize(
    ("pattern", "path", "start_at", "camera"),
    [
        ("{camera}/%Y-%m-%d/%H%M%S*", "a/gate/2026-11-01/092613-093000.mp4", NINE, "gate"),
        ("{camera}_%Y%m%d%H%M%S_*", "gate 2_20261101092613_x.mp4", NINE, "gate 2"),
        ("%s_{camera}", "1793496373_gate.mp4", NINE, "gate"),
        ("%Y%m%d/%Y%m%d%H%M%S", "20261101/20261101092613.mp4", NINE, None),
        ("%Y%m%d/%Y%m%d%H%M%S", "20261102/20261101092613.mp4", None, None),
        ("100%%_%Y%m%d_%H.%M", "100%_20261101_09.26.mp4", unix("2026-11-01T09:26:00+08:00"), None),
        ("?%Y%m%d%H%M", "ab202611010926.mp4", None, None),
        ("%Y%m%d%H%M%S", "20261101996613.mp4", None, None),
        ("%Y%m%d%H%M%S", "00010101000000.mp4", None, None),
        ("%Y%m%d%H%M%S", "99991231235959.mp4", None, None),
    ],
)
def test_a_pattern_reads_names_that_nobody_knows(
    pattern: str, path: str, start_at: float | None, camera: str | None
) -> None:
    named = read_name(Path(path), SHANGHAI, Pattern(pattern))
    assert named.start_at == start_at
    assert named.camera == (camera if start_at is not None else named.camera)


@pytest.mark.parametrize("pattern", ["", "{camera}", "%Y%m%d", "%Y%m%d%H%M%q", "%Y%m%d%H%M%"])
def test_a_pattern_that_says_no_time_or_knows_other_fields_is_an_error_with_an_example(pattern: str) -> None:
    with pytest.raises(ConfigError, match="for example"):
        Pattern(pattern)


@given(st.text(max_size=60), st.text(min_size=1, max_size=60))
def test_any_name_and_any_pattern_are_read_or_refused(pattern: str, name: str) -> None:
    path = Path("x" + name)
    read_name(path, SHANGHAI)
    try:
        form = Pattern(pattern)
    except ConfigError:
        return
    read_name(path, SHANGHAI, form)
