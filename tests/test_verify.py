"""Evidence packs: what holds is said to hold, and nothing that was changed goes unnoticed."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import shutil
import struct
import subprocess
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from detector import wire
from detector.cli import main
from detector.hub.storage.audit_chain import BEGINNING, chained
from detector.tools.verify import EN, TEXTS, ZH, Report, check, fingerprint_from, verify
from detector.wire import evidence
from detector.wire.evidence import Entry, PackWriter, as_json, public_pem
from tests.conftest import part_missing
from tests.hub.conftest import make_envelope
from tests.hub.evidence_parts import changed

MADE_AT = 1_793_509_200.0
KEY = Ed25519PrivateKey.generate()
EDGE_KEY = Ed25519PrivateKey.generate()
CLIP, SIDE, PICTURE = b"\0\0\0\x18ftypmp42 a recording", b"\x1f\x8b a side file", b"\xff\xd8\xff\xe0 a picture"
FOLDER = "incidents/001-inc-1"


def envelope(phase: str = "end", key: Ed25519PrivateKey = EDGE_KEY, **changes: Any) -> bytes:
    """A line of `envelopes.jsonl`."""
    clip = {"segment": 0, "sha256": sha256(CLIP), "side_sha256": sha256(SIDE)}
    fields = make_envelope(1, phase=phase, clips=[clip] if phase == "end" else [], snapshot=PICTURE)
    fields = {**fields, **changes}
    return wire.encode(wire.signed(fields, key)) + b"\n"


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def log_entry(number: int, before: str) -> dict[str, Any]:
    told = {"at": MADE_AT, "user": "wang", "action": "verdict", "subject": "inc-1", "details": {"verdict": "true"}}
    return {**told, "number": number, "hash_before": before, "hash": chained(before, told)}


def files(**changes: bytes | None) -> dict[str, bytes]:
    """What a small pack holds; `changes` by the last part of a name, `None` leaves the file out."""
    edge = {"site": "shanghai", "edge": "box1", "public_key": wire.public_key_text(EDGE_KEY)}
    case = {"incidents": [{"folder": FOLDER, "id": "inc-1", "site": "shanghai", "edge": "box1"}]}
    found: dict[str, bytes] = {
        "case.json": as_json(case),
        "edges.json": as_json([edge]),
        "access-log.json": as_json({"entries": [log_entry(4, BEGINNING)]}),
        "hub.pem": public_pem(KEY.public_key()),
        "说明.html": "<p>说明".encode(),
        f"{FOLDER}/envelopes.jsonl": envelope("new") + envelope(),
        f"{FOLDER}/incident.json": as_json({"record": make_envelope(1)["after"]}),
        f"{FOLDER}/segment-000.mp4": CLIP,
        f"{FOLDER}/segment-000.json.gz": SIDE,
        f"{FOLDER}/snapshot-01.jpg": PICTURE,
    }
    names = {name.rpartition("/")[2].replace(".", "_").replace("-", "_"): name for name in found}
    for name, content in changes.items():
        found.pop(names.get(name, name), None)
        if content is not None:
            found[names.get(name, name)] = content
    return found


def pack(contents: dict[str, bytes] | None = None, key: Ed25519PrivateKey = KEY) -> bytes:
    """A pack of these files, signed."""
    out = io.BytesIO()
    writer = PackWriter(out, MADE_AT)
    for name, content in sorted((contents or files()).items(), key=lambda item: evidence.place(item[0])):
        writer.add(name, len(content), [content])
    writer.close(key, case=7)
    return out.getvalue()


PACK = pack()


def broken(content: bytes, key: str | None = None) -> set[str]:
    """What doesn't hold of a pack."""
    return {finding.what for finding in check(io.BytesIO(content), key).broken}


def test_a_pack_holds() -> None:
    report = check(io.BytesIO(PACK))
    assert report.readable and not report.broken
    held = {(finding.state, finding.what) for finding in report.findings}
    told = ("files", "container", "signature", "envelopes", "clips", "pictures", "records", "log")
    assert held == {*(("holds", what) for what in told), ("note", "key_unknown")}


def test_any_zip_program_reads_a_pack(tmp_path: Path) -> None:
    with zipfile.ZipFile(io.BytesIO(PACK)) as archive:
        assert archive.testzip() is None
        assert {name: archive.read(name) for name in archive.namelist()}.items() >= files().items()
    (tmp_path / "pack.zip").write_bytes(PACK)
    if unzip := shutil.which("unzip"):
        assert subprocess.run([unzip, "-tqq", tmp_path / "pack.zip"], check=False).returncode == 0


