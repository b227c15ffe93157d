"""No entry of the audit log can be changed, taken out, moved or cut off without its being found."""

from __future__ import annotations

import ast
import hashlib
import json
import re
import stat
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

import detector.hub
from detector import cli
from detector.hub.access.anchors import FILE, Anchors
from detector.hub.access.audit import ONCE_S, Audit, Checked, Entry, Flaw, Head, verify
from detector.hub.storage.audit_chain import BEGINNING, chained
from detector.hub.storage.rights import CONSOLE, Role, Scope
from detector.hub.storage.store import Store
from detector.hub.texts import ZH
from tests.builders import SteppedClock
from tests.hub.conftest import NOON, Site, make_envelope, refuse_audit
from tests.parts_mosquitto import soon

MADE = 12


def make_chain(count: int = MADE) -> list[Entry]:
    """Entries as they are written."""
    entries: list[Entry] = []
    for number in range(1, count + 1):
        fields: dict[str, Any] = {
            "at": NOON + number, "user": "owner", "action": "verdict", "subject": f"inc-{number}",
            "details": {"n": number},
        }  # fmt: skip
        entries.append(Entry(number, **fields, hash=chained(entries[-1].hash if entries else BEGINNING, fields)))
    return entries


def numbered(entries: list[Entry]) -> list[Entry]:
    """The same entries under numbers without gaps."""
    return [replace(entry, number=number) for number, entry in enumerate(entries, 1)]


def rechained(entries: list[Entry]) -> list[Entry]:
    """The same entries with hashes that follow each other again."""
    made: list[Entry] = []
    for entry in entries:
        fields = {name: getattr(entry, name) for name in ("at", "user", "action", "subject", "details")}
        made.append(replace(entry, hash=chained(made[-1].hash if made else BEGINNING, fields)))
    return made


def head_of(entries: list[Entry], number: int) -> Head:
    """What was written down when there were so many entries."""
    return Head(number, entries[number - 1].hash)


def first(checked: Checked) -> tuple[str, int]:
    """Kind and number of the first flaw."""
    return checked.flaws[0].kind, checked.flaws[0].number


def test_an_untouched_chain_holds() -> None:
    chain = make_chain()
    heads = [head_of(chain, number) for number in (1, 5, MADE)]
    assert verify(chain, heads) == Checked(head_of(chain, MADE), ())
    assert verify([]) == Checked(Head(0, BEGINNING), ())


@pytest.mark.parametrize("at", range(MADE))
@pytest.mark.parametrize(
    "change",
    [{"at": NOON}, {"user": "eve"}, {"action": "login"}, {"subject": ""}, {"details": {}}, {"hash": "0" * 64}],
)
def test_an_edit_is_found(at: int, change: dict[str, Any]) -> None:
    chain = make_chain()
    chain[at] = replace(chain[at], **change)
    assert first(verify(chain)) == ("edited", at + 1)


@pytest.mark.parametrize("at", range(MADE - 1))
def test_a_deletion_is_found_whether_or_not_its_gap_is_closed(at: int) -> None:
    chain = make_chain()
    del chain[at]
    assert verify(chain).flaws == (Flaw("deleted", at + 1, at + 1),)
    assert first(verify(numbered(chain))) == ("edited", at + 1)


@pytest.mark.parametrize(("one", "other"), [(0, 1), (3, 4), (2, 7), (0, MADE - 1), (MADE - 2, MADE - 1)])
def test_a_changed_order_is_found(one: int, other: int) -> None:
    chain = make_chain()
    chain[one], chain[other] = chain[other], chain[one]
    assert first(verify(numbered(chain))) == ("reordered", one + 1)


@pytest.mark.parametrize(("source", "target"), [(2, 9), (9, 2), (0, MADE - 1), (MADE - 1, 0)])
def test_a_moved_entry_is_found(source: int, target: int) -> None:
    chain = make_chain()
    chain.insert(target, chain.pop(source))
    assert first(verify(numbered(chain))) == ("reordered", min(source, target) + 1)


