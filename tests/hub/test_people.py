"""Who may let whom in: nobody gives away more than they have, and one owner of everything is always left."""

from __future__ import annotations

import html
import json
import os
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from sqlalchemy import select

from detector import cli
from detector.clock import SystemClock
from detector.credentials.codes import ALPHABET
from detector.hub.access.audit import Audit, verify
from detector.hub.access.auth import ONE_TIME_S, RENEW_S, SESSION_S, Gate
from detector.hub.access.guard import bearer_token
from detector.hub.access.people import People, PeopleError, as_name
from detector.hub.access.rate_limit import TooManyTries
from detector.hub.edges.keys import EdgeKeys
from detector.hub.pages.people import device
from detector.hub.storage.rights import CONSOLE, EVERYWHERE, RIGHTS, Principal, Right, Role, Scope
from detector.hub.storage.schema import recovery_codes, sessions, tokens, users
from detector.hub.storage.store import Store
from detector.hub.texts import TEXTS
from detector.hub.upkeep.console import at_console
from detector.values import DAY_S
from tests.hub.conftest import CHEAP, NOON, Site, begun_first, make_envelope

OWNER = Principal("owner", Role.OWNER, EVERYWHERE)
ADMIN = Principal("admin", Role.ADMIN, EVERYWHERE)
SHANGHAI = Scope.of(["shanghai"])
CAM3 = Scope.of(["shanghai/cam3"])


@pytest.fixture
def gate(store: Store) -> Gate:
    """A gate with an owner, on either database."""
    gate = Gate(People(store.database), CHEAP)
    gate.people.add(CONSOLE, "owner", CHEAP.hash("the owner's own"), NOON, role=Role.OWNER, scope=EVERYWHERE)
    return gate


def reason(act: Any, *arguments: Any, **named: Any) -> str:
    """Why something isn't done; empty when it is."""
    try:
        act(*arguments, **named)
    except PeopleError as error:
        return error.reason
    return ""


def log_in(gate: Gate, name: str, password: str, at: float = NOON, address: str = "10.0.0.1") -> str:
    """A session that must open."""
    token = gate.log_in(name, password, address, at)
    assert token is not None
    return token


def actions(store: Store) -> list[tuple[str, str, str]]:
    """What the audit log says was done, first to last."""
    return [(entry.user, entry.action, entry.subject) for entry in Audit(store.database).all_entries()]


# What may be given to whom

GIFTS = [
    (OWNER, Role.OWNER, EVERYWHERE, ""),
    (OWNER, Role.VIEWER, CAM3, ""),
    (ADMIN, Role.ADMIN, EVERYWHERE, ""),
    (ADMIN, Role.REVIEWER, SHANGHAI, "people_owner_only"),
    (ADMIN, Role.OWNER, EVERYWHERE, "people_owner_only"),
    (ADMIN, Role.OWNER, CAM3, "people_owner_only"),
    (ADMIN, Role.REVIEWER, CAM3, "people_owner_only"),  # whose password they could reset, to see labels as them
    (Principal("a", Role.ADMIN, SHANGHAI), Role.VIEWER, EVERYWHERE, "people_wider_scope"),
    (Principal("a", Role.ADMIN, SHANGHAI), Role.VIEWER, Scope.of(["suzhou"]), "people_wider_scope"),
    (Principal("a", Role.ADMIN, SHANGHAI), Role.VIEWER, Scope.of(["shanghai/cam3", "suzhou"]), "people_wider_scope"),
    (Principal("a", Role.ADMIN, SHANGHAI), Role.VIEWER, CAM3, ""),
    (Principal("a", Role.ADMIN, CAM3), Role.VIEWER, SHANGHAI, "people_wider_scope"),
]


def test_nobody_gives_away_more_than_they_have(gate: Gate) -> None:
    for n, (by, role, scope, why) in enumerate(GIFTS):
        by = Principal(f"by {n}", by.role, by.scope)  # each makes few enough
        assert reason(gate.add_user, by, f"new {n}", NOON, role=role, scope=scope) == why
        assert (gate.people.user(f"new {n}") is None) is bool(why)
        gate.people.add(CONSOLE, f"old {n}", "x", NOON, role=Role.VIEWER, scope=CAM3)
        assert reason(gate.people.change, by, f"old {n}", NOON, role=role, scope=scope) == why


def test_a_token_may_do_no_more_than_who_made_it(gate: Gate) -> None:
    for role in Role:
        gate.people.add(CONSOLE, f"a-{role}", "x", NOON, role=role, scope=SHANGHAI)
        maker = Principal(f"a-{role}", role, SHANGHAI)
        for wanted in Role:
            why = reason(gate.make_token, maker, f"{role}-{wanted}", NOON, role=wanted, scope=CAM3, days=1)
            assert why == ("" if RIGHTS[wanted] <= RIGHTS[role] else "people_token_role")
        assert reason(gate.make_token, maker, "u", NOON, role=role, scope=EVERYWHERE, days=1) == "people_wider_scope"


DEEDS = {
    "change": lambda people, by, name: people.change(by, name, NOON, role=Role.VIEWER, scope=CAM3),
    "disable": lambda people, by, name: people.disable(by, name, NOON),
    "enable": lambda people, by, name: people.enable(by, name, NOON),
    "reset": lambda people, by, name: people.set_password(by, name, "x", NOON, one_time_until=NOON + 1),
    "end sessions": lambda people, by, name: people.end_sessions(by, name, NOON),
}
TARGETS = [
    (ADMIN, Role.OWNER, EVERYWHERE, "people_owner_only"),
    (ADMIN, Role.OWNER, CAM3, "people_owner_only"),
    (ADMIN, Role.ADMIN, EVERYWHERE, ""),
    (OWNER, Role.OWNER, EVERYWHERE, ""),
    (Principal("a", Role.ADMIN, SHANGHAI), Role.VIEWER, EVERYWHERE, "people_unknown"),
    (Principal("a", Role.OWNER, SHANGHAI), Role.VIEWER, Scope.of(["suzhou"]), "people_unknown"),
    (Principal("a", Role.REVIEWER, EVERYWHERE), Role.VIEWER, CAM3, "people_owner_only"),
    (Principal("a", Role.VIEWER, EVERYWHERE), Role.VIEWER, CAM3, "people_owner_only"),
]


