"""The training cases: distinct series, from which all is learned that needs no labels, and the labels that they have.

Shape legend: N cases as given, S distinct series, M pairs of a series and a label, C channels.
"""

from dataclasses import dataclass, replace

import numpy as np

from v2s_sklearn.errors import InvalidSeriesError
from v2s_sklearn.series.moments import normalise_weights


@dataclass(frozen=True)
class TrainingCases:
    """Training cases, each once: a case of weight 2 is the same as the case given twice.

    No copy of a case stays behind when it is left out. What has no weight is not among them.

    Attributes
    ----------
    series : list of S arrays of shape (C, T_i)
        In an order that depends on the series alone, not on their labels or the order in which they were given.
    series_weight : ndarray of shape (S,)
        Without the weights of classes.
    rows : int ndarray of shape (M,)
        Which series, increasing among those of a label. A series with several labels is there several times.
    labels : int ndarray of shape (M,), increasing
        -1 of a series without label.
    weights : ndarray of shape (M,)
        With the weights of classes; of a series without label as of the class of most weight.
    """

    series: list
    series_weight: np.ndarray
    rows: np.ndarray
    labels: np.ndarray
    weights: np.ndarray

    def labelled(self):
        """Return the same series, but only the pairs with a label."""
        known = self.labels >= 0
        return replace(self, rows=self.rows[known], labels=self.labels[known], weights=self.weights[known])


def merge_cases(X, labels, sample_weight, class_weight):
    """Return the `TrainingCases`: cases that are the same in series and label are merged, those without weight dropped.

    Parameters
    ----------
    X : sequence of N arrays of shape (C, T_i)
    labels : int ndarray of shape (N,)
        -1 for none.
    sample_weight : ndarray of shape (N,)
        Non-negative.
    class_weight : ndarray of shape (n_classes,)
        Non-negative.

    Raises
    ------
    InvalidSeriesError
        If no case with a label has a weight.
    """
    sample_weight = normalise_weights(sample_weight)
    weights = normalise_weights(sample_weight * np.append(normalise_weights(class_weight), 1.0)[labels])
    if not weights[labels >= 0].any():
        raise InvalidSeriesError(
            "All cases with a label have sample_weight 0, or a class_weight of 0. Give at least one a positive weight."
        )
    series, series_weight, rows = _distinct_series(X, sample_weight)
    counted = weights > 0
    pairs, number = np.unique((labels * len(series) + rows)[counted], return_inverse=True)
    labels, rows = np.divmod(pairs, len(series))
    return TrainingCases(series, series_weight, rows, labels, np.bincount(number, weights[counted]))


def _distinct_series(X, weights):
    """Return the distinct series with a weight, sorted, their weights (S,), and which of them each case is, (N,).

    That of a case without weight means nothing.
    """
    keys = [(case.shape, np.ascontiguousarray(case).tobytes()) for case in X]
    first: dict[tuple, int] = {}
    for index in np.flatnonzero(weights):
        first.setdefault(keys[index], index)
    place = {key: row for row, key in enumerate(sorted(first))}
    rows = np.array([place.get(key, 0) for key in keys])
    return [X[first[key]] for key in place], np.bincount(rows, weights, len(place)), rows
