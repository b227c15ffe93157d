"""Which frames are passed over: what no person makes counts as usual, and the smallest person doesn't."""

from __future__ import annotations

import math
from collections.abc import Callable

import cv2
import numpy as np
import pytest

from detector.inference.gate import CALLER_EVERY_S, CALLER_S, FIRST_S, HOLD_S, KEEP_ALIVE_S, PEOPLE_S, MotionGate

FPS = 5
SIDES = (180, 320)
PERSON_PLACES = 3  # wide in a sample: 12 pixels of 1280
STRIPES = np.random.default_rng(3).integers(40, 200, 600).repeat(9)
Draw = Callable[[np.ndarray, float], None]

_noise = np.random.default_rng(1)
PLACE = cv2.resize(_noise.integers(40, 200, (12, 20), np.uint8), SIDES[::-1], interpolation=cv2.INTER_CUBIC)


def nothing(_: np.ndarray, __: float) -> None:
    """Nobody comes."""


def samples(seconds: float, draw: Draw = nothing, *, grain: float = 2.5, place: np.ndarray = PLACE) -> list[np.ndarray]:
    """What a camera shows of a place, with a sensor's noise over it."""
    noise = np.random.default_rng(7)
    field = noise.normal(0, grain, (SIDES[0] + 60, SIDES[1] + 60)).astype(np.float32)
    shown = []
    for n in range(round(seconds * FPS)):
        picture = place.astype(np.float32)
        draw(picture, n / FPS)
        y, x = noise.integers(0, 60, 2)
        picture += field[y : y + SIDES[0], x : x + SIDES[1]]
        shown.append(np.clip(picture, 0, 255).astype(np.uint8))
    return shown


def opened(shown: list[np.ndarray], gate: MotionGate | None = None) -> np.ndarray:
    """Times at which the gate opens, seconds, once it knows the place."""
    gate = gate or MotionGate()
    times = [n / FPS for n, sample in enumerate(shown) if gate.opens(sample, n / FPS)]
    return np.array([at for at in times if at > FIRST_S + HOLD_S + 0.1])


def walker(places_a_second: float, *, since: float, until: float, contrast: float = 40.0, wide: int = 3) -> Draw:
    """A person `wide` places wide goes across, in steps of a quarter of a place."""

    def draw(picture: np.ndarray, at: float) -> None:
        if since <= at < until:
            x, y, tall = 100 + places_a_second * (at - since), 70, 3 * wide
            figure = cv2.resize(np.ones((1, 1), np.float32), (4 * wide, tall))
            room = np.zeros((tall, 4 * (wide + 1)), np.float32)
            step = round(4 * (x - int(x)))
            room[:, step : step + 4 * wide] = figure
            share = room.reshape(tall, wide + 1, 4).mean(2)
            part = picture[y : y + tall, int(x) : int(x) + wide + 1]
            part += share * contrast

    return draw


def both(*draws: Draw) -> Draw:
    def draw(picture: np.ndarray, at: float) -> None:
        for one in draws:
            one(picture, at)

    return draw


def lamp(picture: np.ndarray, at: float) -> None:
    """Part of the place flickers, not in step with the frames."""
    picture[20:70, 220:300] += 25 * np.sign(np.sin(2 * np.pi * 1.3 * at))


def belt(picture: np.ndarray, at: float) -> None:
    """A belt that runs past with what lies on it."""
    picture[140:165] = STRIPES[round(37 * at) :][: SIDES[1]]


def pumping(picture: np.ndarray, at: float) -> None:
    """A codec's key frame every two seconds: detail comes back that was smoothed away between."""
    if round(at * FPS) % 10 == 0:
        picture += cv2.resize(np.random.default_rng(9).normal(0, 3, (45, 80)).astype(np.float32), SIDES[::-1])


