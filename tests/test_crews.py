"""Who carries look tasks out: what becomes of the rest where a file ends or hangs its reader."""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from detector.config import Analysis
from detector.errors import LabelwatchError
from detector.machine.progress import Step
from detector.recorded.crews import Alone
from detector.recorded.look_files import Read, unpacked
from detector.recorded.looking import LookTask, task_of
from detector.recorded.processes import Processes
from detector.report.reasons import in_chinese
from detector.sources.confined import landlock_version
from tests.parts_crew import PLENTY, killed_before, obedient, overtaken

SILENT_S = 2.0


def tasks_in(folder: Path, **files: str) -> list[LookTask]:
    """Tasks of looking at files that say so."""
    for name, text in files.items():
        (folder / f"{name}.mp4").write_text(text)
    return [task_of(folder / f"{name}.mp4", name, Analysis()) for name in files]


class Diary:
    """What is told of files that are each of a camera of their own: who began, who ended, and what was taken back."""

    def __init__(self, folder: Path) -> None:
        self.steps: list[Step] = []
        self.lines: list[str] = []
        self._folder = folder
        self._told: Counter[str] = Counter()

    def __call__(self, step: Step) -> None:
        self.steps.append(step)
        name, before = step.camera, self._told[step.camera]
        self._told[name] += round(step.seconds)
        if step.seconds < 0:
            killed_before(self._folder / f"{name}.mp4").touch()
        elif step.seconds > 0:
            self.lines.append(f"{'end' if before else 'begin'} {name}")


def carried_out(crew: Processes, tasks: list[LookTask], progress: Callable[[Step], None]) -> dict[str, Read]:
    """What was told of each file, in the order of its results."""
    results = [(task.path.stem, unpacked(found).read) for task, found in crew.results(tasks, progress)]
    assert len(results) == len(dict(results)), "each once"
    return dict(results)


def test_files_that_end_hang_or_fail_their_reader_are_tried_three_times_and_set_aside_and_the_rest_is_done(
    tmp_path: Path,
) -> None:
    tasks = tasks_in(
        tmp_path, a="wait", killed="kill once", b="wait", crasher="crash", c="wait", hoarder="hoard", hanging="hang",
        d="wait", e="wait",
    )  # fmt: skip
    diary = Diary(tmp_path)
    found = carried_out(Processes(2, silent_s=SILENT_S, look=obedient), tasks, diary)
    why = {name: read.unreadable.split(": ", 1)[1] for name, read in found.items() if read.unreadable}
    assert all(in_chinese(told, "") != told for told in why.values())
    assert why.pop("hanging").startswith("made no progress for ")
    assert why == {
        "crasher": "ended the process that read it (SIGSEGV), 3 times: set aside",
        "hoarder": "looking at it failed with MemoryError: set aside",
    }
    assert {name for name, read in found.items() if read.set_aside} == {"crasher", "hoarder", "hanging"}
    assert found.keys() == {task.path.stem for task in tasks}
    assert sum(step.bytes for step in diary.steps) == pytest.approx(sum(task.size for task in tasks))
    assert sum(step.seconds for step in diary.steps) == 10.0 * 6, "what was lost is taken back"
    begun = {name: [n for n, line in enumerate(diary.lines) if line == f"begin {name}"] for name in found}
    assert {name: len(at) for name, at in begun.items() if len(at) > 1} == {"killed": 2, "crasher": 3, "hanging": 3}
    for n in (begun["killed"][1], *begun["crasher"][1:]):
        before = {line.split()[1] for line in diary.lines[:n]} - {"killed", "crasher", "hoarder", "hanging"}
        assert all(f"end {name}" in diary.lines[:n] for name in before), "a suspect is tried while nobody else works"


def test_what_was_seen_in_a_day_is_in_its_readers_memory_once(tmp_path: Path) -> None:
    (task,) = tasks_in(tmp_path, day="plenty")
    crew = Processes(1, memory_bytes=2 * PLENTY, look=obedient)
    assert [(done, len(found)) for done, found in crew.results([task], lambda step: None)] == [(task, PLENTY)]


def test_whoever_wants_no_more_results_ends_who_is_at_work(tmp_path: Path) -> None:
    tasks = tasks_in(tmp_path, a="", b="hang")
    diary = Diary(tmp_path)
    results = Processes(1, look=obedient).results(tasks, diary)
    assert next(results)[0].path.stem == "a"
    results.close()  # type: ignore[attr-defined]
    assert "end b" not in diary.lines


def test_a_file_that_takes_over_its_reader_gets_nowhere(tmp_path: Path) -> None:
    landlock = landlock_version()
    if landlock < 1:
        pytest.skip("this kernel has no Landlock (Linux 5.13 or newer, with `landlock` in its `lsm=` parameter)")
    (tmp_path / "hub.key").write_text("key")
    (tmp_path / "footage").mkdir()
    with socket.create_server(("127.0.0.1", 0)) as service:
        tasks = tasks_in(tmp_path / "footage", evil=str(service.getsockname()[1]))
        read = carried_out(Processes(1, look=overtaken), tasks, lambda step: None)["evil"]
    tried = dict(attempt.split(":") for attempt in (read.unreadable or "").split())
    assert tried.pop("connect") == ("PermissionError" if landlock >= 4 else "done")
    assert tried == {"read": "done", "write": "PermissionError", "secret": "PermissionError", "run": "PermissionError"}


@pytest.mark.parametrize("crew", [Alone(), Processes(2)], ids=["alone", "processes"])
def test_a_model_that_cant_be_loaded_is_no_fault_of_the_files(tmp_path: Path, crew: Alone | Processes) -> None:
    (task,) = tasks_in(tmp_path, a="")
    lost = LookTask(task.name, task.path, task.camera, task.size, Analysis(model=str(tmp_path / "no.yaml")))
    with pytest.raises(LabelwatchError, match=r"no\.yaml"):
        list(crew.results([lost], lambda step: None))
