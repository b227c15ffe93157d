"""What several cameras tell of one spot is one incident: told once, judged once, seen from every side."""

from __future__ import annotations

import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.hub.access.audit import Audit
from detector.hub.desk.responses import Responses
from detector.hub.desk.reviews import Reviews
from detector.hub.evidence.cases import Cases
from detector.hub.storage.budget import Budget
from detector.hub.storage.rights import EVERYWHERE, Role, Scope
from detector.hub.storage.store import Store
from detector.hub.storage.stored import Clip
from detector.hub.storage.wanted import Wanted
from detector.values import DAY_S, MEANWHILE_S
from tests.hub.conftest import NOON, Site, make_envelope, make_jpeg, sqlite_url

FIRST, SECOND, THIRD = "near", "across", "above"
CAMERAS = {FIRST: "cam3", SECOND: "cam4", THIRD: "cam5"}
SEQS = {FIRST: 10, SECOND: 20, THIRD: 30}


def told(
    name: str = FIRST, seq: int = 0, *, begun: float = 0.0, lasting: float = 40.0, **changes: Any
) -> dict[str, Any]:
    """What one of the cameras tells of the cage; when it began, as seconds after noon, and for how long it went on."""
    camera = changes.pop("camera", CAMERAS[name])
    ended = NOON + begun + lasting
    more = {
        "spot": changes.pop("spot", "cage"),
        "camera": camera,
        "camera_title": f"机位 {camera}",
        "ended_at_unix": ended,
    }
    findings = changes.pop("findings", None)
    fields = make_envelope(
        seq or SEQS[name],
        **{"incident": name, "started_at_unix": NOON + begun, "camera": camera, "severity": "warning", **changes},
    )
    fields |= {"sent_at_unix": ended}
    fields["after"] |= more | ({"findings": findings} if findings else {})
    return fields


def ids(store: Store, **wanted: Any) -> list[str]:
    return [one.id for one in store.feed(wanted=Wanted(**wanted))]


def doubles(store: Store, shown: str) -> list[str]:
    return [one.id for one in store.seen_by(shown)]


def one(store: Store, name: str) -> Any:
    """An incident as it is stored, not what is shown in its stead."""
    (found,) = store.incidents([name])
    return found


@pytest.mark.parametrize(
    ("changes", "is_same"),
    [
        ({}, True),
        ({"begun": 40 + MEANWHILE_S - 1}, True),
        ({"begun": 40 + MEANWHILE_S + 1}, False),
        ({"begun": -40 - MEANWHILE_S + 1}, True),
        ({"begun": -40 - MEANWHILE_S - 1}, False),
        ({"spot": "dock"}, False),
        ({"spot": None}, False),
        ({"camera": "cam3"}, False),
        ({"site": "ningbo"}, False),
        ({"edge": "box2"}, True),
        ({"zone": "row 2"}, True),  # each camera names its zones as it likes
        ({"kind": "orientation_pattern"}, False),
        ({"findings": ["label_photography", "lingering"]}, True),
        ({"facts": {"photos": 3, "unsure": True}}, True),
        ({"severity": "info"}, True),
    ],
)
def test_what_another_camera_tells_of_the_spot_is_the_same_event(
    store: Store, changes: dict[str, Any], is_same: bool
) -> None:
    store.add_alerts([told()], NOON)
    store.add_alerts([told(SECOND, **changes)], NOON + 1)
    assert set(ids(store)) == ({FIRST} if is_same else {FIRST, SECOND})
    assert doubles(store, FIRST) == [SECOND] * is_same
    shown = store.incident(SECOND)
    assert shown is not None and shown.id == (FIRST if is_same else SECOND), "its address leads to what is shown"
    assert store.seen_twice([FIRST, SECOND]) == ({FIRST} if is_same else set())
    assert store.confirmed([FIRST]) == set(), "no replay found it"


