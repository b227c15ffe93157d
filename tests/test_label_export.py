"""A training set is made of judged incidents as the owner of a hub makes it: one command, a real store, real clips."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import yaml
from manifest import read_manifest

from detector.cli import main
from detector.geometry import as_array, iou
from detector.hub.access.audit import Audit
from detector.hub.desk.walk_tests import WalkTests
from detector.hub.footage.sides import Sides
from detector.hub.storage.store import Store
from detector.hub.storage.stored import Clip
from detector.machine.whole_files import alone_in
from detector.tools.label_export import actor_among, is_changed, joined
from detector.values import Box
from tests.builders import detections
from tests.conftest import REPOSITORY
from tests.hub.conftest import NOON, make_act, make_envelope, make_mp4, make_side, sqlite_url
from tests.inference.tiny_models import card_file, model_file, raw_output
from tests.sources.footage import make_turned

SWEEP = REPOSITORY / "configs" / "demo" / "sweep_near.mp4"
# Where the edge saw the actor and the phone, in shares of the picture of 320x180.
EDGE_SAW = [{"what": "person", "box": [0.4, 0.2, 0.6, 0.9]}, {"what": "phone", "box": [0.45, 0.4, 0.5, 0.45]}]
ACTOR = [128.0, 36.0, 192.0, 162.0]
# What the model finds in every picture, in its input of 640x384: two people far from the actor, a parcel.
MODEL_SAYS = [
    ("person", 60.0, 192.0, 80.0, 200.0, 0.9, {}),
    ("person", 580.0, 192.0, 80.0, 200.0, 0.9, {}),
    ("parcel", 480.0, 300.0, 60.0, 40.0, 0.8, {}),
]


class Hub:
    """A hub's folder: configuration, database and clips, filled by short words."""

    def __init__(self, folder: Path) -> None:
        self.config = folder / "hub.yaml"
        self.config.write_text(yaml.safe_dump({"data_dir": "data"}))
        self.data = folder / "data"
        self.data.mkdir()
        self.out = folder / "out"
        self.model = str(card_file(model_file(folder / "model" / "tiny.onnx", raw_output(MODEL_SAYS))))
        self.store = Store(sqlite_url(self.data / "hub.sqlite"))
        self._seq = 0

    def incident(
        self, name: str, clip: bytes | None, *, at: float = NOON, verdict: str | None = "true", note: str = "",
        saw: list[dict[str, Any]] | None = None, seconds: float = 16.0, **changes: Any,
    ) -> None:  # fmt: skip
        """Photographs from the 4th, 9th and 14th second on; what the edge saw is of 9.5 s."""
        self._seq += 1
        changes.setdefault("acts", [make_act(at + 4), make_act(at + 9), make_act(at + 14)])
        boxes = EDGE_SAW if saw is None else saw
        fields = make_envelope(
            self._seq, incident=name, started_at_unix=at, ended_at_unix=at + 9.5, boxes=boxes, **changes
        )
        self.store.add_alerts([fields], at)
        if clip is not None:
            digest = hashlib.sha256(clip).hexdigest()
            file = self.data / "clips" / f"{digest[:8]}.mp4"
            file.parent.mkdir(exist_ok=True)
            file.write_bytes(clip)
            self.store.add_clip(
                Clip(name, 0, "shanghai", "box1", "cam3", at, seconds, len(clip), digest, file.name, at)
            )  # fmt: skip
        if verdict:
            self.judge(name, verdict, note)

    def walk(self, clip: bytes) -> str:
        """A walk test that nothing was told of, filmed, with somebody and a phone in view all the while."""
        tests = WalkTests(self.store.database, Audit(self.store.database))
        film = tests.begin("shanghai", "box1", "cam3", "owner", NOON)
        tests.end("shanghai", "box1", "cam3", "owner", NOON + 16, 4)
        assert film is not None
        files = {"film.mp4": clip, "film.side.json.gz": make_side(film, seconds=16.0)}
        (self.data / "clips").mkdir(exist_ok=True)
        for add, (name, content) in zip(
            (self.store.add_clip, Sides(self.store.database).add), files.items(), strict=True
        ):
            (self.data / "clips" / name).write_bytes(content)
            digest = hashlib.sha256(content).hexdigest()
            add(Clip(film, 0, "shanghai", "box1", "cam3", NOON, 16.0, len(content), digest, name, NOON))
        return film

    def judge(self, name: str, verdict: str, note: str = "") -> None:
        self.store.verdicts.add(name, "guard", verdict, note, NOON)

    def run(self, *options: str) -> int:
        return main(["label-export", str(self.config), "--out", str(self.out), "--model", self.model, *options])

    @property
    def manifest(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.out / "manifest.jsonl").read_text("utf-8").splitlines()]

    @property
    def pictures(self) -> list[str]:
        return sorted(f"images/{path.name}" for path in (self.out / "images").iterdir())

    def contents(self) -> dict[str, bytes]:
        return {str(p.relative_to(self.out)): p.read_bytes() for p in sorted(self.out.rglob("*")) if p.is_file()}


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    hub = Hub(tmp_path)
    yield hub
    hub.store.close()


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Sixteen seconds in which a bar moves by 8 pixels a tenth of a second, from the left again every 300."""
    return make_mp4(tmp_path_factory.mktemp("clip") / "clip.mp4", seconds=16)


def people(record: dict[str, Any]) -> list[dict[str, Any]]:
    return [thing for thing in record["objects"] if thing["label"] == "person"]


def said(record: dict[str, Any]) -> list[tuple[str, dict[str, str]]]:
    """What is said of objects beyond where they are."""
    found = [(t["label"], {k: v for k, v in t.items() if k not in ("label", "box", "by")}) for t in record["objects"]]
    return [(label, words) for label, words in found if words]


def test_an_incident_becomes_pictures_that_the_recipes_read(hub: Hub, clip: bytes) -> None:
    hub.incident("inc-1", clip)
    assert hub.run() == 0
    pictures = list(read_manifest(hub.out / "manifest.jsonl"))
    assert [picture.path.is_file() for picture in pictures] == [True] * 3
    assert {(p.source, p.group, p.licence, p.known) for p in pictures} == {
        ("site:shanghai", "inc-1", "own footage", ())
    }  # fmt: skip
    assert len({picture.split for picture in pictures}) == 1
    acts = [(thing.label, thing.act, thing.use) for thing in pictures[1].things if thing.act or thing.use]
    assert acts == [("person", "photo", None), ("phone", None, "photo")]


def test_a_missed_walk_test_becomes_pictures_that_a_person_goes_over(
    hub: Hub, clip: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    film = hub.walk(clip)
    assert hub.run("--per-incident", "6") == 0
    assert {(one["source"], one["group"], tuple(one["known"])) for one in hub.manifest} == {("site:shanghai", film, ())}
    assert len(hub.manifest) == len(hub.pictures) == 6 and all(people(one) for one in hub.manifest)
    assert not any(said(one) for one in hub.manifest)
    assert "1 walk test)" in capsys.readouterr().out


def test_a_film_that_cannot_be_read_is_told_as_a_walk_tests(
    hub: Hub, clip: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    hub.incident("inc-1", clip)
    film = hub.walk(clip)
    (hub.data / "clips" / "film.mp4").unlink()
    assert hub.run() == 1
    assert f"labelwatch: not used: walk test {film}: " in capsys.readouterr().err


def test_pictures_show_the_moments_they_are_named_for(hub: Hub, clip: bytes) -> None:
    hub.incident("inc-1", clip)
    hub.run()
    assert [name[7:31] for name in hub.pictures] == [
        "20261101T040004.750Z_cam", "20261101T040009.500Z_cam", "20261101T040014.750Z_cam",
    ]  # fmt: skip
    for name, n in zip(hub.pictures, (48, 95, 148), strict=True):  # the nearest of ten frames a second
        image = cv2.imread(str(hub.out / name), cv2.IMREAD_GRAYSCALE)
        assert image is not None and image.shape == (180, 320)
        bar = np.flatnonzero(image.mean(0) > 140)
        assert abs(bar.mean() - (8 * n % 300 + 9.5)) < 3, (name, bar)


def test_the_edges_boxes_are_used_where_it_sent_them_and_the_models_beside(hub: Hub, clip: bytes) -> None:
    hub.incident("inc-1", clip)
    hub.run()
    before, seen, _ = hub.manifest
    assert {thing["by"] for record in hub.manifest for thing in record["objects"]} == {"model"}
    assert people(seen)[0] == {"label": "person", "box": ACTOR, "by": "model", "act": "photo"}
    assert [thing["label"] for thing in seen["objects"]] == ["person", "phone", "person", "person", "parcel"]
    assert [thing["label"] for thing in before["objects"]] == ["person", "person", "parcel"]


def test_where_several_may_have_acted_nobody_is_said_to(hub: Hub, clip: bytes, capsys: Any) -> None:
    hub.incident("inc-1", clip)
    hub.run()
    assert [bool(said(record)) for record in hub.manifest] == [False, True, False]
    assert "pictures in which it can't be told who acted: 2\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("verdict", "note", "expected"),
    [
        ("authorised", "", [("person", {"act": "photo"}), ("phone", {"use": "photo"})]),
        ("false", "", [("person", {"not_act": "photo"}), ("phone", {"not_use": "photo"})]),
        ("false", "看手机", [("person", {"act": "browse"}), ("phone", {"use": "browse"})]),
        ("false", "scan", [("person", {"act": "scan"}), ("phone", {"not_use": "photo"})]),
        ("false", "none", [("person", {"act": "none"}), ("phone", {"not_use": "photo"})]),
    ],
)
def test_a_verdict_becomes_what_is_said_of_actor_and_phone(
    verdict: str, note: str, expected: Any, hub: Hub, clip: bytes
) -> None:
    hub.incident("inc-1", clip, verdict=verdict, note=note)
    assert hub.run() == 0
    assert said(hub.manifest[1]) == expected


def test_other_people_are_never_said_to_act(hub: Hub, clip: bytes) -> None:
    hub.incident("inc-1", clip)
    hub.run()
    assert [person.get("act") for person in people(hub.manifest[1])] == ["photo", None, None]


def test_everything_is_for_its_owner_alone(hub: Hub, clip: bytes, capsys: Any) -> None:
    former = os.umask(0)
    try:
        hub.incident("inc-1", clip)
        hub.run()
    finally:
        os.umask(former)
    modes = {path: path.stat().st_mode & 0o777 for path in [hub.out, *hub.out.rglob("*")]}
    assert {modes[path] for path in modes if path.is_dir()} == {0o700}
    assert {modes[path] for path in modes if path.is_file()} == {0o600}
    assert "shows labels in full" in capsys.readouterr().out


def test_the_audit_log_says_who_took_pictures_where_and_of_how_many(hub: Hub, clip: bytes) -> None:
    hub.incident("inc-1", clip, verdict=None)
    hub.run()  # takes none
    hub.judge("inc-1", "true")
    hub.run()
    (entry,) = Audit(hub.store.database).entries()
    assert (entry.action, entry.subject, entry.details) == ("training_set_exported", str(hub.out), {"n": 1})
    assert entry.user.startswith("console:")


def test_running_again_changes_nothing(hub: Hub, clip: bytes) -> None:
    hub.incident("inc-1", clip)
    hub.run()
    before = hub.contents()
    assert hub.run() == 0
    assert hub.contents() == before


def test_a_line_that_a_person_changed_is_kept_even_without_its_incident(hub: Hub, clip: bytes, capsys: Any) -> None:
    hub.incident("inc-1", clip)
    hub.incident("inc-2", clip, at=NOON + 600)
    hub.run()
    lines = hub.manifest
    lines[0]["known"] = ["person"]
    lines[1]["objects"] = lines[1]["objects"][:-1]
    (hub.out / "manifest.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    picture = hub.out / lines[0]["picture"]
    picture.write_bytes(b"blurred by hand")
    hub.judge("inc-1", "unclear")
    assert hub.run() == 0
    assert hub.manifest == [*lines[:2], *lines[3:]]  # the third, unchanged, went with its verdict
    assert picture.read_bytes() == b"blurred by hand"
    assert hub.pictures == [line["picture"] for line in hub.manifest]
    assert "changed by hand, kept as they are: 2\n" in capsys.readouterr().out


def test_what_somebody_goes_over_is_kept_until_it_was_taken_even_without_its_incident(
    hub: Hub, clip: bytes, capsys: Any
) -> None:
    hub.incident("inc-1", clip)
    hub.incident("inc-2", clip, at=NOON + 600)
    hub.run()
    lines = hub.manifest
    told = next(line for line in lines if line["group"] == "inc-2" and any("act" in t for t in line["objects"]))
    over, renewed = (hub.out / line["picture"] for line in (lines[0], told))
    for path in (over, renewed):
        path.with_suffix(".json").write_text("{}")  # of Labelme
    kept = over.read_bytes()
    hub.judge("inc-1", "unclear")
    hub.judge("inc-2", "false", "scanning")
    capsys.readouterr()
    assert hub.run() == 0
    assert hub.manifest[0] == lines[0] and told in hub.manifest
    assert len(hub.manifest) == 1 + len(lines) // 2 and over.read_bytes() == kept
    assert "pictures with a Labelme file beside them, kept as they are: 2" in capsys.readouterr().out
    for path in (over, renewed):
        path.with_suffix(".json").unlink()
    assert hub.run() == 0
    assert not over.exists() and told not in hub.manifest


def test_two_exports_into_one_folder_do_not_meet(hub: Hub, clip: bytes, capsys: Any) -> None:
    hub.incident("inc-1", clip)
    hub.run()
    before = hub.contents()
    hub.incident("inc-2", clip, at=NOON + 600)
    with alone_in(hub.out):
        assert hub.run() == 1
    assert "is at work there" in capsys.readouterr().err and hub.contents() == before
    assert hub.run() == 0 and hub.contents() != before


def test_a_line_is_changed_when_anything_in_it_was(hub: Hub, clip: bytes) -> None:
    hub.incident("inc-1", clip)
    hub.run()
    line = hub.manifest[1]
    assert not is_changed(line)
    assert is_changed(line | {"known": ["person"]})
    assert is_changed(line | {"objects": []})
    assert is_changed({key: value for key, value in line.items() if key != "proposal"})


def test_the_summary_tells_what_was_left_out(hub: Hub, clip: bytes, capsys: Any) -> None:
    hub.incident("inc-1", clip)
    hub.incident("inc-2", clip, verdict=None)
    hub.incident("inc-3", None)
    assert hub.run() == 0
    output = capsys.readouterr()
    told = output.out.splitlines()
    assert "incidents used: 1 (1 true)" in told
    assert {"left out: 1 not judged", "left out: 1 without a clip at the hub"} <= set(told)
    assert output.err.endswith("1 of 1 incidents\n")
    assert hub.run("--json") == 0
    summary = json.loads(capsys.readouterr().out)
    assert (summary["incidents"], summary["told"], sum(summary["pictures"].values())) == ({"true": 1}, 1, 3)


def test_a_clip_that_was_tampered_with_is_not_used_and_the_rest_is(hub: Hub, clip: bytes, capsys: Any) -> None:
    hub.incident("inc-1", clip)
    hub.incident("inc-2", clip + b"x", at=NOON + 60)
    hub.incident("inc-3", clip + b"y", at=NOON + 120)
    changed = hub.data / "clips" / hub.store.clips("inc-2")[0].file
    changed.write_bytes(clip + b"z")
    (hub.data / "clips" / hub.store.clips("inc-3")[0].file).unlink()
    assert hub.run() == 1
    output = capsys.readouterr()
    assert f"inc-2: {changed}: is not the clip that its edge signed" in output.err
    assert "inc-3: " in output.err and "the clip is missing" in output.err
    assert "left out: 2 with a clip that can't be used" in output.out
    assert {line["group"] for line in hub.manifest} == {"inc-1"}


def test_a_clip_that_ends_early_gives_what_it_holds(hub: Hub, clip: bytes, tmp_path: Path, capsys: Any) -> None:
    short = make_mp4(tmp_path / "short.mp4", seconds=6)
    hub.incident("inc-1", short)  # its edge said sixteen seconds
    assert hub.run() == 1
    assert len(hub.manifest) == 1
    assert "breaks off at 6.0 s, 2 pictures short" in capsys.readouterr().err


def test_a_clip_whose_pictures_can_not_be_shown_is_told_and_the_rest_is_used(
    hub: Hub, clip: bytes, tmp_path: Path, capsys: Any
) -> None:
    (tmp_path / "clip.mp4").write_bytes(clip)
    leaning = make_turned(tmp_path / "leaning.mp4", -45, tmp_path / "clip.mp4").read_bytes()
    hub.incident("inc-1", leaning)
    hub.incident("inc-2", clip, at=NOON + 600)
    assert hub.run() == 1
    assert "inc-1: " in (err := capsys.readouterr().err) and "turned by 45" in err
    assert {line["group"] for line in hub.manifest} == {"inc-2"}


def test_a_clip_that_is_no_video_is_told_and_leaves_nothing(hub: Hub, capsys: Any) -> None:
    hub.incident("inc-1", b"\0\0\0\x18ftypisom and no more")
    assert hub.run() == 1
    told = capsys.readouterr().err
    assert "no incident to learn from" in told and "moov" in told
    assert not (hub.out / "manifest.jsonl").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        pytest.param([], "1 not judged (judge incidents on the hub's pages first)", id="nothing judged"),
        pytest.param(["--until", "2026-11-01"], "none of these sites and times", id="none so early"),
    ],
)
def test_nothing_to_learn_from_is_one_line(options: list[str], words: str, hub: Hub, clip: bytes, capsys: Any) -> None:
    hub.incident("inc-1", clip, verdict=None)
    assert hub.run(*options) == 1
    told = capsys.readouterr().err
    assert words in told and told.count("\n") == 1
    assert not hub.out.exists()


def test_a_site_that_the_hub_was_never_told_of_is_no_site(hub: Hub, clip: bytes, capsys: Any) -> None:
    hub.incident("inc-1", clip)
    assert hub.run("--site", "shanghai", "--site", "shangai") == 2
    assert "never told of shangai (did you mean shanghai?)" in capsys.readouterr().err
    assert not hub.out.exists()


def test_a_hub_that_never_ran_is_told_and_none_is_made(tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "hub.yaml").write_text("data_dir: nowhere\n")
    assert main(["label-export", str(tmp_path / "hub.yaml"), "--out", str(tmp_path / "out")]) == 1
    assert "no hub has kept its database" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["hub.yaml"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--verdict", "true,unclear"], "unclear to people teaches nothing"),
        (["--verdict", "sure"], "no such verdict: 'sure'"),
        (["--per-incident", "0"], "1 or more"),
    ],
)
def test_wrong_options_are_usage_errors(options: list[str], words: str, hub: Hub, capsys: Any) -> None:
    with pytest.raises(SystemExit) as left:
        hub.run(*options)
    assert left.value.code == 2
    assert words in capsys.readouterr().err


def test_no_time_is_a_usage_error(hub: Hub, capsys: Any) -> None:
    assert hub.run("--since", "yesterday") == 2
    assert "--since: not a time: yesterday" in capsys.readouterr().err


def test_times_without_a_zone_are_by_the_hub_s_clock(hub: Hub, clip: bytes) -> None:
    hub.incident("inc-1", clip)
    assert hub.run("--since", "2026-11-01T12:01") == 1
    assert hub.run("--since", "2026-11-01T11:59", "--until", "2026-11-01T12:01") == 0


def test_a_folder_with_other_things_is_refused_unless_forced(hub: Hub, clip: bytes, capsys: Any) -> None:
    hub.incident("inc-1", clip)
    hub.out.mkdir()
    (hub.out / "thesis.doc").write_text("mine")
    assert hub.run() == 1
    assert "holds other things (name a new folder, or --force" in capsys.readouterr().err
    assert hub.run("--force") == 0
    assert (hub.out / "thesis.doc").read_text() == "mine"
    assert len(hub.manifest) == 3


OURS = {"picture": "images/20261101T040004.750Z_cam3_01234567.jpg", "split": "train", "known": [], "objects": []}


@pytest.mark.parametrize(
    "line",
    [
        "not json",
        "[]",
        json.dumps(OURS | {"picture": "../../etc/passwd"}),
        json.dumps(OURS | {"objects": None}),
        json.dumps(OURS | {"objects": [["person", 1, 2, 3, 4]]}),
        json.dumps(OURS | {"split": ["train"]}),
    ],
)
def test_a_manifest_of_others_is_left_alone(line: str, hub: Hub, clip: bytes, capsys: Any) -> None:
    hub.incident("inc-1", clip)
    hub.out.mkdir()
    (hub.out / "manifest.jsonl").write_text(line + "\n")
    assert hub.run("--force") == 1
    assert "manifest.jsonl, line 1: is no line of an export" in capsys.readouterr().err
    assert (hub.out / "manifest.jsonl").read_text() == line + "\n"


def export_apart(hub: Hub, after_an_incident: str) -> subprocess.CompletedProcess[str]:
    """An export in a process of its own, in which something happens once an incident is done."""
    code = f"""