def test_another_program_can_check_the_signature(tmp_path: Path) -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        part_missing("openssl", "openssl")
    with zipfile.ZipFile(io.BytesIO(PACK)) as archive:
        for name in ("hub.pem", "manifest.json"):
            (tmp_path / name).write_bytes(archive.read(name))
        (tmp_path / "sig").write_bytes(base64.b64decode(archive.read("SIGNATURE")))
    command = [openssl, "pkeyutl", "-verify", "-pubin", "-inkey", "hub.pem", "-rawin", "-in", "manifest.json"]
    done = subprocess.run([*command, "-sigfile", "sig"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "Verified Successfully" in done.stdout


def test_every_flipped_byte_is_found() -> None:
    """Of long contents, which are found out by one hash each, every seventh."""
    with zipfile.ZipFile(io.BytesIO(PACK)) as archive:
        contents = [
            archive.read(name)
            for name in archive.namelist()
            if name.endswith(("envelopes.jsonl", "001-inc-1/incident.json"))
        ]
    alike = {PACK.index(content) + n for content in contents for n in range(len(content)) if n % 7}
    assert 3000 < len(alike) < len(PACK) / 2
    missed = [at for at in range(len(PACK)) if at not in alike and not broken(changed(PACK, at, at % 8))]
    assert missed == []


@settings(deadline=None, max_examples=150)
@given(st.data())
def test_any_other_change_is_found(data: st.DataObject) -> None:
    at, until = sorted(data.draw(st.integers(0, len(PACK))) for _ in range(2))
    instead = data.draw(st.binary(max_size=40))
    other = PACK[:at] + instead + PACK[until:]
    assert (other == PACK) is not bool(broken(other))


@pytest.mark.parametrize("cut", [0, 1, 3, 22, 100, 1000, len(PACK) // 2, len(PACK) - 1])
def test_a_pack_that_is_cut_off_is_found_and_is_one_clear_error(cut: int) -> None:
    report = check(io.BytesIO(PACK[:cut]))
    assert not report.readable and len(report.findings) == 1
    assert report.findings[0].what in ("no_zip", "cut_off")


@pytest.mark.parametrize("more", [b"\0", b"PK\x05\x06" + bytes(18), PACK])
def test_what_is_added_before_or_behind_is_found(more: bytes) -> None:
    assert broken(PACK + more) and broken(more + PACK)


MINE = Ed25519PrivateKey.generate()


# Each is signed well by whoever made it, but for what it says of itself.
@pytest.mark.parametrize(
    ("contents", "found"),
    [
        pytest.param(files(segment_000_mp4=CLIP + b"!"), {"clip_differs"}, id="another recording"),
        pytest.param(files(segment_000_json_gz=b"{}"), {"clip_differs"}, id="another side file"),
        pytest.param(files(snapshot_01_jpg=b"\xff\xd8"), {"picture_differs"}, id="another picture"),
        pytest.param(files(incident_json=as_json({"record": {"id": "inc-1"}})), {"record_differs"}, id="other data"),
        pytest.param(
            files(envelopes_jsonl=envelope("new") + envelope(seq=9).replace(b'"seq":9', b'"seq":8')),
            {"envelope_broken"}, id="a changed envelope",
        ),
        pytest.param(files(envelopes_jsonl=envelope() + b"not JSON\n"), {"envelope_broken"}, id="no envelope at all"),
        pytest.param(
            files(envelopes_jsonl=envelope() + envelope(site="suzhou")), {"envelope_broken"}, id="of another site"
        ),
        pytest.param(
            files(envelopes_jsonl=envelope() + envelope(key=MINE)), {"envelope_broken"}, id="signed by somebody else"
        ),
        pytest.param(files(edges_json=b"[]"), {"edge_unknown", "record_differs", "picture_differs"}, id="no key"),
        pytest.param(files(hub_pem=None), {"hub_key"}, id="no key of the hub"),
        pytest.param(files(hub_pem=public_pem(MINE.public_key())), {"signature_broken"}, id="another hub's key"),
        pytest.param(
            files(access_log_json=as_json({"entries": [log_entry(4, BEGINNING) | {"user": "li"}]})),
            {"log_broken"}, id="a changed line of the log",
        ),
        pytest.param(files(access_log_json=b"{}"), {"unreadable"}, id="no log"),
        pytest.param(
            files(edges_json=b"[7]"),
            {"unreadable", "edge_unknown", "record_differs", "picture_differs"}, id="odd edges",
        ),
        pytest.param(files(case_json=b'{"incidents": 7}'), {"unreadable"}, id="odd case"),
        pytest.param(files(case_json=b"["), {"unreadable"}, id="case is no JSON"),
        pytest.param(files(case_json=b"[" * 100_000), {"unreadable"}, id="deeper than it can be read"),
        pytest.param(files(incident_json=b"[]"), {"unreadable"}, id="odd incident"),
        pytest.param(
            files(case_json=as_json({"incidents": [{"folder": [], "id": 7, "site": [], "edge": {}}]})),
            {"unreadable"}, id="odd kinds",
        ),
        pytest.param(
            files(envelopes_jsonl=None), {"envelopes_missing", "record_differs", "picture_differs"}, id="nothing signed"
        ),
    ],
)  # fmt: skip
def test_what_a_forger_changes_and_signs_again_does_not_fit_what_the_edge_signed(
    contents: dict[str, bytes], found: set[str]
) -> None:
    assert broken(pack(contents)) == found


@pytest.mark.parametrize(("good", "held"), [(b"", []), (envelope("new"), [1])])
def test_of_signatures_that_do_not_all_hold_those_are_counted_that_do(good: bytes, held: list[int]) -> None:
    changed = envelope(seq=9).replace(b'"seq":9', b'"seq":8')
    report = check(io.BytesIO(pack(files(envelopes_jsonl=good + changed))))
    assert [finding.values["n"] for finding in report.findings if finding.what == "envelopes"] == held
    assert "全部" not in ZH["envelopes"] and "all" not in EN["envelopes"].split()


def test_a_pack_made_anew_by_somebody_else_is_not_the_hubs() -> None:
    forged = pack(files(hub_pem=public_pem(MINE.public_key())), MINE)
    assert broken(forged) == set()  # it holds in itself
    assert broken(forged, evidence.fingerprint(KEY.public_key())) == {"key_other"}
    assert broken(PACK, evidence.fingerprint(KEY.public_key())) == set()


def test_what_no_edge_signed_is_noted_and_not_held_against_the_pack() -> None:
    report = check(io.BytesIO(pack(files(envelopes_jsonl=envelope("new")))))
    assert not report.broken
    assert [f.values["name"] for f in report.findings if f.what == "clip_unsigned"] == [
        f"{FOLDER}/segment-000.json.gz", f"{FOLDER}/segment-000.mp4"
    ]  # fmt: skip


def test_an_incident_whose_end_was_never_told_is_noted() -> None:
    for envelopes, cut, noted in (
        (envelope("new"), None, True),
        (envelope("new") + envelope("update"), None, True),
        (envelope("new") + envelope(), None, False),
        (envelope("new"), without_picture(envelope()), False),
    ):
        report = check(io.BytesIO(pack(files(envelopes_jsonl=envelopes, **{CUT: cut}))))
        assert not report.broken
        assert [f.values["name"] for f in report.findings if f.what == "unended"] == ([FOLDER] if noted else [])


def without_picture(line: bytes, **changes: Any) -> bytes:
    return wire.encode({**wire.decode(line), "snapshot": None, **changes}) + b"\n"


CUT = f"{FOLDER}/envelopes-without-picture.jsonl"


def test_a_signature_over_a_picture_that_was_deleted_since_is_noted() -> None:
    cut = {CUT: without_picture(envelope("new")), "snapshot_01_jpg": None}
    plain = wire.encode(wire.signed(make_envelope(2, phase="end"), EDGE_KEY)) + b"\n"
    for rest, more in ((plain, set[str]()), (b"", {"record_cut", "unended"})):
        clips = dict.fromkeys(("segment_000_mp4", "segment_000_json_gz"))
        report = check(io.BytesIO(pack(files(envelopes_jsonl=rest, **cut, **clips))))
        assert not report.broken
        assert {f.what for f in report.findings if f.state == "note"} == {"key_unknown", "envelopes_cut", *more}


@pytest.mark.parametrize(
    "line", [b"not JSON\n", envelope(), without_picture(envelope(), site="suzhou"), b"[]\n", b'{"after": 7}\n']
)
def test_only_what_may_have_had_a_picture_stands_among_what_lost_it(line: bytes) -> None:
    assert broken(pack(files(**{CUT: line}))) == {"envelope_broken"}


def test_what_the_edge_signed_and_is_not_there_is_noted() -> None:
    report = check(io.BytesIO(pack(files(segment_000_mp4=None))))
    assert not report.broken
    assert [f.values["name"] for f in report.findings if f.what == "clip_absent"] == [f"{FOLDER}/segment-000.mp4"]


class Loose(PackWriter):
    """Writes what a pack's own writer refuses."""

    def add(self, name: str, size: int, chunks: Any) -> Entry:
        """Whatever the name, in whatever order."""
        offset = self._file.tell()
        content = b"".join(chunks)
        entry = Entry(name, len(content), zlib.crc32(content), sha256(content), offset)
        self._file.write(entry.header(MADE_AT) + content)
        self.entries.append(entry)
        return entry


def loose(*more: tuple[str, bytes], base: dict[str, bytes] | None = None) -> bytes:
    out = io.BytesIO()
    writer = Loose(out, MADE_AT)
    for name, content in [*sorted((base or files()).items()), *more]:
        writer.add(name, len(content), [content])
    writer.close(KEY)
    return out.getvalue()


@pytest.mark.parametrize(
    ("content", "what"),
    [
        pytest.param(b"", "no_zip", id="empty"),
        pytest.param(b"hello, this is no zip at all" * 10, "no_zip", id="no zip"),
        pytest.param(loose(("../../etc/passwd", b"x")), "name", id="climbs out"),
        pytest.param(loose(("/etc/passwd", b"x")), "name", id="absolute"),
        pytest.param(loose(("C:\\autoexec.bat", b"x")), "name", id="of a drive"),
        pytest.param(loose(("a\\..\\b", b"x")), "name", id="climbs out of Windows"),
        pytest.param(loose(("a\nb", b"x")), "name", id="breaks the line"),
        pytest.param(loose(("a//b", b"x")), "name", id="an empty part"),
        pytest.param(loose(("a" * 300, b"x")), "name", id="overlong"),
        pytest.param(loose(("hub.pem", b"x")), "twice", id="a name twice"),
        pytest.param(loose(("HUB.pem", b"x")), "twice", id="a name twice on Windows"),
        pytest.param(PACK.replace(b"manifest.json", b"manifesto.jsn"), "no_manifest", id="no manifest"),
    ],
)  # fmt: skip
def test_what_is_no_pack_is_one_clear_error(content: bytes, what: str, tmp_path: Path) -> None:
    report = check(io.BytesIO(content))
    assert not report.readable and [finding.what for finding in report.findings] == [what]
    assert all(ZH[what].split("：")[0] in line or "结论" in line for line in report.lines("zh"))


def patched(field_at: int, value: bytes) -> bytes:
    """The pack with a field of the first entry in the table of contents changed."""
    at = PACK.index(b"PK\x01\x02") + field_at
    return PACK[:at] + value + PACK[at + len(value) :]


@pytest.mark.parametrize(
    ("content", "what"),
    [
        pytest.param(patched(38, struct.pack("<I", 0o120777 << 16)), "link", id="a symbolic link"),
        pytest.param(patched(8, b"\x01\x08"), "encrypted", id="encrypted"),
        pytest.param(patched(10, b"\x08\0"), "compressed", id="compressed"),
        pytest.param(patched(24, struct.pack("<I", 10**9)), "compressed", id="says to be larger than it is packed"),
        pytest.param(patched(20, struct.pack("<II", 10**9, 10**9)), "cut_off", id="reaches beyond the end"),
        pytest.param(patched(42, struct.pack("<I", 400)), "overlapping", id="lies over another"),
        pytest.param(patched(30, b"\x05\0"), "table", id="an extra field"),
        pytest.param(patched(32, b"\x05\0"), "table", id="a comment"),
        pytest.param(PACK[:-2] + b"\x01\0", "table", id="a comment of the whole"),
    ],
)
def test_what_a_pack_never_holds_is_refused(content: bytes, what: str) -> None:
    report = check(io.BytesIO(content))
    assert not report.readable and [finding.what for finding in report.findings] == [what]


def test_a_zip_bomb_is_refused_without_being_unpacked(tmp_path: Path) -> None:
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("manifest.json", bytes(200 * 2**20))
    assert len(bomb.getvalue()) < 300_000
    assert broken(bomb.getvalue()) == {"compressed"}


def test_a_manifest_beyond_reason_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("detector.tools.verify.LARGEST_TEXT", 500)
    assert broken(PACK) == {"huge"}


@pytest.mark.parametrize(
    ("manifest", "what"),
    [
        (b"{", "manifest"),
        (b"[]", "manifest"),
        (b"[" * 100_000, "manifest"),
        (b'{"kind": "something else"}', "no_manifest"),
        (as_json({"kind": evidence.KIND, "schema": 99}), "newer"),
        (as_json({"kind": evidence.KIND, "schema": "1"}), "manifest"),
        (as_json({"kind": evidence.KIND, "schema": 1, "files": 7, "made_at_unix": 1.0}), "manifest"),
        (as_json({"kind": evidence.KIND, "schema": 1, "files": [{"name": []}], "made_at_unix": 1.0}), "manifest"),
        (b'{"kind": "labelwatch evidence pack", "schema": 1, "files": [], "made_at_unix": NaN}', "manifest"),
        (b'{"kind": "labelwatch evidence pack", "schema": 1, "files": [], "made_at_unix": 1e999}', ""),
    ],
)
def test_an_odd_manifest_is_one_clear_error(manifest: bytes, what: str) -> None:
    out = io.BytesIO()
    writer = Loose(out, MADE_AT)
    for name, content in (("hub.pem", public_pem(KEY.public_key())), ("manifest.json", manifest)):
        writer.add(name, len(content), [content])
    out.write(evidence.contents(writer.entries, MADE_AT, out.tell()))
    found = broken(out.getvalue())
    assert found == {what} if what else found


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=400))
def test_nothing_makes_it_stumble(content: bytes) -> None:
    assert broken(content) and broken(b"PK\x03\x04" + content) and broken(content + PACK[-200:])


def test_files_and_places_beyond_four_gigabytes_are_written_as_zip64(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The fields of 32 bits are full from 2,000 bytes on here, so that a small pack is a large one."""
    monkeypatch.setattr(evidence, "_32_BITS", 2000)
    content = pack(files(segment_000_mp4=CLIP * 100))
    assert b"PK\x06\x06" in content
    assert broken(content) == {"clip_differs"}  # and nothing else
    assert broken(changed(content, content.index(b"PK\x06\x06") + 20))


def test_a_file_of_five_gigabytes_is_found_by_other_programs(tmp_path: Path) -> None:
    big, small = Entry("big.mp4", 5 * 2**30, 0, "", 0), Entry("small", 3, 0, "", 0)
    small = Entry("small", 3, 0, "", big.content_at + big.size)
    path = tmp_path / "large.zip"
    with path.open("wb") as out:  # sparse: it takes no room
        out.write(big.header(MADE_AT))
        out.seek(small.offset)
        out.write(small.header(MADE_AT) + b"abc")
        out.write(evidence.contents([big, small], MADE_AT, out.tell()))
    with zipfile.ZipFile(path) as archive:
        assert [(i.filename, i.file_size, i.header_offset) for i in archive.infolist()] == [
            ("big.mp4", big.size, 0), ("small", 3, small.offset)
        ]  # fmt: skip
    with path.open("rb") as file:
        assert [(e.name, e.size, e.offset) for e in evidence.read_table(file)] == [
            ("big.mp4", big.size, 0), ("small", 3, small.offset)
        ]  # fmt: skip
        assert next(evidence.read_content(file, small)) == b"abc"


@pytest.mark.parametrize("name", ["../up", "", "a//b", "a/./b", "c:d", "a\\b", "a\0b", "b" * 241])
def test_the_writer_takes_no_name_that_the_reader_refuses(name: str) -> None:
    with pytest.raises(ValueError, match="no name"):
        PackWriter(io.BytesIO(), MADE_AT).add(name, 0, [])


def test_the_writer_takes_no_file_out_of_order_nor_of_another_length() -> None:
    writer = PackWriter(io.BytesIO(), MADE_AT)
    writer.add("b", 1, [b"x"])
    with pytest.raises(ValueError, match="out of order"):
        writer.add("a", 1, [b"x"])
    with pytest.raises(ValueError, match="2 bytes came, 1 were said"):
        writer.add("c", 1, [b"xx"])


def test_every_finding_has_its_words_in_both_languages() -> None:
    assert ZH.keys() == EN.keys()
    for texts in TEXTS.values():
        assert all(texts.values())


# The command

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Iterator[Run]:
    def run_(*arguments: object) -> tuple[int, str, str]:
        code = main(["verify", *map(str, arguments)])
        told = capsys.readouterr()
        return code, told.out, told.err

    yield run_


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "pack.zip").write_bytes(PACK)
    return tmp_path / "pack.zip"


def test_the_command_says_in_words_what_holds(run: Run, path: Path) -> None:
    code, out, _ = run(path, "--language", "zh")
    assert code == 0 and "录像：2 个文件与边缘设备签署的哈希一致" in out and "结论：全部成立" in out
    code, out, _ = run(path, "--language", "en")
    assert code == 0 and "every byte of the file is as it was written" in out and "In short: all of it holds" in out


def test_the_command_speaks_the_language_of_the_terminal(run: Run, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for locale, word in (("zh_CN.UTF-8", "结论"), ("en_GB.UTF-8", "In short"), ("C", "In short")):
        monkeypatch.setenv("LC_ALL", locale)
        assert word in run(path)[1]


def test_exit_codes_tell_findings_from_what_is_no_pack(run: Run, path: Path) -> None:
    path.write_bytes(changed(PACK, PACK.index(CLIP)))
    code, out, _ = run(path, "--language", "en")
    assert code == 1 and f"✗ a file was changed: {FOLDER}/segment-000.mp4" in out
    path.write_bytes(b"no zip")
    assert run(path)[0] == 2
    code, _, err = run(path.with_name("not there.zip"))
    assert code == 2 and "not there.zip: no such pack" in err
    assert run(path.parent)[0] == 2


def test_json_is_for_scripts(run: Run, path: Path) -> None:
    code, out, _ = run(path, "--json")
    told = json.loads(out)
    assert code == 0 and told["holds"] and told["readable"]
    clips = next(finding for finding in told["findings"] if finding["what"] == "clips")
    assert (clips["state"], clips["n"]) == ("holds", 2) and clips["text"].startswith("recordings: 2 files")
    path.write_bytes(PACK[:-1])
    code, out, _ = run(path, "--json")
    assert code == 2 and not json.loads(out)["readable"] and not json.loads(out)["holds"]


def test_the_key_is_named_by_fingerprint_or_by_a_file(run: Run, path: Path, tmp_path: Path) -> None:
    mine = evidence.fingerprint(KEY.public_key())
    (tmp_path / "hub.pem").write_bytes(public_pem(KEY.public_key()))
    (tmp_path / "paper.txt").write_text(evidence.grouped(mine).upper() + "\n")
    for key in (mine, evidence.grouped(mine), tmp_path / "hub.pem", tmp_path / "paper.txt"):
        code, out, _ = run(path, "--key", key, "--language", "en")
        assert code == 0 and "it is the one you named" in out
    code, out, _ = run(path, "--key", "0" * 64, "--language", "en")
    assert code == 1 and "✗ key: it isn't the one you named" in out


@pytest.mark.parametrize("key", ["", "12ab", "g" * 64, "/", "a\0b"])
def test_what_is_no_key_is_said_so(run: Run, path: Path, key: str) -> None:
    code, _, err = run(path, "--key", key)
    assert code == 2 and "--key" in err


def test_a_long_list_of_findings_is_cut() -> None:
    many = files() | {f"more/{n:03}": b"x" for n in range(60)}
    content = pack(many)
    for n in range(60):
        at = content.index(f"more/{n:03}".encode()) + 8
        content = changed(content, at)
    lines = Report(check(io.BytesIO(content)).findings).lines("en")
    assert len(lines) < 40 and any("and 40 more" in line for line in lines)


def test_names_from_a_pack_cannot_write_to_the_terminal(tmp_path: Path) -> None:
    (tmp_path / "odd.zip").write_bytes(loose(("a\x1b[2Jb", b"x")))
    assert "\x1b" not in "".join(verify(tmp_path / "odd.zip").lines("en"))


def test_a_fingerprint_is_read_as_people_write_it() -> None:
    assert fingerprint_from(" AB " * 32) == "ab" * 32
    assert fingerprint_from(":".join(["0f"] * 32)) == "0f" * 32
