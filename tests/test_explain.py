"""`check --explain` says what a configuration means, and `check` where it contradicts itself."""

from __future__ import annotations

import inspect
import json
import re
from datetime import date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

import detector.tools.explain
from detector.cli import main
from detector.config import EdgeConfig, Rules, Zone, load_edge
from detector.contradictions import contradictions
from detector.sentences import LANGUAGES
from detector.tools.explain import TEXTS, explain, lines
from tests.conftest import REPOSITORY

SITE = REPOSITORY / "configs" / "site.yaml"
WHOLE = [[0, 0], [1, 0], [1, 1], [0, 1]]
DAY_NIGHT = [
    {"name": "day", "begins": "08:00", "ends": "20:00"},
    {"name": "night", "begins": "20:00", "ends": "02:00"},
]
TODAY = date(2026, 11, 25)


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo("Asia/Shanghai")).timestamp()


def config(*zones: dict[str, Any], shifts: list[dict[str, Any]] | None = None, **more: Any) -> EdgeConfig:
    calendar = {"shifts": DAY_NIGHT if shifts is None else shifts, **more.pop("calendar", {})}
    camera = {"name": "cam", "source": "rtsp://10.0.0.1/1", "zones": list(zones)}
    return EdgeConfig.model_validate({"site": "s", "edge": "e", "calendar": calendar, "cameras": [camera], **more})


def zone(name: str = "bulk", kind: str = "storage", polygon: Any = WHOLE, **more: Any) -> dict[str, Any]:
    return {"name": name, "kind": kind, "polygon": polygon, **more}


def exempt(*exemptions: dict[str, Any], **policy: Any) -> dict[str, Any]:
    return {"policy": {**policy, "exemptions": [{"reason": "why", **e} for e in exemptions]}}


def told(of: EdgeConfig, when: str = "2026-11-25T22:30", language: str = "en") -> str:
    return "\n".join(lines(explain(of, at(when), language)))


# What it means


def test_the_sample_configuration_is_explained_in_both_languages() -> None:
    site = load_edge(SITE)
    english, chinese = told(site), told(site, language="zh")
    assert "Wed 2026-11-25 22:30: shift night, working time" in english
    assert "night: 20:00–02:00, Mon–Sat (past midnight, counted to the day it begins)" in english
    error = f"at most about {100 * site.rules.photo.error:g} % of stretches of anything else pass for a photo"
    assert error in english
    assert "at most 1 false alarm a month and zone" in english
    assert "blind corner: off" in english
    assert "周三 2026-11-25 22:30：班次 night、工作时间" in chinese
    assert "每区平均每月误报不超过 1 次" in chinese
    assert len(english.splitlines()) == len(chinese.splitlines())


def test_of_an_ignored_zone_it_is_said_that_photos_of_what_lies_there_do_not_count() -> None:
    mine = config(zone(), zone("counter", "ignore", [[0, 0], [0.5, 0], [0.5, 0.5]]))
    assert "counter: ignored: nothing here is looked at, and a photo of what lies here doesn't count" in told(mine)
    assert "counter：忽略：这里什么也不看，拍放在这里的包裹也不算" in told(mine, language="zh")


def test_an_exemption_is_told_with_its_conditions_and_whether_it_holds_then() -> None:
    inspector = {"phones": "allowed", "shifts": ["day"], "people": 1, "until": "2027-06-30"}
    mine = config(zone(**exempt(inspector)))
    noon, evening = told(mine, "2026-11-25T12:00"), told(mine)
    assert (
        "exemption “why”: photographing labels is fine, in shift day, while one person alone does it, "
        "until 2027-06-30; holds then"
    ) in noon
    assert "does not hold then" in evening
    assert "does not hold then" in told(mine, "2027-07-01T12:00")
    assert "then (Wed 2026-11-25 12:00) (one person alone): fine: photographing labels, scanning, being here" in noon
    assert (
        "then (Wed 2026-11-25 12:00) (2 people or more): fine: scanning, being here; "
        "raises: photographing labels → Warning (Critical from 4 on)"
    ) in noon


