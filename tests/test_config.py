"""Configurations: every problem is found at once and said with file, key, reason and hint; exit code 2."""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from pydantic import BaseModel

from detector.cli import main
from detector.config import Camera, EdgeConfig, HubConfig, check_edge, check_file, load_edge, load_hub, secret
from detector.errors import ConfigError
from detector.machine.resources import resource
from detector.machine.whole_files import sha256_of
from detector.values import ACT_TRAITS, TRAITS
from tests.conftest import REPOSITORY, let_others_come
from tests.inference.tiny_models import card_file, model_file, raw_output

PASSWORD = "hunter2"

EDGE: dict[str, Any] = {
    "site": "bulk",
    "edge": "edge1",
    "cameras": [
        {
            "name": "cam1",
            "source": "rtsp://10.0.0.2/1",
            "zones": [{"name": "floor", "kind": "storage", "polygon": [[0, 0], [1, 0], [1, 1]]}],
        },
        {"name": "cam2", "source": "rtsp://10.0.0.3/1"},
    ],
}


def changed(**changes: Any) -> str:
    """The configuration with values put at dotted paths: `cameras__0__name="x"`."""
    tree = json.loads(json.dumps(EDGE))
    for path, value in changes.items():
        *way, last = (int(part) if part.isdigit() else part for part in path.split("__"))
        place = tree
        for part in way:
            place = place.setdefault(part, {}) if isinstance(place, dict) else place[part]
        place[last] = value
    return yaml.safe_dump(tree)


def checked(path: Path, capsys: pytest.CaptureFixture[str]) -> list[dict[str, str]]:
    """Problems that `labelwatch check --json` tells."""
    code = main(["check", str(path), "--json"])
    problems: list[dict[str, str]] = json.loads(capsys.readouterr().out)
    assert code == (2 if problems else 0)
    return problems


