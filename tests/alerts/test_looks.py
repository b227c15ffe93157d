"""What was seen of late: bounded, void when stages begin anew, and written as a side file of exactly its segment."""

from __future__ import annotations

import hashlib
import itertools
import math
import os
import random
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.alerts import looks
from detector.alerts.looks import LookRing, PackedLook, look_of, write_side
from detector.media.sides import LARGEST, MOST_IN_A_LOOK, read_side
from detector.values import Box, Device, Parcel, Person, Scene, Sight
from tests.builders import parcel, person, phone, scanner, scene

START = 1_800_000_000.0
STANDING = (16.0, 12.0, 32.0, 36.0)


def sight(at: float, *, first: bool = False, people: int = 1, **more: Any) -> Sight:
    """A look at some people, at so many seconds since the start."""
    crowd = [person(n, STANDING) for n in range(1, people + 1)]
    return Sight(scene(START + at, crowd, size=(64, 48), **more), dict.fromkeys(range(1, people + 1), 0.5), first)


def ring_of(*sights: Sight, seconds: float = 60.0, **more: Any) -> LookRing:
    """A ring that has seen these."""
    ring = LookRing(seconds, **more)
    for one in sights:
        ring.append(one)
    return ring


def seconds_of(found: list[PackedLook]) -> list[float]:
    """Their times since the start."""
    return [round(look.at - START, 3) for look in found]


def written(path: Path, found: list[PackedLook], **more: Any) -> dict[str, Any] | None:
    """What a reader makes of the side file of a segment of four seconds from the start."""
    about = {"incident": "i1", "segment": 0, "started_at": START, "duration_s": 4.0, "tracks": [1], **more}
    side = write_side(path, found, **about)
    if side is None:
        return None
    content = path.read_bytes()
    assert (side.path, side.bytes, side.sha256) == (path, len(content), hashlib.sha256(content).hexdigest())
    assert side.bytes <= LARGEST
    with path.open("rb") as file:
        return read_side(file)


# The ring


def test_looks_older_than_the_ring_are_forgotten() -> None:
    ring = ring_of(*(sight(n / 5) for n in range(200)), seconds=10.0)
    assert seconds_of(ring.between(0, math.inf)) == [n / 5 for n in range(149, 200)]


def test_looks_of_a_segment_that_is_being_written_are_held() -> None:
    ring = ring_of(sight(0.0), sight(1.0), seconds=10.0)
    ring.hold_from = START + 1.0
    for n in range(2, 60):
        ring.append(sight(n))
    assert seconds_of(ring.between(0, math.inf)) == list(range(1, 60))
    ring.hold_from = None
    ring.append(sight(60.0))
    assert seconds_of(ring.between(0, math.inf)) == list(range(50, 61))


def test_no_more_memory_is_taken_whatever_is_to_be_held() -> None:
    ring = LookRing(10.0, largest_bytes=20_000)
    ring.hold_from = START
    for n in range(500):
        ring.append(sight(n, people=20))
        assert ring.held[1] <= 20_000
    kept = seconds_of(ring.between(0, math.inf))
    assert (
        kept and kept[-1] == 499 and ring.held == (len(kept), sum(len(one.text) for one in ring.between(0, math.inf)))
    )


def test_one_look_larger_than_the_ring_is_not_kept() -> None:
    assert ring_of(sight(0.0, people=20), largest_bytes=100).held == (0, 0)


@pytest.mark.parametrize("step", [-3600.0, 3600.0, 0.2])
def test_where_stages_begin_anew_all_before_is_void(step: float) -> None:
    """A clock that was set, and a picture of another size: track 1 is somebody else from then on."""
    ring = ring_of(sight(0.0, first=True), sight(0.2), sight(0.2 + step, first=True), sight(0.4 + step))
    assert seconds_of(ring.between(0, math.inf)) == pytest.approx([0.2 + step, 0.4 + step])


# Looks


def test_boxes_are_shares_of_the_picture_and_say_whose() -> None:
    seen = scene(
        START,
        [person(7, (16, 12, 32, 36), score=0.91)],
        [phone((30, 24, 34, 28), 7, score=0.8), scanner((0, 0, 2, 2), None, score=0.4)],
        [parcel(12, (32, 24, 64, 48))],
        labels=[(40, 30, 44, 32)],
        size=(64, 48),
    )
    seen = replace(seen, newcomers=(person(8, (0, 0, 16, 48), score=0.5),), label_scores=(0.6,))
    look = read(Sight(seen, {7: 0.83125}, first=True))
    assert look == {
        "t": 0.0,
        "boxes": [
            ["person", 7, 0.25, 0.25, 0.5, 0.75, 0.91],
            ["person", 8, 0, 0, 0.25, 1, 0.5],
            ["phone", 7, 0.4688, 0.5, 0.5312, 0.5833, 0.8],
            ["scanner", None, 0, 0, 0.0312, 0.0417, 0.4],
            ["parcel", 12, 0.5, 0.5, 1, 1, 0],
            ["label", None, 0.625, 0.625, 0.6875, 0.6667, 0.6],
        ],
        "offender": [1],
        "score": {"7": 0.831},
    }


