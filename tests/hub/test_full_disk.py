"""A disk without room: what can't be kept is refused in words, what was kept stays, and with room work goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import pytest
from sqlalchemy import event

from detector.hub.footage import clips as clips_module
from tests.hub.conftest import NOON, Site, make_envelope


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
        site.client.post("/incidents/inc-1/verdict", data={"verdict": "true", "note": "x" * 400}) for _ in range(60)
    ]
    refused = [answer for answer in answers if answer.status_code == 507]
    assert refused and "磁盘已满" in refused[0].text and "disk is full" in refused[0].text
    kept = len(site.store.verdicts("inc-1"))
    assert kept == len(answers) - len(refused)
    let_grow(site, pages=None)
    assert site.client.post("/incidents/inc-1/verdict", data={"verdict": "false"}).status_code != 507
    assert len(site.store.verdicts("inc-1")) == kept + 1


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
