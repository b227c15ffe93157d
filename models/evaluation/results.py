"""From counts to figures: thresholds chosen, sets judged, contenders compared, and what of it goes into the card."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from detector.values import LABELS
from evaluation.acts import (
    BOTH,
    DETECTION,
    LEAST_PX,
    MISSED,
    NEEDS,
    PERSON_TRAITS,
    PHONE_TRAITS,
    TOLD,
    TRUE,
    UNCLEAR,
    Choice,
    Doer,
    choose,
    choose_clear,
    confusion,
    macro_f1,
)
from evaluation.figures import Bin, Estimate, Share, binned, bootstrapped, false_alarm_curve, spans
from evaluation.measure import Measured
from evaluation.sets import CHOOSE, OWN, RENDERED, WALLET

# Acts add up looks, and a look that missed the phone says nothing: for devices recall counts twice.
RECALL_WEIGHT = {"phone": 2.0, "scanner": 2.0}
LOWEST_THRESHOLD, HIGHEST_THRESHOLD = 0.1, 0.6
WALLET_RECALL = 0.6
LABEL_BINS = (0, 8, 12, 16, 24, 32, 48, 64)
FACING_PX = 16
FEWEST_COMPARED = 50
CLEAR = 0.5  # of a phone: where less is to be seen, what hides it decides, not how far off it is


def chosen_thresholds(choosing: Measured, shipped: Mapping[str, float]) -> dict[str, float]:
    """Thresholds with the largest F-measure on a set that chooses; those shipped where a class was never found."""
    thresholds = dict(shipped)
    for label, count in choosing.classes.items():
        best = count.best_threshold(RECALL_WEIGHT.get(label, 1.0))
        if best is not None:
            # Down to two digits: above `best` the very hit it was chosen by would be lost.
            thresholds[label] = math.floor(100 * min(max(best, LOWEST_THRESHOLD), HIGHEST_THRESHOLD)) / 100
    return {label: thresholds[label] for label in LABELS}


@dataclass(frozen=True)
class ClassRow:
    """One class on one set."""

    label: str
    objects: int
    ap50: Estimate
    recall: Share
    precision: Share
    by_teacher: bool


def class_rows(measured: Measured, thresholds: Mapping[str, float]) -> list[ClassRow]:
    """Classes that the set holds, with the figures at the thresholds."""
    return [
        ClassRow(
            label, count.total, count.ap50(), count.recall(thresholds[label]), count.precision(thresholds[label]),
            label in measured.judged.teacher,
        )
        for label, count in measured.classes.items()
        if count.total
    ]  # fmt: skip


@dataclass(frozen=True)
class ActResult:
    """One contender: how it decides, and how well, on people of the reported scenes."""

    choice: Choice
    large: Estimate
    everyone: Estimate


@dataclass(frozen=True)
class Acts:
    """All contenders, the best of them on the choosing scenes, and its confusion with *unclear* allowed.

    Attributes:
        results: One for each contender that the model's traits allow.
        not_offered: Contenders the model has no traits for.
        best: The contender with the highest macro-F1 on the choosing scenes.
        clear: Factor by which the best act must stand out to be told.
        people: The reported people, large devices and none.
        told: What the best contender tells of them, each one told.
        table: Confusion of those.
        table_clear: Confusion where unclear ones stay untold.
    """

    results: tuple[ActResult, ...]
    not_offered: tuple[str, ...]
    best: str
    clear: float
    people: int
    told: tuple[str, ...]
    table: np.ndarray
    table_clear: np.ndarray
    table_all: np.ndarray


def judge_acts(choosing: Sequence[Doer], reported: Sequence[Doer], traits: Sequence[str]) -> Acts | None:
    """Contenders chosen on some people and judged on others; `None` where either are missing.

    Thresholds are chosen on people whose device can be seen, `Doer.large`: others carry no evidence to choose by.
    """
    base, large = [d for d in choosing if d.large], [d for d in reported if d.large]
    if not base or not large:
        return None
    names = [n for n in (DETECTION, PHONE_TRAITS, PERSON_TRAITS, BOTH) if set(NEEDS[n]) <= set(traits)]
    choices = {name: choose(name, base) for name in names}
    at_home = {name: macro_f1(confusion(base, choice.told(base))) for name, choice in choices.items()}
    best = max(names, key=lambda name: at_home[name])
    clear = choose_clear(choices[best], base)
    told = choices[best].told(reported)
    return Acts(
        tuple(ActResult(c, _f1(large, c.told(large)), _f1(reported, c.told(reported))) for c in choices.values()),
        tuple(n for n in (PHONE_TRAITS, PERSON_TRAITS, BOTH) if n not in names),
        best, clear, len(large), tuple(told),
        confusion(large, choices[best].told(large)),
        confusion(large, choices[best].told(large, clear)),
        confusion(reported, told),
    )  # fmt: skip


def _f1(people: Sequence[Doer], told: Sequence[str]) -> Estimate:
    groups = sorted({doer.group for doer in people})
    tables = np.zeros((len(groups), len(TRUE), len(TOLD)))
    for doer, word in zip(people, told, strict=True):
        tables[groups.index(doer.group), TRUE.index(doer.truth), TOLD.index(word)] += 1
    return bootstrapped(lambda weights: macro_f1(np.tensordot(weights, tables, 1)), len(groups))


def told_share(table: np.ndarray) -> tuple[Share, Share]:
    """Of the people found: how many are told an act at all; and of those, how many rightly."""
    found = int(table.sum() - table[:, TOLD.index(MISSED)].sum())
    told = found - int(table[:, TOLD.index(UNCLEAR)].sum())
    return Share(told, found), Share(int(np.trace(table[:, : len(TRUE)])), told)


@dataclass(frozen=True)
class FacingBin:
    """Parcels by the side of their label: told rightly among those told, and left unknown among all."""

    low: float
    high: float
    right: Share
    unknown: Share


def facing_of_bins(facings: Sequence[tuple[float, str, str]]) -> list[FacingBin]:
    """Facing by label side, and last of all from `FACING_PX` pixels on."""
    bins = []
    for low, high in [*spans(LABEL_BINS), (FACING_PX, float("inf"))]:
        here = [(truth, told) for px, truth, told in facings if low <= px < high]
        judged = [(truth, told) for truth, told in here if told != "unknown"]
        if here:
            right = Share(sum(a == b for a, b in judged), len(judged))
            bins.append(FacingBin(low, high, right, Share(len(here) - len(judged), len(here))))
    return bins


@dataclass(frozen=True)
class AngleBin:
    """Labels by side: number, error of the text's axis, and of the two axes of the label alike; degrees."""

    low: float
    high: float
    labels: int
    median: float
    ninetieth: float
    axes_median: float


