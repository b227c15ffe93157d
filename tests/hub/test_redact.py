"""What must not be seen is gone from every picture of a redacted copy, also where a look missed it."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from detector.alerts.cutting import cut_recording
from detector.hub.footage.copying import Job, Picture, make
from detector.hub.footage.redact import HOLD_S, LEAST_MARGIN, Redaction, Region, head_of
from detector.media.shape import Shape
from detector.values import Box

WIDTH, HEIGHT, RATE, SECONDS = 640, 360, 10, 4
LOOKS_PER_S = 5
NOON = 1_793_505_600.0
Gray = NDArray[np.float32]


def label_at(t: float) -> Box:
    """A label that is carried to the right, in pixels."""
    x = 40 + 60 * t
    return x, 200, x + 40, 230


def bystander_at(t: float) -> Box:
    """Somebody who walks to the left."""
    x = 540 - 50 * t
    return x, 60, x + 60, 260


def face_at(t: float) -> Box:
    """Theirs."""
    x1, y1, x2, _ = bystander_at(t)
    return x1 + 15, y1 + 5, x2 - 15, y1 + 40


PARCEL: Box = (300, 280, 380, 340)
OFFENDER: Box = (250, 40, 300, 240)
OFFENDERS_FACE: Box = (260, 45, 290, 75)
STILL: Box = (560, 290, 620, 340)  # a pattern that is nobody's


def shares(box: Box) -> list[float]:
    """As side files have boxes."""
    return [v / side for v, side in zip(box, (WIDTH, HEIGHT) * 2, strict=True)]


def make_side(missed: tuple[int, ...] = (), *, what: tuple[str, ...] = ("label", "person", "parcel")) -> dict[str, Any]:
    """What the models saw of the clip; without the label and the bystander in the looks that are missed."""
    looks = []
    for n in range(SECONDS * LOOKS_PER_S):
        t = n / LOOKS_PER_S
        moving = [] if n in missed else [["label", None, *shares(label_at(t)), 0.8],
                                         ["person", 9, *shares(bystander_at(t)), 0.9]]  # fmt: skip
        still = [["person", 7, *shares(OFFENDER), 0.9], ["parcel", 3, *shares(PARCEL), 0.9]]
        boxes = [box for box in [*moving, *still] if box[0] in what]
        looks.append({"t": t, "boxes": boxes, "offender": [7], "score": {}})
    return {
        "schema": 1, "incident": "inc-1", "segment": 0, "started_at_unix": NOON, "duration_s": float(SECONDS),
        "size": [WIDTH, HEIGHT], "looks": looks,
    }  # fmt: skip


def draw(t: float) -> NDArray[np.uint8]:
    """A smooth picture with patterns of three pixels, as fine as print, where they must or need not be hidden."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    image = (60 + 60 * x / WIDTH + 30 * y / HEIGHT).astype(np.uint8)
    for box in (label_at(t), face_at(t), PARCEL, OFFENDERS_FACE, STILL):
        x1, y1, x2, y2 = map(round, box)
        part = (x[y1:y2, x1:x2] - x1) // 3 + (y[y1:y2, x1:x2] - y1) // 3
        image[y1:y2, x1:x2] = np.where(part % 2, 230, 20)
    return np.repeat(image[..., None], 3, axis=2)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The clip, hardly compressed."""
    path = tmp_path_factory.mktemp("redact") / "clip.mp4"
    encode(path)
    return path


def encode(path: Path, **options: str) -> None:
    """Write the clip."""
    with av.open(str(path), "w", options={"movflags": "faststart"}) as container:
        stream = container.add_stream("libx264", rate=RATE, options={"preset": "ultrafast", "crf": "8", **options})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for n in range(RATE * SECONDS):
            for packet in stream.encode(av.VideoFrame.from_ndarray(draw(n / RATE), format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)


@pytest.fixture
def copied(source: Path, tmp_path: Path) -> Callable[..., list[Gray]]:
    """Makes copies of the clip; their pictures."""

    def copied(side: dict[str, Any] | Path | None, faces: str | None = "others", **changes: Any) -> list[Gray]:
        file = side if isinstance(side, Path) else tmp_path / "side.json.gz"
        if isinstance(side, dict):
            file.write_bytes(gzip.compress(json.dumps(side).encode()))
        fields = {
            "source": str(source), "out": str(tmp_path / "copy.mp4"), "faces": faces,
            "side": str(file) if side else None, "started_at": NOON, "zone": "Asia/Shanghai",
            "length_s": float(SECONDS), "cpu_s": 60, "largest_bytes": 10**8, **changes,
        }  # fmt: skip
        make(Job(**fields))
        return list(pictures(tmp_path / "copy.mp4"))

    return copied


def pictures(path: Path) -> Iterator[Gray]:
    """Brightness of each picture of a clip."""
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            yield frame.to_ndarray(format="gray").astype(np.float32)


def energy(image: Gray, box: Box) -> float:
    """How much fine detail is in a box: variance of the differences of neighbouring pixels."""
    x1, y1, x2, y2 = map(round, box)
    return float(np.diff(image[y1:y2, x1:x2], axis=1).var())


def kept(source: Path, copy: list[Gray], place: Callable[[float], Box]) -> list[float]:
    """Share of the detail at a place that is left in each picture."""
    before = list(pictures(source))
    assert len(copy) == len(before) == RATE * SECONDS
    return [
        energy(now, place(n / RATE)) / energy(was, place(n / RATE))
        for n, (was, now) in enumerate(zip(before, copy, strict=True))
    ]


@pytest.mark.parametrize("missed", [(), (3,), (5, 6, 7), (0, 1, 2, 10, 11, 18, 19)])
def test_labels_and_bystanders_are_gone_from_every_picture(
    copied: Callable[..., list[Gray]], source: Path, missed: tuple[int, ...]
) -> None:
    copy = copied(make_side(missed))
    assert max(kept(source, copy, face_at)) < 0.02
    assert max(kept(source, copy, lambda _t: PARCEL)) < 0.02
    assert max(kept(source, copy, label_at)) < 0.02


def test_all_else_stays_as_it_was(copied: Callable[..., list[Gray]], source: Path) -> None:
    copy = copied(make_side())
    assert min(kept(source, copy, lambda _t: STILL)) > 0.7
    assert min(kept(source, copy, lambda _t: OFFENDERS_FACE)) > 0.7
    for n, (was, now) in enumerate(zip(pictures(source), copy, strict=True)):
        far = np.ones((HEIGHT, WIDTH), bool)
        far[-24:] = False  # the burnt-in line
        for x1, y1, x2, y2 in (label_at(n / RATE), bystander_at(n / RATE), PARCEL):
            # A look's way to each side, and what boxes are grown by.
            far[max(0, int(y1) - 20) : int(y2) + 20, max(0, int(x1) - 45) : int(x2) + 45] = False
        difference = np.abs(was - now)[far]
        assert difference.mean() < 1.5 and np.quantile(difference, 0.999) < 30


def test_a_label_that_no_look_ever_saw_is_seen_so_this_test_can_fail(
    copied: Callable[..., list[Gray]], source: Path
) -> None:
    assert min(kept(source, copied(make_side(what=("person",))), label_at)) > 0.3


def test_everybodys_head_is_hidden_when_asked(copied: Callable[..., list[Gray]], source: Path) -> None:
    copy = copied(make_side(), faces="all")
    assert max(kept(source, copy, lambda _t: OFFENDERS_FACE)) < 0.02
    assert max(kept(source, copy, face_at)) < 0.02


def test_without_a_side_file_nothing_fine_is_left_anywhere(copied: Callable[..., list[Gray]], source: Path) -> None:
    copy = copied(None)
    for place in (label_at, face_at, lambda _t: STILL, lambda _t: OFFENDERS_FACE):
        assert max(kept(source, copy, place)) < 0.02


def test_where_the_models_did_not_look_nothing_fine_is_left(copied: Callable[..., list[Gray]], source: Path) -> None:
    side = make_side()
    side["looks"] = [look for look in side["looks"] if look["t"] < 0.5]
    left = kept(source, copied(side), lambda _t: STILL)
    assert min(left[:14]) > 0.7 and max(left[16:]) < 0.02


def test_a_clip_whose_first_pictures_are_damaged_hides_the_rest_where_they_are(
    copied: Callable[..., list[Gray]], tmp_path: Path
) -> None:
    whole, spoilt = tmp_path / "whole.mp4", tmp_path / "spoilt.mp4"
    encode(whole, g=str(RATE))
    content = bytearray(whole.read_bytes())
    with av.open(str(whole)) as container:
        first = next(packet for packet in container.demux(video=0) if packet.size)
        assert first.pos is not None
        content[first.pos + 4 : first.pos + first.size] = bytes(first.size - 4)
    spoilt.write_bytes(content)
    copy = copied(make_side(), source=str(spoilt))
    lost = RATE * SECONDS - len(copy)
    assert 0 < lost <= RATE
    for n, (was, now) in enumerate(zip(list(pictures(whole))[lost:], copy, strict=True), lost):
        assert energy(now, label_at(n / RATE)) / energy(was, label_at(n / RATE)) < 0.02


@pytest.mark.parametrize(
    "content",
    [b"", b"not gzip", gzip.compress(b"{}", mtime=0), gzip.compress(b'{"schema": 1}', mtime=0)],
    ids=["empty", "no gzip", "nothing in it", "hardly anything in it"],
)
def test_a_side_file_that_cannot_be_read_hides_everything(
    copied: Callable[..., list[Gray]], source: Path, tmp_path: Path, content: bytes
) -> None:
    bad = tmp_path / "bad.json.gz"
    bad.write_bytes(content)
    assert max(kept(source, copied(bad), lambda _t: STILL)) < 0.02


def test_a_preview_has_the_pixels_of_the_clip(copied: Callable[..., list[Gray]], source: Path) -> None:
    copy = copied(None, None)
    difference = [np.abs(was - now).mean() for was, now in zip(pictures(source), copy, strict=True)]
    assert max(difference) < 2


@pytest.mark.parametrize("faces", [None, "others"])
def test_a_copy_is_shown_in_the_shape_of_its_clip(
    copied: Callable[..., list[Gray]], source: Path, tmp_path: Path, faces: str | None
) -> None:
    wide = cut_recording(source, 0.0, 2.0, tmp_path / "wide.mp4", shape=Shape(2 * WIDTH / HEIGHT))
    copied(make_side(), faces, source=str(wide.path))
    with av.open(str(tmp_path / "copy.mp4")) as container:
        assert container.streams.video[0].sample_aspect_ratio == 2


def test_the_time_is_burnt_in_with_its_zone(copied: Callable[..., list[Gray]]) -> None:
    here, there = copied(make_side()), copied(make_side(), zone="Europe/Berlin")
    corner = [image[-20:, :300] for image in (here[0], there[0], here[-1])]
    assert corner[0].max() > 200 and corner[0].min() < 30
    assert np.abs(corner[0] - corner[1]).max() > 100 and np.abs(corner[0] - corner[2]).max() > 100


def regions(*seen: tuple[float, Box] | None, what: str = "label", track: int | None = None) -> Redaction:
    """What is hidden of one thing that was seen at times; `None` is a look that missed it."""
    looks = []
    for n, one in enumerate(seen):
        boxes = [[what, track, *one[1], 0.9]] if one else []
        looks.append({"t": one[0] if one else n / LOOKS_PER_S, "boxes": boxes, "offender": []})
    return Redaction({"looks": looks}, aspect=16 / 9)


def covers(found: list[Region], box: Box) -> bool:
    """Whether one of the regions holds a box whole."""
    return any(
        one.box[0] <= box[0] + 1e-9 and one.box[1] <= box[1] + 1e-9 and one.box[2] >= box[2] - 1e-9
        and one.box[3] >= box[3] - 1e-9 for one in found
    )  # fmt: skip


place = st.floats(0, 0.9)
size = st.floats(0.005, 0.1)


@given(x=place, y=place, w=size, h=size, dx=st.floats(-0.05, 0.05), dy=st.floats(-0.05, 0.05), at=st.floats(0, 1.8))
def test_a_thing_is_hidden_wherever_it_is_on_its_way(
    x: float, y: float, w: float, h: float, dx: float, dy: float, at: float
) -> None:
    def box(t: float) -> Box:
        left, top = x + dx * t * LOOKS_PER_S, y + dy * t * LOOKS_PER_S
        return left, top, left + w, top + h

    seen = [(n / LOOKS_PER_S, box(n / LOOKS_PER_S)) for n in range(10)]
    tracked = regions(*seen, what="parcel", track=4)
    # The clocks of video and looks may differ by as much as a look.
    for late in (-0.19, 0.0, 0.19):
        assert any(covers([one], box(at)) for one in tracked.at(at + late))


@given(gap=st.integers(1, 9), dx=st.floats(-0.04, 0.04))
def test_a_follower_that_lost_something_for_a_moment_hides_the_way_between(gap: int, dx: float) -> None:
    def box(t: float) -> Box:
        return 0.5 + dx * t * LOOKS_PER_S, 0.4, 0.55 + dx * t * LOOKS_PER_S, 0.5

    seen = [(n / LOOKS_PER_S, box(n / LOOKS_PER_S)) if not 3 < n <= 3 + gap else None for n in range(5 + gap)]
    found = regions(*seen, what="parcel", track=4)
    for n in range(20 * (4 + gap) // LOOKS_PER_S):
        assert covers(found.at(n / 20), box(n / 20)), n / 20


def test_what_vanishes_stays_hidden_for_a_second_and_was_for_one_before_it_came() -> None:
    box = (0.5, 0.5, 0.52, 0.53)
    found = regions(*[None] * 10, (2.0, box), (2.2, box), *[None] * 10)
    assert [bool(found.at(t)) for t in (0.9, 1.05, 2.1, 3.15, 3.25)] == [False, True, True, True, False]
    assert HOLD_S == 1.0


def test_a_label_that_jumps_is_held_where_it_was() -> None:
    one, other = (0.5, 0.5, 0.52, 0.53), (0.53, 0.5, 0.55, 0.53)
    found = regions((0.0, one), (0.2, other), (0.4, other), (0.6, other), (0.8, other))
    assert covers(found.at(0.9), one) and not covers(found.at(1.1), one)


@pytest.mark.parametrize(
    ("person", "bottom"),
    [((0.4, 0.2, 0.48, 0.9), 0.2 + 0.36 * 0.7), ((0.3, 0.5, 0.5, 0.8), 0.5 + 0.6 * 0.2 * 16 / 9),
     ((0.1, 0.7, 0.5, 0.8), 0.8)],
)  # fmt: skip
def test_a_head_is_the_upper_part_and_more_of_who_is_bent(person: Box, bottom: float) -> None:
    top = person[1] - 0.1 * (person[3] - person[1])
    assert head_of(person, 16 / 9) == pytest.approx((person[0], top, person[2], bottom))


def test_offenders_keep_their_heads_unless_all_are_hidden() -> None:
    looks = [{"t": 0.0, "boxes": [["person", 7, 0.1, 0.1, 0.2, 0.5, 0.9], ["person", 8, 0.6, 0.1, 0.7, 0.5, 0.9],
                                  ["person", None, 0.8, 0.1, 0.9, 0.5, 0.9]], "offender": [7]}]  # fmt: skip
    for faces, lefts in (("others", [0.6, 0.8]), ("all", [0.1, 0.6, 0.8])):
        found = Redaction({"looks": looks}, aspect=16 / 9, faces=faces).at(0.0)  # type: ignore[arg-type]
        margin = 0.15 * 0.1 + LEAST_MARGIN
        assert sorted({round(one.box[0] + margin, 6) for one in found}) == lefts


def test_a_box_that_reaches_out_of_a_picture_hides_what_is_inside() -> None:
    picture = Picture(64, 32)
    for plane in picture.planes:
        plane[:] = np.indices(plane.shape).sum(axis=0) % 2 * 255
    picture.pixelate((-0.5, -0.5, 0.5, 1.5), (2, 2))
    picture.pixelate((2.0, 2.0, 3.0, 3.0), (2, 2))
    for plane in picture.planes:
        half = plane.shape[1] // 2
        assert np.ptp(plane[:, : half - 1]) < 30 and np.ptp(plane[:, half + 2 :]) == 255


def test_two_that_bear_one_number_in_a_look_are_both_hidden() -> None:
    """Labels may bear the slot of their parcel (`media.sides`), which has more than one."""
    labels = [(0.1, 0.1, 0.2, 0.2), (0.6, 0.6, 0.7, 0.7)]
    side = {"looks": [{"t": n / LOOKS_PER_S, "boxes": [["label", 3, *box, 0.9] for box in labels]} for n in range(10)]}
    redaction = Redaction(side, aspect=WIDTH / HEIGHT)
    for t in (0.0, 1.0, 1.85):
        boxes = [region.box for region in redaction.at(t)]
        for x1, y1, x2, y2 in labels:
            assert any(box[0] < x1 and box[1] < y1 and x2 < box[2] and y2 < box[3] for box in boxes)