@pytest.mark.parametrize("deed", DEEDS)
def test_who_may_change_whom(gate: Gate, deed: str) -> None:
    for n, (by, role, scope, why) in enumerate(TARGETS):
        gate.people.add(CONSOLE, f"target {n}", "x", NOON, role=role, scope=scope)
        assert reason(DEEDS[deed], gate.people, by, f"target {n}") == why


def test_nobody_changes_their_own_role_or_shuts_themselves_out(gate: Gate) -> None:
    people = gate.people
    assert reason(people.change, OWNER, "owner", NOON, role=Role.VIEWER, scope=EVERYWHERE) == "people_not_oneself"
    people.add(CONSOLE, "admin", "x", NOON, role=Role.ADMIN, scope=EVERYWHERE)
    assert reason(people.change, ADMIN, "admin", NOON, role=Role.OWNER, scope=EVERYWHERE) == "people_not_oneself"
    assert reason(people.disable, OWNER, "owner", NOON) == "people_not_oneself"


def test_one_owner_of_everything_is_always_left(gate: Gate) -> None:
    people, second = gate.people, Principal("second", Role.OWNER, EVERYWHERE)
    people.add(CONSOLE, "second", "x", NOON, role=Role.OWNER, scope=SHANGHAI)
    assert reason(people.disable, CONSOLE, "owner", NOON) == "people_last_owner"
    assert reason(people.change, second, "owner", NOON, role=Role.ADMIN, scope=EVERYWHERE) == "people_last_owner"
    assert reason(people.change, second, "owner", NOON, role=Role.OWNER, scope=SHANGHAI) == "people_last_owner"
    owner = people.user("owner")
    assert owner and owner.role == Role.OWNER and owner.disabled_at is None
    people.change(OWNER, "second", NOON, role=Role.OWNER, scope=EVERYWHERE)
    assert reason(people.disable, second, "owner", NOON) == ""
    assert reason(people.disable, OWNER, "second", NOON) == "people_last_owner"


def test_of_two_owners_who_shut_each_other_out_at_the_same_instant_one_is_left(gate: Gate) -> None:
    people, second = gate.people, Principal("second", Role.OWNER, EVERYWHERE)
    people.add(CONSOLE, "second", "x", NOON, role=Role.OWNER, scope=EVERYWHERE)
    pairs = [(OWNER, "second"), (second, "owner")]
    with ThreadPoolExecutor(2) as pool:
        for _ in range(4):
            both = Barrier(2)

            def shut_out(pair: tuple[Principal, str], both: Barrier = both) -> str:
                both.wait()
                return reason(people.disable, *pair, NOON)

            told = list(pool.map(shut_out, pairs))
            assert sorted(told) == ["", "people_last_owner"]
            people.enable(CONSOLE, pairs[told.index("")][1], NOON)


def own_session(people: People, name: str) -> str:
    """What the database knows the only session of a user by."""
    query = select(sessions.c.token_sha256).where(sessions.c.user == name)
    return str(people._database.read(query).scalar_one())


MORE_DEEDS = {
    **DEEDS,
    "let in again": lambda people, by, name: (people.disable(by, name, NOON), people.enable(by, name, NOON)),
    "own password": lambda people, _, name: people.set_password(viewer(name), name, "y", NOON),
    "second step": lambda people, _, name: people.set_second_step(viewer(name), "other", ["other"], 6, NOON),
    "recovery codes": lambda people, _, name: people.set_recovery_codes(viewer(name), ["other"], NOON),
    "no second step": lambda people, by, name: people.drop_second_step(by, name, NOON),
    "a code": lambda people, _, name: people.use_step(name, f"secret of {name}", 6),
    "a recovery code": lambda people, _, name: people.use_recovery_code(name, f"code of {name}", NOON),
    "use of a session": lambda people, _, name: people.extend_session(
        own_session(people, name), name, NOON + 9, NOON + 99, address="10.9.9.9"
    ),
    "the end of a session": lambda people, _, name: people.log_out(own_session(people, name), name, NOON),
    "use of a token": lambda people, _, name: people.token_used(f"of {name}", NOON),
    "the end of a token": lambda people, by, name: people.revoke_token(by, f"of {name}", NOON),
}


def viewer(name: str) -> Principal:
    """Somebody who looks at one camera."""
    return Principal(name, Role.VIEWER, CAM3)


def open_door(gate: Gate, name: str) -> None:
    """Give a user all that opens the door to one: password, session, token, second step, recovery code."""
    gate.people.add(CONSOLE, name, CHEAP.hash(name), NOON, role=Role.VIEWER, scope=CAM3)
    log_in(gate, name, name)
    gate.make_token(viewer(name), f"of {name}", NOON, role=Role.VIEWER, scope=CAM3, days=9)
    gate.people.set_second_step(viewer(name), f"secret of {name}", [f"code of {name}"], 5, NOON)


def known(store: Store) -> dict[str, list[Any]]:
    """All that the database holds of each user, and of what opens the door to them."""
    found: dict[str, list[Any]] = {}
    with store.database.reading() as connection:
        for owner in (users.c.name, sessions.c.user, tokens.c.user, recovery_codes.c.user):
            for row in connection.execute(select(owner.label("of"), owner.table).order_by(*owner.table.primary_key)):
                found.setdefault(row.of, []).append(row)
    return found


def test_what_is_done_to_one_leaves_everybody_else_as_they_are(gate: Gate, store: Store) -> None:
    for name in (*MORE_DEEDS, "last"):
        open_door(gate, name)
        gate.people.change(OWNER, name, NOON, role=Role.REVIEWER, scope=CAM3)
    for deed, do in MORE_DEEDS.items():
        before = known(store)
        do(gate.people, OWNER, deed)
        after = known(store)
        assert [name for name in before if after[name] != before[name]] == [deed] * (deed != "enable")


