"""What people read in Chinese calls one thing by one name, on pages, in reports, configurations and the README."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from detector.hub.texts import ZH
from detector.sentences import SEVERITY_NAMES, sentences
from tests.conftest import REPOSITORY

README = REPOSITORY / "README.zh-CN.md"
FOLDERS = ("detector", "configs")
SUFFIXES = (".py", ".html", ".js", ".yaml", ".yml", ".service", ".conf")
SWEEP = {
    "kind": "label_photography",
    "facts": {"photos": 3, "people": 1, "crouched": 0.8, "pace_per_min": 12.0, "along_row": True},
    "labels_exposed": {"low": 3, "best": 4, "high": 8},
    "started_at_unix": 0,
    "ended_at_unix": 14,
    "tracks": [1],
}


def read_by_people() -> Iterator[Path]:
    yield README
    for folder in FOLDERS:
        for file in sorted((REPOSITORY / folder).rglob("*")):
            if file.suffix in SUFFIXES and "vendor" not in file.parts and "data" not in file.parts:
                yield file


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("边缘设备", "盒子|边缘盒|本盒|边缘端"),
        ("监控中心", "(?<!监控)中心页面"),
        ("摄像机", "摄像头"),
        ("站点", "场地"),
        ("保安", "安保"),
        ("您", "你"),
        ("加入码", "接入码"),
        ("放入案件", "加入案件"),
        ("长期保留", "法律保全"),
        ("移交说明", "交接单|纸质说明"),
        ("审计日志", "审计记录"),
        ("免打扰时段", "安静时段"),
        ("撤销", "撤回"),
        ("原因", '补充理由|"理由"'),
        ("采纳", "谢绝"),
        ("拍摄面单", "翻拍"),
        ("死角", "无监控角落"),
        ("回放", "回查"),
        ("搁置", "隔离"),
        ("API 令牌", "接口令牌"),
        ("“运行”页", "健康页|“运行状况”页"),
        ("扫码枪", '(?<!")巴枪'),  # what is typed to find one may be either
    ],
)
def test_one_thing_has_one_name(name: str, other: str) -> None:
    found = {
        str(file.relative_to(REPOSITORY)): words
        for file in read_by_people()
        if (words := re.findall(other, file.read_text(encoding="utf-8")))
    }
    assert found == {}, f"say {name}"


@pytest.mark.parametrize("example", ["site.yaml", "hub.yaml"])
def test_every_setting_of_an_example_is_explained_in_chinese(example: str) -> None:
    paragraphs = (REPOSITORY / "configs" / example).read_text(encoding="utf-8").split("\n\n")
    assert [first for first in paragraphs if not re.search("[\u4e00-\u9fff]", first)] == []


def test_the_readme_names_pages_and_buttons_as_the_pages_do() -> None:
    quoted = re.findall(r"“([^”]+)”", README.read_text(encoding="utf-8"))
    names = {name for said in quoted for name in said.split(" → ")}
    assert len(names) > 30
    assert {name for name in names if name not in ZH.values()} == {
        "录像留多久", "谁能做什么",  # parts of the README itself
        "不安全",  # a browser's word
        "存好了", "再远就看不清", "来的时候就这样", "到了之后被翻过来的",  # somebody speaks
        sentences(SWEEP)["zh"],
    }  # fmt: skip


def test_the_readme_calls_severities_what_the_pages_call_them() -> None:
    text = README.read_text(encoding="utf-8")
    assert all(f"{name}" in text for name in SEVERITY_NAMES["zh"].values())
    assert "警告" not in text


def test_both_readmes_show_the_sentence_as_the_product_says_it() -> None:
    said = sentences(SWEEP)
    assert said["zh"] in README.read_text(encoding="utf-8")
    english = " ".join((REPOSITORY / "README.md").read_text(encoding="utf-8").split())
    assert f"{said['en']}." in english
