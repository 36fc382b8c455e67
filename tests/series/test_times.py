"""The order of time points as they read, or an error."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from v2s_sklearn.errors import InvalidSeriesError
from v2s_sklearn.series.times import is_regular, is_time_axis, order_times

IN_ORDER = [
    ["t2", "t10", "t100"],
    ["-2", "-1", "3"],
    ["1.5", "10", "1e3"],
    ["2020-01-31", "2020-02-01", "2020-10-01"],
    ["2020-01-31T23:00:00+01:00", "2020-02-01T00:00:00Z"],
    ["9:30", "10:05", "10:15"],
    ["0:59.5", "1:00.0"],
    ["2020Q1", "2020Q4", "2021Q1"],
    ["2019/12/31", "2020/01/02"],
    ["lap 2 of 12", "lap 11 of 12"],
    ["0.25 s", "0.5 s", "12 s"],
    ["a", "b", "c"],
    [pd.Interval(0, 1), pd.Interval(1, 2)],
    [(1, 2), (1, 10), (2, 0)],
    [10**18, 10**18 + 1],
    [False, True],
]


@pytest.mark.parametrize("times", IN_ORDER, ids=repr)
def test_times_are_sorted_as_they_read(times):
    index = pd.Index(times, tupleize_cols=False)
    for order in (np.arange(len(times)), np.arange(len(times))[::-1], np.random.default_rng(0).permutation(len(times))):
        np.testing.assert_array_equal(order_times(index[order])[0], order)


@given(st.lists(st.integers(-(10**6), 10**6), min_size=1, max_size=9, unique=True), st.sampled_from(["", " ms"]))
def test_numbers_as_text_have_the_order_of_numbers(numbers, unit):
    ranks, places = order_times(pd.Index([f"{number}{unit}" for number in numbers]))
    np.testing.assert_array_equal(ranks, np.argsort(np.argsort(numbers)))
    if places is not None:
        np.testing.assert_array_equal(places, numbers)


@pytest.mark.parametrize(
    "times",
    [["alpha", "beta"], ["a", "B"], ["5 s", "1 min"], ["t0.5", "t0.50"], ["lap 1 turn 2", "lap 2 turn 1"],
     ["2020-01-01", "2020-01-02T00:00Z"], ["01:00 PM", "11:00 AM"], ["1 2", "1_3"],
     [1 + 0j, 2 + 0j]],
    ids=repr,
)  # fmt: skip
def test_what_reads_in_several_ways_is_an_error(times):
    with pytest.raises(InvalidSeriesError, match="The time level of X holds"):
        order_times(pd.Index(times))


def test_spacing():
    codes = np.array([0, 0, 0, 1, 1])
    assert is_regular(np.array([0.0, 1.0, 2.05, 7.0, 8.0]), codes)
    assert not is_regular(np.array([0.0, 1.0, 2.0, 7.0, 8.2]), codes)
    assert is_regular(np.array([3.0, 9.0]), np.array([0, 1]))


def test_axes_of_time():
    for index in (pd.date_range("2020", periods=2), pd.period_range("2020", periods=2, freq="D"),
                  pd.to_timedelta([0, 1], unit="s"), pd.Index(pd.date_range("2020", periods=2).date)):  # fmt: skip
        assert is_time_axis(index)
    for index in (pd.RangeIndex(3), pd.Index(["2020", "2021"]), pd.Index([1.5, 2.5])):
        assert not is_time_axis(index)
