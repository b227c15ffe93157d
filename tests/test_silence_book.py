"""What is told of a camera's silence, with which picture: its worker is in `test_worker`."""

from __future__ import annotations

from typing import cast

import pytest

from detector.alerts.sink import AlertSink
from detector.edge.silence import SilenceBook
from detector.values import Frame, IncidentKind, IncidentUpdate, Sight
from detector.wire import OFF
from tests.builders import frame, scene


class ListingSink:
    """Lists what it is told: phase, how long the silence has lasted, when the picture was taken."""

    site = "north"

    def __init__(self) -> None:
        self.told: list[tuple[str, float, float | None]] = []

    def accept(self, update: IncidentUpdate, frame: Frame | None) -> None:
        at = frame.captured_at if frame is not None else None
        self.told.append((update.phase.value, cast("float", update.after.facts["lasted_s"]), at))


@pytest.fixture
def sink() -> ListingSink:
    return ListingSink()


@pytest.fixture
def book(sink: ListingSink) -> SilenceBook:
    return SilenceBook("cam1", cast("AlertSink", sink), 120.0, 0.0)


SEEN = Sight(scene(5.0), {}, first=True)


@pytest.mark.parametrize(
    ("sight", "shown"),
    [
        pytest.param(SEEN, 5.0, id="looked at"),
        pytest.param(Sight(scene(0.5), {}, first=True), 5.0, id="nothing moved since the last look"),
        pytest.param(None, None, id="never looked at"),
        pytest.param(Sight(scene(-70.0), {}, first=True), None, id="the first picture after a minute without any"),
        pytest.param(Sight(scene(5.0, size=(32, 18)), {}, first=True), None, id="of another size"),
    ],
)
def test_a_picture_is_shown_only_where_somebody_knows_where_labels_are(
    book: SilenceBook, sink: ListingSink, sight: Sight | None, shown: float | None
) -> None:
    book.step(5.0, 119.0, frame(5.0), sight)
    assert sink.told == [] and not book.unbroken
    book.step(5.0, 125.0, frame(5.0), sight)
    assert sink.told == [("new", 120.0, shown)] and book.unbroken


@pytest.mark.parametrize("is_back", [False, True])
def test_where_this_kind_is_switched_off_no_silence_is_told_until_it_is_on_again(
    sink: ListingSink, is_back: bool
) -> None:
    scores: dict[IncidentKind, float] = {}
    book = SilenceBook("cam1", cast("AlertSink", sink), 120.0, 0.0, scores)
    scores[IncidentKind.TAMPER] = OFF
    book.step(5.0, 126.0, frame(5.0), SEEN)
    book.step(5.0, 900.0, frame(5.0), SEEN)
    assert sink.told == []
    scores[IncidentKind.TAMPER] = 0.0
    if is_back:  # pictures came until it was switched on again
        book.step(999.0, 1000.0, frame(999.0), SEEN)
        book.step(1100.0, 1101.0, frame(1100.0), SEEN)
        assert sink.told == []
    else:
        book.step(5.0, 1000.0, frame(5.0), SEEN)
        assert [(phase, lasted_s) for phase, lasted_s, _ in sink.told] == [("new", 995.0)]


def test_a_silence_grows_no_more_once_pictures_come_and_ends_when_they_have_been_steady(
    book: SilenceBook, sink: ListingSink
) -> None:
    for now in (125.0, 126.0, 200.0):
        book.step(5.0, now, frame(5.0), SEEN)
    for now in range(1000, 1121, 20):
        book.step(now, now, frame(now), SEEN)
        assert not book.unbroken
    book.end(1200.0, frame(1200.0))
    assert sink.told == [("new", 120.0, 5.0), ("update", 195.0, None), ("end", 995.0, 1120.0)]


def test_a_silence_that_goes_on_ends_with_its_worker(book: SilenceBook, sink: ListingSink) -> None:
    book.end(100.0, None)
    book.step(None, 125.0, None, None)
    book.end(130.0, None)
    assert sink.told == [("new", 125.0, None), ("end", 130.0, None)]
