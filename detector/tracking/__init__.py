"""3 · Who is who: `Detections` enter, a `Scene` of people, devices and parcels that keep their ids leaves."""

from detector.tracking.tracker import SceneTracker

__all__ = ["SceneTracker"]
