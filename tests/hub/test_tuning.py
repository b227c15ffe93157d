"""Least scores from verdicts: proposed when it is safe, set by people, commanded to edges, and answered by them."""

from __future__ import annotations

import html
import json
import math
import re
import threading
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector import wire
from detector.alerts.identity import load_identity
from detector.alerts.mqtt import MqttLink
from detector.alerts.outbox import Outbox
from detector.clock import SystemClock
from detector.config import Broker, Camera, EdgeConfig, HubConfig, Incidents
from detector.hub.edges.thresholds import Thresholds, configured_score
from detector.hub.pages.tuning import FEW
from detector.hub.storage.rights import Role
from detector.hub.storage.store import Store
from detector.hub.storage.tuning import MOST_LOST, SURE, Judged, advise, fewest_true, upper_bound
from detector.mqtt.broker import EmbeddedBroker
from detector.tuned import Tuned
from detector.values import IncidentKind
from tests.hub.conftest import make_hub, refuse_audit
from tests.parts_mosquitto import Mosquitto, soon

Build = Callable[..., dict[str, Any]]
NOON = 1_793_505_600.0
PLACE = ("shanghai", "box1", "cam3", "label_photography")
PHOTO = IncidentKind.LABEL_PHOTOGRAPHY


def judged(true: list[float], false: list[float], **others: int) -> list[Judged]:
    """Judged incidents of one camera and kind, by their scores."""
    rows = [("true", s) for s in true] + [("false", s) for s in false]
    rows += [(verdict, 0.5) for verdict, n in others.items() for _ in range(n)]
    return [Judged(*PLACE, f"i{n}", score, verdict) for n, (verdict, score) in enumerate(rows)]


@pytest.mark.parametrize(("k", "n"), [(0, 1), (0, 19), (1, 19), (5, 60), (30, 500), (499, 500)])
def test_the_bound_is_clopper_and_pearson_s(k: int, n: int) -> None:
    p = Fraction(upper_bound(k, n))
    so_few = sum(math.comb(n, i) * p**i * (1 - p) ** (n - i) for i in range(k + 1))
    assert float(so_few) == pytest.approx(1 - SURE, rel=1e-3)


def test_nothing_found_of_nothing_says_nothing() -> None:
    assert upper_bound(0, 0) == upper_bound(7, 7) == 1.0


def test_the_fewest_true_ones_are_just_enough() -> None:
    assert upper_bound(0, fewest_true()) <= MOST_LOST < upper_bound(0, fewest_true() - 1)


def test_scores_that_are_well_apart_are_parted_between_them() -> None:
    advice = advise(judged([0.8] * 30, [0.3, 0.4, 0.45, 0.612], authorised=4, unclear=2))
    proposal = advice.proposal
    assert proposal is not None and advice.why_not is None
    assert (proposal.least_score, proposal.spared, proposal.left, proposal.kept, proposal.lost) == (0.62, 4, 0, 30, 0)
    assert proposal.lost_bound == pytest.approx(1 - 0.05 ** (1 / 30), abs=1e-5)
    assert advice.counts == {"true": 30, "false": 4, "authorised": 4, "unclear": 2}


def test_one_true_one_is_given_up_for_many_false_ones_but_not_for_a_few() -> None:
    few = advise(judged([0.5, *[0.9] * 40], [0.3] * 20 + [0.6] * 5)).proposal
    many = advise(judged([0.5, *[0.9] * 40], [0.3] * 20 + [0.6] * 11)).proposal
    assert few and (few.least_score, few.spared, few.lost) == (0.31, 20, 0)
    assert many and (many.least_score, many.spared, many.lost) == (0.61, 31, 1)


@pytest.mark.parametrize(
    ("true", "false", "why_not", "missing"),
    [
        ([], [], "few_false", 3),
        ([0.9] * 40, [0.2, 0.2], "few_false", 1),
        ([], [0.2] * 50, "few_true", 19),
        ([0.9] * 18, [0.2] * 50, "few_true", 1),
        ([0.3] * 40, [0.6] * 50, "mixed", 0),
        ([0.5] * 40, [1.0] * 50, "mixed", 0),
    ],
)
def test_it_says_why_it_proposes_nothing(true: list[float], false: list[float], why_not: str, missing: int) -> None:
    advice = advise(judged(true, false))
    assert (advice.proposal, advice.why_not, advice.missing) == (None, why_not, missing)


