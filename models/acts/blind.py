"""What a reader makes of the looks that the network is judged by: stills enter, sheets leave; then answers, a table.

    .venv/bin/python models/acts/blind.py sheets --rendered RENDERED --out DIR
    .venv/bin/python models/acts/blind.py score DIR --rendered RENDERED --cache CACHE

Where a figure stays low, either the network overlooks what is there, or nobody could tell. The sheets show people of
rendered stills enlarged, each in a frame with a number and nothing else. Whoever reads them writes a kind behind each
number in `DIR/answers.txt`, and only then opens `DIR/key.json`. People are drawn by kind, as many of each as
`DRAWN` says, among those of whom enough is seen and whose device shows as many pixels as the goal is told for; the
network's answers are what a single look says under the same shares of kinds.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import log
from pathlib import Path
from typing import Any

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from dataset import device_px
from manifest import SetError, run

from acts.judge import confusion, macro_f1
from acts.looked import USES, Looker, said_at_once
from detector.rules.evidence import KINDS, load_weights

DRAWN = {"photo": 24, "scan": 20, "call": 6, "browse": 16, "none": 30}
SEEN = 0.3  # of a person so much is seen
LEAST_PX = 12.0  # side of the device as it is seen
TILE, COLUMNS, ROWS = 400, 4, 3
AROUND = 1.3  # of the longer side of the person's box is shown
DRAWS = 2000  # bootstrap, by look


@dataclass(frozen=True)
class Shown:
    """Somebody on a sheet.

    Attributes:
        source: Name of the still.
        who: The person's id in its truth.
        kind: What the person really does, one of `KINDS`.
        device_px: Side of the device as it is seen, pixels; 0 where none is used.
        box: `x1, y1, x2, y2` in the picture, pixels.
    """

    source: str
    who: int
    kind: str
    device_px: float
    box: tuple[float, float, float, float]


def people_of(truth: Mapping[str, Any], source: str) -> list[Shown]:
    """Those of a still who may be shown."""
    if "people" not in truth:  # a clip's truth, say
        return []
    devices = [*truth["phones"], *truth["scanners"]]
    shown = []
    for person in truth["people"]:
        kind = USES.get(person["act"], "none")
        pixels = device_px(person, devices)
        if person["bbox"] and person["visible_fraction"] >= SEEN and (kind == "none" or pixels >= LEAST_PX):
            shown.append(Shown(source, person["id"], kind, pixels if kind != "none" else 0.0, tuple(person["bbox"])))
    return shown


def drawn(people: Sequence[Shown], seed: int) -> list[Shown]:
    """People by kind, as many as `DRAWN` says or as there are, in random order."""
    rng = random.Random(seed)
    chosen: list[Shown] = []
    for kind, number in DRAWN.items():
        there = [person for person in people if person.kind == kind]
        chosen += rng.sample(there, min(number, len(there)))
    rng.shuffle(chosen)
    return chosen


def tile(picture: np.ndarray, number: int, box: Sequence[float]) -> np.ndarray:
    """A square (8-bit BGR) round a box of a picture, enlarged, with the box and a number."""
    x1, y1, x2, y2 = box
    scale = TILE / (max(x2 - x1, y2 - y1) * AROUND)
    shift = TILE / 2 - scale * (x1 + x2) / 2, TILE / 2 - scale * (y1 + y2) / 2
    there = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])
    square = cv2.warpAffine(picture, there, (TILE, TILE), flags=cv2.INTER_CUBIC)
    corners = [(round(scale * x + shift[0]), round(scale * y + shift[1])) for x, y in ((x1, y1), (x2, y2))]
    cv2.rectangle(square, *corners, (0, 255, 255), 1)
    cv2.putText(square, str(number), (4, 24), cv2.FONT_HERSHEY_SIMPLEX, 0.8, (0, 0, 255), 2)
    return square


def write_sheets(rendered: Path, out: Path, seed: int) -> int:
    """Sheets, key and a form to fill in; gives how many people are on them."""
    truths = sorted(rendered.rglob("*.json"))
    people = [person for path in truths for person in people_of(json.loads(path.read_text()), path.stem)]
    if not people:
        raise SetError(f"{rendered}: no rendered stills with people; render some with models/scenes/stills.py")
    if (out / "answers.txt").exists():
        raise SetError(f"{out / 'answers.txt'}: there are answers already; take another folder")
    chosen = drawn(people, seed)
    files = {path.stem: path.with_suffix(".jpg") for path in truths}
    pictures = {source: cv2.imread(str(files[source])) for source in sorted({person.source for person in chosen})}
    if missing := [source for source, picture in pictures.items() if picture is None]:
        raise SetError(f"{files[missing[0]]}: no picture that can be read; it lies beside its truth")
    out.mkdir(parents=True, exist_ok=True)
    tiles = [tile(pictures[person.source], n, person.box) for n, person in enumerate(chosen)]
    for start in range(0, len(tiles), COLUMNS * ROWS):
        here = tiles[start : start + COLUMNS * ROWS]
        here += [np.zeros_like(tiles[0])] * (COLUMNS * ROWS - len(here))
        rows = [np.hstack(here[k : k + COLUMNS]) for k in range(0, len(here), COLUMNS)]
        cv2.imwrite(str(out / f"sheet_{start // (COLUMNS * ROWS):02d}.png"), np.vstack(rows))
    (out / "key.json").write_text(json.dumps([asdict(person) for person in chosen]))
    (out / "answers.txt").write_text("".join(f"{n} \n" for n in range(len(chosen))))
    return len(chosen)


def read_key(folder: Path) -> list[Shown]:
    """Who is on the sheets of a folder, by number.

    Raises:
        SetError: There are none, or the key can't be read.
    """
    path = folder / "key.json"
    if not path.exists():
        raise SetError(f"{path}: not there; write sheets first")
    try:
        return [Shown(**{**one, "box": tuple(one["box"])}) for one in json.loads(path.read_text())]
    except (ValueError, TypeError, KeyError) as error:
        raise SetError(f"{path}: no key of sheets ({error}); write sheets anew") from error


def read_answers(path: Path, count: int) -> list[str]:
    """A kind for each number from 0 on.

    Raises:
        SetError: A line isn't a number and a kind, or a number lacks one.
    """
    told: dict[int, str] = {}
    for n, line in enumerate(path.read_text().splitlines(), 1):
        number, _, kind = line.strip().partition(" ")
        if not kind:
            continue
        if not number.isdigit() or kind.strip() not in KINDS or int(number) >= count:
            raise SetError(f"{path}:{n}: {line.strip()!r} isn't a number below {count} and one of {', '.join(KINDS)}")
        told[int(number)] = kind.strip()
    if missing := sorted({*range(count)} - {*told}):
        raise SetError(
            f"{path}: nothing said of {len(missing)} of {count}, of {missing[0]} first; "
            f"write one of {', '.join(KINDS)} behind each number"
        )
    return [told[n] for n in range(count)]


def stills_of(key: Sequence[Shown], rendered: Path) -> list[Path]:
    """The truths of the stills that people on the sheets are in.

    Raises:
        SetError: One isn't there.
    """
    there = {path.stem: path for path in sorted(rendered.rglob("*.json"))}
    sources = sorted({person.source for person in key})
    if missing := [source for source in sources if source not in there]:
        raise SetError(f"{rendered}: no {missing[0]}.json; name the folder that the sheets were drawn from")
    return [there[source] for source in sources]


def told_by_network(key: Sequence[Shown], stills: Iterable[Path], looker: Looker) -> list[str]:
    """What one look says of each; `none` of whom it doesn't see."""
    weighing = load_weights()
    shares = Counter(person.kind for person in key)
    prior = np.array([log(shares[kind] / len(key)) if shares[kind] else -np.inf for kind in KINDS])
    said = {path.stem: said_at_once(path, looker, weighing) for path in stills}
    seen = (said[person.source].get(person.who) for person in key)
    return ["none" if one is None else KINDS[int((one + prior).argmax())] for one in seen]