def test_it_counts_once_and_takes_one_place_of_the_budget(store: Store) -> None:
    store.add_alerts([told(), told(SECOND), told(THIRD)], NOON)
    totals = store.totals(NOON - DAY_S, NOON + DAY_S)
    assert (totals.alerts, totals.digest, totals.labels_low, totals.labels_high) == (1, 0, 3, 6)
    assert store.alerts_in(one(store, FIRST).record["started_at"][:10]) == 1
    assert set(doubles(store, FIRST)) == {SECOND, THIRD}


def test_whichever_is_graver_is_shown(store: Store) -> None:
    store.add_alerts([told(severity="info"), told(THIRD, severity="info")], NOON)
    store.add_alerts([told(SECOND, severity="critical")], NOON + 1)
    assert ids(store) == [SECOND]
    assert set(doubles(store, SECOND)) == {FIRST, THIRD}
    store.add_alerts([told(THIRD, 31, severity="critical")], NOON + 2)
    assert ids(store) == [SECOND], "as grave as what is shown is not graver"


IN_DOUBT: dict[str, Any] = {"facts": {"photos": 3, "unsure": True}}
LINGERED: dict[str, Any] = {"findings": ["label_photography", "lingering"]}
PATTERN: dict[str, Any] = {"kind": "orientation_pattern", "findings": ["orientation_pattern", "lingering"]}


@pytest.mark.parametrize(
    ("first", "sweep", "shown"),
    [
        (IN_DOUBT, {}, {SECOND}),
        ({**IN_DOUBT, "severity": "critical"}, {}, {FIRST, SECOND}),
        ({**PATTERN, "severity": "critical"}, LINGERED, {FIRST, SECOND}),
        ({"kind": "lingering"}, LINGERED, {SECOND}),
    ],
    ids=["in doubt", "in doubt, and graver", "a pattern with a stay", "a stay"],
)
def test_no_sweep_is_the_double_of_what_tells_of_none(
    store: Store, first: dict[str, Any], sweep: dict[str, Any], shown: set[str]
) -> None:
    store.add_alerts([told(**first)], NOON)
    store.add_alerts([told(SECOND, **sweep)], NOON + 1)
    assert set(ids(store)) == shown
    assert doubles(store, SECOND) == [FIRST] * (FIRST not in shown)


def test_a_double_that_turns_out_to_be_a_sweep_is_shown(store: Store) -> None:
    store.add_alerts([told(**IN_DOUBT), told(SECOND, **IN_DOUBT)], NOON)
    store.verdicts.add(FIRST, "li", "unclear", "", NOON)
    assert ids(store) == [FIRST]
    store.add_alerts([told(SECOND, 21)], NOON + 1)
    assert set(ids(store)) == {FIRST, SECOND}


def test_a_double_that_grows_graver_than_what_is_shown_takes_its_place(store: Store) -> None:
    store.add_alerts([told(), told(SECOND)], NOON)
    store.add_alerts([told(SECOND, 21, severity="critical")], NOON + 1)
    assert (ids(store), doubles(store, SECOND)) == ([SECOND], [FIRST])
    assert one(store, SECOND).told == "alert"
    store.add_alerts([told(FIRST, 11, phase="end")], NOON + 2)
    assert ids(store) == [SECOND], "the other goes on as its double"


def test_who_takes_an_alerts_place_takes_no_more_of_the_budget(tmp_path: Any) -> None:
    store = Store(sqlite_url(tmp_path / "hub.sqlite"), Budget(limit=1))
    store.add_alerts([told(severity="warning")], NOON)
    store.add_alerts([told(SECOND, severity="critical")], NOON + 1)
    assert [one.id for one in store.feed(wanted=Wanted(told="alert"))] == [SECOND]
    store.add_alerts([told(THIRD, spot="dock", severity="warning")], NOON + 2)
    assert one(store, THIRD).told == "digest", "the shift's one alert is spent"
    store.close()


