"""The pages say what the store holds, to people who are logged in."""

from __future__ import annotations

import io
import re
import tarfile
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from detector import wire
from detector.clock import iso
from detector.hub.storage.rights import Role
from detector.hub.storage.schema import gaps, retention
from tests.hub.conftest import make_act

NOON = 1_793_505_600.0
HOSTILE = '"><script>alert(1)</script>'


def text_of(answer: Any) -> str:
    """What a page says, without its mark-up."""
    assert answer.status_code == 200
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.text))


def test_an_empty_feed_says_that_somebody_is_watching(site: Any) -> None:
    assert "还没有摄像机接入" in text_of(site.client.get("/"))
    cameras = {f"cam{n}": {"age_s": n, "fps": 5} for n in range(2, 8)}
    site.store.edges.set_health("shanghai", "box1", {"cameras": cameras}, site.clock.now())
    page = text_of(site.client.get("/"))
    assert "6 台摄像机正常" in page and "11:59:58（2 秒前）看过" in page.replace("\u00a0", " ")
    assert "一切安静" in page


def test_how_long_ago_is_said_only_beside_the_time(site: Any) -> None:
    cameras = {"cam1": {"age_s": 7, "fps": 5}}
    site.store.edges.set_status("shanghai", "box1", "online", site.clock.now())
    for age_s in (7, 90_000):
        cameras["cam2"] = {"age_s": age_s, "fps": 5}
        site.store.edges.set_health("shanghai", "box1", {"cameras": cameras}, site.clock.now())
        for path in ("/cameras", "/health", *(["/"] if age_s == 7 else [])):
            page = text_of(site.client.get(path)).replace("\u00a0", " ")
            assert "11:59:53（7 秒前）" in page and ("昨天 11:00:00（" in page or age_s == 7), path
            assert re.findall(r"(?<!\d\d:\d\d:\d\d（)\b\d+ (?:秒|分|小时|天)[^（）]{0,9}前", page) == [], path


def test_silence_is_not_taken_for_peace(site: Any) -> None:
    cameras = [{"camera": "cam1", "title": "东门", "age_s": 1}, {"camera": "cam2", "age_s": 500, "reason": "refused"}]
    site.store.edges.set_health("shanghai", "box1", {"cameras": cameras}, site.clock.now())
    assert "1 台摄像机没有画面" in text_of(site.client.get("/"))
    page = text_of(site.client.get("/cameras"))
    assert page.index("没有画面") < page.index("东门") and "refused" in page
    over = [{"camera": "cam1", "state": "ended", "age_s": 1}, {"camera": "cam2", "state": "failing", "age_s": 1}]
    site.store.edges.set_health("shanghai", "box1", {"cameras": over}, site.clock.now())
    page = text_of(site.client.get("/cameras"))
    assert "录像已播完" in page and "没有画面" in page
    site.clock.at += 300
    assert text_of(site.client.get("/cameras")).count("边缘设备没有消息") == 2
    site.store.edges.set_status("shanghai", "box1", "offline", site.clock.now())
    assert "边缘设备离线" in text_of(site.client.get("/cameras"))


def test_of_many_cameras_those_not_fine_come_first_and_each_site_has_a_place_to_jump_to(site: Any) -> None:
    for place in ("s10", "s2"):
        cameras = {
            f"cam{n}": {"title": f"{place}·{n}", "age_s": 500 if (place, n) == ("s10", 3) else 1} for n in range(7)
        }
        site.store.edges.set_status(place, "box1", "online", site.clock.now())
        site.store.edges.set_health(place, "box1", {"cameras": cameras}, site.clock.now())
    page = site.client.get("/cameras").text
    said = text_of(site.client.get("/cameras"))
    assert "1 台摄像机没有画面" in said and "13 台摄像机正常" in said and "s10 6/7" in said and "s2 7" in said
    places = [
        page.index(words) for words in (">s10·3</h2>", 'id="site-s2"', ">s2·6</h3>", 'id="site-s10"', ">s10·6</h3>")
    ]
    assert places == sorted(places) and page.count("s10·3</h") == 1
    assert re.findall(r'href="#([^"]+)"', page)[1:] == ["site-s2", "site-s10"]