def test_what_the_present_score_drops_already_counts_for_nothing() -> None:
    advice = advise(judged([0.3] * 50 + [0.9] * 20, [0.2] * 50 + [0.5, 0.55, 0.6]), now=0.4)
    proposal = advice.proposal
    assert proposal and (proposal.least_score, proposal.spared, proposal.kept) == (0.61, 3, 20)


SCORES = st.lists(st.integers(0, 1000).map(lambda n: n / 1000), max_size=60)


@given(SCORES, SCORES)
def test_a_proposal_keeps_what_it_says(true: list[float], false: list[float]) -> None:
    advice = advise(judged(true, false))
    for candidate in advice.candidates:
        assert 0 < candidate.least_score <= 1
        assert candidate.kept == sum(score >= candidate.least_score for score in true)
        assert candidate.spared == sum(score < candidate.least_score for score in false)
        assert candidate.kept + candidate.lost == len(true) and candidate.spared + candidate.left == len(false)
    assert (advice.proposal is None) == (advice.why_not is not None)
    if advice.proposal:
        assert advice.proposal.lost_bound <= MOST_LOST and advice.proposal.spared > advice.proposal.lost


def test_proposals_lose_more_than_they_may_no_more_often_than_they_say() -> None:
    """Scores of true and false ones overlap; the share lost is read off the known law of the true ones."""
    rng = np.random.default_rng(20261101)
    bad = made = 0
    for _ in range(400):
        true, false = rng.random(60) ** (1 / 4), rng.random(200)  # the chance of a true one below x is x ** 4
        proposal = advise(judged(true.tolist(), false.tolist())).proposal
        if proposal is not None:
            made += 1
            bad += proposal.least_score**4 > MOST_LOST
    assert made > 100 and bad <= (1 - SURE) * 400


# What is kept


def tell(store: Store, envelope: Build, true: int = 20, false: int = 5) -> None:
    """Incidents of one camera, judged."""
    rows = [(f"t{n}", 0.9, "true") for n in range(true)] + [(f"f{n}", 0.4, "false") for n in range(false)]
    store.add_alerts([envelope(n + 1, incident=i, score=score) for n, (i, score, _) in enumerate(rows)], NOON)
    for incident, _, verdict in rows:
        store.verdicts.add(incident, "owner", verdict, "", NOON)


def test_judged_incidents_are_found_newest_first_and_old_ones_left_out(store: Store, envelope: Build) -> None:
    store.add_alerts(
        [
            envelope(1, incident="a", score=0.5),
            envelope(2, incident="b", score=0.7, started_at_unix=NOON + 5),
            envelope(3, incident="old", started_at_unix=NOON - 86400),
            envelope(4, incident="unjudged"),
        ],
        NOON,
    )
    for incident in ("a", "b", "old"):
        store.verdicts.add(incident, "owner", "true", "", NOON)
    store.verdicts.add("a", "owner", "false", "", NOON + 1)
    assert store.verdicts.judged(NOON - 60) == [Judged(*PLACE, "b", 0.7, "true"), Judged(*PLACE, "a", 0.5, "false")]


def set_score(store: Store, score: float | None, expected: int = 0, **changes: Any) -> bool:
    place = dict(zip(("site", "edge", "camera", "kind"), PLACE, strict=True)) | changes
    return Thresholds(store.database).set(
        *place.values(), least_score=score, expected=expected, user="owner", at=NOON, evidence={"spared": 5, "lost": 0}
    )


def state(store: Store) -> list[tuple[str, int, Any]]:
    commands = ((topic, json.loads(payload)) for topic, payload in Thresholds(store.database).commands())
    return [(topic, fields["version"], fields["state"]) for topic, fields in commands]


def test_changes_add_up_to_one_growing_state_for_each_edge(store: Store) -> None:
    assert state(store) == []
    assert set_score(store, 0.6) and set_score(store, 0.3, camera="cam1", kind="lingering")
    assert set_score(store, 0.5, edge="box2")
    assert state(store) == [
        ("labelwatch/shanghai/box1/cmd/thresholds", 2, {"cam3": {PLACE[3]: 0.6}, "cam1": {"lingering": 0.3}}),
        ("labelwatch/shanghai/box2/cmd/thresholds", 1, {"cam3": {PLACE[3]: 0.5}}),
    ]
    assert set_score(store, None, 1)
    assert state(store)[0][1:] == (3, {"cam1": {"lingering": 0.3}})
    history = [
        change
        for change in Thresholds(store.database).all_changes()
        if (change.edge, change.camera) == ("box1", "cam3")
    ]
    assert [(change.version, change.before, change.least_score, change.user) for change in history] == [
        (3, 0.6, None, "owner"),
        (1, None, 0.6, "owner"),
    ]


