"""Ridges for more cases than an eigen-decomposition suits: a few strengths are tried, by a Cholesky factor each.

In single precision: the least strength tried, a millionth of the sum of the eigenvalues, is far above its rounding.

Shape legend: N cases, n scored cases, D features of all ridges, d features of one ridge, M sums, C classes,
A strengths, R rows of a Gram matrix.
"""

import numpy as np

from v2s_sklearn.mapping.embeddings import ArrayEmbeddings
from v2s_sklearn.mapping.gram import MAX_ROWS, SignedSums, sum_moments
from v2s_sklearn.mapping.ridge import (
    STRENGTHS,
    RidgeSolution,
    calibrate,
    centre_targets,
    counted_cases,
    leave_one_out,
)
from v2s_sklearn.runtime.lapack import add_products, factorise, invert_triangle, solve_triangle
from v2s_sklearn.runtime.parallel import side_by_side

# Half a decade apart, where the loss is flat.
FEW_STRENGTHS = STRENGTHS[::2]
# The first one tried, 3e-4: the median of what was chosen of 2,400 to 3,000 cases is 5e-4, see benchmarks/NOTES.md.
FIRST = 5


def is_of_cases(n_cases, n_features, held):
    """Return whether a ridge is solved by the Gram matrix of its cases, not by that of (sums of) its features.

    Where it takes less time: that of features is factorised as fast, but applied to each scored case, too.
    """
    return held and n_cases <= MAX_ROWS and 3 * n_features > 2 * n_cases


def solve_ridges(values, groups, labels, weights, n_classes, index, strengths=FEW_STRENGTHS, n_jobs=1):
    """Solve ridge regressions, each on some features, as `v2s_sklearn.mapping.ridge.solve_ridge` does one.

    Other than there, not all cases are scored, a ridge of very many features may have `SignedSums` of them, and the
    strength is one from which the loss rises on both sides, not the best of all.

    Parameters
    ----------
    values : StandardisedEmbeddings
        (N, D), read once if they are no table in memory.
    groups : sequence of ndarray of int
        The features of each ridge; they may overlap.
    labels, weights, n_classes
        See `solve_ridge`.
    index : ndarray of shape (n,), int, increasing
        Cases that are scored, left out of all N.
    strengths : ndarray of shape (A,), increasing
    n_jobs : int
        Ridges that are solved at a time.

    Returns
    -------
    list of RidgeSolution
    """
    scored = _Scored(labels, weights, n_classes, index)
    residuals = weights[:, None] * scored.all_targets

    def solve_table(columns):
        """Solve a ridge on some values of a table in memory."""
        features = values.columns(columns, np.float32)
        if is_of_cases(*features.shape, held=True):
            return _solve_for_cases(features, weights, scored, strengths)
        sums = SignedSums(np.arange(len(columns)))
        embeddings = ArrayEmbeddings(features, values.block_cases)
        (moments,) = sum_moments(embeddings, [sums], weights, residuals, index)
        return _solve_for_features(sums, moments, scored, strengths)

    if isinstance(values.embeddings, ArrayEmbeddings):
        return list(side_by_side(solve_table, ((columns,) for columns in groups), n_jobs, require="sharedmem"))
    sums = [SignedSums(columns) for columns in groups]
    moments = sum_moments(values, sums, weights, residuals, index, n_jobs)
    # Each matrix is given up when its ridge is solved.
    tasks = ((sums.pop(0), moments.pop(0), scored, strengths) for _ in groups)
    return list(side_by_side(_solve_for_features, tasks, n_jobs, require="sharedmem"))


def _solve_for_features(sums, moments, scored, strengths):
    """Solve a ridge by the `Moments` of its features, or of sums of them."""

    def answer(factor, alpha):
        """Return fitted values and leverages of the scored cases, and the coefficients (M, C)."""
        half, left = solve_triangle(factor, moments.cross), solve_triangle(factor, moments.scored.T)
        leverage = scored.weights * (np.einsum("mn,mn->n", left, left) + 1.0 / scored.total)
        return left.T @ half, leverage, solve_triangle(factor, half, transposed=True)

    def finish(coef):
        """Return the coefficients of the features, and what they make of the mean."""
        return sums.spread(coef), moments.mean @ coef

    return _search(moments.gram, _penalties(moments.gram, strengths), answer, finish, scored)


