"""Collections of time series: every container becomes float64 arrays in one way; shorter series, cases without copies.

Shape legend: N cases, C channels, T time points (of the longest series).
"""

import difflib

import numpy as np
import pandas as pd
import torch

from v2s_sklearn.errors import InvalidSeriesError, InvalidSeriesTypeError

# What numpy would turn into floats without a word.
NOT_NUMBERS = (str, bytes, np.datetime64, np.timedelta64)


def is_long_frame(X):
    """Return whether X is a frame, or series, whose rows are time points: an index of two levels, cases and times."""
    return isinstance(X, pd.DataFrame | pd.Series) and X.index.nlevels > 1


def is_list(X):
    """Return whether X is a list of series, of any type, or an array of them."""
    if isinstance(X, pd.Series) and X.dtype == object:
        X = list(X)
    if isinstance(X, np.ndarray) and X.dtype == object and X.ndim == 1:
        X = list(X)
    return (
        isinstance(X, list | tuple)
        and len(X) > 0
        and all(hasattr(case, "__len__") and not isinstance(case, NOT_NUMBERS) for case in X)
    )


def as_float64(values, name):
    """Return numbers of any container and type as float64.

    Parameters
    ----------
    values : array-like
    name : str
        For the error: "X", or which series of it.

    Returns
    -------
    ndarray

    Raises
    ------
    InvalidSeriesError
        If they are no numbers, or masked. NaN and infinity stay.
    """
    if isinstance(values, torch.Tensor):
        values = values.detach().cpu()
        values = values.numpy() if values.is_complex() else values.double().numpy()
    if np.ma.isMaskedArray(values):
        if np.ma.getmaskarray(values).any():
            raise InvalidSeriesError(f"{name} has masked values. Fill or interpolate missing values before.")
        values = values.data
    try:
        values = np.asarray(values)
    except (TypeError, ValueError) as error:
        raise InvalidSeriesTypeError(f"{name} cannot be made an array: {error}") from error
    if values.dtype.kind == "c":
        raise InvalidSeriesError(f"Complex data not supported: {name} has dtype {values.dtype}. Give real numbers.")
    if values.dtype.kind == "O":
        values = np.where(pd.isna(values), np.nan, values)  # None and pandas' NA, too
        wrong = [value for value in values.flat if isinstance(value, NOT_NUMBERS)]
        if wrong:
            raise InvalidSeriesTypeError(f"{name} must hold numbers, got {wrong[0]!r}. Convert it before.")
    elif values.dtype.kind not in "biuf":
        raise InvalidSeriesTypeError(
            f"{name} must hold numbers, got dtype {values.dtype}. Convert it to numbers before."
        )
    try:
        return values.astype(np.float64, copy=False)
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidSeriesTypeError(f"{name} must hold numbers that fit into float64: {error}") from error


def check_finite(values, name):
    """Raise an error that names the array if it holds NaN or infinity."""
    if not np.isfinite(values).all():
        raise InvalidSeriesError(f"{name} contains NaN or infinity. Fill or interpolate missing values before.")


def check_size(X, limit):
    """Raise an error that names the first series with values beyond plus or minus ``limit``."""
    for index, case in enumerate(X):
        largest = np.abs(case).max()
        if largest > limit:
            raise InvalidSeriesError(
                f"Series {index} of X has values of size {largest:.3g}; with standardize=False at most {limit:g} can "
                "be heard. Rescale X, or set standardize=True."
            )


