"""Small videos made on the spot: every frame is one flat grey that tells its number, whatever the codec does to it."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

GREYS = 12


def grey_of(number: int) -> int:
    """The grey of a frame."""
    return 15 + 20 * (number % GREYS)


def number_of(image: np.ndarray) -> int:
    """The number, modulo `GREYS`, that a frame's grey tells."""
    return round((float(image.mean()) - 15) / 20)


def make_video(
    path: Path,
    *,
    seconds: float = 4.0,
    fps: int | Fraction = 25,
    size: tuple[int, int] = (320, 240),
    key_every: int = 25,
    b_frames: int = 0,
    codec: str = "libx264",
    form: str | None = None,
    pixels: str = "yuv420p",
    draw: Callable[[int], np.ndarray] | None = None,
    pixel_aspect: Fraction | None = None,
    pause_s: int = 0,
) -> Path:
    """A video of so many seconds; `form` is FFmpeg's name of the container where the suffix doesn't tell.

    `draw` gives another picture for each number, BGR. After half of them nothing comes for `pause_s`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", format=form) as container:
        stream = container.add_stream(codec, rate=fps)
        stream.width, stream.height = size
        stream.pix_fmt = pixels
        stream.codec_context.thread_count = 1
        if pixel_aspect is not None:
            stream.codec_context.sample_aspect_ratio = pixel_aspect
        if codec == "libx264":
            stream.options = {"preset": "ultrafast", "g": str(key_every), "sc_threshold": "0", "bf": str(b_frames)}
        if codec == "libx265":
            stream.options = {"preset": "ultrafast", "x265-params": f"keyint={key_every}:log-level=error:pools=1"}
        if codec == "libsvtav1":
            stream.options = {"preset": "12", "g": str(key_every)}
        for number in range(round(seconds * fps)):
            image = draw(number) if draw else np.full((size[1], size[0], 3), grey_of(number), np.uint8)
            frame = av.VideoFrame.from_ndarray(image, "bgr24")
            frame.pts = number + (round(pause_s * fps) if number >= seconds * fps / 2 else 0)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def make_joined(path: Path, *, b_frames: int = 0) -> Path:
    """Six seconds and twelve more, joined as files, so that time begins again inside; no two stretches look alike."""
    first, second = (path.with_name(f"{n}{path.suffix}") for n in (1, 2))
    for part, span_s, number in ((first, 6, lambda n: n // 25), (second, 12, lambda n: 6 + n // 50)):
        make_video(
            part, seconds=span_s, b_frames=b_frames,
            draw=lambda n, number=number: np.full((240, 320, 3), grey_of(number(n)), np.uint8),  # type: ignore[misc]
        )  # fmt: skip
    path.write_bytes(first.read_bytes() + second.read_bytes())
    return path


def make_ahead(path: Path, *, ahead_s: float, b_frames: int = 0) -> Path:
    """Four seconds of which the last two claim to be of so much later, as when a camera's clock goes wrong."""
    usual = make_video(path.with_name("usual.mp4"), b_frames=b_frames)
    with av.open(str(usual)) as source, av.open(str(path), "w") as target:
        stream = source.streams.video[0]
        copy, moved = target.add_stream_from_template(stream), False
        for packet in source.demux(stream):
            if packet.dts is None or packet.pts is None or packet.time_base is None:
                continue
            moved = moved or (packet.is_keyframe and packet.pts * packet.time_base >= 2)
            packet.pts += round(ahead_s / packet.time_base) if moved else 0
            packet.dts += round(ahead_s / packet.time_base) if moved else 0
            packet.stream = copy
            target.mux(packet)
    return path


def make_two(path: Path, *sizes: tuple[int, int]) -> Path:
    """Videos of these sizes in one file."""
    with av.open(str(path), "w") as container:
        streams = [container.add_stream("libx264", rate=25) for _ in sizes]
        for stream, (stream.width, stream.height) in zip(streams, sizes, strict=True):
            stream.pix_fmt, stream.options = "yuv420p", {"bf": "0"}
        for n in range(50):
            for stream in streams:
                frame = av.VideoFrame(stream.width, stream.height, "yuv420p")
                frame.pts = n
                container.mux(stream.encode(frame))
        for stream in streams:
            container.mux(stream.encode(None))
    return path


def make_turned(path: Path, degrees: int, level: Path | None = None) -> Path:
    """As a phone writes a film that it took held upright; `level` is what it took, to be turned counter-clockwise."""
    level = level or make_video(path.with_name("level.mp4"), seconds=1)
    with av.open(str(level)) as source, av.open(str(path), "w") as target:
        copy = target.add_stream_from_template(source.streams.video[0])
        copy.set_display_rotation(degrees)
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = copy
                target.mux(packet)
    return path


def make_sound(path: Path) -> Path:
    """A file with sound alone."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=8000)
        for _ in range(8):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            frame.sample_rate = 8000
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def shown_s(path: Path) -> list[float]:
    """Seconds of every picture that decodes, in order."""
    with av.open(str(path)) as container:
        return [float(frame.pts * frame.time_base) for frame in container.decode(video=0)]


def first_picture(path: Path) -> np.ndarray:
    """The first picture of a file as BGR."""
    with av.open(str(path)) as container:
        return next(container.decode(video=0)).to_ndarray(format="bgr24")