def test_a_recovery_code_opens_for_its_owner_alone_and_a_code_by_the_secret_of_now(gate: Gate, store: Store) -> None:
    for name in ("one", "two"):
        open_door(gate, name)
    people = gate.people
    assert not people.use_recovery_code("two", "code of one", NOON)
    assert [people.use_recovery_code("one", "code of one", NOON) for _ in range(2)] == [True, False]
    assert [deed for deed in actions(store) if "recovery" in deed[1]] == [("one", "recovery_code_used", "one")]
    assert not people.use_step("one", "secret of two", 6) and not people.use_step("one", "secret of one", 5)
    assert people.use_step("one", "secret of one", 6) and not people.use_step("one", "secret of one", 6)


def test_people_are_listed_by_name_as_one_counts_and_the_disabled_last(gate: Gate) -> None:
    for name in ("guard 10", "guard 9", "a"):
        gate.people.add(CONSOLE, name, "x", NOON, role=Role.VIEWER, scope=CAM3)
    gate.people.disable(OWNER, "a", NOON)
    assert [user.name for user in gate.people.users(EVERYWHERE)] == ["guard 9", "guard 10", "owner", "a"]


NAMES = {
    "": ["小王", "张 三", "a", "ops+night@site.example", "x" * 64, "Lisa"],
    "people_name_wrong": [
        "", "x" * 65, "token:x", "console:", "a/b", "..", "a\n", "a\0b", "a\u202eb", "<b>", "\ud800", " a",
    ],
    "people_name_taken": ["Owner", "owner", "OWNER", "lisa"],
}  # fmt: skip


def test_names(gate: Gate) -> None:
    add = {"role": Role.VIEWER, "scope": CAM3}
    gate.make_token(OWNER, "owner", NOON, **add, days=1)
    for n, (why, name) in enumerate((why, name) for why, names in NAMES.items() for name in names):
        by = Principal(f"by {n}", Role.OWNER, EVERYWHERE)
        assert reason(gate.add_user, by, name, NOON, **add) == why
        by = OWNER if n % 2 else Principal("小王", Role.OWNER, EVERYWHERE)
        assert reason(gate.make_token, by, name, NOON, **add, days=1) == why.replace("name_taken", "token_taken")


def test_a_name_typed_in_wide_letters_is_the_same(gate: Gate) -> None:
    assert as_name(" ｏｗｎｅｒ ") == "owner"
    assert gate.log_in("ｏｗｎｅｒ", "the owner's own", "10.0.0.1", NOON)


def test_an_absurd_name_logs_nobody_in(gate: Gate) -> None:
    for name in ("a\0b", "\ud800", "x" * 5000, "' OR 1=1 --"):
        assert gate.log_in(name, "the owner's own", "10.0.0.1", NOON) is None
        assert gate.people.user(name) is None


# One-time passwords, sessions


def test_a_one_time_password_opens_for_a_week_and_must_be_changed(gate: Gate) -> None:
    password = gate.add_user(OWNER, "guard", NOON, role=Role.REVIEWER, scope=SHANGHAI)
    assert gate.log_in("guard", password, "10.0.0.1", NOON + ONE_TIME_S) is None
    session = gate.session(log_in(gate, "guard", password), NOON)
    assert session is not None and session.must_change
    assert gate.change_password(session, password, "the guard's own", NOON)
    assert gate.log_in("guard", password, "10.0.0.1", NOON) is None
    session = gate.session(log_in(gate, "guard", "the guard's own", NOON + 99 * DAY_S), NOON + 99 * DAY_S)
    assert session is not None and not session.must_change and session.scope == SHANGHAI


def test_a_reset_ends_every_session_and_the_old_password(gate: Gate) -> None:
    token = log_in(gate, "owner", "the owner's own")
    password = gate.reset_password(CONSOLE, "owner", NOON)
    assert set(password) <= set(ALPHABET.lower()) | {"-"}  # it may be told by phone
    assert gate.session(token, NOON) is None
    assert gate.log_in("owner", "the owner's own", "10.0.0.1", NOON) is None
    assert log_in(gate, "owner", password)
    assert reason(gate.reset_password, CONSOLE, "nobody", NOON) == "people_unknown"


def test_a_disabled_user_is_out_at_once_and_looks_like_a_wrong_password(gate: Gate) -> None:
    password = gate.add_user(OWNER, "guard", NOON, role=Role.REVIEWER, scope=SHANGHAI)
    token = log_in(gate, "guard", password)
    gate.people.disable(OWNER, "guard", NOON)
    assert gate.session(token, NOON) is None and gate.log_in("guard", password, "10.0.0.1", NOON) is None
    gate.people.enable(OWNER, "guard", NOON)
    assert gate.session(token, NOON) is None and log_in(gate, "guard", password)


def test_a_password_changed_while_a_login_was_checked_opens_nothing(gate: Gate, store: Store) -> None:
    old = gate.people.password_hash("owner", NOON)
    assert old is not None
    gate.reset_password(CONSOLE, "owner", NOON)
    opened = gate.people.open_session("0" * 64, "owner", old, NOON, NOON + SESSION_S, address="", browser="")
    assert not opened and gate.people.sessions("owner", NOON) == []


def test_sessions_tell_where_from_and_end_one_by_one(gate: Gate) -> None:
    tokens = [log_in(gate, "owner", "the owner's own", NOON + n, f"10.0.0.{n}") for n in range(3)]
    open_door(gate, "other")
    seen = [gate.people.user("owner")]
    gate.session(tokens[0], NOON + RENEW_S + 9, address="10.9.9.9")
    seen.append(gate.people.user("owner"))
    assert [user and user.last_seen for user in seen] == [NOON + 2, NOON + RENEW_S + 9]
    found = gate.people.sessions("owner", NOON)
    assert [(session.address, session.last_seen - NOON) for session in found] == [
        ("10.9.9.9", RENEW_S + 9), ("10.0.0.2", 2), ("10.0.0.1", 1),
    ]  # fmt: skip
    assert gate.people.sessions("owner", NOON + SESSION_S + 3) == found[:1], "the others have run out"
    gate.people.end_sessions(OWNER, "owner", NOON, found[1].handle)
    assert [gate.session(token, NOON) is not None for token in tokens] == [True, True, False]
    gate.people.end_sessions(OWNER, "owner", NOON)
    assert not any(gate.session(token, NOON) for token in tokens)


