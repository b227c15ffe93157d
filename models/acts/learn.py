"""Learn what the features of a look at a person weigh, and write the card `models/acts.yaml`.

    .venv/bin/python models/acts/learn.py --rendered RENDERED --clips CLIPS --cache CACHE --out models/acts.yaml

`RENDERED` holds stills of `models/scenes` that the network was never trained on, `CLIPS` clips with their truth. Seeds
divisible by five are judged by alone: nothing is fitted to them, nothing chosen by them.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

# Run as a script: the package's parent isn't on the path yet.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from evaluation.acts import LEAST_PX
from manifest import SetError, run

from acts.fit import Fit, fit, softmax
from acts.judge import confusion, macro_f1, tally
from acts.looked import SPEED, Clip, Looker, Row, clip_rows, read_clip, still_rows
from detector.config import PhotoRule
from detector.inference.card import ModelCard
from detector.machine.whole_files import write_whole
from detector.rules.acts import ActRecogniser
from detector.rules.evidence import FEATURES, KINDS, ActWeights, Weighing, absent
from detector.values import ActKind

RIDGES = (0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
LONGEST_S = 0.5
BIN_S = 0.2
PAUSE_S = 1.0  # looks at one thing that are farther apart are of two stretches
TAUS = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.75, 2.0, 2.5, 3.0, 4.0, 6.0, 10.0)
FOLDS = 5
# What weights share: that a score speaks for its own kind, by whichever look it was given, and that an act needs its
# device in the hand, a call an ear, and a photo or scan a parcel to be aimed at.
SHARED = (
    {("act_photo", "photo"): 1, ("act_scan", "scan"): 1, ("act_call", "call"): 1, ("act_browse", "browse"): 1},
    {("phone_photo", "photo"): 1, ("phone_call", "call"): 1},
    {("no_scanner", "scan"): -1, ("no_phone", "photo"): -1, ("no_phone", "browse"): -1},
    {("at_ear", "call"): 1},
    {("aimed", "photo"): 1, ("aimed", "scan"): 1},
)
LOOK = [FEATURES.index(f"act_{kind}") for kind in KINDS[:-1]]


@dataclass(frozen=True)
class Table:
    """Rows as arrays: features `(N, F)`, kinds `(N,)`, seeds `(N,)`, and how many independent looks each is."""

    rows: Sequence[Row]
    features: np.ndarray
    kinds: np.ndarray
    seeds: np.ndarray
    counts: np.ndarray

    @staticmethod
    def of(rows: Sequence[Row], repeat_s: float) -> Table:
        """Rows of clips count for their time over `repeat_s`, at most 1 each, the two of a still for half a look each.

        What isn't there is NaN, and so is the speed of people in stills.
        """
        features = np.array([row.look.features for row in rows], float).reshape(len(rows), len(FEATURES))
        features[absent(features)] = np.nan
        still = np.array([not row.moving for row in rows], bool)
        features[still, SPEED] = np.nan
        seconds = np.array([min(row.seconds, LONGEST_S) for row in rows])
        counts = np.where(still, 0.5, np.minimum(seconds / repeat_s, 1.0))
        kinds = np.array([KINDS.index(row.kind) for row in rows], int)
        return Table(rows, features, kinds, np.array([row.seed for row in rows], int), counts)

    def __getitem__(self, keep: np.ndarray) -> Table:
        rows = [self.rows[k] for k in np.flatnonzero(keep)]
        return Table(rows, self.features[keep], self.kinds[keep], self.seeds[keep], self.counts[keep])


def held_out(seed: int) -> bool:
    """Whether a scene is for judging alone."""
    return seed % 5 == 0


def fit_to(table: Table, ridge: float) -> Fit:
    """The fit to a table. Each look is there a second time, as a tenth of one, without what the closer look said.

    The worker looks closely at few people at once, which stills hardly show.
    """
    blind = table.features.copy()
    blind[:, LOOK] = np.nan
    blind[:, FEATURES.index("no_look")] = 1.0
    return fit(
        np.vstack([table.features, blind]), np.tile(table.kinds, 2), len(KINDS), ridge,
        np.concatenate([0.9 * table.counts, 0.1 * table.counts]), directions(),
    )  # fmt: skip


def directions() -> np.ndarray:
    """`SHARED` as an array `(M, F, K)`."""
    found = np.zeros((len(SHARED), len(FEATURES), len(KINDS)))
    for row, pairs in zip(found, SHARED, strict=True):
        for (feature, kind), sign in pairs.items():
            row[FEATURES.index(feature), KINDS.index(kind)] = sign
    return found


def out_of_fold(table: Table, ridge: float) -> np.ndarray:
    """Log-likelihoods `(N, K)` of each row by a fit to the other folds; a scene stands in one fold as a whole."""
    found = np.zeros((len(table.kinds), len(KINDS)))
    scenes = np.unique(table.seeds)
    fold_of = {int(seed): k % FOLDS for k, seed in enumerate(scenes)}
    folds = np.array([fold_of[int(seed)] for seed in table.seeds])
    for fold in range(FOLDS):
        here = folds == fold
        if here.any():
            learnt = fit_to(table[~here], ridge)
            found[here] = learnt.likelihoods(table.features[here])
    return found


def log_loss(likelihoods: np.ndarray, table: Table) -> float:
    """Mean over kinds of the mean surprise at the truth, even odds before the look."""
    p = softmax(likelihoods)[np.arange(len(table.kinds)), table.kinds]
    losses = [np.average(-np.log(p[table.kinds == k]), weights=table.counts[table.kinds == k])
              for k in range(len(KINDS)) if (table.kinds == k).any()]  # fmt: skip
    return float(np.mean(losses))


def against_likeliest(likelihoods: np.ndarray) -> np.ndarray:
    """Log-likelihood ratios `(N, K)` of each kind against the likeliest of the others."""
    ratios = np.empty_like(likelihoods)
    for kind in range(likelihoods.shape[1]):
        ratios[:, kind] = likelihoods[:, kind] - np.delete(likelihoods, kind, 1).max(1)
    return ratios


def correlation_time(table: Table, likelihoods: np.ndarray) -> tuple[float, dict[float, float]]:
    """How long looks say the same thing again: the integral of the autocorrelation of their log-likelihood ratios.

    Residuals are ratios less the mean of their kind, within stretches of one person doing one thing. The time is twice
    the integral of the correlations up to the first below 0.05 (Sokal 1997, section 3). It also holds what differs from
    person to person and stays, so that a stretch counts for little more than one look when weights are learnt.

    Returns:
        Seconds, and the correlations by time apart.
    """
    ratios = residuals(table, likelihoods)
    stretches: dict[tuple[str, int, str], list[tuple[float, float]]] = {}
    for row, ratio in zip(table.rows, ratios, strict=True):
        if row.moving:
            stretches.setdefault((row.source, row.who, row.kind), []).append((row.at, float(ratio)))
    sums, counts = np.zeros(40), np.zeros(40)
    for looks in stretches.values():
        at, value = (np.array(column) for column in zip(*looks, strict=True))
        apart = np.rint((at[:, None] - at[None]) / BIN_S).astype(int)
        for lag in range(40):
            sums[lag] += (value[:, None] * value[None])[apart == lag].sum()
            counts[lag] += (apart == lag).sum()
    lags = np.flatnonzero(counts)
    rho = sums[lags] / counts[lags]
    rho = rho / rho[0] if rho[0] > 0 else np.zeros(len(lags))
    low = np.flatnonzero(rho < 0.05)
    end = int(low[0]) + 1 if len(low) else len(rho)
    at_s, rho_until = lags[:end] * BIN_S, np.maximum(rho[:end], 0.0)
    repeat_s = float((np.diff(at_s) * (rho_until[1:] + rho_until[:-1])).sum())
    return max(repeat_s, BIN_S), {
        round(float(k * BIN_S), 1): round(float(r), 3) for k, r in zip(lags, rho, strict=True)
    }


def stretches_of(table: Table) -> list[np.ndarray]:
    """Rows of the looks at one person of a clip doing one thing, for each such time, at least two looks."""
    found: list[list[int]] = []
    last: dict[tuple[str, int], int] = {}
    for k, row in enumerate(table.rows):
        if not row.moving:
            continue
        before = last.get((row.source, row.who))
        goes_on = before is not None and table.rows[before].kind == row.kind
        if goes_on and row.at - table.rows[before].at < PAUSE_S:
            next(looks for looks in reversed(found) if looks[-1] == before).append(k)
        else:
            found.append([k])
        last[row.source, row.who] = k
    return [np.array(looks) for looks in found if len(looks) > 1]


def intraclass_of(table: Table, likelihoods: np.ndarray) -> float:
    """Correlation that looks of one stretch keep however far apart: the share of variance between stretches.

    Ratios are those of the truth, less the mean of their kind. Source: one-way analysis of variance (Fisher 1925).
    """
    ratios = residuals(table, likelihoods)
    groups = [ratios[looks] for looks in stretches_of(table)]
    if len(groups) < 2:
        return 0.0
    sizes = np.array([len(group) for group in groups])
    total, every = sizes.sum(), np.concatenate(groups).mean()
    between = sum(len(g) * (g.mean() - every) ** 2 for g in groups) / (len(groups) - 1)
    within = sum(((g - g.mean()) ** 2).sum() for g in groups) / max(total - len(groups), 1)
    size = (total - (sizes**2).sum() / total) / (len(groups) - 1)
    return float(np.clip((between - within) / (between + (size - 1) * within), 0.0, 0.95))


def residuals(table: Table, likelihoods: np.ndarray) -> np.ndarray:
    """Log-likelihood ratios `(N,)` of the true kinds, held within 8, less their means by kind."""
    ratios = np.clip(against_likeliest(likelihoods)[np.arange(len(table.kinds)), table.kinds], -8, 8)
    for kind in range(len(KINDS)):
        if (table.kinds == kind).any():
            ratios[table.kinds == kind] -= ratios[table.kinds == kind].mean()
    return ratios


def wald_times(table: Table, likelihoods: np.ndarray, intraclass: float) -> dict[str, tuple[float, float, int]]:
    """How long looks must count as one for the stated error to hold, for each kind.

    Wald's bound, that a false kind passes log(1 / a) with a chance of at most a, rests on the mean likelihood ratio of
    false stretches being at most 1. Looks that repeat each other break it when each counts in full. tau is the least
    time over which this mean, the design effect taken off and a standard error put on, is at most 1 over the stretches
    of every other kind.

    Returns:
        By kind tau in seconds, the mean there, and of how many stretches.
    """
    seconds = np.array([min(row.seconds, LONGEST_S) for row in table.rows])
    stretches = stretches_of(table)
    found = {}
    for k, kind in enumerate(KINDS[:-1]):
        false = [looks for looks in stretches if table.kinds[looks[0]] != k]
        sums = np.array([
            (seconds[looks] * (likelihoods[looks, k] - likelihoods[looks, table.kinds[looks[0]]])).sum()
            for looks in false
        ])  # fmt: skip
        spans = np.array([seconds[looks].sum() for looks in false])
        for tau_s in TAUS:
            effect = 1 + intraclass * np.maximum(spans / tau_s - 1, 0)
            ratios = np.exp(np.minimum(sums / tau_s / effect, 50.0))
            mean = float(ratios.mean()) if len(ratios) else np.inf
            if len(ratios) > 1 and mean + ratios.std(ddof=1) / len(ratios) ** 0.5 <= 1:
                break
        found[kind] = tau_s, mean, len(ratios)
    return found


def figures(table: Table, fitted: Fit) -> dict[str, Any]:
    """How well single looks are told, with confusions; and those alone where a device can be seen, or none is used."""
    judged = np.array([row.kind == "none" or row.device_px >= LEAST_PX for row in table.rows], bool)
    return {**_told(table, fitted), f"of {LEAST_PX} px and more": _told(table[judged], fitted)}


def _told(table: Table, fitted: Fit) -> dict[str, Any]:
    told = (fitted.likelihoods(table.features) + np.log(fitted.priors)).argmax(1)
    return {
        "looks": len(table.kinds),
        "scenes": len(np.unique(table.seeds)),
        "macro_f1": round(macro_f1(table.kinds, told, len(KINDS)), 3),
        "confusion": dict(zip(KINDS, confusion(table.kinds, told, len(KINDS), len(KINDS)), strict=True)),
    }


def gathered(folders: Sequence[Path], clips: Sequence[Path], looker: Looker) -> tuple[list[Row], list[Clip]]:
    """Rows of every still, and every clip, whose picture is there.

    Raises:
        SetError: A folder holds no truth, or a picture can't be read.
    """
    for folder in (*folders, *clips):
        if not any(folder.glob("*.json")):
            raise SetError(f"{folder}: no rendered truth (*.json) in it (models/scenes makes some)")
    rows = [
        row
        for folder in folders
        for path in sorted(folder.glob("*.json"))
        if path.with_suffix(".jpg").exists()
        for row in still_rows(path, looker)
    ]
    read = [
        read_clip(path, looker)
        for folder in clips
        for path in sorted(folder.glob("*.json"))
        if path.with_suffix(".mp4").exists()
    ]
    return rows, read


@dataclass(frozen=True)
class Learnt:
    """What looks weigh, and how that was found.

    Attributes:
        train: The looks that taught.
        test: Those of the scenes that judge alone.
        fit: Of the weights to what taught.
        losses: Cross-validated, by ridge; `ridge` is the one taken.
        repeat_s: For how long looks repeat each other; `correlations` are theirs by how many seconds apart they are.
        intraclass: Of `intraclass_of`.
        wald: Of `wald_times`.
    """

    train: Table
    test: Table
    fit: Fit
    ridge: float
    losses: dict[float, float]
    repeat_s: float
    correlations: dict[float, float]
    intraclass: float
    wald: dict[str, tuple[float, float, int]]


def learn(rows: Sequence[Row], tau_s: float, ridge: float | None) -> Learnt:
    """Weights of the looks that may teach.

    Args:
        rows: All looks, those that judge as well.
        tau_s: Taken for every kind as long as there is no clip to measure it on.
        ridge: `None`: the one with the least cross-validated loss.

    Raises:
        SetError: There is nobody to learn a kind from.
    """
    judges = np.array([held_out(row.seed) for row in rows], bool)
    repeat_s, correlations, intraclass = 1.0, {}, 0.0
    wald = {kind: (tau_s, float("nan"), 0) for kind in KINDS[:-1]}
    for _ in range(2):  # the weights need the time, and the time the weights
        everything = Table.of(rows, repeat_s)
        train = everything[~judges]
        if absent := [kind for k, kind in enumerate(KINDS) if not (train.kinds == k).any()]:
            raise SetError(
                f"nobody seen to learn {', '.join(absent)} from (take more --rendered or --clips; those of seeds "
                "divisible by five judge, and teach nothing)"
            )
        losses = {each: log_loss(out_of_fold(train, each), train) for each in RIDGES}
        taken = ridge or min(losses, key=losses.__getitem__)
        if any(row.moving for row in train.rows):
            likelihoods = out_of_fold(train, taken)
            repeat_s, correlations = correlation_time(train, likelihoods)
            intraclass = intraclass_of(train, likelihoods)
            wald = wald_times(train, likelihoods, intraclass)
    return Learnt(
        train, everything[judges], fit_to(train, taken), taken, losses, repeat_s, correlations, intraclass, wald
    )


def card_of(learnt: Learnt) -> dict[str, Any]:
    """What a card says that judges acts; offsets are the biases less the logarithms of the priors."""
    fitted = learnt.fit
    offsets = fitted.biases - np.log(fitted.priors)
    return {
        "name": "acts",
        "kinds": list(KINDS),
        "features": list(FEATURES),
        "means": rounded(fitted.means),
        "scales": rounded(fitted.scales),
        "weights": {kind: rounded(fitted.weights[:, k]) for k, kind in enumerate(KINDS)},
        "offsets": {kind: round(float(offsets[k]), 4) for k, kind in enumerate(KINDS)},
        "tau_s": {kind: time for kind, (time, _, _) in learnt.wald.items()},
        "intraclass": round(learnt.intraclass, 3),
        "longest_s": LONGEST_S,
    }


def rounded(values: np.ndarray) -> list[float]:
    """Numbers for a card."""
    return [round(float(v), 4) for v in values]


def origin_of(learnt: Learnt, shipped: ModelCard) -> dict[str, Any]:
    """What a card says of what taught."""
    train = learnt.train
    seeds = sorted({row.seed for row in train.rows})
    return {
        "scene_model": {"name": shipped.name, "checksum": shipped.sha256},
        "origin": "rendered scenes of models/scenes on which the network was never trained, seen through the worker's "
        "own stages; seeds divisible by five are kept for judging",
        "seeds": f"{seeds[0]} to {seeds[-1]}, {len(seeds)} of them",
        "stills": len({row.source for row in train.rows if not row.moving}),
        "looks": {kind: int((train.kinds == k).sum()) for k, kind in enumerate(KINDS)},
        "clips": len({row.source for row in train.rows if row.moving}),
        "tau": {
            "by": "mean likelihood ratio of false stretches in clips, out of fold, at most 1 with a standard error"
            if learnt.correlations
            else "assumed: there was no clip to measure it on",
            "mean_ratio": {kind: round(mean, 2) for kind, (_, mean, _) in learnt.wald.items()},
            "stretches": {kind: count for kind, (_, _, count) in learnt.wald.items()},
        },
        "correlation_s": round(learnt.repeat_s, 2),
        "ridge": learnt.ridge,
        "log_loss_by_ridge": {str(r): round(v, 4) for r, v in learnt.losses.items()},
        "correlation_by_seconds_apart": {at: rho for at, rho in learnt.correlations.items() if at <= 3},
    }


def judged(learnt: Learnt, clips: Sequence[Clip]) -> dict[str, Any]:
    """What a card says of how good it is: out of fold, and on the scenes that judge alone."""
    weighing = Weighing.of(ActWeights.model_validate(card_of(learnt)))
    judging = [clip for clip in clips if held_out(clip.seed)]
    of_clip = np.array([row.moving for row in learnt.test.rows], bool)
    told = (out_of_fold(learnt.train, learnt.ridge) + np.log(learnt.fit.priors)).argmax(1)
    return {
        "cross_validated macro_f1": round(macro_f1(learnt.train.kinds, told, len(KINDS)), 3),
        "held-out stills": figures(learnt.test[~of_clip], learnt.fit),
        "held-out clips, look by look": figures(learnt.test[of_clip], learnt.fit),
        "held-out clips, acts": {
            kind: tally(judging, lambda: ActRecogniser(PhotoRule(), weighing).observe, ActKind(kind)).figures()
            for kind in KINDS[:-1]
            if judging
        },
    }


def main() -> None:
    """Learn, judge, write the card."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--rendered", type=Path, nargs="*", default=[], help="folders of stills with their truth")
    parser.add_argument("--clips", type=Path, nargs="*", default=[], help="folders of clips with their truth")
    parser.add_argument("--cache", type=Path, required=True, help="where detections are kept")
    parser.add_argument("--tau", type=float, default=1.0, help="seconds, taken as long as no clip is there to measure")
    parser.add_argument("--ridge", type=float, help="taken instead of the one with the least cross-validated loss")
    parser.add_argument("--out", type=Path, required=True, help="the card")
    parser.add_argument("--made-on", required=True, help="date for the card, YYYY-MM-DD")
    args = parser.parse_args()

    looker = Looker(args.cache)
    still, clips = gathered(args.rendered, args.clips, looker)
    rows = still + [row for clip in clips for row in clip_rows(clip)]
    learnt = learn(rows, args.tau, args.ridge)
    more = {
        "licence": "AGPL-3.0-or-later",
        "made_on": args.made_on,
        **origin_of(learnt, looker.card),
        "figures": judged(learnt, clips),
    }
    text = yaml.safe_dump(card_of(learnt) | more, sort_keys=False, allow_unicode=True, width=118,
                          default_flow_style=None)  # fmt: skip
    write_whole(args.out, text)
    shown = {key: more[key] for key in ("looks", "clips", "tau", "ridge", "log_loss_by_ridge", "figures")}
    print(yaml.safe_dump(shown, sort_keys=False, default_flow_style=None))


if __name__ == "__main__":
    run(main)
