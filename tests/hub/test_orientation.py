"""How parcels lie, at the hub: what is believed and kept of edges' counts, and the page that shows it."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from detector import wire
from detector.census import MOST_ZONES, Census, Slot, Turn, ZoneCensus
from detector.clock import iso
from detector.errors import WireError
from detector.hub.desk.census_chart import day_chart, shown_span
from detector.hub.edges.census import KEPT_S, Censuses, Minute
from detector.hub.edges.pictures import Pictures
from detector.hub.edges.views import Views
from detector.hub.edges.zones import Zones
from detector.hub.pages.orientation import sentence, state_of
from detector.hub.storage.arrivals import AHEAD_S
from detector.hub.storage.rights import Role, Scope
from detector.hub.storage.store import Store
from detector.hub.texts import Phrases
from tests.hub.conftest import NOON, Site, make_envelope, make_jpeg

TOPICS = wire.Topics("shanghai", "box1")
PLACE = ("shanghai", "box1", "cam3")
PAGE = "/cameras/shanghai/box1/cam3/orientation"


def zone(up: int = 5, not_up: int = 15, **more: Any) -> ZoneCensus:
    """A zone of twenty parcels, as thrown."""
    usual = {"unknown": 0, "usual_rate": 0.25, "band": (0.05, 0.5), "evidence": 0.01}
    return ZoneCensus(**{"zone": "bulk", "up": up, "not_up": not_up, **usual, **more})


def turned(at: float = NOON - 60, n: int = 14, tracks: tuple[int, ...] = (7,)) -> ZoneCensus:
    """Eighteen of twenty lie up, most of them turned by somebody."""
    turns = tuple(Turn(at=at + k, place=(0.1, 0.2), up=True, tracks=tracks) for k in range(n))
    slots = tuple(Slot(box=(0.1, 0.2, 0.2, 0.3), facing="up", came="turned") for _ in range(n))
    return zone(18, 2, turned_up=n, near=tracks, turns=turns, slots=slots, evidence=0.4)


def counted(*zones: ZoneCensus, at: float = NOON, camera: str = "cam3") -> Census:
    return Census(camera=camera, at=at, zones=zones or (zone(),))


def lying(store: Store, place: tuple[str, str, str], at: float, zone: str = "bulk") -> None:
    """Parcels lie before a camera; some of them were turned."""
    Pictures(store.database).keep(place, large=False, jpeg=make_jpeg(), taken_at=at, at=at)
    told = turned(at - 30).model_copy(update={"zone": zone})
    Censuses(store.database).keep(place[0], place[1], counted(told, at=at, camera=place[2]), at)


# What is kept


def test_a_minute_keeps_its_last_count_and_all_that_came_and_was_turned_in_it(store: Store) -> None:
    kept = Censuses(store.database)
    first = zone(4, 10, came_up=3, came_not_up=8)
    assert kept.keep("shanghai", "box1", counted(first, at=NOON), NOON)
    assert kept.keep("shanghai", "box1", counted(turned().model_copy(update={"came_up": 2}), at=NOON + 10), NOON + 10)
    assert kept.keep("shanghai", "box1", counted(zone(), at=NOON + 60), NOON + 60)
    minutes = kept.minutes(PLACE, NOON, NOON + 3600)["bulk"]
    assert [(one.at, one.zone.up) for one in minutes] == [(NOON + 10, 18), (NOON + 60, 5)]
    assert (minutes[0].zone.came_up, minutes[0].zone.came_not_up, len(minutes[0].zone.turns)) == (5, 8, 14)
    assert minutes[0].zone.slots == ()  # only the newest count knows each parcel
    now = kept.now(PLACE)
    assert now == counted(zone(), at=NOON + 60)


def test_what_comes_again_or_late_adds_nothing(store: Store) -> None:
    kept = Censuses(store.database)
    told = counted(zone(came_up=3))
    assert kept.keep("shanghai", "box1", told, NOON)
    assert not kept.keep("shanghai", "box1", told, NOON)
    assert not kept.keep("shanghai", "box1", counted(zone(came_up=3), at=NOON - 5), NOON)
    assert kept.minutes(PLACE, NOON - 60, NOON + 60)["bulk"][0].zone.came_up == 3


def test_counts_go_after_five_weeks(store: Store) -> None:
    kept = Censuses(store.database)
    kept.keep("shanghai", "box1", counted(at=NOON), NOON)
    kept.keep("shanghai", "box1", counted(at=NOON + 120, camera="cam4"), NOON + 120)
    kept.prune(NOON + KEPT_S - 1)
    assert kept.minutes(PLACE, NOON, NOON + 60) and kept.now(PLACE)
    kept.prune(NOON + KEPT_S + 61)
    assert kept.minutes(PLACE, NOON, NOON + 60) == {} and kept.now(PLACE) is None
    assert kept.now(("shanghai", "box1", "cam4"))


@pytest.mark.parametrize("at", [NOON + AHEAD_S + 1, NOON - KEPT_S - 1])
def test_a_count_from_another_time_is_refused(store: Store, at: float) -> None:
    with pytest.raises(WireError, match="too far from now"):
        Censuses(store.database).keep("shanghai", "box1", counted(at=at), NOON)


def test_nothing_is_told_beyond_a_scope(store: Store) -> None:
    kept = Censuses(store.database)
    kept.keep("shanghai", "box1", counted(), NOON)
    for scope, seen in ((Scope.of(["shanghai/cam3"]), True), (Scope.of(["shanghai/cam9"]), False)):
        assert bool(kept.now(PLACE, scope)) is bool(kept.minutes(PLACE, NOON, NOON + 60, scope)) is seen


# What is believed

shares = st.floats(0, 1)
counts = st.integers(0, 100_000)
tracks = st.lists(st.integers(0, 2**53), max_size=20).map(tuple)
boxes = st.tuples(shares, shares, shares, shares)
slots = st.builds(
    Slot, box=boxes, facing=st.sampled_from(["up", "not_up", "unknown"]),
    came=st.sampled_from(["lay", "arrived", "turned", None]),
)  # fmt: skip
turns = st.builds(Turn, at=st.floats(1, 2.0**36), place=st.tuples(shares, shares), up=st.booleans(), tracks=tracks)
zones = st.builds(
    ZoneCensus, zone=st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", fullmatch=True), up=counts, not_up=counts,
    unknown=counts, usual_rate=st.none() | shares, band=st.none() | st.tuples(shares, shares),
    evidence=st.floats(0, 1e300), lay_up=counts, turned_up=counts, near=tracks, came_up=counts, came_not_up=counts,
    turns=st.lists(turns, max_size=3).map(tuple), slots=st.lists(slots, max_size=3).map(tuple),
)  # fmt: skip
KEY = Ed25519PrivateKey.generate()


@settings(max_examples=40, deadline=None)
@given(st.lists(zones, max_size=3), st.floats(1, 2.0**36))
def test_a_census_survives_its_journey(told: list[ZoneCensus], at: float) -> None:
    sent = Census(camera="cam3", at=at, zones=tuple(told))
    fields, came = wire.decode_census(TOPICS.census, wire.census_payload(TOPICS, sent, KEY))
    wire.verify(fields, wire.public_key_text(KEY))
    assert came == sent
    assert (fields["counted_at"], fields["counted_at_unix"]) == (iso(at), round(at, 3))


@given(st.binary(max_size=200))
def test_noise_is_no_census(noise: bytes) -> None:
    with pytest.raises(WireError):
        wire.decode_census(TOPICS.census, noise)


class Stage:
    """A site with a camera, and the way its edge's words come in."""

    def __init__(self, site: Site) -> None:
        database = site.store.database
        self.site, self.censuses = site, Censuses(database)
        self.views = Views(Zones(database), Pictures(database), self.censuses, site.parts.keys)
        site.store.edges.set_health("shanghai", "box1", {"cameras": [{"camera": "cam3", "title": "东区 3 号机"}]}, NOON)

    def tell(self, census: Census, *, key: Ed25519PrivateKey | None = None, **changes: Any) -> None:
        """A census comes, signed after `changes` of its fields."""
        fields = json.loads(wire.census_payload(TOPICS, census, key or self.site.key)) | changes
        payload = json.dumps(wire_signed(fields, key or self.site.key)).encode()
        self.views.census(TOPICS.census, payload, self.site.clock.now())


