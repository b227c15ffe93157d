"""An evidence pack comes in; what holds of it and what doesn't leaves, in plain words. No hub is needed for it.

Checked are each byte of the file (see `evidence`), the hub's signature, and below it what cameras' edges signed
themselves: envelopes, and by them clips, side files and pictures. Nothing is unpacked to disk.
"""

from __future__ import annotations

import hashlib
import json
import re
import zlib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO

from detector import wire
from detector.errors import ConfigError, Problem, WireError
from detector.wire import evidence
from detector.wire.evidence import (
    CASE,
    EDGES,
    ENVELOPES,
    HUB_KEY,
    LARGEST_TEXT,
    LAST,
    LOG,
    MANIFEST,
    SIGNATURE,
    WITHOUT_PICTURE,
    NotAPack,
    picture_in,
    verify_by_any,
)

HOLDS, NOTE, BROKEN = "holds", "note", "broken"
MARKS = {HOLDS: "✓", NOTE: "!", BROKEN: "✗"}
MOST_KEYS = 50  # of one edge that are tried
MOST_OF_A_KIND = 20  # findings of one kind that are told one by one
_SEGMENT = re.compile(r"segment-(\d{3,9})\.(mp4|json\.gz)")
_PROMISE = {"mp4": "sha256", "json.gz": "side_sha256"}
# What anything put into JSON files by a forger may lead to when they are read.
_ODD = (KeyError, TypeError, ValueError, AttributeError, RecursionError, OverflowError)

