"""Services that carry a notice: plain fields become an address of the notification library, and a message goes out.

An address holds a password or a key. So nothing of it is ever in a log, an error or an answer: see `Answer`.
"""

from __future__ import annotations

import ipaddress
import logging
import re
import socket
import sys
import threading
import warnings
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, replace
from functools import cache
from queue import Empty, SimpleQueue
from smtplib import SMTPResponseException
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from detector.errors import LabelwatchError
from detector.hub.notices import signed
from detector.hub.notices.unreached import why_unreached
from detector.machine.secrecy import redacted

CONNECT_S = 5.0
READ_S = 10.0
LONGEST_S = 25.0  # for one message: a service may take a connection and then say a letter a second
LONGEST_ADDRESS = 2000
LONGEST_ANSWER = 300
SHORTEST_SECRET = 4
OVER = "over"  # of what was told before, and is no more
SEVERITIES = {"info": "info", "warning": "warning", "critical": "failure", OVER: "success"}  # as the library calls them
CAUSES = ("notice_wrong_", "notice_unreached")  # how the keys of texts begin that say why nobody answered
UNSURE = ("notice_unreached_late", "notice_unreached_broken")  # it was reached, so it may have taken the message
PLAIN = frozenset({"starttls", "ssl", "insecure", "private", "labelwatch"})  # values of ours that are no secret
# Where clouds keep a machine's credentials beside link-local addresses: Alibaba's, Azure's, and Amazon's by IPv6.
CREDENTIALS = frozenset({"100.100.100.200", "168.63.129.16", "fd00:ec2::254"})
# By these a network without IPv4 leads to IPv4 addresses, which they hold (RFC 6052): always in the last 32 bits, or,
# where the network chose the prefix (RFC 8215), in earlier ones, from bit 48, 56 or 64 on, about eight that are nought.
NAT64 = ipaddress.ip_network("64:ff9b::/96")
LOCAL_NAT64 = ipaddress.ip_network("64:ff9b:1::/48")
WORD = re.compile(r"[A-Za-z0-9_-]+")
HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?")
SECURITY = {"starttls": "mailtos", "ssl": "mailtos", "insecure": "mailto"}

# While a notice is sent, in that thread and those that do it: the places that no connection was made to.
_refused: ContextVar[list[str] | None] = ContextVar("_refused", default=None)


class NoticeError(LabelwatchError):
    """What was asked for can't be: a target, a rule, an address. The text is a key of `texts`, with no part of it."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a service said, with every part of its address cut out; `unsure` where it may have taken the message.

    Where it said nothing, `cause` is the key of a text that says why: it could not be reached, for one. `again_s` is
    after how many seconds it asked to be tried again, where it did.
    """

    ok: bool
    text: str
    unsure: bool = False
    cause: str = ""
    again_s: float | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """What is told: plain text, a small picture with labels blurred where there is one, and the same for programs."""

    title: str
    body: str
    severity: str
    picture: bytes | None = None
    fields: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Service:
    """How people give an address: names of fields (those that may be left out end in `?`), and what makes one of them.

    `public` says that the address's host is a host, and may be named in answers, rather than a key.
    """

    fields: tuple[str, ...]
    build: Callable[[Mapping[str, str]], str]
    public: bool = False


def address(service: str, given: Mapping[str, str]) -> str:
    """The address that the fields of a service make.

    Raises:
        NoticeError: They make none.
    """
    known = SERVICES.get(service)
    if known is None:
        raise NoticeError("notice_wrong_service")
    fields = {}
    for field in known.fields:
        name = field.removesuffix("?")
        fields[name] = given.get(name, "").strip()
        if not fields[name].isprintable() or len(fields[name]) > LONGEST_ADDRESS:
            raise NoticeError("notice_wrong_address")
        if not fields[name] and name == field:
            raise NoticeError("notice_wrong_missing")
    found = known.build(fields)
    check(found)
    return found


def check(found: str) -> None:
    """Make sure that the library understands an address.

    Raises:
        NoticeError: It doesn't.
    """
    is_known = signed.is_one(found) or _plugin(found) is not None
    if len(found) > LONGEST_ADDRESS or not found.isprintable() or not is_known:
        raise NoticeError("notice_wrong_address")
    if signed.is_one(found):
        try:
            signed.parts(found)
        except ValueError as error:
            raise NoticeError("notice_wrong_signed") from error


