"""Which recordings are asked for: sessions enter, and those of the cameras, days and times of day asked for leave.

Days and times of day are of the recorder's clock. As shifts do, times of day that pass midnight belong to the day on
which they begin. A file is looked at whole where any of it was asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from detector.clock import iso, unix
from detector.config import Camera
from detector.errors import ConfigError, Problem
from detector.recorded.recordings import UNDATED, Piece, Session
from detector.sources.recording import promised_s
from detector.values import DAY_S

MANY = 12  # names of cameras told to somebody who asked for one that isn't there
MIDNIGHT = time()
LONGEST_S = 31 * DAY_S  # no file goes on for longer


@dataclass(frozen=True, slots=True)
class Asked:
    """What of the recordings is asked for; all of it where nothing is said.

    Attributes:
        zone: Time zone of the others.
        cameras: By name or title; empty: every camera.
        first: The first day, `None`: however early.
        last: The last day, `None`: however late.
        hours: From when to when on each day; `None`: all day.

    Raises:
        ConfigError: The last day is before the first.
    """

    zone: str
    cameras: tuple[str, ...] = ()
    first: date | None = None
    last: date | None = None
    hours: tuple[time, time] | None = None

    def __post_init__(self) -> None:
        if self.first and self.last and self.last < self.first:
            raise ConfigError([Problem("replay", "--to", f"{self.last} is before --from, {self.first}")])

    def __bool__(self) -> bool:
        """Whether anything less than all is asked for."""
        return bool(self.cameras) or self._timed

    @property
    def _timed(self) -> bool:
        return any(limit is not None for limit in (self.first, self.last, self.hours))

    def spans(self, begin: float, until: float) -> Iterator[tuple[float, float]]:
        """The times asked for between two, all in Unix seconds, in order."""
        if not self._timed:
            if begin < until:
                yield begin, until
            return
        zone, open_span = ZoneInfo(self.zone), None
        day = datetime.fromtimestamp(begin, zone).date() - timedelta(days=1)
        day = max(day, self.first) if self.first else day
        while self.last is None or day <= self.last:
            at, ends = self._on(day, zone)
            if at >= until:
                break
            at, ends = max(at, begin), min(ends, until)
            if at < ends:
                if open_span and open_span[1] < at:
                    yield open_span
                    open_span = None
                open_span = open_span[0] if open_span else at, ends  # all of a day goes on with the next day's
            day += timedelta(days=1)
        if open_span:
            yield open_span

    def _on(self, day: date, zone: ZoneInfo) -> tuple[float, float]:
        """From when to when, Unix seconds, a day is asked for."""
        begins, ends = self.hours or (MIDNIGHT, MIDNIGHT)
        ends_on = day if ends > begins else day + timedelta(days=1)
        at, until = datetime.combine(day, begins, zone), datetime.combine(ends_on, ends, zone)
        return at.timestamp(), until.timestamp()

    def of(self, every: Sequence[Session], say: Callable[[str], None] = lambda what: None) -> tuple[list[Session], int]:
        """Sessions with the files asked for, and how many files that leaves out.

        How long a file is costs opening it, so that is asked only where it decides.

        Raises:
            ConfigError: No file is asked for.
        """
        if not self:
            return list(every), 0
        self._check_cameras(every)
        kept, done, number = [], 0, sum(len(session.pieces) for session in every)
        for session in every:
            wanted = []
            for piece in session.pieces if self._wants_camera(session.camera) else ():
                say(f"choosing files: {done} of {number}")
                done += 1
                wanted.append(self._wants_time(piece))
            if pieces := _kept(session.pieces, wanted):
                kept.append(replace(session, pieces=pieces))
        if not kept:
            raise ConfigError([Problem("replay", self._limits(), "no recording is of that time", self._there(every))])
        return kept, number - sum(len(session.pieces) for session in kept)

    def _check_cameras(self, every: Iterable[Session]) -> None:
        names = {name for session in every for name in (session.camera.name, session.camera.title)}
        if unknown := [name for name in self.cameras if name not in names]:
            there = sorted(session.camera.name for session in every)
            told = ", ".join(there[:MANY]) + (f" and {len(there) - MANY} more" if len(there) > MANY else "")
            why = f"no recording here is of a camera {unknown[0]!r}"
            raise ConfigError([Problem("replay", "--camera", why, f"of {told}")])

    def wants(self, piece: Piece) -> bool:
        """Whether a file is of a camera asked for, and may hold anything asked for."""
        return self._wants_camera(piece.camera) and self._wants_time(piece)

    def _wants_camera(self, camera: Camera) -> bool:
        return not self.cameras or bool({camera.name, camera.title} & {*self.cameras})

    def _wants_time(self, piece: Piece) -> bool:
        """Whether a file may hold anything asked for; where nobody knows, it is looked at."""
        at = _begins(piece)
        if at is None or piece.known_by == UNDATED or not self._timed:
            return True
        begins = next((begin for begin, _ in self.spans(at, at + LONGEST_S)), None)
        if begins is None or begins == at:
            return begins is not None
        length_s = piece.named_s or promised_s(piece.path)
        return length_s is None or begins < at + piece.within_s + length_s

    def _there(self, every: Iterable[Session]) -> str:
        """From when to when there are files, for who asked for others."""
        asked = (piece for session in every if self._wants_camera(session.camera) for piece in session.pieces)
        starts = [at for piece in asked if (at := _begins(piece)) is not None]
        first, last = (datetime.fromtimestamp(at, ZoneInfo(self.zone)) for at in (min(starts), max(starts)))
        return f"the first begins {first:%Y-%m-%d %H:%M}, the last {last:%Y-%m-%d %H:%M}"

    def _limits(self) -> str:
        given = {"--from": self.first, "--to": self.last, "--hours": self.hours}
        return ", ".join(name for name, limit in given.items() if limit is not None)

    def gaps(self, files: Sequence[Mapping[str, Any]], borders: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Of what is missing between and within a camera's files what was asked for; before and after them, too.

        Args:
            files: What is told of each file of one camera.
            borders: Gaps between and within them, and overlaps, which stay out.
        """
        missing = [dict(border) for border in borders if border["what"] == "gap"]
        if not self._timed:
            return missing
        dated = [f for f in files if f["start_known_by"] != UNDATED]
        zone = ZoneInfo(self.zone)
        if dated and self.first:
            first = min(dated, key=lambda f: unix(f["start"]))
            missing.insert(0, _gap(first, self._on(self.first, zone)[0], unix(first["start"])))
        if dated and self.last:
            last = max(dated, key=lambda f: unix(f["start"]) + f["seconds"])
            missing.append(_gap(last, unix(last["start"]) + last["seconds"], self._on(self.last, zone)[1]))
        return [
            {**gap, "from": iso(begin), "until": iso(until), "seconds": round(until - begin, 1)}
            for gap in missing
            for begin, until in self.spans(unix(gap["from"]), unix(gap["until"]))
            if until - begin >= 0.1
        ]

    def told(self, left_out: int) -> dict[str, Any]:
        """As `summary.json` tells it."""
        return {
            "cameras": list(self.cameras),
            "from": self.first.isoformat() if self.first else None,
            "to": self.last.isoformat() if self.last else None,
            "hours": "-".join(f"{at:%H:%M}" for at in self.hours) if self.hours else None,
            "files_left_out": left_out,
        }


def _kept(pieces: Sequence[Piece], wanted: Sequence[bool]) -> tuple[Piece, ...]:
    """The files wanted, which may follow others that aren't: then when they begin is what was expected of those.

    What is before a file of which that isn't known is kept, too: it is known once that was read.
    """
    keep = list(wanted)
    for n in range(len(keep) - 1, 0, -1):
        keep[n - 1] = keep[n - 1] or (keep[n] and _begins(pieces[n]) is None)
    return tuple(
        piece if piece.start_at is not None or (n and keep[n - 1]) else replace(piece, start_at=piece.expected_at)
        for n, piece in enumerate(pieces[: len(keep)])
        if keep[n]
    )


def _begins(piece: Piece) -> float | None:
    return piece.expected_at if piece.start_at is None else piece.start_at


def _gap(beside: Mapping[str, Any], begin: float, until: float) -> dict[str, Any]:
    """What is missing before the first file, or after the last."""
    return {
        "camera": beside["camera"],
        "what": "gap",
        "from": iso(begin),
        "until": iso(until),
        "before": beside["file"],
    }
