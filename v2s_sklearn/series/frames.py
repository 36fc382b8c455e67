"""Frames whose rows are time points: an index of two levels, cases and times; a column a channel.

Shape legend: N cases, C channels, T time points (of the longest series).
"""

import difflib
import warnings
from typing import Any

import numpy as np
import pandas as pd

from v2s_sklearn.errors import InvalidSeriesError, InvalidSeriesTypeError
from v2s_sklearn.series.containers import as_float64, check_not_infinite, stack_equal
from v2s_sklearn.series.labels import check_labels
from v2s_sklearn.series.times import is_regular, order_times, warn_irregular


def is_long_frame(X):
    """Return whether X is a frame, or series, whose rows are time points: an index of two levels, cases and times."""
    return isinstance(X, pd.DataFrame | pd.Series) and X.index.nlevels > 1


def case_ids(X):
    """Return the cases of a frame with an index of two levels, in the order in which they first appear."""
    return X.index.get_level_values(0).unique()


def convert_long_frame(X, channels=None):
    """Return the series of a frame whose rows are time points.

    Cases are taken in the order in which they first appear, wherever their rows stand; levels without rows count for
    nothing. The rows of a case are sorted by time, see `v2s_sklearn.series.times.order_times`.

    Parameters
    ----------
    X : DataFrame or Series
        Index of two levels, cases and time points; a column a channel.
    channels : sequence, optional
        Columns to take, in this order; those of the frame by default.

    Returns
    -------
    series : ndarray of shape (N, C, T), or list of arrays (C, T_i)
        float64, NaN where a value is missing.
    channels : list
        The columns.

    Raises
    ------
    InvalidSeriesError
        That names what is wrong: columns other than ``channels``, a case with a time twice, times without an order,
        values that are no numbers or infinite.

    Warns
    -----
    UserWarning
        If the times are not equally spaced.
    """
    X = X.to_frame() if isinstance(X, pd.Series) else X
    if X.index.nlevels != 2 or X.size == 0:
        raise InvalidSeriesError(
            f"X is a frame with {X.index.nlevels} index levels and shape {X.shape}. Needed are two levels, cases and "
            "time points, and at least one row and column."
        )
    channels = list(X.columns) if channels is None else list(channels)
    check_columns(list(X.columns), channels)
    X = X[channels]
    codes, ids = pd.factorize(X.index.get_level_values(0))
    times = X.index.get_level_values(1)
    if (codes < 0).any() or times.isna().any():
        raise InvalidSeriesError("The index of X contains NaN. Each row needs a case and a time point.")
    twice = X.index.duplicated()
    if twice.any():
        case, time = X.index[twice.argmax()]
        raise InvalidSeriesError(f"Case {case} of X has the time point {time} more than once. Each may stand once.")
    ranks, places = order_times(times)
    order = np.lexsort((ranks, codes))
    if places is not None and not is_regular(places[order], codes[order]):
        warn_irregular()
    values = np.empty(X.shape)
    for column, channel in enumerate(channels):
        values[:, column] = as_float64(X.iloc[:, column].to_numpy(), f"Column {channel!r} of X")
    infinite = np.isinf(values).any(axis=1)
    if infinite.any():
        row = infinite.argmax()
        check_not_infinite(values[row], f"Case {ids[codes[row]]} of X")
    ends = np.cumsum(np.bincount(codes))[:-1]
    return stack_equal([np.ascontiguousarray(case.T) for case in np.split(values[order], ends)]), channels


def check_columns(columns, channels):
    """Raise an error if the columns of a frame are not those of fit."""
    if len(set(columns)) != len(columns):
        raise InvalidSeriesError(f"X has columns of the same name: {columns}. Each channel needs a name of its own.")
    missing = [name for name in channels if name not in columns]
    unknown = [name for name in columns if name not in channels]
    if missing or unknown:
        close = difflib.get_close_matches(str(missing[0]), map(str, unknown), n=1) if missing else []
        hint = f" Did you mean {missing[0]!r} by {close[0]!r}?" if close else ""
        raise InvalidSeriesError(
            f"The columns of X have to be those of fit, {channels}: {missing} are missing, {unknown} are unknown.{hint}"
        )


def align(values, X, name="y"):
    """Return labels or weights in the order of the cases of X.

    They are taken as they stand, but for a pandas series, or a frame of one column, that has the ids of a two-level
    frame X as its index.

    Warns
    -----
    UserWarning
        If they are taken as they stand beside a frame whose cases do not stand in the order of their ids: by what
        groups rows, such as ``groupby``, they would have the order of the ids.
    """
    if not is_long_frame(X) or values is None:
        return values
    ids = case_ids(X)
    if isinstance(values, pd.Series | pd.DataFrame):
        same = len(values) == len(ids) and values.index.is_unique and ids.isin(values.index).all()
        if same:
            return values.loc[ids]
    if not ids.is_monotonic_increasing:
        shown = ", ".join(str(one) for one in ids[:3])
        warnings.warn(
            f"{name} has no index with the ids of X, which do not stand in order in X: {name} is taken in the order in "
            f"which the cases first appear there, {shown} ... Give a pandas.Series with the ids as its index.",
            stacklevel=3,
        )
    return values


def from_long_frame(X: pd.DataFrame | pd.Series, y: Any = None) -> Any:
    """Return the series of a frame with a two-level index as a collection with one entry a case.

    So what counts rows, such as ``cross_val_score``, ``GridSearchCV`` or ``train_test_split``, counts cases.

    Parameters
    ----------
    X : DataFrame or Series
        Index of two levels, cases and time points; a column a channel. Rows in any order.
    y : array-like of shape (n_cases,), optional
        Labels. A pandas series with the ids of the cases as its index is put in their order; others are taken in the
        order in which the cases first appear in X.

    Returns
    -------
    series : ndarray of shape (n_cases, n_channels, n_timepoints), or list of arrays (n_channels, n_timepoints_i)
        float64, in the order in which the cases first appear; a list where lengths differ. NaN where a value is
        missing.
    y : ndarray of shape (n_cases,)
        Only if it was given.

    Raises
    ------
    InvalidSeriesError
        If X is no such frame, or y has another number of labels; see also the estimators' ``fit``.

    Examples
    --------
    >>> import pandas as pd
    >>> from v2s_sklearn import from_long_frame
    >>> index = pd.MultiIndex.from_product([["b", "a"], [0, 1, 2]], names=["case", "time"])
    >>> X = pd.DataFrame({"speed": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]}, index=index)
    >>> series, y = from_long_frame(X, pd.Series({"a": "up", "b": "down"}))
    >>> series.shape, y.tolist()
    ((2, 1, 3), ['down', 'up'])
    """
    if not is_long_frame(X):
        raise InvalidSeriesTypeError(
            f"X must be a pandas DataFrame with an index of two levels, cases and time points, got {type(X).__name__}."
        )
    series, _ = convert_long_frame(X)
    if y is None:
        return series
    labels = check_labels(align(y, X))
    if len(labels) != len(series):
        raise InvalidSeriesError(f"X has {len(series)} cases, but y has {len(labels)} labels. Give one label a case.")
    return series, labels
