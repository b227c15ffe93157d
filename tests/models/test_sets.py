"""Picture sets are read as they are, or refused with a reason."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from evaluation.sets import CHOOSE, REPORT, Truth, gathered, rendered_truths
from manifest import SetError, Thing

from tests.models.scenes_on_disk import device, label, own_manifest, parcel, person, rendered_set, scene, yolo_set

SOURCES = "own:\n  licence: ours\n  files: [own_]\n  known: [phone]\n  teacher: [person]\n"


def own_set(folder: Path, pictures: dict[str, str], sources: str = SOURCES) -> Path:
    yolo_set(folder, pictures)
    (folder / "sources.yaml").write_text(sources)
    return folder


def test_seeds_choose_or_are_reported_or_were_trained_on(tmp_path: Path) -> None:
    folder = rendered_set(
        tmp_path / "r", {stem: scene() for stem in ("r50010_00", "r50015_00", "r50015_01", "m30001_00")}
    )
    by_purpose = {judged.purpose: judged for judged in gathered(None, [folder], [])}
    assert [s.path.stem for s in by_purpose[CHOOSE].samples] == ["r50010_00"]
    assert [s.path.stem for s in by_purpose[REPORT].samples] == ["r50015_00", "r50015_01"]
    assert {s.group for s in by_purpose[REPORT].samples} == {"50015"}


def test_a_scene_without_its_picture_is_listed(tmp_path: Path) -> None:
    folder = rendered_set(tmp_path / "r", {"r50005_00": scene()})
    (folder / "r50005_01.json").write_text(json.dumps(scene()))
    (judged,) = gathered(None, [folder], [])
    assert len(judged.samples) == 1
    assert "r50005_01.jpg is missing" in judged.passed_over[0]


def test_shares_become_pixels_when_a_picture_is_opened(tmp_path: Path) -> None:
    folder = own_set(tmp_path / "own", {"own_1": "1 0.5 0.5 0.1 0.1\n"})
    (judged,) = gathered(None, [], [folder])
    image, truths = judged.samples[0].opened()
    assert image.shape == (384, 640, 3)
    assert truths[0].box == pytest.approx((288, 172.8, 352, 211.2))
    assert truths[0].px == pytest.approx((64 * 38.4) ** 0.5)


def test_what_a_teacher_marked_is_known_to_be_the_teachers(tmp_path: Path) -> None:
    (judged,) = gathered(None, [], [own_set(tmp_path / "own", {"own_1": ""})])
    assert (judged.known, judged.teacher) == (("person", "phone"), ("person",))


def test_the_data_folder_gives_its_sets_by_source(tmp_path: Path) -> None:
    yolo_set(
        tmp_path / "real" / "val", {"coco128_1": "0 0.5 0.5 0.2 0.2", "tiny_coco_train_2": "", "fuyi_3": "", "x_9": ""}
    )
    yolo_set(tmp_path / "real_check" / "wallet", {"w1": ""})
    yolo_set(tmp_path / "real_check" / "phone", {"a_f000001": "", "a_f000002": "", "b_f000001": ""})
    sets = {judged.name: judged for judged in gathered(tmp_path, [], [])}
    assert sets.keys() == {"coco", "fuyi", "real_check", "wallet"}
    assert len(sets["coco"].samples) == 2
    assert {sample.group for sample in sets["real_check"].samples} == {"a", "b"}
    assert sets["fuyi"].teacher == ("person",)


@pytest.mark.parametrize("name", ["own", "fuyi", "rendered", "wallet", "real_check"])
def test_two_sets_of_one_name_are_refused(tmp_path: Path, name: str) -> None:
    yolo_set(tmp_path / "data" / "real" / "val", {"fuyi_1": ""})
    folders = [own_set(tmp_path / "a", {"own_1": ""})]
    folders.append(own_set(tmp_path / "b", {"own_1": ""}, SOURCES.replace("own:", f"{name}:", 1)))
    with pytest.raises(SetError, match=rf"b/sources\.yaml: source {name}: another set is called so"):
        gathered(tmp_path / "data", [], folders)


@pytest.mark.parametrize("name", ["coco", "tiny_coco"])
def test_a_source_of_ones_own_may_be_called_as_one_of_cocos(tmp_path: Path, name: str) -> None:
    (judged,) = gathered(None, [], [own_set(tmp_path / "own", {"own_1": ""}, SOURCES.replace("own:", f"{name}:", 1))])
    assert (judged.name, judged.known) == ("coco", ("person", "phone"))


def test_a_picture_that_overlooked_a_class_is_not_judged_by(tmp_path: Path) -> None:
    yolo_set(tmp_path / "real" / "val", {"leigh_1": "1 0.5 0.5 0.2 0.2", "leigh_2": ""})
    (judged,) = gathered(tmp_path, [], [])
    assert [sample.path.stem for sample in judged.samples] == ["leigh_1"]


def test_own_footage_judges_what_is_known_in_each_picture(tmp_path: Path) -> None:
    pictures = {"a": ("person",), "b": ("person", "phone"), "c": ()}
    manifest = own_manifest(tmp_path, pictures, Thing("phone", (10, 10, 30, 30), doubtful=True))
    (judged,) = gathered(None, [], [], [manifest])
    assert (judged.name, judged.known) == ("own", ("person", "phone"))
    assert {sample.path.stem: sample.judges("phone") for sample in judged.samples} == {"a": False, "b": True}
    assert judged.samples[0].truths == (Truth("phone", (10, 10, 30, 30), doubtful=True, px=20),)
    assert judged.passed_over == ("own: pictures in which no class is marked completely: 1",)


def test_own_footage_of_split_val_chooses_by_classes_of_which_enough_is_marked(tmp_path: Path) -> None:
    pictures = {"a": ("person", "phone"), **{f"val{k}": ("person",) for k in range(10)}, "valx": ("phone",)}
    people = [Thing("person", (10, 10, 30, 60)), Thing("person", (50, 10, 70, 60)), Thing("phone", (5, 5, 9, 9))]
    manifest = own_manifest(tmp_path, pictures, *people)
    choosing, reported = gathered(None, [], [], [manifest])
    assert (choosing.name, choosing.purpose, choosing.known) == ("own choose", CHOOSE, ("person",))
    assert (reported.name, len(reported.samples)) == ("own", 1)
    assert reported.passed_over == ("own: phone: 1 marked in split val choose no least score, 20 would",)
    (alone,) = gathered(None, [], [], [manifest], "val")  # what is told of chooses nothing
    assert (alone.name, len(alone.samples)) == ("own", 11)


def test_own_footage_that_judges_nothing_is_refused(tmp_path: Path) -> None:
    manifest = own_manifest(tmp_path, {"a": ()}, split="val")
    with pytest.raises(SetError, match=r"manifest\.jsonl: no picture in split test, but 1 in val"):
        gathered(None, [], [], [manifest])
    with pytest.raises(SetError, match=r"manifest\.jsonl: in none of the 1 pictures of split val a class is known"):
        gathered(None, [], [], [manifest], "val")


def only(label_of: str, **groups: list[dict]) -> Truth:
    (found,) = (truth for truth in rendered_truths(scene(**groups)) if truth.label == label_of)
    return found


@pytest.mark.parametrize(
    ("use", "group", "act"),
    [
        ("photo", "phones", "photo"),
        ("text", "phones", "browse"),
        ("call", "phones", "call"),
        ("scan", "scanners", "scan"),
    ],
)
def test_the_act_of_a_person_follows_from_the_device_in_use(use: str, group: str, act: str) -> None:
    groups = {group: [device(2, (10, 10, 26, 26), 1, use)]}
    found = only("person", people=[person(1, (0, 0, 50, 100))], **groups)
    assert (found.act, found.device_px) == (act, 16.0)


def test_a_stated_act_stands_and_empty_hands_do_nothing() -> None:
    assert only("person", people=[person(1, (0, 0, 50, 100), act="scan")]).act == "scan"
    assert only("person", people=[person(1, (0, 0, 50, 100))]).act == "none"


def test_a_hidden_device_has_no_size_for_its_holder() -> None:
    hidden = device(2, (10, 10, 26, 26), 1, "photo", visible_fraction=0.1)
    assert only("person", people=[person(1, (0, 0, 50, 100))], phones=[hidden]).device_px == 0.0
    assert only("phone", phones=[hidden]).doubtful
    assert only("phone", phones=[hidden]).seen == 0.1


def test_a_parcel_is_sized_by_the_label_on_its_top() -> None:
    up = only("parcel", parcels=[parcel(1, (0, 0, 90, 60), [2])], labels=[label(2, 1, (20, 20), 18)])
    assert (up.facing, up.px) == ("up", pytest.approx(18))
    bare = only("parcel", parcels=[parcel(1, (0, 0, 90, 60))])
    assert (bare.facing, bare.px) == ("not_up", pytest.approx(24))


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "own" / "images").mkdir(parents=True)
    (tmp_path / "own" / "sources.yaml").write_text(SOURCES)
    with pytest.raises(SetError, match="no picture in this folder"):
        gathered(None, [], [tmp_path / "own"])


def test_a_folder_without_truth_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SetError, match="no rendered truth"):
        gathered(None, [tmp_path], [])


def test_scenes_that_were_all_trained_on_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SetError, match="no scene is held out"):
        gathered(None, [rendered_set(tmp_path / "r", {"r50011_00": scene()})], [])


def test_nothing_at_all_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SetError, match="no set to judge by"):
        gathered(None, [], [])
    with pytest.raises(SetError, match="no such folder"):
        gathered(tmp_path / "gone", [], [])


def test_a_picture_without_label_file_is_refused(tmp_path: Path) -> None:
    folder = own_set(tmp_path / "own", {"own_1": ""})
    (folder / "labels" / "own_1.txt").unlink()
    with pytest.raises(SetError, match=r"own_1\.txt"):
        gathered(None, [], [folder])


@pytest.mark.parametrize(
    "line", ["9 0.5 0.5 0.1 0.1", "1 1.5 0.5 0.1 0.1", "1 0.5 0.5", "phone 0 0 1 1", "-1 0.5 0.5 0.1 0.1"]
)
def test_a_label_out_of_range_is_refused_with_its_line(tmp_path: Path, line: str) -> None:
    with pytest.raises(SetError, match=r"own_1\.txt, line 2"):
        gathered(None, [], [own_set(tmp_path / "own", {"own_1": f"1 0.5 0.5 0.1 0.1\n{line}\n"})])


def test_a_corrupt_picture_is_refused_by_name(tmp_path: Path) -> None:
    folder = own_set(tmp_path / "own", {"own_1": ""})
    (folder / "images" / "own_1.jpg").write_bytes(b"\xff\xd8\xff nothing")
    (judged,) = gathered(None, [], [folder])
    with pytest.raises(SetError, match=r"own_1\.jpg is not a picture"):
        judged.samples[0].opened()


@pytest.mark.parametrize("text", ["{}", "[]", "not json", '{"people": 1, "phones": [], "scanners": [], "labels": []}'])
def test_what_is_no_truth_is_refused(tmp_path: Path, text: str) -> None:
    folder = rendered_set(tmp_path / "r", {"r50005_00": scene()})
    (folder / "r50005_00.json").write_text(text)
    with pytest.raises(SetError, match=r"r50005_00\.json is not a scene's truth"):
        gathered(None, [folder], [])


def test_pictures_of_no_listed_source_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SetError, match="no picture of a source that is listed"):
        gathered(None, [], [own_set(tmp_path / "own", {"other_1": ""})])
