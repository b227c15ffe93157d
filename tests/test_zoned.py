"""Zones from the hub: taken or refused as a whole, kept over restarts, and told to whoever reads the file."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from detector import cli, wire
from detector.config import Calendar, Camera, EdgeConfig, Exemption, Policy, Shift, Zone, load_edge, zones_as_yaml
from detector.edge.in_force import in_force
from detector.edge.zoned import Zoned
from detector.errors import WireError
from detector.tuned import Tuned
from tests.builders import SteppedClock

WHOLE = [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]
LEFT = [[0.0, 0.0], [0.5, 0.0], [0.5, 1.0], [0.0, 1.0]]
BOW_TIE = [[0.0, 0.0], [1.0, 1.0], [1.0, 0.0], [0.0, 0.8]]


def zone(name: str = "bulk", kind: str = "storage", polygon: list[list[float]] = WHOLE, **more: Any) -> dict[str, Any]:
    """A zone as a command has it."""
    return {"name": name, "kind": kind, "polygon": polygon, **more}


def edge(folder: Path, *names: str, zones: list[Zone] | None = None) -> EdgeConfig:
    """An edge with these cameras; `zones` are those of the first."""
    cameras = [Camera(name=name, source="x.mp4") for name in names]
    if zones is not None:
        cameras[0] = cameras[0].model_copy(update={"zones": zones})
    return EdgeConfig(site="north", edge="box-1", data_dir=folder, cameras=cameras)


def command(version: int, state: dict[str, Any]) -> bytes:
    """As the hub writes it."""
    return wire.command_payload(version, state, user="anna", at=1_793_505_600.0)


def names(zoned: Zoned, camera: str = "cam1") -> list[str]:
    return [zone.name for zone in zoned.camera(camera).zones]


@pytest.fixture
def zoned(tmp_path: Path) -> Zoned:
    return Zoned(edge(tmp_path, "cam1", "cam2"))


def test_a_command_is_in_force_at_once_and_other_cameras_are_not_disturbed(zoned: Zoned) -> None:
    one, two = zoned.camera("cam1"), zoned.camera("cam2")
    assert names(zoned) == ["all"] and zoned.drawn == frozenset()
    zoned.accept(command(1, {"cam1": [zone("bulk", polygon=LEFT), zone("desk", "packing")]}))
    assert names(zoned) == ["bulk", "desk"] and zoned.drawn == {"cam1"}
    assert zoned.camera("cam1") is not one and zoned.camera("cam2") is two
    told = {"version": 1, "refused": None, "refused_version": None, "refused_causes": []}
    assert zoned.health() == told and zoned.news.is_set()
    zoned.accept(command(2, {}))
    assert names(zoned) == ["all"] and zoned.drawn == frozenset()


def test_what_is_in_force_outlives_a_restart(tmp_path: Path, zoned: Zoned) -> None:
    zoned.accept(command(7, {"cam1": [zone("bulk", label_up_rate=0.2)], "cam2": []}))
    again = Zoned(edge(tmp_path, "cam1", "cam2"))
    assert (again.version, names(again), names(again, "cam2")) == (7, ["bulk"], [])
    assert again.camera("cam1").zones[0].label_up_rate == 0.2
    again.accept(command(7, {"cam1": [zone("bulk", label_up_rate=0.2)], "cam2": []}))  # the broker brings it again
    assert again.refused is None


def test_a_camera_that_is_gone_holds_up_no_other(tmp_path: Path, zoned: Zoned) -> None:
    zoned.accept(command(1, {"cam1": [zone("a")], "cam2": [zone("b")]}))
    again = Zoned(edge(tmp_path, "cam2"))
    assert (again.drawn, names(again, "cam2")) == ({"cam2"}, ["b"])
    again.accept(command(1, {"cam1": [zone("a")], "cam2": [zone("b")]}))
    again.accept(command(2, {"cam1": [zone("a")], "cam2": [zone("c")]}))
    assert (again.refused, names(again, "cam2")) == (None, ["c"])


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ({"cam1": [zone("a"), zone("a", polygon=LEFT)]}, "the name a is given twice"),
        ({"cam1": [zone("a", "ignore"), zone("b", polygon=LEFT)]}, "b lies wholly in what is ignored (make a smaller)"),
        (
            {"cam1": [zone("a"), zone("b", polygon=LEFT)]},
            "b lies wholly in zones before it, which win (put it before a)",
        ),
        ({"cam1": [zone("a", polygon=BOW_TIE)]}, "its edges cross or touch"),
        ({"cam1": [zone("a", polygon=WHOLE[:2])]}, "at least 3 items"),
        ({"cam1": [zone("a", polygon=[[0, 0], [2, 0], [1, 1]])]}, "less than or equal to 1"),
        ({"cam1": [zone("a", "roof")]}, "Input should be 'storage'"),
        ({"cam1": [zone("a b")]}, "should match pattern"),
        ({"cam1": [zone("a", colour="red")]}, "Extra inputs"),
        ({"cam1": [zone("a", "walkway", label_up_rate=0.2)]}, "only storage zones"),
        ({"cam1": [zone("a", "ignore", policy={"phones": "allowed"})]}, "nothing in an ignored zone"),
        ({"cam1": [zone(f"z{n}") for n in range(21)]}, "more than 20 zones"),
        ({"cam1": "all"}, "has no list of zones"),
    ],
)
def test_what_can_t_be_is_refused_with_the_reason_and_nothing_changes(
    zoned: Zoned, tmp_path: Path, state: dict[str, Any], reason: str
) -> None:
    zoned.accept(command(3, {"cam1": [zone("before")]}))
    zoned.accept(command(4, {"cam2": [zone("fine")], **state}))
    assert zoned.refused is not None and reason in zoned.refused
    assert zoned.health()["version"] == 3
    assert (names(zoned), names(zoned, "cam2")) == (["before"], ["all"])
    assert (names(Zoned(edge(tmp_path, "cam1", "cam2")))) == ["before"]
    zoned.accept(command(5, {"cam1": [zone("after")]}))
    assert (zoned.refused, zoned.refused_version, names(zoned)) == (None, None, ["after"])


def test_an_older_version_and_another_state_of_the_same_are_refused(zoned: Zoned) -> None:
    zoned.accept(command(5, {"cam1": [zone("new")]}))
    zoned.accept(command(4, {"cam1": [zone("old")]}))
    assert zoned.refused and "older" in zoned.refused and zoned.refused_version == 4
    zoned.accept(command(5, {"cam1": [zone("other")]}))
    assert zoned.refused and "already" in zoned.refused and names(zoned) == ["new"]
    zoned.accept(command(5, {"cam1": [zone("new")]}))
    assert zoned.refused is None


def test_what_the_file_is_wrong_in_is_no_reason_to_refuse(tmp_path: Path) -> None:
    gone = Exemption(reason="audit", until=date(2020, 1, 1), phones="allowed")
    own = Zone(name="bulk", kind="storage", polygon=[(0, 0), (1, 0), (1, 1)], policy=Policy(exemptions=[gone]))
    zoned = Zoned(edge(tmp_path, "cam1", zones=[own]))
    kept = own.model_dump(mode="json", exclude_defaults=True)
    zoned.accept(command(1, {"cam1": [{**kept, "polygon": WHOLE}]}))
    assert zoned.refused is None and zoned.camera("cam1").zones[0].policy == own.policy


@pytest.mark.parametrize(
    ("cameras", "is_new"),
    [
        ({"cam1": ["bulk"]}, False),
        ({"cam1": ["renamed"]}, False),
        ({"cam1": ["bulk"], "cam2": ["bulk"]}, True),
        ({"cam1": ["shelf", "bulk"]}, True),
        ({"cam2": ["bulk"]}, True),
    ],
    ids=str,
)
def test_what_one_zone_is_wrong_in_already_is_no_reason_to_take_another_that_is(
    tmp_path: Path, cameras: dict[str, list[str]], is_new: bool
) -> None:
    gone = {"exemptions": [{"reason": "audit", "until": "2020-01-01", "phones": "allowed"}]}
    own = Zone.model_validate(zone("bulk", policy=gone), strict=False)
    zoned = Zoned(edge(tmp_path, "cam1", "cam2", zones=[own]))
    right = [[0.5, 0.0], [1.0, 0.0], [1.0, 1.0], [0.5, 1.0]]
    state = {
        camera: [zone(name, polygon=polygon, policy=gone) for name, polygon in zip(names, (LEFT, right), strict=False)]
        for camera, names in cameras.items()
    }
    zoned.accept(command(1, state))
    if not is_new:
        assert zoned.refused is None
        return
    (cause,) = zoned.causes
    drawn = {(camera, name) for camera, names in cameras.items() for name in names}
    (new,) = drawn - {("cam1", "bulk")}
    assert (cause.code, cause.values["camera"], cause.values["zone"]) == ("exemption_over", *new)


def test_an_exemption_that_is_over_by_now_holds_up_no_other_camera(tmp_path: Path) -> None:
    audit = {"reason": "audit", "until": "2026-11-30", "phones": "allowed"}
    one = [zone("a", policy={"exemptions": [audit]})]
    clock = SteppedClock(datetime(2026, 11, 30, tzinfo=UTC).timestamp())
    zoned = Zoned(edge(tmp_path, "cam1", "cam2"), clock)
    zoned.accept(command(1, {"cam1": one}))
    assert zoned.refused is None
    clock.sleep(2 * 86400.0)
    zoned.accept(command(2, {"cam1": one, "cam2": [zone("b")]}))
    assert (zoned.refused, names(zoned, "cam2")) == (None, ["b"])
    late = zone("c", policy={"exemptions": [audit | {"until": "2026-11-29"}]})
    zoned.accept(command(3, {"cam1": one, "cam2": [late]}))
    assert zoned.refused is not None and "held until 2026-11-29" in zoned.refused


def test_an_exemption_may_be_drawn_for_as_long_as_its_last_night_shift_is_on(tmp_path: Path) -> None:
    night = Calendar(shifts=[Shift(name="night", begins="22:00", ends="06:00")])
    last = zone("a", policy={"exemptions": [{"reason": "audit", "until": "2026-12-31", "phones": "allowed"}]})
    six = datetime(2027, 1, 1, 6, tzinfo=ZoneInfo("Asia/Shanghai")).timestamp()
    refused = []
    for at in (six - 1, six):
        (tmp_path / str(at)).mkdir()
        zoned = Zoned(edge(tmp_path / str(at), "cam1").model_copy(update={"calendar": night}), SteppedClock(at))
        zoned.accept(command(1, {"cam1": [last]}))
        refused.append(zoned.refused)
    assert refused[0] is None and refused[1] is not None and "held until 2026-12-31" in refused[1]


def test_a_disk_that_takes_nothing_refuses(tmp_path: Path) -> None:
    zoned = Zoned(edge(tmp_path / "missing", "cam1"))
    zoned.accept(command(1, {"cam1": [zone("a")]}))
    assert zoned.refused and "can't be kept" in zoned.refused and names(zoned) == ["all"]


@pytest.mark.parametrize("content", [b"", b"{", b"\0", b'{"schema":1,"version":1,"state":{"cam1":[{}]}}'])
def test_a_broken_file_is_passed_over(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "zoned.json").write_bytes(content)
    assert names(Zoned(edge(tmp_path, "cam1"))) == ["all"]


def test_a_withdrawn_command_changes_nothing(zoned: Zoned) -> None:
    zoned.accept(command(1, {"cam1": [zone("a")]}))
    zoned.news.clear()
    zoned.accept(b"")
    assert names(zoned) == ["a"] and not zoned.news.is_set()


# On the wire

SHARES = st.floats(0, 1, allow_nan=False)
POINTS = st.lists(st.tuples(SHARES, SHARES).map(list), min_size=3, max_size=wire.MOST_POINTS)
NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,20}", fullmatch=True)
ZONES = st.fixed_dictionaries({"name": NAMES, "kind": st.sampled_from(["storage", "ignore"]), "polygon": POINTS})
STATES = st.dictionaries(NAMES, st.lists(ZONES, max_size=4), max_size=3)


@settings(max_examples=50)
@given(st.integers(1, wire.LATEST_VERSION), STATES)
def test_a_command_comes_out_as_it_went_in(version: int, state: dict[str, Any]) -> None:
    got = wire.decode_zones(command(version, state))
    assert got[:2] == (version, state) and got[2] == wire.Said("anna", 1_793_505_600.0)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@given(JSON, JSON)
def test_nothing_that_may_come_brings_the_edge_down(version: Any, state: Any) -> None:
    payload = json.dumps({"schema": 1, "version": version, "state": state}).encode()
    try:
        wire.decode_zones(payload)
    except WireError:
        pass
    else:
        assert isinstance(state, dict)


@given(st.binary(max_size=60))
def test_noise_is_no_command(noise: bytes) -> None:
    with pytest.raises(WireError):
        wire.decode_zones(noise)


# For whoever reads the file

CONFIG = """
site: north
edge: box-1
data_dir: data
cameras:
  - name: cam1
    source: x.mp4
    zones:
      - {name: bulk, kind: storage, polygon: [[0, 0], [1, 0], [1, 1], [0, 1]]}
  - name: cam2
    source: x.mp4
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A configuration whose first camera has other zones from the hub."""
    path = tmp_path / "site.yaml"
    path.write_text(CONFIG)
    (tmp_path / "x.mp4").write_bytes(b"")
    (tmp_path / "data").mkdir()
    Zoned(load_edge(path)).accept(command(4, {"cam1": [zone("aisle", "walkway", LEFT)]}))
    return path


def test_check_tells_that_zones_were_drawn_at_the_hub(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["check", str(file)]) == 0
    told = capsys.readouterr()
    assert "cam1: its zones were drawn at the hub" in told.err and "last by anna, 2026-11-01T04:00:00" in told.err
    assert "cam2" not in told.err and told.out.endswith("fine\n")


def test_check_tells_of_a_camera_that_was_renamed_what_was_set_at_the_hub_for_it(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Tuned(load_edge(file)).accept(command(2, {"cam2": {"lingering": 0.9}}))
    file.write_text(CONFIG.replace("cam1", "gate").replace("cam2", "dock"))
    assert cli.main(["check", str(file)]) == 0
    told = capsys.readouterr().err
    assert "cam1: zones drawn at the hub for it hold nowhere" in told
    assert "cam2: scores set at the hub for it hold nowhere" in told


def test_check_tells_what_drawn_zones_speak_of_in_vain_since_the_file_was_changed(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    calendar = 'calendar: {shifts: [{name: NAME, begins: "20:00", ends: "06:00"}]}\n'
    policy = {"exemptions": [{"reason": "stocktaking", "shifts": ["night"], "phones": "allowed"}]}
    file.write_text(CONFIG + calendar.replace("NAME", "night"))
    drawn = Zoned(load_edge(file))
    drawn.accept(command(5, {"cam1": [zone("aisle", polygon=LEFT), zone("desk", policy=policy)]}))
    assert drawn.refused is None

    def told() -> str:
        assert cli.main(["check", str(file)]) == 0
        return capsys.readouterr().err

    assert "of its zones drawn" not in told()
    file.write_text(CONFIG + calendar.replace("NAME", "late"))
    assert "cam1: of its zones drawn at the hub, desk: no shift is called night: it never holds then" in told()


@pytest.mark.parametrize(
    ("language", "words"), [("zh", "区域是在监控中心的页面上画的"), ("en", "its zones were drawn at the hub")]
)
def test_explain_goes_by_what_is_in_force(
    file: Path, capsys: pytest.CaptureFixture[str], language: str, words: str
) -> None:
    assert cli.main(["check", "--explain", "--language", language, str(file)]) == 0
    told = capsys.readouterr().out
    assert words in told and "aisle" in told and "bulk" not in told


def test_explain_goes_by_the_thresholds_in_force(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Tuned(load_edge(file)).accept(command(2, {"cam1": {"label_photography": 0.93, "lingering": 0.0}}))
    assert cli.main(["check", "--explain", "--language", "en", str(file)]) == 0
    told = capsys.readouterr()
    one, two = told.out.split("Camera cam2")
    assert "“Labels photographed” scored below 0.93 raises no incident" in one and "scored below 0 " not in one
    assert "“Labels photographed” scored below 0.8 raises no incident" in two
    assert "cam1: label_photography scored below 0.93 raises no incident, as was set at the hub" in told.err


@pytest.mark.parametrize(("language", "words"), [("en", "it is switched off at the hub"), ("zh", "在监控中心关闭了")])
def test_explain_says_what_was_switched_off(
    file: Path, capsys: pytest.CaptureFixture[str], language: str, words: str
) -> None:
    Tuned(load_edge(file)).accept(command(2, {"cam1": {"lingering": wire.OFF}}))
    assert cli.main(["check", "--explain", "--language", language, str(file)]) == 0
    told = capsys.readouterr()
    assert told.out.count(words) == 1
    assert "cam1: lingering raises no incident at all, as was set at the hub" in told.err


def test_zones_are_printed_so_that_they_can_be_put_into_the_file(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["zones", str(file), "--camera", "cam1", "--yaml"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("# cam1: drawn at the hub, version 4\n")
    told = CONFIG.replace(
        "    zones:\n      - {name: bulk, kind: storage, polygon: [[0, 0], [1, 0], [1, 1], [0, 1]]}\n",
        printed.partition("\n")[2],
    )
    file.write_text(told)
    assert [zone.name for zone in load_edge(file).cameras[0].zones] == ["aisle"]
    assert cli.main(["zones", str(file), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["cameras"]["cam1"]["drawn"] is True
    assert cli.main(["zones", str(file), "--camera", "cam7"]) == 2


def test_without_commands_nothing_is_told(tmp_path: Path) -> None:
    config = edge(tmp_path, "cam1")
    held = in_force(config)
    assert (held.config, held.drawn, held.notices) == (config, frozenset(), ())


def test_written_zones_are_read_as_they_were() -> None:
    before = [
        Zone(name="bulk", kind="storage", polygon=[(0, 0), (0.123456, 0), (1, 1)], label_up_rate=0.3),
        Zone(name="desk", kind="packing", polygon=[(0, 0), (1, 0), (1, 1)], policy=Policy(phones="allowed")),
    ]
    text = zones_as_yaml(before)
    assert [Zone.model_validate(one) for one in yaml.safe_load(text)["zones"]] == before
    assert "polygon: [[0.0, 0.0], [0.123456, 0.0], [1.0, 1.0]]" in text
