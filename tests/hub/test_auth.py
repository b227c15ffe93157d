"""Nobody comes in without a password, and no other site's page may act in a visitor's name."""

from __future__ import annotations

import html
import json
import re
import stat
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any, Literal

import pytest
from argon2 import PasswordHasher, extract_parameters
from argon2.exceptions import VerifyMismatchError

from detector.hub.access.auth import SESSION_S, Gate, hash_of_nobody
from detector.hub.access.people import LONGEST_SESSION_S, People
from detector.hub.access.rate_limit import TokenBucket, TooManyTries
from detector.hub.server import PAGES_AT_ONCE
from detector.hub.storage.rights import Role
from detector.hub.storage.store import Store
from tests.hub.conftest import CHEAP, make_envelope, make_jpeg

NOON = 1_793_505_600.0
CLOSED = [
    "/",
    "/cameras",
    "/account",
    "/incidents/x",
    "/incidents/x/snapshot",
    "/clips/x/0",
    "/feed/live",
    "/feed/older",
]
# What a browser asks for where somebody follows a link, and where a page shows a picture.
OPENED = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
PICTURE = {"Accept": "image/avif,image/webp,image/png,image/svg+xml,image/*;q=0.8,*/*;q=0.5"}
LOOK = {"desk": "abcdefgh1", "incident": "inc-1"}


def test_the_first_login_is_made_once_and_for_its_owner_alone(site: Any, tmp_path: Path) -> None:
    file = tmp_path / "first-login.json"
    assert json.loads(file.read_text()) == site.login and site.login["user"] == "owner"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert site.gate.make_first_user(tmp_path, NOON) is None


@pytest.mark.parametrize("path", CLOSED)
def test_pages_ask_for_a_login(site: Any, path: str) -> None:
    answer = site.visitor().get(path)
    assert answer.status_code == 303 and answer.headers["location"].startswith("/login")
    assert site.visitor().get(path, headers={"X-Fragment": "1"}).status_code == 401


def test_login_leads_back_to_the_page_asked_for(site: Any) -> None:
    visitor = site.visitor()
    assert visitor.get("/incidents/inc-1").headers["location"] == "/login?next=/incidents/inc-1"
    answer = visitor.post("/login", data={**site.login, "next": "/incidents/inc-1"})
    assert answer.headers["location"] == "/incidents/inc-1"


@pytest.mark.parametrize("wanted", ["/?camera=cam3&day=2026-11-01", "/cases?incident=a%26b", "/people/%E5%B0%8F%20li"])
def test_login_leads_back_to_all_of_the_address(site: Any, wanted: str) -> None:
    visitor = site.visitor()
    login = visitor.get(wanted).headers["location"]
    answer = visitor.post("/preferences", data={"language": "en"}, headers={"Referer": f"http://hub.test{login}"})
    asked = visitor.get(answer.headers["location"]).text
    assert "Password" in asked
    back = re.findall('name="next" value="([^"]*)"', asked)[-1]
    answer = visitor.post("/login", data={**site.login, "next": html.unescape(back)})
    assert answer.headers["location"] == wanted


@pytest.mark.parametrize("wanted", ["//evil.test/", "https://evil.test/", "/\\evil.test", "javascript:alert(1)", ""])
def test_login_leads_nowhere_else(site: Any, wanted: str) -> None:
    assert site.visitor().post("/login", data={**site.login, "next": wanted}).headers["location"] == "/"


def test_the_cookie_is_out_of_reach_of_scripts_and_the_database_holds_only_a_hash(site: Any) -> None:
    answer = site.visitor().post("/login", data=site.login)
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=lax" in cookie and cookie.startswith("labelwatch=")
    token = answer.cookies["labelwatch"]
    with site.store.database.reading() as connection:
        assert token not in str(connection.exec_driver_sql("SELECT * FROM sessions").all())


def test_over_https_the_cookie_is_tied_to_the_host(site: Any) -> None:
    visitor = site.visitor()
    visitor.base_url = "https://hub.test"
    cookie = visitor.post("/login", data=site.login).headers["set-cookie"]
    assert cookie.startswith("__Host-labelwatch=") and "Secure" in cookie and "Path=/" in cookie


def test_wrong_user_and_wrong_password_look_alike(site: Any) -> None:
    answers = [
        site.visitor().post("/login", data={"user": user, "password": password})
        for user, password in [("owner", "wrong"), ("nobody", site.login["password"]), ("", ""), ("owner", "x" * 5000)]
    ]
    assert {answer.status_code for answer in answers} == {401}
    shown = {answer.text.replace('value="owner"', "").replace('value="nobody"', "") for answer in answers[:2]}
    assert len(shown) == 1


