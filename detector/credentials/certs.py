"""A folder comes in; an authority, certificates for broker, hub and edges, and a broker's configuration are in it then.

    authority/   ca.key, ca.crt, revoked.crl, issued/SERIAL.crt      stays with whoever runs the broker
    broker/      mosquitto.conf, acl, passwords, ca.crt, server.*, data/
    revoked/     revoked.crl, as the broker reads it
    hub/         ca.crt, client.*
    integrations/     the same, for the hub's link to other systems
    edges/SITE/EDGE/  ca.crt, client.*                  to be carried to that edge

What root makes is given to those who need it, where they have users of their own: `broker` to the broker; all that the
hub reads, issues and revokes by to the hub, which may write nothing that the broker starts with.

Run again it keeps what is there, makes anew what ends soon, and adds what is asked for. Unlike the authority for
phones (`hub.lan`) this one isn't held to local names: nobody installs it, it is named in two configurations only, and
OpenSSL would take the common name `hub` for a host name that such constraints forbid.
"""

from __future__ import annotations

import fcntl
import ipaddress
import os
import pwd
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from detector.clock import iso
from detector.credentials.authority import (
    Pair,
    certificate_pem,
    certified,
    ends_at,
    fits,
    issued,
    load_certificate,
    load_pair,
    new_authority,
    write_pair,
)
from detector.errors import ConfigError, Problem, StoreError
from detector.machine.resources import resource
from detector.machine.whole_files import write_whole
from detector.names import is_name
from detector.values import DAY_S

HUB, INTEGRATIONS = "hub", "integrations"  # user names at the broker, as the ACL has them
AUTHORITY_LIFE = timedelta(days=7300)
LIFE = timedelta(days=1096)  # nobody on the spot renews these, and a lost box is revoked
RENEW_DAYS = 60
PORT = 8883
LONGEST_CN = 64  # X.509's
SHIPPED = "/etc/mosquitto/labelwatch"  # what the shipped configuration names
BROKER_USER = "mosquitto"  # mosquitto becomes this user when root starts it
HUB_USER = "labelwatch-hub"  # systemd runs the hub as this user (configs/systemd)
LISTED = "revoked"
BEFORE = ".before"
LABEL = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)")
ALWAYS = ("localhost", "127.0.0.1", "::1")


@dataclass(slots=True)
class Made:
    """What was done to a folder; `made` and `kept` name certificates, `ending` those that somebody has to see to.

    `edges` are boxes to which files are to be carried: those asked for, and those whose certificate was made anew.
    `aside` are files of the broker that were otherwise, by somebody's own lines or an older version: see `.before`.
    """

    folder: Path
    host: str
    edges: list[tuple[str, str]] = field(default_factory=list)
    made: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    ending: list[tuple[str, str]] = field(default_factory=list)
    aside: list[Path] = field(default_factory=list)

    def lines(self, language: str) -> list[str]:
        """For people: what there is now, and what goes into which file."""
        say = WORDS[language]
        folder = self.folder
        told = [say["made"].format(", ".join(self.made))] if self.made else []
        told += [say["kept"].format(", ".join(self.kept))] if self.kept else []
        told += [say["ending"].format(name, day) for name, day in self.ending]
        told += [say["aside"].format(file, BEFORE) for file in self.aside]
        told += ["", say["broker"], f"  mosquitto -c {folder / 'broker' / 'mosquitto.conf'}", "", say["hub"]]
        told += [f"  {_broker_line(self.host, folder / HUB)}", f"  certs_dir: {folder}"]
        for site, edge in self.edges:
            carried = folder / "edges" / site / edge
            told += ["", say["edge"].format(f"{site}/{edge}", carried)]
            told += [f"  {_broker_line(self.host, Path())}", f"  site: {site}", f"  edge: {edge}"]
        return [*told, "", say["secret"].format(folder / "authority")]


