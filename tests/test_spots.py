"""A replay of several cameras that see one spot tells and counts it once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.alerts.cutting import cut_recording
from detector.cli import main
from detector.clock import iso
from detector.recorded.spots import shown, told_once
from detector.values import MEANWHILE_S
from tests.conftest import REPOSITORY

NOON = 1_793_505_600.0
CLIP = REPOSITORY / "configs" / "demo" / "sweep_near.mp4"


def line(name: str, camera: str, *, begun: float = 0.0, lasting: float = 40.0, **changes: Any) -> dict[str, Any]:
    """What `incidents.jsonl` tells of one, as far as it matters here; when it began, as seconds after noon."""
    times = {"started_at": iso(NOON + begun), "ended_at": iso(NOON + begun + lasting)}
    fields = {"id": name, "camera": camera, "kind": "label_photography", "severity": "warning", "spot": "cage"}
    return {**fields, "facts": {"photos": 3}, **times, **changes}


IN_DOUBT: dict[str, Any] = {"facts": {"photos": 3, "unsure": True}}
LINGERED: dict[str, Any] = {"findings": ["label_photography", "lingering"]}
PATTERN: dict[str, Any] = {"kind": "orientation_pattern", "findings": ["orientation_pattern", "lingering"]}


@pytest.mark.parametrize(
    ("changes", "same_as"),
    [
        ({}, "near"),
        ({"begun": 40 + MEANWHILE_S - 1}, "near"),
        ({"begun": 40 + MEANWHILE_S + 1}, None),
        ({"spot": "dock"}, None),
        ({"camera": "cam3"}, None),
        ({"kind": "lingering"}, None),
        (LINGERED, "near"),
        (IN_DOUBT, "near"),
        (PATTERN, None),
    ],
)
def test_what_another_camera_saw_of_the_spot_is_marked(changes: dict[str, Any], same_as: str | None) -> None:
    told = told_once([line("near", "cam3"), line("across", **{"camera": "cam4", "begun": 1.0, **changes})])
    assert [one["id"] for one in told] == ["near", "across"]
    assert told[1].get("same_as") == same_as and "same_as" not in told[0]


def test_the_gravest_is_shown_whichever_began_first() -> None:
    told = told_once([line("near", "cam3"), line("across", "cam4", begun=5, severity="critical"), line("up", "cam5")])
    assert [one.get("same_as") for one in told] == ["across", None, "across"]


@pytest.mark.parametrize(
    ("first", "sweep", "is_shown"),
    [
        (IN_DOUBT, {}, [False, True]),
        ({**IN_DOUBT, "severity": "critical"}, {}, [True, True]),
        ({**PATTERN, "severity": "critical"}, LINGERED, [True, True]),
        ({"kind": "lingering"}, LINGERED, [False, True]),
        (LINGERED, {}, [True, False]),
    ],
    ids=["in doubt", "in doubt, and graver", "a pattern with a stay", "a stay", "a sweep with a stay"],
)
def test_no_sweep_is_told_by_what_tells_of_none(
    first: dict[str, Any], sweep: dict[str, Any], is_shown: list[bool]
) -> None:
    told = told_once([line("near", "cam3", **first), line("across", "cam4", begun=2, **sweep)])
    assert ["same_as" not in one for one in told] == is_shown


LINES = st.lists(
    st.builds(
        line,
        st.uuids().map(str),
        st.sampled_from(["cam3", "cam4", "cam5"]),
        begun=st.floats(0, 600),
        lasting=st.floats(0, 300),
        severity=st.sampled_from(["info", "warning", "critical"]),
        kind=st.sampled_from(["lingering", "label_photography"]),
        spot=st.sampled_from(["cage", "dock", None]),
    ),
    max_size=12,
)


@given(LINES)
def test_nothing_is_lost_and_no_double_stands_for_another(lines: list[dict[str, Any]]) -> None:
    told = told_once(lines)
    assert [{**one, "same_as": None} for one in told] == [{**one, "same_as": None} for one in lines]
    kept = {one["id"]: one for one in shown(told)}
    for one in told:
        if "same_as" in one:
            other = kept[one["same_as"]]
            assert other["camera"] != one["camera"] and other["spot"] == one["spot"] is not None


def test_a_replay_of_two_cameras_counts_it_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    zones = "[{name: %s, kind: storage, polygon: [[0, 0], [1, 0], [1, 1], [0, 1]], spot: cage}]"
    cameras = "".join(
        f"  - {{name: {name}, title: {title}, source: 'rtsp://127.0.0.1/{name}', zones: {zones % zone}}}\n"
        for name, title, zone in (("cam3", "东侧", "bulk"), ("cam4", "西侧", "rear"))
    )
    config = tmp_path / "edge.yaml"
    seldom = "analysis: {fps: 3}\n"  # enough for three photos that are near, and for nothing that matters here
    config.write_text(f"site: shanghai\nedge: box1\n{seldom}cameras:\n{cameras}", encoding="utf-8")
    photos = cut_recording(CLIP, 2.0, 11.0, tmp_path / "cut" / "photos.mp4").path.read_bytes()
    for name in ("cam3", "cam4"):  # the same to the byte would be read once: an empty box of their format is between
        (tmp_path / f"{name}.mp4").write_bytes(photos + b"\0\0\0\x08free" * (name == "cam4"))
    files = [str(tmp_path / f"{name}.mp4") for name in ("cam3", "cam4")]
    out = tmp_path / "out"
    start = "2026-11-01T04:00:00Z"
    assert main(["replay", *files, "--config", str(config), "--start", start, "--out", str(out)]) == 0
    lines = [json.loads(text) for text in (out / "incidents.jsonl").read_text(encoding="utf-8").splitlines()]
    sweeps = [one for one in lines if one["kind"] == "label_photography"]
    assert [(one["camera"], one["zone"]) for one in sorted(sweeps, key=lambda one: one["camera"])] == [
        ("cam3", "bulk"), ("cam4", "rear"),
    ]  # fmt: skip
    (counted,) = shown(sweeps)
    summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    assert summary["incidents"]["label_photography"] == 1
    report = (out / "report.html").read_text(encoding="utf-8")
    other = "西侧" if counted["camera"] == "cam3" else "东侧"
    assert f"{other} 也拍到了，这里只算一次" in report and f"{other} saw it too" in report
    exposed = (out / "exposed.csv").read_text(encoding="utf-8-sig").splitlines()
    assert len(exposed) == 2 and f",{counted['labels_exposed']['best']}," in exposed[1]
    assert (out / "incidents.csv").read_text(encoding="utf-8-sig").count(counted["id"]) >= 2, "the other names it"
