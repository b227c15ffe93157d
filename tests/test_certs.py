"""One folder with all certificates of a broker: made once, kept, renewed in time, and never half."""

from __future__ import annotations

import base64
import json
import os
import pwd
import shutil
import subprocess
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from detector.cli import main
from detector.clock import iso
from detector.config import Broker, Camera, EdgeConfig, HubLink, load_edge, load_either, load_hub
from detector.credentials import certs
from detector.credentials.authority import ends_at, first_end, load_certificate
from detector.credentials.certs import (
    LIFE,
    RENEW_DAYS,
    authority_pem,
    make_certificates,
    notices,
    revoke_edge,
    revoke_named,
    sign_edge,
)
from detector.edge.health import certificate_told
from detector.errors import ConfigError, StoreError
from detector.hub.lan import certificate
from detector.tools import doctor
from detector.values import DAY_S
from tests.conftest import REPOSITORY, part_missing
from tests.parts_systemd import settings

NOON = 1_793_505_600.0
SOON = NOON + LIFE.total_seconds() - (RENEW_DAYS - 1) * DAY_S


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_certificates(tmp_path / "certs", ["broker.lan", "10.0.0.9"], ["north/box-1"], NOON)
    return tmp_path / "certs"


def files_of(folder: Path, user: int) -> list[Path]:
    return [file for file in folder.rglob("*") if file.stat().st_uid == user]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def verified(folder: Path, file: Path | str, at: float = NOON) -> str:
    """What OpenSSL says of a certificate, the list of those revoked looked at."""
    told = subprocess.run(
        ["openssl", "verify", "-attime", str(int(at)), "-crl_check", "-CRLfile", folder / "revoked" / "revoked.crl",
         "-CAfile", folder / "broker" / "ca.crt", folder / file], capture_output=True, text=True, check=False,
    )  # fmt: skip
    return told.stdout + told.stderr


def request(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey, name: str = "hub") -> str:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    made = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    return made.public_bytes(serialization.Encoding.PEM).decode()


ASKED = request(ec.generate_private_key(ec.SECP256R1()))


@pytest.mark.skipif(os.geteuid() != 0, reason="files are given away by root alone")
def test_what_the_broker_reads_is_of_its_user_and_its_group(folder: Path) -> None:
    try:
        broker = pwd.getpwnam("mosquitto")
    except KeyError:
        part_missing("mosquitto", "mosquitto")
    owners = {(file.stat().st_uid, file.stat().st_gid) for file in (folder / "broker").rglob("*")}
    assert owners == {(broker.pw_uid, broker.pw_gid)}


@pytest.mark.skipif(os.geteuid() != 0, reason="files are given away by root alone")
def test_what_the_hub_reads_and_issues_by_is_its_user_s_and_nothing_that_the_broker_starts_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(certs, "HUB_USER", "nobody")
    user = pwd.getpwnam("nobody").pw_uid
    for _ in range(2):  # also what is renewed
        make_certificates(tmp_path / "certs", ["broker.lan"], ["north/box-1"], NOON, renew_days=2000)
        theirs = {file.relative_to(tmp_path / "certs").parts[0] for file in files_of(tmp_path / "certs", user)}
        assert theirs == {"authority", "hub", "integrations", "revoked"}
        assert len(files_of(tmp_path / "certs", user)) == len(
            [file for place in theirs for file in (tmp_path / "certs" / place).rglob("*")]
        ) + len(theirs)


@pytest.mark.skipif(os.geteuid() != 0, reason="files are given away by root alone")
def test_what_a_link_in_the_hub_s_folder_points_to_is_not_given_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(certs, "HUB_USER", "nobody")
    (shadow := tmp_path / "shadow").touch()
    make_certificates(tmp_path / "certs", ["broker.lan"], [], NOON)
    (tmp_path / "certs" / "authority" / "mine").symlink_to(shadow)
    make_certificates(tmp_path / "certs", ["broker.lan"], [], NOON)
    assert shadow.stat().st_uid == 0


def test_a_broker_that_reads_the_list_in_its_own_folder_is_still_told(folder: Path) -> None:
    shutil.copy(folder / "revoked" / "revoked.crl", folder / "broker" / "revoked.crl")  # as it was made before
    assert revoke_edge(folder, "north", "box-1", NOON) == 1
    assert (folder / "broker" / "revoked.crl").read_bytes() == (folder / "revoked" / "revoked.crl").read_bytes()
    make_certificates(folder, [], [], NOON)
    assert not (folder / "broker" / "revoked.crl").exists()
    assert f"crlfile {folder}/revoked/revoked.crl" in (folder / "broker" / "mosquitto.conf").read_text()


