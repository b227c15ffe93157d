"""What a camera's reader process and the worker say to each other: few kinds of message, each of a bounded size.

A reader decodes what strangers send and may have been taken over by it. So the worker unpacks fixed fields, checks
every figure, and takes anything else for the reader's end; nothing is unpickled.
"""

from __future__ import annotations

import math
import socket
import struct
import time
from contextlib import suppress
from dataclasses import dataclass
from struct import Struct
from typing import ClassVar

LARGEST_PACKET = 16 << 20
READ_BYTES = 256 << 10

_HEAD = Struct("!BI")  # kind, size of what follows


class Garbled(Exception):  # noqa: N818 - it says what happened
    """Something came that is no message."""


@dataclass(frozen=True, slots=True)
class Connect:
    """To the reader: connect to the camera once. The address holds its password; it goes this way and no other.

    `fps` is as of `Decode`.
    """

    kind: ClassVar[int] = 1
    largest: ClassVar[int] = 16 << 10

    address: str
    name: str
    fps: float
    evidence: bool
    open_s: float
    read_s: float
    frame_s: float

    _FORM: ClassVar[Struct] = Struct("!d?dddHH")

    def packed(self) -> bytes:
        """As bytes."""
        address, name = self.address.encode(), self.name.encode()
        figures = self.fps, self.evidence, self.open_s, self.read_s, self.frame_s
        return self._FORM.pack(*figures, len(address), len(name)) + address + name

    @classmethod
    def unpacked(cls, data: bytes) -> Connect:
        """From bytes."""
        *figures, address_size, name_size = cls._FORM.unpack_from(data)
        text = data[cls._FORM.size :]
        if len(text) != address_size + name_size:
            raise Garbled("an order of another length than it says")
        return cls(text[:address_size].decode(), text[address_size:].decode(), *figures)


@dataclass(frozen=True, slots=True)
class Free:
    """To the reader: the picture in this slot has been looked at."""

    kind: ClassVar[int] = 2
    largest: ClassVar[int] = 1

    slot: int

    def packed(self) -> bytes:
        """As bytes."""
        return bytes((self.slot,))

    @classmethod
    def unpacked(cls, data: bytes) -> Free:
        """From bytes."""
        return cls(data[0])


@dataclass(frozen=True, slots=True)
class Decode:
    """To the reader: lay out so many pictures a second from now on; with 0 packets are passed on and not decoded.

    `resting`: key frames are enough.
    """

    kind: ClassVar[int] = 7
    largest: ClassVar[int] = 9

    fps: float
    resting: bool = False

    _FORM: ClassVar[Struct] = Struct("!d?")

    def packed(self) -> bytes:
        """As bytes."""
        return self._FORM.pack(self.fps, self.resting)

    @classmethod
    def unpacked(cls, data: bytes) -> Decode:
        """From bytes."""
        return cls(*cls._FORM.unpack(data))


@dataclass(frozen=True, slots=True)
class Format:
    """To the worker: what the packets that follow are (`StreamFormat`)."""

    kind: ClassVar[int] = 3
    largest: ClassVar[int] = 64

    codec: str
    width: int
    height: int
    pixel_aspect: float = 1.0

    _FORM: ClassVar[Struct] = Struct("!IId")

    def packed(self) -> bytes:
        """As bytes."""
        return self._FORM.pack(self.width, self.height, self.pixel_aspect) + self.codec.encode()

    @classmethod
    def unpacked(cls, data: bytes) -> Format:
        """From bytes."""
        codec = data[cls._FORM.size :].decode("ascii")
        if not codec.isidentifier():
            raise Garbled("no name of a codec")
        found = cls(codec, *cls._FORM.unpack_from(data))
        if not math.isfinite(found.pixel_aspect):
            raise Garbled("a shape that is no number")
        return found


@dataclass(frozen=True, slots=True)
class Stepped:
    """To the worker: a packet was read and decoded.

    Attributes:
        at: When it was taken (`arrival`), seconds of the monotonic clock, which is the same for all processes.
        shown_after: Seconds from decoding to showing.
        key: Whether decoding can start here.
        pictures: How many it brought.
        damaged: Packets and pictures that were damaged, since the message before.
        dropped: Pictures that were due and found no free slot, since the message before.
        data: For evidence; empty where none is wanted.
    """

    kind: ClassVar[int] = 4
    largest: ClassVar[int] = LARGEST_PACKET

    at: float
    shown_after: float
    key: bool
    pictures: int
    damaged: int
    dropped: int
    data: bytes

    _FORM: ClassVar[Struct] = Struct("!dd?BBB")

    def packed(self) -> bytes:
        """As bytes."""
        counts = (min(count, 255) for count in (self.pictures, self.damaged, self.dropped))
        return self._FORM.pack(self.at, self.shown_after, self.key, *counts) + self.data

    @classmethod
    def unpacked(cls, data: bytes) -> Stepped:
        """From bytes."""
        at, shown_after, key, pictures, damaged, dropped = cls._FORM.unpack_from(data)
        found = cls(at, shown_after, key, pictures, damaged, dropped, data[cls._FORM.size :])
        if not (math.isfinite(found.at) and math.isfinite(found.shown_after)):
            raise Garbled("a time that is no number")
        return found


