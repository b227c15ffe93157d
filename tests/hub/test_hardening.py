"""Small walls, each with the attack that it is there for; `detector/hub/SECURITY.md` names them by requirement."""

from __future__ import annotations

import logging
import re
import socket
import ssl
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import anyio
import pytest
import uvicorn
from paho.mqtt.enums import MQTTProtocolVersion
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from detector.alerts.uploads import trust_in
from detector.config import Broker, HubConfig
from detector.credentials.tls import trusting
from detector.hub.access.auth import SESSION_S, Session
from detector.hub.access.passwords import is_guessed
from detector.hub.access.people import LONGEST_SESSION_S
from detector.hub.lan import certificate
from detector.hub.notices.services import Message, send
from detector.hub.pages.view import LONGEST_FORM
from detector.hub.storage.rights import EVERYWHERE, Role
from detector.mqtt.connection import client_for
from tests.conftest import REPOSITORY
from tests.hub.conftest import NOON, Site, make_hub
from tests.hub.test_server import free_port

GUESSED = """
password123! P@ssw0rd2026 qwertyuiop123 1qaz2wsx3edc woaini1314520 13912345678 19900101-1990 abcabcabcabc
Labelwatch2026 iloveyou12345 drowssap123 aaaaaaaaaa1 owner.owner.1 cangku-2026-admin zxcvbnm,./123 123qweasdzxc
Terminator1! california fktrcfylhf
"""
FINE = [
    "correct horse battery",
    "2FfPOdU5UlZQmytZ",
    "K7f-ple93-Qxw",
    "mother said it rains on tuesday",
    "仓库后门有三把锁",
]


@pytest.mark.parametrize("password", GUESSED.split())
def test_a_password_that_everybody_tries_is_refused(password: str) -> None:
    assert is_guessed(password, "owner")


@pytest.mark.parametrize("password", [*FINE, "x" * 3 + "k9Qz" * 20 + "v7"])
def test_a_password_that_nobody_tries_is_taken_whatever_its_characters(password: str) -> None:
    assert not is_guessed(password, "owner")


def test_the_account_page_refuses_what_is_guessed_and_takes_sixty_four_characters(site: Site) -> None:
    old = site.login["password"]
    answer = site.client.post("/account/password", data={"old": old, "new": "Password2026!"})
    assert answer.status_code == 400 and "太好猜" in answer.text
    long = "k9 Qz 仓" * 10 + "v7xx"
    assert site.client.post("/account/password", data={"old": old, "new": long}).status_code == 303
    assert site.visitor().post("/login", data={"user": "owner", "password": long[:-1]}).status_code == 401
    assert site.visitor().post("/login", data={"user": "owner", "password": long}).status_code == 303


def test_a_session_ends_after_a_month_however_much_it_is_used(site: Site) -> None:
    token = site.client.cookies["labelwatch"]
    while site.clock.at < NOON + LONGEST_SESSION_S - 2 * SESSION_S:
        site.clock.at += 0.99 * SESSION_S
        assert site.gate.session(token, site.clock.at)
    site.clock.at += 0.99 * SESSION_S
    assert len(site.people.sessions("owner", site.clock.at)) == 1
    site.clock.at = NOON + LONGEST_SESSION_S + 1
    assert site.client.get("/").status_code == 303
    assert site.people.sessions("owner", site.clock.at) == []


def test_every_cookie_is_tied_to_the_host_over_https(site: Site) -> None:
    site.client.base_url = "https://hub.test"  # type: ignore[assignment]
    answers = [
        site.client.post("/login", data=site.login),
        site.client.post("/preferences", data={"language": "en", "theme": "dark"}),
    ]
    cookies = [cookie for answer in answers for cookie in answer.headers.get_list("set-cookie")]
    assert len(cookies) == 3
    for cookie in cookies:
        assert cookie.startswith("__Host-")
        assert {"secure", "httponly", "samesite=lax", "path=/"} <= set(cookie.lower().split("; "))
    assert (
        'lang="en"'
        in site.client.get("/login", headers={"Cookie": "; ".join(c.split(";")[0] for c in cookies[1:])}).text
    )


def test_leaving_clears_what_the_browser_kept(site: Site) -> None:
    assert '"cache"' in site.client.post("/logout").headers["clear-site-data"]


