"""The command line: usage, exit codes, and errors that are one line."""

from __future__ import annotations

import argparse
import io
import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from detector.cli import build_parser, main
from detector.machine.progress import progress_count, progress_seconds
from tests.conftest import REPOSITORY

CONFIG = """
site: s
edge: e
analysis: {model: MODEL}
cameras: [{name: c, source: rtsp://10.0.0.1/1}]
"""


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param([], id="no command"),
        pytest.param(["frobnicate"], id="no such command"),
        pytest.param(["detect"], id="no picture"),
        pytest.param(["detect", "a.jpg"], id="no out"),
        pytest.param(["detect", "", "--out", "o"], id="an empty name of a picture"),
        pytest.param(["detect", "a.jpg", "--out", "o", "--conf", "1.5"], id="score above one"),
        pytest.param(["detect", "a.jpg", "--out", "o", "--conf", "nan"], id="score no number"),
        pytest.param(["detect", "a.jpg", "--out", "o", "--conf", "high"], id="score in words"),
        pytest.param(["replay", "a.mp4", "--out", "o"], id="replay without configuration"),
        pytest.param(["replay", "", "--config", "c", "--out", "o"], id="an empty name of a recording"),
        pytest.param(["replay", "a.mp4", "--config", "c", "--out", ""], id="an empty name of a folder for a replay"),
        pytest.param(["map", "c", "--recordings", ""], id="an empty name of recordings for a map"),
        pytest.param(["certs", "", "--host", "h"], id="an empty name of a folder for certificates"),
        pytest.param(["backup", "c", "--to", ""], id="an empty name of a folder for backups"),
        pytest.param(["demo", "--data", ""], id="an empty name of a folder for the demo"),
        pytest.param(["label-export", "c", "--out", ""], id="an empty name of a folder for a training set"),
        pytest.param(["replay", "a.mp4", "--config", "c", "--out", "o", "--jobs", "0"], id="no jobs"),
        pytest.param(["replay", "a.mp4", "--config", "c", "--out", "o", "--jobs", "two"], id="jobs in words"),
        pytest.param(["run"], id="run without configuration"),
        pytest.param(["hub", "c", "--port", "high"], id="port in words"),
        pytest.param(["hub", "c", "--port", "65536"], id="port above all"),
        pytest.param(["hub", "c", "--port", "-1"], id="port below zero"),
        pytest.param(["check", "--nonsense"], id="no such option"),
    ],
)
def test_wrong_usage_exits_with_2_and_says_why(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(arguments)
    assert left.value.code == 2
    told = capsys.readouterr().err
    assert told.startswith("usage: labelwatch")
    assert "error:" in told
    assert "_share" not in told
    assert "_positive" not in told


def arguments_of(parser: argparse.ArgumentParser) -> Iterator[tuple[str, str, argparse.Action]]:
    """Of each command and action: its name, what it says of itself, and each of its arguments."""
    for argument in parser._actions:
        if isinstance(argument, argparse._SubParsersAction):
            for one in argument.choices.values():
                yield from arguments_of(one)
        elif argument.dest != "help":
            yield parser.prog, parser.description or "", argument


def test_every_command_says_what_it_does_and_what_each_argument_is() -> None:
    every = list(arguments_of(build_parser()))
    assert {name for name, about, _ in every if not about} == set()
    assert [(name, argument.dest) for name, _, argument in every if not argument.help] == []


def test_the_same_thing_is_asked_for_by_the_same_name_in_every_command() -> None:
    every = [argument for _, _, argument in arguments_of(build_parser())]
    languages = [argument for argument in every if argument.choices and set(argument.choices) == {"zh", "en"}]
    assert len(languages) == 4
    assert {tuple(argument.option_strings) for argument in languages} == {("--language",)}
    assert {argument.metavar for argument in every if argument.dest == "config"} == {"CONFIG", "HUB_CONFIG"}


def test_the_language_may_still_be_chosen_by_the_shorter_name_that_it_had() -> None:
    for command in (["verify", "p.zip"], ["certs", "folder"], ["check", "c"]):
        assert build_parser().parse_args([*command, "--lang", "zh"]).language == "zh"


@pytest.mark.parametrize("verb", ["demo", "run", "hub", "replay", "bench", "detect", "label-export", "doctor", "check"])
def test_every_verb_explains_itself(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main([verb, "--help"])
    assert left.value.code == 0
    assert verb in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        pytest.param(["run", "gone.yaml"], 2, "gone.yaml: can't be read", id="no configuration"),
        pytest.param(["hub", "gone.yaml"], 2, "gone.yaml: can't be read", id="no hub configuration"),
        pytest.param(
            ["replay", "gone.mp4", "--config", "edge.yaml", "--out", "o", "--start", "noon"],
            2, "--start: not a time: noon", id="no time",
        ),
        pytest.param(
            ["replay", "a.jpg", "--config", "edge.yaml", "--out", "o", "--start", "0001-01-01"],
            2, "--start: not a time: 0001-01-01", id="a time before the calendar's beginning",
        ),
        pytest.param(
            ["check", "edge.yaml", "--at", "0001-01-01T20:00"],
            2, "--at: not a time: 0001-01-01T20:00", id="a day that none is before",
        ),
        pytest.param(
            ["check", "edge.yaml", "--at", "9999-12-31T23:59Z"],
            2, "--at: not a time: 9999-12-31T23:59Z", id="a time after the calendar's end",
        ),
        pytest.param(
            ["replay", "gone.mp4", "--config", "edge.yaml", "--out", "o"], 2, "gone.mp4: no such", id="no recording"
        ),
        pytest.param(["detect", "gone.jpg", "--out", "o"], 2, "gone.jpg: no such file", id="no picture"),
        pytest.param(
            ["detect", "a.jpg", "--out", "o", "--model", "nosuch"], 2, "there are: scene", id="no model"
        ),
        pytest.param(
            ["detect", "a.jpg", "--out", "o", "--model", "gone.yaml"], 2, "no model card gone.yaml", id="no card"
        ),
        pytest.param(["model", "add", "gone.onnx"], 2, "gone.onnx: no such model file (", id="no model file"),
        pytest.param(["model", "add", "gone.pt"], 2, "gone.pt: no such model file (", id="no weights"),
        pytest.param(
            ["restore", "gone.json", "--config", "hub.yaml"], 2, "gone.json: no such backup (", id="no backup"
        ),
        pytest.param(
            ["doctor", "--camera", "gone.png", "--height", "3", "--tilt", "30", "--fov", "90"],
            2, "gone.png: no such picture or video (", id="nothing to look at",
        ),
        pytest.param(
            ["map", "edge.yaml", "--recordings", "gone"], 2, "gone: no such file or folder (", id="nothing to map"
        ),
        pytest.param(
            ["map", "edge.yaml", "--tracks", "gone.jsonl"], 2, "gone.jsonl: no such file of tracks (", id="no tracks"
        ),
        pytest.param(["bench", "gone.mp4"], 2, "gone.mp4: no such recording (", id="nothing to measure"),
        pytest.param(["verify", "gone.zip"], 2, "gone.zip: no such pack (", id="no pack"),
        pytest.param(["certs", "gone", "--revoke", "a/b"], 2, "gone: no such folder (", id="no certificates"),
    ],
)  # fmt: skip
def test_an_error_is_one_line(
    arguments: list[str], code: int, words: str, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    (tmp_path / "edge.yaml").write_text(CONFIG)
    (tmp_path / "hub.yaml").write_text("data_dir: hub\n")
    (tmp_path / "a.jpg").touch()
    assert main(arguments) == code
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith("labelwatch: ")
    assert output.err.count("\n") == 1
    assert words in output.err


def test_what_the_system_refuses_is_told_by_the_file_and_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "edge.yaml").write_text(CONFIG)
    (tmp_path / "file").touch()
    assert main(["replay", "gone.mp4", "--config", "edge.yaml", "--out", "file/out"]) == 1
    assert capsys.readouterr().err == "labelwatch: file/out/clips: Not a directory\n"


