"""Tables of looks at people whose act is known: what of a scene goes in, and what a table keeps."""

from __future__ import annotations

import csv
import sys
from math import isnan
from pathlib import Path

import pytest
from simulation import looks
from simulation.noise import LOOKS, LOOKS_TO_CHOOSE, read_looks

from detector.values import Detections
from tests.models.scenes_on_disk import crowd, device, parcel, person, rendered_set, scene

PHOTOGRAPHER = person(1, [100, 40, 180, 300])
IDLE = person(2, [400, 40, 480, 300])


def rendered(folder: Path, *stems: str) -> Path:
    """Stills of somebody who photographs a parcel beside somebody who doesn't."""
    phone = device(5, [150, 120, 162, 136], 1, "photo", target=9, bbox_amodal=[150, 120, 162, 136])
    truth = scene(people=[PHOTOGRAPHER, IDLE], phones=[phone], parcels=[parcel(9, [150, 250, 220, 300])])
    return rendered_set(folder, dict.fromkeys(stems, truth))


def table(monkeypatch: pytest.MonkeyPatch, out: Path, *arguments: str | Path) -> list[dict[str, str]]:
    """Rows of the table that the command writes."""
    monkeypatch.setattr(sys, "argv", ["looks", "--out", str(out), *map(str, arguments)])
    looks.main()
    with out.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_everybody_of_held_out_scenes_has_a_row_with_what_they_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = rendered(tmp_path / "stills", "s10005_00", "s10006_00")
    rows = table(monkeypatch, tmp_path / "looks.csv", "--rendered", folder)
    assert [(row["run"], row["act"], float(row["device_px"])) for row in rows] == [
        ("s10005_00/1", "photo", 20.0),
        ("s10005_00/2", "none", 0.0),
    ]


def test_everybody_of_a_crowd_is_looked_at_closely(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = tmp_path / "stills"
    boxes = crowd(folder / "s10005_00.jpg")
    truth = scene(people=[person(k, box) for k, box in enumerate(boxes)])
    rendered_set(folder, {"s10005_00": truth}, with_pictures=False)
    rows = table(monkeypatch, tmp_path / "looks.csv", "--rendered", folder)
    assert len(rows) == 6
    assert all(float(row["found"]) > 0 and row["act_photo"] != "" for row in rows)


@pytest.mark.parametrize(
    ("phone", "use", "beside"),
    [
        pytest.param([440, 120, 452, 134], "photo", "1", id="photographing within the close look"),
        pytest.param([440, 120, 452, 134], "text", "0", id="reading there"),
        pytest.param([150, 120, 162, 136], "photo", "0", id="photographing elsewhere"),
    ],
)
def test_who_shares_their_close_look_with_a_photographer_is_marked(phone: list[int], use: str, beside: str) -> None:
    held = device(5, phone, 1, use, bbox_amodal=phone)
    truth = scene(people=[PHOTOGRAPHER, IDLE], phones=[held])
    marks = {row["run"]: str(row["beside"]) for row in looks.looks_in(Detections.empty(), truth, "s", 0.0)}
    assert marks == {"s/1": "0", "s/2": beside}


def test_who_holds_a_phone_and_uses_nothing_is_work_of_its_own() -> None:
    held = device(5, [440, 120, 452, 134], 2, None, bbox_amodal=[440, 120, 452, 134])
    truth = scene(people=[PHOTOGRAPHER, IDLE], phones=[held])
    photographs = frozenset({1})
    acts = {row["run"]: row["act"] for row in looks.looks_in(Detections.empty(), truth, "s", 0.0, photographs)}
    assert acts == {"s/1": "between", "s/2": "held"}


@pytest.mark.parametrize("kept", [LOOKS, LOOKS_TO_CHOOSE], ids=["held out", "choose"])
def test_of_nobody_in_the_tables_was_the_close_look_left_out(kept: Path) -> None:
    """As it was in crowds, of all but the four tallest; it may see nobody, but seldom."""
    found = [look for look in read_looks(kept) if look.found > 0]
    unseen = sum(isnan(look.acts[0]) for look in found)
    assert len(found) > 1000 and unseen < 0.01 * len(found)


def test_a_table_grows_by_new_scenes_and_sees_those_it_has_anew(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    before = tmp_path / "before.csv"
    table(monkeypatch, before, "--rendered", rendered(tmp_path / "old", "s10005_00", "s10010_00"))
    new = rendered(tmp_path / "new", "s10010_00", "s10015_00")
    rows = table(monkeypatch, tmp_path / "after.csv", "--rendered", new, "--also", before)
    assert [looks.scene_of(row) for row in rows[::2]] == ["s10005_00", "s10010_00", "s10015_00"]
    assert all(row["found"] != "" for row in rows) and len(rows) == 6
