"""What came of one camera's recordings, as the ledger tells that `--resume` reads."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from detector.machine.whole_files import write_whole


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraResult:
    """What came of a camera; of one that couldn't be judged, no more than its files.

    Attributes:
        camera: Its name.
        incidents: As lines of `incidents.jsonl`.
        files: What is told of each file, in order.
        borders: Gaps and overlaps between them, and gaps within them.
        census: How parcels lay over time, by zone.
        people: Seconds that people were in view, each counted, and of these too far off; `None` where nobody counts.
        seconds: Of video that was read.
        covered_s: Seconds of time that it shows, where files overlap counted once.
        frames_decoded: Pictures read.
        frames_inferred: Of these looked at and judged.
        frames_passed_over: Of these due, and not looked at since nothing moved.
        title: What people call the camera.
        size: Of its newest picture, width and height in pixels; `None` where there is none.
        turn: Degrees clockwise by which that was turned to be shown.
        cpu_s: Processor seconds.
    """

    camera: str
    incidents: list[dict[str, Any]] = field(default_factory=list)
    files: list[dict[str, Any]]
    borders: list[dict[str, Any]] = field(default_factory=list)
    census: dict[str, list[list[float]]] = field(default_factory=dict)
    people: dict[str, float] | None = None
    seconds: float = 0
    covered_s: float
    frames_decoded: int = 0
    frames_inferred: int = 0
    frames_passed_over: int = 0
    title: str
    size: list[int] | None = None
    turn: int = 0
    cpu_s: float = 0

    @property
    def finished(self) -> bool:
        """Whether no other run could come to know more."""
        return not any(file.get("transient") for file in self.files)


def write_ledger(path: Path, result: CameraResult) -> None:
    """Write what came of a camera, whole or not at all, and to stay: what was seen of it is deleted then.

    Raises:
        OSError: It can't be written.
    """
    # Names of files may be of another time's encoding; from here on they are texts.
    write_whole(path, json.dumps(asdict(result), ensure_ascii=False).encode(errors="replace"))


def forget_others(path: Path) -> None:
    """Delete what runs with other files or settings told of the camera of this ledger: its clips are written anew.

    Raises:
        OSError: It can't be deleted.
    """
    camera, _, _ = path.name.partition(".")
    for other in path.parent.glob(f"{camera}.*.json"):
        if other != path:
            other.unlink()


def read_ledger(path: Path) -> CameraResult | None:
    """What came of a camera; `None` where that isn't known yet."""
    try:
        return CameraResult(**json.loads(path.read_bytes()))
    except (FileNotFoundError, ValueError, TypeError):  # none, or what another form of ledger told: judged anew
        return None
