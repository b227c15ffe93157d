"""Cameras' pictures and zones at the hub: what is kept, who may see and draw, what is believed, and what is refused."""

from __future__ import annotations

import html
import json
import math
import re
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from detector import wire
from detector.config import EdgeConfig, Zone
from detector.contradictions import contradictions
from detector.errors import WireError
from detector.geometry import crosses_itself
from detector.hub.edges.census import Censuses
from detector.hub.edges.drafts import KINDS, NOT_FOR, BadZones, checked_polygon, checked_zones
from detector.hub.edges.pictures import Pictures, jpeg_size
from detector.hub.edges.proposals import Proposals
from detector.hub.edges.views import Views
from detector.hub.edges.zones import Zones
from detector.hub.storage.rights import Role, Scope
from detector.hub.storage.store import Store
from detector.values import DAY_S
from tests.hub.conftest import NOON, Site, make_jpeg, refuse_audit

PLACE = ("shanghai", "box1", "cam3")
PAGE = "/cameras/shanghai/box1/cam3/zones"
TOPICS = wire.Topics("shanghai", "box1")
WHOLE = [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]
LEFT = [[0.0, 0.0], [0.5, 0.0], [0.5, 1.0], [0.0, 1.0]]
RIGHT = [[0.5, 0.0], [1.0, 0.0], [1.0, 1.0], [0.5, 1.0]]
BOW_TIE = [[0.0, 0.0], [1.0, 1.0], [1.0, 0.0], [0.0, 0.8]]


def zone(name: str = "bulk", kind: str = "storage", polygon: list[list[float]] = WHOLE, **more: Any) -> dict[str, Any]:
    """A zone as configurations and drafts have it."""
    return {"name": name, "kind": kind, "polygon": polygon, **more}


IN_FORCE = [zone("bulk", label_up_rate=0.3, policy={"phones": "allowed"}), zone("aisle", "walkway", LEFT)]


def layout(key: Ed25519PrivateKey, zones: list[dict[str, Any]], camera: str = "cam3", **more: Any) -> bytes:
    """What an edge says of its camera."""
    said = {
        "title": "东区 3 号机",
        "zones": zones,
        "file_zones": IN_FORCE,
        "drawn": zones != IN_FORCE,
        "coverage": None,
    }
    return wire.layout_payload(TOPICS, {camera: {**said, **more}}, version=0, at=NOON, key=key)


TOLD_IN = {"in-bulk": "bulk", "nowhere": None, "redrawn": "a zone of before"}  # incidents and their zones


class Stage:
    """A hub that an edge has told of two cameras."""

    def __init__(self, site: Site) -> None:
        self.site = site
        database = site.store.database
        self.zones, self.proposals, self.pictures = Zones(database), Proposals(database), Pictures(database)
        self.views = Views(self.zones, self.pictures, Censuses(database), site.parts.keys)
        cameras = {name: {"title": name, "state": "ok", "age_s": 1.0, "fps": 5.0} for name in ("cam3", "cam9")}
        self.report(cameras=cameras)
        self.views.layout(TOPICS.layout, layout(site.key, IN_FORCE), NOON)

    def report(self, **fields: Any) -> None:
        """A health report."""
        known = {edge.edge: edge.health or {} for edge in self.site.store.edges.all()}.get("box1", {})
        self.site.store.edges.set_status("shanghai", "box1", "online", NOON)
        self.site.store.edges.set_health("shanghai", "box1", {**known, **fields}, self.site.clock.now())

    def picture(self, jpeg: bytes, at: float = NOON, camera: str = "cam3", *, large: bool = False) -> None:
        """A picture comes."""
        payload = wire.picture_payload(TOPICS, camera, jpeg, large=large, taken_at=at, key=self.site.key)
        self.views.picture(TOPICS.picture, payload, self.site.clock.now())

    def draft(
        self, *zones: dict[str, Any], do: str = "send", client: Any = None, now: int | str = 0, **more: str
    ) -> Any:
        """Post a draft; what is named as something in force is it."""
        names = {one["name"] for one in IN_FORCE}
        told = [{"was": one["name"] if one["name"] in names else None, **one} for one in zones]
        fields = {"draft": json.dumps(told), "now": str(now), "do": do, **more}
        return (client or self.site.client).post(PAGE, data=fields)


@pytest.fixture
def stage(site: Site) -> Stage:
    return Stage(site)


def _draft_of(answer: Any) -> str:
    """What the drawing script of a page begins with, as JSON."""
    found = re.search(r'id="draft"[^>]*>(.*?)</textarea>', answer.text, re.DOTALL)
    assert found
    return html.unescape(found[1])


def text_of(answer: Any) -> str:
    """What a page says, without tags."""
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", answer.text)))


# What is kept, on both databases


def test_of_two_who_change_the_same_only_the_first_does(store: Store) -> None:
    zones = Zones(store.database)
    first = zones.set_zones(PLACE, [zone("a")], expected=0, user="anna", at=NOON)
    assert first is not None and (first.version, first.before) == (1, None)
    assert zones.set_zones(PLACE, [zone("b")], expected=0, user="ben", at=NOON) is None
    second = zones.set_zones(PLACE, [zone("b")], expected=1, user="ben", at=NOON + 1)
    assert second is not None and (second.version, second.before) == (2, [zone("a")])
    assert [one.user for one in zones.changes(PLACE)] == ["ben", "anna"]


def test_a_command_carries_all_cameras_of_an_edge_and_leaves_out_those_that_went_back(store: Store) -> None:
    zones = Zones(store.database)
    other, elsewhere = ("shanghai", "box1", "cam9"), ("suzhou", "box1", "cam3")
    for place in (PLACE, other, elsewhere):
        zones.set_zones(place, [zone(place[2])], expected=0, user="anna", at=NOON)
    zones.set_zones(PLACE, None, expected=1, user="ben", at=NOON + 1)
    commands = {topic: wire.decode_zones(payload) for topic, payload in zones.commands()}
    version, state, said = commands[TOPICS.zones]
    assert (version, state, said.user) == (3, {"cam9": [zone("cam9")]}, "ben")
    assert commands[wire.Topics("suzhou", "box1").zones][:2] == (1, {"cam3": [zone("cam3")]})


def test_a_version_is_above_all_that_the_edge_has_told_of(store: Store) -> None:
    store.edges.set_health("shanghai", "box1", {"zoned": {"version": 40}}, NOON)
    change = Zones(store.database).set_zones(PLACE, [], expected=0, user="anna", at=NOON)
    assert change is not None and change.version == 41


