"""Run the external scene renderer with the truth about top faces added to each parcel.

The renderer (a folder with `make_stills.py`, `make_clip.py` and `lib/`) is not part of this repository; its
folder is the first argument and everything after it goes to the named script unchanged:

    python models/render_stills.py RENDERER make_stills.py --seed 50001 --n 10 --out OUT/r50001

Each parcel in the written JSON gains

- `top_px`: area of its top face in the picture, pixels, as projected;
- `top_visible`: share of that area that shows the parcel itself or its label, 0..1;
- `top_cos`: cosine of the angle between the top face's normal and the direction to the camera,

which is what decides between *up*, *not up* and *unknown* (see `dataset.py`).
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import numpy as np


def add_top_faces(truth, index, matrix, focal, size, scene, hull_mask):
    """Write `top_px`, `top_visible` and `top_cos` into the parcels of one frame's truth, in place.

    Args:
        truth: The renderer's annotation of the frame.
        index: `(H, W)` object-index pass, one id a pixel.
        matrix: `(4, 4)` world to camera.
        focal: Focal length, pixels.
        size: Picture `(width, height)`.
        scene: The renderer's scene module (registry and projection).
        hull_mask: The renderer's function that fills the hull of points.
    """
    camera = -matrix[:3, :3].T @ matrix[:3, 3]
    for parcel in truth["parcels"]:
        corners = np.asarray(scene.REG[parcel["id"]]["corners"], float)
        top = corners[corners[:, 2].argsort()[-4:]]
        points, depth = scene.project(top, matrix, focal, size)
        towards = camera - top.mean(0)
        parcel["top_cos"] = float(towards[2] / np.linalg.norm(towards))
        if (depth < 0.05).any():
            parcel["top_px"], parcel["top_visible"] = 0.0, 0.0
            continue
        mask = hull_mask(points, size).astype(bool)
        own = np.isin(index[mask], [parcel["id"], *parcel["labels"]])
        parcel["top_px"] = float(mask.sum())
        parcel["top_visible"] = float(own.mean()) if own.size else 0.0


def main() -> None:
    """Patch the renderer's annotator, then run the named renderer script as its own main program."""
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    renderer, script = Path(sys.argv[1]).resolve(), sys.argv[2]
    sys.path.insert(0, str(renderer / "lib"))
    import gt  # the renderer's own modules, importable from here on
    import scene

    annotate = gt.annotate

    def annotate_with_tops(index, depth, matrix, focal, size):
        truth = annotate(index, depth, matrix, focal, size)
        add_top_faces(truth, index, matrix, focal, size, scene, gt.hull_area)
        return truth

    gt.annotate = annotate_with_tops
    sys.argv = [str(renderer / script), *sys.argv[3:]]
    runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    main()
