"""Measure a model as `labelwatch detect` looks: both looks, from picture to merged detections.

    python models/evaluate.py --data DATA [--rendered FOLDER ...] [--real FOLDER ...] [--own MANIFEST ...]
                              [--card models/scene.yaml] [--out PAGE_DIR] [--variants] [--write] [--against scene]

Sets, none of them trained on (`evaluation/sets.py`): rendered scenes held out as wholes, `DATA/real/val` by source,
`DATA/real_check`, and of one's own YOLO folders (`--real`) and manifests (`--own`). Rendered seeds divisible by ten
choose thresholds and are reported nowhere; so does split *val* of one's own manifests, which comes before them where
enough of a class is marked. Other real pictures choose nothing.

Writes `evaluation.html`, one page with plots and the worst cases as pictures, and `evaluation.md` into `--out`.
`--write` puts the thresholds that the choosing scenes give, figures and curves into the card; sets whose figures stand
there already are to be measured again with the others, for all are told at the same thresholds. `--variants` measures
every precision of the card on the same sets and, with `--write`, puts its loss against fp32 there too. `--against`
has another model look at the same pictures, and says in what this one is surely better or worse; where it is worse in
anything, the command ends with status 1.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import yaml
from dataset import read_image
from evaluation.acts import MISSED, UNCLEAR
from evaluation.against import against
from evaluation.measure import Case, Look, Measured, looker, measure, offered_labels
from evaluation.page import Compared, Evaluation, markdown, write_page
from evaluation.results import FEWEST_COMPARED, Acts, card_figures, chosen_thresholds, compared_figures, judge_acts
from evaluation.sets import CHOOSE, FEWEST_TO_CHOOSE, RENDERED, JudgedSet, choosing_name, gathered
from manifest import SetError, run
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from detector.config import Analysis
from detector.errors import LabelwatchError
from detector.inference.card import ModelCard, Variant, find_card
from detector.inference.detector import SceneDetector
from detector.inference.session import Session
from detector.machine.resources import resource
from detector.machine.whole_files import write_whole
from detector.values import Detections

EVERYONE = 32


def look_of(card: ModelCard, precision: str = "fp32") -> Look:
    """The card's model, looking at everybody closely.

    Raises:
        ModelError: It can't be loaded.
        MissingPart: Its runtime isn't installed.
    """
    return looker(SceneDetector(Session(card, precision), {}, Analysis(zooms=EVERYONE)))


def measure_all(
    sets: Sequence[JudgedSet], card: ModelCard, look: Look, thresholds: Mapping[str, float], what: str,
    seen: dict[Path, Detections] | None = None,
) -> list[Measured]:  # fmt: skip
    """Every set measured, with a bar on a terminal; what was `seen` before isn't looked at again."""
    labels, traits = offered_labels(card), tuple(card.traits)
    total = sum(len(judged.samples) for judged in sets)
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(what, total=total)
        return [measure(judged, look, thresholds, traits, labels, lambda: bar.advance(task), seen) for judged in sets]


def evaluate(
    card: ModelCard, sets: Sequence[JudgedSet], *, choose: bool, variants: bool, other: ModelCard | None = None
) -> Evaluation:
    """Measure a model on sets.

    Args:
        card: The model.
        sets: The sets; those that choose are not reported.
        choose: Whether figures are told at thresholds that the choosing scenes give, instead of the card's.
        variants: Whether the card's other precisions are measured too.
        other: A model to compare it with, at the thresholds of its own card.

    Raises:
        SetError: Thresholds are to be chosen and no scene chooses; or a picture can't be read.
    """
    offered = offered_labels(card)
    missing = {f"{judged.name}: {label}: the card's model doesn't know this class"
               for judged in sets for label in judged.known if label not in offered}  # fmt: skip
    left_out = [line for judged in sets for line in judged.passed_over] + sorted(missing)
    look, thresholds, chosen = look_of(card), dict(card.thresholds), None
    choosing = [judged for judged in sets if judged.purpose == CHOOSE]
    if choose and not choosing:
        raise SetError(
            "nothing to choose thresholds by: rendered seeds divisible by ten (--rendered), or pictures of split val "
            f"of own footage (--own) in which {FEWEST_TO_CHOOSE} of a class are marked and 'known' names it (without "
            "--write, figures are told at the least scores that stand in the card)"
        )
    # All of them before the first is looked at: measuring takes long, and would be lost at the one that is corrupt.
    for judged in sets:
        for sample in judged.samples:
            read_image(sample.path, cv2.IMREAD_REDUCED_GRAYSCALE_8)
    seen: dict[Path, Detections] = {}
    measured = measure_all(choosing, card, look, thresholds, "choosing", seen) if choosing else []
    if measured:
        chosen = thresholds
        for one in measured:
            chosen = chosen_thresholds(one, chosen)
        if choose and chosen != thresholds:
            thresholds = chosen
            measured = measure_all(choosing, card, look, thresholds, "choosing again", seen)
    reported = [judged for judged in sets if judged.purpose != CHOOSE]
    measured += measure_all(reported, card, look, thresholds, "reported sets")
    acts = acts_of(measured, card)
    others = []
    if variants:
        base = compared_figures(measured, acts)
        others = [compared(card, variant, reported, thresholds, acts, base) for variant in card.variants]
    compared_with = None
    if other is not None:
        ours = [one for one in measured if one.judged.purpose != CHOOSE]
        theirs = measure_all(reported, other, look_of(other), other.thresholds, other.name)
        compared_with = against(other.name, ours, theirs, thresholds, other.thresholds)
    return Evaluation(card, thresholds, chosen, measured, acts, others, left_out, compared_with)