def test_proposals_are_kept_decided_once_and_seen_in_scope_only(store: Store) -> None:
    proposals = Proposals(store.database)
    number = proposals.add(PLACE, "ignore", LEFT, " a screen\0 ", user="guard", at=NOON, incident="inc-1")
    (found,) = proposals.all(Scope.of(["shanghai/cam3"]))
    assert (found.number, found.polygon, found.note, found.incident) == (number, LEFT, "a screen", "inc-1")
    assert proposals.all(Scope.of(["shanghai/cam9"])) == []
    assert proposals.decide(("shanghai", "box1", "cam9"), number, "declined", "no", user="a", at=NOON) is None
    declined = proposals.decide(PLACE, number, "declined", "it moves", user="anna", at=NOON)
    assert declined is not None and (declined.state, declined.reason) == ("declined", "it moves")
    assert proposals.decide(PLACE, number, "accepted", "", user="anna", at=NOON) is None
    assert proposals.all() == [] and len(proposals.all(state="declined")) == 1
    for _ in range(50):
        proposals.add(PLACE, "ignore", LEFT, "", user="guard", at=NOON)
    with pytest.raises(BadZones, match="zones_many_proposals"):
        proposals.add(PLACE, "ignore", LEFT, "", user="guard", at=NOON)


def test_the_newest_picture_is_kept_of_each_size(store: Store, picture: bytes) -> None:
    pictures = Pictures(store.database)
    keep: dict[str, Any] = {"jpeg": picture, "at": NOON}
    assert pictures.newest(PLACE, large=False) is None
    assert pictures.keep(PLACE, large=False, taken_at=NOON - 10, **keep)
    assert not pictures.keep(PLACE, large=False, taken_at=NOON - 10, **keep)  # replayed
    assert not pictures.keep(PLACE, large=False, taken_at=NOON - 20, **keep)
    assert pictures.keep(PLACE, large=True, taken_at=NOON - 5, **keep)
    small, large = pictures.newest(PLACE, large=False), pictures.newest(PLACE, large=True)
    assert small and large and (small.taken_at, large.taken_at) == (NOON - 10, NOON - 5)
    assert (small.width, small.height, small.jpeg) == (64, 36, picture)
    assert list(pictures.glimpses(Scope.of(["shanghai/cam9"]))) == [] and list(pictures.glimpses()) == [PLACE]


def test_a_picture_from_the_future_gives_way(store: Store, picture: bytes) -> None:
    pictures = Pictures(store.database)
    assert pictures.keep(PLACE, large=False, jpeg=picture, taken_at=NOON + 9e6, at=NOON)
    assert pictures.keep(PLACE, large=False, jpeg=picture, taken_at=NOON, at=NOON + 1)


def test_the_last_pictures_of_a_camera_that_is_gone_are_forgotten(store: Store, picture: bytes) -> None:
    pictures, still_there = Pictures(store.database), (*PLACE[:2], "cam9")
    for large in (False, True):
        pictures.keep(PLACE, large=large, jpeg=picture, taken_at=NOON, at=NOON)
    pictures.keep(still_there, large=False, jpeg=picture, taken_at=NOON + 20 * DAY_S, at=NOON + 20 * DAY_S)
    pictures.prune(NOON + 29 * DAY_S)
    assert len(pictures.glimpses()) == 2
    pictures.prune(NOON + 31 * DAY_S)
    assert list(pictures.glimpses()) == [still_there] and not pictures.glimpses(large=True)


# What is believed


def test_what_isn_t_a_picture_of_the_edge_is_refused_and_the_former_stays(stage: Stage, picture: bytes) -> None:
    stage.picture(picture)
    key, stranger = stage.site.key, Ed25519PrivateKey.generate()

    def payload(jpeg: bytes = picture, camera: str = "cam3", large: bool = False, **changes: Any) -> bytes:
        fields = json.loads(wire.picture_payload(TOPICS, camera, jpeg, large=large, taken_at=NOON + 1, key=key))
        return wire.encode(wire.signed({**fields, **changes}, key) if changes else fields)

    plain = json.loads(payload())
    bad = {
        "forged": wire.picture_payload(TOPICS, "cam3", picture, large=False, taken_at=NOON + 1, key=stranger),
        "changed": wire.encode({**plain, "taken_at_unix": NOON + 99}),
        "of another edge": wire.encode(wire.signed({**plain, "edge": "box2"}, key)),
        "not a JPEG": payload(b"GIF89a" + b"\0" * 50),
        "cut off": payload(picture[:-10]),
        "without a size": payload(b"\xff\xd8\xff\xda\0\x02" + b"\xff\xd9"),
        "too many bytes": payload(picture[:-2] + b"\0" * 200_000 + b"\xff\xd9"),
        "too many pixels": payload(make_jpeg(1280, 720)),
        "no base64": wire.encode(wire.signed({**plain, "jpeg": "%%%"}, key)),
        "a path": payload(camera="../../etc"),
        "NUL": payload(camera="a\0b"),
        "no time": payload(taken_at_unix=-1.0),
        "no size told": payload(large="yes"),
        "noise": b"\xff\x00{",
        "nothing": b"",
    }
    for what, content in bad.items():
        with pytest.raises(WireError):
            stage.views.picture(TOPICS.picture, content, NOON + 2)
            pytest.fail(what)
    kept = stage.pictures.newest(PLACE, large=False)
    assert kept and kept.taken_at == NOON and list(stage.pictures.glimpses()) == [PLACE]
    stage.picture(make_jpeg(1280, 720), large=True)


def test_an_edge_whose_key_isn_t_known_is_not_believed(stage: Stage, picture: bytes) -> None:
    topics = wire.Topics("suzhou", "box9")
    payload = wire.picture_payload(topics, "cam3", picture, large=False, taken_at=NOON, key=stage.site.key)
    with pytest.raises(WireError, match="not joined"):
        stage.views.picture(topics.picture, payload, NOON)


def test_the_page_of_an_incident_shows_where_its_zone_lies(stage: Stage, picture: bytes, envelope: Any) -> None:
    told = [envelope(n, incident=name, zone=zone) for n, (name, zone) in enumerate(TOLD_IN.items(), 1)]
    stage.site.store.add_alerts(told, NOON)

    def maps(incident: str) -> str:
        page = stage.site.client.get(f"/incidents/{incident}").text
        return page.partition('data-part="map"')[2].partition("</section>")[0]

    assert maps("in-bulk") == ""  # no picture has come yet
    stage.picture(picture)
    assert maps("in-bulk").count("<polygon") == 1 and f'href="{PAGE}"' in maps("in-bulk")
    assert "bulk" in maps("in-bulk") and f"{PAGE.removesuffix('zones')}picture" in maps("in-bulk")
    assert [maps(name) for name in ("nowhere", "redrawn")] == ["", ""]


def test_a_layout_is_believed_by_its_signature(stage: Stage) -> None:
    with pytest.raises(WireError, match="signature"):
        stage.views.layout(TOPICS.layout, layout(Ed25519PrivateKey.generate(), []), NOON)
    with pytest.raises(WireError, match="no list"):
        stage.views.layout(TOPICS.layout, layout(stage.site.key, None), NOON)  # type: ignore[arg-type]
    with pytest.raises(WireError, match="camera"):
        stage.views.layout(TOPICS.layout, layout(stage.site.key, [], camera="../x"), NOON)
    assert stage.zones.layouts()[PLACE]["zones"] == IN_FORCE


