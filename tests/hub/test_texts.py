"""Both languages say everything, and an incident's sentence says what happened."""

from __future__ import annotations

import inspect
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import detector.hub
from detector.facts import FACTS
from detector.hub.storage.store import Store
from detector.hub.storage.stored import VERDICTS
from detector.hub.texts import AREAS, EN, TEXTS, ZH, Phrases, advice, explanation
from detector.tools import explain
from detector.values import ActKind, IncidentKind, Severity
from tests.hub.conftest import Site

NEWER = ("findings", "sentence")  # fields of a record that the builder doesn't know
NOON = 1_793_505_600.0
Build = Callable[..., dict[str, Any]]
NAMES = re.compile(r"{(\w+)")


def test_both_languages_have_the_same_texts() -> None:
    assert ZH.keys() == EN.keys()


def test_no_two_areas_have_the_same_text() -> None:
    keys = [key for area in AREAS for key in area.ZH]
    assert [key for key, times in Counter(keys).items() if times > 1] == []


def test_both_languages_use_the_same_values() -> None:
    in_english = {key: {name.removesuffix("_en") for name in NAMES.findall(EN[key])} for key in EN}
    assert {key: set(NAMES.findall(ZH[key])) for key in ZH} == in_english
    assert [key for key in ZH if not (ZH[key].strip() and EN[key].strip())] == []


def test_every_word_an_edge_may_say_has_a_text() -> None:
    for language in TEXTS.values():
        assert all(f"severity_{severity.value}" in language for severity in Severity)
        assert all(f"act_{kind.value}" in language for kind in ActKind)
        assert all(f"verdict_{verdict}" in language for verdict in VERDICTS)
        for kind in IncidentKind:
            assert {f"kind_{kind.value}", f"advice_{kind.value}"} <= language.keys()


def test_what_the_audit_log_tells_is_written_alike_and_one_thing_has_one_name() -> None:
    assert [words for key, words in EN.items() if key.startswith("action_") and words[0].isupper()] == []
    blind = explain.TEXTS["blind_edge_off"][1].partition(":")[0]
    assert EN["kind_blind_corner"].lower() == blind
    assert "Signed in" not in " ".join(EN.values()) and "faces" not in EN["player_shared"]
    titles = [EN[key] for key in ("zones_of", "parcels_title", "walk_title")]
    assert all(title.startswith("{camera}: ") for title in titles)


def test_the_help_lists_every_letter_that_does_something() -> None:
    folder = Path(detector.hub.__file__).parent
    acting = (folder / "static" / "review.js").read_text().partition("const keys = {")[2].partition("\n};")[0]
    letters = re.findall(r"^  ([a-z]): ", acting, re.MULTILINE)
    listed = (folder / "templates" / "help.html").read_text().partition("for keys, words in (")[2].partition("%}")[0]
    shown = {key.lower() for keys in re.findall(r'\("([^"]+)", ', listed) for key in keys.split()}
    assert letters and [letter for letter in letters if letter not in shown] == []


def test_every_fact_has_a_name() -> None:
    assert [(name, fact) for name, texts in TEXTS.items() for fact in FACTS if f"fact_{fact}" not in texts] == []


def test_every_text_that_pages_ask_for_exists_and_no_other() -> None:
    folder = Path(detector.hub.__file__).parent
    modules = [file for file in folder.rglob("*.py") if "texts" not in file.parts]
    files = [*folder.glob("templates/*.html"), *modules]
    sources = "".join(file.read_text() for file in files) + inspect.getsource(detector.hub.texts)
    asked_for = set(re.findall(r"""say\(\s*["'](\w+[^\W_])["']""", sources))
    assert asked_for <= ZH.keys()
    quoted = set(re.findall(r"""["'](\w+)["']""", sources))
    # Keys put together from a beginning and what an edge or a person said.
    begun = ("fact_", "advice_", *(beginning for beginning in quoted if beginning.endswith("_")))
    assert [key for key in ZH if key not in quoted and not key.startswith(begun)] == []


