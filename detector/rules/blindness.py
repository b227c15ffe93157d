"""Whether a camera sees what lies before it: a scene and its view enter, yes or no leaves."""

from __future__ import annotations

from detector.rules.tamper import BLACK, UNLIKE
from detector.values import CameraView, Scene


def sees_nothing(scene: Scene, view: CameraView) -> bool:
    """Whether what lay before a camera can't be seen, since it is dark there, or the camera is covered or turned.

    Where parcels are seen all the same it can: infra-red may light no more than those near it.
    """
    if view.brightness >= BLACK and (view.likeness is None or view.likeness >= UNLIKE):
        return False
    return not any(parcel.last_seen_at >= scene.at for parcel in scene.parcels)