def wire_signed(fields: dict[str, Any], key: Ed25519PrivateKey) -> dict[str, Any]:
    """Signed, unless there is a number in it that JSON hasn't."""
    try:
        return wire.signed(fields, key)
    except ValueError:
        return fields


@pytest.fixture
def stage(site: Site) -> Iterator[Stage]:
    """A site with a camera."""
    return Stage(site)


def fields_of(**changes: Any) -> dict[str, Any]:
    """A zone's fields with something wrong in them."""
    return {**zone().model_dump(mode="json"), **changes}


SLOT = {"box": [0, 0, 1, 1], "facing": "up"}
TURN = {"at": NOON, "place": [0, 0], "up": True}


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"at": math.nan}, id="no time"),
        pytest.param({"at": -1}, id="negative time"),
        pytest.param({"at": NOON + 9e6}, id="from the future"),
        pytest.param({"camera": "../x"}, id="camera is a path"),
        pytest.param({"camera": "cam\0"}, id="camera with a null byte"),
        pytest.param({"site": "suzhou"}, id="another site"),
        pytest.param({"zones": {}}, id="zones are no list"),
        pytest.param({"zones": [fields_of(zone=f"z{n}") for n in range(MOST_ZONES + 1)]}, id="too many zones"),
        pytest.param({"zones": [fields_of(up=-1)]}, id="negative count"),
        pytest.param({"zones": [fields_of(up=10**9)]}, id="absurd count"),
        pytest.param({"zones": [fields_of(up=0.5)]}, id="half a parcel"),
        pytest.param({"zones": [fields_of(usual_rate=1.5)]}, id="a rate above one"),
        pytest.param({"zones": [fields_of(band=[0.1, math.inf])]}, id="a band without end"),
        pytest.param({"zones": [fields_of(band=[0.1])]}, id="half a band"),
        pytest.param({"zones": [fields_of(evidence=math.nan)]}, id="evidence is no number"),
        pytest.param({"zones": [fields_of(zone="<b>")]}, id="zone is no name"),
        pytest.param({"zones": [fields_of(slots=[{**SLOT, "box": [0, 0, 2, 1]}])]}, id="slot beside the picture"),
        pytest.param({"zones": [fields_of(slots=[{**SLOT, "facing": "sideways"}])]}, id="unknown facing"),
        pytest.param({"zones": [fields_of(slots=[SLOT] * 401)]}, id="too many slots"),
        pytest.param({"zones": [fields_of(turns=[TURN] * 101)]}, id="too many turns"),
        pytest.param({"zones": [fields_of(turns=[{**TURN, "tracks": list(range(21))}])]}, id="a crowd"),
        pytest.param({"padding": "x" * 1_000_000}, id="too large"),
    ],
)
def test_what_cannot_be_is_refused_and_the_former_stays(stage: Stage, changes: dict[str, Any]) -> None:
    stage.tell(counted())
    with pytest.raises(WireError):
        stage.tell(counted(at=NOON + 1), **changes)
    assert stage.censuses.now(PLACE) == counted()


