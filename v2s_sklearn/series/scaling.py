"""Series as the views hear them: standardised, decorrelated, shortened, padded to one array.

Shape legend: N cases, C channels, T time points (of the longest series).
"""

import numpy as np

from v2s_sklearn.series.batch import SeriesBatch
from v2s_sklearn.series.moments import orthonormal_mixture, power_of_two, shorten

# Cases scaled at a time, so that no copy of all of X is made in double precision.
BLOCK_CASES = 256
# Largest value that is heard: squares of sums of such ones fit into float32. In training no value is so many deviations
# away from the mean; in a new case larger ones are cut.
LIMIT = 1e9
# Sums of such values, over any deviation that counts as one, are finite in double precision.
FINITE = 1e150


class SeriesScaler:
    """Scale each channel by its moments over the training cases, decorrelate the channels, shorten long series.

    More channels than there is room for are mixed at random, without labels: orthonormal mixtures of the decorrelated
    channels.

    Parameters
    ----------
    standardize : bool, default=True
        Otherwise series are only shortened and padded.
    max_points : int, optional
        Longer series are averaged down to this many points.
    max_channels : int, optional
        More channels are mixed to this many.
    seed : int, default=0
        Of the mixtures.

    Attributes
    ----------
    mean_, scale_ : ndarray of shape (C,)
        What is subtracted and divided by: weighted moments over all cases and time points, 0 and 1 without
        ``standardize``.
    training_mean_ : ndarray of shape (C,)
        Weighted mean of each channel, whether it is subtracted or not.
    unit_ : ndarray of shape (C,)
        Powers of two near the largest values, in which is computed, so that nothing overflows; they change no digit.
    mixture_ : ndarray of shape (min(C, max_channels), C)
        What decorrelates the scaled channels, see `decorrelation`, and mixes them.
    """

    def __init__(self, standardize=True, max_points=None, max_channels=None, seed=0):
        self.standardize = standardize
        self.max_points = max_points
        self.max_channels = max_channels
        self.seed = seed

    def to_tree(self, name, writer):
        """Return the scaler as an object of JSON, see `v2s_sklearn.files.trees`."""
        return {"scaler": writer.encode(vars(self), name)}

    def fit(self, X, sample_weight=None):
        """Take the moments of the training series and choose the mixtures.

        Parameters
        ----------
        X : array of shape (N, C, T), or list of N arrays (C, T_i)
        sample_weight : array of shape (N,), optional

        Returns
        -------
        self
        """
        n_channels = X[0].shape[0]
        self.mean_, self.scale_, self.mixture_ = np.zeros(n_channels), np.ones(n_channels), np.eye(n_channels)
        weights = np.ones(len(X)) if sample_weight is None else sample_weight
        weights = weights / (weights * np.array([case.shape[1] for case in X])).sum()
        self.unit_ = power_of_two(np.max([np.abs(case).max(axis=1) for case in X], axis=0))
        unit = self.unit_[:, None]
        mean = sum(w * (case / unit).sum(axis=1) for w, case in zip(weights, X, strict=True))
        self.training_mean_ = mean * self.unit_
        if self.standardize:
            self._standardize(X, weights, mean)
        else:
            self.unit_ = np.ones(n_channels)
        if self.max_channels is not None and n_channels > self.max_channels:
            self.mixture_ = orthonormal_mixture(self.max_channels, n_channels, self.seed) @ self.mixture_
        return self

    def _standardize(self, X, weights, mean):
        """Take the deviations of the channels and what decorrelates them.

        ``weights`` are those of a time point of each case, ``mean`` is in units of ``unit_``.
        """
        n_channels = X[0].shape[0]
        unit = self.unit_[:, None]
        covariance = np.zeros((n_channels, n_channels))
        for weight, case in zip(weights, X, strict=True):
            centred = case / unit - mean[:, None]
            covariance += weight * centred @ centred.T
        scale = np.sqrt(np.diag(covariance))
        # What varies by no more than rounding does not vary.
        scale[scale < 1e-12] = 1.0
        self.mean_, self.scale_ = mean * self.unit_, scale * self.unit_
        self.mixture_ = decorrelation(covariance / np.outer(scale, scale))

    def fit_transform(self, X, sample_weight=None):
        """Fit and return the same series; see `fit` and `transform`."""
        return self.fit(X, sample_weight).transform(X)

    def transform(self, X):
        """Return the series as one array, and their lengths.

        Parameters
        ----------
        X : array of shape (N, C, T), or list of N arrays (C, T_i)

        Returns
        -------
        SeriesBatch
            What a `View` takes. Scaled values are cut at `LIMIT` deviations.
        """
        lengths = np.array([case.shape[1] for case in X], dtype=np.int64)
        if self.max_points is not None:
            lengths = np.minimum(lengths, self.max_points)
        series = np.zeros((len(X), len(self.mixture_), lengths.max()), dtype=np.float32)
        for start in range(0, len(X), BLOCK_CASES):
            block = slice(start, start + BLOCK_CASES)
            series[block] = self._scale(X[block], lengths[block], series.shape[2])
        return SeriesBatch(series, lengths)

    def _scale(self, X, lengths, n_points):
        """Return the scaled series of a block of cases, float64 (N, C, T)."""
        padded = np.zeros((len(X), len(self.mean_), n_points))
        unit, mean, scale = (
            values[:, None] for values in (self.unit_, self.mean_ / self.unit_, self.scale_ / self.unit_)
        )
        for row, case, length in zip(padded, X, lengths, strict=True):
            with np.errstate(over="ignore"):
                case = np.clip(case / unit, -FINITE, FINITE)
            row[:, :length] = shorten(case, length)
        inside = np.arange(n_points) < lengths[:, None, None]
        scaled = np.where(inside, (padded - mean) / scale, 0.0)
        if self.standardize:
            np.clip(scaled, -LIMIT, LIMIT, out=scaled)
        return np.einsum("cd,ndt->nct", self.mixture_, scaled) if len(self.mean_) > 1 else scaled


def decorrelation(correlation, shrinkage=0.3):
    """Return the mixture of standardised channels that is uncorrelated and nearest to them: (C, C) to (C, C).

    Parameters
    ----------
    correlation : ndarray of shape (C, C)
        Of the channels.
    shrinkage : float, default=0.3
        Share of the identity in place of the correlation, so that nearly equal channels leave no noise alone. Chosen on
        training splits, see benchmarks/NOTES.md.

    References
    ----------
    .. [1] A. Kessy, A. Lewin, K. Strimmer, Optimal whitening and decorrelation, The American Statistician 72, 2018
       (ZCA-cor).
    """
    variances, directions = np.linalg.eigh(correlation)
    return (directions / np.sqrt((1 - shrinkage) * np.maximum(variances, 0.0) + shrinkage)) @ directions.T