def acts_of(measured: Sequence[Measured], card: ModelCard) -> Acts | None:
    """Contenders for acts; adds the wrong ones of the best to the cases of the reported scenes."""
    by_name = {m.judged.name: m for m in measured}
    choosing, reported = by_name.get(choosing_name(RENDERED)), by_name.get(RENDERED)
    if choosing is None or reported is None:
        return None
    acts = judge_acts(choosing.people, reported.people, card.traits)
    if acts is not None:
        for doer, word, (path, box) in zip(reported.people, acts.told, reported.places, strict=True):
            if word not in (doer.truth, UNCLEAR):
                told = "not found" if word == MISSED else f"told {word}"
                said = f"{doer.truth}, {told}; device {doer.device_px:.0f} px"
                reported.cases.append(Case("wrong act", path, box, said, doer.device_px))
    return acts


def compared(
    card: ModelCard, variant: Variant, sets: Sequence[JudgedSet], thresholds: Mapping[str, float], acts: Acts | None,
    base: Mapping[str, float],
) -> Compared:  # fmt: skip
    """A precision of a model against the figures of fp32 on the same sets; one that tells nothing here says why."""
    name = f"{variant.precision} by {variant.runtime}"
    try:
        look = look_of(card.model_copy(update={"variants": [variant]}), variant.precision)
    except LabelwatchError as error:
        return Compared(name, {}, {}, f"not measured: {error}")
    figures = compared_figures(measure_all(sets, card, look, thresholds, name), acts)
    if not figures:
        return Compared(name, {}, {}, f"nothing can be told by fewer than {FEWEST_COMPARED} objects of a kind")
    return Compared(
        name, figures, {figure: base[figure] - value for figure, value in figures.items() if figure in base}
    )


def write_card(path: Path, evaluation: Evaluation) -> None:
    """Put thresholds, figures and curves (and losses of variants) into a card, whole or not at all.

    Curves that weren't measured stay: without them nobody could be told how far a camera sees a phone.
    """
    tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    figures, curves = card_figures(evaluation.sets, evaluation.thresholds, evaluation.acts)
    tree.update(thresholds=dict(evaluation.thresholds), figures=figures, curves=(tree.get("curves") or {}) | curves)
    for variant, measured in zip(tree.get("variants") or [], evaluation.variants, strict=False):
        if measured.loss:
            variant["loss"] = {name: round(value, 4) for name, value in measured.loss.items()}
    write_whole(path, yaml.safe_dump(tree, sort_keys=False, allow_unicode=True, width=120))


def card_file(model: str) -> Path:
    """Where the card lies that `find_card` finds by a name or path."""
    path = Path(model)
    return (path if path.suffix in (".yaml", ".yml") else resource("models") / f"{model}.yaml").resolve()


def check_complete(card: ModelCard, sets: Sequence[JudgedSet]) -> None:
    """Make sure that every set that a card has figures of is measured before new figures take their place.

    Raises:
        SetError: One isn't.
    """
    lost = set((card.model_extra or {}).get("figures") or ()) - {j.name for j in sets if j.purpose != CHOOSE}
    if lost:
        raise SetError(
            f"--write: the card of {card.name} has figures of {', '.join(sorted(lost))}, which would be lost "
            "(give these sets too, or first take their figures out of the card)"
        )


def check_writable(folder: Path, option: str) -> None:
    """Make sure that files can be put into a folder; it is made where it isn't there.

    Raises:
        SetError: They can't.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise SetError(f"{option}: {folder} can't be written to: {error.strerror} (name another folder)") from error


def main() -> None:
    """Measure, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with real/, real_check/ and rendered/")
    parser.add_argument("--rendered", type=Path, nargs="*", default=[], help="more rendered folders")
    parser.add_argument("--real", type=Path, nargs="*", default=[], help="more real sets in YOLO format")
    parser.add_argument("--own", type=Path, nargs="*", default=[], help="manifests of label-export or dataset.py")
    parser.add_argument("--split", choices=("test", "val"), default="test", help="of these manifests (test)")
    parser.add_argument("--card", default=str(Path(__file__).resolve().parent / "scene.yaml"))
    parser.add_argument(
        "--out", type=Path, default=Path("build/evaluation"), help="folder for the page (build/evaluation)"
    )
    parser.add_argument("--variants", action="store_true", help="measure the card's other precisions too")
    parser.add_argument(
        "--against",
        metavar="CARD",
        help="another model: in what this one is better or worse than it, on the same pictures",
    )
    parser.add_argument("--write", action="store_true", help="put thresholds, figures and curves into the card")
    args = parser.parse_args()
    card, other = find_card(args.card), find_card(args.against) if args.against else None
    sets = gathered(args.data, args.rendered, args.real, args.own, args.split)
    check_writable(args.out, "--out")
    if args.write:
        check_complete(card, sets)
        check_writable(card_file(args.card).parent, "--write")
    evaluation = evaluate(card, sets, choose=args.write, variants=args.variants, other=other)
    page, summary = write_page(args.out, evaluation)
    print(markdown(evaluation))
    print(f"page: {page}\nsummary: {summary}")
    if args.write:
        write_card(card_file(args.card), evaluation)
        print(f"written: {card_file(args.card)}")
    if evaluation.against and evaluation.against.worse:
        sys.exit(1)


if __name__ == "__main__":
    run(main)
