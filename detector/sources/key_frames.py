"""Reading by key frames: packets enter, pictures leave; of groups far from any change only the key frame was decoded.

A group of pictures begins with a key frame and can be decoded without those before. So key frames are looked at ahead
of time, and what lies between two that are alike is passed by, which costs a tenth of decoding it. What begins and
ends between two key frames stays unseen: whoever reads so says so.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import av

from detector.sources.video import LONGEST_S, Step, Video, seconds

MARGIN_S = 4.0  # round each change everything is decoded

Changed = Callable[[float, av.VideoFrame], bool]


@dataclass(eq=False)
class Group:
    """Packets from a key frame to the next; `begin_s` is `None` where the stream doesn't say when that is."""

    packets: list[av.Packet[av.VideoStream]]
    begin_s: float | None
    wanted: bool = False
    goes_on: bool = False

    @property
    def end_s(self) -> float:
        """When its last picture is shown, stream seconds."""
        return max((at for at in map(_shown, self.packets) if at is not None), default=self.begin_s or 0.0)


@dataclass(frozen=True, slots=True)
class Undecoded:
    """Pictures of a group that wasn't decoded: when each is shown, stream seconds."""

    times: list[float]


def scanned(video: Video, changed: Changed) -> Iterator[Step | Undecoded]:
    """Read to the end of a video.

    Args:
        video: Of a recording, unread.
        changed: Is shown every key frame, some seconds before what is decoded gets there, with its stream seconds; says
            whether there is anything in it that wants what is round it decoded.

    Yields:
        Steps without evidence, and what was left undecoded in between.
    """
    fresh = False  # the decoder knows nothing of what came before
    for group in _decided(_groups(video), _KeyFrames(video, changed)):
        if group.wanted:
            for packet in group.packets:
                yield Step(None, 0.0, packet.is_keyframe, b"", video.decode(packet))
        else:
            if not fresh:  # what it still has is shown before
                yield Step(None, 0.0, False, b"", video.drain())
            yield Undecoded(sorted(at for at in map(_shown, group.packets) if at is not None))
        fresh = not group.wanted


class _KeyFrames:
    """Shows key frames, decoded each for itself, to whoever judges them."""

    def __init__(self, video: Video, changed: Changed) -> None:
        self._changed = changed
        self._decoder = video.another_decoder()

    def changed(self, group: Group) -> bool:
        """Whether something has changed by its key frame, or that can't be told."""
        if group.begin_s is None:
            return True
        try:
            pictures = [*self._decoder.decode(group.packets[0]), *self._decoder.decode(None)]
            self._decoder.flush_buffers()
        except av.error.FFmpegError:
            return True
        return not pictures or self._changed(group.begin_s, pictures[0])


def _groups(video: Video) -> Iterator[Group]:
    group: Group | None = None
    for packet in video.packets():
        at = _shown(packet)
        if packet.is_keyframe:
            if group is not None:
                yield group
            group = Group([packet], at)
        elif group is None:
            group = Group([packet], None)
        else:
            group.packets.append(packet)
        if group.begin_s is None or (at is not None and not 0 <= at - group.begin_s <= LONGEST_S):
            # Too long to wait for its end, or of times that make no sense: it is decoded as it comes.
            yield Group(group.packets, group.begin_s, wanted=True, goes_on=group.goes_on)
            group = Group([], None, goes_on=True)
    if group is not None:
        yield group


def _decided(groups: Iterator[Group], key_frames: _KeyFrames) -> Iterator[Group]:
    """Groups in their order, each as soon as it is known whether it is wanted."""
    waiting: deque[Group] = deque()
    changed_s = float("-inf")  # the latest change
    for group in groups:
        if not group.packets:
            continue
        if group.goes_on or group.begin_s is None or group.wanted:
            group.wanted = True
            yield from _all(waiting)
            yield group
            changed_s = max(changed_s, group.end_s)
            continue
        if waiting and group.begin_s < waiting[-1].end_s - LONGEST_S:  # time leaps back: the files of two were joined
            yield from _all(waiting)
            changed_s = group.begin_s
        if key_frames.changed(group):
            changed_s = group.begin_s
            for before in waiting:
                before.wanted = before.wanted or before.end_s >= changed_s - MARGIN_S
        group.wanted = group.begin_s <= changed_s + MARGIN_S
        waiting.append(group)
        while waiting and (waiting[0].wanted or waiting[0].end_s < group.begin_s - MARGIN_S):
            yield waiting.popleft()
    yield from waiting


def _all(waiting: deque[Group]) -> Iterator[Group]:
    """All of them, wanted whatever was thought so far."""
    while waiting:
        group = waiting.popleft()
        group.wanted = True
        yield group


def _shown(packet: av.Packet[av.VideoStream]) -> float | None:
    return seconds(packet.pts if packet.pts is not None else packet.dts, packet.time_base)
