"""A day of tracks of one camera: recordings enter, or the file written of them; `Footage` leaves.

The file has a line of JSON for the camera and one for each track (`Track`), with a picture of the camera beside it: the
median of pictures of the whole day, in which nobody stands long enough to be seen, too coarse to read a label in.
"""

from __future__ import annotations

import json
import logging
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field, replace
from math import isfinite
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from detector.config import EdgeConfig
from detector.errors import NotThere, SourceUnavailable
from detector.geometry import distance, foot
from detector.names import is_name
from detector.recorded.recordings import FILE_DATE, Session, of_camera, sessions
from detector.values import Scene

Point = tuple[float, float]
Picture = NDArray[np.uint8]
Progress = Callable[[str, float], None]

logger = logging.getLogger(__name__)

BREAK_S = 5.0  # footage with a longer gap is two stretches
HEADING_S = 1.0  # which way somebody goes is told by their last second
PICTURES = 15  # of the day, for the one without people
PICTURE_WIDTH = 960
FORMAT = 1
# Beyond these it is no track of a camera, and nothing that could be drawn.
MOST_PIXELS, MOST_SLENDER, LARGEST = 16384, 32, 1e12


@dataclass(frozen=True, slots=True)
class Track:
    """Somebody in view: from when to when, from where to where, in Unix seconds and pixels.

    Attributes:
        track: Id.
        first_at: When it began.
        last_at: When it ended.
        first: Feet then.
        last: Feet at the end.
        heading: Velocity in the last second, pixels a second.
        height: Of the box in the last second, at most.
        farthest: Largest distance of the feet from where they began.
    """

    track: int
    first_at: float
    last_at: float
    first: Point
    last: Point
    heading: Point
    height: float
    farthest: float


@dataclass(frozen=True, slots=True)
class Footage:
    """Tracks of one camera, and what they were seen in.

    Attributes:
        camera: Its name.
        size: Of its picture, width and height.
        stretches: From when to when there is footage, Unix seconds.
        tracks: Every track, in order of its end.
        picture: Name of a picture of the camera, beside the file; `None`: there is none.
    """

    camera: str
    size: tuple[int, int]
    stretches: tuple[tuple[float, float], ...]
    tracks: tuple[Track, ...]
    picture: str | None = None

    @property
    def seconds(self) -> float:
        """How much footage there is."""
        return sum(end - begin for begin, end in self.stretches)


@dataclass(slots=True)
class _Seen:
    first_at: float
    first: Point
    recent: deque[tuple[float, Point, float]] = field(default_factory=deque)
    farthest: float = 0.0


class TrackLog:
    """Scenes enter one by one, and the times of frames without one; tracks leave."""

    def __init__(self) -> None:
        self._seen: dict[int, _Seen] = {}
        self._tracks: list[Track] = []
        self._stretches: list[tuple[float, float]] = []

    def go_on(self, at: float) -> None:
        """There is footage of this time, though nothing in it may have been worth a look; times increase."""
        if not self._stretches or at - self._stretches[-1][1] > BREAK_S:
            self._end(list(self._seen))
            self._stretches.append((at, at))
        self._stretches[-1] = (self._stretches[-1][0], at)

    def observe(self, scene: Scene) -> None:
        """Take in a scene; as `go_on`."""
        self.go_on(scene.at)
        self._end([track for track in self._seen if track in scene.ended])
        for person in scene.people:
            if not isfinite(sum(person.box)):
                continue
            feet, height = foot(person.box), person.box[3] - person.box[1]
            seen = self._seen.setdefault(person.id, _Seen(scene.at, feet))
            seen.farthest = max(seen.farthest, distance(feet, seen.first))
            seen.recent.append((scene.at, feet, height))
            while scene.at - seen.recent[0][0] > HEADING_S and len(seen.recent) > 2:
                seen.recent.popleft()

    def finish(self, camera: str, size: tuple[int, int]) -> Footage:
        """Everything seen."""
        self._end(list(self._seen))
        tracks = sorted(self._tracks, key=lambda track: (track.last_at, track.track))
        return Footage(camera, size, tuple(self._stretches), tuple(tracks))

    def _end(self, ended: Iterable[int]) -> None:
        for number in ended:
            seen = self._seen.pop(number)
            (before_at, before, _), (last_at, last, _) = seen.recent[0], seen.recent[-1]
            elapsed = max(last_at - before_at, 1e-3)
            heading = (last[0] - before[0]) / elapsed, (last[1] - before[1]) / elapsed
            height = max(height for _, _, height in seen.recent)
            self._tracks.append(
                Track(number, seen.first_at, last_at, seen.first, last, heading, max(height, 1.0), seen.farthest)
            )


