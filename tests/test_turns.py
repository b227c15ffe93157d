"""Turns: whatever the mix of cameras, alike ones get alike shares, urgent ones more, and none waits for ever."""

from __future__ import annotations

import heapq
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.clock import SystemClock
from detector.config import Analysis, Rest
from detector.edge.load import Load
from detector.edge.relief import HOLD_S, REST_AFTER_S, Relief
from detector.edge.turns import Asked, Turns, Urgency, urgency_of
from detector.inference.gate import KEEP_ALIVE_S, MotionGate
from detector.inference.looker import SceneLooker
from detector.media.pictures import Bgr
from detector.values import Detections, Frame, Sight
from tests.bench import density
from tests.builders import detections, person, scene
from tests.parts_mosquitto import soon
from tests.sources.footage import make_video

ACT, PEOPLE, NOBODY = Urgency.ACT, Urgency.PEOPLE, Urgency.NOBODY


class Box:
    """Cameras of a box that all want looks, in a time of its own: a turn takes `look_s` seconds.

    Each asks as soon as there is a picture that came after the one it looked at last, `fps` a second.
    """

    def __init__(self, kinds: list[Urgency], at_once: int, look_s: float, fps: float = 5.0) -> None:
        self.now = 0.0
        self.turns = Turns(at_once, now=lambda: self.now)
        self.kinds, self.look_s, self.period_s = kinds, look_s, 1 / fps
        self.looks = [0] * len(kinds)
        self.longest_s = [0.0] * len(kinds)
        self.busy = self.busiest = 0
        self._asked: dict[int, Asked] = {}
        self._begun: set[Asked] = set()
        self._picture_at: dict[int, float] = {}
        self._events = [(n * 1e-3 % self.period_s, n, "picture") for n in range(len(kinds))]
        heapq.heapify(self._events)

    def run(self, seconds: float) -> Box:
        while self._events and self._events[0][0] <= seconds:
            self.now, camera, what = heapq.heappop(self._events)
            if what == "done":
                self.busy -= 1
                self.looks[camera] += 1
                self.turns.give_back(self._asked.pop(camera))
                due = max(self.now, self._picture_at[camera] + self.period_s)
                heapq.heappush(self._events, (due, camera, "picture"))
            else:
                self._picture_at[camera] = self.now
                self._asked[camera] = self.turns.ask(self.kinds[camera])
            self._begin()
        return self

    def _begin(self) -> None:
        for camera, asked in self._asked.items():
            if asked.granted.is_set() and asked not in self._begun:
                self._begun.add(asked)
                self.busy += 1
                self.busiest = max(self.busiest, self.busy)
                self.longest_s[camera] = max(self.longest_s[camera], asked.waited_s)
                heapq.heappush(self._events, (self.now + self.look_s, camera, "done"))

    def rates(self, kind: Urgency, seconds: float) -> list[float]:
        return [n / seconds for n, its in zip(self.looks, self.kinds, strict=True) if its is kind]


boxes = st.lists(st.sampled_from(list(Urgency)), min_size=1, max_size=24)


@given(kinds=boxes, at_once=st.integers(1, 4), look_s=st.floats(0.01, 0.4))
@settings(max_examples=40, deadline=None)
def test_no_camera_starves_and_alike_ones_get_alike_shares(kinds: list[Urgency], at_once: int, look_s: float) -> None:
    box = Box(kinds, at_once, look_s).run(60)
    assert box.busiest <= at_once
    # While one waits, each other camera comes before it a few times, the more urgent ones more often: 15 times as
    # patient, it lets another go before it at 1/15 of its own wait, then at twice that, and so on.
    for kind, longest_s in zip(kinds, box.longest_s, strict=True):
        before = sum(2 + kind.value / other.value for other in kinds)
        assert longest_s <= look_s * (1 + before)
    for kind in Urgency:
        looks = [n for n, its in zip(box.looks, kinds, strict=True) if its is kind]
        assert max(looks, default=0) - min(looks, default=0) <= 2 + 0.05 * max(looks, default=0)


@given(kinds=boxes, at_once=st.integers(1, 4), look_s=st.floats(0.01, 0.4))
@settings(max_examples=40, deadline=None)
def test_no_core_rests_while_somebody_waits(kinds: list[Urgency], at_once: int, look_s: float) -> None:
    box = Box(kinds, at_once, look_s).run(60)
    can = min(at_once / look_s, len(kinds) * min(5.0, 1 / look_s))  # looks a second: what the box can, and is asked for
    assert sum(box.looks) / 60 >= 0.7 * can


def test_under_threefold_overload_cameras_with_people_keep_their_rate_and_the_others_share_the_rest() -> None:
    kinds = [ACT] + 3 * [PEOPLE] + 20 * [NOBODY]
    box = Box(kinds, at_once=2, look_s=0.05).run(60)  # 40 looks a second for 120
    assert min(box.rates(ACT, 60) + box.rates(PEOPLE, 60)) >= 4.5
    others = box.rates(NOBODY, 60)
    assert max(others) - min(others) < 0.1
    assert sum(others) == pytest.approx(40 - 4 * 5, rel=0.1)


