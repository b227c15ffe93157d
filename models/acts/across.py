"""What a second camera adds: stills taken from two sides enter, how often acts are told by one or both leaves.

    .venv/bin/python models/acts/across.py --rendered RENDERED --cache CACHE

RENDERED is made by `stills.py --across`. Of everybody whom both cameras see it is asked whether a single look is strong
enough for a photo to be told if it goes on, and which kind is the likeliest, by each camera and by the sum of both
log-likelihoods. The simulation (`people.py --cameras 2`) takes what two cameras see for independent; if it is, both are
so sure as often as the product of the two shares says.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from manifest import SetError, run

from acts.judge import enough_for_photo, macro_f1
from acts.looked import HIDDEN, USES, Looker, said_at_once
from detector.rules.acts import margin
from detector.rules.evidence import KINDS, Weighing, load_weights
from detector.values import ActKind

ACROSS = "_across"


@dataclass(frozen=True)
class Twice:
    """Somebody seen from two sides: what they do, and the log-likelihoods of kinds by each camera (0 of who is missed).

    Attributes:
        kind: One of `KINDS`.
        said: `(2, K)`.
    """

    kind: str
    said: np.ndarray


def said_of(truth_path: Path, looker: Looker, weighing: Weighing) -> dict[int, tuple[str, np.ndarray]]:
    """What everybody in a still does who can be seen, and the log-likelihoods `(K,)` of one look at them."""
    people = json.loads(truth_path.read_text(encoding="utf-8"))["people"]
    said, nothing = said_at_once(truth_path, looker, weighing), np.zeros(len(KINDS))
    return {
        person["id"]: (USES.get(person["act"], "none"), said.get(person["id"], nothing))
        for person in people
        if person["bbox"] and person["visible_fraction"] >= HIDDEN
    }


def seen_twice(rendered: Path, looker: Looker) -> list[Twice]:
    """Everybody whom both cameras can see.

    Raises:
        SetError: There are no stills from two sides.
    """
    weighing, people = load_weights(), []
    pairs = [(path.with_name(path.name.replace(ACROSS, "")), path) for path in sorted(rendered.glob(f"*{ACROSS}.json"))]
    if not pairs:
        raise SetError(f"{rendered}: no stills from two sides; render some with models/scenes/stills.py --across")
    for pair in pairs:
        one, other = (said_of(path, looker, weighing) for path in pair)
        people += [Twice(one[who][0], np.stack([one[who][1], other[who][1]])) for who in sorted({*one} & {*other})]
    return people


def table(people: Sequence[Twice], enough: float) -> str:
    """By kind: how many, and how many look surely like a photo by each, by either, by both and by their sum; macro-F1.

    Args:
        people: Seen from two sides.
        enough: Log odds from which on a look is sure.
    """
    lines = ["| kind | people | first | second | either | both | sum |", "| --- | --- | --- | --- | --- | --- | --- |"]
    for kind in KINDS:
        said = [(*person.said, person.said.sum(0)) for person in people if person.kind == kind]
        sure = [[margin(list(row), ActKind.PHOTO) > enough for row in rows] for rows in said]
        first, second, together = np.array(sure, bool).reshape(-1, 3).T
        counts = (len(said), first.sum(), second.sum(), (first | second).sum(), (first & second).sum(), together.sum())
        lines.append("| " + " | ".join((kind, *(str(int(count)) for count in counts))) + " |")
    truth = np.array([KINDS.index(person.kind) for person in people])
    prior = np.log(np.maximum(np.bincount(truth, minlength=len(KINDS)), 0.5) / len(truth))
    first, second = np.stack([person.said for person in people], 1)
    scores = [macro_f1(truth, (said + prior).argmax(1), len(KINDS)) for said in (first, second, first + second)]
    lines.append("macro-F1 of the first {:.2f}, of the second {:.2f}, of both {:.2f}".format(*scores))
    return "\n".join(lines)


def main() -> None:
    """Look, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rendered", type=Path, required=True, help="stills from two sides")
    parser.add_argument("--cache", type=Path, required=True, help="folder for what the network saw")
    args = parser.parse_args()
    print(table(seen_twice(args.rendered, Looker(args.cache)), enough_for_photo(load_weights())))


if __name__ == "__main__":
    run(main)
