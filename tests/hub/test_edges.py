"""Edge boxes come in by a code, and are shut out: the keeper on both databases, the page, and where boxes knock."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from detector import wire
from detector.credentials.codes import (
    LARGEST_REQUEST,
    derived,
    fingerprint,
    join_request,
    make_code,
    parse_code,
    read_join_answer,
)
from detector.errors import WireError
from detector.hub.access.audit import Audit
from detector.hub.edges.enrolment import LIFE_S, MOST_GUESSES, MOST_OPEN, CodeNotMade, Enrolment, JoinRefused
from detector.hub.edges.keys import ACTIVE, REVOKED, EdgeKeys
from detector.hub.edges.knocks import MOST, Knocks
from detector.hub.storage.database import migrate
from detector.hub.storage.rights import Role
from detector.hub.storage.schema import join_codes
from detector.hub.storage.store import Store
from detector.hub.upkeep.clock_ahead import bring_back
from tests.hub.conftest import NOON, Site, make_envelope, make_older

CODE = re.compile(r'class="secret code"[^>]*>([0-9A-Z-]+)<')
KEY, OTHER = (Ed25519PrivateKey.from_private_bytes(bytes([n]) * 32) for n in (1, 2))
PUBLIC = wire.public_key_text(KEY)


def request(code: str, **changes: Any) -> dict[str, Any]:
    usual: dict[str, Any] = {
        "site": "suzhou", "edge": "box2", "key": KEY, "at": NOON, "version": "1", "csr": None,
    }  # fmt: skip
    return join_request(parse_code(code), **{**usual, **changes})


class Door:
    """Who makes codes and lets boxes in."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.audit = Audit(store.database)
        self.keys = EdgeKeys(store.database)
        self.enrolment = Enrolment(store.database, self.audit)

    def code(self, site: str | None = None, edge: str | None = None, at: float = NOON) -> str:
        return self.enrolment.make("owner", at, site=site, edge=edge)[1]

    def refused(self, asked: dict[str, Any], at: float = NOON) -> str:
        with pytest.raises(JoinRefused) as refused:
            self.enrolment.join(asked, "10.0.0.9", at)
        return refused.value.reason

    def actions(self) -> list[str]:
        return [entry.action for entry in reversed(self.audit.entries())]


@pytest.fixture
def door(store: Store) -> Door:
    return Door(store)


@pytest.fixture
def small_door(sqlite_store: Store) -> Door:
    """For what does not depend on the database."""
    return Door(sqlite_store)


def test_a_code_lets_one_box_in_once(door: Door) -> None:
    code = door.code()
    asked = request(code)
    used, answer_key = door.enrolment.join(asked, "10.0.0.9", NOON + 60)
    assert used.state(NOON + 60) == "used" and answer_key == derived(parse_code(code)).answer_key
    assert door.keys.active("suzhou", "box2") == PUBLIC
    assert door.enrolment.join(asked, "10.0.0.9", NOON + 61)[1] == answer_key  # its answer may have been lost
    assert door.refused(request(code, key=OTHER)) == "code_used"
    assert door.refused(request(code, edge="box3")) == "code_used"
    assert door.refused(asked, NOON + LIFE_S) == "code_used"
    assert door.actions() == ["join_code", "box_joined", *["join_refused"] * 3]


def test_no_code_is_kept_and_nothing_that_answers_after_its_time(small_door: Door) -> None:
    door = small_door
    code = door.code()
    secrets = derived(parse_code(code))
    with door.store.database.reading() as connection:
        kept = repr(connection.execute(join_codes.select()).all())
    assert code not in kept and parse_code(code) not in kept
    assert secrets.box_key.private_bytes_raw().hex() not in kept
    door.code(at=NOON + LIFE_S)
    with door.store.database.reading() as connection:
        old = connection.execute(join_codes.select().order_by(join_codes.c.number)).first()
    assert old is not None and old.answer_key is None
    assert code not in repr(door.audit.entries())


