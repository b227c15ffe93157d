"""Shift what a scene model says of facing until it says so as often as it is so, on the held-out scenes that choose.

    python models/calibrate.py --card models/scene.yaml --rendered FOLDER ... --out CALIBRATED.onnx

Training draws other pictures than cameras see, so a trait that stands the better chance in training is said too easily.
On found parcels of the scenes that choose (`evaluation/sets.py`), those included whose facing nobody could tell, an
offset is fitted to the log odds of `up` and of `not_up` (Platt 1999, with a slope of one) and added to the last layer's
biases. Nothing is computed anew while running; `export.py CALIBRATED.onnx` makes it a model.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import lineage
import numpy as np
import onnx
from bare import write_network
from evaluate import look_of
from evaluation.figures import match
from evaluation.sets import CHOOSE, JudgedSet, rendered_sets
from manifest import SetError, run
from onnx import numpy_helper
from rich.progress import track

from detector.inference.card import ModelCard, find_card
from detector.values import LABELS, NOT_UP, PARCEL, TRAITS, UP

FACINGS = {"up": UP, "not_up": NOT_UP}
LEAST = 1e-4  # scores are believed to lie between this and one minus this


def said_of_parcels(sets: Sequence[JudgedSet], card: ModelCard) -> tuple[np.ndarray, list[str]]:
    """What the model says of each found parcel, `(N, traits)`, and its true facing."""
    look, rows, truths = look_of(card), [], []
    samples = [sample for judged in sets if judged.purpose == CHOOSE for sample in judged.samples]
    for sample in track(samples, "looking", transient=True):
        image, things = sample.opened()
        parcels = [thing for thing in things if thing.label == "parcel"]
        found = look(image).of(PARCEL)
        found = found[found.scores >= card.thresholds["parcel"]]
        boxes = np.array([thing.box for thing in parcels], np.float32).reshape(-1, 4)
        _, places = match(found.boxes, found.scores, boxes, np.array([thing.doubtful for thing in parcels], bool))
        for k in np.flatnonzero(places >= 0):
            rows.append(found.traits[k])
            truths.append(str(parcels[places[k]].facing))
    return np.array(rows, np.float32).reshape(-1, len(TRAITS)), truths


def offset_of(scores: np.ndarray, true: np.ndarray) -> float:
    """What to add to the log odds of scores `(N,)` so that their mean is the share of `true` ones `(N,)`.

    It is the offset of least cross-entropy, found by Newton's method.

    Raises:
        SetError: All are true or none is: nothing bounds the offset.
    """
    if true.all() or not true.any():
        raise SetError(f"{len(true)} parcels, {int(true.sum())} of them of a facing: take more scenes that choose")
    p = np.clip(scores.astype(float), LEAST, 1 - LEAST)
    odds, offset = np.log(p / (1 - p)), 0.0
    for _ in range(100):
        said = 1 / (1 + np.exp(-(odds + offset)))
        step = float((true - said).sum() / (said * (1 - said)).sum())
        offset += float(np.clip(step, -1, 1))  # far from the solution Newton's steps are too long
        if abs(step) < 1e-6:
            break
    return offset


def shift(model: onnx.ModelProto, offsets: dict[str, float]) -> None:
    """Add offsets to the log odds of traits, by name, in place.

    Raises:
        SetError: The network has no last layers such as a scene model's.
    """
    channels, done = len(LABELS) + len(TRAITS), 0
    for one in model.graph.initializer:
        if ".cv3." in one.name and one.name.endswith(".2.bias") and tuple(one.dims) == (channels,):
            biases = numpy_helper.to_array(one).copy()
            for name, offset in offsets.items():
                biases[len(LABELS) + TRAITS.index(name)] += offset
            one.CopyFrom(numpy_helper.from_array(biases, one.name))
            done += 1
    if done != 3:  # one for each size of places
        raise SetError(f"the network has {done} last layers of {channels} scores, a scene model has 3")


def main() -> None:
    """Look, fit, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--card", type=Path, required=True, help="of the model to calibrate")
    parser.add_argument("--rendered", type=Path, nargs="+", required=True, help="folders of rendered stills")
    parser.add_argument("--out", type=Path, required=True, help="ONNX file to write")
    args = parser.parse_args()

    def go() -> None:
        card = find_card(str(args.card))
        if not set(card.traits).issuperset(FACINGS):
            raise SetError(f"{args.card}: the model tells no facing of parcels, so there is nothing to calibrate")
        said, truths = said_of_parcels(rendered_sets(args.rendered), card)
        facings = np.array(truths)
        offsets = {name: offset_of(said[:, trait], facings == name) for name, trait in FACINGS.items()}
        model = onnx.load(card.path)
        shift(model, offsets)
        before = lineage.of_card(card)
        calibrated = f"Facing calibrated (calibrate.py) on {len(truths)} parcels"
        told = [before["trained"].rstrip(".")] if "trained" in before else []
        lineage.put(model, before | {"trained": ". ".join([*told, calibrated])})
        write_network(model, args.out)
        print(f"{args.out}: {len(truths)} parcels; added to log odds: "
              + ", ".join(f"{name} {offset:+.2f}" for name, offset in offsets.items()))  # fmt: skip

    run(go)


if __name__ == "__main__":
    main()
