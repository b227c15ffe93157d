"""One command measures a model on sets and writes one page, a summary and, if asked, the card."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from evaluate import evaluate, main, write_card
from evaluation.page import Evaluation, write_page
from evaluation.sets import gathered
from manifest import SetError, Thing

from detector.inference.card import find_card
from tests.conftest import REPOSITORY
from tests.inference.tiny_models import Row, card_file, model_file, raw_output
from tests.models.conftest import Script
from tests.models.scenes_on_disk import device, label, own_manifest, parcel, person, rendered_set, scene, yolo_set

# The model says this of every picture it is shown, 640 x 384 as the whole frame. In a close look it says it again:
# what lands elsewhere then is a false device.
PERSON: Row = ("person", 150.0, 200.0, 100.0, 200.0, 0.9, {"act_photo": 0.8})
PHONE: Row = ("phone", 150.0, 180.0, 20.0, 20.0, 0.8, {"photo": 0.9})
PARCEL: Row = ("parcel", 400.0, 200.0, 100.0, 80.0, 0.9, {"up": 0.9})
LABEL: Row = ("label", 400.0, 200.0, 30.0, 30.0, 0.7, {"angle_cos": 1.0, "angle_sin": 0.5})

FOUR_TRAITS = ["up", "not_up", "photo", "call"]


def a_scene(act: str = "photo") -> dict:
    """What the model sees, and another parcel that it misses; the text of the label runs along x."""
    return scene(
        people=[person(1, (100, 100, 200, 300), act=act)],
        phones=[device(2, (140, 170, 160, 190), 1, "photo")],
        parcels=[parcel(3, (350, 160, 450, 240), [4]), parcel(5, (500, 300, 600, 380))],
        labels=[label(4, 3, (385, 185), 30)],
    )


def make_card(folder: Path) -> Path:
    model = model_file(folder / "tiny.onnx", raw_output([PERSON, PHONE, PARCEL, LABEL]))
    return card_file(model, licence="AGPL-3.0-or-later")


def make_rendered(folder: Path) -> Path:
    stems = ["r50010_00", "r50010_01", "r50015_00", "r50015_01", "r50025_00"]
    return rendered_set(folder / "rendered", {stem: a_scene() for stem in stems})


@pytest.fixture
def card(tmp_path: Path) -> Path:
    return make_card(tmp_path)


@pytest.fixture
def rendered(tmp_path: Path) -> Path:
    return make_rendered(tmp_path)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Evaluation:
    """What is measured of the model on the rendered set."""
    folder = tmp_path_factory.mktemp("told")
    return evaluated(make_card(folder), rendered=make_rendered(folder))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Real pictures: people marked by people and by the stock model, and look-alikes."""
    folder = tmp_path / "data"
    yolo_set(
        folder / "real" / "val", {"coco128_1": "0 0.234 0.521 0.156 0.521\n", "fuyi_1": "0 0.234 0.521 0.156 0.521\n"}
    )
    yolo_set(folder / "real_check" / "wallet", {"w1": "1 0.234 0.469 0.031 0.052\n", "w2": ""})
    return folder


def evaluated(card: Path, *, data: Path | None = None, rendered: Path | None = None, choose: bool = False):
    sets = gathered(data, [rendered] if rendered else [], [])
    return evaluate(find_card(str(card)), sets, choose=choose, variants=True)


def test_what_the_model_finds_and_misses_is_counted(told: Evaluation) -> None:
    counts = told.set_named("rendered").classes  # type: ignore[union-attr]
    assert counts["person"].ap50_value() == pytest.approx(1.0)
    assert (counts["parcel"].recall(0.5).hits, counts["parcel"].recall(0.5).of) == (3, 6)
    assert counts["scanner"].total == 0


def test_facing_angle_and_size_come_from_the_exact_polygons(told: Evaluation) -> None:
    measured = told.set_named("rendered")
    assert measured is not None
    assert measured.facings == [(30.0, "up", "up")] * 3
    assert [side for side, _ in measured.angles] == [30.0] * 3
    assert max(error for _, error in measured.angles) < 2.0
    assert [phone.side for phone in measured.phones] == [20.0] * 3


def test_people_are_told_by_every_contender_the_traits_allow(told: Evaluation) -> None:
    acts = told.acts
    assert acts is not None
    assert [r.choice.contender for r in acts.results] == ["detection", "phone traits", "person traits", "both"]
    assert acts.people == 3
    assert acts.table[0, 0] == 3