@pytest.mark.parametrize(
    "use",
    [
        pytest.param(lambda client: client.get("/", headers=OPENED), id="a page opened"),
        pytest.param(lambda client: client.post("/incidents/inc-1/notes", data={"text": "seen"}), id="a form sent"),
    ],
)
def test_a_session_slides_and_ends(site: Any, use: Callable[[Any], Any]) -> None:
    site.store.add_alerts([make_envelope(1, incident="inc-1")], NOON)
    for _ in range(3):
        site.clock.at += SESSION_S - 60
        assert use(site.client).status_code in (200, 303)
    assert site.client.get("/").status_code == 200
    site.clock.at += SESSION_S + 1
    assert site.client.get("/").status_code == 303


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_browser_keeps_the_cookie_for_as_long_as_a_session_may_slide(site: Any, scheme: str) -> None:
    visitor = site.visitor()
    visitor.base_url = f"{scheme}://hub.test"
    cookie = visitor.post("/login", data=site.login).headers["set-cookie"]
    assert f"Max-Age={LONGEST_SESSION_S:.0f};" in cookie


@pytest.mark.parametrize(
    "ask",
    [
        pytest.param(lambda client: client.get("/feed/live", headers={**OPENED, "X-Fragment": "part"}), id="a part"),
        pytest.param(lambda client: client.get("/incidents/inc-1/snapshot", headers=PICTURE), id="a picture"),
        pytest.param(lambda client: client.get("/clips/inc-1/0/play", headers={"Accept": "*/*"}), id="a film"),
        pytest.param(lambda client: client.get("/events", headers={"Accept": "text/event-stream"}), id="changes"),
        pytest.param(lambda client: client.post("/review/look", data=LOOK), id="what is shown"),
    ],
)
def test_a_page_that_is_only_left_open_keeps_no_session_open(site: Any, ask: Callable[[Any], Any]) -> None:
    site.store.add_alerts([make_envelope(1, incident="inc-1", snapshot=make_jpeg())], NOON)
    site.parts.live.close()  # changes come to an end at once
    site.clock.at += SESSION_S - 60
    assert ask(site.client).status_code in (200, 204, 404, 503)
    site.clock.at += 120
    assert site.client.get("/feed/live", headers={"X-Fragment": "part"}).status_code == 401


def test_logging_out_ends_the_session_for_good(site: Any) -> None:
    token = site.client.cookies["labelwatch"]
    assert site.client.post("/logout").status_code == 303
    visitor = site.visitor()
    visitor.cookies.set("labelwatch", token)
    assert visitor.get("/").status_code == 303


def test_changing_the_password_ends_every_session(site: Any, tmp_path: Path) -> None:
    other = site.visitor()
    other.post("/login", data=site.login)
    form = {"old": site.login["password"], "new": "a much better one"}
    assert site.client.post("/account/password", data={**form, "new": "short"}).status_code == 400
    assert site.client.post("/account/password", data={**form, "old": "wrong"}).status_code == 400
    assert site.client.post("/account/password", data=form).status_code == 303
    assert site.client.get("/").status_code == other.get("/").status_code == 303
    assert site.visitor().post("/login", data=site.login).status_code == 401
    assert site.visitor().post("/login", data={"user": "owner", "password": form["new"]}).status_code == 303


def test_the_first_login_stays_on_record_until_its_own_user_changes_the_password(site: Any, tmp_path: Path) -> None:
    other = site.somebody(Role.VIEWER)
    form = {"old": "correct horse battery", "new": "four words that differ"}
    assert other.post("/account/password", data=form).status_code == 303
    assert json.loads((tmp_path / "first-login.json").read_text()) == site.login
    assert "first-login.json" in site.visitor().get("/login").text
    assert "first-login.json" not in site.visitor().get("/login?changed=li").text, "who has just chosen a password"
    assert site.visitor().post("/login", data=site.login).status_code == 303
    form = {"old": site.login["password"], "new": "a much better one"}
    assert site.client.post("/account/password", data=form).status_code == 303
    assert not (tmp_path / "first-login.json").exists()
    assert "first-login.json" not in site.visitor().get("/login").text


def test_after_a_change_of_password_the_login_page_says_so_and_knows_the_user(site: Any) -> None:
    form = {"old": site.login["password"], "new": "a much better one"}
    page = site.client.get(site.client.post("/account/password", data=form).headers["location"]).text
    assert "密码已修改" in page and 'name="user" value="owner"' in page
    assert "密码已修改" not in site.visitor().get("/login").text


def test_the_login_page_says_what_to_do_about_a_forgotten_password(site: Any) -> None:
    page = site.visitor().get("/login").text
    assert "“人员”里点您的名字，再点“重置密码”" in page and "labelwatch user reset" in page
    person = site.somebody(Role.OWNER, name="li").get("/people/owner").text
    assert "重置密码" in person and ">人员<" in person


