"""A look enters, the `Scene` leaves: people, parcel slots, and whose hand each device is in."""

from __future__ import annotations

from collections.abc import Sequence
from math import hypot
from typing import Any

from detector.geometry import as_array, as_box, centre, contains, grown
from detector.tracking.aim import Aim
from detector.tracking.parcels import ParcelSlots
from detector.tracking.people import PeopleTracker
from detector.tracking.view import UsualViews
from detector.values import (
    CALL,
    LABEL,
    LABELS,
    PARCEL,
    PERSON,
    PHONE,
    PHOTO,
    SCANNER,
    Box,
    Device,
    Look,
    Person,
    Scene,
)


class SceneTracker:
    """Owns the ids of one camera."""

    def __init__(self) -> None:
        self._people = PeopleTracker()
        self._parcels = ParcelSlots()
        self._view = UsualViews()
        self._aim = Aim()
        self._unsure = False  # where the camera looks

    def update(self, look: Look) -> Scene:
        """Match what a look found to what was known; time is the frame's."""
        at, detections = look.captured_at, look.detections
        view = self._view.look(look.view, at) if look.view is not None else None
        moved = self._has_moved(look)
        people, ended = self._people.update(detections.of(PERSON), at, look.size)
        parcels = self._parcels.update(
            detections.of(PARCEL), [person.box for person in people], at, detections.of(LABEL)
        )
        held = detections[(detections.class_ids == PHONE) | (detections.class_ids == SCANNER)]
        devices = tuple(
            Device(
                LABELS[held.class_ids[k]],
                box := as_box(held.boxes[k]),
                float(held.scores[k]),
                holder_of(box, people),
                photo=float(held.traits[k, PHOTO]),
                call=float(held.traits[k, CALL]),
            )
            for k in range(len(held))
        )
        found = detections.of(LABEL)
        labels, scores = tuple(map(tuple, found.boxes.tolist())), tuple(found.scores.tolist())
        if view is not None:
            self._aim.note(as_array([parcel.box for parcel in parcels]))
        return Scene(
            look.camera, at, look.size, people, devices, parcels, labels, ended, view,
            label_scores=scores, newcomers=self._people.newcomers, moved=moved,
        )  # fmt: skip

    def _has_moved(self, look: Look) -> bool | None:
        """As `Scene.moved` is; what lies where the camera seems to look is told from what lies where it looked."""
        if look.view is None:
            return None if self._unsure else False
        where = self._aim.look(look.view.edges, look.detections.of(PARCEL).boxes, look.captured_at)
        was_unsure, self._unsure = self._unsure, where == "unsure"
        if self._unsure and not was_unsure:
            self._parcels.set_aside()
        elif where == "here" and was_unsure:
            self._parcels.take_back()
        return None if self._unsure else where == "elsewhere"

    def learned(self) -> dict[str, Any]:
        """What the camera usually shows."""
        return self._view.learned()

    def recall(self, learned: dict[str, Any]) -> None:
        """Take up what an earlier tracker of this camera had learned."""
        self._view.recall(learned)


def holder_of(device: Box, people: Sequence[Person]) -> int | None:
    """Whose hand a device is in: of the people whose grown box holds its centre, whose middle it is nearest to.

    That is measured in widths and heights of the person's own box: a phone held before the chest is near the middle of
    who stands, and at the head of who squats before them. Hands reach out of a person's box, hence 15 % more on each
    side; `None` when nobody is near.
    """
    x, y = centre(device)
    best: tuple[float, int] | None = None
    for person in people:
        if not contains(grown(person.box, 0.15), (x, y)):
            continue
        (middle_x, middle_y), (x1, y1, x2, y2) = centre(person.box), person.box
        away = hypot((x - middle_x) / max(x2 - x1, 1.0), (y - middle_y) / max(y2 - y1, 1.0))
        if best is None or away < best[0]:
            best = (away, person.id)
    return best[1] if best else None
