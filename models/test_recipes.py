"""The recipes run from pictures to a model the worker accepts (`make test-train`; needs the extra `train`)."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import onnx
import onnxruntime
import pytest
import torch
import yaml
from bare import bare
from calibrate import offset_of, shift
from dataset import load_pose, load_teacher, with_act, with_idle
from drivers import people_with
from export import export
from looks import Batch, Looks
from loss import SceneLoss
from manifest import Picture, SetError, Thing
from mix import mix
from starts import CHANNELS, load_start, started_from, tensor_of
from teacher import Taught, Teacher
from train import choose_device
from ultralytics import YOLO

from detector.inference.card import find_card
from detector.inference.decode import Layout, decode
from detector.inference.session import Session
from detector.machine.whole_files import sha256_of
from detector.values import ACT_TRAITS, LABELS, TRAITS

HERE = Path(__file__).resolve().parent
PERSON, PHONE, PARCEL = 0, 1, 3


@pytest.fixture(scope="session")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained network in the place of COCO's."""
    path = tmp_path_factory.mktemp("start") / "start.pt"
    torch.manual_seed(0)
    YOLO("yolo11n.yaml", task="detect").save(str(path))
    return path


def a_batch(known: set[str], things: list[tuple[int, list[float], dict[str, float], bool]]) -> Batch:
    """One grey square of 64 pixels with things (class, box, traits, doubtful)."""
    most = max(1, len(things))
    batch = Batch(
        np.full((1, 64, 64, 3), 90, np.uint8), np.zeros((1, most), np.int64), np.zeros((1, most, 4), np.float32),
        np.full((1, most, len(TRAITS)), np.nan, np.float32), np.zeros((1, most), bool),
        np.array([[label in known for label in LABELS]]), np.full((1, 64, 64, 3), 90, np.uint8), np.array([True]),
        np.zeros((1, most), bool),
    )  # fmt: skip
    for k, (class_id, box, traits, doubtful) in enumerate(things):
        batch.classes[0, k], batch.boxes[0, k], batch.doubtful[0, k] = class_id, box, doubtful
        for name, value in traits.items():
            batch.traits[0, k, TRAITS.index(name)] = value
    return batch


def gradient(start: Path, batch: Batch, taught: Taught | None = None) -> dict[str, float]:
    """Size of the gradient at each score channel's bias, by name."""
    model = load_start(start, "cpu").train()
    torch.manual_seed(0)
    SceneLoss(model).measure(model(torch.rand(1, 3, 64, 64)), batch, taught).sum().backward()
    size = sum(branch[-1].bias.grad.abs() for branch in model.model[-1].cv3)
    assert size.shape == (CHANNELS,)
    return dict(zip((*LABELS, *TRAITS), size.tolist(), strict=True))


def test_a_class_that_a_source_does_not_mark_is_not_taught_to_be_background(start: Path) -> None:
    marks_parcels, marks_all = gradient(start, a_batch({"parcel"}, [])), gradient(start, a_batch(set(LABELS), []))
    assert marks_parcels["phone"] == 0 != marks_parcels["parcel"]
    assert marks_all["phone"] != 0


def test_without_an_owner_traits_learn_nothing(start: Path) -> None:
    assert all(v == 0 for k, v in gradient(start, a_batch(set(LABELS), [])).items() if k in TRAITS)


def test_only_what_is_known_of_a_thing_is_learnt(start: Path) -> None:
    learnt = gradient(start, a_batch(set(LABELS), [(PARCEL, [8, 8, 56, 56], {"up": 1.0, "not_up": 0.0}, False)]))
    assert {name for name in TRAITS if learnt[name] != 0} == {"up", "not_up"}
    acts = {"act_photo": 0.0, "act_scan": 1.0, "act_call": 0.0, "act_browse": 0.0}
    learnt = gradient(start, a_batch(set(LABELS), [(PERSON, [8, 8, 56, 56], acts, False)]))
    assert {name for name in TRAITS if learnt[name] != 0} == set(acts)


