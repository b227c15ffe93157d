"""Render stills of one warehouse with exact truth.

    python models/scenes/stills.py --assets FOLDER --seed 60001 --n 10 --out OUT/s60001

writes OUT/s60001_00.jpg with OUT/s60001_00.json and so on. The empty warehouse is rendered once; people are then
placed afresh for each still, and only the regions around them are rendered and blended in. See README.md.
"""

from __future__ import annotations

import argparse
import datetime
import json
import random
import sys
import time
from functools import partial
from pathlib import Path

import cv2
import numpy as np

# Run as a script: the package's parent isn't on the path yet.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from scenes import camera as cameras
from scenes import parts, sensor
from scenes.regions import around, covering, faded
from scenes.scripts import ACTS
from scenes.vectors import unit

MODES = ("day",) * 12 + ("ir",) * 5 + ("backlight",) * 3
PLATE_SAMPLES = 16
CROWD_SAMPLES, CROWD_SPREAD, CROWD_UP = 8, 1.6, (0.15, 0.85)  # rays a pixel; see Room.throw; share of labels up
LARGE, SMALL = (150.0, 400.0), (60.0, 160.0)  # how tall people are, pixels in a 960-pixel-wide picture
MARGIN = 0.035  # of the picture's width, around people, is rendered with them
ACROSS = -0.34  # cosine of the angle round the focus from which on a camera hangs across another: 110 degrees
OVERLAP = 6  # pixels by which regions are rendered larger than they are used
CAMERA_NAMES = ("CAM 03  仓库东区", "Camera 01", "分拣线 2", "IPC-07 打包台", "通道 12", "出库口", "收货区 A")


def size_of(text: str) -> tuple[int, int]:
    """`960x540` as (960, 540)."""
    width, _, height = text.partition("x")
    if not (width.isdigit() and height.isdigit()):
        raise argparse.ArgumentTypeError(f"{text!r} isn't WIDTHxHEIGHT, like 960x540")
    return int(width), int(height)


def often(text: str) -> tuple[str, float]:
    """`scan=40` as ("scan", 40.0)."""
    act, _, number = text.partition("=")
    if act not in ACTS or not number.replace(".", "", 1).isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} isn't ACT=NUMBER, ACT one of {', '.join(ACTS)}")
    return act, float(number)


