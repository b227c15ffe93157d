"""Training looks: a manifest's pictures enter, batches of squares at the two scales the worker looks at leave.

The worker looks at the whole frame, 640 pixels on its long side, and at a square cut round each person's upper body and
enlarged to 320 (`detector/inference/zoom.py`). Training draws, afresh for every batch:

- *frame looks*: 416-pixel parts of a frame at about that scale, mirrored, stretched and coloured at random;
- *close looks*: 320-pixel squares round a person, or round a phone where a picture shows no whole person. They are
  sometimes blurred to the resolution that a person far from the camera has. Who else stands in such a square teaches
  an act only if its device shows there: the worker asks of whom the look is at. Real pictures of people with a phone
  are few, and the renderer's phones are not like real ones: phones cut out of close-ups are put into real people's
  hands, other things of the same outline too, so that an outline alone makes no phone (copy-paste, Ghiasi et al.
  2021). Of nobody real it is known that they photograph, and that real people never do must not be learnt: a phone
  put into a hand that is held out counts as pointed at something.

People with a device in use are few and matter most, so they are drawn more often (`_worth`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import NamedTuple

import cv2
import numpy as np
from dataset import overlap, read_image, side_of
from manifest import Picture, SetError, Thing

from detector.geometry import areas, intersections
from detector.inference.zoom import zoom_square
from detector.values import ACT_TRAITS, ANGLE_COS, ANGLE_SIN, CALL, LABELS, NOT_UP, PHOTO, TRAITS, UP

OWNER = {
    "parcel": slice(UP, NOT_UP + 1),
    "phone": slice(PHOTO, CALL + 1),
    "person": ACT_TRAITS,
    "label": slice(ANGLE_COS, None),
}
HELD_OUT = (1.0, 0.0, 0.0, np.nan)  # acts with a phone in a hand held out: a photo; whether it is read nobody can tell
# Rendered people whose act can be seen. Scanning and reading are half as many as photographing; who bends over parcels
# or squats without a device is what passes for it.
ACT_WORTH = {"photo": 4.0, "scan": 6.0, "call": 4.0, "browse": 6.0, "none": 2.5}
REAL_SHARE = 0.55  # of looks of either kind: however much is rendered, what is real is not to be forgotten
FRAME, FRAME_SIDE, CLOSE = 416, 640, 320
STRETCH = 1.15  # squares are that much wider or narrower at most, as bodies and lenses differ
DEVICES = (LABELS.index("phone"), LABELS.index("scanner"))
GREY = (114, 114, 114)


@dataclass(frozen=True)
class Batch:
    """Squares of one size with their truth, padded to the most objects of one square.

    Attributes:
        images: `(B, S, S, 3)` BGR uint8.
        classes: `(B, M)` indices into `LABELS`.
        boxes: `(B, M, 4)` x1, y1, x2, y2 in pixels; all zero where padded.
        traits: `(B, M, 10)` targets 0..1 in the order of `TRAITS`, NaN where unknown.
        doubtful: `(B, M)` whether the object is neither to be learnt nor background.
        known: `(B, 5)` whether a class is marked completely.
        clean: `images` before light, noise and compression were drawn.
        real: `(B,)` whether a square is of a real picture.
        proposed: `(B, M)` whether a model alone says of which class the object is: of it only traits are learnt.
    """

    images: np.ndarray
    classes: np.ndarray
    boxes: np.ndarray
    traits: np.ndarray
    doubtful: np.ndarray
    known: np.ndarray
    clean: np.ndarray
    real: np.ndarray
    proposed: np.ndarray


class _Hand(NamedTuple):
    """A wrist of a real person, pixels of the picture.

    Attributes:
        owner: The person's place among the things of its picture.
        box: The person's.
    """

    x: float
    y: float
    owner: int
    box: tuple[float, float, float, float]

    @property
    def height(self) -> float:
        return self.box[3] - self.box[1]

    @property
    def is_held_out(self) -> bool:
        """Whether it is above the hips and beside the trunk: a phone in it is neither read nor at the ear."""
        x1, y1, x2, _ = self.box
        return self.y < y1 + 0.6 * self.height and abs(self.x - (x1 + x2) / 2) > 0.25 * (x2 - x1)


@dataclass(frozen=True)
class _Truth:
    classes: np.ndarray
    boxes: np.ndarray
    traits: np.ndarray
    doubtful: np.ndarray
    proposed: np.ndarray


def traits_of(thing: Thing) -> np.ndarray:
    """Targets `(10,)` of an object's traits, NaN where unknown or not its own."""
    row = np.full(len(TRAITS), np.nan, np.float32)
    said = {"parcel": thing.facing, "phone": thing.use, "person": thing.act}.get(thing.label)
    if said is not None:
        row[OWNER[thing.label]] = 0.0
        name = f"act_{said}" if thing.label == "person" else said
        if name in TRAITS:
            row[TRAITS.index(name)] = 1.0
    for name in (thing.not_use, thing.not_act and f"act_{thing.not_act}"):
        if name in TRAITS:
            row[TRAITS.index(name)] = 0.0
    if thing.label == "label" and thing.angle is not None:
        twice = np.radians(2 * thing.angle)
        row[OWNER["label"]] = (1 + np.cos(twice)) / 2, (1 + np.sin(twice)) / 2
    return row


