"""What a judged incident may teach: no more than the verdict says, at moments that the clip shows."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.errors import SourceUnavailable
from detector.hub.access.audit import Audit
from detector.hub.desk.walk_tests import WalkTests
from detector.hub.footage.sides import Sides
from detector.hub.footage.training_set import (
    APART_S,
    WALK_TEST,
    Claim,
    Lesson,
    Sight,
    Wanted,
    claim,
    clip_file,
    lessons,
    moments,
    sights,
    split_of,
    spread,
)
from detector.hub.storage.store import Store
from detector.hub.storage.stored import Clip
from tests.hub.conftest import make_side

NOON = 1_793_505_600.0
SHANGHAI = ZoneInfo("Asia/Shanghai")
PERSON = ("person", (0.4, 0.3, 0.6, 0.9))
Envelope = Callable[..., dict[str, Any]]


def clip_of(started_at: float = NOON, duration_s: float = 60.0, *, incident: str = "inc-1", segment: int = 0) -> Clip:
    return Clip(
        incident, segment, "shanghai", "box1", "cam3", started_at, duration_s, 4, "0" * 64, "aa/a.mp4", started_at
    )


def act(start: float, end: float, track: int = 7) -> dict[str, Any]:
    return {"kind": "photo", "track": track, "started_at_unix": NOON + start, "ended_at_unix": NOON + end}


def offsets(acts: list[dict[str, Any]], *, most: int = 12, told: list[Sight] | None = None, **clip: Any) -> list[float]:
    return [round(m.at - NOON, 3) for m in moments(acts, told or [], [clip_of(**clip)], most)]


@pytest.mark.parametrize(
    ("verdict", "note", "expected"),
    [
        pytest.param("true", "", Claim("photo"), id="true"),
        pytest.param("authorised", "call", Claim("photo"), id="authorised, whatever the note"),
        pytest.param("false", "", Claim(None, "photo"), id="false: which act it was is not known"),
        pytest.param("false", "a call, I think", Claim(None, "photo"), id="a sentence is not understood"),
        pytest.param("false", "photo", Claim(None, "photo"), id="a false alarm was no photo"),
        pytest.param("false", " Scan ", Claim("scan"), id="word"),
        pytest.param("false", "扫码", Claim("scan"), id="Chinese word"),
        pytest.param("false", "通话", Claim("call"), id="Chinese call"),
        pytest.param("false", "Browsing", Claim("browse"), id="the page's English word"),
        pytest.param("false", "无", Claim("none"), id="none of the acts"),
    ],
)
def test_a_verdict_claims_no_more_than_it_says(verdict: str, note: str, expected: Claim) -> None:
    assert claim(verdict, note) == expected


def test_moments_lie_within_acts() -> None:
    assert offsets([act(4, 5.5), act(9, 10.5)]) == [4.75, 9.75]


def test_a_long_act_gives_several_moments() -> None:
    assert offsets([act(10, 14)]) == [10.5, 11.5, 12.5, 13.5]


def test_few_moments_of_many_acts_are_spread_over_all_of_them() -> None:
    assert offsets([act(4 * n, 4 * n + 1) for n in range(10)], most=3) == [0.5, 16.5, 36.5]


def test_a_moment_that_no_clip_shows_is_left_out() -> None:
    assert offsets([act(4, 5), act(30, 31)], duration_s=20.0) == [4.5]
    assert offsets([act(4, 5)], started_at=NOON + 10) == []


def test_what_the_edge_saw_during_an_act_comes_first() -> None:
    saw = Sight(NOON + 5.2, (PERSON,))
    (moment,) = moments([act(4, 5.5)], [saw], [clip_of()], 12)
    assert (moment.at, moment.sight) == (saw.at, saw)


def test_other_moments_of_the_act_know_what_the_edge_saw() -> None:
    saw = Sight(NOON + 4.9, (PERSON,))
    found = moments([act(4, 8), act(20, 21)], [saw], [clip_of()], 12)
    assert [(round(m.at - NOON, 2), m.sight) for m in found] == [(4.9, saw), (6.5, saw), (7.5, saw), (20.5, None)]


def test_acts_of_two_people_at_once_are_told() -> None:
    found = moments([act(4, 6), act(5, 9, track=8)], [], [clip_of()], 12)
    assert {round(m.at - NOON, 2): m.alone for m in found} == {4.5: True, 5.5: False, 6.5: True, 7.5: True, 8.5: True}


def test_what_the_edge_saw_of_two_people_acting_at_once_names_neither() -> None:
    found = moments([act(4, 6), act(5, 9, track=8)], [Sight(NOON + 5.5, (PERSON,))], [clip_of()], 12)
    assert {m.sight for m in found} == {None}


@given(st.lists(st.floats(0, 100)), st.integers(1, 20), st.lists(st.floats(0, 100), max_size=1))
def test_chosen_times_are_few_apart_and_of_those_offered(times: list[float], most: int, chosen: list[float]) -> None:
    found = spread(times, most, chosen)
    assert found[: len(chosen)] == chosen and set(found) <= {*times, *chosen} and len(found) <= most
    gaps = [abs(a - b) for n, a in enumerate(found) for b in found[:n]]
    assert all(gap >= APART_S for gap in gaps)
    if len(found) < most:  # nothing that would have fitted was passed over
        assert all(min(abs(at - other) for other in found) < APART_S for at in times if at not in found)


def test_boxes_are_those_of_the_frame_an_envelope_arose_from(envelope: Envelope) -> None:
    moved = [{"what": "person", "box": [0.1, 0.1, 0.2, 0.2]}]
    found = sights(
        [
            envelope(1, ended_at_unix=NOON + 5),
            envelope(2, phase="update", ended_at_unix=NOON + 6),
            envelope(3, phase="update", ended_at_unix=NOON + 9, boxes=moved),
            envelope(4, phase="end", ended_at_unix=NOON + 9, boxes=moved),
        ]
    )
    assert [(sight.at - NOON, sight.boxes) for sight in found] == [
        (5.0, (PERSON,)), (9.0, (("person", (0.1, 0.1, 0.2, 0.2)),)),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "box",
    [None, [], [1, 2, 3], [0.5, 0.5, 0.4, 0.9], [float("nan"), 0, 1, 1], ["a", 0, 1, 1], [2, 2, 3, 3]],
    ids=["none", "empty", "three", "inside out", "no number", "text", "outside"],
)
def test_a_box_that_is_none_is_passed_over(box: object, envelope: Envelope) -> None:
    assert sights([envelope(boxes=[{"what": "person", "box": box}, "nonsense"])]) == []


def test_a_box_beyond_the_picture_is_cut(envelope: Envelope) -> None:
    (sight,) = sights([envelope(boxes=[{"what": "phone", "box": [-0.2, 0.5, 0.5, 1.5]}])])
    assert sight.boxes == (("phone", (0.0, 0.5, 0.5, 1.0)),)


class Hub:
    """A store that fills by short words."""

    def __init__(self, store: Store, folder: Path, envelope: Envelope) -> None:
        self.store, self.folder = store, folder
        self._envelope = envelope
        self._seq = 0

    def incident(
        self, name: str, at: float = NOON, *, verdict: str | None = "true", clip: bool = True, **changes: Any
    ) -> None:
        self._seq += 1
        self.store.add_alerts([self._envelope(self._seq, incident=name, started_at_unix=at, **changes)], at)
        if clip:
            self.store.add_clip(replace(clip_of(at, incident=name), site=changes.get("site", "shanghai")))
        if verdict:
            self.store.verdicts.add(name, "guard", verdict, "", at)

    def lessons(self, per_incident: int = 12, **wanted: Any) -> tuple[list[str], Counter[str]]:
        found, left_out = self.taught(per_incident, **wanted)
        return [lesson.name for lesson in found], left_out

    def taught(self, per_incident: int = 12, **wanted: Any) -> tuple[list[Lesson], Counter[str]]:
        """What it teaches, whole."""
        return lessons(self.store, self.folder, Wanted(**wanted), timezone="Asia/Shanghai", per_incident=per_incident)


@pytest.fixture
def hub(store: Store, tmp_path: Path, envelope: Envelope) -> Hub:
    return Hub(store, tmp_path, envelope)


def test_every_incident_is_used_or_left_out_for_a_reason(hub: Hub) -> None:
    hub.incident("second", NOON + 60, verdict="false")
    hub.incident("first", NOON)
    hub.incident("third", NOON + 120, verdict="authorised")
    hub.incident("open", verdict=None)
    hub.incident("unclear", verdict="unclear")
    hub.incident("patch", kind="orientation_pattern", acts=[])
    hub.incident("scan", acts=[act(1, 2) | {"kind": "scan"}])
    hub.incident("no clip", clip=False)
    hub.incident("elsewhere", acts=[act(1000, 1001)])
    used, left_out = hub.lessons()
    assert used == ["first", "second", "third"]
    assert left_out == {
        "not judged": 1,
        "judged unclear": 1,
        "without a photo act: the verdict tells of no act": 2,
        "without a clip at the hub": 1,
        "with acts outside of its clip": 1,
    }


def test_sites_and_times_choose_what_counts_at_all(hub: Hub) -> None:
    hub.incident("early", NOON)
    hub.incident("here", NOON + 10)
    hub.incident("late", NOON + 20)
    hub.incident("there", NOON + 12, site="suzhou")
    assert hub.lessons(since=NOON + 10, until=NOON + 20, sites=("shanghai",)) == (["here"], Counter())
    assert hub.lessons(since=NOON + 10, until=NOON + 20) == (["here", "there"], Counter())


def test_verdicts_that_are_not_asked_for_are_left_out(hub: Hub) -> None:
    hub.incident("a")
    hub.incident("b", verdict="false")
    assert hub.lessons(verdicts=("false",)) == (["b"], {"of a verdict not asked for": 1})


def test_a_verdict_that_was_withdrawn_counts_no_more(hub: Hub) -> None:
    hub.incident("a")
    hub.store.verdicts.add("a", "guard", "false", "scan", NOON)
    assert hub.taught(1)[0][0].claim == Claim("scan")
    hub.store.verdicts.withdraw("a", "guard", NOON)
    assert hub.taught(1)[0][0].claim == Claim("photo")


def test_more_incidents_than_a_page_of_the_feed_are_all_found(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("detector.hub.footage.training_set._PAGE", 2)
    for n in range(5):
        hub.incident(f"i{n}", NOON + n)
    assert hub.lessons()[0] == ["i0", "i1", "i2", "i3", "i4"]


def test_a_day_of_one_camera_stays_in_one_split(hub: Hub) -> None:
    midnight = NOON - 12 * 3600
    for n in range(24):
        hub.incident(f"i{n}", midnight + 3599.9 * n)
    hub.incident("next", midnight + 86400)
    found = {lesson.name: lesson.split for lesson in hub.taught()[0]}
    assert len({found[f"i{n}"] for n in range(24)}) == 1


def test_splits_have_their_shares_and_never_change() -> None:
    days = [NOON + 86400 * n for n in range(3000)]
    found = [split_of("shanghai", "box1", "cam3", day, SHANGHAI) for day in days]
    shares = {split: round(count / 3000, 1) for split, count in Counter(found).items()}
    assert shares == {"train": 0.8, "val": 0.1, "test": 0.1}
    # Written down: a model once judged on these days must not be trained on them after an update.
    assert "".join(split[1] for split in found[:30]) == "rrrrrrrrrrarrrrerrerrrrrrerrrr"
    assert [split_of("shanghai", "box1", "cam4", day, SHANGHAI) for day in days[:30]] != found[:30]


def test_a_clip_is_used_only_as_it_was_signed(tmp_path: Path) -> None:
    clip = replace(clip_of(), sha256=hashlib.sha256(b"clip").hexdigest())
    file = tmp_path / "clips" / clip.file
    with pytest.raises(SourceUnavailable, match="the clip is missing"):
        clip_file(tmp_path / "clips", clip)
    file.parent.mkdir(parents=True)
    file.write_bytes(b"clip")
    assert clip_file(tmp_path / "clips", clip) == file.resolve()
    file.write_bytes(b"clop")
    with pytest.raises(SourceUnavailable, match="the checksum differs"):
        clip_file(tmp_path / "clips", clip)
    outside = replace(clip, file="../other.mp4")
    (tmp_path / "other.mp4").write_bytes(b"clip")
    with pytest.raises(SourceUnavailable, match="the clip is missing"):
        clip_file(tmp_path / "clips", outside)


class Trial:
    """A walk test in a store, with its film."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.tests = WalkTests(hub.store.database, Audit(hub.store.database))

    def walk(
        self, at: float = NOON, *, looks: list[tuple[float, list[str]]] | None = None, camera: str = "cam3"
    ) -> str:
        """One that is over; its film is here if there are looks: seconds, and what was seen then."""
        film = self.tests.begin("shanghai", "box1", "cam3", "owner", at)
        assert film is not None
        self.tests.end("shanghai", "box1", "cam3", "owner", at + 60, 4)
        if looks is not None:
            seen = [
                {"t": t, "boxes": [[what, None, 0.1, 0.1, 0.2, 0.5, 0.9] for what in things]} for t, things in looks
            ]
            content = make_side(film, seconds=60.0, started_at_unix=at, looks=seen)
            name = hashlib.sha256(content).hexdigest()
            (self.hub.folder / name).write_bytes(content)
            clip = replace(clip_of(at, incident=film), camera=camera)
            self.hub.store.add_clip(clip)
            Sides(self.hub.store.database).add(replace(clip, file=name, sha256=name, size=len(content)))
        return film