def test_a_doubtful_thing_is_neither_object_nor_background(start: Path) -> None:
    whole = [-8.0, -8.0, 72.0, 72.0]
    assert gradient(start, a_batch({"phone"}, [(PHONE, whole, {}, True)]))["phone"] == 0
    assert gradient(start, a_batch({"phone"}, [(PERSON, whole, {}, True)]))["phone"] != 0


def test_of_what_a_model_alone_proposes_traits_are_learnt_and_no_class(start: Path) -> None:
    marked = a_batch(set(), [(PHONE, [8, 8, 56, 56], {"photo": 0.0, "call": 1.0}, False)])
    assert gradient(start, marked)["phone"] != 0
    proposed = gradient(start, replace(marked, proposed=np.array([[True]])))
    assert {name for name, size in proposed.items() if size > 0} == {"photo", "call"}


def test_people_and_phones_that_nobody_marked_are_held_to_what_the_teacher_says(start: Path) -> None:
    batch = a_batch(set(), [])
    taught = Teacher(start, "cpu").look(batch, bf16=False)
    assert taught is not None
    assert taught.scores.shape == (1, 84, 2)  # of 8 x 8, 4 x 4 and 2 x 2 places
    held = gradient(start, batch, replace(taught, scores=torch.full_like(taught.scores, 0.5)))
    assert {name for name, size in held.items() if size > 0} == {"person", "phone"}


def test_who_says_the_same_as_the_teacher_has_nothing_to_learn_of_it(start: Path) -> None:
    batch, model = a_batch(set(), []), load_start(start, "cpu").eval()
    with torch.no_grad():
        _, predictions = model(tensor_of(batch.clean, "cpu"))
    taught = Teacher(start, "cpu").look(batch, bf16=False)
    assert float(SceneLoss(model).measure(predictions, batch, taught).sum()) == pytest.approx(0.0, abs=1e-4)


def test_the_teacher_says_nothing_of_rendered_squares(start: Path) -> None:
    batch = replace(a_batch(set(LABELS), []), real=np.array([False]))
    assert Teacher(start, "cpu").look(batch, bf16=False) is None


def test_a_scene_model_teaches_where_something_is_marked_too(start: Path) -> None:
    shipped = Path(__file__).with_name("scene.onnx")
    batch = a_batch({"person"}, [(PERSON, [8, 8, 56, 56], {}, False)])
    said = Teacher(shipped, "cpu", [torch.rand(2, 3, 64, 64)]).look(batch, bf16=False)
    coco_said = Teacher(start, "cpu").look(batch, bf16=False)
    assert said is not None
    assert coco_said is not None
    assert (said.marked_too, coco_said.marked_too) == (True, False)
    sure = replace(said, scores=torch.full_like(said.scores, 0.9))
    everywhere, elsewhere = (gradient(start, batch, replace(sure, marked_too=too)) for too in (True, False))
    assert everywhere["person"] != elsewhere["person"]


def test_a_teacher_that_is_not_there_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(SetError, match=r"no weights .*coco\.pt"):
        Teacher(tmp_path / "coco.pt", "cpu")


def test_coco_knowledge_is_where_training_starts(start: Path) -> None:
    stock = YOLO(str(start), task="detect").model.float().eval()
    ours = load_start(start, "cpu").eval()
    picture = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        theirs, mine = stock(picture)[0], ours(picture)[0]
    assert torch.allclose(theirs[:, [0, 1, 2, 3, 4, 4 + 67]], mine[:, [0, 1, 2, 3, 4, 5]], atol=1e-4)


def test_who_holds_the_phone_does_what_is_done_with_it() -> None:
    phone = Thing("phone", (40.0, 40.0, 50.0, 60.0), use="call")
    driver, passenger, unsure = (0.0, 0.0, 100.0, 100.0), (100.0, 0.0, 200.0, 100.0), (30.0, 30.0, 60.0, 70.0)
    found = [("person", 0.9, driver), ("person", 0.8, passenger), ("person", 0.3, unsure), ("phone", 0.9, phone.box)]
    people = people_with([phone], found)
    assert [(person.box, person.act, person.doubtful) for person in people] == [
        (driver, "call", False), (passenger, None, False), (unsure, None, True),
    ]  # fmt: skip