WORDS = {
    "en": {
        "made": "Made: {}.",
        "kept": "Kept: {}.",
        "ending": "Ends soon: {}, on {}. Its box must join again, or run this with --edge and carry the files there.",
        "aside": "{0} was otherwise and is made anew: put lines of your own back from {0}{1}, then restart the broker.",
        "broker": "Start the broker:",
        "hub": "Two lines for hub.yaml:",
        "edge": "For edge {}: carry all of {} to it, beside its site.yaml, and write there:",
        "left": "The certificate {} ends in {} days: renew it (labelwatch certs, or join again).",
        "over": "The certificate {} has ended: the broker lets nobody in with it (labelwatch certs, or join again).",
        "revoked": "{} is let in no more (certificates revoked: {}).",
        "already": "{} has no certificate that isn't revoked already.",
        "unknown": "{} has never had a certificate of this folder: is the name right?",
        "reload": "Restart the broker now: it reads the list then, and lets go of whoever is connected.",
        "secret": "Whoever has {} can make himself any edge: keep it on this machine, and in your backup.",
    },
    "zh": {
        "made": "新签发：{}。",
        "kept": "保留：{}。",
        "ending": "即将到期：{}（{}）。请让该设备重新加入，或用 --edge 再运行一次并把文件拷过去。",
        "aside": "{0} 与本版本的不同，已重新生成：自己加的内容请从 {0}{1} 补回，再重启消息服务器。",
        "broker": "启动消息服务器：",
        "hub": "hub.yaml 里写这两行：",
        "edge": "边缘设备 {}：把 {} 里的文件全部拷到它的 site.yaml 旁边，并写上：",
        "left": "证书 {} 还有 {} 天到期：请续签（labelwatch certs，或让设备重新加入）。",
        "over": "证书 {} 已过期，消息服务器不再放行（请运行 labelwatch certs，或让设备重新加入）。",
        "revoked": "已禁止 {} 接入（吊销证书 {} 张）。",
        "already": "{} 没有尚未吊销的证书。",
        "unknown": "{} 从未有过本文件夹签发的证书：名称写对了吗？",
        "reload": "请现在重启消息服务器：重启后名单才生效，已连接的也会断开。",
        "secret": "谁拿到 {}，谁就能冒充任何设备：只放在这台机器和备份里。",
    },
}


def _broker_line(host: str, folder: Path) -> str:
    files = {"ca_file": "ca.crt", "cert_file": "client.crt", "key_file": "client.key"}
    paths = ", ".join(f"{name}: {folder / file}" for name, file in files.items())
    told = f'"{host}"' if ":" in host else host
    return f"broker: {{host: {told}, port: {PORT}, {paths}}}"


def make_certificates(
    folder: Path, hosts: Sequence[str], edges: Sequence[str], now: float, renew_days: int = RENEW_DAYS
) -> Made:
    """Have all certificates and the broker's configuration in a folder; what is there and fits stays.

    Args:
        folder: Made when missing.
        hosts: Names and addresses that the broker is reached by; the first is told to hub and edges. Those of an
            earlier run stay.
        edges: As SITE/EDGE. Those of an earlier run stay, and are made anew in time.
        now: Unix seconds.
        renew_days: What ends within so many days is made anew.

    Raises:
        ConfigError: A host or edge is none.
        StoreError: The folder can't be written, or something in it is missing or can't be read.
    """
    asked = [_edge(text) for text in edges]
    names = _general_names([*hosts, *ALWAYS])
    at, renew = datetime.fromtimestamp(now, UTC), timedelta(days=renew_days)
    folder = folder.absolute()
    broker = folder / "broker"
    with _named_errors(folder):
        names = _with_earlier(broker / "server.crt", names)
    if not hosts and len(names) <= len(ALWAYS):
        raise _wrong("--host", "", "is missing: name what the broker is reached by")
    with _named_errors(folder), _found_by_services(), _locked(folder, make=True):
        authority = _authority(folder, at, make=True)
        for one in (broker, broker / "data", folder / LISTED, folder / HUB, folder / INTEGRATIONS):
            one.mkdir(mode=0o755, exist_ok=True)
        _write_crl(folder, authority, at, _revoked(folder))
        report = Made(folder, hosts[0] if hosts else _first_host(names))
        use = ExtendedKeyUsageOID.SERVER_AUTH
        _have(report, authority, broker, "server", "server", use, at, renew, names)
        for name in (HUB, INTEGRATIONS):
            _have(report, authority, folder / name, "client", name, ExtendedKeyUsageOID.CLIENT_AUTH, at, renew)
        for site, edge in dict.fromkeys([*_carried(folder), *asked]):
            place = folder / "edges" / site / edge
            place.mkdir(mode=0o700, parents=True, exist_ok=True)
            name = f"{site}/{edge}"
            _have(report, authority, place, "client", name, ExtendedKeyUsageOID.CLIENT_AUTH, at, renew)
            if (site, edge) in asked or name in report.made:
                report.edges.append((site, edge))
        report.aside = _write_broker(folder)
        _give_to_hub(folder)
        report.ending = [
            (name, iso(end)[:10]) for name, end in _boxes_end_at(folder).items() if end - now <= renew_days * DAY_S
        ]
    return report