def test_a_name_in_an_error_neither_ends_the_line_nor_speaks_to_the_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["detect", "a\x1b]0;owned\x07.jpg", "--out", "o"]) == 2
    assert capsys.readouterr().err == "labelwatch: a\\x1b]0;owned\\x07.jpg: no such file or folder (check the path)\n"


def test_a_code_that_nobody_is_there_to_type_is_told_to_be_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "edge.yaml").write_text(CONFIG)
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    assert main(["join", "http://127.0.0.1:9", "--config", str(tmp_path / "edge.yaml")]) == 2
    assert capsys.readouterr().err.startswith("labelwatch: join: CODE: is missing")


@pytest.mark.parametrize("arguments", [["check", "--schema"], ["check", "gone.yaml"]], ids=["much", "little"])
def test_output_that_nobody_reads_to_its_end_is_no_error(arguments: list[str], tmp_path: Path) -> None:
    command = [sys.executable, "-m", "detector", *arguments]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    ) as run:
        assert run.stdout is not None and run.stderr is not None
        run.stdout.close()
        assert run.stderr.read() == b""
        assert run.wait(60) == 141


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_configuration_that_may_not_be_read_is_told_as_such(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "edge.yaml").touch(0)
    assert main(["run", str(tmp_path / "edge.yaml")]) == 2
    assert "Permission denied (whoever runs this needs the right to read it)" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "closed", "code"),
    [
        pytest.param("check configs/hub.yaml", ">&-", 0, id="nobody wants the answer"),
        pytest.param("check configs/hub.yaml", "<&- >&- 2>&-", 0, id="nobody wants anything"),
        pytest.param("zones gone.yaml --json", "2>&-", 2, id="nobody wants errors"),
    ],
)
def test_output_that_was_closed_goes_nowhere_and_nothing_fails_for_it(arguments: str, closed: str, code: int) -> None:
    command = ["sh", "-c", f'exec "$0" -m detector {arguments} {closed}', sys.executable]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (code, "", "")


