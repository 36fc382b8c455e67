"""One conversion for every container: the same series, float64, in the order given; else an error that names which."""

import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from v2s_sklearn import V2SClassifier, V2SFeatures
from v2s_sklearn.errors import InvalidSeriesError
from v2s_sklearn.series.moments import merge_copies, normalise_weights, power_of_two, shorten

DTYPES = (np.float64, np.float32, np.float16, np.int8, np.int64, np.uint16, bool)


def convert(X):
    """Return what an estimator's fit sees of X."""
    return V2SFeatures("tiny").reset()._preprocess_collection(X)


def long_frame(cases, ids=None, names=None):
    """Return series (C, T_i) as a frame with an index of two levels."""
    ids = range(len(cases)) if ids is None else ids
    index = [(one, time) for one, case in zip(ids, cases, strict=True) for time in range(case.shape[1])]
    return pd.DataFrame(np.hstack(cases).T, index=pd.MultiIndex.from_tuples(index), columns=names)


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
            found = convert(make(cases))
        assert len(found) == len(cases), name
        for case, expected in zip(found, cases, strict=True):
            assert case.dtype == np.float64, name
            np.testing.assert_array_equal(case, expected.astype(np.float64), name)


NO_NUMBERS = [np.nan, np.inf, None, "a", "1", 1j, 10**400, pd.NaT, pd.NA, {}, [1], np.datetime64("2020")]


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


def test_masked_values_are_missing_ones():
    masked = np.ma.masked_array(np.ones((3, 4)), np.eye(3, 4))
    with pytest.raises(InvalidSeriesError, match="X has masked values"):
        convert(masked)
    with pytest.raises(InvalidSeriesError, match="Series 0 of X has masked values"):
        convert(list(masked))


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


# Frames with a two-level index


def test_cases_keep_the_order_in_which_they_appear():
    rng = np.random.default_rng(0)
    cases = [rng.normal(size=(2, n)) for n in (4, 3, 4, 2)]
    for ids in (["c", "a", "d", "b"], [7, 3, 12, 1], pd.to_datetime(["2022", "2020", "2023", "2021"])):
        frame = long_frame(cases, ids)
        shuffled = frame.sample(frac=1, random_state=0)  # rows of a case are apart, and its times in disorder
        order = [list(ids).index(one) for one in shuffled.index.get_level_values(0).unique()]
        for X, expected in ((frame, cases), (shuffled, [cases[i] for i in order])):
            for found, case in zip(convert(X), expected, strict=True):
                np.testing.assert_array_equal(found, case)


def test_parts_of_a_frame_are_cases(gunpoint):
    X, y = gunpoint[0][::3], gunpoint[1][::3]
    frame = long_frame(X, [f"case {i}" for i in range(len(X))])
    ids = frame.index.levels[0]
    for part in (
        frame.loc[ids[3:9]],
        frame[frame.index.get_level_values(0).isin(ids[3:9])],
        next(iter(frame.groupby(level=0)))[1],
    ):
        assert len(convert(part)) == part.index.get_level_values(0).nunique()
    labels = pd.Series(y, index=[f"case {i}" for i in range(len(X))])
    clf = V2SClassifier("tiny", random_state=0).fit(X, y)
    for order in (labels.sample(frac=1, random_state=1), labels):
        by_index = V2SClassifier("tiny", random_state=0).fit(frame, order, sample_weight=order.astype(float))
        weighted = V2SClassifier("tiny", random_state=0).fit(X, y, sample_weight=y.astype(float))
        np.testing.assert_array_equal(by_index.predict_proba(X), weighted.predict_proba(X))
        assert by_index.score(frame, order) == weighted.score(X, y)
    in_order = V2SClassifier("tiny", random_state=0).fit(frame, pd.Series(y))  # other ids: taken as they stand
    np.testing.assert_array_equal(in_order.predict_proba(frame), clf.predict_proba(X))