ZH = {
    "container": "容器：文件的每一个字节都与写出时一致（共 {size} 字节）",
    "container_differs": "容器：从第 {at} 字节起与写出时不一致",
    "signature": "签名：清单由监控中心的密钥签署，指纹 {key}",
    "signature_broken": "签名：与清单不符；清单被改过，或签名被改过",
    "signature_missing": "签名：包内没有签名",
    "hub_key": "签名：包内没有可用的公钥，签名无法核对",
    "key_known": "密钥：与您给出的指纹一致",
    "key_other": "密钥：不是您给出的那一把（包内为 {key}）",
    "key_unknown": "密钥：请把上面的指纹与纸质移交说明或监控中心页面上的逐组比对；"
    "只有一致，才说明包出自该监控中心（--key 可代为比对）",
    "files": "清单：{n} 个文件全部与清单一致",
    "file_differs": "文件被改过：{name}",
    "file_missing": "文件缺失：{name}",
    "file_extra": "多出清单以外的文件：{name}",
    "envelopes": "边缘设备 {edge}：{n} 条告警的签名成立",
    "envelopes_missing": "没有边缘设备签名的记录：{name}",
    "envelope_broken": "边缘设备的签名不成立：{name} 第 {n} 条",
    "envelopes_cut": "边缘设备的签名无法再核对，因为它所签署的截图已由监控中心删除：{name}，{n} 条",
    "edge_unknown": "没有边缘设备 {edge} 的公钥，它的签名无法核对",
    "clips": "录像：{n} 个文件与边缘设备签署的哈希一致，一个字节也没有改动",
    "clip_differs": "录像不是边缘设备签署的那一份：{name}",
    "clip_unsigned": "录像的哈希没有边缘设备的签名（事件当时还没有结束，或记录不全）：{name}",
    "clip_absent": "边缘设备签署过、但包里没有的录像：{name}",
    "pictures": "截图：{n} 张与边缘设备签署的一致",
    "picture_differs": "截图不是边缘设备签署的那一张：{name}",
    "records": "事件数据：{n} 起与边缘设备签署的一致",
    "record_differs": "事件数据与边缘设备签署的不一致：{name}",
    "record_cut": "事件数据出自签名已无法核对的告警，只有监控中心的签名为证：{name}",
    "unended": "结束还没有收到的事件（制作时可能还在继续），录像和数据可能不全：{name}",
    "log": "查看记录：{n} 条，每一条的哈希成立",
    "log_broken": "查看记录第 {n} 条的哈希不成立",
    "unreadable": "内容无法理解：{name}",
    "more": "……同样的还有 {n} 处",
    "no_zip": "这不是 ZIP 文件",
    "cut_off": "文件不完整：结尾缺失或被改动",
    "table": "ZIP 的目录已损坏，或不是 labelwatch 写出的",
    "name": "文件名不安全，拒绝处理：{name}",
    "twice": "同一个文件名出现两次：{name}",
    "link": "包里有符号链接：{name}",
    "encrypted": "包里有加密的文件：{name}",
    "compressed": "包里有压缩过的文件（证据包从不压缩）：{name}",
    "overlapping": "包里的文件互相重叠：{name}",
    "no_manifest": "这不是证据包：没有 manifest.json",
    "huge": "{name} 大得不合理，拒绝读取",
    "manifest": "manifest.json 无法理解",
    "newer": "这个证据包由更新版本的 labelwatch 写出，请先升级",
    "verdict_holds": "结论：全部成立。",
    "verdict_noted": "结论：全部成立；另有 {n} 点需要知道，见 !。",
    "verdict_broken": "结论：有 {n} 处不成立，见 ✗。",
    "verdict_unreadable": "结论：无法作为证据包读取。",
}
EN = {
    "container": "container: every byte of the file is as it was written ({size} bytes)",
    "container_differs": "container: from byte {at} on it isn't as it was written",
    "signature": "signature: the list of files is signed by a hub's key, fingerprint {key}",
    "signature_broken": "signature: doesn't fit the list of files; one of them was changed",
    "signature_missing": "signature: there is none in the pack",
    "hub_key": "signature: there is no public key in the pack that it could be checked with",
    "key_known": "key: it is the one you named",
    "key_other": "key: it isn't the one you named (in the pack: {key})",
    "key_unknown": "key: compare the fingerprint with the one on the paper sheet or the hub's page; "
    "only when they are the same does the pack come from that hub (--key compares for you)",
    "files": "list: all {n} files are as listed",
    "file_differs": "a file was changed: {name}",
    "file_missing": "a file is missing: {name}",
    "file_extra": "a file that isn't listed: {name}",
    "envelopes": "edge {edge}: the signatures hold, alerts: {n}",
    "envelopes_missing": "an incident of which the edge signed nothing: {name}",
    "envelope_broken": "an edge's signature doesn't hold: {name}, number {n}",
    "envelopes_cut": "an edge's signatures can't be checked any more, as they cover pictures that the hub deleted: "
    "{name}, alerts: {n}",
    "edge_unknown": "no public key of the edge {edge}: its signatures can't be checked",
    "clips": "recordings: {n} files are as the edge signed them, to the byte",
    "clip_differs": "a recording isn't the one that the edge signed: {name}",
    "clip_unsigned": "a recording whose hash no edge signed (the incident wasn't over yet, or is incomplete): {name}",
    "clip_absent": "a recording that the edge signed and that isn't in the pack: {name}",
    "pictures": "pictures: {n} are as the edge signed them",
    "picture_differs": "a picture isn't one that the edge signed: {name}",
    "records": "incidents: the data of {n} are as the edge signed them",
    "record_differs": "an incident's data aren't what the edge signed: {name}",
    "record_cut": "an incident's data are of an alert whose signature can't be checked any more; only the hub "
    "vouches for them: {name}",
    "unended": "an incident whose end the edge hadn't told: there may be more of it than is in the pack: {name}",
    "log": "access log: {n} entries, the hash of each holds",
    "log_broken": "access log: the hash of entry {n} doesn't hold",
    "unreadable": "can't be made sense of: {name}",
    "more": "… and {n} more of these",
    "no_zip": "this is no ZIP file",
    "cut_off": "the file is incomplete: its end is missing or was changed",
    "table": "the ZIP's table of contents is damaged, or not one that labelwatch wrote",
    "name": "an unsafe file name, refused: {name}",
    "twice": "a file name that comes twice: {name}",
    "link": "there is a symbolic link in it: {name}",
    "encrypted": "there is an encrypted file in it: {name}",
    "compressed": "there is a compressed file in it (a pack never has any): {name}",
    "overlapping": "files in it lie over each other: {name}",
    "no_manifest": "this is no evidence pack: there is no manifest.json",
    "huge": "{name} is larger than makes sense, and isn't read",
    "manifest": "manifest.json can't be made sense of",
    "newer": "a newer labelwatch wrote this pack: upgrade first",
    "verdict_holds": "In short: all of it holds.",
    "verdict_noted": "In short: all of it holds; {n} to be known besides, see !.",
    "verdict_broken": "In short: {n} things don't hold, see ✗.",
    "verdict_unreadable": "In short: it can't be read as an evidence pack.",
}
TEXTS = {"zh": ZH, "en": EN}