def test_a_walk_test_that_was_missed_teaches_by_hand_alone(hub: Hub) -> None:
    film = Trial(hub).walk(looks=[(0.2 * n, ["person"]) for n in range(40)])
    (lesson,), left_out = hub.taught(per_incident=5)
    assert (lesson.name, lesson.why, lesson.claim, not left_out) == (film, WALK_TEST, Claim(), True)
    assert len(lesson.moments) == 5 and not any(moment.alone or moment.sight for moment in lesson.moments)
    assert all(NOON <= moment.at <= NOON + 8 for moment in lesson.moments)


def test_half_of_its_pictures_show_a_phone_where_one_was_seen(hub: Hub) -> None:
    phone_at = {3.0, 20.0, 40.0}
    looks = [(t, ["person", "phone"] if t in phone_at else ["person"]) for t in map(float, range(59))]
    Trial(hub).walk(looks=[*looks, (59.0, ["phone"])])
    (lesson,), _ = hub.taught(per_incident=6)
    times = [round(moment.at - NOON, 3) for moment in lesson.moments]
    assert len(times) == 6 and phone_at <= set(times) and 59.0 not in times


def test_a_walk_test_that_came_as_an_alert_is_taught_by_its_verdict(hub: Hub) -> None:
    trial = Trial(hub)
    trial.walk(looks=[(1.0, ["person"])])
    hub.incident("told", NOON + 10, severity="warning")
    (test,) = trial.tests.of("shanghai", "box1", "cam3", NOON + 1000)
    assert test.found == "alert"
    assert hub.lessons()[0] == ["told"]


