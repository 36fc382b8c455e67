"""One conversion for every container: the same series, float64, in the order given; else an error that names which."""

import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from test_frames import convert, long_frame

from v2s_sklearn import V2SClassifier
from v2s_sklearn.errors import InvalidSeriesError
from v2s_sklearn.series.moments import normalise_weights, power_of_two, shorten

DTYPES = (np.float64, np.float32, np.float16, np.int8, np.int64, np.uint16, bool)


def as_objects(cases):
    array = np.empty(len(cases), dtype=object)
    array[:] = cases
    return array


CONTAINERS = {
    "list": list,
    "tuple": tuple,
    "objects": as_objects,
    "lists": lambda cases: [case.tolist() for case in cases],
    "frames": lambda cases: [pd.DataFrame(case) for case in cases],
    "tensors": lambda cases: [torch.tensor(case.astype(np.float64), requires_grad=True) for case in cases],
    "masked arrays": lambda cases: [np.ma.masked_array(case) for case in cases],
    "arrays of objects": lambda cases: [case.astype(object) for case in cases],
    "nullable frames": lambda cases: [pd.DataFrame(case).convert_dtypes() for case in cases],
    "long frame": long_frame,
    "long frame of objects": lambda cases: long_frame(cases).astype(object),
}
UNIVARIATE = {
    "series": lambda cases: [pd.Series(case[0]) for case in cases],
    "flat lists": lambda cases: [case[0].tolist() for case in cases],
    "flat arrays": lambda cases: [case[0] for case in cases],
    "series of series": lambda cases: pd.Series([case[0] for case in cases]),
    "long series": lambda cases: long_frame(cases)[0],
}
EQUAL = {
    "array": np.array,
    "array of objects": lambda cases: np.array(cases, dtype=object),
    "masked array": lambda cases: np.ma.masked_array(np.array(cases)),
    "tensor": lambda cases: torch.tensor(np.array(cases).astype(np.float64)),
    "wide frame": lambda cases: pd.DataFrame(np.array(cases)[:, 0]),
    "wide nullable frame": lambda cases: pd.DataFrame(np.array(cases)[:, 0]).convert_dtypes(),
}


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_every_container_holds_the_same_series(data):
    dtype = data.draw(st.sampled_from(DTYPES))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    n_channels = data.draw(st.integers(1, 3))
    lengths = data.draw(st.lists(st.integers(1, 5), min_size=1, max_size=4))
    if equal := data.draw(st.booleans()):
        lengths = [lengths[0]] * len(lengths)
    cases = [rng.integers(0, 2 if dtype is bool else 100, (n_channels, n)).astype(dtype) for n in lengths]
    containers = CONTAINERS | (UNIVARIATE if n_channels == 1 else {})
    if equal:
        containers = containers | {name: make for name, make in EQUAL.items() if n_channels == 1 or "wide" not in name}
    for name, make in containers.items():
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            warnings.filterwarnings("ignore", message="X was read as")  # many channels of one point
            found = convert(make(cases))
        assert len(found) == len(cases), name
        for case, expected in zip(found, cases, strict=True):
            assert case.dtype == np.float64, name
            np.testing.assert_array_equal(case, expected.astype(np.float64), name)


NO_NUMBERS = [np.inf, -np.inf, "a", "1", 1j, 10**400, {}, [1], np.datetime64("2020"), pd.Timestamp("2020")]


@pytest.mark.parametrize("wrong", NO_NUMBERS, ids=repr)
def test_what_is_no_number_is_an_error_that_names_the_series(wrong):
    for make in (list, np.array, lambda values: pd.Series(values, dtype=object)):
        values = np.empty(3, dtype=object)
        values[:] = [0.5, 1.5, wrong]
        with pytest.raises((ValueError, TypeError), match="Series 2 of X"):
            convert([[1.0, 2.0], [3.0], make(values)])
    frame = pd.DataFrame({"speed": values}, index=pd.MultiIndex.from_product([["a", "b", "c"], [0]]))
    with pytest.raises((ValueError, TypeError), match="Case c of X|Column 'speed' of X"):
        convert(frame)
    with pytest.raises((ValueError, TypeError), match=r"\bX\b"):
        convert(pd.DataFrame({"speed": values, "other": [1.0, 2.0, 3.0]}))


