"""Frames of one camera's recordings: its files enter in order, frames leave in order of time, over their borders."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from math import inf

from detector.errors import SourceError
from detector.recorded.judging import SHORT_S
from detector.recorded.looking import undecoded
from detector.recorded.recordings import FILE_DATE, Piece, Session, begins_at
from detector.sources.recording import Recording, promised_s
from detector.values import Frame


def frames(
    session: Session,
    fps: float,
    *,
    since: float = -inf,
    wants: Callable[[float], bool] = lambda at: True,
    progress: Callable[[str, float], None] = lambda name, seconds: None,
    unread: Callable[[str], None] = lambda why: None,
) -> Iterator[Frame]:
    """Frames to be looked at; where files overlap, what was seen once isn't seen again.

    Args:
        session: Which camera's files.
        fps: So many of a second.
        since: From this time on, Unix seconds; files that are over by then aren't read.
        wants: Whether a time is still asked for; the first for which it isn't ends it all.
        progress: Called with the camera's name and the seconds of footage done since the last call.
        unread: Called with each file that can't be read, or not to its end, and why.
    """
    last_at, ended_at, before = -inf, -inf, None
    for piece, following in zip(session.pieces, [*session.pieces[1:], None], strict=True):
        length_s = _said_s(piece) if piece.known_by == FILE_DATE else None
        start_at, before = begins_at(piece, before, ended_at, length_s or 0.0), piece
        if piece.start_at is not None and _has_begun(following, since):
            length_s = _said_s(piece) if length_s is None else length_s
            if length_s is None or start_at + length_s <= since:
                ended_at = max(start_at + (length_s or 0.0), ended_at)
                continue
        if not wants(start_at):
            return
        try:
            recording = Recording(
                piece.path, camera=session.camera.name, start_at=start_at, fps=fps, shape=session.camera.shape
            )
        except SourceError as error:
            unread(str(error))
            continue
        promised, reported = recording.duration_s or 0.0, 0.0
        wrong = None
        with closing(recording):
            try:
                for frame in recording:
                    if frame.offset_s is not None and frame.offset_s - reported >= 1.0:
                        progress(session.camera.name, frame.offset_s - reported)
                        reported = frame.offset_s
                    if frame.captured_at <= last_at or frame.captured_at < since:
                        continue
                    if not wants(frame.captured_at):
                        return
                    last_at = frame.captured_at
                    yield frame
            except SourceError as error:
                wrong = str(error)
        if wrong is None and not recording.frames_decoded:
            wrong = undecoded(piece.path)
        elif wrong is None and (recording.broken_off or promised - recording.end_s > SHORT_S):
            wrong = f"{piece.path}: breaks off after {recording.end_s:.1f} s"
        if wrong is not None:
            unread(wrong)
        ended_at = max(start_at + (recording.end_s if recording.frames_decoded else promised), ended_at)


def _said_s(piece: Piece) -> float | None:
    """How long a file is as it says itself, or else its name."""
    return promised_s(piece.path) or piece.named_s


def _has_begun(following: Piece | None, at: float) -> bool:
    """Whether the next file has surely begun by a time: the one before it is over then, unless it says otherwise."""
    start_at = following.start_at if following is not None else None
    return following is not None and start_at is not None and start_at + following.within_s <= at
