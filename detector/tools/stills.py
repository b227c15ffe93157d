"""`labelwatch detect`: pictures enter, one JSON line of detections each leaves."""

from __future__ import annotations

import json
import math
import secrets
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from detector.config import Analysis
from detector.errors import ConfigError, NotThere, Problem, SourceUnavailable
from detector.inference.card import find_card
from detector.inference.detector import SceneDetector
from detector.inference.session import Session
from detector.media.pictures import Bgr
from detector.recorded.recordings import as_text
from detector.values import (
    ACT_TRAITS,
    ANGLE_COS,
    ANGLE_SIN,
    LABEL,
    LABELS,
    NOT_UP,
    PARCEL,
    PERSON,
    TRAITS,
    UP,
    Detections,
    Facing,
)

SUFFIXES = {
    ".jpg", ".jpeg", ".jfif", ".png", ".bmp", ".webp", ".tif", ".tiff", ".gif", ".avif", ".jp2",
    ".heic", ".heif",  # of phones, which OpenCV doesn't read: they are named, not passed over
}  # fmt: skip
DEVICES = ("/dev/std", "/dev/fd/", "/proc/")
EVERYONE = 32
ACTS = tuple(name.removeprefix("act_") for name in TRAITS[ACT_TRAITS])


def pictures_in(paths: Iterable[Path]) -> list[Path]:
    """Picture files named, and those in folders named, in order.

    Raises:
        SourceUnavailable: A path isn't there, or a folder holds no picture.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_file():
            found.append(path)
            continue
        if not path.is_dir():
            raise NotThere(path)
        inside = sorted(file for file in path.iterdir() if file.suffix.lower() in SUFFIXES and file.is_file())
        if not inside:
            deeper = "; folders in it are not gone into: name them" if any(p.is_dir() for p in path.iterdir()) else ""
            raise SourceUnavailable(f"{path}: no picture in this folder{deeper}")
        found += inside
    return found


def detect_pictures(
    paths: Iterable[Path],
    out: Path,
    *,
    model: str = "scene",
    confidence: float = 0.25,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> list[str]:
    """Detect in pictures and write `out`, whole or not at all.

    Args:
        paths: Pictures and folders of them.
        out: The JSON-lines file.
        model: A model's name or card.
        confidence: Least score of a detection, for every label.
        progress: Called with the number done and the number of all.

    Returns:
        A line for each picture that could not be read, and why; the file leaves them out.

    Raises:
        ConfigError: `out` is a folder, a pipe or a device, or a picture.
        SourceUnavailable: A path isn't there.
        ModelError: The model can't be loaded.
    """
    if out.is_dir():
        raise ConfigError([Problem("--out", "", f"is a folder: {out}", "name a file in it")])
    # What a file would take the place of; /dev/stdout may be a link to one that a shell writes on.
    if out.exists() and (not out.is_file() or str(out.absolute()).startswith(DEVICES)):
        raise ConfigError([Problem("--out", "", f"is no file but a pipe or device: {out}", "name a file")])
    pictures = pictures_in(paths)
    if out.suffix.lower() in SUFFIXES or out.resolve() in {path.resolve() for path in pictures}:
        # `--out *.jpg`, say, of which a shell makes the first picture the file to be written
        raise ConfigError([Problem("--out", "", f"is a picture: {out}", "name a file, e.g. detections.jsonl")])
    out = out.resolve()
    detector = SceneDetector(Session(find_card(model)), {}, Analysis(zooms=EVERYONE))
    thresholds = dict.fromkeys(LABELS, confidence)
    unread: list[str] = []
    draft = out.with_name(f".{out.name}.{secrets.token_hex(4)}.draft")  # of this run: another may write the same file
    out.parent.mkdir(parents=True, exist_ok=True)
    try:
        with draft.open("w", encoding="utf-8") as file:
            for n, path in enumerate(pictures):
                picture = read_picture(path)
                if isinstance(picture, str):
                    unread.append(f"{path}: {picture}")
                else:
                    found = detector.look(Bgr(picture), np.zeros((0, 4), np.float32), thresholds)
                    record = picture_record(path, picture.shape, found)
                    file.write(json.dumps(record, ensure_ascii=False) + "\n")
                progress(n + 1, len(pictures))
        draft.replace(out)
    finally:
        draft.unlink(missing_ok=True)  # also where somebody stopped it
    return unread


def read_picture(path: Path) -> NDArray[np.uint8] | str:
    """A picture as BGR, or why it can't be read."""
    try:
        data = np.fromfile(path, np.uint8)  # unlike imread, at home with every name on every system
        image = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    except OSError as error:
        return f"can't be read: {error.strerror}"
    except cv2.error:
        return "larger than can be read"
    if image is None:
        from detector.sources.recording import SUFFIXES as CLIPS

        clips = " (clips: labelwatch replay)" if path.suffix.lower() in CLIPS else ""
        return f"not a picture that can be read{clips}" if data.size else "empty"
    return np.asarray(image, np.uint8)