def test_a_trait_that_the_model_lacks_is_not_offered(tmp_path: Path, rendered: Path) -> None:
    answer = raw_output([PERSON, PHONE, PARCEL, LABEL])[:, : 4 + 5 + 4]
    card = card_file(model_file(tmp_path / "old.onnx", answer), traits=FOUR_TRAITS)
    told = evaluated(card, rendered=rendered)
    assert told.set_named("rendered").angles == []  # type: ignore[union-attr]
    assert told.acts is not None
    assert told.acts.not_offered == ("person traits", "both")
    page = write_page(tmp_path / "out", told)[0].read_text()
    assert "Not offered" in page


def test_a_class_that_the_model_lacks_is_listed_and_not_judged(tmp_path: Path, rendered: Path) -> None:
    answer = raw_output([PERSON])[:, : 4 + 1]
    card = card_file(model_file(tmp_path / "people.onnx", answer), labels=["person"], traits=[])
    told = evaluated(card, rendered=rendered)
    assert set(told.set_named("rendered").classes) == {"person"}  # type: ignore[union-attr]
    assert "rendered: parcel: the card's model doesn't know this class" in told.left_out


def test_people_marked_by_the_stock_model_are_told_apart(card: Path, data: Path, tmp_path: Path) -> None:
    told = evaluated(card, data=data)
    page, summary = (path.read_text() for path in write_page(tmp_path / "out", told))
    assert "fuyi: person (marked by the stock model)" in page
    assert "coco: person |" in summary
    assert "fuyi: person (marked by the stock model) |" in summary


def test_own_footage_is_counted_where_a_class_is_known(card: Path, tmp_path: Path, script: Script) -> None:
    pictures = {"a": ("person",), "b": ("person", "parcel"), "c": ()}
    manifest = own_manifest(tmp_path, pictures, Thing("person", (100, 100, 200, 300)), Thing("phone", (0, 0, 9, 9)))
    done = script("evaluate.py", "--own", manifest, "--card", card, "--out", tmp_path / "page")
    assert done.returncode == 0, done.stderr
    assert "| own: person | 2 | 2 | 1.000 " in done.stdout
    assert "own: phone" not in done.stdout
    assert "own: pictures in which no class is marked completely: 1" in done.stdout
    told = evaluate(find_card(str(card)), gathered(None, [], [], [manifest]), choose=False, variants=False)
    assert told.sets[0].classes["parcel"].precision(0.5).of == 1  # a false one in b; in a nobody marked parcels


def test_somebody_overlooked_is_a_wrong_act_that_was_not_found(card: Path, tmp_path: Path) -> None:
    away = a_scene() | {"people": [person(1, (500, 20, 560, 120), act="photo")]}
    scenes = {"r50010_00": a_scene(), "r50015_00": away, "r50015_01": a_scene()}
    told = evaluated(card, rendered=rendered_set(tmp_path / "rendered", scenes))
    (case,) = (case for measured in told.reported for case in measured.cases if case.kind == "wrong act")
    assert case.caption.startswith("photo, not found; device ")


def test_look_alikes_are_counted_by_picture(card: Path, data: Path) -> None:
    wallet = evaluated(card, data=data).set_named("wallet")
    assert wallet is not None
    assert wallet.loudest == [pytest.approx(0.8)]
    assert wallet.with_phones.recall(0.25).hits == 1


def test_the_page_stands_alone_and_shows_the_worst_cases(
    card: Path, rendered: Path, data: Path, tmp_path: Path
) -> None:
    told = evaluated(card, rendered=rendered, data=data)
    text = write_page(tmp_path / "out", told)[0].read_text()
    assert "src='data:image/jpeg;base64," in text
    assert "<svg" in text
    assert "http" not in text
    assert "src='/" not in text
    assert "nan" not in text.lower().replace("finance", "")
    assert "False phones" in text


def test_scenes_that_choose_are_not_reported(told: Evaluation) -> None:
    assert {sample.path.stem for measured in told.reported for sample in measured.judged.samples} == {
        "r50015_00",
        "r50015_01",
        "r50025_00",
    }


