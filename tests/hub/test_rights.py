"""Each role against each route: who is let in, and nobody sees what is beyond their scope.

A route that is missing from `TABLE` makes a test fail: add a line that says who may use it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest
from fastapi.routing import iter_route_contexts

from detector.hub.access.audit import Audit
from detector.hub.storage.rights import CONSOLE, EVERYWHERE, Principal, Role, Scope
from tests.hub.conftest import CHEAP, NOON, Site, make_envelope, make_jpeg

OWNER, ADMIN, REVIEWER, VIEWER = Role
ALL = set(Role)
GUARDS = {OWNER, REVIEWER}
MANAGERS = {OWNER, ADMIN}
OPEN = "to everybody"
SIGNED = "to an edge that signs what it sends"  # `test_clips` tries to forge it

TABLE: dict[str, set[Role] | str] = {
    "GET /healthz": OPEN,
    "GET /login": OPEN,
    "POST /login": OPEN,
    "POST /login/code": OPEN,
    "POST /preferences": OPEN,
    "GET /source": OPEN,
    "GET /source/{name}": OPEN,
    "GET /certificate": OPEN,
    "GET /labelwatch-ca.crt": OPEN,
    "GET /static": OPEN,
    "GET /shown/{incident_id}/{number}": OPEN,  # with a signature of the hub's: `test_integrations` tries to forge it
    "HEAD /shown/{incident_id}/{number}": OPEN,  # with a signature of the hub's: `test_integrations` tries to forge it
    "GET /account": ALL,
    "POST /account/password": ALL,
    "POST /account/second-step": ALL,
    "POST /account/second-step/confirm": ALL,
    "POST /account/second-step/off": ALL,
    "POST /account/recovery-codes": ALL,
    "POST /logout": ALL,
    "GET /": ALL,
    "GET /digest": ALL,
    "GET /feed/older": ALL,
    "GET /digest/older": ALL,
    "GET /feed/live": ALL,
    "GET /digest/live": ALL,
    "GET /day": ALL,
    "GET /weeks": ALL,
    "GET /events": ALL,
    "GET /incidents/{incident_id}": ALL,
    "GET /incidents/{incident_id}/snapshot": ALL,
    "HEAD /incidents/{incident_id}/snapshot": ALL,
    "GET /incidents/{incident_id}/item": ALL,
    "GET /incidents/{incident_id}/stills/{number}": ALL,
    "HEAD /incidents/{incident_id}/stills/{number}": ALL,
    "POST /incidents/{incident_id}/reason": GUARDS,
    "POST /incidents/{incident_id}/notes": GUARDS,
    "POST /incidents/{incident_id}/response": GUARDS,
    "GET /review": GUARDS,
    "GET /review/queue": GUARDS,
    "GET /review/events": GUARDS,
    "POST /review/look": GUARDS,
    "POST /incidents/{incident_id}/verdict": GUARDS,
    "POST /incidents/{incident_id}/undo": GUARDS,
    "GET /incidents/{incident_id}/alike": GUARDS,
    "POST /incidents/{incident_id}/alike": GUARDS,
    "POST /incidents/{incident_id}/alike/undo": GUARDS,
    "GET /clips/{incident_id}": ALL,
    "GET /clips/{incident_id}/{segment}": GUARDS,
    "HEAD /clips/{incident_id}/{segment}": GUARDS,
    "GET /clips/{incident_id}/{segment}/side": ALL,
    "GET /clips/{incident_id}/{segment}/play": ALL,
    "HEAD /clips/{incident_id}/{segment}/play": ALL,
    "GET /clips/{incident_id}/{segment}/shared": ALL,
    "HEAD /clips/{incident_id}/{segment}/shared": ALL,
    "GET /clips/{incident_id}/{segment}/preview": GUARDS,
    "HEAD /clips/{incident_id}/{segment}/preview": GUARDS,
    "GET /incidents/{incident_id}/share": GUARDS,
    "POST /incidents/{incident_id}/share": GUARDS,
    "GET /cases": ALL,
    "POST /cases/add": GUARDS,
    "GET /cases/{number}": ALL,
    "POST /cases/{number}": GUARDS,
    "POST /cases/{number}/remove": GUARDS,
    "POST /cases/{number}/pack": GUARDS,
    "GET /cases/{number}/packs": ALL,
    "GET /cases/{number}/packs/{pack_number}": GUARDS,
    "POST /cases/{number}/packs/{pack_number}/remove": GUARDS,
    "POST /incidents/{incident_id}/hold": GUARDS,
    "GET /cameras": ALL,
    "GET /cameras/part": ALL,
    "GET /cameras/{site}/{edge}/{camera}/picture": ALL,
    "HEAD /cameras/{site}/{edge}/{camera}/picture": ALL,
    "POST /cameras/{site}/{edge}/{camera}/picture": ALL,
    "GET /cameras/{site}/{edge}/{camera}/zones": ALL,
    "GET /cameras/{site}/{edge}/{camera}/zones/answer": ALL,
    "POST /cameras/{site}/{edge}/{camera}/zones": MANAGERS,
    "POST /cameras/{site}/{edge}/{camera}/zones/proposals": GUARDS,
    "POST /cameras/{site}/{edge}/{camera}/zones/proposals/{number}": MANAGERS,
    "GET /cameras/{site}/{edge}/{camera}/orientation": ALL,
    "GET /cameras/{site}/{edge}/{camera}/tests": MANAGERS,
    "POST /cameras/{site}/{edge}/{camera}/tests": MANAGERS,
    "GET /cameras/{site}/{edge}/{camera}/tests/{number}": MANAGERS,
    "GET /health": ALL,
    "GET /health/part": ALL,
    "GET /alarms": ALL,
    "POST /alarms/{number}/acknowledge": GUARDS | MANAGERS,
    "GET /api/alarms": ALL,
    "GET /metrics": ALL,
    "GET /readyz": OPEN,
    "GET /retention": MANAGERS,
    "GET /integrations": MANAGERS,
    "GET /integrations/part": MANAGERS,
    "POST /integrations/resume": MANAGERS,
    "GET /notices": MANAGERS,
    "GET /notices/log": MANAGERS,
    "POST /notices/targets": MANAGERS,
    "POST /notices/targets/{number}/test": MANAGERS,
    "POST /notices/targets/{number}/remove": MANAGERS,
    "POST /notices/targets/{number}/rules": MANAGERS,
    "POST /notices/rules/{number}/remove": MANAGERS,
    "GET /edges": MANAGERS,
    "GET /edges/part": MANAGERS,
    "POST /edges/codes": MANAGERS,
    "GET /edges/codes/{number}": MANAGERS,
    "POST /edges/codes/{number}/cancel": MANAGERS,
    "POST /edges/{site}/{edge}/rotate": MANAGERS,
    "POST /edges/{site}/{edge}/revoke": MANAGERS,
    "POST /enrol": SIGNED,
    "GET /people": MANAGERS,
    "POST /people": MANAGERS,
    "GET /people/{name}": MANAGERS,
    "POST /people/{name}": MANAGERS,
    "POST /people/{name}/password": MANAGERS,
    "POST /people/{name}/second-step": MANAGERS,
    "POST /people/{name}/access": MANAGERS,
    "POST /people/{name}/sessions": MANAGERS,
    "POST /tokens": MANAGERS,
    "POST /tokens/{name}/revoke": ALL,
    "POST /account/sessions": ALL,
    "GET /audit": MANAGERS,
    "POST /audit/check": MANAGERS,
    "GET /audit/export": MANAGERS,
    "GET /api/audit": MANAGERS,
    "GET /api/openapi.json": OPEN,
    "GET /api/incidents": ALL,
    "GET /api/events": ALL,
    "GET /api/incidents/{incident_id}": ALL,
    "GET /api/incidents/{incident_id}/clip": ALL,
    "HEAD /api/incidents/{incident_id}/clip": ALL,
    "GET /api/incidents/{incident_id}/snapshot": ALL,
    "HEAD /api/incidents/{incident_id}/snapshot": ALL,
    "POST /api/incidents/{incident_id}/verdict": GUARDS,
    "GET /api/cases": ALL,
    "GET /api/cases/{number}": ALL,
    "GET /api/cameras": ALL,
    "GET /api/stats": ALL,
    "GET /tuning": {OWNER, ADMIN, REVIEWER},
    "GET /tuning/edges": {OWNER, ADMIN, REVIEWER},
    "POST /tuning": MANAGERS,
    "HEAD /api/clips/{incident_id}/{segment}": SIGNED,
    "PUT /api/clips/{incident_id}/{segment}": SIGNED,
    "HEAD /api/clips/{incident_id}/{segment}/side": SIGNED,
    "PUT /api/clips/{incident_id}/{segment}/side": SIGNED,
    "POST /api/replays/{site}/{edge}": SIGNED,
}

# What stands in an address; anything else is unknown.
NAMED = {"incident_id": "inc-1", "segment": "0", "site": "shanghai", "edge": "box1", "camera": "cam3"}
VERDICT = {"verdict": "unclear", "reason": "", "note": ""}
FORMS = {"POST /incidents/{incident_id}/verdict": VERDICT}  # sent with a post; else an empty one
DOCUMENTS = {"POST /api/incidents/{incident_id}/verdict": VERDICT}  # JSON
# Streams are closed here, or they would never end; there is no broker to be ready.
BUSY = ("GET /events", "GET /api/events", "GET /review/events", "GET /readyz")
FOR_PROGRAMS = ("/api/", "/metrics")
ELSEWHERE = Scope.of(["suzhou"])
SECRETS = ("shanghai", "cam3", "东区", "guard-of-cam3", "token-of-cam3")  # what nobody in Suzhou may read
CLOSED = [route for route, who in TABLE.items() if isinstance(who, set)]


class Town:
    """A hub with one incident in Shanghai, and one user and API token of each kind."""

    def __init__(self, site: Site) -> None:
        self.site = site
        hashed = CHEAP.hash("correct horse battery")
        kinds = {**{str(role): (role, EVERYWHERE) for role in Role}, "elsewhere": (OWNER, ELSEWHERE)}
        kinds["guard-of-cam3"] = (REVIEWER, Scope.of(["shanghai/cam3"]))
        self.tokens = {}
        self._sessions: dict[str, str] = {}
        for name, (role, scope) in kinds.items():
            if name != OWNER:
                site.people.add(CONSOLE, name, hashed, NOON, role=role, scope=scope)
            by = Principal(name, role, scope)
            token = "token-of-cam3" if name == "guard-of-cam3" else f"t-{name}"
            self.tokens[name] = site.gate.make_token(by, token, NOON, role=role, scope=scope, days=1)

    def ask(self, route: str, name: str = "", *, token: str = "") -> Any:
        """The answer to somebody who is logged in, to a token, or to nobody."""
        method, path = route.split(" ")
        path = re.sub(r"{(\w+)[^}]*}", lambda found: NAMED.get(found[1], "unknown"), path)
        visitor = self.site.visitor()
        if name:
            visitor.cookies.set("labelwatch", self._session(name))
        if token:
            del visitor.headers["Sec-Fetch-Site"]
            visitor.headers["Authorization"] = f"Bearer {self.tokens[token]}"
        if method == "POST":  # which may end it
            self._sessions.pop(name, None)
        return visitor.request(method, path, data=FORMS.get(route), json=DOCUMENTS.get(route))

    def _session(self, name: str) -> str:
        if name not in self._sessions:
            password = self.site.login["password"] if name == OWNER else "correct horse battery"
            opened = self.site.gate.log_in(name, password, "10.0.0.1", NOON)
            assert opened is not None
            self._sessions[name] = opened
        return self._sessions[name]


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory, mp4: bytes) -> Iterator[Town]:
    folder = tmp_path_factory.mktemp("town")
    site = Site(folder)
    site.store.add_alerts([make_envelope(1, snapshot=make_jpeg())], NOON)
    site.store.edges.set_health("shanghai", "box1", {"cameras": {"cam3": {"title": "东区 3 号机", "age_s": 1.0}}}, NOON)
    assert site.client.put("/api/clips/inc-1/0", content=mp4, headers=site.claim(mp4)).status_code in (200, 201)
    site.live.close()  # a stream of events would never end
    yield Town(site)
    site.client.close()
    site.store.close()


def is_refused(answer: Any) -> bool:
    """Whether the answer is that a login is needed, or a right."""
    return answer.status_code in (401, 403) or answer.headers.get("location", "").startswith("/login")


def test_every_route_is_in_the_table_and_nothing_else(town: Town) -> None:
    routes = set()
    for route in iter_route_contexts(town.site.app.app.routes):
        routes |= {f"{method} {route.path}" for method in route.methods or {"GET"}}
    assert routes == set(TABLE)


def test_nobody_comes_in_without_a_login(town: Town) -> None:
    answers = {route: town.ask(route) for route in CLOSED}
    assert [route for route, answer in answers.items() if not is_refused(answer) or answer.status_code == 403] == []


def test_a_role_is_let_in_where_it_belongs(town: Town) -> None:
    wrong = []
    for route, role in product(CLOSED, Role):
        answer = town.ask(route, role)
        if role not in TABLE[route]:
            fine = answer.status_code == 403
        elif route == "POST /logout":
            fine = answer.status_code == 303
        else:
            fine = not is_refused(answer) and (answer.status_code < 500 or route in BUSY)
        wrong += [] if fine else [(route, str(role), answer.status_code)]
    assert wrong == []


def test_another_sites_owner_gets_no_hint_of_this_one(town: Town) -> None:
    wrong = []
    for route in CLOSED:
        answer = town.ask(route, "elsewhere")
        if ("{incident_id}" in route or "{site}" in route) and answer.status_code != 404:
            wrong.append((route, str(answer.status_code)))
        told = answer.text.replace(answer.request.url.path, "")  # what was asked may be said again
        wrong += [(route, secret) for secret in SECRETS if secret in told]
    assert wrong == []


def test_a_token_works_in_the_api_alone_and_as_its_role(town: Town) -> None:
    wrong = []
    for route, role in product(CLOSED, Role):
        answer = town.ask(route, token=role)
        if not any(path in route for path in FOR_PROGRAMS):
            fine = is_refused(answer)
        elif role in TABLE[route]:
            fine = not is_refused(answer) and (answer.status_code < 500 or route in BUSY)
        else:
            fine = answer.status_code == 403
        wrong += [] if fine else [(route, str(role), answer.status_code)]
    assert wrong == []


@pytest.mark.parametrize("route", [route for route, who in TABLE.items() if who == SIGNED])
def test_edges_sign_what_they_send(town: Town, route: str) -> None:
    assert town.ask(route, OWNER).status_code in (400, 401, 403)
    assert town.ask(route, token=OWNER).status_code in (400, 401, 403)


def test_some_pages_are_open(town: Town) -> None:
    answers = {route: town.ask(route) for route, who in TABLE.items() if who == OPEN}
    assert [route for route, answer in answers.items() if answer.status_code >= 500 and route not in BUSY] == []
    refused = {route for route, answer in answers.items() if is_refused(answer)}
    assert refused <= {"POST /login", "POST /login/code"}


def test_a_view_of_full_pixels_leaves_one_line_an_hour(town: Town) -> None:
    site, guard = town.site, town.site.somebody(REVIEWER, None, "watching")
    for at in (NOON, NOON + 1, NOON + 3600):
        site.clock.at = at
        answer = guard.get("/clips/inc-1/0", headers={"Range": "bytes=0-99"})
        assert answer.status_code == 206
    site.clock.at = NOON
    seen = [(entry.action, entry.subject) for entry in Audit(site.store.database).entries(user="watching")]
    assert seen == [("clip", "inc-1"), ("clip", "inc-1"), ("login", "")]


def test_the_api_tells_a_program_what_it_lacks(town: Town) -> None:
    visitor = town.site.visitor(Authorization="Bearer lw_wrong")
    visitor.cookies.update(town.site.client.cookies)  # counts for nothing beside a token
    answer = visitor.get("/api/incidents")
    assert answer.status_code == 401 and answer.headers["www-authenticate"] == "Bearer"
