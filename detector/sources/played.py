"""Recordings played at the pace they were taken, as a camera would show them now."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from pathlib import Path

from detector.clock import Clock
from detector.errors import SourceUnavailable
from detector.media.shape import AS_TOLD, Shape
from detector.sources.pacing import Pacer
from detector.sources.recording import Recording, recordings_in
from detector.sources.stats import SourceStats
from detector.sources.video import OnPacket
from detector.values import Frame

logger = logging.getLogger(__name__)

# Long enough to sleep soundly, short enough that a stop is noticed at once.
NAP_S = 0.2
LONGEST_WAIT_S = 1.0  # for a frame, on a machine that decodes more slowly than the recording was taken


class PlayedFile:
    """A file, or all files of a folder one after another, as one stream whose time never steps back.

    `captured_at` is the clock's time at the first frame plus the seconds played since. With `loop` it has no end, and
    a consumer slower than the pace loses frames as with a live camera (`stats.dropped`), and a decoder slower than the
    pace gives one a second, late by no more than a file; without, every chosen frame is handed on however long that
    takes. A file that can't be read is skipped, with a warning.

    Args:
        path: File or folder.
        camera: Name of the camera it plays.
        fps: Frames a second to give.
        clock: Sets the pace.
        stop: Ends the stream when set.
        loop: Play again and again.
        on_packet: Is given every packet, in time with the frames.
        shape: As of `Recording`.

    Raises:
        SourceUnavailable: While iterating: no file is there, or none of them can be read.
    """

    def __init__(
        self,
        path: Path,
        *,
        camera: str,
        fps: float,
        clock: Clock,
        stop: threading.Event,
        loop: bool = False,
        on_packet: OnPacket | None = None,
        shape: Shape = AS_TOLD,
    ) -> None:
        self.stats = SourceStats()
        self._path = path
        self._camera = camera
        self._fps = fps
        self._clock = clock
        self._stop = stop
        self._loop = loop
        self._on_packet = on_packet
        self._shape = shape
        self._open: Recording | None = None
        self._pacer = Pacer(fps)
        self._next_file_at: float | None = None
        self._asked_at = 0.0
        self._resting = False

    def __iter__(self) -> Iterator[Frame]:
        """Yield frames when they are due, until the end or `stop`."""
        self._asked_at = self._clock.now()
        while not self._stop.is_set():
            readable = 0
            for path in recordings_in(self._path):
                before = self.stats.frames_in
                yield from self._play(path)
                readable += self.stats.frames_in > before
                if self._stop.is_set():
                    break
            if not readable and not self._stop.is_set():
                raise SourceUnavailable(self.stats.last_error or f"{self._path}: no picture can be decoded")
            if not self._loop:
                break
        self.stats.state = "ended"

    def newest(self, frame: Frame) -> Frame:
        """The frame itself: those that come after it are not decoded yet."""
        return frame

    def rest(self, resting: bool) -> None:
        """Whether nothing is going on: then key frames are decoded alone."""
        self._resting = resting
        if self._open:
            self._open.rest(resting)

    def close(self) -> None:
        """Release the file; safe to call twice."""
        if self._open:
            self._open.close()

    def _play(self, path: Path) -> Iterator[Frame]:
        now = self._clock.now()
        start_at = self._next_file_at if self._next_file_at is not None else now
        if self._loop and now - start_at > LONGEST_WAIT_S:
            start_at = now
        try:
            recording = self._open = Recording(
                path,
                camera=self._camera,
                start_at=start_at,
                fps=self._fps,
                on_packet=self._on_packet,
                due=lambda offset_s: self._due(start_at + offset_s),
                first_index=self.stats.frames_in,
                shape=self._shape,
            )
        except SourceUnavailable as error:
            self._skip(error)
            return
        recording.rest(self._resting)
        errors_before = self.stats.decode_errors
        try:
            for frame in recording:
                if not self._wait_until(frame.captured_at):
                    return
                self.stats.state = "online"
                self.stats.analysed += 1
                yield frame
                self._asked_at = self._clock.now()
        except SourceUnavailable as error:
            self._skip(error)
        finally:
            self.stats.decode_errors = errors_before + recording.decode_errors
            self._next_file_at = start_at + recording.end_s
            recording.close()

    def _skip(self, error: SourceUnavailable) -> None:
        self.stats.last_error = str(error)
        logger.warning("file skipped camera=%s: %s", self._camera, error)

    def _due(self, at: float) -> bool:
        self.stats.frames_in += 1
        self.stats.last_frame_at = self._clock.now()
        if not self._pacer.due(at):
            return False
        now = self._clock.now()
        if self._loop and now - at > self._pacer.step and now - self._asked_at < LONGEST_WAIT_S:
            self.stats.dropped += 1
            return False
        return True

    def _wait_until(self, at: float) -> bool:
        """Sleep until the clock shows `at`; false when stopped meanwhile."""
        while (left := at - self._clock.now()) > 0:
            if self._stop.is_set():
                return False
            self._clock.sleep(min(left, NAP_S))
        return not self._stop.is_set()
