"""Evidence packs: recordings untouched, everything that is known beside them, a sheet that one can print."""

from __future__ import annotations

import io
import json
import random
import re
import shutil
import stat
import threading
import tracemalloc
import zipfile
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import delete

from detector import wire
from detector.clock import KernelClock, iso
from detector.config import RetentionConfig
from detector.credentials.keys import load_key
from detector.errors import StoreError, WireError
from detector.hub.access.audit import Audit
from detector.hub.edges.enrolment import Enrolment
from detector.hub.edges.keys import EdgeKeys
from detector.hub.evidence import packs as packs_module
from detector.hub.evidence.cases import CLOSED
from detector.hub.evidence.pack import Pack, safe
from detector.hub.evidence.packs import FAILED, LOST, MAKING, QUIET_S, READY, REMOVED, Packs
from detector.hub.storage.rights import EVERYWHERE, Scope
from detector.hub.storage.schema import retention as retention_table
from detector.hub.storage.store import Store
from detector.hub.storage.stored import StoredIncident
from detector.hub.upkeep.retention import Retention
from detector.tools.verify import HOLDS, NOTE, check, verify
from detector.values import DAY_S
from detector.wire.evidence import fingerprint, grouped
from tests.conftest import REPOSITORY
from tests.hub.conftest import NOON, make_act, make_envelope, make_jpeg
from tests.hub.evidence_parts import SIDE, Office, changed

PICTURE = make_jpeg()
ZH, EN = "说明.html", "README.html"


@pytest.fixture
def office(store: Store, tmp_path: Path) -> Office:
    """On either database."""
    return Office(store, tmp_path)


@pytest.fixture
def desk(sqlite_store: Store, tmp_path: Path) -> Office:
    """On SQLite alone, for what no database has a part in."""
    return Office(sqlite_store, tmp_path)