def test_guessing_is_slowed_down_and_a_right_password_is_not(site: Any) -> None:
    visitor = site.visitor()
    statuses = [visitor.post("/login", data={"user": f"u{n}", "password": "x"}).status_code for n in range(12)]
    assert statuses[:10] == [401] * 10 and statuses[10:] == [429] * 2
    assert visitor.post("/login", data=site.login).status_code == 429
    site.clock.at += 60
    for _ in range(20):
        assert visitor.post("/login", data=site.login).status_code == 303


def test_a_user_is_guarded_against_guessing_from_many_addresses(sqlite_store: Store) -> None:
    gate = Gate(People(sqlite_store.database), PasswordHasher(time_cost=1, memory_cost=64, parallelism=1))
    for n in range(30):
        assert gate.log_in("owner", "x", f"10.0.0.{n}", NOON) is None
    with pytest.raises(TooManyTries):
        gate.log_in("owner", "x", "10.0.0.99", NOON)


def test_failing_in_somebody_s_name_from_everywhere_keeps_them_out_of_no_place_they_came_in_from(site: Any) -> None:
    gate, at, (user, password) = site.gate, site.clock.now(), site.login.values()
    token = gate.log_in(user, password, "10.0.1.1", at)
    for n in range(30):
        assert gate.log_in(user, "x", f"10.0.0.{n}", at) is None
    with pytest.raises(TooManyTries):
        gate.log_in(user, password, "10.0.1.2", at)
    assert gate.log_in(user, password, "10.0.1.1", at)
    assert gate.change_password(gate.session(token, at), password, "correct horse battery", at)


def test_of_the_places_that_people_came_in_from_the_latest_are_known(
    site: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("detector.hub.access.auth.MOST_PLACES", 2)
    gate, at, (user, password) = site.gate, site.clock.now(), site.login.values()
    for place in ("10.0.1.1", "10.0.1.2", "10.0.1.1", "10.0.1.3"):
        assert gate.log_in(user, password, place, at)
    for n in range(30):
        assert gate.log_in(user, "x", f"10.0.0.{n}", at) is None
    assert gate.log_in(user, password, "10.0.1.1", at) and gate.log_in(user, password, "10.0.1.3", at)
    with pytest.raises(TooManyTries):
        gate.log_in(user, password, "10.0.1.2", at)


def test_who_finds_an_open_page_cannot_try_passwords_there_without_end(site: Any) -> None:
    gate, at, (user, password) = site.gate, site.clock.now(), site.login.values()
    session = gate.session(gate.log_in(user, password, "10.0.1.1", at), at)
    assert not any(gate.change_password(session, f"guess {n}", "another one", at) for n in range(30))
    for deed in (gate.drop_second_step, gate.offer_second_step, gate.make_recovery_codes):
        with pytest.raises(TooManyTries):
            deed(session, password, at)
    other = gate.session(gate.log_in(user, password, "10.0.1.1", at), at)
    assert gate.change_password(other, password, "correct horse battery", at), "where nobody guessed it goes on"


def test_the_first_login_is_written_where_it_belongs_whatever_lies_there(sqlite_store: Store, tmp_path: Path) -> None:
    file, elsewhere = tmp_path / "first-login.json", tmp_path / "elsewhere"
    elsewhere.write_text("not ours")
    file.symlink_to(elsewhere)
    login = Gate(People(sqlite_store.database), CHEAP).make_first_user(tmp_path, NOON)
    assert elsewhere.read_text() == "not ours" and not file.is_symlink()
    assert json.loads(file.read_text()) == login and stat.S_IMODE(file.stat().st_mode) == 0o600


def test_who_guesses_where_somebody_came_in_from_is_slowed_down_all_the_same(site: Any) -> None:
    gate, at, (user, password) = site.gate, site.clock.now(), site.login.values()
    assert gate.log_in(user, password, "10.0.1.1", at)
    for _ in range(10):
        assert gate.log_in(user, "x", "10.0.1.1", at) is None
    with pytest.raises(TooManyTries):
        gate.log_in(user, password, "10.0.1.1", at)


class SlowHasher(PasswordHasher):
    """Takes until it is let go."""

    def __init__(self) -> None:
        super().__init__(time_cost=1, memory_cost=64, parallelism=1)
        self.go_on = threading.Event()

    def verify(self, hash: str | bytes, password: str | bytes) -> Literal[True]:  # noqa: A002  (the library's words)
        assert self.go_on.wait(60)
        return super().verify(hash, password)


def test_however_many_try_to_log_in_most_threads_go_on_making_pages(sqlite_store: Store) -> None:
    hasher = SlowHasher()
    gate = Gate(People(sqlite_store.database), hasher)

    def is_sent_away(n: int) -> bool:
        try:
            return gate.log_in(f"u{n}", "x", f"10.0.0.{n}", NOON) is not None
        except TooManyTries:
            return True

    with ThreadPoolExecutor(PAGES_AT_ONCE) as threads:
        tries = [threads.submit(is_sent_away, n) for n in range(PAGES_AT_ONCE)]
        done, waiting = wait(tries, timeout=3)  # no turn is waited for any longer than 5
        hasher.go_on.set()
    assert len(done) >= PAGES_AT_ONCE / 2
    assert all(one.result() for one in done) and not any(one.result() for one in waiting)


def test_a_clock_that_was_put_back_locks_nobody_out() -> None:
    bucket = TokenBucket(size=2, every_s=10)
    ahead = NOON + 86400
    assert [bucket.take("li", ahead) for _ in range(3)] == [True, True, False]
    assert [bucket.take("li", NOON) for _ in range(3)] == [True, True, False]


def test_a_token_bucket_refills_and_stays_small() -> None:
    bucket = TokenBucket(size=2, every_s=10, names=3)
    assert [bucket.take("a", 0), bucket.take("a", 0), bucket.take("a", 0)] == [True, True, False]
    assert not bucket.take("a", 9) and bucket.take("a", 10)
    bucket.give_back("a", 10)
    assert bucket.take("a", 10)
    for n in range(100):
        assert bucket.take(f"name-{n}", 10)
    assert len(bucket._spent) == 3


@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        ({"Sec-Fetch-Site": "same-origin"}, True),
        ({"Sec-Fetch-Site": "none"}, True),
        ({"Sec-Fetch-Site": "cross-site"}, False),
        ({"Sec-Fetch-Site": "same-site"}, False),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "http://hub.test"}, False),
        ({"Origin": "http://hub.test"}, True),
        ({"Origin": "http://evil.test"}, False),
        ({"Origin": "http://hub.test.evil.test"}, False),
        ({"Origin": "null"}, False),
        ({}, False),
    ],
)
def test_another_sites_page_cannot_act(site: Any, headers: dict[str, str], allowed: bool) -> None:
    site.client.headers.pop("Sec-Fetch-Site")
    answer = site.client.post("/preferences", data={"theme": "dark"}, headers=headers)
    assert answer.status_code == (303 if allowed else 403)
    assert ("set-cookie" in answer.headers) is allowed


