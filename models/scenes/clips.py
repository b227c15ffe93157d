"""Render a clip of one warehouse with exact truth for every frame.

    python models/scenes/clips.py --assets FOLDER --seed 70001 --seconds 20 --fps 5 --script auto --out OUT/c70001

writes OUT/c70001.mp4 (H.264) and OUT/c70001.json. The empty warehouse is rendered once; people then follow a script,
and of each frame only the regions around them are rendered and blended in. See README.md.
"""

from __future__ import annotations

import argparse
import datetime
import json
import random
import sys
import time
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

# Run as a script: the package's parent isn't on the path yet.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from scenes import parts, scripts, sensor
from scenes.stills import CAMERA_NAMES, PLATE_SAMPLES, Warehouse, size_of

GOP_SECONDS = 2
NEAR, LARGE = 0.88, (150.0, 300.0)  # chance that people are large, and how large: pixels at 960 wide


class Film:
    """A clip being rendered: a warehouse, its people, the plate that fits what stands still."""

    def __init__(self, warehouse: Warehouse, script: str, seconds: float, assets: Path):
        from scenes.director import Director

        self._warehouse, self.script, self.seconds = warehouse, script, seconds
        rng = random.Random(warehouse.seed * 1000 + 1)
        self._director = Director(
            warehouse.studio, warehouse.register, warehouse.textures, warehouse.room, assets, warehouse.camera
        )
        plans = scripts.written(script, rng, seconds)
        spread = 1.1 if warehouse.near else 1.9
        self._actors = self._director.cast(rng, plans, seconds, warehouse.focus, spread)
        self._base = warehouse.plate
        self._standing: set[int] = set()
        hours, minutes, second = rng.randint(0, 23), rng.randint(0, 59), rng.randint(0, 59)
        day = rng.randint(1, 12), rng.randint(1, 28)
        self._clock = datetime.datetime(2025, *day, hours, minutes, second, tzinfo=datetime.UTC)
        self._place = rng.choice(CAMERA_NAMES) if rng.random() < 0.75 else None

    @property
    def events(self) -> list[dict]:
        """What everybody does when."""
        return self._director.events(self._actors, self.seconds)

    def frame(self, k: int, t: float, samples: int):
        """Frame `k` at `t` seconds: the picture (8-bit BGR) and its truth."""
        from scenes.truth import annotate

        house, seed = self._warehouse, self._warehouse.seed
        for actor in self._actors:
            self._director.pose(actor, t)
        self._set_standing()
        outlines = [actor.points() for actor in self._actors]
        colour, index, depth = house.seen(house.repainted(self._base, outlines, samples))
        truth = {"t": round(t, 4)} | annotate(house.register, index, depth, house.camera)
        self._add_exposed(truth)
        picture = sensor.look(colour, np.random.default_rng(seed), house.mode, np.random.default_rng([seed, k]))
        if self._place:
            moment = self._clock + datetime.timedelta(seconds=t)
            picture = house.textures.stamp(picture, f"{moment:%Y-%m-%d  %H:%M:%S}", self._place, random.Random(seed))
        return picture, truth

    def _set_standing(self) -> None:
        """Bring the plate up to date with which carried parcels stand somewhere now."""
        house = self._warehouse
        loads = {a.thing.id: a for a in self._actors if a.load and a.at.segment.rest is not None}
        if set(loads) == self._standing:
            return
        self._standing = set(loads)
        people = [o for a in self._actors for o in a.meshes]
        people += [o for a in self._actors if a.at.prop for o in a.at.prop.objects]
        people += [o for a in self._actors if a.load and a.at.segment.rest is None for o in a.load.objects]
        house.studio.show(people, False)
        outlines = [t.points for a in loads.values() for t in a.load.things]
        self._base = house.repainted(house.plate, outlines, PLATE_SAMPLES)
        house.studio.show(people, True)

    def _add_exposed(self, truth: dict) -> None:
        """Leave out devices in pockets; say of phones that photograph which labels they can see."""
        shown = {a.at.prop.things[0].id: a for a in self._actors if a.at.prop}
        for group in ("phones", "scanners", "held"):
            truth[group] = [entry for entry in truth[group] if entry["id"] in shown]
        for phone in truth["phones"]:
            if phone["use"] == "photo":
                phone["exposed"] = self._director.exposed_to(shown[phone["id"]])