def send(found: str, message: Message, *, service: str = "raw") -> Answer:
    """Bring a message to an address, and say what came of it. It never raises, and gives up after `LONGEST_S`."""
    try:
        answer = _post(found, message) if signed.is_one(found) else _send(found, message)
    except NoticeError as error:
        answer = Answer(False, f"nothing was sent: {error}", cause=str(error))
    except Exception as error:  # noqa: BLE001  (a hundred services have as many ways to fail)
        answer = Answer(False, f"{type(error).__name__}: {error}", cause=why_unreached(error))
    is_public = service in SERVICES and SERVICES[service].public
    return replace(answer, text=without_secrets(answer.text, found, keep_host=is_public)[:LONGEST_ANSWER])


def takes_pictures(found: str) -> bool:
    """Whether the service of an address takes pictures."""
    plugin = None if signed.is_one(found) else _plugin(found)
    return bool(plugin is not None and plugin.attachment_support)


def without_secrets(text: str, found: str, *, keep_host: bool = False) -> str:
    """A text with every part of an address cut out that may be a secret: as it stands there, as it is meant, and as
    whoever asks for it writes it."""
    from requests.utils import requote_uri

    try:
        parsed = urlsplit(found)
        written = [value if is_pair else name for name, is_pair, value in _pairs(parsed.query)]
        values = [*written, *(value for _, value in parse_qsl(parsed.query)), parsed.fragment]
    except ValueError:
        parsed, values = urlsplit(""), [found]
    login, _, host = parsed.netloc.rpartition("@")
    pieces = [*login.split(":"), *parsed.path.split("/"), *values, *([] if keep_host else [host, *host.split(":")])]
    pieces += [other for piece in pieces for other in (unquote(piece), requote_uri(piece))]
    for piece in sorted(set(pieces) - PLAIN, key=len, reverse=True):
        if len(piece) >= SHORTEST_SECRET:
            text = re.sub(re.escape(piece), "***", text, flags=re.IGNORECASE)
    return redacted(text)


def _pairs(query: str) -> list[tuple[str, str, str]]:
    """The parameters of an address as they stand there: name, `=` where there is one, and value."""
    return [pair.partition("=") for pair in query.split("&") if pair]


def _send(found: str, message: Message) -> Answer:
    """What came of it, told by what the library logged on the way; nothing is cut out of that yet."""
    plugin = _plugin(found)
    if plugin is None:
        raise NoticeError("notice_wrong_address")
    # Also where a proxy would be asked to go there; `_look_at_connection` holds for what the name stands for later.
    if _is_no_service(str(getattr(plugin, "host", None) or "")):
        raise NoticeError("notice_wrong_host")
    # Whatever the address asks for. A service that leads elsewhere would choose for us where the hub sends.
    plugin.socket_connect_timeout, plugin.socket_read_timeout, plugin.redirects = CONNECT_S, READ_S, False
    picture = message.picture if plugin.attachment_support else None
    result, errors = _notify(plugin, message, picture)
    said = [entry.message for one in result for entry in one.logs()]
    said += [f"{one.smtp_code} {one.smtp_error!r}" for one in errors if isinstance(one, SMTPResponseException)]
    text = "; ".join(dict.fromkeys(said))
    if result:
        return Answer(True, text)
    cause = _why_not(result, errors)
    if picture and not cause:
        # Refused, perhaps for the picture: an ntfy of one's own takes none unless it is told to. The text says all.
        return _send(found, replace(message, picture=None))
    return Answer(False, text or result.status.name.lower(), unsure=cause in UNSURE, cause=cause)


def _notify(plugin: Any, message: Message, picture: bytes | None) -> tuple[Any, list[BaseException]]:
    """The library's result, and the errors that it met on the way.

    Raises:
        NoticeError: It was to go where no service is.
    """
    from apprise import Apprise, NotifyFormat, NotifyType

    errors: list[BaseException] = []

    def note(_entry: object, _service: object) -> None:
        # The library keeps no error to itself but to log it, and this is called while it does.
        if (error := sys.exc_info()[1]) is not None:
            errors.append(error)

    service = Apprise()
    service.add(plugin)
    refused: list[str] = []
    sending = _refused.set(refused)
    try:
        result = service.notify(
            body=message.body,
            title=message.title,
            notify_type=NotifyType(SEVERITIES.get(message.severity, "info")),
            body_format=NotifyFormat.TEXT,
            attach=_attached(picture) if picture else None,
            timeout=LONGEST_S,
            log_callback=note,
            log_level=logging.INFO,
        )
    finally:
        _refused.reset(sending)
    if refused and not result:
        raise NoticeError("notice_wrong_host")
    return result, errors


def _attached(picture: bytes) -> Any:
    from apprise import AppriseAttachment
    from apprise.attachment.memory import AttachMemory

    attachment = AppriseAttachment()
    attachment.add(AttachMemory(content=picture, name="snapshot.jpg", mimetype="image/jpeg"))  # type: ignore[no-untyped-call]
    return attachment


