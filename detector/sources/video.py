"""The video of an open container, step by step: compressed packet in, packet for evidence and pictures out.

Recordings and live cameras both read through here; they differ only in where time comes from.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
import av.bitstream
import av.container

from detector.errors import SourceUnavailable
from detector.media.containers import (
    CODECS,
    DECODING,
    MOST_PIXELS,
    film_of,
    frame_s,
    others_like,
    packets_of,
    pixel_aspect,
    sound_aspect,
)
from detector.media.packets import Packet, StreamFormat

OnPacket = Callable[[Packet, StreamFormat], None]
# Kept of a stream that isn't decoded just now: 20 s at 25 a second, 8 Mbit/s for 8 s.
MOST_ASIDE, MOST_ASIDE_BYTES = 500, 8 << 20
UNTIMED = frozenset({"avi", "h264", "hevc", "mjpeg", "m4v", "mpegvideo"})  # formats, as FFmpeg calls them
# How a sequence parameter set begins in Annex B, by codec.
OWN_SETS = {
    "h264": re.compile(rb"\x00\x00\x01[\x07\x27\x47\x67]"),
    "hevc": re.compile(rb"\x00\x00\x01\x42"),
}
LONGEST_S = 5.0  # from key frame to key frame; where they are further apart they say too little of what lies between


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """What one packet brought.

    Attributes:
        decoded_s: When it is decoded, stream seconds; `None` where the stream doesn't say.
        shown_after: Seconds from there to showing.
        key: Whether decoding can start here.
        data: For evidence, see `Packet.data`; empty where nobody asked, before the first key frame, and at the end.
        pictures: Decoded frames with their stream seconds (or `None`), not converted yet.
    """

    decoded_s: float | None
    shown_after: float
    key: bool
    data: bytes
    pictures: list[tuple[float | None, av.VideoFrame]]


class Video:
    """The video of a container, decoded in one thread.

    Decoding errors are counted in `decode_errors` and what can be decoded is given; FFmpeg's own errors while reading
    come through.

    Args:
        container: Which.
        name: What it is called in errors.
        evidence: Whether steps bring data.
        recorded: It is a file, so that what comes after a damaged place can still be had.

    Attributes:
        decoding: Whether steps bring pictures. Set once more, they begin at once where the packets since the last key
            frame could be kept meanwhile, else with the next key frame.
        resting: Whether key frames are enough for now, from the next one on. Set back, all is decoded from the next
            packet on. A stream of key frames further apart than `LONGEST_S` doesn't rest.
        decode_errors: Packets and pictures that were damaged.
        others: Videos of the same size in the container, which aren't read.
    """

    def __init__(
        self, container: av.container.InputContainer, name: str, *, evidence: bool, recorded: bool = False
    ) -> None:
        film = film_of(container)
        if film is None:
            raise SourceUnavailable(f"{name}: holds no video stream")
        self._container = container
        self._stream = film
        self._recorded = recorded
        self.others = others_like(film)
        if self._stream.codec_context is None:
            raise SourceUnavailable(f"{name}: its video codec is unknown here")
        if self._stream.codec_context.name not in CODECS:
            raise SourceUnavailable(f"{name}: its video codec, {self._stream.codec_context.name}, isn't read here")
        self._stream.codec_context.options = dict(DECODING)
        self._said = self._told_shape()
        # Frame threads hold several pictures each and gain nothing: every camera has its own thread already.
        self._stream.codec_context.thread_count = 1
        self._evidence = evidence
        self._filter = _self_contained(self._stream) if evidence else None
        self._own_sets = OWN_SETS.get(self._stream.codec_context.name) if not _is_of_mp4(self._stream) else None
        self._packet_s: float | None = None
        self._aside: _Aside | None = None
        self._key_s: float | None = None
        self._rests = False
        self._key_decoder: av.VideoCodecContext | None = None
        self._size: tuple[int, int] | None = None  # of packets that the decoder hasn't seen
        self.decoding = True
        self.resting = False
        self.decode_errors = 0
        self._owed = 0  # pictures of packets that the decoder took

    @property
    def start_s(self) -> float | None:
        """Stream seconds of the first picture, if the container knows."""
        return seconds(self._stream.start_time, self._stream.time_base)

    @property
    def duration_s(self) -> float | None:
        """Seconds of video, if the container knows."""
        own = seconds(self._stream.duration, self._stream.time_base)
        length_s = own if own is not None else seconds(self._container.duration, Fraction(1, av.time_base))
        # Dahua's is the time of its last picture less that of its first, and the clock may have been put back.
        return length_s if length_s is not None and length_s > 0 else None

    @property
    def is_untimed(self) -> bool:
        """Whether pictures have no times of their own, but follow each other at a rate that the file gives or not."""
        return self._container.format.name in UNTIMED

    @property
    def frame_s(self) -> float:
        """Seconds from frame to frame (`containers.frame_s`)."""
        return frame_s(self._stream, self._packet_s)

    @property
    def format(self) -> StreamFormat:
        """Of the packets."""
        context = self._stream.codec_context
        return StreamFormat(context.name, *(self._size or (context.width, context.height)), self.pixel_aspect)

    @property
    def pixel_aspect(self) -> float:
        """How wide a pixel is shown by its height, as the stream says; 1 where it doesn't.

        What a container says of all of it, or FFmpeg takes from its beginning, holds as long as the pictures stay such.
        """
        width, height, wide = now = self._told_shape()
        if self._size not in (None, (width, height)):
            return 1.0  # of packets that the decoder hasn't seen
        return float((pixel_aspect(self._stream) if now == self._said else sound_aspect(wide)) or 1)

    def _told_shape(self) -> tuple[int, int, Fraction | None]:
        """Width and height of pictures, and how wide a pixel is shown, as the pictures themselves say by now."""
        context = self._stream.codec_context
        return context.width, context.height, context.sample_aspect_ratio

    def seek(self, offset_s: float) -> bool:
        """Go to the last key frame at or before so many seconds after the first picture.

        Tells whether that could be tried: where it couldn't, some formats give nothing more.
        """
        base = self._stream.time_base
        if base is None or self.start_s is None:
            return True  # it stands where it stood
        if self._container.format.name == "dhav":
            offset_s -= 1.0  # times are right again from the first full second on
        try:
            self._container.seek(int((self.start_s + offset_s) / base), stream=self._stream)
        except av.error.FFmpegError:
            return False
        return True

    def steps(self) -> Iterator[Step]:
        """Read to the end of the stream."""
        started, context = False, self._stream.codec_context
        for packet in self.packets():
            decoded_s = seconds(packet.dts, packet.time_base)
            self._note_rest(packet.is_keyframe, decoded_s)
            ready = self._is_ready_for(packet, whole=self.decoding and not self._rests)
            if ready:
                self._size, pictures = None, self.decode(packet)
            else:
                pictures = self._alone(packet) if self.decoding and packet.is_keyframe else []
            started = started or packet.is_keyframe
            shown_s = seconds(packet.pts, packet.time_base)
            wait = shown_s - decoded_s if shown_s is not None and decoded_s is not None else 0.0
            key = packet.is_keyframe
            # The filter takes the packet's bytes away, so it comes last.
            data = self._filtered(packet) if started and packet.size else b""
            if key and data and not ready:
                self._size = _stated_size(context.name, data) or self._size
            yield Step(decoded_s, max(0.0, wait), key, data, pictures)

    def packets(self) -> Iterator[av.Packet[av.VideoStream]]:
        """Compressed packets to the end of the stream; the last is empty and has the decoder give what it still has."""
        for packet in self._demuxed():
            if packet.duration:
                self._packet_s = seconds(packet.duration, packet.time_base)
            yield packet

    def _demuxed(self) -> Iterator[av.Packet[av.VideoStream]]:
        if self._recorded:
            return packets_of(self._container, self._stream, self._stumble)
        return self._container.demux(self._stream)

    def _stumble(self) -> None:
        self.decode_errors += 1

    def drain(self) -> list[tuple[float | None, av.VideoFrame]]:
        """Pictures that the decoder still has; it begins anew with what comes next, which must be a key frame."""
        context = self._stream.codec_context
        try:
            frames = context.decode(None)
        except av.error.FFmpegError:
            frames = []
        context.flush_buffers()
        self._owed = 0
        return self._timed(frames)

    def another_decoder(self) -> av.VideoCodecContext:
        """A decoder of this stream that shares nothing with the first."""
        own = self._stream.codec_context
        decoder = av.CodecContext.create(own.name, "r")
        assert isinstance(decoder, av.VideoCodecContext)
        decoder.extradata = own.extradata
        decoder.options = dict(DECODING)
        decoder.thread_count = 1
        return decoder

    def _note_rest(self, key: bool, decoded_s: float | None) -> None:
        """Begin to rest with a key frame, or end it with any packet."""
        apart_s = decoded_s - self._key_s if decoded_s is not None and self._key_s is not None else 0.0
        if key:
            self._key_s = decoded_s
        self._rests = self.resting and self._key_s is not None and (self._rests or key) and 0 <= apart_s <= LONGEST_S

    def _alone(self, packet: av.Packet[av.VideoStream]) -> list[tuple[float | None, av.VideoFrame]]:
        """The picture of a key frame, decoded apart from the stream."""
        decoder = self._key_decoder = self._key_decoder or self.another_decoder()
        try:
            frames = [*decoder.decode(packet), *decoder.decode(None)]
        except av.error.FFmpegError:
            self.decode_errors += 1
            frames = []
        decoder.flush_buffers()
        return self._timed(frames)

    def _is_ready_for(self, packet: av.Packet[av.VideoStream], *, whole: bool) -> bool:
        """Whether a packet is to be decoded, now that those before it are; `whole`: all of them are wanted."""
        if not whole:
            self._aside = self._aside or _Aside()
            self._aside.keep(packet)
            return False
        if self._aside is None:
            return True
        if not self._aside.packets and not packet.is_keyframe:
            return False
        kept, self._aside = self._aside.packets, None
        self._stream.codec_context.flush_buffers()
        self._owed = 0
        if not packet.is_keyframe:
            for one in kept:
                with suppress(av.error.FFmpegError):
                    self._stream.codec_context.decode(one)
        return True

    def decode(self, packet: av.Packet[av.VideoStream]) -> list[tuple[float | None, av.VideoFrame]]:
        """Pictures that a packet brings, with their stream seconds."""
        try:
            frames = packet.decode()
        except av.error.FFmpegError:
            self.decode_errors += 1
            return []
        self._owed += bool(packet.size) - len(frames)
        if not packet.size and self._stream.codec_context.name == "hevc":
            # Of pictures whose references are missing, H.265's decoder gives nothing and says nothing.
            self.decode_errors += max(0, self._owed)
        return self._timed(frames)

    def _timed(self, frames: Sequence[av.VideoFrame]) -> list[tuple[float | None, av.VideoFrame]]:
        self.decode_errors += sum(frame.is_corrupt for frame in frames)
        base = self._stream.time_base
        return [(seconds(frame.pts, frame.time_base or base), frame) for frame in frames]

    def _filtered(self, packet: av.Packet[av.VideoStream]) -> bytes:
        if not self._evidence:
            return b""
        if self._filter is None or self._is_self_contained(packet):
            return bytes(packet)
        try:
            return b"".join(bytes(part) for part in self._filter.filter(packet))
        except av.error.FFmpegError:
            self.decode_errors += 1
            return b""

    def _is_self_contained(self, packet: av.Packet[av.VideoStream]) -> bool:
        """Whether a key frame brings its parameter sets; those of the description may be of an earlier size.

        With both, an MP4 states two of one number, of which some players take the first.
        """
        return self._own_sets is not None and packet.is_keyframe and self._own_sets.search(packet) is not None

    def close(self) -> None:
        """Release the container."""
        self._container.close()


class _Aside:
    """Copies of a stream's packets since the last key frame; none where these are too many."""

    def __init__(self) -> None:
        self.packets: list[av.Packet[Any]] = []
        self._bytes = 0

    def keep(self, packet: av.Packet[av.VideoStream]) -> None:
        """One more; copied, since the filter takes its bytes away."""
        if packet.is_keyframe:
            self.packets, self._bytes = [], 0
        elif not self.packets:
            return
        self._bytes += packet.size
        copy = av.Packet(bytes(packet))
        copy.pts, copy.dts, copy.time_base = packet.pts, packet.dts, packet.time_base
        self.packets.append(copy)
        if len(self.packets) > MOST_ASIDE or self._bytes > MOST_ASIDE_BYTES:
            self.packets = []


