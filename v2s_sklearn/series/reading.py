"""Collections of every container read into one form: float64 arrays, checked as scikit-learn and aeon want.

Shape legend: N cases, C channels, T time points (of the longest series).
"""

from collections.abc import Iterator, Mapping, Set

import numpy as np
from scipy.sparse import issparse
from sklearn.utils import check_array
from sklearn.utils.validation import validate_data

from v2s_sklearn.errors import InvalidSeriesError, InvalidSeriesTypeError
from v2s_sklearn.series.containers import as_float64, check_cases, convert_list, is_list, warn_of_axes
from v2s_sklearn.series.frames import check_columns, convert_long_frame, is_long_frame
from v2s_sklearn.series.labels import naming
from v2s_sklearn.series.nested import as_plain, convert_nested, nested_columns


def read_collection(X, estimator, channels=None, reset=False):
    """Return the series of any container, and the columns that are their channels.

    Parameters
    ----------
    X : collection
    estimator : estimator
        Whose names and number of columns of a table are compared, or noted.
    channels : list, optional
        Columns of the frame of fit, if they were its channels.
    reset : bool, default=False
        Whether this is for a fit.

    Returns
    -------
    X : array of shape (N, C, T), or list of N arrays (C, T_i)
        float64, NaN where a value is missing.
    channels : list or None
        Columns of X, if it is a frame with two index levels or one whose cells are series.

    Raises
    ------
    InvalidSeriesError
        If X cannot be used; the message says what was given and what is needed.

    Warns
    -----
    UserWarning
        In a fit, if the axes may be the other way round; if times are not equally spaced.
    """
    X = as_plain(X)
    channels = None if reset else channels
    if is_long_frame(X):
        return convert_long_frame(X, channels)
    columns = nested_columns(X)
    if columns is not None:
        named = not isinstance(X, np.ndarray)
        names = list(columns) if channels is None or not named else channels
        check_columns(list(columns), names)
        return convert_list(convert_nested({name: columns[name] for name in names})), names if named else None
    X = convert_list(X) if is_list(X) else _check_array(X, estimator, reset)
    if reset:
        warn_of_axes(X)
    return X, None


def _check_array(X, estimator, reset):
    """Check an array or a table with a row a case; return it as a float64 array (N, C, T)."""
    sparse = issparse(X)  # some of those are dicts
    if X is None or np.isscalar(X) or (not sparse and isinstance(X, Mapping | Set | Iterator)):
        raise InvalidSeriesTypeError(
            f"X must be a collection of time series, got {type(X).__name__}. Expected 2D array (n_cases, "
            "n_timepoints), 3D array (n_cases, n_channels, n_timepoints), or a list of arrays (n_channels, "
            "n_timepoints_i)."
        )
    with naming("X"):
        given = X
        if not sparse:
            X = check_cases(as_float64(X, "X"))
        X = check_array(X, dtype="numeric", allow_nd=True, ensure_all_finite=False, estimator=estimator, input_name="X")
        if X.size == 0:
            raise InvalidSeriesError(f"Found array X with no values: shape {X.shape}, a minimum of 1 is required.")
        # Names of the columns and, of a table, their number; a classifier's labels are checked elsewhere.
        validate_data(estimator, given, "no_validation", reset=reset, skip_check_array=True, ensure_2d=X.ndim == 2)
        if X.ndim == 2 and not reset:
            _check_columns_of_table(X, estimator)
    return X.reshape(len(X), -1, X.shape[-1])


def _check_columns_of_table(X, estimator):
    """Check the columns of a table (N, T) against a fit to no table, of which scikit-learn knows no number."""
    expected = None if hasattr(estimator, "n_features_in_") else estimator.metadata_["n_timepoints"]
    if expected is not None and X.shape[1] != expected:
        raise InvalidSeriesError(
            f"X has {X.shape[1]} features, but {type(estimator).__name__} is expecting {expected} features as input, "
            "as many as the series of fit have time points. Give series of another length as a 3D array or a list."
        )