def test_an_unknown_session_ends_nothing(gate: Gate, store: Store) -> None:
    log_in(gate, "owner", "the owner's own")
    for handle in ("", "x", "0" * 16, "'", "é" * 16):
        gate.people.end_sessions(OWNER, "owner", NOON, handle)
    assert len(gate.people.sessions("owner", NOON)) == 1 and actions(store)[-1] == ("owner", "login", "")


# Tokens


def test_a_token_works_until_it_expires_or_is_revoked(gate: Gate) -> None:
    token = gate.make_token(OWNER, "erp", NOON, role=Role.VIEWER, scope=CAM3, days=2)
    assert token.startswith("lw_") and len(token) > 40
    principal = gate.bearer(token, "10.0.0.1", NOON + DAY_S)
    assert principal == Principal("token:erp", Role.VIEWER, CAM3)
    noted = []
    for after in (0.0, RENEW_S, RENEW_S + 1):
        assert gate.bearer(token, "10.0.0.1", NOON + DAY_S + after)
        noted.append(gate.people.tokens(EVERYWHERE)[0].last_used)
    assert noted == [NOON + DAY_S, NOON + DAY_S, NOON + DAY_S + RENEW_S + 1], "now and then, not at each use"
    assert gate.bearer(token, "10.0.0.1", NOON + 2 * DAY_S) is None
    gate.people.revoke_token(OWNER, "erp", NOON)
    gate.people.revoke_token(OWNER, "erp", NOON + 1)
    assert gate.bearer(token, "10.0.0.1", NOON) is None and gate.people.tokens(EVERYWHERE)[0].revoked_at == NOON
    assert reason(gate.make_token, OWNER, "ERP", NOON, role=Role.VIEWER, scope=CAM3, days=2) == "people_token_taken"


def test_who_sees_less_does_not_see_tokens_that_reach_further(gate: Gate) -> None:
    for name, scope in {"all": EVERYWHERE, "site": SHANGHAI, "camera": CAM3}.items():
        gate.make_token(OWNER, name, NOON, role=Role.VIEWER, scope=scope, days=2)

    def seen(scope: Scope, user: str | None = None) -> list[str]:
        return [token.name for token in gate.people.tokens(scope, user)]

    assert seen(EVERYWHERE) == seen(EVERYWHERE, "owner") == ["camera", "site", "all"]
    assert seen(SHANGHAI) == ["camera", "site"] and seen(CAM3) == ["camera"] and seen(EVERYWHERE, "other") == []


def test_the_database_holds_no_token_and_no_password(gate: Gate, store: Store) -> None:
    secrets = [
        gate.make_token(OWNER, "erp", NOON, role=Role.VIEWER, scope=CAM3, days=2),
        gate.add_user(OWNER, "guard", NOON, role=Role.VIEWER, scope=CAM3),
        log_in(gate, "owner", "the owner's own"),
    ]
    with store.database.reading() as connection:
        for table in ("users", "sessions", "tokens", "audit"):
            rows = str(connection.exec_driver_sql(f"SELECT * FROM {table}").all())
            assert rows != "[]" and not any(secret in rows for secret in secrets)


LOSSES = {
    "a lower role": lambda people, name: people.change(OWNER, name, NOON, role=Role.VIEWER, scope=SHANGHAI),
    "a narrower scope": lambda people, name: people.change(OWNER, name, NOON, role=Role.ADMIN, scope=CAM3),
    "being disabled": lambda people, name: people.disable(OWNER, name, NOON),
}


def test_a_token_goes_with_what_its_maker_loses(gate: Gate) -> None:
    for name, loss in LOSSES.items():
        gate.people.add(CONSOLE, name, "x", NOON, role=Role.ADMIN, scope=SHANGHAI)
        maker = Principal(name, Role.ADMIN, SHANGHAI)
        token = gate.make_token(maker, name, NOON, role=Role.ADMIN, scope=SHANGHAI, days=9)
        loss(gate.people, name)
        assert gate.bearer(token, "10.0.0.1", NOON) is None
        gate.people.enable(OWNER, name, NOON)
        assert gate.bearer(token, "10.0.0.1", NOON) is None


def test_a_token_stays_where_its_maker_still_covers_it(gate: Gate) -> None:
    gate.people.add(CONSOLE, "maker", "x", NOON, role=Role.OWNER, scope=SHANGHAI)
    maker = Principal("maker", Role.OWNER, SHANGHAI)
    made = [gate.make_token(maker, role, NOON, role=role, scope=CAM3, days=9) for role in (Role.VIEWER, Role.ADMIN)]
    gate.people.change(OWNER, "maker", NOON, role=Role.ADMIN, scope=SHANGHAI)
    assert all(gate.bearer(token, "10.0.0.1", NOON) for token in made)


def test_guessing_tokens_is_slowed_down_and_good_ones_are_not(gate: Gate) -> None:
    token = gate.make_token(OWNER, "erp", NOON, role=Role.VIEWER, scope=CAM3, days=9)
    for _ in range(50):
        assert gate.bearer(token, "10.0.0.1", NOON) is not None
    for n in range(10):
        assert gate.bearer(f"lw_{n}", "10.0.0.1", NOON) is None
    with pytest.raises(TooManyTries):
        gate.bearer("lw_x", "10.0.0.1", NOON)
    assert gate.bearer(token, "10.0.0.1", NOON) is not None, "another program of the same machine goes on"