def _self_contained(stream: av.VideoStream) -> av.bitstream.BitStreamFilterContext | None:
    """A filter that puts the parameter sets before every key frame; `None` where it has none, or has them there."""
    context = stream.codec_context
    extradata = context.extradata
    # Key frames of AV1 have them; what a container has beside is a record of its own, which is no AV1.
    if not extradata or context.name in ("av1", "libdav1d"):
        return None
    if _is_of_mp4(stream):
        return av.bitstream.BitStreamFilterContext(f"{context.name}_mp4toannexb", stream)
    return av.bitstream.BitStreamFilterContext("dump_extra=freq=keyframe", stream)


def _is_of_mp4(stream: av.VideoStream) -> bool:
    """Whether packets of H.264 or H.265 are framed as in an MP4, by lengths instead of start codes."""
    return stream.codec_context.name in OWN_SETS and (stream.codec_context.extradata or b"")[:1] == b"\1"


def _stated_size(codec: str, data: bytes) -> tuple[int, int] | None:
    """Width and height as a key frame's parameter sets state them, without decoding it; `None` where it has none.

    Motion JPEG has none: each picture of it states its own size to whoever decodes it.
    """
    context = av.CodecContext.create(codec, "r")
    assert isinstance(context, av.VideoCodecContext)
    with suppress(ValueError, av.error.FFmpegError):  # FFmpeg can't take it apart
        context.parse(data)
        context.parse(None)  # it looks into a picture only once that has ended
    return (context.width, context.height) if 0 < context.width * context.height <= MOST_PIXELS else None


def seconds(ticks: int | None, time_base: Fraction | None) -> float | None:
    """Ticks of a stream's clock as seconds; `None` where either isn't known."""
    # Rounded once, as a fraction would be, which takes ten times as long to multiply.
    return None if ticks is None or time_base is None else ticks * time_base.numerator / time_base.denominator