def test_what_was_not_told_as_an_alert_joins_once_it_is_of_the_kind(store: Store) -> None:
    store.add_alerts([told(kind="lingering", severity="info"), told(SECOND)], NOON)
    assert set(ids(store)) == {FIRST, SECOND}
    store.add_alerts([told(FIRST, 11, severity="warning")], NOON + 1)
    assert (ids(store), doubles(store, SECOND)) == ([SECOND], [FIRST])


def test_two_that_were_told_as_alerts_stay_two(store: Store) -> None:
    store.add_alerts([told(lasting=10), told(SECOND, begun=200, lasting=10)], NOON)
    store.add_alerts([told(FIRST, 11, lasting=230), told(SECOND, 21, begun=200, lasting=30)], NOON + 1)
    assert set(ids(store)) == {FIRST, SECOND}


@pytest.mark.parametrize("verdict", ["false", "authorised", "unclear"])
def test_what_was_judged_to_be_none_hides_nothing(store: Store, verdict: str) -> None:
    store.add_alerts([told()], NOON)
    store.verdicts.add(FIRST, "li", verdict, "", NOON)
    store.add_alerts([told(SECOND)], NOON + 1)
    assert set(ids(store)) == {FIRST, SECOND}


def test_a_double_stays_one_when_both_were_judged_and_comes_up_only_when_it_grows_graver(store: Store) -> None:
    store.add_alerts([told(), told(SECOND)], NOON)
    store.verdicts.add(FIRST, "li", "false", "", NOON)
    store.add_alerts([told(SECOND, 21, phase="end")], NOON + 1)
    assert ids(store) == [FIRST], "its last word is no news"
    store.add_alerts([told(SECOND, 22, severity="critical")], NOON + 2)
    assert set(ids(store)) == {FIRST, SECOND}
    assert one(store, FIRST).verdict == "false" and one(store, SECOND).verdict is None


def test_what_claims_to_go_on_for_years_hides_nothing_that_begins_after_it_was_told(store: Store) -> None:
    store.add_alerts([{**told(lasting=20 * 365 * DAY_S), "sent_at_unix": NOON + 5}], NOON + 5)
    store.add_alerts([told(SECOND, begun=600)], NOON + 640)
    assert set(ids(store)) == {FIRST, SECOND}


def test_what_somebody_put_into_a_case_stays_itself(store: Store) -> None:
    cases = Cases(store.database, Audit(store.database))
    store.add_alerts([told()], NOON)
    cases.make("刘某", [one(store, FIRST)], user="li", at=NOON)
    store.add_alerts([told(SECOND, severity="critical")], NOON + 1)
    assert set(ids(store)) == {FIRST, SECOND}


def test_notes_go_with_the_event(store: Store) -> None:
    reviews = Reviews(store.database)
    store.add_alerts([told()], NOON)
    reviews.add_note(FIRST, "li", "穿蓝衣服", NOON)
    store.add_alerts([told(SECOND, severity="critical")], NOON + 1)
    assert [note.text for note in reviews.notes(SECOND)] == ["穿蓝衣服"]


def test_who_went_there_goes_with_the_event(store: Store) -> None:
    responses = Responses(store.database)
    store.add_alerts([told()], NOON)
    responses.add(FIRST, "li", "going", "", NOON)
    store.add_alerts([told(SECOND, severity="critical")], NOON + 1)
    assert [(step.incident, step.user) for step in responses.steps([FIRST, SECOND])] == [(SECOND, "li")]


def test_notes_go_with_what_was_shown_until_it_joined(store: Store) -> None:
    reviews = Reviews(store.database)
    store.add_alerts([told(kind="lingering", severity="info"), told(SECOND)], NOON)
    reviews.add_note(FIRST, "li", "穿蓝衣服", NOON)
    store.add_alerts([told(FIRST, 11, severity="warning")], NOON + 1)
    assert [note.text for note in reviews.notes(SECOND)] == ["穿蓝衣服"]


