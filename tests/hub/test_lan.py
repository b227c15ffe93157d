"""A phone in the same network reaches the hub over TLS, and trusts it for nothing else."""

from __future__ import annotations

import ipaddress
import re
import signal
import ssl
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import ExtendedKeyUsageOID

from detector.alerts.uploads import trust_in
from detector.config import Broker, HubConfig
from detector.credentials.authority import issued, write_pair
from detector.errors import LabelwatchError, StoreError
from detector.hub import lan
from detector.hub.lan import Certificate, certificate
from detector.hub.server import Hub
from detector.values import DAY_S
from tests.builders import SteppedClock
from tests.conftest import part_missing
from tests.hub.conftest import CHEAP, NOON, make_hub
from tests.hub.test_server import REPOSITORY, free_port

HOME = [ipaddress.ip_address("192.168.1.20")]


@pytest.fixture
def hub(tmp_path: Path) -> Any:
    hub = make_hub(HubConfig(data_dir=tmp_path, broker=Broker(port=free_port())), lan=True)
    hub.start()
    yield hub
    hub.stop()


def loopback(hub: Hub) -> str:
    return re.sub(r"//[^:/]+:", "//127.0.0.1:", hub.url)


def test_who_trusts_the_authority_reaches_the_hub_over_tls(hub: Hub) -> None:
    assert hub.url.startswith("https://") and hub.certificate
    trusting = ssl.create_default_context(cafile=hub.certificate.authority)
    with httpx.Client(base_url=loopback(hub), verify=trusting) as client:
        assert client.get("healthz").status_code == 200
        assert hub.certificate.fingerprint in client.get("certificate").text
        served = x509.load_pem_x509_certificate(client.get("labelwatch-ca.crt").content)
        assert served.fingerprint(hashes.SHA256()).hex(":").upper() == hub.certificate.fingerprint
        origin = loopback(hub).rstrip("/")
        answer = client.post("login", data=hub.first_login, headers={"Origin": origin})
        assert (
            answer.headers["set-cookie"].startswith("__Host-labelwatch=") and "Secure" in answer.headers["set-cookie"]
        )


def test_who_does_not_trust_it_is_warned(hub: Hub) -> None:
    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        httpx.get(loopback(hub) + "healthz")


def test_clips_of_edges_find_their_way_with_the_authority_named(hub: Hub, tmp_path: Path) -> None:
    assert hub.certificate
    url = loopback(hub)
    context = trust_in(url, hub.certificate.authority)
    assert httpx.get(url + "healthz", verify=context).status_code == 200
    (tmp_path / "not.crt").write_text("no certificate")
    for file in (tmp_path / "not.crt", tmp_path / "missing.crt"):
        with pytest.raises(LabelwatchError, match=r"hub\.ca_file"):
            trust_in(url, file)


def test_a_certificate_is_kept_until_it_no_longer_fits(tmp_path: Path) -> None:
    first = certificate(tmp_path, HOME, NOON)
    held, key = first.chain.read_bytes(), first.key.read_bytes()
    assert certificate(tmp_path, HOME, NOON + 30 * DAY_S).chain.read_bytes() == held
    moved = certificate(tmp_path, [ipaddress.ip_address("10.0.0.7")], NOON)
    assert moved.chain.read_bytes() != held and moved.key.read_bytes() != key
    assert moved.fingerprint == first.fingerprint, "phones need to install it once only"
    late = certificate(tmp_path, HOME, NOON + 380 * DAY_S)
    valid_until = x509.load_pem_x509_certificate(late.chain.read_bytes()).not_valid_after_utc
    assert valid_until > datetime.fromtimestamp(NOON + 380 * DAY_S, UTC) + timedelta(days=300)
    assert late.fingerprint == first.fingerprint


def test_a_hub_that_runs_for_a_year_shows_a_newer_certificate_before_its_own_ends(tmp_path: Path) -> None:
    clock = SteppedClock(NOON)
    config = HubConfig(data_dir=tmp_path, broker=Broker(port=free_port()))
    hub = Hub(config, port=0, lan=True, clock=clock, hasher=CHEAP)
    hub.start()
    try:
        place = ("127.0.0.1", urlsplit(hub.url).port or 0)
        shown = []
        for days in (0, 360, 8):  # of 397
            clock.at += days * DAY_S
            hub._renew(clock.at)
            shown.append(x509.load_pem_x509_certificate(ssl.get_server_certificate(place).encode()))
        assert shown[0] == shown[1]
        assert shown[2].not_valid_after_utc > datetime.fromtimestamp(clock.at, UTC) + timedelta(days=390)
        assert shown[2].issuer == shown[0].issuer
    finally:
        hub.stop()


def test_an_authority_that_runs_out_is_made_anew_before_it_does(tmp_path: Path) -> None:
    first = certificate(tmp_path, HOME, NOON)
    assert certificate(tmp_path, HOME, NOON + 3600 * DAY_S).fingerprint != first.fingerprint


def test_a_power_cut_between_key_and_certificate_leaves_a_pair_that_fits(tmp_path: Path) -> None:
    certificate(tmp_path, HOME, NOON)
    other = certificate(tmp_path / "other", HOME, NOON)
    (tmp_path / "server.key").write_bytes(other.key.read_bytes())
    mended = certificate(tmp_path, HOME, NOON)
    ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(mended.chain, mended.key)


