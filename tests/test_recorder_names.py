"""What recorders' file names say."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.clock import unix
from detector.errors import ConfigError
from detector.recorded.recorder_names import NAME, NEVER, TWICE, Named, Pattern, read_name

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
        ("2026年11月01日09时26分13秒.mp4", "2026-11-01T09:26:13"),
        ("大门_2026年11月01日 09时26分.mp4", "2026-11-01T09:26:00"),
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
        ("2026-11-01/192.168.1.30_1_S09-26-13_E09-30-00.mp4", Named(NINE, "192.168.1.30_1", length_s=227)),
        ("Dock/20261101AM/Dock-20261101-092613-1793496373.mp4", Named(NINE, "Dock")),
        ("recordings/2026-11-01/01/gate/26.13.mp4", Named(NINE, "gate")),
        ("2026110109/26M13S_1793496373.mp4", Named(NINE, series="")),
        ("gate_1793496373-1793496600.mp4", Named(NINE, "gate", length_s=227)),
        ("NVR_ch1_main_20261101092613_20261101092613.dav", Named(NINE, "NVR_ch1_main")),
        ("NVR_ch1_main_20261101092613_20261201092613.dav", Named(NINE, "NVR_ch1_main")),
        ("NVR_ch1_main_20261101092613_20261101999999.dav", Named(NINE, "NVR_ch1_main")),
        ("NVR_ch1_main_20261301092613_20261301093000.dav", Named(None)),
        ("2026-11-31/001/dav/09/09.26.13-09.30.00[M].dav", Named(None)),
        ("gate/2026-11-01/09-26-13.mkv", Named(NINE, series="gate//")),
        ("gate/2026-11/20261101_092613.mkv", Named(NINE, series="gate//")),
        ("gate/2026/11/01/09-26-13.mkv", Named(NINE, series="gate//")),
        ("大门_2026年11月01日09时26分13秒.mp4", Named(NINE, series="./大门_")),
        ("Dock_2026-11-01_09-26-13_2026-11-01_09-30-00.mp4", Named(NINE, series="./Dock__")),
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


BERLIN = "Europe/Berlin"  # clocks go forward on 2026-03-29 at 02:00 and back on 2026-10-25 at 03:00


@pytest.mark.parametrize(
    ("path", "length_s"),
    [
        ("2026-03-28/001/dav/23/23.30.00-00.30.00[M].dav", 3600),
        ("2026-03-29/001/dav/23/23.30.00-00.30.00[M].dav", 3600),
        ("2026-10-25/001/dav/23/23.30.00-00.30.00[M].dav", 3600),
        ("2026-03-29/001/dav/01/01.30.00-03.30.00[M].dav", 3600),
        ("2026-10-25/001/dav/01/01.30.00-03.30.00[M].dav", 3 * 3600),
        ("NVR_ch1_main_20261224233000_20261225003000.mp4", 3600),
    ],
)
def test_a_name_over_midnight_or_a_change_of_clocks_says_how_long_its_file_is(path: str, length_s: float) -> None:
    assert read_name(Path(path), BERLIN).length_s == length_s


@pytest.mark.parametrize(
    ("path", "zone", "start_at", "known_by"),
    [
        ("gate_20261025_015959.mkv", BERLIN, "2026-10-24T23:59:59Z", NAME),
        ("gate_20261025_020000.mkv", BERLIN, "2026-10-25T00:00:00Z", TWICE),
        ("gate_20261025_025959.mkv", BERLIN, "2026-10-25T00:59:59Z", TWICE),
        ("gate_20261025_030000.mkv", BERLIN, "2026-10-25T02:00:00Z", NAME),
        ("2026-10-25/001/dav/02/02.30.00-02.40.00[M].dav", BERLIN, "2026-10-25T00:30:00Z", TWICE),
        ("2026-10-25/gate/02-30-00.mkv", BERLIN, "2026-10-25T00:30:00Z", TWICE),
        ("gate_20260329_015959.mkv", BERLIN, "2026-03-29T00:59:59Z", NAME),
        ("gate_20260329_023000.mkv", BERLIN, "2026-03-29T01:30:00Z", NEVER),
        ("gate_20260329_030000.mkv", BERLIN, "2026-03-29T01:00:00Z", NAME),
        ("gate_20261101_013000.mkv", "America/New_York", "2026-11-01T05:30:00Z", TWICE),
        ("gate_20261025_023000.mkv", "Etc/GMT-1", "2026-10-25T01:30:00Z", NAME),
        ("gate_20260301_000000.mkv", "Asia/Kathmandu", "2026-02-28T18:15:00Z", NAME),
        ("gate_20280229_235959.mkv", SHANGHAI, "2028-02-29T15:59:59Z", NAME),
        # By clocks that are never changed
        ("recordings/2026-10-25/02/gate/30.00.mp4", BERLIN, "2026-10-25T02:30:00Z", NAME),
        ("gate_1792888200-1792888260.mp4", BERLIN, "2026-10-25T00:30:00Z", NAME),
        ("gate_20261025T013000Z.mp4", BERLIN, "2026-10-25T01:30:00Z", NAME),
        ("2026-10-25T01-30-00.250Z_gate.mp4", BERLIN, "2026-10-25T01:30:00Z", NAME),
        ("Dock-20261025-023000-1792891800.mp4", BERLIN, "2026-10-25T01:30:00Z", NAME),
    ],
)
def test_a_name_of_an_hour_that_comes_twice_or_never_says_so(
    path: str, zone: str, start_at: str, known_by: str
) -> None:
    named = read_name(Path(path), zone)
    assert (named.start_at, named.known_by) == (unix(start_at), known_by)
    if path.startswith("gate_20"):
        assert read_name(Path(path), zone, Pattern("gate_%Y%m%d_%H%M%S")).known_by == known_by


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
