"""Numbers that grow, whatever is restarted and however the clock jumps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.alerts import serials as module
from detector.alerts.serials import FILE, SHORT_SPAN, SPAN, Serials

NOON = 1_793_505_600.0


class Watch:
    def __init__(self, at: float = NOON) -> None:
        self.at = at

    def now(self) -> float:
        return self.at

    def sleep(self, seconds: float) -> None:
        self.at += seconds


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.floats(-1e7, 1e7)), min_size=1, max_size=30))
def test_they_grow_over_restarts_and_jumps_of_the_clock(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[bool, float]]
) -> None:
    folder, watch = tmp_path_factory.mktemp("edge"), Watch()
    serials, given_out = Serials(watch, folder), []
    for restart, jump_s in steps:
        watch.at += jump_s
        serials = Serials(watch, folder) if restart else serials
        given_out += [serials.next(), serials.next()]
    assert given_out == sorted(set(given_out))


def test_the_file_is_written_once_an_hour_only(tmp_path: Path) -> None:
    watch = Watch()
    serials = Serials(watch, tmp_path)
    serials.next()
    (tmp_path / FILE).unlink()
    for _ in range(1000):
        watch.at += 3.5
        serials.next()
    assert not (tmp_path / FILE).exists()
    watch.at += SPAN / 1000
    serials.next()
    assert (tmp_path / FILE).exists()


def test_a_night_of_crashes_does_not_take_them_far_ahead_of_the_clock(tmp_path: Path) -> None:
    watch, given_out = Watch(), []
    for _ in range(1000):
        given_out.append(Serials(watch, tmp_path).next())
        assert given_out[-1] <= watch.at * 1000 + SPAN + SHORT_SPAN
        watch.at += 15.0
    assert given_out == sorted(set(given_out))


@pytest.mark.parametrize("content", [b"", b"\xff", b"-5", b"nan", b"9" * 400, str(2**60).encode()])
def test_a_broken_file_stops_nothing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE).write_bytes(content)
    assert Serials(Watch(), tmp_path).next() == NOON * 1000


def test_a_folder_that_can_not_be_written_stops_nothing(tmp_path: Path) -> None:
    serials = Serials(Watch(), tmp_path / "gone")
    assert serials.next() < serials.next()


def full(*_: Any, **__: Any) -> None:
    """A disk without room for another file."""
    raise OSError(28, "No space left on device")


def test_they_grow_over_restarts_on_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    watch, given_out = Watch(), []
    for life in range(6):
        if life == 3:
            monkeypatch.setattr(module, "write_whole", full)
        serials = Serials(watch, tmp_path)
        given_out += [serials.next(), serials.next()]
    assert given_out == sorted(set(given_out))


def test_what_can_not_be_written_now_is_written_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(module, "write_whole", full)
        serials = Serials(Watch(), tmp_path)
        for _ in range(5):
            serials.next()
    assert caplog.text.count("can't be written") == 1
    last = serials.next()
    assert Serials(Watch(NOON - 3600.0), tmp_path).next() > last