ZONE = "cameras__0__zones__0"
BAD_EDGES = [
    pytest.param("site: a\n\tedge: b\n", "line 2, column 1", "\\t", "no tabs", id="tab"),
    pytest.param("site: [a\nedge: b\n", "line 2", "", "indentation", id="unclosed"),
    pytest.param("site: a\nsite: b\n", "line 2", "site is given twice", "leave one", id="key twice"),
    pytest.param(
        changed() + "broker:\n  port: 1\n  port: 2\n", "line", "port is given twice", "", id="key twice further in"
    ),
    pytest.param("site: a\nedge: 2026-13-45\n", "line 2, column 7", "no date: month", "quotes", id="impossible date"),
    pytest.param("site: a\nedge: b\x07\n", "line 2", "control character, U+0007", "take it out", id="a bell"),
    pytest.param(
        "site: a\ndata_dir: \"C:\\cctv\"\n", "line 2", "escape character", "single quotes", id="backslash"
    ),
    pytest.param("edge: b\nsite：a\nbroker: {}\n", "line 2", "full-width colon", ": and a space", id="wide colon"),
    pytest.param("site: a\nedge: *box\n", "line 2, column 7", "undefined alias", "quotes", id="a star"),
    pytest.param(
        changed(incidents__least_score={"photography": 0.5}), "incidents.least_score.photography",
        "label_photography", "one of the values", id="a kind there isn't",
    ),
    pytest.param("", "", "must be a mapping", "site.yaml", id="empty"),
    pytest.param("# nothing\n", "", "must be a mapping", "site.yaml", id="comment only"),
    pytest.param("- a\n- b\n", "", "must be a mapping", "site.yaml", id="list"),
    pytest.param("just words", "", "must be a mapping", "site.yaml", id="words"),
    pytest.param(changed(frobnicate=1), "frobnicate", "unknown key", "here may stand: site", id="unknown key"),
    pytest.param(changed(rules__photo__lest_s=1), "rules.photo.lest_s", "unknown key", "mean least_s?", id="in a rule"),
    pytest.param(changed(**{f"{ZONE}__hue": 1}), "cameras[0].zones[0].hue", "unknown key", "", id="in a zone"),
    pytest.param(
        changed(**{f"{ZONE}__label_up_rat": 0.2}),
        "cameras[0].zones[0].label_up_rat", "unknown key", "mean label_up_rate?", id="a slip",
    ),
    pytest.param(changed(brokers={}), "brokers", "unknown key", "mean broker?", id="a section's name"),
    pytest.param(
        changed(cameras__1__password=PASSWORD), "cameras[1].password", "unknown key", "password_", id="password"
    ),
    pytest.param("edge: e\ncameras:\n- {name: c, source: s.mp4}\n", "site", "required", "add it", id="no site"),
    pytest.param(changed(cameras=[]), "cameras", "at least 1", "one entry", id="no camera"),
    pytest.param(changed(cameras="cam1"), "cameras", "list", "", id="text for a list"),
    pytest.param(changed(cameras__0=7), "cameras[0]", "must be a mapping", "braces", id="number for a camera"),
    pytest.param(changed(broker="10.0.0.2"), "broker", "must be a mapping", "braces", id="text for a section"),
    pytest.param(changed(incidents__least_score=1), "incidents.least_score", "must be a mapping", "", id="for names"),
    pytest.param(changed(data_dir=["d"]), "data_dir", "must be a path", "", id="list for a path"),
    pytest.param(changed(analysis__fps="fast"), "analysis.fps", "number", "", id="text for a number"),
    pytest.param(changed(analysis__fps=0), "analysis.fps", "greater than 0", "", id="no pictures a second"),
    pytest.param(changed(analysis__frame_side=650), "analysis.frame_side", "multiple of 32", "", id="odd side"),
    pytest.param(changed(broker__port=70000), "broker.port", "65535", "--schema", id="port"),
    pytest.param(changed(analysis__fps=True), "analysis.fps", "number is asked for", "yes, no", id="yes for a rate"),
    pytest.param(changed(cameras__0__turned=False), "cameras[0].turned", "is yes or no", "", id="no for nought"),
    pytest.param(changed(rules__sweep__least_acts=1), "rules.sweep.least_acts", "2", "", id="one act is no sweep"),
    pytest.param(changed(site="bulk area"), "site", "pattern", "letters, digits", id="name with a space"),
    pytest.param(changed(cameras__0__name=""), "cameras[0].name", "pattern", "letters, digits", id="no name"),
    pytest.param(changed(cameras__1__name="cam1"), "cameras[1].name", "cam1 is given twice", "own name", id="twice"),
    pytest.param(changed(cameras__0__name=3), "cameras[0].name", "must be text", 'quotes, e.g. "3"', id="a number"),
    pytest.param(changed(hub__url="10.0.0.2:8080"), "hub.url", "must begin with http://", "", id="hub without http"),
    pytest.param(changed(hub__url="http://10.0.0.2:8080."), "hub.url", "its port must be", "browser", id="hub's port"),
    pytest.param(changed(hub__url="http://10.0.0.300:8080"), "hub.url", "no address", "browser", id="hub at 300"),
    pytest.param(changed(hub__url="http://hub；8080"), "hub.url", "address or name", "browser", id="hub, semicolon"),
    pytest.param(changed(timezone="Asia/Peking"), "timezone", "no such time zone: Asia/Peking", "", id="time zone"),
    pytest.param(
        changed(**{f"{ZONE}__polygon": [[0, 0], [1, 1]]}),
        "cameras[0].zones[0].polygon", "at least 3", "three points", id="two points",
    ),
    pytest.param(
        changed(**{f"{ZONE}__polygon": [[0, 0], [1, 1], [0.5, 0.5]]}),
        "cameras[0].zones[0].polygon", "no area", "in order", id="all on a line",
    ),
    pytest.param(
        changed(**{f"{ZONE}__polygon": [[0, 0], [1, 1], [1, 0], [0, 1]]}),
        "cameras[0].zones[0].polygon", "edges cross", "", id="a bow tie",
    ),
    pytest.param(
        changed(**{f"{ZONE}__polygon": [[0, 0], [640, 0], [1, 1]]}),
        "cameras[0].zones[0].polygon[1][0]", "less than or equal to 1", "shares", id="pixels",
    ),
    pytest.param(
        changed(**{f"{ZONE}__polygon": [[0, 0], "1, 0", [1, 1]]}),
        "cameras[0].zones[0].polygon[1]", "must be a corner", "[0.05, 0.35]", id="no brackets",
    ),
    pytest.param(
        changed(**{f"{ZONE}__polygon": [[0, 0], [1, 0, 1], [1, 1]]}),
        "cameras[0].zones[0].polygon[1]", "more than two numbers", "[0.05, 0.35]", id="three numbers",
    ),
    pytest.param(
        changed(**{f"{ZONE}__polygon": [[0, 0], [1], [1, 1]]}),
        "cameras[0].zones[0].polygon[1][1]", "required", "[0.05, 0.35]", id="one number",
    ),
    pytest.param(
        changed(**{f"{ZONE}__kind": "storeroom"}), "cameras[0].zones[0].kind", "'storage'", "one of", id="zone kind"
    ),
    pytest.param(changed(cameras__0__source="gone.mp4"), "cameras[0].source", "no such file", "path", id="no file"),
    pytest.param(
        changed(cameras__0__password_env="NO_SUCH_VARIABLE_HERE"),
        "cameras[0].password_env", "NO_SUCH_VARIABLE_HERE is not set", "export", id="no variable",
    ),
    pytest.param(
        changed(cameras__0__password_file="gone"), "cameras[0].password_file", "no such file", "path", id="no secret"
    ),
    pytest.param(
        changed(cameras__0__password_file=""), "cameras[0].password_file", "no such file", "path", id="empty secret"
    ),
    pytest.param(changed(broker__key_file="."), "broker.key_file", "no such file", "path", id="a folder for a key"),
    pytest.param(changed(hub__ca_file="."), "hub.ca_file", "no such file", "ca.crt", id="a folder for an authority"),
    pytest.param(changed(cameras__0__source=""), "cameras[0].source", "at least 1", "", id="no source"),
    pytest.param(changed(analysis__model="gone.yaml"), "analysis.model", "no such file", "path", id="no model card"),
    pytest.param(changed(analysis__model="gone"), "analysis.model", "no model gone", "model add", id="no model"),
    pytest.param(changed(buffers__reserve_gb=float("inf")), "buffers.reserve_gb", "finite", "", id="no end"),
    pytest.param(changed(broker__host=""), "broker.host", "pattern", "10.0.0.2", id="no broker"),
    pytest.param(changed(broker__host="mqtt://10.0.0.2"), "broker.host", "pattern", "10.0.0.2", id="broker's URL"),
    pytest.param(changed(broker__host="10.0.0.2:1883"), "broker.host", "a port", "10.0.0.2", id="broker and port"),
    pytest.param(changed(broker__host="10.0.0.2."), "broker.host", "no address", "10.0.0.2", id="full stop"),
    pytest.param(
        changed(calendar__shifts=[{"name": "day", "begins": "8:00", "ends": "20:00"}]),
        "calendar.shifts[0].begins", "pattern", 'in quotes, e.g. "08:00"', id="time of day with one digit",
    ),
    pytest.param(
        changed() + "calendar: {shifts: [{name: day, begins: '08:00', ends: 20:00}]}\n",  # YAML takes it for 1200
        "calendar.shifts[0].ends", "must be text", 'in quotes, e.g. "08:00"', id="time of day without quotes",
    ),
    pytest.param(
        changed(**{f"{ZONE}__policy": {"exemptions": [{"reason": "r", "phones": "allowed", "shifts": "day"}]}}),
        "cameras[0].zones[0].policy.exemptions[0].shifts", "list", "[a, b]", id="a shift alone",
    ),
    pytest.param(
        changed(**{f"{ZONE}__policy": {"exemptions": [{"reason": "r", "phones": "allowed", "until": "Friday"}]}}),
        "cameras[0].zones[0].policy.exemptions[0].until", "is no day", "2027-06-30", id="a day by its name",
    ),
    pytest.param(
        changed(calendar__closed=["2027/02/17"]), "calendar.closed[0]", "is no day", "2027-06-30", id="a day by strokes"
    ),
    pytest.param(changed(data_dir="a\0b"), "line", "NUL", "", id="a path that can't be one"),
    pytest.param(changed(broker__ca_file="gone.pem"), "broker.ca_file", "no such file", "path", id="no certificate"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "key", "reason", "hint"), BAD_EDGES)
