"""Where to put the next camera: a day of tracks enters, a map of where people go out of sight leaves.

Journeys. A track that begins within a walk of where another was lost, no later than `HIDDEN_S`, goes on with it: that
person was hidden by a pillar, unless one more second would have taken them out of the picture. What never got `WALKED`
heights from where it began (a coat, a poster, a chair that is taken for somebody) is no journey.

Vanishing. A journey ends at point p and time t, before the footage does. How long that person is out of sight can't be
known, for nobody is recognised. It is taken to be the time until a journey begins within `NEAR` heights of p, each one
for one vanishing, the latest before it; failing that, until one begins anywhere that is nobody's return yet; failing
that, to the end of the footage. Before the cap of `CAP_S`, by which whoever goes home doesn't outweigh the day, the sum
is the same for any pairing of the same endings and beginnings. The latest first, and so the least after the cap: with
the earliest, one person who left for good would lend their time to everybody who came after.

Heat. Each vanishing i is a bell over the floor about (p_i, q_i), sized by how tall that person was there (sigma `WIDE`
and `DEEP` heights h_i: flat, as the floor is seen) and as high as it lasted:

    heat(x, y) = sum_i min(away_i, CAP_S) / 60 * exp(-((x - p_i) / WIDE h_i)^2 / 2 - ((y - q_i) / DEEP h_i)^2 / 2)

in minutes: about how long people were out of sight who vanished within a step of there. Places are its peaks, taken
one after another with the vanishings within `REACH` sigma of them, until one has less than `LEAST` of the time.

A door shows too, for nobody can tell from the picture what is behind it: how often somebody appeared there again, and
after how long, helps to tell a door from a corner.
"""

from __future__ import annotations

import errno
import os
import tempfile
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from detector.config import Camera, EdgeConfig, Zone
from detector.errors import ConfigError, Problem
from detector.geometry import distance
from detector.media.lettering import length, write
from detector.rules.blind_edge import HIDDEN_S, WALKED, within_a_walk
from detector.rules.zones import ZoneMap
from detector.tools.track_log import Footage, Picture, Point, Progress, Track, read_footage, watch, write_footage

# Lengths in heights of the person.
NEAR = 1.5
WIDE, DEEP = 0.5, 0.25

CAP_S = 900.0
EDGE_S = 2.0  # a track that begins or ends so near to the footage's begin or end was cut off by it
REACH = 3.0
LEAST = 0.05
PLACES = 6
PICTURES = (".png", ".jpg", ".jpeg", ".webp")
STEP = 4  # pixels of the picture to one of the heat


@dataclass(frozen=True, slots=True)
class Vanishing:
    """The end of a journey.

    Attributes:
        end: The last track of it.
        away_s: How long that person was out of sight, as far as can be said, capped.
        back: Whether somebody appeared here again, which ended it.
    """

    end: Track
    away_s: float
    back: bool


def journeys(tracks: Sequence[Track], size: tuple[int, int]) -> list[Track]:
    """Tracks joined where somebody was only hidden for a moment, those left out that never walked, in order of end.

    Args:
        tracks: Of one stretch of footage.
        size: Width and height of the picture.
    """
    begun = sorted(tracks, key=lambda track: (track.first_at, track.track))
    ended = sorted(tracks, key=lambda track: (track.last_at, track.track))
    times = [track.last_at for track in ended]
    joined: dict[int, Track] = {}  # by position in `ended`: the journey that ends there
    where = {id(track): n for n, track in enumerate(ended)}
    free = [not _leaves(track, size) for track in ended]
    for track in begun:
        before = None
        for n in range(bisect_left(times, track.first_at) - 1, -1, -1):
            if track.first_at - ended[n].last_at > HIDDEN_S:
                break
            if free[n] and ended[n] is not track and _goes_on_with(track, ended[n]):
                before = n
                break
        whole = track
        if before is not None:
            free[before] = False
            first = joined.pop(before)
            whole = replace(
                track,
                first_at=first.first_at,
                first=first.first,
                farthest=max(first.farthest, track.farthest, distance(track.last, first.first)),
            )
        joined[where[id(track)]] = whole
    return [whole for _, whole in sorted(joined.items()) if whole.farthest >= WALKED * whole.height]


def _leaves(track: Track, size: tuple[int, int]) -> bool:
    """Whether somebody walks out of the picture, at its sides or its foot."""
    x, y = track.last[0] + track.heading[0], track.last[1] + track.heading[1]
    return not 0 <= x <= size[0] or y > size[1]