class Warehouse:
    """One furnished hall seen by a camera or two, with their plates: what each sees when nobody is there.

    Attributes:
        plates: By camera.
        camera: That which is looked through now, at first the first.
    """

    def __init__(
        self,
        seed: int,
        size,
        assets: Path,
        cache: Path,
        threads: int,
        scratch: Path,
        *,
        near=0.78,
        large=LARGE,
        row=False,
        crowd=0,
        often=None,
        across=False,
    ):
        """Build and render it.

        `near` is the chance that people are `large` (pixels); a `row` of parcels lies in the middle, or a `crowd` of so
        many more. How `often` people do what is the stage's `ACTS` where it isn't said. A second camera hangs `across`.

        Raises:
            ValueError: No place found for a camera.
        """
        from scenes.blender import Studio, quiet
        from scenes.parcels import Packer
        from scenes.room import Room, furnish
        from scenes.stage import Stage
        from scenes.textures import Textures
        from scenes.truth import Register

        quiet()
        rng = random.Random(seed)
        self.seed, self.scratch, self.often = seed, scratch, often or {}
        self.mode, self.near = rng.choice(MODES), rng.random() < near
        self.studio, self.register, self.textures = Studio(), Register(), Textures(cache)
        packer = Packer(self.studio, self.register, self.textures, rng)
        self.room = Room(self.studio, packer, self.textures, rng, self.mode)
        self.focus = (rng.uniform(-0.22, 0.22) * self.room.width, rng.uniform(-0.22, 0.22) * self.room.depth)
        if row:
            self.room.row(self.focus)
        furnish(self.room, self.focus)
        if crowd:
            self.room.throw(self.focus, crowd, rng.uniform(*CROWD_UP), CROWD_SPREAD)

        tall = large if self.near else SMALL
        hung = [cameras.hang(rng, self.room, self.focus, size, tall=tall, clear=self._clear)]
        if across:
            sees, other = partial(self._across, hung[0].position), random.Random(f"{seed} across")
            hung.append(cameras.hang(other, self.room, self.focus, size, tall=tall, clear=sees))
            if not sees(hung[1].position):
                raise ValueError(f"warehouse {seed}: no place for a camera across; take another seed")
        if self.mode == "ir":
            self.studio.dim(0.004, 0.01)
            for camera in hung:
                reach = np.linalg.norm(np.subtract(camera.target, camera.position))
                above = np.add(camera.position, [0, 0, 0.06])
                spread = min(140.0, camera.fov_deg * 1.25)
                self.studio.lamp("SPOT", above, 40 * reach**2, spread=spread, aim=camera.target)
        self.studio.set_up(threads)
        self.plates = {}
        for camera in hung:
            self.look_through(camera)
            self.plates[camera] = self.studio.render(CROWD_SAMPLES if crowd else PLATE_SAMPLES, scratch)
        self.look_through(hung[0])
        self.studio.keep()
        self.ids = set(self.register.things)
        self.stage = Stage(self.studio, self.register, self.textures, self.room, assets, self.camera)

    def look_through(self, camera) -> None:
        """Have a camera take what comes."""
        self.camera = camera
        self.studio.use_camera(camera)

    @property
    def plate(self):
        """What the camera sees when nobody is there."""
        return self.plates[self.camera]

    @property
    def camera_truth(self) -> dict:
        """What the truth says of the camera."""
        return {
            "height": self.camera.position[2],
            "tilt_deg": self.camera.tilt_deg,
            "fov_deg": self.camera.fov_deg,
            "barrel": self.camera.barrel,
        }

    def _clear(self, position) -> bool:
        """Whether a camera there sees the focus, and against the light where that is wanted."""
        if self.mode == "backlight" and not self._faces_door(position):
            return False
        return self._sees(position)

    def _across(self, first, position) -> bool:
        """Whether a camera there sees the focus from another side than that at `first`."""
        one, other = (unit(np.subtract(p[:2], self.focus)) for p in (first, position))
        return float(one @ other) < ACROSS and self._sees(np.asarray(position))

    def _sees(self, position) -> bool:
        knee, head = np.array([*self.focus, 0.9]), np.array([*self.focus, 1.8])
        return self.room.floor.gap(*position[:2]) > 0.2 and not any(
            self.studio.is_hit(position, position + (p - position) * 0.9) for p in (knee, head)
        )

    def _faces_door(self, position) -> bool:
        """Whether the open door stands behind the people, as seen from there (within 30 degrees of the focus)."""
        to_focus, to_door = (unit(np.subtract(p, position[:2])) for p in (self.focus, self.room.door[0][:2]))
        return float(np.dot(to_focus, to_door)) > np.cos(np.radians(30))

    def still(self, k: int, samples: int, count: int | None = None):
        """The k-th picture (8-bit BGR) and its truth by each camera, with at most `count` people where that is said."""
        rng = random.Random(self.seed * 1000 + k)
        mark = self.room.floor.mark()
        spread = 1.0 if self.near else 1.8
        if count is None:
            count = rng.choice([1, 2, 2, 3, 3, 4] if self.near else [2, 3, 4, 5, 6])
        outlines = [self._outline(p) for p in self.stage.populate(rng, self.focus, count, spread, self.often)]
        taken = []
        for number, camera in enumerate(self.plates):
            self.look_through(camera)
            noise = np.random.default_rng((self.seed * 1000 + k, number) if number else self.seed * 1000 + k)
            taken.append(self._taken(k, outlines, samples, rng, noise))
        self.studio.clear_frame()
        self.register.keep(self.ids)
        self.room.floor.release(mark)
        return taken

    def _taken(self, k: int, outlines, samples: int, rng: random.Random, noise: np.random.Generator):
        """What the camera shows now, with its truth; people are there who have these outlines."""
        from scenes.truth import annotate

        colour, index, depth = self.seen(self.repainted(self.plate, outlines, samples) if outlines else self.plate)
        truth = annotate(self.register, index, depth, self.camera)
        truth |= {
            "mode": self.mode,
            "near": self.near,
            "size": list(self.camera.size),
            "seed": self.seed,
            "k": k,
            "camera": self.camera_truth,
        }
        picture = sensor.look(colour, noise, self.mode)
        if rng.random() < 0.75:
            moment = datetime.datetime(
                2025,
                rng.randint(1, 12),
                rng.randint(1, 28),
                rng.randint(0, 23),
                rng.randint(0, 59),
                rng.randint(0, 59),
                tzinfo=datetime.UTC,
            )
            picture = self.textures.stamp(picture, f"{moment:%Y-%m-%d  %H:%M:%S}", rng.choice(CAMERA_NAMES), rng)
        return picture, truth

    def repainted(self, layers, outlines, samples: int):
        """Colour, index and depth like `layers`, rendered anew around the outlines (world points, `(N, 3)` each).

        Shadows further than `MARGIN` from an outline are lost.
        """
        flat = []
        for points in outlines:
            pixels, depth = self.camera.project(points, distort=False)
            flat.append(pixels[depth > 0.1])
        size = self.camera.size
        cells = around([pixels for pixels in flat if len(pixels)], size, MARGIN * size[0])
        painted, touched = [layer.copy() for layer in layers], np.zeros(size[::-1], bool)
        for x1, y1, x2, y2 in covering(cells, size):
            # a little more than wanted: the denoiser knows least at its picture's border, and seams would show
            left, top = max(0, x1 - OVERLAP), max(0, y1 - OVERLAP)
            box = left, top, min(size[0], x2 + OVERLAP), min(size[1], y2 + OVERLAP)
            for layer, part in zip(painted, self.studio.render(samples, self.scratch, box), strict=True):
                layer[y1:y2, x1:x2] = part[y1 - top : y2 - top, x1 - left : x2 - left]
            touched[y1:y2, x1:x2] = True
        return faded(layers[0], painted[0], touched), painted[1], painted[2]

    def seen(self, layers):
        """Colour, index and depth as the lens distorts them."""
        return tuple(self.camera.distorted(layer, smooth=k == 0) for k, layer in enumerate(layers))

    def _outline(self, person) -> np.ndarray:
        """World points of a person and the things they brought."""
        points = [vertices for vertices, _ in person.thing.surfaces]
        holder = person.thing.id
        points += [t.points for i, t in self.register.things.items() if t.facts.get("holder") == holder]
        points += [
            t.points
            for i, t in self.register.things.items()
            if i not in self.ids
            and t.kind == "parcel"
            and np.linalg.norm(t.points.mean(0)[:2] - person.act.pose.position) < 1
        ]
        return np.concatenate(points)