@dataclass(frozen=True, slots=True)
class Finding:
    """Something found: `state` is `holds`, `note` (to be known, nothing wrong) or `broken`; `what` a key of `TEXTS`."""

    state: str
    what: str
    values: dict[str, Any] = field(default_factory=dict)

    def line(self, language: str) -> str:
        """In words."""
        return f"{MARKS[self.state]} {TEXTS[language][self.what].format(**self.shown)}"

    @property
    def shown(self) -> dict[str, Any]:
        """Its values, names from the pack only as far as they can be printed."""
        return {name: _printable(value) for name, value in self.values.items()}


@dataclass(frozen=True, slots=True)
class Report:
    """All that was found; `readable` unless the file is no pack at all."""

    findings: list[Finding]
    readable: bool = True

    @property
    def broken(self) -> list[Finding]:
        """What doesn't hold."""
        return [finding for finding in self.findings if finding.state == BROKEN]

    def lines(self, language: str) -> list[str]:
        """For people, the verdict last."""
        found: list[str] = []
        counts: dict[str, int] = defaultdict(int)
        for finding in self.findings:
            counts[finding.what] += 1
            if counts[finding.what] <= MOST_OF_A_KIND:
                found.append(finding.line(language))
        left_out = sum(max(0, count - MOST_OF_A_KIND) for count in counts.values())
        if left_out:
            found.append(f"  {TEXTS[language]['more'].format(n=left_out)}")
        noted = sum(finding.state == NOTE for finding in self.findings)
        verdict = "broken" if self.broken else "noted" if noted else "holds"
        words = TEXTS[language][f"verdict_{verdict if self.readable else 'unreadable'}"]
        return [*found, words.format(n=len(self.broken) or noted)]

    def record(self) -> dict[str, Any]:
        """For a script."""
        told = [
            {
                **{n: _printable(v) for n, v in f.values.items()},
                "state": f.state,
                "what": f.what,
                "text": f.line("en")[2:],
            }
            for f in self.findings
        ]
        return {"holds": not self.broken, "readable": self.readable, "findings": told}


def verify(path: Path, key: str | None = None) -> Report:
    """Check a pack.

    Args:
        path: Of the file.
        key: Fingerprint that the hub's key must have, hex; any when left out.

    Raises:
        OSError: The file can't be read.
    """
    with path.open("rb") as file:
        return check(file, key)


def check(file: BinaryIO, key: str | None = None) -> Report:
    """Check a pack that is open and can be sought in; see `verify`."""
    try:
        return Report(_Check(file, key).findings)
    except NotAPack as error:
        return Report([Finding(BROKEN, error.why, {"name": error.name})], readable=False)


def fingerprint_from(text: str) -> str:
    """The fingerprint that `--key` names: itself, spaces and colons left out, or a file with it or with a public key.

    Raises:
        ConfigError: It is neither.
    """
    path = Path(text)
    content = text.encode()
    try:
        if path.is_file():
            with path.open("rb") as file:
                content = file.read(64 * 1024)
    except (OSError, ValueError) as error:
        raise ConfigError([Problem("--key", "", f"can't be read: {error}")]) from error
    if key := evidence.read_pem(content):
        return evidence.fingerprint(key)
    plain = re.sub(r"[\s:]", "", content.decode(errors="replace")).lower()
    if not re.fullmatch(r"[0-9a-f]{64}", plain):
        hint = "64 hex digits as on the hand-over sheet, or a file with them or with the public key"
        raise ConfigError([Problem("--key", "", "is no fingerprint and no file with one", hint)])
    return plain