def test_chinese_pages_write_colons_and_seconds_as_chinese_does(site: Any) -> None:
    health = {"cameras": {"cam1": {"age_s": 1, "fps": 5, "title": "东门"}}, "at_unix": site.clock.now()}
    site.parts.health.report("shanghai", "box1", health, site.clock.now())
    site.store.edges.set_health("shanghai", "box1", health, site.clock.now())
    pages = {path: text_of(site.client.get(path)) for path in ("/cameras", "/health", "/retention")}
    assert "最近一帧：" in pages["/cameras"] and "时钟偏差 0 秒" in pages["/health"]
    for path, page in pages.items():
        assert not re.search("[\u4e00-\u9fff] ?: |[0-9]\\s?s\\b", page), path


def test_chinese_pages_write_brackets_and_keys_as_chinese_does(site: Any, envelope: Any) -> None:
    site.store.add_alerts([envelope(1)], NOON)
    page = text_of(site.client.get("/incidents/inc-1")).replace("\u00a0", " ")
    assert "（40 秒）" in page and "(40 秒)" not in page
    assert "空格 播放或暂停" in page and "Space" not in page


@pytest.mark.parametrize("cameras", [None, "x", 5, [1, {}], {"a": {"age_s": "old", "fps": []}}])
def test_odd_health_reports_break_no_page(site: Any, cameras: Any) -> None:
    site.store.edges.set_health("shanghai", "box1", {"cameras": cameras, "backlog": "?"}, site.clock.now())
    assert site.client.get("/").status_code == site.client.get("/cameras").status_code == 200


def test_the_feed_tells_what_happened(site: Any, envelope: Any) -> None:
    site.store.add_alerts([envelope(1)], NOON)
    page = text_of(site.client.get("/"))
    assert "今天 1 起" in page and "暴露面单 3–6 张" in page
    assert "严重" in page and "东区 3 号机" in page and "12:00:00" in page
    site.clock.at += 86400
    site.client.post("/login", data=site.login)
    page = text_of(site.client.get("/"))
    assert "今天没有告警" in page and "11 月 1 日" in page


def test_when_an_incident_ended_is_told_with_its_day_where_that_is_another(site: Any, envelope: Any) -> None:
    for n, (incident, hours) in enumerate((("short", 1), ("long", 60)), 1):
        ended_at = NOON + hours * 3600
        site.store.add_alerts(
            [envelope(n, incident=incident, ended_at=iso(ended_at), ended_at_unix=ended_at)], ended_at
        )
    assert "12:00:00 – 13:00:00" in text_of(site.client.get("/incidents/short"))
    assert "12:00:00 – 11-04 00:00:00" in text_of(site.client.get("/incidents/long"))


def test_a_clock_that_is_ahead_is_told_of_where_its_alerts_are(site: Any, envelope: Any) -> None:
    site.store.add_alerts([envelope(1, started_at_unix=NOON + 7200)], NOON)
    assert "设备时钟快 2 小时" in text_of(site.client.get("/"))
    page = text_of(site.client.get("/incidents/inc-1"))
    assert "快 2 小时，它自己记的是 2026-11-01 14:00:00" in page and "11:59:59 – 12:00:39" in page


def test_a_clock_that_had_yet_to_be_set_is_told_of_where_its_alerts_are(site: Any, envelope: Any) -> None:
    site.store.add_alerts([envelope(1, started_at_unix=3600.0, ended_at_unix=3640.0)], NOON)
    assert "设备时钟未对时" in text_of(site.client.get("/"))
    page = text_of(site.client.get("/incidents/inc-1"))
    assert "还没有对时，它自己记的是 1970-01-01 09:00:00" in page and "11:59:20 – 12:00:00" in page


def test_of_very_many_acts_a_page_says_how_many_it_leaves_out(site: Any, envelope: Any) -> None:
    site.store.add_alerts([envelope(1, acts=[make_act(NOON + n) for n in range(300)])], NOON + 300)
    assert "另有 50 个动作" in text_of(site.client.get("/incidents/inc-1"))


@pytest.mark.parametrize(
    ("language", "told"),
    [
        (
            "zh",
            [
                "拍照次数 12 次",
                "至少几人 1 人",
                "涉及包裹 9 件",
                "面单朝上 18 件",
                "蹲着拍的比例 80%",
                "持续 1 小时 7 分",
            ],
        ),
        (
            "en",
            [
                "Photos taken 12",
                "Parcels concerned 9",
                "Label up 18 parcels",
                "Turned here 1 parcel",
                "Lasted 1 h 7 min",
            ],
        ),
    ],
)
def test_a_fact_that_counts_says_what(site: Any, envelope: Any, language: str, told: list[str]) -> None:
    facts = {"photos": 12, "people": 1, "parcels": 9, "up": 18, "turned_here": 1, "crouched": 0.8, "lasted_s": 4000}
    site.store.add_alerts([envelope(1, facts=facts)], NOON)
    site.client.cookies.set("language", language)
    page = text_of(site.client.get("/incidents/inc-1")).replace("\u00a0", " ")
    assert [words for words in told if words not in page] == []