class Looks:
    """Draws batches from the pictures of a set, all of them held in memory."""

    def __init__(self, pictures: Sequence[Picture], seed: int) -> None:
        """Read the pictures.

        Raises:
            SetError: There is none, one can't be read, or a box lies outside of its picture.
        """
        if not pictures:
            raise SetError("no picture to train on (is the split of this name empty?)")
        self._rng = np.random.default_rng(seed)
        self._pictures = list(pictures)
        self._images = [read_image(picture.path) for picture in pictures]
        for picture, image in zip(pictures, self._images, strict=True):
            for thing in picture.things:  # of another picture, or of this one at another size
                if not (thing.box[0] < image.shape[1] and thing.box[1] < image.shape[0] and min(thing.box[2:]) > 0):
                    raise SetError(
                        f"{picture.path}: a {thing.label} is marked at {thing.box[0]:.0f}, {thing.box[1]:.0f}, outside "
                        f"of the picture of {image.shape[1]}x{image.shape[0]} (was it scaled or replaced since?)"
                    )
        self._truth = [
            _Truth(
                np.array([LABELS.index(thing.label) for thing in picture.things], np.int64),
                np.array([thing.box for thing in picture.things], np.float32).reshape(-1, 4),
                np.array([traits_of(thing) for thing in picture.things], np.float32).reshape(-1, len(TRAITS)),
                np.array([thing.doubtful for thing in picture.things], bool),
                np.array([thing.proposed for thing in picture.things], bool),
            )
            for picture in pictures
        ]
        self._cutouts = [
            (n, thing.box)
            for n, picture in enumerate(pictures)
            for thing in picture.things
            if picture.source != "rendered"
            and thing.label == "phone"
            and not (thing.doubtful or thing.proposed)
            and side_of(thing.box) > 60
        ]
        frames, close = [], []
        for n, picture in enumerate(pictures):
            frames.append(1.0 if picture.source == "rendered" or picture.known else 0.3)
            height, width = self._images[n].shape[:2]
            close += [(n, box, worth) for box, worth in _worth(picture, width, height)]
        self._close = [(n, box) for n, box, _ in close]
        real = np.array([picture.source != "rendered" for picture in pictures], bool)
        self._frame_odds = _shared_out(_odds(frames), real)
        self._close_odds = _shared_out(_odds([worth for *_, worth in close]), real[[n for n, _ in self._close]])

    def __len__(self) -> int:
        return len(self._pictures)

    def batch(self, size: int, *, close: bool) -> Batch:
        """Draw one batch of frame looks or close looks."""
        draw = self._draw_close if close and self._close else self._draw_frame
        return collated([draw() for _ in range(size)])

    def _draw_frame(self):
        n = self._rng.choice(len(self._pictures), p=self._frame_odds)
        height, width = self._images[n].shape[:2]
        side = max(height, width) * FRAME / FRAME_SIDE / self._rng.uniform(0.7, 1.4)
        if self._pictures[n].source != "rendered" and self._rng.random() < 0.6:
            side = max(height, width) * self._rng.uniform(1.0, 1.5)  # near things, seen whole
        x = self._rng.uniform(*sorted((-0.1 * side, width - 0.9 * side)))
        y = self._rng.uniform(*sorted((-0.1 * side, height - 0.9 * side)))
        return self._square(n, x, y, side, FRAME)

    def _draw_close(self):
        n, box = self._close[self._rng.choice(len(self._close), p=self._close_odds)]
        x, y, side = zoom_square(box)
        larger = side * self._rng.uniform(0.8, 1.35)
        x -= (larger - side) / 2 + self._rng.uniform(-0.12, 0.12) * side
        y -= (larger - side) / 2 + self._rng.uniform(-0.12, 0.12) * side
        return self._square(n, x, y, larger, CLOSE, at=box, hands=self._hands_of(n, box))

    def _hands_of(self, n: int, box) -> tuple[_Hand, ...]:
        """Free hands of a real person; none where a phone is held already."""
        picture = self._pictures[n]
        if picture.source == "rendered" or "phone" not in picture.known or not self._cutouts:
            return ()
        if any(thing.label == "phone" and overlap(thing.box, box) > 0.5 for thing in picture.things):
            return ()
        return tuple(
            _Hand(*hand, k, box) for k, thing in enumerate(picture.things) if thing.box == box for hand in thing.hands
        )

    def _put_in_hand(self, image: np.ndarray, at: tuple[float, float], long_side: float) -> _Truth | None:
        """Put a phone, or something else of its outline, at a hand; the phone's truth, or `None` for something else."""
        rng, height = self._rng, image.shape[0]
        n, (x1, y1, x2, y2) = self._cutouts[rng.integers(len(self._cutouts))]
        source, real = self._images[n], rng.random() < 0.7
        if not real:  # another part of some picture
            source = self._images[rng.integers(len(self._images))]
            w, h = min(x2 - x1, source.shape[1] - 1), min(y2 - y1, source.shape[0] - 1)
            x1, y1 = rng.uniform(0, source.shape[1] - w), rng.uniform(0, source.shape[0] - h)
            x2, y2 = x1 + w, y1 + h
        cutout = source[max(0, int(y1)) : int(y2), max(0, int(x1)) : int(x2)]
        if min(cutout.shape[:2]) < 8:
            return None
        scale = long_side / max(cutout.shape[:2])
        small = cv2.resize(cutout, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        h, w = small.shape[:2]
        turn = cv2.getRotationMatrix2D((w / 2, h / 2), rng.uniform(-40, 40), 1.0)
        turn[:, 2] += (at[0] - w / 2, at[1] - h / 2)
        mask = cv2.warpAffine(np.ones((h, w), np.float32), turn, image.shape[1::-1], flags=cv2.INTER_LINEAR)
        if mask.sum() < 20:
            return None
        put = cv2.warpAffine(small, turn, image.shape[1::-1], flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        mask = cv2.GaussianBlur(mask, (0, 0), 0.7)[..., None]
        image[:] = (image * (1 - mask) + put * mask * rng.uniform(0.6, 1.1)).clip(0, 255).astype(np.uint8)
        if not real:
            return None
        xs, ys = np.flatnonzero(mask[..., 0].max(0) > 0.5), np.flatnonzero(mask[..., 0].max(1) > 0.5)
        if not len(xs) or not len(ys):
            return None
        box = np.float32([[xs[0], ys[0], xs[-1] + 1, ys[-1] + 1]]).clip(0, height)
        unknown = np.full((1, len(TRAITS)), np.nan, np.float32)
        return _Truth(np.array([LABELS.index("phone")]), box, unknown, np.array([False]), np.array([False]))

    def _square(self, n: int, x: float, y: float, side: float, out: int, *, at=None, hands=()):
        """A square of a picture with its truth; `at` is the box of whom a close look is at, `None` from afar."""
        scale, rng, truth = out / side, self._rng, self._truth[n]
        mirrored, wider = rng.random() < 0.5, np.sqrt(STRETCH ** rng.uniform(-1, 1))
        scales = np.float32([scale * wider, scale / wider])  # of x and y, about the middle of the square
        x, y = (np.float32([x, y]) + side / 2 - out / 2 / scales).tolist()
        across, down = scales.tolist()
        step = -across if mirrored else across
        matrix = np.float32([[step, 0, out + x * across if mirrored else -x * across], [0, down, -y * down]])
        source = self._images[n]
        if scale < 0.6:  # warping takes no averages: shrink first, as a sensor would
            shrink = max(scale * 1.3, 0.02)
            source = cv2.resize(source, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
            matrix[:, :2] /= shrink
        image = cv2.warpAffine(source, matrix, (out, out), flags=cv2.INTER_LINEAR, borderValue=GREY)
        boxes = (truth.boxes - np.float32([x, y, x, y])) * np.tile(scales, 2)
        if mirrored:
            boxes = np.stack([out - boxes[:, 2], boxes[:, 1], out - boxes[:, 0], boxes[:, 3]], 1)
        area = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
        boxes = np.clip(boxes, 0, out)
        left = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
        inside = (left > 0) & (boxes[:, 2:] - boxes[:, :2] > 1).all(1)
        traits = stretched(truth.traits, across / down)
        if mirrored:
            traits[:, ANGLE_SIN] = 1 - traits[:, ANGLE_SIN]  # the axial angle becomes its negative
        if at is None:
            traits[:, OWNER["person"]] = np.nan
        else:
            # Who stands beside may have the device cut off, or behind them: what they do isn't in this square.
            in_use = np.nan_to_num(traits[:, OWNER["person"]]).any(1)
            beside = (truth.boxes != np.float32(at)).any(1)
            traits[in_use & beside & ~_showing(truth, left >= 0.5 * area), OWNER["person"]] = np.nan
        cropped = left < 0.4 * area
        small = (boxes[:, 2:] - boxes[:, :2]).min(1, initial=9e9) < 2.5
        doubtful = truth.doubtful | cropped | small
        picture = self._pictures[n]
        known = np.array([label in picture.known for label in LABELS])
        seen = _Truth(truth.classes[inside], boxes[inside], traits[inside], doubtful[inside], truth.proposed[inside])
        if hands and rng.random() < 0.6:
            hand = hands[rng.integers(len(hands))]
            long_side = hand.height * down * rng.uniform(0.06, 0.13)
            place = (hand.x - x) * across, (hand.y - y) * down
            place = (out - place[0] if mirrored else place[0]) + rng.normal(0, 0.3) * long_side, place[1]
            if long_side >= 8 and (phone := self._put_in_hand(image, place, long_side)):
                owner = np.flatnonzero(inside) == hand.owner
                seen.traits[owner, OWNER["person"]] = HELD_OUT if hand.is_held_out else np.nan
                seen = _Truth(
                    *(np.concatenate([getattr(seen, f.name), getattr(phone, f.name)]) for f in fields(_Truth))
                )
        return _coloured(image, rng), seen, known, image, picture.source != "rendered"


def stretched(traits: np.ndarray, wider: float) -> np.ndarray:
    """Traits `(N, 10)` of what is shown `wider` times as wide for its height: the text lines of labels lie flatter."""
    found = traits.copy()
    angle = np.arctan2(2 * traits[:, ANGLE_SIN] - 1, 2 * traits[:, ANGLE_COS] - 1) / 2
    twice = 2 * np.arctan2(np.sin(angle), wider * np.cos(angle))
    found[:, ANGLE_COS], found[:, ANGLE_SIN] = (1 + np.cos(twice)) / 2, (1 + np.sin(twice)) / 2
    return found


def _showing(truth: _Truth, here: np.ndarray) -> np.ndarray:
    """Whether a device that is `here` `(N,)`, and no doubtful one, lies in the box of each thing `(N,)` by half."""
    devices = truth.boxes[np.isin(truth.classes, DEVICES) & ~truth.doubtful & here]
    share = intersections(truth.boxes, devices) / np.maximum(areas(devices), 1e-6)
    return (share > 0.5).any(1)


def _worth(picture: Picture, width: int, height: int) -> list[tuple[tuple[float, float, float, float], float]]:
    """Boxes of a picture that are worth a close look, and how often relative to others."""
    people = [thing for thing in picture.things if thing.label == "person" and not thing.doubtful]
    devices = [thing for thing in picture.things if thing.label in ("phone", "scanner") and not thing.doubtful]
    rendered, found, held = picture.source == "rendered", [], set()
    for person in people:
        if side_of(person.box) < 24:
            continue
        own = [k for k, device in enumerate(devices) if overlap(device.box, person.box) > 0.5]
        held.update(own)
        if rendered:
            worth = ACT_WORTH.get(person.act or "", 1.0) if own or person.act == "none" else 1.0
        else:
            worth = 3.0 if own else 1.0 if "phone" in picture.known else 0.3
        found.append((person.box, worth))
    for k, device in enumerate(devices):
        if k not in held and not rendered:
            x1, y1, x2, y2 = device.box
            reach = 3.0 * side_of(device.box)
            # As if this were the body of who holds it, as far as the picture goes.
            around = (max(x1 - reach, 0), max(y1 - reach, 0), min(x2 + reach, width), min(y2 + reach, height))
            found.append((around, 0.7))
    return found


def _odds(worths: list[float]) -> np.ndarray:
    return np.array(worths) / np.sum(worths)


def _shared_out(odds: np.ndarray, real: np.ndarray) -> np.ndarray:
    """Odds `(N,)` with those of real pictures brought to `REAL_SHARE`; as they are where all or none are real."""
    if real.all() or not real.any():
        return odds
    share = odds[real].sum()
    return np.where(real, odds * REAL_SHARE / share, odds * (1 - REAL_SHARE) / (1 - share))


def _coloured(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Light, colour, sharpness and compression as cameras differ in them."""
    if rng.random() < 0.12:
        image = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    elif rng.random() < 0.7:
        hsv = cv2.cvtColor(image, cv2.COLOR_BGR2HSV)
        hsv[..., 0] = (hsv[..., 0].astype(np.int16) + int(rng.integers(-5, 6))) % 180
        hsv[..., 1] = cv2.multiply(hsv[..., 1], float(rng.uniform(0.5, 1.4)))
        image = cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR)
    levels = np.linspace(0, 1, 256) ** rng.uniform(0.7, 1.45)
    levels = (levels - 0.5) * rng.uniform(0.75, 1.25) + 0.5 + rng.uniform(-0.1, 0.1)
    image = cv2.LUT(image, (np.clip(levels, 0, 1) * 255).astype(np.uint8))
    if rng.random() < 0.35:
        height, width = image.shape[:2]
        small = cv2.resize(image, None, fx=(f := 1 / rng.uniform(1.3, 3.5)), fy=f, interpolation=cv2.INTER_AREA)
        image = cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
    if rng.random() < 0.1:
        kernel = np.zeros((7, 7), np.float32)
        cv2.line(kernel, (3, 3), tuple(int(v) for v in 3 + rng.integers(-3, 4, 2)), 1.0)
        image = cv2.filter2D(image, -1, kernel / kernel.sum())
    if rng.random() < 0.25:
        noise = rng.normal(0, rng.uniform(2, 12), image.shape).astype(np.float32)
        image = np.clip(image + noise, 0, 255).astype(np.uint8)
    if rng.random() < 0.3:
        _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 85))])
        image = cv2.imdecode(data, cv2.IMREAD_COLOR)
    return image


def collated(looks) -> Batch:
    """Single looks as one batch."""
    images, truths, known, clean, real = zip(*looks, strict=True)
    most = max(1, *(len(truth.classes) for truth in truths))
    shape = (len(looks), most)
    batch = Batch(
        np.stack(images), np.zeros(shape, np.int64), np.zeros((*shape, 4), np.float32),
        np.full((*shape, len(TRAITS)), np.nan, np.float32), np.zeros(shape, bool),
        np.stack(known), np.stack(clean), np.array(real), np.zeros(shape, bool),
    )  # fmt: skip
    for row, truth in enumerate(truths):
        n = len(truth.classes)
        batch.classes[row, :n], batch.boxes[row, :n] = truth.classes, truth.boxes
        batch.traits[row, :n], batch.doubtful[row, :n] = truth.traits, truth.doubtful
        batch.proposed[row, :n] = truth.proposed
    return batch
