"""A folder comes in; the one certificate that all machines of a Dask cluster share is in it then.

    ca.crt              vouches for it
    node.crt, node.key  for scheduler, workers and whoever gives them work: each is client and server of the others

Whoever has the key can run programs on all of them. So the authority is the cluster's own, for Dask lets in whomever it
vouches for, and its key is thrown away once it has signed: nobody can ever make another certificate.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography.x509.oid import ExtendedKeyUsageOID

from detector.credentials.authority import (
    certificate_pem,
    fits,
    issued,
    load_certificate,
    load_pair,
    new_authority,
    write_pair,
)
from detector.errors import StoreError
from detector.machine.whole_files import write_whole

LIFE = timedelta(days=1096)

WORDS = {
    "en": {
        "made": "Made: {} (good until {}).",
        "kept": "Kept: {} (good until {}).",
        "carry": "Carry the folder to every machine of the cluster, and start there:",
        "drive": "Give it work:",
        "secret": "Whoever has node.key can run programs on all of these machines.",
    },
    "zh": {
        "made": "新签发：{}（有效期至 {}）。",
        "kept": "保留：{}（有效期至 {}）。",
        "carry": "把整个文件夹拷到集群的每台机器上，然后在那里启动：",
        "drive": "分派任务：",
        "secret": "谁拿到 node.key，谁就能在所有这些机器上运行任意程序。",
    },
}


@dataclass(frozen=True, slots=True)
class ClusterCertificate:
    """The certificate in a folder: made just now or kept, and the day on which it ends."""

    folder: Path
    made: bool
    ends: str

    def lines(self, language: str) -> list[str]:
        """For people: what there is now, and how a cluster is started with it."""
        say, folder = WORDS[language], self.folder
        files = f"--tls-ca-file {folder}/ca.crt --tls-cert {folder}/node.crt --tls-key {folder}/node.key"
        ours = f"--tls-ca {folder}/ca.crt --tls-cert {folder}/node.crt --tls-key {folder}/node.key"
        return [
            say["made" if self.made else "kept"].format(folder / "node.crt", self.ends),
            "",
            say["carry"],
            f"  dask scheduler --protocol tls {files}",
            f"  dask worker tls://SCHEDULER:8786 --nworkers -1 --nthreads 1 {files}",
            "",
            say["drive"],
            f"  labelwatch replay … --scheduler tls://SCHEDULER:8786 {ours}",
            "",
            say["secret"],
        ]


def make_cluster_certificate(folder: Path, now: float, renew_days: int) -> ClusterCertificate:
    """Have a certificate in a folder; one that is there and lasts stays.

    Args:
        folder: Made when missing.
        now: Unix seconds.
        renew_days: What ends within so many days is made anew; then all machines need the new one.

    Raises:
        StoreError: The folder can't be written, or something in it can't be read.
    """
    at, folder = datetime.fromtimestamp(now, UTC), folder.absolute()
    try:
        held = load_pair(folder, "node")
        if held and (folder / "ca.crt").exists():
            authority = load_certificate(folder / "ca.crt")
            if fits(held.certificate, authority, at, timedelta(days=renew_days), ()):
                return ClusterCertificate(folder, made=False, ends=f"{held.certificate.not_valid_after_utc:%Y-%m-%d}")
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        signer = new_authority("labelwatch cluster", at, LIFE)
        both = ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH
        made = issued(signer, "labelwatch cluster node", both[0], at, LIFE, also=both[1:])
        write_whole(folder / "ca.crt", certificate_pem(signer.certificate), mode=0o644)
        write_pair(folder, "node", made)
    except OSError as error:
        raise StoreError(f"{error.filename or folder}: {error.strerror}") from error
    except ValueError as error:
        raise StoreError(f"a certificate or key in {folder} can't be read ({error}): delete it") from error
    return ClusterCertificate(folder, made=True, ends=f"{made.certificate.not_valid_after_utc:%Y-%m-%d}")