def test_rights_that_somebody_added_are_set_aside_and_told(folder: Path) -> None:
    acl = folder / "broker" / "acl"
    shipped = acl.read_text()
    acl.write_text(own := shipped + "\nuser warehouse\ntopic read labelwatch/+/+/alerts\n")
    report = make_certificates(folder, [], [], NOON)
    assert (acl.read_text(), acl.with_name("acl.before").read_text()) == (shipped, own)
    for language in ("en", "zh"):
        assert any("acl.before" in line for line in report.lines(language))
    assert make_certificates(folder, [], [], NOON).aside == []
    assert acl.with_name("acl.before").read_text() == own, "it stays until it is needed no more"


def test_the_doctor_says_that_certs_is_to_be_run_again_after_an_update_until_it_was(
    folder: Path, tmp_path: Path
) -> None:
    def told() -> list[str]:
        return [str(finding) for finding in doctor.rights(load_either(tmp_path / "hub.yaml"))]

    (tmp_path / "hub.yaml").write_text("certs_dir: certs\n")
    acl = folder / "broker" / "acl"
    acl.write_text(acl.read_text() + "\nuser warehouse\ntopic read labelwatch/+/+/alerts\n")
    assert told() == [], "what somebody adds is his own"
    acl.write_text(acl.read_text().replace("topic read labelwatch/+/+/census\n", ""))  # as an older one has it
    (finding,) = told()
    assert f"{acl} isn't as this version writes it" in finding and f"labelwatch certs {folder} again" in finding
    make_certificates(folder, [], [], NOON)
    assert told() == []
    acl.unlink()
    acl.mkdir()
    assert "can't be told" in told()[0]


def test_every_certificate_is_the_authority_s_and_private_keys_are_for_their_owner_alone(folder: Path) -> None:
    for file in ("broker/server.crt", "hub/client.crt", "integrations/client.crt", "edges/north/box-1/client.crt"):
        assert verified(folder, file).rstrip().endswith(": OK")
        assert (folder / file).with_name("ca.crt").read_text() == authority_pem(folder)
    assert {file.stat().st_mode & 0o777 for file in folder.rglob("*.key")} == {0o600}
    assert (folder / "authority").stat().st_mode & 0o777 == 0o700
    names = load_certificate(folder / "broker" / "server.crt").extensions
    told = names.get_extension_for_class(x509.SubjectAlternativeName).value
    assert {str(one.value) for one in told} == {"broker.lan", "10.0.0.9", "localhost", "127.0.0.1", "::1"}


def test_again_it_keeps_all_that_is_there(folder: Path) -> None:
    (folder / "broker" / "passwords").write_text("north/box-2:hash")
    before = contents(folder)
    report = make_certificates(folder, [], [], NOON + DAY_S)
    after = contents(folder)
    assert report.made == []
    assert {name for name in before if before[name] != after.get(name)} == {
        "authority/revoked.crl",
        "revoked/revoked.crl",
    }
    assert report.host in ("broker.lan", "10.0.0.9")


def test_another_host_or_edge_is_added_to_those_there_are(folder: Path) -> None:
    before = contents(folder)
    report = make_certificates(folder, ["mqtt.example.com"], ["south/box-9"], NOON + DAY_S)
    after = contents(folder)
    assert report.made == ["server", "south/box-9"]
    assert before["edges/north/box-1/client.crt"] == after["edges/north/box-1/client.crt"]
    told = load_certificate(folder / "broker" / "server.crt").extensions
    names = told.get_extension_for_class(x509.SubjectAlternativeName).value
    assert {"broker.lan", "mqtt.example.com"} <= set(names.get_values_for_type(x509.DNSName))


def test_what_ends_soon_is_made_anew_and_what_can_not_be_is_told(folder: Path) -> None:
    sign_edge(folder, "north", "joined", ASKED, NOON)
    report = make_certificates(folder, [], [], SOON)
    assert report.made == ["server", "hub", "integrations", "north/box-1"]
    assert [name for name, _ in report.ending] == ["north/joined"]
    assert verified(folder, "edges/north/box-1/client.crt", SOON + 100 * DAY_S).rstrip().endswith(": OK")
    assert make_certificates(folder, [], [], NOON + DAY_S, renew_days=2000).made == report.made


