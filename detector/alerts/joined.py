"""Clips of recordings that follow each other become one: what goes on in the next file is seen in one piece."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av

from detector.alerts.cutting import TICKS, WRITE_THROUGH, Cut, add_copy, made_whole
from detector.errors import SourceUnavailable
from detector.media.containers import open_recording, turn_of
from detector.media.shape import Shape

HALF_A_FRAME_S = 0.02


@dataclass(frozen=True, slots=True)
class Part:
    """A clip, and how many seconds after the first one's first picture its own was taken."""

    path: Path
    after_s: float


def join(parts: Sequence[Part], out: Path) -> Cut:
    """Copy the parts' pictures into one MP4, each at its time.

    Args:
        parts: In order of time; made by one camera with one setting.
        out: The file to make, whole or not at all.

    Returns:
        The whole; its `start_s` is 0.

    Raises:
        SourceUnavailable: They don't go together: another codec, size or parameter sets.
        OSError: `out` can't be written.
    """
    return made_whole(out, parts[0].path, lambda draft: (0.0, _joined(parts, draft)))


def _joined(parts: Sequence[Part], out: Path) -> float:
    """Seconds of the whole."""
    end_s = 0.0
    last_dts = None
    # Where parts overlap, the later has the pictures, since it begins with a key frame.
    ends = [part.after_s - HALF_A_FRAME_S for part in parts[1:]] + [float("inf")]
    options = {"movflags": "+faststart", **WRITE_THROUGH}
    with open_recording(parts[0].path) as first, av.open(os.fspath(out), "w", format="mp4", options=options) as target:
        model = first.streams.video[0]
        turn = turn_of(parts[0].path)
        copy = add_copy(target, model, Shape(turn=turn))
        for part, upto_s in zip(parts, ends, strict=True):
            with open_recording(part.path) as source:
                stream = source.streams.video[0]
                if _form(stream) != _form(model) or turn_of(part.path) != turn:
                    raise SourceUnavailable(f"{part.path}: is coded otherwise than {parts[0].path}")
                base = stream.time_base or Fraction(1, TICKS)
                shift = round(Fraction(part.after_s) / base)
                for packet in source.demux(stream):
                    if packet.dts is None or packet.pts is None or (packet.pts + shift) * base >= upto_s:
                        continue
                    packet.dts, packet.pts = packet.dts + shift, packet.pts + shift
                    if last_dts is not None and packet.dts <= last_dts:  # no muxer takes time that goes back
                        packet.dts = min(last_dts + 1, packet.pts)
                    last_dts = packet.dts
                    end_s = max(end_s, float((packet.pts + (packet.duration or 0)) * base))
                    packet.stream = copy
                    target.mux(packet)
    return end_s


def _form(stream: av.VideoStream) -> tuple[object, ...]:
    context = stream.codec_context
    return context.name, context.width, context.height, context.extradata, stream.time_base