def _goes_on_with(track: Track, lost: Track) -> bool:
    return within_a_walk(lost.last, lost.height, track.first, track.first_at - lost.last_at)


def vanishings(footage: Footage) -> tuple[list[Vanishing], int]:
    """Who went out of sight, in order of time; and how many journeys there were."""
    found: list[Vanishing] = []
    number = 0
    for begin, end in footage.stretches:
        inside = journeys([t for t in footage.tracks if begin <= t.first_at and t.last_at <= end], footage.size)
        number += len(inside)
        gone = [journey for journey in inside if journey.last_at < end - EDGE_S]
        came = sorted((j for j in inside if j.first_at > begin + EDGE_S), key=lambda j: (j.first_at, j.track))
        back = _paired(gone, came, lambda v, a: distance(v.last, a.first) <= NEAR * v.height)
        rest = [n for n in range(len(gone)) if n not in back]
        strangers = [a for n, a in enumerate(came) if n not in back.values()]
        elsewhere = _paired([gone[n] for n in rest], strangers, lambda v, a: True)
        until = {n: came[m].first_at for n, m in back.items()}
        until |= {rest[n]: strangers[m].first_at for n, m in elsewhere.items()}
        for n, journey in enumerate(gone):
            away_s = min(until.get(n, end) - journey.last_at, CAP_S)
            found.append(Vanishing(journey, away_s, n in back))
    return found, number


def _paired(gone: Sequence[Track], came: Sequence[Track], fits: Callable[[Track, Track], bool]) -> dict[int, int]:
    """Each who came, in order, with the latest gone before that fits and is not back yet: positions in both."""
    pairs: dict[int, int] = {}
    times = [track.last_at for track in gone]
    for m, one in enumerate(came):
        before = range(bisect_left(times, one.first_at) - 1, -1, -1)
        found = next((n for n in before if n not in pairs and fits(gone[n], one)), None)
        if found is not None:
            pairs[found] = m
    return pairs


@dataclass(frozen=True, slots=True)
class Place:
    """Where people go out of sight: the peak of the heat, in pixels, and the vanishings about it."""

    at: Point
    vanished: tuple[Vanishing, ...]

    @property
    def away_s(self) -> float:
        """Time out of sight of all of them."""
        return sum(vanishing.away_s for vanishing in self.vanished)

    @property
    def heading(self) -> Point:
        """Which way most of them went: the mean of their directions, of length 0 (any way) to 1 (all the same)."""
        ways = [_direction(vanishing.end.heading) for vanishing in self.vanished]
        return sum(x for x, _ in ways) / len(ways), sum(y for _, y in ways) / len(ways)


def _direction(velocity: Point) -> Point:
    length = distance(velocity, (0.0, 0.0))
    return (velocity[0] / length, velocity[1] / length) if length > 1e-6 else (0.0, 0.0)


