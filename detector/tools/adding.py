"""`labelwatch model add`: an Ultralytics export enters, the model with a checked card of its own leaves.

Any detect or pose export does, ONNX or `.pt`, of one input size or of any, raw or end to end. What its classes are
called is read from the file; those whose meaning is plain become our labels, others by `named`.
"""

from __future__ import annotations

import ast
import logging
import os
import re
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml
from numpy.typing import NDArray

from detector.config import Analysis
from detector.errors import ConfigError, MissingPart, ModelError, NotThere, Problem
from detector.inference.card import ModelCard, cards_in, find_card
from detector.inference.decode import Layout
from detector.inference.detector import SceneDetector
from detector.inference.letterbox import STRIDE, Letterbox
from detector.inference.runtimes import OnnxRuntime, first_line
from detector.inference.session import Session, fixed_size
from detector.machine.resources import resource
from detector.machine.secrecy import one_line
from detector.machine.whole_files import sha256_of
from detector.media.pictures import Bgr
from detector.values import LABELS, TRAITS

logger = logging.getLogger(__name__)

# Names that mean one of our labels whoever uses them; "box" and "tag" may be anything.
ALIASES = {
    "person": "person", "people": "person", "pedestrian": "person", "human": "person", "worker": "person",
    "phone": "phone", "cell phone": "phone", "cellphone": "phone", "mobile phone": "phone", "mobile": "phone",
    "smartphone": "phone", "smart phone": "phone",
    "scanner": "scanner", "barcode scanner": "scanner", "handheld scanner": "scanner", "hand scanner": "scanner",
    "pda": "scanner",
    "parcel": "parcel", "package": "parcel", "carton": "parcel", "cardboard box": "parcel", "parcel box": "parcel",
    "label": "label", "shipping label": "label", "parcel label": "label", "waybill": "label",
    "人": "person", "行人": "person", "手机": "phone", "扫码枪": "scanner", "巴枪": "scanner",
    "包裹": "parcel", "快递": "parcel", "面单": "label", "快递单": "label",
}  # fmt: skip
# How far an ONNX may be from the .pt it was made of: pixels of a box, and scores (or keypoints).
MOST_APART = (1.0, 0.05)
# Pixels: where no box ends beyond this, boxes are told in shares of the picture.
LEAST_CORNER = 2.0


@dataclass(frozen=True, slots=True)
class Added:
    """What came of adding a model: its card's path, the card, and lines that tell a person of it."""

    path: Path
    card: ModelCard
    told: tuple[str, ...]


def add_model(
    file: Path,
    *,
    name: str | None = None,
    named: Mapping[str, str] | None = None,
    folder: Path | None = None,
    licence: str | None = None,
    force: bool = False,
) -> Added:
    """Check a model and put it, with a card, where `analysis.model` finds it.

    Args:
        file: The ONNX, or a `.pt` that is exported first. A `.pt` can run any program when it is opened.
        name: What it is called from now on; the file's name when left out.
        named: Which of our labels a class of the model is, beside what is plain from its name.
        folder: Instead of `models/`.
        licence: Its licence; what the file says, or unknown, when left out.
        force: Replace a model of this name; never the one that ships, nor what is no model.

    Raises:
        ConfigError: The name is taken or can't be one, or `named` names what there isn't.
        ModelError: It isn't such a model, or gives nonsense.
        NotThere: There is no such file.
        MissingPart: A `.pt`, and Ultralytics isn't installed.
        OSError: A file can't be read or written.
    """
    if not file.is_file():
        raise NotThere(file, "model file")
    name = file.stem if name is None else name
    folder = resource("models") if folder is None else folder
    _check_name(name, file, folder, force=force)
    with tempfile.TemporaryDirectory() as scratch:
        told: list[str] = []
        if file.suffix.lower() == ".pt":
            source, difference = exported(file, Path(scratch) / "export")
            told.append(difference)
        elif file.suffix.lower() == ".onnx":
            source = file
        else:
            raise ModelError(f"{file}: a model is an .onnx or an Ultralytics .pt, not {file.suffix or 'this'}")
        fields = described(source, named or {})
        # Model and card as they will be, in a folder of their own: what is tried is what the worker will do.
        draft = Path(scratch) / f"{name}.yaml"
        shutil.copyfile(source, draft.with_suffix(".onnx"))
        fields = {"name": name, "file": f"{name}.onnx", "sha256": sha256_of(source), **fields}
        fields |= {
            "licence": licence or fields["licence"],
            "origin": ": ".join(part for part in (file.name, fields["origin"]) if part),
            "made_on": datetime.now(UTC).date().isoformat(),
        }
        draft.write_text(yaml.safe_dump(fields, sort_keys=False, allow_unicode=True, width=120), encoding="utf-8")
        card = find_card(str(draft))
        if card.traits and source != file:
            told.append(
                f"{file.name} is of models/train.py: models/export.py keeps its least scores and origin as well"
            )
        told += tried(card, file)
        _install((card.path, draft), folder)
    return Added(folder / draft.name, card, tuple(told))