def test_an_act_that_we_saw_is_the_largest_persons() -> None:
    behind, caller = Thing("person", (100.0, 0.0, 140.0, 60.0)), Thing("person", (0.0, 0.0, 100.0, 200.0))
    unsure = Thing("person", (0.0, 0.0, 400.0, 200.0), doubtful=True)
    assert [thing.act for thing in with_act([behind, caller, unsure], "call")] == [None, "call", None]
    assert with_act([unsure], "call") == [unsure]


@pytest.mark.parametrize(
    ("hands", "photo"), [(((90.0, 90.0), (110.0, 90.0)), None), (((55.0, 60.0), (145.0, 60.0)), 1.0)], ids=["in", "out"]
)
def test_a_phone_put_into_a_hand_is_pointed_if_that_is_held_out_and_else_of_unknown_use(
    tmp_path: Path, hands: tuple[tuple[float, float], ...], photo: float | None
) -> None:
    worker = Thing("person", (50.0, 10.0, 150.0, 190.0), act="none", hands=hands)
    pictures = []
    for name, thing in (("worker", worker), ("phone", Thing("phone", (20.0, 20.0, 100.0, 160.0)))):
        cv2.imwrite(str(tmp_path / f"{name}.png"), np.full((200, 200, 3), 90, np.uint8))
        known = ("person", "phone")
        pictures.append(Picture(tmp_path / f"{name}.png", "own", name, "ours", "train", known, (thing,)))
    batch = Looks(pictures, seed=1).batch(60, close=True)
    there = batch.boxes.sum(2) > 0
    looks = [
        (batch.traits[k][there[k] & (batch.classes[k] == PERSON)][0, ACT_TRAITS], (batch.classes[k] == PHONE).any())
        for k in range(60)
        if (there[k] & (batch.classes[k] == PERSON)).any()
    ]
    with_phone, without = ([acts for acts, phone in looks if phone is held] for held in (np.True_, np.False_))
    assert with_phone and without
    assert all(np.array_equal(acts, [0, 0, 0, 0]) for acts in without)
    assert all(np.isnan(acts).all() if photo is None else acts[0] == photo for acts in with_phone)


def test_who_has_no_phone_where_nobody_uses_one_is_learnt_to_do_nothing() -> None:
    worker, caller = Thing("person", (0.0, 0.0, 100.0, 200.0)), Thing("person", (100.0, 0.0, 200.0, 200.0))
    unsure, helmet = Thing("person", (300.0, 0.0, 400.0, 200.0), doubtful=True), Thing("parcel", (0.0, 0.0, 20.0, 20.0))
    things = with_idle([worker, caller, unsure, helmet], [(150.0, 20.0, 160.0, 40.0)])
    assert [thing.act for thing in things] == ["none", None, None, None]


def test_a_mix_lies_between_a_scene_model_and_coco(start: Path, tmp_path: Path) -> None:
    torch.manual_seed(1)
    scene = load_start(start, "cpu")
    for parameter in scene.parameters():
        parameter.data += 0.01 * torch.randn_like(parameter)
    torch.save({"model": scene.half(), "train_args": {"task": "detect"}}, tmp_path / "last.pt")
    export(tmp_path / "last.pt", tmp_path / "scene.onnx")
    weights = {}
    for share in (0.0, 0.5, 1.0):
        mix(tmp_path / "scene.onnx", start, share, tmp_path / "mix.onnx")
        weights[share] = parts_of(tmp_path / "mix.onnx")
    ours = parts_of(tmp_path / "scene.onnx")
    theirs = load_start(start, "cpu").eval().fuse(verbose=False).state_dict()
    for name, value in weights[0.5].items():
        assert np.allclose(weights[0.0][name], ours[name])
        assert np.allclose(weights[1.0][name], theirs[name], atol=1e-6)
        assert np.allclose(value, (weights[0.0][name] + weights[1.0][name]) / 2, atol=1e-6)
    with pytest.raises(SetError, match=r"no weights .*none\.pt"):
        mix(tmp_path / "scene.onnx", tmp_path / "none.pt", 0.5, tmp_path / "mix.onnx")


