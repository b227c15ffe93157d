"""How the weights of acts are learnt: the fit, and what counts as an act told rightly."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from acts.fit import fit, softmax
from acts.judge import Told, confusion, macro_f1, paired, tally
from acts.learn import Table, correlation_time, figures, fit_to, intraclass_of, stretches_of, wald_times
from acts.looked import Clip, Looker, Row, clip_rows
from acts.real import SEEN, groups

from detector.rules.evidence import FEATURES, KINDS, Evidence
from detector.values import ACT_TRAITS, PERSON, Act, ActKind, Person, Scene
from tests.models.conftest import Script
from tests.models.scenes_on_disk import crowd, person, scene


def test_the_fit_finds_the_weights_that_made_the_kinds() -> None:
    rng = np.random.default_rng(3)
    features = rng.normal(size=(20000, 3))
    true = np.array([[1.5, -1.0, 0.0], [0.0, 1.0, -1.0], [-1.5, 0.0, 1.0]])
    chances = softmax(features @ true + np.array([0.5, 0.0, -0.5]))
    kinds = (chances.cumsum(1) < rng.random((20000, 1))).sum(1)
    found = fit(features, kinds, 3, ridge=0.01)
    weights = found.weights / found.scales[:, None]
    assert weights - weights.mean(1, keepdims=True) == pytest.approx(true - true.mean(1, keepdims=True), abs=0.1)


def test_how_common_a_kind_is_says_nothing() -> None:
    """Thinning one kind to a tenth leaves the likelihoods where they were."""
    rng = np.random.default_rng(4)
    kinds = rng.integers(0, 2, 20000)
    features = rng.normal(size=(20000, 1)) + kinds[:, None]
    rare = (kinds == 0) | (rng.random(20000) < 0.1)
    points = np.array([[-1.0], [0.5], [2.0]])
    both = [fit(features[keep], kinds[keep], 2, 0.01).likelihoods(points) for keep in (rare, rare | True)]
    ratio = [found[:, 1] - found[:, 0] for found in both]
    assert ratio[0] == pytest.approx(points[:, 0] - 0.5, abs=0.2)
    assert ratio[1] == pytest.approx(points[:, 0] - 0.5, abs=0.1)


def test_what_is_unknown_stands_at_the_mean() -> None:
    features = np.array([[1.0, 5.0], [3.0, np.nan], [1.0, 5.0], [3.0, 9.0]] * 10)
    kinds = np.array([0, 1, 0, 1] * 10)
    found = fit(features, kinds, 2, 1.0)
    assert found.means == pytest.approx([2.0, 19 / 3])
    assert found.likelihoods(np.array([[2.0, np.nan]])) == pytest.approx(found.likelihoods(np.array([found.means])))


def test_a_kind_that_never_occurs_and_a_feature_that_never_varies_do_no_harm() -> None:
    found = fit(np.array([[1.0, 0.0], [1.0, 1.0]] * 20), np.array([0, 1] * 20), 3, 1.0)
    assert np.isfinite(found.likelihoods(np.array([[5.0, 0.5]]))).all()
    assert found.weights[0] == pytest.approx(0.0)


def test_what_weights_share_is_learnt_from_few_looks() -> None:
    """Each kind's own feature speaks for it alike; of the last kind no look was seen."""
    rng = np.random.default_rng(6)
    kinds = rng.integers(0, 3, 60)
    features = rng.normal(size=(60, 4)) + 2 * np.eye(4)[kinds]
    shared = np.eye(4)[None]
    alone = fit(features, kinds, 4, 10.0).weights
    together = fit(features, kinds, 4, 10.0, shared=shared).weights
    assert together[3, 3] > 0.8 > 0.1 > abs(alone[3, 3])
    assert together[0, 0] > alone[0, 0]


def test_everybody_of_a_crowd_is_looked_at_closely(tmp_path: Path) -> None:
    crowd(tmp_path / "crowd.jpg")
    plain, mirrored = (found.of(PERSON) for found in Looker(tmp_path / "kept").still(tmp_path / "crowd.jpg"))
    assert len(plain) == 6 and len(mirrored) > 4
    assert np.isfinite(plain.traits[:, ACT_TRAITS]).all() and np.isfinite(mirrored.traits[:, ACT_TRAITS]).all()


def test_who_is_seen_twice_is_judged_once_and_who_stands_close_as_oneself() -> None:
    one, other = (100.0, 100.0, 180.0, 300.0), (130.0, 100.0, 210.0, 300.0)
    seen = [one, (100.0, 100.0, 150.0, 300.0), (118.0, 100.0, 198.0, 300.0)]  # the last lies between them
    people = tuple(Person(k, box, 0.9, 0.0, 0.0) for k, box in enumerate(seen))
    frame = scene(people=[person(1, one), person(2, other)]) | {"t": 0.0}
    events = [{"person": 1, "act": "call", "t0": 0.0, "t1": 1.0}]
    clip = Clip(Path("c1.json"), (Scene("c", 0.0, (640, 384), people=people),), {"frames": [frame], "events": events})
    assert sorted((row.who, row.kind) for row in clip_rows(clip)) == [(1, "call"), (2, "none")]