def convert_list(X):
    """Return a list of series as float64 arrays: (N, C, T), or a list of (C, T_i) where lengths differ.

    Parameters
    ----------
    X : list of array-like
        Each (T_i,) or (C, T_i): arrays of any type of number, masked ones, lists, pandas' series and frames, tensors.

    Raises
    ------
    InvalidSeriesError
        That names the series, if one holds something else than finite numbers, is empty, or has other channels.
    """
    cases = []
    for index, case in enumerate(X):
        name = f"Series {index} of X"
        case = as_float64(case, name)
        if case.ndim not in (1, 2) or case.size == 0:
            raise InvalidSeriesError(
                f"{name} has shape {case.shape}; each series must be a numeric array (n_timepoints,) or (n_channels, "
                "n_timepoints) with at least one value."
            )
        check_finite(case, name)
        cases.append(case.reshape(-1, case.shape[-1]))
        if len(cases[-1]) != len(cases[0]):
            raise InvalidSeriesError(
                f"{name} has {len(cases[-1])} channels and the first one has {len(cases[0])}; all need the same."
            )
    return stack_equal(cases)


def stack_equal(cases):
    """Return series (C, T_i) as one array (N, C, T) if they are of one length, otherwise as they are."""
    return np.stack(cases) if len({case.shape for case in cases}) == 1 else cases


def case_ids(X):
    """Return the cases of a frame with an index of two levels, in the order in which they first appear."""
    return X.index.get_level_values(0).unique()


def convert_long_frame(X, channels=None):
    """Return the series of a frame whose rows are time points.

    Cases are taken in the order in which they first appear, wherever their rows stand; levels without rows count for
    nothing. The rows of a case are sorted by time where times are numbers or dates, and stay as they are otherwise.

    Parameters
    ----------
    X : DataFrame or Series
        Index of two levels, cases and time points; a column a channel.
    channels : sequence, optional
        Columns to take, in this order; those of the frame by default.

    Returns
    -------
    series : ndarray of shape (N, C, T), or list of arrays (C, T_i)
        float64.
    channels : list
        The columns.

    Raises
    ------
    InvalidSeriesError
        That names what is wrong: columns other than ``channels``, a case with a time twice, values that are no finite
        numbers.
    """
    X = X.to_frame() if isinstance(X, pd.Series) else X
    if X.index.nlevels != 2 or X.size == 0:
        raise InvalidSeriesError(
            f"X is a frame with {X.index.nlevels} index levels and shape {X.shape}. Needed are two levels, cases and "
            "time points, and at least one row and column."
        )
    channels = list(X.columns) if channels is None else list(channels)
    _check_columns(list(X.columns), channels)
    X = X[channels]
    codes, ids = pd.factorize(X.index.get_level_values(0))
    times = X.index.get_level_values(1)
    if (codes < 0).any() or times.isna().any():
        raise InvalidSeriesError("The index of X contains NaN. Each row needs a case and a time point.")
    twice = X.index.duplicated()
    if twice.any():
        case, time = X.index[twice.argmax()]
        raise InvalidSeriesError(f"Case {case} of X has the time point {time} more than once. Each may stand once.")
    sortable = times.dtype.kind in "biufmM" or isinstance(times, pd.PeriodIndex | pd.DatetimeIndex)
    order = np.lexsort((times.argsort().argsort(), codes)) if sortable else np.argsort(codes, kind="stable")
    values = np.empty(X.shape)
    for column, channel in enumerate(channels):
        values[:, column] = as_float64(X.iloc[:, column].to_numpy(), f"Column {channel!r} of X")
    bad = ~np.isfinite(values).all(axis=1)
    if bad.any():
        row = bad.argmax()
        check_finite(values[row], f"Case {ids[codes[row]]} of X")
    ends = np.cumsum(np.bincount(codes))[:-1]
    return stack_equal([np.ascontiguousarray(case.T) for case in np.split(values[order], ends)]), channels


def _check_columns(columns, channels):
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


def align(values, X):
    """Return labels or weights in the order of the cases of X.

    They are taken as they stand, but for a pandas series, or a frame of one column, that has the ids of a two-level
    frame X as its index.
    """
    if not is_long_frame(X) or not isinstance(values, pd.Series | pd.DataFrame):
        return values
    ids = case_ids(X)
    same = len(values) == len(ids) and values.index.is_unique and ids.isin(values.index).all()
    return values.loc[ids] if same else values
