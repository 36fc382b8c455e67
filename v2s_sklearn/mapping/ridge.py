"""Closed-form ridge classification, its strength and calibration chosen by weighted leave-one-out.

Several ridges, each on some of the features, are solved together, so that the cases are read as often as for one.

Shape legend: N cases, n scored cases, D features, d features of one ridge, C classes, A strengths, K eigenvalues.
"""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import eigh
from scipy.optimize import minimize_scalar

from v2s_sklearn.mapping.embeddings import BLOCK_BYTES, LIMIT_BYTES, ArrayEmbeddings, StandardisedEmbeddings
from v2s_sklearn.mapping.gram import GramMatrices, take_columns

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
    coef : ndarray of shape (d, C)
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
    """Solve one ridge regression on a table of features (N, D), neither centred nor scaled; see `solve_ridges`."""
    mean = weights @ features / weights.sum()
    centred = StandardisedEmbeddings(ArrayEmbeddings(features), mean, np.ones_like(mean), limit=np.inf)
    (ridge,) = solve_ridges(centred, [np.arange(len(mean))], labels, weights, n_classes, strengths)
    ridge.intercept -= mean @ ridge.coef
    return ridge


def solve_ridges(values, groups, labels, weights, n_classes, strengths=STRENGTHS, scored=None, limit_bytes=LIMIT_BYTES):
    """Solve ridge regressions, each on some features, for each strength; keep those with least leave-one-out log loss.

    A case without another of its class is not counted in the loss, since nothing can be learned about it from the
    others; where all are such, the least strength is taken. Leaving a case out leaves out all of its weight, so copies
    of a case have to be merged before.

    Parameters
    ----------
    values : Embeddings
        (N, D), double precision, their means near zero.
    groups : sequence of ndarray of int, increasing
        The features of each ridge; they may overlap.
    labels : ndarray of shape (N,), int
        Regression targets are +1 for the case's class and -1 for the others; the intercept is free.
    weights : ndarray of shape (N,)
        Positive.
    n_classes : int
        C.
    strengths : ndarray of shape (A,), increasing
        Of the penalty, as shares of the weighted mean squared norm of the centred features.
    scored : pair of ndarray of shape (n,) and Embeddings, optional
        Indices and values of the cases whose leave-one-out scores, against all N, choose; all by default.
    limit_bytes : int
        See `GramMatrices`.

    Returns
    -------
    list of RidgeSolution

    References
    ----------
    .. [1] R. Rifkin, R. Lippert, Notes on regularized least squares, MIT-CSAIL-TR-2007-025, 2007.
    """
    index, scored_values = (np.arange(len(labels)), values) if scored is None else scored
    targets = np.where(labels[:, None] == np.arange(n_classes), 1.0, -1.0)
    target_mean = weights @ targets / weights.sum()
    choice = _Choice(index, labels, weights, targets, target_mean, strengths)
    residuals = weights[:, None] * (targets - target_mean)
    del targets

    grams = GramMatrices(values, groups, weights, residuals, limit_bytes)
    ridges, duals = {}, {}
    for number in grams.order:
        columns = groups[number]
        if grams.is_of_cases(number, len(labels)):
            ridges[number], duals[number] = _solve_for_cases(grams.take(number), weights, residuals, choice)
            ridges[number].coef = np.zeros((len(columns), n_classes))
        else:
            ridges[number] = _solve_for_features(
                grams.take(number), grams.mean[columns], grams.cross[columns], columns, scored_values, choice
            )
    if duals:
        for cases, block in values.blocks():
            for number, dual in duals.items():
                ridges[number].coef += take_columns(block, groups[number]).T @ dual[cases]
    for number, columns in enumerate(groups):
        ridges[number].intercept = target_mean - grams.mean[columns] @ ridges[number].coef
    return [ridges[number] for number in range(len(groups))]


