"""Multinomial logistic regression with a ridge, by Newton's method; nothing but numpy.

Source: Hastie, Tibshirani, Friedman, The Elements of Statistical Learning, section 4.4.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


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
        x = np.nan_to_num((features - self.means) / self.scales)
        return x @ self.weights + self.biases - np.log(self.priors)


def fit(features: np.ndarray, kinds: np.ndarray, count: int, ridge: float, weights: np.ndarray | None = None) -> Fit:
    """The weights that make the kinds likeliest, less `ridge` / 2 times their squares.

    Args:
        features: `(N, F)`, NaN where unknown: weighed as if at the mean.
        kinds: `(N,)` 0 to `count` - 1.
        count: How many kinds there are.
        ridge: In looks: what so many looks of evidence could outweigh. Biases are free of it, but for a trace that
            makes them unique.
        weights: `(N,)` how many looks each row counts for; 1 if not given.
    """
    n, width = features.shape
    given = np.ones(n) if weights is None else weights
    known = given[:, None] * ~np.isnan(features)
    total = np.maximum(known.sum(0), 1e-9)
    means = (known * np.nan_to_num(features)).sum(0) / total
    scales = np.sqrt((known * np.nan_to_num(features - means) ** 2).sum(0) / total)
    scales[scales < 1e-6] = 1.0
    x = np.hstack([np.nan_to_num((features - means) / scales), np.ones((n, 1))])
    truth = np.eye(count)[kinds]
    penalty = np.repeat(np.append(np.full(width, ridge), 1e-3), count)
    beta = np.zeros((width + 1, count))

    def loss(beta: np.ndarray) -> float:
        scores = x @ beta
        top = scores.max(1)
        logs = top + np.log(np.exp(scores - top[:, None]).sum(1))
        return float(given @ (logs - (scores * truth).sum(1)) + penalty @ beta.ravel() ** 2 / 2)

    for _ in range(60):
        p = softmax(x @ beta)
        slope = x.T @ (given[:, None] * (p - truth)) + (penalty * beta.ravel()).reshape(beta.shape)
        blocks = given[:, None, None] * (np.einsum("nk,kl->nkl", p, np.eye(count)) - p[:, :, None] * p[:, None, :])
        curve = np.einsum("nf,nkl,ng->fkgl", x, blocks, x, optimize=True).reshape(beta.size, beta.size)
        step = np.linalg.solve(curve + np.diag(penalty), slope.ravel()).reshape(beta.shape)
        before, length = loss(beta), 1.0
        while loss(beta - length * step) > before and length > 1e-4:
            length /= 2
        beta = beta - length * step
        if np.abs(length * step).max() < 1e-7:
            break
    priors = np.array([given[kinds == k].sum() for k in range(count)]) / given.sum()
    return Fit(means, scales, beta[:-1], beta[-1], np.maximum(priors, 1e-3))


def softmax(scores: np.ndarray) -> np.ndarray:
    """Probabilities `(N, K)` from scores."""
    odds = np.exp(scores - scores.max(1, keepdims=True))
    return odds / odds.sum(1, keepdims=True)
