"""The recipe that judges ranges of exposed labels: a truth made by hand gives known figures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from evaluation.exposure import PHOTO, SWEEP, Judged, figures, judged_truth, true_detections, truly_exposed

from detector.values import ANGLE_COS, LABEL, PARCEL, PERSON, UP, CountRange
from tests.models.conftest import Script

PERSON_ID, PHONE_ID = 1, 2
PARCELS = {10: (500, 480, 560, 520), 20: (600, 480, 660, 520), 30: (1000, 300, 1060, 340)}


def label_of(parcel: int, box: tuple[int, int, int, int]) -> dict[str, Any]:
    x1, y1, x2, y2 = box
    corners = [[x1 + 20, y2 - 10], [x2 - 20, y2 - 10], [x2 - 20, y1 + 10], [x1 + 20, y1 + 10]]
    seen = {"visible_fraction": 1.0, "visible_px": 400, "cos_view": 0.7}
    return {"id": parcel + 1, "parcel": parcel, "face": "top", "polygon": corners, "angle_img": 0.0, **seen}


def truth(exposed: dict[int, list[int]]) -> dict[str, Any]:
    """Somebody photographs parcel 10, then at once 20; `exposed` are the labels seen at each."""
    events = [
        {"person": PERSON_ID, "act": "photo", "t0": 2.0, "t1": 4.0, "parcel": 10},
        {"person": PERSON_ID, "act": "photo", "t0": 5.4, "t1": 8.0, "parcel": 20},
    ]
    frames = []
    for n in range(50):
        t = n / 5
        event = next((e for e in events if e["t0"] <= t <= e["t1"]), None)
        phone = {"id": PHONE_ID, "bbox": [575, 370, 587, 390], "visible_fraction": 1.0, "holder": PERSON_ID}
        phone |= {"use": "photo" if event else "move"} | ({"exposed": exposed[event["parcel"]]} if event else {})
        person = {"id": PERSON_ID, "bbox": [540, 300, 620, 500], "visible_fraction": 1.0, "act": "none"}
        parcels = [
            {"id": number, "bbox": list(box), "visible_fraction": 1.0, "labels": [number + 1]}
            for number, box in PARCELS.items()
        ]
        labels = [label_of(number, box) for number, box in PARCELS.items()]
        frames.append(
            {"t": t, "people": [person], "phones": [phone], "scanners": [], "parcels": parcels, "labels": labels}
        )
    return {"size": [1280, 720], "fps": 5, "events": events, "frames": frames}


def test_detections_without_fault_say_what_the_truth_says() -> None:
    found = true_detections({"size": [1280, 720], **truth({10: [11], 20: [21]})["frames"][0]})
    assert [len(found.of(what)) for what in (PERSON, PARCEL, LABEL)] == [1, 3, 3]
    assert (found.of(PARCEL).traits[:, UP] == 1).all()
    assert found.of(LABEL).traits[:, ANGLE_COS] == pytest.approx([1, 1, 1])


def test_photos_and_their_sweep_are_judged(tmp_path: Path) -> None:
    path = tmp_path / "c70005.json"
    path.write_text(json.dumps(truth({10: [11], 20: [11, 21]})), encoding="utf-8")
    rows, missed = judged_truth(path)
    assert missed == 0
    assert [(row.what, row.seed, row.truth) for row in rows] == [
        (PHOTO, 70005, 1),
        (PHOTO, 70005, 2),
        (SWEEP, 70005, 2),
    ]
    assert rows[-1].told.low == 2
    assert rows[-1].covered
    assert all(row.told.high <= 2 for row in rows)


def test_only_what_photos_show_while_they_are_taken_is_exposed() -> None:
    clip = truth({10: [11, 31], 20: [21]})
    assert truly_exposed(clip, 0, 10) == {11, 21, 31}
    assert truly_exposed(clip, 5, 10) == {21}
    assert truly_exposed(clip, 0, 10, person=7) == set()


def test_figures_of_ranges() -> None:
    rows = [
        Judged(SWEEP, "a", 5, CountRange(2, 3, 6), 4),
        Judged(SWEEP, "b", 5, CountRange(2, 3, 4), 5),
        Judged(SWEEP, "c", 5, CountRange(3, 3, 3), 2),
    ]
    assert figures(rows) == {
        "n": 3, "covered": 0.333, "below": 1, "above": 1, "truth_mean": 3.67,
        "best_bias": -0.67, "best_error": 1.33, "width": 2.0,
    }  # fmt: skip
    assert figures([]) == {"n": 0}


def test_a_clip_whose_name_tells_no_seed_is_one_line(script: Script, tmp_path: Path) -> None:
    (tmp_path / "sweep_near.json").write_text("{}")
    done = script("evaluation/exposure.py", "--clips", tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {tmp_path / 'sweep_near.json'}: its name tells no seed")
