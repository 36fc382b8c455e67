"""Series as the views hear them: standardised, decorrelated, shortened, padded to one array.

Shape legend: N cases, C channels, T time points (of the longest series).
"""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from v2s_sklearn.series.gaps import absent_channels, fill_absent
from v2s_sklearn.series.moments import orthonormal_mixture, power_of_two, shorten

# Cases scaled at a time, so that no copy of all of X is made in double precision.
BLOCK_CASES = 256
# Largest value that is heard: squares of sums of such ones fit into float32. In training no value is so many deviations
# away from the mean; in a new case larger ones are cut.
LIMIT = 1e9
# A channel of a case stands still if it varies by no more than some steps of single precision, in which series are
# heard, beside the deviation in training; or by no more than this share of its own size, since sums of rounded numbers
# lose a digit or two, if that is little beside the deviation, too: what lies far from zero may vary in its last digits.
ROUNDING = 4 * float(np.finfo(np.float32).eps)
SHARE_OF_SIZE, SHARE_OF_DEVIATION = 1e-5, 1e-2
# Sums of such values, over any deviation that counts as one, are finite in double precision.
FINITE = 1e150


@dataclass(frozen=True)
class SeriesBatch:
    """Series of several lengths.

    Attributes
    ----------
    series : float32 ndarray of shape (N, C, T)
        Zero after the end of a series.
    lengths : int64 ndarray of shape (N,)
        Time points of each series.
    """

    series: np.ndarray
    lengths: np.ndarray

    def __len__(self):
        return len(self.series)

    def __getitem__(self, index):
        """Return some cases: a slice or indices (n,)."""
        return SeriesBatch(self.series[index], self.lengths[index])


class SeriesScaler:
    """Scale each channel by its moments over the training cases, decorrelate the channels, shorten long series.

    A channel of a case that varies by no more than rounding is made constant, so that nothing that comes after hears
    the rounding; one without any value is the mean of the training cases.

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
    deviation_ : ndarray of shape (C,)
        Standard deviation of each channel, whether it is divided by or not; near its largest value where it is none.
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
            NaN in channels without any value only, which are taken to be the mean of the others.
        sample_weight : array of shape (N,), optional

        Returns
        -------
        self
        """
        n_channels = X[0].shape[0]
        self.mean_, self.scale_, self.mixture_ = np.zeros(n_channels), np.ones(n_channels), np.eye(n_channels)
        weights = np.ones(len(X)) if sample_weight is None else sample_weight
        lengths = np.array([case.shape[1] for case in X])
        weights = weights / (weights * lengths).sum()
        known = fill_absent(X, np.zeros(n_channels))
        self.unit_ = power_of_two(np.max([np.abs(case).max(axis=1) for case in known], axis=0))
        unit = self.unit_[:, None]
        mean = sum(w * (case / unit).sum(axis=1) for w, case in zip(weights, known, strict=True))
        if known is not X:
            present = (weights * lengths) @ ~absent_channels(X)
            mean = mean / np.where(present > 0, present, 1.0)
        self.training_mean_ = mean * self.unit_
        self._take_deviations(fill_absent(X, self.training_mean_), weights, mean)
        if self.max_channels is not None and n_channels > self.max_channels:
            self.mixture_ = orthonormal_mixture(self.max_channels, n_channels, self.seed) @ self.mixture_
        return self

    def _take_deviations(self, X, weights, mean):
        """Take the deviations of the channels and, to standardise them, what decorrelates them.

        ``weights`` are those of a time point of each case, ``mean`` is in units of ``unit_``.
        """
        unit = self.unit_[:, None]
        covariance: Any = 0.0  # without standardisation only its diagonal
        for weight, case in zip(weights, X, strict=True):
            centred = case / unit - mean[:, None]
            covariance = covariance + weight * (
                centred @ centred.T if self.standardize else np.square(centred).sum(axis=1)
            )
        scale = np.sqrt(np.diag(covariance) if self.standardize else covariance)
        scale[stand_still(X, scale)] = 1.0
        self.deviation_ = scale * self.unit_
        if self.standardize:
            self.mean_, self.scale_ = self.training_mean_, self.deviation_
            self.mixture_ = decorrelation(covariance / np.outer(scale, scale))
        else:
            self.unit_ = np.ones(len(mean))

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
        for row, case, length in zip(padded, fill_absent(X, self.training_mean_), lengths, strict=True):
            with np.errstate(over="ignore"):
                case = np.clip(case / unit, -FINITE, FINITE)
            row[:, :length] = shorten(case, length)
        inside = np.arange(n_points) < lengths[:, None, None]
        scaled = np.where(inside, (padded - mean) / scale, 0.0)
        if self.standardize:
            np.clip(scaled, -LIMIT, LIMIT, out=scaled)
        still = self._settle(scaled, inside)
        if len(self.mean_) == 1:
            return scaled
        mixed = np.einsum("cd,ndt->nct", self.mixture_, scaled)
        # Sums of what stands still are rounded in several ways, too.
        return np.where(still.all(axis=1)[:, None, None] & inside, mixed[:, :, :1], mixed)

    def deviations(self):
        """Return the deviation of each channel over the training cases, (C,), 0 where it is not known."""
        # Older versions did not note the deviations of what they did not standardise.
        return getattr(self, "deviation_", self.scale_ if self.standardize else np.zeros(len(self.scale_)))

    def _settle(self, scaled, inside):
        """Make constant, in place, what varies by no more than rounding; return which channels stand still, (N, C).

        Parameters
        ----------
        scaled : ndarray of shape (N, C, T)
        inside : bool ndarray of shape (N, 1, T)
            Where the series have values.
        """
        low = np.where(inside, scaled, np.inf).min(axis=2)
        high = np.where(inside, scaled, -np.inf).max(axis=2)
        deviation, level = self.deviations() / self.scale_, self.mean_ / self.scale_
        size = np.maximum(np.abs(low + level), np.abs(high + level))
        least = np.maximum(ROUNDING * deviation, np.minimum(SHARE_OF_SIZE * size, SHARE_OF_DEVIATION * deviation))
        still = high - low <= least
        middle = (low + (high - low) / 2)[:, :, None]
        np.copyto(scaled, middle, where=still[:, :, None] & inside)
        return still


def stand_still(X, scale):
    """Return which channels do not vary over the training cases, but by rounding: (N, C, T), (C,) to bool (C,).

    ``scale`` is the deviation of each in a unit near its largest value. What single precision does not tell apart
    counts for nothing beside channels that vary, unless it is whole numbers, which are exact; if no channel varies
    more, all of them may be far from zero for some other reason.

    Warns
    -----
    UserWarning
        If a channel varies in double precision only.
    """
    still = scale < 1e-12
    doubtful = np.flatnonzero((scale <= np.finfo(np.float32).eps) & ~still)
    if len(doubtful) + still.sum() == len(scale):
        return still
    for channel in doubtful:
        if not all((case[channel] == np.rint(case[channel])).all() for case in X):
            still[channel] = True
            warnings.warn(
                f"Channel {channel} of X varies by less than seven digits tell apart, and is taken to be constant. "
                "Subtract what its values have in common if it is not.",
                stacklevel=2,
            )
    return still


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
