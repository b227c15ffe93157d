"""The process that reads one live camera: connects when told to, decodes, and passes on packets and due pictures.

It is run by `reader.Reader` and lives until its line is hung up. It keeps to itself whatever a hostile stream does to
a decoder; the worker watches it from outside.
"""

from __future__ import annotations

import errno
import os
import signal
import socket
import time
from pathlib import Path
from urllib.parse import urlsplit

import av
import av.logging

from detector.errors import SourceError, SourceUnavailable
from detector.machine.secrecy import redacted
from detector.media.containers import LIVE, MOST_PIXELS
from detector.sources.arrival import LATE_S, Arrival
from detector.sources.confined import READER, confine, only_ports
from detector.sources.messages import TO_READER, Channel, Connect, Decode, Ended, Format, Free, Stepped
from detector.sources.pacing import Pacer
from detector.sources.slots import Writer
from detector.sources.stats import Trouble
from detector.sources.video import Video

PORTS = {"rtsp": 554, "rtsps": 322}  # where the address says none, as FFmpeg has it
# Packets wait so long for a picture that is due and goes with them.
SPEAK_S = 0.25
ROOM_S = 0.1  # pictures of a backlog, which come faster than ever, wait so long for a free slot


class HungUp(Exception):  # noqa: N818 - it says what happened
    """The worker wants no more."""


class Gone(SourceError):  # noqa: N818
    """A connection that can't be made, or is over, and why."""

    def __init__(self, trouble: Trouble, text: str) -> None:
        super().__init__(text)
        self.trouble = trouble


def main(line: int, memory: int) -> None:
    """Serve the worker at the other end of the socket `line`, until it hangs up."""
    confine(READER, [str(Path(module.__file__ or "").parent) for module in (av, os)])
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)  # whoever stops the whole group leaves it to the worker
    av.logging.set_level(None)
    channel = Channel(socket.socket(fileno=line), TO_READER)
    slots = Writer(memory)
    os.close(memory)
    port: int | None = None
    try:
        while True:
            order = channel.receive(None)
            if isinstance(order, Connect):
                if port is None:
                    port = _port_of(order.address)
                    only_ports(port)
                channel.send(_connected(order, channel, slots))
            elif isinstance(order, Free):
                slots.free(order.slot)
    except (EOFError, OSError, HungUp):
        pass  # the worker is gone, or has had enough


def _port_of(address: str) -> int:
    """Where the camera listens; a reader has one camera, and where that is doesn't change."""
    try:
        parts = urlsplit(address)
        return parts.port or PORTS.get(parts.scheme, PORTS["rtsp"])
    except ValueError:  # no number: FFmpeg will say so
        return PORTS["rtsp"]


def _connected(order: Connect, channel: Channel, slots: Writer) -> Ended:
    """One connection, from opening to its end; tells why it ended."""
    try:
        video = opened(order)
        try:
            return _received(order, video, channel, slots)
        finally:
            video.close()
    except Gone as error:
        return Ended(error.trouble, str(error))
    except MemoryError:
        return Ended("memory", "needs more memory than a reader may have")
    except av.error.FFmpegError as error:
        return Ended(*_broke_off(error, order))
    except ValueError as error:
        return Ended("too_large", redacted(error))


def _received(order: Connect, video: Video, channel: Channel, slots: Writer) -> Ended:
    pacer = _paced(video, order.fps)
    told: Format | None = None
    damaged = dropped = 0
    picture_at = sent_at = time.monotonic()
    arrival = Arrival()
    for step in video.steps():
        at = time.monotonic()
        taken_at = arrival.taken_at(at, step.decoded_s)
        now = video.format
        form = Format(now.codec, now.width, now.height, now.pixel_aspect)
        if form != told:
            told = form
            channel.put(form)
        new_damage = video.decode_errors - damaged
        channel.put(Stepped(taken_at, step.shown_after, step.key, len(step.pictures), new_damage, dropped, step.data))
        damaged, dropped = video.decode_errors, 0
        due = []
        for number, (_, picture) in enumerate(step.pictures):
            picture_at = time.monotonic()
            if pacer is not None and pacer.due(taken_at):
                due.append((picture, taken_at, number))
        if due or at - sent_at >= SPEAK_S:
            sent_at = at
            wish = _hear(channel, slots, ROOM_S if due and at - taken_at > LATE_S else 0.0)
            laid = [slots.lay(*picture) for picture in due]
            for one in filter(None, laid):
                channel.put(one)
            dropped = laid.count(None)
            channel.flush()
            if wish is not None:
                pacer, picture_at = _paced(video, wish.fps), at
                video.resting = wish.resting
        if pacer is not None and at - picture_at > order.frame_s:
            return Ended("no_picture", f"sends packets but no picture since {order.frame_s:g} s")
    # FFmpeg reports a camera that went away as an ordinary end of the stream.
    return Ended("broke_off", "the stream ended")