def test_nobody_seen_or_nobody_there_gives_no_row() -> None:
    box = (100.0, 100.0, 180.0, 300.0)
    nobody, somebody = Scene("c", 0.0, (640, 384)), Scene("c", 0.0, (640, 384), people=(Person(1, box, 0.9, 0.0, 0.0),))
    for seen, people in ((nobody, [person(1, box)]), (somebody, []), (nobody, [])):
        truth = {"frames": [scene(people=people) | {"t": 0.0}], "events": []}
        assert not list(clip_rows(Clip(Path("c1.json"), (seen,), truth)))


def row(at: float, ratio: float, clip: str = "c1", *, kind: str = "photo", device_px: float = 20.0) -> Row:
    features = [0.0] * len(FEATURES)
    features[FEATURES.index("speed")] = ratio
    return Row(1, clip, True, 7, at, 0.2, kind, Evidence(tuple(features), True, True, None), device_px)


def test_whose_device_nobody_could_see_is_judged_apart() -> None:
    """Photos look as -1, doing nothing as 1, and so do a photo with a hidden phone and one with a tiny one."""
    plain = [row(0.0, -1.0 if n % 2 else 1.0, kind="photo" if n % 2 else "none") for n in range(200)]
    table = Table.of([*plain, row(0.0, 1.0, device_px=0.0), row(0.0, 1.0, device_px=11.9)], 1.0)
    found = figures(table, fit_to(Table.of(plain, 1.0), 1.0))
    assert (found["looks"], found["confusion"]["photo"]) == (202, [100, 0, 0, 0, 2])
    assert found["of 12 px and more"]["confusion"]["photo"] == [100, 0, 0, 0, 0]
    assert found["of 12 px and more"]["macro_f1"] == 1.0 > found["macro_f1"]


@pytest.mark.parametrize(("memory", "tau"), [(0.0, 0.2), (0.8, 0.2 * 1.8 / 0.2)])
def test_looks_count_as_one_for_as_long_as_they_repeat_each_other(memory: float, tau: float) -> None:
    """A first-order autoregression of correlation r has an integrated time of (1 + r) / (1 - r) looks."""
    rng = np.random.default_rng(5)
    values = [0.0]
    for noise in rng.normal(size=20000):
        values.append(memory * values[-1] + noise * (1 - memory**2) ** 0.5)
    table = Table.of([row(0.2 * n, value, f"c{n // 200}") for n, value in enumerate(values)], 1.0)
    likelihoods = np.zeros((len(values), len(KINDS)))
    likelihoods[:, 0] = 4 + np.array(values)
    found, correlations = correlation_time(table, likelihoods)
    assert found == pytest.approx(tau, rel=0.25)
    assert correlations[0] == 1


@pytest.mark.parametrize("repeats", [1, 5])
def test_looks_that_repeat_each_other_count_as_often_as_keeps_the_bound(repeats: int) -> None:
    """Ratios of mean 1 a look, each look seen `repeats` times in a row: so often must count as once."""
    rng = np.random.default_rng(8)
    rows, ratios = [], []
    for stretch in range(400):
        for n, value in enumerate(np.repeat(rng.normal(-0.5, 1.0, 4), repeats)):
            rows.append(row(0.2 * n, 0.0, f"c{stretch}"))
            ratios.append(value)
    likelihoods = np.full((len(rows), len(KINDS)), -99.0)
    likelihoods[:, 0], likelihoods[:, 1] = 0.0, ratios  # photo is true, scan false
    tau, mean, count = wald_times(Table.of(rows, 1.0), likelihoods, 0.0)["scan"]
    assert count == 400
    assert mean <= 1
    assert tau == pytest.approx(0.2 * repeats, abs=0.21)


@pytest.mark.parametrize("share", [0.0, 0.5, 0.9])
def test_what_looks_of_a_stretch_have_in_common_is_found(share: float) -> None:
    rng = np.random.default_rng(9)
    rows, values = [], []
    for stretch in range(300):
        own = rng.normal()
        for n, noise in enumerate(rng.normal(size=rng.integers(2, 12))):
            rows.append(row(0.2 * n, 0.0, f"c{stretch}"))
            values.append(share**0.5 * own + (1 - share) ** 0.5 * noise)
    likelihoods = np.zeros((len(rows), len(KINDS)))
    likelihoods[:, 0] = 20 + np.array(values)
    likelihoods[:, 1] = 18
    assert intraclass_of(Table.of(rows, 1.0), likelihoods) == pytest.approx(share, abs=0.08)


