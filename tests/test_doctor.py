"""What this machine can do, and how far a camera sees, as the command tells it."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from detector.cli import main
from detector.clock import KernelClock
from detector.coverage import View
from detector.machine.resources import resource
from detector.tools import doctor
from detector.tools.doctor import BAD, FINE, NOTE, Finding
from tests.conftest import REPOSITORY
from tests.inference.tiny_models import card_file, model_file, raw_output
from tests.sources.footage import make_turned, make_video

CURVE = [{"px": [8, 16], "found": 0, "phones": 10_000}, {"px": [16, 32], "found": 10_000, "phones": 10_000}]
GEOMETRY = ["--height", "3", "--tilt", "30", "--fov", "90"]


@pytest.fixture
def card(tmp_path: Path) -> Path:
    """A model whose phones can be judged from 16 pixels on."""
    return card_file(model_file(tmp_path / "tiny.onnx", raw_output([])), curves={"phone_recall_by_px": CURVE})


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "frame.png"
    cv2.imwrite(str(path), np.full((720, 1280, 3), 120, np.uint8))
    return path


def told(capsys: pytest.CaptureFixture[str]) -> Mapping[str, Any]:
    return json.loads(capsys.readouterr().out)


def test_a_machine_that_runs_the_tests_can_run_labelwatch(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code = main(["doctor", "--json", "--data", str(tmp_path)])
    findings = {finding["what"]: finding for finding in json.loads(capsys.readouterr().out)}
    bad = [finding for finding in findings.values() if finding["state"] == BAD]
    assert (code, bad) == (0, [])
    assert {
        "python",
        "processor",
        "opencv",
        "video",
        "runtimes",
        "model scene",
        "broker",
        "confinement",
        "disk",
        "clock",
    } <= findings.keys()
    assert "fp32 by onnxruntime" in findings["model scene"]["told"]
    assert "1280x720" in findings["video"]["told"]


def test_a_data_folder_within_a_folder_that_is_shut_to_us_is_on_the_disk_of_what_can_be_seen(tmp_path: Path) -> None:
    shut = tmp_path / "shut"
    (shut / "data").mkdir(parents=True)
    shut.chmod(0)
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)  # whom nothing is shut to otherwise
    try:
        found = doctor.disk(shut / "data", lambda path: 2**50)
    finally:
        os.seteuid(user)
        shut.chmod(0o700)
    assert found.state == FINE and Path(found.told.rpartition(" ")[2]) in (shut, *shut.parents)


def test_lines_for_people_say_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    main(["doctor"])
    lines = capsys.readouterr().out.splitlines()
    assert all(line.startswith(("ok  ", "note", "BAD ")) for line in lines)
    assert any("python:" in line for line in lines)


def test_a_missing_part_fails_the_command(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LABELWATCH_HOME", str(tmp_path))
    assert main(["doctor"]) == 1
    assert "BAD  models: " in capsys.readouterr().out


def test_a_model_that_is_not_what_its_card_says_is_bad(
    monkeypatch: pytest.MonkeyPatch, card: Path, tmp_path: Path
) -> None:
    (tmp_path / "models").mkdir()
    card.rename(tmp_path / "models" / "tiny.yaml")
    (tmp_path / "models" / "tiny.onnx").write_bytes(b"something else")
    (tmp_path / "models" / "sources.yaml").write_text("coco: {licence: x}\n")
    monkeypatch.setenv("LABELWATCH_HOME", str(tmp_path))
    (finding,) = doctor.models()
    assert (finding.what, finding.state) == ("model tiny", BAD)
    assert "not the file its card describes" in finding.told


def test_a_variant_that_is_not_what_the_card_says_is_bad(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = model_file(tmp_path / "models" / "tiny.onnx", raw_output([]))
    variant = {"precision": "int8", "runtime": "onnxruntime", "file": "tiny-int8.onnx", "sha256": "0" * 64}
    card_file(model, variants=[variant])
    (tmp_path / "models" / "tiny-int8.onnx").write_bytes(b"something else")
    monkeypatch.setenv("LABELWATCH_HOME", str(tmp_path))
    (finding,) = doctor.models()
    assert (finding.what, finding.state) == ("model tiny", BAD)
    assert "tiny-int8.onnx is not the file its card describes" in finding.told


@pytest.mark.parametrize("name", ["acts", "sweeps"])
@pytest.mark.parametrize(("content", "told"), [(None, "is missing"), ("odds: [", "is not a card of")])
def test_weights_that_nothing_could_be_judged_by_are_bad(
    name: str, content: str | None, told: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "models").mkdir()
    for card in ("acts", "sweeps"):
        shutil.copy(resource("models", f"{card}.yaml"), tmp_path / "models")
    monkeypatch.setenv("LABELWATCH_HOME", str(tmp_path))
    path = tmp_path / "models" / f"{name}.yaml"
    path.unlink()
    if content is not None:
        path.write_text(content)
    (finding,) = [finding for finding in doctor.weights() if finding.state == BAD]
    assert finding.what == f"weights {name}"
    assert f"{name}.yaml {told}" in finding.told


def test_a_models_folder_without_a_card_is_bad(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    monkeypatch.setenv("LABELWATCH_HOME", str(tmp_path))
    (finding,) = doctor.models()
    assert finding.state == BAD


def test_a_clip_that_cannot_be_decoded_is_bad(tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").write_bytes(b"nothing like a video")
    assert doctor.video(tmp_path / "clip.mp4").state == BAD


@pytest.mark.parametrize(("free_gib", "state"), [(0.5, BAD), (5, NOTE), (50, FINE)])
def test_room_on_the_disk(tmp_path: Path, free_gib: float, state: str) -> None:
    finding = doctor.disk(tmp_path / "not" / "made", free_bytes=lambda _path: int(free_gib * 2**30))
    assert finding.state == state
    assert str(tmp_path) in finding.told


@pytest.mark.parametrize(
    ("told", "state"), [(KernelClock(True, 0.01), FINE), (KernelClock(False, 16.0), NOTE), (None, NOTE)]
)
def test_the_clock(told: KernelClock | None, state: str) -> None:
    assert doctor.clock(lambda: told).state == state


@pytest.mark.parametrize(
    ("landlock", "state", "told"), [(-1, NOTE, "no Landlock"), (2, NOTE, "files alone"), (4, FINE, "other ports")]
)
def test_what_this_kernel_keeps_from_a_hijacked_reader(landlock: int, state: str, told: str) -> None:
    found = doctor.confinement(lambda: landlock)
    assert found.state == state and told in found.told and bool(found.hint) == (state == NOTE)


def test_the_broker_for_production_and_the_one_for_the_demo() -> None:
    assert doctor.broker(lambda: "/usr/sbin/mosquitto") == Finding("broker", FINE, "/usr/sbin/mosquitto")
    assert doctor.broker(lambda: None).state == NOTE


def test_instructions_that_matter_are_named(tmp_path: Path) -> None:
    info = tmp_path / "cpuinfo"
    info.write_text("model name\t: A Core\nflags\t\t: fpu avx2 avx512_vnni\n")
    told = doctor.processor(info).told
    assert "A Core" in told
    assert "avx2 avx512_vnni" in told


def test_a_processor_that_tells_nothing_is_no_trouble(tmp_path: Path) -> None:
    assert doctor.processor(tmp_path / "none").state == FINE


def test_the_line_is_drawn_on_a_picture(
    card: Path, picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "made" / "coverage.png"
    arguments = ["--camera", str(picture), *GEOMETRY, "--model", str(card), "--out", str(out), "--json"]
    assert main(["doctor", *arguments]) == 0
    seen = told(capsys)
    assert seen["least_phone_px"] == 16.0
    assert seen["limit_m"] == pytest.approx((640 * 0.10607 / 16 - 2.5 * 0.5) / 0.8660, abs=0.01)
    drawn = cv2.imread(str(out))
    assert drawn is not None
    assert drawn.shape == (720, 1280, 3)
    assert drawn[int(seen["limit_row"]), 640, 2] > 200


def test_sentence_and_picture_are_in_the_terminal_s_language_or_the_one_asked_for(
    card: Path, picture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def told(spoken: str, *more: str) -> tuple[str, bytes]:
        monkeypatch.setenv("LC_ALL", spoken)
        out = tmp_path / "c.png"
        main(["doctor", "--camera", str(picture), *GEOMETRY, "--model", str(card), "--out", str(out), *more])
        return capsys.readouterr().out, out.read_bytes()

    chinese, english = told("zh_CN.UTF-8"), told("C")
    assert "手机小于约 16 像素" in chinese[0] and "a phone" not in chinese[0]
    assert "a phone is smaller than about 16 pixels" in english[0] and "手机" not in english[0]
    assert chinese[1] != english[1]
    assert told("C", "--language", "zh") == chinese


def test_a_focal_length_does_instead_of_the_field_of_view(
    card: Path, picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    common = ["--camera", str(picture), "--height", "3", "--tilt", "30", "--model", str(card), "--json"]
    main(["doctor", *common, "--focal", "2.8", "--sensor", "5.6", "--out", str(tmp_path / "c.png")])
    assert told(capsys)["fov_deg"] == 90.0


def test_a_video_shows_its_first_picture(card: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clip = REPOSITORY / "configs" / "demo" / "sweep_near.mp4"
    out = tmp_path / "c.jpg"
    assert main(["doctor", "--camera", str(clip), *GEOMETRY, "--model", str(card), "--out", str(out), "--json"]) == 0
    assert (told(capsys)["width"], out.read_bytes()[:2]) == (1280, b"\xff\xd8")


@pytest.mark.parametrize(
    ("shape", "width", "said"), [("", 704, True), (", aspect: 16:9", 1024, False), (", turned: 90", 576, True)]
)
def test_pictures_that_may_be_squeezed_are_told_of(
    shape: str, width: int, said: bool, card: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clip, config = make_video(tmp_path / "a.mp4", size=(704, 576), seconds=1, fps=5), tmp_path / "edge.yaml"
    config.write_text(f"site: s\nedge: e\ncameras: [{{name: bulk, source: {clip}{shape}}}]\n")
    common = ["--camera", "bulk", *GEOMETRY, "--model", str(card), "--out", str(tmp_path / "c.png")]
    assert main(["doctor", *common, "--config", str(config), "--json"]) == 0
    seen = told(capsys)
    assert (seen["width"], seen["squeezed"]) == (width, said)
    for language, words in (("zh", "可能被压扁"), ("en", " are mostly meant")):
        assert main(["doctor", *common, "--config", str(config), "--language", language]) == 0
        assert (words in capsys.readouterr().out) == said


def test_a_camera_of_a_configuration_is_found_by_name(
    card: Path, picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "edge.yaml"
    clip = REPOSITORY / "configs" / "demo" / "sweep_near.mp4"
    config.write_text(f"site: s\nedge: e\ncameras: [{{name: bulk, source: {clip}}}]\n")
    common = [*GEOMETRY, "--model", str(card), "--out", str(tmp_path / "c.png"), "--config", str(config)]
    assert main(["doctor", "--camera", "bulk", *common]) == 0
    assert main(["doctor", "--camera", "other", *common]) == 2
    assert "no camera other (there are: bulk)" in capsys.readouterr().err


MOUNTED = (3.0, 30.0, 90.0)


@pytest.mark.parametrize(
    ("options", "hangs"),
    [
        pytest.param([], MOUNTED, id="as the configuration says"),
        pytest.param(["--height", "4"], (4.0, 30.0, 90.0), id="another height"),
        pytest.param(["--tilt", "45", "--fov", "60"], (3.0, 45.0, 60.0), id="another tilt and lens"),
        pytest.param(["--focal", "5.6", "--sensor", "5.6"], (3.0, 30.0, 53.13), id="another focal length"),
    ],
)
def test_a_camera_of_a_configuration_hangs_as_it_says_and_is_judged_by_its_model(
    options: list[str], hangs: tuple[float, float, float], card: Path, picture: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    mounting = dict(zip(("height_m", "tilt_deg", "fov_deg"), MOUNTED, strict=True))
    camera = {"name": "bulk", "source": str(picture), "mounting": mounting}
    config = tmp_path / "edge.yaml"
    config.write_text(json.dumps({"site": "s", "edge": "e", "analysis": {"model": card.name}, "cameras": [camera]}))
    arguments = ["--camera", "bulk", "--config", str(config), "--out", str(tmp_path / "c.png"), "--json", *options]
    assert main(["doctor", *arguments]) == 0
    seen = told(capsys)
    assert seen["least_phone_px"] == 16.0
    assert seen["fov_deg"] == pytest.approx(hangs[2], abs=0.1)
    assert seen["limit_m"] == pytest.approx(View(*hangs, 1280, 720).distance_m(16.0), abs=0.01)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        pytest.param({}, "", id="as shipped"),
        pytest.param({"frame_side": 960, "zoom_side": 640, "zooms": 1}, "", id="closer"),
        pytest.param({"zoom_side": 160}, "That holds from zoom_side 320 on", id="less closely"),
        pytest.param({"frame_side": 320, "zooms": 0}, "from frame_side 640, zooms 1 on", id="smaller, and not closely"),
    ],
)
def test_where_pictures_are_looked_at_less_closely_than_was_measured_the_line_says_so(
    settings: dict[str, int], said: str, card: Path, picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    analysis, config = {"model": card.name, **settings}, tmp_path / "edge.yaml"
    cameras = [{"name": "bulk", "source": str(picture)}]
    config.write_text(json.dumps({"site": "s", "edge": "e", "analysis": analysis, "cameras": cameras}))
    arguments = ["--camera", "bulk", *GEOMETRY, "--config", str(config), "--out", str(tmp_path / "c.png"), "--json"]
    assert main(["doctor", *arguments]) == 0
    sentence = told(capsys)["sentence"]
    assert said in sentence["en"]
    assert ("set lower" in sentence["en"], "此处设得更小" in sentence["zh"]) == (bool(said), bool(said))


def test_a_camera_that_hangs_on_its_side_sees_as_far_as_its_lens_does(
    card: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clip, config = make_video(tmp_path / "a.mp4", size=(640, 360), seconds=1, fps=5), tmp_path / "edge.yaml"
    film = make_turned(tmp_path / "b.mp4", -90, clip)
    common = [*GEOMETRY, "--model", str(card), "--out", str(tmp_path / "c.png"), "--config", str(config), "--json"]
    seen = []
    for source in (str(clip), f"{clip}, turned: 90", str(film)):
        config.write_text(f"site: s\nedge: e\ncameras: [{{name: bulk, source: {source}}}]\n")
        assert main(["doctor", "--camera", "bulk", *common]) == 0
        seen.append(told(capsys))
    assert [one["width"] for one in seen] == [640, 360, 360]
    assert {one["fov_deg"] for one in seen} == {MOUNTED[2]}
    limit_m = View(*MOUNTED, 640, 360).distance_m(16)
    assert [one["limit_m"] for one in seen] == pytest.approx([limit_m] * 3, abs=0.01)


def test_a_camera_that_is_a_folder_of_videos_shows_the_first(
    card: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "videos").mkdir()
    common = ["--camera", str(tmp_path / "videos"), *GEOMETRY, "--model", str(card), "--out", str(tmp_path / "c.png")]
    assert main(["doctor", *common]) == 1
    assert "no video file in this folder" in capsys.readouterr().err
    shutil.copy(REPOSITORY / "configs" / "demo" / "sweep_near.mp4", tmp_path / "videos" / "1.mp4")
    (tmp_path / "videos" / "2.mp4").touch()
    assert main(["doctor", *common, "--json"]) == 0
    assert told(capsys)["width"] == 1280


@pytest.mark.parametrize(
    ("arguments", "said", "code"),
    [
        pytest.param(["--height", "3", "--tilt", "30"], "either --fov or --focal", 2, id="no lens"),
        pytest.param([*GEOMETRY, "--focal", "4"], "either --fov or --focal", 2, id="two lenses"),
        pytest.param(["--tilt", "30", "--fov", "90"], "--height", 2, id="no height"),
        pytest.param(["--height", "-3", "--tilt", "30", "--fov", "90"], "height must be", 2, id="below ground"),
        pytest.param(["--height", "3", "--tilt", "95", "--fov", "90"], "tilt must be", 2, id="upside down"),
        pytest.param(["--height", "3", "--tilt", "30", "--focal", "0"], "above 0 mm", 2, id="no focal length"),
        pytest.param(
            ["--height", "3", "--tilt", "30", "--focal", "4", "--sensor", "0"], "above 0 mm", 2, id="no sensor"
        ),
        pytest.param(["--height", "3", "--tilt", "30", "--focal", "inf"], "--focal: focal length", 2, id="endless"),
        pytest.param([*GEOMETRY, "--sensor", "5"], "--sensor: belongs to --focal", 2, id="a sensor without its lens"),
        pytest.param([*GEOMETRY, "--out", "c.txt"], "no kind of picture", 2, id="no picture"),
    ],
)
def test_wrong_geometry_is_told(
    card: Path, picture: Path, arguments: list[str], said: str, code: int, capsys: pytest.CaptureFixture[str],
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert main(["doctor", "--camera", str(picture), "--model", str(card), *arguments]) == code
    error = capsys.readouterr().err
    assert said in error
    assert len(error.splitlines()) == 1


@pytest.mark.parametrize("option", [("--height", "3"), ("--focal", "4")])
def test_what_belongs_to_a_camera_is_refused_without_one(
    option: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["doctor", *option]) == 2
    told = capsys.readouterr()
    assert f"{option[0]}: belongs to --camera, which isn't given" in told.err
    assert not told.out


def test_fonts_are_told_whatever_their_names_are_encoded_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "fc-list"
    program.write_bytes(b"#!/bin/sh\nprintf 'WenQuanYi Zen Hei,\\316\\304\\310\\252\\n'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert (doctor.chinese_font().state, doctor.chinese_font().told) == (FINE, "WenQuanYi Zen Hei")


def test_a_model_without_a_curve_says_how_to_get_one(
    picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = card_file(model_file(tmp_path / "plain.onnx", raw_output([])))
    assert main(["doctor", "--camera", str(picture), *GEOMETRY, "--model", str(plain)]) == 1
    assert "models/evaluate.py --write" in capsys.readouterr().err


@pytest.mark.parametrize(("content", "code"), [(None, 2), (b"", 1), (b"no picture", 1)])
def test_a_picture_that_is_not_there_is_told(
    card: Path, tmp_path: Path, content: bytes | None, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "gone.jpg"
    if content is not None:
        path.write_bytes(content)
    assert main(["doctor", "--camera", str(path), *GEOMETRY, "--model", str(card)]) == code
    assert "gone.jpg" in capsys.readouterr().err


def test_a_password_in_the_address_is_refused_and_not_repeated(card: Path, capsys: pytest.CaptureFixture[str]) -> None:
    address = "rtsp://admin:geheim@127.0.0.1:9/1"
    assert main(["doctor", "--camera", address, *GEOMETRY, "--model", str(card)]) == 2
    error = capsys.readouterr().err
    assert "geheim" not in error
    assert "--config" in error


def test_a_camera_that_never_answers_is_given_up(
    card: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor, "FIRST_PICTURE_S", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"rtsp://127.0.0.1:{silent.getsockname()[1]}/1"
        assert main(["doctor", "--camera", address, *GEOMETRY, "--model", str(card)]) == 1
    assert f"{address}: no picture" in capsys.readouterr().err


def test_a_camera_where_nothing_listens_is_told_at_once(card: Path, capsys: pytest.CaptureFixture[str]) -> None:
    began = time.monotonic()
    assert main(["doctor", "--camera", "rtsp://127.0.0.1:9/1", *GEOMETRY, "--model", str(card)]) == 1
    assert time.monotonic() - began < doctor.FIRST_PICTURE_S / 2
    assert "rtsp://127.0.0.1:9/1: " in capsys.readouterr().err


def test_a_broken_opencv_does_not_keep_the_doctor_from_telling() -> None:
    code = "import detector.tools.doctor, sys; print('cv2' in sys.modules, 'onnxruntime' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=REPOSITORY, check=True)
    assert done.stdout.split() == ["False", "False"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param(["--height", "-3", "--tilt", "30", "--fov", "90"], "height must be", id="below ground"),
        pytest.param([*GEOMETRY, "--out", "c.txt"], "no kind of picture", id="no picture"),
    ],
)
def test_what_is_wrong_anyhow_is_told_before_a_camera_is_waited_for(
    arguments: list[str], said: str, card: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor, "FIRST_PICTURE_S", 0.5)
    assert main(["doctor", "--camera", "rtsp://127.0.0.1:9/1", "--model", str(card), *arguments]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert len(error.splitlines()) == 1


def test_a_camera_s_password_that_is_not_there_is_told_at_once(
    card: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor, "FIRST_PICTURE_S", 0.5)
    camera = {"name": "bulk", "source": "rtsp://127.0.0.1:9/1", "username": "viewer", "password_env": "NO_SUCH_PW"}
    config = tmp_path / "edge.yaml"
    config.write_text(json.dumps({"site": "s", "edge": "e", "cameras": [camera]}))
    assert main(["doctor", "--camera", "bulk", "--config", str(config), *GEOMETRY, "--model", str(card)]) == 2
    error = capsys.readouterr().err
    assert "NO_SUCH_PW: is not set" in error
    assert len(error.splitlines()) == 1


def test_the_picture_looked_at_is_not_written_over(
    card: Path, picture: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = picture.read_bytes()
    arguments = ["--camera", str(picture), *GEOMETRY, "--model", str(card), "--out", str(picture)]
    assert main(["doctor", *arguments]) == 2
    assert f"--out: is the picture looked at: {picture}" in capsys.readouterr().err
    assert picture.read_bytes() == before
