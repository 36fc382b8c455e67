"""Tables whose cells are series: sktime's nested frames, columns of arrays, of polars and of pyarrow."""

import numpy as np
import pandas as pd
import pyarrow
import pytest
from test_frames import convert

from v2s_sklearn import V2SClassifier
from v2s_sklearn.errors import InvalidSeriesError


class Column:
    """What a column of polars can do that is asked for; polars itself is no dependency."""

    def __init__(self, values, dtype="List(Float64)"):
        self.values, self.dtype = values, dtype

    def to_list(self):
        return self.values


class Table:
    """What a frame of polars can do that is asked for."""

    def __init__(self, columns, dtype="List(Float64)"):
        self._columns = columns
        self.columns = list(columns)
        self.schema = {name: dtype for name in columns}

    def to_dict(self, as_series=True):
        assert not as_series
        return self._columns


def lists(cases):
    return {f"c{channel}": [case[channel].tolist() for case in cases] for channel in range(len(cases[0]))}


def cells(cases):
    found = np.empty((len(cases), len(cases[0])), dtype=object)
    for row, case in zip(found, cases, strict=True):
        row[:] = list(case)
    return found


TABLES = {
    "nested frame": lambda cases: pd.DataFrame(
        {n: [pd.Series(c) for c in column] for n, column in lists(cases).items()}
    ),
    "frame of arrays": lambda cases: pd.DataFrame({n: [*map(np.array, column)] for n, column in lists(cases).items()}),
    "frame of lists": lambda cases: pd.DataFrame(lists(cases)),
    "array of arrays": cells,
    "pyarrow's table": lambda cases: pyarrow.table(lists(cases)),
    "pandas over pyarrow": lambda cases: pyarrow.table(lists(cases)).to_pandas(types_mapper=pd.ArrowDtype),
    "polars' frame": lambda cases: Table(lists(cases)),
}
COLUMNS = {
    "pandas": lambda values: pd.Series(values),
    "pandas over pyarrow": lambda values: pd.Series(values, dtype=pd.ArrowDtype(pyarrow.list_(pyarrow.float64()))),
    "pyarrow": lambda values: pyarrow.array(values),
    "chunks of pyarrow": lambda values: pyarrow.chunked_array([values[:2], values[2:]]),
    "polars": Column,
}


@pytest.mark.parametrize("lengths", [[5, 5, 5], [5, 4, 6]], ids=["equal", "unequal"])
@pytest.mark.parametrize("make", TABLES.values(), ids=TABLES)
def test_tables_of_series_are_collections(make, lengths):
    rng = np.random.default_rng(0)
    for n_channels in (1, 2):
        cases = [rng.normal(size=(n_channels, n)) for n in lengths]
        for found, case in zip(convert(make(cases)), cases, strict=True):
            np.testing.assert_array_equal(found, case)


@pytest.mark.parametrize("make", COLUMNS.values(), ids=COLUMNS)
def test_columns_of_series_are_collections(make):
    cases = [[1.0, 2.0, None], [3.0], [4.0, 5.0]]
    found = convert(make(cases))
    for one, case in zip(found, ([1, 2], [3], [4, 5]), strict=True):  # NaN behind a series: it ends there
        np.testing.assert_array_equal(one, [case])


def test_columns_of_a_nested_frame_are_those_of_fit():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({name: [pd.Series(rng.normal(size=6)) for _ in range(8)] for name in ("speed", "angle")})
    clf = V2SClassifier("tiny", random_state=0).fit(frame, [0, 1] * 4)
    np.testing.assert_array_equal(clf.predict_proba(frame[["angle", "speed"]]), clf.predict_proba(frame))
    with pytest.raises(InvalidSeriesError, match="Did you mean 'speed' by 'sped'?"):
        clf.predict(frame.rename(columns={"speed": "sped"}))


def test_cells_that_are_no_series_are_named():
    series = [pd.Series([1.0, 2.0])] * 3
    for cell, message in (
        (3.0, "Series 1 of X, column 'b', is float, and other cells of X are series"),
        (None, "Series 1 of X, column 'b', is NoneType"),
        ("text", "Series 1 of X, column 'b', is str"),
        ([1.0, "c"], "Series 1 of X, column 'b', must hold numbers"),
        ([[1.0, 2.0]], r"Series 1 of X, column 'b', has shape \(1, 2\)"),
        ([], r"Series 1 of X, column 'b', has shape \(0,\)"),
        ([1.0, 2.0, 3.0], r"Series 1 of X has channels of lengths \[2, 3\]"),
    ):
        with pytest.raises(InvalidSeriesError, match=message):
            convert(pd.DataFrame({"a": series, "b": pd.Series([series[0], cell, series[0]], dtype=object)}))
    mixed = np.empty((2, 2), dtype=object)
    mixed[:] = [[1.0, [1.0, 2.0]], [2.0, 3.0]]
    with pytest.raises(InvalidSeriesError, match="X must hold numbers, got a list"):
        convert(mixed)


def test_numbers_of_pyarrow_are_an_ordinary_table():
    table = pyarrow.table({"a": [1.0, 2.0], "b": [3.0, 4.0]})
    np.testing.assert_array_equal(convert(table), [[[1, 3]], [[2, 4]]])