@given(st.binary(max_size=80))
def test_noise_is_no_picture(noise: bytes) -> None:
    for data in (noise, b"\xff\xd8\xff" + noise, b"\xff\xd8\xff" + noise + b"\xff\xd9"):
        try:
            width, height = jpeg_size(data)
        except WireError:
            continue
        assert width > 0 and height > 0


# Geometry


@pytest.mark.parametrize(
    ("polygon", "key"),
    [
        (BOW_TIE, "zones_crossing"),
        ([[0, 0], [1, 1], [1, 0], [0, 1]], "zones_crossing"),  # its halves are as large as each other
        ([[0, 0], [1, 0], [0.5, 0], [0, 1]], "zones_crossing"),
        ([[0, 0], [1, 0], [1, 0], [0, 1]], "zones_crossing"),
        ([[0, 0], [1, 0]], "zones_few_points"),
        ([[0, 0], [0.001, 0], [0, 0.001]], "zones_no_area"),
        ([[0, 0], [1.01, 0], [0, 1]], "zones_outside"),
        ([[0, 0], [math.nan, 0], [0, 1]], "zones_outside"),
        ([[0, 0], [math.inf, 0], [0, 1]], "zones_outside"),
        ([[0, 0], [True, 0], [0, 1]], "zones_bad_polygon"),
        ([[0, 0], ["1", 0], [0, 1]], "zones_bad_polygon"),
        ([[0, 0], [1, 0, 0], [0, 1]], "zones_bad_polygon"),
        ("[[0,0]]", "zones_bad_polygon"),
        (None, "zones_bad_polygon"),
        ([[k / 50, (k % 2) / 2] for k in range(41)], "zones_many_points"),
    ],
)
def test_what_is_no_polygon_is_named(polygon: Any, key: str) -> None:
    with pytest.raises(BadZones) as caught:
        checked_polygon(polygon)
    assert caught.value.key == key


@given(st.lists(st.floats(0.1, 0.5), min_size=3, max_size=30))
def test_a_star_about_a_point_never_crosses_itself(radii: list[float]) -> None:
    n = len(radii)
    star = [
        (0.5 + r * math.cos(2 * math.pi * k / n), 0.5 + r * math.sin(2 * math.pi * k / n)) for k, r in enumerate(radii)
    ]
    assert not crosses_itself(star)
    assert crosses_itself([*star, star[0]])  # a corner twice


def test_what_can_t_be_drawn_stays_with_its_zone_where_the_kind_allows_it() -> None:
    kept, ignored, new = checked_zones(
        [zone("floor", polygon=LEFT, was="bulk"), zone("x", "ignore", was="bulk"), zone("n", was="nobody")], IN_FORCE
    )
    assert kept.zone == {**IN_FORCE[0], "name": "floor", "polygon": LEFT} and kept.lost == ()
    assert ignored.zone == zone("x", "ignore") and set(ignored.lost) == {"policy", "label_up_rate"}
    assert (new.zone, new.was) == (zone("n"), None)


# A value of each setting that contradicts the kinds which can't have it.
SETTINGS = {"label_up_rate": 0.2, "spot": "cage", "policy": {"phones": "allowed"}}


@pytest.mark.parametrize("setting", sorted(Zone.model_fields.keys() - {"name", "kind", "polygon"}))
@pytest.mark.parametrize("kind", KINDS)
def test_a_setting_falls_away_where_the_edge_would_refuse_it_and_nowhere_else(kind: str, setting: str) -> None:
    assert setting in SETTINGS, "name a value of it"
    camera = {"name": "cam", "source": "x.mp4", "zones": [zone("bulk", kind, LEFT, **{setting: SETTINGS[setting]})]}
    config = EdgeConfig.model_validate({"site": "s", "edge": "e", "cameras": [camera]})
    refused = [one.cause for one in contradictions(config, Path("site.yaml"), date(2026, 11, 25)) if one.cause]
    assert bool(refused) == (kind in NOT_FOR.get(setting, ())), "`contradictions` and `NOT_FOR` differ"


def test_a_spot_is_drawn_taken_off_and_otherwise_kept() -> None:
    known = [zone("bulk", spot="cage", label_up_rate=0.3)]
    drawn = checked_zones(
        [
            zone("bulk", was="bulk"), zone("a", was="bulk", spot="dock"), zone("b", was="bulk", spot=""),
            zone("new", spot="dock"), zone("off", "ignore", was="bulk", spot="dock"),
        ],
        known,
    )  # fmt: skip
    assert [one.zone.get("spot") for one in drawn] == ["cage", "dock", None, "dock", None]
    assert drawn[1].zone["label_up_rate"] == 0.3 and "spot" in drawn[4].lost
    for spot in ("a b", ["dock"], "区"):
        with pytest.raises(BadZones, match="zones_one_bad"):
            checked_zones([zone("bulk", spot=spot)], known)


def test_the_usual_rate_is_said_taken_off_and_otherwise_kept() -> None:
    known = [zone("bulk", label_up_rate=0.3)]
    drawn = checked_zones(
        [
            zone("bulk", was="bulk"), zone("a", was="bulk", label_up_rate=0.9), zone("b", was="bulk", label_up_rate=""),
            zone("c", was="bulk", label_up_rate=None), zone("new", label_up_rate=0),
            zone("aisle", "walkway", was="bulk", label_up_rate=0.9),
        ],
        known,
    )  # fmt: skip
    assert [one.zone.get("label_up_rate") for one in drawn] == [0.3, 0.9, None, None, 0.0, None]
    assert [one.lost for one in drawn] == [(), (), (), (), (), ("label_up_rate",)]
    for rate in (1.01, -0.1, math.nan, math.inf, True, "0.5", [0.5]):
        with pytest.raises(BadZones, match="zones_one_bad"):
            checked_zones([zone("bulk", label_up_rate=rate)], known)


def test_mouths_of_one_place_share_a_name_and_keep_what_is_theirs() -> None:
    known = [
        zone("corner", "blind_edge", side, policy={"phones": phones})
        for side, phones in ((LEFT, "allowed"), (RIGHT, "forbidden"))
    ]
    for sides in ((0, 1), (1, 0)):
        draft = [zone("corner", "blind_edge", known[k]["polygon"], was="corner") for k in sides]
        assert [one.zone for one in checked_zones(draft, known)] == [known[k] for k in sides]
    with pytest.raises(BadZones):
        checked_zones([zone("corner", "blind_edge", polygon=LEFT), zone("corner", polygon=RIGHT)], known)
    # One that was moved is the one that none of the unmoved is; of several that were, their order tells.
    for polygons in ((LEFT, WHOLE), (WHOLE, RIGHT), (WHOLE, WHOLE)):
        drawn = checked_zones([zone("corner", "blind_edge", one, was="corner") for one in polygons], known)
        assert [one.zone["policy"] for one in drawn] == [one["policy"] for one in known]


# Pages


