"""A code that a hub shows enters; this edge box has joined when the call returns: keys pinned, certificates in place.

What goes over the wire, and why a man in between gains nothing, is in `codes`. Since the code vouches for both ends,
the server's own certificate is checked only where somebody names the authority for it: a hub with `--lan` has one that
no box knows yet, and hands it out here.

    data_dir/hub.pub                         the hub's key
    data_dir/hub-ca.crt                      vouches for the hub's web server, where it has an authority of its own
    data_dir/mqtt.key, mqtt.crt, mqtt-ca.crt for the broker, where the hub gives certificates out
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from detector import wire
from detector.alerts.identity import FILE_NAME, load_identity
from detector.alerts.rotation import NEXT_NAME
from detector.alerts.trust import FILE as HUB_KEY
from detector.alerts.trust import pinned
from detector.clock import Clock, iso
from detector.config import Broker, EdgeConfig, HubLink
from detector.config.edge import CERTIFICATE
from detector.credentials.codes import LARGEST_ANSWER, derived, fingerprint, join_request, parse_code, read_join_answer
from detector.credentials.keys import load_key
from detector.credentials.tls import trusting
from detector.errors import ConfigError, LabelwatchError, Problem, StoreError, WireError
from detector.machine.whole_files import finish_together, write_together
from detector.version import VERSION

TIMEOUT_S = 20.0
JOINING = f"{FILE_NAME}.joining"  # a new key until the hub knows it
HUB_CA, KEY, BROKER_CA = "hub-ca.crt", "mqtt.key", "mqtt-ca.crt"
LOOPBACK = ("localhost", "127.0.0.1", "::1", "0.0.0.0")  # noqa: S104  (compared with, not bound to)

WHY = {
    "code_wrong": "no such code: mistyped, or made by another hub",
    "code_expired": "the code has expired: make another on the hub's page",
    "code_used": "the code was used already, by another box: make another on the hub's page",
    "code_locked": "the code was tried wrongly too often and is closed: make another on the hub's page",
    "key_elsewhere": "this box's key is in use under another name. Was this box renamed? Shut the other name out on "
    "the hub's page, then join again: what it still owes comes, too. Was its data folder copied? Join with --new-key",
    "key_ended": "this box was shut out, or its key replaced: join with --new-key, which makes another",
    "name_taken": "another box has this name: shut that out on the hub's page first, or choose another `edge`",
    "too_many_tries": "too many tries from this address: wait a minute",
    "malformed": "the hub does not understand this box: is one of the two much older?",
}


class NotJoined(LabelwatchError):  # noqa: N818  (an answer, not an error of ours)
    """The hub doesn't let this box in, or isn't there."""


@dataclass(frozen=True, slots=True)
class Joined:
    """What came of it.

    Attributes:
        key: Fingerprint of this box's key.
        hub_key: Fingerprint of the hub's key.
        files: What was written, all in the data folder.
        missing: What the configuration still lacks, as it has it; empty where it is right already.
        broker: The broker's settings as they should be.
        hub: Likewise those of the way to the hub.
        trouble: Why there is no certificate although the hub gives them out; `None` when all is well.
    """

    key: str
    hub_key: str
    files: list[Path]
    missing: dict[str, dict[str, Any]]
    broker: Broker
    hub: HubLink
    trouble: str | None

    def lines(self, path: Path, config: EdgeConfig, hub_url: str) -> list[str]:
        """For people: what is done, and what is left to do."""
        names = ", ".join(file.name for file in self.files)
        told = [
            f"joined {hub_url} as {config.site}/{config.edge}",
            f"  this box's key: {self.key}  (the hub's page shows the same)",
            f"  the hub's key:  {self.hub_key}",
            f"  written to {config.data_dir}: {names}",
        ]
        if self.trouble:
            told.append(f"  no certificate for the broker: {self.trouble}")
        if not self.missing:
            return [*told, f"{path} is right already"]
        text = yaml.safe_dump(_written(self.missing, path), sort_keys=False, allow_unicode=True)
        told.append(f"{path} needs these lines; put them into the sections that it has already:")
        return [*told, "", *text.splitlines(), ""]


def join(
    hub_url: str,
    code: str,
    config: EdgeConfig,
    clock: Clock,
    *,
    ca_file: Path | None = None,
    new_key: bool = False,
) -> Joined:
    """Join a hub.

    Args:
        hub_url: Address of the hub, as its page is reached.
        code: As the hub shows it.
        config: Of this edge; its `data_dir` is made when missing.
        clock: Tells the time.
        ca_file: Vouches for the hub's web server; else the code alone does.
        new_key: Make a new key, which replaces the one that is there when the hub has taken it.

    Raises:
        ConfigError: Address or code is none.
        NotJoined: The hub isn't there, isn't one, or doesn't let this box in.
        StoreError: The data folder can't be written.
    """
    symbols = _symbols(code)
    url = _address(hub_url)
    joining = config.data_dir / JOINING
    with _kept(config.data_dir):
        finish_together(config.data_dir)
        identity = config.data_dir / FILE_NAME
        if joining.exists() and identity.exists() and joining.read_bytes() == identity.read_bytes():
            joining.unlink()  # it is in use: who joined with it was cut off just after
    key = load_key(joining, "the edge's new key") if new_key else load_identity(config.data_dir)
    tls_key = ec.generate_private_key(ec.SECP256R1())
    request = join_request(
        symbols, site=config.site, edge=config.edge, key=key, at=clock.now(), version=VERSION,
        csr=_signing_request(tls_key, f"{config.site}/{config.edge}"),
    )  # fmt: skip
    body = _asked(url, wire.encode(request), ca_file, clock)
    try:
        told = read_join_answer(body, request, derived(symbols).answer_key)
        broker, hub_key = dict(told["broker"]), str(told["hub_key"])
        host, port = str(broker["host"]), int(broker["port"])
    except (WireError, KeyError, TypeError, ValueError) as error:
        raise NotJoined(f"{url}: {error}") from error
    return _settled(config, url, told, hub_key, (host, port), tls_key, ca_file=ca_file, new_key=new_key, key=key)


def try_broker(broker: Broker) -> None:
    """Connect to the broker once, as the worker will.

    Raises:
        NotJoined: It isn't there, or doesn't let this box in.
        ConfigError: The password can't be read.
    """
    from detector.mqtt import trial
    from detector.mqtt.connection import LinkError

    try:
        trial.try_broker(broker)
    except (LinkError, OSError) as error:
        raise NotJoined(f"the broker at {broker.host}:{broker.port} doesn't let this box in: {error}") from error


def try_hub(hub: HubLink) -> None:
    """Speak to the hub's web server once, as the worker will to bring clips: a code vouches for it no more.

    Raises:
        NotJoined: It isn't there, or isn't believed.
    """
    from detector.alerts.uploads import trust_in

    hint = ""
    try:
        verify = trust_in(str(hub.url), hub.ca_file)
        with httpx.Client(verify=verify, timeout=TIMEOUT_S, trust_env=False) as client:
            client.get(f"{hub.url}/healthz")
    except (LabelwatchError, httpx.HTTPError) as error:
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            hint = (
                " (is hub.url an address that its certificate is made out to, and hub.ca_file of who made that? "
                "Without hub.ca_file public authorities are believed)"
            )
        raise NotJoined(f"this box has joined, but no clip would get to {hub.url}: {error}{hint}") from error


def _symbols(code: str) -> str:
    try:
        return parse_code(code)
    except ValueError as error:
        raise ConfigError(
            [Problem("CODE", "", str(error), "as the hub's page shows it, e.g. 7K2M-9QXDH-4TFT")]
        ) from error


def _address(text: str) -> str:
    try:
        parsed = urlsplit(text)
        url = f"{parsed.scheme}://{parsed.netloc}"
        named = parsed.scheme in ("http", "https") and parsed.hostname and httpx.URL(url).host
        if named and "@" not in parsed.netloc and parsed.port != 0:
            return url
    except (ValueError, httpx.InvalidURL):  # no port, no IPv6 address, or letters that no address has
        pass
    hint = "as a browser shows it, e.g. https://10.0.0.2:8080"
    raise ConfigError([Problem("HUB_URL", "", f"no address of a hub: {text}", hint)])


def _asked(url: str, body: bytes, ca_file: Path | None, clock: Clock) -> bytes:
    """The hub's answer to a request.

    Raises:
        NotJoined: There is none, or it is a refusal.
    """
    context = trusting()
    if ca_file is None:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # the code vouches for who answers
    else:
        try:
            context = trusting(ca_file)
        except OSError as error:
            raise ConfigError(
                [Problem("--ca", "", f"{ca_file} can't be used: {error}", "a certificate, PEM")]
            ) from error
    try:
        with (
            httpx.Client(verify=context, timeout=TIMEOUT_S, trust_env=False) as client,
            client.stream("POST", f"{url}/enrol", content=body, headers={"Content-Type": "application/json"}) as answer,
        ):
            content = b""
            for chunk in answer.iter_bytes():
                content += chunk
                if len(content) > LARGEST_ANSWER:
                    raise NotJoined(f"{url} is no labelwatch hub: it says far too much")
            status, moved = answer.status_code, answer.headers.get("location", "")
    except httpx.HTTPError as error:
        raise NotJoined(
            f"{url} can't be reached: {_other_scheme(url, error) or error or type(error).__name__}"
        ) from error
    if status == 200:
        return content
    if 300 <= status < 400:
        raise NotJoined(f"{url} sends on to {moved[:200]}: give that address")
    try:
        told = json.loads(content[:4096])
        reason = told["reason"]
    except (ValueError, RecursionError, KeyError, TypeError) as error:
        raise NotJoined(f"{url} answers, but is no labelwatch hub that boxes can join (HTTP {status})") from error
    raise NotJoined(_why(str(reason), told, clock))


def _other_scheme(url: str, error: httpx.HTTPError) -> str:
    """What to say where one end speaks TLS and the other doesn't; empty where that isn't the trouble."""
    if "WRONG_VERSION_NUMBER" in str(error) or "RECORD_LAYER_FAILURE" in str(error):
        return "it speaks no TLS: its address begins with http://"
    # Whether what it sent, or only that it hung up, arrives is a matter of luck.
    broke_off = isinstance(error, httpx.RemoteProtocolError | httpx.ReadError | httpx.WriteError)
    if url.startswith("http:") and broke_off:
        return "it breaks off, as a hub with TLS does: perhaps its address begins with https://"
    return ""


def _why(reason: str, told: Mapping[str, Any], clock: Clock) -> str:
    if reason == "code_other_name":
        place = "/".join(str(told.get(name) or "*") for name in ("site", "edge"))
        return f"the code is for {place}, not for this box: change the configuration, or make another code"
    if reason == "clock":
        hub_at = told.get("hub_at_unix")
        ahead_s = clock.now() - float(hub_at) if isinstance(hub_at, int | float) else 0.0
        side = "ahead of" if ahead_s > 0 else "behind"
        return (
            f"this box's clock ({iso(clock.now())}) is {abs(ahead_s):.0f} s {side} the hub's: "
            "set it (timedatectl set-ntp true), then join again; the code is still good"
        )
    words = WHY.get(reason, "the hub refused")
    return f"{words} ({str(told['text'])[:200]})" if reason == "malformed" and "text" in told else words


def _signing_request(key: ec.EllipticCurvePrivateKey, name: str) -> str:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])
    made = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    return made.public_bytes(Encoding.PEM).decode()


def _settled(
    config: EdgeConfig,
    url: str,
    told: Mapping[str, Any],
    hub_key: str,
    address: tuple[str, int],
    tls_key: ec.EllipticCurvePrivateKey,
    *,
    ca_file: Path | None,
    new_key: bool,
    key: Any,
) -> Joined:
    """Write what the hub handed out, and see what the configuration lacks."""
    folder = config.data_dir
    host, port = address
    wanted: dict[str, dict[str, Any]] = {
        "hub": {"url": url},
        "broker": {"host": urlsplit(url).hostname if host in LOOPBACK else host, "port": port},
    }
    files = {HUB_KEY: pinned(hub_key)}
    if told.get("hub_ca"):
        files[HUB_CA] = str(told["hub_ca"]).encode()
        wanted["hub"]["ca_file"] = folder / HUB_CA
    elif ca_file is not None:  # clips are brought where it vouched just now
        wanted["hub"]["ca_file"] = ca_file.resolve()
    if told.get("certificate"):
        files[KEY] = tls_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        files[CERTIFICATE] = str(told["certificate"]).encode()
        files[BROKER_CA] = str(told["broker_ca"]).encode()
        wanted["broker"] |= {
            "ca_file": folder / BROKER_CA, "cert_file": folder / CERTIFICATE, "key_file": folder / KEY,
        }  # fmt: skip
    elif dict(told["broker"]).get("login"):
        wanted["broker"]["username"] = str(told["username"])
    with _kept(folder):
        if new_key:
            files[FILE_NAME] = (folder / JOINING).read_bytes()
        write_together(folder, files, mode=0o600)  # a certificate without its key, say, would shut the box out
        if new_key:
            (folder / JOINING).unlink()
        (folder / NEXT_NAME).unlink(missing_ok=True)  # the hub may have shut it out with the name that it was made for
    held = {"hub": config.hub, "broker": config.broker}
    missing = {
        section: lacking
        for section, values in wanted.items()
        if (lacking := {name: value for name, value in values.items() if getattr(held[section], name) != value})
    }
    broker = config.broker.model_copy(update=wanted["broker"])
    hub = config.hub.model_copy(update=wanted["hub"])
    written = [folder / name for name in files if name != FILE_NAME]
    return Joined(
        fingerprint(wire.public_key_text(key)), fingerprint(hub_key), written,
        missing, broker, hub, str(told["certificate_trouble"])[:300] if told.get("certificate_trouble") else None,
    )  # fmt: skip


@contextmanager
def _kept(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreError(f"what a box joins with can't be kept in {folder}: {error.strerror}") from error


def _written(sections: Mapping[str, Mapping[str, Any]], path: Path) -> dict[str, dict[str, Any]]:
    """As they stand in a configuration at this path: files below its folder are named from there."""
    home = path.resolve().parent

    def shown(value: Any) -> Any:
        if not isinstance(value, Path):
            return value
        whole = value.resolve()
        return str(whole.relative_to(home) if whole.is_relative_to(home) else whole)

    return {section: {name: shown(value) for name, value in held.items()} for section, held in sections.items()}
