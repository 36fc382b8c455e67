"""One ridge a view, stacked into one linear map of the standardised embeddings.

Shape legend: V views, N cases, n scored cases, D embedding values, C classes.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax

from v2s_sklearn.mapping.embeddings import (
    BLOCK_BYTES,
    LIMIT_BYTES,
    StandardisedEmbeddings,
    as_embeddings,
    hold,
    select,
    standardisation,
)
from v2s_sklearn.mapping.gram import MAX_ROWS
from v2s_sklearn.mapping.many_cases import is_of_cases, solve_ridges
from v2s_sklearn.mapping.ridge import counted_cases, platt_targets, solve_ridge
from v2s_sklearn.runtime.memory import check_memory, is_available
from v2s_sklearn.runtime.parallel import side_by_side
from v2s_sklearn.runtime.threads import check_n_jobs
from v2s_sklearn.series.moments import normalise_weights

# So many cases are solved exactly. At this number it takes three times as long as by `many_cases`.
EXACT_CASES = 1500
# Of more, so many give the statistics of the standardisation and the leave-one-out scores; see benchmarks/NOTES.md.
STATISTICS_CASES = 2000
# Of a view, times the number of views. Without it all are zero where classes have two cases.
LEAST_STACK_WEIGHT = 0.1


@dataclass
class StackedRidge:
    """Ridges that were stacked into one linear map.

    Attributes
    ----------
    mean, scale : ndarray of shape (D,)
        Of the standardisation, see `v2s_sklearn.mapping.embeddings.standardisation`.
    coef : ndarray of shape (D, C)
        Of the standardised embeddings; the softmax of the decision values is calibrated.
    intercept : ndarray of shape (C,)
    alpha, sharpness : ndarray of shape (V,)
        Of each ridge, see `v2s_sklearn.mapping.ridge.RidgeSolution`; 0 and 1 of a view in which nothing varies.
    stack_weights : ndarray of shape (V,)
        From `stack_weights`; 0 of a view in which nothing varies, beside others that do.
    """

    mean: np.ndarray
    scale: np.ndarray
    coef: np.ndarray
    intercept: np.ndarray
    alpha: np.ndarray
    sharpness: np.ndarray
    stack_weights: np.ndarray


def solve_stack(embeddings, groups, labels, weights, n_classes, limit_bytes=LIMIT_BYTES, n_jobs=None, moments=None):
    """Solve a ridge on each view and weigh their calibrated leave-one-out answers.

    The log-softmax of the stack is that of one linear map, since its normalisers cancel.

    Parameters
    ----------
    embeddings : Embeddings or ndarray of shape (N, D)
        Those of at most ``EXACT_CASES`` cases, and those of at most ``limit_bytes`` in double precision, are computed
        once and held. Others are computed once, and ``STATISTICS_CASES`` of the cases once more.
    groups : sequence of ndarray of int
        The embedding values of each view; they may overlap.
    labels : ndarray of shape (N,), int
    weights : ndarray of shape (N,)
        Positive, of any size. Copies of a case have to be merged before.
    n_classes : int
        C.
    limit_bytes : int
        See ``embeddings``.
    n_jobs : int, optional
        In scikit-learn's meaning: threads, each of which solves a ridge; fewer where memory does not suffice.
    moments : pair of ndarrays of shape (D,), optional
        Mean and scale of the standardisation; by default those of these cases, from `moments_of`.

    Returns
    -------
    StackedRidge

    Raises
    ------
    NotEnoughMemoryError
        If it would take more than there is.
    """
    embeddings = as_embeddings(embeddings)
    n_jobs = ridges_at_once(embeddings.n_cases, embeddings.n_features, groups, n_classes, limit_bytes, n_jobs)
    weights = normalise_weights(weights)
    exact = len(labels) <= EXACT_CASES
    embeddings = hold(embeddings, np.inf if exact else limit_bytes)
    index = np.arange(len(labels)) if exact else statistics_cases(len(labels))
    mean, scale = moments_of(embeddings, weights, index, n_jobs) if moments is None else moments
    varying = [number for number, columns in enumerate(groups) if np.isfinite(scale[columns]).any()]
    # Where nothing varies at all, the intercepts are the shares of the classes.
    solved = varying or list(range(len(groups)))
    views = [groups[number] for number in solved]
    values = StandardisedEmbeddings(embeddings, mean, scale)
    if exact:

        def solve(columns):
            """Solve the ridge of a view."""
            return solve_ridge(values.columns(columns), labels, weights, n_classes)

        ridges = list(side_by_side(solve, ((columns,) for columns in views), n_jobs, require="sharedmem"))
    else:
        ridges = solve_ridges(values, views, labels, weights, n_classes, index, n_jobs=n_jobs)

    counted = counted_cases(labels)[index]
    answers = [log_softmax(ridge.sharpness * ridge.loo_scores[counted], axis=1) for ridge in ridges]
    shares = stack_weights(np.array(answers), labels[index][counted], weights[index][counted])
    stack = StackedRidge(
        mean,
        scale,
        np.zeros((embeddings.n_features, n_classes)),
        np.zeros(n_classes),
        np.zeros(len(groups)),
        np.ones(len(groups)),
        np.zeros(len(groups)),
    )
    for number, ridge, share in zip(solved, ridges, shares, strict=True):
        stack.coef[groups[number]] += share * ridge.sharpness * ridge.coef
        stack.intercept += share * ridge.sharpness * ridge.intercept
        stack.alpha[number], stack.sharpness[number], stack.stack_weights[number] = ridge.alpha, ridge.sharpness, share
    return stack


def statistics_cases(n_cases):
    """Return which of the cases give statistics, int (n,): at most ``STATISTICS_CASES``, evenly spread."""
    if n_cases <= STATISTICS_CASES:
        return np.arange(n_cases)
    return np.linspace(0, n_cases - 1, STATISTICS_CASES).round().astype(int)


def moments_of(embeddings, weights, index, n_jobs=1):
    """Return the `standardisation` by some cases, indices (n,), whose weights (N,) are of any size."""
    return standardisation(select(embeddings, index), normalise_weights(weights)[index], n_jobs)


def stack_weights(log_probabilities, labels, weights):
    """Return the weights of the views (V,) whose weighted sum of log-probabilities has the least log loss.

    They minimise the weighted mean cross-entropy with `v2s_sklearn.mapping.ridge.platt_targets` of softmax(sum_v w_v
    l_v), plus V / n * |w - 1 / V|^2, where each is at least 0.1 / V. One view has weight 1: it is calibrated already.

    Parameters
    ----------
    log_probabilities : ndarray of shape (V, n, C)
        Of cases that were left out.
    labels : ndarray of shape (n,), int
    weights : ndarray of shape (n,)

    Returns
    -------
    ndarray of shape (V,)
        1 / V each, where there is nothing to choose them by.
    """
    n_views, n_cases, n_classes = log_probabilities.shape
    equal = np.full(n_views, 1.0 / n_views)
    if n_views == 1 or n_cases == 0 or n_classes == 1:
        return equal
    targets, shares = platt_targets(labels, n_classes), weights / weights.sum()

    def loss_and_gradient(w):
        """Return the penalised loss of weights (M,) and its gradient (M,)."""
        answer = log_softmax(np.tensordot(w, log_probabilities, axes=1), axis=1)
        deviation = w - 1.0 / n_views
        loss = -shares @ (targets * answer).sum(axis=1) + n_views / n_cases * deviation @ deviation
        excess = shares[:, None] * (np.exp(answer) - targets)
        gradient = np.tensordot(log_probabilities, excess, axes=2) + 2 * n_views / n_cases * deviation
        return loss, gradient

    bounds = [(LEAST_STACK_WEIGHT / n_views, None)] * n_views
    return minimize(loss_and_gradient, equal, jac=True, method="L-BFGS-B", bounds=bounds).x


def stack_bytes(n_cases, n_features, groups, n_classes, limit_bytes=LIMIT_BYTES, n_at_once=1):
    """Return about how many bytes `solve_stack` takes at its peak, the embeddings themselves included if it holds them.

    Parameters
    ----------
    n_cases, n_features, n_classes : int
        N, D and C.
    groups, limit_bytes
        See `solve_stack`.
    n_at_once : int
        Ridges that are solved at a time.
    """
    widths = [len(columns) for columns in groups]
    exact = n_cases <= EXACT_CASES
    n_scored = n_cases if exact else min(n_cases, STATISTICS_CASES)
    is_held = exact or 8 * n_cases * n_features <= limit_bytes
    taken = 4 * n_cases * n_features if is_held else 0
    of_ridges = []
    for width in widths:
        size = min(width, n_cases)
        if exact:
            # The features, also weighted; beside them LAPACK's work, which is twice the matrix, or left vectors twice.
            of_ridges.append(16 * n_cases * width + 8 * size * max(3 * size, 2 * n_cases))
        elif is_of_cases(n_cases, width, is_held):
            # The features twice; or once beside the matrix, its factor, and the inverse of the scored cases' part.
            features = 4 * n_cases * width
            of_ridges.append(features + max(features, 8 * n_cases**2 + 12 * n_scored**2))
        else:
            # The matrix and the scored cases, of all ridges where embeddings are read once; and what is made of them,
            # or before it a block of the features three times.
            size = min(width, MAX_ROWS)
            moments, features = 4 * size * (size + n_scored), 4 * n_cases * width
            block = min(features, BLOCK_BYTES // 2 * width // n_features)
            of_ridges.append(moments + (max(moments, 3 * block) + features if is_held else 0))
            taken += 0 if is_held else moments
    # A block in single precision, of a table in memory; of another in double precision, too, and of a view, also
    # weighted; before there are ridges.
    n_blocks = 2 if is_held else 3
    working = max(n_blocks * min(BLOCK_BYTES, 8 * n_cases * n_features), sum(sorted(of_ridges)[-n_at_once:]))
    answers = 8 * n_classes * (3 * n_at_once * n_cases + (3 * len(groups) + 4) * n_scored)
    coefficients = 8 * n_classes * (n_features + 3 * sum(widths))
    return int(taken + working + answers + coefficients)


def ridges_at_once(n_cases, n_features, groups, n_classes, limit_bytes=LIMIT_BYTES, n_jobs=None):
    """Return how many ridges `solve_stack` is to solve at a time: as many as there is memory for, of ``n_jobs``.

    Other arguments as for `stack_bytes`.

    Raises
    ------
    NotEnoughMemoryError
        If there is not enough for one at a time.
    """
    sizes = n_cases, n_features, groups, n_classes, limit_bytes
    check_memory(
        stack_bytes(*sizes),
        f"The learned mapping of {n_cases} cases with {n_features} embedding values to {n_classes} classes",
        "Fit on fewer cases, or have fewer embedding values: fewer voices, acoustic models or channels.",
    )
    numbers = range(min(check_n_jobs(n_jobs), len(groups)), 1, -1)
    return next((number for number in numbers if is_available(stack_bytes(*sizes, number))), 1)