def test_a_code_ends(small_door: Door) -> None:
    door = small_door
    assert door.refused(request(door.code(), at=NOON + LIFE_S), NOON + LIFE_S) == "code_expired"
    made, code = door.enrolment.make("owner", NOON, site=None, edge=None)
    door.enrolment.cancel(made.number, "owner", NOON)
    assert door.refused(request(code)) == "code_expired"
    assert door.keys.active("suzhou", "box2") is None


def test_a_code_made_by_a_clock_that_was_ahead_is_good_for_no_longer_than_others(small_door: Door) -> None:
    door = small_door
    code, other = (door.code(at=NOON + 8 * 3600) for _ in range(2))
    bring_back(door.store.database, NOON)
    last = NOON + LIFE_S - 1
    assert door.enrolment.join(request(code, at=last), "10.0.0.9", last)
    assert door.refused(request(other, at=last + 1, edge="box3", key=OTHER), last + 1) == "code_expired"


def test_wrong_tries_close_a_code(door: Door) -> None:
    code = door.code()
    handle = derived(parse_code(code)).handle
    for n in range(MOST_GUESSES):
        wrong = request(make_code())
        meant = wire.signed({k: v for k, v in wrong.items() if k != "signature"} | {"handle": handle}, KEY)
        assert door.refused(meant) == "code_wrong", n
    assert door.refused(request(code)) == "code_locked"
    assert door.keys.active("suzhou", "box2") is None


def test_a_box_that_the_code_is_not_for_does_not_use_it_up(small_door: Door) -> None:
    door = small_door
    names: list[tuple[str | None, str | None]] = [("suzhou", "box1"), ("wuxi", None), (None, "box1")]
    for n, (site, edge) in enumerate(names):
        code, key = door.code(site, edge), Ed25519PrivateKey.generate()
        assert door.refused(request(code, key=key)) == "code_other_name"
        mine = {"site": site or f"other{n}", "edge": edge or f"other{n}"}
        door.enrolment.join(request(code, key=key, **mine), "10.0.0.9", NOON)
    code = door.code()
    for at in (NOON + 121, NOON - 121):
        assert door.refused(request(code, at=at)) == "clock"
    door.enrolment.join(request(code), "10.0.0.9", NOON)


def test_a_name_and_a_key_are_one_boxs(door: Door) -> None:
    door.enrolment.join(request(door.code()), "10.0.0.9", NOON)
    assert door.refused(request(door.code(), key=OTHER)) == "name_taken"
    assert door.refused(request(door.code(), edge="box3")) == "key_elsewhere"
    door.enrolment.join(request(door.code("suzhou", "box2")), "10.0.0.9", NOON)  # once more, for a certificate
    assert door.enrolment.revoke("suzhou", "box2", "owner", NOON + 9)
    assert not door.enrolment.revoke("suzhou", "box2", "owner", NOON + 9)
    assert door.refused(request(door.code())) == "key_ended"
    door.enrolment.join(request(door.code(), key=OTHER), "10.0.0.9", NOON)
    assert [key.state for key in door.keys.of("suzhou", "box2")] == [ACTIVE, REVOKED]


def test_a_code_that_was_used_lets_nobody_in_again_who_was_shut_out_since(door: Door) -> None:
    asked = request(door.code())
    door.enrolment.join(asked, "10.0.0.9", NOON)
    assert door.enrolment.revoke("suzhou", "box2", "owner", NOON + 9)
    assert door.refused(asked, NOON + 10) == "key_ended"


def test_of_two_boxes_with_one_code_one_wins(door: Door) -> None:
    code = door.code()
    boxes = [Ed25519PrivateKey.generate() for _ in range(8)]
    asked = [request(code, edge=f"box{n}", key=key) for n, key in enumerate(boxes)]
    came: list[str] = []
    together = threading.Barrier(len(boxes))

    def knock(one: dict[str, Any]) -> None:
        together.wait()
        try:
            door.enrolment.join(one, "10.0.0.9", NOON)
            came.append("in")
        except JoinRefused as refused:
            came.append(refused.reason)

    threads = [threading.Thread(target=knock, args=(one,)) for one in asked]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(came) == ["code_used"] * 7 + ["in"]
    assert sum(door.keys.active("suzhou", f"box{n}") is not None for n in range(8)) == 1


