"""Notices reach real servers, once, in time, and never tell what they must not."""

from __future__ import annotations

import ast
import base64
import hmac
import html
import json
import logging
import re
import socket
import socketserver
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import datetime
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import event

from detector import wire
from detector.config import HubConfig
from detector.hub.access.audit import Audit
from detector.hub.desk.responses import Responses
from detector.hub.edges.keys import EdgeKeys
from detector.hub.notices import raising, sender
from detector.hub.notices import services as notice_services
from detector.hub.notices.pauses import PAUSED, Pauses
from detector.hub.notices.queue import Notice, Notices
from detector.hub.notices.raising import ALARMS_ALONE, GATHER_ALARMS_S
from detector.hub.notices.rules import KINDS, Rule, within
from detector.hub.notices.sender import NoticeSender
from detector.hub.notices.services import Answer, Message, NoticeError, address, send, without_secrets
from detector.hub.notices.targets import Target
from detector.hub.storage.budget import Budget
from detector.hub.storage.rights import EVERYWHERE, Role, Scope
from detector.hub.storage.schema import edges
from detector.hub.storage.store import Store
from detector.hub.texts import LANGUAGES, TEXTS
from detector.hub.upkeep.clock_ahead import bring_back
from detector.hub.watch.alarms import Alarm, Alarms, Sign
from detector.values import Severity
from tests.builders import SteppedClock
from tests.conftest import REPOSITORY
from tests.hub.conftest import BEHIND, NOON, Site, begun_first, make_envelope

SECRET = "zk9Qw7-planted-secret"
SHANGHAI = ZoneInfo("Asia/Shanghai")


@dataclass
class Received:
    """A request that the web server got."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        """Its body."""
        return dict(json.loads(self.body))


@dataclass
class Web:
    """A web server of some messenger: keeps what comes, answers as it is told."""

    url: str = ""
    port: int = 0
    status: int = 200
    delay_s: float = 0.0
    headers: dict[str, str] = field(default_factory=dict)
    takes_pictures: bool = True
    answer: bytes = b'{"ok": true, "errcode": 0, "code": 0, "result": {}}'
    got: list[Received] = field(default_factory=list)
    stop: Callable[[], None] = lambda: None


@pytest.fixture
def web() -> Iterator[Web]:
    """A real HTTP server."""
    state = Web()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            state.got.append(Received(self.path, dict(self.headers), body))
            time.sleep(state.delay_s)
            try:
                is_refused = not state.takes_pictures and HELLO.picture and HELLO.picture in body
                self.send_response(400 if is_refused else state.status)
                for name, value in state.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(state.answer)
            except OSError:
                pass  # the client gave up

        do_PUT = do_POST  # noqa: N815

        def log_message(self, *_args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.port = server.server_port
    state.url = f"http://127.0.0.1:{state.port}"
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()

    def stop() -> None:
        server.shutdown()
        server.server_close()

    state.stop = stop
    yield state
    stop()


@pytest.fixture
def smtp() -> Iterator[tuple[int, list[str]]]:
    """A server that speaks as much SMTP as a mail needs; its port, and the lines that it got."""
    lines: list[str] = []

    class Handler(socketserver.StreamRequestHandler):
        def say(self, text: str) -> None:
            self.wfile.write(f"{text}\r\n".encode())

        def handle(self) -> None:
            self.say("220 mail.test ESMTP")
            in_data = False
            for raw in self.rfile:
                line = raw.decode().rstrip("\r\n")
                lines.append(line)
                word = line.split(" ", 1)[0].upper()
                if in_data:
                    if line == ".":
                        in_data = False
                        self.say("250 taken")
                elif word == "EHLO":
                    self.say("250-mail.test")
                    self.say("250 AUTH PLAIN")
                elif word == "AUTH":
                    login = base64.b64decode(line.split()[2])
                    self.say("535 who are you?" if b"nobody" in login else "235 welcome")
                elif word == "DATA":
                    in_data = True
                    self.say("354 go on")
                elif word == "QUIT":
                    self.say("221 bye")
                    return
                else:
                    self.say("250 fine")

    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield server.server_address[1], lines
    server.shutdown()
    server.server_close()


HELLO = Message("[严重] 东区", "40 秒，拍照 3 次\n<b>&", "critical", b"\xff\xd8\xffpicture")


# Services: what is sent, and how


def test_a_webhook_gets_text_and_picture_and_its_own_query(web: Web) -> None:
    found = address("webhook", {"url": f"{web.url}/hook/{SECRET}?key={SECRET}&b=x%20y"})
    assert send(found, HELLO, service="webhook").ok
    got = web.got[0]
    assert got.path == f"/hook/{SECRET}?key={SECRET}&b=x+y"
    assert got.json["title"] == HELLO.title and got.json["message"] == HELLO.body
    assert base64.b64decode(got.json["attachments"][0]["base64"]) == HELLO.picture
    assert "pprise" not in str(got.headers)


def test_ntfy_gets_text_and_picture(web: Web) -> None:
    found = address("ntfy", {"server": web.url, "topic": "warehouse", "token": f"tk_{SECRET}"})
    assert send(found, HELLO, service="ntfy").ok
    assert web.got[0].path.startswith("/warehouse") and web.got[0].body == HELLO.picture
    assert web.got[0].headers["Authorization"] == f"Bearer tk_{SECRET}"


@pytest.mark.parametrize(
    ("service", "fields", "module", "path", "told"),
    [
        (
            "wecom",
            {"key": f"https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key={SECRET}"},
            "wecombot.NotifyWeComBot",
            f"/send?key={SECRET}",
            lambda body: body["text"]["content"],
        ),
        (
            "dingtalk",
            {"key": "0123456789abcdef", "secret": "SECsigned"},
            "dingtalk.NotifyDingTalk",
            "/robot?access_token=0123456789abcdef",
            str,
        ),
        (
            "feishu",
            {"key": f"https://open.feishu.cn/open-apis/bot/v2/hook/{SECRET}"},
            "feishu.NotifyFeishu",
            SECRET,
            str,
        ),
    ],
)
def test_robots_get_what_they_understand(
    web: Web,
    monkeypatch: pytest.MonkeyPatch,
    service: str,
    fields: dict[str, str],
    module: str,
    path: str,
    told: Callable[[Any], str],
) -> None:
    name, cls = module.split(".")
    plugin = getattr(__import__(f"apprise.plugins.{name}", fromlist=[cls]), cls)
    shape = {
        "wecom": f"{web.url}/send?key={{key}}",
        "dingtalk": f"{web.url}/robot?access_token={{token}}",
        "feishu": f"{web.url}/hook/{{token}}/",
    }
    monkeypatch.setattr(plugin, "notify_url", shape[service])
    assert send(address(service, fields), HELLO, service=service).ok
    assert path in web.got[0].path
    assert "东区" in told(web.got[0].json) and "拍照 3 次" in told(web.got[0].json)
    assert ("sign=" in web.got[0].path) is (service == "dingtalk")


def test_telegram_gets_text_and_picture(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    from apprise.plugins.telegram import NotifyTelegram

    monkeypatch.setattr(NotifyTelegram, "notify_url", f"{web.url}/bot")
    token = "123456789:abcdefg_hijklmnopqrstuvwxyzABCDEF"
    assert send(address("telegram", {"token": token, "chat": "-100123"}), HELLO, service="telegram").ok
    assert [got.path for got in web.got] == [f"/bot{token}/sendPhoto"]
    assert HELLO.picture and HELLO.picture in web.got[0].body and "拍照 3 次".encode() in web.got[0].body


def test_mail_arrives_with_its_login_and_its_picture(smtp: tuple[int, list[str]]) -> None:
    port, lines = smtp
    fields = {
        "host": "127.0.0.1", "port": str(port), "security": "insecure", "user": "guard@shop.cn",
        "password": f"p@ss/{SECRET}", "from": "hub@shop.cn", "to": "owner@shop.cn, wife@shop.cn",
    }  # fmt: skip
    answer = send(address("mail", fields), HELLO, service="mail")
    assert answer.ok, answer
    login = next(line for line in lines if line.startswith("AUTH PLAIN"))
    assert base64.b64decode(login.split()[2]) == f"\0guard@shop.cn\0p@ss/{SECRET}".encode()
    assert {"rcpt to:<owner@shop.cn>", "rcpt to:<wife@shop.cn>"} <= {line.split(" size")[0].lower() for line in lines}
    mail = "\n".join(lines)
    assert "snapshot.jpg" in mail and base64.b64encode(HELLO.picture or b"").decode() in mail


@pytest.mark.parametrize(
    ("service", "fields"),
    [
        ("smoke", {}),
        ("wecom", {}),
        ("wecom", {"key": "https://qyapi.weixin.qq.com/cgi-bin/webhook/send"}),
        ("wecom", {"key": "a/../../b"}),
        ("wecom", {"key": "x\0y"}),
        ("telegram", {"token": "no", "chat": "1"}),
        ("telegram", {"token": "123456789:abc", "chat": "somebody"}),
        ("webhook", {"url": "file:///etc/passwd"}),
        ("webhook", {"url": "http://[bad"}),
        ("webhook", {"url": "http://x:99999/"}),
        ("ntfy", {"server": "ntfy.sh", "topic": "a b"}),
        ("mail", {"host": "m", "from": "nobody", "to": "x@y.cn"}),
        ("mail", {"host": "m:25", "from": "a@b.cn", "to": "x@y.cn"}),
        ("mail", {"host": "m", "security": "none", "from": "a@b.cn", "to": "x@y.cn"}),
        ("signed", {"url": "https://h.cn/x", "signing": "too short"}),
        ("signed", {"url": "https://h.cn/x", "signing": "whsec_" + "not base64!" * 5}),
        ("signed", {"url": "ftp://h.cn/x", "signing": SECRET}),
        ("signed", {"url": "https://h.cn/x"}),
        ("raw", {"url": "nonsense"}),
        ("raw", {"url": "x" * 3000}),
    ],
)
def test_fields_that_make_no_address_are_refused_without_telling_them(service: str, fields: dict[str, str]) -> None:
    with pytest.raises(NoticeError) as caught:
        address(service, fields)
    assert re.fullmatch(r"notice_wrong_\w+", str(caught.value))


@pytest.mark.parametrize("status", [400, 401, 404, 429, 500, 503])
def test_a_service_that_refuses_is_told_with_its_answer(web: Web, status: int) -> None:
    web.status, web.answer = status, f"go away {SECRET}".encode()
    answer = send(address("webhook", {"url": f"{web.url}/{SECRET}"}), HELLO, service="webhook")
    assert not answer.ok and str(status) in answer.text and SECRET not in answer.text


def test_a_service_that_hangs_or_dribbles_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notice_services, "READ_S", 0.3)
    monkeypatch.setattr(notice_services, "LONGEST_S", 0.8)
    done = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def dribble() -> None:
            silent, _ = server.accept()
            slow, _ = server.accept()
            while not done.wait(0.1):
                try:
                    slow.sendall(b"H")
                except OSError:
                    break
            silent.close()
            slow.close()

        threading.Thread(target=dribble, daemon=True).start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}/{SECRET}"
        for _ in range(2):
            began = time.monotonic()
            answer = send(address("webhook", {"url": url}), HELLO, service="webhook")
            assert not answer.ok and SECRET not in answer.text
            assert time.monotonic() - began < 3
            assert answer.unsure, "it may have taken the message"
        done.set()


@pytest.fixture
def hangs_up() -> Iterator[int]:
    """The port of a server that takes a connection, and closes it without a word."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(1)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