def angle_bins(angles: Sequence[tuple[float, float]]) -> list[AngleBin]:
    """Angle error by label side."""
    bins = []
    for low, high in spans(LABEL_BINS):
        here = [error for px, error in angles if low <= px < high]
        if here:
            axes = [min(error, 90 - error) for error in here]  # which of the two the text runs along left open
            figures = np.median(here), np.percentile(here, 90), np.median(axes)
            bins.append(AngleBin(low, high, len(here), *map(float, figures)))
    return bins


@dataclass(frozen=True)
class WalletResult:
    """False phones against phones found: the curve, and where `WALLET_RECALL` of the true ones are found.

    `threshold` and `false` are `None` where so many are found at no threshold; `most` is the highest recall there is.
    """

    curve: tuple[np.ndarray, np.ndarray, np.ndarray]
    threshold: float | None
    false: Share | None
    most: float
    at_shipped: tuple[Share, Share]


def wallet_result(measured: Measured, shipped: float) -> WalletResult:
    """The look-alike test of one set."""
    count, loudest = measured.with_phones, measured.loudest
    thresholds, recall, false = false_alarm_curve(count.scores, count.hits, count.total, loudest)
    enough = np.flatnonzero(recall >= WALLET_RECALL - 1e-9)
    threshold = float(thresholds[enough[0]]) if len(enough) else None
    share = None if threshold is None else Share(sum(s >= threshold for s in loudest), len(loudest))
    at_shipped = (count.recall(shipped), Share(sum(s >= shipped for s in loudest), len(loudest)))
    return WalletResult((thresholds, recall, false), threshold, share, float(recall.max(initial=0.0)), at_shipped)


def phone_bins(measured: Measured, threshold: float, *, long_side: bool = False) -> list[Bin]:
    """Recall of phones by the side of their box (or its longer side), pixels of the frame.

    Of those of which `CLEAR` or more can be seen: what hides a phone does so at any distance.
    """
    clear = [phone for phone in measured.phones if phone.seen >= CLEAR]
    sizes = [phone.long_side if long_side else phone.side for phone in clear]
    return binned(sizes, [phone.score >= threshold for phone in clear])


