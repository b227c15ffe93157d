"""Pictures to detections, one JSON line each; what can't be read is named, the rest is done."""

from __future__ import annotations

import json
import math
import os
import struct
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.cli import main
from detector.machine.resources import resource
from detector.tools.stills import act_of, angle_of, detect_pictures, facing_of, keypoints_of, pictures_in
from tests.builders import detections
from tests.inference.tiny_models import card_file, model_file, raw_output

PERSON_UNSEEN = ("person", (20, 0, 29, 9), 0.9)
SAID = [
    ("person", 100.0, 100.0, 40.0, 80.0, 0.9, {}),
    ("parcel", 300.0, 200.0, 60.0, 40.0, 0.8, {"up": 0.9, "not_up": 0.1}),
]


@pytest.fixture
def model(tmp_path: Path) -> str:
    return str(card_file(model_file(tmp_path / "model" / "tiny.onnx", raw_output(SAID))))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder for pictures."""
    path = tmp_path / "pictures"
    path.mkdir()
    return path


def picture(path: Path, size: tuple[int, int] = (1280, 640)) -> Path:
    fine, data = cv2.imencode(path.suffix, np.full((size[1], size[0], 3), 90, np.uint8))
    assert fine
    path.write_bytes(data.tobytes())
    return path


def endless_png(path: Path) -> Path:
    """A PNG of a few bytes that says it is 100,000 pixels wide and high."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    )
    return path


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_a_picture_becomes_a_line_of_the_format(folder: Path, model: str, tmp_path: Path) -> None:
    out = tmp_path / "new" / "found.jsonl"
    assert main(["detect", str(picture(folder / "大门.png")), "--out", str(out), "--model", model]) == 0
    assert lines(out) == [
        {
            "image": "大门.png",
            "path": str(folder / "大门.png"),
            "width": 1280,
            "height": 640,
            "detections": [
                {
                    "label": "person", "score": 0.9, "box": [160.0, 120.0, 240.0, 280.0],
                    "facing": None, "angle": None, "act": None, "corners": None, "keypoints": None,
                },
                {
                    "label": "parcel", "score": 0.8, "box": [540.0, 360.0, 660.0, 440.0],
                    "facing": "up", "angle": None, "act": None, "corners": None, "keypoints": None,
                },
            ],
        }
    ]  # fmt: skip


