"""Missing values: gaps are interpolated, ends held, absent channels are the training mean; where series end."""

import numpy as np
import pandas as pd
import pytest
import torch
from aeon.datasets import load_basic_motions
from hypothesis import given, settings
from hypothesis import strategies as st
from test_frames import convert, long_frame

import v2s_sklearn
from v2s_sklearn import TransferClassifier, V2SClassifier, V2SFeatures
from v2s_sklearn.errors import InvalidSeriesError
from v2s_sklearn.series.gaps import fill_gaps
from v2s_sklearn.series.scaling import SeriesScaler

nan = np.nan


def as_objects(X, missing):
    found = X.astype(object)
    found[np.isnan(X)] = missing
    return found


def masked(X):
    return np.ma.masked_array(np.nan_to_num(X, nan=7.0), np.isnan(X))


CONTAINERS = {
    "array": np.array,
    "tensor": torch.tensor,
    "objects with None": lambda X: as_objects(X, None),
    "objects with NA": lambda X: as_objects(X, pd.NA),
    "masked array": masked,
    "list": list,
    "lists with None": lambda X: [as_objects(case, None).tolist() for case in X],
    "masked arrays": lambda X: [masked(case) for case in X],
    "tensors": lambda X: [torch.tensor(case) for case in X],
    "frames": lambda X: [pd.DataFrame(case) for case in X],
    "nullable frames": lambda X: [pd.DataFrame(case).astype("Float64") for case in X],
    "nested frame": lambda X: pd.DataFrame({c: [pd.Series(case[c]) for case in X] for c in range(X.shape[1])}),
    "long frame": long_frame,
    "long nullable frame": lambda X: long_frame(X).astype("Float64"),
    "long frame of objects": lambda X: long_frame(X).astype(object).where(lambda frame: frame.notna(), None),
}


@pytest.mark.parametrize("make", CONTAINERS.values(), ids=CONTAINERS)
def test_missing_values_are_the_same_in_every_container(make):
    X = np.array([[[nan, 1.0, nan, nan, 4.0, nan], [0.0, 1, 2, 3, 4, 5]], [[5.0, 4, 3, 2, 1, 0], [nan] * 6]])
    expected = X.copy()
    expected[0, 0] = [1, 1, 2, 3, 4, 4]
    np.testing.assert_array_equal(convert(make(X)), expected)
    y = [0, 1]
    clf = V2SClassifier("tiny", random_state=0).fit(make(X), y)
    filled = expected.copy()
    filled[1, 1] = X[0, 1].mean()
    np.testing.assert_allclose(clf.series_mean_, filled.mean(axis=(0, 2)))
    np.testing.assert_array_equal(clf.predict_proba(make(X)), clf.predict_proba(filled))
    np.testing.assert_allclose(
        V2SClassifier("tiny", random_state=0).fit(filled, y).predict_proba(filled),
        clf.predict_proba(filled),
        atol=1e-4,
    )


def test_a_wide_table_may_have_gaps(gunpoint):
    X, y = gunpoint[0][:, 0].copy(), gunpoint[1]
    X[::3, 5:9] = nan
    frame = pd.DataFrame(X, columns=[f"t{point}" for point in range(150)])
    clf = V2SClassifier("tiny", random_state=0).fit(frame, y)
    np.testing.assert_array_equal(clf.predict_proba(frame), clf.predict_proba(frame.interpolate(axis=1)))
    assert clf.metadata_["missing_values"]


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_gaps_are_filled_case_by_case_between_the_values_beside_them(data):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    shape = data.draw(st.tuples(st.integers(1, 4), st.integers(1, 3), st.integers(1, 12)))
    X = rng.normal(size=shape) * 10.0 ** data.draw(st.floats(-300, 307))
    gaps = rng.random(shape) < data.draw(st.floats(0, 1))
    broken = np.where(gaps, nan, X)
    with np.errstate(all="raise", under="ignore"):
        filled = fill_gaps(broken, shape[2])
    assert np.shape(filled) == shape
    for case, one, gap in zip(filled, broken, gaps, strict=True):
        np.testing.assert_array_equal(case, fill_gaps(one[None], shape[2])[0])  # alone as among others
        for channel, known, missing in zip(case, one, gap, strict=True):
            np.testing.assert_array_equal(channel[~missing], known[~missing])
            expected = pd.Series(known).interpolate(limit_direction="both").to_numpy()
            assert np.isnan(channel).all() == missing.all()
            if not missing.all():
                np.testing.assert_allclose(channel, expected, rtol=1e-9, atol=1e-9 * np.abs(known[~missing]).max())