def test_whoever_is_late_changes_nothing(store: Store) -> None:
    assert set_score(store, 0.6)
    assert not set_score(store, 0.7)
    assert not set_score(store, 0.6, 1)
    assert set_score(store, 0.7, 1) and set_score(store, 0.6, 2)
    assert not set_score(store, 0.9, 1), "it is 0.6 again, but others know why"
    assert [c.least_score for c in Thresholds(store.database).all_changes()] == [0.6, 0.7, 0.6]


def test_of_many_at_once_one_wins(store: Store) -> None:
    won: list[bool] = []
    threads = [threading.Thread(target=lambda n=n: won.append(set_score(store, n / 10))) for n in range(1, 7)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert won.count(True) == 1 and len(Thresholds(store.database).all_changes()) == 1


def test_a_hub_brought_back_from_a_backup_still_gets_a_word_in(store: Store) -> None:
    store.edges.set_health("shanghai", "box1", {"tuned": {"version": 41, "refused": None}}, NOON)
    assert set_score(store, 0.6)
    assert Thresholds(store.database).all_changes()[0].version == 42
    for odd in ({"tuned": 5}, {"tuned": {"version": "x"}}, {"tuned": {"version": True}}, {"tuned": {"version": 2**70}}):
        store.edges.set_health("shanghai", "box2", odd, NOON)
        before = len(Thresholds(store.database).all_changes())
        assert set_score(store, before / 100, before - 1, edge="box2")
    assert Thresholds(store.database).all_changes()[0].version == 4


# The page


def text_of(page: Any) -> str:
    assert page.status_code == 200
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page.text))


