"""What is measured, and what one run of it brought: values that pass between `labelwatch bench` and its processes."""

from __future__ import annotations

from dataclasses import dataclass

OURS, DECODE, MODEL, TRACK = "ours", "decode", "model", "track"
SIDES = (640, 416)
FPS, ANALYSED_FPS = 20, 5.0  # of the clips, and looks a second


@dataclass(frozen=True, slots=True)
class Setup:
    """One thing to be measured.

    Attributes:
        what: `ours`: the whole pipeline; `decode`: every picture, nothing else; `model`: the network alone, on prepared
            input; `track`: `YOLO.track` of Ultralytics.
        side: Of the network's input, pixels.
        precision: What the network computes in.
        gate: Whether frames in which nothing happens are passed over.
        zooms: People looked at closely in one frame, at most.
        fast_scan: Whether only what is round changed key frames is decoded (`labelwatch replay --fast-scan`).
    """

    what: str
    side: int = 640
    precision: str = "fp32"
    gate: bool = True
    zooms: int = 4
    fast_scan: bool = False

    @property
    def name(self) -> str:
        """For people, and in the figures."""
        if self.what == DECODE:
            return "decode only"
        if self.what == MODEL:
            return f"model only, {self.precision} {self.side}"
        if self.what == TRACK:
            return f"YOLO.track, {self.precision} {self.side}"
        gate = "gate" if self.gate else "no gate"
        scan = ", fast scan" if self.fast_scan else ""
        return f"labelwatch, {self.precision} {self.side}, {gate}, {'zooms' if self.zooms else 'no zooms'}{scan}"


@dataclass(frozen=True, slots=True)
class Taken:
    """What one run took.

    Attributes:
        frames: Of the clip that were gone through; of `model`: inputs.
        looks: Frames that the network looked at.
        cpu_s: Processor seconds of all threads, without loading.
        wall_s: Seconds meanwhile.
        decode_s: Of `cpu_s`, in decoding.
        inference_s: Of `cpu_s`, in the network.
        rss_mb: Most memory held by the process, loading included.
        note: What one must know of it.
    """

    frames: int
    looks: int
    cpu_s: float
    wall_s: float
    decode_s: float
    inference_s: float
    rss_mb: float
    note: str = ""

    @property
    def fps(self) -> float:
        """Frames a processor second."""
        return self.frames / self.cpu_s if self.cpu_s > 0 else 0.0


SHIPPED = Setup(OURS)
NO_GATE = tuple(Setup(OURS, side, gate=False, zooms=zooms) for side in SIDES for zooms in (4, 0))


def setups(clip: str, fast: list[str], track: bool) -> list[Setup]:
    """What is measured on a clip, in the order of a round.

    Args:
        clip: `busy` or `quiet`.
        fast: Precisions beside fp32 that this machine can run, the fastest first.
        track: Whether Ultralytics is there to be compared with.
    """
    found = [Setup(DECODE), SHIPPED]
    found += [Setup(OURS, side, precision) for precision in fast for side in SIDES]
    found += [Setup(OURS, side, precision, zooms=0) for precision in fast for side in SIDES]
    if clip == "quiet":
        found.append(Setup(OURS, 416, [*fast, "fp32"][0], fast_scan=True))
    else:
        found += NO_GATE
        found += [Setup(MODEL, side, precision) for precision in ("fp32", *fast) for side in SIDES]
    if track:
        found += [Setup(TRACK, side) for side in SIDES]
    return found