def _solve_for_cases(features, weights, scored, strengths):
    """Solve a ridge by the Gram matrix of its cases; the features (N, d), float32, are overwritten."""
    mean = weights.astype(np.float32) @ features / scored.total
    features -= mean
    # Scored cases last: of the inverse of a triangle, its last rows and columns are the inverse of these.
    order, n_scored = scored.last(), len(scored.index)
    root = np.sqrt(weights)[order, None]
    features = features[order]
    features *= root
    residuals = root * scored.all_targets[order]
    gram = np.zeros((len(order),) * 2, dtype=np.float32, order="F")  # as they stay above the diagonal
    add_products(1.0, features.T, gram, transposed=True)
    alphas, trace = _penalties(gram, strengths), np.trace(gram, dtype=np.float64)
    # Along the roots of the weights, where the intercept fits, there is nothing. The inverse is largest there, and what
    # else single precision has of it would be lost; so a value is put there that is no smaller than the others.
    add_products(trace / scored.total, root, gram)

    def answer(factor, alpha):
        """Return fitted values and leverages of the scored cases, and the dual coefficients (N, C)."""
        dual = solve_triangle(factor, solve_triangle(factor, residuals), transposed=True)
        inverse = invert_triangle(factor[-n_scored:, -n_scored:])
        rest = alpha * (np.einsum("mn,mn->n", inverse, inverse) - scored.weights / scored.total / (trace + alpha))
        return scored.targets - alpha * dual[-n_scored:] / root[-n_scored:], 1.0 - rest, dual

    def finish(dual):
        """Return the coefficients of the features, and what they make of the mean."""
        coef = (features.T @ dual).astype(np.float64)
        return coef, mean @ coef

    return _search(gram, alphas, answer, finish, scored)


class _Scored:
    """The cases that choose a strength and calibrate."""

    def __init__(self, labels, weights, n_classes, index):
        self.index = index
        self.all_targets, self.target_mean = centre_targets(labels, weights, n_classes)
        self.targets = self.all_targets[index]
        self.labels, self.weights, self.total = labels[index], weights[index], weights.sum()
        self.counted = counted_cases(labels)[index]

    def last(self):
        """Return the numbers of all cases, the scored ones last."""
        return np.append(np.setdiff1d(np.arange(len(self.all_targets)), self.index), self.index)

    def judge(self, fitted, leverage):
        """Return the leave-one-out scores (n, C), their sharpness and loss; see `leave_one_out`."""
        scores = leave_one_out(self.targets, self.target_mean, fitted, leverage)
        return scores, *calibrate(scores[self.counted], self.labels[self.counted], self.weights[self.counted])


def _penalties(gram, strengths):
    """Return what strengths add to the diagonal of a Gram matrix, (A,)."""
    return strengths * max(np.trace(gram, dtype=np.float64), 1e-12)


def _search(gram, alphas, answer, finish, scored):
    """Return the `RidgeSolution` of the best penalty.

    Parameters
    ----------
    gram : float32 ndarray of shape (R, R)
        The lower triangle.
    alphas : ndarray of shape (A,), increasing
    answer : callable
        Takes the factor of the penalised matrix and the penalty; gives fitted values (n, C) and leverages (n,) of the
        scored cases, and solutions (R, C).
    finish : callable
        Takes the solutions, gives coefficients and their products with the mean, (d, C) and (C,).
    """
    diagonal, tried = np.diag_indices(len(gram)), {}

    def loss_at(number):
        """Return the leave-one-out loss of a penalty, infinite where single precision does not do."""
        matrix = gram.copy(order="F")
        matrix[diagonal] += np.float32(alphas[number])
        if not factorise(matrix):
            return np.inf
        fitted, leverage, solutions = answer(matrix, alphas[number])
        scores, sharpness, loss = scored.judge(fitted, leverage)
        tried[number] = (solutions, sharpness, scores)
        return loss

    number = walk_down(loss_at, len(alphas), min(FIRST, len(alphas) - 1))
    solutions, sharpness, scores = tried[number]
    coef, offset = finish(solutions)
    return RidgeSolution(coef, scored.target_mean - offset, float(alphas[number] / scored.total), sharpness, scores)


def walk_down(loss_at, n_places, start):
    """Return the place, 0 to ``n_places`` - 1, from which a loss rises on both sides, walking down from ``start``.

    Each place is asked for at most once.
    """
    losses = {start: loss_at(start)}
    best = start
    for step in (1, -1):
        place = best + step
        while 0 <= place < n_places and place not in losses:
            losses[place] = loss_at(place)
            if losses[place] >= losses[best]:
                break
            best, place = place, place + step
    return best
