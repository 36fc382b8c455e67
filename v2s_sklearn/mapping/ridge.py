"""Closed-form ridge classification, its strength and calibration chosen by weighted leave-one-out.

Exactly, by an eigen-decomposition; `v2s_sklearn.mapping.many_cases` is for more cases than that suits.

Shape legend: N cases, n scored cases, D features, C classes, A strengths, K eigenvalues.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize_scalar

from v2s_sklearn.runtime.lapack import eigen_decomposition

# Shares of the mean squared norm of the features, see benchmarks/NOTES.md.
STRENGTHS = np.logspace(-6, -1.5, 19)
# Far wider than what is chosen: 1.8 to 9.4 on the sets of benchmarks/NOTES.md.
SHARPNESS_RANGE = (0.1, 100.0)
# Where every class has one case, which calibrates nothing: the middle of what was best there, see benchmarks/NOTES.md.
DEFAULT_SHARPNESS = 2.0


@dataclass
class RidgeSolution:
    """A fitted ridge classifier.

    Attributes
    ----------
    coef : ndarray of shape (D, C)
    intercept : ndarray of shape (C,)
    alpha : float
        The chosen penalty alpha * |coef|^2 on the weighted mean of the squared errors.
    sharpness : float
        The factor on decision values that calibrates their softmax.
    loo_scores : ndarray of shape (n, C)
        Leave-one-out decision values of the scored training cases.
    """

    coef: np.ndarray
    intercept: np.ndarray
    alpha: float
    sharpness: float
    loo_scores: np.ndarray


def solve_ridge(features, labels, weights, n_classes, strengths=STRENGTHS):
    """Solve a ridge regression for each strength and keep the one with the least leave-one-out log loss.

    A case without another of its class is not counted in the loss, since nothing can be learned about it from the
    others; where all are such, the least strength is taken. Leaving a case out leaves out all of its weight, so copies
    of a case have to be merged before.

    Parameters
    ----------
    features : ndarray of shape (N, D)
        Neither centred nor scaled.
    labels : ndarray of shape (N,), int
        Regression targets are +1 for the case's class and -1 for the others; the intercept is free.
    weights : ndarray of shape (N,)
        Positive.
    n_classes : int
        C.
    strengths : ndarray of shape (A,), increasing
        Of the penalty, as shares of the weighted mean squared norm of the centred features.

    Returns
    -------
    RidgeSolution
        All cases are scored.

    References
    ----------
    .. [1] R. Rifkin, R. Lippert, Notes on regularized least squares, MIT-CSAIL-TR-2007-025, 2007.
    """
    targets, target_mean = centre_targets(labels, weights, n_classes)
    total, root = weights.sum(), np.sqrt(weights)[:, None]
    mean = weights @ features / total
    weighted = (features - mean) * root
    eigenvalues, left = _left_vectors(weighted)
    projected = left.T @ (root * targets)
    alphas = strengths * max(eigenvalues.sum(), 1e-12)  # features that are all constant have none
    shrinkages = eigenvalues / (eigenvalues + alphas[:, None])
    # The second term is the intercept's.
    leverages = shrinkages @ (left**2).T + weights / total
    left /= root
    counted = counted_cases(labels)
    best = None
    for alpha, shrinkage, leverage in zip(alphas, shrinkages, leverages, strict=True):
        scores = leave_one_out(targets, target_mean, left @ (shrinkage[:, None] * projected), leverage)
        sharpness, loss = calibrate(scores[counted], labels[counted], weights[counted])
        if best is None or loss < best[0] * (1 - 1e-9):
            best = (loss, alpha, sharpness, scores)
    _, alpha, sharpness, scores = best
    coef = weighted.T @ (root * (left @ (projected / (eigenvalues + alpha)[:, None])))
    return RidgeSolution(coef, target_mean - mean @ coef, float(alpha / total), sharpness, scores)


def centre_targets(labels, weights, n_classes):
    """Return the targets less their weighted mean, (N, C), and this mean, (C,)."""
    targets = np.where(labels[:, None] == np.arange(n_classes), 1.0, -1.0)
    mean = weights @ targets / weights.sum()
    return targets - mean, mean


def leave_one_out(targets, target_mean, fitted, leverage):
    """Return decision values (n, C) without each case's own part in them.

    Parameters
    ----------
    targets, target_mean : ndarrays of shape (n, C) and (C,)
        See `centre_targets`.
    fitted : ndarray of shape (n, C)
        What the ridge of all cases says, less ``target_mean``.
    leverage : ndarray of shape (n,)
        The part of a case's target in its own fitted value, the intercept's included.
    """
    return target_mean + targets - (targets - fitted) / np.maximum(1.0 - leverage, 1e-6)[:, None]


def _left_vectors(weighted):
    """Return the squares of the singular values (K,) of features (N, D), and the left singular vectors (N, K).

    By the smaller of the two Gram matrices.
    """
    n_cases, n_features = weighted.shape
    wide = n_features >= n_cases
    gram = weighted @ weighted.T if wide else weighted.T @ weighted
    # The matrix is symmetric: its transpose is the same, in the order in which LAPACK overwrites it.
    eigenvalues, vectors = eigen_decomposition(gram.T)
    eigenvalues = np.maximum(eigenvalues, 0.0)
    if wide:
        return eigenvalues, vectors
    norms = np.sqrt(np.where(eigenvalues > 1e-12 * eigenvalues[-1], eigenvalues, np.inf))
    return eigenvalues, weighted @ vectors / norms


def counted_cases(labels):
    """Return which cases (N,) have another of their class, without which leave-one-out says nothing about them."""
    return np.bincount(labels)[labels] > 1


def platt_targets(labels, n_classes):
    """Return target probabilities (N, C): that of the true class of N cases is 1 - 1 / (N + 2).

    Even N right answers do not make the next one certain.

    References
    ----------
    .. [1] J. Platt, Probabilistic outputs for support vector machines, Advances in Large Margin Classifiers, 1999.
    """
    error = 1.0 / (len(labels) + 2)
    targets = np.full((len(labels), n_classes), error / (n_classes - 1))
    targets[np.arange(len(labels)), labels] = 1.0 - error
    return targets


def calibrate(scores, labels, weights):
    """Return the factor on decision values whose softmax has the least weighted log loss, and that loss.

    Parameters
    ----------
    scores : ndarray of shape (N, C)
        Leave-one-out decision values.
    labels : ndarray of shape (N,), int
    weights : ndarray of shape (N,)

    Returns
    -------
    sharpness : float
        `DEFAULT_SHARPNESS` where there is nothing to choose it by.
    loss : float
        Cross-entropy with `platt_targets`.
    """
    n_cases, n_classes = scores.shape
    if n_cases == 0 or n_classes == 1:
        return DEFAULT_SHARPNESS, 0.0
    shares = weights / weights.sum()
    scores = scores - scores.max(axis=1, keepdims=True)
    linear = shares @ (platt_targets(labels, n_classes) * scores).sum(axis=1)

    def loss(log_sharpness):
        """Return the loss of a sharpness, by its logarithm."""
        sharpness = np.exp(log_sharpness)
        return shares @ np.log(np.exp(sharpness * scores).sum(axis=1)) - sharpness * linear

    found = minimize_scalar(loss, bounds=np.log(SHARPNESS_RANGE), method="bounded", options={"xatol": 0.01})
    return float(np.exp(found.x)), float(found.fun)