def read(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def what(path: Path) -> dict[str, str]:
    """What `verify` found, and whether it holds."""
    return {finding.what: finding.state for finding in verify(path).findings}


def test_recordings_are_those_of_the_edge_to_the_byte(office: Office, mp4: bytes) -> None:
    demo = (REPOSITORY / "configs" / "demo" / "sweep_near.mp4").read_bytes()
    incident = office.incident(clips=[demo, mp4], side=SIDE, picture=PICTURE)
    found = read(office.pack(office.case(incident)))
    folder = "incidents/001-inc-1"
    assert found[f"{folder}/segment-000.mp4"] == demo
    assert found[f"{folder}/segment-001.mp4"] == mp4
    assert found[f"{folder}/segment-000.json.gz"] == SIDE
    assert found[f"{folder}/snapshot-01.jpg"] == PICTURE


def test_all_of_a_pack_holds_and_its_hash_is_on_record(office: Office, mp4: bytes) -> None:
    incidents = [office.incident(f"inc-{n}", clips=[mp4], side=SIDE, picture=PICTURE) for n in range(3)]
    case = office.case(*incidents)
    pack = office.ask(case)
    path = office.packs.path(pack)
    assert path and (pack.state, pack.size) == (READY, path.stat().st_size)
    assert what(path) == {
        **dict.fromkeys(
            ("files", "container", "signature", "envelopes", "clips", "pictures", "records", "log"), "holds"
        ),
        "key_unknown": "note",
    }
    made = office.audit.entries(subject=case.subject)[0]
    assert (made.action, made.details) == ("pack_made", {"pack": pack.number, "sha256": pack.sha256})
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("ends_with_picture", [False, True])
def test_a_pack_of_footage_deleted_by_then_holds(office: Office, mp4: bytes, ends_with_picture: bool) -> None:
    incident = office.incident(clips=[mp4], side=SIDE, picture=PICTURE)
    if ends_with_picture:
        office.tell("inc-1", "end", snapshot=PICTURE, score=0.99)
    office.store.verdicts.add("inc-1", "li", "false", "", NOON)
    retention = Retention(
        office.store.database, office.folder / "clips", RetentionConfig(false_alarm=20, reserve_gb=0), office.audit
    )  # fmt: skip
    assert sum(retention.run(NOON + days * DAY_S) for days in (20, 28, 36)) == 1
    path = office.pack(office.case(incident))
    holds = ("files", "container", "signature", "envelopes", *([] if ends_with_picture else ["records"]), "log")
    notes = ("key_unknown", "envelopes_cut", "clip_absent", *(["record_cut"] if ends_with_picture else []))
    assert what(path) == {**dict.fromkeys(holds, "holds"), **dict.fromkeys(notes, "note")}
    segments = json.loads(read(path)["incidents/001-inc-1/incident.json"])["segments"]
    assert [segment["state"] for segment in segments] == ([] if ends_with_picture else ["deleted"])
    # What else doesn't hold is told as ever.
    with office.store.database.writing() as connection:
        connection.execute(delete(retention_table))
    assert what(office.pack(office.case(incident)))["envelope_broken"] == "broken"


def test_a_pack_with_a_clip_that_came_after_the_rest_was_deleted_holds(office: Office, mp4: bytes) -> None:
    incident = office.incident(clips=[mp4], side=SIDE, picture=PICTURE)
    office.store.verdicts.add("inc-1", "li", "false", "", NOON)
    retention = Retention(
        office.store.database, office.folder / "clips", RetentionConfig(false_alarm=20, reserve_gb=0), office.audit
    )  # fmt: skip
    for days in (20, 28, 36):
        retention.run(NOON + days * DAY_S)
    office.keep("inc-1", 0, mp4)
    retention.run(NOON + 40 * DAY_S)
    office.store.verdicts.add("inc-1", "li", "true", "", NOON + 40 * DAY_S)
    case = office.case(incident)
    retention.run(NOON + 41 * DAY_S)
    assert "broken" not in what(office.pack(case)).values()


def test_any_flipped_byte_of_a_real_pack_is_found(desk: Office, mp4: bytes) -> None:
    content = desk.pack(desk.case(desk.incident(clips=[mp4], side=SIDE, picture=PICTURE))).read_bytes()
    places = random.Random(7).sample(range(len(content)), 250)
    missed = [at for at in places if not check(io.BytesIO(changed(content, at, at % 8))).broken]
    assert missed == []


def test_the_same_case_made_at_the_same_time_is_the_same_file(
    office: Office, mp4: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("detector.hub.evidence.pack.kernel_clock", lambda: KernelClock(True, 0.01))
    case = office.case(office.incident(clips=[mp4], picture=PICTURE))

    def made() -> bytes:
        out = io.BytesIO()
        assert not Pack(office.archive, case, made_by="wang", made_at=NOON).write(out, lambda *_: None)
        return out.getvalue()

    assert made() == made()


def test_verdicts_notes_and_who_saw_what_come_along(office: Office) -> None:
    incident = office.incident()
    case = office.case(incident, people="戴红帽子的快递员")
    office.store.verdicts.add(incident.id, "li", "true", "拍了三张", NOON)
    office.archive.reviews.add_note(incident.id, "li", "报警了", NOON)
    office.archive.responses.add(incident.id, "li", "there", "stopped", NOON + 60)
    office.audit.record(NOON, "li", "clip", incident.id, segment=0)
    office.audit.record(NOON, "li", "clip", "another-incident", segment=0)
    found = read(office.pack(case))
    told = json.loads(found["incidents/001-inc-1/incident.json"])
    assert [(one["user"], one["verdict"], one["note"]) for one in told["verdicts"]] == [("li", "true", "拍了三张")]
    assert [one["text"] for one in told["notes"]] == ["报警了"]
    assert [(one["user"], one["step"], one["found"]) for one in told["responses"]] == [("li", "there", "stopped")]
    log = json.loads(found["access-log.json"])
    assert [(one["user"], one["action"], one["subject"]) for one in log["entries"]] == [
        ("wang", "case_opened", case.subject),
        ("wang", "case_added", case.subject),
        ("wang", "case_added", incident.id),
        ("wang", "case_changed", case.subject),
        ("li", "clip", incident.id),
        ("wang", "pack_asked", case.subject),
        ("wang", "export", incident.id),
    ]
    assert log["head"]["number"] >= log["entries"][-1]["number"]
    assert json.loads(found["case.json"])["people"] == "戴红帽子的快递员"


def test_what_a_key_signed_that_was_replaced_or_revoked_since_still_holds(desk: Office) -> None:
    enrolment, keys = Enrolment(desk.store.database, desk.audit), EdgeKeys(desk.store.database)
    desk.tell("inc-1", "new")
    before = wire.public_key_text(desk.edge_key)
    enrolment.revoke("shanghai", "box1", "owner", NOON)
    desk.edge_key = Ed25519PrivateKey.generate()
    keys.trust("shanghai", "box1", wire.public_key_text(desk.edge_key), NOON)
    desk.tell("inc-1", "end")
    incident = desk.store.incident("inc-1")
    assert incident
    case = desk.case(incident)
    (told,) = json.loads(read(desk.pack(case))["edges.json"])
    assert told["public_key"] == wire.public_key_text(desk.edge_key) and told["earlier_keys"] == [before]
    assert what(desk.pack(case))["envelopes"] == HOLDS
    enrolment.revoke("shanghai", "box1", "owner", NOON)
    assert what(desk.pack(case))["envelopes"] == HOLDS


def test_what_the_edge_told_of_itself_comes_along_and_what_it_did_not_is_said_to_be_unknown(office: Office) -> None:
    case = office.case(office.incident())
    (told,) = json.loads(read(office.pack(case))["edges.json"])
    assert told["public_key"] and told["quickest_alert_s"] == pytest.approx(0.25)
    unknown = ("version", "model_sha256", "config_sha256", "clock_synchronised", "clock_error_s", "clock_offset_s")
    assert {name: told[name] for name in unknown} == dict.fromkeys(unknown)
    health = {
        "version": "0.4", "model_sha256": "ab" * 32, "config_sha256": "cd" * 32,
        "clock": {"synchronised": True, "error_s": 0.012},
    }  # fmt: skip
    office.store.edges.set_health("shanghai", "box1", health, NOON)
    found = read(office.pack(case))
    (told,) = json.loads(found["edges.json"])
    assert (told["model_sha256"], told["config_sha256"], told["version"]) == ("ab" * 32, "cd" * 32, "0.4")
    assert (told["clock_synchronised"], told["clock_error_s"], told["reported_at"]) == (True, 0.012, NOON)
    assert "时钟由时间服务器校准，最大误差 0.012 秒" in found[ZH].decode()
    assert "ab" * 32 in found[EN].decode()


@pytest.mark.parametrize("clock", [None, 7, [], {"synchronised": "yes", "error_s": True}, {"error_s": {}}])
def test_an_odd_health_report_is_not_known(desk: Office, clock: Any) -> None:
    desk.store.edges.set_health("shanghai", "box1", {"clock": clock, "model_sha256": 7, "config_sha256": ""}, NOON)
    found = read(desk.pack(desk.case(desk.incident())))
    (told,) = json.loads(found["edges.json"])
    assert told["clock_synchronised"] is told["clock_error_s"] is told["model_sha256"] is told["config_sha256"] is None
    assert "时钟是否校准：不知道" in found[ZH].decode() and "not known" in found[EN].decode()


def segments(found: dict[str, bytes]) -> list[tuple[str, str | None]]:
    told = json.loads(found["incidents/001-inc-1/incident.json"])["segments"]
    return [(one["state"], one["file"]) for one in told]


def test_a_recording_that_is_gone_from_the_disk_is_said_to_be(desk: Office, mp4: bytes) -> None:
    case = desk.case(desk.incident(clips=[mp4, mp4]))
    found = desk.clips.find("inc-1", 1)
    assert found
    found.unlink()
    path = desk.pack(case)
    assert segments(read(path)) == [("matches", "incidents/001-inc-1/segment-000.mp4"), ("lost", None)]
    assert what(path)["clip_absent"] == "note" and not verify(path).broken
    assert "有 1 段录像不在包里" in read(path)[ZH].decode()


def test_a_recording_that_was_changed_on_the_disk_is_handed_over_as_damaged(desk: Office, mp4: bytes) -> None:
    case = desk.case(desk.incident(clips=[mp4]))
    found = desk.clips.find("inc-1", 0)
    assert found
    found.write_bytes(changed(mp4, 2000))
    path = desk.pack(case)
    assert segments(read(path)) == [("damaged", "incidents/001-inc-1/segment-000.mp4")]
    assert "已损坏" in read(path)[ZH].decode()
    assert {finding.what for finding in verify(path).broken} == {"clip_differs"}


def test_what_never_came_and_what_no_edge_signed_is_said(desk: Office, mp4: bytes) -> None:
    desk.tell("inc-1", "new")
    desk.keep("inc-1", 0, mp4)
    ongoing = desk.store.incident("inc-1")
    assert ongoing
    path = desk.pack(desk.case(ongoing))
    assert segments(read(path)) == [("unannounced", "incidents/001-inc-1/segment-000.mp4")]
    assert what(path)["clip_unsigned"] == "note" and not verify(path).broken
    desk.tell("inc-1", "end", [{"segment": 1, "sha256": "ab" * 32}])
    assert segments(read(desk.pack(desk.found(1))))[1] == ("missing", None)


def test_of_very_many_acts_a_pack_holds_all_as_they_were_signed(desk: Office) -> None:
    acts = [make_act(NOON + n) for n in range(900)]
    incident = desk.incident(acts=acts)
    assert len(incident.acts) + incident.acts_left_out == len(acts) and incident.acts_left_out
    path = desk.pack(desk.case(incident))
    assert {finding.state for finding in verify(path).findings if finding.what != "key_unknown"} == {HOLDS}
    (name,) = (name for name in read(path) if name.endswith("incident.json"))
    assert json.loads(read(path)[name])["record"]["acts"] == acts


def test_what_another_edge_told_of_the_same_id_stays_out(desk: Office) -> None:
    incident = desk.incident()
    foreign = make_envelope(9, incident="inc-1", site="suzhou", edge="box9")
    with pytest.raises(WireError):
        desk.store.add_alerts([foreign], NOON + 9)
    found = read(desk.pack(desk.case(incident)))
    assert b"suzhou" not in b"".join(found.values())


def test_ids_lead_nowhere(desk: Office) -> None:
    ids = ["../../etc/passwd", "a/b", "面单", "x" * 180, "CON", ".."]
    path = desk.pack(desk.case(*(desk.incident(one, started_at_unix=NOON + n) for n, one in enumerate(ids))))
    folders = sorted({name.split("/")[1] for name in read(path) if name.startswith("incidents/")})
    assert all(re.fullmatch(r"00[1-6]-[A-Za-z0-9_-]{1,40}", folder) for folder in folders) and len(folders) == 6
    assert not verify(path).broken


def test_an_id_as_a_file_name_is_itself_where_it_can_be() -> None:
    assert safe("3f9a-b_1") == "3f9a-b_1"
    assert safe("a/b") != safe("a_b") and safe("a/b") != safe("a\\b")


# The sheet


class Html(HTMLParser):
    """Tags, and all addresses in them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.tags: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "action")]


def test_the_sheet_needs_nothing_but_itself_and_says_what_the_police_ask(desk: Office, mp4: bytes) -> None:
    incident = desk.incident(clips=[mp4], picture=PICTURE)
    found = read(desk.pack(desk.case(incident, people="戴红帽子的快递员")))
    key = grouped(fingerprint(desk.archive.key.public_key()))
    for name in (ZH, EN):
        sheet = found[name].decode()
        html = Html(sheet)
        assert html.addresses and all(address.startswith("data:image/jpeg;base64,") for address in html.addresses)
        assert "script" not in html.tags and "url(" not in sheet and "@import" not in sheet
        assert (key in sheet and "戴红帽子的快递员" in sheet and "Asia/Shanghai（UTC+08:00）" in sheet) or name == EN
        assert "12:00:00" in sheet and "2026-11-01" in sheet and "3–6" in sheet and "labelwatch verify" in sheet
        assert "certutil -hashfile" in sheet and "shasum -a 256" in sheet, "the police may have no labelwatch"
    zh = found[ZH].decode()
    assert "暴露面单约 3–6 张（最可能 4 张）" in zh and "拍照 3 次" in zh
    assert all(f"{role}：" in zh for role in ("移交人", "接收人", "单位", "日期"))
    assert json.loads(found["incidents/001-inc-1/incident.json"])["segments"][0]["sha256"] in zh


@pytest.mark.parametrize(("length", "shown"), [(60, "夜" * 60), (61, "夜" * 59 + "…")])
def test_the_sheet_shows_where_it_cuts_a_long_name_of_a_case(desk: Office, length: int, shown: str) -> None:
    sheet = read(desk.pack(desk.case(desk.incident(), title="夜" * length)))[ZH].decode()
    assert re.findall('<p class="sum">(.*?)：', sheet) == [shown]


def test_the_sheet_says_how_far_its_own_times_are_from_utc(desk: Office) -> None:
    desk.archive = replace(desk.archive, timezone="Europe/Berlin")
    in_summer = datetime(2026, 8, 1, 12, tzinfo=UTC).timestamp()
    incident = desk.incident(started_at_unix=in_summer)
    sheet = Pack(desk.archive, desk.case(incident), made_by="wang", made_at=NOON)
    told = {file.name: b"".join(file.chunks()) for file in sheet.files}
    for name, words in ((ZH, "2026-11-01 05:00 起 UTC+01:00"), (EN, "from 2026-11-01 05:00 on UTC+01:00")):
        content = told[name]
        assert "14:00:00" in content.decode() and "UTC+02:00" in content.decode() and words in content.decode()


def test_the_sheet_says_which_of_two_hours_it_means(desk: Office) -> None:
    desk.archive = replace(desk.archive, timezone="Europe/Berlin")
    twice = datetime(2026, 10, 25, 0, 30, tzinfo=UTC).timestamp()
    found = [desk.incident(f"i{n}", started_at_unix=twice + 3600 * n) for n in range(2)]
    pack = Pack(desk.archive, desk.case(*found), made_by="wang", made_at=NOON)
    (content,) = (b"".join(file.chunks()) for file in pack.files if file.name == EN)
    sheet = content.decode()
    assert "UTC+02:00, from 2026-10-25 02:30 CET on UTC+01:00" in sheet
    rows = re.findall(r"<tr><td>(2026-10-25[^<]*)</td><td><svg", sheet)
    assert rows == ["2026-10-25 CEST", "2026-10-25 CET"]


def test_the_sheet_says_on_which_day_an_incident_ended_where_that_is_another(desk: Office) -> None:
    ended_at = NOON + 60 * 3600
    told = {"ended_at": iso(ended_at), "ended_at_unix": ended_at, "sent_at_unix": ended_at}
    incident = desk.incident(kind="tamper", **told)
    sheet = read(desk.pack(desk.case(incident)))[ZH].decode()
    assert "2026-11-01 12:00:00 – 11-04 00:00:00" in sheet


def test_the_sheet_says_of_how_many_incidents_the_end_was_not_told_yet(desk: Office, mp4: bytes) -> None:
    ended = desk.incident("ended", [mp4])
    desk.tell("goes-on", "new")
    going_on = desk.store.incident("goes-on")
    assert going_on
    both, alone = (read(desk.pack(desk.case(*inside))) for inside in ((ended, going_on), (ended,)))
    assert "制作时 1 起的结束还没有收到" in both[ZH].decode() and "The end of 1 alert" in both[EN].decode()
    assert "结束还没有收到" not in alone[ZH].decode() and "told yet" not in alone[EN].decode()


def test_the_sheet_names_the_incidents_whose_recordings_are_not_in_the_pack(desk: Office, mp4: bytes) -> None:
    whole = desk.incident("i1", [mp4])
    lacking = [desk.incident(f"i{n}", [mp4, mp4], started_at_unix=NOON + n) for n in range(2, 12)]
    for incident in lacking:
        for segment in (0, 1):
            found = desk.clips.find(incident.id, segment)
            assert found
            found.unlink()
    few, many = (read(desk.pack(desk.case(whole, *some))) for some in (lacking[:2], lacking))
    assert "有 4 段录像不在包里（#2、#3；" in few[ZH].decode() and "(of #2, #3; they" in few[EN].decode()
    assert "（#2、#3、#4、#5、#6、#7、#8、#9…；" in many[ZH].decode()


def test_the_sheet_says_when_somebody_was_there_and_what_they_found(desk: Office) -> None:
    gone_to, not_gone_to = desk.incident("i1"), desk.incident("i2")
    said = desk.archive.responses
    for user, step, found, second in (
        ("li", "going", "", 10), ("wang", "there", "", 300), ("li", "there", "", 310), ("li", "there", "stopped", 400),
    ):  # fmt: skip
        said.add("i1", user, step, found, NOON + second)
    said.add("i2", "li", "going", "", NOON + 20)
    sheet = read(desk.pack(desk.case(gone_to, not_gone_to)))
    assert re.findall("<p.*>(Somebody.*)</p>", sheet[EN].decode()) == ["Somebody was there: #1 12:05:00, Stopped it"]
    assert re.findall("<p.*>(有人.*)</p>", sheet[ZH].decode()) == ["有人到现场：#1 12:05:00、当场制止"]


def test_a_sheet_without_room_for_all_lists_the_worst_that_count_by_their_numbers(desk: Office) -> None:
    def exposing(n: int, high: int, severity: str = "warning") -> StoredIncident:
        exposed, at = {"low": 1, "best": 1, "high": high}, NOON + 60 * n
        more: dict[str, Any] = {"started_at_unix": at, "severity": severity, "picture": PICTURE}
        return desk.incident(f"i{n}", labels_exposed=exposed, camera_title=f"相机{n}", **more)

    incidents = [exposing(1, 900), exposing(2, 3, "info"), *(exposing(n, 10 * n) for n in range(3, 7))]
    incidents.append(exposing(7, 5, "critical"))
    desk.store.verdicts.add("i1", "wang", "authorised", "", NOON)
    sheet = read(desk.pack(desk.case(*incidents)))[ZH].decode()
    assert re.findall(r'<td class="n">(\d)</td>.*?(相机\d)', sheet) == [(str(n), f"相机{n}") for n in (3, 4, 5, 6, 7)]
    assert re.findall(r"<figcaption>.*?(相机\d)", sheet) == ["相机4", "相机5", "相机6", "相机7"]
    assert "另有 2 起，见 case.json。" in sheet and "。 另有" not in sheet


def test_the_sheet_is_no_place_for_what_somebody_slipped_in(desk: Office) -> None:
    nasty = "<script>alert(1)</script><img src=http://x.test/>"
    incident = desk.incident(kind=nasty[:30], zone=nasty)
    found = read(desk.pack(desk.case(incident, title=nasty, people=nasty, note=nasty)))
    for name in (ZH, EN):
        html = Html(found[name].decode())
        assert "script" not in html.tags and not html.addresses


def test_cleared_incidents_do_not_count_on_the_sheet(desk: Office) -> None:
    one, two = desk.incident("one"), desk.incident("two", started_at_unix=NOON + 600)
    desk.store.verdicts.add(two.id, "li", "false", "", NOON)
    sheet = read(desk.pack(desk.case(one, two)))[ZH].decode()
    assert "拍照 3 次" in sheet and "另有 1 起判为误报或已授权，不计入。" in sheet


def test_the_sheet_counts_no_photos_that_are_not_sure(desk: Office) -> None:
    unsure = desk.incident("two", started_at_unix=NOON + 600, severity="info", facts={"photos": 2, "unsure": True})
    found = read(desk.pack(desk.case(desk.incident("one"), unsure)))
    chinese, sheet = (found[name].decode() for name in (ZH, EN))
    assert "拍照 3 次" in chinese and "有 1 起是否拍照不太确定，其中的拍照和面单不计入。" in chinese
    assert "photos: 3 in" in sheet and "labels exposed: about 3–6" in sheet and "1 is in doubt: its photos" in sheet
    assert re.findall(r'<td class="n">(2[^<]*)</td>', sheet) == ["2", "2 · Not sure"]


# Making them


def test_a_second_pack_of_a_case_waits_until_the_first_is_made(desk: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go_on = threading.Event(), threading.Event()
    real = packs_module.write_pack

    def slow(*args: Any, **kwargs: Any) -> None:
        begun.set()
        go_on.wait(10)
        real(*args, **kwargs)

    monkeypatch.setattr(packs_module, "write_pack", slow)
    case, now = desk.case(desk.incident()), desk.clock.now()
    number = desk.packs.ask(case, user="wang", at=now)
    assert number and begun.wait(10)
    assert desk.packs.ask(case, user="li", at=now) is None
    (pack,) = desk.packs.of(case.number, EVERYWHERE, now + QUIET_S - 1)
    assert pack.state == MAKING and pack.percent < 100 and desk.packs.path(pack) is None
    go_on.set()
    desk.packs.wait()
    assert [pack.state for pack in desk.packs.of(case.number, EVERYWHERE, now)] == [READY]
    assert desk.packs.ask(case, user="li", at=now)
    desk.packs.wait()


def test_progress_is_told_while_a_large_pack_is_written(desk: Office) -> None:
    case = desk.case(desk.incident(clips=[bytes(3 * 2**20)]))
    told: list[tuple[int, int]] = []
    pack = Pack(desk.archive, case, made_by="wang", made_at=NOON)
    pack.write(io.BytesIO(), lambda done, of: told.append((done, of)))
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert told[-1] == (pack.size, pack.size) and len({of for _, of in told}) == 1


def test_a_pack_of_many_incidents_is_never_in_memory_as_a_whole(desk: Office) -> None:
    picture = random.Random(7).randbytes(300_000)
    found = [desk.incident(f"inc-{n}", picture=b"\xff\xd8" + bytes([n]) + picture) for n in range(30)]
    case = desk.case(*found)
    tracemalloc.start()
    try:
        pack = Pack(desk.archive, case, made_by="wang", made_at=NOON)
        held, _peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert pack.size > 20e6 and held < pack.size / 10, f"{held} of {pack.size}"


def test_an_incident_told_in_more_than_is_ever_read_as_a_whole_is_verified(
    desk: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("detector.tools.verify.LARGEST_TEXT", 200_000)
    for n in range(8):
        desk.tell("inc-1", "new" if n == 0 else "update", snapshot=b"\xff\xd8" + random.Random(n).randbytes(60_000))
    path = desk.pack(desk.case(desk.incident("inc-1")))
    assert {one.state for one in verify(path).findings if one.what != "key_unknown"} == {"holds"}
    content = path.read_bytes()
    at = content.index(b"envelopes.jsonl{") + 400_000
    assert check(io.BytesIO(changed(content, at))).broken


def test_a_full_disk_is_said_before_anything_is_written(desk: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    case = desk.case(desk.incident())
    needed = Pack(desk.archive, case, made_by="wang", made_at=NOON).size
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=needed + 10**6))
    assert desk.ask(case).state == READY
    desk.packs = Packs(desk.folder / "full", desk.archive, desk.audit, desk.clock, spare_bytes=10**7)
    pack = desk.ask(case)
    assert (pack.state, pack.reason) == (FAILED, "no_room")
    assert list((desk.folder / "full").iterdir()) == []


def test_a_disk_that_fails_half_way_leaves_nothing_behind(desk: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_args: Any, **_kwargs: Any) -> None:
        (desk.folder / "packs" / "1.part").write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(packs_module, "write_pack", fails)
    pack = desk.ask(desk.case(desk.incident()))
    assert (pack.state, pack.reason) == (FAILED, "disk")
    assert list((desk.folder / "packs").iterdir()) == []


def test_a_pack_whose_footage_is_deleted_while_it_is_made_is_made_of_the_rest(
    office: Office, mp4: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = office.case(office.incident("goes", [mp4]), office.incident("stays", [mp4]), state=CLOSED)
    office.store.verdicts.add("goes", "li", "false", "", NOON)
    no_room = lambda _: (10**12, 10**12, 0)  # noqa: E731
    retention = Retention(office.store.database, office.folder / "clips", RetentionConfig(), office.audit, no_room)
    write = Pack.write

    def write_late(pack: Pack, *to: Any) -> frozenset[Path]:
        retention.run(office.clock.now())
        return write(pack, *to)

    monkeypatch.setattr(Pack, "write", write_late)
    path = office.pack(case)
    assert {name for name in read(path) if name.endswith(".mp4")} == {"incidents/002-stays/segment-000.mp4"}
    assert json.loads(read(path)["incidents/001-goes/incident.json"])["segments"][0]["state"] == "deleted"
    assert set(what(path).values()) == {HOLDS, NOTE}


@pytest.mark.parametrize("is_killed", [False, True])
def test_a_pack_that_is_not_on_record_as_made_leaves_no_file(
    desk: Office, monkeypatch: pytest.MonkeyPatch, is_killed: bool
) -> None:
    case = desk.case(desk.incident())
    with monkeypatch.context() as broken:
        broken.setattr(packs_module, "READY", ["no state"])  # which no database takes
        if is_killed:
            broken.setattr(Packs, "_tried", Packs._write)
        desk.ask(case)
    assert len(list((desk.folder / "packs").iterdir())) == is_killed
    Packs(desk.folder / "packs", desk.archive, desk.audit, desk.clock)
    assert list((desk.folder / "packs").iterdir()) == []
    assert desk.packs.path(desk.ask(desk.case(desk.incident("inc-2"))))
    Packs(desk.folder / "packs", desk.archive, desk.audit, desk.clock)
    assert len(list((desk.folder / "packs").iterdir())) == 1


def test_incidents_that_are_gone_make_no_pack(desk: Office) -> None:
    case = desk.case(desk.incident())
    desk.store.incidents = lambda *_args, **_kwargs: []  # type: ignore[method-assign]
    pack = desk.ask(case)
    assert (pack.state, pack.reason) == (FAILED, "incidents_gone")


def test_a_hub_that_stops_ends_what_it_makes_and_says_so(desk: Office) -> None:
    case = desk.case(desk.incident())
    desk.packs.stop()
    pack = desk.ask(case)
    assert (pack.state, pack.reason) == (FAILED, "interrupted")


def test_what_a_hub_that_was_killed_left_counts_as_interrupted(desk: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading.Thread, "start", lambda _: None)  # as if it had been killed at once
    case = desk.case(desk.incident())
    number = desk.packs.ask(case, user="wang", at=NOON)
    assert number
    (desk.folder / "packs" / f"{number}.part").write_bytes(b"half")
    monkeypatch.undo()
    again = Packs(desk.folder / "packs", desk.archive, desk.audit, desk.clock)
    assert list((desk.folder / "packs").iterdir()) == []
    (pack,) = again.of(case.number, EVERYWHERE, NOON + QUIET_S + 1)
    assert (pack.state, pack.reason) == (FAILED, "interrupted")
    assert again.ask(case, user="wang", at=NOON + QUIET_S + 1)
    again.wait()


def test_what_a_hub_left_whose_clock_was_ahead_is_made_anew_now(desk: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    case = desk.case(desk.incident())
    monkeypatch.setattr(Packs, "_make", lambda *_: None)  # killed before it began
    assert desk.packs.ask(case, user="wang", at=NOON + 30 * 86400)
    (pack,) = desk.packs.of(case.number, EVERYWHERE, NOON)
    assert (pack.state, pack.reason) == (FAILED, "interrupted")
    assert desk.packs.ask(case, user="wang", at=NOON)


def test_a_pack_that_is_deleted_stays_on_record_with_its_hash(office: Office) -> None:
    case = office.case(office.incident())
    pack = office.ask(case)
    path = office.packs.path(pack)
    assert path
    office.packs.remove(pack, case, user="li", at=NOON)
    (left,) = office.packs.of(case.number, EVERYWHERE, NOON)
    assert (left.state, left.sha256, office.packs.path(left), path.exists()) == (REMOVED, pack.sha256, None, False)
    assert office.audit.entries(subject=case.subject)[0].action == "pack_removed"


def test_a_pack_whose_file_is_gone_from_the_disk_is_lost_and_made_anew(desk: Office) -> None:
    case = desk.case(desk.incident())
    desk.pack(case).unlink()  # as after a backup was brought back
    (pack,) = desk.packs.of(case.number, EVERYWHERE, desk.clock.now())
    assert (pack.state, desk.packs.path(pack)) == (LOST, None) and pack.sha256
    assert desk.ask(case).state == READY


def test_a_pack_is_seen_by_whoever_sees_all_that_is_in_it_whatever_the_case_holds_now(office: Office) -> None:
    here = office.incident("here")
    case = office.case(here)
    pack = office.ask(case)
    office.cases.remove(case, here.id, user="wang", at=NOON)
    for places, seen in ((["shanghai"], True), (["shanghai/cam3"], True), (["shanghai/cam4"], False), ([], False)):
        assert bool(office.packs.of(case.number, Scope.of(places), NOON)) is seen
        assert bool(office.packs.pack(case.number, pack.number, Scope.of(places), NOON)) is seen
    assert office.packs.pack(case.number + 1, pack.number, EVERYWHERE, NOON) is None


def test_what_another_camera_told_comes_along_and_the_pack_is_for_who_sees_both(office: Office) -> None:
    here = office.incident("here", spot="cage")
    across = make_envelope(90, incident="across", camera="cam4", spot="cage")
    across["after"]["camera"] = "cam4"
    office.store.add_alerts([across], NOON)
    case = office.case(here)
    pack = office.ask(case)
    path = office.packs.path(pack)
    assert path is not None
    inside = json.loads(read(path)["case.json"])["incidents"]
    assert [(one["id"], one.get("confirms")) for one in inside] == [("here", None), ("across", "here")]
    for places, seen in ((["shanghai"], True), (["shanghai/cam3", "shanghai/cam4"], True), (["shanghai/cam3"], False)):
        assert bool(office.packs.of(case.number, Scope.of(places), NOON)) is seen


def test_what_another_camera_tells_before_a_pack_is_made_is_not_for_who_sees_but_one(office: Office) -> None:
    case = office.case(office.incident("here", spot="cage"))
    with office.packs._one_at_a_time:  # another pack is being made
        number = office.packs.ask(case, user="wang", at=office.clock.now())
        across = make_envelope(90, incident="across", camera="cam4", spot="cage")
        across["after"]["camera"] = "cam4"
        office.store.add_alerts([across], NOON)
    office.packs.wait()
    assert number is not None
    pack = office.packs.pack(case.number, number, EVERYWHERE, NOON)
    assert pack and (path := office.packs.path(pack)) and "incidents/002-across/incident.json" in read(path)
    assert office.packs.pack(case.number, number, Scope.of(["shanghai/cam3"]), NOON) is None


@pytest.mark.parametrize("late", [False, True])
def test_that_footage_of_another_camera_was_exported_is_on_record_whenever_that_told(
    office: Office, late: bool
) -> None:
    case = office.case(office.incident("here", spot="cage"))
    across = make_envelope(90, incident="across", camera="cam4", spot="cage")
    across["after"]["camera"] = "cam4"
    if not late:
        office.store.add_alerts([across], NOON)
    with office.packs._one_at_a_time:  # another pack is being made
        number = office.packs.ask(case, user="wang", at=office.clock.now())
        if late:
            office.store.add_alerts([across], NOON)
    office.packs.wait()
    for incident in ("here", "across"):
        exports = [
            (entry.user, entry.details) for entry in office.audit.entries(subject=incident) if entry.action == "export"
        ]
        assert exports == [("wang", {"case": case.number, "pack": number})]


def test_what_two_cameras_told_of_one_event_is_packed_and_counted_once_though_both_were_put_in(
    office: Office,
) -> None:
    here = office.incident("here", spot="cage")
    across = make_envelope(90, incident="across", camera="cam4", spot="cage")
    across["after"]["camera"] = "cam4"
    office.store.add_alerts([across], NOON)
    seen = office.store.incident("across", Scope.of(["shanghai/cam4"]))  # by who sees no other
    assert seen and seen.id == "across"
    opened = office.case(seen)
    office.cases.add(opened, [here], user="wang", at=NOON)
    case = office.cases.case(opened.number)
    assert case and len(case.incidents) == 2 and office.cases.sums([case.number])[case.number].incidents == 1
    told = json.loads(read(office.pack(case))["case.json"])
    assert [one["id"] for one in told["incidents"]] == ["here", "across"] and told["incidents_gone"] == []
    assert (told["totals"]["incidents"], told["totals"]["cleared"], told["totals"]["labels_best"]) == (1, 0, 4)


def test_the_key_is_made_once_and_only_the_hub_reads_it(desk: Office) -> None:
    assert stat.S_IMODE((desk.folder / "evidence.key").stat().st_mode) == 0o600
    key = load_key(desk.folder / "evidence.key", "the key of evidence packs")
    assert fingerprint(key.public_key()) == fingerprint(desk.archive.key.public_key())
    assert desk.packs.key.replace(" ", "") == fingerprint(key.public_key())


def test_a_folder_that_cannot_be_used_is_said_so(desk: Office) -> None:
    (desk.folder / "file").write_text("")
    with pytest.raises(StoreError, match="can't be written"):
        Packs(desk.folder / "file" / "packs", desk.archive, Audit(desk.store.database), desk.clock)


def test_a_case_of_many_incidents_is_packed_in_little_time(desk: Office, mp4: bytes) -> None:
    incidents = [desk.incident(f"inc-{n:03}", [mp4], picture=PICTURE, started_at_unix=NOON + 60 * n) for n in range(40)]
    path = desk.pack(desk.case(*incidents))
    assert what(path)["records"] == "holds" and not verify(path).broken
