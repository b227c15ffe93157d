"""Side files arrive whole, checked and as what they are, and are read by whoever may see their camera."""

from __future__ import annotations

import gzip
import json
import zlib
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from detector.hub.footage.sides import Sides
from detector.hub.pages.sides import takes_gzip
from detector.hub.storage.rights import Role
from detector.hub.storage.store import Store
from detector.hub.storage.stored import Clip
from detector.media.sides import LARGEST, LARGEST_JSON
from detector.wire import SIDE
from tests.hub.conftest import NOON, make_side

URL = "/api/clips/inc-1/0/side"
PAGE = "/clips/inc-1/0/side"
CONTENT = make_side()


def claim(hub: Any, content: bytes = CONTENT, **changes: Any) -> Any:
    """Headers of the upload of a side file."""
    return hub.claim(content, **{"what": SIDE, **changes})


def put(site: Any, content: bytes = CONTENT, **changes: Any) -> Any:
    """Send a side file in one piece."""
    return site.client.put(URL, content=content, headers=claim(site, content, **changes))


def files(folder: Path) -> list[str]:
    """Names of all files under the clip folder."""
    return sorted(path.name for path in (folder / "clips").rglob("*") if path.is_file())


def test_what_was_seen_can_be_read_beside_the_clip(site: Any, mp4: bytes) -> None:
    assert put(site).status_code == 201
    answer = site.client.get(PAGE)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert answer.headers["content-encoding"] == "gzip" and answer.json() == json.loads(gzip.decompress(CONTENT))
    assert site.client.put("/api/clips/inc-1/0", content=mp4, headers=site.claim(mp4)).status_code == 201
    assert site.client.get("/clips/inc-1/0").content == mp4 and site.client.get(PAGE).json() == answer.json()


