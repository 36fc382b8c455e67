"""Collections of time series: every container becomes float64 arrays in one way, with NaN where a value is missing.

Shape legend: N cases, C channels, T time points (of the longest series).
"""

import warnings

import numpy as np
import pandas as pd
import torch

from v2s_sklearn.errors import InvalidSeriesError, InvalidSeriesTypeError
from v2s_sklearn.series.times import is_time_axis, order_times

# So many times more channels than time points are unlikely; of the multivariate UEA sets the most are 9 times as many.
MANY_CHANNELS = 10
# What numpy would turn into floats without a word.
NOT_NUMBERS = (str, bytes, np.datetime64, np.timedelta64)


def is_list(X):
    """Return whether X is a list of series, of any type, an array of them, or a nested tensor."""
    if isinstance(X, torch.Tensor) and X.is_nested:
        return True
    if isinstance(X, np.ndarray) and X.dtype == object and X.ndim == 1:
        X = list(X)
    return (
        isinstance(X, list | tuple)
        and len(X) > 0
        and all(hasattr(case, "__len__") and not isinstance(case, NOT_NUMBERS) for case in X)
    )


def as_float64(values, name):
    """Return numbers of any container and type as float64, in one order in memory, in which sums are rounded alike.

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
        If they are no numbers. NaN and infinity stay; what is masked, None or pandas' NA becomes NaN.
    """
    if isinstance(values, torch.Tensor):
        values = as_numpy(values, name)
    if np.ma.isMaskedArray(values) and np.ma.getmaskarray(values).any():
        kept, mask = values.data, np.ma.getmaskarray(values)
        values = np.where(mask, np.nan, kept if kept.dtype.kind in "cO" else as_float64(kept, name))
    try:
        values = np.asarray(values)
    except (TypeError, ValueError) as error:
        raise InvalidSeriesTypeError(f"{name} cannot be made an array: {error}") from error
    if values.dtype.kind == "c":
        raise InvalidSeriesError(f"Complex data not supported: {name} has dtype {values.dtype}. Give real numbers.")
    if values.dtype.kind == "O":
        values = np.where(pd.isna(values), np.nan, values)  # None and pandas' NA, too
        wrong = [value for value in values.flat if isinstance(value, (*NOT_NUMBERS, list, tuple)) or _is_array(value)]
        if wrong:
            shown = repr(wrong[0]) if isinstance(wrong[0], NOT_NUMBERS) else f"a {type(wrong[0]).__name__}"
            raise InvalidSeriesTypeError(f"{name} must hold numbers, got {shown}. Convert it before.")
    elif values.dtype.kind not in "biuf":
        raise InvalidSeriesTypeError(
            f"{name} must hold numbers, got dtype {values.dtype}. Convert it to numbers before."
        )
    try:
        return values.astype(np.float64, order="C", copy=False)
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidSeriesTypeError(f"{name} must hold numbers that fit into float64: {error}") from error


def _is_array(value):
    return getattr(value, "ndim", 0) > 0


def as_numpy(tensor, name, error=InvalidSeriesTypeError):
    """Return the values of a tensor as an array; raise an ``error`` that says what it is where it has none at hand."""
    kind = None
    if tensor.is_nested:
        kind, hint = "a nested tensor", "Give a list of its parts, list(tensor.unbind())."
    elif tensor.is_meta:
        kind, hint = "a tensor on the meta device, which holds no values", "Give one with values."
    elif tensor.layout != torch.strided:
        kind, hint = f"a tensor of layout {tensor.layout}", "Give tensor.to_dense()."
    if kind is not None:
        raise error(f"{name} is {kind}. {hint}")
    tensor = tensor.detach().cpu().resolve_conj().resolve_neg()
    return (tensor.double() if tensor.is_floating_point() else tensor).numpy()


def check_not_infinite(values, name):
    """Raise an error that names the array if it holds infinity; NaN is a missing value."""
    if np.isinf(values).any():
        raise InvalidSeriesError(
            f"{name} contains infinity. Find out where it comes from, or set it to NaN, which is filled."
        )