def read(one: Sight, **more: Any) -> Any:
    """A sight as a reader of the side file meets it."""
    with TemporaryDirectory() as folder:
        fields = written(Path(folder) / "a", [look_of(one)], **more)
    assert fields is not None
    return fields["looks"][0]


def test_what_nobody_believes_anything_of_has_no_score() -> None:
    assert "score" not in read(Sight(scene(START, [person(1, STANDING)]), {}, first=False))


def test_what_is_no_number_or_out_of_the_picture_is_left_out() -> None:
    nan, inf = math.nan, math.inf
    boxes: list[Box] = [
        (nan, 0, 9, 9),
        (0, 0, nan, 9),
        (9, 9, 9, 12),
        (30, 30, 20, 40),
        (-9, -9, -1, -1),
        (99, 0, 120, 9),
    ]
    seen = scene(START, [person(n, box) for n, box in enumerate(boxes)], size=(64, 48))
    assert read(Sight(seen, {1: nan, 2: 1.5, 3: -1.0}, first=False)) == {
        "t": 0, "boxes": [], "offender": [1], "score": {"2": 1, "3": 0},
    }  # fmt: skip
    wide = scene(START, [person(1, (-inf, -5, inf, 60), score=nan)], size=(64, 48))
    assert read(Sight(wide, {}, first=False))["boxes"] == [["person", 1, 0, 0, 1, 1, 0]]


def test_people_come_first_where_there_is_too_much_to_see() -> None:
    crowded = scene(START, [person(1, STANDING)], parcels=[parcel(n, STANDING) for n in range(600)], size=(64, 48))
    boxes = read(Sight(crowded, {}, first=False))["boxes"]
    assert len(boxes) == MOST_IN_A_LOOK and boxes[0][0] == "person"


ANY_BOX = st.tuples(*[st.floats(width=32)] * 4)
ANY_SCORE = st.floats(width=32)
IDS = st.integers(0, 2**53)


@given(
    people=st.lists(st.builds(Person, IDS, ANY_BOX, ANY_SCORE, st.just(0.0), st.just(0.0)), max_size=4),
    devices=st.lists(
        st.builds(Device, st.sampled_from(["phone", "scanner"]), ANY_BOX, ANY_SCORE, st.none() | IDS), max_size=4
    ),
    parcels=st.lists(st.builds(parcel, IDS, ANY_BOX), max_size=4),
    labels=st.lists(st.tuples(ANY_BOX, ANY_SCORE), max_size=4),
    beliefs=st.dictionaries(IDS, ANY_SCORE, max_size=4),
    size=st.tuples(st.integers(1, 2**16), st.integers(1, 2**16)),
    at=st.floats(0, 4),
    tracks=st.lists(IDS, max_size=300),
)
def test_whatever_was_seen_a_reader_takes_it(
    people: list[Person],
    devices: list[Device],
    parcels: list[Parcel],
    labels: list[tuple[Box, float]],
    beliefs: dict[int, float],
    size: tuple[int, int],
    at: float,
    tracks: list[int],
) -> None:
    boxes, scores = tuple(box for box, _ in labels), tuple(score for _, score in labels)
    seen = Scene("cam", START + at, size, tuple(people), tuple(devices), tuple(parcels), boxes, label_scores=scores)
    look = read(Sight(seen, beliefs, first=False), tracks=tracks)
    assert look["t"] == pytest.approx(at, abs=0.001) and look["offender"] == tracks[:256]
    assert look.get("score", {}).keys() == {str(track) for track, belief in beliefs.items() if math.isfinite(belief)}
    whole = [p for p in people if 0 <= p.box[0] < p.box[2] <= size[0] and 0 <= p.box[1] < p.box[3] <= size[1]]
    told = {(n, round(x1, 3)) for what, n, x1, *_ in look["boxes"] if what == "person"}
    assert all(any(n == p.id and abs(x1 - p.box[0] / size[0]) < 0.002 for n, x1 in told) for p in whole)


# Side files


