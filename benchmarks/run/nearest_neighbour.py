"""Exact nearest neighbour by dynamic time warping without a window, fast enough for series of thousands of points."""

import numpy as np
from dtaidistance import dtw
from sklearn.base import BaseEstimator, ClassifierMixin


class NearestNeighbourDTW(ClassifierMixin, BaseEstimator):
    """1NN-DTW for univariate series of equal length, X (n_cases, 1, n_timepoints).

    The same neighbours as aeon's ``KNeighborsTimeSeriesClassifier(distance="dtw")``. Training series are tried in the
    order of their Euclidean distance, which is no less than the warped one, and each is given up where it cannot win.
    """

    def fit(self, X, y):
        """Keep the training series."""
        self.classes_, self.labels_ = np.unique(y, return_inverse=True)
        self.series_ = np.ascontiguousarray(X[:, 0], dtype=np.float64)
        return self

    def predict_proba(self, X):
        """Return 1 for the class of the nearest neighbour and 0 for the others."""
        return np.eye(len(self.classes_))[self.labels_[[self._nearest(case) for case in np.asarray(X[:, 0], float)]]]

    def predict(self, X):
        """Return the class of the nearest neighbour."""
        return self.classes_[self.predict_proba(X).argmax(axis=1)]

    def _nearest(self, case):
        euclidean = np.sqrt(((self.series_ - case) ** 2).sum(axis=1))
        order = np.argsort(euclidean, kind="stable")
        nearest, least = order[0], euclidean[order[0]]
        for index in order:
            distance = dtw.distance_fast(case, self.series_[index], max_dist=least, use_pruning=True)
            if distance < least:
                nearest, least = index, distance
        return nearest