@pytest.mark.parametrize("path", ["/login", "/", "/nothing", "/static/style.css", "/incidents/nothing"])
def test_every_answer_carries_security_headers(site: Any, path: str) -> None:
    headers = site.client.get(path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'self'" in policy and "unsafe" not in policy and "frame-ancestors 'none'" in policy
    assert headers["x-content-type-options"] == "nosniff" and headers["referrer-policy"] == "same-origin"


def test_a_crash_says_nothing_and_keeps_the_headers(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from starlette.testclient import TestClient

    def boom(*_: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(site.store, "last_change", boom)
    quiet = TestClient(site.app, base_url="http://hub.test", raise_server_exceptions=False, cookies=site.client.cookies)
    answer = quiet.get("/")
    assert answer.status_code == 500 and "secret" not in answer.text and "content-security-policy" in answer.headers
    assert "请再试一次" in answer.text and "Try again" in answer.text


@pytest.mark.parametrize("body", [b"a" * 20_000, b"\xff\xfe=\xff", b"&".join(b"a%d=1" % n for n in range(100))])
def test_a_form_that_is_none_is_refused(site: Any, body: bytes) -> None:
    assert site.visitor().post("/login", content=body).status_code in (400, 401, 413)


@pytest.mark.parametrize("path", ["/incidents/a%00b", "/?camera=a%00b", "/clips/a%00b/0", "/api/incidents/a%00b"])
def test_an_address_that_no_database_takes_is_refused(site: Any, path: str) -> None:
    assert site.client.get(path).status_code == 400


@pytest.mark.parametrize("segment", ["2147483648", "99999999999999999999", "-1"])
def test_a_segment_beyond_all_numbers_is_not_there(site: Any, segment: str) -> None:
    assert site.client.get(f"/clips/inc-1/{segment}").status_code == 404


def test_a_password_of_who_does_not_exist_is_worked_on_as_any_other() -> None:
    hasher = PasswordHasher(time_cost=2, memory_cost=128, parallelism=4, hash_len=24, salt_len=12)
    nobodys = hash_of_nobody(hasher)
    assert extract_parameters(nobodys) == extract_parameters(hasher.hash("a password"))
    assert nobodys != hash_of_nobody(hasher)
    with pytest.raises(VerifyMismatchError):  # it was hashed to the end, and then compared
        hasher.verify(nobodys, "a password")