def test_so_many_codes_are_open_at_once(small_door: Door) -> None:
    door = small_door
    for _ in range(MOST_OPEN):
        door.code()
    with pytest.raises(CodeNotMade, match="too_many"):
        door.code()
    door.code(at=NOON + LIFE_S)


def test_whose_word_is_believed(door: Door) -> None:
    def word(signer: Ed25519PrivateKey, at: float = NOON, **more: Any) -> None:
        fields = wire.signed({"site": "suzhou", "edge": "box2", "at": at, **more}, signer)
        door.keys.believe(fields, signed_at=at, at=NOON)

    for claim in ({"key": PUBLIC}, {}):
        with pytest.raises(WireError, match="not joined"):
            word(KEY, **claim)
    door.keys.trust("suzhou", "box2", PUBLIC, NOON, "owner")
    assert door.keys.knocks.all() == []  # it has been let in
    word(KEY)
    word(KEY, key=PUBLIC)
    with pytest.raises(WireError, match="does not fit"):
        word(OTHER)
    with pytest.raises(WireError, match="does not fit"):
        word(OTHER, key=PUBLIC)
    with pytest.raises(WireError, match="not the one"):
        word(OTHER, key=wire.public_key_text(OTHER))
    door.enrolment.revoke("suzhou", "box2", "owner", NOON)
    for at in (NOON, NOON - 1e6, 0.0):  # whatever time it names
        for claim in ({"key": PUBLIC}, {}):
            with pytest.raises(WireError, match="revoked"):
                word(KEY, at, **claim)
    assert {knock.reason for knock in door.keys.knocks.all()} == {"other", "revoked"}


def test_what_a_box_told_under_a_name_that_is_shut_out_it_brings_by_the_key_it_has_kept_and_no_other_box_does(
    door: Door,
) -> None:
    def bring(edge: str, signer: Ed25519PrivateKey) -> None:
        fields = {"site": "suzhou", "edge": "box2", "key": wire.public_key_text(signer)}
        door.keys.believe(wire.signed(fields, signer), signed_at=NOON, at=NOON, bringer=("suzhou", edge))

    door.keys.trust("suzhou", "box2", PUBLIC, NOON, "owner")
    door.keys.trust("suzhou", "box3", wire.public_key_text(OTHER), NOON, "owner")
    bring("box2", KEY)
    for edge, signer in (("box3", KEY), ("box3", OTHER), ("box4", KEY)):
        with pytest.raises(WireError, match="not those of the topic"):
            bring(edge, signer)
    door.keys.trust("suzhou", "box4", PUBLIC, NOON, "owner")
    with pytest.raises(WireError, match="not those of the topic"):  # a copy of a box that is still at work
        bring("box4", KEY)
    door.enrolment.revoke("suzhou", "box2", "owner", NOON)
    bring("box4", KEY)
    with pytest.raises(WireError, match="not those of the topic"):
        bring("box3", OTHER)
    door.enrolment.revoke("suzhou", "box4", "owner", NOON)
    with pytest.raises(WireError, match="not those of the topic"):
        bring("box4", KEY)


def test_what_came_in_together_is_checked_by_one_reading_and_the_next_by_another(small_door: Door) -> None:
    keys = EdgeKeys(small_door.store.database, first_sight=True)

    def word(key: Ed25519PrivateKey = KEY) -> None:
        fields = {"site": "suzhou", "edge": "box2", "key": wire.public_key_text(key)}
        keys.believe(wire.signed(fields, key), signed_at=NOON, at=NOON)

    with keys.together():
        word()  # known at first sight, and from then on by this key alone
        with pytest.raises(WireError, match="not the one"):
            word(OTHER)
        word()
    small_door.enrolment.revoke("suzhou", "box2", "owner", NOON)
    with keys.together(), pytest.raises(WireError, match="revoked"):
        word()
    with pytest.raises(WireError, match="revoked"):
        word()