def test_what_is_missing_at_random_costs_little(gunpoint):
    X, y, X_test, y_test = gunpoint
    rng = np.random.default_rng(0)
    broken, broken_test = (np.where(rng.random(part.shape) < 0.3, nan, part) for part in (X, X_test))
    whole = V2SClassifier.fast(random_state=0).fit(X, y).score(X_test, y_test)
    clf = V2SClassifier.fast(random_state=0).fit(broken, y)
    assert clf.score(broken_test, y_test) > whole - 0.05
    assert clf.metadata_["n_timepoints"] == 150  # points that are missing at the end are gaps
    np.testing.assert_array_equal(
        clf.predict_proba(broken_test)[5:6], clf.predict_proba(broken_test[5:6])
    )  # alone as among others


@pytest.mark.parametrize(
    "estimator",
    [V2SClassifier("tiny", random_state=0), V2SClassifier(("tiny", "tiny-wave"), random_state=0),
     V2SClassifier("v2sc", standardize=False, random_state=0), TransferClassifier("tiny", max_epochs=1)],
    ids=str,
)  # fmt: skip
def test_a_channel_without_any_value_is_its_training_mean(estimator, tmp_path):
    X, y = load_basic_motions(split="train")
    X, y = X[::2], y[::2]
    broken = X.copy()
    broken[3, 1], broken[7, 1], broken[7, 4] = nan, nan, nan
    estimator.fit(broken, y)
    present = np.delete(X[:, 1], [3, 7], axis=0)
    np.testing.assert_allclose(estimator.scaler_.training_mean_[1], present.mean())
    filled = np.where(np.isnan(broken), estimator.scaler_.training_mean_[:, None], broken)
    np.testing.assert_array_equal(estimator.predict_proba(broken), estimator.predict_proba(filled))
    estimator.save(tmp_path / "x")
    np.testing.assert_array_equal(
        v2s_sklearn.load(tmp_path / "x").predict_proba(broken), estimator.predict_proba(X * 0 + filled)
    )
    nothing = estimator.predict_proba(np.full((1, *X.shape[1:]), nan))
    np.testing.assert_array_equal(
        nothing, estimator.predict_proba(np.tile(estimator.scaler_.training_mean_[:, None], (1, 1, X.shape[2])))
    )


def test_the_mean_of_what_is_there_is_weighted_and_of_any_unit():
    X = np.array([[[1.0, 3.0]], [[nan, nan]], [[5.0, 7.0]]])
    scaler = SeriesScaler().fit(X, np.array([1.0, 9.0, 3.0]))
    np.testing.assert_allclose(scaler.training_mean_, (2 + 3 * 6) / 4)
    np.testing.assert_allclose(SeriesScaler().fit(X * 1e307).training_mean_, 4e307)
    unknown = SeriesScaler().fit(np.array([[[1.0, 3.0], [nan, nan]]]))
    np.testing.assert_array_equal(unknown.transform(np.full((1, 2, 2), nan)).series[0, 1], [0, 0])


# Where a series ends


def walks(lengths, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(2, n)).cumsum(axis=1) for n in lengths]


def padded(cases, n_points):
    return np.stack([np.pad(case, ((0, 0), (0, n_points - case.shape[1])), constant_values=nan) for case in cases])


LENGTHS = [9, 12, 7, 12, 10, 8]