@pytest.mark.parametrize("dtype", ["M8[ns]", "m8[s]", "S3", "U3", np.dtype([("a", float)]), complex])
def test_dtypes_that_are_no_numbers(dtype):
    X = np.zeros((4, 5)).astype(dtype)
    with pytest.raises((ValueError, TypeError), match=r"\bX\b"):
        convert(X)
    with pytest.raises((ValueError, TypeError), match="Series 0 of X"):
        convert(list(X))


def test_shapes_that_are_no_series():
    with pytest.raises(InvalidSeriesError, match="Series 1 of X has 2 channels and the first one has 1"):
        convert([np.ones((1, 4)), np.ones((2, 4))])
    with pytest.raises(InvalidSeriesError, match=r"Series 1 of X has shape \(1, 0\)"):
        convert([np.ones((1, 4)), np.ones((1, 0))])
    with pytest.raises(InvalidSeriesError, match=r"Series 0 of X has shape \(1, 1, 3\)"):
        convert([np.ones((1, 1, 3))])
    for X in ({"a": [1]}, {1, 2}, iter([1]), "text", 3, None):
        with pytest.raises(TypeError, match="X must be a collection of time series"):
            convert(X)


@pytest.mark.parametrize("container", [*CONTAINERS, *UNIVARIATE])
def test_lengths_may_differ_between_fit_and_predict(container):
    make = (CONTAINERS | UNIVARIATE)[container]
    rng = np.random.default_rng(0)
    equal, unequal = ([rng.normal(size=(1, n)) for n in lengths] for lengths in ([9] * 6, [9, 5, 7, 9, 4, 12]))
    y = [0, 1] * 3
    for fitted, other in ((equal, unequal), (unequal, equal), (equal, [case[:, :4] for case in equal])):
        clf = V2SClassifier("tiny", random_state=0).fit(make(fitted), y)
        np.testing.assert_array_equal(clf.predict_proba(make(other)), clf.predict_proba(list(other)))


def test_tensors_without_values_at_hand_are_named():
    with pytest.raises(InvalidSeriesError, match="X is a tensor on the meta device, which holds no values"):
        convert(torch.ones(3, 1, 4, device="meta"))
    with pytest.raises(InvalidSeriesError, match=r"X is a tensor of layout torch.sparse_coo. Give tensor.to_dense\(\)"):
        convert(torch.ones(3, 1, 4).to_sparse())
    with pytest.raises(InvalidSeriesError, match="Series 1 of X is a tensor on the meta device"):
        convert([torch.ones(1, 4), torch.ones(1, 4, device="meta")])


@pytest.mark.parametrize("layout", [torch.strided, torch.jagged])
def test_parts_of_a_nested_tensor_are_cases(layout):
    nested = torch.nested.nested_tensor([torch.arange(3.0), torch.arange(5.0)], layout=layout)
    for found, n_points in zip(convert(nested), (3, 5), strict=True):
        np.testing.assert_array_equal(found, np.arange(n_points)[None])


# Which axis is time


@pytest.mark.parametrize(
    ("shape", "form"), [((24, 60, 1), "60 channels with 1 time points"), ((5, 45, 4), "45 channels with 4 time points")]
)
def test_axes_that_may_be_the_other_way_round_are_a_warning(shape, form):
    X, y = np.random.default_rng(0).normal(size=shape), np.arange(len(np.zeros(shape))) % 2
    for make in (np.array, list, lambda X: [case[:, : 1 + i % X.shape[2]] for i, case in enumerate(X)]):
        with pytest.warns(UserWarning, match=rf"X was read as {shape[0]} cases of {form} each.*transpose"):
            V2SClassifier("tiny", random_state=0).fit(make(X), y)


def test_axes_of_real_sets_are_no_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for shape in ((2, 1345, 270), (2, 963, 144), (2, 200, 22), (3, 1, 1), (40, 6, 100)):
            convert(np.zeros(shape))
        convert(np.zeros((5, 400)))  # a table
        names = [f"sensor {number}" for number in range(30)]
        convert(long_frame([np.ones((30, 2))] * 3, names=names))  # columns are channels


