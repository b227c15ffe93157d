"""Runs enter, figures leave: medians over rounds, and ratios within a round, since the machine changes meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from detector.bench.setups import DECODE, FPS, MODEL, NO_GATE, OURS, SHIPPED, TRACK, Setup, Taken

Round = Mapping[tuple[str, Setup], Taken]


@dataclass(frozen=True, slots=True)
class Goal:
    """What a figure should be, and what it is.

    Attributes:
        what: It is about.
        setup: Measured.
        least: It should be this or more; or
        most: this or less.
        measured: What it is; `None` where it could not be measured here.
    """

    what: str
    setup: str
    measured: float | None
    least: float | None = None
    most: float | None = None

    @property
    def met(self) -> bool | None:
        """Whether it is as it should be."""
        if self.measured is None:
            return None
        return self.measured >= self.least if self.least is not None else self.measured <= (self.most or 0.0)


class Results:
    """All rounds of a bench.

    Args:
        rounds: What each run took, by clip and setup.
    """

    def __init__(self, rounds: Sequence[Round]) -> None:
        self._rounds = rounds

    def record(self, fast: Sequence[str]) -> dict[str, Any]:
        """Everything as JSON, rounded.

        Args:
            fast: Precisions measured beside fp32, the fastest first.
        """
        clips = dict.fromkeys(clip for clip, _ in self._rounds[0])
        return {clip: self._clip(clip) for clip in clips} | {"goals": [self._told(goal) for goal in self.goals(fast)]}

    def setups(self, clip: str) -> list[Setup]:
        """What was measured on a clip in every round."""
        return [s for c, s in self._rounds[0] if c == clip and all((clip, s) in one for one in self._rounds)]

    def median(self, clip: str, setup: Setup, figure: Callable[[Taken], float]) -> float | None:
        """Over rounds; `None` where it wasn't measured."""
        found = [figure(one[clip, setup]) for one in self._rounds if (clip, setup) in one]
        return median(found) if found else None

    def ratio(self, clip: str, ours: Setup, other: Setup, figure: Callable[[Taken], float]) -> float | None:
        """Of two setups in one round, median over rounds."""
        pairs = [
            (figure(one[clip, ours]), figure(one[clip, other]))
            for one in self._rounds
            if (clip, ours) in one and (clip, other) in one
        ]
        found = [mine / theirs for mine, theirs in pairs if theirs > 0]
        return median(found) if found else None

    def goals(self, fast: Sequence[str]) -> list[Goal]:
        """What issue 7 asks for."""
        quickest = fast[0] if fast else "fp32"
        found = [
            Goal("times YOLO.track, equal size and stride, fp32, no gate", s.name, self._to_track("busy", s), least=1.3)
            for s in NO_GATE
        ]
        for side, least in ((416, 3.0), (640, 3.5)):
            for setup in (Setup(OURS, side, p, zooms=z) for p in fast for z in (4, 0)):
                if setup in self.setups("busy"):
                    times = self._to_track("busy", setup)
                    found.append(Goal(f"times YOLO.track at {side}, gate", setup.name, times, least=least))
        for setup in (s for s in self.setups("quiet") if s.what == OURS):
            fps, share = self.median("quiet", setup, fps_of), self._of_decode("quiet", setup)
            times = None if fps is None else fps / FPS
            if setup.fast_scan:
                found.append(Goal("quiet, key frames first: times real time", setup.name, times, least=40.0))
            else:
                found.append(Goal("quiet: times real time", setup.name, times, least=15.0))
                found.append(Goal("quiet: of decoding alone", setup.name, share, least=0.65))
        for clip, setup in (("busy", SHIPPED), ("busy", Setup(OURS, 416, quickest)), ("quiet", SHIPPED)):
            own = self.median(clip, setup, own_share)
            found.append(Goal(f"{clip}: our own code, of all processor time", setup.name, own, most=0.15))
        for setup in dict.fromkeys((SHIPPED, Setup(OURS, 640, quickest))):
            memory = self.ratio("busy", setup, Setup(TRACK, 640), lambda taken: taken.rss_mb)
            found.append(Goal("memory, of YOLO.track's", setup.name, memory, most=0.5))
        return found

    def _clip(self, clip: str) -> dict[str, Any]:
        there = self.setups(clip)
        track = Setup(TRACK, SHIPPED.side)
        fps = self.median(clip, SHIPPED, fps_of)
        model = self.median(clip, Setup(MODEL, SHIPPED.side), fps_of)
        memory = self.ratio(clip, SHIPPED, track, lambda taken: taken.rss_mb)
        return {
            "ours_fps_per_cpu_s": _rounded(fps),
            "decode_fps_per_cpu_s": _rounded(self.median(clip, Setup(DECODE), fps_of)),
            "track_fps_per_cpu_s": _rounded(self.median(clip, track, fps_of)),
            "model_fps_per_cpu_s": _rounded(model),
            "ratio_to_track": _rounded(self._to_track(clip, SHIPPED)),
            "share_of_decode": _rounded(self._of_decode(clip, SHIPPED)),
            "times_real_time": _rounded(None if fps is None else fps / FPS),
            **{f"{part}_share": _rounded(self.median(clip, SHIPPED, share)) for part, share in SHARES.items()},
            "rss_mb": _rounded(self.median(clip, SHIPPED, lambda taken: taken.rss_mb)),
            "track_rss_mb": _rounded(self.median(clip, track, lambda taken: taken.rss_mb)),
            "ratio_of_memory": _rounded(memory),
            "configurations": [self._row(clip, setup) for setup in there],
        }

    def _row(self, clip: str, setup: Setup) -> dict[str, Any]:
        taken = [one[clip, setup] for one in self._rounds]
        speeds = [fps_of(one) for one in taken]
        # Of no other side than its own is there anything to compare with; the network alone goes through no clip.
        compared = setup.what == OURS
        return {
            "name": setup.name,
            **asdict(setup),
            "fps_per_cpu_s": _rounded(median(speeds)),
            "lowest_fps": _rounded(min(speeds)),
            "highest_fps": _rounded(max(speeds)),
            "times_real_time": None if setup.what == MODEL else _rounded(median(speeds) / FPS),
            "ratio_to_track": _rounded(self._to_track(clip, setup)) if compared else None,
            "share_of_decode": _rounded(self._of_decode(clip, setup)) if compared else None,
            "looked_at_share": _rounded(median(one.looks / max(one.frames, 1) for one in taken)),
            **{part: _rounded(self.median(clip, setup, f)) if compared else None for part, f in _SHARE_KEYS.items()},
            "rss_mb": _rounded(median(one.rss_mb for one in taken)),
            "note": taken[-1].note,
        }

    def _to_track(self, clip: str, setup: Setup) -> float | None:
        return self.ratio(clip, setup, Setup(TRACK, setup.side), fps_of)

    def _of_decode(self, clip: str, setup: Setup) -> float | None:
        return self.ratio(clip, setup, Setup(DECODE), fps_of)

    @staticmethod
    def _told(goal: Goal) -> dict[str, Any]:
        return {**asdict(goal), "measured": _rounded(goal.measured), "met": goal.met}


def fps_of(taken: Taken) -> float:
    """Frames a processor second."""
    return taken.fps


def decode_share(taken: Taken) -> float:
    """Of processor time, in decoding."""
    return taken.decode_s / taken.cpu_s if taken.cpu_s > 0 else 0.0


def inference_share(taken: Taken) -> float:
    """Of processor time, in the network."""
    return taken.inference_s / taken.cpu_s if taken.cpu_s > 0 else 0.0


def own_share(taken: Taken) -> float:
    """Of processor time, in everything else."""
    return 1.0 - decode_share(taken) - inference_share(taken)


SHARES = {"decode": decode_share, "inference": inference_share, "own": own_share}
_SHARE_KEYS = {f"{part}_share": share for part, share in SHARES.items()}


def _rounded(figure: float | None) -> float | None:
    """To three digits: more would pretend."""
    return None if figure is None else float(f"{figure:.3g}")