def test_a_forged_count_is_not_believed(stage: Stage) -> None:
    with pytest.raises(WireError, match="signature"):
        stage.tell(counted(), key=Ed25519PrivateKey.generate())
    payload = wire.census_payload(wire.Topics("shanghai", "box9"), counted(), stage.site.key)
    with pytest.raises(WireError, match="not joined"):
        stage.views.census("labelwatch/shanghai/box9/census", payload, NOON)
    with pytest.raises(WireError, match="topic"):
        stage.views.census(TOPICS.census, payload, NOON)
    assert stage.censuses.now(PLACE) is None


def test_fields_of_a_later_version_are_passed_over(stage: Stage) -> None:
    stage.tell(counted(), zones=[fields_of(colour="brown")], weather="rain")
    assert stage.censuses.now(PLACE) == counted()


# What is drawn


def minutes_of(*told: tuple[float, ZoneCensus]) -> list[Minute]:
    return [Minute(NOON + 60 * at, one) for at, one in told]


def test_gaps_in_watching_and_times_without_parcels_stay_blank() -> None:
    empty = zone(0, 0, band=None)
    minutes = minutes_of((0, zone()), (1, zone()), (2, empty), (3, zone()), (30, zone()), (31, zone()))
    chart = day_chart(minutes, NOON, NOON + 3600)
    assert [part.line.count(",") for part in chart.stretches] == [2, 1, 2]
    assert chart.stretches[0].line.startswith("M0.0,75.0")