def hidden_phones(measured: Measured, threshold: float) -> Share:
    """Recall of the phones that `phone_bins` leaves out."""
    found = [phone.score >= threshold for phone in measured.phones if phone.seen < CLEAR]
    return Share(sum(found), len(found))


def card_figures(
    sets: Sequence[Measured], thresholds: Mapping[str, float], acts: Acts | None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a card carries: `figures` by set, and `curves`, of which `phone_recall_by_px` tells how far one sees."""
    figures: dict[str, Any] = {}
    curves: dict[str, Any] = {}
    by_name = {measured.judged.name: measured for measured in sets}
    of_sizes = by_name.get(RENDERED, by_name.get(OWN))
    # How far a camera sees is not to hang on the few phones of a day or two.
    if of_sizes is not None and len(of_sizes.phones) >= (1 if of_sizes.judged.name == RENDERED else FEWEST_COMPARED):
        curves["phone_recall_by_px"] = [
            {"px": [b.low, None if np.isinf(b.high) else b.high], "phones": b.share.of, "found": b.share.hits}
            for b in phone_bins(of_sizes, thresholds["phone"])
        ]
    for measured in sets:
        if measured.judged.purpose == CHOOSE:
            continue
        figures[measured.judged.name] = {"pictures": len(measured.judged.samples)} | {
            row.label: {
                "objects": row.objects, "ap50": round(row.ap50.value, 3),
                "ap50_interval": row.ap50.record()[1:],
                "recall": round(row.recall.value, 3),
                "precision": round(row.precision.value, 3) if row.precision.of else None,
            } | ({"marked_by": "the stock model"} if row.by_teacher else {})
            for row in class_rows(measured, thresholds)
        }  # fmt: skip
        if measured.judged.name == RENDERED:
            if measured.facings:
                last = facing_of_bins(measured.facings)[-1]
                figures[RENDERED]["facing"] = {
                    "label_px": FACING_PX, "judged": last.right.of,
                    "right": round(last.right.value, 3), "unknown": round(last.unknown.value, 3),
                }  # fmt: skip
            if measured.angles:
                figures[RENDERED]["label_angle"] = [
                    {"px": [b.low, None if np.isinf(b.high) else b.high], "labels": b.labels,
                     "median_deg": round(b.median, 1), "ninetieth_deg": round(b.ninetieth, 1),
                     "axes_median_deg": round(b.axes_median, 1)}
                    for b in angle_bins(measured.angles)
                ]  # fmt: skip
        elif measured.judged.name == WALLET:
            result = wallet_result(measured, thresholds["phone"])
            figures[WALLET]["look_alikes"] = {
                "recall": WALLET_RECALL,
                "threshold": None if result.threshold is None else round(result.threshold, 3),
                "false_pictures": None if result.false is None else round(result.false.value, 3),
            }
    if acts and RENDERED in figures:
        figures[RENDERED]["acts"] = {
            "least_px": LEAST_PX, "people": acts.people, "best": acts.best,
            "macro_f1": {r.choice.contender: r.large.record() for r in acts.results},
            "thresholds": {r.choice.contender: list(r.choice.thresholds) for r in acts.results},
        }  # fmt: skip
    return figures, curves


def compared_figures(sets: Sequence[Measured], acts: Acts | None) -> dict[str, float]:
    """Figures that two precisions of one model are compared by: shares, larger is better; at the same thresholds.

    Only of `FEWEST_COMPARED` objects or more: of fewer, one object more or less counts for more than what a precision
    costs.
    """
    figures = {
        f"{measured.judged.name}: {label} AP50": count.ap50_value()
        for measured in sets
        if measured.judged.purpose != CHOOSE
        for label, count in measured.classes.items()
        if count.total >= FEWEST_COMPARED and label not in measured.judged.teacher
    }
    rendered = next((m for m in sets if m.judged.name == RENDERED), None)
    if rendered is not None and rendered.facings:
        right = facing_of_bins(rendered.facings)[-1].right
        figures |= {f"{RENDERED}: facing right": right.value} if right.of >= FEWEST_COMPARED else {}
    if rendered is not None and acts is not None:
        choice = next(result.choice for result in acts.results if result.choice.contender == acts.best)
        large = [doer for doer in rendered.people if doer.large]
        told = {f"{RENDERED}: acts macro-F1": macro_f1(confusion(large, choice.told(large)))}
        figures |= told if len(large) >= FEWEST_COMPARED else {}
    return {name: value for name, value in figures.items() if np.isfinite(value)}
