"""Missing values: where a series ends, gaps inside it, channels of which nothing is known.

Gaps inside a channel are interpolated linearly over the time points, before its first and after its last value it keeps
that. A channel without any value stays NaN here; the scaler, which knows the mean of the channel over the training
cases, sets it to that.

NaN behind a series, in all its channels, can say two things: that the series ends there, or that its end is missing.
The training cases decide. If nothing else is missing in them, series end where NaN begins: they are series of unequal
length, padded with NaN to one array. If there are gaps elsewhere, it is one more gap; only time points at the end at
which no case has a value are left out. In prediction each case is looked at alone: if the training cases were series of
unequal length without gaps, it ends where NaN begins; if they were of one length, it has at least that length, or its
own where that is less.

Shape legend: N cases, C channels, T time points (of the longest series).
"""

import numpy as np

from v2s_sklearn.errors import InvalidSeriesError
from v2s_sklearn.series.containers import stack_equal
from v2s_sklearn.series.moments import power_of_two


def fill_training_gaps(X):
    """Return the training cases with their gaps filled and their ends cut, and whether values are missing in them.

    Parameters
    ----------
    X : array of shape (N, C, T), or list of N arrays (C, T_i)
        float64, NaN where a value is missing.

    Returns
    -------
    X : array or list
        NaN in channels without any value only. X itself where nothing is missing.
    missing : bool
        False where NaN stands behind series only.

    Raises
    ------
    InvalidSeriesError
        If X has no value at all.
    """
    if not _has_nan(X):
        return X, False
    ends = [_end(case) for case in X]
    if not any(ends):
        raise InvalidSeriesError("X has no values: all are missing.")
    missing = any(end == 0 or np.isnan(case[:, :end]).any() for case, end in zip(X, ends, strict=True))
    longest = max(ends)
    lengths = [min(case.shape[1], longest) for case in X] if missing else ends
    return _fill(X, lengths), missing


def fill_gaps(X, least_points):
    """Return cases with their gaps filled, each on its own.

    Parameters
    ----------
    X : array of shape (N, C, T), or list of N arrays (C, T_i)
        float64, NaN where a value is missing.
    least_points : int
        Where NaN begins, a series ends if it has so many time points before. 0 for series of unequal length.

    Returns
    -------
    X : array or list
        As `fill_training_gaps` returns it.
    """
    if not _has_nan(X):
        return X
    lengths = [max(_end(case) or case.shape[1], min(case.shape[1], least_points)) for case in X]
    return _fill(X, lengths)


def absent_channels(X):
    """Return which channels of which cases have no value after their gaps were filled: (N, C, T) to bool (N, C)."""
    return np.isnan(X[:, :, 0]) if isinstance(X, np.ndarray) else np.stack([np.isnan(case[:, 0]) for case in X])


def fill_absent(X, values):
    """Return cases whose channels without any value are set to a value each: (N, C, T), (C,) to (N, C, T), or lists."""
    absent = absent_channels(X)
    if not absent.any():
        return X
    filled = [
        np.where(channels[:, None], values[:, None], case) if channels.any() else case
        for case, channels in zip(X, absent, strict=True)
    ]
    return stack_equal(filled)


def _has_nan(X):
    """Return whether a value is missing, without a copy of X."""
    return any(np.isnan(case).any() for case in X)


def _end(case):
    """Return how many time points there are up to the last value of any channel: (C, T) to int."""
    present = np.flatnonzero(~np.isnan(case).all(axis=0))
    return int(present[-1]) + 1 if len(present) else 0


def _fill(X, lengths):
    """Return cases cut to their lengths, without gaps."""
    return stack_equal([_interpolate(case[:, :length]) for case, length in zip(X, lengths, strict=True)])


def _interpolate(case):
    """Return a case, (C, T), whose gaps are filled; channels without any value stay NaN."""
    gaps = np.isnan(case)
    if not gaps.any():
        return case
    filled = case.copy()
    points = np.arange(case.shape[1])
    for channel, gap in zip(filled, gaps, strict=True):
        if gap.all():
            channel[:] = np.nan  # of one kind: equal cases are found by their bytes
        elif gap.any():
            known = channel[~gap]
            unit = power_of_two(np.abs(known).max())  # differences of the largest numbers are none
            channel[gap] = np.interp(points[gap], points[~gap], known / unit) * unit
    return filled
