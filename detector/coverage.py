"""How far a camera sees well enough: where it hangs and what the model can see enter, a line on the ground leaves.

Pinhole model without lens distortion, the camera level from side to side. It hangs `H` metres above flat ground and
looks `t` degrees below the horizontal. The focal length in pixels follows from the picture's width `W`, as the camera
took it and before anybody turned it, and the horizontal field of view:

    f = (W / 2) / tan(fov / 2)

A point straight ahead at ground distance `d` (from the point below the camera) and height `h` has, along the optical
axis and downwards across it,

    depth = d cos t + (H - h) sin t        below = (H - h) cos t - d sin t

and stands in the picture's row `v = height / 2 + f * below / depth`. Neither depends on how far it is to the side: so
the points of one distance ahead are one row, and the line is level. A phone at that depth is `f * s / depth` pixels
large. (Hartley and Zisserman, Multiple View Geometry, chapter 6.)

A phone's size is the side of a square of its box's area, since that is what recall was measured by. A phone of
0.15 x 0.075 m facing the camera upright has `s = sqrt(0.15 * 0.075) = 0.106 m`; over all ways a plate of that size can
be turned, at random, the mean is 0.111 m and nine of ten are above 0.079 m: it is the usual case, not the worst. Held
against 211 phones of rendered scenes whose camera is known, half of them seen through a lens with distortion: true size
by told size 1.08 in the median, 0.79 to 1.40 from the tenth to the ninetieth percentile.
It is held `PHONE_HEIGHT_M` above the ground, as a squatting person does: the lower, the farther from the camera.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from detector.errors import ModelError
from detector.media.lettering import can_chinese, length, write
from detector.media.shape import across

if TYPE_CHECKING:
    from detector.config import Analysis

PHONE_M = (0.15, 0.075)
PHONE_SIDE_M = math.sqrt(PHONE_M[0] * PHONE_M[1])
PHONE_HEIGHT_M = 0.5
PERSON_M = 1.7
LEAST_RECALL = 0.5
DOUBTED = 2  # phones of each size that are taken for missed beside those measured
MEASURED = {"frame_side": 640, "zoom_side": 320, "zooms": 1}  # with less of these a card's curve doesn't hold
SENSOR_MM = 5.57  # width of a 1/2.8 inch sensor, 1920 pixels of 2.9 micrometres: that of most surveillance cameras
MARKS_M = (2, 4, 6, 8, 10, 15, 20, 30, 50)


@dataclass(frozen=True)
class View:
    """A camera over flat ground.

    Attributes:
        height_m: Of the lens above the ground, metres.
        tilt_deg: Of the optical axis below the horizontal, 0 to below 90.
        fov_deg: Horizontal field of view before the picture is turned, above 0 and below 180.
        width: Of the picture as it is shown, pixels.
        height: Of the picture as it is shown, pixels; they are square.
        turned: Degrees by which it is turned to be shown, a multiple of 90.

    Raises:
        ValueError: A value lies outside.
    """

    height_m: float
    tilt_deg: float
    fov_deg: float
    width: int
    height: int
    turned: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.height_m < 1000:
            raise ValueError(f"height must be above 0 and below 1000 m, not {self.height_m:g}")
        if not 0 <= self.tilt_deg < 90:
            raise ValueError(f"tilt must be 0 (level) to below 90 (straight down) degrees, not {self.tilt_deg:g}")
        if not 0 < self.fov_deg < 180:
            raise ValueError(f"field of view must be above 0 and below 180 degrees, not {self.fov_deg:g}")
        if self.width < 1 or self.height < 1:
            raise ValueError(f"a picture has pixels, not {self.width} x {self.height}")

    @property
    def focal_px(self) -> float:
        """Focal length, pixels."""
        return across((self.width, self.height), self.turned)[0] / 2 / math.tan(math.radians(self.fov_deg) / 2)

    def depth_m(self, distance_m: float, above_m: float = 0.0) -> float:
        """Depth along the optical axis of a point at a ground distance ahead and a height, metres."""
        tilt = math.radians(self.tilt_deg)
        return distance_m * math.cos(tilt) + (self.height_m - above_m) * math.sin(tilt)

    def phone_px(self, distance_m: float) -> float:
        """Size of a phone held at a ground distance ahead, pixels of the frame; infinite at or behind the lens."""
        depth = self.depth_m(distance_m, PHONE_HEIGHT_M)
        return self.focal_px * PHONE_SIDE_M / depth if depth > 0 else math.inf

    def distance_m(self, phone_px: float) -> float:
        """Ground distance ahead at which a phone has a size, the inverse of `phone_px`; negative: behind the camera."""
        tilt = math.radians(self.tilt_deg)
        depth = self.focal_px * PHONE_SIDE_M / phone_px
        return (depth - (self.height_m - PHONE_HEIGHT_M) * math.sin(tilt)) / math.cos(tilt)

    def row(self, distance_m: float) -> float:
        """Row of the ground at a distance ahead, pixels from the top of the picture; infinite at or behind the lens."""
        tilt = math.radians(self.tilt_deg)
        depth = self.depth_m(distance_m)
        below = self.height_m * math.cos(tilt) - distance_m * math.sin(tilt)
        return self.height / 2 + self.focal_px * below / depth if depth > 0 else math.inf

    def ground_m(self, row: float) -> float | None:
        """Ground distance ahead that a row shows, the inverse of `row`; `None` on or above the horizon."""
        tilt = math.radians(self.tilt_deg)
        down = (row - self.height / 2) / self.focal_px
        rise = math.sin(tilt) + down * math.cos(tilt)
        if rise <= 1e-12:
            return None
        return self.height_m * (math.cos(tilt) - down * math.sin(tilt)) / rise


def fov_of(focal_mm: float, sensor_mm: float = SENSOR_MM) -> float:
    """Horizontal field of view in degrees of a lens and a sensor's width, both in millimetres.

    Raises:
        ValueError: One of them is not above 0, or has no end.
    """
    if not (0 < focal_mm < math.inf and 0 < sensor_mm < math.inf):
        reason = "focal length and sensor width must be above 0 mm, and finite"
        raise ValueError(f"{reason}, not {focal_mm:g} and {sensor_mm:g}")
    return math.degrees(2 * math.atan(sensor_mm / 2 / focal_mm))


def least_phone_px(curve: Sequence[Mapping[str, Any]]) -> float | None:
    """The least phone that can be judged: the size from which on at least half of the phones are found.

    Half is enough since acts add up several looks; below it a phone is more often missed than seen. Each bin has two
    missed phones more than it was measured on, so that a few lucky finds make no size judgeable. Recall is made to
    rise with size first (pool adjacent violators, Ayer et al., 1955), weighted by the number of phones, and read
    between the middles of the bins on a logarithmic scale. Nothing is said of sizes smaller than those measured.

    Args:
        curve: `curves.phone_recall_by_px` of a model's card: bins `{px: [low, high or null], phones, found}`.

    Returns:
        Side of the phone's box, pixels of the frame; `None` where so many are found at no size.

    Raises:
        ModelError: The curve is none.
    """
    try:
        bins = sorted(
            (float(b["px"][0]), float(b["px"][1] or 1.5 * b["px"][0]), int(b["found"]), int(b["phones"]) + DOUBTED)
            for b in curve
            if int(b["phones"]) > 0
        )
        if any(not (0 <= low < high and 0 <= found <= phones - DOUBTED) for low, high, found, phones in bins):
            raise ValueError("a bin without extent, or more found than there are")
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise ModelError(f"curves.phone_recall_by_px of the card can't be read: {error}") from error
    if not bins:
        return None
    pools: list[list[int]] = []  # found, phones, number of bins
    for _, _, found, phones in bins:
        pools.append([found, phones, 1])
        while len(pools) > 1 and pools[-2][0] * pools[-1][1] >= pools[-1][0] * pools[-2][1]:
            last = pools.pop()
            pools[-1] = [a + b for a, b in zip(pools[-1], last, strict=True)]
    recall = [found / phones for found, phones, n in pools for _ in range(n)]
    middle = [math.log(math.sqrt(max(low, 1.0) * high)) for low, high, _, _ in bins]
    first = next((k for k, share in enumerate(recall) if share >= LEAST_RECALL), None)
    if first is None:
        return None
    if first == 0:
        return max(bins[0][0], 1.0)
    share = (LEAST_RECALL - recall[first - 1]) / (recall[first] - recall[first - 1])
    return math.exp(middle[first - 1] + share * (middle[first] - middle[first - 1]))


@dataclass(frozen=True)
class Coverage:
    """How far a phone can be judged.

    Attributes:
        view: The camera.
        least_px: Least phone that can be judged, pixels of the frame.
        limit_m: Ground distance ahead beyond which a phone is smaller; 0 or less: it is everywhere.
        nearest_m: Ground distance at the picture's lower edge.
        farthest_m: Ground distance at its upper edge; `None`: it shows the horizon.
        presumed: Settings of `analysis` that are set lower than where that was measured, and how they were there.
    """

    view: View
    least_px: float
    limit_m: float
    nearest_m: float
    farthest_m: float | None
    presumed: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        """`part` of the ground in the picture can be judged, `all` or `none` of it."""
        if self.limit_m <= max(self.nearest_m, 0.0):  # a steep camera shows ground behind it as well
            return "none"
        return "all" if self.farthest_m is not None and self.limit_m >= self.farthest_m else "part"

    def sentence(self) -> tuple[str, str]:
        """What it means, in Chinese and English."""
        zh, en = self._limit()
        if not self.presumed:
            return zh, en
        return (
            f"{zh}（须 {'、'.join(self.presumed)} 以上；此处设得更小，实际可能看不了这么远。）",
            f"{en} (That holds from {', '.join(self.presumed)} on; set lower, as here, it may be less far.)",
        )

    def _limit(self) -> tuple[str, str]:
        zh_size, en_size = f"约 {self.least_px:.0f} 像素", f"about {self.least_px:.0f} pixels"
        limit = f"{self.limit_m:.1f}"
        if self.kind == "none":
            zh = f"画面中任何位置的手机都小于可判断的最小尺寸（{zh_size}）。"
            en = f"Nowhere in this picture is a phone large enough to be judged ({en_size})"
            if self._looks_over_it:
                return f"{zh}请让摄像机再向下倾斜。", f"{en}: tilt the camera further down."
            return (
                f"{zh}请降低摄像机、换长焦镜头或提高分辨率。",
                f"{en}: hang the camera lower, or take a longer lens or more pixels.",
            )
        if self.kind == "all":
            zh = f"画面中的地面处处可判断手机（不小于{zh_size}）。"
            return zh, f"Everywhere on the ground in this picture a phone can be judged (at least {en_size})."
        zh = f"距摄像机正下方 {limit} 米以外，手机小于{zh_size}，无法判断是否在拍摄。"
        en = f"Beyond {limit} m from the point below the camera a phone is smaller than {en_size}"
        return zh, f"{en} and can't be judged."

    @property
    def _looks_over_it(self) -> bool:
        """Whether ground that could be judged lies below the picture; a longer lens would show less of it still."""
        steeper = (replace(self.view, tilt_deg=tilt) for tilt in range(math.floor(self.view.tilt_deg) + 1, 90))
        return any(coverage(view, self.least_px).kind != "none" for view in steeper)

    def record(self) -> dict[str, Any]:
        """As JSON."""
        zh, en = self.sentence()
        row = self.view.row(self.limit_m) if self.kind == "part" else None
        marks = [m for m in MARKS_M if m > self.nearest_m and (self.farthest_m is None or m < self.farthest_m)]
        return {
            "judged": self.kind,
            "least_phone_px": round(self.least_px, 1),
            "limit_m": round(self.limit_m, 2) if self.limit_m > 0 else None,
            "limit_row": round(row, 1) if row is not None else None,
            "limit_y": round(row / self.view.height, 4) if row is not None else 1.0 if self.kind == "none" else None,
            "phone_px_by_m": {str(m): round(self.view.phone_px(m), 1) for m in marks},
            "fov_deg": round(self.view.fov_deg, 1),
            "sentence": {"zh": zh, "en": en},
        }


def least_px_of(model: str) -> float:
    """The least phone that a model can judge, pixels of the frame.

    Args:
        model: Its name in models/, or the path of its card.

    Raises:
        ModelError: Its card has no curve of phones by size, or no size is enough.
    """
    from detector.inference.card import find_card

    card = find_card(model)
    curves = (card.model_extra or {}).get("curves") or {}
    if "phone_recall_by_px" not in curves:
        raise ModelError(
            f"the card of {card.name} doesn't say how small a phone it finds "
            "(models/evaluate.py --write measures that; a model of your own needs it too)"
        )
    least = least_phone_px(curves["phone_recall_by_px"])
    if least is None:
        raise ModelError(f"{card.name} finds {LEAST_RECALL:.0%} of the phones at no size that was measured")
    return least


def least_height_px(model: str) -> float:
    """How tall somebody stands in the picture whose phone is the least that a model can judge, pixels of the frame.

    A camera that looks steeply down sees people shorter, and takes them for farther off than they are.

    Raises:
        ModelError: As of `least_px_of`.
    """
    return least_px_of(model) * PERSON_M / PHONE_SIDE_M


def coverage_with(view: View, analysis: Analysis) -> Coverage:
    """How far a phone can be judged by a camera whose pictures are looked at so.

    Raises:
        ModelError: As of `least_px_of`.
        ValueError: As of `coverage`.
    """
    presumed = tuple(f"{name} {least}" for name, least in MEASURED.items() if getattr(analysis, name) < least)
    return replace(coverage(view, least_px_of(analysis.model)), presumed=presumed)


def coverage(view: View, least_px: float) -> Coverage:
    """How far a phone can be judged by a camera, given the least size that can be.

    Raises:
        ValueError: The camera shows no ground at all.
    """
    nearest = view.ground_m(view.height)
    if nearest is None:
        raise ValueError("the camera shows no ground: tilt it further down, or check height, tilt and field of view")
    return Coverage(view, least_px, view.distance_m(least_px), nearest, view.ground_m(0))


BEYOND = (40, 40, 220)  # BGR
MARK = (255, 255, 255)


# What the picture says: of a mark, of the limit, and where nothing can be judged.
WORDS = {
    "zh": (
        "{m} 米：手机 {px:.0f} 像素",
        "{m:.1f} 米以外：手机小于 {px:.0f} 像素，无法判断",
        "任何位置的手机都太小（小于 {px:.0f} 像素）",
    ),
    "en": (
        "{m} m: phone {px:.0f} px",
        "beyond {m:.1f} m: phone < {px:.0f} px, can't be judged",
        "phones are too small everywhere (< {px:.0f} px)",
    ),
}


def draw(image: NDArray[np.uint8], covered: Coverage, language: str) -> NDArray[np.uint8]:
    """The picture with distances marked, the limit as a red line and what lies beyond it reddened.

    Args:
        image: `(H, W, 3)` BGR uint8, of the size that the view has.
        covered: How far can be judged.
        language: Of what is written on it, `zh` or `en`; English where there is no font for Chinese.

    Returns:
        A new picture of the same size.
    """
    mark, limit_words, nowhere = WORDS[language if can_chinese() else "en"]
    view, out = covered.view, image.copy()
    scale = max(image.shape[1] / 1280, 0.5)
    if covered.kind != "all":
        limit = view.height if covered.kind == "none" else round(view.row(covered.limit_m))
        horizon = 0 if covered.farthest_m is not None else max(0, round(_horizon(view)))
        far = out[horizon:limit]
        out[horizon:limit] = (0.65 * far + 0.35 * np.array(BEYOND)).astype(np.uint8)
    taken: list[float] = []
    for metres in MARKS_M:
        row = view.row(metres)
        if 0 <= row < view.height and all(abs(row - other) > 16 * scale for other in taken):
            taken.append(row)
            _line(out, row, mark.format(m=metres, px=view.phone_px(metres)), MARK, scale, thin=True)
    if covered.kind == "part":
        text = limit_words.format(m=covered.limit_m, px=covered.least_px)
        _line(out, view.row(covered.limit_m), text, BEYOND, scale, thin=False)
    elif covered.kind == "none":
        _text(out, nowhere.format(px=covered.least_px), view.height / 2, scale, BEYOND, right=True)
    return out


def _horizon(view: View) -> float:
    return view.height / 2 - view.focal_px * math.tan(math.radians(view.tilt_deg))


def _line(out: NDArray[np.uint8], row: float, text: str, colour: tuple[int, ...], scale: float, *, thin: bool) -> None:
    y, width = round(row), out.shape[1]
    cv2.line(out, (0, y), (width, y), colour, max(1, round((1 if thin else 3) * scale)), cv2.LINE_AA)
    _text(out, text, row, scale, colour, right=not thin)


def _text(out: NDArray[np.uint8], text: str, row: float, scale: float, colour: tuple[int, ...], *, right: bool) -> None:
    """Text on a plate of a colour just above a row (below it where there is no room), at the left or right edge."""
    size, ink = round(17 * scale), (255, 255, 255) if sum(colour) < 400 else (0, 0, 0)
    width, below, pad = round(length(text, size)), round(0.3 * size), round(4 * scale)
    tall = size + 2 * pad
    x = out.shape[1] - width - 3 * pad if right else pad
    bottom = round(row) if row > tall else round(row) + tall
    cv2.rectangle(out, (x, bottom - tall), (x + width + 2 * pad, bottom), colour, cv2.FILLED)
    write(out, text, (x + pad, bottom - below - pad), size, ink)