import os, resource, signal
from pathlib import Path
from detector.config import load_hub
from detector.hub.footage.training_set import Wanted
from detector.tools.label_export import export
export(load_hub(Path({str(hub.config)!r})), Path({str(hub.out)!r}), wanted=Wanted(), model={hub.model!r},
       progress=lambda done, of: {after_an_incident})
"""
    return subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=False)


# No file may grow beyond a kilobyte: as far as that process is concerned, the disk is full.
DISK_FULL = "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))"


def test_a_disk_that_fills_up_leaves_no_half_a_set(hub: Hub, clip: bytes) -> None:
    hub.incident("inc-1", clip)
    hub.incident("inc-2", clip, at=NOON + 60)
    done = export_apart(hub, DISK_FULL)
    assert done.returncode == 1
    assert re.search(r"LabelwatchError: .*can't be written: .*; no manifest was written", done.stderr)
    assert hub.contents() == {}


def test_a_disk_that_fills_up_leaves_the_earlier_set_whole(hub: Hub, clip: bytes) -> None:
    hub.incident("inc-1", clip)
    hub.run()
    before = hub.contents()
    hub.incident("inc-2", clip, at=NOON + 60)
    assert "the earlier export is as it was" in export_apart(hub, DISK_FULL).stderr
    assert hub.contents() == before


def test_an_export_that_was_killed_is_simply_run_again(hub: Hub, clip: bytes) -> None:
    hub.incident("inc-1", clip)
    hub.incident("inc-2", clip, at=NOON + 60)
    done = export_apart(hub, "os.kill(os.getpid(), signal.SIGKILL)")
    assert done.returncode == -9 and not (hub.out / "manifest.jsonl").exists() and len(hub.pictures) == 3
    hub.judge("inc-1", "unclear")
    assert hub.run() == 0
    assert hub.pictures == [line["picture"] for line in hub.manifest] and len(hub.pictures) == 3


def test_names_from_an_edge_become_no_paths(hub: Hub, clip: bytes) -> None:
    hub.incident("../../../etc/inc", clip)
    assert hub.run() == 0
    assert hub.pictures == [line["picture"] for line in hub.manifest]
    assert {line["group"] for line in hub.manifest} == {"../../../etc/inc"}


FAR: Box = (200.0, 50.0, 230.0, 150.0)
NEAR: Box = (100.0, 50.0, 130.0, 150.0)
PHONE: Box = (110.0, 90.0, 114.0, 94.0)


@pytest.mark.parametrize(
    ("things", "where", "expected"),
    [
        pytest.param([("person", FAR), ("person", NEAR)], NEAR, 1, id="where the edge saw the actor"),
        pytest.param([("person", FAR), ("phone", PHONE)], NEAR, None, id="nobody is where the edge saw the actor"),
        pytest.param([("person", NEAR)], None, 0, id="the only person"),
        pytest.param([("person", FAR), ("person", NEAR)], None, None, id="one of two"),
        pytest.param([("person", FAR), ("person", NEAR), ("phone", PHONE)], None, 1, id="the only one with a phone"),
        pytest.param([("person", FAR), ("person", NEAR), ("scanner", PHONE)], None, None, id="a scanner is no phone"),
        pytest.param(
            [("person", FAR), ("person", NEAR), ("phone", PHONE), ("phone", (210.0, 90.0, 214.0, 94.0))],
            None, None, id="each with a phone",
        ),
        pytest.param([], None, None, id="nobody"),
    ],
)  # fmt: skip
def test_the_actor_is_named_only_where_one_person_can_be_meant(
    things: list[tuple[str, Box]], where: Box | None, expected: int | None
) -> None:
    assert actor_among(things, where) == expected


def test_one_thing_seen_by_edge_and_model_is_one_object() -> None:
    found = detections([("person", (101.0, 51.0, 131.0, 151.0), 0.9), ("scanner", PHONE, 0.6), ("parcel", NEAR, 0.5)])
    assert joined([("person", NEAR), ("phone", PHONE)], found) == [
        ("person", NEAR), ("phone", PHONE), ("parcel", NEAR),
    ]  # fmt: skip


# Where the renderer put the man with the phone, who stands still while he photographs.
PHOTOGRAPHER: list[Box] = [(320.0, 184.0, 456.0, 488.0), (494.0, 177.0, 588.0, 451.0), (606.0, 251.0, 710.0, 380.0)]


def test_on_the_shipped_clip_the_photographer_is_told_from_the_passer_by(hub: Hub) -> None:
    acts = [make_act(NOON + start, length_s=length) for start, length in ((2.36, 2.4), (5.56, 2.4), (8.84, 2.8))]
    hub.incident("inc-1", SWEEP.read_bytes(), seconds=20.0, saw=[], acts=acts)
    assert main(["label-export", str(hub.config), "--out", str(hub.out), "--per-incident", "3"]) == 0
    pictures = list(zip(PHOTOGRAPHER, hub.manifest, strict=True))
    crowded = [people(record) for _, record in pictures if len(people(record)) >= 2]
    assert len(crowded) >= 2, "there is somebody to tell him from"
    marked = [(truth, p["box"]) for truth, record in pictures for p in people(record) if p.get("act") == "photo"]
    assert len(marked) >= 2
    assert min(float(iou(as_array([truth]), as_array([box]))[0, 0]) for truth, box in marked) > 0.6
