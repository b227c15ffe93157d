"""Who carries look tasks out: what becomes of the rest where a file ends or hangs its reader."""

from __future__ import annotations

from pathlib import Path

import pytest

from detector.config import Analysis
from detector.errors import LabelwatchError
from detector.progress import Step
from detector.recorded.crews import Alone
from detector.recorded.look_files import Read, unpacked
from detector.recorded.looking import LookTask, task_of
from detector.recorded.processes import Processes
from detector.report.reasons import in_chinese
from tests.parts_crew import DIARY, obedient

SILENT_S = 2.0


def tasks_in(folder: Path, **files: str) -> list[LookTask]:
    """Tasks of looking at files that say so."""
    for name, text in files.items():
        (folder / f"{name}.mp4").write_text(text)
    return [task_of(folder / f"{name}.mp4", "gate", Analysis()) for name in files]


def carried_out(crew: Processes, tasks: list[LookTask], steps: list[Step]) -> dict[str, Read]:
    """What was told of each file, in the order of its results."""
    results = [(task.path.stem, unpacked(found).read) for task, found in crew.results(tasks, steps.append)]
    assert len(results) == len(dict(results)), "each once"
    return dict(results)


def test_files_that_end_hang_or_fail_their_reader_are_tried_three_times_and_set_aside_and_the_rest_is_done(
    tmp_path: Path,
) -> None:
    tasks = tasks_in(
        tmp_path, a="wait", killed="kill once", b="wait", crasher="crash", c="wait", hoarder="hoard", hanging="hang",
        d="wait", e="wait",
    )  # fmt: skip
    steps: list[Step] = []
    found = carried_out(Processes(2, silent_s=SILENT_S, look=obedient), tasks, steps)
    why = {name: read.unreadable.split(": ", 1)[1] for name, read in found.items() if read.unreadable}
    assert all(in_chinese(told, "") != told for told in why.values())
    assert why.pop("hanging").startswith("made no progress for ")
    assert why == {
        "crasher": "ended the process that read it (SIGSEGV), 3 times: set aside",
        "hoarder": "looking at it failed with MemoryError: set aside",
    }
    assert {name for name, read in found.items() if read.set_aside} == {"crasher", "hoarder", "hanging"}
    assert found.keys() == {task.path.stem for task in tasks}
    assert sum(step.bytes for step in steps) == pytest.approx(sum(task.size for task in tasks))
    assert sum(step.seconds for step in steps) == 10.0 * 6, "what was lost is taken back"
    told = (tmp_path / DIARY).read_text().splitlines()
    begun = {name: [n for n, line in enumerate(told) if line == f"begin {name}.mp4"] for name in found}
    assert {name: len(at) for name, at in begun.items() if len(at) > 1} == {"killed": 2, "crasher": 3, "hanging": 3}
    for n in (begun["killed"][1], *begun["crasher"][1:]):
        before = {line.split()[1] for line in told[:n]} - {"killed.mp4", "crasher.mp4", "hoarder.mp4", "hanging.mp4"}
        assert all(f"end {name}" in told[:n] for name in before), "a suspect is tried while nobody else works"


def test_whoever_wants_no_more_results_ends_who_is_at_work(tmp_path: Path) -> None:
    tasks = tasks_in(tmp_path, a="", b="hang")
    results = Processes(1, look=obedient).results(tasks, lambda step: None)
    assert next(results)[0].path.stem == "a"
    results.close()  # type: ignore[attr-defined]
    assert "end b.mp4" not in (tmp_path / DIARY).read_text()


@pytest.mark.parametrize("crew", [Alone(), Processes(2)], ids=["alone", "processes"])
def test_a_model_that_cant_be_loaded_is_no_fault_of_the_files(tmp_path: Path, crew: Alone | Processes) -> None:
    (task,) = tasks_in(tmp_path, a="")
    lost = LookTask(task.name, task.path, task.camera, task.size, Analysis(model=str(tmp_path / "no.yaml")))
    with pytest.raises(LabelwatchError, match=r"no\.yaml"):
        list(crew.results([lost], lambda step: None))