def test_rubbish_in_the_folder_is_one_clear_error(tmp_path: Path) -> None:
    certificate(tmp_path, HOME, NOON)
    (tmp_path / "ca.crt").write_text("rubbish")
    with pytest.raises(StoreError, match="remove the folder"):
        certificate(tmp_path, HOME, NOON)


def test_private_keys_are_for_their_owner_alone(tmp_path: Path) -> None:
    made = certificate(tmp_path, HOME, NOON)
    assert [file.stat().st_mode & 0o777 for file in (made.key, tmp_path / "ca.key")] == [0o600, 0o600]


@pytest.mark.parametrize("name", ["www.example.com", "8.8.8.8"])
def test_the_authority_can_vouch_for_no_web_site(tmp_path: Path, name: str) -> None:
    made = certificate(tmp_path, HOME, NOON)
    now = datetime.fromtimestamp(NOON, UTC)
    signer = lan._authority(tmp_path, "box", now)
    alternative: x509.GeneralName = x509.IPAddress(ipaddress.ip_address(name)) if name[0] == "8" else x509.DNSName(name)
    forged = issued(signer, "box", ExtendedKeyUsageOID.SERVER_AUTH, datetime.now(UTC), lan.LIFE, [alternative])
    write_pair(tmp_path, "forged", forged)
    answer = subprocess.run(
        ["openssl", "verify", "-CAfile", made.authority.with_name("ca.crt"), tmp_path / "forged.crt"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert answer.returncode != 0 and "permitted subtree violation" in answer.stderr


def assert_trusted(made: Certificate, address: str) -> None:
    """Have OpenSSL say that who trusts the authority trusts the server at an address."""
    command = ["openssl", "verify", "-CAfile", made.authority, "-attime", f"{NOON:.0f}", "-verify_ip", address]
    verified = subprocess.run([*command, made.chain], capture_output=True, text=True, check=False)
    assert verified.stdout.endswith("OK\n"), verified.stderr


def test_a_certificate_made_anew_under_another_name_of_the_machine_is_trusted_still(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "hub")
    made = certificate(tmp_path, HOME, NOON)
    monkeypatch.setattr("socket.gethostname", lambda: "dhcp-17.office.example")
    assert lan.renew(made, [ipaddress.ip_address("192.168.1.21")], NOON)
    assert not lan.renew(made, [ipaddress.ip_address("192.168.1.21")], NOON + 600)
    assert_trusted(made, "192.168.1.21")


def test_who_trusts_the_hub_trusts_it_still_once_its_machine_was_renamed_and_started_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "hub")
    made = certificate(tmp_path, HOME, NOON)
    monkeypatch.setattr("socket.gethostname", lambda: "dhcp-17.office.example")
    again = certificate(tmp_path, HOME, NOON)
    assert again.fingerprint == made.fingerprint
    assert_trusted(again, str(HOME[0]))


ISOLATED = """
import fcntl, socket, struct
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:  # SIOCSIFADDR
    given = struct.pack("16sHH4s8x", b"lo", socket.AF_INET, 0, socket.inet_aton("192.168.77.2"))
    fcntl.ioctl(asked, 0x8916, given)
from detector.hub.lan import local_addresses
print(*local_addresses())
"""


def test_an_address_in_a_network_that_leads_nowhere_is_known() -> None:
    alone = ["unshare", "--map-root-user", "--net"]
    if subprocess.run([*alone, "true"], capture_output=True, check=False).returncode:
        part_missing("unshare, or the right to a network of one's own,", "util-linux")
    command = [*alone, sys.executable, "-c", ISOLATED]
    found = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert "192.168.77.2" in found.stdout.split()


def test_public_addresses_are_left_out(tmp_path: Path) -> None:
    made = certificate(tmp_path, [ipaddress.ip_address("8.8.8.8"), *HOME], NOON)
    names = x509.load_pem_x509_certificate(made.chain.read_bytes()).extensions.get_extension_for_class(
        x509.SubjectAlternativeName
    )
    held = names.value.get_values_for_type(x509.IPAddress)
    assert HOME[0] in held and ipaddress.ip_address("8.8.8.8") not in held


def test_the_command_shows_address_qr_code_and_fingerprint(tmp_path: Path) -> None:
    config = tmp_path / "hub.yaml"
    config.write_text(f"data_dir: data\nbroker: {{port: {free_port()}}}\n")
    command = [sys.executable, "-m", "detector", "hub", config, "--lan", "--port", "0"]
    process = subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout
    lines = []
    for line in process.stdout:
        lines.append(line)
        if line.startswith("first login"):
            break
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    said = "".join(lines)
    assert re.match(r"labelwatch hub: https://[\d.]+:\d+/\n", said) and "certificate: SHA-256 " in said
    assert sum("█" in line or "▄" in line for line in lines) > 10


def test_a_hub_without_tls_has_no_certificate_to_show(site: Any) -> None:
    assert site.client.get("/certificate").status_code == 404
    assert site.client.get("/labelwatch-ca.crt").status_code == 404
