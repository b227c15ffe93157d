"""Films that the hub asks for: begun and ended when it says so, handed over as clips are, told of by no alert."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector import wire
from detector.alerts.clip_queue import Clip
from detector.alerts.films import CameraFilms
from detector.alerts.identity import load_identity
from detector.alerts.incidents import IncidentBook
from detector.alerts.outbox import Outbox
from detector.alerts.sink import AlertSink
from detector.clock import SystemClock
from detector.config import Camera, EdgeConfig, HubLink, Incidents
from detector.errors import WireError
from detector.media.packets import PacketRing
from detector.media.sides import read_side
from detector.values import IncidentKind, Sight
from tests.alerts.test_clips import START, Stored, packets_of
from tests.builders import frame, scene, signal
from tests.sources.footage import make_video

A, B = "walk-0123456789abcdef", "walk-fedcba9876543210"
CAMERA = Camera(name="dock", source="a.mp4")
PRE_ROLL_S = 5.0


@pytest.fixture(scope="module")
def minute(tmp_path_factory: pytest.TempPathFactory) -> list[Stored]:
    """A minute of video, 5 pictures a second, a key frame every second."""
    return packets_of(make_video(tmp_path_factory.mktemp("minute") / "a.mp4", seconds=60, fps=5, key_every=5))


class Watched:
    """A camera's sink over a minute of video, with wishes that come at some second of it."""

    def __init__(self, folder: Path) -> None:
        config = EdgeConfig(
            site="north", edge="box-1", data_dir=folder, cameras=[CAMERA], hub=HubLink(url="http://127.0.0.1:1")
        )
        self.outbox = Outbox(folder / "outbox.db", load_identity(folder), clock=SystemClock())
        self.films, self.ring, self.config = CameraFilms(), PacketRing(40.0), config
        self.sink = self.begin_anew()

    def begin_anew(self) -> AlertSink:
        """The sink of another run on the same disk."""
        self.sink = AlertSink(self.config, CAMERA, self.outbox, self.ring, self.films)
        return self.sink

    def play(self, minute: list[Stored], wishes: dict[float, tuple[str, float]], *, until_s: float = 60.0) -> None:
        """Take packets and looks in, and make wishes when their second has come."""
        pending = sorted(wishes.items())
        for packet, form in minute:
            if packet.shown_at > START + until_s:
                break
            self.ring.append(packet, form)
            while pending and START + pending[0][0] <= packet.shown_at:
                self.films.ask(*pending.pop(0)[1])
            self.sink.see(Sight(scene(packet.shown_at), {}, first=False))
            self.sink.tick(packet.shown_at)

    def waiting(self) -> list[Clip]:
        """Clips and side files that the hub is still to have, in the order in which they go to it."""
        found = []
        while clip := self.outbox.clips.next_due():
            found.append(clip)
            self.outbox.clips.done(clip)
        return found


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    watched = Watched(tmp_path)
    yield watched
    watched.outbox.close()


def test_a_film_begins_before_the_wish_and_ends_when_it_is_over(watched: Watched, minute: list[Stored]) -> None:
    watched.play(minute, {20.0: (A, 900.0), 35.0: (A, 0.0)})
    clip, side = watched.waiting()
    assert (clip.incident, clip.segment, clip.camera, clip.what) == (A, 0, "dock", None)
    assert clip.started_at == pytest.approx(START + 20 - PRE_ROLL_S, abs=1.1)
    assert clip.started_at + clip.duration_s == pytest.approx(START + 35, abs=0.5)
    assert (side.incident, side.what) == (A, wire.SIDE)
    with side.path.open("rb") as file:
        looks = read_side(file)["looks"]
    assert len(looks) == pytest.approx(5 * clip.duration_s, abs=2) and all(not look["offender"] for look in looks)


def test_a_clip_of_a_camera_that_stays_covered_ends_though_its_incident_goes_on(
    watched: Watched, minute: list[Stored]
) -> None:
    settings = Incidents(join_s=10, longest_s=20)
    watched.config = watched.config.model_copy(update={"incidents": settings})
    sink, book = watched.begin_anew(), IncidentBook("north", settings)
    due = {START + at: signal(START + 10, START + at, kind=IncidentKind.TAMPER) for at in range(12, 60, 8)}
    for packet, form in minute:
        at = round(packet.shown_at, 3)
        watched.ring.append(packet, form)
        for update in book.admit([due[at]] if at in due else [], at):
            sink.accept(update, frame(at))
        sink.tick(at)
    sink.finish()
    assert sink.published == 4, "the last when it had doubled"
    watched.outbox.acknowledge([row.id for row in watched.outbox.take_due()])  # clips go after them
    over_at = max(clip.started_at + clip.duration_s for clip in watched.waiting())
    assert over_at == pytest.approx(START + 28 + 8, abs=1.1)