def test_a_rule_for_just_so_many_people_names_their_number_once() -> None:
    two, three = {"phones": "allowed", "people": 2}, {"staying": "allowed", "people": 3}
    five = {"scanners": "forbidden", "people": 5}
    mine = config(zone(**exempt(two, three, five)))
    english, chinese = told(mine, "2026-11-26T05:00"), told(mine, "2026-11-26T05:00", "zh")
    assert "outside the shifts (3 people): fine: being here; raises: photographing labels" in english
    assert "outside the shifts (4 to 5 people): raises: photographing labels" in english
    assert "班次以外（3 人时）：允许：停留在此；触发：拍面单" in chinese
    assert "班次以外（4 至 5 人）：触发：拍面单" in chinese


@pytest.mark.parametrize(
    ("when", "phones", "staying", "shift"),
    [
        ("2026-11-25T12:00", False, True, "day"),
        ("2026-11-26T01:00", False, True, "night"),
        ("2026-11-26T05:00", False, False, None),
        ("2026-12-25T12:00", False, False, None),
    ],
)
def test_what_holds_at_a_time(when: str, phones: bool, staying: bool, shift: str | None) -> None:
    explained = explain(config(zone(), calendar={"closed": ["2026-12-25"]}), at(when), "en")
    assert explained["at"]["shift"] == shift
    (then,) = explained["cameras"][0]["zones"][0]["then"]
    assert (then["phones"], then["scanners"], then["staying"], then["people"]) == (phones, True, staying, [1, None])


def test_the_severity_is_that_which_incidents_get() -> None:
    explained = explain(config(zone("edge", "blind_edge")), at("2026-11-26T05:00"), "en")
    shown = "\n".join(lines(explained))
    assert "being here → Warning" in shown
    assert (
        "out of sight for long → Note (Warning with parcels, often in a shift, or when nobody should be here)" in shown
    )
    assert "blind corner: out of sight for 3 min, or 3 times a shift for 30 s at least" in shown


def test_where_there_are_no_shifts_visits_of_a_blind_corner_are_those_of_a_day() -> None:
    shown = told(config(zone("edge", "blind_edge"), shifts=[]))
    assert "or 3 times a day for 30 s at least" in shown and "often in a day" in shown and "a shift" not in shown


def test_the_usual_share_of_a_zone_is_its_own_and_one_too_high_to_judge_is_said() -> None:
    tidy, bench = zone(label_up_rate=0.2), zone("bench", label_up_rate=0.9)
    shown = told(config(tidy, bench, rules={"orientation": {"learn": False}}))
    assert "usual share of labels up: fixed at 20 %" in shown
    assert "usual share of labels up: fixed at 90 %" in shown
    assert shown.count("a patch of labels facing up") == 1
    assert "labels lie up here as a rule, more than 75 % of them: no patch is told" in shown


def test_every_way_to_lose_a_camera_is_said_with_its_time() -> None:
    shown = told(config(zone(), rules={"tamper": {"silent_s": 40, "frozen_s": 90, "clock_step_s": 120}}))
    assert (
        "or its printed clock standing, for 90 s, its time set back by more than 2 min, or, live, no picture" in shown
    )
    assert "camera trouble → Warning (too dark out of hours → Note)" in shown
    assert "too dark out of hours" not in told(config(zone(), shifts=[]))


THRESHOLDS = [
    (rule, key)
    for rule, of in Rules.model_fields.items()
    for key in of.annotation.model_fields  # type: ignore[union-attr]
    if (rule, key) not in {("orientation", "learn"), ("orientation", "by_shift")}
]


@pytest.mark.parametrize(("rule", "key"), THRESHOLDS)
def test_a_threshold_that_is_changed_is_explained_otherwise(rule: str, key: str) -> None:
    edge = zone("edge", "blind_edge")  # a zone for which every rule is on
    usual = getattr(getattr(Rules(), rule), key)
    changed = config(edge, rules={rule: {key: usual / 2 if key in {"error", "usual_rate", "sure"} else usual + 1}})
    for language in LANGUAGES:
        is_same = told(changed, language=language) == told(config(edge), language=language)
        assert not is_same, f"rules.{rule}.{key} isn't explained, or the rule is off for the zone of this test"


# A value, other than when it is left out, of each setting that a zone may have beside its place and policy.
SETTINGS_OF_A_ZONE = {"label_up_rate": 0.2, "spot": "cage"}


