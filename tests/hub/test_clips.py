"""Clips arrive whole or not at all, from known edges only, and nothing a client sends becomes a path."""

from __future__ import annotations

import logging
import os
import re
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from detector.hub.pages.view import LONGEST_FORM
from detector.values import DAY_S

HEAD = b"\0\0\0\x18ftypisom"
CLIP = HEAD + bytes(range(256)) * 40
URL = "/api/clips/inc-1/0"


def piece(site: Any, first: int, last: int, content: bytes = CLIP) -> Any:
    """Send bytes `first` to before `last`."""
    headers = {**site.claim(content), "Content-Range": f"bytes {first}-{last - 1}/{len(content)}"}
    return site.client.put(URL, content=content[first:last], headers=headers)


def files(folder: Path) -> list[str]:
    """Names of all files under the clip folder."""
    return sorted(path.name for path in (folder / "clips").rglob("*") if path.is_file())


def test_a_clip_arrives_in_one_piece(site: Any) -> None:
    assert site.client.put(URL, content=CLIP, headers=site.claim(CLIP)).status_code == 201
    answer = site.client.get("/clips/inc-1/0")
    assert answer.content == CLIP and answer.headers["content-type"] == "video/mp4"
    assert answer.headers["content-disposition"].startswith("inline")
    clip = site.store.clip("inc-1", 0)
    assert clip.size == len(CLIP) and clip.camera == "cam3" and clip.duration_s == 4.0


def test_a_clip_is_taken_that_is_larger_than_any_other_body_may_be(site: Any) -> None:
    large = HEAD + bytes(2 * LONGEST_FORM)
    assert site.client.put(URL, content=large, headers=site.claim(large)).status_code == 201
    assert site.client.get("/clips/inc-1/0").content == large


def test_an_upload_is_resumed_where_it_broke_off(site: Any) -> None:
    head = site.client.head(URL, headers=site.claim(CLIP))
    assert (head.status_code, head.headers["upload-offset"]) == (200, "0")
    first = piece(site, 0, 3000)
    assert (first.status_code, first.headers["upload-offset"]) == (202, "3000")
    wrong = piece(site, 2000, 5000)
    assert (wrong.status_code, wrong.headers["upload-offset"]) == (409, "3000")
    assert site.client.head(URL, headers=site.claim(CLIP)).headers["upload-offset"] == "3000"
    assert piece(site, 3000, len(CLIP)).status_code == 201
    head = site.client.head(URL, headers=site.claim(CLIP))
    assert (head.status_code, head.headers["upload-offset"]) == (201, str(len(CLIP)))
    assert site.client.get("/clips/inc-1/0").content == CLIP


def test_sending_a_stored_clip_again_changes_nothing(site: Any, tmp_path: Path) -> None:
    for _ in range(2):
        assert site.client.put(URL, content=CLIP, headers=site.claim(CLIP)).status_code == 201
    other = HEAD + b"another recording"
    assert site.client.put(URL, content=other, headers=site.claim(other)).status_code == 422
    assert site.client.get("/clips/inc-1/0").content == CLIP and len(files(tmp_path)) == 1


def test_a_clip_that_is_on_record_and_not_on_the_disk_is_taken_again(site: Any, tmp_path: Path) -> None:
    assert site.client.put(URL, content=CLIP, headers=site.claim(CLIP)).status_code == 201
    (kept,) = (tmp_path / "clips").rglob("*.mp4")
    kept.unlink()  # the disk was changed, or brought back from a backup
    head = site.client.head(URL, headers=site.claim(CLIP))
    assert (head.status_code, head.headers["upload-offset"]) == (200, "0")
    assert site.client.put(URL, content=CLIP, headers=site.claim(CLIP)).status_code == 201
    assert site.client.get("/clips/inc-1/0").content == CLIP


