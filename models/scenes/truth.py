"""Ground truth of a rendered frame: what each thing shows in the picture.

A `Thing` is anything the truth speaks about; its id is its value in the object-index pass.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np

COCO_POINTS = (
    "nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder", "left_elbow",
    "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle",
    "right_ankle",
)  # fmt: skip
GROUPS = {
    "person": "people",
    "phone": "phones",
    "scanner": "scanners",
    "parcel": "parcels",
    "label": "labels",
    "held": "held",
}
ACTS = ("photo", "scan", "call", "browse", "none")
NEAREST = 0.05
# A phone's main camera: view across and along the phone (degrees), where it sits above the phone's centre (metres), how
# far (metres) and how slanting (degrees) a label can be and still be of use.
LENS_VIEW, LENS_UP, LENS_REACH, LENS_SLANT = (52.0, 66.0), 0.055, 2.5, 75.0


@dataclass
class Thing:
    """Something the truth speaks about.

    Attributes:
        id: Its number in the index pass, from 1.
        kind: person, phone, scanner, parcel, label or held.
        points: `(N, 3)` world points whose hull is its outline (for a label its corners in order from the text's
            lower left, counter-clockwise as read).
        facts: What goes into the truth as it is (`action`, `use`, `holder` …).
        surfaces: Of a person: pairs of `(V, 3)` vertices and faces; some vertices may be on no face.
        joints: Of a person: points by COCO name.
        top: Of a parcel: `(4, 3)` corners of its top face.
        normal: Of a label: `(3,)` outward.
    """

    id: int
    kind: str
    points: np.ndarray
    facts: dict = field(default_factory=dict)
    surfaces: list = field(default_factory=list)
    joints: dict = field(default_factory=dict)
    top: np.ndarray | None = None
    normal: np.ndarray | None = None


class Register:
    """All things of a warehouse; those of one frame are forgotten with `keep`."""

    def __init__(self) -> None:
        self.things: dict[int, Thing] = {}
        self._last = 0

    def add(self, kind: str, points=(), **facts) -> Thing:
        """A new thing with the next id."""
        self._last += 1
        thing = Thing(self._last, kind, np.asarray(points, float).reshape(-1, 3), facts)
        self.things[thing.id] = thing
        return thing

    def keep(self, ids: set[int]) -> None:
        """Forget everything else; ids are given out afresh from the highest kept."""
        self.things = {i: t for i, t in self.things.items() if i in ids}
        self._last = max(self.things, default=0)


def act_of(use: str | None, target_kind: str | None) -> str:
    """What a person does with a device: the `use` of it, photographing only if it points at a label."""
    if use == "photo":
        return "photo" if target_kind == "label" else "browse"
    return {"scan": "scan", "call": "call", "text": "browse"}.get(use or "", "none")


def exposed(centre, frame, labels, is_hidden=lambda lens, point: False) -> list[int]:
    """Ids of the labels that a phone's camera can see, in order.

    A label counts whose centre lies in the frustum and within `LENS_REACH`, whose normal is within `LENS_SLANT` of the
    direction to the lens, and which nothing hides.

    Args:
        centre: `(3,)` of the phone, metres.
        frame: `(3, 3)` columns: the phone's right, its upper end, its screen's normal; the lens looks the other way.
        labels: Things with a `normal`.
        is_hidden: Function of the lens's place and a point just above a label: whether anything lies between.
    """
    right, upper, screen = np.asarray(frame, float).T
    lens = np.asarray(centre, float) + upper * LENS_UP
    wide, long = (np.tan(np.radians(a / 2)) for a in LENS_VIEW)
    found = []
    for label in labels:
        point = label.points.mean(0)
        way = point - lens
        distance, depth = float(np.linalg.norm(way)), float(-way @ screen)
        if depth <= NEAREST or distance > LENS_REACH:
            continue
        if abs(way @ right) > depth * wide or abs(way @ upper) > depth * long:
            continue
        if -way @ label.normal < distance * np.cos(np.radians(LENS_SLANT)):
            continue
        if not is_hidden(lens, point + label.normal * 0.02):
            found.append(label.id)
    return sorted(found)


def hull_mask(pixels, size) -> np.ndarray:
    """Filled hull `(H, W)` of projected points."""
    mask = np.zeros((size[1], size[0]), np.uint8)
    hull = cv2.convexHull(np.asarray(pixels, np.float32))
    cv2.fillConvexPoly(mask, np.round(np.clip(hull, -9e3, 9e3) * 16).astype(np.int32), 1, shift=4)
    return mask


def area_in_frame(pixels, size) -> float:
    """Area of the hull of projected points within the picture, square pixels.

    Not the pixels of `hull_mask`, which takes in all that the outline touches: half as many again for what is 6 wide.
    """
    hull = cv2.convexHull(np.asarray(pixels, np.float32))
    frame = np.float32([(0, 0), (size[0], 0), size, (0, size[1])])
    return float(cv2.intersectConvexConvex(hull, frame)[0]) if len(hull) > 2 else 0.0


def extents(index) -> dict[int, np.ndarray]:
    """By id in `(H, W)`: x1, y1, x2, y2 (exclusive) of its pixels and how many there are, `(5,)` whole numbers."""
    at = np.flatnonzero(index)
    ids = index.ravel()[at]
    order = np.argsort(ids, kind="stable")
    y, x = np.divmod(at[order], index.shape[1])
    found, first, count = np.unique(ids[order], return_index=True, return_counts=True)
    if not len(found):
        return {}
    low, high = ([f.reduceat(v, first) for v in (x, y)] for f in (np.minimum, np.maximum))
    rows = np.stack([*low, high[0] + 1, high[1] + 1, count], 1)
    return dict(zip(found.tolist(), rows, strict=True))


def together(parts) -> tuple[int, list[int] | None]:
    """Pixels, and box x1, y1, x2, y2 (exclusive) or `None`, of several `extents`."""
    if not parts:
        return 0, None
    rows = np.array(parts)
    box = [*rows[:, :2].min(0), *rows[:, 2:4].max(0)]
    return int(rows[:, 4].sum()), [int(v) for v in box]


def annotate(register: Register, index, depth, camera) -> dict:
    """The truth of one frame as plain data, by group (`GROUPS`).

    Boxes and visible pixels come from the index pass; shapes as they would be without anything in front from
    projecting each thing, so that `visible_fraction` is their ratio.

    Args:
        register: The things.
        index: `(H, W)` ids, 0 where nothing registered is seen.
        depth: `(H, W)` metres along the camera's axis.
        camera: The `Camera`, whose distortion `index` and `depth` already have.
    """
    truth: dict[str, list] = {group: [] for group in GROUPS.values()}
    showing = extents(index)
    labels_of: dict[int, list[int]] = {}
    for thing in register.things.values():
        if thing.kind == "label":
            labels_of.setdefault(thing.facts["parcel"], []).append(thing.id)
    for thing in register.things.values():
        own = [thing.id, *labels_of.get(thing.id, [])]
        visible, box = together([showing[i] for i in own if i in showing])
        entry = {"id": thing.id, "kind": thing.kind, "visible_px": visible, "bbox": box}
        if thing.kind == "person":
            entry |= person_truth(thing, index, depth, camera, entry["visible_px"])
        else:
            outline = outline_truth(thing, camera, entry["visible_px"])
            if outline is None:
                continue
            entry |= outline
        entry |= thing.facts
        if thing.kind == "held":
            entry["kind"] = thing.facts["what"]
            del entry["what"]
        elif thing.kind == "label":
            entry |= label_truth(thing, camera)
        elif thing.kind == "parcel":
            entry |= {"labels": own[1:]} | top_truth(thing, index, own, camera)
        truth[GROUPS[thing.kind]].append(entry)
    return truth


def outline_truth(thing: Thing, camera, visible: int) -> dict | None:
    """Whole box and visible fractions of a rigid thing, or `None` when part of it is behind the camera."""
    pixels, depth = camera.project(thing.points)
    if (depth < NEAREST).any():
        return None
    inside = area_in_frame(pixels, camera.size)
    whole = cv2.contourArea(cv2.convexHull(pixels.astype(np.float32)))
    return {
        "bbox_amodal": [float(v) for v in (*pixels.min(0), *pixels.max(0))],
        "amodal_px_in_frame": round(inside),
        "visible_fraction": min(1.0, visible / inside) if inside else 0.0,
        "in_frame_fraction": float(min(1, inside / max(whole, 1))),
    }


def person_truth(thing: Thing, index, depth, camera, visible: int) -> dict:
    """Whole box, visible fraction and COCO keypoints (x, y, v) of a person; v: 2 seen, 1 hidden, 0 outside."""
    mask = np.zeros((camera.size[1], camera.size[0]), np.uint8)
    everywhere = []
    for vertices, faces in thing.surfaces:
        pixels, away = camera.project(vertices)
        # the base mesh has more than its skin: points that clothes are fitted by
        everywhere.append(pixels[np.unique(np.concatenate(faces))])
        if (away < NEAREST).any():
            continue
        fixed = np.round(np.clip(pixels, -9e3, 9e3) * 16).astype(np.int32)
        for face in faces:
            cv2.fillConvexPoly(mask, fixed[face], 1, shift=4)
    pixels, whole = np.concatenate(everywhere), int(mask.sum())
    keypoints: list[float] = []
    for name in COCO_POINTS:
        (point,), (away,) = camera.project(thing.joints[name])
        x, y = point
        seen = 0
        if 0 <= x < camera.size[0] and 0 <= y < camera.size[1] and away > 0:
            front = depth[int(y), int(x)]
            # joints lie inside the body, up to 16 cm behind its own surface
            own = index[int(y), int(x)] == thing.id and front > away - 0.16
            seen = 2 if own or front > away - 0.03 else 1
        keypoints += [round(float(x), 2), round(float(y), 2), seen]
    return {
        "bbox_amodal": [float(v) for v in (*pixels.min(0), *pixels.max(0))],
        "amodal_px_in_frame": whole,
        "visible_fraction": min(1.0, visible / whole) if whole else 0.0,
        "keypoints": keypoints,
    }


def label_truth(thing: Thing, camera) -> dict:
    """Polygon, angle of the text lines in the picture, cosine between the face's normal and the view."""
    pixels, _ = camera.project(thing.points)
    along = pixels[1] - pixels[0]
    view = np.asarray(camera.position) - thing.points.mean(0)
    return {
        "polygon": pixels.round(2).tolist(),
        # counter-clockwise from the picture's x axis as seen, hence the sign of y
        "angle_img": float(np.degrees(np.arctan2(-along[1], along[0]))),
        "cos_view": float(np.dot(view / np.linalg.norm(view), thing.normal)),
    }


def top_truth(thing: Thing, index, own: list[int], camera) -> dict:
    """Top face of a parcel: its projected area, the share that shows the parcel itself, cosine of its view angle."""
    pixels, away = camera.project(thing.top)
    view = np.asarray(camera.position) - thing.top.mean(0)
    cosine = float(view[2] / np.linalg.norm(view))
    if (away < NEAREST).any():
        return {"top_px": 0.0, "top_visible": 0.0, "top_cos": cosine}
    mask = hull_mask(pixels, camera.size).astype(bool)
    showing = np.isin(index[mask], own)
    return {
        "top_px": float(mask.sum()),
        "top_visible": float(showing.mean()) if showing.size else 0.0,
        "top_cos": cosine,
    }
