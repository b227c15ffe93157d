"""What lies in an archive."""

from __future__ import annotations

import errno
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from detector.config import Camera, EdgeConfig
from detector.errors import SourceUnavailable
from detector.recorded.archive import Archive, gather
from detector.recorded.recordings import sessions


def put(folder: Path, **files: str) -> Path:
    for name, content in files.items():
        put_one(folder / name, content)
    return folder


def put_one(path: Path, content: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


def names(archive: Archive, folder: Path) -> list[str]:
    return [str(path.relative_to(folder)) for path in archive.files]


def passed(archive: Archive, folder: Path) -> dict[str, str]:
    return {str(one.path.relative_to(folder)): one.why.replace(f"{folder}/", "") for one in archive.passed}


def test_a_folder_means_all_below_it_in_natural_order(tmp_path: Path) -> None:
    for n, name in enumerate(("b/10.mp4", "b/2.mp4", "a/x/1.DAV", "c.mkv", "b/东区 门\n口.mp4")):
        put_one(tmp_path / name, str(n))
    found = gather([tmp_path])
    assert names(found, tmp_path) == ["c.mkv", "a/x/1.DAV", "b/东区 门\n口.mp4", "b/2.mp4", "b/10.mp4"]
    assert found.passed == []


def test_what_is_no_recording_is_named_with_the_reason(tmp_path: Path) -> None:
    for name in (
        "1.mp4",
        "song.mp3",
        "notes.txt",
        "README",
        "@eaDir/1.mp4",
        "lost+found/1.mp4",
        "Thumbs.db",
        ".DS_Store",
    ):
        put_one(tmp_path / name, name)
    found = gather([tmp_path])
    assert names(found, tmp_path) == ["1.mp4"]
    assert passed(found, tmp_path) == {
        "song.mp3": ".mp3 is not that of a video file",
        "notes.txt": ".txt is not that of a video file",
        "README": "its name is not that of a video file",
    }


def test_whatever_recorders_write_is_footage_also_what_is_not_read_here(tmp_path: Path) -> None:
    for name in ("1.ps", "2.vob", "3.3gp", "4.HEVC", "5.avc", "6.asf", "7.wmv"):
        put_one(tmp_path / name, name)
    found = gather([tmp_path])
    assert len(found.files) == 7 and not found.passed


def test_the_same_recording_under_two_names_is_read_once(tmp_path: Path) -> None:
    long = "x" * 4_000_000
    put_one(tmp_path / "a.mp4", long + "1" + long)
    shutil.copy(tmp_path / "a.mp4", tmp_path / "b.mp4")
    put_one(tmp_path / "c.mp4", long + "2" + long)  # of one size, as recorders fill their files
    put_one(tmp_path / "empty.mp4", "")
    put_one(tmp_path / "void.mp4", "")
    found = gather([tmp_path, tmp_path / "a.mp4"])
    assert names(found, tmp_path) == ["a.mp4", "c.mp4", "empty.mp4", "void.mp4"]
    assert passed(found, tmp_path) == {"b.mp4": "the same recording as a.mp4"}


def test_of_two_names_the_one_that_tells_the_time_is_kept(tmp_path: Path) -> None:
    for name in ("copy.mp4", "ch1_20261101092613.mp4", "later.mp4"):
        put_one(tmp_path / name, "the same")
    found = gather([tmp_path / "copy.mp4", tmp_path])
    assert names(found, tmp_path) == ["ch1_20261101092613.mp4"]
    assert passed(found, tmp_path) == dict.fromkeys(
        ("copy.mp4", "later.mp4"), "the same recording as ch1_20261101092613.mp4"
    )


def test_of_two_names_that_tell_the_time_the_one_wanted_is_kept(tmp_path: Path) -> None:
    for name in ("ch1_20261101092613.mp4", "ch1_20261102092613.mp4", "ch1_20261103092613.mp4", "a.mp4", "wanted.mp4"):
        put_one(tmp_path / name, "the same")
    found = gather([tmp_path], wanted=lambda path: path.stem in {"ch1_20261102092613", "wanted"})
    assert names(found, tmp_path) == ["ch1_20261102092613.mp4"]
    assert [one.twin for one in found.passed] == found.files * 4, "also of those found before it"


def test_a_pipe_that_is_called_like_a_recording_is_not_waited_for(tmp_path: Path) -> None:
    put_one(tmp_path / "1.mp4", "1")
    os.mkfifo(tmp_path / "2.mp4")
    found = gather([tmp_path, *tmp_path.glob("1*")])
    assert names(found, tmp_path) == ["1.mp4"]
    assert passed(found, tmp_path) == {"2.mp4": "no file, but a pipe, socket or device"}


def test_many_files_of_one_size_are_each_read_in_samples_and_once(tmp_path: Path) -> None:
    for n in range(200):
        put_one(tmp_path / f"{n}.mp4", f"{n:06}" + "x" * 1000)
    put_one(tmp_path / "300.mp4", f"{7:06}" + "x" * 1000)
    with count_opened() as opened:
        found = gather([tmp_path])
    assert len(found.files) == 200 and passed(found, tmp_path) == {"300.mp4": "the same recording as 7.mp4"}
    assert len(opened) <= 201 + 2, "each once, and two to be compared"


@contextmanager
def count_opened() -> Iterator[list[str]]:
    """Recordings that are opened meanwhile."""
    opened: list[str] = []
    listening = True

    def hear(event: str, arguments: tuple[object, ...]) -> None:
        if listening and event == "open" and str(arguments[0]).endswith(".mp4"):
            opened.append(str(arguments[0]))

    sys.addaudithook(hear)
    yield opened
    listening = False


def test_a_link_that_leads_in_a_circle_ends(tmp_path: Path) -> None:
    put_one(tmp_path / "a" / "1.mp4", "1")
    (tmp_path / "a" / "again").symlink_to(tmp_path)
    (tmp_path / "a" / "2.mp4").symlink_to(tmp_path / "a" / "1.mp4")
    (tmp_path / "a" / "3.mp4").symlink_to("nowhere.mp4")
    found = gather([tmp_path])
    assert names(found, tmp_path) == ["a/1.mp4", "a/3.mp4"]  # reading the last will say that it isn't there


def test_results_that_lie_among_the_footage_are_no_footage(tmp_path: Path) -> None:
    for name in ("1.mp4", "out/clips/2.mp4", "out/report.html", "clips/3.mp4"):
        put_one(tmp_path / name, name)
    found = gather([tmp_path], results=tmp_path / "clips" / ".." / "out")
    assert names(found, tmp_path) == ["1.mp4", "clips/3.mp4"]
    assert passed(found, tmp_path) == {"out": "results of a replay, no recordings"}
    for name in ("1.mp4", "out/clips/2.mp4"):
        assert names(gather([tmp_path / name], results=tmp_path / "out"), tmp_path) == [name], "named by itself"


def test_what_earlier_looks_at_the_footage_left_among_it_is_no_footage(tmp_path: Path) -> None:
    names_left = "march/incidents.jsonl", "march/summary.json", "march/clips/i1.mp4", "asked/why.html", "asked/why.mp4"
    at_work = "april/clips/i1.mp4", "april/sessions/1.json", "april/snapshots/i1.jpg"
    for name in (*names_left, *at_work, "1.mp4", "clips/2.mp4", "other/why.mp4"):
        put_one(tmp_path / name, name)
    found = gather([tmp_path])
    assert names(found, tmp_path) == ["1.mp4", "clips/2.mp4", "other/why.mp4"]
    left = {name: why for name, why in passed(found, tmp_path).items() if "not that of" not in why}
    assert left == {
        "march/clips": "results of a replay, no recordings",
        "april/clips": "results of a replay, no recordings",
        "asked/why.mp4": "made by labelwatch why, no recording",
    }
    assert names(gather([tmp_path / "march" / "clips"]), tmp_path) == ["march/clips/i1.mp4"], "named, it is looked at"


def test_footage_in_the_folder_of_the_results_is_footage_and_its_clips_are_not(tmp_path: Path) -> None:
    for name in ("1.mp4", "day/2.mp4", "clips/3.mp4"):
        put_one(tmp_path / name, name)
    assert names(gather([tmp_path], results=tmp_path), tmp_path) == ["1.mp4", "day/2.mp4"]


def test_a_glob_means_what_it_matches_unless_a_file_is_called_so(tmp_path: Path) -> None:
    for name in ("ch1_2.mp4", "ch1_10.mp4", "ch2_1.mp4", "[1].mp4", "1.mp4"):
        put_one(tmp_path / name, name)
    assert names(gather([tmp_path / "ch1_*.mp4"]), tmp_path) == ["ch1_2.mp4", "ch1_10.mp4"]
    assert names(gather([tmp_path / "[1].mp4"]), tmp_path) == ["[1].mp4"]
    assert names(gather([tmp_path / "**" / "ch2*"]), tmp_path) == ["ch2_1.mp4"]


@pytest.mark.parametrize("path", ["nothing", "no*", "empty"])
def test_a_path_that_means_nothing_is_an_error(tmp_path: Path, path: str) -> None:
    put(tmp_path / "empty", notes="")
    with pytest.raises(SourceUnavailable, match=f"{tmp_path}/"):
        gather([tmp_path / path])


def test_a_share_that_is_not_mounted_is_thought_of(tmp_path: Path) -> None:
    with pytest.raises(SourceUnavailable, match=r"empty: is the disk or share mounted\?"):
        gather([tmp_path])
    (tmp_path / "notes.txt").touch()
    with pytest.raises(SourceUnavailable, match="no video file in this folder"):
        gather([tmp_path])


def test_a_glob_that_is_none_is_an_error(tmp_path: Path) -> None:
    put(tmp_path, a="1")
    with pytest.raises(SourceUnavailable, match=r"\*\*\.mp4: no such file or folder"):
        gather([tmp_path / "**.mp4"])


def test_a_folder_that_can_t_be_read_isn_t_said_to_be_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def scan(path: Path) -> Iterator[None]:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(os, "scandir", scan)
    with pytest.raises(SourceUnavailable, match="the folder can't be read: Permission denied"):
        gather([tmp_path])


def test_a_file_that_is_named_is_read_whatever_its_suffix(tmp_path: Path) -> None:
    odd = put_one(tmp_path / "recording.bin", "1")
    assert gather([odd]).files == [odd]


def test_whoever_waits_is_told_how_many_files_are_found_and_asked(tmp_path: Path) -> None:
    for name in ("a/1.mp4", "a/2.mp4", "a/notes.txt", "b/3.mp4"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    told: list[str] = []
    found = gather([tmp_path], say=told.append)
    assert told[3] == "finding recordings: 2 so far" and told[-1] == "telling copies apart: 3 of 3 files"
    config = EdgeConfig(site="north", edge="box", cameras=[Camera(name="cam1", source="rtsp://10.0.0.2/1")])
    sessions(found.files, config, None, say=told.append)
    assert told[-1] == "asking files when they begin: 3 of 3"
