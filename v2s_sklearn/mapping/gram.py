"""Gram matrices of groups of features, summed over blocks of cases.

Shape legend: N cases, D features, d features of a group, C classes.
"""

from itertools import chain, islice

import numpy as np
from scipy.linalg.blas import dsyrk

from v2s_sklearn.mapping.embeddings import LIMIT_BYTES


def take_columns(values, columns):
    """Return some columns, of which indices increase: (n, D) to (n, d), without a copy where there is no gap."""
    if columns[-1] - columns[0] + 1 == len(columns):
        return values[:, columns[0] : columns[-1] + 1]
    return values[:, columns]


def find_hosts(groups, n_cases):
    """Return for each group the number of the group whose Gram matrix has its own as a part, or its own number.

    Only matrices of features have parts, those of groups with fewer features than cases.
    """
    by_size = sorted(range(len(groups)), key=lambda number: -len(groups[number]))
    hosts, found = {}, []
    for number in by_size:
        is_host = len(groups[number]) >= n_cases
        candidates = [] if is_host else [host for host in found if np.isin(groups[number], groups[host]).all()]
        hosts[number] = candidates[0] if candidates else number
        if not is_host and not candidates:
            found.append(number)
    return [hosts[number] for number in range(len(groups))]


class GramMatrices:
    """Gram matrices of the centred and weighted features, and what else of the cases a ridge needs.

    A group with at least as many features as cases has the matrix of its cases (N, N), the others that of their
    features (d, d).

    The cases are read once, and for matrices of cases in slabs of ``limit_bytes``: for each slab the cases before it
    are read again.

    Parameters
    ----------
    values : Embeddings
        (N, D), double precision, their means near zero.
    groups : sequence of ndarray of int, increasing
        The features of each group; groups may overlap.
    weights : ndarray of shape (N,)
        Positive.
    residuals : ndarray of shape (N, C)
        Weighted, centred targets.
    limit_bytes : int
        Of a slab.

    Attributes
    ----------
    mean : ndarray of shape (D,)
        Weighted.
    cross : ndarray of shape (D, C)
        Products of the values and the residuals, summed over the cases.
    order : list of int
        Groups in the order in which `take` needs them: parts of a matrix before the whole, small ones first.
    """

    def __init__(self, values, groups, weights, residuals, limit_bytes=LIMIT_BYTES):
        self._groups = groups
        self._hosts = find_hosts(groups, values.n_cases)
        self._of_cases, self._of_features = {}, {}
        for number in set(self._hosts):
            if self.is_of_cases(number, values.n_cases):
                self._of_cases[number] = np.empty((values.n_cases, values.n_cases))
            else:
                # Only the lower triangles are summed.
                self._of_features[number] = np.zeros((len(groups[number]),) * 2, order="F")
        self._sum(values, weights, residuals, limit_bytes)
        self._centre(weights)
        sizes = {number: len(matrix) for number, matrix in (self._of_cases | self._of_features).items()}
        self.order = sorted(
            range(len(groups)), key=lambda number: (sizes[self._hosts[number]], self._hosts[number] == number)
        )

    def is_of_cases(self, number, n_cases):
        """Return whether a group has the matrix of its cases."""
        return len(self._groups[number]) >= n_cases

    def _sum(self, values, weights, residuals, limit_bytes):
        self.mean = np.zeros(values.n_features)
        self.cross = np.zeros((values.n_features, residuals.shape[1]))
        slab, slab_blocks = [], max(1, limit_bytes // (8 * values.n_features * values.block_cases))
        for cases, block in values.blocks():
            self.mean += weights[cases] @ block
            self.cross += block.T @ residuals[cases]
            root = np.sqrt(weights[cases])[:, None]
            for number, matrix in self._of_features.items():
                weighted = take_columns(block, self._groups[number]) * root
                # Sums in place, where += would need another matrix.
                self._of_features[number] = dsyrk(1.0, weighted.T, beta=1.0, c=matrix, lower=1, overwrite_c=1)
            if self._of_cases:
                slab.append((cases, block))
                if len(slab) == slab_blocks or cases.stop == values.n_cases:
                    self._multiply(values, slab)
                    slab = []
        self.mean /= weights.sum()

    def _multiply(self, values, slab):
        """Fill in the products of a slab with the cases before it and with itself."""
        before = islice(values.blocks(), slab[0][0].start // values.block_cases)
        for cases, block in chain(before, slab):
            for later_cases, later in slab:
                if later_cases.start < cases.start:
                    continue
                for number, matrix in self._of_cases.items():
                    columns = self._groups[number]
                    product = take_columns(later, columns) @ take_columns(block, columns).T
                    matrix[later_cases, cases], matrix[cases, later_cases] = product, product.T

    def _centre(self, weights):
        total, root = weights.sum(), np.sqrt(weights)
        for number, matrix in self._of_features.items():
            mean = self.mean[self._groups[number], None] * np.sqrt(total)
            self._of_features[number] = dsyrk(-1.0, mean, beta=1.0, c=matrix, lower=1, overwrite_c=1)
        for matrix in self._of_cases.values():
            mean = matrix @ weights / total  # products of each case with the mean
            matrix -= mean
            matrix -= mean[:, None]
            matrix += weights @ mean / total
            matrix *= root
            matrix *= root[:, None]

    def take(self, number):
        """Return the lower triangle of a group's matrix, Fortran order, and keep none of it.

        Called once for each group, in the order of ``order``.
        """
        host = self._hosts[number]
        if host in self._of_cases:
            return self._of_cases.pop(host).T
        if host == number:
            return self._of_features.pop(host)
        part = np.searchsorted(self._groups[host], self._groups[number])
        return self._of_features[host].T[np.ix_(part, part)].T
