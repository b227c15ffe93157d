"""At rest key frames are decoded alone; whoever wants all again gets it at once, and as if there had been no rest."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from detector.sources.recording import Recording
from detector.sources.video import LONGEST_S, Video
from tests.sources.footage import make_video

FPS, KEY_EVERY = 10, 20


def hall(number: int) -> np.ndarray:
    """Each picture needs the one before it: somebody walks across, and there is grain."""
    grain = np.random.default_rng(number).integers(-3, 4, (240, 320, 3))
    image = np.clip(90 + 40 * np.sin(np.arange(320) / 9)[None, :, None] + grain, 0, 255).astype(np.uint8)
    left = 4 * number % 280
    image[80:200, left : left + 40] = 220
    return image


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("film") / "hall.mp4"
    return make_video(path, seconds=12, fps=FPS, key_every=KEY_EVERY, draw=hall)


def pictures(path: Path, rest: range) -> dict[int, np.ndarray]:
    """Pictures by number, read with the order to rest in force as the packets of these numbers come."""
    found = {}
    with av.open(str(path)) as container:
        video = Video(container, "hall", evidence=False)
        video.resting = 0 in rest
        for number, step in enumerate(video.steps()):
            video.resting = number + 1 in rest
            for at, picture in step.pictures:
                assert at is not None
                found[round(at * FPS)] = picture.to_ndarray(format="gray")
        assert video.decode_errors == 0
    return found


KEYS = list(range(0, 120, KEY_EVERY))


@pytest.mark.parametrize(
    ("rest", "shown"),
    [
        (range(120), KEYS),
        (range(70, 120), [*range(80), 80, 100]),  # from the next key frame on
        (range(33), [0, 20, *range(33, 120)]),
        (range(39), [0, 20, *range(39, 120)]),
        (range(40), [0, 20, *range(40, 120)]),
        (range(41), [0, 20, 40, *range(41, 120)]),
        (range(59), [0, 20, 40, *range(59, 120)]),
    ],
)
def test_pictures_at_rest_and_after_it_are_those_of_the_whole(film: Path, rest: range, shown: list[int]) -> None:
    whole, found = pictures(film, range(0)), pictures(film, rest)
    assert list(found) == shown
    assert all(np.array_equal(found[number], whole[number]) for number in found)


def test_a_stream_whose_key_frames_are_far_apart_is_decoded_whole(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mp4", seconds=24, fps=FPS, key_every=8 * FPS, draw=hall)
    found = pictures(path, range(240))
    first = round(LONGEST_S * FPS) + 1  # it is known no sooner
    assert list(found) == [0, *range(first, 240)]


def test_a_stream_that_is_not_decoded_is_not_decoded_at_rest_either(film: Path) -> None:
    with av.open(str(film)) as container:
        video = Video(container, "hall", evidence=False)
        video.decoding, video.resting = False, True
        assert not any(step.pictures for step in video.steps())


def test_a_film_at_rest_lasts_as_long(film: Path) -> None:
    recording = Recording(film, camera="dock", start_at=1000.0, fps=5)
    recording.rest(True)
    assert [round(frame.captured_at - 1000.0, 3) for frame in recording] == [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]
    assert recording.end_s == pytest.approx(12.0, abs=0.01)
    recording.close()