def test_what_one_person_does_next_or_another_does_is_another_stretch() -> None:
    rows = [row(0.2, 0), row(0.4, 0), row(0.6, 0, "c2"), row(0.8, 0, "c2"), row(4.0, 0), row(4.2, 0), row(9.0, 0)]
    assert [looks.tolist() for looks in stretches_of(Table.of(rows, 1.0))] == [[0, 1], [2, 3], [4, 5]]


def told(start: float, end: float, who: int | None = 1) -> Told:
    return Told(Act(ActKind.PHOTO, 3, start, end, 0.9), who)


@pytest.mark.parametrize(("scans_until", "false"), [(3.0, 0), (9.0, 1)], ids=["truly", "hardly at all"])
def test_a_true_act_in_a_clip_without_photos_is_no_false_one(scans_until: float, false: int) -> None:
    box = (10.0, 10.0, 60.0, 160.0)
    times = [0.5 * k for k in range(20)]
    frames = [scene(people=[person(1, box)]) | {"t": at} for at in times]
    events = [{"person": 1, "act": "scan", "t0": 1.0, "t1": scans_until}]
    scenes = tuple(Scene("c", at, (640, 384), people=(Person(3, box, 0.9, 0.0, at),)) for at in times)
    act = Act(ActKind.SCAN, 3, 1.0, 3.0, 0.9)
    clip = Clip(Path("c1.json"), scenes, {"frames": frames, "events": events})
    sums = tally([clip], lambda: lambda seen: [act] if seen.at == 3.0 else [], ActKind.SCAN)
    assert (sums.true, sums.told, sums.paired, sums.false_in_ordinary) == (1, 1, 1 - false, false)


@pytest.mark.parametrize(
    ("acts", "pairs"),
    [
        pytest.param([told(1, 3), told(4, 6)], 2, id="both"),
        pytest.param([told(1.9, 3)], 1, id="more than half"),
        pytest.param([told(2.1, 3)], 0, id="less than half"),
        pytest.param([told(1, 6)], 1, id="merged"),
        pytest.param([told(1, 2.2), told(2.3, 3)], 1, id="split"),
        pytest.param([told(1, 3, who=2)], 0, id="somebody else"),
        pytest.param([told(1, 3, who=None)], 0, id="nobody known"),
        pytest.param([], 0, id="none"),
    ],
)
def test_acts_are_paired_one_to_one(acts: list[Told], pairs: int) -> None:
    events = [{"person": 1, "t0": 1.0, "t1": 3.0}, {"person": 1, "t0": 4.0, "t1": 6.0}]
    assert paired(acts, events) == pairs


def test_macro_f1_is_of_the_kinds_that_occur() -> None:
    assert macro_f1([0, 0, 1], [0, 2, 1], 3) == pytest.approx((2 / 3 + 1) / 2)
    assert np.isnan(macro_f1([], [], 3))
    assert confusion([0, 1], [1, 1], 2, 2) == [[0, 1], [0, 1]]


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--rendered", "stills"], "stills: no rendered truth (*.json) in it"),
        (["--clips", "stills"], "stills: no rendered truth (*.json) in it"),
        ([], "nobody seen to learn photo, scan, call, browse, none from"),
    ],
)
def test_a_set_that_teaches_nothing_is_one_line(
    script: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], reason: str
) -> None:
    monkeypatch.chdir(tmp_path)
    done = script("acts/learn.py", *words, "--cache", "cache", "--made-on", "2026-12-01", "--out", "acts.yaml")
    assert done.returncode == 1 and done.stderr.startswith(f"error: {reason}") and not Path("acts.yaml").exists()


def test_a_picture_of_real_people_that_is_not_there_is_one_line(script: Script, tmp_path: Path) -> None:
    done = script("acts/real.py", "--data", tmp_path, "--cache", tmp_path / "cache")
    assert done.returncode == 1 and done.stderr.startswith(f"error: {tmp_path / 'real'}")
    assert "can't be read: No such file or directory" in done.stderr


def test_real_people_are_those_we_saw_and_those_of_pictures_without_a_phone(tmp_path: Path) -> None:
    for name, folder, marks in (
        ("coco128_1", "real/val", "0 0.5 0.5 0.1 0.1\n"),
        ("coco128_2", "real/val", "0 0.5 0.5 0.1 0.1\n1 0.5 0.5 0.1 0.1\n"),
        ("fuyi_9999", "real/val", ""),
        ("w001", "real_check/wallet", ""),
    ):
        for kind, suffix in (("images", "jpg"), ("labels", "txt")):
            (tmp_path / folder / kind).mkdir(parents=True, exist_ok=True)
            (tmp_path / folder / kind / f"{name}.{suffix}").write_text(marks)
    found = list(groups(tmp_path))
    assert [(who, path.stem) for who, path in found[-2:]] == [("none (COCO)", "coco128_1"), ("none (wallet)", "w001")]
    with SEEN.open(encoding="utf-8") as file:
        assert [who for who, _ in found[:-2]] == [row["act"] for row in csv.DictReader(file)]