def test_what_cannot_be_read_is_named_and_the_rest_is_done(
    folder: Path, model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture(folder / "a.jpg")
    (folder / "b_empty.jpg").touch()
    (folder / "c_text.jpg").write_text("no picture")
    (folder / "d_cut.jpg").write_bytes((folder / "a.jpg").read_bytes()[:100])
    endless_png(folder / "e_endless.png")
    (folder / "f_folder.jpg").mkdir()
    (folder / "g_phone.HEIC").write_bytes(b"\0\0\0\x18ftypheic")
    (folder / "notes.txt").write_text("not even by name")
    picture(folder / "z.png", (64, 48))
    out = tmp_path / "found.jsonl"
    assert main(["detect", str(folder), "--out", str(out), "--model", model]) == 1
    assert [line["image"] for line in lines(out)] == ["a.jpg", "z.png"]
    told = capsys.readouterr().err.splitlines()
    assert [line for line in told if "not read" in line] == [
        f"labelwatch: not read: {folder / 'b_empty.jpg'}: empty",
        f"labelwatch: not read: {folder / 'c_text.jpg'}: not a picture that can be read",
        f"labelwatch: not read: {folder / 'd_cut.jpg'}: not a picture that can be read",
        f"labelwatch: not read: {folder / 'e_endless.png'}: larger than can be read",
        f"labelwatch: not read: {folder / 'g_phone.HEIC'}: not a picture that can be read",
    ]
    assert "7 of 7 pictures" in told


@pytest.mark.parametrize(("name", "out"), [("a.jpg", "a.jpg"), ("a.jpg", "b.PNG"), ("odd", "odd")])
def test_no_picture_is_written_over(
    name: str, out: str, folder: Path, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in (picture(folder / "a.jpg"), picture(folder / "b.PNG")):
        (folder / "odd").write_bytes(path.read_bytes())
    before = (folder / out).read_bytes()
    # As a shell has it when somebody writes `--out *.jpg`.
    assert main(["detect", "--out", str(folder / out), str(folder / name), "--model", model]) == 2
    assert f"--out: is a picture: {folder / out}" in capsys.readouterr().err
    assert (folder / out).read_bytes() == before


def test_a_name_that_would_end_the_line_is_told_in_one(
    folder: Path, model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "a\n\x1b[31mb.jpg").touch()
    assert main(["detect", str(folder), "--out", str(tmp_path / "found.jsonl"), "--model", model]) == 1
    assert f"labelwatch: not read: {folder}/a\\n\\x1b[31mb.jpg: empty\n" in capsys.readouterr().err


def test_a_file_named_is_read_whatever_its_name(
    folder: Path, model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = folder / "notes.txt"
    text.write_text("hello")
    odd = folder / "picture.bin"
    odd.write_bytes(picture(folder / "a.png").read_bytes())
    out = tmp_path / "found.jsonl"
    assert main(["detect", str(text), str(odd), "--out", str(out), "--model", model]) == 1
    assert f"not read: {text}" in capsys.readouterr().err
    assert [line["image"] for line in lines(out)] == ["picture.bin"]


@pytest.mark.parametrize(("least", "labels"), [("0.25", ["person", "parcel"]), ("0.85", ["person"]), ("1", [])])
def test_the_least_score_holds_for_every_label(
    least: str, labels: list[str], folder: Path, model: str, tmp_path: Path
) -> None:
    out = tmp_path / "found.jsonl"
    arguments = ["detect", str(picture(folder / "a.png")), "--out", str(out), "--model", model, "--conf", least]
    assert main(arguments) == 0
    assert [found["label"] for found in lines(out)[0]["detections"]] == labels


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (3000, 4), (4, 3000)])
def test_a_picture_of_any_shape_is_read(size: tuple[int, int], folder: Path, model: str, tmp_path: Path) -> None:
    out = tmp_path / "found.jsonl"
    assert main(["detect", str(picture(folder / "a.png", size)), "--out", str(out), "--model", model]) == 0
    (line,) = lines(out)
    assert (line["width"], line["height"]) == size
    for found in line["detections"]:
        x1, y1, x2, y2 = found["box"]
        assert 0 <= x1 <= x2 <= size[0]
        assert 0 <= y1 <= y2 <= size[1]


def test_a_run_that_fails_leaves_the_earlier_file_alone(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "found.jsonl"
    out.write_text("earlier\n")
    gone = str(tmp_path / "gone.yaml")
    assert main(["detect", str(picture(folder / "a.png")), "--out", str(out), "--model", gone]) == 2
    assert out.read_text() == "earlier\n"


def test_a_picture_whose_name_is_of_another_encoding_is_read(folder: Path, model: str, tmp_path: Path) -> None:
    for name in ("大门.png".encode("gbk"), b"z.png"):
        picture(folder / os.fsdecode(name))
    assert main(["detect", str(folder), "--out", str(tmp_path / "found.jsonl"), "--model", model]) == 0
    assert [line["image"] for line in lines(tmp_path / "found.jsonl")] == ["z.png", "????.png"]


def test_pictures_of_one_name_are_told_apart_by_their_paths(folder: Path, model: str, tmp_path: Path) -> None:
    folders = [folder / "a", folder / "b"]
    for one in folders:
        one.mkdir()
        picture(one / "f.jpg")
    assert main(["detect", *map(str, folders), "--out", str(tmp_path / "found.jsonl"), "--model", model]) == 0
    found = lines(tmp_path / "found.jsonl")
    assert [line["image"] for line in found] == ["f.jpg", "f.jpg"]
    assert [line["path"] for line in found] == [str(one / "f.jpg") for one in folders]


def test_a_folder_that_holds_only_folders_is_told_so(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "cam1").mkdir()
    picture(folder / "cam1" / "a.jpg")
    assert main(["detect", str(folder), "--out", str(tmp_path / "found.jsonl")]) == 1
    assert f"{folder}: no picture in this folder; folders in it are not gone into: name them" in capsys.readouterr().err


def test_of_two_who_write_one_file_each_writes_it_whole(folder: Path, model: str, tmp_path: Path) -> None:
    paths = [picture(folder / f"{n}.png") for n in range(3)]
    out = tmp_path / "found.jsonl"

    def meanwhile(done: int, of: int) -> None:
        if done == 1:
            detect_pictures(paths[:2], out, model=model)
            assert len(out.read_text().splitlines()) == 2

    detect_pictures(paths, out, model=model, progress=meanwhile)
    assert len(out.read_text().splitlines()) == 3
    assert not list(tmp_path.glob(".*draft"))


def test_a_folder_as_the_file_to_write_is_an_error_before_any_work(
    folder: Path, model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "found"
    out.mkdir()
    assert main(["detect", str(picture(folder / "a.png")), "--out", str(out), "--model", model]) == 2
    assert capsys.readouterr().err == f"labelwatch: --out: is a folder: {out} (name a file in it)\n"
    assert not list(tmp_path.glob(".*draft"))


def test_a_pipe_or_device_is_not_put_aside_for_the_file_to_write(
    folder: Path, model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pipe, out = tmp_path / "pipe", tmp_path / "stdout"
    os.mkfifo(pipe)
    out.symlink_to(pipe)  # as /dev/stdout is one
    assert main(["detect", str(picture(folder / "a.png")), "--out", str(out), "--model", model]) == 2
    assert "is no file but a pipe or device" in capsys.readouterr().err
    assert out.is_symlink() and pipe.is_fifo()


def test_a_file_that_a_shell_writes_on_is_not_replaced_by_the_name_of_its_device(
    folder: Path, model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with (tmp_path / "shell.txt").open("w+") as file:
        file.write("before\n")
        file.flush()
        device = f"/dev/fd/{file.fileno()}"
        assert main(["detect", str(picture(folder / "a.png")), "--out", device, "--model", model]) == 2
        assert "is no file but a pipe or device" in capsys.readouterr().err
        file.write("after\n")
    assert (tmp_path / "shell.txt").read_text() == "before\nafter\n"


def test_a_clip_among_pictures_is_told_where_it_belongs(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clip = resource("configs", "demo", "sweep_near.mp4")
    assert main(["detect", str(clip), "--out", str(tmp_path / "found.jsonl"), "--model", model]) == 1
    assert f"{clip}: not a picture that can be read (clips: labelwatch replay)" in capsys.readouterr().err


def test_a_link_to_the_file_to_write_stays_a_link(folder: Path, model: str, tmp_path: Path) -> None:
    out, behind = tmp_path / "newest.jsonl", tmp_path / "found.jsonl"
    behind.touch()
    out.symlink_to(behind)
    assert main(["detect", str(picture(folder / "a.png")), "--out", str(out), "--model", model]) == 0
    assert out.is_symlink() and behind.stat().st_size


def test_pictures_come_in_order_folders_by_name(folder: Path) -> None:
    b, a = picture(folder / "b.PNG"), picture(folder / "a.jpeg")
    assert pictures_in([b, folder]) == [b, a, b]


@pytest.mark.parametrize(("name", "code"), [("gone.jpg", 2), ("empty_folder", 1)])
def test_a_path_without_a_picture_is_named(
    name: str, code: int, model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty_folder").mkdir()
    out = tmp_path / "found.jsonl"
    assert main(["detect", str(tmp_path / name), "--out", str(out), "--model", model]) == code
    assert name in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.parametrize(
    ("label", "traits", "facing"),
    [
        ("person", {"up": 0.9}, None),
        ("label", {"up": 0.9}, None),
        ("parcel", {"up": 0.9, "not_up": 0.1}, "up"),
        ("parcel", {"up": 0.1, "not_up": 0.9}, "not_up"),
        ("parcel", {"up": 0.4, "not_up": 0.1}, "unknown"),
        ("parcel", {"up": 0.8, "not_up": 0.7}, "unknown"),
        ("parcel", {}, "unknown"),
    ],
)
def test_facing_belongs_to_parcels(label: str, traits: dict[str, float], facing: str | None) -> None:
    assert facing_of(detections([(label, (0, 0, 9, 9), 0.9, traits)]), 0) == facing


axial = st.floats(0, 180, exclude_max=True)


@given(axial)
def test_the_angle_of_a_label_is_read_back(degrees: float) -> None:
    twice = math.radians(2 * degrees)
    said = {"angle_cos": (1 + math.cos(twice)) / 2, "angle_sin": (1 + math.sin(twice)) / 2}
    angle = angle_of(detections([("label", (0, 0, 9, 9), 0.9, said)]), 0)
    assert angle is not None
    assert 0 <= angle < 180
    assert abs((angle - degrees + 90) % 180 - 90) <= 0.06


@pytest.mark.parametrize(
    ("label", "traits"),
    [
        ("parcel", {"angle_cos": 1.0, "angle_sin": 0.5}),
        ("label", {}),
        ("label", {"angle_cos": 0.6, "angle_sin": 0.55}),
    ],
)
def test_no_angle_is_better_than_a_guess(label: str, traits: dict[str, float]) -> None:
    assert angle_of(detections([(label, (0, 0, 9, 9), 0.9, traits)]), 0) is None


def test_what_a_person_does_is_told_by_name() -> None:
    said = {"act_photo": 0.8, "act_scan": 0.1, "act_call": 0.0, "act_browse": 0.25}
    found = detections([("person", (0, 0, 9, 9), 0.9, said), ("phone", (0, 0, 9, 9), 0.9, said), PERSON_UNSEEN])
    assert act_of(found, 0) == {"photo": 0.8, "scan": 0.1, "call": 0.0, "browse": 0.25}
    assert act_of(found, 1) is None
    assert act_of(found, 2) is None


def test_keypoints_are_told_of_people() -> None:
    found = detections([("person", (0, 0, 9, 9), 0.9), ("phone", (0, 0, 9, 9), 0.9)])
    assert keypoints_of(found, 0) is None
    found = replace(found, keypoints=np.full((2, 17, 3), 0.123456, np.float32))
    assert keypoints_of(found, 0) == [[0.12, 0.12, 0.1235]] * 17
    assert keypoints_of(found, 1) is None