STEPS = st.lists(
    st.tuples(
        st.sampled_from([FIRST, SECOND, THIRD]),
        st.sampled_from(["info", "warning", "critical"]),
        st.sampled_from(["lingering", "label_photography"]),
        st.integers(0, 3),
    ),
    min_size=1, max_size=8,
)  # fmt: skip


@settings(max_examples=30)
@given(STEPS, st.integers(2, 8))
def test_it_makes_no_difference_how_envelopes_are_batched(steps: list[tuple[str, str, str, int]], size: int) -> None:
    fields = [
        told(name, 100 + n, severity=severity, kind=kind, findings=[kind], begun=50.0 * late)
        for n, (name, severity, kind, late) in enumerate(steps)
    ]

    def standing(batches: list[list[dict[str, Any]]]) -> list[tuple[str, str, str | None]]:
        with TemporaryDirectory() as folder:
            store = Store(sqlite_url(Path(folder, "hub.sqlite")), Budget(limit=1))
            for batch in batches:
                store.add_alerts(batch, NOON)
            found = [(one.id, one.told, one.same_as) for one in store.incidents(list(CAMERAS))]
            store.close()
        shown = {name for name, lane, _ in found if lane != "double"}
        assert shown and all(same_as in shown for _, lane, same_as in found if lane == "double"), "a double of a double"
        return found

    one_by_one = standing([[one] for one in fields])
    assert standing([fields[n : n + size] for n in range(0, len(fields), size)]) == one_by_one


def replayed(name: str, seq: int, **changes: Any) -> dict[str, Any]:
    """The same, found when recordings were replayed."""
    fields = told(name, seq, edge="office", **changes)
    fields["after"] |= {"id": f"{name}-again", "replay": {"run": "run-1", "file": "a.mp4"}}
    return {**fields, "id": f"{fields['id']}-again"}


@pytest.mark.parametrize("is_first", [True, False], ids=["replayed first", "replayed later"])
def test_a_replay_of_the_camera_that_is_not_shown_tells_nothing_new(store: Store, is_first: bool) -> None:
    again = [replayed(SECOND, 41)]
    for part in [again, [told(), told(SECOND)]] if is_first else [[told(), told(SECOND)], again]:
        store.add_alerts(part, NOON)
        if is_first and part is again:
            store.verdicts.add("across-again", "li", "true", "", NOON)
    assert ids(store) == [FIRST]
    assert {double.same_as for double in store.incidents([SECOND, "across-again"])} == {FIRST}
    assert set(doubles(store, FIRST)) == {SECOND, "across-again"}
    assert one(store, FIRST).verdict == ("true" if is_first else None), "what people made of it goes along"


def test_a_case_is_not_for_who_may_not_see_the_camera_that_is_shown_in_it(store: Store) -> None:
    cases = Cases(store.database, Audit(store.database))
    store.add_alerts([replayed(FIRST, 41)], NOON)
    number = cases.make("March", store.incidents(["near-again"]), user="li", at=NOON)
    store.add_alerts([told(SECOND)], NOON + 1)
    store.add_alerts([told()], NOON + 2)  # late, of what another camera is shown for by now
    assert (ids(store), cases.of(SECOND)[0].incidents) == ([SECOND], (SECOND,))
    seen = {camera: cases.case(number, Scope.of([f"shanghai/{camera}"])) is not None for camera in ("cam3", "cam4")}
    assert seen == {"cam3": False, "cam4": True}


def test_a_double_that_walks_on_to_where_only_its_camera_sees_is_told_no_second_time(store: Store) -> None:
    store.add_alerts([told(), told(SECOND)], NOON)
    store.add_alerts([told(SECOND, 21, spot=None, zone="walkway", lasting=90)], NOON + 1)
    assert (ids(store), doubles(store, FIRST)) == ([FIRST], [SECOND])
    store.add_alerts([told(SECOND, 22, spot=None, zone="walkway", severity="critical", lasting=90)], NOON + 2)
    assert ids(store) == [SECOND]