def form_of(page: Any, deed: str) -> dict[str, str]:
    """Fields of the form that does a deed, as a browser would send them."""
    forms = re.findall(r'<form method="post" action="/tuning">(.*?)</form>', page.text, re.DOTALL)
    found = next(form for form in forms if f'value="{deed}"' in form)
    return {**dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', found)), "do": deed}


def test_a_proposal_is_shown_applied_and_taken_back(site: Any, envelope: Build) -> None:
    tell(site.store, envelope)
    page = site.client.get("/tuning")
    assert "提到 0.41：误报 5 起里会少 5 起，属实 20 起里会漏 0 起" in text_of(page)
    assert page.text.count('<circle class="true"') == 20 and page.text.count('<circle class="false"') == 5
    apply = form_of(page, "apply")
    assert site.client.post("/tuning", data=apply).headers["location"].startswith("/tuning?site=shanghai&")
    site.client.post("/tuning", data=apply)  # twice is once
    (change,) = site.parts.thresholds.all_changes()
    assert (change.least_score, change.before, change.user, change.at) == (0.41, None, "owner", NOON)
    assert change.evidence["spared"] == 5 and change.evidence["lost"] == 0
    page = site.client.get("/tuning")
    assert "现在的门槛：0.41" in text_of(page) and "第 1 版还没送到" in text_of(page)
    assert "误报 5" in text_of(page) and "门槛以上的误报很少" in text_of(page)
    site.client.post("/tuning", data=form_of(page, "back"))
    assert [c.least_score for c in site.parts.thresholds.all_changes()] == [None, 0.41]
    assert "按边缘设备配置" in text_of(site.client.get("/tuning"))


def test_an_old_page_takes_nothing_back_that_others_set_meanwhile(site: Any, envelope: Build) -> None:
    tell(site.store, envelope)
    site.client.post("/tuning", data=form_of(site.client.get("/tuning"), "apply"))
    old = form_of(site.client.get("/tuning"), "back")  # back to the configuration, it says
    site.client.post("/tuning", data=form_of(site.client.get("/tuning"), "off"))
    site.client.post("/tuning", data=form_of(site.client.get("/tuning"), "back"))  # on again, by somebody else
    assert site.client.post("/tuning", data=old).status_code == 303
    assert [c.least_score for c in site.parts.thresholds.all_changes()] == [0.41, wire.OFF, 0.41]


@pytest.mark.parametrize(("scope", "is_told"), [(None, True), (["shanghai/cam3"], False)])
def test_a_boxs_own_words_are_for_who_sees_all_its_cameras(
    site: Any, envelope: Build, scope: list[str] | None, is_told: bool
) -> None:
    tell(site.store, envelope)
    site.client.post("/tuning", data=form_of(site.client.get("/tuning"), "apply"))
    refused = {"version": 0, "refused": "cam9: vault"}
    site.store.edges.set_health("shanghai", "box1", {"tuned": refused}, NOON)
    visitor = site.somebody(Role.REVIEWER, scope)
    assert ("vault" in visitor.get("/tuning/edges").text) is is_told


def test_nothing_but_the_proposal_can_be_applied(site: Any, envelope: Build) -> None:
    tell(site.store, envelope)
    good = form_of(site.client.get("/tuning"), "apply")
    for bad in ({"least_score": "1.00"}, {"now": "0.30"}, {"do": "delete"}, {"least_score": ""}):
        assert site.client.post("/tuning", data={**good, **bad}).status_code == 303
    assert site.client.post("/tuning", data={**good, "camera": "none"}).status_code == 404
    assert site.client.post("/tuning", data={}).status_code == 404
    site.store.verdicts.add("t1", "owner", "unclear", "", NOON)
    site.store.verdicts.add("t2", "owner", "unclear", "", NOON)
    assert site.client.post("/tuning", data=good).status_code == 303  # two true ones fewer: no longer safe
    assert site.parts.thresholds.all_changes() == []


def test_a_kind_is_switched_off_and_on_again_and_the_feed_says_so_all_the_while(site: Any, envelope: Build) -> None:
    tell(site.store, envelope)
    site.client.post("/tuning", data=form_of(site.client.get("/tuning"), "apply"))
    site.client.post("/tuning", data=form_of(site.client.get("/tuning"), "off"))
    ((_, payload),) = site.parts.thresholds.commands()
    assert wire.decode_thresholds(payload)[:2] == (2, {"cam3": {"label_photography": wire.OFF}})
    page = site.client.get("/tuning")
    assert "这类告警在这台摄像机已关闭（owner，" in text_of(page) and 'value="off"' not in page.text
    assert re.search(r"已关闭的告警：.+ · 拍摄面单", text_of(site.client.get("/")))
    assert site.parts.audit.entries(action="threshold_set")[0].details["least_score"] == wire.OFF
    assert "关闭" in text_of(site.client.get("/audit"))
    site.client.post("/tuning", data=form_of(page, "back"))
    assert [c.least_score for c in site.parts.thresholds.all_changes()] == [0.41, wire.OFF, 0.41]
    assert "已关闭的告警" not in text_of(site.client.get("/"))
    rows = site.client.get("/tuning").text.split("<table>")[-1].split("<tr>")[2:]
    cells = [
        [re.sub("<[^>]+>", "", cell) for cell in re.findall(r"<td[^>]*>(.*?)</td>", row, re.DOTALL)] for row in rows
    ]
    assert [row[4:7] for row in cells[:2]] == [["关闭", "0.41", "恢复"], ["0.41", "关闭", "关闭"]]


def test_what_was_off_and_is_on_again_goes_back_to_the_score_before_and_not_off_by_one_touch(
    site: Any, envelope: Build
) -> None:
    tell(site.store, envelope)
    for deed in ("apply", "off", "back"):
        site.client.post("/tuning", data=form_of(site.client.get("/tuning"), deed))
    page = site.client.get("/tuning")
    assert "恢复为配置" in text_of(page) and "恢复 关闭" not in text_of(page)
    site.client.post("/tuning", data=form_of(page, "back"))
    assert [c.least_score for c in site.parts.thresholds.all_changes()] == [None, 0.41, wire.OFF, 0.41]


def test_what_was_only_ever_off_has_nothing_to_go_back_to_once_it_is_on(site: Any, envelope: Build) -> None:
    tell(site.store, envelope)
    for deed in ("off", "back"):
        site.client.post("/tuning", data=form_of(site.client.get("/tuning"), deed))
    page = site.client.get("/tuning")
    assert 'value="back"' not in page.text
    site.client.post("/tuning", data={**form_of(page, "off"), "do": "back"})
    assert [c.least_score for c in site.parts.thresholds.all_changes()] == [None, wire.OFF]


def test_who_may_not_configure_switches_nothing_off_and_whom_it_does_not_concern_hears_nothing(
    site: Any, envelope: Build
) -> None:
    tell(site.store, envelope)
    off = form_of(site.client.get("/tuning"), "off")
    guard = site.somebody(Role.REVIEWER, ["shanghai"])
    assert "switch" not in guard.get("/tuning").text and guard.post("/tuning", data=off).status_code == 403
    assert site.parts.thresholds.all_changes() == []
    site.client.post("/tuning", data=off)
    assert "已关闭的告警" in guard.get("/").text
    assert "已关闭的告警" not in site.somebody(Role.VIEWER, ["suzhou"]).get("/").text


def test_no_score_is_set_without_its_line_in_the_audit_log(site: Any, envelope: Build) -> None:
    tell(site.store, envelope)
    good = form_of(site.client.get("/tuning"), "apply")
    refuse_audit(site.store)
    assert site.client.post("/tuning", data=good).status_code == 500
    assert site.parts.thresholds.all_changes() == []


def test_strangers_and_other_sites_set_nothing(site: Any, envelope: Build) -> None:
    tell(site.store, envelope)
    good = form_of(site.client.get("/tuning"), "apply")
    assert site.visitor().post("/tuning", data=good).headers["location"].startswith("/login")
    assert site.visitor().get("/tuning").status_code == 303
    assert site.client.post("/tuning", data=good, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    assert site.parts.thresholds.all_changes() == []


@pytest.mark.parametrize(
    ("tuned", "said"),
    [
        ({"version": 1, "refused": None}, "已采用第 1 版"),
        ({"version": 0, "refused": "there is no camera <b>'cam3'</b> here"}, "拒绝了第 1 版"),
        (
            {"version": 0, "refused": "its disk …", "refused_causes": [{"code": "disk"}]},
            "拒绝了第 1 版： 边缘设备存不下这次改动",
        ),
        ({"version": 0, "refused": None}, "第 1 版还没送到"),
        (None, "第 1 版还没送到"),
        ({"version": 2}, "第 1 版还没送到"),
        ([1], "第 1 版还没送到"),
    ],
)
def test_the_page_says_whether_the_edge_took_it(site: Any, tuned: Any, said: str) -> None:
    set_score(site.store, 0.6)
    site.store.edges.set_health("shanghai", "box1", {"tuned": tuned}, NOON + 1)
    for path in ("/tuning", "/tuning/edges"):
        page = site.client.get(path)
        assert said in text_of(page) and "<b>'cam3'" not in page.text


def test_a_proposal_starts_from_what_the_edge_is_configured_to_ask_for(site: Any, envelope: Build) -> None:
    tell(site.store, envelope)
    asked = {"cam3": {"label_photography": 0.8}}
    site.store.edges.set_health("shanghai", "box1", {"tuned": {"version": 0, "configured": asked}}, NOON)
    page = site.client.get("/tuning")
    assert "现在的门槛：0.80（边缘设备的配置）" in text_of(page) and "提到" not in text_of(page)


def test_the_history_keeps_what_was_configured_when_a_score_was_set_and_taken_back(site: Any, envelope: Build) -> None:
    def configured(score: float) -> None:
        tuned = {"version": 0, "configured": {"cam3": {"label_photography": score}}}
        site.store.edges.set_health("shanghai", "box1", {"tuned": tuned}, NOON)

    def history() -> list[list[str]]:
        table = site.client.get("/tuning").text.split("<table>")[-1]
        rows = [re.findall(r"<td[^>]*>(.*?)</td>", row, re.DOTALL) for row in table.split("<tr>")[2:]]
        return [cells[4:6] for cells in rows]

    tell(site.store, envelope)
    configured(0.3)
    site.client.post("/tuning", data=form_of(site.client.get("/tuning"), "apply"))
    configured(0.5)
    assert history() == [["0.30（配置）", "0.41"]]
    site.client.post("/tuning", data=form_of(site.client.get("/tuning"), "back"))
    configured(0.7)
    assert history() == [["0.41", "0.50（配置）"], ["0.30（配置）", "0.41"]]


@pytest.mark.parametrize(
    "health",
    [None, {}, {"tuned": 5}, {"tuned": {"configured": [1]}}, {"tuned": {"configured": {"cam3": 0.8}}}]
    + [{"tuned": {"configured": {"cam3": {"lingering": odd}}}} for odd in (None, "0.8", True, -1, 7, float("nan"))],
)
def test_an_edge_that_tells_of_no_score_asks_for_none(health: Any) -> None:
    assert configured_score(health, "cam3", "lingering") == 0.0


def test_the_page_shows_the_few_places_where_a_change_helps_most_and_folds_the_others(
    site: Any, envelope: Build
) -> None:
    falses = {f"cam{n}": n for n in range(1, FEW + 3)}  # the more of a camera's are false, the more a change may spare
    judged = [(name, n) for name, count in falses.items() for n in range(count)]
    for seq, (name, n) in enumerate(judged, 1):
        told = envelope(seq, incident=f"{name}-{n}", edge="box2", camera_title=name)
        told["after"]["camera"] = told["camera"] = name
        site.store.add_alerts([told], NOON)
        site.store.verdicts.add(f"{name}-{n}", "owner", "false", "", NOON)
    tell(site.store, envelope)  # all that a proposal needs, and fewer false ones than others have
    set_score(site.store, 0.6, edge="box2", camera="cam1")
    page = site.client.get("/tuning").text
    cards = re.findall(r"<h2>(.+) · 拍摄面单</h2>", page)
    assert cards == ["东区 3 号机", *(f"cam{n}" for n in range(FEW + 2, 3, -1))]
    whole, *folded = page.split('<details class="rest">')
    assert whole.count('<circle class="true"') == 20 and all("<circle class" not in one for one in folded)
    lines = [re.findall(r'href="/tuning\?([^"]+)"', one) for one in folded]
    assert [[html.unescape(line).partition("camera=")[2][:4] for line in found] for found in lines] == [
        ["cam1"], ["cam3", "cam2"], [],
    ]  # fmt: skip
    assert "改过的门槛" in folded[0] and "还没有建议的" in folded[1] and "改动记录" in folded[2]


def test_one_place_has_a_page_of_its_own(site: Any, envelope: Build) -> None:
    tell(site.store, envelope)
    set_score(site.store, 0.3, camera="cam1")
    place = urlencode(dict(zip(("site", "edge", "camera", "kind"), PLACE, strict=True)))
    page = site.client.get(f"/tuning?{place}")
    assert page.text.count('<section class="tuning') == 1 and "提到 0.41" in text_of(page)
    assert page.text.count('<circle class="true"') == 20 and "改动记录" not in page.text
    back = site.client.post("/tuning", data=form_of(page, "apply")).headers["location"]
    assert back == f"/tuning?{place}"
    page = site.client.get(back)
    assert "现在的门槛：0.41" in text_of(page) and '<details class="rest" open>' in page.text
    assert site.somebody(Role.REVIEWER, ["shanghai/cam00"]).get(back).status_code == 404
    for odd in ("/tuning?site=shanghai", back.replace("box1", "box2")):
        assert site.client.get(odd).status_code == 404


def test_of_one_place_only_its_own_judged_incidents_are_read(store: Store, envelope: Build) -> None:
    others = {"b": {"edge": "box2"}, "c": {"site": "suzhou"}, "d": {"kind": "lingering"}}
    store.add_alerts([envelope(n, incident=name, **others.get(name, {})) for n, name in enumerate("abcd", 1)], NOON)
    for name in "abcd":
        store.verdicts.add(name, "owner", "true", "", NOON)
    assert [one.id for one in store.verdicts.judged(0.0, place=PLACE)] == ["a"]
    assert len(store.verdicts.judged(0.0)) == 4


def test_verdicts_on_what_no_edge_can_tune_are_passed_over(site: Any, envelope: Build) -> None:
    site.store.add_alerts([envelope(1, kind="unheard_of")], NOON)
    site.store.verdicts.add("inc-1", "owner", "true", "", NOON)
    assert "还没有判断过的告警" in text_of(site.client.get("/tuning"))


# From the page to the camera and back, by a real broker


class Edge:
    """The end of an edge: its link, its thresholds, and health as the worker reports it."""

    def __init__(self, folder: Path, port: int) -> None:
        folder.mkdir(exist_ok=True)
        cameras = [Camera(name="cam3", source="x.mp4")]
        self.tuned = Tuned(EdgeConfig(site="shanghai", edge="box1", data_dir=folder, cameras=cameras))
        self._key = load_identity(folder)
        self._outbox = Outbox(folder / "outbox.db", self._key, clock=SystemClock())
        self._link = MqttLink(
            self._outbox, wire.Topics("shanghai", "box1"), Broker(port=port), SystemClock(),
            self._key, {wire.Topics("shanghai", "box1").thresholds: self.tuned.accept},
        )  # fmt: skip
        self.kept = self.score  # from its own file, before the broker is reached
        self._link.start()

    def report(self, number: int) -> None:
        self._link.publish_health({"cameras": {}, "number": number, "tuned": self.tuned.health()})

    @property
    def score(self) -> float:
        return self.tuned.least_score("cam3")[PHOTO]

    def stop(self) -> None:
        assert self._link.stop(10.0)
        self._outbox.close()


class Running:
    """A hub and an edge at one broker; each can be ended and begun again."""

    def __init__(self, folder: Path, port: int) -> None:
        self._folder, self._port = folder, port
        self._reports = 0
        self.begin_hub()
        self.edge = Edge(folder / "edge", port)

    def begin_hub(self) -> None:
        config = HubConfig(data_dir=self._folder / "hub", broker=Broker(port=self._port), enrolment="first_sight")
        self.hub = make_hub(config)
        self.hub.start()

    def begin_edge(self) -> None:
        self.edge = Edge(self._folder / "edge", self._port)

    def set(self, score: float | None, expected: int = 0, **changes: Any) -> None:
        """As the page does."""
        assert set_score(self.hub.store, score, expected, **changes)
        self.hub._ingest.tell_commands()

    def heard(self, version: int, refused: str | None = None) -> bool:
        """Whether the hub hears from the edge that it holds a version; what it heard before doesn't count."""
        first = self._reports

        def told() -> bool:
            self._reports += 1
            self.edge.report(self._reports)
            health = next((edge.health for edge in self.hub.store.edges.all()), None) or {}
            fresh = health.get("number", 0) > first
            tuned = health.get("tuned", {})
            return fresh and (tuned.get("version"), tuned.get("refused")) == (version, refused)

        return soon(told)

    def stop(self) -> None:
        self.edge.stop()
        self.hub.stop()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    broker = Mosquitto(tmp_path)
    broker.start()
    yield broker
    broker.kill()


def test_a_threshold_survives_restarts_of_edge_hub_and_broker(tmp_path: Path, broker: Mosquitto) -> None:
    running = Running(tmp_path, broker.port)
    try:
        running.set(0.6)
        assert running.heard(1) and running.edge.score == 0.6
        running.edge.stop()
        running.set(0.7, 1)  # while the edge is away
        running.begin_edge()
        assert running.edge.kept == 0.6
        assert running.heard(2) and running.edge.score == 0.7
        running.hub.stop()
        running.edge.stop()
        (tmp_path / "edge" / "tuned.json").unlink()
        running.begin_edge()  # without hub and file: the broker kept it
        assert soon(lambda: running.edge.score == 0.7)
        broker.kill()  # without persistence: all it kept is gone
        running.edge.stop()
        (tmp_path / "edge" / "tuned.json").unlink()
        running.begin_edge()
        broker.start()
        assert running.edge.score == Incidents().least_score["label_photography"]
        running.begin_hub()
        assert running.heard(2) and running.edge.score == 0.7
    finally:
        running.stop()


def test_a_refusal_reaches_the_hub_and_a_better_command_mends_it(tmp_path: Path, broker: Mosquitto) -> None:
    running = Running(tmp_path, broker.port)
    try:
        running.set(0.6)
        assert running.heard(1)
        running.set(0.5, kind="dancing")
        assert running.heard(1, "there is no kind 'dancing' of incident")
        running.set(None, 2, kind="dancing")
        assert running.heard(3) and running.edge.score == 0.6
    finally:
        running.stop()


def test_the_broker_that_pip_brings_does_for_it_too(tmp_path: Path) -> None:
    pytest.importorskip("iotcore")
    broker = EmbeddedBroker(tmp_path, mosquitto=None)
    running = Running(tmp_path, broker.start())
    try:
        running.set(0.6)
        assert running.heard(1) and running.edge.score == 0.6
        running.edge.stop()
        (tmp_path / "edge" / "tuned.json").unlink()
        running.begin_edge()
        assert running.heard(1) and running.edge.score == 0.6
    finally:
        running.stop()
        broker.stop()