@pytest.mark.parametrize(
    ("seconds", "zh", "en"),
    [
        (0, "0 秒", "0 s"),
        (59.4, "59 秒", "59 s"),
        (59.6, "1 分钟", "1 min"),
        (250, "4 分 10 秒", "4 min 10 s"),
        (3599.4, "59 分 59 秒", "59 min 59 s"),
        (3599.6, "1 小时", "1 h"),
        (3700, "1 小时 2 分", "1 h 2 min"),  # as the sentence says it
        (7199, "2 小时", "2 h"),
        (7200, "2 小时", "2 h"),
        (3 * 86400, "3 天", "3 days"),
    ],
)
def test_spans(seconds: float, zh: str, en: str) -> None:
    assert Phrases("zh").span(seconds).replace("\u00a0", " ") == zh
    assert Phrases("en").span(seconds).replace("\u00a0", " ") == en


@pytest.mark.parametrize(
    ("key", "values", "words"),
    [
        ("alarm_overload", {"name": "x", "n": 1, "of": 3}, "1 of 3 cameras is looked at"),
        ("health_overload", {"n": 1, "cameras": 3, "fps": "2", "due": "5"}, "1 of 3 cameras is looked at"),
        ("sheet_absent", {"n": 1, "which": "#2"}, "1 recording is not in the pack"),
        ("sheet_more_edges", {"n": 1}, "1 more edge box:"),
    ],
)
def test_one_camera_box_or_recording_is_said_in_the_singular(key: str, values: dict[str, Any], words: str) -> None:
    assert words in Phrases("en")(key, **values)


@pytest.mark.parametrize("language", ["zh", "en"])
def test_the_menu_calls_the_page_of_thresholds_what_it_calls_itself(language: str) -> None:
    assert TEXTS[language]["nav_tuning"] == TEXTS[language]["tuning"]


def test_the_menu_says_that_footage_is_kept_and_not_that_something_is_saved() -> None:
    assert ZH["nav_retention"] in ZH["retention"] and ZH["nav_retention"] != ZH["save"]


@pytest.mark.parametrize(("texts", "name"), [(ZH, "长期保留"), (EN, "legal hold")])
def test_a_legal_hold_has_one_name_where_it_is_set_told_and_kept(texts: dict[str, str], name: str) -> None:
    asked = ("hold", "hold_by", "hold_end", "retention_keep", "kept_unjudged")
    told = ("action_hold", "action_hold_ended", "did_hold", "did_hold_ended")
    assert [key for key in (*asked, *told) if name not in texts[key].replace("Legal", "legal")] == []


@pytest.mark.parametrize(("texts", "name"), [(ZH, "录像"), (EN, "footage")])
def test_what_is_kept_or_deleted_is_called_footage_since_alerts_stay(texts: dict[str, str], name: str) -> None:
    told = ("case_kept", "case_not_kept", "hold_by", "retention_why")
    assert [key for key in told if name not in texts[key].lower()] == []


def test_ages() -> None:
    assert Phrases("en").ago(None) == "never"
    assert Phrases("en").ago(0.4) == "just now"
    assert Phrases("zh").ago(2).replace("\u00a0", " ") == "2 秒前"


SENTENCES = [
    (
        {},
        ["40 秒，1 人，拍照 3 次，暴露面单约 3–6 张"],
        ["40 seconds, one person, 3 photos, 3–6 labels exposed"],
    ),
    (
        {
            "findings": ["label_photography", "orientation_pattern"],
            "facts": {"up": 18, "judged": 20, "usual_rate": 0.2, "crouched": 0.8, "people": 1},
        },
        ["40 秒，1 人蹲着，拍照 3 次，暴露面单约 3–6 张", "这一片 20 件包裹中 18 件面单朝上；平时 20 件中约 4 件"],
        [
            "40 seconds, one person squatting, 3 photos, 3–6 labels exposed",
            "18 of 20 parcels in this patch were label up; usual here: 4 of 20",
        ],
    ),
    (
        {"kind": "orientation_pattern", "facts": {"up": 18, "judged": 20, "usual_rate": 0.2, "p_value": 0.00002}},
        ["这一片 20 件包裹中 18 件面单朝上；平时 20 件中约 4 件"],
        ["18 of 20 parcels in this patch were label up; usual here: 4 of 20"],
    ),
    ({"kind": "something_new"}, ["Something_new，40 秒"], ["Something_new, 40 seconds"]),
    ({"kind": "something_new", "sentence": {"en": "Somebody sang"}}, ["Something_new，40 秒"], ["Somebody sang"]),
]


