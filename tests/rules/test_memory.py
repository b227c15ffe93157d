"""States by track, forgotten with the track."""

from __future__ import annotations

from detector.rules.memory import TrackMemory


def test_a_track_met_first_starts_afresh_and_takes_no_room() -> None:
    memory: TrackMemory[list[int]] = TrackMemory(list)
    assert memory[7] == []
    assert len(memory) == 0


def test_ended_tracks_are_handed_back_once_in_order() -> None:
    memory: TrackMemory[str] = TrackMemory(str)
    for track in (3, 1, 2):
        memory[track] = f"state of {track}"
    assert memory.drop(frozenset({3, 1, 99})) == [(1, "state of 1"), (3, "state of 3")]
    assert memory.drop(frozenset({3, 1, 99})) == []
    assert (memory[1], memory[2], len(memory)) == ("", "state of 2", 1)
