"""Closed-form ridge classification, its strength and calibration chosen by weighted leave-one-out.

Shape legend: N cases, D features, C classes, A strengths.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

# Shares of the mean squared norm of the features, see benchmarks/NOTES.md.
STRENGTHS = np.logspace(-6, -1.5, 19)
SHARPNESS_RANGE = (0.1, 100.0)
# Of classes with one case each, which calibrate nothing.
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
    loo_scores : ndarray of shape (N, C)
        Leave-one-out decision values of the training cases.
    """

    coef: np.ndarray
    intercept: np.ndarray
    alpha: float
    sharpness: float
    loo_scores: np.ndarray


def solve_ridge(features, labels, weights, n_classes, strengths=STRENGTHS):
    """Solve ridge regression for each strength and keep the one with the least leave-one-out log loss.

    A case without another of its class is not counted in the loss, since nothing can be learned about it from the
    others; where all are such, the least strength is taken. Leaving a case out leaves out all of its weight, so copies
    of a case have to be merged before.

    Parameters
    ----------
    features : ndarray of shape (N, D), float64
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

    References
    ----------
    .. [1] R. Rifkin, R. Lippert, Notes on regularized least squares, MIT-CSAIL-TR-2007-025, 2007.
    """
    total = weights.sum()
    targets = np.where(labels[:, None] == np.arange(n_classes), 1.0, -1.0)
    mean = weights @ features / total
    target_mean = weights @ targets / total
    root = np.sqrt(weights)[:, None]
    x, y = features - mean, (targets - target_mean) * root
    x *= root
    n_cases, n_features = x.shape
    # Eigenvectors of the smaller of the two Gram matrices.
    if n_cases <= n_features:
        eigenvalues, left = np.linalg.eigh(x @ x.T)
        eigenvalues = np.maximum(eigenvalues, 0.0)
        projected = left.T @ y
    else:
        eigenvalues, right = np.linalg.eigh(x.T @ x)
        eigenvalues = np.maximum(eigenvalues, 0.0)
        scale = np.sqrt(np.where(eigenvalues > 1e-12 * eigenvalues[-1], eigenvalues, np.inf))
        left = (x @ right) / scale
        projected = left.T @ y

    counted = np.bincount(labels, minlength=n_classes)[labels] > 1
    best = None
    for alpha in strengths * max(eigenvalues.sum(), 1e-12):  # features that are all constant have none
        shrinkage = eigenvalues / (eigenvalues + alpha)
        fitted = left @ (shrinkage[:, None] * projected) / root
        # The second term is the intercept's.
        leverage = left**2 @ shrinkage + weights / total
        residual = (targets - target_mean - fitted) / np.maximum(1.0 - leverage, 1e-6)[:, None]
        loo_scores = targets - residual
        sharpness, loss = calibrate(loo_scores[counted], labels[counted], weights[counted])
        if best is None or loss < best[0] * (1 - 1e-9):
            best = (loss, alpha, sharpness, loo_scores)
    _, alpha, sharpness, loo_scores = best

    if n_cases <= n_features:
        coef = x.T @ (left @ (projected / (eigenvalues + alpha)[:, None]))
    else:
        coef = right @ ((right.T @ (x.T @ y)) / (eigenvalues + alpha)[:, None])
    return RidgeSolution(coef, target_mean - mean @ coef, float(alpha / total), sharpness, loo_scores)


def calibrate(scores, labels, weights):
    """Return the factor on decision values whose softmax has the least weighted log loss, and that loss.

    The true class of N cases has target probability 1 - 1 / (N + 2), as in Platt's calibration, because even N right
    answers do not make the next one certain.

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

    References
    ----------
    .. [1] J. Platt, Probabilistic outputs for support vector machines, Advances in Large Margin Classifiers, 1999.
    """
    n_cases, n_classes = scores.shape
    if n_cases == 0 or n_classes == 1:
        return DEFAULT_SHARPNESS, 0.0
    error = 1.0 / (n_cases + 2)
    targets = np.full(scores.shape, error / (n_classes - 1))
    targets[np.arange(n_cases), labels] = 1.0 - error

    def loss(log_sharpness):
        return -(weights @ (targets * log_softmax(np.exp(log_sharpness) * scores, axis=1)).sum(axis=1)) / weights.sum()

    found = minimize_scalar(loss, bounds=np.log(SHARPNESS_RANGE), method="bounded", options={"xatol": 0.01})
    return float(np.exp(found.x)), float(found.fun)