def test_making_users_tokens_and_resets_is_slowed_down(gate: Gate) -> None:
    for n in range(10):
        gate.add_user(OWNER, f"user{n}", NOON, role=Role.VIEWER, scope=CAM3)
        gate.reset_password(OWNER, f"user{n}", NOON)
    with pytest.raises(TooManyTries):
        gate.make_token(OWNER, "t", NOON, role=Role.VIEWER, scope=CAM3, days=1)
    with pytest.raises(TooManyTries):
        gate.reset_password(OWNER, "user1", NOON)


@pytest.mark.parametrize(
    ("path", "header", "token"),
    [
        ("/api/incidents", "Bearer lw_x", "lw_x"),
        ("/api/incidents", "bearer  lw_x ", "lw_x"),
        ("/api/incidents", "Basic eDp5", None),
        ("/api/incidents", "", None),
        ("/api/incidents", "Bearer", ""),
        ("/incidents", "Bearer lw_x", None),
        ("/", "Bearer lw_x", None),
    ],
)
def test_where_a_token_counts(path: str, header: str, token: str | None) -> None:
    assert bearer_token(path, {"authorization": header} if header else {}) == token


# What is on record


def test_every_change_of_people_is_on_record(gate: Gate, store: Store) -> None:
    password = gate.add_user(OWNER, "guard", NOON, role=Role.VIEWER, scope=CAM3)
    first = gate.session(log_in(gate, "guard", password), NOON)
    assert first is not None
    gate.change_password(first, password, "the guard's own", NOON)
    gate.people.change(OWNER, "guard", NOON, role=Role.REVIEWER, scope=SHANGHAI)
    gate.make_token(Principal("guard", Role.REVIEWER, SHANGHAI), "t", NOON, role=Role.VIEWER, scope=CAM3, days=1)
    second, third = (gate.session(log_in(gate, "guard", "the guard's own"), NOON) for _ in range(2))
    assert second is not None and third is not None
    gate.log_out(second, NOON)
    gate.people.end_sessions(OWNER, "guard", NOON)
    gate.reset_password(OWNER, "guard", NOON)
    gate.people.disable(OWNER, "guard", NOON)
    gate.people.enable(OWNER, "guard", NOON)
    assert actions(store)[1:] == [
        ("owner", "user_added", "guard"), ("guard", "login", ""), ("guard", "password_changed", "guard"),
        ("owner", "user_changed", "guard"), ("guard", "token_made", "t"), ("guard", "login", ""),
        ("guard", "login", ""), ("guard", "logout", ""), ("owner", "sessions_ended", "guard"),
        ("owner", "password_reset", "guard"), ("owner", "user_disabled", "guard"), ("owner", "token_revoked", "t"),
        ("owner", "user_enabled", "guard"),
    ]  # fmt: skip
    told = {entry.action: entry.details for entry in Audit(store.database).all_entries() if entry.subject == "guard"}
    others = {entry.action: entry.details for entry in reversed(list(Audit(store.database).all_entries()))}
    assert others["login"] == {"address": "10.0.0.1", "session": first.handle}
    assert others["token_made"] == {"role": "viewer", "scope": ["shanghai/cam3"], "expires_at": NOON + DAY_S}
    assert others["token_revoked"] == {"of": "guard"}
    assert (others["logout"], told["sessions_ended"]) == ({"session": second.handle}, {"sessions": [third.handle]})
    assert told["user_added"] == {"role": "viewer", "scope": ["shanghai/cam3"]}
    before = {"role_before": "viewer", "scope_before": ["shanghai/cam3"]}
    assert told["user_changed"] == {"role": "reviewer", "scope": ["shanghai"], **before}
    assert verify(Audit(store.database).all_entries()).flaws == ()


def test_failed_logins_are_on_record_without_what_may_be_a_password(gate: Gate, store: Store) -> None:
    gate.log_in("owner", "wrong", "10.0.0.1", NOON)
    gate.log_in("my-secret-password", "", "10.0.0.2", NOON)
    entries = Audit(store.database).entries(limit=2)
    assert [(entry.user, entry.action, entry.details) for entry in entries] == [
        ("?", "login_failed", {"address": "10.0.0.2"}), ("owner", "login_failed", {"address": "10.0.0.1"}),
    ]  # fmt: skip


def test_failures_from_everywhere_do_not_fill_the_log(sqlite_store: Store) -> None:
    gate = Gate(People(sqlite_store.database), CHEAP)
    for n in range(300):
        gate.log_in(f"user{n}", "x", f"10.0.{n // 250}.{n % 250}", NOON)
    assert len(actions(sqlite_store)) == 60
    gate.log_in("user", "x", "10.1.0.1", NOON + 10)
    assert Audit(sqlite_store.database).entries(limit=1)[0].details["unrecorded"] == 240


@pytest.mark.parametrize(
    ("addresses", "refused"),
    [
        ([f"10.0.0.{n}" for n in range(12)], False),
        ([f"2001:db8::{n:x}" for n in range(12)], True),
        ([f"2001:db8:0:{n:x}::1" for n in range(12)], False),
        (["10.0.0.1"] * 12, True),
        (["10.0.0.1", "::ffff:10.0.0.1"] * 6, True),
    ],
)
def test_tries_are_counted_by_who_can_come_from_an_address(
    sqlite_store: Store, addresses: list[str], refused: bool
) -> None:
    gate = Gate(People(sqlite_store.database), CHEAP)

    def fails() -> None:
        for n, address in enumerate(addresses):
            gate.log_in(f"user{n}", "x", address, NOON)

    if refused:
        with pytest.raises(TooManyTries):
            fails()
    else:
        fails()


# Pages


def one_time_password(page: str) -> str:
    found = re.search(r'class="secret"[^>]*>([^<]+)<', page)
    assert found is not None
    return html.unescape(found[1])