@pytest.mark.parametrize("key", sorted(Zone.model_fields.keys() - {"name", "kind", "polygon", "policy"}))
def test_a_setting_of_a_zone_is_explained(key: str) -> None:
    assert key in SETTINGS_OF_A_ZONE, "name a value that is explained otherwise than none"
    for language in LANGUAGES:
        plain, changed = config(zone()), config(zone(**{key: SETTINGS_OF_A_ZONE[key]}))
        is_same = told(changed, language=language) == told(plain, language=language)
        assert not is_same, f"`_raised` of tools/explain.py says nothing of {key}"


def test_who_else_shows_the_spot_is_named() -> None:
    cage = zone("front", spot="cage")
    rear = {"name": "cam2", "title": "Cage, rear", "source": "b.mp4", "zones": [zone("rear", spot="cage")]}
    shown = told(config(cameras=[{"name": "cam1", "source": "a.mp4", "zones": [cage]}, rear]))
    assert "the same spot (cage) as Cage, rear / rear: what they tell of one event is told once" in shown
    assert "the same spot (cage) as cam1 / front" in shown
    alike = [{"name": name, "source": f"{name}.mp4", "zones": [cage]} for name in ("cam1", "cam2")]
    shown = told(config(cameras=alike))
    assert "(cage) as cam2 / front" in shown and "(cage) as cam1 / front" in shown
    assert "spot cage, which no other camera of this file shows" in told(config(cage, zone("b", spot="cage")))


def test_where_scanners_are_forbidden_scanning_raises() -> None:
    assert "scanning label after label → Warning" in told(config(zone(policy={"scanners": "forbidden"})))


def test_without_shifts_everything_holds_at_any_time() -> None:
    shown = told(config(zone(), shifts=[]))
    assert "none given: it is always working time" in shown
    assert "at any time: fine: scanning, being here" in shown


def test_low_scores_that_raise_nothing_are_named_and_the_camera_wins() -> None:
    mine = config(zone(), incidents={"least_score": {"lingering": 0.3, "tamper": 0.5}})
    camera = mine.cameras[0].model_copy(update={"least_score": {"lingering": 0.62}})
    shown = told(mine.model_copy(update={"cameras": [camera]}))
    assert "“Lingering” scored below 0.62 raises no incident" in shown
    assert "“Camera trouble” scored below 0.5 raises no incident" in shown


def test_every_text_is_used_and_both_languages_use_the_same_values() -> None:
    source = inspect.getsource(detector.tools.explain)
    code = source[source.index("WEEKDAYS") :]
    begun = ("kind_", "makes_")
    assert [key for key in TEXTS if f'"{key}"' not in code and not key.startswith(begun)] == []
    for chinese, english in TEXTS.values():
        # Chinese has no plural to choose.
        assert set(re.findall(r"{(\w+)", chinese)) | {"n"} == set(re.findall(r"{(\w+)", english)) | {"n"}


words = st.sampled_from(["allowed", "forbidden"])
exemptions = st.fixed_dictionaries(
    {"reason": st.just("why")},
    optional={
        "phones": words,
        "scanners": words,
        "staying": words,
        "people": st.integers(1, 4),
        "until": st.dates(date(2026, 11, 1), date(2026, 12, 31)),
        "shifts": st.lists(st.sampled_from(["day", "night", "none"]), max_size=2),
    },
)
zones = st.builds(
    lambda kind, phones, exemptions: zone("z", kind, policy={"phones": phones, "exemptions": exemptions}),
    st.sampled_from(["storage", "walkway", "packing", "blind_edge", "ignore"]),
    words,
    st.lists(exemptions, max_size=3),
)


@settings(deadline=None)
@given(st.lists(zones, max_size=3), st.booleans(), st.integers(0, 10**6), st.sampled_from(LANGUAGES))
def test_any_configuration_is_explained(made: list[Any], with_shifts: bool, minutes: int, language: str) -> None:
    mine = config(*made, shifts=None if with_shifts else [])
    explained = explain(mine, at("2026-01-01T00:00") + 60 * minutes, language)
    assert not re.search(r"None|[{}|]", "\n".join(lines(explained)))
    json.dumps(explained, allow_nan=False)
    for problem in contradictions(mine, SITE, TODAY):
        assert problem.reason and problem.hint