@pytest.fixture
def nobody() -> int:
    """A port where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def test_a_server_that_gave_no_answer_is_told_by_why(web: Web, nobody: int, hangs_up: int) -> None:
    causes = {
        f"http://127.0.0.1:{nobody}/{SECRET}": "notice_unreached_refused",
        f"http://nowhere.invalid/{SECRET}": "notice_unreached_name",
        f"https://127.0.0.1:{web.port}/{SECRET}": "notice_unreached_tls",
        f"http://127.0.0.1:{hangs_up}/{SECRET}": "notice_unreached_broken",
        f"http://169.254.1.1/{SECRET}": "notice_wrong_host",
    }
    for url, cause in causes.items():
        answer = send(address("webhook", {"url": url}), HELLO, service="webhook")
        assert (answer.ok, answer.cause) == (False, cause), url
        assert answer.unsure is (cause == "notice_unreached_broken"), "whom nobody reached can't have taken it"
        assert SECRET not in answer.text
    web.status = 500
    answer = send(address("webhook", {"url": f"{web.url}/{SECRET}"}), HELLO, service="webhook")
    assert (answer.cause, "500" in answer.text) == ("", True)


def test_a_server_that_takes_its_time_is_told_as_reached(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notice_services, "READ_S", 0.1)
    web.delay_s = 0.5
    answer = send(address("webhook", {"url": web.url}), HELLO, service="webhook")
    assert (answer.ok, answer.cause) == (False, "notice_unreached_late")


@pytest.mark.parametrize("is_ntfy", [True, False])
def test_a_service_that_takes_no_picture_is_told_without(
    web: Web, monkeypatch: pytest.MonkeyPatch, is_ntfy: bool
) -> None:
    web.takes_pictures = False
    if is_ntfy:
        found = address("ntfy", {"server": web.url, "topic": "alerts"})
    else:
        monkeypatch.setattr("apprise.plugins.telegram.NotifyTelegram.notify_url", f"{web.url}/bot")
        found = address("telegram", {"token": "123456789:abcdefg_hijklmnop", "chat": "-100123"})
    assert send(found, HELLO).ok
    assert [bool(HELLO.picture and HELLO.picture in got.body) for got in web.got][::-1][:2] == [False, True]
    assert "拍照 3 次".encode() in web.got[-1].body or "拍照 3 次" in json.dumps(web.got[-1].json, ensure_ascii=False)


@pytest.mark.parametrize(("goes_on", "cause"), [(True, "notice_unreached_late"), (False, "notice_unreached_broken")])
def test_a_server_that_does_not_end_its_answer_may_have_taken_the_message(
    monkeypatch: pytest.MonkeyPatch, goes_on: bool, cause: str
) -> None:
    monkeypatch.setattr(notice_services, "READ_S", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as server, ExitStack() as kept:

        def begin() -> None:
            connection, _ = server.accept()
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhal")
            if goes_on:
                kept.enter_context(connection)
            else:
                connection.close()

        threading.Thread(target=begin, daemon=True).start()
        found = address("webhook", {"url": f"http://127.0.0.1:{server.getsockname()[1]}/"})
        answer = send(found, HELLO, service="webhook")
    assert (answer.ok, answer.cause, answer.unsure) == (False, cause, True)


def test_a_mail_server_is_told_by_why_it_gave_no_answer_or_by_its_answer(
    nobody: int, hangs_up: int, smtp: tuple[int, list[str]]
) -> None:
    fields = {"host": "127.0.0.1", "security": "insecure", "from": "hub@shop.cn", "to": "owner@shop.cn"}
    for port, cause in ((nobody, "notice_unreached_refused"), (hangs_up, "notice_unreached_broken")):
        answer = send(address("mail", {**fields, "port": str(port)}), HELLO, service="mail")
        assert (answer.ok, answer.cause) == (False, cause)
    stranger = {**fields, "port": str(smtp[0]), "user": "nobody", "password": SECRET}
    answer = send(address("mail", stranger), HELLO, service="mail")
    assert (answer.ok, answer.cause) == (False, "") and "535" in answer.text and SECRET not in answer.text


@pytest.mark.parametrize("key", [key for key in TEXTS["en"] if key.startswith("notice_unreached")])
def test_why_a_server_gave_no_answer_is_told_in_each_language(key: str) -> None:
    assert TEXTS["zh"][key] != TEXTS["en"][key] and key.startswith(notice_services.CAUSES)


@pytest.mark.parametrize(
    ("found", "text", "left"),
    [
        ("json://u:pa%2Fss@h.cn/p1234?-k=v1234", "u pa/ss pa%2Fss p1234 v1234 h.cn", "u *** *** *** *** h.cn"),
        ("wecombot://KEY12345/", "no key12345", "no ***"),
        ("tgram://123456789:abcdef/-100123/", "bot123456789:abcdef", "bot***"),
    ],
)
def test_every_part_of_an_address_is_cut_out_of_answers(found: str, text: str, left: str) -> None:
    assert without_secrets(text, found, keep_host=found.startswith("json")) == left


# Webhooks of our own


@pytest.mark.parametrize("written", ["?sig=a%2Fb%7E{}", "?sig=a+b/c=={}==", "?sig=钥 匙{}", "?{}", "钥%2F{}~"])
def test_however_a_secret_is_written_in_an_address_no_answer_tells_it(nobody: int, written: str) -> None:
    url = f"http://127.0.0.1:{nobody}/hook/{written.format('S3CR3T')}"
    answer = send(address("signed", {"url": url, "signing": SECRET}), HELLO, service="signed")
    assert "refused" in answer.text and "S3CR3T" not in answer.text


def signed_to(web: Web, secret: str = SECRET) -> str:
    return address("signed", {"url": f"{web.url}/hook/{SECRET}?key={SECRET}", "signing": secret})


def is_signed(got: Received, key: bytes) -> bool:
    """As whoever gets it checks it."""
    covered = f"{got.headers['webhook-id']}.{got.headers['webhook-timestamp']}.".encode() + got.body
    signature = base64.b64encode(hmac.new(key, covered, "sha256").digest()).decode()
    return got.headers["webhook-signature"] == f"v1,{signature}"


@pytest.mark.parametrize(
    ("secret", "key"),
    [(SECRET, SECRET.encode()), ("whsec_" + base64.b64encode(bytes(range(24))).decode(), bytes(range(24)))],
)
def test_a_signed_webhook_is_what_it_says_and_of_now(web: Web, secret: str, key: bytes) -> None:
    assert send(signed_to(web, secret), replace(HELLO, fields={"id": "msg_1"}), service="signed").ok
    (got,) = web.got
    assert got.path == f"/hook/{SECRET}?key={SECRET}" and got.headers["webhook-id"] == "msg_1"
    assert is_signed(got, key) and not is_signed(got, key + b"x")
    assert not is_signed(replace(got, body=got.body.replace(b"40", b"41")), key)
    assert abs(float(got.headers["webhook-timestamp"]) - time.time()) < 60
    assert (got.json["title"], got.json["text"]) == (HELLO.title, HELLO.body)


def signed_desk(desk: Desk, web: Web) -> Target:
    """Its one target is a webhook of our own, which is really sent."""
    desk.sender._send = send
    with desk.store.database.writing() as connection:
        number = desk.notices.targets.add(
            connection, "warehouse", "signed", "en", address=signed_to(web), user="owner", at=NOON
        )
        desk.notices.targets.add_rule(connection, Rule(target=number, at=NOON, severity="info"))
    found = desk.notices.targets.find(number)
    assert found
    return found


def test_a_program_is_told_what_happened_where_and_when_and_neither_pixels_nor_labels(desk: Desk, web: Web) -> None:
    signed_desk(desk, web)
    desk.alert(snapshot=b"\xff\xd8\xffblurred", facts={"label_text": "13912345678"})
    desk.step()
    (got,) = web.got
    (told,) = got.json["incidents"]
    assert (got.json["schema"], got.json["type"], got.json["severity"], got.json["again"]) == (
        1, "incident", "critical", False,
    )  # fmt: skip
    expected = {
        "id": "inc-1", "site": "shanghai", "edge": "box1", "camera": "cam3", "camera_title": "东区 3 号机",
        "zone": "bulk", "kind": "label_photography", "severity": "critical", "verdict": None,
        "labels_exposed": {"low": 3, "best": 4, "high": 6}, "page": "/incidents/inc-1",
        "link": "https://hub.example/incidents/inc-1", "started_at_unix": NOON - 45, "ended_at_unix": NOON - 5,
    }  # fmt: skip
    assert expected.items() <= told.items() and told["started_at"] == "2026-11-01T03:59:15.000Z"
    assert "拍照" in told["sentence"]["zh"] and "photo" in told["sentence"]["en"]
    assert b"13912345678" not in got.body and base64.b64encode(b"blurred")[:8] not in got.body
    assert "facts" not in told and "acts" not in told


@pytest.mark.parametrize(
    ("status", "again", "rests_s"),
    [
        (503, "7", 7.0),
        (429, "999999", 1800.0),
        (429, "0", 1.0),
        (503, "http-date", 90.0),
        (503, "soon", 30.0),
        (500, "7", 30.0),
    ],
)
def test_a_webhook_that_says_when_to_come_again_is_heeded(
    desk: Desk, web: Web, status: int, again: str, rests_s: float
) -> None:
    target = signed_desk(desk, web)
    web.status = status
    web.headers = {"Retry-After": formatdate(time.time() + 90, usegmt=True) if again == "http-date" else again}
    desk.alert()
    desk.step()
    found = desk.notices.targets.find(target.number)
    assert found and found.rests_until - desk.clock.now() == pytest.approx(rests_s, abs=20 if rests_s == 90 else 0.01)
    web.status = 200
    desk.step(rests_s + 30)
    first, second = web.got
    assert first.headers["webhook-id"] == second.headers["webhook-id"], "so that it is known for the same"
    assert desk.states() == [("sent", "")]
    desk.alert("inc-2")
    desk.step()
    assert web.got[2].headers["webhook-id"] != first.headers["webhook-id"]


@pytest.mark.parametrize("count", [1, ALARMS_ALONE + 4])
def test_a_program_that_may_have_been_told_of_alarms_takes_their_end_for_another_message(
    desk: Desk, web: Web, count: int
) -> None:
    signed_desk(desk, web)
    alarms = Alarms(desk.store.database)
    silent = [Sign("edge_silent", "shanghai", f"box{n}") for n in range(count)]
    alarms.judge(silent, NOON)
    if count > 1:  # the first three were told each by itself
        desk.step()
        web.got.clear()
    web.status = 500
    desk.step(GATHER_ALARMS_S)
    alarms.judge([], NOON + 600)
    for status in (500, 500, 500, 500, 200):  # the end comes twice, that of each told by itself between
        web.status = status
        desk.step(3600)
    lasts, over, *_, again = (got for got in web.got if ("alarms" in got.json) == (count > 1))
    assert [got.json["title"].startswith("[Over]") for got in (lasts, over, again)] == [False, True, True]
    assert over.headers["webhook-id"] == again.headers["webhook-id"] != lasts.headers["webhook-id"]


def test_alarms_summaries_and_tests_are_told_as_what_they_are(desk: Desk, web: Web) -> None:
    target = signed_desk(desk, web)
    Alarms(desk.store.database).note(Sign("hub_store", since=NOON, count=1, facts={"file": "x", "rows": 0}), NOON)
    desk.step()
    assert web.got[0].json["type"] == "alarm" and web.got[0].json["alarm"]["kind"] == "hub_store"
    assert desk.sender.test(target).ok and web.got[1].json["type"] == "test"
    web.status = 500
    for n in range(5):
        desk.alert(f"i{n}")
    desk.step()
    web.status = 200
    desk.step(120)
    assert (web.got[-1].json["type"], web.got[-1].json["count"]) == ("summary", 5)
    assert {one["id"] for one in web.got[-1].json["incidents"]} == {f"i{n}" for n in range(5)}


def test_a_signed_webhook_tells_no_secret_and_goes_nowhere_else(
    web: Web, nobody: int, hangs_up: int, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.DEBUG)
    message = replace(HELLO, fields={"id": "msg_1"})
    web.status, web.headers = 302, {"Location": f"{web.url}/elsewhere"}
    answers = [send(signed_to(web), message, service="signed")]
    assert not answers[0].ok and len(web.got) == 1
    for port, cause in ((nobody, "notice_unreached_refused"), (hangs_up, "notice_unreached_broken")):
        found = address("signed", {"url": f"http://127.0.0.1:{port}/{SECRET}?k={SECRET}", "signing": f"{SECRET}/#é"})
        answers.append(send(found, message, service="signed"))
        assert answers[-1].cause == cause and answers[-1].unsure is (port == hangs_up)
    for host in ("169.254.169.254", "100.100.100.200"):
        found = address("signed", {"url": f"https://{host}/{SECRET}", "signing": SECRET})
        answers.append(send(found, message, service="signed"))
        assert answers[-1].cause == "notice_wrong_host"
    # Where a name leads is known only when a connection is made.
    monkeypatch.setattr(notice_services, "_is_no_service", lambda host: host == "127.0.0.1")
    found = address("signed", {"url": f"http://localhost:{web.port}/{SECRET}", "signing": SECRET})
    answers.append(send(found, message, service="signed"))
    assert answers[-1].cause == "notice_wrong_host" and len(web.got) == 1
    for text in (caplog.text, *(answer.text for answer in answers)):
        assert SECRET not in text


def test_a_signed_webhook_that_dribbles_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notice_services, "READ_S", 5.0)
    monkeypatch.setattr(notice_services, "LONGEST_S", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as server:
        found = address("signed", {"url": f"http://127.0.0.1:{server.getsockname()[1]}/", "signing": SECRET})
        answer = send(found, HELLO, service="signed")
    assert (answer.ok, answer.unsure, answer.cause) == (False, True, "notice_unreached_late")


# Rules and the queue


class Desk:
    """A store, targets and a sender whose messages are kept instead of sent."""

    def __init__(self, store: Store, folder: Path, **config: Any) -> None:
        self.store, self.folder = store, folder
        self.clock = SteppedClock(NOON)
        self.config = HubConfig(data_dir=folder, public_url="https://hub.example/", **config)
        self.notices = Notices(store.database, folder, "Asia/Shanghai")
        self.sent: list[Message] = []
        self.answers: list[Answer] = []
        self.sender = self.restarted()
        self.notices.raising.look_through(NOON)
        self.seq = 0
        self.refused: list[str] = []
        event.listen(store.database.engine, "before_cursor_execute", self.refuse)

    def restarted(self) -> NoticeSender:
        """A sender as a new hub has it."""
        return NoticeSender(self.notices, self.store, self.config, self.clock, self.keep)

    def keep(self, found: str, message: Message, *, service: str) -> Answer:
        """Instead of a service; answers as it was told, by and by."""
        assert found.startswith("json://") and service == "webhook"
        answer = self.answers.pop(0) if self.answers else Answer(True, "thanks")
        if answer.ok:
            self.sent.append(message)
        return answer

    def refuse(self, _connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        """The database fails at statements that have in them what is next in `refused`, each once."""
        if self.refused and self.refused[0] in statement:
            raise OSError(f"no space left for {self.refused.pop(0)}")

    def target(self, name: str = "owner", *, scope: Scope = EVERYWHERE, rule: bool = True, **changes: Any) -> Target:
        """A target with one rule."""
        with self.store.database.writing() as connection:
            number = self.notices.targets.add(
                connection, name, "webhook", changes.pop("language", "en"), address="json://h/x", scope=scope,
                user="owner", at=self.clock.now(),
            )  # fmt: skip
            if rule:
                self.notices.targets.add_rule(connection, Rule(**{"target": number, "at": self.clock.now(), **changes}))
        found = self.notices.targets.find(number)
        assert found
        return found

    def alert(self, incident: str = "inc-1", **changes: Any) -> None:
        """An alert comes in now."""
        self.seq += 1
        usual = {"incident": incident, "started_at_unix": self.clock.now() - 45, "phase": "new"}
        fields = make_envelope(self.seq, **{**usual, **changes})
        fields["after"]["camera"] = fields["camera"]
        self.store.add_alerts([fields], self.clock.now())

    def step(self, seconds: float = 0.0) -> list[str]:
        """Time goes on; titles of what was sent since the last step."""
        self.clock.at += seconds
        before = len(self.sent)
        self.sender.step()
        for thread in list(self.sender._busy.values()):
            thread.join(60)
        return [message.title for message in self.sent[before:]]

    def states(self, *of: Target) -> list[tuple[str, str]]:
        """State and reason of every notice, or of those of some targets, in order."""
        log = self.notices.log([target.number for target in of or self.notices.targets.all()] or [1], limit=1000)
        return [(notice.state, notice.reason) for notice in reversed(log)]

    def raise_all(self) -> None:
        """What has changed is in the queue; nothing is sent yet."""
        while self.notices.raising.look_through(self.clock.at):
            pass


@pytest.fixture
def desk(store: Store, tmp_path: Path) -> Desk:
    """On either database."""
    return Desk(store, tmp_path)


def test_a_notice_says_how_often_the_like_has_happened_there(desk: Desk) -> None:
    desk.target(language="en")
    days = {"i1": 20, "i2": 13, "i3": 5, "i4": 2, "i5": 0}  # before now; one is too long ago, one was cleared
    for incident, ago in days.items():
        desk.alert(incident, started_at_unix=NOON - ago * 86400.0 - 45)
        if incident == "i3":
            desk.store.verdicts.add("i3", "guard", "false", "", NOON)
    desk.alert("elsewhere", camera="cam9")
    desk.step()
    said = {message.body.splitlines()[-1][-2:]: message.body for message in desk.sent}
    assert "Number 3 of its kind here in 14 days" in said["i5"]
    assert "of its kind" not in said["re"]


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ([], ""),
        ([("li", "going", 20)], "Somebody has been on the way there since 2026-11-01 11:59:20"),
        ([("li", "going", 20), ("wang", "going", 10)], "Somebody has been on the way there since 2026-11-01 11:59:10"),
        ([("li", "going", 20), ("li", "off", 30)], ""),
        ([("li", "going", 20), ("wo", "going", 21), ("li", "there", 50)], "Somebody was there at 2026-11-01 11:59:50"),
    ],
)
def test_a_notice_of_what_grew_worse_says_that_somebody_goes_there_and_not_who(
    desk: Desk, steps: list[tuple[str, str, int]], said: str
) -> None:
    desk.target(language="en", severity="warning")
    desk.alert(severity="warning")
    desk.step()
    for user, step, second in steps:
        Responses(desk.store.database).add("inc-1", user, step, "", NOON - 60 + second)
    desk.alert(phase="update", severity="critical")
    desk.step()
    first, then = (message.body for message in desk.sent)
    assert "there since" not in first and "was there" not in first
    assert [line for line in then.splitlines() if line.startswith("Somebody")] == [said] * bool(said)
    assert "li" not in re.findall(r"\w+", then)


def test_an_incident_is_told_once_with_everything_and_no_more(desk: Desk) -> None:
    desk.target(language="zh")
    desk.target("wife", language="en")
    desk.alert(snapshot=b"\xff\xd8\xffblurred")
    assert sorted(desk.step()) == ["[Critical] 东区 3 号机 · Labels photographed", "[严重] 东区 3 号机 · 拍摄面单"]
    message = next(one for one in desk.sent if "严重" in one.title)
    assert message.body.splitlines() == [
        "40 秒，1 人，拍照 3 次，暴露面单约 3–6 张",
        "地点：shanghai / 东区 3 号机 / bulk",
        "时间：2026-11-01 11:59:15",
        "先看清楚，再找人。不要让他当场删除照片：手机里的照片和删除记录是证据。",
        "https://hub.example/incidents/inc-1",
    ]
    assert message.picture == b"\xff\xd8\xffblurred" and message.severity == "critical"
    desk.alert(phase="update")
    desk.store.verdicts.add("inc-1", "guard", "unclear", "", NOON)
    assert desk.step(60) == [] and desk.states() == [("sent", ""), ("sent", "")]


@pytest.mark.parametrize(("language", "line"), [("zh", "暴露面单：3–6 张"), ("en", "Labels exposed: 3–6")])
def test_how_many_labels_were_exposed_is_said_once_and_whatever_the_kind(desk: Desk, language: str, line: str) -> None:
    desk.target(language=language)
    desk.alert("known")
    desk.alert("newer", kind="something_new")
    desk.step()
    said = {message.body.splitlines()[-1].rsplit("/")[-1]: message.body for message in desk.sent}
    assert line in said["newer"].splitlines()
    assert [body.count("3–6") for body in (said["known"], said["newer"])] == [1, 1]


def test_it_is_told_again_only_when_it_grows_more_severe(desk: Desk) -> None:
    desk.target(severity="info")
    desk.alert(severity="info")
    assert len(desk.step()) == 1
    for severity in ("info", "warning", "info", "warning", "critical", "critical"):
        desk.alert(severity=severity, phase="update")
        desk.step(1)
    assert [message.severity for message in desk.sent] == ["info", "warning", "critical"]


def test_what_was_cleared_before_it_grew_more_severe_is_told_again(desk: Desk) -> None:
    desk.target()
    desk.alert(severity="warning")
    desk.step()
    desk.store.verdicts.add("inc-1", "guard", "false", "", NOON)
    desk.alert(severity="warning", phase="update")
    desk.step(1)
    desk.alert(severity="critical", phase="update")
    desk.step(1)
    assert [message.severity for message in desk.sent] == ["warning", "critical"]


def test_what_grew_more_severe_before_it_was_told_is_told_once(desk: Desk) -> None:
    desk.target()
    desk.alert(severity="warning")
    desk.notices.raising.look_through(NOON)
    desk.alert(severity="critical", phase="update")
    assert desk.step() == ["[Critical] 东区 3 号机 · Labels photographed"]
    assert desk.states() == [("risen", "risen"), ("sent", "")]


def across(desk: Desk, incident: str = "across", **changes: Any) -> None:
    """Another camera tells of the same spot."""
    desk.alert(incident, **{"camera": "cam4", "spot": "cage", "camera_title": "东区 4 号机", **changes})


def test_what_two_cameras_tell_of_one_spot_is_told_once_and_again_where_one_says_worse(desk: Desk) -> None:
    desk.target()
    desk.alert(severity="warning", spot="cage")
    across(desk, severity="warning")
    assert desk.step() == ["[Warning] 东区 3 号机 · Labels photographed"]
    desk.alert(severity="warning", spot="cage", phase="end")
    across(desk, severity="warning", phase="end")
    assert desk.step() == []
    across(desk, "worse", severity="critical")
    assert desk.step() == ["[Critical] 东区 4 号机 · Labels photographed"]
    desk.alert(severity="critical", spot="cage", phase="update")
    assert desk.step() == [], "it is as bad as was told"


def test_what_waits_to_be_told_gives_way_to_what_another_camera_says_worse(desk: Desk) -> None:
    desk.target()
    desk.alert(severity="warning", spot="cage")
    desk.notices.raising.look_through(NOON)
    across(desk, severity="critical")
    assert desk.step() == ["[Critical] 东区 4 号机 · Labels photographed"]
    assert desk.states() == [("risen", "risen"), ("sent", "")]


def test_who_asks_for_the_other_camera_alone_is_told_by_that(desk: Desk) -> None:
    desk.target("rule", places=("shanghai/cam4",))
    desk.target("scope", scope=Scope.of(["shanghai/cam4"]))
    desk.alert(severity="critical", spot="cage")
    across(desk, severity="warning")
    assert desk.step() == ["[Warning] 东区 4 号机 · Labels photographed"] * 2
    across(desk, severity="warning", phase="end")
    assert desk.step() == []


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("judged", ["inc-{}", "across-{}"])
def test_what_is_cleared_from_one_side_is_not_told_from_the_other(desk: Desk, judged: str, count: int) -> None:
    desk.target(places=("shanghai/cam4",), quiet="11:00-13:00", breaks_through=False)
    for n in range(count):
        began = {"started_at_unix": NOON - 3600 * (n + 1), "ended_at_unix": NOON - 60}
        desk.alert(f"inc-{n}", spot="cage", **began)
        across(desk, f"across-{n}", **began)
    assert desk.step() == [] and {state for state, _ in desk.states()} == {"held"}
    for n in range(count):
        desk.store.verdicts.add(judged.format(n), "guard", "false", "", NOON)
    assert desk.step(3600) == [] and {reason for _, reason in desk.states()} == {"cleared"}


def test_what_is_over_the_budget_is_so_from_every_side(store: Store, tmp_path: Path) -> None:
    desk = Desk(store, tmp_path)
    desk.target("other camera", places=("shanghai/cam4",))
    store.intake.budget = Budget(limit=0)
    desk.alert(severity="warning", spot="cage")
    across(desk, severity="warning")
    assert desk.step() == []


@pytest.mark.parametrize(
    ("rule", "incident", "told"),
    [
        ({"severity": "critical"}, {"severity": "warning"}, False),
        ({"severity": "warning"}, {"severity": "unheard of"}, True),
        ({"kinds": ("lingering",)}, {}, False),
        ({"kinds": ("label_photography",)}, {}, True),
        ({"places": ("shanghai",)}, {}, True),
        ({"places": ("shanghai/cam4",)}, {}, False),
        ({"places": ("shanghai/cam3/bulk", "x")}, {}, True),
        ({"places": ("shanghai/cam3/other",)}, {}, False),
        ({"places": ("shanghai/cam3/bulk",)}, {"zone": None}, False),
        ({"places": ("shanghai/cam3/dock",)}, {"facts": {"other_zones": ["aisle", "dock"]}}, True),
        ({"places": ("shanghai/cam4/dock",)}, {"facts": {"other_zones": ["dock"]}}, False),
        ({"places": ("shanghai/cam3/dock",)}, {"facts": {"other_zones": "dock"}}, False),
        ({"days": (6,)}, {}, True),  # 2026-11-01 is a Sunday
        ({"days": (0, 1, 2, 3, 4, 5)}, {}, False),
        ({"hours": "08:00-12:00"}, {}, False),
        ({"hours": "12:00-13:00"}, {}, True),
        ({"hours": "20:00-08:00"}, {}, False),
        ({}, {"facts": {"replay": True}}, False),
        ({}, {"severity": "info"}, False),
    ],
)
def test_rules_choose(sqlite_store: Store, tmp_path: Path, rule: Any, incident: Any, told: bool) -> None:
    desk = Desk(sqlite_store, tmp_path)
    desk.target(**rule)
    desk.alert(**incident)
    assert bool(desk.step()) is told


@pytest.mark.parametrize(
    ("hours", "at", "inside"),
    [
        ("22:00-07:00", "23:30", True),
        ("22:00-07:00", "06:59", True),
        ("22:00-07:00", "07:00", False),
        ("08:00-20:00", "08:00", True),
        ("08:00-20:00", "20:00", False),
    ],
)
def test_spans_may_go_past_midnight(hours: str, at: str, inside: bool) -> None:
    assert within(hours, datetime.fromisoformat(f"2026-11-01T{at}").replace(tzinfo=SHANGHAI)) is inside


def test_a_night_shift_after_midnight_is_that_of_the_day_before(sqlite_store: Store, tmp_path: Path) -> None:
    desk = Desk(sqlite_store, tmp_path)
    desk.target(days=(6,), hours="20:00-06:00")
    desk.clock.at = NOON + 15 * 3600  # Monday, three in the morning
    desk.alert()
    assert len(desk.step()) == 1
    desk.clock.at += 86400
    desk.alert("later")
    assert desk.step() == []


def test_who_was_off_duty_when_an_incident_came_is_not_told_of_what_becomes_of_it(desk: Desk) -> None:
    desk.target(hours="20:00-08:00")
    desk.alert()
    assert desk.step() == []
    desk.clock.at += 9 * 3600
    desk.store.verdicts.add("inc-1", "guard", "true", "", desk.clock.at)
    assert desk.step() == [] and desk.states() == []
    desk.alert(phase="update")
    assert len(desk.step()) == 1, "it goes on in the hours"


def test_what_becomes_of_an_incident_after_its_notice_was_tidied_away_is_no_news(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("detector.hub.notices.queue.KEPT", 1)
    desk.target()
    for incident in ("inc-1", "another"):
        desk.alert(incident)
        assert len(desk.step()) == 1
    desk.notices.tidy()
    desk.clock.at += 30 * 86400.0
    desk.store.verdicts.add("inc-1", "guard", "true", "", desk.clock.at)
    assert desk.step() == [] and desk.states() == [("sent", "")]


def test_what_exceeds_the_budget_is_not_told_to_who_asks_for_warnings(store: Store, tmp_path: Path) -> None:
    desk = Desk(store, tmp_path)
    desk.target()
    desk.target("all", severity="info")
    desk.alert("note", severity="info")
    assert len(desk.step()) == 1 and len(desk.notices.log([1])) == 0


@pytest.mark.parametrize(
    ("quiet", "at", "until"),
    [
        ("22:00-07:00", "2026-03-28T23:00+01:00", "2026-03-29T07:00+02:00"),
        ("22:00-07:00", "2026-10-24T23:00+02:00", "2026-10-25T07:00+01:00"),
        ("22:00-07:00", "2026-10-25T02:10+01:00", "2026-10-25T07:00+01:00"),
        ("22:00-07:00", "2026-12-31T23:59+01:00", "2027-01-01T07:00+01:00"),
        ("22:00-07:00", "2028-02-28T23:59+01:00", "2028-02-29T07:00+01:00"),
        ("22:00-02:30", "2026-03-28T23:00+01:00", "2026-03-29T03:00+02:00"),  # half past two is left out
        ("22:00-02:30", "2026-03-29T01:59+01:00", "2026-03-29T03:00+02:00"),
        ("22:00-02:30", "2026-03-29T03:00+02:00", None),
        ("22:00-02:30", "2026-10-25T02:10+02:00", "2026-10-25T02:30+02:00"),
        ("22:00-02:30", "2026-10-25T02:30+02:00", None),
        ("22:00-02:30", "2026-10-25T02:10+01:00", None),  # they are over since half past two of summer
        ("02:30-07:00", "2026-10-25T02:10+01:00", "2026-10-25T07:00+01:00"),
    ],
)
def test_quiet_hours_end_by_the_clock_on_the_wall(quiet: str, at: str, until: str | None) -> None:
    berlin = ZoneInfo("Europe/Berlin")
    found = Rule(quiet=quiet).quiet_until(datetime.fromisoformat(at).astimezone(berlin))
    assert found == (None if until is None else datetime.fromisoformat(until).timestamp())


def test_quiet_hours_end_in_one_summary_and_critical_ones_break_through(desk: Desk) -> None:
    desk.target(quiet="11:00-13:00")
    for n in range(3):
        desk.alert(f"w{n}", severity="warning")
    assert desk.step() == []
    desk.alert("c", severity="critical")
    assert desk.step(60) == ["[Critical] 东区 3 号机 · Labels photographed"]
    assert desk.step(3000) == []
    desk.store.verdicts.add("w1", "guard", "false", "", NOON)
    assert desk.step(600) == ["[Warning] 2 in quiet hours"]
    lines = desk.sent[-1].body.splitlines()
    assert len(lines) == 3 and lines[-1] == "https://hub.example/" and "w1" not in desk.sent[-1].body
    assert lines[0].startswith("11-01 11:59 [Warning] 东区 3 号机 · 40 seconds")
    assert desk.states()[:3] == [("summed", "quiet"), ("dropped", "cleared"), ("summed", "quiet")]


@pytest.mark.parametrize("of_alarm", [False, True])
def test_what_one_rule_holds_back_and_another_asks_for_at_once_is_told_at_once(desk: Desk, of_alarm: bool) -> None:
    target = desk.target(quiet="11:00-13:00", breaks_through=False, at=NOON)
    with desk.store.database.writing() as connection:
        desk.notices.targets.add_rule(connection, Rule(target=target.number, severity="critical", at=NOON))
    if of_alarm:
        Alarms(desk.store.database).judge([Sign("edge_silent", "shanghai", "box1")], NOON)
    else:
        desk.alert("w", severity="warning")
        desk.alert("c", severity="critical")
    assert len(desk.step()) == 1 and desk.sent[0].severity == "critical"
    assert len(desk.step(3600)) == (0 if of_alarm else 1)


@pytest.mark.parametrize(
    ("held_by", "at_once", "at_the_end"), [("a pause", 0, 1), ("the hourly number", 1, 1), ("many alarms", 3, 2)]
)
def test_what_is_held_until_quiet_hours_waits_for_their_end(
    desk: Desk, held_by: str, at_once: int, at_the_end: int
) -> None:
    desk.target(severity="warning", quiet="12:02-13:30", per_hour=1)
    if held_by == "a pause":
        Pauses(desk.store.database, Audit(desk.store.database)).begin("shanghai", "cam3", "li", NOON, 600)
    if held_by == "many alarms":
        facts = {"backlog": 5, "oldest_s": 3600}
        Alarms(desk.store.database).judge([Sign("backlog", "shanghai", f"b{n}", facts=facts) for n in range(5)], NOON)
    else:
        for n in range(3):
            desk.alert(f"inc-{n}", severity="warning")
    assert len(desk.step()) == at_once
    assert [title for _ in range(17) for title in desk.step(300)] == []
    assert len(desk.step(300)) == at_the_end


def test_what_a_pause_held_that_somebody_ends_in_quiet_hours_waits_for_their_end(desk: Desk) -> None:
    desk.target(severity="warning", quiet="12:02-13:30")
    pauses = Pauses(desk.store.database, Audit(desk.store.database))
    pauses.begin("shanghai", "cam3", "li", NOON, 36_000)
    for n in range(3):
        desk.alert(f"inc-{n}", severity="warning")
    assert desk.step() == []
    assert desk.step(600) == []
    assert pauses.end("shanghai", "cam3", "li", desk.clock.at)
    assert [title for _ in range(53) for title in desk.step(90)] == []
    assert desk.step(90) == ["[Warning] 3 in quiet hours"]


@pytest.mark.parametrize("long_over", [False, True])
def test_what_was_held_in_a_hub_that_comes_back_in_quiet_hours_waits_for_their_end(desk: Desk, long_over: bool) -> None:
    desk.target(severity="warning", quiet="11:00-13:00")
    late = {"phase": "end", "started_at_unix": NOON - 30 * 86400, "severity": "critical"} if long_over else {}
    for n in range(3):
        desk.alert(f"inc-{n}", **{"severity": "warning", **late})
    assert desk.step() == []
    assert desk.step(23 * 3600) == [], "due since 22 hours, in quiet hours"
    assert [title for _ in range(23) for title in desk.step(300)] == []
    assert len(desk.step(300)) == 1


def test_what_comes_late_and_is_not_taken_by_day_rings_nobody_at_night(desk: Desk) -> None:
    desk.target(quiet="12:15-13:30")
    desk.answers = [Answer(False, "no route")] * 1000
    desk.alert("old", phase="end", started_at_unix=NOON - 86400)
    assert [title for _ in range(16) for title in desk.step(60)] == []
    desk.answers = []
    assert [title for _ in range(14) for title in desk.step(300)] == []
    assert desk.step(300) == ["[Critical] 东区 3 号机 · Labels photographed"]


@pytest.mark.parametrize("count", [1, 5])
def test_what_a_service_did_not_take_by_day_rings_nobody_at_night(desk: Desk, count: int) -> None:
    desk.target(severity="warning", quiet="12:10-13:30")
    desk.answers = [Answer(False, "no route")] * 1000
    for n in range(count):
        desk.alert(f"mild-{n}", severity="warning")
    assert [title for _ in range(10) for title in desk.step(60)] == []
    desk.step(60)
    desk.answers = []  # back, in quiet hours
    desk.alert("grave")
    assert desk.step(60) == ["[Critical] 东区 3 号机 · Labels photographed"], "which breaks through"
    assert [title for _ in range(15) for title in desk.step(300)] == []
    (title,) = desk.step(180)
    assert title.startswith("[Warning]") and ("5 in quiet hours" in title) is (count == 5)


def test_what_was_held_for_the_night_and_cleared_meanwhile_is_on_record_as_not_told(desk: Desk) -> None:
    desk.target(quiet="11:00-13:00")
    for n in range(2):
        desk.alert(f"w{n}", severity="warning")
    desk.step()
    for n in range(2):
        desk.store.verdicts.add(f"w{n}", "guard", "false", "", NOON)
    assert desk.step(3700) == []
    assert desk.states() == [("dropped", "cleared")] * 3, "both, and the summary that had nothing to tell"


@pytest.mark.parametrize("of_alarms", [False, True])
def test_a_summary_is_no_worse_than_what_is_left_of_it(desk: Desk, of_alarms: bool) -> None:
    desk.target(quiet="11:00-13:00", breaks_through=False)
    alarms = Alarms(desk.store.database)
    late = [Sign("backlog", "shanghai", f"box{n}", facts={"backlog": 5, "oldest_s": 3600}) for n in range(4)]
    if of_alarms:
        alarms.judge([*late, Sign("edge_silent", "shanghai", "box9")], NOON)
    else:
        for severity in ("critical", "warning", "warning"):
            desk.alert(f"{severity}-{desk.seq}", severity=severity)
    assert desk.step() == []
    if of_alarms:
        alarms.judge(late, NOON + 600)
    else:
        desk.store.verdicts.add("critical-0", "guard", "false", "", NOON)
    (title,) = desk.step(3600)
    (message,) = desk.sent
    assert title.startswith("[Warning]") and message.severity == message.fields["severity"] == "warning"


def test_a_summary_leads_to_where_all_of_it_stands(desk: Desk) -> None:
    desk.target(severity="info", quiet="11:00-13:00")
    desk.alert("note", severity="info")
    desk.alert("warning", severity="warning", kind="lingering", camera_title="门" * 150)
    desk.step()
    assert desk.step(3700) == ["[Warning] 2 in quiet hours"]
    *lines, link = desk.sent[0].body.splitlines()
    assert link == "https://hub.example/?told=all"  # a note is in the digest only
    assert [line.endswith("…") for line in lines] == [True, False]  # a line that was cut says so
    assert max(map(len, lines)) <= 160


def test_one_that_waited_alone_is_told_as_it_is(desk: Desk) -> None:
    desk.target(quiet="11:00-13:00", breaks_through=False)
    desk.alert()
    assert desk.step() == []
    assert desk.step(3700) == ["[Critical] 东区 3 号机 · Labels photographed"]
    assert "comes late" not in desk.sent[0].body  # it has not ended
    desk.alert("a while ago", phase="end", started_at_unix=desk.clock.at - 1240)
    desk.step()
    assert "comes late: it ended 20 min" in desk.sent[1].body.replace("\u00a0", " ")


def test_a_month_old_alert_is_told_with_the_rest_and_wakes_nobody(desk: Desk) -> None:
    desk.target(quiet="22:00-07:00")
    for n in range(3):
        desk.alert(f"old{n}", phase="end", started_at_unix=desk.clock.at - 30 * 86400 + n)
    assert desk.step() == []
    assert desk.step(300) == []
    assert desk.step(310) == ["[Critical] 3 incidents came late (from an edge box that was cut off)"]
    desk.clock.at = NOON + 11 * 3600  # at night, where critical ones break through
    desk.alert("old at night", phase="end", started_at_unix=desk.clock.at - 30 * 86400)
    assert desk.step() == [] and desk.step(3600) == []
    desk.alert("live", started_at_unix=desk.clock.at - 50)
    assert desk.step() == ["[Critical] 东区 3 号机 · Labels photographed"]
    assert desk.step(7 * 3600) == ["[Critical] 东区 3 号机 · Labels photographed"]  # the morning after
    assert "comes late: it ended 30 days" in desk.sent[-1].body.replace("\u00a0", " ")


def test_what_comes_late_for_minutes_on_end_is_told_in_one_summary_not_in_one_each_look(desk: Desk) -> None:
    desk.target(severity="info")
    told: list[str] = []
    for minute in range(12):
        desk.alert(f"late{minute}", started_at_unix=desk.clock.at - 7200, severity="info")
        told += desk.step(60)
    assert told == ["[Note] 11 incidents came late (from an edge box that was cut off)"]


@pytest.mark.parametrize("offset_s", [-86400.0, 86400.0])
def test_a_box_with_a_wrong_clock_is_not_called_late(desk: Desk, offset_s: float) -> None:
    desk.target()
    with desk.store.database.writing() as connection:
        row = {"site": "shanghai", "edge": "box1", "clock_offset_s": offset_s}
        connection.execute(desk.store.database.insert(edges).values(row))
    desk.alert(phase="end", started_at_unix=desk.clock.at + offset_s - 45)
    assert desk.step() == ["[Critical] 东区 3 号机 · Labels photographed"]


@pytest.mark.parametrize("lasted_s", [600, 2 * 86400])
def test_alarms_of_the_system_are_told_once_and_so_is_their_end(desk: Desk, lasted_s: float) -> None:
    alarms = Alarms(desk.store.database)
    desk.target()
    silent = Sign("edge_silent", "shanghai", "box1", since=desk.clock.at - 300)
    alarms.judge([silent], desk.clock.at)
    assert desk.step() == ["[Critical] System alarms · Edge box shanghai / box1 says nothing"]
    assert "Check the box's power" in desk.sent[0].body
    alarms.judge([silent], desk.clock.at)
    assert desk.step() == []
    desk.clock.at += lasted_s
    alarms.judge([], desk.clock.at)
    assert desk.step() == ["[Over] System alarms · Edge box shanghai / box1 says nothing"]
    assert [notice_services.SEVERITIES[one.severity] for one in desk.sent] == ["failure", "success"]
    assert desk.step(10) == []


@pytest.mark.parametrize(
    ("rule", "answers"),
    [({"quiet": "11:00-13:00", "breaks_through": False}, []), ({}, [Answer(False, "error=503")])],
)
def test_an_alarm_that_is_over_before_it_could_be_told_is_told_once(
    desk: Desk, rule: dict[str, Any], answers: list[Answer]
) -> None:
    alarms = Alarms(desk.store.database)
    desk.target(**rule)
    desk.answers = list(answers)
    alarms.judge([Sign("edge_silent", "shanghai", "box1")], desk.clock.at)
    assert desk.step() == []
    alarms.judge([], desk.clock.at + 600)
    assert desk.step(3600) == ["[Over] System alarms · Edge box shanghai / box1 says nothing"]
    assert desk.step(10) == [] and desk.step(10) == []
    assert [state for state, _ in desk.states()] == ["sent"]


def test_when_a_sites_line_fails_its_alarms_are_told_in_few_notices_and_so_are_their_ends(desk: Desk) -> None:
    alarms, boxes = Alarms(desk.store.database), [f"box{n:02}" for n in range(12)]
    desk.target()
    told: list[str] = []
    for n in range(len(boxes)):  # each is missed some seconds after another
        alarms.judge([Sign("edge_silent", "shanghai", box) for box in boxes[: n + 1]], desk.clock.at)
        told += desk.step(10)
    assert told == [f"[Critical] System alarms · Edge box shanghai / {box} says nothing" for box in boxes[:3]]
    assert desk.step(GATHER_ALARMS_S) == ["[Critical] 9 system alarms"]
    assert "says nothing" in desk.sent[-1].body and desk.sent[-1].fields["count"] == 9
    assert [one["edge"] for one in desk.sent[-1].fields["alarms"]] == boxes[3:]
    desk.clock.at += 3600
    alarms.judge([], desk.clock.at)
    ends = desk.step() + desk.step(GATHER_ALARMS_S)
    assert ends[-1] == "[Over] 9 system alarms" and len(ends) == 4
    assert notice_services.SEVERITIES[desk.sent[-1].severity] == "success"
    assert desk.step(GATHER_ALARMS_S) == []


def test_alarms_that_are_over_before_their_summary_are_told_once(desk: Desk) -> None:
    alarms = Alarms(desk.store.database)
    desk.target()
    alarms.judge([Sign("edge_silent", "shanghai", f"box{n}") for n in range(8)], desk.clock.at)
    assert len(desk.step()) == 3
    alarms.judge([], desk.clock.at + 100)
    told = desk.step(GATHER_ALARMS_S + 1)
    assert told.count("[Over] 5 system alarms") == 1
    assert [title for _ in range(3) for title in desk.step(GATHER_ALARMS_S)] == []


def test_a_summary_of_alarms_that_was_being_sent_when_the_hub_died_goes_again(desk: Desk) -> None:
    alarms = Alarms(desk.store.database)
    desk.target()
    alarms.judge([Sign("edge_silent", "shanghai", f"box{n}") for n in range(8)], desk.clock.at)
    assert len(desk.step()) == 3
    desk.answers = [Answer(False, "no answer", unsure=True)]
    assert desk.step(GATHER_ALARMS_S) == []
    assert desk.step(3600) == ["[Critical] 5 system alarms"]
    assert "May be a double" in desk.sent[-1].body


def test_few_alarms_in_quiet_hours_are_told_each_by_itself_and_many_together(desk: Desk) -> None:
    alarms = Alarms(desk.store.database)
    desk.target(quiet="11:00-13:00", breaks_through=False)
    alarms.judge([Sign("edge_silent", "shanghai", f"box{n}") for n in range(5)], desk.clock.at)
    assert desk.step() == []
    assert desk.step(3600) == ["[Critical] 5 system alarms"]


def test_a_critical_alarm_does_not_wait_behind_many_warnings(desk: Desk) -> None:
    alarms, facts = Alarms(desk.store.database), {"backlog": 5, "oldest_s": 3600}
    desk.target()
    late = [Sign("backlog", "shanghai", f"box{n}", facts=facts) for n in range(8)]
    alarms.judge(late, desk.clock.at)
    assert len(desk.step()) == 3
    alarms.judge([*late, Sign("edge_silent", "shanghai", "box9")], desk.clock.at)
    assert desk.step(10) == ["[Critical] System alarms · Edge box shanghai / box9 says nothing"]


def test_losses_that_somebody_knows_of_are_not_looked_at_for_ever(desk: Desk) -> None:
    alarms, asked = Alarms(desk.store.database), list[str]()
    desk.target()
    for n in range(1, 21):
        alarms.judge([Sign("dropped", "shanghai", f"box{n}", count=n)], desk.clock.at)
        assert len(desk.step(GATHER_ALARMS_S)) == 1
        with desk.store.database.writing() as connection:
            alarms.acknowledge(connection, n, "li", desk.clock.at, EVERYWHERE)

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        asked.append(statement)

    event.listen(desk.store.database.engine, "before_cursor_execute", note)
    assert desk.step(10) == []
    assert len(asked) < 30


@pytest.mark.parametrize(
    ("site", "camera", "told"),
    [
        pytest.param("shanghai", "cam4", True, id="a camera that is named"),
        pytest.param("shanghai", "cam3", False, id="another"),
        pytest.param("shanghai", "", True, id="a box of its site"),
        pytest.param("suzhou", "cam1", True, id="a camera of a site that is named"),
        pytest.param("ningbo", "", False, id="another site"),
        pytest.param("", "", True, id="the hub itself"),
    ],
)
def test_alarms_of_any_of_its_places_are_told_by_a_rule(site: str, camera: str, told: bool) -> None:
    alarm = Alarm(1, "edge_silent", site, "", camera, "warning", NOON, NOON, NOON, None, None, None, 1, {})
    rule = Rule(places=("shanghai/cam4", "suzhou"))
    assert rule.wants_alarm(alarm, datetime(2026, 11, 1, 12, tzinfo=SHANGHAI)) is told


def test_whom_alarms_of_the_system_reach_is_for_rules_and_scopes_to_say(desk: Desk) -> None:
    alarms = Alarms(desk.store.database)
    desk.target("photos only", kinds=("label_photography",))
    desk.target("elsewhere", scope=Scope.of(["suzhou"]))
    desk.target("critical", severity="critical")
    desk.target("at night", quiet="11:00-13:00")
    alarms.judge([Sign("backlog", "shanghai", "box1", facts={"backlog": 5, "oldest_s": 3600})], desk.clock.at)
    assert desk.step() == []  # a warning, in quiet hours
    alarms.judge([Sign("hub_disk")], desk.clock.at)
    desk.clock.at += 70
    alarms.judge([Sign("hub_disk", facts={"free_gb": 1.5, "percent": 1.0})], desk.clock.at)
    told = "[Critical] System alarms · The hub's disk is nearly full: 1.5 GB free (1.0 %)"
    assert desk.step() == [told] * 3  # what ails the hub ails everybody


def test_above_the_hourly_number_comes_a_summary_and_critical_ones_have_as_many(desk: Desk) -> None:
    desk.target(per_hour=2)
    for n in range(5):
        desk.alert(f"w{n}", severity="warning")
    assert len(desk.step()) == 2
    for n in range(3):
        desk.alert(f"c{n}", severity="critical")
    assert len(desk.step(10)) == 2
    assert desk.step(3500) == []
    assert desk.step(200) == ["[Critical] 4 more within the hour"]


def test_a_box_that_tells_too_much_takes_no_other_boxes_place_among_critical_ones(desk: Desk) -> None:
    for box in ("box1", "box2", "box3"):
        key = wire.public_key_text(Ed25519PrivateKey.generate())
        EdgeKeys(desk.store.database).trust("shanghai", box, key, NOON)
    desk.target(per_hour=4)
    for n in range(9):
        desk.alert(f"flood{n}")
    assert len(desk.step()) == 4, "while others are quiet, a box has all of it"
    for box in ("box2", "box3"):
        for n in range(3):
            desk.alert(f"{box}-{n}", edge=box, camera_title=box)
        told = desk.step(5)
        assert told == [f"[Critical] {box} · Labels photographed"] * 2, "its share of 4, by three boxes, rounded up"
    desk.alert("warning1", severity="warning")
    assert len(desk.step(5)) == 1
    assert desk.states().count(("held", "limit")) == 7, "none is lost: they wait for a summary"


FATES: dict[str, Callable[[Notices, Notice], None]] = {
    "sent": lambda queue, one: queue.settle(one, Answer(True, "thanks"), NOON),
    "failed": lambda queue, one: queue.settle(one, Answer(False, "busy"), NOON),
    "put back": lambda queue, one: queue.put_back(one, NOON, unsure=True),
    "dropped": lambda queue, one: queue.drop(one, "cleared"),
    "over": lambda queue, one: queue.make_end(one),
}


def test_what_becomes_of_a_notice_touches_no_other_and_no_other_target(desk: Desk) -> None:
    queue = desk.notices
    targets = [desk.target(name) for name in (*FATES, "nobody")]
    desk.alert("inc-1")
    desk.alert("inc-2")
    desk.raise_all()

    def known() -> dict[str, Any]:
        log = queue.log([target.number for target in targets], limit=100)
        found = {f"notice {one.number}": one for one in log}
        return found | {f"target {one.number}": one for one in queue.targets.all()}

    def changed(act: Callable[..., Any], *arguments: Any) -> list[str]:
        before = known()
        act(*arguments)
        after = known()
        return [name for name in before if after[name] != before[name]]

    due = queue.due(NOON)
    assert sorted(due) == [target.number for target in targets]
    begun = {target: queue.begin(number, NOON) for target, number in due.items()}
    assert queue.begin(due[targets[0].number], NOON) is None, "it is being sent"
    for target, (fate, do) in zip(targets, FATES.items(), strict=False):
        one = begun[target.number]
        assert one
        of_target = [f"target {target.number}"] if fate == "failed" else []
        assert changed(do, queue, one) == [f"notice {one.number}", *of_target], fate
    for fate, n in (("put back", 0), ("sent", 2)):  # one thread may come too late with what another has settled
        one = begun[targets[n].number]
        assert one and changed(FATES[fate], queue, one) == []
    failed, left = targets[1].number, targets[-1].number
    assert failed not in queue.due(NOON + 29) and failed in queue.due(NOON + 30)
    assert left in queue.due(NOON) and left not in queue.due(NOON, busy=[left])
    waits = queue.due(NOON)[left]
    assert changed(queue.begin, waits, NOON) == [f"notice {waits}"]
    late = NOON + 2 * 86400
    held_long = queue.begin(queue.due(late)[targets[0].number], late)
    assert held_long
    queue.put_back(held_long, late, unsure=False)
    assert desk.states(targets[0]) == [("sent", ""), ("waiting", "")], "no moment's failure has it given up"


def test_what_one_is_told_much_of_holds_nothing_back_from_another(desk: Desk) -> None:
    alarms, facts = Alarms(desk.store.database), {"backlog": 5, "oldest_s": 3600}
    much = desk.target("much", per_hour=2)
    little = desk.target("little", per_hour=2, places=("suzhou",))
    late = [Sign("backlog", "shanghai", f"box{n}", facts=facts) for n in range(4)]
    for n in range(4):
        desk.alert(f"w{n}", severity="warning")
    alarms.judge(late, desk.clock.at)
    desk.step()
    desk.alert("far", site="suzhou", edge="box9", severity="warning")
    alarms.judge([*late, Sign("backlog", "suzhou", "box9", facts=facts)], desk.clock.at)
    desk.step(1)
    assert desk.states(little) == [("sent", "")] * 2
    held = [reason for state, reason in desk.states(much) if state == "held"]
    assert sorted(held) == ["limit"] * 3 + ["many"] * 2 and len(desk.states(much)) == 10


def test_the_summary_of_one_tells_nothing_that_another_still_waits_for_or_was_told(desk: Desk) -> None:
    alarms, facts = Alarms(desk.store.database), {"backlog": 5, "oldest_s": 3600}
    awake = desk.target("awake", kinds=("label_photography",))
    desk.target("until one", quiet="11:00-13:00")
    late = desk.target("until two", quiet="11:00-14:00")
    for n in range(3):
        desk.alert(f"w{n}", severity="warning")
    alarms.judge([Sign("backlog", "shanghai", f"box{n}", facts=facts) for n in range(5)], desk.clock.at)
    assert len(desk.step()) == 3
    desk.store.verdicts.add("w1", "guard", "false", "", NOON)
    desk.store.verdicts.add("w2", "guard", "true", "", NOON)
    summaries = ["[Warning] 2 in quiet hours", "[Warning] 5 system alarms"]
    assert sorted(desk.step(3600)) == summaries
    assert desk.states(late) == [("held", "quiet")] * 8 and desk.states(awake) == [("sent", "")] * 3
    assert sorted(desk.step(3600)) == summaries


def test_a_target_or_rule_that_is_taken_away_leaves_the_others(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("detector.hub.notices.targets.MOST_RULES", 2)  # of each, not of all
    monkeypatch.setattr("detector.hub.notices.targets.MOST_TARGETS", 2)
    targets = desk.notices.targets
    gone, stays = desk.target("gone"), desk.target("stays")
    with pytest.raises(NoticeError, match="notice_wrong_many"):
        desk.target("too many")
    with desk.store.database.writing() as connection:
        more = [targets.add_rule(connection, Rule(target=one.number, kinds=("tamper",))) for one in (gone, stays)]
        with pytest.raises(NoticeError, match="notice_wrong_many"):
            targets.add_rule(connection, Rule(target=stays.number))
    desk.alert()
    desk.raise_all()
    with desk.store.database.writing() as connection:
        targets.remove_rule(connection, more[1])
    assert [rule.target for rule in targets.rules()] == [gone.number, stays.number, gone.number]
    with desk.store.database.writing() as connection:
        targets.remove(connection, gone.number)
    assert targets.all() == [stays] and [rule.target for rule in targets.rules()] == [stays.number]
    assert desk.states(gone) == [("dropped", "target_removed")] and desk.states(stays) == [("waiting", "")]
    assert len(desk.step()) == 1


def test_a_target_goes_while_what_it_waits_for_is_summed_up(postgres: Callable[[], str], tmp_path: Path) -> None:
    store = Store(postgres())
    desk = Desk(store, tmp_path)
    target = desk.target(severity="warning", quiet="11:00-13:00")
    for n in range(2):
        desk.alert(f"inc-{n}", severity="warning")
    desk.raise_all()

    def remove() -> None:
        with store.database.writing() as connection:
            desk.notices.targets.remove(connection, target.number)
            Audit(store.database).add(connection, NOON, "li", "notice_target_removed", target.name)

    begun_first(store, remove, lambda: desk.notices.raising.gather(NOON + 3600))
    assert desk.notices.targets.all() == []
    store.close()


def test_a_summary_tells_of_each_box_in_turn(desk: Desk) -> None:
    desk.target(quiet="11:00-13:00", breaks_through=False)
    for n in range(30):
        desk.alert(f"flood{n:02}", camera_title="flood")
    desk.alert("true", edge="box2", camera_title="东区 3 号机")
    desk.alert("warning", edge="box3", severity="warning")
    desk.step()
    assert desk.step(3700) == ["[Critical] 32 in quiet hours"]
    first, second, *_, more, _link = desk.sent[0].body.splitlines()
    assert [line.split("] ")[1][:6] for line in (first, second)] == ["flood ", "东区 3 号"]
    assert more == "… and 22 more"
    assert desk.sent[0].fields and desk.sent[0].fields["count"] == len(desk.sent[0].fields["incidents"]) == 32


def test_however_many_are_told_together_no_statement_grows_with_them(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(raising, "AT_ONCE", 20)
    monkeypatch.setattr(sender, "MOST_LISTED", 20)
    sizes: list[int] = []

    def measure(_connection: Any, _cursor: Any, _statement: str, values: Any, *_rest: Any) -> None:
        sizes.append(len(values))

    event.listen(desk.store.database.engine, "before_cursor_execute", measure)
    desk.target(quiet="11:00-13:00", breaks_through=False)
    for n in range(150):
        desk.alert(f"flood{n}")
    desk.step()
    assert desk.step(3700) == ["[Critical] 150 in quiet hours"]
    assert max(sizes) < 100, "PostgreSQL takes 65,535 at most, and then nobody would be told of anything"


def test_a_hub_whose_clock_was_ahead_tells_at_once_when_it_is_right(desk: Desk) -> None:
    desk.clock.at += 8 * 3600
    desk.target()
    desk.answers = [Answer(False, "no network yet")]
    desk.alert("before", severity="warning")
    assert desk.step() == []
    desk.clock.at = NOON
    bring_back(desk.store.database, NOON)
    assert len(desk.step()) == 1
    desk.alert("after", severity="warning")
    assert len(desk.step(5)) == 1


def test_a_hub_whose_clock_is_years_behind_tells_all_the_same(desk: Desk) -> None:
    desk.target()
    desk.clock.at = BEHIND
    bring_back(desk.store.database, BEHIND)
    desk.alert()
    assert len(desk.step()) == 1


def test_somebody_is_told_of_no_place_that_the_maker_does_not_see(desk: Desk) -> None:
    desk.target(scope=Scope.of(["shanghai/cam3"]))
    desk.alert("seen")
    desk.alert("unseen", camera="cam4")
    assert len(desk.step()) == 1
    with pytest.raises(NoticeError, match="notice_wrong_place"), desk.store.database.writing() as connection:
        desk.notices.targets.add_rule(connection, Rule(target=1, places=("shanghai/cam4",)))


def test_who_sees_less_does_not_see_targets_that_tell_more(desk: Desk) -> None:
    desk.target("all of it")
    desk.target("one camera", scope=Scope.of(["shanghai/cam3"]))
    seen = {
        name: [target.name for target in desk.notices.targets.all(Scope.of([name]))]
        for name in ("shanghai", "shanghai/cam4")
    }
    assert seen == {"shanghai": ["one camera"], "shanghai/cam4": []} and len(desk.notices.targets.all()) == 2


def test_the_past_is_not_told(desk: Desk) -> None:
    desk.alert("before")
    desk.clock.at += 1
    desk.target()
    desk.store.verdicts.add("before", "guard", "unclear", "", NOON)
    assert desk.step(10) == []


def test_judged_before_it_is_told_it_is_not_told(desk: Desk) -> None:
    desk.target()
    desk.alert()
    desk.notices.raising.look_through(NOON)
    desk.store.verdicts.add("inc-1", "guard", "authorised", "", NOON)
    assert desk.step() == [] and desk.states() == [("dropped", "cleared")]


def test_what_was_cleared_by_mistake_before_it_was_told_is_told_once_that_is_undone(desk: Desk) -> None:
    desk.target()
    desk.alert()
    desk.raise_all()
    desk.store.verdicts.add("inc-1", "guard", "false", "", NOON)
    assert desk.step() == [] and desk.states() == [("dropped", "cleared")]
    desk.store.verdicts.withdraw("inc-1", "guard", NOON + 1)
    assert desk.step(5) == ["[Critical] 东区 3 号机 · Labels photographed"]
    desk.store.verdicts.add("inc-1", "guard", "true", "", NOON)
    assert desk.step(5) == [] and desk.states() == [("sent", "")]


def test_a_service_that_is_away_is_tried_ever_more_seldom_and_then_told_all_in_one(desk: Desk) -> None:
    target = desk.target()
    desk.answers = [Answer(False, "error=503")] * 3
    desk.alert("a")
    tries = []
    for _ in range(12):
        before = len(desk.answers)
        desk.step(10)
        tries += [desk.clock.at - NOON] * (before - len(desk.answers))
    assert tries == [10, 40, 100]  # 30 s, then 60 s, then 120 s
    for n in range(5):
        desk.alert(f"b{n}")
    found = desk.notices.targets.find(target.number)
    assert found and found.failures == 3 and desk.sent == []
    assert desk.step(10) == ["[Critical] 6 while notices could not be sent"], "whenever the first is tried again"
    found = desk.notices.targets.find(target.number)
    assert found and found.failures == 0


def test_of_what_was_told_the_latest_is_kept_and_what_waits_is_kept_in_any_case(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("detector.hub.notices.queue.KEPT", 3)
    asleep = desk.target("asleep", severity="warning", quiet="11:00-13:00")
    desk.alert("held", severity="warning")
    desk.step()
    told = desk.target("awake", severity="warning")
    for n in range(5):
        desk.alert(f"inc-{n}")
        desk.step(1)
    desk.notices.tidy()
    assert [notice.incident for notice in desk.notices.log([asleep.number]) if notice.state == "held"] == ["held"]
    both = [told.number, asleep.number]
    log = desk.notices.log(both)
    assert len(log) == 3 + 1 and log == sorted(log, key=lambda one: -one.number)
    assert [*desk.notices.log(both, limit=2), *desk.notices.log(both, before=log[1].number)] == log


def test_what_can_not_be_told_for_a_day_is_given_up_in_sight(desk: Desk) -> None:
    desk.target()
    desk.answers = [Answer(False, "refused")] * 100
    desk.alert()
    desk.step()
    for _ in range(26):
        desk.step(3600)
    assert desk.states() == [("failed", "")]
    assert desk.notices.log([1])[0].answer == "refused" and desk.notices.log([1])[0].tries > 5


def test_what_a_service_never_takes_keeps_no_other_notice_waiting_and_is_given_up_after_a_day(desk: Desk) -> None:
    def takes_all_but_one(found: str, message: Message, *, service: str) -> Answer:
        return Answer(False, "HTTP 400") if "/odd" in message.body else desk.keep(found, message, service=service)

    desk.target()
    desk.sender._send = takes_all_but_one
    desk.alert("odd")
    assert desk.step() == []
    for n in range(30):
        desk.step(3600)
        desk.alert(f"inc-{n}")
        assert len(desk.step(60)) == 1
    assert desk.states()[0] == ("failed", "")


def test_a_service_that_is_away_for_long_gets_one_summary_of_all_that_came_meanwhile(desk: Desk) -> None:
    desk.target(per_hour=100)
    desk.answers = [Answer(False, "no route")] * 1000
    for n in range(40):
        desk.alert(f"inc-{n}")
        desk.step(600)
    desk.answers = []
    titles = [title for _ in range(5) for title in desk.step(600)]
    told = sum(int(title.split()[1]) if "while" in title else 1 for title in titles)
    assert told == 40 and len(titles) <= 4, titles
    assert [notice.state for notice in desk.notices.log([1], limit=100) if notice.state == "waiting"] == []


def test_a_message_that_is_never_taken_delays_no_graver_one_by_more_than_a_moment(desk: Desk) -> None:
    def takes_all_but_one(found: str, message: Message, *, service: str) -> Answer:
        return Answer(False, "HTTP 400") if "/odd" in message.body else desk.keep(found, message, service=service)

    desk.target(severity="warning")
    desk.sender._send = takes_all_but_one
    desk.alert("odd", severity="warning")
    for _ in range(60):
        desk.step(60)
    tries = desk.notices.log([1])[0].tries
    assert desk.sent == [] and 6 <= tries <= 9, "ever more seldom"
    desk.alert("grave")
    assert len(desk.step(5) + desk.step(30)) == 1


def test_what_waited_in_a_hub_that_was_off_for_days_is_not_given_up_for_a_moment(desk: Desk) -> None:
    desk.target()
    desk.alert()
    desk.raise_all()
    desk.answers = [Answer(False, "no network yet")] * 3
    desk.clock.at += 2 * 86400
    assert desk.step() == [] and desk.states() == [("waiting", "")]
    assert [title for _ in range(4) for title in desk.step(300)] == ["[Critical] 东区 3 号机 · Labels photographed"]


def test_what_was_being_sent_when_the_hub_died_goes_again_and_says_so(desk: Desk) -> None:
    target = desk.target()
    desk.alert("told")
    assert len(desk.step()) == 1
    desk.alert()
    desk.raise_all()
    (due,) = desk.notices.due(NOON).values()
    assert desk.notices.begin(due, NOON) and desk.notices.add_test(target, NOON)
    desk.sender = desk.restarted()
    assert desk.notices.take_up() == 1
    assert desk.states() == [("sent", ""), ("waiting", "again"), ("failed", "")], "who asked for the test is gone"
    assert len(desk.step()) == 1 and "May be a double" in desk.sent[1].body
    assert desk.notices.take_up() == 0


def test_a_database_that_fails_before_a_notice_is_sent_delays_that_one_alone(desk: Desk) -> None:
    desk.target()
    desk.alert()
    desk.notices.raising.look_through(NOON)
    desk.refused = ["FROM incidents"]
    assert desk.step() == [] and desk.states() == [("waiting", "")]
    desk.alert("next")
    assert len(desk.step(10)) == 1 and desk.sent[0].body.endswith("/next")
    assert len(desk.step(30)) == 1 and "May be a double" not in desk.sent[1].body
    assert desk.step(60) == [] and desk.states() == [("sent", "")] * 2


@pytest.mark.parametrize("failures", [1, 2])  # the second keeps it from being put back at once
def test_a_database_that_fails_after_a_notice_was_sent_has_it_go_again_and_say_so(desk: Desk, failures: int) -> None:
    def send_(found: str, message: Message, *, service: str) -> Answer:
        desk.refused = ["UPDATE notices"] * failures
        return desk.keep(found, message, service=service)

    desk.target()
    alarms = Alarms(desk.store.database)
    alarms.judge([Sign("edge_silent", "shanghai", "box1")], desk.clock.at)
    desk.sender._send = send_
    assert len(desk.step()) == 1 and desk.refused == []
    desk.sender._send = desk.keep
    assert desk.step(5) == [] and desk.states() == [("waiting", "again")]
    assert len(desk.step(30)) == 1 and "May be a double" in desk.sent[1].body
    alarms.judge([], desk.clock.at + 600)
    assert desk.step(600) == ["[Over] System alarms · Edge box shanghai / box1 says nothing"]
    assert [state for state, _ in desk.states()] == ["sent"] * 2


def test_a_notice_that_can_not_be_made_is_tried_ever_more_seldom_and_given_up_after_a_day(desk: Desk) -> None:
    desk.target()
    desk.alert()
    desk.notices.raising.look_through(NOON)
    desk.refused = ["FROM incidents"] * 1000
    for _ in range(26 * 2):
        desk.step(1800)
    assert desk.states() == [("failed", "")] and 30 < desk.notices.log([1])[0].tries < 50


def test_a_test_that_is_under_way_is_left_to_who_asked_for_it(desk: Desk) -> None:
    target = desk.target()
    test = desk.notices.add_test(target, NOON)
    assert desk.step(60) == [] and desk.states() == [("sending", "")]
    desk.notices.settle(test, Answer(True, ""), NOON)
    assert desk.states() == [("sent", "")]


def test_a_test_that_failed_is_not_sent_again_and_keeps_no_notice_waiting(desk: Desk) -> None:
    target = desk.target()
    desk.answers = [Answer(False, "refused")]
    assert not desk.sender.test(target).ok
    assert desk.states() == [("failed", "")] and desk.notices.targets.find(target.number) == target
    desk.alert()
    assert desk.step() == ["[Critical] 东区 3 号机 · Labels photographed"] and desk.step(3600) == []


def test_a_time_out_is_no_certain_failure(desk: Desk) -> None:
    desk.target()
    desk.answers = [Answer(False, "timeout", unsure=True)]
    desk.alert()
    desk.step()
    assert len(desk.step(60)) == 1 and "May be a double" in desk.sent[0].body


DIES = """
import os, sys
from pathlib import Path
from detector.hub.notices.sender import NoticeSender
from detector.hub.notices.queue import Notices
from detector.hub.storage.store import Store
from detector.hub.notices.services import Answer
from detector.config import HubConfig
from detector.clock import SystemClock
url, folder, out = sys.argv[1:]
store = Store(url)
def send(found, message, *, service):
    with open(out, "a") as file:
        file.write(message.body.splitlines()[-1] + "\\n")
        file.flush()
        os.fsync(file.fileno())
    if not Path(out).with_suffix(".died").exists():
        Path(out).with_suffix(".died").touch()
        os.kill(os.getpid(), 9)
    return Answer(True, "")