class Recorder:
    """Writes frames as H.264 as a surveillance recorder does; each frame bears its time."""

    def __init__(self, path: Path, size, fps: float, crf: int):
        rate = Fraction(fps).limit_denominator(1000)
        self._out = av.open(str(path), "w")
        self._stream = self._out.add_stream("libx264", rate=rate)
        self._stream.width, self._stream.height = size
        self._stream.pix_fmt, self._stream.time_base = "yuv420p", 1 / rate
        self._stream.options = {"crf": str(crf), "preset": "medium", "g": str(max(1, round(fps * GOP_SECONDS)))}

    def write(self, picture) -> None:
        """Add a BGR picture."""
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="bgr24")
        self._out.mux(self._stream.encode(frame))

    def close(self) -> None:
        """Write what the encoder still holds."""
        self._out.mux(self._stream.encode())
        self._out.close()


def rounded(value, digits: int = 3):
    """Plain data with its numbers rounded, so that a clip's truth stays small."""
    if isinstance(value, dict):
        return {k: rounded(v, digits) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(v, digits) for v in value]
    return round(float(value), digits) if isinstance(value, float | np.floating) else value


def main() -> None:
    """Render one clip."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--assets", type=Path, required=True, help="MakeHuman system assets: clothes, hair, skins, eyes"
    )
    parser.add_argument("--seed", type=int, required=True, help="warehouse and people; equal seeds give equal clips")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--fps", type=float, default=5.0)
    parser.add_argument("--script", choices=(*scripts.SCRIPTS, "auto"), default="auto", help="what people do")
    parser.add_argument("--out", type=Path, required=True, help="folder and start of the file names")
    parser.add_argument("--cache", type=Path, help="folder for drawn textures (or SCENES_CACHE)")
    parser.add_argument("--size", type=size_of, default=(960, 540))
    parser.add_argument("--spp", type=int, default=4, help="rays a pixel")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--pictures", type=int, default=0, metavar="N", help="also every Nth frame as OUT_0000.png …")
    args = parser.parse_args()
    try:
        assets, cache = parts.assets_folder(args.assets), parts.cache_folder(args.cache)
        args.out.parent.mkdir(parents=True, exist_ok=True)
        scratch = args.out.with_name(args.out.name + "_part.exr")
        start = time.process_time()
        rng = random.Random(args.seed)
        script = scripts.drawn(rng) if args.script == "auto" else args.script
        warehouse = Warehouse(
            args.seed, args.size, assets, cache, args.threads, scratch, near=NEAR, large=LARGE, row=rng.random() < 0.55
        )
        film = Film(warehouse, script, args.seconds, assets)
        print(f"{args.out.name}: {script}, {warehouse.mode}, {time.process_time() - start:.1f} CPU s", flush=True)
        start, count = time.process_time(), max(1, round(args.seconds * args.fps))
        video = args.out.with_name(args.out.name + "_part.mp4")
        recorder, frames = Recorder(video, args.size, args.fps, rng.randint(23, 30)), []
        for k in range(count):
            picture, truth = film.frame(k, k / args.fps, args.spp)
            recorder.write(picture)
            frames.append(rounded(truth))
            if args.pictures and k % args.pictures == 0:
                Path(f"{args.out}_{k:04d}.png").write_bytes(cv2.imencode(".png", picture)[1])
        recorder.close()
        truth = {
            "size": list(args.size),
            "fps": args.fps,
            "seed": args.seed,
            "mode": warehouse.mode,
            "near": warehouse.near,
            "camera": warehouse.camera_truth,
            "script": script,
            "events": film.events,
            "frames": frames,
        }
        Path(f"{args.out}.json").write_text(json.dumps(truth))
        video.rename(f"{args.out}.mp4")
        print(f"{args.out.name}: {count} frames, {(time.process_time() - start) / count:.2f} CPU s each", flush=True)
    except (parts.MissingPartError, ValueError) as wrong:
        sys.exit(f"clips: {wrong}")
    except OSError as wrong:
        sys.exit(f"clips: {wrong.filename or args.out}: {wrong.strerror}")


if __name__ == "__main__":
    main()
