"""Train the scene model from a COCO YOLO11n on the pictures of a manifest.

    python models/train.py --set SET/manifest.jsonl --start yolo11n-coco.pt --run RUN [--steps 6000] [--device cpu]
                           [--teacher yolo11n-coco.pt]

The network is YOLO11n with fifteen score channels: the five classes, then ten traits that speak only where their object
is (`looks.TRAITS`): facing of parcels, use of phones, act of people, text angle of labels. What differs from stock
training, and why a loop of our own:

- **Unmarked is unknown.** The classification loss of a class is dropped on pictures of a source that does not mark it,
  and inside doubtful objects: a courier's unmarked phone is never taught to be background.
- **Traits, not classes.** A parcel of any facing is a positive of *parcel*; on its positive anchors alone its trait
  channels learn what is known of it, and nothing where it is unknown.
- **COCO's knowledge is kept.** The 80-class output layer is cut down to the rows of the nearest COCO class and the
  backbone learns at half the rate. `--teacher` has a COCO network look at the same real squares, unspoilt by our noise,
  and holds what the new one says of people and phones to it wherever nothing is marked (learning without forgetting,
  Li and Hoiem 2017); a scene model's ONNX file, taken for the teacher, holds it there too where something is marked.
  `--hold` pulls all but the last class layer back towards where it started.

Killed runs go on where the last save was: start the same command again. `RUN/last.pt` (the moving average) loads as an
Ultralytics checkpoint. Needs the extra `train`.
"""

from __future__ import annotations

import argparse
import copy
import io
import math
import os
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from looks import Batch, Looks
from manifest import Picture, SetError, extra_train, pictures_of, run
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from detector.cli.arguments import count, positive, share
from detector.inference.runtimes import first_line
from detector.machine.whole_files import sha256_of, write_whole

with extra_train():
    import torch
    from loss import SceneLoss
    from starts import load_start, started_from, tensor_of
    from teacher import Teacher
    from torch import nn

BACKBONE_LAYERS, BACKBONE_RATE = 10, 0.5
SAVE_EVERY_S = float(os.environ.get("LABELWATCH_SAVE_EVERY_S", "240"))


def choose_device(name: str) -> str:
    """The device asked for.

    Raises:
        SetError: A GPU is asked for and there is none.
    """
    if name != "cpu" and not torch.cuda.is_available():
        raise SetError(f"--device {name}: no GPU that torch can use (leave the option out to train on the CPU)")
    return name


def as_float(value: torch.Tensor | list[torch.Tensor]) -> torch.Tensor | list[torch.Tensor]:
    """In single precision, whatever a layer computed in."""
    return value.float() if isinstance(value, torch.Tensor) else [one.float() for one in value]


def computes_bf16() -> bool:
    """Whether this CPU has bfloat16 products in hardware."""
    return torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()


class Average:
    """Exponential moving average of a network's weights; its first steps count more, as the start is soon left."""

    def __init__(self, model: nn.Module) -> None:
        self.model = copy.deepcopy(model).eval().requires_grad_(False)

    def update(self, model: nn.Module, step: int, decay: float = 0.9985) -> None:
        """Take in the network after a step."""
        keep = decay * (1 - math.exp(-step / 300))
        with torch.no_grad():
            for mean, new in zip(self.model.state_dict().values(), model.state_dict().values(), strict=True):
                if mean.dtype.is_floating_point:
                    mean.mul_(keep).add_(new, alpha=1 - keep)


def saved(state: dict, path: Path) -> None:
    """Write a checkpoint, whole or not at all.

    Raises:
        SetError: It can't be written; the one before is kept.
    """
    content = io.BytesIO()  # of a full disk torch says but at which byte it was
    torch.save(state, content)
    try:
        write_whole(path, content.getvalue())
    except OSError as error:
        raise SetError(
            f"{path} can't be written: {error.strerror} (make room, and run the command again: it goes on from the "
            "save before)"
        ) from error