@pytest.mark.parametrize(
    ("language", "words"), [("en", "For edge north/box-1: carry"), ("zh", "边缘设备 north/box-1：把")]
)
def test_that_a_box_s_renewed_certificate_is_to_be_carried_there_is_told(
    folder: Path, language: str, words: str
) -> None:
    for at, is_told in ((SOON, True), (SOON + DAY_S, False)):
        lines = make_certificates(folder, [], [], at).lines(language)
        assert any(line.startswith(words) for line in lines) == is_told


def test_services_get_to_what_is_made_under_a_umask_that_shuts_others_out_and_to_no_key(tmp_path: Path) -> None:
    former = os.umask(0o027)
    try:
        make_certificates(tmp_path / "new" / "certs", ["broker.lan"], ["north/box-1"], NOON)
        assert os.umask(0o027) == 0o027, "what the program makes next is shut again"
    finally:
        os.umask(former)
    made = {file.relative_to(tmp_path): file.stat().st_mode & 0o777 for file in (tmp_path / "new").rglob("*")}
    folders = ("new/certs", "new/certs/broker", "new/certs/revoked", "new/certs/hub")
    assert [made[Path(folder)] for folder in folders] == [0o755] * 4
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o755
    assert made[Path("new/certs/authority")] == made[Path("new/certs/edges/north/box-1")] == 0o700
    assert {mode for file, mode in made.items() if file.suffix == ".key" or file.name == "passwords"} == {0o600}


def test_the_broker_can_read_the_list_that_the_hub_s_service_has_written(folder: Path) -> None:
    unit = settings(REPOSITORY / "configs" / "systemd" / "labelwatch-hub.service")
    former = os.umask(int(unit["UMask"][0], 8))
    try:
        assert revoke_edge(folder, "north", "box-1", NOON) == 1
    finally:
        os.umask(former)
    assert (folder / "revoked" / "revoked.crl").stat().st_mode & 0o777 == 0o644


def test_who_is_revoked_comes_back_only_when_asked_for(folder: Path, tmp_path: Path) -> None:
    place = Path("edges/north/box-1/client.crt")
    (tmp_path / "second.crt").write_text(sign_edge(folder, "north", "box-1", ASKED, NOON))
    assert revoke_edge(folder, "north", "box-1", NOON) == 2
    assert revoke_edge(folder, "north", "box-1", NOON) == 0
    for file in (folder / place, tmp_path / "second.crt"):
        assert "certificate revoked" in verified(folder, file)
    assert make_certificates(folder, [], [], NOON).made == []
    assert "certificate revoked" in verified(folder, place)
    assert make_certificates(folder, [], ["north/box-1"], NOON).made == ["north/box-1"]
    assert verified(folder, place).rstrip().endswith(": OK")
    assert verified(folder, "hub/client.crt", NOON + 3000 * DAY_S).count("CRL has expired") == 0


def test_options_that_are_given_twice_count_together(tmp_path: Path) -> None:
    folder = str(tmp_path / "certs")
    hosts = ["--host", "broker.lan", "--host", "10.0.0.9"]
    assert main(["certs", folder, *hosts, "--edge", "north/box-1", "--edge", "north/box-2", "north/box-3"]) == 0
    assert main(["certs", folder, "--revoke", "north/box-1", "--revoke", "north/box-2"]) == 0
    for box, is_revoked in (("box-1", True), ("box-2", True), ("box-3", False)):
        said = verified(tmp_path / "certs", Path(f"edges/north/{box}/client.crt"))
        assert ("certificate revoked" in said) == is_revoked


