"""The outbox keeps what it took, numbers it without gaps, and lets go only when told."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from detector import wire
from detector.alerts.alert_queue import ATTEMPTS_BEFORE_BURIAL, SHARE, WINDOW, Row
from detector.alerts.clip_queue import Clip
from detector.alerts.outbox import Outbox
from detector.alerts.outbox_file import DiskFull
from detector.config import Buffers
from detector.errors import StoreError, WireError
from detector.values import DAY_S
from tests.alerts.conftest import make_fields
from tests.builders import SteppedClock
from tests.parts_faults import memory_folder

Fields = Callable[..., dict[str, Any]]
Open = Callable[..., Outbox]


def seqs(rows: list[Row]) -> list[int]:
    return [row.seq for row in rows]


def put_many(outbox: Outbox, fields: Fields, n: int, **more: Any) -> list[str]:
    return [outbox.put(fields(**more)) for _ in range(n)]


def test_an_envelope_is_complete_and_signed(outbox: Outbox, fields: Fields, key: Ed25519PrivateKey) -> None:
    id_ = outbox.put(fields())
    (row,) = outbox.take_due()
    found = wire.decode_alert("labelwatch/north/box-1/alerts", row.payload)
    wire.verify(found, wire.public_key_text(key))
    assert (found["id"], found["seq"], found["key"]) == (id_, 1, wire.public_key_text(key))
    assert (found["sent_at"], found["sent_at_unix"]) == ("2027-01-15T08:00:00.000Z", 1_800_000_000.0)
    assert len(id_) == len(found["epoch"]) == 32


def test_what_an_earlier_run_signed_by_another_key_goes_signed_by_the_one_in_use(
    tmp_path: Path, key: Ed25519PrivateKey, clock: SteppedClock
) -> None:
    with contextlib.closing(Outbox(tmp_path / "outbox.db", Ed25519PrivateKey.generate(), clock=clock)) as before:
        before.put(make_fields())
        (was,) = before.take_due()
        before.use_key(key)  # within a run what is here stays as it was signed
        before.resend_all()
        assert before.take_due()[0].payload == was.payload
    with contextlib.closing(Outbox(tmp_path / "outbox.db", key, clock=clock)) as outbox:
        (row,) = outbox.take_due()
    found = wire.decode_alert("labelwatch/north/box-1/alerts", row.payload)
    wire.verify(found, wire.public_key_text(key))
    told = {name: value for name, value in wire.decode(was.payload).items() if name not in ("key", "signature")}
    assert found == {**told, "key": wire.public_key_text(key), "signature": found["signature"]}


def test_what_was_put_before_the_clock_was_set_back_goes_signed_by_the_new_key(
    tmp_path: Path, key: Ed25519PrivateKey, clock: SteppedClock
) -> None:
    old = Ed25519PrivateKey.generate()
    with contextlib.closing(Outbox(tmp_path / "outbox.db", old, clock=SteppedClock(clock.now() + 3 * 3600))) as ahead:
        ahead.put(make_fields("ahead"))
    with contextlib.closing(Outbox(tmp_path / "outbox.db", old, clock=clock)) as outbox:
        outbox.put(make_fields("before"))
        outbox.use_key(key)
        clock.sleep(1.0)
        outbox.put(make_fields("after"))
        told = [wire.decode(row.payload) for row in outbox.take_due()]
    signers = {fields["after"]["id"]: fields["key"] for fields in told}
    by_old, by_new = wire.public_key_text(old), wire.public_key_text(key)
    assert signers == {"ahead": by_new, "before": by_old, "after": by_new}
    for fields in told:
        wire.verify(fields, fields["key"])


def test_of_what_the_hub_may_have_under_the_name_before_each_name_is_tried(
    open_outbox: Open, clock: SteppedClock
) -> None:
    def names() -> list[tuple[str, str]]:
        told = map(wire.decode, (row.payload for row in open_.take_due(topics=wire.Topics("north", "box-7"))))
        return sorted((fields["after"]["id"], fields["edge"]) for fields in told)

    open_ = open_outbox()
    open_.acknowledge([open_.put(make_fields("known"))])
    for incident in ("known", "new"):
        open_.put(make_fields(incident))
    assert names() == [("known", "box-1"), ("new", "box-7")]
    clock.sleep(5.0)
    assert names() == [("known", "box-7"), ("new", "box-1")]
    clock.sleep(10.0)
    assert names() == [("known", "box-1"), ("new", "box-7")]


def test_facts_that_json_rewrites_still_verify(outbox: Outbox, fields: Fields, key: Ed25519PrivateKey) -> None:
    outbox.put(fields(facts={10: "ten", 2: (1, 2), "x": 0.1 + 0.2}))
    wire.verify(wire.decode(outbox.take_due()[0].payload), wire.public_key_text(key))


@pytest.mark.parametrize("bad", [float("nan"), object(), "\ud800"])
def test_what_json_cannot_say_is_refused_and_costs_no_number(outbox: Outbox, fields: Fields, bad: object) -> None:
    with pytest.raises(WireError):
        outbox.put(fields(facts={"x": bad}))
    outbox.put(fields())
    assert seqs(outbox.take_due()) == [1]
    assert outbox.counts()["backlog"] == 1


def test_numbers_run_on_after_a_restart_without_gaps(open_outbox: Open, fields: Fields) -> None:
    first = open_outbox()
    ids = put_many(first, fields, 3)
    first.acknowledge(ids)
    second = open_outbox()
    second.put(fields())
    (row,) = second.take_due()
    assert row.seq == 4


def test_threads_share_one_unbroken_row_of_numbers(outbox: Outbox, fields: Fields) -> None:
    threads = [threading.Thread(target=put_many, args=(outbox, fields, 20)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seqs(outbox.take_due(200)) == list(range(1, 81))


def test_a_process_killed_after_put_has_lost_nothing(tmp_path: Path, open_outbox: Open, fields: Fields) -> None:
    script = """
        import json, os, sys
        from pathlib import Path
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from detector.alerts.outbox import Outbox
        from detector.clock import SystemClock
        outbox = Outbox(Path(sys.argv[1]), Ed25519PrivateKey.generate(), clock=SystemClock())
        for _ in range(7):
            outbox.put(json.loads(sys.argv[2]))
        os.kill(os.getpid(), 9)
    """
    arguments = [str(tmp_path / "outbox.db"), json.dumps(fields())]
    subprocess.run([sys.executable, "-c", textwrap.dedent(script), *arguments], check=False, timeout=60)
    assert seqs(open_outbox().take_due()) == [1, 2, 3, 4, 5, 6, 7]


def test_only_the_window_is_in_flight(outbox: Outbox, fields: Fields) -> None:
    ids = put_many(outbox, fields, WINDOW + 5)
    assert seqs(outbox.take_due()) == list(range(1, WINDOW + 1))
    assert outbox.take_due() == []
    assert outbox.acknowledge(ids[:3]) == 3
    assert seqs(outbox.take_due()) == [WINDOW + 1, WINDOW + 2, WINDOW + 3]


def test_silence_brings_a_row_back_ever_later(outbox: Outbox, fields: Fields, clock: Any) -> None:
    outbox.put(fields())
    waits = []
    for _ in range(7):
        start = clock.now()
        while not outbox.take_due():
            clock.sleep(1.0)
        waits.append(clock.now() - start)
    assert waits == [0, 5, 10, 20, 40, 60, 60]


def test_after_a_reconnect_everything_unacknowledged_goes_again(outbox: Outbox, fields: Fields) -> None:
    ids = put_many(outbox, fields, 3)
    outbox.take_due()
    outbox.acknowledge(ids[1:2])
    outbox.clips.put(Clip("other", 0, "cam-1", Path("a.mp4"), "0" * 64, 1, 1.0, 1.0))
    (clip,) = filter(None, [outbox.clips.next_due()])
    outbox.clips.postpone(clip, 60.0)
    assert outbox.clips.next_due() is None
    outbox.resend_all()
    assert outbox.clips.next_due() == clip
    rows = outbox.take_due()
    assert seqs(rows) == [1, 3]
    assert {row.attempts for row in rows} == {1}


def test_acknowledging_twice_or_the_unknown_does_no_harm(outbox: Outbox, fields: Fields) -> None:
    ids = put_many(outbox, fields, 2)
    assert outbox.acknowledge([ids[0], "unknown"]) == 1
    assert outbox.acknowledge([ids[0]]) == 0
    assert outbox.acknowledge([]) == 0
    assert outbox.counts()["backlog"] == 1


def test_counts_tell_how_long_the_oldest_envelope_has_waited(outbox: Outbox, fields: Fields, clock: Any) -> None:
    ages = [outbox.counts()["oldest_s"]]
    first = outbox.put(fields())
    clock.sleep(30.0)
    outbox.put(fields())
    ages.append(outbox.counts()["oldest_s"])
    clock.sleep(12.0)
    outbox.acknowledge([first])
    ages.append(outbox.counts()["oldest_s"])
    clock.sleep(-100.0)
    assert [*ages, outbox.counts()["oldest_s"]] == [0, 30, 12, 0]


def test_a_row_the_hub_always_leaves_out_is_buried(outbox: Outbox, fields: Fields, clock: Any) -> None:
    outbox.put(fields())
    sent = 0
    while not outbox.counts()["dead"]:
        newer = outbox.put(fields())
        sent += 1 in seqs(outbox.take_due())
        outbox.acknowledge([newer])
        clock.sleep(61.0)
    assert sent == ATTEMPTS_BEFORE_BURIAL
    (word,) = outbox.take_due()  # of the number that will never come
    assert wire.decode(word.payload)["dropped"] == [[1, 1, "dead"]]


def test_a_silent_hub_gets_nothing_buried(outbox: Outbox, fields: Fields, clock: Any) -> None:
    outbox.put(fields())
    for _ in range(3 * ATTEMPTS_BEFORE_BURIAL):
        assert outbox.take_due()
        clock.sleep(61.0)
    assert outbox.counts()["dead"] == 0


def test_a_hub_that_fell_silent_after_confirming_later_ones_gets_nothing_buried(
    outbox: Outbox, fields: Fields, clock: Any
) -> None:
    first, second = put_many(outbox, fields, 2)
    outbox.take_due()
    outbox.acknowledge([second])
    for _ in range(3 * ATTEMPTS_BEFORE_BURIAL):
        clock.sleep(61.0)
        assert [row.id for row in outbox.take_due()] == [first]
    assert outbox.counts()["dead"] == 0


def test_news_go_before_what_the_hub_keeps_putting_off_on_a_line_that_is_too_slow_for_all_of_it(
    outbox: Outbox, fields: Fields, clock: Any
) -> None:
    early = set(put_many(outbox, fields, 2 * WINDOW))

    def send_one() -> str:
        """On a line that carries one in a second; the hub answers at once."""
        (row,) = outbox.take_due(most_bytes=1)
        clock.sleep(1.0)
        if row.id in early:
            outbox.postpone([row.id])
        return row.id

    for _ in range(3 * WINDOW):
        send_one()
    news = outbox.put(fields())
    assert send_one() == news


def test_the_backlog_has_a_share_of_a_line_that_news_alone_would_fill(
    outbox: Outbox, fields: Fields, clock: Any
) -> None:
    backlog = set(put_many(outbox, fields, 10))
    clock.sleep(3600.0)
    outbox.resend_all()  # the link is back
    sent = []
    for _ in range(20):  # it carries one in a second, and as often there is news
        outbox.put(fields())
        (row,) = outbox.take_due(most_bytes=1)
        outbox.acknowledge([row.id])
        sent.append(row.id in backlog)
        clock.sleep(1.0)
    assert sent == [False, False, False, True] * 5


def test_what_the_hub_puts_off_again_and_again_comes_ever_more_seldom(
    outbox: Outbox, fields: Fields, clock: Any
) -> None:
    id_ = outbox.put(fields())
    sent = []
    for second in range(3600):
        if outbox.take_due():
            sent.append(second)
            outbox.postpone([id_])
        clock.sleep(1.0)
    assert sent == [0, 60, 180, 420, 900, 1860, 2820]


def test_a_buried_row_is_kept_as_a_dead_letter(
    outbox: Outbox, fields: Fields, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    id_ = outbox.put(fields())
    outbox.bury(outbox.take_due()[0], "too large")
    assert f"alert {id_} is given up: too large" in caplog.text
    assert (outbox.counts()["backlog"], outbox.counts()["backlog_bytes"]) == (0, 0)
    assert kept(outbox) == ["1-1:dead"]
    assert outbox.counts()["dead"] == 1
    with sqlite3.connect(tmp_path / "outbox.db") as db:
        assert db.execute("SELECT what, id, reason FROM dead").fetchall() == [("alert", id_, "too large")]
    db.close()


def story(outbox: Outbox, incident: str, severity: str = "warning", phases: str = "new update end") -> list[str]:
    """An incident from its beginning to its end."""
    return [outbox.put(make_fields(incident, severity, phase=phase)) for phase in phases.split()]


def waiting(outbox: Outbox) -> list[Row]:
    """All that waits, in the order it was put."""
    outbox.resend_all()
    rows = outbox.take_due()
    return sorted([*rows, *outbox.take_due()], key=lambda row: row.seq)


def kept(outbox: Outbox) -> list[str]:
    """What waits: incident and phase; dropped numbers as `first-last:reason`."""
    found = []
    for row in waiting(outbox):
        told = wire.decode(row.payload)
        if "dropped" in told:
            found += [f"{first}-{last}:{reason}" for first, last, reason in told["dropped"]]
        else:
            found.append(f"{told['after']['id']} {told['phase']}")
    return found


def test_when_full_overtaken_updates_go_first(open_outbox: Open) -> None:
    outbox = open_outbox(alert_rows=6)
    story(outbox, "open", "info", "new update update")
    story(outbox, "grave", "critical")
    story(outbox, "note", "info")
    assert kept(outbox) == [
        "open new", "open update", "grave new", "grave end", "note new", "note end", "2-2:rows", "5-5:rows", "8-8:rows",
    ]  # fmt: skip


def test_then_whole_incidents_go_notes_first_the_oldest_first(open_outbox: Open) -> None:
    outbox = open_outbox(alert_rows=4)
    for incident, severity in (("a", "critical"), ("b", "info"), ("c", "warning"), ("d", "info")):
        story(outbox, incident, severity, "new end")
    story(outbox, "e", "critical", "new end")
    assert kept(outbox) == ["a new", "a end", "e new", "e end", "3-8:rows"]


def test_an_incident_counts_as_what_it_has_become(open_outbox: Open) -> None:
    outbox = open_outbox(alert_rows=4)
    outbox.put(make_fields("grew", "info"))
    outbox.put(make_fields("grew", "critical", phase="end"))
    story(outbox, "b", "warning", "new end")
    story(outbox, "c", "warning", "new end")
    assert kept(outbox)[:4] == ["grew new", "grew end", "c new", "c end"]


def test_the_end_of_what_the_hub_has_heard_of_stays(open_outbox: Open) -> None:
    outbox = open_outbox(alert_rows=4)
    outbox.acknowledge([outbox.put(make_fields("told", "info"))])
    story(outbox, "told", "info", "update update end")
    for incident in ("b", "c", "d"):
        story(outbox, incident, "critical", "new end")
    assert kept(outbox)[0] == "told end"
    assert outbox.counts()["backlog"] <= 5  # the word on what was dropped is one more


def test_what_goes_on_goes_after_others_as_grave_and_before_graver_ones(open_outbox: Open) -> None:
    outbox = open_outbox(alert_rows=4)
    outbox.put(make_fields("open note", "info"))
    outbox.put(make_fields("open", "critical"))
    story(outbox, "a", "critical", "new end")
    story(outbox, "b", "critical", "new end")
    assert kept(outbox)[:3] == ["open new", "b new", "b end"]
    outbox.put(make_fields("open note", "info", phase="end"))
    assert kept(outbox)[3:5] == ["1-1:rows", "3-4:rows"]


def test_where_only_open_incidents_are_left_the_bound_holds_all_the_same(open_outbox: Open) -> None:
    outbox = open_outbox(alert_rows=3)
    for n, severity in enumerate(("critical", "info", "warning", "info", "critical", "warning")):
        outbox.put(make_fields(f"i{n}", severity))
    assert kept(outbox)[:3] == ["i0 new", "i4 new", "i5 new"]
    assert outbox.counts()["dropped"] == 3
    assert outbox.counts()["dropped_by"] == {"alert": {"rows": {"info": 2, "warning": 1}}}
    assert open_outbox(alert_rows=3).counts()["dropped"] == 3


def test_what_is_on_its_way_stays_while_there_is_other(open_outbox: Open) -> None:
    outbox = open_outbox(alert_rows=4)
    story(outbox, "a", "info", "new end")
    outbox.take_due()
    story(outbox, "b", "critical", "new end")
    story(outbox, "c", "critical", "new end")
    assert kept(outbox)[:4] == ["a new", "a end", "c new", "c end"]


def test_clips_go_with_the_incident_they_show(open_outbox: Open, tmp_path: Path) -> None:
    outbox = open_outbox(alert_rows=2)
    files = {name: tmp_path / name for name in ("a.0.mp4", "a.0.side.json.gz", "b.0.mp4")}
    story(outbox, "a", "info", "new end")
    for (name, file), what in zip(files.items(), (None, wire.SIDE, None), strict=True):
        file.write_bytes(b"clip")
        outbox.clips.put(Clip(name[0], 0, "cam-1", file, "0" * 64, 4, 1.0, 1.0, what))
    story(outbox, "b", "critical", "new end")
    assert [name for name, file in files.items() if file.exists()] == ["b.0.mp4"]
    assert outbox.counts()["dropped_by"]["clip"] == {"rows": {"info": 1}}
    assert (outbox.counts()["clips"], outbox.counts()["dropped_clips"]) == (1, 1)


def test_clips_stay_of_what_was_given_up_in_part_or_goes_on(open_outbox: Open, tmp_path: Path) -> None:
    outbox = open_outbox(alert_rows=4)
    files = {name: tmp_path / f"{name}.0.mp4" for name in ("part", "open")}
    outbox.acknowledge(story(outbox, "told", phases="new"))
    story(outbox, "part")
    story(outbox, "open", phases="new")
    for name, file in files.items():
        file.write_bytes(b"clip")
        outbox.clips.put(Clip(name, 0, "cam-1", file, "0" * 64, 4, 1.0, 1.0))
    left = []
    for incident, phases in (("b", "new"), ("b", "end"), ("c", "new end")):
        story(outbox, incident, "critical", phases)
        left.append([name for name, file in files.items() if file.exists()])
    assert left == [["part", "open"], ["open"], ["open"]]
    assert kept(outbox)[:4] == ["b new", "b end", "c new", "c end"]
    assert outbox.counts()["dropped_by"]["clip"] == {"rows": {"warning": 1}}


def test_bytes_bound_it_too(open_outbox: Open) -> None:
    outbox = open_outbox(alert_mb=1)
    for n in range(30):
        outbox.put(make_fields(f"i{n}", snapshot="x" * 60_000))
    told = outbox.counts()
    assert 900_000 < told["backlog_bytes"] <= 2**20 and told["full"] <= 1.0
    assert told["backlog"] + told["dropped"] == 30
    assert told["dropped_by"]["alert"].keys() == {"bytes"}


def live(outbox: Outbox, clock: Any, days: float) -> None:
    """Days go by, and who keeps house looks twice a day."""
    for _ in range(round(2 * days)):
        clock.sleep(DAY_S / 2)
        outbox.room.drop_old()


def test_what_is_too_old_goes_and_what_the_hub_waits_for_stays(open_outbox: Open, clock: Any) -> None:
    outbox = open_outbox(alert_days=30)
    outbox.room.drop_old()
    outbox.acknowledge([outbox.put(make_fields("told"))])
    story(outbox, "told", phases="end")
    story(outbox, "old", "critical", "new end")
    outbox.put(make_fields("open"))
    live(outbox, clock, 20)
    story(outbox, "young", phases="new end")
    live(outbox, clock, 11)
    assert kept(outbox) == ["told end", "open new", "young new", "young end", "3-4:age"]


def test_a_clock_that_leaps_makes_nothing_old_until_it_has_gone_on_for_a_day(open_outbox: Open, clock: Any) -> None:
    outbox = open_outbox(alert_days=30)
    clock.at = 1000.0  # no battery: the box starts in 1970
    outbox.room.drop_old()
    story(outbox, "a", phases="new end")
    clock.at = 1_800_000_000.0
    assert outbox.room.drop_old() == 0
    story(outbox, "b", phases="new end")
    live(outbox, clock, 2)
    clock.at += 365 * DAY_S  # a time server that lies for an hour
    outbox.room.drop_old()
    clock.at -= 365 * DAY_S
    assert outbox.room.drop_old() == 0
    assert kept(outbox) == ["a new", "a end", "b new", "b end"]
    clock.at += 365 * DAY_S  # a year in a cupboard
    outbox = open_outbox(alert_days=30)
    assert outbox.room.drop_old() == 0
    live(outbox, clock, 2)
    assert kept(outbox) == ["a new", "a end", "3-4:age"]


def test_the_hub_is_told_of_dropped_numbers_once_and_in_few_ranges(open_outbox: Open) -> None:
    outbox = open_outbox(alert_rows=2)
    for n in range(12):
        story(outbox, f"i{n}", phases="new end")
    assert kept(outbox) == kept(outbox) == ["i11 new", "i11 end", "1-22:rows"]  # sent again, not made again
    rows = waiting(outbox)
    for row in rows:
        wire.verify(wire.decode_alert("labelwatch/north/box-1/alerts", row.payload), wire.decode(row.payload)["key"])
    outbox.acknowledge([row.id for row in rows])
    story(outbox, "z", phases="new end")
    assert seqs(waiting(outbox)) == [26, 27]


@pytest.mark.parametrize("is_started_anew", [False, True])
def test_the_word_on_dropped_numbers_outlasts_a_link_that_is_away(
    open_outbox: Open, clock: Any, is_started_anew: bool
) -> None:
    outbox = open_outbox(alert_rows=2)
    for n in range(3):
        story(outbox, f"i{n}", phases="new end")
    outbox.take_due(0)  # the word is made, and nothing can be sent
    clock.sleep(DAY_S)
    if is_started_anew:
        outbox = open_outbox(alert_rows=2)
    assert kept(outbox) == ["i2 new", "i2 end", "1-4:rows"]


def break_statement(outbox: Outbox, monkeypatch: pytest.MonkeyPatch, part: str) -> None:
    """Whatever is to be done with this in it fails, until undone."""
    for name in ("execute", "query"):
        call = getattr(outbox._file, name)

        def broken(sql: str, *values: Any, call: Callable[..., Any] = call) -> Any:
            if part in sql:
                raise sqlite3.OperationalError("disk I/O error")
            return call(sql, *values)

        monkeypatch.setattr(outbox._file, name, broken)


def test_the_hub_is_told_of_dropped_numbers_after_a_first_put_that_failed(
    open_outbox: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    outbox = open_outbox(alert_rows=2)
    break_statement(outbox, monkeypatch, "INTO open")
    with pytest.raises(StoreError, match="disk I/O error"):
        story(outbox, "a", phases="new")
    monkeypatch.undo()
    for incident in ("a", "b"):
        story(outbox, incident, phases="new end")
    assert kept(open_outbox(alert_rows=2)) == ["b new", "b end", "1-2:rows"]


def test_where_nothing_can_be_written_what_waits_is_sent_all_the_same(
    open_outbox: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    outbox = open_outbox(alert_rows=2)
    for incident in ("a", "b"):
        story(outbox, incident, phases="new end")
    break_statement(outbox, monkeypatch, "INTO alerts")
    assert kept(outbox) == ["b new", "b end"]
    monkeypatch.undo()
    assert kept(outbox) == ["b new", "b end", "1-2:rows"]


def test_dead_letters_are_bounded_and_counted_all_the_same(outbox: Outbox, monkeypatch: pytest.MonkeyPatch) -> None:
    def bury(incident: str) -> None:
        outbox.put(make_fields(incident))
        (row,) = (row for row in waiting(outbox) if "after" in wire.decode(row.payload))
        outbox.bury(row, "refused")

    monkeypatch.setattr("detector.alerts.losses.DEAD_KEPT", 5)
    for n in range(8):
        bury(f"i{n}")
    assert outbox._file.one("SELECT COUNT(*) FROM dead") == 5
    assert outbox.counts()["dead"] == 8
    monkeypatch.setattr("detector.alerts.losses.DEAD_BYTES", 2000)
    bury("last")
    assert outbox._file.one("SELECT SUM(length(content)) FROM dead") <= 2000


def test_files_set_aside_are_bounded_and_counted_all_the_same(tmp_path: Path, open_outbox: Open, clock: Any) -> None:
    for _ in range(5):
        clock.sleep(1.0)
        (tmp_path / "outbox.db").write_bytes(b"this is no database " * 100)
        open_outbox().close()
    sizes = [path.stat().st_size for path in sorted(tmp_path.glob("outbox.db.corrupt-*"))]
    assert [size > 0 for size in sizes] == [False, False, True, True, True]
    assert open_outbox().counts()["set_aside"] == 5


def test_an_outbox_of_an_older_version_is_taken_over(tmp_path: Path, open_outbox: Open) -> None:
    outbox = open_outbox()
    story(outbox, "a", "critical")
    outbox.close()
    older = (
        "DROP TABLE stories", "DROP TABLE untold", "DROP TABLE dropped", "DROP INDEX alerts_updates",
        "DROP INDEX alerts_of_incident", "ALTER TABLE alerts DROP COLUMN phase", "DELETE FROM meta WHERE name = 'dead'",
        "INSERT INTO meta VALUES ('dropped', '7')", "CREATE INDEX alerts_by_incident ON alerts (incident)",
    )  # fmt: skip
    with contextlib.closing(sqlite3.connect(tmp_path / "outbox.db", isolation_level=None)) as db:
        for line in older:
            db.execute(line)
    outbox = open_outbox(alert_rows=3)
    assert outbox.counts()["dropped"] == 7
    story(outbox, "b", "critical", "new")
    assert kept(outbox) == ["a new", "a end", "b new", "2-2:rows"]
    assert outbox.counts()["dropped"] == 8


def test_an_outbox_of_a_newer_version_is_left_as_it_is_and_told(
    tmp_path: Path, open_outbox: Open, fields: Fields
) -> None:
    file = tmp_path / "outbox.db"
    outbox = open_outbox()
    id_ = outbox.put(fields())
    outbox.close()
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as db:
        (version,) = db.execute("PRAGMA user_version").fetchone()
        db.execute(f"PRAGMA user_version={version + 1}")
    before = file.read_bytes()
    for _ in range(2):
        with pytest.raises(StoreError, match=r"made by a newer labelwatch than .*: start that version"):
            open_outbox()
    assert file.read_bytes() == before and not list(tmp_path.glob("*.corrupt-*"))
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as db:
        db.execute(f"PRAGMA user_version={version}")
    assert [row.id for row in open_outbox().take_due(9)] == [id_]


# What is new, and the backlog


def names(rows: list[Row]) -> list[str]:
    """Of the incidents that are told of, not what the outbox says of itself."""
    told = [wire.decode(row.payload) for row in rows]
    return [fields["after"]["id"] for fields in told if "after" in fields]


def test_what_is_new_goes_before_the_backlog_which_goes_the_gravest_first(outbox: Outbox, clock: Any) -> None:
    for n in range(30):
        outbox.put(make_fields(f"old{n}", ("info", "warning", "critical")[n % 3]))
    clock.sleep(30 * DAY_S)
    outbox.put(make_fields("just before"))
    outbox.resend_all()
    outbox.put(make_fields("live"))
    went = []
    while rows := outbox.take_due(10):
        went += names(rows)
        outbox.acknowledge([row.id for row in rows])
    assert went[:2] == ["just before", "live"]
    assert went[2:] == [f"old{n}" for rank in (2, 1, 0) for n in range(rank, 30, 3)]


def test_all_of_an_incident_goes_as_what_it_has_become(outbox: Outbox, clock: Any) -> None:
    outbox.put(make_fields("grew", "info"))
    story(outbox, "note", "info", "new end")
    outbox.put(make_fields("grew", "critical", phase="end"))
    clock.sleep(DAY_S)
    outbox.resend_all()
    assert names(outbox.take_due()) == ["grew", "grew", "note", "note"]


def test_how_grave_an_incident_was_is_known_while_anything_of_it_is_left(outbox: Outbox, clock: Any) -> None:
    left = {"held", "open", "clip", "side"}
    for incident in (*left, "gone"):
        outbox.acknowledge(story(outbox, incident, phases="new" if incident == "open" else "end"))
    story(outbox, "alert", phases="end")
    for incident, what in (("clip", None), ("side", wire.SIDE)):
        outbox.clips.put(Clip(incident, 0, "cam-1", Path(f"{incident}.mp4"), "0" * 64, 1, 1.0, 1.0, what))
    clock.sleep(3601.0)
    outbox.acknowledge(story(outbox, "just now", phases="end"))
    outbox.tidy(["held"])
    assert outbox.severities([*left, "gone", "alert", "just now"]).keys() == {*left, "alert", "just now"}


def test_the_backlog_leaves_a_share_of_the_window_to_what_is_new(outbox: Outbox, clock: Any) -> None:
    for n in range(300):
        outbox.put(make_fields(f"old{n}"))
    clock.sleep(30 * DAY_S)
    outbox.resend_all()
    assert len(outbox.take_due()) == WINDOW - SHARE  # a hub that is slow: nothing is confirmed
    assert outbox.take_due() == []
    outbox.put(make_fields("live"))
    assert names(outbox.take_due()) == ["live"]


def test_a_flood_of_news_leaves_a_share_to_the_backlog(outbox: Outbox, clock: Any) -> None:
    for n in range(60):
        outbox.put(make_fields(f"old{n}"))
    clock.sleep(30 * DAY_S)
    outbox.resend_all()
    for n in range(300):
        outbox.put(make_fields(f"new{n}"))
    went = names(outbox.take_due())
    assert len(went) == WINDOW and sum(name.startswith("old") for name in went) == SHARE
    clock.sleep(100.0)
    outbox.resend_all()
    outbox.acknowledge([row.id for row in outbox.take_due()])
    few = names(outbox.take_due(4))  # however little there is room for
    assert len(few) == 4 and sum(name.startswith("old") for name in few) > 0


def test_clips_of_new_alerts_go_before_old_ones_and_let_every_fourth_pass(outbox: Outbox, clock: Any) -> None:
    for n in range(3):
        put_clip(outbox, f"old{n}")
    outbox.acknowledge([outbox.put(make_fields("old2", "critical"))])
    clock.sleep(30 * DAY_S)
    outbox.resend_all()
    for n in range(5):
        put_clip(outbox, f"new{n}")
    went = []
    while clip := outbox.clips.next_due():
        went.append(clip.incident)
        outbox.clips.done(clip)
    assert went == ["new0", "new1", "new2", "old2", "new3", "new4", "old0", "old1"]


def test_dropping_is_said_once_until_there_is_room(
    open_outbox: Open, fields: Fields, caplog: pytest.LogCaptureFixture
) -> None:
    outbox = open_outbox(alert_rows=2)
    ids = [outbox.put(fields(f"i{n}")) for n in range(9)]
    assert caplog.text.count("gives alerts up") == 1
    outbox.acknowledge(ids)
    put_many(outbox, fields, 1)
    assert caplog.text.count("has room again; dropped so far: 7") == 1


def test_what_is_kept_is_not_refused_since_its_room_cannot_be_told(
    open_outbox: Open, fields: Fields, monkeypatch: pytest.MonkeyPatch
) -> None:
    outbox = open_outbox(alert_rows=2)
    outbox.acknowledge([outbox.put(fields(f"i{n}")) for n in range(9)])
    break_statement(outbox, monkeypatch, "FROM dropped")
    with contextlib.suppress(StoreError):
        outbox.put(fields())
    monkeypatch.undo()
    outbox.put(fields())  # as who was refused does
    assert outbox.counts()["backlog"] == 1


def spoil_log(folder: Path, keep: float) -> None:
    """Zero what SQLite wrote last, but for a share of it."""
    log = (folder / "outbox.db-wal").read_bytes()
    kept = int(keep * len(log))
    (folder / "outbox.db-wal").write_bytes(log[:kept] + bytes(len(log) - kept))


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda folder: spoil_log(folder, 0.0), id="a zeroed log"),
        pytest.param(lambda folder: spoil_log(folder, 0.9), id="a torn log"),
        pytest.param(lambda folder: (folder / "outbox.db-wal").unlink(), id="a log that is gone"),
        pytest.param(lambda folder: (folder / "outbox.db").write_bytes(b""), id="an empty file"),
        pytest.param(lambda folder: (folder / "outbox.db").unlink(), id="a file that is gone"),
    ],
)
def test_rows_that_a_disk_lost_in_silence_leave_a_gap_that_the_hub_sees(
    tmp_path: Path, key: Ed25519PrivateKey, clock: Any, spoil: Callable[[Path], object],
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    alive, dead = tmp_path / "alive", tmp_path / "dead"
    outbox = Outbox(alive / "outbox.db", key, clock=clock)
    put_many(outbox, make_fields, 5)
    epoch = wire.decode(outbox.take_due(1)[0].payload)["epoch"]
    shutil.copytree(alive, dead)  # as kill -9 and a power cut leave it
    outbox.close()
    spoil(dead)
    outbox = Outbox(dead / "outbox.db", key, clock=clock)
    outbox.put(make_fields())
    last = max(outbox.take_due(), key=lambda row: row.seq)
    outbox.close()
    assert (last.seq, wire.decode(last.payload)["epoch"]) == (6, epoch)
    assert "lacks what was put last" in caplog.text


def test_a_note_of_the_last_number_that_is_none_does_no_harm(tmp_path: Path, open_outbox: Open, fields: Fields) -> None:
    open_outbox().put(fields())
    for note in (b"", bytes(35), b"\xff" * 35, b"one two\n", b"of-another-file" * 3 + b" 99\n"):
        (tmp_path / "outbox.db.lock").write_bytes(note)
        outbox = open_outbox()
    outbox.put(fields())
    assert sorted(seqs(outbox.take_due())) == [1, 2]
    outbox.close()
    note = (tmp_path / "outbox.db.lock").read_bytes().splitlines()[0].split()  # over the end of the longer one before
    assert note[1] == b"2"
    with sqlite3.connect(tmp_path / "outbox.db") as database:
        database.execute("DELETE FROM alerts WHERE seq = 2")
        database.execute("UPDATE meta SET value = '1' WHERE name = 'last_seq'")
    outbox = open_outbox()
    outbox.put(fields())
    assert 3 in seqs(outbox.take_due())


def test_a_corrupt_file_is_set_aside_loudly(
    tmp_path: Path, open_outbox: Open, fields: Fields, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "outbox.db").write_bytes(b"this is no database " * 100)
    outbox = open_outbox()
    outbox.put(fields())
    assert seqs(outbox.take_due()) == [1]
    (aside,) = tmp_path.glob("outbox.db.corrupt-*")
    assert aside.read_bytes().startswith(b"this is no database")
    assert "is corrupt" in caplog.text


def test_a_corrupt_file_that_cannot_be_set_aside_says_so_and_lets_go_of_the_lock(
    tmp_path: Path, open_outbox: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "outbox.db").write_bytes(b"this is no database " * 100)
    monkeypatch.setattr(Path, "rename", broken_disk)
    with pytest.raises(StoreError, match="can't be set aside: Input/output error"):
        open_outbox()
    monkeypatch.undo()
    assert open_outbox().counts()["set_aside"] == 1


def test_older_files_that_cannot_be_emptied_keep_no_new_one_from_being_opened(
    tmp_path: Path, open_outbox: Open, fields: Fields, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "truncate", broken_disk)
    for _ in range(5):
        clock.sleep(1.0)
        (tmp_path / "outbox.db").write_bytes(b"this is no database " * 100)
        open_outbox().close()
    assert open_outbox().put(fields())


def test_a_file_whose_numbers_are_none_is_set_aside(outbox: Outbox, open_outbox: Open, fields: Fields) -> None:
    outbox._file.execute("UPDATE meta SET value = '4x' WHERE name = 'last_seq'")
    outbox = open_outbox()
    outbox.put(fields())
    assert outbox.counts()["set_aside"] == 1


def test_corruption_while_running_costs_no_new_alert(tmp_path: Path, open_outbox: Open, fields: Fields) -> None:
    outbox = open_outbox()
    put_many(outbox, fields, 50)
    outbox.close()
    content = bytearray((tmp_path / "outbox.db").read_bytes())
    outbox = open_outbox()
    epoch = wire.decode(outbox.take_due(1)[0].payload)["epoch"]
    content[4096:] = b"\xff" * (len(content) - 4096)
    (tmp_path / "outbox.db").write_bytes(content)
    outbox._file.execute("PRAGMA shrink_memory")
    outbox.put(fields())
    rows = outbox.take_due()
    assert seqs(rows) == [1]
    assert wire.decode(rows[0].payload)["epoch"] != epoch


def corrupt(outbox: Outbox, path: Path) -> None:
    """Nothing in the file can be made sense of any more, beyond its first page."""
    outbox._file.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    content = path.read_bytes()
    path.write_bytes(content[:4096] + b"\xff" * (len(content) - 4096))
    outbox._file.execute("PRAGMA shrink_memory")


CLIP = Clip("i1", 0, "cam-1", Path("/clips/a.mp4"), "a" * 64, 10, 1.5, 2.5)
CALLS: dict[str, Callable[[Outbox], object]] = {
    "put": lambda outbox: outbox.put(make_fields()),
    "note_clip": lambda outbox: outbox.note_clip("i1", {"segment": 0}),
    "counts": lambda outbox: outbox.counts(),
    "left_open": lambda outbox: outbox.left_open(),
    "wait_drained": lambda outbox: outbox.wait_drained(0.0),
    "take_due": lambda outbox: outbox.take_due(),
    "resend_all": lambda outbox: outbox.resend_all(),
    "acknowledge": lambda outbox: outbox.acknowledge(["x"]),
    "postpone": lambda outbox: outbox.postpone(["x"]),
    "bury": lambda outbox: outbox.bury(Row(1, "x", b"", 0), "no good"),
    "severities": lambda outbox: outbox.severities(["i1"]),
    "tidy": lambda outbox: outbox.tidy(),
    "drop_old": lambda outbox: outbox.room.drop_old(),
    "drop_for_disk": lambda outbox: outbox.room.drop_for_disk(1),
    "clips.put": lambda outbox: outbox.clips.put(CLIP),
    "clips.next_due": lambda outbox: outbox.clips.next_due(),
    "clips.done": lambda outbox: outbox.clips.done(CLIP),
    "clips.bury": lambda outbox: outbox.clips.bury(CLIP, "no good"),
    "clips.forget_files": lambda outbox: outbox.clips.forget_files({CLIP.path: 0}, "age"),
    "clips.count": lambda outbox: outbox.clips.count(),
    "clips.is_empty": lambda outbox: outbox.clips.is_empty(),
}


@pytest.mark.parametrize("name", CALLS)
def test_whoever_meets_corruption_goes_on_with_a_fresh_file(
    tmp_path: Path, outbox: Outbox, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    outbox.acknowledge([outbox.put(make_fields())])
    corrupt(outbox, tmp_path / "outbox.db")
    CALLS[name](outbox)
    assert caplog.text.count("is set aside as") == len(list(tmp_path.glob("*.corrupt-*Z"))) == 1
    outbox.put(make_fields("new"))
    assert names(outbox.take_due())[-1] == "new"
    for call in CALLS.values():
        call(outbox)
    assert outbox.counts()["set_aside"] == 1


TORN = "CAST(X'6931ff' AS TEXT)"  # no UTF-8


@pytest.mark.parametrize(
    ("table", "column"),
    [
        *(("alerts", column) for column in ("id", "incident")),
        *(("clips", column) for column in ("incident", "camera", "path", "sha256")),
        ("sides", "path"),
        ("open", "incident"),
        ("untold", "reason"),
        ("dropped", "reason"),
    ],
)
@pytest.mark.parametrize("is_found_at_start", [False, True])
def test_a_row_whose_text_is_torn_holds_up_no_other(
    open_outbox: Open, caplog: pytest.LogCaptureFixture, table: str, column: str, is_found_at_start: bool
) -> None:
    outbox = open_outbox()
    outbox.put(make_fields("i1"))
    outbox.clips.put(replace(CLIP, incident="i7", what="side" if table == "sides" else None))
    for full in ("INSERT INTO untold VALUES (77, 77, 'age')", "INSERT INTO dropped VALUES ('alert', 'age', 1, 1)"):
        outbox._file.execute(full)
    outbox._file.execute(f"UPDATE {table} SET {column} = {TORN}")
    outbox.put(make_fields("i2"))
    if is_found_at_start:
        outbox = open_outbox()
    found = [*outbox.take_due(), *outbox.take_due()]
    assert "i2" in names(found)
    for call in CALLS.values():
        call(outbox)
    told = outbox.counts()
    assert (told["dead"], told["set_aside"]) == (1, 0)
    assert "is not valid text" in caplog.text


def test_a_torn_alert_is_kept_as_it_is_and_the_hub_is_told_of_its_number(outbox: Outbox) -> None:
    outbox.put(make_fields("torn"))
    outbox._file.execute(f"UPDATE alerts SET id = {TORN}")
    outbox.put(make_fields("whole"))
    whole, statement = sorted(outbox.take_due() + outbox.take_due(), key=lambda row: row.seq)
    assert names([whole]) == ["whole"]
    assert wire.decode(statement.payload)["dropped"] == [[1, 1, "dead"]]
    ((what, payload),) = outbox._file.query("SELECT what, content FROM dead")
    assert what == "alert" and wire.decode(payload)["after"]["id"] == "torn"
    assert outbox.counts()["backlog"] == 2


def test_what_was_open_before_a_torn_row_was_met_is_not_taken_for_left_open(outbox: Outbox) -> None:
    outbox.put(make_fields("goes on"))
    outbox.clips.put(CLIP)
    outbox._file.execute(f"UPDATE clips SET path = {TORN}")
    assert outbox.clips.next_due() is None
    assert outbox.left_open() == []


def test_wherever_on_the_disk_an_id_is_torn_the_others_go(tmp_path: Path, open_outbox: Open) -> None:
    outbox = open_outbox()
    torn = outbox.put(make_fields("i1")).encode()
    outbox.put(make_fields("i2"))
    outbox.close()
    path = tmp_path / "outbox.db"
    whole = path.read_bytes()
    places = [found.start() for found in re.finditer(torn, whole)]
    assert len(places) >= 3  # in the row, in its payload, in an index
    for place in places:
        path.write_bytes(whole[:place] + b"\xff" + whole[place + 1 :])
        outbox = open_outbox()
        assert any(b'"i2"' in row.payload for row in outbox.take_due())  # a torn payload goes too: the hub refuses it
        assert outbox.put(make_fields("i3"))
        assert outbox.counts()["set_aside"] == 0
        outbox.close()


def test_where_the_numbers_of_the_file_are_torn_it_is_set_aside(outbox: Outbox, fields: Fields) -> None:
    outbox._file.execute(f"UPDATE meta SET value = {TORN} WHERE name = 'epoch'")
    outbox.put(fields())
    assert outbox.counts()["set_aside"] == 1


def test_a_row_of_a_file_set_aside_buries_none_of_the_fresh_one(tmp_path: Path, outbox: Outbox) -> None:
    outbox.put(make_fields("old"))
    (row,) = outbox.take_due()
    corrupt(outbox, tmp_path / "outbox.db")
    outbox.put(make_fields("new"))
    outbox.bury(row, "too large")
    assert kept(outbox) == ["new new"]


def test_a_clip_given_up_before_is_no_dead_letter_as_well(outbox: Outbox) -> None:
    outbox.clips.put(CLIP)
    clip = outbox.clips.next_due()
    assert clip is not None
    outbox.clips.forget_files({clip.path: 0}, "disk")
    outbox.clips.bury(clip, "the file is gone")
    told = outbox.counts()
    assert (told["dropped_clips"], told["dead"]) == (1, 0)


def test_a_clip_whose_row_meets_corruption_is_kept_in_the_fresh_file(tmp_path: Path, outbox: Outbox) -> None:
    corrupt(outbox, tmp_path / "outbox.db")
    outbox.clips.put(CLIP)
    assert outbox.clips.next_due() == CLIP


def no_file(*_: object, **__: object) -> None:
    error = sqlite3.OperationalError("database or disk is full")
    error.sqlite_errorcode = sqlite3.SQLITE_FULL
    raise error


def broken_disk(*_: object) -> None:
    raise OSError(errno.EIO, os.strerror(errno.EIO))


@pytest.mark.parametrize(
    ("what", "by"),
    [
        ("detector.alerts.outbox_file.sqlite3.connect", no_file),
        ("detector.alerts.outbox_file.INDEXES", "CREATE INDEX half_way ON nowhere (x)"),
        ("detector.alerts.outbox_file.Path.rename", broken_disk),
    ],
)
def test_a_fresh_file_that_could_not_be_made_is_made_later(
    tmp_path: Path,
    outbox: Outbox,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    what: str,
    by: Any,
) -> None:
    corrupt(outbox, tmp_path / "outbox.db")
    monkeypatch.setattr(what, by)
    for call in (*CALLS.values(), *CALLS.values()):
        with pytest.raises(StoreError):
            call(outbox)
    monkeypatch.undo()
    outbox.put(make_fields())
    assert seqs(outbox.take_due()) == [1]
    assert caplog.text.count("is set aside as") == outbox.counts()["set_aside"] == 1


def test_a_closed_outbox_stays_closed_whatever_it_lacked(
    tmp_path: Path, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    corrupt(outbox, tmp_path / "outbox.db")
    monkeypatch.setattr("detector.alerts.outbox_file.sqlite3.connect", no_file)
    with pytest.raises(DiskFull):
        outbox.take_due()
    monkeypatch.undo()
    outbox.close()
    with pytest.raises(StoreError):
        outbox.take_due()


def test_a_full_disk_has_a_name_and_ends_when_there_is_room(outbox: Outbox, fields: Fields) -> None:
    pages = outbox._file.execute("PRAGMA page_count").fetchone()[0]
    outbox._file.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(DiskFull, match="no room left"):
        put_many(outbox, fields, 100, snapshot="x" * 4000)
    kept = outbox.counts()["backlog"]
    outbox._file.execute("PRAGMA max_page_count = 100000")
    outbox.put(fields())
    assert seqs(outbox.take_due()) == list(range(1, int(kept) + 2))


def test_a_second_process_is_told_so(tmp_path: Path, outbox: Outbox, key: Ed25519PrivateKey, clock: Any) -> None:
    with pytest.raises(StoreError, match="in use by another process"):
        Outbox(tmp_path / "outbox.db", key, clock=clock)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path, key: Ed25519PrivateKey, clock: Any) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="can't be opened"):
        Outbox(tmp_path / "file" / "outbox.db", key, clock=clock)


def test_a_file_that_cannot_be_opened_is_named(tmp_path: Path, key: Ed25519PrivateKey, clock: Any) -> None:
    (tmp_path / "outbox.db").mkdir()
    with pytest.raises(StoreError, match=r"outbox\.db can't be used: unable to open"):
        Outbox(tmp_path / "outbox.db", key, clock=clock)
    (tmp_path / "outbox.db").rmdir()
    Outbox(tmp_path / "outbox.db", key, clock=clock).close()


def test_a_closed_outbox_says_so(outbox: Outbox, fields: Fields) -> None:
    outbox.close()
    outbox.close()
    for call in (lambda: outbox.put(fields()), outbox.take_due, outbox.counts, lambda: outbox.acknowledge(["a"])):
        with pytest.raises(StoreError):
            call()


def put_clip(outbox: Outbox, incident: str = "i1", segment: int = 0) -> None:
    outbox.clips.put(Clip(incident, segment, "cam-1", Path("/clips/a.mp4"), "a" * 64, 10, 1.5, 2.5))


def test_a_clip_goes_after_the_alerts_of_its_incident(outbox: Outbox, fields: Fields) -> None:
    put_clip(outbox)
    put_clip(outbox, "i2")
    id_ = outbox.put(fields(incident="i1"))
    clip = outbox.clips.next_due()
    assert clip is not None
    assert clip.incident == "i2"
    outbox.clips.done(clip)
    assert outbox.clips.next_due() is None
    outbox.acknowledge([id_])
    clip = outbox.clips.next_due()
    assert clip is not None
    assert (clip.incident, clip.path, clip.size, clip.duration_s) == ("i1", Path("/clips/a.mp4"), 10, 2.5)


def test_clips_that_wait_are_found_when_the_data_folder_was_moved_to_another_disk(
    tmp_path: Path, key: Ed25519PrivateKey, clock: Any
) -> None:
    old, new = tmp_path / "old" / "data", tmp_path / "new"
    elsewhere = tmp_path / "elsewhere.mp4"
    outbox = Outbox(old / "outbox.db", key, clock=clock)
    for number, path in enumerate((old / "clips" / "cam-1" / "i1.0.mp4", old / "clips" / "i1.1.mp4", elsewhere)):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"clip")
        outbox.clips.put(Clip("i1", number, "cam-1", path, "0" * 64, 4, 1.0, 1.0))
    outbox.close()
    old.rename(new)
    outbox = Outbox(new / "outbox.db", key, clock=clock)
    clip = outbox.clips.next_due()
    assert clip is not None and clip.path == new / "clips" / "cam-1" / "i1.0.mp4" and clip.path.is_file()
    outbox.clips.done(clip)
    outbox.clips.forget_files({new / "clips" / "i1.1.mp4": 0}, "disk")
    clip = outbox.clips.next_due()
    assert clip is not None and clip.path == elsewhere
    outbox.close()


def test_a_clip_that_failed_lets_others_pass(outbox: Outbox, clock: Any) -> None:
    put_clip(outbox, "i1")
    put_clip(outbox, "i2")
    first = outbox.clips.next_due()
    assert first is not None
    outbox.clips.postpone(first, 30.0)
    assert outbox.clips.attempts(first) == 1
    second = outbox.clips.next_due()
    assert second is not None
    assert second.incident == "i2"
    outbox.clips.bury(second, "too large")
    assert outbox.clips.next_due() is None
    clock.sleep(30.0)
    assert outbox.clips.next_due() == first
    assert outbox.counts()["dead"] == 1


def test_drained_means_alerts_and_clips_are_gone(outbox: Outbox, fields: Fields) -> None:
    id_ = outbox.put(fields())
    put_clip(outbox)
    assert not outbox.wait_drained(0.0)

    def drain() -> None:
        outbox.acknowledge([id_])
        clip = outbox.clips.next_due()
        assert clip is not None
        outbox.clips.done(clip)

    thread = threading.Thread(target=drain)
    thread.start()
    assert outbox.wait_drained(10.0)
    thread.join()


OPERATIONS = st.lists(
    st.tuples(
        st.sampled_from(["put", "take", "ack", "reconnect", "later", "reopen", "bury", "tidy", "disk"]),
        st.integers(0, 9),
    ),
    max_size=40,
)


@settings(max_examples=30, deadline=None)
@given(OPERATIONS)
def test_whatever_happens_nothing_vanishes_unaccounted_for(operations: list[tuple[str, int]]) -> None:
    key, clock = Ed25519PrivateKey.from_private_bytes(bytes(32)), SteppedClock()
    with memory_folder() as folder:
        path, buffers = folder / "outbox.db", Buffers(alert_rows=8, alert_days=1)
        outbox = Outbox(path, key, clock=clock, buffers=buffers)
        put = acked = buried = 0
        known: dict[str, int] = {}  # every id ever sent, with its number
        told: set[int] = set()  # numbers that the hub heard will never come
        heard: set[int] = set()  # numbers that it confirmed

        def take(n: int) -> list[Row]:
            rows = outbox.take_due(n)
            assert len(rows) <= n
            assert len({row.seq for row in rows}) == len(rows)
            for row in rows:
                assert known.setdefault(row.id, row.seq) == row.seq
            return rows

        def confirm(rows: list[Row]) -> int:
            for row in rows:
                heard.add(row.seq)
                for first, last, _ in wire.decode(row.payload).get("dropped", ()):
                    told.update(range(first, last + 1))
            return outbox.acknowledge([row.id for row in rows])

        for number, (name, n) in enumerate(operations):
            if name == "put":
                phase = ("new", "update", "end")[n % 3]
                outbox.put(make_fields(f"i{n // 3}", ("info", "warning", "critical")[number % 3], phase=phase))
                put += 1
            elif name == "take":
                take(n)
            elif name == "ack":
                rows = take(n)
                assert confirm(rows) == len(rows)
                acked += len(rows)
            elif name == "bury":
                for row in take(1):
                    if "dropped" not in wire.decode(row.payload):
                        outbox.bury(row, "test")
                        buried += 1
            elif name == "reconnect":
                outbox.resend_all()
            elif name == "later":
                clock.sleep(20_000.0)
            elif name == "tidy":
                outbox.room.drop_old()
            elif name == "disk":
                outbox.room.drop_for_disk(n * 100)
            else:
                outbox.close()
                outbox = Outbox(path, key, clock=clock, buffers=buffers)
            counts = outbox.counts()
            words = int(outbox._file.meta("last_seq")) - put  # on what was dropped
            assert counts["backlog"] - words <= 8
            assert put + words == counts["backlog"] + counts["dropped"] + acked + buried
            assert counts["dead"] == buried
        for _ in range(100):
            outbox.resend_all()
            confirm(take(WINDOW))
        assert outbox.wait_drained(0.0)
        # No number is missing without a word, and none is both told as dropped and confirmed.
        assert heard | told == set(range(1, int(outbox._file.meta("last_seq")) + 1))
        assert not heard & told
        outbox.close()


# Side files


def put_side(outbox: Outbox, incident: str = "i1", segment: int = 0) -> None:
    side = Path("/clips/a.side.json.gz")
    outbox.clips.put(Clip(incident, segment, "cam-1", side, "b" * 64, 5, 1.5, 2.5, wire.SIDE))


def test_a_side_file_goes_after_its_clip_and_behind_all_other_clips(outbox: Outbox, fields: Fields) -> None:
    id_ = outbox.put(fields(incident="i1"))
    put_side(outbox)
    assert outbox.clips.next_due() is None
    outbox.acknowledge([id_])
    put_clip(outbox)
    put_clip(outbox, "i2")
    names = []
    while clip := outbox.clips.next_due():
        names.append(clip.name)
        outbox.clips.done(clip)
    assert names == ["i1/0", "i2/0", "i1/0/side"]
    assert outbox.wait_drained(0.0)


def test_a_clip_that_waits_holds_up_its_own_side_file_alone(outbox: Outbox) -> None:
    for incident in ("i1", "i2"):
        put_side(outbox, incident)
    put_clip(outbox, "i1")
    clip = outbox.clips.next_due()
    assert clip is not None and clip.what is None
    outbox.clips.postpone(clip, 30.0)
    side = outbox.clips.next_due()
    assert side is not None and (side.name, side.what, side.path.name) == ("i2/0/side", wire.SIDE, "a.side.json.gz")
    outbox.clips.done(side)
    assert outbox.clips.next_due() is None and not outbox.wait_drained(0.0)


def test_a_side_file_and_its_clip_fail_apart(outbox: Outbox, clock: Any) -> None:
    put_side(outbox)
    side = outbox.clips.next_due()
    assert side is not None
    outbox.clips.postpone(side, 30.0)
    assert outbox.clips.next_due() is None
    put_clip(outbox)
    clip = outbox.clips.next_due()
    assert clip is not None and (clip.what, outbox.clips.attempts(clip), outbox.clips.attempts(side)) == (None, 0, 1)
    outbox.clips.bury(side, "no good")
    assert outbox.counts()["clips"] == 1 and outbox.counts()["dead"] == 1
    outbox.clips.done(clip)
    assert outbox.wait_drained(0.0)


def test_an_outbox_of_an_older_version_takes_side_files(tmp_path: Path, open_outbox: Open, fields: Fields) -> None:
    """What an older version left in it is neither lost nor changed; and that version still finds its own."""
    outbox = open_outbox()
    outbox.put(fields())
    put_clip(outbox, "i2")
    outbox.close()
    with contextlib.closing(sqlite3.connect(tmp_path / "outbox.db")) as db:
        db.execute("DROP TABLE sides")
        db.commit()
    outbox = open_outbox()
    put_side(outbox, "i2")
    clip = outbox.clips.next_due()
    assert clip is not None and clip.name == "i2/0" and outbox.counts()["backlog"] == 1
    outbox.close()
    with contextlib.closing(sqlite3.connect(tmp_path / "outbox.db")) as db:
        columns = [row[1] for row in db.execute("PRAGMA table_info(clips)")]
    assert columns == [
        "incident", "segment", "camera", "path", "sha256", "size", "started_at", "duration_s", "put_at",
    ]  # fmt: skip


def test_what_could_not_be_read_does_not_count_as_sent(
    outbox: Outbox, fields: Fields, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_many(outbox, fields, 2)
    execute = outbox._file.execute

    def broken(sql: str, *values: Any) -> sqlite3.Cursor:
        if "payload" in sql:
            raise sqlite3.OperationalError("disk I/O error")
        return execute(sql, *values)

    monkeypatch.setattr(outbox._file, "execute", broken)
    with pytest.raises(StoreError, match="disk I/O error"):
        outbox.take_due()
    monkeypatch.undo()
    assert seqs(outbox.take_due()) == [1, 2]


def test_reconnecting_often_neither_delays_nor_buries_a_row(outbox: Outbox, fields: Fields, clock: Any) -> None:
    first, second = put_many(outbox, fields, 2)
    for _ in range(2 * ATTEMPTS_BEFORE_BURIAL):
        outbox.resend_all()
        outbox.take_due()
    outbox.acknowledge([second])
    clock.sleep(5.0)
    assert [row.id for row in outbox.take_due()] == [first]
    assert outbox.counts()["dead"] == 0


def test_a_failure_while_waiting_has_a_name(outbox: Outbox, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_sql: str) -> int:
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(outbox._file, "one", broken)
    with pytest.raises(StoreError, match="disk I/O error"):
        outbox.wait_drained(0.0)


def test_incidents_that_an_earlier_run_left_open_are_known(open_outbox: Open, fields: Fields) -> None:
    first = open_outbox()
    first.put(fields("ended"))
    first.put(fields("ended", phase="end"))
    first.put(fields("open", snapshot="a picture"))
    last = fields("open", phase="update")
    last["after"]["score"] = 0.95
    first.acknowledge([first.put(last)])
    assert first.left_open() == []
    second = open_outbox()
    second.put(fields("mine"))
    (left,) = second.left_open()
    assert (left["after"]["id"], left["after"]["score"], left["snapshot"]) == ("open", 0.95, None)
    second.put(fields("open", phase="end"))
    assert second.left_open() == []
    assert [left["after"]["id"] for left in open_outbox().left_open()] == ["mine"]


def test_corrupt_files_are_counted_until_somebody_takes_them_away(
    tmp_path: Path, open_outbox: Open, fields: Fields, clock: Any
) -> None:
    before = open_outbox()
    epoch = json.loads(before.take_due()[0].payload)["epoch"] if before.put(fields()) else ""
    before.close()
    for n in (1, 2):
        clock.sleep(1.0)
        (tmp_path / "outbox.db").write_bytes(b"this is no database" * 100)
        (tmp_path / "outbox.db-wal").write_bytes(b"nor is this")
        outbox = open_outbox()
        assert outbox.counts()["set_aside"] == n
    outbox.put(fields())
    (row,) = outbox.take_due()
    assert row.seq == 1 and json.loads(row.payload)["epoch"] != epoch
    for path in tmp_path.glob("*.corrupt-*"):
        path.unlink()
    assert outbox.counts()["set_aside"] == 0


def test_after_corruption_numbers_of_the_old_file_bury_nothing(
    tmp_path: Path, open_outbox: Open, fields: Fields, clock: Any
) -> None:
    outbox = open_outbox()
    put_many(outbox, fields, 50)
    outbox.close()
    outbox = open_outbox()
    outbox.acknowledge([row.id for row in outbox.take_due()])
    corrupt(outbox, tmp_path / "outbox.db")
    id_ = outbox.put(fields())
    assert outbox.counts()["set_aside"] == 1
    for _ in range(ATTEMPTS_BEFORE_BURIAL + 2):
        outbox.take_due()
        clock.sleep(60.0)
    assert [row.id for row in outbox.take_due()] == [id_]
