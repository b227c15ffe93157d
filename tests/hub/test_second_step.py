"""After the password a code from the phone: who has only the password stays out, and who lost the phone can come in."""

from __future__ import annotations

import base64
import html
import re
import stat
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select
from starlette.testclient import TestClient

from detector.hub.access import second_step
from detector.hub.access.audit import Audit
from detector.hub.access.auth import CODE_S, CODE_TRIES, CodeWanted, Gate
from detector.hub.access.seal import Seal
from detector.hub.storage.rights import CONSOLE, Role
from detector.hub.storage.schema import recovery_codes
from detector.hub.upkeep.console import Console
from tests.hub.conftest import CHEAP, NOON, Site

PASSWORD = "correct horse battery"  # of everybody whom `Site.somebody` makes
SECRET = base64.b32encode(b"12345678901234567890").decode()


@pytest.mark.parametrize(
    ("at", "code"),  # RFC 6238, appendix B, SHA-1: the last six of eight digits
    [
        (59, "287082"), (1111111109, "081804"), (1111111111, "050471"), (1234567890, "005924"), (2000000000, "279037"),
        (20000000000, "353130"),
    ],
)  # fmt: skip
def test_codes_are_those_of_the_standard(at: float, code: str) -> None:
    assert second_step.code(SECRET, int(at // 30)) == code
    assert second_step.step_of(SECRET, f"{code[:3]} {code[3:]}", at) == int(at // 30)


@given(st.integers(0, 2**40), st.integers(-6, 6))
def test_a_clock_may_be_off_by_half_a_minute_and_no_more(at: int, away: int) -> None:
    now = at // 30
    made = max(now + away, 0)
    found = second_step.step_of(SECRET, second_step.code(SECRET, made), float(at))
    near = [step for step in (now - 1, now, now + 1) if step >= 0]
    # Two steps in a million have the same code.
    expected = [step for step in near if second_step.code(SECRET, step) == second_step.code(SECRET, made)]
    assert made in expected or made not in near
    assert found == (expected[0] if expected else None)


@pytest.mark.parametrize("typed", ["", "12345", "1234567", "٢٨٧٠٨٢", "²87082", "+87082", "-28708", "0x2870", "a" * 999])
def test_what_is_no_code_is_of_no_step(typed: str) -> None:
    assert second_step.step_of(SECRET, typed, 59) is None


def test_recovery_codes_are_known_however_they_are_typed() -> None:
    codes = second_step.new_recovery_codes()
    assert len(set(codes)) == second_step.RECOVERY_CODES
    typed = codes[0].upper().replace("-", " ")
    assert second_step.recovery_sha256(typed) == second_step.recovery_sha256(codes[0])


class Phone:
    """A user with a second step, and the phone that makes their codes."""

    def __init__(self, site: Site, role: Role = Role.OWNER, name: str = "") -> None:
        self.site, self.name = site, name or f"a-{role}"
        self.client = site.somebody(role, name=name)
        page = self.client.post("/account/second-step", data={"password": PASSWORD}).text
        self.secret = re.findall(r"<code>([A-Z2-7]{32})</code>", page)[0]
        assert "<svg" in page
        answer = self.client.post("/account/second-step/confirm", data={"code": self.code()})
        self.recovery = re.findall(r"<code>([a-z2-7-]{19})</code>", answer.text)
        assert answer.status_code == 200 and len(self.recovery) == 8
        site.clock.at += 30  # the code that confirmed it is used up

    def code(self) -> str:
        return second_step.code(self.secret, int(self.site.clock.now() // 30))

    def password(self, client: TestClient) -> str:
        """Log in by the password; what lets the code follow."""
        answer = client.post("/login", data={"user": self.name, "password": PASSWORD, "next": "/health"})
        assert answer.status_code == 200 and "set-cookie" not in answer.headers
        return re.findall(r'name="token" value="([^"]+)"', answer.text)[0]

    def enter(self, client: TestClient, token: str, code: str) -> Any:
        return client.post("/login/code", data={"token": token, "code": code, "next": "/health"})


@pytest.fixture
def phone(site: Site) -> Phone:
    return Phone(site)


def test_the_password_alone_opens_nothing_and_the_code_after_it_does(site: Site, phone: Phone) -> None:
    visitor = site.visitor()
    token = phone.password(visitor)
    assert visitor.get("/").status_code == 303
    wrong = f"{(int(phone.code()) + 1) % 10**6:06}"
    assert phone.enter(visitor, token, wrong).status_code == 401 and visitor.get("/").status_code == 303
    answer = phone.enter(visitor, token, phone.code())
    assert answer.status_code == 303 and answer.headers["location"] == "/health"
    assert visitor.get("/").status_code == 200


def test_a_code_opens_once_and_so_does_what_the_password_gave(site: Site, phone: Phone) -> None:
    first, second = site.visitor(), site.visitor()
    token, other = phone.password(first), phone.password(second)
    code = phone.code()
    assert phone.enter(first, token, code).status_code == 303
    assert phone.enter(second, other, code).status_code == 401  # somebody looked over the shoulder
    site.clock.at += 30
    assert phone.enter(second, token, phone.code()).status_code == 401
    assert phone.enter(second, other, phone.code()).status_code == 303


def test_a_recovery_code_opens_once_and_is_on_record(site: Site, phone: Phone) -> None:
    for status in (303, 401):
        visitor = site.visitor()
        assert phone.enter(visitor, phone.password(visitor), phone.recovery[0].upper()).status_code == status
    assert site.people.recovery_codes_left(phone.name) == 7
    assert "用了恢复码" in site.client.get("/audit").text
    with site.store.database.reading() as connection:
        kept = " ".join(connection.execute(select(recovery_codes.c.sha256)).scalars())
    assert not any(code in kept or code.replace("-", "") in kept for code in phone.recovery)


def test_the_database_alone_tells_nothing_of_what_phones_make_codes_of(site: Site, phone: Phone) -> None:
    kept = site.people.step_secret(phone.name)
    assert kept is not None
    assert phone.secret not in kept and phone.secret.encode() not in (site.folder / "hub.sqlite").read_bytes()
    assert stat.S_IMODE((site.folder / second_step.KEY_FILE).stat().st_mode) == 0o600


def test_with_another_key_no_code_opens_and_recovery_codes_still_do(
    site: Site, phone: Phone, caplog: pytest.LogCaptureFixture
) -> None:
    (site.folder / second_step.KEY_FILE).unlink()
    gate = Gate(site.people, CHEAP, Seal(site.folder / second_step.KEY_FILE))
    at = site.clock.now()
    for code, opens in ((phone.code(), False), (phone.recovery[0], True)):
        token = gate.log_in(phone.name, PASSWORD, "203.0.113.9", at)
        assert isinstance(token, CodeWanted)
        assert (gate.enter_code(token.token, code, "203.0.113.9", at) is not None) is opens
    assert f"codes of {phone.name} can't be checked" in caplog.text


def test_a_login_waits_for_its_code_some_minutes_and_few_tries(site: Site, phone: Phone) -> None:
    late = site.visitor()
    token = phone.password(late)
    site.clock.at += CODE_S + 1
    answer = phone.enter(late, token, phone.code())
    assert answer.status_code == 401 and "重新登录" in answer.text and 'name="password"' in answer.text
    guesser = site.visitor()
    token = phone.password(guesser)
    for _ in range(CODE_TRIES):
        assert phone.enter(guesser, token, "000000").status_code == 401
    assert 'name="password"' in phone.enter(guesser, token, phone.code()).text
    assert phone.enter(guesser, "made up", phone.code()).status_code == 401


def test_whoever_knows_the_password_cannot_try_all_codes(site: Site, phone: Phone) -> None:
    statuses = []
    for _ in range(4):
        visitor = site.visitor()
        token = phone.password(visitor)
        statuses += [phone.enter(visitor, token, "000000").status_code for _ in range(CODE_TRIES)]
    assert statuses == [401] * 10 + [429] * 10
    assert "验证码不对" in site.client.get("/audit").text
    site.clock.at += 24 * 3600
    assert phone.enter(site.visitor(), phone.password(site.visitor()), phone.code()).status_code == 303


def test_after_too_many_wrong_codes_the_page_says_for_how_long_no_other_is_taken(site: Site, phone: Phone) -> None:
    for _ in range(2):
        visitor = site.visitor()
        token = phone.password(visitor)
        for _ in range(CODE_TRIES):
            phone.enter(visitor, token, "000000")
    refused = phone.enter(site.visitor(), phone.password(site.visitor()), phone.code())
    assert refused.status_code == 429 and "请等五分钟再试" in refused.text
    site.clock.at += 4 * 60
    assert phone.enter(site.visitor(), phone.password(site.visitor()), phone.code()).status_code == 429
    site.clock.at += 60
    assert phone.enter(site.visitor(), phone.password(site.visitor()), phone.code()).status_code == 303


def test_who_sets_it_up_and_types_wrong_codes_is_told_how_long_to_wait(site: Site) -> None:
    client = site.somebody(Role.REVIEWER)
    client.post("/account/second-step", data={"password": PASSWORD})
    for _ in range(10):
        answer = client.post("/account/second-step/confirm", data={"code": "000000"})
        assert answer.status_code == 400
    answer = client.post("/account/second-step/confirm", data={"code": "000000"})
    assert answer.status_code == 429 and "请等五分钟再试" in answer.text


def test_it_is_set_up_by_who_knows_the_password_and_has_the_secret_on_the_phone(site: Site) -> None:
    client = site.somebody(Role.REVIEWER)
    assert client.post("/account/second-step", data={"password": "wrong"}).status_code == 400
    assert client.post("/account/second-step/confirm", data={"code": "000000"}).status_code == 400
    page = client.post("/account/second-step", data={"password": PASSWORD}).text
    secret = re.findall(r"<code>([A-Z2-7]{32})</code>", page)[0]
    assert client.post("/account/second-step/confirm", data={"code": "000000"}).status_code == 400
    assert site.people.step_secret("a-reviewer") is None
    elsewhere = site.somebody(Role.REVIEWER)
    now = second_step.code(secret, int(NOON // 30))
    assert elsewhere.post("/account/second-step/confirm", data={"code": now}).status_code == 400
    assert client.post("/account/second-step/confirm", data={"code": now}).status_code == 200
    assert site.people.step_secret("a-reviewer") is not None
    assert secret not in client.get("/account").text
    visitor = site.visitor()
    asked = visitor.post("/login", data={"user": "a-reviewer", "password": PASSWORD}).text
    token = re.findall(r'name="token" value="([^"]+)"', asked)[0]
    assert visitor.post("/login/code", data={"token": token, "code": now}).status_code == 401  # it was of use already


def test_who_is_disabled_is_asked_for_no_code_as_if_the_password_were_wrong(site: Site, phone: Phone) -> None:
    site.people.disable(CONSOLE, phone.name, site.clock.now())
    answer = site.visitor().post("/login", data={"user": phone.name, "password": PASSWORD})
    assert answer.status_code == 401 and "/login/code" not in answer.text


def test_the_picture_that_the_phone_reads_has_the_white_edge_that_the_standard_asks_for(site: Site) -> None:
    """Of four modules (ISO/IEC 18004): on a dark page nothing else is white about it."""
    page = site.somebody(Role.REVIEWER).post("/account/second-step", data={"password": PASSWORD}).text
    assert 'd="M4 4.5h7' in page, "the first row of the corner's mark, seven modules long"


def test_what_the_phone_reads_names_the_hub_and_the_user() -> None:
    read = urlsplit(second_step.address(SECRET, "老板 a&b", "hub.test"))
    said = parse_qs(read.query)
    assert (read.scheme, read.netloc) == ("otpauth", "totp")
    assert (said["secret"], said["issuer"]) == ([SECRET], ["labelwatch"])
    assert unquote(read.path) == "/labelwatch:老板 a&b@hub.test"


def test_it_is_switched_off_by_the_password_and_recovery_codes_are_made_anew(site: Site, phone: Phone) -> None:
    for path in ("off", "../recovery-codes"):
        answer = phone.client.post(f"/account/second-step/{path}", data={"password": "wrong"})
        assert answer.status_code == 400 and site.people.step_secret(phone.name)
    made = phone.client.post("/account/recovery-codes", data={"password": PASSWORD}).text
    new = re.findall(r"<code>([a-z2-7-]{19})</code>", html.unescape(made))
    assert len(new) == 8 and not set(new) & set(phone.recovery)
    visitor = site.visitor()
    assert phone.enter(visitor, phone.password(visitor), phone.recovery[0]).status_code == 401
    assert phone.client.post("/account/second-step/off", data={"password": PASSWORD}).status_code == 303
    login = {"user": phone.name, "password": PASSWORD}
    assert site.visitor().post("/login", data=login).status_code == 303
    assert site.people.recovery_codes_left(phone.name) == 0
    told = [(entry.user, entry.action) for entry in Audit(site.store.database).all_entries()]
    deeds = ("second_step_set", "recovery_codes_made", "second_step_dropped")
    assert [one for one in told if one[1] in deeds] == [(phone.name, deed) for deed in deeds]


def test_right_codes_are_taken_however_often_one_logs_in(site: Site, phone: Phone) -> None:
    for _ in range(12):
        visitor = site.visitor()
        assert phone.enter(visitor, phone.password(visitor), phone.code()).status_code == 303
        site.clock.at += 30


def test_a_second_step_that_was_dropped_meanwhile_opens_nothing_and_the_password_does_anew(
    site: Site, phone: Phone
) -> None:
    visitor = site.visitor()
    token = phone.password(visitor)
    Console(site.store.database, site.clock, CHEAP).drop_second_step(phone.name)
    for code in (phone.code(), phone.recovery[0]):
        assert phone.enter(visitor, token, code).status_code == 401
    assert visitor.post("/login", data={"user": phone.name, "password": PASSWORD}).status_code == 303


def test_a_new_password_changes_nothing_about_the_second_step(site: Site, phone: Phone) -> None:
    other = "four unrelated words here"
    assert phone.client.post("/account/password", data={"old": PASSWORD, "new": other}).status_code == 303
    answer = site.visitor().post("/login", data={"user": phone.name, "password": other})
    assert answer.status_code == 200 and "/login/code" in answer.text


def test_a_lost_phone_is_a_matter_for_who_manages_people_or_sits_at_the_hub(site: Site) -> None:
    guard = Phone(site, Role.REVIEWER)
    path = f"/people/{guard.name}/second-step"
    assert guard.client.post(path).status_code == 403
    assert site.somebody(Role.ADMIN).post(path).status_code == 403 and site.people.step_secret(guard.name)
    page = site.client.get(f"/people/{guard.name}").text
    assert path in page and "已开启登录第二步" in page
    assert site.client.post(path).status_code == 303 and site.people.step_secret(guard.name) is None
    owner = Phone(site, Role.OWNER, name="boss")
    assert owner.client.post("/people/boss/second-step").status_code == 400
    assert site.people.step_secret("boss")  # not one's own in this way: whoever finds an open page could
    Console(site.store.database, site.clock, CHEAP).drop_second_step("boss")
    assert site.people.step_secret("boss") is None
    assert "没有登录第二步" in site.client.get("/people/boss").text
    assert "取消登录第二步" in site.client.get("/audit").text


def test_where_it_is_required_nothing_opens_before_it_is_set_up(tmp_path: Path) -> None:
    site = Site(tmp_path, second_step="required")
    client = site.somebody(Role.OWNER)
    for path in ("/", "/health", "/people"):
        answer = client.get(path)
        assert (answer.status_code, answer.headers["location"]) == (303, "/account")
    assert client.get("/api/incidents").status_code == 303
    assert "每个人都开启" in client.get("/account").text
    assert Phone(site).client.get("/").status_code == 200
    site.store.close()