@pytest.mark.parametrize("left", range(MADE))
def test_a_cut_off_end_is_found_by_a_head(left: int) -> None:
    chain = make_chain()
    assert verify(chain[:left], [head_of(chain, MADE)]).flaws == (Flaw("truncated", left + 1, MADE),)
    assert verify(chain[:left]).flaws == ()  # which is why heads are kept


@pytest.mark.parametrize("at", range(9))
def test_a_chain_written_anew_is_found_by_a_head(at: int) -> None:
    chain = make_chain()
    forged = [*chain]
    forged[at] = replace(chain[at], user="somebody else")
    checked = verify(rechained(forged), [head_of(chain, 4), head_of(chain, 9)])
    assert first(checked) == ("rewritten", 1 if at < 4 else 5)
    assert verify(rechained(forged)).flaws == ()


def test_an_end_cut_off_and_grown_again_is_found_by_a_head() -> None:
    chain = make_chain()
    grown = rechained([*chain[:6], *(replace(entry, user="mallory") for entry in chain[6:])])
    assert verify(grown, [head_of(chain, 9)]).flaws == (Flaw("rewritten", 1, 9),)


def test_a_chain_in_ruins_is_told_in_few_words() -> None:
    ruins = [replace(entry, hash="") for entry in make_chain(500)]
    assert first(verify(ruins)) == ("edited", 1) and len(verify(ruins).flaws) <= 101