def test_somebody_is_added_and_chooses_a_password_before_anything_else(site: Site) -> None:
    site.store.edges.set_health("shanghai", "box1", {"cameras": {"cam3": {"title": "东区 3 号机"}}}, NOON)
    form = {"name": "小王", "role": "reviewer", "where": "places", "in:shanghai/cam3": "on", "in:elsewhere": "on"}
    password = one_time_password(site.client.post("/people", data=form).text)
    user = site.people.user("小王")
    assert user and (user.role, user.scope) == (Role.REVIEWER, CAM3)
    guard = site.visitor()
    guard.post("/login", data={"user": "小王", "password": password})
    assert guard.get("/").headers["location"] == "/account"
    assert guard.get("/", headers={"HX-Request": "true"}).headers["hx-redirect"] == "/account"
    assert guard.get("/api/unknown").status_code == 404
    assert "请设一个自己的密码" in guard.get("/account").text
    assert guard.post("/account/password", data={"old": password, "new": password}).status_code == 400
    guard.post("/account/password", data={"old": password, "new": "the guard's own"})
    guard.post("/login", data={"user": "小王", "password": "the guard's own"})
    assert guard.get("/account").status_code == 200 and guard.get("/people").status_code == 403
    assert password not in site.client.get("/people").text


def test_a_place_is_offered_though_its_box_has_told_of_no_health(site: Site) -> None:
    EdgeKeys(site.store.database).trust("suzhou", "box2", "QUFB", NOON)  # joined, and never spoke
    for seq, camera in enumerate(("cam10", "cam9"), 1):  # as of a replay
        alert = make_envelope(seq, incident=camera, camera=camera)
        alert["after"]["camera"] = camera
        site.store.add_alerts([alert], NOON)
    page = site.client.get("/people").text
    offered = ["shanghai", "shanghai/cam9", "shanghai/cam10", "suzhou"]
    assert re.findall('name="in:(.+?)"', page) == [*offered, *offered]  # to a person, and to a token
    assert "还没有设备报告过" not in page


def test_a_place_of_somebody_that_no_box_has_told_of_is_marked(site: Site) -> None:
    site.store.edges.set_health("shanghai", "box1", {"cameras": {"cam3": {"title": "东区 3 号机"}}}, NOON)
    site.people.add(CONSOLE, "小王", "hash", NOON, role=Role.VIEWER, scope=Scope.of(["shangai", "shanghai/cam3"]))
    page = site.client.get("/people/小王").text
    assert page.count("还没有设备报告过") == 1 and "还没有设备报告过 shangai。" in page


@pytest.mark.parametrize("zone", ["bulk", None, 5, [], {}, {"name": 5}, {"name": {}}])
def test_a_box_that_tells_of_odd_zones_closes_no_page_to_who_looks_after_people_and_boxes(
    site: Site, zone: object
) -> None:
    odd = {"zones": [zone], "file_zones": [], "coverage": None}
    site.parts.zones.set_layout("shanghai", "box1", {"cameras": {"cam3": odd}, "at_unix": NOON}, NOON)
    assert site.client.get("/people").status_code == 200
    assert site.client.post("/edges/codes", data={"site": "shanghai", "edge": "box2"}).status_code == 200


BAD_FORMS: list[dict[str, str]] = [
    {},
    {"name": "x"},
    {"name": "x", "role": "god", "where": "everywhere"},
    {"name": "x", "role": "viewer", "where": "places"},
    {"name": "x", "role": "viewer", "where": "places", "in:elsewhere": "on"},
    {"name": "", "role": "viewer", "where": "everywhere"},
    {"name": "owner/", "role": "viewer", "where": "everywhere"},
    {"name": "a\0b", "role": "viewer", "where": "everywhere"},
]
BAD_DAYS = ["", "0", "-1", "1.5", "99999", "9" * 400, "٣", "x"]


def test_a_bad_form_makes_nobody(site: Site) -> None:
    for form in BAD_FORMS:
        assert site.client.post("/people", data=form).status_code == 400
        assert site.client.post("/tokens", data={**form, "days": "9"}).status_code == 400
    for days in BAD_DAYS:
        form = {"name": "t", "role": "viewer", "where": "everywhere", "days": days}
        assert site.client.post("/tokens", data=form).status_code == 400
    assert [user.name for user in site.people.users(EVERYWHERE)] == ["owner"]
    assert site.people.tokens(EVERYWHERE) == []


OTHERS: dict[str, dict[str, str]] = {
    "": {"role": "viewer", "where": "everywhere"},
    "/password": {},
    "/access": {"do": "disable"},
    "/sessions": {"session": "all"},
}


def test_an_admin_neither_makes_nor_changes_an_owner(site: Site) -> None:
    admin = site.somebody(Role.ADMIN)
    form = {"name": "x", "role": "owner", "where": "everywhere"}
    assert admin.post("/people", data=form).status_code == 403
    assert admin.post("/tokens", data={**form, "days": "9"}).status_code == 400
    for path, fields in OTHERS.items():
        assert admin.post(f"/people/owner{path}", data=fields).status_code == 403
    assert site.client.get("/account").status_code == 200 and 'value="owner"' not in admin.get("/people").text


def test_whoever_sees_one_site_manages_nobody_of_another(site: Site) -> None:
    site.somebody(Role.VIEWER, ["suzhou"], "in-suzhou")
    local = site.somebody(Role.ADMIN, ["shanghai"], "local")
    assert "in-suzhou" not in local.get("/people").text and ">owner<" not in local.get("/people").text
    for path, fields in OTHERS.items():
        assert local.post(f"/people/in-suzhou{path}", data=fields).status_code == 404
    assert local.get("/people/in-suzhou").status_code == 404


def test_a_role_changes_at_the_next_click(site: Site) -> None:
    guard = site.somebody(Role.REVIEWER, None, "guard")
    assert guard.get("/tuning").status_code == 200
    answer = site.client.post("/people/guard", data={"role": "viewer", "where": "everywhere"})
    assert answer.status_code == 303 and guard.get("/tuning").status_code == 403