# Where it contradicts itself


HALF = [[0, 0], [0.5, 0], [0.5, 1], [0, 1]]
OTHER_HALF = [[0.5, 0], [1, 0], [1, 1], [0.5, 1]]
INNER = [[0.1, 0.1], [0.4, 0.1], [0.4, 0.9]]
CENTIMETRES = {"height_m": 320, "tilt_deg": 30, "fov_deg": 90}
CONTRADICTIONS = [
    pytest.param(config(zone(**exempt({"phones": "allowed", "until": "2026-11-24"}))),
                 "cameras[0].zones[0].policy.exemptions[0].until", "never will again", id="until is past"),
    pytest.param(config(zone(), incidents={"longest_s": 150, "join_s": 180}),
                 "incidents.longest_s", "which is over sooner", id="longest below join"),
    pytest.param(config(zone(**exempt({"phones": "allowed", "shifts": ["late"]}))),
                 "cameras[0].zones[0].policy.exemptions[0].shifts", "no shift is called late", id="unknown shift"),
    pytest.param(config(zone(**exempt({}))), "cameras[0].zones[0].policy.exemptions[0]", "says nothing", id="empty"),
    pytest.param(config(zone(**exempt({"scanners": "forbidden"}, scanners="forbidden"))),
                 "cameras[0].zones[0].policy.exemptions[0]", "changes nothing", id="as the policy"),
    pytest.param(config(zone(**exempt({"staying": "allowed", "shifts": ["day"]}))),
                 "cameras[0].zones[0].policy.exemptions[0].staying", "fine anyway", id="staying in a shift"),
    pytest.param(config(zone(**exempt({"phones": "allowed"}, {"phones": "forbidden", "people": 2}))),
                 "cameras[0].zones[0].policy.exemptions[1]", "exemptions[0] holds whenever", id="outdone"),
    pytest.param(config(zone(policy={"staying": "allowed"}), shifts=[]),
                 "cameras[0].zones[0].policy.staying", "always working time", id="staying without shifts"),
    pytest.param(config(zone(**exempt({"staying": "allowed"})), shifts=[]),
                 "cameras[0].zones[0].policy.exemptions[0].staying", "always working time", id="exempt without shifts"),
    pytest.param(config(zone("a", polygon=INNER), zone("b", "ignore", HALF), zone("c")),
                 "cameras[0].zones[0].polygon", "wholly in what is ignored", id="ignored"),
    pytest.param(config(zone("a", polygon=HALF), zone("b", "walkway", INNER)),
                 "cameras[0].zones[1].polygon", "zones before it", id="hidden"),
    pytest.param(config(zone("a", polygon=HALF), zone("b", "blind_edge", INNER, policy={"staying": "allowed"})),
                 "cameras[0].zones[1].policy", "zones before it", id="policy of a hidden mouth"),
    pytest.param(config(zone("a", "ignore", HALF), zone("b", "blind_edge", INNER)),
                 "cameras[0].zones[1].polygon", "wholly in what is ignored", id="an ignored mouth"),
    pytest.param(config(zone("a", polygon=INNER), zone("a")), "cameras[0].zones[1].name", "given twice", id="twice"),
    pytest.param(config(zone("a", "blind_edge", INNER), zone("a")),
                 "cameras[0].zones[1].name", "given twice", id="of a mouth and another"),
    pytest.param(config(zone(), zone("b", "ignore", INNER, policy={"phones": "allowed"})),
                 "cameras[0].zones[1].policy", "ignored zone", id="policy of what is ignored"),
    pytest.param(config(zone(kind="walkway", label_up_rate=0.3)),
                 "cameras[0].zones[0].label_up_rate", "only storage", id="rate of a walkway"),
    pytest.param(config(zone(), zone("b", "ignore", INNER, label_up_rate=0.3)),
                 "cameras[0].zones[1].label_up_rate", "only storage", id="rate of what is ignored"),
    pytest.param(config(zone(), zone("b", "ignore", INNER, spot="cage")),
                 "cameras[0].zones[1].spot", "nothing in an ignored zone", id="spot of what is ignored"),
    pytest.param(config(zone(), shifts=[*DAY_NIGHT, {"name": "noon", "begins": "11:00", "ends": "13:00"}]),
                 "calendar.shifts[2]", "noon is never on", id="shift never on"),
    pytest.param(config(zone(), shifts=[], rules={"orientation": {"by_shift": True}}),
                 "rules.orientation.by_shift", "no shifts", id="by shift without shifts"),
    pytest.param(config(zone(), rules={"orientation": {"by_shift": True, "learn": False}}),
                 "rules.orientation.by_shift", "no rate is learned", id="by shift without learning"),
    pytest.param(config(zone(), rules={"lingering": {"after_s": 20}}),
                 "rules.lingering.crouched_after_s", "lingering already", id="crouching later than lingering"),
    pytest.param(config(zone(), rules={"blind_edge": {"visit_s": 200}}),
                 "rules.blind_edge.visit_s", "told already", id="visits longer than being away"),
    pytest.param(config(zone(), rules={"sweep": {"window_s": 7200}}),
                 "rules.sweep.window_s", "forgotten after 3600 s", id="photos further apart than they are remembered"),
    pytest.param(config(zone(), rules={"blind_edge": {"away_s": 20_000}}),
                 "rules.blind_edge.away_s", "believed inside after 14400 s", id="away for longer than is believed"),
    pytest.param(config(zone(), rules={"tamper": {"after_s": 3600}}),
                 "rules.tamper.after_s", "usual one after 1800 s", id="turned for longer than until that is usual"),
    pytest.param(config(zone(), analysis={"fps": 0.8}), "analysis.fps", "1.25 s apart", id="too few looks for an act"),
    pytest.param(config(zone(), analysis={"zooms": 0}), "analysis.zooms", "nobody is looked at closely",
                 id="no close look"),
    pytest.param(config(zone(), rules={"photo": {"gap_s": 0.15}}), "analysis.fps", "after 0.15 s",
                 id="an act that ends between two looks"),
    pytest.param(config(zone(), cameras=[{"name": "a", "source": "rtsp://10.0.0.2/1"},
                                         {"name": "b", "source": "rtsp://10.0.0.2/1"}]),
                 "cameras[1].source", "is that of a, too", id="one address twice"),
    pytest.param(config(zone(), cameras=[{"name": "a", "source": "x.mp4", "mounting": CENTIMETRES}]),
                 "cameras[0].mounting.height_m", "320 m above", id="centimetres for metres"),
]  # fmt: skip