def test_who_unpacks_nothing_gets_it_unpacked(site: Any) -> None:
    put(site)
    answer = site.client.get(PAGE, headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in answer.headers and answer.json()["incident"] == "inc-1"


@pytest.mark.parametrize(
    ("said", "takes"),
    [("gzip", True), ("br, gzip;q=0.5", True), ("*", True), ("GZip", True),
     ("", False), ("identity", False), ("gzip;q=0", False), ("gzip; q=0.0, br", False)],
)  # fmt: skip
def test_a_client_says_what_it_unpacks(said: str, takes: bool) -> None:
    assert takes_gzip(said) is takes


def test_what_a_browser_has_is_not_sent_again(site: Any) -> None:
    put(site)
    etag = site.client.get(PAGE).headers["etag"]
    again = site.client.get(PAGE, headers={"If-None-Match": f'"other", {etag}'})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
    assert site.client.get(PAGE, headers={"If-None-Match": '"other"'}).status_code == 200


@pytest.mark.parametrize("role", list(Role))
def test_every_role_reads_those_of_its_own_cameras(site: Any, role: Role) -> None:
    put(site)
    assert site.somebody(role, ["shanghai/cam3"], f"{role}-here").get(PAGE).status_code == 200
    for n, scope in enumerate((["shanghai/cam4"], ["suzhou"], [])):
        assert site.somebody(role, scope, f"{role}-{n}").get(PAGE).status_code == 404


def test_nobody_else_reads_them(site: Any) -> None:
    put(site)
    assert site.visitor().get(PAGE).status_code == 303
    assert site.visitor().get(PAGE, headers={"X-Fragment": "1"}).status_code == 401


def test_there_is_none_of_what_is_not_here(site: Any) -> None:
    put(site)
    for path in (
        "inc-1/1",
        "inc-9/0",
        "inc-1/-1",
        f"inc-1/{10**30}",
        "inc-1/x",
        "%2e%2e/0",
        "..%2f..%2fx/0",
    ):
        assert site.client.get(f"/clips/{path}/side").status_code == 404, path


def test_a_record_that_points_elsewhere_is_not_served(site: Any, tmp_path: Path) -> None:
    put(site)
    (tmp_path / "secret.json.gz").write_bytes(CONTENT)
    with site.store.database.writing() as connection:
        connection.exec_driver_sql("UPDATE sides SET file = '../secret.json.gz'")
    assert site.client.get(PAGE).status_code == 404


# Uploads


def test_an_upload_is_resumed_where_it_broke_off(site: Any) -> None:
    total = len(CONTENT)
    assert site.client.head(URL, headers=claim(site)).headers["upload-offset"] == "0"
    for first, last, status in ((0, 100, 202), (50, 200, 409), (100, total, 201)):
        headers = {**claim(site), "Content-Range": f"bytes {first}-{last - 1}/{total}"}
        assert site.client.put(URL, content=CONTENT[first:last], headers=headers).status_code == status
    assert site.client.head(URL, headers=claim(site)).status_code == 201


def test_sent_twice_it_is_kept_once_and_never_changed(site: Any, tmp_path: Path) -> None:
    for _ in range(2):
        assert put(site).status_code == 201
    assert put(site, make_side(looks=[])).status_code == 422
    assert site.client.get(PAGE).json()["looks"] and len(files(tmp_path)) == 1


def test_a_side_file_is_no_clip_and_a_clip_no_side_file(site: Any, mp4: bytes, tmp_path: Path) -> None:
    """Signed as one it isn't taken as the other, and what is in it must be what it was signed as."""
    for url, content, headers, status in [
        (URL, CONTENT, site.claim(CONTENT), 401),
        ("/api/clips/inc-1/0", mp4, claim(site, mp4), 401),
        (URL, mp4, claim(site, mp4), 422),
        ("/api/clips/inc-1/0", CONTENT, site.claim(CONTENT), 422),
    ]:
        assert site.client.put(url, content=content, headers=headers).status_code == status
    assert files(tmp_path) == []


def test_a_claim_that_is_not_signed_by_a_known_edge_is_refused(site: Any) -> None:
    stranger = Ed25519PrivateKey.generate()
    for changes in ({"edge": "box9"}, {"site": "elsewhere"}, {"incident": "inc-2"}, {"segment": 1}, {"what": "else"},
                    {"key": stranger}):  # fmt: skip
        headers = claim(site, **changes)
        assert site.client.put(URL, content=CONTENT, headers=headers).status_code == 401, changes
        assert site.client.head(URL, headers=headers).status_code == 401, changes


def test_an_old_claim_cannot_be_replayed(site: Any) -> None:
    headers = claim(site)
    for late_s in (-16 * 60, 32 * 60):
        site.clock.at += late_s
        assert site.client.put(URL, content=CONTENT, headers=headers).status_code == 401


def test_an_edge_cannot_add_to_anothers_incident(site: Any, envelope: Any) -> None:
    site.store.add_alerts([envelope(1, edge="box2")], site.clock.now())
    assert put(site).status_code == 401


def test_too_large_is_refused_before_anything_is_written(site: Any, tmp_path: Path) -> None:
    headers = claim(site, size=LARGEST + 1)
    assert site.client.put(URL, content=CONTENT, headers=headers).status_code == 413
    assert files(tmp_path) == []


def test_more_bytes_than_announced_are_not_kept(site: Any, tmp_path: Path) -> None:
    assert site.client.put(URL, content=CONTENT + b"more", headers=claim(site)).status_code == 413
    assert [name for name in files(tmp_path) if not name.endswith(".part")] == []
    assert put(site).status_code == 201


def test_a_segment_that_cannot_be_is_refused(site: Any) -> None:
    for segment in (-1, 2**31, 10**30):
        url = f"/api/clips/inc-1/{segment}"
        assert site.client.put(f"{url}/side", content=CONTENT, headers=claim(site, segment=segment)).status_code == 401
        assert site.client.put(url, content=CONTENT, headers=site.claim(CONTENT, segment=segment)).status_code == 401


LOOK = {"t": 4.2, "boxes": [], "offender": [7], "score": {"7": 0.5}}
BAD = {
    "a bomb": gzip.compress(b" " * (LARGEST_JSON + 1), mtime=0),
    "cut off": CONTENT[:-20],
    "no gzip": b"not gzip at all",
    "raw deflate": zlib.compress(b"{}"),
    "nothing": gzip.compress(b"{}"),
    "a look after the end": make_side(looks=[LOOK]),
    "a number that is none": make_side(size=[float("nan"), 1]),
    "of another incident": make_side("inc-2"),
    "of another segment": make_side(segment=1),
    "of another time": make_side(started_at_unix=NOON + 1),
    "of another length": make_side(duration_s=4.5),
}


def test_what_is_no_side_file_of_the_segment_is_thrown_away(site: Any, tmp_path: Path) -> None:
    for name, content in BAD.items():
        answer = put(site, content)
        assert (answer.status_code, files(tmp_path)) == (422, []), name
        assert answer.json()["reason"] and site.client.get(PAGE).status_code == 404
    assert put(site).status_code == 201


def test_a_full_disk_is_said_and_it_can_be_sent_again(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        full = lambda _file: (_ for _ in ()).throw(OSError(28, "No space left"))  # noqa: E731
        patch.setattr("detector.hub.footage.clips._sync", full)
        assert put(site).status_code == 507
    offset = int(site.client.head(URL, headers=claim(site)).headers["upload-offset"])
    assert offset == len(CONTENT) and site.client.get(PAGE).json()["incident"] == "inc-1"


def test_records_are_the_same_in_either_database(store: Store) -> None:
    sides = Sides(store.database)
    one = Clip("inc-1", 1, "shanghai", "box1", "cam3", NOON, 4.0, 900, "0" * 64, "ab/c.json.gz", NOON)
    assert sides.add(one) and not sides.add(one)
    assert sides.find("inc-1", 1) == one and sides.of("inc-1") == [one]
    assert [sides.find(*which) for which in (("inc-1", 0), ("a\0b", 1), ("inc-1", 10**30), ("inc-1", -1))] == [None] * 4