def test_who_overlooked_anothers_change_of_a_role_is_shown_that_and_undoes_nothing(site: Site) -> None:
    site.somebody(Role.OWNER, None, "guard")
    seen = re.search(r'name="seen" value="([^"]+)"', site.client.get("/people/guard").text)
    assert seen is not None
    form = {"where": "everywhere", "seen": seen[1]}
    assert site.client.post("/people/guard", data={**form, "role": "viewer"}).status_code == 303
    answer = site.client.post("/people/guard", data={**form, "role": "reviewer"})
    assert answer.status_code == 400 and TEXTS["zh"]["people_changed"] in answer.text
    assert (user := site.people.user("guard")) and user.role is Role.VIEWER
    again = re.search(r'name="seen" value="([^"]+)"', answer.text)
    assert again is not None
    form = {"where": "everywhere", "seen": again[1], "role": "reviewer"}
    assert site.client.post("/people/guard", data=form).status_code == 303


def test_the_page_of_somebody_says_which_notices_go_on_though_they_are_let_in_no_more(site: Site) -> None:
    admin = site.somebody(Role.ADMIN, None, "left")
    assert "their-robot" not in site.client.get("/people/left").text
    fields = {"service": "webhook", "name": "their-robot", "language": "zh", "url": "https://h.example/x"}
    assert admin.post("/notices/targets", data=fields).status_code == 303
    assert site.client.post("/people/left/access", data={"do": "disable"}).status_code == 303
    assert "their-robot" in site.client.get("/people/left").text
    assert "their-robot" not in site.client.get("/people/owner").text


def test_nobody_of_an_unknown_name_is_managed(site: Site) -> None:
    for name in ("nobody", "%00", "a%2fb", "x" * 3000, "é", "%ff"):
        for path, fields in OTHERS.items():
            assert site.client.post(f"/people/{name}{path}", data=fields).status_code in (400, 404, 405)
        assert site.client.post(f"/tokens/{name}/revoke").status_code in (400, 404)


def test_ones_own_sessions_and_tokens_are_on_the_account_page(site: Site) -> None:
    site.client.post("/tokens", data={"name": "erp", "role": "viewer", "where": "everywhere", "days": "9"})
    other = site.visitor(**{"User-Agent": "Mozilla/5.0 (iPhone) MicroMessenger/8.0 Safari"})
    other.post("/login", data=site.login)
    page = site.client.get("/account").text
    assert "erp" in page and "WeChat · iPhone" in page
    handle = re.search(r'name="session" value="([0-9a-f]+)" aria-label="[^"]*WeChat', page)
    assert handle is not None
    site.client.post("/account/sessions", data={"session": handle[1]})
    assert other.get("/account").status_code == 303 and site.client.get("/account").status_code == 200
    assert site.client.post("/tokens/erp/revoke", data={"next": "//evil.test"}).headers["location"] == "/"
    assert site.people.tokens(EVERYWHERE)[0].revoked_at == NOON


def test_nobody_revokes_anothers_token_or_ends_anothers_session(site: Site) -> None:
    site.client.post("/tokens", data={"name": "erp", "role": "viewer", "where": "everywhere", "days": "9"})
    for role in (Role.VIEWER, Role.REVIEWER, Role.ADMIN):
        assert site.somebody(role).post("/tokens/erp/revoke").status_code == 404
    session = site.people.sessions("owner", NOON)[0]
    site.somebody(Role.VIEWER).post("/account/sessions", data={"session": session.handle})
    assert site.client.get("/account").status_code == 200


@pytest.mark.parametrize("cookie", [False, True])
def test_a_token_is_no_cookie(site: Site, cookie: bool) -> None:
    """Another site's page can send a cookie, but no token; so where a token is sent, no cookie counts."""
    visitor = site.visitor(Authorization="Bearer lw_wrong")
    if cookie:
        visitor.cookies.update(site.client.cookies)
    del visitor.headers["Sec-Fetch-Site"]
    answer = visitor.get("/api/unknown")
    assert answer.status_code == 404
    assert visitor.post("/preferences", data={"theme": "dark"}).status_code == 403


@pytest.mark.parametrize(
    ("browser", "words"),
    [
        ("Mozilla/5.0 (Windows NT 10.0) Chrome/130.0 Safari/537.36 Edg/130", "Edge · Windows"),
        ("Mozilla/5.0 (Linux; Android 14) Chrome/130 Mobile Safari", "Chrome · Android"),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X) Version/18 Safari/605", "Safari · macOS"),
        ("curl/8", ""),
        ("", ""),
    ],
)
def test_devices_in_words(browser: str, words: str) -> None:
    assert device(browser) == words


# Scope, principal


@pytest.mark.parametrize(
    ("wide", "narrow", "covers"),
    [
        (None, None, True), (None, ["a"], True), (["a"], None, False), (["a"], ["a/x"], True), (["a/x"], ["a"], False),
        (["a/x"], ["a/y"], False), (["a", "b/x"], ["b/x", "a/y"], True), ([], [], True), ([], ["a"], False),
        (["a"], [], True),
    ],
)  # fmt: skip
def test_scopes_cover_each_other(wide: list[str] | None, narrow: list[str] | None, covers: bool) -> None:
    assert Scope.of(wide).covers(Scope.of(narrow)) is covers


def test_the_console_may_do_everything() -> None:
    assert all(CONSOLE.may(right) for right in Right)


# Command line


@pytest.fixture
def hub_file(tmp_path: Path) -> Path:
    """A hub's configuration; the hub has never run."""
    file = tmp_path / "hub.yaml"
    file.write_text(f"data_dir: {tmp_path / 'data'}\n")
    return file