def sign_edge(folder: Path, site: str, edge: str, csr_pem: str, now: float | None = None) -> str:
    """A certificate, PEM, for the key of an edge that asks by a certificate signing request.

    What the request says of names is passed over: the edge is who the caller says it is.

    Raises:
        ConfigError: Site or edge is no name, or the two are too long together, or the request is none of an EC P-256
            key that signed it.
        StoreError: There is no authority in the folder, or it can't be read or written.
    """
    try:
        request = x509.load_pem_x509_csr(csr_pem.encode())
        key = request.public_key()
        is_signed = request.is_signature_valid
    except Exception as error:  # malformed ASN.1 has errors of many kinds
        raise _wrong("certificate signing request", "", "can't be read") from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1) or not is_signed:
        raise _wrong("certificate signing request", "", "is none of an EC P-256 key that signed it")
    name = _common_name(site, edge)
    at = datetime.now(UTC) if now is None else datetime.fromtimestamp(now, UTC)
    with _named_errors(folder), _locked(folder):
        made = certified(_authority(folder, at, make=False), key, name, ExtendedKeyUsageOID.CLIENT_AUTH, at, LIFE)
        _note(folder, made)
    return certificate_pem(made).decode()


def revoke_edge(folder: Path, site: str, edge: str, now: float | None = None) -> int | None:
    """Put every certificate of an edge on the list that the broker reads.

    Returns:
        How many were not on it yet; `None` where the edge never had one.

    The broker reads it when it starts, and on SIGHUP; a connection that stands ends with the broker only.

    Raises:
        ConfigError: Site or edge is no name.
        StoreError: As `sign_edge`.
    """
    name = _common_name(site, edge)
    at = datetime.now(UTC) if now is None else datetime.fromtimestamp(now, UTC)
    with _named_errors(folder), _locked(folder):
        authority = _authority(folder, at, make=False)
        revoked = _revoked(folder)
        held = {certificate.serial_number for certificate in _issued(folder) if _name(certificate) == name}
        serials = held - revoked.keys()
        _write_crl(folder, authority, at, {**revoked, **dict.fromkeys(serials, at)})
        return len(serials) if held else None


def revoke_named(folder: Path, edges: Sequence[str], language: str) -> tuple[list[str], bool]:
    """Revoke edges, as SITE/EDGE.

    Returns:
        Lines for people, and whether each edge had a certificate: a name that never did may be mistyped.

    Raises:
        ConfigError: One is none; then nothing was revoked.
        StoreError: As `sign_edge`.
    """
    say = WORDS[language]
    asked = [_edge(text) for text in edges]
    numbers = [revoke_edge(folder, site, edge) for site, edge in asked]
    told = [
        say["unknown" if number is None else "revoked" if number else "already"].format(f"{site}/{edge}", number)
        for (site, edge), number in zip(asked, numbers, strict=True)
    ]
    return [*told, say["reload"]] if any(numbers) else told, None not in numbers


def authority_pem(folder: Path) -> str:
    """The authority's certificate, PEM: an edge's `broker.ca_file`.

    Raises:
        StoreError: There is none.
    """
    with _named_errors(folder):
        return certificate_pem(load_certificate(folder / "authority" / "ca.crt")).decode()


def boxes_end_at(folder: Path) -> dict[str, float]:
    """When the newest certificate of each box, SITE/EDGE, that isn't shut out ends, Unix seconds.

    Raises:
        StoreError: The folder can't be read.
    """
    with _named_errors(folder):
        return _boxes_end_at(folder)


def of_another_version(folder: Path) -> list[Path]:
    """Files that the broker starts with and that lack what this version writes there; lines added below may be.

    Raises:
        StoreError: One can't be read, as by the hub's own user.
    """
    with _named_errors(folder):
        there = {folder / "broker" / name: shipped for name, shipped in _shipped(folder.absolute()).items()}
        return [file for file, shipped in there.items() if file.exists() and not file.read_bytes().startswith(shipped)]


def notices(files: Iterable[Path], now: float, language: str) -> list[str]:
    """For whoever reads a configuration: which certificates that it names end soon, or can't be read; a line each."""
    say, told = WORDS[language], []
    for file in files:
        try:
            left_days = (ends_at(file) - now) / DAY_S
        except StoreError as error:
            told.append(str(error))
            continue
        if left_days <= RENEW_DAYS:
            told.append(say["over" if left_days <= 0 else "left"].format(file, int(left_days)))
    return told


# ---- names


def _edge(text: str) -> tuple[str, str]:
    site, slash, edge = text.partition("/")
    if not slash:
        raise _wrong("edge", text, "is not SITE/EDGE")
    _common_name(site, edge)
    return site, edge


