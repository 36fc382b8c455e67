"""Gram matrices of the features of several ridges, summed over blocks of cases in single precision.

A ridge of very many features has random sums of them instead, so that a matrix has a bounded size.

Shape legend: N cases, n scored cases, D features of all ridges, d features of one ridge, M sums, C classes.
"""

from dataclasses import dataclass

import numpy as np

from v2s_sklearn.runtime.lapack import add_products
from v2s_sklearn.runtime.parallel import side_by_side

# Rows of a matrix at most, which bounds time and memory: 100 MB. Fewer sums lose little, see benchmarks/NOTES.md.
MAX_ROWS = 5000


class SignedSums:
    """Random groups of features, as even as can be, added with random signs; or the features, where they are few.

    On average over the draws, products of two cases are those of their features [1]_. The draw is always the same.

    Parameters
    ----------
    columns : ndarray of shape (d,), int
        Of the features.
    max_sums : int

    Attributes
    ----------
    n_sums : int
        M.

    References
    ----------
    .. [1] K. Weinberger et al., Feature hashing for large scale multitask learning, ICML 2009, section 2.
    """

    def __init__(self, columns, max_sums=MAX_ROWS):
        self.n_sums = min(len(columns), max_sums)
        self._order, self._signs = np.arange(len(columns)), None
        self._starts = np.arange(self.n_sums) * len(columns) // self.n_sums
        if self.n_sums < len(columns):
            random_state = np.random.RandomState(0)
            self._order = random_state.permutation(len(columns))
            self._signs = random_state.choice(np.array([-1, 1], dtype=np.float32), len(columns))
        self._columns = np.asarray(columns)[self._order]

    def of(self, values):
        """Return the sums of some cases, (n, D) to (n, M)."""
        values = values[:, self._columns]
        if self._signs is None:
            return values
        return np.add.reduceat(values * self._signs, self._starts, axis=1)

    def spread(self, coef):
        """Return the coefficients of the features from those of the sums: (M, C) to (d, C)."""
        if self._signs is None:
            return coef.astype(np.float64)
        sizes = np.diff(self._starts, append=len(self._order))
        features = np.empty((len(self._order), coef.shape[1]))
        features[self._order] = np.repeat(coef, sizes, axis=0) * self._signs[:, None]
        return features


@dataclass
class Moments:
    """What a ridge needs of its cases.

    Attributes
    ----------
    gram : float32 ndarray of shape (M, M)
        Of the sums, centred and weighted; the lower triangle, Fortran order.
    mean : ndarray of shape (M,)
        Weighted.
    cross : ndarray of shape (M, C)
        Products of the sums and the residuals, summed over the cases.
    scored : float32 ndarray of shape (n, M)
        The sums of the scored cases, less their mean.
    """

    gram: np.ndarray
    mean: np.ndarray
    cross: np.ndarray
    scored: np.ndarray


def sum_moments(values, sums, weights, residuals, index, n_jobs=1):
    """Return the `Moments` of each of some `SignedSums`; the cases are read once.

    Parameters
    ----------
    values : Embeddings
        (N, D), their means near zero.
    sums : sequence of SignedSums
    weights : ndarray of shape (N,)
    residuals : ndarray of shape (N, C)
        Weighted, centred targets.
    index : ndarray of shape (n,), int, increasing
        The scored cases.
    n_jobs : int
        Threads.
    """
    total = weights.sum()
    factors = np.column_stack([weights / total, residuals]).astype(np.float32)
    roots = np.sqrt(weights).astype(np.float32)[:, None]
    moments = [
        Moments(
            np.zeros((one.n_sums, one.n_sums), dtype=np.float32, order="F"),
            np.zeros(one.n_sums),
            np.zeros((one.n_sums, residuals.shape[1])),
            np.empty((len(index), one.n_sums), dtype=np.float32),
        )
        for one in sums
    ]

    def add(block, cases, here, one, moment):
        """Add a block of cases to the moments of a ridge."""
        summed = one.of(block)
        products = summed.T @ factors[cases]
        moment.mean += products[:, 0]
        moment.cross += products[:, 1:]
        moment.scored[here] = summed[index[here] - cases.start]
        add_products(1.0, (summed * roots[cases]).T, moment.gram)

    for cases, block in values.blocks():
        block = block.astype(np.float32)
        here = slice(*np.searchsorted(index, (cases.start, cases.stop)))
        tasks = ((block, cases, here, one, moment) for one, moment in zip(sums, moments, strict=True))
        list(side_by_side(add, tasks, n_jobs, require="sharedmem"))
    for moment in moments:
        moment.scored -= moment.mean
        add_products(-1.0, np.sqrt(total) * moment.mean[:, None], moment.gram)
    return moments