def test_a_problem_is_said_with_file_key_reason_and_hint(
    text: str, key: str, reason: str, hint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "edge.yaml"
    path.write_text(text, encoding="utf-8")
    problems = checked(path, capsys)
    assert len(problems) == 1
    told = problems[0]
    assert told["file"] == str(path)
    assert told["key"] == key or (key.startswith("line") and told["key"].startswith(key))
    assert reason in told["reason"]
    assert hint in told["hint"]
    assert told["hint"]
    assert ("corners" in told["hint"]) == ("polygon[" in key)
    assert PASSWORD not in json.dumps(problems)


def test_a_camera_may_be_written_as_another_but_for_some_keys(tmp_path: Path) -> None:
    path = tmp_path / "edge.yaml"
    path.write_text(
        "site: a\nedge: b\ncameras:\n- &north {name: north, source: rtsp://h/1, title: N, aspect: 4:3}\n"
        "- {<<: *north, name: south, source: rtsp://h/2}\n"
    )
    cameras = load_edge(path).cameras
    assert [(c.name, c.source, c.aspect) for c in cameras] == [
        ("north", "rtsp://h/1", "4:3"), ("south", "rtsp://h/2", "4:3"),
    ]  # fmt: skip


def test_every_problem_is_told_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "edge.yaml"
    path.write_text(
        changed(
            site="",
            frobnicate=1,
            timezone="Mars",
            cameras__1__name="cam1",
            cameras__0__zones__0__polygon=[[0, 0], [1, 1]],
            rules__photo__least_s=-1,
        )
    )
    assert main(["check", str(path)]) == 2
    lines = capsys.readouterr().out.splitlines()
    assert all(line.startswith(f"{path}: ") and line.endswith(")") for line in lines)
    assert [line.removeprefix(f"{path}: ").split(":")[0] for line in lines] == [
        "site", "timezone", "cameras[0].zones[0].polygon", "rules.photo.least_s", "frobnicate", "cameras[1].name",
    ]  # fmt: skip


def test_missing_files_and_secrets_are_told_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "edge.yaml"
    path.write_text(changed(cameras__0__source="gone.mp4", cameras__1__password_file="gone", broker__key_file="gone"))
    assert [p["key"] for p in checked(path, capsys)] == [
        "cameras[0].source", "cameras[1].password_file", "broker.key_file",
    ]  # fmt: skip


@contextmanager
def nobody(home: Path) -> Iterator[None]:
    """Without root's rights to read and write everything; `home` can be come to all the same."""
    if os.geteuid():
        yield
        return
    let_others_come(home.parent)
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.parametrize("folder", ["D:\\cctv\\data", "D:/cctv/data", "d:", "\\\\nas\\data"])
def test_a_data_folder_of_windows_is_told_for_that(
    folder: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "edge.yaml"
    path.write_text(changed(data_dir=folder, cameras__0__password_file=None))
    (problem,) = checked(path, capsys)
    assert problem["key"] == "data_dir" and "is a path of Windows" in problem["reason"]
    (tmp_path / folder).mkdir(parents=True)  # somebody wants it so
    assert checked(path, capsys) == []


def test_what_this_user_may_not_read_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home = tmp_path / "home"
    path, secrets, data = home / "edge.yaml", home / "secrets", home / "data"
    broker = {name: str(secrets / name) for name in ("ca_file", "cert_file", "key_file")}
    for folder in (home, secrets, data):
        folder.mkdir()
    for file in (home / "camera", *map(Path, broker.values())):
        file.write_text("secret")
    path.write_text(changed(broker=broker, cameras__0__password_file="camera"))
    assert main(["zones", str(path)]) == 0 and "of this file" in capsys.readouterr().out
    assert checked(path, capsys) == []  # and all is imported
    for one in (data, secrets / "key_file", home / "camera"):
        one.chmod(0)
    with nobody(home):
        assert [p["key"] for p in checked(path, capsys)] == [
            "data_dir", "broker.key_file", "cameras[0].password_file",
        ]  # fmt: skip
        assert main(["zones", str(path)]) == 2
    assert "data_dir: can't be read and written" in capsys.readouterr().err
    secrets.chmod(0)
    with nobody(home):
        assert {f"broker.{name}" for name in broker} <= {p["key"] for p in checked(path, capsys)}
    for folder in (secrets, data):
        folder.chmod(0o700)


def test_an_outbox_that_the_worker_can_not_use_is_told_and_left_as_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = tmp_path / "home"
    path, outbox = home / "edge.yaml", home / "data" / "outbox.db"
    outbox.parent.mkdir(parents=True)
    path.write_text(changed(cameras__0__password_file=None))
    outbox.write_bytes(b"\xff" * 100)  # the worker sets it aside
    assert checked(path, capsys) == []
    outbox.unlink()
    with closing(sqlite3.connect(outbox)) as db:
        db.executescript("PRAGMA journal_mode=WAL; CREATE TABLE alerts (seq); PRAGMA user_version=1")
        assert checked(path, capsys) == []
        db.execute("PRAGMA user_version=2")
    (problem,) = checked(path, capsys)
    assert problem["key"] == "data_dir" and f"{outbox} was made by a newer labelwatch" in problem["reason"]
    outbox.chmod(0)
    outbox.parent.chmod(0o777)
    with nobody(home):
        (problem,) = checked(path, capsys)
    assert problem["key"] == "data_dir" and problem["reason"] == f"can't be read and written: {outbox}"
    assert [file.name for file in outbox.parent.iterdir()] == ["outbox.db"]


def test_what_systemd_hands_to_the_service_need_not_be_there_before(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, folder = tmp_path / "edge.yaml", "/run/credentials/none-of-this-machine.service"
    path.write_text(changed(cameras__1__password_file=f"{folder}/camera"))
    assert checked(path, capsys) == []
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", folder)
    assert [p["key"] for p in checked(path, capsys)] == ["cameras[1].password_file"]


@pytest.mark.parametrize(
    ("name", "precision", "key"),
    [
        pytest.param("acts.yaml", "fp32", "rules", id="act weights"),
        pytest.param("sweeps.yaml", "fp32", "rules", id="sweep weights"),
        pytest.param("own.onnx", "fp32", "analysis.model", id="the network"),
        pytest.param("own-int8.onnx", "auto", "analysis.model", id="a variant that may be used"),
        pytest.param("own-int8.onnx", "fp32", None, id="a variant that is not used"),
    ],
)
def test_models_that_are_not_what_they_should_be_are_told(
    name: str, precision: str, key: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    models = tmp_path / "models"
    network = model_file(models / "own.onnx", raw_output([]))
    variant = shutil.copy(network, models / "own-int8.onnx")
    file = {"file": variant.name, "sha256": sha256_of(variant)}
    card_file(network, variants=[{"precision": "int8", "runtime": "onnxruntime", **file}])
    for card in ("acts.yaml", "sweeps.yaml"):
        shutil.copy(resource("models", card), models)
    monkeypatch.setenv("LABELWATCH_HOME", str(tmp_path))
    path = tmp_path / "edge.yaml"
    path.write_text(changed(analysis__model="own", analysis__precision=precision))
    (models / name).write_text("kinds: [")
    problems = checked(path, capsys)
    assert [p["key"] for p in problems] == ([key] if key else [])
    assert all(name in p["reason"] and p["hint"] for p in problems)


@pytest.mark.parametrize(
    ("labels", "traits", "reason"),
    [
        (["person"], TRAITS, "tiny sees no phone, sees no parcel: nobody is found"),
        (["person", "phone"], TRAITS, "tiny sees no parcel: nobody is found"),
        (["cat", "phone", "parcel"], TRAITS, "tiny sees no person: nobody is found"),
        (["person", "phone", "parcel"], TRAITS, None),
        (["person", "phone", "parcel"], ["up", "photo"], None),
        (["person", "phone", "parcel"], TRAITS[ACT_TRAITS], None),
        (["person", "phone", "parcel"], ["up", "act_photo"], "tiny doesn't tell photographing from reading: nobody is"),
        (["person", "phone"], [], "tiny sees no parcel, doesn't tell photographing from reading: nobody is found"),
    ],
)
def test_a_model_by_which_nobody_can_be_found_is_told(
    labels: list[str], traits: Sequence[str], reason: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    card = card_file(model_file(tmp_path / "tiny.onnx", raw_output([])), labels=labels, traits=list(traits))
    path = tmp_path / "edge.yaml"
    path.write_text(changed(analysis__model=card.name))
    problems = checked(path, capsys)
    assert [p["key"] for p in problems] == (["analysis.model"] if reason else [])
    assert all(str(reason) in p["reason"] and p["hint"] for p in problems)


@pytest.mark.parametrize(
    "source",
    [
        "rtsp://admin:hunter2@10.0.0.2/1",
        "rtsp://hunter2@10.0.0.2/1",
        "rtsp://admin:a@hunter2@10.0.0.2/1",
        "rtsp://admin:a/hunter2@10.0.0.2/1",
        "rtsp://admin:a hunter2@10.0.0.2/1",
        "rtsp://admin:a'hunter2@10.0.0.2/1",
        "rtsp:/admin:hunter2@10.0.0.2/1",
    ],
)
@pytest.mark.parametrize("key", ["source", "substream"])
def test_a_password_in_an_address_is_refused_and_never_printed(
    source: str, key: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "edge.yaml"
    path.write_text(changed(**{f"cameras__0__{key}": source}))
    for arguments in (["check", str(path)], ["check", str(path), "--json"], ["run", str(path)]):
        assert main(arguments) == 2
        output = "".join(capsys.readouterr())
        assert PASSWORD not in output
        assert f"cameras[0].{key}" in output
        assert "stands in the URL" in output
        assert "password_file instead" in output


@pytest.mark.parametrize(
    "url", ["https://li:hunter2@10.0.0.2", "https://hunter2@10.0.0.2:8080", "http://li:hunter2/7@10.0.0.2"]
)
def test_a_login_in_the_hub_s_address_is_refused_and_never_printed(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "edge.yaml"
    path.write_text(changed(hub__url=url))
    for arguments in (["check", str(path)], ["check", str(path), "--json"], ["run", str(path)]):
        assert main(arguments) == 2
        output = "".join(capsys.readouterr())
        assert PASSWORD not in output
        assert "hub.url" in output and "stands in the URL" in output and "as a browser shows it" in output


@pytest.mark.parametrize(
    ("source", "substream", "reason"),
    [
        ("rtsp://10.0.0.1/1", "small.mp4", "must be a stream's address"),
        ("rtsp://10.0.0.1/1", "", "must be a stream's address"),
        ("a.mp4", "rtsp://10.0.0.1/2", "a recording has no small stream"),
        ("rtsp://10.0.0.1/1", "rtsp://10.0.0.1/1", "is the same stream"),
    ],
)
def test_a_small_stream_goes_beside_a_live_one(
    source: str, substream: str, reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "edge.yaml"
    path.write_text(changed(cameras__0__source=source, cameras__0__substream=substream))
    assert main(["check", str(path)]) == 2
    said = "".join(capsys.readouterr())
    assert "cameras[0].substream" in said
    assert reason in said


@pytest.mark.parametrize(
    ("written", "shape"),
    [
        ("16:9", 16 / 9), ("4:3", 4 / 3), ("'16:9'", 16 / 9), ("16:10", 1.6), ("9:16", 9 / 16), ("16:09", 16 / 9),
        ("1:5", None), ("0:1", None), ("16/9", None), ("1.78", None), ("16", None), ("true", None), ("[16, 9]", None),
        ("wide", None), ("-16:9", None), ("16:9:1", None),
    ],
)  # fmt: skip
def test_a_camera_s_shape_is_written_as_people_say_it(
    written: str, shape: float | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "edge.yaml"
    path.write_text(re.sub(r"(?m)^( *)- name: .*$", rf"\g<0>\n\1  aspect: {written}", changed(), count=1))
    if shape is not None:
        assert load_edge(path).cameras[0].shape.aspect == pytest.approx(shape)
        return
    (problem,) = checked(path, capsys)
    assert (problem["key"], "aspect" in str(problem)) == ("cameras[0].aspect", True)
    assert "must be text" in problem["reason"] or "such as 16:9" in problem["reason"]
    assert "e.g. 16:9" in problem["hint"]


@pytest.mark.parametrize(
    ("written", "turn"),
    [("90", 90), ("180", 180), ("270", 270), ("0", 0), ("45", None), ("-90", None), ("360", None), ("left", None)],
)
def test_a_camera_s_pictures_are_turned_by_quarters(
    written: str, turn: int | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "edge.yaml"
    path.write_text(re.sub(r"(?m)^( *)- name: .*$", rf"\g<0>\n\1  turned: {written}", changed(), count=1))
    if turn is not None:
        assert load_edge(path).cameras[0].shape.turn == turn
        return
    (problem,) = checked(path, capsys)
    assert problem["key"] == "cameras[0].turned"
    assert "90, 180 or 270" in problem["reason"]


WITHIN = [
    "rtsp://10.0.0.2:554/user=admin&password=hunter2&channel=1&stream=0.sdp",
    "rtsp://10.0.0.2:554/user=admin_password=hunter2_channel=1_stream=0.sdp",
    "rtsp://10.0.0.2/cam?channel=1&pwd=hunter2",
    "rtsp://10.0.0.2/live?user=admin&pass=hunter2",
    "rtsp://10.0.0.2/11?loginpas=hunter2",
]


@pytest.mark.parametrize("source", WITHIN)
def test_a_password_within_an_address_is_refused_and_its_place_may_be_named(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "edge.yaml"
    path.write_text(changed(cameras__0__source=source))
    (problem,) = checked(path, capsys)
    assert problem["key"] == "cameras[0].source" and "write {password} there" in problem["reason"]
    assert PASSWORD not in json.dumps(problem)
    named = source.replace(PASSWORD, "{password}")
    path.write_text(changed(cameras__0__source=named))
    (problem,) = checked(path, capsys)
    assert "there is none" in problem["reason"] and problem["hint"] == "give password_env or password_file"
    monkeypatch.setenv("CAM_PASSWORD", PASSWORD)
    path.write_text(changed(cameras__0__source=named, cameras__0__password_env="CAM_PASSWORD"))
    assert checked(path, capsys) == []


@pytest.mark.parametrize(
    ("source", "reason", "hint"),
    [
        ("http://10.0.0.2/video", "not http://", "rtsp://10"),
        ("rtsp://10.0.0.2:5544444/1", "from 1 to 65535", "rtsp://10"),
        ("rtsp://10.0.0.2:channel/1", "from 1 to 65535", "rtsp://10"),
        ("rtsp://${HOST}/1", "address or name", "rtsp://10"),
        ("rtsp:///1", "address or name", "rtsp://10"),
        ("10.0.0.2:554/Streaming/Channels/101", "no such file", "begins with rtsp://"),
        ("cam-3.lan:554/1", "no such file", "begins with rtsp://"),
        ("rtsp:/10.0.0.2/1", "no such file", "begins with rtsp://"),
        ("clips/day 1.mp4", "no such file", "check the path"),
    ],
)
def test_an_address_that_leads_nowhere_is_told_before_anybody_waits_for_it(
    source: str, reason: str, hint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "edge.yaml"
    path.write_text(changed(cameras__0__source=source))
    (problem,) = checked(path, capsys)
    assert problem["key"] == "cameras[0].source"
    assert reason in problem["reason"] and hint in problem["hint"]


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("RTSP://10.0.0.2/1", "rtsp://10.0.0.2/1"),
        ("rtsps://cam-3.lan:322/1?a=b", "rtsps://cam-3.lan:322/1?a=b"),
        ("rtsp://[fe80::1%25eth0]:554/1", "rtsp://[fe80::1%25eth0]:554/1"),
        ("rtsp://10.0.0.2/user=admin&password=&channel=1", "rtsp://10.0.0.2/user=admin&password=&channel=1"),
    ],
)
def test_addresses_that_cameras_have_are_taken(written: str, read: str) -> None:
    assert Camera(name="c", source=written).source == read


@pytest.mark.parametrize("key", ["rtsp://admin:hunter2@cam/1", "site"])
def test_a_password_in_an_unlikely_place_is_not_printed(
    key: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "edge.yaml"
    path.write_text(changed(**{key: {"rtsp://admin:hunter2@cam/2": 1}}))
    assert main(["check", str(path)]) == 2
    assert PASSWORD not in "".join(capsys.readouterr())


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        pytest.param(None, "can't be read: No such file", id="not there"),
        pytest.param("站点: 大仓".encode("gbk"), "is not UTF-8", id="GBK"),
        pytest.param("site: a".encode("utf-16"), "is not UTF-8", id="UTF-16"),
        pytest.param(b"site: \x00a", "U+0000", id="NUL"),
    ],
)
def test_a_file_that_is_no_text(
    content: bytes | None, reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "edge.yaml"
    if content is not None:
        path.write_bytes(content)
    problems = checked(path, capsys)
    assert len(problems) == 1
    assert reason in problems[0]["reason"]
    assert problems[0]["hint"]


def test_a_folder_is_no_configuration(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "directory" in checked(tmp_path, capsys)[0]["reason"]


def test_a_file_saved_by_notepad_is_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "edge.yaml"
    path.write_bytes(changed().replace("\n", "\r\n").encode("utf-8-sig"))
    assert checked(path, capsys) == []


def test_a_configuration_without_problems_is_fine(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "edge.yaml"
    path.write_text(changed())
    assert main(["check", str(path)]) == 0
    assert capsys.readouterr().out == f"{path}: fine\n"


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("port: 80000\n", "port"),
        ("langauge: en\n", "langauge"),
        ("language: fr\n", "language"),
        ("timezone: Mars\n", "timezone"),
        ("retention: {reserve_gb: .inf}\n", "retention.reserve_gb"),
        ("broker: {password_file: gone}\n", "broker.password_file"),
        ("certs_dir: gone\n", "certs_dir"),
    ],
)
def test_a_hub_configuration_is_known_by_its_keys(
    text: str, key: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "hub.yaml"
    path.write_text(text)
    assert [p["key"] for p in checked(path, capsys)] == [key]


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"", "is empty"), (b" \n", "is empty"), (b"\xef\xbb\xbf\n", "is empty"), (b"\xff\xfe", "UTF-8")],
)
def test_a_secret_with_nothing_in_it_is_told(
    content: bytes, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "secret").write_bytes(content)
    monkeypatch.setenv("LABELWATCH_TEST_SECRET", "")
    edge, hub = tmp_path / "edge.yaml", tmp_path / "hub.yaml"
    changes = {"cameras__0__password_file": "secret", "broker__password_env": "LABELWATCH_TEST_SECRET"}
    edge.write_text(changed(cameras__1__password_env="LABELWATCH_TEST_SECRET", **changes))
    hub.write_text("database_file: secret\nbroker: {password_file: secret}\n")
    told = {problem["key"]: problem["reason"] for problem in checked(edge, capsys) + checked(hub, capsys)}
    assert told.keys() == {
        "cameras[0].password_file", "cameras[1].password_env", "broker.password_env",
        "database_file", "broker.password_file",
    }  # fmt: skip
    assert reason in told["cameras[0].password_file"]
    assert told["cameras[1].password_env"] == "the variable LABELWATCH_TEST_SECRET is empty"


def test_an_address_of_the_database_that_the_hub_would_refuse_is_told_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    hub, address, good = tmp_path / "hub.yaml", tmp_path / "address", "postgresql+psycopg://hub:pw7Qx@db/hub"
    for text in ("database_env: LABELWATCH_TEST_SECRET\n", "database_file: address\n"):
        hub.write_text(text)
        key = text.partition(":")[0]
        for held, reason in [(good, ""), (good.replace("pw", "p@w"), "holds an @"), ("lw", "holds no address")]:
            monkeypatch.setenv("LABELWATCH_TEST_SECRET", held)
            address.write_text(held)
            told = checked(hub, capsys)
            assert [problem["key"] for problem in told] == [key] * bool(reason)
            assert all(reason in problem["reason"] and "7Qx" not in str(problem) for problem in told)


def test_a_secret_that_comes_by_a_pipe_is_left_in_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.mkfifo(tmp_path / "secret")  # nobody writes, so that reading it would wait for ever
    edge, hub = tmp_path / "edge.yaml", tmp_path / "hub.yaml"
    edge.write_text(changed(cameras__0__password_file="secret"))
    hub.write_text("database_file: secret\n")
    assert checked(edge, capsys) == checked(hub, capsys) == []


def test_an_empty_password_of_a_camera_does_not_keep_a_worker_from_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LABELWATCH_TEST_SECRET", "")
    edge = tmp_path / "edge.yaml"
    edge.write_text(changed(cameras__0__password_env="LABELWATCH_TEST_SECRET"))
    assert check_edge(load_edge(edge), edge) == []


def test_the_other_kind_of_configuration_is_one_problem(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    edge, hub = tmp_path / "edge.yaml", tmp_path / "hub.yaml"
    edge.write_text(changed())
    hub.write_text("data_dir: hub\nport: 8081\nretention: {note: 30}\n")
    assert main(["zones", str(hub)]) == 2
    told = "an edge's is needed, which names site, edge and cameras (see configs/site.yaml)"
    assert capsys.readouterr().err == f"labelwatch: {hub}: is a hub's configuration: {told}\n"
    assert main(["user", "list", str(edge)]) == 2
    told = "a hub's is needed (see configs/hub.yaml)"
    assert capsys.readouterr().err == f"labelwatch: {edge}: is an edge's configuration: {told}\n"


@pytest.mark.parametrize(
    ("text", "key", "reason", "hint"),
    [
        pytest.param("host: http://10.0.0.2\n", "host", "pattern", "address alone", id="an address with http"),
        pytest.param("host: 10.0.0.2:8080\n", "host", "holds a port", "address alone", id="a host with its port"),
        pytest.param(
            "public_url: https://hub:8080.\n", "public_url", "its port must be", "configs/hub.yaml", id="stop"
        ),
        pytest.param("alerts_per_shift: a dozen\n", "alerts_per_shift", "integer", "configs/hub.yaml", id="words"),
    ],
)
def test_a_problem_of_a_hubs_file_is_said_with_key_reason_and_hint(
    text: str, key: str, reason: str, hint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "hub.yaml"
    path.write_text(f"language: en\n{text}", encoding="utf-8")
    (told,) = checked(path, capsys)
    assert told["key"] == key
    assert reason in told["reason"] and hint in told["hint"]


def test_hosts_are_taken_as_names_and_as_addresses_of_both_kinds(tmp_path: Path) -> None:
    path = tmp_path / "edge.yaml"
    for host in ("10.0.0.2", "hub.local", "hub_1", "::1", "fe80::1%eth0", "监控", "127.1"):
        url = f"http://[{host}]:8080" if ":" in host else f"http://{host}:8080"
        path.write_text(changed(broker__host=host, hub__url=url))
        assert (load_edge(path).broker.host, load_edge(path).hub.url) == (host, url)


def test_relative_paths_start_at_the_file(tmp_path: Path) -> None:
    folder = tmp_path / "configs"
    folder.mkdir()
    path = folder / "edge.yaml"
    path.write_text(
        changed(
            data_dir="../data",
            analysis__model="own/model.yaml",
            cameras__0__source="clip.mp4",
            cameras__1__password_file="pw",
            broker__ca_file="ca",
        )
    )
    config = load_edge(path)
    assert config.analysis.model == str(folder / "own" / "model.yaml")
    assert config.data_dir == tmp_path / "data"
    assert config.cameras[0].source == str(folder / "clip.mp4")
    assert config.cameras[1].source == "rtsp://10.0.0.3/1"
    assert config.cameras[1].password_file == folder / "pw"
    assert config.broker.ca_file == folder / "ca"
    (folder / "hub.yaml").write_text("data_dir: hub\n")
    assert load_hub(folder / "hub.yaml").data_dir == folder / "hub"


def test_a_secret_comes_from_the_environment_or_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABELWATCH_TEST_SECRET", PASSWORD)
    file = tmp_path / "secret"
    file.write_text("from file\n")
    assert secret("LABELWATCH_TEST_SECRET", None) == PASSWORD
    assert secret(None, file) == "from file"
    file.write_text("from Windows\r\n", encoding="utf-8-sig")
    assert secret(None, file) == "from Windows"
    assert secret(None, None) is None


@pytest.mark.parametrize("value", ["", " \n"])
def test_an_empty_address_of_the_database_is_no_sqlite(
    value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "address").write_text(value)
    monkeypatch.setenv("LABELWATCH_TEST_DATABASE", value)
    with pytest.raises(ConfigError, match="LABELWATCH_TEST_DATABASE: is empty"):
        HubConfig(database_env="LABELWATCH_TEST_DATABASE").database_url()
    with pytest.raises(ConfigError, match="address: is empty"):
        HubConfig(database_file=tmp_path / "address").database_url()


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00"])
def test_a_secret_that_cannot_be_read_is_a_problem(content: bytes | None, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigError, match=str(file)):
        secret(None, file)
    with pytest.raises(ConfigError, match="NO_SUCH_VARIABLE_HERE: is not set"):
        secret("NO_SUCH_VARIABLE_HERE", None)


def test_the_schema_of_both_files_is_printed_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--schema"]) == 0
    schemas = json.loads(capsys.readouterr().out)
    assert schemas["edge"]["properties"].keys() == EdgeConfig.model_fields.keys()
    assert schemas["hub"]["properties"].keys() == HubConfig.model_fields.keys()
    assert schemas["edge"]["additionalProperties"] is False


def test_check_without_a_file_says_how_to_name_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check"]) == 2
    assert "labelwatch check configs/site.yaml" in capsys.readouterr().err


SITE = REPOSITORY / "configs" / "site.yaml"


def test_the_example_is_accepted(capsys: pytest.CaptureFixture[str]) -> None:
    assert checked(SITE, capsys) == []


def keys_of(kind: type[BaseModel]) -> Iterator[tuple[str, ...]]:
    """Every key of a configuration, after those that it lies within."""
    for name, field in kind.model_fields.items():
        yield (name,)
        inside = [field.annotation]
        for one in inside:
            inside += get_args(one)
            if isinstance(one, type) and issubclass(one, BaseModel):
                yield from ((name, *more) for more in keys_of(one))


@pytest.mark.parametrize(("kind", "example"), [(EdgeConfig, "site.yaml"), (HubConfig, "hub.yaml")])
def test_the_example_shows_every_key_in_its_section(kind: type[BaseModel], example: str) -> None:
    text = (REPOSITORY / "configs" / example).read_text(encoding="utf-8")
    sections = dict(re.findall(r"^(\w+):(.*(?:\n(?!\w).*)*)", text, re.MULTILINE))
    # Of the broker of other systems it says that its keys are those of the other.
    keys = [key for key in keys_of(kind) if key[:2] != ("integrations", "broker") or len(key) == 2]
    where = {key: text if len(key) == 1 else sections[key[0]] for key in keys}
    assert [key for key in keys if not re.search(rf"\b{key[-1]}:", where[key])] == []


def test_the_hubs_example_gives_the_defaults_but_for_what_it_names() -> None:
    file = REPOSITORY / "configs" / "hub.yaml"
    tree = yaml.safe_load(file.read_text(encoding="utf-8"))
    given, default = HubConfig.model_validate(tree), HubConfig()
    named = file.read_text(encoding="utf-8").split("\n\n")[0]
    other = [key for key in HubConfig.model_fields if getattr(given, key) != getattr(default, key)]
    assert [key for key in other if key not in named] == []


def test_a_copy_of_the_edges_example_keeps_its_data_beside_itself(tmp_path: Path) -> None:
    copy = shutil.copy(SITE, tmp_path / "my-site.yaml")
    assert load_edge(copy).data_dir == tmp_path / "data"


def sections_of(tree: Any) -> Iterator[dict[str, Any]]:
    """Every mapping of a configuration, but those of which people choose the keys."""
    if isinstance(tree, dict):
        yield tree
        for key, value in tree.items():
            yield from sections_of(value) if key not in ("least_score", "by_kind") else ()
    elif isinstance(tree, list):
        for value in tree:
            yield from sections_of(value)


@pytest.mark.parametrize("example", ["site.yaml", "hub.yaml"])
def test_wherever_an_unknown_key_stands_the_hint_says_what_may_stand_there(example: str, tmp_path: Path) -> None:
    tree = yaml.safe_load((REPOSITORY / "configs" / example).read_text(encoding="utf-8"))
    sections = list(sections_of(tree))
    known = [next(iter(section)) for section in sections]
    for n, section in enumerate(sections):
        section[f"frobnicate{n}"] = 1
    (tmp_path / example).write_text(yaml.safe_dump(tree), encoding="utf-8")
    problems = {p.key.rpartition("frobnicate")[2]: p for p in check_file(tmp_path / example)}
    assert problems.keys() == {str(n) for n in range(len(sections))} and len(sections) > 5
    for n, key in enumerate(known):
        problem = problems[str(n)]
        assert problem.reason == "unknown key" and problem.hint.startswith("here may stand: ")
        assert key in problem.hint.split(": ")[1].split(", ")


def test_the_example_gives_the_defaults() -> None:
    config = load_edge(SITE)
    given = EdgeConfig(site="a", edge="b", cameras=[{"name": "c", "source": "d"}])
    for section in ("analysis", "rules", "incidents", "broker", "hub"):
        assert getattr(config, section) == getattr(given, section)