@pytest.mark.parametrize(("changes", "zh", "en"), SENTENCES)
def test_sentences(sqlite_store: Store, envelope: Build, changes: dict[str, Any], zh: list[str], en: list[str]) -> None:
    fields = envelope(1, **{name: value for name, value in changes.items() if name not in NEWER})
    fields["after"].update({name: value for name, value in changes.items() if name in NEWER})
    sqlite_store.add_alerts([fields], NOON)
    incident = sqlite_store.feed()[0]
    assert explanation(incident, Phrases("zh")) == zh
    assert explanation(incident, Phrases("en")) == en


@pytest.mark.parametrize(
    ("kind", "severity", "words"),
    [
        ("lingering", "info", "Alone this is only a note"),
        ("lingering", "warning", "Go and look now"),
        ("blind_corner", "critical", "Go and look into that corner now"),
        ("label_photography", "critical", "Make sure first"),
        ("something_new", "critical", ""),
    ],
)
def test_advice_goes_with_kind_and_severity(
    sqlite_store: Store, envelope: Build, kind: str, severity: str, words: str
) -> None:
    sqlite_store.add_alerts([envelope(1, kind=kind, severity=severity)], NOON)
    told = advice(sqlite_store.feed()[0], Phrases("en"), NOON)
    assert told.startswith(words) and bool(told) is bool(words)


@pytest.mark.parametrize(
    ("kind", "severity", "words"),
    [
        ("lingering", "info", "Alone this is only a note"),
        ("lingering", "warning", "Watch the clip: who was it"),
        ("blind_corner", "critical", "Watch the clip: who went in"),
        ("orientation_pattern", "warning", "Parcels were put down label up"),
        ("label_photography", "critical", "Make sure first"),
    ],
)
def test_nobody_is_sent_after_somebody_who_left_long_ago(
    sqlite_store: Store, envelope: Build, kind: str, severity: str, words: str
) -> None:
    sqlite_store.add_alerts([envelope(1, kind=kind, severity=severity, phase="end")], NOON)
    incident, soon, later = sqlite_store.feed()[0], NOON + 1000, NOON + 40 + 1801
    assert advice(incident, Phrases("en"), later).startswith(words)
    assert "现在" not in advice(incident, Phrases("zh"), later)
    assert ("now" in advice(incident, Phrases("en"), soon)) is words.startswith("Watch")


@pytest.mark.parametrize(
    ("kind", "facts", "phase", "words"),
    [
        ("orientation_pattern", {"arrived_up": 18, "turned_here": 0}, "new", "Parcels were put down label up"),
        ("orientation_pattern", {"arrived_up": 3, "turned_here": 9}, "new", "Somebody turned parcels"),
        ("orientation_pattern", {"lay_up": 18, "usual_supposed": True}, "new", "This zone is new"),
        ("orientation_pattern", {"turned_here": 9, "usual_supposed": True}, "new", "Somebody turned parcels"),
        ("orientation_pattern", {"lay_up": 18, "usual_supposed": False}, "new", "Parcels were put down label up"),
        ("label_photography", {"photos": 0, "scans": 4}, "new", "Find out who scanned here"),
        ("label_photography", {"photos": 2, "scans": 4}, "new", "Make sure first"),
        ("tamper", {"what": "silent"}, "new", "Check the camera's power, its network and its password. Until then"),
        ("tamper", {"what": "silent"}, "end", "Check the camera's power, its network and its password."),
        ("tamper", {"what": "clock"}, "new", "Check how the camera's clock is set: evidence carries its time."),
        ("tamper", {"what": "turned"}, "end", "Turn the camera back or, if it is to stay so, draw its zones anew"),
        ("tamper", {"what": "stolen"}, "end", "Check whether the camera is covered or turned."),
        ("tamper", {}, "new", "Check whether the camera is covered or turned. Until then nothing is seen here."),
    ],
)
def test_advice_goes_with_what_was_seen(
    sqlite_store: Store, envelope: Build, kind: str, facts: dict[str, Any], phase: str, words: str
) -> None:
    sqlite_store.add_alerts([envelope(1, kind=kind, severity="warning", facts=facts, phase=phase)], NOON)
    told = advice(sqlite_store.feed()[0], Phrases("en"), NOON)
    assert told.startswith(words)
    assert ("Until then" in told) is ("Until then" in words)


