"""What is told of a camera's silence, with which picture: its worker is in `test_worker`."""

from __future__ import annotations

from typing import Any, cast

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
    assert sink.told == [("new", 120.0, 5.0), ("update", 195.0, None), ("end", 995.0, 1120.0)]


SINCE = 1_800_000_000.0


def told_last(since: float, lasted_s: float, what: str = "silent") -> dict[str, Any]:
    """Fields of the last envelope of an incident."""
    facts = {"what": what, "lasted_s": lasted_s}
    return {"after": {"started_at_unix": since, "ended_at_unix": since + lasted_s, "facts": facts}}


def test_a_silence_of_an_earlier_run_grows_on_and_ends_with_steady_pictures(sink: ListingSink) -> None:
    book = SilenceBook("cam1", cast("AlertSink", sink), 120.0, SINCE + 900.0)
    assert book.take_up(told_last(SINCE, 600.0)) and book.unbroken
    for now in (901, 1000, 1200):
        book.step(None, SINCE + now, None, None)
    for now in range(1300, 1421, 20):
        book.step(SINCE + now, SINCE + now, frame(SINCE + now), SEEN)
    assert sink.told == [("update", 1200.0, None), ("end", 1300.0, SINCE + 1420.0)]


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param(told_last(SINCE, 901.0), id="the clock was put back"),
        pytest.param(told_last(20.0, 300.0), id="the clock wasn't set yet"),
        pytest.param(told_last(SINCE, 600.0, what="covered"), id="pictures came, of nothing"),
        pytest.param({"after": {**told_last(SINCE, 600.0)["after"], "facts": {}}}, id="another kind"),
    ],
)
def test_what_is_no_silence_that_can_go_on_is_not_taken_up(sink: ListingSink, fields: dict[str, Any]) -> None:
    book = SilenceBook("cam1", cast("AlertSink", sink), 120.0, SINCE + 900.0)
    assert not book.take_up(fields)
    book.step(None, SINCE + 1000.0, None, None)
    assert sink.told == []