def test_a_clip_is_on_record_only_once_a_power_cut_does_not_take_it(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[Path] = []
    sync, add = os.fsync, site.store.add_clip

    def note(handle: int) -> None:
        path = Path(f"/proc/self/fd/{handle}").readlink()
        synced.append(path)
        sync(handle)

    def recorded(clip: Any) -> bool:
        kept = (site.folder / "clips" / clip.file).resolve()
        assert {kept.parent, kept.parent.parent} <= set(synced)
        return bool(add(clip))

    monkeypatch.setattr(os, "fsync", note)
    monkeypatch.setattr(site.store, "add_clip", recorded)
    assert site.client.put(URL, content=CLIP, headers=site.claim(CLIP)).status_code == 201


def test_pieces_that_nobody_comes_back_for_go_while_the_hub_runs(site: Any, tmp_path: Path) -> None:
    assert piece(site, 0, 3000).status_code == 202
    (part,) = (tmp_path / "clips").glob("*.part")
    begun_at = part.stat().st_mtime
    site.parts.clips.tidy(begun_at + 13 * DAY_S)
    assert part.exists()
    site.parts.clips.tidy(begun_at + 15 * DAY_S)
    assert not part.exists()


def test_a_flipped_byte_is_found_and_the_upload_begins_anew(site: Any, tmp_path: Path) -> None:
    bad = bytearray(CLIP)
    bad[5000] ^= 1
    assert site.client.put(URL, content=bytes(bad), headers=site.claim(CLIP)).status_code == 422
    assert files(tmp_path) == [] and site.store.clip("inc-1", 0) is None
    assert site.client.put(URL, content=CLIP, headers=site.claim(CLIP)).status_code == 201


def test_a_piece_that_was_spoilt_here_costs_another_upload_and_not_the_clip(site: Any, tmp_path: Path) -> None:
    assert piece(site, 0, 3000).status_code == 202
    (part,) = (tmp_path / "clips").glob("*.part")
    part.write_bytes(HEAD + bytes(3000 - len(HEAD)))  # as a power cut may leave it
    again = piece(site, 3000, len(CLIP))
    assert (again.status_code, again.headers["upload-offset"]) == (409, "0")
    assert piece(site, 0, len(CLIP)).status_code == 201
    assert site.client.get("/clips/inc-1/0").content == CLIP


def test_what_is_no_mp4_is_thrown_away(site: Any, tmp_path: Path) -> None:
    page = b"<html><script>alert(1)</script></html>"
    assert site.client.put(URL, content=page, headers=site.claim(page)).status_code == 422
    assert files(tmp_path) == []


def test_too_large_is_refused_before_anything_is_written(site: Any, tmp_path: Path) -> None:
    large = HEAD + bytes(2**20)
    assert site.client.put(URL, content=large, headers=site.claim(large)).status_code == 413
    assert files(tmp_path) == []


def test_more_bytes_than_announced_are_not_written(site: Any) -> None:
    answer = site.client.put(URL, content=CLIP + b"more", headers=site.claim(CLIP))
    assert answer.status_code == 413
    assert site.store.clip("inc-1", 0) is None


@pytest.mark.parametrize(
    "content_range",
    ["bytes 0-9/99", "bytes 5-1/10252", "bytes 0-99999/10252", "0-9/10252", "bytes 0-/10252", "bytes a-b/c"],
)
def test_a_range_that_does_not_fit_is_refused(site: Any, content_range: str) -> None:
    headers = {**site.claim(CLIP), "Content-Range": content_range}
    assert site.client.put(URL, content=CLIP, headers=headers).status_code == 422


@pytest.mark.parametrize(
    "changes",
    [
        {"edge": "box9"},
        {"site": "elsewhere"},
        {"incident": "inc-2"},
        {"segment": 1},
        {"key": Ed25519PrivateKey.generate()},
    ],
)
def test_a_claim_that_is_not_signed_by_a_known_edge_is_refused(site: Any, changes: dict[str, Any]) -> None:
    headers = site.claim(CLIP, **changes)
    assert site.client.put(URL, content=CLIP, headers=headers).status_code == 401
    assert site.client.head(URL, headers=headers).status_code == 401


@pytest.mark.parametrize("name", ["Size", "Sha256", "Camera", "Started-At", "Duration", "At", "Signature", "Edge"])
def test_every_header_is_signed(site: Any, name: str) -> None:
    headers = site.claim(CLIP)
    value = headers[f"X-Labelwatch-{name}"]
    spoilt = {**headers, f"X-Labelwatch-{name}": ("3" if value[0] == "2" else "2") + value[1:]}
    assert site.client.put(URL, content=CLIP, headers=spoilt).status_code == 401
    del headers[f"X-Labelwatch-{name}"]
    assert site.client.put(URL, content=CLIP, headers=headers).status_code == 401


@pytest.mark.parametrize("changes", [{"started_at": 9e14}, {"duration_s": 1e6}])
def test_a_clip_from_no_time_is_refused(site: Any, changes: dict[str, float]) -> None:
    assert site.client.put(URL, content=CLIP, headers=site.claim(CLIP, **changes)).status_code == 422


@pytest.mark.parametrize("late_s", [-16 * 60, 16 * 60])
def test_an_old_claim_cannot_be_replayed(site: Any, late_s: float) -> None:
    headers = site.claim(CLIP)
    site.clock.at += late_s
    assert site.client.put(URL, content=CLIP, headers=headers).status_code == 401


def test_an_edge_cannot_add_clips_to_anothers_incident(site: Any, envelope: Any) -> None:
    site.store.add_alerts([envelope(1, edge="box2")], site.clock.now())
    assert site.client.put(URL, content=CLIP, headers=site.claim(CLIP)).status_code == 401


def test_hostile_names_stay_names(site: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    for incident, path in [("..", "%2e%2e"), ("a\nb", "a%0Ab"), ("....", "....")]:
        url = f"/api/clips/{path}/0"
        answer = site.client.put(url, content=CLIP, headers=site.claim(CLIP, incident=incident))
        assert answer.status_code == 201, incident
        assert site.client.put(url, content=CLIP, headers={}).status_code == 401
    kept = files(tmp_path)
    assert len(kept) == 3
    assert all(re.fullmatch(r"[0-9a-f]{64}\.mp4", name) for name in kept)
    assert not any("\n" in record.getMessage() for record in caplog.records)


@pytest.mark.parametrize("path", ["..%2f..%2fetc%2fpasswd/0", "%2e%2e/0", "inc-1/..%2f0", "inc-1/-1", "inc-1/x"])
def test_paths_lead_nowhere(site: Any, path: str) -> None:
    site.client.put(URL, content=CLIP, headers=site.claim(CLIP))
    assert site.client.get(f"/clips/{path}").status_code == 404


def test_a_record_that_points_outside_the_folder_is_not_served(site: Any, tmp_path: Path) -> None:
    site.client.put(URL, content=CLIP, headers=site.claim(CLIP))
    (tmp_path / "secret.mp4").write_bytes(b"secret")
    with site.store.database.writing() as connection:
        connection.exec_driver_sql("UPDATE clips SET file = '../secret.mp4'")
    assert site.client.get("/clips/inc-1/0").status_code == 404


@pytest.mark.parametrize(
    ("asked", "status", "expected"),
    [
        ("bytes=0-99", 206, CLIP[:100]),
        ("bytes=100-", 206, CLIP[100:]),
        ("bytes=-50", 206, CLIP[-50:]),
        ("bytes=99999999-", 416, None),
    ],
)
def test_ranges(site: Any, asked: str, status: int, expected: bytes | None) -> None:
    site.client.put(URL, content=CLIP, headers=site.claim(CLIP))
    answer = site.client.get("/clips/inc-1/0", headers={"Range": asked})
    assert answer.status_code == status and (expected is None or answer.content == expected)


def test_a_full_disk_is_said_and_kept_pieces_stay(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert piece(site, 0, 3000).status_code == 202

    def full(_file: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("detector.hub.footage.clips._sync", full)
        assert piece(site, 3000, len(CLIP)).status_code == 507
    offset = int(site.client.head(URL, headers=site.claim(CLIP)).headers["upload-offset"])
    assert piece(site, offset, len(CLIP)).status_code == 201 if offset < len(CLIP) else offset == len(CLIP)


def test_a_piece_that_holds_all_but_the_last_answer_can_be_finished(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The hub may die between the last byte and the record; the edge then finds everything here but nothing stored."""
    with monkeypatch.context() as patch:
        gone = lambda *_: (_ for _ in ()).throw(OSError(5, "gone"))  # noqa: E731
        patch.setattr("detector.hub.footage.clips.ClipFolder._complete", gone)
        assert site.client.put(URL, content=CLIP, headers=site.claim(CLIP)).status_code == 507
    head = site.client.head(URL, headers=site.claim(CLIP))
    assert (head.status_code, head.headers["upload-offset"]) == (201, str(len(CLIP)))
    assert site.client.get("/clips/inc-1/0").content == CLIP
