"""Closed-form ridge classification with weighted leave-one-out choice of its strength.

Shape legend: N cases, D features, C classes, A strengths.
"""

from dataclasses import dataclass

import numpy as np

ALPHAS = np.logspace(-3, 6, 28)
SHARPNESSES = np.logspace(-1, 2, 61)


@dataclass
class RidgeSolution:
    """A fitted ridge classifier.

    Attributes
    ----------
    coef : ndarray of shape (D, C)
    intercept : ndarray of shape (C,)
    alpha : float
        The chosen strength.
    loo_scores : ndarray of shape (N, C)
        Leave-one-out decision values of the training cases.
    """

    coef: np.ndarray
    intercept: np.ndarray
    alpha: float
    loo_scores: np.ndarray


def solve_ridge(features, targets, weights, alphas=ALPHAS):
    """Solve ridge regression for each strength and keep the one with the least leave-one-out error.

    Leaving a case out leaves out all of its weight, so copies of a case have to be merged before.

    Parameters
    ----------
    features : ndarray of shape (N, D), float64
    targets : ndarray of shape (N, C)
        +1 for the case's class and -1 for the others.
    weights : ndarray of shape (N,)
        Positive.
    alphas : ndarray of shape (A,)
        Strengths of the penalty alpha * |coef|^2 on the weighted mean of the squared errors; the intercept is free.

    Returns
    -------
    RidgeSolution

    References
    ----------
    .. [1] R. Rifkin, R. Lippert, Notes on regularized least squares, MIT-CSAIL-TR-2007-025, 2007.
    """
    total = weights.sum()
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

    best = None
    for alpha in alphas * total:
        shrinkage = eigenvalues / (eigenvalues + alpha)
        fitted = left @ (shrinkage[:, None] * projected) / root
        # The second term is the intercept's.
        leverage = left**2 @ shrinkage + weights / total
        residual = (targets - target_mean - fitted) / np.maximum(1.0 - leverage, 1e-6)[:, None]
        error = weights @ (residual**2).sum(axis=1) / total
        if best is None or error < best[0] * (1 - 1e-9):
            best = (error, alpha, targets - residual)
    _, alpha, loo_scores = best

    if n_cases <= n_features:
        coef = x.T @ (left @ (projected / (eigenvalues + alpha)[:, None]))
    else:
        coef = right @ ((right.T @ (x.T @ y)) / (eigenvalues + alpha)[:, None])
    return RidgeSolution(coef, target_mean - mean @ coef, float(alpha / total), loo_scores)


def choose_sharpness(scores, labels, weights, sharpnesses=SHARPNESSES):
    """Return the factor on decision values whose softmax has the least weighted log loss.

    The true class of N cases has target probability 1 - 1 / (N + 2), as in Platt's calibration, because even N right
    answers do not make the next one certain.

    Parameters
    ----------
    scores : ndarray of shape (N, C)
        Leave-one-out decision values.
    labels : ndarray of shape (N,), int
    weights : ndarray of shape (N,)
    sharpnesses : ndarray
        Candidates.

    Returns
    -------
    float

    References
    ----------
    .. [1] J. Platt, Probabilistic outputs for support vector machines, Advances in Large Margin Classifiers, 1999.
    """
    n_cases, n_classes = scores.shape
    if n_classes == 1:
        return 1.0
    error = 1.0 / (n_cases + 2)
    targets = np.full(scores.shape, error / (n_classes - 1))
    targets[np.arange(n_cases), labels] = 1.0 - error
    losses = []
    for sharpness in sharpnesses:
        logits = sharpness * scores
        logits = logits - logits.max(axis=1, keepdims=True)
        log_probability = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        losses.append(-(weights @ (targets * log_probability).sum(axis=1)))
    return float(sharpnesses[int(np.argmin(losses))])