def test_of_two_keys_that_are_seen_first_at_the_same_time_one_is_pinned(door: Door) -> None:
    """As by the broker and by HTTP: neither finds the edge known."""
    first, second = (EdgeKeys(door.store.database, first_sight=True) for _ in range(2))

    def word(keys: EdgeKeys, signer: Ed25519PrivateKey) -> None:
        named = {"site": "suzhou", "edge": "box2", "at": NOON, "key": wire.public_key_text(signer)}
        keys.believe(wire.signed(named, signer), signed_at=NOON, at=NOON)

    with second.together():
        second._of("suzhou", "box2")
        word(first, KEY)
        with pytest.raises(WireError, match="not the one this hub knows it by"):
            word(second, OTHER)
        word(second, KEY)
    assert door.keys.active("suzhou", "box2") == PUBLIC


def test_a_name_that_was_shut_out_is_not_pinned_at_first_sight(small_door: Door) -> None:
    door, open_ = small_door, EdgeKeys(small_door.store.database, first_sight=True)

    def word(key: Ed25519PrivateKey) -> None:
        fields = {"site": "suzhou", "edge": "box2", "key": wire.public_key_text(key)}
        open_.believe(wire.signed(fields, key), signed_at=NOON, at=NOON)

    with pytest.raises(WireError, match="does not fit"):
        open_.believe({"site": "suzhou", "edge": "box2", "key": PUBLIC, "signature": "AA"}, signed_at=NOON, at=NOON)
    word(KEY)
    with pytest.raises(WireError, match="not the one"):
        word(OTHER)
    door.enrolment.revoke("suzhou", "box2", "owner", NOON)
    for key in (KEY, OTHER):
        with pytest.raises(WireError):
            word(key)


def test_knocks_are_counted_without_a_commit_each_and_never_fill_the_disk(store: Store) -> None:
    knocks = Knocks(store.database)
    for n in range(1000):
        knocks.note("suzhou", "box2", PUBLIC, "unknown", NOON + n / 50)
    (knock,) = knocks.all()
    assert (knock.first_at, knock.reason) == (NOON, "unknown")
    assert 500 <= knock.count <= 1000
    for n in range(MOST + 50):
        knocks.note("suzhou", f"box{n}", "k" * 500, "unknown", NOON + 100 + n)
    kept = knocks.all()
    assert len(kept) <= MOST and kept[0].edge == f"box{MOST + 49}" and len(kept[0].key) <= 64


def test_keys_that_were_pinned_before_are_active_ones(store: Store, envelope: Callable[..., dict[str, Any]]) -> None:
    store.add_alerts([envelope(1)], NOON)
    store.edges.set_status("shanghai", "box1", "online", NOON + 5)
    store.edges.set_status("shanghai", "box2", "online", NOON + 6)
    make_older(store.database, "0014")
    with store.database.writing() as connection:
        connection.exec_driver_sql("UPDATE edges SET key = 'pinned'")
        migrate(connection)
    found = EdgeKeys(store.database).all()
    assert {name: [(key.key, key.state, key.since) for key in keys] for name, keys in found.items()} == {
        ("shanghai", "box1"): [("pinned", ACTIVE, NOON)],
        ("shanghai", "box2"): [("pinned", ACTIVE, NOON + 6)],
    }


# The page, and where boxes knock


def shown(hub: Site, **fields: str) -> str:
    answer = hub.client.post("/edges/codes", data=fields)
    found = CODE.search(answer.text)
    assert found, answer.text
    return found[1]


def enrol(site: Site, body: bytes) -> Any:
    """As a box does: no cookie, no origin."""
    return site.visitor(**{"Sec-Fetch-Site": "cross-site"}).post("/enrol", content=body)


def test_the_page_asks_about_a_new_site_that_is_written_like_a_known_one(site: Site) -> None:
    def told(name: str) -> str:
        return site.client.post("/edges/codes", data={"site": name, "edge": "box9"}).text

    assert "还没有设备报告过 shangai。 是不是 shanghai？" in told("shangai")
    assert "还没有设备报告过 nanjing。" in (page := told("nanjing")) and "是不是" not in page
    assert "还没有设备报告过" not in told("shanghai")


