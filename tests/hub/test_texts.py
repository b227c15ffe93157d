"""Both languages say everything, and an incident's sentence says what happened."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import detector.hub
from detector.hub import texts
from detector.hub.store import VERDICTS, Store
from detector.hub.texts import EN, TEXTS, ZH, Phrases, count_range, explanation
from detector.values import ActKind, IncidentKind, Severity

NOON = 1_793_505_600.0
Build = Callable[..., dict[str, Any]]
NAMES = re.compile(r"{(\w+)")


def test_both_languages_have_the_same_texts() -> None:
    assert ZH.keys() == EN.keys()


@pytest.mark.parametrize("key", ZH)
def test_both_languages_use_the_same_values(key: str) -> None:
    in_english = {name.removesuffix("_en") for name in NAMES.findall(EN[key])}
    assert set(NAMES.findall(ZH[key])) == in_english
    assert ZH[key].strip() and EN[key].strip()


def test_every_word_an_edge_may_say_has_a_text() -> None:
    for language in TEXTS.values():
        assert all(f"severity_{severity.value}" in language for severity in Severity)
        assert all(f"act_{kind.value}" in language for kind in ActKind)
        assert all(f"verdict_{verdict}" in language for verdict in VERDICTS)
        for kind in IncidentKind:
            assert {f"kind_{kind.value}", f"say_{kind.value}", f"advice_{kind.value}"} <= language.keys()


def test_every_text_that_pages_ask_for_exists_and_no_other() -> None:
    folder = Path(detector.hub.__file__).parent
    files = [*folder.glob("templates/*.html"), *(p for p in folder.glob("*.py") if p.name != "texts.py")]
    sources = "".join(file.read_text() for file in files) + inspect.getsource(Phrases) + inspect.getsource(explanation)
    sources += "".join(map(inspect.getsource, (texts._photography, texts._orientation)))
    asked_for = set(re.findall(r"""say\(\s*["'](\w+[^\W_])["']""", sources))
    assert asked_for <= ZH.keys()
    quoted = set(re.findall(r"""["'](\w+)["']""", sources))
    # Keys put together from a beginning and what an edge or a person said.
    begun = ("say_", *(beginning for beginning in quoted if beginning.endswith("_")))
    assert [key for key in ZH if key not in quoted and not key.startswith(begun)] == []


@pytest.mark.parametrize(
    ("seconds", "zh", "en"),
    [
        (0, "0 秒", "0 s"),
        (59.4, "59 秒", "59 s"),
        (59.6, "1 分钟", "1 min"),
        (250, "4 分 10 秒", "4 min 10 s"),
        (3700, "1 小时 1 分", "1 h 1 min"),
        (3 * 86400, "3 天", "3 days"),
    ],
)
def test_spans(seconds: float, zh: str, en: str) -> None:
    assert Phrases("zh").span(seconds).replace("\u00a0", " ") == zh
    assert Phrases("en").span(seconds).replace("\u00a0", " ") == en


def test_ages() -> None:
    assert Phrases("en").ago(None) == "never"
    assert Phrases("en").ago(0.4) == "just now"
    assert Phrases("zh").ago(2).replace("\u00a0", " ") == "2 秒前"


def test_a_count_that_is_sure_is_one_number() -> None:
    assert (count_range(4, 4), count_range(3, 6)) == ("4", "3–6")


SENTENCES = [
    (
        {},
        ["1 人在 40 秒内拍照 3 次，约暴露面单 3–6 张"],
        ["One person took 3 photos in 40 s: about 3–6 labels exposed"],
    ),
    (
        {"labels_exposed": {"low": 0, "best": 0, "high": 0}},
        ["1 人在 40 秒内拍照 3 次"],
        ["One person took 3 photos in 40 s"],
    ),
    (
        {"kind": "orientation_pattern", "facts": {"up": 18, "judged": 20, "usual_rate": 0.2, "p_value": 0.00002}},
        ["20 件包裹中 18 件面单朝上（平时约 4 件）", "碰巧这样摆放的可能性约为 1/50,000"],
        ["18 of 20 parcels lie label up (usually about 4)", "By chance this happens about once in 50,000 times"],
    ),
    (
        {"kind": "orientation_pattern", "facts": {"up": 9, "judged": 9, "usual_rate": 0.35, "p_value": 0.0}},
        ["9 件包裹中 9 件面单朝上（平时约 3 件）", "碰巧这样摆放的可能性低于 1/100,000"],
        ["9 of 9 parcels lie label up (usually about 3)", "By chance this happens less than once in 100,000 times"],
    ),
    (
        {"kind": "orientation_pattern", "facts": {"up": "many"}},
        ["这一片包裹的面单异常地多朝上"],
        ["Unusually many parcels here lie label up"],
    ),
    (
        {"kind": "lingering", "tracks": [1, 2]},
        ["2 人在货堆旁停留了 40 秒"],
        ["2 people stayed beside the parcels for 40 s"],
    ),
    (
        {"kind": "tamper"},
        ["画面被遮挡或镜头被移动，持续 40 秒"],
        ["The picture was covered or the camera moved for 40 s"],
    ),
    ({"kind": "something_new"}, ["something_new，持续 40 秒"], ["something_new, for 40 s"]),
]


@pytest.mark.parametrize(("changes", "zh", "en"), SENTENCES)
def test_sentences(sqlite_store: Store, envelope: Build, changes: dict[str, Any], zh: list[str], en: list[str]) -> None:
    sqlite_store.add_alerts([envelope(1, **changes)], NOON)
    incident = sqlite_store.feed()[0]
    assert [text.replace("\u00a0", " ") for text in explanation(incident, Phrases("zh"))] == zh
    assert [text.replace("\u00a0", " ") for text in explanation(incident, Phrases("en"))] == en
