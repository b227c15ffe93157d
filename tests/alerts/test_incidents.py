"""Signals that belong together are one incident, with one id, from its first word to its last."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.alerts.incidents import IncidentBook, incident_id
from detector.config import Incidents
from detector.values import CountRange, IncidentKind, IncidentUpdate, Phase, Severity, Signal
from tests.builders import act, signal

SETTINGS = Incidents(join_s=100, longest_s=600)


def book() -> IncidentBook:
    return IncidentBook("site", SETTINGS)


def lived(signals: list[Signal], until: float) -> list[IncidentUpdate]:
    """All updates of a book that is told these signals, looked at every second up to `until`."""
    mine = book()
    waiting = sorted(signals, key=lambda s: s.at)
    start = min((s.at for s in signals), default=0.0)
    updates = []
    for t in [start + n for n in range(round(until - start) + 1)]:
        due = [s for s in waiting if s.at <= t]
        waiting = waiting[len(due) :]
        updates += mine.admit(due, t)
    return updates + mine.finish()


def phases(updates: list[IncidentUpdate]) -> list[str]:
    return [update.phase.value for update in updates]


def test_an_incident_is_new_grows_and_ends() -> None:
    first, second = signal(10, 12, acts=[act(10, 12, [1])]), signal(10, 30, acts=[act(10, 12, [1]), act(28, 30, [2])])
    updates = lived([first, second], 200)
    assert phases(updates) == ["new", "update", "end"]
    new, update, end = updates
    assert new.before is None
    assert update.before == new.after
    assert end.before == end.after == update.after
    assert {u.after.id for u in updates} == {new.after.id}
    assert (end.after.started_at, end.after.ended_at) == (10, 30)
    assert [a.parcels for a in end.after.acts] == [(1,), (2,)]


@pytest.mark.parametrize(
    ("quiet", "incidents"),
    [pytest.param(99, 1, id="within join_s"), pytest.param(100, 1, id="just"), pytest.param(102, 2, id="beyond")],
)
def test_signals_within_join_s_are_one_incident(quiet: float, incidents: int) -> None:
    updates = lived([signal(10, 12), signal(12 + quiet, 12 + quiet)], 400)
    assert len({u.after.id for u in updates}) == incidents
    assert phases(updates).count("end") == incidents


def test_an_end_is_due_by_frame_time_without_any_signal() -> None:
    mine = book()
    mine.admit([signal(0, 1)], 1)
    assert mine.admit([], 101) == []
    assert phases(mine.admit([], 101.5)) == ["end"]
    assert mine.admit([], 102) == []
    assert mine.finish() == []


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(signal(10, 12, zone="aisle"), id="zone"),
        pytest.param(signal(10, 12, zone=None), id="no zone"),
        pytest.param(signal(10, 12, kind=IncidentKind.ORIENTATION_PATTERN), id="kind"),
    ],
)
def test_what_differs_in_place_or_kind_is_another_incident(other: Signal) -> None:
    updates = book().admit([signal(10, 12), other], 12)
    assert phases(updates) == ["new", "new"]
    assert updates[0].after.id != updates[1].after.id


def test_severity_score_and_counts_never_fall() -> None:
    mine = book()
    mine.admit([signal(0, 1, severity=Severity.CRITICAL, score=0.9, exposed=5)], 1)
    after = mine.admit([signal(0, 9, severity=Severity.INFO, score=0.2, exposed=2)], 9)[0].after
    assert (after.severity, after.score, after.labels_exposed) == (Severity.CRITICAL, 0.9, CountRange(5, 5, 5))
    after = mine.admit([signal(0, 12, exposed=8)], 12)[0].after
    assert after.labels_exposed == CountRange(8, 8, 8)


severities = st.lists(st.sampled_from(Severity), min_size=1, max_size=6)


@settings(deadline=None)
@given(severities)
def test_the_severest_word_stays(said: list[Severity]) -> None:
    mine = book()
    for n, severity in enumerate(said):
        after = mine.admit([signal(0, n, severity=severity)], n)[0].after
    assert after.severity.rank == max(severity.rank for severity in said)


def test_an_act_told_again_is_replaced_by_what_is_known_now() -> None:
    mine = book()
    mine.admit([signal(0, 1, acts=[act(0, 1, [1], score=0.5)])], 1)
    after = mine.admit([signal(0, 3, acts=[act(0, 3, [2], score=0.8), act(0, 2, [3], track=2)])], 3)[0].after
    assert after.acts == (act(0, 3, [2], score=0.8), act(0, 2, [3], track=2))
    assert after.tracks == (1, 2)


def sweep_of_half_an_hour() -> list[Signal]:
    """What `rules/sweep.py` says: every signal carries the whole sweep, back to its first photo."""
    acts = [act(20 * n, 20 * n + 2, [n]) for n in range(90)]
    return [signal(0, acts[n].ended_at, acts=acts[: n + 1], exposed=n + 1) for n in range(1, 90)]


def test_a_sweep_longer_than_longest_s_becomes_incidents_of_their_own() -> None:
    updates = lived(sweep_of_half_an_hour(), 2000)
    ends = [u.after for u in updates if u.phase is Phase.END]
    assert 3 <= len(ends) <= 4
    assert len({e.id for e in ends}) == len(ends)
    assert phases(updates).count("new") == len(ends)
    assert all(600 - 30 <= e.ended_at - e.started_at <= 600 for e in ends[:-1])
    assert all(a.ended_at <= b.started_at for a, b in pairwise(ends))
    told = [a.parcels[0] for e in ends for a in e.acts]
    assert sorted(told) == list(range(90)), "every act is told in one incident, none in two"
    assert sum(e.labels_exposed.best for e in ends) == 90


def test_an_incident_taken_up_again_after_its_end_has_an_id_of_its_own() -> None:
    """A rule whose window is longer than join_s tells the whole sweep again when it goes on."""
    first, photo = act(0, 2, [1]), act(160, 162, [3])
    begin, again = signal(0, 12, acts=[first, act(10, 12, [2])]), signal(0, 162, acts=[first, act(10, 12, [2]), photo])
    ends = [u.after for u in lived([begin, again], 400) if u.phase is Phase.END]
    assert len({e.id for e in ends}) == 2
    assert [a.parcels for a in ends[1].acts] == [(3,)]
    assert ends[1].started_at == 160


def test_nothing_new_begins_no_incident() -> None:
    """The last word on an act that was told already may come after the end."""
    told = signal(0, 2, acts=[act(0, 2, [1])])
    updates = lived([told, signal(0, 150, acts=[act(0, 2, [1])])], 400)
    assert phases(updates) == ["new", "end"]


def test_equal_times_give_equal_ids_and_others_differ() -> None:
    first = signal(1_700_000_000.25, 1_700_000_005)
    assert incident_id("site", first) == incident_id("site", signal(1_700_000_000.25, 1_700_000_009, score=0.1))
    others = [
        incident_id("other", first),
        incident_id("site", signal(1_700_000_000.45, 1_700_000_005)),
        incident_id("site", signal(1_700_000_000.25, 1_700_000_005, zone="aisle")),
        incident_id("site", signal(1_700_000_000.25, 1_700_000_005, camera="cam2")),
        incident_id("site", signal(1_700_000_000.25, 1_700_000_005, kind=IncidentKind.LINGERING)),
    ]
    assert len({incident_id("site", first), *others}) == 6
    assert all(len(each) == 24 for each in others)


@settings(deadline=None)
@given(st.floats(0, 4e9), st.floats(0, 4e9))
def test_ids_are_equal_exactly_for_equal_milliseconds(a: float, b: float) -> None:
    same = f"{a:.3f}" == f"{b:.3f}"
    assert (incident_id("s", signal(a, a)) == incident_id("s", signal(b, b))) is same


def test_a_book_without_signals_says_nothing() -> None:
    assert lived([], 10) == []


def test_the_picture_stays_that_of_the_last_act_when_an_act_ends() -> None:
    book = IncidentBook("site", SETTINGS)
    photo, over = act(10, 12), act(10, 14)
    held, gone = (("phone", (1.0, 2.0, 3.0, 4.0)),), (("person", (5.0, 6.0, 7.0, 8.0)),)
    book.admit([signal(10, 12, acts=(photo,), boxes=held)], 12)
    (update,) = book.admit([signal(10, 15, acts=(over,), boxes=gone)], 15)
    assert update.after.boxes == held
    (update,) = book.admit([signal(10, 20, acts=(over, act(18, 20)), boxes=gone)], 20)
    assert update.after.boxes == gone