class _Backdrop:
    """Pictures evenly over a time that nobody knows beforehand: when there are too many, every other is dropped."""

    def __init__(self) -> None:
        self._pictures: list[Picture] = []
        self._every_s = 1.0
        self._due = float("-inf")

    def add(self, image: Picture, at: float) -> None:
        """Take in a picture of the time `at`, if it is due."""
        if at < self._due:
            return
        height, width = image.shape[:2]
        scale = min(1.0, PICTURE_WIDTH / width)
        size = max(1, round(width * scale)), max(1, round(height * scale))
        small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        if self._pictures and self._pictures[0].shape != small.shape:
            return
        self._pictures.append(np.asarray(small, np.uint8))
        if len(self._pictures) > 2 * PICTURES:
            self._pictures, self._every_s = self._pictures[::2], 2 * self._every_s
        self._due = at + self._every_s

    def picture(self) -> Picture:
        """The median, with anything as fine as print smoothed away."""
        chosen = np.linspace(0, len(self._pictures) - 1, min(PICTURES, len(self._pictures))).round().astype(int)
        middle = np.median(np.stack([self._pictures[k] for k in chosen]), axis=0).astype(np.uint8)
        return np.asarray(cv2.medianBlur(middle, 5), np.uint8)


def watch(
    paths: Iterable[Path],
    config: EdgeConfig,
    camera: str | None = None,
    progress: Progress = lambda name, s: None,
    unread: Callable[[str], None] = lambda why: None,
) -> tuple[Footage, Picture]:
    """Look for people in recordings of one camera.

    Args:
        paths: Video files, folders with all below them, and globs, as for a replay.
        config: Whose cameras, model and time zone apply.
        camera: Which camera's, where there are those of several.
        progress: Called with the camera's name and the seconds of footage done since the last call.
        unread: Called with each file that can't be read, and why.

    Returns:
        The tracks, and a picture `(H, W, 3)` BGR of the camera, at most `PICTURE_WIDTH` wide.

    Raises:
        ConfigError: There are recordings of several cameras, or none of the one named.
        SourceUnavailable: A path is no video file and no folder with any, or no picture can be decoded.
    """
    from detector.assembly import build_tracking
    from detector.recorded.archive import gather
    from detector.recorded.frames import frames

    archive = gather(paths)
    for passed in archive.passed:
        logger.info("passed over: %s: %s", passed.path, passed.why)
    for one in archive.unread:
        unread(f"{one.path}: {one.why}")
    session = of_camera(sessions(archive.files, config, None), camera)
    _tell_dated_by_file(session)
    looker, tracker = build_tracking(config)
    log, backdrop, size = TrackLog(), _Backdrop(), (0, 0)
    last_at = float("-inf")
    for frame in frames(session, config.analysis.fps, progress=progress, unread=unread):
        last_at, size = frame.captured_at, frame.size
        log.go_on(last_at)
        look = looker.look(frame)
        if look is not None:
            log.observe(tracker.update(look))
            backdrop.add(frame.image, last_at)
    if not isfinite(last_at):
        raise SourceUnavailable(f"{', '.join(str(piece.path) for piece in session.pieces)}: no picture can be decoded")
    return log.finish(session.camera.name, size), backdrop.picture()


