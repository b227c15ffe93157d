"""Clips are bounded by size, age and disk, least grave first; alerts give way to a full disk only after them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from detector import wire
from detector.alerts import tidy
from detector.alerts.clip_queue import Clip
from detector.alerts.outbox import Outbox
from detector.alerts.outbox_file import DiskFull
from detector.alerts.tidy import Tidy, _File, _worth
from detector.config import Buffers
from detector.values import DAY_S
from tests.alerts.conftest import make_fields
from tests.builders import SteppedClock
from tests.parts_mosquitto import soon

MB = 1_000_000


class Box:
    """An edge's folder of clips, with an outbox and a disk that has as much room as it is told."""

    def __init__(self, folder: Path, outbox: Outbox, clock: SteppedClock, **buffers: float) -> None:
        self.folder, self.outbox, self.clock = folder / "clips" / "cam-1", outbox, clock
        self.folder.mkdir(parents=True)
        self.free = 10_000 * MB
        self.tidy = Tidy(outbox, folder / "clips", Buffers(**buffers), clock, lambda _folder: self.free)

    def add(self, name: str, size_mb: float = 1, age_s: float = DAY_S, *, waits: bool = True) -> Path:
        """A file `INCIDENT.NUMBER.mp4` or its side file, which waits for the hub or not."""
        path = self.folder / name
        path.write_bytes(b"")
        os.truncate(path, round(size_mb * MB))
        os.utime(path, (self.clock.at - age_s,) * 2)
        what = wire.SIDE if path.suffix == ".gz" else None
        if waits:
            incident, number = name.split(".")[:2]
            self.outbox.clips.put(Clip(incident, int(number), "cam-1", path, "0" * 64, 1, 1.0, 1.0, what))
        return path

    @property
    def files(self) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir())


@pytest.fixture
def box(tmp_path: Path, outbox: Outbox, clock: SteppedClock) -> Callable[..., Box]:
    return lambda **buffers: Box(tmp_path, outbox, clock, **buffers)


def told(outbox: Outbox, incident: str, severity: str) -> None:
    """An incident whose alert the hub has already."""
    outbox.acknowledge([outbox.put(make_fields(incident, severity, phase="end"))])


def test_with_room_for_all_nothing_goes(box: Callable[..., Box]) -> None:
    here = box()
    here.add("a.0.mp4")
    here.tidy.look_round()
    assert here.files == ["a.0.mp4"]
    assert here.outbox.counts()["dropped_clips"] == 0


@pytest.mark.parametrize("waits", [True, False])  # for a hub, or there is none
def test_too_much_gives_way_by_incident_the_least_grave_first_then_the_oldest(
    box: Callable[..., Box], waits: bool
) -> None:
    here = box(clip_gb=0.005)
    for incident, severity in (("a", "critical"), ("b", "info"), ("c", "info"), ("d", "warning")):
        told(here.outbox, incident, severity)
    for name, days in (("a.0.mp4", 9), ("c.0.mp4", 1), ("b.0.mp4", 2), ("b.1.mp4", 1), ("d.0.mp4", 0)):
        here.add(name, 1.5, days * DAY_S + 3600, waits=waits)
    here.add("b.0.side.json.gz", 0.1, waits=waits)
    here.tidy.look_round()
    assert here.files == ["a.0.mp4", "c.0.mp4", "d.0.mp4"]
    counts = here.outbox.counts()
    assert counts["dropped_by"] == {"clip": {"bytes": {"info": 2}}}
    assert counts["clips"] == (3 if waits else 0)
    here.add("e.0.mp4", 2.0, 7200, waits=waits)  # of an incident that nothing is known of: it counts as a note
    here.tidy.look_round()
    assert here.files == ["a.0.mp4", "d.0.mp4", "e.0.mp4"]


def test_what_is_too_old_goes_whatever_it_shows(box: Callable[..., Box]) -> None:
    here = box(clip_days=30)
    told(here.outbox, "a", "critical")
    here.add("a.0.mp4", age_s=31 * DAY_S)
    here.add("b.0.mp4", age_s=29 * DAY_S)
    here.add("c.0.broken", age_s=31 * DAY_S, waits=False)
    here.add("d.0.mp4", age_s=here.clock.at - 1000, waits=False)  # made in 1970: the clock wasn't set
    here.tidy.look_round()
    assert here.files == ["b.0.mp4", "d.0.mp4"]
    assert here.outbox.counts()["dropped_by"]["clip"]["age"] == {"critical": 1, "info": 1}


def test_what_is_being_written_or_handed_over_stays(box: Callable[..., Box]) -> None:
    here = box(clip_gb=0.001)
    here.add("a.0.1793525173250.part", 5, waits=False)
    here.add("b.0.mp4", 5, age_s=60, waits=False)
    here.add(".c.0.mp4.draft", 5, waits=False)
    here.tidy.look_round()
    assert len(here.files) == 3