def test_visits_are_called_those_of_a_shift_only_where_there_is_one(site: Site, envelope: Build) -> None:
    facts = {"visits": 3, "shift": None, "people_inside": 1, "away_s": 200.0}
    site.store.add_alerts([envelope(1, kind="blind_corner", facts=facts, acts=[])], NOON)
    page = site.client.get("/incidents/inc-1").text
    assert "当天第 3 次" in page and "<dt>第几次进入</dt><dd>3</dd>" in page and "本班第" not in page


def test_chinese_advice_has_no_space_between_its_sentences(site: Site, envelope: Build, mp4: bytes) -> None:
    claim = site.claim(mp4)
    clip = {"segment": 0, "sha256": claim["X-Labelwatch-Sha256"], "bytes": len(mp4), "started_at": NOON}
    site.store.add_alerts([envelope(1, phase="end", clips=[{**clip, "duration_s": 4}])], NOON)
    site.client.put("/api/clips/inc-1/0", content=mp4, headers=claim)
    assert "删除记录是证据。片段已存好，可以交给警方。" in site.client.get("/incidents/inc-1").text
    site.store.add_alerts([envelope(2, incident="dark", kind="tamper", facts={"what": "dark"})], NOON)
    assert "镜头是否被盖住。修好之前，这里什么也看不见。" in site.client.get("/incidents/dark").text


def test_no_chinese_page_has_a_space_between_two_sentences(site: Site, envelope: Build, mp4: bytes) -> None:
    for n in range(6):  # at the same hour of each day
        site.store.add_alerts([envelope(n + 1, incident=f"inc-{n}", started_at_unix=NOON - 86400 * n)], NOON)
    site.store.verdicts.add("inc-1", "owner", "false", "", NOON)
    site.store.add_alerts([envelope(9, incident="over", severity="warning")], NOON)
    site.client.put("/api/clips/inc-0/0", content=mp4, headers=site.claim(mp4, "inc-0"))
    site.client.post("/cases/add", data={"case": "new", "incidents": "inc-0 inc-1"})
    pages = {path: site.client.get(path).text for path in ("/cases/1", "/incidents/inc-0", "/incidents/inc-0/share")}
    pages["/people"] = site.client.post("/people/tokens", data={"name": "t", "role": "viewer"}).text
    found = {path: re.findall(r"[。！？](?:<[^>]+>)* (?:<[^>]+>)*[㐀-鿿]", page) for path, page in pages.items()}
    assert {path: spaces for path, spaces in found.items() if spaces} == {}
    assert "另有 1 起" in pages["/cases/1"] and "00 之间" in pages["/incidents/inc-0"]


@pytest.mark.parametrize("key", ["mask_why", "mask_sent", "error_403_text"])
def test_who_is_to_ask_somebody_is_told_of_the_owner_as_well(key: str) -> None:
    """Most warehouses have no admin, and the owner may do all that one may."""
    assert "老板或管理员" in Phrases("zh")(key) and "owner or admin" in Phrases("en")(key)


def test_chinese_writes_a_percent_sign_right_after_the_number() -> None:
    assert [key for key in ZH if re.search(r"[\d}] %", ZH[key])] == []


@pytest.mark.parametrize("texts", [ZH, EN])
def test_footage_is_kept_by_verdicts_that_are_called_as_they_were_given(texts: dict[str, str]) -> None:
    for verdict, rule in (("true", "true_alarm"), ("authorised", "authorised"), ("unclear", "unclear")):
        assert texts[f"kept_{rule}"] == texts[f"verdict_{verdict}"]


def test_a_field_that_was_filled_in_wrongly_is_called_wrong() -> None:
    assert all("wrong" in EN[f"notice_wrong_{field}"] for field in ("key", "host", "mail"))


def test_what_is_left_out_is_said_so_that_nobody_reads_the_opposite() -> None:
    assert [key for key in EN if "but for" in EN[key]] == []