@pytest.mark.parametrize(("phase", "told"), [("new", "这条告警还没有片段。"), ("end", "这条告警没有片段。")])
def test_a_clip_is_not_awaited_once_an_incident_is_over_and_promised_none(
    site: Any, envelope: Any, phase: str, told: str
) -> None:
    site.store.add_alerts([envelope(1, phase=phase)], NOON)
    assert told in text_of(site.client.get("/incidents/inc-1"))


@pytest.mark.parametrize(
    ("phase", "hours", "told", "ongoing"),
    [
        ("new", 0.5, "仍在进行", True),
        ("update", 0.9, "仍在进行", True),
        ("new", 1.1, "没收到结束的消息", False),
        ("end", 1, "已结束", False),
    ],
)
def test_what_nothing_was_told_of_for_an_hour_goes_on_no_more(
    site: Any, envelope: Any, phase: str, hours: float, told: str, ongoing: bool
) -> None:
    ended = NOON - 3600.0 * hours
    fields = envelope(1, phase=phase, started_at_unix=ended - 40, ended_at_unix=ended)
    site.store.add_alerts([fields], NOON)
    assert f"<dd>{told}</dd>" in site.client.get("/incidents/inc-1").text
    assert ('class="ongoing"' in site.client.get("/?told=all").text) == ongoing


def test_the_feed_pages_through_everything(site: Any, envelope: Any) -> None:
    site.store.add_alerts([envelope(n, incident=f"i{n}", started_at_unix=NOON - n) for n in range(1, 46)], NOON)
    seen: list[str] = []
    address = "/"
    while address:
        page = site.client.get(address, headers={"X-Fragment": "1"}).text
        seen += re.findall(r'data-incident="(\w+)"', page)
        link = re.search(r'data-more href="([^"]+)"', page)
        address = link.group(1) if link else ""
    assert seen == [f"i{n}" for n in range(1, 46)]
    assert site.client.get("/?before=nonsense").status_code == site.client.get("/?before=1e9,").status_code == 200


def test_facts_are_told_in_words_and_what_says_nothing_is_left_out(site: Any, envelope: Any) -> None:
    facts = {
        "p_value": 0.00002, "pace_per_min": 6.25, "away_s": 200.4, "watched_h": 3.5, "evidence": 2.09, "shift": None,
        "crouched": 0.8, "out_of_hours": True, "posture": "crouched", "what": "hacked", "usual_rate": 0.2,
        "false_alarms_per_month": 1.0, "scans": 0, "along_row": False, "turned_here": 0,
        "other_zones": ["aisle", "dock"],
    }  # fmt: skip
    told = envelope(1, facts=facts)
    told["after"]["findings"] = ["label_photography", "lingering"]
    site.store.add_alerts([told], NOON)
    words = text_of(site.client.get("/incidents/inc-1")).replace("\u00a0", " ")
    for expected in (
        "拍照速度 每分钟 6.25 次",
        "看不见的时间 3 分 20 秒", "已观察 3 小时 30 分", "碰巧出现 每区最多 10 年一次", "在这里翻的 0",
        "蹲着拍的比例 80%", "非工作时间 是", "姿势 蹲着", "原因 hacked", "平时朝上的比例 20%", "包含 拍摄面单、停留",
        "还涉及区域 aisle、dock",
    ):  # fmt: skip
        assert expected in words, expected
    assert "p_value" not in words
    assert "None" not in words
    assert "班次" not in words
    assert "扫码" not in words
    assert "沿着一排" not in words