def _tell_dated_by_file(session: Session) -> None:
    """How long people were out of sight from one file to the next hangs on when files begin."""
    if dated := [piece.path for piece in session.pieces if piece.known_by == FILE_DATE]:
        told = "neither name nor content says when these were recorded, so their dates are taken, which copying changes"
        logger.warning("%s: %d of %d files, such as %s", told, len(dated), len(session.pieces), dated[0])


def write_footage(path: Path, footage: Footage, picture: Picture) -> None:
    """Write the tracks, and the picture beside them, where `read_footage` finds it."""
    beside = path.with_suffix(".picture.png")
    beside.write_bytes(cv2.imencode(".png", picture)[1].tobytes())
    head = {
        "labelwatch_tracks": FORMAT, "camera": footage.camera, "width": footage.size[0], "height": footage.size[1],
        # As tracks are rounded: one that goes to the very end of a stretch must not stick out of it.
        "stretches": [[round(at, 3) for at in stretch] for stretch in footage.stretches], "picture": beside.name,
    }  # fmt: skip
    lines = [json.dumps(head), *(json.dumps(_rounded(asdict(track))) for track in footage.tracks)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _rounded(record: dict[str, Any]) -> dict[str, Any]:
    return {
        name: round(value, 3) if isinstance(value, float)
        else [round(v, 1) for v in value] if isinstance(value, tuple) else value
        for name, value in record.items()
    }  # fmt: skip


def read_footage(path: Path) -> tuple[Footage, Picture | None]:
    """Tracks from a file of `write_footage`, and its picture where that is still there.

    Raises:
        SourceUnavailable: It can't be read, or a line of it is no track.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError as error:
        raise NotThere(path, "file of tracks") from error
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else "not a file of tracks"
        raise SourceUnavailable(f"{path}: {why}") from error
    tracks, number = [], 1
    try:
        head = json.loads(lines[0])
        if head["labelwatch_tracks"] != FORMAT:
            raise ValueError(f"format {head['labelwatch_tracks']}")
        stretches = tuple((_finite(begin), _finite(end)) for begin, end in head["stretches"])
        size = int(head["width"]), int(head["height"])
        if min(size) < 1 or max(size) > min(MOST_PIXELS, MOST_SLENDER * min(size)):
            raise ValueError("no size of a picture")
        if not is_name(str(head["camera"])):
            raise ValueError("no name of a camera")
        footage = Footage(str(head["camera"]), size, stretches, (), Path(str(head["picture"])).name)
        for number, line in enumerate(lines[1:], 2):  # noqa: B007 - the message tells it
            if line.strip():
                tracks.append(_track(json.loads(line)))
    except (IndexError, KeyError, TypeError, ValueError, AttributeError, OverflowError, RecursionError) as error:
        what = "no tracks of labelwatch map" if number == 1 else "no track"
        raise SourceUnavailable(f"{path}: line {number}: {what} ({error})") from error
    picture = None
    if footage.picture and (path.parent / footage.picture).is_file():
        data = np.frombuffer((path.parent / footage.picture).read_bytes(), np.uint8)
        try:
            picture = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
        except cv2.error as error:
            raise SourceUnavailable(f"{path.parent / footage.picture}: larger than can be read") from error
    return replace(footage, tracks=tuple(tracks)), None if picture is None else np.asarray(picture, np.uint8)


def _track(record: dict[str, Any]) -> Track:
    points = {name: (_finite(record[name][0]), _finite(record[name][1])) for name in ("first", "last", "heading")}
    rest = {name: _finite(record[name]) for name in ("first_at", "last_at", "height", "farthest")}
    if rest["height"] <= 0:
        raise ValueError("height must be above 0")
    return Track(int(record["track"]), **points, **rest)  # type: ignore[arg-type]


def _finite(value: Any) -> float:
    number = float(value)
    if not abs(number) <= LARGEST:  # so that NaN is refused as well
        raise ValueError(f"{number} is no number of a track")
    return number