def test_refusals_are_logged_with_who_and_what(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    viewer = site.somebody(Role.VIEWER)
    assert viewer.get("/people").status_code == 403
    assert "not allowed: GET /people to a-viewer from testclient" in caplog.text
    assert viewer.post("/logout", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    assert "another site's page sent POST /logout" in caplog.text


def test_a_token_that_does_not_work_leaves_a_line_without_it(site: Site) -> None:
    token = "lw_" + "guessed0" * 5
    visitor = site.visitor(Authorization=f"Bearer {token}")
    assert visitor.get("/api/incidents").status_code == 401
    page = site.client.get("/audit").text
    assert "无效的 API 令牌" in page and "guessed0" not in page


def test_a_session_shows_its_token_to_no_log() -> None:
    assert "tok-en" not in repr(Session("owner", Role.OWNER, EVERYWHERE, "tok-en"))


def test_an_error_of_the_database_shows_no_values(site: Site) -> None:
    with pytest.raises(SQLAlchemyError) as caught, site.store.database.writing() as connection:
        connection.execute(text("INSERT INTO nowhere VALUES (:secret)"), {"secret": "pw7Qx"})
    assert "pw7Qx" not in str(caught.value)


@pytest.mark.parametrize("is_announced", [True, False])
@pytest.mark.parametrize(("language", "words"), [("zh", "内容太长"), ("en", "Too much at once")])
def test_a_body_that_is_too_large_is_refused_as_any_error_is(
    site: Site, language: str, words: str, is_announced: bool
) -> None:
    def post(path: str, head: bytes, kind: str) -> Any:
        body = head + b"x" * LONGEST_FORM
        content = body if is_announced else iter([body[:100], body[100:]])
        return site.client.post(path, content=content, headers={"Content-Type": kind})

    site.client.cookies.set("language", language)
    for path in ("/login", "/cases/add"):
        answer = post(path, b"incidents=", "application/x-www-form-urlencoded")
        assert answer.status_code == 413 and words in answer.text and "</html>" in answer.text
        assert "content-security-policy" in answer.headers
    answer = post("/api/incidents/inc-1/verdict", b'{"verdict": "', "application/json")
    assert (answer.status_code, answer.json()) == (413, {"reason": "the body is too large"})


def test_methods_that_nothing_has_are_refused(site: Site) -> None:
    for method in ("TRACE", "CONNECT", "DELETE", "PATCH", "X-ODD"):
        assert site.client.request(method, "/").status_code == 405, method


@pytest.mark.parametrize("page", ["notices/log?before=", "review/events?after=", "alarms?before="])
@pytest.mark.parametrize("number", ["-1", str(-(10**30)), str(10**30), "x"])
def test_a_number_that_no_page_gave_is_no_such_page(site: Site, page: str, number: str) -> None:
    assert site.client.get(f"/{page}{number}").status_code == 404


def test_nothing_is_served_that_is_meant_for_developers(site: Site) -> None:
    for path in ("/docs", "/redoc", "/openapi.json", "/static/", "/.git/config", "/static/../server.py"):
        assert site.client.get(path).status_code == 404, path


def lowest(make: Callable[..., ssl.SSLContext]) -> Callable[..., ssl.SSLContext]:
    """The same, where Python leaves versions to OpenSSL, as Debian 13's does."""

    def made(*args: Any, **named: Any) -> ssl.SSLContext:
        context = make(*args, **named)
        context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        return context

    return made


def test_tls_begins_at_version_1_2(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uvicorn.config, "create_ssl_context", lowest(uvicorn.config.create_ssl_context))
    monkeypatch.setattr(ssl, "create_default_context", lowest(ssl.create_default_context))
    hub = make_hub(HubConfig(data_dir=tmp_path / "hub", broker=Broker(port=free_port())), lan=True)
    served = hub._server.config
    served.load()
    authority = certificate(tmp_path, [], NOON).authority
    of_broker = client_for(Broker(port=free_port(), ca_file=authority), "edge", MQTTProtocolVersion.MQTTv5)._ssl_context
    for context in (served.ssl, trusting(), trust_in("https://hub", authority), of_broker):
        assert isinstance(context, ssl.SSLContext) and context.minimum_version >= ssl.TLSVersion.TLSv1_2
        weak = re.compile("RC4|3DES|NULL|MD5|EXPORT|CBC3")
        assert not [one["name"] for one in context.get_ciphers() if weak.search(one["name"])]
    hub.stop()


def test_answers_tell_neither_the_server_nor_its_version(site: Site) -> None:
    for path in ("/login", "/healthz", "/nowhere", "/api/incidents"):
        headers: Any = site.visitor().get(path).headers
        assert not {"server", "x-powered-by"} & set(headers), path
        if path != "/healthz":
            assert "charset=utf-8" in headers["content-type"] or "json" in headers["content-type"]


@pytest.mark.parametrize(
    "host",
    [
        "169.254.169.254", "[fe80::1]", "0.0.0.0", "[::ffff:169.254.169.254]", "[::ffff:a9fe:a9fe]",
        "100.100.100.200", "[fd00:ec2::254]", "168.63.129.16",
        "[64:ff9b::169.254.169.254]", "[64:ff9b::a83f:8110]", "[64:ff9b:1::169.254.169.254]",
        "[64:ff9b:1:a9fe:a9:fe00::]", "[64:ff9b:1:aaa9:fe:a9fe:0:0]", "[64:ff9b:1:aabb:a9:fea9:fe00:0]",
    ],
)  # fmt: skip
def test_no_notice_goes_where_a_cloud_keeps_its_credentials(host: str) -> None:
    answer = send(f"json://{host}/latest", Message("title", "body", "warning"), service="webhook")
    assert not answer.ok and "notice_wrong_host" in answer.text


@pytest.mark.parametrize("host", ["[64:ff9b::7f00:1]", "[64:ff9b:1::7f00:1]", "[64:ff9b:1:7f00:0:100::]"])
def test_notices_go_to_services_by_way_of_a_network_without_ipv4(host: str) -> None:
    answer = send(f"json://{host}:9/latest", Message("title", "body", "warning"), service="webhook")
    assert not answer.ok and answer.cause != "notice_wrong_host"


@pytest.mark.parametrize(
    "address",
    [
        "fcm://project/device?keyfile={file}", "fcm://project/device?keyfile={url}",
        "tgram://123456789:abcdefg_hijklmnop/12315544/?template={file}",
        "vapid://user@example.com/?keyfile={file}&subfile={file}",
    ],
)  # fmt: skip
def test_an_address_has_the_hub_read_no_file_and_fetch_none(address: str, tmp_path: Path) -> None:
    file = tmp_path / "needle.json"
    file.write_text('{"blocks": [{"type": "text", "text": "planted"}]}')
    opened: list[str] = []
    watching = [True]

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        if watching and event == "open" and "needle" in str(arguments[0]):
            opened.append(str(arguments[0]))

    sys.addaudithook(watch)  # for ever: there is no way to take one away
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        url = f"http://127.0.0.1:{server.getsockname()[1]}/needle.json"
        answer = send(address.format(file=file, url=url), Message("title", "body", "warning"))
        with pytest.raises(TimeoutError):
            server.accept()
    watching.clear()
    assert not answer.ok and not opened


def test_a_hub_that_sent_a_notice_ends_without_a_word() -> None:
    program = """
import socket
from detector.hub.notices import services

class Late:
    def __del__(self, connect=socket.create_connection, away=OSError):
        try:
            connect(("127.0.0.1", 9))
        except away:
            pass

services.send("json://127.0.0.1:9/", services.Message("title", "body", "warning"))
services.late = Late()  # goes when the module's own names are gone, as threads of libraries do
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert not ended.stderr


@pytest.mark.parametrize("url", ["json://rebound.test:{port}/", "mailto://a:b@example.com:{port}/?smtp=rebound.test"])
def test_no_notice_goes_where_a_name_leads_only_after_it_was_looked_at(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_up, really = [], socket.getaddrinfo

    def rebinding(host: str, *arguments: Any, **named: Any) -> Any:
        if host != "rebound.test":
            return really(host, *arguments, **named)
        looked_up.append(host)
        return really("127.0.0.1" if len(looked_up) == 1 and "json" in url else "0.0.0.0", *arguments, **named)

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    with socket.create_server(("127.0.0.1", 0)) as server:  # 0.0.0.0 leads here, too
        server.settimeout(0.2)
        answer = send(url.format(port=server.getsockname()[1]), Message("title", "body", "warning"))
        with pytest.raises(TimeoutError):
            server.accept()
    assert not answer.ok and answer.cause == "notice_wrong_host" and looked_up


def test_a_service_does_not_lead_the_hub_elsewhere() -> None:
    asked: list[str] = []

    class Leading(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(self.path)
            self.send_response(307)
            self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_args: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Leading) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        answer = send(f"json://127.0.0.1:{server.server_port}/here?redirect=yes", Message("title", "body", "warning"))
        server.shutdown()
    assert not answer.ok and asked == ["/here"]


def test_who_leaves_amid_a_form_is_no_failure_of_the_hub(site: Site) -> None:
    said: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.disconnect"}

    async def send_(message: Any) -> None:
        said.append(message)

    headers = [(b"host", b"hub.test"), (b"origin", b"http://hub.test"), (b"content-length", b"100")]
    scope = {
        "type": "http", "http_version": "1.1", "method": "POST", "scheme": "http", "path": "/login",
        "raw_path": b"/login", "query_string": b"", "headers": headers, "client": ("10.0.0.7", 1),
        "server": ("hub.test", 80),
    }  # fmt: skip
    anyio.run(site.app, scope, receive, send_)
    assert said[0]["status"] == 400


SECRET_LOOKS = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----\s+[A-Za-z0-9+/]{20}|\bAKIA[0-9A-Z]{16}\b|\bgh[pousr]_[A-Za-z0-9]{36}"
    r"|\blw_[A-Za-z0-9_-]{43}\b|\bxox[bp]-[0-9A-Za-z-]{20,}|[?&](?:key|access_token)=[0-9a-f-]{32,}"
)
LONG_VALUE = re.compile(
    r"^\s*[\w.-]*(?:password|secret|token|key)[\"']?\s*[:=]\s*[\"']?([A-Za-z0-9+/_-]{20,})",
    re.MULTILINE | re.IGNORECASE,
)
SETTINGS = (".yaml", ".yml", ".conf", ".toml", ".service", ".env", ".json")


def secrets_in(name: str, content: str) -> list[str]:
    found = [match[0] for match in SECRET_LOOKS.finditer(content)]
    return found + (LONG_VALUE.findall(content) if name.endswith(SETTINGS) else [])


def test_no_secret_is_in_a_tracked_file() -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    if not listed.stdout:
        pytest.skip("not a clone")
    paths = [REPOSITORY / name for name in listed.stdout.split("\0") if name and (REPOSITORY / name).is_file()]
    texts = [path for path in paths if path.stat().st_size < 3_000_000 and b"\0" not in path.read_bytes()[:4096]]
    assert len(texts) > 100
    found = {path.name: secrets_in(path.name, path.read_text(encoding="utf-8", errors="replace")) for path in texts}
    assert {name: what for name, what in found.items() if what} == {}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.py", "-----BEGIN PRIVATE KEY-----\n" + "MC4CAQAwBQYDK2VwBCIE" * 3),
        ("a.md", "lw_" + "a" * 43),
        ("a.py", "hook?key=693a91f6-" + "1" * 28),
        ("hub.yaml", "  api_token: 'abcdEFGH0123456789xyz'"),
    ],
)
def test_a_secret_in_a_file_would_be_seen(name: str, content: str) -> None:
    assert secrets_in(name, content)


def test_the_name_of_a_file_with_a_secret_is_none() -> None:
    assert (
        secrets_in("hub.yaml", "password_file: secrets/broker-password\nkey_file: /etc/mosquitto/labelwatch.key") == []
    )


def test_no_script_keeps_anything_in_the_browser() -> None:
    scripts = sorted((REPOSITORY / "detector" / "hub" / "static").glob("*.js"))
    assert scripts
    for script in scripts:
        kept = re.findall(r"localStorage|sessionStorage|indexedDB|document\.cookie", script.read_text(encoding="utf-8"))
        assert kept == [], script.name


def test_every_dependency_is_locked_by_its_hash() -> None:
    lines = (REPOSITORY / "requirements.lock").read_text(encoding="utf-8").splitlines()
    pinned = [n for n, line in enumerate(lines) if re.match(r"[A-Za-z0-9]", line)]
    assert len(pinned) > 20
    for n in pinned:
        assert "==" in lines[n] and "--hash=sha256:" in lines[n + 1], lines[n]


def test_every_python_runs_the_same_version_of_a_dependency() -> None:
    lines = (REPOSITORY / "requirements.lock").read_text(encoding="utf-8").splitlines()
    names = [line.split("==")[0] for line in lines if re.match(r"[A-Za-z0-9]", line)]
    assert [name for name, times in Counter(names).items() if times > 1] == []
