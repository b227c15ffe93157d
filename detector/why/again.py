"""Looking again: recordings of one camera and a time enter, an `Account` of it and a film leave."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime
from math import inf
from pathlib import Path
from zoneinfo import ZoneInfo

from detector.assembly import build_pipeline
from detector.clock import on_the_wall
from detector.config import EdgeConfig
from detector.errors import ConfigError, Problem, SourceUnavailable
from detector.recorded.archive import gather
from detector.recorded.frames import frames
from detector.recorded.recorder_names import Pattern
from detector.recorded.recordings import FILE_DATE, Session, of_camera, sessions
from detector.why.account import Account, Witness
from detector.why.film import Film

logger = logging.getLogger(__name__)

LONGEST_S = 900.0  # of what is shown: a film and a page that people look through
FORM = "%Y-%m-%d %H:%M:%S"


@dataclass(frozen=True, slots=True)
class When:
    """What is asked for: so many seconds around a moment, Unix seconds; the beginning of it all where that is `None`.

    What was before it by up to `lead_s` is looked at too: acts shortly before count towards what is believed then. So
    is what follows while photos may become a sweep by it.
    """

    at: float | None
    around_s: float
    lead_s: float

    @property
    def since(self) -> float:
        """From when on it is shown."""
        return -inf if self.at is None else self.at - self.around_s

    def until(self, first: float) -> float:
        """Until when, where the first frame is of this time."""
        return first + LONGEST_S if self.at is None else self.at + self.around_s


@dataclass(frozen=True, slots=True)
class Footage:
    """Recordings of it: files, folders with all below them and globs, and which camera's where there are several's.

    `start`, `pattern` and `zone` say when they begin, as of `sessions`.
    """

    paths: Sequence[Path]
    camera: str | None = None
    start: float | None = None
    pattern: Pattern | None = None
    zone: str | None = None

    def session(self, config: EdgeConfig, unread: Callable[[str], None]) -> Session:
        """The files in order, those left aside that can't be had; errors as of `look_again`."""
        archive = gather(self.paths)
        for one in archive.unread:
            unread(f"{one.path}: {one.why}")
        found = sessions(archive.files, config, self.start, pattern=self.pattern, zone=self.zone)
        return of_camera(found, self.camera)


def look_again(
    footage: Footage,
    config: EdgeConfig,
    when: When,
    film: Path,
    progress: Callable[[str, float], None] = lambda name, seconds: None,
    unread: Callable[[str], None] = lambda why: None,
) -> Account:
    """Look at recordings of one camera as the worker does, and keep what it made of everybody.

    Args:
        footage: Of it.
        config: Whose cameras, model, rules and time zone apply.
        when: What is asked for.
        film: MP4 to write, whole or not at all.
        progress: Called with the camera's name and the seconds of footage done since the last call.
        unread: Called with each file that can't be read, and why.

    Raises:
        ConfigError: There are recordings of several cameras, none of the one named, or none of that time; or the
            pattern fits none.
        SourceUnavailable: A path is no video file and no folder with any, or no picture can be decoded.
        ModelError: The model can't be loaded.
        OSError: The film can't be written.
    """
    told: list[str] = []

    def left(why: str) -> None:
        told.append(why)
        unread(why)

    session = footage.session(config, left)
    pipeline = build_pipeline(config, session.camera)
    witness = Witness(config, session.camera, when.since)
    clock = ZoneInfo(config.timezone)
    draft = film.with_name(f".{film.name}.draft")
    film.parent.mkdir(parents=True, exist_ok=True)
    shown = False
    try:
        with closing(Film(draft)) as drawn:
            begin = when.since - when.lead_s
            taken = frames(
                session, config.analysis.fps, since=begin, wants=witness.wants, progress=progress, unread=left
            )
            for frame in taken:
                if witness.until == inf:
                    witness.until = when.until(frame.captured_at)
                updates = pipeline.process(frame)
                sight = pipeline.sight
                witness.observe(frame, sight, updates)
                if sight is not None and when.since <= frame.captured_at <= witness.until:
                    shown = True
                    at = on_the_wall(datetime.fromtimestamp(frame.captured_at, clock), FORM)
                    drawn.add(frame, sight.scene, sight.photographing, at)
            witness.tell(pipeline.finish())
        if not shown:
            raise SourceUnavailable(told[-1]) if told else _nothing(session, when, clock)
        draft.replace(film)
    finally:
        draft.unlink(missing_ok=True)
    dated = all(piece.known_by != FILE_DATE for piece in session.pieces)
    return replace(witness.account(), dated=dated)


def _nothing(session: Session, when: When, clock: ZoneInfo) -> Exception:
    """Why there is nothing to be shown."""
    if when.at is None:
        files = ", ".join(str(piece.path) for piece in session.pieces)
        return SourceUnavailable(f"{files}: no picture can be decoded")
    begins = [piece.start_at for piece in session.pieces if piece.start_at is not None]
    told = [on_the_wall(datetime.fromtimestamp(at, clock), FORM) for at in sorted(begins)]
    hint = f"the files begin at {_few(told)}" if told else ""
    moment = on_the_wall(datetime.fromtimestamp(when.at, clock), FORM)
    return ConfigError([Problem("--at", "", f"no recording of {session.camera.name} shows {moment}", hint)])


def _few(told: Sequence[str]) -> str:
    return ", ".join(told) if len(told) <= 3 else f"{told[0]}, {told[1]} … {told[-1]}"