def test_the_cameras_page_shows_silent_ones_first_and_says_what_to_do(stage: Stage, picture: bytes) -> None:
    stage.picture(picture)
    stage.proposals.add(PLACE, "ignore", LEFT, "", user="guard", at=NOON)
    stage.report(
        cameras={
            "cam3": {"title": "东区 3 号机", "state": "ok", "age_s": 1.0},
            "cam9": {"title": "后门", "state": "failing", "age_s": 500.0, "reason": "Connection refused"},
        }
    )
    for path in ("/cameras", "/cameras/part"):
        answer = stage.site.client.get(path)
        page = text_of(answer)
        assert page.index("后门") < page.index("东区 3 号机")
        assert "已 8 分" in page.replace("\u00a0", " ") and "检查摄像机的电源" in page and "Connection refused" in page
        assert "1 条建议" in page and 'class="zone walkway"' in answer.text
        assert "/cameras/shanghai/box1/cam3/picture?at=" in answer.text and "还没有收到画面" in page


def test_the_line_beyond_which_phones_are_too_small_is_drawn(stage: Stage, picture: bytes) -> None:
    stage.picture(picture)
    told = {"limit_y": 0.25, "sentence": {"zh": "太小", "en": "too small"}}
    stage.views.layout(TOPICS.layout, layout(stage.site.key, IN_FORCE, coverage=told), NOON)
    for path in ("/cameras", PAGE):
        assert 'y1="140.6"' in stage.site.client.get(path).text  # of 562.5
    assert "太小" in stage.site.client.get(PAGE).text


def test_an_odd_word_of_an_edge_breaks_no_page(stage: Stage) -> None:
    zones = [zone("a", polygon=[[0, 0], [9, 9]]), {"name": 7}, zone("b", "roof", LEFT), "x"]
    for odd in ({"limit_y": "x"}, {"limit_y": 7}, {"sentence": 3}, {"limit_y": True}):
        stage.views.layout(TOPICS.layout, layout(stage.site.key, zones, coverage=odd), NOON)  # type: ignore[arg-type]
        for path in ("/cameras", PAGE):
            assert stage.site.client.get(path).status_code == 200, odd


