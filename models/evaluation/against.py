"""Two models measured on the same pictures enter; in what one is surely better or worse than the other leaves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from evaluation.figures import ClassCount, Estimate, bootstrapped
from evaluation.measure import Measured
from evaluation.sets import CHOOSE

FEWEST_GROUPS = 5  # incidents, scenes or videos: fewer may all lie to one side by chance
BETTER, WORSE, ALIKE, FEW = "better", "worse", "not told apart", "too few"


@dataclass(frozen=True)
class Gain:
    """One figure of both models.

    Attributes:
        name: Set and figure.
        objects: What it is of, in words.
        theirs: The other model's, in words.
        ours: This model's.
        told: By how much ours is more, with its interval.
        so: `BETTER`, `WORSE`, `ALIKE` or `FEW`.
    """

    name: str
    objects: str
    theirs: str
    ours: str
    told: str
    so: str


@dataclass(frozen=True)
class Against:
    """The other model's name, and each figure that both can be told of."""

    name: str
    gains: tuple[Gain, ...]

    @property
    def worse(self) -> list[str]:
        """Names of figures that are surely worse."""
        return [gain.name for gain in self.gains if gain.so == WORSE]

    def words(self) -> str:
        """What follows."""
        if all(gain.so == FEW for gain in self.gains):
            return (
                f"Nothing can be told against {self.name} by fewer than {FEWEST_GROUPS} incidents: judge more of them."
            )
        better = [gain.name for gain in self.gains if gain.so == BETTER]
        worse, better = (", ".join(names) or "nothing" for names in (self.worse, better))
        return f"Surely worse than {self.name}: {worse}. Surely better: {better}."


def against(
    name: str, ours: Sequence[Measured], theirs: Sequence[Measured],
    least: Mapping[str, float], their_least: Mapping[str, float],
) -> Against:  # fmt: skip
    """Compare two models.

    Args:
        name: Of the other model.
        ours: The sets as this model saw them.
        theirs: The same sets, in this order, as the other one saw them.
        least: Least scores of this model, by label; those of the other one are `their_least`.
    """
    gains = [
        gain
        for one, other in zip(ours, theirs, strict=True)
        if one.judged.purpose != CHOOSE
        for gain in (*_of_classes(one, other, least, their_least), *_of_photographing(one, other))
    ]
    return Against(name, tuple(gains))


def _of_classes(
    ours: Measured, theirs: Measured, least: Mapping[str, float], their_least: Mapping[str, float]
) -> Iterator[Gain]:
    for label, other in theirs.classes.items():
        if not other.total or label in ours.judged.teacher:
            continue
        name, objects = f"{ours.judged.name}: {label} AP50", f"{other.total} in {len(other.objects)}"
        if label not in ours.classes:
            yield Gain(name, objects, _figures(other, their_least[label]), "doesn't know it", "–", WORSE)
            continue
        one = ours.classes[label]
        told = one.ap50_gain(other)
        yield Gain(
            name, objects, _figures(other, their_least[label]), _figures(one, least[label]),
            *_so(told, sum(count > 0 for count in other.objects.values())),
        )  # fmt: skip


def _figures(count: ClassCount, least: float) -> str:
    recall, precision = count.recall(least), count.precision(least)
    right = f"{precision.value:.0%}" if precision.of else "none"
    return f"{count.ap50_value():.3f} ({recall.value:.0%}, {right})"


def _of_photographing(ours: Measured, theirs: Measured) -> Iterator[Gain]:
    """How often somebody who photographs looks more like it than somebody who doesn't (area under the ROC curve)."""
    true = np.array([is_so for is_so, *_ in ours.photographing], bool)
    if true.all() or not true.any():
        return
    names = [group for *_, group in ours.photographing]
    places = {name: k for k, name in enumerate(dict.fromkeys(names))}
    group = np.array([places[name] for name in names])
    one, other = (np.array([score for _, score, _ in m.photographing]) for m in (ours, theirs))

    def gain(weights: np.ndarray) -> float:
        return told_apart(true, one, weights[group]) - told_apart(true, other, weights[group])

    everyone = np.ones(len(true))
    yield Gain(
        f"{ours.judged.name}: photographing told from all else", f"{true.sum()} and {(~true).sum()} in {len(places)}",
        f"{told_apart(true, other, everyone):.3f}", f"{told_apart(true, one, everyone):.3f}",
        *_so(bootstrapped(gain, len(places)), len(places)),
    )  # fmt: skip


def told_apart(true: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> float:
    """Share of pairs of a true one and another `(N,)` in which the true one scores more; equal ones count half.

    NaN without such a pair.
    """
    apart = scores[true][:, None] - scores[~true][None, :]
    pairs = weights[true][:, None] * weights[~true][None, :]
    return float((pairs * (apart > 0) + pairs * (apart == 0) / 2).sum() / pairs.sum()) if pairs.sum() else float("nan")


def _so(told: Estimate, groups: int) -> tuple[str, str]:
    ends = "no interval" if told.low is None else f"{told.low:+.3f} to {told.high:+.3f}"
    words = f"{told.value:+.3f} ({ends})"
    if groups < FEWEST_GROUPS or told.low is None or told.high is None:
        return words, FEW
    return words, BETTER if told.low > 0 else WORSE if told.high < 0 else ALIKE