def write_still(name: str, picture: np.ndarray, truth: dict) -> None:
    """Write a picture `(H, W, 3)` BGR as `name`.jpg, its truth beside it.

    Raises:
        OSError: One of them can't be written, of which OpenCV's own writing says nothing.
    """
    Path(f"{name}.jpg").write_bytes(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 90])[1])
    Path(f"{name}.json").write_text(json.dumps(truth))


def main() -> None:
    """Render the stills of one seed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--assets", type=Path, required=True, help="MakeHuman system assets: clothes, hair, skins, eyes"
    )
    parser.add_argument("--seed", type=int, required=True, help="warehouse; equal seeds give equal pictures")
    parser.add_argument("--n", type=int, default=10, help="stills of it")
    parser.add_argument("--out", type=Path, required=True, help="folder and start of the file names")
    parser.add_argument("--crowd", type=int, default=0, metavar="N", help="this many parcels more")
    parser.add_argument("--people", type=int, metavar="N", help="in each still at most (random otherwise)")
    parser.add_argument(
        "--often",
        type=often,
        nargs="+",
        default=[],
        metavar="ACT=N",
        help="how often people do what: scan=15 by default",
    )
    parser.add_argument(
        "--across", action="store_true", help="each also as OUT_NN_across, by a camera from another side"
    )
    parser.add_argument("--cache", type=Path, help="folder for drawn textures (or SCENES_CACHE)")
    parser.add_argument("--size", type=size_of, default=(960, 540))
    parser.add_argument("--spp", type=int, default=8, help="rays a pixel")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    try:
        assets, cache = parts.assets_folder(args.assets), parts.cache_folder(args.cache)
        args.out.parent.mkdir(parents=True, exist_ok=True)
        scratch = args.out.with_name(args.out.name + "_part.exr")
        start = time.perf_counter()
        warehouse = Warehouse(
            args.seed,
            args.size,
            assets,
            cache,
            args.threads,
            scratch,
            crowd=args.crowd,
            often=dict(args.often),
            across=args.across,
        )
        print(f"{args.out.name}: plate, {warehouse.mode}, {time.perf_counter() - start:.1f} s", flush=True)
        for k in range(args.n):
            start = time.perf_counter()
            for (picture, truth), side in zip(warehouse.still(k, args.spp, args.people), ("", "_across"), strict=False):
                name = f"{args.out}_{k:02d}{side}"
                write_still(name, picture, truth)
            print(
                f"{args.out.name}_{k:02d}: {len(truth['people'])} people, {time.perf_counter() - start:.1f} s",
                flush=True,
            )
    except (parts.MissingPartError, ValueError) as wrong:
        sys.exit(f"stills: {wrong}")
    except OSError as wrong:
        sys.exit(f"stills: {wrong.filename or args.out}: {wrong.strerror}")


if __name__ == "__main__":
    main()