def test_a_calibrated_model_says_of_facing_what_it_said_with_other_odds_and_all_else_as_before(
    start: Path, tmp_path: Path
) -> None:
    torch.save({"model": load_start(start, "cpu").half(), "train_args": {"task": "detect"}}, tmp_path / "last.pt")
    export(tmp_path / "last.pt", tmp_path / "scene.onnx")
    model = onnx.load(tmp_path / "scene.onnx")
    shift(model, {"up": -0.7, "not_up": 1.2})
    square = np.random.default_rng(1).random((1, 3, 64, 64), np.float32)
    before, after = (
        onnxruntime.InferenceSession(one.SerializeToString()).run(None, {"images": square})[0][0]
        for one in (onnx.load(tmp_path / "scene.onnx"), model)
    )
    odds = np.log(after[4:] / (1 - after[4:])) - np.log(before[4:] / (1 - before[4:]))
    wanted = np.zeros((len(LABELS) + len(TRAITS), 1))
    wanted[len(LABELS) + TRAITS.index("up")], wanted[len(LABELS) + TRAITS.index("not_up")] = -0.7, 1.2
    assert np.allclose(odds, wanted, atol=2e-3)
    with pytest.raises(SetError, match="0 last layers"):
        shift(onnx.helper.make_model(onnx.helper.make_graph([], "none", [], [])), {"up": 1.0})


@pytest.mark.parametrize("share", [0.02, 0.3, 0.97])
def test_scores_are_calibrated_when_their_mean_is_how_often_it_is_so(share: float) -> None:
    chance = np.random.default_rng(2)
    scores, true = chance.beta(0.3, 0.6, 4000), chance.random(4000) < share
    odds = np.log(np.clip(scores, 1e-4, 1 - 1e-4) / (1 - np.clip(scores, 1e-4, 1 - 1e-4)))
    said = 1 / (1 + np.exp(-(odds + offset_of(scores, true))))
    assert said.mean() == pytest.approx(true.mean(), abs=1e-4)
    with pytest.raises(SetError, match="take more scenes"):
        offset_of(scores, np.zeros(4000, bool))


def test_a_mix_of_two_scene_models_is_exported_as_it_is(start: Path, tmp_path: Path) -> None:
    model = load_start(start, "cpu").half()
    torch.save({"model": model, "train_args": {"task": "detect"}}, tmp_path / "last.pt")
    for source, name in ((tmp_path / "last.pt", "one"), (tmp_path / "mix.onnx", "two")):
        if name == "two":
            mix(tmp_path / "one.onnx", tmp_path / "one.onnx", 0.5, source)
        words = [sys.executable, HERE / "export.py", source, "--name", name, "--out", tmp_path]
        subprocess.run(list(map(str, words)), check=True, capture_output=True)
    one, two = (find_card(str(tmp_path / f"{name}.yaml")) for name in ("one", "two"))
    assert one.layout == two.layout
    ours, mixed = parts_of(tmp_path / "one.onnx"), parts_of(tmp_path / "two.onnx")
    assert all(np.allclose(ours[name], mixed[name]) for name in ours)


def parts_of(path: Path) -> dict[str, np.ndarray]:
    """Weights of a network's layers in a file."""
    return {
        one.name: onnx.numpy_helper.to_array(one)
        for one in onnx.load(path).graph.initializer
        if one.name.startswith("model.")
    }