@pytest.mark.parametrize("n_points", [12, 15])
def test_series_padded_with_nan_behind_keep_their_length(n_points):
    cases, y = walks(LENGTHS), [0, 1] * 3
    of_list, of_array = (V2SClassifier("tiny", random_state=0).fit(X, y) for X in (cases, padded(cases, n_points)))
    assert of_array.metadata_["unequal_length"] and not of_array.metadata_["missing_values"]
    expected = of_list.predict_proba(cases)
    for clf in (of_list, of_array):
        for X in (cases, padded(cases, n_points), list(padded(cases, n_points)), padded(cases, 20)):
            np.testing.assert_array_equal(clf.predict_proba(X), expected)
        for case, one in zip(cases, expected, strict=True):  # alone
            np.testing.assert_array_equal(clf.predict_proba(padded([case], n_points))[0], one)
    gap = padded(cases, n_points)
    gap[0, 0, 3] = nan
    np.testing.assert_array_equal(of_list.predict_proba(gap)[1:], expected[1:])


def test_time_points_that_no_training_case_has_are_left_out():
    cases, y = walks([12] * 6), [0, 1] * 3
    clf = V2SClassifier("tiny", random_state=0).fit(padded(cases, 16), y)
    assert clf.metadata_["n_timepoints"] == 12 and not clf.metadata_["unequal_length"]
    expected = clf.predict_proba(np.stack(cases))
    np.testing.assert_array_equal(clf.predict_proba(padded(cases, 16)), expected)
    np.testing.assert_array_equal(clf.predict_proba(padded(cases[:1], 16)), expected[:1])
    gap = padded(cases, 16)
    gap[1, :, 4] = nan
    assert V2SClassifier("tiny").fit(gap, y).metadata_["n_timepoints"] == 12


def test_the_end_of_a_series_is_held_where_series_are_of_one_length():
    cases, y = walks([12] * 6), [0, 1] * 3
    X = np.stack(cases)
    clf = V2SClassifier("tiny", random_state=0).fit(X, y)
    broken, held = X.copy(), X.copy()
    broken[:, :, 9:] = nan
    held[:, :, 9:] = X[:, :, 8:9]
    np.testing.assert_array_equal(clf.predict_proba(broken), clf.predict_proba(held))
    np.testing.assert_array_equal(clf.predict_proba(broken[:1]), clf.predict_proba(held)[:1])
    # In fit, too, where values are missing elsewhere.
    for part in (broken, held):
        part[0, 0, 4] = nan
        part[:3, :, 9:] = X[:3, :, 9:]
    twins = [V2SClassifier("tiny", random_state=0).fit(part, y) for part in (broken, held)]
    np.testing.assert_array_equal(twins[0].predict_proba(X), twins[1].predict_proba(X))


def test_an_end_of_one_channel_is_held():
    X = np.stack(walks([12] * 4))
    X[0, 0, 8:] = nan
    found = convert(X)
    np.testing.assert_array_equal(found[0, 0, 8:], np.repeat(X[0, 0, 7], 4))


# What is refused, and what the libraries are told


def test_infinity_names_the_case():
    X = np.stack(walks([12] * 4))
    clf = V2SClassifier("tiny", random_state=0).fit(X, [0, 1] * 2)
    for value in (np.inf, -np.inf):
        X[2, 1, 5], X[1, 0, 3] = value, nan
        for make in (np.array, list, torch.tensor, as_float_objects):
            for call in (lambda X: V2SClassifier("tiny").fit(X, [0, 1] * 2), clf.predict):
                with pytest.raises(InvalidSeriesError, match="Series 2 of X contains infinity"):
                    call(make(X))
        with pytest.raises(InvalidSeriesError, match="Case c of X contains infinity"):
            clf.predict(long_frame(X, [*"abcd"]))
        with pytest.raises(InvalidSeriesError, match="Series 2 of X contains infinity"):
            V2SFeatures("tiny").fit(X[:, 1])


def as_float_objects(X):
    return X.astype(object)


def test_a_collection_without_any_value_is_refused_in_fit():
    with pytest.raises(InvalidSeriesError, match="X has no values: all are missing"):
        V2SClassifier("tiny").fit(np.full((2, 1, 5), nan), [0, 1])


@pytest.mark.parametrize("estimator", [V2SClassifier(), V2SFeatures(), TransferClassifier()], ids=str)
def test_tags_say_that_values_may_be_missing(estimator):
    assert estimator.__sklearn_tags__().input_tags.allow_nan
    assert estimator.get_tag("capability:missing_values")
