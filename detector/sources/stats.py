"""What a running source tells about itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["connecting", "online", "lost", "refused", "ended"]


@dataclass(slots=True)
class SourceStats:
    """Counters of one source, written by it and read by any thread; numbers only grow.

    Attributes:
        state: `refused` is a wrong password, `lost` a stream that broke off, `ended` a recording that is through.
        frames_in: Pictures decoded.
        analysed: Frames handed on.
        dropped: Frames that were due but came too late for the one before, so that the newest is looked at.
        decode_errors: Damaged packets and pictures.
        reconnects: Attempts after the first.
        last_frame_at: When the last picture came, Unix seconds UTC.
        last_error: The last trouble, without user and password.
    """

    state: State = "connecting"
    frames_in: int = 0
    analysed: int = 0
    dropped: int = 0
    decode_errors: int = 0
    reconnects: int = 0
    last_frame_at: float | None = None
    last_error: str | None = None