def read_state(path: Path, device: str) -> dict:
    """What a run saved of itself.

    Raises:
        SetError: The file is broken.
    """
    try:
        return torch.load(path, map_location=device, weights_only=False)
    except Exception as error:  # an unpickled file can raise anything
        raise SetError(f"{path} can't be read ({first_line(error)}): remove it to begin anew") from error


def lesson(args: argparse.Namespace, pictures: Sequence[Picture]) -> str:
    """What a model is taught, in words for its card."""
    sets = Counter((picture.source, picture.licence) for picture in pictures)
    said = "; ".join(f"{count:,} of {source} ({licence})" for (source, licence), count in sorted(sets.items()))
    teacher = f", with {args.teacher.name} as the teacher" if args.teacher else ""
    frozen = f", the first {args.frozen} layers frozen" if args.frozen else ""
    return (
        f"{args.steps:,} steps of {args.batch} squares at a rate of {args.rate:g}{teacher}{frozen}, on pictures: {said}"
    )


def train(args: argparse.Namespace) -> None:
    """Run the training from the start or from its last save."""
    torch.set_num_threads(args.threads)
    device = choose_device(args.device)
    pictures = []
    for path in args.set:
        pictures += (here := pictures_of(path, "train"))
        print(f"{path}: {len(here)} pictures to train on", flush=True)
        if unseen := sum(any(t.proposed for t in picture.things) and not picture.known for picture in here):
            print(
                f"  in {unseen} of them nobody has gone over the boxes: they teach acts alone (by_hand.py)", flush=True
            )
    args.run.mkdir(parents=True, exist_ok=True)
    recipe = {key: str(value) for key, value in vars(args).items() if key not in ("threads", "device")}
    sets = [sha256_of(path) for path in args.set]
    state_path, done = args.run / "state.pt", 0
    state = read_state(state_path, device) if state_path.exists() else None
    if state is not None:
        if other := [
            f"--{key} {state['recipe'].get(key)}" for key in recipe if state["recipe"].get(key) != recipe[key]
        ]:
            raise SetError(f"{args.run} holds a run with other options ({', '.join(other)}): name another --run")
        # Going on, it would have learnt little or nothing of what is new. (Saves of before don't say what it was.)
        if state.get("sets", sets) != sets:
            raise SetError(f"{args.run} holds a run on manifests that were changed since: name another --run")
        done = state["done"]
        print(f"goes on at step {done} of {args.steps}", flush=True)
    lineage = {"start": started_from(args.start), "taught": lesson(args, pictures)}
    looks, kinds = Looks(pictures, seed=args.seed + done), np.random.default_rng(args.seed + done)
    squares = [tensor_of(looks.batch(16, close=k % 2 > 0).images, "cpu") for k in range(8)]
    model = load_start(args.start, device, squares)
    # The last layer of the class branch is new in part: it is free.
    free = tuple(f"model.{len(model.model) - 1}.cv3.{k}.2." for k in range(3))
    start = {name: p.detach().clone() for name, p in model.named_parameters() if not name.startswith(free)}
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(int(name.split(".")[1]) >= args.frozen)
    average, loss_of = Average(model), SceneLoss(model)
    teacher = Teacher(args.teacher, device, squares) if args.teacher else None
    groups: list[dict] = [{"params": [], "rate": 1.0}, {"params": [], "rate": BACKBONE_RATE}]
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            groups[int(name.split(".")[1]) < BACKBONE_LAYERS]["params"].append(parameter)
    optimizer = torch.optim.AdamW(groups, lr=args.rate, betas=(0.9, 0.98), weight_decay=0.0)
    if state is not None:
        model.load_state_dict(state["model"])
        average.model.load_state_dict(state["average"])
        optimizer.load_state_dict(state["optimizer"])

    def save(step: int) -> None:
        saved(
            {
                "model": model.state_dict(), "average": average.model.state_dict(), "optimizer": optimizer.state_dict(),
                "done": step, "recipe": recipe, "sets": sets,
            },
            state_path,
        )  # fmt: skip
        network = {"model": copy.deepcopy(average.model).half(), "train_args": {"task": "detect"}}
        saved(network | {"lineage": lineage}, args.run / "last.pt")

    def draw() -> Batch:
        return looks.batch(args.batch, close=bool(kinds.random() < args.close))

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with ThreadPoolExecutor(1) as ahead, Progress(*columns) as progress:
        task, mean, last_save = (
            progress.add_task("training", total=args.steps, completed=done),
            np.zeros(3),
            time.monotonic(),
        )
        upcoming = ahead.submit(draw)
        model.train()
        for step in range(done, args.steps):
            batch, upcoming = upcoming.result(), ahead.submit(draw)
            pace = min(1.0, (step + 1) / 200) * (0.02 + 0.49 * (1 + math.cos(math.pi * step / args.steps)))
            for group in optimizer.param_groups:
                group["lr"] = args.rate * pace * group["rate"]
            taught = teacher.look(batch, bf16=args.bf16) if teacher else None
            with torch.autocast(device.partition(":")[0], torch.bfloat16, enabled=args.bf16):
                predictions = model(tensor_of(batch.images, device))
            loss = loss_of.measure({name: as_float(value) for name, value in predictions.items()}, batch, taught)
            optimizer.zero_grad(set_to_none=True)
            loss.sum().backward()
            nn.utils.clip_grad_norm_(model.parameters(), 10.0)
            optimizer.step()
            if args.hold:
                with torch.no_grad():
                    for name, parameter in model.named_parameters():
                        if name in start:
                            parameter.lerp_(start[name], min(args.hold * args.rate * pace, 1.0))
            average.update(model, step + 1)
            mean += (loss.detach().cpu().numpy() - mean) * max(0.01, 1 / (step + 1 - done))
            said = " ".join(f"{name} {value:.3f}" for name, value in zip(("box", "cls", "dfl"), mean, strict=True))
            progress.update(task, advance=1, description=said)
            if (step + 1) % 50 == 0 and not progress.console.is_terminal:
                print(f"step {step + 1}/{args.steps} {said}", flush=True)
            if time.monotonic() - last_save > SAVE_EVERY_S:
                save(step + 1)
                last_save = time.monotonic()
    save(args.steps)
    print(args.run / "last.pt")


