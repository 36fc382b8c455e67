"""Embeddings of the training cases: a table in memory, or computed again, block by block, each time they are read.

Shape legend: N cases, D embedding values, n cases of a block.
"""

import numpy as np

from v2s_sklearn.runtime.parallel import side_by_side

# Tables of at most so many bytes in double precision are held.
LIMIT_BYTES = 2**30
# A block has at most so many bytes in double precision.
BLOCK_BYTES = 2**26
# In deviations. Outliers weigh less, and a value that hardly varies in training may be thousands away in a new case.
STANDARDISED_LIMIT = 2.0
# Values of some hundred cases that are computed at a time: what fits into a core's cache. And by one worker.
PART_VALUES = 256
WORKER_VALUES = 16 * PART_VALUES


def in_parts(start, stop, size=PART_VALUES):
    """Yield slices of at most ``size`` from ``start`` to ``stop``."""
    for first in range(start, stop, size):
        yield slice(first, min(first + size, stop))


class Embeddings:
    """Values of N cases that are read in blocks of cases, as often as needed.

    Subclasses have `rows`; a case has the same values in every block.

    Parameters
    ----------
    n_cases, n_features : int
        N and D.
    block_cases : int, optional
        Cases of a block, by default as many as have 64 MiB in double precision.
    """

    def __init__(self, n_cases, n_features, block_cases=None):
        self.n_cases = n_cases
        self.n_features = n_features
        self.block_cases = block_cases or max(1, BLOCK_BYTES // (8 * max(1, n_features)))

    def rows(self, index):
        """Return some cases: indices (n,) to (n, D)."""
        raise NotImplementedError

    def blocks(self):
        """Yield the cases in order, as pairs of a slice and an array (n, D) that may be overwritten."""
        for start in range(0, self.n_cases, self.block_cases):
            stop = min(start + self.block_cases, self.n_cases)
            yield slice(start, stop), self.rows(np.arange(start, stop))


class ArrayEmbeddings(Embeddings):
    """A table in memory.

    Parameters
    ----------
    array : ndarray of shape (N, D)
    block_cases : int, optional
        See `Embeddings`.
    """

    def __init__(self, array, block_cases=None):
        super().__init__(*array.shape, block_cases)
        self.array = array

    def rows(self, index):
        """Return a copy of some cases: indices (n,) to (n, D)."""
        return self.array[index]


def as_embeddings(embeddings):
    """Return `Embeddings` as they are, and an array (N, D) as such."""
    return embeddings if hasattr(embeddings, "blocks") else ArrayEmbeddings(embeddings)


class ComputedEmbeddings(Embeddings):
    """Values that a function computes again each time.

    Parameters
    ----------
    function : callable
        Takes indices (n,) of cases, returns their values (n, D), float32, the same each time.
    n_cases, n_features, block_cases
        See `Embeddings`.
    """

    def __init__(self, function, n_cases, n_features, block_cases=None):
        super().__init__(n_cases, n_features, block_cases)
        self.function = function

    def rows(self, index):
        """Return some cases: indices (n,) to (n, D)."""
        return self.function(index)


def standardise(values, mean, scale):
    """Return standardised values in double precision, cut at `STANDARDISED_LIMIT`: (n, D), (D,) and (D,) to (n, D)."""
    values = values.astype(np.float64)
    values -= mean
    values /= scale
    return np.clip(values, -STANDARDISED_LIMIT, STANDARDISED_LIMIT, out=values)


class StandardisedEmbeddings(Embeddings):
    """Values as `standardise` gives them.

    Parameters
    ----------
    embeddings : Embeddings
    mean, scale : ndarray of shape (D,)
        See `standardisation`.
    """

    def __init__(self, embeddings, mean, scale):
        super().__init__(embeddings.n_cases, embeddings.n_features, embeddings.block_cases)
        self.embeddings = embeddings
        self.mean = mean
        self.scale = scale

    def rows(self, index):
        """Return some cases: indices (n,) to (n, D)."""
        return standardise(self.embeddings.rows(index), self.mean, self.scale)

    def columns(self, columns, dtype=np.float64):
        """Return some values, indices (d,), of all cases of a table in memory: (N, d)."""
        values = np.empty((self.n_cases, len(columns)), dtype=dtype)
        for cases in in_parts(0, self.n_cases, self.block_cases):
            block = self.embeddings.array[cases]
            for part in in_parts(0, len(columns)):
                some = columns[part]
                values[cases, part] = standardise(block[:, as_slice(some)], self.mean[some], self.scale[some])
        return values


def as_slice(index):
    """Return indices as a slice where they follow one another, which is read in a fraction of the time."""
    follow = len(index) and index[-1] - index[0] == len(index) - 1 and (np.diff(index) == 1).all()
    return slice(index[0], index[-1] + 1) if follow else index


def hold(embeddings, limit_bytes=LIMIT_BYTES):
    """Return the embeddings as a table in memory if they are small enough, otherwise as they are."""
    too_large = embeddings.n_cases * embeddings.n_features * 8 > limit_bytes
    if too_large or isinstance(embeddings, ArrayEmbeddings):
        return embeddings
    # In one reading, in which workers need not wait for one another at the end of each block.
    return ArrayEmbeddings(embeddings.rows(np.arange(embeddings.n_cases)), embeddings.block_cases)


def select(embeddings, index):
    """Return the embeddings of some cases, indices (n,)."""
    return ComputedEmbeddings(
        lambda some: embeddings.rows(index[some]), len(index), embeddings.n_features, embeddings.block_cases
    )


def standardisation(embeddings, weights, n_jobs=1):
    """Return the weighted mean and standard deviation of each value, each (D,), in one pass over the cases.

    Blocks are merged as in [1]_. A value that does not vary carries nothing, and its deviation is rounding noise: it
    gets an infinite one. ``n_jobs`` threads take values each, and the same number at a time whatever their number.

    References
    ----------
    .. [1] T. Chan, G. Golub, R. LeVeque, Algorithms for computing the sample variance, The American Statistician 1983.
    """
    total, mean, squares = 0.0, np.zeros(embeddings.n_features), np.zeros(embeddings.n_features)

    def add(block, shares, share, columns):
        """Add some values of a block of cases, whose shares of its weight and its own of all so far are given."""
        for part in in_parts(columns.start, columns.stop):
            values = block[:, part].astype(np.float64)
            block_mean = shares @ values
            values -= block_mean
            step = block_mean - mean[part]
            block_squares = shares @ np.square(values, out=values)
            squares[part] += share * (block_squares - squares[part]) + step**2 * (share * (1 - share))
            mean[part] += step * share

    for cases, block in embeddings.blocks():
        block_total = weights[cases].sum()
        total += block_total
        given = block, weights[cases] / block_total, block_total / total
        workers = ((*given, columns) for columns in in_parts(0, embeddings.n_features, WORKER_VALUES))
        list(side_by_side(add, workers, n_jobs, require="sharedmem"))
    scale = np.sqrt(squares)
    scale[scale < 1e-6 * (1 + np.abs(mean))] = np.inf
    return mean, scale
