"""Collections of time series as arrays: padded, shortened, without copies of a case.

Shape legend: N cases, C channels, T time points (of the longest series).
"""

import numpy as np

from v2s_sklearn.errors import InvalidSeriesError


def is_list_collection(X):
    """Return whether X is one of aeon's list-like collections, which scikit-learn's checks do not know."""
    if isinstance(X, list | tuple):
        return len(X) > 0 and all(hasattr(case, "ndim") and case.ndim >= 1 for case in X)
    return hasattr(X, "index") and getattr(X.index, "nlevels", 1) > 1


def pad_collection(X, max_points):
    """Return a collection as one array and the lengths of its series.

    Parameters
    ----------
    X : array of shape (N, C, T), or list of N arrays (C, T_i)
    max_points : int
        Longer series are averaged down to this many points.

    Returns
    -------
    series : float64 array of shape (N, C, T)
        Zero after the end of a series.
    lengths : int64 array of shape (N,)
    """
    if isinstance(X, np.ndarray) and X.shape[2] <= max_points:
        return X, np.full(len(X), X.shape[2])
    cases = [shorten(case, max_points) for case in X]
    lengths = np.array([case.shape[1] for case in cases])
    series = np.zeros((len(cases), cases[0].shape[0], lengths.max()))
    for row, case in zip(series, cases, strict=True):
        row[:, : case.shape[1]] = case
    return series, lengths


def shorten(case, max_points):
    """Return a series (C, T) with at most ``max_points`` time points, means of neighbouring ones."""
    n_points = case.shape[1]
    if n_points <= max_points:
        return case
    edges = np.linspace(0, n_points, max_points + 1).astype(int)
    return np.add.reduceat(case, edges[:-1], axis=1) / np.diff(edges)


def difference_scale(data, sample_weight):
    """Return the weighted standard deviation of the first differences of each channel, (C,); 1 where there are none.

    ``data`` holds "series" (N, C, T) and "lengths" (N,), as the net takes them.
    """
    differences = np.diff(data["series"].astype(np.float64), axis=2)
    inside = np.arange(1, data["series"].shape[2]) < data["lengths"][:, None]
    weights = (sample_weight[:, None] * inside)[:, None, :]
    total = weights.sum()
    if total == 0:
        return np.ones(differences.shape[1])
    mean = (weights * differences).sum(axis=(0, 2)) / total
    scale = np.sqrt((weights * (differences - mean[:, None]) ** 2).sum(axis=(0, 2)) / total)
    return np.where(scale < 1e-6, 1.0, scale)


def decorrelation(correlation, shrinkage=0.3):
    """Return the mixture of standardised channels that is uncorrelated and nearest to them: (C, C) to (C, C).

    Parameters
    ----------
    correlation : ndarray of shape (C, C)
        Of the channels.
    shrinkage : float, default=0.3
        Share of the identity in place of the correlation, so that nearly equal channels leave no noise alone.

    References
    ----------
    .. [1] A. Kessy, A. Lewin, K. Strimmer, Optimal whitening and decorrelation, The American Statistician 72, 2018
       (ZCA-cor).
    """
    variances, directions = np.linalg.eigh(correlation)
    return (directions / np.sqrt((1 - shrinkage) * np.maximum(variances, 0.0) + shrinkage)) @ directions.T


def merge_copies(X, labels, sample_weight):
    """Merge cases that are the same in series and label, and drop cases without weight.

    So a case of weight 2 is the same as the case given twice, and no copy of a case stays behind when it is left out.

    Parameters
    ----------
    X : sequence of N arrays of shape (C, T_i)
    labels : int array of shape (N,)
    sample_weight : array of shape (N,)
        Non-negative.

    Returns
    -------
    X : list of arrays
        In an order that does not depend on the order given.
    labels, sample_weight : arrays
    """
    weights, first = {}, {}
    for index, (case, label, weight) in enumerate(zip(X, labels, sample_weight, strict=True)):
        if weight > 0:
            key = (int(label), case.shape, np.ascontiguousarray(case).tobytes())
            weights[key] = weights.get(key, 0.0) + weight
            first.setdefault(key, index)
    keys = sorted(weights)
    if not keys:
        raise InvalidSeriesError("All cases have sample_weight 0. Give at least one case a positive weight.")
    chosen = [first[key] for key in keys]
    return [X[i] for i in chosen], labels[chosen], np.array([weights[key] for key in keys])