def test_with_people_everywhere_the_one_who_photographs_comes_first() -> None:
    box = Box([ACT] + 23 * [PEOPLE], at_once=2, look_s=0.05).run(60)
    assert box.rates(ACT, 60)[0] > 2 * max(box.rates(PEOPLE, 60))


def test_a_turn_that_is_never_given_back_stops_the_others_for_a_while_only() -> None:
    now = [0.0]
    turns = Turns(1, now=lambda: now[0], longest_s=5.0)
    stuck, waiting = turns.ask(ACT), turns.ask(NOBODY)
    now[0] = 4.9
    assert not turns.ask(PEOPLE).granted.is_set()
    assert not waiting.granted.is_set()
    now[0] = 5.1
    later = turns.ask(NOBODY)
    assert [one.granted.is_set() for one in (stuck, waiting, later)] == [True, True, False]
    turns.give_back(stuck)  # its turn was another's long ago
    assert not later.granted.is_set()


def test_who_wishes_no_more_leaves_its_place_to_others() -> None:
    turns = Turns(1)
    first, second, third = (turns.ask(PEOPLE) for _ in range(3))
    turns.give_back(second)
    turns.give_back(first)
    assert third.granted.is_set()


def test_no_wake_up_is_lost_among_many_threads() -> None:
    turns, stop, done = Turns(2), threading.Event(), []

    def camera(kind: Urgency) -> None:
        for _ in range(40):
            asked = turns.take(kind, stop)
            assert asked is not None
            time.sleep(0.0001)
            turns.give_back(asked)
        done.append(kind)

    threads = [threading.Thread(target=camera, args=(kind,), daemon=True) for kind in 6 * [NOBODY] + 2 * [ACT]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(done) == 8


def test_told_to_stop_nobody_waits_on() -> None:
    turns, stop = Turns(1), threading.Event()
    had = turns.take(ACT, stop)
    ended: list[Any] = []
    threads = [threading.Thread(target=lambda: ended.append(turns.take(ACT, stop)), daemon=True) for _ in range(5)]
    for thread in threads:
        thread.start()
    stop.set()
    assert soon(lambda: ended == 5 * [None])
    assert had is not None
    turns.give_back(had)
    assert turns.ask(NOBODY).granted.is_set()  # those who left hold nothing


def test_how_urgent_a_camera_is_shows_in_what_was_seen_there() -> None:
    someone = scene(0.0, [person(1, (20, 20, 60, 100))])
    assert urgency_of(None) is NOBODY
    assert urgency_of(Sight(scene(0.0, []), {}, False)) is NOBODY
    assert urgency_of(Sight(someone, {}, False)) is PEOPLE
    assert urgency_of(Sight(someone, {1: 0.2}, False)) is PEOPLE
    assert urgency_of(Sight(someone, {1: 0.8}, False)) is ACT


# Real cameras


class Slow:
    """Takes its time, and sees somebody walk before every camera whose name begins so."""

    def detect(self, frame: Frame, people: object = (), turns: object = None) -> Detections:
        time.sleep(0.1)
        at = 20 + frame.captured_at % 20
        rows: Any = [("person", (at, 10.0, at + 20, 60.0), 0.9, {})] if frame.camera.startswith("walked") else []
        return detections(rows)


def test_of_cameras_played_in_real_time_those_with_people_are_looked_at_more_and_the_others_alike(
    tmp_path: Path,
) -> None:
    """Ten looks a second can be had, thirty are wanted; how many there are on a busy machine is no matter."""
    video = make_video(tmp_path / "a.mp4", seconds=4, fps=10, size=(128, 96))  # no two pictures of it are alike
    kinds = [density.Kind("walked", video, 1), density.Kind("moving", video, 5)]
    told = density.run(kinds, Slow(), Analysis(), 4.0, warm_up_s=1.5, clock=SystemClock())
    least, mean, most = told["moving"]["looks"]
    assert least > 0
    assert most - least <= 2 / 4.0 + 0.3 * mean  # two looks of one camera, in the 4 s
    assert told["walked"]["looks"][0] > 1.3 * most
    assert told["moving"]["dropped"] > 0
    assert told["moving"]["wait_s"] > 1.3 * told["walked"]["wait_s"]


# What a camera gives up while it waits


class Counting:
    """Sees nothing, and remembers when it looked."""

    def __init__(self) -> None:
        self.at: list[float] = []

    def detect(self, frame: Frame, people: object = (), turns: object = None) -> Detections:
        self.at.append(frame.captured_at)
        return Detections.empty()


def picture(at: float, bright: bool = False) -> Frame:
    image = np.full((90, 160, 3), 40, np.uint8)
    if bright:
        image[20:60, 20:60] = 200
    return Frame("cam", round(at * 5), at, Bgr(image))


def test_a_look_that_waits_for_its_turn_is_owed_though_what_moved_has_come_to_rest() -> None:
    detector = Counting()
    looker = SceneLooker(detector, MotionGate)
    still = [picture(100 + n / 5) for n in range(20)]
    assert looker.look(still[0]) is not None
    while looker.glance(frame := still.pop(0)):  # the gate holds for some frames
        looker.look(frame)
    moved = picture(110.0, bright=True)
    assert looker.glance(moved)
    for late in (picture(112.0, bright=True), picture(113.0, bright=True)):  # it still waits; nothing moves any more
        assert looker.glance(late)
    assert looker.look(late) is not None
    assert detector.at[-1] == 113.0
    assert not looker.glance(picture(113.5, bright=True))
    assert looker.look(picture(113.0 + KEEP_ALIVE_S + 0.1, bright=True)) is not None


# What health tells


def test_what_needs_no_look_counts_as_kept_up_with() -> None:
    rates = Load(0.0).report(10.0, frames_in=250, looked_at=10, passed_over=40, dropped=0)
    assert rates == {
        "fps": 25.0, "due_fps": 5.0, "analysed_fps": 1.0, "passed_over_fps": 4.0, "wait_s": 0.0, "behind": False,
        "sparse": False,
    }  # fmt: skip


def test_a_camera_of_which_much_is_dropped_is_behind() -> None:
    load = Load(0.0)
    load.waited(0.5)
    load.waited(1.5)
    told = load.report(10.0, frames_in=250, looked_at=21, passed_over=0, dropped=29)
    assert (told["behind"], told["wait_s"], told["analysed_fps"], told["due_fps"]) == (True, 1.0, 2.1, 5.0)
    assert not load.report(20.0, frames_in=500, looked_at=70, passed_over=0, dropped=30)["behind"]


@pytest.mark.parametrize(("at", "count"), [(10.0, 3), (0.0, 9)], ids=["counts begin anew", "no time went by"])
def test_no_count_gives_absurd_rates(at: float, count: int) -> None:
    load = Load(0.0)
    load.report(10.0, 100, 100, 100, 100)
    told = load.report(at, count, count, count, count)
    assert all(value >= 0 for value in told.values())
    assert told["analysed_fps"] == 0.0


@pytest.mark.parametrize(
    ("every_s", "rested", "said_after_s"),
    [(2.0, False, 60.0), (1.0, False, None), (2.0, True, None), (1000.0, False, None)],
    ids=["too few", "enough", "few were wanted", "none comes, which is said as such"],
)
def test_a_stream_with_too_few_frames_for_an_act_is_sparse_after_a_while(
    every_s: float, rested: bool, said_after_s: float | None
) -> None:
    load = Load(0.0, least_fps=1 / 1.2)
    said = [
        at
        for at in range(10, 200, 10)
        if load.report(float(at), n := int(at / every_s), n, 0, 0, rested=rested)["sparse"]
    ]
    assert (said[0] if said else None) == said_after_s


def test_a_stream_that_was_sparse_is_so_no_longer_once_enough_frames_come() -> None:
    load = Load(0.0, least_fps=1 / 1.2)
    assert load.report(70.0, 35, 35, 0, 0)["sparse"]
    assert not load.report(80.0, 85, 85, 0, 0)["sparse"]


# Rest


@pytest.mark.parametrize(
    ("rest", "calm_s", "rests"),
    [
        ("never", 3600.0, (False, False, False)),
        ("behind", 3600.0, (False, True, False)),
        ("behind", REST_AFTER_S - 1, (False, False, False)),
        ("always", REST_AFTER_S, (True, True, True)),
        ("always", 0.0, (False, False, False)),
    ],
)
def test_cameras_rest_as_configured_where_nothing_is_going_on(
    rest: Rest, calm_s: float, rests: tuple[bool, bool, bool]
) -> None:
    relief = Relief(rest)
    before = relief.may_rest(calm_s, 100.0)
    relief.note(False, 100.0)
    relief.note(True, 110.0)  # of another camera
    relief.note(False, 120.0)
    assert (before, relief.may_rest(calm_s, 121.0), relief.may_rest(calm_s, 111.0 + HOLD_S)) == rests


def test_what_moves_or_somebody_seen_ends_the_calm() -> None:
    looker = SceneLooker(Counting(), MotionGate)
    for n in range(200):
        looker.look(picture(100 + n / 5))
    assert looker.calm_s > 30
    looker.look(picture(140.0, bright=True))
    assert looker.calm_s == 0
    for n in range(100):  # at rest key frames alone come
        looker.look(picture(142.0 + 2 * n, bright=True))
    assert looker.calm_s > 60


def test_a_looker_without_a_gate_is_never_calm() -> None:
    looker = SceneLooker(Counting())
    for n in range(200):
        looker.look(picture(100 + n / 5))
    assert looker.calm_s == 0