def test_columns_are_those_of_fit():
    rng = np.random.default_rng(0)
    frame = long_frame([rng.normal(size=(2, 6)) for _ in range(8)], names=["speed", "angle"])
    clf = V2SClassifier("tiny", random_state=0).fit(frame, [0, 1] * 4)
    expected = clf.predict_proba(frame)
    np.testing.assert_array_equal(clf.predict_proba(frame[["angle", "speed"]]), expected)
    np.testing.assert_array_equal(clf.predict_proba(convert(frame)), expected)
    with pytest.raises(InvalidSeriesError, match="Did you mean 'speed' by 'sped'?"):
        clf.predict(frame.rename(columns={"speed": "sped"}))
    with pytest.raises(InvalidSeriesError, match="more.* are unknown"):
        clf.predict(frame.assign(more=0.0))
    with pytest.raises(InvalidSeriesError, match="columns of the same name"):
        convert(frame.rename(columns={"speed": "angle"}))


def test_an_index_that_is_unclear_is_refused():
    frame = long_frame([np.ones((1, 3)), np.ones((1, 2))], ["a", "b"])
    with pytest.raises(InvalidSeriesError, match="Case a of X has the time point 0 more than once"):
        convert(pd.concat([frame, frame]))
    with pytest.raises(InvalidSeriesError, match="index of X contains NaN"):
        convert(long_frame([np.ones((1, 3)), np.ones((1, 2))], ["a", np.nan]))
    with pytest.raises(InvalidSeriesError, match="3 index levels"):
        convert(pd.concat({"x": frame}))


def test_features_of_a_frame_have_its_cases_as_index():
    frame = long_frame([np.random.default_rng(i).normal(size=(1, 5)) for i in range(4)], ["d", "b", "a", "c"])
    features = V2SFeatures("tiny").set_output(transform="pandas")
    assert features.fit_transform(frame).index.tolist() == ["d", "b", "a", "c"]
    assert features.transform(frame.loc[["b", "c"]]).index.tolist() == ["b", "c"]
    assert isinstance(features.set_output(transform="default").transform(frame), np.ndarray)


@pytest.mark.parametrize("container", [*CONTAINERS, *UNIVARIATE])
def test_lengths_may_differ_between_fit_and_predict(container):
    make = (CONTAINERS | UNIVARIATE)[container]
    rng = np.random.default_rng(0)
    equal, unequal = ([rng.normal(size=(1, n)) for n in lengths] for lengths in ([9] * 6, [9, 5, 7, 9, 4, 12]))
    y = [0, 1] * 3
    for fitted, other in ((equal, unequal), (unequal, equal), (equal, [case[:, :4] for case in equal])):
        clf = V2SClassifier("tiny", random_state=0).fit(make(fitted), y)
        np.testing.assert_array_equal(clf.predict_proba(make(other)), clf.predict_proba(list(other)))


# Cases


def test_long_series_are_averaged_down():
    case = np.arange(10.0)[None]
    assert shorten(case, 5).tolist() == [[0.5, 2.5, 4.5, 6.5, 8.5]]
    assert shorten(case, 10) is case


def test_copies_are_merged_in_any_order():
    a, b = np.array([[1.0, 2]]), np.array([[3.0, 4]])
    X, labels, weight = merge_copies([a, b, a, a, b], np.array([0, 1, 0, 1, 1]), np.array([1.0, 2, 3, 4, 0]))
    found = {(case.tobytes(), label): w for case, label, w in zip(X, labels, weight, strict=True)}
    assert found == {(a.tobytes(), 0): 4, (b.tobytes(), 1): 2, (a.tobytes(), 1): 4}
    again, *_ = merge_copies([b, a, a, a], np.array([1, 1, 0, 0]), np.ones(4))
    assert all((x == y).all() for x, y in zip(X, again, strict=True))
    with pytest.raises(InvalidSeriesError, match="All cases have sample_weight 0"):
        merge_copies([a], np.array([0]), np.zeros(1))


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
