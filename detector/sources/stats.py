"""What a running source tells about itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["connecting", "online", "lost", "refused", "hung", "crashed", "ended"]

Trouble = Literal[
    "unreachable",  # nothing listens there, or the network is down
    "refused",  # user name or password are wrong
    "no_answer",  # a camera that froze
    "broke_off",
    "no_picture",  # packets come that nothing can be decoded from
    "no_video",  # it answers, with something else than video
    "too_large",
    "memory",
    "hung",
    "crashed",
]

Lack = Literal[
    "small_lost",  # the small stream of two brings nothing: the large one is looked at
    "small_differs",  # its pictures show another part: the large one is looked at
    "large_lost",  # the large one brings nothing: no evidence, and nothing to look at closely
]


@dataclass(slots=True)
class SourceStats:
    """Counters of one source, written by it and read by any thread; numbers only grow.

    Attributes:
        state: `refused` is a wrong password, `lost` a stream that can't be had or broke off, `hung` and
            `crashed` a reader process that had to be killed or died, `ended` a recording that is through.
        trouble: What keeps a live camera from being seen; `None` while it is seen.
        frames_in: Pictures decoded.
        analysed: Frames handed on.
        dropped: Frames that were due but came too late for the one before, so that the newest is looked at.
        decode_errors: Damaged packets and pictures.
        reconnects: Attempts after the first.
        restarts: Reader processes of a live camera, after the first.
        killed: Those of them that had to be killed because they hung.
        last_frame_at: When the last picture came, Unix seconds UTC.
        last_error: The last trouble, without user and password.
        lack: What a camera of two streams goes on without.
    """

    state: State = "connecting"
    frames_in: int = 0
    analysed: int = 0
    dropped: int = 0
    decode_errors: int = 0
    reconnects: int = 0
    restarts: int = 0
    killed: int = 0
    last_frame_at: float | None = None
    last_error: str | None = None
    trouble: Trouble | None = None
    lack: Lack | None = None
