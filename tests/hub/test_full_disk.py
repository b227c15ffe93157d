"""A disk without room: what can't be kept is refused in words, what was kept stays, and with room work goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import event

from detector import wire
from detector.hub.footage import clips as clips_module
from detector.hub.storage.rights import Role
from tests.hub.conftest import NOON, Site, make_envelope

RESERVE = 100_000
CLIP = b"\0\0\0\x18ftypisom" + bytes(30_000)


class Usage(NamedTuple):
    total: int
    used: int
    free: int


def let_grow(site: Any, *, pages: int | None) -> None:
    """Give the database no room beyond so many pages; SQLite then says what it says on a full disk."""
    with site.store.database.reading() as connection:
        held = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
    site.store.database.close()
    limit = 2**30 if pages is None else held + pages

    def set_limit(connection: Any, _record: object) -> None:
        connection.execute(f"PRAGMA max_page_count={limit}")

    event.listen(site.store.database.engine, "connect", set_limit)


def test_a_verdict_on_a_full_disk_is_refused_in_words_and_changes_nothing(site: Any) -> None:
    site.store.add_alerts([make_envelope(1)], NOON)
    let_grow(site, pages=0)
    answers = [
        site.client.post("/incidents/inc-1/verdict", data={"verdict": "true", "note": f"{n} " + "x" * 400})
        for n in range(60)
    ]
    refused = [answer for answer in answers if answer.status_code == 507]
    assert refused and "磁盘已满" in refused[0].text and "disk is full" in refused[0].text
    kept = len(site.store.verdicts.on("inc-1"))
    assert kept == len(answers) - len(refused)
    judging = {"verdict": "true", "note": "x" * 400, "over": 1}
    program = [site.client.post("/api/incidents/inc-1/verdict", json=judging) for _ in range(60)][-1]
    assert (program.status_code, program.json()) == (507, {"reason": "the disk is full"})
    kept = len(site.store.verdicts.on("inc-1"))
    let_grow(site, pages=None)
    assert site.client.post("/incidents/inc-1/verdict", data={"verdict": "false"}).status_code != 507
    assert len(site.store.verdicts.on("inc-1")) == kept + 1


def test_pages_can_still_be_read_on_a_full_disk(site: Any) -> None:
    site.store.add_alerts([make_envelope(1)], NOON)
    let_grow(site, pages=0)
    assert site.client.get("/").status_code == 200


def test_clips_are_left_to_the_edges_while_the_disk_is_nearly_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mp4: bytes
) -> None:
    site = Site(tmp_path, retention={"reserve_gb": 5})
    monkeypatch.setattr(clips_module.shutil, "disk_usage", lambda _: Usage(10**12, 10**12, 10**6))
    answer = site.client.put("/api/clips/inc-1/0", content=mp4, headers=site.claim(mp4))
    assert answer.status_code == 507 and "nearly full" in answer.json()["reason"]
    monkeypatch.undo()
    assert site.client.put("/api/clips/inc-1/0", content=mp4, headers=site.claim(mp4)).status_code == 201


def test_what_a_replay_found_is_to_be_brought_later_while_the_disk_is_nearly_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = Site(tmp_path, retention={"reserve_gb": 5})
    assert site.client.post("/api/replays/shanghai/box1", content=b"{}").status_code == 401
    monkeypatch.setattr(clips_module.shutil, "disk_usage", lambda _: Usage(10**12, 10**12, 10**6))
    assert site.client.post("/api/replays/shanghai/box1", content=b"{}").status_code == 503


class Short(Site):
    """A hub whose disk has no room above its reserve, with two boxes."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, free: int = RESERVE) -> None:
        super().__init__(folder, retention={"reserve_gb": RESERVE / 1e9})
        self.other = Ed25519PrivateKey.generate()
        self.parts.keys.trust("shanghai", "box2", wire.public_key_text(self.other), NOON)
        self.patch = monkeypatch
        self.fill(free)

    def fill(self, free: int) -> None:
        self.patch.setattr(clips_module.shutil, "disk_usage", lambda _: Usage(10**12, 10**12, free))

    def bring(self, incident: str, **changes: Any) -> Any:
        claim = self.claim(CLIP, incident=incident, **changes)
        assert self.client.head(f"/api/clips/{incident}/0", headers=claim).status_code in (200, 507)
        return self.client.put(f"/api/clips/{incident}/0", content=CLIP, headers=claim)

    def bring_other(self, incident: str) -> Any:
        return self.bring(incident, edge="box2", key=self.other)


def test_on_a_short_disk_a_box_that_has_more_than_its_share_waits_and_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = Short(tmp_path, monkeypatch, free=10**9)
    assert [site.bring(f"junk-{n}").status_code for n in range(4)] == [201] * 4, "with room nobody waits"
    site.fill(RESERVE)
    refused = [site.bring(f"more-{n}") for n in range(3)]
    assert [answer.status_code for answer in refused] == [507] * 3
    assert "has its share" in refused[0].json()["reason"]
    assert [site.bring_other(f"true-{n}").status_code for n in range(4)] == [201] * 4


def test_one_clip_however_large_may_come_of_a_box_that_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = Short(tmp_path, monkeypatch)
    large = CLIP + bytes(20_000)

    def bring(incident: str) -> int:
        headers = site.claim(large, incident=incident)
        return int(site.client.put(f"/api/clips/{incident}/0", content=large, headers=headers).status_code)

    assert [bring("one"), bring("two")] == [201, 507]


def test_a_box_that_waits_is_named_on_the_health_page_and_goes_on_once_its_alerts_are_judged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = Short(tmp_path, monkeypatch)
    site.store.add_alerts([make_envelope(1, incident="one")], NOON)
    page = site.somebody(Role.VIEWER)
    assert site.bring("one").status_code == 201
    assert "这台设备占得太多" not in page.get("/health").text
    assert site.bring("two").status_code == 507
    assert "这台设备占得太多" in page.get("/health").text
    site.client.post("/incidents/one/verdict", data={"verdict": "false"})
    site.clock.at += 60
    assert site.bring("two").status_code == 201
    assert "这台设备占得太多" not in page.get("/health").text


def test_what_a_box_began_and_never_ends_counts_towards_its_share(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = Short(tmp_path, monkeypatch)

    def begin(incident: str) -> int:
        headers = {**site.claim(CLIP, incident=incident), "Content-Range": f"bytes 0-29999/{len(CLIP)}"}
        return int(site.client.put(f"/api/clips/{incident}/0", content=CLIP[:30_000], headers=headers).status_code)

    assert [begin("junk-1"), begin("junk-2")] == [202, 507]
    assert site.bring("junk-1").status_code == 409, "goes on where it was, though"
    assert site.bring_other("true").status_code == 201
