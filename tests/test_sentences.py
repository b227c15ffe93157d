"""An incident's sentence says what is known, in the same words everywhere, and nothing that isn't known."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector import wire
from detector.facts import FACTS
from detector.sentences import EN, KIND_NAMES, LANGUAGES, SEVERITY_NAMES, ZH, clauses, count_range, sentence, sentences
from detector.values import Act, CountRange, Incident, IncidentKind, IncidentUpdate, Phase, Severity
from detector.wire.alerts import act_record
from tests.builders import act

NAMES = re.compile(r"{(\w+)")


def record(kind: str, seconds: float = 420.0, **fields: Any) -> dict[str, Any]:
    """A record of an incident that lasted so long."""
    return {"kind": kind, "started_at_unix": 1_793_505_600.0, "ended_at_unix": 1_793_505_600.0 + seconds, **fields}


def photos(number: int, track: int = 7) -> list[dict[str, Any]]:
    return [{"kind": "photo", "track": track}] * number


def timed(*acts: Act) -> list[dict[str, Any]]:
    return [act_record(each) for each in acts]


TABLE = [
    pytest.param(
        record(
            "label_photography",
            findings=["label_photography", "orientation_pattern"],
            labels_exposed={"low": 23, "best": 27, "high": 31},
            acts=photos(12),
            facts={"people": 1, "crouched": 1.0, "up": 18, "judged": 20, "usual_rate": 0.2},
        ),
        "7 分钟，1 人蹲着，拍照 12 次，暴露面单约 23–31 张；这一片 20 件包裹中 18 件面单朝上；平时 20 件中约 4 件",
        "7 minutes, one person squatting, 12 photos, 23–31 labels exposed; "
        "18 of 20 parcels in this patch were label up; usual here: 4 of 20",
        id="the case it exists for",
    ),
    pytest.param(
        record("label_photography", 40, labels_exposed={"low": 1, "best": 1, "high": 1}, acts=photos(1), tracks=[7]),
        "40 秒，1 人，拍照 1 次，暴露面单约 1 张",
        "40 seconds, one person, 1 photo, 1 label exposed",
        id="one of each",
    ),
    pytest.param(
        record(
            "label_photography",
            600,
            acts=photos(20),
            facts={"people": 2, "pace_per_min": 12.4, "along_row": True, "scans": 3, "out_of_hours": True},
        ),
        "10 分钟，2 人，拍照 20 次，每分钟 12 次，沿着一排拍过去，另外扫码 3 次，非工作时间",
        "10 minutes, 2 people, 20 photos, 12 a minute, along a row, 3 scans besides, out of hours",
        id="pace, row, scans and hours",
    ),
    pytest.param(
        record("label_photography", 60, acts=photos(3), facts={"people": 1, "other_zones": ["aisle", "dock"]}),
        "60 秒，1 人，拍照 3 次，还涉及区域 aisle、dock",
        "60 seconds, one person, 3 photos, also in aisle, dock",
        id="in several zones",
    ),
    pytest.param(
        record("label_photography", 60, acts=photos(3), facts={"people": 1, "other_zones": 7}),
        "60 秒，1 人，拍照 3 次",
        "60 seconds, one person, 3 photos",
        id="other zones that make no sense",
    ),
    pytest.param(
        record(
            "label_photography", acts=[*photos(2, track=1), *photos(1, track=2)], facts={"people": 1}, tracks=[1, 2]
        ),
        "7 分钟，1–2 人，拍照 3 次",
        "7 minutes, 1–2 people, 3 photos",
        id="two tracks may be one person",
    ),
    pytest.param(
        record(
            "label_photography",
            acts=[{"kind": "photo", "track": n} for n in range(9)],
            facts={"photos": 9, "people": 1},
        ),
        "7 分钟，至少 1 人，拍照 9 次",
        "7 minutes, at least one person, 9 photos",
        id="a track that broke again and again",
    ),
    pytest.param(
        record("label_photography", 60, facts={"photos": 4, "acts_told_earlier": 9}),
        "60 秒，拍照 4 次，接上一条告警",
        "60 seconds, 4 photos, carrying on from the alert before",
        id="goes on from an earlier incident",
    ),
    pytest.param(
        record("label_photography", 60, acts=photos(5), facts={"photos": 3, "scans": 1, "crouched": 0.4}, tracks=[7]),
        "60 秒，1 人，拍照 3 次，另外扫码 1 次",
        "60 seconds, one person, 3 photos, 1 scan besides",
        id="photos that are fine there don't count",
    ),
    pytest.param(
        record(
            "label_photography",
            60,
            facts={"photos": 0, "scans": 6, "crouched": 0.6, "people": 1},
            labels_exposed={"low": 3, "best": 4, "high": 5},
        ),
        "60 秒，1 人蹲着，扫码 6 次，暴露面单约 3–5 张",
        "60 seconds, one person squatting, 6 scans, 3–5 labels exposed",
        id="scans where scanners are forbidden",
    ),
    pytest.param(
        record("label_photography", 60, facts={"photos": 0, "scans": 6, "unsure": True, "people": 1}),
        "60 秒，1 人，扫码 6 次，不太确定",
        "60 seconds, one person, 6 scans, not sure",
        id="scans of which we aren't sure",
    ),
    pytest.param(
        record("orientation_pattern", facts={"up": 9, "judged": 9, "usual_rate": 0.35, "p_value": 0.0}),
        "这一片 9 件包裹中 9 件面单朝上；平时 9 件中约 3 件",
        "9 of 9 parcels in this patch were label up; usual here: 3 of 9",
        id="as stored by older edges",
    ),
    pytest.param(
        record("orientation_pattern", facts={"up": 9, "judged": 9, "usual_rate": 0.35, "usual_supposed": True}),
        "这一片 9 件包裹中 9 件面单朝上；此处平时情况尚未学到，先按 9 件中约 3 件算",
        "9 of 9 parcels in this patch were label up; supposed until what is usual here is learned: 3 of 9",
        id="where what is usual is a guess",
    ),
    pytest.param(
        record("orientation_pattern", facts={"up": 9, "judged": 9, "usual_rate": 0.35, "out_of_hours": True}),
        "这一片 9 件包裹中 9 件面单朝上；平时 9 件中约 3 件；非工作时间",
        "9 of 9 parcels in this patch were label up; usual here: 3 of 9; out of hours",
        id="a patch made out of hours",
    ),
    pytest.param(
        record(
            "lingering",
            findings=["orientation_pattern", "lingering"],
            facts={"up": 9, "judged": 9, "usual_rate": 0.35, "out_of_hours": True, "people": 1, "stay_s": 420},
        ),
        "7 分钟，1 人，停留在货堆旁，非工作时间；这一片 9 件包裹中 9 件面单朝上；平时 9 件中约 3 件",
        "7 minutes, one person, staying beside the parcels, out of hours; "
        "9 of 9 parcels in this patch were label up; usual here: 3 of 9",
        id="somebody beside it out of hours",
    ),
    pytest.param(
        record(
            "orientation_pattern",
            facts={"up": 18, "judged": 20, "turned_here": 6, "arrived_up": 3, "aligned": 0.9, "regular": True},
        ),
        "这一片 20 件包裹中 18 件面单朝上，其中 6 件是在这里翻的，3 件来时就朝上，摆得整齐，排成行列",
        "18 of 20 parcels in this patch were label up, 6 of them turned here, 3 arrived so, "
        "all lying square to each other, laid out in rows",
        id="turned, arrived, aligned, regular",
    ),
    pytest.param(
        record("orientation_pattern", facts={"up": 18, "judged": 20, "turned_here": 1, "arrived_up": 0, "lay_up": 17}),
        "这一片 20 件包裹中 18 件面单朝上，其中 1 件是在这里翻的，17 件在开始观察时就朝上",
        "18 of 20 parcels in this patch were label up, 1 of them turned here, 17 lay so when watching began",
        id="one turned after a restart",
    ),
    pytest.param(
        record("orientation_pattern", facts={"zone_up": 30, "zone_judged": 41}),
        "这个区域 41 件包裹中 30 件面单朝上",
        "30 of 41 parcels in this zone were label up",
        id="only the zone is known",
    ),
    pytest.param(
        record("orientation_pattern", facts={"up": "many"}),
        "这一片包裹的面单异常地多朝上",
        "Unusually many parcels in this patch were label up",
        id="a pattern of which nothing is known",
    ),
    pytest.param(
        record("lingering", facts={"stay_s": 250, "crouched_s": 40, "people": 2, "out_of_hours": True}),
        "4 分钟，2 人，停留在货堆旁，其中蹲着 40 秒，非工作时间",
        "4 minutes, 2 people, staying beside the parcels, squatting for 40 seconds of it, out of hours",
        id="lingering",
    ),
    pytest.param(
        record("lingering", facts={"stay_s": 1200, "people": 1, "told_before": True}),
        "20 分钟，1 人，停留在货堆旁，接上一条告警",
        "20 minutes, one person, staying beside the parcels, carrying on from the alert before",
        id="lingering that goes on",
    ),
    pytest.param(
        record(
            "label_photography",
            720,
            findings=["label_photography", "lingering"],
            acts=timed(*(act(at, at + 3, [7]) for at in (600, 608, 616, 624, 632))),
            labels_exposed={"low": 5, "best": 5, "high": 5},
            facts={"people": 1, "photos": 5, "stay_s": 720, "crouched_s": 30},
        ),
        "35 秒，1 人，拍照 5 次，暴露面单约 5 张，共停留 12 分钟，其中蹲着 30 秒",
        "35 seconds, one person, 5 photos, 5 labels exposed, stayed 12 minutes in all, squatting for 30 seconds of it",
        id="photos by somebody who stayed",
    ),
    pytest.param(
        record(
            "label_photography",
            720,
            findings=["label_photography", "lingering"],
            acts=timed(act(600, 603, [7])),
            facts={"people": 1, "photos": 500, "stay_s": 720},
        ),
        "12 分钟，1 人，拍照 500 次，共停留 12 分钟",
        "12 minutes, one person, 500 photos, stayed 12 minutes in all",
        id="photos by somebody who stayed, most of them left out of the record",
    ),
    pytest.param(
        record(
            "label_photography",
            300,
            findings=["label_photography", "blind_corner"],
            acts=timed(act(10, 14, [7]), act(36, 40, [8])),
            facts={"people": 1, "photos": 2, "away_s": 200},
        ),
        "30 秒，1 人，拍照 2 次，走到看不见的地方 3 分钟",
        "30 seconds, one person, 2 photos, out of sight for 3 minutes",
        id="photos before a blind corner",
    ),
    pytest.param(
        record("lingering", 600, facts={"stay_s": 600, "people": 1, "parcels": 0, "out_of_hours": True}),
        "10 分钟，1 人，停留在这里，非工作时间",
        "10 minutes, one person, staying here, out of hours",
        id="where nothing lies",
    ),
    pytest.param(
        record("lingering", 70, facts={"crouched_s": 65, "posture": "crouched", "people": 1}),
        "70 秒，1 人蹲着，停留在货堆旁",
        "70 seconds, one person squatting, staying beside the parcels",
        id="squatting most of the time",
    ),
    pytest.param(
        record("lingering", 120, facts={"crouched_s": 66, "posture": "mixed", "people": 1}),
        "2 分钟，1 人，停留在货堆旁，其中蹲着 66 秒",
        "2 minutes, one person, staying beside the parcels, squatting for 66 seconds of it",
        id="squatting for half of it, which the facts call now and then",
    ),
    pytest.param(
        record("blind_corner", facts={"away_s": 200, "still_inside": True, "carried": 2, "visits": 3, "people": 1}),
        "1 人，走到看不见的地方 3 分钟，还没有出来，带着包裹进去，本班第 3 次",
        "One person, out of sight for 3 minutes, not back yet, went in with parcels, visit 3 of this shift",
        id="blind corner",
    ),
    pytest.param(
        record("blind_corner", facts={"away_s": 31, "visits": 3, "people_inside": 1, "shift": None}),
        "1 人，走到看不见的地方 31 秒，当天第 3 次",
        "One person, out of sight for 31 seconds, visit 3 of this day",
        id="visits outside all shifts",
    ),
    pytest.param(
        record("tamper", 45, facts={"what": "covered", "lasted_s": 100}),
        "摄像机被遮挡，持续 2 分钟",
        "Camera covered for 2 minutes",
        id="covered",
    ),
    pytest.param(
        record("tamper", 45),
        "画面被遮挡或镜头被移动，持续 45 秒",
        "Camera covered or moved for 45 seconds",
        id="tamper",
    ),
    pytest.param(
        record("tamper", 0, facts={"what": "clock", "step_s": -3600}),
        "摄像机时间倒退了 1 小时",
        "The camera's time jumped 1 hour back",
        id="clock set back",
    ),
    pytest.param(
        record("tamper", 0, facts={"what": "hacked"}),
        "画面被遮挡或镜头被移动",
        "Camera covered or moved",
        id="a cause of a newer edge",
    ),
    pytest.param(record("something_new", 40), "something_new，40 秒", "something_new, 40 seconds", id="unknown kind"),
    pytest.param(
        record("something_new", sentence={"en": "Somebody sang", "zh": 5}),
        "something_new，7 分钟",
        "Somebody sang",
        id="words of a newer edge",
    ),
    pytest.param({}, "事件", "Incident", id="nothing at all"),
    pytest.param(
        record("tamper", 0, facts={"what": "covered", "ended_by": "restart"}),
        "摄像机被遮挡；边缘设备中途重启，之后的情况不明",
        "Camera covered; the edge was restarted meanwhile, what followed isn't known",
        id="cut off",
    ),
]


@pytest.mark.parametrize(("told", "zh", "en"), TABLE)
def test_sentences(told: dict[str, Any], zh: str, en: str) -> None:
    assert sentences(told) == {"zh": zh, "en": en}


@pytest.mark.parametrize(
    ("seconds", "zh", "en"),
    [
        (0, "0 秒", "0 seconds"),
        (1.2, "1 秒", "1 second"),
        (89, "89 秒", "89 seconds"),
        (90, "2 分钟", "2 minutes"),
        (3600, "1 小时", "1 hour"),
        (7_500, "2 小时 5 分", "2 h 5 min"),
        (3 * 86_400, "3 天", "3 days"),
    ],
)
def test_spans(seconds: float, zh: str, en: str) -> None:
    told = record("something_new", seconds)
    assert sentence(told, "zh").split("，")[1] == zh
    assert sentence(told, "en").split(", ")[1] == en


def test_an_incident_its_record_and_its_line_in_a_replay_say_the_same() -> None:
    acts = (act(1000, 1004, [1]), act(1010, 1012, [2]))
    incident = Incident(
        "id", "cam", IncidentKind.LABEL_PHOTOGRAPHY, Severity.WARNING, 0.9, "bulk", 1000.0, 1030.0, (1,), acts,
        CountRange(2, 2, 5), {"people": 1}, findings=(IncidentKind.LABEL_PHOTOGRAPHY, IncidentKind.LINGERING),
    )  # fmt: skip
    told = record(
        "label_photography", 30, findings=["label_photography", "lingering"], tracks=[1], acts=timed(*acts),
        labels_exposed={"low": 2, "best": 2, "high": 5}, facts={"people": 1},
    )  # fmt: skip
    offsets = [{"start_offset_s": a.started_at - 999, "end_offset_s": a.ended_at - 999} for a in acts]
    in_replay = {
        **told,
        "start_offset_s": 1.0,
        "end_offset_s": 31.0,
        "acts": [{"kind": "photo", "track": 1, **offset} for offset in offsets],
    }
    del in_replay["started_at_unix"], in_replay["ended_at_unix"]
    assert sentences(incident) == sentences(told) == sentences(in_replay)
    in_iso = {**in_replay, "started_at": "2026-11-01T09:26:13.250Z", "ended_at": "2026-11-01T09:26:43.250Z"}
    del in_iso["start_offset_s"]
    assert sentences(in_iso) == sentences(told)


def test_what_is_sent_says_itself_and_whether_to_notify() -> None:
    before = Incident(
        "id", "cam", IncidentKind.LINGERING, Severity.INFO, 0.9, "bulk", 1000.0, 1030.0, facts={"people": 1}
    )
    after = replace(before, severity=Severity.WARNING, findings=(IncidentKind.LINGERING,))
    for phase, earlier, notify in (
        (Phase.NEW, None, True),
        (Phase.UPDATE, before, True),
        (Phase.UPDATE, after, False),
        (Phase.END, after, False),
    ):
        sent = wire.envelope(IncidentUpdate(phase, earlier, after), site="s", edge="e", title="t", size=(10, 10))
        assert (sent["notify"], sent["after"]["findings"]) == (notify, ["lingering"])
        assert sent["after"]["sentence"] == sentences(after) == sentences(sent["after"])
        wire.encode(sent)


def test_what_an_older_edge_says_of_chance_is_not_repeated() -> None:
    told = record("orientation_pattern", facts={"up": 18, "judged": 20, "usual_rate": 0.2, "p_value": 0.00002})
    assert "50" not in sentence(told, "en")


def test_both_languages_have_the_same_texts() -> None:
    assert ZH.keys() == EN.keys()
    for key in ZH:
        assert set(NAMES.findall(ZH[key])) == set(NAMES.findall(EN[key])), key
    assert all({kind.value for kind in IncidentKind} == KIND_NAMES[language].keys() for language in LANGUAGES)
    assert all({severity.value for severity in Severity} == SEVERITY_NAMES[language].keys() for language in LANGUAGES)


def test_a_count_that_is_sure_is_one_number() -> None:
    assert (count_range(4, 4), count_range(3, 6)) == ("4", "3–6")


TOLD = (*FACTS, "p_value")  # the last by edges older than this program
ACTS = [{"kind": "photo", "track": 1}, {"kind": "photo"}, {"kind": []}]
KINDS = [*(kind.value for kind in IncidentKind), "something_new"]
junk = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.lists(st.none(), max_size=2),
    st.just({}), st.sampled_from(["crouched", "bending", "standing", "covered", "clock", "silent", "None", "{n}"]),
    st.integers(0, 40), st.floats(0, 900),
)  # fmt: skip
records = st.fixed_dictionaries(
    {"kind": st.sampled_from(KINDS)},
    optional={
        "findings": st.one_of(junk, st.lists(st.sampled_from(KINDS), max_size=4)),
        "facts": st.one_of(junk, st.dictionaries(st.sampled_from(TOLD), junk)),
        "started_at_unix": junk,
        "ended_at_unix": junk,
        "started_at": junk,
        "ended_at": junk,
        "acts": st.one_of(
            junk, st.lists(st.one_of(junk, st.just({"kind": "photo", "track": 1}), st.just({"kind": []})))
        ),
        "tracks": st.one_of(junk, st.lists(junk, max_size=3)),
        "labels_exposed": st.one_of(junk, st.dictionaries(st.sampled_from(["low", "best", "high"]), junk)),
    },
)


@settings(deadline=None, max_examples=200)
@given(records, st.sampled_from(LANGUAGES))
def test_whatever_is_known_makes_a_sentence(told: dict[str, Any], language: str) -> None:
    said = sentence(told, language)
    assert said.strip() == said != ""
    assert not re.search(r"None|nan|inf|True|False|[{}\[\]|]|  |，，|, ,", said), said
    assert not re.search(r"\b1 (photos|labels|minutes|seconds|hours|days|scans|people)\b|one people", said), said
    assert len(said) < 600
    assert all(clauses(told, language))


@settings(deadline=None)
@given(st.sets(st.sampled_from(TOLD)), st.sampled_from(KINDS), st.sampled_from(LANGUAGES))
def test_any_subset_of_facts_renders(names: set[str], kind: str, language: str) -> None:
    usual = dict.fromkeys(TOLD, 3) | {"what": "frozen", "posture": "crouched", "shift": "day", "usual_rate": 0.2}
    said = sentence(record(kind, facts={name: usual[name] for name in names}), language)
    assert said
    assert not re.search(r"None|[{}]", said)