def compared(key: Sequence[Shown], reader: Sequence[str], network: Sequence[str]) -> str:
    """The table: macro-F1 with a 95 % interval (bootstrap by look), confusions, and how often who is right."""
    truth = np.array([KINDS.index(person.kind) for person in key])
    told = {
        name: np.array([KINDS.index(kind) for kind in said])
        for name, said in (("reader", reader), ("network", network))
    }
    rng = np.random.default_rng(0)
    again = rng.integers(0, len(truth), (DRAWS, len(truth)))
    lines = []
    for name, said in told.items():
        low, high = np.percentile([macro_f1(truth[k], said[k], len(KINDS)) for k in again], [2.5, 97.5])
        right = int((truth == said).sum())
        lines.append(
            f"{name}: {right} of {len(truth)} right, macro-F1 {macro_f1(truth, said, len(KINDS)):.2f} "
            f"({low:.2f}-{high:.2f})"
        )
        table = confusion(truth, said, len(KINDS), len(KINDS))
        for kind, row in zip(KINDS, table, strict=True):
            if any(row):
                lines.append(f"  {kind}: " + ", ".join(f"{n} {k}" for n, k in zip(row, KINDS, strict=True) if n))
    reads, sees = (truth == said for said in told.values())
    lines.append(
        f"both right {int((reads & sees).sum())}, the reader alone {int((reads & ~sees).sum())}, "
        f"the network alone {int((~reads & sees).sum())}, neither {int((~reads & ~sees).sum())}"
    )
    return "\n".join(lines)


def main() -> None:
    """Write sheets, or compare answers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    sheets = commands.add_parser("sheets", help="draw people, write sheets and a form")
    sheets.add_argument("--rendered", type=Path, required=True, help="stills that the network was never trained on")
    sheets.add_argument("--out", type=Path, required=True)
    sheets.add_argument("--seed", type=int, default=11)
    score = commands.add_parser("score", help="compare answers with the truth and with the network's")
    score.add_argument("folder", type=Path, help="where the sheets are")
    score.add_argument("--rendered", type=Path, required=True)
    score.add_argument("--cache", type=Path, required=True, help="folder for what the network saw")
    args = parser.parse_args()
    if args.command == "sheets":
        count = write_sheets(args.rendered, args.out, args.seed)
        print(f"{count} people in {args.out}; write one of {', '.join(KINDS)} behind each number in answers.txt")
        return
    key = read_key(args.folder)
    reader, stills = read_answers(args.folder / "answers.txt", len(key)), stills_of(key, args.rendered)
    print(compared(key, reader, told_by_network(key, stills, Looker(args.cache))))


if __name__ == "__main__":
    run(main)