def test_a_shipped_model_can_be_trained_on_and_is_the_same_before_the_first_step(start: Path, tmp_path: Path) -> None:
    torch.manual_seed(1)
    trained, squares = load_start(start, "cpu"), torch.rand(8, 3, 128, 128)
    for norm in (one for one in trained.modules() if isinstance(one, torch.nn.BatchNorm2d)):
        norm.running_mean.uniform_(-0.2, 0.2)
        norm.running_var.uniform_(0.5, 2.0)
    for name, parameter in trained.named_parameters():
        if name.endswith(".bias"):  # as nothing learnt has them: equal ones are exported once for all
            parameter.data += 0.01 * torch.randn_like(parameter)
    torch.save({"model": trained.half(), "train_args": {"task": "detect"}}, tmp_path / "last.pt")
    export(tmp_path / "last.pt", tmp_path / "scene.onnx")
    restored = load_start(tmp_path / "scene.onnx", "cpu", [squares])
    session = onnxruntime.InferenceSession(tmp_path / "scene.onnx")
    shipped = session.run(None, {session.get_inputs()[0].name: squares.numpy()})[0]
    with torch.no_grad():
        assert np.allclose(restored.eval()(squares)[0].numpy(), shipped, atol=0.02)
        # By the statistics of the batch, as training goes: these are the squares that they were measured on.
        scores = restored.train()(squares)["scores"].sigmoid().numpy()
    assert np.allclose(scores, shipped[:, 4:], atol=0.02)


def test_a_network_cut_off_before_its_boxes_finds_the_same(start: Path, tmp_path: Path) -> None:
    torch.manual_seed(2)
    network = load_start(start, "cpu")
    for branch in (*network.model[-1].cv2, *network.model[-1].cv3):
        branch[-1].weight.data.normal_(0, 0.3)
        branch[-1].bias.data.zero_()
    torch.save({"model": network.half(), "train_args": {"task": "detect"}}, tmp_path / "last.pt")
    export(tmp_path / "last.pt", tmp_path / "whole.onnx")
    cut = onnx.load(tmp_path / "whole.onnx")
    assert bare(cut) == 16
    onnx.save(cut, tmp_path / "cut.onnx")
    picture, half = np.random.default_rng(3).random((1, 3, 64, 96), np.float32), dict.fromkeys(LABELS, 0.5)
    whole, rest = (
        onnxruntime.InferenceSession(tmp_path / name).run(None, {"images": picture})[0]
        for name in ("whole.onnx", "cut.onnx")
    )
    one, other = decode(whole, half), decode(rest, half, Layout(bins=16), picture.shape[2:])
    assert len(one) > 5
    assert np.array_equal(one.class_ids, other.class_ids)
    assert np.allclose(one.boxes, other.boxes, atol=1e-3)
    assert np.allclose(one.traits, other.traits, atol=1e-5, equal_nan=True)


def test_a_network_that_ends_otherwise_cannot_be_cut() -> None:
    value = onnx.helper.make_tensor_value_info
    node = onnx.helper.make_node("Relu", ["images"], ["output0"])
    graph = onnx.helper.make_graph([node], "other", [value("images", 1, [1])], [value("output0", 1, [1])])
    with pytest.raises(SetError, match="nothing to cut off"):
        bare(onnx.helper.make_model(graph))


def test_a_file_of_another_network_is_no_start(tmp_path: Path) -> None:
    torch.onnx.export(torch.nn.Conv2d(3, 4, 3), torch.rand(1, 3, 8, 8), str(tmp_path / "other.onnx"), dynamo=False)
    with pytest.raises(SetError, match="no scene model to go on from"):
        load_start(tmp_path / "other.onnx", "cpu", [torch.rand(1, 3, 64, 64)])


@pytest.mark.parametrize(
    ("load", "reason"), [(load_teacher, "knows 1 classes, not COCO's 80"), (load_pose, "doesn't tell COCO's 17 keyp")]
)
def test_a_network_of_another_kind_marks_no_set(tmp_path: Path, load, reason: str) -> None:
    other = YOLO("yolo11n.yaml", task="detect")
    other.model.names = {0: "thing"}
    other.save(str(tmp_path / "other.pt"))
    with pytest.raises(SetError, match=reason):
        load(tmp_path / "other.pt")
    (tmp_path / "text.pt").write_text("no weights")
    with pytest.raises(SetError, match=r"text\.pt is no checkpoint"):
        load(tmp_path / "text.pt")