@dataclass(frozen=True, slots=True)
class Laid:
    """To the worker: a picture that is due lies in a slot of the shared memory.

    Attributes:
        at: That of the step which brought it.
        number: Which of the pictures of the last step, from 0.
        slot: Where.
        width: Pixels.
        height: Pixels.
        line_sizes: Bytes from row to row, of each plane; 0 where there is none.
        colours: FFmpeg's numbers for colour space, range, transfer and primaries.
        form: FFmpeg's name of the pixel format.
    """

    kind: ClassVar[int] = 5
    largest: ClassVar[int] = 128

    at: float
    number: int
    slot: int
    width: int
    height: int
    line_sizes: tuple[int, int, int, int]
    colours: tuple[int, int, int, int]
    form: str

    _FORM: ClassVar[Struct] = Struct("!dBBII4I4B")

    def packed(self) -> bytes:
        """As bytes."""
        head = self.at, self.number, self.slot, self.width, self.height
        return self._FORM.pack(*head, *self.line_sizes, *self.colours) + self.form.encode()

    @classmethod
    def unpacked(cls, data: bytes) -> Laid:
        """From bytes."""
        at, number, slot, width, height, *more = cls._FORM.unpack_from(data)
        if not math.isfinite(at):
            raise Garbled("a time that is no number")
        form = data[cls._FORM.size :].decode("ascii")
        return cls(at, number, slot, width, height, tuple(more[:4]), tuple(more[4:]), form)


@dataclass(frozen=True, slots=True)
class Ended:
    """To the worker: the connection is over; `trouble` is one of `stats.Trouble`, `text` says more."""

    kind: ClassVar[int] = 6
    largest: ClassVar[int] = 1024

    trouble: str
    text: str

    def packed(self) -> bytes:
        """As bytes."""
        return f"{self.trouble}\n{self.text}".encode()[: self.largest]

    @classmethod
    def unpacked(cls, data: bytes) -> Ended:
        """From bytes."""
        trouble, _, text = data.decode(errors="replace").partition("\n")
        return cls(trouble, "".join(letter if letter.isprintable() else " " for letter in text))


Message = Connect | Free | Decode | Format | Stepped | Laid | Ended
Kinds = dict[int, type[Message]]

TO_READER: Kinds = {one.kind: one for one in (Connect, Free, Decode)}
TO_WORKER: Kinds = {one.kind: one for one in (Format, Stepped, Laid, Ended)}


class Channel:
    """One end of the line between the two.

    Args:
        end: A connected stream socket.
        kinds: What may come in.
        send_s: How long to wait for room to send; for ever when left out.
    """

    def __init__(self, end: socket.socket, kinds: Kinds, send_s: float | None = None) -> None:
        self._socket = end
        self._kinds = kinds
        self._send_s = send_s
        self._came = bytearray()
        self._going = bytearray()

    def put(self, message: Message) -> None:
        """Have a message go with the next one that is sent: waking the other side costs more than most of them."""
        data = message.packed()
        self._going += _HEAD.pack(message.kind, len(data))
        self._going += data

    def flush(self) -> None:
        """Send what was put, waiting until there is room.

        Raises:
            OSError: Nobody is there any more, or nobody listens.
        """
        going, self._going = self._going, bytearray()
        self._socket.settimeout(self._send_s)
        self._socket.sendall(going)

    def send(self, message: Message) -> None:
        """Send a message, and before it those that were put; as `flush`."""
        self.put(message)
        self.flush()

    def receive(self, timeout_s: float | None) -> Message | None:
        """The next message; `None` when it wasn't there in time.

        Raises:
            EOFError: The other end is closed.
            Garbled: What came is no message.
            OSError: The line is broken.
        """
        until = None if timeout_s is None else time.monotonic() + timeout_s
        while (message := self._next()) is None:
            left = None if until is None else max(0.0, until - time.monotonic())
            self._socket.settimeout(left)
            try:
                came = self._socket.recv(READ_BYTES)
            except (TimeoutError, BlockingIOError):
                return None
            if not came:
                raise EOFError
            self._came += came
        return message

    def hang_up(self) -> None:
        """Say that no more will be said."""
        with suppress(OSError):  # the other end is gone
            self._socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Release the line."""
        self._socket.close()

    def _next(self) -> Message | None:
        if len(self._came) < _HEAD.size:
            return None
        kind, size = _HEAD.unpack_from(self._came)
        form = self._kinds.get(kind)
        if form is None:
            raise Garbled(f"a message of unknown kind {kind}")
        if size > form.largest:
            raise Garbled(f"a message of kind {kind} with {size} bytes")
        end = _HEAD.size + size
        if len(self._came) < end:
            return None
        data = bytes(memoryview(self._came)[_HEAD.size : end])
        del self._came[:end]
        try:
            return form.unpacked(data)
        except (struct.error, IndexError, UnicodeDecodeError) as error:
            raise Garbled(f"a message of kind {kind} that can't be read") from error