def test_what_cannot_be_judged_widens_the_line() -> None:
    chart = day_chart(minutes_of((0, zone(5, 5, unknown=10)), (1, zone(5, 5, unknown=10))), NOON, NOON + 3600)
    assert {point.split(",")[1].rstrip("z") for point in chart.stretches[0].unsure[1:].split()} == {"75.0", "25.0"}


def test_events_of_one_moment_are_told_together_and_turns_know_who_was_near() -> None:
    came = zone(came_up=1, came_not_up=4)
    minutes = minutes_of((0, came), (1, came), (10, turned(NOON + 580, n=3, tracks=(7, 9))), (20, came))
    chart = day_chart(minutes, NOON, NOON + 3600)
    told = [(event.turned, event.up, event.not_up, event.tracks) for event in chart.events]
    assert told == [(False, 1, 4, set()), (True, 3, 0, {7, 9}), (False, 2, 8, set())]
    assert (chart.came, chart.came_facing_up, chart.turned) == (15, 3, 3)
    assert sum(bar.height for bar in chart.came_up) == pytest.approx(100 * 3 / 10, abs=0.5)  # ten is the highest


def test_a_short_day_fills_the_chart() -> None:
    start, end = NOON - 43200, NOON + 43200
    assert shown_span([minutes_of((5, zone()))], start, end) == (NOON, NOON + 1800)
    assert shown_span([minutes_of((5, zone())), minutes_of((100, zone()))], start, end) == (NOON, NOON + 6300)
    assert shown_span([minutes_of((715, zone()))], start, end) == (end - 900, end)
    assert shown_span([], start, end) == (start, end)


@pytest.mark.parametrize(
    ("told", "state", "words"),
    [
        pytest.param(
            turned(),
            "turned",
            "20 件中 18 件面单朝上，平时约 5 件；其中 14 件是到了之后被翻过来的，附近有 1 人；4 件到的时候就朝上。",
            id="turned by a person",
        ),
        pytest.param(
            zone(18, 2), "arrived", "20 件中 18 件面单朝上，平时约 5 件；18 件到的时候就朝上。", id="arrived so"
        ),
        pytest.param(
            zone(5, supposed=True),
            "usual",
            "20 件中 5 件面单朝上，平时情况尚未学到，先按约 5 件算；5 件到的时候就朝上。",
            id="what is usual is a guess",
        ),
        pytest.param(
            zone(18, 2, lay_up=18), "lay", "20 件中 18 件面单朝上，平时约 5 件；18 件在开始看之前就朝上。", id="lay so"
        ),
        pytest.param(
            zone(5, 15, unknown=3, turned_up=5),
            "usual",
            "20 件中 5 件面单朝上，平时约 5 件；其中 5 件是到了之后被翻过来的，附近没看到人；另有 3 件看不清朝向。",
            id="as usual",
        ),
        pytest.param(zone(0, 0, unknown=9, band=None), "none", "另有 9 件看不清朝向。", id="unknown"),
        pytest.param(zone(0, 0, band=None, usual_rate=None), "none", "", id="empty"),
    ],
)
def test_a_sentence_tells_turned_from_arrived_so(told: ZoneCensus, state: str, words: str) -> None:
    assert (state_of(told), sentence(Phrases("zh"), told)) == (state, words)


# The page


@pytest.mark.parametrize("language", ["zh", "en"])
def test_the_page_shows_who_turned_what_and_leads_to_the_incident(stage: Stage, language: str) -> None:
    stage.site.store.add_alerts([make_envelope(kind="orientation_pattern", started_at_unix=NOON - 30)], NOON)
    stage.views.picture(TOPICS.picture, picture_payload(stage), NOON)
    stage.tell(counted(turned()))
    stage.site.client.cookies.set("language", language)
    page = stage.site.client.get(PAGE)
    assert page.status_code == 200
    assert Phrases(language)("parcels_turned_state") in page.text and sentence(Phrases(language), turned()) in page.text
    assert 'href="/incidents/inc-1"' in page.text and page.text.count('class="slot turned"') == 14 + 2  # with keys
    cameras, incident = stage.site.client.get("/cameras").text, stage.site.client.get("/incidents/inc-1").text
    assert f'href="{PAGE}"' in cameras and f'href="{PAGE}?day=2026-11-01"' in incident