def check_cases(X):
    """Return a float64 array of cases, (N, T) or (N, C, T); raise an error if it is none, or holds infinity."""
    if X.ndim == 1 and X.size == 0:
        raise InvalidSeriesError("X is empty: it holds no series. Give at least one.")
    if X.ndim < 2:
        raise InvalidSeriesError(
            f"X has shape {X.shape}, that of one series or less. Reshape your data: expected are cases, a 2D array "
            "(n_cases, n_timepoints), a 3D array (n_cases, n_channels, n_timepoints) or a list of series, and got 1D "
            "array instead. One series x is given as x[None] or [x]."
        )
    if X.ndim > 3:
        raise InvalidSeriesError(
            f"X must have 2 or 3 dimensions, got {X.ndim}: (n_cases, n_timepoints) or (n_cases, n_channels, "
            "n_timepoints)."
        )
    infinite = np.isinf(X).any(axis=tuple(range(1, X.ndim)))
    if infinite.any():
        check_not_infinite(X[infinite.argmax()], f"Series {infinite.argmax()} of X")
    return X


def warn_of_axes(X):
    """Warn if what is read as channels and as time points, (N, C, T), may be the other way round."""
    n_channels, n_points = X[0].shape[0], max(case.shape[1] for case in X)
    if n_channels > 1 and (n_points == 1 or n_channels > MANY_CHANNELS * n_points):
        warnings.warn(
            f"X was read as {len(X)} cases of {n_channels} channels with {n_points} time points each, axes (n_cases, "
            "n_channels, n_timepoints). If time comes before the channels, as in tslearn and Keras, transpose each "
            "case: X.transpose(0, 2, 1), or x.T in a list.",
            stacklevel=2,
        )


def check_size(X, limit):
    """Raise an error that names the first series with values beyond plus or minus ``limit``."""
    for index, case in enumerate(X):
        largest = np.fmax.reduce(np.abs(case), axis=None)  # NaN aside
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
        A frame whose index holds times has a row a time point; see `rows_as_channels`.

    Raises
    ------
    InvalidSeriesError
        That names the series, if one holds something else than numbers, infinity, is empty, or has other channels.
    """
    cases = []
    for index, case in enumerate(X.unbind() if isinstance(X, torch.Tensor) else X):
        name = f"Series {index} of X"
        if isinstance(case, pd.Series | pd.DataFrame):
            case = rows_as_channels(case, name)
        case = as_float64(case, name)
        if case.ndim not in (1, 2) or case.size == 0:
            raise InvalidSeriesError(
                f"{name} has shape {case.shape}; each series must be a numeric array (n_timepoints,) or (n_channels, "
                "n_timepoints) with at least one value."
            )
        check_not_infinite(case, name)
        cases.append(case.reshape(-1, case.shape[-1]))
        if len(cases[-1]) != len(cases[0]):
            raise InvalidSeriesError(
                f"{name} has {len(cases[-1])} channels and the first one has {len(cases[0])}; all need the same."
            )
    return stack_equal(cases)


def rows_as_channels(case, name):
    """Return a series or frame of one case with its channels in rows and its time points in order.

    An index of dates, periods or durations, or one that is named "time" or the like, says which axis is time, and in
    which order its points stand; without one the rows of a frame are channels, as in aeon's lists of frames.
    """
    in_rows = is_time_axis(case.index)
    in_columns = case.ndim == 2 and is_time_axis(case.columns)
    if in_rows and in_columns:
        raise InvalidSeriesError(f"{name} is a frame with times in its index and in its columns. One axis is time.")
    if not in_rows and not in_columns:
        return case
    case = case.T if in_rows and case.ndim == 2 else case
    times = case.index if case.ndim == 1 else case.columns
    if times.isna().any() or times.has_duplicates:
        raise InvalidSeriesError(f"{name} has a time point twice, or one that is missing. Each may stand once.")
    ranks, _ = order_times(times)
    order = np.argsort(ranks)
    return case.iloc[order] if case.ndim == 1 else case.iloc[:, order]


def stack_equal(cases):
    """Return series (C, T_i) as one array (N, C, T) if they are of one length, otherwise as they are."""
    return np.stack(cases) if len({case.shape for case in cases}) == 1 else cases