class _Check:
    """One pack while it is checked."""

    def __init__(self, file: BinaryIO, key: str | None) -> None:
        self.findings: list[Finding] = []
        self._file = file
        self._entries = {entry.name: entry for entry in evidence.read_table(file)}
        self._manifest = self._read_manifest()
        self._check_files()
        self._check_container()
        self._check_signature(key)
        self._keys = self._edge_keys()
        self._check_incidents()
        self._check_log()

    # What the pack itself is

    def _read_manifest(self) -> dict[str, Any]:
        if MANIFEST not in self._entries:
            raise NotAPack("no_manifest")
        try:
            fields = json.loads(self._content(MANIFEST))
            if fields["kind"] != evidence.KIND:
                raise NotAPack("no_manifest")
            if fields["schema"] > evidence.SCHEMA:
                raise NotAPack("newer")
            self._listed = {file["name"]: (int(file["size"]), str(file["sha256"])) for file in fields["files"]}
            evidence.dos_time(float(fields["made_at_unix"]))
        except _ODD as error:
            raise NotAPack("manifest") from error
        return dict(fields)

    def _content(self, name: str) -> bytes:
        entry = self._entries[name]
        if entry.size > LARGEST_TEXT:
            raise NotAPack("huge", name)
        return b"".join(evidence.read_content(self._file, entry))

    def _check_files(self) -> None:
        """Each file against the list; fills in what only its content tells."""
        for name, entry in self._entries.items():
            crc, sha256 = 0, hashlib.sha256()
            for chunk in evidence.read_content(self._file, entry):
                crc = zlib.crc32(chunk, crc)
                sha256.update(chunk)
            self._entries[name] = replace(entry, crc=crc, sha256=sha256.hexdigest())
        files = {name: (e.size, e.sha256) for name, e in self._entries.items() if name not in LAST}
        self._good = {name for name, told in files.items() if self._listed.get(name) == told}
        bad = [Finding(BROKEN, "file_missing", {"name": name}) for name in sorted(self._listed.keys() - files.keys())]
        for name in sorted(files.keys() - self._good):
            what = "file_differs" if name in self._listed else "file_extra"
            bad.append(Finding(BROKEN, what, {"name": name}))
        self.findings += bad or [Finding(HOLDS, "files", {"n": len(files)})]

    def _check_container(self) -> None:
        """Write all that lies between the contents once more, and compare."""
        made_at = float(self._manifest["made_at_unix"])
        at, again = 0, []
        for entry in sorted(self._entries.values(), key=lambda entry: evidence.place(entry.name)):
            expected = replace(entry, offset=at)
            if entry.offset != at or not self._stands(at, expected.header(made_at)):
                self.findings.append(Finding(BROKEN, "container_differs", {"at": at}))
                return
            again.append(expected)
            at = expected.content_at + expected.size
        end = evidence.contents(again, made_at, at)
        if not self._stands(at, end) or self._file.read(1):
            self.findings.append(Finding(BROKEN, "container_differs", {"at": at}))
        else:
            self.findings.append(Finding(HOLDS, "container", {"size": at + len(end)}))

    def _stands(self, at: int, expected: bytes) -> bool:
        self._file.seek(at)
        return self._file.read(len(expected)) == expected

    def _check_signature(self, wanted: str | None) -> None:
        key = evidence.read_pem(self._content(HUB_KEY)) if HUB_KEY in self._entries else None
        if key is None:
            self.findings.append(Finding(BROKEN, "hub_key"))
            return
        found = evidence.fingerprint(key)
        shown = {"key": evidence.grouped(found)}
        if SIGNATURE not in self._entries:
            self.findings.append(Finding(BROKEN, "signature_missing"))
        elif not evidence.is_signed(self._content(MANIFEST), self._content(SIGNATURE), key):
            self.findings.append(Finding(BROKEN, "signature_broken"))
        else:
            self.findings.append(Finding(HOLDS, "signature", shown))
        if wanted is None:
            self.findings.append(Finding(NOTE, "key_unknown"))
        else:
            same = wanted == found
            self.findings.append(Finding(HOLDS, "key_known") if same else Finding(BROKEN, "key_other", shown))

    # What edges signed

    def _json(self, name: str) -> Any:
        """A file's JSON; `None` where it isn't as listed (which was told) or can't be made sense of."""
        if name not in self._good:
            return None
        try:
            return json.loads(self._content(name))
        except (ValueError, RecursionError):
            self.findings.append(Finding(BROKEN, "unreadable", {"name": name}))
            return None

    def _edge_keys(self) -> dict[tuple[str, str], list[str]]:
        try:
            told = {
                (edge["site"], edge["edge"]): [edge["public_key"], *edge.get("earlier_keys", ())][:MOST_KEYS]
                for edge in self._json(EDGES) or []
            }
            return {edge: found for edge, keys in told.items() if (found := list(filter(wire.is_public_key, keys)))}
        except _ODD:
            self.findings.append(Finding(BROKEN, "unreadable", {"name": EDGES}))
            return {}

    def _check_incidents(self) -> None:
        totals = _Totals()
        case = self._json(CASE)
        try:
            incidents = [(i["folder"], i["id"], (i["site"], i["edge"])) for i in (case or {})["incidents"]]
            if not all(isinstance(folder, str) for folder, *_ in incidents):
                raise TypeError("a folder is no text")
        except _ODD:
            if case is not None:
                self.findings.append(Finding(BROKEN, "unreadable", {"name": CASE}))
            return
        for folder, incident, edge in incidents:
            try:
                record = self._json(f"{folder}/incident.json")
                signed, cut = _Said(record), _Said(record)
                self._read_signed(folder, incident, edge, signed)
                totals.envelopes["/".join(edge)] += signed.count
                self._check_clips(folder, signed, totals)
                self._check_pictures(folder, signed, totals)
                self._read_cut(folder, incident, edge, cut)
                self._check_record(folder, signed, cut, totals)
                if signed.count + cut.count and not (signed.has_end or cut.has_end):
                    self.findings.append(Finding(NOTE, "unended", {"name": folder}))
            except _ODD:
                self.findings.append(Finding(BROKEN, "unreadable", {"name": folder}))
        self.findings += totals.findings()

    def _lines(self, name: str) -> Iterator[tuple[int, bytes]]:
        """Lines of a file with their numbers, one after the other: of one incident there may be more than memory holds.

        Raises:
            NotAPack: One of them is longer than any file that is read as a whole.
        """
        n, rest = 0, b""
        for chunk in evidence.read_content(self._file, self._entries[name]):
            *whole, rest = (rest + chunk).split(b"\n")
            for line in whole:
                n += 1
                yield n, line
            if len(rest) > LARGEST_TEXT:
                raise NotAPack("huge", name)
        if rest:
            yield n + 1, rest

    def _read_signed(self, folder: str, incident: str, edge: tuple[str, str], said: _Said) -> None:
        """What envelopes of an incident say whose signatures hold."""
        name = f"{folder}/{ENVELOPES}"
        if name not in self._entries:
            self.findings.append(Finding(BROKEN, "envelopes_missing", {"name": folder}))
        if name not in self._good:
            return
        if edge not in self._keys:
            self.findings.append(Finding(BROKEN, "edge_unknown", {"edge": "/".join(edge)}))
            return
        for n, line in self._lines(name):
            try:
                fields = wire.decode(line)
                verify_by_any(fields, self._keys[edge])
                if (fields["site"], fields["edge"], fields["after"]["id"]) != (*edge, incident):
                    raise WireError("of another incident")
            except (WireError, *_ODD):
                self.findings.append(Finding(BROKEN, "envelope_broken", {"name": name, "n": n}))
            else:
                said.add(fields)

    def _read_cut(self, folder: str, incident: str, edge: tuple[str, str], said: _Said) -> None:
        """What envelopes say whose signatures covered a picture that the hub deleted since: it is the hub's word."""
        name = f"{folder}/{WITHOUT_PICTURE}"
        if name not in self._good:
            return
        for n, line in self._lines(name):
            try:
                fields = wire.decode(line)
                if (fields["site"], fields["edge"], fields["after"]["id"]) != (*edge, incident) or picture_in(fields):
                    raise WireError("not what it is said to be")
            except (WireError, *_ODD):
                self.findings.append(Finding(BROKEN, "envelope_broken", {"name": name, "n": n}))
            else:
                said.add(fields)
        if said.count:
            self.findings.append(Finding(NOTE, "envelopes_cut", {"name": name, "n": said.count}))

    def _check_clips(self, folder: str, signed: _Said, totals: _Totals) -> None:
        promised = dict(signed.promised)
        for name, file in self._in(folder):
            if (found := _SEGMENT.fullmatch(file)) is None:
                continue
            hashes = promised.pop((int(found[1]), found[2]), None)
            if hashes is None:
                self.findings.append(Finding(NOTE, "clip_unsigned", {"name": name}))
            elif self._entries[name].sha256 in hashes:
                totals.clips += 1
            else:
                self.findings.append(Finding(BROKEN, "clip_differs", {"name": name}))
        for segment, kind in sorted(promised):
            self.findings.append(Finding(NOTE, "clip_absent", {"name": f"{folder}/segment-{segment:03}.{kind}"}))

    def _check_pictures(self, folder: str, signed: _Said, totals: _Totals) -> None:
        for name, file in self._in(folder):
            if file.startswith("snapshot-"):
                if self._entries[name].sha256 in signed.pictures:
                    totals.pictures += 1
                else:
                    self.findings.append(Finding(BROKEN, "picture_differs", {"name": name}))

    def _check_record(self, folder: str, signed: _Said, cut: _Said, totals: _Totals) -> None:
        name = f"{folder}/incident.json"
        if signed.told is None:
            return
        if signed.has_record:
            totals.records += 1
        elif cut.has_record:
            self.findings.append(Finding(NOTE, "record_cut", {"name": name}))
        else:
            self.findings.append(Finding(BROKEN, "record_differs", {"name": name}))

    def _in(self, folder: str) -> Iterator[tuple[str, str]]:
        """Files of a folder, with their names in it."""
        for name in sorted(self._entries):
            if name.startswith(f"{folder}/"):
                yield name, name.removeprefix(f"{folder}/")

    # Who saw it

    def _check_log(self) -> None:
        from detector.hub.storage.audit_chain import chained

        log = self._json(LOG)
        if log is None:
            return
        try:
            for entry in log["entries"]:
                told = {name: entry[name] for name in ("at", "user", "action", "subject", "details")}
                if chained(entry["hash_before"], told) != entry["hash"]:
                    self.findings.append(Finding(BROKEN, "log_broken", {"n": entry["number"]}))
                    return
            self.findings.append(Finding(HOLDS, "log", {"n": len(log["entries"])}))
        except _ODD:
            self.findings.append(Finding(BROKEN, "unreadable", {"name": LOG}))