def test_where_labels_were_turned_stands_before_zones_that_are_as_usual(stage: Stage) -> None:
    usual, told = zone().model_copy(update={"zone": "a"}), turned().model_copy(update={"zone": "b"})
    Censuses(stage.site.store.database).keep("shanghai", "box1", counted(usual, told), NOON)
    page = stage.site.client.get(PAGE).text
    assert re.findall(r'class="lie (\w+)', page) == ["turned", "usual"]


def rows_of(page: str) -> list[str]:
    """What happened, a row each, without what unfolds within it; tags left out."""
    listed = page[page.index('class="lie-events"') : page.index("</section>", page.index('class="lie-events"'))]
    plain = re.sub(r"<details>\s*<summary>分.*?</details>", "", listed, flags=re.S)
    return [" ".join(re.sub("<[^>]+>", " ", row).split()) for row in re.findall(r"<li>(.*?)</li>", plain, re.S)]


def test_what_an_incident_is_about_is_one_row_and_each_other_hour_is_another(stage: Stage) -> None:
    stage.site.store.add_alerts([make_envelope(kind="orientation_pattern", started_at_unix=NOON - 400)], NOON)
    for ago in (7200, 7000, 6800, 3700, 600, 300, 10):
        told = turned(NOON - ago, n=1, tracks=(ago,)) if ago < 1000 else zone(came_up=1, came_not_up=1)
        stage.censuses.keep("shanghai", "box1", counted(told, at=NOON - ago), NOON)
    page = stage.site.client.get(PAGE).text
    assert rows_of(page) == [
        "11:59:50 1 件被翻成朝上 · 附近有 1 人（10 号）",
        "11:50:00 – 11:55:00 2 件被翻成朝上 · 附近有 2 人（300、600 号） 看事件",
        "10:00:00 – 10:58:20 到了 8 件，4 件朝上",
    ]
    assert "分 4 次" in page and "10:03:20" in page  # unfolded


def test_an_incident_that_began_before_midnight_is_what_its_rows_of_the_next_day_are_about(stage: Stage) -> None:
    midnight = NOON - 12 * 3600
    stage.site.store.add_alerts(
        [make_envelope(kind="orientation_pattern", started_at_unix=midnight - 1200, ended_at_unix=midnight + 1200)],
        NOON,
    )
    stage.censuses.keep("shanghai", "box1", counted(turned(midnight + 600, n=1), at=midnight + 600), NOON)
    assert rows_of(stage.site.client.get(PAGE).text) == ["00:10:00 1 件被翻成朝上 · 附近有 1 人（7 号） 看事件"]


def test_hours_far_back_unfold(stage: Stage) -> None:
    for hour in reversed(range(9)):
        stage.censuses.keep("shanghai", "box1", counted(zone(came_up=1), at=NOON - 3600 * hour), NOON)
    page = stage.site.client.get(PAGE).text
    assert len(rows_of(page)) == 9 and "更早的 3 行" in page
    assert page.index("07:00:00") < page.index("更早的 3 行") < page.index("06:00:00")


def test_an_hour_that_comes_twice_is_two_rows(tmp_path: Path) -> None:
    stage = Stage(Site(tmp_path, timezone="Europe/Berlin"))
    first = 1_792_886_400.0 + 1800  # 2026-10-25 02:30 in summer time
    for at in (first, first + 3600):
        stage.censuses.keep("shanghai", "box1", counted(zone(came_up=1), at=at), NOON)
    assert len(rows_of(stage.site.client.get(f"{PAGE}?day=2026-10-25").text)) == 2