@pytest.mark.parametrize(
    ("evidence", "alarms", "words"),
    [
        (0.0, 1.0, "By chance once in 1 month a zone at most"),
        (1.0, 2.0, "By chance once in 5 months a zone at most"),
        (300.0, 1.0, "By chance once in 1000 years a zone at most"),
        (2.0, None, None),
        (2.0, 0.0, None),
        ("much", 1.0, None),
    ],
)
def test_evidence_of_a_pattern_is_told_by_how_seldom_chance_brings_it(
    site: Any, envelope: Any, evidence: Any, alarms: Any, words: str | None
) -> None:
    facts = {"evidence": evidence, "false_alarms_per_month": alarms}
    site.store.add_alerts([envelope(1, kind="orientation_pattern", score=0.996, facts=facts)], NOON)
    site.client.cookies.set("language", "en")
    shown = text_of(site.client.get("/incidents/inc-1"))
    assert words is None or words in shown
    assert ("By chance" in shown) is (words is not None)
    assert "Confidence &gt; 99 %" in shown or "Confidence > 99 %" in shown


def test_an_incident_page_has_everything(site: Any, envelope: Any, mp4: bytes) -> None:
    headers = site.claim(mp4)
    clip = {
        "segment": 0,
        "sha256": headers["X-Labelwatch-Sha256"],
        "bytes": len(mp4),
        "started_at": NOON,
        "duration_s": 4,
    }
    later = {**clip, "segment": 1}
    site.store.add_alerts(
        [envelope(1, phase="end", clips=[clip, later], snapshot=b"\xff\xd8\xff", facts={"photos": 3, "new_fact": "x"})],
        NOON,
    )
    assert "片段还在从边缘设备传来" in text_of(site.client.get("/incidents/inc-1"))
    site.client.put("/api/clips/inc-1/0", content=mp4, headers=headers)
    page = site.client.get("/incidents/inc-1")
    words = text_of(page)
    for expected in (
        "40 秒，1 人，拍照 3 次，暴露面单约 3–6 张",
        "把握 93%",
        "3–6 张",
        "new_fact x",
        "拍照",
        "与边缘设备签名的记录一致",
        "还没送到",
        "人 1",
    ):
        assert expected in words.replace("\u00a0", " "), expected
    assert page.text.count('class="act photo"') == 3 and "/clips/inc-1/0" in page.text


def test_deleted_footage_is_not_told_to_be_on_its_way(site: Any, envelope: Any) -> None:
    clip = {"segment": 0, "sha256": "0" * 64, "bytes": 1, "started_at": NOON, "duration_s": 4}
    site.store.add_alerts([envelope(1, phase="end", clips=[clip])], NOON)
    assert "片段传送中" in text_of(site.client.get("/"))
    gone = {"announced_at": NOON, "deleted_at": NOON, "why": "age", "rule": "note", "bytes": 0}
    with site.store.database.writing() as connection:
        connection.execute(retention.insert(), {"incident": "inc-1", **gone})
    assert "片段传送中" not in text_of(site.client.get("/"))
    told = text_of(site.client.get("/incidents/inc-1"))
    assert "已删除" in told and "还没送到" not in told and "片段还在从边缘设备传来" not in told


def test_a_recording_that_differs_from_the_signed_record_is_pointed_out(site: Any, envelope: Any, mp4: bytes) -> None:
    clip = {"segment": 0, "sha256": "0" * 64, "bytes": 1, "started_at": NOON, "duration_s": 4}
    site.store.add_alerts([envelope(1, phase="end", clips=[clip])], NOON)
    site.client.put("/api/clips/inc-1/0", content=mp4, headers=site.claim(mp4))
    assert "与边缘设备签名的记录不一致" in text_of(site.client.get("/incidents/inc-1"))


def test_a_clip_can_go_to_the_police_once_all_of_it_is_here_and_fits_the_signed_record(
    site: Any, envelope: Any, mp4: bytes
) -> None:
    def offered() -> bool:
        return "可以交给警方" in text_of(site.client.get("/incidents/inc-1"))

    fits = {"segment": 0, "sha256": site.claim(mp4)["X-Labelwatch-Sha256"], "bytes": len(mp4), "started_at": NOON}
    fits["duration_s"] = 4
    site.store.add_alerts([envelope(1)], NOON)
    site.client.put("/api/clips/inc-1/0", content=mp4, headers=site.claim(mp4))
    assert not offered()  # it goes on, and nothing is signed yet
    site.store.add_alerts([envelope(2, phase="update", clips=[fits])], NOON)
    assert not offered()
    site.store.add_alerts([envelope(3, phase="end", clips=[fits, {**fits, "segment": 1}])], NOON)
    assert not offered()
    headers = site.claim(mp4, segment=1, started_at=NOON + 4)
    site.client.put("/api/clips/inc-1/1", content=mp4, headers=headers)
    assert offered()