def _why_not(result: Any, errors: list[BaseException]) -> str:
    """The key of a text that says why no service answered; empty where one did, and refused."""
    from apprise import AppriseResultStatus

    if result.status is AppriseResultStatus.TIMEOUT:
        return "notice_unreached_late"
    return next(filter(None, map(why_unreached, errors)), "")


def _post(found: str, message: Message) -> Answer:
    """What came of a webhook of our own, given up after `LONGEST_S` however slowly it speaks."""
    _load()
    url, _ = signed.parts(found)
    if _is_no_service(urlsplit(url).hostname or ""):
        raise NoticeError("notice_wrong_host")
    refused: list[str] = []
    told: SimpleQueue[tuple[int, float | None] | Exception] = SimpleQueue()
    fields = {"schema": 1, "id": "", "title": message.title, "text": message.body, **(message.fields or {})}

    def post() -> None:
        _refused.set(refused)  # in this thread alone
        try:
            told.put(signed.post(found, fields, (CONNECT_S, READ_S)))
        except Exception as error:  # noqa: BLE001  (it is raised where it is waited for)
            told.put(error)

    threading.Thread(target=post, name="notice-webhook", daemon=True).start()
    try:
        came = told.get(timeout=LONGEST_S)
    except Empty:
        return Answer(False, "timeout", unsure=True, cause="notice_unreached_late")
    if isinstance(came, Exception):
        if refused:
            raise NoticeError("notice_wrong_host") from came
        cause = why_unreached(came)
        return Answer(False, f"{type(came).__name__}: {came}", unsure=cause in UNSURE, cause=cause)
    status, again_s = came
    return Answer(200 <= status < 300, f"HTTP {status}", again_s=again_s)


def _look_at_connection(
    event: str,
    arguments: tuple[Any, ...],
    refused_here: Callable[[], list[str] | None] = _refused.get,  # kept: at the interpreter's end names here are gone
) -> None:
    """Audit hook: whatever sends a notice, and whatever a name stands for by now, no connection is made there."""
    refused = refused_here()
    if refused is not None and event in ("socket.connect", "socket.sendto"):
        place = arguments[1]
        if isinstance(place, tuple) and _is_no_service(str(place[0])):
            refused.append(str(place[0]))
            raise ConnectionRefusedError("no service is there")


def _is_no_service(host: str) -> bool:
    """Whether a host is where no service is but, in a cloud, the machine's own credentials: link-local and the like.

    Services in the same building are meant to be reached, so private addresses are not refused.
    """
    try:
        places = {
            ipaddress.ip_address(str(info[4][0]).partition("%")[0])
            for info in socket.getaddrinfo(host.strip("[]"), None)
        }
    except (OSError, ValueError):  # no such host: the service says so itself
        return False
    meant = {getattr(place, "ipv4_mapped", None) or place for place in places}
    if any(place.is_multicast or place.is_unspecified for place in meant):
        return True
    return any(place.is_link_local or str(place) in CREDENTIALS for place in meant.union(*map(_led_to, meant)))


def _led_to(place: ipaddress.IPv4Address | ipaddress.IPv6Address) -> set[ipaddress.IPv4Address]:
    """IPv4 addresses that a NAT64 may lead to from an address; none from others."""
    whole = place.packed
    held = [whole[12:]] if place in NAT64 or place in LOCAL_NAT64 else []
    if place in LOCAL_NAT64:
        without_nought = whole[:8] + whole[9:]
        held += [without_nought[at : at + 4] for at in (6, 7, 8)]
    return {ipaddress.IPv4Address(number) for number in held}


def _plugin(found: str) -> Any:
    """The library's service of an address; `None` where it is none."""
    _load()
    from apprise import Apprise, AppriseAsset

    asset = AppriseAsset(
        app_id="labelwatch", app_desc="labelwatch", app_url="", image_url_mask="", image_url_logo="",
        service_timeout=LONGEST_S,
    )  # fmt: skip
    return Apprise.instantiate(found, asset=asset, suppress_exceptions=True)