def test_a_full_disk_costs_clips_first_and_alerts_only_after_them(box: Callable[..., Box]) -> None:
    here = box(reserve_gb=1)
    for n in range(40):
        here.outbox.put(make_fields(f"i{n}", snapshot="x" * 1_000_000, phase="end"))
    here.add("i0.0.mp4", 100)
    here.free = 950 * MB
    here.tidy.look_round()
    assert here.files == []
    assert here.outbox.counts()["dropped_by"] == {"clip": {"disk": {"warning": 1}}}
    here.free = 100 * MB  # of which the outbox can take what it needs
    here.tidy.look_round()
    assert here.outbox.counts()["dropped"] == 0
    here.free = 50 * MB
    for _ in range(3):  # what is freed inside is enough: no more goes
        here.tidy.look_round()
    assert here.outbox.counts()["dropped_by"]["alert"] == {"disk": {"warning": 17}}
    assert here.outbox.room.free_bytes() > 16 * MB


def test_a_small_outbox_on_a_full_disk_keeps_half_of_its_alerts_the_gravest_first(box: Callable[..., Box]) -> None:
    here = box()
    for n in range(40):
        here.outbox.put(make_fields(f"i{n}", "critical" if n < 10 else "info", snapshot="x" * 50_000, phase="end"))
    here.free = 0
    for _ in range(10):
        here.tidy.look_round()
    assert here.outbox.counts()["dropped_by"]["alert"] == {"disk": {"info": 21}}


def test_a_disk_too_full_for_the_outbox_to_write_gets_room_all_the_same(
    box: Callable[..., Box], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    here = box(reserve_gb=1)
    here.add("a.0.mp4", 100)
    here.free = 0

    def full() -> int:
        raise DiskFull("no room left on the disk of the outbox")

    monkeypatch.setattr(here.outbox.room, "drop_old", full)
    here.tidy.look_round()
    assert here.files == []
    assert here.outbox.counts()["dropped_by"] == {"clip": {"disk": {"info": 1}}}
    assert "no room left" in caplog.text


def test_how_grave_an_incident_was_is_forgotten_with_its_files(box: Callable[..., Box]) -> None:
    here = box()
    told(here.outbox, "a", "critical")
    told(here.outbox, "b", "critical")
    path = here.add("a.0.mp4", waits=False)
    here.clock.sleep(2 * 3600)
    here.tidy.look_round()
    assert here.outbox.severities(["a", "b"]) == {"a": 2}
    path.unlink()
    here.tidy.look_round()
    assert here.outbox.severities(["a", "b"]) == {}


def test_what_makes_room_among_very_many_clips_is_chosen_at_once() -> None:
    files = [_File(Path(f"{n // 2}.{n % 2}.mp4"), str(n // 2), 10, float(n)) for n in range(60_000)]
    began = time.process_time()
    assert _worth(files, 299_995.0) == files[:30_000]
    assert time.process_time() - began < 2.0


def test_it_looks_round_by_itself(box: Callable[..., Box]) -> None:
    here = box(clip_days=1)
    here.add("a.0.mp4", age_s=3 * DAY_S)
    here.tidy.start()
    assert here.tidy.stop(10.0)
    assert here.files == []


def test_whatever_goes_wrong_it_looks_round_again(
    box: Callable[..., Box], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    here = box(clip_days=1)
    here.add("a.0.mp4", age_s=3 * DAY_S)
    look_round, wrong = here.tidy.look_round, [RuntimeError("odd"), OSError("away")]

    def goes_wrong_at_first() -> None:
        if wrong:
            raise wrong.pop()
        look_round()

    monkeypatch.setattr(tidy, "EVERY_S", 0.01)
    monkeypatch.setattr(here.tidy, "look_round", goes_wrong_at_first)
    here.tidy.start()
    assert soon(lambda: here.files == [])
    assert here.tidy.stop(10.0)
    assert caplog.text.count("the edge's buffers can't be looked after") == 2


def test_a_clock_that_leaps_far_ahead_makes_no_clip_too_old(box: Callable[..., Box]) -> None:
    here = box(clip_days=62.0)
    here.add("a.0.mp4")
    here.tidy.look_round()
    ahead_s = 4000 * DAY_S
    here.clock.at += ahead_s
    for _ in range(60):
        here.clock.at += 60.0
        here.tidy.look_round()
    assert here.files == ["a.0.mp4"]
    here.clock.at -= ahead_s
    here.tidy.look_round()
    assert here.files == ["a.0.mp4"] and here.outbox.counts()["dropped_clips"] == 0
    for _ in range(70):  # days in which it goes on as clocks do
        here.clock.at += DAY_S
        here.tidy.look_round()
    assert here.files == []
