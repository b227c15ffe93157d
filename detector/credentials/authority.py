"""A certificate authority of our own: its folder comes in, certificates signed by it leave.

Keys are EC P-256, PEM, mode 0600. A pair of files is written key first, and each file is whole or not there.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from detector.errors import StoreError
from detector.machine.whole_files import write_whole

logger = logging.getLogger(__name__)

Names = Sequence[x509.GeneralName]
Use = x509.ObjectIdentifier


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its private key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def new_authority(name: str, at: datetime, life: timedelta, permitted: Names = ()) -> Pair:
    """An authority that signs itself.

    Args:
        name: For people, 64 characters at most.
        at: Now.
        life: How long it is good.
        permitted: Names that it may vouch for (RFC 5280, 4.2.1.10); any, when there are none.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _named(name)
    builder = (
        _builder(subject, subject, key.public_key(), at, life)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    if permitted:
        builder = builder.add_extension(x509.NameConstraints(list(permitted), None), critical=True)
    return Pair(builder.sign(key, hashes.SHA256()), key)


def issued(
    authority: Pair,
    name: str,
    use: Use,
    at: datetime,
    life: timedelta,
    alternatives: Names = (),
    also: Sequence[Use] = (),
) -> Pair:
    """A certificate for a key made just now.

    Args:
        authority: Signs it.
        name: Its common name, 64 characters at most.
        use: `ExtendedKeyUsageOID.SERVER_AUTH` or `CLIENT_AUTH`; it is good for nothing else.
        at: Now.
        life: How long it is good.
        alternatives: Names and addresses that a server goes by.
        also: What else it is good for.

    Raises:
        ValueError: The name is too long, or empty.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    return Pair(certified(authority, key.public_key(), name, use, at, life, alternatives, also), key)


def certified(
    authority: Pair,
    key: ec.EllipticCurvePublicKey,
    name: str,
    use: Use,
    at: datetime,
    life: timedelta,
    alternatives: Names = (),
    also: Sequence[Use] = (),
) -> x509.Certificate:
    """As `issued`, for somebody else's key."""
    signer_id = authority.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    builder = (
        _builder(_named(name), authority.certificate.subject, key, at, life)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([use, *also]), critical=False)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(signer_id), critical=False)
    )
    if alternatives:
        builder = builder.add_extension(x509.SubjectAlternativeName(list(alternatives)), critical=False)
    return builder.sign(authority.key, hashes.SHA256())


def load_certificate(file: Path) -> x509.Certificate:
    """A certificate.

    Raises:
        OSError: The file can't be read.
        ValueError: It holds none.
    """
    return x509.load_pem_x509_certificate(file.read_bytes())


def made_out_to(file: Path) -> str:
    """The common name of a certificate; empty where it has none or can't be read."""
    try:
        names = load_certificate(file).subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    except (OSError, ValueError):
        return ""
    return str(names[0].value) if names else ""


def ends_at(file: Path) -> float:
    """When a certificate ends, Unix seconds.

    Raises:
        StoreError: The file holds none.
    """
    try:
        return load_certificate(file).not_valid_after_utc.timestamp()
    except OSError as error:
        raise StoreError(f"the certificate {file} can't be read: {error.strerror}") from error
    except ValueError as error:
        raise StoreError(f"{file} holds no certificate") from error


def first_end(files: Iterable[Path]) -> float | None:
    """When the first of some certificates ends, Unix seconds; what can't be read is left to the log."""
    ends = []
    for file in files:
        try:
            ends.append(ends_at(file))
        except StoreError as error:
            _log_once(str(error))
    return min(ends, default=None)


@cache
def _log_once(trouble: str) -> None:
    """An edge asks with every health message."""
    logger.warning("%s", trouble)


def load_pair(folder: Path, name: str) -> Pair | None:
    """The certificate and key `NAME.crt` and `NAME.key`.

    `None` where one is missing, or the key is another's, as after a power cut between the writing of the two.

    Raises:
        OSError: A file can't be read.
        ValueError: A file holds something else.
    """
    certificate_file, key_file = folder / f"{name}.crt", folder / f"{name}.key"
    if not certificate_file.exists() or not key_file.exists():
        return None
    held = load_certificate(certificate_file)
    key = serialization.load_pem_private_key(key_file.read_bytes(), None)
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != held.public_key():
        return None
    return Pair(held, key)


def fits(held: x509.Certificate, authority: x509.Certificate, at: datetime, renew: timedelta, names: Names) -> bool:
    """Whether a certificate is this authority's, for all these names, and good for longer than `renew`."""
    try:
        told: x509.SubjectAlternativeName | tuple[()] = held.extensions.get_extension_for_class(
            x509.SubjectAlternativeName
        ).value
    except x509.ExtensionNotFound:
        told = ()
    is_now = held.not_valid_before_utc <= at and held.not_valid_after_utc - at > renew
    ours = held.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    signer = authority.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return is_now and ours.key_identifier == signer.key_identifier and set(names) <= set(told)


def key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """A private key as PEM, not encrypted."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def certificate_pem(certificate: x509.Certificate) -> bytes:
    """A certificate as PEM."""
    return certificate.public_bytes(serialization.Encoding.PEM)


def write_pair(folder: Path, name: str, pair: Pair) -> None:
    """The key first: a certificate whose key is missing would be taken for one that fits.

    Raises:
        OSError: They can't be written.
    """
    write_whole(folder / f"{name}.key", key_pem(pair.key), mode=0o600)
    write_whole(folder / f"{name}.crt", certificate_pem(pair.certificate), mode=0o644)


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, at: datetime, life: timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(at - timedelta(days=1))  # the other side's clock may be behind
        .not_valid_after(at - timedelta(days=1) + life)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates, key_cert_sign=signs_certificates, crl_sign=signs_certificates,
        content_commitment=False, key_encipherment=False, data_encipherment=False, key_agreement=False,
        encipher_only=False, decipher_only=False,
    )  # fmt: skip