@pytest.mark.parametrize(
    ("looks", "camera", "reason"),
    [
        (None, "cam3", "walk tests without a film at the hub"),
        ([(1.0, ["person"])], "cam4", "walk tests without a film at the hub"),
        ([(1.0, ["parcel"])], "cam3", "walk tests in which nobody was seen"),
        ([], "cam3", "walk tests in which nobody was seen"),
    ],
    ids=["no film", "another camera's", "nobody in it", "no look"],
)
def test_a_walk_test_without_anybody_to_see_is_left_out_for_a_reason(
    hub: Hub, looks: list[tuple[float, list[str]]] | None, camera: str, reason: str
) -> None:
    Trial(hub).walk(looks=looks, camera=camera)
    assert hub.taught() == ([], Counter([reason]))


def test_walk_tests_come_where_and_when_they_are_wanted(hub: Hub) -> None:
    trial = Trial(hub)
    films = [trial.walk(NOON + 1000 * n, looks=[(1.0, ["person"])]) for n in range(3)]
    assert hub.lessons()[0] == films
    assert hub.lessons(since=NOON + 1000, until=NOON + 2000)[0] == [films[1]]
    assert hub.lessons(sites=("suzhou",))[0] == hub.lessons(verdicts=("true",))[0] == []


def test_a_film_whose_side_file_was_changed_teaches_nothing(hub: Hub) -> None:
    Trial(hub).walk(looks=[(1.0, ["person"])])
    (side,) = [path for path in hub.folder.iterdir() if len(path.name) == 64]
    side.write_bytes(make_side())
    assert hub.taught() == ([], Counter(["walk tests in which nobody was seen"]))