@pytest.mark.parametrize(("mine", "key", "reason"), CONTRADICTIONS)
def test_a_contradiction_is_told_by_key_with_reason_and_hint(mine: EdgeConfig, key: str, reason: str) -> None:
    (problem,) = contradictions(mine, SITE, TODAY)
    assert (problem.file, problem.key) == (str(SITE), key)
    assert reason in problem.reason
    assert problem.hint


@pytest.mark.parametrize(
    "mine",
    [
        pytest.param(load_edge(SITE), id="the sample"),
        pytest.param(load_edge(REPOSITORY / "configs/demo/demo.yaml"), id="the demo"),
        pytest.param(config(zone(**exempt({"phones": "allowed", "until": "2026-11-25"}))), id="until today"),
        pytest.param(
            config(zone(**exempt({"phones": "forbidden", "people": 1}, {"phones": "allowed"}))), id="one alone may not"
        ),
        pytest.param(config(zone("a", polygon=HALF), zone("b")), id="zones that overlap"),
        pytest.param(config(zone("a", polygon=HALF), zone("b", "blind_edge", INNER)), id="a mouth in an earlier zone"),
        pytest.param(config(zone(), analysis={"fps": 0.9}), id="just enough looks for an act"),
        pytest.param(config(zone(**exempt({"phones": "allowed"}, {"staying": "allowed"}))), id="of other things"),
        pytest.param(
            config(zone("a", "blind_edge", HALF), zone("a", "blind_edge", OTHER_HALF)), id="two mouths of one place"
        ),
        pytest.param(
            config(zone(), shifts=[*DAY_NIGHT, {"name": "early", "begins": "01:00", "ends": "08:00"}]), id="overlapping"
        ),
        pytest.param(config(zone(), shifts=[{**DAY_NIGHT[0], "days": ["sat"]}, DAY_NIGHT[0]]), id="a shift twice"),
    ],
)  # fmt: skip
def test_what_makes_sense_is_no_contradiction(mine: EdgeConfig) -> None:
    assert contradictions(mine, SITE, TODAY) == []