@dataclass(slots=True)
class _Said:
    """What envelopes of an incident said of what else is in the pack.

    Attributes:
        told: What `incident.json` has, to be found among them; `None` where it can't be read.
        count: How many they were.
        promised: Hashes of its segments, by number and kind.
        pictures: Hashes of the pictures that came with them.
        has_record: Whether one of them says what `told` does.
        has_end: Whether one of them says that it is over.
    """

    told: dict[str, Any] | None
    count: int = 0
    promised: dict[tuple[int, str], set[str]] = field(default_factory=lambda: defaultdict(set))
    pictures: set[str] = field(default_factory=set)
    has_record: bool = False
    has_end: bool = False

    def add(self, fields: dict[str, Any]) -> None:
        """Take in one of them."""
        self.count += 1
        self.has_end |= fields["phase"] == "end"
        for clip in fields["clips"]:
            for kind, hash_ in _PROMISE.items():
                if isinstance(clip.get(hash_), str):
                    self.promised[int(clip["segment"]), kind].add(clip[hash_])
        if jpeg := picture_in(fields):
            self.pictures.add(hashlib.sha256(jpeg).hexdigest())
        if self.told is not None and self.told["record"] == fields["after"]:
            self.has_record = True


@dataclass(slots=True)
class _Totals:
    """What holds, counted over all incidents."""

    envelopes: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    clips: int = 0
    pictures: int = 0
    records: int = 0

    def findings(self) -> list[Finding]:
        """What is told of it."""
        counts = {"clips": self.clips, "pictures": self.pictures, "records": self.records}
        of_edges = sorted(self.envelopes.items())
        found = [Finding(HOLDS, "envelopes", {"edge": edge, "n": n}) for edge, n in of_edges if n]
        return found + [Finding(HOLDS, what, {"n": n}) for what, n in counts.items() if n]


def _printable(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return "".join(c if c.isprintable() else "�" for c in value)[:300]
