"""A certificate for the hub's own addresses, so that the owner's phone reaches it in the local network over TLS.

The hub has a small authority of its own. Its certificate may be installed on a phone, and says in its name constraints
(RFC 5280, 4.2.1.10) that it vouches for private addresses and local names only: whoever steals its key can pretend to
be no bank. Certificates of the server last 397 days, the longest that phones accept, and are made anew in time.
"""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from detector.errors import StoreError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

AUTHORITY_LIFE = timedelta(days=3650)
LIFE = timedelta(days=397)
RENEW = timedelta(days=30)
LOCAL_NETWORKS: tuple[Network, ...] = tuple(
    ipaddress.ip_network(text)
    for text in (
        "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "127.0.0.0/8", "fc00::/7", "::1/128",
    )
)  # fmt: skip
LOCAL_NAMES = ("local", "lan", "internal", "home.arpa", "localhost")


@dataclass(frozen=True, slots=True)
class Certificate:
    """Files for a TLS server, and what people need to trust it.

    Attributes:
        chain: The server's certificate, PEM.
        key: Its private key, PEM, mode 0600.
        authority: The authority's certificate, PEM: to be installed on phones, or named as an edge's `hub.ca_file`.
        fingerprint: SHA-256 of the authority's certificate, as phones show it.
    """

    chain: Path
    key: Path
    authority: Path
    fingerprint: str


def local_addresses() -> list[Address]:
    """Addresses of this machine in private networks, the one that leads out first; without the loopback."""
    found: list[str] = []
    # Without a route out, or with a host name that nobody resolves, the other one may still tell.
    with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # sends nothing: only asks which address would be used
        found.append(probe.getsockname()[0])
    with suppress(OSError):
        found += [str(info[4][0]) for info in socket.getaddrinfo(socket.gethostname(), None)]
    addresses = dict.fromkeys(ipaddress.ip_address(text.partition("%")[0]) for text in found)
    return [address for address in addresses if is_local(address) and not address.is_loopback]


def is_local(address: Address) -> bool:
    """Whether an address lies in a private network."""
    return any(address in network for network in LOCAL_NETWORKS if network.version == address.version)


def certificate(folder: Path, addresses: Sequence[Address], now: float) -> Certificate:
    """Have a certificate for these addresses and local names; what is kept in `folder` is used as long as it fits.

    Args:
        folder: Made when missing (mode 0700); holds `ca.crt`, `ca.key`, `server.crt`, `server.key`.
        addresses: Of this machine; the loopback is added.
        now: Unix seconds.

    Raises:
        StoreError: The folder can't be written, or what lies in it can't be read.
    """
    at = datetime.fromtimestamp(now, UTC)
    host = socket.gethostname().lower().strip(".") or "labelwatch"
    wanted = dict.fromkeys([host, f"{host.partition('.')[0]}.local", "localhost"])
    alternatives: list[x509.GeneralName] = [x509.DNSName(name) for name in wanted]
    loopback = (ipaddress.ip_address("127.0.0.1"), ipaddress.ip_address("::1"))
    alternatives += [x509.IPAddress(address) for address in dict.fromkeys((*addresses, *loopback)) if is_local(address)]
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        authority, signer = _authority(folder, host, at)
        chain, key = folder / "server.crt", folder / "server.key"
        if not _fits(chain, key, authority, alternatives, at):
            _write_pair(folder, "server", *_issued(authority, signer, host, alternatives, at))
    except OSError as error:
        raise StoreError(f"no certificate can be kept in {folder}: {error.strerror}") from error
    except ValueError as error:
        hint = "remove the folder to have new ones made, and install the new ca.crt on phones"
        raise StoreError(f"a certificate or key in {folder} can't be read ({error}): {hint}") from error
    print_ = authority.fingerprint(hashes.SHA256()).hex(":").upper()
    return Certificate(chain, key, folder / "ca.crt", print_)


def _authority(folder: Path, host: str, at: datetime) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    certificate_file, key_file = folder / "ca.crt", folder / "ca.key"
    if certificate_file.exists() and key_file.exists():
        held = x509.load_pem_x509_certificate(certificate_file.read_bytes())
        signer = _key_of(held, key_file)
        if signer and held.not_valid_after_utc - at > LIFE and _vouches_for(held, host):
            return held, signer
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"labelwatch on {host}"[:64])])
    permitted: list[x509.GeneralName] = [x509.DNSName(local) for local in dict.fromkeys((host, *LOCAL_NAMES))]
    permitted += [x509.IPAddress(network) for network in LOCAL_NETWORKS]
    builder = (
        _builder(name, name, key.public_key(), at, AUTHORITY_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.NameConstraints(permitted, None), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    made = builder.sign(key, hashes.SHA256())
    _write_pair(folder, "ca", made, key)
    return made, key


def _key_of(held: x509.Certificate, file: Path) -> ec.EllipticCurvePrivateKey | None:
    """The key of a certificate; `None` when it is another's, as after a power cut between the writing of the two."""
    key = serialization.load_pem_private_key(file.read_bytes(), None)
    return key if isinstance(key, ec.EllipticCurvePrivateKey) and key.public_key() == held.public_key() else None


def _vouches_for(authority: x509.Certificate, host: str) -> bool:
    """Whether the machine still has the name that the authority was made for."""
    constraints = authority.extensions.get_extension_for_class(x509.NameConstraints).value
    return x509.DNSName(host) in (constraints.permitted_subtrees or [])


def _fits(
    chain: Path, key: Path, authority: x509.Certificate, alternatives: list[x509.GeneralName], at: datetime
) -> bool:
    """Whether the server's certificate is there, of this authority, for all that is wanted, and good for a while."""
    if not chain.exists() or not key.exists():
        return False
    held = x509.load_pem_x509_certificate(chain.read_bytes())
    names = held.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    is_now = held.not_valid_before_utc <= at and held.not_valid_after_utc - at > RENEW
    ours = held.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    signer = authority.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    is_ours = ours.key_identifier == signer.key_identifier and _key_of(held, key) is not None
    return is_now and is_ours and set(alternatives) <= set(names)


def _issued(
    authority: x509.Certificate,
    signer: ec.EllipticCurvePrivateKey,
    host: str,
    alternatives: list[x509.GeneralName],
    at: datetime,
) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host[:64])])
    signer_id = authority.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    builder = (
        _builder(subject, authority.subject, key.public_key(), at, LIFE)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(signer_id), critical=False)
    )
    return builder.sign(signer, hashes.SHA256()), key


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, at: datetime, life: timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(at - timedelta(days=1))  # a phone's clock may be behind
        .not_valid_after(at - timedelta(days=1) + life)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates, key_cert_sign=signs_certificates, crl_sign=signs_certificates,
        content_commitment=False, key_encipherment=False, data_encipherment=False, key_agreement=False,
        encipher_only=False, decipher_only=False,
    )  # fmt: skip


def _write_pair(folder: Path, name: str, made: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
    """The key first: a certificate whose key is missing would be taken for one that fits."""
    plain = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    for file, content, mode in (
        (folder / f"{name}.key", plain, 0o600),
        (folder / f"{name}.crt", made.public_bytes(serialization.Encoding.PEM), 0o644),
    ):
        growing = file.with_suffix(f"{file.suffix}.new")
        growing.unlink(missing_ok=True)
        with os.fdopen(os.open(growing, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
        growing.replace(file)