def test_a_picture_is_had_once_and_then_only_when_it_is_new(stage: Stage, picture: bytes) -> None:
    stage.picture(picture)
    address = "/cameras/shanghai/box1/cam3/picture"
    answer = stage.site.client.get(address)
    assert (answer.content, answer.headers["content-type"]) == (picture, "image/jpeg")
    again = stage.site.client.get(address, headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    stage.picture(picture, NOON + 1)
    again = stage.site.client.get(address, headers={"If-None-Match": answer.headers["etag"]})
    assert again.status_code == 200


def test_a_draft_is_looked_at_as_a_change_and_then_sent(stage: Stage) -> None:
    looked = stage.draft(zone("bulk", polygon=LEFT), zone("desk", "packing", RIGHT), do="look")
    page = text_of(looked)
    assert looked.status_code == 200 and stage.zones.changes(PLACE) == []
    for words in ("删除通道 aisle", "bulk 的边界有改动", "新增打包区 desk"):
        assert words in page
    assert "- polygon: [[0.0, 0.0], [1.0, 0.0]" in page and "+ polygon: [[0.0, 0.0], [0.5, 0.0]" in page
    assert "label_up_rate" in page  # kept: it stands in the lines about the change
    assert stage.draft(zone("bulk", polygon=LEFT), zone("desk", "packing", RIGHT)).status_code == 303
    (change,) = stage.zones.changes(PLACE)
    assert change.zones == [{**IN_FORCE[0], "polygon": LEFT}, zone("desk", "packing", RIGHT)]
    page = text_of(stage.site.client.get(PAGE))
    assert "等边缘设备回答" in page and "owner" in page


@pytest.mark.parametrize(
    ("polygons", "told"),
    [
        ([LEFT, RIGHT], "没有要改的"),
        ([RIGHT, LEFT], "先后顺序有改动"),
        ([LEFT, WHOLE], "corner 的边界有改动"),
        ([WHOLE, RIGHT], "corner 的边界有改动"),
        ([LEFT], "删除死角入口 corner"),
        ([RIGHT], "删除死角入口 corner"),
    ],
)
def test_a_change_of_one_mouth_is_told_of_that_alone(stage: Stage, polygons: list[Any], told: str) -> None:
    mouths = [zone("corner", "blind_edge", side) for side in (LEFT, RIGHT)]
    stage.views.layout(TOPICS.layout, layout(stage.site.key, mouths), NOON + 1)
    draft = [zone("corner", "blind_edge", one, was="corner") for one in polygons]
    page = text_of(stage.draft(*draft, do="look"))
    words = {"没有要改的", "先后顺序有改动", "corner 的边界有改动", "删除死角入口 corner", "新增死角入口 corner"}
    assert {one for one in words if one in page} == {told}


def test_which_spot_a_zone_shows_is_set_on_its_picture(stage: Stage) -> None:
    said = {
        name: {"title": name, "zones": zones, "file_zones": zones, "drawn": False, "coverage": None}
        for name, zones in (("cam3", IN_FORCE), ("cam9", [zone("rear", spot="cage"), zone("front", spot="dock")]))
    }
    told = wire.layout_payload(TOPICS, said, version=0, at=NOON + 1, key=stage.site.key)
    stage.views.layout(TOPICS.layout, told, NOON + 1)
    assert re.findall('<option value="([a-z]+)"></option>', stage.site.client.get(PAGE).text) == ["cage", "dock"]
    looked = stage.draft(zone("bulk", spot="cage"), zone("aisle", "walkway", LEFT, spot=""), do="look")
    assert "bulk 看的是 cage 这一处" in text_of(looked) and "+ spot: cage" in text_of(looked)
    assert stage.draft(zone("bulk", spot="cage"), zone("aisle", "walkway", LEFT, spot="")).status_code == 303
    (change,) = stage.zones.changes(PLACE)
    assert change.zones == [{**IN_FORCE[0], "spot": "cage"}, IN_FORCE[1]]
    assert json.loads(_draft_of(stage.site.client.get(PAGE)))[0]["spot"] == "cage"
    gone = text_of(stage.draft(zone("bulk", spot=""), zone("aisle", "walkway", LEFT), do="look"))
    assert "+ spot" not in gone


def test_what_is_usual_in_a_zone_is_said_on_its_picture(stage: Stage) -> None:
    aisle = zone("aisle", "walkway", LEFT)
    looked = text_of(stage.draft(zone("bulk", label_up_rate=0.125), aisle, do="look"))
    assert "bulk 平时 12.5% 的面单朝上" in looked and "+ label_up_rate: 0.125" in looked
    assert "改为自己学" in text_of(stage.draft(zone("bulk", label_up_rate=""), aisle, do="look"))
    assert "没有要改的" in text_of(stage.draft(zone("bulk", label_up_rate=0.3), aisle, do="look"))
    assert "bulk：平时面单朝上的百分比要在 0 到 100 之间" in text_of(
        stage.draft(zone("bulk", label_up_rate=90), aisle, do="look")
    )
    new = stage.draft(zone("bench", polygon=RIGHT, label_up_rate=0.9), zone("bulk"), do="look")
    assert "bench 平时 90% 的面单朝上" in text_of(new) and "超过 75% 的地方看不出" in text_of(new)
    assert "看不出" not in text_of(stage.draft(zone("bulk", label_up_rate=0.75), aisle, do="look"))
    assert stage.draft(zone("bulk", label_up_rate=0), aisle).status_code == 303
    (change,) = stage.zones.changes(PLACE)
    assert change.zones == [{**IN_FORCE[0], "label_up_rate": 0.0}, IN_FORCE[1]]
    assert [one["label_up_rate"] for one in json.loads(_draft_of(stage.site.client.get(PAGE)))] == [0.0, ""]


def test_looking_by_script_brings_only_the_change(stage: Stage) -> None:
    fields = {"draft": json.dumps([zone("bulk", was="bulk")]), "do": "look"}
    answer = stage.site.client.post(PAGE, data=fields, headers={"HX-Request": "true"})
    assert answer.status_code == 200 and "<html" not in answer.text and "删除通道 aisle" in answer.text
    fields["draft"] = json.dumps([zone("bulk", polygon=BOW_TIE)])
    answer = stage.site.client.post(PAGE, data=fields, headers={"HX-Request": "true"})
    assert answer.status_code == 200 and "bulk：边线交叉" in answer.text


def test_the_edge_s_answer_is_shown(stage: Stage) -> None:
    stage.draft(zone("bulk", polygon=LEFT))
    answer = PAGE + "/answer"
    assert "等边缘设备回答" in stage.site.client.get(answer).text and "hx-trigger" in stage.site.client.get(answer).text
    stage.report(zoned={"version": 0, "refused": "aisle lies wholly in <b>", "refused_version": 1})
    told = stage.site.client.get(answer).text
    assert "拒绝" in told and "aisle lies wholly in &lt;b&gt;" in told and "hx-trigger" not in told
    assert json.loads(_draft_of(stage.site.client.get(PAGE))) == [
        zone("bulk", polygon=LEFT, was="bulk", spot="", label_up_rate=0.3)
    ]  # what was refused can be put right
    cause = {"code": "name_twice", "camera": "cam3", "zone": "<b>"}
    stage.report(zoned={"version": 0, "refused": "given twice", "refused_version": 1, "refused_causes": [cause]})
    told = stage.site.client.get(answer).text
    assert "&lt;b&gt; 这个名字用了两次" in told and "given twice" not in told and "原话" not in told
    stage.report(zoned={"version": 1, "refused": None, "refused_version": None})
    assert "已按最新的区域工作" in stage.site.client.get(answer).text


SMALL = [[0.6, 0.1], [0.7, 0.1], [0.7, 0.2], [0.6, 0.2]]


@pytest.mark.parametrize(
    ("drawn", "zh", "en"),
    [
        (
            [zone("floor", polygon=RIGHT), zone("desk", "packing", SMALL)],
            "desk 完全落在 floor 里面，floor 排在前面",
            "desk lies wholly in floor, which comes before it",
        ),
        (
            [zone("desk", "packing", SMALL), zone("glare", "ignore", RIGHT)],
            "desk 完全落在忽略区 glare 里面",
            "desk lies wholly in glare, where nothing is looked at",
        ),
        (
            [zone("left", polygon=LEFT), zone("right", polygon=RIGHT), zone("desk", "packing")],
            "desk 完全落在 left、right 里面",
            "desk lies wholly in left, right, which",
        ),
    ],
)
def test_what_the_edge_would_refuse_is_refused_by_the_page_in_the_reader_s_language(
    stage: Stage, drawn: list[dict[str, Any]], zh: str, en: str
) -> None:
    for language, words in (("zh", zh), ("en", en)):
        stage.site.client.cookies.set("language", language)
        for do in ("look", "send"):
            answer = stage.draft(*drawn, do=do)
            assert answer.status_code == 422 and words in text_of(answer)
            assert [one["name"] for one in json.loads(_draft_of(answer))] == [one["name"] for one in drawn]
    assert stage.zones.changes(PLACE) == []


def test_what_is_wrong_with_the_zones_in_force_already_hinders_no_other_change(stage: Stage) -> None:
    # aisle lies in bulk, by the edge's own file
    assert stage.draft(*IN_FORCE, zone("desk", "packing", RIGHT)).status_code == 422
    assert stage.draft(zone("desk", "packing", RIGHT), *IN_FORCE).status_code == 303


def test_a_refused_change_is_told_in_words_beside_what_is_in_force(stage: Stage) -> None:
    refused = [zone("floor", polygon=RIGHT), zone("desk", "packing", SMALL)]  # by a hub before it knew this rule
    stage.zones.set_zones(PLACE, refused, expected=0, user="owner", at=NOON)
    stage.report(zoned={"version": 0, "refused": "desk lies wholly in …", "refused_version": 1})
    admin, guard = stage.site.somebody(Role.ADMIN), stage.site.somebody(Role.REVIEWER)
    page = admin.get(PAGE)
    words = text_of(page)
    assert "拒绝了这次改动" in words and "东区 3 号机：desk 完全落在 floor 里面" in words
    assert "desk lies wholly" not in words  # only where this hub can't tell the reason
    in_force = re.search(r'id="in-force">(.*?)</ul>', page.text, re.DOTALL)
    assert in_force and "bulk" in in_force[1] and "aisle" in in_force[1] and "desk" not in in_force[1]
    assert page.text.count('<polygon class="in-force"') == len(IN_FORCE) and "草稿（没有生效）" in words
    assert [one["name"] for one in json.loads(_draft_of(page))] == ["floor", "desk"]  # to be put right
    seen = guard.get(PAGE)
    assert [one["name"] for one in json.loads(_draft_of(seen))] == ["bulk", "aisle"] and "没有生效" not in seen.text


def test_a_camera_whose_zones_hold_up_another_s_is_named(stage: Stage) -> None:
    stage.views.layout(TOPICS.layout, layout(stage.site.key, IN_FORCE, "cam9"), NOON + 1)
    stage.zones.set_zones(
        ("shanghai", "box1", "cam9"), [zone("floor"), zone("desk", "packing", SMALL)], expected=0, user="a", at=NOON
    )
    stage.views.layout(
        TOPICS.layout,
        wire.layout_payload(
            TOPICS,
            {
                name: {"title": title, "zones": IN_FORCE, "file_zones": IN_FORCE, "drawn": False, "coverage": None}
                for name, title in (("cam3", "东区 3 号机"), ("cam9", "后门"))
            },
            version=0, at=NOON + 2, key=stage.site.key,
        ),
        NOON + 2,
    )  # fmt: skip
    assert stage.draft(zone("bulk", polygon=LEFT)).status_code == 303
    stage.report(zoned={"version": 0, "refused": "desk lies wholly in …", "refused_version": 2})
    assert "后门：desk 完全落在 floor 里面" in text_of(stage.site.client.get(PAGE + "/answer"))


def test_what_waits_for_the_edge_keeps_its_settings_when_it_is_drawn_on(stage: Stage) -> None:
    assert stage.draft(zone("pack-east", polygon=LEFT, was="bulk")).status_code == 303
    again = [zone("desk", "packing", LEFT), zone("pack-east", polygon=WHOLE, was="pack-east")]
    looked = text_of(stage.draft(*again, do="look", now=1))
    assert "删除堆放区 bulk" in looked and "新增堆放区 pack-east" in looked and "顺序" not in looked
    assert stage.draft(*again, now=1).status_code == 303
    newest = stage.zones.changes(PLACE)[0].zones
    assert newest is not None and newest[1] == {**IN_FORCE[0], "name": "pack-east"}


def test_a_mistake_that_waits_for_the_edge_is_taken_back_by_drawing_what_is_in_force(stage: Stage) -> None:
    in_force = [{**zone_, "was": zone_["name"]} for zone_ in IN_FORCE]
    assert "没有要改的" in text_of(stage.draft(*in_force, do="look"))
    assert stage.draft(*in_force[1:]).status_code == 303  # one too few, and the box is away
    looked = stage.draft(*in_force, do="look", now=1)
    assert "收回还没有生效的改动" in text_of(looked) and 'value="send"' in looked.text
    assert stage.draft(*in_force, now=1).status_code == 303
    newest = stage.zones.changes(PLACE)[0].zones
    assert newest is not None and [one["name"] for one in newest] == [one["name"] for one in IN_FORCE]


def test_of_two_admins_the_later_one_is_asked_with_the_draft_kept(stage: Stage) -> None:
    anna, ben = (stage.site.somebody(Role.ADMIN, name=name) for name in ("anna", "ben"))
    assert stage.draft(zone("bulk", polygon=LEFT), client=anna, now=0).status_code == 303
    late = stage.draft(zone("mine"), client=ben, now=0)
    page = text_of(late)
    assert late.status_code == 409 and "anna 在" in page and "仍然用我的" in page and "新增堆放区 mine" in page
    assert len(stage.zones.changes(PLACE)) == 1
    now = re.search(r'name="now" value="(\d+)"', late.text)[1]  # type: ignore[index]
    assert stage.draft(zone("mine"), client=ben, now=now).status_code == 303
    assert [one.user for one in stage.zones.changes(PLACE)] == ["ben", "anna"]
    assert stage.draft(zone("mine"), client=ben, now=1).status_code == 303  # sent twice
    assert len(stage.zones.changes(PLACE)) == 2


@pytest.mark.parametrize("headers", [{"HX-Request": "true"}, {}], ids=["by script", "as a page"])
def test_who_drew_while_another_changed_the_zones_is_told_when_they_look(stage: Stage, headers: dict[str, str]) -> None:
    anna, ben = (stage.site.somebody(Role.ADMIN, name=name) for name in ("anna", "ben"))

    def look(page: Any, *zones: dict[str, Any]) -> Any:
        """Press the button of a page that somebody drew on."""
        now = re.search(r'id="look".*?name="now" value="(.*?)"', page.text, re.DOTALL)[1]  # type: ignore[index]
        return ben.post(PAGE, data={"now": now, "draft": json.dumps(zones), "do": "look"}, headers=headers)

    page = ben.get(PAGE)
    assert stage.draft(zone("bulk", polygon=LEFT), client=anna, now=0).status_code == 303
    if not headers:
        page = look(page, zone("a b"))
        assert page.status_code == 422  # and it is still what was drawn on before
    looked = look(page, zone("mine"))
    assert "anna 在" in text_of(looked) and "仍然用我的" in text_of(looked)
    assert ben.post(PAGE, data={**_hidden(looked.text), "do": "send"}).status_code == 303
    again = text_of(look(ben.get(PAGE), zone("mine"), zone("more")))
    assert "也改了" not in again and "仍然用我的" not in again


def test_one_can_go_back_to_the_file(stage: Stage) -> None:
    stage.draft(zone("other"))
    stage.views.layout(TOPICS.layout, layout(stage.site.key, [zone("other")]), NOON)
    looked = stage.site.client.post(PAGE, data={"do": "look_back"})
    assert "改回边缘设备配置文件里的" in looked.text and "新增堆放区 bulk" in looked.text
    assert stage.site.client.post(PAGE, data={"do": "send", "back": "1", "now": "1"}).status_code == 303
    assert stage.zones.changes(PLACE)[0].zones is None
    assert wire.decode_zones(dict(stage.zones.commands())[TOPICS.zones])[:2] == (2, {})


BAD_DRAFTS = [
    ("", "看不懂"),
    ("[", "看不懂"),
    ("[" * 3000, "看不懂"),
    ("{}", "看不懂"),
    ("[7]", "看不懂"),
    (json.dumps([zone("a b")]), "名字“a b”不行"),
    (json.dumps([zone("../x")]), "不行"),
    (json.dumps([zone("a\0")]), "不行"),
    (json.dumps([zone("a" * 65)]), "不行"),
    (json.dumps([zone("a", "roof")]), "没有这种用途"),
    (json.dumps([zone("a"), zone("a")]), "都叫“a”"),
    (json.dumps([zone("a", polygon=BOW_TIE)]), "a：边线交叉"),
    (json.dumps([zone("a", polygon=WHOLE[:2])]), "a：至少要三个点"),
    (json.dumps([zone("a", polygon=[[0, 0], [2, 0], [0, 1]])]), "a：有点在画面外面"),
    ('[{"name":"a","kind":"storage","polygon":[[0,0],[NaN,0],[0,1]]}]', "a：有点在画面外面"),
    ('[{"name":"a","kind":"storage","polygon":[[0,0],[1e999,0],[0,1]]}]', "a：有点在画面外面"),
    (json.dumps([zone(f"z{n}") for n in range(21)]), "最多画 20 个"),
]


def test_a_bad_draft_is_refused_in_words_and_nothing_is_sent(stage: Stage) -> None:
    for draft, words in BAD_DRAFTS:
        for do in ("look", "send"):
            answer = stage.site.client.post(PAGE, data={"draft": draft, "do": do, "now": "0"})
            assert answer.status_code == 422 and words in html.unescape(answer.text), draft[:80]
    assert stage.zones.changes(PLACE) == []


def test_a_version_that_is_none_counts_as_another_s_change(stage: Stage) -> None:
    for now in ["", "x", "-1", "9" * 30, "٣"]:
        assert stage.draft(zone("a"), now=now).status_code == 409, now
    assert stage.zones.changes(PLACE) == []


# Proposals


def test_a_guard_proposes_and_an_admin_takes_it_into_the_draft(stage: Stage) -> None:
    guard, admin = stage.site.somebody(Role.REVIEWER), stage.site.somebody(Role.ADMIN)
    fields = {"kind": "ignore", "polygon": json.dumps(LEFT), "note": "屏幕反光"}
    assert guard.post(PAGE + "/proposals", data=fields).status_code == 303
    assert "屏幕反光" in guard.get(PAGE).text
    (proposal,) = stage.proposals.all()
    taken = admin.post(f"{PAGE}/proposals/{proposal.number}", data={"do": "accept"})
    assert taken.headers["location"] == f"{PAGE}?with={proposal.number}"
    assert f"ignore-{proposal.number}" in admin.get(taken.headers["location"]).text
    assert len(stage.proposals.all()) == 1  # only sent it counts
    drawn = zone("glare", "ignore", SMALL, proposal=proposal.number)
    stage.draft(*IN_FORCE, drawn, client=admin, **{"with": str(proposal.number)})
    assert stage.proposals.all() == []
    (accepted,) = stage.proposals.all(state="accepted")
    assert (accepted.decided_by, accepted.note) == ("a-admin", "屏幕反光")


def test_of_several_proposals_each_that_is_taken_into_the_draft_stays_there(stage: Stage) -> None:
    one, two, three = (stage.proposals.add(PLACE, "ignore", LEFT, "", user="guard", at=NOON) for _ in range(3))
    client, page = stage.site.client, PAGE

    def decided(number: int, **fields: str) -> Any:
        """The answer to the form of a proposal, as the page has it."""
        found = re.search(rf'action="{PAGE}/proposals/{number}">\s*(.*?)</form>', client.get(page).text, re.DOTALL)
        assert found
        return client.post(f"{PAGE}/proposals/{number}", data={**_hidden(found[1]), **fields})

    def taken(text: str) -> list[int]:
        return [zone["proposal"] for zone in _drawn_by_script(text) if "proposal" in zone]

    page = decided(one, do="accept").headers["location"]
    assert taken(decided(two, do="decline").text) == [one]  # for want of a reason
    page = decided(two, do="decline", reason="it moves").headers["location"]
    page = decided(three, do="accept").headers["location"]
    assert sorted(taken(client.get(page).text)) == [one, three]


def test_who_proposed_reads_what_became_of_it_and_why(stage: Stage) -> None:
    guard, admin = stage.site.somebody(Role.REVIEWER), stage.site.somebody(Role.ADMIN)
    assert 'id="decided"' not in guard.get(PAGE).text
    for note in ("屏幕反光", "门口人太多"):
        stage.proposals.add(PLACE, "ignore", LEFT, note, user="a-reviewer", at=NOON)
    later, sooner = (one.number for one in stage.proposals.all())
    stage.site.clock.at = NOON + 60
    stage.draft(*IN_FORCE, zone("glare", "ignore", SMALL, proposal=sooner), client=admin, **{"with": str(sooner)})
    stage.site.clock.at = NOON + 120
    admin.post(f"{PAGE}/proposals/{later}", data={"do": "decline", "reason": "门口要看"})
    told = re.sub(r"<[^>]+>|\s+", " ", guard.get(PAGE).text.partition('id="decided"')[2].partition("</details>")[0])
    told = " ".join(told.split())
    assert "2026-11-01 12:02:00 a-admin 没有采纳 a-reviewer 的建议：" in told and "门口人太多 — 门口要看" in told
    assert told.index("门口要看") < told.index("2026-11-01 12:01:00 a-admin 采纳了 a-reviewer 的建议：")


@pytest.mark.parametrize("do", ["back", "delete"])
def test_a_proposal_whose_zone_was_not_sent_goes_on_waiting(stage: Stage, do: str) -> None:
    number = stage.proposals.add(PLACE, "ignore", LEFT, "", user="guard", at=NOON)
    drawn = _drawn_by_script(stage.site.client.get(f"{PAGE}?with={number}").text)
    kept = [one for one in drawn if do == "back" or one["was"] is not None]
    kept[0]["kind"] = "packing"
    look = {"do": "look_back" if do == "back" else "look", "draft": json.dumps(kept), "with": str(number)}
    sent = {**_hidden(stage.site.client.post(PAGE, data=look, headers={"HX-Request": "true"}).text), "do": "send"}
    assert stage.site.client.post(PAGE, data=sent).status_code == 303
    assert len(stage.zones.changes(PLACE)) == 1 and [one.number for one in stage.proposals.all()] == [number]


def test_no_zone_is_set_proposed_or_declined_without_its_line_in_the_audit_log(stage: Stage) -> None:
    number = stage.proposals.add(PLACE, "ignore", LEFT, "", user="guard", at=NOON)
    refuse_audit(stage.site.store)
    deeds = [
        ("", {"do": "send", "draft": json.dumps([zone("other")]), "now": "0"}),
        ("/proposals", {"kind": "ignore", "polygon": json.dumps(RIGHT)}),
        (f"/proposals/{number}", {"do": "decline", "reason": "no"}),
    ]
    for path, fields in deeds:
        assert stage.site.client.post(PAGE + path, data=fields).status_code == 500
    assert stage.zones.changes(PLACE) == [] and [one.number for one in stage.proposals.all()] == [number]


def test_a_proposal_is_known_by_its_zone_whatever_was_changed_of_it(stage: Stage) -> None:
    number = stage.proposals.add(PLACE, "ignore", LEFT, "", user="guard", at=NOON)
    drawn = _drawn_by_script(stage.site.client.get(f"{PAGE}?with={number}").text)
    drawn[-1] |= {"name": "glare", "polygon": RIGHT}
    fields = {"do": "look", "draft": json.dumps(drawn), "with": str(number)}
    sent = {**_hidden(stage.site.client.post(PAGE, data=fields, headers={"HX-Request": "true"}).text), "do": "send"}
    stage.zones.set_zones(PLACE, None, expected=0, user="ben", at=NOON)
    contested = stage.site.client.post(PAGE, data=sent)
    assert contested.status_code == 409
    drawn, fields["with"] = _drawn_by_script(contested.text), str(number)
    again = stage.site.client.post(PAGE, data={**fields, "draft": json.dumps(drawn)}, headers={"HX-Request": "true"})
    assert stage.site.client.post(PAGE, data={**_hidden(again.text), "do": "send"}).status_code == 303
    assert stage.proposals.all() == [] and "proposal" not in str(stage.zones.changes(PLACE)[0].zones)


def _drawn_by_script(page: str) -> list[dict[str, Any]]:
    """What the page gives its script to draw on."""
    found = re.search(r'<textarea name="draft".*?>(.*?)</textarea>', page, re.DOTALL)
    assert found
    drawn: list[dict[str, Any]] = json.loads(html.unescape(found[1]))
    return drawn


def _hidden(page: str) -> dict[str, str]:
    """Hidden fields of the form that sends a change."""
    return {name: html.unescape(value) for name, value in re.findall(r'type="hidden" name="(.*?)" value="(.*?)"', page)}


def test_a_draft_as_large_as_may_be_is_taken(stage: Stage) -> None:
    corners = [
        [round((0.1 + 0.09 * math.cos(n)), 4), round(0.1 + 0.09 * math.sin(n), 4)] for n in _around(wire.MOST_POINTS)
    ]
    zones = [
        zone(
            f"bulk-and-high-value-{n}",
            polygon=[[round(x + n % 5 / 5, 4), round(y + n // 5 / 5, 4)] for x, y in corners],
        )
        for n in range(wire.MOST_ZONES)
    ]
    assert stage.draft(*zones).status_code == 303
    (change,) = stage.zones.changes(PLACE)
    assert change.zones is not None and len(change.zones) == wire.MOST_ZONES


def _around(n: int) -> list[float]:
    return [2 * math.pi * k / n for k in range(n)]


def test_declining_needs_a_reason(stage: Stage) -> None:
    number = stage.proposals.add(PLACE, "ignore", LEFT, "", user="guard", at=NOON)
    address = f"{PAGE}/proposals/{number}"
    assert stage.site.client.post(address, data={"do": "decline", "reason": " "}).status_code == 422
    assert stage.site.client.post(address, data={"do": "decline", "reason": "it moves"}).status_code == 303
    assert stage.site.client.post(address, data={"do": "decline", "reason": "again"}).status_code == 404
    assert stage.site.client.post(f"{PAGE}/proposals/{2**70}", data={"do": "decline", "reason": "x"}).status_code == 404


def test_a_proposal_that_is_none_is_refused(stage: Stage) -> None:
    polygons = [("roof", json.dumps(LEFT)), ("ignore", json.dumps(BOW_TIE)), ("ignore", "x"), ("ignore", '{"a":1}')]
    for fields in [{}, *({"kind": kind, "polygon": polygon} for kind, polygon in polygons)]:
        assert stage.site.client.post(PAGE + "/proposals", data=fields).status_code == 422, fields
    assert stage.proposals.all() == []


def test_a_rectangle_is_proposed_by_its_sides_where_no_script_draws_it(stage: Stage) -> None:
    sides = {"left": "5", "top": "10", "width": "30.5", "height": "95", "polygon": ""}
    assert stage.site.client.post(PAGE + "/proposals", data={"kind": "ignore", **sides}).status_code == 303
    (proposal,) = stage.proposals.all()
    assert proposal.polygon == [[0.05, 0.1], [0.355, 0.1], [0.355, 1.0], [0.05, 1.0]]
    for odd in ({"left": ""}, {"width": "0"}, {"top": "nan"}, {"height": "-50"}):
        refused = stage.site.client.post(PAGE + "/proposals", data={"kind": "ignore", **sides, **odd})
        assert refused.status_code == 422, odd


def test_a_proposal_may_not_name_an_incident_out_of_sight(stage: Stage, envelope: Any) -> None:
    stage.site.store.add_alerts([envelope(1, incident="far", site="suzhou")], NOON)
    guard = stage.site.somebody(Role.REVIEWER, ["shanghai"])
    fields = {"kind": "ignore", "polygon": json.dumps(LEFT), "incident": "far"}
    assert guard.post(PAGE + "/proposals", data=fields).status_code == 404


# Roles and scope

ROUTES = [("GET", ""), ("GET", "/answer"), ("POST", ""), ("POST", "/proposals"), ("POST", "/proposals/1")]
MAY = {
    Role.OWNER: {0, 1, 2, 3, 4},
    Role.ADMIN: {0, 1, 2, 4},
    Role.REVIEWER: {0, 1, 3},
    Role.VIEWER: {0, 1},
}


@pytest.mark.parametrize("role", list(Role))
def test_each_role_may_what_it_should(stage: Stage, role: Role) -> None:
    client = stage.site.somebody(role)
    for n, (method, path) in enumerate(ROUTES):
        answer = client.request(method, PAGE + path, data={"do": "look", "draft": "[]"} if method == "POST" else None)
        assert (answer.status_code == 403) == (n not in MAY[role]), (method, path)
    page = client.get(PAGE).text
    assert ("zones.js" in page) == (role is not Role.VIEWER)
    assert ('id="look"' in page) == (role in (Role.OWNER, Role.ADMIN))


@pytest.mark.parametrize("scope", [["shanghai/cam9"], ["suzhou"], []])
def test_what_is_out_of_scope_isn_t_there(stage: Stage, picture: bytes, scope: list[str]) -> None:
    stage.picture(picture)
    stage.proposals.add(PLACE, "ignore", LEFT, "secret", user="guard", at=NOON)
    admin = stage.site.somebody(Role.OWNER, scope)
    page = admin.get("/cameras").text
    assert "cam3" not in page and "条建议" not in page
    assert admin.get("/cameras/shanghai/box1/cam3/picture").status_code == 404
    assert admin.post("/cameras/shanghai/box1/cam3/picture").status_code == 404
    for method, path in ROUTES:
        answer = admin.request(
            method, PAGE + path, data={"do": "send", "draft": "[]", "now": "0"} if method == "POST" else None
        )
        assert answer.status_code == 404, (method, path)
    assert stage.zones.changes(PLACE) == [] and len(stage.proposals.all()) == 1


def test_nobody_gets_a_picture_without_logging_in(stage: Stage, picture: bytes) -> None:
    stage.picture(picture)
    answer = stage.site.visitor().get("/cameras/shanghai/box1/cam3/picture")
    assert answer.status_code == 303 and answer.headers["location"].startswith("/login")


def test_a_camera_that_isn_t_there_is_a_404(stage: Stage) -> None:
    for camera in ("nobody", "..%2f..", "x" * 300):
        for path in ("picture", "zones", "zones/answer"):
            assert stage.site.client.get(f"/cameras/shanghai/box1/{camera}/{path}").status_code == 404, camera


def test_a_change_and_a_proposal_leave_lines_in_the_audit_log(stage: Stage) -> None:
    from detector.hub.access.audit import Audit

    stage.draft(zone("bulk", polygon=LEFT))
    fields = {"kind": "ignore", "polygon": json.dumps(LEFT)}
    stage.site.client.post(PAGE + "/proposals", data=fields)
    done = {entry.action: entry for entry in Audit(stage.site.store.database).entries()}
    assert done["zones"].details == {"version": 1, "back": False, "zones": ["bulk"]}
    assert done["zones"].subject == "shanghai/box1/cam3" and done["zone_proposal"].details["decision"] == "proposed"


def test_when_a_picture_was_taken_is_told_within_its_sentence(stage: Stage, picture: bytes) -> None:
    stage.site.client.cookies.set("language", "en")
    stage.picture(picture, NOON - 7)
    page = text_of(stage.site.client.get(PAGE))
    assert "Picture of today 11:59:53" in page and "Today" not in page.split("Picture of")[1][:20]
    stage.site.clock.at += 86400
    page = text_of(stage.site.somebody(Role.OWNER, name="late").get(PAGE))
    assert "昨天 11:59" in page
