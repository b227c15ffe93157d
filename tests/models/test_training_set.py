"""A training set: what is marked, what is unknown, what goes where; and that bad ones are refused with a reason."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from dataset import (
    Source,
    a_fifth_to_val,
    act_of,
    facing_of,
    gathered,
    read_image,
    read_rendered,
    read_sources,
    read_yolo,
    rendered_things,
    seed_of,
)
from evaluation.sets import real_sets
from hypothesis import given
from hypothesis import strategies as st
from looks import CLOSE, FRAME, OWNER, REAL_SHARE, Looks, traits_of
from manifest import ACTS, Picture, SetError, Thing, pictures_of, read_manifest, run, write_manifest

from detector.inference.zoom import zoom_square
from detector.values import ACT_TRAITS, CALL, LABELS, PHOTO, TRAITS
from tests.models.conftest import Script


def a_picture(folder: Path, *things: Thing, **changes: Any) -> Picture:
    """A grey picture of 640x360 on disk with these things in it."""
    path = folder / f"{changes.pop('name', 'a')}.png"
    cv2.imwrite(str(path), np.full((360, 640, 3), 90, np.uint8))
    facts = {"source": "rendered", "group": "7", "licence": "ours", "split": "train", "known": LABELS} | changes
    return Picture(path, things=things, **facts)


def scene_truth(**changes: Any) -> dict[str, Any]:
    """Truth of one rendered frame: a person who photographs the label on top of a parcel."""
    return {
        "size": [960, 540],
        "people": [{"id": 1, "bbox": [400, 100, 480, 300], "visible_fraction": 1.0}],
        "phones": [{"id": 2, "bbox": [430, 180, 455, 192], "visible_fraction": 1.0, "use": "photo", "holder": 1}],
        "scanners": [],
        "parcels": [{"id": 3, "bbox": [400, 330, 480, 400], "visible_fraction": 1.0, "labels": [4]}],
        "labels": [
            {
                "id": 4, "parcel": 3, "face": "top", "visible_fraction": 1.0, "cos_view": 0.8, "angle_img": -30.0,
                "polygon": [[420, 340], [450, 340], [450, 365], [420, 365]],
            }
        ],
    } | changes  # fmt: skip


def yolo_folder(folder: Path, labels: str | None, name: str = "fuyi_1") -> Path:
    """A YOLO folder of one picture; `labels` is the text of its label file, `None` for no file."""
    for part in ("images", "labels"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(folder / "images" / f"{name}.jpg"), np.full((100, 200, 3), 90, np.uint8))
    if labels is not None:
        (folder / "labels" / f"{name}.txt").write_text(labels)
    return folder


SOURCES = {"fuyi": Source(licence="Apache-2.0", files=["fuyi_"], known=["parcel"], teacher=["person"])}


def to_train(_group: str) -> str:
    return "train"


def test_truth_becomes_things_with_what_is_known_of_them() -> None:
    person, phone, parcel, label = rendered_things(scene_truth())
    assert (person.act, phone.use, parcel.facing) == ("photo", "photo", "up")
    assert label.angle == 150.0 and label.box == (420, 340, 450, 365)


def test_a_phone_that_is_merely_held_is_taught_to_be_neither_a_photo_nor_a_call() -> None:
    truth = scene_truth()
    truth["people"][0]["act"], truth["phones"][0]["use"] = "none", None
    person, phone, *_ = rendered_things(truth)
    assert (person.act, phone.use) == ("none", "held")
    assert traits_of(phone)[PHOTO : CALL + 1].tolist() == [0.0, 0.0]
    assert not traits_of(person)[ACT_TRAITS].any()


def test_what_is_hardly_seen_is_doubtful() -> None:
    truth = scene_truth()
    truth["phones"][0]["visible_fraction"] = 0.1
    assert [thing.label for thing in rendered_things(truth) if thing.doubtful] == ["phone"]


@pytest.mark.parametrize(
    ("use", "act"), [("photo", "photo"), ("scan", "scan"), ("call", "call"), ("text", "browse"), (None, "none")]
)
def test_an_act_is_what_the_hand_does_with_its_device(use: str | None, act: str) -> None:
    assert act_of({"id": 1}, [{"holder": 1, "use": use}, {"holder": 2, "use": "photo"}]) == act


@pytest.mark.parametrize(
    ("parcel", "facing"),
    [
        ({"top_visible": 0.2, "top_cos": 0.8, "top_px": 900}, "unknown"),
        ({"top_visible": 0.9, "top_cos": 0.8, "top_px": 900}, "not_up"),
        ({"top_visible": 0.9, "top_cos": 0.1, "top_px": 900}, "unknown"),
        ({"top_visible": 0.9, "top_cos": 0.8, "top_px": 900, "in_frame_fraction": 0.4}, "unknown"),
        ({}, "not_up"),
    ],
)
def test_a_bare_top_is_not_up_where_it_can_be_seen(parcel: dict[str, float], facing: str) -> None:
    whole = {"bbox": [0, 0, 80, 80], "visible_fraction": 1.0, "labels": []} | parcel
    assert facing_of(whole, {}, [whole]) == facing


@pytest.mark.parametrize(
    ("seen", "in_frame", "facing"), [(0.9, 1.0, "up"), (0.3, 1.0, "unknown"), (0.9, 0.3, "unknown")]
)
def test_a_top_with_a_label_is_up_where_the_label_can_be_seen(seen: float, in_frame: float, facing: str) -> None:
    polygon = [[10, 10], [30, 10], [30, 30], [10, 30]]
    label = {
        "face": "top",
        "visible_fraction": seen,
        "in_frame_fraction": in_frame,
        "cos_view": 0.8,
        "polygon": polygon,
    }
    parcel = {"bbox": [0, 0, 80, 80], "visible_fraction": 1.0, "labels": [7]}
    assert facing_of(parcel, {7: label}, [parcel]) == facing


@pytest.mark.parametrize(("stem", "seed"), [("r50001_03", 50001), ("m30001_00", 30001), ("synth_10001", 10001)])
def test_a_scene_is_known_by_its_seed(stem: str, seed: int) -> None:
    assert seed_of(stem) == seed


def test_whole_scenes_are_held_out(tmp_path: Path) -> None:
    for seed in (50001, 50005, 50010):
        (tmp_path / f"r{seed}_00.json").write_text(json.dumps(scene_truth()))
        (tmp_path / f"r{seed}_00.jpg").write_bytes(b"")
    assert {p.group: p.split for p in read_rendered(tmp_path)} == {"50001": "train", "50005": "test", "50010": "val"}


@given(st.text(min_size=1))
def test_the_split_of_a_group_is_always_the_same(group: str) -> None:
    assert a_fifth_to_val(group) == a_fifth_to_val(group) in ("train", "val")


def test_about_a_fifth_of_real_groups_is_kept_to_choose_by() -> None:
    kept = sum(a_fifth_to_val(f"video{n}") == "val" for n in range(1000))
    assert 150 < kept < 250


def test_classes_the_makers_did_not_mark_are_left_to_the_teacher(tmp_path: Path) -> None:
    folder = yolo_folder(tmp_path, "0 .5 .5 .2 .2\n2 .5 .5 .4 .4\n")
    box = (1.0, 2.0, 30.0, 40.0)

    def teacher(_image: np.ndarray) -> list[tuple[str, float, tuple[float, float, float, float]]]:
        return [("person", 0.8, box), ("person", 0.2, box), ("phone", 0.9, box)]

    (alone,) = read_yolo(folder, SOURCES, to_train)
    (taught,) = read_yolo(folder, SOURCES, to_train, teacher)
    assert (alone.known, [t.label for t in alone.things]) == (("parcel",), ["parcel"])
    assert taught.known == ("parcel", "person")
    assert [(t.label, t.doubtful) for t in taught.things] == [("parcel", False), ("person", False), ("person", True)]


def test_pictures_of_unlisted_sources_stay_out_and_are_told_of(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert not list(read_yolo(yolo_folder(tmp_path, "", "stranger_1"), SOURCES, to_train))
    assert "passed over: 1 of no source that is taken, like stranger_1.jpg (taken: fuyi)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("labels", "reason"),
    [
        (None, "empty file"),
        ("2 .5 .5 .1 .1\n2 nan .5 .5 .1", "line 2: not 'class x y w h'"),
        ("2.7 .5 .5 .5 .1", "class x y w h"),
        ("inf .5 .5 .5 .1", "class x y w h"),
        ("7 .5 .5 .1 .1", "class x y w h"),
        ("-1 .5 .5 .1 .1", "out of range"),
        ("0 .5 .5 .1", "class x y w h"),
        ("0 .5 .5 1.5 .1", "out of range"),
        ("0 .5 .5 0 .1", "out of range"),
        ("person .5 .5 .1 .1", "class x y w h"),
    ],
)
def test_a_wrong_label_file_is_named_with_its_line(tmp_path: Path, labels: str | None, reason: str) -> None:
    folder = yolo_folder(tmp_path, labels)
    with pytest.raises(SetError, match=reason) as error:
        list(read_yolo(folder, SOURCES, to_train))
    assert "fuyi_1.txt" in str(error.value)


def test_a_label_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    folder = yolo_folder(tmp_path, "")
    (folder / "labels" / "fuyi_1.txt").write_bytes(b"2 .5 .5 .1 .1\n\xff\xfe\x00")
    with pytest.raises(SetError, match=r"fuyi_1\.txt, line 2: no text"):
        list(read_yolo(folder, SOURCES, to_train))


def test_a_corrupt_picture_is_named(tmp_path: Path) -> None:
    folder = yolo_folder(tmp_path, "")
    (folder / "images" / "fuyi_1.jpg").write_bytes(b"no picture")
    with pytest.raises(SetError, match=r"fuyi_1\.jpg is not a picture"):
        list(read_yolo(folder, SOURCES, to_train))


def test_a_picture_that_is_cut_off_is_named(tmp_path: Path) -> None:
    picture = a_picture(tmp_path, Thing("person", (250, 50, 390, 350))).path.with_suffix(".jpg")
    noise = np.random.default_rng(1).integers(0, 256, (360, 640, 3), np.uint8)
    whole = cv2.imencode(".jpg", noise)[1].tobytes()
    picture.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(SetError, match=r"\.jpg is not a picture that can be read"):
        read_image(picture)
    picture.write_bytes(whole)
    assert read_image(picture).shape == (360, 640, 3)


@pytest.mark.parametrize("kind", [".bmp", ".webp", ".TIFF", ".jfif"])
def test_pictures_of_every_kind_teach_that_judge(kind: str, tmp_path: Path) -> None:
    folder = yolo_folder(tmp_path, "2 0.5 0.5 0.2 0.2\n")
    picture = folder / "images" / "fuyi_1.jpg"
    _, data = cv2.imencode({".jfif": ".jpg"}.get(kind, kind), cv2.imread(str(picture)))
    picture.unlink()
    picture.with_suffix(kind).write_bytes(data.tobytes())
    assert [p.path.name for p in read_yolo(folder, SOURCES, to_train)] == [f"fuyi_1{kind}"]
    assert [sample.path.name for judged in real_sets(folder, SOURCES) for sample in judged.samples] == [f"fuyi_1{kind}"]


def test_a_name_that_no_manifest_can_hold_is_refused_before_the_teacher_begins(tmp_path: Path) -> None:
    folder = yolo_folder(tmp_path, "")
    for path in [*folder.rglob("*.jpg"), *folder.rglob("*.txt")]:
        path.rename(os.fsdecode(os.fsencode(path.with_suffix("")) + "门".encode("gbk") + path.suffix.encode()))
    with pytest.raises(SetError, match="its name is of another encoding than UTF-8") as refused:
        list(read_yolo(folder, SOURCES, to_train, lambda image: pytest.fail("asked")))
    assert str(refused.value).encode()


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SetError, match="no picture"):
        list(read_yolo(tmp_path, SOURCES, to_train))
    with pytest.raises(SetError, match="no rendered truth"):
        list(read_rendered(tmp_path))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        pytest.param("mine: {files: [x_], known: [phone]}", "mine.licence: Field required", id="no licence"),
        pytest.param("mine: {licence: ours, files: [x_], known: null}", "mine.known: .*valid list", id="nothing known"),
        pytest.param("mine: {licence: ours, files: [x_], known: parcel}", "mine.known: .*valid list", id="one word"),
        pytest.param(
            "mine: {licence: ours, files: [x_], known: [persn, parcel]}", "known.0: .*'person'", id="no class"
        ),
        pytest.param("mine: {licence: ours, files: x_, known: [parcel]}", "mine.files: .*valid list", id="letters"),
        pytest.param("mine: {licence: ours, files: [''], known: [parcel]}", "files.0: .*at least 1", id="all files"),
        pytest.param("mine: {licence: ours, files: [x_], known: [], use: test}", "mine.use: .*'judge'", id="no use"),
        pytest.param("mine: {licence: ours, files: [x_], knows: []}", "mine.known: Field required", id="no key"),
        pytest.param("mine: [", "line 1, column 8: expected", id="no YAML"),
        pytest.param("", "dictionary", id="empty"),
    ],
)
def test_wrong_sources_are_named_with_their_key(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "sources.yaml").write_text(text)
    with pytest.raises(SetError, match=rf"sources\.yaml is not .*: .*{reason}.*see models/sources\.yaml"):
        read_sources(tmp_path / "sources.yaml")


def test_every_listed_source_states_its_licence() -> None:
    sources = read_sources(Path(__file__).resolve().parents[2] / "models" / "sources.yaml")
    assert all(source.licence and set(source.known) <= set(LABELS) for source in sources.values())


def test_groups_csv_keeps_copies_in_one_split(tmp_path: Path) -> None:
    for n in range(12):
        yolo_folder(tmp_path, "", f"fuyi_{n}")
    (tmp_path / "groups.csv").write_text("image,group\n" + "".join(f"fuyi_{n}.jpg,video\n" for n in range(12)))
    assert len({p.split for p in read_yolo(tmp_path, SOURCES, a_fifth_to_val)}) == 1


def test_groups_that_are_no_table_are_named(tmp_path: Path) -> None:
    (yolo_folder(tmp_path, "") / "groups.csv").write_text("fuyi_1.jpg,7\n")
    with pytest.raises(SetError, match=r"groups\.csv is no table of images and groups \(its first line is 'image,gro"):
        list(read_yolo(tmp_path, SOURCES, to_train))


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("r50001_00", "[1]", "not a scene's truth"),
        ("r50001_00", "{}", "'labels'"),
        ("still", json.dumps(scene_truth()), "its name tells no seed"),
    ],
)
def test_what_is_no_scenes_truth_is_named(tmp_path: Path, name: str, text: str, reason: str) -> None:
    (tmp_path / f"{name}.json").write_text(text)
    (tmp_path / f"{name}.jpg").write_bytes(b"a picture")
    with pytest.raises(SetError, match=reason) as refused:
        list(read_rendered(tmp_path))
    assert f"{name}.json" in str(refused.value)


def test_a_teacher_without_the_extra_that_runs_it_is_one_line(
    script: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.delitem(sys.modules, "starts", raising=False)
    done = script("dataset.py", "--out", tmp_path / "set.jsonl", "--teacher", tmp_path / "coco.pt")
    assert done.returncode == 1 and "error: torch isn't installed (make setup-train, then" in done.stderr


@pytest.mark.parametrize("recipe", ["train.py", "mix.py"])
def test_a_recipe_that_is_nothing_without_the_extra_says_so_in_one_line(
    recipe: str, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    done = script(recipe, "--help")
    said = "error: torch isn't installed (make setup-train, then run it by .venv-train/bin/python)\n"
    assert (done.returncode, done.stderr) == (1, said)


def test_who_stops_a_recipe_is_told_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    def stopped() -> None:
        raise KeyboardInterrupt

    with pytest.raises(SystemExit) as ended:
        run(stopped, ": the same command goes on")
    assert (ended.value.code, capsys.readouterr().err) == (130, "stopped: the same command goes on\n")


def test_a_source_to_leave_out_that_there_is_not_is_refused(tmp_path: Path) -> None:
    args = argparse.Namespace(
        teacher=None, pose=None, data=None, yolo=[yolo_folder(tmp_path, "")], rendered=[], leave_out=["liegh"]
    )
    with pytest.raises(SetError, match="--leave-out: no source liegh"):
        list(gathered(args))


def test_left_out_sources_do_not_go_in(tmp_path: Path) -> None:
    yolo_folder(tmp_path, "")
    (tmp_path / "sources.yaml").write_text("fuyi: {licence: Apache-2.0, files: [fuyi_], known: [parcel]}")
    args = argparse.Namespace(teacher=None, pose=None, data=None, yolo=[tmp_path], rendered=[], leave_out=["fuyi"])
    assert not list(gathered(args))


things = st.builds(
    Thing,
    st.sampled_from(LABELS),
    st.tuples(st.integers(0, 99), st.integers(0, 99), st.integers(100, 200), st.integers(100, 200)).map(
        lambda box: tuple(map(float, box))
    ),
    st.sampled_from([None, "up", "not_up", "unknown"]),
    st.sampled_from([None, "photo", "call", "browse"]),
    st.sampled_from([None, *ACTS]),
    st.none() | st.floats(0, 179.9),
    st.booleans(),
    st.sampled_from([None, "photo"]),
    st.sampled_from([None, "photo"]),
)


@given(st.lists(things, max_size=5))
def test_a_manifest_says_back_what_was_written(tmp_path_factory: pytest.TempPathFactory, some: list[Thing]) -> None:
    folder = tmp_path_factory.mktemp("set")
    picture = Picture(folder / "a.png", "site:x", "g", "own footage", "val", ("person",), tuple(some))
    write_manifest(folder / "manifest.jsonl", [picture])
    assert list(read_manifest(folder / "manifest.jsonl")) == [picture]


def test_no_sign_in_a_name_breaks_its_line(tmp_path: Path) -> None:
    pictures = [a_picture(tmp_path, name=f"a{sign}b") for sign in "\u2028\u2029\x85\x0b"]
    write_manifest(tmp_path / "manifest.jsonl", pictures)
    assert [one.path for one in read_manifest(tmp_path / "manifest.jsonl")] == [one.path for one in pictures]


def test_what_a_model_proposes_is_a_proposal_until_its_class_is_known(tmp_path: Path) -> None:
    rows = [
        {"label": label, "box": [0, 0, 9, 9], "by": by} for label in ("person", "phone") for by in ("model", "person")
    ]
    line = {"picture": "a.png", "source": "s", "group": "g", "licence": "own", "split": "train", "known": ["phone"]}
    (tmp_path / "manifest.jsonl").write_text(json.dumps(line | {"objects": rows}))
    (picture,) = read_manifest(tmp_path / "manifest.jsonl")
    assert [thing.proposed for thing in picture.things] == [True, False, False, False]
    write_manifest(tmp_path / "again.jsonl", [picture])
    assert list(read_manifest(tmp_path / "again.jsonl")) == [picture]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"known": ["dog"]}, "no class 'dog'"),
        ({"split": "dev"}, "no split 'dev'"),
        ({"objects": [{"label": "cat", "box": [0, 0, 1, 1]}]}, "no class 'cat'"),
        ({"objects": [{"label": "person", "box": [5, 0, 1, 1]}]}, "no extent"),
        ({"objects": [{"label": "person", "box": [0, 0, 1, 1], "act": "steal"}]}, "no act 'steal'"),
        ({"objects": [{"box": [0, 0, 1, 1]}]}, "'label' is missing"),
    ],
)
def test_a_wrong_line_of_a_manifest_is_named(tmp_path: Path, change: dict[str, Any], reason: str) -> None:
    line = {
        "picture": "a.png",
        "source": "s",
        "group": "g",
        "licence": "l",
        "split": "train",
        "known": [],
        "objects": [],
    }
    path = tmp_path / "manifest.jsonl"
    path.write_text(json.dumps(line) + "\n" + json.dumps(line | change) + "\n")
    with pytest.raises(SetError, match=f"line 2: .*{reason}"):
        list(read_manifest(path))


def test_an_absent_or_empty_manifest_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "manifest.jsonl"
    with pytest.raises(SetError, match=r"dataset\.py"):
        list(read_manifest(path))
    path.write_bytes(b"PK\xff\xfe")
    with pytest.raises(SetError, match="no text"):
        list(read_manifest(path))
    path.write_text("")
    with pytest.raises(SetError, match="is empty"):
        list(read_manifest(path))
    with pytest.raises(SetError, match="no picture went in"):
        write_manifest(path, [])
    assert path.read_text() == "", "the file that was there is kept"


def test_a_group_in_two_splits_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SetError, match="lies in two splits"):
        write_manifest(tmp_path / "m.jsonl", [a_picture(tmp_path), a_picture(tmp_path, name="b", split="val")])


def test_a_set_without_a_picture_in_the_split_is_named(tmp_path: Path) -> None:
    some = [a_picture(tmp_path, name=name, group=name, split=split) for name, split in (("a", "val"), ("b", "test"))]
    write_manifest(tmp_path / "m.jsonl", some)
    assert pictures_of(tmp_path / "m.jsonl", "val") == some[:1]
    with pytest.raises(SetError, match=r"m\.jsonl: no picture in split train, but 1 in val, 1 in test"):
        pictures_of(tmp_path / "m.jsonl", "train")


def test_what_is_unknown_of_a_thing_has_no_target() -> None:
    box = (0.0, 0.0, 9.0, 9.0)
    assert np.isnan(traits_of(Thing("phone", box))).all()
    facing = traits_of(Thing("parcel", box, facing="unknown"))
    assert facing[OWNER["parcel"]].tolist() == [0, 0] and np.isnan(facing[2:]).all()
    assert traits_of(Thing("person", box, act="call"))[OWNER["person"]].tolist() == [0, 0, 1, 0]
    assert traits_of(Thing("person", box, act="none"))[OWNER["person"]].tolist() == [0, 0, 0, 0]
    refuted = traits_of(Thing("person", box, not_act="photo"))
    assert refuted[TRAITS.index("act_photo")] == 0 and np.isnan(refuted).sum() == len(TRAITS) - 1
    assert traits_of(Thing("phone", box, use="browse"))[OWNER["phone"]].tolist() == [0, 0]


@given(st.floats(0, 179.9), st.floats(0, 179.9))
def test_a_labels_angle_is_the_same_half_a_turn_further(angle: float, _other: float) -> None:
    box = (0.0, 0.0, 9.0, 9.0)
    here, there = (traits_of(Thing("label", box, angle=a))[OWNER["label"]] for a in (angle, angle + 180))
    assert np.allclose(here, there, atol=1e-5) and ((here >= 0) & (here <= 1)).all()


def test_looks_keep_boxes_on_what_they_mark(tmp_path: Path) -> None:
    picture = a_picture(
        tmp_path, Thing("phone", (300, 150, 340, 190), use="photo"), Thing("person", (250, 50, 390, 350), act="photo")
    )
    image = np.full((360, 640, 3), 40, np.uint8)
    image[150:190, 300:340] = 255
    cv2.imwrite(str(picture.path), image)
    looks = Looks([picture], seed=1)
    for close, size in ((False, FRAME), (True, CLOSE)):
        batch = looks.batch(24, close=close)
        assert batch.images.shape == (24, size, size, 3)
        seen = 0
        for n in range(24):
            for k in np.flatnonzero((batch.classes[n] == 1) & ~batch.doubtful[n] & (batch.boxes[n].sum(1) > 0)):
                x1, y1, x2, y2 = batch.boxes[n, k].astype(int)
                inside = batch.images[n, (y1 + y2) // 2, (x1 + x2) // 2].mean()
                assert inside > np.median(batch.images[n]) + 40
                seen += 1
        assert seen >= 12


@pytest.mark.parametrize("close", [False, True], ids=["whole frames", "close looks"])
@pytest.mark.parametrize("rendered", [1, 40])
def test_crowds_of_rendered_people_leave_real_ones_their_share(tmp_path: Path, rendered: int, close: bool) -> None:
    real = a_picture(tmp_path, Thing("person", (250, 50, 390, 350)), source="own")
    crowd = [a_picture(tmp_path, Thing("person", (250, 50, 390, 350), act="photo"))] * rendered
    assert Looks([real, *crowd], seed=5).batch(100, close=close).real.mean() == pytest.approx(REAL_SHARE, abs=0.12)
    assert Looks([real], seed=5).batch(8, close=close).real.all()
    assert not Looks(crowd, seed=5).batch(8, close=close).real.any()


def test_acts_are_learnt_from_close_looks_alone(tmp_path: Path) -> None:
    looks = Looks([a_picture(tmp_path, Thing("person", (250, 50, 390, 350), act="scan"))], seed=2)
    far, near = looks.batch(16, close=False), looks.batch(16, close=True)
    assert np.isnan(far.traits[..., OWNER["person"]]).all()
    assert not np.isnan(near.traits[near.classes == 0][:, OWNER["person"]]).all()


@pytest.mark.parametrize(
    ("act", "device", "taught"),
    [
        pytest.param("photo", Thing("phone", (311, 245, 317, 255), use="photo"), {True}, id="seen"),
        pytest.param("photo", Thing("phone", (311, 245, 317, 255), use="photo", doubtful=True), {False}, id="hidden"),
        pytest.param("scan", Thing("scanner", (311, 276, 317, 286)), {False, True}, id="cut off by some looks"),
        pytest.param("none", None, {True}, id="none in use"),
    ],
)
def test_who_stands_beside_teaches_no_act_whose_device_does_not_show(
    tmp_path: Path, act: str, device: Thing | None, taught: set[bool]
) -> None:
    looked_at = Thing("person", (200, 50, 300, 350), act="browse")
    beside = Thing("person", (308, 240, 319, 288), act=act)  # too small for a look of their own
    looks = Looks([a_picture(tmp_path, looked_at, beside, *([device] if device else []))], seed=6)
    batch = looks.batch(60, close=True)
    people = (batch.classes == 0) & (batch.boxes.sum(2) > 0) & ~batch.doubtful
    large = batch.boxes[..., 2] - batch.boxes[..., 0] > 40
    known = ~np.isnan(batch.traits[..., OWNER["person"]]).any(2)
    assert known[people & large].all()
    assert set(known[people & ~large].tolist()) == taught


def test_boxes_and_text_lines_are_stretched_with_their_picture(tmp_path: Path) -> None:
    image = np.zeros((400, 400, 3), np.uint8)
    image[150:250, 120:280] = 255
    cv2.imwrite(str(tmp_path / "label.png"), image)
    label = Thing("label", (120.0, 150.0, 280.0, 250.0), angle=45.0)
    batch = Looks(
        [Picture(tmp_path / "label.png", "rendered", "label", "ours", "train", ("label",), (label,))], seed=1
    ).batch(40, close=False)
    shapes, angles = [], []
    for picture, boxes, traits in zip(batch.clean, batch.boxes, batch.traits, strict=True):
        rows, columns = np.flatnonzero((picture > 200).all(2).any(1)), np.flatnonzero((picture > 200).all(2).any(0))
        assert boxes[0] == pytest.approx([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], abs=2.5)
        if boxes[0].min() > 1 and boxes[0].max() < 415:  # all of it is there
            width, height = boxes[0, 2:] - boxes[0, :2]
            shapes.append(width / height / 1.6)
            cosine, sine = 2 * traits[0, TRAITS.index("angle_cos")] - 1, 2 * traits[0, TRAITS.index("angle_sin")] - 1
            angles.append(abs(np.tan(np.arctan2(sine, cosine) / 2)))
    assert min(shapes) < 0.92 and max(shapes) > 1.08
    assert angles == pytest.approx(1 / np.array(shapes), rel=0.03)


def test_a_mirrored_label_leans_the_other_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("looks.STRETCH", 1.0)
    looks = Looks([a_picture(tmp_path, Thing("label", (300, 150, 340, 190), angle=30.0))], seed=3)
    traits = looks.batch(40, close=False).traits[..., OWNER["label"]]
    sines = {round(float(v), 3) for v in traits[..., 1].ravel() if not np.isnan(v)}
    assert sines == {round((1 + np.sin(np.radians(60))) / 2, 3), round((1 - np.sin(np.radians(60))) / 2, 3)}


def test_a_set_without_training_pictures_is_refused() -> None:
    with pytest.raises(SetError, match="no picture to train on"):
        Looks([], seed=1)


@pytest.mark.parametrize("box", [(700.0, 50.0, 800.0, 90.0), (50.0, 400.0, 90.0, 500.0), (-50.0, 10.0, 0.0, 90.0)])
def test_a_box_outside_of_its_picture_is_refused(tmp_path: Path, box: tuple[float, float, float, float]) -> None:
    picture = a_picture(tmp_path, Thing("person", (250, 50, 390, 350)), Thing("phone", box))
    with pytest.raises(SetError, match=r"a phone is marked at .* outside of the picture of 640x360"):
        Looks([picture], seed=1)


def test_close_looks_are_cut_by_the_workers_rule(tmp_path: Path) -> None:
    box = (250.0, 50.0, 390.0, 350.0)
    looks = Looks([a_picture(tmp_path, Thing("person", box, act="none"))], seed=4)
    batch = looks.batch(200, close=True)
    _, _, side = zoom_square(box)
    heights = batch.boxes[..., 3] - batch.boxes[..., 1]
    widths = (batch.boxes[..., 2] - batch.boxes[..., 0])[heights > 0]
    assert abs(np.median(widths) / (140 * CLOSE / (1.075 * side)) - 1) < 0.15