def test_a_clip_whose_file_is_gone_is_neither_offered_nor_said_to_fit(site: Any, envelope: Any, mp4: bytes) -> None:
    fits = {"segment": 0, "sha256": site.claim(mp4)["X-Labelwatch-Sha256"], "bytes": len(mp4), "started_at": NOON}
    site.store.add_alerts([envelope(1, phase="end", clips=[{**fits, "duration_s": 4}])], NOON)
    site.client.put("/api/clips/inc-1/0", content=mp4, headers=site.claim(mp4))
    assert "可以交给警方" in text_of(site.client.get("/incidents/inc-1"))
    site.parts.clips.find("inc-1", 0).unlink()
    page = site.client.get("/incidents/inc-1")
    told = text_of(page)
    assert "文件不见了" in told and "可以交给警方" not in told and "与边缘设备签名的记录一致" not in told
    assert 'href="/clips/inc-1/0" download' not in page.text


def test_verdicts_are_kept_with_their_history(site: Any, envelope: Any) -> None:
    site.store.add_alerts([envelope(1)], NOON)
    url = "/incidents/inc-1/verdict"
    assert site.client.post(url, data={"verdict": "unclear"}).headers["location"] == "/incidents/inc-1"
    fragment = site.client.post(url, data={"verdict": "false", "note": "盘点"}, headers={"X-Fragment": "item"})
    assert "盘点" in fragment.text and "您判为" in fragment.text and "误报" in fragment.text
    assert "今天没有告警" in text_of(site.client.get("/"))
    card = site.client.post("/incidents/inc-1/undo", headers={"X-Fragment": "card"})
    assert "不确定" in card.text and 'data-incident="inc-1"' in card.text
    assert "owner 撤销判断 误报" in text_of(site.client.get("/incidents/inc-1"))
    refused = site.client.post(url, data={"verdict": "maybe"})
    assert refused.status_code == 400 and "什么都没有改动" in refused.text and "没有这一页" not in refused.text
    assert site.client.post("/incidents/none/verdict", data={"verdict": "true"}).status_code == 404


def test_what_edges_and_people_write_is_never_markup(site: Any, envelope: Any) -> None:
    names = dict.fromkeys(["incident", "camera_title", "kind", "severity", "zone", "phase"], HOSTILE)
    acts = [{"kind": HOSTILE}, 5, *envelope()["after"]["acts"]]
    boxes = [{"what": HOSTILE, "box": []}, 7]
    hostile = envelope(1, **names, facts={HOSTILE: HOSTILE}, acts=acts, boxes=boxes, clips=[{"segment": HOSTILE}])
    site.store.add_alerts([{**hostile, "snapshot": "/9j/IA=="}], NOON)
    address = "/incidents/" + quote(HOSTILE, safe="")
    site.client.post(address + "/verdict", data={"verdict": "true", "note": HOSTILE})
    site.store.add_refusal(HOSTILE, HOSTILE, NOON)
    site.store.edges.set_health(
        HOSTILE, HOSTILE, {"cameras": [{"camera": HOSTILE, "title": HOSTILE, "reason": HOSTILE}]}, NOON
    )  # fmt: skip
    site.store.add_alerts([envelope(2, **{**names, "incident": HOSTILE * 2, "severity": "info"})], NOON)
    site.parts.thresholds.set(
        HOSTILE, HOSTILE, HOSTILE, HOSTILE, 0.5, expected=0, user=HOSTILE, at=NOON, evidence={"spared": 1, "lost": 0}
    )
    for page in (
        "/",
        "/digest",
        "/digest?kind=" + quote(HOSTILE),
        address.replace("%2F", "/"),
        "/cameras",
        "/tuning",
        "/login?next=" + quote(HOSTILE),
        "/" + quote(HOSTILE),
    ):
        answer = site.client.get(page)
        assert answer.status_code < 500 and "<script>alert" not in answer.text, page