def _paced(video: Video, fps: float) -> Pacer | None:
    """Chooses so many pictures a second; `None`, and nothing is decoded, where that is none."""
    video.decoding = fps > 0
    return Pacer(fps) if fps > 0 else None


def _hear(channel: Channel, slots: Writer, room_s: float) -> Decode | None:
    """Take in what the worker has said meanwhile, and wait so long for a free slot where there is none.

    Gives its last word on what to decode, if any.
    """
    wish = None
    try:
        while (word := channel.receive(0 if slots.has_room else room_s)) is not None:
            if isinstance(word, Free):
                slots.free(word.slot)
            elif isinstance(word, Decode):
                wish = word
    except EOFError:
        raise HungUp from None
    return wish


def opened(order: Connect) -> Video:
    """The camera's video, connected.

    Raises:
        Gone: It can't be, and why.
    """
    options = {
        **LIVE,
        "rtsp_transport": "tcp",
        "timeout": str(int(order.read_s * 1e6)),
        # FFmpeg would first watch for seconds (measured: 5) to estimate a frame rate that nobody asks for.
        "fpsprobesize": "0",
    }
    began = time.monotonic()
    try:
        container = av.open(
            order.address, options=options, timeout=(order.open_s, order.read_s), metadata_errors="replace"
        )
    except (av.error.HTTPUnauthorizedError, av.error.HTTPForbiddenError):
        gone = Gone("refused", "the camera refused the user name or password")
    except (av.error.FFmpegError, OSError, ValueError) as error:
        gone = Gone(*_unopened(error, time.monotonic() - began, order))
    else:
        try:
            return _video(container, order)
        except (Gone, SourceUnavailable) as error:
            container.close()
            gone = error if isinstance(error, Gone) else Gone("no_video", str(error))
    # Raised out here, the new error has no FFmpeg error behind it: that one's text holds the password.
    raise gone


def _video(container: av.container.InputContainer, order: Connect) -> Video:
    for stream in container.streams.video[:1]:
        context = stream.codec_context
        if context is not None and context.width * context.height > MOST_PIXELS:
            raise Gone("too_large", f"pictures of {context.width}x{context.height} pixels are too large")
    return Video(container, order.name, evidence=order.evidence)


def _unopened(error: Exception, took_s: float, order: Connect) -> tuple[Trouble, str]:
    if isinstance(error, MemoryError):
        return "memory", "needs more memory than a reader may have"
    invalid = isinstance(error, av.error.InvalidDataError)
    # A camera that says nothing at all is, after a while, invalid data to FFmpeg.
    if _timed_out(error) or (invalid and took_s >= 0.9 * order.read_s):
        return "no_answer", f"can't be opened: no answer for {took_s:.1f} s"
    if isinstance(error, av.error.HTTPNotFoundError):
        hint = "check the address after the port; configs/site.yaml lists common ones"
        return "no_video", f"can't be opened: the camera has no stream of this name: {hint}"
    if getattr(error, "errno", None) == errno.EPROTONOSUPPORT:
        return "no_video", "can't be opened: the camera sends by UDP alone: switch on RTSP over TCP there"
    if getattr(error, "errno", None) == errno.EACCES:  # `only_ports`
        return "no_video", "can't be opened: the camera sends its readers on to another port: give the address there"
    if isinstance(error, (av.error.HTTPOtherClientError, av.error.HTTPServerError)):  # 453 and 503 say so
        return "no_video", "can't be opened: the camera won't send: do as many watch it already as it allows?"
    if getattr(error, "errno", None) == errno.EIO and not _is_known_host(order.address):
        return "unreachable", "can't be opened: nobody knows a machine of this name"
    answered = invalid or isinstance(error, av.error.HTTPClientError)
    return "no_video" if answered else "unreachable", f"can't be opened: {_plain(error)}"


def _is_known_host(address: str) -> bool:
    """Whether the name in an address leads anywhere; FFmpeg calls that an input/output error."""
    try:
        socket.getaddrinfo(urlsplit(address).hostname, None)
    except (OSError, ValueError):
        return False
    return True


def _broke_off(error: Exception, order: Connect) -> tuple[Trouble, str]:
    if _timed_out(error):
        return "no_answer", f"nothing came for {order.read_s:g} s"
    return "broke_off", f"broke off: {_plain(error)}"


def _timed_out(error: Exception) -> bool:
    return isinstance(error, (TimeoutError, av.error.ExitError))


def _plain(error: Exception) -> str:
    return redacted(getattr(error, "strerror", None) or type(error).__name__)
