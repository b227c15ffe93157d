"""Signals that belong together are one incident, with one id, from its first word to its last."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from math import nan
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.alerts.incidents import IncidentBook
from detector.alerts.merging import incident_id
from detector.config import Incidents
from detector.sentences import sentence
from detector.values import Act, ActKind, CountRange, IncidentKind, IncidentUpdate, Phase, Severity, Signal
from tests.builders import CAMERA, act, signal

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


def test_what_goes_on_after_a_shift_is_no_longer_told_of_that_shift() -> None:
    before, after = (
        replace(signal(10, at, kind=IncidentKind.LINGERING), facts={"stay_s": at - 10, "shift": shift})
        for at, shift in ((40, "day"), (70, None))
    )
    new, update, _ = lived([before, after], 100)
    assert (new.after.facts["shift"], update.after.facts["shift"]) == ("day", None)


def test_an_incident_names_the_spot_of_the_zone_it_is_told_of() -> None:
    mine = IncidentBook("site", SETTINGS, spots={"bulk": "cage", "dock": "gate"})
    (new,) = mine.admit([signal(10, 12, acts=[act(10, 12, [1])])], 12)
    assert (new.after.zone, new.after.spot) == ("bulk", "cage")
    walked = replace(signal(10, 40, acts=[act(10, 12, [1]), act(38, 40, [2])]), zone="walkway")
    (update,) = mine.admit([walked], 40)
    assert (update.after.id, update.after.zone, update.after.spot) == (new.after.id, "walkway", None)


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
        pytest.param(signal(10, 12, kind=IncidentKind.TAMPER), id="tampering"),
    ],
)
def test_what_differs_in_place_is_another_incident_and_so_is_tampering(other: Signal) -> None:
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
    harm = Severity.WARNING  # labels were photographed, whatever the rule says of it
    assert after.severity.rank == max(harm.rank, *(severity.rank for severity in said))


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
    assert sum(e.facts["photos"] for e in ends) == 90


def test_scans_of_a_sweep_that_goes_on_are_told_once_too() -> None:
    signals = []
    for told in sweep_of_half_an_hour():
        scans = tuple(replace(one, kind=ActKind.SCAN) for one in told.acts)
        facts = {**told.facts, "photos": 0, **dict.fromkeys(("scans", "parcels", "moved_on"), len(scans))}
        signals.append(replace(told, acts=scans, facts=facts))
    ends = [u.after for u in lived(signals, 2000) if u.phase is Phase.END]
    for fact in ("scans", "parcels", "moved_on"):
        assert sum(end.facts[fact] for end in ends) == 90, fact


def test_an_open_incident_keeps_what_it_told_when_that_of_another_zone_ends() -> None:
    here = [act(n * 30, n * 30 + 2, [n]) for n in range(10)]
    there = [act(40, 42, [20], track=2), act(45, 47, [21], track=2)]
    mine = IncidentBook("site", SETTINGS)
    mine.admit([signal(0, 32, acts=here[:2])], 32)
    mine.admit([replace(signal(40, 47, acts=there), zone="walkway")], 47)
    photos = []
    for n in range(2, 10):  # who was there last has come over
        acts, at = (*here[:2], there[1], *here[2 : n + 1]), here[n].ended_at
        told = signal(0, at, acts=acts)
        updates = mine.admit([replace(told, facts={**told.facts, "photos": len(acts)})], at)
        photos += [u.after.facts["photos"] for u in updates if u.after.zone != "walkway" and u.phase is not Phase.END]
    assert photos == sorted(photos) and photos[-1] == 11


@pytest.mark.parametrize("longest_s", [150, 600])
def test_what_is_told_long_after_it_began_does_not_end_at_the_next_look(longest_s: float) -> None:
    mine = IncidentBook("site", Incidents(join_s=180, longest_s=longest_s))
    updates = mine.admit([signal(0, 180)], 180)
    for t in range(181, 241):
        updates += mine.admit([], float(t))
    assert phases(updates) == ["new"]


def test_what_may_have_gone_unseen_in_a_long_sweep_is_told_once_not_in_every_incident_of_it() -> None:
    signals = []
    for told in sweep_of_half_an_hour():
        n = len(told.acts)
        exposed = CountRange(n, n, 3 * n)
        signals.append(replace(told, labels_exposed=exposed, facts={**told.facts, "untold": 2 * n}))
    ends = [u.after for u in lived(signals, 2000) if u.phase is Phase.END]
    assert [end.labels_exposed.high for end in ends] == [3 * len(end.acts) for end in ends]
    assert [end.facts["untold"] for end in ends] == [2 * len(end.acts) for end in ends]


@pytest.mark.parametrize(("doubtful", "begins"), [(False, Severity.CRITICAL), (True, Severity.INFO)])
def test_what_carries_on_a_long_sweep_matters_no_less_unless_it_is_in_doubt(doubtful: bool, begins: Severity) -> None:
    first, *later = sweep_of_half_an_hour()
    if doubtful:
        in_doubt = {"severity": Severity.INFO, "facts": {"photos": 9, "unsure": True}}
        later = [replace(s, **in_doubt) if s.at > 590 else s for s in later]
    begun = [u.after.severity for u in lived([first, *later], 1150) if u.phase is Phase.NEW]
    assert begun == [Severity.WARNING, begins]


def test_a_sweep_that_goes_on_in_another_zone_is_one_incident_told_of_that() -> None:
    """The rule counts a sweep in the zone where most of it is done: it may be another than at first."""
    acts = [act(10 * n, 10 * n + 2, [n]) for n in range(5)]
    said = [signal(0, 12, zone="left", acts=acts[:2]), signal(0, 42, zone="right", acts=acts, exposed=5)]
    updates = lived([*said, signal(0, 52, zone="left", acts=[*acts, act(50, 52, [6])], exposed=6)], 300)
    assert phases(updates) == ["new", "update", "update", "end"]
    assert [u.after.zone for u in updates[:3]] == ["left", "right", "left"]
    assert [u.after.facts["photos"] for u in updates[:3]] == [2, 5, 6]
    assert updates[-1].after.labels_exposed == CountRange(6, 6, 6)


def of(track: int, *starts: float) -> list[Act]:
    """Photos of somebody, each of a parcel of its own."""
    return [act(start, start + 2, [round(start)], track=track) for start in starts]


@pytest.mark.parametrize("left_first", [True, False])
def test_who_stays_behind_when_another_goes_on_in_the_next_zone_belongs_to_the_same_sweep(left_first: bool) -> None:
    """The rule then tells two sweeps, each from its beginning."""
    both = signal(0, 12, zone="left", acts=[*of(1, 0, 5), *of(2, 3, 10)], exposed=4)
    split = [
        signal(3, 42, zone="left", acts=of(2, 3, 10), exposed=2),
        signal(0, 42, zone="right", acts=of(1, 0, 5, 20, 30, 40), exposed=5),
    ]
    last = signal(3, 52, zone="left", acts=of(2, 3, 10, 50), exposed=3)
    updates = lived([both, *(split if left_first else split[::-1]), last], 300)
    assert phases(updates) == ["new", "update", "update", "update", "end"]
    after = updates[-1].after
    assert (after.zone, after.facts["photos"], after.facts["other_zones"]) == ("right", 8, ["left"])
    assert after.labels_exposed == CountRange(8, 8, 8)


def test_of_those_who_meet_again_in_one_zone_no_photo_counts_twice() -> None:
    """The first photos of the second are known of the left zone until the rule counts all of theirs in the right."""
    apart = [
        signal(0, 12, zone="left", acts=[*of(1, 0, 5), *of(2, 3, 10)], exposed=4),
        signal(0, 32, zone="right", acts=of(1, 0, 5, 20, 30), exposed=4),
        signal(3, 36, zone="left", acts=of(2, 3, 10, 34), exposed=3),
    ]
    together = signal(0, 42, zone="right", acts=[*of(1, 0, 5, 20, 30), *of(2, 3, 10, 34, 40)], exposed=8)
    ends = [u.after for u in lived([*apart, together], 300) if u.phase is Phase.END]
    assert [(end.facts["photos"], end.labels_exposed.best) for end in ends] == [(8, 8)]


def test_two_who_were_seen_together_stay_two_when_they_part() -> None:
    both = signal(0, 12, zone="left", acts=[*of(1, 0, 5), *of(2, 3)])
    alone = signal(0, 32, zone="right", acts=of(1, 0, 5, 20, 30))
    said = [replace(s, facts={**s.facts, "people": n}) for s, n in ((both, 2), (alone, 1))]
    assert lived(said, 300)[-1].after.facts["people"] == 2


def test_an_incident_names_every_zone_it_was_ever_told_of() -> None:
    lingering = signal(0, 5, kind=IncidentKind.LINGERING, zone="left")
    sweep = signal(10, 22, zone="right", acts=of(1, 10, 20))
    sweep = replace(sweep, facts={**sweep.facts, "other_zones": ["aisle"]})
    later = signal(10, 52, zone="dock", acts=of(1, 10, 20, 40, 50))
    told = [
        (u.after.zone, u.after.facts.get("other_zones"))
        for u in lived([replace(lingering, tracks=(1,)), sweep, later], 60)
    ]
    assert told[:3] == [("left", None), ("right", ["aisle", "left"]), ("dock", ["aisle", "left", "right"])]


def test_what_was_told_of_one_zone_is_not_told_again_of_the_next() -> None:
    acts = [act(0, 2, [1]), act(10, 12, [2]), act(160, 162, [3]), act(170, 172, [4])]
    updates = lived([signal(0, 12, zone="left", acts=acts[:2]), signal(0, 172, zone="right", acts=acts)], 400)
    ends = [u.after for u in updates if u.phase is Phase.END]
    assert [(e.zone, [a.parcels for a in e.acts]) for e in ends] == [("left", [(1,), (2,)]), ("right", [(3,), (4,)])]


def test_what_two_sweeps_of_a_zone_told_is_not_told_again_when_they_become_one() -> None:
    """One of them came over from the next zone once the other had ended, so that they were two."""
    one, other = of(1, 40, 50), of(2, 20, 30, 100, 160)
    apart = [
        signal(20, 32, zone="right", acts=other[:2], exposed=2),
        signal(40, 52, zone="left", acts=one, exposed=2),
        signal(20, 102, zone="right", acts=other[:3], exposed=3),
        signal(20, 162, zone="left", acts=other, exposed=4),
    ]
    together = signal(20, 292, zone="left", acts=[*one, *other, *of(3, 290)], exposed=7)
    ends = [u.after for u in lived([*apart, together], 500) if u.phase is Phase.END]
    assert [(end.facts["photos"], end.labels_exposed.best) for end in ends] == [(2, 2), (4, 4), (1, 1)]
    assert ends[-1].facts["acts_told_earlier"] == 6


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
    here, there = ((1.0, 2.0, 9.0, 9.0),), ((5.0, 6.0, 9.0, 9.0),)
    book.admit([replace(signal(10, 12, acts=(photo,), boxes=held), private=here)], 12)
    (update,) = book.admit([replace(signal(10, 15, acts=(over,), boxes=gone), private=there)], 15)
    assert (update.after.boxes, update.after.private) == (held, here)
    (update,) = book.admit([replace(signal(10, 20, acts=(over, act(18, 20)), boxes=gone), private=there)], 20)
    assert (update.after.boxes, update.after.private) == (gone, there)


# Findings of several kinds


def finding(
    kind: IncidentKind,
    start: float,
    at: float,
    *,
    zone: str | None = "bulk",
    tracks: tuple[int, ...] = (),
    score: float = 0.9,
    **facts: Any,
) -> Signal:
    """A finding without acts, whose rule thinks nothing of it."""
    return Signal(kind, CAMERA, zone, start, at, score, Severity.INFO, tracks, facts=facts)


PHOTOS, PATTERN, LINGERING, BLIND, TAMPER = (
    IncidentKind.LABEL_PHOTOGRAPHY,
    IncidentKind.ORIENTATION_PATTERN,
    IncidentKind.LINGERING,
    IncidentKind.BLIND_CORNER,
    IncidentKind.TAMPER,
)


def test_lingering_then_a_pattern_then_photos_are_one_incident_told_as_the_gravest() -> None:
    mine = book()
    lingering = finding(LINGERING, 0, 120, tracks=(7,), people=2, crouched_s=90.0, stay_s=120.0, parcels=9)
    (first,) = mine.admit([lingering], 120)
    assert (first.phase, first.after.kind, first.after.severity) == (Phase.NEW, LINGERING, Severity.INFO)

    (second,) = mine.admit([finding(PATTERN, 100, 130, up=18, judged=20, usual_rate=0.2)], 130)
    assert (second.phase, second.after.kind, second.after.severity) == (Phase.UPDATE, PATTERN, Severity.WARNING)

    photos = signal(140, 150, acts=[act(140, 142, [1], track=7), act(148, 150, [2], track=7)], exposed=2, score=0.8)
    (third,) = mine.admit([replace(photos, facts={"photos": 2, "people": 1, "parcels": 2})], 150)
    assert (third.phase, third.after.kind, third.after.severity) == (Phase.UPDATE, PHOTOS, Severity.CRITICAL)
    assert third.after.findings == (PHOTOS, PATTERN, LINGERING)
    assert third.after.score == 0.8, "it is the gravest finding that is believed so much"
    assert third.after.id == second.after.id == first.after.id == incident_id("site", lingering)
    assert (third.after.started_at, third.after.ended_at, third.after.tracks) == (0, 150, (7,))
    assert dict(third.after.facts) == {
        "photos": 2, "people": 2, "parcels": 2, "up": 18, "judged": 20, "usual_rate": 0.2, "crouched_s": 90.0,
        "stay_s": 120.0,
    }  # fmt: skip
    assert [update.notify for update in (first, second, third)] == [True, True, True]
    (end,) = mine.finish()
    assert (end.phase, end.notify, end.after) == (Phase.END, False, third.after)


@pytest.mark.parametrize(
    ("other", "together"),
    [
        pytest.param(finding(LINGERING, 60, 100, tracks=(7,)), True, id="the same person a little later"),
        pytest.param(finding(LINGERING, 60, 100, tracks=(8,)), False, id="somebody else a little later"),
        pytest.param(finding(LINGERING, 5, 100, tracks=(8,)), True, id="somebody else at the same time"),
        pytest.param(finding(PATTERN, 60, 70), True, id="a pattern a little later"),
        pytest.param(finding(PATTERN, 60, 70, zone="aisle"), False, id="a pattern elsewhere"),
        pytest.param(finding(LINGERING, 5, 20, zone="aisle", tracks=(8,)), False, id="somebody else elsewhere"),
        pytest.param(finding(BLIND, 60, 100, zone="corner", tracks=(7,)), True, id="the same person elsewhere"),
        pytest.param(finding(LINGERING, 111, 200, tracks=(7,)), False, id="the same person too long after"),
        pytest.param(signal(5, 20, zone="aisle", acts=[act(5, 7, track=7)]), False, id="the same kind elsewhere"),
        pytest.param(finding(TAMPER, 5, 20, zone="bulk", tracks=(7,)), False, id="tampering"),
    ],
)
def test_what_belongs_together(other: Signal, together: bool) -> None:
    mine = book()
    (first,) = mine.admit([signal(0, 10, acts=[act(0, 2, track=7)])], 10)
    (second,) = mine.admit([other], other.at)[-1:]
    assert (second.after.id == first.after.id) is together
    assert second.phase is (Phase.UPDATE if together else Phase.NEW)


@pytest.mark.parametrize(
    ("other", "together"),
    [
        pytest.param(finding(LINGERING, 60, 100, zone="aisle", tracks=(7, 8)), True, id="went on"),
        pytest.param(finding(LINGERING, 60, 100, zone="aisle", tracks=(8,)), False, id="somebody else"),
        pytest.param(finding(LINGERING, 111, 200, zone="aisle", tracks=(7,)), False, id="too long after"),
    ],
)
def test_who_lingers_in_one_zone_after_the_other_is_one_incident(other: Signal, together: bool) -> None:
    mine = book()
    (first,) = mine.admit([finding(LINGERING, 0, 10, tracks=(7,), stay_s=10.0)], 10)
    (second,) = mine.admit([other], other.at)[-1:]
    assert (second.after.id == first.after.id) is together
    assert second.after.zone == "aisle"
    assert second.after.facts.get("other_zones") == (["bulk"] if together else None)


def test_a_finding_that_fits_two_incidents_goes_to_that_of_the_same_people() -> None:
    mine = book()
    own, other = finding(LINGERING, 0, 10, tracks=(7,)), finding(LINGERING, 0, 12, zone="aisle", tracks=(8,))
    mine.admit([own, other], 12)
    photos = signal(5, 20, zone="bulk", acts=[act(5, 7, track=8)])
    (update,) = mine.admit([photos], 20)
    assert (update.after.tracks, update.after.zone) == ((8,), "bulk")
    assert update.after.id == incident_id("site", other)


def test_facts_of_others_in_the_same_place_never_shrink() -> None:
    mine = book()
    mine.admit([finding(LINGERING, 0, 200, tracks=(7,), stay_s=200.0, people=1, out_of_hours=True)], 200)
    (update,) = mine.admit([finding(LINGERING, 60, 210, tracks=(8,), stay_s=150.0, people=2)], 210)
    assert dict(update.after.facts) == {"stay_s": 200.0, "people": 2, "out_of_hours": True}
    (update,) = mine.admit([finding(LINGERING, 60, 220, tracks=(8,), stay_s=160.0, people=1)], 220)
    assert dict(update.after.facts) == {"stay_s": 200.0, "people": 2, "out_of_hours": True}
    (update,) = mine.admit([finding(LINGERING, 0, 230, tracks=(7,), stay_s=230.0, people=1)], 230)
    assert dict(update.after.facts) == {"stay_s": 230.0, "people": 2, "out_of_hours": True}


def test_who_was_out_of_sight_longest_is_told_after_short_visits_of_the_same_people() -> None:
    mine = book()
    mine.admit([finding(BLIND, 0, 410, tracks=(7,), away_s=410.0, people_inside=1)], 410)
    visits = finding(BLIND, 520, 550, tracks=(7, 8, 9), away_s=30.0, visits=3, people_inside=1)
    (update,) = mine.admit([replace(visits, started_at=470)], 470)
    assert dict(update.after.facts) == {"away_s": 410.0, "visits": 3, "people_inside": 1}


def test_how_somebody_stayed_is_told_of_who_stayed_longest() -> None:
    mine = book()
    mine.admit([finding(LINGERING, 0, 150, tracks=(1,), stay_s=150.0, crouched_s=0.0, posture="standing")], 150)
    squatted = {"crouched_s": 60.0, "posture": "crouched"}
    (update,) = mine.admit([finding(LINGERING, 155, 220, tracks=(2,), stay_s=65.0, **squatted)], 220)
    assert "squatting for 60 seconds of it" in sentence(update.after, "en")
    (update,) = mine.admit([finding(LINGERING, 155, 310, tracks=(2,), stay_s=155.0, **squatted)], 310)
    assert "people squatting" in sentence(update.after, "en")


def test_out_of_hours_is_still_said_when_the_shift_has_begun() -> None:
    mine = book()
    mine.admit([finding(LINGERING, 0, 120, tracks=(7,), stay_s=120.0, out_of_hours=True)], 120)
    (update,) = mine.admit([finding(LINGERING, 0, 200, tracks=(7,), stay_s=200.0, out_of_hours=False)], 200)
    assert dict(update.after.facts) == {"stay_s": 200.0, "out_of_hours": True}


def test_of_two_troubles_with_a_camera_the_longer_is_told() -> None:
    mine = book()
    mine.admit([finding(TAMPER, 0, 60, what="covered", lasted_s=60.0)], 60)
    (update,) = mine.admit([finding(TAMPER, 100, 108, what="defocused", lasted_s=8.0)], 108)
    assert (update.after.facts["what"], update.after.facts["lasted_s"]) == ("covered", 60.0)
    (update,) = mine.admit([finding(TAMPER, 100, 180, what="defocused", lasted_s=80.0)], 180)
    assert (update.after.facts["what"], update.after.facts["lasted_s"]) == ("defocused", 80.0)


def test_a_trouble_that_lasts_is_told_at_each_doubling_and_at_once_when_it_is_another() -> None:
    told = [finding(TAMPER, 0, 90.0 * n, what="covered", lasted_s=90.0 * n) for n in range(1, 21)]
    turned = [finding(TAMPER, 0, 90.0 * n, what="turned", lasted_s=90.0 * n) for n in range(21, 24)]
    updates = lived([*told, *turned], 3000)
    assert [u.after.ended_at for u in updates] == [*(90 * n for n in (1, 2, 3, 4, 5, 6, 12, 21, 23))]
    assert phases(updates) == ["new", *["update"] * 7, "end"]


def test_a_trouble_that_turns_out_to_be_another_is_told_as_that() -> None:
    mine = book()
    mine.admit([finding(TAMPER, 0, 40, what="defocused", lasted_s=40.0)], 40)
    (update,) = mine.admit([finding(TAMPER, 0, 50, what="covered", lasted_s=50.0)], 50)
    assert update.after.facts["what"] == "covered"


@pytest.mark.parametrize("gap_s", [30.0, 100.0])
def test_photos_that_the_rule_has_forgotten_are_still_counted(gap_s: float) -> None:
    mine = IncidentBook("site", SETTINGS.model_copy(update={"join_s": 180.0}), window_s=90.0)
    first = [act(10.0 * n, 10.0 * n + 2, [n]) for n in range(3)]
    then = [act(22 + gap_s + 10.0 * n, 24 + gap_s + 10.0 * n, [10 + n]) for n in range(3)]
    counted = then if gap_s > 90 else [*first, *then]  # by the rule
    mine.admit([replace(signal(0, 22, acts=first), facts={"photos": 3})], 22)
    (update,) = mine.admit(
        [replace(signal(counted[0].started_at, then[-1].ended_at, acts=counted), facts={"photos": len(counted)})],
        then[-1].ended_at,
    )
    assert len(update.after.acts) == update.after.facts["photos"] == 6


def test_it_is_told_again_only_when_it_has_become_more_severe() -> None:
    mine = book()
    acts = [act(10 * n, 10 * n + 2, [n]) for n in range(6)]
    updates = [mine.admit([signal(0, 10 * n + 2, acts=acts[: n + 1])], 10 * n + 2)[0] for n in range(1, 6)]
    assert [u.after.severity.value for u in updates] == ["warning", "warning", "critical", "critical", "critical"]
    assert [u.notify for u in updates] == [True, False, True, False, False]


def test_a_finding_of_long_ago_is_not_over_at_once() -> None:
    mine = book()
    mine.admit([finding(BLIND, 0, 5000, tracks=(7,), away_s=5000.0)], 5000)
    assert mine.admit([], 5001) == []
    assert phases(mine.admit([], 5101)) == ["end"]


# A sweep that is told anew while its incident is open


def sweep(first: int, last: int, at: float, zone: str = "bulk", **facts: Any) -> Signal:
    """Photos of parcels `first` to `last`, one every ten seconds from `at` on."""
    acts = [act(at + 10 * n, at + 10 * n + 2, [parcel]) for n, parcel in enumerate(range(first, last + 1))]
    told = signal(at, acts[-1].ended_at, acts=acts, exposed=len(acts), zone=zone)
    return replace(told, facts={**told.facts, "parcels": len(acts), "people": 1, "unsure": False, **facts})


def over_ten_minutes(*sweeps: Signal) -> list[IncidentUpdate]:
    """What becomes of sweeps beside somebody who squats there the whole time."""
    squatting = [finding(LINGERING, 0, t, tracks=(1,), stay_s=t, crouched_s=t) for t in range(60, 600, 60)]
    return lived([*squatting, *sweeps], 599)


def test_photos_after_a_pause_add_to_those_before_it() -> None:
    end = over_ten_minutes(sweep(1, 3, 65), sweep(4, 5, 325), sweep(4, 6, 325))[-1].after
    assert [a.parcels[0] for a in end.acts] == [1, 2, 3, 4, 5, 6]
    assert (end.facts["photos"], end.facts["parcels"], end.facts["people"]) == (6, 6, 1)
    assert end.labels_exposed == CountRange(6, 6, 6)
    assert end.severity is Severity.CRITICAL
    assert "6 photos" in sentence(end, "en")


def test_fewer_photos_after_every_pause_are_more_each_time() -> None:
    updates = over_ten_minutes(sweep(1, 5, 5), sweep(6, 7, 205), sweep(8, 9, 405))
    photos = [u.after.facts["photos"] for u in updates if "photos" in u.after.facts]
    assert (photos, set(photos)) == (sorted(photos), {5, 7, 9})
    assert updates[-1].after.labels_exposed.best == 9


def test_the_same_parcels_photographed_again_after_a_pause_are_no_more_labels() -> None:
    end = over_ten_minutes(sweep(1, 3, 65), sweep(2, 4, 325))[-1].after
    assert (end.facts["photos"], end.facts["parcels"]) == (6, 4)
    assert end.labels_exposed == CountRange(4, 4, 4)


@pytest.mark.parametrize("sure", [(True, False), (False, True), (False, False)])
def test_photos_in_two_zones_add_up(sure: tuple[bool, bool]) -> None:
    here = sweep(1, 4, 65, unsure=not sure[0])
    there = [sweep(5, 6, 125, zone="aisle", unsure=not sure[1]), sweep(5, 7, 125, zone="aisle", unsure=not sure[1])]
    end = over_ten_minutes(here, *there)[-1].after
    assert (end.facts["photos"], end.facts["parcels"], len(end.acts)) == (7, 7, 7)
    assert (end.zone, end.facts["other_zones"]) == ("bulk", ["aisle"])
    assert end.labels_exposed == CountRange(7, 7, 7)
    assert end.facts["unsure"] is not any(sure)
    assert "7 photos" in sentence(end, "en")


def test_the_pace_of_two_photos_is_not_said_of_the_five_before() -> None:
    end = over_ten_minutes(sweep(1, 5, 5, pace_per_min=6.0), sweep(6, 7, 325, pace_per_min=60.0))[-1].after
    assert end.facts["pace_per_min"] == 6.0


def test_photos_taken_back_count_no_more_when_others_follow_soon() -> None:
    """Whoever scans parcels quickly by twos and carries them off photographs nothing."""
    end = over_ten_minutes(*(sweep(n, n + 1, 20.0 * n) for n in (1, 3, 5, 7)))[-1].after
    assert (end.facts["photos"], end.labels_exposed.best, end.severity) == (2, 2, Severity.WARNING)


# Doubt


def test_a_sweep_that_was_sure_stays_so_when_the_phone_is_read_afterwards() -> None:
    mine = book()
    mine.admit([replace(sweep(1, 4, 0), score=0.99, severity=Severity.CRITICAL)], 32)
    doubted = replace(sweep(1, 5, 0, unsure=True), score=0.67, severity=Severity.INFO)
    for at in (70, 72):
        (update,) = mine.admit([replace(doubted, at=at)], at)
        assert (update.after.score, update.after.facts["photos"], update.after.facts["unsure"]) == (0.99, 5, False)
        assert "not sure" not in sentence(update.after, "en")


def test_what_a_sweep_becomes_after_doubt_still_weighs() -> None:
    mine = book()
    mine.admit([sweep(1, 3, 0, pace_per_min=5.0)], 22)
    (update,) = mine.admit([sweep(1, 5, 0, pace_per_min=5.0, unsure=True)], 42)
    assert update.after.severity is Severity.CRITICAL


def test_a_sweep_is_in_doubt_until_it_is_sure() -> None:
    mine = book()
    doubts = [
        mine.admit([replace(sweep(1, n, 0, unsure=unsure), severity=Severity.INFO)], 10 * n)[0].after.facts["unsure"]
        for n, unsure in ((2, True), (3, True), (4, False), (5, True))
    ]
    assert doubts == [True, True, False, False]


def test_doubtful_photos_before_and_after_a_pause_stay_in_doubt() -> None:
    doubtful = [
        replace(s, severity=Severity.INFO) for s in (sweep(1, 3, 65, unsure=True), sweep(4, 6, 325, unsure=True))
    ]
    end = over_ten_minutes(*doubtful)[-1].after
    assert (end.facts["photos"], end.facts["unsure"], end.severity) == (6, True, Severity.INFO)
    sure = over_ten_minutes(doubtful[0], sweep(4, 5, 325))[-1].after
    assert (sure.facts["photos"], sure.facts["unsure"]) == (5, False)


# Scores


def test_what_is_scored_too_low_raises_no_incident_and_joins_none() -> None:
    mine = IncidentBook("site", SETTINGS, {PHOTOS: 0.6})
    assert mine.admit([signal(0, 5, score=0.5), signal(0, 5, score=0.5, zone="aisle")], 5) == []
    assert mine.admit([signal(0, 6, score=0.59)], 6) == []
    assert mine.held_back == {PHOTOS: 2}, "a finding told again is still one"
    lingering = finding(LINGERING, 0, 10, tracks=(1,), score=0.3)
    assert phases(mine.admit([lingering, signal(0, 10, score=0.5, acts=[act(0, 2)])], 10)) == ["new"]
    acts = [act(0, 2), act(8, 11)]
    (risen,) = mine.admit([signal(0, 12, score=0.7, acts=acts)], 12)
    assert (risen.after.kind, len(risen.after.acts)) == (PHOTOS, 2), "it comes in whole"
    (still,) = mine.admit([signal(0, 13, score=0.4, acts=acts)], 13)
    assert still.after.score == 0.7, "what is told already goes on"


def test_the_least_score_may_be_changed_at_any_time() -> None:
    shared = {PHOTOS: 0.95}
    mine = IncidentBook("site", SETTINGS, shared)
    assert mine.admit([signal(0, 5)], 5) == []
    shared[PHOTOS] = 0.8
    assert phases(mine.admit([signal(0, 6)], 6)) == ["new"]
    mine.least_score = {PATTERN: 1.0}
    assert mine.admit([finding(PATTERN, 0, 7, zone="aisle", score=0.99)], 7) == []
    assert phases(mine.admit([finding(PATTERN, 0, 8, zone="aisle", score=1.0)], 8)) == ["new"]


def test_what_was_withheld_goes_with_the_end_and_begins_nothing() -> None:
    mine = book()
    (new,) = mine.admit([finding(LINGERING, 0, 10, tracks=(1,))], 10)
    mine.admit([finding(LINGERING, 0, 14, tracks=(1,))], 14)
    (end,) = mine.finish(
        [finding(LINGERING, 0, 17, tracks=(1,)), finding(PATTERN, 0, 17, zone="aisle"), finding(LINGERING, nan, 17)]
    )
    assert (end.phase, end.after.id, end.before.ended_at, end.after.ended_at) == (Phase.END, new.after.id, 14, 17)
    assert mine.finish([finding(LINGERING, 0, 18, tracks=(1,))]) == []


def test_an_end_that_tells_more_than_was_told_calls_people_only_where_it_is_graver() -> None:
    for severity in Severity:
        mine = book()
        mine.admit([finding(LINGERING, 0, 10, tracks=(1,))], 10)
        (end,) = mine.finish([replace(finding(LINGERING, 0, 17, tracks=(1,)), severity=severity)])
        assert end.notify is (severity is not Severity.INFO)


# Bad input


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), -float("inf")])
def test_numbers_that_are_none_do_no_harm(wrong: float) -> None:
    mine = book()
    assert mine.admit([signal(wrong, 5), signal(0, wrong)], 5) == []
    (update,) = mine.admit([finding(LINGERING, 0, 5, score=wrong, stay_s=wrong, people=1)], 5)
    assert (update.after.score, dict(update.after.facts)) == (0.0, {"people": 1})


def test_a_clock_set_back_ends_what_was_open_and_ids_stay_in_the_present() -> None:
    mine = book()
    mine.admit([finding(LINGERING, 9990, 10_000, tracks=(7,))], 10_000)
    updates = mine.admit([finding(LINGERING, 6390, 6400, tracks=(7,))], 6400)
    assert phases(updates) == ["end", "new"]
    assert updates[1].after.started_at <= updates[1].after.ended_at == 6400


def test_an_incident_begins_when_its_earliest_finding_did_and_never_after_its_end() -> None:
    mine = book()
    (update,) = mine.admit([signal(50, 10)], 10)
    assert (update.after.started_at, update.after.ended_at) == (10, 10)


def test_what_somebody_else_did_meanwhile_is_no_new_alert_once_the_photos_were_told() -> None:
    photos = [act(99.0 * n, 99.0 * n + 2, [n]) for n in range(7)]
    told = [signal(0, photo.ended_at, acts=photos[: n + 1]) for n, photo in enumerate(photos)]
    reading = replace(act(603, 640, track=2), kind=ActKind.BROWSE)
    updates = lived([*told, signal(0, 640.2, acts=[*photos, reading])], 900)
    assert [update.phase for update in updates if update.phase is not Phase.UPDATE] == [Phase.NEW, Phase.END]


def test_what_outlives_its_incident_is_news_once_it_has_gone_on_for_a_while_and_says_that_it_was_told() -> None:
    stays = [finding(LINGERING, 0, t, tracks=(7,), stay_s=t) for t in (120.0, 200.0, 290.0, 380.0, 470.0, 560.0, 610.0)]
    assert phases(lived([*stays, finding(LINGERING, 0, 640.0, tracks=(7,), stay_s=640.0)], 900)) == [
        "new", *["update"] * 6, "end",
    ], "its last seconds are no second alert"  # fmt: skip
    updates = lived([*stays, finding(LINGERING, 0, 900.0, tracks=(7,), stay_s=900.0)], 1200)
    assert phases(updates) == ["new", *["update"] * 6, "end", "new", "end"]
    assert updates[-1].after.started_at == 610
    assert dict(updates[-1].after.facts) == {"stay_s": 900.0, "told_before": True}


def test_a_finding_told_once_and_again_long_after_is_two_incidents() -> None:
    updates = lived([finding(PATTERN, 0, 0), finding(PATTERN, 0, 101)], 400)
    assert phases(updates) == ["new", "end", "new", "end"]
    assert len({update.after.id for update in updates}) == 2


spans = st.tuples(st.floats(0, 900), st.floats(0, 120))


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(IncidentKind), spans, st.sampled_from(["bulk", "aisle", None]),
            st.sets(st.integers(1, 3), max_size=2), st.floats(0, 1),
        ),
        max_size=12,
    )
)  # fmt: skip
def test_every_incident_lives_once(told: list[Any]) -> None:
    """Whatever comes: new once, then updates, one end; ids differ; severity never falls; the gravest kind is told."""
    signals = [
        finding(kind, start, start + length, zone=zone, tracks=tuple(tracks), score=score)
        for kind, (start, length), zone, tracks, score in told
    ]
    lives: dict[str, list[IncidentUpdate]] = {}
    for update in lived(signals, 1200):
        lives.setdefault(update.after.id, []).append(update)
    for life in lives.values():
        assert phases(life) in (["new", "end"], ["new", *["update"] * (len(life) - 2), "end"])
        assert [u.after.severity.rank for u in life] == sorted(u.after.severity.rank for u in life)
        for update in life:
            assert update.after.kind is update.after.findings[0]
            assert len({*update.after.findings}) == len(update.after.findings)
            assert TAMPER not in update.after.findings or update.after.findings == (TAMPER,)
    assert {t for u in lived(signals, 1200) for t in u.after.tracks} == {t for s in signals for t in s.tracks}