def _check_name(name: str, file: Path, folder: Path, *, force: bool) -> None:
    """Refuse a name that no model may have, or that another has already."""
    if not re.fullmatch(r"(?!.*\.ya?ml$)\w[\w.-]{0,63}", name):
        raise _misuse("--name", f"not a name for a model: {name}", "letters, digits, - and _")
    target = folder / f"{name}.onnx"
    list_or_card = target.with_suffix(".yaml")
    if list_or_card.exists() and list_or_card not in cards_in(folder):  # weights of rules, say, which then nothing has
        raise _misuse("--name", f"{list_or_card} is no card of a model, and stays", "another --name")
    taken = [path.name for path in (target, list_or_card) if path.exists() and not path.samefile(file)]
    if taken and name == Analysis().model and folder.samefile(resource("models")):
        raise _misuse("--name", f"{name} is the model that ships, and stays", "another --name, in analysis.model too")
    if taken and not force:
        raise _misuse("--name", f"{folder} has a {' and a '.join(taken)} already", "another --name, or --force")


def _install(files: Sequence[Path], folder: Path) -> None:
    """Copy a model and its card into a folder.

    Both are there before either takes its place, so that a full disk leaves those of before; the card, which is what is
    looked for, comes last, and takes it last.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = {folder / f".{one.name}.draft": one for one in files}
    try:
        for beside, one in written.items():
            shutil.copyfile(one, beside)
        for beside, one in written.items():
            beside.replace(folder / one.name)
    except OSError as error:  # which names what is copied, in a folder that is gone when this is read
        error.filename, error.filename2 = str(folder / one.name), None
        raise
    finally:
        for beside in written:
            beside.unlink(missing_ok=True)


def described(source: Path, named: Mapping[str, str]) -> dict[str, Any]:
    """Fields of a card that an ONNX file itself tells.

    Raises:
        ModelError: It isn't an Ultralytics detect or pose export that can be used.
        ConfigError: `named` names what there isn't.
    """
    runtime = OnnxRuntime(source)
    said = runtime.metadata
    task = said.get("task", "")
    if "names" not in said or not task:
        raise ModelError(f"{source} is no Ultralytics export: it says neither task nor names of its classes")
    if task not in ("detect", "pose"):
        raise ModelError(f"{source} is a model for the task {task}; only detect and pose models can be added")
    names = _class_names(source, said["names"])
    keypoints = _keypoints(source, said.get("kpt_shape", "")) if task == "pose" else (0, 0)
    size = fixed_size(source, runtime.inputs)
    stride = _literal(source, "stride", said.get("stride", str(STRIDE)))
    if size is None and isinstance(stride, int) and stride > STRIDE:  # many a camera's picture has others
        raise ModelError(
            f"{source} wants sides that are multiples of {stride}, and is given multiples of {STRIDE}: export it for "
            "one size (yolo export format=onnx dynamic=False imgsz=640)"
        )
    shape = _output_shape(source, runtime, size or (480, 640))  # as a 4:3 camera has it: no multiple of 64
    traits = [name for name in names if name in TRAITS]
    labels = [name for name in names if name not in traits]
    if names != labels + traits:  # only a scene model of ours has them, and then last
        labels, traits = names, []
    raw = Layout((-1,) * len(labels), tuple(map(TRAITS.index, traits)), keypoints)
    chosen = Layout((-1,) * len(labels), (), keypoints, end2end=True)
    if traits and not raw.fits(shape):  # cut off before its boxes: how they are told stands in its card
        raise ModelError(
            f"{source} is a scene model of models/export.py, which made its card as well: put both, .onnx and .yaml, "
            "into models/, and name it in analysis.model"
        )
    if len(runtime.outputs) != 1 or not (raw.fits(shape) or chosen.fits(shape)):
        raise ModelError(
            f"{source} puts out {len(runtime.outputs)} arrays, the first of them {shape}; a {task} model of "
            f"{len(names)} classes puts out {raw}, or {chosen} end to end (export it again without changes to its head)"
        )
    return {
        "task": task,
        "labels": labels,
        "traits": traits,
        "ours": meanings(labels, named),
        "keypoints": list(keypoints),
        "end2end": not raw.fits(shape),
        "input": list(size) if size else f"any multiples of {STRIDE}",
        "bytes": source.stat().st_size,
        "licence": said.get("license", "unknown"),
        "origin": said.get("description", "").strip(),
    }


def _class_names(source: Path, told: str) -> list[str]:
    classes = _literal(source, "names", told)
    if isinstance(classes, list):
        classes = dict(enumerate(classes))
    if not isinstance(classes, dict) or sorted(classes) != list(range(len(classes))) or not classes:
        raise ModelError(f"{source}: its names aren't numbered from 0: {told[:80]}")
    return [str(classes[k]) for k in range(len(classes))]


def _keypoints(source: Path, told: str) -> tuple[int, int]:
    """How many a person has, and of how many numbers each is."""
    points = _literal(source, "kpt_shape", told)
    if not (isinstance(points, list | tuple) and len(points) == 2 and all(isinstance(n, int) for n in points)):
        raise ModelError(f"{source}: its kpt_shape isn't two numbers: {points}")
    return points[0], points[1]


def _output_shape(source: Path, runtime: OnnxRuntime, size: tuple[int, int]) -> tuple[int, ...]:
    """The shape of what a network puts out for a picture of a size, height and width."""
    height, width = size
    try:
        return runtime(np.zeros((1, 3, height, width), np.float32)).shape
    except Exception as error:  # whatever the runtime raises
        raise ModelError(f"{source} refuses a {width}x{height} input: {first_line(error)}") from error


def meanings(labels: list[str], named: Mapping[str, str]) -> dict[str, str]:
    """Which of our labels each class of a model is, as far as it is one.

    Raises:
        ConfigError: `named` names a class or label that there isn't, or no class is one of ours.
    """
    listed = one_line(", ".join(labels[:100])) + (" …" if len(labels) > 100 else "")
    for theirs, ours in named.items():
        if theirs not in labels:
            raise _misuse("--as", f"the model has no class {theirs}", f"it has: {listed}")
        if ours not in LABELS:
            raise _misuse("--as", f"there is no label {ours}", f"there are: {', '.join(LABELS)}")
    plain = {name: ALIASES.get(re.sub(r"[\s_-]+", " ", name.strip()).lower()) for name in labels}
    found = {name: ours for name, ours in (plain | dict(named)).items() if ours is not None}
    if not found:
        hint = f"say which with --as CLASS=LABEL; it has: {listed}"
        raise _misuse("--as", "none of the model's classes is plainly one of ours", hint)
    return found


def tried(card: ModelCard, file: Path) -> list[str]:
    """Look at pictures as the worker does, and tell what came of it; `file` is what was given.

    Raises:
        ModelError: What the model says isn't finite numbers, or no boxes in pixels with a class of its own.
    """
    network = Session(card)
    settings = Analysis()
    took: dict[int, list[float]] = {settings.frame_side: [], settings.zoom_side: []}
    pictures = trial_pictures()
    for picture in pictures.values():
        for side, times in took.items():
            tensor, _ = Letterbox()(Bgr(picture), side, network.input_size)
            for _ in range(3):
                began = time.process_time()  # not of what else the machine does
                raw = network(tensor)
                times.append(time.process_time() - began)
            if not np.isfinite(raw).all():
                raise ModelError(f"{file}: it says numbers that are none (NaN or infinite)")
            if card.end2end:
                corners, classes = raw[..., :4], raw[..., 5]
                if not np.isin(classes, np.arange(len(card.labels))).all() or 0 < corners.max() < LEAST_CORNER:
                    raise ModelError(
                        f"{file}: a model that chooses its boxes itself tells corners in pixels, a score and a class "
                        f"for each; this one says {', '.join(f'{value:g}' for value in raw[0, 0, :6])} (RT-DETR tells "
                        "shares of the picture or a score for each class: only YOLO models can be added)"
                    )
    detector = SceneDetector(network, card.thresholds, settings)
    lines = []
    for name, picture in pictures.items():
        found = detector.look(Bgr(picture), np.zeros((0, 4), np.float32), card.thresholds)
        counts = Counter(LABELS[k] for k in found.class_ids)
        seen = ", ".join(f"{count} {label}" for label, count in counts.items()) or "nothing"
        lines.append(f"on {name}: {seen}")
    whole, close = (f"{1000 * float(np.median(times)):.0f} ms" for times in took.values())
    lines.append(f"a whole frame takes {whole}, a close look {close} on one core")
    return lines


def trial_pictures() -> dict[str, NDArray[np.uint8]]:
    """Pictures to try a model on, BGR: of the shipped clip where it can be read, and noise."""
    noise = np.random.default_rng(0).integers(0, 256, (720, 1280, 3), np.uint8)
    pictures = {"noise": noise}
    try:
        clip = resource("configs", "demo", "sweep_near.mp4")
    except MissingPart:
        return pictures
    video = cv2.VideoCapture(str(clip))
    video.set(cv2.CAP_PROP_POS_MSEC, 8000)
    read, picture = video.read()
    video.release()
    return {"a frame of the demo clip": np.asarray(picture, np.uint8), **pictures} if read else pictures


def exported(file: Path, folder: Path) -> tuple[Path, str]:
    """ONNX of a `.pt`, in a folder, and how far its numbers are from the `.pt`'s on pictures.

    Raises:
        MissingPart: Ultralytics isn't installed.
        ModelError: It can't be exported, or the ONNX says something else.
    """
    hush_ultralytics()
    try:
        import torch
        from ultralytics import YOLO
    except ImportError as error:
        raise MissingPart(
            f"{file}: a .pt is exported by Ultralytics, which isn't installed: make setup-train, then "
            ".venv-train/bin/labelwatch model add …, or export it elsewhere (yolo export format=onnx dynamic=True) and "
            "add the .onnx"
        ) from error
    logger.info("exporting %s, which takes some 20 s", file)
    folder.mkdir()
    copy = folder / file.name  # the export is written beside it
    shutil.copyfile(file, copy)
    try:
        model = YOLO(str(copy))
        if model.task not in ("detect", "pose"):
            raise ModelError(f"{file} is a model for the task {model.task}; only detect and pose models can be added")
        network = model.model.float().eval()
        onnx = Path(model.export(format="onnx", dynamic=True, opset=17, device="cpu", verbose=False))
    except ModelError:
        raise
    except Exception as error:  # an unpickled file can raise anything
        # The copy is gone when this is read.
        reason = re.sub(r"^ERROR\W+", "", first_line(error).replace(str(copy), "it"))
        raise ModelError(f"{file} can't be exported: {reason}") from error
    logger.info("exported; what both say of pictures is compared")
    runtime = OnnxRuntime(onnx)
    boxes = scores = 0.0
    for name, picture in trial_pictures().items():
        tensor, _ = Letterbox()(Bgr(picture), 640)
        with torch.no_grad():
            answer = network(torch.from_numpy(tensor))
        expected, found = comparable(answer[0] if isinstance(answer, tuple) else answer), comparable(runtime(tensor))
        if expected.shape != found.shape:
            raise ModelError(f"{file}: on {name} its ONNX says {len(found)} things, it itself {len(expected)}")
        apart = np.abs(expected - found)
        boxes = max(boxes, float(apart[:, :4].max(initial=0)))
        scores = max(scores, float(apart[:, 4:].max(initial=0)))
    if not (boxes <= MOST_APART[0] and scores <= MOST_APART[1]):  # so that NaN is refused as well
        raise ModelError(f"{file}: its ONNX differs from it by up to {boxes:.3g} px and {scores:.3g} in the rest")
    return onnx, f"the ONNX differs from the .pt by at most {boxes:.2g} px in boxes and {scores:.2g} in all else"


def hush_ultralytics() -> None:
    """Keep Ultralytics from installing parts, telling anybody and talking; it heeds that while it is imported first."""
    for name, value in (("YOLO_AUTOINSTALL", "false"), ("YOLO_OFFLINE", "true"), ("YOLO_VERBOSE", "false")):
        os.environ.setdefault(name, value)


def comparable(raw: Any) -> NDArray[np.float32]:
    """Rows of a raw output that must be equal in two runs, box first.

    A network that chooses among its boxes orders them by score; those with next to none come in any order.
    """
    array: NDArray[np.float32] = np.asarray(raw, np.float32)[0]
    if array.shape[0] < array.shape[1]:  # numbers in columns, places in rows: hundreds to thousands of them
        return array.T
    return array[array[:, 4] >= 0.05]


def _literal(source: Path, key: str, text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError) as error:
        raise ModelError(f"{source}: its {key} can't be read: {text[:80]}") from error


def _misuse(key: str, reason: str, hint: str) -> ConfigError:
    return ConfigError([Problem("model add", key, reason, hint)])