@pytest.mark.parametrize("kind", ["label_photography", "orientation_pattern", "lingering", "unheard_of"])
def test_an_alert_with_only_what_is_required_or_with_rubbish_breaks_no_page(
    site: Any, envelope: Any, kind: str
) -> None:
    bare, odd = envelope(1, incident="bare", kind=kind), envelope(2, incident="odd", kind=kind)
    for name in ("camera_title", "zone", "tracks", "boxes", "started_at", "ended_at", "site", "edge"):
        del bare["after"][name]
    far = {"kind": "photo", "track": [[]], "started_at_unix": 1e300, "ended_at_unix": 1}
    odd["after"] |= {
        "acts": [far, {"kind": "photo", "started_at_unix": True, "ended_at_unix": "x"}, None, 7, "x"],
        "tracks": 5, "boxes": 7, "facts": {"up": [], "judged": None, "p_value": True, "x": {"y": [1]}}, "zone": 5,
    }  # fmt: skip
    assert len(site.store.add_alerts([bare, odd], NOON)) == 2
    assert site.client.get("/").status_code == 200
    for incident in ("bare", "odd"):
        assert site.client.get(f"/incidents/{incident}").status_code == 200


def test_health_with_numbers_that_are_none_breaks_no_page(site: Any) -> None:
    nan, much = float("nan"), 10**400
    cameras = [{"camera": "a", "age_s": nan, "fps": float("inf")}, {"camera": "b", "age_s": much, "reconnects": -much}]
    site.store.edges.set_health("shanghai", "box1", {"cameras": cameras, "backlog": nan, "dropped": much}, NOON)
    assert site.client.get("/").status_code == site.client.get("/cameras").status_code == 200


def test_pages_have_no_inline_script_or_style(site: Any, envelope: Any) -> None:
    site.store.add_alerts([envelope(1)], NOON)
    site.store.verdicts.add("inc-1", "owner", "true", "", NOON)
    for path in ("/", "/digest", "/incidents/inc-1", "/cameras", "/tuning", "/account", "/source"):
        page = site.client.get(path).text
        assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:|<script(?![^>]*src=)", page), path
        assert not re.search(r"""(?:src|href|action)=["'](?:https?:)?//""", page), path


@pytest.mark.parametrize(
    ("shown", "page"),
    [
        ("/account/password", "/account"),
        ("/login/code?next=%2Fcases", "/login"),
        ("/people/li/password", "/people/li"),
        ("/notices/targets/3/test", "/notices"),
        ("/cases?state=open", "/cases?state=open"),
        ("/incidents/inc-1/verdict", "/incidents/inc-1"),
        ("/%2Felsewhere.test/x", "/"),
    ],
)
def test_a_page_that_answered_a_form_gives_way_to_one_that_can_be_asked_for(site: Any, shown: str, page: str) -> None:
    referer = {"Referer": f"http://hub.test{shown}"}
    answer = site.client.post("/preferences", data={"language": "en", "next": "/"}, headers=referer)
    assert answer.headers["location"] == page


def test_language_and_theme_are_remembered(site: Any) -> None:
    assert 'lang="zh-CN"' in site.client.get("/").text
    answer = site.client.post("/preferences", data={"language": "en", "next": "/cameras"})
    assert answer.headers["location"] == "/cameras"
    site.client.post("/preferences", data={"theme": "dark"})
    page = site.client.get("/").text
    assert 'lang="en"' in page and 'data-theme="dark"' in page and "No camera connected yet" in page
    site.client.cookies.set("language", "xx")
    assert site.client.get("/").status_code == 200


def test_the_source_code_is_offered_to_everybody(site: Any) -> None:
    visitor = site.visitor()
    link = re.search(r'href="(/source/[^"]+)"', visitor.get("/source").text)
    assert link and "/source" in visitor.get("/login").text
    with tarfile.open(fileobj=io.BytesIO(visitor.get(link.group(1)).content)) as tar:
        names = {name.partition("/")[2] for name in tar.getnames()}
        member = tar.extractfile(next(n for n in tar.getnames() if n.endswith("detector/hub/source.py")))
        assert member and member.read() == (Path(__file__).parents[2] / "detector/hub/source.py").read_bytes()
    assert {"detector/hub/templates/base.html", "detector/pipeline.py", "LICENSE", "pyproject.toml"} <= names
    assert not any("__pycache__" in name for name in names)
    assert visitor.get("/source/../../etc/passwd").status_code == 404


def test_snapshots_are_served_to_people_who_are_logged_in(site: Any, envelope: Any) -> None:
    site.store.add_alerts([envelope(1, snapshot=b"\xff\xd8\xff picture")], NOON)
    answer = site.client.get("/incidents/inc-1/snapshot")
    assert answer.content == b"\xff\xd8\xff picture" and answer.headers["content-type"] == "image/jpeg"
    assert "private" in answer.headers["cache-control"]
    assert site.client.get("/incidents/none/snapshot").status_code == 404


