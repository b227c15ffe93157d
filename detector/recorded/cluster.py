"""The door of a Dask cluster: an address and certificates enter, a connection leaves.

Whoever can talk to a Dask scheduler or worker can run programs on it, for what they exchange are pickles. So what
leaves this machine is encrypted, with certificates on both sides, unless somebody says outright that the network is
trusted.
"""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from detector.errors import ClusterError, ConfigError, MissingPart, Problem

if TYPE_CHECKING:
    from distributed import Client

CONNECT_S = 10.0
CONSENT = "--trust-network"


@dataclass(frozen=True, slots=True)
class Access:
    """How to reach a scheduler.

    Attributes:
        address: `tls://HOST:PORT` or `tcp://HOST:PORT`.
        ca: Certificate of the authority that vouches for scheduler and workers; with `tls://` and none of the three
            files, Dask's own configuration names them.
        certificate: Of this machine.
        key: Its private key.
        trusts_network: Plain `tcp://` may leave this machine.

    Raises:
        ConfigError: The address is none, plain and of another machine, or the files aren't all there.
        MissingPart: Dask isn't installed.
    """

    address: str
    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    trusts_network: bool = False

    def __post_init__(self) -> None:
        try:
            parts = urlsplit(self.address)
            known = parts.scheme in ("tcp", "tls") and bool(parts.hostname) and bool(parts.port)
            known = known and not (parts.path or parts.query or parts.fragment or parts.username)
        except ValueError:
            known = False
        if not known:
            raise _wrong("--scheduler", f"{self.address[:120]!r} is no tls://HOST:PORT or tcp://HOST:PORT")
        files = {"--tls-ca": self.ca, "--tls-cert": self.certificate, "--tls-key": self.key}
        given = [name for name, file in files.items() if file is not None]
        if given and parts.scheme == "tcp":
            raise _wrong(given[0], "certificates are for a scheduler at tls://, and this one is at tcp://")
        if given and len(given) < len(files):
            missing = next(name for name in files if name not in given)
            raise _wrong(missing, f"is missing beside {given[0]}")
        self.refuse_exposed([self.address])
        try:
            import distributed  # noqa: F401
        except ImportError as error:
            raise MissingPart("--scheduler needs Dask: .venv/bin/pip install -e '.[scale]'") from error
        self.security()

    def refuse_exposed(self, addresses: Iterable[str]) -> None:
        """Refuse what of a cluster can be reached from other machines without encryption.

        Raises:
            ConfigError: Something can.
        """
        if self.trusts_network:
            return
        for address in addresses:
            parts = urlsplit(address)
            if parts.scheme != "tls" and not _is_loopback(parts.hostname or ""):
                raise ConfigError([
                    Problem(
                        "--scheduler",
                        "",
                        f"{address} is neither encrypted nor of this machine alone: whoever reaches it can run programs"
                        " on the whole cluster, and on this machine",
                        "make certificates with labelwatch certs FOLDER --cluster, and use tls://; on one machine, "
                        f"dask scheduler --host 127.0.0.1; {CONSENT} if nobody else is in that network",
                    )
                ])  # fmt: skip

    def security(self) -> Any:
        """Certificates as Dask takes them; `None` without encryption.

        Raises:
            ConfigError: A file can't be used.
        """
        from distributed import Security

        if not self.address.startswith("tls:"):
            return None
        files = {}
        if self.ca is not None:
            files = {"tls_ca_file": self.ca, "tls_client_cert": self.certificate, "tls_client_key": self.key}
        security = Security(require_encryption=True, **{name: str(file) for name, file in files.items()})
        try:
            context = security.get_connection_args("client")["ssl_context"]
        except OSError as error:  # those of OpenSSL, too, which name no file
            named = ", ".join(map(str, files.values())) or "the files that Dask's configuration names"
            raise _wrong("--tls-ca, --tls-cert, --tls-key", f"{named}: {error.strerror or error}") from error
        if context is None:
            raise _wrong("--tls-ca", "is missing: tls:// needs --tls-ca, --tls-cert and --tls-key")
        return security

    def connect(self) -> Client:
        """Connect to the scheduler.

        Raises:
            ClusterError: It can't be reached, or doesn't let us in.
            ConfigError: It can be reached by others as well, without encryption.
        """
        from distributed import Client

        # What it says of lost connections is said here, in fewer words.
        for name in ("distributed", "distributed.client"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
        try:
            client = Client(self.address, security=self.security(), timeout=CONNECT_S, set_as_default=False)
        except (OSError, ImportError) as error:
            raise ClusterError(f"the scheduler at {self.address} can't be reached: {_reason(error)}") from error
        try:
            self.refuse_exposed([str(client.scheduler_info()["address"])])
        except BaseException:
            client.close()
            raise
        return client


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _reason(error: BaseException) -> str:
    """What lies below: Dask says first that it waited, and then why it failed, unless its waiting was broken off."""
    below: BaseException | None = error
    said = ""
    while below is not None:
        said, below = " ".join(str(below).split()) or said, below.__cause__
    return said[:300] or type(error).__name__


def _wrong(option: str, reason: str) -> ConfigError:
    return ConfigError([Problem("replay", option, reason, "see --help")])