def heat(found: Sequence[Vanishing], size: tuple[int, int]) -> NDArray[np.float32]:
    """Minutes out of sight over the picture, `(H / STEP, W / STEP)`; the formula stands above."""
    rows, columns = -(-size[1] // STEP), -(-size[0] // STEP)
    total = np.zeros((rows, columns), np.float32)
    for vanishing in found:
        (x, y), height = vanishing.end.last, vanishing.end.height
        wide, deep = WIDE * height, DEEP * height
        left, right = _span(x, 4 * wide, columns)
        top, bottom = _span(y, 4 * deep, rows)
        if left >= right or top >= bottom:
            continue
        across = np.exp(-(((np.arange(left, right) * STEP - x) / wide) ** 2) / 2)
        down = np.exp(-(((np.arange(top, bottom) * STEP - y) / deep) ** 2) / 2)
        total[top:bottom, left:right] += vanishing.away_s / 60 * np.outer(down, across)
    return total


def _span(middle: float, reach: float, most: int) -> tuple[int, int]:
    return max(0, int((middle - reach) // STEP)), min(most, int((middle + reach) // STEP) + 2)


def places(found: Sequence[Vanishing], size: tuple[int, int]) -> list[Place]:
    """The places where people are out of sight longest, most first."""
    taken: list[Place] = []
    left, whole = list(found), sum(vanishing.away_s for vanishing in found)
    while left and len(taken) < PLACES:
        hot = heat(left, size)
        row, column = np.unravel_index(int(hot.argmax()), hot.shape)
        peak = float(column * STEP), float(row * STEP)
        place = Place(peak, tuple(vanishing for vanishing in left if _is_about(vanishing, peak)))
        if place.away_s <= LEAST * whole:
            break
        taken.append(place)
        left = [vanishing for vanishing in left if not _is_about(vanishing, peak)]
    return sorted(taken, key=lambda place: -place.away_s)


def _is_about(vanishing: Vanishing, peak: Point) -> bool:
    (x, y), height = vanishing.end.last, vanishing.end.height
    wide, deep = max(WIDE * height, STEP), max(DEEP * height, STEP)
    return bool(((x - peak[0]) / wide) ** 2 + ((y - peak[1]) / deep) ** 2 <= REACH**2)


@dataclass(frozen=True, slots=True)
class TrackMap:
    """What is drawn, and told as JSON."""

    footage: Footage
    camera: Camera
    vanished: tuple[Vanishing, ...]
    places: tuple[Place, ...]
    journeys: int

    def record(self) -> dict[str, Any]:
        """As JSON: times in seconds, places in shares of the picture's width and height."""
        return {
            "camera": self.footage.camera,
            "hours": round(self.footage.seconds / 3600, 3),
            "journeys": self.journeys,
            "vanished": len(self.vanished),
            "out_of_sight_s": round(sum(vanishing.away_s for vanishing in self.vanished), 1),
            "cap_s": CAP_S,
            "places": [self._place(place) for place in self.places],
        }

    def _place(self, place: Place) -> dict[str, Any]:
        share = place.at[0] / self.footage.size[0], place.at[1] / self.footage.size[1]
        return {
            "x": round(share[0], 4),
            "y": round(share[1], 4),
            "zone": zone.name if (zone := ZoneMap(self.camera.zones).at(place.at, self.footage.size)) else None,
            "vanished": len(place.vanished),
            "appeared_again": sum(vanishing.back for vanishing in place.vanished),
            "total_away_s": round(place.away_s, 1),
            "median_away_s": round(median(vanishing.away_s for vanishing in place.vanished), 1),
            "share_of_journeys": round(len(place.vanished) / max(self.journeys, 1), 4),
            "heading": [round(v, 3) for v in place.heading],
        }

    def lines(self) -> list[tuple[str, str]]:
        """What is to be said of each place, in Chinese and English."""
        return [_told(place) for place in self._records()]

    def _records(self) -> list[dict[str, Any]]:
        return [self._place(place) for place in self.places]


def track_map(footage: Footage, camera: Camera) -> TrackMap:
    """Where people go out of sight, by the tracks of one camera."""
    vanished, number = vanishings(footage)
    return TrackMap(footage, camera, tuple(vanished), tuple(places(vanished, footage.size)), number)


def _told(place: dict[str, Any]) -> tuple[str, str]:
    count, back = place["vanished"], place["appeared_again"]
    total, usual = place["total_away_s"], place["median_away_s"]
    zh = f"{count} 次走出视线，{back} 次随后有人从这里出现，共 {_span_zh(total)}"
    en = f"{count} out of sight, {back} followed by somebody appearing here; {_span_en(total)} in all"
    if count > 1:
        zh, en = f"{zh}，一般 {_span_zh(usual)}", f"{en}, usually {_span_en(usual)}"
    return zh, en


def _span_zh(seconds: float) -> str:
    return f"{seconds:.0f} 秒" if seconds < 90 else f"{seconds / 60:.0f} 分钟"


def _span_en(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


def make_map(
    config: EdgeConfig, out: Path, *, recordings: Sequence[Path] | None = None, tracks: Path | None = None,
    camera: str | None = None, progress: Progress = lambda name, seconds: None,
    unread: Callable[[str], None] = lambda why: None,
) -> tuple[TrackMap, list[Path]]:  # fmt: skip
    """Draw a map from recordings, or from the tracks of an earlier one.

    Args:
        config: Whose cameras and zones apply.
        out: The picture to write; of recordings the tracks are written beside it, so that it can be drawn again.
        recordings: Video files and folders of them.
        tracks: Such tracks, instead.
        camera: Which camera's.
        progress: Called with the camera's name and the seconds of footage done since the last call.
        unread: Called with each recording that can't be read, and why; the map is of the others.

    Returns:
        What was found, and the files written.

    Raises:
        ConfigError: `out` names no picture or can't be written, or the camera is not the recordings' or the tracks'.
        SourceUnavailable: There is nothing to be read.
    """
    if out.suffix.lower() not in PICTURES:
        raise ConfigError([Problem("--out", "", f"no kind of picture: {out.name}", "name it .png or .jpg")])
    _check_writable(out)
    written = [out]
    picture: Picture | None
    if tracks is not None:
        footage, picture = read_footage(tracks)
        if camera not in (None, footage.camera):
            raise ConfigError([Problem("--camera", "", f"no tracks of the camera {camera}", f"of {footage.camera}")])
    else:
        footage, picture = watch(recordings or [], config, camera, progress, unread)
        beside = out.with_suffix(".tracks.jsonl")
        write_footage(beside, footage, picture)
        written.append(beside)
    known = next((one for one in config.cameras if one.name == footage.camera), None)
    found = track_map(footage, known or Camera(name=footage.camera, source=footage.camera))
    out.write_bytes(cv2.imencode(out.suffix, draw(found, picture))[1].tobytes())
    return found, written


def _check_writable(out: Path) -> None:
    """Hours are spent before anything is written: that nothing can be is told first."""
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        if out.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        with tempfile.NamedTemporaryFile(dir=out.parent, prefix=".map-"):
            pass
    except OSError as error:
        raise ConfigError(
            [Problem("--out", "", f"can't be written: {out}: {error.strerror}", "name another")]
        ) from error


# The drawing. Colours are BGR.

WIDTH = 1280
MARGIN = 32
PAPER, INK, FAINT, RULE, ROW = (26, 22, 20), (240, 240, 240), (165, 160, 155), (60, 54, 50), (10, 150, 245)
ZONES = {
    "storage": (200, 200, 200),
    "walkway": (140, 140, 140),
    "packing": (150, 190, 150),
    "blind_edge": (230, 200, 60),
}
DARKNESS, SOBERNESS = 0.5, 0.6  # how much of the picture's light and colour is taken away
BAR = 280
GLOW = 0.85  # how much the hottest hides of the picture


def draw(found: TrackMap, picture: Picture | None) -> Picture:
    """The map: the camera's picture with the heat and the places on it, and below what they mean.

    Args:
        found: What to draw.
        picture: `(H, W, 3)` BGR of the camera, of any size; plain grey where there is none.

    Returns:
        A picture 1280 wide.
    """
    width, height = found.footage.size
    size = WIDTH, max(1, round(WIDTH * height / width))
    hot = heat(found.vanished, found.footage.size)
    view = _lit(_backdrop(picture, size), hot)
    _zones(view, found.camera.zones)
    for number, place in enumerate(found.places, 1):
        _mark(view, number, place, WIDTH / width)
    return np.vstack([view, _legend(found, float(hot.max(initial=0.0)))])


def _backdrop(picture: Picture | None, size: tuple[int, int]) -> Picture:
    if picture is None:
        return np.full((size[1], size[0], 3), 48, np.uint8)
    image = cv2.resize(picture, size, interpolation=cv2.INTER_AREA if picture.shape[1] > WIDTH else cv2.INTER_CUBIC)
    grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    sober = cv2.addWeighted(image, 1 - SOBERNESS, grey, SOBERNESS, 0)
    return np.asarray(sober * (1 - DARKNESS), np.uint8)


def _lit(view: Picture, hot: NDArray[np.float32]) -> Picture:
    peak = float(hot.max(initial=0.0))
    if peak <= 0:
        return view
    share = cv2.resize(hot / peak, (view.shape[1], view.shape[0]), interpolation=cv2.INTER_CUBIC).clip(0, 1)
    # The square root shows the lesser places too; each is still in the order of its minutes.
    share = np.sqrt(share)
    cover = (GLOW * share)[..., None]
    return np.asarray(view * (1 - cover) + _colours(share) * cover, np.uint8)


def _colours(share: NDArray[np.float32]) -> Picture:
    """From dark violet to light yellow for 0 to 1."""
    return np.asarray(cv2.applyColorMap((70 + 180 * share).astype(np.uint8), cv2.COLORMAP_INFERNO), np.uint8)


def _zones(view: Picture, zones: Sequence[Zone]) -> None:
    size = np.array([view.shape[1] - 1, view.shape[0] - 1])
    for zone in zones:
        corners = (np.array(zone.polygon) * size).round().astype(np.int32)
        if zone.kind == "ignore" or cv2.contourArea(corners) > 0.98 * size[0] * size[1]:
            continue
        colour = ZONES[zone.kind]
        cv2.polylines(view, [corners.reshape(-1, 1, 2)], True, colour, 1, cv2.LINE_AA)
        left, top = corners[corners.sum(axis=1).argmin()]
        write(view, zone.name, (int(left) + 6, int(top) + 18), 14, colour)


def _mark(view: Picture, number: int, place: Place, scale: float) -> None:
    x, y = round(place.at[0] * scale), round(place.at[1] * scale)
    tall = median(vanishing.end.height for vanishing in place.vanished) * scale
    wide = min(max(2 * WIDE * tall, 24), WIDTH / 8)
    deep = wide * DEEP / WIDE
    cv2.ellipse(view, ((x, y), (2 * wide, 2 * deep), 0), INK, 1, cv2.LINE_AA)
    if distance(place.heading, (0.0, 0.0)) >= 0.3:
        dx, dy = _direction(place.heading)
        start, tip = (round(x + dx * 20), round(y + dy * 20)), (round(x + dx * 66), round(y + dy * 66))
        cv2.arrowedLine(view, start, tip, INK, 2, cv2.LINE_AA, tipLength=0.3)
    _chip(view, number, (x, y))


def _chip(out: Picture, number: int, middle: tuple[int, int]) -> None:
    cv2.circle(out, middle, 14, INK, cv2.FILLED, cv2.LINE_AA)
    text = str(number)
    write(out, text, (middle[0] - round(length(text, 18, bold=True) / 2), middle[1] + 7), 18, PAPER, bold=True)


def _legend(found: TrackMap, peak: float) -> Picture:
    rows = max(1, len(found.places))
    panel = np.full((140 + 52 * rows + 78, WIDTH, 3), PAPER, np.uint8)
    hours, number = found.footage.seconds / 3600, found.journeys
    name = found.camera.title or found.camera.name
    span = f"{hours:.1f}" if hours >= 0.95 else f"{hours * 60:.0f}"
    zh_unit, en_unit = ("小时", "h") if hours >= 0.95 else ("分钟", "min")
    write(panel, f"人在哪里走出视线  {name}", (MARGIN, 52), 28, INK, bold=True, otherwise=name)
    write(panel, f"录像 {span} {zh_unit}，{number} 段行走", (MARGIN, 84), 17, FAINT)
    write(
        panel, f"Where people go out of sight: {span} {en_unit} of footage, walks: {number}", (MARGIN, 108), 15, FAINT
    )
    if found.places:
        _scale(panel, peak)
    y = 140
    cv2.line(panel, (MARGIN, y), (WIDTH - MARGIN, y), RULE, 1)
    if not found.places:
        write(panel, "没有人走出视线", (MARGIN, y + 30), 17, INK)
        write(panel, "Nobody went out of sight.", (MARGIN, y + 50), 14, FAINT)
    longest = max((place.away_s for place in found.places), default=1.0)
    for n, (place, (zh, en)) in enumerate(zip(found.places, found.lines(), strict=True), 1):
        _chip(panel, n, (MARGIN + 14, y + 30))
        share = place.away_s / longest
        right = WIDTH - MARGIN - BAR + max(2, round(BAR * share))
        cv2.rectangle(panel, (WIDTH - MARGIN - BAR, y + 25), (right, y + 35), ROW, cv2.FILLED)
        write(panel, zh, (MARGIN + 44, y + 27), 18, INK)
        write(panel, en, (MARGIN + 44, y + 47), 14, FAINT)
        y += 52
    y = 140 + 52 * rows + 14
    cv2.line(panel, (MARGIN, y), (WIDTH - MARGIN, y), RULE, 1)
    cap = f"{CAP_S / 60:.0f}"
    write(
        panel,
        f"时间算到有人从该处（否则从别处）出现为止，每次最多 {cap} 分钟。门口也会显示。",
        (MARGIN, y + 26),
        14,
        FAINT,
    )
    write(
        panel, f"Time runs until somebody appears there, or else anywhere; {cap} min at most. Doors show too.",
        (MARGIN, y + 47), 13, FAINT,
    )  # fmt: skip
    return panel


def _scale(panel: Picture, peak: float) -> None:
    """What the colours mean, at the right of the title."""
    left, top = WIDTH - MARGIN - BAR, 62
    panel[top : top + 12, left : left + BAR] = _colours(
        np.sqrt(np.linspace(0, 1, BAR, dtype=np.float32))[None].repeat(12, axis=0)
    )
    most = f"{peak:.0f}" if peak >= 10 else f"{peak:.1f}"
    write(panel, "走出视线的分钟数 minutes out of sight", (left, top - 12), 15, FAINT, otherwise="minutes out of sight")
    write(panel, "0", (left, top + 34), 15, FAINT)
    write(panel, most, (left + BAR - round(length(most, 15)), top + 34), 15, FAINT)
