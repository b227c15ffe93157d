"""The README stays true: its commands parse, its targets exist, its YAML is accepted, its files are there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import yaml

from detector.cli import build_parser
from detector.config import EdgeConfig

ROOT = Path(__file__).resolve().parent.parent
PAGES = [
    ROOT / name
    for name in (
        "README.md",
        "README.zh-CN.md",
        "models/README.md",
        "models/tried.md",
        "models/acts/README.md",
        "models/scenes/README.md",
        "tests/bench/README.md",
    )
]
TEXT = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)


def commands(word: str) -> list[list[str]]:
    """Arguments of every command in a code block that starts with a word, comments cut off."""
    lines = re.findall(rf"^(?:\S*/)?{word} (.+)$", TEXT, re.MULTILINE)
    return [shlex.split(line, comments=True) for line in lines]


def test_every_labelwatch_command_parses() -> None:
    found = commands("labelwatch")
    assert {arguments[0] for arguments in found} >= {"run", "hub", "replay", "check"}
    for arguments in found:
        build_parser().parse_args(arguments)


def test_every_command_within_a_sentence_parses() -> None:
    found = [shlex.split(line) for line in re.findall(r"`labelwatch ([^`]+)`", TEXT)]
    whole = [arguments for arguments in found if len(arguments) > 2]  # shorter ones are names of commands
    assert {arguments[0] for arguments in whole} >= {"user", "label-export", "replay"}
    for arguments in whole:
        build_parser().parse_args(arguments)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_prose_is_no_wider_than_code(page: Path) -> None:
    if page.stem.endswith("zh-CN"):
        return  # where a line ends, a blank would be shown between two characters
    text = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    prose = [line for line in text.splitlines() if not line.startswith("|")]
    assert [line for line in prose if len(line) > 120] == []


def test_every_make_target_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = {arguments[0] for arguments in commands("make")}
    assert targets >= {"demo", "test"}
    for target in targets:
        assert re.search(rf"^{re.escape(target)}:", makefile, re.MULTILINE), target


def test_the_camera_example_is_accepted() -> None:
    (example,) = re.findall(r"```yaml\n(cameras:.+?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    EdgeConfig.model_validate({"site": "s", "edge": "e", **yaml.safe_load(example)})


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_file_named_is_there(page: Path) -> None:
    named = re.findall(
        r"`((?:detector|configs|models|tests)/[\w./-]+)`|\]\((?!http)([\w./-]+)\)", page.read_text("utf-8")
    )
    for path in {first or second for first, second in named}:
        assert (ROOT / path).exists() or (page.parent / path).exists(), path


def test_every_program_named_is_there() -> None:
    files = set(re.findall(r"python ((?:models|tests)/[\w/]+\.py)", TEXT))
    modules = set(re.findall(r"python -m ((?:models|tests)\.[\w.]+\w)", TEXT))
    assert "models/simulation/figures.py" in files and "tests.bench.live" in modules
    for program in files | {f"{module.replace('.', '/')}.py" for module in modules}:
        assert (ROOT / program).exists(), program
