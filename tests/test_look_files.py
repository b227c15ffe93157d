"""What was seen in a file comes back from its bytes as it was, however much it is; bytes that hold none are said so."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.errors import SourceError
from detector.recorded import look_files
from detector.recorded.look_files import FileLooks, LookPacker, Read, opened, packed, read_of, unpacked
from detector.values import KEYPOINTS, LABELS, TRAITS, VIEW_SIZE, Detections, Look, ViewMeasure

READ = Read(
    seconds=12.5,
    promised_s=13.0,
    decoded=250,
    scanned=((1.0, 2.0),),
    holes=((3.0, 14.5),),
    passed_over=3,
    size=9_000,
    cpu_s=0.5,
)


def looks_of(counts: list[int], *, seed: int = 0, pointed: bool = False) -> list[Look]:
    """One look for each count of detections, every third with a measure of the view."""
    dice = np.random.default_rng(seed)
    edges = VIEW_SIZE[0] * VIEW_SIZE[1]
    return [
        Look(
            "dock", n, n / 5, (1280, 720),
            Detections(
                dice.uniform(0, 700, (count, 4)).astype(np.float32), dice.random(count, np.float32),
                dice.integers(0, len(LABELS), count), dice.random((count, len(TRAITS)), np.float32),
                dice.random((count, KEYPOINTS, 3), np.float32) if pointed else None,
                dice.random(count) < 0.5 if pointed and n % 2 else None,
            ),
            ViewMeasure(0.5, 0.2, 0.9, dice.integers(-128, 128, edges).astype(np.int8), n / 9, n / 7, n % 2 == 0)
            if n % 3 == 0 else None,
            "day.mp4", n / 5,
        )
        for n, count in enumerate(counts)
    ]  # fmt: skip


def same(found: Look, put: Look) -> bool:
    arrays = [(found.detections.boxes, put.detections.boxes), (found.detections.scores, put.detections.scores)]
    arrays += [(found.detections.class_ids, put.detections.class_ids), (found.detections.traits, put.detections.traits)]
    if put.detections.keypoints is not None:
        arrays.append((found.detections.keypoints, put.detections.keypoints))
    if put.detections.passed_over is not None:
        arrays.append((found.detections.passed_over, put.detections.passed_over))
    view = (found.view is None) == (put.view is None)
    if found.view is not None and put.view is not None:
        arrays.append((found.view.edges, put.view.edges))
        ours, theirs = found.view, put.view
        view = (ours.brightness, ours.still_s, ours.calm_s) == (theirs.brightness, theirs.still_s, theirs.calm_s)
        view &= ours.has_clock is theirs.has_clock
    plain = (found.camera, found.index, found.captured_at, found.size, found.file, found.offset_s)
    return (
        view
        and plain == (put.camera, put.index, put.captured_at, put.size, put.file, put.offset_s)
        and all(np.array_equal(a, b) for a, b in arrays)
    )


@settings(max_examples=25)
@given(st.lists(st.integers(0, 5), max_size=9), st.integers(0, 99), st.booleans(), st.integers(1, 4))
def test_looks_come_back_as_they_were_in_any_number_of_parts(
    counts: list[int], seed: int, pointed: bool, part: int
) -> None:
    put, usual = looks_of(counts, seed=seed, pointed=pointed), look_files.PART
    look_files.PART = part
    try:
        found = unpacked(packed(FileLooks(READ, put)))
    finally:
        look_files.PART = usual
    assert found.read == READ
    assert len(found.looks) == len(put)
    assert all(map(same, found.looks, put)), "the first time"
    assert [look.index for look in found.looks] == [look.index for look in put], "and again"


def test_a_long_file_is_packed_as_it_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(look_files, "PART", 10)
    packer = LookPacker()
    for look in looks_of([1] * 95):
        packer.add(look)
        assert len(packer._looks) < 10
    assert len(unpacked(packer.finish(READ)).looks) == 95


@pytest.mark.parametrize(
    "damaged",
    [
        pytest.param(lambda data: b"", id="nothing"),
        pytest.param(lambda data: b"no archive at all", id="something else"),
        pytest.param(lambda data: data[: len(data) // 2], id="cut off"),
        pytest.param(lambda data: data.replace(b"decoded", b"decodes"), id="another head"),
    ],
)
def test_what_holds_no_looks_is_said_and_is_not_whole(damaged: object, tmp_path: Path) -> None:
    data = damaged(packed(FileLooks(READ, looks_of([1, 2]))))  # type: ignore[operator]
    with pytest.raises(SourceError, match="can't be read back"):
        list(unpacked(data).looks)
    (tmp_path / "a.looks").write_bytes(data)
    assert read_of(tmp_path / "a.looks") is None


def test_a_flipped_byte_among_the_looks_is_found_when_they_are_gone_through(tmp_path: Path) -> None:
    file = tmp_path / "a.looks"
    file.write_bytes(packed(FileLooks(READ, looks_of([3] * 20))))
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 0xFF
    file.write_bytes(data)
    with pytest.raises(SourceError, match="can't be read back"):
        list(opened(file).looks)


def test_results_that_an_older_version_kept_are_read() -> None:
    with zipfile.ZipFile(io.BytesIO(packed(FileLooks(Read(unreadable="it is empty"))))) as archive:
        head = json.loads(archive.read("head.json"))
    del head["transient"]
    older = io.BytesIO()
    with zipfile.ZipFile(older, "w") as archive:
        archive.writestr("head.json", json.dumps(head))
    assert unpacked(older.getvalue()).read == Read(unreadable="it is empty")


def test_no_file_is_no_looks(tmp_path: Path) -> None:
    assert read_of(tmp_path / "a.looks") is None
    with pytest.raises(FileNotFoundError):
        opened(tmp_path / "a.looks")