def test_writing_puts_thresholds_figures_and_curves_into_the_card(card: Path, rendered: Path, data: Path) -> None:
    told = evaluated(card, rendered=rendered, data=data, choose=True)
    write_card(card, told)
    tree = yaml.safe_load(card.read_text())
    assert tree["licence"] == "AGPL-3.0-or-later"
    assert tree["thresholds"]["person"] == told.thresholds["person"] == 0.6
    assert tree["curves"]["phone_recall_by_px"] == [{"px": [16, 24], "phones": 3, "found": 3}]
    assert tree["figures"]["rendered"]["parcel"]["recall"] == 0.5
    assert tree["figures"]["fuyi"]["person"]["marked_by"] == "the stock model"
    find_card(str(card))


def test_a_single_scene_is_reported_without_intervals(card: Path, tmp_path: Path) -> None:
    scenes = {stem: a_scene() for stem in ("r50010_00", "r50015_00", "r50015_01")}
    told = evaluated(card, rendered=rendered_set(tmp_path / "rendered", scenes), choose=True)
    write_card(card, told)
    figures = yaml.safe_load(card.read_text())["figures"]["rendered"]
    assert figures["person"]["ap50_interval"] == [None, None]
    assert figures["acts"]["macro_f1"]["both"][1:] == [None, None]
    assert all("1.000 (no interval)" in path.read_text() for path in write_page(tmp_path / "out", told))
    find_card(str(card))


def test_a_curve_that_was_not_measured_stays_in_the_card(card: Path, tmp_path: Path) -> None:
    curves = {"phone_recall_by_px": [{"px": [16, 24], "phones": 3, "found": 3}]}
    card.write_text(yaml.safe_dump(yaml.safe_load(card.read_text()) | {"curves": curves}))
    phoneless = {stem: a_scene() | {"phones": []} for stem in ("r50010_00", "r50015_00")}
    write_card(card, evaluated(card, rendered=rendered_set(tmp_path / "phoneless", phoneless), choose=True))
    assert yaml.safe_load(card.read_text())["curves"] == curves