def test_a_patterns_page_and_the_desk_show_how_its_labels_came_to_lie_up(stage: Stage) -> None:
    began, ended = NOON - 60, NOON - 30
    stage.site.store.add_alerts([make_envelope(kind="orientation_pattern", started_at_unix=began, at=ended)], NOON)
    for at in (NOON - 7200, NOON - 1800, NOON - 60):
        stage.site.parts.censuses.keep(
            "shanghai", "box1", counted(turned(at) if at > began - 1 else zone(), at=at), NOON
        )
    for page in ("/incidents/inc-1", "/incidents/inc-1/item"):
        found = stage.site.client.get(page).text
        part = found[found.index('data-part="came"') :].split("</section>")[0]
        before, then = re.findall(r'class="share-line" d="M([0-9.]+)', part)  # an hour before it, not two
        during, wide = re.findall(r'class="during" x="([^"]*)" y="0" width="([^"]*)"', part)[0]
        assert 0 <= float(before) < float(then) == pytest.approx(float(during), abs=0.1)
        assert 0 < float(wide) < 100 and 'class="turned-mark"' in part


@pytest.mark.parametrize("kind", ["label_photography", "orientation_pattern"])
def test_what_is_no_pattern_or_was_not_counted_shows_no_chart(stage: Stage, kind: str) -> None:
    stage.site.store.add_alerts([make_envelope(kind=kind, started_at_unix=NOON - 60)], NOON)
    if kind == "label_photography":
        stage.site.parts.censuses.keep("shanghai", "box1", counted(turned(), at=NOON - 30), NOON)
    assert 'data-part="came"' not in stage.site.client.get("/incidents/inc-1").text


@pytest.mark.parametrize("quarters", [2, 3, 7, 11, 19, 22, 96])
def test_the_times_under_a_day_lie_within_it_however_long_it_is(stage: Stage, quarters: int) -> None:
    for at in (NOON - 43_200, NOON - 43_200 + 900 * (quarters - 1)):
        stage.site.parts.censuses.keep("shanghai", "box1", counted(at=at), NOON + 43_200)
    stage.site.clock.at = NOON + 43_000
    ticks = re.findall(r'<text x="([^"]+)%"[^>]*>([0-9:]+)', stage.site.client.get(PAGE).text)
    assert len(ticks) >= 3 and all(0 <= float(x) <= 100 for x, _ in ticks)
    for x, words in ticks:
        minute = round(float(x) * 15 * quarters / 100)
        assert words == f"{minute // 60 % 24:02}:{minute % 60:02}"


def picture_payload(stage: Stage) -> bytes:
    from tests.hub.conftest import make_jpeg

    return wire.picture_payload(TOPICS, "cam3", make_jpeg(), large=False, taken_at=NOON, key=stage.site.key)


@pytest.mark.parametrize("query", ["", "?day=2026-10-01", "?day=2099-01-01", "?day=x", "?day="])
def test_a_day_without_counts_says_so(stage: Stage, query: str) -> None:
    page = stage.site.client.get(PAGE + query)
    assert page.status_code == 200 and 'class="empty"' in page.text


def test_an_earlier_day_shows_its_last_count_and_no_picture_of_now(stage: Stage) -> None:
    stage.tell(counted(turned()))
    stage.site.clock.at = NOON + 86400
    stage.tell(counted(zone(), at=NOON + 86400))
    page = stage.site.somebody(Role.VIEWER).get(f"{PAGE}?day=2026-11-01").text
    assert "当天最后一次计数：12:00:00" in page and "14 件是到了之后被翻过来的" in page and "lies-now" not in page


@pytest.mark.parametrize("place", ["shanghai/box1/cam9", "suzhou/box1/cam3", "shanghai/box1/..%2f"])
def test_a_camera_that_is_not_known_has_no_page(stage: Stage, place: str) -> None:
    assert stage.site.client.get(f"/cameras/{place}/orientation").status_code == 404


def test_who_sees_the_camera_sees_the_page_and_nobody_else(stage: Stage) -> None:
    stage.tell(counted(turned()))
    for role in Role:
        assert stage.site.somebody(role).get(PAGE).status_code == 200
    assert stage.site.somebody(Role.VIEWER, ["shanghai/cam9"], "elsewhere").get(PAGE).status_code == 404
    assert stage.site.visitor().get(PAGE).status_code == 303
