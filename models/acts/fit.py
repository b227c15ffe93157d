"""Multinomial logistic regression with a ridge, by Newton's method; nothing but numpy.

Features are standardised and held within `FAR_OUT` standard deviations, as they are where the weights are used.

Weights are the sum of two parts: a few directions that several of them share (that a score speaks for its own kind is
learnt once for all kinds), nearly free of the ridge, and what each departs from that, held by it. So few scenes teach
much. Source: Hastie, Tibshirani, Friedman, The Elements of Statistical Learning, section 4.4; Daume 2007 for the parts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from detector.rules.evidence import FAR_OUT

SHARED_RIDGE = 1.0


@dataclass(frozen=True)
class Fit:
    """Weights of standardised features.

    Attributes:
        means: `(F,)` of the features where they are known.
        scales: `(F,)` their standard deviations there; 1 where a feature never varied.
        weights: `(F, K)`.
        biases: `(K,)`, priors included.
        priors: `(K,)` weighted shares of the kinds in training.
    """

    means: np.ndarray
    scales: np.ndarray
    weights: np.ndarray
    biases: np.ndarray
    priors: np.ndarray

    def likelihoods(self, features: np.ndarray) -> np.ndarray:
        """Log-likelihoods `(N, K)` up to a constant of each row: log-probabilities less those of the priors.

        Args:
            features: `(N, F)`, NaN where unknown.
        """
        return standardised(features, self.means, self.scales) @ self.weights + self.biases - np.log(self.priors)


def fit(
    features: np.ndarray,
    kinds: np.ndarray,
    count: int,
    ridge: float,
    weights: np.ndarray | None = None,
    shared: np.ndarray | None = None,
) -> Fit:
    """The weights that make the kinds likeliest, less `ridge` / 2 times the squares of their own parts.

    Args:
        features: `(N, F)`, NaN where unknown: weighed as if at the mean.
        kinds: `(N,)` 0 to `count` - 1.
        count: How many kinds there are.
        ridge: In looks: what so many looks of evidence could outweigh. Biases are free of it, but for a trace that
            makes them unique.
        weights: `(N,)` how many looks each row counts for; 1 if not given.
        shared: `(M, F, K)` directions that weights share; none if not given.
    """
    n, width = features.shape
    given = np.ones(n) if weights is None else weights
    known = given[:, None] * ~np.isnan(features)
    total = np.maximum(known.sum(0), 1e-9)
    means = (known * np.nan_to_num(features)).sum(0) / total
    scales = np.sqrt((known * np.nan_to_num(features - means) ** 2).sum(0) / total)
    scales[scales < 1e-6] = 1.0
    x = np.hstack([standardised(features, means, scales), np.ones((n, 1))])
    truth = np.eye(count)[kinds]
    size = (width + 1) * count
    directions = np.zeros((0, width, count)) if shared is None else shared
    parts = np.hstack([np.pad(directions, ((0, 0), (0, 1), (0, 0))).reshape(-1, size).T, np.eye(size)])
    penalty = np.concatenate(
        [np.full(len(directions), SHARED_RIDGE), np.repeat(np.append(np.full(width, ridge), 1e-3), count)]
    )
    theta = np.zeros(parts.shape[1])

    def loss(theta: np.ndarray) -> float:
        scores = x @ (parts @ theta).reshape(-1, count)
        top = scores.max(1)
        logs = top + np.log(np.exp(scores - top[:, None]).sum(1))
        return float(given @ (logs - (scores * truth).sum(1)) + penalty @ theta**2 / 2)

    for _ in range(60):
        p = softmax(x @ (parts @ theta).reshape(-1, count))
        slope = parts.T @ (x.T @ (given[:, None] * (p - truth))).ravel() + penalty * theta
        blocks = given[:, None, None] * (np.einsum("nk,kl->nkl", p, np.eye(count)) - p[:, :, None] * p[:, None, :])
        curve = np.einsum("nf,nkl,ng->fkgl", x, blocks, x, optimize=True).reshape(size, size)
        step = np.linalg.solve(parts.T @ curve @ parts + np.diag(penalty), slope)
        before, length = loss(theta), 1.0
        while loss(theta - length * step) > before and length > 1e-4:
            length /= 2
        theta = theta - length * step
        if np.abs(length * step).max() < 1e-7:
            break
    beta = (parts @ theta).reshape(-1, count)
    priors = np.array([given[kinds == k].sum() for k in range(count)]) / given.sum()
    return Fit(means, scales, beta[:-1], beta[-1], np.maximum(priors, 1e-3))


def standardised(features: np.ndarray, means: np.ndarray, scales: np.ndarray) -> np.ndarray:
    """Features `(N, F)` in standard deviations from the mean, held within `FAR_OUT`; 0 where unknown (NaN)."""
    return np.clip(np.nan_to_num((features - means) / scales), -FAR_OUT, FAR_OUT)


def softmax(scores: np.ndarray) -> np.ndarray:
    """Probabilities `(N, K)` from scores."""
    odds = np.exp(scores - scores.max(1, keepdims=True))
    return odds / odds.sum(1, keepdims=True)