@cache
def _load() -> None:
    """Load the library when it is first needed: it has a hundred services. Have it and what it sends with be quiet."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # it still knows modules that Python is to drop
        from apprise import Apprise
        from apprise.manager_attachment import AttachmentManager

        Apprise.instantiate("json://localhost")
    # Addresses of many services may name a file, here or elsewhere, with a key or a template, which would be read and
    # in part sent. What we attach is in memory.
    AttachmentManager().remove("file", "http", "https", unload=False)  # type: ignore[no-untyped-call]
    sys.addaudithook(_look_at_connection)
    # Below this level addresses are logged.
    logging.getLogger("urllib3").setLevel(logging.WARNING)
    library = logging.getLogger("apprise")
    library.setLevel(logging.INFO)
    library.propagate = False


# What each service asks for


def _last_part(text: str, parameter: str = "") -> str:
    """A key, given alone or in the address that the service shows for its robot."""
    if "://" not in text:
        found = text
    elif parameter:
        match = re.search(rf"[?&]{parameter}=([^&#]+)", text)
        found = match.group(1) if match else ""
    else:
        found = text.partition("?")[0].partition("#")[0].rstrip("/").rpartition("/")[2]
    if not WORD.fullmatch(found):
        raise NoticeError("notice_wrong_key")
    return found


def _wecom(fields: Mapping[str, str]) -> str:
    return f"wecombot://{_last_part(fields['key'], 'key')}/"


def _dingtalk(fields: Mapping[str, str]) -> str:
    secret = f"{_last_part(fields['secret'])}@" if fields["secret"] else ""
    return f"dingtalk://{secret}{_last_part(fields['key'], 'access_token')}/"


def _feishu(fields: Mapping[str, str]) -> str:
    return f"feishu://{_last_part(fields['key'])}/"


def _telegram(fields: Mapping[str, str]) -> str:
    if not re.fullmatch(r"\d+:[A-Za-z0-9_-]+", fields["token"]) or not re.fullmatch(r"-?\d+|@\w+", fields["chat"]):
        raise NoticeError("notice_wrong_key")
    return f"tgram://{fields['token']}/{fields['chat']}/"


def _ntfy(fields: Mapping[str, str]) -> str:
    scheme, host = _server(fields["server"])
    if not WORD.fullmatch(fields["topic"]):
        raise NoticeError("notice_wrong_key")
    token = f"{quote(fields['token'], safe='')}@" if fields["token"] else ""
    return f"ntfy{'s' if scheme == 'https' else ''}://{token}{host}/{fields['topic']}?mode=private"


def _webhook(fields: Mapping[str, str]) -> str:
    scheme, host = _server(fields["url"])
    parsed = urlsplit(fields["url"])
    # The library takes parameters for its own; those of the address are marked by a minus.
    pairs = [(f"-{unquote(name)}", unquote(value)) for name, _, value in _pairs(parsed.query)]
    query = urlencode(pairs, quote_via=quote)
    return f"json{'s' if scheme == 'https' else ''}://{host}{parsed.path}{f'?{query}' if query else ''}"


def _signed(fields: Mapping[str, str]) -> str:
    _server(fields["url"])
    url = fields["url"] if "://" in fields["url"] else f"https://{fields['url']}"
    return signed.address(url, fields["signing"])


def _server(url: str) -> tuple[str, str]:
    """Scheme and host with port (and login, where given) of a web address."""
    try:
        parsed = urlsplit(url if "://" in url else f"https://{url}")
        host, _ = parsed.hostname, parsed.port
    except ValueError as error:
        raise NoticeError("notice_wrong_host") from error
    if parsed.scheme not in ("http", "https") or not host or not HOST.fullmatch(host):
        raise NoticeError("notice_wrong_host")
    return parsed.scheme, parsed.netloc


def _mail(fields: Mapping[str, str]) -> str:
    security = fields["security"] or "starttls"
    usual = {"starttls": "587", "ssl": "465", "insecure": "25"}
    port = fields["port"] or usual.get(security, "")
    if not HOST.fullmatch(fields["host"]) or not re.fullmatch(r"\d{1,5}", port) or security not in SECURITY:
        raise NoticeError("notice_wrong_host")
    people = [fields["from"], *(one.strip() for one in fields["to"].split(","))]
    if not all(re.fullmatch(r"[^@\s<>,]+@[^@\s<>,]+", one) for one in people):
        raise NoticeError("notice_wrong_mail")
    login = f"{quote(fields['user'], safe='')}:{quote(fields['password'], safe='')}@" if fields["user"] else ""
    query = urlencode(
        {"smtp": fields["host"], "from": people[0], "to": ",".join(people[1:]), "mode": security, "name": "labelwatch"}
    )
    return f"{SECURITY[security]}://{login}{fields['host']}:{port}/?{query}"


SERVICES: dict[str, Service] = {
    "wecom": Service(("key",), _wecom),
    "dingtalk": Service(("key", "secret?"), _dingtalk),
    "feishu": Service(("key",), _feishu),
    "mail": Service(("host", "port?", "security?", "user?", "password?", "from", "to"), _mail, public=True),
    "telegram": Service(("token", "chat"), _telegram),
    "ntfy": Service(("server", "topic", "token?"), _ntfy, public=True),
    "webhook": Service(("url",), _webhook, public=True),
    "signed": Service(("url", "signing"), _signed, public=True),
    "raw": Service(("url",), lambda fields: fields["url"]),
}