def test_what_one_camera_tells_twice_of_what_the_other_tells_once_is_told_once(store: Store) -> None:
    store.add_alerts([told(lasting=3600), told(SECOND)], NOON)
    store.add_alerts([told(THIRD, camera=CAMERAS[SECOND], begun=3000, severity="critical")], NOON + 1)
    assert (ids(store), doubles(store, THIRD)) == ([THIRD], [FIRST, SECOND])
    store.add_clip(Clip(SECOND, 0, "shanghai", "box1", "cam4", NOON, 4.0, 100, "ab" * 32, "a.mp4", NOON))
    assert store.confirmed([THIRD]) == set() and store.clips_shown(THIRD) == [], "no replay found it"
    store.add_alerts([told(SECOND, 41, phase="end")], NOON + 2)
    assert (ids(store), doubles(store, THIRD)) == ([THIRD], [FIRST, SECOND]), "nobody is called once more at its end"


def test_a_replay_of_both_cameras_tells_it_once_and_never_in_place_of_live(store: Store) -> None:
    store.add_alerts([replayed(FIRST, 41), replayed(SECOND, 42)], NOON)
    assert ids(store) == ["near-again"] and doubles(store, "near-again") == ["across-again"]
    store.add_alerts([told(THIRD)], NOON)
    assert set(ids(store)) == {"near-again", THIRD}, "what live tells isn't held back for what a replay said"


def test_whoever_sees_both_cameras_is_told_that_one_is_no_longer_shown(store: Store) -> None:
    store.add_alerts([told(severity="info")], NOON)
    seen = store.last_change()
    store.add_alerts([told(SECOND)], NOON + 1)
    for scope in (EVERYWHERE, Scope.of(["shanghai"]), Scope.of(["shanghai/cam3", "shanghai/cam4"])):
        assert [incident for _, incident in store.changed_since(seen, scope=scope)[0]] == [FIRST, SECOND]


def test_who_sees_only_the_other_camera_is_shown_what_that_told(store: Store) -> None:
    store.add_alerts([told(), told(SECOND, severity="info")], NOON)
    near, across = Scope.of(["shanghai/cam3"]), Scope.of(["shanghai/cam4"])
    for wanted in (Wanted(scope=across), Wanted(told="alert", scope=across)):
        assert [one.id for one in store.feed(wanted=wanted)] == [SECOND]
    assert ids(store, scope=near) == ids(store, scope=Scope.of(["shanghai"])) == ids(store, scope=EVERYWHERE) == [FIRST]
    reviews = Reviews(store.database)
    assert [camera for camera, _ in reviews.waiting(across)] == ["cam4"]
    lanes = {lane: reviews.left(Wanted(told=lane, scope=across)) for lane in ("alert", "digest")}
    assert lanes == {"alert": 1, "digest": 0}, "in the lane of the other"
    assert store.totals(NOON - DAY_S, NOON + DAY_S, across).alerts == 1
    assert store.by_hour(NOON - DAY_S, NOON + DAY_S, lambda _: "12", across) == {"12": {"info": 1}}
    found = store.incident(SECOND, across)
    assert found is not None and found.id == SECOND
    assert store.incident(FIRST, across) is None
    assert store.seen_by(FIRST, near) == []