# The command


def write(folder: Path, **changes: Any) -> Path:
    camera = {"name": "cam", "source": "rtsp://10.0.0.1/1", "zones": [zone(**changes.pop("zone", {}))]}
    tree = {"site": "s", "edge": "e", "calendar": {"shifts": DAY_NIGHT}, "cameras": [camera], **changes}
    path = folder / "edge.yaml"
    path.write_text(yaml.safe_dump(tree, allow_unicode=True), encoding="utf-8")
    return path


def test_a_time_without_a_zone_is_the_sites_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path, timezone="America/New_York")
    for when in ("2026-11-25T22:30", "2026-11-26T03:30:00+00:00"):
        assert main(["check", str(path), "--explain", "--at", when, "--language", "en"]) == 0
        assert "Wed 2026-11-25 22:30: shift night" in capsys.readouterr().out


def test_a_time_that_comes_twice_is_explained_with_its_zone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path, timezone="America/New_York")
    for when, zone_name in (("T01:30", "EDT"), ("T01:30-05:00", "EST")):
        assert main(["check", str(path), "--explain", "--at", f"2026-11-01{when}", "--language", "en"]) == 0
        assert f"Sun 2026-11-01 01:30 {zone_name}: " in capsys.readouterr().out


@pytest.mark.parametrize(("when", "code"), [("2026-12-31T23:00", 0), ("2027-01-01T01:30", 0), ("2027-01-01T02:00", 2)])
def test_an_exemption_until_the_last_of_december_goes_on_in_the_night_shift(
    when: str, code: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path, zone=exempt({"phones": "allowed", "until": "2026-12-31"}))
    assert main(["check", str(path), "--at", when]) == code
    assert ("never will again" in capsys.readouterr().out) is (code == 2)


def test_the_language_is_that_of_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = str(write(tmp_path))
    monkeypatch.delenv("LC_ALL", raising=False)
    monkeypatch.delenv("LC_MESSAGES", raising=False)
    for locale, word in (("zh_CN.UTF-8", "摄像机 cam"), ("en_GB.UTF-8", "Camera cam"), ("C", "Camera cam")):
        monkeypatch.setenv("LANG", locale)
        assert main(["check", path, "--explain"]) == 0
        assert word in capsys.readouterr().out


def test_problems_come_with_the_explanation_and_exit_with_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(write(tmp_path, zone=exempt({"phones": "allowed", "shifts": ["late"]})))
    assert main(["check", path]) == 2
    assert "no shift is called late" in capsys.readouterr().out
    assert main(["check", path, "--explain", "--language", "en"]) == 2
    shown = capsys.readouterr().out
    assert "no shift is called late" in shown
    assert "Camera cam" in shown
    assert main(["check", path, "--explain", "--json"]) == 2
    as_json = json.loads(capsys.readouterr().out)
    assert as_json["problems"][0]["key"] == "cameras[0].zones[0].policy.exemptions[0].shifts"
    assert as_json["explanation"]["cameras"][0]["zones"][0]["exemptions"] == [{"reason": "why", "holds": False}]


def test_an_exemption_that_is_over_stops_no_worker(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(write(tmp_path, zone=exempt({"phones": "allowed", "until": date(2026, 11, 24)})))
    assert main(["check", path, "--at", "2026-11-24T12:00"]) == 0
    assert main(["check", path, "--at", "2026-11-25T12:00"]) == 2
    load_edge(Path(path))


def test_what_cannot_be_explained_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(REPOSITORY / "configs/hub.yaml"), "--explain"]) == 2
    assert "nothing to explain" in capsys.readouterr().out
    assert main(["check", str(tmp_path / "gone.yaml"), "--explain"]) == 2
    assert "can't be read" in capsys.readouterr().out
    assert main(["check", str(write(tmp_path)), "--explain", "--at", "tonight"]) == 2
    assert "not a time: tonight" in capsys.readouterr().err
