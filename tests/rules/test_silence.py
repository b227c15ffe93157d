"""When a camera has fallen silent."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest

from detector.rules.silence import Silence


def changes(heard: Callable[[float], bool], until: float, every: float = 1.0) -> list[tuple[float, str]]:
    """What is said over time, of a camera that brings pictures while `heard`."""
    silence, last = Silence(120.0, 0.0), None
    said: list[tuple[float, str]] = []
    for n in range(round(until / every)):
        at = n * every
        last = at if heard(at) else last
        if change := silence.step(last, at):
            said.append((at, change))
    return said


def away(spans: Iterable[tuple[float, float]]) -> Callable[[float], bool]:
    gaps = list(spans)
    return lambda at: not any(a < at < b for a, b in gaps)


@pytest.mark.parametrize(
    ("gaps", "said"),
    [
        pytest.param([], [], id="always there"),
        pytest.param([(k * 60, k * 60 + 45) for k in range(50)], [], id="ordinary reconnections"),
        pytest.param([(100, 190)], [], id="a restart"),
        pytest.param([(100, 1000)], [(220, "begins"), (1120, "ends")], id="unplugged for a quarter of an hour"),
        pytest.param([(0, 9999)], [(120, "begins")], id="after one picture, never again"),
        pytest.param(
            [(100, 1000), (1300, 1500)],
            [(220, "begins"), (1120, "ends"), (1420, "begins"), (1740, "ends")],
            id="unplugged again soon",
        ),
        pytest.param([(100, 300), (310, 400), (420, 600)], [(220, "begins"), (720, "ends")], id="comes and goes"),
    ],
)
def test_silence_begins_late_and_ends_when_pictures_are_steady(
    gaps: list[tuple[float, float]], said: list[tuple[float, str]]
) -> None:
    assert changes(away(gaps), 3000) == said


def test_a_camera_that_never_came_is_silent() -> None:
    assert changes(lambda at: False, 300) == [(120, "begins")]


def test_a_camera_that_comes_and_goes_all_night_is_few_incidents() -> None:
    said = changes(lambda at: at % 300 < 150, 12 * 3600)
    assert 1 <= sum(what == "begins" for _, what in said) <= 4


def test_a_new_connection_without_a_picture_yet_changes_nothing() -> None:
    silence = Silence(120.0, 0.0)
    silence.step(50.0, 60.0)
    assert silence.step(None, 100.0) is None
    assert silence.step(None, 171.0) == "begins"
    assert silence.since == 50.0
