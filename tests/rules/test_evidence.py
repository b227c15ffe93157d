"""What one look at a person says, and how a card of weights is read."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from detector.errors import LabelwatchError, MissingPart, ModelError
from detector.geometry import foot, head
from detector.rules.bearing import Bearing, carried_on
from detector.rules.evidence import (
    FEATURES,
    KINDS,
    ActWeights,
    Evidence,
    absent,
    aimed_at,
    at_ear,
    load_weights,
    log_odds,
    looks,
    within_reach,
)
from detector.values import ActScores, Box, Device, Facing, Parcel, Person
from tests.builders import box_at, moved, parcel, person, phone, scanner, scene
from tests.rules.staging import AHEAD, BEHIND, FURTHER, STANDING, aimed, card, parcels, weighing

EAR = box_at((650, 315), 12, 20)
CROUCHED: Box = (590, 400, 690, 500)
NAN, INF = float("nan"), float("inf")
anything = st.floats(allow_nan=True, allow_infinity=True)
coordinate = st.floats(-1000, 3000)


def look(who: Person, *devices: Device, lying: list[Parcel] | None = None, bearing: Bearing | None = None) -> Evidence:
    found = scene(0.0, [who], devices, parcels() if lying is None else lying)
    return looks(found, [bearing or carried_on(None, who, 0.0)])[0]


def named(evidence: Evidence) -> dict[str, float]:
    return dict(zip(FEATURES, evidence.features, strict=True))


def test_a_phone_aimed_at_a_parcel_is_described() -> None:
    who = person(1, STANDING, acts=ActScores(0.9, 0.5, 0.1, 0.2))
    seen = look(who, phone(aimed(STANDING, AHEAD), photo=0.9, call=0.1, score=0.8))
    found = named(seen)
    assert (seen.device, seen.telling, seen.parcel) == (True, True, 1)
    assert found["phone"] == pytest.approx(math.log(4))
    assert found["phone_photo"] == found["act_photo"] == pytest.approx(math.log(9))
    assert found["act_scan"] == 0
    assert found["phone_call"] == found["act_call"] == pytest.approx(-math.log(9))
    assert (found["no_phone"], found["no_scanner"], found["no_look"], found["aimed"]) == (0, 1, 0, 1)
    assert found["from_head"] == pytest.approx(math.hypot(24, 55.2) / 200, abs=0.02)
    assert found["aside"] == pytest.approx(24 / 200, abs=0.01)
    assert 0 < found["target_near"] < 1


@pytest.mark.parametrize(
    ("device", "expected"),
    [
        pytest.param(None, {"no_phone": 1, "no_scanner": 1, "phone": 0, "from_head": 0, "aimed": 0}, id="empty hand"),
        pytest.param(scanner(box_at((640, 400), 9, 9)), {"no_phone": 1, "no_scanner": 0, "phone": 0}, id="scanner"),
        pytest.param(phone(EAR), {"at_ear": 1}, id="at the ear"),
        pytest.param(phone(box_at((640, 400), 9, 9)), {"height": 0.5, "aside": 0}, id="half-way up"),
        pytest.param(phone(box_at((640, 400), 9, 9), holder=2), {"no_phone": 1}, id="in another hand"),
        pytest.param(phone(box_at((640, 400), 9, 9), holder=None), {"no_phone": 1}, id="in nobody's hand"),
        pytest.param(phone((NAN, 1, 2, 3)), {"no_phone": 1}, id="a box that is none"),
    ],
)
def test_what_is_in_the_hand(device: Device | None, expected: dict[str, float]) -> None:
    found = named(look(person(1, STANDING), *([device] if device else [])))
    assert {name: found[name] for name in expected} == pytest.approx(expected)


def test_the_surest_device_counts() -> None:
    low, high = phone(aimed(STANDING, AHEAD), score=0.4), phone(aimed(STANDING, BEHIND), score=0.8)
    assert look(person(1, STANDING), low, high).parcel == look(person(1, STANDING), high, low).parcel == 2


def test_steps_seen_after_a_gap_are_no_faster_than_they_were() -> None:
    before = Bearing(0.0, 200.0, 200.0, foot(STANDING))
    assert carried_on(before, person(1, moved(STANDING, (300, 0))), 1.5).speed == pytest.approx(1.0)


def test_lengths_are_in_standing_heights_of_somebody_crouching() -> None:
    who = person(1, CROUCHED)
    bearing = carried_on(Bearing(0.0, 200.0, 200.0, (640.0, 500.0)), who, 0.2)
    found = named(look(who, phone(box_at((640, 450), 9, 9)), bearing=bearing))
    assert found["crouched"] == 1
    assert found["height"] == pytest.approx(50 / bearing.height)


@pytest.mark.parametrize(
    ("device", "acts", "telling"),
    [
        pytest.param(phone(EAR, photo=0.0, call=0.0), None, False, id="a model without our traits"),
        pytest.param(phone(EAR, photo=NAN, call=NAN), ActScores(NAN, NAN, NAN, NAN), False, id="nothing but NaN"),
        pytest.param(phone(EAR, photo=0.001, call=0.0), None, True, id="a phone read"),
        pytest.param(phone(EAR, photo=0.0, call=0.0), ActScores(0.1, 0.1, 0.1, 0.1), True, id="a person read"),
        pytest.param(scanner(EAR), None, True, id="a scanner is for scanning"),
    ],
)
def test_whether_the_model_speaks_of_acts(device: Device, acts: ActScores | None, telling: bool) -> None:
    seen = look(person(1, STANDING, acts=acts), device)
    assert seen.telling is telling
    said = weighing().said([seen])[0]
    assert any(said) is telling


@given(st.tuples(anything, anything, anything, anything), anything, anything, st.tuples(*[anything] * 4),
       st.tuples(*[anything] * 4), anything)  # fmt: skip
def test_features_are_finite_whatever_the_detector_says(
    box: Any, score: float, photo: float, acts: Any, parcel_box: Any, speed: float
) -> None:
    who = person(1, box, acts=ActScores(*acts))
    bearing = Bearing(0.0, 100.0, 100.0, (0.0, 0.0), speed)
    for device in (phone(box, photo=photo, score=score), scanner((600, 300, 610, 310), score=score)):
        seen = look(who, device, lying=[parcel(1, parcel_box), parcel(2, AHEAD)], bearing=bearing)
        assert all(math.isfinite(value) for value in seen.features)
        assert all(math.isfinite(value) for value in weighing().said([seen])[0])


@pytest.mark.parametrize(
    ("target", "device", "lying"),
    [
        pytest.param(1, aimed(STANDING, AHEAD), parcels(), id="on the line"),
        pytest.param(2, aimed(STANDING, BEHIND), parcels(), id="on the other side"),
        pytest.param(None, aimed(STANDING, AHEAD), [], id="no parcels"),
        pytest.param(None, aimed(STANDING, AHEAD), parcels(Facing.NOT_UP), id="no label on top"),
        pytest.param(1, aimed(STANDING, AHEAD), parcels(Facing.UNKNOWN), id="perhaps a label on top"),
        pytest.param(None, aimed(STANDING, AHEAD), [parcel(1, moved(AHEAD, (200, 200)))], id="out of reach"),
        pytest.param(3, aimed(STANDING, FURTHER), parcels(), id="the one behind it"),
        pytest.param(5, aimed(STANDING, AHEAD), [*parcels(), parcel(5, (660, 410, 690, 440))], id="the nearer one"),
        pytest.param(1, aimed(STANDING, AHEAD), [parcel(9, (NAN, 0, 1, 1)), *parcels()], id="beside one that is none"),
    ],
)
def test_which_parcel_is_aimed_at(target: int | None, device: Box, lying: list[Parcel]) -> None:
    (found,) = aimed_at([STANDING], [device], [180.0], lying)
    assert (found.parcel if found else None) == target


@pytest.mark.parametrize(
    ("nearest", "lying"),
    [
        pytest.param(1, [parcel(3, FURTHER), parcel(1, AHEAD)], id="the nearer one"),
        pytest.param(1, [parcel(3, FURTHER), parcel(1, AHEAD, Facing.NOT_UP)], id="a label on its side will do"),
        pytest.param(5, [parcel(1, AHEAD), parcel(5, (610, 400, 670, 480))], id="the one bent over"),
        pytest.param(None, [parcel(1, moved(AHEAD, (150, 0)))], id="out of reach"),
        pytest.param(None, [], id="no parcels"),
        pytest.param(1, [parcel(9, (600, 400, NAN, 500)), parcel(1, AHEAD)], id="beside one that is none"),
    ],
)
def test_which_parcel_is_within_reach(nearest: int | None, lying: list[Parcel]) -> None:
    assert within_reach(STANDING, 200.0, lying) == nearest


@pytest.mark.parametrize(
    ("who", "device", "ear"),
    [
        pytest.param(STANDING, EAR, True, id="beside the head"),
        pytest.param(STANDING, box_at((690, 315), 12, 20), False, id="far to the side"),
        pytest.param(STANDING, box_at((650, 350), 12, 20), False, id="before the chest"),
        pytest.param(CROUCHED, box_at((650, 410), 12, 20), False, id="crouched: the head may be anywhere"),
    ],
)
def test_whether_a_phone_is_at_the_ear(who: Box, device: Box, ear: bool) -> None:
    assert at_ear(who, device) is ear
    assert head(who)[1] < who[3]


@given(st.floats(0, 1), st.floats(0, 1))
def test_a_higher_score_has_higher_odds(a: float, b: float) -> None:
    low, high = sorted((a, b))
    assert log_odds(low) <= log_odds(high)
    assert log_odds(a) == pytest.approx(-log_odds(1 - a), abs=1e-6)


def test_what_is_not_there_stands_at_its_mean() -> None:
    nobody = look(person(1, STANDING))
    missing = absent(np.array([nobody.features]))[0]
    there = {name for name, gone in zip(FEATURES, missing, strict=True) if not gone}
    assert there == {"speed", "crouched", "no_phone", "no_scanner", "no_look"}
    heavy = weighing(weights={kind: {"act_photo": 9.0} if kind == "photo" else {} for kind in KINDS})
    assert heavy.said([Evidence(nobody.features, False, True, None)])[0] == [0.0] * len(KINDS)


def written(path: Path, tree: Any) -> Path:
    path.write_text(yaml.safe_dump(tree), encoding="utf-8")
    return path


def plain_card() -> dict[str, Any]:
    return {key: list(value) if isinstance(value, tuple) else value for key, value in card().items()}


def test_the_shipped_card_is_read() -> None:
    assert load_weights().slopes.shape == (len(FEATURES), len(KINDS))


def test_a_card_says_where_its_weights_are_from() -> None:
    shipped = yaml.safe_load((Path(__file__).parents[2] / "models" / "acts.yaml").read_text(encoding="utf-8"))
    assert {"scene_model", "seeds", "looks", "made_on", "origin", "figures", "tau_s", "licence"} <= shipped.keys()
    ActWeights.model_validate(shipped)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        pytest.param(lambda c: c.pop("tau_s"), "tau_s", id="a key is missing"),
        pytest.param(lambda c: c["tau_s"].update(photo=0), "tau_s.photo", id="no time"),
        pytest.param(lambda c: c["tau_s"].pop("scan"), "tau_s needs", id="a kind without a time"),
        pytest.param(lambda c: c["features"].reverse(), "features are not those", id="another order"),
        pytest.param(lambda c: c["kinds"].reverse(), "kinds must be photo", id="other kinds"),
        pytest.param(lambda c: c["weights"].pop("none"), "every kind", id="a kind without weights"),
        pytest.param(lambda c: c["weights"]["photo"].pop(), "need 19 numbers", id="too few weights"),
        pytest.param(lambda c: c["scales"].__setitem__(0, 0.0), "above 0", id="a scale of nothing"),
        pytest.param(lambda c: c["means"].__setitem__(0, NAN), "not finite", id="no number"),
        pytest.param(lambda c: c["offsets"].update(photo=INF), "not finite", id="endless"),
        pytest.param(lambda c: c["offsets"].update(photo="much"), "offsets.photo", id="a word"),
    ],
)
def test_a_card_that_is_wrong_is_refused(change: Callable[[Any], Any], said: str, tmp_path: Path) -> None:
    tree = plain_card()
    change(tree)
    with pytest.raises(ModelError, match=said):
        load_weights(written(tmp_path / "acts.yaml", tree))


@pytest.mark.parametrize("text", ["", "[1, 2", "just text", "a: \0"])
def test_what_is_no_card_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "acts.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ModelError, match="is not a card of act weights"):
        load_weights(path)


def test_where_a_card_is_no_yaml_is_said(tmp_path: Path) -> None:
    path = tmp_path / "acts.yaml"
    path.write_text("name: acts\nkinds: [photo\nodds: 1\n", encoding="utf-8")
    with pytest.raises(ModelError, match="line 3, column"):
        load_weights(path)


def test_a_missing_card_is_said_to_be_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ModelError, match="no card of act weights"):
        load_weights(tmp_path / "other.yaml")
    monkeypatch.setenv("LABELWATCH_HOME", str(tmp_path))
    with pytest.raises(MissingPart, match=r"acts\.yaml"):
        load_weights()
    assert issubclass(MissingPart, LabelwatchError)


def test_what_lies_beyond_all_that_was_learned_counts_as_at_its_edge() -> None:
    """A surer phone than any in training says no more than the surest there."""
    weights = load_weights()
    rows = np.zeros((2, len(FEATURES)))
    rows[:, FEATURES.index("phone")] = weights.highest[FEATURES.index("phone")]
    rows[1, FEATURES.index("phone")] += 3.0
    first, second = weights.likelihoods(rows)
    assert np.array_equal(first, second)