def main() -> None:
    """Read the options and train."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--set", type=Path, nargs="+", required=True, help="manifests of dataset.py or label-export")
    parser.add_argument("--start", type=Path, required=True, help="COCO YOLO11n, or a scene model to go on from")
    parser.add_argument("--run", type=Path, required=True, help="folder of the run")
    parser.add_argument("--steps", type=positive, default=6000)
    parser.add_argument("--batch", type=positive, default=16)
    parser.add_argument("--rate", type=share, default=1e-3)
    parser.add_argument("--close", type=share, default=0.6, help="share of close looks")
    parser.add_argument(
        "--hold",
        type=float,
        default=0.0,
        help="pull of all but the last class layer towards the starting weights, per unit of rate",
    )
    parser.add_argument(
        "--frozen", type=count, default=0,
        help="so many of the first layers keep their weights: with 5 a step takes four fifths of the time",
    )  # fmt: skip
    parser.add_argument(
        "--teacher",
        type=Path,
        help="COCO YOLO11n, or the scene model of before, whose people and phones shall not be forgotten",
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=positive, default=os.cpu_count() or 1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument(
        "--bf16", action=argparse.BooleanOptionalAction, default=computes_bf16(),
        help="forward passes in bfloat16; where the CPU has it in hardware, as here by default, twice as fast",
    )  # fmt: skip
    args = parser.parse_args()
    run(lambda: train(args), ": the same command goes on from the run's last save")


if __name__ == "__main__":
    main()