def test_a_box_joins_and_the_page_that_shows_the_code_notices(site: Site) -> None:
    code = shown(site, site="suzhou", edge="box2")
    asked = request(code)
    waiting = site.client.get("/edges/codes/1").text
    assert "hx-get" in waiting and "15" in waiting
    answer = enrol(site, wire.encode(asked))
    assert answer.status_code == 200
    told = read_join_answer(answer.content, asked, derived(parse_code(code)).answer_key)
    assert told["hub_key"] == wire.public_key_text(site.parts.key)
    assert (told["username"], told["certificate"], told["hub_ca"]) == ("suzhou/box2", None, None)
    joined = site.client.get("/edges/codes/1").text
    assert "hx-get" not in joined and fingerprint(PUBLIC) in joined
    page = site.client.get("/edges").text
    assert "suzhou / box2" in page and fingerprint(PUBLIC) in page and code not in page


GOOD = request(make_code())


def body(**changes: Any) -> bytes:
    return wire.encode(wire.signed({**{k: v for k, v in GOOD.items() if k != "signature"}, **changes}, KEY))


ODD: list[tuple[str, bytes, int]] = [
    ("nothing", b"", 400),
    ("noise", b"\xff\x00{", 400),
    ("a list", b"[]", 400),
    ("a number", b"7", 400),
    ("NaN", b'{"schema":1,"at_unix":NaN}', 400),
    ("deep", b'{"schema":1,"x":' + b"[" * 3000 + b"]" * 3000 + b"}", 400),
    ("another schema", body(schema=2), 400),
    ("too large", b"x" * (LARGEST_REQUEST + 1), 413),
    ("unsigned", wire.encode({**GOOD, "signature": ""}), 400),
    ("signed by another", wire.encode(wire.signed(GOOD, OTHER)), 400),
    ("no such code", wire.encode(GOOD), 403),
    ("a path as a name", body(edge="../../etc"), 400),
    ("a slash in a name", body(site="suzhou/box1"), 400),
    ("a topic's wildcard", body(edge="+"), 400),
    ("nought in a name", body(edge="a\0b"), 400),
    ("a long name", body(edge="b" * 65), 400),
    ("an empty name", body(site=""), 400),
    ("a name of another type", body(site=7), 400),
    ("truth as time", body(at_unix=True), 400),
    ("time before time", body(at_unix=-1), 400),
    ("time without end", body(at_unix=1e300), 400),
    ("no key", body(public_key="AAAA"), 400),
    ("a request of another type", body(csr=7), 400),
    ("a control character", body(version="\x85"), 400),
    ("a long handle", body(handle="f" * 500), 400),
    ("a handle of markup", body(handle="<script>"), 403),
    ("a signature of markup", body(code_signature="<script>"), 403),
]


@pytest.mark.parametrize(("what", "content", "status"), ODD, ids=[what for what, *_ in ODD])
def test_odd_requests_let_nobody_in(site: Site, what: str, content: bytes, status: int) -> None:
    answer = enrol(site, content)
    assert answer.status_code == status
    assert status == 413 or answer.json()["reason"]
    assert list(site.parts.keys.all()) == [("shanghai", "box1")]


def test_a_good_request_that_was_changed_lets_nobody_in(site: Site) -> None:
    code = shown(site)
    asked = request(code)
    for name, value in {
        "edge": "box7",
        "site": "wuxi",
        "public_key": wire.public_key_text(OTHER),
        "at_unix": 1.0,
    }.items():
        assert enrol(site, wire.encode({**asked, name: value})).status_code == 400
    stolen = wire.signed({**asked, "public_key": wire.public_key_text(OTHER)}, OTHER)
    assert enrol(site, wire.encode(stolen)).status_code == 403
    assert enrol(site, wire.encode(asked)).status_code == 200


def test_who_tries_too_often_must_wait(site: Site) -> None:
    answers = [enrol(site, wire.encode(request(make_code()))).status_code for _ in range(15)]
    assert answers[:10] == [403] * 10 and set(answers[10:]) == {429}
    site.clock.at += 3600
    assert enrol(site, wire.encode(request(make_code()))).status_code == 403