INDICES = {
    "dates": pd.date_range("2020", periods=5),
    "periods": pd.period_range("2020", periods=5, freq="M"),
    "durations": pd.timedelta_range("0s", periods=5, freq="1s"),
    "dates as objects": pd.Index(pd.date_range("2020", periods=5).date),
    "its name": pd.Index([0.5, 1.0, 1.5, 2.0, 2.5], name="time"),
}


@pytest.mark.parametrize("times", INDICES.values(), ids=INDICES)
def test_the_index_of_a_frame_says_which_axis_is_time(times):
    cases = [np.random.default_rng(seed).normal(size=(2, 5)) for seed in range(3)]
    by_row = [pd.DataFrame(case.T, index=times, columns=["speed", "angle"]) for case in cases]
    for X in (
        by_row,
        [frame.T for frame in by_row],
        [frame.sample(frac=1, random_state=0) for frame in by_row],
        pd.Series(by_row, dtype=object),
    ):
        np.testing.assert_array_equal(convert(X), cases)
    np.testing.assert_array_equal(convert([frame["speed"].iloc[::-1] for frame in by_row])[:, 0], np.stack(cases)[:, 0])
    clf = V2SClassifier("tiny", random_state=0).fit(cases, [0, 1, 0])
    np.testing.assert_array_equal(clf.predict_proba(by_row), clf.predict_proba(cases))
    square = pd.DataFrame(np.ones((5, 5)), index=times, columns=times)
    with pytest.raises(InvalidSeriesError, match="Series 0 of X is a frame with times in its index and in its columns"):
        convert([square])
    with pytest.raises(InvalidSeriesError, match="Series 0 of X has a time point twice"):
        convert([pd.concat([by_row[0], by_row[0]])])


# Values


def test_long_series_are_averaged_down():
    case = np.arange(10.0)[None]
    assert shorten(case, 5).tolist() == [[0.5, 2.5, 4.5, 6.5, 8.5]]
    assert shorten(case, 10) is case


@given(st.lists(st.floats(0, 1.7e308), min_size=1, max_size=9))
def test_weights_of_any_size_have_finite_sums_and_products(weights):
    weights = np.array(weights)
    normal = normalise_weights(weights)
    assert ((normal > 0) == (weights > 0)).all()
    assert normal.max() in (0, 1)
    with np.errstate(over="raise", divide="raise", invalid="raise"):
        assert np.isfinite((normal**2 / np.sqrt(np.where(normal > 0, normal, 1))).sum())
    large = weights > 1e-150 * weights.max()
    np.testing.assert_allclose(normal[large] * weights.max(), weights[large])


@given(st.floats(-1.7e308, 1.7e308), st.floats(0.1, 1))
def test_powers_of_two_change_no_digit(value, share):
    unit = power_of_two(np.array([value, share]))
    assert np.isin(np.frexp(unit)[0], 0.5).all()
    assert value == 0 or 1 <= abs(value / unit[0]) < 2
    assert (value / unit[0]) * unit[0] == value


@pytest.mark.parametrize("lengths", [[15] * 8, [15, 9] * 4], ids=["array", "list"])
def test_the_order_in_memory_changes_no_bit(lengths):
    """Far from zero, where the rounding of a sum shows in what is scaled by it."""
    rng = np.random.default_rng(0)
    cases = [1e6 + 0.01 * rng.normal(size=(3, length)).cumsum(axis=1) for length in lengths]
    expected = V2SClassifier("tiny", random_state=0).fit(cases, [0, 1] * 4).predict_proba(cases)
    others = [[np.asfortranarray(case) for case in cases], [np.repeat(case, 2, axis=1)[:, ::2] for case in cases]]
    if len(set(lengths)) == 1:
        others += [np.asfortranarray(cases), np.stack([case.T for case in cases]).transpose(0, 2, 1)]
    for X in others:
        found = V2SClassifier("tiny", random_state=0).fit(X, [0, 1] * 4).predict_proba(X)
        np.testing.assert_array_equal(found, expected)