def test_a_gpu_that_is_not_there_is_said_so() -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(SetError, match="no GPU"):
        choose_device("cuda")


def test_starting_weights_that_are_not_there_are_said_so(tmp_path: Path) -> None:
    with pytest.raises(SetError, match="no weights"):
        load_start(tmp_path / "none.pt", "cpu")


def scene_truth() -> dict:
    """Truth of one rendered frame: a person who photographs the label on top of a parcel."""
    return {
        "size": [960, 540],
        "people": [{"id": 1, "bbox": [400, 100, 480, 300], "visible_fraction": 1.0}],
        "phones": [{"id": 2, "bbox": [430, 180, 455, 192], "visible_fraction": 1.0, "use": "photo", "holder": 1}],
        "scanners": [],
        "parcels": [{"id": 3, "bbox": [400, 330, 480, 400], "visible_fraction": 1.0, "labels": [4]}],
        "labels": [
            {
                "id": 4, "parcel": 3, "face": "top", "visible_fraction": 1.0, "cos_view": 0.8, "angle_img": 10.0,
                "polygon": [[420, 340], [450, 340], [450, 365], [420, 365]],
            }
        ],
    }  # fmt: skip


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """A manifest of four rendered pictures."""
    rendered, random = tmp_path / "rendered", np.random.default_rng(0)
    rendered.mkdir()
    for k in range(4):
        cv2.imwrite(str(rendered / f"r7000{k}_00.jpg"), random.integers(0, 255, (540, 960, 3), np.uint8))
        (rendered / f"r7000{k}_00.json").write_text(json.dumps(scene_truth()))
    subprocess.run(
        [sys.executable, HERE / "dataset.py", "--rendered", rendered, "--out", tmp_path / "set.jsonl"], check=True
    )
    return tmp_path / "set.jsonl"


def train_command(start: Path, manifest: Path, run: Path, steps: int) -> list[str]:
    options = {"--set": manifest, "--start": start, "--run": run, "--steps": steps, "--batch": 2}
    return [sys.executable, str(HERE / "train.py"), *(str(word) for pair in options.items() for word in pair)]


