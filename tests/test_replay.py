"""Replay, end to end with the shipped model: what is found in the rendered clips, and what a second run does."""

from __future__ import annotations

import errno
import json
import logging
import os
import random
import re
import resource
import shutil
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import islice, pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import av
import numpy as np
import pytest
import yaml

from detector import wire
from detector.alerts.cutting import cut_recording
from detector.cli import main
from detector.config import Analysis, Camera, EdgeConfig, load_edge
from detector.edge.zoned import Zoned
from detector.errors import LabelwatchError
from detector.machine.progress import Step
from detector.recorded import judging, looking
from detector.recorded.checksums import LOOKS, code_in, looking_code
from detector.recorded.crews import Alone, set_aside
from detector.recorded.judges import JUDGED
from detector.recorded.look_folder import LookFolder
from detector.recorded.looking import LookTask, look_at, task_of
from detector.recorded.publishing import read_results
from detector.recorded.recorder_names import Named, read_name
from detector.recorded.recordings import FILE_DATE, Session, camera_of, sessions
from detector.replay import replay
from detector.report.reasons import in_chinese
from detector.sources.recording import Recording
from detector.sources.video import Video
from detector.tuned import Tuned
from tests.conftest import REPOSITORY
from tests.parts_resume import (
    CAMERAS,
    FILES,
    begin,
    evidence,
    finished_work,
    kill_somewhere,
    make_footage,
    write_config,
)
from tests.sources.footage import make_ahead, make_turned, make_two, make_video
from tests.sources.recorders import dahua, encoded, encrypted

CLIPS = Path(__file__).parent / "clips"
SWEEP = Path(__file__).parent.parent / "configs" / "demo" / "sweep_near.mp4"
START = "2026-11-01T09:26:00Z"


def configured(folder: Path) -> Path:
    """An edge configuration whose only camera has nothing to do with the clips."""
    file = folder / "edge.yaml"
    file.write_text("site: test\nedge: edge-01\ncameras:\n  - {name: gate, source: 'rtsp://127.0.0.1/gate'}\n")
    return file


@pytest.fixture
def glancing(tmp_path: Path) -> EdgeConfig:
    """One that looks seldom and coarsely, for what doesn't depend on what is seen."""
    look = Analysis(fps=1, frame_side=160, zooms=0)
    return load_edge(configured(tmp_path)).model_copy(update={"analysis": look})


@pytest.fixture
def config_file(tmp_path: Path) -> Path:
    """Such a configuration."""
    return configured(tmp_path)


@pytest.fixture
def coarse(tmp_path: Path) -> Path:
    """One of a file, with two cameras, that looks coarsely."""
    return write_config(tmp_path)


def lines_of(out: Path) -> list[dict[str, Any]]:
    """Incidents as written."""
    return [json.loads(line) for line in (out / "incidents.jsonl").read_text(encoding="utf-8").splitlines()]


def replayed(clip: Path, config_file: Path, out: Path, *more: str) -> list[dict[str, Any]]:
    """Incidents that the command line finds in a clip."""
    code = main(["replay", str(clip), "--config", str(config_file), "--out", str(out), "--start", START, *more])
    assert code == 0
    return lines_of(out)


