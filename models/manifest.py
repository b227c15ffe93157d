"""The manifest of a training set: one JSON line per picture, with what is marked in it and what nobody marked.

    {"picture": "images/a.jpg", "source": "fuyi", "group": "a", "licence": "Apache-2.0", "split": "train",
     "known": ["parcel"], "objects": [{"label": "parcel", "box": [10, 20, 90, 80], "facing": "up"}]}

`picture` is relative to the manifest. `group` is the video, scene or original that a picture comes from: a group lies
in one split, never across two. `known` names the classes that are marked completely; an unmarked object of any other
class is unknown, not background. Boxes are x1, y1, x2, y2 in pixels. Of an object further may be said:

- `facing` of a parcel: `up`, `not_up`, or `unknown` where a person could not tell either;
- `use` of a phone: `photo` (pointed at a parcel), `call` (at the ear), `browse` (being read), `held` (none of these);
- `act` of a person: `photo`, `scan`, `call`, `browse`, or `none` of these;
- `not_use`, `not_act`: what a judged phone or person certainly did not do, where nothing else is known;
- `angle` of a label: its text lines against the picture's x axis, degrees, counter-clockwise as seen, modulo 180;
- `hands` of a person: where the wrists are, x and y in pixels, as far as they are seen;
- `doubtful`: too small, hidden or unsure to be taught or judged: its place is neither object nor background;
- `by`: `model` where it is but a proposal. As long as its class isn't named in `known`, that it is one isn't taught:
  a class of which only finds are taught, and nothing as background, is soon seen everywhere.

What is left out is unknown. `labelwatch label-export` writes the same format for a site's own footage.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from detector.errors import LabelwatchError
from detector.values import LABELS

SPLITS = ("train", "val", "test")
FACINGS = ("up", "not_up", "unknown")
USES = ("photo", "call", "browse", "held")
ACTS = ("photo", "scan", "call", "browse", "none")
SAID = ("facing", "use", "act", "angle", "not_use", "not_act")


class SetError(Exception):
    """A training set that can't be used as it is: file, what is wrong, and what to do."""


@dataclass(frozen=True)
class Thing:
    """One marked object; see the module's docstring."""

    label: str
    box: tuple[float, float, float, float]
    facing: str | None = None
    use: str | None = None
    act: str | None = None
    angle: float | None = None
    doubtful: bool = False
    not_use: str | None = None
    not_act: str | None = None
    hands: tuple[tuple[float, float], ...] = ()
    proposed: bool = False

    def record(self) -> dict[str, Any]:
        """The JSON object of the manifest, without what is unknown."""
        said = {name: getattr(self, name) for name in SAID if getattr(self, name) is not None}
        box = [round(float(v), 2) for v in self.box]
        if self.hands:
            said["hands"] = [[round(float(v), 1) for v in hand] for hand in self.hands]
        said |= {"doubtful": True} if self.doubtful else {}
        return {"label": self.label, "box": box} | said | ({"by": "model"} if self.proposed else {})


@dataclass(frozen=True)
class Picture:
    """One picture of a set; `path` is where it lies."""

    path: Path
    source: str
    group: str
    licence: str
    split: str
    known: tuple[str, ...]
    things: tuple[Thing, ...] = field(default=())


def write_manifest(path: Path, pictures: Iterable[Picture]) -> int:
    """Write a manifest, whole or not at all, and return how many pictures it holds.

    Raises:
        SetError: There is no picture, or a group lies in two splits.
        OSError: It can't be written.
    """
    splits: dict[tuple[str, str], str] = {}
    draft, count = path.with_suffix(".draft"), 0
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with draft.open("w", encoding="utf-8") as file:
            for picture in pictures:
                if splits.setdefault((picture.source, picture.group), picture.split) != picture.split:
                    raise SetError(f"{picture.path}: group {picture.group} of {picture.source} lies in two splits")
                where = picture.path.resolve()
                inside = where.is_relative_to(path.parent.resolve())
                record = {
                    "picture": str(where.relative_to(path.parent.resolve()) if inside else where),
                    "source": picture.source, "group": picture.group, "licence": picture.licence,
                    "split": picture.split, "known": list(picture.known),
                    "objects": [thing.record() for thing in picture.things],
                }  # fmt: skip
                file.write(json.dumps(record, ensure_ascii=False) + "\n")
                count += 1
        if not count:
            raise SetError(f"{path}: no picture went in (are the folders right?)")
        draft.replace(path)
    except OSError as error:
        error.filename = error.filename or str(path)  # a full disk names none
        raise
    finally:
        draft.unlink(missing_ok=True)
    return count


