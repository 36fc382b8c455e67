"""Tables whose cells are series: a row a case, a column a channel, as sktime, polars and pyarrow hold collections.

No library but pandas is imported for it: tables are known by what they can do.
"""

import numpy as np
import pandas as pd

from v2s_sklearn.errors import InvalidSeriesError, InvalidSeriesTypeError
from v2s_sklearn.series.containers import NOT_NUMBERS, as_float64


def nested_columns(X):
    """Return the columns of a table whose cells are series, a dict of name to list of cells, or None for other X.

    Parameters
    ----------
    X : any
        Recognised are pandas' frames, arrays of objects (N, C), polars' frames and pyarrow's tables with columns of
        lists.
    """
    if isinstance(X, pd.DataFrame):
        columns = {name: X.iloc[:, place] for place, name in enumerate(X.columns)}
        if X.columns.is_unique and any(_holds_series(column) for column in columns.values()):
            return {name: list(column) for name, column in columns.items()}
        return None
    if isinstance(X, np.ndarray):
        if X.dtype == object and X.ndim == 2 and X.size and all(_is_series(cell) for cell in X.flat):
            return {place: list(column) for place, column in enumerate(X.T)}
        return None
    schema = getattr(X, "schema", None)
    if schema is None or not hasattr(X, "columns"):
        return None
    if hasattr(X, "to_pydict"):  # pyarrow
        kinds, read = (str(kind) for kind in schema.types), X.to_pydict
    elif hasattr(X, "to_dict"):  # polars
        kinds, read = (str(kind) for kind in dict(schema).values()), lambda: X.to_dict(as_series=False)
    else:
        return None
    return read() if any("list" in kind.lower() or kind.startswith("Array(") for kind in kinds) else None


def as_plain(X):
    """Return a column of polars or pyarrow whose cells are series as a list of them; other X as it is."""
    if isinstance(X, pd.Series):
        return list(X) if _holds_series(X) else X
    if hasattr(X, "to_pylist") and "list" in str(getattr(X, "type", "")).lower():  # pyarrow
        return X.to_pylist()
    kind = str(getattr(X, "dtype", ""))
    if hasattr(X, "to_list") and kind.startswith(("List", "Array(")):  # polars
        return X.to_list()
    return X


def convert_nested(columns):
    """Return a table of series as a list of cases.

    Parameters
    ----------
    columns : dict of name to list of N cells
        From `nested_columns`.

    Returns
    -------
    list of float64 ndarrays (C, T_i)

    Raises
    ------
    InvalidSeriesError
        That names case and column, if a cell is no series of numbers or the channels of a case differ in length.
    """
    cases = []
    for index, row in enumerate(zip(*columns.values(), strict=True)):
        channels = []
        for name, cell in zip(columns, row, strict=True):
            where = f"Series {index} of X, column {name!r},"
            if not _is_series(cell):
                raise InvalidSeriesTypeError(
                    f"{where} is {type(cell).__name__}, and other cells of X are series. Give a series in each cell."
                )
            values = as_float64(cell, where)
            if values.ndim != 1 or values.size == 0:
                raise InvalidSeriesError(
                    f"{where} has shape {values.shape}; each cell must hold one series, (n_timepoints,)."
                )
            channels.append(values)
        lengths = [len(values) for values in channels]
        if len(set(lengths)) > 1:
            raise InvalidSeriesError(
                f"Series {index} of X has channels of lengths {lengths}. Bring the channels of a case to one length."
            )
        cases.append(np.stack(channels))
    return cases


def _is_series(cell):
    """Return whether a cell holds several values."""
    return hasattr(cell, "__len__") and not isinstance(cell, (*NOT_NUMBERS, dict, set))


def _holds_series(column):
    """Return whether the cells of a pandas column are series; the first that is not missing says so."""
    if column.dtype != object and "list" not in str(column.dtype):
        return False
    return next((_is_series(cell) for cell in column if _is_series(cell) or not pd.isna(cell)), False)