def test_a_sweep_across_two_files_is_one_incident_with_its_photos_and_evidence(
    config_file: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "footage"
    first = cut_recording(SWEEP, 0.0, 8.0, folder / "1.mp4")  # it ends in the midst of the photos
    second = cut_recording(SWEEP, first.duration_s, 13.0, folder / "2.mp4")
    for n, start_s in ((1, 0.0), (2, second.start_s)):
        stamp = (datetime.fromisoformat(START) + timedelta(seconds=start_s)).astimezone(ZoneInfo("Asia/Shanghai"))
        (folder / f"{n}.mp4").rename(folder / f"NVR_ch1_{stamp:%Y%m%d%H%M%S}_20261101172620.mp4")
    assert main(["replay", str(folder), "--config", str(config_file), "--out", str(tmp_path / "out")]) == 0
    (sweep,) = (i for i in lines_of(tmp_path / "out") if i["kind"] == "label_photography")
    assert (sweep["schema"], sweep["site"]) == (1, "test")
    photos = [act for act in sweep["acts"] if act["kind"] == "photo"]
    assert 3 <= len(photos) <= 5
    assert photos[0]["start_offset_s"] < second.start_s < photos[-1]["end_offset_s"]
    assert len({parcel for act in photos for parcel in act["parcels"]}) >= 2
    exposed = sweep["labels_exposed"]
    assert 2 <= exposed["low"] <= exposed["best"] <= exposed["high"]
    assert sweep["camera"] == "NVR_ch1" and sweep["zone"] == "all"
    assert 0 < sweep["start_offset_s"] < sweep["end_offset_s"] < 20
    clip = Recording(tmp_path / "out" / sweep["clip"], camera="c", start_at=0.0, fps=30)
    times = [frame.captured_at for frame in clip]
    assert times[-1] >= sweep["end_offset_s"] - 0.5, "the clip goes on in the second file"
    assert max(b - a for a, b in pairwise(times)) < 0.5 and clip.decode_errors == 0
    assert (tmp_path / "out" / sweep["snapshot"]).read_bytes()[:2] == b"\xff\xd8"


@pytest.fixture(scope="module")
def ordinary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where somebody's ordinary work was replayed to, with all that was seen of it."""
    home = tmp_path_factory.mktemp("ordinary")
    replayed(CLIPS / "ordinary_scan_carry.mp4", configured(home), home / "out", "--keep-looks")
    return home / "out"


def test_scanning_carrying_and_a_call_are_no_incident(ordinary: Path) -> None:
    assert [i for i in lines_of(ordinary) if i["kind"] == "label_photography"] == []


def test_people_too_far_off_to_be_judged_are_told_of(
    ordinary: Path,
    config_file: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # As tall as nobody is in this picture.
    monkeypatch.setattr("detector.assembly.least_height_px", lambda _model: 9999.0)
    out = shutil.copytree(ordinary, tmp_path / "out")  # who is too far off is judged of what was seen
    replayed(CLIPS / "ordinary_scan_carry.mp4", config_file, out, "--keep-looks")
    (camera,) = json.loads((out / "summary.json").read_text(encoding="utf-8"))["cameras"]
    assert camera["people"]["in_view_s"] == camera["people"]["too_far_s"] > 10
    assert "people were mostly too far off" in capsys.readouterr().err


@pytest.fixture(scope="module")
def footage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two clips: a patch turned label up, and thrown parcels."""
    folder = tmp_path_factory.mktemp("footage")
    for name in ("patch_18_up.mp4", "thrown_5_up.mp4"):
        shutil.copy(CLIPS / name, folder)
    return folder


@pytest.fixture(scope="module")
def in_one_process(footage: Path, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What is found there, looked for once for all tests."""
    home = tmp_path_factory.mktemp("one")
    return replayed(footage, configured(home), home / "out")


def test_a_patch_turned_label_up_is_one_incident(in_one_process: list[dict[str, Any]]) -> None:
    (found,) = (incident for incident in in_one_process if incident["camera"] == "patch_18_up")
    assert found["kind"] == "orientation_pattern"
    assert found["facts"]["up"] >= 8


def test_thrown_parcels_are_no_incident(in_one_process: list[dict[str, Any]]) -> None:
    assert [incident for incident in in_one_process if incident["camera"] == "thrown_5_up"] == []


def test_recordings_are_judged_by_what_people_at_the_hub_have_set_for_this_box(
    config_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "data").mkdir()
    desk = {"name": "desk", "kind": "packing", "polygon": [[0, 0], [1, 0], [1, 1], [0, 1]]}
    zones = wire.command_payload(1, {"gate": [desk]}, user="anna", at=0.0)
    scores = wire.command_payload(1, {"gate": {"tamper": 1.0, "lingering": wire.OFF}}, user="anna", at=0.0)
    Zoned(load_edge(config_file)).accept(zones)
    Tuned(load_edge(config_file)).accept(scores)
    shutil.copy(CLIPS / "patch_18_up.mp4", clip := tmp_path / "gate_20261101_092600.mp4")
    assert replayed(clip, config_file, tmp_path / "out") == [], "no patch is told of a packing desk"
    told = capsys.readouterr().err
    assert "gate: its zones were drawn at the hub" in told and "gate: tamper scored below 1 raises no incident" in told
    assert "gate: lingering raises no incident at all" in told


def test_resume_judges_anew_what_was_judged_by_other_weights(
    glancing: EdgeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, out = make_video(tmp_path / "a.mkv", seconds=2, fps=5), tmp_path / "out"
    home = tmp_path / "home" / "models"
    home.mkdir(parents=True)
    for card in Path("models").glob("*.*"):
        (home / card.name).symlink_to(card.resolve())
    monkeypatch.setenv("LABELWATCH_HOME", str(home.parent))

    def judged_now() -> set[Path]:
        before = set((out / "sessions").glob("*.json"))
        replay([file], glancing, out, resume=True)
        return set((out / "sessions").glob("*.json")) - before

    assert [len(judged_now()), len(judged_now())] == [1, 0]
    weights = yaml.safe_load((home / "sweeps.yaml").read_text(encoding="utf-8"))
    (home / "sweeps.yaml").unlink()
    (home / "sweeps.yaml").write_text(yaml.safe_dump(weights | {"offset": weights["offset"] - 1}), encoding="utf-8")
    assert [len(judged_now()), len(judged_now())] == [1, 0]


def test_resume_looks_anew_at_what_was_looked_at_by_other_code(
    glancing: EdgeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, out = make_video(tmp_path / "a.mkv", seconds=2, fps=5), tmp_path / "out"

    def looked_now() -> int:
        before = set((out / "looks").glob("*"))
        replay([file], glancing, out, resume=True, keep_looks=True)
        return len(set((out / "looks").glob("*")) - before)

    assert [looked_now(), looked_now()] == [1, 0]
    monkeypatch.setattr(looking, "looking_code", lambda: "of an update")
    assert [looked_now(), looked_now()] == [1, 0]
    replay([file], glancing, out, resume=True)
    assert not (out / "looks").exists()


@pytest.mark.parametrize(
    ("changed", "matters"),
    [
        ("inference/gate.py", True), ("sources/video.py", True), ("values.py", True), ("recorded/looking.py", True),
        ("rules/sweep.py", False), ("recorded/judging.py", False), ("hub/server.py", False),
    ],
)  # fmt: skip
def test_looks_are_known_by_the_code_that_looks(tmp_path: Path, changed: str, matters: bool) -> None:
    package, copy = REPOSITORY / "detector", tmp_path / "detector"
    shutil.copytree(package, copy, ignore=shutil.ignore_patterns("static", "templates", "__pycache__"))
    before = code_in(copy, only=LOOKS)
    assert before == looking_code()
    with (copy / changed).open("a") as file:
        file.write("# changed")
    assert (code_in(copy, only=LOOKS) != before) == matters


def test_files_that_cant_be_read_are_listed_with_reasons_and_the_rest_is_done(
    config_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "footage"
    folder.mkdir()
    shutil.copy(CLIPS / "thrown_5_up.mp4", folder)
    shutil.copy(CLIPS / "thrown_5_up.mp4", folder / "again.mp4")
    (folder / "song.mp3").touch()
    (folder / "empty.mp4").touch()
    (folder / "notes.mp4").write_text("not a video at all, only its name says so\n" * 20)
    (folder / "cut.mp4").write_bytes((CLIPS / "thrown_5_up.mp4").read_bytes()[:60_000])
    out = tmp_path / "out"
    code = main(["replay", str(folder), "--config", str(config_file), "--out", str(out), "--start", START])
    summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    assert code == 1
    assert summary["files"] == 4
    assert (summary["model"]["precision"], summary["model"]["runtime"]) == ("fp32", "onnxruntime")
    assert {Path(item["file"]).name for item in summary["unreadable"]} == {"empty.mp4", "notes.mp4", "cut.mp4"}
    assert all(item["why"] for item in summary["unreadable"])
    assert_said_in_chinese(summary)
    assert {Path(item["file"]).name for item in summary["passed_over"]} == {"thrown_5_up.mp4", "song.mp3"}
    assert summary["frames_inferred"] > 10
    assert "empty.mp4" in capsys.readouterr().err
    assert "empty.mp4" in (out / "report.html").read_text(encoding="utf-8")


def test_of_recordings_that_all_cant_be_read_nobody_says_that_nothing_was_found_in_them(
    config_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "gate_20261101_0926.mp4").touch()
    command = ["replay", str(tmp_path), "--config", str(config_file), "--out", str(tmp_path / "out")]
    assert main(command) == 1
    assert capsys.readouterr().out.startswith("nothing could be seen\n")
    report = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    answer = report[report.index("<h1>") : report.index("</h1>")]
    assert "这些录像全都没能看" in answer and "Nothing of these recordings could be seen" in answer


def test_two_recorders_that_name_their_files_alike_are_told_apart_by_folders(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for n, folder in enumerate(("nvr1", "nvr2", "nvr2/export")):
        clip = tmp_path / "footage" / folder / f"NVR_ch1_main_2026110109260{n}_20261101093000.mkv"
        make_video(clip, seconds=12, fps=5, size=(320, 240 + 2 * n))
    config, out = write_config(tmp_path), tmp_path / "out"
    command = ["replay", str(tmp_path / "footage"), "--config", str(config), "--out", str(out)]
    assert main(command) == 0
    said = capsys.readouterr().err
    assert "NVR_ch1_main: 2 files show a time that another shows, too: there one of them is seen" in said
    assert f"in {tmp_path}/footage/nvr1, {tmp_path}/footage/nvr2, {tmp_path}/footage/nvr2/export: " in said
    assert 'recordings: ["nvr2/*/*"]' in said
    assert "All recordings were seen" not in (out / "report.html").read_text(encoding="utf-8")
    cameras = [{"name": f"gate-{n}", "source": "rtsp://10.0.0.2/1", "recordings": [f"nvr{n}/NVR_*"]} for n in (1, 2)]
    config.write_text(yaml.safe_dump(yaml.safe_load(config.read_text()) | {"cameras": cameras}))
    (tmp_path / "footage" / "nvr2" / "export").rename(tmp_path / "elsewhere")
    assert main(command) == 0
    assert "a time that another shows" not in capsys.readouterr().err
    summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    assert [camera["camera"] for camera in summary["cameras"]] == ["gate-1", "gate-2"]
    assert summary["hours_covered"] == pytest.approx(24 / 3600, abs=1e-4)
    assert "All recordings were seen" in (out / "report.html").read_text(encoding="utf-8")


def test_a_summary_of_very_many_files_lists_what_is_remarkable_and_all_in_files_beside_it(
    glancing: EdgeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("detector.recorded.summary.MOST_LISTED", 2)
    starts, out = (0, 10, 30, 40, 50), tmp_path / "out"
    files = [make_video(tmp_path / f"gate_202611010926{at:02}.mkv", seconds=3, fps=5) for at in starts]
    files[1].write_bytes(b"no video")
    summary = replay(files, glancing, out)
    told = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    whole = {name: (out / f"{name}.jsonl") for name in ("recordings", "gaps")}
    assert {name: list(map(json.loads, file.read_text().splitlines())) for name, file in whole.items()} == {
        name: summary[name] for name in whole
    }
    assert [file["file"] for file in told["recordings"]] == [str(files[1])] and len(summary["recordings"]) == 5
    assert [round(gap["seconds"]) for gap in summary["gaps"]] == [27, 7, 7]
    assert told["gaps"] == summary["gaps"][:2]
    assert told["shortened"] == {
        "recordings": {"listed": 1, "of": 5, "all": "recordings.jsonl"},
        "gaps": {"listed": 2, "of": 3, "all": "gaps.jsonl"},
    }
    assert told["hours_covered"] == summary["hours_covered"] and not (out / "overlaps.jsonl").exists()
    monkeypatch.undo()
    again = replay(files, glancing, out, resume=True)
    assert json.loads((out / "summary.json").read_text(encoding="utf-8")) == again
    assert not any(file.exists() for file in whole.values())


def test_gaps_and_overlaps_between_files_are_told(glancing: EdgeConfig, tmp_path: Path) -> None:
    for at, seconds in (("092600", 5), ("092602", 6), ("093000", 4)):
        make_video(tmp_path / f"gate_20261101_{at}.mp4", seconds=seconds, fps=5)
    files = sorted(tmp_path.glob("gate*"))
    summary = replay(files, glancing, tmp_path / "out")
    (overlap,), (gap,) = summary["overlaps"], summary["gaps"]
    assert (overlap["from"], overlap["until"]) == ("2026-11-01T01:26:02.000Z", "2026-11-01T01:26:05.000Z")
    assert (gap["from"], gap["until"]) == ("2026-11-01T01:26:08.000Z", "2026-11-01T01:30:00.000Z")
    assert gap["camera"] == "gate" and gap["before"] == str(files[2])
    assert summary["hours_covered"] * 3600 == pytest.approx(8 + 4, abs=0.1)  # of the overlap once


def test_an_excerpt_beside_the_whole_overlaps_for_as_long_as_it_is(glancing: EdgeConfig, tmp_path: Path) -> None:
    for at, seconds in (("092600", 12), ("092603", 3)):
        make_video(tmp_path / f"gate_20261101_{at}.mp4", seconds=seconds, fps=5)
    (overlap,) = replay(sorted(tmp_path.glob("gate*")), glancing, tmp_path / "out")["overlaps"]
    assert (overlap["from"], overlap["until"]) == ("2026-11-01T01:26:03.000Z", "2026-11-01T01:26:06.000Z")
    assert overlap["seconds"] == 3


def test_looks_that_were_damaged_on_the_disk_are_had_again_by_resuming(glancing: EdgeConfig, tmp_path: Path) -> None:
    clip = make_video(tmp_path / "gate_20261101_092600.mp4", seconds=6, fps=5)
    out = tmp_path / "out"
    whole = replay([clip], glancing, out, keep_looks=True)
    (looks,), (ledger,) = (out / "looks").iterdir(), (out / "sessions").iterdir()
    ledger.unlink()
    with looks.open("r+b") as file:
        file.seek(looks.stat().st_size // 4)
        file.write(bytes(64))
    spoilt = replay([clip], glancing, out, resume=True)
    assert [told["why"] for told in spoilt["unreadable"] if "can't be read back" in told["why"]]
    again = replay([clip], glancing, out, resume=True)
    assert again["unreadable"] == [] and again["frames_inferred"] == whole["frames_inferred"] > 0


def test_a_file_that_only_its_date_tells_of_is_named_as_such(
    coarse: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clip = make_video(tmp_path / "nvr" / "20261105" / "091500.mp4", seconds=2)
    command = ["replay", str(clip.parent), "--config", str(coarse), "--out", str(tmp_path / "out")]
    assert main(command) == 0
    assert "one file, such as" in (said := capsys.readouterr().err) and "--pattern" in said
    assert main([*command, "--pattern", "%Y%m%d/%H%M%S"]) == 0
    assert "such as" not in capsys.readouterr().err


def test_an_hour_that_is_missing_within_a_file_is_a_gap_and_was_not_watched(
    glancing: EdgeConfig, tmp_path: Path
) -> None:
    (tmp_path / "made").mkdir()
    made = make_ahead(tmp_path / "made" / "a.mkv", ahead_s=3600.0)
    summary = replay([made.rename(tmp_path / "gate_20261101_092600.mkv")], glancing, tmp_path / "out")
    (gap,), (file,) = summary["gaps"], summary["recordings"]
    assert (gap["from"][:19], gap["until"][:19]) == ("2026-11-01T01:26:01", "2026-11-01T02:26:02")
    assert gap["seconds"] == pytest.approx(3600, abs=0.2) and gap["before"] == file["file"]
    assert summary["hours_covered"] * 3600 == pytest.approx(4, abs=0.2)
    assert file["seconds"] == pytest.approx(3604, abs=0.2) and len(file["holes"]) == 1
    report = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "2026-11-01 09:26:01 – 2026-11-01 10:26:02" in report and "All recordings were seen" not in report


def test_files_named_to_the_minute_are_all_seen_where_one_lasts_into_the_next_minute(
    glancing: EdgeConfig, tmp_path: Path
) -> None:
    """It began some seconds into the minute of its name, as the next did."""
    for at, seconds in (("0926", 65), ("0927", 6), ("0927_1", 4), ("0929", 5)):
        make_video(tmp_path / f"gate_20261101_{at}.mp4", seconds=seconds, fps=2)
    cameras = [Camera(name="gate", source="rtsp://10.0.0.1/1", recordings=["gate*"])]
    config = glancing.model_copy(update={"cameras": cameras})
    summary = replay(sorted(tmp_path.glob("gate*")), config, tmp_path / "out")
    assert summary["overlaps"] == []
    assert [file["start"] for file in summary["recordings"]] == [
        f"2026-11-01T01:{at}.000Z" for at in ("26:00", "27:05", "27:11", "29:00")
    ]
    assert summary["hours_covered"] * 3600 == pytest.approx(80, abs=0.1)


def test_of_files_named_to_the_minute_those_of_two_recorders_or_that_last_beyond_the_next_show_a_time_again(
    glancing: EdgeConfig, tmp_path: Path
) -> None:
    for name, seconds in (("a/0926", 6), ("b/0926", 7), ("a/0930", 130), ("a/0931", 5)):
        folder, at = name.split("/")
        make_video(tmp_path / folder / f"gate_20261101_{at}.mp4", seconds=seconds, fps=2)
    cameras = [Camera(name="gate", source="rtsp://10.0.0.1/1", recordings=["gate*"])]
    config = glancing.model_copy(update={"cameras": cameras})
    summary = replay([tmp_path / "a", tmp_path / "b"], config, tmp_path / "out")
    assert [one["seconds"] for one in summary["overlaps"]] == [6.0, 5.0]


def test_files_that_were_dated_anew_by_copying_are_all_seen_one_after_the_other(
    glancing: EdgeConfig, tmp_path: Path
) -> None:
    for n in range(3):
        clip = make_video(tmp_path / "gate" / f"{n}.mkv", seconds=6 + n, fps=5)
        os.utime(clip, (1_700_000_000 + n, 1_700_000_000 + n))
    summary = replay([tmp_path / "gate"], glancing, tmp_path / "out")
    assert summary["hours_covered"] * 3600 == pytest.approx(6 + 7 + 8, abs=0.1)
    assert summary["overlaps"] == [] and summary["gaps"] == []
    assert {file["start_known_by"] for file in summary["recordings"]} == {FILE_DATE}


def test_hours_that_cant_be_read_are_counted_by_the_name_where_the_file_says_nothing(
    glancing: EdgeConfig, tmp_path: Path
) -> None:
    make_video(tmp_path / "gate_20261101090000_20261101090004.mp4", seconds=4, fps=5)
    (tmp_path / "gate_20261101090004_20261101100004.mp4").touch()
    (tmp_path / "gate_20261101120000.mp4").touch()
    summary = replay([tmp_path], glancing, tmp_path / "out")
    assert len(summary["unreadable"]) == 2
    assert summary["hours_unreadable"] == 1.0


def test_cameras_that_are_not_in_the_configuration_are_named(
    coarse: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for seconds, name in enumerate(("gate", "NVR_ch7"), 2):
        make_video(tmp_path / "nvr" / f"{name}_20261105_091500.mp4", seconds=seconds)
    out = tmp_path / "out"
    assert main(["replay", str(tmp_path / "nvr"), "--config", str(coarse), "--out", str(out)]) == 0
    (told,) = [line for line in capsys.readouterr().err.splitlines() if "not in " in line]
    assert "NVR_ch7" in told and "gate" not in told.partition("edge.yaml")[2] and "`recordings`" in told
    cameras = json.loads((out / "summary.json").read_bytes())["cameras"]
    assert {camera["camera"]: camera["configured"] for camera in cameras} == {"gate": True, "NVR_ch7": False}


def test_an_incident_over_many_short_files_has_a_clip_of_all_of_it_and_the_file_it_began_in(tmp_path: Path) -> None:
    noise, dark_s = np.random.default_rng(1), range(75, 175)

    def seen(at_s: int) -> np.ndarray:
        grain = noise.integers(60, 200, (12, 16, 3), np.uint8).repeat(10, 0).repeat(10, 1)
        return grain // 20 if at_s in dark_s else grain  # never the same: that would be a frozen picture

    for begin_s in range(0, 380, 10):  # it is over when nothing more was seen for three minutes
        name = f"gate_2026110109{begin_s // 60:02}{begin_s % 60:02}.mkv"
        picture = {"seconds": 10, "fps": 1, "size": (160, 120), "key_every": 4}
        make_video(tmp_path / "in" / name, draw=lambda k, begin_s=begin_s: seen(begin_s + k), **picture)
    config = write_config(tmp_path)
    config.write_text(config.read_text().replace("after_s: 3", "after_s: 90"))  # told nine files after it began
    replay([tmp_path / "in"], load_edge(config), tmp_path / "out")
    (found,) = lines_of(tmp_path / "out")
    assert found["facts"]["what"] == "dark"
    assert found["file"] == "gate_20261101090110.mkv" and found["start_offset_s"] == pytest.approx(5.0)
    assert found["clip_duration_s"] == pytest.approx(5.0 + len(dark_s) + 8.0, abs=5.0) and found["side"]


def test_files_after_one_that_cant_be_read_are_where_it_ends_as_far_as_that_is_known(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gate, dock = ([tmp_path / camera / f"{camera}_{n}.mp4" for n in range(4)] for camera in ("gate", "dock"))
    for n, file in enumerate((*gate, *dock)):
        make_video(file, seconds=4 + n, fps=5)
    for file in (gate[0], gate[2]):  # what it holds is lost; how long it is can still be read
        content = file.read_bytes()
        begin, end = content.index(b"mdat") + 4, content.index(b"moov") - 4
        file.write_bytes(content[:begin] + bytes(end - begin) + content[end:])
    dock[1].write_text("no video\n" * 99)
    out = tmp_path / "out"
    arguments = ["--config", str(write_config(tmp_path)), "--out", str(out), "--start", START]
    code = main(["replay", *map(str, (*gate, *dock)), *arguments])
    summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    assert code == 1 and len(summary["unreadable"]) == 3
    begun = {Path(file["file"]).stem: file["start"] for file in summary["recordings"]}
    assert begun == {
        name: f"2026-11-01T09:26:{second:02}.000Z"
        for name, second in {
            "gate_0": 0, "gate_1": 4, "gate_2": 9, "gate_3": 15, "dock_0": 0, "dock_1": 8, "dock_2": 8, "dock_3": 18,
        }.items()
    }  # fmt: skip
    assert [(gap["camera"], gap["seconds"]) for gap in summary["gaps"]] == [("gate", 6.0)], "what isn't seen is told"
    vague = [Path(file["file"]).stem for file in summary["recordings"] if "unknown length" in file["start_known_by"]]
    assert vague == ["dock_2", "dock_3"]
    told = [line for line in capsys.readouterr().err.splitlines() if "not known exactly" in line]
    assert len(told) == 1 and told[0].startswith(f"labelwatch: {dock[2]}: times from here on ")


def test_a_missing_file_is_one_clear_line(
    config_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(["replay", str(tmp_path / "no.mp4"), "--config", str(config_file), "--out", str(tmp_path / "out")])
    assert code == 2
    told = f"labelwatch: {tmp_path / 'no.mp4'}: no such file or folder (check the path)"
    assert capsys.readouterr().err.strip() == told


@pytest.mark.parametrize(
    ("options", "begins"),
    [([], "2026-11-01T01:26:00.000Z"), (["--timezone", "Europe/Berlin"], "2026-11-01T08:26:00.000Z")],
    ids=["the configuration's", "an option's"],
)
def test_a_start_without_a_zone_is_by_the_recorder_s_clock(options: list[str], begins: str, tmp_path: Path) -> None:
    clip, out = make_video(tmp_path / "gate.mkv", seconds=2, fps=5), tmp_path / "out"
    arguments = ["--config", str(write_config(tmp_path)), "--out", str(out), "--start", "2026-11-01T09:26:00"]
    assert main(["replay", str(clip), *arguments, *options]) == 0
    (file,) = json.loads((out / "summary.json").read_text(encoding="utf-8"))["recordings"]
    assert file["start"] == begins


def test_who_replays_the_nights_when_clocks_change_is_told_which_hour_was_taken(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config, zone = str(write_config(tmp_path)), ["--timezone", "Europe/Berlin"]
    clips = [make_video(tmp_path / f"gate_2026{stamp}.mkv", seconds=2, fps=5) for stamp in ("0329_0230", "1025_0230")]
    assert main(["replay", *map(str, clips), "--config", config, "--out", str(tmp_path / "out"), *zone]) == 0
    told = [line for line in capsys.readouterr().err.splitlines() if "--timezone" in line]
    assert len(told) == 2
    assert "gate_20261025_0230.mkv" in told[0] and "comes twice, and the first is taken" in told[0]
    assert "gate_20260329_0230.mkv" in told[1] and "left out" in told[1]
    winter = ["--timezone", "Etc/GMT-1"]
    assert main(["replay", *map(str, clips), "--config", config, "--out", str(tmp_path / "winter"), *winter]) == 0
    assert "--timezone" not in capsys.readouterr().err
    files = json.loads((tmp_path / "winter" / "summary.json").read_text(encoding="utf-8"))["recordings"]
    assert [file["start"] for file in files] == ["2026-03-29T01:30:00.000Z", "2026-10-25T01:30:00.000Z"]


def test_before_1970_too_a_file_begins_where_the_one_before_it_ends(tmp_path: Path) -> None:
    clips, out = [make_video(tmp_path / f"gate_{n}.mkv", seconds=4, fps=5) for n in range(2)], tmp_path / "out"
    arguments = ["--config", str(write_config(tmp_path)), "--out", str(out), "--start", "1969-12-01T00:00:00Z"]
    assert main(["replay", *map(str, clips), *arguments]) == 0
    files = json.loads((out / "summary.json").read_text(encoding="utf-8"))["recordings"]
    assert [file["start"] for file in files] == ["1969-12-01T00:00:00.000Z", "1969-12-01T00:00:04.000Z"]


def test_a_start_that_is_no_time_is_a_usage_error(config_file: Path, tmp_path: Path) -> None:
    arguments = ["replay", str(SWEEP), "--config", str(config_file), "--out", str(tmp_path), "--start", "yesterday"]
    assert main(arguments) == 2


def test_a_file_belongs_to_the_camera_its_name_starts_with() -> None:
    cameras = [Camera(name="cam-1", source="rtsp://h/1"), Camera(name="cam-12", source="rtsp://h/12")]
    assert camera_of(Path("cam-12_20261101_0926.mp4"), cameras, Named(None)).name == "cam-12"
    assert camera_of(Path("cam-1.mp4"), cameras, Named(None)).name == "cam-1"
    assert camera_of(Path("东区 3.mp4"), cameras, Named(None)).name == "3"
    assert camera_of(Path("dock.mp4"), cameras, Named(None)).zones[0].kind == "storage"


def test_files_of_one_camera_follow_each_other_in_time(tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("gate_20261101_0930.mp4", "gate_20261101_0926.mp4")]
    for file in files:
        file.touch()
    config = EdgeConfig(site="s", edge="e", timezone="UTC", cameras=[Camera(name="gate", source="rtsp://h/g")])
    (session,) = sessions(files, config, None)
    assert [piece.path.name for piece in session.pieces] == ["gate_20261101_0926.mp4", "gate_20261101_0930.mp4"]
    assert read_name(files[1], "UTC").start_at == session.pieces[0].start_at


def test_replay_as_a_function_reports_progress_in_footage_seconds(glancing: EdgeConfig, tmp_path: Path) -> None:
    steps: list[Step] = []
    total: list[float] = []
    clip = CLIPS / "thrown_5_up.mp4"
    summary = replay([clip], glancing, tmp_path / "out", start=0.0, expect=total.append, progress=steps.append)
    assert sum(step.seconds for step in steps) == pytest.approx(summary["hours_covered"] * 3600, abs=0.1)
    assert total == [pytest.approx(sum(step.bytes for step in steps))]


def test_a_recording_whose_times_stand_still_is_read_by_the_length_of_its_packets(tmp_path: Path) -> None:
    clip = CLIPS / "thrown_5_up.mp4"  # its muxer wrote time 0 into all 48 packets, a quarter of a second each
    recording = Recording(clip, camera="c", start_at=100.0, fps=5)
    times = [frame.captured_at for frame in recording]
    assert times == pytest.approx([100 + k / 4 for k in range(48)])
    cut = cut_recording(clip, 5.0, 9.0, tmp_path / "cut.mp4")
    again = [frame.captured_at for frame in Recording(cut.path, camera="c", start_at=0.0, fps=30)]
    assert cut.start_s <= 5.0 and cut.start_s + cut.duration_s == pytest.approx(9.25)
    assert again == pytest.approx([k / 4 for k in range(len(again))])
    assert len(again) == round(cut.duration_s * 4)


def test_a_replay_that_is_killed_at_any_moment_goes_on_from_there_and_finds_the_same(tmp_path: Path) -> None:
    footage, config = make_footage(tmp_path / "footage"), write_config(tmp_path)
    whole, out, options = tmp_path / "whole", tmp_path / "out", ("--jobs", "2", "--resume", "--keep-looks")
    replay([footage], load_edge(config), whole)
    assert [i["facts"]["what"] for i in lines_of(whole)] == ["dark", "dark"]
    assert not (whole / "looks").exists(), "they are deleted when all is done"
    pieces, dice, story = len(CAMERAS) * (FILES + 1), random.Random(7), []
    for _ in range(2):
        running = begin(footage, config, out, *options)
        story.append(kill_somewhere(running, out, pieces, dice))
        running.communicate()
        finished = finished_work(out)
    running = begin(footage, config, out, *options)
    said = running.communicate()[1].decode()
    assert running.returncode == 0, f"{story}\n{said}"
    assert evidence(out) == evidence(whole), story
    assert finished.items() <= finished_work(out).items(), f"nothing finished is done again: {story}"
    assert len(finished_work(out)) == pieces


def test_whoever_stops_a_replay_is_told_how_it_goes_on(tmp_path: Path) -> None:
    footage, config = make_footage(tmp_path / "footage"), write_config(tmp_path)
    for n in range(10):  # on a busy machine it may be through before it is stopped
        out = tmp_path / f"out{n}"
        # As from a person's shell: that another test has this process ignore Ctrl-C would be inherited.
        running = begin(footage, config, out, start=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
        while running.poll() is None and not (out / "looks").exists():
            time.sleep(0.01)
        running.send_signal(signal.SIGINT)
        said = running.communicate()[1].decode().splitlines()
        if running.returncode != 0:
            break
    assert running.returncode == 130
    assert said[-1].startswith("labelwatch: stopped") and str(out) in said[-1] and "--resume goes on" in said[-1]


def assert_said_in_chinese(summary: dict[str, Any]) -> None:
    """Every reason that we know has a Chinese sentence as well."""
    for item in (*summary["unreadable"], *summary["passed_over"]):
        assert in_chinese(item["why"], item["file"]) != item["why"]


def test_every_kind_of_bad_file_is_named_and_the_rest_is_done(glancing: EdgeConfig, tmp_path: Path) -> None:
    folder = tmp_path / "footage"
    folder.mkdir()
    good = make_video(tmp_path / "good.mkv", seconds=4, fps=5)
    names = (
        b"gate_20261101_092600.mkv",
        b"gate_20261101_092500.mkv",  # time goes back
        b"with space\nand line 20261101_0927.mkv",
        "东区 门口 20261101_0928.mkv".encode(),
        "东区 门口 20261101_0929.mkv".encode("gbk"),  # of a recorder that knows no UTF-8
    )
    for n, name in enumerate(names):
        (folder / os.fsdecode(name)).write_bytes(good.read_bytes() + bytes(n))  # not the same twice
    for name, content in (("song.mp3", b"ID3"), ("empty.mp4", b""), ("text.mp4", b"no video\n" * 99)):
        (folder / name).write_bytes(content)
    (folder / "cut.mkv").write_bytes(good.read_bytes()[:300])
    shutil.copy(folder / "gate_20261101_092600.mkv", folder / "copy.mkv")
    summary = replay([folder], glancing, tmp_path / "out")
    assert json.loads((tmp_path / "out" / "summary.json").read_text(encoding="utf-8")) == summary
    told = {Path(item["file"]).name: item["why"].rsplit(": ", 1)[-1] for item in summary["unreadable"]}
    assert told.keys() == {"empty.mp4", "text.mp4", "cut.mkv"} and all(told.values())
    assert_said_in_chinese(summary)
    assert {Path(item["file"]).name for item in summary["passed_over"]} == {"song.mp3", "copy.mkv"}
    assert summary["hours_covered"] == pytest.approx(len(names) * 4 / 3600, abs=1e-4)
    starts = [file["start"] for file in summary["recordings"] if file["camera"] == "gate"]
    assert starts == ["2026-11-01T01:25:00.000Z", "2026-11-01T01:26:00.000Z"]


def test_by_how_much_pictures_were_turned_is_told_whoever_said_so(coarse: Path, tmp_path: Path) -> None:
    folder, out, config = tmp_path / "footage", tmp_path / "out", yaml.safe_load(coarse.read_text(encoding="utf-8"))
    level = make_video(folder / "level_20261101_0926.mp4", size=(320, 240), seconds=1)
    make_turned(folder / "film_20261101_0926.mp4", -90, level)
    make_video(folder / "hung_20261101_0926.mp4", size=(320, 240), seconds=2)
    config["cameras"] = [{"name": "hung", "source": "rtsp://10.0.0.1/1", "turned": 270}]
    coarse.write_text(yaml.safe_dump(config), encoding="utf-8")
    assert main(["replay", str(folder), "--config", str(coarse), "--out", str(out)]) == 0
    cameras = json.loads((out / "summary.json").read_text(encoding="utf-8"))["cameras"]
    told = {camera["camera"]: (camera["size"], camera["turned"]) for camera in cameras}
    assert told == {"level": ([320, 240], 0), "film": ([240, 320], 90), "hung": ([240, 320], 270)}


def test_who_gave_what_cant_be_looked_at_as_it_is_learns_what_to_do_and_the_rest_is_done(
    coarse: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, out = tmp_path / "footage", tmp_path / "out"
    make_video(folder / "gate_20261101_0926.mkv", seconds=2, fps=5)
    make_turned(folder / "gate_20261101_0927.mp4", -45)
    make_two(folder / "gate_20261101_0928.mkv", (320, 240), (320, 240))
    dahua(folder / "gate_20261101_0929.dav", encrypted(encoded()))
    (folder / "gate_20261101.ZIP").write_bytes(b"PK\x03\x04" + bytes(4096))
    (folder / "player.exe").write_bytes(b"MZ")
    assert main(["replay", str(folder), "--config", str(coarse), "--out", str(out)]) == 1
    summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    to_do = {
        "gate_20261101_0927.mp4": "turned by 45°: ffmpeg -i FILE UPRIGHT.mp4",
        "gate_20261101_0928.mkv": "holds 2 videos, one was looked at: ffmpeg -i FILE -map 0:v:1 -c copy OTHER.mkv",
        "gate_20261101_0929.dav": "is it encrypted? Export it again without a password",
        "gate_20261101.ZIP": "is packed: unpack it, and replay what is in it",
    }
    whys = {Path(item["file"]).name: item["why"] for item in summary["unreadable"]}
    assert whys.keys() == to_do.keys() and all(to_do[name] in why for name, why in whys.items())
    assert_said_in_chinese(summary)
    told, report = capsys.readouterr().err, (out / "report.html").read_text(encoding="utf-8")
    assert "unpack it" in told and "ffmpeg -i FILE UPRIGHT.mp4" in told and ".exe 1" in told
    assert "if it plays a recording, export that" in report and "All recordings were seen" not in report
    seen = {Path(file["file"]).name: file["seconds"] for file in summary["recordings"]}
    assert seen["gate_20261101_0926.mkv"] == 2.0


@pytest.mark.parametrize(("fps", "scale"), [(60, 5.0), (6, 0.5)])
def test_a_recording_that_plays_too_fast_or_slowly_by_its_name_is_told_with_what_puts_it_right(
    fps: int, scale: float, glancing: EdgeConfig, tmp_path: Path
) -> None:
    """As players export AVI, which has no times but a rate, of a camera that takes another."""
    seconds = 360 / fps
    clip = make_video(tmp_path / "NVR_ch1_main_20261101092600_20261101092630.avi", seconds=seconds, fps=fps)
    summary = replay([clip], glancing, tmp_path / "out")
    (told,) = summary["unreadable"]
    (right,) = re.findall(r" s by its name: .* ffmpeg -itsscale ([\d.]+) -i FILE -c copy RIGHT.mkv$", told["why"])
    assert float(right) == pytest.approx(scale, rel=0.01)
    assert_said_in_chinese(summary)


def test_a_folder_and_a_file_that_must_not_be_read_are_told_and_the_rest_is_done(
    coarse: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, out = tmp_path / "footage", tmp_path / "out"
    (folder / "locked").mkdir(parents=True)
    make_video(folder / "gate_20261101_0926.mkv", seconds=2, fps=5)
    (folder / "gate_20261101_0927.mkv").touch()
    scandir, stat = os.scandir, Path.stat

    def refused(path: object) -> PermissionError:
        return PermissionError(errno.EACCES, "Permission denied", str(path))

    def scan(path: Any) -> Any:
        if str(path).endswith("locked"):
            raise refused(path)
        return scandir(path)

    def look(path: Path, *, follow_symlinks: bool = True) -> os.stat_result:
        if path.name == "gate_20261101_0927.mkv":
            raise refused(path)
        return stat(path, follow_symlinks=follow_symlinks)

    monkeypatch.setattr(os, "scandir", scan)
    monkeypatch.setattr(Path, "stat", look)
    assert main(["replay", str(folder), "--config", str(coarse), "--out", str(out)]) == 1
    summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    assert [item["why"] for item in summary["unreadable"]] == [
        f"{folder}/gate_20261101_0927.mkv: reading it is not permitted",
        f"{folder}/locked: the folder can't be read: Permission denied",
    ]
    assert_said_in_chinese(summary)
    said = capsys.readouterr().err
    assert f"not read: {folder}/locked: the folder" in said
    assert "one of them is not to be had just now" in said and "--resume tries again" in said
    assert "All recordings were seen" not in (out / "report.html").read_text(encoding="utf-8")


def test_files_that_by_their_names_are_no_videos_are_counted_by_kind(
    coarse: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, out = tmp_path / "footage", tmp_path / "out"
    make_video(folder / "gate_20261101_0926.mkv", seconds=2, fps=5)
    command = ["replay", str(folder), "--config", str(coarse), "--out", str(out)]
    assert main(command) == 0
    assert "not looked at" not in capsys.readouterr().err
    for name in ("gate_20261101_0927.mp4.part", "a.jpg", "b.jpg", "index"):
        (folder / name).write_text(name)
    assert main(command) == 0
    told = "4 files that by their names are no videos were not looked at (.jpg 2, .part 1, index 1)"
    assert told in capsys.readouterr().err
    make_video(folder / "gate_20261101_0928.asf", codec="mpeg4", form="asf")
    assert main(command) == 1
    assert "gate_20261101_0928.asf: its format, Windows Media, isn't read here" in capsys.readouterr().err
    summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    assert_said_in_chinese(summary)
    assert "All recordings were seen" not in (out / "report.html").read_text(encoding="utf-8")


def test_copies_of_recordings_are_told_with_what_was_looked_at_in_their_stead(
    config_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, out = tmp_path / "footage", tmp_path / "out"
    film = make_video(folder / "gate_20261101_0926.mkv", seconds=2, fps=5)
    command = ["replay", str(folder), "--config", str(config_file), "--out", str(out)]
    assert main(command) == 0 and "cop" not in capsys.readouterr().err
    shutil.copy(film, folder / "again.mkv")
    assert main(command) == 0
    told = f"one file is a copy of another, and was not looked at again: {folder / 'again.mkv'} equals {film}\n"
    assert told in capsys.readouterr().err
    summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    assert (summary["schema"], summary["site"]) == (1, "test")
    assert summary["duplicates"] == [{"file": str(folder / "again.mkv"), "same_as": str(film)}]
    assert "again.mkv" in (out / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(("to", "jobs"), [("nowhere.mkv", 1), ("link.mkv", 1), ("link.mkv", 2)])
def test_a_link_to_no_recording_is_named_and_the_rest_is_done(
    to: str, jobs: int, glancing: EdgeConfig, tmp_path: Path
) -> None:
    folder = tmp_path / "footage"
    folder.mkdir()
    make_video(folder / "gate_20261101_092600.mkv", seconds=4, fps=5)
    (folder / "link.mkv").symlink_to(to)
    summary = replay([folder], glancing, tmp_path / "out", jobs=jobs)
    assert [Path(item["file"]).name for item in summary["unreadable"]] == ["link.mkv"]
    assert_said_in_chinese(summary)
    report = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "2026-11-01" in report and "1970" not in report  # nobody knows its day
    assert "Not in the configuration" not in report  # nor was it watched
    assert summary["hours_covered"] == pytest.approx(4 / 3600, abs=1e-4)


def test_a_file_that_grows_while_it_is_read_is_told(glancing: EdgeConfig, tmp_path: Path) -> None:
    clip = make_video(tmp_path / "gate_20261101_0926.mkv", seconds=10, fps=5)

    def grow(step: Step) -> None:
        with clip.open("ab") as file:
            file.write(b"more")

    size = clip.stat().st_size
    (told,) = replay([clip], glancing, tmp_path / "out", progress=grow)["unreadable"]
    assert told["why"].startswith(f"{clip}: had {size} bytes when it was taken up, and ")
    assert in_chinese(told["why"], told["file"]).startswith(f"{clip}：开始看时 {size} 字节，现在 ")
    again = replay([clip], glancing, tmp_path / "out", resume=True)
    assert again["unreadable"] == [], "it is another file now, and was looked at again"


def test_a_disk_that_fills_is_one_clear_line_and_resume_goes_on(tmp_path: Path) -> None:
    footage, config, out = make_footage(tmp_path / "footage"), write_config(tmp_path), tmp_path / "out"

    def fill() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4000, resource.RLIM_INFINITY))

    full = begin(footage, config, out, start=fill)
    said = full.communicate()[1].decode().splitlines()
    assert full.returncode == 1
    assert said[-1].startswith(f"labelwatch: {out}") and said[-1].endswith("--resume"), said
    assert list(out.rglob("*.draft")) == [] and list(out.glob("looks/*.looks")) == []
    assert replay([footage], load_edge(config), out, resume=True)["incidents"] == {"tamper": 2}


def test_resume_takes_over_no_camera_whose_clips_a_run_with_other_settings_has_replaced(tmp_path: Path) -> None:
    footage, out = make_footage(tmp_path / "footage", cameras=("gate",)), tmp_path / "out"
    config = load_edge(write_config(tmp_path))
    brief = config.model_copy(update={"incidents": config.incidents.model_copy(update={"pre_roll_s": 0.0})})

    def found(config: EdgeConfig) -> dict[str, str]:
        replay([footage], config, out, resume=True, keep_looks=True)
        return evidence(out)

    first = found(config)
    assert found(brief) != first
    assert found(config) == first


def test_nothing_of_an_earlier_run_is_left_to_be_published_with_clips_of_one_that_was_stopped(
    glancing: EdgeConfig, tmp_path: Path
) -> None:
    clip, out = make_video(tmp_path / "gate_20261101_0926.mkv", seconds=2, fps=5), tmp_path / "out"
    replay([clip], glancing, out)
    replay([clip], glancing, out, resume=True)
    assert read_results(out) == []

    def stop(step: Step) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        replay([clip], glancing, out, progress=stop)
    with pytest.raises(LabelwatchError, match="nothing to be published yet"):
        read_results(out)
    replay([clip], glancing, out, resume=True)
    assert read_results(out) == []


def test_no_speed_is_told_of_a_run_that_had_nothing_left_to_do(
    tmp_path: Path, config_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clip = make_video(tmp_path / "gate.mkv", seconds=2, fps=5)
    replayed(clip, config_file, tmp_path / "out")
    assert "x real time)" in capsys.readouterr().out
    replayed(clip, config_file, tmp_path / "out", "--resume")
    assert "one file, 0.001 hours in" in (said := capsys.readouterr().out) and "real time" not in said


class ByWholePath:
    """Looks at files by their whole paths, as the workers of a cluster do."""

    def results(self, tasks: Sequence[LookTask], progress: Callable[[Step], None]) -> Iterator[tuple[LookTask, bytes]]:
        for task in tasks:
            ((_, found),) = Alone().results([replace(task, path=task.path.absolute())], progress)
            yield task, found


def test_what_a_cluster_cannot_read_is_told_by_the_path_that_was_given(
    glancing: EdgeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (file := Path("gate_20261101_0926.mp4")).touch()
    summary = replay([file], glancing, tmp_path / "out", crew=ByWholePath())
    assert summary["unreadable"] == [{"file": str(file), "why": f"{file}: the file is empty (zero bytes)"}]
    assert_said_in_chinese(summary)


def test_results_are_not_written_to_what_is_a_file(glancing: EdgeConfig, tmp_path: Path) -> None:
    (out := tmp_path / "report").write_text("mine")
    with pytest.raises(LabelwatchError, match="report: is no folder, and --out names one"):
        replay([make_video(tmp_path / "gate.mkv", seconds=1)], glancing, out)
    assert out.read_text() == "mine"


def test_two_replays_do_not_write_to_one_folder(glancing: EdgeConfig, tmp_path: Path) -> None:
    clip = make_video(tmp_path / "gate_20261101_0926.mkv", seconds=2, fps=5)

    def meanwhile(step: Step) -> None:
        with pytest.raises(LabelwatchError, match="another replay"):
            replay([clip], glancing, tmp_path / "out")

    assert replay([clip], glancing, tmp_path / "out", progress=meanwhile)["files"] == 1


def test_replayed_again_into_a_folder_among_the_footage_the_same_is_found(tmp_path: Path) -> None:
    folder, config = make_footage(tmp_path / "footage"), write_config(tmp_path)
    found = [replayed(folder, config, folder / "out", *more) for more in ([], ["--resume"], [])]
    assert len(found[0]) == 2 and all((folder / "out" / one["clip"]).suffix == ".mp4" for one in found[0])
    assert found[2] == found[1] == found[0]
    summary = json.loads((folder / "out" / "summary.json").read_text(encoding="utf-8"))
    assert [Path(item["file"]).name for item in summary["passed_over"]] == ["out"]
    assert_said_in_chinese(summary)


def test_with_looks_that_were_kept_other_rules_need_no_look(tmp_path: Path) -> None:
    footage, config, out = make_footage(tmp_path / "footage"), load_edge(write_config(tmp_path)), tmp_path / "out"
    replay([footage], config, out, keep_looks=True)
    looks = {file: at for file, at in finished_work(out).items() if file.suffix == ".looks"}
    patient = config.rules.model_copy(update={"tamper": config.rules.tamper.model_copy(update={"after_s": 60.0})})
    steps: list[Step] = []
    summary = replay(
        [footage], config.model_copy(update={"rules": patient}), out, keep_looks=True, progress=steps.append
    )
    assert summary["incidents"] == {} and lines_of(out) == []
    assert len(looks) == len(CAMERAS) * FILES and looks.items() <= finished_work(out).items()
    assert sum(step.seconds for step in steps) == pytest.approx(len(CAMERAS) * FILES * 40.0)


def test_a_camera_that_cant_be_judged_is_named_and_the_others_are_done(
    glancing: EdgeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("gate_20261101_0926", "dock_20261101_0926"):
        make_video(tmp_path / f"{name}.mkv", seconds=2, fps=5)
    judge = judging.judge_session

    def fails(session: Session, *more: Any) -> None:
        if session.camera.name == "gate":
            raise ValueError("no such thing")
        judge(session, *more)

    monkeypatch.setattr(judging, "judge_session", fails)
    paths = sorted(tmp_path.glob("*.mkv"))
    summary = replay(paths, glancing, tmp_path / "out")
    (told,) = summary["unreadable"]
    assert told["why"].endswith("its camera, gate, couldn't be judged: judging failed with ValueError: no such thing")
    assert in_chinese(told["why"], told["file"]).endswith(
        "：它的摄像机 gate 没能分析：judging failed with ValueError: no such thing"
    )
    assert summary["hours_covered"] > 0
    monkeypatch.undo()
    steps: list[Step] = []
    again = replay(paths, glancing, tmp_path / "out", resume=True, progress=steps.append)
    assert again["unreadable"] == [] and {step.camera for step in steps} == {"gate"}
    assert not (tmp_path / "out" / "looks").exists()


def test_why_a_camera_cant_be_judged_may_name_a_file_of_another_encoding(
    glancing: EdgeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)  # what is logged names the file, and no worker of the tests can send that on
    name = os.fsdecode("大门.mkv".encode("gbk"))

    def fails(*_: Any) -> None:
        raise ValueError(f"{name}: no such thing")

    monkeypatch.setattr(judging, "judge_session", fails)
    summary = replay([make_video(tmp_path / "gate.mkv", seconds=2, fps=5)], glancing, tmp_path / "out")
    assert json.loads((tmp_path / "out" / "summary.json").read_text(encoding="utf-8")) == summary
    assert summary["unreadable"][0]["why"].endswith("????.mkv: no such thing")


@pytest.mark.parametrize(
    ("lost", "looked", "why"), [(2, 1, "no such file"), (0, 0, "is gone by now")], ids=["unread", "read, not judged"]
)
def test_a_file_that_the_disk_kept_from_being_read_is_tried_again_by_resume_and_the_others_are_not(
    lost: int, looked: int, why: str, glancing: EdgeConfig, tmp_path: Path
) -> None:
    files = [make_video(tmp_path / f"gate_2026110109260{n}.mkv", seconds=3, fps=5) for n in (0, 3, 6)]
    sizes = [file.stat().st_size for file in files]
    away, out = tmp_path / "away.mkv", tmp_path / "out"

    def drop_out(step: Step) -> None:
        if files[lost].exists():
            files[lost].rename(away)

    (told,) = replay(files, glancing, out, progress=drop_out)["unreadable"]
    assert told["file"] == str(files[lost]) and told["why"].endswith(why)
    away.rename(files[lost])
    work: list[float] = []
    found = replay(files, glancing, out, resume=True, expect=work.append)
    assert found["unreadable"] == [] and found["hours_covered"] == pytest.approx(9 / 3600, abs=1e-5)
    assert work == [pytest.approx(JUDGED * sum(sizes) + sizes[lost] * looked)]
    assert not (out / "looks").exists()
    replay(files, glancing, out, resume=True, expect=work.append)
    assert work[1] == 0, "now it is finished"


@pytest.mark.parametrize("how", ["it can't be opened", "it breaks off"])
def test_what_the_disk_kept_from_being_read_is_no_final_result_and_what_is_broken_is(
    how: str, glancing: EdgeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = make_video(tmp_path / "a.mkv", seconds=4, fps=5)
    (tmp_path / "b.mkv").write_bytes(clip.read_bytes()[:3000])
    (tmp_path / "c.mkv").touch()
    lost, *broken = (task_of(tmp_path / f"{name}.mkv", name, glancing.analysis) for name in "abc")
    looks = LookFolder(tmp_path / "looks")
    for task in broken:
        looks.put(task, look_at(task))
    steps = Video.steps

    def fail(video: Video) -> Iterator[Any]:
        yield from islice(steps(video), 5)
        raise av.error.OSError(errno.EIO, "Input/output error")

    if how == "it breaks off":
        monkeypatch.setattr(Video, "steps", fail)
    else:
        clip.rename(tmp_path / "away.mkv")
    looks.put(lost, look_at(lost))
    assert looks.get(lost).read.unreadable or looks.get(lost).read.broken_off
    assert looks.missing([lost, *broken], retry=False) == [lost]


def test_what_was_set_aside_stays_so_for_resume_and_is_tried_again_without(
    glancing: EdgeConfig, tmp_path: Path
) -> None:
    task = task_of(make_video(tmp_path / "a.mkv", seconds=2, fps=5), "a", glancing.analysis)
    looks = LookFolder(tmp_path / "looks")
    assert looks.missing([task], retry=False) == [task]
    looks.put(task, set_aside(task, "it hangs"))
    assert looks.missing([task], retry=False) == []
    assert looks.missing([task], retry=True) == [task]
    looks.put(task, set_aside(task, "it hangs")[:-20])
    assert looks.missing([task], retry=False) == [task], "half a result is none"
