"""Boxes of a manifest are gone over in Labelme, and what a person changed comes back."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from by_hand import lay_out, take
from manifest import SetError, Thing, read_manifest

from detector.machine.whole_files import alone_in
from tests.conftest import REPOSITORY
from tests.models.conftest import Script
from tests.models.scenes_on_disk import own_manifest

THINGS = (
    Thing("person", (10, 10, 60, 200), act="photo", hands=((20, 80),)),
    Thing("phone", (15.5, 20, 30, 30), not_use="photo"),
    Thing("parcel", (-4.26, 200, 300, 280), facing="up", doubtful=True),  # reaches out of the picture
)


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    return own_manifest(tmp_path, {"a": (), "b": (), "val1": ()}, *THINGS)


def changed(path: Path, **changes: Any) -> dict[str, Any]:
    """A Labelme file with other values, saved as Labelme does."""
    said = json.loads(path.read_text()) | changes
    path.write_text(json.dumps(said))
    return said


def test_what_is_not_changed_stays_as_it_was_to_the_byte(manifest: Path) -> None:
    before = manifest.read_bytes()
    assert lay_out(manifest, ["test", "val"]) == [manifest.parent]
    said = json.loads((manifest.parent / "a.json").read_text())
    assert said["imageData"] is None and (manifest.parent / "a.json").stat().st_mode & 0o777 == 0o600
    ticked = [[flag for flag, on in shape["flags"].items() if on] for shape in said["shapes"]]
    assert ticked == [["photo"], ["not photo"], ["up", "doubtful"]]
    assert take(manifest) == (3, 0)
    assert manifest.read_bytes() == before
    assert not list(manifest.parent.glob("*.json"))


def test_what_a_person_changed_is_what_the_manifest_says(manifest: Path) -> None:
    lay_out(manifest, ["test"])
    path = manifest.parent / "a.json"
    person, phone, _ = json.loads(path.read_text())["shapes"]
    phone |= {"points": [[40.04, 35], [14, -3]], "flags": {"call": True, "not photo": False}}
    new = {"label": "label", "points": [[1, 1], [9, 1], [9, 8], [1, 8]], "shape_type": "rectangle", "flags": {}}
    changed(path, shapes=[person, phone, new], flags={"person": True, "phone": True, "parcel": False})
    assert take(manifest) == (2, 1)
    one, other, left = read_manifest(manifest)
    assert one.known == ("person", "phone")
    assert one.things[0] == THINGS[0]  # with the hands, of which Labelme knows nothing
    assert one.things[1:] == (Thing("phone", (14, 0, 40, 35), use="call"), Thing("label", (1, 1, 9, 8)))
    assert json.loads(manifest.read_text().splitlines()[0])["objects"][1]["by"] == "person"
    assert other.things == left.things == THINGS and not other.known


def test_a_file_that_is_being_worked_on_is_not_written_over(manifest: Path) -> None:
    lay_out(manifest, ["test"])
    changed(manifest.parent / "a.json", shapes=[])
    lay_out(manifest, ["test"])
    assert json.loads((manifest.parent / "a.json").read_text())["shapes"] == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        pytest.param({"label": "box"}, "a box is called 'box'", id="another class"),
        pytest.param({"flags": {"photo": True, "call": True}}, "is said to be photo and call", id="two acts"),
        pytest.param({"flags": {"up": True}}, "can't be up", id="a flag of another label"),
        pytest.param({"points": [[-9, 3], [-2, 9]]}, "has no extent in the picture", id="outside"),
        pytest.param({"points": "x"}, "", id="no points"),
        pytest.param({"shape_type": "circle"}, "is a circle, not a rectangle", id="a shape whose points bound nothing"),
    ],
)
def test_what_can_not_be_is_named_and_leaves_all_as_it_was(manifest: Path, changes: dict[str, Any], said: str) -> None:
    before = manifest.read_bytes()
    lay_out(manifest, ["test", "val"])
    path = manifest.parent / "b.json"
    changed(path, shapes=[json.loads(path.read_text())["shapes"][0] | changes])
    with pytest.raises(SetError, match=rf"b\.json: .*{said}.*mend it in Labelme"):
        take(manifest)
    assert manifest.read_bytes() == before and path.exists()


def test_while_somebody_else_writes_there_nothing_is_laid_out_or_taken(manifest: Path) -> None:
    lay_out(manifest, ["test"])
    before = {path: path.read_bytes() for path in manifest.parent.iterdir()}
    with alone_in(manifest.parent):
        for work in (lambda: lay_out(manifest, ["val"]), lambda: take(manifest)):
            with pytest.raises(SetError, match="at work there"):
                work()
    assert {path: path.read_bytes() for path in manifest.parent.iterdir()} == before
    assert take(manifest) == (2, 0)


def test_a_file_that_is_none_of_labelmes_is_named_or_left_alone(manifest: Path) -> None:
    (manifest.parent / "a.json").write_text('{"people": []}')  # a rendered scene's truth
    with pytest.raises(SetError, match="no Labelme file beside its pictures"):
        take(manifest)
    (manifest.parent / "b.json").write_text("half a fi")
    with pytest.raises(SetError, match=r"b\.json: .*mend it in Labelme"):
        take(manifest)
    assert (manifest.parent / "a.json").exists()


def test_the_command_says_how_to_call_labelme(manifest: Path, script: Script) -> None:
    command = [sys.executable, REPOSITORY / "models" / "by_hand.py", manifest]
    done = subprocess.run([*map(str, command), "--split", "val"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith(
        f"labelme {manifest.parent} --labels person,phone,scanner,parcel,label --flags person,"
    )
    assert [path.name for path in manifest.parent.glob("*.json")] == ["val1.json"]
    done = script("by_hand.py", manifest, "--take")
    assert done.returncode == 0 and done.stdout == f"{manifest}: 0 of 1 pictures changed\n"
    done = script("by_hand.py", manifest, "--split", "train")
    assert done.returncode == 1 and done.stderr == f"error: {manifest}: no picture in split train\n"