TEXTS = st.text(st.characters(exclude_categories=()), max_size=20)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
NAMES = st.text(st.sampled_from("abcdefghij"), min_size=1, max_size=6)
ACTS = st.tuples(
    st.floats(-1e12, 1e12) | st.integers(-(10**12), 10**12),
    TEXTS,
    TEXTS,
    TEXTS,
    st.dictionaries(NAMES, VALUES, max_size=3),
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(acts=st.lists(ACTS, min_size=1, max_size=4))
def test_whatever_is_recorded_reads_back_the_same(store: Store, acts: list[Any]) -> None:
    audit = Audit(store.database)
    for at, user, action, subject, details in acts:
        with store.database.writing() as connection:
            audit.add(connection, at, user, action, subject, **{f"d_{name}": value for name, value in details.items()})
    assert verify(audit.all_entries(), [found] if (found := audit.head()) else []).flaws == ()


def test_both_databases_hash_alike(store: Store) -> None:
    audit = Audit(store.database)
    audit.record(
        1793505600.1234567, "小王", "判断", "inc-é", share=0.1 + 0.2, n=10**30, none=None, deep={"b": [1.0, -0.0]}
    )
    audit.record(1793505601, "\0\ud800", "x", nan=float("nan"))
    assert str(audit.head()) == "2:5b2e9d6319884902efa1b14b75b92693e6231df3a80dde52a6f7ee1e29d12054"


def test_the_chain_is_followed_page_by_page(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("detector.hub.access.audit.PAGE", 10)
    audit = Audit(store.database)
    with store.database.writing() as connection:
        for n in range(33):
            audit.add(connection, NOON + n, "owner", "login")
    assert [entry.number for entry in audit.all_entries()] == list(range(1, 34))
    assert verify(audit.all_entries()).flaws == ()


TAMPERING = {
    "an edit": ("UPDATE audit SET \"user\" = 'mallory' WHERE number = 3", Flaw("edited", 3, 3)),
    "a deletion": ("DELETE FROM audit WHERE number IN (3, 4)", Flaw("deleted", 3, 4)),
    "broken JSON": ("UPDATE audit SET details = '[1]' WHERE number = 2", Flaw("edited", 2, 2)),
    "the end cut off": ("DELETE FROM audit WHERE number > 4", Flaw("truncated", 5, 6)),
}


@pytest.mark.parametrize("name", TAMPERING)
def test_tampering_with_the_database_is_found(store: Store, name: str, tmp_path: Path) -> None:
    statement, flaw = TAMPERING[name]
    audit = Audit(store.database)
    for n in range(6):
        audit.record(NOON + n, "owner", "verdict", f"inc-{n}", verdict="true")
    anchors = Anchors(audit, tmp_path, SteppedClock(NOON))
    anchors.anchor()
    with store.database.writing() as connection:
        connection.execute(text(statement))
    assert anchors.check()[1].flaws[0] == flaw


@pytest.mark.parametrize("value", ["x'ff00'", "'no json'", "42", "NULL || 'x'"])
@pytest.mark.parametrize("column", ["details", "at", "user", "hash"])
def test_what_no_entry_holds_is_told_like_an_edit(sqlite_store: Store, column: str, value: str) -> None:
    audit = Audit(sqlite_store.database)
    for n in range(4):
        audit.record(NOON + n, "owner", "login")
    with sqlite_store.database.writing() as connection:
        connection.execute(text(f'UPDATE OR IGNORE audit SET "{column}" = coalesce({value}, 0) WHERE number = 2'))
    assert first(verify(audit.all_entries())) == ("edited", 2)


def test_heads_are_kept_in_a_file_for_its_owner_alone(sqlite_store: Store, tmp_path: Path) -> None:
    audit, clock = Audit(sqlite_store.database), SteppedClock(NOON)
    anchors = Anchors(audit, tmp_path, clock)
    assert anchors.anchor() is None and not (tmp_path / FILE).exists()
    audit.record(NOON, "owner", "login")
    assert anchors.anchor() == anchors.anchor() == audit.head()
    audit.record(NOON, "owner", "logout")
    anchors.anchor()
    lines = (tmp_path / FILE).read_text().splitlines()
    assert [line.split()[1] for line in lines] == [str(Head(e.number, e.hash)) for e in audit.all_entries()]
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600


def test_a_line_cut_off_by_a_full_disk_is_told_and_spoils_no_other(sqlite_store: Store, tmp_path: Path) -> None:
    audit = Audit(sqlite_store.database)
    audit.record(NOON, "owner", "login")
    (tmp_path / FILE).write_bytes(b"2026-11-01T04:00:00.000Z 1:ab")
    anchors = Anchors(audit, tmp_path, SteppedClock(NOON))
    anchors.anchor()
    _, checked, kept = anchors.check()
    assert kept.unreadable == (1,) and kept.heads == (audit.head(),) and checked.flaws == ()


def test_a_running_hub_keeps_heads_from_start_to_stop_and_checks_some_time_after_its_start(
    sqlite_store: Store, tmp_path: Path
) -> None:
    audit = Audit(sqlite_store.database)
    audit.record(NOON, "owner", "login")
    anchors = Anchors(audit, tmp_path, SteppedClock(NOON))
    anchors.start()
    assert soon(lambda: anchors.read().heads)
    time.sleep(0.2)
    assert anchors.last is None
    anchors._background.poke()  # the time has come
    assert soon(lambda: anchors.last is not None)
    audit.record(NOON, "owner", "logout")
    anchors.stop()
    anchors.stop()
    assert [head.number for head in anchors.read().heads] == [1, 2]


def test_heads_are_kept_hour_by_hour_between_two_checks(
    sqlite_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("detector.hub.access.anchors.FIRST_CHECK_S", 0.0)
    monkeypatch.setattr("detector.hub.access.anchors.HEAD_S", 0.01)
    audit = Audit(sqlite_store.database)
    anchors = Anchors(audit, tmp_path, SteppedClock(NOON))
    anchors.start()
    assert soon(lambda: anchors.last is not None)
    for number in (1, 2):
        audit.record(NOON, "owner", "login")
        assert soon(lambda number=number: number in [head.number for head in anchors.read().heads])
    anchors.stop()


def test_what_is_seen_again_within_the_hour_leaves_one_line(sqlite_store: Store) -> None:
    audit = Audit(sqlite_store.database)
    for at in (NOON, NOON + 1, NOON + ONCE_S - 1, NOON + ONCE_S):
        audit.record_once(at, "guard", "clip", "inc-1", segment=0)
    audit.record_once(NOON, "guard", "clip", "inc-2")
    audit.record_once(NOON, "other", "clip", "inc-1")
    assert [entry.at - NOON for entry in audit.all_entries()] == [0, ONCE_S, 0, 0]


def test_a_clock_that_was_put_back_silences_no_line(sqlite_store: Store) -> None:
    audit = Audit(sqlite_store.database)
    for at in (NOON + 86400, NOON):
        audit.record_once(at, "guard", "clip", "inc-1")
    assert len(list(audit.all_entries())) == 2


@pytest.fixture
def hub_file(tmp_path: Path) -> Path:
    """A hub's configuration, and four entries in its audit log, the first two with a head."""
    site = Site(tmp_path)
    Anchors(Audit(site.store.database), tmp_path, site.clock).anchor()
    for _ in range(2):
        Audit(site.store.database).record(NOON, "owner", "verdict")
    site.client.close()
    site.store.close()
    file = tmp_path / "hub.yaml"
    file.write_text(f"data_dir: {tmp_path}\n")
    return file


def test_the_command_line_checks_the_log(hub_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["audit", "head", str(hub_file)]) == 0
    head = capsys.readouterr().out.strip()
    assert head.startswith("4:")
    assert cli.main(["audit", "verify", str(hub_file), "--head", head]) == 0
    said = capsys.readouterr().out
    assert "the log holds: 4 entries, compared with 2 heads" in said and "no head" not in said
    assert cli.main(["audit", "verify", str(hub_file)]) == 0
    assert "of the entries after 2 no head was kept yet" in capsys.readouterr().out
    store = Store(f"sqlite:///{hub_file.parent / 'hub.sqlite'}")
    with store.database.writing() as connection:
        connection.execute(text("DELETE FROM audit WHERE number > 2"))
    store.close()
    assert cli.main(["audit", "verify", str(hub_file)]) == 0
    assert cli.main(["audit", "verify", str(hub_file), "--head", head]) == 1
    assert "Entries 3–4 were cut off the end" in capsys.readouterr().out


A64 = "a" * 64


@pytest.mark.parametrize(
    "head", ["", "4", "4:", f":{A64}", f"x:{A64}", "4:" + "g" * 64, "1" * 19 + f":{A64}", f"-1:{A64}"]
)
def test_a_head_that_is_none_is_refused(hub_file: Path, head: str) -> None:
    with pytest.raises(SystemExit) as stopped:
        cli.main(["audit", "verify", str(hub_file), "--head", head])
    assert stopped.value.code == 2


def test_the_page_shows_entries_by_who_what_about_and_when(site: Site) -> None:
    audit = Audit(site.store.database)
    audit.record(NOON - 86400, "guard", "verdict", "inc-7", verdict="false")
    audit.record(NOON, "guard", "<script>", "inc-8")

    def numbers(query: str) -> list[int]:
        page = site.client.get(f"/audit?{query}").text
        return [int(part.split('"')[0]) for part in page.split('<li id="n')[1:]]

    assert numbers("") == [4, 3, 2, 1]
    assert numbers("user=guard") == [4, 3] and numbers("action=verdict") == [3] and numbers("subject=inc-8") == [4]
    assert numbers("day=2026-10-31") == [3] and numbers("user=guard&day=2026-11-01") == [4]
    assert numbers("before=3") == [2, 1] and numbers("user=nobody") == []
    assert "<script>" not in site.client.get("/audit").text.split("<main")[1]


def test_details_are_told_in_words_and_what_says_nothing_is_left_out(site: Site) -> None:
    audit = Audit(site.store.database)
    audit.record(NOON, "guard", "zones", "shanghai/box1/cam3", version=2, back=True, zones=None)
    audit.record(NOON, "guard", "share", "inc-7", faces="others", segments=[0, 1])
    audit.record(NOON, "guard", "clip", "inc-7", segment=0)
    audit.record(NOON, "guard", "case_changed", "case/1", changed=["note", "title"], state="")
    audit.record(NOON, "console:li", "user_added", "wang", role="viewer", scope=None)
    audit.record(NOON, "owner", "user_changed", "wang", scope=["suzhou", "shanghai/cam3"], scope_before=[])

    def details(language: str) -> tuple[str, ...]:
        site.client.cookies.set("language", language)
        lines = site.client.get("/audit").text.split('<li id="n')[1:7]
        return tuple(
            " ".join(re.sub("<[^>]*>", " ", line.split('class="details">')[1].split("<small>")[0]).split())
            for line in lines
        )

    assert details("zh") == (
        "范围： suzhou、shanghai/cam3 原范围： 没有地点", "角色： 只看 范围： 全部站点", "改了： 经过、名称", "段： 1",
        "打码： 只打码旁人 段： 1、2", "版本： 2 恢复原设置： 是",
    )  # fmt: skip
    assert details("en")[3:] == ("segment: 1", "blurred: Bystanders only segments: 1, 2", "version: 2 set back: yes")
    page = site.client.get("/audit").text
    assert "the hub&#39;s own machine (li)" in page and ">the hub&#39;s own machine<" in page


TO_RECORD = ("audit.add", "audit.record", "audit.record_once", "add_entry", ".did", ".saw")


def test_whatever_the_hub_puts_on_record_has_words() -> None:
    calls = [
        node
        for file in Path(detector.hub.__file__).parent.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(TO_RECORD)
    ]
    assert len(calls) > 40
    assert {f"detail_{one.arg}" for call in calls for one in call.keywords if one.arg} <= ZH.keys()
    places = {
        "did": 0,
        "saw": 0,
        "record": 2,
        "record_once": 2,
        "add": 3,
        "add_entry": 3,
    }  # of the action among what is passed
    actions = [call.args[places[ast.unparse(call.func).rpartition(".")[2]]] for call in calls]
    assert {f"action_{one.value}" for one in actions if isinstance(one, ast.Constant) and one.value} <= ZH.keys()


@pytest.mark.parametrize("query", ["before=x", "before=-1", f"before={10**30}", "day=9999-99-99", "day=0001-01-01"])
def test_an_absurd_question_about_the_log_is_no_failure(site: Site, query: str) -> None:
    assert site.client.get(f"/audit?{query}").status_code == 200


def test_the_page_says_whether_the_chain_holds(site: Site) -> None:
    assert site.client.post("/audit/check").status_code == 303
    site.client.post("/login", data=site.login)
    assert "日志完整：共 3 条，核对了前 2 条" in site.client.get("/audit").text
    with site.store.database.writing() as connection:
        connection.execute(text("UPDATE audit SET subject = 'x' WHERE number = 1"))
    site.client.post("/audit/check")
    page = site.client.get("/audit").text
    assert "日志被改动过" in page and "第 1 条" in page


def test_somebody_with_a_scope_reads_of_nobody_who_sees_more(site: Site) -> None:
    site.somebody(Role.VIEWER, ["suzhou"], "in-suzhou")
    page = site.somebody(Role.OWNER, ["suzhou"], "suzhou-owner").get("/audit").text
    assert "in-suzhou" in page and "suzhou-owner" in page
    assert ">owner<" not in page and "console:" not in page


def checked_by_others(exported: str) -> list[int]:
    """Numbers of the lines that hold, checked with what the API's description says and nothing of the hub."""
    holds, last = [], "0" * 64
    for line in exported.rstrip("\n").split("\n"):
        told = json.loads(line)
        as_it_stands = line[line.index('"entry": ') + len('"entry": ') : -1]
        assert json.loads(as_it_stands) == told["entry"]
        covered = f"{told['before']}\n{as_it_stands}".encode()
        if hashlib.sha256(covered).hexdigest() == told["hash"] and told["before"] == last:
            holds.append(told["number"])
        last = told["hash"]
    return holds


def test_the_log_is_had_as_a_file_that_others_can_check_and_that_says_so_itself(site: Site) -> None:
    with site.store.database.writing():
        for n in range(1500):
            site.parts.audit.record(
                NOON + n / 7, "王\u2028力", "verdict", f"inc-{n}", note='"entry": {} 东区', n=n, share=-0.0
            )
    paths = ("/audit/export", "/api/audit")
    for path in paths:
        answer = site.client.get(path)
        assert "attachment" in (told := answer.headers["content-disposition"]) and "jsonl" in told
        lines = [json.loads(line) for line in answer.text.rstrip("\n").split("\n")]
        head = site.parts.audit.head()
        assert head and len(lines) == head.number and lines[-1]["hash"] == head.hash
        assert lines[-1]["entry"]["action"] == "audit_exported" and lines[-1]["entry"]["user"] == "owner"
        assert checked_by_others(answer.text) == list(range(1, head.number + 1))
    with site.store.database.writing() as connection:
        connection.execute(text("UPDATE audit SET subject = 'x' WHERE number = 700"))
    for path in paths:
        assert 700 not in checked_by_others(site.client.get(path).text)


@pytest.fixture
def download(site: Site, tmp_path: Path) -> Callable[..., Path]:
    """An audit log as somebody has it, of six entries or as a path of the hub gives it."""
    for n in range(3):
        site.parts.audit.record(NOON + n / 7, "王力", "verdict", f"inc-{n}", share=-0.0)

    def download(path: str = "/audit/export", client: Any = site.client) -> Path:
        file = tmp_path / "log.jsonl"
        file.write_text(client.get(path).text)
        return file

    return download


def verified(file: Path, capsys: pytest.CaptureFixture[str], *heads: str) -> tuple[int, str]:
    code = cli.main(["audit", "verify", str(file), *(word for head in heads for word in ("--head", head))])
    return code, capsys.readouterr().out


def test_who_got_the_log_as_a_file_can_check_it_without_the_hub(
    site: Site, download: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    file, head = download(), str(site.parts.audit.head())
    code, out = verified(file, capsys, head)
    assert code == 0 and "the log holds\n6 of the entries 1 to 6, compared with 1 heads\n" in out
    assert out.endswith(f"head: {head}\n")
    assert verified(file.rename(file.with_suffix(".txt")), capsys)[0] == 0, "whatever it is called"
    later = download("/api/audit?after=4")
    assert verified(later, capsys)[1].startswith("the log holds\n3 of the entries 5 to 7")
    assert "entry 2 isn't in the file" in verified(later, capsys, f"2:{A64}")[1]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda lines: [line.replace("inc-1", "inc-9") for line in lines], "Entry 4 doesn't follow"),
        (lambda lines: [line.replace('"time": "2026-11-01', '"time": "2026-11-02') for line in lines], "Entry 1 "),
        (lambda lines: [*lines[:3], *lines[4:]], "Entries 4–4 are missing"),
        (lambda lines: [*lines[:3], lines[4], lines[3], lines[5]], "Line 5: entry 4 after entry 5"),
        (lambda lines: [*lines[:5], lines[5][:40]], "Line 6: no entry"),
        (lambda lines: lines[:5], "Entries 6–6 were cut off the end"),
        (lambda lines: [re.sub('"before": "[^"]*"', '"before": null', line) for line in lines], "Entry 2 doesn't"),
    ],
    ids=["edited", "its time", "deleted", "reordered", "torn", "cut off", "chain taken off"],
)
def test_what_was_changed_in_the_file_is_found(
    site: Site, download: Callable[..., Path], capsys: pytest.CaptureFixture[str],
    change: Callable[[list[str]], list[str]], told: str,
) -> None:  # fmt: skip
    file = download()
    file.write_text("\n".join(change(file.read_text().splitlines())))
    code, out = verified(file, capsys, str(site.parts.audit.head()))
    assert code == 1 and told in out, out


def test_of_a_file_that_leaves_out_what_its_reader_may_not_see_the_rest_is_checked(
    site: Site, download: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    local = site.somebody(Role.OWNER, ["suzhou"], "suzhou-owner")
    site.parts.audit.record(NOON, "owner", "verdict", "inc-1")
    site.parts.audit.record(NOON, "suzhou-owner", "verdict", "inc-2")
    file = download(client=local)
    numbers = [json.loads(line)["number"] for line in file.read_text().splitlines()]
    code, out = verified(file, capsys)
    assert code == 0 and f"3 of the entries {numbers[0]} to {numbers[-1]}" in out and "2 of them couldn't be" in out
    file.write_text(file.read_text().replace("audit_exported", "slept"))
    assert verified(file, capsys)[0] == 1


@pytest.mark.parametrize("content", [None, "", "{}\n", "no JSON\n", '{"schema": 2, "number": 1}\n'])
def test_what_is_no_log_is_misuse(content: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "log.jsonl"
    if content is not None:
        file.write_text(content)
    assert cli.main(["audit", "verify", str(file)]) == 2
    assert capsys.readouterr().err.startswith(f"labelwatch: {file}: no ")


def test_who_has_the_log_already_gets_what_came_since(site: Site) -> None:
    first = [json.loads(line) for line in site.client.get("/api/audit").text.splitlines()]
    site.parts.audit.record(NOON, "li", "verdict", "inc-1")
    more = [json.loads(line) for line in site.client.get(f"/api/audit?after={first[-1]['number']}").text.splitlines()]
    assert [one["entry"]["action"] for one in more] == ["verdict", "audit_exported"]
    assert more[0]["before"] == first[-1]["hash"] and more[1]["entry"]["details"] == {"number": first[-1]["number"] + 1}


def test_what_somebody_did_when_they_saw_more_stays_hidden_when_they_see_less(site: Site) -> None:
    site.somebody(Role.OWNER, None, "anna")
    admin = site.somebody(Role.ADMIN, ["suzhou"], "sz")
    site.parts.audit.record(NOON, "anna", "note", "inc-9", text="informant: dock 4")
    site.people.change(CONSOLE, "anna", NOON + 1, role=Role.REVIEWER, scope=Scope.of(["suzhou"]))
    site.parts.audit.record(NOON + 2, "anna", "note", "inc-10", text="a guard's")
    for address in ("/audit", "/audit/export"):
        told = admin.get(address).text
        assert "inc-9" not in told and "inc-10" in told, address


def test_with_a_scope_the_file_holds_nothing_of_who_sees_more(site: Site) -> None:
    local = site.somebody(Role.OWNER, ["suzhou"], "suzhou-owner")
    site.parts.audit.record(NOON, "owner", "verdict", "inc-1")
    site.parts.audit.record(NOON, "suzhou-owner", "verdict", "inc-2")
    lines = [json.loads(line) for line in local.get("/audit/export").text.splitlines()]
    assert {one["entry"]["user"] for one in lines} == {"suzhou-owner"}
    hidden = next(one.hash for one in site.parts.audit.entries() if one.subject == "inc-1")
    assert hidden not in json.dumps(lines) and [one["before"] is None for one in lines] == [True, True, False]


@pytest.mark.parametrize("damage", ["details = '{'", "at = 'noon'", "\"user\" = x'ff'"])
def test_a_log_that_somebody_broke_is_had_all_the_same(site: Site, damage: str) -> None:
    for n in range(5):
        site.parts.audit.record(NOON + n, "li", "verdict", f"inc-{n}")
    with site.store.database.writing() as connection:
        connection.execute(text(f"UPDATE audit SET {damage} WHERE number = 3"))
    lines = site.client.get("/audit/export").text.splitlines()
    assert [json.loads(line)["number"] for line in lines] == [*range(1, 9)]


def test_no_line_of_the_log_leaves_without_its_own(site: Site) -> None:
    refuse_audit(site.store)
    assert site.client.get("/audit/export").status_code == 500


@pytest.mark.parametrize(
    ("path", "sent"),
    [
        ("/incidents/inc-1/verdict", {"data": {"verdict": "true"}}),
        ("/api/incidents/inc-1/verdict", {"json": {"verdict": "true"}}),
        ("/incidents/inc-1/undo", {"data": {}}),
        ("/incidents/inc-1/reason", {"data": {"over": "1", "reason": "scan"}}),
        ("/incidents/inc-1/notes", {"data": {"text": "seen him before"}}),
    ],
)
def test_nothing_is_judged_or_written_without_its_line(site: Site, path: str, sent: dict[str, Any]) -> None:
    site.store.add_alerts([make_envelope(1)], NOON)
    site.store.verdicts.add("inc-1", "owner", "false", "", NOON)
    before = site.store.verdicts.on("inc-1")
    refuse_audit(site.store)
    assert site.client.post(path, **sent).status_code == 500
    assert site.store.verdicts.on("inc-1") == before and site.parts.reviews.notes("inc-1") == []
    incident = site.store.incident("inc-1")
    assert incident and incident.verdict == "false"
