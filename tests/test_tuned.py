"""Thresholds from the hub: taken as a whole or refused as a whole, kept over restarts, and in force at once."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector import wire
from detector.alerts.incidents import IncidentBook
from detector.config import Camera, EdgeConfig, Incidents
from detector.errors import WireError
from detector.tuned import Tuned, configured
from detector.values import IncidentKind
from tests.builders import signal

PHOTO, LINGERING = IncidentKind.LABEL_PHOTOGRAPHY, IncidentKind.LINGERING


def edge(folder: Path, *cameras: str) -> EdgeConfig:
    """An edge whose first camera asks for a score of its own."""
    first, *others = cameras
    own = Camera(name=first, source="x.mp4", least_score={"lingering": 0.3})
    return EdgeConfig(
        site="north",
        edge="box-1",
        data_dir=folder,
        cameras=[own, *(Camera(name=name, source="x.mp4") for name in others)],
        incidents=Incidents(least_score={"lingering": 0.2, "tamper": 0.5}),
    )


def command(version: int, state: dict[str, Any]) -> bytes:
    """As the hub writes it."""
    return wire.command_payload(version, state, user="owner", at=1000.0)


def answer(tuned: Tuned) -> tuple[int, str | None]:
    """Version in force, and why the newest command was refused."""
    health = tuned.health()
    return health["version"], health["refused"]


@pytest.fixture
def tuned(tmp_path: Path) -> Tuned:
    return Tuned(edge(tmp_path, "cam1", "cam2"))


def test_without_commands_the_configuration_counts_and_the_camera_s_own_word_before_the_edge_s(tuned: Tuned) -> None:
    one, two = tuned.least_score("cam1"), tuned.least_score("cam2")
    assert (one[LINGERING], two[LINGERING], one[IncidentKind.TAMPER], one[PHOTO]) == (0.3, 0.2, 0.5, 0.8)
    assert answer(tuned) == (0, None)


def test_the_hub_hears_what_the_configuration_asks_for_whatever_was_set_there(tuned: Tuned) -> None:
    tuned.accept(command(1, {"cam1": {"lingering": 0.9, "label_photography": 0.95}}))
    usual = {"label_photography": 0.8, "tamper": 0.5}
    assert tuned.health()["configured"] == {"cam1": {**usual, "lingering": 0.3}, "cam2": {**usual, "lingering": 0.2}}


@pytest.mark.parametrize(("score", "told"), [(0.79, 0), (0.8, 1)])
def test_a_sweep_that_is_hardly_likely_is_no_incident_unless_asked_for(score: float, told: int) -> None:
    camera = Camera(name="cam1", source="x.mp4")
    config = EdgeConfig(site="north", edge="box-1", cameras=[camera])
    asked = config.model_copy(update={"incidents": Incidents(least_score={"label_photography": 0.0})})
    found = [signal(0.0, 5.0, score=score)]
    assert len(list(IncidentBook("north", config.incidents, configured(config, camera)).admit(found, 5.0))) == told
    assert len(list(IncidentBook("north", asked.incidents, configured(asked, camera)).admit(found, 5.0))) == 1


def test_a_command_is_in_force_at_once_and_wins_over_the_configuration(tuned: Tuned) -> None:
    scores = tuned.least_score("cam1")
    tuned.accept(command(1, {"cam1": {"label_photography": 0.62, "lingering": 0.1}}))
    assert (scores[PHOTO], scores[LINGERING], scores[IncidentKind.TAMPER]) == (0.62, 0.1, 0.5)
    assert tuned.least_score("cam2")[LINGERING] == 0.2
    assert answer(tuned) == (1, None) and tuned.news.is_set()
    tuned.accept(command(2, {}))
    assert (scores[PHOTO], scores[LINGERING]) == (0.8, 0.3)


def test_an_open_book_of_incidents_follows(tuned: Tuned) -> None:
    book = IncidentBook("north", Incidents(), tuned.least_score("cam1"))
    weak = signal(10.0, 12.0, kind=PHOTO, score=0.85)
    tuned.accept(command(1, {"cam1": {"label_photography": 0.92}}))
    assert book.admit([weak], weak.at) == []
    tuned.accept(command(2, {}))
    assert len(book.admit([weak], weak.at)) == 1


def test_a_kind_that_is_switched_off_begins_nothing_however_sure_until_it_is_switched_on(tuned: Tuned) -> None:
    book = IncidentBook("north", Incidents(), tuned.least_score("cam1"))
    sure = signal(10.0, 12.0, kind=PHOTO, score=1.0)
    tuned.accept(command(1, {"cam1": {"label_photography": wire.OFF}}))
    assert book.admit([sure], sure.at) == []
    other = signal(10.0, 12.0, kind=LINGERING, score=0.9)
    assert [update.after.kind for update in book.admit([other], other.at)] == [LINGERING]
    tuned.accept(command(2, {}))
    assert [update.after.kind for update in book.admit([sure], sure.at)] == [PHOTO]


REFUSED: list[tuple[bytes, str]] = [
    (command(9, {"cam1": {"dancing": 0.5}}), "no kind 'dancing'"),
    (command(9, {"cam1": {"lingering": 1.5}}), "neither within 0..1 nor 2"),
    (command(9, {"cam1": {"lingering": -0.1}}), "neither within 0..1 nor 2"),
    (command(9, {"cam1": {"lingering": True}}), "neither within 0..1 nor 2"),
    (command(9, {"cam1": {"lingering": "0.5"}}), "neither within 0..1 nor 2"),
    (command(9, {"cam1": 0.5}), "no mapping"),
    (command(2, {"cam1": {"lingering": 0.6}}), "version 2 is older than 3"),
    (command(3, {"cam1": {"lingering": 0.6}}), "version 3 is in force already"),
    (command(0, {}), "no such version"),
    (command(2**60, {}), "no such version"),
    (b'{"schema":1,"version":9,"state":{"cam1":{"lingering":NaN}}}', "not JSON"),
    (b'{"schema":1,"version":9,"state":{"cam1":{"lingering":1e999}}}', "neither within 0..1 nor 2"),
    (b'{"schema":1,"version":"9","state":{}}', "version is missing"),
    (b'{"schema":2,"version":9,"state":{}}', "schema 2"),
    (b"\xff noise", "not JSON"),
]


@pytest.mark.parametrize(("payload", "reason"), REFUSED, ids=[reason for _, reason in REFUSED])
def test_what_makes_no_sense_is_refused_with_a_reason_and_changes_nothing(
    tuned: Tuned, tmp_path: Path, payload: bytes, reason: str
) -> None:
    tuned.accept(command(3, {"cam2": {"lingering": 0.7}}))
    before = (tmp_path / "tuned.json").read_bytes()
    tuned.accept(payload)
    assert reason in (tuned.refused or "") and tuned.version == 3
    assert tuned.least_score("cam2")[LINGERING] == 0.7 and tuned.least_score("cam1")[LINGERING] == 0.3
    assert (tmp_path / "tuned.json").read_bytes() == before
    tuned.accept(command(10, {}))
    assert answer(tuned) == (10, None)


def test_a_camera_that_is_gone_does_not_hold_up_the_others(tuned: Tuned) -> None:
    tuned.accept(command(1, {"cam9": {"lingering": 0.5}, "cam1": {"lingering": 0.6}}))
    assert answer(tuned) == (1, None)
    assert tuned.least_score("cam1")[LINGERING] == 0.6


def test_the_command_that_is_in_force_may_come_again(tuned: Tuned) -> None:
    for _ in range(3):
        tuned.accept(command(4, {"cam1": {"lingering": 0.6}}))
        tuned.accept(b"")
    assert answer(tuned) == (4, None)


def test_a_restart_takes_up_what_was_in_force(tmp_path: Path) -> None:
    Tuned(edge(tmp_path, "cam1", "cam2")).accept(command(5, {"cam1": {"tamper": 0.9}, "cam2": {"tamper": 0.8}}))
    again = Tuned(edge(tmp_path, "cam2", "cam3"))  # cam1 was taken out of the configuration meanwhile
    assert again.version == 5 and again.least_score("cam2")[IncidentKind.TAMPER] == 0.8
    again.accept(command(5, {"cam1": {"tamper": 0.9}, "cam2": {"tamper": 0.8}}))
    assert again.refused is None


@pytest.mark.parametrize("content", [b"", b"{", b'{"schema":1,"version":1}', b"[1]"])
def test_a_broken_file_is_said_and_the_next_command_mends_it(
    tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "tuned.json").write_bytes(content)
    with caplog.at_level(logging.WARNING):
        tuned = Tuned(edge(tmp_path, "cam1"))
    assert "tuned.json can't be used" in caplog.text and tuned.version == 0
    tuned.accept(command(7, {"cam1": {"lingering": 0.6}}))
    assert json.loads((tmp_path / "tuned.json").read_text())["version"] == 7


def test_what_can_not_be_kept_is_refused(tmp_path: Path) -> None:
    tuned = Tuned(edge(tmp_path / "gone", "cam1"))
    tuned.accept(command(1, {"cam1": {"lingering": 0.6}}))
    assert answer(tuned) == (0, "it can't be kept: No such file or directory")
    assert tuned.least_score("cam1")[LINGERING] == 0.3


NAMES = st.text(min_size=1, max_size=9)
SCORES = st.floats(0, 1) | st.just(wire.OFF)
STATES = st.dictionaries(NAMES, st.dictionaries(NAMES, SCORES, max_size=4), max_size=4)


@given(st.integers(1, 2**53), STATES, st.text(max_size=9))
def test_commands_come_out_as_they_went_in(version: int, state: wire.ThresholdState, user: str) -> None:
    assert wire.decode_thresholds(wire.command_payload(version, state, user=user, at=0.0))[:2] == (version, state)


@settings(max_examples=50)
@given(st.binary(max_size=99) | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(str).map(str.encode))
def test_rubbish_is_refused_and_never_crashes(payload: bytes) -> None:
    with pytest.raises(WireError):
        wire.decode_thresholds(payload)


def test_every_kind_has_a_least_score() -> None:
    config = edge(Path("x"), "cam1")
    assert configured(config, config.cameras[0]).keys() == set(IncidentKind)