def test_a_precision_is_measured_against_fp32_on_the_same_pictures(
    card: Path, rendered: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evaluation.results.FEWEST_COMPARED", 1)
    # As if made whole numbers, this one has lost the parcels.
    worse = card_file(model_file(tmp_path / "int8.onnx", raw_output([PERSON, PHONE, LABEL])))
    tree = yaml.safe_load(card.read_text())
    sha256 = yaml.safe_load(worse.read_text())["sha256"]
    tree["variants"] = [{"precision": "int8", "runtime": "onnxruntime", "file": "int8.onnx", "sha256": sha256}]
    card.write_text(yaml.safe_dump(tree))
    told = evaluated(card, rendered=rendered, choose=True)
    (compared,) = told.variants
    assert compared.loss["rendered: person AP50"] == pytest.approx(0.0)
    assert compared.loss["rendered: parcel AP50"] == pytest.approx(51 / 101)
    write_card(card, told)
    assert find_card(str(card)).variants[0].loss["rendered: parcel AP50"] == pytest.approx(0.505, abs=1e-3)


def test_few_objects_say_nothing_of_a_precision(card: Path, rendered: Path, tmp_path: Path) -> None:
    tree = yaml.safe_load(card.read_text())
    same = {"precision": "int8", "runtime": "onnxruntime", "file": tree["file"], "sha256": tree["sha256"]}
    card.write_text(yaml.safe_dump(tree | {"variants": [same]}))
    told = evaluated(card, rendered=rendered, choose=True)
    (compared,) = told.variants
    assert compared.loss == {}  # of three people, phones and facings; `auto` takes no such variant
    for path in write_page(tmp_path / "out", told):
        assert "int8 by onnxruntime: nothing can be told by fewer than 50 objects of a kind" in path.read_text()


def test_a_precision_that_cannot_run_here_says_so(card: Path, rendered: Path, tmp_path: Path) -> None:
    tree = yaml.safe_load(card.read_text())
    tree["variants"] = [{"precision": "int8", "runtime": "onnxruntime", "file": "gone.onnx", "sha256": "0" * 64}]
    card.write_text(yaml.safe_dump(tree))
    told = evaluated(card, rendered=rendered)
    (compared,) = told.variants
    assert compared.note.startswith("not measured: ")
    assert compared.loss == {}
    page, summary = (path.read_text() for path in write_page(tmp_path / "out", told))
    assert "<p>int8 by onnxruntime: not measured: " in page  # no cell that makes the page wider than a screen
    assert "- int8 by onnxruntime: not measured: " in summary


def test_thresholds_are_not_chosen_by_real_pictures(card: Path, data: Path) -> None:
    with pytest.raises(SetError, match="nothing to choose thresholds by"):
        evaluated(card, data=data, choose=True)


def test_thresholds_come_of_own_footage(card: Path, tmp_path: Path, script: Script) -> None:
    pictures = {"a": ("person", "phone"), "b": ("person",), **{f"val{k}": ("person",) for k in range(20)}}
    things = Thing("person", (100, 100, 200, 300)), Thing("phone", (140, 170, 160, 190))
    manifest = own_manifest(tmp_path, pictures, *things)
    card.write_text(yaml.safe_dump(yaml.safe_load(card.read_text()) | {"thresholds": {"phone": 0.12}}))
    done = script("evaluate.py", "--own", manifest, "--card", card, "--out", tmp_path / "page", "--write")
    assert done.returncode == 0, done.stderr
    tree = yaml.safe_load(card.read_text())
    assert (tree["thresholds"]["person"], tree["thresholds"]["phone"]) == (0.6, 0.12)
    assert tree["figures"]["own"]["person"]["recall"] == 1.0
    assert not tree["curves"]
    page = (tmp_path / "page" / "evaluation.html").read_text()
    assert "chosen by pictures that are told of nowhere: own footage, split val." in page
    script("evaluate.py", "--own", manifest, "--card", card, "--out", tmp_path / "page", "--split", "val")
    assert "as they stand in the card." in (tmp_path / "page" / "evaluation.html").read_text()


def test_own_footage_comes_before_rendered_scenes_in_choosing(tmp_path: Path, rendered: Path) -> None:
    faint: Row = ("person", 500.0, 150.0, 40.0, 100.0, 0.3, {})  # of the rendered scenes a false one
    card = find_card(str(card_file(model_file(tmp_path / "tiny.onnx", raw_output([PERSON, PHONE, faint])))))
    pictures = {"a": ("person",), **{f"val{k}": ("person",) for k in range(10)}}
    people = Thing("person", (100, 100, 200, 300)), Thing("person", (480, 100, 520, 200))
    own = own_manifest(tmp_path / "own", pictures, *people)
    for manifests, least in (([], 0.6), ([own], 0.3)):
        told = evaluate(card, gathered(None, [rendered], [], manifests), choose=True, variants=False)
        assert told.thresholds["person"] == least
        assert told.acts is not None and told.acts.people == 3  # by the rendered scenes all the same


OTHER_PERSON: Row = ("person", 500.0, 200.0, 100.0, 200.0, 0.9, {})
CLOSE: Row = ("person", 160.0, 160.0, 200.0, 320.0, 0.8, {"act_photo": 0.8})  # whoever is looked at closely


@pytest.mark.parametrize(
    ("known", "before", "now", "incidents", "worse", "said"),
    [
        pytest.param(
            ("person", "parcel"), [PERSON, PARCEL], [PERSON], 6, True,
            "Surely worse than before: own: parcel AP50. Surely better: nothing.", id="no longer found",
        ),
        pytest.param(
            ("person", "parcel"), [PERSON], [PERSON, PARCEL], 6, False,
            "Surely worse than before: nothing. Surely better: own: parcel AP50.", id="found since",
        ),
        pytest.param(
            ("parcel",), [PARCEL], [PARCEL], 6, False,
            "Surely worse than before: nothing. Surely better: nothing.", id="the same",
        ),
        pytest.param(("parcel",), [PARCEL], [PERSON], 4, False, "Nothing can be told against before", id="too few"),
        pytest.param(
            (), [PERSON, CLOSE], [OTHER_PERSON, CLOSE], 6, True,
            "worse than before: own: photographing told from all else.", id="acts that verdicts tell, nothing ticked",
        ),
    ],
)  # fmt: skip
def test_a_model_is_told_better_or_worse_than_another_on_footage_that_neither_learnt_from(
    known: tuple[str, ...], before: list[Row], now: list[Row], incidents: int, worse: bool, said: str,
    tmp_path: Path, script: Script,
) -> None:  # fmt: skip
    things = (
        Thing("person", (100, 100, 200, 300), act="photo"), Thing("person", (450, 100, 550, 300), not_act="photo"),
        Thing("parcel", (350, 160, 450, 240)),
    )  # fmt: skip
    own = own_manifest(tmp_path / "own", {str(k): known for k in range(incidents)}, *things)
    cards = {}
    for name, rows in (("before", before), ("now", now)):
        cards[name] = card_file(model_file(tmp_path / f"{name}.onnx", raw_output(rows)), name=name)
    words = ["--own", own, "--card", cards["now"], "--against", cards["before"], "--out", tmp_path / "page"]
    done = script("evaluate.py", *words)
    assert (done.returncode, done.stderr.count("error")) == (int(worse), 0)
    assert said in done.stdout
    assert said in (tmp_path / "page" / "evaluation.html").read_text()


def test_a_class_that_the_model_before_knew_and_this_one_does_not_is_worse(tmp_path: Path, script: Script) -> None:
    own = own_manifest(tmp_path / "own", {"a": ("parcel",)}, Thing("parcel", (350, 160, 450, 240)))
    people = model_file(tmp_path / "people.onnx", raw_output([PERSON])[:, : 4 + 1])
    card = card_file(people, labels=["person"], traits=[])
    done = script("evaluate.py", "--own", own, "--card", card, "--against", make_card(tmp_path), "--out", tmp_path)
    assert done.returncode == 1
    assert "doesn't know it" in done.stdout and "worse than tiny: own: parcel AP50" in done.stdout


def measured_nothing(*_: object, **__: object) -> None:
    raise AssertionError("it began to measure")


def test_a_corrupt_picture_is_named_before_any_is_looked_at(
    card: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evaluate.measure", measured_nothing)
    (data / "real_check" / "wallet" / "images" / "w2.jpg").write_bytes(b"\xff\xd8\xff nothing")
    with pytest.raises(SetError, match=r"w2\.jpg is not a picture"):
        evaluated(card, data=data)


@pytest.mark.parametrize("out", ["taken", "taken/page"], ids=["a file", "in a file"])
def test_a_page_that_cannot_be_written_is_told_before_measuring(
    card: Path, rendered: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out: str
) -> None:
    monkeypatch.setattr("evaluate.measure", measured_nothing)
    (tmp_path / "taken").write_text("mine")
    arguments = ["--rendered", rendered, "--card", card, "--out", tmp_path / out]
    monkeypatch.setattr(sys, "argv", ["evaluate.py", *map(str, arguments)])
    with pytest.raises(SetError, match=r"--out: .*can't be written to"):
        main()


def test_figures_that_would_be_lost_are_told_before_measuring(
    card: Path, rendered: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evaluate.measure", measured_nothing)
    card.write_text(yaml.safe_dump(yaml.safe_load(card.read_text()) | {"figures": {"rendered": {}, "fuyi": {}}}))
    arguments = ["--rendered", rendered, "--card", card, "--out", tmp_path / "page", "--write"]
    monkeypatch.setattr(sys, "argv", ["evaluate.py", *map(str, arguments)])
    with pytest.raises(SetError, match="figures of fuyi, which would be lost"):
        main()


def test_the_command_writes_page_and_card(card: Path, rendered: Path, tmp_path: Path) -> None:
    command = [sys.executable, REPOSITORY / "models" / "evaluate.py", "--rendered", rendered, "--card", card]
    command += ["--out", tmp_path / "page", "--write"]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "page" / "evaluation.html").exists()
    assert "| rendered: person | 3 |" in done.stdout
    assert "figures" in yaml.safe_load(card.read_text())


def test_a_card_found_by_its_name_is_written_where_it_lies(
    card: Path, rendered: Path, tmp_path: Path, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "models").symlink_to(card.parent)
    monkeypatch.setenv("LABELWATCH_HOME", str(home))
    done = script("evaluate.py", "--rendered", rendered, "--card", card.stem, "--out", tmp_path / "page", "--write")
    assert done.returncode == 0, done.stderr
    assert "figures" in yaml.safe_load(card.read_text())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param([], "no set to judge by", id="no set"),
        pytest.param(["--data", "gone"], "gone: no such folder", id="no folder"),
        pytest.param(["--rendered", "."], "no rendered truth", id="no truth"),
        pytest.param(["--card", "gone.yaml"], "no model card gone.yaml", id="no card"),
    ],
)
def test_what_is_wrong_is_one_line(arguments: list[str], said: str, card: Path, script: Script) -> None:
    done = script("evaluate.py", *(() if "--card" in arguments else ("--card", card)), *arguments)
    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == 1