def test_a_side_file_covers_its_segment_and_no_more(tmp_path: Path) -> None:
    ring = ring_of(*(sight(n / 5) for n in range(-10, 40)))
    fields = written(tmp_path / "a", ring.between(0, math.inf))
    assert fields is not None
    assert [look["t"] for look in fields["looks"]] == [n / 5 for n in range(21)]
    assert (fields["started_at_unix"], fields["duration_s"], fields["size"]) == (START, 4.0, [64, 48])


def test_two_segments_share_the_look_at_their_border_and_lose_none(tmp_path: Path) -> None:
    found = ring_of(*(sight(n / 5) for n in range(41))).between(0, math.inf)
    one, two = written(tmp_path / "a", found), written(tmp_path / "b", found, segment=1, started_at=START + 4.0)
    assert one is not None and two is not None
    assert [look["t"] for look in one["looks"]] + [look["t"] + 4 for look in two["looks"][1:]] == [
        pytest.approx(n / 5) for n in range(41)
    ]


def test_what_was_not_looked_at_is_a_gap_and_no_guess(tmp_path: Path) -> None:
    fields = written(tmp_path / "a", ring_of(sight(0.2), sight(3.4)).between(0, math.inf))
    assert fields is not None and [look["t"] for look in fields["looks"]] == [0.2, 3.4]


@pytest.mark.parametrize("at", [None, -1.0, 4.1])
def test_a_segment_in_which_nothing_was_looked_at_has_no_side_file(tmp_path: Path, at: float | None) -> None:
    found = [] if at is None else ring_of(sight(at)).between(0, math.inf)
    assert written(tmp_path / "a", found) is None and list(tmp_path.iterdir()) == []


def test_an_empty_picture_is_a_look_all_the_same(tmp_path: Path) -> None:
    fields = written(tmp_path / "a", ring_of(sight(1.0, people=0)).between(0, math.inf), tracks=[])
    assert fields is not None and fields["looks"] == [{"t": 1.0, "boxes": [], "offender": []}]


def test_two_looks_within_a_millisecond_are_one(tmp_path: Path) -> None:
    fields = written(tmp_path / "a", ring_of(sight(1.0), sight(1.0004), sight(1.001)).between(0, math.inf))
    assert fields is not None and [look["t"] for look in fields["looks"]] == [1.0, 1.001]


def test_more_than_a_side_file_holds_is_thinned_and_not_cut_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = ring_of(*(sight(n / 100, people=3) for n in range(400))).between(0, math.inf)
    monkeypatch.setattr(looks, "MOST_BOXES", 400)
    fields = written(tmp_path / "a", found)
    assert fields is not None and [look["t"] for look in fields["looks"]] == [n / 25 for n in range(100)]
    monkeypatch.setattr(looks, "MOST_LOOKS", 30)
    fields = written(tmp_path / "a", found)
    assert fields is not None and len(fields["looks"]) == 25 and fields["looks"][-1]["t"] > 3.8


def test_the_same_looks_make_the_same_file(tmp_path: Path) -> None:
    found = ring_of(sight(1.0), sight(1.2)).between(0, math.inf)
    assert written(tmp_path / "a", found) == written(tmp_path / "b", found)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_disk_that_refuses_leaves_nothing_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = ring_of(sight(1.0)).between(0, math.inf)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", lambda _file: (_ for _ in ()).throw(OSError(28, "No space left")))
        with pytest.raises(OSError, match="No space"):
            written(tmp_path / "a", found)
    assert list(tmp_path.iterdir()) == []
    assert written(tmp_path / "a", found)


def test_ten_minutes_of_a_full_floor_fit(tmp_path: Path) -> None:
    """A minute is tried: 5 looks a second, 100 boxes in each, none like another."""
    rng = random.Random(1)
    floor = [[rng.uniform(0, 60), rng.uniform(0, 44)] for _ in range(100)]
    ring = LookRing(5.0)
    ring.hold_from = START
    for n in range(300):
        boxes = [parcel(k, (x + n / 1e3, y, x + n / 1e3 + 3, y + 3)) for k, (x, y) in enumerate(floor)]
        ring.append(Sight(scene(START + n / 5, parcels=boxes, size=(64, 48)), {}, first=False))
    fields = written(tmp_path / "a", ring.between(0, math.inf), duration_s=60.0)
    assert fields is not None and len(fields["looks"]) == 300
    assert 10 * ring.held[1] < ring.largest_bytes and 10 * (tmp_path / "a").stat().st_size < LARGEST
    assert all(b["t"] > a["t"] for a, b in itertools.pairwise(fields["looks"]))
