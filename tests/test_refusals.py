"""What an edge refuses, from its own code to a sentence in the reader's language."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path
from string import Formatter
from typing import Any

import pytest

import detector.contradictions
from detector import wire
from detector.config import Calendar, Camera, EdgeConfig
from detector.config.working_time import Shift
from detector.edge.zoned import FILE, Zoned
from detector.errors import Cause
from detector.hub.pages.refusals import refusals
from detector.hub.texts import TEXTS, Phrases
from detector.tuned import Tuned
from tests.test_zoned import LEFT, command, zone

SHIFTS = Calendar(shifts=[Shift(name="day", begins="08:00", ends="20:00")])
PAST = "2020-01-01"


def edge(folder: Path, calendar: Calendar = Calendar()) -> EdgeConfig:  # noqa: B008  (frozen)
    cameras = [Camera(name="cam1", source="x.mp4")]
    return EdgeConfig(site="north", edge="box-1", data_dir=folder, cameras=cameras, calendar=calendar)


def exempt(*exemptions: dict[str, Any], **policy: str) -> dict[str, Any]:
    """A zone with these exemptions from its policy."""
    return zone(
        "bulk", polygon=LEFT, policy={**policy, "exemptions": [{"reason": "stock-taking", **one} for one in exemptions]}
    )


@pytest.mark.parametrize(
    ("zones", "causes", "zh"),
    [
        ([zone("a"), zone("a", polygon=LEFT)], [("name_twice", {})], "cam1：a 这个名字用了两次"),
        ([zone("a", "roof")], [("zone_malformed", None)], "cam1：有一个区域的内容边缘设备读不懂"),
        ([zone(f"z{n}") for n in range(21)], [("malformed", None)], "边缘设备读不懂这次改动"),
        ([zone("a", "ignore", policy={"phones": "allowed"})], [("policy_ignored", {})], "a 是忽略区"),
        ([zone("a", "ignore", spot="cage")], [("spot_ignored", {})], "a 是忽略区"),
        ([zone("a", "walkway", label_up_rate=0.2)], [("rate_not_storage", {})], "a 不是堆放区"),
        ([zone("a", policy={"staying": "allowed"})], [("staying_anyway", {})], "没有班次就一直算上班时间"),
        ([exempt({"phones": "allowed", "until": PAST})], [("exemption_over", {"until": PAST})], f"到 {PAST} 为止"),
        (
            [exempt({"phones": "allowed", "shifts": ["night"]})],
            [("exemption_no_shift", {"shift": "night"})],
            "班次 night 不存在",
        ),
        ([exempt({})], [("exemption_empty", {})], "什么都没写"),
        ([exempt({"staying": "allowed", "shifts": ["day"]})], [("exemption_in_shifts", {})], "只写了上班时可以停留"),
        ([exempt({"phones": "allowed"}, phones="allowed")], [("exemption_same", {})], "和规定写的一样"),
        ([exempt({"phones": "allowed"}, {"phones": "forbidden"})], [("exemption_outdone", {})], "被前面的一条盖住"),
        ([zone("b"), zone("a"), zone("a")], [("name_twice", {})], "a 这个名字用了两次"),  # covered zones are the hub's
    ],
)
def test_zones_are_refused_in_words_and_as_codes(
    tmp_path: Path, zones: list[Any], causes: list[tuple[str, dict[str, str] | None]], zh: str
) -> None:
    zoned = Zoned(edge(tmp_path, SHIFTS if "exemption" in causes[0][0] else Calendar()))
    zoned.accept(command(1, {"cam1": zones}))
    told = zoned.health()
    assert (told["refused"] and told["refused_version"] == 1) or causes == [("malformed", None)]
    assert [one["code"] for one in told["refused_causes"]] == [code for code, _ in causes]
    for one, (_, more) in zip(told["refused_causes"], causes, strict=True):
        assert more is None or {**one, "camera": "cam1", "zone": one["zone"], **more} == one
    assert zh in "\n".join(refusals(Phrases("zh"), told["refused_causes"]))
    zoned.accept(command(2, {"cam1": [zone("fine")]}))
    assert zoned.health()["refused_causes"] == []


def test_versions_and_disks_are_refused_as_codes(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    zoned, tuned = Zoned(edge(tmp_path / "a")), Tuned(edge(tmp_path / "a"))
    zoned.accept(command(5, {"cam1": [zone("new")]}))
    for version, code in (
        (4, {"code": "older", "version": 4, "in_force": 5}),
        (5, {"code": "same_version", "version": 5}),
    ):
        zoned.accept(command(version, {"cam1": [zone("other")]}))
        assert zoned.health()["refused_causes"] == [code]
    tuned.accept(wire.command_payload(1, {"cam1": {"theft": 0.5}}, user="owner", at=1000.0))
    assert tuned.health()["refused_causes"] == [{"code": "no_such_kind", "kind": "theft"}]
    tuned.accept(wire.command_payload(1, {"cam1": {"tamper": 7.0}}, user="owner", at=1000.0))
    assert tuned.health()["refused_causes"] == [{"code": "malformed"}]
    (tmp_path / "a" / FILE).unlink()
    (tmp_path / "a" / FILE).mkdir()
    zoned.accept(command(6, {}))
    assert zoned.health()["refused_causes"] == [{"code": "disk"}]


def test_every_code_that_contradictions_give_is_known() -> None:
    tree = ast.parse(inspect.getsource(detector.contradictions))
    found = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and ast.unparse(node.func) == "Found"]
    told = [arg.value for call in found for arg in call.args if isinstance(arg, ast.Constant)]
    codes = {text for text in told if isinstance(text, str) and re.fullmatch(r"[a-z]+(_[a-z]+)+", text)}
    assert len(codes) > 5
    assert codes - wire.REFUSALS.keys() == set(), "the hub would leave them out: wire/refusals.py"


@pytest.mark.parametrize("language", TEXTS)
def test_every_code_has_words_of_each_language_that_take_its_values(language: str) -> None:
    for code, names in wire.REFUSALS.items():
        text = TEXTS[language][f"refused_{code}"]
        used = {name for _, name, _, _ in Formatter().parse(text) if name}
        assert used == {*names} - {"camera"}, code
        (line,) = refusals(Phrases(language), wire.causes_payload([Cause(code, dict.fromkeys(names, "x1"))]))
        assert line and "{" not in line


@pytest.mark.parametrize(
    "said",
    [
        None, {}, "older", [None, 3, "x"], [{"code": "of a newer edge", "zone": "a"}], [{"code": "name_twice"}],
        [{"code": ["older"]}], [{"code": "older", "version": {}, "in_force": 1}],
    ],
)  # fmt: skip
def test_what_this_hub_does_not_know_is_left_to_the_edge_s_own_words(said: Any) -> None:
    assert refusals(Phrases("zh"), said) == []


def test_of_what_an_edge_says_little_is_believed() -> None:
    said = [{"code": "name_twice", "camera": "c" * 9999, "zone": "z" * 9999}] * 9999
    lines = refusals(Phrases("en"), said)
    assert len(lines) == 10 and len(max(lines, key=len)) < 300
