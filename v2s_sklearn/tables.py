"""Collections of time series: which containers there are, shorter series, cases without copies.

Shape legend: N cases, C channels, T time points (of the longest series).
"""

import numpy as np

from v2s_sklearn.errors import InvalidSeriesError


def is_list_collection(X):
    """Return whether X is one of aeon's list-like collections, which scikit-learn's checks do not know."""
    if isinstance(X, list | tuple):
        return len(X) > 0 and all(hasattr(case, "ndim") and case.ndim >= 1 for case in X)
    return hasattr(X, "index") and getattr(X.index, "nlevels", 1) > 1


def shorten(case, max_points):
    """Return a series (C, T) with at most ``max_points`` time points, means of neighbouring ones."""
    n_points = case.shape[1]
    if n_points <= max_points:
        return case
    edges = np.linspace(0, n_points, max_points + 1).astype(int)
    return np.add.reduceat(case, edges[:-1], axis=1) / np.diff(edges)


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