def test_a_data_folder_that_can_not_be_made_is_told_with_its_key(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    clip = REPOSITORY / "configs" / "demo" / "sweep_near.mp4"
    lines = ["site: north", "edge: box-1", "data_dir: file/data", f"cameras: [{{name: dock, source: {clip}}}]"]
    (tmp_path / "edge.yaml").write_text("\n".join(lines))
    assert main(["run", str(tmp_path / "edge.yaml")]) == 1
    assert f"labelwatch: data_dir {tmp_path}/file/data can't be made: Not a directory (" in capsys.readouterr().err


def test_no_password_reaches_the_log(capsys: pytest.CaptureFixture[str]) -> None:
    main(["check"])
    try:
        raise OSError("rtsp://admin:hunter2@10.0.0.2/1 timed out")
    except OSError:
        logging.getLogger("detector.test").exception("lost %s", "rtsp://admin:hunter2@10.0.0.2/1")
    told = capsys.readouterr().err
    assert "Traceback" in told
    assert "rtsp://***@10.0.0.2/1" in told
    assert "hunter2" not in told


def test_progress_elsewhere_than_on_a_terminal_is_plain_lines(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_count("pictures") as count:
        for n in range(250):
            count(n + 1, 250)
    assert capsys.readouterr().err.splitlines() == [f"{n} of 250 pictures" for n in (100, 200, 250)]
    with progress_seconds() as seconds:
        for _ in range(130):
            seconds("cam1", 1.0)
    assert capsys.readouterr().err.splitlines() == ["cam1: 1 min done", "cam1: 2 min done"]


def test_check_as_json_is_json_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(tmp_path / "gone.yaml"), "--json"]) == 2
    output = capsys.readouterr()
    assert json.loads(output.out)[0]["hint"] == "check the path"
    assert output.err == ""


@pytest.mark.parametrize(
    ("encoding", "arguments", "code"),
    [
        pytest.param("utf-8", ["check", os.fsdecode("大门.yaml".encode("gbk"))], 0, id="a name of another encoding"),
        pytest.param("gbk", ["verify", "edge.yaml", "--language", "zh"], 2, id="a mark that the terminal hasn't"),
        pytest.param(
            "ascii", ["check", "edge.yaml", "--explain", "--language", "zh"], 0, id="Chinese where there is none"
        ),
    ],
)
def test_what_a_terminal_can_not_show_ends_no_command(
    encoding: str, arguments: list[str], code: int, tmp_path: Path
) -> None:
    for name in ("edge.yaml", os.fsdecode("大门.yaml".encode("gbk"))):
        (tmp_path / name).write_text("site: s\nedge: e\ncameras:\n  - {name: cam1, source: rtsp://10.0.0.2/1}\n")
    done = subprocess.run(
        [sys.executable, "-m", "detector", *arguments], cwd=tmp_path, capture_output=True, check=False,
        env={**os.environ, "PYTHONIOENCODING": encoding, "PYTHONPATH": str(REPOSITORY)},
    )  # fmt: skip
    assert done.returncode == code
    assert done.stdout
    assert b"Traceback" not in done.stderr


def test_a_supervised_worker_logs_more_and_is_strict_as_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[list[str]] = []
    monkeypatch.setattr("detector.edge.supervisor.supervise", lambda command: started.append(command) or 0)
    assert main(["-v", "run", "edge.yaml", "--supervised", "--strict"]) == 0
    child = build_parser().parse_args(started[0][3:])
    assert (child.verbose, child.strict, child.supervised, str(child.config)) == (True, True, False, "edge.yaml")


def test_every_verb_is_known_to_the_parser() -> None:
    assert build_parser().parse_args(["check", "a.yaml"]).config == Path("a.yaml")
