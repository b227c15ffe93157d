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

Said = dict[str, Any]
"""What is known of a network: `origin`, what it was made of; what it was `trained` on then, where it was; `before`, the
same in a line of each network that it comes from, the first first; and its `thresholds` by label, where it has any."""


def of_card(card: ModelCard) -> Said:
    """What a card says."""
    said = card.model_extra or {}
    known = {key: said[key] for key in ("trained", "before") if key in said}
    return {"origin": said.get("origin", "not said"), **known, "thresholds": dict(card.thresholds)}


def of_training(lineage: Mapping[str, Any]) -> Said:
    """What a checkpoint of `train.py` says: what it began from, `start`, and what it was `taught` then."""
    start = lineage["start"]
    origin = f"YOLO11n, trained with models/train.py from {start['name']}"
    said = {"origin": origin, "trained": lineage["taught"], "before": up_to(start)}
    return said | ({"thresholds": start["thresholds"]} if "thresholds" in start else {})


def up_to(*named: Said) -> list[str]:
    """A line of each of some networks and of all those before them, the first first, each once.

    Args:
        named: What is known of each, its `name` too.
    """
    lines: dict[str, None] = {}
    for said in named:
        own = ". ".join(said[key].rstrip(".") for key in ("origin", "trained") if key in said)
        lines |= dict.fromkeys([*said.get("before", []), f"{said['name']}: {own}"])
    return [*lines]


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


def drop(network: onnx.ModelProto) -> None:
    """Have an ONNX file say nothing of it: its card does."""
    onnx.helper.set_model_props(network, {one.key: one.value for one in network.metadata_props if one.key != KEY})