def _common_name(site: str, edge: str) -> str:
    """The user name of an edge at the broker; with another slash in it, it would reach another's topics."""
    for name in (site, edge):
        if not is_name(name):
            raise _wrong("edge", f"{site}/{edge}"[:140], "is no site and edge that a configuration may give")
    if len(site) + 1 + len(edge) > LONGEST_CN:
        raise _wrong("edge", f"{site}/{edge}", f"is longer than the {LONGEST_CN} characters that a certificate takes")
    return f"{site}/{edge}"


def _general_names(hosts: Sequence[str]) -> list[x509.GeneralName]:
    names: list[x509.GeneralName] = []
    for host in dict.fromkeys(hosts):
        try:
            names.append(x509.IPAddress(ipaddress.ip_address(host)))
        except ValueError:
            if len(host) > 253 or not all(map(LABEL.fullmatch, host.split("."))):
                raise _wrong("host", host[:260], "is neither a host's name nor an address") from None
            names.append(x509.DNSName(host.lower()))
    return names


def _with_earlier(file: Path, names: list[x509.GeneralName]) -> list[x509.GeneralName]:
    """With the names of the certificate that is there: hubs and edges may go by them."""
    if not file.exists():
        return names
    held = load_certificate(file).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return list(dict.fromkeys([*names, *held]))


def _first_host(names: Sequence[x509.GeneralName]) -> str:
    told = (str(name.value) for name in names)
    return next(name for name in told if name not in ALWAYS)


def _wrong(what: str, text: str, reason: str) -> ConfigError:
    return ConfigError([Problem("certs", what, f"{text!r} {reason}" if text else reason, "see --help")])


# ---- files


@contextmanager
def _named_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreError(f"{error.filename or folder}: {error.strerror}") from error
    except ValueError as error:
        raise StoreError(
            f"a certificate or key in {folder} can't be read ({error}): bring it back from a backup"
        ) from error


@contextmanager
def _found_by_services() -> Iterator[None]:
    """Broker and hub, users of their own, must get to what root makes; what is secret has a mode that lets nobody."""
    former = os.umask(0o022)
    try:
        yield
    finally:
        os.umask(former)


@contextmanager
def _locked(folder: Path, *, make: bool = False) -> Iterator[None]:
    """One process at a time: the hub enrols while somebody runs the command."""
    if make:
        (folder / "authority").mkdir(mode=0o700, parents=True, exist_ok=True)
    elif not (folder / "authority").is_dir():
        raise StoreError(f"there is no authority in {folder}: run labelwatch certs {folder} first")
    with (folder / "authority" / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _authority(folder: Path, at: datetime, *, make: bool) -> Pair:
    home = folder / "authority"
    held = load_pair(home, "ca")
    if held is not None:
        return held
    # The key is written first: alone, it is what a power cut left of the very first run.
    if (home / "ca.crt").exists() or any((home / "issued").glob("*.crt")):
        raise StoreError(f"{home} has lost its ca.key or ca.crt: bring both back from a backup, or take a new folder")
    if not make:
        raise StoreError(f"there is no authority in {folder}: run labelwatch certs {folder} first")
    made = new_authority("labelwatch broker", at, AUTHORITY_LIFE)
    write_pair(home, "ca", made)
    return made


def _have(
    report: Made,
    authority: Pair,
    place: Path,
    file: str,
    name: str,
    use: x509.ObjectIdentifier,
    at: datetime,
    renew: timedelta,
    names: Sequence[x509.GeneralName] = (),
) -> None:
    """Have a pair of this name in a place, with the authority's certificate beside it."""
    write_whole(place / "ca.crt", certificate_pem(authority.certificate), mode=0o644)
    held = load_pair(place, file)
    good = held and fits(held.certificate, authority.certificate, at, renew, names) and _name(held.certificate) == name
    if held and good and held.certificate.serial_number not in _revoked(report.folder):
        report.kept.append(name)
        return
    made = issued(authority, name, use, at, LIFE, names)
    _note(report.folder, made.certificate)
    write_pair(place, file, made)
    report.made.append(name)


def _carried(folder: Path) -> Iterator[tuple[str, str]]:
    """Edges whose files lie here, to be renewed; not those that were revoked, which come back only when asked for."""
    revoked = _revoked(folder)
    for file in sorted((folder / "edges").glob("*/*/client.crt")):
        if load_certificate(file).serial_number not in revoked:
            yield file.parts[-3], file.parts[-2]


def _note(folder: Path, made: x509.Certificate) -> None:
    """Remember what was issued, before anybody has it: only what is known can be revoked."""
    home = folder / "authority" / "issued"
    home.mkdir(mode=0o700, exist_ok=True)
    write_whole(home / f"{made.serial_number:x}.crt", certificate_pem(made), mode=0o600)


def _issued(folder: Path) -> Iterator[x509.Certificate]:
    for file in sorted((folder / "authority" / "issued").glob("*.crt")):
        yield load_certificate(file)


def _boxes_end_at(folder: Path) -> dict[str, float]:
    revoked = _revoked(folder)
    held = [(one.not_valid_after_utc, _name(one)) for one in _issued(folder) if one.serial_number not in revoked]
    return {name: end.timestamp() for end, name in sorted(held) if "/" in name}


def _name(held: x509.Certificate) -> str:
    names = held.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[0].value) if names else ""