def test_the_first_seconds_are_looked_at_whatever_they_show() -> None:
    gate = MotionGate()
    assert all(gate.opens(sample, n / FPS) for n, sample in enumerate(samples(FIRST_S)))


@pytest.mark.parametrize(
    ("draw", "grain"),
    [(nothing, 0.0), (nothing, 1.0), (nothing, 2.5), (nothing, 8.0), (pumping, 2.5)],
    ids=["no noise", "little noise", "noise of a sensor", "grain of infra-red", "flicker of a codec"],
)
def test_what_nobody_makes_passes_but_for_a_look_now_and_then(draw: Draw, grain: float) -> None:
    times = opened(samples(60, draw, grain=grain))
    assert len(times) <= 57 / KEEP_ALIVE_S + 3
    assert np.diff(times).max() < KEEP_ALIVE_S + 1.5 / FPS


@pytest.mark.parametrize("draw", [lamp, belt], ids=["a lamp that flickers", "a belt that runs"])
def test_what_never_stops_becomes_usual_where_it_is_and_nowhere_else(draw: Draw) -> None:
    times = opened(samples(90, both(draw, walker(6, since=80, until=85))))
    usual = times[(times > 50) & (times < 80)]
    assert len(usual) <= 30 / KEEP_ALIVE_S + 2
    assert len(times[(times >= 80) & (times < 85)]) >= 4 * FPS


@pytest.mark.parametrize(
    ("speed", "contrast"),
    [(0.5, 40.0), (0.5, -25.0), (1.25, 40.0), (1.25, -15.0), (6.0, 40.0), (6.0, 15.0), (18.0, 40.0), (18.0, -15.0)],
    ids=lambda value: f"{value:g}",
)
def test_the_smallest_person_who_moves_is_never_missed_for_more_than_a_second(speed: float, contrast: float) -> None:
    until = 20 + min(10.0, 200 / speed)
    times = opened(samples(32, walker(speed, since=20, until=until, contrast=contrast, wide=PERSON_PLACES)))
    during = [20.0, *times[(times >= 20) & (times <= until)], until]
    assert np.diff(during).max() <= 1.0 + 1e-6


def test_somebody_near_is_seen_under_the_grain_of_infra_red() -> None:
    times = opened(samples(30, walker(10, since=20, until=25, contrast=60, wide=12), grain=8.0))
    assert len(times[(times >= 20) & (times < 25)]) >= 4.5 * FPS


def test_a_hand_that_comes_in_and_goes_is_seen() -> None:
    def hand(picture: np.ndarray, at: float) -> None:
        if 20 <= at < 21:
            picture[120:126, 200:209] += 30

    times = opened(samples(25, hand))
    assert times[(times >= 20) & (times < 21)].size >= 5


def test_a_switched_light_is_looked_at_and_forgotten() -> None:
    def light(picture: np.ndarray, at: float) -> None:
        if at >= 20:
            picture *= 0.5

    times = opened(samples(60, both(light, walker(6, since=24, until=29))))
    assert any((times >= 20) & (times < 20.5))
    assert len(times[(times >= 21) & (times < 24)]) <= 2
    assert len(times[(times >= 24) & (times < 29)]) >= 4 * FPS


def dusk(picture: np.ndarray, at: float) -> None:
    """The sensor's gain goes up."""
    if at >= 20:
        picture += np.random.default_rng(round(at * FPS)).normal(0, 12, SIDES)


def wide_belt(picture: np.ndarray, at: float) -> None:
    """A belt across a third of the picture is started."""
    if at >= 20:
        picture[110:170] = STRIPES[round(37 * at) :][: SIDES[1]]


@pytest.mark.parametrize("restless", [dusk, wide_belt])
def test_what_stirs_much_of_the_picture_for_minutes_becomes_usual(restless: Draw) -> None:
    times = opened(samples(135, both(restless, walker(6, since=125, until=130))))
    assert np.diff(times[(times >= 20) & (times < 80)]).max() < 1.5 / FPS
    assert len(times[(times >= 100) & (times < 125)]) <= 25 / KEEP_ALIVE_S + 2
    assert len(times[(times >= 125) & (times < 130)]) >= 4 * FPS