notices = Notices(store.database, Path(folder), "UTC")
sender = NoticeSender(notices, store, HubConfig(data_dir=folder, public_url="http://h"), SystemClock(), send)
sender.start()
import time
until = time.time() + 8
while time.time() < until and notices.due(time.time()):
    sender.poke()
    time.sleep(0.02)
sender.stop(5)
"""


def test_kill_9_between_sending_and_recording_loses_nothing_and_doubles_only_that_one(
    store: Store, tmp_path: Path
) -> None:
    desk = Desk(store, tmp_path)
    desk.clock.at = time.time()
    desk.target(per_hour=100)
    for n in range(5):
        desk.alert(f"i{n}")
    desk.notices.raising.look_through(time.time())
    url = store.database.engine.url.render_as_string(hide_password=False)
    out = tmp_path / "sent"
    codes = [
        subprocess.run([sys.executable, "-c", DIES, url, str(tmp_path), str(out)], check=False).returncode
        for _ in range(2)
    ]
    assert codes == [-9, 0]
    told = out.read_text().split()
    assert sorted(set(told)) == [f"http://h/incidents/i{n}" for n in range(5)]
    assert len(told) == 6  # the one that was under way when it died, twice
    assert [state for state, _ in desk.states()] == ["sent"] * 5


def test_however_much_changed_between_two_looks_all_is_told(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.target(per_hour=100)
    monkeypatch.setattr("detector.hub.notices.raising.AT_ONCE", 2)
    for n in range(6):
        desk.alert(f"i{n}")
    assert len(desk.step()) == 6


def test_an_alert_does_not_wait_behind_changes_that_nobody_is_told_of(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("detector.hub.notices.raising.AT_ONCE", 3)
    desk.target()
    for n in range(7):
        desk.alert(f"note-{n}", severity="info")
    desk.alert()
    assert desk.step() == ["[Critical] 东区 3 号机 · Labels photographed"]


def test_a_service_that_hangs_keeps_only_itself_waiting(desk: Desk) -> None:
    hangs, released, answered = threading.Event(), threading.Event(), threading.Event()
    slow = desk.target("slow")
    desk.target("quick")

    def send_(found: str, message: Message, *, service: str) -> Answer:
        if threading.current_thread().name == f"notice-{slow.number}":
            hangs.set()
            released.wait(60)
            answered.set()
        else:
            desk.sent.append(message)
        return Answer(True, "")

    desk.sender._send = send_
    for n in range(3):
        desk.alert(f"i{n}")
        desk.sender.step()
        hangs.wait(30)
    until = time.monotonic() + 30
    while len(desk.sent) < 3 and time.monotonic() < until:
        desk.sender.step()
        time.sleep(0.01)
    assert len(desk.sent) == 3 and not answered.is_set()
    assert [notice.state for notice in desk.notices.log([slow.number])] == ["waiting", "waiting", "sending"]
    assert sum(thread.name == f"notice-{slow.number}" for thread in threading.enumerate()) == 1
    released.set()
    for thread in list(desk.sender._busy.values()):
        thread.join(60)


# Pages


FORM = {"service": "webhook", "name": "仓库群", "language": "zh", "picture": "on"}


def add(site: Any, url: str, **changes: str) -> Any:
    """A target by the form."""
    return site.client.post("/notices/targets", data={**FORM, "url": url, **changes})


@pytest.mark.parametrize("language", LANGUAGES)
def test_where_notices_carry_no_link_the_page_says_in_which_file_by_which_key_they_would(
    tmp_path: Path, language: str
) -> None:
    example = "public_url: https://hub.example.com"
    assert example in (REPOSITORY / "configs" / "hub.yaml").read_text()
    for folder, settings, is_said in (("a", {}, True), ("b", {"public_url": "https://hub.example"}, False)):
        (tmp_path / folder).mkdir()
        site = Site(tmp_path / folder, language=language, **settings)
        page = site.client.get("/notices").text
        assert (f"<code>{example}</code>" in page, "hub.yaml" in page) == (is_said, is_said)
        site.store.close()


def test_a_signed_webhook_is_added_by_the_page_and_its_secret_never_shown(site: Any, web: Web) -> None:
    form = {"service": "signed", "name": "warehouse", "language": "en", "url": f"{web.url}/{SECRET}"}
    wrong = site.client.post("/notices/targets", data={**form, "signing": SECRET[:9]})
    assert wrong.status_code == 400 and "至少 16 个字符" in wrong.text and SECRET[:9] not in wrong.text
    assert site.client.post("/notices/targets", data={**form, "signing": SECRET}).status_code == 303
    tested = site.client.post("/notices/targets/1/test").text
    assert "已发出" in tested and "HTTP 200" in tested and SECRET not in tested
    assert is_signed(web.got[0], SECRET.encode()) and web.got[0].json["type"] == "test"


def test_a_target_is_added_tested_ruled_and_removed_by_the_page(site: Any, web: Web) -> None:
    assert "还没有通知对象" in site.client.get("/notices").text
    assert add(site, f"{web.url}/{SECRET}").status_code == 303
    page = site.client.get("/notices").text
    assert "仓库群" in page and "注意及以上" in page and SECRET not in page
    tested = site.client.post("/notices/targets/1/test")
    assert tested.status_code == 200 and "已发出" in tested.text and "Sent JSON" in tested.text
    assert web.got[0].json["title"] == "labelwatch 测试消息"
    web.status = 500
    tested = site.client.post("/notices/targets/1/test").text
    assert "没有发出" in tested and "500" in tested and SECRET not in tested
    assert "对方回答" in tested
    web.stop()
    for language, words in (("zh", "没有发出。连不上服务器：对方拒绝连接"), ("en", "Not sent. The server couldn")):
        site.client.cookies.set("language", language)
        tested = html.unescape(site.client.post("/notices/targets/1/test").text)
        in_log = tested.partition('class="notice-log"')[2]
        assert words in tested and ("refuses" if language == "en" else "拒绝连接") in in_log
        assert "onnection error" not in tested
    site.client.cookies.set("language", "zh")
    rule = {
        "severity": "critical", "kind_lingering": "on", "day_0": "on", "places": "shanghai/cam3, suzhou",
        "hours_from": "08:00", "hours_to": "20:00", "quiet_from": "22:00", "quiet_to": "07:00", "per_hour": "3",
        "unheard": "on",
    }  # fmt: skip
    assert site.client.post("/notices/targets/1/rules", data=rule).status_code == 303
    page = site.client.get("/notices").text
    for words in ("严重及以上", "shanghai/cam3 · suzhou", "08:00-20:00", "22:00-07:00 免打扰", "每小时最多 3 条"):
        assert words in page, words
    assert site.client.post("/notices/rules/1/remove").status_code == 303
    assert site.client.post("/notices/targets/1/remove").status_code == 303
    assert "还没有通知对象" in site.client.get("/notices").text
    actions = [entry.action for entry in site.app.app.state.parts.audit.entries() if "notice" in entry.action]
    assert actions[::-1] == [
        "notice_target_added", *["notice_target_tested"] * 4, "notice_rule_added",
        "notice_rule_removed", "notice_target_removed",
    ]  # fmt: skip


@pytest.mark.parametrize(("after_s", "told"), [(65.0, "最近 12:01:05"), (86_400.0, "最近 11-02 12:00:00")])
def test_the_log_says_when_a_notice_was_tried_last(site: Any, web: Web, after_s: float, told: str) -> None:
    add(site, web.url)
    site.client.post("/notices/targets/1/rules", data={"severity": "warning", **{f"day_{n}": "on" for n in range(7)}})
    notices = site.parts.notices
    notices.raising.look_through(NOON)
    site.store.add_alerts([make_envelope(1, started_at_unix=NOON - 45)], NOON)
    notices.raising.look_through(NOON)
    assert told not in site.client.get("/notices").text
    sent = notices.begin(1, NOON + after_s)
    notices.settle(sent, Answer(False, "503"), NOON + after_s)
    assert told in re.sub("<[^>]+>", "", site.client.get("/notices").text)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"name": ""}, "名称要填"),
        ({"name": "x" * 61}, "名称要填"),
        ({"name": "a\0b"}, ""),
        ({"url": ""}, "有必填项没有填"),
        ({"url": "ftp://x"}, "服务器地址或端口不对"),
        ({"service": "raw", "where": "env", "url_env": ""}, "有必填项没有填"),
        ({"service": "raw", "where": "file", "url_file": ""}, "有必填项没有填"),
        ({"service": "raw", "where": "env", "url_env": "PATH"}, "环境变量名要以"),
        ({"service": "raw", "where": "file", "url_file": "/etc/passwd"}, "文件只能在"),
        ({"service": "raw", "where": "file", "url_file": "../notices.key"}, "文件只能在"),
        ({"service": "raw", "where": "file", "url_file": "a\0"}, ""),
    ],
)
def test_a_target_that_can_not_be_is_refused_with_the_reason(site: Any, changes: dict[str, str], words: str) -> None:
    answer = add(site, **{"url": f"http://h/{SECRET}", **changes})
    assert answer.status_code == 400 and words in answer.text and SECRET not in answer.text


@pytest.mark.parametrize(
    "rule",
    [
        {"severity": "dire"},
        {"per_hour": "0"},
        {"per_hour": "-1"},
        {"per_hour": "99999"},
        {"per_hour": "²"},
        {"hours_from": "08:00"},
        {"hours_from": "08:00", "hours_to": "08:00"},
        {"quiet_from": "25:00", "quiet_to": "07:00"},
        {"places": "a//b"},
        {"places": "x" * 300},
        {"places": "a\0"},
    ],
)
def test_a_rule_that_can_not_be_is_refused(site: Any, rule: dict[str, str]) -> None:
    add(site, "http://h/x")
    assert site.client.post("/notices/targets/1/rules", data=rule).status_code == 400
    assert len(site.app.app.state.parts.notices.targets.rules()) == 1


def test_a_rule_for_a_place_that_nothing_was_told_of_is_asked_about_first(site: Any) -> None:
    add(site, "http://h/x")
    site.store.add_alerts([make_envelope(1), make_envelope(2, incident="inc-2", site="suzhou")], NOON)
    rules = "/notices/targets/1/rules"
    rule = {"severity": "critical", "places": "shanghai/cam3/bulk、Suzho，shanghai/cam4, nanjing"}
    refused = site.client.post(rules, data=rule)
    said = html.unescape(refused.text)
    assert refused.status_code == 400 and len(site.app.app.state.parts.notices.targets.rules()) == 1
    for words in (
        "还没有设备报告过 Suzho。 是不是 suzhou？", "还没有设备报告过 shanghai/cam4。 是不是 shanghai/cam3？",
        "还没有设备报告过 nanjing。",
    ):  # fmt: skip
        assert words in said, words
    assert "报告过 shanghai/cam3/bulk" not in said
    assert site.client.post(rules, data={**rule, "unheard": "on"}).status_code == 303
    places = site.app.app.state.parts.notices.targets.rules()[-1].places
    assert places == ("shanghai/cam3/bulk", "Suzho", "shanghai/cam4", "nanjing")


def test_what_was_typed_into_a_refused_rule_is_filled_in_again(site: Any) -> None:
    add(site, "http://h/x")
    rule = {
        "severity": "critical", "per_hour": "7", f"kind_{KINDS[1]}": "on", "places": "shanghai/dock-3", "day_2": "on",
        "hours_from": "08:30", "hours_to": "", "quiet_from": "22:00", "quiet_to": "06:15",
    }  # fmt: skip
    page = site.client.post("/notices/targets/1/rules", data=rule).text
    open_form = page[page.index("<details open>") :].split("</form>")[0]
    for filled in (
        '<option value="critical" selected>', 'name="per_hour" min="1" max="1000" value="7"',
        f'name="kind_{KINDS[1]}" checked', 'value="shanghai/dock-3"', 'name="day_2" checked',
        'name="hours_from" value="08:30"', 'name="quiet_to" value="06:15"',
    ):  # fmt: skip
        assert filled in open_form, filled
    assert open_form.count("checked") == 2 and open_form.count("selected") == 1


def test_what_was_typed_into_a_refused_target_is_filled_in_again_but_no_address(site: Any) -> None:
    page = add(site, f"ftp://h/{SECRET}", name="night watch", language="en", service="raw", where="given").text
    assert 'value="night watch"' in page and SECRET not in page
    open_form = page[page.index('<details name="service" open>') :].split("</form>")[0]
    assert '<option value="en" selected>' in open_form


def test_two_targets_of_one_name_are_refused(site: Any) -> None:
    assert add(site, "http://h/x").status_code == 303
    assert "这个名称已经有了" in add(site, "http://h/x").text


def test_addresses_by_environment_and_file(
    site: Any, web: Web, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LABELWATCH_NOTICE_URL", f"json://127.0.0.1:{web.port}/{SECRET}")
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "notice").write_text(f"json://127.0.0.1:{web.port}/{SECRET}\n")
    raw = {"service": "raw", "url": ""}
    assert add(site, **{**raw, "name": "e", "where": "env", "url_env": "LABELWATCH_NOTICE_URL"}).status_code == 303
    assert add(site, **{**raw, "name": "f", "where": "file", "url_file": "notice"}).status_code == 303
    for number in (1, 2):
        assert "已发出" in site.client.post(f"/notices/targets/{number}/test").text
    (tmp_path / "secrets" / "notice").unlink()
    assert "没有地址" in site.client.post("/notices/targets/2/test").text


def test_only_who_configures_sees_notices_and_only_in_their_scope(site: Any, web: Web) -> None:
    add(site, f"{web.url}/x")
    for role in (Role.REVIEWER, Role.VIEWER):
        assert site.somebody(role).get("/notices").status_code == 403
        assert site.somebody(role).post("/notices/targets/1/test").status_code == 403
    admin = site.somebody(Role.ADMIN, ["suzhou"])
    assert "仓库群" not in admin.get("/notices").text
    for path in ("targets/1/test", "targets/1/remove", "targets/1/rules", "rules/1/remove", "targets/99/test"):
        assert admin.post(f"/notices/{path}", data={}).status_code == 404, path
    assert site.visitor().get("/notices").status_code == 303
    assert web.got == []
    for number in ("0", "x", str(2**70)):
        assert site.client.post(f"/notices/targets/{number}/test").status_code == 404


def test_a_planted_secret_is_in_no_log_page_or_table(
    site: Any, web: Web, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    caplog.set_level(logging.DEBUG)
    web.status = 503
    add(site, f"{web.url}/{SECRET}?k={SECRET}")
    sender = site.app.app.state.parts.sender
    site.client.post("/notices/targets/1/test")
    sender.step()
    site.store.add_alerts([make_envelope(1)], NOON)
    sender.step()
    for thread in list(sender._busy.values()):
        thread.join(60)
    pages = [site.client.get(path).text for path in ("/notices", "/notices/log", "/audit", "/")]
    assert len(web.got) == 2 and SECRET in web.got[0].path
    assert "503" in pages[0]
    dump = subprocess.run(
        ["python3", "-c", DUMP, str(tmp_path / "hub.sqlite")], capture_output=True, text=True, check=True
    )
    assert "webhook" in dump.stdout
    for where in (*pages, caplog.text, dump.stdout):
        assert SECRET not in where
    assert stat.S_IMODE((tmp_path / "notices.key").stat().st_mode) == 0o600


DUMP = "import sqlite3, sys; print(*sqlite3.connect(sys.argv[1]).iterdump(), sep='\\n')"


def test_with_another_key_a_sealed_address_is_asked_for_anew(desk: Desk, tmp_path: Path) -> None:
    target = desk.target()
    (tmp_path / "notices.key").unlink()
    others = Notices(desk.store.database, tmp_path, "UTC")
    with pytest.raises(NoticeError, match="notice_wrong_seal"):
        others.targets.address(target)


def test_every_state_and_reason_has_words() -> None:
    states, reasons = set[str](), set[str]()
    named = {"PAUSED": PAUSED, "LATE": raising.LATE, "MANY": raising.MANY}
    for file in Path(raising.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            for told, name in ((states, "state"), (reasons, "reason")):
                given = [node.value] if isinstance(node, ast.keyword) and node.arg == name else []
                if isinstance(node, ast.Dict):
                    keyed = zip(node.keys, node.values, strict=True)
                    given = [value for key, value in keyed if isinstance(key, ast.Constant) and key.value == name]
                if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name:
                    given = [node.value]
                for each in (part for value in given for part in ast.walk(value)):
                    if isinstance(each, ast.Constant) and isinstance(each.value, str):
                        told.add(each.value)
                    elif isinstance(each, ast.Name) and each.id in named:
                        told.add(named[each.id])
    reasons -= {"", "risen"}  # whose state says it all
    assert {"waiting", "sending", "held", "sent", "failed", "summed", "risen", "dropped"} <= states
    assert {"again", "cleared", "late", "limit", "many", "paused", "quiet", "target_removed"} <= reasons
    words = {f"notice_state_{state}" for state in states} | {f"notice_reason_{reason}" for reason in reasons}
    assert all(words <= texts.keys() for texts in TEXTS.values())
    assert {severity.value for severity in Severity} | {notice_services.OVER} == set(notice_services.SEVERITIES)