def test_an_edge_s_own_key_is_signed_for_the_edge_that_the_caller_names(folder: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    made = x509.load_pem_x509_certificate(sign_edge(folder, "north", "box-7", request(key), NOON).encode())
    assert made.public_key() == key.public_key()
    assert made.subject.rfc4514_string() == "CN=north/box-7"
    assert revoke_edge(folder, "north", "box-7", NOON) == 1


@pytest.mark.parametrize(
    "csr",
    ["", "rubbish", "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n", "\0", "\ud800",
     lambda: request(rsa.generate_private_key(65537, 2048)), lambda: request(ec.generate_private_key(ec.SECP384R1()))],
    ids=["nothing", "rubbish", "short", "nul", "surrogate", "rsa", "p384"],
)  # fmt: skip
def test_another_request_is_one_clear_error(folder: Path, csr: str | Callable[[], str]) -> None:
    with pytest.raises(ConfigError, match="certificate signing request"):
        sign_edge(folder, "north", "box-7", csr if isinstance(csr, str) else csr())


def test_a_request_that_its_key_did_not_sign_is_refused(folder: Path) -> None:
    made = bytearray(x509.load_pem_x509_csr(request(ec.generate_private_key(ec.SECP256R1())).encode()).public_bytes(
        serialization.Encoding.DER))  # fmt: skip
    made[-1] ^= 1
    text = base64.encodebytes(bytes(made)).decode()
    with pytest.raises(ConfigError):
        sign_edge(
            folder, "north", "b", f"-----BEGIN CERTIFICATE REQUEST-----\n{text}-----END CERTIFICATE REQUEST-----\n"
        )


@pytest.mark.parametrize(
    "edge",
    ["", "north", "/", "north/", "/box", "north/box-1/cmd", "north/+", "#/x", "a b/c", "../x", "north/..", "n\0/x",
     "北/x", f"{'a' * 32}/{'b' * 32}", f"{'a' * 65}/b", "north/box\n"],
)  # fmt: skip
def test_a_name_that_could_reach_another_s_topics_gets_no_certificate(folder: Path, edge: str) -> None:
    before = contents(folder)
    site, _, name = edge.partition("/")
    for ask in (
        lambda: make_certificates(folder, [], ["north/fine", edge], NOON),
        lambda: sign_edge(folder, site, name, ASKED),
        lambda: revoke_edge(folder, site, name),
        lambda: revoke_named(folder, ["north/box-1", edge], "en"),
    ):
        with pytest.raises(ConfigError):
            ask()
    assert contents(folder) == before


@pytest.mark.parametrize(
    "host", ["", "a b", "*", "*.lan", "-a", "http://x", "x:8883", "a..b", "a" * 64, "北.lan", "x/y"]
)
def test_what_is_no_host_is_refused_before_anything_is_made(tmp_path: Path, host: str) -> None:
    with pytest.raises(ConfigError):
        make_certificates(tmp_path / "new", [host], [], NOON)
    assert not (tmp_path / "new").exists()


def test_a_power_cut_at_any_file_is_mended_by_the_next_run_or_told(tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    make_certificates(whole, ["broker.lan"], ["north/box-1"], NOON)
    for name in contents(whole):
        torn = tmp_path / "torn"
        shutil.copytree(whole, torn)
        (torn / name).unlink()
        if name in ("authority/ca.key", "authority/ca.crt", "authority/revoked.crl"):
            with pytest.raises(StoreError, match="from a backup"):
                make_certificates(torn, ["broker.lan"], ["north/box-1"], NOON)
        else:
            make_certificates(torn, ["broker.lan"], ["north/box-1"], NOON)
            for file in ("broker/server.crt", "edges/north/box-1/client.crt"):
                assert verified(torn, file).rstrip().endswith(": OK"), name
        shutil.rmtree(torn)


def test_the_very_first_run_may_be_cut_off_after_the_authority_s_key(tmp_path: Path) -> None:
    (tmp_path / "new" / "authority").mkdir(parents=True)
    (tmp_path / "new" / "authority" / "ca.key").write_text("half")
    assert make_certificates(tmp_path / "new", ["broker.lan"], [], NOON).made == ["server", "hub", "integrations"]


@pytest.mark.parametrize("name", ["authority/ca.crt", "authority/ca.key", "broker/server.crt", "authority/revoked.crl"])
def test_rubbish_in_the_folder_is_one_clear_error(folder: Path, name: str) -> None:
    (folder / name).write_bytes(b"rubbish")
    with pytest.raises(StoreError, match="can't be read"):
        make_certificates(folder, [], ["north/box-1"], NOON)


def test_a_folder_that_can_not_be_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError):
        make_certificates(tmp_path / "file" / "x", ["broker.lan"], [], NOON)
    none = tmp_path / "none"
    for ask in (lambda: sign_edge(none, "a", "b", ASKED), lambda: revoke_edge(none, "a", "b")):
        with pytest.raises(StoreError, match="labelwatch certs"):
            ask()
    with pytest.raises(StoreError):
        authority_pem(tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_an_edge_tells_when_the_first_certificate_ends_that_it_needs(folder: Path, tmp_path: Path) -> None:
    own, authority, other = folder / "hub" / "client.crt", folder / "hub" / "ca.crt", tmp_path / "lan.crt"
    shutil.copy(certificate(tmp_path / "lan", [], NOON).authority, other)
    ends = {file: ends_at(file) for file in (own, authority, other)}
    assert ends[own] < ends[other] and ends[authority] != ends[other]

    def told(broker: Broker, hub: HubLink | None = None) -> dict[str, float]:
        cameras = [Camera(name="gate", source="x.mp4")]
        return certificate_told(
            EdgeConfig(site="north", edge="box-1", cameras=cameras, broker=broker, hub=hub or HubLink())
        )

    assert told(Broker(ca_file=authority, cert_file=own), HubLink(ca_file=other)) == {
        "certificate_ends_at_unix": ends[own]
    }
    both = min(ends[authority], ends[other])
    assert told(Broker(ca_file=authority), HubLink(ca_file=other)) == {"certificate_ends_at_unix": both}
    assert told(Broker(ca_file=tmp_path / "none")) == told(Broker()) == {}


def test_a_certificate_that_can_not_be_read_is_logged_once_and_not_with_every_health_message(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    gone = tmp_path / "gone.crt"
    assert [first_end([gone]) for _ in range(3)] == [None] * 3
    assert len([record for record in caplog.records if str(gone) in record.message]) == 1


def test_when_a_certificate_ends(folder: Path, tmp_path: Path) -> None:
    ends = datetime.fromtimestamp(NOON, UTC) - timedelta(days=1) + LIFE
    assert ends_at(folder / "hub" / "client.crt") == ends.timestamp()
    (tmp_path / "rubbish").write_text("x")
    for file in (tmp_path / "rubbish", tmp_path / "none"):
        with pytest.raises(StoreError):
            ends_at(file)


def test_whoever_reads_a_configuration_is_told_what_ends_soon(folder: Path, tmp_path: Path) -> None:
    file = folder / "hub" / "client.crt"
    assert notices([file], NOON, "en") == []
    assert "ends in 58 days" in notices([file], SOON, "en")[0]
    assert "还有 58 天" in notices([file], SOON, "zh")[0]
    assert "has ended" in notices([file], NOON + 1200 * DAY_S, "en")[0]
    assert "can't be read" in notices([tmp_path / "none"], NOON, "en")[0]


def test_checking_a_configuration_tells_what_ends_soon(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made_at = time.time() - LIFE.total_seconds() + 9 * DAY_S
    make_certificates(tmp_path, ["broker.lan"], [], made_at)
    files = "ca_file: hub/ca.crt, cert_file: hub/client.crt, key_file: hub/client.key"
    (tmp_path / "hub.yaml").write_text(f"port: 8080\ncerts_dir: .\nbroker: {{{files}}}")
    assert main(["check", str(tmp_path / "hub.yaml")]) == 0
    told = capsys.readouterr()
    assert told.out.endswith("hub.yaml: fine\n")
    assert [line.split(" ends")[0].rpartition("/")[2] for line in told.err.splitlines()] == ["server.crt", "client.crt"]


def test_doctor_tells_which_certificates_end_soon_and_what_to_do(folder: Path) -> None:
    files = "ca_file: {0}/ca.crt, cert_file: {0}/client.crt, key_file: {0}/client.key"
    (folder / "hub.yaml").write_text(f"certs_dir: .\nbroker: {{{files.format('hub')}}}")
    box = f"broker: {{{files.format('edges/north/box-1')}}}"
    (folder / "box.yaml").write_text(f"site: north\nedge: box-1\ncameras: [{{name: c, source: x.mp4}}]\n{box}")

    def told(file: str, at: float) -> list[tuple[str, str, str]]:
        found = doctor.certificates(load_either(folder / file), at)
        rows = [(one.state, f"{one.what} {one.told}", one.hint.split(" (")[0]) for one in found]
        return [(state, words.replace(f"{folder}/", "").split(" ", 1)[1], hint) for state, words, hint in rows]

    day = iso(ends_at(folder / "hub" / "client.crt"))[:10]
    anew, join = f"run labelwatch certs {folder} again, then restart broker and hub", "let this box join its hub again"
    again = "let it join again, where it is still in service"
    assert told("hub.yaml", NOON) == [("fine", f"broker/server.crt ends first, on {day}", "")]
    assert told("box.yaml", NOON) == [("fine", f"edges/north/box-1/client.crt ends first, on {day}", "")]
    assert told("hub.yaml", SOON) == [
        ("note", f"broker/server.crt ends on {day}, in 58 days", anew),
        ("note", f"hub/client.crt ends on {day}, in 58 days", anew),
        ("note", f"of box north/box-1 ends on {day}, in 58 days", again),
    ]
    assert told("box.yaml", SOON) == [("note", f"edges/north/box-1/client.crt ends on {day}, in 58 days", join)]
    late = [(state, words) for state, words, _ in told("hub.yaml", NOON + 1200 * DAY_S)]
    assert late == [
        ("bad", f"broker/server.crt ended on {day}"),
        ("bad", f"hub/client.crt ended on {day}"),
        ("note", f"of box north/box-1 ended on {day}"),
    ]
    # What doctor says helps, and who was shut out is missed by nobody.
    revoke_named(folder, ["north/box-1"], "en")
    make_certificates(folder, [], [], SOON)
    assert [state for state, *_ in told("hub.yaml", SOON)] == ["fine"]
    (folder / "hub" / "client.crt").unlink()
    assert [state for state, *_ in told("hub.yaml", SOON)] == ["bad", "fine"]


def test_doctor_looks_at_the_certificates_and_the_disk_of_a_configuration(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "hub.yaml").write_text("certs_dir: .\ndata_dir: none/yet")
    (folder / "broker" / "server.crt").write_text("nonsense")
    assert main(["doctor", "--json", "--config", str(folder / "hub.yaml")]) == 1
    found = {one["what"]: one for one in json.loads(capsys.readouterr().out)}
    assert found[f"certificate {folder / 'broker' / 'server.crt'}"]["state"] == "bad"
    assert str(folder) in found["disk"]["told"]


def test_the_command_tells_what_to_write_where(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "certs"
    assert main(["certs", str(folder), "--host", "10.0.0.9", "--edge", "north/box-1", "--language", "en"]) == 0
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    hub = [line for line in lines if line.startswith(("broker:", "certs_dir:"))]
    (tmp_path / "hub.yaml").write_text("\n".join([hub[0], hub[1]]))
    broker = load_hub(tmp_path / "hub.yaml").broker
    assert (broker.host, broker.port) == ("10.0.0.9", 8883)
    assert all(file and file.exists() for file in (broker.ca_file, broker.cert_file, broker.key_file))
    edge = lines[next(n for n, line in enumerate(lines) if line.startswith("For edge")) + 1 :][:3]
    written = yaml.safe_load("\n".join(edge)) | {"cameras": [{"name": "gate", "source": "x.mp4"}]}
    place = folder / "edges" / "north" / "box-1"
    (place / "site.yaml").write_text(yaml.safe_dump(written))
    read = load_edge(place / "site.yaml")
    assert (read.site, read.edge) == ("north", "box-1")
    assert read.broker.cert_file is not None
    assert read.broker.cert_file.read_bytes() == (place / "client.crt").read_bytes()
    assert main(["certs", str(folder), "--revoke", "north/box-1", "--language", "zh"]) == 0
    assert "重启" in capsys.readouterr().out
    assert main(["certs", str(folder), "--revoke", "north/box-1", "--language", "en"]) == 0
    assert "no certificate" in capsys.readouterr().out
    assert main(["certs", str(folder), "--revoke", "north/bxo-1", "--language", "en"]) == 1
    assert "is the name right" in capsys.readouterr().out
    assert main(["certs", str(tmp_path / "none"), "--revoke", "north/box-1"]) == 2
    assert main(["certs", str(tmp_path / "none"), "--host", "a b"]) == 2


@pytest.mark.parametrize(
    ("first", "then"), [(["--host", "10.0.0.2"], ["--cluster"]), (["--cluster"], ["--host", "10.0.0.2"])]
)
def test_a_broker_s_keys_and_a_cluster_s_never_share_a_folder(
    first: list[str], then: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "certs"
    assert main(["certs", str(folder), *first]) == 0
    before = sorted(folder.rglob("*"))
    capsys.readouterr()
    assert main(["certs", str(folder), *then]) == 2
    told = capsys.readouterr()
    assert "name another folder" in told.err
    assert not told.out
    assert sorted(folder.rglob("*")) == before