def test_a_box_that_was_trusted_at_the_hubs_own_machine_says_so_in_words(site: Site) -> None:
    site.parts.keys.trust("suzhou", "box2", "QUFB", NOON, "console:li")
    page = site.client.get("/edges").text
    assert "监控中心本机（li）" in page and "console:" not in page


def test_pages_of_other_sites_cannot_make_a_code(site: Site) -> None:
    assert site.visitor(**{"Sec-Fetch-Site": "cross-site"}).post("/edges/codes").status_code == 403
    answer = site.client.post("/edges/codes", headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 403


@pytest.mark.parametrize("name", ["../x", "a/b", "+", "x" * 65, "<b>", "名"])
def test_names_that_no_box_may_have_get_no_code(site: Site, name: str) -> None:
    answer = site.client.post("/edges/codes", data={"site": "suzhou", "edge": name})
    assert answer.status_code == 400 and not CODE.search(answer.text)


def test_who_looks_after_one_site_sees_and_adds_boxes_there_alone(site: Site) -> None:
    keys = site.parts.keys
    keys.trust("suzhou", "box2", PUBLIC, NOON)
    keys.knocks.note("wuxi", "box4", PUBLIC, "unknown", NOON)
    shown(site, site="wuxi")
    admin = site.somebody(Role.ADMIN, ["suzhou"])
    page = admin.get("/edges").text
    assert "suzhou / box2" in page and "shanghai" not in page and "wuxi" not in page
    assert admin.get("/edges/codes/1").status_code == 404
    assert admin.post("/edges/codes/1/cancel").status_code == 404
    for deed in ("rotate", "revoke"):
        assert admin.post(f"/edges/shanghai/box1/{deed}").status_code == 404
    for fields in ({}, {"site": "wuxi"}, {"edge": "box9"}):
        assert admin.post("/edges/codes", data=fields).status_code == 400
    assert CODE.search(admin.post("/edges/codes", data={"site": "suzhou"}).text)
    assert admin.post("/edges/suzhou/box2/rotate").status_code == 303


def test_who_sees_some_cameras_of_a_site_may_not_change_its_boxes(site: Site) -> None:
    admin = site.somebody(Role.ADMIN, ["shanghai/cam3"])
    page = admin.get("/edges").text
    assert "shanghai / box1" in page and "/edges/shanghai/box1/" not in page
    for deed in ("rotate", "revoke"):
        assert admin.post(f"/edges/shanghai/box1/{deed}").status_code == 404
    assert admin.post("/edges/codes", data={"site": "shanghai", "edge": "box2"}).status_code == 400
    assert site.parts.keys.active("shanghai", "box1") and site.parts.rotations.all() == {}
    made = site.client.post("/edges/codes", data={"site": "shanghai", "edge": "box2"})
    assert made.status_code == 200 and admin.post("/edges/codes/1/cancel").status_code == 404


def test_a_box_that_is_shut_out_brings_no_clips_and_what_it_brought_stays(site: Site, mp4: bytes) -> None:
    site.store.add_alerts([make_envelope(1)], NOON)
    assert site.client.put("/api/clips/inc-1/0", content=mp4, headers=site.claim(mp4)).status_code == 201
    assert site.client.post("/edges/shanghai/box1/revoke").status_code == 303
    refused = site.client.put("/api/clips/inc-1/1", content=mp4, headers=site.claim(mp4, segment=1))
    assert refused.status_code == 401 and "revoked" in refused.json()["reason"]
    assert site.store.clip("inc-1", 0) is not None and site.store.incident("inc-1") is not None
    page = site.client.get("/edges").text
    assert "knocks" in page and page.count(fingerprint(wire.public_key_text(site.key))) == 2
    assert [entry.action for entry in site.parts.audit.entries(limit=1)] == ["box_revoked"]
    for deed in ("rotate", "revoke"):
        assert site.client.post(f"/edges/shanghai/box1/{deed}").status_code == 404
        assert site.client.post(f"/edges/nowhere/box1/{deed}").status_code == 404