def _solve_for_cases(gram, weights, residuals, choice):
    """Solve by the Gram matrix of the cases, which is overwritten: return the ridge, without coef, and its dual (N, C).

    The coefficients are sums over the cases with the dual as factors.
    """
    eigenvalues, left = _decompose(gram)
    left /= np.sqrt(weights)[:, None]
    projected = left.T @ residuals
    ridge = choice.choose(eigenvalues, left if len(choice.index) == len(left) else left[choice.index], projected)
    alpha = ridge.alpha * weights.sum()
    return ridge, weights[:, None] * (left @ (projected / (eigenvalues + alpha)[:, None]))


def _solve_for_features(gram, mean, cross, columns, scored_values, choice):
    """Solve by the Gram matrix of the features, which is overwritten."""
    eigenvalues, right = _decompose(gram)
    norms = np.sqrt(np.where(eigenvalues > 1e-12 * eigenvalues[-1], eigenvalues, np.inf))
    left = np.empty((scored_values.n_cases, len(columns)))
    for cases, block in scored_values.blocks():
        np.matmul(take_columns(block, columns) - mean, right, out=left[cases])
        left[cases] /= norms
    projected = right.T @ cross
    ridge = choice.choose(eigenvalues, left, projected / norms[:, None])
    ridge.coef = right @ (projected / (eigenvalues + ridge.alpha * choice.total)[:, None])
    return ridge


def _decompose(gram):
    """Return eigenvalues and eigenvectors of a matrix of which the lower triangle is given; it is overwritten."""
    # "evr" takes half the memory, but three times as long where there are many zeros, and is less exact.
    # For one value LAPACK wants less memory than the check of SciPy 1.11 allows.
    driver = "evd" if len(gram) > 1 else "ev"
    eigenvalues, vectors = eigh(gram, lower=True, overwrite_a=True, check_finite=False, driver=driver)
    return np.maximum(eigenvalues, 0.0), vectors


class _Choice:
    """Chooses a ridge's strength and sharpness by the leave-one-out log loss of the scored cases."""

    def __init__(self, index, labels, weights, targets, target_mean, strengths):
        self.index = index
        self.total = weights.sum()
        self.labels = labels[index]
        self.weights = weights[index]
        self.targets = targets[index]
        self.target_mean = target_mean
        self.strengths = strengths
        self.counted = counted_cases(labels)[index]

    def choose(self, eigenvalues, left, projected):
        """Return the `RidgeSolution` of the best strength, without coefficients.

        Parameters
        ----------
        eigenvalues : ndarray of shape (K,)
            Of the Gram matrix.
        left : ndarray of shape (n, K)
            Left singular vectors of the centred features, of the scored cases, without their weights.
        projected : ndarray of shape (K, C)
            The targets of all cases on the left singular vectors.
        """
        alphas = self.strengths * max(eigenvalues.sum(), 1e-12)  # features that are all constant have none
        shrinkages = eigenvalues / (eigenvalues + alphas[:, None])
        # The second term is the intercept's.
        leverages = self.weights * _squares_times(left, shrinkages.T).T + self.weights / self.total
        best = None
        for alpha, shrinkage, leverage in zip(alphas, shrinkages, leverages, strict=True):
            fitted = left @ (shrinkage[:, None] * projected)
            residual = (self.targets - self.target_mean - fitted) / np.maximum(1.0 - leverage, 1e-6)[:, None]
            loo_scores = self.targets - residual
            sharpness, loss = calibrate(loo_scores[self.counted], self.labels[self.counted], self.weights[self.counted])
            if best is None or loss < best[0] * (1 - 1e-9):
                best = (loss, alpha, sharpness, loo_scores)
        _, alpha, sharpness, loo_scores = best
        return RidgeSolution(None, None, float(alpha / self.total), sharpness, loo_scores)


def _squares_times(left, factors):
    """Return left**2 @ factors, without all of the squares at once."""
    step = max(1, BLOCK_BYTES // (8 * left.shape[1]))
    return np.vstack([left[start : start + step] ** 2 @ factors for start in range(0, len(left), step)])


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