def test_a_lamp_that_lights_up_in_jerks_hides_nobody_afterwards() -> None:
    def jerks(picture: np.ndarray, at: float) -> None:
        if 20 <= at < 50 and round(at * FPS) % 2:
            picture *= 1.6

    times = opened(samples(65, both(jerks, walker(6, since=53, until=63, contrast=15))))
    assert len(times[(times >= 53) & (times < 63)]) >= 9 * FPS


def test_a_camera_that_turns_is_looked_at_all_the_while_and_knows_the_new_view() -> None:
    wide = cv2.resize(PLACE, (640, 180))

    def turning(picture: np.ndarray, at: float) -> None:
        x = round(20 * min(max(at - 20, 0), 5))
        picture[:] = wide[:, x : x + 320]

    times = opened(samples(60, both(turning, walker(6, since=40, until=45))))
    assert len(times[(times >= 20) & (times < 25)]) >= 4.5 * FPS
    assert len(times[(times >= 35) & (times < 40)]) <= 2
    assert len(times[(times >= 40) & (times < 45)]) >= 4 * FPS


def test_a_camera_that_goes_to_and_fro_for_minutes_hides_nobody() -> None:
    coarse = np.random.default_rng(4).integers(80, 140, (30, 160), np.uint8)
    wide = cv2.resize(coarse, (960, 180), interpolation=cv2.INTER_CUBIC)

    def swaying(picture: np.ndarray, at: float) -> None:
        x = round(320 + 300 * math.sin(2 * math.pi * max(0.0, at - 20) / 12))
        picture[:] = wide[:, x : x + 320]

    times = opened(samples(110, both(swaying, walker(6, since=95, until=105))))
    assert len(times[(times >= 95) & (times < 105)]) == 10 * FPS


def test_what_is_laid_down_on_a_belts_way_is_looked_at_within_seconds() -> None:
    def laid(picture: np.ndarray, at: float) -> None:
        belt(picture, at)
        if at >= 60:
            picture[142:162, 150:175] = 220

    times = opened(samples(70, laid))
    assert any((times >= 60) & (times < 60 + KEEP_ALIVE_S + 1.5 / FPS))


def test_while_somebody_is_seen_every_frame_is_looked_at_and_then_fewer() -> None:
    gate, still = MotionGate(), samples(90)
    times = []
    for n, sample in enumerate(still):
        if gate.opens(sample, n / FPS):
            times.append(n / FPS)
            if 10 <= n / FPS <= 40:
                gate.keep_open(n / FPS)  # a person stands still
    times = np.array(times)
    standing = times[(times > 15.5) & (times <= 40)]
    assert len(standing) >= 24 * FPS
    after = times[(times > 40 + PEOPLE_S) & (times <= 40 + CALLER_S)]
    assert len(after) == pytest.approx((CALLER_S - PEOPLE_S) / CALLER_EVERY_S, abs=2)
    assert len(times[times > 41 + CALLER_S]) <= (90 - 41 - CALLER_S) / KEEP_ALIVE_S + 1


def test_what_people_do_never_becomes_usual() -> None:
    work = walker(9, since=10, until=20)

    def again(picture: np.ndarray, at: float) -> None:
        work(picture, 10 + at % 10)

    gate, shown = MotionGate(), samples(70, again)
    for n, sample in enumerate(shown[: 40 * FPS]):
        gate.opens(sample, n / FPS)
        gate.keep_open(n / FPS)
    looks = [gate.opens(sample, 40 + n / FPS) for n, sample in enumerate(shown[40 * FPS :])]
    alone = looks[round((PEOPLE_S + HOLD_S) * FPS) :]
    assert sum(alone) >= 0.9 * len(alone)