def test_the_console_adds_lists_and_resets(hub_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["user", "list", str(hub_file)]) == 1
    assert "no database" in capsys.readouterr().err
    add = ["user", "add", "guard", "--role", "reviewer", "--scope", "shanghai,suzhou/cam3", str(hub_file)]
    assert cli.main(add) == 0
    first = capsys.readouterr().out.split()[2]
    assert cli.main(add) == 1 and "There is a user of this name" in capsys.readouterr().err
    assert cli.main(["user", "reset", "guard", str(hub_file)]) == 0
    second = capsys.readouterr().out.split()[2]
    assert cli.main(["user", "reset", "guard", "--second-step", str(hub_file)]) == 0
    assert "guard logs in by the password alone" in capsys.readouterr().out
    assert cli.main(["user", "reset", "nobody", "--second-step", str(hub_file)]) == 1
    assert capsys.readouterr().err
    assert cli.main(["user", "list", "--json", str(hub_file)]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [(user["name"], user["role"], user["scope"]) for user in listed] == [
        ("guard", "reviewer", ["shanghai", "suzhou/cam3"])
    ]
    store = Store(f"sqlite:///{hub_file.parent / 'data' / 'hub.sqlite'}")
    gate = Gate(People(store.database), CHEAP)
    now = SystemClock().now()
    assert gate.log_in("guard", first, "", now) is None and gate.log_in("guard", second, "", now)
    assert all(
        user.startswith("console:") for user, action, _ in actions(store) if action.startswith(("user", "password"))
    )
    store.close()


def test_a_hub_makes_its_owner_whomever_the_console_added_before(hub_file: Path) -> None:
    data = hub_file.parent / "data"
    for name in ("guard", "Owner"):
        assert cli.main(["user", "add", name, "--role", "reviewer", str(hub_file)]) == 0
    store = Store(f"sqlite:///{data / 'hub.sqlite'}")
    gate = Gate(People(store.database), CHEAP)
    login = gate.make_first_user(data, NOON)
    assert login and login["user"] == "owner2"
    session = gate.session(gate.log_in("owner2", login["password"], "", NOON), NOON)
    assert session and (session.role, session.scope) == (Role.OWNER, EVERYWHERE)
    assert gate.make_first_user(data, NOON) is None
    store.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="files are given away by root alone")
def test_where_root_adds_the_first_person_the_database_is_whose_the_folder_is(hub_file: Path) -> None:
    os.chown(hub_file.parent, 65534, 65533)
    assert cli.main(["user", "add", "guard", "--role", "reviewer", str(hub_file)]) == 0
    data = hub_file.parent / "data"
    assert {(path.stat().st_uid, path.stat().st_gid) for path in (data, *data.iterdir())} == {(65534, 65533)}
    assert (data / "hub.sqlite").exists()


def test_the_console_asks_about_a_place_that_no_box_has_told_of(
    hub_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = Store(f"sqlite:///{hub_file.parent / 'hub.sqlite'}")
    hub_file.write_text(f"data_dir: {hub_file.parent}\n")
    store.edges.set_health("shanghai", "box1", {"cameras": {"cam3": {}}}, NOON)
    EdgeKeys(store.database).trust("suzhou", "box1", "key", NOON)
    store.close()

    def add(name: str, scope: str, *more: str) -> int:
        return cli.main(["user", "add", name, "--role", "viewer", "--scope", scope, *more, str(hub_file)])

    assert add("one", "Shangai,suzhou,shanghai/cam4,nanjing") == 2
    assert [line.rpartition("told this hub of ")[2] for line in capsys.readouterr().err.splitlines()] == [
        "Shangai (did you mean shanghai? With --unseen it is taken all the same)",
        "shanghai/cam4 (did you mean shanghai/cam3? With --unseen it is taken all the same)",
        "nanjing (known sites: shanghai, suzhou. With --unseen it is taken all the same)",
    ]
    assert add("one", "nanjing", "--unseen") == add("two", "suzhou,shanghai/cam3") == 0
    capsys.readouterr()
    cli.main(["user", "list", "--json", str(hub_file)])
    listed = json.loads(capsys.readouterr().out)
    assert {user["name"]: user["scope"] for user in listed} == {"one": ["nanjing"], "two": ["shanghai/cam3", "suzhou"]}


@pytest.mark.parametrize(
    "arguments",
    [["--role", "god"], [], ["--role", "viewer", "--scope", ""], ["--role", "viewer", "--scope", "a,,b"],
     ["--role", "viewer", "--scope", "a/b/c"], ["--role", "viewer", "--scope", "/x"]],
)  # fmt: skip
def test_the_console_refuses_nonsense(hub_file: Path, arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        cli.main(["user", "add", "guard", *arguments, str(hub_file)])
    assert stopped.value.code == 2


@pytest.mark.parametrize("meanwhile", ["login", "logout", "in use", "recovery code"])
def test_a_password_is_changed_whatever_its_user_does_at_the_same_moment(
    postgres: Callable[[], str], meanwhile: str
) -> None:
    store = Store(postgres())
    people, password = People(store.database), CHEAP.hash("the owner's own")
    people.add(CONSOLE, "owner", password, NOON, role=Role.OWNER, scope=EVERYWHERE)
    people.set_second_step(OWNER, "sealed", ["sha-1"], 1, NOON)

    def log_in(sha256: str) -> bool:
        return people.open_session(sha256, "owner", password, NOON, NOON + 60, address="", browser="")

    assert log_in("a")
    acts: dict[str, Callable[[], object]] = {
        "login": lambda: log_in("b"),
        "logout": lambda: people.log_out("a", "owner", NOON),
        "in use": lambda: people.extend_session("a", "owner", NOON, NOON + 90, address=""),
        "recovery code": lambda: people.use_recovery_code("owner", "sha-1", NOON),
    }

    def change() -> None:
        if meanwhile == "recovery code":
            people.drop_second_step(OWNER, "owner", NOON)
        people.set_password(OWNER, "owner", "new", NOON)

    begun_first(store, acts[meanwhile], change, "UPDATE users" if meanwhile == "in use" else "pg_advisory_xact_lock")
    assert people.session("a", NOON) is None and people.password_hash("owner", NOON) == "new"
    store.close()


def test_who_has_no_name_at_the_machine_stands_in_the_log_by_number(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody() -> str:
        raise KeyError("getpwuid(): uid not found: 12345")

    monkeypatch.setattr("getpass.getuser", nobody)  # as in a container that is run by a number
    assert at_console() == f"console:{os.getuid()}"