def _revoked(folder: Path) -> dict[int, datetime]:
    file = folder / "authority" / "revoked.crl"
    if not file.exists():
        if any((folder / "authority" / "issued").glob("*.crt")):
            raise StoreError(f"{file} is gone, so nobody knows who was revoked: bring it back from a backup")
        return {}
    return {one.serial_number: one.revocation_date_utc for one in x509.load_pem_x509_crl(file.read_bytes())}


def _write_crl(folder: Path, authority: Pair, at: datetime, revoked: dict[int, datetime]) -> None:
    """The list is good as long as the authority: one that had ended would shut everybody out."""
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(authority.certificate.subject)
        .last_update(at - timedelta(days=1))
        .next_update(authority.certificate.not_valid_after_utc)
    )
    for serial, since in revoked.items():
        one = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(since).build()
        builder = builder.add_revoked_certificate(one)
    made = builder.sign(authority.key, hashes.SHA256())
    (folder / LISTED).mkdir(mode=0o755, exist_ok=True)
    older = folder / "broker" / "revoked.crl"  # read by a broker's configuration of before
    for file in (*(folder / place / "revoked.crl" for place in ("authority", LISTED)), *([older] * older.exists())):
        # The hub writes it too, with the umask of its unit; the broker, another user, doesn't start without reading it.
        write_whole(file, made.public_bytes(serialization.Encoding.PEM), mode=0o644, whatever_umask=True)


def _shipped(folder: Path) -> dict[str, bytes]:
    """The broker's configuration and rights as this version has them, with this folder's paths."""
    text = resource("configs", "mosquitto", "labelwatch.conf").read_text(encoding="utf-8").replace(SHIPPED, str(folder))
    return {"mosquitto.conf": text.encode(), "acl": resource("configs", "mosquitto", "acl").read_bytes()}


def _write_broker(folder: Path) -> list[Path]:
    """The shipped configuration with this folder's paths; passwords that are there stay.

    Returns:
        Files that were otherwise; as they were they stand beside it.
    """
    broker, shipped, aside = folder / "broker", _shipped(folder), []
    user = _user(BROKER_USER) or _user("root")
    if user is not None:
        told = f"\n# It was root who made this folder: this user owns what the broker reads.\nuser {user.pw_name}\n"
        shipped["mosquitto.conf"] += told.encode()
    for name, mode in (("mosquitto.conf", 0o644), ("acl", 0o600)):
        file, content = broker / name, shipped[name]
        if file.exists() and (former := file.read_bytes()) != content:
            write_whole(file.with_name(file.name + BEFORE), former, mode=mode)
            aside.append(file)
        write_whole(file, content, mode=mode)
    (broker / "passwords").touch(0o600)
    if user is not None:
        # mosquitto will refuse files of another group than its own.
        for one in ("", "data", "acl", "passwords", "server.key", "server.crt", "ca.crt", "mosquitto.conf"):
            os.chown(broker / one, user.pw_uid, user.pw_gid)
    (broker / "revoked.crl").unlink(missing_ok=True)
    return aside


def _give_to_hub(folder: Path) -> None:
    """Let the hub's own user read, issue and revoke, where there is one."""
    if (user := _user(HUB_USER)) is not None:
        for place in ("authority", LISTED, HUB, INTEGRATIONS):
            for one in (folder / place, *(folder / place).rglob("*")):
                os.chown(one, user.pw_uid, user.pw_gid, follow_symlinks=False)  # a link that the hub put there, alone


def _user(name: str) -> pwd.struct_passwd | None:
    """Of this machine, where root runs this and can give files away; `None` elsewhere, or where there is none."""
    with suppress(KeyError):
        return pwd.getpwnam(name) if os.geteuid() == 0 else None
    return None