def room_for_a_megabyte() -> None:
    """In a process to be: no file of it may become larger, which fails as a full disk does."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, 2**20))


def test_pictures_become_a_model_that_the_worker_accepts(start: Path, manifest: Path, tmp_path: Path) -> None:
    subprocess.run(train_command(start, manifest, tmp_path / "run", 3), check=True)
    new = tmp_path / "models"
    words = [HERE / "export.py", tmp_path / "run" / "last.pt", "--name", "own", "--out", new]
    subprocess.run([sys.executable, *map(str, words)], check=True)
    card = find_card(str(new / "own.yaml"))
    Session(card)
    told = card.model_extra or {}
    assert told["origin"] == "YOLO11n, trained with models/train.py from start.pt"
    assert told["before"] == ["start.pt: Ultralytics' COCO weights (AGPL-3.0)"]
    assert told["trained"].startswith("3 steps of 2 squares at a rate of 0.001, on pictures: 3 of rendered (our own ")


def test_a_model_taught_on_begins_with_the_least_scores_of_the_one_before(start: Path, tmp_path: Path) -> None:
    before = {"name": "before", "file": "before.onnx", "labels": [*LABELS], "traits": [*TRAITS], "origin": "here"}
    (tmp_path / "before.onnx").write_bytes(b"weights")
    before |= {"sha256": sha256_of(tmp_path / "before.onnx"), "thresholds": {"phone": 0.11}}
    (tmp_path / "before.yaml").write_text(yaml.safe_dump(before))
    lineage = {"start": started_from(tmp_path / "before.onnx"), "taught": "3 steps"}
    network = {"model": load_start(start, "cpu").half(), "train_args": {"task": "detect"}, "lineage": lineage}
    torch.save(network, tmp_path / "last.pt")
    command = [sys.executable, HERE / "export.py", tmp_path / "last.pt", "--name", "own", "--out", tmp_path]
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=True)
    card = find_card(str(tmp_path / "own.yaml"))
    assert (card.thresholds["phone"], card.thresholds["person"]) == (0.11, 0.25)
    told = card.model_extra or {}
    assert len(told["before"]) == 1 and told["before"][0].startswith("before (") and told["trained"] == "3 steps"
    assert told["before"][0].endswith("): here") and told["before"][0][:-6] in told["origin"]
    assert "yolo predict" not in done.stdout + done.stderr  # of a file that is gone by then


def test_what_a_model_was_taught_is_handed_on_by_mixes_calibrations_and_later_trainings(
    start: Path, tmp_path: Path
) -> None:
    network = {"model": load_start(start, "cpu").half(), "train_args": {"task": "detect"}}
    lineage = {"start": started_from(start), "taught": "6,000 steps on fuyi (Apache-2.0)"}
    torch.save(network | {"lineage": lineage}, tmp_path / "first.pt")
    exported(tmp_path / "first.pt", "first", tmp_path)
    mix(tmp_path / "first.onnx", start, 0.5, tmp_path / "mix.onnx")
    lineage = {"start": started_from(tmp_path / "mix.onnx"), "taught": "100 steps on site:hall (own footage)"}
    torch.save(network | {"lineage": lineage}, tmp_path / "second.pt")
    first, second = (exported(tmp_path / f"{name}.pt", name, tmp_path) for name in ("first", "second"))
    assert first["trained"] == "6,000 steps on fuyi (Apache-2.0)"
    assert first["before"] == ["start.pt: Ultralytics' COCO weights (AGPL-3.0)"]
    assert second["origin"].startswith("YOLO11n, trained with models/train.py from mix (")
    assert second["trained"] == "100 steps on site:hall (own footage)"
    coco, ours, both = second["before"]  # each once, though two ways lead to the first
    assert coco == first["before"][0]
    assert ours.startswith("first (") and ours.endswith(f"): {first['origin']}. {first['trained']}")
    assert both.startswith("mix (") and both.endswith(
        f"a mix (mix.py): 0.5 of {ours.partition(':')[0]}, 0.5 of start.pt"
    )
    assert started_from(tmp_path / "second.pt")["before"] == second["before"]
    (tmp_path / "mix.onnx").rename(tmp_path / "third.onnx")
    third = exported(tmp_path / "third.onnx", "mixed", tmp_path)
    assert third["before"] == second["before"][:2] and third["thresholds"] == first["thresholds"]
    assert "trained" not in third, "what its own weights were taught stands in those before"
    assert all(one.key != "lineage" for one in onnx.load(tmp_path / "mixed.onnx").metadata_props)


def exported(checkpoint: Path, name: str, folder: Path) -> dict:
    """What the card says that `export.py` writes."""
    command = [sys.executable, HERE / "export.py", checkpoint, "--name", name, "--out", folder]
    subprocess.run([*map(str, command)], capture_output=True, check=True)
    card = find_card(str(folder / f"{name}.yaml"))
    return (card.model_extra or {}) | {"thresholds": card.thresholds}


@pytest.mark.parametrize("name", ["text.onnx", "text.pt", "text.jsonl"])
def test_a_start_that_is_no_network_is_one_line(manifest: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("no network")
    command = train_command(tmp_path / name, manifest, tmp_path / "run", 1)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and f"{name} is no " in done.stderr and len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(("option", "value"), [("--steps", "0"), ("--batch", "0"), ("--rate", "-1")])
def test_a_training_that_cannot_be_is_refused(
    start: Path, manifest: Path, tmp_path: Path, option: str, value: str
) -> None:
    command = [*train_command(start, manifest, tmp_path / "run", 1), option, value]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and f"argument {option}: must be" in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "run").exists()


def test_a_set_that_gives_nothing_to_train_on_is_named_beside_one_that_does(
    start: Path, manifest: Path, tmp_path: Path
) -> None:
    empty = tmp_path / "empty.jsonl"
    empty.write_text(manifest.read_text().replace('"train"', '"val"'))
    command = [*train_command(start, manifest, tmp_path / "run", 1), "--set", str(manifest), str(empty)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "empty.jsonl: no picture in split train, but 4 in val" in done.stderr
    assert done.stdout == f"{manifest}: 3 pictures to train on\n"


def test_a_killed_run_goes_on_from_its_last_save(start: Path, manifest: Path, tmp_path: Path) -> None:
    run, hurried = tmp_path / "run", dict(os.environ, LABELWATCH_SAVE_EVERY_S="0")
    command = train_command(start, manifest, run, 2000)
    first = subprocess.Popen(command, env=hurried, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not (run / "last.pt").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    first.send_signal(signal.SIGKILL)
    first.wait()
    done = torch.load(run / "state.pt", weights_only=False)["done"]
    second = subprocess.Popen(command, env=hurried, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert second.stdout is not None
    assert second.stdout.readline() == f"{manifest}: 3 pictures to train on\n"
    assert second.stdout.readline() == f"goes on at step {done} of 2000\n"
    second.send_signal(signal.SIGINT)  # as Ctrl-C does
    _, said = second.communicate()
    assert (second.returncode, said) == (130, "stopped: the same command goes on from the run's last save\n")


def test_frozen_layers_keep_their_weights_and_the_others_learn(start: Path, manifest: Path, tmp_path: Path) -> None:
    command = [*train_command(start, manifest, tmp_path / "run", 2), "--rate", "0.01", "--frozen", "5"]
    subprocess.run(command, check=True)
    taught = torch.load(tmp_path / "run" / "state.pt", weights_only=False)["model"]
    before = dict(load_start(start, "cpu").named_parameters())
    same = {int(name.split(".")[1]): True for name in before}
    for name, parameter in before.items():
        same[int(name.split(".")[1])] &= torch.equal(parameter, taught[name])
    learnt = {layer for layer, kept in same.items() if not kept}
    assert learnt and learnt == {layer for layer in same if layer >= 5}


def test_a_run_with_other_options_is_not_mixed_in(start: Path, manifest: Path, tmp_path: Path) -> None:
    subprocess.run(train_command(start, manifest, tmp_path / "run", 1), check=True)
    other = subprocess.run(train_command(start, manifest, tmp_path / "run", 2), capture_output=True, text=True)
    assert (
        other.returncode == 1
        and "other options (--steps 1): name another" in other.stderr
        and "Traceback" not in other.stderr
    )


def test_a_run_is_not_gone_on_with_after_its_boxes_were_gone_over(start: Path, manifest: Path, tmp_path: Path) -> None:
    command = train_command(start, manifest, tmp_path / "run", 1)
    subprocess.run(command, check=True)
    manifest.write_text(manifest.read_text().replace('"label": "phone"', '"label": "scanner"'))
    again = subprocess.run(command, capture_output=True, text=True, check=False)
    assert again.returncode == 1 and "manifests that were changed since: name another --run" in again.stderr


def test_a_broken_save_is_one_line(start: Path, manifest: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "state.pt").write_bytes(b"PK and no more")
    done = subprocess.run(train_command(start, manifest, tmp_path / "run", 1), capture_output=True, text=True)
    assert done.returncode == 1 and "state.pt can't be read" in done.stderr and "Traceback" not in done.stderr


def test_a_full_disk_keeps_the_save_before(start: Path, manifest: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "last.pt").write_text("of the save before")
    command = train_command(start, manifest, run, 1)
    full = subprocess.run(command, capture_output=True, text=True, preexec_fn=room_for_a_megabyte)
    assert full.returncode == 1 and "Traceback" not in full.stderr
    assert f"{run / 'state.pt'} can't be written: File too large (make room, and run the command" in full.stderr
    assert [(file.name, file.read_text()) for file in run.iterdir()] == [("last.pt", "of the save before")]