def test_no_alert_tells_of_a_film(watched: Watched, minute: list[Stored]) -> None:
    watched.play(minute, {20.0: (A, 10.0)})
    assert watched.sink.published == 0 and watched.outbox.counts()["backlog"] == 0
    assert not watched.sink.incidents


@pytest.mark.parametrize(
    ("wishes", "lengths"),
    [
        ({20.0: (A, 8.0)}, {A: 13.0}),
        ({20.0: (A, 900.0), 30.0: (B, 900.0), 40.0: (B, 0.0)}, {A: 15.0, B: 15.0}),
        ({20.0: (A, 900.0), 25.0: (B, 0.0), 30.0: (A, 0.0)}, {A: 15.0}),
        ({20.0: (A, 0.0)}, {}),
    ],
    ids=["its seconds are over", "another begins", "another's end", "none goes on"],
)
def test_a_film_lasts_until_it_or_another_is_asked_for(
    watched: Watched, minute: list[Stored], wishes: dict[float, tuple[str, float]], lengths: dict[str, float]
) -> None:
    watched.play(minute, wishes)
    found = {clip.incident: clip.duration_s for clip in watched.waiting() if clip.what is None}
    assert found == pytest.approx(lengths, abs=1.2)


def test_a_film_ends_with_the_pipeline_and_does_not_begin_again(watched: Watched, minute: list[Stored]) -> None:
    watched.play(minute, {20.0: (A, 900.0)}, until_s=30)
    watched.sink.finish()
    assert not watched.sink._segments, "or a box that runs for years keeps every film's"
    watched.play(minute, {})
    (clip,) = [clip for clip in watched.waiting() if clip.what is None]
    assert clip.started_at + clip.duration_s == pytest.approx(START + 30, abs=0.5)


def test_a_film_does_not_outlast_a_clock_that_goes_back(watched: Watched, minute: list[Stored]) -> None:
    watched.play(minute, {20.0: (A, 900.0)}, until_s=25)
    watched.sink.tick(START - 3600)
    (clip,) = [clip for clip in watched.waiting() if clip.what is None]
    assert clip.duration_s == pytest.approx(10.0, abs=1.2)


def test_what_was_filmed_before_a_crash_is_handed_over(watched: Watched, minute: list[Stored]) -> None:
    watched.play(minute, {20.0: (A, 900.0)}, until_s=40)
    watched.begin_anew().salvage()
    (clip,) = watched.waiting()
    assert clip.incident == A and clip.duration_s > 15


@given(
    st.lists(st.tuples(st.sampled_from([A, B]), st.sampled_from([0.0, 5.0, 900.0])), max_size=12),
    st.lists(st.floats(0, 40), max_size=6),
)
def test_whatever_is_asked_each_film_that_began_is_finished_once(wishes: list[Any], times: list[float]) -> None:
    class Told:
        def __init__(self) -> None:
            self.open: set[str] = set()

        def start_or_extend(self, name: str, at: float) -> None:
            self.open.add(name)
            assert len(self.open) == 1

        def finish(self, name: str) -> None:
            self.open.discard(name)

    films, told = CameraFilms(), Told()
    for now in [*times, 2000.0]:
        for wish in wishes[:3]:
            films.ask(*wish)
        del wishes[:3]
        films.step(told, now)  # type: ignore[arg-type]
    films.step(told, 4000.0)  # type: ignore[arg-type]
    assert not told.open


def test_a_wish_is_understood_as_it_was_made() -> None:
    assert wire.asked_film(wire.ask_film_payload("dock", A, 900.0)) == ("dock", A, 900.0)


@pytest.mark.parametrize(
    "changes",
    [
        {"camera": None}, {"film": "../../etc/passwd"}, {"film": "walk-0"}, {"film": A + "\n"}, {"film": A.upper()},
        {"seconds": -1}, {"seconds": 901}, {"seconds": True}, {"seconds": "5"},
    ],
)  # fmt: skip
def test_a_wish_that_cannot_be_is_refused(changes: dict[str, Any]) -> None:
    fields = json.loads(wire.ask_film_payload("dock", A, 900.0))
    with pytest.raises(WireError, match="wish for a film"):
        wire.asked_film(json.dumps({**fields, **changes}).encode())