def test_a_picture_that_a_page_names_by_its_number_is_fetched_once_a_day(site: Any, envelope: Any) -> None:
    site.store.add_alerts([envelope(1, snapshot=b"\xff\xd8\xff picture")], NOON)
    (address,) = set(re.findall(r'src="(/incidents/inc-1/snapshot\?v=\d+)"', site.client.get("/").text))
    assert site.client.get(address).headers["cache-control"] == "private, max-age=86400, immutable"


def test_healthz_needs_no_login(site: Any) -> None:
    assert site.visitor().get("/healthz").json() == {"ok": True}


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/tuning", "<h2>{} ·"),
        ("/tuning?site=shanghai&edge=box1&camera=cam3&kind=label_photography", "<td>{}</td>"),
        ("/review", ">{}</option>"),
        ("/health", "{} 没有画面"),
    ],
)
def test_a_camera_is_called_as_its_box_reports_and_until_then_as_it_was_when_it_told(
    site: Any, envelope: Any, path: str, shown: str
) -> None:
    site.store.add_alerts([envelope(n, incident=f"inc-{n}", camera_title="东门") for n in range(1, 4)], NOON)
    site.store.verdicts.add("inc-1", "owner", "false", "", NOON)
    site.parts.thresholds.set(
        "shanghai", "box1", "cam3", "label_photography", 0.6, expected=0, user="owner", at=NOON,
        evidence={"spared": 5, "lost": 0},
    )  # fmt: skip
    gap = {"what": "camera", "site": "shanghai", "edge": "box1", "camera": "cam3", "began_at": NOON - 60}
    with site.store.database.writing() as connection:
        connection.execute(gaps.insert(), gap)
    assert shown.format("东门") in site.client.get(path).text
    site.store.edges.set_health("shanghai", "box1", {"cameras": {"cam3": {"title": "东大门"}}}, NOON)
    assert shown.format("东大门") in site.client.get(path).text


def test_people_boxes_and_cameras_stand_as_people_count(site: Any, envelope: Any) -> None:
    for n in (10, 2, 1):
        site.somebody(Role.VIEWER, name=f"user{n}")
        site.parts.keys.trust("shanghai", f"edge{n}", wire.public_key_text(Ed25519PrivateKey.generate()), NOON)
        site.store.edges.set_health("shanghai", f"edge{n}", {"cameras": {f"cam{n}": {"age_s": 1.0}}}, NOON)
        told = envelope(n, incident=f"i{n}", camera_title=f"{n} 号机", zone=f"z{n}")
        told["after"]["camera"] = f"c{n}"
        site.store.add_alerts([told], NOON)
    in_order = {
        "/people": "user{}<", "/edges": "edge{}<", "/health": "edge{}<", "/cameras": ">cam{}<", "/review": ">{} 号机<",
        "/": ">z{}<",
    }  # fmt: skip
    for path, words in in_order.items():
        page = site.client.get(path).text
        places = [page.index(words.format(n)) for n in (1, 2, 10)]
        assert places == sorted(places), path


def test_pages_and_what_they_are_made_of_travel_small_and_are_kept(site: Any) -> None:
    """Over a phone's slow link; what is compressed already, such as pictures, stays as it is."""
    page = site.client.get("/")
    files = re.findall(r'(?:href|src)="(/static/[^"]+\.(?:css|js)\?v=\w+)"', page.text)
    assert len(files) >= 5
    for answer in (page, *map(site.client.get, files)):
        whole, sent = len(answer.content), answer.num_bytes_downloaded
        assert whole < 1000 or (answer.headers["content-encoding"], sent < 0.45 * whole) == ("gzip", True), answer.url
    assert all("immutable" in site.client.get(file).headers["cache-control"] for file in files)
    plain = site.visitor(**{"Accept-Encoding": "identity"}).get(files[0])
    assert "content-encoding" not in plain.headers and plain.content == site.client.get(files[0]).content


def test_pictures_are_not_compressed_once_more(site: Any, envelope: Any) -> None:
    site.store.add_alerts([envelope(1, snapshot=b"\xff\xd8\xff" + bytes(5000))], NOON)
    assert "content-encoding" not in site.client.get("/incidents/inc-1/snapshot").headers