def read_manifest(path: Path) -> Iterator[Picture]:
    """Pictures of a manifest.

    Raises:
        SetError: No such file; or a line is no picture: not JSON, a key missing, a class or a word that isn't known,
            a box without extent.
    """
    try:
        lines = manifest_lines(path)
    except OSError as error:
        raise SetError(f"no manifest {path}: {error.strerror} (make one with models/dataset.py)") from error
    except UnicodeDecodeError as error:
        raise SetError(f"{path} is no manifest, but no text at all (make one with models/dataset.py)") from error
    if lines == [""]:
        raise SetError(f"{path} is empty (make it again with models/dataset.py)")
    for number, line in enumerate(lines, 1):
        try:
            yield _picture(json.loads(line), path.parent)
        except (ValueError, KeyError, TypeError) as error:
            said = f"{error.args[0]!r} is missing" if isinstance(error, KeyError) else str(error)
            raise SetError(f"{path}, line {number}: {said}") from error


def manifest_lines(path: Path) -> list[str]:
    """The lines of a manifest; a name in one may hold a sign at which `str.splitlines` would break it.

    Raises:
        OSError: It can't be read.
        UnicodeDecodeError: It is no text.
    """
    return path.read_text(encoding="utf-8").removesuffix("\n").split("\n")


def pictures_of(path: Path, split: str) -> list[Picture]:
    """Pictures of a manifest that lie in one split.

    Raises:
        SetError: There is none; or as `read_manifest`.
    """
    pictures = list(read_manifest(path))
    found = [picture for picture in pictures if picture.split == split]
    if not found:
        there = ", ".join(f"{count} in {name}" for name, count in Counter(p.split for p in pictures).items())
        raise SetError(
            f"{path}: no picture in split {split}, but {there} (whole scenes of dataset.py, groups, and days of a "
            "camera of label-export fall into one split each: take more of them)"
        )
    return found


def _picture(tree: dict[str, Any], folder: Path) -> Picture:
    things = tuple(_thing(row, tree["known"]) for row in tree["objects"])
    for label in tree["known"]:
        _one_of(label, LABELS, "class")
    return Picture(
        folder / tree["picture"], str(tree["source"]), str(tree["group"]), str(tree["licence"]),
        _one_of(tree["split"], SPLITS, "split"), tuple(tree["known"]), things,
    )  # fmt: skip


def _thing(row: dict[str, Any], known: Sequence[str]) -> Thing:
    x1, y1, x2, y2 = (float(v) for v in row["box"])
    if not (x2 > x1 and y2 > y1):
        raise ValueError(f"box {row['box']} has no extent")
    angle = row.get("angle")
    return Thing(
        _one_of(row["label"], LABELS, "class"), (x1, y1, x2, y2),
        _one_of(row.get("facing"), (None, *FACINGS), "facing"), _one_of(row.get("use"), (None, *USES), "use"),
        _one_of(row.get("act"), (None, *ACTS), "act"), None if angle is None else float(angle) % 180,
        bool(row.get("doubtful", False)), _one_of(row.get("not_use"), (None, *USES), "use"),
        _one_of(row.get("not_act"), (None, *ACTS), "act"), tuple((float(x), float(y)) for x, y in row.get("hands", ())),
        row.get("by") == "model" and row["label"] not in known,
    )  # fmt: skip


def _one_of(word: Any, words: tuple[Any, ...], what: str) -> Any:
    if word not in words:
        raise ValueError(f"no {what} {word!r} (there are: {', '.join(w for w in words if w)})")
    return word


def run(main, on_stop: str = "") -> None:
    """Run a recipe; what is wrong with a set, a model or a machine becomes one line and exit code 1.

    What needs the extra `train` at times alone is imported then. `on_stop` is said where Ctrl-C ends it (130).
    """
    try:
        with extra_train():
            main()
    except (SetError, LabelwatchError) as error:
        sys.exit(f"error: {error}")
    except OSError as error:
        sys.exit(f"error: {error.filename or 'file'}: {error.strerror or error} (what was finished before is kept)")
    except KeyboardInterrupt:
        print(f"stopped{on_stop}", file=sys.stderr)
        sys.exit(130)


@contextmanager
def extra_train() -> Iterator[None]:
    """Round imports of the extra `train` in a recipe that is nothing without: where it is missing, one line says so."""
    try:
        yield
    except ModuleNotFoundError as error:
        sys.exit(f"error: {error.name} isn't installed (make setup-train, then run it by .venv-train/bin/python)")