def picture_record(path: Path, shape: tuple[int, ...], found: Detections) -> dict[str, Any]:
    """One line of the output; `path` is the picture's as it was named or found, `image` the last part of it.

    Every detection has all keys, `null` where one says nothing:

    - `facing` of a parcel: up, not_up or unknown;
    - `angle` of a label: 0..180 degrees, of its text lines from the picture's x axis, counter-clockwise as one sees it;
    - `act` of a person that was seen closely: scores 0..1 of photo, scan, call and browse, all low for none of these;
    - `keypoints` of a person, 17 of x, y, score, where the model is one of poses.
    """
    return {
        "image": as_text(path.name),
        "path": as_text(path),
        "width": shape[1],
        "height": shape[0],
        "detections": [
            {
                "label": LABELS[found.class_ids[k]],
                "score": round(float(found.scores[k]), 4),
                "box": [round(float(v), 2) for v in found.boxes[k]],
                "facing": facing_of(found, k),
                "angle": angle_of(found, k),
                "act": act_of(found, k),
                "corners": None,
                "keypoints": keypoints_of(found, k),
            }
            for k in range(len(found))
        ],
    }


def facing_of(found: Detections, k: int) -> str | None:
    """Facing of a detection from one look: `None` but for parcels, unknown unless one facing has the upper hand."""
    if found.class_ids[k] != PARCEL:
        return None
    up, not_up = float(found.traits[k, UP]), float(found.traits[k, NOT_UP])
    if max(up, not_up) < 0.5 or 0.35 < up / (up + not_up) < 0.65:
        return Facing.UNKNOWN.value
    return Facing.UP.value if up > not_up else Facing.NOT_UP.value


def angle_of(found: Detections, k: int) -> float | None:
    """Axial angle of a label's text lines, 0..180 degrees counter-clockwise from the x axis as one sees the picture.

    `None` for other labels, and where the model doesn't say or can't tell: where it is torn between two angles it gives
    their mean vector, whose length falls to 0 (directional statistics; Mardia and Jupp, 2000).
    """
    if found.class_ids[k] != LABEL:
        return None
    x, y = (2 * float(found.traits[k, trait]) - 1 for trait in (ANGLE_COS, ANGLE_SIN))
    if not math.hypot(x, y) >= 0.3:  # so that NaN, of a model that doesn't say, is none either
        return None
    return round(math.degrees(math.atan2(y, x)) / 2, 1) % 180


def act_of(found: Detections, k: int) -> dict[str, float] | None:
    """Scores of what a person does, by name; `None` for other labels and where nothing is known."""
    scores = found.traits[k, ACT_TRAITS]
    if found.class_ids[k] != PERSON or np.isnan(scores).any():
        return None
    return {name: round(float(score), 4) for name, score in zip(ACTS, scores, strict=True)}


def keypoints_of(found: Detections, k: int) -> list[list[float]] | None:
    """A person's keypoints as x, y in pixels and score; `None` for other labels and where the model has none."""
    if found.keypoints is None or found.class_ids[k] != PERSON:
        return None
    return [[round(float(x), 2), round(float(y), 2), round(float(score), 4)] for x, y, score in found.keypoints[k]]
