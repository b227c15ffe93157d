"""One recorded file is looked at: a task enters, what was seen in the file leaves as bytes.

A task depends on nothing but the file and how closely to look, so it may be run on any machine that can read the file,
twice or half and again. Its name says all that shapes the result: a result of that name is this task's.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from detector.config import Analysis
from detector.errors import SourceError
from detector.machine.progress import Step
from detector.media.shape import AS_TOLD, Shape
from detector.recorded.checksums import looking_code
from detector.recorded.look_files import FileLooks, LookPacker, Read, packed

if TYPE_CHECKING:
    from detector.inference.looker import Detector
    from detector.values import Look


TOLD_EVERY_S = 0.2  # at most, however fast the work goes on


@dataclass(frozen=True, slots=True)
class LookTask:
    """Look at this file, so closely.

    Attributes:
        name: Of the result; the same for the same content and the same way to look.
        path: Where the file is.
        camera: Whose it is.
        size: Bytes of the file.
        analysis: How closely.
        phase_s: How long after a full step of looking the file begins, seconds (`phase_of`).
        fast_scan: Look at key frames first, and at the rest only round those in which something changed.
        shape: As of `Recording`.
    """

    name: str
    path: Path
    camera: str
    size: int
    analysis: Analysis
    phase_s: float = 0.0
    fast_scan: bool = False
    shape: Shape = AS_TOLD


def task_of(
    path: Path,
    camera: str,
    analysis: Analysis,
    begins_at: float | None = None,
    *,
    fast_scan: bool = False,
    shape: Shape = AS_TOLD,
) -> LookTask:
    """The task of looking at a file.

    Args:
        path: Where it is.
        camera: Whose it is.
        analysis: How closely.
        begins_at: About when it begins, Unix seconds, so that it is looked at at the frames that live had looked at.
        fast_scan: As of `LookTask`.
        shape: Likewise.

    Raises:
        ModelError: The model can't be used.
    """
    size, changed = 0, 0
    try:
        stat = path.stat()
        size, changed = stat.st_size, stat.st_mtime_ns
    except OSError:
        pass  # the look will say so
    phase_s = phase_of(begins_at or 0.0, analysis.fps)
    how = looking_code(), analysis.model_dump_json(), *model_of(analysis).values(), phase_s, fast_scan, shape
    shaping = *how, os.path.realpath(path), camera, size, changed
    said = "\n".join(map(str, shaping)).encode(errors="surrogateescape")  # names may be of another time's encoding
    name = hashlib.sha256(said).hexdigest()[:24]
    return LookTask(name, path, camera, size, analysis, phase_s, fast_scan, shape)


def phase_of(begins_at: float, fps: float) -> float:
    """How long after a full step of so many looks a second a time is, seconds; the same for all that begin likewise."""
    return round(begins_at * fps % 1.0 / fps, 6)


def size_of(path: Path) -> int:
    """Bytes of a file; 0 where that can't be known."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


@cache
def _chosen(model: str, precision: str) -> tuple[tuple[str, str], ...]:
    from detector.inference.card import find_card
    from detector.inference.session import choose

    card = find_card(model)
    variant = choose(card, precision)
    sha256 = variant.sha256 or card.sha256
    return ("name", card.name), ("sha256", sha256), ("precision", variant.precision), ("runtime", variant.runtime)


def model_of(analysis: Analysis) -> dict[str, str]:
    """The model that looks, and how this machine runs it: `auto` may mean another precision elsewhere.

    Raises:
        ModelError: The model can't be used.
    """
    return dict(_chosen(analysis.model, analysis.precision))


def look_at(task: LookTask, progress: Callable[[Step], None] = lambda step: None) -> bytes:
    """Carry out a task; what can't be read is told in the result and never raised.

    Args:
        task: Which.
        progress: Told about once for a second of footage.

    Raises:
        ModelError: The model can't be loaded.
    """
    from detector.assembly import build_looker
    from detector.recorded.scanning import KeyFrameScan
    from detector.sources.pacing import Pacer
    from detector.sources.recording import Recording

    began = time.process_time()
    looker = build_looker(task.analysis, load(task.analysis))
    ungated = build_looker(task.analysis.model_copy(update={"gate": False}), load(task.analysis))
    scan = KeyFrameScan(ungated, printed=lambda: looker.printed)
    try:
        recording = Recording(
            task.path, camera=task.camera, start_at=0.0, fps=task.analysis.fps,
            due=Pacer(task.analysis.fps, task.phase_s).due,
            changed=scan.changed if task.fast_scan else None, shape=task.shape,
        )  # fmt: skip
    except SourceError as error:
        progress(Step(task.camera, 0.0, task.size))
        transient = isinstance(error.__cause__, OSError)
        return packed(FileLooks(Read(unreadable=str(error), transient=transient, size=task.size)))
    promised_s = recording.duration_s or 0.0  # once closed, not every format still tells
    told, packer, passed_over, unreadable = _Told(task, promised_s, progress), LookPacker(), 0, None
    looks: list[Look] = []
    keep = looks.append if task.fast_scan else packer.add  # key frames looked at have their places among the others
    try:
        for frame in recording:
            look = looker.look(frame)
            if look is not None:
                keep(look)
            passed_over += look is None
            told.reach(frame.captured_at)
    except SourceError as error:
        unreadable = str(error)
    finally:
        recording.close()
    told.end(recording.end_s)
    if unreadable is None and not recording.frames_decoded:
        unreadable = undecoded(task.path)
    for look in sorted(looks + scan.looks_within(recording.undecoded), key=lambda look: look.captured_at):
        packer.add(look)
    read = Read(
        seconds=recording.end_s,
        promised_s=promised_s,
        decoded=recording.frames_decoded,
        undecoded=recording.frames_undecoded,
        scanned=tuple(recording.undecoded),
        holes=tuple(recording.holes),
        passed_over=passed_over,
        damaged=recording.decode_errors,
        others=recording.others,
        is_untimed=recording.is_untimed,
        broken_off=recording.broken_off,
        transient=recording.disk_failed,
        unreadable=unreadable,
        size=task.size,
    )
    return packer.finish(replace(read, cpu_s=time.process_time() - began))


def undecoded(path: Path) -> str:
    """What is said of a file that holds no picture."""
    return f"{path}: no picture in it can be decoded: is it encrypted? Export it again without a password"


@cache
def load(analysis: Analysis) -> Detector:
    """What looks at pictures; loaded once a process, since files are many and short.

    Raises:
        ModelError: The model can't be loaded.
    """
    from detector.inference import load_detector

    return load_detector(analysis)


class _Told:
    """Tells of progress within a file, about once a second of footage."""

    def __init__(self, task: LookTask, length_s: float, progress: Callable[[Step], None]) -> None:
        self._task, self._length_s, self._progress = task, length_s, progress
        self._at_s, self._left = 0.0, float(task.size)
        self._told_at = time.monotonic()

    def reach(self, at_s: float) -> None:
        """Reading is at so many seconds into the file."""
        if at_s - self._at_s >= 1.0 and time.monotonic() - self._told_at >= TOLD_EVERY_S:
            share = (at_s - self._at_s) / self._length_s if self._length_s > 0 else 0.0
            self._tell(at_s, min(share * self._task.size, self._left))

    def end(self, at_s: float) -> None:
        """The file is through."""
        self._tell(max(at_s, self._at_s), self._left)

    def _tell(self, at_s: float, size: float) -> None:
        self._progress(Step(self._task.camera, at_s - self._at_s, size))
        self._at_s = at_s
        self._left -= size
        self._told_at = time.monotonic()
