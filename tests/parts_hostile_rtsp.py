"""A camera that means harm: an RTSP server on sockets of our own, which does one wicked thing to whoever connects.

    with HostileCamera(WICKED["endless_header"]) as camera:
        open_source(Camera(name="dock", source=camera.url), …)

A behaviour is a function that talks over a `Talk`; it may raise what it likes. `WICKED` names them all.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

import av
import numpy as np

FPS = 10
CLOCK = 90_000
NAP_S = 0.05
LARGE = b"A" * 65_536


# H.264, bit by bit


class Bits:
    """Bits one after another, as parameter sets hold them."""

    def __init__(self) -> None:
        self._bits: list[int] = []

    def put(self, value: int, count: int) -> Bits:
        """An unsigned number of so many bits."""
        self._bits += [value >> place & 1 for place in reversed(range(count))]
        return self

    def ue(self, value: int) -> Bits:
        """An unsigned Exp-Golomb code."""
        length = (value + 1).bit_length()
        return self.put(0, length - 1).put(value + 1, length)

    def bytes(self) -> bytes:
        """All of them, ended as a NAL unit is; emulation of a start code is prevented."""
        bits = [*self._bits, 1]
        bits += [0] * (-len(bits) % 8)
        raw = bytes(int("".join(map(str, bits[n : n + 8])), 2) for n in range(0, len(bits), 8))
        out, zeros = bytearray(), 0
        for byte in raw:
            if zeros >= 2 and byte <= 3:
                out.append(3)
                zeros = 0
            out.append(byte)
            zeros = zeros + 1 if byte == 0 else 0
        return bytes(out)


def sps(width: int, height: int, *, reference_frames: int = 1) -> bytes:
    """A sequence parameter set, baseline, of a picture of so many pixels (whole macroblocks of 16)."""
    bits = Bits().put(66, 8).put(0, 8).put(62, 8)  # profile, constraints, level 6.2
    bits.ue(0).ue(0).ue(2).ue(reference_frames).put(0, 1)  # id, frame number bits, order type 2, references, gaps
    bits.ue(-(-width // 16) - 1).ue(-(-height // 16) - 1).put(1, 1).put(1, 1).put(0, 1).put(0, 1)
    return b"\x67" + bits.bytes()


def pps() -> bytes:
    """A picture parameter set to go with `sps`."""
    bits = Bits().ue(0).ue(0).put(0, 1).put(0, 1).ue(0).ue(0).ue(0).put(0, 1).put(0, 2)
    return b"\x68" + bits.ue(0).ue(0).ue(0).put(1, 1).put(0, 1).put(0, 1).bytes()


def idr(number: int = 0) -> bytes:
    """The beginning of a key frame for `sps` and `pps`; its picture breaks off, and a decoder makes up the rest."""
    bits = Bits().ue(0).ue(7).ue(0).put(0, 4).ue(number % 2).put(0, 1).put(0, 1).ue(0).ue(1)
    return b"\x65" + bits.put(0x5A5A5A5A, 32).bytes() + b"\x91" * 16


@cache
def real_units(width: int = 320, height: int = 240) -> tuple[tuple[bytes, ...], ...]:
    """NAL units of a second of real video, picture by picture; the first is a key frame with its parameter sets."""
    encoder = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuv420p"
    encoder.framerate, encoder.thread_count = FPS, 1
    encoder.options = {"preset": "ultrafast", "tune": "zerolatency", "g": str(FPS)}
    pictures = []
    for n in range(FPS):
        image = np.full((height, width, 3), 20 * n + 20, np.uint8)
        frame = av.VideoFrame.from_ndarray(image, "bgr24")
        frame.pts = n
        pictures += [bytes(packet) for packet in encoder.encode(frame)]
    return tuple(tuple(u for u in p.replace(b"\0\0\0\1", b"\0\0\1").split(b"\0\0\1") if u) for p in pictures)


# RTSP


@dataclass(frozen=True, slots=True)
class Request:
    """What a client asked."""

    method: str
    address: str
    headers: dict[str, str]


class Talk:
    """One connection of a client."""

    def __init__(self, socket_: socket.socket, camera: HostileCamera) -> None:
        self.socket = socket_
        self.camera = camera
        self._unread = b""
        self._sequence = 0

    @property
    def over(self) -> bool:
        """Whether the camera was switched off."""
        return self.camera.over

    def send(self, data: bytes) -> None:
        """Raw bytes."""
        self.socket.sendall(data)

    def requests(self) -> Iterator[Request]:
        """What is asked, until the client leaves."""
        while True:
            while b"\r\n\r\n" not in self._unread:
                got = self.socket.recv(65_536)
                if not got:
                    return
                self._unread += got
            head, _, self._unread = self._unread.partition(b"\r\n\r\n")
            first, *lines = head.decode(errors="replace").split("\r\n")
            words = [*first.split(" "), "", ""]
            headers = {n.strip().lower(): v.strip() for n, _, v in (line.partition(":") for line in lines)}
            request = Request(words[0], words[1], headers)
            self.camera.asked.append(request)
            yield request

    def answer(self, request: Request, body: bytes = b"", *, status: str = "200 OK", **headers: str) -> None:
        """Answer as RTSP has it; headers by their names with `_` for `-`."""
        lines = [f"RTSP/1.0 {status}", f"CSeq: {request.headers.get('cseq', '1')}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        if body and "Content_Length" not in headers:
            lines.append(f"Content-Length: {len(body)}")
        self.send("\r\n".join([*lines, "", ""]).encode() + body)

    def play(self, description: bytes | None = None) -> None:
        """Go through what comes before pictures, as an honest camera does."""
        for request in self.requests():
            if request.method == "DESCRIBE":
                body = sdp() if description is None else description
                self.answer(request, body, Content_Type="application/sdp", Content_Base=self.camera.url + "/")
            elif request.method == "SETUP":
                channels = request.headers.get("transport", "").rpartition("interleaved=")[2] or "0-1"
                self.answer(request, Transport=f"RTP/AVP/TCP;unicast;interleaved={channels}", Session="7;timeout=60")
            elif request.method == "PLAY":
                self.answer(request, Session="7", Range="npt=0.000-")
                return
            else:
                self.answer(request, Public="OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN, GET_PARAMETER")

    def packet(self, payload: bytes, at: int, *, last: bool, sequence: int | None = None) -> bytes:
        """An RTP packet in its interleaved frame."""
        number = self._sequence if sequence is None else sequence
        self._sequence = (number + 1) % 65_536
        rtp = struct.pack(">BBHII", 0x80, 96 | (0x80 if last else 0), number % 65_536, at % 2**32, 0xC0FFEE) + payload
        return struct.pack(">cBH", b"$", 0, len(rtp)) + rtp

    def picture(self, units: tuple[bytes, ...] | list[bytes], at: int) -> None:
        """The NAL units of one picture, large ones in fragments."""
        out = bytearray()
        for n, unit in enumerate(units):
            last = n == len(units) - 1
            if len(unit) <= 1400:
                out += self.packet(unit, at, last=last)
                continue
            parts = [unit[1:][k : k + 1400] for k in range(0, len(unit) - 1, 1400)]
            for k, part in enumerate(parts):
                ends = k == len(parts) - 1
                marks = (0x80 if k == 0 else 0) | (0x40 if ends else 0) | unit[0] & 0x1F
                out += self.packet(bytes([unit[0] & 0xE0 | 28, marks]) + part, at, last=last and ends)
        self.send(bytes(out))

    def stream(self, seconds: float = 3600.0) -> None:
        """Honest pictures."""
        pictures, n = real_units(), 0
        until = time.monotonic() + seconds
        while not self.over and time.monotonic() < until:
            self.picture(pictures[n % len(pictures)], n * CLOCK // FPS)
            n += 1
            time.sleep(1 / FPS)

    def linger(self) -> None:
        """Keep the connection and say nothing."""
        while not self.over:
            time.sleep(NAP_S)


Behaviour = Callable[[Talk], None]


def sdp(media: int = 1, more: str = "", kind: str = "video") -> bytes:
    """What DESCRIBE is answered with."""
    head = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\n"
    each = "m={} 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=fmtp:96 packetization-mode=1\r\na=control:track{}\r\n{}"
    return (head + "".join(each.format(kind, n, more) for n in range(media))).encode()


class HostileCamera:
    """Listens on a port of its own from the beginning of a `with` to its end.

    Args:
        behaviour: What is done to each connection.
        breath_s: Between two pieces of a flood, seconds: a machine that runs a dozen of them has other work, too.

    Attributes:
        asked: Every request that came.
        connections: How many there were.
    """

    def __init__(self, behaviour: Behaviour, breath_s: float = 0.02) -> None:
        self.breath_s = breath_s
        self.asked: list[Request] = []
        self.connections = 0
        self.over = False
        self._behaviour = behaviour
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=50)
        self.port = self._listener.getsockname()[1]
        self.url = f"rtsp://127.0.0.1:{self.port}/cam"

    def __enter__(self) -> HostileCamera:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over = True
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while not self.over:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        connection.settimeout(30)
        with connection, contextlib.suppress(OSError, ValueError):
            self._behaviour(Talk(connection, self))


# What it may do


def _flood(talk: Talk, piece: bytes) -> None:
    while not talk.over:
        talk.send(piece)
        time.sleep(talk.camera.breath_s)


def endless_header_line(talk: Talk) -> None:
    """A header that never ends."""
    for _ in talk.requests():
        talk.send(b"RTSP/1.0 200 OK\r\nPublic: ")
        _flood(talk, LARGE)


def endless_headers(talk: Talk) -> None:
    """Headers without end."""
    for request in talk.requests():
        talk.send(f"RTSP/1.0 200 OK\r\nCSeq: {request.headers.get('cseq')}\r\n".encode())
        _flood(talk, b"X-More: more\r\n" * 1000)


def trickle(talk: Talk) -> None:
    """A header, one byte a quarter of a second."""
    for _ in talk.requests():
        for byte in b"RTSP/1.0 200 OK\r\nPublic: " + LARGE:
            if talk.over:
                return
            talk.send(bytes([byte]))
            time.sleep(0.25)


def huge_content_length(talk: Talk) -> None:
    """A description that is said to be of two gigabytes, and comes."""
    for request in talk.requests():
        if request.method == "DESCRIBE":
            talk.answer(request, b"v=0\r\n", Content_Type="application/sdp", Content_Length=str(2**31 - 2))
            _flood(talk, LARGE)
        else:
            talk.answer(request, Public="DESCRIBE")


def huge_description(talk: Talk) -> None:
    """A description of fifty megabytes."""
    talk.play(sdp() + b"a=x:" + b"y" * 1000 + b"\r\n" + b"a=fmtp:96 x=y;" * (50 * 2**20 // 14))
    talk.stream()


def thousand_media(talk: Talk) -> None:
    """A description of a thousand streams."""
    talk.play(sdp(media=1000))
    talk.stream()


def absurd_size(talk: Talk) -> None:
    """Pictures of 65,536 by 65,536."""
    talk.play()
    _pictures_of(talk, [(65_536, 65_536)])


def giant_size(talk: Talk) -> None:
    """Pictures of 16,000 by 16,000, 16 of them to be kept: that a decoder takes, and it needs 6 GB."""
    talk.play()
    _pictures_of(talk, [(16_000, 16_000)], reference_frames=16)


def growing_size(talk: Talk) -> None:
    """Pictures of another size each time, up to 12 megapixels."""
    talk.play()
    _pictures_of(talk, [(256 * n, 192 * n) for n in (1, 2, 4, 8, 16, 3, 12)])


def size_bomb_later(talk: Talk) -> None:
    """Honest pictures for a second, then giant ones."""
    talk.play()
    talk.stream(1.0)
    _pictures_of(talk, [(16_000, 16_000)], reference_frames=16)


def _pictures_of(talk: Talk, sizes: list[tuple[int, int]], reference_frames: int = 1) -> None:
    n = 0
    while not talk.over:
        size = sizes[n % len(sizes)]
        talk.picture([sps(*size, reference_frames=reference_frames), pps(), idr(n)], n * CLOCK // FPS)
        n += 1
        time.sleep(0.1)


def wrong_lengths(talk: Talk) -> None:
    """Interleaved frames that are longer or shorter than they say."""
    talk.play()
    n = 0
    while not talk.over:
        framed = bytearray(talk.packet(real_units()[0][-1][:1200], n * 9000, last=True))
        framed[2:4] = struct.pack(">H", (7919 * n) % 65_536)
        talk.send(bytes(framed))
        n += 1
        time.sleep(0.02)


def jumping(talk: Talk) -> None:
    """Sequence numbers and time stamps that jump about."""
    talk.play()
    for n in range(100_000):
        if talk.over:
            return
        for unit in real_units()[n % FPS]:
            sequence, at = (n * 31_337) % 65_536, (n * 2_654_435_761) % 2**32
            talk.send(talk.packet(unit[:1400], at, last=True, sequence=sequence))
        time.sleep(0.02)


def garbage(talk: Talk) -> None:
    """Noise after PLAY."""
    talk.play()
    while not talk.over:
        talk.send(os.urandom(4096))
        time.sleep(0.01)


def half_a_frame(talk: Talk) -> None:
    """The connection closed in the middle of a frame."""
    talk.play()
    talk.stream(0.5)
    talk.send(talk.packet(real_units()[0][-1][:1200], 0, last=True)[:300])


def reset(talk: Talk) -> None:
    """The connection reset in the middle of a frame."""
    half_a_frame(talk)
    talk.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def no_key_frames(talk: Talk) -> None:
    """Pictures that nothing can be decoded from."""
    talk.play()
    n = 0
    while not talk.over:
        talk.picture(real_units()[1 + n % (FPS - 1)], n * CLOCK // FPS)
        n += 1
        time.sleep(1 / FPS)


def tiny_units(talk: Talk) -> None:
    """Ten thousand units of two bytes to a picture."""
    talk.play()
    n = 0
    while not talk.over:
        at = n * CLOCK // FPS
        talk.send(b"".join(talk.packet(bytes([0x06, k % 256]), at, last=k == 9_999) for k in range(10_000)))
        n += 1
        time.sleep(0.1)


def nothing(talk: Talk) -> None:
    """Takes the connection, and never a word."""
    talk.linger()


def nothing_after_play(talk: Talk) -> None:
    """Everything up to PLAY, then silence."""
    talk.play()
    talk.linger()


def closes(talk: Talk) -> None:
    """Takes the connection and closes it."""


def redirect(target: str) -> Behaviour:
    """Whoever asks is sent elsewhere; `{self}` is the camera's own address."""

    def away(talk: Talk) -> None:
        for request in talk.requests():
            time.sleep(talk.camera.breath_s)
            talk.answer(request, status="302 Moved", Location=target.format(self=talk.camera.url))

    return away


def challenges(talk: Talk) -> None:
    """Another digest challenge each time, whatever the answer."""
    for n, request in enumerate(talk.requests()):
        challenge = f'Digest realm="cam{n}", nonce="{n:032x}", stale=true'
        talk.answer(request, status="401 Unauthorized", WWW_Authenticate=challenge)


WICKED: dict[str, Behaviour] = {
    behaviour.__name__: behaviour
    for behaviour in (
        endless_header_line, endless_headers, trickle, huge_content_length, huge_description, thousand_media,
        absurd_size, giant_size, growing_size, size_bomb_later, wrong_lengths, jumping, garbage, half_a_frame, reset,
        no_key_frames, tiny_units, nothing, nothing_after_play, closes, challenges,
    )
} | {"redirect_to_itself": redirect("{self}"), "redirect_to_a_file": redirect("file:///etc/passwd")}  # fmt: skip


def honest(talk: Talk) -> None:
    """A camera as it should be."""
    talk.play()
    talk.stream()