def test_pages_show_it_from_either_side_under_one_verdict(site: Site) -> None:
    site.store.add_alerts([told(snapshot=make_jpeg(), phase="end"), told(SECOND, snapshot=make_jpeg(96, 54))], NOON)
    for name in (FIRST, SECOND):
        clip = Clip(name, 0, "shanghai", "box1", CAMERAS[name], NOON, 4.0, 10, name, f"{name}.mp4", NOON)
        site.store.add_clip(clip)
    feed = site.client.get("/").text
    assert feed.count("<article") == 1 and "另有摄像机拍到" in feed
    page = site.client.get(f"/incidents/{FIRST}").text
    assert f"/clips/{FIRST}/0/play" in page and f'href="/incidents/{FIRST}?side={SECOND}"' in page
    across = site.client.get(f"/incidents/{FIRST}?side={SECOND}").text
    assert f"/clips/{SECOND}/0/play" in across and f"/clips/{FIRST}/0/play" not in across
    assert f'action="/incidents/{FIRST}/verdict"' in across, "the verdict is on both"
    assert f'action="/incidents/{SECOND}/share"' in across, "a copy is made of what is shown"
    assert re.search(r'href="[^"]*side=across"[^>]*aria-current="true"', across)
    pictures = [site.client.get(f"/incidents/{name}/snapshot").content for name in (FIRST, SECOND)]
    assert pictures == [make_jpeg(), make_jpeg(96, 54)]
    assert site.client.get(f"/incidents/{FIRST}?side=nowhere").text.count(f"/clips/{FIRST}/0/play")
    told_by_api = site.client.get(f"/api/incidents/{FIRST}").json()
    assert (told_by_api["spot"], [side["id"] for side in told_by_api["seen_by"]]) == ("cage", [SECOND])
    assert told_by_api["seen_by"][0]["clips"][0]["url"] == f"/api/incidents/{SECOND}/clip?segment=0"


def test_who_sees_a_double_alone_goes_from_it_to_its_neighbours_in_the_feed(site: Site) -> None:
    early = told(SECOND, 41, begun=-7200, spot=None, incident="early")
    late = told(SECOND, 42, begun=7200, spot=None, incident="late")
    site.store.add_alerts([early, told(), told(SECOND), late], NOON + 7300)
    assert one(site.store, SECOND).same_as == FIRST
    guard = site.somebody(Role.REVIEWER, ["shanghai/cam4"], name="cam4-only")
    page = guard.get(f"/incidents/{SECOND}").text
    assert 'rel="prev" href="/incidents/late"' in page and 'rel="next" href="/incidents/early"' in page


def test_what_whoever_sees_a_double_alone_does_is_known_to_who_sees_both(site: Site) -> None:
    site.store.add_alerts([told(), told(SECOND)], NOON)
    guard = site.somebody(Role.REVIEWER, ["shanghai/cam4"], name="gate")
    deeds = {"notes": {"text": "the man in red"}, "response": {"step": "going"}, "verdict": {"verdict": "true"}}
    for deed, fields in deeds.items():
        assert guard.post(f"/incidents/{SECOND}/{deed}", data=fields, follow_redirects=False).status_code == 303
    page = site.client.get(f"/incidents/{FIRST}").text
    trail = page[page.index('data-part="trail"') :]
    assert "the man in red" in page and trail.count("机位 cam4") == 3 and trail.count("<b>gate</b>") == 3
    assert "gate" in site.client.get("/").text, "the card says who goes there"
    other = site.somebody(Role.REVIEWER, ["shanghai/cam3"], name="hall")
    assert "the man in red" not in other.get(f"/incidents/{FIRST}").text


def test_what_another_camera_told_is_not_for_who_may_not_see_it(site: Site) -> None:
    site.store.add_alerts([told(snapshot=make_jpeg()), told(SECOND, snapshot=make_jpeg(96, 54))], NOON)
    guard = site.somebody(Role.REVIEWER, ["shanghai/cam3"], name="cam3-only")
    page = guard.get(f"/incidents/{FIRST}?side={SECOND}").text
    assert "机位 cam4" not in page
    assert guard.get(f"/incidents/{SECOND}/snapshot").content != make_jpeg(96, 54)
    assert guard.get(f"/api/incidents/{FIRST}").json()["seen_by"] == []
