"""Where a network comes from and what it was taught, as its card shall say it, handed on from file to file.

A model's card says it. What is no model yet carries it itself: a checkpoint of `train.py` under `lineage`, the ONNX
files of `mix.py` and `calibrate.py` among their metadata. So whichever way a model took, the sets that went in stand in
its card.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnx
from bare import read_network

from detector.inference.card import ModelCard, find_card

KEY = "lineage"
BEFORE = "The network before: "

Said = dict[str, Any]  # `origin` in words; `trained` in words and `thresholds` by label, where they are known


def of_card(card: ModelCard) -> Said:
    """What a card says."""
    said = card.model_extra or {}
    told = {"trained": said["trained"]} if "trained" in said else {}
    return {"origin": said.get("origin", "not said"), **told, "thresholds": dict(card.thresholds)}


def of_training(lineage: Mapping[str, Any]) -> Said:
    """What a checkpoint of `train.py` says: what it began from, `start`, and what it was `taught` then."""
    start = lineage["start"]
    before = f". {BEFORE}{start['trained']}" if "trained" in start else ""
    said = {
        "origin": f"YOLO11n, trained with models/train.py from {start['origin']}",
        "trained": f"{lineage['taught']}{before}",
    }
    return said | ({"thresholds": start["thresholds"]} if "thresholds" in start else {})


def of_onnx(path: Path) -> Said | None:
    """What is known of a scene model's ONNX file: by the card beside it, or else by itself.

    Raises:
        ModelError: The card beside it is of another file, or none.
        SetError: There is no such file, or it holds no network.
    """
    card_path = path.with_suffix(".yaml")
    if card_path.exists():
        return of_card(find_card(str(card_path)))
    return next((json.loads(one.value) for one in read_network(path).metadata_props if one.key == KEY), None)


def put(network: onnx.ModelProto, said: Said) -> None:
    """Have an ONNX file say it."""
    kept = {one.key: one.value for one in network.metadata_props} | {KEY: json.dumps(said, ensure_ascii=False)}
    onnx.helper.set_model_props(network, kept)
