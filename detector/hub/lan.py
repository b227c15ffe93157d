"""A certificate for the hub's own addresses, so that the owner's phone reaches it in the local network over TLS.

The hub has a small authority of its own. Its certificate may be installed on a phone, and says in its name constraints
(RFC 5280, 4.2.1.10) that it vouches for private addresses and local names only: whoever steals its key can pretend to
be no bank. Certificates of the server last 397 days, the longest that phones accept, and are made anew in time.
"""

from __future__ import annotations

import fcntl
import ipaddress
import socket
import struct
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import ExtendedKeyUsageOID

from detector.credentials.authority import Pair, fits, issued, load_pair, new_authority, write_pair
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
SIOCGIFADDR = 0x8915  # of Linux; others know no such question
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
    """Addresses of this machine in private networks, the one that leads out first; without the loopback.

    A network that leads nowhere, as that of the cameras, counts like any other, be it the only one.
    """
    found: list[str] = []
    # Without a route out, or with a host name that nobody resolves, another one may still tell.
    with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # sends nothing: only asks which address would be used
        found.append(probe.getsockname()[0])
    with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        for _, name in socket.if_nameindex():
            with suppress(OSError):  # it has none
                told = fcntl.ioctl(asked, SIOCGIFADDR, struct.pack("256s", name.encode()))
                found.append(socket.inet_ntoa(told[20:24]))
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
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        signer = _authority(folder, _host(), at)
        _have(folder, signer, addresses, at)
    except OSError as error:
        raise StoreError(f"no certificate can be kept in {folder}: {error.strerror}") from error
    except ValueError as error:
        hint = "remove the folder to have new ones made, and install the new ca.crt on phones"
        raise StoreError(f"a certificate or key in {folder} can't be read ({error}): {hint}") from error
    print_ = signer.certificate.fingerprint(hashes.SHA256()).hex(":").upper()
    return Certificate(folder / "server.crt", folder / "server.key", folder / "ca.crt", print_)


def renew(held: Certificate, addresses: Sequence[Address], now: float) -> bool:
    """Make the certificate of a server that runs anew where it ends soon, or lacks an address; whether that was so.

    The authority stays until the hub starts again: people were shown it.

    Raises:
        OSError: A file can't be read or written.
        ValueError: A file holds something else.
    """
    folder = held.chain.parent
    signer = load_pair(folder, "ca")
    return signer is not None and _have(folder, signer, addresses, datetime.fromtimestamp(now, UTC))


def _have(folder: Path, signer: Pair, addresses: Sequence[Address], at: datetime) -> bool:
    """Have a certificate of the server; whether it was made anew."""
    host = _host()
    # One name that the authority may not vouch for would spoil all others: the machine may be called otherwise by now.
    own = [host] if _vouches_for(signer.certificate, host) else []
    wanted = dict.fromkeys([*own, f"{host.partition('.')[0]}.local", "localhost"])
    alternatives: list[x509.GeneralName] = [x509.DNSName(name) for name in wanted]
    loopback = (ipaddress.ip_address("127.0.0.1"), ipaddress.ip_address("::1"))
    alternatives += [x509.IPAddress(address) for address in dict.fromkeys((*addresses, *loopback)) if is_local(address)]
    held = load_pair(folder, "server")
    if held and fits(held.certificate, signer.certificate, at, RENEW, alternatives):
        return False
    write_pair(folder, "server", issued(signer, host[:64], ExtendedKeyUsageOID.SERVER_AUTH, at, LIFE, alternatives))
    return True


def _host() -> str:
    return socket.gethostname().lower().strip(".") or "labelwatch"


def _authority(folder: Path, host: str, at: datetime) -> Pair:
    held = load_pair(folder, "ca")
    # Whatever the machine is called by now: phones and edges know this one, and would believe none of another.
    if held and held.certificate.not_valid_after_utc - at > LIFE:
        return held
    permitted: list[x509.GeneralName] = [x509.DNSName(local) for local in dict.fromkeys((host, *LOCAL_NAMES))]
    permitted += [x509.IPAddress(network) for network in LOCAL_NETWORKS]
    made = new_authority(f"labelwatch on {host}"[:64], at, AUTHORITY_LIFE, permitted)
    write_pair(folder, "ca", made)
    return made


def _vouches_for(authority: x509.Certificate, host: str) -> bool:
    """Whether the machine still has the name that the authority was made for."""
    constraints = authority.extensions.get_extension_for_class(x509.NameConstraints).value
    return x509.DNSName(host) in (constraints.permitted_subtrees or [])
