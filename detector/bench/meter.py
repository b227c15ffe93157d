"""What one measurement is asked and answers: a `Job` enters a process, a `Meter` counts in it, `Taken` leaves."""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from functools import wraps
from pathlib import Path
from typing import Any

from detector.bench.setups import Setup, Taken


@dataclass(frozen=True, slots=True)
class Job:
    """Measure this setup on this clip.

    Attributes:
        setup: What.
        clip: On what.
        warm_up: A short clip that everything is run on before, so that loading isn't counted.
        most_s: Seconds of the clip, at most; for what costs the same whatever is shown.
        weights: Of Ultralytics; untrained ones where left out.
    """

    setup: Setup
    clip: Path
    warm_up: Path
    most_s: float | None = None
    weights: Path | None = None

    def json(self) -> str:
        """For the process."""
        return json.dumps(asdict(self), default=str)

    @classmethod
    def of(cls, text: str) -> Job:
        """As it was before `json`."""
        fields: dict[str, Any] = json.loads(text)
        weights = fields["weights"]
        return cls(
            Setup(**fields["setup"]),
            Path(fields["clip"]),
            Path(fields["warm_up"]),
            fields["most_s"],
            Path(weights) if weights else None,
        )


@dataclass(slots=True)
class Meter:
    """Where processor time goes while it measures."""

    cpu_s: float = 0.0
    wall_s: float = 0.0
    parts: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def measuring(self) -> Iterator[None]:
        """Count from nothing what goes on within."""
        self.parts.clear()
        wall, cpu = time.monotonic(), time.process_time()
        yield
        self.cpu_s, self.wall_s = time.process_time() - cpu, time.monotonic() - wall

    def timed(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, counted to a part."""

        @wraps(function)
        def counted(*arguments: Any, **named: Any) -> Any:
            began = time.process_time()
            try:
                return function(*arguments, **named)
            finally:
                self.parts[part] = self.parts.get(part, 0.0) + time.process_time() - began

        return counted

    def timed_steps(self, part: str, function: Callable[..., Iterator[Any]]) -> Callable[..., Iterator[Any]]:
        """The generator function, each step of it counted to a part."""

        @wraps(function)
        def counted(*arguments: Any, **named: Any) -> Iterator[Any]:
            step = self.timed(part, function(*arguments, **named).__next__)
            with suppress(StopIteration):
                while True:
                    yield step()

        return counted


def taken(meter: Meter, frames: int, looks: int, note: str = "") -> Taken:
    """What a run took."""
    decode_s, inference_s = (meter.parts.get(part, 0.0) for part in ("decode", "inference"))
    return Taken(frames, looks, meter.cpu_s, meter.wall_s, decode_s, inference_s, most_memory_mb(), note)


def most_memory_mb(status: Path = Path("/proc/self/status")) -> float:
    """The most memory this process ever held, MB."""
    try:
        lines = status.read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    for line in lines:
        if line.startswith("VmHWM:"):
            return float(line.split()[1]) / 2**10
    # Of the process that started this one too, where that was larger; hence the file first.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10
